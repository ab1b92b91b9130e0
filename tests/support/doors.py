"""The doors of a Langflow server besides its API: flows that are shared, and agents over A2A."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any
from uuid import uuid4

from tests.support.http import CallFailed, call
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


def ask_agent(server: LangflowServer, flow_id: str, text: str, *, stream: bool = False) -> str:
    """POST /api/v1/a2a, in JSON-RPC: what the flow answers as an agent."""
    part = {"kind": "text", "text": text}
    message = {"kind": "message", "role": "user", "messageId": str(uuid4()), "parts": [part]}
    method = "message/stream" if stream else "message/send"
    asked = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {"message": message}}
    headers = {**server.headers, "x-api-key": server.api_key}
    answer = call("POST", f"{server.endpoint}/api/v1/a2a/{flow_id}/jsonrpc", asked, headers)
    told = list(answer.events()) if stream else [answer.json()]
    texts = [text for each in told for text in _texts(each)]
    if not texts:
        raise CallFailed(repr(told)[:2000])
    return texts[-1]


def _texts(told: Any) -> list[str]:
    if isinstance(told, dict):
        if told.get("kind") == "text":
            return [str(told["text"])]
        told = list(told.values())
    return [text for each in told for text in _texts(each)] if isinstance(told, list) else []
