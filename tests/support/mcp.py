"""MCP servers that run while a test does, and the flows that call them."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from langchain_core.tools import BaseTool
from lfx.base.mcp.util import update_tools
from lfx.components.input_output import ChatOutput
from lfx.custom.custom_component.component import Component
from lfx.io import NestedDictInput, Output

from langflow_otel.demo.flows import Flow, FlowBuilder
from tests.support import agents
from tests.support.components import RowsComponent
from tests.support.process import free_port
from tests.support.versions import before

_SERVER = str(Path(__file__).parent / "sums" / "server.py")
Config = dict[str, Any]


#: Whether Langflow's own component takes a server from the flow; before, from a database alone.
STANDS_ALONE = not before("1.10")


class OwnMcpToolsComponent(Component):
    """Hands on the tools of a server, by what Langflow's own component does it by."""

    display_name = "MCP Tools"
    name = "MCPTools"
    inputs = [NestedDictInput(name="mcp_server", display_name="Server")]
    outputs = [Output(display_name="Tools", name="tools", method="build", types=["Tool"])]

    async def build(self) -> list[BaseTool]:
        server = self.mcp_server
        _, tools, _ = await update_tools(server["name"], server["config"])
        return tools


def component() -> Any:
    """Langflow's MCP Tools; before Langflow 1.10 one of our own."""
    if not STANDS_ALONE:
        return OwnMcpToolsComponent
    from lfx.components.models_and_agents.mcp_component import MCPToolsComponent

    return MCPToolsComponent


@contextlib.contextmanager
def server(transport: str, endpoint: str) -> Iterator[Config]:
    """A server of sums, as Langflow is told of it; over stdio Langflow starts it itself."""
    if transport == "stdio":
        yield {"command": sys.executable, "args": [_SERVER, endpoint]}
        return
    port = free_port()
    process = subprocess.Popen([sys.executable, _SERVER, endpoint, str(port)])
    try:
        _wait_for(port)
        yield {"url": f"http://127.0.0.1:{port}/mcp"}
    finally:
        process.terminate()
        process.wait(30)


def agent(config: Config, calls: list[agents.Call]) -> Flow:
    """A flow of an agent that makes `calls` to the tools of the server."""
    flow = FlowBuilder("MCP agent")
    tools = flow.add(component(), tool_mode=STANDS_ALONE, mcp_server=_named(config))
    if STANDS_ALONE:
        return agents.asked(flow, agents.scripted_agent(flow, calls, tools))
    agent = agents.scripted_agent(flow, calls)
    flow.connect(tools, "tools", agent, "tools")
    return agents.asked(flow, agent)


def alone(config: Config, tool: str, **arguments: Any) -> Flow:
    """MCP Tools, which calls one tool itself -> Rows -> Chat Output."""
    flow = FlowBuilder("MCP alone")
    answered = flow.add(ChatOutput)
    tools = flow.add(component(), mcp_server=_named(config), tool=tool)
    node = flow.node(tools)
    # What the editor does not show is not loaded.
    node["template"]["tool"]["show"] = True
    for name, value in arguments.items():
        node["template"][name] = {"type": "int", "name": name, "value": value, "show": True}
    rows = flow.add(RowsComponent)
    flow.connect(tools, "response", rows, "table")
    flow.connect(rows, "joined", answered, "input_value")
    return flow.build()


def _named(config: Config) -> Config:
    return json.loads(json.dumps({"name": "sums", "config": config}))


def _wait_for(port: int) -> None:
    for _ in range(300):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.1)
    raise TimeoutError(f"nothing listens on {port}")
