"""What every destination does with a batch: select, re-root, translate, send."""

from collections.abc import Sequence
from typing import Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import SpanContext

from langflow_otel import attributes as names
from langflow_otel.enrich import is_ai_scope
from langflow_otel.export.content import ContentPolicy


class DestinationSpanExporter(SpanExporter):
    """A span exporter that sends to another one what its destination is meant to have.

    Args:
        exporter: The exporter that sends.
        ai_only: Send AI spans only, and make them whole traces of their own (see `reroot`).
        content: What content is sent, and how it is masked.
    """

    def __init__(self, exporter: SpanExporter, *, ai_only: bool, content: ContentPolicy) -> None:
        """See the class."""
        self._exporter = exporter
        self._ai_only = ai_only
        self._content = content

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send those of `spans` that this destination is meant to have."""
        self._content.begin_batch()
        selected = [self._translated(span) for span in spans if self._selects(span)]
        return self._exporter.export(selected) if selected else SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        """Shut the sending exporter down."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Flush the sending exporter."""
        return self._exporter.force_flush(timeout_millis)

    def resource(self, resource: Resource) -> Resource:
        """Return the resource to send instead of `resource`."""
        return resource

    def _selects(self, span: ReadableSpan) -> bool:
        return not self._ai_only or is_ai_scope(span.instrumentation_scope)

    def _translated(self, span: ReadableSpan) -> ReadableSpan:
        shown = self._content.shown(span)
        mark = shown.attributes.pop(names.EXPORT_PARENT, None)
        return ReadableSpan(
            name=shown.name,
            context=span.get_span_context(),
            parent=reroot(span, mark) if self._ai_only else span.parent,
            resource=self.resource(span.resource),
            attributes=shown.attributes,
            events=shown.events,
            links=shown.links,
            kind=span.kind,
            status=shown.status,
            start_time=span.start_time,
            end_time=span.end_time,
            instrumentation_scope=span.instrumentation_scope,
        )


class NullSpanExporter(SpanExporter):
    """Sends nothing, and says that it failed to: for a destination whose address is wrong."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Return FAILURE."""
        return SpanExportResult.FAILURE

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Return True: nothing is held back here."""
        return True


def reroot(span: ReadableSpan, mark: Any) -> SpanContext | None:
    """Return the parent of `span` among the spans an LLM backend gets, None for a root.

    `mark` is what the enrich processor noted when the span started: nothing where the parent is
    an AI span itself, the id of the nearest AI span above, or "" where there is none.
    """
    if mark is None or span.parent is None:
        return span.parent
    if not mark:
        return None
    return SpanContext(
        trace_id=span.parent.trace_id,
        span_id=int(mark, 16),
        is_remote=False,
        trace_flags=span.parent.trace_flags,
        trace_state=span.parent.trace_state,
    )
