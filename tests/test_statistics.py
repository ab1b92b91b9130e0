"""What became of the spans: readable in code, as metrics, and in the log when some are lost."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import opentelemetry.metrics._internal as api
import pytest
from opentelemetry.metrics import set_meter_provider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from langflow_otel import LangflowInstrumentor, metrics, run_metrics
from tests.support import flows
from tests.support.faults import hanging, status
from tests.support.receiver import OtlpReceiver


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemoryMetricReader]:
    """What the global meter provider, installed for this test alone, has collected."""
    monkeypatch.setattr(api, "_METER_PROVIDER", None)
    monkeypatch.setattr(api, "_METER_PROVIDER_SET_ONCE", type(api._METER_PROVIDER_SET_ONCE)())
    monkeypatch.setattr(metrics, "_reads", [])
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    set_meter_provider(provider)
    yield reader
    provider.shutdown()


@pytest.fixture
def instrument(environment: pytest.MonkeyPatch, receiver: OtlpReceiver) -> Iterator[Any]:
    environment.setenv("PHOENIX_COLLECTOR_ENDPOINT", receiver.endpoint)
    yield LangflowInstrumentor().instrument
    LangflowInstrumentor().uninstrument()


def _points(reader: InMemoryMetricReader) -> list[tuple[str, Any]]:
    data = reader.get_metrics_data()
    return [
        (metric.name, point)
        for resource in (data.resource_metrics if data else [])
        for scope in resource.scope_metrics
        if scope.scope.name == "langflow_otel"
        for metric in scope.metrics
        for point in metric.data.data_points
    ]


def _collected(reader: InMemoryMetricReader) -> dict[tuple[str, str], float]:
    return {
        (name, str(point.attributes.get("error.type", ""))): point.value
        for name, point in _points(reader)
        if point.attributes.get("otel.component.name") == "phoenix" and hasattr(point, "value")
    }


def _runs(reader: InMemoryMetricReader, metric: str) -> dict[tuple[tuple[str, str], ...], int]:
    """The number of runs by their attributes."""
    return {
        tuple(sorted(point.attributes.items())): point.count
        for name, point in _points(reader)
        if name == metric
    }


async def test_what_became_of_the_spans_is_told_by_destination(instrument: Any) -> None:
    instrument()
    assert LangflowInstrumentor().statistics()["phoenix"].accepted == 0
    await flows.run_flow(flows.sync_method())
    LangflowInstrumentor().tracer_provider.force_flush()
    told = LangflowInstrumentor().statistics()["phoenix"]
    assert (told.accepted, told.exported, told.lost) == (4, 4, 0)
    assert (told.queue_items, told.queue_bytes) == (0, 0)
    assert told.requests >= 1
    assert told.export_seconds > 0


async def test_before_and_after_there_is_nothing_to_tell(instrument: Any) -> None:
    assert LangflowInstrumentor().statistics() == {}
    instrument()
    LangflowInstrumentor().uninstrument()
    assert LangflowInstrumentor().statistics() == {}


async def test_metrics_tell_the_same_when_they_are_collected(
    reader: InMemoryMetricReader, instrument: Any, receiver: OtlpReceiver
) -> None:
    instrument()
    await flows.run_flow(flows.sync_method())
    provider = LangflowInstrumentor().tracer_provider
    provider.force_flush()
    receiver.faults.set(status(404))
    await flows.run_flow(flows.sync_method())
    provider.force_flush()
    collected = _collected(reader)
    assert collected[metrics.PROCESSED, ""] == 8
    assert collected[metrics.EXPORTED, ""] == 4
    assert collected[metrics.EXPORTED, "failed"] == 4
    assert collected[metrics.QUEUE_SIZE, ""] == collected[metrics.QUEUE_BYTES, ""] == 0
    assert collected[metrics.REQUESTS, ""] >= 2
    assert collected[metrics.QUEUE_CAPACITY, ""] == 8192
    assert collected[metrics.QUEUE_BYTES_CAPACITY, ""] == 64 << 20
    assert collected[metrics.INFLIGHT, ""] == 0
    exports = _runs(reader, run_metrics.EXPORT_DURATION)
    destination = tuple(sorted(run_metrics.of_destination("phoenix").items()))
    assert set(exports) == {destination, (("error.type", "_OTHER"), *destination)}
    LangflowInstrumentor().uninstrument()
    assert _collected(reader) == {}


async def test_a_meter_provider_that_comes_later_gets_the_metrics(
    reader: InMemoryMetricReader, instrument: Any
) -> None:
    instrument()
    LangflowInstrumentor().uninstrument()
    instrument()
    assert (metrics.PROCESSED, "") in _collected(reader)


async def test_the_state_of_the_circuit_is_told(
    reader: InMemoryMetricReader, instrument: Any, receiver: OtlpReceiver
) -> None:
    def circuit() -> list[str]:
        told = {
            str(point.attributes[metrics.STATE]): point.value
            for name, point in _points(reader)
            if name == metrics.CIRCUIT
        }
        assert set(told) == {"closed", "open", "half_open"}
        return [state for state, is_it in told.items() if is_it]

    receiver.faults.set(status(401))
    instrument()
    assert circuit() == ["closed"]
    await flows.run_flow(flows.sync_method())
    LangflowInstrumentor().force_flush()
    assert circuit() == ["open"]
    assert LangflowInstrumentor().statistics()["phoenix"].circuit == "open"


async def test_what_is_being_sent_is_told_and_not_processed_yet(
    reader: InMemoryMetricReader, instrument: Any, receiver: OtlpReceiver
) -> None:
    receiver.faults.set(hanging())
    instrument()
    await flows.run_flow(flows.sync_method())
    await asyncio.to_thread(receiver.faults.wait_seen, "hanging")
    collected = _collected(reader)
    assert 1 <= collected[metrics.INFLIGHT, ""] <= collected[metrics.QUEUE_SIZE, ""] == 4
    assert collected[metrics.PROCESSED, ""] == 0
    receiver.faults.clear()
    LangflowInstrumentor().force_flush()
    assert _collected(reader)[metrics.INFLIGHT, ""] == 0


@pytest.mark.parametrize("sampler", ["always_on", "always_off"])
async def test_runs_are_counted_sampled_or_not(
    sampler: str,
    reader: InMemoryMetricReader,
    instrument: Any,
    environment: pytest.MonkeyPatch,
) -> None:
    environment.setenv("OTEL_TRACES_SAMPLER", sampler)
    instrument()
    await flows.run_flow(flows.sync_method())
    await flows.run_flow(flows.sync_method())
    with pytest.raises(ValueError, match="no such order"):
        await flows.run_flow(flows.failing(), "4711")
    ok, failed = ("langflow.flow.status", "ok"), ("langflow.flow.status", "error")
    error = ("error.type", "LookupError")
    assert _runs(reader, run_metrics.FLOW_DURATION) == {
        (("langflow.flow.name", "Sync method"), ok): 2,
        (error, ("langflow.flow.name", "Failing"), failed): 1,
    }
    components = _runs(reader, run_metrics.COMPONENT_DURATION)
    types = {dict(told)["langflow.component.type"] for told in components}
    assert types >= {"ChatInput", "ChatOutput"}
    assert sum(components.values()) == 3 + 3 + 2
    captures = [name for name, _ in _points(reader) if name == run_metrics.CAPTURE_DURATION]
    assert bool(captures) is (sampler == "always_on")


async def test_a_component_that_is_a_tool_is_counted_with_its_flow(
    reader: InMemoryMetricReader, instrument: Any
) -> None:
    instrument()
    await flows.run_flow(flows.agent_with_tools())
    components = [dict(told) for told in _runs(reader, run_metrics.COMPONENT_DURATION)]
    assert {"Weather", "Distance"} <= {told["langflow.component.type"] for told in components}
    assert {told["langflow.flow.name"] for told in components} == {"Agent with tools"}


async def test_of_too_many_flows_the_later_ones_are_counted_together(
    reader: InMemoryMetricReader, instrument: Any, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("OTEL_PYTHON_LANGFLOW_METRICS_CARDINALITY_LIMIT", "2")
    instrument()
    for name in ("one", "two", "three", "four", "one"):
        await flows.run_flow(flows.linear_chat(name=name))
    counted = {
        dict(told)["langflow.flow.name"]: count
        for told, count in _runs(reader, run_metrics.FLOW_DURATION).items()
    }
    assert counted == {"one": 2, "two": 1, "other": 2}
    components = _runs(reader, run_metrics.COMPONENT_DURATION).items()
    types = [dict(told)["langflow.component.type"] for told, _ in components]
    assert len(set(types) - {"other"}) == 2, "each name has its own limit"
    assert sum(count for _, count in components) == 4 * 5


async def test_without_a_meter_provider_nothing_is_measured(instrument: Any) -> None:
    instrument()
    assert not run_metrics.are_recorded()
    made = run_metrics._instruments._made
    await flows.run_flow(flows.sync_method())
    assert run_metrics._instruments._made is made


async def test_losses_are_logged(
    instrument: Any, receiver: OtlpReceiver, environment: pytest.MonkeyPatch, said: Any
) -> None:
    environment.setenv("OTEL_BSP_SCHEDULE_DELAY", "3000000")
    receiver.faults.set(status(404))
    instrument()
    await flows.run_flow(flows.sync_method())
    LangflowInstrumentor().tracer_provider.force_flush()
    where = receiver.endpoint.removeprefix("http://")
    assert said(logging.WARNING) == [
        f"langflow-otel: 4 spans did not reach phoenix (in all: failed 4 (HTTP 404 at {where}))"
    ]
