"""A model span of another instrumentor in OpenInference's attributes, as LLM backends are told.

It reads OpenTelemetry's GenAI conventions (`gen_ai.input.messages`, of v1.36 and later), what
traceloop's instrumentors said before (`gen_ai.prompt.0.content`, `llm.usage.*`), and the JSON
texts of LangSmith's client (`gen_ai.prompt`). What the span says in OpenInference's words itself
is not overruled.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import orjson
from openinference.semconv.trace import SpanAttributes

from langflow_otel import names as ours
from langflow_otel.export import messages as read
from langflow_otel.export.dialect import names

Attributes = Mapping[str, Any]

_INPUT, _OUTPUT = SpanAttributes.LLM_INPUT_MESSAGES, SpanAttributes.LLM_OUTPUT_MESSAGES
_CALL = "tool_call"
_REQUEST = "gen_ai.request."
# Under `gen_ai.request.`, but no parameter of the model's.
_NOT_PARAMETERS = frozenset({"model", "stream", "is_stream"})


def openinference_attributes(attributes: Attributes) -> dict[str, Any]:
    """Return `attributes`, those of a model span of another instrumentor, and what they mean."""
    model = attributes.get(names.RESPONSE_MODEL) or attributes.get(names.REQUEST_MODEL)
    asked = _messages(attributes, names.INPUT_MESSAGES, "gen_ai.prompt")
    answered = _messages(attributes, names.OUTPUT_MESSAGES, "gen_ai.completion")
    reasons = attributes.get(names.RESPONSE_FINISH_REASONS)
    told: dict[str, Any] = {
        ours.SPAN_KIND: ours.KIND_LLM,
        ours.MODEL_NAME: model,
        ours.MODEL_PROVIDER: attributes.get(names.PROVIDER) or attributes.get("gen_ai.system"),
        SpanAttributes.LLM_INVOCATION_PARAMETERS: _parameters(attributes),
        "llm.finish_reason": reasons[0] if isinstance(reasons, list | tuple) and reasons else None,
        **_tokens(attributes),
        **_flattened(_INPUT, asked),
        **_flattened(_OUTPUT, answered),
        **_value("input", attributes.get("gen_ai.prompt") or _json(asked)),
        **_value("output", attributes.get("gen_ai.completion") or _text(answered)),
    }
    return {**{name: value for name, value in told.items() if value}, **attributes}


def _messages(attributes: Attributes, name: str, before: str) -> list[dict[str, Any]]:
    """Return the messages under `name`, or numbered under what it was called `before`.

    Each as `role`, `content`, `id` (of the call that it answers), and `calls`.
    """
    told = read.parsed(attributes.get(name))
    if isinstance(told, list):
        return [_message(message) for message in told if isinstance(message, dict)]
    return [
        {
            "role": fields.get("role"),
            "content": fields.get("content"),
            "id": fields.get("tool_call_id"),
            "calls": read.numbered(fields, "tool_calls"),
        }
        for fields in read.numbered(attributes, before)
    ]


def _message(message: Mapping[str, Any]) -> dict[str, Any]:
    parts = [part for part in message.get("parts") or () if isinstance(part, dict)]
    answers = [part for part in parts if part.get("type") == f"{_CALL}_response"]
    texts = [part.get("content") for part in parts if part.get("type") == "text"]
    texts += [part.get("response", part.get("result")) for part in answers]
    return {
        "role": message.get("role"),
        "content": "\n".join(_as_text(text) for text in texts if text),
        "id": answers[0].get("id") if answers else None,
        "calls": [part for part in parts if part.get("type") == _CALL],
    }


def _flattened(prefix: str, messages: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for number, message in enumerate(messages):
        start = f"{prefix}.{number}.message"
        told[f"{start}.role"] = message["role"]
        told[f"{start}.content"] = message["content"]
        told[f"{start}.tool_call_id"] = message["id"]
        for place, call in enumerate(message["calls"]):
            called = f"{start}.tool_calls.{place}.{_CALL}"
            told[f"{called}.id"] = call.get("id")
            told[f"{called}.function.name"] = call.get("name")
            told[f"{called}.function.arguments"] = _as_text(call.get("arguments"))
    return told


def _tokens(attributes: Attributes) -> dict[str, Any]:
    usage = read.usage(attributes)
    if usage is None:
        return {}
    return {
        ours.INPUT_TOKENS: usage.input,
        ours.OUTPUT_TOKENS: usage.output,
        ours.TOTAL_TOKENS: usage.total,
        SpanAttributes.LLM_TOKEN_COUNT_PROMPT_DETAILS_CACHE_READ: usage.cache_read,
        SpanAttributes.LLM_TOKEN_COUNT_PROMPT_DETAILS_CACHE_WRITE: usage.cache_write,
        SpanAttributes.LLM_TOKEN_COUNT_COMPLETION_DETAILS_REASONING: usage.reasoning,
    }


def _parameters(attributes: Attributes) -> str | None:
    known = {
        name.removeprefix(_REQUEST): value
        for name, value in attributes.items()
        if name.startswith(_REQUEST) and name.removeprefix(_REQUEST) not in _NOT_PARAMETERS
    }
    return _as_text(known) if known else None


def _value(side: str, text: Any) -> dict[str, Any]:
    if not text:
        return {}
    mime = "application/json" if isinstance(read.parsed(text), dict | list) else "text/plain"
    return {f"{side}.value": text, f"{side}.mime_type": mime}


def _json(messages: list[dict[str, Any]]) -> str | None:
    spoken = [{"role": message["role"], "content": message["content"]} for message in messages]
    return _as_text({"messages": spoken}) if spoken else None


def _text(messages: list[dict[str, Any]]) -> str:
    return "\n".join(_as_text(message["content"]) for message in messages if message["content"])


def _as_text(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS, default=str).decode()
