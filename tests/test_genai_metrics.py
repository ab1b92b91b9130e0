"""Model calls as metrics: tokens, duration, time to the first chunk, each call once."""

from __future__ import annotations

import asyncio
import importlib
import importlib.metadata
from collections.abc import Iterator
from typing import Any

import opentelemetry.metrics._internal as api
import pytest
from lfx.events.event_manager import create_default_event_manager
from opentelemetry.metrics import set_meter_provider
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from langflow_otel import genai_metrics
from tests.conftest import Traced
from tests.support import flows
from tests.support.versions import before

TOKENS = "gen_ai.client.token.usage"
DURATION = "gen_ai.client.operation.duration"
FIRST_CHUNK = "gen_ai.client.operation.time_to_first_chunk"


class Metrics:
    """What the global meter provider has collected, by meter and metric."""

    def __init__(self, reader: InMemoryMetricReader) -> None:
        self._reader = reader

    def points(self, metric: str, meter: str = "langflow_otel") -> list[Any]:
        data = self._reader.get_metrics_data()
        return [
            point
            for resource in (data.resource_metrics if data else [])
            for scope in resource.scope_metrics
            if scope.scope.name == meter
            for found in scope.metrics
            if found.name == metric
            for point in found.data.data_points
        ]


@pytest.fixture
def metrics(monkeypatch: pytest.MonkeyPatch) -> Iterator[Metrics]:
    """The global meter provider, installed for this test alone."""
    monkeypatch.setattr(api, "_METER_PROVIDER", None)
    monkeypatch.setattr(api, "_METER_PROVIDER_SET_ONCE", type(api._METER_PROVIDER_SET_ONCE)())
    reader = InMemoryMetricReader()
    provider = MeterProvider([reader])
    set_meter_provider(provider)
    yield Metrics(reader)
    provider.shutdown()


async def test_a_call_is_recorded_once_with_its_tokens(metrics: Metrics, traced: Traced) -> None:
    await flows.run_flow(flows.linear_chat("one two three"), "hi")

    said = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "scripted",
        "gen_ai.request.model": "scripted-1",
        "langflow.flow.name": "Linear chat",
    }
    (duration,) = metrics.points(DURATION)
    assert (dict(duration.attributes), duration.count) == (said, 1)
    (model,) = [span for span in traced.spans() if span.kind == "LLM"]
    assert duration.sum == pytest.approx((model.end_ns - model.start_ns) / 1e9)
    tokens = {point.attributes["gen_ai.token.type"]: point for point in metrics.points(TOKENS)}
    assert {kind: point.sum for kind, point in tokens.items()} == {"input": 2, "output": 3}
    assert dict(tokens["input"].attributes) == {**said, "gen_ai.token.type": "input"}
    assert metrics.points(FIRST_CHUNK) == []


async def test_the_buckets_are_those_of_the_conventions(metrics: Metrics, traced: Traced) -> None:
    await flows.run_flow(flows.linear_chat())

    (duration,) = metrics.points(DURATION)
    assert [round(bound, 2) for bound in duration.explicit_bounds] == [
        0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
    ]  # fmt: skip
    assert list(metrics.points(TOKENS)[0].explicit_bounds) == [
        1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864,
    ]  # fmt: skip


async def test_a_streamed_call_has_a_time_to_its_first_chunk(
    metrics: Metrics, traced: Traced
) -> None:
    manager = create_default_event_manager(asyncio.Queue())
    await flows.run_flow(flows.streamed("LangChain async"), event_manager=manager)

    (first,), (duration,) = metrics.points(FIRST_CHUNK), metrics.points(DURATION)
    assert first.count == duration.count == 1
    assert 0 < first.sum < duration.sum


async def test_so_has_one_that_only_its_component_tells_of(
    metrics: Metrics, environment: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    environment.setenv("OTEL_PYTHON_LANGFLOW_INSTRUMENT_LANGCHAIN", "false")
    traced = request.getfixturevalue("traced")
    manager = create_default_event_manager(asyncio.Queue())
    await flows.run_flow(flows.streamed("LangChain async"), event_manager=manager)

    (model,) = [span for span in traced.spans() if span.kind == "LLM"]
    (event,) = model.events
    assert event.name == "langflow.first_token"
    assert model.start_ns < event.time_ns < model.end_ns
    (first,) = metrics.points(FIRST_CHUNK)
    assert (first.count, first.sum) == (1, (event.time_ns - model.start_ns) / 1e9)


async def test_a_call_that_fails_says_how(metrics: Metrics, traced: Traced) -> None:
    flow = flows.agent_with_tools()
    for node in flow["data"]["nodes"]:
        template = node["data"]["node"]["template"]
        if "tool_calls" in template:
            template["tool_calls"]["value"] = '[{"name": "no_such_tool", "args": {}}]'
    with pytest.raises(Exception):  # noqa: B017, PT011 - Langflow 1.7 says another at times
        await flows.run_flow(flow)

    kinds = {point.attributes["error.type"] for point in metrics.points(DURATION)}
    assert kinds == {"ValueError"}


async def test_without_the_langchain_instrumentor_the_component_is_recorded(
    metrics: Metrics, environment: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    environment.setenv("OTEL_PYTHON_LANGFLOW_INSTRUMENT_LANGCHAIN", "false")
    request.getfixturevalue("traced")
    await flows.run_flow(flows.linear_chat("one two three"), "hi")

    (duration,) = metrics.points(DURATION)
    assert duration.attributes["gen_ai.request.model"] == "scripted-1"
    assert duration.count == 1


async def test_lfx_leaves_out_what_is_recorded_here_and_records_the_rest(
    metrics: Metrics, environment: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    llm_metrics = pytest.importorskip("lfx.observability_llm_metrics", reason="since lfx 1.12")
    llm_metrics.get_llm_provider_metrics_handler.cache_clear()
    request.getfixturevalue("traced")

    await flows.run_flow(flows.linear_chat())
    assert [point.count for point in metrics.points(DURATION)] == [1]
    assert metrics.points(DURATION, "langflow") == []

    from langflow_otel import LangflowInstrumentor

    LangflowInstrumentor().uninstrument()
    try:
        await flows.run_flow(flows.linear_chat())
    finally:
        LangflowInstrumentor().instrument()
    assert [point.count for point in metrics.points(DURATION, "langflow")] == [1]
    assert [point.count for point in metrics.points(DURATION)] == [1]
    llm_metrics.get_llm_provider_metrics_handler.cache_clear()


async def test_lfxs_handler_that_was_there_before_is_no_second_to_record(
    metrics: Metrics, request: pytest.FixtureRequest
) -> None:
    llm_metrics = pytest.importorskip("lfx.observability_llm_metrics", reason="since lfx 1.12")
    llm_metrics.get_llm_provider_metrics_handler.cache_clear()
    llm_metrics.get_llm_provider_metrics_handler()
    request.getfixturevalue("traced")

    await flows.run_flow(flows.agent_with_tools())
    llm_metrics.get_llm_provider_metrics_handler.cache_clear()
    assert [point.count for point in metrics.points(DURATION)] == [2]
    assert metrics.points(DURATION, "langflow") == []


async def test_the_turns_of_an_agent_that_nobody_traces_are_timed_by_lfx_alone(
    metrics: Metrics, environment: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    environment.setenv("OTEL_PYTHON_LANGFLOW_INSTRUMENT_LANGCHAIN", "false")
    if not before("1.12"):
        handler = importlib.import_module("lfx.observability_llm_metrics")
        handler.get_llm_provider_metrics_handler.cache_clear()
    request.getfixturevalue("traced")

    await flows.run_flow(flows.agent_with_tools())
    assert metrics.points(DURATION) == [], "one span for both turns is as long as neither"
    if not before("1.12"):
        handler.get_llm_provider_metrics_handler.cache_clear()
        assert [point.count for point in metrics.points(DURATION, "langflow")] == [2]


async def test_of_too_many_flows_the_later_ones_are_other(
    metrics: Metrics, environment: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    environment.setenv("OTEL_PYTHON_LANGFLOW_METRICS_CARDINALITY_LIMIT", "2")
    request.getfixturevalue("traced")
    for name in ("one", "two", "three", "four", "one"):
        await flows.run_flow(flows.linear_chat(name=name))

    counted = {p.attributes["langflow.flow.name"]: p.count for p in metrics.points(DURATION)}
    assert counted == {"one": 2, "two": 1, "other": 2}


async def test_a_call_that_is_not_sampled_is_not_recorded(
    metrics: Metrics, environment: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    environment.setenv("OTEL_TRACES_SAMPLER", "always_off")
    request.getfixturevalue("traced")
    await flows.run_flow(flows.linear_chat())
    assert metrics.points(DURATION) == []


async def test_without_a_meter_provider_nothing_is_made(traced: Traced) -> None:
    assert not genai_metrics.is_recorded()
    before = genai_metrics._instruments._made
    await flows.run_flow(flows.linear_chat())
    assert genai_metrics._instruments._made is before
