"""What one component costs the event loop, as a multiple of a raw OpenTelemetry span.

A real flow is run once by real lfx. Then its component runs again and again with its own work taken
out: Langflow's function returns at once what it returned then, so what is left is the tracing.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from lfx.custom.custom_component.component import Component
from lfx.graph.graph.base import Graph
from lfx.io import DataInput, MessageTextInput, Output
from lfx.schema.data import Data
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, Sampler

from langflow_otel import LangflowInstrumentor

CALLS = 200
REPEATS = 31
RAW_ATTRIBUTES = {f"attribute.{number}": f"value {number}" for number in range(10)}


class Start(Component):
    """Makes a value of some size."""

    name = "Start"
    inputs = [MessageTextInput(name="rows", value="1")]
    outputs = [Output(name="data", display_name="Data", method="make")]

    def make(self) -> Data:
        row = {
            "id": 1,
            "title": "A row of a table",
            "text": "lorem ipsum dolor " * 25,
            "tags": [1, 2],
        }
        return Data(data={"rows": [{**row, "id": number} for number in range(int(self.rows))]})


class Pass(Component):
    """Passes a value on."""

    name = "Pass"
    inputs = [DataInput(name="value")]
    outputs = [Output(name="data", display_name="Data", method="give")]

    def give(self) -> Data:
        return self.value


class NullExporter(SpanExporter):
    """Sends nowhere."""

    def export(self, spans: Sequence[Any]) -> SpanExportResult:
        return SpanExportResult.SUCCESS


@dataclass(frozen=True)
class Figure:
    """One line of the table: microseconds a call (median of the repeats), and how it varied."""

    name: str
    microseconds: float
    low: float
    high: float


def _provider(sampler: Sampler = ALWAYS_ON) -> TracerProvider:
    provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(NullExporter(), schedule_delay_millis=200))
    return provider


async def _graph(rows: int) -> tuple[Graph, Any]:
    """Run a flow of two components; return it, and what its second one came to."""
    start = Start(_id="start").set(rows=str(rows))
    graph = Graph(start, Pass(_id="pass").set(value=start.make))
    async for _ in graph.async_start():
        pass
    vertex = graph.get_vertex("pass")
    return graph, await graph.build_vertex("pass", get_cache=None, set_cache=None) and vertex


def _without_work(graph: Graph, vertex: Any) -> Callable[[], Awaitable[Any]]:
    """Langflow's two functions that the component seam wraps, with nothing in them."""
    from lfx.graph.graph.base import VertexBuildResult

    result = VertexBuildResult(
        result_dict=vertex.result, params="", valid=True, artifacts=vertex.artifacts, vertex=vertex
    )
    component = vertex.custom_component

    async def _build_results(_: Component) -> None:
        return None

    async def build_vertex(_: Graph, vertex_id: str) -> VertexBuildResult:
        await component._build_results()
        return result

    Graph.build_vertex = build_vertex  # type: ignore[method-assign]
    Component._build_results = _build_results  # type: ignore[method-assign]
    return lambda: graph.build_vertex("pass")


async def _time(call: Callable[[], Awaitable[Any]]) -> float:
    begin = time.perf_counter()
    for _ in range(CALLS):
        await call()
    return (time.perf_counter() - begin) / CALLS * 1e6


def _raw(provider: TracerProvider) -> Callable[[], Awaitable[None]]:
    tracer = provider.get_tracer("raw")

    async def call() -> None:
        with tracer.start_as_current_span("raw", attributes=RAW_ATTRIBUTES):
            pass

    return call


async def measure() -> list[Figure]:
    """Measure all variants, interleaved, so that noise falls on all of them alike."""
    os.environ["OTEL_PYTHON_LANGFLOW_INSTRUMENT_LANGCHAIN"] = "false"
    originals = Graph.build_vertex, Component._build_results
    samples: dict[str, list[float]] = {}
    small, large = await _graph(2), await _graph(200)
    provider, unsampled = _provider(), _provider(ALWAYS_OFF)
    variants: list[tuple[str, Any, dict[str, Any] | None]] = [
        ("no instrumentation, 1 KB", small, None),
        ("no instrumentation, 100 KB", large, None),
        ("1 KB in and out", small, {"tracer_provider": provider, "capture_content": True}),
        ("100 KB in and out", large, {"tracer_provider": provider, "capture_content": True}),
        ("no content, 100 KB", large, {"tracer_provider": provider, "capture_content": False}),
        ("not sampled, 100 KB", large, {"tracer_provider": unsampled, "capture_content": True}),
    ]
    try:
        for _ in range(REPEATS):
            samples.setdefault("raw span, 10 attributes", []).append(await _time(_raw(provider)))
            for name, (graph, vertex), options in variants:
                call = _without_work(graph, vertex)
                if options is not None:
                    LangflowInstrumentor().instrument(skip_dep_check=True, **options)
                samples.setdefault(name, []).append(await _time(call))
                if options is not None:
                    LangflowInstrumentor().uninstrument()
                await asyncio.sleep(0.02)
    finally:
        Graph.build_vertex, Component._build_results = originals  # type: ignore[method-assign]
    return [_figure(name, values) for name, values in samples.items()]


def _figure(name: str, values: list[float]) -> Figure:
    quartiles = statistics.quantiles(values, n=4)
    return Figure(name, statistics.median(values), quartiles[0], quartiles[2])
