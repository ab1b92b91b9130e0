"""The span of one flow run."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from opentelemetry.trace import Span

from langflow_otel import attributes as names
from langflow_otel import context as run_context
from langflow_otel.capture import Capture, Captured
from langflow_otel.spans.active import ActiveSpan

if TYPE_CHECKING:
    from langflow_otel.spans.component import Component

DEFAULT_FLOW_NAME = "Langflow flow"


@dataclass(frozen=True)
class Flow:
    """A flow run as a span tells it. What is not known is None."""

    id: str | None = None
    name: str | None = None
    run_id: str | None = None
    session_id: str | None = None
    user_id: str | None = None
    entry_point: str | None = None
    version: str | None = None

    def attributes(self) -> dict[str, str]:
        """Return what is known, by attribute name."""
        known = {
            names.FLOW_ID: self.id,
            names.FLOW_NAME: self.name,
            names.RUN_ID: self.run_id,
            names.SESSION_ID: self.session_id,
            names.USER_ID: self.user_id,
            names.ENTRY_POINT: self.entry_point,
            names.VERSION: self.version,
        }
        return {name: value for name, value in known.items() if value}


class FlowSpan(ActiveSpan):
    """The span of one flow run. Its input and output are those of the flow's own ends."""

    status_attribute = names.FLOW_STATUS

    def __init__(self, span: Span, capture: Capture, flow: Flow) -> None:
        """Take charge of the started span of `flow`."""
        super().__init__(span, capture)
        self.context = run_context.inside(
            span, flow=self, session_id=flow.session_id, user_id=flow.user_id
        )
        self._chat_input: Captured | None = None
        self._chat_output: Captured | None = None
        self._inputs: dict[str, Captured] = {}
        self._outputs: dict[str, Captured] = {}

    def update(self, flow: Flow) -> None:
        """Set what has become known of the flow since it began (its run id, its session)."""
        if self.recording:
            self.span.set_attributes(flow.attributes())
            if flow.name:
                self.span.update_name(flow.name)

    def note(self, component: "Component", output: Captured) -> None:
        """Remember what came out of a component at one of the flow's ends."""
        chat = component.type in {"ChatInput", "ChatOutput"}
        if component.is_input:
            self._inputs[component.display_name] = output
            self._chat_input = output if chat else self._chat_input
        if component.is_output:
            self._outputs[component.display_name] = output
            self._chat_output = output if chat else self._chat_output

    def _before_end(self) -> None:
        if self._inputs:
            self.set_input(self._chat_input or self.capture.joined(self._inputs))
        if self._outputs:
            self.set_output(self._chat_output or self.capture.joined(self._outputs))
