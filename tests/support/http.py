"""The little HTTP that the harness speaks: standard library only, so that no instrumentation of
the process under test sees it, and no proxy of the machine gets in between."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit


class CallFailed(Exception):
    """The server refused the call, or the flow behind it failed."""


@dataclass(frozen=True)
class Response:
    """An answer, read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode(errors="replace")

    def json(self) -> Any:
        """The body as JSON; CallFailed when the status is not a good one, or it is not JSON."""
        try:
            return json.loads(self.checked())
        except ValueError:
            raise CallFailed(f"not JSON: {self.text[:2000]}") from None

    def events(self) -> Iterator[dict[str, Any]]:
        """The JSON objects of a stream: one a line, or the `data:` lines of server-sent events."""
        for line in self.checked().splitlines():
            line = line.removeprefix("data:").strip()
            if line.startswith("{"):
                yield json.loads(line)

    def checked(self) -> str:
        """The body as text; CallFailed when the status is not a good one."""
        if not 200 <= self.status < 300:
            raise CallFailed(f"HTTP {self.status}: {self.text[:2000]}")
        return self.text


def call(
    method: str,
    url: str,
    body: Any = None,
    headers: Mapping[str, str] | None = None,
    timeout: float = 60.0,
) -> Response:
    """One request on a connection of its own; a body that is not bytes is sent as JSON."""
    parts = urlsplit(url)
    assert parts.hostname and parts.port
    sent = {"accept": "application/json", **(headers or {})}
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
        sent.setdefault("content-type", "application/json")
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
    try:
        connection.request(method, parts._replace(scheme="", netloc="").geturl(), body, sent)
        answer = connection.getresponse()
        received = {name.lower(): value for name, value in answer.getheaders()}
        return Response(answer.status, received, answer.read())
    finally:
        connection.close()


def is_up(url: str) -> bool:
    """Whether a GET is answered with 200."""
    try:
        return call("GET", url, timeout=5).status == 200
    except (OSError, http.client.HTTPException):
        return False
