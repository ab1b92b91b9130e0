"""Which LangSmith run a span is: told by attributes that it gets when it starts.

A run names all its ancestors (`dotted_order`), and an exporter gets children before their parents,
so who they are is settled while the parent is still at hand. The names are those that LangSmith
documents for spans; the rules are those of its run data format.
"""

import re
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import Span, SpanContext

from langflow_otel.selection import is_ai_span

TRACE_ID = "langsmith.trace.id"
SPAN_ID = "langsmith.span.id"
PARENT_ID = "langsmith.span.parent_id"
DOTTED_ORDER = "langsmith.span.dotted_order"

#: What is deeper is hung on the deepest ancestor that is within. LangSmith names no limit; without
#: one, a flow that calls itself would have attributes that grow for ever.
MAX_DEPTH = 64

# A segment is the start, as 20261124T035436123456Z, and the run's id. They are joined by dots.
_TIME, _ID = 22, 36
_SEGMENT = _TIME + _ID
_STEP = _SEGMENT + 1
_MAX_LENGTH = MAX_DEPTH * _STEP - 1
#: Of an order, what another Langflow is told: so many ancestors, as it goes with each request.
MAX_TOLD = 32 * _STEP - 1
_WHOLE = re.compile(r"\d{8}T\d{12}Z[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_MAX_MICROSECONDS = 253_402_300_799_999_999  # the end of the year 9999


class Place(NamedTuple):
    """Where a run is in its tree.

    Attributes:
        trace_id: The id of the root run.
        run_id: A UUID of version 7.
        parent_id: None on a root.
        dotted_order: The run and its ancestors, from the root.
        start: As LangSmith takes it; never before the parent's.
    """

    trace_id: str
    run_id: str
    parent_id: str | None
    dotted_order: str
    start: str


def stamp(
    span_context: SpanContext, start_ns: int, parent: Mapping[str, Any] | None
) -> dict[str, str]:
    """Return the attributes that tell which run a span is.

    The id is made of the start and the span's own ids, so that what is sent again is the same run.

    Args:
        span_context: Of the span.
        start_ns: When it started, in nanoseconds since 1970.
        parent: The attributes of the nearest span above that LangSmith gets, None where there is
            none. The span is a root, too, where they hold no whole stamp (other providers give
            none; limits of the SDK cut long ones).
    """
    above = _whole(parent.get(DOTTED_ORDER)) if parent else ""
    microseconds = min(max(start_ns // 1000, 0), _MAX_MICROSECONDS)
    began = _time(microseconds)
    milliseconds = microseconds // 1000
    # Against the direct parent, also where the run is hung on one further up.
    if above and began < (latest := above[-_SEGMENT:-_ID]):
        began, milliseconds = latest, int(above[-_ID:].replace("-", "")[:12], 16)
    run_id = _uuid7(milliseconds, span_context)
    if not above:
        return {TRACE_ID: run_id, SPAN_ID: run_id, DOTTED_ORDER: began + run_id}
    if len(above) >= _MAX_LENGTH:
        above = above[: _MAX_LENGTH - _STEP]
    return {
        TRACE_ID: above[_TIME:_SEGMENT],
        SPAN_ID: run_id,
        PARENT_ID: above[-_ID:],
        DOTTED_ORDER: f"{above}.{began}{run_id}",
    }


def place_of(span: ReadableSpan) -> Place | None:
    """Return where the run of `span` is; one without a stamp is a root, with nothing above it.

    None where the span has no valid ids at all.
    """
    context = span.get_span_context()
    if context is None or not context.is_valid:
        return None
    order = _whole((span.attributes or {}).get(DOTTED_ORDER))
    if not order:
        order = stamp(context, span.start_time or 0, None)[DOTTED_ORDER]
    began = order[-_SEGMENT:-_ID]
    return Place(
        trace_id=order[_TIME:_SEGMENT],
        run_id=order[-_ID:],
        parent_id=order[-_STEP - _ID : -_STEP] or None,
        dotted_order=order,
        start=(
            f"{began[:4]}-{began[4:6]}-{began[6:8]}T{began[9:11]}:{began[11:13]}:{began[13:15]}"
            f".{began[15:21]}+00:00"
        ),
    )


def run_id_of(span: ReadableSpan | Span) -> str | None:
    """Return the id of the LangSmith run that `span` becomes, for feedback; None if it is no run.

    The span may still be under way: `run_id_of(opentelemetry.trace.get_current_span())`.
    """
    if not isinstance(span, ReadableSpan) or not is_ai_span(span):
        return None
    place = place_of(span)
    return place.run_id if place else None


def iso(nanoseconds: int) -> str:
    """Return a time since 1970 as LangSmith takes it, with six digits."""
    microseconds = min(max(nanoseconds // 1000, 0), _MAX_MICROSECONDS)
    seconds, rest = divmod(microseconds, 1_000_000)
    moment = time.gmtime(seconds)
    return time.strftime("%Y-%m-%dT%H:%M:%S", moment) + f".{rest:06d}+00:00"


def _whole(order: Any) -> str:
    """Return a dotted order that nothing was cut off from, else "".

    Others may have set the attribute, too: the first run and the last, which is all that is read
    of it here, must be such.
    """
    if not isinstance(order, str) or (len(order) + 1) % _STEP or len(order) > _MAX_LENGTH:
        return ""
    ends = (order[:_SEGMENT], order[-_SEGMENT:])
    return order if all(_WHOLE.fullmatch(end) for end in ends) else ""


def _time(microseconds: int) -> str:
    seconds, rest = divmod(microseconds, 1_000_000)
    at = time.gmtime(seconds)
    return (
        f"{at.tm_year:04d}{at.tm_mon:02d}{at.tm_mday:02d}"
        f"T{at.tm_hour:02d}{at.tm_min:02d}{at.tm_sec:02d}{rest:06d}Z"
    )


def _uuid7(milliseconds: int, context: SpanContext) -> str:
    """Return a UUID of version 7 (RFC 9562, 5.7) with the span's ids where others have chance."""
    chance = (context.trace_id & 0x3FF) << 64 | context.span_id
    digits = (
        f"{milliseconds:012x}7{chance >> 62:03x}{0x8000000000000000 | chance & (1 << 62) - 1:016x}"
    )
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"
