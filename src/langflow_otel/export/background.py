"""A thread for what may hang, so that who asks for it can stop waiting."""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future

from langflow_otel.guard import safely


def promise() -> "Future[None]":
    """Return what will be done; who waits for it together with others cannot cancel it."""
    done = Future[None]()
    done.set_running_or_notify_cancel()
    return done


_Call = tuple[Callable[[], object], "Future[None]"]
_Calls = queue.SimpleQueue[_Call | None]


class Background:
    """Calls functions one after the other, and `often` once in a while.

    The thread is there from the start: none can be started any more when the interpreter exits.
    Asking takes no lock, so that a signal's handler can.

    Args:
        often: Called each time that nothing else was for `interval` seconds.
        interval: Seconds; None where there is nothing to call.
    """

    def __init__(
        self, often: Callable[[], object] | None = None, interval: float | None = None
    ) -> None:
        """See the class."""
        self._calls: _Calls = queue.SimpleQueue()
        self._waiting: dict[Callable[[], object], Future[None]] = {}
        arguments = (self._calls, self._waiting, often, interval)
        name = "langflow-otel-flush"
        threading.Thread(target=_called_in_turn, args=arguments, name=name, daemon=True).start()

    def call(self, function: Callable[[], object]) -> "Future[None]":
        """Call `function` some time; return what is done when that has been done."""
        done = promise()
        self._calls.put((function, done))
        return done

    def call_once(self, function: Callable[[], object]) -> "Future[None]":
        """Do the same, together with all who have asked for it and whose turn has not come."""
        done = self._waiting.get(function)
        if done is None:
            # Two who ask at once may each get a call of their own.
            done = self._waiting[function] = promise()
            self._calls.put((function, done))
        return done

    def stop(self) -> None:
        """Let the thread end, after what it was asked to call."""
        self._calls.put(None)


def _called_in_turn(
    calls: _Calls,
    waiting: dict[Callable[[], object], "Future[None]"],
    often: Callable[[], object] | None,
    interval: float | None,
) -> None:
    # No method: the thread would keep the object, and what that belongs to, alive.
    while True:
        try:
            call = calls.get(timeout=interval)
        except queue.Empty:
            if often is not None:
                safely(often)
            continue
        if call is None:
            return
        function, done = call
        # Before it begins: who asks from now on may have something that it does not see.
        waiting.pop(function, None)
        safely(function)
        done.set_result(None)
        del call, function, done
