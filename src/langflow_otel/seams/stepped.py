"""An async generator whose span is current while it runs, and only then."""

from collections.abc import AsyncGenerator, Callable
from typing import Any

from langflow_otel.guard import safely
from langflow_otel.spans import FlowSpan


class SteppedGenerator(AsyncGenerator[Any, Any]):
    """Passes each step on to `steps` with the span of `begin` current.

    A span that stayed current across a `yield` would leak into the consumer's code, and be
    detached in another task than it was attached in. The span ends when the steps do, when they
    fail, when the generator is closed, or when nobody holds it any more.
    """

    def __init__(
        self,
        steps: AsyncGenerator[Any, Any],
        begin: Callable[[], FlowSpan | None],
        end: Callable[[FlowSpan, BaseException | None], None],
    ) -> None:
        """Wrap `steps`; the span begins with the first of them."""
        self._steps = steps
        self._begin: Callable[[], FlowSpan | None] | None = begin
        self._end = end
        self._span: FlowSpan | None = None
        self._running = False

    async def asend(self, value: Any) -> Any:
        """Run to the next step, handing `value` in."""
        return await self._step(self._steps.asend, value)

    async def athrow(self, *args: Any) -> Any:
        """Run to the next step, raising an error inside first."""
        return await self._step(self._steps.athrow, *args)

    async def aclose(self) -> None:
        """Close the generator; a run that has not come to its end is cancelled."""
        await self._step(self._steps.aclose)
        self._finish(GeneratorExit())

    async def _step(self, step: Callable[..., Any], *args: Any) -> Any:
        if self._begin is not None:
            begin, self._begin = self._begin, None
            self._span = safely(begin)
        span = self._span
        if span is None:
            return await step(*args)
        if self._running:
            return await step(*args)  # Python refuses it: a generator takes one step at a time.
        self._running = True
        safely(span.attach)
        try:
            result = await step(*args)
        except StopAsyncIteration:
            self._finish(None)
            raise
        except BaseException as error:
            self._finish(error)
            raise
        else:
            # Langflow's last step. Most consumers stop there and leave the generator unfinished.
            if type(result).__name__ == "Finish":
                self._finish(None)
            return result
        finally:
            self._running = False
            safely(span.detach)

    def _finish(self, error: BaseException | None) -> None:
        span, self._span = self._span, None
        if span is not None:
            safely(self._end, span, error)
            safely(span.end)

    def __del__(self) -> None:
        """End the span of a run that was abandoned half-way."""
        self._finish(GeneratorExit())
