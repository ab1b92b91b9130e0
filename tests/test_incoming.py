"""What another service tells of its trace continues in the flow that it calls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from types import SimpleNamespace
from typing import Any

import fastapi
import httpx
import opentelemetry.trace as api
import pytest
from fastapi import FastAPI
from opentelemetry import baggage, propagate, trace
from opentelemetry import context as otel_context
from opentelemetry.propagators.textmap import TextMapPropagator, default_getter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased, Sampler
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route

from langflow_otel import LangflowInstrumentor
from langflow_otel.seams.request import RequestSeam
from tests.conftest import Traced
from tests.support import flows
from tests.support.invariants import check
from tests.support.select import is_ours, named, only
from tests.support.spans import Span, from_readable
from tests.support.tree import render
from tests.support.versions import before

TRACE, SPAN, OTHER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", "c" * 16
CALLED = {"traceparent": f"00-{TRACE}-{SPAN}-01"}
UNSAMPLED = {"traceparent": f"00-{TRACE}-{SPAN}-00"}


def _app(left: list[asyncio.Task[Any]] | None = None) -> Starlette:
    """An application that runs a flow: before it answers, as it answers, or after that.

    FastAPI's own (from 0.16x on) makes server spans, where there is a global provider.
    """
    tasks: list[asyncio.Task[Any]] = [] if left is None else left

    async def passes_on(request: Request, call_next: Callable[..., Any]) -> Any:
        return await call_next(request)

    async def run(_: Request) -> Response:
        return Response(await flows.run_flow(flows.sync_method()))

    async def stream(_: Request) -> StreamingResponse:
        async def answer() -> AsyncIterator[str]:
            yield "first "
            yield await flows.run_flow(flows.sync_method())

        return StreamingResponse(answer())

    async def job(_: Request) -> Response:
        async def later() -> None:
            while trace.get_current_span().is_recording():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            await flows.run_flow(flows.sync_method())

        tasks.append(asyncio.create_task(later()))
        return Response("later")

    async def after(_: Request) -> Response:
        """Run it in the call, but when the answer has been sent."""
        return Response("later", background=BackgroundTask(flows.run_flow, flows.sync_method()))

    async def told(_: Request) -> JSONResponse:
        return JSONResponse({name: str(value) for name, value in baggage.get_all().items()})

    routes = [Route("/run", run), Route("/stream", stream), Route("/job", job)]
    app = Starlette(
        routes=[
            *routes,
            Route("/told", told),
            Route("/after", after),
            Mount("/mounted", Starlette(routes=routes)),
        ]
    )
    app.add_middleware(BaseHTTPMiddleware, dispatch=passes_on)
    return app


async def _get(app: Any, path: str, headers: dict[str, str]) -> httpx.Response:
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
        response = await client.get(path, headers=headers)
    assert response.status_code == 200, response.text
    return response


@pytest.fixture
def in_memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[Span]]]:
    """The provider is a global one, on which Langflow makes its `flow.execute`."""
    provider, exporter = TracerProvider(), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(api, "_TRACER_PROVIDER", provider)
    LangflowInstrumentor().instrument()
    yield lambda: [from_readable(span) for span in exporter.get_finished_spans()]
    LangflowInstrumentor().uninstrument()


@pytest.mark.parametrize("path", ["/run", "/stream", "/mounted/run"])
async def test_a_flow_is_a_child_of_the_span_that_the_request_tells(
    traced: Traced, path: str
) -> None:
    await _get(_app(), path, CALLED)
    spans = traced.spans()
    check(spans, traces=1, remote_parents=[SPAN])
    flow = named(spans, "Sync method")
    assert (flow.trace_id, flow.parent_id, flow.links) == (TRACE, SPAN, ())


@pytest.mark.parametrize("path", ["/run", "/stream", "/mounted/run"])
async def test_langflows_own_span_is_a_child_of_the_caller_too(
    in_memory: Callable[[], list[Span]], path: str
) -> None:
    await _get(_app(), path, CALLED)
    spans = in_memory()
    check(spans, traces=1, remote_parents=[SPAN])
    (root,) = (span for span in spans if span.parent_id == SPAN)
    assert root.name == ("flow.execute" if not before("1.12") else "Sync method")
    assert not any(span.links for span in spans)


class Serving:
    """FastAPI's own server spans, or those of OpenTelemetry's instrumentor."""

    def __init__(self, by: str) -> None:
        self.app = FastAPI()
        self._module = pytest.importorskip("opentelemetry.instrumentation.fastapi")
        self._instrumented = by == "the instrumentor"
        if not self._instrumented and not hasattr(fastapi, "telemetry"):
            pytest.skip("this FastAPI makes no spans itself")

        @self.app.get("/run")
        async def run() -> str:
            return await flows.run_flow(flows.sync_method())

    def __enter__(self) -> FastAPI:
        if self._instrumented:
            self._module.FastAPIInstrumentor.instrument_app(
                self.app, exclude_spans=["send", "receive"]
            )
        return self.app

    def __exit__(self, *_: object) -> None:
        if self._instrumented:
            self._module.FastAPIInstrumentor.uninstrument_app(self.app)


@pytest.mark.parametrize("by", ["the instrumentor", "FastAPI"])
async def test_a_server_span_is_the_nearer_parent(
    in_memory: Callable[[], list[Span]], by: str
) -> None:
    with Serving(by) as app:
        await _get(app, "/run", CALLED)
    spans = in_memory()
    check(spans, traces=1, remote_parents=[SPAN])
    (server,) = (span for span in spans if span.parent_id == SPAN)
    assert (server.name, server.otel_kind) == ("GET /run", "SERVER")
    (above,) = (span for span in only(spans, is_ours) if span.name == "Sync method")
    assert above.parent_id == ""
    assert not any(span.links for span in spans)


@pytest.mark.parametrize("by", ["the instrumentor", "FastAPI"])
async def test_an_unsampled_server_span_means_no_span_below_it(
    in_memory: Callable[[], list[Span]], by: str
) -> None:
    with Serving(by) as app:
        await _get(app, "/run", UNSAMPLED)
    assert render(in_memory()) == ""


async def test_an_unsampled_caller_means_an_unsampled_flow(traced: Traced) -> None:
    await _get(_app(), "/run", UNSAMPLED)
    assert traced.spans() == []


async def test_an_unsampled_caller_means_no_span_of_langflows_either(
    in_memory: Callable[[], list[Span]],
) -> None:
    await _get(_app(), "/run", UNSAMPLED)
    async for _ in flows.step_flow(flows.graph_to_step(flows.sync_method())):
        pass
    assert {span.trace_id for span in in_memory()} & {TRACE} == set()


async def test_a_context_that_a_program_has_made_current_is_the_parent(
    in_memory: Callable[[], list[Span]],
) -> None:
    token = otel_context.attach(propagate.extract(CALLED))
    try:
        await flows.run_flow(flows.sync_method())
        async for _ in flows.step_flow(flows.graph_to_step(flows.sync_method())):
            pass
    finally:
        otel_context.detach(token)
    spans = in_memory()
    assert {span.trace_id for span in spans} == {TRACE}
    assert not any(span.links for span in spans)


@pytest.mark.parametrize("stepped", [False, True])
async def test_nothing_in_a_flow_that_is_not_sampled_is_sampled_anew(
    monkeypatch: pytest.MonkeyPatch, stepped: bool
) -> None:
    """Langflow would take a span that does not record for one that has ended."""
    provider, exporter = TracerProvider(sampler=_AllButTheFirst()), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(api, "_TRACER_PROVIDER", provider)
    LangflowInstrumentor().instrument()
    try:
        if stepped:
            async for _ in flows.step_flow(flows.graph_to_step(flows.flow_in_flow())):
                pass
        else:
            await flows.run_flow(flows.flow_in_flow())
    finally:
        LangflowInstrumentor().uninstrument()
    assert [span.name for span in exporter.get_finished_spans()] == []


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"traceparent": "nonsense"},
        {"traceparent": f"00-{'0' * 32}-{SPAN}-01"},
        {"baggage": "langflow.parent=x,%00=%ff"},
        {"tracestate": "a=b", "baggage": "=" * 9000},
    ],
)
async def test_a_request_that_tells_nothing_of_use_harms_nothing(
    traced: Traced, headers: dict[str, str]
) -> None:
    await _get(_app(), "/run", headers)
    spans = traced.spans()
    check(spans, traces=1)
    flow = named(spans, "Sync method")
    assert (flow.parent_id, flow.links) == ("", ())


async def test_a_propagator_finds_its_header_however_that_is_written(
    traced: Traced, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Capitals(TextMapPropagator):
        fields = {"X-Caller-Id"}

        def inject(self, *_: Any, **__: Any) -> None:
            pass

        def extract(self, carrier: Any, context: Any = None, getter: Any = default_getter) -> Any:
            told = getter.get(carrier, "X-Caller-Id")
            parent = SpanContext(int(told[0], 16), int(SPAN, 16), True, TraceFlags(1))
            return trace.set_span_in_context(NonRecordingSpan(parent), context)

    before = propagate.get_global_textmap()
    propagate.set_global_textmap(Capitals())
    try:
        await _get(_app(), "/run", {"x-CALLER-id": "ab" * 16})
    finally:
        propagate.set_global_textmap(before)
    spans = traced.spans()
    check(spans, traces=1, remote_parents=[SPAN])
    flow = named(spans, "Sync method")
    assert (flow.trace_id, flow.parent_id) == ("ab" * 16, SPAN)


@pytest.mark.parametrize("headers", [CALLED, {}])
async def test_baggage_comes_with_it_and_stays_with_the_request(
    traced: Traced, headers: dict[str, str]
) -> None:
    app = _app()
    told = await _get(app, "/told", {**headers, "baggage": "tenant=acme,plan=free"})
    assert told.json() == {"tenant": "acme", "plan": "free"}
    assert (await _get(app, "/told", CALLED)).json() == {}
    assert not trace.get_current_span().get_span_context().is_valid


async def test_a_run_that_outlives_its_request_is_a_root_with_a_link_to_the_caller(
    traced: Traced,
) -> None:
    tasks: list[asyncio.Task[Any]] = []
    await _get(_app(tasks), "/job", CALLED)
    await asyncio.gather(*tasks)
    spans = traced.spans()
    check(spans, traces=1)
    _links_to(named(spans, "Sync method"), TRACE, SPAN)


async def test_so_is_one_that_begins_when_the_answer_has_been_sent(traced: Traced) -> None:
    await _get(_app(), "/after", CALLED)
    spans = traced.spans()
    check(spans, traces=1)
    _links_to(named(spans, "Sync method"), TRACE, SPAN)


async def test_so_is_langflows_own_span(in_memory: Callable[[], list[Span]]) -> None:
    tasks: list[asyncio.Task[Any]] = []
    await _get(_app(tasks), "/job", CALLED)
    await asyncio.gather(*tasks)
    spans = in_memory()
    check(spans, traces=1)
    (root,) = (span for span in spans if not span.parent_id)
    _links_to(root, TRACE, SPAN)


class _AllButTheFirst(Sampler):
    """Samples every root but the first, and what is below a root that is sampled."""

    def __init__(self) -> None:
        self._roots = 0

    def should_sample(self, parent_context: Any, trace_id: int, name: str, *args: Any) -> Any:
        self._roots += not trace.get_current_span(parent_context).get_span_context().is_valid
        root = ALWAYS_ON if self._roots > 1 else ALWAYS_OFF
        return ParentBased(root).should_sample(parent_context, trace_id, name, *args)

    def get_description(self) -> str:
        return "AllButTheFirst"


def _links_to(span: Span, trace_id: str, span_id: str) -> None:
    assert span.parent_id == ""
    assert span.trace_id != trace_id
    assert [(link.trace_id, link.span_id) for link in span.links] == [(trace_id, span_id)]


async def test_a_request_in_a_context_left_by_another_is_its_own(traced: Traced) -> None:
    """uvicorn serves the second of two pipelined requests in a task that the first one makes."""
    app = _app()

    async def first(_: Request) -> Response:
        await asyncio.create_task(_get(app, "/run", {}))
        other = {"traceparent": f"00-{'d' * 32}-{OTHER}-01"}
        await asyncio.create_task(_get(app, "/run", other))
        return Response((await asyncio.create_task(_get(app, "/told", {}))).text)

    app.router.routes.append(Route("/first", first))
    told = await _get(app, "/first", {**CALLED, "baggage": "tenant=acme"})
    assert told.json() == {}
    spans = traced.spans()
    check(spans, traces=2, remote_parents=[OTHER])
    assert {span.parent_id for span in spans if span.name == "Sync method"} == {"", OTHER}


@pytest.mark.skipif(before("1.12"), reason="Langflow keeps it from 1.12 on")
@pytest.mark.parametrize("worker", ["started by another request", "of nobody"])
async def test_a_run_from_a_queue_links_to_what_queued_it(traced: Traced, worker: str) -> None:
    """The worker that takes a job may hold the context of any other request for ever."""
    from lfx.observability import extract_trace_link, inject_trace_carrier, queued_trace_link

    metadata: dict[str, Any] = {}
    app = _app()

    async def queue(_: Request) -> Response:
        metadata.update(inject_trace_carrier({"kept": 1}))
        return Response("queued")

    tasks: list[asyncio.Task[Any]] = []

    async def work() -> None:
        with queued_trace_link(extract_trace_link(metadata)):
            await flows.run_flow(flows.sync_method())

    async def start(_: Request) -> Response:
        async def later() -> None:
            while trace.get_current_span().is_recording():  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            await work()

        tasks.append(asyncio.create_task(later()))
        return Response("started")

    app.router.routes += [Route("/queue", queue), Route("/start", start)]
    await _get(app, "/queue", CALLED)
    if worker == "of nobody":
        await work()
    else:
        await _get(app, "/start", {"traceparent": f"00-{'d' * 32}-{OTHER}-01"})
        await asyncio.gather(*tasks)
    spans = traced.spans()
    check(spans, traces=1)
    _links_to(named(spans, "Sync method"), TRACE, SPAN)


class _Meta:
    """As pydantic's models do, gives its fields when a dict is made of it."""

    def __init__(self, **fields: Any) -> None:
        self._fields = fields

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        return iter(self._fields.items())


@pytest.mark.parametrize("meta", [dict, _Meta])
@pytest.mark.parametrize("header", [{}, {"traceparent": f"00-{'d' * 32}-{OTHER}-01"}])
async def test_the_meta_of_an_mcp_call_goes_before_its_headers(
    traced: Traced, meta: Any, header: dict[str, str]
) -> None:
    told = meta(progressToken=3, traceparent=CALLED["traceparent"], baggage="tenant=acme")
    server = SimpleNamespace(request_context=SimpleNamespace(meta=told))

    async def call(name: str, arguments: dict[str, Any], server: Any) -> Any:
        await flows.run_flow(flows.sync_method())
        return baggage.get_baggage("tenant")

    token = otel_context.attach(propagate.extract(header))
    try:
        assert await RequestSeam().call_tool(call, None, ("f", {}, server), {}) == "acme"
    finally:
        otel_context.detach(token)
    spans = traced.spans()
    check(spans, traces=1, remote_parents=[SPAN])
    assert named(spans, "Sync method").parent_id == SPAN


@pytest.mark.parametrize("meta", [None, {}, {"progressToken": 3}, {"traceparent": "nonsense"}])
async def test_an_mcp_call_without_a_context_of_its_own_has_that_of_its_headers(
    traced: Traced, meta: Any
) -> None:
    server = SimpleNamespace(request_context=SimpleNamespace(meta=meta))

    async def call(*_: Any) -> Any:
        return await flows.run_flow(flows.sync_method())

    token = otel_context.attach(propagate.extract(CALLED))
    try:
        await RequestSeam().call_tool(call, None, ("f", {}, server), {})
    finally:
        otel_context.detach(token)
    spans = traced.spans()
    check(spans, traces=1, remote_parents=[SPAN])
    assert named(spans, "Sync method").parent_id == SPAN


async def test_the_server_span_of_an_mcp_call_is_nearer_than_its_meta(traced: Traced) -> None:
    server = SimpleNamespace(request_context=SimpleNamespace(meta=CALLED))

    async def call(*_: Any) -> Any:
        return await flows.run_flow(flows.sync_method())

    above = SpanContext(int(TRACE, 16), int(OTHER, 16), is_remote=True, trace_flags=TraceFlags(1))
    context = trace.set_span_in_context(trace.NonRecordingSpan(above))
    with traced.provider.get_tracer("http").start_as_current_span("POST", context) as span:
        await RequestSeam().call_tool(call, None, ("f", {}, server), {})
    parent = trace.format_span_id(span.get_span_context().span_id)
    spans = traced.spans()
    check(spans, traces=1, remote_parents=[OTHER])
    assert named(spans, "Sync method").parent_id == parent
