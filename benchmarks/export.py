"""What sending costs: spans per second and CPU time per span, of our exporters and of others."""

from __future__ import annotations

import contextlib
import importlib.util
import statistics
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult

from benchmarks.sink import sink
from benchmarks.spans import finished
from langflow_otel.export import presets
from langflow_otel.export.langfuse import LangfuseSpanExporter
from langflow_otel.export.otlp import LangflowOtlpSpanExporter
from langflow_otel.export.phoenix import PhoenixSpanExporter
from langflow_otel.settings import Settings

# With 200 the background thread of langsmith 0.15 sometimes ends, and `flush` waits for ever.
RUNS = 100
REPEATS, QUICK_REPEATS = 5, 2
BATCH = 64
_OTEL = "OTLPSpanExporter, OpenTelemetry's own"
_PROFILED = (_OTEL, "phoenix", "langfuse", "langsmith")
# Without which an exporter sends nothing.
_KEYS = (
    "ARIZE_API_KEY",
    "ARIZE_SPACE_ID",
    "LANGWATCH_API_KEY",
    "OPIK_API_KEY",
    "TRACELOOP_API_KEY",
    "OPENLAYER_API_KEY",
    "OPENLAYER_INFERENCE_PIPELINE_ID",
)

Send = Callable[[Sequence[ReadableSpan]], None]


@dataclass(frozen=True)
class Figure:
    """What one way to send costs per span."""

    name: str
    cpu: float
    """Microseconds."""
    per_second: float


def measure(*, quick: bool) -> list[Figure]:
    """Send the same spans in every way, one after the other, and that again and again."""
    with sink("instant") as address, contextlib.ExitStack() as open_ones:
        ways = _ways(address, open_ones)
        figures: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
        for _ in range(QUICK_REPEATS if quick else REPEATS):
            spans = finished(RUNS)
            for name, send in ways.items():
                wall, cpu = time.perf_counter(), time.process_time()
                send(spans)
                cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
                figures[name].append((cpu / len(spans) * 1e6, len(spans) / wall))
    return [
        Figure(name, *(statistics.median(values) for values in zip(*each, strict=True)))
        for name, each in figures.items()
    ]


def profiled_ways(address: str, open_ones: contextlib.ExitStack) -> dict[str, Send]:
    """Return those that send in the thread that asks them to."""
    ways = _ways(address, open_ones)
    return {name: ways[name] for name in _PROFILED if name in ways}


def _ways(address: str, open_ones: contextlib.ExitStack) -> dict[str, Send]:
    settings = Settings(capture_content=True)
    with _environment({"OTEL_EXPORTER_OTLP_ENDPOINT": address}):
        exporters = {
            _OTEL: OTLPSpanExporter(),
            "otlp, in both dialects": LangflowOtlpSpanExporter(settings=settings),
        }
    keys = {"public_key": "pk", "secret_key": "sk", "base_url": address}
    exporters |= {
        "phoenix": PhoenixSpanExporter(endpoint=address, settings=settings),
        "langfuse": LangfuseSpanExporter(**keys, settings=settings),
    }
    for exporter in presets.PresetSpanExporter.__subclasses__():
        environ = {**dict.fromkeys(_KEYS, "k"), exporter.preset.endpoints[0]: address}
        exporters[exporter.preset.name] = exporter(settings=settings, environ=environ)
    ways: dict[str, Send] = {name: _exporting(each) for name, each in exporters.items()}
    if importlib.util.find_spec("langfuse"):
        ways["langfuse's SDK, its processor"] = _langfuse_sdk(address, open_ones)
    if importlib.util.find_spec("langsmith"):
        from langflow_otel.export.langsmith import LangSmithSpanExporter

        ours = LangSmithSpanExporter(endpoint=address, api_key="k", settings=settings)
        ways["langsmith"] = _exporting(ours)
        ways["langsmith's client, in the background"] = _langsmith_client(address)
    return ways


def _exporting(exporter: Any) -> Send:
    def send(spans: Sequence[ReadableSpan]) -> None:
        for first in range(0, len(spans), BATCH):
            result = exporter.export(spans[first : first + BATCH])
            assert result is SpanExportResult.SUCCESS

    return send


def _langfuse_sdk(address: str, open_ones: contextlib.ExitStack) -> Send:
    from langfuse._client.span_processor import LangfuseSpanProcessor

    processor = LangfuseSpanProcessor(public_key="pk", secret_key="sk", base_url=address)
    open_ones.callback(processor.shutdown)

    def send(spans: Sequence[ReadableSpan]) -> None:
        for span in spans:
            processor.on_end(span)
        processor.force_flush()

    return send


def _langsmith_client(address: str) -> Send:
    """Send runs as LangChain's tracer does: created when they start, updated when they end."""
    from langsmith import Client

    def send(spans: Sequence[ReadableSpan]) -> None:
        # A new one each time: the thread of one that has had nothing to do ends.
        client = Client(api_url=address, api_key="k", info={}, tracing_sampling_rate=1.0)
        for span in spans:
            said = dict(span.attributes or {})
            run_id, began = uuid.uuid4(), datetime.now(timezone.utc)
            order = began.strftime("%Y%m%dT%H%M%S%fZ") + str(run_id)
            place = {"trace_id": run_id, "dotted_order": order}
            inputs = {"input": said.pop("input.value", "")}
            outputs = {"output": said.pop("output.value", "")}
            kind: Any = "llm" if "llm.model_name" in said else "chain"
            client.create_run(
                span.name,
                inputs,
                kind,
                id=run_id,
                start_time=began,
                extra={"metadata": said},
                **place,
            )
            client.update_run(run_id, outputs=outputs, end_time=began, **place)
        client.flush()
        client.cleanup()

    return send


@contextlib.contextmanager
def _environment(said: dict[str, str]) -> Any:
    import os

    os.environ.update(said)
    try:
        yield
    finally:
        for name in said:
            del os.environ[name]
