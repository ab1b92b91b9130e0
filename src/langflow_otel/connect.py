"""Destinations, as they are wanted, to a span processor of a provider that sends there."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import partial
from importlib.metadata import entry_points
from itertools import count

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter

from langflow_otel import environment as env
from langflow_otel.capture.masker import Masker
from langflow_otel.destinations import DESTINATIONS, own_name
from langflow_otel.export.account import Room
from langflow_otel.export.destination import DestinationSpanExporter
from langflow_otel.export.fan_out import FanOutSpanProcessor
from langflow_otel.export.gate import Gate
from langflow_otel.export.sending import ExporterSender
from langflow_otel.guard import logger, warn_once
from langflow_otel.settings import Settings

#: Names, as in `OTEL_TRACES_EXPORTER`, and exporters.
Wanted = Sequence[str | SpanExporter]

_EXPORTERS = "opentelemetry_traces_exporter"


def connect(
    provider: TracerProvider, wanted: Wanted, settings: Settings
) -> FanOutSpanProcessor | None:
    """Let `provider` send to each that is wanted; return what does, if there is any."""
    gates: dict[str, Gate] = {}
    for name, exporter in _exporters(wanted, settings):
        room = Room(settings.queue_size, settings.queue_bytes)
        gates[_unused(name, gates)] = Gate(exporter, room, partial(_processor, settings))
    if not gates:
        return None
    processor = FanOutSpanProcessor(gates, settings.shutdown_timeout)
    provider.add_span_processor(processor)
    return processor


def _unused(name: str, used: Collection[str]) -> str:
    """Return `name`, with a number behind it where it is used already."""
    names = (name if number == 1 else f"{name}-{number}" for number in count(1))
    return next(each for each in names if each not in used)


def _once(wanted: Iterable[str | SpanExporter]) -> Iterator[str | SpanExporter]:
    """Yield each name once, by whichever of its names, and each exporter."""
    named: set[str] = set()
    for each in wanted:
        if not isinstance(each, str):
            yield each
        elif own_name(each) not in named:
            named.add(own_name(each))
            yield each


def _exporters(
    wanted: Iterable[str | SpanExporter], settings: Settings
) -> Iterator[tuple[str, DestinationSpanExporter]]:
    for each in _once(wanted):
        name = each if isinstance(each, str) else type(each).__name__
        try:
            exporter = _named(each, settings) if isinstance(each, str) else each
        except ImportError as error:
            logger.error("langflow-otel: %s is off: %s", name, error)
            continue
        except Exception as error:  # noqa: BLE001 - a wrong variable must not stop Langflow
            # Its text may quote an address with a password in it.
            told = Masker(settings.names).text(str(error))
            logger.error("langflow-otel: exporter %r cannot be made (%s); it is off", name, told)
            continue
        if isinstance(exporter, DestinationSpanExporter):
            yield exporter.name, exporter
        elif isinstance(exporter, SpanExporter):
            yield name, _foreign(name, exporter, settings)


def _named(name: str, settings: Settings) -> SpanExporter | None:
    """Return the exporter of that name: ours, or one that another package registers."""
    if name in DESTINATIONS:
        return DESTINATIONS[name].make(settings=settings)
    found = entry_points(group=_EXPORTERS, name=name)
    if found:
        exporter: SpanExporter = next(iter(found)).load()()
        return exporter
    known = sorted({*entry_points(group=_EXPORTERS).names, *DESTINATIONS, "none"})
    logger.error(
        "langflow-otel: OTEL_TRACES_EXPORTER, or destinations=, names %.80r, which is not "
        "installed (there are: %s); nothing is sent there",
        name,
        ", ".join(known),
    )
    return None


def _foreign(name: str, exporter: SpanExporter, settings: Settings) -> DestinationSpanExporter:
    """Return an exporter of somebody else's as a destination, which gets what OTLP gets."""
    return DestinationSpanExporter(name, ExporterSender(exporter), settings=settings, ai_only=False)


def _processor(settings: Settings, exporter: SpanExporter) -> BatchSpanProcessor:
    return BatchSpanProcessor(
        exporter,
        max_queue_size=settings.queue_size,
        max_export_batch_size=settings.batch_size,
        schedule_delay_millis=settings.batch_delay * 1000,
    )


def say_unknown_policies(settings: Settings) -> None:
    """Say once which content policies have no effect."""
    if settings.capture_content is False and any(settings.contents.values()):
        warn_once(
            "langflow-otel: %s<DESTINATION>=full has no effect: nothing is captured",
            env.OTEL_PYTHON_LANGFLOW_CONTENT_,
        )
    for name in sorted(set(settings.contents) - set(DESTINATIONS)):
        if not entry_points(group=_EXPORTERS, name=name):
            wrong_name = env.OTEL_PYTHON_LANGFLOW_CONTENT_ + name.upper()
            warn_once(
                "langflow-otel: %s is for no destination (there are: %s); it is ignored",
                wrong_name,
                ", ".join(DESTINATIONS),
            )
