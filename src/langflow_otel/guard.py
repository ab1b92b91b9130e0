"""Never raise into Langflow: the one place where errors of our own are swallowed."""

import asyncio
import logging
import os
import sys
import threading
import traceback
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

logger = logging.getLogger("langflow_otel")


class _LastResort(logging.Handler):
    """Lets what nobody else would show go where Python lets it go: to standard error.

    `opentelemetry-instrument` adds a handler that makes OpenTelemetry's logs of it, which may be
    exported to nowhere; where there is any handler, Python has no last resort any more.
    """

    def emit(self, record: logging.LogRecord) -> None:
        last = logging.lastResort
        if last is not None and record.levelno >= last.level and not _is_shown(record.levelno):
            last.handle(record)


def _is_shown(level: int) -> bool:
    above: logging.Logger | None = logger
    while above is not None:
        for each in above.handlers:
            if not (_is_last(each) or _is_otels(each) or _is_turned_off(each, level)):
                return True
        above = above.parent if above.propagate else None
    return False


def _is_otels(handler: logging.Handler) -> bool:
    return type(handler).__module__.partition(".")[0] == "opentelemetry"


def _is_turned_off(handler: logging.Handler, level: int) -> bool:
    """Tell whether it is that of `lfx serve`, which hands all to structlog.

    lfx turns structlog off where it loads a flow; errors of all that the server is made of, too.
    """
    if type(handler).__name__ != "InterceptHandler" or "structlog" not in sys.modules:
        return False
    try:
        return not sys.modules["structlog"].get_logger().is_enabled_for(level)
    except Exception:  # noqa: BLE001 - an old one that cannot tell
        return False


def _is_last(handler: logging.Handler) -> bool:
    # By its name: the module may have been loaded twice.
    return type(handler).__name__ == _LastResort.__name__


if not any(map(_is_last, logger.handlers)):
    logger.addHandler(_LastResort())

R = TypeVar("R")

#: Tests set this, so that an error of ours fails them instead of being logged.
strict = False

_seen: set[tuple[Any, ...]] = set()
_seen_lock = threading.Lock()
_MAX_SEEN = 256


def safely(function: Callable[..., R], *args: Any) -> R | None:
    """Call `function`; on any `Exception` log it (once per place and type) and return None.

    Everything that a seam does for tracing goes through here, so that no error of ours changes
    what a flow does. `BaseException`s that are not errors (a cancel, an interrupt) pass.
    """
    try:
        return function(*args)
    except Exception as error:
        if strict:
            raise
        report(function, error)
        return None


async def safely_awaited(function: Callable[..., Awaitable[Any]], *args: Any) -> None:
    """Do the same with a coroutine function."""
    try:
        await function(*args)
    except Exception as error:
        if strict:
            raise
        report(function, error)


async def safely_in_thread(function: Callable[..., Any], *args: Any) -> None:
    """Do the same in a thread, for what reads a file."""
    try:
        await asyncio.to_thread(safely, function, *args)
    except Exception as error:
        if strict:
            raise
        report(function, error)


def _renew() -> None:
    global _seen_lock  # noqa: PLW0603 - another thread may have held it
    _seen_lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)


def report(place: Any, error: BaseException) -> None:
    """Log `error` by its type only (its text may quote a flow's content), once per place."""
    name = getattr(place, "__qualname__", None) or type(place).__name__
    said = warn_once(
        "langflow-otel: %s failed with %s; the flow is not affected, its trace may be "
        "incomplete (said once; where it failed is logged at debug level)",
        name,
        type(error).__name__,
    )
    if said and logger.isEnabledFor(logging.DEBUG):
        frames = "".join(traceback.format_list(traceback.extract_tb(error.__traceback__)))
        logger.debug("langflow-otel: %s failed at\n%s", name, frames)


def warn_once(message: str, *args: Any) -> bool:
    """Log a warning if it has not been logged before; tell whether it was."""
    key = (message, *args)
    with _seen_lock:
        if key in _seen or len(_seen) >= _MAX_SEEN:
            return False
        _seen.add(key)
    logger.warning(message, *args)
    return True
