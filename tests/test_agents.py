"""An agent is one span with its turns and its tools below it, whatever a tool is."""

from __future__ import annotations

import asyncio
import importlib.metadata
import importlib.util
import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import StructuredTool

from langflow_otel.demo.components import WeatherComponent
from langflow_otel.demo.flows import add_agent
from tests.conftest import Traced
from tests.support import agents, flows
from tests.support.inside import inside_a_flow
from tests.support.invariants import check
from tests.support.select import main_parts, named, only
from tests.support.spans import Span
from tests.support.tree import overlapping, render
from tests.support.versions import before


@pytest.fixture(params=[True, False], ids=["langchain", "alone"])
def langchain(request: pytest.FixtureRequest, environment: pytest.MonkeyPatch) -> bool:
    """Whether LangChain is traced, too; asked for before `traced`."""
    environment.setenv("OTEL_PYTHON_LANGFLOW_INSTRUMENT_LANGCHAIN", str(request.param).lower())
    return request.param


@pytest.fixture(autouse=True)
def _spans_of_components(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let a component's own `trace.get_tracer(...)` reach the same provider."""
    import opentelemetry.trace as api

    before = api._TRACER_PROVIDER
    if "traced" in request.fixturenames:
        if "langchain" in request.fixturenames:
            request.getfixturevalue("langchain")
        api._TRACER_PROVIDER = request.getfixturevalue("traced").provider
    yield
    api._TRACER_PROVIDER = before


def agent_part(spans: list[Span]) -> str:
    """The agent at the flow's heart and what is below it, without LangChain's own steps.

    And without the one span that stands for all of an agent's turns where LangChain is not traced.
    """

    def keep(span: Span) -> bool:
        stands_for_turns = span.kind == "LLM" and span.scope == "langflow_otel"
        return span.name != "flow.execute" and not stands_for_turns

    tree = render(only(main_parts(spans), keep)).splitlines()
    begin = next(n for n, line in enumerate(tree) if line.startswith("  AGENT"))
    after = (n for n, line in enumerate(tree) if n > begin and line.startswith("  CHAIN"))
    end = next(after, len(tree))
    return "\n".join(line.removeprefix("  ") for line in tree[begin:end])


def tool_calls(spans: list[Span], name: str) -> list[Span]:
    return [span for span in spans if span.kind == "TOOL" and span.name == name]


async def test_turns_and_tools_are_below_the_one_agent_in_order(traced: Traced) -> None:
    await flows.run_flow(flows.agent_with_tools(), "weather?", session_id="s1")

    spans = traced.spans()
    check(spans, session="s1", traces=1)
    tree = agent_part(spans).splitlines()
    tree[2:4] = sorted(tree[2:4])
    assert tree == [
        "AGENT Agent",
        "  LLM ScriptedChatModel",
        "  TOOL get_distance",
        "  TOOL get_weather",
        "  LLM ScriptedChatModel",
    ]
    (agent,) = [span for span in spans if span.kind == "AGENT"]
    assert agent.scope == "langflow_otel"
    assert agent.attributes["agent.name"] == "Agent"
    assert agent.attributes["langflow.agent.type"] == "root"


async def test_a_tool_calling_agent_of_the_old_kind_is_one_agent(traced: Traced) -> None:
    calls = [{"name": "get_weather", "args": {"city": "Oslo"}}]
    old = agents.agent_with("Old agent", calls, WeatherComponent, add=agents.add_old_agent)
    await flows.run_flow(old, "weather?")

    spans = traced.spans()
    check(spans, traces=1)
    assert (
        agent_part(spans)
        == """\
AGENT Tool Calling Agent
  LLM ScriptedChatModel
  TOOL get_weather
  LLM ScriptedChatModel"""
    )
    assert [span.name for span in spans if span.kind == "AGENT"] == ["Tool Calling Agent"]


#: Langflow's own agent, and what that was before, by the name of its component.
KINDS = {"Agent": add_agent, "Tool Calling Agent": agents.add_old_agent}


@pytest.mark.parametrize("kind", KINDS)
async def test_tool_calls_at_once_are_siblings_with_their_own_work_below(
    traced: Traced, kind: str
) -> None:
    calls = [{"name": "dawdle", "args": {"what": what}} for what in ("left", "right")]
    flow = agents.agent_with("At once", calls, agents.SlowComponent, add=KINDS[kind])
    await flows.run_flow(flow)

    spans = traced.spans()
    check(spans, traces=1)
    assert [span.name for span in spans if span.kind == "AGENT"] == [kind]
    one, other = tool_calls(spans, "dawdle")
    assert overlapping(one, other)
    for call in (one, other):
        (work,) = [span for span in spans if span.parent_id == call.span_id]
        assert work.name.startswith("work on ")


@pytest.mark.parametrize("kind", KINDS)
async def test_a_tool_that_fails_is_an_error_and_the_agent_goes_on(
    traced: Traced, kind: str
) -> None:
    calls = [{"name": "break_down", "args": {"what": "the impossible"}}]
    flow = agents.agent_with("Fails", calls, agents.BrokenComponent, add=KINDS[kind])
    answer = await flows.run_flow(flow)

    assert answer == "The tools answered: cannot do the impossible"
    spans = traced.spans()
    check(spans, traces=1)
    assert (
        agent_part(spans)
        == f"""\
AGENT {kind}
  LLM ScriptedChatModel
  TOOL break_down !error
  LLM ScriptedChatModel"""
    )
    (call,) = tool_calls(spans, "break_down")
    assert call.attributes["error.type"] == "LookupError"
    assert call.status_message == "cannot do the impossible"
    (event,) = [event for event in call.events if event.name == "exception"]
    assert event.attributes["exception.type"] == "LookupError"
    assert named(spans, kind).status == "OK"
    assert named(spans, "Fails").status == "OK"


async def test_a_tool_that_fails_tells_no_more_than_its_type_where_content_is_not_wanted(
    environment: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    environment.setenv("OTEL_PYTHON_LANGFLOW_CAPTURE_EXCEPTIONS", "false")
    traced: Traced = request.getfixturevalue("traced")
    calls = [{"name": "break_down", "args": {"what": "the impossible"}}]
    await flows.run_flow(agents.agent_with("Fails", calls, agents.BrokenComponent))

    spans = traced.spans()
    check(spans, traces=1)
    (call,) = tool_calls(spans, "break_down")
    assert call.status_message == "LookupError"
    assert [event.attributes for event in call.events] == [{"exception.type": "LookupError"}]


async def test_tools_of_a_library_are_told_with_the_component_that_provides_them(
    langchain: bool, traced: Traced
) -> None:
    calls = [{"name": name, "args": {"text": "abc"}} for name in ("reverse", "double")]
    answer = await flows.run_flow(agents.agent_with_library_tools(calls))

    assert answer == "The tools answered: cba; abcabc"
    spans = traced.spans()
    check(spans, traces=1)
    for name, description in (("reverse", "Reverses a text."), ("double", "Say it twice.")):
        (call,) = tool_calls(spans, name)
        told = call.attributes
        assert told["tool.name"] == name
        assert told["tool.description"] == description
        assert told["langflow.component.id"] == "ShelfTools-demo"
        assert json.loads(told["tool.parameters"])["text"]["type"] == "string"
        assert "abc" in told["input.value"]


@pytest.mark.skipif(
    importlib.util.find_spec("langflow") is not None,
    reason="a whole Langflow takes the flow from its database: see test_server",
)
async def test_a_flow_that_is_a_tool_is_below_its_call(langchain: bool, traced: Traced) -> None:
    inner = flows.model_in_a_span()
    await flows.run_flow(agents.agent_with_flow_tool(inner, "chat_input"), session_id="s1")

    spans = traced.spans()
    check(spans, session="s1", traces=1)
    ours = only(spans, lambda s: s.scope == "langflow_otel" or s.kind == "TOOL")
    assert (
        agent_part(ours)
        == """\
AGENT Agent
  TOOL ask
    CHAIN Model in a span
      CHAIN Chat Input
      CHAIN Ask
      CHAIN Chat Output"""
    )
    (call,) = tool_calls(spans, "ask")
    assert call.attributes["langflow.component.id"] == "FlowAsTool-demo"
    if langchain:
        (ask,) = [span for span in spans if span.name == "Ask"]
        (work,) = [span for span in spans if span.name == "my own work"]
        (model,) = [s for s in spans if s.kind == "LLM" and overlapping(s, work)]
        assert work.parent_id == ask.span_id
        assert model.parent_id == work.span_id


@pytest.mark.skipif(before("0.3"), reason="an agent cannot be a tool in Langflow 1.7")
async def test_an_agent_that_is_a_tool_is_an_agent_below_the_call(
    langchain: bool, traced: Traced
) -> None:
    calls = [{"name": "dawdle", "args": {"what": "it"}}]
    await flows.run_flow(agents.agent_as_tool(calls, agents.SlowComponent), session_id="s1")

    spans = traced.spans()
    check(spans, session="s1", traces=1)
    tree = agent_part(spans).splitlines()
    assert [line for line in tree if "LLM" not in line] == [
        "AGENT Agent",
        f"  TOOL {agents.HELPER_TOOL}",
        "    AGENT Helper",
        "      TOOL dawdle",
    ]
    turns = ["  LLM ScriptedChatModel"] * 2
    turns[1:1] = ["      LLM ScriptedChatModel"] * 2
    assert [line for line in tree if "LLM" in line] == (turns if langchain else [])
    assert named(spans, "Agent").attributes["langflow.agent.type"] == "root"
    (helper,) = [span for span in spans if span.kind == "AGENT" and span.name == "Helper"]
    assert helper.attributes["langflow.agent.type"] == "subagent"


async def test_a_component_that_only_makes_a_tool_of_itself_is_no_agent(traced: Traced) -> None:
    await flows.run_flow(agents.agent_as_tool([], agents.SlowComponent))

    spans = traced.spans()
    # In Langflow 1.7 an agent that is a tool fails, and what LangChain does for it ends later.
    check(spans, traces=1, may_outlive_parent=["AgentExecutor"] if before("0.3") else ())
    made = [span for span in spans if span.name == "Helper" and span.kind == "CHAIN"]
    assert len(made) == 1


async def test_a_component_that_finds_documents_does_so_below_its_call(traced: Traced) -> None:
    calls = [{"name": "find", "args": {"search_query": "refunds?"}}]
    flow = agents.agent_with("Librarian", calls, agents.LibraryComponent)
    await flows.run_flow(flow)

    spans = traced.spans()
    check(spans, traces=1)
    assert (
        agent_part(spans)
        == """\
AGENT Agent
  LLM ScriptedChatModel
  TOOL find
    RETRIEVER Library
  LLM ScriptedChatModel"""
    )
    (found,) = [span for span in spans if span.kind == "RETRIEVER"]
    assert found.attributes["retrieval.documents.0.document.content"] == "Refunds take 14 days."
    assert found.attributes["retrieval.documents.0.document.score"] == 0.9
    assert json.loads(found.attributes["input.value"]) == {"search_query": "refunds?"}


@pytest.mark.parametrize("langchain", [True, False])
async def test_a_tool_that_no_flow_calls_is_no_business_of_ours(
    environment: pytest.MonkeyPatch, request: pytest.FixtureRequest, langchain: bool
) -> None:
    from langchain_core.tools import tool

    @tool
    def double(number: int) -> int:
        """Doubles a number."""
        return 2 * number

    environment.setenv("OTEL_PYTHON_LANGFLOW_INSTRUMENT_LANGCHAIN", str(langchain).lower())
    traced: Traced = request.getfixturevalue("traced")
    call = {"name": "double", "args": {"number": 21}, "id": "call-1", "type": "tool_call"}
    assert double.invoke(call).content == "42"
    assert (await double.ainvoke(call)).content == "42"

    spans = traced.spans()
    assert [span for span in spans if span.scope == "langflow_otel"] == []
    assert len(spans) == (2 if langchain else 0)
    assert not {"tool.id", "langflow.component.id"} & {n for s in spans for n in s.attributes}


async def test_a_tool_that_is_cancelled_leaves_nothing_open(traced: Traced) -> None:
    calls = [{"name": "dawdle", "args": {"what": "it"}}]
    flow = agents.agent_with("Cancelled", calls, agents.SlowComponent, seconds=3600)
    task = asyncio.create_task(flows.run_flow(flow))
    await asyncio.sleep(2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    spans = traced.spans()
    check(spans, traces=1)
    (call,) = tool_calls(spans, "dawdle")
    assert [span.name for span in spans if span.parent_id == call.span_id] == ["work on it"]
    assert named(spans, "Agent").attributes["langflow.component.status"] == "cancelled"


#: What it says then is Langflow's, and no error: it has no status of its own for that.
STOPPED = {
    "Agent": "Agent stopped due to max iterations."
    if before("1.10")
    else "Model call limits exceeded: run limit (3/3)",
    "Tool Calling Agent": "Agent stopped due to iteration limit or time limit.",
}


@pytest.mark.parametrize("kind", KINDS)
async def test_an_agent_that_comes_to_its_last_turn_is_stopped_and_told(
    langchain: bool, traced: Traced, kind: str
) -> None:
    answer, status = STOPPED[kind], "ok"
    flow = agents.agent_without_end(turns=3, add=KINDS[kind])
    try:
        assert await flows.run_flow(flow, session_id="s1") == answer
    except ValueError as error:
        # Langflow 1.10 and 1.11 run into LangGraph's own limit before the agent comes to its.
        if before("1.10") or not before("1.12") or "Recursion limit" not in str(error):
            raise
        answer, status = "", "error"

    spans = traced.spans()
    check(spans, session="s1", traces=1)
    turns = ["  LLM EndlessModel", "  TOOL dawdle"] * 3
    tree = agent_part(spans).splitlines()
    assert tree[0] == f"AGENT {kind}" + (" !error" if status == "error" else "")
    told = turns if status == "ok" else turns[:-1]
    assert tree[1:] == [line for line in told if langchain or "LLM" not in line]
    for name, key in ((kind, "langflow.component.status"), ("Endless", "langflow.flow.status")):
        span = named(spans, name)
        assert span.attributes[key] == status
        assert span.attributes.get("output.value", "") == answer
    calls = tool_calls(spans, "dawdle")
    assert {call.status for call in calls} == {"OK"}
    assert not any(overlapping(one, other) for one, other in pairwise(_in_order(calls)))


def _in_order(spans: list[Span]) -> list[Span]:
    return sorted(spans, key=lambda span: span.start_ns)


async def test_tools_are_left_as_they_were_after_uninstrument(
    receiver: Any, environment: pytest.MonkeyPatch
) -> None:
    from langflow_otel import LangflowInstrumentor

    def twice(text: str) -> str:
        """Say it twice."""
        return text * 2

    class Own(StructuredTool):
        def _run(self, *args: Any, config: RunnableConfig, **kwargs: Any) -> Any:
            return super()._run(*args, config=config, **kwargs)

    environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint)
    before = vars(Own)["_run"], vars(StructuredTool)["_run"], vars(StructuredTool)["_arun"]
    LangflowInstrumentor().instrument()
    try:
        tool = Own.from_function(twice, name="twice")
        with inside_a_flow():
            assert tool.invoke({"text": "a"}) == "aa"
            assert await tool.ainvoke({"text": "a"}) == "aa"
        assert vars(Own)["_run"] is not before[0]
    finally:
        LangflowInstrumentor().uninstrument()
    after = vars(Own)["_run"], vars(StructuredTool)["_run"], vars(StructuredTool)["_arun"]
    assert after == before
    assert tool.invoke({"text": "a"}) == "aa"
