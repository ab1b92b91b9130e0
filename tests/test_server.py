"""A real `langflow run`, traced into a real Phoenix and over OTLP: every way to run a flow."""

from __future__ import annotations

import json
import re
import secrets
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.support import agents, control_flows, doors, flows
from tests.support.http import CallFailed, again
from tests.support.invariants import check
from tests.support.lfx_cli import LfxServe, lfx_run
from tests.support.phoenix import Phoenix
from tests.support.receiver import OtlpReceiver
from tests.support.select import is_ours, main_parts, only
from tests.support.server import LangflowServer
from tests.support.spans import Span
from tests.support.tree import render
from tests.support.versions import before

pytestmark = [pytest.mark.server, pytest.mark.phoenix]

PROJECT = "server tests"
EXCLUDED, EXCLUDED_COMPONENT = "Not to be traced", "Ask"
TREE = """\
CHAIN {name}
  CHAIN Chat Input
  PROMPT Prompt Template
  CHAIN Scripted Model
    CHAIN Scripted Model
      PROMPT ChatPromptTemplate
      LLM ScriptedChatModel
  CHAIN Chat Output"""

Run = Callable[[LangflowServer, str, str, str], str]
SURFACES: dict[str, tuple[Run, str]] = {
    "run": (lambda server, flow, text, session: server.run(flow, text, session), "v1"),
    "run stream": (
        lambda server, flow, text, session: server.run_stream(flow, text, session),
        "v1",
    ),
    "build direct": (
        lambda server, flow, text, session: server.build(flow, text, "direct", session),
        "v1.build",
    ),
    "build streaming": (
        lambda server, flow, text, session: server.build(flow, text, "streaming", session),
        "v1.build",
    ),
    "build polling": (
        lambda server, flow, text, session: server.build(flow, text, "polling", session),
        "v1.build",
    ),
    "responses": (
        lambda server, flow, text, session: server.responses(flow, text),
        "openai_responses",
    ),
    "responses stream": (
        lambda server, flow, text, session: server.responses(flow, text, stream=True),
        "openai_responses",
    ),
    "mcp": (lambda server, flow, text, session: server.mcp(flow, text, session), "mcp"),
    "workflows v2": (
        lambda server, flow, text, session: server.workflows_v2(flow, text, session_id=session),
        "v2",
    ),
}


@pytest.fixture(scope="module")
def otlp() -> Iterator[OtlpReceiver]:
    with OtlpReceiver() as started:
        yield started


@pytest.fixture(scope="module")
def langflow(phoenix: Phoenix, otlp: OtlpReceiver) -> Iterator[LangflowServer]:
    """Under `langflow-otel run`, with HTTP spans; to Phoenix and to a plain OTLP endpoint."""
    pytest.importorskip("langflow", reason="no langflow-base in this environment")
    env = {
        "PHOENIX_COLLECTOR_ENDPOINT": phoenix.endpoint,
        "PHOENIX_PROJECT_NAME": PROJECT,
        "OTEL_EXPORTER_OTLP_ENDPOINT": otlp.endpoint,
        "OTEL_BSP_SCHEDULE_DELAY": "200",
        "OTEL_PYTHON_LANGFLOW_EXCLUDED_FLOWS": EXCLUDED,
        "OTEL_PYTHON_LANGFLOW_EXCLUDED_COMPONENTS": EXCLUDED_COMPONENT,
        **doors.ENVIRONMENT,
        # For what a flow of the tests looks at.
        "PYTHONPATH": str(Path(__file__).parent.parent),
    }
    prefix = ["langflow-otel", "run", "--with", "fastapi", "--"]
    with LangflowServer(env=env, prefix=prefix) as server:
        yield server


def _trace_of(otlp: OtlpReceiver, flow: str) -> list[Span]:
    """The whole trace of the one run of a flow, as it arrived over OTLP."""

    def root(spans: list[Span]) -> Span | None:
        return next((span for span in spans if span.name == flow), None)

    otlp.wait_for(root, timeout=60)
    time.sleep(0.5)  # A server span ends after the flow it is for.
    spans = otlp.wait_for(root)
    found = root(spans)
    assert found is not None
    return [span for span in spans if span.trace_id == found.trace_id]


# Langflow writes to its database when the run is over, under the spans that caused it: what is not
# ours may outlive its parent.
BACKGROUND = 60_000_000_000


def _is_ai(span: Span) -> bool:
    return bool(span.kind)


if before("1.12"):
    # Its workflows are for developers only.
    del SURFACES["workflows v2"]
#: Of whose runs Langflow itself chooses the session.
SESSIONS_OF_ITS_OWN = {"responses", "responses stream"} | ({"mcp"} if before("1.12") else set())


def _entry_point(told: str) -> str | None:
    """What is told of the way in; before 1.12 Langflow itself tells nothing."""
    return told if told == "v1.build" or not before("1.12") else None


@pytest.mark.parametrize("surface", SURFACES)
def test_a_run_over_each_surface_is_one_trace(
    langflow: LangflowServer, phoenix: Phoenix, otlp: OtlpReceiver, surface: str
) -> None:
    run, entry_point = SURFACES[surface]
    name, session = f"Chat by {surface}", f"session by {surface}"
    flow_id = langflow.upload(flows.linear_chat("Answer to {input}", name=name))

    assert run(langflow, flow_id, "hello", session) == "Answer to Question: hello"

    spans = _trace_of(otlp, name)
    check(spans, traces=1, tolerance_ns=BACKGROUND)
    check(only(spans, _is_ai), traces=1)
    assert render(only(spans, _is_ai)) == TREE.format(name=name)
    flow = next(span for span in spans if span.name == name)
    assert flow.attributes.get("langflow.entry_point") == _entry_point(entry_point)
    assert flow.attributes["langflow.flow.id"] == flow_id
    assert flow.attributes["user.id"]
    if surface not in SESSIONS_OF_ITS_OWN:
        assert flow.attributes["session.id"] == session
    assert "hello" not in repr(spans), "a plain OTLP endpoint gets no content"

    def arrived(spans: list[Span]) -> list[Span]:
        return [span for span in spans if span.trace_id == flow.trace_id]

    shown = arrived(phoenix.wait_for_spans(PROJECT, lambda spans: len(arrived(spans)) == 8))
    check(shown, traces=1)
    assert render(shown) == TREE.format(name=name)
    root = next(span for span in shown if not span.parent_id)
    assert root.attributes["input.value"] == "hello"
    assert root.attributes["output.value"] == "Answer to Question: hello"


def test_the_request_is_the_parent_over_otlp_and_the_flow_the_root_in_phoenix(
    langflow: LangflowServer, otlp: OtlpReceiver
) -> None:
    flow_id = langflow.upload(flows.linear_chat(name="Below its request"))
    langflow.run(flow_id, "hello")
    spans = _trace_of(otlp, "Below its request")
    check(spans, traces=1, tolerance_ns=BACKGROUND)
    by_id = {span.span_id: span for span in spans}
    flow = next(span for span in spans if span.name == "Below its request")
    above = by_id[flow.parent_id]
    if not before("1.12"):
        assert above.name == "flow.execute"
        above = by_id[above.parent_id]
    assert above.otel_kind == "SERVER"


def test_a_run_by_webhook_is_one_trace(langflow: LangflowServer, otlp: OtlpReceiver) -> None:
    flow_id = langflow.upload(flows.linear_chat(name="Chat by webhook"))
    langflow.webhook(flow_id, {"any": "payload"})
    spans = only(_trace_of(otlp, "Chat by webhook"), _is_ai)
    check(spans, traces=1)
    flow = next(span for span in spans if span.name == "Chat by webhook")
    assert flow.attributes.get("langflow.entry_point") == _entry_point("webhook")


def _chat(run: Run, server: LangflowServer, flow_id: str, text: str) -> str:
    return run(server, flow_id, text, "session of a caller")


#: The doors besides SURFACES.
OTHERS: dict[str, Callable[[LangflowServer, str, str], str]] = {
    "run advanced": doors.run_advanced,
    "run session": doors.run_session,
    "project mcp": doors.ask_project,
    "public build": doors.build_public,
    "public workflows v2": doors.run_public,
    "a2a": doors.ask_agent,
    "a2a stream": partial(doors.ask_agent, stream=True),
}
if before("1.12"):
    OTHERS = {}
#: Their runs go on when their request has been answered.
JOBS: dict[str, Callable[[LangflowServer, str, str], str]] = {
    "build streaming": partial(LangflowServer.build, event_delivery="streaming"),
    "build polling": partial(LangflowServer.build, event_delivery="polling"),
    "webhook": lambda server, flow, _: server.webhook(flow, {"any": "payload"}),
    "workflows v2 background": partial(LangflowServer.workflows_v2, mode="background"),
}
if before("1.12"):
    JOBS = {name: run for name, run in JOBS.items() if "v2" not in name}
WAITED_FOR = {
    **{name: partial(_chat, run) for name, (run, _) in SURFACES.items() if name not in JOBS},
    **OTHERS,
}


@dataclass(frozen=True)
class Called:
    """A run that another service, no Langflow, has called for."""

    caller: tuple[str, str]
    """The ids of the trace and the span of that service."""
    carried: dict[str, str]
    """The baggage that a component has found, without what is ours."""
    spans: list[Span]
    """The trace that the run is in."""

    @classmethod
    def by(cls, langflow: LangflowServer, otlp: OtlpReceiver, run: Any, name: str) -> Called:
        """Call for a run of a flow of that name, by a door."""
        flow_id = langflow.upload({**flows.carried(name), **doors.OPEN})
        trace_id, span_id = secrets.token_hex(16), secrets.token_hex(8)
        langflow.headers |= {
            "traceparent": f"00-{trace_id}-{span_id}-01",
            "baggage": f"tenant=acme,ticket={span_id}",
        }
        try:
            answer = run(langflow, flow_id, "hello")
        finally:
            langflow.headers.clear()
        spans = _trace_of(otlp, name)
        if name.endswith("webhook"):
            answer = langflow.messages(flow_id)[-1]["text"]
        carried = {n: v for n, v in json.loads(answer).items() if not n.startswith("langflow.")}
        return cls((trace_id, span_id), carried, spans)

    @property
    def sent(self) -> dict[str, str]:
        """The baggage that the service has sent along."""
        return {"tenant": "acme", "ticket": self.caller[1]}

    @property
    def top(self) -> Span:
        """What is above the flow, as far as its parents are in this Langflow."""
        by_id = {span.span_id: span for span in self.spans}
        top = next(span for span in self.spans if "langflow.flow.status" in span.attributes)
        while top.parent_id in by_id:
            top = by_id[top.parent_id]
        return top


@pytest.mark.parametrize("door", WAITED_FOR)
def test_by_each_door_a_caller_is_above_the_run_and_its_baggage_in_it(
    langflow: LangflowServer, otlp: OtlpReceiver, door: str
) -> None:
    called = Called.by(langflow, otlp, WAITED_FOR[door], f"Called by {door}")
    check(only(called.spans, _is_ai), traces=1)
    assert called.carried == called.sent
    assert (called.top.trace_id, called.top.parent_id) == called.caller
    assert called.top.otel_kind == "SERVER"


@pytest.mark.parametrize("door", JOBS)
def test_a_run_that_goes_on_links_to_its_request_or_is_below_it(
    langflow: LangflowServer, otlp: OtlpReceiver, door: str
) -> None:
    called = Called.by(langflow, otlp, JOBS[door], f"Left by {door}")
    check(only(called.spans, _is_ai), traces=1)
    # With a job in its queue Langflow keeps the link alone.
    assert called.carried == ({} if "background" in door else called.sent)
    top = called.top
    if top.parent_id:
        # It has begun before its request was answered.
        assert (top.trace_id, top.parent_id) == called.caller
        return
    (link,) = top.links
    requests = [s for s in otlp.spans if (s.trace_id, s.parent_id) == called.caller]
    assert (link.trace_id, link.span_id) in [(s.trace_id, s.span_id) for s in requests]


@pytest.mark.skipif(not doors.BUILDS_PUBLIC, reason="this Langflow builds no such flow")
def test_a_shared_flow_is_the_same_for_each_visitor(
    langflow: LangflowServer, otlp: OtlpReceiver
) -> None:
    flow_id = langflow.upload({**flows.linear_chat(name="Shared"), **doors.OPEN})
    for text in ("one", "two"):
        assert doors.build_public(langflow, flow_id, text) == f"You said: Question: {text}"
    runs = _runs(otlp, "Shared", 2)
    assert [run.attributes["langflow.flow.id"] for run in runs] == [flow_id, flow_id]
    assert len({run.session for run in runs}) == 2
    of_them = {run.trace_id for run in runs}
    time.sleep(0.5)
    spans = only((s for s in otlp.spans if s.trace_id in of_them), _is_ai)
    check(spans, traces=2)


AGENTS = SURFACES.keys() & {"run", "run stream", "build polling", "responses stream"}
if before("1.12"):
    # Its stream of responses may end without an answer.
    AGENTS -= {"responses stream"}


@pytest.mark.parametrize("surface", sorted(AGENTS))
def test_an_agent_over_each_surface(
    langflow: LangflowServer, otlp: OtlpReceiver, surface: str
) -> None:
    run, _ = SURFACES[surface]
    flow = {**flows.agent_with_tools(), "id": str(uuid.uuid4()), "name": f"Agent by {surface}"}
    assert "Oslo" in run(langflow, langflow.upload(flow), "weather?", f"session of {surface}")
    spans = only(_trace_of(otlp, flow["name"]), _is_ai)
    check(spans, traces=1)
    tree = render(main_parts(spans))
    first, *tools, last, answered = tree[tree.index("  AGENT") :].splitlines()[1:]
    assert first == last == "    LLM ScriptedChatModel"
    # They run at the same time.
    assert sorted(tools) == ["    TOOL get_distance", "    TOOL get_weather"]
    assert answered == "  CHAIN Chat Output"


@pytest.mark.skipif(before("0.4"), reason="Langflow's Run Flow does not run before 1.9")
def test_langflows_run_flow_component_is_one_trace(
    langflow: LangflowServer, otlp: OtlpReceiver
) -> None:
    inner = flows.linear_chat("Inner answer", name="Run inside")
    langflow.upload(inner)
    outer = flows.run_flow_component(inner)
    langflow.run(langflow.upload(outer), "hello")
    spans = only(_trace_of(otlp, outer["name"]), _is_ai)
    check(spans, traces=1)
    inside = next(span for span in spans if span.name == "Run inside")
    above = next(span for span in spans if span.span_id == inside.parent_id)
    assert above.attributes["langflow.component.type"] == "RunFlow"
    # What its answer says of the tokens is told in it.
    assert [span.name for span in spans if span.kind == "LLM"] == ["ScriptedChatModel"]


#: In which session the flow runs whose Run Flow component has `the inner one` set on it. `/run`
#: sets that of the run on every component that has one, before it runs.
OWN_SESSION = {"build direct": "the inner one", "run": "the outer one"}.items()


@pytest.mark.skipif(before("0.4"), reason="Langflow's Run Flow does not run before 1.9")
@pytest.mark.parametrize(
    ("surface", "inner_session"), [each for each in OWN_SESSION if each[0] in SURFACES]
)
def test_a_flow_that_langflows_run_flow_runs_in_a_session_of_its_own_keeps_it_to_itself(
    langflow: LangflowServer, otlp: OtlpReceiver, surface: str, inner_session: str
) -> None:
    run, _ = SURFACES[surface]
    inner = flows.linear_chat("Inner answer", name=f"In a session of its own by {surface}")
    inner["id"] = langflow.upload({**inner, "id": str(uuid.uuid4())})
    outer = flows.run_flow_component(inner, name=f"Run by {surface}", session="the inner one")
    outer_id = langflow.upload({**outer, "id": str(uuid.uuid4())})

    assert run(langflow, outer_id, "hello", "the outer one") == "Inner answer"

    spans = only(_trace_of(otlp, outer["name"]), _is_ai)
    sessions = {inner["name"]: inner_session}
    check(spans, session="the outer one", sub_sessions=sessions, traces=1)
    inside = next(span for span in spans if span.name == inner["name"])
    assert inside.session == inner_session
    # Langflow keeps the messages under the same.
    for flow_id, session in ((inner["id"], inner_session), (outer_id, "the outer one")):
        kept = [message["session_id"] for message in langflow.messages(flow_id)]
        assert kept == [session] * 2


def test_langflows_run_flow_component_as_a_tool_is_below_the_call(
    langflow: LangflowServer, otlp: OtlpReceiver
) -> None:
    inner = flows.linear_chat("Inner answer", name="Run by an agent")
    outer = agents.agent_with_run_flow({**inner, "id": langflow.upload(inner)})
    langflow.run(langflow.upload(outer), "hello")
    spans = only(_trace_of(otlp, outer["name"]), _is_ai)
    check(spans, traces=1)
    inside = next(span for span in spans if span.name == "Run by an agent")
    above = next(span for span in spans if span.span_id == inside.parent_id)
    assert above.kind == "TOOL"
    assert above.attributes["langflow.component.id"] == "RunFlow-demo"
    agent = next(span for span in spans if span.kind == "AGENT")
    tools = only(spans, lambda span: span.kind in {"AGENT", "TOOL"})
    assert [s.parent_id for s in tools if s.kind == "TOOL"] == [agent.span_id]


def test_a_failure_on_the_server_is_told(langflow: LangflowServer, otlp: OtlpReceiver) -> None:
    flow = flows.failing()
    flow_id = langflow.upload(flow)
    with pytest.raises(CallFailed):
        langflow.build(flow_id, "4711", "direct")
    spans = only(_trace_of(otlp, flow["name"]), _is_ai)
    check(spans, traces=1)
    assert (
        render(spans)
        == """\
CHAIN Failing !error
  CHAIN Chat Input
  CHAIN Order Lookup !error"""
    )
    assert {s.attributes.get("error.type") for s in spans} == {None, "LookupError"}
    assert "4711" not in repr(spans), "without content an error's text stays here, too"


def test_a_build_that_is_cancelled_is_no_error(
    langflow: LangflowServer, otlp: OtlpReceiver
) -> None:
    flow = flows.slow(60)
    job = langflow.start_build(langflow.upload(flow), "hello")
    time.sleep(3)
    langflow.cancel_build(job)
    spans = only(_trace_of(otlp, flow["name"]), _is_ai)
    check(spans, traces=1)
    assert (
        render(spans)
        == """\
CHAIN Slow ~cancelled
  CHAIN Chat Input
  CHAIN Wait ~cancelled"""
    )


STREAMING = [name for name in SURFACES if "stream" in name or "build" in name]


@pytest.mark.parametrize("surface", STREAMING)
def test_a_stream_over_each_surface_is_told_by_who_makes_it(
    langflow: LangflowServer, phoenix: Phoenix, otlp: OtlpReceiver, surface: str
) -> None:
    run, _ = SURFACES[surface]
    flow = flows.streamed("LangChain async", named=f"Streamed by {surface}", pause=0.1)
    flow_id = langflow.upload(flow)

    assert run(langflow, flow_id, "a b", f"session of {surface}") == "You streamed: a b"

    spans = only(_trace_of(otlp, flow["name"]), _is_ai)
    check(spans, traces=1)
    assert (
        render(spans)
        == f"""\
CHAIN {flow["name"]}
  CHAIN Chat Input
  CHAIN Stream Source
    LLM ScriptedChatModel
  CHAIN Chat Output"""
    )
    model = next(span for span in spans if span.kind == "LLM")
    assert [event.name for event in model.events] == ["langflow.first_token"]
    root = next(span for span in spans if not span.parent_id)
    assert root.attributes["langflow.usage.model_calls"] == 1

    def arrived(spans: list[Span]) -> list[Span]:
        return [span for span in spans if span.trace_id == root.trace_id]

    shown = arrived(phoenix.wait_for_spans(PROJECT, lambda spans: len(arrived(spans)) == 5))
    source = next(span for span in shown if span.name == "Stream Source")
    assert source.attributes["output.value"] == "You streamed: a b"


CANCELLED_WITH_THEIR_CLIENT = [door for door in doors.STREAMS if door != "a2a"]
if before("1.12"):
    CANCELLED_WITH_THEIR_CLIENT = ["run", "responses"]


@pytest.mark.parametrize("door", CANCELLED_WITH_THEIR_CLIENT)
def test_a_client_that_goes_away_in_mid_stream_cancels_the_run(
    langflow: LangflowServer, otlp: OtlpReceiver, door: str
) -> None:
    flow = flows.streamed("LangChain async", named=f"Left in mid-stream by {door}", pause=8.0)
    flow_id = langflow.upload({**flow, **doors.OPEN})
    doors.leave_stream(langflow, door, flow_id, "a b c d e f g h", until="streamed:")
    spans = only(_trace_of(otlp, flow["name"]), _is_ai)
    check(spans, traces=1)
    assert (
        render(spans)
        == f"""\
CHAIN {flow["name"]} ~cancelled
  CHAIN Chat Input
  CHAIN Stream Source ~cancelled
    LLM ScriptedChatModel ~cancelled
  CHAIN Chat Output ~cancelled"""
    )
    assert [span.name for span in spans if span.status == "ERROR"] == []


@pytest.mark.skipif(not doors.has_a2a(), reason="this Langflow speaks no A2A")
def test_an_agent_over_a2a_comes_to_its_end_also_when_its_client_goes_away_in_mid_stream(
    langflow: LangflowServer, otlp: OtlpReceiver
) -> None:
    """The task is there to be asked for later: Langflow goes on with it."""
    flow = {**flows.slow(3, name="Left over A2A"), **doors.OPEN}
    doors.leave_stream(langflow, "a2a", langflow.upload(flow), "hello", until="working")
    spans = only(_trace_of(otlp, flow["name"]), _is_ai)
    check(spans, traces=1)
    assert (
        render(spans)
        == """\
CHAIN Left over A2A
  CHAIN Chat Input
  CHAIN Wait
  CHAIN Chat Output"""
    )
    (run,) = [span for span in spans if not span.parent_id]
    assert run.attributes["langflow.flow.status"] == "ok"
    assert run.attributes["langflow.entry_point"] == "a2a"


def _runs(otlp: OtlpReceiver, flow: str, count: int) -> list[Span]:
    """The spans of so many runs of a flow, in the order they started."""

    def found(spans: list[Span]) -> list[Span]:
        flows_ = [span for span in spans if span.name == flow]
        return sorted(flows_, key=lambda span: span.start_ns)

    return found(otlp.wait_for(lambda spans: len(found(spans)) >= count, timeout=60))


@pytest.mark.skipif(before("1.12"), reason="there are no such workflows before 1.12")
def test_a_workflow_that_pauses_goes_on_as_a_run_that_is_linked_to_it(
    langflow: LangflowServer, otlp: OtlpReceiver
) -> None:
    from tests.support import pause_flows

    flow = pause_flows.decision(name="Decision on a server")
    flow_id = langflow.upload(flow)
    job = langflow.start_workflow(flow_id, "hello", "session of a pause")
    asked = langflow.pending(flow_id)
    langflow.resume_workflow(job, asked["request_id"], "approve")

    first, second = _runs(otlp, flow["name"], 2)
    for name in ("langflow.flow.id", "langflow.flow.name", "langflow.run.id", "user.id"):
        assert first.attributes[name] == second.attributes[name], name
    assert first.session == second.session == "session of a pause"
    assert first.attributes["langflow.flow.status"] == "paused"
    assert first.status == "UNSET"
    assert second.attributes["langflow.flow.status"] == "ok"
    resumes = [link for link in second.links if link.attributes.get("langflow.link.type")]
    assert [(link.trace_id, link.span_id) for link in resumes] == [(first.trace_id, first.span_id)]
    (event,) = second.events
    assert event.name == "langflow.approval"
    assert event.attributes == {
        "langflow.component.id": "HumanInput-demo",
        "langflow.approval.kind": "node_input",
        "langflow.approval.decision": "approve",
    }
    time.sleep(0.5)
    spans = [s for s in otlp.spans if s.trace_id in (first.trace_id, second.trace_id)]
    check(only(spans, _is_ai), session="session of a pause", traces=2)
    assert (
        render(only(spans, _is_ai))
        == """\
CHAIN Decision on a server ~paused
  CHAIN Chat Input
  CHAIN Human Input ~paused
CHAIN Decision on a server
  CHAIN Human Input
  CHAIN Approved
  CHAIN Chat Output"""
    )


CANCELLED = """\
CHAIN {name} ~cancelled
  CHAIN Chat Input
  CHAIN Wait ~cancelled"""


@pytest.mark.skipif(before("1.12"), reason="there are no such workflows before 1.12")
def test_a_workflow_that_is_stopped_is_no_error(
    langflow: LangflowServer, otlp: OtlpReceiver
) -> None:
    flow = flows.slow(60, name="Stopped")
    job = langflow.start_workflow(langflow.upload(flow), "hello", "session of a stop")
    time.sleep(3)
    langflow.stop_workflow(job)
    spans = only(_trace_of(otlp, "Stopped"), _is_ai)
    check(spans, traces=1)
    assert render(spans) == CANCELLED.format(name="Stopped")


@pytest.mark.skipif(before("0.3"), reason="Langflow 1.7 lets it come to its end")
@pytest.mark.parametrize("delivery", ["direct", "streaming"])
def test_a_build_whose_client_goes_away_is_cancelled(
    langflow: LangflowServer, otlp: OtlpReceiver, delivery: Any
) -> None:
    flow = flows.slow(60, name=f"Left {delivery} build")
    langflow.leave_build(langflow.upload(flow), "hello", delivery, until="end_vertex")
    spans = only(_trace_of(otlp, flow["name"]), _is_ai)
    check(spans, traces=1)
    assert render(spans) == CANCELLED.format(name=flow["name"])


def test_a_run_whose_client_does_not_wait_comes_to_its_end(
    langflow: LangflowServer, otlp: OtlpReceiver
) -> None:
    """That is what Langflow does; it would be a lie to call it cancelled."""
    flow = flows.slow(3, name="Nobody waits")
    langflow.hang_up(langflow.upload(flow), "hello", after=1.5)
    spans = only(_trace_of(otlp, "Nobody waits"), _is_ai)
    check(spans, traces=1)
    assert render(spans) == CANCELLED.format(name=flow["name"]).replace(" ~cancelled", "") + (
        "\n  CHAIN Chat Output"
    )


def test_an_excluded_flow_is_not_traced_over_any_surface(
    langflow: LangflowServer, otlp: OtlpReceiver
) -> None:
    flow_id = langflow.upload({**flows.linear_chat("Answer", name=EXCLUDED), **doors.OPEN})
    for run, _ in SURFACES.values():
        assert run(langflow, flow_id, "hello", "session of what is excluded") == "Answer"
    if doors.BUILDS_PUBLIC:
        assert doors.build_public(langflow, flow_id, "hello") == "Answer"
    langflow.run(langflow.upload(flows.linear_chat(name="After what is excluded")), "hello")
    check(only(_trace_of(otlp, "After what is excluded"), _is_ai), traces=1)

    of_flows = {span.trace_id for span in otlp.spans if "langflow.flow.status" in span.attributes}
    strays = [span for span in otlp.spans if _is_ai(span) and span.trace_id not in of_flows]
    assert render(strays) == ""
    assert not [s for s in otlp.spans if EXCLUDED in s.attributes.values() or s.name == EXCLUDED]


def test_what_is_below_an_excluded_component_hangs_on_the_flow(
    langflow: LangflowServer, otlp: OtlpReceiver
) -> None:
    flow = flows.model_in_a_span()
    langflow.run(langflow.upload(flow), "hello")
    spans = only(_trace_of(otlp, flow["name"]), _is_ai)
    check(spans, traces=1)
    assert (
        render(spans)
        == """\
CHAIN Model in a span
  CHAIN Chat Input
  LLM ScriptedChatModel
  CHAIN Chat Output"""
    )


def test_nothing_is_left_open_of_all_that(langflow: LangflowServer) -> None:
    """Of a mix of runs that end in every way; what serves the events of a build stays open."""
    counter = langflow.upload(control_flows.open_spans())
    langflow.run(counter, "begin")
    chat = langflow.upload(flows.linear_chat("Answer", name="Counted chat"))
    slow = langflow.upload(flows.slow(60, name="Counted wait"))
    failing = langflow.upload(
        {**flows.failing(), "id": str(uuid.uuid4()), "name": "Counted failure"}
    )
    for number in range(3):
        for run, _ in SURFACES.values():
            run(langflow, chat, "hello", f"session {number}")
        with pytest.raises(CallFailed):
            langflow.run(failing, "4711")
    for _ in range(3):
        job = langflow.start_build(slow, "hello")
        time.sleep(0.5)
        langflow.cancel_build(job)
    # The last, because each leaves Langflow's SQLite locked for a while: runs are turned away then.
    for _ in range(3):
        again(lambda: langflow.leave_build(slow, "hello", "direct", until="end_vertex"))
    streamed = flows.streamed("LangChain async", named="Counted stream", pause=8.0)
    stream = langflow.upload({**streamed, **doors.OPEN})
    for door in CANCELLED_WITH_THEIR_CLIENT:
        again(partial(doors.leave_stream, langflow, door, stream, "a b c d", until="streamed:"))
    left, deadline = None, time.monotonic() + 60
    while left != [] and time.monotonic() < deadline:
        time.sleep(1)
        left = json.loads(again(lambda: langflow.run(counter, "end")))
    assert left == []


def test_the_server_says_nothing_of_exporters_or_contexts(langflow: LangflowServer) -> None:
    """The last of this file, so that the log holds all of it."""
    complaints = ("detach", "Failed to export", "Exception while exporting", "flow is not affected")
    # The log is wrapped, with the source's line in between.
    log = " ".join(re.sub(r"\w+\.py:\d+", "", langflow.log).split())
    assert [complaint for complaint in complaints if complaint in log] == []
    # Before 1.12 Langflow shows no line of this level.
    assert log.count("Langflow's own") == (0 if before("1.12") else 1), "its tracer is replaced"


@pytest.fixture(scope="module")
def flow_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("flow") / "chat.json"
    path.write_text(json.dumps(flows.linear_chat("Answer", name="Chat from a file")))
    return path


BARE = {
    "OTEL_TRACES_EXPORTER": "phoenix",
    "OTEL_METRICS_EXPORTER": "none",
    "OTEL_LOGS_EXPORTER": "none",
    "OTEL_BSP_SCHEDULE_DELAY": "200",
}
LAUNCHERS: dict[str, tuple[list[str], dict[str, str]]] = {
    "opentelemetry-instrument": (["opentelemetry-instrument"], BARE),
    "langflow-otel run": (["langflow-otel", "run", "--"], {"OTEL_BSP_SCHEDULE_DELAY": "200"}),
}


def _ours(spans: list[Span]) -> str:
    return render(only(spans, is_ours))


OURS = """\
CHAIN Chat from a file
  CHAIN Chat Input
  PROMPT Prompt Template
  CHAIN Scripted Model
  CHAIN Chat Output"""


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_lfx_run(phoenix: Phoenix, flow_file: Path, launcher: str) -> None:
    prefix, env = LAUNCHERS[launcher]
    project = f"lfx run by {launcher}"
    own = {"PHOENIX_COLLECTOR_ENDPOINT": phoenix.endpoint, "PHOENIX_PROJECT_NAME": project}
    done = lfx_run(flow_file, "hello", env={**env, **own}, prefix=prefix)
    assert done.answer == "Answer"
    spans = phoenix.wait_for_spans(project, lambda spans: "Chat from" in _ours(spans))
    assert _ours(spans) == OURS
    check(only(spans, _is_ai), traces=1)
    root = next(span for span in spans if not span.parent_id)
    assert root.attributes.get("langflow.entry_point") == _entry_point("lfx.run")
    assert not any("user.id" in span.attributes for span in spans)
    assert "Failed to export" not in done.stderr
    assert "langflow-otel" not in done.stderr


@dataclass(frozen=True)
class Serving:
    """An `lfx serve`, and what has come of it to Phoenix."""

    server: LfxServe
    phoenix: Phoenix
    project: str

    def trace_of(self, flow: str) -> list[Span]:
        """The trace of the one run of a flow."""

        def root(spans: list[Span]) -> Span | None:
            return next((span for span in spans if span.name == flow), None)

        found = root(self.phoenix.wait_for_spans(self.project, root))
        assert found is not None
        time.sleep(0.5)  # The one that ended last need not be the last that comes.
        spans = self.phoenix.wait_for_spans(self.project, root)
        return only((s for s in spans if s.trace_id == found.trace_id), _is_ai)


@pytest.fixture(scope="module", params=LAUNCHERS)
def serving(request: pytest.FixtureRequest, phoenix: Phoenix, flow_file: Path) -> Iterator[Serving]:
    prefix, env = LAUNCHERS[request.param]
    project = f"lfx serve by {request.param}"
    own = {"PHOENIX_COLLECTOR_ENDPOINT": phoenix.endpoint, "PHOENIX_PROJECT_NAME": project}
    with LfxServe(flow_file, env={**env, **own}, prefix=prefix) as server:
        yield Serving(server, phoenix, project)
    assert "Failed to export" not in server.log


def test_lfx_serve(serving: Serving) -> None:
    assert serving.server.run("hello") == "Answer"
    spans = serving.trace_of("Chat from a file")
    check(spans, traces=1)
    assert not any("user.id" in span.attributes for span in spans)
    assert _ours(spans) == OURS


@pytest.mark.skipif(before("1.12"), reason="lfx serve takes no other flow before 1.12")
@pytest.mark.parametrize("stream", [False, True])
def test_a_workflow_of_lfx_serve_continues_the_trace_of_who_calls_it(
    serving: Serving, stream: bool
) -> None:
    name, trace_id = f"Called workflow, stream {stream}", secrets.token_hex(16)
    flow_id = serving.server.upload(flows.carried(name))
    serving.server.headers |= {
        "traceparent": f"00-{trace_id}-{secrets.token_hex(8)}-01",
        "baggage": "tenant=acme",
    }
    try:
        answer = doors.serve_workflow(serving.server, flow_id, "hello", stream=stream)
    finally:
        serving.server.headers.clear()
    assert json.loads(answer)["tenant"] == "acme"
    spans = serving.trace_of(name)
    check(spans, traces=1)
    assert {span.trace_id for span in spans} == {trace_id}


@pytest.mark.skipif(before("1.12"), reason="lfx serve takes no other flow before 1.12")
@pytest.mark.parametrize("way", ["stream", "workflow"])
def test_a_client_that_goes_away_from_a_stream_of_lfx_serve_cancels_the_run(
    serving: Serving, way: str
) -> None:
    flow = {**flows.streamed_by_model(delay=8.0), "name": f"Left {way} of lfx serve"}
    flow_id = serving.server.upload(flow)
    if way == "stream":
        # It tells nothing before its end: Langflow hands its events to nobody there.
        serving.server.leave_stream(flow_id, "a b", after=2)
    else:
        serving.server.leave_workflow(flow_id, "a b c d e f g h", until="streamed:")
    spans = serving.trace_of(flow["name"])
    check(spans, traces=1)
    assert (
        render(spans)
        == f"""\
CHAIN {flow["name"]} ~cancelled
  CHAIN Chat Input
  CHAIN Scripted Model ~cancelled
    LLM Scripted Model ~cancelled"""
    )
    assert [span.name for span in spans if span.status == "ERROR"] == []


@pytest.mark.exhaustive
def test_bare_opentelemetry_instrument_langflow_run(phoenix: Phoenix) -> None:
    pytest.importorskip("langflow", reason="no langflow-base in this environment")
    env: dict[str, Any] = {
        **BARE,
        "PHOENIX_COLLECTOR_ENDPOINT": phoenix.endpoint,
        "PHOENIX_PROJECT_NAME": "bare",
    }
    with LangflowServer(env=env, prefix=["opentelemetry-instrument"]) as server:
        server.run(server.upload(flows.linear_chat("Answer", name="Chat from a file")), "hello")
        spans = phoenix.wait_for_spans("bare", lambda spans: "Chat from" in _ours(spans))
    assert _ours(spans) == OURS
    check(only(spans, _is_ai), traces=1)
    assert "Failed to export" not in server.log
