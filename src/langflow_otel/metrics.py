"""What became of the spans, as OpenTelemetry metrics: read when they are collected, free till then.

Names that OpenTelemetry's semantic conventions have for a span processor and an exporter are used
as they are (`otel.sdk.*`, semantic conventions 1.36, development); the others begin with
`langflow_otel.`. What takes how long is in `run_metrics`.
"""

from collections.abc import Callable, Iterable

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Observation

from langflow_otel.export.account import Statistics
from langflow_otel.run_metrics import of_destination
from langflow_otel.version import __version__

ERROR_TYPE = "error.type"
STATE = "langflow_otel.circuit.state"

QUEUE_SIZE = "otel.sdk.processor.span.queue.size"
QUEUE_CAPACITY = "otel.sdk.processor.span.queue.capacity"
PROCESSED = "otel.sdk.processor.span.processed"
EXPORTED = "otel.sdk.exporter.span.exported"
INFLIGHT = "otel.sdk.exporter.span.inflight"
QUEUE_BYTES = "langflow_otel.queue.bytes"
QUEUE_BYTES_CAPACITY = "langflow_otel.queue.bytes.capacity"
WITHOUT_CONTENT = "langflow_otel.span.without_content"
REQUESTS = "langflow_otel.export.requests"
RETRIES = "langflow_otel.export.retries"
CIRCUIT = "langflow_otel.circuit"

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
        (QUEUE_CAPACITY, "{span}", "The most that may", _plain("queue_capacity")),
        (QUEUE_BYTES, "By", "About how many bytes they take", _plain("queue_bytes")),
        (QUEUE_BYTES_CAPACITY, "By", "The most they may", _plain("queue_bytes_capacity")),
        (INFLIGHT, "{span}", "Spans that are being sent", _plain("in_flight")),
        (CIRCUIT, "1", "1 for the state that the circuit of a destination is in", _circuit),
    ):
        meter.create_observable_up_down_counter(name, [_callback(observations)], unit, description)
    for name, unit, description, observations in (
        (PROCESSED, "{span}", "Spans out of the queue or, with a reason, never in it", _processed),
        (EXPORTED, "{span}", "Spans that a destination took or, with a reason, not", _exported),
        (WITHOUT_CONTENT, "{span}", "Spans sent without content", _plain("without_content")),
        (REQUESTS, "{request}", "Requests to a destination", _plain("requests")),
        (RETRIES, "{request}", "Requests made again", _plain("retries")),
    ):
        meter.create_observable_counter(name, [_callback(observations)], unit, description)


def _callback(observations: Observe) -> Callable[[CallbackOptions], list[Observation]]:
    def callback(_: CallbackOptions) -> list[Observation]:
        return [
            Observation(value, {**of_destination(name), **more})
            for read in _reads
            for name, statistics in read().items()
            for value, more in observations(statistics)
        ]

    return callback


def _plain(number: str) -> Observe:
    return lambda statistics: [(getattr(statistics, number), {})]


def _circuit(statistics: Statistics) -> Iterable[tuple[float, dict[str, str]]]:
    for state in ("closed", "open", "half_open"):
        yield int(statistics.circuit == state), {STATE: state}


def _processed(statistics: Statistics) -> Iterable[tuple[float, dict[str, str]]]:
    # What waits is not processed yet; what a batch has is, when the batch is done with.
    yield statistics.accepted - statistics.queue_items, {}
    for reason, count in statistics.refused.items():
        yield count, {ERROR_TYPE: reason}


def _exported(statistics: Statistics) -> Iterable[tuple[float, dict[str, str]]]:
    yield statistics.exported, {}
    for reason, count in statistics.dropped.items():
        yield count, {ERROR_TYPE: reason}
