"""Real Langflow servers, driven over every surface on which a flow can be run."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from tests.support.background import Server
from tests.support.http import CallFailed, Response, call, leave, multipart
from tests.support.process import OFFLINE, Process, clean_environment, first_on_path
from tests.support.versions import before

Delivery = Literal["direct", "streaming", "polling"]
Mode = Literal["sync", "stream", "background"]
_MESSAGES = "/api/v1/monitor/messages?flow_id="


class LangflowServer(Server):
    """`langflow run` with one worker, its own SQLite database, no login, no way to the internet.

    Every method that runs a flow gives the flow's answer as text, and raises CallFailed when the
    flow fails. `prefix` goes before the command, as in `("opentelemetry-instrument",)`; `env` comes
    on top of an environment without any OTEL_, LANGFLOW_ or vendor variable.
    """

    name = "langflow"
    health = "/health"
    grace = 90.0  # Langflow itself gives its workers 30 seconds, and may have none to run in.

    def __init__(
        self,
        env: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
        python: str = sys.executable,
        timeout: float = 150.0,
        workers: int = 1,
    ) -> None:
        super().__init__(timeout)
        self._workers = workers
        self._env, self._prefix, self._python = dict(env or {}), list(prefix), python
        self._names: dict[str, str] = {}
        self._key = ""
        # What a browser logs in with. Some versions keep a key's count locked for as long as they
        # answer: what they build then could not write to the database.
        self._browser: dict[str, str] = {}
        self.headers: dict[str, str] = {}
        """Sent with each call, as `traceparent`."""
        self.mcp_meta: dict[str, str] = {}
        """Sent as `_meta` with each call of a tool over MCP."""

    def start(self) -> None:
        super().start()
        # Webhooks want a key even where everything else logs in by itself.
        token = self._call("GET", "/api/v1/auto_login").json()["access_token"]
        self._browser = {"authorization": f"Bearer {token}"}
        made = self._browse("POST", "/api/v1/api_key/", {"name": "tests"})
        self._key = made.json()["api_key"]

    @property
    def api_key(self) -> str:
        """What goes into the header x-api-key."""
        return self._key

    @property
    def version(self) -> str:
        """The version of langflow-base."""
        return str(self._call("GET", "/api/v1/version").json()["version"])

    def recycle(self) -> None:
        """Let gunicorn put new workers in the place of those there are, which end as they should.

        Their parent is the one that has most of the server's processes for children, and the
        youngest of several.
        """
        assert self._process is not None
        parents = self._process.parents
        children = Counter(parents.values())
        os.kill(max(parents, key=lambda pid: (children[pid], pid)), signal.SIGHUP)

    def upload(self, flow: Mapping[str, Any]) -> str:
        """Store a flow (as `Graph.dump(name=…)` gives it) and return its id.

        Langflow renames a flow whose name is taken: "Chat" becomes "Chat (1)".
        """
        stored = self._call("POST", "/api/v1/flows/", flow).json()
        self._names[stored["id"]] = stored["name"]
        return str(stored["id"])

    def add_variable(self, name: str, value: str, type_: str = "Credential") -> str:
        """Store a global variable of that type, "Credential" or "Generic"; its name again."""
        variable = {"name": name, "value": value, "type": type_, "default_fields": []}
        self._call("POST", "/api/v1/variables/", variable).checked()
        return name

    def add_file(self, name: str, content: bytes) -> str:
        """Store a file; the path by which a component finds it."""
        body, headers = multipart("file", name, content)
        return str(self._call("POST", "/api/v2/files", body, headers).json()["path"])

    def add_knowledge(self, name: str, text: str, provider: str, model: str) -> str:
        """Make a knowledge base that holds one text, embedded by that model; its name again."""
        path = "/api/v1/knowledge_bases"
        made = {"name": name, "embedding_provider": provider, "embedding_model": model}
        self._call("POST", path, made).checked()
        body, headers = multipart("files", "text.txt", text.encode())
        self._call("POST", f"{path}/{name}/ingest", body, headers).checked()
        deadline = time.monotonic() + 60
        while (state := self._call("GET", f"{path}/{name}").json())["status"] != "ready":
            if state["status"] == "failed" or time.monotonic() > deadline:
                raise CallFailed(json.dumps(state))
            time.sleep(0.2)
        return name

    def run(self, flow_id: str, text: str, session_id: str | None = None) -> str:
        """POST /api/v1/run."""
        return _run_answer(
            self._call("POST", f"/api/v1/run/{flow_id}", _chat(text, session_id)).json()
        )

    def run_stream(self, flow_id: str, text: str, session_id: str | None = None) -> str:
        """POST /api/v1/run?stream=true, read to its end."""
        path = f"/api/v1/run/{flow_id}?stream=true"
        for event in good_events(self._call("POST", path, _chat(text, session_id))):
            if event["event"] == "end":
                return _run_answer(event["data"]["result"])
        raise CallFailed("the stream had no end")

    def hang_up(self, flow_id: str, text: str, after: float) -> None:
        """POST /api/v1/run, and be gone without an answer after so many seconds."""
        path = f"{self.endpoint}/api/v1/run/{flow_id}"
        leave("POST", path, _chat(text, None), {"x-api-key": self._key}, after=after)

    def leave_build(self, flow_id: str, text: str, event_delivery: Delivery, until: str) -> None:
        """Build, and be gone from its events as soon as `until` has come in them."""
        method, body = "POST", _inputs(text, None)
        path = f"/api/v1/build/{flow_id}/flow?event_delivery=direct"
        if event_delivery != "direct":
            job = self.start_build(flow_id, text, event_delivery)
            method, path = "GET", f"/api/v1/build/{job}/events?event_delivery={event_delivery}"
        leave(method, self.endpoint + path, body, self._browser, until=until)

    def build(
        self,
        flow_id: str,
        text: str,
        event_delivery: Delivery = "direct",
        session_id: str | None = None,
    ) -> str:
        """POST /api/v1/build, the playground's way."""
        if event_delivery == "direct":
            path = f"/api/v1/build/{flow_id}/flow?event_delivery=direct"
            return build_answer(good_events(self._browse("POST", path, _inputs(text, session_id))))
        job = self.start_build(flow_id, text, event_delivery, session_id)
        return self.finish_build(job, event_delivery)

    def start_build(
        self,
        flow_id: str,
        text: str,
        event_delivery: Delivery = "streaming",
        session_id: str | None = None,
    ) -> str:
        """Start a build in the background; the job's id, for `finish_build` or `cancel_build`."""
        path = f"/api/v1/build/{flow_id}/flow?event_delivery={event_delivery}"
        return str(self._browse("POST", path, _inputs(text, session_id)).json()["job_id"])

    def wait_for_messages(self, flow_id: str, count: int, timeout: float = 120.0) -> None:
        """Wait until so many messages of a flow are stored: Chat Input stores what it gets."""
        deadline = time.monotonic() + timeout
        while len(stored := self._browse("GET", f"{_MESSAGES}{flow_id}").json()) < count:
            if time.monotonic() > deadline:
                raise CallFailed(json.dumps(stored))
            time.sleep(0.5)

    def finish_build(self, job_id: str, event_delivery: Delivery = "streaming") -> str:
        """Follow a started build to its end.

        Never after that, nor after `cancel_build`: Langflow would wait for ever for more events,
        also when the caller has gone, and then not stop before it is killed.
        """
        path = f"/api/v1/build/{job_id}/events?event_delivery={event_delivery}"
        events: list[dict[str, Any]] = []
        deadline = time.monotonic() + 60
        # Polling hands out what is there; streaming, everything in one answer.
        while not any(event["event"] == "end" for event in events):
            if time.monotonic() > deadline:
                raise CallFailed(f"build {job_id} did not end: {events}")
            events += good_events(self._browse("GET", path))
        return build_answer(events)

    def cancel_build(self, job_id: str) -> None:
        """Cancel a started build. Its events cannot be read any more."""
        self._browse("POST", f"/api/v1/build/{job_id}/cancel").checked()

    def webhook(self, flow_id: str, payload: Mapping[str, Any]) -> str:
        """POST /api/v1/webhook: runs in the background, so this is only the acknowledgement.

        The payload goes to the flow's Webhook component. See `messages` for what came of it.
        """
        answer = self._call("POST", f"/api/v1/webhook/{flow_id}", payload).json()
        return str(answer["message"])

    def messages(self, flow_id: str) -> list[dict[str, Any]]:
        """The flow's stored chat messages (`sender`, `text`, `session_id`, …), oldest first."""
        stored: list[dict[str, Any]] = self._call("GET", f"{_MESSAGES}{flow_id}").json()
        return stored

    def responses(self, flow_id: str, text: str, stream: bool = False) -> str:
        """POST /api/v1/responses, which speaks OpenAI's Responses API."""
        body = {"model": flow_id, "input": text, "stream": stream}
        answer = self._call("POST", "/api/v1/responses", body)
        if stream:
            # Of a tool's arguments it is a text.
            chunks = [chunk.get("delta", {}) for chunk in answer.events()]
            return _joined([c.get("content", "") for c in chunks if isinstance(c, dict)])
        content = answer.json()
        if content.get("error"):
            raise CallFailed(json.dumps(content["error"]))
        return "".join(
            part["text"]
            for item in content["output"]
            if item["type"] == "message"
            for part in item["content"]
        )

    def mcp(self, flow_id: str, text: str, session_id: str | None = None) -> str:
        """Call the flow as a tool over MCP's streamable HTTP, with the real client."""
        arguments = {"input_value": text, **({"session_id": session_id} if session_id else {})}
        called = asyncio.wait_for(self._mcp(self._names[flow_id], arguments), 60)
        try:
            return asyncio.run(called)
        except asyncio.TimeoutError:
            raise CallFailed("no answer over MCP in 60 s") from None

    def workflows_v2(
        self, flow_id: str, text: str, session_id: str | None = None, mode: Mode = "sync"
    ) -> str:
        """POST /api/v2/workflows, of Langflow 1.12 and later in this shape."""
        session = {"session_id": session_id} if session_id else {}
        body = {"flow_id": flow_id, "input_value": text, "mode": mode, **session}
        answer = self._call("POST", "/api/v2/workflows", body)
        if mode == "stream":
            outputs = [e["data"] for e in good_events(answer) if e["event"] == "output"]
            return str(outputs[-1]["content"]) if outputs else ""
        run_state = answer.json()
        deadline = time.monotonic() + 60
        while run_state["status"] in ("queued", "in_progress") and time.monotonic() < deadline:
            time.sleep(0.1)
            path = f"/api/v2/workflows?job_id={run_state['job_id']}"
            run_state = self._call("GET", path).json()
        if run_state["status"] != "completed":
            raise CallFailed(json.dumps(run_state)[:2000])
        return str(run_state["output"]["text"])

    def start_workflow(self, flow_id: str, text: str, session_id: str) -> str:
        """POST /api/v2/workflows in the background; the job's id."""
        body = {"flow_id": flow_id, "input_value": text, "mode": "background"}
        answer = self._call("POST", "/api/v2/workflows", {**body, "session_id": session_id})
        return str(answer.json()["job_id"])

    def pending(self, flow_id: str, timeout: float = 60) -> dict[str, Any]:
        """GET /api/v2/workflows/pending, until a run of the flow waits for a human: its request."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            asked = self._call("GET", f"/api/v2/workflows/pending?flow_id={flow_id}").json()
            if asked:
                return dict(asked[0])
            time.sleep(0.2)
        raise CallFailed("no run of it waits for a human")

    def resume_workflow(self, job_id: str, request_id: str, action: str) -> None:
        """POST /api/v2/workflows/{job}/resume with a human's decision."""
        body = {"request_id": request_id, "decision": {"action_id": action}}
        self._call("POST", f"/api/v2/workflows/{job_id}/resume", body).checked()

    def stop_workflow(self, job_id: str) -> None:
        """POST /api/v2/workflows/stop."""
        self._call("POST", "/api/v2/workflows/stop", {"job_id": job_id}).checked()

    def _launch(self, folder: Path) -> Process:
        settings = {
            "LANGFLOW_CONFIG_DIR": str(folder),
            "LANGFLOW_DATABASE_URL": f"sqlite:///{folder / 'langflow.db'}",
            "LANGFLOW_AUTO_LOGIN": "true",
            "LANGFLOW_SKIP_AUTH_AUTO_LOGIN": "true",
            "LANGFLOW_DO_NOT_TRACK": "true",
            "LANGFLOW_CREATE_STARTER_PROJECTS": "false",
            "LANGFLOW_UPDATE_STARTER_PROJECTS": "false",
            "LANGFLOW_STORE": "false",
            "LANGFLOW_OPEN_BROWSER": "false",
        }
        # An old langflow-base (0.7) has no script of the name `langflow`.
        whole = (Path(self._python).parent / "langflow").exists()
        command = "langflow" if whole else "langflow-base"
        options = ["--host", "127.0.0.1", "--port", str(self._port)]
        options += ["--workers", str(self._workers)]
        return Process(
            [*self._prefix, command, "run", *options, "--backend-only"],
            clean_environment({**OFFLINE, **first_on_path(self._python), **settings, **self._env}),
            folder,
        )

    def _call(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Response:
        sent = {**self._login(), **self.headers, **(headers or {})}
        return call(method, self.endpoint + path, body, sent)

    def _login(self) -> dict[str, str]:
        return {"x-api-key": self._key} if self._key else {}

    def _browse(self, method: str, path: str, body: Any = None) -> Response:
        return call(method, self.endpoint + path, body, {**self.headers, **self._browser})

    async def _mcp(self, flow_name: str, arguments: dict[str, Any]) -> str:
        from mcp import ClientSession
        from mcp.client.streamable_http import streamablehttp_client

        url = f"{self.endpoint}/api/v1/mcp/streamable"
        headers = {**self._browser, **self.headers}
        async with (
            streamablehttp_client(url, headers=headers) as (reader, writer, _),
            ClientSession(reader, writer) as session,
        ):
            await session.initialize()
            tools = [tool.name for tool in (await session.list_tools()).tools]
            tool = next((t for t in tools if _slug(t) == _slug(flow_name)), None)
            if tool is None:
                raise CallFailed(f"no tool for {flow_name!r} among {tools}")
            meta = {"meta": self.mcp_meta} if self.mcp_meta else {}
            result = await session.call_tool(tool, arguments, **meta)
        text = "".join(getattr(part, "text", "") for part in result.content)
        if result.isError:
            raise CallFailed(text)
        return text


def _chat(text: str, session_id: str | None) -> dict[str, Any]:
    session = {"session_id": session_id} if session_id else {}
    return {"input_value": text, "input_type": "chat", "output_type": "chat", **session}


def _inputs(text: str, session_id: str | None) -> dict[str, Any]:
    session = {"session": session_id} if session_id else {}
    return {"inputs": {"input_value": text, **session}}


def good_events(answer: Response) -> Iterator[dict[str, Any]]:
    """The events of a stream; CallFailed at the first that tells of an error."""
    for event in answer.events():
        if event["event"] == "error":
            raise CallFailed(json.dumps(event["data"])[:2000])
        yield event


def _run_answer(result: Mapping[str, Any]) -> str:
    texts = [
        output["results"]["message"]["text"]
        for outer in result["outputs"]
        for output in outer["outputs"]
        if output and "message" in output["results"]
    ]
    return str(texts[-1]) if texts else ""


def build_answer(events: Iterator[dict[str, Any]] | list[dict[str, Any]]) -> str:
    """The text of the last component that gave a message."""
    answer = ""
    for event in events:
        if event["event"] == "end_vertex":
            built = event["data"]["build_data"]
            if not built["valid"]:
                raise CallFailed(json.dumps(built)[:2000])
            message = built["data"]["results"].get("message")
            answer = message["text"] if isinstance(message, dict) else answer
    return answer


def _joined(pieces: list[str]) -> str:
    """What was streamed; before 1.12 the first piece comes twice."""
    pieces = [piece for piece in pieces if piece]
    twice = before("1.12") and len(pieces) > 1 and pieces[0] == pieces[1]
    return "".join(pieces[twice:])


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
