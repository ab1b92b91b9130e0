"""Which spans of a provider have started and not ended."""

from __future__ import annotations

from collections import Counter
from typing import Any

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider


class OpenSpans(SpanProcessor):
    """Counts what starts and ends on `provider`, whoever makes it and whether it is sent or not."""

    def __init__(self, provider: TracerProvider) -> None:
        self._open: dict[int, tuple[int, str]] = {}
        #: How many spans have started.
        self.started = 0
        provider.add_span_processor(self)

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        self.started += 1
        context = span.get_span_context()
        self._open[context.span_id] = (context.trace_id, span.name)

    def on_end(self, span: ReadableSpan) -> None:
        context: Any = span.get_span_context()
        self._open.pop(context.span_id, None)

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        return True

    @property
    def names(self) -> Counter[str]:
        """The names of those that are open, and how many there are of each."""
        return Counter(name for _, name in self._open.values())

    def apart_from(self, trace_id: int) -> list[str]:
        """The names of those that are open in other traces than this one."""
        return sorted(name for trace, name in list(self._open.values()) if trace != trace_id)
