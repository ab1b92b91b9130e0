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
from dataclasses import replace
from email.utils import parsedate_to_datetime
from typing import Any, Literal
from urllib.parse import urlsplit

import orjson
import requests
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.util.re import parse_env_headers
from requests.adapters import DEFAULT_POOLSIZE, HTTPAdapter
from requests.auth import AuthBase, HTTPBasicAuth
from requests.utils import get_auth_from_url
from urllib3.exceptions import HTTPError

from langflow_otel.export.address import usable_address
from langflow_otel.export.sending import NO_SENDER, Answer, Sender, Verdict, verdict_of
from langflow_otel.export.size import size_of
from langflow_otel.export.turns import InTurns
from langflow_otel.export.watchdog import Watch

_SHARED_HEADERS = ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS")
_PLAIN_ENDPOINTS = {
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "/v1/traces",
}
_CA_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
# The most seconds that one request may take, as OTEL_EXPORTER_OTLP_TIMEOUT's default.
_REQUEST_SECONDS = 10.0
# Level 1 takes a fifth of the time of gzip's usual 9, for texts a fifth larger.
_GZIP_LEVEL = 1
# An OTLP answer is empty, or tells why spans were refused.
_MAX_ANSWER_BYTES = 64 << 10


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
    address = None
    for variable, path in _PLAIN_ENDPOINTS.items():
        told = os.environ.get(variable, "").strip()
        if told:
            address = usable_address(variable, told, path)
            if address is None:
                return NO_SENDER
            # The exporter reads it as it stands; without a scheme it could not.
            address = None if "://" in told else address
            break
    return HttpSender(OTLPSpanExporter(endpoint=address, session=_session(wire)), wire)


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
            self._exporter.export(InTurns(items))
        except Exception as error:  # noqa: BLE001 - an attribute that cannot be encoded
            return Answer(Verdict.INVALID, type(error).__name__)
        # Without a request there was nothing that could be sent of it.
        return self._wire.answer or Answer(Verdict.INVALID, "not encodable, or over 64 MiB")

    def hurry(self, seconds: float) -> None:
        """Let the request that is under way end in `seconds`."""
        self._wire.hurry(seconds)

    def renew(self) -> None:
        """Start anew in a forked process."""
        self._wire.renew()

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
        self._watch = Watch()
        super().__init__(max_retries=0)
        self.own = own
        self.compressed = compressed
        self._taken = taken
        self.begin(_REQUEST_SECONDS)

    def begin(self, timeout: float) -> None:
        """Let the next request take `timeout` seconds; there is no answer yet."""
        self.answer: Answer | None = None
        self._until = time.monotonic() + timeout

    def hurry(self, seconds: float) -> None:
        """Let the request that is under way end in `seconds`."""
        self._watch.hurry(time.monotonic() + seconds)

    def renew(self) -> None:
        """Leave the connections to the process that this one was forked from."""
        self._watch = Watch()
        self.init_poolmanager(DEFAULT_POOLSIZE, DEFAULT_POOLSIZE)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make a pool of connections that are watched."""
        super().init_poolmanager(*args, **kwargs)  # type: ignore[no-untyped-call,unused-ignore]
        self.poolmanager.pool_classes_by_scheme = self._watch.pools()

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
        self._watch.begin(time.monotonic() + seconds)
        try:
            with super().send(request, True, (seconds, seconds), verify, cert, proxies) as response:
                answer = self._read(response)
        except (requests.RequestException, HTTPError, OSError, ValueError) as error:
            answer = self._failed(error)
        finally:
            self._watch.done()
        where = urlsplit(request.url or "").netloc.rpartition("@")[2]
        self.answer = replace(answer, detail=f"{answer.detail} at {where}")
        return _all_is_well(request)

    def _failed(self, error: Exception) -> Answer:
        if time.monotonic() >= self._until:
            return Answer(Verdict.BUSY, "no answer in time")
        # A certificate that is no good, or is not there, will not be better in a second.
        refused = isinstance(error, requests.exceptions.SSLError | requests.exceptions.InvalidURL)
        fatal = refused or not isinstance(error, requests.RequestException | HTTPError)
        return Answer(Verdict.FAILED if fatal else Verdict.BUSY, type(error).__name__)

    def _read(self, response: requests.Response) -> Answer:
        status = response.status_code
        # Read to its end, if that comes soon, the connection can be used again.
        body = response.raw.read(_MAX_ANSWER_BYTES, decode_content=True)
        return Answer(
            Verdict.TAKEN if status in self._taken else verdict_of(status),
            f"HTTP {status}",
            retry_after=seconds_of(response.headers.get("retry-after")),
            rejected=_rejected(body, response) if status == 200 else 0,
            status=status,
        )


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
            # These say what is sent, whoever else is told so.
            if not name.lower().startswith("content-")
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


def _all_is_well(request: requests.PreparedRequest) -> requests.Response:
    response = requests.Response()
    response.status_code = 200
    response.request = request
    response.url = request.url or ""
    return response


def _rejected(body: bytes, response: requests.Response) -> int:
    """Return how many spans were refused of a request that was taken (OTLP's partial success)."""
    try:
        if response.headers.get("content-type", "").startswith("application/json"):
            return int(orjson.loads(body)["partialSuccess"]["rejectedSpans"])
        return int(ExportTraceServiceResponse.FromString(body).partial_success.rejected_spans)
    except Exception:  # noqa: BLE001 - nothing was said, or protobuf's, in every version another
        return 0
