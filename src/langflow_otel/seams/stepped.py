"""An async generator whose span is current while it runs, and only then."""

from collections.abc import AsyncGenerator, Callable
from typing import Any

from langflow_otel.attaching import attached
from langflow_otel.collected import end_later
from langflow_otel.guard import safely
from langflow_otel.seams.steps import AsyncGeneratorSteps, Watch
from langflow_otel.spans import FlowSpan


class SteppedGenerator(AsyncGeneratorSteps):
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
        """Stand for `steps`; the span begins with the first of them."""
        run = _Run(begin, end)
        super().__init__(steps, run)
        self._self_begin = run.begin

    async def __anext__(self) -> Any:
        """Run to the next step; the run begins with the first."""
        self._self_begin()
        return await super().__anext__()

    async def asend(self, value: Any) -> Any:
        """Do the same, handing `value` in."""
        self._self_begin()
        return await super().asend(value)


class _Run(Watch):
    """The flow run that is in the steps."""

    def __init__(
        self,
        begin: Callable[[], FlowSpan | None],
        end: Callable[[FlowSpan, BaseException | None], None],
    ) -> None:
        self._begin: Callable[[], FlowSpan | None] | None = begin
        self._end = end
        self._span: FlowSpan | None = None

    def begin(self) -> None:
        """Begin the run, once."""
        begin, self._begin = self._begin, None
        if begin is not None:
            self._span = safely(begin)

    def around(self) -> attached:
        # What is closed or fails before its first step is no run.
        self._begin = None
        return attached(self._span.context if self._span is not None else None)

    def took(self, piece: Any) -> None:
        # Langflow's last step. Most consumers stop there and leave the generator unfinished.
        if type(piece).__name__ == "Finish":
            self.over(None)

    def over(self, error: BaseException | None) -> None:
        span, self._span = self._span, None
        if span is not None:
            _finish(span, self._end, error)

    def __del__(self) -> None:
        """Have the span of a run ended that was abandoned half-way."""
        span, self._span = self._span, None
        if span is not None:
            end_later(_finish, span, self._end, GeneratorExit())


def _finish(
    span: FlowSpan,
    end: Callable[[FlowSpan, BaseException | None], None],
    error: BaseException | None,
) -> None:
    safely(end, span, error)
    safely(span.end)
