"""Where Langflow is wrapped. Only the rooms in here know Langflow's classes and versions.

Each row of the table names a module, a function in it, and what is wrapped around it as soon as
the module is imported. What a version of Langflow does not have is skipped.
"""

from langflow_otel.pipeline import Pipeline
from langflow_otel.seams.component import ComponentSeam
from langflow_otel.seams.flow import FlowSeam
from langflow_otel.seams.langchain import first_token, turn_on_langchain
from langflow_otel.seams.patches import Patches
from langflow_otel.seams.secrets import SecretSeam
from langflow_otel.seams.tool import ToolSeam
from langflow_otel.seams.vendors import VendorSeam
from langflow_otel.settings import Settings
from langflow_otel.spans import LangflowTracer

__all__ = ["Patches", "install"]

_GRAPH = "lfx.graph.graph.base"
_COMPONENT = "lfx.custom.custom_component.component"
_CUSTOM = "lfx.custom.custom_component.custom_component"
_VARIABLES = "langflow.services.variable"
_VARIABLE = "langflow.services.database.models.variable.model"


def install(tracer: LangflowTracer, pipeline: Pipeline, settings: Settings) -> Patches:
    """Wrap every seam, now or when its module is imported; `Patches.remove` undoes it all."""
    flow, component, tool = FlowSeam(tracer), ComponentSeam(tracer), ToolSeam(tracer)
    vendors = VendorSeam(pipeline.destinations, settings)
    secrets = SecretSeam(settings.names.hides)
    patches = Patches()
    for module, function, wrapper in (
        (_GRAPH, "Graph.flow_execution_span", flow.execution_span),
        (_GRAPH, "Graph.arun", flow.arun),
        (_GRAPH, "Graph.async_start", flow.async_start),
        (_GRAPH, "Graph.start", flow.start),
        ("langflow.api.build", "generate_flow_events", flow.build),
        ("lfx.load.load", "aload_flow_from_json", flow.load),
        ("lfx.load", "aload_flow_from_json", flow.load),
        ("langflow.load", "aload_flow_from_json", flow.load),
        (_GRAPH, "Graph.__deepcopy__", flow.copy),
        (_GRAPH, "Graph.copy_for_run", flow.copy),
        ("lfx.preload", "_run_flow_once", flow.preload),
        (_GRAPH, "Graph.build_vertex", component.build_vertex),
        (_COMPONENT, "Component._build_results", component.inputs),
        (_COMPONENT, "Component.log", component.log),
        ("lfx.base.tools.component_tool", "ComponentToolkit.get_tools", tool.get_tools),
        ("lfx.base.tools.component_tool", "disambiguate_tool_names", tool.rename),
        (_VARIABLES + ".service", "DatabaseVariableService.get_variable", secrets.variable),
        (
            _VARIABLES + ".service",
            "DatabaseVariableService.get_all_decrypted_variables",
            secrets.variables,
        ),
        (_VARIABLES + ".kubernetes", "KubernetesSecretService.get_variable", secrets.variable),
        (_CUSTOM, "CustomComponent.get_variable", secrets.asked),
        ("lfx.interface.initialize.loading", "load_from_env_vars", secrets.from_environment),
        *vendors.rows(),
        ("langchain_core.tracers.base", "BaseTracer.on_llm_new_token", first_token),
    ):
        patches.wrap(module, function, wrapper)
    # By the time the graph's module is imported, all of langchain_core is, so that this import
    # of the instrumentor cannot meet a half-imported one.
    patches.when_imported(
        _GRAPH,
        lambda _: turn_on_langchain(pipeline.provider, settings, content=pipeline.captures_content),
    )
    patches.when_imported(_VARIABLE, secrets.watch_types)
    return patches
