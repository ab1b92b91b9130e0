"""The span processor for what must be known when a span starts, and counted when it ends."""

import weakref
from collections.abc import Mapping
from typing import Any, NamedTuple

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor, TracerProvider

from langflow_otel import context as run_context
from langflow_otel import genai_metrics, names
from langflow_otel.export.messages import Usage, costs, usage
from langflow_otel.guard import safely
from langflow_otel.marks import identity_of, lost_of
from langflow_otel.model_calls import (
    LANGCHAIN_SCOPES,
    OPENINFERENCE_LANGCHAIN,
    is_model_call,
    say_kept,
)
from langflow_otel.place import needs_no_mark, place_marks
from langflow_otel.plain import plain
from langflow_otel.selection import ask, is_ai_scope, is_foreign, is_ours, keep
from langflow_otel.spans import ComponentSpan, FlowSpan

_processors: "weakref.WeakKeyDictionary[TracerProvider, EnrichSpanProcessor]" = (
    weakref.WeakKeyDictionary()
)

# Spans that are never ended must not fill the memory.
_MAX_UNDER_WAY = 50_000


def enrich(provider: TracerProvider) -> None:
    """Add the processor to `provider`, once however often this is called."""
    processor = _processors.get(provider)
    if processor is None:
        processor = _processors[provider] = EnrichSpanProcessor()
        ask(processor)
        provider.add_span_processor(processor)
    processor.active = True
    processor.langchain = None


def langchain_is_traced(provider: object) -> None:
    """Say that OpenInference's LangChain instrumentor sends its spans to `provider`."""
    processor = _processors.get(provider) if isinstance(provider, TracerProvider) else None
    if processor is not None:
        processor.langchain = OPENINFERENCE_LANGCHAIN


def traces_langchain() -> bool:
    """Tell whether an instrumentor of LangChain sends its spans to where they are counted."""
    return any(each.active and each.langchain for each in list(_processors.values()))


def stop_enriching() -> None:
    """Let every processor do nothing: a provider keeps what was added to it."""
    for processor in _processors.values():
        processor.active = False


class _Noted(NamedTuple):
    """What is noted of a span from its start to its end.

    Attributes:
        marks: What exporters must know of it.
        flow: The flow it belongs to.
        in_model: Whether it is a model call, or is below one.
    """

    marks: Mapping[str, Any]
    flow: "weakref.ref[FlowSpan] | None"
    in_model: bool


class EnrichSpanProcessor(SpanProcessor):
    """Marks spans for the exporters, and counts model calls for the component and flow above.

    An exporter sees spans one by one, children before their parents, so what a span's nearest
    exported ancestor is has to be settled while that ancestor is still in the context; and so has
    which of several spans of one model call counts: the outermost, and of two instrumentors that
    trace LangChain side by side OpenInference's.
    """

    def __init__(self) -> None:
        """Start with nothing under way."""
        self.active = True
        #: The scope whose spans tell of LangChain's model calls, once there is one.
        self.langchain: str | None = None
        self._watched: dict[int, ComponentSpan] = {}
        self._noted: dict[int, _Noted] = {}

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Note where a span belongs, and tell it what it must carry."""
        if self.active:
            # Asked for a dozen values: it is looked up once.
            context = otel_context.get_current() if parent_context is None else parent_context
            safely(self._note, span, context)
            safely(self._look_after, span, context)

    def on_end(self, span: ReadableSpan) -> None:
        """Count a model call, and tell the component above of it, if that is what `span` was."""
        if self.active:
            safely(self._settle, span)

    def shutdown(self) -> None:
        """Forget what is under way."""
        self._watched.clear()
        self._noted.clear()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Return True: nothing is held back here."""
        return True

    def marks_of(self, span_id: int) -> Mapping[str, Any] | None:
        """Return what was noted at the start of a span that has not ended."""
        noted = self._noted.get(span_id)
        return noted.marks if noted is not None else None

    def _note(self, span: Span, context: Context) -> None:
        above = self._noted.get(span.parent.span_id) if span.parent is not None else None
        flow = run_context.current_flow(context)
        # LangSmith's client makes its spans in a thread that knows their parents only.
        flow_ref = weakref.ref(flow) if flow is not None else above.flow if above else None
        ours = is_ours(span)
        ai = ours or is_ai_scope(span.instrumentation_scope)
        if not ai and flow_ref is None:
            return
        # A component that calls models is none: what is below it tells of them.
        below = not ours and _below_model_call(span, context, above)
        repeats = not ours and self._repeats(span, context, below=below)
        known = plain(span.attributes)
        told = identity_of(known, context, ours=ours)
        marks = {**told, **self._marks(span, context, above)}
        # Others' spans that no LLM backend gets say whose run they are of, and no more.
        told = marks if ai else told
        # Most of it stands on a span of ours from its start.
        new = {name: value for name, value in told.items() if known.get(name) != value}
        if new:
            span.set_attributes(new)
        if repeats or not ai:
            marks[names.MODEL_REPEATED] = repeats
        if len(self._noted) >= _MAX_UNDER_WAY:
            self._noted.pop(next(iter(self._noted)), None)
        in_model = not ours and (below or is_model_call(span.attributes))
        self._noted[span.get_span_context().span_id] = _Noted(marks, flow_ref, in_model)

    def _repeats(self, span: Span, context: Context, *, below: bool) -> bool:
        """Tell whether `span`, if it is of a model call, is not the first to tell of it."""
        scope = span.instrumentation_scope.name if span.instrumentation_scope else ""
        if scope in LANGCHAIN_SCOPES:
            if self.langchain is None or scope == OPENINFERENCE_LANGCHAIN:
                self.langchain = scope
            if scope != self.langchain:
                return True
        call = run_context.model_call(context)
        if call is None or self.langchain is None:
            return below
        return below or call.depth > 1 or scope != self.langchain

    def _marks(self, span: Span, context: Context, above: _Noted | None) -> dict[str, Any]:
        """Return what exporters must know of what is above an AI span."""
        # Of what may not be sent it is noted, one way or the other.
        known_to_be_sent = above is not None and names.MODEL_REPEATED not in above.marks
        if known_to_be_sent and span.parent is not None and needs_no_mark(span.parent):
            marks: dict[str, Any] = {}
        else:
            marks = place_marks(span, context, self._is_sent)
        if run_context.is_hidden(context):
            marks[names.CONTENT_HIDDEN] = True
        return marks

    def _is_sent(self, span: ReadableSpan) -> bool:
        context = span.get_span_context()
        if context is None or not is_ai_scope(span.instrumentation_scope):
            return False
        return not (self.marks_of(context.span_id) or {}).get(names.MODEL_REPEATED)

    def _look_after(self, span: Span, context: Context) -> None:
        """Mark what is below a component whose content is never captured, and watch its end."""
        if run_context.is_hidden(context):
            span.set_attribute(names.CONTENT_HIDDEN, True)
        component = run_context.current_component(context)
        # To one that has ended, nothing that happens below it matters any more.
        if component is None or component.ended or is_ours(span):
            return
        if len(self._watched) >= _MAX_UNDER_WAY:
            oldest = next(iter(self._watched))
            self._watched.pop(oldest).below.pop(oldest, None)
        span_id = span.get_span_context().span_id
        self._watched[span_id] = component
        component.below[span_id] = span
        component.on_end = _forget

    def _settle(self, span: ReadableSpan) -> None:
        context = span.get_span_context()
        if context is None:
            return
        component = self._watched.pop(context.span_id, None)
        if component is not None:
            component.below.pop(context.span_id, None)
        noted = self._noted.pop(context.span_id, None)
        known = plain(span.attributes)
        called = is_model_call(known)
        if called and component is not None:
            component.model_was_called = True
        if noted is None:
            return
        repeats = bool(noted.marks.get(names.MODEL_REPEATED))
        if called or not is_foreign(span):
            lost = lost_of(span, known, noted.marks)
            if lost:
                keep(span, lost)
        if not called:
            return
        if repeats:
            say_kept(span, self.langchain)
        else:
            _count(span, noted.flow() if noted.flow is not None else None)


def _forget(component: ComponentSpan) -> None:
    """Watch what is below `component` no more; it may be of more than one provider."""
    for processor in list(_processors.values()):
        for span_id in list(component.below):
            processor._watched.pop(span_id, None)
    component.below.clear()


def _count(span: ReadableSpan, flow: FlowSpan | None) -> None:
    attributes = span.attributes or {}
    # A call may tell of its cost and of no tokens.
    told = usage(attributes) or Usage(costs=costs(attributes))
    if flow is not None:
        flow.count(told)
    genai_metrics.record(span, told, flow.identity.get(names.FLOW_NAME) if flow else None)


def _below_model_call(span: Span, context: Context, above: _Noted | None) -> bool:
    """Tell whether what is above `span` is, or is below, a model call of another instrumentor."""
    if above is None:
        return False
    if above.in_model:
        return True
    parent = trace.get_current_span(context)
    # Some say what they are only after their start.
    return (
        isinstance(parent, ReadableSpan)
        and not is_ours(parent)
        and is_model_call(parent.attributes)
    )
