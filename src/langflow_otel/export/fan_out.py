"""The span processor that hands each span to every destination, none of which waits for another."""

import os
import threading
import weakref
from collections.abc import Mapping
from concurrent.futures import Future, wait

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor

from langflow_otel.collected import end_all
from langflow_otel.export.gate import Gate, is_important
from langflow_otel.export.size import weight_of
from langflow_otel.guard import safely
from langflow_otel.plain import plain

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
        #: The thread that has the gates flushed by themselves, and then asks the provider.
        self.flushed_apart_in: int | None = None
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
        if self.flushed_apart_in == threading.get_ident():
            return True
        flushes = self.begin_flush()
        return not wait(flushes, timeout_millis / 1000).not_done

    def begin_flush(self, *, patient: bool = True) -> "list[Future[None]]":
        """Begin to send what is in all queues; return what is done when that was done.

        Without a destination that is not there just now, where that is not `patient`.
        """
        if self._closed:
            return []
        end_all()
        gates = self.gates
        return [gate.flush() for gate in gates if patient or gate.exporter.circuit != "open"]

    def shutdown(self) -> None:
        """Send what is in all queues and close them, within the shutdown timeout."""
        self.close(self._shutdown_timeout)

    def close(self, seconds: float) -> bool:
        """Do the same within `seconds`; return whether all that was queued was sent."""
        if self._closed:
            return True
        self._closed = True
        lost = self._lost()
        closings = [gate.close(seconds) for gate in self.gates]
        left = wait(closings, seconds).not_done
        for gate in self.gates:
            gate.closed()
        _processors.discard(self)
        # What is given up in time has left its queue, too.
        return not left and self._lost() == lost

    def _lost(self) -> int:
        return sum(gate.exporter.account.statistics().lost for gate in self.gates)

    def renew(self) -> None:
        """Start anew in a forked process."""
        for gate in self.gates:
            gate.renew()

    def _offer(self, span: ReadableSpan) -> None:
        context = span.get_span_context()
        if context is None or not context.trace_flags.sampled:
            return
        known = plain(span.attributes)
        weight, important = weight_of(span, known), is_important(span, known)
        for gate in self.gates:
            gate.offer(span, weight, important=important)


def _renew_all() -> None:
    for processor in list(_processors):
        processor.renew()


# For the whole process, as there is no way to take one back.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)
