"""What waits for a backend that is dead takes no more memory than it may, however much comes."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.trace import StatusCode

from langflow_otel import LangflowInstrumentor
from langflow_otel.export.account import Statistics
from langflow_otel.selection import SCOPE
from tests.support.counting import CountingSpanProcessor
from tests.support.faults import DEAD
from tests.support.receiver import OtlpReceiver

MB, KB = 1_000_000, 1_000
# Spans; what one request holds.
BATCH = 8
# So many spans: to look at all there is takes a moment.
LOOK_EACH = 50


class Dead:
    """Langflow, instrumented, with one destination that takes nothing."""

    def __init__(self) -> None:
        provider = LangflowInstrumentor().tracer_provider
        assert isinstance(provider, TracerProvider)
        self.counting = CountingSpanProcessor()
        provider.add_span_processor(self.counting)
        self._tracer = provider.get_tracer(SCOPE)

    @property
    def statistics(self) -> Statistics:
        return LangflowInstrumentor().statistics()["phoenix"]

    @property
    def held(self) -> int:
        """The characters of all texts in the spans that something still holds."""
        spans = (each for each in gc.get_objects() if issubclass(type(each), ReadableSpan))
        texts = [(span.attributes or {}).get("input.value", "") for span in spans]
        return sum({id(text): len(text) for text in texts}.values())

    def end(self, size: int, *, failed: bool = False) -> None:
        """End a span with a text of that size."""
        text = "x" * size
        with self._tracer.start_as_current_span("span", attributes={"input.value": text}) as span:
            if failed:
                span.set_status(StatusCode.ERROR)


@pytest.fixture
def cap() -> int:
    return 4 << 20


@pytest.fixture(params=DEAD)
def dead(
    request: pytest.FixtureRequest,
    receiver: OtlpReceiver,
    environment: pytest.MonkeyPatch,
    cap: int,
) -> Iterator[Dead]:
    environment.setenv("OTEL_PYTHON_LANGFLOW_QUEUE_MAX_BYTES", str(cap))
    environment.setenv("PHOENIX_COLLECTOR_ENDPOINT", receiver.endpoint)
    environment.setenv("OTEL_PYTHON_LANGFLOW_SHUTDOWN_TIMEOUT", "100")
    environment.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", str(BATCH))
    with receiver.faults.mode(DEAD[request.param]()):
        LangflowInstrumentor().instrument()
        # What is there now need not be looked through for spans.
        gc.freeze()
        try:
            yield Dead()
        finally:
            gc.unfreeze()
            LangflowInstrumentor().uninstrument()


@pytest.mark.parametrize(
    ("spans", "size", "cap"),
    [(2_500, MB, 64 << 20), (10_000, 10 * KB, 4 << 20)],
    ids=["2,500 of 1 MB", "10,000 of 10 KB"],
)
def test_the_queue_of_a_dead_backend_never_holds_more_bytes_than_it_may(
    dead: Dead, spans: int, size: int, cap: int
) -> None:
    for number in range(spans):
        dead.end(size, failed=number % 10 == 0)
        told = dead.statistics
        assert told.queue_bytes <= cap
        assert told.accepted + sum(told.refused.values()) == dead.counting.ended == number + 1
        # What the queue says is what there is; but for a batch that has just been given up, whose
        # thread still holds it, and for the span that has just ended.
        if number % LOOK_EACH == 0:
            assert dead.held <= cap + (BATCH + 1) * size
    told = dead.statistics
    assert told.without_content > 0
    assert told.refused.keys() <= {"queue_bytes", "queue_full"}
    # Content goes first; spans, where there are too many even without.
    assert told.without_content + sum(told.refused.values()) > spans // 2


def test_nor_where_many_threads_end_spans_at_once(dead: Dead, cap: int) -> None:
    threads, each = 8, 500
    highest = [0] * threads
    begin = threading.Barrier(threads)

    def end_some(thread: int) -> None:
        begin.wait(30)
        for _ in range(each):
            dead.end(100 * KB)
            highest[thread] = max(highest[thread], dead.statistics.queue_bytes)

    running = [threading.Thread(target=end_some, args=(number,)) for number in range(threads)]
    for one in running:
        one.start()
    for one in running:
        one.join(60)
    told = dead.statistics
    assert 0 < max(highest) <= cap
    assert told.accepted + sum(told.refused.values()) == dead.counting.ended == threads * each
    assert told.accepted == told.exported + sum(told.dropped.values()) + told.queue_items
