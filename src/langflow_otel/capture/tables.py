"""Secrets in tables that stand in a text: CSV, Markdown, a data frame as it is printed."""

import re
from collections.abc import Iterator

from langflow_otel.capture.layouts import Hides, Span

_MAX_HEADER = 2000
_LONGEST_NAME = 64
_DELIMITERS = (",", "\t", ";")
_NAME = re.compile(r"[\"'*`\s]*([A-Za-z_][\w .-]{0,63}?)[\"'*`\s]*")
# What may stand over a column: a few words, no sentence.
_HEADING = re.compile(r"\s*[^\s.?!]{0,64}(?: [^\s.?!]{1,64}){0,3}\s*")
_FEWEST = 2
_RULE = re.compile(r"[\s|:-]+")
_LINE = re.compile(r"[^\n]+")
_CELLS = {
    # A cell in quotes may hold the delimiter.
    **{d: re.compile(rf'(?:^|(?<={d}))(?:"(?:[^"]|"")*"|[^{d}]*)') for d in _DELIMITERS},
    "|": re.compile(r"[^|]*(?:\||$)"),
    "  ": re.compile(r"\S+(?:[ ]\S+)*"),
}


def may_hold_table(text: str) -> bool:
    """Tell whether `text` may be, or hold, a table."""
    end = text.find("\n")
    if end < 0:
        return False
    head = text[: min(end, _MAX_HEADER)]
    return (
        "|" in text
        or "  " in head
        or any(delimiter in head for delimiter in _DELIMITERS)
        or "\n\n" in text
        or ":\n" in text
    )


def places_in_tables(text: str, hides: Hides) -> Iterator[Span]:
    """Give where the cells are that stand under, or right of, a name that `hides` hides."""
    for lines in _blocks(text):
        head = lines[0][0]
        if any("|" in line[0] for line in lines):
            yield from _markdown(lines, hides)
        elif len(lines) > 1 and len(head) <= _MAX_HEADER:
            delimiter = next((each for each in (*_DELIMITERS, "  ") if each in head), None)
            if delimiter is not None:
                yield from _columns(lines, _CELLS[delimiter], hides)


def _blocks(text: str) -> Iterator[list[re.Match[str]]]:
    """Give the lines of `text` in blocks, which end at blank lines and after colons."""
    block: list[re.Match[str]] = []
    for line in _LINE.finditer(text):
        if block and (line.start() > block[-1].end() + 1 or block[-1][0].rstrip()[-1:] == ":"):
            yield block
            block = []
        block.append(line)
    if block:
        yield block


def _markdown(lines: list[re.Match[str]], hides: Hides) -> Iterator[Span]:
    hidden: list[int] = []
    for line, after in zip(lines, [*lines[1:], None], strict=True):
        if "|" not in line[0]:
            hidden = []
            continue
        cells = _cells(line, _CELLS["|"])
        if _RULE.fullmatch(line[0]):
            continue
        if after is not None and "-" in after[0] and _RULE.fullmatch(after[0]):
            hidden = [at for at, cell in enumerate(cells) if _is_hidden(line, cell, hides)]
            continue
        first = next((at for at, cell in enumerate(cells) if _shown(line, cell)), len(cells))
        named = [first + 1] if first < len(cells) and _is_hidden(line, cells[first], hides) else []
        yield from _places(line, cells, [*hidden, *named])


def _columns(lines: list[re.Match[str]], pattern: re.Pattern[str], hides: Hides) -> Iterator[Span]:
    head = lines[0]
    names = _cells(head, pattern)
    if len(names) < _FEWEST or not all(_HEADING.fullmatch(head[0], *name) for name in names):
        return
    hidden = [at for at, name in enumerate(names) if _is_hidden(head, name, hides)]
    for line in lines[1:] if hidden else ():
        cells = _cells(line, pattern)
        # A printed frame has an index before the first column, which has no name.
        before = len(cells) - len(names)
        fits = before == 0 or (before == 1 and pattern is _CELLS["  "])
        wanted = [at + before for at in hidden] if fits else range(hidden[0], len(cells))
        yield from _places(line, cells, wanted if len(cells) > 1 else ())


def _cells(line: re.Match[str], pattern: re.Pattern[str]) -> list[Span]:
    spans = [match.span() for match in pattern.finditer(line[0])]
    return spans if pattern is not _CELLS["|"] else spans[:-1]


def _shown(line: re.Match[str], cell: Span) -> str:
    return line[0][slice(*cell)].strip(" \t\r|")


def _is_hidden(line: re.Match[str], cell: Span, hides: Hides) -> bool:
    match = _NAME.fullmatch(_shown(line, cell))
    return match is not None and hides(match[1])


def _places(
    line: re.Match[str], cells: list[Span], wanted: "list[int] | range | tuple[()]"
) -> Iterator[Span]:
    for at in dict.fromkeys(wanted):
        shown = _shown(line, cells[at]) if at < len(cells) else ""
        if shown:
            begin = line.start() + line[0].index(shown, cells[at][0])
            yield begin, begin + len(shown)
