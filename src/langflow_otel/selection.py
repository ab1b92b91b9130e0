"""Which spans an LLM backend gets, and what exporters must know of them that is not on them."""

import weakref
from collections.abc import Mapping
from typing import Any, Protocol

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from langflow_otel import names
from langflow_otel.export.translate import clone
from langflow_otel.model_calls import is_model_call
from langflow_otel.plain import plain

SCOPE = "langflow_otel"


class Noter(Protocol):
    """Who knows what was noted of spans that are under way."""

    def marks_of(self, span_id: int) -> Mapping[str, Any] | None:
        """Return what was noted at the start of a span that has not ended."""


# Of spans that have ended, what was noted at their start and does not stand on them.
_kept: "weakref.WeakKeyDictionary[ReadableSpan, Mapping[str, Any]]" = weakref.WeakKeyDictionary()
_noters: "weakref.WeakSet[Noter]" = weakref.WeakSet()


def ask(noter: Noter) -> None:
    """Ask `noter`, too, for what was noted of a span."""
    _noters.add(noter)


def keep(span: ReadableSpan, marks: Mapping[str, Any]) -> None:
    """Keep `marks` for as long as there is `span`, which has ended."""
    _kept[span] = marks


def is_ai_scope(scope: InstrumentationScope | None) -> bool:
    """Tell whether spans of `scope` are what an LLM backend wants: ours and OpenInference's."""
    return scope is not None and (
        scope.name == SCOPE or scope.name.partition(".")[0] == "openinference"
    )


def is_ours(span: ReadableSpan) -> bool:
    """Tell whether `span` is one of this package's."""
    scope = span.instrumentation_scope
    return scope is not None and scope.name == SCOPE


def is_ai_span(span: ReadableSpan) -> bool:
    """Tell whether an LLM backend wants `span`.

    Of other instrumentors it wants the model spans in a flow, where they are the only ones of
    their call; of those that tell of a call of which another span tells already, none.
    """
    if is_ours(span):
        return True
    if not is_ai_scope(span.instrumentation_scope):
        return is_model_call(span.attributes) and not _noted(span).get(names.MODEL_REPEATED, True)
    return not is_repeated(span)


def is_foreign(span: ReadableSpan) -> bool:
    """Tell whether `span` is of another instrumentor, in whose words an LLM backend is not told."""
    return not is_ai_scope(span.instrumentation_scope)


def is_repeated(span: ReadableSpan) -> bool:
    """Tell whether `span` is of a model call of which another span tells already."""
    return is_model_call(span.attributes) and bool(_noted(span).get(names.MODEL_REPEATED))


def restored(span: ReadableSpan) -> ReadableSpan:
    """Return `span` with what was noted at its start, also where that does not stand on it.

    Where a span has more attributes than the provider allows, the SDK drops the first ones;
    LangChain's instrumentor, at the end, takes a `session_id` or `thread_id` that LangChain was
    given for the session; and nothing is set on the spans of other instrumentors.
    """
    foreign = is_foreign(span) and is_model_call(span.attributes)
    if span not in _kept and not span.dropped_attributes and not foreign:
        return span
    marks = {n: v for n, v in _noted(span).items() if n != names.MODEL_REPEATED}
    if not marks:
        return span
    return carried(span, clone(span, attributes={**plain(span.attributes), **marks}))


def carried(span: ReadableSpan, cloned: ReadableSpan) -> ReadableSpan:
    """Return `cloned` with what is noted of `span`, which it stands for."""
    marks = _kept.get(span)
    if marks is not None:
        _kept[cloned] = marks
    return cloned


def _noted(span: ReadableSpan) -> Mapping[str, Any]:
    """Return what was noted at the start of `span`, as far as it does not stand on it."""
    kept = _kept.get(span)
    if kept is not None:
        return kept
    # Another processor may be told of its end first.
    context = span.get_span_context()
    noted = (each.marks_of(context.span_id) for each in list(_noters)) if context else ()
    return next((marks for marks in noted if marks), {})
