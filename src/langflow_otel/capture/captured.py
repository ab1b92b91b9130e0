"""One value in, one bounded text out."""

from typing import Any, NamedTuple

import orjson

from langflow_otel.capture.snapshot import Snapshot
from langflow_otel.capture.types import message_text

TEXT = "text/plain"
JSON = "application/json"
_CUT = "… [cut]"
_OPTIONS = orjson.OPT_NON_STR_KEYS


def label(text: str, limit: int = 256) -> str:
    """Return a name or an id as any backend takes it: no lone surrogates, `limit` characters."""
    clean = text if text.isascii() else text.encode("utf-8", "replace").decode()
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


class Captured(NamedTuple):
    """A captured value: its text, the text's mime type, and whether something was cut off."""

    text: str
    mime_type: str
    truncated: bool

    def as_json(self) -> str:
        """Return the text as JSON, whatever its mime type."""
        return self.text if self.mime_type == JSON else orjson.dumps(self.text).decode()


class Capture:
    """Turns values into text of at most `max_bytes` bytes of UTF-8; nothing when not enabled."""

    def __init__(self, *, enabled: bool, max_bytes: int) -> None:
        """Capture values of at most `max_bytes` bytes each, if `enabled`."""
        self.enabled = enabled
        self.max_bytes = max_bytes

    def part(self, share: int) -> "Capture":
        """Return a capture whose values may have a `share`-th of the bytes, 256 at least."""
        return Capture(enabled=self.enabled, max_bytes=max(self.max_bytes // share, 256))

    def value(self, value: Any) -> Captured:
        """Capture any value: a text, or what is read as one, as text; the rest as JSON."""
        text = value if isinstance(value, str) else message_text(value)
        if text is not None:
            return self.text(text)
        captured = self.json(value)
        if captured.text.startswith('"'):
            return Captured(orjson.loads(captured.text), TEXT, captured.truncated)
        return captured

    def text(self, text: str) -> Captured:
        """Capture a text as it is, cut where it is too long."""
        cut, truncated = self._fit(text)
        return Captured(cut, TEXT, truncated)

    def json(self, value: Any) -> Captured:
        """Capture a value as JSON; where it is too long it is cut so that it stays valid JSON."""
        budget = self.max_bytes
        # A character may take up to six bytes as JSON, so what was read within the budget may
        # still be too long when written: then less is read.
        for _ in range(4):
            snapshot = Snapshot(budget)
            written = orjson.dumps(snapshot.take(value), option=_OPTIONS)
            if len(written) <= self.max_bytes:
                return Captured(written.decode(), JSON, snapshot.truncated)
            budget = budget * self.max_bytes // (len(written) + 1) * 9 // 10
        return Captured(f'"{_CUT}"', JSON, truncated=True)

    def joined(self, parts: dict[str, Captured]) -> Captured:
        """Put captured values together as one JSON object, in order, as many as fit."""
        texts: list[str] = []
        size, truncated = 2, False
        for name, part in parts.items():
            text = f"{orjson.dumps(label(name)).decode()}:{part.as_json()}"
            size += len(text.encode()) + 1
            if size > self.max_bytes:
                truncated = True
                break
            truncated = truncated or part.truncated
            texts.append(text)
        return Captured("{" + ",".join(texts) + "}", JSON, truncated)

    def _fit(self, text: str) -> tuple[str, bool]:
        sliced = text[: self.max_bytes]
        data = sliced.encode("utf-8", "replace")
        if len(sliced) == len(text) and len(data) <= self.max_bytes:
            return (text if text.isascii() else data.decode()), False
        room = self.max_bytes - len(_CUT.encode())
        return data[:room].decode("utf-8", "ignore") + _CUT, True
