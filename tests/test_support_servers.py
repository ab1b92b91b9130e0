"""The servers of the harness, over every surface, with no tracing: what they answer without us."""

from __future__ import annotations

import asyncio
import inspect
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lfx.components.input_output import ChatInput, ChatOutput
from lfx.components.models_and_agents import PromptComponent
from lfx.custom.custom_component.component import Component
from lfx.graph import Graph
from lfx.io import MessageTextInput, Output
from lfx.schema.message import Message

from tests.support.http import CallFailed
from tests.support.lfx_cli import LfxServe, lfx_run
from tests.support.server import Delivery, LangflowServer, Mode

pytestmark = pytest.mark.server


CODE = """
import asyncio
from lfx.custom.custom_component.component import Component
from lfx.io import MessageTextInput, Output
from lfx.schema.message import Message

"""


class Waits(Component):
    """Waits as many seconds as its text says; fails when that is no number."""

    display_name = "Waits"
    inputs = [MessageTextInput(name="text", display_name="Text")]
    outputs = [Output(name="done", display_name="Done", method="wait")]

    async def wait(self) -> Message:
        await asyncio.sleep(float(self.text))
        return Message(text="waited")


# Langflow 1.7 gives a chat's input to the components with "chat" in their id.
def politely() -> dict[str, Any]:
    """Chat Input -> Prompt -> Chat Output."""
    question = ChatInput(_id="ChatInput-1")
    prompt = PromptComponent(_id="prompt")
    prompt.set(template="You said: {text}", text=question.message_response)
    answer = ChatOutput(_id="ChatOutput-1").set(input_value=prompt.build_prompt)
    return dict(Graph(question, answer).dump(name="Politely"))


def waiting() -> dict[str, Any]:
    """Chat Input -> Waits -> Chat Output."""
    question = ChatInput(_id="ChatInput-1")
    waits = Waits(_id="waits").set(text=question.message_response)
    answer = ChatOutput(_id="ChatOutput-1").set(input_value=waits.wait)
    flow = dict(Graph(question, answer).dump(name="Waiting"))
    # Langflow takes the whole module for the component's source, with what only tests can import.
    (node,) = [node for node in flow["data"]["nodes"] if node["id"] == "waits"]
    node["data"]["node"]["template"]["code"]["value"] = CODE + inspect.getsource(Waits)
    return flow


@pytest.fixture(scope="module")
def langflow() -> Iterator[LangflowServer]:
    pytest.importorskip("langflow", reason="no langflow-base in this environment")
    with LangflowServer() as server:
        yield server


def needs_newer(langflow: LangflowServer, why: str) -> None:
    """Skip with an old Langflow. Tried were 1.7, which cannot, and 1.13, which can."""
    if tuple(map(int, langflow.version.split(".")[:2])) < (1, 12):
        pytest.skip(f"Langflow {langflow.version}: {why}")


@pytest.fixture(scope="module")
def flow_id(langflow: LangflowServer) -> str:
    return langflow.upload(politely())


@pytest.fixture(scope="module")
def waiting_id(langflow: LangflowServer) -> str:
    return langflow.upload(waiting())


def test_run(langflow: LangflowServer, flow_id: str) -> None:
    assert langflow.run(flow_id, "one", "session-1") == "You said: one"
    assert langflow.run_stream(flow_id, "two", "session-2") == "You said: two"
    sessions = {m["session_id"]: m["text"] for m in langflow.messages(flow_id)}
    assert sessions.items() >= {"session-1": "You said: one", "session-2": "You said: two"}.items()


@pytest.mark.parametrize("delivery", ["direct", "streaming", "polling"])
def test_build(langflow: LangflowServer, flow_id: str, delivery: Delivery) -> None:
    assert langflow.build(flow_id, "hi", delivery, f"build-{delivery}") == "You said: hi"
    assert f"build-{delivery}" in {m["session_id"] for m in langflow.messages(flow_id)}


@pytest.mark.parametrize("stream", [False, True])
def test_openai_responses(langflow: LangflowServer, flow_id: str, stream: bool) -> None:
    if stream:
        needs_newer(langflow, "an answer without tokens is left out of the stream")
    assert "You said: hi" in langflow.responses(flow_id, "hi", stream)


def test_mcp(langflow: LangflowServer, flow_id: str) -> None:
    needs_newer(langflow, "a tool call is never answered")
    assert langflow.mcp(flow_id, "hi", "mcp-session") == "You said: hi"


@pytest.mark.parametrize("mode", ["sync", "stream", "background"])
def test_workflows_v2(langflow: LangflowServer, flow_id: str, mode: Mode) -> None:
    needs_newer(langflow, "no v2 workflows of this shape")
    assert langflow.workflows_v2(flow_id, "hi", f"v2-{mode}", mode) == "You said: hi"


def test_webhook(langflow: LangflowServer, flow_id: str) -> None:
    before = len(langflow.messages(flow_id))
    assert "background" in langflow.webhook(flow_id, {"text": "hook"})
    deadline = time.monotonic() + 30
    while len(langflow.messages(flow_id)) == before:
        assert time.monotonic() < deadline, langflow.log[-2000:]
        time.sleep(0.1)


def test_failing_flow(langflow: LangflowServer, waiting_id: str) -> None:
    assert langflow.run(waiting_id, "0") == "waited"
    for surface in (langflow.run, langflow.build, langflow.responses):
        with pytest.raises(CallFailed, match="could not convert string to float"):
            surface(waiting_id, "boom")
    with pytest.raises(CallFailed):
        langflow.run_stream(waiting_id, "boom")


def test_cancelled_build(langflow: LangflowServer, waiting_id: str) -> None:
    job = langflow.start_build(waiting_id, "60")
    time.sleep(1)
    langflow.cancel_build(job)
    assert "Build cancelled" in langflow.log
    assert langflow.run(waiting_id, "0") == "waited"


def test_langflow_stops_when_told(langflow: LangflowServer) -> None:
    # The last of this server's tests: a server that still had work would be killed by Langflow.
    assert langflow.stop() == 0
    assert "See you next time" in langflow.log
    assert "killing it" not in langflow.log


@pytest.fixture
def flow_file(tmp_path: Path) -> Path:
    path = tmp_path / "politely.json"
    path.write_text(json.dumps(politely()))
    return path


def test_lfx_serve(flow_file: Path) -> None:
    with LfxServe(flow_file) as server:
        assert server.run("hi", "session-1") == "You said: hi"
        assert server.stream("hi", "session-1") == "You said: hi"
        # uvicorn shuts down, then raises the signal anew.
        assert server.stop() == 128 + 15, server.log[-2000:]


def test_lfx_run(flow_file: Path, tmp_path: Path) -> None:
    assert lfx_run(flow_file, "hi").answer == "You said: hi"
    broken = tmp_path / "waiting.json"
    broken.write_text(json.dumps(waiting()))
    with pytest.raises(CallFailed, match="could not convert string to float"):
        _ = lfx_run(broken, "boom").answer
