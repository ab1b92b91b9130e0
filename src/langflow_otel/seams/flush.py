"""Where the answer of a flow run waits for its spans (`LANGFLOW_TRACING_BACKGROUND=false`).

The flow's span ends in a context manager, which cannot wait without blocking the event loop; so
what is wrapped here are the coroutines around it, before they give the answer.
"""

import contextlib
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator
from typing import Any

from langflow_otel.context import current_flow
from langflow_otel.flushing import Flusher
from langflow_otel.guard import safely, safely_awaited
from langflow_otel.pipeline import Pipeline
from langflow_otel.seams.patches import Arguments, Keywords, Wrapper
from langflow_otel.seams.steps import AsyncGeneratorSteps, Watch
from langflow_otel.settings import Settings

_GRAPH = "lfx.graph.graph.base"


class FlushSeam:
    """The wrappers around what gives a flow's answer."""

    def __init__(self, flusher: Flusher, seconds: float) -> None:
        """Wait for `flusher`, at most `seconds`."""
        self._flusher = flusher
        self._seconds = seconds

    async def coroutine(
        self, wrapped: Callable[..., Any], _: Any, args: Arguments, kwargs: Keywords
    ) -> Any:
        """Wait before a coroutine returns, or fails; not inside another flow run."""
        if current_flow() is not None:
            return await wrapped(*args, **kwargs)
        try:
            result = await wrapped(*args, **kwargs)
        except Exception:
            await self._flushed()
            raise
        await self._flushed()
        return result

    def async_start(
        self, wrapped: Callable[..., Any], graph: Any, args: Arguments, kwargs: Keywords
    ) -> AsyncIterator[Any]:
        """Wait before the last step, where the run is not inside another."""
        steps = wrapped(*args, **kwargs)
        inside = not kwargs.get("open_flow_span", True) or current_flow() is not None
        return steps if inside else _FlushedGenerator(steps, self._flushed)

    def start(
        self, wrapped: Callable[..., Any], _: Any, args: Arguments, kwargs: Keywords
    ) -> Generator[Any, Any, Any]:
        """Wait at the end of a run in a thread of its own, in the thread that takes its steps."""
        return self._then_flushed(wrapped(*args, **kwargs))

    async def build(
        self, wrapped: Callable[..., Any], _: Any, args: Arguments, kwargs: Keywords
    ) -> Any:
        """Wait before the stream of a build ends."""
        queue = getattr(kwargs.get("event_manager"), "queue", None)
        async with _end_held_back(queue):
            return await self.coroutine(wrapped, None, args, kwargs)

    async def _flushed(self) -> None:
        await safely_awaited(self._wait_off_loop)

    async def _wait_off_loop(self) -> None:
        await self._flusher.wait_off_loop(self._seconds, patient=False)

    def _wait(self) -> None:
        self._flusher.wait(self._seconds, patient=False)

    def _then_flushed(self, steps: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
        try:
            result = yield from steps
        except Exception:
            safely(self._wait)
            raise
        safely(self._wait)
        return result


class _FlushedGenerator(AsyncGeneratorSteps):
    """Passes each step on to `steps`; before the last it calls and awaits `flushed`."""

    def __init__(self, steps: AsyncGenerator[Any, Any], flushed: Callable[[], Any]) -> None:
        super().__init__(steps, Watch())
        self._self_flushed = flushed
        self._self_is_over = False

    async def aclose(self) -> None:
        await self.__wrapped__.aclose()

    async def _self_await(self, step: Callable[..., Any], *args: Any) -> Any:
        try:
            result = await step(*args)
        except (Exception, StopAsyncIteration):
            await self._self_end()
            raise
        # Langflow's last step, at which most consumers stop.
        if type(result).__name__ == "Finish":
            await self._self_end()
        return result

    async def _self_end(self) -> None:
        if not self._self_is_over:
            self._self_is_over = True
            await self._self_flushed()


def flush_rows(pipeline: Pipeline, settings: Settings) -> list[tuple[str, str, Wrapper]]:
    """Return what is wrapped, as rows of the table of seams; none where nothing waits."""
    if settings.background:
        return []
    seam = FlushSeam(pipeline.flusher, settings.flush_timeout)
    return [
        (_GRAPH, "Graph.arun", seam.coroutine),
        (_GRAPH, "Graph.async_start", seam.async_start),
        (_GRAPH, "Graph.start", seam.start),
        ("langflow.api.build", "generate_flow_events", seam.build),
        ("lfx.run.base", "run_flow", seam.coroutine),
        # `lfx serve`; those that have its name from there, too.
        ("lfx.cli.common", "execute_graph_with_capture", seam.coroutine),
        ("lfx.cli.serve_app", "execute_graph_with_capture", seam.coroutine),
        ("lfx.workflow.router", "execute_graph_with_capture", seam.coroutine),
    ]


@contextlib.asynccontextmanager
async def _end_held_back(queue: Any) -> AsyncIterator[None]:
    """Hold back what says in `queue` that nothing more will come, while this is open.

    The queue of a workflow's stream is none of asyncio's, but has what that has.
    """
    put = getattr(queue, "put", None)
    # Only where it can be put back as it was.
    if not inspect.iscoroutinefunction(put) or "put" in getattr(queue, "__dict__", {"put"}):
        yield
        return
    held: list[Any] = []

    async def put_or_hold(item: Any) -> None:
        if isinstance(item, tuple) and len(item) == 3 and item[0] is None and item[1] is None:
            held.append(item)
        else:
            await put(item)

    queue.put = put_or_hold
    try:
        yield
    finally:
        vars(queue).pop("put", None)
        for item in held:
            await put(item)
