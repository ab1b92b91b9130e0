"""What the collector finds is ended by a thread: nothing may be ended where the collector runs.

That is wherever memory is asked for, also in a thread that holds a lock (of a queue, of a metric)
which ending a span takes, too.
"""

import os
import queue
import threading
from collections.abc import Callable
from typing import Any

from langflow_otel.export.background import Background
from langflow_otel.guard import safely

# Longer than ending what was found takes; a signal may come while the lock is held.
_PATIENCE = 1.0


class _Collected:
    """What was found, and who ends it."""

    def __init__(self, thread: Background | None = None) -> None:
        # This queue can be put into by who is putting into it already.
        self.found: queue.SimpleQueue[tuple[Callable[..., object], tuple[Any, ...]]]
        self.found = queue.SimpleQueue()
        self.lock = threading.RLock()
        self.thread = thread


_here = _Collected()


def watch() -> None:
    """Begin to end what is found."""
    if _here.thread is None:
        _here.thread = Background()


def forget() -> None:
    """End what was found, and then no more: what is found from now on is ended at once."""
    thread, _here.thread = _here.thread, None
    if thread is not None:
        thread.stop()
    end_all()


def end_later(end: Callable[..., object], *args: Any) -> None:
    """Call `end`, safely, in another thread; for a `__del__`, so this takes no lock."""
    here, thread = _here, _here.thread
    if thread is None:
        safely(end, *args)
        return
    here.found.put((end, args))
    thread.call(end_all)


def end_all() -> None:
    """End what was found by now, or wait for who does."""
    here = _here
    held = here.lock.acquire(timeout=_PATIENCE)
    try:
        while True:
            end, args = here.found.get_nowait()
            safely(end, *args)
            del end, args
    except queue.Empty:
        return
    finally:
        if held:
            here.lock.release()


def _renew() -> None:
    # What was found is the other process's, and there is none of its threads here.
    global _here  # noqa: PLW0603
    _here = _Collected(Background() if _here.thread is not None else None)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew)
