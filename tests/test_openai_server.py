"""The OpenAI stand-in, spoken to by OpenAI's own client: what it says is what it remembers."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from functools import partial
from typing import Any

import httpx
import pytest

from tests.support.faults import status
from tests.support.http import call
from tests.support.openai_answers import Answer, Tool, ToolCall, Usage, derived, instance, offline
from tests.support.openai_server import OpenAIServer

openai = pytest.importorskip("openai")

USER = [{"role": "user", "content": "What is a trace?"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"default": "C"}},
            "required": ["city"],
        },
    },
}


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with OpenAIServer() as started:
        yield started


@pytest.fixture
def client(server: OpenAIServer) -> Any:
    with openai.OpenAI(api_key=server.api_key, base_url=server.base_url, timeout=10) as made:
        yield made


def test_a_chat_is_answered_and_remembered(server: OpenAIServer, client: Any) -> None:
    said = client.chat.completions.create(
        model="gpt-4o-mini", messages=USER, extra_headers={"traceparent": "00-a-b-01"}
    )

    (made,) = server.calls
    assert said.choices[0].message.content == "An answer to: What is a trace?" == made.answer.text
    assert said.model == made.model == "gpt-4o-mini-2024-07-18"
    usage = said.usage
    assert (usage.prompt_tokens, usage.completion_tokens) == (7, 7)
    assert usage.total_tokens == made.usage.total
    assert usage.prompt_tokens_details.cached_tokens == made.usage.cached == 1
    assert made.headers["traceparent"] == "00-a-b-01"
    assert made.texts == ("What is a trace?",)
    assert made.ended_ns >= made.started_ns


@pytest.mark.parametrize("asked", [True, False])
def test_a_stream_tells_its_usage_where_it_is_asked_to(
    server: OpenAIServer, client: Any, asked: bool
) -> None:
    options: dict[str, Any] = {"stream_options": {"include_usage": True}} if asked else {}
    chunks = list(
        client.chat.completions.create(model="o4-mini", messages=USER, stream=True, **options)
    )

    (made,) = server.calls
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == made.answer.text
    assert made.sent == len(chunks) + 1
    told = [chunk.usage for chunk in chunks if chunk.usage]
    assert made.usage_told is asked
    assert [usage.total_tokens for usage in told] == [made.usage.total] * asked
    assert [u.completion_tokens_details.reasoning_tokens for u in told] == [7] * asked


def test_tools_are_called_at_once_and_their_answers_used() -> None:
    other = {"type": "function", "function": {"name": "search"}}
    asked: dict[str, Any] = {"model": "gpt-4o", "tools": [WEATHER, other]}

    with OpenAIServer(partial(derived, at_once=2)) as server:
        client = openai.OpenAI(api_key=server.api_key, base_url=server.base_url)
        first = client.chat.completions.create(messages=USER, **asked).choices[0]
        assert first.finish_reason == "tool_calls"
        made = [(c.function.name, c.function.arguments) for c in first.message.tool_calls]
        assert made == [("get_weather", '{"city": "some city"}'), ("search", "{}")]

        streamed: dict[int, str] = {}
        for chunk in client.chat.completions.create(messages=USER, stream=True, **asked):
            for call_ in chunk.choices[0].delta.tool_calls or ():
                part = (call_.function.name or "") + (call_.function.arguments or "")
                streamed[call_.index] = streamed.get(call_.index, "") + part
        assert streamed == {0: 'get_weather{"city": "some city"}', 1: "search{}"}

        results = [
            {"role": "tool", "tool_call_id": c.id, "content": f"sunny {at}"}
            for at, c in enumerate(first.message.tool_calls)
        ]
        turn = {key: first.message.to_dict()[key] for key in ("role", "content", "tool_calls")}
        said = client.chat.completions.create(messages=[*USER, turn, *results], **asked)
        assert "A tool says: sunny 1" in said.choices[0].message.content
        assert server.rejected == []


def test_structured_output_is_an_instance_of_the_schema(client: Any) -> None:
    schema = {
        "type": "object",
        "properties": {"name": {"type": "string"}, "tags": {"$ref": "#/$defs/tags"}},
        "required": ["name", "tags"],
        "additionalProperties": False,
        "$defs": {"tags": {"type": "array", "items": {"enum": ["a", "b"]}, "minItems": 2}},
    }
    wanted = {"name": "thing", "strict": True, "schema": schema}
    said = client.chat.completions.create(
        model="gpt-4o-mini",
        messages=USER,
        response_format={"type": "json_schema", "json_schema": wanted},
    )
    text = said.choices[0].message.content
    assert json.loads(text) == {"name": "some name", "tags": ["a", "a"]} == instance(schema)


@pytest.mark.parametrize("stream", [False, True])
def test_the_responses_api(server: OpenAIServer, client: Any, stream: bool) -> None:
    function = {"type": "function", **WEATHER["function"]}  # type: ignore[dict-item]
    first = client.responses.create(model="gpt-5", input="Weather?", tools=[function])
    (asked,) = first.output
    assert (asked.type, json.loads(asked.arguments)) == ("function_call", {"city": "some city"})
    turn = [
        {"role": "user", "content": "Weather?"},
        asked.to_dict(),
        {"type": "function_call_output", "call_id": asked.call_id, "output": "sunny"},
    ]
    said = client.responses.create(model="gpt-5", input=turn, tools=[function], stream=stream)
    if stream:
        events = list(said)
        text = "".join(e.delta for e in events if e.type == "response.output_text.delta")
        usage = events[-1].response.usage
    else:
        text, usage = said.output_text, said.usage
    assert text == "An answer to: Weather?\n\nA tool says: sunny" == server.calls[1].answer.text
    assert usage.total_tokens == server.calls[1].usage.total
    assert usage.output_tokens_details.reasoning_tokens == 7


def test_embeddings_of_texts_that_share_words_are_near(server: OpenAIServer, client: Any) -> None:
    texts = ["a blue whale", "the blue whale", "tax law"]
    said = client.embeddings.create(model="text-embedding-3-small", input=texts)

    one, two, three = (item.embedding for item in said.data)

    def likeness(a: list[float], b: list[float]) -> float:
        return sum(x * y for x, y in zip(a, b, strict=True))

    assert likeness(one, two) > likeness(one, three)
    assert said.usage.prompt_tokens == server.calls[0].usage.prompt == 8
    assert server.calls[0].texts == tuple(texts)


def test_it_fails_as_it_is_told_and_the_client_tries_again(
    server: OpenAIServer, client: Any
) -> None:
    server.script(Answer("slow down", status=429))
    client.chat.completions.create(model="gpt-4o", messages=USER)
    assert [made.answer.status for made in server.calls] == [429, 200]

    server.faults.set(status(500))
    with pytest.raises(openai.InternalServerError):
        client.with_options(max_retries=0).chat.completions.create(model="gpt-4o", messages=USER)
    assert len(server.calls) == 2


def test_a_stream_can_be_cut_and_can_hang(server: OpenAIServer, client: Any) -> None:
    server.script(Answer("one two three", cut_after=3), Answer("one two", pause=math.inf))
    asked: dict[str, Any] = {"model": "gpt-4o", "messages": USER, "stream": True}
    cut = client.chat.completions.create(**asked)
    assert [next(cut).choices[0].delta.content for _ in range(3)] == ["", "one ", "two "]
    with pytest.raises((httpx.TransportError, openai.APIConnectionError)):
        next(cut)
    hung = client.with_options(timeout=0.5).chat.completions.create(**asked)
    assert next(hung).choices[0].delta.content == ""
    with pytest.raises((httpx.ReadTimeout, openai.APITimeoutError)):
        next(hung)
    assert [made.ended_ns for made in server.calls] == [0, 0]
    assert [made.usage_told for made in server.calls] == [False, False]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ({"messages": USER}, "model"),
        ({"messages": []}, "messages"),
        ({"messages": USER, "max_length": 3}, "unrecognized request arguments: max_length"),
        ({"messages": [{"role": "bot", "content": "x"}]}, "role 'bot'"),
        ({"messages": [{"role": "user", "content": None}]}, "content is null"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "part"),
        ({"messages": [{"role": "tool", "content": "x", "tool_call_id": "c"}]}, "answers no tool"),
        ({"messages": USER, "tools": []}, "tools is empty"),
        ({"messages": USER, "tools": [WEATHER, WEATHER]}, "twice"),
        ({"messages": USER, "tool_choice": "auto"}, "tool_choice without tools"),
        ({"messages": USER, "stream_options": {"include_usage": True}}, "for streams only"),
        ({"messages": USER, "temperature": 3}, "temperature 3"),
        ({"messages": USER, "response_format": {"type": "json_schema"}}, "the name None"),
    ],
)
def test_what_openai_refuses_is_refused(server: OpenAIServer, body: Any, why: str) -> None:
    sent = body if why == "model" else {"model": "gpt-4o", **body}
    headers = {"authorization": f"Bearer {server.api_key}"}
    answer = call("POST", f"{server.endpoint}/v1/chat/completions", sent, headers)
    assert answer.status == 400
    assert why in answer.text
    assert server.calls == []
    assert len(server.rejected) == 1


def test_a_tool_call_that_is_not_answered_is_refused(server: OpenAIServer) -> None:
    made = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages = [*USER, {"role": "assistant", "content": None, "tool_calls": [made]}, *USER]
    headers = {"authorization": f"Bearer {server.api_key}"}
    body = {"model": "gpt-4o", "messages": messages}
    answer = call("POST", f"{server.endpoint}/v1/chat/completions", body, headers)
    assert "have not been answered" in answer.text


@pytest.mark.parametrize(("key", "answer"), [("wrong", 401), (None, 404)])
def test_another_key_and_another_path_are_refused(
    server: OpenAIServer, key: str | None, answer: int
) -> None:
    headers = {"authorization": f"Bearer {key or server.api_key}"}
    assert call("GET", f"{server.endpoint}/v1/files", None, headers).status == answer
    assert call("GET", f"{server.endpoint}/v1/models", None, headers).status == (
        401 if key else 200
    )


def test_a_script_comes_first() -> None:
    with OpenAIServer() as server:
        made = (ToolCall("f", {"x": 1}),)
        server.script(Answer(tool_calls=made, usage=Usage(5, 2)))
        client = openai.OpenAI(api_key=server.api_key, base_url=server.base_url)
        said = client.chat.completions.create(model="gpt-4o", messages=USER)
        assert said.choices[0].message.tool_calls[0].function.arguments == '{"x": 1}'
        assert said.usage.total_tokens == 7
        client.chat.completions.create(model="gpt-4o", messages=USER)
        assert server.calls[1].answer.text.startswith("An answer")


def test_only_the_tools_that_may_be_called_are(server: OpenAIServer) -> None:
    assert offline({"a"})(Tool("a"))
    assert not offline({"a"})(Tool("b"))
