"""What tells a model call, and what it says of itself, whoever traces it.

Several instrumentors may trace one call: those of LangChain side by side, those of a provider's
client below. `enrich` decides which span counts; here is what it goes by.
"""

from collections.abc import Mapping
from typing import Any

from opentelemetry.sdk.trace import ReadableSpan

from langflow_otel import names
from langflow_otel.guard import warn_once
from langflow_otel.plain import plain

#: The one that langflow-otel turns on, and prefers to all others.
OPENINFERENCE_LANGCHAIN = "openinference.instrumentation.langchain"
#: The scopes of those that trace LangChain itself, each span a run of LangChain's.
LANGCHAIN_SCOPES = frozenset(
    {OPENINFERENCE_LANGCHAIN, "opentelemetry.instrumentation.langchain", "langsmith"}
)
# LangSmith's and Langfuse's words for it.
_KINDS = (
    (names.SPAN_KIND, names.KIND_LLM),
    ("langsmith.span.kind", "llm"),
    ("langfuse.observation.type", "generation"),
)
_NOT_ASKED = frozenset({"embedding", "rerank"})


def is_model_call(attributes: Mapping[str, Any] | None) -> bool:
    """Tell whether a span with `attributes` is that of a call of a language model."""
    known = plain(attributes)
    for name, kind in _KINDS:
        if known.get(name) == kind:
            return True
    if known.get(names.GENAI_OPERATION) in names.GENAI_MODEL_OPERATIONS:
        return True
    return known.get(names.TRACELOOP_REQUEST_TYPE, "embedding") not in _NOT_ASKED


def say_kept(span: ReadableSpan, langchain: str | None) -> None:
    """Say once which of two instrumentors' spans are kept, and how to do without the other."""
    scope = span.instrumentation_scope
    warn_once(
        "langflow-otel: %s traces model calls that another instrumentor (%s) traces, too. Only "
        "the outermost model span of a call is sent to LLM backends and counted. Turn one of the "
        "two off to save its cost (OTEL_PYTHON_DISABLED_INSTRUMENTATIONS; "
        "OTEL_PYTHON_LANGFLOW_INSTRUMENT_LANGCHAIN is ours)",
        scope.name if scope is not None else "an instrumentor",
        langchain or "above it",
    )
