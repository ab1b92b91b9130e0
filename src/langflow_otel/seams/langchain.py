"""Model spans come from OpenInference's LangChain instrumentor: turn it on where it is off."""

import importlib.util
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

from opentelemetry.trace import TracerProvider

from langflow_otel.enrich import langchain_is_traced
from langflow_otel.guard import logger
from langflow_otel.model_calls import OPENINFERENCE_LANGCHAIN
from langflow_otel.settings import Settings, disabled_instrumentations


def turn_on_langchain(
    provider: TracerProvider, settings: Settings, *, content: bool
) -> Callable[[], None] | None:
    """Instrument LangChain on `provider`; return what undoes it, None where nothing was done.

    Without `content` it hides all it can; with it, what the settings say.
    """
    if not (_is_wanted(settings) and _is_there(settings)):
        return None
    from openinference.instrumentation import TraceConfig
    from openinference.instrumentation.langchain import (
        LangChainInstrumentor,
    )

    instrumentor = LangChainInstrumentor()
    options = _hiding_options(TraceConfig)
    hidden = dict.fromkeys([o for o in options if not content or _hides(settings, o)], True)
    if not instrumentor.is_instrumented_by_opentelemetry:
        instrumentor.instrument(tracer_provider=provider, config=TraceConfig(**hidden))
        langchain_is_traced(provider)
        undo: Callable[[], None] = instrumentor.uninstrument
        return undo
    tracer = getattr(getattr(instrumentor, "_tracer", None), "_tracer", None)
    if not _sends_to(provider, tracer):
        logger.warning(
            "langflow-otel: %s is turned on already, for another tracer provider: the spans of "
            "models go there, and are not in the traces of flows (turn it off, or give "
            "instrument(tracer_provider=...) the same provider)",
            OPENINFERENCE_LANGCHAIN,
        )
        return None
    langchain_is_traced(provider)
    if not hidden or (settings.capture_content is None and not settings.hides_any):
        return None
    # `opentelemetry-instrument`, or a program, has turned it on and knows nothing of our switches.
    theirs = getattr(tracer, "_self_config", None)
    return _hide(instrumentor, provider, theirs or TraceConfig(), hidden)


def _is_wanted(settings: Settings) -> bool:
    if settings.instrument_langchain is not None:
        return settings.instrument_langchain
    return not {"langchain", "*"} & disabled_instrumentations()


def _is_there(settings: Settings) -> bool:
    """Tell whether the instrumentor is installed, and say what is missing where it is not."""
    if _is_installed():
        return True
    level = logger.warning if settings.instrument_langchain else logger.info
    level(
        "langflow-otel: no model spans, because OpenInference's LangChain instrumentor is not "
        "installed: pip install 'langflow-otel[langchain]'"
    )
    return False


def _sends_to(provider: TracerProvider, tracer: Any) -> bool:
    """Tell whether `tracer` is one of `provider`, as far as the two tell; else it is."""
    ours = getattr(provider.get_tracer(OPENINFERENCE_LANGCHAIN), "span_processor", None)
    theirs = getattr(tracer, "span_processor", None)
    return ours is None or theirs is None or ours is theirs


def _hide(
    instrumentor: Any, provider: TracerProvider, theirs: Any, hidden: dict[str, bool]
) -> Callable[[], None]:
    """Let `instrumentor` hide more than it does by the config `theirs`; return what undoes it."""

    def turn_on(config: Any) -> None:
        instrumentor.uninstrument()
        instrumentor.instrument(tracer_provider=provider, config=config)

    def undo() -> None:
        if instrumentor.is_instrumented_by_opentelemetry:
            turn_on(theirs)

    turn_on(replace(theirs, **hidden))
    return undo


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
        return importlib.util.find_spec(OPENINFERENCE_LANGCHAIN) is not None
    except ModuleNotFoundError:
        return False
