"""The span processor for what must be known when a span starts."""

import weakref
from collections.abc import Callable, Mapping
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext

from langflow_otel import attributes as names
from langflow_otel import context as run_context
from langflow_otel.export.translate import clone
from langflow_otel.guard import safely
from langflow_otel.spans import ComponentSpan

SCOPE = "langflow_otel"

_processors: "weakref.WeakKeyDictionary[TracerProvider, EnrichSpanProcessor]" = (
    weakref.WeakKeyDictionary()
)


_pushed_out: "weakref.WeakKeyDictionary[ReadableSpan, Mapping[str, Any]]" = (
    weakref.WeakKeyDictionary()
)
# Spans that are never ended must not fill the memory.
_MAX_UNDER_WAY = 50_000

#: What an exporter that must know a span's place in the tree adds to it at its start: given the
#: span's context, its start in nanoseconds since the epoch, and its parent's attributes.
Stamp = Callable[[SpanContext, int, Mapping[str, Any] | None], dict[str, str]]
_stamps: list[Stamp] = []


def stamp_with(stamp: Stamp) -> None:
    """Let `stamp` add to each AI span that starts from now on."""
    if stamp not in _stamps:
        _stamps.append(stamp)


def is_ai_scope(scope: InstrumentationScope | None) -> bool:
    """Tell whether spans of `scope` are what an LLM backend wants: ours and OpenInference's."""
    return scope is not None and (
        scope.name == SCOPE or scope.name.partition(".")[0] == "openinference"
    )


def is_ai_span(span: ReadableSpan) -> bool:
    """Tell whether an LLM backend wants `span`.

    Other instrumentors' model spans are not wanted: beside OpenInference's they are doubles.
    """
    return is_ai_scope(span.instrumentation_scope)


def restored(span: ReadableSpan) -> ReadableSpan:
    """Return `span` with what was noted at its start, also where that has been pushed out.

    Where a span has more attributes than the provider allows, the SDK drops the first ones.
    """
    if not span.dropped_attributes:
        return span
    marks = _pushed_out.get(span) or _under_way(span)
    return clone(span, attributes={**(span.attributes or {}), **marks}) if marks else span


def _under_way(span: ReadableSpan) -> Mapping[str, Any] | None:
    """Return what is noted of a span that another processor was told of first."""
    context = span.get_span_context()
    if context is None:
        return None
    noted = (each.marks_of(context.span_id) for each in list(_processors.values()))
    return next((marks for marks in noted if marks), None)


def enrich(provider: TracerProvider) -> None:
    """Add the processor to `provider`, once however often this is called."""
    processor = _processors.get(provider)
    if processor is None:
        processor = _processors[provider] = EnrichSpanProcessor()
        provider.add_span_processor(processor)
    processor.active = True


def stop_enriching() -> None:
    """Let every processor do nothing: a provider keeps what was added to it."""
    for processor in _processors.values():
        processor.active = False


class EnrichSpanProcessor(SpanProcessor):
    """Marks spans for the exporters, and tells a component of the model calls below it.

    An exporter sees spans one by one, children before their parents, so what a span's nearest
    exported ancestor is has to be settled while that ancestor is still in the context.
    """

    def __init__(self) -> None:
        """Start with nothing under way."""
        self.active = True
        self._watched: dict[int, ComponentSpan] = {}
        self._marks: dict[int, Mapping[str, Any]] = {}

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Mark an AI span whose parent is none; watch a span that may be a model call."""
        if self.active:
            safely(self._mark, span, parent_context)
            safely(self._hide, span, parent_context)
            safely(self._watch, span, parent_context)

    def on_end(self, span: ReadableSpan) -> None:
        """Tell the component above that a model was called, if that is what `span` was."""
        if self.active:
            safely(self._keep_marks, span)
            safely(self._tell, span)

    def shutdown(self) -> None:
        """Forget what is under way."""
        self._watched.clear()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Return True: nothing is held back here."""
        return True

    def _mark(self, span: Span, parent_context: Context | None) -> None:
        """Tell an AI span what it must carry, and exporters what is above it."""
        if not is_ai_span(span):
            return
        marks = _identity(span, parent_context)
        parent = _local_parent(span, parent_context)
        if span.parent is not None:
            above = parent.get_span_context() if parent is not None else None
            above_id = above.span_id if above is not None else None
            if above_id is None:
                above_id = run_context.remote_ai_parent(span.parent.trace_id, parent_context)
            if above_id != span.parent.span_id:
                marks[names.EXPORT_PARENT] = trace.format_span_id(above_id) if above_id else ""
        for stamp in _stamps:
            context, start = span.get_span_context(), span.start_time or 0
            marks |= stamp(context, start, parent.attributes if parent is not None else None)
        if run_context.is_hidden(parent_context):
            marks[names.CONTENT_HIDDEN] = True
        if marks:
            span.set_attributes(marks)
            if len(self._marks) >= _MAX_UNDER_WAY:
                self._marks.clear()
            self._marks[span.get_span_context().span_id] = marks

    @staticmethod
    def _hide(span: Span, parent_context: Context | None) -> None:
        """Mark what is below a component whose content is never captured."""
        if run_context.is_hidden(parent_context):
            span.set_attribute(names.CONTENT_HIDDEN, True)

    def marks_of(self, span_id: int) -> Mapping[str, Any] | None:
        """Return what was noted at the start of a span that has not ended."""
        return self._marks.get(span_id)

    def _keep_marks(self, span: ReadableSpan) -> None:
        context = span.get_span_context()
        marks = self._marks.pop(context.span_id, None) if context is not None else None
        if marks and span.dropped_attributes:
            _pushed_out[span] = marks

    def _watch(self, span: Span, parent_context: Context | None) -> None:
        scope = span.instrumentation_scope
        component = run_context.current_component(parent_context)
        if component is None or (scope is not None and scope.name == SCOPE):
            return
        span_id = span.get_span_context().span_id
        self._watched[span_id] = component
        component.below[span_id] = span
        component.on_end = self._forget

    def _tell(self, span: ReadableSpan) -> None:
        context = span.get_span_context()
        component = self._watched.pop(context.span_id, None) if context is not None else None
        if component is None or context is None:
            return
        component.below.pop(context.span_id, None)
        if _is_model_call(span):
            component.model_was_called = True

    def _forget(self, component: ComponentSpan) -> None:
        for span_id in list(component.below):
            self._watched.pop(span_id, None)
        component.below.clear()


def _local_parent(span: Span, context: Context | None) -> ReadableSpan | None:
    """Return the nearest AI span above `span` in this process: its parent, or one of ours."""
    if span.parent is None:
        return None
    direct = trace.get_current_span(context)
    if not (isinstance(direct, ReadableSpan) and is_ai_span(direct)):
        direct = run_context.ai_parent(context) or trace.INVALID_SPAN
    same = direct.get_span_context()
    if not isinstance(direct, ReadableSpan) or same is None:
        return None
    return direct if same.trace_id == span.parent.trace_id else None


def _identity(span: Span, context: Context | None) -> dict[str, Any]:
    """Return what a span is to carry of the run it belongs to, and does not yet."""
    flow = run_context.current_flow(context)
    known = span.attributes or {}
    told: dict[str, Any] = {}
    if flow is not None:
        told = {name: value for name, value in flow.identity.items() if name not in known}
    for name in (names.SESSION_ID, names.USER_ID, names.TAGS, names.METADATA):
        value = otel_context.get_value(name, context)
        if value is not None and name not in known:
            told[name] = value
    return told


def _is_model_call(span: ReadableSpan) -> bool:
    attributes = span.attributes or {}
    return (
        attributes.get(names.SPAN_KIND) == names.KIND_LLM
        or attributes.get(names.GENAI_OPERATION) in names.GENAI_MODEL_OPERATIONS
        or names.TRACELOOP_REQUEST_TYPE in attributes
    )
