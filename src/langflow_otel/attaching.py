"""Makes a context current, and what was before current again, wherever that is closed."""

from contextvars import Token
from types import TracebackType

from opentelemetry import context as otel_context
from opentelemetry.context import Context


class attached:  # noqa: N801 - reads as `contextlib`'s do
    """Makes `context` current inside of `with`; None changes nothing."""

    __slots__ = ("_context", "_token")

    def __init__(self, context: Context | None) -> None:
        """Take what is to be current."""
        self._context = context
        self._token: Token[Context] | None = None

    def __enter__(self) -> None:
        """Make it current."""
        if self._context is not None:
            self._token = otel_context.attach(self._context)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Make current again what was."""
        if self._token is not None:
            detach(self._token)
            self._token = None


def detach(token: Token[Context]) -> bool:
    """Make current again what was before `token` was got from `attach`; tell if that was done here.

    A coroutine or generator that nobody reads any more is closed wherever the collector runs. What
    it had attached was attached in another context, and goes with that; OpenTelemetry would log
    an error.
    """
    try:
        token.var.reset(token)
    except ValueError:
        return False  # Attached in another context.
    except AttributeError:
        # Of a runtime context (`OTEL_PYTHON_CONTEXT`) that is none of contextvars'.
        otel_context.detach(token)
    return True
