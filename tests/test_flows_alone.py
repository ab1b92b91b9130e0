"""The flows that the other tests trace, run without tracing: what they answer is known good."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from lfx.events.event_manager import create_default_event_manager
from lfx.load import aload_flow_from_json

from langflow_otel.demo import flows as demo
from tests.support import flows

ANSWERS: dict[str, tuple[Callable[[], flows.Flow], str]] = {
    "demo chat": (demo.chat_flow, "A trace is the story of one run, told in spans."),
    "demo agent": (
        demo.agent_flow,
        'The tools answered: Paris: sunny, 21 degrees; {"kilometres": 878}',
    ),
    "linear chat": (flows.linear_chat, "You said: Question: a, b, c"),
    "parallel branches": (flows.parallel_branches, "Left a, b, c + Right a, b, c"),
    "agent with tools": (
        flows.agent_with_tools,
        'The tools answered: Oslo: snow, -3 degrees; {"kilometres": 838}',
    ),
    "loop over items": (flows.loop_over_items, "A B C"),
    "flow in flow": (flows.flow_in_flow, "Inner answer to Question: a, b, c"),
    "slow": (lambda: flows.slow(0.01), "a, b, c"),
    "sync method": (flows.sync_method, "a, b, c (worker thread)"),
    "component logs": (flows.component_logs, "a, b, c (logged)"),
}


@pytest.mark.parametrize("shape", ANSWERS)
def test_answers(shape: str) -> None:
    """Each flow answers as its docstring says."""
    flow, answer = ANSWERS[shape]
    assert asyncio.run(flows.run_flow(flow(), "a, b, c")) == answer


def test_text_only() -> None:
    """A flow without chat takes its text at Text Input and answers at Text Output."""
    answer = asyncio.run(flows.run_flow(flows.text_only(), "three small words", input_type="text"))
    assert answer == "3 words"


@pytest.mark.parametrize("flow", [demo.failing_flow, flows.failing])
def test_failing(flow: Callable[[], flows.Flow]) -> None:
    """The component's own exception is at the end of the chain of causes."""
    with pytest.raises(ValueError, match="no such order: 4711") as raised:
        asyncio.run(flows.run_flow(flow(), "4711"))
    causes: list[BaseException] = [raised.value]
    while causes[-1].__cause__:
        causes.append(causes[-1].__cause__)
    assert isinstance(causes[-1], LookupError)


def test_parallel_branches() -> None:
    """Left and Right are in one layer, which Langflow runs at once."""
    graph = flows.graph_of(flows.parallel_branches())
    asyncio.run(flows.run_flow(graph))
    assert {"Wait-Left", "Wait-Right"} in [set(layer) for layer in graph.vertices_layers]


def test_frozen() -> None:
    """A frozen component draws once; the next run is served from the cache."""
    flow = flows.frozen()
    with flows.vertex_cache():
        first = asyncio.run(flows.run_flow(flow))
        graph = flows.graph_of(flow)
        again = asyncio.run(flows.run_flow(graph))
    assert first.startswith("ticket ")
    assert again == first
    served = {vertex.display_name: vertex.result.used_frozen_result for vertex in graph.vertices}
    assert served == {"Chat Input": False, "Ticket": True, "Chat Output": False}


@pytest.mark.parametrize("flow", [flows.streamed_by_model, flows.streamed_by_chat_output])
def test_streamed(flow: Callable[[], flows.Flow]) -> None:
    """The answer reaches the event manager token by token."""

    async def run() -> tuple[str, list[str]]:
        queue: asyncio.Queue[Any] = asyncio.Queue()
        manager = create_default_event_manager(queue)
        answer = await flows.run_flow(flow(), "a b", event_manager=manager)
        events = [json.loads(queue.get_nowait()[1]) for _ in range(queue.qsize())]
        return answer, [e["data"]["chunk"] for e in events if e["event"] == "token"]

    answer, tokens = asyncio.run(run())
    assert answer == "You streamed: a b"
    assert [token for token in tokens if token] == ["You ", "streamed: ", "a ", "b"]


def test_echo_of_secrets() -> None:
    """The note comes back; the password too, where Langflow does not mask it (before 1.10)."""
    answer = asyncio.run(flows.run_flow(flows.echo_of_secrets("plain", "hunter2"), "hi"))
    assert answer in {
        "hi note=plain password=hunter2",
        "hi note=plain password=**********",
    }


def test_component_logs() -> None:
    """What a component logs is in its vertex's result."""
    graph = flows.graph_of(flows.component_logs())
    asyncio.run(flows.run_flow(graph, "hi"))
    logs = graph.get_vertex("Log-demo").result.logs["logged"]
    assert [(log.name, log.message) for log in logs] == [
        ("first", "started"),
        ("second", {"text": "hi"}),
    ]


def test_slow_is_cancelled() -> None:
    """A run can be cancelled while Wait waits."""

    async def run() -> None:
        task = asyncio.create_task(flows.run_flow(flows.slow(3600)))
        await asyncio.sleep(0.5)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(run())


def test_step_flow() -> None:
    """`async_start` yields the components in their order, and they get the input."""
    graph = flows.graph_to_step(flows.linear_chat(), "one step")

    async def run() -> list[str]:
        return [step async for step in flows.step_flow(graph)]

    steps = ["ChatInput-demo", "Prompt Template-demo", "ScriptedModel-demo", "ChatOutput-demo"]
    assert asyncio.run(run()) == steps
    message = graph.get_vertex("ChatOutput-demo").result.results["message"]
    assert (message.text, message.session_id) == ("You said: Question: one step", "session-1")


@pytest.fixture
def url() -> Iterator[str]:
    """Serve `pong` on a free port."""

    class Pong(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"pong")

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Pong) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_http_request(url: str) -> None:
    """The component fetches what the URL serves."""
    assert asyncio.run(flows.run_flow(flows.http_request(url))) == "200 pong"


def test_loads_from_json() -> None:
    """A flow survives its way through a file, as `lfx run` loads it."""

    async def run() -> str:
        flow = json.loads(json.dumps(demo.chat_flow()))
        return await flows.run_flow(await aload_flow_from_json(flow))

    assert asyncio.run(run()).startswith("A trace is")
