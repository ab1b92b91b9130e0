"""Which kinds of content are captured."""

from dataclasses import dataclass


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
        embedded: The texts that are embedded.
    """

    inputs: bool = True
    outputs: bool = True
    logs: bool = True
    exceptions: bool = True
    documents: bool = True
    tools: bool = True
    embedded: bool = True

    def __bool__(self) -> bool:
        """Tell whether there is any."""
        return self.inputs or self.outputs or self.logs or self.exceptions


ALL_CONTENT = Content()
NO_CONTENT = Content(
    inputs=False,
    outputs=False,
    logs=False,
    exceptions=False,
    documents=False,
    tools=False,
    embedded=False,
)
