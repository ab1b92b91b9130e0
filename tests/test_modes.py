"""When spans are sent: in the background, before a run gives its answer, or when code says so."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import opentelemetry.trace as api
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import langflow_otel
from langflow_otel import LangflowInstrumentor
from langflow_otel.flushing import Flusher
from langflow_otel.spans import under_way
from tests.support import faults, flows
from tests.support.invariants import check
from tests.support.receiver import OtlpReceiver
from tests.support.select import named
from tests.support.tree import render

FLOW = """\
CHAIN Sync method
  CHAIN Chat Input
  CHAIN Compute
  CHAIN Chat Output"""
# Longer than any test: nothing is sent but by a flush.
NEVER = "3000000"


@pytest.fixture
def instrument(
    environment: pytest.MonkeyPatch, receiver: OtlpReceiver
) -> Iterator[Callable[..., None]]:
    """Instrument, sending to `receiver` only what is flushed."""
    environment.setenv("PHOENIX_COLLECTOR_ENDPOINT", receiver.endpoint)
    environment.setenv("OTEL_BSP_SCHEDULE_DELAY", NEVER)
    environment.setenv("OTEL_PYTHON_LANGFLOW_SHUTDOWN_TIMEOUT", "1000")
    environment.setenv("OTEL_PYTHON_LANGFLOW_FLUSH_TIMEOUT", "100000")

    def instrument(*, background: bool = False, **arguments: Any) -> None:
        environment.setenv("LANGFLOW_TRACING_BACKGROUND", str(background).lower())
        LangflowInstrumentor().instrument(**arguments)

    yield instrument
    receiver.faults.clear()
    if LangflowInstrumentor().is_instrumented_by_opentelemetry:
        LangflowInstrumentor().uninstrument()


async def _arun() -> None:
    await flows.run_flow(flows.sync_method())


async def _step() -> None:
    _ = [step async for step in flows.step_flow(flows.graph_to_step(flows.sync_method()))]


async def _start() -> None:
    # In a thread, as a program without a loop would.
    graph = flows.graph_to_step(flows.sync_method())
    await asyncio.to_thread(lambda: list(graph.start()))


DRIVERS = {"arun": _arun, "async_start": _step, "start": _start}


@pytest.mark.parametrize("driver", DRIVERS)
async def test_an_answer_is_given_when_its_spans_have_arrived(
    driver: str, instrument: Any, receiver: OtlpReceiver
) -> None:
    instrument()
    await DRIVERS[driver]()
    spans = receiver.spans
    check(spans, traces=1)
    assert render(spans) == FLOW


@pytest.mark.parametrize("driver", DRIVERS)
async def test_in_the_background_nothing_in_a_run_waits(
    driver: str, instrument: Any, receiver: OtlpReceiver
) -> None:
    receiver.faults.set(faults.hanging())
    instrument(background=True)
    await DRIVERS[driver]()
    assert receiver.spans == []
    assert receiver.faults.seen["hanging"] == 0


async def test_an_error_is_told_when_its_spans_have_arrived(
    instrument: Any, receiver: OtlpReceiver
) -> None:
    instrument()
    with pytest.raises(ValueError, match="no such order"):
        await flows.run_flow(flows.failing(), "4711")
    spans = receiver.spans
    check(spans, traces=1)
    assert named(spans, "Failing").attributes["langflow.flow.status"] == "error"


async def test_the_event_loop_goes_on_while_an_answer_waits(
    instrument: Any, receiver: OtlpReceiver
) -> None:
    receiver.faults.set(faults.hanging())
    instrument()

    async def let_go_from_the_loop() -> None:
        await asyncio.to_thread(receiver.faults.wait_seen, "hanging")
        receiver.faults.clear()

    letting_go = asyncio.create_task(let_go_from_the_loop())
    await _arun()
    assert letting_go.done()
    assert render(receiver.spans) == FLOW


@pytest.mark.parametrize("driver", DRIVERS)
async def test_a_dead_backend_costs_the_timeout_and_changes_no_answer(
    driver: str, instrument: Any, receiver: OtlpReceiver, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("OTEL_PYTHON_LANGFLOW_FLUSH_TIMEOUT", "50")
    receiver.faults.set(faults.hanging())
    instrument()
    # The export of it would go on for 30 seconds.
    await asyncio.wait_for(DRIVERS[driver](), 20)
    told = LangflowInstrumentor().statistics()["phoenix"]
    assert (told.accepted, told.exported, told.queue_items) == (4, 0, 4)


async def test_where_the_circuit_is_open_nothing_is_waited_for(
    instrument: Any, receiver: OtlpReceiver, environment: pytest.MonkeyPatch
) -> None:
    receiver.faults.set(faults.status(401))
    instrument()
    await _arun()
    assert LangflowInstrumentor().statistics()["phoenix"].dropped == {"unauthorized": 4}
    await _arun()
    # The circuit stays open: they are not given up, which is what would be waited for.
    assert LangflowInstrumentor().statistics()["phoenix"].queue_items == 4


async def test_only_the_outermost_run_waits(
    instrument: Any, receiver: OtlpReceiver, environment: pytest.MonkeyPatch
) -> None:
    begun = []
    begin = Flusher.begin
    environment.setattr(Flusher, "begin", lambda self, **k: begun.append(1) or begin(self, **k))
    instrument()
    await flows.run_flow(flows.flow_in_flow())
    assert len(begun) == 1
    check(receiver.spans, traces=1)


async def test_runs_at_the_same_time_wait_for_their_own_spans(
    instrument: Any, receiver: OtlpReceiver
) -> None:
    instrument()
    await asyncio.gather(*[_arun() for _ in range(10)])
    check(receiver.spans, traces=10)
    assert len(receiver.spans) == 40


async def test_a_run_that_is_cancelled_does_not_wait(
    instrument: Any, receiver: OtlpReceiver
) -> None:
    receiver.faults.set(faults.hanging())
    instrument()
    run = asyncio.create_task(flows.run_flow(flows.slow()))
    await asyncio.sleep(0.2)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(run, 50)


async def test_a_provider_that_was_made_elsewhere_is_flushed_too(
    instrument: Any, environment: pytest.MonkeyPatch
) -> None:
    environment.delenv("PHOENIX_COLLECTOR_ENDPOINT")
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    instrument(tracer_provider=provider)
    await _arun()
    assert len(exporter.get_finished_spans()) == 4


async def test_a_provider_that_is_installed_later_is_flushed_too(
    instrument: Any, environment: pytest.MonkeyPatch
) -> None:
    environment.delenv("PHOENIX_COLLECTOR_ENDPOINT")
    environment.setattr(api, "_TRACER_PROVIDER", None)
    environment.setattr(api, "_TRACER_PROVIDER_SET_ONCE", type(api._TRACER_PROVIDER_SET_ONCE)())
    instrument()
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    api.set_tracer_provider(provider)
    await _arun()
    assert {"Sync method", "Compute"} <= {span.name for span in exporter.get_finished_spans()}


async def test_destinations_that_were_added_to_a_provider_are_flushed_with_it(
    instrument: Any, receiver: OtlpReceiver
) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    instrument(tracer_provider=provider, destinations=["phoenix"])
    await _arun()
    assert len(exporter.get_finished_spans()) == len(receiver.spans) == 4


def test_a_mode_that_is_none_is_named_and_the_background_is_used(
    instrument: Any, environment: pytest.MonkeyPatch, said: Any
) -> None:
    environment.setenv("OTEL_PYTHON_LANGFLOW_FLUSH_TIMEOUT", "0")
    environment.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "9000")
    instrument(background="maybe")
    assert {line for line in said(logging.WARNING) if "is not allowed" in line} == {
        "langflow-otel: LANGFLOW_TRACING_BACKGROUND='maybe' is not allowed (allowed: true, false); "
        "using the default",
        "langflow-otel: OTEL_BSP_MAX_EXPORT_BATCH_SIZE='9000' is not allowed (allowed: a whole "
        "number from 1 to 8192); using 64",
        "langflow-otel: OTEL_PYTHON_LANGFLOW_FLUSH_TIMEOUT='0' is not allowed (allowed: a whole "
        "number from 1 to 3600000); using 3000",
    }
    assert (
        "langflow-otel: sends in the background; queue 8192 spans, 67108864 bytes; batch 64 spans, "
        "3000 s; export 30 s; flush 3 s; shutdown 1 s; SIGTERM sends "
        "first; grace period not said; metrics 1000 combinations"
    ) in said()


def _span(name: str) -> None:
    provider = LangflowInstrumentor().tracer_provider
    assert provider is not None
    provider.get_tracer("langflow_otel").start_span(name).end()


def test_a_flush_sends_what_has_ended_from_any_thread(
    instrument: Any, receiver: OtlpReceiver
) -> None:
    instrument(background=True)
    _span("one")
    flushed: list[bool] = []
    asking = threading.Thread(target=lambda: flushed.append(langflow_otel.force_flush()))
    asking.start()
    asking.join()
    assert flushed == [True]
    assert [span.name for span in receiver.spans] == ["one"]


@pytest.mark.parametrize(("said", "most"), [(None, 64), ("100", 100)])
def test_a_request_holds_a_small_batch_unless_another_size_is_asked_for(
    said: str | None,
    most: int,
    instrument: Any,
    receiver: OtlpReceiver,
    environment: pytest.MonkeyPatch,
) -> None:
    if said is not None:
        environment.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", said)
    instrument(background=True)
    for number in range(200):
        _span(str(number))
    assert langflow_otel.force_flush()
    sizes = [len(request.spans) for request in receiver.requests]
    assert (max(sizes), sum(sizes)) == (most, 200)


async def test_a_flush_from_a_running_loop_need_not_block_it(
    instrument: Any, receiver: OtlpReceiver
) -> None:
    receiver.faults.set(faults.hanging())
    instrument(background=True)
    _span("one")
    flush = asyncio.create_task(langflow_otel.aforce_flush())
    await asyncio.to_thread(receiver.faults.wait_seen, "hanging")
    receiver.faults.clear()
    assert await flush is True
    _span("two")
    # Of the loop's thread, which waits: it needs no other turn of the loop.
    assert langflow_otel.force_flush() is True
    assert [span.name for span in receiver.spans] == ["one", "two"]


async def test_a_flush_says_when_it_was_not_done_in_time(
    instrument: Any, receiver: OtlpReceiver
) -> None:
    receiver.faults.set(faults.hanging())
    instrument(background=True)
    _span("one")
    assert langflow_otel.force_flush(20) is False
    assert await langflow_otel.aforce_flush(20) is False
    receiver.faults.clear()
    assert langflow_otel.force_flush() is True


async def test_before_and_after_there_is_nothing_to_flush_or_to_shut_down(instrument: Any) -> None:
    def ask() -> list[bool]:
        return [langflow_otel.force_flush(), langflow_otel.shutdown()]

    assert ask() == [True, True]
    instrument(background=True)
    LangflowInstrumentor().uninstrument()
    assert ask() == [True, True]
    assert [await langflow_otel.aforce_flush(), await langflow_otel.ashutdown()] == [True, True]


@pytest.mark.parametrize("how", ["shutdown", "ashutdown"])
async def test_a_shutdown_cuts_off_what_is_under_way_and_sends_it(
    how: str, instrument: Any, receiver: OtlpReceiver
) -> None:
    instrument(background=True)
    run = asyncio.create_task(flows.run_flow(flows.slow()))
    await asyncio.to_thread(_wait_for_under_way, "Wait")
    sent = langflow_otel.shutdown() if how == "shutdown" else await langflow_otel.ashutdown()
    assert sent is True
    assert not LangflowInstrumentor().is_instrumented_by_opentelemetry
    assert (
        render(receiver.spans)
        == """\
CHAIN Slow ~cancelled
  CHAIN Chat Input
  CHAIN Wait ~cancelled"""
    )
    cut_off = {span.name: span.attributes for span in receiver.spans if span.name != "Chat Input"}
    assert {name: each["langflow.cut_off"] for name, each in cut_off.items()} == {
        "Slow": True,
        "Wait": True,
    }
    assert cut_off["Slow"]["langflow.flow.status"] == "cancelled"
    assert cut_off["Wait"]["langflow.component.status"] == "cancelled"
    check(receiver.spans, traces=1)
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run


def _wait_for_under_way(name: str) -> None:
    while name not in {getattr(each.span, "name", "") for each in under_way.all_of_them()}:
        time.sleep(0.01)


def test_a_shutdown_of_a_dead_backend_says_so_in_time(
    instrument: Any, receiver: OtlpReceiver, said: Any
) -> None:
    receiver.faults.set(faults.hanging())
    instrument(background=True)
    _span("one")
    assert langflow_otel.shutdown(100) is False
    # It did not wait for the export to time out, which takes 30 seconds.
    assert any("shutdown 1" in line for line in said(logging.WARNING))
    LangflowInstrumentor().instrument()
    receiver.faults.clear()
    _span("two")
    assert langflow_otel.shutdown() is True
    assert "two" in [span.name for span in receiver.spans]
