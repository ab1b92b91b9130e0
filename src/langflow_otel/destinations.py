"""Which destinations there are, what selects them, and which are wanted."""

import importlib
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from opentelemetry.sdk.trace.export import SpanExporter

from langflow_otel import environment as env
from langflow_otel.guard import warn_once
from langflow_otel.variables import TRUE

OTLP, LANGFLOW_OTLP = "otlp", "langflow_otlp"
OTLP_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


@dataclass(frozen=True)
class Destination:
    """A backend that has an exporter of ours.

    Attributes:
        name: As in `OTEL_TRACES_EXPORTER`.
        exporter: The module and the class of its exporter.
        selected_by: Groups of variables. Any group selects the destination, where all of it is
            set; `A|B` in a group means that one of the two is, `A=true` that it says so, `A*` that
            any that begins so is.
    """

    name: str
    exporter: str
    selected_by: tuple[tuple[str, ...], ...]

    def wanted(self, environ: Mapping[str, str]) -> bool:
        """Tell whether `environ` has what selects this destination."""
        return any(all(_is_set(environ, each) for each in group) for group in self.selected_by)

    def missing(self, environ: Mapping[str, str]) -> tuple[str, ...]:
        """Return what is missing of the first group that is set in part."""
        for group in self.selected_by:
            absent = tuple(each for each in group if not _is_set(environ, each))
            if 0 < len(absent) < len(group):
                return absent
        return ()

    def make(self, **arguments: Any) -> SpanExporter:
        """Return a new exporter.

        Raises:
            ImportError: What the exporter needs is not installed.
        """
        module, _, name = self.exporter.partition(":")
        exporter: SpanExporter = getattr(importlib.import_module(module), name)(**arguments)
        return exporter


# What selects each is what makes Langflow's own tracer of the vendor start (langflow-base 1.13,
# `langflow.services.tracing`). LangSmith's own names are taken where they ask for tracing, too.
_EXPORT = "langflow_otel.export."
_PLAIN = Destination(OTLP, f"{_EXPORT}otlp:LangflowOtlpSpanExporter", ())
DESTINATIONS: Mapping[str, Destination] = {
    destination.name: destination
    for destination in (
        Destination(
            "phoenix",
            f"{_EXPORT}phoenix:PhoenixSpanExporter",
            (("PHOENIX_COLLECTOR_ENDPOINT",), ("PHOENIX_API_KEY",)),
        ),
        Destination(
            "langfuse",
            f"{_EXPORT}langfuse:LangfuseSpanExporter",
            (("LANGFUSE_PUBLIC_KEY", "LANGFUSE_SECRET_KEY", "LANGFUSE_BASE_URL|LANGFUSE_HOST"),),
        ),
        Destination(
            "langsmith",
            f"{_EXPORT}langsmith:LangSmithSpanExporter",
            (
                ("LANGCHAIN_API_KEY",),
                ("LANGSMITH_API_KEY", "LANGSMITH_TRACING=true|LANGSMITH_TRACING_V2=true"),
            ),
        ),
        Destination(
            "arize",
            f"{_EXPORT}presets:ArizeSpanExporter",
            (("ARIZE_API_KEY", "ARIZE_SPACE_ID"),),
        ),
        Destination(
            "langwatch", f"{_EXPORT}presets:LangWatchSpanExporter", (("LANGWATCH_API_KEY",),)
        ),
        Destination(
            "opik",
            f"{_EXPORT}presets:OpikSpanExporter",
            (("OPIK_URL_OVERRIDE",), ("OPIK_API_KEY",)),
        ),
        Destination(
            "traceloop", f"{_EXPORT}presets:TraceloopSpanExporter", (("TRACELOOP_API_KEY",),)
        ),
        Destination(
            "openlayer",
            f"{_EXPORT}presets:OpenlayerSpanExporter",
            (
                (
                    "OPENLAYER_API_KEY",
                    "OPENLAYER_INFERENCE_PIPELINE_ID|OPENLAYER_LANGFLOW_MAPPING|OPENLAYER_PIPELINE_*",
                ),
            ),
        ),
        _PLAIN,
        Destination(LANGFLOW_OTLP, _PLAIN.exporter, ()),
    )
}
#: Those that are meant for the content of prompts and answers.
LLM_DESTINATIONS = frozenset(DESTINATIONS) - {OTLP, LANGFLOW_OTLP}


def destinations_of(environ: Mapping[str, str]) -> list[str]:
    """Return the destinations named in `environ`, else those whose variables are set there."""
    named = _named(environ)
    if named:
        _say_unnamed(environ, named)
        listed = dict.fromkeys(name.strip() for name in named.split(",") if name.strip())
        return [name for name in listed if name.lower() != "none"]
    found = [name for name, known in DESTINATIONS.items() if known.wanted(environ)]
    if any(_is_set(environ, name) for name in OTLP_ENDPOINTS):
        found.append(OTLP)
    _say_half_set(environ, found)
    return found


def is_traces_exporter_named() -> bool:
    """Tell whether the environment names destinations, or that there is none."""
    return bool(_named(os.environ))


def is_under_the_distro(environ: Mapping[str, str] = os.environ) -> bool:
    """Tell whether OpenTelemetry's distro has set what was not set: `otlp`, over gRPC.

    Our launcher has set that before, where the user has not.
    """
    launched = bool(environ.get(env.LANGFLOW_OTEL_DESTINATIONS, "").strip())
    return "opentelemetry.distro" in sys.modules and not launched


def _named(environ: Mapping[str, str]) -> str:
    names = (env.LANGFLOW_OTEL_DESTINATIONS, "OTEL_TRACES_EXPORTER")
    return next((said for name in names if (said := environ.get(name, "").strip())), "")


def _say_unnamed(environ: Mapping[str, str], named: str) -> None:
    """Say which vendors have their variables set where the distro may have named `otlp`.

    Nobody can tell whether it was the distro or the user, so nothing is sent that is not named.
    """
    if named != OTLP or not is_under_the_distro(environ):
        return
    for name, known in DESTINATIONS.items():
        if known.wanted(environ):
            warn_once(
                "langflow-otel: nothing is sent to %s, whose variables are set: "
                "OTEL_TRACES_EXPORTER is %s, which opentelemetry-instrument sets unless you do "
                "(name it: OTEL_TRACES_EXPORTER=%s)",
                name,
                OTLP,
                name,
            )


def own_name(name: str) -> str:
    """Return the name that a destination's exporter has for itself."""
    return OTLP if name == LANGFLOW_OTLP else name


def _say_half_set(environ: Mapping[str, str], found: Iterable[str]) -> None:
    for name, known in DESTINATIONS.items():
        missing = known.missing(environ) if name not in found else ()
        # A key of LangSmith's alone is no half: it is for more than tracing.
        if missing and name != "langsmith":
            warn_once(
                "langflow-otel: %s is off: %s not set, and the rest is (or name it: "
                "OTEL_TRACES_EXPORTER=%s)",
                name,
                " and ".join(each.replace("|", " or ") for each in missing),
                name,
            )


def _is_set(environ: Mapping[str, str], alternatives: str) -> bool:
    return any(_says(environ, each) for each in alternatives.split("|"))


def _says(environ: Mapping[str, str], each: str) -> bool:
    if each.endswith("*"):
        return any(name.startswith(each[:-1]) and environ[name].strip() for name in environ)
    name, _, value = each.partition("=")
    said = environ.get(name, "").strip()
    return bool(said) and (not value or said.lower() in TRUE)
