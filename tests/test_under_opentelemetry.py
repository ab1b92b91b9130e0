"""Under `opentelemetry-instrument`, whose distro sets what the user has not, and takes the log."""

from __future__ import annotations

import importlib.util
import json
import logging
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult

from langflow_otel.destinations import destinations_of
from langflow_otel.export.otlp import LangflowOtlpSpanExporter
from tests.support import flows
from tests.support.invariants import check
from tests.support.lfx_cli import lfx_run
from tests.support.process import OFFLINE, clean_environment
from tests.support.receiver import OtlpReceiver
from tests.support.select import is_ours, only
from tests.support.tree import render


@pytest.fixture
def distro(environment: pytest.MonkeyPatch) -> None:
    """Let it look as if OpenTelemetry's distro had set what was not set."""
    name = "opentelemetry.distro"
    environment.setitem(sys.modules, name, types.ModuleType(name))


@pytest.mark.skipif(
    importlib.util.find_spec("opentelemetry.exporter.otlp.proto.grpc") is None,
    reason="opentelemetry-instrument sets up nothing without the exporter that its distro names",
)
def test_the_variables_of_a_vendor_are_enough(receiver: OtlpReceiver, tmp_path: Path) -> None:
    flow = tmp_path / "chat.json"
    flow.write_text(json.dumps(flows.linear_chat("Answer")))
    env = {
        "PHOENIX_COLLECTOR_ENDPOINT": receiver.endpoint,
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        # Of the exporter that the distro asks for, which finds nobody.
        "OTEL_EXPORTER_OTLP_TIMEOUT": "1",
    }
    done = lfx_run(flow, "the question", env=env, prefix=["opentelemetry-instrument"])
    assert done.answer == "Answer"
    spans = receiver.wait_for(8)
    check(spans, traces=1)
    assert (
        render(only(spans, is_ours))
        == """\
CHAIN Linear chat
  CHAIN Chat Input
  PROMPT Prompt Template
  CHAIN Scripted Model
  CHAIN Chat Output"""
    )
    # Or else the other exporter would get it, too.
    assert "the question" not in repr(spans)
    assert "phoenix is added to the tracer provider that is installed" in done.stderr


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"PHOENIX_COLLECTOR_ENDPOINT": "http://p:6006"}, ["phoenix"]),
        (
            {
                "PHOENIX_COLLECTOR_ENDPOINT": "http://p:6006",
                "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318",
            },
            ["otlp"],
        ),
        (
            {"PHOENIX_COLLECTOR_ENDPOINT": "http://p:6006", "LANGFLOW_OTEL_DESTINATIONS": "otlp"},
            ["otlp"],
        ),
        ({}, []),
    ],
)
def test_otlp_that_the_distro_names_is_not_what_the_user_wants(
    environ: dict[str, str], expected: list[str], distro: None
) -> None:
    assert destinations_of({**environ, "OTEL_TRACES_EXPORTER": "otlp"}) == expected


def test_an_address_of_http_is_sent_to_over_http_whatever_the_distro_sets(
    distro: None, environment: pytest.MonkeyPatch, said: Any
) -> None:
    span = TracerProvider(shutdown_on_exit=False).get_tracer("any").start_span("one")
    span.end()
    with type("At", (OtlpReceiver,), {"traces_path": "/otlp/v1/traces"})() as receiver:
        environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"{receiver.endpoint}/otlp")
        environment.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
        exporter = LangflowOtlpSpanExporter()
        assert exporter.export([span]) is SpanExportResult.SUCCESS
        assert [each.name for each in receiver.spans] == ["one"]
    assert said(logging.WARNING) == [
        "langflow-otel: OTLP goes over http/protobuf, not grpc, which opentelemetry-instrument "
        "sets unless you do: its address says so"
    ]


WARNS = """
import logging, sys
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
if "otel" in sys.argv: logging.getLogger().addHandler(LoggingHandler(0, LoggerProvider()))
if "own" in sys.argv: logging.getLogger().addHandler(logging.StreamHandler())
from langflow_otel.guard import logger
logger.warning("spans did not arrive")
logger.info("all is well")
"""


@pytest.mark.parametrize("handlers", [[], ["otel"], ["own"], ["otel", "own"]], ids=" and ".join)
def test_a_warning_is_shown_once_whoever_handles_logs(handlers: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", WARNS, *handlers],
        env=clean_environment(OFFLINE),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stderr == "spans did not arrive\n"
