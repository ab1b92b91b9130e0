"""The span of one flow run."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from opentelemetry.trace import Span

from langflow_otel import attributes as names
from langflow_otel import context as run_context
from langflow_otel.capture import Capture, Captured, Content
from langflow_otel.spans.active import ActiveSpan

if TYPE_CHECKING:
    from langflow_otel.spans.component import Component

DEFAULT_FLOW_NAME = "Langflow flow"
_IDENTITY = (names.FLOW_ID, names.FLOW_NAME, names.RUN_ID)


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
    records_exception = False

    def __init__(self, span: Span, capture: Capture, content: Content, flow: Flow) -> None:
        """Take charge of the started span of `flow`."""
        super().__init__(span, capture, content)
        self.context = run_context.inside(
            span, flow=self, session_id=flow.session_id, user_id=flow.user_id
        )
        self._chat_input: Captured | None = None
        self._chat_output: Captured | None = None
        outer = run_context.current_flow()
        self._outermost: FlowSpan = outer._outermost if outer is not None else self
        self._known = flow.attributes()
        self._tell_identity()
        self._inputs: dict[str, tuple[str, Captured]] = {}
        self._outputs: dict[str, tuple[str, Captured]] = {}

    def update(self, flow: Flow) -> None:
        """Set what has become known since the flow began (its run id, its session).

        What was known then stays: a graph that runs twice at a time speaks of its last run.
        """
        if not self.recording:
            return
        late = {n: value for n, value in flow.attributes().items() if n not in self._known}
        self.span.set_attributes(late)
        self._known = {**self._known, **late}
        self._tell_identity()
        if names.FLOW_NAME in late:
            self.span.update_name(late[names.FLOW_NAME])

    def _tell_identity(self) -> None:
        name = self._outermost._known.get(names.FLOW_NAME)
        known = {n: self._known[n] for n in _IDENTITY if n in self._known}
        #: What every span of the run carries, by attribute name.
        self.identity = known if name is None else {**known, names.TRACE_NAME: name}
        if self.recording and name is not None:
            self.span.set_attribute(names.TRACE_NAME, name)

    def note(self, component: "Component", output: Captured) -> None:
        """Remember what came out of a component at one of the flow's ends."""
        chat = component.type in {"ChatInput", "ChatOutput"}
        if component.is_input:
            self._inputs[component.id] = (component.display_name, output)
            self._chat_input = output if chat else self._chat_input
        if component.is_output:
            self._outputs[component.id] = (component.display_name, output)
            self._chat_output = output if chat else self._chat_output

    def _before_end(self) -> None:
        if self._inputs and self.content.inputs:
            self.set_input(self._chat_input or self._joined(self._inputs))
        if self._outputs and self.content.outputs:
            self.set_output(self._chat_output or self._joined(self._outputs))

    def _joined(self, parts: dict[str, tuple[str, Captured]]) -> Captured:
        shown = [name for name, _ in parts.values()]
        return self.capture.joined(
            {
                name if shown.count(name) == 1 else f"{name} ({component_id})": captured
                for component_id, (name, captured) in parts.items()
            }
        )
