"""Draws figures as SVG pictures: bars beside each other, and small panels of lines."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from html import escape

_COLOURS = ("#1f77b4", "#9ecae1", "#d62728", "#ff9896")
_GRID, _BAND, _BAND_NAME = "#e0e0e0", "#fdeeda", "#b8791f"
# Of a picture of bars.
_WIDTH, _LEFT, _RIGHT, _BAR, _GAP, _TOP = 760, 250, 90, 13, 8, 50
# Of a panel, and of what is around the lines in it.
_PANEL_WIDTH, _PANEL_HEIGHT = 420, 180
_BEFORE, _AFTER, _ABOVE, _BELOW = 64, 16, 34, 30
_MOST_POINTS = 200


@dataclass(frozen=True)
class Bars:
    """Some bars with the same name: one for each series, None where there is no figure."""

    name: str
    values: Sequence[float | None]
    ours: bool


@dataclass(frozen=True)
class Line:
    """One figure, over `xs`."""

    name: str
    xs: Sequence[float]
    ys: Sequence[float]


@dataclass(frozen=True)
class Panel:
    """Some figures on the same axes, which begin at 0; and stretches of `xs` with a name."""

    title: str
    lines: Sequence[Line]
    bands: Sequence[tuple[float, float, str]] = field(default=())


def bars(title: str, series: Sequence[str], rows: Sequence[Bars]) -> str:
    """Return the picture of `rows`; the axis is logarithmic."""
    values = [value for row in rows for value in row.values if value]
    low, high = _decade(min(values), math.floor), _decade(max(values), math.ceil)
    row_height = _BAR * len(series) + _GAP
    height = _TOP + row_height * len(rows) + 24

    def x_of(value: float) -> float:
        share = math.log10(max(value, low) / low) / math.log10(high / low)
        return round(_LEFT + share * (_WIDTH - _LEFT - _RIGHT), 1)

    parts = [_text(_WIDTH / 2, 18, title, "middle", size=14)]
    parts += [*_legend(series), *_decades(low, high, height, x_of)]
    for number, row in enumerate(rows):
        parts += _row(row, _TOP + number * row_height, x_of)
    return _picture(_WIDTH, height, parts)


def lines(panels: Sequence[Panel], x_label: str, columns: int = 2) -> str:
    """Return the picture of `panels`, beside and below each other."""
    width = columns * _PANEL_WIDTH
    height = -(-len(panels) // columns) * _PANEL_HEIGHT + 20
    parts = [_text(width / 2, height - 6, x_label, "middle")]
    for number, panel in enumerate(panels):
        x, y = number % columns * _PANEL_WIDTH, number // columns * _PANEL_HEIGHT
        parts.append(f'<g transform="translate({x} {y})">' + "".join(_panel(panel)) + "</g>")
    return _picture(width, height, parts)


def _picture(width: int, height: int, parts: Iterable[str]) -> str:
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'font-family="sans-serif" font-size="11" fill="#333">',
            f'<rect width="{width}" height="{height}" fill="white"/>',
            *parts,
            "</svg>\n",
        )
    )


def _text(
    x: float, y: float, text: str, anchor: str = "start", *, size: int = 11, more: str = ""
) -> str:
    place = f'x="{x}" y="{y}" text-anchor="{anchor}" font-size="{size}"'
    return f"<text {place} {more}>{escape(text)}</text>"


def _decade(value: float, rounded: Callable[[float], int]) -> float:
    return 10.0 ** rounded(math.log10(value))


def _legend(series: Sequence[str]) -> Iterator[str]:
    x = _LEFT
    for name, colour in zip(series, _COLOURS, strict=False):
        yield f'<rect x="{x}" y="28" width="10" height="10" fill="{colour}"/>'
        yield _text(x + 14, 37, name)
        x += 34 + 6 * len(name)


def _decades(low: float, high: float, height: int, x_of: Callable[[float], float]) -> Iterator[str]:
    value = low
    while value <= high:
        x = x_of(value)
        yield f'<path d="M{x} {_TOP - 6}V{height - 20}" stroke="{_GRID}"/>'
        yield _text(x, height - 6, f"{value:,g}", "middle")
        value *= 10


def _row(row: Bars, top: int, x_of: Callable[[float], float]) -> Iterator[str]:
    middle = top + _BAR * len(row.values) / 2 + 4
    bold = 'font-weight="bold"' if row.ours else ""
    yield _text(_LEFT - 8, middle, row.name, "end", more=bold)
    for number, (value, colour) in enumerate(zip(row.values, _COLOURS, strict=False)):
        if value is None:
            continue
        y, x = top + number * _BAR, x_of(value)
        width = max(x - _LEFT, 1)
        yield f'<rect x="{_LEFT}" y="{y}" width="{width:.1f}" height="{_BAR - 1}" fill="{colour}"/>'
        yield _text(x + 4, y + 10, f"{value:,.3g}")


def _panel(panel: Panel) -> Iterator[str]:
    right = max(x for line in panel.lines for x in line.xs)
    top = _round_up(max(y for line in panel.lines for y in line.ys))
    width, height = _PANEL_WIDTH - _BEFORE - _AFTER, _PANEL_HEIGHT - _ABOVE - _BELOW

    def x_of(x: float) -> float:
        return round(_BEFORE + x / right * width, 1)

    def y_of(y: float) -> float:
        return round(_ABOVE + (1 - y / top) * height, 1)

    for begin, end, name in panel.bands:
        wide = round(x_of(end) - x_of(begin), 1)
        place = f'x="{x_of(begin)}" y="{_ABOVE}" width="{wide}" height="{height}"'
        yield f'<rect {place} fill="{_BAND}"/>'
        yield _text(x_of(begin) + 3, _ABOVE + 11, name, size=9, more=f'fill="{_BAND_NAME}"')
    for quarter in range(5):
        x, y = quarter / 4 * right, quarter / 4 * top
        yield f'<path d="M{_BEFORE} {y_of(y)}h{width}" stroke="{_GRID}"/>'
        yield _text(_BEFORE - 6, y_of(y) + 4, f"{y:,.10g}", "end")
        yield _text(x_of(x), _PANEL_HEIGHT - _BELOW + 14, f"{x:,.10g}", "middle")
    yield _text(_BEFORE, 18, panel.title, size=13)
    yield from _lines(panel.lines, x_of, y_of)


def _lines(
    lines: Sequence[Line], x_of: Callable[[float], float], y_of: Callable[[float], float]
) -> Iterator[str]:
    name_ends = _PANEL_WIDTH - _AFTER
    for line, colour in reversed(list(zip(lines, _COLOURS, strict=False))):
        points = " ".join(f"{x_of(x)},{y_of(y)}" for x, y in _thinned(line))
        yield f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
        if len(lines) > 1:
            yield _text(name_ends, 18, line.name, "end", more=f'fill="{colour}"')
            name_ends -= 8 + 6 * len(line.name)


def _thinned(line: Line) -> Iterable[tuple[float, float]]:
    """Return the points of a line; of many, the highest of each stretch: no peak is lost."""
    points = list(zip(line.xs, line.ys, strict=True))
    step = -(-len(points) // _MOST_POINTS)
    stretches = (points[first : first + step] for first in range(0, len(points), step))
    return [max(stretch, key=lambda point: point[1]) for stretch in stretches]


def _round_up(value: float) -> float:
    """Return the next number that is easy to read, 4 at least."""
    scale = 1.0
    while scale * 10 < value:
        scale *= 10
    return max(4.0, next(step * scale for step in (1, 2, 4, 6, 8, 10) if step * scale >= value))
