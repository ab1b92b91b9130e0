"""How late the event loop is while it traces: components of 10 KB, at a steady rate."""

from __future__ import annotations

import contextlib
import statistics
from dataclasses import dataclass

from benchmarks.sink import Mode, sink
from benchmarks.tracers import NONE, OURS, SDK, WAYS
from benchmarks.worker import Worker

RATES = (100, 1000)
WINDOWS, QUICK_WINDOWS = 5, 1
SECONDS, QUICK_SECONDS = 4.0, 3.0
PAIRS: tuple[tuple[str, Mode], ...] = (
    (NONE, "instant"),
    (SDK, "instant"),
    (OURS, "instant"),
    (OURS, "slow"),
    (OURS, "hanging"),
    (OURS, "refusing"),
)
QUICK_PAIRS = PAIRS[:3]
#: The points of the plot: so much of the time the loop is not later than that.
PERCENTILES = (50, 90, 95, 99, 99.9)


@dataclass(frozen=True)
class Figure:
    """Milliseconds, of one way to trace at one rate: medians of the windows."""

    way: str
    mode: Mode
    rate: int
    percentiles: dict[float, float]
    most: float


def measure(*, quick: bool) -> list[Figure]:
    """Measure windows of some seconds, of all ways in turn."""
    windows, seconds = (QUICK_WINDOWS, QUICK_SECONDS) if quick else (WINDOWS, SECONDS)
    pairs = QUICK_PAIRS if quick else PAIRS
    taken: dict[tuple[str, Mode, int], list[list[float]]] = {}
    with contextlib.ExitStack() as stack:
        addresses = {mode: stack.enter_context(sink(mode)) for _, mode in pairs}
        workers = {
            (way, mode): stack.enter_context(
                WAYS[way].worker(way, addresses[mode], addresses["instant"])
            )
            for way, mode in pairs
        }
        for worker in workers.values():
            _window(worker, RATES[0], 0.5)
        for _ in range(windows):
            for rate in RATES:
                for (way, mode), worker in workers.items():
                    window = _window(worker, rate, seconds)
                    taken.setdefault((way, mode, rate), []).append(window)
    return [_figure(*key, windows) for key, windows in taken.items()]


def _window(worker: Worker, rate: int, seconds: float) -> list[float]:
    late: list[float] = worker.ask(do="lag", rate=rate, seconds=seconds)
    return sorted(late)


def _figure(way: str, mode: Mode, rate: int, windows: list[list[float]]) -> Figure:
    def of(percent: float) -> float:
        return statistics.median(
            window[min(int(len(window) * percent / 100), len(window) - 1)] for window in windows
        )

    most = statistics.median(window[-1] for window in windows)
    return Figure(way, mode, rate, {percent: of(percent) for percent in PERCENTILES}, most)
