"""How much memory a dead backend takes: spans that nobody fetches, of ours and of others.

Each case is a process of its own (`python -m benchmarks.memory <way> <address> <spans> <bytes>`),
which prints by how many MB it has grown at the most.
"""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.dead import WAYS
from benchmarks.sink import Mode, sink
from benchmarks.spans import texts

CASES = ((100_000, 10_000), (2_500, 1_000_000))
QUICK_CASES = ((10_000, 10_000), (500, 1_000_000))
MODES: tuple[Mode, ...] = ("refusing", "hanging")
_MB = 1 << 10  # of the kilobytes that are told
_STATUS = Path("/proc/self/status")


@dataclass(frozen=True)
class Figure:
    """By how much one process has grown, in MB."""

    way: str
    mode: Mode
    spans: int
    size: int
    megabytes: float


def measure(*, quick: bool) -> list[Figure]:
    """Run each case once, one after the other."""
    figures = []
    for mode in MODES:
        with sink(mode) as address:
            for spans, size in QUICK_CASES if quick else CASES:
                for way in WAYS:
                    grown = _in_a_process(way, address, spans, size)
                    figures.append(Figure(way, mode, spans, size, grown))
    return figures


def _in_a_process(way: str, address: str, spans: int, size: int) -> float:
    command = [sys.executable, "-m", "benchmarks.memory", way, address, str(spans), str(size)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    if ran.returncode:
        raise RuntimeError(ran.stderr[-2000:])
    return float(ran.stdout.split()[-1])


def _grown() -> float:
    if _STATUS.exists():
        # On Linux getrusage begins with what the parent had when it started this one.
        most = re.search(r"^VmHWM:\s+(\d+) kB", _STATUS.read_text(), re.MULTILINE)
        if most:
            return int(most[1]) / _MB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _MB


def main(way: str, address: str, spans: str, size: str) -> None:
    """End spans as fast as it goes, and print by how much that made the process grow."""
    import logging

    logging.disable(logging.CRITICAL)
    end = WAYS[way](address)
    before = _grown()
    for text in texts(int(spans), int(size)):
        end(text)
    sys.stdout.write(f"{_grown() - before:.0f}\n")
    sys.stdout.flush()
    # Who cannot send would try for half a minute.
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
