"""A component, as its span tells it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from langflow_otel import context as run_context
from langflow_otel import names


class Component(NamedTuple):
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
    #: In which iterations of loops it runs, the outermost first.
    iteration: tuple[int, ...] = ()
    #: Which run of it this is, where it may run more than once.
    run_index: int | None = None
    is_tool: bool = False

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
        if self.iteration:
            known |= run_context.loop_attributes(self.iteration)
        if self.run_index is not None:
            known[names.COMPONENT_RUN_INDEX] = self.run_index
        return known
