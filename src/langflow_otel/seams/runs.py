"""What OpenInference's LangChain instrumentor is told of a run of LangChain's, and gets wrong.

It takes whatever has "agent" in its name for an agent, so that a LangChain agent is half a dozen
of them; a tool whose error the agent hands to its model for a success; and what runs in a tool for
a child of the tool's, also where a flow or an agent of Langflow's is between them. Its tracer is
known by its module, its runs by LangChain's interface for tracers.
"""

from collections.abc import Callable, Iterator
from typing import Any

from langflow_otel.context import ai_parent, current_component
from langflow_otel.guard import safely
from langflow_otel.model_calls import OPENINFERENCE_LANGCHAIN
from langflow_otel.seams.patches import Wrapper
from langflow_otel.seams.tool import tool_call_here

_BASE = "langchain_core.tracers.base"
# What makes OpenInference's instrumentor take a run for an agent's.
_AGENT = "agent"


def rows() -> Iterator[tuple[str, str, Wrapper]]:
    """Yield module, function and wrapper of what tracers of LangChain's are told by."""
    for what in ("chain", "llm", "retriever"):
        yield _BASE, f"BaseTracer.on_{what}_start", start
    yield _BASE, "BaseTracer.on_tool_start", tool_start
    yield _BASE, "BaseTracer.on_tool_end", tool_end
    yield _BASE, "BaseTracer.on_tool_error", tool_error
    yield _BASE, "BaseTracer.on_chain_end", chain_end
    yield _BASE, "BaseTracer.on_chain_error", chain_end
    yield "langchain_core.tracers.langchain", "LangChainTracer.on_chat_model_start", chat_start


def start(
    wrapped: Callable[..., Any], tracer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Let what begins in a tool hang on the span of ours that is current there, if there is one."""
    if _is_openinference(tracer) and safely(_is_below_ours, kwargs.get("parent_run_id")):
        kwargs = {**kwargs, "parent_run_id": None}
    return wrapped(*args, **kwargs)


def chat_start(
    wrapped: Callable[..., Any], tracer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Do the same for LangChain's own tracer's, which OpenInference's calls with itself."""
    return start(wrapped, tracer if tracer is not None else next(iter(args), None), args, kwargs)


def tool_start(
    wrapped: Callable[..., Any], tracer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Do the same, and tell the call of a tool that is under way which span LangChain's is."""
    result = start(wrapped, tracer, args, kwargs)
    if _is_openinference(tracer):
        safely(_note_span, tracer, kwargs.get("run_id"))
    return result


def tool_end(
    wrapped: Callable[..., Any], tracer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Let a tool's span be a tool's, and tell of an error that the agent was given as an answer."""
    if _is_openinference(tracer):
        safely(_settle_tool, tracer, kwargs.get("run_id"))
    return wrapped(*args, **kwargs)


def tool_error(
    wrapped: Callable[..., Any], tracer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Let a tool's span be a tool's."""
    if _is_openinference(tracer):
        safely(_is_no_agent, tracer, kwargs.get("run_id"))
    return wrapped(*args, **kwargs)


def chain_end(
    wrapped: Callable[..., Any], tracer: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Let the parts of an agent of Langflow's be no agents: its component is the one."""
    if _is_openinference(tracer):
        safely(_settle_chain, tracer, kwargs.get("run_id"))
    return wrapped(*args, **kwargs)


def _is_openinference(tracer: Any) -> bool:
    return type(tracer).__module__.startswith(OPENINFERENCE_LANGCHAIN)


def _note_span(tracer: Any, run_id: Any) -> None:
    call = tool_call_here()
    if call is not None and call.langchain_span is None and not call.begun:
        call.langchain_span = tracer.get_span(run_id)
        call.run_id = run_id


def _is_below_ours(parent_run_id: Any) -> bool:
    """Tell whether a span of ours is between here and the tool whose run is `parent_run_id`."""
    call = tool_call_here()
    while call is not None and (parent_run_id is None or call.run_id != parent_run_id):
        call = call.above
    return call is not None and call.span is not None and ai_parent(None) is not call.span.span


def _settle_tool(tracer: Any, run_id: Any) -> None:
    _is_no_agent(tracer, run_id)
    call = tool_call_here()
    run = tracer.run_map.get(str(run_id))
    if run is None or call is None or call.span is None or call.span.owned:
        return
    failed = call.span.settle()
    if failed is not None:
        run.error = failed


def _settle_chain(tracer: Any, run_id: Any) -> None:
    component = current_component()
    if component is None or not component.is_agent or ai_parent(None) is not component.span:
        return
    _is_no_agent(tracer, run_id)


def _is_no_agent(tracer: Any, run_id: Any) -> None:
    """Take from a run of the tracer's own what makes it an agent; the span has its name already."""
    run = tracer.run_map.get(str(run_id))
    if run is not None and _AGENT in run.name.lower():
        run.name = run.run_type
