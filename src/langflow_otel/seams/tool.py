"""The tool seam: a component that an agent calls as a tool does not run as a vertex."""

import sys
from collections.abc import Callable, Iterable
from typing import Any

from opentelemetry.instrumentation.utils import is_instrumentation_enabled
from opentelemetry.trace import Span

from langflow_otel.guard import safely
from langflow_otel.seams.langflow import failure_of
from langflow_otel.spans import LangflowTracer, ToolSpan


class ToolSeam:
    """The wrappers around the making of tools, which wrap the tools' functions."""

    def __init__(self, tracer: LangflowTracer) -> None:
        """Start spans with `tracer`."""
        self._tracer = tracer

    def get_tools(
        self, wrapped: Callable[..., Any], kit: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Trace the calls of the tools that are made of a component."""
        tools = wrapped(*args, **kwargs)
        safely(self._trace_all, tools, kit)
        return tools

    def rename(
        self, wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Give the copies of tools that got another name that name in the trace, too."""
        tools = wrapped(*args, **kwargs)
        safely(self._trace_copies, tools)
        return tools

    def _trace_all(self, tools: Iterable[Any], kit: Any) -> None:
        component_id = str(kit.component.get_id())
        for tool in tools:
            self._trace(tool, component_id)

    def _trace_copies(self, tools: Iterable[Any]) -> None:
        for tool in tools:
            for function in (getattr(tool, "func", None), getattr(tool, "coroutine", None)):
                call = getattr(function, "langflow_otel_call", None)
                if call is not None and call.tool is not tool:
                    self._trace(tool, call.component_id)
                    break

    def _trace(self, tool: Any, component_id: str) -> None:
        call = ToolCall(self._tracer, tool, component_id)
        for field, around in (("func", call.around), ("coroutine", call.around_coroutine)):
            function = getattr(tool, field, None)
            if function is not None:
                function = getattr(function, "langflow_otel_original", function)
                setattr(tool, field, around(function))


class ToolCall:
    """Wraps the functions of one tool, in closures: LangChain copies and inspects them.

    A function with a parameter `callbacks` is given the callback manager of its call, whatever the
    task or thread: it names the run, and so the span that LangChain's instrumentor made for it.
    """

    def __init__(self, tracer: LangflowTracer, tool: Any, component_id: str) -> None:
        """Trace calls of `tool`, which component `component_id` provides."""
        self._tracer = tracer
        self.tool = tool
        self.component_id = component_id

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a function."""

        def call(*args: Any, callbacks: Any = None, **kwargs: Any) -> Any:
            span = safely(self._begin, args, kwargs, callbacks)
            try:
                result = function(*args, **kwargs)
            except BaseException as error:
                safely(_fail, span, error)
                raise
            else:
                safely(_succeed, span, result)
                return result
            finally:
                safely(_end, span)

        return self._made(call, function)

    def around_coroutine(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a coroutine function."""

        async def call(*args: Any, callbacks: Any = None, **kwargs: Any) -> Any:
            span = safely(self._begin, args, kwargs, callbacks)
            try:
                result = await function(*args, **kwargs)
            except BaseException as error:
                safely(_fail, span, error)
                raise
            else:
                safely(_succeed, span, result)
                return result
            finally:
                safely(_end, span)

        return self._made(call, function)

    def _made(self, call: Any, function: Callable[..., Any]) -> Callable[..., Any]:
        call.__name__ = function.__name__
        call.__doc__ = function.__doc__
        call.langflow_otel_call = self
        call.langflow_otel_original = function
        return call  # type: ignore[no-any-return]

    def _begin(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], callbacks: Any
    ) -> ToolSpan | None:
        if not is_instrumentation_enabled():
            return None
        span = self._tracer.tool(
            name=self.tool.name,
            description=self.tool.description or "",
            parameters=self.tool.args,
            arguments={**{str(index): value for index, value in enumerate(args)}, **kwargs},
            component_id=self.component_id,
            existing=_langchain_span(callbacks),
        )
        span.attach()
        return span


def _fail(span: ToolSpan | None, error: BaseException) -> None:
    if span is not None:
        span.fail(failure_of(error))


def _succeed(span: ToolSpan | None, result: Any) -> None:
    if span is not None:
        span.record_output(result)


def _end(span: ToolSpan | None) -> None:
    if span is not None:
        span.end()


def _langchain_span(callbacks: Any) -> Span | None:
    """Return the span that OpenInference's LangChain instrumentor made for this very tool call."""
    run_id = getattr(callbacks, "parent_run_id", None)
    module = sys.modules.get("openinference.instrumentation.langchain")
    if run_id is None or module is None:
        return None
    instrumentor = module.LangChainInstrumentor()
    if not instrumentor.is_instrumented_by_opentelemetry:
        return None
    span: Span | None = instrumentor.get_span(run_id)
    return span
