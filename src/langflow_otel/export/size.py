"""About how many bytes a span takes; cheap enough for the event loop."""

from collections.abc import Mapping
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan

from langflow_otel.plain import plain

# Ids, times, and what goes around them; a number, a flag; what goes around one attribute.
_SPAN, _PLAIN, _ATTRIBUTE = 200, 8, 16
# Bytes of a character that is not ASCII, in UTF-8: of most languages that have no more than these.
_WIDE = 3


def size_of(span: ReadableSpan, known: Mapping[str, Any] | None = None) -> int:
    """Return about how many bytes `span` takes: its texts by their length, all else flat.

    Its attributes need not be read where they are `known`.
    """
    size = _SPAN + len(span.name) + _size_of_attributes(known or span.attributes)
    for event in span.events:
        size += _PLAIN + len(event.name) + _size_of_attributes(event.attributes)
    for link in span.links:
        size += _PLAIN * 4 + _size_of_attributes(link.attributes)
    return size + len(span.status.description or "")


def _size_of_attributes(attributes: Mapping[str, Any] | None) -> int:
    known = plain(attributes)
    size = _ATTRIBUTE * len(known) + sum(map(len, known))
    for value in known.values():
        cls = type(value)
        if cls is str and value.isascii():
            size += len(value)
        elif cls is bool or cls is int:
            size += _PLAIN
        elif isinstance(value, tuple | list):
            size += sum(map(_size_of_value, value))
        else:
            size += _size_of_value(value)
    return size


def _size_of_value(value: Any) -> int:
    if isinstance(value, str):
        # Which texts are ASCII is known without looking at them.
        return len(value) if value.isascii() else _WIDE * len(value)
    return len(value) if isinstance(value, bytes) else _PLAIN
