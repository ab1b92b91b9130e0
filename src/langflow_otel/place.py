"""Where a span hangs in what LLM backends get: they leave out HTTP, database and other spans."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span
from opentelemetry.trace import SpanContext

from langflow_otel import context as run_context
from langflow_otel import names

#: What an exporter that must know a span's place in the tree adds to it at its start: given the
#: span's context, its start in nanoseconds since the epoch, and its parent's attributes.
Stamp = Callable[[SpanContext, int, Mapping[str, Any] | None], dict[str, str]]
#: By what each of them reads of its parent's.
_stamps: dict[Stamp, str] = {}


def stamp_with(stamp: Stamp, reads: str, limit: int) -> None:
    """Let `stamp` add to each AI span that starts from now on.

    Of its parent's attributes it reads the one named `reads`. Of that `limit` characters are told
    to another Langflow that is called, so that the tree goes on there.
    """
    _stamps[stamp] = reads
    run_context.let_travel(reads, limit)


class _Above(NamedTuple):
    """What is known of the nearest AI span above one: here, or in another Langflow (`told`)."""

    span_id: int | None = None
    attributes: Mapping[str, Any] | None = None
    told: str = ""


def needs_no_mark(parent: SpanContext) -> bool:
    """Tell whether exporters find a span's place by `parent` alone, which LLM backends get."""
    return not (_stamps or parent.is_remote)


def place_marks(
    span: Span, context: Context | None, is_sent: Callable[[ReadableSpan], bool]
) -> dict[str, Any]:
    """Return what exporters must know of what is above `span`, by attribute name.

    Args:
        span: An AI span that starts.
        context: Where it starts.
        is_sent: Tells of a span of this process whether LLM backends get it.
    """
    told: dict[str, Any] = {}
    above = _above(span, context, is_sent)
    if span.parent is not None and above.span_id != span.parent.span_id:
        told[names.EXPORT_PARENT] = trace.format_span_id(above.span_id) if above.span_id else ""
    for stamp, travels in _stamps.items():
        theirs = {travels: above.told} if above.told else above.attributes
        told |= stamp(span.get_span_context(), span.start_time or 0, theirs)
    return told


def _above(span: Span, context: Context | None, is_sent: Callable[[ReadableSpan], bool]) -> _Above:
    """Return the nearest span above `span` that LLM backends get."""
    if span.parent is None:
        return _Above()
    local = _local_parent(span.parent, context, is_sent)
    here = local.get_span_context() if local is not None else None
    if local is not None and here is not None:
        return _Above(here.span_id, local.attributes)
    remote = run_context.remote_ai_parent(span.parent.trace_id, context)
    return _Above(remote.span_id, None, remote.told) if remote is not None else _Above()


def _local_parent(
    parent: SpanContext, context: Context | None, is_sent: Callable[[ReadableSpan], bool]
) -> ReadableSpan | None:
    """Return the nearest such span in this process: `parent` itself, or one of ours."""
    direct = trace.get_current_span(context)
    if not (isinstance(direct, ReadableSpan) and is_sent(direct)):
        direct = run_context.ai_parent(context) or trace.INVALID_SPAN
    same = direct.get_span_context()
    if not isinstance(direct, ReadableSpan) or same is None:
        return None
    return direct if same.trace_id == parent.trace_id else None
