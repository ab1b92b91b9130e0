"""`langflow-otel run`: what it sets, and what it leaves alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from langflow_otel.cli.run import launch_environment

INSTALLED = {"langflow", "langchain", "fastapi", "httpx", "sqlalchemy"}
COMMAND = str(Path(sys.executable).parent / "langflow-otel")


def _environment(given: dict[str, str], *wanted: str) -> dict[str, Any]:
    return launch_environment(given, INSTALLED, wanted)


def _disabled(environment: dict[str, str]) -> set[str]:
    return set(environment["OTEL_PYTHON_DISABLED_INSTRUMENTATIONS"].split(","))


def test_only_langflows_instrumentor_and_langchains_are_on() -> None:
    environment = _environment({"PHOENIX_COLLECTOR_ENDPOINT": "http://p:6006"})
    assert _disabled(environment) == {"langchain", "fastapi", "httpx", "sqlalchemy"}
    assert environment["OTEL_PYTHON_LANGFLOW_INSTRUMENT_LANGCHAIN"] == "true"


def test_with_turns_on_more() -> None:
    assert _disabled(_environment({}, "fastapi", "httpx")) == {"langchain", "sqlalchemy"}


def test_langchains_stays_off_where_the_user_turned_it_off() -> None:
    environment = _environment({"OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "langchain"})
    assert environment["OTEL_PYTHON_LANGFLOW_INSTRUMENT_LANGCHAIN"] == "false"


@pytest.mark.parametrize(
    ("given", "exporter"),
    [
        ({}, "none"),
        ({"PHOENIX_COLLECTOR_ENDPOINT": "http://p:6006"}, "phoenix"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, "otlp"),
        ({"OTEL_TRACES_EXPORTER": "console"}, "console"),
    ],
)
def test_the_destinations_are_those_it_finds(given: dict[str, str], exporter: str) -> None:
    environment = _environment(given)
    assert environment["LANGFLOW_OTEL_DESTINATIONS"] == exporter
    assert environment["OTEL_TRACES_EXPORTER"] == "none", "OpenTelemetry makes no exporter"
    assert _environment(environment) == environment, "one may start the other"
    assert environment["OTEL_METRICS_EXPORTER"] == "none"
    assert environment["OTEL_LOGS_EXPORTER"] == "none"


@pytest.mark.parametrize("named", [{}, {"OTEL_TRACES_EXPORTER": "phoenix, langflow_otlp"}])
def test_otlp_goes_over_http_where_nothing_is_said_of_it(named: dict[str, str]) -> None:
    given = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", **named}
    assert _environment(given)["OTEL_EXPORTER_OTLP_PROTOCOL"] == "http/protobuf"
    asked = _environment({**given, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"})
    assert asked["OTEL_EXPORTER_OTLP_PROTOCOL"] == "grpc"


def test_the_service_is_langflow_unless_it_has_a_name() -> None:
    assert _environment({})["OTEL_SERVICE_NAME"] == "langflow"
    assert _environment({"OTEL_SERVICE_NAME": "mine"})["OTEL_SERVICE_NAME"] == "mine"
    told = _environment({"OTEL_RESOURCE_ATTRIBUTES": "team=a,service.name=mine"})
    assert "OTEL_SERVICE_NAME" not in told


def test_metrics_are_where_langflow_shows_its_own_where_it_does() -> None:
    pytest.importorskip("opentelemetry.exporter.prometheus")
    shown = {"LANGFLOW_PROMETHEUS_ENABLED": "true"}
    assert _environment(shown)["OTEL_METRICS_EXPORTER"] == "langflow_prometheus"
    named = _environment({**shown, "OTEL_METRICS_EXPORTER": "otlp"})
    assert named["OTEL_METRICS_EXPORTER"] == "otlp"


def test_what_the_user_set_stays_and_nothing_else_changes() -> None:
    given = {
        "OTEL_METRICS_EXPORTER": "prometheus",
        "OTEL_LOGS_EXPORTER": "otlp",
        "OTEL_PYTHON_LANGFLOW_INSTRUMENT_LANGCHAIN": "false",
        "HOME": "/home/me",
    }
    environment = _environment(given)
    assert {name: environment[name] for name in given} == given
    assert set(environment) - set(given) == {
        "LANGFLOW_OTEL_DESTINATIONS",
        "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS",
        "OTEL_SERVICE_NAME",
        "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
        "OTEL_TRACES_EXPORTER",
    }


def _run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [COMMAND, "run", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_the_command_runs_instrumented_with_its_arguments_and_its_exit_code() -> None:
    code = (
        "import json, os, sys; from langflow_otel import LangflowInstrumentor as i;"
        "print(json.dumps([sys.argv[1:], i().is_instrumented_by_opentelemetry,"
        "list(i().statistics())])); sys.exit(3)"
    )
    done = _run(
        "--", sys.executable, "-c", code, "--port", "7860",
        PHOENIX_COLLECTOR_ENDPOINT="http://127.0.0.1:9",
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    assert json.loads(done.stdout) == [["--port", "7860"], True, ["phoenix"]]
    assert done.stderr == ""


def test_without_a_destination_it_says_so_and_runs() -> None:
    done = _run("--", sys.executable, "-c", "print('ran')")
    assert done.stdout == "ran\n"
    assert "no destination is set" in done.stderr
    assert "PHOENIX_COLLECTOR_ENDPOINT" in done.stderr


def test_an_unknown_exporter_is_named_and_left_out() -> None:
    done = _run(
        "--", sys.executable, "-c",
        "from langflow_otel import LangflowInstrumentor as i; print(list(i().statistics()))",
        OTEL_TRACES_EXPORTER="phoenixx,console",
    )  # fmt: skip
    assert done.stdout == "['console']\n"
    assert "OTEL_TRACES_EXPORTER names phoenixx, which is not installed" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_instrumentor_is_named() -> None:
    done = _run("--with", "fastpai", "--", sys.executable, "-c", "print('ran')")
    assert done.returncode == 2
    assert done.stdout == ""
    assert "fastpai" in done.stderr


def test_an_unknown_command_is_named() -> None:
    done = _run("--", "no-such-command-here")
    assert done.returncode == 127
    assert "no command 'no-such-command-here'" in done.stderr
