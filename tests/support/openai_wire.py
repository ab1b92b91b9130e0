"""OpenAI's two APIs on the wire: requests as an `Ask`, answers as JSON or server-sent events."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import math
import struct
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.support.openai_answers import Answer, Ask, Json, Message, Tool, ToolCall, Usage

_CREATED = 1_700_000_000
_DIMENSIONS = 64

MODELS = {
    "gpt-4o-mini": "gpt-4o-mini-2024-07-18",
    "gpt-4o": "gpt-4o-2024-08-06",
    "o4-mini": "o4-mini-2025-04-16",
    "text-embedding-3-small": "text-embedding-3-small",
}


@dataclass(eq=False)
class Call:
    """A request that was answered, and what it was told."""

    kind: str
    """`chat`, `responses` or `embeddings`."""
    model: str
    """As the answer names it: as asked, and for `gpt-4o-mini` with its date, as OpenAI does."""
    headers: Mapping[str, str]
    """Names in lower case."""
    body: Json
    """The request's."""
    texts: tuple[str, ...]
    """The messages that were sent, as text; the texts to embed."""
    answer: Answer
    usage: Usage
    usage_told: bool
    """A stream tells it at its end, and only where it was asked to."""
    streamed: bool
    started_ns: int
    """When the request had been read, since the epoch."""
    ended_ns: int = 0
    """When the answer had been sent; 0 as long as it has not, and where it was cut off."""
    sent: int = 0
    """Events of a stream that were sent."""

    @property
    def seconds(self) -> float:
        """How long the answer took."""
        return (self.ended_ns - self.started_ns) / 1e9


# -- requests


def ask_of_chat(body: Json) -> Ask:
    wanted = body.get("response_format") or {}
    choice = body.get("tool_choice") or "auto"
    stream = bool(body.get("stream"))
    return Ask(
        body["model"],
        tuple(_message(message) for message in body["messages"]),
        tuple(_tool(tool["function"]) for tool in body.get("tools") or ()),
        choice if isinstance(choice, str) else choice["function"]["name"],
        (wanted.get("json_schema") or {}).get("schema"),
        wanted.get("type") == "json_object",
        stream,
        bool(not stream or (body.get("stream_options") or {}).get("include_usage")),
    )


def ask_of_responses(body: Json) -> Ask:
    asked = body["input"]
    items = [{"role": "user", "content": asked}] if isinstance(asked, str) else asked
    messages = [Message("system", body["instructions"])] if body.get("instructions") else []
    for item in items:
        if item.get("type") == "function_call":
            arguments = json.loads(item["arguments"])
            made = (ToolCall(item["name"], arguments, item["call_id"]),)
            messages.append(Message("assistant", "", made))
        elif item.get("type") == "function_call_output":
            messages.append(Message("tool", _text(item["output"])))
        elif item.get("type", "message") == "message":
            messages.append(Message(item["role"], _text(item["content"])))
    wanted = (body.get("text") or {}).get("format") or {}
    choice = body.get("tool_choice") or "auto"
    return Ask(
        body["model"],
        tuple(messages),
        tuple(_tool(t) for t in body.get("tools") or () if t["type"] == "function"),
        choice if isinstance(choice, str) else choice["name"],
        wanted.get("schema"),
        wanted.get("type") == "json_object",
        bool(body.get("stream")),
    )


def _message(message: Json) -> Message:
    calls = tuple(
        ToolCall(c["function"]["name"], json.loads(c["function"]["arguments"]), c["id"])
        for c in message.get("tool_calls") or ()
    )
    return Message(message["role"], _text(message.get("content")), calls)


def _tool(function: Json) -> Tool:
    return Tool(function["name"], function.get("parameters") or {})


def _text(content: Any) -> str:
    if isinstance(content, list):
        return " ".join(part.get("text") or "" for part in content)
    return content or ""


# -- answers


def chat_completion(call: Call, number: int) -> Json:
    """The body of an answer of `/v1/chat/completions`."""
    message = {"role": "assistant", "content": call.answer.text or None, "refusal": None}
    if call.answer.tool_calls:
        message["tool_calls"] = [_function(made) for _, made in _numbered(call.answer, number)]
    choice = {
        "index": 0,
        "message": message,
        "logprobs": None,
        "finish_reason": _finish(call.answer),
    }
    fields = {"choices": [choice], "usage": _chat_usage(call.usage)}
    return {**_head("chat.completion", call, number), **fields}


def embeddings(call: Call) -> Json:
    """The body of an answer of `/v1/embeddings`."""
    encode = _base64 if call.body.get("encoding_format") == "base64" else list
    vectors = [_vector(text, call.body.get("dimensions") or _DIMENSIONS) for text in call.texts]
    data = [
        {"object": "embedding", "index": at, "embedding": encode(vector)}
        for at, vector in enumerate(vectors)
    ]
    told = {"prompt_tokens": call.usage.prompt, "total_tokens": call.usage.prompt}
    return {"object": "list", "model": call.model, "data": data, "usage": told}


def model_list() -> Json:
    """The body of an answer of `/v1/models`."""
    models = [{"id": name, "object": "model", "created": _CREATED} for name in MODELS]
    return {"object": "list", "data": models}


def _head(kind: str, call: Call, number: int) -> Json:
    return {
        "id": f"chatcmpl-{number}",
        "object": kind,
        "created": _CREATED,
        "model": call.model,
        "service_tier": "default",
        "system_fingerprint": "fp_0",
    }


def chat_events(call: Call, ask: Ask, number: int) -> Generator[bytes, None, None]:
    def event(delta: Json | None, finish: str | None = None, usage: Usage | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        chunk = _head("chat.completion.chunk", call, number)
        chunk["choices"] = [] if delta is None else [choice]
        if ask.include_usage:
            chunk["usage"] = _chat_usage(usage) if usage else None
        return _sse(chunk)

    answer = call.answer
    yield event({"role": "assistant", "content": None if answer.tool_calls else ""})
    for piece in _paced(answer):
        yield event({"content": piece})
    for at, made in _numbered(answer, number):
        begun = _function(made)
        arguments, begun["function"]["arguments"] = begun["function"]["arguments"], ""
        yield event({"tool_calls": [{"index": at, **begun}]})
        for piece in (arguments[:5], arguments[5:]):
            yield event({"tool_calls": [{"index": at, "function": {"arguments": piece}}]})
    yield event({}, _finish(answer))
    if ask.include_usage:
        yield event(None, usage=call.usage)
    yield b"data: [DONE]\n\n"


def response(call: Call, number: int) -> Json:
    text = {"type": "output_text", "text": call.answer.text, "annotations": [], "logprobs": []}
    said = {
        "id": f"msg_{number}",
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [text],
    }
    made = [
        {
            "id": f"fc_{c.id}",
            "type": "function_call",
            "call_id": c.id,
            "name": c.name,
            "arguments": json.dumps(c.arguments),
            "status": "completed",
        }
        for _, c in _numbered(call.answer, number)
    ]
    usage = call.usage
    return {
        "id": f"resp_{number}",
        "object": "response",
        "created_at": _CREATED,
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "instructions": call.body.get("instructions"),
        "metadata": {},
        "model": call.model,
        "output": made or [said],
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "text": call.body.get("text") or {"format": {"type": "text"}},
        "usage": {
            "input_tokens": usage.prompt,
            "input_tokens_details": {"cached_tokens": usage.cached},
            "output_tokens": usage.completion,
            "output_tokens_details": {"reasoning_tokens": usage.reasoning},
            "total_tokens": usage.total,
        },
    }


def response_events(response: Json, answer: Answer) -> Generator[bytes, None, None]:
    numbers = itertools.count()

    def event(kind: str, **fields: Any) -> bytes:
        return _sse({"type": kind, "sequence_number": next(numbers), **fields}, kind)

    yield event(
        "response.created", response={**response, "status": "in_progress", "output": [],
                                      "usage": None},
    )  # fmt: skip
    for at, item in enumerate(response["output"]):
        where = {"output_index": at, "item_id": item["id"]}
        if item["type"] == "function_call":
            begun = {**item, "arguments": "", "status": "in_progress"}
            yield event("response.output_item.added", output_index=at, item=begun)
            part = {"delta": item["arguments"], **where}
            yield event("response.function_call_arguments.delta", **part)
            done = {"arguments": item["arguments"], "name": item["name"], **where}
            yield event("response.function_call_arguments.done", **done)
        else:
            begun = {**item, "content": [], "status": "in_progress"}
            yield event("response.output_item.added", output_index=at, item=begun)
            where["content_index"] = 0
            text = item["content"][0]
            yield event("response.content_part.added", part={**text, "text": ""}, **where)
            for piece in _paced(answer):
                yield event("response.output_text.delta", delta=piece, logprobs=[], **where)
            yield event("response.output_text.done", text=text["text"], logprobs=[], **where)
            yield event("response.content_part.done", part=text, **where)
        yield event("response.output_item.done", output_index=at, item=item)
    yield event("response.completed", response=response)


def _numbered(answer: Answer, number: int) -> list[tuple[int, ToolCall]]:
    return [
        (at, ToolCall(c.name, c.arguments, c.id or f"call_{number}_{at}"))
        for at, c in enumerate(answer.tool_calls)
    ]


def _function(call: ToolCall) -> Json:
    function = {"name": call.name, "arguments": json.dumps(call.arguments)}
    return {"id": call.id, "type": "function", "function": function}


def _finish(answer: Answer) -> str:
    return "tool_calls" if answer.tool_calls else "stop"


def _chat_usage(usage: Usage) -> Json:
    return {
        "prompt_tokens": usage.prompt,
        "completion_tokens": usage.completion,
        "total_tokens": usage.total,
        "prompt_tokens_details": {"cached_tokens": usage.cached, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _vector(text: str, dimensions: int) -> list[float]:
    """Texts that share words are near each other."""
    vector = [0.0] * dimensions
    for word in text.lower().split():
        digest = hashlib.sha256(word.strip(".,:;!?\"'()").encode()).digest()
        vector[int.from_bytes(digest[:4], "big") % dimensions] += 1.0
    length = math.sqrt(sum(x * x for x in vector)) or 1.0
    return [x / length for x in vector]


def _base64(vector: list[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def pieces(text: str) -> list[str]:
    """What a text is streamed in: its words."""
    words = text.split(" ")
    return [f"{word} " for word in words[:-1]] + words[-1:] if text else []


def _paced(answer: Answer) -> Generator[str, None, None]:
    for piece in pieces(answer.text):
        answer.pace()
        yield piece


def _sse(body: Json, event: str = "") -> bytes:
    head = f"event: {event}\n" if event else ""
    return f"{head}data: {json.dumps(body)}\n\n".encode()
