"""One kind of span, whether it was recorded here or read back from Phoenix."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor

from langflow_otel import names
from langflow_otel.export.destination import reroot

ERROR = "ERROR"


@dataclass(frozen=True)
class DemoSpan:
    """A finished span; ids are in hex, `parent_id` is "" for a root."""

    name: str
    kind: str
    trace_id: str
    span_id: str
    parent_id: str
    start: float
    """In seconds since the epoch, as Phoenix keeps it: in microseconds."""
    seconds: float
    status: str
    message: str
    attributes: Mapping[str, Any]

    @property
    def failed(self) -> bool:
        """Whether its status is an error."""
        return self.status == ERROR

    @property
    def session(self) -> str:
        """Its session, "" for none."""
        return str(self.attributes.get(names.SESSION_ID, ""))

    @property
    def tokens(self) -> int:
        """The tokens of a model call; 0 for any other span, which must not count them again."""
        return self._tokens(names.TOTAL_TOKENS)

    @property
    def tokens_in_and_out(self) -> tuple[int, int]:
        """The tokens read and written by a model call."""
        return self._tokens(names.INPUT_TOKENS), self._tokens(names.OUTPUT_TOKENS)

    def _tokens(self, name: str) -> int:
        return int(self.attributes.get(name, 0)) if self.kind == names.KIND_LLM else 0


class Recorder(SpanProcessor):
    """Keeps the spans that ended, to compare with what arrives in Phoenix."""

    def __init__(self) -> None:
        """Start with none."""
        self._ended: list[ReadableSpan] = []

    def on_end(self, span: ReadableSpan) -> None:
        """Keep `span`."""
        self._ended.append(span)

    def take(self) -> list[DemoSpan]:
        """Return what ended since the last time."""
        ended, self._ended = self._ended, []
        return [from_readable(span) for span in ended]


def from_readable(span: ReadableSpan) -> DemoSpan:
    """Return a span of the SDK, with the parent that an LLM backend is sent."""
    attributes = dict(span.attributes or {})
    parent = reroot(span, attributes.pop(names.EXPORT_PARENT, None))
    context = span.get_span_context()
    start, end = span.start_time or 0, span.end_time or 0
    return DemoSpan(
        name=span.name,
        kind=str(attributes.get(names.SPAN_KIND, "")),
        trace_id=f"{context.trace_id:032x}" if context else "",
        span_id=f"{context.span_id:016x}" if context else "",
        parent_id=f"{parent.span_id:016x}" if parent else "",
        start=start / 1e9,
        seconds=(end - start) / 1e9,
        status=span.status.status_code.name,
        message=span.status.description or "",
        attributes=attributes,
    )


def from_phoenix(row: Mapping[str, Any]) -> DemoSpan:
    """Return a span as Phoenix's REST API has it."""
    start, end = (_moment(row[name]) for name in ("start_time", "end_time"))
    return DemoSpan(
        name=row["name"],
        kind=row.get("span_kind") or "",
        trace_id=row["context"]["trace_id"],
        span_id=row["context"]["span_id"],
        parent_id=row.get("parent_id") or "",
        start=start.timestamp(),
        seconds=(end - start).total_seconds(),
        status=row.get("status_code") or "UNSET",
        message=row.get("status_message") or "",
        attributes=row["attributes"],
    )


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
