"""The bare lfx, as a server (`lfx serve`) and as a command (`lfx run`)."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from tests.support.background import Server
from tests.support.http import CallFailed, Response, call, leave
from tests.support.process import OFFLINE, Process, clean_environment, first_on_path, run
from tests.support.server import good_events


class LfxServe(Server):
    """`lfx serve flow.json`; it wants an API key in its environment, and on every call."""

    name = "lfx-serve"
    health = "/health"
    grace = 20.0

    def __init__(
        self,
        flow: Path,
        env: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
        python: str = sys.executable,
        timeout: float = 90.0,
        options: Sequence[str] = (),
    ) -> None:
        super().__init__(timeout)
        self._flow, self._python, self._options = flow.absolute(), python, list(options)
        self._env, self._prefix, self._key = dict(env or {}), list(prefix), uuid4().hex
        self.headers: dict[str, str] = {}
        """Sent with each call, as `traceparent`."""

    def run(self, text: str, session_id: str | None = None) -> str:
        """POST /flows/{id}/run."""
        answer = self._post("run", text, session_id).json()
        if not answer["success"]:
            raise CallFailed(json.dumps(answer)[:2000])
        return str(answer["result"])

    def stream(self, text: str, session_id: str | None = None) -> str:
        """POST /flows/{id}/stream, read to its end."""
        for event in good_events(self._post("stream", text, session_id)):
            if event["event"] == "end":
                return str(event["data"]["result"]["result"])
        raise CallFailed("the stream had no end")

    def upload(self, flow: Mapping[str, Any]) -> str:
        """POST /flows/upload, of later versions: serve another flow; its id."""
        told = {"name": flow["name"], "data": flow["data"]}
        answer = call("POST", f"{self.endpoint}/flows/upload/", told, self._login())
        return str(answer.json()["id"])

    def leave_stream(self, flow_id: str, text: str, after: float) -> None:
        """POST /flows/{id}/stream, and be gone after so many seconds."""
        url = f"{self.endpoint}/flows/{flow_id}/stream"
        leave("POST", url, {"input_value": text}, self._login(), after=after)

    def leave_workflow(self, flow_id: str, text: str, until: str) -> None:
        """POST /api/v2/workflows, streamed, and be gone as soon as `until` has come."""
        body = {"flow_id": flow_id, "input_value": text, "mode": "stream"}
        leave("POST", f"{self.endpoint}/api/v2/workflows", body, self._login(), until=until)

    def _launch(self, folder: Path) -> Process:
        settings = {"LANGFLOW_API_KEY": self._key, "LANGFLOW_CONFIG_DIR": str(folder)}
        options = ["--host", "127.0.0.1", "--port", str(self._port), *self._options]
        return Process(
            [*self._prefix, "lfx", "serve", str(self._flow), *options],
            clean_environment({**OFFLINE, **first_on_path(self._python), **settings, **self._env}),
            folder,
        )

    def _post(self, action: str, text: str, session_id: str | None) -> Response:
        headers = self._login()
        flow_id = call("GET", f"{self.endpoint}/flows", None, headers).json()[0]["id"]
        # lfx 0.2 knows no session here, and passes over the field.
        body = {"input_value": text, **({"session_id": session_id} if session_id else {})}
        return call("POST", f"{self.endpoint}/flows/{flow_id}/{action}", body, headers)

    def _login(self) -> dict[str, str]:
        return {"x-api-key": self._key, **self.headers}


@dataclass(frozen=True)
class LfxRun:
    """What `lfx run` left."""

    code: int
    stdout: str
    stderr: str

    @property
    def answer(self) -> str:
        """The flow's answer; CallFailed when it failed."""
        try:
            said = json.loads(self.stdout[self.stdout.index("{") :])
        except ValueError:
            raise CallFailed(f"code {self.code}: {self.stdout}\n{self.stderr[-4000:]}") from None
        if self.code or not said["success"]:
            raise CallFailed(f"code {self.code}: {json.dumps(said)}")
        return str(said["result"])


def lfx_run(
    flow: Path,
    text: str,
    env: Mapping[str, str] | None = None,
    prefix: Sequence[str] = (),
    python: str = sys.executable,
    options: Sequence[str] = (),
    timeout: float = 120.0,
) -> LfxRun:
    """`lfx run flow.json text`; with 1.11 and later `options` may be `("--session-id", "s")`."""
    command = [*prefix, "lfx", "run", *options, str(flow.absolute()), text]
    done = run(command, _environment(python, env), flow.absolute().parent, timeout)
    return LfxRun(done.returncode, done.stdout, done.stderr)


@contextmanager
def lfx_running(
    flow: Path,
    text: str,
    env: Mapping[str, str] | None = None,
    prefix: Sequence[str] = (),
    python: str = sys.executable,
) -> Iterator[Process]:
    """`lfx run flow.json text`, in the background; killed in the end."""
    command = [*prefix, "lfx", "run", str(flow.absolute()), text]
    process = Process(command, _environment(python, env), flow.absolute().parent)
    try:
        yield process
    finally:
        process.kill()


def _environment(python: str, env: Mapping[str, str] | None) -> dict[str, str]:
    return clean_environment({**OFFLINE, **first_on_path(python), **(env or {})})
