"""Flows that stop for a human to decide; Langflow can from 1.11 on."""

from __future__ import annotations

import json
from typing import Any

from lfx.components.flow_controls.human_input import HumanInput
from lfx.components.input_output import ChatInput, ChatOutput

from langflow_otel.demo.components import ScriptedModelComponent, WeatherComponent
from langflow_otel.demo.flows import Flow, FlowBuilder, add_agent
from tests.support import components as shared
from tests.support.flows import graph_of


async def run(flow: Flow, action: str = "approve", **values: Any) -> None:
    """Run it to its end, in the session s1; each time it stops a human decides so."""
    from lfx.run.hitl import run_graph_with_human_input

    graph = graph_of(flow, user_id="user-7")
    graph.session_id = "s1"
    decision = {"action_id": action, "values": values}
    await run_graph_with_human_input(
        graph, decision_provider=lambda _: decision, input_value="hello"
    )


def decision(prompt: str = "Shall I?", name: str = "Decision", twice: bool = False) -> Flow:
    """Chat Input -> Human Input -> Approved or Rejected -> Chat Output.

    With `twice` there is another Human Input, `Second`, behind Approved.
    """
    flow = FlowBuilder(name)
    question, answered = flow.add(ChatInput), flow.add(ChatOutput)
    human = flow.add(HumanInput, prompt=prompt)
    flow.connect(question, "message", human, "prompt")
    approved = flow.add(
        shared.WaitComponent, id_="Wait-approved", display_name="Approved", label="yes", seconds=0
    )
    rejected = flow.add(
        shared.WaitComponent, id_="Wait-rejected", display_name="Rejected", label="no", seconds=0
    )
    flow.connect(human, "branch_approve", approved, "text")
    flow.connect(human, "branch_reject", rejected, "text")
    last = approved, "waited"
    if twice:
        second = flow.add(HumanInput, id_="HumanInput-second", display_name="Second")
        flow.connect(approved, "waited", second, "prompt")
        last = second, "branch_approve"
    flow.connect(*last, answered, "input_value")
    return flow.build()


def guarded_tool() -> Flow:
    """Chat Input -> Agent, which may call Weather only when a human approves -> Chat Output."""
    flow = FlowBuilder("Guarded tool")
    question, answered = flow.add(ChatInput), flow.add(ChatOutput)
    calls = [{"name": "get_weather", "args": {"city": "Oslo"}}]
    model = flow.add(ScriptedModelComponent, tool_calls=json.dumps(calls))
    weather = flow.add(WeatherComponent, tool_mode=True)
    flow.node(weather)["template"]["tools_metadata"] = {
        "name": "tools_metadata",
        "type": "tools",
        "is_list": True,
        "list": True,
        "show": True,
        "value": [
            {
                "name": "get_weather",
                "description": "The weather in a city.",
                "tags": ["get_weather"],
                "status": True,
                "display_name": "get_weather",
                "display_description": "The weather in a city.",
                "args": {},
                "readonly": False,
                "approval_actions": ["approve", "reject"],
            }
        ],
    }
    agent = add_agent(flow, model, [weather])
    flow.connect(question, "message", agent, "input_value")
    flow.connect(agent, "response", answered, "input_value")
    return flow.build()
