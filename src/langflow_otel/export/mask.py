"""A company's own rules: a callable of theirs, kept from doing harm."""

import os
import queue
import threading
import time

from langflow_otel.guard import warn_once
from langflow_otel.settings import Mask

HIDDEN = "<hidden: the mask function failed or took too long>"
#: How long, in seconds, a call may take, and all the calls for one batch of spans.
CALL_SECONDS, BATCH_SECONDS = 0.25, 2.0


class GuardedMask:
    """Calls `function` in a thread of its own; what it fails at or is slow with is hidden.

    While a call hangs everything is hidden, without waiting: there is one thread, not one more
    for each call.
    """

    def __init__(self, function: Mask) -> None:
        """Guard `function`, which gets a text and returns what may be sent instead of it."""
        self._function = function
        self._left = 0.0
        self._lock = threading.Lock()
        self._busy = False
        self._worker: threading.Thread | None = None
        # Now: none can be started any more when the interpreter exits.
        self._start_worker()

    def begin_batch(self) -> None:
        """Let the calls take their time anew."""
        self._left = BATCH_SECONDS

    def __call__(self, text: str) -> str:
        """Return what may be sent instead of `text`."""
        if self._pid != os.getpid():
            # Forked, perhaps while the lock was held by a thread that is not here.
            self._lock = threading.Lock()
            self._start_worker()
        seconds, began = min(CALL_SECONDS, self._left), time.monotonic()
        if seconds <= 0 or not self._lock.acquire(timeout=seconds):
            return HIDDEN
        try:
            return self._called(text, seconds)
        finally:
            self._left -= time.monotonic() - began
            self._lock.release()

    def _called(self, text: str, seconds: float) -> str:
        if self._busy or self._worker is None or not self._worker.is_alive():
            return HIDDEN
        answer: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._busy = True
        self._work.put((text, answer))
        try:
            return answer.get(timeout=seconds)
        except queue.Empty:
            _say(f"took longer than {CALL_SECONDS * 1000:.0f} ms")
            return HIDDEN

    def _start_worker(self) -> None:
        self._pid, self._busy = os.getpid(), False
        self._work: queue.SimpleQueue[tuple[str, queue.SimpleQueue[str]]] = queue.SimpleQueue()
        self._worker = threading.Thread(
            target=self._run, args=(self._work,), name="langflow-otel-mask", daemon=True
        )
        self._worker.start()

    def _run(self, work: "queue.SimpleQueue[tuple[str, queue.SimpleQueue[str]]]") -> None:
        while True:
            text, answer = work.get()
            masked = self._masked(text)
            self._busy = False
            answer.put(masked)

    def _masked(self, text: str) -> str:
        try:
            masked: object = self._function(text)
        except BaseException as error:  # noqa: BLE001 - it is somebody else's
            _say(f"failed with {type(error).__name__}")
            return HIDDEN
        if isinstance(masked, str):
            return masked
        _say(f"returned {type(masked).__name__}, not a text")
        return HIDDEN


def _say(what: str) -> None:
    warn_once("langflow-otel: the mask function %s; what it was given is hidden (said once)", what)
