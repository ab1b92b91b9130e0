"""Phoenix, Langfuse and LangSmith are told the same of a run, whatever its shape."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, suppress
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from lfx.graph.graph.base import Graph

from langflow_otel import LangflowInstrumentor
from tests.support import agents, control_flows, flows, own_client_flows, retrieval
from tests.support.inside import inside_a_flow
from tests.support.invariants import check
from tests.support.langfuse import LangfuseReceiver
from tests.support.langsmith import LangSmithReceiver
from tests.support.openai_answers import Answer
from tests.support.openai_server import OpenAIServer
from tests.support.reader import Reader
from tests.support.receiver import OtlpReceiver
from tests.support.select import named
from tests.support.spans import Span
from tests.support.tree import nested, rows_of
from tests.support.vendors import VENDORS

pytest.importorskip("langsmith")

#: What is told of a span besides where it is.
TOLD = (
    "langflow.flow.status",
    "langflow.component.status",
    "langflow.component.cached",
    "langflow.component.run_index",
    "langflow.status",
    "langflow.loop.index",
    "langflow.loop.path",
    "langflow.usage.total_tokens",
    "langflow.usage.model_calls",
    "langflow.usage.cost",
    "langflow.embedding.count",
    "langflow.stream.read",
)


class Everywhere:
    """Langflow, instrumented, with the three of them as destinations."""

    def __init__(self, environment: pytest.MonkeyPatch, stack: ExitStack) -> None:
        names = ("phoenix", "langfuse", "langsmith")
        environment.setenv("OTEL_TRACES_EXPORTER", ",".join(names))
        receivers: dict[str, Any] = {
            name: stack.enter_context(VENDORS[name].start()) for name in names
        }
        for name, receiver in receivers.items():
            for variable, value in VENDORS[name].environment(receiver).items():
                environment.setenv(variable, value)
        self.phoenix: OtlpReceiver = receivers["phoenix"]
        self.langfuse: LangfuseReceiver = receivers["langfuse"]
        self.langsmith: LangSmithReceiver = receivers["langsmith"]
        LangflowInstrumentor().instrument()
        stack.callback(LangflowInstrumentor().uninstrument)

    def spans(self) -> list[Span]:
        """What has come to Phoenix, when all has come to all."""
        assert LangflowInstrumentor().force_flush(60_000)
        self.langfuse.check_whole()
        self.langsmith.check_whole()
        spans = self.phoenix.spans
        check(spans)
        return spans


@pytest.fixture(autouse=True)
def _without_database(environment: pytest.MonkeyPatch) -> None:
    """Let Langflow's MCP Tools take its server from the flow, as in a bare lfx."""
    environment.setitem(sys.modules, "langflow.api", None)


@pytest.fixture
def everywhere(environment: pytest.MonkeyPatch) -> Iterator[Everywhere]:
    with ExitStack() as stack:
        yield Everywhere(environment, stack)


async def failing() -> None:
    with pytest.raises(ValueError, match="no such order: 4711"):
        await flows.run_flow(flows.failing(), "4711")


async def cancelled() -> None:
    run = asyncio.ensure_future(flows.run_flow(flows.slow(3600)))
    await asyncio.sleep(1)
    run.cancel()
    with suppress(asyncio.CancelledError):
        await run


STREAMED = "You streamed: a b"


async def streamed() -> None:
    """To somebody, by Chat Output, piece by piece."""
    reader = Reader()
    flow = flows.streamed("LangChain async")
    answer = await flows.run_flow(flow, "a b", event_manager=reader.manager)
    assert answer == "".join(reader.read()) == STREAMED
    assert len(list(filter(None, reader.pieces))) > 1


async def streamed_by_model() -> None:
    reader = Reader()
    await flows.run_flow(flows.streamed_by_model(), "a b", event_manager=reader.manager)
    assert "".join(reader.read()) == STREAMED


async def stopped_at_its_last_turn() -> None:
    # Langflow 1.10 and 1.11 run into LangGraph's own limit.
    with suppress(ValueError):
        await flows.run_flow(agents.agent_without_end(turns=3))


async def with_a_client_of_its_own() -> None:
    with OpenAIServer(lambda ask: Answer(f"You asked: {ask.question}")) as openai:
        assert await flows.run_flow(own_client_flows.asking(openai), "why?") == "You asked: why?"


async def tool_of_mcp() -> None:
    """The spans of the server go elsewhere."""
    pytest.importorskip("mcp", reason="this Langflow comes without an MCP client")
    from tests.support import mcp

    with OtlpReceiver() as elsewhere, mcp.server("stdio", elsewhere.endpoint) as config:
        calls = [{"name": "add", "args": {"a": 1, "b": 2}}]
        assert "1 + 2 = 3" in await flows.run_flow(mcp.agent(config, calls))


BREAKS = [{"name": "break_down", "args": {"what": "the impossible"}}]


def runs(make: Callable[[], flows.Flow], text: str = "a,b") -> Callable[[], Awaitable[Any]]:
    return lambda: flows.run_flow(make(), text)


SHAPES: dict[str, Callable[[], Awaitable[Any]]] = {
    "chat": runs(flows.linear_chat),
    "agent": runs(flows.agent_with_tools),
    "loop": runs(control_flows.loop_that_asks),
    "flow in a flow": runs(flows.flow_in_flow),
    "stream": streamed,
    "stream of a model": streamed_by_model,
    "stream that nobody reads": runs(flows.streamed),
    "retrieval": runs(retrieval.search),
    "failure": failing,
    "cancel": cancelled,
    "tool of MCP": tool_of_mcp,
    "tool that fails": runs(lambda: agents.agent_with("Fails", BREAKS, agents.BrokenComponent)),
    "agent without end": stopped_at_its_last_turn,
    "flow that calls itself": runs(control_flows.countdown, "1"),
    "client of its own": with_a_client_of_its_own,
}
if hasattr(Graph, "create_subgraph"):
    SHAPES["nested loops"] = runs(control_flows.nested_loops, "a b,c")


@pytest.mark.parametrize("shape", SHAPES)
async def test_a_run_is_the_same_tree_with_the_same_said_of_it_everywhere(
    everywhere: Everywhere, shape: str
) -> None:
    await SHAPES[shape]()

    spans = await asyncio.to_thread(everywhere.spans)
    check(spans, traces=1)
    observations, sent = everywhere.langfuse.observations, everywhere.langfuse.spans
    found = everywhere.langsmith.runs
    tree = nested(rows_of(spans))
    assert nested((o.id, o.parent_id, o.name) for o in observations) == tree
    assert nested((run.id, run.parent_run_id or "", run.name) for run in found) == tree

    told = Counter((s.name, *(_text(s.attributes.get(name)) for name in TOLD)) for s in spans)
    assert told == Counter(
        (s.name, *(_text(s.attributes.get(f"langfuse.observation.metadata.{n}")) for n in TOLD))
        for s in sent
    )
    keys = [name.removeprefix("langflow.").replace(".", "_") for name in TOLD]
    assert told == Counter((r.name, *(_text(r.metadata.get(key)) for key in keys)) for r in found)
    tokens = sum(s.attributes.get("llm.token_count.total", 0) for s in spans)
    assert tokens == sum(o.usage_details.get("total", 0) for o in observations)
    assert tokens == sum(run.usage.get("total_tokens", 0) for run in found)


def _text(value: Any) -> str | None:
    return None if value is None else json.dumps(value)


@pytest.mark.parametrize("shape", ["stream", "stream of a model"])
async def test_what_was_streamed_and_when_it_began_is_the_same_everywhere(
    everywhere: Everywhere, shape: str
) -> None:
    await SHAPES[shape]()

    spans = await asyncio.to_thread(everywhere.spans)
    ids = {s.span_id: s for s in spans if s.attributes.get("output.value") == STREAMED}
    # Who makes the stream, who reads it, and the flow.
    assert len(ids) == 3
    assert {o.id for o in everywhere.langfuse.observations if o.output == STREAMED} == set(ids)
    said = [run for run in everywhere.langsmith.runs if STREAMED in run.outputs.values()]
    assert sorted(run.name for run in said) == sorted(s.name for s in ids.values())

    (first,) = [e.time_ns for s in spans for e in s.events if e.name == "langflow.first_token"]
    (began,) = filter(None, (o.completion_start_time for o in everywhere.langfuse.observations))
    (token,) = [e for r in everywhere.langsmith.runs for e in r.events if e["name"] == "new_token"]
    moments = [began, datetime.fromisoformat(token["time"].replace("Z", "+00:00"))]
    assert [_microseconds(moment) for moment in moments] == [first // 1000] * 2


def _microseconds(moment: datetime) -> int:
    since = moment.replace(tzinfo=moment.tzinfo or timezone.utc) - datetime(
        1970, 1, 1, tzinfo=timezone.utc
    )
    return since // timedelta(microseconds=1)


#: Two calls as openinference-instrumentation-litellm 0.1.51 told them of litellm 1.110.2, which
#: asked the server of these tests for gpt-4o-mini: by `acompletion`, whole and streamed. (litellm
#: takes twelve seconds to be imported, so it is not asked again here.)
_OF_LITELLM = {
    "openinference.span.kind": "LLM",
    "input.mime_type": "application/json",
    "input.value": '{"messages": [{"role": "user", "content": "what is a span?"}]}',
    "output.value": "An answer to: what is a span?",
    "llm.finish_reason": "stop",
    "llm.input_messages.0.message.role": "user",
    "llm.input_messages.0.message.content": "what is a span?",
    "llm.output_messages.0.message.role": "assistant",
    "llm.output_messages.0.message.content": "An answer to: what is a span?",
    "llm.model_name": "openai/gpt-4o-mini",
    "llm.provider": "openai",
    "llm.token_count.prompt": 13,
    "llm.token_count.prompt_details.audio": 0,
    "llm.token_count.prompt_details.cache_read": 3,
    "llm.token_count.completion": 13,
    "llm.token_count.completion_details.audio": 0,
    "llm.token_count.completion_details.reasoning": 0,
    "llm.token_count.total": 26,
    # 10 tokens at 0.15 dollars a million, 3 from the cache at half of that, 13 at 0.60.
    "llm.cost.total": 9.525e-06,
}
CALLS_OF_LITELLM = [
    {"llm.invocation_parameters": '{"model": "openai/gpt-4o-mini"}', **_OF_LITELLM},
    {
        "llm.invocation_parameters": '{"stream": true, "stream_options": {"include_usage": true}, '
        '"model": "openai/gpt-4o-mini"}',
        **_OF_LITELLM,
    },
]


async def test_what_calls_cost_is_summed_on_the_flow_and_the_same_everywhere(
    everywhere: Everywhere,
) -> None:
    provider = LangflowInstrumentor().tracer_provider
    assert provider is not None
    tracer = provider.get_tracer("openinference.instrumentation.litellm")
    with inside_a_flow():
        for call in CALLS_OF_LITELLM:
            tracer.start_span("acompletion", attributes=call).end()

    spans = await asyncio.to_thread(everywhere.spans)
    cost = _OF_LITELLM["llm.cost.total"]
    assert [s.attributes["llm.cost.total"] for s in spans if s.kind == "LLM"] == [cost, cost]
    totals = named(spans, "A flow").attributes
    assert totals["langflow.usage.cost"] == 2 * cost
    assert totals["langflow.usage.model_calls"] == 2
    assert totals["langflow.usage.cached_tokens"] == 6
    generations = [o for o in everywhere.langfuse.observations if o.type == "generation"]
    assert [o.cost_details for o in generations] == [{"total": cost}] * 2
    buckets = {"input": 10, "input_cached_tokens": 3, "output": 13, "total": 26}
    assert [o.usage_details for o in generations] == [buckets] * 2
    calls = [run for run in everywhere.langsmith.runs if run.run_type == "llm"]
    assert [run.usage["total_cost"] for run in calls] == [cost, cost]
    assert [run.usage["total_tokens"] for run in calls] == [26, 26]


async def test_what_a_human_decided_is_told_everywhere(everywhere: Everywhere) -> None:
    pytest.importorskip("lfx.run.hitl", reason="Langflow pauses no runs before 1.11")
    from tests.support import pause_flows

    await pause_flows.run(pause_flows.decision(), "reject", reason="too late")

    spans = await asyncio.to_thread(everywhere.spans)
    check(spans, session="s1", traces=2)
    wanted = {
        "component": "HumanInput-demo",
        "kind": "node_input",
        "decision": "reject",
        "prompt": "hello",
        "values": '{"reason":"too late"}',
    }
    key = "langfuse.observation.metadata.langflow.approval"
    (noted,) = [s.attributes[key] for s in everywhere.langfuse.spans if key in s.attributes]
    assert json.loads(noted) == [wanted]
    (event,) = [e for run in everywhere.langsmith.runs for e in run.events]
    assert (event["name"], event["kwargs"]) == ("approval", wanted)
    paused = [r.metadata["flow_status"] for r in everywhere.langsmith.runs if not r.parent_run_id]
    assert sorted(paused) == ["ok", "paused"]
