"""What a hundred thousand flow runs leave behind: `python -m benchmarks.soak`, or `make soak`.

Real lfx, real flows of two components, three destinations, of which one hangs for a while and one
is not there for a while. Runs fail, are cancelled and are abandoned among those that succeed. The
first of the same runs without tracing, in a process of their own, are what that stands beside.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from opentelemetry.sdk.trace import TracerProvider

from benchmarks import drawing
from benchmarks.drawing import Line, Panel
from tests.support.counting import CountingSpanProcessor

RUNS, AT_ONCE, EVERY = 100_000, 8, 1000
#: The share of the runs that are made without tracing, too.
_WITHOUT = 0.2
_DOCS = Path(__file__).parent.parent / "docs"
#: When, as shares of all runs, a destination hangs, or is not there.
_HANGS, _IS_AWAY = (0.2, 0.4), (0.5, 0.7)
_PAGE_MB = os.sysconf("SC_PAGE_SIZE") / (1 << 20)


@dataclass(frozen=True)
class Sample:
    """What the process holds between two rounds of runs."""

    runs: int
    seconds: float
    rss_mb: float
    threads: int
    descriptors: int
    objects: int
    open_spans: int
    ended: int
    queued: int
    destinations: dict[str, dict[str, Any]]


class Backend:
    """A backend in a process of its own, which can be stopped and be taken away."""

    def __init__(self) -> None:
        self._port = 0
        self.come_back()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def hang(self) -> None:
        """Take connections, as the kernel does, and answer nothing."""
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def go_away(self) -> None:
        """Refuse connections."""
        self._process.kill()
        self._process.wait(10)

    def come_back(self) -> None:
        command = [sys.executable, "-m", "benchmarks.sink", "instant", str(self._port)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self._port = int(self._process.stdout.readline())


def measure(runs: int, *, traced: bool) -> Iterator[Sample]:
    """Yield what a process of its own holds after each round of runs."""
    with contextlib.ExitStack() as stack:
        backends = {name: Backend() for name in ("phoenix", "langfuse", "langsmith")}
        for backend in backends.values():
            stack.callback(backend.go_away)
        hanging, away = backends["langfuse"], backends["langsmith"]
        due: list[tuple[int, Callable[[], None]]] = [
            (int(_HANGS[0] * runs), hanging.hang),
            (int(_HANGS[1] * runs), hanging.go_on),
            (int(_IS_AWAY[0] * runs), away.go_away),
            (int(_IS_AWAY[1] * runs), away.come_back),
        ]
        environment = _environment(backends) if traced else {}
        home = stack.enter_context(tempfile.TemporaryDirectory())
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.soak", "--child", "--runs", str(runs)],
            env={**os.environ, "LANGFLOW_CONFIG_DIR": home, **environment},
            stdout=subprocess.PIPE,
            text=True,
        )
        stack.callback(process.wait, 60)
        stack.callback(process.terminate)
        assert process.stdout is not None
        for line in process.stdout:
            sample = Sample(**json.loads(line))
            while due and sample.runs >= due[0][0]:
                due.pop(0)[1]()
            yield sample


def _environment(backends: dict[str, Backend]) -> dict[str, str]:
    return {
        "OTEL_TRACES_EXPORTER": ",".join(backends),
        "PHOENIX_COLLECTOR_ENDPOINT": backends["phoenix"].address,
        "LANGFUSE_HOST": backends["langfuse"].address,
        "LANGFUSE_PUBLIC_KEY": "pk-lf-soak",
        "LANGFUSE_SECRET_KEY": "sk-lf-soak",
        "LANGSMITH_ENDPOINT": backends["langsmith"].address,
        "LANGSMITH_API_KEY": "lsv2_soak",
        # Time goes faster here than for who runs ten flows a second.
        "OTEL_BSP_EXPORT_TIMEOUT": "2000",
    }


def child(runs: int) -> None:
    """Make so many runs, and print a sample, as JSON, after each round."""
    logging.disable(logging.CRITICAL)
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    counting = CountingSpanProcessor()
    provider = TracerProvider()
    if "OTEL_TRACES_EXPORTER" in os.environ:
        from langflow_otel import LangflowInstrumentor

        LangflowInstrumentor().instrument()
        made = LangflowInstrumentor().tracer_provider
        assert isinstance(made, TracerProvider)
        provider = made
        provider.add_span_processor(counting)

    def tell(done: int, seconds: float) -> None:
        if done == runs:
            provider.force_flush(60_000)
        answers.write(json.dumps(asdict(_sample(done, seconds, counting))) + "\n")

    asyncio.run(soak(runs, tell))


async def soak(runs: int, tell: Callable[[int, float], None]) -> None:
    """Make so many runs, some at once; `tell` how many there have been after each round."""
    from tests.support.chain import SmallFlow

    flows = [await SmallFlow.made() for _ in range(AT_ONCE)]
    begun = time.perf_counter()

    async def some(flow: SmallFlow, numbers: range) -> None:
        for number in numbers:
            await flow.run(number, SmallFlow.way(number))

    for first in range(0, runs, EVERY):
        last = min(first + EVERY, runs)
        await asyncio.gather(
            *(some(flow, range(first + n, last, AT_ONCE)) for n, flow in enumerate(flows))
        )
        tell(last, time.perf_counter() - begun)


def _sample(runs: int, seconds: float, counting: CountingSpanProcessor) -> Sample:
    gc.collect()
    with open("/proc/self/statm") as statm:
        pages = int(statm.read().split()[1])
    told = _statistics()
    return Sample(
        runs=runs,
        seconds=round(seconds, 1),
        rss_mb=round(pages * _PAGE_MB, 1),
        threads=threading.active_count(),
        descriptors=len(os.listdir("/proc/self/fd")),
        objects=len(gc.get_objects()),
        open_spans=counting.started - counting.ended,
        ended=counting.ended,
        queued=sum(each["queue_items"] for each in told.values()),
        destinations=told,
    )


def _statistics() -> dict[str, dict[str, Any]]:
    if "OTEL_TRACES_EXPORTER" not in os.environ:
        return {}
    from langflow_otel import LangflowInstrumentor

    return {name: asdict(each) for name, each in LangflowInstrumentor().statistics().items()}


def table(soaked: dict[str, list[Sample]]) -> str:
    """Return, as Markdown, what is held at the beginning, in the middle and at the end."""
    lines = [
        "| runs | way | RSS, MB | threads | file descriptors | objects | open spans |",
        "|---|---|---|---|---|---|---|",
    ]
    for way, samples in soaked.items():
        shown = {round(share * (len(samples) - 1)) for share in (0, 0.25, 0.5, 0.75, 1)}
        lines += [
            f"| {sample.runs:,} | {way} | {sample.rss_mb:.0f} | {sample.threads} | "
            f"{sample.descriptors} | {sample.objects:,} | {sample.open_spans} |"
            for sample in (samples[number] for number in sorted(shown))
        ]
    lines += [
        "",
        "| destination | spans ended | exported | not let in, why | dropped, why | queued |",
        "|---|---|---|---|---|---|",
    ]
    last = soaked["traced"][-1]
    for name, told in last.destinations.items():
        gone = told["exported"], *told["refused"].values(), *told["dropped"].values()
        assert sum(gone) + told["queue_items"] == last.ended
        lines.append(
            f"| {name} | {last.ended:,} | {told['exported']:,} | {_reasons(told['refused'])} | "
            f"{_reasons(told['dropped'])} | {told['queue_items']} |"
        )
    return "\n".join(lines)


def picture(soaked: dict[str, list[Sample]]) -> str:
    """Return what the process holds over its runs, as an SVG picture."""
    runs = soaked["traced"][-1].runs
    bands = [
        (_HANGS[0] * runs, _HANGS[1] * runs, "langfuse hangs"),
        (_IS_AWAY[0] * runs, _IS_AWAY[1] * runs, "langsmith refuses"),
    ]
    panels = []
    for title, of in (
        ("memory (RSS), MB", lambda sample: sample.rss_mb),
        ("objects the collector knows, thousands", lambda sample: sample.objects / 1000),
        ("threads", lambda sample: sample.threads),
        ("file descriptors", lambda sample: sample.descriptors),
        ("open spans", lambda sample: sample.open_spans),
        ("spans queued, in all destinations", lambda sample: sample.queued),
    ):
        lines = [
            Line(way, [each.runs for each in samples], [of(each) for each in samples])
            for way, samples in soaked.items()
        ]
        panels.append(Panel(title, lines if "spans" not in title else lines[:1], bands))
    return drawing.lines(panels, "flow runs")


def _reasons(counted: dict[str, int]) -> str:
    return ", ".join(f"{reason} {number:,}" for reason, number in counted.items()) or "-"


def main() -> None:
    """Soak with tracing and without, print a table, and draw the plot of the docs."""
    parser = argparse.ArgumentParser("make soak", description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--write", action="store_true", help="put the plot into docs/images")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--keep", type=Path, help="keep the samples in this file, as JSON")
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments.runs)
        return
    soaked: dict[str, list[Sample]] = {}
    for way, traced in (("traced", True), ("not traced", False)):
        soaked[way] = []
        runs = arguments.runs if traced else max(EVERY, int(arguments.runs * _WITHOUT))
        for sample in measure(runs, traced=traced):
            soaked[way].append(sample)
            if sample.runs % (10 * EVERY) == 0:
                print(way, sample.runs, f"{sample.seconds:.0f} s", file=sys.stderr, flush=True)
            if arguments.keep:
                kept = {way: [asdict(each) for each in them] for way, them in soaked.items()}
                arguments.keep.write_text(json.dumps(kept))
    print(table(soaked))
    if arguments.write:
        (_DOCS / "images" / "soak.svg").write_text(picture(soaked))


if __name__ == "__main__":
    main()
