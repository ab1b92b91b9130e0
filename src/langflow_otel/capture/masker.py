"""Masks secrets in text and in plain values: those known from the run, by name, by shape."""

from typing import Any

import orjson

from langflow_otel.capture import shapes
from langflow_otel.capture.names import SecretNames, word_set
from langflow_otel.capture.pairs import SecretPairs
from langflow_otel.capture.secrets import NoSecrets, RunSecrets
from langflow_otel.capture.shapes import MASK, is_placeholder

_MAX_DEPTH = 32
_PAIR = 2
_SHORTEST_TEXT = 6
#: Rows of a table of settings, as Langflow's API Request has for headers: the name, the value.
_NAME_FIELDS = ("key", "name", "header", "field")
_VALUE_FIELDS = ("value", "val")
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
        if len(text) < _SHORTEST_TEXT:
            return False
        data = text.encode("utf-8", "replace")
        marks, at = shapes.runs_of(data)
        return (
            self.secrets.may_be_in(text, long_runs=at >= 0)
            or shapes.may_hold(text, data, marks, at)
            or self._pairs.may_hold(text)
        )

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
        if text[:1] in {"{", "["}:
            try:
                return orjson.dumps(self.tree(orjson.loads(text))).decode()
            except (orjson.JSONDecodeError, orjson.JSONEncodeError, RecursionError):
                pass
        return self.text(text)

    def tree(self, value: Any, depth: int = 0) -> Any:
        """Return a copy of a plain value (what JSON has) with every secret in it masked."""
        if isinstance(value, str):
            return self.text(value)
        if depth > _MAX_DEPTH:
            return value if not isinstance(value, dict | list) else MASK
        if isinstance(value, dict):
            return self.row(
                {
                    self.text(key): self.named(key, item) or self.tree(item, depth + 1)
                    for key, item in value.items()
                }
            )
        if isinstance(value, list):
            return [self._item(value, at, depth + 1) for at in range(len(value))]
        return value

    def _item(self, items: list[Any], at: int, depth: int) -> Any:
        """Mask an item: of a pair by the name in it, of arguments by the option before it."""
        item, before = items[at], items[at - 1] if at else None
        if isinstance(before, str) and before.startswith("-"):
            masked = self.named(before.lstrip("-"), item)
            if masked:
                return masked
        if isinstance(item, list) and len(item) == _PAIR and isinstance(item[0], str):
            masked = self.named(item[0], item[1])
            if masked:
                return [self.text(item[0]), masked]
        return self.tree(item, depth)

    def row(self, row: dict[str, Any]) -> dict[str, Any]:
        """Mask the value in a row of settings, `{"key": "Authorization", "value": "…"}`."""
        if "value" not in row and "val" not in row:
            return row
        names = [row[field] for field in _NAME_FIELDS if isinstance(row.get(field), str)]
        for field in _VALUE_FIELDS:
            for name in names:
                masked = self.named(name, row.get(field))
                if masked:
                    row = {**row, field: masked}
        return row

    def named(self, name: str, value: Any) -> Any:
        """Return the mask, where `name` says that `value` is a secret, else None."""
        if not self.names.hides(name) or _says_nothing(value):
            return None
        if type(value) is dict and _SCHEMA.issuperset(value):
            return {
                key: self.named(name, item) or item if key in _SCHEMA_VALUES else self.tree(item)
                for key, item in value.items()
            }
        self.remember(value)
        return MASK

    def remember(self, value: Any, depth: int = 3) -> None:
        """Remember the texts of a value that is masked, to mask them wherever they come up."""
        if isinstance(value, str):
            self.secrets.add_named(value)
            shapes.without(value, self.secrets.add_named)
            self._pairs.without(value, self.secrets.add_named)
            scheme, space, rest = value.partition(" ")
            if space and scheme.isalpha():
                self.secrets.add_named(rest)
        elif depth and isinstance(value, dict | list | tuple):
            items = value.values() if isinstance(value, dict) else value
            for item in list(items)[:16]:
                self.remember(item, depth - 1)


def _says_nothing(value: Any) -> bool:
    """Tell whether there is nothing to mask: nothing is set, a switch (`{"password": true}`)."""
    if isinstance(value, str):
        return not value or is_placeholder(value)
    return value is None or isinstance(value, bool)
