"""Under `opentelemetry-instrument`, whose distro sets what the user has not, and takes the log."""

from __future__ import annotations

import importlib.util
import logging
import subprocess
import sys
import types
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult

from langflow_otel.destinations import destinations_of
from langflow_otel.export import otlp
from langflow_otel.export.otlp import LangflowOtlpSpanExporter
from tests.support.process import OFFLINE, clean_environment
from tests.support.receiver import OtlpReceiver


@pytest.fixture
def distro(environment: pytest.MonkeyPatch) -> None:
    """Let it look as if OpenTelemetry's distro had set what was not set."""
    name = "opentelemetry.distro"
    environment.setitem(sys.modules, name, types.ModuleType(name))


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({"PHOENIX_COLLECTOR_ENDPOINT": "http://p:6006"}, ["phoenix"]),
        ({"PHOENIX_COLLECTOR_ENDPOINT": "http://p:6006", "ARIZE_API_KEY": "k"}, ["phoenix"]),
        ({"PHOENIX_COLLECTOR_ENDPOINT": "x", "LANGFLOW_OTEL_DESTINATIONS": "otlp"}, []),
        ({}, []),
    ],
)
def test_where_the_distro_may_have_named_otlp_vendors_get_nothing_and_that_is_said(
    environ: dict[str, str], told: list[str], distro: None, said: Any
) -> None:
    assert destinations_of({**environ, "OTEL_TRACES_EXPORTER": "otlp"}) == ["otlp"]
    lines = said(logging.WARNING)
    assert len(lines) == len(told)
    for name, line in zip(told, lines, strict=True):
        assert f"nothing is sent to {name}, whose variables are set" in line
        assert f"OTEL_TRACES_EXPORTER={name}" in line


@pytest.mark.parametrize("named", ["otlp,phoenix", "langflow_otlp", "none"])
def test_what_the_user_has_named_is_not_commented_on(named: str, distro: None, said: Any) -> None:
    destinations_of({"PHOENIX_COLLECTOR_ENDPOINT": "http://p", "OTEL_TRACES_EXPORTER": named})
    assert said(logging.WARNING) == []


@pytest.mark.parametrize(
    ("address", "launched", "protocol"),
    [
        ("http://c:4318", False, "http/protobuf"),
        ("c:4318", False, "http/protobuf"),
        ("https://c/otlp", False, "http/protobuf"),
        ("http://c:4317", False, "grpc"),
        ("c:4317", False, "grpc"),
        ("10.0.0.1:4317/", False, "grpc"),
        ("", False, "grpc"),
        ("http://[::1:4317", False, "grpc"),
        # There it is the user who has said gRPC.
        ("https://c/otlp", True, "grpc"),
    ],
)
def test_the_protocol_of_an_address_where_the_distro_may_have_said_grpc(
    address: str,
    launched: bool,
    protocol: str,
    distro: None,
    environment: pytest.MonkeyPatch,
) -> None:
    environment.setattr(importlib.util, "find_spec", lambda _: object())
    environment.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
    if launched:
        environment.setenv("LANGFLOW_OTEL_DESTINATIONS", "otlp")
    assert otlp._protocol() == protocol


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


AS_LFX_SERVE = """
import os, sys
os.environ["LANGFLOW_PRETTY_LOGS"] = "false"
from lfx.log.logger import configure
configure(log_level="warning")
configure(disable="off" in sys.argv)
from langflow_otel.guard import logger
logger.error("spans did not arrive")
"""


@pytest.mark.parametrize("logs", ["on", "off"])
def test_an_error_is_shown_once_also_where_lfx_turns_logs_off(logs: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", AS_LFX_SERVE, logs],
        env=clean_environment(OFFLINE),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.stdout + done.stderr).count("spans did not arrive") == 1, done.stderr
