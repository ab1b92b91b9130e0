"""Secrets on a real `langflow run` with content on: none of them arrives, all else does.

Each story plants secrets of its own, makes its flow use them, and is looked at twice: as it arrived
over OTLP, with the spans of HTTP clients, and as Phoenix shows it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from urllib.parse import quote

import pytest

from langflow_otel.demo.flows import Flow
from tests.support import secret_flows as flows
from tests.support.echo import EchoServer
from tests.support.http import CallFailed
from tests.support.invariants import check
from tests.support.phoenix import Phoenix
from tests.support.receiver import OtlpReceiver
from tests.support.secrets import leaks, leaks_of, planted
from tests.support.server import LangflowServer
from tests.support.spans import Span

pytestmark = [pytest.mark.server, pytest.mark.phoenix]

PROJECT = "secrets"


@dataclass
class Stage:
    """Where a story is told: it plants secrets, uploads the flow that uses them, and runs it."""

    langflow: LangflowServer
    echo: EchoServer
    name: str
    secrets: dict[str, str] = field(default_factory=dict)
    flow_id: str = ""

    def plant(self, label: str) -> str:
        """Make up a secret."""
        self.secrets[label] = planted()
        return self.secrets[label]

    def variable(self, label: str) -> str:
        """Store a secret as a credential variable; the variable's name."""
        return self.langflow.add_variable(f"{self.name} {label}", self.plant(label))

    def upload(self, flow: Flow) -> str:
        self.flow_id = self.langflow.upload(flow)
        return self.flow_id


@dataclass(frozen=True)
class Told:
    """A story that has been told."""

    secrets: dict[str, str]
    readable: tuple[str, ...]
    """What is no secret."""
    spans: list[Span]
    """As they arrived over OTLP."""
    shown: list[Span]
    """As Phoenix has them."""


@pytest.fixture(scope="module")
def otlp() -> Iterator[OtlpReceiver]:
    with OtlpReceiver() as started:
        yield started


@pytest.fixture(scope="module")
def echo() -> Iterator[EchoServer]:
    with EchoServer() as started:
        yield started


@pytest.fixture(scope="module")
def langflow(phoenix: Phoenix, otlp: OtlpReceiver) -> Iterator[LangflowServer]:
    """With content, to Phoenix and to a plain OTLP endpoint, and with the spans of httpx."""
    pytest.importorskip("langflow", reason="no langflow-base in this environment")
    env = {
        "PHOENIX_COLLECTOR_ENDPOINT": phoenix.endpoint,
        "PHOENIX_PROJECT_NAME": PROJECT,
        "OTEL_EXPORTER_OTLP_ENDPOINT": otlp.endpoint,
        "OTEL_PYTHON_LANGFLOW_CAPTURE_CONTENT": "true",
        "OTEL_BSP_SCHEDULE_DELAY": "200",
        "LANGFLOW_SSRF_ALLOWED_HOSTS": "127.0.0.1",
    }
    prefix = ["langflow-otel", "run", "--with", "httpx", "--"]
    with LangflowServer(env=env, prefix=prefix) as server:
        yield server


def credential(at: Stage) -> tuple[str, ...]:
    """A credential variable in a password field and in a table, a generic one in a text field."""
    fields, rows = _with_city(at, opener=at.variable("opener")), {"first": at.variable("row")}
    at.langflow.run(at.upload(flows.variables(at.name, fields, rows)), "hello")
    return "hello from Oslo", "[44, 0, 0, 44]", "relayed"


def credential_by_build(at: Stage) -> tuple[str, ...]:
    """The same in the playground."""
    fields = _with_city(at, opener=at.variable("opener"))
    at.langflow.build(at.upload(flows.variables(at.name, fields)), "hello")
    return "hello from Oslo", "[44, 0, 0]", "relayed"


def credential_in_a_text_field(at: Stage) -> tuple[str, ...]:
    """A credential variable where it does not belong, which only an older Langflow takes."""
    fields = _with_city(at, line=at.variable("line"), note=at.variable("note"))
    flow_id = at.upload(flows.variables(at.name, fields))
    if flows.REFUSES_CREDENTIALS_IN_TEXT:
        with pytest.raises(CallFailed):
            at.langflow.run(flow_id, "hello")
        return ("Credential variables are only allowed",)
    at.langflow.run(flow_id, "hello")
    return "hello from Oslo", "[0, 44, 44]", "relayed"


def _with_city(at: Stage, **fields: str) -> dict[str, str]:
    return {**fields, "city": at.langflow.add_variable(f"{at.name} city", "Oslo", "Generic")}


def headers_and_query(at: Stage) -> tuple[str, ...]:
    """API Request with keys in its headers and its URL, which the server sends back."""
    bearer, key = f"Bearer {at.plant('bearer')}", quote(at.plant("query"), safe="")
    url = f"http://{at.echo.address}/orders/17?api_key={key}&page=3"
    headers = {"Authorization": bearer, "X-Api-Key": at.plant("header"), "X-Team": "blue whale"}
    curl = f"curl -H 'Authorization: {bearer}' {url}"
    at.langflow.run(at.upload(flows.api_request(at.name, url, headers, curl)), "hello")
    assert {name: at.echo.seen[-1]["headers"][name.lower()] for name in headers} == headers
    return at.echo.address, "/orders/17", "page=3", "X-Team", "blue whale", "Oslo"


def login_in_a_url(at: Stage) -> tuple[str, ...]:
    """API Request with a password in its URL, which the server sends back in base64."""
    url = f"http://anna:{quote(at.plant('password'), safe='')}@{at.echo.address}/orders/18"
    at.langflow.run(at.upload(flows.api_request(at.name, url, {})), "hello")
    assert at.echo.seen[-1]["headers"]["authorization"].startswith("Basic ")
    return at.echo.address, "/orders/18", "Oslo"


def error(at: Stage) -> tuple[str, ...]:
    """An error and its cause quote a password: as it is, URL-encoded and in base64."""
    flow_id = at.upload(flows.sign_in(at.name, at.plant("opener")))
    with pytest.raises(CallFailed):
        at.langflow.run(flow_id, "hello")
    return "no entry for", "db.example", "the directory refused", "hello"


STORIES: dict[str, Callable[[Stage], tuple[str, ...]]] = {
    story.__name__.replace("_", " "): story
    for story in (
        credential,
        credential_by_build,
        credential_in_a_text_field,
        headers_and_query,
        login_in_a_url,
        error,
    )
}


@pytest.fixture(scope="module", params=STORIES)
def told(
    request: pytest.FixtureRequest,
    langflow: LangflowServer,
    phoenix: Phoenix,
    otlp: OtlpReceiver,
    echo: EchoServer,
) -> Told:
    """Each story, and what came of it."""
    stage = Stage(langflow, echo, request.param)
    readable = STORIES[request.param](stage)

    def flow(spans: list[Span]) -> Span | None:
        # By its id: before Langflow 1.12 a run of the playground may have no name.
        ours = (span for span in spans if "langflow.flow.status" in span.attributes)
        return next((s for s in ours if s.attributes["langflow.flow.id"] == stage.flow_id), None)

    otlp.wait_for(flow, timeout=30)
    time.sleep(0.5)  # What is not ours may end after the flow.
    root = flow(otlp.spans)
    assert root is not None

    def trace(spans: list[Span]) -> list[Span]:
        return [span for span in spans if span.trace_id == root.trace_id]

    spans = trace(otlp.spans)
    ai = sum(bool(span.kind) for span in spans)
    shown = trace(phoenix.wait_for_spans(PROJECT, lambda spans: len(trace(spans)) >= ai))
    check(shown, traces=1, secrets=stage.secrets)
    return Told(stage.secrets, readable, spans, shown)


def test_no_secret_arrives_over_otlp(told: Told) -> None:
    found = leaks_of(told.spans, told.secrets)
    assert not found, "\n".join(found)


def test_no_secret_is_shown_in_phoenix(told: Told) -> None:
    found = leaks_of(told.shown, told.secrets)
    assert not found, "\n".join(found)


def test_what_is_no_secret_arrives_over_otlp(told: Told) -> None:
    assert [text for text in told.readable if text not in repr(told.spans)] == []


def test_what_is_no_secret_is_shown_in_phoenix(told: Told) -> None:
    assert [text for text in told.readable if text not in repr(told.shown)] == []


def test_no_secret_is_in_what_langflow_otel_logs(langflow: LangflowServer, told: Told) -> None:
    """Langflow's own log is its own affair."""
    said = [line for line in langflow.log.splitlines() if "langflow-otel" in line]
    assert leaks("the log", "\n".join(said), told.secrets) == []


@pytest.mark.parametrize("told", ["headers and query", "login in a url"], indirect=True)
def test_the_span_of_the_http_client_arrives_with_its_url(told: Told) -> None:
    clients = [span.attributes for span in told.spans if span.otel_kind == "CLIENT"]
    urls = [str(client.get("url.full") or client.get("http.url")) for client in clients]
    assert any("127.0.0.1" in url and "/orders/1" in url for url in urls), urls
