"""Sends a batch for as long as it is worth it: again, in parts, or not at all for a while."""

import random
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from langflow_otel.export.account import SHUTDOWN, Account
from langflow_otel.export.breaker import CircuitBreaker
from langflow_otel.export.sending import Answer, Sender, Verdict
from langflow_otel.guard import warn_once

#: The most seconds one batch may take with all its attempts (`OTEL_BSP_EXPORT_TIMEOUT`'s default).
DEFAULT_BUDGET = 30.0
# Seconds before the first retry, doubled for each further one up to the last.
_FIRST_DELAY, _LAST_DELAY = 0.25, 8.0
# Requests that may be refused as invalid while nothing of the batch has been taken.
_HOPELESS = 8
# Where a request of less than this would be made, it is not worth starting it.
_LEAST_SECONDS = 0.02


@dataclass
class _Batch:
    """One batch on its way."""

    until: float
    invalid: int = 0
    taken: int = 0


class ResilientSender:
    """Sends batches with `sender`, and notes in `account` what becomes of each item.

    What may pass (429, 5xx, no connection) is tried again, with growing and jittered delays, or
    after what `Retry-After` says; what is too large is halved; what is invalid is halved until the
    culprit is alone. Wrong credentials, and a backend that stays away, open the circuit: for a
    while nothing is tried.

    Args:
        sender: Makes one attempt.
        account: Where what becomes of the items is noted.
        max_items: The most items in one request.
        max_bytes: The most bytes in one request, as `sender.size` counts them; an item that is
            larger goes alone.
        credentials: The variables to look at where the backend says 401 or 403.
        budget: Seconds that one batch may take with all its attempts.
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
        self._breaker = CircuitBreaker()
        self._last_call: float | None = None
        self._changed = threading.Condition()

    @property
    def circuit(self) -> str:
        """The state of the circuit: `closed`, `open`, or `half_open` while one request is tried."""
        return self._breaker.state

    def deliver(self, items: Sequence[Any]) -> bool:
        """Send `items`; return whether the backend took all of them."""
        batch = _Batch(self._clipped(time.monotonic() + self._budget))
        parts = list(self._parts(items))[::-1]
        while parts:
            part = parts.pop()
            left = self._settle(part, batch)
            if left:
                middle = len(left) // 2
                parts += [left[middle:], left[:middle]]
        return batch.taken == len(items)

    def hurry(self, seconds: float) -> None:
        """Let nothing take longer than `seconds` from now: the process is about to end."""
        with self._changed:
            self._last_call = time.monotonic() + seconds
            self._changed.notify_all()

    def close(self) -> None:
        """Let go of connections, and of what is being waited for."""
        self.hurry(0.0)
        self._sender.close()

    def _settle(self, items: Sequence[Any], batch: _Batch) -> Sequence[Any]:
        """Bring `items` to an end; return them where they have to be halved."""
        answer: Answer | None = None
        for attempt in count():
            if not self._breaker.allows():
                return self._drop(items, "circuit_open")
            seconds = self._clipped(batch.until) - time.monotonic()
            if seconds < _LEAST_SECONDS:
                return self._out_of_time(items, batch, answer)
            self._account.add("requests")
            answer = self._sender.send(items, seconds)
            if answer.verdict is not Verdict.BUSY:
                return self._settled(items, answer, batch)
            if self._breaker.half_open or not self._pause(attempt, answer, batch):
                return self._out_of_time(items, batch, answer)
            self._account.add("retries")
        raise AssertionError  # there is always another attempt

    def _settled(self, items: Sequence[Any], answer: Answer, batch: _Batch) -> Sequence[Any]:
        verdict = answer.verdict
        if verdict is Verdict.TAKEN:
            rejected = min(answer.rejected, len(items))
            batch.taken += len(items) - rejected
            self._breaker.succeeded()
            self._account.add("exported", len(items) - rejected)
            return self._drop(items[:rejected], "rejected")
        if verdict is Verdict.UNAUTHORIZED:
            self._breaker.open(CircuitBreaker.LONGEST)
            self._say_unauthorized(answer)
        elif verdict is Verdict.FAILED:
            self._breaker.failed()
        elif self._halves(items, verdict, batch):
            return items
        return self._drop(items, verdict.value, answer)

    def _halves(self, items: Sequence[Any], verdict: Verdict, batch: _Batch) -> bool:
        """Tell whether it is worth sending `items`, invalid or too large, in two parts."""
        if verdict is Verdict.INVALID:
            batch.invalid += 1
            if batch.invalid >= _HOPELESS and not batch.taken:
                self._breaker.failed()
                return False
        return len(items) > 1

    def _out_of_time(
        self, items: Sequence[Any], batch: _Batch, answer: Answer | None
    ) -> Sequence[Any]:
        closing = self._last_call is not None
        if answer is not None and not closing:
            self._breaker.open(answer.retry_after)
        return self._drop(items, SHUTDOWN if closing else "timeout", answer)

    def _drop(
        self, items: Sequence[Any], reason: str, answer: Answer | None = None
    ) -> Sequence[Any]:
        if items:
            self._account.drop(reason, len(items), answer.detail if answer else "")
        return ()

    def _pause(self, attempt: int, answer: Answer, batch: _Batch) -> bool:
        """Wait before the next attempt; tell whether there is time for one."""
        delay = min(_LAST_DELAY, _FIRST_DELAY * 2**attempt) * random.uniform(0.5, 1.0)  # noqa: S311 - spreads retries
        until = time.monotonic() + max(delay, answer.retry_after or 0.0)
        with self._changed:
            while (left := until - time.monotonic()) > 0:
                if until >= self._clipped(batch.until):
                    return False
                self._changed.wait(left)
        return True

    def _clipped(self, until: float) -> float:
        return until if self._last_call is None else min(until, self._last_call)

    def _parts(self, items: Sequence[Any]) -> Iterator[Sequence[Any]]:
        """Cut `items` so that each part fits into a request."""
        part: list[Any] = []
        size = 0
        for item in items:
            more = self._sender.size(item)
            if part and (len(part) >= self._max_items or size + more > self._max_bytes):
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
