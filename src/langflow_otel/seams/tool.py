"""The tool seam: what an agent calls as a tool does not run as a vertex.

`BaseTool.run` and `arun` are what everybody calls, and what makes LangChain's own span. The tool's
work is in `_run` and `_arun`, which each class of tools has of its own: there that span is made
current, or one is made where LangChain is not traced.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import Token
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.instrumentation.utils import is_instrumentation_enabled
from opentelemetry.trace import Span

from langflow_otel import names
from langflow_otel.capture import label
from langflow_otel.capture.classes import class_names
from langflow_otel.context import current_flow
from langflow_otel.guard import safely
from langflow_otel.seams.langflow import component_of_tool, failure_of
from langflow_otel.seams.patches import Patches
from langflow_otel.spans import ActiveSpan, Component, LangflowTracer, Tool, ToolSpan

_CALL = otel_context.create_key("langflow_otel.tool_call")
# On a tool's function: the component that it runs. LangChain copies tools, not their functions.
_COMPONENT = "langflow_otel_component"
# What is done in a tool by these is worth a span of its own: an agent's turns, documents found.
_OWN_SPAN = frozenset({names.KIND_AGENT, names.KIND_RETRIEVER, names.KIND_RERANKER})
# LangChain's and Langflow's own arguments of a tool's `_run`.
_NO_ARGUMENTS = frozenset({"config", "run_manager", "_lf_tool_call_id"})


class ToolCall:
    """One call of a tool, from `run` on, and LangChain's span for it as soon as there is one."""

    def __init__(self, tool: Any, call_id: str | None) -> None:
        """Begin with neither a span of LangChain's nor the tool's work begun."""
        self.tool = tool
        self.call_id = call_id
        #: The call in which this one was made.
        self.above = tool_call_here()
        self.langchain_span: Span | None = None
        #: The id that the call has as a run of LangChain's.
        self.run_id: Any = None
        #: The span, ours or LangChain's, once the tool's own work has begun.
        self.span: ToolSpan | None = None
        self.begun = False
        self.context: Context = otel_context.set_value(_CALL, self)
        self._token: Token[Context] | None = otel_context.attach(self.context)

    def leave(self) -> None:
        """Make current what was, and end what LangChain leaves open: before 1.1, a cancel's."""
        if self._token is not None:
            otel_context.detach(self._token)
        span = self.langchain_span
        if span is not None and span.is_recording():
            span.set_attribute(names.SPAN_KIND, names.KIND_TOOL)
            span.end()

    def abandon(self) -> None:
        """Do not detach: a coroutine that nobody awaits is closed wherever the collector runs."""
        if otel_context.get_current() is not self.context:
            self._token = None


def tool_call_here() -> ToolCall | None:
    """Return the innermost call of a tool that is under way here."""
    call = otel_context.get_value(_CALL)
    return call if isinstance(call, ToolCall) else None


class ToolSeam:
    """The wrappers around the calls of tools, and around what makes tools of components."""

    def __init__(self, tracer: LangflowTracer, patches: Patches) -> None:
        """Start spans with `tracer`; wrap the classes of tools with `patches`, as they appear."""
        self._tracer = tracer
        self._patches = patches

    @staticmethod
    def get_tools(
        wrapped: Callable[..., Any], kit: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Remember which component a tool is made of."""
        tools = wrapped(*args, **kwargs)
        safely(_mark, tools, kit)
        return tools

    def run(
        self, wrapped: Callable[..., Any], tool: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Note that a tool is called."""
        with self._called(tool, kwargs):
            return wrapped(*args, **kwargs)

    async def arun(
        self, wrapped: Callable[..., Any], tool: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Note that a tool is called."""
        with self._called(tool, kwargs):
            return await wrapped(*args, **kwargs)

    def work(
        self, wrapped: Callable[..., Any], tool: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Let the span of the call be current while the tool works."""
        with self._working(tool, args, kwargs) as spans:
            result = wrapped(*args, **kwargs)
            safely(_succeed, spans, tool, result)
            return result

    async def awork(
        self, wrapped: Callable[..., Any], tool: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Let the span of the call be current while the tool works."""
        with self._working(tool, args, kwargs) as spans:
            result = await wrapped(*args, **kwargs)
            safely(_succeed, spans, tool, result)
            return result

    @contextlib.contextmanager
    def _called(self, tool: Any, kwargs: Mapping[str, Any]) -> Iterator[None]:
        call = safely(self._call, tool, kwargs)
        try:
            yield
        except GeneratorExit:
            if call is not None:
                safely(call.abandon)
            raise
        finally:
            if call is not None:
                safely(call.leave)

    def _call(self, tool: Any, kwargs: Mapping[str, Any]) -> ToolCall | None:
        if not (self._tracer.active and is_instrumentation_enabled()):
            return None
        # What programs do with LangChain besides is no business of ours.
        if current_flow() is None or not self._tracer.samples_here():
            return None
        self._patches.methods(
            type(tool), {"_run": self.work, "_arun": self.awork}, below="BaseTool"
        )
        call_id = kwargs.get("tool_call_id")
        return ToolCall(tool, label(call_id) if isinstance(call_id, str) and call_id else None)

    @contextlib.contextmanager
    def _working(
        self, tool: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Iterator[list[ActiveSpan]]:
        spans: list[ActiveSpan] = []
        safely(self._begin, spans, tool, args, kwargs)
        try:
            yield spans
        except BaseException as error:
            for span in spans:
                safely(_fail, span, error)
            raise
        finally:
            for span in reversed(spans):
                safely(span.end)

    def _begin(
        self,
        spans: list[ActiveSpan],
        tool: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        """Start the spans of the call: its own, and that of an agent that the tool is."""
        call = tool_call_here()
        if call is None or call.tool is not tool or call.begun:
            # A `_run` that calls that of its base, or `_arun` that leaves it all to `_run`.
            return
        call.begun = True
        component = self._component_of(tool)
        if component is not None and self._tracer.excluded.match(component.type, component.id):
            return
        arguments = {
            **{str(index): value for index, value in enumerate(args)},
            **{name: value for name, value in kwargs.items() if name not in _NO_ARGUMENTS},
        }
        call.span = self._tracer.tool(
            _tool_of(tool, component), arguments, call.langchain_span, call_id=call.call_id
        )
        call.span.attach()
        spans.append(call.span)
        if component is not None and component.is_tool and component.kind in _OWN_SPAN:
            own = self._tracer.component(component)
            own.attach()
            spans.append(own)
            own.record_inputs(arguments)

    def _component_of(self, tool: Any) -> Component | None:
        for function in _functions_of(tool):
            component = vars(function).get(_COMPONENT) if hasattr(function, "__dict__") else None
            if component is not None:
                return component_of_tool(component, self._tracer.hidden)
        flow = current_flow()
        return flow.provider_of(tool, *_functions_of(tool)) if flow is not None else None


def provide(component: Component, outputs: Iterable[Any]) -> None:
    """Remember for the run of a flow which tools `component` provides, if it does."""
    flow = current_flow()
    for output in outputs if flow is not None else ():
        for tool in output if type(output) in {list, tuple} else (output,):
            if "BaseTool" not in class_names(type(tool)):
                break
            flow.provide(component, tool, *_functions_of(tool))  # type: ignore[union-attr]


def _mark(tools: Iterable[Any], kit: Any) -> None:
    for tool in tools:
        for function in _functions_of(tool):
            vars(function)[_COMPONENT] = kit.component


def _functions_of(tool: Any) -> list[Any]:
    functions = (getattr(tool, name, None) for name in ("coroutine", "func"))
    return [function for function in functions if function is not None]


def _tool_of(tool: Any, component: Component | None) -> Tool:
    return Tool(
        name=label(str(tool.name)),
        description=label(tool.description or "", 1024),
        parameters=lambda: tool.args,
        component_id=component.id if component is not None else None,
        hidden=component is not None and component.hidden,
        remote=any(_is_remote(function) for function in _functions_of(tool)),
    )


def _is_remote(function: Any) -> bool:
    """Tell whether `function` is one of those that Langflow makes for the tools of MCP servers."""
    return str(getattr(function, "__module__", "")).endswith(".base.mcp.util")


def _fail(span: ActiveSpan, error: BaseException) -> None:
    span.fail(failure_of(error))


def _succeed(spans: list[ActiveSpan], tool: Any, result: Any) -> None:
    if not spans:
        return
    pair = getattr(tool, "response_format", "") == "content_and_artifact"
    content = result[0] if pair and type(result) is tuple and result else result
    for span in spans:
        if isinstance(span, ToolSpan):
            span.record_output(content)
        else:
            span.record_outputs({"output": content}, answered=False)  # type: ignore[attr-defined]
