"""While a batch is made ready to be sent, other threads have their turn: an event loop, say."""

from __future__ import annotations

import math
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider

from langflow_otel.export import turns
from langflow_otel.export.http import otlp_sender
from langflow_otel.export.langfuse import LangfuseSpanExporter
from tests.support.receiver import OtlpReceiver

SPANS = 400


def batch() -> list[ReadableSpan]:
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("langflow_otel")
    numbered = {f"langflow.attribute.{at}": at for at in range(16)}
    texts = {"input.value": "a question " * 50, "output.value": "an answer " * 50}
    attributes = {**numbered, **texts}
    made: list[Any] = [tracer.start_span("x", attributes=attributes) for _ in range(SPANS)]
    for span in made:
        span.end()
    return made


@pytest.fixture
def never_interrupted() -> Iterator[None]:
    """Let Python switch to another thread only where one lets go by itself."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(60)
    yield
    sys.setswitchinterval(before)


def turns_of_another_thread(call: Callable[[], object]) -> int:
    """Return how often another thread, which always wants to run, does so during `call`."""
    had, over = 0, False

    def run() -> None:
        nonlocal had
        while not over:
            had += 1
            time.sleep(0.0001)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        call()
        return had
    finally:
        over = True
        thread.join(10)


def translating(_: OtlpReceiver) -> Callable[[Sequence[ReadableSpan]], object]:
    """Without credentials it sends nothing."""
    return LangfuseSpanExporter().export


def encoding(receiver: OtlpReceiver) -> Callable[[Sequence[ReadableSpan]], object]:
    sender = otlp_sender(receiver.traces_endpoint, {})
    return lambda spans: sender.send(spans, 10)


@pytest.mark.parametrize("what", [translating, encoding])
@pytest.mark.usefixtures("never_interrupted")
def test_other_threads_have_many_turns_while_a_batch_is_made_ready(
    receiver: OtlpReceiver,
    what: Callable[[OtlpReceiver], Callable[[Sequence[ReadableSpan]], object]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    done = what(receiver)
    spans = batch()
    done(spans[:1])
    with_breaks = turns_of_another_thread(lambda: done(spans))
    monkeypatch.setattr(turns, "_TURN", math.inf)
    # Those that it has while the request is on its way, and is read by the receiver.
    without = turns_of_another_thread(lambda: done(spans))
    assert with_breaks > 2 * without


class Clock:
    """Of a process in which whoever is let run keeps the interpreter for `kept` seconds."""

    def __init__(self, kept: float) -> None:
        self.now = self.slept = 0.0
        self.breaks = 0
        self._kept = kept

    def perf_counter(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += max(seconds, self._kept)
        self.slept += max(seconds, self._kept)
        self.breaks += 1


@pytest.mark.parametrize("kept", [0.0, 0.0002, 0.005])
def test_others_get_two_thirds_of_the_time_at_the_most(
    kept: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, worked = Clock(kept), 0.0
    monkeypatch.setattr(turns, "time", clock)
    for _ in turns.InTurns(range(1000)):
        clock.now += 0.0001
        worked += 0.0001
    assert clock.slept <= 2 * worked + turns._MORE + kept
    assert clock.breaks >= 0.9 * worked / max(turns._TURN + 0.0001, kept / 2)


def test_what_is_gone_through_in_turns_is_what_it_was() -> None:
    numbers = list(range(5))
    taken = turns.InTurns(numbers)
    assert list(taken) == numbers
    assert (len(taken), taken[1], taken[1:3]) == (5, 1, [1, 2])
