"""A run that waits for a human is paused, no failure, and goes on as a run that is linked to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from langflow_otel import LangflowInstrumentor
from tests.conftest import Traced
from tests.support import flows
from tests.support.invariants import check
from tests.support.select import is_ours, only
from tests.support.spans import Span
from tests.support.tree import render

pytest.importorskip("lfx.graph.checkpoint", reason="Langflow pauses from 1.11 on")

from lfx.graph.checkpoint.resume import resume_graph_with_decision
from lfx.graph.checkpoint.schema import GraphCheckpoint
from lfx.graph.checkpoint.store import InMemoryCheckpointStore
from lfx.graph.exceptions import GraphPausedException

from tests.support import pause_flows
from tests.support.versions import before


def runs_of(spans: list[Span]) -> list[Span]:
    found = [span for span in spans if "langflow.flow.status" in span.attributes]
    return sorted(found, key=lambda span: span.start_ns)


async def test_a_run_that_pauses_goes_on_as_another_one(traced: Traced) -> None:
    await pause_flows.run(pause_flows.decision())

    spans = traced.spans()
    check(spans, session="s1", traces=2)
    assert (
        render(spans)
        == """\
CHAIN Decision ~paused
  CHAIN Chat Input
  CHAIN Human Input ~paused
CHAIN Decision
  CHAIN Human Input
  CHAIN Approved
  CHAIN Chat Output"""
    )
    first, second = runs_of(spans)
    assert (first.status, second.status) == ("UNSET", "OK")
    for name in ("langflow.run.id", "langflow.flow.id", "session.id", "user.id"):
        assert first.attributes[name] == second.attributes[name]
    (link,) = second.links
    assert (link.trace_id, link.span_id) == (first.trace_id, first.span_id)
    assert link.attributes == {"langflow.link.type": "resumes"}
    assert first.links == ()
    assert second.attributes["output.value"] == "yes hello"


async def test_a_component_that_pauses_is_no_error_and_has_no_output(traced: Traced) -> None:
    await pause_flows.run(pause_flows.decision())

    asked, answered = sorted(
        (s for s in traced.spans() if s.name == "Human Input"), key=lambda span: span.start_ns
    )
    assert (asked.status, answered.status) == ("UNSET", "OK")
    assert asked.attributes["langflow.component.status"] == "paused"
    assert "output.value" not in asked.attributes
    assert "hello" in answered.attributes["output.value"]


async def test_the_approval_is_told(traced: Traced) -> None:
    await pause_flows.run(pause_flows.decision(), "reject", reason="too late")

    first, second = runs_of(traced.spans())
    (event,) = second.events
    assert event.name == "langflow.approval"
    assert event.attributes == {
        "langflow.component.id": "HumanInput-demo",
        "langflow.approval.kind": "node_input",
        "langflow.approval.decision": "reject",
        "langflow.approval.prompt": "hello",
        "langflow.approval.values": '{"reason":"too late"}',
    }
    assert first.events == ()


async def test_without_content_only_what_was_decided_is_told(
    receiver: Any, environment: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    environment.setenv("OTEL_PYTHON_LANGFLOW_CAPTURE_INPUTS", "false")
    traced: Traced = request.getfixturevalue("traced")
    await pause_flows.run(pause_flows.decision(), "reject", reason="too late")
    # No action of the flow's: whoever answers may have written it.
    await pause_flows.run(pause_flows.decision(), "as I said: no")

    spans = traced.spans()
    assert "too late" not in repr(spans)
    assert "as I said" not in repr(spans)
    told = [event.attributes for span in runs_of(spans) for event in span.events]
    known = {"langflow.component.id": "HumanInput-demo", "langflow.approval.kind": "node_input"}
    assert told == [{**known, "langflow.approval.decision": "reject"}, known]


async def test_a_run_that_pauses_twice_is_a_chain_of_three(traced: Traced) -> None:
    await pause_flows.run(pause_flows.decision(twice=True))

    spans = traced.spans()
    check(spans, session="s1", traces=3)
    first, second, third = runs_of(spans)
    assert [run.attributes["langflow.flow.status"] for run in (first, second, third)] == [
        "paused",
        "paused",
        "ok",
    ]
    assert [link.span_id for link in second.links] == [first.span_id]
    assert [link.span_id for link in third.links] == [second.span_id]
    decided = [event.attributes["langflow.component.id"] for event in third.events]
    assert decided == ["HumanInput-second"], "what was decided before is told before"


async def pause(flow: flows.Flow, store: InMemoryCheckpointStore) -> GraphPausedException:
    graph = flows.graph_of(flow)
    graph.checkpointing_enabled, graph.checkpoint_store = True, store
    with pytest.raises(GraphPausedException) as paused:
        await graph.arun([{"input_value": "hello"}], session_id="s1")
    return paused.value


async def resume(checkpoint: GraphCheckpoint, store: InMemoryCheckpointStore) -> None:
    """As another process does, which has the checkpoint as JSON and nothing else."""
    restored = GraphCheckpoint.model_validate_json(checkpoint.model_dump_json())
    request_id = restored.pause_context["data"]["request_id"]
    graph = resume_graph_with_decision(restored, store, request_id, {"action_id": "approve"})
    await graph.arun([{}], session_id="s1")


async def test_the_link_is_there_in_another_process(traced: Traced) -> None:
    store = InMemoryCheckpointStore()
    paused = await pause(pause_flows.decision(), store)
    before = traced.spans()
    LangflowInstrumentor().uninstrument()
    LangflowInstrumentor().instrument()
    await resume(await store.load(paused.checkpoint_id), store)

    (first,) = runs_of(before)
    (second,) = (run for run in runs_of(traced.spans()) if run.span_id != first.span_id)
    assert [(link.trace_id, link.span_id) for link in second.links] == [
        (first.trace_id, first.span_id)
    ]
    assert second.name == "Decision"
    assert second.attributes["langflow.flow.name"] == "Decision"


async def test_a_checkpoint_says_all_that_langflow_wrote_there(traced: Traced) -> None:
    store = InMemoryCheckpointStore()
    paused = await pause(pause_flows.decision(), store)
    written = (await store.load(paused.checkpoint_id)).pause_context
    assert written["reason"] == paused.reason == "human_input_required"
    assert written["data"] == paused.data
    assert "langflow_otel" not in paused.data
    assert set(written) == {"reason", "data", "langflow_otel"}


async def test_a_run_that_paused_untraced_goes_on_without_a_link(traced: Traced) -> None:
    LangflowInstrumentor().uninstrument()
    store = InMemoryCheckpointStore()
    paused = await pause(pause_flows.decision(), store)
    LangflowInstrumentor().instrument()
    await resume(await store.load(paused.checkpoint_id), store)

    (second,) = runs_of(traced.spans())
    assert second.links == ()
    assert [event.name for event in second.events] == ["langflow.approval"]


def _broken(change: Callable[[dict[str, Any]], Any]) -> Callable[[GraphCheckpoint], None]:
    def spoil(checkpoint: GraphCheckpoint) -> None:
        assert checkpoint.pause_context is not None
        checkpoint.pause_context["langflow_otel"] = change(
            checkpoint.pause_context["langflow_otel"]
        )

    return spoil


@pytest.mark.parametrize(
    "spoil",
    [
        _broken(lambda note: {**note, "traceparent": "no traceparent"}),
        _broken(lambda note: {**note, "traceparent": 7}),
        _broken(lambda note: ["not", "a", "mapping"]),
        _broken(lambda note: {}),
    ],
)
async def test_what_is_noted_may_be_anything(traced: Traced, spoil: Any) -> None:
    store = InMemoryCheckpointStore()
    paused = await pause(pause_flows.decision(), store)
    traced.clear()
    checkpoint = await store.load(paused.checkpoint_id)
    spoil(checkpoint)
    await resume(checkpoint, store)

    (second,) = runs_of(traced.spans())
    assert (second.links, second.attributes["langflow.flow.status"]) == ((), "ok")


@pytest.mark.skipif(before("1.12"), reason="1.11 cannot restore tools of this LangChain")
async def test_an_agents_tool_that_wants_an_approval(traced: Traced) -> None:
    await pause_flows.run(pause_flows.guarded_tool())

    spans = traced.spans()
    check(spans, session="s1", traces=2)

    def shown(span: Span) -> bool:
        # Not Weather: whether it or the model starts first is nobody's promise.
        return (is_ours(span) and span.name != "Weather") or span.kind in {"LLM", "TOOL"}

    assert (
        render(only(spans, shown))
        == """\
CHAIN Guarded tool ~paused
  CHAIN Chat Input
  CHAIN Scripted Model
  AGENT Agent ~paused
    LLM ScriptedChatModel
CHAIN Guarded tool
  CHAIN Scripted Model
  AGENT Agent
    TOOL get_weather
    LLM ScriptedChatModel
  CHAIN Chat Output"""
    )
    (event,) = runs_of(spans)[1].events
    assert event.attributes["langflow.component.id"] == "Agent-demo"
    assert event.attributes["langflow.approval.kind"] == "tool_approval"
    assert event.attributes["langflow.approval.tools"] == ["get_weather"]
    assert event.attributes["langflow.approval.decision"] == "approve"
