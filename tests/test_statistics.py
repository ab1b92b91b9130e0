"""What became of the spans: readable in code, as metrics, and in the log when some are lost."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import opentelemetry.metrics._internal as api
import pytest
from opentelemetry.metrics import set_meter_provider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from langflow_otel import LangflowInstrumentor, metrics
from tests.support import flows
from tests.support.faults import status
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


def _collected(reader: InMemoryMetricReader) -> dict[tuple[str, str], float]:
    data = reader.get_metrics_data()
    return {
        (metric.name, str(point.attributes.get("error.type", ""))): point.value
        for resource in (data.resource_metrics if data else [])
        for scope in resource.scope_metrics
        if scope.scope.name == "langflow_otel"
        for metric in scope.metrics
        for point in metric.data.data_points
        if point.attributes["otel.component.name"] == "phoenix"
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
    assert collected[metrics.EXPORT_TIME, ""] > 0
    LangflowInstrumentor().uninstrument()
    assert _collected(reader) == {}


async def test_a_meter_provider_that_comes_later_gets_the_metrics(
    reader: InMemoryMetricReader, instrument: Any
) -> None:
    instrument()
    LangflowInstrumentor().uninstrument()
    instrument()
    assert (metrics.PROCESSED, "") in _collected(reader)


async def test_losses_are_logged(instrument: Any, receiver: OtlpReceiver, said: Any) -> None:
    receiver.faults.set(status(404))
    instrument()
    await flows.run_flow(flows.sync_method())
    LangflowInstrumentor().tracer_provider.force_flush()
    assert said(logging.WARNING) == [
        "langflow-otel: 4 spans did not reach phoenix (in all: failed 4 (HTTP 404))"
    ]
