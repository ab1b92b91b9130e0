"""Streams that a component gives out unread: whoever reads them runs the component's code.

Langflow reads the text of a message where that is an `Iterator` or an `AsyncIterator`. What else a
component gives out may be one, too, and no stream: a cursor, a directory, a file. So of these only
generators are held, and what clients of models have for streams.
"""

import io
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator, MutableMapping
from typing import Any

from langflow_otel.attaching import attached
from langflow_otel.capture.classes import class_names, instances_of
from langflow_otel.collected import end_later
from langflow_otel.seams.langflow import failure_of
from langflow_otel.seams.steps import Stepped, Watch, stand_in
from langflow_otel.seams.usage import usage_of_piece
from langflow_otel.spans import ComponentSpan, Model, StreamedOutput

_TEXT_FIELDS = ("_text_stream", "text")
# A model's answer bit by bit: of OpenAI's client and those made alike, Mistral's, LiteLLM's.
_OF_CLIENTS = frozenset(
    {"Stream", "AsyncStream", "EventStream", "EventStreamAsync", "CustomStreamWrapper"}
)

_NO_STREAMS = frozenset({str, type(None)})
_is_generator = instances_of(AsyncGenerator, Generator)
_is_iterator = instances_of(AsyncIterator, Iterator)


def hold(span: ComponentSpan, component: Any, results: MutableMapping[str, Any]) -> None:
    """Put stand-ins for the streams among what `component` gives out, wherever they are kept."""
    stand_ins: dict[int, Any] = {}
    for name, output in vars(component).get("_outputs_map", {}).items():
        kept = vars(output)
        places = _places(kept, "value")
        given = results.get(name)
        # What a message holds is in one place, whoever holds the message.
        if given is not kept.get("value") or _is_stream(given):
            places += _places(results, name)
        for place, key in places:
            stream = place[key]
            if id(stream) not in stand_ins:
                stand_ins[id(stream)] = stand_in(stream, _Reading(span.stream(name)))
            place[key] = stand_ins[id(stream)]


def _places(mapping: MutableMapping[str, Any], key: str) -> list[tuple[Any, str]]:
    """Return where in `mapping[key]`, a stream or a message, there is a stream."""
    value = mapping.get(key)
    if _is_stream(value):
        return [(mapping, key)] if _is_unread(value) else []
    try:
        fields = vars(value)
    except TypeError:
        return []
    places = [(fields, name) for name in _TEXT_FIELDS if _is_unread(fields.get(name))]
    data = fields.get("data")
    if isinstance(data, dict) and _is_unread(data.get("text")):
        places.append((data, "text"))
    return places


def _is_stream(value: Any) -> bool:
    return _is_generator(value) or not _OF_CLIENTS.isdisjoint(class_names(type(value)))


def _is_unread(value: Any) -> bool:
    """Tell whether `value` is a stream that no other component has given out already."""
    if type(value) in _NO_STREAMS or not _is_iterator(value) or isinstance(value, io.IOBase):
        return False
    held = isinstance(value, Stepped) and isinstance(value._self_watch, _Reading)
    return not held


class _Reading(Watch):
    """What is told of a stream, by what is read of it."""

    def __init__(self, output: StreamedOutput) -> None:
        self._output = output
        self._usage = Model()

    def around(self) -> attached:
        return self._output.current()

    def took(self, piece: Any) -> None:
        content = getattr(piece, "content", piece)
        self._output.add(_text_of(content))
        usage = usage_of_piece(piece)
        if usage is not None:
            # Some say all so far, others each part of it once (Langflow takes the most, too).
            self._usage = Model(
                input_tokens=_more(self._usage.input_tokens, usage.input_tokens),
                output_tokens=_more(self._usage.output_tokens, usage.output_tokens),
                total_tokens=_more(self._usage.total_tokens, usage.total_tokens),
            )

    def over(self, error: BaseException | None) -> None:
        _finish(self._output, self._usage, error)

    def __del__(self) -> None:
        """Have ended what was abandoned half-way, or never read."""
        if not self._output.ended:
            # Without the stream, which goes where it is.
            end_later(_leave, self._output, self._usage)


def _finish(output: StreamedOutput, usage: Model, error: BaseException | None) -> None:
    if not output.ended:
        _count(output, usage)
        output.end(failure_of(error) if error is not None else None)


def _leave(output: StreamedOutput, usage: Model) -> None:
    _count(output, usage)
    output.leave()


def _count(output: StreamedOutput, usage: Model) -> None:
    if usage.has_tokens:
        output.span.count_streamed(usage)


def _text_of(content: Any) -> str:
    """Return the text of a piece: a text, or the parts that LangChain's messages may have."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    return "".join(_part(part) for part in content)


def _part(part: Any) -> str:
    text = part.get("text") if isinstance(part, dict) else part
    return text if isinstance(text, str) else ""


def _more(known: int | None, told: int | None) -> int | None:
    return known if told is None else max(known or 0, told)
