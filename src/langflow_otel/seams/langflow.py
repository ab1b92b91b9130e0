"""What Langflow's objects say, in the words of `spans`. Reads attributes, changes nothing."""

import asyncio
import sys
from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from opentelemetry.context import Context
from opentelemetry.trace import Link

from langflow_otel import names
from langflow_otel.capture import label
from langflow_otel.capture.classes import class_names, per_class
from langflow_otel.context import identity
from langflow_otel.patterns import NamePatterns
from langflow_otel.seams.fields import EMPTY
from langflow_otel.seams.loops import iteration_of, run_index_of
from langflow_otel.seams.stored import as_stored
from langflow_otel.seams.users import is_made_up
from langflow_otel.spans import Component, Failure, Flow

#: Where the name and id of a flow loaded from a file stand, which its graph does not keep.
FLOW_OF_FILE = "_langflow_otel_flow"

_KINDS_BY_BASE = {
    "LCAgentComponent": names.KIND_AGENT,
    "LCModelComponent": names.KIND_LLM,
    "LCVectorStoreComponent": names.KIND_RETRIEVER,
    "LCCompressorComponent": names.KIND_RERANKER,
    "LCToolComponent": names.KIND_TOOL,
}
_KINDS_BY_TRACE_TYPE = {
    "agent": names.KIND_AGENT,
    "llm": names.KIND_LLM,
    "prompt": names.KIND_PROMPT,
    "retriever": names.KIND_RETRIEVER,
    "tool": names.KIND_TOOL,
}
# Langflow's knowledge bases, which are stores as well; the first, since 1.13, takes in, too.
_KNOWLEDGE = "KnowledgeComponent"
_RETRIEVING = frozenset(
    {"KnowledgeBaseComponent", "KnowledgeRetrievalComponent", "MemoryBaseComponent"}
)
_WRAPPING_ERRORS = frozenset({"ComponentBuildError", "ToolException"})
_PAUSES = frozenset({"GraphPausedException", "AgentPausedError", "GraphInterrupt", "NodeInterrupt"})
# What every component that could be a tool puts out besides, unless only that is wanted.
_TOOLKIT_OUTPUT = "component_as_tool"
_MAX_UPSTREAM = 64
_MODEL_FIELDS = ("model_name", "model_id", "model")


@lru_cache(maxsize=1)
def langflow_version() -> str | None:
    """Return the version of the first that is installed: langflow, langflow-base, lfx."""
    for name in ("langflow", "langflow-base", "lfx"):
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return None


def opens_its_own_spans() -> bool:
    """Tell whether Langflow opens a span around every run, as from 1.12 on."""
    from lfx.graph.graph.base import Graph

    return hasattr(Graph, "flow_execution_span")


def flow_of(graph: Any, session_id: str | None = None) -> Flow:
    """Describe the run of `graph`, as far as it is known by now."""
    file_id, file_name = vars(graph).get(FLOW_OF_FILE, (None, None))
    flow_id, name = as_stored(
        getattr(graph, "flow_id", None) or file_id,
        getattr(graph, "flow_name", None) or file_name,
        getattr(graph, "source_flow_id", None),
    )
    return Flow(
        id=text(flow_id),
        name=text(name),
        run_id=text(vars(graph).get("_run_id")),
        session_id=text(session_id or getattr(graph, "session_id", None)),
        user_id=_user_of(graph),
        entry_point=_execution_protocol(),
        version=langflow_version(),
    )


def component_of(graph: Any, vertex: Any, here: Context, hidden: NamePatterns) -> Component:
    """Describe the component that `vertex` is going to run; what is current is `here`."""
    run = identity(here)
    kind = type_of(vertex)
    upstream = sorted({label(edge.source_id) for edge in vertex.incoming_edges})
    return Component(
        id=label(vertex.id),
        type=kind,
        display_name=label(vertex.display_name or vertex.id),
        kind=kind_of(vertex),
        upstream=tuple(upstream[:_MAX_UPSTREAM]),
        is_input=bool(vertex.is_input),
        is_output=bool(vertex.is_output),
        session_id=run.get(names.SESSION_ID) or text(getattr(graph, "session_id", None)),
        user_id=run.get(names.USER_ID) or _user_of(graph),
        hidden=bool(hidden)
        and (
            hidden.match(kind, vertex.id)
            or (bool(vertex.is_output) and bool(_fed_by(vertex, hidden)))
        ),
        iteration=iteration_of(graph, vertex),
        run_index=run_index_of(graph, vertex),
    )


def component_of_tool(component: Any, hidden: NamePatterns) -> Component:
    """Describe `component`, which runs as a tool: not as a part of the flow's graph."""
    vertex = vars(component).get("_vertex")
    kind = type_of(vertex) if vertex is not None else text(getattr(component, "name", None))
    shown = getattr(vertex, "display_name", None) or getattr(component, "display_name", None)
    component_id = label(str(component.get_id()))
    run = identity()
    return Component(
        id=component_id,
        type=kind or type(component).__name__,
        display_name=label(str(shown or component_id)),
        kind=kind_of_component(component),
        session_id=run.get(names.SESSION_ID),
        user_id=run.get(names.USER_ID),
        hidden=hidden.match(kind or "", component_id),
        is_tool=True,
    )


def type_of(vertex: Any) -> str:
    """Return the type of the component behind `vertex`, as `ChatInput`."""
    return text(vertex.data.get("type")) or text(vertex.vertex_type) or ""


def fields_fed_by(component: Any, hidden: NamePatterns) -> list[str]:
    """Return the fields of `component` whose values come out of a component that is hidden."""
    vertex = vars(component).get("_vertex")
    return _fed_by(vertex, hidden) if vertex is not None else []


def _fed_by(vertex: Any, hidden: NamePatterns) -> list[str]:
    return [
        edge.target_param
        for edge in vertex.incoming_edges
        if hidden.match(type_of(vertex.graph.get_vertex(edge.source_id)), edge.source_id)
    ]


def kind_of(vertex: Any) -> str:
    """Return the OpenInference span kind of the component behind `vertex`, by what it is."""
    component = vertex.custom_component
    return names.KIND_CHAIN if component is None else kind_of_component(component)


def kind_of_component(component: Any) -> str:
    """Return the OpenInference span kind of `component`."""
    kind = _kind_of_class(type(component))
    if kind is not None:
        return kind
    if _KNOWLEDGE in class_names(type(component)) and "Retrieve" in str(component.mode):
        return names.KIND_RETRIEVER
    trace_type = vars(component).get("trace_type") or getattr(type(component), "trace_type", "")
    return _KINDS_BY_TRACE_TYPE.get(trace_type, names.KIND_CHAIN)


@per_class
def _kind_of_class(cls: type) -> str | None:
    bases = class_names(cls)
    for base, kind in _KINDS_BY_BASE.items():
        if base in bases:
            return kind
    if "rerank" in cls.__name__.lower():
        return names.KIND_RERANKER
    return names.KIND_RETRIEVER if bases & _RETRIEVING else None


def outputs_of(vertex: Any, *, cached: bool) -> Mapping[str, Any]:
    """Return what came out of `vertex`, by output; as Langflow shows it, not as it passes it on.

    (From 1.10 on the shown results have the component's secrets masked.)
    """
    component = vertex.custom_component
    results = vars(component).get("_results") if component is not None and not cached else None
    results = results or vertex.built_object
    if type(results) is not dict and not isinstance(results, Mapping):
        return {"output": results}
    shown = {name: result for name, result in results.items() if name != _TOOLKIT_OUTPUT}
    return shown or results


def model_of(component: Any) -> tuple[str | None, str | None]:
    """Return the name and the provider of the model that `component` is set to use.

    As Chat Output looks for it, in the component's fields and in what its own code has set.
    """
    fields = vars(component).get("_attributes", {})
    named = (place.get(n) for place in (fields, vars(component)) for n in _MODEL_FIELDS)
    model = next((m for m in named if type(m) not in EMPTY or m), None)
    if isinstance(model, list) and model:
        model = model[0]
    provider = text(fields.get("provider") or fields.get("agent_llm"))
    if isinstance(model, dict):
        return text(model.get("name")), text(model.get("provider")) or provider
    if not isinstance(model, str):
        # A model that another component has made.
        said = getattr(model, "__dict__", {})
        model = next((said[n] for n in ("model_name", "model") if type(said.get(n)) is str), None)
    return text(model), provider


def _comes_of_closing(error: BaseException | None) -> bool:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, GeneratorExit):
            return True
        seen.add(id(error))
        error = error.__context__
    return False


def failure_of(error: BaseException, *, abandoned: bool = False) -> Failure:
    """Return what `error`, come out of Langflow, means: a cancel and a pause are no errors.

    Nor is what comes of closing what was `abandoned`, that is, what nobody holds any more: whatever
    it awaits then, to log that it is closed, say, it cannot have.
    """
    closed = abandoned and _comes_of_closing(error)
    if closed or isinstance(error, asyncio.CancelledError) or not isinstance(error, Exception):
        return Failure(names.STATUS_CANCELLED, error)
    if type(error).__name__ in _PAUSES:
        return Failure(names.STATUS_PAUSED, error)
    return Failure(names.STATUS_ERROR, _root_of(error))


def _root_of(error: BaseException) -> BaseException:
    """Return what was raised inside of what Langflow has put around it."""
    seen: set[int] = set()
    # `raise error from error` makes an error its own cause.
    while type(error).__name__ in _WRAPPING_ERRORS and id(error) not in seen:
        seen.add(id(error))
        error = error.__cause__ or error
    return error


def _user_of(graph: Any) -> str | None:
    user = getattr(graph, "tracing_user_id", None) or _end_user_of(graph)
    if not user:
        user = getattr(graph, "user_id", None)
        user = None if is_made_up(user) else user
    return text(user)


def _end_user_of(graph: Any) -> str | None:
    """Return the end user that a gateway has told Langflow (1.12+) of.

    Only where `LANGFLOW_SERVING_TRACE_END_USER` lets it be traced: else it is kept from tracers.
    """
    end_user = vars(graph).get("end_user_id")
    if not end_user:
        return None
    from lfx.services.deps import get_settings_service

    service = get_settings_service()
    settings = service.settings if service is not None else None
    return end_user if getattr(settings, "serving_trace_end_user", False) else None


def _execution_protocol() -> str | None:
    """Return what Langflow (1.12+) says a run came in through, as `v1` or `lfx.run`."""
    observability = sys.modules.get("lfx.observability")
    get = getattr(observability, "get_execution_protocol", None)
    return text(get()) if get is not None else None


def queued_by() -> Link | None:
    """Return the link that Langflow (1.12+) keeps with a queued job to what has queued it."""
    observability = sys.modules.get("lfx.observability")
    get = getattr(observability, "get_queued_trace_link", None)
    link = get() if get is not None else None
    return link if isinstance(link, Link) else None


def text(value: Any) -> str | None:
    """Return a name or an id of Langflow's as a text of bounded length, None for nothing."""
    return None if value is None or value == "" else label(str(value))
