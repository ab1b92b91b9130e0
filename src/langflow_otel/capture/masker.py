"""Masks secrets in text and in plain values: those known from the run, by name, by shape."""

from collections import deque
from collections.abc import Sequence
from itertools import islice
from typing import Any

import orjson

from langflow_otel.capture import shapes
from langflow_otel.capture.names import SecretNames, word_set
from langflow_otel.capture.pairs import SecretPairs
from langflow_otel.capture.secrets import NoSecrets, RunSecrets
from langflow_otel.capture.shapes import MASK, is_placeholder
from langflow_otel.capture.types import is_stream, reader

_MAX_DEPTH = 32
_PAIR = 2
# A secret that begins before a cut and ends after it is found when so much more is read.
_BEYOND_CUT = 256
_MAX_REMEMBERED = 4096
_MAX_CLEAN = 8192
_PLAIN = frozenset({int, float, bool, type(None)})
_CONTAINERS = frozenset({dict, list, tuple, set, frozenset, deque})
_SHORTEST_TEXT = 5
#: Rows of a table of settings, as Langflow's API Request has for headers: the name, the value.
_NAME_FIELDS = ("key", "name", "header", "field", "Key", "Name")
VALUE_FIELDS = frozenset({"value", "val", "Value"})
# A field that is described, in a JSON schema or in a flow, is no secret; what is set for it is.
_SCHEMA = word_set(
    """
    type title description default enum const examples example format pattern minLength
    maxLength minimum maximum nullable required readOnly writeOnly display_name password value
    show advanced placeholder info name load_from_db input_types multiline dynamic list
    field_type _input_type title_case real_time_refresh trace_as_input trace_as_metadata
    track_in_telemetry override_skip tool_mode ai_enabled
    """
)
_SCHEMA_VALUES = frozenset({"value", "default", "enum", "const", "examples", "example"})


class Masker:
    """Masks secrets: what `names` hides, what `secrets` has seen, what looks like one."""

    def __init__(self, names: SecretNames, secrets: RunSecrets | None = None) -> None:
        """Mask by `names`, and by the values in `secrets`, which grow by what is masked here."""
        self.names = names
        self.secrets = NoSecrets() if secrets is None else secrets
        self._pairs = SecretPairs(names)

    def suspects(self, text: str) -> bool:
        """Tell fast, and wrongly only in saying yes, whether there is a secret in `text`."""
        return self._suspects(text, hash(text), (text,))

    def suspects_any(self, texts: Sequence[str]) -> bool:
        """Tell the same of several texts, of which each may be a table, and all together none."""
        # Other texts may be the same when they are put together.
        return self._suspects("\n".join(texts), ~hash(tuple(texts)), texts)

    def _suspects(self, text: str, key: int, parts: Sequence[str]) -> bool:
        if len(text) < _SHORTEST_TEXT:
            return False
        # The same text comes again: in each model call of a chat, and for each destination.
        clean = self.names.clean_texts
        has_long_runs = clean.get(key)
        if has_long_runs is None:
            data = text.encode("utf-8", "replace")
            marks, at = shapes.runs_of(data)
            if (
                shapes.may_hold(text, data, marks, at)
                or self._pairs.may_hold(text)
                # Put together they have a line end less than there are, if none has one itself.
                or (text.count("\n") >= len(parts) and self._pairs.may_hold_tables(parts))
            ):
                return True
            if len(clean) >= _MAX_CLEAN:
                clean.clear()
            clean[key] = has_long_runs = at >= 0
        return self.secrets.may_be_in(text, has_long_runs=has_long_runs)

    def text(self, text: str) -> str:
        """Return `text` with every secret in it masked."""
        if not self.suspects(text):
            return text
        text = shapes.without(self.secrets.without(text), self.secrets.add_named)
        return self._pairs.without(text, self.secrets.add_named)

    def json(self, text: str) -> str:
        """Return `text` masked; where it is JSON by what its keys say, too, and still JSON."""
        if not self.suspects(text):
            return text
        if text[:64].lstrip()[:1] in {"{", "["}:
            try:
                return orjson.dumps(self.tree(orjson.loads(text))).decode()
            except (orjson.JSONDecodeError, orjson.JSONEncodeError, RecursionError):
                return self.text(text)
        return self.text(text)

    def known(self, text: str) -> str:
        """Return `text` masked if one of the run's secrets is in it: it was masked before."""
        return self.json(text) if self.secrets.may_be_in(text, has_long_runs=True) else text

    def tree(self, value: Any, depth: int = 0) -> Any:
        """Return a copy of a plain value (what JSON has) with every secret in it masked."""
        if isinstance(value, str):
            return self.json(value)
        if not isinstance(value, dict | list):
            return value
        if depth > _MAX_DEPTH:
            return MASK
        if isinstance(value, list):
            return [self._item(value, at, depth + 1) for at in range(len(value))]
        masked = {}
        for key, item in value.items():
            hidden = self.named(key, item)
            masked[self.text(key)] = (
                hidden if hidden == MASK else self.tree(hidden or item, depth + 1)
            )
        return self.row(masked, value)

    def _item(self, items: list[Any], at: int, depth: int) -> Any:
        """Mask an item: of a pair by the name in it, of arguments by the option before it."""
        item, before = items[at], items[at - 1] if at else None
        option = before[1:].lstrip("-") if isinstance(before, str) and before[:1] == "-" else ""
        if option and self.named(option, item) == MASK:
            return MASK
        pair = isinstance(item, list) and len(item) == _PAIR and isinstance(item[0], str)
        if pair and self.named(item[0], item[1]) == MASK:
            return [self.text(item[0]), MASK]
        return self.tree(item, depth)

    def row(self, row: dict[str, Any], source: dict[Any, Any]) -> dict[str, Any]:
        """Mask the value in a row of settings, `{"key": "Authorization", "value": "…"}`.

        The names are those in `source`, of which `row` may be a part only.
        """
        if VALUE_FIELDS.isdisjoint(row):
            return row
        for field in _NAME_FIELDS:
            name = dict.get(source, field)
            if type(name) is not str:
                continue
            for shown in VALUE_FIELDS.intersection(row):
                masked = self.named(name, row[shown])
                if masked:
                    row = {**row, shown: masked}
        return row

    def named(self, name: str, value: Any) -> Any:
        """Return what is shown instead, where `name` says that `value` is a secret, else None.

        That is the mask; of the description of a field it is the field without its value.
        """
        if not self.names.hides(name) or _says_nothing(value):
            return None
        if type(value) is dict and _describes_field(value):
            shown = value.copy()
            for key in _SCHEMA_VALUES.intersection(shown):
                if not _says_nothing(shown[key]):
                    self.remember(shown[key])
                    shown[key] = MASK
            return shown
        self.remember(value)
        return MASK

    def remember(self, value: Any, depth: int = 3) -> None:
        """Remember the texts of a value that is masked, to mask them wherever they come up."""
        cls = type(value)
        if cls is bytes:
            value = value[:_MAX_REMEMBERED].decode("utf-8", "replace")
        if isinstance(value, str):
            self._remember_text(str.__str__(value)[:_MAX_REMEMBERED])
        elif hasattr(cls, "get_secret_value"):
            self.secrets.add_object(value)
        elif depth and cls in _CONTAINERS:
            items = value.values() if cls is dict else value
            for item in islice(items, 16):
                self.remember(item, depth - 1)
        elif depth and cls not in _PLAIN and not is_stream(value):
            self.remember(reader(cls)(value), depth - 1)

    def _remember_text(self, text: str) -> None:
        self.secrets.add_named(text)
        shapes.without(text, self.secrets.add_named)
        self._pairs.without(text, self.secrets.add_named)
        scheme, space, rest = text.partition(" ")
        if space and scheme.isalpha():
            self.secrets.add_named(rest)

    def cut(self, text: str, room: int) -> str:
        """Return the first `room` characters of a longer text, masked.

        What comes after is read, too: a secret is found only where it is read to its end.
        """
        beyond = max(_BEYOND_CUT, self.secrets.longest)
        masked = self.text(clean(text[: room + beyond]))
        if len(text) > room + beyond:
            # A mask is shorter than what it hides: what was read beyond the cut has moved up.
            masked = masked[:-beyond]
        return masked[:room]


def clean(text: str) -> str:
    """Return `text` without lone surrogates, which UTF-8 has no form for."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _describes_field(value: dict[Any, Any]) -> bool:
    flag = value.get("password")
    return (
        _SCHEMA.issuperset(value)
        and ("type" in value or "display_name" in value)
        and (flag is None or flag is True or flag is False)
    )


def _says_nothing(value: Any) -> bool:
    """Tell whether there is nothing to mask: nothing is set, a switch (`{"password": true}`)."""
    if isinstance(value, str):
        text = str.__str__(value)
        return not text or is_placeholder(text)
    return value is None or value is True or value is False
