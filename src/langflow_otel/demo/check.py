"""Whether Phoenix has what it must have: each span that was recorded here, and the right ones."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

from langflow_otel import names
from langflow_otel.demo.runs import Outcome
from langflow_otel.demo.spans import DemoSpan

_TOLD = (names.FLOW_STATUS, names.COMPONENT_ID)
_COMPARED = ("name", "kind", "trace_id", "parent_id", "status", "message", "session")


def problems(
    outcomes: Sequence[Outcome],
    arrived: Sequence[DemoSpan],
    sessions: Mapping[str, set[str]],
) -> list[str]:
    """Return what is wrong with what arrived in Phoenix, a line for each; none where all is well.

    Args:
        outcomes: The runs, with what was recorded of them.
        arrived: All spans of the project.
        sessions: The project's sessions, with the traces in each.
    """
    found = [line for outcome in outcomes for line in _of_run(outcome, arrived)]
    recorded = {span.span_id for outcome in outcomes for span in outcome.recorded}
    found += [
        f"{span.kind} {span.name} is in Phoenix, but was not recorded here"
        for span in arrived
        if span.span_id not in recorded
    ]
    expected: dict[str, set[str]] = defaultdict(set)
    for outcome in outcomes:
        expected[outcome.run.session] |= {span.trace_id for span in outcome.recorded}
    for session, traces in expected.items():
        has = len(sessions.get(session, set()) & traces)
        if has < len(traces):
            found.append(f"session {session}: Phoenix has {has} of its {len(traces)} traces")
    return found


def outline(spans: Sequence[DemoSpan]) -> str:
    """Draw the flow, its components, its model calls and its tool calls; siblings by name.

    What LangChain does in between is left out: it differs from version to version.
    """
    by_id = {span.span_id: span for span in spans}
    below: dict[str, list[DemoSpan]] = defaultdict(list)
    for span in filter(_is_told, spans):
        above, seen = span.parent_id, {span.span_id}
        while above in by_id and above not in seen and not _is_told(by_id[above]):
            seen.add(above)
            above = by_id[above].parent_id
        below[above].append(span)

    def draw(parent_id: str, depth: int) -> Iterator[str]:
        for span in sorted(below[parent_id], key=_line):
            yield "  " * depth + _line(span)
            yield from draw(span.span_id, depth + 1)

    return "\n".join(draw("", 0))


def _of_run(outcome: Outcome, arrived: Sequence[DemoSpan]) -> Iterator[str]:
    run, recorded = outcome.run, outcome.recorded
    name = f"{run.outline.split(maxsplit=1)[1].splitlines()[0]} (session {run.session})"
    if run.error not in outcome.raised or bool(run.error) != bool(outcome.raised):
        yield f"{name}: ended with {outcome.raised!r} instead of {run.error!r}"
    by_id = {span.span_id: span for span in arrived}
    for span in recorded:
        there = by_id.get(span.span_id)
        if there is None:
            yield f"{name}: {span.kind} {span.name} is missing"
            continue
        for field in _COMPARED:
            here, has = getattr(span, field), getattr(there, field)
            if here != has:
                yield f"{name}: {span.kind} {span.name}: {field} is {has!r}, not {here!r}"
        if span.session != run.session:
            yield f"{name}: {span.kind} {span.name} is in session {span.session!r}"
        if span.failed and span.message != run.error:
            yield f"{name}: {span.kind} {span.name} failed with {span.message!r}"
    traces = {span.trace_id for span in recorded}
    if len(traces) != 1:
        yield f"{name}: it was recorded as {len(traces)} traces, not as one"
    drawn = outline([span for span in arrived if span.trace_id in traces])
    yield from (f"{name}: {line}" for line in _difference(run.outline, drawn))


def _difference(expected: str, drawn: str) -> Iterator[str]:
    wanted, has = Counter(_paths(expected)), Counter(_paths(drawn))
    for path in wanted - has:
        yield f"expected and not there: {path}"
    for path in has - wanted:
        yield f"there and not expected: {path}"


def _paths(text: str) -> Iterator[str]:
    """Write each line of an outline with those that it stands under."""
    path: list[str] = []
    for line in text.strip().splitlines():
        depth = (len(line) - len(line.lstrip())) // 2
        path[depth:] = [line.strip()]
        yield " > ".join(path)


def _is_told(span: DemoSpan) -> bool:
    return span.kind == names.KIND_LLM or any(name in span.attributes for name in _TOLD)


def _line(span: DemoSpan) -> str:
    marks = " (tokens)" * bool(span.tokens) + " !error" * span.failed
    return f"{span.kind} {span.name}{marks}"
