"""The instrumentor: what is wrapped, and how it is unwrapped again."""

import time
from collections.abc import Collection, Iterable
from importlib.metadata import PackageNotFoundError, distribution
from typing import Any

from opentelemetry.instrumentation.instrumentor import (  # type: ignore[attr-defined]
    BaseInstrumentor,
)
from opentelemetry.sdk.trace.export import SpanExporter
from opentelemetry.trace import TracerProvider

from langflow_otel import cardinality, collected, given, metrics, pipeline, seams
from langflow_otel.capture import NO_CONTENT, Capture
from langflow_otel.connect import Wanted
from langflow_otel.export.account import Statistics
from langflow_otel.guard import logger, safely
from langflow_otel.leaving import Leaving
from langflow_otel.package import _instruments_any
from langflow_otel.patterns import LeftOut, NamePatterns
from langflow_otel.sampling import decides_by_trace
from langflow_otel.selection import SCOPE
from langflow_otel.settings import Settings, deactivated_by
from langflow_otel.spans import LangflowTracer, under_way
from langflow_otel.variables import wrong
from langflow_otel.version import __version__

_BASE_ARGUMENTS = {"skip_dep_check", "raise_exception_on_conflict"}
_ARGUMENTS = _BASE_ARGUMENTS | {
    "tracer_provider",
    "destinations",
    "capture_content",
    "mask",
    "mask_keys",
    "hide_components",
    "excluded_flows",
    "excluded_components",
}


class LangflowInstrumentor(BaseInstrumentor):  # type: ignore[misc]
    """Turns every Langflow flow run into one OpenTelemetry trace.

    `instrument()` may be called before or after Langflow is imported, and more than once. It
    does nothing where `OTEL_SDK_DISABLED=true`, `LANGFLOW_DEACTIVATE_TRACING=true` or
    `OTEL_PYTHON_DISABLED_INSTRUMENTATIONS` (with `langflow`) says so.

    Example:
        >>> LangflowInstrumentor().instrument()  # doctest: +SKIP
    """

    _patches: seams.Patches | None = None
    _pipeline: pipeline.Pipeline | None = None
    _tracer: LangflowTracer | None = None
    _leaving: Leaving | None = None
    _settings = Settings()
    _sent = True

    @property
    def tracer_provider(self) -> TracerProvider | None:
        """The provider that the spans go to, None where nothing is instrumented.

        Where it was made here it is the way to `force_flush` and to add a span processor.
        """
        return self._pipeline.provider if self._pipeline is not None else None

    def statistics(self) -> dict[str, Statistics]:
        """Return what became of the spans so far, by the name of the destination.

        Exporters that were made elsewhere and are not ours keep no account.
        """
        return self._pipeline.statistics() if self._pipeline is not None else {}

    def force_flush(self, timeout_millis: float | None = None) -> bool:
        """Send all that is queued; see `langflow_otel.force_flush`."""
        if self._pipeline is None:
            return True
        return self._pipeline.flusher.wait(self._flush_seconds(timeout_millis))

    async def aforce_flush(self, timeout_millis: float | None = None) -> bool:
        """Do the same without blocking the event loop; see `langflow_otel.aforce_flush`."""
        if self._pipeline is None:
            return True
        return await self._pipeline.flusher.wait_off_loop(self._flush_seconds(timeout_millis))

    def shutdown(self, timeout_millis: float | None = None) -> bool:
        """Send all that is left and uninstrument; see `langflow_otel.shutdown`."""
        if self._pipeline is None:
            return True
        seconds = _seconds(timeout_millis, self._settings.shutdown_timeout)
        until = time.monotonic() + seconds
        under_way.cut_off()
        sent = self._pipeline.owned or self._pipeline.flusher.wait(seconds)
        self.uninstrument(seconds=max(0.0, until - time.monotonic()))
        return sent and self._sent

    def _flush_seconds(self, timeout_millis: float | None) -> float:
        return _seconds(timeout_millis, self._settings.flush_timeout)

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return the requirements on those of lfx and langflow-base that are installed."""
        installed = [line for line in _instruments_any if _is_installed(line)]
        return installed or _instruments_any[:1]

    def _instrument(self, **kwargs: Any) -> None:
        """Wrap Langflow's seams.

        Args:
            **kwargs: `tracer_provider` (default: the global one, else one made from the
                environment), `destinations` (names, as in `OTEL_TRACES_EXPORTER`, and span
                exporters; default: what the environment says), `capture_content` (bool, goes before
                the environment), `mask` (a function of a text of content that returns what is sent
                instead; called in a thread of its own before spans are sent, and what it fails at
                or takes more than 250 ms for is hidden), `mask_keys` (names whose values are
                masked), `hide_components` (types or ids of components whose content is never
                captured), `excluded_flows` (names or ids of flows that are not traced) and
                `excluded_components` (types or ids of components that get no span); the last four
                are added to what the environment says.
        """
        _say_unknown(set(kwargs) - _ARGUMENTS)
        if variable := deactivated_by():
            logger.info("langflow-otel: off, because of %s", variable)
            return
        settings = self._settings = Settings.from_environment(arguments=kwargs)
        logger.debug("langflow-otel: %s", settings.bounds)
        self._pipeline = safely(
            pipeline.build,
            kwargs.get("tracer_provider"),
            settings,
            _wanted(kwargs.get("destinations")),
        )
        if self._pipeline is None:
            return
        collected.watch()
        metrics.observe(self._pipeline.statistics)
        cardinality.set_limit(settings.cardinality_limit)
        given.mask_with(settings.names)
        self._tracer = _tracer(self._pipeline, settings)
        self._leaving = Leaving(self._pipeline, settings.shutdown_timeout)
        self._leaving.watch(sigterm=settings.flush_on_sigterm)
        self._patches = seams.install(self._tracer, self._pipeline, settings, self._leaving)

    def _uninstrument(self, **kwargs: Any) -> None:
        """Unwrap everything, and stop the provider if it was made here."""
        if self._tracer is not None:
            self._tracer.active = False
            self._tracer = None
        if self._patches is not None:
            self._patches.remove()
            self._patches = None
        collected.forget()
        if self._leaving is not None:
            self._leaving.forget()
            self._leaving = None
        if self._pipeline is not None:
            seconds = kwargs.get("seconds", self._settings.shutdown_timeout)
            self._sent = self._pipeline.shutdown(seconds)
            metrics.stop_observing()
            self._pipeline = None


def _tracer(used: pipeline.Pipeline, settings: Settings) -> LangflowTracer:
    return LangflowTracer(
        used.provider.get_tracer(SCOPE, __version__),
        Capture(
            max_bytes=settings.max_value_bytes,
            names=settings.names,
            vectors=settings.capture_vectors,
        ),
        settings.content if used.captures_content else NO_CONTENT,
        LeftOut(
            flows=NamePatterns(settings.excluded_flows),
            components=NamePatterns(settings.excluded_components),
            content=NamePatterns(settings.hide_components),
        ),
        used.late_enrichment(),
        watches=bool(used.captures_content or used.destinations),
        decides_by_trace=decides_by_trace(used.provider),
    )


def _seconds(timeout_millis: float | None, default: float) -> float:
    return default if timeout_millis is None else max(0.0, timeout_millis / 1000)


def _say_unknown(names: Iterable[str]) -> None:
    for name in sorted(names):
        logger.warning(
            "langflow-otel: instrument() knows no %s=; it is ignored (there are: %s)",
            name,
            ", ".join(sorted(_ARGUMENTS - _BASE_ARGUMENTS)),
        )


def _wanted(destinations: Any) -> Wanted | None:
    """Return the argument, if it is a list of names and exporters; else say so once."""
    if destinations is None:
        return None
    listed = [destinations] if isinstance(destinations, str | SpanExporter) else destinations
    if isinstance(listed, Iterable):
        listed = list(listed)
        if all(isinstance(each, str | SpanExporter) for each in listed):
            return listed
    odd = next((o for o in _items(destinations) if not isinstance(o, str | SpanExporter)), None)
    wrong(
        "instrument(destinations=…)",
        type(destinations).__name__ if odd is None else f"{odd!r:.60}",
        "a list of names and span exporters",
        "what the environment says",
    )
    return None


def _items(destinations: Any) -> Iterable[Any]:
    return destinations if isinstance(destinations, Iterable) else ()


def _is_installed(requirement: str) -> bool:
    try:
        distribution(requirement.partition(" ")[0])
    except PackageNotFoundError:
        return False
    return True
