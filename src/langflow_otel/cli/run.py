"""`langflow-otel run`: a thin launcher over `opentelemetry-instrument`."""

import os
import shutil
import sys
from collections.abc import Collection, Mapping
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from langflow_otel import environment as env
from langflow_otel.destinations import LANGFLOW_OTLP, OTLP, destinations_of
from langflow_otel.settings import disabled_instrumentations

_LAUNCHER = "opentelemetry-instrument"
#: Metrics at the port of Langflow's own Prometheus endpoint, with Langflow's own.
_PROMETHEUS = "langflow_prometheus"


def run(
    command: Annotated[
        list[str], typer.Argument(help="The command, as in: -- langflow run --port 7860")
    ],
    extra: Annotated[
        str,
        typer.Option(
            "--with", help="More instrumentors to turn on, comma-separated: fastapi,httpx"
        ),
    ] = "",
) -> None:
    """Run a Langflow command with tracing on.

    Of the instrumentors that are installed, only Langflow's, LangChain's and those of --with are
    turned on. The destinations are those whose variables are set (PHOENIX_COLLECTOR_ENDPOINT,
    LANGFUSE_PUBLIC_KEY, LANGCHAIN_API_KEY, OTEL_EXPORTER_OTLP_ENDPOINT, ...), or those in
    OTEL_TRACES_EXPORTER.
    """
    wanted = {name.strip() for name in extra.split(",") if name.strip()}
    installed = set(entry_points(group="opentelemetry_instrumentor").names)
    if unknown := sorted(wanted - installed):
        packages = " ".join(f"opentelemetry-instrumentation-{name}" for name in unknown)
        raise typer.BadParameter(
            f"no instrumentor is called {', '.join(unknown)} here; there are: "
            f"{', '.join(sorted(installed))} (pip install {packages})",
            param_hint="--with",
        )
    launcher, program = _find(_LAUNCHER), _find(command[0])
    if launcher is None:
        raise _stopped(
            f"{_LAUNCHER} is not on the PATH; it comes with opentelemetry-instrumentation"
        )
    if program is None:
        raise _stopped(f"no command {command[0]!r}")
    environment = launch_environment(os.environ, installed, wanted)
    _check_exporters(environment)
    os.execve(launcher, [launcher, program, *command[1:]], environment)  # noqa: S606 - the user's own command


def launch_environment(
    environ: Mapping[str, str], installed: Collection[str], wanted: Collection[str]
) -> dict[str, str]:
    """Return `environ` with what is not set there: instrumentors, destinations, no more.

    Args:
        environ: The user's environment, which goes before everything but the list of disabled
            instrumentors, to which the unwanted ones are added.
        installed: The names of the instrumentors that are installed.
        wanted: The names of those to turn on besides Langflow's and LangChain's.
    """
    disabled = disabled_instrumentations(environ)
    unwanted = set(installed) - set(wanted) - {"langflow"}
    chosen = {
        "OTEL_METRICS_EXPORTER": _metrics_exporter(environ),
        "OTEL_LOGS_EXPORTER": "none",
        # LangChain's is among the unwanted, because Traceloop's has the same name and would make
        # each model span twice; so ours turns OpenInference's on.
        env.OTEL_PYTHON_LANGFLOW_INSTRUMENT_LANGCHAIN: str(
            not {"langchain", "*"} & disabled and "langchain" not in wanted
        ).lower(),
    }
    if not environ.get("OTEL_ATTRIBUTE_COUNT_LIMIT", "").strip():
        # A chat's messages are attributes each; of more than 128 the SDK drops the first.
        chosen["OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT"] = "10000"
    named = destinations_of(environ)
    if {OTLP, LANGFLOW_OTLP} & set(named):
        # Or else OpenTelemetry's distro sets gRPC.
        chosen["OTEL_EXPORTER_OTLP_PROTOCOL"] = "http/protobuf"
    if "service.name=" not in environ.get("OTEL_RESOURCE_ATTRIBUTES", "").replace(" ", ""):
        chosen["OTEL_SERVICE_NAME"] = "langflow"
    set_by_user = {name: value for name, value in environ.items() if value.strip()}
    return {
        **environ,
        **chosen,
        **set_by_user,
        # Its queues have no bound of bytes and no account, and at the end one waits for the other;
        # so what is sent is sent from here.
        "OTEL_TRACES_EXPORTER": "none",
        env.LANGFLOW_OTEL_DESTINATIONS: ",".join(named) or "none",
        "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": ",".join(sorted(disabled | unwanted)),
    }


def _metrics_exporter(environ: Mapping[str, str]) -> str:
    """Return the exporter for metrics where the user names none.

    Langflow adds no reader to a meter provider that it finds, and so would show nothing where it
    is asked to show its metrics.
    """
    asked = environ.get("LANGFLOW_PROMETHEUS_ENABLED", "").strip().lower() in {"true", "1"}
    return _PROMETHEUS if asked and find_spec("opentelemetry.exporter.prometheus") else "none"


def _check_exporters(environment: dict[str, str]) -> None:
    """Say which destinations are not there, or that there is none."""
    known = {*entry_points(group="opentelemetry_traces_exporter").names, OTLP, "none"}
    named = environment[env.LANGFLOW_OTEL_DESTINATIONS].split(",")
    unknown = [name for name in named if name not in known]
    if unknown:
        _say(
            f"OTEL_TRACES_EXPORTER names {', '.join(unknown)}, which is not installed (there are: "
            f"{', '.join(sorted(known))}); nothing is sent there"
        )
        left = [name for name in named if name in known]
        environment[env.LANGFLOW_OTEL_DESTINATIONS] = ",".join(left) or "none"
    elif named == ["none"] and not os.environ.get("OTEL_TRACES_EXPORTER", "").strip():
        _say(
            "no destination is set, so no trace is sent; set "
            f"{env.PHOENIX_COLLECTOR_ENDPOINT} or OTEL_EXPORTER_OTLP_ENDPOINT"
        )


def _say(message: str) -> None:
    typer.echo(f"langflow-otel: {message}", err=True)


def _find(command: str) -> str | None:
    """Return where a command is: on the PATH, or beside this one."""
    return shutil.which(command) or shutil.which(command, path=str(Path(sys.executable).parent))


def _stopped(message: str) -> typer.Exit:
    _say(message)
    return typer.Exit(code=127)
