"""Destinations, as they are wanted, to a span processor of a provider that sends there."""

import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from importlib.metadata import entry_points
from itertools import count

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter

from langflow_otel import environment as env
from langflow_otel.destinations import DESTINATIONS
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
# Encoding a batch of 512 spans holds the GIL for 8-10 ms; one of 64 does not.
_BATCH_SIZE = 64
_BATCH_DELAY_MS = 500
_QUEUE_SIZE = 2048


def connect(
    provider: TracerProvider, wanted: Wanted, settings: Settings
) -> dict[str, DestinationSpanExporter]:
    """Let `provider` send to each that is wanted; return the exporters by their names."""
    gates: dict[str, Gate] = {}
    for name, exporter in _exporters(wanted, settings):
        try:
            gate = Gate(exporter, Room(_queue_size(), settings.queue_bytes), _processor)
        except ValueError as error:
            logger.error("langflow-otel: %s is off: OTEL_BSP_* does not fit (%s)", name, error)
            continue
        gates[_unused(name, gates)] = gate
    if gates:
        provider.add_span_processor(
            FanOutSpanProcessor(list(gates.values()), settings.shutdown_timeout)
        )
    return {name: gate.exporter for name, gate in gates.items()}


def _unused(name: str, used: Collection[str]) -> str:
    """Return `name`, with a number behind it where it is used already."""
    names = (name if number == 1 else f"{name}-{number}" for number in count(1))
    return next(each for each in names if each not in used)


def _exporters(
    wanted: Iterable[str | SpanExporter], settings: Settings
) -> Iterator[tuple[str, DestinationSpanExporter]]:
    for each in wanted:
        name = each if isinstance(each, str) else type(each).__name__
        try:
            exporter = _named(each, settings) if isinstance(each, str) else each
        except ImportError as error:
            logger.error("langflow-otel: %s is off: %s", name, error)
            continue
        except Exception as error:  # noqa: BLE001 - a wrong variable must not stop Langflow
            logger.error("langflow-otel: exporter %r cannot be made (%s); it is off", name, error)
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
        "langflow-otel: OTEL_TRACES_EXPORTER names %.80r, which is not installed (there are: %s); "
        "nothing is sent there",
        name,
        ", ".join(known),
    )
    return None


def _foreign(name: str, exporter: SpanExporter, settings: Settings) -> DestinationSpanExporter:
    """Return an exporter of somebody else's as a destination, which gets what OTLP gets."""
    return DestinationSpanExporter(name, ExporterSender(exporter), settings=settings, ai_only=False)


def _processor(exporter: SpanExporter) -> BatchSpanProcessor:
    return BatchSpanProcessor(
        exporter,
        max_export_batch_size=_batch_size(),
        schedule_delay_millis=_unless_set("OTEL_BSP_SCHEDULE_DELAY", _BATCH_DELAY_MS),
    )


def _queue_size() -> int:
    queue = os.environ.get("OTEL_BSP_MAX_QUEUE_SIZE", "").strip()
    return int(queue) if queue.isdigit() else _QUEUE_SIZE


def _batch_size() -> int | None:
    return _unless_set("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", min(_BATCH_SIZE, _queue_size()))


def _unless_set(variable: str, default: int) -> int | None:
    """Return `default`, or None (which makes the SDK read `variable`) where that is set."""
    return None if os.environ.get(variable, "").strip() else default


def say_unknown_policies(settings: Settings) -> None:
    """Say once where a content policy is set for a destination that there is not."""
    for name in sorted(set(settings.contents) - set(DESTINATIONS)):
        if not entry_points(group=_EXPORTERS, name=name):
            wrong_name = env.OTEL_PYTHON_LANGFLOW_CONTENT_ + name.upper()
            warn_once(
                "langflow-otel: %s is for no destination (there are: %s); it is ignored",
                wrong_name,
                ", ".join(DESTINATIONS),
            )
