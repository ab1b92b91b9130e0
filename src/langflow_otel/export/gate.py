"""What is let into the queue of a destination, and how the queue is emptied within a time."""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import StatusCode

from langflow_otel import names
from langflow_otel.export.account import LOG_INTERVAL, QUEUE_BYTES, SHUTDOWN, Room
from langflow_otel.export.background import Background, promise
from langflow_otel.export.content import shed
from langflow_otel.export.destination import DestinationSpanExporter
from langflow_otel.export.size import weight_of_copy

MakeProcessor = Callable[[SpanExporter], BatchSpanProcessor]
# The shares of the queue, in percent, that are open to spans with their content and to spans at
# all. The rest is for roots and errors.
_WITH_CONTENT, _ANY, _ALL = 80, 90, 100


class Gate:
    """The way into a destination's queue, which is a `BatchSpanProcessor`.

    That bounds spans and not bytes, and when it is full it drops the oldest and says nothing.
    So here what does not fit is turned away before: first the content of spans, then spans, and
    last the roots of traces and what failed.

    Args:
        exporter: The destination.
        room: How much may be in the queue or on its way at a time.
        make: Makes the processor around an exporter; its queue must hold `room.items` spans.

    Raises:
        ValueError: The processor does not take its settings.
    """

    def __init__(self, exporter: DestinationSpanExporter, room: Room, make: MakeProcessor) -> None:
        """See the class."""
        self.exporter = exporter
        exporter.room = room
        self._room = {share: _share(room, share) for share in (_WITH_CONTENT, _ANY, _ALL)}
        self._open = True
        self._processor = make(_ReleasingSpanExporter(exporter, self._release))
        self._begin()

    def _begin(self) -> None:
        self._held: dict[int, int] = {}
        #: Who waits for a flush, and for how many spans to have left the queue.
        self._waiting: list[tuple[int, Future[None]]] = []
        self._lock = threading.Lock()
        self._background = Background(self.exporter.account.tell, LOG_INTERVAL)

    def offer(self, span: ReadableSpan, weight: int, *, important: bool) -> None:
        """Let `span`, of `weight` bytes, into the queue, if it is for this destination and fits."""
        account = self.exporter.account
        if not self.exporter.selects(span):
            return
        if not self._open:
            account.refuse(SHUTDOWN)
            return
        whole = span
        reason = account.admit(weight, self._room[_ANY if important else _WITH_CONTENT])
        if reason is not None:
            if reason == QUEUE_BYTES:
                span, weight = _lighter(span, weight)
            reason = account.admit(weight, self._room[_ALL if important else _ANY])
        if reason is not None:
            account.refuse(reason)
            return
        if span is not whole:
            account.add("without_content")
        self._held[id(span)] = weight
        self._processor.on_end(span)

    def flush(self) -> "Future[None]":
        """Begin to send all that is in the queue; return what is done when that has been sent.

        Or given up. What comes later is not waited for: under load the queue is never empty.
        """
        account, done = self.exporter.account, promise()
        with self._lock:
            accepted, left = account.passed()
            if left < accepted:
                self._waiting.append((accepted, done))
        if left < accepted:
            self._background.call_once(self._processor.force_flush)
        else:
            done.set_result(None)
        return done

    def close(self, seconds: float) -> "Future[None]":
        """Begin to send what is in the queue and stop; return what is done when that is.

        What is not sent after `seconds` is given up.
        """
        self._open = False
        self.exporter.hurry(seconds)
        return self._background.call(self._processor.shutdown)

    def closed(self) -> None:
        """Say that the time for `close` is over."""
        self._background.stop()
        self.exporter.account.abandon()
        self.exporter.account.tell(at_last=True)
        self._tell_waiting()

    def renew(self) -> None:
        """Start anew in a forked process, where the processor's queue is empty."""
        self.exporter.renew()
        self._begin()

    def _release(self, spans: Sequence[ReadableSpan]) -> None:
        weights = [self._held.pop(id(span), 0) for span in spans]
        self.exporter.account.release(len(spans), sum(weights))
        self._tell_waiting()

    def _tell_waiting(self) -> None:
        with self._lock:
            _, left = self.exporter.account.passed()
            due = [done for count, done in self._waiting if count <= left]
            self._waiting = [each for each in self._waiting if each[0] > left]
        for done in due:
            done.set_result(None)


class _ReleasingSpanExporter(SpanExporter):
    """Says, after each batch, that its spans have left the queue."""

    def __init__(
        self, exporter: SpanExporter, release: Callable[[Sequence[ReadableSpan]], None]
    ) -> None:
        self._exporter = exporter
        self._release = release

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        try:
            return self._exporter.export(spans)
        finally:
            self._release(spans)

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return self._exporter.force_flush(timeout_millis)


def _lighter(span: ReadableSpan, weight: int) -> tuple[ReadableSpan, int]:
    """Return `span` without its content, and its weight, if that makes it smaller."""
    bare = shed(span)
    lighter = weight_of_copy(bare)
    return (bare, lighter) if lighter < weight else (span, weight)


def is_important(span: ReadableSpan, known: Mapping[str, Any]) -> bool:
    """Tell whether `span` is the root of what a destination gets, or tells of an error.

    Its attributes are `known`.
    """
    parent = span.parent
    return (
        parent is None
        or parent.is_remote
        or span.status.status_code is StatusCode.ERROR
        or known.get(names.EXPORT_PARENT) == ""
    )


def _share(room: Room, percent: int) -> Room:
    # One span fits into every queue, however small.
    return Room(max(1, room.items * percent // 100), room.bytes * percent // 100)
