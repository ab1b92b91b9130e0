"""The ways to trace that a dead backend is tried with: each makes what ends a span with a text."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

from benchmarks.spans import OURS


def _otel(address: str) -> Callable[[str], None]:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider()
    exporter = OTLPSpanExporter(endpoint=f"{address}/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return _with(provider)


def _ours(address: str) -> Callable[[str], None]:
    from opentelemetry.sdk.trace import TracerProvider

    from langflow_otel import LangflowInstrumentor

    os.environ["PHOENIX_COLLECTOR_ENDPOINT"] = address
    LangflowInstrumentor().instrument()
    provider = LangflowInstrumentor().tracer_provider
    assert isinstance(provider, TracerProvider)
    return _with(provider)


def _langfuse(address: str) -> Callable[[str], None]:
    from langfuse._client.span_processor import LangfuseSpanProcessor
    from opentelemetry.sdk.trace import TracerProvider

    provider = TracerProvider()
    processor = LangfuseSpanProcessor(public_key="pk", secret_key="sk", base_url=address)
    provider.add_span_processor(processor)
    return _with(provider)


def _langsmith(address: str) -> Callable[[str], None]:
    from langsmith import Client

    client = Client(api_url=address, api_key="k", info={}, tracing_sampling_rate=1.0)

    def end(text: str) -> None:
        run_id, now = uuid.uuid4(), datetime.now(timezone.utc)
        order = now.strftime("%Y%m%dT%H%M%S%fZ") + str(run_id)
        place: Any = {"trace_id": run_id, "dotted_order": order, "start_time": now, "end_time": now}
        client.create_run("run", {"input": text}, "chain", id=run_id, **place)

    return end


def _with(provider: Any) -> Callable[[str], None]:
    tracer = provider.get_tracer(OURS)

    def end(text: str) -> None:
        tracer.start_span("span", attributes={"input.value": text}).end()

    return end


WAYS: dict[str, Callable[[str], Callable[[str], None]]] = {
    "OpenTelemetry's processor and OTLP exporter": _otel,
    "langflow-otel": _ours,
    "langfuse's SDK, its processor": _langfuse,
    "langsmith's client, in the background": _langsmith,
}
