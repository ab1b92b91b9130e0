"""Readers of OpenInference's flattened attributes, for destinations that want them whole.

Every function is pure, takes time linear in the number of attributes, and raises nothing: what is
not as the convention says is left out. Layout: OpenInference's semantic conventions 0.1.42, as its
LangChain instrumentor 0.1.80 writes it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import reduce
from types import MappingProxyType
from typing import Any, Literal

import orjson
from openinference.semconv.trace import (
    DocumentAttributes,
    ImageAttributes,
    MessageAttributes,
    MessageContentAttributes,
    OpenInferenceMimeTypeValues,
    SpanAttributes,
    ToolAttributes,
    ToolCallAttributes,
)
from opentelemetry.sdk.trace import ReadableSpan

Attributes = Mapping[str, Any]

# The LangChain instrumentor tells of no first token; others of OpenInference's do by the first.
FIRST_TOKEN_EVENTS = frozenset(
    {"First Token Stream Event", "gen_ai.content.first_token", "langflow.first_token"}
)
_COST = "llm.cost."
_COUNTING = ("llm.token_count.", "gen_ai.usage.")
# Of a message that has neither parts nor tool calls.
_PLAIN = frozenset({"message.role", "message.content", "message.name", "message.tool_call_id"})
_IMAGE_URL = f"{MessageContentAttributes.MESSAGE_CONTENT_IMAGE}.{ImageAttributes.IMAGE_URL}"
# A number of more digits is nobody's index.
_MAX_DIGITS = 9
# orjson reads 1024 levels and writes 254; a caller may put some around what was read.
_MAX_DEPTH, _ROOM = 200, 32


@dataclass(frozen=True)
class Usage:
    """The tokens of a model call.

    Attributes:
        input: Tokens of the prompt, those below that are of the prompt among them.
        output: Tokens of the answer, those below that are of the answer among them.
        total: As told, else the sum of both where both are known.
        cache_read: Tokens of the prompt that came from a cache.
        cache_write: Tokens of the prompt that went into a cache.
        input_audio: Tokens of sound in the prompt.
        reasoning: Tokens of the answer that the model spent on thinking.
        output_audio: Tokens of sound in the answer.
        costs: What was told of the costs, in US dollars, by the name behind `llm.cost.`.
    """

    input: int | None = None
    output: int | None = None
    total: int | None = None
    cache_read: int = 0
    cache_write: int = 0
    input_audio: int = 0
    reasoning: int = 0
    output_audio: int = 0
    costs: Mapping[str, float] = field(default_factory=lambda: MappingProxyType({}))


_INPUT, _OUTPUT, _TOTAL = "input", "output", "total"
# Where each is told: OpenInference's name first, then GenAI's, then those of older releases.
_COUNTS: Mapping[str, tuple[str, ...]] = {
    _INPUT: (
        SpanAttributes.LLM_TOKEN_COUNT_PROMPT,
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.prompt_tokens",
    ),
    _OUTPUT: (
        SpanAttributes.LLM_TOKEN_COUNT_COMPLETION,
        "gen_ai.usage.output_tokens",
        "gen_ai.usage.completion_tokens",
    ),
    _TOTAL: (SpanAttributes.LLM_TOKEN_COUNT_TOTAL, "gen_ai.usage.total_tokens"),
    "cache_read": (
        "llm.token_count.prompt_details.cache_read",
        "llm.token_count.prompt_details.cache_input",
        "gen_ai.usage.cache_read.input_tokens",
        "gen_ai.usage.cache_read_input_tokens",
    ),
    "cache_write": (
        "llm.token_count.prompt_details.cache_write",
        "gen_ai.usage.cache_creation.input_tokens",
        "gen_ai.usage.cache_creation_input_tokens",
    ),
    "input_audio": ("llm.token_count.prompt_details.audio",),
    "reasoning": (
        "llm.token_count.completion_details.reasoning",
        "gen_ai.usage.reasoning.output_tokens",
        "gen_ai.usage.reasoning_tokens",
    ),
    "output_audio": ("llm.token_count.completion_details.audio",),
}


def chat_messages(attributes: Attributes, prefix: str) -> list[dict[str, Any]]:
    """Return the messages behind `prefix`, in the shape of OpenAI's chat API.

    Args:
        attributes: Those of one span.
        prefix: `llm.input_messages` or `llm.output_messages`.
    """
    answered = prefix == SpanAttributes.LLM_OUTPUT_MESSAGES
    return [_message(fields, answered=answered) for fields in numbered(attributes, prefix)]


def tool_definitions(attributes: Attributes) -> list[dict[str, Any]]:
    """Return the JSON schemas of the tools that the model was offered (`llm.tools`)."""
    schemas = (
        parsed(fields.get(ToolAttributes.TOOL_JSON_SCHEMA))
        for fields in numbered(attributes, SpanAttributes.LLM_TOOLS)
    )
    return [schema for schema in schemas if isinstance(schema, dict)]


def documents(
    attributes: Attributes, prefix: str = SpanAttributes.RETRIEVAL_DOCUMENTS
) -> list[dict[str, Any]]:
    """Return the documents behind `prefix`: `id`, `content`, `score` where told, and `metadata`."""
    return [_document(fields) for fields in numbered(attributes, prefix)]


def invocation_parameters(attributes: Attributes) -> dict[str, Any]:
    """Return the parameters of the model call (`llm.invocation_parameters`), {} if none is told."""
    parameters = parsed(attributes.get(SpanAttributes.LLM_INVOCATION_PARAMETERS))
    return parameters if isinstance(parameters, dict) else {}


def usage(attributes: Attributes) -> Usage | None:
    """Return the tokens told by `llm.token_count.*`, else by `gen_ai.usage.*`; None if none are."""
    if not any(name.startswith(_COUNTING) for name in attributes):
        return None
    counts = {name: _count(attributes, told) for name, told in _COUNTS.items()}
    if all(count is None for count in counts.values()):
        return None
    tokens_in, tokens_out, total = (counts.pop(name) for name in (_INPUT, _OUTPUT, _TOTAL))
    if total is None and tokens_in is not None and tokens_out is not None:
        total = tokens_in + tokens_out
    details = {name: count or 0 for name, count in counts.items()}
    return Usage(tokens_in, tokens_out, total, **details, costs=costs(attributes))


def costs(attributes: Attributes) -> dict[str, float]:
    """Return the costs, in US dollars, by the name behind `llm.cost.`; else GenAI's total."""
    told = {
        name.removeprefix(_COST): number(value)
        for name, value in attributes.items()
        if name.startswith(_COST)
    }
    told.setdefault("total", number(attributes.get("gen_ai.usage.cost")))
    return {name: cost for name, cost in told.items() if cost is not None and cost >= 0}


def parsed(value: Any) -> Any:
    """Return what the JSON text `value` says; what is no JSON text stays as it is.

    So does what nests too deeply for orjson to write it again.
    """
    if not isinstance(value, str):
        return value
    try:
        read = orjson.loads(value)
        if value.count("[") + value.count("{") > _MAX_DEPTH:
            orjson.dumps(reduce(lambda inner, _: [inner], range(_ROOM), read))
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return value
    return read


def io_value(attributes: Attributes, side: Literal["input", "output"]) -> Any:
    """Return `input.value` or `output.value`, parsed where it says it is JSON; None if absent."""
    value = attributes.get(f"{side}.value")
    if attributes.get(f"{side}.mime_type") == OpenInferenceMimeTypeValues.JSON.value:
        return parsed(value)
    return value


def first_token_ns(span: ReadableSpan) -> int | None:
    """Return when the first token of a streamed answer came, in nanoseconds since 1970."""
    times = [event.timestamp for event in span.events if event.name in FIRST_TOKEN_EVENTS]
    return min(times, default=None)


def numbered(attributes: Attributes, prefix: str) -> list[dict[str, Any]]:
    """Return the fields of each item of the list behind `prefix`, in the order of their numbers.

    `{"llm.tools.3.tool.name": "add"}` behind `llm.tools` is `[{"tool.name": "add"}]`: a number that
    is missing leaves no gap.
    """
    start = f"{prefix}."
    items: dict[int, dict[str, Any]] = {}
    for name, value in attributes.items():
        if not name.startswith(start):
            continue
        index, _, rest = name[len(start) :].partition(".")
        if rest and len(index) <= _MAX_DIGITS and index.isascii() and index.isdecimal():
            items.setdefault(int(index), {})[rest] = value
    return [items[index] for index in sorted(items)]


def number(value: Any) -> float | None:
    """Return `value` as a finite number, None where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        converted = float(value)
    except (ValueError, OverflowError):
        return None
    return converted if math.isfinite(converted) else None


def _count(attributes: Attributes, told: tuple[str, ...]) -> int | None:
    for name in told:
        count = number(attributes[name]) if name in attributes else None
        if count is not None and count >= 0 and count.is_integer():
            return int(count)
    return None


def _message(fields: Attributes, *, answered: bool) -> dict[str, Any]:
    calls = [] if fields.keys() <= _PLAIN else _tool_calls(fields)
    call_id = fields.get(MessageAttributes.MESSAGE_TOOL_CALL_ID)
    role = fields.get(MessageAttributes.MESSAGE_ROLE)
    if not role:
        role = "assistant" if answered or calls else "tool" if call_id else "user"
    message = {"role": str(role), "content": _content(fields)}
    for key, value in (
        ("name", fields.get(MessageAttributes.MESSAGE_NAME)),
        ("tool_call_id", call_id),
    ):
        if value is not None:
            message[key] = str(value)
    if calls:
        message["tool_calls"] = calls
    elif name := fields.get(MessageAttributes.MESSAGE_FUNCTION_CALL_NAME):
        arguments = fields.get(MessageAttributes.MESSAGE_FUNCTION_CALL_ARGUMENTS_JSON)
        message["function_call"] = {"name": str(name), "arguments": str(arguments or "{}")}
    return message


def _content(fields: Attributes) -> Any:
    text = fields.get(MessageAttributes.MESSAGE_CONTENT)
    if text is not None:
        return str(text)
    return [_part(part) for part in numbered(fields, MessageAttributes.MESSAGE_CONTENTS)] or None


def _part(fields: Attributes) -> dict[str, Any]:
    """Return one part of a message: OpenAI's where it has one like that, else the fields named."""
    text = fields.get(MessageContentAttributes.MESSAGE_CONTENT_TEXT)
    kind = str(fields.get(MessageContentAttributes.MESSAGE_CONTENT_TYPE) or "text")
    if kind == "text":
        return {"type": "text", "text": str(text or "")}
    url = fields.get(_IMAGE_URL)
    if kind == "image" and url is not None:
        return {"type": "image_url", "image_url": {"url": str(url)}}
    told = {name.removeprefix("message_content."): value for name, value in fields.items()}
    return {**told, "type": kind}


def _tool_calls(fields: Attributes) -> list[dict[str, Any]]:
    calls = []
    for call in numbered(fields, MessageAttributes.MESSAGE_TOOL_CALLS):
        arguments = call.get(ToolCallAttributes.TOOL_CALL_FUNCTION_ARGUMENTS_JSON)
        function = {
            "name": str(call.get(ToolCallAttributes.TOOL_CALL_FUNCTION_NAME, "")),
            # Of a call without arguments the instrumentor says nothing.
            "arguments": str(arguments or "{}"),
        }
        call_id = str(call.get(ToolCallAttributes.TOOL_CALL_ID, ""))
        calls.append({"id": call_id, "type": "function", "function": function})
    return calls


def _document(fields: Attributes) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for key, name in (
        ("id", DocumentAttributes.DOCUMENT_ID),
        ("content", DocumentAttributes.DOCUMENT_CONTENT),
    ):
        if fields.get(name) is not None:
            document[key] = str(fields[name])
    score = number(fields.get(DocumentAttributes.DOCUMENT_SCORE))
    if score is not None:
        document["score"] = score
    metadata = parsed(fields.get(DocumentAttributes.DOCUMENT_METADATA) or "{}")
    document["metadata"] = metadata if isinstance(metadata, dict) else {"metadata": metadata}
    return document
