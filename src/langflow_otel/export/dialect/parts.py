"""Messages, tools and documents in the layout of the GenAI conventions: JSON text of parts."""

import json
from collections.abc import Iterable
from typing import Any

import orjson

from langflow_otel.export.messages import parsed

_TEXT = "text"


def json_text(value: Any) -> str:
    """Return `value` as JSON text; what JSON has no form for is told as text."""
    try:
        return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    except orjson.JSONEncodeError:
        # Half a surrogate pair, which is no UTF-8, can be escaped at least.
        return json.dumps(value, default=str)


def messages(chat: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return messages of OpenAI's chat shape as messages of parts."""
    return [_message(message) for message in chat]


def said(role: str, text: str) -> dict[str, Any]:
    """Return the message in which `role` says `text`."""
    return {"role": role, "parts": [_text(text)]}


def instructions(value: Any) -> list[dict[str, Any]]:
    """Return what a model was told beside the chat: a text, or a provider's list of text blocks."""
    blocks = value if isinstance(value, list) else [value]
    texts = (block.get(_TEXT) if isinstance(block, dict) else block for block in blocks)
    return [_text(text) for text in texts if isinstance(text, str) and text]


def tool_definition(schema: dict[str, Any]) -> dict[str, Any] | None:
    """Return a tool as the model was told of it; None for what has no name.

    Understood are OpenAI's shapes (a function in a tool, or flat), Anthropic's, and Bedrock's.
    """
    inner = next(
        (schema[key] for key in ("function", "toolSpec") if isinstance(schema.get(key), dict)),
        schema,
    )
    name = inner.get("name")
    if not isinstance(name, str) or not name:
        return None
    kind = schema.get("type")
    definition: dict[str, Any] = {
        "type": kind if isinstance(kind, str) and kind not in {"custom", "object"} else "function",
        "name": name,
    }
    if inner.get("description"):
        definition["description"] = inner["description"]
    for key in ("parameters", "input_schema", "inputSchema"):
        if isinstance(inner.get(key), dict):
            definition["parameters"] = inner[key].get("json", inner[key])
            break
    return definition


def document(found: dict[str, Any]) -> dict[str, Any]:
    """Return a document: `id` and `score`, and what the conventions leave open."""
    return {key: value for key, value in found.items() if value not in (None, {})}


def _message(message: dict[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {"role": message["role"], "parts": _parts(message)}
    if message.get("name"):
        made["name"] = message["name"]
    return made


def _parts(message: dict[str, Any]) -> list[dict[str, Any]]:
    content = message.get("content")
    call_id = message.get("tool_call_id")
    if call_id is not None or message["role"] == "tool":
        answer = {"type": "tool_call_response", "response": _structured(content)}
        return [answer if call_id is None else {**answer, "id": call_id}]
    parts = [_text(content)] if isinstance(content, str) and content else []
    if isinstance(content, list):
        parts = [_part(part) for part in content]
    calls = [call["function"] | {"id": call["id"]} for call in message.get("tool_calls", ())]
    if message.get("function_call"):
        calls.append(message["function_call"])
    return [*parts, *map(_call, calls)]


def _call(call: dict[str, Any]) -> dict[str, Any]:
    made = {"type": "tool_call", "name": call["name"], "arguments": _structured(call["arguments"])}
    return {**made, "id": call["id"]} if call.get("id") else made


def _structured(value: Any) -> Any:
    """Return the object or list that a JSON text says; a text that says neither as it is."""
    read = parsed(value)
    return read if isinstance(read, dict | list) else value


def _part(part: dict[str, Any]) -> dict[str, Any]:
    kind = part.get("type")
    if kind == _TEXT:
        return _text(str(part.get(_TEXT, "")))
    if kind == "image_url":
        return _image(str(part["image_url"]["url"]))
    if kind == "reasoning" and isinstance(part.get(_TEXT), str):
        return {"type": "reasoning", "content": part[_TEXT]}
    return part


def _image(url: str) -> dict[str, Any]:
    if not url.startswith("data:"):
        return {"type": "uri", "modality": "image", "uri": url}
    head, _, data = url.removeprefix("data:").partition(",")
    return {
        "type": "blob",
        "modality": "image",
        "mime_type": head.partition(";")[0],
        "content": data,
    }


def _text(text: str) -> dict[str, Any]:
    return {"type": _TEXT, "content": text}
