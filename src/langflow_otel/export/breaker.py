"""A circuit breaker: nothing is sent for a while to a backend that is not there."""

import time


class CircuitBreaker:
    """Says whether a request is worth making.

    Closed, all are. Open, none is. After a while one is, half open: if the backend answers it the
    circuit closes, else it opens again for longer. Used by one thread at a time.
    """

    #: Seconds that the circuit is open at first, and at most.
    SHORTEST, LONGEST = 5.0, 60.0
    #: Failures in a row, each of them final at once, that open it.
    FAILURES = 3

    def __init__(self) -> None:
        """Start closed."""
        self.answered()

    @property
    def state(self) -> str:
        """`closed`, `open` or `half_open`."""
        if self._until is None:
            return "closed"
        return "open" if self.left > 0 else "half_open"

    @property
    def left(self) -> float:
        """The seconds until a request is worth making."""
        return 0.0 if self._until is None else max(0.0, self._until - time.monotonic())

    def answered(self) -> None:
        """Close: the backend is there."""
        self._until: float | None = None
        self._seconds = self.SHORTEST
        self._failures = 0

    def failed(self) -> None:
        """Count a failure that no retry mends; open after some in a row."""
        self._failures += 1
        if self._until is not None or self._failures >= self.FAILURES:
            self.open()

    def open(self, seconds: float | None = None) -> None:
        """Open for `seconds`, or for as long as it is due: twice as long each time."""
        due = self._seconds if seconds is None else min(max(seconds, self._seconds), self.LONGEST)
        self._until = time.monotonic() + due
        self._seconds = min(2 * self._seconds, self.LONGEST)
