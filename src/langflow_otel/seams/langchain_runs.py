"""What becomes of LangChain's runs: where a model's begins and ends, its first token, a cancel.

`OpenInferenceTracer` is what OpenInference's LangChain instrumentor calls the callback handler
that makes its spans. It takes a cancel and a pause for errors, because LangChain tells of them by
`on_*_error`, and can end a span only when LangChain does.
"""

import sys
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import wrapt
from opentelemetry.trace import Span, Status, StatusCode, get_current_span

from langflow_otel import names
from langflow_otel.attaching import attached
from langflow_otel.context import inside_model_call
from langflow_otel.guard import safely
from langflow_otel.seams.langflow import failure_of
from langflow_otel.seams.patches import Arguments, Keywords
from langflow_otel.seams.steps import Watch, stand_in

_MODULE = "openinference.instrumentation.langchain"


def first_token(
    wrapped: Callable[..., Any], instance: Any, args: Arguments, kwargs: Keywords
) -> Any:
    """Note on a model's span when the first token came; nobody else does."""
    result = wrapped(*args, **kwargs)
    if type(instance).__module__.startswith(_MODULE):
        safely(_note_first_token, instance, kwargs.get("run_id"))
    return result


def error(wrapped: Callable[..., Any], tracer: Any, args: Arguments, kwargs: Keywords) -> Any:
    """Let a run that was cancelled or paused end without an error."""
    safely(_forgive, tracer, args[0] if args else kwargs.get("error"), kwargs.get("run_id"))
    return wrapped(*args, **kwargs)


def generate(wrapped: Callable[..., Any], model: Any, args: Arguments, kwargs: Keywords) -> Any:
    """Mark what happens in a call of a model as that, so that it is traced once."""
    with attached(safely(inside_model_call, model)):
        return wrapped(*args, **kwargs)


async def agenerate(
    wrapped: Callable[..., Any], model: Any, args: Arguments, kwargs: Keywords
) -> Any:
    """Do the same for the async way."""
    with attached(safely(inside_model_call, model)):
        return await wrapped(*args, **kwargs)


def stream(wrapped: Callable[..., Any], model: Any, args: Arguments, kwargs: Keywords) -> Any:
    """Do the same for each piece of a stream, sync or async, and for nothing in between."""
    pieces = wrapped(*args, **kwargs)
    marked = safely(_marked, pieces, model)
    return pieces if marked is None else marked


def _marked(pieces: Any, model: Any) -> Any:
    # Nobody asks what is marked where nothing is recorded.
    return stand_in(pieces, _Calling(model)) if get_current_span().is_recording() else None


class _Calling(Watch):
    """Each piece of a model's answer is made in the call of it."""

    def __init__(self, model: Any) -> None:
        self._model = model

    def around(self) -> attached:
        return attached(safely(inside_model_call, self._model))


def abandon(spans: list[Span], over_ns: int | None) -> None:
    """End those of `spans` that are runs of LangChain's which nobody will bring to their end.

    They were over at `over_ns` (since the epoch), or are now.

    LangChain ends them when the collector comes upon the generator that nobody reads; what it
    tells then comes to nothing.
    """
    tracer = _tracer_of()
    ids = {span.get_span_context().span_id for span in spans}
    # What is below first.
    for run_id, span in reversed(list(getattr(tracer, "_spans_by_run", {}).items())):
        run = tracer.run_map.get(str(run_id))
        if run is not None and span.get_span_context().span_id in ids:
            _forgive(tracer, GeneratorExit(), run_id)
            if over_ns is not None:
                run.end_time = datetime.fromtimestamp(over_ns / 1e9, tz=timezone.utc)
            tracer._end_trace(run)
            tracer.run_map[str(run_id)] = run


def _tracer_of() -> Any:
    module = sys.modules.get(_MODULE)
    return getattr(module.LangChainInstrumentor(), "_tracer", None) if module else None


def _note_first_token(tracer: Any, run_id: Any) -> None:
    span = tracer.get_span(run_id)
    if span is None or not span.is_recording():
        return
    if not any(event.name == names.FIRST_TOKEN for event in span.events):
        span.add_event(names.FIRST_TOKEN)


def _forgive(tracer: Any, raised: Any, run_id: Any) -> None:
    status = failure_of(raised).status
    span = tracer.get_span(run_id)
    if status == names.STATUS_ERROR or span is None or not span.is_recording():
        return
    span.set_attribute(names.STATUS, status)
    tracer._spans_by_run[run_id] = _Forgiven(span)


class _Forgiven(wrapt.ObjectProxy):  # type: ignore[type-arg]
    """A span that takes note of no error, and so of no success either."""

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        """Leave the status unset."""

    def record_exception(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing."""

    def add_event(self, name: str, *args: Any, **kwargs: Any) -> None:
        """Add any event but that of an exception."""
        if name != names.EXCEPTION_EVENT:
            self.__wrapped__.add_event(name, *args, **kwargs)


_TRACER = f"{_MODULE}._tracer"
#: Module, function, and what is wrapped around it.
ROWS = (
    *(
        (_TRACER, f"OpenInferenceTracer.on_{kind}_error", error)
        for kind in ("llm", "chain", "tool", "retriever")
    ),
    *(
        (f"langchain_core.language_models.{module}", f"{cls}.{method}", wrapper)
        for module, cls in (("chat_models", "BaseChatModel"), ("llms", "BaseLLM"))
        for method, wrapper in (
            ("generate", generate),
            ("agenerate", agenerate),
            ("stream", stream),
            ("astream", stream),
        )
    ),
)
