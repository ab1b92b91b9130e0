"""A bounded copy of a value, made of plain JSON types only, with what is named a secret masked.

The cost depends on the budget, not on the size of the value: a walk stops when it has read as
much as may be shown.
"""

import math
from collections import deque
from itertools import islice
from typing import Any

from langflow_otel.capture.blobs import LONG, note_of_base64, without_data_urls
from langflow_otel.capture.masker import Masker
from langflow_otel.capture.shapes import MASK
from langflow_otel.capture.types import (
    SHORTEST_VECTOR,
    Table,
    Vector,
    is_secret,
    is_stream,
    reader,
    vector_of,
)

_MAX_DEPTH = 16
_MAX_KEY = 200
_NODE_COST = 4
_MAX_INT_BITS = 64
_SEQUENCES = (list, tuple, set, frozenset, deque)
_PAIRS = frozenset({list, tuple})
_PAIR = 2
# A secret that begins before a cut and ends after it is found when so much more is read.
_BEYOND_CUT = 256


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
        self._hides = masker.names.hides
        self._vectors = vectors
        self._unchecked = not checked
        self._path: set[int] = set()
        self._names: set[str] = set()
        self._texts: list[str] = []
        self.truncated = False

    def suspects(self) -> bool:
        """Tell whether a text that was taken, or a name, may hold a secret."""
        return self._masker.suspects("\n".join([*self._texts, *self._names]))

    def take(self, value: Any) -> Any:
        """Return a bounded copy of `value`, made of dict, list, str, int, float, bool, None."""
        self._left -= _NODE_COST
        cls = type(value)
        if cls is str:
            # Most values by far: short, plain text.
            length = len(value)
            if length < LONG and length <= self._left and (self._unchecked or value.isascii()):
                self._left -= length
                self._texts.append(value)
                return value
            return self._string(value)
        if value is None or cls is bool:
            return value
        if cls is int:
            if self._unchecked or value.bit_length() < _MAX_INT_BITS:
                return value
            return f"<int {value.bit_length()} bits>"
        if cls is float:
            return value if math.isfinite(value) else str(value)
        return self._nested(value)

    def _nested(self, value: Any) -> Any:
        path, identity = self._path, id(value)
        if self._left <= 0 or len(path) >= _MAX_DEPTH:
            return self._cut(f"<{type(value).__name__}>")
        if identity in path:
            return "<cycle>"
        path.add(identity)
        try:
            cls = type(value)
            if cls is dict:
                return self._mapping(value)
            return self._sequence(value, list) if cls is list else self._container(value)
        except Exception as error:  # noqa: BLE001 - a value may raise whatever it likes
            return f"<{type(value).__name__}: unreadable, {type(error).__name__}>"
        finally:
            path.discard(identity)

    def _container(self, value: Any) -> Any:
        if isinstance(value, dict):
            return self._mapping(value)
        for base in _SEQUENCES:
            if isinstance(value, base):
                return self._sequence(value, base)
        if is_secret(value):
            self._masker.secrets.add_object(value)
            return MASK
        if isinstance(value, str):
            return self._string(str.__str__(value))
        if is_stream(value):
            return f"<{type(value).__name__}>"
        read = reader(type(value))(value)
        if type(read) is Table:
            return self._table(read)
        return self._vector(read) if type(read) is Vector else self.take(read)

    def _mapping(self, value: dict[Any, Any]) -> Any:
        taken: dict[str, Any] = {}
        harmless, texts = self._masker.names.harmless, self._texts
        try:
            for key, item in dict.items(value):
                left = self._left
                if left <= 0:
                    taken["…"] = self._cut(f"{len(value) - len(taken)} more")
                    break
                name = key if key in harmless else self._name(key)
                self._left = left - len(name) - _NODE_COST
                # The same as `take` does, and most of what there is.
                if self._unchecked and type(item) is str and len(item) < min(left, LONG):
                    self._left -= len(item)
                    texts.append(item)
                    taken[name] = item
                else:
                    taken[name] = self.take(item)
                if name not in harmless:
                    taken[name] = self._masker.named(name, item) or taken[name]
        except RuntimeError:
            taken["…"] = self._cut("changed while it was read")
        self._names.update(taken)
        return self._masker.row(taken)

    def _name(self, key: Any) -> str:
        if type(key) is bytes:
            key = key.decode("ascii", "replace")
        if type(key) is not str:
            taken = self.take(key)
            key = taken if isinstance(taken, str) else repr(taken)
        return self._clean(key[:_MAX_KEY])

    def _sequence(self, value: Any, base: Any) -> Any:
        # The methods of `base`: those of a subclass may consume or compute.
        count = base.__len__(value)
        if count >= SHORTEST_VECTOR and base is list and not self._vectors:
            vector = vector_of(value)
            if vector is not None:
                return vector.note
        taken: list[Any] = []
        try:
            for item in islice(base.__iter__(value), self._left // _NODE_COST + 1):
                if self._left <= 0:
                    break
                pair = type(item) in _PAIRS and len(item) == _PAIR and type(item[0]) is str
                taken.append(self._pair(item) if pair else self.take(item))
        except RuntimeError:
            taken.append(self._cut("… changed while it was read"))
            return taken
        if len(taken) < count:
            taken.append(self._cut(f"… {count - len(taken)} more"))
        return taken

    def _pair(self, item: Any) -> Any:
        masked = self._masker.named(item[0], item[1])
        return [self.take(item[0]), masked] if masked else self.take(item)

    def _table(self, table: Table) -> Any:
        hidden = [self._hides(name) for name in table.columns]
        rows = []
        for row in table.rows:
            cells = dict(zip(table.columns, row, strict=True))
            settings = self._masker.row(cells)
            rows.append(
                [
                    (self._masker.named(name, cell) or cell) if hide else settings[name]
                    for name, cell, hide in zip(table.columns, row, hidden, strict=True)
                ]
            )
        return self._mapping({"shape": table.shape, "columns": table.columns, "head": rows})

    def _vector(self, vector: Vector) -> Any:
        return self.take(vector.numbers() if self._vectors else vector.note)

    def _string(self, value: str) -> str:
        room = max(self._left, 0)
        left_over = 0
        if len(value) >= LONG:
            value = note_of_base64(value) or value
            if ";base64," in value[: room + _BEYOND_CUT]:
                value, left_over = without_data_urls(value, room + _BEYOND_CUT)
        self._left -= len(value)
        if len(value) <= room and not left_over:
            text = self._clean(value)
            self._texts.append(text)
            return text
        beyond = max(_BEYOND_CUT, self._masker.secrets.longest)
        text = self._masker.text(self._clean(value[: room + beyond]))[:room]
        return self._cut(f"{text}… [{left_over + max(len(value) - room, 0)} more characters]")

    def _cut(self, note: str) -> str:
        self.truncated = True
        return note

    @staticmethod
    def _clean(text: str) -> str:
        """Replace lone surrogates, which UTF-8 has no form for."""
        if text.isascii():
            return text
        return text.encode("utf-8", "replace").decode()
