"""Writes the trees of docs/gallery.md from real runs, and takes its pictures in a real Phoenix.

    .venvs/test/bin/python tools/gallery.py [--no-pictures] ["A chat" ...]

The pictures need chromium and chromedriver, as tools/screenshot.py does, and a Phoenix:
LANGFLOW_OTEL_PHOENIX_PYTHON names a Python that has it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]
# Before anything imports Langflow: its database is not the user's.
_HOME = tempfile.TemporaryDirectory()
os.environ["LANGFLOW_CONFIG_DIR"] = _HOME.name
os.environ["LANGFLOW_DATABASE_URL"] = f"sqlite:///{_HOME.name}/langflow.db"

import screenshot  # noqa: E402

from langflow_otel import LangflowInstrumentor  # noqa: E402
from tests.support import gallery  # noqa: E402
from tests.support.phoenix import Phoenix  # noqa: E402
from tests.support.receiver import OtlpReceiver  # noqa: E402
from tests.support.select import only as selected  # noqa: E402
from tests.support.server import LangflowServer  # noqa: E402
from tests.support.spans import Span  # noqa: E402
from tests.support.starters import surroundings  # noqa: E402

PROJECT = "langflow"  # what langflow-otel calls it where nobody has said otherwise


def main() -> int:
    """Writes the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("titles", nargs="*", help="the headings of the shapes to run; else all")
    parser.add_argument("--no-pictures", action="store_true", help="write the trees only")
    args = parser.parse_args()
    with ExitStack() as stack:
        Gallery(stack, Path(_HOME.name), pictures=not args.no_pictures).write(args.titles)
    return 0


class Gallery:
    """The page, a receiver to read the trees from, and a Phoenix to take pictures of."""

    def __init__(self, stack: ExitStack, folder: Path, *, pictures: bool) -> None:
        self._stack, self._folder = stack, folder
        self._receiver = stack.enter_context(OtlpReceiver())
        self._phoenix = stack.enter_context(Phoenix()) if pictures else None
        self._env = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": self._receiver.endpoint,
            "OTEL_PYTHON_LANGFLOW_CAPTURE_CONTENT": "true",
            "OTEL_BSP_SCHEDULE_DELAY": "100",
        }
        if self._phoenix:
            self._env["PHOENIX_COLLECTOR_ENDPOINT"] = self._phoenix.endpoint
        os.environ.update(self._env)

    def write(self, titles: list[str]) -> None:
        """Runs the shapes, and puts on the page what comes of them."""
        for shape in gallery.IN_PROCESS:
            if shape.title in titles or not titles:
                self._show(shape.title, self._run(shape), shape.select)
        served = [shape for shape in gallery.SERVED if shape.title in titles or not titles]
        if served:
            self._serve(served)

    def _run(self, shape: gallery.Shape) -> list[Span]:
        self._receiver.clear()
        LangflowInstrumentor().instrument()
        asyncio.run(shape.run())
        LangflowInstrumentor().uninstrument()
        return self._receiver.spans

    def _serve(self, shapes: list[gallery.Served]) -> None:
        around = self._stack.enter_context(surroundings(self._folder))
        prefix = ["langflow-otel", "run", "--"]
        server = LangflowServer(env={**self._env, **around.environment}, prefix=prefix)
        values = around.fill(self._stack.enter_context(server))
        for shape in shapes:
            self._receiver.clear()
            name = shape.run(server, values)

            def run(spans: list[Span], name: str = name) -> Span | None:
                return next((span for span in spans if span.name == name and span.kind), None)

            self._receiver.wait_for(run, timeout=60)
            time.sleep(1)  # a request that has started the run ends after it
            spans = self._receiver.spans
            trace = gallery.trace_of(run(spans) or spans[0], spans)
            self._show(shape.title, trace, shape.select)

    def _show(self, title: str, spans: list[Span], select: str) -> None:
        page = gallery.PAGE.read_text()
        gallery.PAGE.write_text(gallery.with_tree(page, title, gallery.drawn(spans)))
        if not (select and self._phoenix):
            return
        # A run that has paused is two traces.
        trace = next(span.trace_id for span in spans if span.name == select)
        ai = selected(spans, lambda span: bool(span.kind) and span.trace_id == trace)
        self._phoenix.wait_for_spans(
            PROJECT, lambda found: sum(s.trace_id == trace for s in found) >= len(ai)
        )
        port = int(self._phoenix.endpoint.rpartition(":")[2])
        project = screenshot.get(port, f"/v1/projects/{PROJECT}")["data"]["id"]
        out = gallery.picture(title)
        with screenshot.browser() as window:
            size = screenshot.photograph(
                window,
                f"{self._phoenix.endpoint}/projects/{project}",
                next(span.name for span in ai if not span.parent_id),
                select,
                out,
                max_bytes=gallery.MOST_BYTES,
            )
        print(f"{out}: {size // 1000} KB")


if __name__ == "__main__":
    sys.exit(main())
