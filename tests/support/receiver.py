"""A local OTLP/HTTP endpoint, as strict as the vendors' own: what it accepted, they would.

`Receiver` is what it shares with the receivers that stand in for a vendor: a server that keeps a
record of every request, and that can misbehave (`faults`).
"""

from __future__ import annotations

import gzip
import math
import socket
import socketserver
import struct
import threading
import time
import zlib
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Generator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from types import TracebackType
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from typing_extensions import Self

from tests.support.faults import Cut, Faults, Predicate, Reply
from tests.support.spans import Span, from_otlp
from tests.support.tree import render

TRACES, METRICS, LOGS = "/v1/traces", "/v1/metrics", "/v1/logs"
PROTOBUF = "application/x-protobuf"


@dataclass(frozen=True)
class Request:
    """An accepted request for spans."""

    headers: Mapping[str, str]
    """Names in lower case."""
    spans: tuple[Span, ...]


@dataclass(eq=False)
class Attempt:
    """A request as it came, whatever became of it."""

    method: str
    path: str
    headers: Mapping[str, str]
    """Names in lower case."""
    body_size: int
    """Bytes on the wire."""
    encoding: str
    started: float
    """When it had been read; on the clock of `time.monotonic`, in seconds."""
    status: int | None = None
    """None as long as it has no answer: it hangs, was reset, or got what is not HTTP."""


class Refused(Exception):
    """A request breaks a rule; says the HTTP status and why."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason


@dataclass
class Incoming:
    """A request to answer."""

    method: str
    path: str
    """Without the query."""
    headers: Mapping[str, str]
    """Names in lower case."""
    raw: bytes
    """The body as it came."""
    rejects: Predicate | None = None
    """Which items are refused although the request is taken."""

    @property
    def encoding(self) -> str:
        """The body's content encoding."""
        return self.headers.get("content-encoding", "identity")

    def body(self, *encodings: str) -> bytes:
        """The body, decompressed; Refused where it is not in one of `encodings`."""
        if self.encoding not in encodings:
            raise Refused(415, f"content-encoding {self.encoding!r}")
        try:
            return _DECODERS[self.encoding](self.raw)
        except (ValueError, OSError, EOFError, zlib.error) as error:
            raise Refused(400, f"{type(error).__name__}: {error}") from None


class Receiver(ABC):
    """A server on 127.0.0.1, listening from the first, answering while the context is open."""

    def __init__(self) -> None:
        self.faults = Faults(self._listen)
        self._changed = threading.Condition()
        self._attempts: list[Attempt] = []
        self._rejected: list[str] = []
        self._started = self._closed = False
        self._listening = threading.Lock()
        self._held: socket.socket | None = None
        self._server: _Server | None = _Server(self, 0)
        self._port: int = self._server.server_address[1]

    @property
    def endpoint(self) -> str:
        """The base, as in OTEL_EXPORTER_OTLP_ENDPOINT."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def attempts(self) -> list[Attempt]:
        """Every request that was read, in the order they came, those that failed among them."""
        with self._changed:
            return list(self._attempts)

    @property
    def rejected(self) -> list[str]:
        """Why requests were refused, one line each; refusals that are a fault's are not here."""
        with self._changed:
            return list(self._rejected)

    @abstractmethod
    def respond(self, request: Incoming) -> Reply:
        """Answer a request as it deserves; Refused where it breaks a rule."""

    @abstractmethod
    def items(self, request: Incoming) -> list[Any]:
        """What the request holds, for faults that look at it; Refused where it is no good."""

    def clear(self) -> None:
        """Forget everything so far."""
        self.faults.forget()
        with self._changed:
            self._attempts.clear()
            self._rejected.clear()

    def wait_until(
        self, true: Callable[[], Any], what: Callable[[], str], timeout: float = 15.0
    ) -> None:
        """Return when `true()`, asked after every answer; else AssertionError, with `what()`."""
        with self._changed:
            if not self._changed.wait_for(true, timeout):
                raise AssertionError(
                    f"after {timeout} s: {what()}; rejected: {self._rejected}; "
                    f"answered: {dict(self.faults.seen)}"
                )

    def close(self) -> None:
        """Stop listening, cut every connection, and end every thread."""
        with self._listening:
            self._closed = True
        self.faults.release()
        with self._listening:
            self._stop()
            if self._held is not None:
                self._held.close()

    def __enter__(self) -> Self:
        with self._listening:
            self._started = True
            if self._server is not None:
                self._server.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def stopped(self) -> bool:
        """Whether it is closed, or refuses connections."""
        return self._closed or not all(fault.listens for fault in self.faults.active)

    def begin(self, attempt: Attempt) -> None:
        """Keep a request. For the server."""
        with self._changed:
            self._attempts.append(attempt)
            self._changed.notify_all()

    def answered(self, attempt: Attempt, reply: Reply, why: str) -> None:
        """Keep how it was answered. For the server."""
        with self._changed:
            attempt.status = reply.status
            if why:
                self._rejected.append(f"{reply.status} {attempt.method} {attempt.path}: {why}")
            self._changed.notify_all()

    def _listen(self, wanted: bool) -> None:
        with self._listening:
            if self._closed or wanted == (self._server is not None):
                return
            if not wanted:
                self._stop()
                # Bound, and not listening: it refuses, and nobody else gets the port.
                self._held = socket.socket()
                self._held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                self._held.bind(("127.0.0.1", self._port))
                return
            if self._held is not None:
                self._held.close()
            self._server = _Server(self, self._port)
            if self._started:
                self._server.start()

    def _stop(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.stop()


class OtlpReceiver(Receiver):
    """Collects the spans sent to it, while the context is open.

    ```
    with OtlpReceiver() as receiver:
        ...  # OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint
        spans = receiver.wait_for(5)
    ```
    """

    traces_path = TRACES
    other_paths: tuple[str, ...] = (METRICS, LOGS)
    """What is counted, and not read."""
    encodings: tuple[str, ...] = ("identity", "gzip", "deflate")

    def __init__(self) -> None:
        super().__init__()
        self._requests: list[Request] = []
        self._counts: Counter[str] = Counter()

    @property
    def traces_endpoint(self) -> str:
        """The full address, as in OTEL_EXPORTER_OTLP_TRACES_ENDPOINT."""
        return self.endpoint + self.traces_path

    @property
    def requests(self) -> list[Request]:
        """The accepted requests for spans, in the order they came."""
        with self._changed:
            return list(self._requests)

    @property
    def spans(self) -> list[Span]:
        """All spans so far, in the order they came."""
        return [span for request in self.requests for span in request.spans]

    @property
    def counts(self) -> Counter[str]:
        """Accepted requests by path; those for metrics and logs are counted and not read."""
        with self._changed:
            return Counter(self._counts)

    def clear(self) -> None:
        """Forget everything so far."""
        with self._changed:
            super().clear()
            self._requests.clear()
            self._counts.clear()

    def wait_for(
        self, wanted: int | Callable[[list[Span]], Any], timeout: float = 15.0
    ) -> list[Span]:
        """All spans, as soon as there are so many, or the predicate holds; else AssertionError."""

        def enough() -> bool:
            spans = self.spans
            return len(spans) >= wanted if isinstance(wanted, int) else bool(wanted(spans))

        def what() -> str:
            return f"{len(self.spans)} spans, not what was waited for:\n{render(self.spans)}\n"

        with self._changed:
            self.wait_until(enough, what, timeout)
            return self.spans

    def respond(self, request: Incoming) -> Reply:
        """Take spans; Refused where the request is not one of OTLP/HTTP with protobuf."""
        if request.method != "POST":
            raise Refused(405, "only POST")
        if request.path not in (self.traces_path, *self.other_paths):
            raise Refused(404, "no such path")
        self.check_headers(request)
        body = request.body(*self.encodings)
        spans = _decoded(body) if request.path == self.traces_path else []
        rejects = request.rejects or (lambda _: False)
        taken = [span for span in spans if not rejects(span)]
        with self._changed:
            self._counts[request.path] += 1
            if request.path == self.traces_path:
                self._requests.append(Request(request.headers, tuple(taken)))
        self.accept(taken)
        return Reply(200, _accepted(len(spans) - len(taken)), PROTOBUF)

    def items(self, request: Incoming) -> list[Any]:
        """The spans in a request."""
        if request.path != self.traces_path:
            return []
        return _decoded(request.body(*self.encodings))

    def check_headers(self, request: Incoming) -> None:
        """Raise Refused where the headers break a rule."""
        content_type = request.headers.get("content-type", "")
        if content_type != PROTOBUF:
            raise Refused(415, f"content-type {content_type!r}")

    def accept(self, spans: list[Span]) -> None:
        """Look at spans that were taken."""


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, receiver: Receiver, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.receiver = receiver
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._answering: set[threading.Thread] = set()
        self._thread = threading.Thread(
            target=self.serve_forever, args=(0.02,), name="receiver", daemon=True
        )

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        if self._thread.is_alive():
            self.shutdown()
            self._thread.join(10)
        self.server_close()
        with self._lock:
            connections, threads = set(self._open), set(self._answering)
        for connection in connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join(10)

    def process_request(self, request: Any, client_address: Any) -> None:
        thread = threading.Thread(
            target=self.process_request_thread,
            args=(request, client_address),
            name="receiver-connection",
            daemon=True,
        )
        with self._lock:
            self._open.add(request)
            if len(self._answering) > 50:
                self._answering = {one for one in self._answering if one.is_alive()}
            thread.start()
            self._answering.add(thread)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.discard(request)
        if request.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8) == _AT_ONCE:
            self.close_request(request)  # A shutdown would say FIN before the RST.
        else:
            super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Silence: a client that hangs up is no error of a server, see `_Handler`."""


class _Handler(BaseHTTPRequestHandler):
    """A connection; one request after the other, each of which is the `Exchange` of a fault."""

    protocol_version = "HTTP/1.1"
    timeout = 60
    disable_nagle_algorithm = True
    server: _Server

    pace = 0.0
    rejects: Predicate | None = None

    def do_POST(self) -> None:
        length = self.headers.get("content-length", "" if self.command != "GET" else "0")
        body = self.rfile.read(int(length)) if length.isdigit() else b""
        headers = {name.lower(): value for name, value in self.headers.items()}
        self._request = Incoming(self.command, self.path.partition("?")[0], headers, body)
        self._attempt = Attempt(
            self.command,
            self.path,
            headers,
            len(body),
            self._request.encoding,
            time.monotonic(),
        )
        self.pace, self.rejects, self._noted = 0.0, None, False
        if length.isdigit() and len(body) < int(length):
            self.close_connection = True  # The client hung up.
            return
        self.server.receiver.begin(self._attempt)
        try:
            self._strike_or_respond(complete=length.isdigit())
        except OSError:
            self.close_connection = True

    do_GET = do_PUT = do_PATCH = do_DELETE = do_POST  # noqa: N815

    def log_message(self, *_: Any) -> None:
        """Silence: the test's output is not an access log."""

    def _strike_or_respond(self, *, complete: bool) -> None:
        receiver = self.server.receiver
        faults, self._switched = receiver.faults.current()
        if receiver.stopped:
            raise ConnectionAbortedError
        if any(fault.strike(self) for fault in faults):
            return
        why = ""
        self._request.rejects = self.rejects
        try:
            if not complete:
                self.close_connection = True
                raise Refused(411, "no content-length")
            reply = receiver.respond(self._request)
        except Refused as refusal:
            why = refusal.reason
            reply = Reply(refusal.status, why.encode())
        except Exception as error:  # noqa: BLE001 - the test is to see it
            why = f"the receiver broke: {error!r}"
            reply = Reply(500, why.encode())
        if not self._noted:
            self.note("refused" if why else "accepted")
        self.reply(reply, why)

    # -- what a fault can do

    @property
    def size(self) -> int:
        try:
            return len(self._request.body(*_DECODERS))
        except Refused:
            return len(self._request.raw)

    def items(self) -> list[Any]:
        try:
            return self.server.receiver.items(self._request)
        except Refused:
            return []

    def note(self, name: str) -> None:
        self._noted = True
        self.server.receiver.faults.note(name)

    def wait(self, seconds: float | None) -> None:
        if not self.server.receiver.stopped:
            self._switched.wait(seconds)
        if self.server.receiver.stopped:
            raise ConnectionAbortedError

    def end_if_abandoned(self) -> None:
        self.connection.settimeout(0)
        try:
            if not self.connection.recv(1, socket.MSG_PEEK):
                raise ConnectionAbortedError
        except BlockingIOError:
            pass  # Nothing to read, and not closed: it is still waiting.
        finally:
            self.connection.settimeout(self.timeout)

    def reply(self, reply: Reply, why: str = "") -> None:
        self.server.receiver.answered(self._attempt, reply, why)
        framing = (
            {"content-length": str(len(reply.body))}
            if reply.stream is None
            else {"transfer-encoding": "chunked"}
        )
        headers = {"content-type": reply.content_type, **framing, **reply.headers}
        if self.close_connection:
            headers["connection"] = "close"
        lines = [f"HTTP/1.1 {reply.status} {_phrase(reply.status)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self._send("\r\n".join([*lines, "", ""]).encode() + reply.body)
        if reply.stream is not None:
            self._send_stream(reply.stream)

    def write(self, data: bytes) -> None:
        self.close_connection = True
        self._send(data)

    def reset(self) -> None:
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)

    def _send_stream(self, stream: Generator[bytes | float, None, None]) -> None:
        with closing(stream):
            try:
                for part in stream:
                    if isinstance(part, bytes):
                        self._send(b"%x\r\n%b\r\n" % (len(part), part))
                    else:
                        self.wait(None if math.isinf(part) else part)
                self._send(b"0\r\n\r\n")
            except Cut:
                self.reset()

    def _send(self, data: bytes) -> None:
        at_once = 0 if self.pace else len(data)
        for at in range(len(data) - at_once):
            self.wfile.write(data[at : at + 1])
            self.wait(self.pace)
        self.wfile.write(data[len(data) - at_once :])


def _decoded(body: bytes) -> list[Span]:
    try:
        return from_otlp(ExportTraceServiceRequest.FromString(body))
    except (DecodeError, ValueError) as error:
        raise Refused(400, f"{type(error).__name__}: {error}") from None


def _accepted(rejected: int) -> bytes:
    if not rejected:
        return _OK
    partly = ExportTracePartialSuccess(rejected_spans=rejected, error_message="some are no good")
    return ExportTraceServiceResponse(partial_success=partly).SerializeToString()


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"


def _unzstd(body: bytes) -> bytes:
    import zstandard  # comes with langsmith

    try:
        return zstandard.ZstdDecompressor().decompressobj().decompress(body)
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from None


_OK = ExportTraceServiceResponse().SerializeToString()
_AT_ONCE = struct.pack("ii", 1, 0)

_DECODERS: dict[str, Callable[[bytes], bytes]] = {
    "identity": lambda body: body,
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
    "zstd": _unzstd,
}
