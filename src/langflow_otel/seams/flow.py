"""The flow seam: one span a flow run, whatever drives it.

Langflow 1.12 and later open `Graph.flow_execution_span` around every run, and every driver but
`async_start` lets that be current. Before 1.12 each driver is wrapped.
"""

import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
from opentelemetry import trace
from opentelemetry.instrumentation.utils import is_instrumentation_enabled, suppress_instrumentation
from opentelemetry.trace import Span

from langflow_otel.context import current_flow
from langflow_otel.guard import safely, safely_in_thread
from langflow_otel.seams.langflow import (
    FLOW_OF_FILE,
    failure_of,
    flow_of,
    opens_its_own_spans,
    queued_by,
    text,
)
from langflow_otel.seams.loops import begin_iteration
from langflow_otel.seams.patches import Arguments, Keywords, Wrapper
from langflow_otel.seams.pauses import links_of, tell_answer, tell_approvals
from langflow_otel.seams.secrets import gather_all
from langflow_otel.seams.stepped import SteppedGenerator
from langflow_otel.seams.stored import as_stored
from langflow_otel.spans import ExcludedFlow, Flow, FlowSpan, LangflowTracer
from langflow_otel.spans.caller import Caller

_GRAPH = "lfx.graph.graph.base"
_CALLER = "_langflow_otel_caller"


class FlowSeam:
    """The wrappers around what drives a flow."""

    def __init__(self, tracer: LangflowTracer) -> None:
        """Start spans with `tracer`."""
        self._tracer = tracer

    def rows(self) -> Iterator[tuple[str, str, Wrapper]]:
        """Yield module, function and wrapper of what drives a flow or copies its graph."""
        yield _GRAPH, "Graph.flow_execution_span", self.execution_span
        yield _GRAPH, "Graph.arun", self.arun
        yield _GRAPH, "Graph.async_start", self.async_start
        yield _GRAPH, "Graph.start", self.start
        yield "langflow.api.build", "generate_flow_events", self.build
        for module in ("lfx.load.load", "lfx.load", "langflow.load"):
            yield module, "aload_flow_from_json", self.load
        yield _GRAPH, "Graph.__deepcopy__", self.copy
        yield _GRAPH, "Graph.copy_for_run", self.copy
        yield "lfx.preload", "_run_flow_once", self.preload
        yield _GRAPH, "Graph.process", self.process

    @contextlib.contextmanager
    def execution_span(
        self, wrapped: Callable[..., Any], graph: Any, args: Arguments, kwargs: Keywords
    ) -> Iterator[Any]:
        """Open our span inside Langflow's own, `flow.execute`.

        Not where that is not made current: then `async_start` does it, step by step.
        """
        caller = trace.get_current_span()
        with contextlib.ExitStack() as stack:
            with contextlib.ExitStack() as opening:
                safely(_keep_unrecorded, opening)
                if kwargs.get("make_current", True):
                    # What is attached above it is detached before it.
                    stack.push(opening.pop_all())
                scope = stack.enter_context(wrapped(*args, **kwargs))
            span = safely(self._begin_inside, graph, caller, kwargs)
            with _running(span, flow_of, graph):
                yield scope

    async def arun(
        self, wrapped: Callable[..., Any], graph: Any, args: Arguments, kwargs: Keywords
    ) -> Any:
        """Before 1.12: the run of an API call, of a sub-flow, of a flow in code."""
        session_id = kwargs.get("session_id")
        span = safely(self._begin_before_1_12, flow_of, graph, session_id)
        with _running(span, flow_of, graph, session_id):
            return await wrapped(*args, **kwargs)

    async def process(
        self, wrapped: Callable[..., Any], graph: Any, args: Arguments, kwargs: Keywords
    ) -> Any:
        """Before 1.12: a run that a human is asked in, which is driven by this alone."""
        if safely(_is_driven, graph):
            return await wrapped(*args, **kwargs)
        span = safely(self._begin_before_1_12, flow_of, graph)
        with _running(span, flow_of, graph):
            return await wrapped(*args, **kwargs)

    def async_start(
        self, wrapped: Callable[..., Any], graph: Any, args: Arguments, kwargs: Keywords
    ) -> AsyncIterator[Any]:
        """Make the span current only while a step runs: an async generator cannot hold it."""
        steps: AsyncGenerator[Any, Any] = wrapped(*args, **kwargs)
        if safely(_is_subgraph, graph):
            safely(begin_iteration, graph)
            return steps
        return safely(self._stepped, steps, graph, kwargs) or steps

    def start(
        self, wrapped: Callable[..., Any], graph: Any, args: Arguments, kwargs: Keywords
    ) -> Any:
        """Before 1.12: carry the caller over to the thread in which the run goes on."""
        safely(_keep_caller, graph)
        return wrapped(*args, **kwargs)

    async def build(
        self, wrapped: Callable[..., Any], _: Any, args: Arguments, kwargs: Keywords
    ) -> Any:
        """Before 1.12: a run of the playground, whose graph is made inside."""
        span = safely(self._begin_before_1_12, _flow_of_build, kwargs)
        if span is not None and kwargs.get("resume"):
            safely(tell_answer, kwargs["resume"], span)
        with _running(span, _flow_of_build, kwargs):
            return await wrapped(*args, **kwargs)

    async def load(
        self, wrapped: Callable[..., Awaitable[Any]], _: Any, args: Arguments, kwargs: Keywords
    ) -> Any:
        """Keep the name and the id of a flow that is loaded from a file; its graph does not."""
        graph = await wrapped(*args, **kwargs)
        source = args[0] if args else kwargs.get("flow")
        if isinstance(source, str | Path):
            await safely_in_thread(_remember_file, graph, source)
        else:
            safely(_remember, graph, source)
        return graph

    @staticmethod
    def copy(wrapped: Callable[..., Any], graph: Any, args: Arguments, kwargs: Keywords) -> Any:
        """Keep them in a copy, too: `lfx serve` runs a copy for each request."""
        copied = wrapped(*args, **kwargs)
        safely(_carry_over, graph, copied)
        return copied

    @staticmethod
    def preload(wrapped: Callable[..., Any], _: Any, args: Arguments, kwargs: Keywords) -> Any:
        """Leave the runs that only warm a process up untraced."""
        with suppress_instrumentation():
            return wrapped(*args, **kwargs)

    def _start(
        self, describe: Callable[..., Flow], caller: Span, source: Any, *args: Any
    ) -> FlowSpan | None:
        if not is_instrumentation_enabled():
            return None
        links = links_of(source)
        span = self._tracer.flow(describe(source, *args), caller, links, queued_by())
        span.runs = id(source)
        if not isinstance(span, ExcludedFlow):
            tell_approvals(source, span)
        elif span.capture.secrets.wanted:
            gather_all(source, span.capture.secrets)
        return span

    def _begin_inside(self, graph: Any, caller: Span, kwargs: Keywords) -> FlowSpan | None:
        if not kwargs.get("make_current", True) or _is_subgraph(graph):
            return None
        span = self._start(flow_of, caller, graph)
        if span is not None:
            span.attach()
        return span

    def _begin_before_1_12(self, describe: Callable[..., Flow], *args: Any) -> FlowSpan | None:
        if opens_its_own_spans():
            return None
        span = self._start(describe, trace.get_current_span(), *args)
        if span is not None:
            span.attach()
        return span

    def _stepped(
        self, steps: AsyncGenerator[Any, Any], graph: Any, kwargs: Keywords
    ) -> SteppedGenerator | None:
        if not kwargs.get("open_flow_span", True):
            return None
        caller = vars(graph).pop(_CALLER, None) or trace.get_current_span()
        return SteppedGenerator(
            steps,
            begin=lambda: self._start(flow_of, caller, graph),
            end=lambda span, error: _finish(span, error, flow_of, graph),
        )


@contextlib.contextmanager
def _running(span: FlowSpan | None, describe: Callable[..., Flow], *args: Any) -> Iterator[None]:
    error: BaseException | None = None
    try:
        yield
    except BaseException as raised:
        error = raised
        raise
    finally:
        if span is not None:
            safely(_finish, span, error, describe, *args)
            safely(span.end)


def _finish(
    span: FlowSpan, error: BaseException | None, describe: Callable[..., Flow], *args: Any
) -> None:
    span.detach()
    if error is not None:
        span.fail(failure_of(error, abandoned=span.abandoned))
    if span.recording:
        span.update(describe(*args))


def _keep_unrecorded(stack: contextlib.ExitStack) -> None:
    """Let a caller that was not sampled, or is of another process, not be taken for one that ended.

    Langflow would make a root of the run, and sample it anew. What is current where a run is taken
    from a queue is not its caller.
    """
    caller = Caller.unrecorded() if queued_by() is None else None
    if caller is not None:
        caller.attach()
        stack.callback(safely, caller.detach)


def _is_subgraph(graph: Any) -> bool:
    """Tell whether `graph` is an iteration of a loop, which belongs to the loop's component."""
    return vars(graph).get("_is_subgraph", False)  # type: ignore[no-any-return]


def _is_driven(graph: Any) -> bool:
    """Tell whether the run of `graph` has its span by now, or gets it in another way."""
    flow = current_flow()
    return opens_its_own_spans() or (flow is not None and flow.runs == id(graph))


def _keep_caller(graph: Any) -> None:
    if not opens_its_own_spans():
        vars(graph)[_CALLER] = trace.get_current_span()


def _flow_of_build(arguments: Keywords) -> Flow:
    run_as, *named = (arguments.get(name) for name in ("flow_id", "flow_name", "source_flow_id"))
    flow_id, name = as_stored(run_as, *named)
    return Flow(
        id=text(flow_id),
        name=text(name),
        run_id=text(arguments.get("job_id") or arguments.get("run_id")),
        # As Langflow calls a session that nobody has named.
        session_id=text(getattr(arguments.get("inputs"), "session", None) or run_as),
        user_id=text(getattr(arguments.get("current_user"), "id", None)),
        entry_point="v1.build",
    )


def _remember(graph: Any, source: dict[str, Any]) -> None:
    vars(graph)[FLOW_OF_FILE] = (source.get("id"), source.get("name"))


def _carry_over(graph: Any, copied: Any) -> None:
    if FLOW_OF_FILE in vars(graph):
        vars(copied)[FLOW_OF_FILE] = vars(graph)[FLOW_OF_FILE]


def _remember_file(graph: Any, path: str | Path) -> None:
    _remember(graph, orjson.loads(Path(path).read_bytes()))
