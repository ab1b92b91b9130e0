"""Draws spans as the tree a reader sees in a backend: stable, so that a test can assert it whole.

```
CHAIN Basic chat
  CHAIN Chat Input
  CHAIN Scripted Model
    LLM ScriptedChatModel
  CHAIN Chat Output
```
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from tests.support.spans import Span

_STATUSES = ("langflow.flow.status", "langflow.component.status", "langflow.status")


def render(spans: Iterable[Span], *, overlap: bool = False) -> str:
    """The forest as indented text, one line a span, children in the order they started.

    A line is the OpenInference kind (in lower case the OTel kind, where there is none), the name,
    and marks: `!error`, `~cancelled` (`~paused`), `=cached`. A span whose parent is not here starts
    a tree of its own with `(orphan)`; one that hangs on itself, with `(cycle)`.

    With `overlap`, siblings that ran at the same time are marked `||` and stand in the order of
    their names, as the order in which they started is nobody's promise.
    """
    everything = sorted(spans, key=_order)
    ids = {(span.trace_id, span.span_id) for span in everything}
    children: dict[tuple[str, str], list[Span]] = defaultdict(list)
    roots: list[Span] = []
    orphans: set[int] = set()
    for span in everything:
        parent = (span.trace_id, span.parent_id)
        if span.parent_id and parent in ids:
            children[parent].append(span)
        else:
            roots.append(span)
            if span.parent_id:
                orphans.add(id(span))

    drawn: set[int] = set()

    def draw(span: Span, depth: int, prefix: str = "") -> Iterator[str]:
        if id(span) in drawn:
            return
        drawn.add(id(span))
        yield f"{'  ' * depth}{prefix}{label(span)}"
        for child, parallel in _siblings(children[(span.trace_id, span.span_id)], overlap):
            yield from draw(child, depth + 1, "|| " if parallel else "")

    lines = [
        line for root in roots for line in draw(root, 0, "(orphan) " if id(root) in orphans else "")
    ]
    for span in everything:
        lines.extend(draw(span, 0, "(cycle) "))
    return "\n".join(lines)


Row = tuple[str, str, str]
Nested = tuple[str, list[Any]]


def rows_of(spans: Iterable[Span]) -> list[Row]:
    """The spans as rows of an id, a parent's id and a name, as every backend has them."""
    return [(span.span_id, span.parent_id, span.name) for span in spans]


def nested(rows: Iterable[Row]) -> list[Nested]:
    """Names and what is below them, in the order of the names: what is the same everywhere."""
    children: dict[str, list[Row]] = defaultdict(list)
    listed = list(rows)
    ids = {row[0] for row in listed}
    for row in listed:
        children[row[1] if row[1] in ids else ""].append(row)

    def below(parent: str) -> list[Nested]:
        return sorted((name, below(id_)) for id_, _, name in children[parent])

    return below("")


def label(span: Span) -> str:
    """A span's line in the tree."""
    said = {span.attributes.get(key) for key in _STATUSES}
    marks = [
        mark
        for mark, wanted in (
            (" !error", span.status == "ERROR" or "error" in said),
            (" ~cancelled", "cancelled" in said),
            (" ~paused", "paused" in said),
            (" =cached", span.attributes.get("langflow.component.cached") is True),
        )
        if wanted
    ]
    return f"{span.kind or span.otel_kind.lower()} {span.name}{''.join(marks)}"


def overlapping(one: Span, other: Span) -> bool:
    """Whether two spans were open at the same time."""
    return one.start_ns < other.end_ns and other.start_ns < one.end_ns


def _siblings(spans: list[Span], overlap: bool) -> Iterator[tuple[Span, bool]]:
    if not overlap:
        yield from ((span, False) for span in spans)
        return
    group: list[Span] = []
    for span in [*spans, None]:
        if span and any(overlapping(span, other) for other in group):
            group.append(span)
            continue
        group.sort(key=lambda member: (member.name, *_order(member)))
        yield from ((member, len(group) > 1) for member in group)
        group = [span] if span else []


def _order(span: Span) -> tuple[int, str, str]:
    return (span.start_ns, span.name, span.span_id)
