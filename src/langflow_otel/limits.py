"""How much one span of a provider of ours may hold."""

import os

from opentelemetry.sdk.trace import SpanLimits

from langflow_otel.guard import logger

# OpenInference flattens messages into attributes; the SDK's default of 128 drops the oldest.
_SPAN_ATTRIBUTES = 10_000


def span_limits() -> SpanLimits:
    """Return the limits that the environment sets, but for more attributes where it sets none."""
    variables = ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT")
    counted = any(os.environ.get(name, "").strip() for name in variables)
    try:
        return SpanLimits() if counted else SpanLimits(max_span_attributes=_SPAN_ATTRIBUTES)
    except ValueError as error:
        logger.error("langflow-otel: %s; the limits of spans are the usual ones", error)
    few = 128
    return SpanLimits(
        max_span_attributes=_SPAN_ATTRIBUTES,
        max_attributes=few,
        max_events=few,
        max_links=few,
        max_event_attributes=few,
        max_link_attributes=few,
        max_attribute_length=SpanLimits.UNSET,
        max_span_attribute_length=SpanLimits.UNSET,
    )
