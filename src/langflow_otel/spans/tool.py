"""The span of one tool call."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from opentelemetry.trace import Span

from langflow_otel import context as run_context
from langflow_otel import names
from langflow_otel.capture import Capture, Content
from langflow_otel.guard import safely
from langflow_otel.spans import under_way
from langflow_otel.spans.active import ActiveSpan, Failure


def _as_handed_on(output: Any) -> str:
    """Return the text that LangChain makes of what a tool returns."""
    if isinstance(output, str):
        return output
    try:
        return json.dumps(output, ensure_ascii=False)
    except (TypeError, ValueError):
        return str(output)


@dataclass(frozen=True)
class Tool:
    """A tool as a span tells it.

    Attributes:
        name: What the model calls it.
        description: What the model is told of it.
        parameters: Gives the JSON schema of each parameter, by name; asked only if it is wanted.
        component_id: The id of the component that provides it; None where that is not known.
        hidden: Whether the content of its calls is never captured.
        remote: Whether all it does is to call a tool of an MCP server's.
    """

    name: str
    description: str | None = None
    parameters: Callable[[], Any] | None = None
    component_id: str | None = None
    hidden: bool = False
    remote: bool = False

    def attributes(self, call_id: str | None) -> dict[str, Any]:
        """Return what a span tells of it from its start; `call_id` is what the model gave it."""
        known: dict[str, Any] = {
            names.TOOL_NAME: self.name,
            names.TOOL_DESCRIPTION: self.description,
            names.TOOL_ID: call_id,
            names.COMPONENT_ID: self.component_id,
            names.GRAPH_NODE_ID: self.component_id,
            names.CONTENT_HIDDEN: self.hidden or None,
        }
        return {name: value for name, value in known.items() if value is not None}


class ToolSpan(ActiveSpan):
    """The span of one tool call; `owned` is false where another instrumentor made the span."""

    def __init__(
        self, span: Span, capture: Capture, content: Content, tool: Tool, *, owned: bool
    ) -> None:
        """Take charge of the span of a call of `tool`."""
        super().__init__(span, capture, content)
        self.component_id = tool.component_id
        #: Whether what the tool does is to call one of an MCP server's.
        self.remote = tool.remote
        self.owned = owned
        self._hidden = tool.hidden
        self.context = run_context.inside(span, tool=self, hidden=tool.hidden)

    def record_output(self, output: Any) -> None:
        """Capture what the tool returned."""
        if self._hidden:
            # The agent hands it on to its model.
            self.capture.secrets.add_content(_as_handed_on(output))
        if self.owned and self.content.outputs:
            self.set_output(self.capture.value(output))

    def fail(self, failure: Failure) -> None:
        """Note what went wrong; what a hidden tool says of it is told nowhere."""
        super().fail(failure)
        if self._hidden:
            self.capture.secrets.hide_error(failure.error)

    def settle(self) -> str | None:
        """Tell of a failure on a span that another instrumentor takes for a success.

        An agent hands what a tool raised to its model, and goes on. Returns what went wrong, as the
        span's status says it, None where nothing did.
        """
        failure = self._failure
        if failure is None or failure.status != names.STATUS_ERROR:
            return None
        self._settle()
        safely(self._tell_error)
        status = getattr(self.span, "status", None)
        return status.description if status is not None else failure.type

    def end(self) -> None:
        """End the span if it is ours; another's is only made not current any more."""
        if self.owned:
            super().end()
            return
        self.detach()
        self.ended = True
        under_way.discard(self)
        if self._failure is not None and self._failure.status == names.STATUS_ERROR:
            self.span.set_attribute(names.ERROR_TYPE, self._failure.type)

    def cut_off(self) -> None:
        """End the span if it is ours; another's is ended with the component that it is below."""
        if self.owned:
            super().cut_off()
