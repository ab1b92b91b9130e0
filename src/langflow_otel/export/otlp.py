"""The `langflow_otlp` destination: any OTLP backend, without content unless that is asked for.

An OTLP endpoint is often a company's APM already, so it gets every span, and by default neither
inputs nor outputs. The SDK's own `otlp` exporter sends what it is given.
"""

import importlib
import importlib.util
import os
from urllib.parse import urlsplit

from opentelemetry.sdk.trace import ReadableSpan

from langflow_otel.destinations import OTLP_ENDPOINTS, is_under_the_distro
from langflow_otel.export.destination import DestinationSpanExporter
from langflow_otel.export.dialect import Dialect, span_in_dialect
from langflow_otel.export.http import plain_otlp_sender
from langflow_otel.export.sending import ExporterSender, Sender
from langflow_otel.guard import warn_once
from langflow_otel.selection import is_ai_span
from langflow_otel.settings import Mask, Settings
from langflow_otel.variables import wrong

_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_HTTP, _GRPC = "http/protobuf", "grpc"
_HTTP_PORT = 4318
_GRPC_EXPORTER = "opentelemetry.exporter.otlp.proto.grpc.trace_exporter"
# It sets the protocol where nobody did.
_BY_DISTRO = ", which opentelemetry-instrument sets unless you do"
# APMs read GenAI's attributes, LLM backends behind a collector OpenInference's.
_DIALECT: Dialect = "both"
# A gRPC server takes 4 MiB in one message unless it is told otherwise.
_GRPC_BYTES, _HTTP_BYTES = 3 << 20, 8 << 20


class LangflowOtlpSpanExporter(DestinationSpanExporter):
    """Sends every span over OTLP, as the `OTEL_EXPORTER_OTLP_*` variables say.

    Registered as the traces exporter `langflow_otlp`.

    Args:
        content: Whether inputs, outputs, messages and error texts are sent too. Default: only
            where `OTEL_PYTHON_LANGFLOW_CONTENT_OTLP` is `full`, or
            `OTEL_PYTHON_LANGFLOW_CAPTURE_CONTENT` is `true`.
        mask: Called with every text of content; returns what is sent instead.
        settings: Instead of what the environment and `mask` say.
    """

    def __init__(
        self,
        *,
        content: bool | None = None,
        mask: Mask | None = None,
        settings: Settings | None = None,
    ) -> None:
        """See the class."""
        protocol = _protocol()
        settings = settings or Settings.from_environment(arguments={"mask": mask})
        super().__init__(
            "otlp",
            _grpc_sender() if protocol == _GRPC else plain_otlp_sender(),
            settings=settings,
            ai_only=False,
            content=content,
            credentials="OTEL_EXPORTER_OTLP_HEADERS",
            max_bytes=_GRPC_BYTES if protocol == _GRPC else _HTTP_BYTES,
        )
        self._dialect = settings.dialect or _DIALECT

    def translate(self, span: ReadableSpan) -> ReadableSpan:
        """Return `span` in the dialect that is set; one that is not an AI span as it is."""
        return span_in_dialect(span, self._dialect) if is_ai_span(span) else span


def _protocol() -> str:
    """Return the protocol that is set: HTTP unless gRPC is, and is installed."""
    name = next((name for name in _PROTOCOLS if os.environ.get(name, "").strip()), "")
    protocol = os.environ[name].strip().lower() if name else _HTTP
    if protocol == _HTTP:
        return _HTTP
    if protocol != _GRPC:
        wrong(name, protocol, f"{_HTTP}, {_GRPC}", _HTTP)
        return _HTTP
    by_distro = _BY_DISTRO if name == _PROTOCOLS[-1] and is_under_the_distro() else ""
    if by_distro and _is_http_by_address():
        warn_once(
            "langflow-otel: OTLP goes over %s, not %s%s: its address says so",
            _HTTP,
            _GRPC,
            by_distro,
        )
        return _HTTP
    if importlib.util.find_spec(_GRPC_EXPORTER.rpartition(".")[0]) is None:
        warn_once(
            "langflow-otel: OTLP over gRPC is asked for (%s%s) and not installed (pip install "
            "opentelemetry-exporter-otlp-proto-grpc); using %s, usually on port %d",
            name,
            by_distro,
            _HTTP,
            _HTTP_PORT,
        )
        return _HTTP
    return _GRPC


def _is_http_by_address() -> bool:
    """Tell whether the address is one of OTLP over HTTP: an address of gRPC has no path."""
    told = (os.environ.get(name, "").strip() for name in OTLP_ENDPOINTS)
    address = next(filter(None, told), "")
    try:
        parts = urlsplit(address if "://" in address else f"http://{address}")
    except ValueError:
        # Whoever is given that says so.
        return False
    return bool(parts.path.strip("/")) or parts.netloc.endswith(f":{_HTTP_PORT}")


def _grpc_sender() -> Sender:
    return ExporterSender(importlib.import_module(_GRPC_EXPORTER).OTLPSpanExporter())
