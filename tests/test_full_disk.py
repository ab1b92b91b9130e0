"""A real Phoenix whose disk is full: flows go on, and its account says what it has taken."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import TracerProvider

from langflow_otel import LangflowInstrumentor
from tests.support import chain
from tests.support.chain import SayComponent
from tests.support.counting import CountingSpanProcessor
from tests.support.invariants import check
from tests.support.phoenix import MISSING, Phoenix, interpreter
from tests.support.spans import Span

PROJECT = "full disk"
AT_ONCE, COMPONENTS = 200, 20
SPANS = AT_ONCE * (COMPONENTS + 1)

pytestmark = [
    pytest.mark.phoenix,
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits another process"),
]


@pytest.fixture
def small() -> Iterator[Phoenix]:
    """One of our own: what has lost data is nothing for other tests."""
    if interpreter() is None:
        pytest.skip(MISSING)
    with Phoenix() as started:
        yield started


@pytest.fixture
def counting(small: Phoenix, environment: pytest.MonkeyPatch) -> Iterator[CountingSpanProcessor]:
    environment.setenv("PHOENIX_COLLECTOR_ENDPOINT", small.endpoint)
    environment.setenv("PHOENIX_PROJECT_NAME", PROJECT)
    LangflowInstrumentor().instrument()
    provider = LangflowInstrumentor().tracer_provider
    assert isinstance(provider, TracerProvider)
    counting = CountingSpanProcessor()
    provider.add_span_processor(counting)
    yield counting
    LangflowInstrumentor().uninstrument()


@pytest.mark.exhaustive
async def test_a_phoenix_whose_disk_is_full_costs_the_flows_nothing(
    small: Phoenix, counting: CountingSpanProcessor, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting, half, full = 0, asyncio.Event(), asyncio.Event()

    async def before(number: int) -> None:
        nonlocal waiting
        if number == COMPONENTS // 2:
            waiting += 1
            if waiting == AT_ONCE:
                half.set()
            await full.wait()

    monkeypatch.setattr(SayComponent, "before", before)
    graphs = [chain.chain(COMPONENTS, f"answer {number}") for number in range(AT_ONCE)]
    flows = [asyncio.ensure_future(chain.run(graph, "s1")) for graph in graphs]
    await half.wait()
    with small.disk_full():
        full.set()
        answers = await asyncio.gather(*flows)
        flushed = await LangflowInstrumentor().aforce_flush(60_000)
    assert answers == [f"answer {number}" for number in range(AT_ONCE)]
    assert flushed

    told = LangflowInstrumentor().statistics()["phoenix"]
    assert told.accepted + sum(told.refused.values()) == counting.ended == SPANS
    assert told.accepted == told.exported + sum(told.dropped.values())
    # Phoenix says that it has taken what it cannot write: nobody but itself can tell.
    assert len(await asyncio.to_thread(small.spans, PROJECT)) < told.exported

    await chain.run(chain.chain(3, "there is room again"), "s2")
    assert await LangflowInstrumentor().aforce_flush(60_000)

    def later(spans: list[Span]) -> list[Span]:
        return [span for span in spans if span.attributes.get("session.id") == "s2"]

    spans = await asyncio.to_thread(
        small.wait_for_spans, PROJECT, lambda spans: len(later(spans)) == 4
    )
    check(later(spans), traces=1)
