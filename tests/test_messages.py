"""OpenInference's flattened attributes, read back as what they were made of."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.retrievers import BaseRetriever
from opentelemetry.sdk.trace import Event, ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from langflow_otel.export import messages

INPUT, OUTPUT = "llm.input_messages", "llm.output_messages"


@pytest.fixture
def langchain_spans() -> Any:
    """The real instrumentor; a call returns the finished spans."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    module = pytest.importorskip("openinference.instrumentation.langchain")
    instrumentor = module.LangChainInstrumentor()
    instrumentor.instrument(tracer_provider=provider)
    try:
        yield exporter.get_finished_spans
    finally:
        instrumentor.uninstrument()


def model(*answers: BaseMessage) -> GenericFakeChatModel:
    return GenericFakeChatModel(messages=iter(answers))


# -- what the real instrumentor writes


def test_a_conversation_with_a_tool_call_comes_back_in_openais_shape(langchain_spans: Any) -> None:
    call = {"name": "weather", "args": {"city": "Oslo"}, "id": "call_1"}
    model(AIMessage("It snows.")).invoke(
        [
            SystemMessage("Be brief."),
            HumanMessage("Weather in Oslo?", name="ann"),
            AIMessage("", tool_calls=[call]),
            ToolMessage("snow", tool_call_id="call_1"),
            ChatMessage("and?", role="critic"),
        ]
    )
    (span,) = langchain_spans()
    function = {"name": "weather", "arguments": '{"city": "Oslo"}'}
    assert messages.chat_messages(span.attributes, INPUT) == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Weather in Oslo?", "name": "ann"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "call_1", "type": "function", "function": function}],
        },
        {"role": "tool", "content": "snow", "tool_call_id": "call_1"},
        {"role": "critic", "content": "and?"},
    ]
    assert messages.chat_messages(span.attributes, OUTPUT) == [
        {"role": "assistant", "content": "It snows."}
    ]


def test_a_picture_in_a_message_is_a_part_of_it(langchain_spans: Any) -> None:
    picture = {"type": "image_url", "image_url": {"url": "https://pictures.test/cat.png"}}
    model(AIMessage("A cat.")).invoke(
        [HumanMessage([{"type": "text", "text": "What is it?"}, picture, "Tell me."])]
    )
    (span,) = langchain_spans()
    (message,) = messages.chat_messages(span.attributes, INPUT)
    assert message["content"] == [
        {"type": "text", "text": "What is it?"},
        picture,
        {"type": "text", "text": "Tell me."},
    ]


def test_a_tool_call_without_arguments_has_an_empty_object(langchain_spans: Any) -> None:
    model(AIMessage("", tool_calls=[{"name": "now", "args": {}, "id": "1"}])).invoke("time?")
    (span,) = langchain_spans()
    (answer,) = messages.chat_messages(span.attributes, OUTPUT)
    assert answer["tool_calls"][0]["function"] == {"name": "now", "arguments": "{}"}


def test_the_old_way_to_call_a_function_is_kept_apart(langchain_spans: Any) -> None:
    old = {"function_call": {"name": "add", "arguments": '{"a": 1}'}}
    model(AIMessage("", additional_kwargs=old)).invoke("1+1?")
    (span,) = langchain_spans()
    (answer,) = messages.chat_messages(span.attributes, OUTPUT)
    assert answer == {"role": "assistant", "content": None, **old}


def test_langchains_token_details_are_all_read(langchain_spans: Any) -> None:
    told: Any = {
        "input_tokens": 100,
        "output_tokens": 20,
        "total_tokens": 120,
        "input_token_details": {"cache_read": 40, "cache_creation": 10, "audio": 3},
        "output_token_details": {"reasoning": 5, "audio": 2},
    }
    model(AIMessage("hi", usage_metadata=told)).invoke("hi")
    (span,) = langchain_spans()
    assert messages.usage(span.attributes) == messages.Usage(
        input=100,
        output=20,
        total=120,
        cache_read=40,
        cache_write=10,
        input_audio=3,
        reasoning=5,
        output_audio=2,
    )


class _Shelf(BaseRetriever):
    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun
    ) -> list[Document]:
        return [Document(f"about {query}", metadata={"page": 3}), Document("plain")]


def test_a_retrievers_documents_come_back_with_their_metadata(langchain_spans: Any) -> None:
    _Shelf().invoke("snow")
    (span,) = langchain_spans()
    assert messages.documents(span.attributes) == [
        {"content": "about snow", "metadata": {"page": 3}},
        {"content": "plain", "metadata": {}},
    ]
    assert messages.io_value(span.attributes, "input") == "snow"


def test_the_tools_that_a_model_was_offered_are_read(langchain_spans: Any) -> None:
    schema = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}
    model(AIMessage("2")).bind(tools=[schema]).invoke("1+1?")
    (span,) = langchain_spans()
    assert messages.tool_definitions(span.attributes) == [schema]
    assert messages.invocation_parameters(span.attributes)["tools"] == [schema]


# -- what others write, and what nobody should


def test_numbers_may_be_in_any_order_and_have_gaps() -> None:
    attributes = {
        f"{INPUT}.10.message.content": "third",
        f"{INPUT}.2.message.content": "second",
        f"{INPUT}.0.message.content": "first",
    }
    contents = [m["content"] for m in messages.chat_messages(attributes, INPUT)]
    assert contents == ["first", "second", "third"]


@pytest.mark.parametrize(
    "name",
    [
        f"{INPUT}",
        f"{INPUT}.",
        f"{INPUT}.0",
        f"{INPUT}.0.",
        f"{INPUT}.x.y",
        f"{INPUT}.-1.message.role",
        f"{INPUT}.²3.message.role",
        f"{INPUT}.٣.message.role",
        f"{INPUT}.{'9' * 5000}.message.role",
        f"{INPUT}s.0.message.role",
    ],
)
def test_a_name_that_is_no_messages_is_passed_over(name: str) -> None:
    assert messages.chat_messages({name: "x"}, INPUT) == []


def test_an_enormous_number_costs_no_memory() -> None:
    attributes = {f"{INPUT}.999999999.message.content": "x", f"{INPUT}.0.message.content": "y"}
    assert [m["content"] for m in messages.chat_messages(attributes, INPUT)] == ["y", "x"]


def test_the_work_grows_with_the_attributes_not_with_their_square() -> None:
    class Counting(dict[str, Any]):
        looked = 0

        def items(self) -> Any:
            self.looked += len(self)
            return super().items()

    attributes = Counting({f"{INPUT}.{n}.message.content": "x" for n in range(10_000)})
    assert len(messages.chat_messages(attributes, INPUT)) == 10_000
    assert attributes.looked == 10_000


@pytest.mark.parametrize("odd", [None, True, 1.5, b"x", ["a"], (1, 2), {"a": 1}, "", "{", "[1]"])
def test_no_odd_value_raises(odd: Any) -> None:
    attributes = dict.fromkeys(
        (
            f"{INPUT}.0.message.role",
            f"{INPUT}.0.message.content",
            f"{INPUT}.1.message.contents.0.message_content.type",
            f"{INPUT}.1.message.contents.0.message_content.text",
            f"{INPUT}.1.message.tool_calls.0.tool_call.function.arguments",
            f"{INPUT}.1.message.function_call_name",
            "llm.tools.0.tool.json_schema",
            "retrieval.documents.0.document.score",
            "retrieval.documents.0.document.metadata",
            "llm.invocation_parameters",
            "llm.token_count.prompt",
            "llm.cost.total",
            "input.value",
            "input.mime_type",
        ),
        odd,
    )
    read = [
        messages.chat_messages(attributes, INPUT),
        messages.tool_definitions(attributes),
        messages.documents(attributes),
        messages.invocation_parameters(attributes),
        messages.costs(attributes),
    ]
    assert messages.usage(attributes) is None
    assert messages.io_value(attributes, "input") == odd
    assert [len(r) for r in read[:1]] == [2]
    assert isinstance(read[3], dict)


@pytest.mark.parametrize(
    ("fields", "role"),
    [
        ({"message.content": "x"}, "user"),
        ({"message.tool_call_id": "1"}, "tool"),
        ({"message.tool_calls.0.tool_call.id": "1"}, "assistant"),
    ],
)
def test_a_message_without_a_role_gets_the_likely_one(fields: dict[str, str], role: str) -> None:
    flat = {f"{INPUT}.0.{name}": value for name, value in fields.items()}
    assert messages.chat_messages(flat, INPUT)[0]["role"] == role


def test_an_answer_without_a_role_is_the_assistants() -> None:
    (answer,) = messages.chat_messages({f"{OUTPUT}.0.message.content": "x"}, OUTPUT)
    assert answer["role"] == "assistant"


def test_a_part_that_openai_has_not_keeps_its_fields() -> None:
    attributes = {
        f"{INPUT}.0.message.contents.0.message_content.type": "audio",
        f"{INPUT}.0.message.contents.0.message_content.audio.audio.url": "https://sounds.test/a",
    }
    (message,) = messages.chat_messages(attributes, INPUT)
    assert message["content"] == [{"type": "audio", "audio.audio.url": "https://sounds.test/a"}]


def test_usage_falls_back_to_genais_names() -> None:
    attributes = {
        "gen_ai.usage.input_tokens": 7,
        "gen_ai.usage.output_tokens": 2,
        "gen_ai.usage.cache_read.input_tokens": 4,
    }
    assert messages.usage(attributes) == messages.Usage(7, 2, 9, cache_read=4)


def test_openinferences_tokens_go_before_genais() -> None:
    attributes = {"llm.token_count.prompt": 5, "gen_ai.usage.input_tokens": 7}
    assert messages.usage(attributes) == messages.Usage(input=5)


@pytest.mark.parametrize(
    ("told", "read"), [(5, 5), (5.0, 5), ("5", 5), (5.5, None), (-1, None), (float("inf"), None)]
)
def test_a_count_is_a_whole_number_from_0_on(told: Any, read: int | None) -> None:
    found = messages.usage({"llm.token_count.prompt": told, "llm.token_count.completion": 1})
    assert found is not None
    assert found.input == read


def test_without_tokens_there_is_no_usage() -> None:
    assert messages.usage({"llm.cost.total": 0.1}) is None


def test_costs_are_finite_numbers_by_their_name() -> None:
    attributes = {
        "llm.cost.prompt": "0.25",
        "llm.cost.completion": 1,
        "llm.cost.prompt_details.cache_read": 0.05,
        "llm.cost.total": float("nan"),
        "llm.cost.odd": -1.0,
    }
    assert messages.costs(attributes) == {
        "prompt": 0.25,
        "completion": 1.0,
        "prompt_details.cache_read": 0.05,
    }


def test_a_document_keeps_id_score_and_metadata_of_any_form() -> None:
    start = "reranker.output_documents.0.document."
    attributes = {
        f"{start}id": 7,
        f"{start}score": "0.5",
        f"{start}metadata": '["a"]',
    }
    assert messages.documents(attributes, "reranker.output_documents") == [
        {"id": "7", "score": 0.5, "metadata": {"metadata": ["a"]}}
    ]


def test_a_value_is_parsed_where_it_says_it_is_json_only() -> None:
    text = json.dumps({"a": 1})
    assert messages.io_value({"input.value": text}, "input") == text
    told = {"input.value": text, "input.mime_type": "application/json"}
    assert messages.io_value(told, "input") == {"a": 1}
    assert messages.io_value({**told, "input.value": "{cut"}, "input") == "{cut"
    assert messages.io_value({}, "output") is None


def test_what_nests_too_deeply_to_be_written_again_stays_text() -> None:
    deep = "[" * 600 + "]" * 600
    assert messages.parsed(deep) == deep
    value = messages.parsed("[" * 100 + "]" * 100)
    assert orjson.dumps(value) == b"[" * 100 + b"]" * 100


def test_the_first_token_is_the_earliest_event_that_tells_of_one() -> None:
    def event(name: str, time: int) -> Event:
        return Event(name, {}, time)

    events = [
        event("langflow.log", 1),
        event("langflow.first_token", 30),
        event("First Token Stream Event", 20),
    ]
    assert messages.first_token_ns(ReadableSpan("x", events=events)) == 20
    assert messages.first_token_ns(ReadableSpan("x", events=events[:1])) is None
