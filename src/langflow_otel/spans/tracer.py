"""Starts the spans, each under the right parent."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import Link, Span, Tracer

from langflow_otel import context as run_context
from langflow_otel import names
from langflow_otel.capture import NO_CONTENT, Capture, Content, secrets_of
from langflow_otel.guard import safely
from langflow_otel.patterns import LeftOut
from langflow_otel.spans.caller import has_ended
from langflow_otel.spans.component import ComponentSpan
from langflow_otel.spans.embedding import EMBEDDING_SPAN, EmbeddingSpan
from langflow_otel.spans.excluded import ExcludedComponent, ExcludedFlow
from langflow_otel.spans.flow import DEFAULT_FLOW_NAME, Flow, FlowSpan
from langflow_otel.spans.told import Component
from langflow_otel.spans.tool import Tool, ToolSpan


class LangflowTracer:
    """Starts the spans of flow runs, components and tool calls."""

    def __init__(
        self,
        tracer: Tracer,
        capture: Capture,
        content: Content,
        left_out: LeftOut,
        late_enrichment: Callable[[], bool] | None = None,
        *,
        watches: bool = True,
        decides_by_trace: bool = False,
    ) -> None:
        """Start spans with `tracer`; capture `content` with `capture`, but not what is `left_out`.

        `watches` says that the secrets of runs are remembered: also where no content is captured
        they are masked in what other instrumentors record. `decides_by_trace` says that of a trace
        either all spans are sampled or none.

        `late_enrichment` is called at the start of each flow until it returns True.
        """
        self._tracer = tracer
        self._late_enrichment = late_enrichment
        self._capture = capture
        self._content = content
        self._watches = watches
        self._left_out = left_out
        self._decides_by_trace = decides_by_trace
        #: The components whose content is never captured.
        self.hidden = left_out.content
        #: The components that get no span.
        self.excluded = left_out.components
        #: Off after `uninstrument`, for the tools that are still about.
        self.active = True

    def samples_here(self, here: Context | None = None) -> bool:
        """Tell whether a span that starts `here` (default: in what is current) may be sampled.

        What is dropped with its flow costs nothing then; but where metrics are collected every run
        of a component counts.
        """
        flow = run_context.current_flow(here) if self._decides_by_trace else None
        return flow is None or flow.recording or flow.is_measured

    def flow(
        self,
        flow: Flow,
        caller: Span,
        links: Sequence[Link] = (),
        queued_by: Link | None = None,
    ) -> FlowSpan:
        """Start the span of a flow run, called where the span `caller` was current.

        It has `links`, too. Where the flow is excluded, what is returned stands for none.
        `queued_by` is a link to what queued the run, where that is known.
        """
        if self._left_out.flows.match(flow.name, flow.id):
            return ExcludedFlow(self._capture_here(), flow)
        if self._late_enrichment is not None and self._late_enrichment():
            self._late_enrichment = None
        flow = _with_what_is_given(flow)
        parent, calls = _parent(caller, queued_by)
        span = self._tracer.start_span(
            flow.name or DEFAULT_FLOW_NAME,
            context=parent,
            links=[*calls, *links],
            attributes={
                **run_context.identity(),
                names.SPAN_KIND: names.KIND_CHAIN,
                **flow.attributes(),
            },
        )
        return FlowSpan(span, self._capture_of(span), self._content_here(), flow)

    def component(self, component: Component, here: Context | None = None) -> ComponentSpan:
        """Start the span of a component's run; one that is excluded gets none.

        What is current is `here`, where that is known.
        """
        here = otel_context.get_current() if here is None else here
        content = NO_CONTENT if component.hidden else self._content_here(here)
        if self.excluded.match(component.type, component.id):
            return ExcludedComponent(self._capture_here(), content, component)
        span = self._tracer.start_span(
            component.display_name, here, attributes=_flow_identity(here) | component.attributes()
        )
        capture = self._capture_of(span, here)
        return ComponentSpan(span, capture, content, component, self._tracer)

    def tool(
        self,
        tool: Tool,
        arguments: Any,
        existing: Span | None = None,
        *,
        call_id: str | None = None,
    ) -> ToolSpan:
        """Start the span of a tool call, or add to the one (`existing`) there is for it already."""
        identity = {**tool.attributes(call_id), **_flow_identity(), **run_context.identity()}
        if existing is not None:
            existing.set_attributes(identity)
            span = existing
        else:
            kind = {names.SPAN_KIND: names.KIND_TOOL}
            span = self._tracer.start_span(tool.name, attributes={**kind, **identity})
        content = NO_CONTENT if tool.hidden else self._content_here()
        owned = existing is None
        call = ToolSpan(span, self._capture_of(span), content, tool, owned=owned)
        if call.content.inputs and call.content.tools and tool.parameters is not None:
            parameters = safely(tool.parameters)
            span.set_attribute(names.TOOL_PARAMETERS, call.capture.json(parameters).text)
        if call.content.inputs and owned:
            call.set_input(call.capture.json(arguments))
        return call

    def embedding(self, model: str | None, provider: str | None) -> EmbeddingSpan:
        """Start the span of a call of an embedding model."""
        known = {
            names.SPAN_KIND: names.KIND_EMBEDDING,
            names.EMBEDDING_MODEL: model,
            names.MODEL_PROVIDER: provider,
            **run_context.identity(),
        }
        span = self._tracer.start_span(
            EMBEDDING_SPAN, attributes={n: value for n, value in known.items() if value is not None}
        )
        return EmbeddingSpan(span, self._capture_of(span), self._content_here())

    def _content_here(self, here: Context | None = None) -> Content:
        return NO_CONTENT if run_context.is_hidden(here) else self._content

    def _capture_here(self) -> Capture:
        flow = run_context.current_flow()
        return flow.capture if flow is not None and flow.recording else self._capture

    def _capture_of(self, span: Span, here: Context | None = None) -> Capture:
        if not (self._watches and span.is_recording()):
            return self._capture
        trace_id = span.get_span_context().trace_id
        flow = run_context.current_flow(here)
        if flow is not None and flow.recording and flow.trace_id == trace_id:
            return flow.capture
        return self._capture.of(secrets_of(trace_id))


def _flow_identity(here: Context | None = None) -> dict[str, Any]:
    """Return what the spans of the run that is current `here` carry; samplers read it, too."""
    flow = run_context.current_flow(here)
    return flow.identity if flow is not None else {}


def _with_what_is_given(flow: Flow) -> Flow:
    session_id, user_id = run_context.given_for_runs()
    if not (session_id or user_id):
        return flow
    return replace(flow, session_id=session_id or flow.session_id, user_id=user_id or flow.user_id)


def _links_of_root(span: Span) -> list[Link]:
    """Return the links of `span` if it is a root: LLM backends do not get it, but the flow."""
    if isinstance(span, ReadableSpan) and span.parent is None:
        return list(span.links)
    return []


def _parent(caller: Span, queued_by: Link | None) -> tuple[Context, list[Link]]:
    """Decide what a flow's span hangs on, and what it links to.

    Langflow's own `flow.execute` span is current by now, where it records. Where it does not, it
    stands for the caller's context alone, so that the caller itself decides: one that has ended
    (a request that went on in the background) becomes a link, because a child must not start
    after its parent has ended. A run from a queue links to what queued it instead: the worker that
    took it may have been started by any other request.
    """
    current = trace.get_current_span()
    context = current.get_span_context()
    if current.is_recording() or (context.is_valid and context != caller.get_span_context()):
        return otel_context.get_current(), _links_of_root(current) if current is not caller else []
    if queued_by is not None and not caller.is_recording():
        return trace.set_span_in_context(trace.INVALID_SPAN), [queued_by]
    if has_ended(caller):
        return trace.set_span_in_context(trace.INVALID_SPAN), [Link(caller.get_span_context())]
    return trace.set_span_in_context(caller), []
