"""The little HTTP that the harness speaks: standard library only, so that no instrumentation of
the process under test sees it, and no proxy of the machine gets in between."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit
from uuid import uuid4

T = TypeVar("T")


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


def multipart(
    field: str, filename: str, content: bytes, **fields: str
) -> tuple[bytes, dict[str, str]]:
    """A form with a file, as a body and its headers."""
    boundary = uuid4().hex
    disposition = f"--{boundary}\r\ncontent-disposition: form-data"
    parts = [f'{disposition}; name="{name}"\r\n\r\n{value}' for name, value in fields.items()]
    head = f'{disposition}; name="{field}"; filename="{filename}"\r\ncontent-type: text/plain'
    text = "\r\n".join([*parts, f"{head}\r\n\r\n"])
    body = text.encode() + content + f"\r\n--{boundary}--\r\n".encode()
    return body, {"content-type": f"multipart/form-data; boundary={boundary}"}


def is_up(url: str) -> bool:
    """Whether a GET is answered with 200."""
    try:
        return call("GET", url, timeout=5).status == 200
    except (OSError, http.client.HTTPException):
        return False


def again(made: Callable[[], T], patience: float = 60) -> T:
    """What a call gives, made again while it is turned away, for so many seconds at most."""
    deadline = time.monotonic() + patience
    while True:
        try:
            return made()
        except CallFailed:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)


def leave(
    method: str,
    url: str,
    body: Any,
    headers: Mapping[str, str],
    *,
    until: str = "",
    after: float | None = None,
) -> None:
    """One request whose answer is read until a text has come; then the connection is closed.

    With `after` it is closed after so many seconds, before there is any answer.
    """
    with _sent(method, url, body, headers) as connection:
        if after is not None:
            time.sleep(after)
            return
        received = b""
        for piece in _answered(connection):
            received += piece
            if until.encode() in received:
                return
    raise AssertionError(f"the answer ended before {until!r} came: {received!r:.500}")


def events_as_they_come(
    method: str, url: str, body: Any, headers: Mapping[str, str], timeout: float = 60.0
) -> Iterator[dict[str, Any]]:
    """The events of a stream, each when it comes; where no more are read the client has gone."""
    rest = b""
    with _sent(method, url, body, headers, timeout) as connection:
        for piece in _answered(connection):
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                event = line.removeprefix(b"data:").strip()
                if event.startswith(b"{"):
                    yield json.loads(event)


@contextmanager
def _sent(
    method: str, url: str, body: Any, headers: Mapping[str, str], timeout: float = 60.0
) -> Iterator[http.client.HTTPConnection]:
    parts = urlsplit(url)
    assert parts.hostname and parts.port
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
    try:
        path = parts._replace(scheme="", netloc="").geturl()
        sent = {"accept": "application/json", "content-type": "application/json", **headers}
        connection.request(method, path, json.dumps(body).encode(), sent)
        yield connection
    finally:
        connection.close()


def _answered(connection: http.client.HTTPConnection) -> Iterator[bytes]:
    answer = connection.getresponse()
    if answer.status != 200:
        raise CallFailed(f"HTTP {answer.status}: {answer.read(2000)!r}")
    while piece := answer.read1(65536):
        yield piece
