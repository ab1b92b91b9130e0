"""What Langfuse shows as the input and the output of an observation."""

from collections.abc import Mapping, Sequence
from typing import Any

from openinference.semconv.trace import (
    ChoiceAttributes,
    EmbeddingAttributes,
    PromptAttributes,
    RerankerAttributes,
    SpanAttributes,
    ToolCallAttributes,
)
from openinference.semconv.trace import OpenInferenceSpanKindValues as Kind

from langflow_otel.export.langfuse.values import as_json
from langflow_otel.export.messages import (
    Attributes,
    chat_messages,
    documents,
    io_value,
    numbered,
    parsed,
    tool_definitions,
)

_PROMPTS, _CHOICES = SpanAttributes.LLM_PROMPTS, SpanAttributes.LLM_CHOICES
_TEMPLATE = {
    "template": SpanAttributes.LLM_PROMPT_TEMPLATE,
    "variables": SpanAttributes.LLM_PROMPT_TEMPLATE_VARIABLES,
    "version": SpanAttributes.LLM_PROMPT_TEMPLATE_VERSION,
}
# Where it is as well; GenAI's names last.
_OTHERS: Mapping[str, tuple[str, ...]] = {
    "input": (
        ToolCallAttributes.TOOL_CALL_FUNCTION_ARGUMENTS_JSON,
        "gen_ai.input.messages",
        "gen_ai.tool.call.arguments",
        "gen_ai.prompt",
    ),
    "output": ("gen_ai.output.messages", "gen_ai.tool.call.result", "gen_ai.completion"),
}


def shown(kind: str, attributes: Attributes) -> tuple[str | None, str | None]:
    """Return input and output of a span of the OpenInference kind `kind`; None where there is none.

    A text stays as it is, all else is JSON. Model calls are in the shape of OpenAI's chat API, in
    which Langfuse finds roles and tool calls.
    """
    pair = _SHOWN[kind](attributes) if kind in _SHOWN else (None, None)
    given, answered = (None if value is None else as_json(value) for value in pair)
    return given or _value(attributes, "input"), answered or _value(attributes, "output")


def _value(attributes: Attributes, side: str) -> str | None:
    """Return `input.value` or `output.value`: JSON as the text that it is."""
    for name in (f"{side}.value", *_OTHERS[side]):
        value = attributes.get(name)
        if value is not None:
            return as_json(value)
    return None


def _model_call(attributes: Attributes) -> tuple[Any, Any]:
    messages: Any = chat_messages(attributes, SpanAttributes.LLM_INPUT_MESSAGES)
    tools = tool_definitions(attributes) if messages else []
    if tools:
        messages = {"messages": messages, "tools": tools}
    answers = chat_messages(attributes, SpanAttributes.LLM_OUTPUT_MESSAGES)
    if not messages and not answers:
        return _completion(attributes)
    return messages or None, _one_or_all(answers)


def _completion(attributes: Attributes) -> tuple[Any, Any]:
    """Return the texts that went into a model that is no chat model, and came out."""
    given = attributes.get(_PROMPTS)
    prompts: Sequence[Any] = given if isinstance(given, list | tuple) else ()
    texts = [*prompts, *_texts(attributes, _PROMPTS, PromptAttributes.PROMPT_TEXT)]
    answers = _texts(attributes, _CHOICES, ChoiceAttributes.COMPLETION_TEXT)
    return _one_or_all(texts), _one_or_all(answers or _generated(attributes))


def _generated(attributes: Attributes) -> list[Any]:
    """Return the texts of LangChain's `{"generations": [[{"text": ...}]]}`."""
    value = io_value(attributes, "output")
    generations = value.get("generations") if isinstance(value, dict) else None
    texts = [
        generation.get("text")
        for several in (generations if isinstance(generations, list) else [])
        for generation in (several if isinstance(several, list) else [])
        if isinstance(generation, dict)
    ]
    return texts if all(isinstance(text, str) for text in texts) else []


def _embedding(attributes: Attributes) -> tuple[Any, Any]:
    texts = _texts(
        attributes, SpanAttributes.EMBEDDING_EMBEDDINGS, EmbeddingAttributes.EMBEDDING_TEXT
    )
    return texts or None, None


def _retrieval(attributes: Attributes) -> tuple[Any, Any]:
    return None, documents(attributes) or None


def _reranking(attributes: Attributes) -> tuple[Any, Any]:
    query = attributes.get(RerankerAttributes.RERANKER_QUERY)
    given = documents(attributes, RerankerAttributes.RERANKER_INPUT_DOCUMENTS)
    told = {"query": query, "documents": given} if query is not None or given else None
    return told, documents(attributes, RerankerAttributes.RERANKER_OUTPUT_DOCUMENTS) or None


def _prompt(attributes: Attributes) -> tuple[Any, Any]:
    told = {
        key: parsed(attributes[name]) if key == "variables" else attributes[name]
        for key, name in _TEMPLATE.items()
        if name in attributes
    }
    return told if "template" in told else None, None


def _texts(attributes: Attributes, prefix: str, name: str) -> list[Any]:
    return [fields[name] for fields in numbered(attributes, prefix) if name in fields]


def _one_or_all(values: Sequence[Any]) -> Any:
    """Return the only one of `values`, all where there are several, None where there is none."""
    return (values[0] if len(values) == 1 else values) if values else None


_SHOWN = {
    Kind.LLM.value: _model_call,
    Kind.EMBEDDING.value: _embedding,
    Kind.RETRIEVER.value: _retrieval,
    Kind.RERANKER.value: _reranking,
    Kind.PROMPT.value: _prompt,
}
