"""Langflow's own tracers, and LangChain's of LangSmith, next to destinations of ours."""

from __future__ import annotations

import gzip
import inspect
import json
import logging
import os
import re
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import entry_points
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from lfx.components.input_output import ChatInput, ChatOutput
from lfx.custom.custom_component.component import Component
from lfx.io import MessageTextInput, Output
from lfx.schema.message import Message
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from typing_extensions import Self

from langflow_otel.demo.flows import FlowBuilder
from langflow_otel.seams.patches import Patches
from langflow_otel.seams.vendors import VendorSeam
from langflow_otel.settings import Settings
from tests.conftest import Traced
from tests.support import flows, process
from tests.support.invariants import check
from tests.support.select import named
from tests.support.server import LangflowServer
from tests.support.spans import Span, from_otlp

TRACERS = {
    "arize_phoenix": "phoenix",
    "langfuse": "langfuse",
    "langsmith": "langsmith",
    "langwatch": "langwatch",
    "openlayer": "openlayer",
    "opik": "opik",
    "traceloop": "traceloop",
}
"""Langflow's tracers, and a destination that replaces each."""
EVERY = tuple(TRACERS.values())
KEYS = ("ARIZE_", "LANGFUSE_", "LANGSMITH_", "LANGCHAIN_", "LANGWATCH_", "OPENLAYER_", "OPIK_")
# To who asks whether the keys are right, and to who sends a score.
LANGFUSE = {
    "data": [{"id": "p", "name": "p", "organization": {"id": "o", "name": "o"}, "metadata": {}}],
    "successes": [],
    "errors": [],
}


@dataclass(frozen=True)
class Sent:
    """A request that a vendor got."""

    method: str
    path: str
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes


class Vendors:
    """Takes whatever any vendor's client sends, below `/<vendor>`, and remembers it."""

    def __init__(self) -> None:
        self.sent: list[Sent] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def environment(self) -> dict[str, str]:
        """What makes Langflow's own tracers of these vendors send here."""
        base = f"http://127.0.0.1:{self._server.server_address[1]}"
        return {
            "PHOENIX_COLLECTOR_ENDPOINT": f"{base}/phoenix",
            "LANGFUSE_PUBLIC_KEY": "pk-lf-test",
            "LANGFUSE_SECRET_KEY": "sk-lf-test",
            "LANGFUSE_HOST": f"{base}/langfuse",
            "LANGSMITH_API_KEY": "lsv2_test",
            "LANGCHAIN_API_KEY": "lsv2_test",
            "LANGSMITH_ENDPOINT": f"{base}/langsmith",
            "LANGSMITH_TRACING": "true",
            "LANGSMITH_DISABLE_RUN_COMPRESSION": "true",
            "LANGWATCH_API_KEY": "langwatch-test",
            "LANGWATCH_ENDPOINT": f"{base}/langwatch",
            "OPIK_API_KEY": "opik-test",
            "OPIK_WORKSPACE": "test",
            "OPIK_URL_OVERRIDE": f"{base}/opik",
            "OPENLAYER_API_KEY": "openlayer-test",
            "OPENLAYER_INFERENCE_PIPELINE_ID": str(uuid.UUID(int=1)),
            "OPENLAYER_BASE_URL": f"{base}/openlayer",
            "TRACELOOP_API_KEY": "traceloop-test",
            "TRACELOOP_BASE_URL": f"{base}/traceloop",
            "TRACELOOP_TELEMETRY": "false",
        }

    def of(self, vendor: str) -> list[Sent]:
        """What that vendor got."""
        return [sent for sent in self.sent if sent.path.startswith(f"/{vendor}/")]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join(10)
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        sent = self.sent

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", "0")))
                headers = {name.lower(): value for name, value in self.headers.items()}
                sent.append(Sent(self.command, self.path, headers, body))
                answer = json.dumps(LANGFUSE).encode() if "/langfuse/api/" in self.path else b"{}"
                self.send_response(200)
                otlp = self.path.endswith("/v1/traces")
                self.send_header(
                    "content-type", "application/x-protobuf" if otlp else "application/json"
                )
                self.send_header("content-length", str(0 if otlp else len(answer)))
                self.end_headers()
                self.wfile.write(b"" if otlp else answer)

            do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = answer  # noqa: N815

            def log_message(self, *_: Any) -> None:
                """Silence: the test's output is not an access log."""

        return Handler


@pytest.fixture
def vendors() -> Iterator[Vendors]:
    with Vendors() as started:
        yield started


@pytest.fixture(autouse=True)
def no_keys(environment: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(KEYS)]:
        environment.delenv(name)


# -- the tracers of Langflow, in process


@pytest.fixture
def replace() -> Iterator[Any]:
    """`replace(*destinations)`: as if these were on."""
    patches = Patches()

    def put_on(*destinations: str, settings: Settings | None = None) -> None:
        for row in VendorSeam(destinations, settings or Settings()).rows():
            patches.wrap(*row)

    yield put_on
    patches.remove()


@pytest.fixture
def made(environment: pytest.MonkeyPatch) -> list[str]:
    """The names of those of Langflow's tracers that are made; stand-ins that are ready."""
    pytest.importorskip("langflow", reason="a bare lfx has no tracers")
    from langflow.services.tracing import service

    names: list[str] = []

    def stand_in(name: str) -> Any:
        def make(**_: Any) -> Any:
            names.append(name)
            handler = type(f"HandlerOf_{name}", (BaseCallbackHandler,), {})()
            return SimpleNamespace(
                ready=True,
                trace_id=None,
                get_langchain_callback=lambda: handler,
                **dict.fromkeys(("add_trace", "end_trace", "end"), lambda *_, **__: None),
            )

        return lambda: make

    for name in (*TRACERS, "native"):
        if hasattr(service, f"_get_{name}_tracer"):
            environment.setattr(service, f"_get_{name}_tracer", stand_in(name))
    return names


def _present() -> set[str]:
    from langflow.services.tracing import service

    return {n for n in (*TRACERS, "native") if hasattr(service, f"_get_{n}_tracer")}


def _handlers(service: Any) -> set[str]:
    """Whose tracers have a handler among the callbacks that components get."""
    handlers = service.get_langchain_callbacks()
    return {type(handler).__name__.removeprefix("HandlerOf_") for handler in handlers}


async def _started() -> Any:
    """Langflow's tracing service, at the start of a run."""
    from langflow.services.tracing.service import TracingService

    service = TracingService(SimpleNamespace(settings=SimpleNamespace(deactivate_tracing=False)))
    await service.start_tracers(uuid.uuid4(), "Flow - 1", user_id=None, session_id="session-1")
    return service


async def test_without_a_destination_every_tracer_is_made(replace: Any, made: list[str]) -> None:
    replace("otlp")
    service = await _started()
    assert set(made) == _present()
    assert _handlers(service) == _present()
    await service.end_tracers({})


@pytest.mark.parametrize("tracer", TRACERS)
async def test_the_tracer_of_a_destination_is_never_made_and_the_others_are(
    replace: Any, made: list[str], tracer: str
) -> None:
    if tracer not in _present():
        pytest.skip(f"this Langflow has no {tracer} tracer")
    replace(TRACERS[tracer])
    service = await _started()
    assert set(made) == _present() - {tracer}
    assert _handlers(service) == _present() - {tracer}
    assert service.get_tracer(tracer) is None
    await service.end_tracers({})


async def test_with_all_destinations_only_the_native_tracer_is_made(
    replace: Any, made: list[str]
) -> None:
    replace(*EVERY)
    service = await _started()
    assert set(made) == _present() & {"native"}
    assert _handlers(service) == _present() & {"native"}
    await service.end_tracers({})


async def test_replacing_can_be_turned_off(replace: Any, made: list[str]) -> None:
    replace(*EVERY, settings=Settings(replace_tracers=False))
    await (await _started()).end_tracers({})
    assert set(made) == _present()


async def test_a_tracer_that_is_not_set_up_does_not_flush_our_provider_when_it_is_collected(
    replace: Any, environment: pytest.MonkeyPatch
) -> None:
    traceloop = pytest.importorskip("langflow.services.tracing.traceloop")
    flushed: list[int] = []

    def force_flush(timeout_millis: int) -> None:
        flushed.append(timeout_millis)

    provider = SimpleNamespace(force_flush=force_flush)
    environment.setattr(traceloop.trace, "get_tracer_provider", lambda: provider)
    told = {"trace_name": "Flow - 1", "trace_type": "chain", "project_name": "Langflow"}
    traceloop.TraceloopTracer(**told, trace_id=uuid.uuid4()).__del__()
    before = flushed.copy()
    replace()
    tracer = traceloop.TraceloopTracer(**told, trace_id=uuid.uuid4())
    tracer.__del__()
    assert flushed == before
    tracer._ready = True
    tracer.__del__()
    assert len(flushed) == len(before) + 1


async def test_a_tracer_that_is_off_is_told_once(replace: Any, made: list[str], said: Any) -> None:
    replace("langfuse")
    for _ in range(2):
        await (await _started()).end_tracers({})
    assert said() == [
        "langflow-otel: Langflow's own langfuse tracer is off, langflow-otel sends there instead "
        "(OTEL_PYTHON_LANGFLOW_REPLACE_TRACERS=false turns it on again)"
    ]


ARIZE = {"ARIZE_API_KEY": "key", "ARIZE_SPACE_ID": "space"}
LOCAL_PHOENIX = {"PHOENIX_COLLECTOR_ENDPOINT": "http://localhost:6006"}


@pytest.mark.parametrize(
    ("destinations", "variables", "kept_for"),
    [
        (["phoenix"], {}, None),
        (["phoenix"], LOCAL_PHOENIX, None),
        (["phoenix"], {**LOCAL_PHOENIX, "ARIZE_API_KEY": "key"}, None),
        (["phoenix"], ARIZE, "ARIZE_API_KEY and ARIZE_SPACE_ID are set"),
        (["phoenix", "arize"], {**ARIZE, **LOCAL_PHOENIX}, None),
        (["arize"], ARIZE, None),
        (["arize"], {**ARIZE, "PHOENIX_COLLECTOR_ENDPOINT": "https://phoenix.example"}, None),
        (["arize"], {**ARIZE, **LOCAL_PHOENIX}, "PHOENIX_API_KEY is set, or"),
        (["arize"], {**ARIZE, "PHOENIX_API_KEY": "key"}, "PHOENIX_API_KEY is set, or"),
    ],
)
async def test_the_arize_phoenix_tracer_stays_for_a_vendor_that_has_no_destination(
    replace: Any,
    made: list[str],
    environment: pytest.MonkeyPatch,
    said: Any,
    destinations: list[str],
    variables: dict[str, str],
    kept_for: str | None,
) -> None:
    for name, value in variables.items():
        environment.setenv(name, value)
    replace(*destinations)
    for _ in range(2):
        await (await _started()).end_tracers({})
    assert ("arize_phoenix" in made) == (kept_for is not None)
    (line,) = said()
    assert said(logging.WARNING) == ([] if kept_for is None else [line])
    assert (kept_for or "is off") in line


async def test_a_message_keeps_the_id_of_our_trace_for_the_feedback_in_langfuse(
    # In this order: what wraps last is taken off first.
    traced: Traced,
    replace: Any,
    made: list[str],
    environment: pytest.MonkeyPatch,
) -> None:
    from lfx.custom.custom_component.custom_component import CustomComponent

    if "langfuse_trace_id" not in inspect.getsource(Component._store_message):
        pytest.skip("this Langflow sends no feedback to Langfuse")
    replace("langfuse")
    service = await _started()
    assert service.get_tracer("langfuse") is None, "outside of a flow there is no trace"
    # In process a graph finds no service; the one here is real, as is what asks it.
    environment.setattr(CustomComponent, "tracing_service", service)
    graph = flows.graph_of(flows.linear_chat())
    await flows.run_flow(graph, "hi")
    await service.end_tracers({})
    message = graph.get_vertex("ChatOutput-demo").result.results["message"]
    (trace_id,) = {span.trace_id for span in traced.spans()}
    assert message.session_metadata["langfuse_trace_id"] == trace_id


# -- the real ones, in a process of their own: what their SDKs start is the process's for ever

SDKS = ["langfuse", "langwatch", "openlayer", "opik", "phoenix.otel", "traceloop.sdk"]
REAL = """
import asyncio, json, logging, sys, uuid
from types import SimpleNamespace
from langflow.services.tracing.service import TracingService
from langflow_otel.seams.patches import Patches
from langflow_otel.seams.vendors import VendorSeam
from langflow_otel.settings import Settings

patches = Patches()
for row in VendorSeam(json.loads(sys.argv[1]), Settings()).rows():
    patches.wrap(*row)

async def main():
    service = TracingService(SimpleNamespace(settings=SimpleNamespace(deactivate_tracing=False)))
    name = f"Flow - {uuid.uuid4()}"
    await service.start_tracers(uuid.uuid4(), name, user_id=None, session_id="session-1")
    if hasattr(service, "record_event_span"):  # Langflow 1.13
        service.record_event_span(span_id="c-1", name="Component", outputs={"text": "done"})
    handlers = [type(handler).__module__ for handler in service.get_langchain_callbacks()]
    await service.end_tracers({})
    return handlers

handlers = asyncio.run(main())
loaded = [name for name in json.loads(sys.argv[2]) if name in sys.modules]
print(json.dumps({"handlers": handlers, "loaded": loaded}))
"""


def _real(vendors: Vendors, folder: Path, *destinations: str) -> dict[str, list[str]]:
    """Which handlers components got, and which SDKs were loaded, in a run of Langflow's tracing."""
    pytest.importorskip("langflow", reason="a bare lfx has no tracers")
    own = {**vendors.environment(), "LANGFLOW_CONFIG_DIR": str(folder)}
    own["LANGFLOW_DATABASE_URL"] = f"sqlite:///{folder}/langflow.db"
    command = [sys.executable, "-c", REAL, json.dumps(destinations), json.dumps(SDKS)]
    env = process.clean_environment({**process.OFFLINE, **own})
    done = process.run(command, env, folder, timeout=120)
    assert done.returncode == 0, done.stderr[-4000:]
    told: dict[str, list[str]] = json.loads(done.stdout.splitlines()[-1])
    return told


def test_with_all_destinations_no_sdk_is_loaded_and_nothing_is_sent(
    vendors: Vendors, tmp_path: Path
) -> None:
    told = _real(vendors, tmp_path, *EVERY)
    assert told["loaded"] == []
    assert set(told["handlers"]) <= {"langflow.services.tracing.native_callback"}
    assert [f"{sent.method} {sent.path}" for sent in vendors.sent] == []


def test_without_destinations_the_sdks_are_loaded_and_send(
    vendors: Vendors, tmp_path: Path
) -> None:
    """What the test above rests on."""
    told = _real(vendors, tmp_path)
    if not told["loaded"]:
        pytest.skip("no vendor's SDK but LangSmith's is installed")
    reached = {sent.path.split("/")[1] for sent in vendors.sent}
    assert reached >= {"langsmith", *(name.partition(".")[0] for name in told["loaded"])}


# -- LangChain's tracer of LangSmith, in a process of its own: its client and its reading of the
# -- environment are the process's for ever

LANGSMITH = """
import asyncio, importlib.metadata, importlib.util, logging, sys
logging.basicConfig(level=logging.INFO, format="%(message)s")
from langchain_core.callbacks.manager import CallbackManager
from langchain_core.runnables import RunnableLambda
from langchain_core.tracers.context import tracing_v2_enabled
from langchain_core.tracers.langchain import LangChainTracer, wait_for_all_tracers
from langsmith import traceable
from langsmith.run_helpers import tracing_context
from opentelemetry.sdk.trace import TracerProvider
from langflow_otel import LangflowInstrumentor
from langflow_otel.demo.chat_model import ScriptedChatModel
from langflow_otel.seams.patches import Patches
from langflow_otel.seams.vendors import VendorSeam
from langflow_otel.settings import Settings
from tests.support import flows

LangflowInstrumentor().instrument(tracer_provider=TracerProvider(), capture_content=True)
patches = Patches()
for row in VendorSeam(sys.argv[1].split(","), Settings.from_environment()).rows():
    patches.wrap(*row)

def flow(name):
    return flows.linear_chat("ok", name=name)

async def around(name):
    await flows.run_flow(flow(name), "asked in " + name)
    # Its component gives its model no callbacks: LangChain hands it those of the chain around.
    await flows.run_flow(flows.model_in_a_span(), "asked in " + name)

async def around_agent(name):
    await flows.run_flow(flows.agent_with_tools(), "asked in " + name)

async def main():
    if importlib.util.find_spec("langflow"):
        if importlib.metadata.version("langflow-base").startswith("0."):
            from langflow.services.utils import initialize_services
            await initialize_services()
    model = ScriptedChatModel(script=["ok"])
    await model.ainvoke("asked before", {"run_name": "model before"})
    await around("plain flow")
    await around_agent("agent flow")
    await RunnableLambda(around).ainvoke("flow in a chain", {"run_name": "chain around"})
    with tracing_v2_enabled():
        await around("flow in tracing_v2_enabled")
    with tracing_context(enabled=True, tags=["mine"]):
        await around("flow in tracing_context")
        await model.ainvoke("asked inside", {"run_name": "model in tracing_context"})
    await traceable(around_agent, name="traceable around")("agent in traceable")
    await model.ainvoke("asked after", {"run_name": "model after"})

asyncio.run(main())
wait_for_all_tracers()
from langsmith.run_trees import get_cached_client
get_cached_client().flush()
"""
IN_FLOWS = (
    "asked in plain flow",
    "asked in agent flow",
    "asked in flow in a chain",
    "asked in flow in tracing_v2_enabled",
    "asked in flow in tracing_context",
    "asked in agent in traceable",
)
OUTSIDE = (
    "model before",
    "chain around",
    "model in tracing_context",
    "traceable around",
    "model after",
)


def _langsmith(
    vendors: Vendors, folder: Path, destinations: str, **variables: str
) -> tuple[str, str]:
    """What reached LangSmith as one text, and what was logged, of a process that runs flows."""
    root = Path(__file__).parent.parent
    env = process.clean_environment(
        {
            **process.OFFLINE,
            **vendors.environment(),
            **variables,
            "LANGFLOW_CONFIG_DIR": str(folder),
            "LANGFLOW_DATABASE_URL": f"sqlite:///{folder}/langflow.db",
            "PYTHONPATH": os.pathsep.join([str(root), *sys.path]),
        }
    )
    done = process.run([sys.executable, "-c", LANGSMITH, destinations], env, folder, timeout=120)
    assert done.returncode == 0, done.stderr[-4000:]
    runs = [sent.body for sent in vendors.of("langsmith") if "/runs" in sent.path]
    return b"\n".join(runs).decode(errors="replace"), done.stderr


def test_langchain_sends_nothing_of_a_flow_to_langsmith_and_the_rest_as_before(
    vendors: Vendors, tmp_path: Path
) -> None:
    sent, log = _langsmith(vendors, tmp_path, "langsmith")
    assert [text for text in IN_FLOWS if text in sent] == []
    assert [name for name in OUTSIDE if name not in sent] == []
    assert log.count("LangChain's own langsmith tracer is off in flow runs") == 1


@pytest.mark.parametrize(
    ("destinations", "variables"),
    [
        ("phoenix", {}),
        pytest.param(
            "langsmith",
            {"OTEL_PYTHON_LANGFLOW_REPLACE_TRACERS": "false"},
            marks=pytest.mark.exhaustive,
        ),
    ],
)
def test_langchain_goes_on_sending_flows_to_langsmith_where_it_is_not_replaced(
    vendors: Vendors, tmp_path: Path, destinations: str, variables: dict[str, str]
) -> None:
    sent, log = _langsmith(vendors, tmp_path, destinations, **variables)
    assert [text for text in (*IN_FLOWS, *OUTSIDE) if text not in sent] == []
    assert "langsmith tracer is off" not in log


# -- all of it on a server


class HandlersComponent(Component):
    """Answers with where the callback handlers come from that it got."""

    display_name = "Handlers"
    name = "Handlers"
    inputs = [MessageTextInput(name="text", display_name="Text")]
    outputs = [Output(display_name="Text", name="told", method="tell")]

    def tell(self) -> Message:
        handlers = [type(handler) for handler in self.get_langchain_callbacks()]
        handlers = [each for kind in handlers for each in kind.__mro__]
        modules = {kind.__module__.partition(".")[0] for kind in handlers}
        return Message(text=" ".join(sorted(modules)))


COMPONENT = """\
from lfx.custom.custom_component.component import Component
from lfx.io import MessageTextInput, Output
from lfx.schema.message import Message


"""


def _handlers_flow() -> dict[str, Any]:
    flow = FlowBuilder("Handlers")
    question, answered = flow.add(ChatInput), flow.add(ChatOutput)
    handlers = flow.add(HandlersComponent)
    # Without what this module imports, which a server has not.
    code = COMPONENT + inspect.getsource(HandlersComponent)
    flow.node(handlers)["template"]["code"]["value"] = code
    flow.connect(question, "message", handlers, "text")
    flow.connect(handlers, "told", answered, "input_value")
    return flow.build()


@dataclass(frozen=True)
class Served:
    """What came of a server that ran `Vendors chat` once, and has stopped."""

    vendors: Vendors
    handlers: set[str]
    """The packages that the handlers in `get_langchain_callbacks` come from."""
    traces: list[dict[str, Any]]
    """What the Traces tab shows of the flow."""
    feedback: list[dict[str, Any]]
    """The scores that Langfuse got when a user liked the answer."""
    flow_id: str
    log: str

    def spans(self) -> list[Span]:
        """What Phoenix got."""
        requests = []
        for sent in self.vendors.of("phoenix"):
            zipped = sent.headers.get("content-encoding") == "gzip"
            body = gzip.decompress(sent.body) if zipped else sent.body
            requests.append(ExportTraceServiceRequest.FromString(body))
        return [span for request in requests for span in from_otlp(request)]

    def text(self, vendor: str) -> str:
        """All that a vendor got."""
        return "\n".join(sent.body.decode(errors="replace") for sent in self.vendors.of(vendor))


def _serve(vendors: Vendors, **variables: str) -> Served:
    env = {**vendors.environment(), "OTEL_BSP_SCHEDULE_DELAY": "200", **variables}
    for name in [n for n in env if n.startswith(("LANGWATCH", "OPIK", "OPENLAYER", "TRACELOOP"))]:
        del env[name]  # three vendors are enough
    with LangflowServer(env=env, prefix=["langflow-otel", "run", "--"]) as server:
        flow_id = server.upload(flows.linear_chat("ok", name="Vendors chat"))
        assert server.run(flow_id, "hello", "session-1") == "ok"
        handlers = set(server.run(server.upload(_handlers_flow()), "which?").split())
        traces = _polled(lambda: _json(server, f"/api/v1/monitor/traces?flow_id={flow_id}"))
        (answer,) = [m for m in server.messages(flow_id) if m["text"] == "ok"]
        liked = {"properties": {"positive_feedback": True}}
        server._call("PUT", f"/api/v1/monitor/messages/{answer['id']}", liked).checked()
        feedback = _polled(lambda: _scores(vendors))
    return Served(vendors, handlers, traces, feedback, flow_id, server.log)


def _json(server: LangflowServer, path: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = server._call("GET", path).json()["traces"]
    return found


def _scores(vendors: Vendors) -> list[dict[str, Any]]:
    bodies = [json.loads(s.body) for s in vendors.of("langfuse") if s.path.endswith("/ingestion")]
    return [event["body"] for body in bodies for event in body["batch"]]


def _polled(ask: Callable[[], list[Any]]) -> list[Any]:
    """What is found, or nothing where there is none after 15 seconds."""
    deadline = time.monotonic() + 15
    while not (found := ask()) and time.monotonic() < deadline:
        time.sleep(0.2)
    return found


def _needs_the_destinations() -> None:
    pytest.importorskip("langfuse", reason="no Langflow that has all three tracers")
    known = entry_points(group="opentelemetry_traces_exporter").names
    if missing := {"langfuse", "langsmith"} - set(known):
        pytest.skip(f"no destination {' and '.join(sorted(missing))}")


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    """With Langfuse, LangSmith and Phoenix as our destinations."""
    _needs_the_destinations()
    with Vendors() as vendors:
        yield _serve(vendors)


@pytest.fixture(scope="module")
def doubled() -> Iterator[Served]:
    """The same, with Langflow's own tracers on: what the tests on `served` rest on."""
    _needs_the_destinations()
    with Vendors() as vendors:
        yield _serve(vendors, OTEL_PYTHON_LANGFLOW_REPLACE_TRACERS="false")


def _own_requests(served: Served) -> dict[str, bool]:
    """Whether each vendor got a request of Langflow's own tracer."""
    langfuse = [sent for sent in served.vendors.of("langfuse") if "/ingestion" not in sent.path]
    langsmith = served.text("langsmith")
    return {
        "langfuse": any(
            sent.method == "GET" or "x-langfuse-sdk-name" in sent.headers for sent in langfuse
        ),
        "langsmith": f"Vendors chat - {served.flow_id}" in langsmith or 'name="patch.' in langsmith,
        "phoenix": any(span.name == "Langflow" for span in served.spans()),
    }


def _told_off(served: Served) -> list[str]:
    """Which of Langflow's tracers the log says are off; Langflow breaks its lines at 80 columns."""
    lines = re.sub(r"vendors\.py:\d+", "", served.log)
    return re.findall(r"Langflow's\s+own\s+(\w+)\s+tracer\s+is\s+off", lines)


@pytest.mark.server
def test_on_a_server_no_request_of_langflows_own_tracers_reaches_a_vendor(served: Served) -> None:
    assert _own_requests(served) == {"langfuse": False, "langsmith": False, "phoenix": False}
    for vendor in ("langfuse", "langsmith", "phoenix"):
        assert "POST" in {sent.method for sent in served.vendors.of(vendor)}, "ours do"
    assert sorted(_told_off(served)) == ["langfuse", "langsmith", "phoenix"]


@pytest.mark.server
def test_on_a_server_components_get_no_handler_of_a_vendor(served: Served) -> None:
    assert not served.handlers & {"langfuse", "langsmith", "phoenix", "openinference"}


@pytest.mark.server
def test_on_a_server_the_traces_tab_still_fills(served: Served) -> None:
    (shown,) = served.traces
    assert (shown["name"], shown["status"]) == (f"Vendors chat - {served.flow_id}", "ok")


@pytest.mark.server
def test_on_a_server_each_span_arrives_once(served: Served) -> None:
    flow = named(served.spans(), "Vendors chat")
    spans = [span for span in served.spans() if span.trace_id == flow.trace_id]
    check(spans, traces=1)
    assert [span.kind for span in spans].count("LLM") == 1
    assert served.text("langsmith").count('"name":"ScriptedChatModel"') == 1


@pytest.mark.server
def test_on_a_server_the_feedback_of_a_user_lands_on_our_trace(served: Served) -> None:
    flow = named(served.spans(), "Vendors chat")
    (score,) = served.feedback
    assert (score["traceId"], score["name"]) == (flow.trace_id, "user-feedback")


@pytest.mark.server
@pytest.mark.exhaustive
def test_on_a_server_without_replacing_langflows_own_tracers_send(doubled: Served) -> None:
    assert _own_requests(doubled) == {"langfuse": True, "langsmith": True, "phoenix": True}
    assert "langfuse" in doubled.handlers
    assert _told_off(doubled) == []
