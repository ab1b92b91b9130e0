"""What it costs to import and to turn on, in a new process each time."""

from __future__ import annotations

import statistics
import subprocess
import sys
from dataclasses import dataclass

from tests.support.process import OFFLINE, clean_environment

REPEATS, QUICK_REPEATS = 7, 3
_TIMED = "import time\nbegin = time.perf_counter()\n{code}\nprint(time.perf_counter() - begin)"
_INSTRUMENT = """
from langflow_otel import LangflowInstrumentor
import time
begin = time.perf_counter()
LangflowInstrumentor().instrument(skip_dep_check=True)
print(time.perf_counter() - begin, flush=True)
import os
os._exit(0)
"""
_PHOENIX = {"PHOENIX_COLLECTOR_ENDPOINT": "http://127.0.0.1:9"}
_LANGFUSE = {
    "LANGFUSE_PUBLIC_KEY": "pk",
    "LANGFUSE_SECRET_KEY": "sk",
    "LANGFUSE_HOST": "http://127.0.0.1:9",
}
_LANGSMITH = {"LANGSMITH_API_KEY": "k", "LANGSMITH_TRACING": "true"}

CASES: dict[str, tuple[str, dict[str, str]]] = {
    "import opentelemetry.sdk.trace": (_TIMED.format(code="import opentelemetry.sdk.trace"), {}),
    "import langflow_otel": (_TIMED.format(code="import langflow_otel"), {}),
    "import lfx.graph": (_TIMED.format(code="import lfx.graph"), {}),
    "instrument(), no destination": (_INSTRUMENT, {}),
    "instrument(), Phoenix": (_INSTRUMENT, _PHOENIX),
    "instrument(), Langfuse": (_INSTRUMENT, _LANGFUSE),
    "instrument(), LangSmith": (_INSTRUMENT, _LANGSMITH),
}


@dataclass(frozen=True)
class Figure:
    """Milliseconds."""

    name: str
    milliseconds: float


def measure(*, quick: bool) -> list[Figure]:
    """Run all cases in turn, again and again."""
    taken: dict[str, list[float]] = {name: [] for name in CASES}
    # Once for what is compiled, and for the disk.
    for repeat in range((QUICK_REPEATS if quick else REPEATS) + 1):
        for name, (code, environment) in CASES.items():
            took = _run(code, environment)
            if repeat:
                taken[name].append(took)
    return [Figure(name, statistics.median(each) * 1000) for name, each in taken.items()]


def _run(code: str, environment: dict[str, str]) -> float:
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env=clean_environment({**OFFLINE, **environment}),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return float(ran.stdout.split()[-1])
