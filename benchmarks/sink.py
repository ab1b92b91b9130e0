"""A backend in a process of its own, so that its CPU time is not ours.

`python -m benchmarks.sink` prints its port and answers until its standard input ends: `instant`
takes everything, `hanging` reads requests and never answers.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

Mode = Literal["instant", "hanging", "refusing"]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body in one write: or else each answer waits for a delayed acknowledgement.
    wbufsize = 1 << 16
    server: _Server

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.server.hangs:
            threading.Event().wait()
        runs = self.path.startswith("/runs")
        self._answer(202 if runs else 200, b"{}" if runs else b"")

    def do_GET(self) -> None:
        self._answer(200, json.dumps({"status": "OK", "version": "0"}).encode())

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    hangs = False


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


def main(mode: str) -> None:
    """Serve until standard input ends."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.hangs = mode == "hanging"
    if mode == "refusing":
        server.server_close()
    else:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(sys.argv[1])
