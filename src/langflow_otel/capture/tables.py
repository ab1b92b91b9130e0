"""Secrets in tables that stand in a text: CSV, Markdown, a data frame as it is printed."""

import re
from collections.abc import Callable, Iterator

Span = tuple[int, int]
Hides = Callable[[str], bool]

_MAX_HEADER = 2000
_MAX_LINES = 400
_CELL = re.compile(r"[^,;\t|]+")
_WORD = re.compile(r"\S+")
_NAME = re.compile(r"[\"'*`\s]*([A-Za-z_][\w .-]{0,63}?)[\"'*`\s]*")
_RULE = re.compile(r"[\s|:-]+")


def may_hold_table(text: str) -> bool:
    """Tell whether `text` may be, or hold, a table."""
    end = text.find("\n")
    if end < 0:
        return False
    head = text[: min(end, _MAX_HEADER)]
    return "|" in text or "," in head or "\t" in head or ";" in head or "  " in head


def places_in_tables(text: str, hides: Hides) -> Iterator[Span]:
    """Give where the cells are that stand under, or right of, a name that `hides` hides."""
    lines = list(re.finditer(r"[^\n]+", text))[:_MAX_LINES]
    if not lines:
        return
    if "|" in text:
        yield from _markdown(lines, hides)
    head = lines[0][0]
    if "|" in head or len(head) > _MAX_HEADER:
        return
    if "," in head or "\t" in head or ";" in head:
        yield from _column(lines, _CELL, hides)
    elif "  " in head:
        yield from _column(lines, _WORD, hides)


def _markdown(lines: list[re.Match[str]], hides: Hides) -> Iterator[Span]:
    hidden: list[int] = []
    for line, after in zip(lines, [*lines[1:], None], strict=True):
        if "|" not in line[0]:
            hidden = []
            continue
        cells = list(_CELL.finditer(line[0]))
        if after is not None and "-" in after[0] and _RULE.fullmatch(after[0]):
            hidden = [at for at, cell in enumerate(cells) if _is_hidden(cell[0], hides)]
            continue
        shown = [at for at, cell in enumerate(cells) if cell[0].strip()]
        named = [
            at + 1 for at in shown[:1] if at + 1 < len(cells) and _is_hidden(cells[at][0], hides)
        ]
        yield from _spans(line, cells, [*hidden, *named])


def _column(lines: list[re.Match[str]], pattern: re.Pattern[str], hides: Hides) -> Iterator[Span]:
    names = [cell[0] for cell in pattern.finditer(lines[0][0])]
    if len(names) < 2 or not all(_NAME.fullmatch(name) for name in names):
        return
    hidden = [at for at, name in enumerate(names) if _is_hidden(name, hides)]
    for line in lines[1:] if hidden else ():
        cells = list(pattern.finditer(line[0]))
        # A printed frame has an index before the first column, which has no name.
        before = len(cells) - len(names)
        if before in {0, 1}:
            yield from _spans(line, cells, [at + before for at in hidden])


def _is_hidden(cell: str, hides: Hides) -> bool:
    match = _NAME.fullmatch(cell)
    return match is not None and hides(match[1])


def _spans(line: re.Match[str], cells: list[re.Match[str]], wanted: list[int]) -> Iterator[Span]:
    for at in dict.fromkeys(wanted):
        if at < len(cells) and cells[at][0].strip():
            cell = cells[at]
            shown = cell[0].strip()
            begin = line.start() + cell.start() + cell[0].index(shown)
            yield begin, begin + len(shown)
