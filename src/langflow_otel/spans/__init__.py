"""Flow, component and tool spans: start, make current, record, end. Knows nothing of Langflow."""

from langflow_otel.spans.active import ActiveSpan, Failure
from langflow_otel.spans.component import Component, ComponentSpan
from langflow_otel.spans.flow import Flow, FlowSpan
from langflow_otel.spans.tool import ToolSpan
from langflow_otel.spans.tracer import LangflowTracer

__all__ = [
    "ActiveSpan",
    "Component",
    "ComponentSpan",
    "Failure",
    "Flow",
    "FlowSpan",
    "LangflowTracer",
    "ToolSpan",
]
