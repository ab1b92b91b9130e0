"""A finished span with other contents: an exporter may not change the one it is given."""

from typing import Any

from opentelemetry.sdk.trace import ReadableSpan

_FIELDS = (
    "name",
    "context",
    "parent",
    "resource",
    "attributes",
    "events",
    "links",
    "kind",
    "status",
    "start_time",
    "end_time",
    "instrumentation_scope",
)


def clone(span: ReadableSpan, **changed: Any) -> ReadableSpan:
    """Return `span` with the fields in `changed`, named as `ReadableSpan` takes them."""
    kept = {name: getattr(span, name) for name in _FIELDS if name not in changed}
    return ReadableSpan(**kept, **changed)
