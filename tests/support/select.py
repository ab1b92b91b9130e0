"""Parts of a trace, for tests that are about those."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable

from tests.support.spans import Span

OURS = "langflow_otel"


def is_ours(span: Span) -> bool:
    """Whether langflow-otel made the span. Phoenix keeps no scope: there, by its attributes."""
    marks = {"langflow.flow.status", "langflow.component.status"}
    return span.scope == OURS or (not span.scope and bool(marks & set(span.attributes)))


def named(spans: Iterable[Span], name: str) -> Span:
    """The one span of ours with that name."""
    found = [span for span in spans if span.name == name and is_ours(span)]
    assert len(found) == 1, f"{len(found)} spans of ours are called {name!r}"
    return found[0]


def only(spans: Iterable[Span], keep: Callable[[Span], bool]) -> list[Span]:
    """The spans to keep, each below the nearest kept one above it."""
    everything = list(spans)
    by_id = {span.span_id: span for span in everything}

    def parent_of(span: Span) -> str:
        above = by_id.get(span.parent_id)
        while above is not None and not keep(above):
            above = by_id.get(above.parent_id)
        return above.span_id if above is not None else ""

    return [
        dataclasses.replace(span, parent_id=parent_of(span)) for span in everything if keep(span)
    ]


def main_parts(spans: Iterable[Span]) -> list[Span]:
    """Without what LangChain does between a component and its model or tool.

    That is another tree in each version of Langflow; what is left must be the same in all.
    """
    return only(spans, lambda span: is_ours(span) or span.kind in {"LLM", "TOOL"})
