"""What OpenAI's API refuses: a request that passes here would be taken there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_ROLES = ("system", "developer", "user", "assistant", "tool")
_PARTS = ("text", "image_url", "input_audio", "file", "refusal")
_CHAT = {
    "model", "messages", "stream", "stream_options", "temperature", "top_p", "n", "stop", "seed",
    "max_tokens", "max_completion_tokens", "presence_penalty", "frequency_penalty", "logit_bias",
    "logprobs", "top_logprobs", "user", "tools", "tool_choice", "parallel_tool_calls",
    "response_format", "reasoning_effort", "service_tier", "store", "metadata", "modalities",
    "prediction", "prompt_cache_key", "safety_identifier", "verbosity",
}  # fmt: skip
_RESPONSES = {
    "model", "input", "instructions", "stream", "temperature", "top_p", "max_output_tokens",
    "tools", "tool_choice", "parallel_tool_calls", "text", "reasoning", "include", "store",
    "metadata", "previous_response_id", "truncation", "user", "service_tier", "stream_options",
    "prompt_cache_key", "safety_identifier", "max_tool_calls", "background", "conversation",
}  # fmt: skip
_EMBEDDINGS = {"model", "input", "encoding_format", "dimensions", "user"}


def violation_of_chat(body: Mapping[str, Any]) -> str:
    """Why `POST /v1/chat/completions` would be refused, or ""."""
    return next(_chat(body), "")


def violation_of_responses(body: Mapping[str, Any]) -> str:
    """Why `POST /v1/responses` would be refused, or ""."""
    return next(_responses(body), "")


def violation_of_embeddings(body: Mapping[str, Any]) -> str:
    """Why `POST /v1/embeddings` would be refused, or ""."""
    return next(_embeddings(body), "")


def _chat(body: Mapping[str, Any]) -> Iterator[str]:
    yield from _common(body, _CHAT)
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        yield "messages must be a list of at least one"
        return
    yield from _messages(messages)
    for tool in body.get("tools") or ():
        if tool.get("type") != "function" or not isinstance(tool.get("function"), dict):
            yield f"tool {tool!r} is no function"
            return
    yield from _tools([tool["function"] for tool in body.get("tools") or ()], body)
    if "stream_options" in body and not body.get("stream"):
        yield "stream_options is for streams only"
    if body.get("n", 1) != 1:
        yield "this server gives one choice"
    yield from _format(body.get("response_format") or {"type": "text"}, "json_schema")


def _responses(body: Mapping[str, Any]) -> Iterator[str]:
    yield from _common(body, _RESPONSES)
    asked = body.get("input")
    if not asked or not isinstance(asked, str | list):
        yield "input must be a text or a list"
        return
    for item in asked if isinstance(asked, list) else ():
        kind = item.get("type", "message")
        if kind == "message" and item.get("role") not in _ROLES[:-1]:
            yield f"role {item.get('role')!r}"
        if kind == "function_call_output" and not item.get("call_id"):
            yield "a function_call_output has no call_id"
    yield from _tools([t for t in body.get("tools") or () if t.get("type") == "function"], body)
    chosen = (body.get("text") or {}).get("format") or {"type": "text"}
    nested = {**chosen, "json_schema": chosen} if chosen.get("type") == "json_schema" else chosen
    yield from _format(nested, "json_schema")


def _embeddings(body: Mapping[str, Any]) -> Iterator[str]:
    yield from _common(body, _EMBEDDINGS)
    texts = body.get("input")
    if isinstance(texts, str):
        texts = [texts]
    if not isinstance(texts, list) or not texts or len(texts) > 2048:
        yield "input must be a text, or 1 to 2048 of them"
        return
    if not all(isinstance(text, str) and text for text in texts):
        # OpenAI takes lists of token numbers, too; whoever sends them has downloaded an encoding.
        yield "input must be texts that are not empty"
    if body.get("encoding_format", "float") not in ("float", "base64"):
        yield f"encoding_format {body['encoding_format']!r}"


def _common(body: Mapping[str, Any], known: set[str]) -> Iterator[str]:
    if strange := sorted(set(body) - known):
        yield f"unrecognized request arguments: {', '.join(strange)}"
    if not isinstance(body.get("model"), str) or not body["model"]:
        yield "you must provide a model parameter"
    temperature = body.get("temperature")
    if temperature is not None and not 0 <= temperature <= 2:
        yield f"temperature {temperature} is not between 0 and 2"


def _messages(messages: list[Any]) -> Iterator[str]:
    waiting: set[str] = set()
    for at, message in enumerate(messages):
        where = f"messages[{at}]"
        role, content = message.get("role"), message.get("content")
        calls = message.get("tool_calls") or []
        if role not in _ROLES:
            yield f"{where}: role {role!r}"
        if role == "tool":
            if message.get("tool_call_id") not in waiting:
                yield f"{where}: answers no tool call of the message before"
            waiting.discard(str(message.get("tool_call_id")))
        elif waiting:
            yield f"{where}: tool calls {sorted(waiting)} have not been answered"
            waiting = set()
        yield from _content(content, where, optional=role == "assistant" and bool(calls))
        for call in calls:
            if call.get("type") != "function" or not _NAME.fullmatch(call["function"]["name"]):
                yield f"{where}: tool call {call!r}"
            json.loads(call["function"]["arguments"])
        waiting |= {call["id"] for call in calls}
    if waiting:
        yield f"tool calls {sorted(waiting)} have not been answered"


def _content(content: Any, where: str, *, optional: bool) -> Iterator[str]:
    if content is None and not optional:
        yield f"{where}: content is null"
    elif isinstance(content, list):
        for part in content:
            if part.get("type") not in _PARTS or part["type"] not in part:
                yield f"{where}: part {part!r:.100}"
    elif content is not None and not isinstance(content, str):
        yield f"{where}: content is a {type(content).__name__}"


def _tools(functions: list[Mapping[str, Any]], body: Mapping[str, Any]) -> Iterator[str]:
    if "tools" in body and not body["tools"]:
        yield "tools is empty"
    names = [str(function.get("name")) for function in functions]
    for name in names:
        if not _NAME.fullmatch(name):
            yield f"function name {name!r}"
    if len(set(names)) < len(names):
        yield f"function names twice: {names}"
    for function in functions:
        parameters = function.get("parameters")
        if parameters is not None and parameters.get("type") != "object":
            yield f"the parameters of {function['name']} are no object"
    yield from _choice(body.get("tool_choice"), names)


def _choice(choice: Any, names: list[str]) -> Iterator[str]:
    if choice is not None and not names:
        yield "tool_choice without tools"
    if isinstance(choice, dict):
        wanted = choice.get("function", choice).get("name")
        if choice.get("type") == "function" and wanted not in names:
            yield f"tool_choice {wanted!r} is none of the tools"
    elif choice not in (None, "none", "auto", "required"):
        yield f"tool_choice {choice!r}"


def _format(wanted: Mapping[str, Any], nested: str) -> Iterator[str]:
    if wanted.get("type") not in ("text", "json_object", "json_schema"):
        yield f"response format {wanted.get('type')!r}"
    if wanted.get("type") == "json_schema":
        schema = wanted.get(nested) or {}
        if not _NAME.fullmatch(str(schema.get("name", ""))):
            yield f"json_schema has the name {schema.get('name')!r}"
        if not isinstance(schema.get("schema"), dict):
            yield "json_schema has no schema"
        elif schema.get("strict"):
            yield from _strict(schema["schema"])


def _strict(schema: Mapping[str, Any]) -> Iterator[str]:
    if schema.get("type") != "object":
        yield "a strict schema must be an object"
    if schema.get("additionalProperties") is not False:
        yield "a strict schema must say additionalProperties: false"
    if set(schema.get("required", ())) != set(schema.get("properties", {})):
        yield "a strict schema must require all of its properties"
