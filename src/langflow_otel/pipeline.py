"""Environment to TracerProvider: which provider the spans go to, and what it exports to."""

import logging
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points

from opentelemetry import trace
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter

from langflow_otel import environment as env
from langflow_otel.enrich import enrich
from langflow_otel.export.otlp import LangflowOtlpSpanExporter
from langflow_otel.export.phoenix import PhoenixSpanExporter
from langflow_otel.settings import Settings

logger = logging.getLogger("langflow_otel")

PHOENIX = "phoenix"
OTLP = "otlp"
LANGFLOW_OTLP = "langflow_otlp"
_OTLP_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_LLM_DESTINATIONS = frozenset({PHOENIX})
_OWN: dict[str, Callable[[], SpanExporter]] = {
    PHOENIX: PhoenixSpanExporter,
    OTLP: LangflowOtlpSpanExporter,
    LANGFLOW_OTLP: LangflowOtlpSpanExporter,
}
_EXPORTERS = "opentelemetry_traces_exporter"
# Encoding a batch of 512 spans holds the GIL for 8-10 ms; one of 64 does not.
_BATCH_SIZE = ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", 64)
_BATCH_DELAY_MS = ("OTEL_BSP_SCHEDULE_DELAY", 500)
# OpenInference flattens messages into attributes; the SDK's default of 128 drops the oldest.
_SPAN_ATTRIBUTES = 10_000


@dataclass(frozen=True)
class Pipeline:
    """The provider in use.

    Attributes:
        provider: Where tracers come from.
        owned: Whether it was made here, and so is ours to shut down.
        captures_content: Whether content is captured at all.
        destinations: The names of the destinations.
    """

    provider: trace.TracerProvider
    owned: bool
    captures_content: bool
    destinations: tuple[str, ...]

    def shutdown(self) -> None:
        """Flush and stop the provider, if it was made here."""
        if self.owned and isinstance(self.provider, TracerProvider):
            self.provider.shutdown()


def build(argument: trace.TracerProvider | None, settings: Settings) -> Pipeline:
    """Decide on the provider: the one given, else the global one, else one of our own.

    The global provider is not taken where it is the one that Langflow installs for its own
    telemetry, which drops every span but Langflow's. Without any destination in the environment
    the global provider is used whatever it is, so that one installed later gets the spans.
    """
    destinations = destinations_of(os.environ)
    provider = argument or _usable_global_provider()
    if provider is None and destinations:
        return _own(destinations, settings)
    provider = provider or trace.get_tracer_provider()
    if isinstance(provider, TracerProvider):
        enrich(provider)
    elif not destinations:
        logger.info(
            "langflow-otel: no destination is set; name one, as OTEL_TRACES_EXPORTER=phoenix, "
            "or install a tracer provider"
        )
    if _is_phoenix(provider) and PHOENIX not in destinations:
        destinations = [*destinations, PHOENIX]
    content = _captures_content(destinations, settings)
    return Pipeline(
        provider, owned=False, captures_content=content, destinations=tuple(destinations)
    )


def destinations_of(environ: Mapping[str, str]) -> list[str]:
    """Return the destinations named in `environ`, else those whose variables are set there."""
    named = environ.get("OTEL_TRACES_EXPORTER", "").strip()
    if named:
        listed = dict.fromkeys(name.strip() for name in named.split(",") if name.strip())
        return [name for name in listed if name.lower() != "none"]
    found = [PHOENIX] if environ.get(env.PHOENIX_COLLECTOR_ENDPOINT, "").strip() else []
    if any(environ.get(name, "").strip() for name in _OTLP_ENDPOINTS):
        found.append(OTLP)
    return found


def _own(destinations: list[str], settings: Settings) -> Pipeline:
    exporters = dict(_exporters(destinations))
    content = _captures_content(exporters, settings)
    resource = Resource.create()
    if str(resource.attributes.get(SERVICE_NAME, "")).startswith("unknown_service"):
        resource = resource.merge(Resource({SERVICE_NAME: "langflow"}))
    provider = TracerProvider(resource=resource, span_limits=_span_limits())
    enrich(provider)
    for exporter in exporters.values():
        provider.add_span_processor(
            BatchSpanProcessor(
                exporter,
                max_export_batch_size=_unless_set(*_BATCH_SIZE),
                schedule_delay_millis=_unless_set(*_BATCH_DELAY_MS),
            )
        )
    for name in exporters:
        shown = content and (name in _LLM_DESTINATIONS or settings.capture_content)
        logger.info(
            "langflow-otel: traces go to %s, %s content", name, "with" if shown else "without"
        )
    return Pipeline(provider, owned=True, captures_content=content, destinations=tuple(exporters))


def _captures_content(destinations: Collection[str], settings: Settings) -> bool:
    if settings.capture_content is not None:
        return settings.capture_content
    return not _LLM_DESTINATIONS.isdisjoint(destinations)


def _exporters(destinations: list[str]) -> Iterator[tuple[str, SpanExporter]]:
    for name in destinations:
        try:
            make = _OWN.get(name)
            exporter = make() if make is not None else _named(name)
        except Exception as error:  # noqa: BLE001 - a wrong variable must not stop Langflow
            logger.error("langflow-otel: exporter %r cannot be made (%s); it is off", name, error)
            continue
        if exporter is not None:
            yield name, exporter


def _named(name: str) -> SpanExporter | None:
    """Return the exporter that another package registers as `name`; it gets every span whole."""
    found = entry_points(group=_EXPORTERS, name=name)
    if found:
        exporter: SpanExporter = next(iter(found)).load()()
        return exporter
    known = sorted({*entry_points(group=_EXPORTERS).names, *_OWN, "none"})
    logger.error(
        "langflow-otel: OTEL_TRACES_EXPORTER names %.80r, which is not installed (there are: %s); "
        "nothing is sent there",
        name,
        ", ".join(known),
    )
    return None


def _unless_set(variable: str, default: int) -> int | None:
    """Return `default`, or None (which makes the SDK read `variable`) where that is set."""
    return None if os.environ.get(variable, "").strip() else default


def _span_limits() -> SpanLimits:
    variables = ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT")
    if any(os.environ.get(name, "").strip() for name in variables):
        return SpanLimits()
    return SpanLimits(max_span_attributes=_SPAN_ATTRIBUTES)


def _usable_global_provider() -> TracerProvider | None:
    provider = trace.get_tracer_provider()
    if isinstance(provider, TracerProvider) and not _is_langflows(provider):
        return provider
    return None


def _is_langflows(provider: TracerProvider) -> bool:
    """Tell whether `provider` is lfx's own (1.12+), which exports its own scopes only.

    The one place that reads a private name of the SDK; where it is gone the answer is no.
    """
    processor = getattr(provider, "_active_span_processor", None)
    return any(
        type(each).__name__ == "ApplicationOnlySpanProcessor"
        for each in getattr(processor, "_span_processors", ())
    )


def _is_phoenix(provider: trace.TracerProvider) -> bool:
    """Tell whether `provider` was made by `phoenix.otel.register`."""
    return type(provider).__module__.partition(".")[0] == "phoenix"
