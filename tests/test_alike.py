"""Phoenix, Langfuse and LangSmith are told the same of a run, whatever its shape."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, suppress
from typing import Any

import pytest

from langflow_otel import LangflowInstrumentor
from tests.support import control_flows, flows, retrieval
from tests.support.invariants import check
from tests.support.langfuse import LangfuseReceiver
from tests.support.langsmith import LangSmithReceiver
from tests.support.receiver import OtlpReceiver
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
        return self.phoenix.spans


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


def runs(make: Callable[[], flows.Flow], text: str = "a,b") -> Callable[[], Awaitable[Any]]:
    return lambda: flows.run_flow(make(), text)


SHAPES: dict[str, Callable[[], Awaitable[Any]]] = {
    "chat": runs(flows.linear_chat),
    "agent": runs(flows.agent_with_tools),
    "loop": runs(control_flows.loop_that_asks),
    "flow in a flow": runs(flows.flow_in_flow),
    "stream": runs(flows.streamed),
    "retrieval": runs(retrieval.search),
    "failure": failing,
    "cancel": cancelled,
}


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
