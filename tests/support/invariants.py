"""What must be true of every trace, whatever the flow: checked in one call."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from tests.support import model_calls
from tests.support.openai_wire import Call
from tests.support.secrets import leaks_of
from tests.support.spans import SESSION, Span
from tests.support.tree import label, render

MILLISECOND = 1_000_000


def check(
    spans: Iterable[Span],
    *,
    session: str | None = None,
    sub_sessions: Mapping[str, str] | None = None,
    traces: int | None = None,
    tolerance_ns: int = MILLISECOND,
    may_outlive_parent: Collection[str] = (),
    remote_parents: Collection[str] = (),
    calls: Iterable[Call] | None = None,
    secrets: Mapping[str, str] | None = None,
) -> None:
    """Assert that the spans are whole, well-formed traces; the message holds the tree.

    Every trace has one root and no orphan; every span has an id of its own, has ended, and lies
    within its parent's times; attributes are values a backend keeps; the AI spans of a trace are of
    one session, and all carry it if one of them does. With `calls`, each of them has one model
    span, which tells what was said and what it cost (see `model_calls`); with `secrets`, none of
    them is anywhere, in no form.

    Args:
        spans: what arrived, of one trace or of many; none at all is a failure.
        session: the only session that may occur; default: any, but one a trace.
        sub_sessions: the session of each sub-flow that has one of its own, by the name of its flow;
            then it is that of all below it, and of nothing else.
        traces: how many traces there must be.
        tolerance_ns: how far a child may stick out of its parent (clocks, Phoenix's microseconds).
        may_outlive_parent: names of spans which may end after their parent (background work).
        remote_parents: ids of parents that live in another process; their children count as roots.
        calls: all that the server of the models was asked by what these spans tell of.
        secrets: what must not be found, by what to call it.
    """
    everything = list(spans)
    by_trace: dict[str, list[Span]] = defaultdict(list)
    for span in everything:
        by_trace[span.trace_id].append(span)

    problems = [] if everything else ["there are no spans"]
    if traces is not None and len(by_trace) != traces:
        problems.append(f"{len(by_trace)} traces, expected {traces}")
    for span_id, count in Counter(span.span_id for span in everything).items():
        if count > 1:
            problems.append(f"span id {span_id} occurs {count} times")
    for trace in by_trace.values():
        problems += _shape(trace, remote_parents)
        problems += _times(trace, tolerance_ns, may_outlive_parent)
        problems += _values(trace)
        problems += _sessions(trace, session, sub_sessions or {})
    if calls is not None:
        problems += model_calls.problems(everything, calls)
    problems += leaks_of(everything, secrets or {})
    if problems:
        tree = render(everything)
        raise AssertionError("\n".join(["", *(f"- {p}" for p in problems), "", tree]))


def _shape(trace: list[Span], remote_parents: Collection[str]) -> Iterator[str]:
    ids = {span.span_id for span in trace}
    roots = [s for s in trace if not s.parent_id or s.parent_id in remote_parents]
    if len(roots) != 1:
        names = ", ".join(label(root) for root in roots) or "none"
        yield f"trace {trace[0].trace_id} has {len(roots)} roots: {names}"
    for span in trace:
        if span.parent_id and span.parent_id not in ids and span.parent_id not in remote_parents:
            yield f"orphan: {label(span)} (its parent {span.parent_id} did not arrive)"


def _times(
    trace: list[Span], tolerance_ns: int, may_outlive_parent: Collection[str]
) -> Iterator[str]:
    by_id = {span.span_id: span for span in trace}
    for span in trace:
        if not span.start_ns or not span.end_ns:
            yield f"not ended: {label(span)}"
        elif span.end_ns < span.start_ns:
            yield f"ends before it starts: {label(span)}"
        parent = by_id.get(span.parent_id)
        if parent is None:
            continue
        early = parent.start_ns - span.start_ns
        if early > tolerance_ns:
            yield f"{label(span)} starts {_ms(early)} before its parent {label(parent)}"
        late = span.end_ns - parent.end_ns
        if late > tolerance_ns and span.name not in may_outlive_parent:
            yield f"{label(span)} ends {_ms(late)} after its parent {label(parent)}"


def _values(trace: list[Span]) -> Iterator[str]:
    for span in trace:
        places: list[tuple[str, Mapping[str, Any]]] = [("attribute", span.attributes)]
        places += [(f"event {event.name!r}:", event.attributes) for event in span.events]
        for place, attributes in places:
            for key, value in attributes.items():
                reason = _unfit(value)
                if reason:
                    yield f"{label(span)}: {place} {key} is {reason}"


def _unfit(value: Any) -> str:
    """Why a backend would drop this value (or the whole span with it), or ""."""
    if value is None:
        return "None"
    if isinstance(value, (bytes, bytearray)):
        return "bytes"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, (list, tuple)):
        return next(filter(None, map(_unfit, value)), "")
    return "" if isinstance(value, (str, bool, int, float)) else type(value).__name__


def _sessions(
    trace: list[Span], session: str | None, sub_sessions: Mapping[str, str]
) -> Iterator[str]:
    by_id = {span.span_id: span for span in trace}
    inner = {span.span_id: sub for span in trace if (sub := _sub_flow(span, by_id, sub_sessions))}
    for span in trace:
        expected = sub_sessions.get(inner.get(span.span_id, ""))
        if span.kind and expected is not None and span.session != expected:
            yield f"{label(span)} is of session {span.session!r}, expected {expected!r}"
    own = {span.session for span in trace if span.session and span.span_id not in inner}
    if session is not None and own - {session}:
        yield f"expected session {session!r} only, found {sorted(own)}"
    elif len(own) > 1:
        yield f"one trace, but sessions {sorted(own)}"
    # Below the first AI span all carry it, or none, and that one itself does.
    of_a_session = {
        _topmost(span, by_id).span_id
        for span in trace
        if span.session and span.span_id not in inner
    }
    for span in trace:
        missing = span.kind and SESSION not in span.attributes
        if missing and _topmost(span, by_id).span_id in of_a_session:
            yield f"{label(span)} carries no {SESSION}"


def _sub_flow(span: Span, by_id: Mapping[str, Span], named: Mapping[str, str]) -> str:
    """The nearest flow, this one or one above it, that is among the named; "" if there is none."""
    seen = set()
    above: Span | None = span
    while named and above and above.span_id not in seen:
        if above.name in named and "langflow.flow.status" in above.attributes:
            return above.name
        seen.add(above.span_id)
        above = by_id.get(above.parent_id)
    return ""


def _topmost(span: Span, by_id: Mapping[str, Span]) -> Span:
    """The outermost AI span above this one: above it are HTTP spans, which have no session."""
    top, seen = span, set()
    above: Span | None = span
    while above and above.span_id not in seen:
        seen.add(above.span_id)
        top = above if above.kind else top
        above = by_id.get(above.parent_id)
    return top


def _ms(nanoseconds: int) -> str:
    return f"{nanoseconds / MILLISECOND:.3f} ms"
