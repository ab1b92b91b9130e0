"""What became of a destination's spans, by number: readable, and told when it is bad."""

import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from langflow_otel.guard import logger

#: At least this many seconds lie between two log lines about what one destination lost.
LOG_INTERVAL = 60.0

QUEUE_FULL, QUEUE_BYTES, SHUTDOWN = "queue_full", "queue_bytes", "shutdown"


class Room(NamedTuple):
    """How many spans a queue may hold, and how many bytes."""

    items: int
    bytes: int


@dataclass(frozen=True)
class Statistics:
    """What became of one destination's spans so far.

    `accepted` is `exported`, plus the spans in `dropped`, plus `queue_items`, once nothing is under
    way; what was never let into the queue stands in `refused`.

    Attributes:
        accepted: Spans that were let into the queue (or, where the SDK has made the queue, given
            to the exporter).
        exported: Spans that the backend took. (That it took them is all that it says.)
        refused: Spans not let into the queue, by reason: `queue_full`, `queue_bytes`, `shutdown`.
        dropped: Spans let in and not taken by the backend, by reason: `timeout`,
            `unauthorized`, `invalid`, `too_large`, `failed`, `rejected`, `untranslatable`,
            `shutdown`.
        without_content: Spans that lost their content to make room; they were sent.
        requests: Requests made.
        retries: Those among them that were made again.
        queue_items: Spans in the queue or on their way.
        queue_bytes: About how many bytes they take.
        export_seconds: The time that exports took, added up.
        in_flight: Spans among those in the queue that are being sent.
        queue_capacity: The most spans that may be in the queue; 0 where the SDK has made it.
        queue_bytes_capacity: The most bytes.
        circuit: `closed`, `open` (nothing is tried for a while) or `half_open`.
    """

    accepted: int = 0
    exported: int = 0
    refused: Mapping[str, int] = field(default_factory=dict)
    dropped: Mapping[str, int] = field(default_factory=dict)
    without_content: int = 0
    requests: int = 0
    retries: int = 0
    queue_items: int = 0
    queue_bytes: int = 0
    export_seconds: float = 0.0
    in_flight: int = 0
    queue_capacity: int = 0
    queue_bytes_capacity: int = 0
    circuit: str = "closed"

    @property
    def lost(self) -> int:
        """All spans that the backend did not get."""
        return sum(self.refused.values()) + sum(self.dropped.values())


class Account:
    """Keeps the numbers of one destination.

    Args:
        name: The destination's name.
    """

    def __init__(self, name: str) -> None:
        """See the class."""
        self.name = name
        self.renew()

    def renew(self) -> None:
        """Start at nothing: at first, and in a forked process, where no lock is held."""
        # Held for additions only, never while anything waits.
        self._lock = threading.Lock()
        self._numbers: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()
        self._dropped: Counter[str] = Counter()
        self._details: dict[str, str] = {}
        self._seconds = 0.0
        self._told = self._told_waiting = 0
        self._next_line = 0.0
        #: What happens after the end is not noted any more.
        self._closed = False

    def admit(self, size: int, room: Room) -> str | None:
        """Note a span of `size` bytes in the queue, if there is room; else return the reason."""
        with self._lock:
            if self._closed:
                return SHUTDOWN
            if self._numbers["queue_items"] >= room.items:
                return QUEUE_FULL
            if self._numbers["queue_bytes"] + size > room.bytes:
                return QUEUE_BYTES
            self._numbers["accepted"] += 1
            self._numbers["queue_items"] += 1
            self._numbers["queue_bytes"] += size
            return None

    def release(self, items: int, size: int) -> None:
        """Note that `items` spans of `size` bytes together have left the queue."""
        with self._lock:
            if not self._closed:
                self._numbers["queue_items"] -= items
                self._numbers["queue_bytes"] -= size

    def passed(self) -> tuple[int, int]:
        """Return how many spans have been let into the queue, and how many have left it."""
        with self._lock:
            accepted = self._numbers["accepted"]
            return accepted, accepted - self._numbers["queue_items"]

    def refuse(self, reason: str) -> None:
        """Note a span that was not let into the queue."""
        with self._lock:
            self._refused[reason] += 1

    def drop(self, reason: str, items: int = 1, detail: str = "") -> None:
        """Note spans that were let in, and that the backend will not get.

        `detail` says more for the log, as `HTTP 503`.
        """
        with self._lock:
            if not self._closed:
                self._dropped[reason] += items
                self._details[reason] = detail or self._details.get(reason, "")

    def add(self, number: str, amount: int = 1) -> None:
        """Add to one of the plain numbers of `Statistics`."""
        with self._lock:
            if not self._closed:
                self._numbers[number] += amount

    def took(self, seconds: float) -> None:
        """Note how long an export took."""
        with self._lock:
            self._seconds += seconds

    def statistics(self) -> Statistics:
        """Return the numbers as they are now."""
        with self._lock:
            numbers: dict[str, Any] = dict(self._numbers)
            return Statistics(
                refused=dict(self._refused),
                dropped=dict(self._dropped),
                export_seconds=self._seconds,
                **numbers,
            )

    def abandon(self) -> None:
        """Note that what is still in the queue will not be sent any more."""
        with self._lock:
            left = self._numbers["queue_items"]
            if left:
                self._dropped[SHUTDOWN] += left
            self._numbers["queue_items"] = self._numbers["queue_bytes"] = 0
            self._closed = True

    def tell(self, *, at_last: bool = False) -> None:
        """Log what was lost since the last time; at most once a minute, or `at_last`."""
        now = time.monotonic()
        with self._lock:
            reasons = self._refused + self._dropped
            lost = sum(reasons.values())
            if lost == self._told or (now < self._next_line and not at_last):
                return
            since, self._told, self._next_line = lost - self._told, lost, now + LOG_INTERVAL
        logger.error(
            "langflow-otel: %d spans did not reach %s (in all: %s)",
            since,
            self.name,
            ", ".join(self._line(reason, count) for reason, count in sorted(reasons.items())),
        )

    def tell_what_waits(self) -> None:
        """Log what was lost, and what is not sent yet where the process may end at once."""
        self.tell(at_last=True)
        with self._lock:
            # Those on their way are among those in the queue, where there is one of ours.
            waiting = max(self._numbers["queue_items"], self._numbers["in_flight"])
            news = waiting != self._told_waiting
            self._told_waiting = waiting
        if waiting and news:
            logger.error(
                "langflow-otel: %d spans still wait for %s; where the process ends now they are "
                "lost",
                waiting,
                self.name,
            )

    def _line(self, reason: str, count: int) -> str:
        detail = self._details.get(reason)
        return f"{reason} {count} ({detail})" if detail else f"{reason} {count}"
