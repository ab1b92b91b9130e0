"""Programs that end a few spans, each in a process of its own, which is quicker than a Langflow."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import entry_points

from tests.support.process import clean_environment, first_on_path
from tests.support.receiver import OtlpReceiver

SPANS = 5
# Nothing is sent but when the process ends; the export of a hanging backend takes 30 seconds.
LATE = {"OTEL_BSP_SCHEDULE_DELAY": "3000000", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "512"}
PROCESS_IDS = {"OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": "process"}
# A process that has not ended by then hangs; how long it takes is measured by the benchmark `exit`.
PATIENCE = 60.0
# A backend may take an hour, what is left at the end a second.
BOUND = {"OTEL_BSP_EXPORT_TIMEOUT": "3600000", "OTEL_PYTHON_LANGFLOW_SHUTDOWN_TIMEOUT": "1000"}
# Seconds for an end within that bound: much more than a busy machine adds to it, and less than any
# wait that is not meant, of which the shortest is that for one request (ten).
IN_TIME = 9.0

# Who makes the provider, and what sends: ours both; OpenTelemetry's and ours; OpenTelemetry's both.
WAYS: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
    "ours": ((), {}),
    "launcher": (("langflow-otel", "run", "--"), {}),
    "theirs": (
        ("opentelemetry-instrument",),
        {
            "OTEL_TRACES_EXPORTER": "phoenix",
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_LOGS_EXPORTER": "none",
            "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": ",".join(
                {point.name for point in entry_points(group="opentelemetry_instrumentor")}
                - {"langflow"}
            ),
        },
    ),
}

BEGINNING = f"""
import asyncio, os, signal, sys, threading, time
# Who runs the tests in a shell's background ignores it, and so would all that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)
import langflow_otel
from langflow_otel import LangflowInstrumentor
LangflowInstrumentor().instrument()
from opentelemetry import trace
tracer = (LangflowInstrumentor().tracer_provider).get_tracer("langflow_otel")
for number in range({SPANS}):
    tracer.start_span(f"span {{number}}").end()
def ready():
    print("ready", flush=True)
"""

EXPECTED = [f"span {number}" for number in range(SPANS)]


@contextmanager
def running(ending: str, env: dict[str, str], way: str = "ours") -> Iterator[subprocess.Popen[str]]:
    """A program that ends its spans, and then comes to that ending; killed in the end."""
    prefix, more = WAYS[way]
    command = [*prefix, sys.executable, "-c", BEGINNING + textwrap.dedent(ending)]
    process = subprocess.Popen(
        command,
        env=clean_environment({**first_on_path(sys.executable), **LATE, **more, **env}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        # With all that it has forked.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def arrived(receiver: OtlpReceiver) -> list[str]:
    """The names of the spans that have come, in the order they came."""
    assert receiver.rejected == []
    return [span.name for span in receiver.spans]
