"""OpenInference in the words of OpenTelemetry's GenAI conventions."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from openinference.instrumentation.langchain import LangChainInstrumentor
from opentelemetry.sdk.trace import Event, ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from langflow_otel import names as ours
from langflow_otel.capture.content import NO_CONTENT, Content
from langflow_otel.export.content import without_content
from langflow_otel.export.dialect import (
    DIALECTS,
    Dialect,
    genai_attributes,
    in_dialect,
    names,
    span_in_dialect,
)
from tests.support.recorded import RECORDINGS, record

LLM = {ours.SPAN_KIND: "LLM"}
Spans = Callable[[], Sequence[ReadableSpan]]


@pytest.fixture
def langchain_spans() -> Any:
    """The real instrumentor; a call returns the finished spans."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    instrumentor = LangChainInstrumentor()
    instrumentor.instrument(tracer_provider=provider)
    try:
        yield exporter.get_finished_spans
    finally:
        instrumentor.uninstrument()


def attributes_of(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def flow_spans(recording: str) -> list[ReadableSpan]:
    return record(recording)


def the(spans: Sequence[ReadableSpan], operation: str, name: str = "") -> dict[str, Any]:
    """The GenAI attributes of the first span with that operation, and name if one is given."""
    told = [genai_attributes(attributes_of(s)) for s in spans if not name or s.name == name]
    return next(each for each in told if each.get(names.OPERATION) == operation)


# -- the names


def test_the_names_are_those_of_opentelemetrys_own_package_where_it_has_them() -> None:
    """What is only in the standalone conventions (v0.1.0) is listed here by hand."""
    module = pytest.importorskip("opentelemetry.semconv._incubating.attributes.gen_ai_attributes")
    known = {
        value
        for name, value in vars(module).items()
        if name.startswith("GEN_AI_") and isinstance(value, str)
    }
    mine = {
        value
        for value in vars(names).values()
        if isinstance(value, str) and value.startswith("gen_ai.")
    }
    assert len(mine) > 30
    newer = {
        "gen_ai.request.stream",
        "gen_ai.response.time_to_first_chunk",
        "gen_ai.usage.cache_read.input_tokens",
        "gen_ai.usage.cache_creation.input_tokens",
        "gen_ai.usage.reasoning.output_tokens",
        "gen_ai.input.messages",
        "gen_ai.output.messages",
        "gen_ai.system_instructions",
        "gen_ai.tool.definitions",
        "gen_ai.tool.call.arguments",
        "gen_ai.tool.call.result",
        "gen_ai.provider.name",
        "gen_ai.retrieval.query.text",
        "gen_ai.retrieval.documents",
        "gen_ai.workflow.name",
    }
    assert mine - known <= newer


@pytest.mark.parametrize("recording", sorted(RECORDINGS))
def test_every_genai_attribute_of_a_real_flow_has_a_name_and_type_of_the_conventions(
    recording: str,
) -> None:
    mine = {value for value in vars(names).values() if isinstance(value, str)}
    for span in flow_spans(recording):
        told = genai_attributes(attributes_of(span))
        assert set(told) <= mine
        assert set(map(type, told.values())) <= {str, int, float, bool, list}
        for name in (names.INPUT_MESSAGES, names.OUTPUT_MESSAGES):
            for message in json.loads(told.get(name, "[]")):
                check_message(message)


def check_message(message: dict[str, Any]) -> None:
    """A message as `gen_ai-input-messages.json` of the conventions has it."""
    assert set(message) <= {"role", "parts", "name"}
    assert isinstance(message["role"], str)
    required = {
        "text": {"content"},
        "reasoning": {"content"},
        "tool_call": {"name"},
        "tool_call_response": {"response"},
        "uri": {"modality", "uri"},
        "blob": {"modality", "content"},
    }
    for part in message["parts"]:
        assert required.get(part["type"], set()) <= set(part)


# -- real spans


def test_a_model_call_is_a_chat_with_parts_of_text_tool_calls_and_answers(
    langchain_spans: Spans,
) -> None:
    call = {"name": "weather", "args": {"city": "Oslo"}, "id": "call_1"}
    answer = AIMessage("", tool_calls=[{"name": "weather", "args": {}, "id": "call_2"}])
    GenericFakeChatModel(messages=iter([answer])).invoke(
        [
            SystemMessage("Be brief."),
            HumanMessage("Weather in Oslo?", name="ann"),
            AIMessage("Let me see.", tool_calls=[call]),
            ToolMessage('{"sky": "snow"}', tool_call_id="call_1"),
        ]
    )
    told = genai_attributes(attributes_of(langchain_spans()[0]))

    assert told[names.OPERATION] == "chat"
    assert json.loads(told[names.INPUT_MESSAGES]) == [
        {"role": "system", "parts": [{"type": "text", "content": "Be brief."}]},
        {
            "role": "user",
            "parts": [{"type": "text", "content": "Weather in Oslo?"}],
            "name": "ann",
        },
        {
            "role": "assistant",
            "parts": [
                {"type": "text", "content": "Let me see."},
                {
                    "type": "tool_call",
                    "id": "call_1",
                    "name": "weather",
                    "arguments": {"city": "Oslo"},
                },
            ],
        },
        {
            "role": "tool",
            "parts": [{"type": "tool_call_response", "id": "call_1", "response": {"sky": "snow"}}],
        },
    ]
    assert json.loads(told[names.OUTPUT_MESSAGES]) == [
        {
            "role": "assistant",
            "parts": [{"type": "tool_call", "id": "call_2", "name": "weather", "arguments": {}}],
        }
    ]


def test_a_tool_call_tells_its_arguments_its_result_and_which_call_it_answers(
    langchain_spans: Spans,
) -> None:
    @tool
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    add.invoke({"type": "tool_call", "name": "add", "id": "call_7", "args": {"a": 1, "b": 2}})
    told = genai_attributes(attributes_of(langchain_spans()[0]))

    assert told[names.OPERATION] == "execute_tool"
    assert told[names.TOOL_NAME] == "add"
    assert told[names.TOOL_DESCRIPTION] == "Add two numbers."
    assert told[names.TOOL_CALL_RESULT] == "3"
    assert told[names.TOOL_CALL_ID] == "call_7"
    # Older releases of the instrumentor write them as Python does.
    assert ast.literal_eval(told[names.TOOL_CALL_ARGUMENTS]) == {"a": 1, "b": 2}


def test_an_agents_flow_is_a_workflow_with_an_agent_tools_and_chats() -> None:
    spans = flow_spans("agent")

    flow = the(spans, "invoke_workflow")
    assert flow[names.WORKFLOW_NAME] == flow[names.AGENT_NAME] == "Agent with tools"
    assert flow[names.CONVERSATION_ID] == "session-1"
    question = [
        {"role": "user", "parts": [{"type": "text", "content": "How is Oslo, and how far?"}]}
    ]
    assert json.loads(flow[names.INPUT_MESSAGES]) == question

    agent = the(spans, "invoke_agent", "Agent")
    assert agent[names.AGENT_NAME] == "Agent"
    assert json.loads(agent[names.INPUT_MESSAGES]) == question

    chat = the(spans, "chat")
    assert chat[names.REQUEST_MODEL] == "scripted-1"
    assert chat[names.RESPONSE_FINISH_REASONS] == ["tool_calls"]
    assert chat[names.USAGE_INPUT_TOKENS] == 11
    assert {tool["name"] for tool in json.loads(chat[names.TOOL_DEFINITIONS])} == {
        "get_weather",
        "get_distance",
    }
    assert the(spans, "execute_tool", "get_weather")[names.TOOL_CALL_RESULT] == (
        "Oslo: snow, -3 degrees"
    )


def test_a_retriever_tells_its_query_and_its_documents() -> None:
    told = the(flow_spans("rag"), "retrieval")
    assert told[names.RETRIEVAL_QUERY] == "How long do refunds take?"
    first, *_ = json.loads(told[names.RETRIEVAL_DOCUMENTS])
    assert first["content"] == "Refunds take 14 days."


def test_plain_components_have_no_operation() -> None:
    for span in flow_spans("rag"):
        if span.name in {"Chat Input", "Chat Output", "Prompt Template", "Wordless Embeddings"}:
            assert set(genai_attributes(attributes_of(span))) == {names.CONVERSATION_ID}


# -- single attributes


def test_parameters_of_the_call_get_the_conventions_names_and_types() -> None:
    parameters = {
        "model": "gpt-4o",
        "temperature": "0.5",
        "top_p": 1,
        "top_k": 40.0,
        "max_completion_tokens": 256,
        "frequency_penalty": 0.1,
        "presence_penalty": 0,
        "seed": 7,
        "n": 2,
        "stop": "END",
        "stream": True,
        "user": "u",
    }
    told = genai_attributes({**LLM, "llm.invocation_parameters": json.dumps(parameters)})
    assert told == {
        names.OPERATION: "chat",
        names.REQUEST_MODEL: "gpt-4o",
        names.REQUEST_TEMPERATURE: 0.5,
        names.REQUEST_TOP_P: 1.0,
        names.REQUEST_TOP_K: 40,
        names.REQUEST_MAX_TOKENS: 256,
        names.REQUEST_FREQUENCY_PENALTY: 0.1,
        names.REQUEST_PRESENCE_PENALTY: 0.0,
        names.REQUEST_SEED: 7,
        names.REQUEST_CHOICE_COUNT: 2,
        names.REQUEST_STOP_SEQUENCES: ["END"],
        names.REQUEST_STREAM: True,
    }


def test_one_choice_a_call_that_does_not_stream_and_odd_values_are_not_told() -> None:
    parameters = {"n": 1, "stream": False, "temperature": "warm", "max_tokens": 1.5, "stop": [1]}
    told = genai_attributes({**LLM, "llm.invocation_parameters": json.dumps(parameters)})
    assert told == {names.OPERATION: "chat"}


@pytest.mark.parametrize(
    ("attributes", "asked", "answered"),
    [
        ({"llm.model_name": "gpt-4o"}, "gpt-4o", None),
        (
            {
                "llm.model_name": "gpt-4o-2024-08-06",
                "llm.invocation_parameters": '{"model": "gpt-4o"}',
            },
            "gpt-4o",
            "gpt-4o-2024-08-06",
        ),
        (
            {"llm.request.model_name": "gpt-4o", "llm.response.model_name": "gpt-4o"},
            "gpt-4o",
            "gpt-4o",
        ),
    ],
)
def test_the_model_asked_for_and_the_one_that_answered_are_told_apart(
    attributes: dict[str, Any], asked: str, answered: str | None
) -> None:
    told = genai_attributes({**LLM, **attributes})
    assert told[names.REQUEST_MODEL] == asked
    assert told.get(names.RESPONSE_MODEL) == answered


@pytest.mark.parametrize(
    ("openinference", "genai"),
    [
        ({"llm.provider": "openai"}, "openai"),
        ({"llm.provider": "azure", "llm.system": "openai"}, "azure.ai.openai"),
        ({"llm.system": "vertexai"}, "gcp.vertex_ai"),
        ({"llm.provider": "MistralAI"}, "mistral_ai"),
        ({"llm.provider": "somebody"}, "somebody"),
        ({}, None),
    ],
)
def test_providers_have_the_conventions_names(
    openinference: dict[str, str], genai: str | None
) -> None:
    assert genai_attributes({**LLM, **openinference}).get(names.PROVIDER) == genai


def test_tokens_are_told_with_their_details_and_none_where_there_are_none() -> None:
    told = genai_attributes(
        {
            **LLM,
            "llm.token_count.prompt": 100,
            "llm.token_count.completion": 20,
            "llm.token_count.total": 120,
            "llm.token_count.prompt_details.cache_read": 40,
            "llm.token_count.prompt_details.cache_write": 0,
            "llm.token_count.completion_details.reasoning": 5,
        }
    )
    assert told == {
        names.OPERATION: "chat",
        names.USAGE_INPUT_TOKENS: 100,
        names.USAGE_OUTPUT_TOKENS: 20,
        names.USAGE_CACHE_READ: 40,
        names.USAGE_REASONING: 5,
    }


def test_instructions_beside_the_chat_are_told_apart_from_it() -> None:
    parameters = {"system": [{"type": "text", "text": "Be brief."}]}
    told = genai_attributes({**LLM, "llm.invocation_parameters": json.dumps(parameters)})
    assert json.loads(told[names.SYSTEM_INSTRUCTIONS]) == [{"type": "text", "content": "Be brief."}]


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}},
        {"type": "function", "name": "add", "parameters": {"type": "object"}},
        {"name": "add", "input_schema": {"type": "object"}},
        {"toolSpec": {"name": "add", "inputSchema": {"json": {"type": "object"}}}},
    ],
)
def test_tools_of_every_maker_have_one_shape(schema: dict[str, Any]) -> None:
    told = genai_attributes({**LLM, "llm.tools.0.tool.json_schema": json.dumps(schema)})
    assert json.loads(told[names.TOOL_DEFINITIONS]) == [
        {"type": "function", "name": "add", "parameters": {"type": "object"}}
    ]


@pytest.mark.parametrize("text", ["4711", "true", "null", '"quoted"', "snow"])
def test_a_tools_answer_that_is_no_object_stays_the_text_it_is(text: str) -> None:
    prefix = "llm.input_messages.0.message"
    told = genai_attributes({**LLM, f"{prefix}.role": "tool", f"{prefix}.content": text})
    (message,) = json.loads(told[names.INPUT_MESSAGES])
    assert message["parts"] == [{"type": "tool_call_response", "response": text}]


def test_texts_to_complete_are_a_text_completion() -> None:
    told = genai_attributes({**LLM, "llm.prompts": ("Once upon", "There was")})
    assert told[names.OPERATION] == "text_completion"
    texts = [m["parts"][0]["content"] for m in json.loads(told[names.INPUT_MESSAGES])]
    assert texts == ["Once upon", "There was"]


def test_an_image_is_a_link_or_its_bytes() -> None:
    prefix = "llm.input_messages.0.message.contents"
    told = genai_attributes(
        {
            **LLM,
            "llm.input_messages.0.message.role": "user",
            f"{prefix}.0.message_content.type": "image",
            f"{prefix}.0.message_content.image.image.url": "https://example.com/a.png",
            f"{prefix}.1.message_content.type": "image",
            f"{prefix}.1.message_content.image.image.url": "data:image/png;base64,AAAA",
        }
    )
    assert json.loads(told[names.INPUT_MESSAGES])[0]["parts"] == [
        {"type": "uri", "modality": "image", "uri": "https://example.com/a.png"},
        {"type": "blob", "modality": "image", "mime_type": "image/png", "content": "AAAA"},
    ]


def test_embeddings_tell_the_model_and_the_tokens_that_went_in() -> None:
    told = genai_attributes(
        {
            ours.SPAN_KIND: "EMBEDDING",
            "embedding.model_name": "text-embedding-3-small",
            "llm.token_count.prompt": 9,
            "llm.token_count.total": 9,
        }
    )
    assert told == {
        names.OPERATION: "embeddings",
        names.REQUEST_MODEL: "text-embedding-3-small",
        names.USAGE_INPUT_TOKENS: 9,
    }


def test_half_a_surrogate_pair_hides_no_other_message() -> None:
    told = genai_attributes({**LLM, "llm.input_messages.0.message.content": "a\ud800b"})
    assert json.loads(told[names.INPUT_MESSAGES])[0]["parts"][0]["content"] == "a\ud800b"


@pytest.mark.parametrize("value", [None, 3, 1.5, True, ("a", "b"), "", "{", b"x"])
@pytest.mark.parametrize(
    "name",
    [
        ours.SPAN_KIND,
        "llm.invocation_parameters",
        "llm.input_messages.0.message.content",
        "llm.prompts",
        "llm.tools.0.tool.json_schema",
        "input.value",
        "output.value",
        "tool.name",
        "llm.finish_reason",
    ],
)
@pytest.mark.parametrize("kind", ["LLM", "TOOL", "RETRIEVER", "AGENT", "EMBEDDING"])
def test_odd_values_raise_nothing(kind: str, name: str, value: Any) -> None:
    odd = {ours.SPAN_KIND: kind, "output.mime_type": "application/json", name: value}
    for dialect in DIALECTS:
        told = in_dialect(odd, dialect, messages_everywhere=True)  # type: ignore[arg-type]
        assert all(isinstance(key, str) for key in told)


# -- the dialects


def test_openinference_is_left_as_it_is() -> None:
    for span in flow_spans("agent"):
        assert in_dialect(attributes_of(span), "openinference") == attributes_of(span)
        assert span_in_dialect(span, "openinference") is span


def test_both_is_everything_that_either_says() -> None:
    for span in flow_spans("agent"):
        said = attributes_of(span)
        told = in_dialect(said, "both")
        assert said.items() <= told.items()
        assert {k: v for k, v in told.items() if k not in said} == genai_attributes(said)
        assert span_in_dialect(span, "both").name == span.name


@pytest.mark.parametrize("recording", sorted(RECORDINGS))
def test_genai_alone_says_what_the_conventions_have_a_name_for_in_that_name_only(
    recording: str,
) -> None:
    for span in flow_spans(recording):
        told = in_dialect(attributes_of(span), "genai")
        assert ours.SPAN_KIND not in told
        assert not [name for name in told if name.startswith(("llm.input_m", "llm.output_m"))]
        if names.OPERATION in told:
            assert not [
                name
                for name in told
                if name.startswith(("llm.model", "llm.token", "llm.provider", "tool.name"))
            ]
        for name in ("session.id", "user.id", ours.COMPONENT_ID, ours.FLOW_ID):
            assert told.get(name) == (span.attributes or {}).get(name)


@pytest.mark.parametrize("recording", sorted(RECORDINGS))
@pytest.mark.parametrize("side", ["input", "output"])
def test_genai_alone_loses_no_input_and_no_output(recording: str, side: str) -> None:
    carriers = {
        "input": (names.INPUT_MESSAGES, names.TOOL_CALL_ARGUMENTS, names.RETRIEVAL_QUERY),
        "output": (names.OUTPUT_MESSAGES, names.TOOL_CALL_RESULT, names.RETRIEVAL_DOCUMENTS),
    }[side]
    for span in flow_spans(recording):
        said = attributes_of(span)
        if f"{side}.value" in said:
            told = in_dialect(said, "genai")
            assert f"{side}.value" in told or any(name in told for name in carriers)


def test_a_component_of_which_only_the_question_is_told_keeps_its_inputs() -> None:
    inputs = '{"search_query": "refunds?", "number_of_results": 2}'
    said = {
        ours.SPAN_KIND: "RETRIEVER",
        "input.value": inputs,
        "input.mime_type": "application/json",
    }
    told = in_dialect(said, "genai")
    assert told[names.RETRIEVAL_QUERY] == "refunds?"
    assert told["input.value"] == inputs


def test_what_genai_has_no_name_for_stays() -> None:
    said = {
        **LLM,
        "metadata": "{}",
        "tag.tags": ("a",),
        "llm.cost.total": 0.1,
        "graph.node.id": "n",
        "http.url": "https://example.com",
    }
    told = in_dialect(said, "genai")
    assert told == {**{k: v for k, v in said.items() if k not in LLM}, names.OPERATION: "chat"}


@pytest.mark.parametrize("dialect", ["genai", "both"])
def test_what_a_span_says_in_genais_words_itself_is_not_overruled(dialect: Dialect) -> None:
    said = {**LLM, "llm.model_name": "a", names.REQUEST_MODEL: "b", names.OPERATION: "generate"}
    told = in_dialect(said, dialect)
    assert told[names.REQUEST_MODEL] == "b"
    assert told[names.OPERATION] == "generate"


def test_spans_are_named_as_the_conventions_want_it_in_genai_alone() -> None:
    renamed = {
        (span.name, span_in_dialect(span, "genai").name)
        for span in flow_spans("agent")
        if span_in_dialect(span, "genai").name != span.name
    }
    assert renamed == {
        ("ScriptedChatModel", "chat scripted-1"),
        ("get_weather", "execute_tool get_weather"),
        ("get_distance", "execute_tool get_distance"),
        ("Agent", "invoke_agent Agent"),
        ("Agent with tools", "invoke_workflow Agent with tools"),
    }


@pytest.mark.parametrize("dialect", ["genai", "both"])
def test_the_first_token_is_told_in_seconds_from_the_start(dialect: Dialect) -> None:
    first = Event("langflow.first_token", {}, timestamp=1_500_000_000)
    span = ReadableSpan(
        "m", attributes=LLM, events=[first], start_time=1_000_000_000, end_time=3_000_000_000
    )
    told = span_in_dialect(span, dialect).attributes
    assert told is not None
    assert told[names.RESPONSE_TIME_TO_FIRST_CHUNK] == 0.5
    assert told[names.REQUEST_STREAM] is True


def test_a_backend_that_looks_for_messages_only_finds_them_on_every_span_but_a_tools() -> None:
    for span in flow_spans("agent"):
        said = attributes_of(span)
        told = in_dialect(said, "genai", messages_everywhere=True)
        for side, name in (("input", names.INPUT_MESSAGES), ("output", names.OUTPUT_MESSAGES)):
            tool_span = said.get(ours.SPAN_KIND) == "TOOL"
            assert (name in told) == (bool(said.get(f"{side}.value")) and not tool_span)


# -- content


@pytest.mark.parametrize("recording", sorted(RECORDINGS))
def test_without_content_there_is_none_in_any_dialect(recording: str) -> None:
    content = {
        names.INPUT_MESSAGES,
        names.OUTPUT_MESSAGES,
        names.SYSTEM_INSTRUCTIONS,
        names.TOOL_DEFINITIONS,
        names.TOOL_CALL_ARGUMENTS,
        names.TOOL_CALL_RESULT,
        names.RETRIEVAL_QUERY,
        names.RETRIEVAL_DOCUMENTS,
    }
    for span in flow_spans(recording):
        kept = without_content(attributes_of(span), NO_CONTENT, ai=True)
        for dialect in ("genai", "both"):
            told = in_dialect(kept, dialect, messages_everywhere=True)  # type: ignore[arg-type]
            assert content.isdisjoint(told)
            assert not {"input.value", "output.value"} & set(told)


@pytest.mark.parametrize(
    ("content", "gone"),
    [
        (
            Content(inputs=False),
            {names.INPUT_MESSAGES, names.TOOL_CALL_ARGUMENTS, names.TOOL_DEFINITIONS},
        ),
        (Content(outputs=False), {names.OUTPUT_MESSAGES, names.TOOL_CALL_RESULT}),
        (Content(documents=False), {names.RETRIEVAL_DOCUMENTS}),
        (Content(tools=False), {names.TOOL_DEFINITIONS}),
    ],
)
def test_a_kind_of_content_that_is_off_is_off_in_genai_too(
    content: Content, gone: set[str]
) -> None:
    spans = [*flow_spans("agent"), *flow_spans("rag")]
    everything: set[str] = set()
    for span in spans:
        kept = without_content(attributes_of(span), content, ai=True)
        told = in_dialect(kept, "genai")
        everything |= set(genai_attributes(attributes_of(span)))
        assert gone.isdisjoint(told)
    assert gone <= everything


def test_the_switches_know_every_name_of_content() -> None:
    """What arrives with these names from other instrumentors is content, too."""
    for name in (
        names.INPUT_MESSAGES,
        names.OUTPUT_MESSAGES,
        names.SYSTEM_INSTRUCTIONS,
        names.TOOL_DEFINITIONS,
        names.TOOL_CALL_ARGUMENTS,
        names.TOOL_CALL_RESULT,
        names.RETRIEVAL_QUERY,
        names.RETRIEVAL_DOCUMENTS,
    ):
        assert name.startswith(ours.CONTENT_PREFIXES)
        assert name.startswith((*ours.INPUT_PREFIXES, *ours.OUTPUT_PREFIXES))
