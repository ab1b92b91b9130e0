"""A run that is cancelled, times out or is abandoned is no error, and leaves nothing open."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import inspect
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import pytest
from opentelemetry.context import Context, get_current
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

from langflow_otel import enrich
from langflow_otel.capture import secrets
from langflow_otel.context import current_component
from tests.conftest import Traced
from tests.support import control_flows, flows
from tests.support.collecting import collected_under_lock
from tests.support.invariants import check
from tests.support.open_spans import OpenSpans
from tests.support.select import is_ours, named, only
from tests.support.tree import render

AGES = 3600


async def until(condition: Callable[[], bool], spans: OpenSpans) -> None:
    for _ in range(2000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"it never came to it; open are {dict(spans.names)}")


async def cancelled(run: Awaitable[Any], traced: Traced, at: str) -> None:
    """Cancel `run` once a span called `at` is open."""
    spans = OpenSpans(traced.provider)
    task = asyncio.ensure_future(run)
    await until(lambda: at in spans.names or task.done(), spans)
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: not spans.names, spans)


async def test_a_run_that_times_out_is_cancelled(traced: Traced) -> None:
    await flows.run_flow(flows.slow(0))
    traced.clear()
    spans = OpenSpans(traced.provider)
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(flows.run_flow(flows.slow(AGES)), timeout=2)

    arrived = traced.spans()
    check(arrived, traces=1)
    assert (
        render(arrived)
        == """\
CHAIN Slow ~cancelled
  CHAIN Chat Input
  CHAIN Wait ~cancelled"""
    )
    assert {named(arrived, name).status for name in ("Slow", "Wait")} == {"UNSET"}
    assert not spans.names


async def test_branches_that_run_at_once_are_all_cancelled(traced: Traced) -> None:
    await cancelled(flows.run_flow(flows.parallel_branches(AGES)), traced, "Right")

    spans = traced.spans()
    check(spans, traces=1)
    assert (
        render(spans, overlap=True)
        == """\
CHAIN Parallel branches ~cancelled
  CHAIN Chat Input
  || CHAIN Left ~cancelled
  || CHAIN Right ~cancelled"""
    )


async def test_a_flow_in_a_flow_is_cancelled_with_it(traced: Traced) -> None:
    outer = control_flows.call(flows.slow(AGES))
    await cancelled(flows.run_flow(outer), traced, "Wait")

    spans = traced.spans()
    check(spans, traces=1)
    assert (
        render(spans)
        == """\
CHAIN Outer ~cancelled
  CHAIN Chat Input
  CHAIN Call ~cancelled
    CHAIN Slow ~cancelled
      CHAIN Chat Input
      CHAIN Wait ~cancelled"""
    )
    assert {span.status for span in spans if "~" in render([span])} == {"UNSET"}


async def test_a_tool_that_is_running_is_cancelled_with_its_agent(traced: Traced) -> None:
    await cancelled(flows.run_flow(control_flows.agent_that_waits(AGES)), traced, "wait")

    spans = only(traced.spans(), is_ours)
    check(spans, traces=1)
    agent = named(spans, "Agent")
    assert agent.attributes["langflow.component.status"] == "cancelled"
    assert {s.status for s in spans if s.name in {"Agent", "Agent that waits", "wait"}} == {"UNSET"}


async def test_a_sub_flow_may_time_out_and_the_outer_one_go_on(traced: Traced) -> None:
    answer = await flows.run_flow(control_flows.impatient(flows.slow(AGES)))

    assert answer == "gave up"
    spans = traced.spans()
    check(spans, traces=1)
    assert (
        render(spans)
        == """\
CHAIN Impatient
  CHAIN Chat Input
  CHAIN Hurry
    CHAIN Slow ~cancelled
      CHAIN Chat Input
      CHAIN Wait ~cancelled
  CHAIN Chat Output"""
    )


def steps_of(flow: flows.Flow) -> AsyncGenerator[Any, None]:
    return flows.graph_to_step(flow).async_start()


HALF = "CHAIN Linear chat ~cancelled\n  CHAIN Chat Input"


async def test_steps_closed_in_another_task(traced: Traced) -> None:
    steps = steps_of(flows.linear_chat())
    await steps.__anext__()
    await asyncio.create_task(steps.aclose())

    assert render(traced.spans()) == HALF


@pytest.mark.parametrize("background", ["true", "false"])
async def test_steps_are_the_async_generator_that_they_are_without_us(
    environment: pytest.MonkeyPatch, request: pytest.FixtureRequest, background: str
) -> None:
    environment.setenv("LANGFLOW_TRACING_BACKGROUND", background)
    traced = request.getfixturevalue("traced")
    steps = steps_of(flows.slow(0.3))
    assert inspect.isasyncgen(steps)
    assert steps.ag_frame is not None
    await steps.__anext__()
    # Two steps at a time are refused, and the run goes on.
    first, second = steps.asend(None), steps.__anext__()
    done = await asyncio.gather(first, second, return_exceptions=True)
    assert [type(each) for each in done if isinstance(each, Exception)] == [RuntimeError]
    assert [step async for step in steps]

    spans = traced.spans()
    check(spans, traces=1)
    assert spans[-1].attributes["langflow.flow.status"] == "ok"


async def test_steps_closed_before_the_first_make_no_span(traced: Traced) -> None:
    steps = steps_of(flows.linear_chat())
    await steps.aclose()
    del steps

    assert traced.spans() == []


async def test_steps_left_to_the_collector_in_a_cycle(traced: Traced) -> None:
    spans = OpenSpans(traced.provider)
    steps = steps_of(flows.linear_chat())
    await steps.__anext__()
    loop: list[Any] = [steps]
    loop.append(loop)
    del steps, loop
    gc.collect()
    await asyncio.sleep(0.1)

    assert not spans.names
    assert render(traced.spans()) == HALF


async def test_what_comes_too_late_below_a_component_is_not_watched(traced: Traced) -> None:
    class Here(SpanProcessor):
        context = Context()

        def on_start(self, span: Any, parent_context: Context | None = None) -> None:
            if span.name == "ScriptedChatModel":
                self.context = get_current()

    here = Here()
    traced.provider.add_span_processor(here)
    await flows.run_flow(flows.linear_chat())
    (processor,) = (
        each for provider, each in enrich._processors.items() if provider is traced.provider
    )
    tracer = traced.provider.get_tracer("another")
    component = current_component(here.context)
    assert component is not None
    late = [tracer.start_span("late", context=here.context) for _ in range(10)]
    assert (processor._watched, component.below) == ({}, {})
    for span in late:
        span.end()


async def test_of_what_never_ends_below_a_component_so_much_is_watched(
    traced: Traced, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(enrich, "_MAX_UNDER_WAY", 5)
    (processor,) = (
        each for provider, each in enrich._processors.items() if provider is traced.provider
    )
    seen = []

    class Many(SpanProcessor):
        def on_end(self, span: Any) -> None:
            if span.name == "ScriptedChatModel":
                tracer = traced.provider.get_tracer("another")
                for _ in range(10):
                    tracer.start_span("never ended")
                component = current_component()
                assert component is not None
                seen.append((len(processor._watched), len(component.below)))

    traced.provider.add_span_processor(Many())
    await flows.run_flow(flows.linear_chat())
    assert seen == [(5, 5)]
    assert processor._watched == {}


async def test_two_providers_are_both_told_that_a_component_has_ended(traced: Traced) -> None:
    other = TracerProvider(shutdown_on_exit=False)
    enrich.enrich(other)
    left = []

    class Both(SpanProcessor):
        def on_end(self, span: Any) -> None:
            if span.name == "ScriptedChatModel":
                left.extend(p.get_tracer("x").start_span("x") for p in (traced.provider, other))

    traced.provider.add_span_processor(Both())
    await flows.run_flow(flows.linear_chat())
    assert len(left) == 2
    assert [enrich._processors[p]._watched for p in (traced.provider, other)] == [{}, {}]


@pytest.mark.timeout(60)
async def test_the_collector_comes_upon_steps_while_a_lock_is_held(traced: Traced) -> None:
    steps = steps_of(flows.linear_chat())
    await steps.__anext__()
    with collected_under_lock():
        loop: list[Any] = [steps]
        loop.append(loop)
        del steps, loop

    assert render(traced.spans()) == HALF


async def test_a_step_that_is_cancelled(traced: Traced) -> None:
    async def consume() -> None:
        async for _ in steps_of(flows.slow(AGES)):
            pass

    await cancelled(consume(), traced, "Wait")

    spans = traced.spans()
    check(spans, traces=1)
    assert (
        render(spans)
        == """\
CHAIN Slow ~cancelled
  CHAIN Chat Input
  CHAIN Wait ~cancelled"""
    )


async def test_steps_left_by_a_break_keep_nothing_current(traced: Traced) -> None:
    from opentelemetry import trace

    async for _ in steps_of(flows.linear_chat()):
        break
    assert not trace.get_current_span().get_span_context().is_valid
    await asyncio.sleep(0.1)
    assert render(traced.spans()) == HALF


# -- nothing is left open, and nothing grows


async def ended(number: int) -> None:
    await flows.run_flow(flows.sync_method(), session_id=f"session {number}")


async def looped(_: int) -> None:
    await flows.run_flow(control_flows.loop_that_asks(), "a,b")


async def failed(_: int) -> None:
    with contextlib.suppress(ValueError):
        await flows.run_flow(control_flows.call(flows.failing()))


async def timed_out(number: int) -> None:
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(flows.run_flow(flows.slow(AGES)), 0.02 * (number % 10))


async def tool_cut_off(number: int) -> None:
    flow = control_flows.agent_that_waits(AGES)
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(flows.run_flow(flow), 0.5 + 0.05 * (number % 10))


async def stream_cut_off(number: int) -> None:
    flow = flows.streamed_by_model()
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(flows.run_flow(flow, "a b c d e f g"), 0.1 * (number % 10))


async def closed(_: int) -> None:
    steps = steps_of(flows.sync_method())
    await steps.__anext__()
    await asyncio.create_task(steps.aclose())


async def abandoned(_: int) -> None:
    steps = steps_of(flows.sync_method())
    await steps.__anext__()
    await steps.__anext__()


QUICK = [ended, failed, timed_out, closed, abandoned] * 3
SHAPES = [*QUICK, looped, tool_cut_off, stream_cut_off]


@pytest.mark.slow
async def test_of_hundreds_of_runs_nothing_is_left_open_and_nothing_grows(traced: Traced) -> None:
    spans = OpenSpans(traced.provider)
    before = set(secrets._runs.values())
    (processor,) = (
        each for provider, each in enrich._processors.items() if provider is traced.provider
    )
    for number in range(12):
        await asyncio.gather(*(shape(number) for shape in SHAPES))
    gc.collect()
    await until(lambda: not spans.names, spans)
    traced.spans()

    assert spans.started > 700
    kept = [name for name, value in vars(processor).items() if isinstance(value, dict) and value]
    assert kept == []
    # Of runs that have ended only so many are remembered, for the exporters.
    gc.collect()
    assert len(secrets._finished) <= secrets._FINISHED_RUNS
    assert set(secrets._runs.values()) - before <= set(secrets._finished.values())
