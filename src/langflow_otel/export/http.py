"""OTLP over HTTP: OpenTelemetry's own exporter, on a wire that sees what the backend answers.

The exporter encodes, and knows the `OTEL_EXPORTER_OTLP_*` variables. It also retries by itself for
as long as it likes and keeps the answers to itself, so each answer is noted here, and the exporter
is told that all is well. What comes of it is decided in `resilient`.
"""

import gzip
import math
import os
import time
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Any, Literal

import requests
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.util.re import parse_env_headers
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase, HTTPBasicAuth
from requests.utils import get_auth_from_url

from langflow_otel.export.sending import Answer, Sender, Verdict, verdict_of
from langflow_otel.export.size import size_of

_SHARED_HEADERS = ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS")
_CA_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
# The most seconds that one request may take, as OTEL_EXPORTER_OTLP_TIMEOUT's default.
_REQUEST_SECONDS = 10.0
# Level 1 takes a fifth of the time of gzip's usual 9, for texts a fifth larger.
_GZIP_LEVEL = 1
# An OTLP answer is empty, or tells in a line why spans were refused.
_MAX_ANSWER_BYTES = 2048


def otlp_sender(
    endpoint: str, headers: Mapping[str, str], *, compression: Literal["gzip"] | None = None
) -> Sender:
    """Return what sends spans to `endpoint`, a vendor's full address, with its `headers` only.

    Neither headers nor certificates that `OTEL_EXPORTER_OTLP_*` names for the plain OTLP endpoint
    reach it.
    """
    wire = Wire(own=True, compressed=compression == "gzip")
    exporter = OTLPSpanExporter(
        endpoint=endpoint,
        timeout=_REQUEST_SECONDS,
        compression=Compression.NoCompression,
        session=_session(wire, OwnHeaders(headers)),
    )
    return HttpSender(exporter, wire)


def plain_otlp_sender() -> Sender:
    """Return what sends spans as the `OTEL_EXPORTER_OTLP_*` variables say."""
    wire = Wire(own=False)
    return HttpSender(OTLPSpanExporter(session=_session(wire)), wire)


class HttpSender:
    """Sends with OpenTelemetry's exporter, and tells what the backend answered."""

    def __init__(self, exporter: OTLPSpanExporter, wire: "Wire") -> None:
        """Send with `exporter`, whose session has `wire`."""
        self._exporter = exporter
        self._wire = wire

    def send(self, items: Sequence[ReadableSpan], timeout: float) -> Answer:
        """Send `items` in one request."""
        self._wire.begin(timeout)
        try:
            self._exporter.export(items)
        except Exception as error:  # noqa: BLE001 - an attribute that cannot be encoded
            return Answer(Verdict.INVALID, type(error).__name__)
        # Without a request there was nothing that could be sent of it.
        return self._wire.answer or Answer(Verdict.INVALID, "not encodable, or over 64 MiB")

    def size(self, item: ReadableSpan) -> int:
        """Return about how many bytes `item` takes in a request."""
        return size_of(item)

    def close(self) -> None:
        """Close the connections."""
        self._exporter.shutdown()  # type: ignore[no-untyped-call]
        self._wire.close()


class Wire(HTTPAdapter):
    """Sends one request, once, in time, without redirects, and keeps the answer.

    Args:
        own: To a vendor, so that no certificate of the plain OTLP endpoint is used.
        compressed: Whether bodies are compressed here, quickly.
        taken: Statuses besides those of 2xx that say that all was taken.
    """

    def __init__(
        self, *, own: bool, compressed: bool = False, taken: frozenset[int] = frozenset()
    ) -> None:
        """See the class."""
        super().__init__(max_retries=0)
        self.own = own
        self.compressed = compressed
        self._taken = taken
        self.begin(_REQUEST_SECONDS)

    def begin(self, timeout: float) -> None:
        """Let the next request take `timeout` seconds; there is no answer yet."""
        self.answer: Answer | None = None
        self._until = time.monotonic() + timeout

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,  # noqa: FBT001, FBT002
        timeout: Any = None,
        verify: bool | str = True,  # noqa: FBT001, FBT002
        cert: Any = None,
        proxies: dict[str, str] | None = None,
    ) -> requests.Response:
        """Send `request`; return that all is well, whatever the answer was."""
        if self.own:
            bundles = (os.environ.get(name) for name in _CA_BUNDLES)
            verify, cert = next((bundle for bundle in bundles if bundle), True), None
        if self.compressed and isinstance(request.body, bytes):
            request.body = gzip.compress(request.body, _GZIP_LEVEL, mtime=0)
            request.headers["Content-Encoding"] = "gzip"
            request.headers["Content-Length"] = str(len(request.body))
        # As requests takes it: one number, or one to connect and one to read.
        allowed = max(timeout) if isinstance(timeout, tuple) else timeout or _REQUEST_SECONDS
        seconds = max(0.001, min(allowed, self._until - time.monotonic()))
        try:
            with super().send(request, True, (seconds, seconds), verify, cert, proxies) as response:
                self.answer = self._read(response)
        except (requests.RequestException, OSError, ValueError) as error:
            self.answer = _answer_of(error)
        return _all_is_well(request)

    def _read(self, response: requests.Response) -> Answer:
        status = response.status_code
        body = self._body(response) if status == 200 else b""
        return Answer(
            Verdict.TAKEN if status in self._taken else verdict_of(status),
            f"HTTP {status}",
            retry_after=seconds_of(response.headers.get("retry-after")),
            rejected=_rejected(body),
        )

    def _body(self, response: requests.Response) -> bytes:
        """Return the answer's text; "" where it is long, or dripped in slower than time allows."""
        length = response.headers.get("content-length", "")
        if not length.isdigit() or int(length) > _MAX_ANSWER_BYTES:
            return b""
        body = b""
        # Byte by byte, out of a buffer: each wait on the socket ends, all of them need not.
        while len(body) < int(length):
            byte = response.raw.read(1)
            if not byte or time.monotonic() > self._until:
                return b""
            body += byte
        return body


class OwnHeaders(AuthBase):
    """Sets `headers` on each request, and takes off those meant for the plain OTLP endpoint.

    The OTLP exporter adds `OTEL_EXPORTER_OTLP_HEADERS`, often another vendor's key, to whatever
    endpoint it is given.
    """

    def __init__(self, headers: Mapping[str, str]) -> None:
        """Send `headers`."""
        self._headers = dict(headers)
        self._foreign = [
            name
            for variable in _SHARED_HEADERS
            for name in parse_env_headers(os.environ.get(variable, ""), liberal=True)
        ]

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Settle the headers of `request`."""
        for name in self._foreign:
            request.headers.pop(name, None)
        # An authentication of our own keeps requests from using that of the address.
        user, password = get_auth_from_url(request.url or "")
        if user or password:
            HTTPBasicAuth(user, password)(request)
        request.headers.update(self._headers)
        return request


def seconds_of(retry_after: str | None) -> float | None:
    """Return the seconds that a `Retry-After` header asks for (RFC 9110, 10.2.3)."""
    if not retry_after:
        return None
    try:
        seconds = float(retry_after)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(retry_after).timestamp() - time.time()
        except (TypeError, ValueError, OverflowError):
            return None
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _session(wire: Wire, auth: AuthBase | None = None) -> requests.Session:
    session = requests.Session()
    session.auth = auth
    session.mount("http://", wire)
    session.mount("https://", wire)
    return session


def _answer_of(error: Exception) -> Answer:
    permanent = isinstance(
        error, ValueError | requests.exceptions.SSLError | requests.exceptions.InvalidURL
    ) and not isinstance(error, requests.ConnectionError)
    return Answer(Verdict.FAILED if permanent else Verdict.BUSY, type(error).__name__)


def _all_is_well(request: requests.PreparedRequest) -> requests.Response:
    response = requests.Response()
    response.status_code = 200
    response.request = request
    response.url = request.url or ""
    return response


def _rejected(body: bytes) -> int:
    try:
        answer = ExportTraceServiceResponse.FromString(body)
    except Exception:  # noqa: BLE001 - protobuf's own, in every version another
        return 0
    return int(answer.partial_success.rejected_spans)
