"""The receivers that stand in for the vendors: they take what is right, and nothing else."""

from __future__ import annotations

import base64
import http.client
import json
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from google.protobuf.message import DecodeError
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Status, StatusCode

from tests.support import faults, langsmith
from tests.support.faults import (
    Fault,
    drip,
    first,
    garbage,
    garbage_body,
    hanging,
    partial_success,
    poison,
    redirect,
    refusing,
    resetting,
    slow,
    status,
    too_large,
)
from tests.support.http import Response, call
from tests.support.langfuse import HEALTH, LangfuseReceiver, observation, violations_of
from tests.support.langsmith import LangSmithReceiver
from tests.support.receiver import PROTOBUF, OtlpReceiver
from tests.support.spans import KIND, Event, Span

OK, FAILURE = SpanExportResult.SUCCESS, SpanExportResult.FAILURE
CALLED_OFF = (OSError, http.client.HTTPException)


def post(receiver: OtlpReceiver, timeout: float = 15.0) -> Response:
    """A request that holds nothing, on a connection of its own."""
    headers = {"content-type": PROTOBUF}
    return call("POST", receiver.traces_endpoint, b"", headers, timeout)


class Posting(threading.Thread):
    """A `post` that may take its time."""

    def __init__(self, receiver: OtlpReceiver, timeout: float = 15.0) -> None:
        super().__init__(daemon=True)
        self.got: Response | Exception | None = None
        self._post = lambda: post(receiver, timeout)
        self.start()

    def run(self) -> None:
        try:
            self.got = self._post()
        except CALLED_OFF as error:
            self.got = error

    def answer(self) -> Response | Exception | None:
        self.join(15)
        assert not self.is_alive()
        return self.got


@pytest.fixture
def receiver() -> Iterator[OtlpReceiver]:
    with OtlpReceiver() as started:
        yield started


@pytest.fixture(autouse=True)
def nothing_outlives_a_receiver() -> Iterator[None]:
    yield
    left = [t.name for t in threading.enumerate() if t.name.startswith("receiver")]
    assert left == []


# -- faults


def test_a_receiver_behaves_until_told_otherwise_and_keeps_every_request(
    receiver: OtlpReceiver,
) -> None:
    before = time.monotonic()
    assert post(receiver).status == 200
    assert call("GET", receiver.endpoint + "/else?a=b").status == 405
    assert receiver.faults.seen == {"accepted": 1, "refused": 1}
    one, other = receiver.attempts
    assert (one.method, one.path, one.status, one.body_size) == ("POST", "/v1/traces", 200, 0)
    assert (other.method, other.path, other.status) == ("GET", "/else?a=b", 405)
    assert (one.headers["content-type"], one.encoding) == (PROTOBUF, "identity")
    assert before <= one.started <= other.started <= time.monotonic()
    receiver.clear()
    assert (receiver.attempts, receiver.faults.seen) == ([], {})


def test_slow_answers_later(receiver: OtlpReceiver) -> None:
    with receiver.faults.mode(slow(0.2)):
        before = time.monotonic()
        assert post(receiver).status == 200
        assert time.monotonic() - before >= 0.2
    assert receiver.faults.active == ()
    assert receiver.faults.seen == {"slow": 1}
    assert receiver.counts == {"/v1/traces": 1}


def test_hanging_answers_when_it_is_released(receiver: OtlpReceiver) -> None:
    receiver.faults.set(hanging())
    one = Posting(receiver)
    receiver.faults.wait_seen("hanging")
    assert receiver.attempts[0].status is None
    receiver.faults.release()
    answer = one.answer()
    assert isinstance(answer, Response) and answer.status == 200
    other = Posting(receiver)
    receiver.faults.wait_seen("hanging", 2)
    receiver.faults.clear()
    answer = other.answer()
    assert isinstance(answer, Response) and answer.status == 200


def test_hanging_takes_nothing_of_a_client_that_has_gone(receiver: OtlpReceiver) -> None:
    with receiver.faults.mode(hanging()):
        with pytest.raises(TimeoutError):
            post(receiver, timeout=0.2)
        receiver.faults.wait_seen("hanging")
    post(receiver)
    assert receiver.counts == {"/v1/traces": 1}
    assert [attempt.status for attempt in receiver.attempts] == [None, 200]


@pytest.mark.parametrize("end", ["close", "refuse"])
def test_what_hangs_ends_without_an_answer(end: str) -> None:
    with OtlpReceiver() as receiver:
        receiver.faults.set(hanging())
        cut = Posting(receiver)
        receiver.faults.wait_seen("hanging")
        if end == "close":
            receiver.close()
        else:
            receiver.faults.set(refusing())
        assert isinstance(cut.answer(), CALLED_OFF)
        assert receiver.counts == {}


def test_refusing_refuses_and_comes_back_on_the_same_port(receiver: OtlpReceiver) -> None:
    endpoint = receiver.endpoint
    kept = http.client.HTTPConnection(endpoint.removeprefix("http://"), timeout=15)
    kept.request("POST", "/v1/traces", b"", {"content-type": PROTOBUF})
    kept.getresponse().read()
    with receiver.faults.mode(refusing()):
        with pytest.raises(ConnectionRefusedError):
            post(receiver)
        # A connection from before is no way in.
        assert kept.sock.recv(1) == b""
    kept.close()
    assert receiver.endpoint == endpoint
    assert post(receiver).status == 200
    assert receiver.counts == {"/v1/traces": 2}


def test_resetting_resets(receiver: OtlpReceiver) -> None:
    with receiver.faults.mode(resetting()), pytest.raises(ConnectionResetError):
        post(receiver)
    assert receiver.faults.seen == {"resetting": 1}
    assert receiver.attempts[0].status is None


@pytest.mark.parametrize("code", [429, 413, 500, 503, 401, 403, 400, 404])
def test_a_status_is_answered_and_nothing_is_taken(receiver: OtlpReceiver, code: int) -> None:
    with receiver.faults.mode(status(code)):
        assert post(receiver).status == code
    assert receiver.faults.seen == {f"status {code}": 1}
    assert (receiver.counts, receiver.rejected) == ({}, [])
    assert receiver.attempts[0].status == code


def test_a_status_says_when_to_come_back_and_why(receiver: OtlpReceiver) -> None:
    receiver.faults.set(status(429, retry_after=3, body={"detail": "too many"}))
    answer = post(receiver)
    assert (answer.headers["retry-after"], json.loads(answer.body)) == ("3", {"detail": "too many"})
    later = datetime(2030, 1, 1, 12, tzinfo=timezone.utc)
    receiver.faults.set(status(503, retry_after=later, body=ExportTraceServiceResponse()))
    answer = post(receiver)
    assert answer.headers["content-type"] == PROTOBUF
    assert answer.headers["retry-after"] == "Tue, 01 Jan 2030 12:00:00 GMT"
    assert parsedate_to_datetime(answer.headers["retry-after"]) == later


def test_garbage_is_not_http(receiver: OtlpReceiver) -> None:
    with receiver.faults.mode(garbage()), pytest.raises(http.client.BadStatusLine):
        post(receiver)
    assert receiver.faults.seen == {"garbage": 1}


def test_a_garbage_body_is_no_protobuf(receiver: OtlpReceiver) -> None:
    with receiver.faults.mode(garbage_body()):
        answer = post(receiver)
    assert (answer.status, answer.headers["content-type"]) == (200, PROTOBUF)
    with pytest.raises(DecodeError):
        ExportTraceServiceResponse.FromString(answer.body)
    assert receiver.counts == {}


def test_drip_answers_byte_by_byte(receiver: OtlpReceiver) -> None:
    with receiver.faults.mode(drip(0.002)):
        before = time.monotonic()
        assert post(receiver).status == 200
        # The shortest answer: a status line, and two headers.
        assert time.monotonic() - before >= 60 * 0.002
    with receiver.faults.mode(drip(60)):
        rest = Posting(receiver)
        receiver.faults.wait_seen("drip", 2)
    # Switched off, it says the rest at once.
    answer = rest.answer()
    assert isinstance(answer, Response) and answer.status == 200


def test_redirect_names_the_other_place(receiver: OtlpReceiver) -> None:
    with receiver.faults.mode(redirect("http://127.0.0.1:1/x")):
        answer = post(receiver)
    assert (answer.status, answer.headers["location"]) == (307, "http://127.0.0.1:1/x")


def test_the_first_fail_and_then_it_recovers(receiver: OtlpReceiver) -> None:
    receiver.faults.set(first(2, status(503)))
    assert [post(receiver).status for _ in range(4)] == [503, 503, 200, 200]
    assert receiver.faults.seen == {"status 503": 2, "accepted": 2}
    with pytest.raises(ValueError, match="refuses"):
        first(2, refusing())


def test_two_faults_at_a_time_both_apply(receiver: OtlpReceiver) -> None:
    with receiver.faults.mode(slow(0.1), status(500)):
        before = time.monotonic()
        assert post(receiver).status == 500
        assert time.monotonic() - before >= 0.1
    assert receiver.faults.seen == {"slow": 1, "status 500": 1}


def test_waiting_for_a_fault_in_vain_says_what_was_seen(receiver: OtlpReceiver) -> None:
    post(receiver)
    with pytest.raises(AssertionError, match=r"not 1 times 'hanging'.*'accepted': 1"):
        receiver.faults.wait_seen("hanging", timeout=0.1)


def test_what_it_waits_for_on_close_is_not_how_long_a_fault_is() -> None:
    for fault in (hanging(), slow(60), drip(60)):
        with OtlpReceiver() as receiver:
            receiver.faults.set(fault)
            cut = Posting(receiver)
            receiver.faults.wait_seen(fault.name)
        assert isinstance(cut.answer(), CALLED_OFF)
        with pytest.raises(ConnectionRefusedError):
            post(receiver)


@pytest.mark.parametrize("mode", faults.MODES)
def test_every_mode_of_the_matrix_can_be_had_and_left(receiver: OtlpReceiver, mode: str) -> None:
    with receiver.faults.mode(faults.MODES[mode]()):
        affected = Posting(receiver)
        if mode == "refusing":
            assert isinstance(affected.answer(), ConnectionRefusedError)
        else:
            receiver.faults.wait_seen(faults.MODES[mode]().name)
    assert affected.answer() is not None
    assert post(receiver).status == 200


def test_switching_while_requests_run_loses_no_connection_and_no_thread(
    receiver: OtlpReceiver,
) -> None:
    over = threading.Event()
    got: list[int] = []

    def send() -> None:
        while not over.is_set():
            got.append(post(receiver).status)

    senders = [threading.Thread(target=send, daemon=True) for _ in range(4)]
    for sender in senders:
        sender.start()
    for _ in range(30):
        for fault in (status(503), hanging(), slow(0.01)):
            with receiver.faults.mode(fault):
                receiver.faults.wait_seen(fault.name)
                receiver.faults.forget()
    over.set()
    for sender in senders:
        sender.join(15)
        assert not sender.is_alive()
    assert set(got) == {200, 503}
    assert receiver.counts["/v1/traces"] == got.count(200)


# -- OTLP, with the real exporter


def readable(name: str = "a", **options: Any) -> ReadableSpan:
    """A finished span of the SDK's."""
    kept = InMemorySpanExporter()
    provider = TracerProvider(resource=Resource(options.pop("resource", {})))
    provider.add_span_processor(SimpleSpanProcessor(kept))
    status = options.pop("status", None)
    span = provider.get_tracer("tests").start_span(name, **options)
    if status is not None:
        span.set_status(status)
    span.end()
    finished: ReadableSpan = kept.get_finished_spans()[0]
    return finished


def send(receiver: OtlpReceiver, *spans: ReadableSpan, **options: Any) -> SpanExportResult:
    """What the real exporter made of the answer."""
    options.setdefault("timeout", 5)
    exporter = OTLPSpanExporter(receiver.traces_endpoint, **options)
    try:
        return exporter.export(spans or [readable()])
    finally:
        exporter.shutdown()


def is_bad(span: Span) -> bool:
    return span.name == "bad"


def test_poison_refuses_the_whole_request_and_only_that(receiver: OtlpReceiver) -> None:
    receiver.faults.set(poison(is_bad))
    assert send(receiver, readable("good"), readable("bad")) is FAILURE
    assert send(receiver, readable("good"), readable("fair")) is OK
    assert [span.name for span in receiver.spans] == ["good", "fair"]
    assert receiver.faults.seen == {"poison": 1, "accepted": 1}


@pytest.mark.parametrize("compression", list(Compression))
def test_too_large_is_measured_decompressed(
    receiver: OtlpReceiver, compression: Compression
) -> None:
    receiver.faults.set(too_large(10_000))
    small = readable(attributes={"text": "x" * 1_000})
    large = readable(attributes={"text": "x" * 20_000})
    assert send(receiver, small, compression=compression) is OK
    assert send(receiver, large, compression=compression) is FAILURE
    assert receiver.faults.seen == {"accepted": 1, "too large": 1}
    sizes = [attempt.body_size for attempt in receiver.attempts]
    assert (max(sizes) > 10_000) == (compression is Compression.NoCompression)


def test_partial_success_takes_the_others_and_says_how_many_not(receiver: OtlpReceiver) -> None:
    receiver.faults.set(partial_success(is_bad))
    assert send(receiver, readable("good"), readable("bad"), readable("bad")) is OK
    assert [span.name for span in receiver.spans] == ["good"]


def test_the_real_exporter_tries_again_until_it_recovers(receiver: OtlpReceiver) -> None:
    receiver.faults.set(first(1, status(503)))
    assert send(receiver, timeout=15) is OK
    assert [attempt.status for attempt in receiver.attempts] == [503, 200]
    assert len(receiver.spans) == 1


def test_an_error_of_the_receiver_itself_does_not_go_unseen() -> None:
    class Broken(OtlpReceiver):
        def accept(self, spans: list[Span]) -> None:
            raise KeyError("oh")

    with Broken() as receiver:
        assert post(receiver).status == 500
        assert "the receiver broke: KeyError('oh')" in receiver.rejected[0]


# -- Langfuse


@pytest.fixture
def langfuse() -> Iterator[LangfuseReceiver]:
    with LangfuseReceiver() as started:
        yield started


KEYS = base64.b64encode(b"pk-lf-test:sk-lf-test").decode()
HEADERS = {"authorization": f"Basic {KEYS}", "x-langfuse-ingestion-version": "4"}

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND
ON_EVERY_SPAN: Mapping[str, Any] = {
    "langfuse.trace.name": "Basic chat",
    "langfuse.session.id": "s-1",
    "langfuse.user.id": "u-1",
    "langfuse.trace.tags": ["a", "b"],
    "langfuse.observation.metadata.component": "Model-1",
    "langfuse.trace.metadata.flow": "f-1",
    "langfuse.environment": "prod-eu",
    "langfuse.release": "r1",
    "langfuse.version": "1.2",
}
GENERATION: Mapping[str, Any] = {
    **ON_EVERY_SPAN,
    KIND: "LLM",
    "langfuse.observation.type": "generation",
    "langfuse.observation.input": '[{"role": "user", "content": "hi"}]',
    "langfuse.observation.output": '{"role": "assistant", "content": "ho"}',
    "langfuse.observation.model.name": "gpt",
    "langfuse.observation.model.parameters": '{"temperature": 0.5, "stream": true}',
    "langfuse.observation.usage_details": '{"input": 60, "input_cached_tokens": 40, "total": 100}',
    "langfuse.observation.cost_details": '{"total": 0.25}',
    "langfuse.observation.completion_start_time": "2023-11-14T22:13:20.500000Z",
    "langfuse.observation.prompt.name": "greeting",
    "langfuse.observation.prompt.version": 3,
    "llm.model_name": "other",
    "input.value": "hidden",
}


def spanned(attributes: Mapping[str, Any] = GENERATION, **fields: Any) -> Span:
    times = {"start_ns": START, "end_ns": START + SECOND}
    return Span(**{"name": "model", "trace_id": "t", "span_id": "1", **times, **fields,
                   "attributes": attributes})  # fmt: skip


@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip])
def test_langfuse_takes_what_the_real_exporter_sends(
    langfuse: LangfuseReceiver, compression: Compression
) -> None:
    spans = [
        readable("model", attributes=dict(GENERATION), start_time=START),
        readable("flow", attributes=dict(ON_EVERY_SPAN)),
    ]
    assert send(langfuse, *spans, headers=HEADERS, compression=compression) is OK
    assert [(o.type, o.name) for o in langfuse.observations] == [
        ("generation", "model"),
        ("span", "flow"),
    ]
    assert (langfuse.rejected, langfuse.violations, langfuse.other_requests) == ([], [], [])
    langfuse.check_whole()


@pytest.mark.parametrize(
    ("headers", "refusal"),
    [
        ({"authorization": ""}, "401 .* authorization"),
        ({"authorization": "Basic " + base64.b64encode(b"pk-lf-test:other").decode()}, "401 "),
        ({"authorization": "Bearer sk-lf-test"}, "401 "),
        ({"x-langfuse-ingestion-version": "3"}, "400 .* x-langfuse-ingestion-version '3'"),
        ({"x-langfuse-ingestion-version": ""}, "400 .* x-langfuse-ingestion-version"),
        ({"x-langfuse-sdk-name": "python"}, "400 .* header x-langfuse-sdk-name"),
        ({"x-langfuse-sdk-version": "5.0.4"}, "400 .* header x-langfuse-sdk-version"),
    ],
)
def test_langfuse_refuses_wrong_headers(
    langfuse: LangfuseReceiver, headers: dict[str, str], refusal: str
) -> None:
    assert send(langfuse, headers={**HEADERS, **headers}) is FAILURE
    assert langfuse.spans == []
    with pytest.raises(AssertionError, match=refusal):
        langfuse.check_whole()


def test_langfuse_refuses_deflate_and_json(langfuse: LangfuseReceiver) -> None:
    assert send(langfuse, headers=HEADERS, compression=Compression.Deflate) is FAILURE
    json_headers = {**HEADERS, "content-type": "application/json"}
    assert call("POST", langfuse.traces_endpoint, b"{}", json_headers).status == 415
    assert [attempt.status for attempt in langfuse.attempts] == [415, 415]


def test_langfuse_of_an_sdk_takes_its_headers() -> None:
    with LangfuseReceiver(sdk=True) as langfuse:
        headers = {**HEADERS, "x-langfuse-sdk-name": "python", "x-langfuse-ingestion-version": "3"}
        assert send(langfuse, headers=headers) is OK


def test_langfuse_keeps_what_only_an_sdk_asks(langfuse: LangfuseReceiver) -> None:
    health = call("GET", langfuse.endpoint + HEALTH)
    assert health.json()["status"] == "OK"
    assert call("GET", langfuse.endpoint + "/api/public/projects").status == 405
    assert call("POST", langfuse.endpoint + "/api/public/ingestion", {}).status == 404
    assert call("POST", langfuse.endpoint + "/v1/traces", b"").status == 404
    assert [attempt.path for attempt in langfuse.other_requests] == [
        HEALTH,
        "/api/public/projects",
        "/api/public/ingestion",
        "/v1/traces",
    ]


def test_langfuse_reads_its_own_attributes_first() -> None:
    found = observation(spanned(status="ERROR", status_message="broke"))
    assert violations_of(found.span) == []
    assert (found.type, found.name, found.model) == ("generation", "model", "gpt")
    assert found.input == [{"role": "user", "content": "hi"}]
    assert found.output == {"role": "assistant", "content": "ho"}
    # What is neither text nor a number is made text.
    assert found.model_parameters == {"temperature": 0.5, "stream": "true"}
    assert found.usage_details == {"input": 60, "input_cached_tokens": 40, "total": 100}
    assert found.cost_details == {"total": 0.25}
    assert found.completion_start_time is not None
    assert found.completion_start_time.timestamp() == 1_700_000_000.5
    assert (found.session_id, found.user_id, found.tags) == ("s-1", "u-1", ("a", "b"))
    assert (found.trace_name, found.trace_metadata) == ("Basic chat", {"flow": "f-1"})
    assert found.metadata["component"] == "Model-1"
    assert found.metadata["attributes"]["llm.model_name"] == "other"
    assert (found.environment, found.release, found.version) == ("prod-eu", "r1", "1.2")
    assert (found.level, found.status_message) == ("ERROR", "broke")
    assert (found.prompt_name, found.prompt_version) == ("greeting", 3)


def test_langfuse_reads_openinference_where_it_must() -> None:
    attributes = {
        KIND: "LLM",
        "input.value": '{"a": 1}',
        "llm.input_messages.0.message.role": "user",
        "llm.model_name": "gpt",
        "llm.invocation_parameters": '{"top_p": 1}',
        "llm.token_count.prompt": 10,
        "llm.token_count.prompt_details.cache_read": 4,
        "llm.token_count.completion": 7,
        "llm.token_count.completion_details.reasoning": 2,
        "llm.token_count.total": 17,
        "llm.cost.total": 0.5,
        "session.id": "s",
        "user.id": "u",
        "tag.tags": ["t"],
    }
    found = observation(spanned(attributes, resource={"deployment.environment": "Langfuse-QA"}))
    assert (found.type, found.input, found.model) == ("generation", {"a": 1}, "gpt")
    assert (found.output, found.model_parameters) == (None, {"top_p": 1})
    assert found.usage_details == {
        "input": 6,
        "input_cached_tokens": 4,
        "output": 5,
        "output_reasoning_tokens": 2,
        "total": 17,
    }
    assert found.cost_details == {"total": 0.5}
    assert (found.session_id, found.user_id, found.tags) == ("s", "u", ("t",))
    # A root, whose name is the trace's.
    assert (found.trace_name, found.trace_input, found.environment) == ("model", {"a": 1}, "-qa")


@pytest.mark.parametrize(
    ("attributes", "kind"),
    [
        ({"langfuse.observation.type": "AGENT", KIND: "TOOL"}, "tool"),
        ({"langfuse.observation.type": "retriever", KIND: "TOOL"}, "retriever"),
        ({KIND: "RERANKER"}, "span"),
        ({KIND: "llm", "gen_ai.operation.name": "chat"}, "generation"),
        ({"gen_ai.operation.name": "invoke_agent"}, "agent"),
        ({"gen_ai.tool.call.id": "1"}, "tool"),
        ({KIND: "PROMPT", "llm.model_name": "gpt"}, "generation"),
        ({"langfuse.observation.type": "span", "llm.model_name": "gpt"}, "span"),
        ({}, "span"),
    ],
)
def test_langfuse_takes_the_type_in_its_order(attributes: dict[str, Any], kind: str) -> None:
    assert observation(spanned(attributes)).type == kind


@pytest.mark.parametrize(
    ("change", "violation"),
    [
        ({"langfuse.observation.type": "GENERATION"}, "the type 'GENERATION' is ignored"),
        ({"langfuse.observation.type": None, KIND: "RERANKER"}, "the kind RERANKER is lost"),
        (
            {"langfuse.observation.completion_start_time": "2023-11-14T22:13:20.5"},
            "dropped: completion_start_time",
        ),
        ({"langfuse.observation.completion_start_time": 5}, "dropped: completion_start_time 5"),
        (
            {"langfuse.observation.completion_start_time": "2023-11-14T23:13:20+00:00"},
            "is not while it ran",
        ),
        ({"langfuse.observation.prompt.version": None}, "dropped: prompt name without an int"),
        ({"langfuse.observation.prompt.version": "3"}, "dropped: prompt name without an int"),
        ({"langfuse.observation.prompt.version": True}, "dropped: prompt name without an int"),
        (
            {"langfuse.observation.type": "tool", "langfuse.observation.usage_details": "{}"},
            "the prompt is lost",
        ),
        ({"langfuse.observation.status_message": 5}, "dropped: status_message is no string"),
        ({"langfuse.observation.level": "BOGUS"}, "the level 'BOGUS' is no level"),
        ({"langfuse.observation.usage_details": '{"input": 1.5}'}, "usage input is no integer"),
        ({"langfuse.observation.usage_details": '{"input": "1"}'}, "usage input is no integer"),
        ({"langfuse.observation.usage_details": '{"input": true}'}, "usage input is no integer"),
        ({"langfuse.observation.usage_details": '{"input": -4}'}, "usage input is negative"),
        (
            {"langfuse.observation.usage_details": '{"input": 100, "cached": 40, "total": 100}'},
            "usage counts twice: the buckets' sum 140 is over the total 100",
        ),
        ({"langfuse.observation.usage_details": "[1]"}, "usage_details is no JSON object"),
        ({"langfuse.observation.usage_details": '{"input": NaN}'}, "usage_details is no JSON"),
        (
            {
                "langfuse.observation.usage_details": None,
                "llm.token_count.prompt": 3,
                "llm.token_count.prompt_details.cache_read": 5,
            },
            "usage input is negative: -2",
        ),
        (
            {
                "langfuse.observation.type": "agent",
                "langfuse.observation.prompt.name": None,
            },
            "usage stands on a agent",
        ),
        ({"gen_ai.operation.name": "invoke_agent"}, "model and usage are ignored"),
        ({"langfuse.observation.cost_details": '{"total": "0.2"}'}, "cost total is no number"),
        ({"langfuse.observation.cost_details": "5"}, "cost_details is no JSON object"),
        (
            {"langfuse.observation.cost_details": None, "llm.cost.total": "1"},
            "cost llm.cost.total is no number",
        ),
        (
            {"langfuse.observation.cost_details": None, "llm.cost.prompt": 0.1},
            "split costs are lost",
        ),
        ({"gen_ai.tool.name": "search"}, "gen_ai.tool.name renames it to 'search'"),
        *(
            ({name: "x"}, f"attribute '{name}' hijacks a field")
            for name in ("prompt", "input", "output", "model", "events", "tools")
        ),
        ({"langfuse.session.id": "s" * 201}, "session has 201 characters"),
        ({"langfuse.user.id": "Zoë"}, "user is not US-ASCII: 'Zoë'"),
        ({"langfuse.user.id": 7}, "user is no string: 7"),
        ({"langfuse.trace.tags": ["ok", "t" * 201]}, "tag has 201 characters"),
        ({"langfuse.trace.tags": ["é"]}, "tag is not US-ASCII"),
        ({"langfuse.environment": "Prod EU!"}, "environment 'Prod EU!' is changed, or ignored"),
        ({"langfuse.environment": "langfuse-x"}, "environment 'langfuse-x'"),
        ({"langfuse.environment": "e" * 41}, "environment 'eee"),
        ({"data": b"x"}, "attribute data is bytes"),
        ({"numbers": [1.0, float("nan")]}, "attribute numbers is nan"),
        ({"number": float("inf")}, "attribute number is inf"),
        ({"langsmith.span.id": "x"}, "attribute langsmith.span.id is left over"),
        ({"langflow.export.parent": ""}, "attribute langflow.export.parent is left over"),
        (
            {"langfuse.observation.output": None, "retrieval.documents.0.document.content": "x"},
            "documents are lost",
        ),
        (
            {"langfuse.observation.input": None, "llm.input_messages.0.message.role": "user"},
            "chat roles are lost",
        ),
        (
            {"langfuse.observation.output": None, "llm.output_messages.0.message.role": "a"},
            "tool calls are lost",
        ),
        (
            {
                "langfuse.observation.input": None,
                "embedding.embeddings.0.embedding.text": "x",
            },
            "embedded texts are lost",
        ),
        (
            {
                "langfuse.observation.model.name": None,
                "llm.model_name": None,
                "embedding.model_name": "e",
            },
            "the model is lost",
        ),
        (
            {
                "langfuse.observation.metadata.component": None,
                "langfuse.trace.metadata.flow": None,
                "metadata": "{}",
            },
            "metadata stays a text",
        ),
    ],
)
def test_langfuse_notes_what_is_lost_in_silence(change: dict[str, Any], violation: str) -> None:
    changed = {**GENERATION, **change}
    attributes = {name: value for name, value in changed.items() if value is not None}
    (found,) = violations_of(spanned(attributes))
    assert violation in found


def test_langfuse_notes_an_error_that_only_an_event_tells() -> None:
    told = (Event("exception", START, {"exception.message": "boom"}),)
    (lost,) = violations_of(spanned(status="ERROR", events=told))
    assert "the error's message is lost" in lost
    assert violations_of(spanned(status="ERROR", status_message="boom", events=told)) == []
    nan = (Event("log", START, {"value": float("nan")}),)
    assert violations_of(spanned(events=nan)) == ["event log: attribute value is nan"]


def test_langfuse_notes_violations_as_they_come_and_traces_when_asked(
    langfuse: LangfuseReceiver,
) -> None:
    kept = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    tracer = provider.get_tracer("tests")
    with tracer.start_as_current_span("flow", attributes=dict(ON_EVERY_SPAN)) as flow:
        flow.set_status(Status(StatusCode.ERROR, "broke"))
        less = {k: v for k, v in ON_EVERY_SPAN.items() if k != "langfuse.session.id"}
        tracer.start_span("tool", attributes={**less, "langfuse.user.id": "u-2"}).end()
    tool, flow_span = kept.get_finished_spans()
    assert send(langfuse, tool, headers=HEADERS) is OK
    assert langfuse.violations == []
    problems = "\n".join(langfuse.problems())
    assert "tool: its parent" in problems and "has 0 roots: []" in problems
    assert send(langfuse, flow_span, headers=HEADERS) is OK
    session, user = langfuse.problems()
    assert "no session on ['tool'], but on others" in session
    assert "has 2 values of user: [\"'u-1'\", \"'u-2'\"]" in user
    assert send(langfuse, readable("x", attributes={"prompt": "p"}), headers=HEADERS) is OK
    assert langfuse.violations == ["x: attribute 'prompt' hijacks a field"]


# -- LangSmith

NOW = datetime(2026, 3, 4, 5, 6, 7, 123456, tzinfo=timezone.utc)


def new_id(moment: datetime = NOW) -> str:
    """A UUID of version 7, which holds the milliseconds of `moment`."""
    since = (moment - datetime(1970, 1, 1, tzinfo=timezone.utc)) // timedelta(milliseconds=1)
    bits = uuid4().int & ((1 << 80) - 1) & ~(0xF << 76) & ~(0b11 << 62)
    return str(UUID(int=since << 80 | 7 << 76 | 0b10 << 62 | bits))


def segment(moment: datetime, run_id: str) -> str:
    return f"{moment:%Y%m%dT%H%M%S%f}Z{run_id}"


def new_run(
    parent: Mapping[str, Any] | None = None, after_ms: int = 0, **fields: Any
) -> dict[str, Any]:
    """A run that breaks no rule, but for `fields`; None takes a field away."""
    start = NOW + timedelta(milliseconds=after_ms)
    run_id = new_id(start)
    above = f"{parent['dotted_order']}." if parent else ""
    run: dict[str, Any] = {
        "id": run_id,
        "trace_id": parent["trace_id"] if parent else run_id,
        "parent_run_id": parent["id"] if parent else None,
        "dotted_order": above + segment(start, run_id),
        "name": "run",
        "run_type": "chain",
        "session_name": "project",
        "start_time": start.isoformat(),
        "end_time": (start + timedelta(seconds=1)).isoformat(),
        "inputs": {"input": "hi"},
        "outputs": {"output": "ho"},
        "error": None,
        "tags": ["a"],
        "extra": {"metadata": {"session_id": "s"}},
        "events": [{"name": "new_token", "time": start.isoformat()}],
    }
    run.update(fields)
    return run


def batch(receiver: LangSmithReceiver, *runs: Mapping[str, Any]) -> Response:
    headers = {"x-api-key": receiver.api_key}
    return call("POST", receiver.endpoint + "/runs/batch", {"post": runs, "patch": []}, headers)


@pytest.fixture
def smith() -> Iterator[LangSmithReceiver]:
    with LangSmithReceiver() as started:
        yield started


class RealClient:
    """The real langsmith client as an exporter uses it: in its own thread, and telling errors."""

    def __init__(self, receiver: LangSmithReceiver, **options: Any) -> None:
        client = pytest.importorskip("langsmith").Client
        from urllib3.util import Retry

        self.errors: list[Exception] = []
        self.client = client(**{
            "api_url": receiver.endpoint,
            "api_key": receiver.api_key,
            "auto_batch_tracing": False,
            "omit_traced_runtime_info": True,
            "info": {},
            "tracing_error_callback": self.errors.append,
            "retry_config": Retry(total=0),
            "tracing_sampling_rate": 1.0,
            **options,
        })  # fmt: skip

    def send(self, *runs: Mapping[str, Any]) -> str:
        """The errors told, or "". The client takes the runs it is given to pieces."""
        self.errors.clear()
        self.client.multipart_ingest(create=[json.loads(json.dumps(run)) for run in runs])
        return "; ".join(map(str, self.errors))


def test_langsmith_takes_a_tree_from_the_real_client_whatever_comes_first(
    smith: LangSmithReceiver,
) -> None:
    root = new_run(name="flow")
    agent = new_run(root, 5, name="agent")
    usage = {
        "input_tokens": 10,
        "output_tokens": 5,
        "total_tokens": 15,
        "input_token_details": {"cache_read": 4},
        "output_token_details": {"reasoning": 5},
        "input_cost": 0.1,
        "total_cost": 0.3,
    }
    model = new_run(
        agent, 6, name="model", run_type="llm", error="boom", outputs={"usage_metadata": usage}
    )
    tool = new_run(agent, 7, name="tool", run_type="tool", end_time=None)
    real = RealClient(smith, workspace_id="w-1")
    for run in (model, tool, agent, root):
        assert real.send(run) == ""
    assert (
        langsmith.render(smith.trees)
        == "chain flow\n  chain agent\n    llm model !error\n    tool tool"
    )
    smith.check_whole()
    assert (smith.other_requests, smith.tenants) == ([], ["w-1"] * 4)
    found = next(run for run in smith.runs if run.name == "model")
    assert (found.usage, found.error, found.tags) == (usage, "boom", ("a",))
    assert (found.project, found.metadata) == ("project", {"session_id": "s"})
    assert (found.start_time, found.inputs) == (NOW + timedelta(milliseconds=6), {"input": "hi"})
    assert found.events[0]["name"] == "new_token"
    (flow,) = smith.trees
    assert [run.name for run in flow.walk()] == ["flow", "agent", "model", "tool"]


def test_langsmith_takes_what_the_real_client_compresses_in_the_background(
    smith: LangSmithReceiver,
) -> None:
    real = RealClient(smith, auto_batch_tracing=True, info=None)

    def create(run: Mapping[str, Any], **more: Any) -> None:
        fields = {**run, "project_name": run["session_name"], "start_time": NOW, **more}
        fields.pop("session_name")
        real.client.create_run(**fields)

    create(new_run(name="first"), end_time=NOW)
    # It compresses once its thread has asked whether it may.
    smith.wait_for(1)
    run = new_run(name="second")
    attachments = {"picture": ("image/png", b"\r\n--not a boundary")}
    create(run, end_time=None, attachments=attachments)
    ids = {name: run[name] for name in ("trace_id", "dotted_order")}
    later = NOW + timedelta(seconds=2)
    real.client.update_run(run["id"], **ids, outputs={"output": "later"}, end_time=later)
    real.client.flush()
    smith.wait_for(lambda runs: [r.end_time for r in runs if r.name == "second"] == [later])
    assert smith.attempts[-1].encoding == "zstd"
    assert smith.runs[1].outputs == {"output": "later"}
    assert smith.attachments == {(run["id"], "picture"): b"\r\n--not a boundary"}
    assert [attempt.path for attempt in smith.other_requests] == ["/info"]
    real.client.cleanup()


def test_langsmith_takes_a_batch_of_json(smith: LangSmithReceiver) -> None:
    root = new_run()
    assert batch(smith, new_run(root, 3), root).status == 202
    smith.check_whole()
    later = {"id": root["id"], "end_time": (NOW + timedelta(seconds=9)).isoformat()}
    body = {"post": [], "patch": [later]}
    key = {"x-api-key": smith.api_key}
    assert call("POST", smith.endpoint + "/runs/batch", body, key).status == 202
    assert smith.runs[1].end_time == NOW + timedelta(seconds=9)
    assert smith.runs[1].inputs == {"input": "hi"}


ROOT = new_run(name="root")
OTHER = new_id()
EARLIER = NOW - timedelta(milliseconds=500)


def usage_of(**usage: Any) -> dict[str, Any]:
    whole = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15, **usage}
    return new_run(outputs={"usage_metadata": whole})


def with_order(
    change: Callable[[str], str], parent: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    run = new_run(parent, 5)
    run["dotted_order"] = change(run["dotted_order"])
    return run


def of_version_4() -> dict[str, Any]:
    run = new_run()
    changed: dict[str, Any] = json.loads(json.dumps(run).replace(run["id"], str(uuid4())))
    return changed


def _rule(value: dict[str, Any] | str) -> str | None:
    """Gives a test the same name in each run: without the ids that are new in each."""
    return re.sub(r" [0-9a-f]{8}-[0-9a-f-]{27}", "", value) if isinstance(value, str) else None


BROKEN: list[tuple[dict[str, Any], str]] = [
    (new_run(name=""), "name is no text"),
    (new_run(run_type="agent"), "run_type 'agent' is not one of"),
    (new_run(session_name=None), "session_name is no text: None"),
    (new_run(session_id=OTHER), "session_id is the id of a project"),
    (new_run(start_time="yesterday"), "start_time is no ISO time"),
    (new_run(end_time="tomorrow"), "end_time is no ISO time"),
    (new_run(end_time=EARLIER.isoformat()), "is before start_time"),
    (of_version_4(), "id is a UUID of version 4, not 7"),
    (new_run(parent_run_id="x"), "parent_run_id is no UUID: 'x'"),
    (
        {**new_run(), "start_time": (NOW + timedelta(milliseconds=1)).isoformat()},
        "the time in id",
    ),
    (
        {**new_run(), "start_time": (NOW + timedelta(microseconds=2)).isoformat()},
        "dotted_order ends with the time",
    ),
    (
        with_order(lambda order: order.replace("128456Z", "128Z")),
        "dotted_order has the segment",
    ),
    (
        with_order(lambda order: order.replace("128456Z", ".128456Z")),
        "dotted_order has the segment",
    ),
    (with_order(lambda order: order.replace("-", "")), "dotted_order has the segment"),
    (with_order(lambda order: order + "."), "dotted_order has the segment ''"),
    (
        with_order(lambda order: segment(NOW, OTHER) + "." + order),
        "dotted_order of a root has 2 segments",
    ),
    (with_order(lambda order: segment(NOW, OTHER)), f"dotted_order ends with {OTHER}"),
    (new_run(trace_id=OTHER), f"not with trace_id {OTHER}"),
    (new_run(parent_run_id=OTHER), f"does not have parent_run_id {OTHER} last but one"),
    (new_run(ROOT, 5, parent_run_id=OTHER), f"does not have parent_run_id {OTHER}"),
    (new_run(ROOT, 5, parent_run_id=None), "dotted_order of a root has 2 segments"),
    (new_run(ROOT, -1), "before its parent"),
    (new_run(inputs=["hi"]), "inputs is no JSON object"),
    (new_run(outputs="ho"), "outputs is no JSON object"),
    (new_run(error={"message": "boom"}), "error is no text"),
    (new_run(tags="a,b"), "tags is no list of texts"),
    (new_run(tags=["a", 1]), "tags is no list of texts"),
    (new_run(extra={"metadata": "x"}), "extra.metadata is no JSON object"),
    (new_run(events=[{"name": "new_token"}]), "events is no list of {name, time}"),
    (new_run(events=[{"name": "new_token", "time": 5}]), "events is no list"),
    (usage_of(input_tokens="10"), "usage_metadata.input_tokens is no count: '10'"),
    (usage_of(output_tokens=5.0), "usage_metadata.output_tokens is no count"),
    (usage_of(total_tokens=16), "input and output are 15, the total is 16"),
    (usage_of(input_token_details={"cache_read": 11}), "cache_read is 11, input_tokens is 10"),
    (usage_of(output_token_details={"reasoning": None}), "reasoning is no amount"),
    (usage_of(total_cost="0.1"), "usage_metadata.total_cost is no number"),
    (usage_of(input_token_details=[4]), "input_token_details is no JSON object"),
    (new_run(dotted_order=7), "dotted_order is no text: 7"),
    (usage_of(prompt_tokens=3), "usage_metadata.prompt_tokens is unknown"),
]


@pytest.mark.parametrize(("run", "rule"), BROKEN, ids=_rule)
def test_langsmith_refuses_the_whole_batch_for_one_run(
    smith: LangSmithReceiver, run: dict[str, Any], rule: str
) -> None:
    answer = batch(smith, new_run(name="innocent"), run)
    assert answer.status == 422
    told = json.loads(answer.body)["detail"]
    assert any(rule in line for line in told)
    assert all(line.startswith(f"run {run['id']} ({run['name']}): ") for line in told)
    assert smith.runs == []


@pytest.mark.parametrize(("run", "rule"), BROKEN, ids=_rule)
def test_langsmith_tells_the_real_client_which_rule(
    smith: LangSmithReceiver, run: dict[str, Any], rule: str
) -> None:
    told = RealClient(smith).send(new_run(name="innocent"), run)
    # The client quotes the answer.
    assert "422" in told and rule.replace("'", "") in told.replace("\\", "").replace("'", "")
    assert smith.runs == []


def test_langsmith_takes_an_id_that_is_no_uuid_from_nobody(smith: LangSmithReceiver) -> None:
    answer = batch(smith, new_run(id="1"))
    assert answer.status == 422
    assert "id is no UUID: '1'" in answer.text


def test_langsmith_refuses_a_key_that_is_not_the_one(smith: LangSmithReceiver) -> None:
    other = RealClient(smith, api_key="lsv2_other")
    assert "401" in other.send(new_run())
    assert smith.runs == []
    assert smith.attempts[0].status == 401


def test_langsmith_refuses_too_many_and_too_large(smith: LangSmithReceiver) -> None:
    real = RealClient(smith)
    assert "413" in real.send(*(new_run() for _ in range(101)))
    assert real.send(*(new_run() for _ in range(100))) == ""
    assert len(smith.runs) == 100
    large = new_run(inputs={"input": "x" * langsmith.MOST_BYTES})
    assert "413" in real.send(large)
    almost = new_run(inputs={"input": "x" * (langsmith.MOST_BYTES - 5_000)})
    assert real.send(almost) == ""


def test_langsmith_answers_409_to_what_is_there_already(smith: LangSmithReceiver) -> None:
    one, other = new_run(name="one"), new_run(name="other")
    assert batch(smith, one).status == 202
    assert batch(smith, {**one, "name": "changed"}, other).status == 409
    assert [run.name for run in smith.runs] == ["one", "other"]
    # For the real client that is a success.
    assert RealClient(smith).send(one) == ""


def test_langsmith_notes_what_of_the_environment_is_told(
    smith: LangSmithReceiver, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("LANGSMITH_WORKSPACE_NAME", "the secret workspace")
    environment.setenv("LANGSMITH_PROJECT", "project")
    telling = RealClient(smith, omit_traced_runtime_info=False)
    assert telling.send(new_run(name="a")) == ""
    told = "\n".join(smith.violations)
    assert "a: extra.runtime describes the machine" in told
    batch(smith, new_run(name="b", inputs={"text": "in the secret workspace of project"}))
    assert "b: the value of LANGSMITH_WORKSPACE_NAME is in it" in smith.violations
    batch(smith, new_run(name="c", outputs={"text": smith.api_key}))
    assert "c: the API key is in it" in smith.violations
    batch(smith, new_run(name="d", extra={"metadata": {"LANGSMITH_X": "1", "revision_id": "2"}}))
    assert [line for line in smith.violations if line.startswith("d: ")] == [
        "d: metadata LANGSMITH_X is of the environment",
        "d: metadata revision_id is of the environment",
    ]
    assert "the value of LANGSMITH_PROJECT" not in "\n".join(smith.violations)


def test_langsmith_says_what_is_wrong_with_whole_traces(smith: LangSmithReceiver) -> None:
    root = new_run(name="root")
    child = new_run(root, 5, name="child", extra={"metadata": {}})
    batch(smith, child)
    lost, orphaned = smith.problems()
    assert "has 0 roots" in lost and "child: its parent" in orphaned
    batch(smith, root)
    assert smith.problems() == [
        f"trace {root['id']}: no metadata session_id on ['child'], but on others"
    ]
    with pytest.raises(AssertionError, match="no metadata session_id"):
        smith.check_whole()
    smith.clear()
    other = new_run(root, 5, name="other", session_name="elsewhere")
    grandchild = new_run(other, 6)
    wrong = grandchild["dotted_order"].split(".")
    wrong.insert(1, segment(NOW, OTHER))
    batch(smith, root, other, {**grandchild, "dotted_order": ".".join(wrong)})
    order, projects = smith.problems()
    batch(smith, new_run(root, 7, extra={"metadata": {"session_id": "s2"}}))
    assert "has 2 values of metadata session_id: [\"'s'\", \"'s2'\"]" in smith.problems()[-1]
    assert "run: its dotted_order does not go on that of other" in order
    assert "is in 2 projects: ['elsewhere', 'project']" in projects


def test_langsmith_keeps_what_else_is_asked(smith: LangSmithReceiver) -> None:
    key = {"x-api-key": smith.api_key}
    about = call("GET", smith.endpoint + "/info").json()
    assert about["batch_ingest_config"]["size_limit"] == 100
    assert call("GET", smith.endpoint + "/sessions?name=p", None, key).json() == []
    assert call("GET", smith.endpoint + "/sessions").status == 401
    assert call("POST", smith.endpoint + "/runs", new_run(), key).status == 404
    paths = [attempt.path for attempt in smith.other_requests]
    assert paths == ["/info", "/sessions?name=p", "/sessions", "/runs"]


def test_langsmith_may_live_below_a_path() -> None:
    with LangSmithReceiver(base="/api/v1") as smith:
        assert smith.environment["LANGSMITH_ENDPOINT"].endswith("/api/v1")
        assert RealClient(smith).send(new_run()) == ""
        assert len(smith.runs) == 1
        assert smith.other_requests == []


MULTIPART = "multipart/form-data; boundary=B"


def part(name: str, content: str = "{}", *more: str) -> bytes:
    lines = ["--B", f'Content-Disposition: form-data; name="{name}"', *more, "", content, ""]
    return "\r\n".join(lines).encode()


@pytest.mark.parametrize(
    ("content_type", "body", "refusal"),
    [
        ("application/json", b"{}", "415 .* content-type 'application/json'"),
        ("multipart/form-data", b"--B--", "415 .* content-type 'multipart/form-data'"),
        (MULTIPART, b"x", "400 .* does not start with the boundary"),
        (MULTIPART, b"--B\r\n", "400 .* a part does not end"),
        (MULTIPART, part("post.1"), "400 .* a part does not end"),
        (MULTIPART, part("post.1", "{}", "Content-Length: 9") + b"--B--", "400 .* does not end"),
        (MULTIPART, part("post.1", '{"id":"1"}') + b"--B", "400 .* the body does not end with"),
        (MULTIPART, b"--B\r\n\r\n\r\n{}\r\n--B--", "400 .* a part has no name"),
        (MULTIPART, part("x") + b"--B--", "400 .* part 'x' is not one of a run"),
        (MULTIPART, part("post.1.x") + b"--B--", "400 .* part 'post.1.x' is not one of a run"),
        (MULTIPART, part("post.1.inputs") + b"--B--", "400 .* comes before its run"),
        (MULTIPART, part("post.1", '{"id":"2"}') + b"--B--", "400 .* is not a run of that id"),
        (MULTIPART, part("post.1", '{"id":NaN}') + b"--B--", "400 .* post.1 is not JSON"),
        (MULTIPART, part("attachment.1.a.b") + b"--B--", "400 .* has no period"),
    ],
)
def test_langsmith_refuses_what_is_no_multipart_of_runs(
    smith: LangSmithReceiver, content_type: str, body: bytes, refusal: str
) -> None:
    headers = {"x-api-key": smith.api_key, "content-type": content_type}
    call("POST", smith.endpoint + "/runs/multipart", body, headers)
    (why,) = smith.rejected
    assert re.match(refusal.replace(" .* ", r" POST /runs/multipart: .*", 1), why)


@pytest.mark.parametrize(
    ("content_type", "body", "refusal"),
    [
        ("text/plain", b"{}", "415 .*content-type 'text/plain'"),
        ("application/json", b"[]", "400 .*the body is not {"),
        ("application/json", b'{"post": {}}', "400 .*the body is not {"),
        ("application/json", b'{"post": [1]}', "400 .*the body is not {"),
        ("application/json", b"{", "400 .*the body is not JSON"),
        ("application/json", b'{"post": [%s]}' % b",".join([b"{}"] * 101), "413 .*101 runs"),
        ("application/json", b" " * (langsmith.MOST_BYTES + 1), "413 .* bytes, over 20971520"),
    ],
)
def test_langsmith_refuses_what_is_no_batch_of_runs(
    smith: LangSmithReceiver, content_type: str, body: bytes, refusal: str
) -> None:
    headers = {"x-api-key": smith.api_key, "content-type": content_type}
    call("POST", smith.endpoint + "/runs/batch", body, headers)
    (why,) = smith.rejected
    assert re.match(refusal, why)


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (status(429, retry_after=1), "429"),
        (status(500, body={"detail": "no"}), "500"),
        (poison(lambda run: run["name"] == "run", 422), "422"),
        (resetting(), "Connection"),
        (refusing(), "Connection"),
        (garbage(), "Connection"),
    ],
    ids=lambda value: value.name if isinstance(value, Fault) else value,
)
def test_the_real_client_is_told_of_faults_too(
    smith: LangSmithReceiver, fault: Fault, told: str
) -> None:
    real = RealClient(smith)
    with smith.faults.mode(fault):
        assert told in real.send(new_run())
    assert smith.runs == []
    assert real.send(new_run()) == ""


def test_poison_looks_into_what_is_compressed(smith: LangSmithReceiver) -> None:
    zstandard = pytest.importorskip("zstandard")
    smith.faults.set(poison(lambda run: run["name"] == "bad"), too_large(100_000))
    key = {"x-api-key": smith.api_key, "content-type": "application/json"}

    def compressed(*runs: Mapping[str, Any]) -> int:
        body = zstandard.compress(json.dumps({"post": runs}).encode())
        headers = {**key, "content-encoding": "zstd"}
        return call("POST", smith.endpoint + "/runs/batch", body, headers).status

    assert compressed(new_run(name="good"), new_run(name="bad")) == 400
    assert compressed(new_run(name="good")) == 202
    assert compressed(new_run(inputs={"input": "x" * 200_000})) == 413
    assert smith.faults.seen == {"poison": 1, "accepted": 1, "too large": 1}
