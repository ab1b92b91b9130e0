"""Where the time of a component goes, and that of sending, by what `cProfile` sees.

A profiler makes every call slower, so what it tells is shares, and of two functions the one that
calls more is told as more than it is.
"""

from __future__ import annotations

import contextlib
import cProfile
import pstats
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks import component
from benchmarks.export import BATCH, profiled_ways
from benchmarks.sink import sink
from benchmarks.spans import finished
from benchmarks.tracers import OURS, WAYS

COMPONENTS, RUNS = 400, 50
REST = "the rest"
#: Parts by where their functions are; the first that fits. What fits none is its callers'.
OF_A_COMPONENT = (
    ("capture of what came in and what came out", ("langflow_otel/capture/",)),
    ("OpenTelemetry's SDK and API", ("opentelemetry/",)),
    ("what is read of Langflow's objects", ("langflow_otel/seams/", "lfx/", "langflow/")),
    (
        "what exporters must know, at the start and the end",
        (
            "langflow_otel/enrich.py",
            "langflow_otel/marks.py",
            "langflow_otel/place.py",
            "langflow_otel/selection.py",
            "langflow_otel/model_calls.py",
            "langflow_otel/plain.py",
        ),
    ),
    ("its weight, the gates of the destinations", ("langflow_otel/export/",)),
    ("the rest of our spans: context, parents, kind, status", ("langflow_otel/",)),
)
OF_SENDING = (
    ("look for secrets", ("langflow_otel/capture/", "langflow_otel/export/content.py")),
    ("encode as protobuf", ("opentelemetry/exporter/", "google/protobuf/")),
    ("HTTP and compression", ("urllib3/", "requests/", "httpx/", "http/client.py", "gzip.py")),
    ("LangSmith's client", ("langsmith/",)),
    ("translate, choose, count", ("langflow_otel/", "opentelemetry/")),
)

Parts = Sequence[tuple[str, tuple[str, ...]]]
Function = tuple[str, int, str]


@dataclass(frozen=True)
class Figure:
    """Of 1, how much each part is; and how many functions were called for one component or span."""

    of: str
    shares: dict[str, float]
    calls: float


def measure_components(*, quick: bool) -> list[Figure]:
    """Profile components of two sizes, on the thread of the event loop."""
    number = COMPONENTS // 4 if quick else COMPONENTS
    with sink("instant") as address, WAYS[OURS].worker(OURS, address, address) as worker:
        figures = []
        for size in (component.SMALL, component.LARGE):
            worker.ask(do="burst", size=size, calls=component.BURST, seconds=5.0)
            told = worker.ask(do="profile", size=size, calls=number)
            figures.append(Figure(size, **told))
    return figures


def measure_sending(*, quick: bool) -> list[Figure]:
    """Profile what sends spans, on the thread that does."""
    spans = finished(RUNS // 5 if quick else RUNS)
    figures = []
    with sink("instant") as address, contextlib.ExitStack() as open_ones:
        for name, send in profiled_ways(address, open_ones).items():
            send(spans[:BATCH])
            with profiled() as profile:
                send(spans)
            figures.append(Figure(name, **shares(profile, OF_SENDING, len(spans))))
    return figures


@contextlib.contextmanager
def profiled() -> Iterator[cProfile.Profile]:
    """Profile this thread while it is open, by the CPU time of this thread."""
    profile = cProfile.Profile(time.thread_time)
    profile.enable()
    try:
        yield profile
    finally:
        profile.disable()


def shares(profile: cProfile.Profile, parts: Parts, number: int) -> dict[str, Any]:
    """Return the fields of a `Figure` of `number` components or spans."""
    functions: dict[Function, Any] = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    taken: Counter[str] = Counter()
    for function, (_, _, own, _, _) in functions.items():
        for part, share in _parts_of(function, functions, parts, frozenset()).items():
            taken[part] += own * share
    whole = sum(taken.values())
    names = [name for name, _ in parts] + [REST]
    return {
        "shares": {name: taken[name] / whole for name in names},
        "calls": sum(calls for _, calls, *_ in functions.values()) / number,
    }


def _parts_of(
    function: Function, functions: dict[Function, Any], parts: Parts, below: frozenset[Function]
) -> dict[str, float]:
    """Return the parts that a function is of: its own, or those of its callers, as much as each."""
    file = function[0].replace("\\", "/")
    for name, places in parts:
        if any(place in file for place in places):
            return {name: 1.0}
    callers = {
        caller: own
        for caller, (_, _, own, _) in functions[function][4].items()
        if caller not in below and caller != function
    }
    whole = sum(callers.values())
    if not whole:
        return {REST: 1.0}
    found: Counter[str] = Counter()
    for caller, own in callers.items():
        above = _parts_of(caller, functions, parts, below | {function})
        for name, share in above.items():
            found[name] += share * own / whole
    return dict(found)
