"""Each shape of a run is one whole trace: trees as a reader sees them."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest
from lfx.events.event_manager import create_default_event_manager

from tests.conftest import Traced
from tests.support import components as own
from tests.support import flows
from tests.support.inside import inside_a_flow
from tests.support.invariants import check
from tests.support.select import main_parts, named, only
from tests.support.spans import Span
from tests.support.tree import overlapping, render
from tests.support.versions import before

LINEAR_CHAT = """\
CHAIN Linear chat
  CHAIN Chat Input
  PROMPT Prompt Template
  CHAIN Scripted Model
    CHAIN Scripted Model
      PROMPT ChatPromptTemplate
      LLM ScriptedChatModel
  CHAIN Chat Output"""


async def test_linear_chat(traced: Traced) -> None:
    await flows.run_flow(flows.linear_chat(), "hi", session_id="s1")

    spans = traced.spans()
    check(spans, session="s1", traces=1)
    tree = render(spans)
    if before("1.8"):
        tree = tree.replace("PROMPT Prompt\n", "PROMPT Prompt Template\n")
    assert tree == LINEAR_CHAT


async def test_parallel_branches_overlap_in_time(traced: Traced) -> None:
    await flows.run_flow(flows.parallel_branches())

    spans = traced.spans()
    check(spans, traces=1)
    assert (
        render(spans, overlap=True)
        == """\
CHAIN Parallel branches
  CHAIN Chat Input
  || CHAIN Left
  || CHAIN Right
  CHAIN Join
  CHAIN Chat Output"""
    )
    assert overlapping(named(spans, "Left"), named(spans, "Right"))


async def test_agent_calls_its_model_and_its_tools(traced: Traced) -> None:
    await flows.run_flow(flows.agent_with_tools(), "weather?", session_id="s1")

    spans = traced.spans()
    check(spans, session="s1", traces=1)
    agent = next(span for span in spans if span.kind == "AGENT" and span.name == "Agent")
    below = [span for span in main_parts(spans) if span.parent_id == agent.span_id]
    calls = sorted(below, key=lambda span: span.start_ns)
    kinds = [f"{call.kind} {call.name}" for call in calls]
    assert kinds[0] == "LLM ScriptedChatModel"
    assert sorted(kinds[1:3]) == ["TOOL get_distance", "TOOL get_weather"]
    assert kinds[3:] == ["LLM ScriptedChatModel"]


async def test_a_tool_call_says_what_was_called_and_what_came_back(traced: Traced) -> None:
    await flows.run_flow(flows.agent_with_tools("Oslo"))

    (call,) = [span for span in traced.spans() if span.name == "get_weather"]
    assert call.kind == "TOOL"
    assert call.attributes["tool.name"] == "get_weather"
    assert call.attributes["tool.description"] == "The weather in a city."
    assert json.loads(call.attributes["tool.parameters"])["city"]["type"] == "string"
    assert call.attributes["langflow.component.id"] == "Weather-demo"
    assert "Oslo" in call.attributes["input.value"]
    assert "snow" in call.attributes["output.value"]


async def test_what_a_tool_logs_stands_on_its_call(traced: Traced) -> None:
    from lfx.base.tools.component_tool import ComponentToolkit

    (tool,) = ComponentToolkit(component=own.CallbackComponent()).get_tools()
    with inside_a_flow():
        await tool.ainvoke({"callbacks": "on_done"})

    logs = [
        event.attributes["langflow.log.message"]
        for span in traced.spans()
        for event in span.events
        if event.name == "langflow.log"
    ]
    assert logs == ["seen"]


async def test_tool_calls_are_traced_without_the_langchain_instrumentor(
    receiver: Any, environment: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    environment.setenv("OTEL_PYTHON_LANGFLOW_INSTRUMENT_LANGCHAIN", "false")
    traced: Traced = request.getfixturevalue("traced")

    await flows.run_flow(flows.agent_with_tools("Oslo"))

    spans = traced.spans()
    check(spans, traces=1)
    agent = named(spans, "Agent")
    calls = {span.name: span for span in spans if span.parent_id == agent.span_id}
    # What its model took Langflow counts from 1.9 on; where LangGraph loses its handler, never.
    counts = not before("0.4") and sys.version_info >= (3, 11)
    counted = ["scripted-1"] if counts else []
    assert sorted(calls) == ["get_distance", "get_weather", *counted]
    weather = calls["get_weather"].attributes
    assert calls["get_weather"].kind == "TOOL"
    assert json.loads(weather["input.value"]) == {"city": "Oslo"}
    assert weather["output.value"] == "Oslo: snow, -3 degrees"
    assert weather["session.id"] == "session-1"


async def test_a_loop_stays_one_trace(traced: Traced) -> None:
    assert await flows.run_flow(flows.loop_over_items(), "a, b, c") == "A B C"

    spans = traced.spans()
    check(spans, traces=1)
    assert [span.name for span in spans].count("Shout") == 3
    if not before("1.8"):
        assert (
            render(spans)
            == """\
CHAIN Loop over items
  CHAIN Chat Input
  CHAIN Items
  CHAIN Loop
    CHAIN Shout
    CHAIN Shout
    CHAIN Shout
  CHAIN Rows
  CHAIN Chat Output"""
        )


async def test_a_flow_run_by_a_component_is_below_it(traced: Traced) -> None:
    await flows.run_flow(flows.flow_in_flow(), session_id="s1")

    spans = traced.spans()
    check(spans, session="s1", traces=1)
    ours = only(spans, lambda span: span.scope == "langflow_otel")
    assert (
        render(ours).replace("PROMPT Prompt\n", "PROMPT Prompt Template\n")
        == """\
CHAIN Flow in flow
  CHAIN Chat Input
  CHAIN Call Flow
    CHAIN Inner
      CHAIN Chat Input
      PROMPT Prompt Template
      CHAIN Scripted Model
      CHAIN Chat Output
  CHAIN Chat Output"""
    )


async def test_a_failure_is_told_by_the_component_and_by_the_flow(traced: Traced) -> None:
    with pytest.raises(ValueError, match="no such order"):
        await flows.run_flow(flows.failing(), "4711")

    spans = traced.spans()
    check(spans, traces=1)
    assert (
        render(spans)
        == """\
CHAIN Failing !error
  CHAIN Chat Input
  CHAIN Order Lookup !error"""
    )
    component, flow = named(spans, "Order Lookup"), named(spans, "Failing")
    for span in (component, flow):
        assert span.attributes["error.type"] == "LookupError"
        assert span.status_message == "no such order: 4711"
    (event,) = [event for event in component.events if event.name == "exception"]
    assert event.attributes["exception.type"] == "LookupError"
    assert event.attributes["exception.message"] == "no such order: 4711"
    assert "Traceback" in event.attributes["exception.stacktrace"]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("text", ["one", "two"])
async def test_an_error_that_is_its_own_cause_is_told(traced: Traced, text: str) -> None:
    with pytest.raises(Exception, match="round and round"):
        await flows.run_flow(flows.single("Circular", own.CircleComponent, "never"), text)

    spans = traced.spans()
    check(spans, traces=1)
    assert named(spans, "Circle").attributes["error.type"].endswith("ToolException")


async def test_a_cancelled_run_is_no_error(traced: Traced) -> None:
    task = asyncio.create_task(flows.run_flow(flows.slow(3600)))
    await asyncio.sleep(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    spans = traced.spans()
    check(spans, traces=1)
    assert (
        render(spans)
        == """\
CHAIN Slow ~cancelled
  CHAIN Chat Input
  CHAIN Wait ~cancelled"""
    )
    assert named(spans, "Slow").status == "UNSET"


async def test_a_frozen_component_says_that_it_did_not_run(traced: Traced) -> None:
    flow = flows.frozen()
    with flows.vertex_cache():
        await flows.run_flow(flow)
        traced.clear()
        await flows.run_flow(flow)

    spans = traced.spans()
    check(spans, traces=1)
    assert (
        render(spans)
        == """\
CHAIN Frozen
  CHAIN Chat Input
  CHAIN Ticket =cached
  CHAIN Chat Output"""
    )
    assert named(spans, "Ticket").attributes["output.value"].startswith("ticket ")


@pytest.mark.parametrize(
    ("make", "maker"),
    [
        (flows.streamed_by_model, "Scripted Model"),
        (flows.streamed_by_chat_output, "Token Source"),
    ],
)
async def test_a_stream_reaches_the_user_and_its_model_is_below_who_makes_it(
    traced: Traced, make: Any, maker: str
) -> None:
    queue: asyncio.Queue[Any] = asyncio.Queue()
    manager = create_default_event_manager(queue)

    answer = await flows.run_flow(make(), "a b", event_manager=manager)

    events = [json.loads(queue.get_nowait()[1]) for _ in range(queue.qsize())]
    tokens = [event["data"]["chunk"] for event in events if event["event"] == "token"]
    assert answer == "You streamed: a b"
    assert "".join(tokens) == answer
    spans = traced.spans()
    check(spans, traces=1)
    (model,) = [span for span in spans if span.kind == "LLM"]
    above = {span.span_id: span for span in main_parts(spans)}
    parent = next(s for s in main_parts(spans) if s.span_id == model.span_id).parent_id
    assert above[parent].name == maker
    assert named(spans, "Chat Output").attributes["output.value"] == answer


async def test_work_in_a_thread_is_below_its_component(traced: Traced) -> None:
    _global_tracer_goes_to(traced)
    await flows.run_flow(flows.sync_method())

    spans = _without_langflows_own(traced.spans())
    check(spans, traces=1)
    assert (
        render(spans)
        == """\
CHAIN Sync method
  CHAIN Chat Input
  CHAIN Compute
    internal work in a thread
  CHAIN Chat Output"""
    )


async def test_a_components_own_spans_and_requests_are_below_it(traced: Traced) -> None:
    from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor

    _global_tracer_goes_to(traced)
    HTTPXClientInstrumentor().instrument(tracer_provider=traced.provider)
    try:
        with _Server() as (url, requests):
            await flows.run_flow(flows.http_request(url), session_id="s1")
    finally:
        HTTPXClientInstrumentor().uninstrument()

    spans = _without_langflows_own(traced.spans())
    check(spans, traces=1)
    for name, value in {"session.id": "s1", "langflow.flow.name": "HTTP request"}.items():
        assert {span.attributes.get(name) for span in spans} == {value}, name
    assert (
        render(spans)
        == """\
CHAIN HTTP request
  CHAIN Chat Input
  CHAIN Fetch
    client GET
    internal digest
  CHAIN Chat Output"""
    )
    (client,) = [span for span in spans if span.otel_kind == "CLIENT"]
    (traceparent,) = requests
    assert traceparent is not None
    assert traceparent.split("-")[1:3] == [client.trace_id, client.span_id]


async def test_a_flow_without_chat_shows_its_input_and_output_components(traced: Traced) -> None:
    await flows.run_flow(flows.text_only(), "three small words", input_type="text")

    flow = named(traced.spans(), "Text only").attributes
    assert json.loads(flow["input.value"]) == {"Text Input": "three small words"}
    assert json.loads(flow["output.value"]) == {"Text Output": "3 words"}
    assert flow["output.mime_type"] == "application/json"


async def test_steps_of_async_start_are_below_the_flow_and_the_consumer_is_not(
    traced: Traced,
) -> None:
    from opentelemetry import trace

    seen = [
        trace.get_current_span().get_span_context().is_valid
        async for _ in flows.step_flow(flows.graph_to_step(flows.linear_chat()))
    ]

    assert seen == [False] * 4
    spans = traced.spans()
    check(spans, traces=1)
    assert named(spans, "Linear chat").attributes["langflow.flow.status"] == "ok"


async def test_async_start_is_over_with_its_last_step(traced: Traced) -> None:
    steps = flows.graph_to_step(flows.linear_chat()).async_start()
    while type(await steps.__anext__()).__name__ != "Finish":
        pass

    assert named(traced.spans(), "Linear chat").attributes["langflow.flow.status"] == "ok"


async def test_async_start_abandoned_is_a_cancelled_run(traced: Traced) -> None:
    steps = flows.graph_to_step(flows.linear_chat()).async_start()
    await steps.__anext__()
    del steps
    await asyncio.sleep(0.1)

    spans = traced.spans()
    check(spans, traces=1)
    assert render(spans) == "CHAIN Linear chat ~cancelled\n  CHAIN Chat Input"


async def test_async_start_closed_is_a_cancelled_run(traced: Traced) -> None:
    steps = flows.graph_to_step(flows.linear_chat()).async_start()
    await steps.__anext__()
    await steps.aclose()

    assert render(traced.spans()) == "CHAIN Linear chat ~cancelled\n  CHAIN Chat Input"


async def test_async_start_stepped_from_different_tasks(traced: Traced) -> None:
    steps = flows.graph_to_step(flows.linear_chat()).async_start()
    count = 0
    while True:
        try:
            await asyncio.create_task(steps.__anext__())
        except StopAsyncIteration:
            break
        count += 1

    assert count == 5
    spans = traced.spans()
    check(spans, traces=1)
    assert len([span for span in spans if span.scope == "langflow_otel"]) == 5


def test_start_in_a_thread_is_below_its_caller(traced: Traced) -> None:
    tracer = traced.provider.get_tracer("caller")
    with tracer.start_as_current_span("caller"):
        list(flows.graph_to_step(flows.linear_chat()).start())

    spans = traced.spans()
    check(spans, traces=1)
    assert render(spans).startswith("internal caller\n  CHAIN Linear chat\n    CHAIN Chat Input")


async def test_a_caller_that_has_ended_is_linked(traced: Traced) -> None:
    tracer = traced.provider.get_tracer("caller")
    with tracer.start_as_current_span("request") as request:
        task = asyncio.create_task(_later(flows.run_flow(flows.sync_method())))
    await task

    flow = named(traced.spans(), "Sync method")
    assert flow.parent_id == ""
    assert [link.span_id for link in flow.links] == [f"{request.get_span_context().span_id:016x}"]


async def test_fifty_runs_at_once_are_fifty_traces_of_their_own(traced: Traced) -> None:
    async def run(number: int) -> str:
        flow = flows.linear_chat(f"answer {number}: {{input}}", name=f"Flow {number}")
        return await flows.run_flow(flow, f"question {number}", session_id=f"session {number}")

    answers = await asyncio.gather(*(run(number) for number in range(50)))

    assert answers == [f"answer {n}: Question: question {n}" for n in range(50)]
    spans = traced.spans()
    check(spans, traces=50)
    for number in range(50):
        flow = named(spans, f"Flow {number}")
        trace = [span for span in spans if span.trace_id == flow.trace_id]
        assert len(trace) == 8
        assert {span.attributes["session.id"] for span in trace} == {f"session {number}"}
        said = re.findall(r"(?:question|answer|Flow) (\d+)", repr(trace))
        assert len(said) > 20
        assert set(said) == {str(number)}


async def test_a_tools_own_argument_called_callbacks_reaches_it(traced: Traced) -> None:
    from lfx.base.tools.component_tool import ComponentToolkit

    (tool,) = ComponentToolkit(component=own.CallbackComponent()).get_tools()
    with inside_a_flow():
        assert "on_done" in str(await tool.ainvoke({"callbacks": "on_done"}))


async def test_a_name_that_no_backend_takes_is_mended(traced: Traced) -> None:
    flow = flows.sync_method()
    for node in flow["data"]["nodes"]:
        if node["data"]["type"] == "Compute":
            node["data"]["node"]["display_name"] = "bad \ud83d " + "name " * 10_000
    await flows.run_flow(flow, session_id="s" * 10_000)

    spans = traced.spans()
    check(spans, traces=1)
    (span,) = [span for span in spans if span.name.startswith("bad ? name")]
    assert max(len(str(value)) for value in (span.name, *span.attributes.values())) <= 256


async def test_one_graph_that_runs_twice_at_once_keeps_its_sessions_apart(traced: Traced) -> None:
    graph = flows.graph_of(flows.slow(0.2))
    first = asyncio.create_task(flows.run_flow(graph, session_id="A"))
    await asyncio.sleep(0.1)
    second = asyncio.create_task(flows.run_flow(graph, session_id="B"))
    await asyncio.gather(first, second, return_exceptions=True)

    spans = traced.spans()
    for trace_id in {span.trace_id for span in spans}:
        trace = [span for span in spans if span.trace_id == trace_id]
        assert len({span.attributes["session.id"] for span in trace}) == 1


def _without_langflows_own(spans: list[Span]) -> list[Span]:
    """Without `flow.execute`, which Langflow 1.12 and later make on the global provider."""
    return only(spans, lambda span: span.name != "flow.execute")


async def _later(run: Any) -> Any:
    await asyncio.sleep(0.05)
    return await run


def _global_tracer_goes_to(traced: Traced) -> None:
    """Let a user's own `trace.get_tracer(...)` in a component reach the same provider."""
    import opentelemetry.trace as api

    api._TRACER_PROVIDER = traced.provider


@pytest.fixture(autouse=True)
def _global_provider_restored() -> Iterator[None]:
    import opentelemetry.trace as api

    before = api._TRACER_PROVIDER
    yield
    api._TRACER_PROVIDER = before


class _Server:
    """Answers `pong`, and keeps the traceparent of each request."""

    def __enter__(self) -> tuple[str, list[str | None]]:
        requests: list[str | None] = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                requests.append(self.headers.get("traceparent"))
                self.send_response(200)
                self.send_header("content-length", "4")
                self.end_headers()
                self.wfile.write(b"pong")

            def log_message(self, *_: Any) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return f"http://127.0.0.1:{self._server.server_port}/", requests

    def __exit__(self, *_: Any) -> None:
        self._server.shutdown()
        self._thread.join(10)
        self._server.server_close()
