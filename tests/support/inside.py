"""Code that runs inside of a flow, without one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from opentelemetry import trace

from langflow_otel import LangflowInstrumentor
from langflow_otel.spans import Component, Flow


@contextlib.contextmanager
def inside_a_flow() -> Iterator[None]:
    """Let a component of a flow be current, as the instrumentor would."""
    tracer = LangflowInstrumentor()._tracer
    assert tracer is not None
    run = tracer.flow(Flow(name="A flow"), trace.get_current_span())
    run.attach()
    part = tracer.component(Component(id="C-1", type="C", display_name="C", kind="CHAIN"))
    part.attach()
    try:
        yield
    finally:
        part.end()
        run.end()
