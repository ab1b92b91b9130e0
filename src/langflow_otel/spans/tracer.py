"""Starts the spans, each under the right parent."""

from collections.abc import Callable, Mapping
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import Link, Span, Tracer

from langflow_otel import attributes as names
from langflow_otel import context as run_context
from langflow_otel.capture import NO_CONTENT, Capture, Content, HiddenComponents, secrets_of
from langflow_otel.spans.component import Component, ComponentSpan
from langflow_otel.spans.flow import DEFAULT_FLOW_NAME, Flow, FlowSpan
from langflow_otel.spans.tool import ToolSpan


class LangflowTracer:
    """Starts the spans of flow runs, components and tool calls."""

    def __init__(
        self,
        tracer: Tracer,
        capture: Capture,
        content: Content,
        hidden: HiddenComponents,
        late_enrichment: Callable[[], bool] | None = None,
        *,
        watches: bool = True,
    ) -> None:
        """Start spans with `tracer`; capture `content` with `capture`, but not of `hidden`.

        `watches` says that the secrets of runs are remembered: also where no content is captured
        they are masked in what other instrumentors record.

        `late_enrichment` is called at the start of each flow until it returns True.
        """
        self._tracer = tracer
        self._late_enrichment = late_enrichment
        self._capture = capture
        self._content = content
        self._watches = watches
        self.hidden = hidden
        #: Off after `uninstrument`, for the tools that are still about.
        self.active = True

    def flow(self, flow: Flow, caller: Span) -> FlowSpan:
        """Start the span of a flow run, called where the span `caller` was current."""
        if self._late_enrichment is not None and self._late_enrichment():
            self._late_enrichment = None
        parent, links = _parent(caller)
        span = self._tracer.start_span(
            flow.name or DEFAULT_FLOW_NAME,
            context=parent,
            links=links,
            attributes={names.SPAN_KIND: names.KIND_CHAIN, **flow.attributes()},
        )
        return FlowSpan(span, self._capture_of(span), self._content_here(), flow)

    def component(self, component: Component) -> ComponentSpan:
        """Start the span of a component's run."""
        span = self._tracer.start_span(component.display_name, attributes=component.attributes())
        content = NO_CONTENT if component.hidden else self._content_here()
        return ComponentSpan(span, self._capture_of(span), content, component)

    def tool(
        self,
        name: str,
        description: str,
        parameters: Mapping[str, Any],
        arguments: Any,
        component_id: str,
        existing: Span | None,
        *,
        hidden: bool = False,
    ) -> ToolSpan:
        """Start the span of a tool call, or add to the one (`existing`) there is for it already."""
        identity: dict[str, Any] = {
            names.TOOL_NAME: name,
            names.TOOL_DESCRIPTION: description,
            names.COMPONENT_ID: component_id,
            names.GRAPH_NODE_ID: component_id,
            **run_context.identity(),
            **({names.CONTENT_HIDDEN: True} if hidden else {}),
        }
        if existing is not None:
            existing.set_attributes(identity)
            span = existing
        else:
            kind = {names.SPAN_KIND: names.KIND_TOOL}
            span = self._tracer.start_span(name, attributes={**kind, **identity})
        content = NO_CONTENT if hidden else self._content_here()
        owned = existing is None
        tool = ToolSpan(
            span, self._capture_of(span), content, component_id, owned=owned, hidden=hidden
        )
        if tool.content.inputs and tool.content.tools:
            span.set_attribute(names.TOOL_PARAMETERS, tool.capture.json(parameters).text)
        if tool.content.inputs and owned:
            tool.set_input(tool.capture.json(arguments))
        return tool

    def _content_here(self) -> Content:
        return NO_CONTENT if run_context.is_hidden() else self._content

    def _capture_of(self, span: Span) -> Capture:
        if not (self._watches and span.is_recording()):
            return self._capture
        return self._capture.of(secrets_of(span.get_span_context().trace_id))


def _parent(caller: Span) -> tuple[Context, list[Link]]:
    """Decide what a flow's span hangs on, and what it links to.

    Langflow's own `flow.execute` span is current by now, where it records. Where it does not, it
    stands for the caller's context alone, so that the caller itself decides: one that has ended
    (a request that went on in the background) becomes a link, because a child must not start
    after its parent has ended.
    """
    current = trace.get_current_span()
    context = current.get_span_context()
    if current.is_recording() or (context.is_valid and context != caller.get_span_context()):
        return otel_context.get_current(), []
    if isinstance(caller, ReadableSpan) and caller.end_time is not None:
        return trace.set_span_in_context(trace.INVALID_SPAN), [Link(caller.get_span_context())]
    return trace.set_span_in_context(caller), []
