"""What a span is said to weigh is what it takes in memory: else a queue's bound would be none."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from itertools import count
from typing import Any, cast

import pytest
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.trace import Link, Span, SpanContext

from langflow_otel.export.content import shed
from langflow_otel.export.size import weight_of, weight_of_copy

SPANS = 200
numbers = count(1000)


class Kept(SpanProcessor):
    """Keeps what the SDK gives out of spans that end, as a queue does."""

    def __init__(self) -> None:
        self.spans: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        self.spans.append(span)


KEPT = Kept()
PROVIDER = TracerProvider()
PROVIDER.add_span_processor(KEPT)
TRACER = PROVIDER.get_tracer("langflow_otel")


def bare() -> Span:
    return TRACER.start_span("component")


def with_attributes() -> Span:
    span = bare()
    span.set_attributes({f"langflow.attribute.{at}": next(numbers) for at in range(20)})
    return span


def with_events() -> Span:
    span = bare()
    for _ in range(5):
        span.add_event("retry", {"attempt": next(numbers), "waited": next(numbers)})
    return span


def with_links() -> Span:
    links = [Link(SpanContext(next(numbers), next(numbers), is_remote=False)) for _ in range(3)]
    return TRACER.start_span("component", links=links)


def with_text(alphabet: str) -> Callable[[], Span]:
    def make() -> Span:
        span = bare()
        span.set_attribute("input.value", f"{next(numbers)}{alphabet * 5_000}")
        return span

    return make


def with_list() -> Span:
    span = bare()
    span.set_attribute("tag.tags", [f"tag number {next(numbers)}" for _ in range(50)])
    return span


def keeps_mappings() -> bool:
    """As new versions of OpenTelemetry do; old ones leave them out."""
    with bare() as span:
        span.set_attribute("of", cast("Any", {"a": 1}))
    return KEPT.spans.pop().attributes == {"of": {"a": 1}}


def with_mapping() -> Span:
    span = bare()
    told = [{"role": "user", "content": f"{next(numbers)}{'ab' * 2_000}"} for _ in range(3)]
    span.set_attribute("gen_ai.input.messages", cast("Any", told))
    return span


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(bare, id="with nothing"),
        pytest.param(with_attributes, id="with attributes"),
        pytest.param(with_events, id="with events"),
        pytest.param(with_links, id="with links"),
        pytest.param(with_text("ab"), id="with English"),
        pytest.param(with_text("éa"), id="with French"),
        pytest.param(with_text("漢字"), id="with Chinese"),
        pytest.param(with_text("😀a"), id="with an emoji among letters"),
        pytest.param(with_list, id="with a list"),
        pytest.param(
            with_mapping,
            id="with mappings",
            marks=pytest.mark.skipif(not keeps_mappings(), reason="this OpenTelemetry keeps none"),
        ),
    ],
)
def test_a_span_weighs_what_it_takes_in_memory(make: Callable[[], Span]) -> None:
    def ended() -> ReadableSpan:
        make().end()
        return KEPT.spans.pop()

    taken = memory_of(ended)
    told = weight_of(ended())
    assert 0.75 * taken < told < 1.35 * taken


@pytest.mark.parametrize("make", [bare, with_text("ab"), with_events])
def test_so_does_one_that_is_left_without_its_content(make: Callable[[], Span]) -> None:
    def bared() -> ReadableSpan:
        make().end()
        return shed(KEPT.spans.pop())

    taken = memory_of(bared)
    told = weight_of_copy(bared())
    assert 0.75 * taken < told < 1.35 * taken


def memory_of(make: Callable[[], ReadableSpan]) -> float:
    """Return how many bytes each of many that `make` makes takes."""
    make()
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        held = [make() for _ in range(SPANS)]
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
        return (after - before) / len(held)
    finally:
        tracemalloc.stop()
