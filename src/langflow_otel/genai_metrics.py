"""The metrics of model calls: tokens, duration, and time to the first chunk of a streamed answer.

Names, units and buckets are those of OpenTelemetry's semantic conventions for GenAI
(`semantic-conventions-genai` v0.1.0, gen-ai-metrics: `gen_ai.client.token.usage`,
`gen_ai.client.operation.duration`, `gen_ai.client.operation.time_to_first_chunk`; all in
development). `langflow.flow.name` is ours. They are recorded on the global meter provider when a
model's span ends, and so of calls that are sampled only.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from opentelemetry.metrics import Histogram, Meter
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import StatusCode

from langflow_otel import names
from langflow_otel.cardinality import CardinalityCap
from langflow_otel.export.dialect import names as genai
from langflow_otel.export.dialect.genai import models, operation_of
from langflow_otel.export.messages import Usage, first_token_ns, invocation_parameters
from langflow_otel.meters import Instruments
from langflow_otel.selection import is_ours

TOKEN_USAGE = "gen_ai.client.token.usage"  # noqa: S105 - of a model's
OPERATION_DURATION = "gen_ai.client.operation.duration"
TIME_TO_FIRST_CHUNK = "gen_ai.client.operation.time_to_first_chunk"
TOKEN_TYPE = "gen_ai.token.type"  # noqa: S105
_TOKEN_BUCKETS = [4.0**power for power in range(14)]
_SECOND_BUCKETS = [0.01 * 2**power for power in range(14)]


class _Instruments(NamedTuple):
    tokens: Histogram
    duration: Histogram
    first_chunk: Histogram
    cap: CardinalityCap


def record(span: ReadableSpan, usage: Usage, flow_name: str | None) -> None:
    """Record the model call that `span`, which has ended, tells of; nothing without a provider."""
    instruments = _instruments.get()
    if instruments is None or span.start_time is None or span.end_time is None:
        return
    said = instruments.cap(_attributes(span, flow_name))
    if not _stands_for_calls(span):
        instruments.duration.record((span.end_time - span.start_time) / 1e9, said)
    first = first_token_ns(span)
    if first is not None and first >= span.start_time:
        instruments.first_chunk.record((first - span.start_time) / 1e9, said)
    for kind, count in (("input", usage.input), ("output", usage.output)):
        if count is not None:
            instruments.tokens.record(count, {**said, TOKEN_TYPE: kind})


def is_recorded() -> bool:
    """Tell whether there is a meter provider to record on."""
    return _instruments.get() is not None


def _stands_for_calls(span: ReadableSpan) -> bool:
    """Tell whether `span` is of ours for the calls of a component, which nobody has timed."""
    return is_ours(span) and names.COMPONENT_ID not in (span.attributes or {})


def _make(meter: Meter) -> _Instruments:
    return _Instruments(
        meter.create_histogram(
            TOKEN_USAGE,
            "{token}",
            "Number of input and output tokens used",
            explicit_bucket_boundaries_advisory=_TOKEN_BUCKETS,
        ),
        meter.create_histogram(
            OPERATION_DURATION,
            "s",
            "Duration of model calls",
            explicit_bucket_boundaries_advisory=_SECOND_BUCKETS,
        ),
        meter.create_histogram(
            TIME_TO_FIRST_CHUNK,
            "s",
            "Time until a streamed answer began",
            explicit_bucket_boundaries_advisory=_SECOND_BUCKETS,
        ),
        CardinalityCap(
            genai.REQUEST_MODEL, genai.RESPONSE_MODEL, names.FLOW_NAME, names.ERROR_TYPE
        ),
    )


_instruments = Instruments(_make)


def _attributes(span: ReadableSpan, flow_name: str | None) -> dict[str, Any]:
    said: Mapping[str, Any] = span.attributes or {}
    known = {n: v for n, v in models(said, invocation_parameters(said)).items() if v}
    # What another instrumentor says in these words itself is not overruled.
    told = {**known, **said}
    attributes = {
        genai.OPERATION: told.get(genai.OPERATION) or operation_of(said) or genai.CHAT,
        genai.PROVIDER: told.get(genai.PROVIDER) or told.get("gen_ai.system"),
        genai.REQUEST_MODEL: told.get(genai.REQUEST_MODEL),
        genai.RESPONSE_MODEL: told.get(genai.RESPONSE_MODEL),
        names.FLOW_NAME: flow_name,
        names.ERROR_TYPE: _error_type(span),
    }
    return {name: str(value) for name, value in attributes.items() if value}


def _error_type(span: ReadableSpan) -> str | None:
    if span.status.status_code is not StatusCode.ERROR:
        return None
    told = [(span.attributes or {}).get(names.ERROR_TYPE)]
    told += [(event.attributes or {}).get(names.EXCEPTION_TYPE) for event in span.events]
    return next((str(kind) for kind in told if kind), "_OTHER")
