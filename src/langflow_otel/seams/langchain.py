"""Model spans come from OpenInference's LangChain instrumentor: turn it on where it is off."""

import importlib.util
from collections.abc import Callable
from dataclasses import fields
from typing import Any

from opentelemetry.trace import TracerProvider

from langflow_otel import attributes as names
from langflow_otel.guard import logger, safely
from langflow_otel.settings import Settings, disabled_instrumentations

_MODULE = "openinference.instrumentation.langchain"


def turn_on_langchain(
    provider: TracerProvider, settings: Settings, *, content: bool
) -> Callable[[], None] | None:
    """Instrument LangChain on `provider`; return what undoes it, None where nothing was done.

    Without `content` it hides all it can; with it, what the settings say.
    """
    wanted = settings.instrument_langchain
    if wanted is None:
        wanted = not {"langchain", "*"} & disabled_instrumentations()
    if not wanted:
        return None
    if not _is_installed():
        level = logger.warning if settings.instrument_langchain else logger.info
        level(
            "langflow-otel: no model spans, because OpenInference's LangChain instrumentor is not "
            "installed: pip install 'langflow-otel[langchain]'"
        )
        return None
    from openinference.instrumentation import TraceConfig
    from openinference.instrumentation.langchain import (
        LangChainInstrumentor,
    )

    instrumentor = LangChainInstrumentor()
    options = _hiding_options(TraceConfig)
    hidden = dict.fromkeys([o for o in options if not content or _hides(settings, o)], True)
    if instrumentor.is_instrumented_by_opentelemetry:
        if not hidden or (settings.capture_content is None and not settings.hides_any):
            return None
        # `opentelemetry-instrument` has turned it on, and knows nothing of our switches.
        instrumentor.uninstrument()
    instrumentor.instrument(tracer_provider=provider, config=TraceConfig(**hidden))
    undo: Callable[[], None] = instrumentor.uninstrument
    return undo


def first_token(
    wrapped: Callable[..., Any], instance: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Note on a model's span when the first token came; nobody else does."""
    result = wrapped(*args, **kwargs)
    if type(instance).__module__.startswith(_MODULE):
        safely(_note_first_token, instance, kwargs.get("run_id"))
    return result


def _note_first_token(tracer: Any, run_id: Any) -> None:
    span = tracer.get_span(run_id)
    if span is None or not span.is_recording():
        return
    if not any(event.name == names.FIRST_TOKEN for event in span.events):
        span.add_event(names.FIRST_TOKEN)


def _hides(settings: Settings, option: str) -> bool:
    if option in settings.openinference_hides:
        return True
    if option in {"hide_inputs", "hide_embeddings_text", "hide_llm_invocation_parameters"}:
        return not settings.content.inputs
    return option == "hide_outputs" and not settings.content.outputs


def _hiding_options(config: type) -> list[str]:
    return [field.name for field in fields(config) if field.name.startswith("hide_")]


def _is_installed() -> bool:
    try:
        return importlib.util.find_spec(_MODULE) is not None
    except ModuleNotFoundError:
        return False
