"""One value in, one bounded, masked text out."""

from typing import Any, NamedTuple

import orjson

from langflow_otel.capture.blobs import LONG, note_of_base64, without_data_urls
from langflow_otel.capture.masker import Masker, clean
from langflow_otel.capture.names import SecretNames
from langflow_otel.capture.secrets import RunSecrets
from langflow_otel.capture.snapshot import Snapshot
from langflow_otel.capture.types import message_text

TEXT = "text/plain"
JSON = "application/json"
_CUT = "… [cut]"
_OPTIONS = orjson.OPT_NON_STR_KEYS


def label(text: str, limit: int = 256) -> str:
    """Return a name or an id as any backend takes it: no lone surrogates, `limit` characters."""
    if type(text) is str and len(text) <= limit and text.isascii():
        return text
    shown = clean(text[: limit + 1])
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


class Captured(NamedTuple):
    """A captured value.

    Attributes:
        text: What is shown of it.
        mime_type: `text/plain` or `application/json`.
        truncated: Whether something was cut off.
        length: How many characters a text had before it was cut; None where that is not known.
    """

    text: str
    mime_type: str
    truncated: bool
    length: int | None = None

    def as_json(self) -> str:
        """Return the text as JSON, whatever its mime type."""
        return self.text if self.mime_type == JSON else orjson.dumps(self.text).decode()


class Capture:
    """Turns values into masked text of at most `max_bytes` bytes of UTF-8.

    Args:
        max_bytes: The most bytes of UTF-8 that one text may have.
        names: What tells the names of secrets.
        vectors: Whether vectors are shown; else only how long they are.
        secrets: The secrets of the run that is captured.
    """

    def __init__(
        self,
        *,
        max_bytes: int,
        names: SecretNames | None = None,
        vectors: bool = False,
        secrets: RunSecrets | None = None,
    ) -> None:
        """See the class."""
        self.max_bytes = max_bytes
        self.vectors = vectors
        self.masker = Masker(names or SecretNames(), secrets)
        #: The secrets of the run.
        self.secrets = self.masker.secrets

    def of(self, secrets: RunSecrets) -> "Capture":
        """Return the capture of one run, with the secrets of that."""
        return self._with(self.max_bytes, secrets)

    def part(self, share: int) -> "Capture":
        """Return a capture whose values may have a `share`-th of the bytes, 256 at least."""
        return self._with(max(self.max_bytes // share, 256), self.secrets)

    def value(self, value: Any) -> Captured:
        """Capture any value: a text, or what is read as one, as text; the rest as JSON."""
        text = str.__str__(value) if issubclass(type(value), str) else message_text(value)
        if text is not None:
            return self.text(text)
        captured = self.json(value)
        if captured.text.startswith('"'):
            return captured._replace(text=orjson.loads(captured.text), mime_type=TEXT)
        return captured

    def text(self, text: str) -> Captured:
        """Capture a text, cut where it is too long."""
        shown, left_over = text, 0
        if len(text) >= LONG:
            note = note_of_base64(text)
            if note is not None:
                return Captured(note, TEXT, truncated=False)
            if ";base64," in text[: self.max_bytes]:
                shown, left_over = without_data_urls(text, self.max_bytes + LONG)
        if len(shown) <= self.max_bytes:
            masked = self.masker.json(clean(shown))
        else:
            masked, left_over = self.masker.cut(shown, self.max_bytes), 1
        fitting = self._fit(masked, cut=left_over > 0)
        if fitting == masked:
            return Captured(masked, TEXT, truncated=False)
        return Captured(fitting, TEXT, truncated=True, length=len(text))

    def json(self, value: Any) -> Captured:
        """Capture a value as JSON; where it is too long it is cut so that it stays valid JSON."""
        budget = self.max_bytes
        # A character may take up to six bytes as JSON, so what was read within the budget may
        # still be too long when written: then less is read.
        for _ in range(4):
            try:
                written, truncated = self._written(value, budget, checked=False)
            except orjson.JSONEncodeError:
                written, truncated = self._written(value, budget, checked=True)
            if len(written) <= self.max_bytes:
                return Captured(written.decode(), JSON, truncated)
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

    def _written(self, value: Any, budget: int, *, checked: bool) -> tuple[bytes, bool]:
        snapshot = Snapshot(budget, self.masker, vectors=self.vectors, checked=checked)
        taken = snapshot.take(value)
        if snapshot.suspects():
            taken = self.masker.tree(taken)
        return orjson.dumps(taken, option=_OPTIONS), snapshot.truncated

    def _fit(self, text: str, *, cut: bool) -> str:
        """Return what fits of `text`, with a note if that is not all, or if it was `cut` before."""
        data = text.encode("utf-8", "replace")
        if len(data) <= self.max_bytes and not cut:
            return text
        room = self.max_bytes - len(_CUT.encode())
        return data[:room].decode("utf-8", "ignore") + _CUT

    def _with(self, max_bytes: int, secrets: RunSecrets) -> "Capture":
        return Capture(
            max_bytes=max_bytes, names=self.masker.names, vectors=self.vectors, secrets=secrets
        )
