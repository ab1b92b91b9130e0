"""One attempt to hand a batch to a backend, and what became of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from langflow_otel.export.size import size_of


class Verdict(Enum):
    """What a backend made of a batch."""

    TAKEN = "taken"
    BUSY = "busy"
    """Try again: 408, 429, what passes of 5xx, no connection, no answer in time."""
    TOO_LARGE = "too_large"
    """413: try again with less."""
    INVALID = "invalid"
    """400, 422: something in the batch is not right, and the rest may be."""
    UNAUTHORIZED = "unauthorized"
    """401, 403."""
    FAILED = "failed"
    """Anything else; no use to try again."""


_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
_UNAUTHORIZED = frozenset({401, 403})
_INVALID = frozenset({400, 422})
_TOO_LARGE = 413


@dataclass(frozen=True)
class Answer:
    """What became of one attempt.

    Attributes:
        verdict: What the backend made of it.
        detail: For a log line, as `HTTP 503 at localhost:6006`; neither content nor a secret.
        retry_after: The seconds that a `Retry-After` header asks for.
        rejected: The number of items refused of a batch that was taken (OTLP's partial success).
        status: The HTTP status, where there was one.
    """

    verdict: Verdict
    detail: str = ""
    retry_after: float | None = None
    rejected: int = 0
    status: int | None = None


def verdict_of(status: int) -> Verdict:
    """Return what the HTTP status of an answer means."""
    if 200 <= status < 300:
        return Verdict.TAKEN
    if status in _BUSY:
        return Verdict.BUSY
    if status in _UNAUTHORIZED:
        return Verdict.UNAUTHORIZED
    if status in _INVALID:
        return Verdict.INVALID
    return Verdict.TOO_LARGE if status == _TOO_LARGE else Verdict.FAILED


class Sender(Protocol):
    """Sends items, as spans or LangSmith's runs, to one backend."""

    def send(self, items: Sequence[Any], timeout: float) -> Answer:
        """Make one attempt, which ends within `timeout` seconds; never raises."""
        ...

    def size(self, item: Any) -> int:
        """Return about how many bytes `item` takes in a request."""
        ...

    def hurry(self, seconds: float) -> None:
        """Let the attempt that is under way end in `seconds`."""
        ...

    def renew(self) -> None:
        """Start anew in a forked process, which must not use the connections of the other."""
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


class ExporterSender:
    """Sends with a span exporter that tells success and failure, and no more.

    Such an exporter retries by itself, if at all.
    """

    def __init__(self, exporter: SpanExporter) -> None:
        """Send with `exporter`."""
        self._exporter = exporter

    def send(self, items: Sequence[ReadableSpan], timeout: float) -> Answer:
        """Export `items`; how long that may take is the exporter's own setting."""
        try:
            result = self._exporter.export(items)
        except Exception as error:  # noqa: BLE001 - somebody else's exporter
            return Answer(Verdict.FAILED, type(error).__name__)
        taken = result is SpanExportResult.SUCCESS
        return Answer(Verdict.TAKEN) if taken else Answer(Verdict.FAILED, "the exporter failed")

    def size(self, item: ReadableSpan) -> int:
        """Return about how many bytes `item` takes in a request."""
        return size_of(item)

    def hurry(self, seconds: float) -> None:
        """Do nothing: how long an export takes is the exporter's own setting."""

    def renew(self) -> None:
        """Do nothing: that is for the exporter."""

    def close(self) -> None:
        """Shut the exporter down."""
        self._exporter.shutdown()


class _NoSender:
    """Sends nothing, and says so: for a destination that is not set up rightly."""

    def send(self, items: Sequence[Any], timeout: float) -> Answer:
        return Answer(Verdict.FAILED, "not set up")

    def size(self, item: Any) -> int:
        return 0

    def hurry(self, seconds: float) -> None:
        """Nothing is under way."""

    def renew(self) -> None:
        """Nothing is open."""

    def close(self) -> None:
        """Nothing is open."""


NO_SENDER: Sender = _NoSender()
