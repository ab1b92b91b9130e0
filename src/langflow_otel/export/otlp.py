"""The `langflow_otlp` destination: any OTLP backend, without content unless that is asked for.

An OTLP endpoint is often a company's APM already, so it gets every span, and by default neither
inputs nor outputs. The SDK's own `otlp` exporter sends what it is given.
"""

import importlib
import os

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace.export import SpanExporter

from langflow_otel.export.destination import DestinationSpanExporter
from langflow_otel.guard import logger
from langflow_otel.settings import Settings

_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_GRPC = "opentelemetry.exporter.otlp.proto.grpc.trace_exporter"


class LangflowOtlpSpanExporter(DestinationSpanExporter):
    """Sends every span over OTLP, as the `OTEL_EXPORTER_OTLP_*` variables say.

    Registered as the traces exporter `langflow_otlp`.

    Args:
        content: Whether inputs, outputs, messages and error texts are sent too. Default: only
            where `OTEL_PYTHON_LANGFLOW_CAPTURE_CONTENT` is `true`.
    """

    def __init__(self, *, content: bool | None = None) -> None:
        """See the class."""
        if content is None:
            content = Settings.from_environment().capture_content is True
        super().__init__(_exporter(), ai_only=False, content=content)


def _exporter() -> SpanExporter:
    """Return the exporter for the protocol that is set: HTTP unless gRPC is, and is installed."""
    protocol = next((os.environ[name] for name in _PROTOCOLS if os.environ.get(name)), "")
    if protocol.strip().lower() != "grpc":
        return OTLPSpanExporter()
    try:
        module = importlib.import_module(_GRPC)
    except ImportError:
        logger.warning(
            "langflow-otel: OTLP over gRPC is asked for (%s) and not installed; using "
            "http/protobuf, usually on port 4318",
            " or ".join(_PROTOCOLS),
        )
        return OTLPSpanExporter()
    exporter: SpanExporter = module.OTLPSpanExporter()
    return exporter
