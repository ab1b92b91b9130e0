"""What capturing one value costs, next to what writing all of it as JSON costs.

Ours is bounded (16 KB) and masked. The others write the whole value and mask nothing, as they do.
"""

from __future__ import annotations

import gc
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
import pydantic_core
from lfx.serialization.serialization import serialize

from benchmarks.payloads import SECRETS, payloads
from langflow_otel.capture import Capture, RunSecrets, SecretNames
from langflow_otel.capture.masker import Masker
from langflow_otel.capture.snapshot import Snapshot

MAX_BYTES = 16_384
REPEATS, QUICK_REPEATS = 21, 5
REPEATS_OF_SPLIT, QUICK_REPEATS_OF_SPLIT = 101, 21
# A sample is as many calls as take so long, one at least.
_SAMPLE_SECONDS = 0.002
_MAX_CALLS = 200

OURS, JSON = "langflow-otel", "json.dumps"
OTHERS: dict[str, Callable[[Any], Any]] = {
    JSON: lambda value: json.dumps(value, default=str),
    "orjson": orjson.dumps,
    "pydantic_core": lambda value: pydantic_core.to_json(value, fallback=str),
    "lfx serialize": lambda value: json.dumps(serialize(value), default=str),
}
SERIALIZERS = (OURS, *OTHERS)


@dataclass(frozen=True)
class Row:
    """A line of the table: the microseconds of each serializer, of those that can write it."""

    payload: str
    microseconds: dict[str, float]

    def cell(self, serializer: str) -> str:
        """Return the microseconds, and what multiple of json.dumps that is."""
        if serializer not in self.microseconds:
            return "-"
        took = self.microseconds[serializer]
        return f"{number(took)} ({took / self.microseconds[JSON]:.2g}x)"


@dataclass(frozen=True)
class Split:
    """Where the time goes of one value: microseconds of each step."""

    payload: str
    walk: float
    look: float
    write: float


def number(value: float) -> str:
    """Return a number as one reads it: three digits that count."""
    if value < 10:
        return f"{value:.1f}"
    digits = max(len(str(int(value))) - 3, 0)
    return f"{round(value, -digits):.0f}"


def measure(*, quick: bool) -> list[Row]:
    """Measure all serializers on all values, interleaved, so that noise falls on all alike."""
    cases = []
    for payload, value in payloads().items():
        for serializer, write in {OURS: _capturing(_capture()), **OTHERS}.items():
            calls = _calls(write, value)
            if calls:
                cases.append((payload, serializer, write, value, calls))
    samples: dict[str, dict[str, list[float]]] = {}
    for _ in range(QUICK_REPEATS if quick else REPEATS):
        gc.collect()
        for payload, serializer, write, value, calls in cases:
            sample = _time(write, value, calls)
            samples.setdefault(payload, {}).setdefault(serializer, []).append(sample)
    return [
        Row(payload, {name: statistics.median(values) for name, values in by_name.items()})
        for payload, by_name in samples.items()
    ]


def split(*, quick: bool) -> list[Split]:
    """Measure the three steps of capturing values of 16 KB."""
    values = payloads()
    repeats = QUICK_REPEATS_OF_SPLIT if quick else REPEATS_OF_SPLIT
    return [
        _split_text("text, 16 KB", values, repeats),
        _split("Data, 16 KB", values, repeats),
        _split("200 flat dicts, 24 KB", values, repeats),
    ]


def _capture() -> Capture:
    secrets = RunSecrets()
    for secret in SECRETS:
        secrets.add(secret)
    return Capture(max_bytes=MAX_BYTES, secrets=secrets)


def _capturing(capture: Capture) -> Callable[[Any], Any]:
    """Return what captures a value as if it had never been looked through for secrets before."""
    seen = capture.masker.names.clean_texts

    def write(value: Any) -> Any:
        seen.clear()
        return capture.value(value)

    return write


def _calls(write: Callable[[Any], Any], value: Any) -> int:
    """Return how many calls make a sample; 0 where the serializer cannot write the value."""
    try:
        write(value)
    except TypeError:
        return 0
    return max(min(int(_SAMPLE_SECONDS * 1e6 / _time(write, value, 1)), _MAX_CALLS), 1)


def _time(write: Callable[[Any], Any], value: Any, calls: int) -> float:
    begin = time.perf_counter()
    for _ in range(calls):
        write(value)
    return (time.perf_counter() - begin) / calls * 1e6


def _split(payload: str, values: dict[str, Any], repeats: int) -> Split:
    value, masker = values[payload], Masker(SecretNames(), _capture().secrets)
    samples: list[list[float]] = []
    for _ in range(repeats):
        masker.names.clean_texts.clear()
        begin = time.perf_counter()
        snapshot = Snapshot(MAX_BYTES, masker, vectors=False, checked=False)
        taken = snapshot.take(value)
        walked = time.perf_counter()
        snapshot.suspects()
        looked = time.perf_counter()
        orjson.dumps(taken, option=orjson.OPT_NON_STR_KEYS).decode()
        samples.append([walked - begin, looked - walked, time.perf_counter() - looked])
    return Split(payload, *_medians(samples))


def _split_text(payload: str, values: dict[str, Any], repeats: int) -> Split:
    """Measure a text: there is no walk, and to write it is to see that it fits."""
    text, capture = values[payload], _capture()
    samples: list[list[float]] = []
    write = _capturing(capture)
    for _ in range(repeats):
        capture.masker.names.clean_texts.clear()
        begin = time.perf_counter()
        capture.masker.suspects(text)
        looked = time.perf_counter()
        write(text)
        whole = time.perf_counter() - looked
        samples.append([0.0, looked - begin, max(whole - (looked - begin), 0.0)])
    return Split(payload, *_medians(samples))


def _medians(samples: list[list[float]]) -> list[float]:
    return [statistics.median(step) * 1e6 for step in zip(*samples, strict=True)]
