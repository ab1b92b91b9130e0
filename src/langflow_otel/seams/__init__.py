"""Where Langflow is wrapped. Only the rooms in here know Langflow's classes and versions.

Each row of the table names a module, a function in it, and what is wrapped around it as soon as
the module is imported. What a version of Langflow does not have is skipped.
"""

from langflow_otel.leaving import Leaving
from langflow_otel.pipeline import Pipeline
from langflow_otel.seams import langchain_runs, pauses, runs, stored, users
from langflow_otel.seams.component import ComponentSeam
from langflow_otel.seams.embedding import EmbeddingSeam
from langflow_otel.seams.flow import FlowSeam
from langflow_otel.seams.flush import flush_rows
from langflow_otel.seams.langchain import turn_on_langchain
from langflow_otel.seams.lfx_metrics import export_of_lfx, genai_metrics_of_lfx
from langflow_otel.seams.mcp import McpSeam
from langflow_otel.seams.outgoing import OutgoingSeam
from langflow_otel.seams.patches import Patches
from langflow_otel.seams.request import RequestSeam
from langflow_otel.seams.secrets import SecretSeam
from langflow_otel.seams.server import ServerSeam
from langflow_otel.seams.tool import ToolSeam
from langflow_otel.seams.vendors import VendorSeam
from langflow_otel.settings import Settings
from langflow_otel.spans import LangflowTracer

__all__ = ["Patches", "install"]

_GRAPH = "lfx.graph.graph.base"
_COMPONENT = "lfx.custom.custom_component.component"
_TOOLS = "langchain_core.tools.base"
_LLM_METRICS = "lfx.observability_llm_metrics"
_MODELS = "langflow.services.database.models"


def install(
    tracer: LangflowTracer, pipeline: Pipeline, settings: Settings, leaving: Leaving
) -> Patches:
    """Wrap every seam, now or when its module is imported; `Patches.remove` undoes it all."""
    patches = Patches()
    embedding, tool = EmbeddingSeam(tracer, patches), ToolSeam(tracer, patches)
    component = ComponentSeam(tracer, embedding)
    secrets = SecretSeam(settings.names.hides)
    outgoing = OutgoingSeam(settings.propagate_excluded_hosts)
    mcp = McpSeam(tracer, outgoing.carrier)
    for module, function, wrapper in (
        *FlowSeam(tracer).rows(),
        (_GRAPH, "Graph.build_checkpoint", pauses.save),
        ("lfx.graph.checkpoint.resume", "restore_graph_from_checkpoint", pauses.restore),
        (_GRAPH, "Graph.build_vertex", component.build_vertex),
        (_COMPONENT, "Component._build_results", component.inputs),
        (_COMPONENT, "Component.log", component.log),
        ("lfx.base.tools.component_tool", "ComponentToolkit.get_tools", tool.get_tools),
        (_TOOLS, "BaseTool.run", tool.run),
        (_TOOLS, "BaseTool.arun", tool.arun),
        *mcp.rows(),
        *embedding.rows(),
        *runs.rows(),
        *users.rows(),
        *secrets.rows(),
        *VendorSeam(pipeline.destinations, settings).rows(),
        *RequestSeam().rows(),
        *outgoing.rows(),
        ("uvicorn.server", "Server.shutdown", ServerSeam(leaving, settings.grace_period).shutdown),
        *flush_rows(pipeline, settings),
        ("langchain_core.tracers.base", "BaseTracer.on_llm_new_token", langchain_runs.first_token),
        *langchain_runs.ROWS,
        (_LLM_METRICS, "LLMProviderMetricsCallbackHandler._finish", genai_metrics_of_lfx),
        ("lfx.observability", "ApplicationOnlyMetricExporter._allowed", export_of_lfx),
    ):
        patches.wrap(module, function, wrapper)
    # By the time the graph's module is imported, all of langchain_core is, so that this import
    # of the instrumentor cannot meet a half-imported one.
    patches.when_imported(
        _GRAPH,
        lambda _: turn_on_langchain(pipeline.provider, settings, content=pipeline.captures_content),
    )
    patches.when_imported(f"{_MODELS}.variable.model", secrets.watch_types)
    patches.when_imported(f"{_MODELS}.flow.model", stored.watch_names)
    return patches
