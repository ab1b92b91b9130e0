"""Two real Langflow servers: one calls the other, and both are called by somebody else.

The first runs under `langflow-otel run`, so that there is a global provider; the second is
instrumented in code, has a provider of its own, and no server spans.
"""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support import doors, flows
from tests.support.invariants import check
from tests.support.langfuse import LangfuseReceiver
from tests.support.langsmith import LangSmithReceiver
from tests.support.langsmith import render as langsmith_tree
from tests.support.lfx_cli import LfxServe
from tests.support.phoenix import Phoenix
from tests.support.receiver import OtlpReceiver
from tests.support.server import LangflowServer
from tests.support.spans import Span
from tests.support.tree import render
from tests.support.versions import before

pytestmark = [pytest.mark.server, pytest.mark.phoenix]

PROJECT = "two servers"
IN_CODE = "from langflow_otel import LangflowInstrumentor\nLangflowInstrumentor().instrument()\n"
CLOCK = 5_000_000
PARTS = 8
TREE = """\
Call elsewhere
  Chat Input
  Elsewhere
    Answers
      Chat Input
      Prompt Template
      Scripted Model
        Scripted Model
          ChatPromptTemplate
          ScriptedChatModel
      Chat Output
  Chat Output"""


@dataclass
class Pair:
    """The servers, and what stands in for the vendors that both send to."""

    first: LangflowServer
    second: LangflowServer
    phoenix: Phoenix
    langfuse: LangfuseReceiver
    langsmith: LangSmithReceiver


@pytest.fixture(scope="module")
def pair(phoenix: Phoenix, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    pytest.importorskip("langflow", reason="no langflow-base in this environment")
    pytest.importorskip("langsmith")
    folder = _in_code(tmp_path_factory)
    with LangfuseReceiver() as langfuse, LangSmithReceiver() as langsmith:
        env = {
            **langfuse.environment,
            **langsmith.environment,
            "PHOENIX_COLLECTOR_ENDPOINT": phoenix.endpoint,
            "PHOENIX_PROJECT_NAME": PROJECT,
            "OTEL_TRACES_EXPORTER": "phoenix,langfuse,langsmith",
            "OTEL_BSP_SCHEDULE_DELAY": "200",
            **doors.ENVIRONMENT,
        }
        prefix = ["langflow-otel", "run", "--"]
        first = LangflowServer(env=env, prefix=prefix, timeout=300)
        second = LangflowServer(env={**env, "PYTHONPATH": str(folder)}, timeout=300)
        with ExitStack() as stack, ThreadPoolExecutor() as pool:
            # At the same time: each takes a minute, most of it on one core.
            for started in pool.map(LangflowServer.__enter__, (first, second)):
                stack.push(started)
            yield Pair(first, second, phoenix, langfuse, langsmith)


def _in_code(factory: pytest.TempPathFactory) -> Path:
    folder = factory.mktemp("in-code")
    (folder / "sitecustomize.py").write_text(IN_CODE)
    return folder


def _names(tree: str) -> str:
    """A tree without the kinds, which are called by other names in each backend."""
    return "\n".join(re.sub(r"^( *)\S+ ", r"\1", line) for line in tree.splitlines())


def _wait(enough: Callable[[], Any], what: Callable[[], str]) -> Any:
    deadline = time.monotonic() + 40
    while not (found := enough()):
        if time.monotonic() > deadline:
            raise AssertionError(what())
        time.sleep(0.2)
    return found


def test_a_flow_that_calls_a_flow_of_another_langflow_is_one_tree_everywhere(pair: Pair) -> None:
    answers = pair.second.upload(flows.linear_chat(name="Answers"))
    url = f"{pair.second.endpoint}/api/v1/run/{answers}"
    caller = pair.first.upload(flows.call_elsewhere(url, pair.second.api_key))
    answer = pair.first.run(caller, "hello", "one-session")
    assert answer == "You said: Question: hello"

    count = len(TREE.splitlines())
    langfuse = pair.langfuse.wait_for(lambda spans: len(spans) == count and spans, timeout=40)
    assert _names(render(langfuse)) == TREE
    if not before("1.12"):
        pair.langfuse.check_whole()
    assert {span.attributes["langfuse.trace.name"] for span in langfuse} == {"Call elsewhere"}

    spans = pair.phoenix.wait_for_spans(PROJECT, count)
    if not before("1.12"):
        # There each server tells of a user of its own.
        for told in (langfuse, spans):
            check(told, session="one-session", traces=1, tolerance_ns=CLOCK)
    assert _names(render(spans)) == TREE

    _wait(lambda: len(pair.langsmith.runs) == count, lambda: langsmith_tree(pair.langsmith.trees))
    pair.langsmith.check_whole()
    assert _names(langsmith_tree(pair.langsmith.trees)) == TREE


Run = Callable[[LangflowServer, str], Any]
CHILDREN: dict[str, Run] = {
    "run": lambda server, flow: server.run(flow, "hi"),
    "run stream": lambda server, flow: server.run_stream(flow, "hi"),
    "build direct": lambda server, flow: server.build(flow, "hi", "direct"),
    "responses": lambda server, flow: server.responses(flow, "hi"),
    "responses stream": lambda server, flow: server.responses(flow, "hi", stream=True),
    "mcp": lambda server, flow: server.mcp(flow, "hi"),
    "workflows v2": lambda server, flow: server.workflows_v2(flow, "hi"),
    "workflows v2 stream": lambda server, flow: server.workflows_v2(flow, "hi", mode="stream"),
    "public build": lambda server, flow: doors.build_public(server, flow, "hi"),
    "public workflows v2": lambda server, flow: doors.run_public(server, flow, "hi"),
    "A2A": lambda server, flow: doors.ask_agent(server, flow, "hi"),
    "A2A stream": lambda server, flow: doors.ask_agent(server, flow, "hi", stream=True),
}
JOBS: dict[str, Run] = {
    "build streaming": lambda server, flow: server.build(flow, "hi", "streaming"),
    "build polling": lambda server, flow: server.build(flow, "hi", "polling"),
    "webhook": lambda server, flow: server.webhook(flow, {"text": "hi"}),
    "workflows v2 background": lambda server, flow: server.workflows_v2(
        flow, "hi", mode="background"
    ),
}


@dataclass
class Told:
    """A span of a service that is not a Langflow, and calls one."""

    trace_id: str
    span_id: str

    @property
    def header(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-01"


def _called(server: LangflowServer, run: Run, name: str) -> Told:
    told = Told(secrets.token_hex(16), secrets.token_hex(8))
    flow = server.upload({**flows.linear_chat(name=name), **doors.OPEN})
    server.headers["traceparent"] = told.header
    try:
        run(server, flow)
    finally:
        server.headers.clear()
    return told


def _run(receiver: OtlpReceiver, name: str) -> list[Span]:
    """The spans of the one run of a flow, of which the receiver has all."""

    def whole(spans: list[Span]) -> list[Span]:
        flow = next((span for span in spans if span.name == name), None)
        found = [s for s in spans if flow is not None and s.trace_id == flow.trace_id]
        return found if len(found) >= PARTS else []

    receiver.wait_for(whole, timeout=40)
    return whole(receiver.spans)


def _needs(surface: str) -> None:
    if "v2" in surface and before("1.12"):
        pytest.skip("Langflow's v2 workflows are for developers only before 1.12")
    if "public" in surface and not doors.BUILDS_PUBLIC:
        pytest.skip("this Langflow builds no such flow")
    if "A2A" in surface and not doors.has_a2a():
        pytest.skip("this Langflow does not speak A2A")


@pytest.mark.parametrize("surface", CHILDREN)
@pytest.mark.parametrize("of", ["first", "second"])
def test_a_caller_is_above_a_run_that_it_waits_for(pair: Pair, of: str, surface: str) -> None:
    _needs(surface)
    name = f"{of} {surface}"
    told = _called(getattr(pair, of), CHILDREN[surface], name)
    spans = _run(pair.langfuse, name)
    (flow,) = (span for span in spans if span.name == name)
    assert flow.trace_id == told.trace_id
    above = [(link.trace_id, link.span_id) for link in flow.links]
    if of == "second":
        # Nothing is between; what an LLM backend does not get it links to.
        assert above == [(told.trace_id, told.span_id)]
    check(spans, traces=1)


@pytest.mark.parametrize("surface", JOBS)
@pytest.mark.parametrize("of", ["first", "second"])
def test_a_run_that_goes_on_by_itself_links_to_what_caused_it(
    pair: Pair, of: str, surface: str
) -> None:
    _needs(surface)
    name = f"{of} {surface}"
    told = _called(getattr(pair, of), JOBS[surface], name)
    spans = _run(pair.langfuse, name)
    (flow,) = (span for span in spans if span.name == name)
    check(spans, traces=1)
    links = [(link.trace_id, link.span_id) for link in flow.links]
    # It may have begun before its request was answered; that is its parent then.
    if flow.trace_id != told.trace_id:
        assert told.trace_id in [trace_id for trace_id, _ in links]
    if of == "second":
        assert links == [(told.trace_id, told.span_id)]


@pytest.mark.parametrize("surface", [*CHILDREN, *JOBS])
def test_the_baggage_of_a_caller_reaches_the_components(pair: Pair, surface: str) -> None:
    _needs(surface)
    run = {**CHILDREN, **JOBS}[surface]
    flow = pair.second.upload({**flows.carried(f"carried by {surface}"), **doors.OPEN})
    pair.second.headers["baggage"] = "tenant=acme"
    try:
        answer = run(pair.second, flow)
    finally:
        pair.second.headers.clear()
    if surface == "webhook":
        pair.second.wait_for_messages(flow, 2)
        answer = pair.second.messages(flow)[-1]["text"]
    # With a job in its queue Langflow keeps the link alone.
    assert ("tenant" in json.loads(answer)) == ("background" not in surface), answer


def test_jobs_of_two_callers_link_each_to_its_own(pair: Pair) -> None:
    """The worker that takes them was started by one of them, and keeps its context for ever."""
    _needs("v2")
    run = JOBS["workflows v2 background"]
    told = {name: _called(pair.second, run, name) for name in ("job one", "job two")}
    for name, caller in told.items():
        (flow,) = (span for span in _run(pair.langfuse, name) if span.name == name)
        assert [link.span_id for link in flow.links] == [caller.span_id]


def test_the_meta_of_an_mcp_call_goes_before_its_headers(pair: Pair) -> None:
    _needs("mcp")
    told = Told(secrets.token_hex(16), secrets.token_hex(8))
    pair.second.mcp_meta = {"traceparent": told.header}
    try:
        _called(pair.second, CHILDREN["mcp"], "mcp meta")
    finally:
        pair.second.mcp_meta = {}
    (flow,) = (span for span in _run(pair.langfuse, "mcp meta") if span.name == "mcp meta")
    assert flow.trace_id == told.trace_id
    assert [link.span_id for link in flow.links] == [told.span_id]


def test_an_unsampled_caller_means_no_span_of_its_run(pair: Pair) -> None:
    flow = pair.second.upload(flows.linear_chat(name="unsampled"))
    pair.second.headers["traceparent"] = f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-00"
    try:
        pair.second.run(flow, "hi")
    finally:
        pair.second.headers.clear()
    _called(pair.second, CHILDREN["run"], "after it")
    assert _run(pair.langfuse, "after it")
    assert "unsampled" not in {span.name for span in pair.langfuse.spans}


def test_lfx_serve_continues_a_trace_and_leaves_it_to_its_sampler_to_begin_one(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = _in_code(tmp_path_factory)
    file = folder / "flow.json"
    file.write_text(json.dumps(flows.linear_chat(name="Served")))
    told = Told(secrets.token_hex(16), secrets.token_hex(8))
    with LangfuseReceiver() as langfuse:
        env = {
            **langfuse.environment,
            "OTEL_TRACES_EXPORTER": "langfuse",
            "OTEL_BSP_SCHEDULE_DELAY": "200",
            # What nobody else has sampled is not.
            "OTEL_TRACES_SAMPLER": "parentbased_always_off",
            "PYTHONPATH": str(folder),
        }
        with LfxServe(file, env=env) as server:
            server.run("of nobody's trace")
            server.headers["traceparent"] = told.header
            for run in (server.run, server.stream):
                run("hi")
                spans = _run(langfuse, "Served")
                check(spans, traces=1)
                (flow,) = (span for span in spans if span.name == "Served")
                assert {span.trace_id for span in langfuse.spans} == {told.trace_id}
                assert [link.span_id for link in flow.links] == [told.span_id]
                langfuse.clear()
