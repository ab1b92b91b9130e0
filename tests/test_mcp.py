"""A call of an MCP server's tool is one span, and what the server does hangs on it."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import importlib.util
import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from langflow_otel import LangflowInstrumentor
from langflow_otel.seams import mcp as mcp_seam
from tests.conftest import Traced
from tests.support import flows
from tests.support.inside import inside_a_flow
from tests.support.invariants import check
from tests.support.receiver import OtlpReceiver
from tests.support.select import named
from tests.support.spans import Span

if importlib.util.find_spec("mcp") is None:
    pytest.skip("this Langflow comes without an MCP client", allow_module_level=True)

from tests.support import mcp

ADD = {"name": "add", "args": {"a": 1, "b": 2}}
DIVIDE = {"name": "divide", "args": {"a": 1}}


@pytest.fixture(autouse=True)
def _without_database(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the component take the server from the flow, as in a bare lfx, and reach 127.0.0.1."""
    monkeypatch.setitem(sys.modules, "langflow.api", None)
    monkeypatch.setenv("LANGFLOW_SSRF_ALLOWED_HOSTS", "127.0.0.1")


@pytest.fixture(params=["stdio", "http"])
def config(request: pytest.FixtureRequest, receiver: Any) -> Iterator[mcp.Config]:
    with mcp.server(request.param, receiver.endpoint) as running:
        yield running


@pytest.fixture
def over_http(receiver: Any) -> Iterator[mcp.Config]:
    with mcp.server("http", receiver.endpoint) as running:
        yield running


def the(spans: list[Span], kind: str, name: str) -> Span:
    (found,) = [span for span in spans if span.kind == kind and span.name == name]
    return found


def served(spans: list[Span], name: str) -> list[Span]:
    return [span for span in spans if span.scope == "mcp_server" and span.name.endswith(name)]


async def test_a_call_says_which_server_and_the_servers_span_is_below_it(
    traced: Traced, config: mcp.Config
) -> None:
    assert "1 + 2 = 3" in await flows.run_flow(mcp.agent(config, [ADD]), "sum?")

    spans = traced.spans()
    check(spans, traces=1)
    call = the(spans, "TOOL", "add")
    told = call.attributes
    assert told["tool.name"] == "add"
    assert told["tool.description"] == "Adds two numbers."
    assert set(json.loads(told["tool.parameters"])) == {"a", "b"}
    assert told["langflow.component.id"] == "MCPTools-demo"
    assert ast.literal_eval(told["input.value"]) == {"a": 1, "b": 2}
    assert "1 + 2 = 3" in told["output.value"]
    assert told["mcp.method.name"] == "tools/call"
    assert told["mcp.protocol.version"]
    assert told["langflow.mcp.server.name"] == "Sums"
    assert told["langflow.mcp.tool.name"] == "add"
    if "url" in config:
        assert told["network.transport"] == "tcp"
        assert told["network.protocol.name"] == "http"
        assert f"http://{told['server.address']}:{told['server.port']}/mcp" == config["url"]
        assert told["mcp.session.id"]
    else:
        assert told["network.transport"] == "pipe"
    (work,) = served(spans, "add")
    assert (work.trace_id, work.parent_id) == (call.trace_id, call.span_id)


async def test_runs_that_share_a_session_keep_their_traces_apart(
    traced: Traced, over_http: mcp.Config
) -> None:
    flow = mcp.agent(over_http, [ADD])
    await flows.run_flow(flow, "sum?", session_id="s")
    await asyncio.gather(*(flows.run_flow(flow, "sum?", session_id="s") for _ in range(3)))

    spans = traced.spans()
    check(spans, traces=4)
    assert len(served(spans, "add")) == 4
    for work in served(spans, "add"):
        (call,) = [span for span in spans if span.span_id == work.parent_id]
        assert (call.kind, call.trace_id) == ("TOOL", work.trace_id)


async def test_a_tool_that_says_it_failed_is_an_error(
    traced: Traced, over_http: mcp.Config
) -> None:
    await flows.run_flow(mcp.agent(over_http, [DIVIDE]), "divide?")

    spans = traced.spans()
    check(spans, traces=1)
    calls = [span for span in spans if span.kind == "TOOL"]
    assert calls
    for call in calls:
        assert call.status == "ERROR"
        assert "cannot be divided" in call.status_message
        assert call.attributes["error.type"] == "tool_error"
        assert len([event for event in call.events if event.name == "exception"]) == 1
    assert named(spans, "Agent").status == "OK"


@pytest.mark.skipif(not mcp.STANDS_ALONE, reason="needs Langflow's database before 1.10")
async def test_a_component_that_calls_a_tool_itself_has_the_call_below_it(
    traced: Traced, config: mcp.Config
) -> None:
    await flows.run_flow(mcp.alone(config, "add", a=1, b=2))

    spans = traced.spans()
    check(spans, traces=1)
    call = the(spans, "TOOL", "add")
    assert call.scope == "langflow_otel"
    assert call.parent_id == named(spans, "MCP Tools").span_id
    assert call.attributes["langflow.component.id"] == "MCPTools-demo"
    assert json.loads(call.attributes["input.value"]) == {"a": 1, "b": 2}
    assert call.attributes["output.value"] == "1 + 2 = 3"
    (work,) = served(spans, "add")
    assert work.parent_id == call.span_id


async def test_calls_are_traced_without_the_langchain_instrumentor(
    environment: pytest.MonkeyPatch, over_http: mcp.Config, request: pytest.FixtureRequest
) -> None:
    environment.setenv("OTEL_PYTHON_LANGFLOW_INSTRUMENT_LANGCHAIN", "false")
    traced: Traced = request.getfixturevalue("traced")
    await flows.run_flow(mcp.agent(over_http, [ADD]), "sum?")

    spans = traced.spans()
    check(spans, traces=1)
    call = the(spans, "TOOL", "add")
    assert call.scope == "langflow_otel"
    assert call.attributes["mcp.method.name"] == "tools/call"
    assert served(spans, "add")[0].parent_id == call.span_id


@pytest.mark.skipif(not mcp.STANDS_ALONE, reason="needs Langflow's database before 1.10")
@pytest.mark.parametrize(
    ("variable", "value"),
    [("OTEL_PYTHON_LANGFLOW_CAPTURE_CONTENT", "false"), ("OTEL_TRACES_SAMPLER", "always_off")],
)
async def test_where_nothing_is_captured_no_result_is_looked_at(
    traced: Traced,
    over_http: mcp.Config,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str,
) -> None:
    LangflowInstrumentor().uninstrument()
    monkeypatch.setenv(variable, value)
    LangflowInstrumentor().instrument()
    looked: list[Any] = []
    monkeypatch.setattr(mcp_seam, "_shown", looked.append)

    await flows.run_flow(mcp.alone(over_http, "add", a=1, b=2))

    assert looked == []
    assert len([span for span in traced.spans() if span.kind == "TOOL"]) == (value == "false")


async def test_a_host_that_is_excluded_is_told_nothing(
    environment: pytest.MonkeyPatch, over_http: mcp.Config, request: pytest.FixtureRequest
) -> None:
    environment.setenv("OTEL_PYTHON_LANGFLOW_PROPAGATE_EXCLUDED_HOSTS", "127.0.0.1")
    traced: Traced = request.getfixturevalue("traced")
    await flows.run_flow(mcp.agent(over_http, [ADD]), "sum?")

    (work,) = served(traced.spans(), "add")
    assert work.parent_id == ""
    assert json.loads(work.attributes["meta"]) == {}


async def test_where_a_host_is_excluded_so_is_a_session_of_before_whose_host_is_not_known(
    environment: pytest.MonkeyPatch, over_http: mcp.Config, receiver: OtlpReceiver
) -> None:
    from mcp import ClientSession
    from mcp.client.streamable_http import streamablehttp_client

    environment.setenv("PHOENIX_COLLECTOR_ENDPOINT", receiver.endpoint)
    seen: list[Any] = []
    async with (
        streamablehttp_client(over_http["url"]) as (read, write, _),
        ClientSession(read, write) as session,
    ):
        await session.initialize()
        for excluded in ("api.example.com", ""):
            environment.setenv("OTEL_PYTHON_LANGFLOW_PROPAGATE_EXCLUDED_HOSTS", excluded)
            LangflowInstrumentor().instrument()
            try:
                with inside_a_flow():
                    seen.append(await session.call_tool("add", ADD["args"]))
            finally:
                LangflowInstrumentor().uninstrument()

    assert [result.isError for result in seen] == [False, False]
    first, second = (json.loads(span.attributes["meta"]) for span in served(receiver.spans, "add"))
    assert "traceparent" not in first
    assert "traceparent" in second


async def test_what_is_in_meta_already_stands(traced: Traced, over_http: mcp.Config) -> None:
    from mcp import ClientSession, types
    from mcp.client.streamable_http import streamablehttp_client

    theirs = f"00-{'ab' * 16}-{'cd' * 8}-01"
    seen: list[Any] = []

    async def call(url: str) -> None:
        async with streamablehttp_client(url) as (read, write, _), ClientSession(read, write) as s:
            await s.initialize()
            for meta in ({"progressToken": "p-1"}, {"traceparent": theirs}):
                params = types.CallToolRequestParams(
                    name="add", arguments=ADD["args"], _meta=types.RequestParams.Meta(**meta)
                )
                request = types.ClientRequest(types.CallToolRequest(params=params))
                seen.append(await s.send_request(request, types.CallToolResult))
                assert params.meta is not None
                assert params.meta.model_dump(exclude_none=True) == meta
            await s.list_tools()

    with inside_a_flow():
        await call(over_http["url"])

    assert [result.isError for result in seen] == [False, False]
    first, second = (json.loads(span.attributes["meta"]) for span in served(traced.spans(), "add"))
    assert first["progressToken"] == "p-1"
    assert set(first) >= {"traceparent", "baggage"}
    assert second == {"traceparent": theirs}


async def test_another_instrumentor_of_mcp_is_no_second_tool_call(
    traced: Traced, over_http: mcp.Config
) -> None:
    module = pytest.importorskip("opentelemetry.instrumentation.mcp")
    with _put_back_after():
        module.McpInstrumentor().instrument(tracer_provider=traced.provider)
        try:
            answer = await flows.run_flow(mcp.agent(over_http, [ADD]), "sum?")
        finally:
            module.McpInstrumentor().uninstrument()

    assert "1 + 2 = 3" in answer
    spans = traced.spans()
    check(spans, traces=1, may_outlive_parent={"tools/call add"})
    call = the(spans, "TOOL", "add")
    assert call.attributes["mcp.method.name"] == "tools/call"
    (work,) = served(spans, "add")
    above = {span.span_id: span for span in spans}
    line = [work]
    while line[-1].parent_id:
        line.append(above[line[-1].parent_id])
    assert call in line


@contextlib.contextmanager
def _put_back_after() -> Iterator[None]:
    """Traceloop's instrumentor leaves most of what it wraps wrapped."""
    from mcp.client import sse, stdio, streamable_http
    from mcp.shared.session import BaseSession

    places = [
        (place, name, vars(place)[name])
        for place in (BaseSession, sse, stdio, streamable_http)
        for name in ("send_request", "sse_client", "stdio_client", "streamablehttp_client")
        if name in vars(place)
    ]
    yield
    for place, name, value in places:
        setattr(place, name, value)
