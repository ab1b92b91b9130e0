"""What a run carries in the OpenTelemetry context: the spans of ours that are under way."""

import re
from typing import TYPE_CHECKING

from opentelemetry import baggage
from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.trace import (
    Span,
    SpanContext,
    format_span_id,
    format_trace_id,
    set_span_in_context,
)

from langflow_otel import attributes as names

if TYPE_CHECKING:
    from langflow_otel.spans import ComponentSpan, FlowSpan, ToolSpan

_FLOW = otel_context.create_key("langflow_otel.flow")
_COMPONENT = otel_context.create_key("langflow_otel.component")
_TOOL = otel_context.create_key("langflow_otel.tool")
_HIDDEN = otel_context.create_key("langflow_otel.hidden")
_AI_PARENT = otel_context.create_key("langflow_otel.ai_parent")
_REMOTE = re.compile("([0-9a-f]{32})-([0-9a-f]{16})")


def current_flow(context: Context | None = None) -> "FlowSpan | None":
    """Return the innermost flow run that is current in `context` (default: here)."""
    return otel_context.get_value(_FLOW, context)  # type: ignore[return-value]


def current_component(context: Context | None = None) -> "ComponentSpan | None":
    """Return the innermost component that is current in `context` (default: here)."""
    return otel_context.get_value(_COMPONENT, context)  # type: ignore[return-value]


def current_tool() -> "ToolSpan | None":
    """Return the innermost tool call that is current here."""
    return otel_context.get_value(_TOOL)  # type: ignore[return-value]


def ai_parent(context: Context | None) -> Span | None:
    """Return the innermost span of ours in `context`: what an LLM backend can have as parent."""
    return otel_context.get_value(_AI_PARENT, context)  # type: ignore[return-value]


def remote_ai_parent(trace_id: int, context: Context | None) -> int | None:
    """Return the id of the span of another Langflow's that called what runs in `context`.

    None unless that belongs to the trace `trace_id`, too.
    """
    named = baggage.get_baggage(names.BAGGAGE_PARENT, context)
    match = _REMOTE.fullmatch(named) if isinstance(named, str) else None
    if match is None or int(match[1], 16) != trace_id:
        return None
    return int(match[2], 16) or None


def is_hidden(context: Context | None = None) -> bool:
    """Tell whether the content of what runs in `context` (default: here) is never captured."""
    return otel_context.get_value(_HIDDEN, context) is True


def identity() -> dict[str, str]:
    """Return the session and the user of the run that is current here, by attribute name."""
    known = {name: otel_context.get_value(name) for name in (names.SESSION_ID, names.USER_ID)}
    return {name: value for name, value in known.items() if isinstance(value, str)}


def inside(
    span: Span,
    *,
    flow: "FlowSpan | None" = None,
    component: "ComponentSpan | None" = None,
    tool: "ToolSpan | None" = None,
    session_id: str | None = None,
    user_id: str | None = None,
    hidden: bool = False,
) -> Context:
    """Return the current context with `span` current in it, and all that goes with it.

    Session and user stand under the keys that OpenInference's instrumentors read
    (`openinference.instrumentation.using_attributes` sets the same), so that the spans they
    make below carry them too.
    """
    added: dict[str, object] = {_AI_PARENT: span}
    if flow is not None:
        added[_FLOW] = flow
    if component is not None:
        added[_COMPONENT] = component
    if tool is not None:
        added[_TOOL] = tool
    if hidden:
        added[_HIDDEN] = True
    if session_id:
        added[names.SESSION_ID] = session_id
    if user_id:
        added[names.USER_ID] = user_id
    here = Context({**otel_context.get_current(), **added})
    return set_span_in_context(span, _told(span.get_span_context(), here))


def _told(span: SpanContext, context: Context) -> Context:
    """Return `context` with `span` in the baggage, if it is one that is sent."""
    if not span.trace_flags.sampled:
        return context
    told = f"{format_trace_id(span.trace_id)}-{format_span_id(span.span_id)}"
    return baggage.set_baggage(names.BAGGAGE_PARENT, told, context)
