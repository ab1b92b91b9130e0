"""Where uvicorn stops: the last moment in a server's worker at which something can be sent."""

from collections.abc import Callable
from typing import Any

from langflow_otel.guard import safely, safely_awaited
from langflow_otel.leaving import Leaving


class ServerSeam:
    """The wrapper around the stop of a server."""

    def __init__(self, leaving: Leaving) -> None:
        """Send what is left with `leaving`."""
        self._leaving = leaving

    async def shutdown(
        self, wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Send while the server waits for its last requests, and what came of those after it."""
        safely(self._leaving.server_stops)
        try:
            return await wrapped(*args, **kwargs)
        finally:
            await safely_awaited(self._leaving.server_has_stopped)
