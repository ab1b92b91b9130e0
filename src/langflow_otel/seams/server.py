"""Where uvicorn stops: the last moment in a server's worker at which something can be sent."""

import asyncio
import signal
from collections.abc import Callable
from functools import partial
from typing import Any

from langflow_otel.guard import safely, safely_awaited
from langflow_otel.leaving import Leaving


class ServerSeam:
    """The wrapper around the stop of a server.

    Args:
        leaving: Sends what is left.
        grace: Seconds after which who stops a server kills it; None where nobody has said.
    """

    def __init__(self, leaving: Leaving, grace: float | None) -> None:
        """See the class."""
        self._leaving = leaving
        self._grace = grace

    async def shutdown(
        self,
        wrapped: Callable[..., Any],
        server: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """Send while the server waits for its last requests, and what came of those after it."""
        safely(self._leaving.server_stops)
        in_time = safely(self._watch_the_clock, server)
        try:
            return await wrapped(*args, **kwargs)
        finally:
            if in_time is not None:
                in_time.cancel()
            await safely_awaited(self._leaving.server_has_stopped)

    def _watch_the_clock(self, server: Any) -> "asyncio.Task[None] | None":
        """Cut off in time what a server waits for that is killed when it waits too long."""
        seconds = _gunicorns_grace(server) if self._grace is None else self._grace
        if seconds is None:
            return None
        hurries = partial(_gunicorn_hurries, server)
        killed_in = self._leaving.server_is_killed_in
        return asyncio.create_task(safely_awaited(killed_in, seconds, hurries))


def _gunicorns_settings(server: Any) -> Any:
    worker = getattr(server.config.callback_notify, "__self__", None)
    return getattr(worker, "cfg", None)


def _gunicorns_grace(server: Any) -> float | None:
    """Return the seconds after which gunicorn kills a worker that it has told to stop.

    A worker that stops by itself, because it has answered so many requests, is not killed.
    """
    settings = _gunicorns_settings(server)
    if settings is None or not server.should_exit:
        return None
    return float(settings.graceful_timeout)


def _gunicorn_hurries(server: Any) -> bool:
    """Tell whether a worker is both interrupted and told to stop.

    So is gunicorn then, and version 26 kills its workers in two seconds. A terminal interrupts all
    of `langflow run`, where what has started gunicorn tells it to stop.
    """
    told = set(getattr(server, "_captured_signals", ()))
    return told >= {signal.SIGINT, signal.SIGTERM} and _gunicorns_settings(server) is not None
