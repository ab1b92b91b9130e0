"""A span of ours is ended once and made current in one place, whoever else comes upon it."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry.context import attach, get_current, set_value
from opentelemetry.sdk.trace import TracerProvider

from langflow_otel.attaching import attached
from langflow_otel.capture import NO_CONTENT, Capture
from langflow_otel.spans import Flow, FlowSpan
from langflow_otel.spans.caller import Caller


def flow_span() -> FlowSpan:
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("langflow_otel")
    return FlowSpan(tracer.start_span("f"), Capture(max_bytes=100), NO_CONTENT, Flow(name="f"))


async def run(begin: Callable[[], Any], end: Callable[[], Any]) -> None:
    begin()
    try:
        await asyncio.get_running_loop().create_future()
    finally:
        end()


async def inside() -> None:
    with attached(set_value("a", 1)):
        await asyncio.get_running_loop().create_future()


async def test_what_is_closed_elsewhere_than_it_began_detaches_nothing_there(
    caplog: pytest.LogCaptureFixture,
) -> None:
    here, span, caller = get_current(), flow_span(), Caller(set_value("b", 2))
    for coroutine in (run(span.attach, span.detach), run(caller.attach, caller.detach), inside()):
        contextvars.copy_context().run(coroutine.send, None)
        # As the collector does, wherever that runs.
        coroutine.close()
    span.end()

    assert get_current() is here
    assert [r.getMessage() for r in caplog.records if "detach" in r.getMessage()] == []


def test_what_somebody_else_has_left_current_goes_with_the_span() -> None:
    before, span = get_current(), flow_span()
    span.attach()
    attach(set_value("left", True))
    span.end()

    assert get_current() is before


@pytest.fixture
def switching() -> Iterator[None]:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def test_a_span_that_ends_while_it_is_cut_off_ends_once(
    switching: None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    for _ in range(1500):
        span, both = flow_span(), threading.Barrier(2)
        ends = [threading.Thread(target=after(both, each)) for each in (span.end, span.cut_off)]
        for thread in ends:
            thread.start()
        for thread in ends:
            thread.join()

    assert [r.getMessage() for r in caplog.records if "ended span" in r.getMessage()] == []


def after(barrier: threading.Barrier, work: Callable[[], None]) -> Callable[[], None]:
    def waits() -> None:
        barrier.wait()
        work()

    return waits
