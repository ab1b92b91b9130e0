"""How long a process takes to end when its backend is dead, and a thousand spans are not sent.

Each case is a process of its own (`python -m benchmarks.exits <way> <address>`), which prints when
it has nothing else to do.
"""

from __future__ import annotations

import math
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from benchmarks.dead import WAYS
from benchmarks.payloads import KB
from benchmarks.sink import Mode, sink
from benchmarks.spans import texts

SPANS = 1000
REPEATS, QUICK_REPEATS = 2, 1
PATIENCE = 60.0
MODES: tuple[Mode, ...] = ("instant", "refusing", "hanging")


@dataclass(frozen=True)
class Figure:
    """Seconds from the last thing a process does to its end; infinite where nobody waits on."""

    way: str
    mode: Mode
    seconds: float


def measure(*, quick: bool) -> list[Figure]:
    """End a process of each way, and that again."""
    figures = []
    for mode in MODES:
        # Who waits for half a minute does nothing meanwhile, so that all can do it at once.
        with sink(mode) as address, ThreadPoolExecutor(len(WAYS)) as pool:
            repeats = QUICK_REPEATS if quick else REPEATS
            all_taken = [list(pool.map(_end, WAYS, [address] * len(WAYS))) for _ in range(repeats)]
        for way, *taken in zip(WAYS, *all_taken, strict=True):
            figures.append(Figure(way, mode, statistics.median(taken)))
    return figures


def _end(way: str, address: str) -> float:
    command = [sys.executable, "-m", "benchmarks.exits", way, address]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        begin = time.monotonic()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            return math.inf
        return time.monotonic() - begin


def main(way: str, address: str) -> None:
    """End spans, and come to an end."""
    import logging

    logging.disable(logging.CRITICAL)
    end = WAYS[way](address)
    for text in texts(SPANS, KB):
        end(text)
    sys.stdout.write("done\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
