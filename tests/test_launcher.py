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
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, "langflow_otlp"),
        ({"OTEL_TRACES_EXPORTER": "console"}, "console"),
    ],
)
def test_the_destinations_are_those_it_finds(given: dict[str, str], exporter: str) -> None:
    environment = _environment(given)
    assert environment["OTEL_TRACES_EXPORTER"] == exporter
    assert environment["OTEL_METRICS_EXPORTER"] == "none"
    assert environment["OTEL_LOGS_EXPORTER"] == "none"


def test_what_the_user_set_stays_and_nothing_else_changes() -> None:
    given = {
        "OTEL_TRACES_EXPORTER": "phoenix",
        "OTEL_METRICS_EXPORTER": "prometheus",
        "OTEL_LOGS_EXPORTER": "otlp",
        "OTEL_PYTHON_LANGFLOW_INSTRUMENT_LANGCHAIN": "false",
        "HOME": "/home/me",
    }
    environment = _environment(given)
    assert {name: environment[name] for name in given} == given
    assert set(environment) - set(given) == {
        "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS",
        "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
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
        "os.environ['OTEL_TRACES_EXPORTER']])); sys.exit(3)"
    )
    done = _run(
        "--", sys.executable, "-c", code, "--port", "7860",
        PHOENIX_COLLECTOR_ENDPOINT="http://127.0.0.1:9",
    )  # fmt: skip
    assert done.returncode == 3, done.stderr
    assert json.loads(done.stdout) == [["--port", "7860"], True, "phoenix"]
    assert done.stderr == ""


def test_without_a_destination_it_says_so_and_runs() -> None:
    done = _run("--", sys.executable, "-c", "print('ran')")
    assert done.stdout == "ran\n"
    assert "no destination is set" in done.stderr
    assert "PHOENIX_COLLECTOR_ENDPOINT" in done.stderr


def test_an_unknown_exporter_is_named_and_left_out() -> None:
    done = _run(
        "--", sys.executable, "-c", "import os; print(os.environ['OTEL_TRACES_EXPORTER'])",
        OTEL_TRACES_EXPORTER="phoenixx,console",
    )  # fmt: skip
    assert done.stdout == "console\n"
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
