"""The recordings are whole traces of what they are called, and leave nothing behind."""

from __future__ import annotations

import json
import os

import pytest

from langflow_otel import LangflowInstrumentor
from tests.conftest import Traced
from tests.support import recorded
from tests.support.invariants import check
from tests.support.recorded import RECORDINGS, SESSION, USER, record
from tests.support.select import main_parts, only
from tests.support.spans import Span, from_readable
from tests.support.tree import render

TREES = {
    "chat": """\
CHAIN Linear chat
  CHAIN Chat Input
  PROMPT Prompt Template
  CHAIN Scripted Model
    LLM ScriptedChatModel
  CHAIN Chat Output""",
    "rag": """\
CHAIN Questions about refunds
  CHAIN Chat Input
  RETRIEVER Library
    EMBEDDING CreateEmbeddings
    EMBEDDING CreateEmbeddings
  CHAIN Excerpts
  PROMPT Prompt Template
  CHAIN Scripted Model
    LLM ScriptedChatModel
  CHAIN Chat Output""",
    "error": """\
CHAIN Failing !error
  CHAIN Chat Input
  CHAIN Order Lookup !error
CHAIN Model fails !error
  CHAIN Chat Input
  CHAIN Overloaded Model !error
    LLM Overloaded Model !error""",
    "streaming": """\
CHAIN Streamed by model
  CHAIN Chat Input
  CHAIN Scripted Model
    LLM Scripted Model
  CHAIN Chat Output""",
    "nested": """\
CHAIN Flow in flow
  CHAIN Chat Input
  CHAIN Call Flow
    CHAIN Inner
      CHAIN Chat Input
      PROMPT Prompt Template
      CHAIN Scripted Model
        LLM ScriptedChatModel
      CHAIN Chat Output
  CHAIN Chat Output""",
}


def _spans(name: str) -> list[Span]:
    return [from_readable(span) for span in record(name)]


def _of_kind(name: str, kind: str) -> list[Span]:
    return sorted((s for s in _spans(name) if s.kind == kind), key=lambda span: span.start_ns)


@pytest.mark.parametrize("name", RECORDINGS)
def test_a_recording_is_a_whole_trace_of_one_session_and_user(name: str) -> None:
    spans = _spans(name)
    check(spans, session=SESSION, traces=2 if name == "error" else 1)
    assert {span.attributes["user.id"] for span in spans} == {USER}
    assert {span.scope for span in spans} == {
        "langflow_otel",
        "openinference.instrumentation.langchain",
    }


@pytest.mark.parametrize("name", TREES)
def test_a_recording_shows_what_ran(name: str) -> None:
    # It hands out the embeddings beside the input: which starts first is nobody's promise.
    spans = only(_spans(name), lambda span: span.name != "Wordless Embeddings")
    assert render(main_parts(spans)) == TREES[name]


@pytest.mark.parametrize("name", ["agent", "tools failing"])
def test_an_agent_calls_its_model_then_two_tools_then_its_model(name: str) -> None:
    steps = only(_spans(name), lambda span: span.kind in {"LLM", "TOOL"})
    called = "look_up" if name == "tools failing" else "get_distance"
    ordered = [span.name for span in sorted(steps, key=lambda span: span.start_ns)]
    assert [ordered[0], ordered[-1]] == ["ScriptedChatModel", "ScriptedChatModel"]
    assert sorted(ordered[1:-1]) == sorted(["get_weather", called])
    first = _of_kind(name, "LLM")[0].attributes
    function = "llm.output_messages.0.message.tool_calls.1.tool_call.function.name"
    assert first[function] == called
    assert first["llm.tools.1.tool.json_schema"]


def test_an_agent_recovers_from_a_tool_that_fails() -> None:
    answer = _of_kind("tools failing", "LLM")[-1].attributes
    assert "no such order: 4711" in answer["llm.output_messages.0.message.content"]
    agents = [s for s in _of_kind("tools failing", "AGENT") if s.scope == "langflow_otel"]
    assert [span.status for span in agents] == ["OK"]


@pytest.mark.parametrize("name", ["chat", "agent", "rag", "streaming", "nested"])
def test_a_model_says_what_it_was_asked_and_how_much_it_took(name: str) -> None:
    for span in _of_kind(name, "LLM"):
        assert span.attributes["llm.input_messages.0.message.role"] in {"user", "system"}
        assert span.attributes["llm.output_messages.0.message.role"] == "assistant"
        assert span.attributes["llm.token_count.total"] == (
            span.attributes["llm.token_count.prompt"]
            + span.attributes["llm.token_count.completion"]
        )


def test_the_documents_of_a_retriever_are_recorded_by_component_and_by_langchain() -> None:
    component, langchain = _of_kind("rag", "RETRIEVER")
    # The documents', once they are put in, and the question's.
    assert [(span.name, span.parent_id) for span in _of_kind("rag", "EMBEDDING")] == [
        ("CreateEmbeddings", component.span_id)
    ] * 2
    assert langchain.parent_id == component.span_id
    for span in (component, langchain):
        contents = [
            span.attributes[f"retrieval.documents.{number}.document.content"] for number in (0, 1)
        ]
        assert set(contents) < {
            "Refunds take 14 days.",
            "Parcels take 3 days.",
            "The shop opens at nine.",
        }
        metadata = json.loads(span.attributes["retrieval.documents.0.document.metadata"])
        assert metadata["source"].endswith(".pdf")


def test_the_streaming_model_answered_in_pieces() -> None:
    (model,) = _of_kind("streaming", "LLM")
    assert "AIMessageChunk" in model.attributes["output.value"]


def test_what_failed_carries_its_exception() -> None:
    failed = [span for span in _spans("error") if span.status == "ERROR"]
    assert len(failed) == 5
    components = [span for span in failed if "langflow.component.id" in span.attributes]
    assert {span.status_message for span in components} == {
        "no such order: 4711",
        recorded.REFUSED,
    }
    for span in components:
        (event,) = [event for event in span.events if event.name == "exception"]
        assert event.attributes["exception.message"] == span.status_message


async def test_a_recording_is_made_inside_of_a_running_event_loop_and_kept() -> None:
    first, second = record("chat"), record("chat")
    assert first is not second
    assert all(one is other for one, other in zip(first, second, strict=True))


def test_a_recording_leaves_nothing_behind(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("OTEL_PYTHON_LANGFLOW_CAPTURE_INPUTS", "false")
    before = dict(os.environ)
    recorded._recorded.cache_clear()
    assert _of_kind("chat", "LLM")[0].attributes["input.value"], "as if the variable were not set"
    from openinference.instrumentation.langchain import LangChainInstrumentor

    assert dict(os.environ) == before
    assert not LangflowInstrumentor().is_instrumented_by_opentelemetry
    assert not LangChainInstrumentor().is_instrumented_by_opentelemetry


def test_nothing_is_recorded_where_langflow_is_instrumented(traced: Traced) -> None:
    recorded._recorded.cache_clear()
    with pytest.raises(RuntimeError, match="instrumented already"):
        record("chat")


def test_a_streamed_answer_tells_when_it_began() -> None:
    spans = recorded.record("streaming")
    told = [
        (span, event)
        for span in spans
        for event in span.events
        if event.name == "langflow.first_token"
    ]
    assert len(told) == 1
    span, event = told[0]
    assert span.attributes["openinference.span.kind"] == "LLM"
    assert span.start_time <= event.timestamp <= span.end_time
