"""Measures, and prints tables: `python -m benchmarks [components|values|export|memory]`."""

from __future__ import annotations

import asyncio
import logging
import platform
import sys
from collections.abc import Callable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks import capture, component, export, memory

_WIDTH = 160


def main(wanted: Sequence[str]) -> None:
    """Run the benchmarks in `wanted`, all of them where there are none."""
    logging.disable(logging.WARNING)
    console = Console()
    # As Markdown, whose lines are not broken.
    console.width = max(console.width, _WIDTH)
    console.print(f"Python {platform.python_version()}, {platform.machine()}; medians of repeats")
    for name, tables in _TABLES.items():
        if name in wanted or not wanted:
            for table in tables:
                console.print(table())


def _components() -> Table:
    figures = asyncio.run(component.measure())
    raw = figures[0].microseconds
    table = _table("event-loop time per component", "x raw span", "µs", "quartiles")
    for figure in figures:
        table.add_row(
            figure.name,
            f"{figure.microseconds / raw:.2f}",
            f"{figure.microseconds:.1f}",
            f"{figure.low:.1f}-{figure.high:.1f}",
        )
    return table


def _values() -> Table:
    table = _table("capture of one value, µs (x json.dumps)", *capture.SERIALIZERS)
    for row in capture.measure():
        table.add_row(row.payload, *map(row.cell, capture.SERIALIZERS))
    return table


def _steps() -> Table:
    table = _table("the same, step by step, µs", "walk", "look for secrets", "write")
    for split in capture.split():
        steps = (split.walk, split.look, split.write)
        table.add_row(split.payload, *map(capture.number, steps))
    return table


def _export() -> Table:
    figures = export.measure()
    raw = figures[0].cpu
    table = _table("sending, CPU per span", "x OTLP exporter", "µs", "spans per second")
    for figure in figures:
        table.add_row(
            figure.name,
            f"{figure.cpu / raw:.2f}",
            f"{figure.cpu:.0f}",
            f"{figure.per_second:.0f}",
        )
    return table


def _memory() -> Table:
    table = _table("dead backend", "spans", "bytes each", "way", "grown by, MB")
    for figure in memory.measure():
        table.add_row(
            figure.mode,
            f"{figure.spans:,}",
            f"{figure.size:,}",
            figure.way,
            f"{figure.megabytes:.0f}",
        )
    return table


def _table(*columns: str) -> Table:
    return Table(*columns, box=box.MARKDOWN)


_TABLES: dict[str, tuple[Callable[[], Table], ...]] = {
    "components": (_components,),
    "values": (_values, _steps),
    "export": (_export,),
    "memory": (_memory,),
}

if __name__ == "__main__":
    main(sys.argv[1:])
