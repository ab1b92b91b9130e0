"""Which kinds of content are captured, and of which components none is."""

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True)
class Content:
    """The kinds of content, each of which is captured or not.

    Attributes:
        inputs: What a flow, a component, a tool, a model is given.
        outputs: What comes out.
        logs: What a component logs.
        exceptions: What an error says, and where it was raised.
        documents: What a retriever finds.
        tools: The schema of a tool's arguments.
    """

    inputs: bool = True
    outputs: bool = True
    logs: bool = True
    exceptions: bool = True
    documents: bool = True
    tools: bool = True

    def __bool__(self) -> bool:
        """Tell whether there is any."""
        return self.inputs or self.outputs or self.logs or self.exceptions


ALL_CONTENT = Content()
NO_CONTENT = Content(
    inputs=False, outputs=False, logs=False, exceptions=False, documents=False, tools=False
)


class HiddenComponents:
    """The components whose content is never captured, by type or id.

    Args:
        patterns: Types (`APIRequest`) and ids (`APIRequest-a1B2c`), as `fnmatch` patterns.
    """

    def __init__(self, patterns: Iterable[str] = ()) -> None:
        """See the class."""
        self._patterns = tuple(patterns)

    def __bool__(self) -> bool:
        """Tell whether any is named."""
        return bool(self._patterns)

    def hide(self, kind: str, component_id: str) -> bool:
        """Tell whether the component of the type `kind` and the id `component_id` is one."""
        return any(
            fnmatchcase(name, pattern)
            for pattern in self._patterns
            for name in (kind, component_id)
        )
