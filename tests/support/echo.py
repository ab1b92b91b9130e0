"""A tiny HTTP server that answers a GET with what it was asked: the path and the headers.

`/to/<address>` is answered with a redirect to `http://<address>/hello`.
"""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from typing_extensions import Self


class EchoServer:
    """Answers on 127.0.0.1 while the context is open, and remembers what it was sent."""

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []
        """`path` and `headers` of each request, the headers' names in lower case."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="echo", daemon=True
        )

    def wait_for(self, count: int, timeout: float = 20) -> None:
        """Wait until it was asked so often."""
        deadline = time.monotonic() + timeout
        while len(self.seen) < count:
            if time.monotonic() > deadline:
                raise AssertionError(f"asked {len(self.seen)} times, not {count}")
            time.sleep(0.02)

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join(10)
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        seen = self.seen

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                # Langflow 1.7 sends an empty object with a GET.
                self.rfile.read(int(self.headers.get("content-length", "0")))
                headers = {name.lower(): value for name, value in self.headers.items()}
                seen.append({"path": self.path, "headers": headers})
                if self.path.startswith("/to/"):
                    self.send_response(307)
                    self.send_header("location", f"http://{self.path[len('/to/') :]}/hello")
                    self.send_header("content-length", "0")
                    self.end_headers()
                    return
                body = json.dumps({"city": "Oslo", **seen[-1]}).encode()
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Silence: the test's output is not an access log."""

        return Handler
