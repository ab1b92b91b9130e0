"""How much memory a dead backend takes: spans that nobody fetches, of ours and of others.

Each case is a process of its own (`python -m benchmarks.memory <way> <address> <spans> <bytes>`),
which prints by how many MB it has grown at the most.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from benchmarks.sink import Mode, sink
from benchmarks.spans import OURS, texts

CASES = ((100_000, 10_000), (2_500, 1_000_000))
MODES: tuple[Mode, ...] = ("refusing", "hanging")
_MB = 1 << 10  # of the kilobytes that getrusage tells


@dataclass(frozen=True)
class Figure:
    """By how much one process has grown, in MB."""

    way: str
    mode: Mode
    spans: int
    size: int
    megabytes: float


def measure() -> list[Figure]:
    """Run each case once, one after the other."""
    figures = []
    for mode in MODES:
        with sink(mode) as address:
            for spans, size in CASES:
                for way in WAYS:
                    grown = _in_a_process(way, address, spans, size)
                    figures.append(Figure(way, mode, spans, size, grown))
    return figures


def _in_a_process(way: str, address: str, spans: int, size: int) -> float:
    command = [sys.executable, "-m", "benchmarks.memory", way, address, str(spans), str(size)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    if ran.returncode:
        raise RuntimeError(ran.stderr[-2000:])
    return float(ran.stdout.split()[-1])


def _grown() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _MB


def _otel(address: str) -> Callable[[str], None]:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(shutdown_on_exit=False)
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

    provider = TracerProvider(shutdown_on_exit=False)
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


def main(way: str, address: str, spans: str, size: str) -> None:
    """End spans as fast as it goes, and print by how much that made the process grow."""
    import logging

    logging.disable(logging.CRITICAL)
    end = WAYS[way](address)
    before = _grown()
    for text in texts(int(spans), int(size)):
        end(text)
    sys.stdout.write(f"{_grown() - before:.0f}\n")
    sys.stdout.flush()
    # Who cannot send would try for half a minute.
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
