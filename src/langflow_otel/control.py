"""What a program says that knows better than a timer when spans should be sent."""

import asyncio

from langflow_otel.instrumentor import LangflowInstrumentor


def force_flush(timeout_millis: float | None = None) -> bool:
    """Send all spans that have ended by now, and wait until that is done.

    For platforms that freeze or end a process after its answer, at the end of a handler. Before
    `instrument()` and after `uninstrument()` there is nothing to do. May be called in any thread;
    in a coroutine it blocks the event loop for as long, where `aforce_flush` does not.

    Args:
        timeout_millis: The most milliseconds (as OpenTelemetry counts) to wait. Default: what
            `OTEL_PYTHON_LANGFLOW_FLUSH_TIMEOUT` says.

    Returns:
        Whether it was done in that time. What a backend then did not take is in
        `LangflowInstrumentor().statistics()`.
    """
    return LangflowInstrumentor().force_flush(timeout_millis)


async def aforce_flush(timeout_millis: float | None = None) -> bool:
    """Do the same as `force_flush`, without blocking the event loop."""
    return await LangflowInstrumentor().aforce_flush(timeout_millis)


def shutdown(timeout_millis: float | None = None) -> bool:
    """End the spans that are under way as cancelled, send everything, and uninstrument.

    A tracer provider that was made elsewhere is flushed, and left open. May be called in any
    thread, and more than once; `instrument()` turns everything on again. In a coroutine it blocks
    the event loop for as long, where `ashutdown` does not.

    Args:
        timeout_millis: The most milliseconds to take. Default: what
            `OTEL_PYTHON_LANGFLOW_SHUTDOWN_TIMEOUT` says.

    Returns:
        Whether everything was sent in that time.
    """
    return LangflowInstrumentor().shutdown(timeout_millis)


async def ashutdown(timeout_millis: float | None = None) -> bool:
    """Do the same as `shutdown`, without blocking the event loop."""
    return await asyncio.to_thread(shutdown, timeout_millis)
