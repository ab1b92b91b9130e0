"""Agents, the tools they call, and the flows of those: made of Langflow's own agent.

A flow carries each component's source (see `flows.component_code`), so a class uses nothing of
this module but its imports.
"""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from langchain_core.tools import BaseTool, StructuredTool
from lfx.base.models.model import LCModelComponent
from lfx.base.tools.constants import TOOL_OUTPUT_DISPLAY_NAME, TOOL_OUTPUT_NAME
from lfx.base.tools.flow_tool import FlowTool
from lfx.components.input_output import ChatInput, ChatOutput
from lfx.components.langchain_utilities import ToolCallingAgentComponent
from lfx.components.models_and_agents import AgentComponent
from lfx.custom.custom_component.component import Component
from lfx.field_typing import LanguageModel
from lfx.graph.graph.base import Graph
from lfx.graph.vertex.base import Vertex
from lfx.helpers import get_flow_inputs
from lfx.io import FloatInput, MessageTextInput, NestedDictInput, Output
from lfx.schema.data import Data
from lfx.schema.message import Message
from opentelemetry import trace

from langflow_otel.demo.chat_model import ScriptedChatModel
from langflow_otel.demo.components import ScriptedModelComponent
from langflow_otel.demo.flows import Flow, FlowBuilder, add_agent

Call = dict[str, Any]
#: Adds an agent to a flow, as `add_agent`.
AddAgent = Callable[..., str]

# An agent with one output, as those of old, is one tool; now there is a structured one as well.
HELPER_TOOL = (
    "Call_Agent"
    if len([output for output in AgentComponent.outputs if output.tool_mode]) == 1
    else "Call_Agent_message_response"
)


class BrokenComponent(Component):
    """A tool that fails."""

    display_name = "Broken"
    description = "Never works."
    name = "Broken"
    inputs = [MessageTextInput(name="what", display_name="What", tool_mode=True)]
    outputs = [Output(display_name="Out", name="out", method="break_down")]

    def break_down(self) -> Message:
        msg = f"cannot do {self.what}"
        raise LookupError(msg)


class SlowComponent(Component):
    """A tool that takes its time, and works under a span of its own meanwhile."""

    display_name = "Slow"
    description = "Takes its time."
    name = "Slow"
    inputs = [
        MessageTextInput(name="what", display_name="What", tool_mode=True),
        FloatInput(name="seconds", display_name="Seconds", value=0.3),
    ]
    outputs = [Output(display_name="Out", name="out", method="dawdle")]

    async def dawdle(self) -> Message:
        with trace.get_tracer("tests.support").start_as_current_span(f"work on {self.what}"):
            await asyncio.sleep(self.seconds)
        return Message(text=f"{self.what} done")


class LibraryComponent(Component):
    """Finds documents, as a tool."""

    display_name = "Library"
    description = "Finds documents."
    name = "Library"
    trace_type = "retriever"
    inputs = [MessageTextInput(name="search_query", display_name="Query", tool_mode=True)]
    outputs = [Output(display_name="Found", name="found", method="find")]

    def find(self) -> list[Data]:
        return [Data(text="Refunds take 14 days.", source="a.pdf", score=0.9, id="a-1")]


class EndlessModelComponent(LCModelComponent):
    """A model that calls a tool at each turn."""

    display_name = "Endless Model"
    name = "EndlessModel"
    inputs = [*LCModelComponent.get_base_inputs()]

    def build_model(self) -> LanguageModel:
        class EndlessModel(ScriptedChatModel):
            def _reply(self, messages, tools):
                said = super()._reply(messages, [])
                if not tools:
                    return said
                call = {
                    "name": "dawdle",
                    "args": {"what": "it"},
                    "id": f"call_{len(messages)}",
                    "type": "tool_call",
                }
                return said.model_copy(update={"content": "", "tool_calls": [call]})

        return EndlessModel()


class FirstToolModelComponent(LCModelComponent):
    """A model that calls the first of its tools, whatever it is called, once, with what it must."""

    display_name = "First Tool Model"
    name = "FirstToolModel"
    inputs = [*LCModelComponent.get_base_inputs()]

    def build_model(self) -> LanguageModel:
        class FirstToolModel(ScriptedChatModel):
            def _reply(self, messages, tools):
                said = super()._reply(messages, [])
                if tools and not any(message.type == "tool" for message in messages):
                    function = tools[0]["function"]
                    call = {
                        "name": function["name"],
                        "args": {name: {} for name in function["parameters"].get("required", ())},
                        "id": "call_1",
                        "type": "tool_call",
                    }
                    return said.model_copy(update={"content": "", "tool_calls": [call]})
                return said

        return FirstToolModel()


class ShelfToolsComponent(Component):
    """Hands on tools that it has not made of itself, as those of Composio or a Python REPL are."""

    display_name = "Shelf of Tools"
    description = "Two tools of another library's."
    name = "ShelfTools"
    inputs = [MessageTextInput(name="text", display_name="Text")]
    outputs = [Output(display_name="Tools", name="tools", method="build", types=["Tool"])]

    def build(self) -> list[BaseTool]:
        class ReverseTool(BaseTool):
            name: str = "reverse"
            description: str = "Reverses a text."

            def _run(self, text: str) -> str:
                return text[::-1]

        def double(text: str) -> str:
            """Say it twice."""
            return text * 2

        return [ReverseTool(), StructuredTool.from_function(double)]


class FlowAsToolComponent(Component):
    """Hands on a tool that runs a flow, as Langflow's Flow as Tool does."""

    display_name = "Flow as Tool"
    description = "A flow."
    name = "FlowAsTool"
    inputs = [
        MessageTextInput(name="tool_name", display_name="Name"),
        NestedDictInput(name="flow", display_name="Flow"),
    ]
    outputs = [Output(display_name="Tool", name="tool", method="build", types=["Tool"])]

    def build(self) -> BaseTool:
        FlowTool.model_rebuild(_types_namespace={"Graph": Graph, "Vertex": Vertex})
        graph = Graph.from_payload(
            self.flow["data"], flow_id=self.flow["id"], flow_name=self.flow["name"]
        )
        return FlowTool(
            name=self.tool_name,
            description="Runs a flow.",
            graph=graph,
            inputs=get_flow_inputs(graph),
            flow_id=self.flow["id"],
            user_id="00000000-0000-0000-0000-000000000001",
            session_id=self.graph.session_id,
        )


def add_old_agent(
    flow: FlowBuilder, model: str, tools: list[str], *, id_: str | None = None, **values: Any
) -> str:
    """Add the agent that Langflow's own was before, wired as by `add_agent`."""
    fields = {field.name for field in ToolCallingAgentComponent.inputs}
    agent = flow.add(ToolCallingAgentComponent, id_=id_, system_prompt="Use the tools.", **values)
    flow.connect(model, "model_output", agent, "model" if "model" in fields else "llm")
    for tool in tools:
        flow.connect(tool, TOOL_OUTPUT_NAME, agent, "tools")
    return agent


def scripted_agent(
    flow: FlowBuilder,
    calls: list[Call],
    *tools: str,
    answer: str = "",
    id_: str = "Agent-demo",
    add: AddAgent = add_agent,
) -> str:
    """Add an agent whose model makes `calls`, to the components in tool mode that are `tools`."""
    script = {"script": [answer]} if answer else {}
    model = flow.add(
        ScriptedModelComponent, id_=f"Model-of-{id_}", tool_calls=json.dumps(calls), **script
    )
    return add(flow, model, list(tools), id_=id_)


def asked(flow: FlowBuilder, agent: str) -> Flow:
    """Chat Input -> the agent -> Chat Output."""
    question, answered = flow.add(ChatInput), flow.add(ChatOutput)
    flow.connect(question, "message", agent, "input_value")
    flow.connect(agent, "response", answered, "input_value")
    return flow.build()


def agent_with(
    name: str,
    calls: list[Call],
    *tools: type[Component],
    add: AddAgent = add_agent,
    **values: Any,
) -> Flow:
    """A flow of an agent that makes `calls` to components in tool mode."""
    flow = FlowBuilder(name)
    added = [flow.add(tool, tool_mode=True, **values) for tool in tools]
    return asked(flow, scripted_agent(flow, calls, *added, add=add))


def agent_with_run_flow(inner: Flow) -> Flow:
    """A flow of an agent whose tool is Langflow's own Run Flow on `inner`, which a server has."""
    from lfx.components.flow_controls import RunFlowComponent

    flow = FlowBuilder("Run flow tool")
    selected = {"flow_name_selected": inner["name"], "flow_id_selected": inner["id"]}
    tool = flow.add(RunFlowComponent, tool_mode=True, **selected)
    return asked(flow, add_agent(flow, flow.add(FirstToolModelComponent), [tool]))


def agent_without_end(turns: int, add: AddAgent = add_agent) -> Flow:
    """A flow of an agent that may have so many turns, and whose model never stops."""
    flow = FlowBuilder("Endless")
    model = flow.add(EndlessModelComponent)
    tool = flow.add(SlowComponent, tool_mode=True, seconds=0.01)
    return asked(flow, add(flow, model, [tool], max_iterations=turns))


def agent_as_tool(calls: list[Call], *tools: type[Component]) -> Flow:
    """A flow of an agent that asks the agent Helper, which makes `calls`, once."""
    flow = FlowBuilder("Two agents")
    added = [flow.add(tool, tool_mode=True) for tool in tools]
    helper = scripted_agent(flow, calls, *added, id_="Agent-helper")
    as_tool(flow.node(helper), "Helper")
    agent = scripted_agent(
        flow, [{"name": HELPER_TOOL, "args": {"input_value": "help"}}], helper, id_="Agent-demo"
    )
    return asked(flow, agent)


def as_tool(node: dict[str, Any], name: str) -> None:
    """Set the node of a component to tool mode, as the editor does."""
    toolset = Output(
        name=TOOL_OUTPUT_NAME,
        display_name=TOOL_OUTPUT_DISPLAY_NAME,
        method="to_toolkit",
        types=["Tool"],
        selected="Tool",
    )
    node |= {
        "display_name": name,
        "tool_mode": True,
        "outputs": [toolset.model_dump(mode="json")],
    }


def agent_with_library_tools(calls: list[Call]) -> Flow:
    """A flow of an agent that makes `calls` to `reverse` and `double`."""
    flow = FlowBuilder("Library tools")
    shelf, agent = flow.add(ShelfToolsComponent), scripted_agent(flow, calls)
    flow.connect(shelf, "tools", agent, "tools")
    return asked(flow, agent)


def agent_with_flow_tool(inner: Flow, argument: str) -> Flow:
    """A flow of an agent whose tool `ask` is the flow `inner`."""
    flow = FlowBuilder("Flow tool")
    tool = flow.add(FlowAsToolComponent, flow=inner, tool_name="ask")
    agent = scripted_agent(flow, [{"name": "ask", "args": {argument: "{input}"}}])
    flow.connect(tool, "tool", agent, "tools")
    return asked(flow, agent)
