"""The doors of a Langflow server besides its API, and those by which an answer is streamed."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from tests.support.http import CallFailed, call, events_as_they_come, leave
from tests.support.lfx_cli import LfxServe
from tests.support.server import LangflowServer, build_answer, good_events
from tests.support.versions import before

#: What a flow says that is open to all of them.
OPEN = {"access_type": "PUBLIC", "flow_type": "agent", "a2a_enabled": True}
ENVIRONMENT = {
    "LANGFLOW_A2A_ENABLED": "true",
    # The models of the tests are such.
    "LANGFLOW_ALLOW_PUBLIC_CUSTOM_COMPONENTS": "true",
}
#: 1.7 never answers a visitor here, traced or not; 1.12 refuses what is no component of its own.
BUILDS_PUBLIC = not before("0.3") and (before("1.12") or not before("1.13"))


def has_a2a() -> bool:
    """Whether this Langflow speaks A2A, found out without importing it: that changes its flows."""
    found = importlib.util.find_spec("langflow")
    return (
        bool(found and found.origin) and Path(found.origin, "../api/v1/a2a.py").resolve().exists()
    )


def build_public(server: LangflowServer, flow_id: str, text: str) -> str:
    """POST /api/v1/build_public_tmp, the way of the shareable playground."""
    path = f"{server.endpoint}/api/v1/build_public_tmp/{flow_id}/flow?event_delivery=direct"
    headers = {**server.headers, "cookie": f"client_id={uuid4()}"}
    answer = call("POST", path, {"inputs": {"input_value": text}}, headers)
    return build_answer(good_events(answer))


def run_public(server: LangflowServer, flow_id: str, text: str) -> str:
    """POST /api/v2/workflows/public, the way of the shareable playground in Langflow 1.12+."""
    body = {"flow_id": flow_id, "input_value": text, "mode": "stream"}
    headers = {**server.headers, "cookie": f"client_id={uuid4()}"}
    answer = call("POST", f"{server.endpoint}/api/v2/workflows/public", body, headers)
    outputs = [e["data"] for e in good_events(answer) if e["event"] == "output"]
    return str(outputs[-1]["content"]) if outputs else ""


def run_advanced(server: LangflowServer, flow_id: str, text: str) -> str:
    """POST /api/v1/run/advanced, with a list of inputs."""
    asked = {"inputs": [{"input_value": text, "type": "chat"}]}
    return _message(server, f"/api/v1/run/advanced/{flow_id}", asked)


def run_session(server: LangflowServer, flow_id: str, text: str) -> str:
    """POST /api/v1/run/session, the way of who has logged in."""
    return _message(server, f"/api/v1/run/session/{flow_id}", {"input_value": text})


def _message(server: LangflowServer, path: str, asked: dict[str, Any]) -> str:
    answer = call("POST", server.endpoint + path, asked, _with_key(server)).json()
    return str(answer["outputs"][-1]["outputs"][-1]["results"]["message"]["text"])


def ask_project(server: LangflowServer, flow_id: str, text: str) -> str:
    """Call the flow as a tool of its project, over MCP's streamable HTTP, with the real client."""
    stored = f"{server.endpoint}/api/v1/flows/{flow_id}"
    tool = f"ask_{uuid4().hex[:8]}"
    headers = _with_key(server)
    flow = call("PATCH", stored, {"mcp_enabled": True, "action_name": tool}, headers).json()
    url = f"{server.endpoint}/api/v1/mcp/project/{flow['folder_id']}/streamable"
    return asyncio.run(asyncio.wait_for(_call_tool(url, headers, tool, text), 60))


async def _call_tool(url: str, headers: dict[str, str], tool: str, text: str) -> str:
    from mcp import ClientSession
    from mcp.client.streamable_http import streamablehttp_client

    async with (
        streamablehttp_client(url, headers=headers) as (reader, writer, _),
        ClientSession(reader, writer) as session,
    ):
        await session.initialize()
        result = await session.call_tool(tool, {"input_value": text})
    said = "".join(getattr(part, "text", "") for part in result.content)
    if result.isError:
        raise CallFailed(said)
    return said


def serve_workflow(server: LfxServe, flow_id: str, text: str, *, stream: bool = False) -> str:
    """POST /api/v2/workflows of `lfx serve`, 1.12 and later."""
    body = {"flow_id": flow_id, "input_value": text, "mode": "stream" if stream else "sync"}
    answer = call("POST", f"{server.endpoint}/api/v2/workflows", body, server._login())
    if stream:
        return build_answer(good_events(answer))
    return str(answer.json()["output"]["text"])


def ask_agent(server: LangflowServer, flow_id: str, text: str, *, stream: bool = False) -> str:
    """POST /api/v1/a2a, in JSON-RPC: what the flow answers as an agent."""
    asked = _asked(text, "message/stream" if stream else "message/send")
    url = f"{server.endpoint}/api/v1/a2a/{flow_id}/jsonrpc"
    answer = call("POST", url, asked, _with_key(server))
    told = list(answer.events()) if stream else [answer.json()]
    texts = [text for each in told for text in _texts(each)]
    if not texts:
        raise CallFailed(repr(told)[:2000])
    return texts[-1]


def _asked(text: str, method: str) -> dict[str, Any]:
    part = {"kind": "text", "text": text}
    message = {"kind": "message", "role": "user", "messageId": str(uuid4()), "parts": [part]}
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": {"message": message}}


@dataclass(frozen=True)
class Stream:
    """A door by which an answer is streamed."""

    path: str
    """With `{flow}` for the flow's id."""
    body: Callable[[str, str], dict[str, Any]]
    """Of the flow's id and the text."""
    piece: Callable[[dict[str, Any]], str]
    """What an event adds to the answer."""
    events: str = ""
    """Where the request starts a job alone: where its events are, with `{job}` for its id."""


def _token(event: dict[str, Any]) -> str:
    return str(event["data"]["chunk"]) if event.get("event") == "token" else ""


def _workflow(flow_id: str, text: str) -> dict[str, Any]:
    return {"flow_id": flow_id, "input_value": text, "mode": "stream"}


STREAMS = {
    "run": Stream(
        "/api/v1/run/{flow}?stream=true",
        lambda _, text: {"input_value": text, "input_type": "chat", "output_type": "chat"},
        _token,
    ),
    "build": Stream(
        "/api/v1/build/{flow}/flow?event_delivery=direct",
        lambda _, text: {"inputs": {"input_value": text}},
        _token,
    ),
    "build streaming": Stream(
        "/api/v1/build/{flow}/flow?event_delivery=streaming",
        lambda _, text: {"inputs": {"input_value": text}},
        _token,
        "/api/v1/build/{job}/events?event_delivery=streaming",
    ),
    "responses": Stream(
        "/api/v1/responses",
        lambda flow_id, text: {"model": flow_id, "input": text, "stream": True},
        lambda event: str((event.get("delta") or {}).get("content") or ""),
    ),
    "workflows v2": Stream("/api/v2/workflows", _workflow, _token),
    "public workflows v2": Stream("/api/v2/workflows/public", _workflow, _token),
    # What its flow streams it hands on in one piece, with the events of a task around it.
    "a2a": Stream(
        "/api/v1/a2a/{flow}/jsonrpc",
        lambda _, text: _asked(text, "message/stream"),
        lambda event: "".join(_texts(event)),
    ),
}


def pieces(server: LangflowServer, door: str, flow_id: str, text: str) -> Iterator[str]:
    """The pieces of an answer that is streamed, each when it comes."""
    for event in events_as_they_come(*_request(server, door, flow_id, text)):
        if piece := STREAMS[door].piece(event):
            yield piece


def leave_stream(server: LangflowServer, door: str, flow_id: str, text: str, until: str) -> None:
    """Have an answer streamed, and be gone as soon as `until` has come."""
    leave(*_request(server, door, flow_id, text), until=until)


def _request(
    server: LangflowServer, door: str, flow_id: str, text: str
) -> tuple[str, str, dict[str, Any], dict[str, str]]:
    stream = STREAMS[door]
    url = server.endpoint + stream.path.format(flow=flow_id)
    headers = {**_with_key(server), "cookie": f"client_id={uuid4()}"}
    body = stream.body(flow_id, text)
    if not stream.events:
        return "POST", url, body, headers
    job = call("POST", url, body, headers).json()["job_id"]
    return "GET", server.endpoint + stream.events.format(job=job), {}, headers


def _with_key(server: LangflowServer) -> dict[str, str]:
    return {**server.headers, "x-api-key": server.api_key}


def _texts(told: Any) -> list[str]:
    if isinstance(told, dict):
        if told.get("kind") == "text":
            return [str(told["text"])]
        told = list(told.values())
    return [text for each in told for text in _texts(each)] if isinstance(told, list) else []
