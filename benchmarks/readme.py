"""Puts tables where they stand in the README: after `<!-- table: title -->`, up to a blank line."""

from __future__ import annotations

from pathlib import Path

README = Path(__file__).parent / "README.md"


def write(title: str, table: str) -> None:
    """Put `table` in the place of the one that stands there."""
    mark = f"<!-- table: {title} -->\n\n"
    text = README.read_text()
    before, found, after = text.partition(mark)
    if not found:
        raise LookupError(f"README.md has no place for the table {title!r}")
    _, blank, rest = after.partition("\n\n")
    README.write_text(f"{before}{mark}{table}{blank}{rest}")
