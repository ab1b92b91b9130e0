"""Measures, and prints tables of ratios."""

from __future__ import annotations

import asyncio
import logging
import platform

from rich import box
from rich.console import Console
from rich.table import Table

from benchmarks import capture, component

_WIDTH = 160


def main() -> None:
    """Run the benchmarks."""
    logging.disable(logging.WARNING)
    console = Console()
    # As Markdown, whose lines are not broken.
    console.width = max(console.width, _WIDTH)
    console.print(
        f"Python {platform.python_version()}, {platform.machine()}; medians of interleaved "
        f"repeats: {component.REPEATS} of {component.CALLS} components each, "
        f"{capture.REPEATS} of each value"
    )
    console.print(_components())
    console.print(_values())
    console.print(_steps())


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


def _table(*columns: str) -> Table:
    return Table(*columns, box=box.MARKDOWN)


main()
