"""A bounded copy of a value, made of plain JSON types only, with what is named a secret masked.

The cost depends on the budget, not on the size of the value: a walk stops when it has read as
much as may be shown.
"""

import math
from collections import deque
from collections.abc import Callable
from functools import partial
from itertools import islice
from typing import Any

from langflow_otel.capture.blobs import LONG, note_of_base64, without_data_urls
from langflow_otel.capture.classes import per_class
from langflow_otel.capture.masker import VALUE_FIELDS, Masker, clean
from langflow_otel.capture.shapes import MASK
from langflow_otel.capture.types import (
    SHORTEST_VECTOR,
    Table,
    Vector,
    is_secret_type,
    is_stream,
    reader,
    vector_of,
)

_MAX_DEPTH = 16
_MAX_KEY = 200
# What is written of a node besides its text, about.
_NODE_COST, _QUOTES, _FLOAT_COST = 4, 2, 16
_MAX_INT_BITS = 64
_SEQUENCES = (list, tuple, set, frozenset, deque)
_PAIR = 2


class Snapshot:
    """One walk through one value, within a budget of about `budget` bytes of JSON.

    Args:
        budget: About how many bytes of JSON may be read.
        masker: What tells secrets.
        vectors: Show vectors instead of naming their length.
        checked: Look out for what orjson cannot write: an integer of more than 64 bits, a lone
            surrogate.
    """

    def __init__(self, budget: int, masker: Masker, *, vectors: bool, checked: bool) -> None:
        """Start a walk."""
        self._left = budget
        self._masker = masker
        self._vectors = vectors
        self._unchecked = not checked
        self._path: list[Any] = []
        self._names: set[str] = set()
        self._texts: list[str] = []
        self.truncated = False

    def suspects(self) -> bool:
        """Tell whether a text that was taken, or a name, may hold a secret."""
        return self._masker.suspects_any([*self._texts, *self._names])

    def take(self, value: Any) -> Any:
        """Return a bounded copy of `value`, made of dict, list, str, int, float, bool, None."""
        self._left -= _NODE_COST
        cls = type(value)
        if cls is str:
            # Most values by far: short, plain text.
            length = len(value)
            if length < LONG and length <= self._left and (self._unchecked or value.isascii()):
                self._left -= length + _QUOTES
                self._texts.append(value)
                return value
            return self._string(value)
        if value is None or cls is bool or (cls is int and self._unchecked):
            return value
        if cls is int or cls is float:
            return self._number(value)
        path = self._path
        if self._left <= 0 or len(path) >= _MAX_DEPTH:
            return self._cut(f"<{cls.__name__}>")
        # Their `id`s would be found faster, but for audit hooks, which are told of each `id`.
        for above in path:
            if above is value:
                return "<cycle>"
        path.append(value)
        try:
            if cls is dict:
                return self._mapping(value)
            return self._sequence(value, list) if cls is list else _way_of(cls)(self, value)
        except Exception as error:  # noqa: BLE001 - a value may raise whatever it likes
            return f"<{cls.__name__}: unreadable, {type(error).__name__}>"
        finally:
            path.pop()

    def _number(self, value: float) -> Any:
        if type(value) is int:
            huge = value.bit_length() >= _MAX_INT_BITS
            return f"<int {value.bit_length()} bits>" if huge else value
        self._left -= _FLOAT_COST
        return value if math.isfinite(value) else str(value)

    def _object(self, value: Any) -> Any:
        if is_stream(value):
            return f"<{type(value).__name__}>"
        read = reader(type(value))(value)
        if type(read) is Table:
            return self._table(read)
        return self._vector(read) if type(read) is Vector else self.take(read)

    def _mapping(self, value: dict[Any, Any]) -> Any:
        taken: dict[str, Any] = {}
        harmless, texts = self._masker.names.harmless, self._texts
        unchecked, left = self._unchecked, self._left
        try:
            for key, item in dict.items(value):
                if left <= 0:
                    taken["…"] = self._cut(f"{dict.__len__(value) - len(taken)} more")
                    break
                room = left
                known = type(key) is str and key in harmless
                name = key if known else self._name(key)
                left -= len(name) + _NODE_COST
                # The same as `take` does, and most of what there is.
                cls = type(item)
                if cls is str and unchecked and (length := len(item)) < LONG and length < room:
                    left -= length + _QUOTES
                    texts.append(item)
                    taken[name] = item
                elif item is None or cls is bool or (cls is int and unchecked):
                    left -= _NODE_COST
                    taken[name] = item
                else:
                    self._left = left
                    taken[name] = self.take(item)
                    left = self._left
                if not known:
                    self._left = left
                    masked = self._masker.named(name, item)
                    if masked is not None:
                        taken[name] = masked if masked == MASK else self.take(masked)
                        left = self._left
        except RuntimeError:
            taken["…"] = self._cut("changed while it was read")
        finally:
            self._left = left
        self._names.update(taken)
        return taken if VALUE_FIELDS.isdisjoint(taken) else self._masker.row(taken, value)

    def _name(self, key: Any) -> str:
        if type(key) is bytes:
            key = key[: 2 * _MAX_KEY].decode("ascii", "replace")
        if not isinstance(key, str):
            huge = type(key) is int and key.bit_length() >= _MAX_INT_BITS
            taken = f"<int {key.bit_length()} bits>" if huge else self.take(key)
            key = taken if isinstance(taken, str) else repr(taken)
        key = clean(str.__str__(key))
        return key if len(key) <= _MAX_KEY else self._masker.cut(key, _MAX_KEY)

    def _sequence(self, value: Any, base: Any) -> Any:
        count = base.__len__(value)
        if count >= SHORTEST_VECTOR and base is list and not self._vectors:
            vector = vector_of(value)
            if vector is not None:
                return vector.note
        cls = type(value)
        pair = count == _PAIR and (cls is list or cls is tuple) and type(value[0]) is str
        if pair and self._is_told(value):
            return [self.take(value[0]), MASK]
        taken: list[Any] = []
        unchecked = self._unchecked
        try:
            for item in islice(base.__iter__(value), self._left // _NODE_COST + 1):
                if self._left <= 0:
                    break
                cls = type(item)
                if item is None or cls is bool or (cls is int and unchecked):
                    self._left -= _NODE_COST
                    taken.append(item)
                    continue
                pair = (cls is list or cls is tuple) and len(item) == _PAIR
                pair = pair and type(item[0]) is str
                taken.append(self._pair(item) if pair else self.take(item))
        except RuntimeError:
            taken.append(self._cut("… changed while it was read"))
            return taken
        if len(taken) < count:
            taken.append(self._cut(f"… {count - len(taken)} more"))
        return taken

    def _is_told(self, pair: Any) -> bool:
        """Tell whether the first of two names the second as a secret, and they are no two words."""
        words = type(pair) is list and type(pair[1]) is str and pair[1].isalpha()
        return not words and self._masker.named(pair[0], pair[1]) == MASK

    def _pair(self, item: Any) -> Any:
        masked = self._masker.named(item[0], item[1])
        return [self.take(item[0]), MASK] if masked == MASK else self.take(item)

    def _named_tuple(self, value: Any) -> Any:
        fields = type(value)._fields
        return self._mapping(dict(zip(fields, tuple.__iter__(value), strict=False)))

    def _secret(self, value: Any) -> str:
        self._masker.secrets.add_object(value)
        return MASK

    def _text(self, value: str) -> str:
        return self._string(str.__str__(value))

    def _table(self, table: Table) -> Any:
        named = len(set(table.columns)) == len(table.columns)
        rows = [dict(zip(table.columns, row, strict=True)) if named else row for row in table.rows]
        return self._mapping({"shape": table.shape, "columns": table.columns, "head": rows})

    def _vector(self, vector: Vector) -> Any:
        return self.take(vector.numbers() if self._vectors else vector.note)

    def _string(self, value: str) -> str:
        room, left_over = max(self._left, 0), 0
        if len(value) >= LONG:
            value = note_of_base64(value) or value
            if ";base64," in value[:room]:
                value, left_over = without_data_urls(value, room + LONG)
        self._left -= len(value) + _QUOTES
        if len(value) <= room and not left_over:
            text = clean(value)
            self._texts.append(text)
            return text
        left_over += max(len(value) - room, 0)
        return self._cut(f"{self._masker.cut(value, room)}… [{left_over} more characters]")

    def _cut(self, note: str) -> str:
        self.truncated = True
        return note


@per_class
def _way_of(cls: type) -> Callable[[Snapshot, Any], Any]:
    """Return how an instance of `cls` is taken; what an object says its class is may be computed.

    Of the builtin types by their own methods: those of a subclass may consume or compute.
    """
    if issubclass(cls, dict):
        return Snapshot._mapping
    if issubclass(cls, tuple) and hasattr(cls, "_fields"):
        return Snapshot._named_tuple
    for base in _SEQUENCES:
        if issubclass(cls, base):
            return partial(Snapshot._sequence, base=base)
    if is_secret_type(cls):
        return Snapshot._secret
    return Snapshot._text if issubclass(cls, str) else Snapshot._object
