# /// script
# requires-python = ">=3.10"
# dependencies = ["pillow>=11,<13"]
# ///
"""Takes the README's picture: a trace of the demo in Phoenix, by headless Chromium.

    uv run tools/screenshot.py [--flow "Travel agent"] [--out docs/images/trace.png] [-- COMMAND]

Starts the demo (`make demo`, or COMMAND) on a terminal of its own, and stops it again. Needs
chromium and chromedriver (Debian: apt install chromium chromium-driver) and pillow.
"""

from __future__ import annotations

import argparse
import base64
import http.client
import io
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
MAX_BYTES = 300_000
START_SECONDS = 900  # the first `make demo` downloads Phoenix
PAGE_SECONDS = 60
WIDTH = 1560  # of which the trace takes three quarters
HEADER_HEIGHT, LINE_HEIGHT, LEAST_HEIGHT = 370, 50, 1000
SCALE = 1.5
PANELS = '{"trace-tree":37,"span-details":63}'
CHROMIUM = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--no-proxy-server",
    f"--window-size={WIDTH},{LEAST_HEIGHT}",
    f"--force-device-scale-factor={SCALE}",
)


def main() -> int:
    """Takes the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--flow", default="Travel agent", help="the flow whose trace is shown")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "images" / "trace.png")
    parser.add_argument("--span", default="ScriptedChatModel", help="the span to select")
    parser.add_argument("--theme", default="light", choices=("light", "dark"))
    parser.add_argument("--running", metavar="URL", help="the address a running demo has printed")
    parser.add_argument("command", nargs="*", default=["make", "--no-print-directory", "demo"])
    args = parser.parse_args()
    if args.running:
        return shoot(args.running, args)
    with demo(args.command) as address:
        return shoot(address, args)


def shoot(address: str, args: argparse.Namespace) -> int:
    """Opens the trace, selects the span, and writes the picture."""
    with browser() as page:
        size = photograph(page, address, args.flow, args.span, args.out, theme=args.theme)
    print(f"{args.out}: {size // 1000} KB")
    return 0


def photograph(
    page: Page,
    address: str,
    flow: str,
    span: str,
    out: Path,
    *,
    theme: str = "light",
    max_bytes: int = MAX_BYTES,
) -> int:
    """Writes the picture of the trace of a flow, with a span open; returns its size.

    Args:
        page: the browser's.
        address: of the project in Phoenix.
        flow: the name of the trace's root.
        span: the name of the span to open, the last one that is called so.
        out: the file.
        theme: `light` or `dark`.
        max_bytes: what the file may have.
    """
    parts = urlsplit(address)
    project, port = parts.path.rpartition("/")[2], parts.port or 80
    spans = get(port, f"/v1/projects/{project}/spans?limit=500")["data"]
    root = next(s for s in spans if s["name"] == flow and not s.get("parent_id"))
    trace = [s for s in spans if s["context"]["trace_id"] == root["context"]["trace_id"]]
    shown = max((s for s in trace if s["name"] == span), key=lambda s: s["start_time"])
    page.height(max(LEAST_HEIGHT, HEADER_HEIGHT + LINE_HEIGHT * len(trace)))
    page.go(f"http://127.0.0.1:{port}/")
    page.store("arize-phoenix-theme", theme)
    page.store("react-resizable-panels:trace-details-layout", PANELS)
    page.go(f"{address}/traces/{root['context']['trace_id']}?selectedSpanNodeId={shown['id']}")
    page.wait_for_text(*{shown["name"], *(s["name"] for s in trace)})
    time.sleep(3)  # what is animated comes to rest
    picture, box = page.picture(), page.box("[role=dialog]")
    out.parent.mkdir(parents=True, exist_ok=True)
    return write(picture, box, out, max_bytes)


@contextmanager
def demo(command: list[str]) -> Iterator[str]:
    """Runs the demo on a terminal, where it stays; yields the address it says to open."""
    ours, its = pty.openpty()
    process = subprocess.Popen(
        command, cwd=ROOT, stdin=its, stdout=its, stderr=its, start_new_session=True
    )
    os.close(its)
    try:
        yield address_in(ours)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)
        os.close(ours)


def address_in(terminal: int) -> str:
    """Reads what the demo prints until it says what to open."""
    said = ""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            said += os.read(terminal, 4096).decode(errors="replace")
        except OSError:  # it has ended
            break
        if found := re.search(r"Open +(http://\S+)\s", re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", said)):
            return found[1]
    raise SystemExit(f"the demo does not say what to open; it says:\n{said[-3000:]}")


class Page:
    """A browser's page, driven over WebDriver."""

    def __init__(self, port: int, session: str) -> None:
        self._port = port
        self._path = f"/session/{session}"

    def go(self, address: str) -> None:
        """Opens an address."""
        post(self._port, f"{self._path}/url", {"url": address})

    def height(self, pixels: int) -> None:
        """Makes the window so high."""
        post(self._port, f"{self._path}/window/rect", {"width": WIDTH, "height": pixels})

    def run(self, script: str, *arguments: Any) -> Any:
        """Runs JavaScript in the page."""
        body = {"script": script, "args": list(arguments)}
        return post(self._port, f"{self._path}/execute/sync", body)

    def store(self, key: str, value: str) -> None:
        """Sets what the page keeps in the browser."""
        self.run("localStorage.setItem(arguments[0], arguments[1])", key, value)

    def wait_for_text(self, *texts: str) -> None:
        """Waits until the page shows all of `texts`."""
        deadline = time.monotonic() + PAGE_SECONDS
        while True:
            shown = self.run("return document.body.innerText") or ""
            missing = [text for text in texts if text not in shown]
            if not missing:
                return
            if time.monotonic() > deadline:
                raise SystemExit(f"the page never showed {missing}; it shows:\n{shown[:3000]}")
            time.sleep(0.5)

    def picture(self) -> bytes:
        """Takes a picture of what is seen."""
        return base64.b64decode(get(self._port, f"{self._path}/screenshot")["value"])

    def box(self, selector: str) -> tuple[int, int, int, int]:
        """Where an element is in the picture: left, top, right, bottom."""
        script = (
            "const b = document.querySelector(arguments[0]).getBoundingClientRect();"
            "return [b.left, b.top, b.right, b.bottom]"
        )
        left, top, right, bottom = (round(side * SCALE) for side in self.run(script, selector))
        return left, top, right, bottom

    def close(self) -> None:
        """Closes the browser."""
        ask(self._port, "DELETE", self._path)


@contextmanager
def browser() -> Iterator[Page]:
    """Starts Chromium with a profile of its own."""
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and driver):
        raise SystemExit("chromium and chromedriver are needed: apt install chromium-driver")
    with tempfile.TemporaryDirectory() as profile:
        process = subprocess.Popen(
            [driver, "--port=0", f"--log-path={profile}/driver.log"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            port = next(
                int(found[1])
                for line in process.stdout or ()
                if (found := re.search(r"started successfully on port (\d+)", line))
            )
            options = {"binary": chromium, "args": [*CHROMIUM, f"--user-data-dir={profile}/user"]}
            wanted = {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": options}}
            made = post(port, "/session", {"capabilities": wanted})
            page = Page(port, made["sessionId"])
            try:
                yield page
            finally:
                page.close()
        finally:
            process.terminate()
            process.wait(10)


def write(
    picture: bytes, box: tuple[int, int, int, int], path: Path, max_bytes: int = MAX_BYTES
) -> int:
    """Writes what is in the box, in as few colours as the size asks for."""
    image = Image.open(io.BytesIO(picture)).convert("RGB").crop(box)
    for colours in (256, 128, 64):
        image.quantize(colours, method=Image.Quantize.MAXCOVERAGE).save(path, optimize=True)
        size = path.stat().st_size
        if size < max_bytes:
            return size
    raise SystemExit(f"the picture has {size} bytes, and may have {max_bytes}")


def get(port: int, path: str) -> dict[str, Any]:
    """GETs JSON."""
    return ask(port, "GET", path)


def post(port: int, path: str, body: Any) -> Any:
    """POSTs JSON to the driver; returns the value it answers with."""
    return ask(port, "POST", path, json.dumps(body))["value"]


def ask(port: int, method: str, path: str, body: str | None = None) -> dict[str, Any]:
    """Makes one request to a server of this machine."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    try:
        connection.request(method, path, body, {"content-type": "application/json"})
        answer = connection.getresponse()
        said = answer.read().decode(errors="replace")
    finally:
        connection.close()
    if answer.status != http.client.OK:
        raise SystemExit(f"{method} {path} is answered with {answer.status}: {said[:1000]}")
    return json.loads(said)


if __name__ == "__main__":
    sys.exit(main())
