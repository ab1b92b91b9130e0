"""The vendors that take OTLP: what arrives, and whether their own SDKs would send it alike."""

from __future__ import annotations

import base64
import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from langflow_otel.export import presets
from langflow_otel.export.address import host_of, usable_address
from langflow_otel.export.presets import openlayer, table
from langflow_otel.settings import Settings
from tests.support.receiver import OtlpReceiver, Request

EXPORTERS: dict[str, type[presets.PresetSpanExporter]] = {
    exporter.preset.name: exporter for exporter in presets.PresetSpanExporter.__subclasses__()
}
# What must be set, and the variable for the address; secrets end in "-secret".
SET: dict[str, dict[str, str]] = {
    "arize": {"ARIZE_API_KEY": "ak-secret", "ARIZE_SPACE_ID": "space"},
    "langwatch": {"LANGWATCH_API_KEY": "lw-secret"},
    "opik": {"OPIK_API_KEY": "op-secret", "OPIK_WORKSPACE": "team"},
    "traceloop": {"TRACELOOP_API_KEY": "tl-secret"},
    "openlayer": {"OPENLAYER_API_KEY": "ol-secret", "OPENLAYER_INFERENCE_PIPELINE_ID": "pipe"},
}
HEADERS: dict[str, dict[str, str]] = {
    "arize": {"authorization": "ak-secret", "arize-space-id": "space", "space_id": "space"},
    "langwatch": {"authorization": "Bearer lw-secret", "content-encoding": "gzip"},
    "opik": {
        "authorization": "op-secret",
        "comet-workspace": "team",
        "projectname": "Langflow",
    },
    "traceloop": {"authorization": "Bearer tl-secret"},
    "openlayer": {"authorization": "Bearer ol-secret", "x-bt-parent": "pipeline_id:pipe"},
}
KEYS = sorted(variable for each in SET.values() for variable in each)
LLM = {
    "openinference.span.kind": "LLM",
    "llm.model_name": "gpt-4o",
    "llm.token_count.prompt": 3,
    "llm.input_messages.0.message.role": "user",
    "llm.input_messages.0.message.content": "hello",
    "input.value": "hello",
    "output.value": "hi",
    "session.id": "s1",
}


@pytest.fixture(autouse=True)
def no_vendor(environment: pytest.MonkeyPatch) -> None:
    for preset in table.PRESETS.values():
        for name in (*preset.endpoints, *preset.project, *KEYS, "TRACELOOP_HEADERS"):
            environment.delenv(name, raising=False)


@pytest.fixture
def receiver_at() -> Iterator[Callable[[str], OtlpReceiver]]:
    """A receiver that takes spans on a path."""
    opened: list[OtlpReceiver] = []

    def at(path: str) -> OtlpReceiver:
        receiver = type("At", (OtlpReceiver,), {"traces_path": path})()
        opened.append(receiver)
        receiver.__enter__()
        return receiver

    yield at
    for receiver in opened:
        receiver.close()


def spans(
    attributes: Mapping[str, Any] = LLM, *, scope: str = "langflow_otel", service: str = "shop"
) -> list[ReadableSpan]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource({"service.name": service}))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    provider.get_tracer(scope).start_span("call", attributes=dict(attributes)).end()
    return list(exporter.get_finished_spans())


def environ_for(name: str, endpoint: str, **more: str) -> dict[str, str]:
    return {**SET[name], table.PRESETS[name].endpoints[0]: endpoint, **more}


def sent(
    name: str,
    receiver: OtlpReceiver,
    *sending: ReadableSpan,
    settings: Settings | None = None,
    **more: str,
) -> Request:
    """What arrives of the spans, or of one model call."""
    exporter = EXPORTERS[name](
        settings=settings or Settings(), environ=environ_for(name, receiver.endpoint, **more)
    )
    assert exporter.export(sending or spans()) is SpanExportResult.SUCCESS
    exporter.shutdown()
    assert receiver.rejected == []
    (request,) = receiver.requests
    return request


# -- what arrives


def test_every_preset_has_an_exporter_that_needs_no_arguments() -> None:
    assert set(EXPORTERS) == set(table.PRESETS) == set(SET)
    for name, exporter in EXPORTERS.items():
        assert exporter().name == name


@pytest.mark.parametrize("name", sorted(SET))
def test_spans_arrive_where_the_vendor_takes_them_with_its_headers(
    name: str, receiver_at: Callable[[str], OtlpReceiver]
) -> None:
    receiver = receiver_at(table.PRESETS[name].path)
    request = sent(name, receiver)
    assert HEADERS[name].items() <= dict(request.headers).items()
    (span,) = request.spans
    assert span.attributes["session.id"] == "s1"


@pytest.mark.parametrize("name", sorted(SET))
def test_the_environment_is_enough(
    name: str,
    receiver_at: Callable[[str], OtlpReceiver],
    environment: pytest.MonkeyPatch,
) -> None:
    receiver = receiver_at(table.PRESETS[name].path)
    for variable, value in environ_for(name, receiver.endpoint).items():
        environment.setenv(variable, value)
    environment.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-other=for-somebody-else")
    exporter = EXPORTERS[name]()
    assert exporter.export(spans()) is SpanExportResult.SUCCESS
    (request,) = receiver.requests
    assert HEADERS[name].items() <= dict(request.headers).items()
    assert "x-other" not in request.headers


@pytest.mark.parametrize(
    ("name", "said", "not_said"),
    [
        ("arize", {"llm.model_name", "openinference.span.kind"}, {"gen_ai.request.model"}),
        ("langwatch", {"llm.model_name", "gen_ai.request.model", "gen_ai.input.messages"}, set()),
        (
            "opik",
            {"llm.model_name", "gen_ai.usage.input_tokens"},
            {"gen_ai.input.messages", "gen_ai.operation.name"},
        ),
        (
            "traceloop",
            {"gen_ai.request.model", "gen_ai.input.messages", "traceloop.entity.input"},
            {"llm.model_name", "openinference.span.kind"},
        ),
        ("openlayer", {"gen_ai.input.messages", "gen_ai.output.messages"}, {"llm.model_name"}),
    ],
)
def test_each_vendor_is_told_in_the_words_it_reads(
    name: str,
    said: set[str],
    not_said: set[str],
    receiver_at: Callable[[str], OtlpReceiver],
) -> None:
    (span,) = sent(name, receiver_at(table.PRESETS[name].path)).spans
    assert said <= set(span.attributes)
    assert not_said.isdisjoint(span.attributes)


@pytest.mark.parametrize("name", sorted(SET))
def test_the_dialect_that_is_set_is_the_one_that_is_told(
    name: str, receiver_at: Callable[[str], OtlpReceiver]
) -> None:
    receiver = receiver_at(table.PRESETS[name].path)
    (span,) = sent(name, receiver, settings=Settings(dialect="both")).spans
    assert {"llm.model_name", "gen_ai.request.model"} <= set(span.attributes)


@pytest.mark.parametrize("name", sorted(SET))
def test_content_is_sent_unless_it_must_not_be(
    name: str, receiver_at: Callable[[str], OtlpReceiver]
) -> None:
    receiver = receiver_at(table.PRESETS[name].path)
    (span,) = sent(name, receiver).spans
    assert "hello" in str(span.attributes)
    receiver.clear()
    (span,) = sent(name, receiver, settings=Settings(contents={name: False})).spans
    assert "hello" not in str(span.attributes)
    assert "'hi'" not in str(span.attributes)
    assert span.attributes["session.id"] == "s1"


def test_http_and_database_spans_stay_away(receiver_at: Callable[[str], OtlpReceiver]) -> None:
    foreign = spans(scope="opentelemetry.instrumentation.httpx")
    for name, exporter in EXPORTERS.items():
        receiver = receiver_at(table.PRESETS[name].path)
        made = exporter(settings=Settings(), environ=environ_for(name, receiver.endpoint))
        assert made.export(foreign) is SpanExportResult.SUCCESS
        assert receiver.attempts == []


def test_a_component_tells_openlayer_its_values_as_messages(
    receiver_at: Callable[[str], OtlpReceiver],
) -> None:
    component = spans(
        {"openinference.span.kind": "CHAIN", "input.value": "hello", "output.value": "hi"}
    )
    receiver = receiver_at(table.PRESETS["openlayer"].path)
    (span,) = sent("openlayer", receiver, *component).spans
    (message,) = json.loads(span.attributes["gen_ai.input.messages"])
    assert message == {"role": "user", "parts": [{"type": "text", "content": "hello"}]}


# -- projects, workspaces, pipelines


@pytest.mark.parametrize(
    ("service", "more", "project"),
    [
        ("shop", {}, "shop"),
        ("unknown_service", {}, "langflow"),
        ("shop", {"ARIZE_PROJECT_NAME": "mine"}, "mine"),
    ],
)
def test_arize_gets_the_project_as_a_resource_attribute(
    service: str,
    more: dict[str, str],
    project: str,
    receiver_at: Callable[[str], OtlpReceiver],
) -> None:
    receiver = receiver_at("/v1/traces")
    (span,) = sent("arize", receiver, *spans(service=service), **more).spans
    assert span.resource["openinference.project.name"] == project
    assert span.resource["model_id"] == project


@pytest.mark.parametrize(
    ("more", "project"),
    [
        ({"OPIK_PROJECT_NAME": "mine", "LANGCHAIN_PROJECT": "other"}, "mine"),
        ({"LANGCHAIN_PROJECT": "as-in-langflow"}, "as-in-langflow"),
    ],
)
def test_opik_gets_the_project_in_a_header(
    more: dict[str, str], project: str, receiver_at: Callable[[str], OtlpReceiver]
) -> None:
    request = sent("opik", receiver_at("/v1/private/otel/v1/traces"), **more)
    assert request.headers["projectname"] == project


def test_an_opik_of_ones_own_needs_no_key(receiver_at: Callable[[str], OtlpReceiver]) -> None:
    receiver = receiver_at("/api/v1/private/otel/v1/traces")
    environ = {"OPIK_URL_OVERRIDE": f"{receiver.endpoint}/api"}
    exporter = presets.OpikSpanExporter(settings=Settings(), environ=environ)
    assert exporter.export(spans()) is SpanExportResult.SUCCESS
    (request,) = receiver.requests
    assert "authorization" not in request.headers
    assert request.headers["comet-workspace"] == "default"


def test_traceloops_headers_go_instead_of_the_key(
    receiver_at: Callable[[str], OtlpReceiver],
) -> None:
    request = sent("traceloop", receiver_at("/v1/traces"), TRACELOOP_HEADERS="x-instana-key=k%201")
    assert request.headers["x-instana-key"] == "k 1"
    assert "authorization" not in request.headers


def of_flow(name: str) -> list[ReadableSpan]:
    return spans({**LLM, "langflow.trace.name": name, "langflow.flow.name": "inner"})


def test_each_flow_goes_to_its_own_pipeline_of_openlayer(
    receiver_at: Callable[[str], OtlpReceiver],
) -> None:
    receiver = receiver_at("/otel/v1/traces")
    exporter = presets.OpenlayerSpanExporter(
        settings=Settings(),
        environ={
            "OPENLAYER_API_KEY": "k",
            "OPENLAYER_BASE_URL": receiver.endpoint,
            "OPENLAYER_PIPELINE_SHOP_BOT": "shop",
            "OPENLAYER_LANGFLOW_MAPPING": '{"Support": "support"}',
        },
    )
    flows = ("Shop-Bot", "Support", "Shop-Bot", "Nobody's")
    result = exporter.export([span for name in flows for span in of_flow(name)])

    assert result is SpanExportResult.SUCCESS
    assert [(r.headers["x-bt-parent"], len(r.spans)) for r in receiver.requests] == [
        ("pipeline_id:shop", 2),
        ("pipeline_id:support", 1),
    ]
    assert exporter.account.statistics().exported == 3


def test_a_pipeline_that_does_not_work_costs_the_others_nothing(
    receiver_at: Callable[[str], OtlpReceiver],
) -> None:
    from tests.support.faults import status

    receiver = receiver_at("/otel/v1/traces")
    exporter = presets.OpenlayerSpanExporter(
        settings=Settings(),
        environ={
            "OPENLAYER_API_KEY": "k",
            "OPENLAYER_BASE_URL": receiver.endpoint,
            "OPENLAYER_LANGFLOW_MAPPING": '{"a": "1", "b": "2"}',
        },
    )
    with receiver.faults.mode(status(404)):
        assert exporter.export(of_flow("a")) is SpanExportResult.FAILURE
    assert exporter.export([*of_flow("b"), *of_flow("a")]) is SpanExportResult.SUCCESS
    statistics = exporter.account.statistics()
    assert (statistics.exported, sum(statistics.dropped.values())) == (2, 1)


PIPELINES = [
    {},
    {"OPENLAYER_INFERENCE_PIPELINE_ID": "default"},
    {"OPENLAYER_LANGFLOW_MAPPING": '{"My Flow": "mapped"}'},
    {"OPENLAYER_LANGFLOW_MAPPING": "[1]", "OPENLAYER_INFERENCE_PIPELINE_ID": "default"},
    {"OPENLAYER_LANGFLOW_MAPPING": "{", "OPENLAYER_INFERENCE_PIPELINE_ID": "default"},
    {"OPENLAYER_PIPELINE_MY_FLOW": "own", "OPENLAYER_LANGFLOW_MAPPING": '{"My Flow": "mapped"}'},
]


@pytest.mark.parametrize("environ", PIPELINES)
@pytest.mark.parametrize("flow", ["My Flow", "my-flow!", "Another", "My Flow - copy"])
def test_a_flows_pipeline_is_the_one_that_langflows_own_tracer_finds(
    environ: dict[str, str], flow: str, environment: pytest.MonkeyPatch
) -> None:
    tracer = pytest.importorskip("langflow.services.tracing.openlayer").OpenlayerTracer
    for name, value in {"OPENLAYER_API_KEY": "k", **environ}.items():
        environment.setenv(name, value)
    theirs = tracer._get_config(f"{flow} - 1f3a").get("inference_pipeline_id")
    (span,) = of_flow(flow)
    assert openlayer.Pipelines(environ).of(span) == theirs


# -- what is not set rightly


def test_a_credential_that_is_missing_is_named_once_and_nothing_is_sent(said: Any) -> None:
    for name, exporter in EXPORTERS.items():
        for variable in SET[name]:
            if variable == "OPIK_WORKSPACE":
                continue
            environ = {k: v for k, v in SET[name].items() if k != variable}
            for _ in range(2):
                made = exporter(settings=Settings(), environ=environ)
            assert made.export(spans()) is SpanExportResult.FAILURE
            lines = [line for line in said() if variable in line and "not set" in line]
            assert len(lines) == 1, variable
            assert f"nothing is sent to {name}" in lines[0]
    assert "-secret" not in "".join(said())


@pytest.mark.parametrize("name", sorted(SET))
@pytest.mark.parametrize("address", ["ftp://h", "http://", "http://a b", "https://h:99999", "::"])
def test_an_address_that_is_none_is_named_and_nothing_is_sent(
    name: str, address: str, said: Any
) -> None:
    exporter = EXPORTERS[name](settings=Settings(), environ=environ_for(name, address))
    assert exporter.export(spans()) is SpanExportResult.FAILURE
    (line,) = [line for line in said() if table.PRESETS[name].endpoints[0] in line]
    assert "nothing is sent there" in line
    assert "-secret" not in "".join(said())


def test_a_key_that_no_header_can_hold_is_named_without_being_shown(said: Any) -> None:
    environ = {"LANGWATCH_API_KEY": "lw-secret\nX: y", "LANGWATCH_ENDPOINT": "http://127.0.0.1:9"}
    exporter = presets.LangWatchSpanExporter(settings=Settings(), environ=environ)
    assert exporter.export(spans()) is SpanExportResult.FAILURE
    (line,) = [line for line in said() if "LANGWATCH_API_KEY" in line and "header" in line]
    assert "secret" not in line


def test_a_mapping_that_is_no_object_is_named(said: Any) -> None:
    openlayer.Pipelines({"OPENLAYER_LANGFLOW_MAPPING": "{secret"})
    (line,) = said()
    assert "OPENLAYER_LANGFLOW_MAPPING" in line
    assert "secret" not in line


# -- addresses


@pytest.mark.parametrize(
    ("value", "path", "address"),
    [
        ("http://p:6006", "/v1/traces", "http://p:6006/v1/traces"),
        (" http://p:6006/ ", "/v1/traces", "http://p:6006/v1/traces"),
        ("http://p/v1/traces", "/v1/traces", "http://p/v1/traces"),
        ("https://otlp.arize.com/v1", "/v1/traces", "https://otlp.arize.com/v1/traces"),
        ("https://h/v1/otel", "/otel/v1/traces", "https://h/v1/otel/v1/traces"),
        ("https://h/v1/otel/v1/traces", "/otel/v1/traces", "https://h/v1/otel/v1/traces"),
        ("https://h/av1", "/v1/traces", "https://h/av1/v1/traces"),
        ("https://h/base?tenant=1#x", "/v1/traces", "https://h/base/v1/traces?tenant=1"),
        ("https://u:p@h", "/v1/traces", "https://u:p@h/v1/traces"),
        ("p:6006", "/v1/traces", "http://p:6006/v1/traces"),
        ("phoenix", "/v1/traces", "http://phoenix/v1/traces"),
        ("127.0.0.1", "/v1/traces", "http://127.0.0.1/v1/traces"),
        ("api.example.com", "/v1/traces", "https://api.example.com/v1/traces"),
        ("[::1]:6006", "/v1/traces", "http://[::1]:6006/v1/traces"),
    ],
)
def test_the_path_is_added_where_it_is_missing(value: str, path: str, address: str) -> None:
    assert usable_address("V", value, path) == address


def test_user_information_and_query_of_a_wrong_address_are_not_logged(said: Any) -> None:
    assert usable_address("V", "ftp://me:secret@h/?key=secret", "/v1/traces") is None
    assert usable_address("V", "me:secret@", "/v1/traces") is None
    assert "secret" not in "".join(said())
    assert len(said()) == 2


def test_the_port_of_grpc_is_pointed_out(said: Any) -> None:
    assert usable_address("V", "http://h:4317", "/v1/traces") == "http://h:4317/v1/traces"
    (line,) = said()
    assert "4317" in line


# -- what the vendors' own SDKs do


class Recorder:
    """Stands in for an exporter of OpenTelemetry, and keeps how it is made."""

    def __init__(self) -> None:
        self.made: dict[str, Any] = {}

    def __call__(self, **arguments: Any) -> Any:
        self.made = arguments
        return InMemorySpanExporter()


def ours(name: str, **environ: str) -> tuple[str | None, dict[str, str]]:
    preset = table.PRESETS[name]
    return table.address_of(preset, environ), table.headers_of(preset, environ) or {}


def lowered(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def test_langwatch_as_its_sdk_does(environment: pytest.MonkeyPatch) -> None:
    client = pytest.importorskip("langwatch.client")
    exporter = Recorder()
    environment.setattr(client, "OTLPSpanExporter", exporter)
    environment.setattr(client.Client, "_api_key", "k")
    environment.setattr(client.Client, "_endpoint_url", "https://app.langwatch.ai")
    provider = TracerProvider()
    object.__new__(client.Client)._Client__set_langwatch_exporter(provider)
    provider.shutdown()

    address, headers = ours("langwatch", LANGWATCH_API_KEY="k")
    assert address == exporter.made["endpoint"]
    assert headers.items() <= lowered(exporter.made["headers"]).items()


def test_traceloop_as_its_sdk_does(environment: pytest.MonkeyPatch) -> None:
    sdk = pytest.importorskip("traceloop.sdk")
    tracing = pytest.importorskip("traceloop.sdk.tracing.tracing")
    exporter = Recorder()
    environment.setattr(tracing, "HTTPExporter", exporter)
    default = inspect.signature(sdk.Traceloop.init).parameters["api_endpoint"].default
    for endpoint in (default, "https://own.example.com/", "https://own.example.com/v1/traces"):
        tracing.init_spans_exporter(endpoint, {})
        assert ours("traceloop", TRACELOOP_BASE_URL=endpoint)[0] == exporter.made["endpoint"]
    assert ours("traceloop")[0] == ours("traceloop", TRACELOOP_BASE_URL=default)[0]
    assert 'f"Bearer {api_key}"' in inspect.getsource(sdk.Traceloop.init)


def test_traceloops_names_are_those_of_its_package() -> None:
    conventions = pytest.importorskip("opentelemetry.semconv_ai").SpanAttributes
    known = {value for name, value in vars(conventions).items() if name.startswith("TRACELOOP_")}
    properties = conventions.TRACELOOP_ASSOCIATION_PROPERTIES
    for name in table.PRESETS["traceloop"].also.values():
        assert name in known or name.startswith(f"{properties}.")


def test_opik_as_its_sdk_does(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("OPIK_SENTRY_ENABLE", "false")
    config = pytest.importorskip("opik.config")
    raw_client = pytest.importorskip("opik.rest_api.open_telemetry_ingestion.raw_client")
    httpx_client = pytest.importorskip("opik.httpx_client")

    asked: list[str] = []

    class Wrapper:
        class httpx_client:  # noqa: N801 - as the SDK names it
            @staticmethod
            def request(path: str, **_: Any) -> Any:
                asked.append(path)
                raise LookupError

    with pytest.raises(LookupError):
        raw_client.RawOpenTelemetryIngestionClient(
            client_wrapper=Wrapper()
        ).receive_protobuf_traces()

    address, headers = ours("opik", OPIK_API_KEY="k", OPIK_WORKSPACE="team")
    assert address == config.OPIK_URL_CLOUD + asked[0]
    theirs = lowered(httpx_client._prepare_headers("team", "k"))
    assert {n: headers[n] for n in ("authorization", "comet-workspace")}.items() <= theirs.items()
    assert ours("opik")[1]["comet-workspace"] == config.OPIK_WORKSPACE_DEFAULT_NAME


def test_an_address_in_a_key_of_opik_is_found_as_its_sdk_finds_it(
    environment: pytest.MonkeyPatch,
) -> None:
    environment.setenv("OPIK_SENTRY_ENABLE", "false")
    config = pytest.importorskip("opik.config")
    told = base64.b64encode(b'{"baseUrl": "https://opik.example.com/"}').decode().rstrip("=")
    key = f"abc*{told}"
    theirs = config.OpikConfig(api_key=key).url_override
    assert theirs.startswith("https://opik.example.com/")
    assert ours("opik", OPIK_API_KEY=key)[0] == theirs + "v1/private/otel/v1/traces"
    for odd in ("abc", "abc*", "abc*!", "abc*aGk=", "abc*WzFd"):
        assert ours("opik", OPIK_API_KEY=odd)[0] == ours("opik")[0]


def test_openlayers_base_is_that_of_its_sdk(environment: pytest.MonkeyPatch) -> None:
    sdk = pytest.importorskip("openlayer")
    client = sdk.Openlayer(api_key="k")
    address, headers = ours("openlayer", OPENLAYER_API_KEY="k")
    assert address == str(client.base_url).rstrip("/") + "/otel/v1/traces"
    assert headers.items() <= lowered(client.auth_headers).items()


def test_arize_as_its_sdk_does(environment: pytest.MonkeyPatch) -> None:
    sdk = pytest.importorskip("arize.otel.otel")
    address, headers = ours("arize", ARIZE_API_KEY="k", ARIZE_SPACE_ID="s")
    assert headers.items() <= sdk._get_arize_auth_headers("s", "k").items()
    assert address == f"{sdk.Endpoint.ARIZE.value}/traces"
    europe = sdk.Endpoint.ARIZE_EUROPE.value
    assert ours("arize", ARIZE_COLLECTOR_ENDPOINT=europe)[0] == f"{europe}/traces"


@pytest.mark.parametrize("name", sorted(SET))
def test_the_defaults_are_encrypted(name: str) -> None:
    address, _ = ours(name)
    assert address is not None
    assert address.startswith("https://")
    assert host_of(address)
