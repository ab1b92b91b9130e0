"""The spans of ours that have not ended."""

import os
import weakref
from typing import TYPE_CHECKING

from langflow_otel.collected import end_all
from langflow_otel.guard import safely

if TYPE_CHECKING:
    from langflow_otel.spans.active import ActiveSpan

# Weak, so that a span which is abandoned is not kept.
_spans: "weakref.WeakSet[ActiveSpan]" = weakref.WeakSet()

add, discard = _spans.add, _spans.discard


def all_of_them() -> "list[ActiveSpan]":
    """Return the spans that are under way, the last that was started first."""
    while True:
        try:
            spans = list(_spans)
        except RuntimeError:
            continue
        return sorted(spans, key=_start, reverse=True)


def cut_off() -> None:
    """End them all, as cancelled: the process is about to end."""
    end_all()
    for span in all_of_them():
        safely(span.cut_off)


def _start(span: "ActiveSpan") -> int:
    return getattr(span.span, "start_time", None) or 0


def _leave_to_parent() -> None:
    """They are the other process's: here they would be sent a second time."""
    for span in all_of_them():
        span.disown()
    _spans.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_to_parent)
