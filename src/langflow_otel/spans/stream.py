"""What a component streams: its span stays open until the stream has come to its end."""

import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from opentelemetry.trace import Span

from langflow_otel import names
from langflow_otel.attaching import attached
from langflow_otel.spans.active import Failure, Once

if TYPE_CHECKING:
    from langflow_otel.spans.component import ComponentSpan


class StreamedOutput:
    """One output of a component, as whoever reads it gets it piece by piece.

    It ends once: when the stream does, when it fails or is closed, when nobody reads it any more,
    or with the span of the component, which ends with the flow's at the latest. Who takes what is
    needed, or nothing, has cancelled nothing.
    """

    def __init__(self, span: "ComponentSpan", name: str) -> None:
        """Stream the output `name` of the component whose span is `span`."""
        self.span = span
        self.name = name
        self.parts: list[str] = []
        self.length = 0
        self.ended = False
        #: Whether it was read to its end.
        self.whole = False
        #: Whether a piece has been asked for that has not come.
        self.asked = False
        #: When the first piece came and when the last did, in nanoseconds since the epoch.
        self.first_ns: int | None = None
        self.last_ns: int | None = None
        self._to_end = Once()
        self._room = 4 * span.capture.max_bytes if span.shows_outputs() else 0

    def current(self) -> attached:
        """Make the component current while a piece is made, in the task that asks for it.

        What is read when its span has ended is no part of the run any more.
        """
        self.asked = True
        return attached(None if self.span.ended else self.span.context)

    @property
    def began(self) -> bool:
        """Whether a piece came."""
        return self.last_ns is not None

    def add(self, text: str) -> None:
        """Note a piece; so much of the text is kept as a span may show."""
        self.asked = False
        self.last_ns = time.time_ns()
        self.first_ns = self.first_ns or self.last_ns
        self.length += len(text)
        if self._room > 0 and text:
            self.parts.append(text[: self._room])
            self._room -= len(text)

    def end(self, failure: Failure | None) -> None:
        """Let the span end, if this is the last that the component streams; once."""
        if self._to_end.take():
            self.ended, self.whole = True, failure is None
            self.span.stream_ended(self, failure)

    def leave(self) -> None:
        """Do the same where nobody reads on."""
        if self.forget():
            self.span.stream_ended(self, None)

    def forget(self) -> bool:
        """Take no note of what is still read; tell whether there could be something."""
        left = self._to_end.take()
        self.ended = True
        return left


def how_far_read(streams: Sequence[StreamedOutput]) -> str | None:
    """Return `partly` or `no` of streams that were not all read to their end; else None."""
    if all(stream.whole for stream in streams):
        return None
    return "partly" if any(stream.began for stream in streams) else "no"


def tell_first_token(span: Span, streams: Iterable[StreamedOutput]) -> None:
    """Say on `span` when the first token of `streams` came, if one has."""
    came = [stream.first_ns for stream in streams if stream.first_ns is not None]
    if came:
        span.add_event(names.FIRST_TOKEN, timestamp=min(came))
