"""A real Phoenix on 127.0.0.1, in a folder and on ports of its own, read back over its REST API."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from shutil import which
from typing import Any
from urllib.parse import urlencode

from tests.support import loop_guard
from tests.support.background import Server
from tests.support.http import call
from tests.support.process import OFFLINE, Process, clean_environment, free_port
from tests.support.spans import Span, from_phoenix
from tests.support.tree import render

PYTHON = "LANGFLOW_OTEL_PHOENIX_PYTHON"
"""Names the interpreter of an environment that has arize-phoenix."""


def interpreter() -> str | None:
    """A Python that has Phoenix, or None: then skip with `MISSING`."""
    named = os.environ.get(PYTHON)
    if named:
        has = subprocess.run([named, "-c", _PROBE], capture_output=True) if which(named) else None
        return named if has and has.returncode == 0 else None
    try:
        distribution("arize-phoenix")
    except PackageNotFoundError:
        return None
    return sys.executable


# Not by importing it: that takes ten seconds, and arize-phoenix-otel alone is a `phoenix`, too.
_PROBE = "from importlib.metadata import distribution; distribution('arize-phoenix')"
MISSING = f"no Phoenix: set {PYTHON} to a Python that has arize-phoenix"


class Phoenix(Server):
    """Start it once a session: it takes about 15 seconds, nearly all of it imports.

    ```
    with Phoenix() as phoenix:
        ...  # PHOENIX_COLLECTOR_ENDPOINT=phoenix.endpoint
        spans = phoenix.wait_for_spans("my-project", lambda spans: len(spans) == 5)
    ```
    """

    name = "phoenix"
    health = "/readyz"
    grace = 10.0

    def __init__(self, python: str | None = None, timeout: float = 90.0) -> None:
        chosen = python or interpreter()
        if chosen is None:
            raise RuntimeError(MISSING)
        super().__init__(timeout)
        self._python = chosen
        self._grpc_port = free_port()

    @property
    def traces_endpoint(self) -> str:
        """Where OTLP/HTTP goes, as in OTEL_EXPORTER_OTLP_TRACES_ENDPOINT."""
        return f"{self.endpoint}/v1/traces"

    @property
    def grpc_endpoint(self) -> str:
        """Where OTLP/gRPC goes."""
        return f"http://127.0.0.1:{self._grpc_port}"

    @contextmanager
    def disk_full(self) -> Iterator[None]:
        """Let its database not take anything any more while this is open."""
        assert self._process is not None
        self._process.limit_files(0)
        try:
            yield
        finally:
            self._process.limit_files(-1)

    def projects(self) -> list[str]:
        """The names of all projects."""
        return list(_project_ids(self.endpoint))

    def spans(self, project: str, trace_id: str | None = None) -> list[Span]:
        """All spans of a project, or of one trace in it; none when there is no such project."""
        return spans_at(self.endpoint, project, trace_id)

    def wait_for_spans(
        self,
        project: str,
        wanted: int | Callable[[list[Span]], Any],
        timeout: float = 90.0,
    ) -> list[Span]:
        """All spans of the project, as soon as there are so many, or the predicate holds."""
        deadline = time.monotonic() + timeout
        while True:
            spans = self.spans(project)
            if len(spans) >= wanted if isinstance(wanted, int) else wanted(spans):
                return spans
            if time.monotonic() > deadline:
                raise AssertionError(
                    f"after {timeout} s Phoenix has {len(spans)} spans in {project!r}, not what "
                    f"was waited for (projects: {self.projects()})\n{render(spans)}"
                )
            time.sleep(0.2)

    def _launch(self, folder: Path) -> Process:
        settings = {
            "PHOENIX_WORKING_DIR": str(folder),
            "PHOENIX_SQL_DATABASE_URL": f"sqlite:///{folder / 'phoenix.db'}",
            "PHOENIX_HOST": "127.0.0.1",
            "PHOENIX_PORT": str(self._port),
            "PHOENIX_GRPC_PORT": str(self._grpc_port),
            "PHOENIX_TELEMETRY_ENABLED": "false",
            "PHOENIX_ALLOW_EXTERNAL_RESOURCES": "false",
            "PHOENIX_ENABLE_MCP_SERVER": "false",
            "PHOENIX_DISABLE_AGENT_ASSISTANT": "true",
        }
        return Process(
            [self._python, "-m", "phoenix.server.main", "serve"],
            {**clean_environment({**OFFLINE, **settings}), loop_guard.VARIABLE: ""},
            folder,
        )


def spans_at(endpoint: str, project: str, trace_id: str | None = None) -> list[Span]:
    """All spans of a project, or of one trace in it, in the Phoenix there."""
    project_id = _project_ids(endpoint).get(project)
    if project_id is None:
        return []
    query = {"trace_id": trace_id} if trace_id else {}
    return [
        from_phoenix(row) for row in _pages(endpoint, f"/v1/projects/{project_id}/spans", query)
    ]


def _project_ids(endpoint: str) -> dict[str, str]:
    # Spans are asked for by the project's id: a name with a slash does not fit in a path.
    return {row["name"]: row["id"] for row in _pages(endpoint, "/v1/projects")}


def _pages(endpoint: str, path: str, query: dict[str, str] | None = None) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        asked = {**(query or {}), "limit": "500", **({"cursor": cursor} if cursor else {})}
        page = call("GET", f"{endpoint}{path}?{urlencode(asked)}").json()
        rows += page["data"]
        cursor = page.get("next_cursor")
        if not cursor:
            return rows
