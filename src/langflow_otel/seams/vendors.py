"""Langflow's own tracers: off for a vendor that has a destination of ours, so nothing is doubled.

Besides doubling every trace, Langflow's Arize Phoenix tracer uninstruments LangChain for the whole
process at the end of each run, and posts from the event loop.
"""

import os
from collections.abc import Callable, Collection
from typing import Any

from langflow_otel import environment as env
from langflow_otel.guard import logger, safely
from langflow_otel.settings import Settings

_ARIZE = ("ARIZE_API_KEY", "ARIZE_SPACE_ID")


class VendorSeam:
    """The wrappers around what makes Langflow's own tracers at the start of each run."""

    def __init__(self, destinations: Collection[str], settings: Settings) -> None:
        """Replace the tracers of the vendors in `destinations`, if `settings` want it."""
        self._replaced = frozenset(destinations) if settings.replace_tracers else frozenset()
        self._said: set[str] = set()

    def phoenix(
        self, wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Leave Langflow's Arize Phoenix tracer out, unless it is for Arize, too."""
        if safely(self._replaces, "phoenix", _ARIZE):
            return None
        return wrapped(*args, **kwargs)

    def _replaces(self, destination: str, kept_for: tuple[str, ...]) -> bool:
        if destination not in self._replaced:
            return False
        kept = all(os.environ.get(name) for name in kept_for)
        if destination not in self._said:
            self._said.add(destination)
            _say(destination, kept_for if kept else ())
        return not kept


def _say(destination: str, kept_for: tuple[str, ...]) -> None:
    if kept_for:
        logger.warning(
            "langflow-otel: Langflow's own %s tracer stays on, because %s are set: traces are "
            "doubled, and model spans are lost after the first run",
            destination,
            " and ".join(kept_for),
        )
    else:
        logger.info(
            "langflow-otel: Langflow's own %s tracer is off, langflow-otel sends there instead "
            "(%s=false turns it on again)",
            destination,
            env.OTEL_PYTHON_LANGFLOW_REPLACE_TRACERS,
        )
