"""The metrics as somebody sees them, of a real process: over OTLP, and at a Prometheus endpoint."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)

from langflow_otel import genai_metrics, metrics, run_metrics
from tests.support import flows
from tests.support.process import OFFLINE, clean_environment, first_on_path, free_port, run
from tests.support.receiver import METRICS, Incoming, OtlpReceiver, Reply
from tests.support.server import LangflowServer
from tests.support.versions import before

PROGRAM = """
import asyncio, sys
import langflow_otel
from tests.support import flows
asyncio.run(flows.run_flow(flows.sync_method()))
assert langflow_otel.force_flush(60_000)
print("ready", flush=True)
sys.stdin.read()
"""
# What there is once a flow has run and its spans were sent.
TOLD = {
    metrics.PROCESSED,
    metrics.EXPORTED,
    metrics.QUEUE_SIZE,
    metrics.QUEUE_CAPACITY,
    metrics.QUEUE_BYTES,
    metrics.QUEUE_BYTES_CAPACITY,
    metrics.INFLIGHT,
    metrics.REQUESTS,
    metrics.RETRIES,
    metrics.WITHOUT_CONTENT,
    metrics.CIRCUIT,
    run_metrics.FLOW_DURATION,
    run_metrics.COMPONENT_DURATION,
    run_metrics.CAPTURE_DURATION,
    run_metrics.EXPORT_DURATION,
}


class MetricsReceiver(OtlpReceiver):
    """Reads the metrics, too."""

    def __init__(self) -> None:
        super().__init__()
        self.metrics: set[str] = set()

    def respond(self, request: Incoming) -> Reply:
        if request.path == METRICS:
            sent = ExportMetricsServiceRequest.FromString(request.body(*self.encodings))
            scopes = [s for r in sent.resource_metrics for s in r.scope_metrics]
            ours = [scope for scope in scopes if scope.scope.name == "langflow_otel"]
            self.metrics |= {metric.name for scope in ours for metric in scope.metrics}
        return super().respond(request)


@pytest.fixture
def backend() -> Iterator[MetricsReceiver]:
    with MetricsReceiver() as started:
        yield started


def run_and_look(backend: OtlpReceiver, exporters: str, port: int) -> str:
    """Run a flow in a process of its own; what its Prometheus endpoint shows after that."""
    settings = {
        "PHOENIX_COLLECTOR_ENDPOINT": backend.endpoint,
        "OTEL_METRICS_EXPORTER": exporters,
        "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": backend.endpoint + METRICS,
        "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_PROMETHEUS_PORT": str(port),
        "PYTHONPATH": str(Path(__file__).parent.parent),
    }
    process = subprocess.Popen(
        ["langflow-otel", "run", "--", sys.executable, "-c", PROGRAM],
        env=clean_environment({**OFFLINE, **first_on_path(sys.executable), **settings}),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert "ready\n" in iter(process.stdout.readline, ""), process.communicate()[1]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as page:
            shown = str(page.read().decode())
        _, said = process.communicate("", timeout=120)
        assert process.returncode == 0, said
    finally:
        process.kill()
        process.communicate()
    return shown


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("opentelemetry.exporter.prometheus") is None,
    reason="no opentelemetry-exporter-prometheus in this environment",
)
def test_the_metrics_are_at_a_prometheus_endpoint_and_sent_over_otlp(
    backend: MetricsReceiver,
) -> None:
    shown = run_and_look(backend, "prometheus,otlp", free_port())
    names = set(re.findall(r"^# TYPE (\w+) ", shown, re.MULTILINE))
    for name in TOLD:
        plain = name.replace(".", "_")
        assert [n for n in names if n.startswith(plain)], (name, sorted(names))
    sent = r'^otel_sdk_exporter_span_exported\w*\{.*otel_component_name="phoenix".*\} 4\.0$'
    assert re.search(sent, shown, re.MULTILINE), shown
    runs = r'^langflow_otel_flow_duration\w*_count\{.*langflow_flow_name="Sync method".*\} 1\.0$'
    assert re.search(runs, shown, re.MULTILINE), shown
    # What is collected at the end of the process.
    assert backend.rejected == []
    assert backend.metrics >= TOLD


def test_langflows_own_export_over_otlp_sends_ours_too(backend: MetricsReceiver) -> None:
    """Or else nobody would tell of model calls: Langflow's metric of them is left out for ours."""
    pytest.importorskip("lfx.observability", reason="Langflow exports nothing before 1.12")
    code = [
        "import asyncio, langflow_otel",
        "from lfx.observability import bootstrap_application_telemetry",
        "telemetry = bootstrap_application_telemetry()",
        "langflow_otel.LangflowInstrumentor().instrument()",
        "from tests.support import flows",
        "asyncio.run(flows.run_flow(flows.linear_chat()))",
    ]
    settings = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": backend.endpoint,
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_LOGS_EXPORTER": "none",
    }
    done = run(
        [sys.executable, "-c", "\n".join(code)],
        clean_environment({**OFFLINE, **settings}),
        Path(__file__).parent.parent,
        120,
    )
    assert done.returncode == 0, done.stderr
    assert backend.metrics >= {
        metrics.EXPORTED,
        run_metrics.FLOW_DURATION,
        genai_metrics.OPERATION_DURATION,
        genai_metrics.TOKEN_USAGE,
    }


@pytest.mark.skipif(
    before("1.12"), reason="Langflow shows the metrics of a process that runs no flow before 1.12"
)
@pytest.mark.server
def test_where_langflow_shows_its_metrics_it_shows_ours_too(backend: OtlpReceiver) -> None:
    pytest.importorskip("langflow", reason="no langflow-base in this environment")
    port = free_port()
    settings = {
        "PHOENIX_COLLECTOR_ENDPOINT": backend.endpoint,
        "LANGFLOW_PROMETHEUS_ENABLED": "true",
        "LANGFLOW_PROMETHEUS_PORT": str(port),
    }
    with LangflowServer(settings, ["langflow-otel", "run", "--"]) as langflow:
        flow = langflow.upload(flows.sync_method())
        langflow.run(flow, "hi")
        langflow.build(flow, "hi")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as page:
            shown = page.read().decode()
    runs = r'^langflow_otel_%s_duration\w*_count\{.*langflow_entry_point="%s".*\} 1\.0$'
    for entry_point in ("v1", "v1.build"):
        for what in ("flow", "component"):
            told = runs % (what, re.escape(entry_point))
            assert re.search(told, shown, re.MULTILINE), shown
    assert re.search(r"^# TYPE langflow_(?!otel)", shown, re.MULTILINE), shown
