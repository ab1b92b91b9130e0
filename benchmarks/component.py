"""What one component costs the event loop, as a multiple of a raw OpenTelemetry span.

Every way to trace has a process of its own, which is asked for one burst of components after the
other. Raw spans are measured next to each burst, in the same process.
"""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks.sink import Mode, sink
from benchmarks.tracers import NATIVE, NO_CONTENT, NONE, NOT_SAMPLED, OURS, WAYS
from benchmarks.worker import Worker

BURST = 50
ROUNDS, ROUNDS_OF_BACKENDS, QUICK_ROUNDS = 11, 7, 5
#: What is measured in a hurry: what needs no SDK of a vendor, which takes seconds to import.
QUICK_WAYS = (NONE, OURS, NO_CONTENT, NOT_SAMPLED, NATIVE)
SMALL, LARGE = "1 KB", "100 KB"
#: A burst has fewer components where they take longer.
_SECONDS = 0.3
# Some of Langflow's would wait for as long as a hanging backend hangs, in each component.
_DEAD: tuple[Mode, ...] = ("hanging", "refusing")
#: Against a backend that is not there at once; the first is what they are compared with.
MODES: tuple[Mode, ...] = ("instant", "slow", *_DEAD)


@dataclass(frozen=True)
class Cost:
    """Microseconds of a component, and what multiple of a raw span in the same process that is."""

    microseconds: float
    quartiles: tuple[float, float]
    ratio: float


@dataclass(frozen=True)
class Figure:
    """What a way to trace costs, by the size of the values."""

    way: str
    mode: Mode
    costs: dict[str, Cost]
    raw: float
    """Microseconds of a raw span."""
    around: float
    """Milliseconds that a run takes besides its components: to start it and to end it."""


def measure(*, quick: bool) -> list[Figure]:
    """Measure all ways to trace, with a backend that answers at once."""
    ways = QUICK_WAYS if quick else WAYS
    return _measured([(way, "instant") for way in ways], QUICK_ROUNDS if quick else ROUNDS)


def measure_backends(ways: Iterable[str], *, quick: bool) -> list[Figure]:
    """Measure some ways to trace with backends of all kinds; only ours with those that hang."""
    pairs: list[tuple[str, Mode]] = [
        (way, mode) for way in ways for mode in MODES if way == OURS or not (quick or mode in _DEAD)
    ]
    return _measured(pairs, QUICK_ROUNDS if quick else ROUNDS_OF_BACKENDS)


def _measured(pairs: Sequence[tuple[str, Mode]], rounds: int) -> list[Figure]:
    with contextlib.ExitStack() as stack:
        addresses = {mode: stack.enter_context(sink(mode)) for mode in MODES}
        workers = {
            (way, mode): stack.enter_context(
                WAYS[way].worker(way, addresses[mode], addresses["instant"])
            )
            for way, mode in pairs
        }
        samples = {pair: _Samples() for pair in pairs}
        for (_, mode), worker in workers.items():
            # The first run in a process imports what it needs, and takes seconds.
            _Samples().take(worker)
            if mode in _DEAD:
                worker.ask(do="fill")
        for _ in range(rounds):
            for pair, worker in workers.items():
                samples[pair].take(worker)
    return [samples[way, mode].figure(way, mode) for way, mode in pairs]


class _Samples:
    """What one worker answered."""

    def __init__(self) -> None:
        self._raw: list[float] = []
        self._component: dict[str, list[float]] = {SMALL: [], LARGE: []}
        self._around: list[float] = []

    def take(self, worker: Worker) -> None:
        """Ask for one round."""
        for size, taken in self._component.items():
            self._raw.append(worker.ask(do="raw", calls=BURST))
            burst = worker.ask(do="burst", size=size, calls=BURST, seconds=_SECONDS)
            taken.append(burst["component"])
            self._around.append(burst["around"])

    def figure(self, way: str, mode: Mode) -> Figure:
        raw = statistics.median(self._raw)
        costs = {size: _cost(taken, raw) for size, taken in self._component.items()}
        return Figure(way, mode, costs, raw, statistics.median(self._around) / 1000)


def _cost(taken: list[float], raw: float) -> Cost:
    middle = statistics.median(taken)
    low, _, high = statistics.quantiles(taken, n=4)
    return Cost(middle, (low, high), middle / raw)
