"""About how many bytes a span takes in a request, and in memory; cheap for the event loop."""

from collections.abc import Callable, Mapping
from sys import getsizeof
from typing import Any, NamedTuple

from opentelemetry.sdk.trace import ReadableSpan

from langflow_otel.plain import plain

_NUMBERS = frozenset({bool, int, float})


class _Scale(NamedTuple):
    """The bytes of what is no text, and how those of a text that is not ASCII are told."""

    span: int
    event: int
    link: int
    attribute: int
    item: int
    name: Callable[[str], int]
    wide: Callable[[str], int]


# Ids, times, and what goes around them. Of most languages no character has more than three bytes
# in UTF-8.
_REQUEST = _Scale(200, 8, 32, 24, 8, len, lambda text: 3 * len(text))
# As tracemalloc tells them (OpenTelemetry's SDK 1.45, CPython 3.11). A name is there only once.
# What the SDK gives out keeps the locks and limits of its attributes, a copy of ours does not.
_MEMORY = _Scale(2600, 400, 480, 100, 60, lambda _: 0, getsizeof)
_COPY = _MEMORY._replace(span=800, event=200)


def size_of(span: ReadableSpan) -> int:
    """Return about how many bytes `span` takes in a request."""
    return _measure(span, span.attributes, _REQUEST)


def weight_of(span: ReadableSpan, known: Mapping[str, Any] | None = None) -> int:
    """Return about how many bytes `span`, as the SDK gives it out, takes in memory.

    Its attributes need not be read where they are `known`.
    """
    return _measure(span, known or span.attributes, _MEMORY)


def weight_of_copy(span: ReadableSpan) -> int:
    """Return the same of a `span` that `translate.clone` has made."""
    return _measure(span, span.attributes, _COPY)


def _measure(span: ReadableSpan, attributes: Mapping[str, Any] | None, scale: _Scale) -> int:
    size = scale.span + len(span.name) + _size_of_attributes(attributes, scale)
    for event in span.events:
        size += scale.event + len(event.name) + _size_of_attributes(event.attributes, scale)
    for link in span.links:
        size += scale.link + _size_of_attributes(link.attributes, scale)
    return size + len(span.status.description or "")


def _size_of_attributes(attributes: Mapping[str, Any] | None, scale: _Scale) -> int:
    known = plain(attributes)
    size = scale.attribute * len(known) + sum(map(scale.name, known))
    for value in known.values():
        if isinstance(value, str):
            # Which texts are ASCII is known without looking at them.
            size += len(value) if value.isascii() else scale.wide(value)
        elif type(value) not in _NUMBERS:
            size += _size_of_item(value, scale) - scale.item
    return size


def _size_of_item(item: Any, scale: _Scale) -> int:
    if isinstance(item, str):
        return scale.item + (len(item) if item.isascii() else scale.wide(item))
    if isinstance(item, bytes):
        return scale.item + len(item)
    if isinstance(item, Mapping):
        return scale.item + _size_of_attributes(item, scale)
    if isinstance(item, tuple | list):
        return scale.item + sum(_size_of_item(each, scale) for each in item)
    return scale.item
