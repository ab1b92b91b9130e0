"""What stands for a flow or a component that is excluded, so that it gets no span."""

from collections.abc import Mapping
from typing import Any

from opentelemetry.trace import INVALID_SPAN

from langflow_otel import context as run_context
from langflow_otel import names
from langflow_otel.capture import NO_CONTENT, Capture, Content
from langflow_otel.spans.component import ComponentSpan
from langflow_otel.spans.flow import Flow, FlowSpan
from langflow_otel.spans.told import Component

_ANY = Component(id="", type="", display_name="", kind=names.KIND_CHAIN)


class ExcludedComponent(ComponentSpan):
    """A component without a span: what is below it hangs on what is above it.

    Its flow is told what it needs of it, though: what came in or out where it is one of the flow's
    ends, what went wrong, and which values are secrets.
    """

    def __init__(self, capture: Capture, content: Content, component: Component) -> None:
        """Stand for `component`; `capture` is that of its flow."""
        super().__init__(INVALID_SPAN, capture, NO_CONTENT, component)
        self.recording = self._flow is not None and self._flow.recording
        self._wanted = content
        self.context = run_context.without_span(
            self, hidden=component.hidden, loop=component.iteration
        )

    def record_outputs(self, outputs: Mapping[str, Any], *, answered: bool) -> None:
        """Hand on what came out where the flow begins or ends."""
        component = self.component
        wanted = (component.is_input and self._wanted.inputs) or (
            component.is_output and self._wanted.outputs
        )
        if outputs and wanted and self._flow is not None:
            self._flow.note(component, self._captured(outputs))


class ExcludedFlow(FlowSpan):
    """A flow run that is not traced, nor is anything that runs in it, while it is current.

    Inside of a traced run its secrets are remembered all the same: what it answers goes there.
    """

    def __init__(self, capture: Capture, flow: Flow) -> None:
        """Stand for a run of `flow`; `capture` is that of the run it is called in."""
        super().__init__(INVALID_SPAN, capture, NO_CONTENT, flow)
        keeper = ExcludedComponent(capture, NO_CONTENT, _ANY) if capture.secrets.wanted else None
        self.context = run_context.outside(keeper)
