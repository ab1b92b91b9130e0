"""One plain `Span`, whichever way it was read: off the wire, from the SDK, or from Phoenix."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span as WireSpan
from opentelemetry.sdk.trace import ReadableSpan

KIND = "openinference.span.kind"
SESSION = "session.id"

_STATUS = {0: "UNSET", 1: "OK", 2: "ERROR"}


@dataclass(frozen=True)
class Event:
    """A span event."""

    name: str
    time_ns: int
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Link:
    """A span link."""

    trace_id: str
    span_id: str
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Span:
    """A finished span. Ids are lower-case hex, times are nanoseconds since the epoch."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str = ""
    """"" for a root."""
    start_ns: int = 0
    end_ns: int = 0
    attributes: Mapping[str, Any] = field(default_factory=dict)
    scope: str = ""
    otel_kind: str = "INTERNAL"
    """INTERNAL, SERVER, CLIENT, PRODUCER or CONSUMER."""
    status: str = "UNSET"
    """UNSET, OK or ERROR."""
    status_message: str = ""
    events: tuple[Event, ...] = ()
    links: tuple[Link, ...] = ()
    resource: Mapping[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """The OpenInference kind (CHAIN, LLM, TOOL, …), or "" on a span that is not an AI span."""
        return str(self.attributes.get(KIND, ""))

    @property
    def session(self) -> str:
        """The session's id, or ""."""
        return str(self.attributes.get(SESSION, ""))


def from_otlp(request: ExportTraceServiceRequest) -> list[Span]:
    """All spans of an OTLP export request, in its order."""
    return [
        _from_wire(span, scope=scoped.scope.name, resource=_mapping(batch.resource.attributes))
        for batch in request.resource_spans
        for scoped in batch.scope_spans
        for span in scoped.spans
    ]


def from_readable(span: ReadableSpan) -> Span:
    """A span as the SDK hands it to an exporter or a processor."""
    context, parent = span.context, span.parent
    assert context is not None
    return Span(
        name=span.name,
        trace_id=f"{context.trace_id:032x}",
        span_id=f"{context.span_id:016x}",
        parent_id=f"{parent.span_id:016x}" if parent else "",
        start_ns=span.start_time or 0,
        end_ns=span.end_time or 0,
        attributes=dict(span.attributes or {}),
        scope=span.instrumentation_scope.name if span.instrumentation_scope else "",
        otel_kind=span.kind.name,
        status=span.status.status_code.name,
        status_message=span.status.description or "",
        events=tuple(Event(e.name, e.timestamp, dict(e.attributes or {})) for e in span.events),
        links=tuple(
            Link(
                trace_id=f"{link.context.trace_id:032x}",
                span_id=f"{link.context.span_id:016x}",
                attributes=dict(link.attributes or {}),
            )
            for link in span.links
        ),
        resource=dict(span.resource.attributes),
    )


def from_phoenix(row: Mapping[str, Any]) -> Span:
    """A span from Phoenix's REST API (`GET /v1/projects/{project}/spans`).

    Phoenix keeps microseconds, and neither scope, resource, links nor the OTel kind. It takes the
    OpenInference kind out of the attributes (put back here) and parses the JSON ones
    (`metadata` arrives as `metadata.key`).
    """
    attributes = dict(row["attributes"])
    kind = row.get("span_kind") or ""
    if kind and kind != "UNKNOWN":
        attributes[KIND] = kind
    return Span(
        name=row["name"],
        trace_id=row["context"]["trace_id"],
        span_id=row["context"]["span_id"],
        parent_id=row.get("parent_id") or "",
        start_ns=_iso_ns(row["start_time"]),
        end_ns=_iso_ns(row["end_time"]),
        attributes=attributes,
        status=row.get("status_code") or "UNSET",
        status_message=row.get("status_message") or "",
        events=tuple(
            Event(e["name"], _iso_ns(e["timestamp"]), dict(e.get("attributes") or {}))
            for e in row.get("events") or ()
        ),
    )


def _from_wire(span: WireSpan, *, scope: str, resource: Mapping[str, Any]) -> Span:
    if len(span.trace_id) != 16 or len(span.span_id) != 8 or len(span.parent_span_id) not in (0, 8):
        raise ValueError(f"span {span.name!r} has ids of the wrong length")
    return Span(
        name=span.name,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        attributes=_mapping(span.attributes),
        scope=scope,
        otel_kind=WireSpan.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        status=_STATUS.get(span.status.code, "UNSET"),
        status_message=span.status.message,
        events=tuple(Event(e.name, e.time_unix_nano, _mapping(e.attributes)) for e in span.events),
        links=tuple(
            Link(k.trace_id.hex(), k.span_id.hex(), _mapping(k.attributes)) for k in span.links
        ),
        resource=resource,
    )


def _mapping(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    which = value.WhichOneof("value")
    if which is None:
        return None
    if which == "array_value":
        return [_value(item) for item in value.array_value.values]
    if which == "kvlist_value":
        return _mapping(value.kvlist_value.values)
    return getattr(value, which)


def _iso_ns(text: str) -> int:
    # In integers: a float of seconds since 1970 is good for a quarter of a microsecond only.
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    delta = moment - datetime(1970, 1, 1, tzinfo=timezone.utc)
    return ((delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds) * 1_000
