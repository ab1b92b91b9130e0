"""The span of one tool call."""

from typing import Any

from opentelemetry.trace import Span

from langflow_otel import context as run_context
from langflow_otel.capture import Capture, Content
from langflow_otel.spans.active import ActiveSpan


class ToolSpan(ActiveSpan):
    """The span of one tool call; `owned` is false where another instrumentor made the span."""

    def __init__(
        self, span: Span, capture: Capture, content: Content, component_id: str, *, owned: bool
    ) -> None:
        """Take charge of the span of a call of the tool that `component_id` provides."""
        super().__init__(span, capture, content)
        self.component_id = component_id
        self._owned = owned
        self.context = run_context.inside(span, tool=self)

    def record_output(self, output: Any) -> None:
        """Capture what the tool returned."""
        if self._owned and self.content.outputs:
            self.set_output(self.capture.value(output))

    def end(self) -> None:
        """End the span if it is ours; another's is only made not current any more."""
        if self._owned:
            super().end()
        else:
            self.detach()
