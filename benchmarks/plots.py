"""The benchmarks that have a picture: what is best seen and not read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks import component, drawing, lag
from benchmarks.drawing import Bars
from benchmarks.tracers import OURS

FOLDER = Path(__file__).parent / "plots"


def draw(benchmark: str, figures: Any) -> None:
    """Draw the picture of a benchmark that has one."""
    if benchmark in _PICTURES:
        FOLDER.mkdir(exist_ok=True)
        (FOLDER / f"{benchmark}.svg").write_text(_PICTURES[benchmark](figures))


def _components(figures: Sequence[component.Figure]) -> str:
    sizes = (component.SMALL, component.LARGE)
    rows = [
        Bars(figure.way, [figure.costs[size].ratio for size in sizes], figure.way.startswith(OURS))
        for figure in figures
    ]
    series = [f"{size} in, {size} out" for size in sizes]
    return drawing.bars("Event-loop time of a component, as a multiple of a raw span", series, rows)


def _backends(figures: Sequence[component.Figure]) -> str:
    by_way: dict[str, dict[str, float]] = {}
    for figure in figures:
        took = figure.costs[component.SMALL].microseconds
        by_way.setdefault(figure.way, {})[figure.mode] = took
    rows = [
        Bars(way, [taken.get(mode) for mode in component.MODES], way == OURS)
        for way, taken in by_way.items()
    ]
    title = "Event-loop time of a component (1 KB), µs, by what the backend does"
    return drawing.bars(title, component.MODES, rows)


def _lag(figures: Sequence[lag.Figure]) -> str:
    bars: dict[str, list[float | None]] = {}
    for figure in figures:
        name = figure.way if figure.way == lag.NONE else f"{figure.way}, {figure.mode}"
        bars.setdefault(name, []).append(figure.percentiles[99])
    series = [f"{rate} spans/s of 10 KB" for rate in lag.RATES]
    title = "How late the event loop is, ms, in the worst of a hundred cases (p99)"
    return drawing.bars(
        title, series, [Bars(name, v, name.startswith(OURS)) for name, v in bars.items()]
    )


_PICTURES: dict[str, Callable[[Any], str]] = {
    "components": _components,
    "backends": _backends,
    "lag": _lag,
}
