"""Who called, from another process or unrecorded, while the request is served."""

from collections.abc import Mapping
from contextvars import Token

from opentelemetry import baggage, propagate, trace
from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.propagators.textmap import Getter
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import INVALID_SPAN, NonRecordingSpan, Span, SpanContext

from langflow_otel.attaching import detach


class CallerSpan(NonRecordingSpan):
    """Stands for a span that is under way, and is recorded elsewhere or not at all.

    Langflow (1.12 and later) takes a valid span that does not record for one that has ended, and
    lets the flow be a root with a link to it. That is right for a run that goes on after its
    request, and wrong before: so this one says that it records until the request has been served,
    although nothing that is set on it is kept.
    """

    served = False

    def is_recording(self) -> bool:
        """Tell whether the request is still served."""
        return not self.served


class _ByLowerCase(Getter[Mapping[str, object]]):
    """Headers have no case, and some propagators ask for theirs with capitals (X-Ray's)."""

    def get(self, carrier: Mapping[str, object], key: str) -> list[str] | None:
        """Return what `carrier` has for `key`."""
        value = carrier.get(key.lower())
        if value is None:
            return None
        return [str(each) for each in value] if isinstance(value, list) else [str(value)]

    def keys(self, carrier: Mapping[str, object]) -> list[str]:
        """Return all names."""
        return list(carrier)


_BY_LOWER_CASE = _ByLowerCase()


class Caller:
    """The context of a request, current from `attach` to `detach`."""

    def __init__(self, context: Context) -> None:
        """Let a `CallerSpan` be the span in `context`, if there is one; the rest is kept."""
        self.span_context: SpanContext = trace.get_current_span(context).get_span_context()
        self._span = CallerSpan(self.span_context) if self.span_context.is_valid else INVALID_SPAN
        self._context = trace.set_span_in_context(self._span, context)
        self._token: Token[Context] | None = None

    @classmethod
    def of(cls, carrier: Mapping[str, object]) -> "Caller | None":
        """Return who sent `carrier` (by name, in lower case); None where that changes nothing here.

        It is read by the propagators of `OTEL_PROPAGATORS`. A caller that is current here is that
        of another request, and none of this one.
        """
        here = otel_context.get_current()
        stale = isinstance(trace.get_current_span(here), CallerSpan)
        clear = trace.set_span_in_context(INVALID_SPAN, baggage.clear(here) if stale else here)
        caller = cls(propagate.extract(carrier, clear, _BY_LOWER_CASE))
        told = caller.span_context.is_valid or baggage.get_all(caller._context)
        return caller if told or stale else None

    @classmethod
    def unrecorded(cls) -> "Caller | None":
        """Return the span that is current, if it is valid and neither records nor has ended.

        It is one that was not sampled, or another process's.
        """
        span = trace.get_current_span()
        plain = type(span) is NonRecordingSpan and span.get_span_context().is_valid
        return cls(otel_context.get_current()) if plain else None

    def attach(self) -> None:
        """Make the context current here; `detach` must follow in the same task."""
        self._token = otel_context.attach(self._context)

    def answer(self) -> None:
        """Note that the request has been served: what goes on now goes on by itself."""
        if isinstance(self._span, CallerSpan):
            self._span.served = True

    def detach(self) -> None:
        """Make current again what was; the request has been served."""
        self.answer()
        if self._token is not None:
            detach(self._token)
            self._token = None


def has_ended(span: Span) -> bool:
    """Tell whether `span` can have no more children."""
    if isinstance(span, CallerSpan):
        return span.served
    return isinstance(span, ReadableSpan) and span.end_time is not None
