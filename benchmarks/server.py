"""Requests per second and latency of a real `langflow run`, traced in one way or another.

One server at a time, because there are not more processors than one takes. The load comes from a
process of its own, in windows.
"""

from __future__ import annotations

import contextlib
import json
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from benchmarks.sink import sink
from tests.support import flows
from tests.support.server import LangflowServer

WINDOWS, QUICK_WINDOWS = 3, 1
SECONDS, QUICK_SECONDS = 8, 5
CONNECTIONS = 4

_NO_NATIVE = {"LANGFLOW_NATIVE_TRACING": "false"}


@dataclass(frozen=True)
class Way:
    """How a server is started."""

    environment: dict[str, str] = field(default_factory=dict)
    prefix: Sequence[str] = ()
    quick: bool = True
    """Whether it is measured in a hurry, too."""


OFF = "tracing off"
WAYS = {
    OFF: Way({"LANGFLOW_DEACTIVATE_TRACING": "true"}),
    "langflow-otel": Way(
        {**_NO_NATIVE, "PHOENIX_COLLECTOR_ENDPOINT": "{address}"}, ("langflow-otel", "run", "--")
    ),
    "Langflow's native": Way(),
    "Langflow's Langfuse": Way(
        {
            **_NO_NATIVE,
            "LANGFUSE_PUBLIC_KEY": "pk-lf-benchmark",
            "LANGFUSE_SECRET_KEY": "sk-lf-benchmark",
            "LANGFUSE_HOST": "{address}",
        },
        quick=False,
    ),
}


@dataclass(frozen=True)
class Figure:
    """What one way comes to: medians of the windows."""

    way: str
    per_second: float
    middle: float
    """Milliseconds."""
    late: float
    """Milliseconds; one answer in a hundred takes longer."""


def measure(*, quick: bool) -> list[Figure]:
    """Start one server after the other, and load it."""
    taken: dict[str, list[tuple[float, float, float]]] = {}
    with sink("instant") as address:
        for name, way in WAYS.items():
            if way.quick or not quick:
                taken[name] = _loaded(way, address, quick=quick)
    return [
        Figure(name, *(statistics.median(values) for values in zip(*each, strict=True)))
        for name, each in taken.items()
    ]


def _loaded(way: Way, address: str, *, quick: bool) -> list[tuple[float, float, float]]:
    windows, seconds = (QUICK_WINDOWS, QUICK_SECONDS) if quick else (WINDOWS, SECONDS)
    with _server(way, address) as (server, url):
        # What runs for the first time imports what it needs.
        _load(url, server.api_key, 3)
        return [_summed(_load(url, server.api_key, seconds), seconds) for _ in range(windows)]


def _summed(took: list[float], seconds: int) -> tuple[float, float, float]:
    late = statistics.quantiles(took, n=100)[98]
    return len(took) / seconds, statistics.median(took), late


@contextlib.contextmanager
def _server(way: Way, address: str) -> Iterator[tuple[LangflowServer, str]]:
    environment = {name: value.format(address=address) for name, value in way.environment.items()}
    with LangflowServer(env=environment, prefix=way.prefix) as server:
        flow = server.upload(flows.linear_chat())
        assert server.run(flow, "hello")
        yield server, f"{server.endpoint}/api/v1/run/{flow}"


def _load(url: str, key: str, seconds: int) -> list[float]:
    """Return the milliseconds of each answer."""
    command = [sys.executable, "-m", "benchmarks.load", url, key, str(CONNECTIONS), str(seconds)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60, check=False)
    if ran.returncode:
        raise RuntimeError(ran.stderr[-2000:])
    took: list[float] = json.loads(ran.stdout)
    return took
