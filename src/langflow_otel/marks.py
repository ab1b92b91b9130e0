"""What a span carries of the run it belongs to, and what of it was lost by its end."""

from collections.abc import Mapping
from typing import Any

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan

from langflow_otel import context as run_context
from langflow_otel import names
from langflow_otel.selection import is_ours

_OF_RUN = (names.SESSION_ID, names.USER_ID)
_GIVEN = (*_OF_RUN, names.TAGS, names.METADATA)


def identity_of(known: Mapping[str, Any], context: Context, *, ours: bool) -> dict[str, Any]:
    """Return what a span is to carry of the run it belongs to; not what is `known` otherwise."""
    flow = run_context.current_flow(context)
    told: dict[str, Any] = {}
    if flow is not None:
        identity = flow.identity.items()
        told = {name: value for name, value in identity if known.get(name, value) == value}
    path = run_context.iteration(context)
    if path and names.LOOP_PATH not in known:
        told |= run_context.loop_attributes(path)
    # In a flow that of the run goes before what a span of another's says of itself.
    above_all = flow is not None and not ours
    for name in _GIVEN:
        value = context.get(name)
        if value is not None and (above_all or name not in known):
            told[name] = value
    return told


def lost_of(
    span: ReadableSpan, known: Mapping[str, Any], marks: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what of `marks` is not among what is `known` of a span that has ended."""
    lost = {name: value for name, value in marks.items() if name not in known}
    if is_ours(span):
        return lost
    run = {name: marks[name] for name in _OF_RUN if name in marks}
    lost |= {name: value for name, value in run.items() if known.get(name) != value}
    if names.METADATA in marks:
        # Of the call it says more; what is said of the run is for backends that keep that apart.
        lost[names.RUN_METADATA] = marks[names.METADATA]
    return lost
