"""The span of one tool call."""

from typing import Any

from opentelemetry.trace import Span

from langflow_otel import context as run_context
from langflow_otel.capture import Capture, Content
from langflow_otel.spans.active import ActiveSpan, Failure


class ToolSpan(ActiveSpan):
    """The span of one tool call; `owned` is false where another instrumentor made the span."""

    def __init__(
        self,
        span: Span,
        capture: Capture,
        content: Content,
        component_id: str,
        *,
        owned: bool,
        hidden: bool = False,
    ) -> None:
        """Take charge of the span of a call of the tool that `component_id` provides."""
        super().__init__(span, capture, content)
        self.component_id = component_id
        self._owned = owned
        self._hidden = hidden
        self.context = run_context.inside(span, tool=self, hidden=hidden)

    def record_output(self, output: Any) -> None:
        """Capture what the tool returned."""
        if self._hidden and isinstance(output, str):
            # The agent hands it on to its model.
            self.capture.secrets.add(output)
        if self._owned and self.content.outputs:
            self.set_output(self.capture.value(output))

    def fail(self, failure: Failure) -> None:
        """Note what went wrong; what a hidden tool says of it is told nowhere."""
        super().fail(failure)
        if self._hidden:
            self.capture.secrets.hide_error(failure.error)

    def end(self) -> None:
        """End the span if it is ours; another's is only made not current any more."""
        if self._owned:
            super().end()
        else:
            self.detach()
