"""The harness itself: what the other tests believe what it says about."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Link, SpanKind

from tests.support.http import call
from tests.support.invariants import check
from tests.support.openai_answers import Answer, ToolCall, Usage
from tests.support.openai_wire import Call
from tests.support.phoenix import Phoenix
from tests.support.process import NotUp, Process, clean_environment
from tests.support.receiver import OtlpReceiver
from tests.support.secrets import planted
from tests.support.spans import KIND, SESSION, Span, from_readable
from tests.support.tree import render

MS = 1_000_000


def export_trace(endpoint: str, project: str = "p", **options: Any) -> list[Span]:
    """Send one small trace with the real exporter; the spans as the SDK saw them."""
    kept = InMemorySpanExporter()
    resource = Resource({"openinference.project.name": project})
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(SimpleSpanProcessor(kept))
    exporter = OTLPSpanExporter(endpoint, **options)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("tests.support")
    common: dict[str, Any] = {SESSION: "s"}
    flow: dict[str, Any] = {
        **common,
        KIND: "CHAIN",
        "n": 3,
        "x": 0.5,
        "yes": True,
        "list": ["a", "b"],
    }
    with tracer.start_as_current_span("flow", attributes=flow) as root:
        root.add_event("log", {"key": "value"})
        links = [Link(root.get_span_context(), {"why": "test"})]
        attributes: dict[str, Any] = {**common, KIND: "LLM"}
        with (
            pytest.raises(ValueError, match="boom"),
            tracer.start_as_current_span("model", attributes=attributes, links=links),
        ):
            raise ValueError("boom")
        tracer.start_span("GET", kind=SpanKind.CLIENT).end()
    provider.shutdown()
    finished: tuple[ReadableSpan, ...] = kept.get_finished_spans()
    return [from_readable(span) for span in finished]


TREE = """\
CHAIN flow
  LLM model !error
  client GET"""


@pytest.mark.parametrize("compression", list(Compression))
def test_receiver_decodes_what_the_exporter_sends(compression: Compression) -> None:
    with OtlpReceiver() as receiver:
        sent = export_trace(
            receiver.traces_endpoint, compression=compression, headers={"X-Key": "k"}
        )
        arrived = receiver.wait_for(3)
        assert next(s for s in arrived if s.name == "flow").events[0].name == "log"
        # OTLP has no tuples; everything else must be what the SDK had, to the nanosecond.
        assert json.loads(json.dumps([vars(s) for s in arrived], default=vars)) == json.loads(
            json.dumps([vars(s) for s in sent], default=vars)
        )
        assert {request.headers["x-key"] for request in receiver.requests} == {"k"}
        assert render(arrived) == TREE
        check(arrived, session="s", traces=1, tolerance_ns=0)
        receiver.clear()
        assert receiver.spans == []


@pytest.mark.parametrize(
    ("path", "headers", "body", "status"),
    [
        ("/v1/traces", {"content-type": "application/json"}, b"{}", 415),
        ("/v1/traces", {"content-type": "application/x-protobuf; charset=utf-8"}, b"", 415),
        ("/v1/traces", {"content-type": "application/x-protobuf"}, b"garbage", 400),
        (
            "/v1/traces",
            {"content-type": "application/x-protobuf", "content-encoding": "gzip"},
            b"not gzip",
            400,
        ),
        (
            "/v1/traces",
            {"content-type": "application/x-protobuf", "content-encoding": "br"},
            b"",
            415,
        ),
        ("/v1/elsewhere", {"content-type": "application/x-protobuf"}, b"", 404),
        ("/v1/traces", {"content-type": "application/x-protobuf"}, b"", 200),
        ("/v1/metrics", {"content-type": "application/x-protobuf"}, b"anything", 200),
        ("/v1/logs", {"content-type": "application/x-protobuf"}, b"anything", 200),
    ],
)
def test_receiver_is_strict(path: str, headers: dict[str, str], body: bytes, status: int) -> None:
    with OtlpReceiver() as receiver:
        assert call("POST", receiver.endpoint + path, body, headers).status == status
        assert receiver.spans == []
        assert len(receiver.rejected) == (status != 200)
        assert receiver.counts == ({path: 1} if status == 200 else {})


def test_receiver_says_what_it_waited_for_in_vain() -> None:
    with OtlpReceiver() as receiver:
        export_trace(receiver.traces_endpoint)
        with pytest.raises(AssertionError, match=r"3 spans(.|\n)*LLM model !error"):
            receiver.wait_for(lambda spans: len(spans) > 3, timeout=0.2)


def span(name: str, parent: str = "", start: int = 0, end: int = 100, **fields: Any) -> Span:
    """A span whose id is its name, on a clock of milliseconds."""
    attributes = {KIND: "CHAIN", **fields.pop("attributes", {})}
    times = {"start_ns": (1000 + start) * MS, "end_ns": (1000 + end) * MS}
    return Span(name, "t", name, parent, attributes=attributes, **{**times, **fields})


def test_tree_shows_order_marks_and_strays() -> None:
    spans = [
        span("late", "flow", 50, 60, attributes={"langflow.component.cached": True}),
        span("early", "flow", 10, 20, status="ERROR"),
        span("flow", attributes={"langflow.flow.status": "cancelled"}),
        span("inner", "late", 55, 56, attributes={KIND: ""}),
        span("b", "flow", 30, 40),
        span("a", "flow", 30, 40),
        span("lost", "nobody", 5),
        span("chicken", "egg"),
        span("egg", "chicken"),
        replace(span("other trace", start=200, end=300), trace_id="u"),
    ]
    expected = """\
CHAIN flow ~cancelled
  CHAIN early !error
  CHAIN a
  CHAIN b
  CHAIN late =cached
    internal inner
(orphan) CHAIN lost
CHAIN other trace
(cycle) CHAIN chicken
  CHAIN egg"""
    assert render(spans) == expected
    assert render(reversed(spans)) == expected


def test_tree_marks_overlapping_siblings_and_sorts_them_by_name() -> None:
    def forest(first: int, second: int) -> str:
        branches = [span("left", "flow", first, 50), span("right", "flow", second, 50)]
        rest = [span("flow"), span("before", "flow", 0, 10), span("after", "flow", 50, 60)]
        return render([*rest, *branches], overlap=True)

    expected = """\
CHAIN flow
  CHAIN before
  || CHAIN left
  || CHAIN right
  CHAIN after"""
    assert forest(10, 11) == forest(11, 10) == expected


def good_trace() -> list[Span]:
    session = {SESSION: "s"}
    return [
        span("POST", attributes={KIND: ""}, otel_kind="SERVER"),
        span("flow", "POST", 1, 90, attributes=session),
        span("model", "flow", 2, 80, attributes={**session, "list": ["a"], "n": 1}),
        span("GET", "model", 3, 4, attributes={KIND: ""}),
    ]


def test_invariants_accept_a_good_trace() -> None:
    check(good_trace(), session="s", traces=1, tolerance_ns=0)
    # Where no session is known, none is asked for.
    check([span("flow"), span("model", "flow")])


def change(name: str, **fields: Any) -> Callable[[list[Span]], list[Span]]:
    return lambda trace: [replace(s, **fields) if s.name == name else s for s in trace]


def attribute(name: str, key: str, value: Any) -> Callable[[list[Span]], list[Span]]:
    return lambda trace: [
        replace(s, attributes={**s.attributes, key: value}) if s.name == name else s for s in trace
    ]


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda trace: [], "there are no spans"),
        (lambda trace: [*trace, replace(trace[0], span_id="x")], "2 roots"),
        (lambda trace: [*trace, replace(trace[0], trace_id="u", span_id="x")], "2 traces"),
        (lambda trace: trace[1:], "orphan: CHAIN flow"),
        (change("POST", parent_id="flow"), "0 roots"),
        (lambda trace: [*trace, trace[2]], "span id model occurs 2 times"),
        (change("GET", end_ns=0), "not ended"),
        (change("GET", end_ns=1), "ends before it starts"),
        (change("model", start_ns=1000 * MS), "starts 1.000 ms before its parent"),
        (change("model", end_ns=1092 * MS), "ends 2.000 ms after its parent"),
        (attribute("GET", "bytes", b"x"), "attribute bytes is bytes"),
        (attribute("GET", "nan", float("nan")), "attribute nan is nan"),
        (attribute("GET", "list", ["a", float("inf")]), "attribute list is inf"),
        (attribute("GET", "dict", {}), "attribute dict is dict"),
        (attribute("GET", SESSION, "other"), "expected session 's' only"),
        (lambda trace: [replace(s, attributes={KIND: s.kind}) if s.name == "model" else s
                        for s in trace], "carries no session.id"),
    ],
)  # fmt: skip
def test_invariants_reject(spoil: Callable[[list[Span]], list[Span]], complaint: str) -> None:
    with pytest.raises(AssertionError) as error:
        check(spoil(good_trace()), session="s", traces=1, tolerance_ns=0)
    assert complaint in str(error.value)


def test_invariants_know_the_sub_flows_that_have_a_session_of_their_own() -> None:
    outer, inner = {SESSION: "s"}, {SESSION: "t"}
    trace = [
        span("outer", attributes=outer),
        span("inner", "outer", 1, 90, attributes={**inner, "langflow.flow.status": "ok"}),
        span("model", "inner", 2, 80, attributes=inner),
    ]
    check(trace, session="s", sub_sessions={"inner": "t"})
    for spoilt, problem in (
        (change("model", attributes={KIND: "LLM", **outer})(trace), "model is of session 's'"),
        (change("outer", attributes={KIND: "CHAIN", **inner})(trace), "expected session 's'"),
    ):
        with pytest.raises(AssertionError, match=problem):
            check(spoilt, session="s", sub_sessions={"inner": "t"})
    with pytest.raises(AssertionError, match="sessions"):
        check(trace)


def test_invariants_reject_two_sessions_in_a_trace() -> None:
    with pytest.raises(AssertionError, match="but sessions"):
        check(attribute("model", SESSION, "other")(good_trace()))


def asked(text: str, answer: str = "", *, at: int = 10, **fields: Any) -> Call:
    """A call of a model that was answered between `at` and `at + 5` milliseconds."""
    tools = tuple(ToolCall(name, {}) for name in fields.pop("tools", ()))
    return Call(
        fields.pop("kind", "chat"),
        "gpt-4o-mini-2024-07-18",
        fields.pop("headers", {}),
        {"model": "gpt-4o-mini"},
        (text,),
        Answer(answer, tools, status=fields.pop("status", 200)),
        Usage(fields.pop("prompt", 7), 3, cached=2),
        usage_told=fields.pop("told", True),
        streamed=False,
        started_ns=(1000 + at) * MS,
        ended_ns=(1000 + at + 5) * MS,
    )


def told(name: str, text: str, answer: str = "", *, start: int = 5, **fields: Any) -> Span:
    """The span of such a call."""
    tools = {
        f"llm.output_messages.0.message.tool_calls.{at}.tool_call.function.name": tool
        for at, tool in enumerate(fields.pop("tools", ()))
    }
    attributes = {
        KIND: "LLM",
        "llm.model_name": "gpt-4o-mini",
        "llm.token_count.prompt": 7,
        "llm.token_count.completion": 3,
        "llm.token_count.total": 10,
        "llm.token_count.prompt_details.cache_read": 2,
        "output.value": "{}",
        "llm.input_messages.0.message.content": text,
        "llm.output_messages.0.message.content": answer,
        **tools,
        **fields.pop("attributes", {}),
    }
    return span(name, "flow", start, start + 30, attributes=attributes, **fields)


def vectors(text: str = "a text", **fields: Any) -> Span:
    """The span of a call for an embedding."""
    attributes = {
        KIND: "EMBEDDING",
        "embedding.model_name": "gpt-4o-mini",
        "embedding.embeddings.0.embedding.text": text,
    }
    return span("embed", "flow", 5, 35, attributes=attributes, **fields)


MODEL_TRACE = [
    span(
        "flow",
        attributes={
            "langflow.flow.status": "ok",
            "langflow.usage.model_calls": 2,
            "langflow.usage.input_tokens": 14,
            "langflow.usage.output_tokens": 6,
            "langflow.usage.total_tokens": 20,
            "langflow.usage.cached_tokens": 4,
        },
    ),
    told("one", "Weather?", tools=["get_weather"]),
    told("two", "Weather?", "sunny", start=40),
    vectors(),
]  # fmt: skip
CALLS = [
    asked("Weather?", tools=["get_weather"], headers={"traceparent": "00-t-one-01"}),
    asked("Weather?", "sunny", at=50),
    asked("a text", kind="embeddings"),
]


def test_invariants_match_each_call_with_its_span() -> None:
    check(MODEL_TRACE, calls=CALLS)
    check(reversed(MODEL_TRACE), calls=reversed(CALLS))
    # Without content there is less to compare.
    bare = [
        replace(s, attributes={k: v for k, v in s.attributes.items() if "value" not in k})
        for s in MODEL_TRACE
    ]
    check(bare, calls=CALLS)


def test_invariants_match_calls_whose_spans_could_be_exchanged() -> None:
    """The first call fits both spans, the second only the one that the first would take."""
    spans = [span("flow"), told("long", "x", "y", start=5), told("late", "x", "y", start=25)]
    check(spans, calls=[asked("x", "y", at=28), asked("x", "y", at=8)])
    check(spans, calls=[asked("x", "y", at=8), asked("x", "y", at=28)])


def test_invariants_let_another_instrumentor_repeat_a_call() -> None:
    repeated = told("again", "Weather?", "sunny", start=40)
    mark = {**repeated.attributes, "langflow.model.repeated": True}
    check([*MODEL_TRACE, replace(repeated, attributes=mark)], calls=CALLS)


def test_invariants_let_a_client_try_again_and_a_failed_call_have_a_span() -> None:
    refused = asked("Weather?", status=429)
    check(MODEL_TRACE, calls=[refused, *CALLS])
    failed = span("failed", "flow", 5, 35, attributes={KIND: "LLM"}, status="ERROR")
    told_of = attribute("flow", "langflow.usage.model_calls", 3)
    check(told_of([*MODEL_TRACE, failed]), calls=[refused, *CALLS])


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (lambda t: t[:2] + t[3:], "1 LLM spans, but 2 calls"),
        (lambda t: [*t, told("double", "Weather?", "sunny", start=40)], "3 LLM spans, but 2"),
        (lambda t: t[:3], "0 EMBEDDING spans, but 1 calls"),
        (lambda t: [*t, told("failed", "x", status="ERROR")], "1 LLM spans failed, but 0 calls"),
        (attribute("two", "llm.model_name", "gpt-4"), "model 'gpt-4'"),
        (attribute("two", "llm.token_count.prompt", 8), "llm.token_count.prompt 8 != 7"),
        (attribute("two", "llm.token_count.total", 7), "llm.token_count.total 7 != 10"),
        (attribute("two", "llm.token_count.prompt_details.cache_read", 0), "cache_read 0 != 2"),
        (attribute("two", "llm.input_messages.0.message.content", "Hi"), "messages ['Hi']"),
        (attribute("two", "llm.output_messages.0.message.content", "rain"), "answer 'rain'"),
        (attribute("one", "llm.output_messages.0.message.tool_calls.0.tool_call.function.name",
                   "get_time"), "tool calls ['get_time']"),
        (change("two", start_ns=1060 * MS), "at another time"),
        (attribute("embed", "embedding.embeddings.0.embedding.text", "b"), "texts ['b']"),
        (attribute("flow", "llm.token_count.total", 20), "CHAIN flow counts tokens"),
        (attribute("flow", "langflow.usage.input_tokens", 21), "input_tokens is 21, not 14"),
        (attribute("flow", "langflow.usage.cached_tokens", 0), "cached_tokens is 0, not 4"),
        (attribute("flow", "langflow.usage.model_calls", 0), "model_calls is 0, not 2"),
        (lambda t: [replace(s, span_id="x") if s.name == "one" else s for s in t],
         "carried 00-t-one-01, which is none of the spans"),
    ],
)  # fmt: skip
def test_invariants_reject_what_the_model_did_not_say(
    spoil: Callable[[list[Span]], list[Span]], complaint: str
) -> None:
    with pytest.raises(AssertionError) as error:
        check(spoil(MODEL_TRACE), calls=CALLS)
    assert complaint in str(error.value)


def test_invariants_reject_tokens_that_nobody_told() -> None:
    calls = [asked("Weather?", "sunny", told=False)]
    with pytest.raises(AssertionError, match=r"token_count\.prompt 7 != none"):
        check([span("flow"), told("two", "Weather?", "sunny")], calls=calls)


def test_invariants_reject_a_secret_anywhere() -> None:
    secret = planted()
    check(MODEL_TRACE, secrets={"the key": secret})
    with pytest.raises(AssertionError, match=r"the key .* in LLM two: attributes.url"):
        check(attribute("two", "url", quote(secret))(MODEL_TRACE), secrets={"the key": secret})


def test_invariants_allow_named_exceptions() -> None:
    check(change("model", end_ns=1095 * MS)(good_trace()), may_outlive_parent=["model"])
    check(good_trace()[1:], remote_parents=["POST"])


def test_a_server_that_does_not_come_up_shows_its_log(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sys; sys.exit('no disk left')"]
    process = Process(command, clean_environment({}), tmp_path)
    with pytest.raises(NotUp, match=r"ended with code 1(.|\n)*no disk left"):
        process.wait_until(lambda: False, 30, "it")
    process.kill()


ENDS_IN_THE_WORST_WAY = """
import os, sys, time
from pathlib import Path
from tests.support.process import Process, clean_environment

child = "import time\\nwhile True: print('still here'); time.sleep(0.05)"
process = Process([sys.executable, "-c", child], clean_environment({}), Path(sys.argv[1]))
while not process.log:
    time.sleep(0.05)
os.kill(os.getpid(), 9)
"""


def test_a_process_does_not_outlive_the_tests(tmp_path: Path) -> None:
    command = [sys.executable, "-c", ENDS_IN_THE_WORST_WAY, str(tmp_path)]
    ended = subprocess.run(command, cwd=Path(__file__).parents[1], timeout=60, check=False)
    assert ended.returncode == -9
    (log,) = tmp_path.iterdir()
    deadline = time.monotonic() + 20
    before = -1
    while before != (before := log.stat().st_size):
        assert time.monotonic() < deadline, "the child is still there"
        time.sleep(1)


@pytest.mark.phoenix
def test_phoenix_gives_back_what_it_was_sent(phoenix: Phoenix) -> None:
    project = "a project/with a slash"
    sent = export_trace(phoenix.traces_endpoint, project)
    arrived = phoenix.wait_for_spans(project, 3)
    check(arrived, session="s", traces=1, tolerance_ns=1000)
    # Phoenix does not keep the OTel kind.
    assert render(arrived) == TREE.replace("client", "internal")
    assert {s.span_id for s in arrived} == {s.span_id for s in sent}
    flow = next(s for s in arrived if s.name == "flow")
    assert (flow.attributes["n"], flow.attributes["yes"], flow.attributes["list"]) == (
        3,
        True,
        ["a", "b"],
    )
    model = next(s for s in arrived if s.name == "model")
    assert (model.kind, model.status, model.events[0].name) == ("LLM", "ERROR", "exception")
    again = export_trace(phoenix.traces_endpoint, project)
    phoenix.wait_for_spans(project, 6)
    assert len(phoenix.spans(project, again[0].trace_id)) == 3
    assert project in phoenix.projects()
    assert phoenix.spans("no such project") == []


@pytest.mark.phoenix
def test_phoenix_pages_through_many_spans(phoenix: Phoenix) -> None:
    for _ in range(170):
        export_trace(phoenix.traces_endpoint, "many")
    check(phoenix.wait_for_spans("many", 510), traces=170, tolerance_ns=1000)
