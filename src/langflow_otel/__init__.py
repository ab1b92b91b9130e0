"""OpenTelemetry tracing for Langflow: every flow run becomes one correct trace.

Importing this package imports neither Langflow nor any vendor's SDK.
"""

from langflow_otel.control import aforce_flush, ashutdown, force_flush, shutdown
from langflow_otel.given import attributes
from langflow_otel.instrumentor import LangflowInstrumentor
from langflow_otel.version import __version__

__all__ = [
    "LangflowInstrumentor",
    "__version__",
    "aforce_flush",
    "ashutdown",
    "attributes",
    "force_flush",
    "shutdown",
]
