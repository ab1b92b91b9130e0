"""What is measured, and how the figures are shown."""

from __future__ import annotations

import math
import platform
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks import (
    capture,
    component,
    exits,
    export,
    imports,
    in_flight,
    lag,
    memory,
    server,
    shares,
)
from benchmarks.tracers import LANGFUSE, LANGSMITH, NATIVE, OURS, PHOENIX, PHOENIX_BATCH

#: Wider than any table: as Markdown, its lines are not broken.
_WIDTH = 200
_BACKENDS = (OURS, NATIVE, LANGFUSE, LANGSMITH, PHOENIX, PHOENIX_BATCH)


@dataclass(frozen=True)
class Benchmark:
    """What is measured, and the tables that are made of it, by their titles."""

    measure: Callable[[bool], Any]
    tables: dict[str, Callable[[Any], Table]]
    quick: bool = True
    """Whether it is one of those that are run in a hurry when none is named."""


def names(*, quick: bool) -> list[str]:
    """Return the benchmarks that are run when none is named."""
    return [name for name, benchmark in BENCHMARKS.items() if benchmark.quick or not quick]


def run(name: str, *, quick: bool) -> tuple[Any, dict[str, str]]:
    """Measure; return the figures, and the tables as Markdown, by their titles."""
    benchmark = BENCHMARKS[name]
    figures = benchmark.measure(quick)
    return figures, {title: _text(show(figures)) for title, show in benchmark.tables.items()}


def machine() -> str:
    """Return what the figures were measured on."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    processor = f"{len(models)} x {models[0]}" if models else platform.processor()
    versions = ", ".join(
        f"{name} {version(name)}" for name in ("langflow-base", "opentelemetry-sdk")
    )
    return f"{processor}, {platform.system()}, Python {platform.python_version()}, {versions}"


def _components(figures: Sequence[component.Figure]) -> Table:
    raw = next(figure.raw for figure in figures if figure.way == OURS)
    table = _table("", "1 KB, x raw span", "µs", "100 KB, x raw span", "µs", "a run besides, ms")
    table.add_row("raw span, 10 attributes", "1.00", _number(raw), "1.00", _number(raw), "-")
    for figure in figures:
        costs = (figure.costs[component.SMALL], figure.costs[component.LARGE])
        cells = [cell for cost in costs for cell in _cost(cost)]
        table.add_row(figure.way, *cells, _number(figure.around))
    return table


def _cost(cost: component.Cost) -> tuple[str, str]:
    low, high = cost.quartiles
    return _number(cost.ratio), f"{_number(cost.microseconds)} ({_number(low)}-{_number(high)})"


def _backends(figures: Sequence[component.Figure]) -> Table:
    table = _table("µs per component", *(f"{mode}" for mode in component.MODES))
    for size in (component.SMALL, component.LARGE):
        for way in dict.fromkeys(figure.way for figure in figures):
            by_mode = {each.mode: each.costs[size] for each in figures if each.way == way}
            first = by_mode[component.MODES[0]]
            cells = [_against(by_mode.get(mode), first) for mode in component.MODES]
            table.add_row(f"{way}, {size}", *cells)
    return table


def _against(cost: component.Cost | None, first: component.Cost) -> str:
    if cost is None:
        return "-"
    times = f" ({_number(cost.ratio / first.ratio)}x)" if cost is not first else ""
    return _number(cost.microseconds) + times


def _lag(figures: Sequence[lag.Figure]) -> Table:
    table = _table("ms", "backend", "spans/s", "p50", "p99", "max", "p99, more than without")
    for figure in figures:
        none = next(f for f in figures if f.way == lag.NONE and f.rate == figure.rate)
        middle, late = figure.percentiles[50], figure.percentiles[99]
        more = "" if figure is none else f"{late - none.percentiles[99]:+.2f}"
        known = (figure.way, figure.mode if figure is not none else "-", str(figure.rate))
        table.add_row(*known, f"{middle:.2f}", f"{late:.2f}", f"{figure.most:.1f}", more)
    return table


def _in_flight(figures: Sequence[in_flight.Figure]) -> Table:
    table = _table(
        "backend",
        "flow p50, x without",
        "flow p99, x without",
        "loop lag p99, ms",
        "x without",
        "spans ended",
        "exported",
        "dropped, by reason",
    )
    for figure in figures:
        dropped = ", ".join(f"{why} {number:,}" for why, number in sorted(figure.dropped.items()))
        table.add_row(
            figure.name,
            *(f"{each:.2f}" for each in (figure.middle, figure.late)),
            f"{figure.lag:.0f}",
            f"{figure.lag_ratio:.2f}",
            *(f"{each:,}" if figure.ended else "-" for each in (figure.ended, figure.exported)),
            dropped or "-",
        )
    return table


def _server(figures: Sequence[server.Figure]) -> Table:
    off = figures[0]
    table = _table("", "requests/s", "x off", "p50, ms", "p99, ms", "p99, x off")
    for figure in figures:
        table.add_row(
            figure.way,
            _number(figure.per_second),
            f"{figure.per_second / off.per_second:.2f}",
            _number(figure.middle),
            _number(figure.late),
            f"{figure.late / off.late:.2f}",
        )
    return table


def _values(figures: tuple[Sequence[capture.Row], Any]) -> Table:
    table = _table("one value, µs (x json.dumps)", *capture.SERIALIZERS)
    for row in figures[0]:
        table.add_row(row.payload, *map(row.cell, capture.SERIALIZERS))
    return table


def _steps(figures: tuple[Any, Sequence[capture.Split]]) -> Table:
    table = _table("step, µs", "walk", "look for secrets", "write")
    for split in figures[1]:
        table.add_row(split.payload, *map(_number, (split.walk, split.look, split.write)))
    return table


def _export(figures: Sequence[export.Figure]) -> Table:
    table = _table("sending, CPU per span", "x OTLP exporter", "µs", "spans per second")
    for figure in figures:
        times = f"{figure.cpu / figures[0].cpu:.2f}"
        table.add_row(figure.name, times, f"{figure.cpu:.0f}", f"{figure.per_second:.0f}")
    return table


def _shares(figures: Sequence[shares.Figure]) -> Table:
    table = _table("part, % of the time", *(figure.of for figure in figures))
    for part in figures[0].shares:
        table.add_row(part, *(f"{figure.shares[part] * 100:.0f}" for figure in figures))
    table.add_row("functions called for each", *(f"{figure.calls:.0f}" for figure in figures))
    return table


def _memory(figures: Sequence[memory.Figure]) -> Table:
    table = _table("dead backend", "spans", "bytes each", "way", "grown by, MB")
    for figure in figures:
        sizes = (f"{figure.spans:,}", f"{figure.size:,}")
        table.add_row(figure.mode, *sizes, figure.way, f"{figure.megabytes:.0f}")
    return table


def _exits(figures: Sequence[exits.Figure]) -> Table:
    table = _table("seconds to the end of the process", *exits.MODES)
    for way in dict.fromkeys(figure.way for figure in figures):
        table.add_row(way, *(_seconds(each.seconds) for each in figures if each.way == way))
    return table


def _seconds(seconds: float) -> str:
    return f"> {exits.PATIENCE:.0f}" if seconds == math.inf else f"{seconds:.1f}"


def _imports(figures: Sequence[imports.Figure]) -> Table:
    raw = figures[0].milliseconds
    table = _table("in a new process", "ms", "x opentelemetry.sdk.trace")
    for figure in figures:
        took = figure.milliseconds
        table.add_row(figure.name, _number(took), _number(took / raw))
    return table


_number = capture.number


def _table(*columns: str) -> Table:
    return Table(*columns, box=box.MARKDOWN)


def _text(table: Table) -> str:
    console = Console(width=_WIDTH, no_color=True)
    with console.capture() as captured:
        console.print(table)
    lines: Iterable[str] = (line.strip() for line in captured.get().splitlines())
    return "\n".join(line for line in lines if line)


BENCHMARKS: dict[str, Benchmark] = {
    "components": Benchmark(
        lambda quick: component.measure(quick=quick), {"a component": _components}
    ),
    "backends": Benchmark(
        lambda quick: component.measure_backends(_BACKENDS, quick=quick),
        {"a component, by backend": _backends},
    ),
    "flows": Benchmark(
        lambda quick: in_flight.measure(quick=quick), {"flows in flight": _in_flight}
    ),
    "lag": Benchmark(lambda quick: lag.measure(quick=quick), {"the lag of the loop": _lag}),
    "server": Benchmark(
        lambda quick: server.measure(quick=quick), {"langflow run": _server}, quick=False
    ),
    "values": Benchmark(
        lambda quick: (capture.measure(quick=quick), capture.split(quick=quick)),
        {"a value": _values, "a value, step by step": _steps},
    ),
    "export": Benchmark(lambda quick: export.measure(quick=quick), {"sending": _export}),
    "memory": Benchmark(lambda quick: memory.measure(quick=quick), {"memory": _memory}),
    "exit": Benchmark(
        lambda quick: exits.measure(quick=quick), {"the end of a process": _exits}, quick=False
    ),
    "profile": Benchmark(
        lambda quick: (
            shares.measure_components(quick=quick),
            shares.measure_sending(quick=quick),
        ),
        {
            "where the time of a component goes": lambda figures: _shares(figures[0]),
            "where the time of sending goes": lambda figures: _shares(figures[1]),
        },
    ),
    "import": Benchmark(lambda quick: imports.measure(quick=quick), {"the start": _imports}),
}
