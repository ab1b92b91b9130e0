"""What became of the spans, as OpenTelemetry metrics: read when they are collected, free till then.

Names that OpenTelemetry's semantic conventions have for a span processor and an exporter are used
as they are (`otel.sdk.*`, semantic conventions 1.36, development); the others begin with
`langflow_otel.`.
"""

from collections.abc import Callable, Iterable

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Observation

from langflow_otel.export.account import Statistics
from langflow_otel.version import __version__

COMPONENT_NAME, COMPONENT_TYPE = "otel.component.name", "otel.component.type"
ERROR_TYPE = "error.type"
_TYPE = "langflow_otel_destination"

QUEUE_SIZE = "otel.sdk.processor.span.queue.size"
PROCESSED = "otel.sdk.processor.span.processed"
EXPORTED = "otel.sdk.exporter.span.exported"
QUEUE_BYTES = "langflow_otel.queue.bytes"
WITHOUT_CONTENT = "langflow_otel.span.without_content"
REQUESTS = "langflow_otel.export.requests"
RETRIES = "langflow_otel.export.retries"
EXPORT_TIME = "langflow_otel.export.time"

Read = Callable[[], dict[str, Statistics]]
Observe = Callable[[Statistics], Iterable[tuple[float, dict[str, str]]]]

_reads: list[Read] = []


def observe(read: Read) -> None:
    """Let the metrics tell what `read` returns; the instruments are made once per process."""
    if not _reads:
        _make_instruments()
    _reads[:] = [read]


def stop_observing() -> None:
    """Let the metrics tell nothing."""
    if _reads:
        _reads[:] = [dict]


def _make_instruments() -> None:
    meter = metrics.get_meter("langflow_otel", __version__)
    for name, unit, description, observations in (
        (QUEUE_SIZE, "{span}", "Spans that wait for a destination", _plain("queue_items")),
        (QUEUE_BYTES, "By", "About how many bytes they take", _plain("queue_bytes")),
    ):
        meter.create_observable_up_down_counter(name, [_callback(observations)], unit, description)
    for name, unit, description, observations in (
        (PROCESSED, "{span}", "Spans let into the queue or, with a reason, not", _processed),
        (EXPORTED, "{span}", "Spans that a destination took or, with a reason, not", _exported),
        (WITHOUT_CONTENT, "{span}", "Spans sent without content", _plain("without_content")),
        (REQUESTS, "{request}", "Requests to a destination", _plain("requests")),
        (RETRIES, "{request}", "Requests made again", _plain("retries")),
        (EXPORT_TIME, "s", "Time that exports took, added up", _plain("export_seconds")),
    ):
        meter.create_observable_counter(name, [_callback(observations)], unit, description)


def _callback(observations: Observe) -> Callable[[CallbackOptions], list[Observation]]:
    def callback(_: CallbackOptions) -> list[Observation]:
        return [
            Observation(value, {COMPONENT_TYPE: _TYPE, COMPONENT_NAME: name, **reason})
            for read in _reads
            for name, statistics in read().items()
            for value, reason in observations(statistics)
        ]

    return callback


def _plain(number: str) -> Observe:
    return lambda statistics: [(getattr(statistics, number), {})]


def _processed(statistics: Statistics) -> Iterable[tuple[float, dict[str, str]]]:
    yield statistics.accepted, {}
    for reason, count in statistics.refused.items():
        yield count, {ERROR_TYPE: reason}


def _exported(statistics: Statistics) -> Iterable[tuple[float, dict[str, str]]]:
    yield statistics.exported, {}
    for reason, count in statistics.dropped.items():
        yield count, {ERROR_TYPE: reason}
