"""Two that take turns, without a clock: a piece goes when the one before it has come."""

from __future__ import annotations

import threading

from tests.support.faults import Cut


class Lockstep:
    """Between who sends pieces, at one end of what is tested, and who receives them at the other.

    Where a piece never comes the next is not sent: the stream is cut off after so many seconds.
    """

    def __init__(self, patience: float = 30) -> None:
        self._patience = patience
        self._received = threading.Semaphore(1)

    def send(self) -> None:
        """Return when all that has been sent has come; before each piece."""
        if not self._received.acquire(timeout=self._patience):
            raise Cut

    def received(self) -> None:
        """Say that a piece has come."""
        self._received.release()
