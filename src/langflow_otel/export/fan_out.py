"""The span processor that hands each span to every destination, none of which waits for another."""

import os
import time
import weakref
from collections.abc import Mapping

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor

from langflow_otel.export.gate import Gate
from langflow_otel.export.size import size_of
from langflow_otel.guard import safely

_processors: "weakref.WeakSet[FanOutSpanProcessor]" = weakref.WeakSet()


class FanOutSpanProcessor(SpanProcessor):
    """Offers each span to every gate. Flushes and closes all of them at once, within one bound.

    The SDK asks its processors one after the other, and stops at the first that fails: one dead
    destination would take the time, or the flush, of all that come after it.

    Args:
        gates: The ways into the destinations' queues, by the destinations' names.
        shutdown_timeout: Seconds that `shutdown` may take.
    """

    def __init__(self, gates: Mapping[str, Gate], shutdown_timeout: float) -> None:
        """See the class."""
        self.gates = tuple(gates.values())
        self.exporters = {name: gate.exporter for name, gate in gates.items()}
        self._shutdown_timeout = shutdown_timeout
        self._closed = False
        _processors.add(self)

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Do nothing."""

    def on_end(self, span: ReadableSpan) -> None:
        """Offer `span` to every destination."""
        safely(self._offer, span)

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Send what is in all queues; return whether that was done in `timeout_millis`.

        What a destination did not take is in its account: a dead one does not fail the flush of
        the others.
        """
        if self._closed:
            return True
        until = time.monotonic() + timeout_millis / 1000
        flushes = [gate.flush() for gate in self.gates]
        # Each is asked, also after one that was not done: it may have been in the meantime.
        done = [flush.wait(max(0.0, until - time.monotonic())) for flush in flushes]
        return all(done)

    def shutdown(self) -> None:
        """Send what is in all queues and close them, within the shutdown timeout."""
        if self._closed:
            return
        self._closed = True
        until = time.monotonic() + self._shutdown_timeout
        closings = [gate.close(self._shutdown_timeout) for gate in self.gates]
        for gate, closing in zip(self.gates, closings, strict=True):
            closing.wait(max(0.0, until - time.monotonic()))
            gate.closed()
        _processors.discard(self)

    def renew(self) -> None:
        """Start anew in a forked process."""
        for gate in self.gates:
            gate.renew()

    def _offer(self, span: ReadableSpan) -> None:
        context = span.get_span_context()
        if context is None or not context.trace_flags.sampled:
            return
        size = size_of(span)
        for gate in self.gates:
            gate.offer(span, size)


def _renew_all() -> None:
    for processor in list(_processors):
        processor.renew()


# For the whole process, as there is no way to take one back.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)
