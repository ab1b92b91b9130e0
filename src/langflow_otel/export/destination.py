"""What every destination does with a batch: select, re-root, translate, send."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import SpanContext, Status, StatusCode

from langflow_otel import attributes as names
from langflow_otel.enrich import is_ai_scope


class DestinationSpanExporter(SpanExporter):
    """A span exporter that sends to another one what its destination is meant to have.

    Args:
        exporter: The exporter that sends.
        ai_only: Send AI spans only, and make them whole traces of their own (see `reroot`).
        content: Send content; without it inputs, outputs, messages and error texts are removed.
    """

    def __init__(self, exporter: SpanExporter, *, ai_only: bool, content: bool) -> None:
        """See the class."""
        self._exporter = exporter
        self._ai_only = ai_only
        self._content = content

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send those of `spans` that this destination is meant to have."""
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
        attributes = dict(span.attributes or {})
        mark = attributes.pop(names.EXPORT_PARENT, None)
        parent = reroot(span, mark) if self._ai_only else span.parent
        events: Sequence[Event] = span.events
        status = span.status
        if not self._content:
            ai = is_ai_scope(span.instrumentation_scope)
            attributes = without_content(attributes, ai=ai)
            events = [
                Event(event.name, without_content(event.attributes or {}, ai=ai), event.timestamp)
                for event in events
            ]
            status = _without_text(status, attributes)
        return ReadableSpan(
            name=span.name,
            context=span.get_span_context(),
            parent=parent,
            resource=self.resource(span.resource),
            attributes=attributes,
            events=events,
            links=span.links,
            kind=span.kind,
            status=status,
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


def without_content(attributes: Mapping[str, Any], *, ai: bool) -> dict[str, Any]:
    """Return those of `attributes` that carry no content.

    `ai` says that they are of an AI span, of which only what is known to be harmless is kept.
    """
    if ai:
        safe = names.SAFE_PREFIXES
        return {name: value for name, value in attributes.items() if name.startswith(safe)}
    return {
        name: _without_query(str(value)) if name in names.ADDRESSES else value
        for name, value in attributes.items()
        if name != names.URL_QUERY and not name.startswith(names.CONTENT_PREFIXES)
    }


def _without_query(address: str) -> str:
    return re.sub(r"//[^@/]*@", "//", re.split(r"[?#]", address, maxsplit=1)[0])


def _without_text(status: Status, attributes: Mapping[str, Any]) -> Status:
    if status.status_code is not StatusCode.ERROR:
        return status
    return Status(StatusCode.ERROR, str(attributes.get(names.ERROR_TYPE, "error")))
