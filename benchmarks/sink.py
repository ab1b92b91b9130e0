"""A backend in a process of its own, so that its CPU time is not ours.

`python -m benchmarks.sink` prints its port and answers until its standard input ends: `instant`
takes everything, `slow` takes 200 ms to say so, `hanging` reads requests and never answers,
`resetting` closes the connection instead, and a status is what it answers.
"""

from __future__ import annotations

import json
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

Mode = Literal["instant", "slow", "hanging", "refusing", "resetting", "429", "500", "413"]
_SECONDS = {"instant": 0.0, "slow": 0.2, "hanging": 3600.0}

# To Langfuse's client, which asks at the start of each run whether its keys are right, and to
# LangSmith's, which asks for the address of each run.
_PROJECT = {"id": "5d3a2c1e-0000-4000-8000-000000000002", "name": "p", "metadata": {}}
_TENANT = {"tenant_id": "5d3a2c1e-0000-4000-8000-000000000003", "reference_dataset_id": None}
_ANSWERS = {
    "/api/public/projects": {"data": [{**_PROJECT, "organization": {"id": "o", "name": "o"}}]},
    "/sessions": [{**_PROJECT, **_TENANT, "start_time": "2026-01-01T00:00:00+00:00"}],
}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body in one write: or else each answer waits for a delayed acknowledgement.
    wbufsize = 1 << 16
    server: _Server

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        time.sleep(self.server.seconds)
        if self.server.mode == "resetting":
            # Closed with something left to send it is reset.
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.close_connection = True
            return
        if self.server.mode.isdigit():
            self._answer(int(self.server.mode), b"")
            return
        runs = self.path.startswith("/runs")
        self._answer(202 if runs else 200, b"{}" if runs else b"")

    def do_GET(self) -> None:
        time.sleep(self.server.seconds)
        answer = _ANSWERS.get(self.path.partition("?")[0], {"status": "OK", "version": "0"})
        self._answer(200, json.dumps(answer).encode())

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    mode = "instant"
    seconds = 0.0
    """It takes to answer."""


@contextmanager
def sink(mode: Mode) -> Iterator[str]:
    """Start one; yield its address. One that refuses is an address where nobody listens."""
    started = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.sink", mode],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert started.stdin is not None
    assert started.stdout is not None
    try:
        yield f"http://127.0.0.1:{int(started.stdout.readline())}"
    finally:
        started.stdin.close()
        started.wait(10)


def main(mode: str, port: str = "0") -> None:
    """Serve until standard input ends."""
    server = _Server(("127.0.0.1", int(port)), _Handler)
    server.mode = mode
    server.seconds = _SECONDS.get(mode, 0.0)
    if mode == "refusing":
        server.server_close()
    else:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
