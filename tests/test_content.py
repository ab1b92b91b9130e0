"""Which content is captured, of what, and a company's own rules for it."""

from __future__ import annotations

import contextlib
import gc
import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Link, Status, StatusCode

from langflow_otel import LangflowInstrumentor
from langflow_otel.capture import secrets as capture_secrets
from langflow_otel.capture import secrets_of
from langflow_otel.export import mask
from langflow_otel.export.destination import DestinationSpanExporter
from langflow_otel.export.mask import HIDDEN
from langflow_otel.export.sending import Answer, Verdict
from langflow_otel.settings import Settings
from tests.conftest import Traced
from tests.support import flows
from tests.support.receiver import OtlpReceiver
from tests.support.select import named
from tests.support.spans import Span

PREFIX = "OTEL_PYTHON_LANGFLOW_"
KINDS = {
    "INPUTS": ("input.value", "llm.input_messages", "tool.parameters"),
    "OUTPUTS": ("output.value", "llm.output_messages"),
    "LOGS": ("langflow.log.message", "langflow.log.name"),
    "EXCEPTIONS": ("exception.message", "exception.stacktrace"),
}


@pytest.fixture
def run(receiver: OtlpReceiver, environment: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Run a flow, instrumented with some arguments and variables; the spans that arrived."""
    environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint)
    environment.setenv("OTEL_PYTHON_LANGFLOW_CAPTURE_CONTENT", "true")

    async def run_them(*made: Any, variables: Any = None, **arguments: Any) -> list[Span]:
        for name, value in (variables or {}).items():
            environment.setenv(name, value)
        LangflowInstrumentor().instrument(**arguments)
        for flow in made:
            with contextlib.suppress(ValueError):
                await flows.run_flow(flow, "the question")
        LangflowInstrumentor().uninstrument()
        assert receiver.rejected == []
        return receiver.spans

    yield run_them
    if LangflowInstrumentor().is_instrumented_by_opentelemetry:
        LangflowInstrumentor().uninstrument()


def _called(spans: list[Span], name: str) -> Span:
    """The one span with that name, whose ever it is."""
    (found,) = [span for span in spans if span.name == name]
    return found


def _has(spans: list[Span], prefixes: tuple[str, ...]) -> bool:
    return any(
        attributes[name] != "__REDACTED__"
        for span in spans
        for attributes in (span.attributes, *(event.attributes for event in span.events))
        for name in attributes
        if name.startswith(prefixes)
    )


EVERY_KIND = (flows.agent_with_tools(), flows.component_logs(), flows.failing())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", ["false", "flase"])
async def test_each_kind_of_content_has_a_switch_and_a_typo_turns_it_off(
    run: Callable[..., Any], kind: str, value: str, said: Any
) -> None:
    spans = await run(*EVERY_KIND, variables={f"{PREFIX}CAPTURE_{kind}": value})
    for other, prefixes in KINDS.items():
        assert _has(spans, prefixes) is (other != kind)
    wrong = [line for line in said(logging.WARNING) if f"CAPTURE_{kind}='flase'" in line]
    assert bool(wrong) is (value == "flase")


async def test_a_switch_turns_nothing_on(run: Callable[..., Any]) -> None:
    switches = {f"{PREFIX}CAPTURE_{kind}": "true" for kind in KINDS}
    spans = await run(*EVERY_KIND, variables={PREFIX + "CAPTURE_CONTENT": "none", **switches})
    assert not any(_has(spans, prefixes) for prefixes in KINDS.values())


@pytest.mark.parametrize(
    ("variable", "kind"),
    [
        ("HIDE_INPUTS", "INPUTS"),
        ("HIDE_INPUT_MESSAGES", "INPUTS"),
        ("HIDE_INPUT_TEXT", "INPUTS"),
        ("HIDE_OUTPUTS", "OUTPUTS"),
        ("HIDE_OUTPUT_TEXT", "OUTPUTS"),
    ],
)
@pytest.mark.parametrize(("value", "hidden"), [("true", True), ("ture", True), ("false", False)])
async def test_what_hides_openinferences_content_hides_ours(
    run: Callable[..., Any], variable: str, kind: str, value: str, hidden: bool
) -> None:
    spans = await run(flows.linear_chat(), variables={f"OPENINFERENCE_{variable}": value})
    ours = [span for span in spans if span.scope == "langflow_otel"]
    attribute = f"{kind.lower()[:-1]}.value"
    assert any(attribute in span.attributes for span in ours) is not hidden
    model = _called(spans, "ScriptedChatModel")
    if variable == "HIDE_INPUTS" and hidden:
        assert not _has([model], KINDS["INPUTS"])


async def test_what_comes_out_of_chat_input_is_an_input(run: Callable[..., Any]) -> None:
    spans = await run(flows.sync_method(), variables={PREFIX + "CAPTURE_INPUTS": "false"})
    assert "output.value" not in named(spans, "Chat Input").attributes
    flow = named(spans, "Sync method")
    assert "input.value" not in flow.attributes
    assert "the question" in flow.attributes["output.value"]


@pytest.mark.parametrize(
    "arguments",
    [
        {"variables": {PREFIX + "HIDE_COMPONENTS": "Other, ScriptedModel"}},
        {"variables": {PREFIX + "HIDE_COMPONENTS": "Scripted*"}},
        {"hide_components": ["ScriptedModel"]},
        {"hide_components": "ScriptedModel"},
        {"variables": {PREFIX + "HIDE_COMPONENTS": "Other"}, "hide_components": ["Scripted?odel"]},
    ],
    ids=str,
)
async def test_a_hidden_component_shows_nothing_nor_what_is_below_and_after_it(
    run: Callable[..., Any], arguments: dict[str, Any]
) -> None:
    spans = await run(flows.linear_chat("The answer"), **arguments)
    model = _called(spans, "ScriptedChatModel")
    component = next(s for s in spans if s.span_id == model.parent_id)
    after = named(spans, "Chat Output")
    for span in (component, model):
        assert span.attributes["langflow.content.hidden"] is True
        assert "The answer" not in repr(span)
        assert "the question" not in repr(span)
        assert not _has([span], (*KINDS["INPUTS"], *KINDS["OUTPUTS"]))
    assert model.attributes["llm.token_count.total"] > 0
    assert "The answer" not in repr(after), "nor is it told where it comes out of the flow"
    assert "output.value" not in named(spans, "Linear chat").attributes
    assert "the question" in named(spans, "Linear chat").attributes["input.value"]


async def test_a_component_is_hidden_by_its_id_alone(run: Callable[..., Any]) -> None:
    flow = flows.parallel_branches(seconds=0.01)
    spans = await run(flow, hide_components=["Wait-Left"])
    assert "input.value" not in named(spans, "Left").attributes
    assert "input.value" in named(spans, "Right").attributes


async def test_the_error_of_a_hidden_component_says_its_type_only(run: Callable[..., Any]) -> None:
    flow = flows.failing()
    failing = next(n["data"] for n in flow["data"]["nodes"] if "Chat" not in n["data"]["type"])
    spans = await run(flow, hide_components=[failing["type"]])
    assert "no such order" not in repr(spans)
    assert [s.attributes["error.type"] for s in spans if "error.type" in s.attributes] == [
        "LookupError",
        "LookupError",
    ]


async def test_a_hidden_tool_shows_nothing(run: Callable[..., Any]) -> None:
    spans = await run(flows.agent_with_tools(), hide_components=["Weather"])
    tool = _called(spans, "get_weather")
    assert tool.attributes["langflow.content.hidden"] is True
    assert not _has([tool], (*KINDS["INPUTS"], *KINDS["OUTPUTS"]))
    assert _has([_called(spans, "get_distance")], ("output.value",))
    assert "snow" not in repr(spans), "what it said is not in the agent's next turn either"


async def test_where_a_hidden_tool_says_more_than_is_remembered_its_readers_show_nothing(
    run: Callable[..., Any],
) -> None:
    city = "Llanfairpwllgwyngyll-" * 1000
    made = (flows.agent_with_tools(city), flows.linear_chat())
    spans = await run(*made, hide_components=["Weather"])
    assert "no report" not in repr(spans), "the end of a long answer, in whatever reads it"
    agent = named(spans, "Agent with tools")
    last = [s for s in spans if (s.name, s.trace_id) == ("ScriptedChatModel", agent.trace_id)][-1]
    assert last.attributes["langflow.content.hidden"] is True
    assert last.attributes["llm.token_count.total"] > 0
    assert not _has([last], (*KINDS["INPUTS"], *KINDS["OUTPUTS"]))
    assert _has([named(spans, "Linear chat")], ("output.value",)), "another run tells as ever"


async def test_what_was_hidden_in_runs_that_are_forgotten_stays_hidden_when_it_is_sent_late(
    run: Callable[..., Any], environment: pytest.MonkeyPatch
) -> None:
    environment.setattr(capture_secrets, "_FINISHED_RUNS", 1)
    environment.setenv("OTEL_BSP_SCHEDULE_DELAY", "60000")
    environment.setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "500")
    LangflowInstrumentor().instrument(hide_components=["Weather"])
    await flows.run_flow(flows.agent_with_tools(), "the question")
    for number in range(2):
        await flows.run_flow(flows.echo_of_secrets("n", f"hunter2-in-a-field-{number}"))
    await flows.run_flow(flows.linear_chat(), "the question")
    # What holds a run holds its secrets.
    gc.collect()
    LangflowInstrumentor().uninstrument()
    spans = await run()
    assert "snow" not in repr(spans)
    assert "hunter2" not in repr(spans)
    agent = named(spans, "Agent with tools")
    shown = {
        (span.trace_id == agent.trace_id): _has([span], KINDS["OUTPUTS"])
        for span in spans
        if span.name == "ScriptedChatModel"
    }
    assert shown == {True: False, False: True}


async def test_what_runs_below_a_hidden_component_is_hidden_too(run: Callable[..., Any]) -> None:
    spans = await run(flows.flow_in_flow(), hide_components=["CallFlow"])
    caller = named(spans, "Call Flow")
    ids, below = {caller.span_id}, []
    for span in sorted(spans, key=lambda span: span.start_ns):
        if span.parent_id in ids:
            ids.add(span.span_id)
            below.append(span)
    assert len(below) > 3
    for span in (caller, *below):
        assert span.attributes["langflow.content.hidden"] is True
        assert not _has([span], (*KINDS["INPUTS"], *KINDS["OUTPUTS"]))


async def test_a_value_is_sent_as_long_as_it_may_be_captured(run: Callable[..., Any]) -> None:
    answer = "so much to say " * 25_000
    spans = await run(
        flows.linear_chat(answer), variables={PREFIX + "MAX_VALUE_BYTES": str(1 << 20)}
    )
    assert named(spans, "Chat Output").attributes["output.value"] == answer


async def test_secrets_are_masked_in_others_spans_where_no_content_is_captured(
    run: Callable[..., Any], environment: pytest.MonkeyPatch
) -> None:
    flow = flows.echo_of_secrets(note="n", password="hunter2-in-a-field")
    environment.setenv(PREFIX + "CAPTURE_CONTENT", "false")
    LangflowInstrumentor().instrument()
    provider = LangflowInstrumentor().tracer_provider
    assert provider is not None
    with provider.get_tracer("http").start_as_current_span("GET /hunter2-in-a-field") as span:
        await flows.run_flow(flow, "the question")
        span.set_attribute("url.full", "https://h/hunter2-in-a-field")
    LangflowInstrumentor().uninstrument()
    spans = await run()
    assert "hunter2" not in repr(spans)
    assert _called(spans, "GET /**********").attributes["url.full"] == "https://h/**********"


async def test_secrets_are_masked_in_mappings_on_others_spans(
    run: Callable[..., Any], environment: pytest.MonkeyPatch
) -> None:
    """New versions of OpenTelemetry keep mappings, and what is nested, as attributes."""
    environment.setenv(PREFIX + "CAPTURE_CONTENT", "true")
    LangflowInstrumentor().instrument()
    provider = LangflowInstrumentor().tracer_provider
    assert provider is not None
    messages: Any = [{"role": "user", "content": "it is password=hunter2secretA1, keep it"}]
    headers: Any = {"authorization": "hunter2-of-a-header", "accept": "text/html"}
    with provider.get_tracer("others").start_as_current_span("chat") as span:
        span.set_attribute("gen_ai.input.messages", messages)
        span.set_attribute("sent.headers", headers)
    LangflowInstrumentor().uninstrument()
    spans = await run()
    assert _called(spans, "chat")
    assert "hunter2" not in repr(spans)


async def test_added_names_are_masked_on_every_span(run: Callable[..., Any]) -> None:
    flow = flows.echo_of_secrets(note="customerNumber=C-4711", password="x")
    spans = await run(flow, mask_keys=["customer-number"])
    assert "C-4711" not in repr(spans)
    assert "customerNumber=**********" in repr(spans)


async def test_a_mask_of_ones_own_sees_all_content_before_it_is_sent(
    run: Callable[..., Any],
) -> None:
    threads = set()

    def mask(text: str) -> str:
        threads.add(threading.current_thread().name)
        return text.replace("question", "<subject>")

    spans = await run(flows.linear_chat(), mask=mask)
    assert "question" not in repr([(s.attributes, s.events) for s in spans])
    assert "the <subject>" in named(spans, "Linear chat").attributes["input.value"]
    assert "the <subject>" in repr(_called(spans, "ScriptedChatModel").attributes)
    assert threads == {"langflow-otel-mask"}


def _raise(_: str) -> str:
    raise RuntimeError("the question")


@pytest.mark.parametrize("mask", [_raise, lambda _: None, lambda _: time.sleep(3) or "late", "no"])
async def test_a_mask_that_fails_hangs_or_is_none_hides_the_content(
    run: Callable[..., Any], mask: Any, said: Any
) -> None:
    spans = await run(flows.linear_chat(), mask=mask)
    assert "the question" not in repr(spans)
    shown = named(spans, "Linear chat").attributes["input.value"]
    assert shown in {HIDDEN, "<hidden: mask= is not a function>"}
    warnings = said(logging.WARNING)
    assert len(warnings) == 1
    assert "the question" not in warnings[0]


async def test_a_mask_that_others_exporters_would_not_call_turns_content_off(
    run: Callable[..., Any], said: Any
) -> None:
    await run(flows.linear_chat(), mask=str.upper, tracer_provider=TracerProvider())
    (warning,) = said(logging.WARNING)
    assert "mask= is called by the exporters that are made here" in warning


@pytest.mark.parametrize(
    ("arguments", "warning"),
    [
        ({"capture_content": "false"}, "instrument(capture_content=…)='str' is not allowed"),
        ({"hide_component": ["A"]}, "instrument() knows no hide_component=; it is ignored"),
        ({"mask_keys": 5}, "instrument(mask_keys=…)='int' is not allowed"),
    ],
)
async def test_a_wrong_argument_is_named(
    run: Callable[..., Any], arguments: Any, warning: str, said: Any
) -> None:
    spans = await run(flows.linear_chat(), **arguments)
    assert [line for line in said(logging.WARNING) if warning in line]
    if "capture_content" in arguments:
        assert "the question" not in repr(spans)


def _sent(traced: Traced, scope: str, attributes: dict[str, Any]) -> Span:
    with traced.provider.get_tracer(scope).start_as_current_span("other", attributes=attributes):
        pass
    return _called(traced.spans(), "other")


@pytest.mark.parametrize(
    ("name", "value", "sent"),
    [
        ("url.full", "https://ann:pw@h/p?api_key=abc&q=1", "https://ann:**********@h/p?api_key=**********&q=1"),
        ("http.url", "http://h/p?sig=abc&n=2", "http://h/p?sig=**********&n=2"),
        ("url.query", "key=abc&page=2", "key=**********&page=2"),
        ("http.target", "/p?access_token=abc", "/p?access_token=**********"),
        ("db.statement", "ALTER USER a PASSWORD 'abc'", "ALTER USER a PASSWORD '**********'"),
        ("http.request.header.x_api_key", ["abc"], ["**********"]),
        ("db.password", "abc", "**********"),
    ],
)  # fmt: skip
def test_what_other_instrumentors_say_is_masked_on_its_way(
    traced: Traced, name: str, value: str, sent: str
) -> None:
    assert _sent(traced, "http", {name: value}).attributes[name] == sent


def test_what_openinference_says_is_masked_by_name_too(traced: Traced) -> None:
    attributes = {
        "input.value": '{"headers": {"Authorization": "abc"}, "city": "Oslo"}',
        "llm.input_messages.0.message.content": "my api_key=abc",
        "llm.token_count.total": 5,
        "tag.tags": ["token=abc", "b"],
    }
    sent = _sent(traced, "openinference.instrumentation.x", attributes).attributes
    assert sent == {
        "input.value": '{"headers":{"Authorization":"**********"},"city":"Oslo"}',
        "llm.input_messages.0.message.content": "my api_key=**********",
        "llm.token_count.total": 5,
        "tag.tags": ["token=**********", "b"],
    }


def test_links_and_the_names_of_events_are_masked_too(traced: Traced) -> None:
    tracer = traced.provider.get_tracer("http")
    other = tracer.start_span("before").get_span_context()
    with tracer.start_as_current_span("after", links=[Link(other, {"token": "abc"})]) as span:
        span.add_event("sent Bearer a1b2c3d4e5f6a7b8", {"password": "abc"})
    (sent,) = [span for span in traced.spans() if span.name == "after"]
    assert "abc" not in repr(sent.events)
    assert sent.events[0].name == "sent Bearer **********"


def test_what_turns_out_to_be_a_secret_later_is_masked_in_what_waits_to_be_sent(
    traced: Traced,
) -> None:
    tracer = traced.provider.get_tracer("langflow_otel")
    with tracer.start_as_current_span("s hunter22") as span:
        span.set_attributes({"input.value": "hunter22", "session.id": "hunter22"})
        span.add_event("exception", {"exception.message": "not hunter22"})
        span.set_status(Status(StatusCode.ERROR, "hunter22 is wrong"))
        trace_id = span.get_span_context().trace_id
    kept = secrets_of(trace_id)
    kept.add("hunter22")
    sent = traced.spans()
    assert "hunter22" not in repr(sent)
    assert named(sent, "s **********").status_message == "********** is wrong"


class _Sent(list):  # type: ignore[type-arg]
    """A sender that keeps what it is given."""

    def send(self, items: Any, timeout: float) -> Answer:
        self.extend(items)
        return Answer(Verdict.TAKEN)

    def size(self, item: Any) -> int:
        return 1

    def renew(self) -> None:
        pass


def test_while_a_mask_hangs_a_batch_waits_for_it_once() -> None:
    calls: list[str] = []
    release = threading.Event()

    def mask(text: str) -> str:
        calls.append(text)
        release.wait(30)
        return text

    sent = _Sent()
    exporter = DestinationSpanExporter("here", sent, settings=Settings(mask=mask))  # type: ignore[arg-type]
    provider = TracerProvider()
    tracer = provider.get_tracer("langflow_otel")
    spans = [tracer.start_span("s", attributes={"input.value": f"text {n}"}) for n in range(50)]
    for span in spans:
        span.end()
    exporter.export(spans)  # type: ignore[arg-type]
    release.set()
    assert {span.attributes["input.value"] for span in sent} == {HIDDEN}
    assert calls == ["text 0"]


def test_without_content_nothing_of_it_leaves_in_other_instrumentors_spans() -> None:
    sent = _Sent()
    exporter = DestinationSpanExporter("otlp", sent, settings=Settings(), ai_only=False)  # type: ignore[arg-type]
    resource = Resource({"process.command_args": "run --password hunter22", "host.name": "h1"})
    tracer = TracerProvider(resource=resource).get_tracer("somebody")
    said = {
        "db.query.result.document": "CONTENT",
        "db.statement": "CONTENT",
        "gen_ai.anything.new": "CONTENT",
        "mcp.tool.result": "CONTENT",
        "langfuse.observation.input": "CONTENT",
        "llm.system_prompt": "CONTENT",
        "input": "CONTENT",
        "http.request.method": "GET",
        "gen_ai.usage.input_tokens": 7,
        "db.system": "postgresql",
    }
    span = tracer.start_span("call", attributes=said)
    span.add_event("gen_ai.user.message", {"content": "CONTENT", "gen_ai.system": "openai"})
    span.end()
    exporter.export([span])  # type: ignore[list-item]
    (shown,) = sent
    assert "CONTENT" not in shown.to_json()
    assert "hunter22" not in shown.to_json()
    assert set(shown.attributes) == {
        "http.request.method",
        "gen_ai.usage.input_tokens",
        "db.system",
    }
    assert shown.resource.attributes["host.name"] == "h1"


def test_what_passes_between_the_calls_of_a_mask_is_no_time_of_its(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Between them others have the interpreter, for as long as they like."""
    monkeypatch.setattr(mask, "BATCH_SECONDS", 0.5)
    guarded = mask.GuardedMask(str.upper)
    guarded.begin_batch()
    time.sleep(0.6)
    assert guarded("a text") == "A TEXT"
