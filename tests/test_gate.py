"""What is let into a destination's queue when it is nearly full, and how it is emptied in time."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, Status, StatusCode, set_span_in_context

from langflow_otel.export.account import Room, Statistics
from langflow_otel.export.destination import DestinationSpanExporter
from langflow_otel.export.fan_out import FanOutSpanProcessor
from langflow_otel.export.gate import Gate
from langflow_otel.export.sending import Answer, Verdict
from langflow_otel.export.size import size_of
from langflow_otel.settings import Settings

KB = 1024
ROOM = Room(100, 1 << 20)


class Backend:
    """Takes spans, as soon as it is let."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.asked = threading.Event()
        self.taken: list[ReadableSpan] = []

    def send(self, items: Sequence[ReadableSpan], timeout: float) -> Answer:
        self.asked.set()
        if not self.open.wait(30):
            return Answer(Verdict.FAILED, "closed")
        self.taken += items
        return Answer(Verdict.TAKEN)

    def size(self, item: ReadableSpan) -> int:
        return size_of(item)

    def hurry(self, seconds: float) -> None:
        pass

    def renew(self) -> None:
        pass

    def close(self) -> None:
        self.open.set()


class Traced:
    """A provider with destinations of our own, each with a backend that holds back."""

    def __init__(self, room: Room, backends: Sequence[Any], shutdown_timeout: float = 5.0) -> None:
        self.backends = backends
        settings = Settings(capture_content=True)
        gates = {
            f"backend {number}": Gate(
                DestinationSpanExporter(f"backend {number}", backend, settings=settings),
                room,
                lambda exporter: BatchSpanProcessor(exporter, schedule_delay_millis=10),
            )
            for number, backend in enumerate(backends)
        }
        self.fan_out = FanOutSpanProcessor(gates, shutdown_timeout)
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(self.fan_out)
        self.tracer = self.provider.get_tracer("langflow_otel")

    def root(self, name: str = "root", size: int = 0) -> Span:
        span = self.tracer.start_span(name, attributes={"input.value": "x" * size})
        span.end()
        return span

    def leaf(self, name: str = "leaf", size: int = 0, *, error: bool = False) -> None:
        parent = set_span_in_context(self.tracer.start_span("parent"))
        span = self.tracer.start_span(name, parent, attributes={"input.value": "x" * size})
        if error:
            span.set_status(Status(StatusCode.ERROR, "failed"))
        span.end()

    def statistics(self, number: int = 0) -> Statistics:
        return self.fan_out.gates[number].exporter.account.statistics()


@pytest.fixture
def traced() -> Iterator[Callable[..., Traced]]:
    made: list[Traced] = []

    def make(room: Room = ROOM, backends: int = 1, **options: Any) -> Traced:
        made.append(Traced(room, [Backend() for _ in range(backends)], **options))
        return made[-1]

    yield make
    for each in made:
        for backend in each.backends:
            backend.open.set()
        each.provider.shutdown()


def names(backend: Backend) -> list[str]:
    return [span.name for span in backend.taken]


def test_every_span_that_is_let_in_arrives_and_leaves_the_queue(traced: Any) -> None:
    here = traced()
    here.backends[0].open.set()
    for number in range(50):
        here.root(f"span {number}")
    assert here.provider.force_flush()
    assert names(here.backends[0]) == [f"span {number}" for number in range(50)]
    told = here.statistics()
    assert (told.accepted, told.exported, told.lost) == (50, 50, 0)
    assert (told.queue_items, told.queue_bytes) == (0, 0)


def test_when_there_are_too_many_spans_leaves_give_way_to_roots_and_errors(traced: Any) -> None:
    here = traced(Room(100, 1 << 30))
    for _ in range(200):
        here.leaf()
    for _ in range(5):
        here.root()
        here.leaf("failed", error=True)
    for _ in range(20):
        here.root("one too many")
    told = here.statistics()
    assert told.queue_items == 100
    assert told.refused == {"queue_full": 200 - 90 + 20}
    here.backends[0].open.set()
    assert here.provider.force_flush()
    sent = names(here.backends[0])
    assert [sent.count(name) for name in ("leaf", "root", "failed", "one too many")] == [
        90,
        5,
        5,
        0,
    ]


def test_when_there_are_too_many_bytes_content_gives_way_first(traced: Any) -> None:
    here = traced(Room(10_000, 1000 * KB))
    for _ in range(100):
        here.leaf(size=50 * KB)
    told = here.statistics()
    assert told.queue_bytes <= 900 * KB
    assert told.refused == {}
    assert told.without_content == 100 - 15
    here.backends[0].open.set()
    assert here.provider.force_flush()
    whole = [span for span in here.backends[0].taken if "input.value" in span.attributes]
    bare = [span for span in here.backends[0].taken if span.attributes.get("langflow.content.shed")]
    assert (len(whole), len(bare)) == (15, 85)


def test_when_spans_without_content_do_not_fit_either_roots_still_do(traced: Any) -> None:
    here = traced(Room(100_000, 100 * KB))
    while not here.statistics().refused:
        here.leaf("l" * 500)
    assert here.statistics().refused == {"queue_bytes": 1}
    here.root("root")
    here.leaf("failed", error=True)
    assert here.statistics().refused == {"queue_bytes": 1}
    here.backends[0].open.set()
    assert here.provider.force_flush()
    assert {"root", "failed"} <= set(names(here.backends[0]))


def test_a_span_larger_than_the_whole_queue_is_sent_without_its_content(traced: Any) -> None:
    here = traced(Room(100, 100 * KB))
    here.backends[0].open.set()
    here.root("huge", size=200 * KB)
    assert here.provider.force_flush()
    (span,) = here.backends[0].taken
    assert "input.value" not in span.attributes
    assert here.statistics().without_content == 1


def test_a_destination_that_hangs_takes_nothing_from_another(traced: Any) -> None:
    here = traced(Room(10, 1 << 20), backends=2)
    here.backends[1].open.set()
    for number in range(40):
        here.root(f"span {number}")
        assert here.fan_out.gates[1].flush().exception(10) is None
    assert len(here.backends[1].taken) == 40
    assert here.statistics(0).refused == {"queue_full": 30}
    assert here.statistics(1).lost == 0


def test_a_flush_of_a_backend_that_hangs_returns_in_its_time(traced: Any) -> None:
    here = traced(backends=2)
    here.backends[1].open.set()
    here.root()
    assert here.provider.force_flush(timeout_millis=200) is False
    assert names(here.backends[1]) == ["root"]
    here.backends[0].open.set()
    assert here.provider.force_flush(timeout_millis=10_000) is True


def test_a_flush_is_true_also_where_a_backend_takes_nothing(traced: Any) -> None:
    here = traced(backends=2)
    for backend in here.backends:
        backend.open.set()
    here.backends[0].send = lambda items, timeout: Answer(Verdict.FAILED, "HTTP 404")
    here.root()
    assert here.provider.force_flush() is True
    assert here.statistics(0).dropped == {"failed": 1}
    assert here.statistics(1).exported == 1


def test_a_shutdown_of_a_backend_that_hangs_gives_up_and_says_what_is_lost(
    traced: Any, said: Any
) -> None:
    here = traced(shutdown_timeout=0.3)
    here.root()
    assert here.backends[0].asked.wait(10)
    for _ in range(4):
        here.root()
    here.provider.shutdown()
    told = here.statistics()
    assert told.dropped == {"shutdown": 5}
    assert (told.queue_items, told.queue_bytes) == (0, 0)
    assert said(logging.WARNING) == [
        "langflow-otel: 5 spans did not reach backend 0 (in all: shutdown 5)"
    ]


def test_a_shutdown_of_a_live_backend_loses_nothing(traced: Any) -> None:
    here = traced(backends=2)
    for backend in here.backends:
        backend.open.set()
    for _ in range(60):
        here.root()
    here.provider.shutdown()
    assert [len(backend.taken) for backend in here.backends] == [60, 60]
    here.root("late")
    assert here.statistics().refused == {"shutdown": 1}


def test_spans_that_are_not_sampled_are_not_counted(traced: Any) -> None:
    from opentelemetry.sdk.trace import sampling

    here = traced()
    provider = TracerProvider(sampler=sampling.ALWAYS_OFF, shutdown_on_exit=False)
    provider.add_span_processor(here.fan_out)
    provider.get_tracer("langflow_otel").start_span("not sampled").end()
    assert here.statistics() == Statistics()


def test_a_destination_of_ai_spans_lets_no_others_into_its_queue(traced: Any) -> None:
    here = traced()
    here.provider.get_tracer("opentelemetry.instrumentation.httpx").start_span("GET").end()
    here.root()
    assert here.statistics().accepted == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_process_starts_with_nothing_queued_and_sends_its_own(traced: Any) -> None:
    here = traced()
    here.root("of the parent")
    assert here.backends[0].asked.wait(10)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        here.backends[0].open = threading.Event()
        here.backends[0].open.set()
        here.root("of the child")
        flushed = here.provider.force_flush(10_000)
        told = here.statistics()
        line = f"{flushed} {names(here.backends[0])} {told.accepted} {told.exported}"
        os.write(writer, line.encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writer)
    assert os.read(reader, 1000).decode() == "True ['of the child'] 1 1"
    here.backends[0].open.set()
    assert here.provider.force_flush()
    assert names(here.backends[0]) == ["of the parent"]
