"""Environment to TracerProvider: which provider the spans go to, and what it exports to."""

import os
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import entry_points

from opentelemetry import trace
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter

from langflow_otel import environment as env
from langflow_otel.enrich import enrich, stop_enriching
from langflow_otel.export.content import ContentPolicy
from langflow_otel.export.destination import DestinationSpanExporter
from langflow_otel.export.otlp import LangflowOtlpSpanExporter
from langflow_otel.export.phoenix import PhoenixSpanExporter
from langflow_otel.guard import logger
from langflow_otel.settings import Settings

PHOENIX = "phoenix"
OTLP = "otlp"
LANGFLOW_OTLP = "langflow_otlp"
_OTLP_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_LLM_DESTINATIONS = frozenset({PHOENIX})
_EXPORTERS = "opentelemetry_traces_exporter"
# Encoding a batch of 512 spans holds the GIL for 8-10 ms; one of 64 does not.
_BATCH_SIZE = 64
_BATCH_DELAY_MS = 500
# OpenInference flattens messages into attributes; the SDK's default of 128 drops the oldest.
_SPAN_ATTRIBUTES = 10_000


@dataclass(frozen=True)
class Pipeline:
    """The provider in use.

    Attributes:
        provider: Where tracers come from.
        owned: Whether it was made here, and so is ours to shut down.
        captures_content: Whether content is captured at all.
        destinations: The names of the destinations that spans are sent to from here.
    """

    provider: trace.TracerProvider
    owned: bool
    captures_content: bool
    destinations: tuple[str, ...]

    def late_enrichment(self) -> Callable[[], bool] | None:
        """Return what enriches a provider that is installed later; None where it is there."""
        return None if isinstance(self.provider, TracerProvider) else _enrich_global_provider

    def shutdown(self) -> None:
        """Flush and stop the provider, if it was made here."""
        stop_enriching()
        if self.owned and isinstance(self.provider, TracerProvider):
            self.provider.shutdown()


def build(argument: trace.TracerProvider | None, settings: Settings) -> Pipeline:
    """Decide on the provider: the one given, else the global one, else one of our own.

    The global provider is not taken where it is the one that Langflow installs for its own
    telemetry, which drops every span but Langflow's. Without any destination in the environment
    the global provider is used whatever it is, so that one installed later gets the spans.
    """
    destinations = destinations_of(os.environ)
    if argument is not None:
        return _given(argument, _maskable(settings))
    provider = _usable_global_provider()
    if provider is not None:
        return _adopted(provider, destinations, _maskable(settings))
    if destinations:
        return _own(destinations, settings)
    logger.info(
        "langflow-otel: no destination is set; name one, as OTEL_TRACES_EXPORTER=phoenix, or "
        "install a tracer provider"
    )
    content = _maskable(settings).capture_content is True
    return Pipeline(
        trace.get_tracer_provider(), owned=False, captures_content=content, destinations=()
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


def _maskable(settings: Settings) -> Settings:
    """Turn content off where a `mask` is set that exporters made elsewhere would not call."""
    if settings.mask is None or settings.capture_content is False:
        return settings
    logger.warning(
        "langflow-otel: mask= is called by the exporters that are made here, and the tracer "
        "provider in use has others; no content is captured (let langflow-otel make the provider, "
        "or give the mask to an exporter: PhoenixSpanExporter(mask=...))"
    )
    return replace(settings, capture_content=False)


def _given(provider: trace.TracerProvider, settings: Settings) -> Pipeline:
    """Use the provider given as it is: what it exports to is for whoever made it to say."""
    phoenix = _is_phoenix(provider)
    if isinstance(provider, TracerProvider):
        enrich(provider)
    return Pipeline(
        provider,
        owned=False,
        captures_content=phoenix if settings.capture_content is None else settings.capture_content,
        destinations=(PHOENIX,) if phoenix else (),
    )


def _adopted(provider: TracerProvider, destinations: list[str], settings: Settings) -> Pipeline:
    """Use the global provider.

    That of `opentelemetry-instrument` has the exporters already. That of an application gets one
    for Phoenix, where that is wanted and not there.
    """
    enrich(provider)
    content = settings.capture_content
    present = PHOENIX in destinations and (PhoenixSpanExporter.made() or _is_phoenix(provider))
    # `otlp` is here what OpenTelemetry made of it.
    others = sorted(set(destinations) - {PHOENIX, LANGFLOW_OTLP})
    if PHOENIX in destinations and not present:
        logger.warning(
            "langflow-otel: phoenix is added to the tracer provider that is installed; without "
            "content, which that provider's own exporters would get, too (%s=true sends it to "
            "all of them)",
            env.OTEL_PYTHON_LANGFLOW_CAPTURE_CONTENT,
        )
        _add(provider, PHOENIX, PhoenixSpanExporter(content=content is True, settings=settings))
    elif present and content is None and others:
        logger.warning(
            "langflow-otel: content goes to phoenix and, through exporters that are not ours, to "
            "%s as well, unmasked in the spans of models; name langflow_otlp instead of otlp to "
            "keep it from there",
            ", ".join(others),
        )
    return Pipeline(
        provider,
        owned=False,
        captures_content=present if content is None else content,
        destinations=(PHOENIX,) if PHOENIX in destinations else (),
    )


def _own(destinations: list[str], settings: Settings) -> Pipeline:
    """Make a provider with an exporter for each destination."""
    content = settings.capture_content
    if content is None:
        content = not _LLM_DESTINATIONS.isdisjoint(destinations)
    resource = Resource.create()
    if str(resource.attributes.get(SERVICE_NAME, "")).startswith("unknown_service"):
        resource = resource.merge(Resource({SERVICE_NAME: "langflow"}))
    provider = TracerProvider(resource=resource, span_limits=_span_limits())
    enrich(provider)
    added = []
    for name, exporter in _exporters(destinations, settings):
        if _add(provider, name, exporter):
            added.append(name)
            shown = content and (name in _LLM_DESTINATIONS or settings.capture_content)
            logger.info(
                "langflow-otel: traces go to %s, %s content", name, "with" if shown else "without"
            )
    return Pipeline(provider, owned=True, captures_content=content, destinations=tuple(added))


def _own_exporters(settings: Settings) -> dict[str, Callable[[], SpanExporter]]:
    plain = partial(LangflowOtlpSpanExporter, settings=settings)
    phoenix = partial(PhoenixSpanExporter, settings=settings)
    return {PHOENIX: phoenix, OTLP: plain, LANGFLOW_OTLP: plain}


def _exporters(destinations: list[str], settings: Settings) -> Iterator[tuple[str, SpanExporter]]:
    own = _own_exporters(settings)
    for name in destinations:
        try:
            make = own.get(name)
            exporter = make() if make is not None else _named(name, own, settings)
        except Exception as error:  # noqa: BLE001 - a wrong variable must not stop Langflow
            logger.error("langflow-otel: exporter %r cannot be made (%s); it is off", name, error)
            continue
        if exporter is not None:
            yield name, exporter


def _named(name: str, own: Collection[str], settings: Settings) -> SpanExporter | None:
    """Return the exporter that another package registers as `name`; it gets what OTLP gets."""
    found = entry_points(group=_EXPORTERS, name=name)
    if found:
        exporter: SpanExporter = next(iter(found)).load()()
        policy = ContentPolicy.of(settings, content=settings.capture_content is True)
        return DestinationSpanExporter(exporter, ai_only=False, content=policy)
    known = sorted({*entry_points(group=_EXPORTERS).names, *own, "none"})
    logger.error(
        "langflow-otel: OTEL_TRACES_EXPORTER names %.80r, which is not installed (there are: %s); "
        "nothing is sent there",
        name,
        ", ".join(known),
    )
    return None


def _add(provider: TracerProvider, name: str, exporter: SpanExporter) -> bool:
    try:
        processor = BatchSpanProcessor(
            exporter,
            max_export_batch_size=_batch_size(),
            schedule_delay_millis=_unless_set("OTEL_BSP_SCHEDULE_DELAY", _BATCH_DELAY_MS),
        )
    except ValueError as error:
        logger.error("langflow-otel: %s is off: OTEL_BSP_* does not fit (%s)", name, error)
        return False
    provider.add_span_processor(processor)
    return True


def _batch_size() -> int | None:
    queue = os.environ.get("OTEL_BSP_MAX_QUEUE_SIZE", "").strip()
    size = min(_BATCH_SIZE, int(queue)) if queue.isdigit() else _BATCH_SIZE
    return _unless_set("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", size)


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


def _enrich_global_provider() -> bool:
    provider = trace.get_tracer_provider()
    if not isinstance(provider, TracerProvider):
        return False
    enrich(provider)
    return True


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
