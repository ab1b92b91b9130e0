"""Langfuse: what its server is told of a span, and the exporter against a strict stand-in."""

from __future__ import annotations

import importlib.metadata
import json
import logging
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.language_models.fake import FakeListLLM
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.retrievers import BaseRetriever
from langchain_core.tools import tool
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, Status, StatusCode, TraceFlags

from langflow_otel import LangflowInstrumentor
from langflow_otel.export.langfuse import LangfuseSpanExporter, names
from langflow_otel.export.langfuse.translate import (
    Deployment,
    langfuse_attributes,
    langfuse_span,
)
from langflow_otel.export.langfuse.values import cost_details, environment_name, identifier
from langflow_otel.export.messages import Usage
from langflow_otel.export.translate import clone
from tests.support import flows, retrieval
from tests.support.langfuse import LangfuseReceiver, Observation, observation, violations_of
from tests.support.recorded import RECORDINGS, SESSION, USER, record
from tests.support.spans import from_readable

OURS, LANGCHAIN = "langflow_otel", "openinference.instrumentation.langchain"
KIND, SECRET = "openinference.span.kind", "very private"
SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND

OF_BOTH_SDKS = {
    "ENVIRONMENT": "langfuse.environment",
    "OBSERVATION_COMPLETION_START_TIME": "langfuse.observation.completion_start_time",
    "OBSERVATION_COST_DETAILS": "langfuse.observation.cost_details",
    "OBSERVATION_INPUT": "langfuse.observation.input",
    "OBSERVATION_LEVEL": "langfuse.observation.level",
    "OBSERVATION_METADATA": "langfuse.observation.metadata",
    "OBSERVATION_MODEL": "langfuse.observation.model.name",
    "OBSERVATION_MODEL_PARAMETERS": "langfuse.observation.model.parameters",
    "OBSERVATION_OUTPUT": "langfuse.observation.output",
    "OBSERVATION_PROMPT_NAME": "langfuse.observation.prompt.name",
    "OBSERVATION_PROMPT_VERSION": "langfuse.observation.prompt.version",
    "OBSERVATION_STATUS_MESSAGE": "langfuse.observation.status_message",
    "OBSERVATION_TYPE": "langfuse.observation.type",
    "OBSERVATION_USAGE_DETAILS": "langfuse.observation.usage_details",
    "RELEASE": "langfuse.release",
    "TRACE_METADATA": "langfuse.trace.metadata",
    "TRACE_NAME": "langfuse.trace.name",
    "TRACE_PUBLIC": "langfuse.trace.public",
    "TRACE_TAGS": "langfuse.trace.tags",
}
"""Recorded from langfuse 3.15.0 and 5.0.4, which have them alike."""
OF_THE_SERVER_ONLY = {"langfuse.session.id", "langfuse.user.id"}


def span(
    attributes: dict[str, Any] | None = None,
    *,
    kind: str = "",
    scope: str = OURS,
    name: str = "a span",
    parent: bool = False,
    status: Status | None = None,
    events: tuple[Event, ...] = (),
    resource: dict[str, str] | None = None,
    trace_id: int = 1,
) -> ReadableSpan:
    """A finished span that took two seconds."""
    return ReadableSpan(
        name,
        context=SpanContext(trace_id, 2, is_remote=False, trace_flags=TraceFlags(1)),
        parent=SpanContext(trace_id, 3, is_remote=False) if parent else None,
        resource=Resource(resource or {}),
        attributes={**({KIND: kind} if kind else {}), **(attributes or {})},
        events=events,
        status=status or Status(),
        start_time=START,
        end_time=START + 2 * SECOND,
        instrumentation_scope=InstrumentationScope(scope),
    )


def told(one: ReadableSpan) -> dict[str, Any]:
    return langfuse_attributes(one, Deployment())


def shown(one: ReadableSpan) -> Observation:
    """What Langfuse shows of `one`; it breaks no rule of Langfuse's."""
    translated = from_readable(langfuse_span(one, Deployment()))
    assert violations_of(translated) == []
    return observation(translated)


@pytest.fixture
def langchain() -> Iterator[Any]:
    """The real instrumentor; a call returns the one span of what ran last."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    instrumentor = pytest.importorskip(LANGCHAIN).LangChainInstrumentor()
    instrumentor.instrument(tracer_provider=provider)

    def last() -> Observation:
        (finished,) = exporter.get_finished_spans()
        return shown(finished)

    try:
        yield last
    finally:
        instrumentor.uninstrument()


# -- the names


def test_the_names_are_those_of_the_installed_sdk() -> None:
    attributes = pytest.importorskip("langfuse._client.attributes")
    constants = vars(attributes.LangfuseOtelSpanAttributes)
    version = importlib.metadata.version("langfuse")
    assert {name: constants.get(name) for name in OF_BOTH_SDKS} == OF_BOTH_SDKS, version


def test_every_name_of_ours_is_one_that_langfuse_reads() -> None:
    ours = {
        value
        for name, value in vars(names).items()
        if name.isupper() and isinstance(value, str) and value.startswith("langfuse.")
    } - {names.OBSERVATION}
    assert ours == {*OF_BOTH_SDKS.values(), *OF_THE_SERVER_ONLY}


def test_the_types_are_those_of_the_installed_sdk_in_lower_case() -> None:
    constants = pytest.importorskip("langfuse._client.constants")
    types = set(constants.get_observation_types_list(constants.ObservationTypeLiteral))
    assert types == names.TYPES
    assert set(names.TYPE_BY_KIND.values()) | set(names.TYPE_BY_OPERATION.values()) <= types


# -- real flows


@pytest.mark.parametrize("name", RECORDINGS)
def test_of_a_real_flow_nothing_is_dropped_mistaken_or_lost(name: str) -> None:
    for recorded in record(name):
        seen = shown(recorded)
        assert seen.session_id == SESSION
        assert seen.user_id == USER
        assert seen.trace_name


@pytest.mark.parametrize("name", RECORDINGS)
def test_no_content_of_a_real_flow_is_sent_twice(name: str) -> None:
    for recorded in record(name):
        left = [
            attribute
            for attribute in told(recorded)
            if attribute.startswith(("input.", "output.", "llm.input", "llm.output", "retrieval."))
        ]
        assert left == []
        assert langfuse_span(recorded, Deployment()).events == ()


def test_an_agents_trace_is_a_chat_with_tool_calls_and_tools() -> None:
    seen = [shown(recorded) for recorded in record("agent")]
    first, second = [one for one in seen if one.type == "generation"]
    assert [message["role"] for message in first.input["messages"]] == ["system", "user"]
    offered = {offer["function"]["name"] for offer in first.input["tools"]}
    assert offered == {"get_weather", "get_distance"}
    assert {call["function"]["name"] for call in first.output["tool_calls"]} == offered
    assert [message["role"] for message in second.input["messages"]][-2:] == ["tool", "tool"]
    assert first.model == "scripted-1"
    assert first.usage_details == {"input": 11, "output": 8, "total": 19}
    assert {one.name for one in seen if one.type == "tool"} == offered
    (root,) = [one for one in seen if not one.parent_id]
    assert root.trace_name == root.name == "Agent with tools"
    assert root.trace_input == "How is Oslo, and how far?"


def test_what_langchain_says_of_a_call_is_metadata_of_its_observation() -> None:
    """By `langgraph_node`, of a newer LangChain, Langfuse draws the graph of an agent."""
    calls = [one for one in record("agent") if (one.attributes or {}).get(KIND) == "LLM"]
    for call in calls:
        given = json.loads(str((call.attributes or {})["metadata"]))
        assert "ls_provider" in given
        assert given.keys() <= shown(call).metadata.keys()


def test_a_vector_stores_documents_are_the_output_of_its_retriever() -> None:
    found = [one for one in map(shown, record("rag")) if one.type == "retriever"]
    assert found
    for one in found:
        assert one.output
        assert all(document["content"] for document in one.output)


def test_a_flow_in_a_flow_does_not_rename_the_trace() -> None:
    seen = [shown(recorded) for recorded in record("nested")]
    assert {one.trace_name for one in seen} == {"Flow in flow"}
    (inner,) = [one for one in seen if one.name == "Inner"]
    assert inner.metadata["langflow.flow.name"] == "Inner"
    assert inner.trace_metadata == {}


def test_the_failed_components_have_level_and_message() -> None:
    failed = {one.name: one for one in map(shown, record("error")) if one.level == "ERROR"}
    assert failed["Order Lookup"].status_message == "no such order: 4711"
    error = json.loads(failed["Order Lookup"].metadata["exception"])
    assert error["type"] == "LookupError"
    assert "stacktrace" in error


def test_a_streamed_answer_says_when_it_began() -> None:
    (call,) = [one for one in record("streaming") if (one.attributes or {}).get(KIND) == "LLM"]
    assert call.start_time is not None
    first = Event("langflow.first_token", {}, call.start_time + 1_500)
    began = shown(clone(call, events=(first,))).completion_start_time
    assert began is not None
    assert 0 <= began.timestamp() - call.start_time / SECOND < 0.001


# -- what LangChain's own objects become


def test_a_text_model_gets_its_prompt_and_gives_its_text(langchain: Any) -> None:
    FakeListLLM(responses=["snow"]).invoke("weather?")
    seen = langchain()
    assert (seen.type, seen.input, seen.output) == ("generation", "weather?", "snow")


def test_a_chat_model_without_tools_gets_a_list_of_messages(langchain: Any) -> None:
    usage: Any = {"input_tokens": 3, "output_tokens": 1, "total_tokens": 4}
    model = GenericFakeChatModel(messages=iter([AIMessage("hi", usage_metadata=usage)]))
    model.invoke([HumanMessage("hello")])
    seen = langchain()
    assert seen.input == [{"role": "user", "content": "hello"}]
    assert seen.output == {"role": "assistant", "content": "hi"}
    assert seen.usage_details == {"input": 3, "output": 1, "total": 4}


def test_a_tool_shows_its_arguments_and_its_result(langchain: Any) -> None:
    @tool
    def distance(origin: str, destination: str) -> int:
        """How far."""
        return len(origin + destination)

    distance.invoke({"origin": "Oslo", "destination": "Bonn"})
    seen = langchain()
    assert (seen.type, seen.name, seen.output) == ("tool", "distance", 8)
    assert "Oslo" in str(seen.input)


def test_a_retriever_shows_its_documents(langchain: Any) -> None:
    class Shelf(BaseRetriever):
        def _get_relevant_documents(
            self, query: str, *, run_manager: CallbackManagerForRetrieverRun
        ) -> list[Document]:
            return [Document(f"about {query}", metadata={"page": 3})]

    Shelf().invoke("snow")
    seen = langchain()
    assert (seen.type, seen.input) == ("retriever", "snow")
    assert seen.output == [{"content": "about snow", "metadata": {"page": 3}}]


def test_what_a_caller_says_of_the_run_reaches_a_model_call(langchain: Any) -> None:
    using_attributes = pytest.importorskip("openinference.instrumentation").using_attributes
    with using_attributes(session_id="s", user_id="u", tags=["a", "b"], metadata={"team": "x"}):
        FakeListLLM(responses=["x"]).invoke("y")
    seen = langchain()
    assert (seen.session_id, seen.user_id, seen.tags) == ("s", "u", ("a", "b"))
    assert seen.metadata["team"] == "x"


# -- every kind


@pytest.mark.parametrize(
    ("kind", "type_"),
    [
        ("LLM", "generation"),
        ("llm", "generation"),
        ("CHAIN", "chain"),
        ("PROMPT", "chain"),
        ("AGENT", "agent"),
        ("TOOL", "tool"),
        ("RETRIEVER", "retriever"),
        ("RERANKER", "retriever"),
        ("EMBEDDING", "embedding"),
        ("GUARDRAIL", "guardrail"),
        ("EVALUATOR", "evaluator"),
        ("UNKNOWN", "span"),
        ("DECISION", "span"),
        ("", "span"),
    ],
)
def test_every_kind_has_a_type_that_langfuse_knows(kind: str, type_: str) -> None:
    assert shown(span({"llm.model_name": "m"}, kind=kind)).type == type_


def test_without_a_kind_genais_operation_decides() -> None:
    assert shown(span({"gen_ai.operation.name": "chat"})).type == "generation"


def test_only_of_a_model_call_there_is_a_model_and_usage() -> None:
    """The server counts tokens itself where there is a model and no usage, and bills them."""
    counted = {"llm.model_name": "gpt-4o", "llm.token_count.prompt": 5}
    for kind in ("CHAIN", "AGENT", "RETRIEVER", "RERANKER", "TOOL"):
        seen = shown(span(counted, kind=kind))
        assert (seen.model, seen.usage_details) == (None, {})
        assert seen.metadata["model"] == "gpt-4o"
        assert json.loads(seen.metadata["usage"]) == {"input": 5, "total": 5}
    assert shown(span(counted, kind="LLM")).model == "gpt-4o"


def test_embeddings_show_texts_model_and_tokens() -> None:
    seen = shown(
        span(
            {
                "embedding.model_name": "e-1",
                "embedding.embeddings.0.embedding.text": "a",
                "embedding.embeddings.1.embedding.text": "b",
                "embedding.embeddings.0.embedding.vector": (0.1, 0.2),
                "llm.token_count.prompt": 2,
            },
            kind="EMBEDDING",
        )
    )
    assert (seen.input, seen.model) == (["a", "b"], "e-1")
    assert seen.usage_details == {"input": 2, "total": 2}
    assert "0.1" not in str(seen.metadata)


def test_a_reranker_shows_query_and_documents_before_and_after() -> None:
    seen = shown(
        span(
            {
                "reranker.query": "q",
                "reranker.model_name": "r-1",
                "reranker.input_documents.0.document.content": "b",
                "reranker.input_documents.1.document.content": "a",
                "reranker.output_documents.0.document.content": "a",
                "reranker.output_documents.0.document.score": 0.9,
            },
            kind="RERANKER",
        )
    )
    assert [document["content"] for document in seen.input["documents"]] == ["b", "a"]
    assert seen.input["query"] == "q"
    assert seen.output == [{"content": "a", "score": 0.9, "metadata": {}}]
    assert seen.metadata["reranker.model_name"] == "r-1"


def test_a_prompt_shows_template_and_variables() -> None:
    seen = shown(
        span(
            {
                "llm.prompt_template.template": "Hi {name}",
                "llm.prompt_template.variables": '{"name": "Ann"}',
                "output.value": "Hi Ann",
            },
            kind="PROMPT",
        )
    )
    assert seen.input == {"template": "Hi {name}", "variables": {"name": "Ann"}}
    assert seen.output == "Hi Ann"


def test_a_completion_in_openinferences_new_layout_is_read() -> None:
    seen = shown(
        span(
            {"llm.prompts.0.prompt.text": "1+1=", "llm.choices.0.completion.text": "2"}, kind="LLM"
        )
    )
    assert (seen.input, seen.output) == ("1+1=", 2)


def test_parameters_are_json_without_the_tools() -> None:
    parameters = {"temperature": 0.5, "stream": True, "stop": ["a"], "tools": [{}], "n": None}
    said = told(span({"llm.invocation_parameters": json.dumps(parameters)}, kind="LLM"))
    assert json.loads(said[names.MODEL_PARAMETERS]) == {
        "temperature": 0.5,
        "stream": True,
        "stop": '["a"]',
    }


# -- tokens and costs


@pytest.mark.parametrize(
    ("usage", "buckets"),
    [
        (
            Usage(100, 20, 120, cache_read=40, reasoning=5),
            {
                "input": 60,
                "input_cached_tokens": 40,
                "output": 15,
                "output_reasoning_tokens": 5,
                "total": 120,
            },
        ),
        (
            Usage(100, 20, 120, cache_read=30, cache_write=20, input_audio=10, output_audio=8),
            {
                "input": 40,
                "input_cached_tokens": 30,
                "input_cache_creation": 20,
                "input_audio_tokens": 10,
                "output": 12,
                "output_audio_tokens": 8,
                "total": 120,
            },
        ),
        # What sounds may have been in the cache, too.
        (
            Usage(100, 1, 101, cache_read=80, input_audio=30),
            {
                "input": 0,
                "input_cached_tokens": 80,
                "input_audio_tokens": 20,
                "output": 1,
                "total": 101,
            },
        ),
        # A vendor that does not count its cache in the prompt.
        (
            Usage(10, 1, 11, cache_read=500),
            {"input": 10, "input_cached_tokens": 500, "output": 1, "total": 511},
        ),
        (Usage(7), {"input": 7, "total": 7}),
        (Usage(total=9), {"total": 9}),
        # What is in the total beyond both sides stays in it.
        (Usage(7, 1, 12), {"input": 7, "output": 1, "total": 12}),
    ],
)
def test_no_token_is_in_two_buckets(usage: Usage, buckets: dict[str, int]) -> None:
    counts = {
        "llm.token_count.prompt": usage.input,
        "llm.token_count.completion": usage.output,
        "llm.token_count.total": usage.total,
        "llm.token_count.prompt_details.cache_read": usage.cache_read,
        "llm.token_count.prompt_details.cache_write": usage.cache_write,
        "llm.token_count.prompt_details.audio": usage.input_audio,
        "llm.token_count.completion_details.reasoning": usage.reasoning,
        "llm.token_count.completion_details.audio": usage.output_audio,
    }
    known = {name: count for name, count in counts.items() if count is not None}
    assert shown(span(known, kind="LLM")).usage_details == buckets


def test_costs_are_numbers_that_add_up_to_their_total() -> None:
    costs = {"prompt": 0.3, "completion": 0.5, "prompt_details.cache_read": 0.1}
    details = cost_details(costs)
    assert details == {"input": 0.2, "input_cached_tokens": 0.1, "output": 0.5, "total": 0.8}
    assert cost_details({"total": 0.25}) == {"total": 0.25}
    assert cost_details({}) == {}


def test_costs_arrive_as_numbers() -> None:
    said = {"llm.cost.prompt": "0.25", "llm.cost.total": 0.25}
    for counted in ({}, {"llm.token_count.prompt": 1}):
        seen = shown(span({**said, **counted}, kind="LLM"))
        assert seen.cost_details == {"input": 0.25, "total": 0.25}


# -- the trace


def test_a_root_without_a_flow_names_the_trace() -> None:
    assert told(span(name="alone"))[names.TRACE_NAME] == "alone"
    assert names.TRACE_NAME not in told(span(name="below", parent=True))
    said = {"langflow.trace.name": "Shop"}
    assert told(span(said, name="below", parent=True))[names.TRACE_NAME] == "Shop"


def test_what_was_given_for_the_run_is_metadata_of_the_trace_and_langchains_of_the_call() -> None:
    given = {"metadata": '{"team": "x", "deep": {"a": 1}}'}
    ours = told(span(given, parent=True))
    assert ours[f"{names.TRACE_METADATA}.team"] == "x"
    assert ours[f"{names.TRACE_METADATA}.deep"] == '{"a":1}'
    theirs = told(span(given, parent=True, scope=LANGCHAIN))
    assert theirs[f"{names.METADATA}.team"] == "x"
    assert "metadata" not in {**ours, **theirs}


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        ("plain-id", "plain-id"),
        ("100% @home", "100% @home"),
        ("Zoë", "Zo%C3%AB"),
        ("Zoë 100%", "Zo%C3%AB 100%25"),
        ("a\nb", "a%0Ab"),
        ("x" * 200, "x" * 200),
    ],
)
def test_an_identifier_is_printable_us_ascii(value: str, sent: str) -> None:
    assert identifier(value) == sent


def test_identifiers_that_are_too_long_stay_apart_and_the_same() -> None:
    long = [f"{'x' * 300}{n}" for n in range(50)] + ["é" * 300, "é" * 301]
    sent = [identifier(value) for value in long]
    assert len(set(sent)) == len(long)
    assert all(len(one) == 200 and one.isascii() for one in sent)
    identifier.cache_clear()
    assert [identifier(value) for value in long] == sent


def test_session_user_and_tags_are_sent_as_identifiers() -> None:
    seen = shown(span({"session.id": "Zoë", "user.id": "u" * 300, "tag.tags": ("ä", "b", "b")}))
    assert seen.session_id == "Zo%C3%AB"
    assert len(seen.user_id or "") == 200
    assert seen.tags == ("%C3%A4", "b")


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ("prod-eu", "prod-eu"),
        ("Prod EU!", "prod-eu"),
        ("langfuse-test", "test"),
        ("x" * 50, "x" * 40),
        ("langfuse", None),
        ("!!", None),
    ],
)
def test_an_environments_name_is_made_one_that_langfuse_takes(
    value: str, named: str | None
) -> None:
    assert environment_name(value) == named


# -- level and message


def test_an_error_has_a_message_that_is_a_text() -> None:
    failed = Status(StatusCode.ERROR)
    event = Event("exception", {"exception.message": "no such order"}, START)
    assert shown(span(status=Status(StatusCode.ERROR, "boom"))).status_message == "boom"
    assert shown(span(status=failed, events=(event,))).status_message == "no such order"
    assert shown(span({"error.type": "ValueError"}, status=failed)).status_message == "ValueError"
    assert told(span(status=failed))[names.STATUS_MESSAGE] == "error"


@pytest.mark.parametrize("status", ["cancelled", "paused"])
@pytest.mark.parametrize("name", ["langflow.flow.status", "langflow.component.status"])
def test_what_was_stopped_is_a_warning_and_no_error(name: str, status: str) -> None:
    seen = shown(span({name: status}))
    assert (seen.level, seen.status_message) == ("WARNING", status)


def test_what_went_well_is_neither() -> None:
    said = told(span({"langflow.flow.status": "ok"}))
    assert names.LEVEL not in said
    assert names.STATUS_MESSAGE not in said


def test_what_a_component_logged_is_kept_though_langfuse_keeps_no_events() -> None:
    line = {"langflow.log.type": "text", "langflow.log.message": "found 3"}
    seen = shown(span(events=(Event("langflow.log", line, START),)))
    assert json.loads(seen.metadata["langflow.log"]) == [{"type": "text", "message": "found 3"}]


# -- the first token


def test_the_first_tokens_time_has_a_zone_and_lies_within_the_call() -> None:
    def began(at: int) -> datetime:
        event = Event("langflow.first_token", {}, at)
        seen = shown(span(kind="LLM", events=(event,)))
        assert seen.completion_start_time is not None
        return seen.completion_start_time

    assert began(START + SECOND // 2).isoformat() == "2023-11-14T22:13:20.500000+00:00"
    assert began(START - 1) < began(START + 1_000) < began(START + 9 * SECOND)
    said = told(span(kind="LLM", events=(Event("langflow.first_token", {}, START),)))
    assert said[names.COMPLETION_START_TIME].endswith("Z")
    assert names.COMPLETION_START_TIME not in told(span(kind="LLM"))
    first = Event("langflow.first_token", {}, START)
    assert names.COMPLETION_START_TIME not in told(span(kind="CHAIN", events=(first,)))


# -- what must never happen


@pytest.mark.parametrize(
    "name",
    ["prompt", "input", "output", "model", "events", "tools", "gen_ai.tool.name", "logfire.msg"],
)
def test_a_name_that_would_hijack_a_field_becomes_metadata(name: str) -> None:
    one = span({name: "hijacker"}, kind="CHAIN")
    assert name not in told(one)
    seen = shown(one)
    assert (seen.name, seen.type, seen.model, seen.input) == ("a span", "chain", None, None)
    assert seen.metadata[name] == "hijacker"


@pytest.mark.parametrize(
    "attributes",
    [
        {names.PROMPT_NAME: "greeting"},
        {names.PROMPT_NAME: "greeting", names.PROMPT_VERSION: "3"},
        {names.PROMPT_NAME: "greeting", names.PROMPT_VERSION: True},
        {names.PROMPT_VERSION: 3},
        {names.STATUS_MESSAGE: 404},
        {names.COMPLETION_START_TIME: "2023-11-14T22:13:20"},
        {names.TYPE: "GENERATION"},
        {names.USAGE_DETAILS: '{"input": 1.5}'},
        {"langfuse.internal.as_root": True},
        {"a": float("nan"), "b": float("inf")},
    ],
)
def test_nothing_that_langfuse_drops_a_span_for_is_passed_on(attributes: dict[str, Any]) -> None:
    assert set(told(span(attributes, kind="LLM"))).isdisjoint(attributes.keys() - {names.TYPE})
    shown(span(attributes, kind="LLM"))


def test_a_prompt_of_langfuses_is_linked_where_name_and_version_are_whole() -> None:
    prompt = {names.PROMPT_NAME: "greeting", names.PROMPT_VERSION: 3}
    seen = shown(span(prompt, kind="LLM"))
    assert (seen.prompt_name, seen.prompt_version) == ("greeting", 3)
    assert names.PROMPT_NAME not in told(span(prompt, kind="CHAIN"))


def test_metadata_that_somebody_set_in_langfuses_words_is_kept() -> None:
    said = {f"{names.METADATA}.shop": "7", f"{names.TRACE_METADATA}.team": "x"}
    seen = shown(span(said))
    assert (seen.metadata["shop"], seen.trace_metadata["team"]) == ("7", "x")


def test_without_content_nothing_makes_any_up() -> None:
    stripped = {
        KIND: "LLM",
        "llm.model_name": "m",
        "llm.token_count.prompt": 3,
        "input.mime_type": "application/json",
        "langflow.component.id": "Model-1",
    }
    for kind in names.TYPE_BY_KIND:
        said = told(span({**stripped, KIND: kind}))
        assert {names.INPUT, names.OUTPUT, names.MODEL_PARAMETERS}.isdisjoint(said)


@pytest.mark.parametrize(
    "odd", [None, True, 1, 1.5, b"x", ("a",), (1, 2), "", "{", "[1]", '{"a":1}', "\ud800"]
)
@pytest.mark.parametrize("kind", [*names.TYPE_BY_KIND, ""])
def test_no_odd_value_raises_or_is_passed_on_as_bytes(kind: str, odd: Any) -> None:
    every = (
        "input.value",
        "output.value",
        "llm.prompts",
        "llm.input_messages.0.message.content",
        "llm.invocation_parameters",
        "llm.tools.0.tool.json_schema",
        "llm.prompt_template.template",
        "llm.token_count.prompt",
        "retrieval.documents.0.document.metadata",
        "reranker.query",
        "metadata",
        "tag.tags",
        "session.id",
        "langflow.trace.name",
        "something.else",
    )
    said = told(span({KIND: kind, **dict.fromkeys(every, odd)}))
    assert said[names.TYPE] in names.TYPES
    assert not any(value is None or isinstance(value, bytes) for value in said.values())


# -- the exporter


@pytest.fixture
def langfuse() -> Iterator[LangfuseReceiver]:
    with LangfuseReceiver() as receiver:
        yield receiver


@pytest.fixture
def configured(langfuse: LangfuseReceiver, environment: pytest.MonkeyPatch) -> LangfuseReceiver:
    """The environment says where the receiver is."""
    for name, value in langfuse.environment.items():
        environment.setenv(name, value)
    return langfuse


def send(*spans: ReadableSpan, **arguments: Any) -> SpanExportResult:
    exporter = LangfuseSpanExporter(**arguments)
    try:
        return exporter.export(spans)
    finally:
        exporter.shutdown()


@pytest.mark.parametrize("name", RECORDINGS)
def test_a_real_flows_spans_arrive_whole(name: str, configured: LangfuseReceiver) -> None:
    spans = record(name)
    assert send(*spans) is SpanExportResult.SUCCESS
    assert len(configured.observations) == len(spans)
    assert configured.other_requests == []
    configured.check_whole()


@pytest.mark.parametrize("name", RECORDINGS)
def test_without_content_no_text_of_the_flow_leaves(
    name: str, configured: LangfuseReceiver
) -> None:
    assert send(*record(name), content=False) is SpanExportResult.SUCCESS
    configured.check_whole()
    for seen in configured.observations:
        assert (seen.input, seen.output, seen.trace_input) == (None, None, None)
        assert "langflow.log" not in seen.metadata
        assert "message" not in str(seen.metadata.get("exception"))


async def test_keys_and_an_address_are_enough(configured: LangfuseReceiver) -> None:
    LangflowInstrumentor().instrument()
    await flows.run_flow(flows.agent_with_tools(), "weather?", session_id="s1")
    LangflowInstrumentor().uninstrument()
    configured.check_whole()
    (root,) = [seen for seen in configured.observations if not seen.parent_id]
    assert (root.type, root.trace_name, root.session_id) == ("chain", "Agent with tools", "s1")
    assert root.trace_input == "weather?"
    assert "generation" in {seen.type for seen in configured.observations}


async def test_what_an_agent_found_is_told_by_the_retriever_and_what_was_embedded_by_the_model(
    configured: LangfuseReceiver,
) -> None:
    LangflowInstrumentor().instrument()
    await flows.run_flow(retrieval.agent_with_store("Shipping is free."), "shipping?")
    LangflowInstrumentor().uninstrument()
    configured.check_whole()
    seen = configured.observations
    above = {one.id: one for one in seen}
    (found,) = [one for one in seen if one.type == "retriever"]
    assert above[found.parent_id].type == "tool"
    assert "Shipping is free." in str(found.output)
    embedded = [one for one in seen if one.type == "embedding"]
    assert {one.parent_id for one in embedded} == {found.id}
    assert {one.model for one in embedded} == {"hash-8"}
    assert "Shipping is free." in str([one.input for one in embedded])


def test_only_the_headers_that_langfuse_wants_are_sent(
    configured: LangfuseReceiver, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("OTEL_EXPORTER_OTLP_HEADERS", "api-key=of-another-vendor")
    send(span(kind="CHAIN"))
    (request,) = configured.requests
    assert request.headers["content-encoding"] == "gzip"
    assert request.headers["x-langfuse-public-key"] == configured.public_key
    assert "api-key" not in request.headers


@pytest.mark.parametrize(
    "form", ["{0}", "{0}/", "{0}//", "{0}/api/public/otel", "{0}/api/public/otel/v1/traces"]
)
def test_the_address_may_be_written_in_several_ways(
    form: str, configured: LangfuseReceiver, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("LANGFUSE_BASE_URL", form.format(configured.endpoint))
    environment.setenv("LANGFUSE_HOST", "http://127.0.0.1:9/the-older-name")
    assert send(span(kind="CHAIN")) is SpanExportResult.SUCCESS


def test_an_address_without_a_scheme_is_understood(configured: LangfuseReceiver) -> None:
    address = configured.endpoint.removeprefix("http://")
    assert send(span(kind="CHAIN"), base_url=address) is SpanExportResult.SUCCESS


def test_a_path_of_ones_own_goes_behind_the_address(
    configured: LangfuseReceiver, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("LANGFUSE_OTEL_TRACES_EXPORT_PATH", "somewhere/else")
    assert send(span(kind="CHAIN")) is SpanExportResult.FAILURE
    assert [attempt.path for attempt in configured.attempts] == ["/somewhere/else"]


@pytest.mark.parametrize(
    ("variable", "value", "line"),
    [
        ("LANGFUSE_SECRET_KEY", "", "LANGFUSE_SECRET_KEY not set"),
        ("LANGFUSE_PUBLIC_KEY", "", "LANGFUSE_PUBLIC_KEY not set"),
        ("LANGFUSE_HOST", "ftp://u:hidden@files.test", "LANGFUSE_HOST="),
        ("LANGFUSE_HOST", "http://[", "LANGFUSE_HOST="),
    ],
)
def test_what_is_set_wrongly_is_said_once_and_nothing_is_sent(
    variable: str,
    value: str,
    line: str,
    configured: LangfuseReceiver,
    environment: pytest.MonkeyPatch,
    said: Any,
) -> None:
    environment.setenv(variable, value)
    exporter = LangfuseSpanExporter()
    (told_of,) = said(logging.WARNING)
    assert line in told_of
    assert configured.secret_key not in told_of
    assert "hidden" not in told_of
    assert exporter.export([span(kind="CHAIN")]) is SpanExportResult.FAILURE
    exporter.shutdown()
    assert configured.attempts == []


def test_wrong_keys_are_named_by_their_variables(
    configured: LangfuseReceiver, environment: pytest.MonkeyPatch, said: Any
) -> None:
    environment.setenv("LANGFUSE_SECRET_KEY", "sk-lf-wrong")
    assert send(span(kind="CHAIN")) is SpanExportResult.FAILURE
    lines = [line for line in said(logging.WARNING) if "LANGFUSE_SECRET_KEY" in line]
    assert lines
    assert not any("sk-lf-wrong" in line for line in lines)


def test_switched_off_nothing_is_sent_and_one_line_says_so(
    configured: LangfuseReceiver, environment: pytest.MonkeyPatch, said: Any
) -> None:
    environment.setenv("LANGFUSE_TRACING_ENABLED", "False")
    assert send(span(kind="CHAIN")) is SpanExportResult.SUCCESS
    assert configured.attempts == []
    (line,) = said(logging.WARNING)
    assert "LANGFUSE_TRACING_ENABLED" in line


def test_the_sample_rate_keeps_the_traces_that_the_sdk_would_keep(
    configured: LangfuseReceiver, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("LANGFUSE_SAMPLE_RATE", "0.5")
    ids = [n * (2**63 // 20) + 7 for n in range(1, 40)]
    send(*(span(kind="CHAIN", trace_id=trace_id) for trace_id in ids))
    sampler = TraceIdRatioBased(0.5)
    kept = {f"{i:032x}" for i in ids if sampler.should_sample(None, i, "").decision.is_sampled()}
    assert {seen.trace_id for seen in configured.observations} == kept
    assert 0 < len(kept) < len(ids)


@pytest.mark.parametrize("rate", ["2", "-1", "half", "nan"])
def test_a_sample_rate_that_is_none_is_said_and_all_is_sent(
    rate: str, configured: LangfuseReceiver, environment: pytest.MonkeyPatch, said: Any
) -> None:
    environment.setenv("LANGFUSE_SAMPLE_RATE", rate)
    send(*(span(kind="CHAIN", trace_id=n) for n in (1, 2**64 - 1)))
    assert len(configured.observations) == 2
    (line,) = said(logging.WARNING)
    assert "LANGFUSE_SAMPLE_RATE" in line


def test_environment_and_release_stand_on_every_span(
    configured: LangfuseReceiver, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("LANGFUSE_RELEASE", "v7")
    resource = {"deployment.environment.name": "staging", "service.version": "1.2"}
    send(span(resource=resource), span(parent=True, resource=resource))
    seen = configured.observations
    assert [(one.environment, one.release, one.version) for one in seen] == [
        ("staging", "v7", "1.2"),
        ("staging", "v7", "1.2"),
    ]


def test_langfuses_own_variable_names_the_environment_first_and_a_wrong_one_is_said_once(
    configured: LangfuseReceiver, environment: pytest.MonkeyPatch, said: Any
) -> None:
    environment.setenv("LANGFUSE_TRACING_ENVIRONMENT", "Prod EU!")
    resource = {"deployment.environment": "staging"}
    send(span(resource=resource), span(resource={**resource, "a": "b"}, parent=True))
    assert {one.environment for one in configured.observations} == {"prod-eu"}
    (line,) = said(logging.WARNING)
    assert "LANGFUSE_TRACING_ENVIRONMENT='Prod EU!'" in line
    assert "using prod-eu" in line


def test_a_company_may_mask_what_goes_there(configured: LangfuseReceiver) -> None:
    hide = lambda text: text.replace(SECRET, "***")  # noqa: E731
    send(span({"input.value": f"I am {SECRET}"}, kind="CHAIN"), mask=hide)
    (seen,) = configured.observations
    assert seen.input == "I am ***"


# -- rules over whole flows


def texts_of(value: Any) -> Iterator[str]:
    """Every text in `value`, out of JSON texts too."""
    if isinstance(value, str):
        try:
            inner = json.loads(value)
        except ValueError:
            inner = value
        if isinstance(inner, str):
            yield inner
        else:
            yield from texts_of(inner)
    elif isinstance(value, dict):
        for one in value.values():
            yield from texts_of(one)
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from texts_of(one)


def content_of(recorded: ReadableSpan) -> set[str]:
    """Texts of a flow that nobody would take for a name: those with a space in them."""
    carriers = ("input.value", "output.value", "llm.input_m", "llm.output_m", "retrieval.doc")
    said = [v for n, v in (recorded.attributes or {}).items() if n.startswith(carriers)]
    said += [(event.attributes or {}).get("exception.message") for event in recorded.events]
    said.append(recorded.status.description)
    return {text for text in texts_of(said) if " " in text.strip()}


@pytest.mark.parametrize("name", RECORDINGS)
def test_with_content_none_no_sentence_of_a_flow_is_anywhere_in_what_is_sent(
    name: str, configured: LangfuseReceiver
) -> None:
    spans = record(name)
    sentences = {text for one in spans for text in content_of(one)}
    # Names, and what a tool is for, are no content.
    for known in ("langflow.flow.name", "tool.description"):
        sentences -= {str((one.attributes or {}).get(known)) for one in spans}
    sentences -= {one.name for one in spans}
    assert len(sentences) > 1
    send(*spans, content=False)
    whole = "\n".join(repr(seen.span) for seen in configured.observations)
    assert [text for text in sentences if text in whole or repr(text)[1:-1] in whole] == []
    send(*spans, content=True)
    with_it = "\n".join(repr(seen.span) for seen in configured.observations)
    assert any(repr(text)[1:-1] in with_it for text in sentences), "the search finds what is there"


@pytest.mark.parametrize("name", RECORDINGS)
def test_the_buckets_of_every_model_call_add_up_to_what_the_model_said(name: str) -> None:
    for recorded in record(name):
        said = recorded.attributes or {}
        details = shown(recorded).usage_details
        total = said.get("llm.token_count.total") if said.get(KIND) == "LLM" else None
        assert details.get("total") == total
        assert sum(n for bucket, n in details.items() if bucket != "total") == (total or 0)


async def test_tags_and_metadata_of_a_run_stand_where_langfuse_looks_for_them(
    configured: LangfuseReceiver,
) -> None:
    using_attributes = pytest.importorskip("openinference.instrumentation").using_attributes
    LangflowInstrumentor().instrument()
    with using_attributes(tags=["a", "Zoë"], metadata={"team": "x"}):
        await flows.run_flow(flows.agent_with_tools(), "weather?", session_id="s1")
    LangflowInstrumentor().uninstrument()
    configured.check_whole()
    seen = configured.observations
    assert {one.tags for one in seen} == {("a", "Zo%C3%AB")}
    (root,) = [one for one in seen if not one.parent_id]
    assert root.trace_metadata["team"] == "x"
    assert {one.metadata["team"] for one in seen if one.type == "generation"} == {"x"}


# -- spans of others


def test_a_span_in_genais_words_only_is_a_whole_generation() -> None:
    seen = shown(
        span(
            {
                "gen_ai.operation.name": "chat",
                "gen_ai.request.model": "asked",
                "gen_ai.response.model": "answering",
                "gen_ai.usage.input_tokens": 10,
                "gen_ai.usage.output_tokens": 4,
                "gen_ai.usage.cache_read.input_tokens": 6,
                "gen_ai.usage.cost": 0.5,
                "gen_ai.input.messages": '[{"role":"user","content":"hello"}]',
                "gen_ai.output.messages": '[{"role":"assistant","content":"hi"}]',
                "gen_ai.conversation.id": "Zoë" + "x" * 300,
            },
            scope="openinference.other",
        )
    )
    assert (seen.type, seen.model) == ("generation", "answering")
    assert seen.usage_details == {
        "input": 4,
        "input_cached_tokens": 6,
        "output": 4,
        "total": 14,
    }
    assert seen.cost_details == {"total": 0.5}
    assert seen.input == [{"role": "user", "content": "hello"}]
    assert seen.output == [{"role": "assistant", "content": "hi"}]
    assert len(seen.session_id or "") == 200


def test_the_session_goes_before_genais_conversation() -> None:
    seen = shown(span({"session.id": "s", "gen_ai.conversation.id": "é"}))
    assert seen.session_id == "s"
    assert "gen_ai.conversation.id" not in seen.metadata["attributes"]


@pytest.mark.parametrize(
    "name",
    [
        "ai.operationId",
        "ai.prompt.messages",
        "ai.toolCall.name",
        "all_messages_events",
        "final_result",
        "gcp.vertex.agent.llm_request",
        "gen_ai.agent.name",
        "genkit:input",
        "genkit:name",
        "lk.input_text",
        "mlflow.spanInputs",
        "pydantic_ai.all_messages",
        "tool_arguments",
        "traceloop.entity.input",
    ],
)
def test_what_another_vendors_sdk_would_say_with_is_metadata_of_the_observation(name: str) -> None:
    said = told(span({name: "hijacker"}, kind="CHAIN"))
    assert name not in said
    assert said[f"{names.METADATA}.{name}"] == "hijacker"


# -- limits and marks


def test_a_thousand_messages_are_a_chat_of_a_thousand() -> None:
    many = {
        f"llm.input_messages.{n}.message.{field}": said
        for n in range(1000)
        for field, said in (("role", "user"), ("content", f"message {n}"))
    }
    more = {f"other.{n}": n for n in range(5000)}
    seen = shown(span({**many, **more}, kind="LLM"))
    assert [message["content"] for message in seen.input] == [f"message {n}" for n in range(1000)]
    assert seen.metadata["attributes"] == {KIND: "LLM", **more}


def test_what_was_cut_or_left_out_is_marked_as_that() -> None:
    marks = {
        "langflow.content.shed": True,
        "langflow.input.truncated": True,
        "langflow.input.original_length": 70_000,
    }
    assert marks.items() <= dict(shown(span(marks, kind="CHAIN")).metadata).items()


def test_an_environment_of_which_nothing_is_left_is_the_default_one(
    configured: LangfuseReceiver, said: Any
) -> None:
    send(span(resource={"deployment.environment.name": "!!"}))
    configured.check_whole()
    assert [one.environment for one in configured.observations] == ["default"]
    (line,) = said(logging.WARNING)
    assert "deployment.environment.name='!!'" in line


# -- the exporter's tree, keys and sampling


def test_below_a_request_the_flow_is_the_root_and_the_request_stays_away(
    configured: LangfuseReceiver,
) -> None:
    request = span(name="POST /run", scope="opentelemetry.instrumentation.fastapi")
    flow = span(
        {"langflow.trace.name": "Shop", "langflow.export.parent": ""}, kind="CHAIN", parent=True
    )
    assert send(request, flow) is SpanExportResult.SUCCESS
    configured.check_whole()
    (seen,) = configured.observations
    assert (seen.parent_id, seen.trace_name, seen.name) == ("", "Shop", "a span")


def test_a_flow_that_another_langflow_called_hangs_on_what_called_it(
    configured: LangfuseReceiver,
) -> None:
    called = span({"langflow.export.parent": f"{7:016x}"}, kind="CHAIN", parent=True)
    send(called)
    (seen,) = configured.observations
    assert seen.parent_id == f"{7:016x}"
    assert configured.violations == []


def test_arguments_go_before_what_the_environment_says(
    configured: LangfuseReceiver, environment: pytest.MonkeyPatch
) -> None:
    for variable in ("LANGFUSE_PUBLIC_KEY", "LANGFUSE_SECRET_KEY", "LANGFUSE_BASE_URL"):
        environment.setenv(variable, "http://127.0.0.1:9/of-somebody-else")
    given = {"public_key": configured.public_key, "secret_key": configured.secret_key}
    sent = send(span(kind="CHAIN"), **given, base_url=configured.endpoint)
    assert sent is SpanExportResult.SUCCESS
    assert len(configured.observations) == 1


def test_the_sample_rate_0_sends_nothing(
    configured: LangfuseReceiver, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("LANGFUSE_SAMPLE_RATE", "0")
    spans = [span(kind="CHAIN", trace_id=n) for n in (1, 2**63, 2**64 - 1)]
    assert send(*spans) is SpanExportResult.SUCCESS
    assert configured.attempts == []


def test_of_a_sampled_trace_all_spans_are_sent_and_of_another_none(
    configured: LangfuseReceiver, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("LANGFUSE_SAMPLE_RATE", "0.5")
    low, high = 5, 2**64 - 5
    spans = [span(kind="CHAIN", trace_id=i, parent=below) for i in (low, high) for below in (0, 1)]
    send(*spans)
    assert [seen.trace_id for seen in configured.observations] == [f"{low:032x}"] * 2
