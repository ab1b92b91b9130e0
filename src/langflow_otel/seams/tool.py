"""The tool seam: a component that an agent calls as a tool does not run as a vertex."""

import contextlib
import functools
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from opentelemetry.instrumentation.utils import is_instrumentation_enabled
from opentelemetry.trace import Span

from langflow_otel.capture import label
from langflow_otel.context import current_component
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
        component_id = label(str(kit.component.get_id()))
        hidden = self._tracer.hidden.hide(getattr(kit.component, "name", "") or "", component_id)
        for tool in tools:
            self._trace(tool, component_id, hidden=hidden)

    def _trace_copies(self, tools: Iterable[Any]) -> None:
        for tool in tools:
            for function in (getattr(tool, "func", None), getattr(tool, "coroutine", None)):
                call = getattr(function, "langflow_otel_call", None)
                if call is not None and call.tool is not tool:
                    self._trace(tool, call.component_id, hidden=call.hidden)
                    break

    def _trace(self, tool: Any, component_id: str, *, hidden: bool) -> None:
        call = ToolCall(self._tracer, tool, component_id, hidden=hidden)
        for field, around in (("func", call.around), ("coroutine", call.around_coroutine)):
            function = getattr(tool, field, None)
            if function is not None:
                if hasattr(function, "langflow_otel_call"):
                    function = function.__wrapped__
                setattr(tool, field, around(function))


class ToolCall:
    """Wraps the functions of one tool, in closures: LangChain copies and inspects them."""

    def __init__(
        self, tracer: LangflowTracer, tool: Any, component_id: str, *, hidden: bool
    ) -> None:
        """Trace calls of `tool`, which component `component_id` provides."""
        self._tracer = tracer
        self.hidden = hidden
        self.tool = tool
        self.component_id = component_id

    def around(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a function."""

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            with self._running(args, kwargs) as span:
                result = function(*args, **kwargs)
                safely(_succeed, span, result)
                return result

        call.langflow_otel_call = self  # type: ignore[attr-defined]
        return call

    def around_coroutine(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap a coroutine function."""

        @functools.wraps(function)
        async def call(*args: Any, **kwargs: Any) -> Any:
            with self._running(args, kwargs) as span:
                result = await function(*args, **kwargs)
                safely(_succeed, span, result)
                return result

        call.langflow_otel_call = self  # type: ignore[attr-defined]
        return call

    @contextlib.contextmanager
    def _running(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Iterator[ToolSpan | None]:
        span = safely(self._begin, args, kwargs)
        try:
            yield span
        except BaseException as error:
            safely(_fail, span, error)
            raise
        finally:
            safely(_end, span)

    def _begin(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> ToolSpan | None:
        if not (self._tracer.active and is_instrumentation_enabled()):
            return None
        name = label(self.tool.name)
        span = self._tracer.tool(
            name=name,
            description=label(self.tool.description or "", 1024),
            parameters=self.tool.args,
            arguments={**{str(index): value for index, value in enumerate(args)}, **kwargs},
            component_id=self.component_id,
            existing=_langchain_span(name),
            hidden=self.hidden,
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


def _langchain_span(name: str) -> Span | None:
    """Return the span that OpenInference's LangChain instrumentor made for this very tool call."""
    module = sys.modules.get("openinference.instrumentation.langchain")
    if module is None or not module.LangChainInstrumentor().is_instrumented_by_opentelemetry:
        return None
    span: Span | None = module.get_current_span()
    if span is not None and getattr(span, "name", None) == name:
        return span
    # On Python 3.10 a coroutine does not know which run of LangChain's it belongs to.
    component = current_component() if sys.version_info < (3, 11) else None
    return component.claim(name) if component is not None else None
