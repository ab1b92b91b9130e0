"""Measures, and prints a table of ratios."""

from __future__ import annotations

import asyncio
import logging
import platform

from rich.console import Console
from rich.table import Table

from benchmarks import component


def main() -> None:
    """Run the benchmarks."""
    logging.disable(logging.WARNING)
    console = Console()
    console.print(
        f"Python {platform.python_version()}, {platform.machine()}; median of "
        f"{component.REPEATS} interleaved repeats of {component.CALLS} components each"
    )
    figures = asyncio.run(component.measure())
    raw = figures[0].microseconds
    table = Table("event-loop time per component", "µs", "quartiles", "x raw span")
    for figure in figures:
        table.add_row(
            figure.name,
            f"{figure.microseconds:.1f}",
            f"{figure.low:.1f}-{figure.high:.1f}",
            f"{figure.microseconds / raw:.2f}",
        )
    console.print(table)


main()
