"""A local OTLP/HTTP endpoint, as strict as the vendors' own: what it accepted, they would."""

from __future__ import annotations

import gzip
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from tests.support.spans import Span, from_otlp
from tests.support.tree import render

TRACES, METRICS, LOGS = "/v1/traces", "/v1/metrics", "/v1/logs"


@dataclass(frozen=True)
class Request:
    """An accepted request for spans."""

    headers: Mapping[str, str]
    """Names in lower case."""
    spans: tuple[Span, ...]


class OtlpReceiver:
    """Collects the spans sent to it, while the context is open.

    ```
    with OtlpReceiver() as receiver:
        ...  # OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint
        spans = receiver.wait_for(5)
    ```
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._requests: list[Request] = []
        self._rejected: list[str] = []
        self._counts: Counter[str] = Counter()
        self._server = _Server(self)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="otlp-receiver", daemon=True
        )

    @property
    def endpoint(self) -> str:
        """The base, as in OTEL_EXPORTER_OTLP_ENDPOINT."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def traces_endpoint(self) -> str:
        """The full address, as in OTEL_EXPORTER_OTLP_TRACES_ENDPOINT."""
        return self.endpoint + TRACES

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
    def rejected(self) -> list[str]:
        """Why requests were refused, one line each."""
        with self._changed:
            return list(self._rejected)

    @property
    def counts(self) -> Counter[str]:
        """Accepted requests by path; those for metrics and logs are counted and not read."""
        with self._changed:
            return Counter(self._counts)

    def clear(self) -> None:
        """Forget everything so far."""
        with self._changed:
            self._requests.clear()
            self._rejected.clear()
            self._counts.clear()

    def wait_for(
        self, wanted: int | Callable[[list[Span]], Any], timeout: float = 15.0
    ) -> list[Span]:
        """All spans, as soon as there are so many, or the predicate holds; else AssertionError."""

        def enough() -> bool:
            spans = self.spans
            return len(spans) >= wanted if isinstance(wanted, int) else bool(wanted(spans))

        deadline = time.monotonic() + timeout
        with self._changed:
            while not enough():
                left = deadline - time.monotonic()
                if left <= 0:
                    raise AssertionError(
                        f"after {timeout} s: {len(self.spans)} spans, not what was waited for; "
                        f"rejected: {self._rejected}\n{render(self.spans)}"
                    )
                self._changed.wait(left)
            return self.spans

    def close(self) -> None:
        """Stop listening."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join(10)
        self._server.server_close()

    def __enter__(self) -> OtlpReceiver:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _accept(self, path: str, headers: Mapping[str, str], spans: list[Span]) -> None:
        with self._changed:
            self._counts[path] += 1
            if path == TRACES:
                self._requests.append(Request(headers, tuple(spans)))
            self._changed.notify_all()

    def _reject(self, reason: str) -> None:
        with self._changed:
            self._rejected.append(reason)
            self._changed.notify_all()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, receiver: OtlpReceiver) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.receiver = receiver
        self.closed = False

    def server_close(self) -> None:
        self.closed = True
        super().server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60
    server: _Server

    def do_POST(self) -> None:
        length = self.headers.get("content-length", "")
        if not length.isdigit():
            self.close_connection = True
            return self._refuse(411, "no content-length")
        body = self.rfile.read(int(length))
        if self.server.closed:  # A kept-alive connection outlives the listening socket.
            self.close_connection = True
            return None
        if self.path not in (TRACES, METRICS, LOGS):
            return self._refuse(404, "no such path")
        content_type = self.headers.get("content-type", "")
        if content_type != "application/x-protobuf":
            return self._refuse(415, f"content-type {content_type!r}")
        encoding = self.headers.get("content-encoding", "identity")
        if encoding not in _DECODERS:
            return self._refuse(415, f"content-encoding {encoding!r}")
        spans: list[Span] = []
        try:
            body = _DECODERS[encoding](body)
            if self.path == TRACES:
                spans = from_otlp(ExportTraceServiceRequest.FromString(body))
        except (DecodeError, ValueError, OSError, EOFError, zlib.error) as error:
            return self._refuse(400, f"{type(error).__name__}: {error}")
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.receiver._accept(self.path, headers, spans)
        return self._answer(200, "application/x-protobuf", _OK)

    def do_GET(self) -> None:
        self._refuse(405, "only POST")

    def log_message(self, *_: Any) -> None:
        """Silence: the test's output is not an access log."""

    def _refuse(self, status: int, reason: str) -> None:
        self.server.receiver._reject(f"{status} {self.command} {self.path}: {reason}")
        self._answer(status, "text/plain", reason.encode())

    def _answer(self, status: int, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


_OK = ExportTraceServiceResponse().SerializeToString()

_DECODERS: dict[str, Callable[[bytes], bytes]] = {
    "identity": lambda body: body,
    "gzip": gzip.decompress,
    "deflate": zlib.decompress,
}
