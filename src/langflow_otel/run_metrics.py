"""How long flows, components, captures and exports take, as OpenTelemetry metrics.

Recorded only where there is a meter provider. Runs are counted whether they are sampled or not: the
count of a histogram is that of the runs, and `error.type` tells those that failed.
"""

import contextlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from opentelemetry.metrics import Histogram, Meter

from langflow_otel import names
from langflow_otel.cardinality import CardinalityCap
from langflow_otel.meters import Instruments

FLOW_DURATION = "langflow_otel.flow.duration"
COMPONENT_DURATION = "langflow_otel.component.duration"
CAPTURE_DURATION = "langflow_otel.capture.duration"
EXPORT_DURATION = "otel.sdk.exporter.operation.duration"

# From a component that hands something on to an agent that works for minutes; a capture takes
# microseconds to milliseconds.
_RUNS = [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300]
_CAPTURES = [0.00001, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05]

Attributes = Mapping[str, str]


@dataclass(frozen=True)
class _RunInstruments:
    flow: Histogram
    component: Histogram
    capture: Histogram
    export: Histogram
    flows: CardinalityCap = field(
        default_factory=lambda: CardinalityCap(names.FLOW_NAME, names.ERROR_TYPE)
    )
    components: CardinalityCap = field(
        default_factory=lambda: CardinalityCap(
            names.FLOW_NAME, names.COMPONENT_TYPE, names.ERROR_TYPE
        )
    )


def _make(meter: Meter) -> _RunInstruments:
    def seconds(name: str, description: str, buckets: list[float]) -> Histogram:
        return meter.create_histogram(
            name, "s", description, explicit_bucket_boundaries_advisory=buckets
        )

    return _RunInstruments(
        seconds(FLOW_DURATION, "Duration of flow runs", _RUNS),
        seconds(COMPONENT_DURATION, "Duration of runs of components", _RUNS),
        seconds(
            CAPTURE_DURATION, "Time that capturing what a component got or gave took", _CAPTURES
        ),
        seconds(EXPORT_DURATION, "Duration of exports, with their retries", _RUNS),
    )


_instruments = Instruments(_make)


def are_recorded() -> bool:
    """Tell whether somebody collects metrics: or else nothing needs to be measured."""
    return _instruments.get() is not None


def record_flow(seconds: float, attributes: Attributes) -> None:
    """Record a flow run."""
    instruments = _instruments.get()
    if instruments is not None:
        instruments.flow.record(seconds, instruments.flows(attributes))


def record_component(seconds: float, attributes: Attributes) -> None:
    """Record a run of a component."""
    instruments = _instruments.get()
    if instruments is not None:
        instruments.component.record(seconds, instruments.components(attributes))


def record_export(destination: str, seconds: float, *, whole: bool) -> None:
    """Record an export; `whole` says that the destination took all of it."""
    instruments = _instruments.get()
    if instruments is not None:
        error = {} if whole else {names.ERROR_TYPE: "_OTHER"}
        instruments.export.record(seconds, {**of_destination(destination), **error})


def of_destination(name: str) -> dict[str, str]:
    """Return what says that something is about the destination `name`, by attribute name."""
    return {"otel.component.type": "langflow_otel_destination", "otel.component.name": name}


@contextlib.contextmanager
def capture_measured() -> Iterator[None]:
    """Record what is captured while this is open."""
    instruments = _instruments.get()
    if instruments is None:
        yield
        return
    began = time.perf_counter()
    try:
        yield
    finally:
        instruments.capture.record(time.perf_counter() - began)
