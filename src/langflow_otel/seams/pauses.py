"""The pause seam: a run that waits for a human (Langflow 1.11 and later) goes on as another one.

What links the two is kept in the checkpoint that Langflow writes anyway, so that it is there in
whatever process the run goes on.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.trace import Link, SpanContext, get_current_span, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from langflow_otel import names
from langflow_otel.context import current_flow
from langflow_otel.guard import safely
from langflow_otel.seams.langflow import FLOW_OF_FILE, flow_of, opens_its_own_spans, text
from langflow_otel.spans import Approval, FlowSpan

#: In the `pause_context` of a checkpoint: the span that paused, and the name of its flow.
_NOTE = "langflow_otel"
_FLOW_NAME = "flow_name"
#: On a graph made of a checkpoint.
_PAUSED_RUN = "_langflow_otel_paused_run"

_RESUMES = {names.LINK_TYPE: names.LINK_RESUMES}
_propagator = TraceContextTextMapPropagator()


@dataclass(frozen=True)
class PausedRun:
    """What a checkpoint says of the run that paused.

    Attributes:
        span: Its flow's span; None where that is not sent anywhere.
        request: What a human was asked.
        answered: The requests that had been answered by then.
    """

    span: SpanContext | None = None
    request: Mapping[str, Any] = field(default_factory=dict)
    answered: frozenset[str] = frozenset()


def save(
    wrapped: Callable[..., Any], graph: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Note in the checkpoint of a run that pauses which span that is."""
    checkpoint = wrapped(*args, **kwargs)
    safely(_note, graph, checkpoint)
    return checkpoint


def restore(
    wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Remember on the graph that is made of a checkpoint what is noted there."""
    graph = wrapped(*args, **kwargs)
    safely(_remember, graph, args[0] if args else kwargs.get("checkpoint"))
    return graph


def links_of(graph: Any) -> list[Link]:
    """Return the link to the run that `graph` goes on with, if it is one that paused."""
    paused = _paused_run(graph)
    return [Link(paused.span, _RESUMES)] if paused is not None and paused.span is not None else []


def tell_approvals(graph: Any, span: FlowSpan) -> None:
    """Record on `span` what humans have decided since the run of `graph` paused."""
    paused = _paused_run(graph)
    if paused is None:
        return
    for request_id, decision in (graph.human_input_decisions or {}).items():
        if request_id not in paused.answered:
            span.record_approval(_approval(request_id, decision, paused.request))


def tell_answer(answer: Mapping[str, Any], span: FlowSpan) -> None:
    """Do the same before 1.12 on a server, where at first only the `answer` is known."""
    span.record_approval(_approval(answer.get("request_id"), answer.get("decision"), {}))


def has_paused(vertex: Any) -> bool:
    """Tell whether the component behind `vertex` has just asked to wait for a human."""
    graph = vertex.graph
    if not vars(graph).get("pause_requested"):
        return False
    info = vars(graph).get("pause_info") or {}
    asking = _component_of((info.get("data") or {}).get("request_id"))
    return asking is not None and asking == text(vertex.id)


def _note(graph: Any, checkpoint: Any) -> None:
    flow = current_flow()
    if flow is None or not graph.pause_requested:
        return
    # Some drivers swallow the exception that pauses them.
    flow.pause()
    note = {_FLOW_NAME: flow.identity.get(names.FLOW_NAME)}
    if flow.span.get_span_context().trace_flags.sampled:
        _propagator.inject(note, set_span_in_context(flow.span))
    checkpoint.pause_context = {**(checkpoint.pause_context or {}), _NOTE: note}


def _remember(graph: Any, checkpoint: Any) -> None:
    context = checkpoint.pause_context or {}
    note = _texts(context.get(_NOTE))
    span = get_current_span(_propagator.extract(note)).get_span_context()
    paused = vars(graph)[_PAUSED_RUN] = PausedRun(
        span if span.is_valid else None,
        context.get("data") or {},
        frozenset(checkpoint.human_input_decisions),
    )
    if _FLOW_NAME in note:
        vars(graph)[FLOW_OF_FILE] = (None, note[_FLOW_NAME])
    flow = None if opens_its_own_spans() else current_flow()
    if flow is not None:
        # The span had to begin before the graph was made.
        if paused.span is not None:
            flow.span.add_link(paused.span, _RESUMES)
        flow.update(flow_of(graph))


def _texts(note: Any) -> dict[str, str]:
    """Return what of a note is text: somebody else may have written it."""
    known = note if isinstance(note, Mapping) else {}
    return {str(name): value for name, value in known.items() if isinstance(value, str)}


def _paused_run(graph: Any) -> PausedRun | None:
    return getattr(graph, _PAUSED_RUN, None)


def _approval(request_id: Any, decision: Any, request: Mapping[str, Any]) -> Approval:
    decided = decision if isinstance(decision, Mapping) else {}
    asked: Mapping[str, Any] = request if request.get("request_id") == request_id else {}
    return Approval(
        component_id=_component_of(request_id),
        kind=text(asked.get("kind")),
        decision=text(decided.get("action_id")),
        tools=tuple(_tools_of(asked)),
        prompt=asked.get("prompt"),
        values=decided.get("values") or None,
    )


def _tools_of(request: Mapping[str, Any]) -> Iterator[str]:
    for call in request.get("action_requests") or ():
        name = text(call.get("name"))
        if name:
            yield name


def _component_of(request_id: Any) -> str | None:
    """Return the component that asked: `<component>:<run>`, and more for a tool's approval."""
    return text(str(request_id or "").partition(":")[0])
