"""A Phoenix server of the demo's own, on 127.0.0.1, read back over its REST API."""

import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from langflow_otel.demo.errors import DemoError
from langflow_otel.demo.spans import DemoSpan, from_phoenix
from langflow_otel.demo.surroundings import clean

HOST = "127.0.0.1"
_STOP_SECONDS = 10.0
_POLL_SECONDS = 0.2
_TAIL_LINES = 20
# Phoenix reads a pipe that nothing is written to: it ends when the demo does, however that ends.
_SERVER = """
import os, runpy, signal, sys, threading
def watch():
    while os.read(0, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
threading.Thread(target=watch, daemon=True).start()
sys.argv = ["phoenix", "serve"]
runpy.run_module("phoenix.server.main", run_name="__main__", alter_sys=True)
"""


class Phoenix:
    """A Phoenix server. `start` returns at once, `wait_until_ready` when it answers.

    Args:
        python: The interpreter to run it with.
        folder: Where its database and its log go.
        port: Where it listens; None for any port that is free.
    """

    def __init__(self, python: str, folder: Path, port: int | None = None) -> None:
        """See the class."""
        self._python = python
        self._folder = folder
        self._log = folder / "phoenix.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._project_id: str | None = None
        self.port, self._grpc_port = _two_ports(port)

    @property
    def endpoint(self) -> str:
        """Where it is."""
        return f"http://{HOST}:{self.port}"

    def start(self) -> None:
        """Start the server."""
        settings = {
            "PHOENIX_WORKING_DIR": str(self._folder),
            "PHOENIX_SQL_DATABASE_URL": f"sqlite:///{self._folder / 'phoenix.db'}",
            "PHOENIX_HOST": HOST,
            "PHOENIX_PORT": str(self.port),
            "PHOENIX_GRPC_PORT": str(self._grpc_port),
            "PHOENIX_TELEMETRY_ENABLED": "false",
            "PHOENIX_ALLOW_EXTERNAL_RESOURCES": "false",
            "PHOENIX_ENABLE_MCP_SERVER": "false",
            "PHOENIX_DISABLE_AGENT_ASSISTANT": "true",
            "PHOENIX_LOG_MIGRATIONS": "false",
            "PYTHONUNBUFFERED": "1",
            "PYTHONIOENCODING": "utf-8",
        }
        try:
            with self._log.open("wb") as log:
                self._process = subprocess.Popen(  # noqa: S603 - the user's own interpreter
                    [self._python, "-c", _SERVER],
                    env={**clean(os.environ), **settings},
                    cwd=self._folder,
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=sys.platform != "win32",  # Ctrl-C is for the demo alone
                )
        except OSError as error:
            raise DemoError(f"Phoenix cannot be started: {error}") from None

    def wait_until_ready(self, timeout: float) -> None:
        """Wait until it answers; stop where it ends, or `timeout` seconds are over."""
        deadline = time.monotonic() + timeout
        while True:
            self.check()
            # Until it listens, it cannot answer.
            with contextlib.suppress(OSError, http.client.HTTPException):
                if _get(self.port, "/readyz")[0] == http.HTTPStatus.OK:
                    return
            if time.monotonic() > deadline:
                raise DemoError(
                    f"Phoenix did not come up at {self.endpoint} in {timeout:g} seconds"
                    f"{self._tail()}"
                )
            time.sleep(_POLL_SECONDS)

    def check(self) -> None:
        """Stop where the server has ended."""
        code = self._process.poll() if self._process else None
        if code is not None:
            raise DemoError(f"Phoenix ended, with code {code}{self._tail()}")

    def stop(self) -> None:
        """Stop the server, by force where it does not stop by itself."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdin:
            self._process.stdin.close()

    def project_id(self, project: str) -> str | None:
        """Return Phoenix's id of a project, None as long as it has none of that name."""
        if self._project_id is None:
            found = [row["id"] for row in self._rows("/v1/projects") if row["name"] == project]
            self._project_id = found[0] if found else None
        return self._project_id

    def spans(self, project: str) -> list[DemoSpan]:
        """Return all spans of a project."""
        project_id = self.project_id(project)
        if project_id is None:
            return []
        return [from_phoenix(row) for row in self._rows(f"/v1/projects/{project_id}/spans")]

    def sessions(self, project: str) -> dict[str, set[str]]:
        """Return the ids of the traces of each of a project's sessions."""
        rows = self._rows(f"/v1/projects/{self.project_id(project)}/sessions")
        return {row["session_id"]: {trace["trace_id"] for trace in row["traces"]} for row in rows}

    def _rows(self, path: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        asked = {"limit": "500"}
        while True:
            try:
                status, body = _get(self.port, f"{path}?{urlencode(asked)}")
                page = json.loads(body) if status == http.HTTPStatus.OK else {"data": []}
            except (OSError, http.client.HTTPException, ValueError) as error:
                self.check()
                raise DemoError(f"Phoenix does not answer ({error}){self._tail()}") from None
            if status != http.HTTPStatus.OK:
                raise DemoError(f"Phoenix answers {status} to GET {path}{self._tail()}")
            rows += page["data"]
            if not page.get("next_cursor"):
                return rows
            asked["cursor"] = page["next_cursor"]

    def _tail(self) -> str:
        try:
            lines = self._log.read_text(errors="replace").splitlines()[-_TAIL_LINES:]
        except OSError:
            lines = []
        if not lines:
            return "; it said nothing"
        return "\n".join(["; the end of its log:", *(f"  | {line}" for line in lines)])


def _get(port: int, path: str) -> tuple[int, bytes]:
    # Not requests or httpx: proxies of the machine, and instrumentors, have no part in this.
    connection = http.client.HTTPConnection(HOST, port, timeout=20)
    try:
        connection.request("GET", path, headers={"accept": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def _two_ports(wanted: int | None) -> tuple[int, int]:
    """Return a port for HTTP, the one that is wanted or any, and one for gRPC."""
    with socket.socket() as web, socket.socket() as grpc:
        if sys.platform != "win32":  # where it would let two listen on one port
            web.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            web.bind((HOST, wanted or 0))
            web.listen()
        except OSError as error:
            raise DemoError(
                f"port {wanted} of {HOST} cannot be used ({error.strerror}); choose another with "
                "--port, or leave it out for any that is free"
            ) from None
        grpc.bind((HOST, 0))
        return web.getsockname()[1], grpc.getsockname()[1]
