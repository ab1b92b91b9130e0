"""The span of one flow run."""

import re
import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import Span

from langflow_otel import context as run_context
from langflow_otel import names, run_metrics
from langflow_otel.capture import Capture, Captured, Content
from langflow_otel.spans.active import ActiveSpan

if TYPE_CHECKING:
    from langflow_otel.export.messages import Usage
    from langflow_otel.spans.component import ComponentSpan
    from langflow_otel.spans.told import Component

DEFAULT_FLOW_NAME = "Langflow flow"
_MEASURED = (names.FLOW_NAME, names.ENTRY_POINT)
_IDENTITY = (names.FLOW_ID, names.FLOW_NAME, names.RUN_ID)


# What a decision is called, as `approve`; anything else is a human's own text.
_DECISION = re.compile(r"[\w.-]{1,64}")


@dataclass(frozen=True)
class Approval:
    """What a human decided while a run was paused. What is not known is None.

    Attributes:
        component_id: The component that asked.
        kind: What it asked for, as `node_input` or `tool_approval`.
        decision: The action that was chosen, as `approve`.
        tools: The names of the tools that an agent wanted to call.
        prompt: What the human was shown.
        values: What the human said besides.
    """

    component_id: str | None
    kind: str | None = None
    decision: str | None = None
    tools: Sequence[str] = ()
    prompt: Any = None
    values: Any = None


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
        #: The `id` of what runs.
        self.runs: int | None = None
        self._chat_input: Captured | None = None
        self._chat_output: Captured | None = None
        self._outer = run_context.current_flow()
        caller = run_context.current_component()
        if caller is not None:
            caller.ran_flow = True
        self._outermost: FlowSpan = self._outer._outermost if self._outer is not None else self
        #: Components that have run and whose streams are not at their end.
        self.streaming: set[ComponentSpan] = set()
        self._totals: dict[str, float] = {}
        self._counting = threading.Lock()
        self.trace_id = span.get_span_context().trace_id
        called_by = run_context.remote_ai_parent(self.trace_id, None)
        #: The name of the trace, where another Langflow has called and told it.
        self._told_name = called_by.trace_name if called_by is not None else None
        self._known = flow.attributes()
        self._tell_identity()
        self.context = run_context.inside(
            span, flow=self, session_id=flow.session_id, user_id=flow.user_id
        )
        self._runs: Counter[Any] = Counter()
        # Kept by identity, with what is kept, so that no other thing can have the same.
        self._provided: dict[int, tuple[Any, Component]] = {}
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

    @property
    def measured_by(self) -> dict[str, str]:
        """What metrics tell runs of this flow, and of what is in it, apart by."""
        return {n: self._known[n] for n in _MEASURED if n in self._known}

    def _measure(self, seconds: float) -> None:
        run_metrics.record_flow(seconds, {**self.measured_by, **self._outcome()})

    def count_run(self, component_id: str, where: Any) -> int:
        """Return how often a component has been run here before, of those runs that are `where`."""
        before = self._runs[component_id, where]
        self._runs[component_id, where] += 1
        return before

    def record_approval(self, approval: Approval) -> None:
        """Record what a human decided; what was asked and said only where inputs are captured."""
        if not self.recording:
            return
        known: dict[str, Any] = {
            names.COMPONENT_ID: approval.component_id,
            names.APPROVAL_KIND: approval.kind,
            names.APPROVAL_TOOLS: tuple(approval.tools),
        }
        decision = approval.decision or ""
        if self.content.inputs or _DECISION.fullmatch(decision):
            known[names.APPROVAL_DECISION] = self.capture.text(decision).text
        if self.content.inputs:
            part = self.capture.part(2)
            known[names.APPROVAL_PROMPT] = approval.prompt and part.value(approval.prompt).text
            known[names.APPROVAL_VALUES] = approval.values and part.json(approval.values).text
        told = {name: value for name, value in known.items() if value}
        self.span.add_event(names.APPROVAL_EVENT, told)

    def _tell_identity(self) -> None:
        outermost = self._outermost
        name = outermost._told_name or outermost._known.get(names.FLOW_NAME)
        known = {n: self._known[n] for n in _IDENTITY if n in self._known}
        #: What every span of the run carries, by attribute name.
        self.identity = known if name is None else {**known, names.TRACE_NAME: name}
        if self.recording and name is not None:
            self.span.set_attribute(names.TRACE_NAME, name)

    def provide(self, component: "Component", *things: Any) -> None:
        """Remember that `component` provides `things`: a tool, and the functions that it calls."""
        for thing in things:
            self._provided[id(thing)] = (thing, component)

    def provider_of(self, *things: Any) -> "Component | None":
        """Return the component that provides one of `things`, in this run or one around it."""
        for thing in things:
            if (found := self._provided.get(id(thing))) is not None:
                return found[1]
        return None

    def note(self, component: "Component", output: Captured) -> None:
        """Remember what came out of a component at one of the flow's ends."""
        chat = component.type in {"ChatInput", "ChatOutput"}
        if component.is_input:
            self._inputs[component.id] = (component.display_name, output)
            self._chat_input = output if chat else self._chat_input
        if component.is_output:
            self._outputs[component.id] = (component.display_name, output)
            self._chat_output = output if chat else self._chat_output

    def count(self, usage: "Usage") -> None:
        """Count a model call of this flow, which is one of the flow around it, too."""
        if self.recording:
            with self._counting:
                for name, number in _counted(usage).items():
                    self._totals[name] = self._totals.get(name, 0) + number
        if self._outer is not None:
            self._outer.count(usage)

    def disown(self) -> None:
        """Leave the span to the process that this one was forked from, with its lock."""
        super().disown()
        self._counting = threading.Lock()

    def end(self) -> None:
        """End the span, and those of components whose streams nobody has read to their end."""
        cut_off = self._failure is not None and self._failure.status == names.STATUS_CANCELLED
        for component in list(self.streaming):
            if cut_off and self._failure is not None:
                component.fail(self._failure)
            component.end()
        super().end()

    def _before_end(self) -> None:
        with self._counting:
            self.span.set_attributes(self._totals)
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


def _counted(usage: "Usage") -> dict[str, float]:
    """Return what a model call adds to the totals; what is not known adds nothing."""
    known: dict[str, float | None] = {
        names.USAGE_MODEL_CALLS: 1,
        names.USAGE_INPUT_TOKENS: usage.input,
        names.USAGE_OUTPUT_TOKENS: usage.output,
        names.USAGE_TOTAL_TOKENS: usage.total,
        names.USAGE_CACHED_TOKENS: usage.cache_read or None,
        names.USAGE_REASONING_TOKENS: usage.reasoning or None,
        names.USAGE_COST: usage.costs.get("total"),
    }
    return {name: number for name, number in known.items() if number is not None}
