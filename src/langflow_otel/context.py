"""What a run carries in the OpenTelemetry context: the spans of ours that are under way."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from opentelemetry import baggage
from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import (
    INVALID_SPAN,
    Span,
    get_current_span,
    set_span_in_context,
)

from langflow_otel import names
from langflow_otel.capture import label

if TYPE_CHECKING:
    from langflow_otel.spans import ComponentSpan, FlowSpan, ToolSpan

_FLOW = otel_context.create_key("langflow_otel.flow")
_COMPONENT = otel_context.create_key("langflow_otel.component")
_TOOL = otel_context.create_key("langflow_otel.tool")
_EMBEDDING = otel_context.create_key("langflow_otel.embedding")
_HIDDEN = otel_context.create_key("langflow_otel.hidden")
_GIVEN = otel_context.create_key("langflow_otel.given")
_AI_PARENT = otel_context.create_key("langflow_otel.ai_parent")
_ITERATION = otel_context.create_key("langflow_otel.iteration")
_MODEL_CALL = otel_context.create_key("langflow_otel.model_call")
_OURS = frozenset(
    {_FLOW, _COMPONENT, _TOOL, _EMBEDDING, _HIDDEN, _AI_PARENT, _ITERATION, _MODEL_CALL}
)
# What is told of the span that called, besides its ids, is for the destination to look at.
_REMOTE = re.compile(r"([0-9a-f]{32})-([0-9a-f]{16})(?:-([!-~]+))?")
_WHOSE = (names.SESSION_ID, names.USER_ID)
_travelling: dict[str, int] = {}
_travelling_names: set[str] = set()


class Remote(NamedTuple):
    """A span of another Langflow's that called.

    Attributes:
        span_id: Its id.
        told: What its Langflow lets travel of it (see `let_travel`), as it came in.
        trace_name: The name of the outermost flow, where that is told.
    """

    span_id: int
    told: str
    trace_name: str | None


class ModelCall(NamedTuple):
    """A call of one of LangChain's models: `depth` is 2 where another model made it, and so on."""

    model: int
    depth: int


def current_flow(context: Context | None = None) -> "FlowSpan | None":
    """Return the innermost flow run that is current in `context` (default: here)."""
    here = otel_context.get_current() if context is None else context
    return here.get(_FLOW)  # type: ignore[return-value]


def current_component(context: Context | None = None) -> "ComponentSpan | None":
    """Return the innermost component that is current in `context` (default: here)."""
    here = otel_context.get_current() if context is None else context
    return here.get(_COMPONENT)  # type: ignore[return-value]


def current_tool() -> "ToolSpan | None":
    """Return the innermost tool call that is current here."""
    return otel_context.get_value(_TOOL)  # type: ignore[return-value]


def is_embedding() -> bool:
    """Tell whether a call of an embedding model is under way here, which may make others."""
    return otel_context.get_value(_EMBEDDING) is True


def ai_parent(context: Context | None) -> Span | None:
    """Return the innermost span of ours in `context`: what an LLM backend can have as parent."""
    return otel_context.get_value(_AI_PARENT, context)  # type: ignore[return-value]


def remote_ai_parent(trace_id: int, context: Context | None) -> Remote | None:
    """Return the span of another Langflow's that called what runs in `context`.

    None unless that belongs to the trace `trace_id`, too.
    """
    named = baggage.get_baggage(names.BAGGAGE_PARENT, context)
    match = _REMOTE.fullmatch(named) if isinstance(named, str) else None
    if match is None or int(match[1], 16) != trace_id or not int(match[2], 16):
        return None
    name = baggage.get_baggage(names.TRACE_NAME, context)
    return Remote(int(match[2], 16), match[3] or "", label(name) if isinstance(name, str) else None)


def let_travel(attribute: str, limit: int) -> None:
    """Let the first `limit` characters of an attribute of the calling span go out, too.

    For what a destination has to know of it to tell one tree of both. One such attribute there is.
    """
    _travelling[attribute] = limit


def let_trace_name_travel() -> None:
    """Let the name of the trace go out, for a destination that shows one for all of it."""
    _travelling_names.add(names.TRACE_NAME)


def model_call(context: Context | None) -> ModelCall | None:
    """Return the call of one of LangChain's models that is under way in `context`."""
    return otel_context.get_value(_MODEL_CALL, context)  # type: ignore[return-value]


def inside_model_call(model: object) -> Context | None:
    """Return the current context with a call of `model` in it; None where that is in it already.

    (LangChain's `stream` of a model that cannot stream is an `invoke` of the same.) None, too,
    where nothing is recorded.
    """
    above = model_call(None)
    if not get_current_span().is_recording() or (above is not None and above.model == id(model)):
        return None
    call = ModelCall(id(model), above.depth + 1 if above else 1)
    return otel_context.set_value(_MODEL_CALL, call)


def is_hidden(context: Context | None = None) -> bool:
    """Tell whether the content of what runs in `context` (default: here) is never captured."""
    here = otel_context.get_current() if context is None else context
    return here.get(_HIDDEN) is True


def iteration(context: Context | None = None) -> tuple[int, ...]:
    """Return in which iterations of loops `context` (default: here) is, the outermost first."""
    here = otel_context.get_current() if context is None else context
    return here.get(_ITERATION) or ()  # type: ignore[return-value]


def loop_attributes(path: tuple[int, ...]) -> dict[str, int | str]:
    """Return what a span says of the iterations it is in, by attribute name."""
    return {names.LOOP_INDEX: path[-1], names.LOOP_PATH: "/".join(map(str, path))}


def giving(identity: Mapping[str, str], told: Mapping[str, object]) -> Context:
    """Return the current context with what a program has `told` in it, by attribute name.

    Of that, `identity` goes before what Langflow says.
    """
    here = otel_context.get_current()
    given = {**_given(), **identity}
    return Context({**here, **told, _GIVEN: given})


def given_for_runs() -> tuple[str | None, str | None]:
    """Return session and user that a program has given for the runs here; None says nothing."""
    given = _given()
    return given.get(names.SESSION_ID), given.get(names.USER_ID)


def _given() -> Mapping[str, str]:
    return otel_context.get_value(_GIVEN) or {}  # type: ignore[return-value]


def identity(context: Context | None = None) -> dict[str, str]:
    """Return the session and the user of the run that is current in `context` (default: here)."""
    here = otel_context.get_current() if context is None else context
    known: dict[str, str] = {}
    for name in _WHOSE:
        value = here.get(name)
        if isinstance(value, str):
            known[name] = value
    return known


def inside(
    span: Span,
    *,
    flow: "FlowSpan | None" = None,
    component: "ComponentSpan | None" = None,
    tool: "ToolSpan | None" = None,
    embedding: bool = False,
    session_id: str | None = None,
    user_id: str | None = None,
    hidden: bool = False,
    loop: tuple[int, ...] = (),
) -> Context:
    """Return the current context with `span` current in it, and all that goes with it.

    Session and user stand under the keys that OpenInference's instrumentors read
    (`openinference.instrumentation.using_attributes` sets the same), so that the spans they
    make below carry them too.
    """
    added: dict[str, object] = {_AI_PARENT: span, _MODEL_CALL: None}
    if hidden or loop:
        added |= _marks(hidden=hidden, loop=loop)
    if flow is not None:
        added[_FLOW] = flow
    if component is not None:
        added[_COMPONENT] = component
    if tool is not None:
        added[_TOOL] = tool
    if embedding:
        added[_EMBEDDING] = True
    if session_id:
        added[names.SESSION_ID] = session_id
    if user_id:
        added[names.USER_ID] = user_id
    here = Context(otel_context.get_current(), **added)
    if flow is not None and span.is_recording():
        for name in _travelling_names & flow.identity.keys():
            here = baggage.set_baggage(name, flow.identity[name], here)
    return set_span_in_context(span, _told(span, here))


def without_span(
    component: "ComponentSpan", *, hidden: bool = False, loop: tuple[int, ...] = ()
) -> Context:
    """Return the current context with `component`, which has no span of its own, in it.

    What runs in there is below the span that is current here.
    """
    added = {_COMPONENT: component, **_marks(hidden=hidden, loop=loop)}
    return Context({**otel_context.get_current(), **added})


def outside(component: "ComponentSpan | None") -> Context:
    """Return the current context for what is not traced at all: instrumentation is off in it.

    Of ours only `component` is in it, which keeps the secrets that come up.
    """
    with suppress_instrumentation():
        here = otel_context.get_current()
    context = Context({key: value for key, value in here.items() if key not in _OURS})
    if component is not None:
        context = otel_context.set_value(_COMPONENT, component, context)
    if _AI_PARENT in here:
        context = set_span_in_context(INVALID_SPAN, context)
    context = baggage.remove_baggage(names.TRACE_NAME, context)
    return baggage.remove_baggage(names.BAGGAGE_PARENT, context)


def _marks(*, hidden: bool, loop: tuple[int, ...]) -> dict[str, object]:
    marks: dict[str, object] = {_HIDDEN: True} if hidden else {}
    if loop:
        marks[_ITERATION] = loop
    return marks


def _told(span: Span, context: Context) -> Context:
    """Return `context` with `span` in the baggage, if it is one that is sent.

    There, and not only in what we send ourselves, so that it goes out with whatever other
    instrumentors send. One entry for all that differs between spans: this is done for each.
    """
    here = span.get_span_context()
    if not here.trace_flags.sampled:
        return context
    told = f"{here.trace_id:032x}-{here.span_id:016x}"
    for attribute, limit in _travelling.items():
        if value := _attribute(span, attribute)[:limit]:
            told = f"{told}-{value}"
    return baggage.set_baggage(names.BAGGAGE_PARENT, told, context)


def _attribute(span: Span, name: str) -> str:
    known = span.attributes if isinstance(span, ReadableSpan) else None
    value = known.get(name) if known else None
    return value if isinstance(value, str) else ""
