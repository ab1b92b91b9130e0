"""The end of the process: whatever it ends by, what is left is sent first, within one bound.

`atexit` is where a normal exit, an exception and an interrupt come by. It is not called by a
signal that nobody handles, nor in the workers of a server (those leave by `os._exit`, or uvicorn
raises the signal once more): so there is a handler for SIGTERM, and a seam where uvicorn stops.
"""

import asyncio
import atexit
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import wait
from contextlib import suppress
from types import FrameType
from typing import Any

from langflow_otel.export.background import Background
from langflow_otel.flushing import all_done
from langflow_otel.guard import safely
from langflow_otel.pipeline import Pipeline
from langflow_otel.spans import under_way

# Seconds, besides the bound, to log what was not sent within it.
_TO_TELL = 0.5
# Seconds between two looks at whether a server hurries; it is killed two later.
_LOOK = 0.1


class Bound:
    """The time for all that is done at the end, however often that is announced.

    Args:
        seconds: How long that is.
    """

    def __init__(self, seconds: float) -> None:
        """See the class."""
        self.seconds = seconds
        self._until: float | None = None

    def left(self) -> float:
        """Return how many seconds are left; all of them, where the last end was none."""
        now = time.monotonic()
        if self._until is None or now > self._until + self.seconds:
            self._until = now + self.seconds
        return max(0.0, self._until - now)

    def note(self, *, done: bool) -> bool:
        """Say whether all was sent in time: then another announcement has all its time, too."""
        if done:
            self._until = None
        return done


class Leaving:
    """Ends the spans that are under way, and sends what is queued, when the process ends.

    Args:
        pipeline: What is queued there is sent, and what was made there is closed.
        seconds: How long that may take, in all.
    """

    def __init__(self, pipeline: Pipeline, seconds: float) -> None:
        """See the class."""
        self._pipeline = pipeline
        # Made here, where there is time: at the end it may be asked for in a signal handler.
        self._flusher = pipeline.flusher
        self._bound = Bound(seconds)
        self._handles_sigterm = False
        #: Whether it is still this that is to be done at the end.
        self.watches = False

    def watch(self, *, sigterm: bool) -> None:
        """Watch for the end, of a SIGTERM that nobody else handles only where that is wanted."""
        self.watches = True
        # After the provider's own, and so called before it.
        atexit.register(self.at_exit)
        if sigterm and _nobody_handles(signal.getsignal(signal.SIGTERM)):
            # Only the main thread may; a server's worker does not need it.
            with suppress(ValueError):
                signal.signal(signal.SIGTERM, self._terminated)
                self._handles_sigterm = True

    def forget(self) -> None:
        """Watch no more."""
        self.watches = False
        atexit.unregister(self.at_exit)
        if self._handles_sigterm and signal.getsignal(signal.SIGTERM) == self._terminated:
            with suppress(ValueError):
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
        self._handles_sigterm = False

    def at_exit(self) -> None:
        """Send what is left, and close."""
        under_way.cut_off()
        safely(self._pipeline.close, self._bound.left())

    def server_stops(self) -> None:
        """Begin to send, while a server waits for its last requests."""
        self._flusher.begin(patient=False)

    async def server_has_stopped(self) -> None:
        """Send what is left, off the event loop."""
        # A server in another thread may be stopped in a process that goes on.
        if threading.current_thread() is threading.main_thread():
            under_way.cut_off()
        done = await all_done(self._flusher.begin(), self._bound.left())
        self._bound.note(done=done)
        # A signal that came is raised once more, and nobody is called after that.
        self._pipeline.tell_what_waits()

    async def server_is_killed_in(self, seconds: float, hurries: Callable[[], bool]) -> None:
        """Send in time what is left of a server that may wait for its requests too long.

        What begins after that would not come to its end. There is no time where it `hurries`.
        """
        if threading.current_thread() is not threading.main_thread():
            return
        needed = min(self._bound.seconds + 2 * _TO_TELL, seconds / 2)
        until = time.monotonic() + seconds - needed
        # uvicorn keeps the signals that came in a list, and tells nobody.
        while (left := until - time.monotonic()) > 0 and not hurries():  # noqa: ASYNC110
            await asyncio.sleep(min(left, _LOOK))
        await asyncio.to_thread(self.at_exit)
        await self.server_has_stopped()

    def _terminated(self, number: int, _: FrameType | None) -> None:
        # Anything may have been interrupted, with any lock held: what takes one is for a thread.
        with suppress(Exception):  # no thread can be had, as it may be at the end
            wait([Background().call(self._leave)], self._bound.left() + _TO_TELL)
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    def _leave(self) -> None:
        under_way.cut_off()
        wait(self._flusher.begin(), self._bound.left())
        # Who keeps what is written there, as `lfx run` does in a run, will show it no more.
        sys.stderr = sys.__stderr__ or sys.stderr
        safely(self._pipeline.tell_what_waits)


def _nobody_handles(handler: Any) -> bool:
    """Tell whether SIGTERM is free: a thread that is not the main one could not take ours away."""
    ours = getattr(handler, "__self__", None)
    return handler is signal.SIG_DFL or (isinstance(ours, Leaving) and not ours.watches)
