"""What becomes of a batch that a backend does not simply take."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from langflow_otel.export import resilient
from langflow_otel.export.account import Account, Room
from langflow_otel.export.breaker import CircuitBreaker
from langflow_otel.export.resilient import ResilientSender
from langflow_otel.export.sending import Answer, Verdict

BUSY = Answer(Verdict.BUSY, "HTTP 503")
TAKEN = Answer(Verdict.TAKEN)


class Backend:
    """Answers as it is told, and remembers what it took. An item is a number, its size in bytes."""

    def __init__(self, *answers: Answer, otherwise: Callable[[Sequence[int]], Answer]) -> None:
        self._answers, self._otherwise = list(answers), otherwise
        self.taken: list[int] = []
        self.requests: list[list[int]] = []
        self.timeouts: list[float] = []
        self.closed = False

    def send(self, items: Sequence[int], timeout: float) -> Answer:
        self.requests.append(list(items))
        self.timeouts.append(timeout)
        answer = self._answers.pop(0) if self._answers else self._otherwise(items)
        if answer.verdict is Verdict.TAKEN:
            self.taken += items
        return answer

    def size(self, item: int) -> int:
        return item

    def hurry(self, seconds: float) -> None:
        pass

    def renew(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True


class Sent:
    """A resilient sender to a backend, and its account."""

    def __init__(self, *answers: Answer, otherwise: Any = lambda _: TAKEN, **options: Any) -> None:
        self.backend = Backend(*answers, otherwise=otherwise)
        self.account = Account("here")
        settings = {"max_items": 100, "max_bytes": 10_000, "credentials": "HERE_KEY", "budget": 5.0}
        self.sender = ResilientSender(self.backend, self.account, **{**settings, **options})

    def deliver(self, *items: int) -> bool:
        for item in items:
            assert self.account.admit(item, Room(10_000, 1 << 30)) is None
        done = self.sender.deliver(items)
        self.account.release(len(items), sum(items))
        told = self.account.statistics()
        assert told.accepted == told.exported + sum(told.dropped.values())
        assert told.queue_items == told.queue_bytes == 0
        return done


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resilient, "_FIRST_DELAY", 0.001)
    monkeypatch.setattr(resilient, "_LAST_DELAY", 0.01)
    monkeypatch.setattr(CircuitBreaker, "SHORTEST", 0.05)
    monkeypatch.setattr(CircuitBreaker, "LONGEST", 0.4)


def test_what_is_taken_is_exported_in_one_request() -> None:
    sent = Sent()
    assert sent.deliver(1, 2, 3)
    assert sent.backend.requests == [[1, 2, 3]]
    assert sent.account.statistics().exported == 3
    assert sent.account.statistics().retries == 0


def test_a_busy_backend_is_asked_again_until_it_takes_the_batch() -> None:
    sent = Sent(BUSY, BUSY, Answer(Verdict.BUSY, "ConnectionError"))
    assert sent.deliver(1, 2)
    assert sent.backend.requests == [[1, 2]] * 4
    assert sent.account.statistics().retries == 3
    assert sent.account.statistics().lost == 0


def test_retry_after_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = Sent(Answer(Verdict.BUSY, "HTTP 429", retry_after=0.3))
    began = time.monotonic()
    assert sent.deliver(1)
    assert time.monotonic() - began >= 0.3


def test_a_retry_after_beyond_the_budget_is_kept_to_and_the_batch_waits() -> None:
    sent = Sent(Answer(Verdict.BUSY, "HTTP 429", retry_after=0.4), budget=0.1)
    began = time.monotonic()
    assert sent.deliver(1)
    assert time.monotonic() - began >= 0.4
    assert sent.backend.requests == [[1], [1]]
    assert sent.account.statistics().dropped == {}


def test_a_batch_takes_no_longer_than_its_budget_and_opens_the_circuit() -> None:
    sent = Sent(otherwise=lambda _: BUSY, budget=0.2)
    assert not sent.deliver(1, 2)
    assert sent.account.statistics().dropped == {"timeout": 2}
    assert all(timeout <= 0.2 for timeout in sent.backend.timeouts)
    assert sent.sender.circuit == "open"


def test_what_comes_while_a_backend_is_away_waits_until_it_is_back() -> None:
    """However long that is: the circuit is open for longer than a batch may take."""
    answers = [TAKEN, BUSY, BUSY, BUSY]
    sent = Sent(otherwise=lambda _: answers.pop() if answers else TAKEN, budget=0.1)
    sent.sender._breaker.open(0.3)
    began = time.monotonic()
    assert sent.deliver(3)
    assert time.monotonic() - began > 0.3
    assert sent.backend.requests == [[3]] * 4, "each once in the time that it was open"
    assert sent.deliver(4)
    assert sent.account.statistics().dropped == {}
    assert sent.account.statistics().retries == 3


def test_at_the_end_of_the_process_it_is_tried_once_more_though_the_circuit_is_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(CircuitBreaker, "LONGEST", 3600.0)
    sent = Sent()
    sent.sender._breaker.open(3600.0)
    waiting = threading.Thread(target=sent.deliver, args=(1,), daemon=True)
    waiting.start()
    time.sleep(0.1)
    assert sent.backend.requests == []
    sent.sender.hurry(5.0)
    waiting.join(10)
    assert sent.account.statistics().exported == 1


def test_what_is_too_large_is_halved_until_it_fits() -> None:
    too_large = Answer(Verdict.TOO_LARGE, "HTTP 413")
    sent = Sent(otherwise=lambda items: TAKEN if sum(items) <= 10 else too_large)
    assert sent.deliver(4, 4, 4, 4, 4, 4)
    assert sent.backend.taken == [4] * 6
    assert not sent.deliver(3, 11, 3)
    assert sent.account.statistics().dropped == {"too_large": 1}


def test_a_request_has_no_more_items_and_bytes_than_are_allowed() -> None:
    sent = Sent(max_items=3, max_bytes=100)
    assert sent.deliver(60, 60, 1, 1, 1, 1, 500, 1)
    assert sent.backend.requests == [[60], [60, 1, 1], [1, 1], [500], [1]]


@pytest.mark.parametrize(
    ("size", "poisoned"), [(64, [7]), (64, [0, 63]), (64, [5, 6, 40]), (512, [0]), (1024, [0, 9])]
)
def test_a_poisoned_item_is_found_and_the_others_are_taken(size: int, poisoned: list[int]) -> None:
    invalid = Answer(Verdict.INVALID, "HTTP 400")
    sent = Sent(
        otherwise=lambda items: invalid if set(items) & set(poisoned) else TAKEN,
        max_items=2000,
        max_bytes=1 << 30,
    )
    assert not sent.deliver(*range(size))
    assert sent.backend.taken == [item for item in range(size) if item not in poisoned]
    assert sent.account.statistics().dropped == {"invalid": len(poisoned)}


def test_a_backend_that_calls_everything_invalid_is_not_asked_for_every_item() -> None:
    sent = Sent(otherwise=lambda _: Answer(Verdict.INVALID, "HTTP 400"))
    for _ in range(3):
        assert not sent.deliver(*range(1, 65))
    assert len(sent.backend.requests) < 64
    before = len(sent.backend.requests)
    assert not sent.deliver(*range(1, 65))
    assert len(sent.backend.requests) == before + 1
    assert sent.account.statistics().dropped == {"invalid": 4 * 64}
    assert sent.sender.circuit == "closed"


def test_after_it_a_backend_that_takes_some_again_is_looked_into_again() -> None:
    healthy = [False]
    invalid = Answer(Verdict.INVALID, "HTTP 400")
    sent = Sent(otherwise=lambda items: TAKEN if healthy[0] and 7 not in items else invalid)
    for _ in range(4):
        sent.deliver(*range(64))
    healthy[0] = True
    assert sent.deliver(1, 2, 3)
    assert not sent.deliver(*range(64))
    assert sent.account.statistics().dropped == {"invalid": 4 * 64 + 1}


def test_a_batch_waits_while_the_circuit_is_open_if_it_may(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(CircuitBreaker, "SHORTEST", 0.2)
    answers = [Answer(Verdict.FAILED, "HTTP 404")] * CircuitBreaker.FAILURES
    sent = Sent(*answers)
    for item in range(CircuitBreaker.FAILURES):
        sent.deliver(item)
    assert sent.sender.circuit == "open"
    assert sent.deliver(3, 4)
    assert sent.account.statistics().dropped == {"failed": 3}


def test_once_a_request_was_too_large_the_next_are_cut_to_what_fits() -> None:
    too_large = Answer(Verdict.TOO_LARGE, "HTTP 413")
    sent = Sent(otherwise=lambda items: TAKEN if sum(items) <= 100 else too_large)
    assert sent.deliver(*[10] * 64)
    before = len(sent.backend.requests)
    assert sent.deliver(*[10] * 64)
    assert len(sent.backend.requests) - before <= 13


def test_what_was_too_large_for_a_while_is_sent_at_once_again() -> None:
    refuses, too_large = [True], Answer(Verdict.TOO_LARGE, "HTTP 413")
    sent = Sent(otherwise=lambda items: too_large if refuses and len(items) > 1 else TAKEN)
    assert sent.deliver(*[10] * 64)
    refuses.clear()
    for _ in range(20):
        assert sent.deliver(*[10] * 64)
    sent.backend.requests.clear()
    assert sent.deliver(*[10] * 64)
    assert sent.backend.requests == [[10] * 64]


def test_what_stays_too_large_is_hardly_tried_again() -> None:
    too_large = Answer(Verdict.TOO_LARGE, "HTTP 413")
    sent = Sent(otherwise=lambda items: TAKEN if sum(items) <= 100 else too_large)
    for _ in range(100):
        assert sent.deliver(*[10] * 64)
    assert len(sent.backend.taken) == 6400
    # Ten items a request would be 640 of them.
    assert len(sent.backend.requests) <= 2 * 6400 / 10


@pytest.mark.parametrize("rejected", [-5, 99])
def test_a_number_of_refused_items_that_makes_no_sense_breaks_no_account(rejected: int) -> None:
    sent = Sent(Answer(Verdict.TAKEN, rejected=rejected))
    sent.deliver(1, 2, 3)
    told = sent.account.statistics()
    assert told.exported + sum(told.dropped.values()) == 3
    assert told.exported >= 0


@pytest.mark.parametrize("status", ["HTTP 401", "HTTP 403"])
def test_refused_credentials_are_named_once_and_not_tried_again(status: str, said: Any) -> None:
    sent = Sent(otherwise=lambda _: Answer(Verdict.UNAUTHORIZED, status))
    assert not sent.deliver(1)
    assert sent.sender.circuit == "open"
    began = time.monotonic()
    assert not sent.deliver(2)
    assert time.monotonic() - began > CircuitBreaker.LONGEST / 2
    assert sent.backend.requests == [[1], [2]]
    assert sent.account.statistics().dropped == {"unauthorized": 2}
    (line,) = said(logging.WARNING)
    assert line.startswith(f"langflow-otel: here refuses the credentials ({status}); look at HERE_")


def test_what_fails_for_good_is_not_tried_again_and_opens_the_circuit_in_the_end() -> None:
    sent = Sent(otherwise=lambda _: Answer(Verdict.FAILED, "HTTP 404"), budget=1.0)
    for item in range(CircuitBreaker.FAILURES):
        assert sent.sender.circuit == "closed"
        assert not sent.deliver(item)
    assert sent.sender.circuit == "open"
    assert not sent.deliver(9)
    assert sent.account.statistics().dropped == {"failed": CircuitBreaker.FAILURES + 1}


def test_items_that_a_backend_refuses_of_a_batch_it_takes_are_lost() -> None:
    sent = Sent(Answer(Verdict.TAKEN, rejected=2))
    assert not sent.deliver(1, 2, 3)
    told = sent.account.statistics()
    assert (told.exported, told.dropped) == (1, {"rejected": 2})


def test_at_the_end_of_the_process_no_retry_outlasts_the_time_that_is_left() -> None:
    sent = Sent(otherwise=lambda _: BUSY, budget=60.0)
    done = threading.Event()

    def deliver() -> None:
        sent.deliver(1, 2)
        done.set()

    threading.Thread(target=deliver, daemon=True).start()
    while not sent.backend.requests:
        time.sleep(0.001)
    sent.sender.hurry(0.05)
    assert done.wait(10)
    assert sent.account.statistics().dropped == {"shutdown": 2}


def test_losses_are_told_at_most_once_a_minute(monkeypatch: pytest.MonkeyPatch, said: Any) -> None:
    account = Account("here")
    account.refuse("queue_full")
    account.tell()
    account.drop("timeout", 3)
    account.tell()
    assert said(logging.WARNING) == [
        "langflow-otel: 1 spans did not reach here (in all: queue_full 1)"
    ]
    monkeypatch.setattr("langflow_otel.export.account.LOG_INTERVAL", 0.0)
    account._next_line = 0.0
    account.tell()
    account.tell()
    assert said(logging.WARNING)[1:] == [
        "langflow-otel: 3 spans did not reach here (in all: queue_full 1, timeout 3)"
    ]
