"""One request over OTLP/HTTP: what reaches the backend, and what its answer is taken for."""

from __future__ import annotations

import gzip
import logging
import socket
import threading
import time
from datetime import datetime, timedelta, timezone
from typing import Any
from urllib.parse import urlsplit

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider

from langflow_otel.export.http import otlp_sender, plain_otlp_sender, seconds_of
from langflow_otel.export.sending import Answer, Sender, Verdict
from tests.support import faults
from tests.support.receiver import OtlpReceiver


def spans(*names: str, **attributes: Any) -> list[ReadableSpan]:
    tracer = TracerProvider().get_tracer("langflow_otel")
    made = [tracer.start_span(name, attributes=attributes) for name in names]
    for span in made:
        span.end()
    return made  # type: ignore[return-value]


@pytest.fixture
def sender(receiver: OtlpReceiver) -> Sender:
    return otlp_sender(receiver.traces_endpoint, {"x-key": "k"})


def where(receiver: OtlpReceiver) -> str:
    return urlsplit(receiver.endpoint).netloc


def test_what_is_sent_arrives_with_its_own_headers(sender: Sender, receiver: OtlpReceiver) -> None:
    taken = sender.send(spans("a", "b"), 10)
    assert taken == Answer(Verdict.TAKEN, f"HTTP 200 at {where(receiver)}", status=200)
    assert [span.name for span in receiver.spans] == ["a", "b"]
    assert receiver.requests[0].headers["x-key"] == "k"


@pytest.mark.parametrize(
    ("fault", "verdict", "detail"),
    [
        (faults.status(400), Verdict.INVALID, "HTTP 400"),
        (faults.status(401), Verdict.UNAUTHORIZED, "HTTP 401"),
        (faults.status(403), Verdict.UNAUTHORIZED, "HTTP 403"),
        (faults.status(404), Verdict.FAILED, "HTTP 404"),
        (faults.status(413), Verdict.TOO_LARGE, "HTTP 413"),
        (faults.status(422), Verdict.INVALID, "HTTP 422"),
        (faults.status(429), Verdict.BUSY, "HTTP 429"),
        (faults.status(500), Verdict.BUSY, "HTTP 500"),
        (faults.status(501), Verdict.FAILED, "HTTP 501"),
        (faults.status(503), Verdict.BUSY, "HTTP 503"),
        (faults.refusing(), Verdict.BUSY, "ConnectionError"),
        (faults.resetting(), Verdict.BUSY, "ConnectionError"),
        (faults.garbage(), Verdict.BUSY, "ConnectionError"),
        (faults.hanging(), Verdict.BUSY, "no answer in time"),
        # Whoever says 200 says that it took the spans.
        (faults.garbage_body(), Verdict.TAKEN, "HTTP 200"),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_an_answer_is_taken_for_what_it_is_and_nothing_is_tried_twice(
    sender: Sender,
    receiver: OtlpReceiver,
    fault: faults.Fault,
    verdict: Verdict,
    detail: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with receiver.faults.mode(fault):
        answer = sender.send(spans("a"), 0.5)
    assert (answer.verdict, answer.detail) == (
        verdict,
        f"{detail} at {where(receiver)}",
    )
    assert receiver.spans == []
    assert len(receiver.attempts) <= 1
    assert [r for r in caplog.records if r.levelno >= logging.WARNING] == []
    assert sender.send(spans("b"), 10).verdict is Verdict.TAKEN


def test_a_redirect_is_not_followed(sender: Sender, receiver: OtlpReceiver) -> None:
    with OtlpReceiver() as elsewhere:
        receiver.faults.set(faults.redirect(elsewhere.traces_endpoint))
        assert sender.send(spans("a"), 10).verdict is Verdict.FAILED
        assert elsewhere.attempts == []


def test_items_refused_of_a_request_that_is_taken_are_counted(
    sender: Sender, receiver: OtlpReceiver
) -> None:
    receiver.faults.set(faults.partial_success(lambda span: span.name == "b"))
    answer = sender.send(spans("a", "b", "c"), 10)
    assert (answer.verdict, answer.rejected) == (Verdict.TAKEN, 1)


def test_refused_items_are_counted_however_the_answer_is_written(
    sender: Sender, receiver: OtlpReceiver
) -> None:
    told = {"partialSuccess": {"rejectedSpans": "2", "errorMessage": "x" * 5000}}
    receiver.faults.set(faults.status(200, body=told))
    assert sender.send(spans("a", "b", "c"), 10).rejected == 2


def test_a_connection_is_used_again(sender: Sender, receiver: OtlpReceiver) -> None:
    connections: set[int] = set()
    connect = socket.socket.connect

    def counted(self: socket.socket, address: Any) -> Any:
        connections.add(id(self))
        return connect(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", counted)
        for _ in range(5):
            assert sender.send(spans("a"), 10).verdict is Verdict.TAKEN
    assert len(connections) == 1


def test_a_request_that_is_under_way_ends_when_the_process_does(
    sender: Sender, receiver: OtlpReceiver
) -> None:
    receiver.faults.set(faults.hanging())
    answers: list[Answer] = []
    thread = threading.Thread(target=lambda: answers.append(sender.send(spans("a"), 60)))
    thread.start()
    receiver.faults.wait_seen("hanging")
    sender.hurry(0.05)
    thread.join(20)
    assert [answer.verdict for answer in answers] == [Verdict.BUSY]


@pytest.mark.parametrize("when", [7, timedelta(seconds=3600)])
def test_retry_after_is_read_in_seconds_and_as_a_date(
    sender: Sender, receiver: OtlpReceiver, when: Any
) -> None:
    told = when if when == 7 else datetime.now(timezone.utc) + when
    receiver.faults.set(faults.status(429, retry_after=told))
    seconds = sender.send(spans("a"), 10).retry_after
    assert seconds == 7 if when == 7 else 3000 < (seconds or 0) <= 3600


@pytest.mark.parametrize("text", ["", "soon", "nan", "inf", "Mon, 99 Foo 9999"])
def test_a_retry_after_that_makes_no_sense_is_none(text: str) -> None:
    assert seconds_of(text) is None


def test_a_retry_after_in_the_past_is_now() -> None:
    assert seconds_of("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert seconds_of("-5") == 0


def test_a_body_is_compressed_where_that_is_wanted(receiver: OtlpReceiver) -> None:
    text = "a text that comes again " * 1000
    sender = otlp_sender(receiver.traces_endpoint, {}, compression="gzip")
    assert sender.send(spans("a", text=text), 10).verdict is Verdict.TAKEN
    (attempt,) = receiver.attempts
    assert attempt.encoding == "gzip"
    assert attempt.body_size < len(text) / 20
    assert attempt.body_size > len(gzip.compress(b"")) + 20
    assert receiver.spans[0].attributes["text"] == text


def test_nothing_of_the_plain_otlp_endpoint_reaches_a_vendor(
    environment: pytest.MonkeyPatch, receiver: OtlpReceiver
) -> None:
    environment.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-apm-key=secret,x-key=other")
    environment.setenv("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "x-trace-key=secret")
    environment.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", "/no/such/file")
    environment.setenv("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "/no/such/file")
    environment.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "deflate")
    environment.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    sender = otlp_sender(receiver.traces_endpoint, {"x-key": "k"})
    assert sender.send(spans("a"), 10).verdict is Verdict.TAKEN
    headers = receiver.requests[0].headers
    assert "secret" not in str(headers)
    assert headers["x-key"] == "k"
    assert receiver.attempts[0].encoding == "identity"


def test_the_plain_otlp_endpoint_gets_what_its_variables_say(
    environment: pytest.MonkeyPatch, receiver: OtlpReceiver
) -> None:
    environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint)
    environment.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-apm-key=secret")
    environment.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    assert plain_otlp_sender().send(spans("a"), 10).verdict is Verdict.TAKEN
    assert receiver.requests[0].headers["x-apm-key"] == "secret"
    assert receiver.attempts[0].encoding == "gzip"


@pytest.mark.parametrize("fault", [faults.hanging(), faults.drip()], ids=["hanging", "drip"])
def test_a_request_ends_in_its_time(
    sender: Sender, receiver: OtlpReceiver, fault: faults.Fault
) -> None:
    with receiver.faults.mode(fault):
        began = time.monotonic()
        detail = sender.send(spans("a"), 0.2).detail
        assert detail == f"no answer in time at {where(receiver)}"
        assert time.monotonic() - began >= 0.2


def test_a_host_that_is_none_is_tried_again(environment: pytest.MonkeyPatch) -> None:
    def no_such_host(*_: Any, **__: Any) -> Any:
        raise socket.gaierror("no such host")

    environment.setattr(socket, "getaddrinfo", no_such_host)
    sender = otlp_sender("http://phoenix.invalid:6006/v1/traces", {})
    assert sender.send(spans("a"), 1).verdict is Verdict.BUSY


def test_what_cannot_be_encoded_is_invalid(sender: Sender, receiver: OtlpReceiver) -> None:
    class Odd(dict):  # type: ignore[type-arg]
        def items(self) -> Any:
            raise RuntimeError("not to be read")

    (span,) = spans("a")
    odd = ReadableSpan("odd", context=span.get_span_context(), attributes=Odd(a=1))
    assert sender.send([odd], 10).verdict is Verdict.INVALID
    assert receiver.attempts == []


def test_a_plain_endpoint_without_a_scheme_is_understood(
    environment: pytest.MonkeyPatch, receiver: OtlpReceiver
) -> None:
    environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint.removeprefix("http://"))
    assert plain_otlp_sender().send(spans("a"), 10).verdict is Verdict.TAKEN


def test_a_plain_endpoint_that_is_no_address_is_named(
    environment: pytest.MonkeyPatch, said: Any
) -> None:
    environment.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "ftp://collector")
    assert plain_otlp_sender().send(spans("a"), 10) == Answer(Verdict.FAILED, "not set up")
    (line,) = said(logging.WARNING)
    assert "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT='ftp://collector' is not an http://" in line
