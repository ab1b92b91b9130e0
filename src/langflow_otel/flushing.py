"""Sends what is queued, and waits for it no longer than it may."""

import asyncio
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, wait
from typing import Any

from opentelemetry import trace

from langflow_otel.collected import end_all
from langflow_otel.export.background import Background
from langflow_otel.export.destination import DestinationSpanExporter
from langflow_otel.export.fan_out import FanOutSpanProcessor
from langflow_otel.guard import logger


class Flusher:
    """Begins flushes, and waits for them in a thread or in a coroutine.

    What is sent by a provider that was made elsewhere is flushed by that, which takes its time; so
    it is asked in a thread of its own.

    Args:
        processor: What was added to a provider here, if anything was.
        provider: A provider that was made elsewhere and has exporters of its own.
        exporters: Those of its exporters that are ours.
    """

    def __init__(
        self,
        processor: FanOutSpanProcessor | None,
        provider: trace.TracerProvider | None = None,
        exporters: Mapping[str, DestinationSpanExporter] | None = None,
    ) -> None:
        """See the class."""
        self._processor = processor
        self._provider = provider
        self._exporters = list((exporters or {}).values())
        self._background: tuple[int, Background] | None = None

    @property
    def background(self) -> Background:
        """The thread for what may hang."""
        if self._background is None or self._background[0] != os.getpid():
            self._background = (os.getpid(), Background())
        return self._background[1]

    def begin(self, *, patient: bool = True) -> "list[Future[None]]":
        """Begin to send all that is queued; return what is done when that was done.

        A destination that is not there just now is waited for only where that is `patient`.
        """
        flushes: list[Future[None]] = []
        if self._processor is None:
            end_all()
        else:
            flushes = self._processor.begin_flush(patient=patient)
        if self._force_flush() is not None:
            flush = self.background.call_once(self._flush_provider)
            if patient or not self._is_given_up():
                flushes.append(flush)
        return flushes

    def wait(self, seconds: float, *, patient: bool = True) -> bool:
        """Send all that is queued; return whether that was done in `seconds`."""
        return not wait(self.begin(patient=patient), seconds).not_done

    async def wait_off_loop(self, seconds: float, *, patient: bool = True) -> bool:
        """Do the same without blocking the event loop."""
        return await all_done(self.begin(patient=patient), seconds)

    def stop(self) -> None:
        """Let the thread end."""
        if self._background is not None and self._background[0] == os.getpid():
            self._background[1].stop()
            self._background = None

    def _is_given_up(self) -> bool:
        return bool(self._exporters) and all(each.circuit == "open" for each in self._exporters)

    def _force_flush(self) -> Callable[[], Any] | None:
        if self._provider is None:
            return None
        # One that is installed later is behind a proxy that knows nothing of flushes.
        force_flush = getattr(self._provider, "force_flush", None)
        return force_flush or getattr(trace.get_tracer_provider(), "force_flush", None)

    def _flush_provider(self) -> None:
        if self._processor is not None:
            self._processor.flushed_apart_in = threading.get_ident()
        force_flush = self._force_flush()
        if force_flush is not None and force_flush() is False:
            logger.debug("langflow-otel: the tracer provider could not send everything")


async def all_done(flushes: "Iterable[Future[None]]", seconds: float) -> bool:
    """Wait for `flushes`, `seconds` at the most; return whether all were done."""
    waiting = [asyncio.wrap_future(flush) for flush in flushes if not flush.done()]
    if not waiting:
        return True
    try:
        _, left = await asyncio.wait(waiting, timeout=seconds)
    finally:
        # Or else they would look for a loop that may be closed by then.
        for each in waiting:
            each.cancel()
    return not left
