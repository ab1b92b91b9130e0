"""Sends a batch for as long as it is worth it: again, in parts, or not at all for a while."""

import random
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from langflow_otel import guard
from langflow_otel.export.account import SHUTDOWN, Account
from langflow_otel.export.breaker import CircuitBreaker
from langflow_otel.export.sending import Answer, Sender, Verdict
from langflow_otel.guard import warn_once

#: The most seconds one batch may take with all its attempts (`OTEL_BSP_EXPORT_TIMEOUT`'s default).
DEFAULT_BUDGET = 30.0
# Seconds before the first retry, doubled for each further one up to the last.
_FIRST_DELAY, _LAST_DELAY = 0.25, 8.0
# What halving a batch down to one item takes, twice, and some: while nothing of it is taken, more
# refusals than that mean that the backend refuses everything.
_REFUSALS = 4
# So many batches in a row of which nothing was taken, and the next is not looked into.
_HOPELESS = 3
# So many requests that were taken, and the next may be twice as large again: what was too large may
# have been so for a while only.
_PROVEN = 16
# Where a request of less than this would be made, it is not worth starting it.
_LEAST_SECONDS = 0.02


@dataclass
class _Batch:
    """One batch on its way."""

    until: float
    #: Requests that may be refused, as invalid or too large, before anything is taken.
    refusals_left: int
    #: Why they were.
    refused: str = ""
    taken: int = 0


class ResilientSender:
    """Sends batches with `sender`, and notes in `account` what becomes of each item.

    What may pass (429, 5xx, no connection) is tried again, with growing and jittered delays, or
    after what `Retry-After` says. What is too large is halved, and what comes later is cut to what
    fits. What is invalid is halved until the culprit is alone. Wrong credentials, and a backend
    that stays away, open the circuit: for a while nothing is tried, and what waits, in the queue
    too, waits on.

    Args:
        sender: Makes one attempt.
        account: Where what becomes of the items is noted.
        max_items: The most items in one request.
        max_bytes: The most bytes in one request, as `sender.size` counts them; an item that is
            larger goes alone.
        credentials: The variables to look at where the backend says 401 or 403.
        budget: Seconds that one batch may take with all its attempts, but for those in which the
            circuit is open.
    """

    def __init__(
        self,
        sender: Sender,
        account: Account,
        *,
        max_items: int,
        max_bytes: int,
        credentials: str,
        budget: float = DEFAULT_BUDGET,
    ) -> None:
        """See the class."""
        self._sender = sender
        self._account = account
        self._max_items = max_items
        self._max_bytes = max_bytes
        self._credentials = credentials
        self._budget = budget
        self.renew()

    def renew(self) -> None:
        """Start anew: at first, and in a forked process, where no lock is held."""
        self._sender.renew()
        self._breaker = CircuitBreaker()
        self._last_call: float | None = None
        self._changed = threading.Condition()
        # What a request may have after the backend has said that more is too large.
        self._fitting = self._max_bytes
        self._fitted = 0
        self._refused_batches = 0

    @property
    def circuit(self) -> str:
        """The state of the circuit: `closed`, `open`, or `half_open` while one request is tried."""
        return self._breaker.state

    def deliver(self, items: Sequence[Any]) -> bool:
        """Send `items`; return whether the backend took all of them."""
        refusals = 2 * len(items).bit_length() + _REFUSALS
        hopeless = self._refused_batches >= _HOPELESS
        until = self._clipped(time.monotonic() + self._budget)
        batch = _Batch(until, refusals_left=1 if hopeless else refusals)
        unsettled = self._bring_to_an_end(items, batch)
        self._drop(unsettled, Verdict.FAILED.value)
        if batch.taken:
            self._refused_batches = 0
        elif batch.refusals_left <= 0:
            self._refused_batches += 1
        return batch.taken == len(items)

    def _bring_to_an_end(self, items: Sequence[Any], batch: _Batch) -> Sequence[Any]:
        """Send `items` in parts; return those that an error of ours has left."""
        parts: list[Sequence[Any]] = [items]
        try:
            parts = list(self._parts(items))[::-1]
            while parts:
                if batch.refusals_left <= 0 and not batch.taken:
                    self._drop(parts.pop(), batch.refused)
                    continue
                left = self._settle(parts[-1], batch)
                parts.pop()
                if left:
                    middle = len(left) // 2
                    parts += [left[middle:], left[:middle]]
        except Exception as error:
            if guard.strict:
                raise
            guard.report(self.deliver, error)
        return [item for part in parts for item in part]

    def hurry(self, seconds: float) -> None:
        """Let nothing take longer than `seconds` from now: the process is about to end."""
        with self._changed:
            self._last_call = time.monotonic() + seconds
            self._changed.notify_all()
        self._sender.hurry(seconds)

    def close(self) -> None:
        """Let go of connections, and of what is being waited for."""
        self.hurry(0.0)
        self._sender.close()

    def _settle(self, items: Sequence[Any], batch: _Batch) -> Sequence[Any]:
        """Bring `items` to an end; return them where they have to be halved."""
        answer: Answer | None = None
        for attempt in count():
            probing = self._breaker.state != "closed"
            self._wait_for_circuit(batch)
            seconds = self._clipped(batch.until) - time.monotonic()
            if seconds < _LEAST_SECONDS:
                return self._out_of_time(items, answer)
            self._account.add("requests")
            self._account.add("retries", int(attempt > 0))
            answer = self._sender.send(items, seconds)
            if answer.verdict is not Verdict.BUSY:
                return self._settled(items, answer, batch)
            if self._is_away(answer, batch, probing=probing):
                self._breaker.open(answer.retry_after)
            elif probing or not self._wait(_delay(attempt, answer), batch):
                return self._out_of_time(items, answer)
        raise AssertionError  # there is always another attempt

    def _is_away(self, answer: Answer, batch: _Batch, *, probing: bool) -> bool:
        """Tell whether it is the backend that keeps `batch`, which has time left, waiting."""
        left = self._clipped(batch.until) - time.monotonic()
        asked = answer.retry_after or 0.0
        return self._last_call is None and left >= _LEAST_SECONDS and (probing or asked > left)

    def _settled(self, items: Sequence[Any], answer: Answer, batch: _Batch) -> Sequence[Any]:
        verdict = answer.verdict
        if verdict is Verdict.UNAUTHORIZED:
            self._breaker.open(CircuitBreaker.LONGEST)
            self._say_unauthorized(answer)
        elif verdict is Verdict.FAILED:
            self._breaker.failed()
        else:
            self._breaker.answered()
        if verdict is Verdict.TAKEN:
            rejected = min(max(answer.rejected, 0), len(items))
            batch.taken += len(items) - rejected
            self._let_more_fit()
            self._account.add("exported", len(items) - rejected)
            return self._drop(items[:rejected], "rejected", answer)
        if verdict in (Verdict.INVALID, Verdict.TOO_LARGE) and self._halves(items, answer, batch):
            return items
        return self._drop(items, verdict.value, answer)

    def _halves(self, items: Sequence[Any], answer: Answer, batch: _Batch) -> bool:
        """Tell whether it is worth sending `items`, invalid or too large, in two parts."""
        if answer.verdict is Verdict.TOO_LARGE and len(items) > 1:
            self._fitting = max(1, sum(map(self._sender.size, items)) // 2)
            self._fitted = 0
        if not batch.taken:
            batch.refused = answer.verdict.value
            batch.refusals_left -= 1
            if batch.refusals_left <= 0:
                return False
        return len(items) > 1

    def _let_more_fit(self) -> None:
        self._fitted += 1
        if self._fitted >= _PROVEN:
            self._fitted = 0
            self._fitting = min(2 * self._fitting, self._max_bytes)

    def _out_of_time(self, items: Sequence[Any], answer: Answer | None) -> Sequence[Any]:
        if answer is not None and self._last_call is None:
            self._breaker.open(answer.retry_after)
        return self._drop(items, self._why("timeout"), answer)

    def _why(self, reason: str) -> str:
        return reason if self._last_call is None else SHUTDOWN

    def _drop(
        self, items: Sequence[Any], reason: str, answer: Answer | None = None
    ) -> Sequence[Any]:
        if items:
            self._account.drop(reason, len(items), answer.detail if answer else "")
        return ()

    def _wait(self, seconds: float, batch: _Batch) -> bool:
        """Wait so long; return False, at once, where that is longer than `batch` may take."""
        until = time.monotonic() + seconds
        with self._changed:
            while (left := until - time.monotonic()) > 0:
                if until >= self._clipped(batch.until):
                    return False
                self._changed.wait(left)
        return True

    def _wait_for_circuit(self, batch: _Batch) -> None:
        """Wait while the circuit is open, which takes no time of the batch's.

        At the end of the process it is tried at once: the backend may be back by now.
        """
        began = time.monotonic()
        with self._changed:
            while self._last_call is None and (left := self._breaker.left) > 0:
                self._changed.wait(left)
        batch.until += time.monotonic() - began

    def _clipped(self, until: float) -> float:
        return until if self._last_call is None else min(until, self._last_call)

    def _parts(self, items: Sequence[Any]) -> Iterator[Sequence[Any]]:
        """Cut `items` so that each part fits into a request."""
        part: list[Any] = []
        size = 0
        for item in items:
            more = self._sender.size(item)
            if part and (len(part) >= self._max_items or size + more > self._fitting):
                yield part
                part, size = [], 0
            part.append(item)
            size += more
        if part:
            yield part

    def _say_unauthorized(self, answer: Answer) -> None:
        warn_once(
            "langflow-otel: %s refuses the credentials (%s); look at %s. Nothing is sent there "
            "until it takes them (tried again once a minute)",
            self._account.name,
            answer.detail,
            self._credentials or "its API key and address",
        )


def _delay(attempt: int, answer: Answer) -> float:
    """Return the seconds before the next attempt: longer each time, and not the same for all."""
    longest = min(_LAST_DELAY, _FIRST_DELAY * 2 ** min(attempt, 16))
    spread = random.uniform(0.5, 1.0)  # noqa: S311
    return float(max(longest * spread, answer.retry_after or 0.0))
