"""The `langflow_otlp` destination: any OTLP backend, without content unless that is asked for.

An OTLP endpoint is often a company's APM already, so it gets every span, and by default neither
inputs nor outputs. The SDK's own `otlp` exporter sends what it is given.
"""

import importlib
import os

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace.export import SpanExporter

from langflow_otel.export.content import ContentPolicy
from langflow_otel.export.destination import DestinationSpanExporter
from langflow_otel.guard import logger
from langflow_otel.settings import Mask, Settings

_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_GRPC = "opentelemetry.exporter.otlp.proto.grpc.trace_exporter"


class LangflowOtlpSpanExporter(DestinationSpanExporter):
    """Sends every span over OTLP, as the `OTEL_EXPORTER_OTLP_*` variables say.

    Registered as the traces exporter `langflow_otlp`.

    Args:
        content: Whether inputs, outputs, messages and error texts are sent too. Default: only
            where `OTEL_PYTHON_LANGFLOW_CAPTURE_CONTENT` is `true`.
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
        settings = settings or Settings.from_environment(arguments={"mask": mask})
        if content is None:
            content = settings.capture_content is True
        policy = ContentPolicy.of(settings, content=content)
        super().__init__(_exporter(), ai_only=False, content=policy)


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
