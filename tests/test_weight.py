"""What a span is said to weigh is what it takes in memory: else a queue's bound would be none."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from itertools import count

import pytest
from opentelemetry.sdk.trace import ReadableSpan, Span, TracerProvider
from opentelemetry.trace import Link, SpanContext

from langflow_otel.export.content import shed
from langflow_otel.export.size import weight_of

SPANS = 500
TRACER = TracerProvider().get_tracer("langflow_otel")
numbers = count(1000)


def bare() -> Span:
    span = TRACER.start_span("component")
    assert isinstance(span, Span)
    return span


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
    span = TRACER.start_span("component", links=links)
    assert isinstance(span, Span)
    return span


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


def without_content() -> ReadableSpan:
    span = with_text("ab")()
    span.end()
    return shed(span)


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
        pytest.param(without_content, id="that has been left only without its content"),
    ],
)
def test_a_span_weighs_what_it_takes_in_memory(make: Callable[[], ReadableSpan]) -> None:
    told = weight_of(ended(make))
    taken = memory_of(make)
    assert 0.75 * taken < told < 1.35 * taken


def ended(make: Callable[[], ReadableSpan]) -> ReadableSpan:
    span = make()
    if isinstance(span, Span):
        span.end()
    return span


def memory_of(make: Callable[[], ReadableSpan]) -> float:
    ended(make)
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        held = [ended(make) for _ in range(SPANS)]
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
        return (after - before) / len(held)
    finally:
        tracemalloc.stop()
