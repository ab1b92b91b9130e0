"""The span of one run of a component."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from opentelemetry.trace import Span

from langflow_otel import attributes as names
from langflow_otel import context as run_context
from langflow_otel.capture import Capture, Content
from langflow_otel.capture.documents import documents_in
from langflow_otel.spans.active import ActiveSpan, Failure

# What of its output an LLM backend shows of a component of this kind.
_DOCUMENTS = {
    names.KIND_RETRIEVER: names.RETRIEVAL_DOCUMENTS,
    names.KIND_RERANKER: names.RERANKED_DOCUMENTS,
}


@dataclass(frozen=True)
class Component:
    """A component of a flow as a span tells it."""

    id: str
    type: str
    display_name: str
    kind: str
    upstream: Sequence[str] = ()
    is_input: bool = False
    is_output: bool = False
    session_id: str | None = None
    user_id: str | None = None
    hidden: bool = False

    def attributes(self) -> dict[str, Any]:
        """Return what identifies the component, by attribute name."""
        known: dict[str, Any] = {
            names.SPAN_KIND: self.kind,
            names.COMPONENT_ID: self.id,
            names.COMPONENT_TYPE: self.type,
            names.COMPONENT_DISPLAY_NAME: self.display_name,
            names.COMPONENT_CACHED: False,
            names.GRAPH_NODE_ID: self.id,
            names.GRAPH_NODE_NAME: self.display_name,
            names.COMPONENT_UPSTREAM: tuple(self.upstream),
        }
        if self.upstream:
            known[names.GRAPH_NODE_PARENT_ID] = self.upstream[0]
        if self.session_id:
            known[names.SESSION_ID] = self.session_id
        if self.user_id:
            known[names.USER_ID] = self.user_id
        if self.hidden:
            known[names.CONTENT_HIDDEN] = True
        return known


class ComponentSpan(ActiveSpan):
    """The span of one run of a component."""

    status_attribute = names.COMPONENT_STATUS

    def __init__(
        self, span: Span, capture: Capture, content: Content, component: Component
    ) -> None:
        """Take charge of the started span of `component`."""
        super().__init__(span, capture, content)
        self.component = component
        #: Whether content is never captured here: the component is one of those, or is below one.
        self.hidden = component.hidden or run_context.is_hidden()
        self.model_was_called = False
        #: Spans of other instrumentors below this one that are under way, by their id.
        self.below: dict[int, Span] = {}
        self._claimed: set[int] = set()
        self.on_end: Callable[[ComponentSpan], None] | None = None
        self._kind = component.kind
        self._answered = False
        self._flow = run_context.current_flow()
        self.context = run_context.inside(
            span,
            component=self,
            session_id=component.session_id,
            user_id=component.user_id,
            hidden=component.hidden,
        )

    def mark_cached(self) -> None:
        """Say that the component did not run: its frozen result was used."""
        self.span.set_attribute(names.COMPONENT_CACHED, value=True)

    def claim(self, name: str) -> Span | None:
        """Return the longest-running span called `name` below this one, each one only once."""
        for span_id, span in list(self.below.items()):
            if getattr(span, "name", None) == name and span_id not in self._claimed:
                self._claimed.add(span_id)
                return span
        return None

    def set_kind(self, kind: str) -> None:
        """Correct the kind, where the component became known only when it ran."""
        self._kind = kind
        self.span.set_attribute(names.SPAN_KIND, kind)

    def record_inputs(self, inputs: Mapping[str, Any]) -> None:
        """Capture the inputs the component runs with."""
        if inputs and self.content.inputs:
            self.set_input(self.capture.json(dict(inputs)))

    def record_outputs(self, outputs: Mapping[str, Any], *, answered: bool) -> None:
        """Capture what came out; `answered` says that a model's answer is among it."""
        self._answered = answered
        # What comes out where a flow begins is what the flow was given.
        given = self.component.is_input
        if not outputs or not (self.content.outputs or (given and self.content.inputs)):
            return
        only = next(iter(outputs.values())) if len(outputs) == 1 else dict(outputs)
        captured = self.capture.value(only)
        if self._shows_outputs():
            self.set_output(captured)
            self._set_documents(outputs)
        if self._flow is not None:
            self._flow.note(self.component, captured)

    def _set_documents(self, outputs: Mapping[str, Any]) -> None:
        prefix = _DOCUMENTS.get(self._kind)
        found = documents_in(dict(outputs)) if prefix else []
        capture = self.capture.part(2 * len(found) or 1)
        for number, document in enumerate(found):
            known: dict[str, Any] = {
                names.DOCUMENT_CONTENT: capture.value(document.content).text,
                names.DOCUMENT_METADATA: capture.json(document.metadata).text,
                names.DOCUMENT_SCORE: document.score,
                names.DOCUMENT_ID: document.id and capture.text(document.id).text,
            }
            self.span.set_attributes(
                {f"{prefix}.{number}.{name}": value for name, value in known.items() if value}
            )

    def _shows_outputs(self) -> bool:
        content = self.content
        if self.component.is_input and not content.inputs:
            return False
        return content.outputs and (content.documents or self._kind != names.KIND_RETRIEVER)

    def record_model(
        self,
        *,
        model: str | None,
        provider: str | None,
        input_tokens: int | None,
        output_tokens: int | None,
        total_tokens: int | None,
    ) -> None:
        """Record the model call that this component made, unless a span below tells of it."""
        if self.model_was_called or not self.recording:
            return
        known = {
            names.MODEL_NAME: model,
            names.MODEL_PROVIDER: provider,
            names.INPUT_TOKENS: input_tokens,
            names.OUTPUT_TOKENS: output_tokens,
            names.TOTAL_TOKENS: total_tokens,
        }
        self.span.set_attributes(
            {name: value for name, value in known.items() if value is not None}
        )

    def fail(self, failure: Failure) -> None:
        """Note what went wrong, for the flow too: some of its drivers swallow the error."""
        super().fail(failure)
        if failure.status != names.STATUS_ERROR:
            return
        if self.hidden:
            # The flow, and whatever else it passes through, would tell what it says.
            self.capture.secrets.hide_error(failure.error)
        if self._flow is not None:
            self._flow.fail(failure)

    def _before_end(self) -> None:
        # A component that only hands a model on, or whose call a model span tells of, is no call.
        if self._kind == names.KIND_LLM and (self.model_was_called or not self._answered):
            self.span.set_attribute(names.SPAN_KIND, names.KIND_CHAIN)

    def end(self) -> None:
        """End the span, and stop watching for model calls below it."""
        super().end()
        if self.on_end is not None:
            self.on_end(self)
            self.on_end = None
