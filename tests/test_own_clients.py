"""A component that calls a provider itself, without LangChain, is told with its model call."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import Traced
from tests.support import flows, own_client_flows
from tests.support.invariants import check
from tests.support.openai_answers import Answer, Ask, Usage
from tests.support.openai_server import OpenAIServer
from tests.support.reader import Reader
from tests.support.select import OURS, main_parts, named
from tests.support.tree import render
from tests.support.versions import before

MODEL = "gpt-4o-mini-2024-07-18"
TOKENS = ("prompt", "completion", "total")

messages_tell = pytest.mark.skipif(before("0.3"), reason="no message tells of tokens before 1.8")


def _says(ask: Ask) -> Answer:
    # Of what came out of a cache a message of Langflow's says nothing.
    return Answer(f"You asked: {ask.question}", usage=Usage(5, 3))


@pytest.fixture
def openai() -> Iterator[OpenAIServer]:
    with OpenAIServer(_says) as started:
        yield started
        assert started.rejected == []


async def test_its_call_is_a_model_span_as_far_as_its_message_tells(
    traced: Traced, openai: OpenAIServer
) -> None:
    answer = await flows.run_flow(own_client_flows.asking(openai), "what is a span?")

    (call,) = openai.calls
    assert answer == call.answer.text
    spans = traced.spans()
    if before("0.3"):
        # There a message has no place for it: Langflow knows nothing.
        check(spans, traces=1)
        assert [span for span in spans if span.kind == "LLM"] == []
        return
    check(spans, traces=1, calls=[call])
    assert (
        render(spans)
        == f"""\
CHAIN Asking
  CHAIN Chat Input
  CHAIN Asker
    LLM {MODEL}
  CHAIN Chat Output"""
    )
    (model,) = [span for span in spans if span.kind == "LLM"]
    assert model.scope == "langflow_otel"
    assert model.status == "OK"
    assert model.attributes["llm.model_name"] == MODEL
    usage = call.usage
    counted = [model.attributes[f"llm.token_count.{name}"] for name in TOKENS]
    assert counted == [usage.prompt, usage.completion, usage.total]
    totals = named(spans, "Asking").attributes
    assert totals["langflow.usage.model_calls"] == 1
    assert totals["langflow.usage.total_tokens"] == usage.total


@messages_tell
@pytest.mark.parametrize("ways", [["as it is"], ["copied"], ["put away", "taken out"]], ids=str)
async def test_a_message_that_is_handed_on_tells_of_the_call_once(
    traced: Traced, openai: OpenAIServer, ways: list[str]
) -> None:
    flow = own_client_flows.handing_on(openai, *ways)
    answer = await flows.run_flow(flow, "what is a span?")

    (call,) = openai.calls
    assert answer == call.answer.text
    spans = traced.spans()
    check(spans, traces=1, calls=[call])
    (model,) = [span for span in spans if span.kind == "LLM"]
    assert model.parent_id == named(spans, "Asker").span_id


@messages_tell
async def test_the_answer_of_a_flow_tells_of_the_calls_in_it_once(
    traced: Traced, openai: OpenAIServer
) -> None:
    await flows.run_flow(own_client_flows.asking_flow(openai), "what is a span?")

    spans = traced.spans()
    check(spans, traces=1, calls=openai.calls)
    for name in ("Asking a flow", "Inner"):
        assert named(spans, name).attributes["langflow.usage.model_calls"] == 1


@messages_tell
async def test_calls_that_take_the_same_are_all_told(traced: Traced, openai: OpenAIServer) -> None:
    await flows.run_flow(own_client_flows.loop(openai), "one, two, six")

    spans = traced.spans()
    check(spans, traces=1, calls=openai.calls)
    totals = named(spans, "Asking in a loop").attributes
    assert totals["langflow.usage.model_calls"] == len(openai.calls) == 3
    assert totals["langflow.usage.total_tokens"] == 3 * openai.calls[0].usage.total


@messages_tell
async def test_a_frozen_one_has_called_nothing(traced: Traced, openai: OpenAIServer) -> None:
    flow = own_client_flows.handing_on(openai, "as it is")
    (asker,) = [n for n in flow["data"]["nodes"] if n["data"]["type"] == "Asker"]
    asker["data"]["node"]["frozen"] = True
    with flows.vertex_cache():
        await flows.run_flow(flow)
        traced.clear()
        await flows.run_flow(flow)

    assert len(openai.calls) == 1
    spans = traced.spans()
    check(spans, traces=1, calls=[])
    assert named(spans, "Asker").attributes["langflow.component.cached"] is True


@pytest.mark.parametrize("how", ["usage_metadata", "an object", "token_usage", "usage"])
async def test_what_its_stream_took_is_told_however_a_piece_says_it(
    traced: Traced, how: str
) -> None:
    reader = Reader()
    flow = own_client_flows.streaming(how)
    assert await flows.run_flow(flow, "be it", event_manager=reader.manager) == "so be it"

    spans = traced.spans()
    check(spans, traces=1)
    assert (
        render(main_parts(spans))
        == """\
CHAIN Pieces of its own
  CHAIN Chat Input
  CHAIN Pieces
    LLM pieces-1
  CHAIN Chat Output"""
    )
    (model,) = [span for span in spans if span.kind == "LLM"]
    assert [event.name for event in model.events] == ["langflow.first_token"]
    told = model.attributes
    assert told["llm.token_count.prompt"] == 3
    assert told["llm.token_count.completion"] == 2
    totals = named(spans, "Pieces of its own").attributes
    assert totals["langflow.usage.total_tokens"] == 5


@pytest.mark.skipif(before("0.4"), reason="Langflow counts no tokens here before 1.9")
@pytest.mark.parametrize("langchain", [True, False])
async def test_a_component_of_langflows_own_that_asks_a_model_is_told_with_one_call(
    environment: pytest.MonkeyPatch, request: pytest.FixtureRequest, langchain: bool
) -> None:
    pytest.importorskip("lfx.components.llm_operations", reason="it counts no tokens here")
    environment.setenv("OTEL_PYTHON_LANGFLOW_INSTRUMENT_LANGCHAIN", str(langchain).lower())
    traced: Traced = request.getfixturevalue("traced")

    assert await flows.run_flow(own_client_flows.smart_transform(), "softly") == "SOFTLY"

    spans = traced.spans()
    check(spans, traces=1)
    (model,) = [span for span in spans if span.kind == "LLM"]
    assert model.parent_id == named(spans, "Smart Transform").span_id
    assert model.attributes["llm.token_count.total"] > 0
    total = named(spans, "Transform").attributes["langflow.usage.total_tokens"]
    assert total == model.attributes["llm.token_count.total"]
    assert model.scope == ("openinference.instrumentation.langchain" if langchain else OURS)
