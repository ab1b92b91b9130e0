"""Environment to TracerProvider: which provider the spans go to, and what it exports to."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial

from opentelemetry import trace
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider

from langflow_otel import environment as env
from langflow_otel.connect import Wanted, connect, say_unknown_policies
from langflow_otel.destinations import (
    DESTINATIONS,
    LLM_DESTINATIONS,
    OTLP,
    destinations_of,
    is_traces_exporter_named,
    own_name,
)
from langflow_otel.enrich import enrich, stop_enriching
from langflow_otel.export.account import Statistics
from langflow_otel.export.destination import DestinationSpanExporter
from langflow_otel.export.fan_out import FanOutSpanProcessor
from langflow_otel.flushing import Flusher
from langflow_otel.guard import logger, warn_once
from langflow_otel.limits import span_limits
from langflow_otel.providers import is_phoenix, usable_global_provider
from langflow_otel.settings import Settings, say_misspelt
from langflow_otel.spans import under_way


@dataclass(frozen=True)
class Pipeline:
    """The provider in use.

    Attributes:
        provider: Where tracers come from.
        owned: Whether it was made here, and so is ours to shut down.
        captures_content: Whether content is captured at all.
        destinations: The names of the destinations that spans are sent to from here.
        exporters: The exporters among them that are ours, by name.
        processor: What was added to the provider to send to them, if anything was.
        untold: Whether nobody has said where traces go, nor that they go nowhere.
    """

    provider: trace.TracerProvider
    owned: bool
    captures_content: bool
    destinations: tuple[str, ...] = ()
    exporters: Mapping[str, DestinationSpanExporter] = field(default_factory=dict)
    processor: FanOutSpanProcessor | None = None
    untold: bool = False

    def late_enrichment(self) -> Callable[[], bool] | None:
        """Return what enriches a provider that is installed later; None where it is there."""
        if isinstance(self.provider, TracerProvider):
            return None
        return partial(_enrich_global_provider, untold=self.untold)

    def statistics(self) -> dict[str, Statistics]:
        """Return what became of the spans so far, by the name of the destination."""
        return {name: each.statistics() for name, each in self.exporters.items()}

    @cached_property
    def flusher(self) -> Flusher:
        """What sends all that is queued, here and by the provider if that is somebody else's."""
        if self.owned:
            return Flusher(self.processor)
        mine = self.processor.exporters if self.processor is not None else {}
        theirs = {name: each for name, each in self.exporters.items() if name not in mine}
        return Flusher(self.processor, self.provider, theirs)

    def tell_what_waits(self) -> None:
        """Log what was lost, and what may be."""
        for exporter in self.exporters.values():
            exporter.account.tell_what_waits()

    def close(self, seconds: float) -> bool:
        """Send what is left and stop what was made here: the provider, or what was added to one.

        Returns whether all was sent in `seconds`.
        """
        done = self.processor is None or self.processor.close(seconds)
        if self.owned and isinstance(self.provider, TracerProvider):
            self.provider.shutdown()
        return done

    def shutdown(self, seconds: float) -> bool:
        """Do the same, and end before what is under way."""
        if self.processor is not None:
            under_way.cut_off()
        stop_enriching()
        done = self.close(seconds)
        self.flusher.stop()
        return done


def build(
    argument: trace.TracerProvider | None, settings: Settings, wanted: Wanted | None = None
) -> Pipeline:
    """Decide on the provider: the one given, else the global one, else one of our own.

    The global provider is not taken where it is the one that Langflow installs for its own
    telemetry, which drops every span but Langflow's. That of `langflow-otel run` exports nothing,
    so that it is sent from here as with one of our own. Without any destination in the environment
    the global provider is used whatever it is, so that one installed later gets the spans.

    `wanted` are the destinations, by name or as exporters; by default what the environment says.
    """
    say_misspelt()
    say_unknown_policies(settings)
    chosen: Wanted = destinations_of(os.environ) if wanted is None else wanted
    if argument is not None:
        return _given(argument, _maskable(settings), wanted or ())
    provider = usable_global_provider()
    if provider is not None and wanted is None and os.environ.get(env.LANGFLOW_OTEL_DESTINATIONS):
        return _connected(provider, chosen, settings, owned=False)
    if provider is not None:
        return _adopted(provider, chosen, _maskable(settings), asked_for=wanted is not None)
    if chosen:
        return _own(chosen, settings)
    logger.info(
        "langflow-otel: no destination is set; name one, as OTEL_TRACES_EXPORTER=phoenix, or "
        "install a tracer provider"
    )
    content = _maskable(settings).capture_content is True
    return Pipeline(
        trace.get_tracer_provider(),
        owned=False,
        captures_content=content,
        untold=wanted is None and not is_traces_exporter_named(),
    )


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


def _given(provider: trace.TracerProvider, settings: Settings, wanted: Wanted) -> Pipeline:
    """Use the provider given; what it exports to besides `wanted` is for who made it to say."""
    if isinstance(provider, TracerProvider) and wanted:
        return _adopted(provider, wanted, settings, asked_for=True)
    if isinstance(provider, TracerProvider):
        enrich(provider)
    phoenix = is_phoenix(provider)
    content = settings.capture_content
    return Pipeline(
        provider,
        owned=False,
        captures_content=phoenix if content is None else content,
        destinations=("phoenix",) if phoenix else (),
    )


def _adopted(
    provider: TracerProvider, wanted: Wanted, settings: Settings, *, asked_for: bool
) -> Pipeline:
    """Use a provider that was made elsewhere.

    That of `opentelemetry-instrument` has the exporters already. That of an application gets one
    for each LLM destination that is wanted and not there (for any, where they were `asked_for` in
    code); without content, which its own exporters would get, too, unless content is asked for.
    """
    enrich(provider)
    content = settings.capture_content
    ours = DestinationSpanExporter.all_made()
    there = [name for name in map(_there, wanted) if name in ours]
    if is_phoenix(provider) and "phoenix" not in there:
        there.append("phoenix")
    absent = [
        each
        for each in wanted
        if _there(each) not in there
        and (asked_for or not isinstance(each, str) or each in LLM_DESTINATIONS)
    ]
    processor = _added(provider, absent, settings) if absent else None
    _say_what_else_gets_content(settings, there, wanted)
    added = processor.exporters if processor is not None else {}
    known = {**{name: ours[name] for name in there if name in ours}, **added}
    if content is None:
        content = is_phoenix(provider) or any(each.sends_content for each in known.values())
    return Pipeline(
        provider,
        owned=False,
        captures_content=content,
        destinations=tuple(dict.fromkeys([*there, *added])),
        exporters=known,
        processor=processor,
    )


def _there(wanted: object) -> str:
    """Return the name that the exporter has if it is ours; "" where nobody can tell."""
    # `otlp` is here what OpenTelemetry made of it; ours has that name for itself.
    return own_name(wanted) if isinstance(wanted, str) and wanted != OTLP else ""


def _added(
    provider: TracerProvider, absent: Wanted, settings: Settings
) -> FanOutSpanProcessor | None:
    content = settings.capture_content is True
    processor = connect(provider, absent, replace(settings, capture_content=content))
    if processor is not None:
        logger.warning(
            "langflow-otel: %s is added to the tracer provider that is installed; %s",
            ", ".join(processor.exporters),
            "with content, which that provider's own exporters get, too"
            if content
            else "without content, which that provider's own exporters would get, too "
            f"({env.OTEL_PYTHON_LANGFLOW_CAPTURE_CONTENT}=true sends it to all of them)",
        )
    return processor


def _say_what_else_gets_content(settings: Settings, there: Sequence[str], wanted: Wanted) -> None:
    named = [each for each in wanted if isinstance(each, str)]
    others = sorted(name for name in named if name == OTLP or name not in DESTINATIONS)
    content = [name for name in there if settings.sends_content(name, by_default=name != OTLP)]
    if content and others and settings.capture_content is None:
        logger.warning(
            "langflow-otel: content goes to %s and, through exporters that are not ours, to "
            "%s as well, unmasked in the spans of models; name langflow_otlp instead of otlp to "
            "keep it from there",
            ", ".join(content),
            ", ".join(others),
        )


def _own(wanted: Wanted, settings: Settings) -> Pipeline:
    """Make a provider with an exporter for each destination."""
    resource = Resource.create()
    if str(resource.attributes.get(SERVICE_NAME, "")).startswith("unknown_service"):
        resource = resource.merge(Resource({SERVICE_NAME: "langflow"}))
    provider = TracerProvider(resource=resource, span_limits=span_limits())
    return _connected(provider, wanted, settings, owned=True)


def _connected(
    provider: TracerProvider, wanted: Wanted, settings: Settings, *, owned: bool
) -> Pipeline:
    """Let `provider`, which exports nothing yet, send to each destination."""
    enrich(provider)
    processor = connect(provider, wanted, settings)
    added = processor.exporters if processor is not None else {}
    for name, exporter in added.items():
        shown = "with" if exporter.sends_content else "without"
        logger.info("langflow-otel: traces go to %s, %s content", name, shown)
    content = settings.capture_content
    if content is None:
        content = any(exporter.sends_content for exporter in added.values())
    return Pipeline(
        provider,
        owned=owned,
        captures_content=content,
        destinations=tuple(added),
        exporters=added,
        processor=processor,
    )


def _enrich_global_provider(*, untold: bool) -> bool:
    provider = trace.get_tracer_provider()
    if untold and isinstance(provider, trace.ProxyTracerProvider):
        warn_once(
            "langflow-otel: a flow runs, and no trace is made of it: no destination is set, and no "
            "tracer provider installed (name one, as OTEL_TRACES_EXPORTER=phoenix; none, if that "
            "is meant)"
        )
    if not isinstance(provider, TracerProvider):
        return False
    enrich(provider)
    return True
