"""Flow, component and tool spans: start, make current, record, end. Knows nothing of Langflow."""

from langflow_otel.spans.active import ActiveSpan, Failure
from langflow_otel.spans.component import ComponentSpan
from langflow_otel.spans.embedding import EmbeddingSpan
from langflow_otel.spans.excluded import ExcludedFlow
from langflow_otel.spans.flow import Approval, Flow, FlowSpan
from langflow_otel.spans.model import Model
from langflow_otel.spans.stream import StreamedOutput
from langflow_otel.spans.told import Component
from langflow_otel.spans.tool import Tool, ToolSpan
from langflow_otel.spans.tracer import LangflowTracer

__all__ = [
    "ActiveSpan",
    "Approval",
    "Component",
    "ComponentSpan",
    "EmbeddingSpan",
    "ExcludedFlow",
    "Failure",
    "Flow",
    "FlowSpan",
    "LangflowTracer",
    "Model",
    "StreamedOutput",
    "Tool",
    "ToolSpan",
]
