"""A bounded copy of a value, made of plain JSON types only.

The cost depends on the budget, not on the size of the value: a walk stops when it has read as
much as may be shown.
"""

import math
import re
from collections import deque
from itertools import islice
from typing import Any

from langflow_otel.capture.types import MASK, is_secret, is_stream, reader

_MAX_DEPTH = 16
_MAX_KEY = 200
_NODE_COST = 4
_MAX_INT_BITS = 64
_SEQUENCES = (list, tuple, set, frozenset, deque)


# The names that Langflow's own tracers mask (`TracingService._cleanup_inputs`), at any depth.
_MASKED_NAMES = re.compile("api_key|password|server_url", re.IGNORECASE)


class Snapshot:
    """One walk through one value, within a budget of about `budget` bytes of JSON."""

    def __init__(self, budget: int) -> None:
        """Start a walk that may read about `budget` bytes."""
        self._left = budget
        self._path: set[int] = set()
        self.truncated = False

    def take(self, value: Any) -> Any:
        """Return a bounded copy of `value`, made of dict, list, str, int, float, bool, None."""
        self._left -= _NODE_COST
        cls = type(value)
        if cls is str:
            # Most values by far: short, plain text.
            if len(value) <= self._left and value.isascii():
                self._left -= len(value)
                return value
            return self._string(value)
        if value is None or cls is bool:
            return value
        if cls is int:
            return (
                value if value.bit_length() < _MAX_INT_BITS else f"<int {value.bit_length()} bits>"
            )
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
            return self._container(value)
        except Exception as error:  # noqa: BLE001 - a value may raise whatever it likes
            return f"<{type(value).__name__}: unreadable, {type(error).__name__}>"
        finally:
            path.discard(identity)

    def _container(self, value: Any) -> Any:
        if isinstance(value, dict):
            return self._mapping(value)
        if isinstance(value, _SEQUENCES):
            return self._sequence(value)
        if is_secret(value):
            return MASK
        if isinstance(value, str):
            return self._string(str.__str__(value))
        if is_stream(value):
            return f"<{type(value).__name__}>"
        return self.take(reader(type(value))(value))

    def _mapping(self, value: dict[Any, Any]) -> Any:
        taken: dict[str, Any] = {}
        masked = _MASKED_NAMES.search
        for key, item in dict.items(value):
            if self._left <= 0:
                taken["…"] = self._cut(f"{len(value) - len(taken)} more")
                break
            name = key if type(key) is str else self._key(key)
            if len(name) > _MAX_KEY or not name.isascii():
                name = self._clean(name[:_MAX_KEY])
            self._left -= len(name) + _NODE_COST
            hidden = masked(name) and item is not None and not (type(item) is str and not item)
            taken[name] = MASK if hidden else self.take(item)
        return taken

    def _sequence(self, value: Any) -> Any:
        taken: list[Any] = []
        for item in islice(value, self._left // _NODE_COST + 1):
            if self._left <= 0:
                break
            taken.append(self.take(item))
        if len(taken) < len(value):
            taken.append(self._cut(f"… {len(value) - len(taken)} more"))
        return taken

    def _key(self, key: Any) -> str:
        taken = self.take(key)
        return taken if isinstance(taken, str) else repr(taken)

    def _string(self, value: str) -> str:
        room = max(self._left, 0)
        self._left -= len(value)
        if len(value) <= room:
            return self._clean(value)
        return self._cut(self._clean(value[:room]) + f"… [{len(value) - room} more characters]")

    def _cut(self, note: str) -> str:
        self.truncated = True
        return note

    @staticmethod
    def _clean(text: str) -> str:
        """Replace lone surrogates, which UTF-8 has no form for."""
        if text.isascii():
            return text
        return text.encode("utf-8", "replace").decode()
