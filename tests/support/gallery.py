"""The shapes of a run that docs/gallery.md shows: what is run in process, and what the page says.

The page's prose is written by hand; its trees are written by tools/gallery.py, and compared with
real runs by the tests.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

from lfx.events.event_manager import create_default_event_manager

from langflow_otel.demo.components import WeatherComponent
from langflow_otel.demo.flows import agent_flow, chat_flow, failing_flow
from tests.support import agents, flows
from tests.support.select import only
from tests.support.server import LangflowServer
from tests.support.spans import Span
from tests.support.starters import starter
from tests.support.tree import render

PAGE = Path(__file__).parents[2] / "docs" / "gallery.md"
SESSION = "gallery"
MOST_BYTES = 200_000
"""Of a picture."""


@dataclass(frozen=True)
class Shape:
    """One kind of run.

    Attributes:
        title: the heading on the page, which the tree is below.
        run: runs it, in process.
        select: the span that is open in the picture; "" where there is no picture.
    """

    title: str
    run: Callable[[], Awaitable[Any]]
    select: str = ""


@dataclass(frozen=True)
class Served:
    """One that needs a server: `run` is given it, and the values of starter projects' fields.

    It returns the name of the flow that it has run.
    """

    title: str
    run: Callable[[LangflowServer, Mapping[str, Any]], str]
    select: str = ""


def shown(title: str, page: str | None = None) -> str:
    """The tree that the page shows below a heading."""
    text = PAGE.read_text() if page is None else page
    found = re.search(_BLOCK.format(re.escape(title)), text, re.DOTALL | re.MULTILINE)
    assert found, f"docs/gallery.md shows no tree for {title!r}"
    return found[2]


def picture(title: str) -> Path:
    """Where the picture of a shape is."""
    return PAGE.parent / "images" / "gallery" / f"{re.sub('[^a-z]+', '-', title.lower())}.png"


def with_tree(page: str, title: str, tree: str) -> str:
    """The page with another tree below a heading."""
    shown(title, page)
    block = _BLOCK.format(re.escape(title))
    return re.sub(
        block, lambda found: f"{found[1]}{tree}\n```", page, flags=re.DOTALL | re.MULTILINE
    )


_BLOCK = r"(^## {}\n(?:(?!^## ).)*?^```text\n)(.*?)\n```"


def trace_of(span: Span, spans: Iterable[Span]) -> list[Span]:
    """The trace of a span, and what that is linked to."""
    everything = list(spans)
    trace = [one for one in everything if one.trace_id == span.trace_id]
    linked = {link.span_id for one in trace for link in one.links}
    return [*trace, *(one for one in everything if one.span_id in linked and one not in trace)]


def drawn(spans: Iterable[Span]) -> str:
    """The trees as the page shows them: AI spans, and those of an MCP server.

    A root that is linked to another span says to which.
    """
    everything = list(spans)
    names = {span.span_id: span.name for span in everything}
    kept = only(everything, lambda span: bool(span.kind) or span.scope == "mcp_server")
    return render(replace(span, name=_with_links(span, names)) for span in kept)


def _with_links(span: Span, names: Mapping[str, str]) -> str:
    linked = [names[link.span_id] for link in span.links if link.span_id in names]
    return f"{span.name} (linked to {', '.join(linked)})" if linked else span.name


def parts(tree: str) -> list[Any]:
    """A tree to be compared: its lines, each with what is below it, in whatever order."""
    lines = tree.splitlines()

    def below(depth: int) -> list[Any]:
        found = []
        while lines and (len(lines[0]) - len(lines[0].lstrip())) // 2 == depth:
            line = lines.pop(0).strip()
            found.append((line, below(depth + 1)))
        return sorted(found)

    return below(0)


async def _stream() -> None:
    manager = create_default_event_manager(asyncio.Queue())
    flow = flows.streamed_by_chat_output()
    await flows.run_flow(flow, "Tell me", session_id=SESSION, event_manager=manager)


async def _fail() -> None:
    with suppress(ValueError):
        await flows.run_flow(failing_flow(), "4711", session_id=SESSION)


async def _cancel() -> None:
    run = asyncio.create_task(flows.run_flow(flows.slow(3600), session_id=SESSION))
    await asyncio.sleep(1)
    run.cancel()
    with suppress(asyncio.CancelledError):
        await run


async def _pause() -> None:
    from lfx.run.hitl import run_graph_with_human_input

    from tests.support.pause_flows import guarded_tool

    graph = flows.graph_of(guarded_tool(), user_id="anna")
    graph.session_id = SESSION
    await run_graph_with_human_input(
        graph,
        decision_provider=lambda _: {"action_id": "approve", "values": {}},
        input_value="What is the weather in Oslo?",
    )


async def _mcp() -> None:
    from tests.support import mcp

    # As in a bare lfx: the component takes the server from the flow.
    with (
        mock.patch.dict(sys.modules, {"langflow.api": None}),
        mock.patch.dict(os.environ, {"LANGFLOW_SSRF_ALLOWED_HOSTS": "127.0.0.1"}),
        mcp.server("http", os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"]) as config,
    ):
        flow = mcp.agent(config, [{"name": "add", "args": {"a": 1, "b": 2}}])
        await flows.run_flow(flow, "What is 1 + 2?", session_id=SESSION)


async def _flow_as_tool() -> None:
    from lfx.helpers.flow import run_flow

    # As in a bare lfx: Langflow's own looks the flow up in its database first.
    with mock.patch("lfx.base.tools.flow_tool.run_flow", run_flow):
        flow = agents.agent_with_flow_tool(chat_flow(), "chat_input")
        await flows.run_flow(flow, "Ask the flow", session_id=SESSION)


def _failing_tool() -> flows.Flow:
    calls = [{"name": "break_down", "args": {"what": "the impossible"}}]
    return agents.agent_with("Failing tool", calls, agents.BrokenComponent)


def _two_agents() -> flows.Flow:
    calls = [{"name": "get_weather", "args": {"city": "Oslo"}}]
    return agents.agent_as_tool(calls, WeatherComponent)


def _running(make: Callable[[], flows.Flow], text: str) -> Callable[[], Awaitable[Any]]:
    return lambda: flows.run_flow(make(), text, session_id=SESSION)


IN_PROCESS = (
    Shape("A chat", _running(chat_flow, "What is a trace?"), select="ScriptedChatModel"),
    Shape(
        "An agent with tools, called at once",
        _running(agent_flow, "What is the weather in Paris, and how far is it from Berlin?"),
        select="ScriptedChatModel",
    ),
    Shape(
        "A tool that fails",
        _running(_failing_tool, "Do the impossible"),
        select="break_down",
    ),
    Shape("A tool of an MCP server", _mcp, select="add"),
    Shape("A flow as a tool", _flow_as_tool, select="ask"),
    Shape("An agent as a tool", _running(_two_agents, "Help me"), select="Helper"),
    Shape("A flow in a flow", _running(flows.flow_in_flow, "hello"), select="Inner"),
    Shape("A loop", _running(flows.loop_over_items, "red, green, blue"), select="Shout"),
    Shape("A stream", _stream, select="ScriptedChatModel"),
    Shape("A failure", _fail, select="Order Lookup"),
    Shape("A run that waits for a human", _pause, select="get_weather"),
    Shape("A cancelled run", _cancel, select="Wait"),
)


def _starter(name: str) -> Callable[[LangflowServer, Mapping[str, Any]], str]:
    def run(server: LangflowServer, values: Mapping[str, Any]) -> str:
        flow = server.upload(starter(name, **values))
        server.run(flow, "What is the bridge made of?", session_id=SESSION)
        return name

    return run


def _background(server: LangflowServer, _: Mapping[str, Any]) -> str:
    server.build(server.upload(chat_flow()), "What is a trace?", "streaming", SESSION)
    return "Chat"


def _two_services(server: LangflowServer, _: Mapping[str, Any]) -> str:
    other = server.upload(flows.linear_chat("Elsewhere it is sunny.", name="Weather service"))
    url = f"{server.endpoint}/api/v1/run/{other}"
    caller = server.upload(flows.call_elsewhere(url, server.api_key))
    server.run(caller, "How is the weather?", session_id=SESSION)
    return "Call elsewhere"


STARTERS = {
    "Vector Store RAG": Served("Retrieval", _starter("Vector Store RAG"), select="Knowledge"),
    "Travel Planning Agents": Served(
        "Several agents", _starter("Travel Planning Agents"), select="ChatOpenAI"
    ),
    "Research Translation Loop": Served(
        "A loop that calls a model", _starter("Research Translation Loop"), select="Language Model"
    ),
}
SERVED = (
    *STARTERS.values(),
    Served("Two services", _two_services, select="Elsewhere"),
    Served("A job in the background", _background, select="ScriptedChatModel"),
)
