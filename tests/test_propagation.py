"""The context comes in with a request, and goes out with what a component calls."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import logging
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import baggage, propagate, trace
from opentelemetry import context as otel_context
from opentelemetry.context import Context
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.propagators.textmap import TextMapPropagator, default_setter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import format_span_id

from langflow_otel import LangflowInstrumentor
from langflow_otel.settings import Settings
from langflow_otel.spans import Flow
from tests.conftest import Traced
from tests.support import flows
from tests.support.echo import EchoServer
from tests.support.invariants import check
from tests.support.langfuse import LangfuseReceiver
from tests.support.langsmith import LangSmithReceiver
from tests.support.langsmith import render as langsmith_tree
from tests.support.process import OFFLINE, clean_environment, run
from tests.support.receiver import OtlpReceiver
from tests.support.select import named
from tests.support.spans import from_readable
from tests.support.tree import render

CLIENTS = ["httpx", "httpx_sync", "httpx2", "requests", "aiohttp"]
EXCLUDED = "OTEL_PYTHON_LANGFLOW_PROPAGATE_EXCLUDED_HOSTS"
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CALLED = {"traceparent": f"00-{TRACE}-{SPAN}-01"}
WHOLE = "20261124T035436123456Z01a2b3c4-0000-7000-8000-000000000001"


@pytest.fixture
def echo() -> Iterator[EchoServer]:
    with EchoServer() as started:
        yield started


def _needs(client: str) -> None:
    package = client.removesuffix("_sync")
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"no {package} in this environment")


def _told(seen: dict[str, Any]) -> tuple[str, str]:
    """Trace and parent; the flags differ between versions of OpenTelemetry, by the bit "random"."""
    _, trace_id, span_id, _ = seen["headers"]["traceparent"].split("-")
    return trace_id, span_id


@pytest.mark.parametrize("client", CLIENTS)
async def test_a_call_of_a_component_carries_the_components_context(
    traced: Traced, echo: EchoServer, client: str
) -> None:
    _needs(client)
    await flows.run_flow(flows.http_call(client, f"http://{echo.address}/hello"))

    spans = traced.spans()
    check(spans, traces=1)
    caller = named(spans, "Caller")
    (seen,) = echo.seen
    assert _told(seen) == (caller.trace_id, caller.span_id)
    assert seen["headers"]["baggage"] == f"langflow.parent={caller.trace_id}-{caller.span_id}"


@pytest.mark.parametrize("protected", ["true", "false"])
async def test_langflows_own_api_request_carries_it(
    traced: Traced, echo: EchoServer, environment: pytest.MonkeyPatch, protected: str
) -> None:
    pytest.importorskip("lfx.components.data_source.api_request")
    environment.setenv("LANGFLOW_SSRF_PROTECTION_ENABLED", protected)
    environment.setenv("LANGFLOW_SSRF_ALLOWED_HOSTS", "127.0.0.1")
    await flows.run_flow(flows.api_request(), f"http://{echo.address}/hello")
    spans = traced.spans()
    check(spans, traces=1)
    caller = named(spans, "API Request")
    (seen,) = echo.seen
    assert _told(seen) == (caller.trace_id, caller.span_id)


@pytest.mark.parametrize("client", CLIENTS)
async def test_a_call_that_carries_a_context_already_is_sent_as_it_is(
    traced: Traced, echo: EchoServer, client: str
) -> None:
    _needs(client)
    own = f"00-{TRACE}-{SPAN}-01"
    await flows.run_flow(flows.http_call(client, f"http://{echo.address}/", Traceparent=own))
    check(traced.spans(), traces=1)
    (seen,) = echo.seen
    assert seen["headers"]["traceparent"] == own
    assert "baggage" not in seen["headers"]


@pytest.mark.parametrize("client", CLIENTS)
async def test_a_redirect_to_an_excluded_host_carries_nothing_there(
    receiver: OtlpReceiver,
    environment: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    echo: EchoServer,
    client: str,
) -> None:
    _needs(client)
    with EchoServer() as other:
        environment.setenv(EXCLUDED, f"example.com, {other.address}")
        request.getfixturevalue("traced")
        await flows.run_flow(flows.http_call(client, f"http://{echo.address}/to/{other.address}"))
        (there,), (here,) = other.seen, echo.seen
    assert "traceparent" in here["headers"]
    assert not {"traceparent", "baggage"} & set(there["headers"])


@pytest.mark.parametrize("client", CLIENTS)
async def test_nothing_goes_out_that_is_not_of_a_flow_or_is_suppressed(
    traced: Traced, echo: EchoServer, client: str
) -> None:
    _needs(client)
    url = f"http://{echo.address}/"
    flow = flows.http_call(client, url)
    with suppress_instrumentation():
        await flows.run_flow(flow)
    with traced.provider.get_tracer("tests").start_as_current_span("outside"):
        await _get(client, url)
    assert [seen["headers"].get("traceparent") for seen in echo.seen] == [None, None]


async def _get(client: str, url: str) -> None:
    from tests.support.components import CallerComponent

    caller = CallerComponent(client=client, url=url, headers={})
    await caller.fetch()


async def test_the_context_of_a_flow_that_is_not_sampled_goes_out_as_such(
    environment: pytest.MonkeyPatch, request: pytest.FixtureRequest, echo: EchoServer
) -> None:
    environment.setenv("OTEL_TRACES_SAMPLER", "always_off")
    request.getfixturevalue("traced")
    await flows.run_flow(flows.http_call("httpx", f"http://{echo.address}/"))
    (seen,) = echo.seen
    assert not int(seen["headers"]["traceparent"].split("-")[3], 16) & 1
    assert "baggage" not in seen["headers"]


async def test_a_task_that_outlives_its_component_sends_no_context_of_it(
    traced: Traced, echo: EchoServer
) -> None:
    """A client that keeps a group of tasks has the context in which that was made."""
    await flows.run_flow(flows.http_call("late", f"http://{echo.address}/"))
    await asyncio.to_thread(echo.wait_for, 1)
    (seen,) = echo.seen
    assert not {"traceparent", "baggage"} & set(seen["headers"])
    check(traced.spans(), traces=1)


@pytest.mark.parametrize("ours_first", [True, False], ids=["ours first", "theirs first"])
@pytest.mark.parametrize("client", ["httpx", "httpx_sync", "requests"])
async def test_beside_an_instrumentor_of_the_client_its_span_is_the_parent(
    echo: EchoServer, client: str, ours_first: bool
) -> None:
    package = client.removesuffix("_sync")
    module = pytest.importorskip(f"opentelemetry.instrumentation.{package}")
    theirs = getattr(
        module, {"httpx": "HTTPXClientInstrumentor"}.get(package, "RequestsInstrumentor")
    )
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    both = [LangflowInstrumentor(), theirs()]
    ordered = both if ours_first else both[::-1]
    for each in ordered:
        each.instrument(tracer_provider=provider)
    try:
        await flows.run_flow(flows.http_call(client, f"http://{echo.address}/"))
    finally:
        for each in reversed(ordered):
            each.uninstrument()
    spans = [from_readable(span) for span in exporter.get_finished_spans()]
    check(spans, traces=1)
    (sent,) = (span for span in spans if span.name == "GET")
    (seen,) = echo.seen
    assert _told(seen) == (sent.trace_id, sent.span_id)
    assert "langflow.parent" in seen["headers"]["baggage"]
    assert "," not in seen["headers"]["baggage"]


async def test_the_propagators_of_the_environment_are_respected(
    traced: Traced, echo: EchoServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Own(TextMapPropagator):
        fields = {"x-own"}

        def inject(self, carrier: Any, context: Any = None, setter: Any = default_setter) -> None:
            span = trace.get_current_span(context).get_span_context()
            setter.set(carrier, "x-own", trace.format_span_id(span.span_id))

        def extract(self, carrier: Any, context: Any = None, getter: Any = None) -> Any:
            return context

    before = propagate.get_global_textmap()
    propagate.set_global_textmap(Own())
    try:
        await flows.run_flow(flows.http_call("httpx", f"http://{echo.address}/"))
        await flows.run_flow(
            flows.http_call("httpx", f"http://{echo.address}/", **{"X-Own": "mine"})
        )
    finally:
        propagate.set_global_textmap(before)
    first, second = (seen["headers"] for seen in echo.seen)
    spans = traced.spans()
    check(spans, traces=2)
    assert first["x-own"] == next(s.span_id for s in spans if s.name == "Caller")
    assert second["x-own"] == "mine"
    assert not {"traceparent", "baggage"} & {*first, *second}


CALLS = """
import asyncio, sys
from langflow_otel import LangflowInstrumentor
LangflowInstrumentor().instrument()
from tests.support import flows
asyncio.run(flows.run_flow(flows.http_call("httpx", sys.argv[1])))
"""


@pytest.mark.parametrize(
    ("propagators", "sent"),
    [
        ("tracecontext", {"traceparent"}),
        pytest.param("baggage", {"baggage"}, marks=pytest.mark.exhaustive),
        pytest.param("none", set(), marks=pytest.mark.exhaustive),
        (None, {"traceparent", "baggage"}),
    ],
)
def test_otel_propagators_says_in_which_headers_the_context_travels(
    echo: EchoServer, receiver: OtlpReceiver, propagators: str | None, sent: set[str]
) -> None:
    chosen = {} if propagators is None else {"OTEL_PROPAGATORS": propagators}
    # Where a whole Langflow of old finds its tables.
    tables = {name: os.environ[name] for name in ("LANGFLOW_CONFIG_DIR", "LANGFLOW_DATABASE_URL")}
    settings = {"PHOENIX_COLLECTOR_ENDPOINT": receiver.endpoint, **tables, **chosen}
    done = run(
        [sys.executable, "-c", CALLS, f"http://{echo.address}/"],
        clean_environment({**OFFLINE, **settings}),
        Path(__file__).parent.parent,
        120,
    )
    assert done.returncode == 0, done.stderr
    (seen,) = echo.seen
    assert {"traceparent", "baggage"} & set(seen["headers"]) == sent
    check(receiver.spans, traces=1)


async def _called_by_another(echo: EchoServer) -> None:
    """Run a flow that calls, then one in what it told, as another Langflow would."""
    await flows.run_flow(flows.http_call("httpx", f"http://{echo.address}/"))
    (seen,) = echo.seen
    token = otel_context.attach(propagate.extract(seen["headers"]))
    try:
        await flows.run_flow(flows.sync_method(), session_id="session-1")
    finally:
        otel_context.detach(token)


HERE_ONE_AFTER_THE_OTHER = 60_000_000_000
TREES = """\
HTTP call
  Chat Input
  Caller
    Sync method
      Chat Input
      Compute
      Chat Output
  Chat Output"""


@pytest.fixture
def instrumented() -> Iterator[Callable[[], None]]:
    """Instruments, once the environment is set; gives what flushes."""
    instrumentor = LangflowInstrumentor()

    def instrument() -> None:
        instrumentor.instrument()

    yield instrument
    instrumentor.uninstrument()


def _flush() -> None:
    provider = LangflowInstrumentor().tracer_provider
    assert isinstance(provider, TracerProvider)
    assert provider.force_flush()


async def test_in_langsmith_a_flow_that_another_langflow_calls_is_one_tree_with_it(
    environment: pytest.MonkeyPatch, instrumented: Callable[[], None], echo: EchoServer
) -> None:
    pytest.importorskip("langsmith")
    with LangSmithReceiver() as langsmith:
        environment.setenv("OTEL_TRACES_EXPORTER", "langsmith")
        for name, value in langsmith.environment.items():
            environment.setenv(name, value)
        instrumented()
        await _called_by_another(echo)
        _flush()
        langsmith.check_whole()
        tree = langsmith_tree(langsmith.trees)
    assert [re.sub(r"^( *)\w+ ", r"\1", line) for line in tree.splitlines()] == TREES.splitlines()


async def test_in_langfuse_both_are_one_trace_of_the_first_ones_name(
    environment: pytest.MonkeyPatch, instrumented: Callable[[], None], echo: EchoServer
) -> None:
    with LangfuseReceiver() as langfuse:
        for name, value in langfuse.environment.items():
            environment.setenv(name, value)
        instrumented()
        await _called_by_another(echo)
        _flush()
        langfuse.check_whole()
        spans = langfuse.spans
    check(spans, traces=1, tolerance_ns=HERE_ONE_AFTER_THE_OTHER)
    assert [re.sub(r"^( *)\w+ ", r"\1", line) for line in render(spans).splitlines()] == (
        TREES.splitlines()
    )
    assert {span.attributes["langfuse.trace.name"] for span in spans} == {"HTTP call"}


@pytest.mark.parametrize("name", ["", "\ud800", "n" * 5000])
async def test_a_name_that_a_caller_tells_is_bounded(traced: Traced, name: str) -> None:
    told = Context(baggage.set_baggage("langflow.trace.name", name))
    told = baggage.set_baggage("langflow.parent", f"{TRACE}-{SPAN}", told)
    token = otel_context.attach(propagate.extract(CALLED, told))
    try:
        await flows.run_flow(flows.sync_method())
    finally:
        otel_context.detach(token)
    spans = traced.spans()
    check(spans, remote_parents=[SPAN])
    (shown,) = {span.attributes["langflow.trace.name"] for span in spans if span.kind}
    assert len(shown) <= 256
    assert shown == "Sync method" if not name else shown[0] in "n?\ufffd"


@pytest.mark.parametrize(
    "order",
    ["x" * 58, "20261124T035436123456Z" + "g" * 36, f"{WHOLE[:-1]}", f"{WHOLE}.", f"{WHOLE}.x"],
)
async def test_nonsense_that_a_caller_tells_makes_a_root_in_langsmith(
    environment: pytest.MonkeyPatch, instrumented: Callable[[], None], order: str
) -> None:
    pytest.importorskip("langsmith")
    headers = {**CALLED, "baggage": f"langflow.parent={TRACE}-{SPAN}-{order}"}
    with LangSmithReceiver() as langsmith:
        environment.setenv("OTEL_TRACES_EXPORTER", "langsmith")
        for name, value in langsmith.environment.items():
            environment.setenv(name, value)
        instrumented()
        token = otel_context.attach(propagate.extract(headers))
        try:
            await flows.run_flow(flows.sync_method())
        finally:
            otel_context.detach(token)
        _flush()
        langsmith.check_whole()
        (root,) = langsmith.trees
    assert (root.name, root.parent_run_id) == ("Sync method", None)


def test_a_request_of_the_users_is_not_changed(traced: Traced, echo: EchoServer) -> None:
    """It may be sent again, from somewhere else."""
    import httpx
    import requests

    url = f"http://{echo.address}/"
    prepared = requests.Request("GET", url, headers={"X-Mine": "1"}).prepare()
    with httpx.Client(trust_env=False) as client, requests.Session() as session:
        session.trust_env = False
        built = client.build_request("GET", url)
        with _inside_a_flow(traced) as span_id:
            assert client.send(built).request is built
            assert session.send(prepared).request is prepared
    assert "traceparent" not in {*built.headers, *prepared.headers}
    assert [span_id in seen["headers"]["traceparent"] for seen in echo.seen] == [True, True]


@contextlib.contextmanager
def _inside_a_flow(traced: Traced) -> Iterator[str]:
    tracer = LangflowInstrumentor()._tracer
    assert tracer is not None
    flow = tracer.flow(Flow(name="own"), trace.INVALID_SPAN)
    flow.attach()
    try:
        yield format_span_id(flow.span.get_span_context().span_id)
    finally:
        flow.end()


@pytest.mark.parametrize(
    ("listed", "host", "port", "expected"),
    [
        ("", "a.example", 80, False),
        ("*", "a.example", 80, True),
        ("*", None, None, True),
        ("a.example", None, None, False),
        ("a.example", "A.EXAMPLE.", 443, True),
        ("a.example", "b.a.example", 443, False),
        ("*.example", "b.a.example", 443, True),
        ("*.example", "example", 443, False),
        ("a.*.org, b.example", "a.x.y.org", 80, True),
        ("a.example:443", "a.example", 443, True),
        ("a.example:443", "a.example", 80, False),
        ("10.0.0.7:8080", "10.0.0.7", 8080, True),
        ("::1", "::1", 80, True),
        ("[::1]:81", "::1", 81, True),
        ("[::1]:81", "::1", 80, False),
        ("a[bc].example", "ab.example", 80, True),
        ("10.0.0.0/8", "10.1.2.3", 80, True),
        ("10.0.0.0/8", "::ffff:10.1.2.3", 80, True),
        ("10.0.0.0/8", "11.1.2.3", 80, False),
        ("10.0.0.0/8", "10.example", 80, False),
        ("10.0.0.*", "10.0.0.9", 80, True),
        ("[fd00::/8]:81", "fd12::1", 81, True),
        ("fd00::/8", "fe80::1%eth0", 80, False),
        ("[::1]", "0:0:0:0:0:0:0:1", 80, True),
        ("0:0:0:0:0:0:0:1", "[::1]", 80, True),
        ("bücher.example", "xn--bcher-kva.example", 80, True),
        ("xn--bcher-kva.example", "BÜCHER.example", 80, True),
        ("*.bücher.example", "a.xn--bcher-kva.example", 80, True),
        ("straße.example", "xn--strae-oqa.example", 80, True),
        ("bücher.example", "bucher.example", 80, False),
        ("xn--.example", "xn--.example", 80, True),
    ],
)
def test_which_hosts_are_excluded(
    environment: pytest.MonkeyPatch, listed: str, host: str | None, port: int | None, expected: bool
) -> None:
    environment.setenv(EXCLUDED, listed)
    assert Settings.from_environment().propagate_excluded_hosts.include(host, port) is expected


@pytest.mark.parametrize(
    ("listed", "used", "excluded"),
    [
        ("https://user:pw@api.example.com:8443/v1?x=1", "the host api.example.com:8443", False),
        ("http://[half", "every host", True),
        ("a b", "every host", True),
    ],
)
def test_what_is_no_host_is_said_and_excludes_rather_too_much(
    environment: pytest.MonkeyPatch, said: Any, listed: str, used: str, excluded: bool
) -> None:
    environment.setenv(EXCLUDED, listed)
    hosts = Settings.from_environment().propagate_excluded_hosts
    assert hosts.include("other.example", 80) is excluded
    assert hosts.include("api.example.com", 8443)
    (line,) = said(logging.WARNING)
    assert EXCLUDED in line
    assert used in line
