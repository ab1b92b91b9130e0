"""The demo's flows, as the JSON that Langflow exports, imports and runs.

`FlowBuilder` puts them together from Langflow's own component classes, so that each fits the
Langflow that is installed.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import json
import sys
import uuid
from typing import Any

from lfx.base.tools.constants import TOOL_OUTPUT_DISPLAY_NAME, TOOL_OUTPUT_NAME
from lfx.components.input_output import ChatInput, ChatOutput
from lfx.components.models_and_agents import AgentComponent, PromptComponent
from lfx.custom.custom_component.component import Component
from lfx.template.field.base import Output

from langflow_otel.demo.components import (
    DistanceComponent,
    OrderLookupComponent,
    ScriptedModelComponent,
    WeatherComponent,
)

Flow = dict[str, Any]
"""A flow as Langflow exports it: `id`, `name`, `description` and `data`."""

AGENT_MODEL_INPUT = next(
    field.name for field in AgentComponent.inputs if field.name in {"model", "agent_llm"}
)
"""Where an Agent takes a connected model: `agent_llm` until Langflow 1.7, `model` since."""


def component_code(component: type[Component]) -> str:
    """Return the source that a flow carries for a component of its own.

    That is the class and its module's imports: older Langflow takes the first component it
    finds in the source for the one that is meant.
    """
    module = sys.modules[component.__module__]
    source = inspect.getsource(module)
    imports = [
        ast.get_source_segment(source, node) or ""
        for node in ast.parse(source).body
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    return "\n".join([*imports, "", "", inspect.getsource(component)])


class FlowBuilder:
    """Builds the JSON of one flow: `add` its components, `connect` them, `build`."""

    def __init__(self, name: str, description: str = "") -> None:
        self._name = name
        self._description = description
        self._nodes: dict[str, dict[str, Any]] = {}
        self._edges: list[dict[str, Any]] = []

    def add(
        self,
        component: type[Component],
        *,
        id_: str | None = None,
        display_name: str | None = None,
        tool_mode: bool = False,
        frozen: bool = False,
        **values: Any,
    ) -> str:
        """Add a component with the values of its fields and return its id."""
        id_ = id_ or f"{component.name or component.__name__}-demo"
        code = None if component.__module__.startswith("lfx.") else component_code(component)
        instance = component(_id=id_, _code=code, **values)
        node = instance.to_frontend_node()["data"]["node"]
        node["frozen"] = frozen
        node["field_order"] = [field.name for field in instance.inputs]
        if display_name:
            node["display_name"] = display_name
        for name in values:
            if "load_from_db" in node["template"][name]:
                node["template"][name]["load_from_db"] = False
        if tool_mode:
            node["tool_mode"] = True
            toolset = Output(
                name=TOOL_OUTPUT_NAME,
                display_name=TOOL_OUTPUT_DISPLAY_NAME,
                method="to_toolkit",
                types=["Tool"],
                selected="Tool",
            )
            node["outputs"] = [toolset.model_dump(mode="json")]
        self._nodes[id_] = {
            "id": id_,
            "type": "genericNode",
            "position": {"x": 400 * len(self._nodes), "y": 0},
            "data": {"id": id_, "type": component.name or component.__name__, "node": node},
        }
        return id_

    def node(self, id_: str) -> dict[str, Any]:
        """Return a component's part of the flow, to change what `add` does not offer."""
        node: dict[str, Any] = self._nodes[id_]["data"]["node"]
        return node

    def connect(self, source: str, output: str, target: str, field: str) -> None:
        """Connect an output to a field, or to an output that takes a loop's result back."""
        source_handle = self._output_handle(source, output)
        template = self.node(target)["template"]
        target_handle = (
            {
                "fieldName": field,
                "id": target,
                "inputTypes": template[field].get("input_types") or source_handle["output_types"],
                "type": template[field]["type"],
            }
            if field in template
            else self._output_handle(target, field)
        )
        if field in template:
            template[field]["input_types"] = target_handle["inputTypes"]
        self._edges.append(
            {
                "id": f"{source}.{output}-{target}.{field}",
                "source": source,
                "target": target,
                "sourceHandle": _handle_text(source_handle),
                "targetHandle": _handle_text(target_handle),
                "data": {"sourceHandle": source_handle, "targetHandle": target_handle},
            }
        )

    def build(self) -> Flow:
        """Return the flow. Its id follows from its name; Langflow keeps UUID5 for itself."""
        digest = hashlib.sha256(self._name.encode()).digest()
        flow = {
            "id": str(uuid.UUID(bytes=digest[:16], version=4)),
            "name": self._name,
            "description": self._description,
            "is_component": False,
            "data": {
                "nodes": list(self._nodes.values()),
                "edges": self._edges,
                "viewport": {"x": 0, "y": 0, "zoom": 0.5},
            },
        }
        text = json.dumps(flow, default=str)  # the defaults of older versions hold a datetime
        return Flow(json.loads(text))

    def _output_handle(self, id_: str, name: str) -> dict[str, Any]:
        output = next(output for output in self.node(id_)["outputs"] if output["name"] == name)
        return {
            "dataType": self._nodes[id_]["data"]["type"],
            "id": id_,
            "name": name,
            "output_types": [*output["types"], *(output.get("loop_types") or [])],
        }


def _handle_text(handle: dict[str, Any]) -> str:
    """Write a handle as Langflow's editor keys it: JSON with œ for the quotes."""
    return json.dumps(handle, ensure_ascii=False, separators=(",", ":")).replace('"', "œ")


def chat_flow() -> Flow:
    """Chat Input -> Prompt Template -> Scripted Model -> Chat Output."""
    flow = FlowBuilder("Chat", "Answers a question from a prompt.")
    question = flow.add(ChatInput)
    prompt = flow.add(PromptComponent, template="Answer in one sentence.\n\n{question}")
    model = flow.add(
        ScriptedModelComponent,
        script=["A trace is the story of one run, told in spans."],
        api_key="sk-demo-not-a-real-key",
        delay=0.2,
    )
    answer = flow.add(ChatOutput)
    flow.connect(question, "message", prompt, "question")
    flow.connect(prompt, "prompt", model, "input_value")
    flow.connect(model, "text_output", answer, "input_value")
    return flow.build()


def agent_flow() -> Flow:
    """Chat Input -> Agent with the tools Weather and Distance -> Chat Output.

    The model calls both tools at once and answers with what they say.
    """
    flow = FlowBuilder("Travel agent", "An agent with two tools.")
    question = flow.add(ChatInput)
    model = flow.add(
        ScriptedModelComponent,
        tool_calls=json.dumps(
            [
                {"name": "get_weather", "args": {"city": "Paris"}},
                {"name": "get_distance", "args": {"origin": "Berlin", "destination": "Paris"}},
            ]
        ),
        api_key="sk-demo-not-a-real-key",
        delay=0.2,
    )
    weather = flow.add(WeatherComponent, tool_mode=True)
    distance = flow.add(DistanceComponent, tool_mode=True)
    agent = add_agent(flow, model, [weather, distance])
    answer = flow.add(ChatOutput)
    flow.connect(question, "message", agent, "input_value")
    flow.connect(agent, "response", answer, "input_value")
    return flow.build()


def failing_flow() -> Flow:
    """Chat Input -> Order Lookup, which raises a LookupError -> Chat Output."""
    flow = FlowBuilder("Order status", "Fails: the order does not exist.")
    question = flow.add(ChatInput)
    lookup = flow.add(OrderLookupComponent)
    answer = flow.add(ChatOutput)
    flow.connect(question, "message", lookup, "order")
    flow.connect(lookup, "order_found", answer, "input_value")
    return flow.build()


def add_agent(
    flow: FlowBuilder,
    model: str,
    tools: list[str],
    *,
    component: type[Component] = AgentComponent,
    id_: str | None = None,
    **values: Any,
) -> str:
    """Add Langflow's Agent, wired to a model's `model_output` and to components in tool mode."""
    agent = flow.add(component, id_=id_, system_prompt="Use the tools to answer.", **values)
    for switch in ("add_current_date_tool", "add_calculator_tool", "verbose"):
        flow.node(agent)["template"].get(switch, {})["value"] = False
    flow.connect(model, "model_output", agent, AGENT_MODEL_INPUT)
    for tool in tools:
        flow.connect(tool, TOOL_OUTPUT_NAME, agent, "tools")
    return agent
