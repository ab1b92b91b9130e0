"""A model call that nobody has traced, as Langflow tells of it."""

from dataclasses import dataclass
from typing import Any

from langflow_otel import names


@dataclass(frozen=True)
class Model:
    """A model call as Langflow tells of it. What is not known is None."""

    name: str | None = None
    provider: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None

    @property
    def has_tokens(self) -> bool:
        """Whether any are known."""
        tokens = (self.input_tokens, self.output_tokens, self.total_tokens)
        return any(count is not None for count in tokens)

    def attributes(self) -> dict[str, Any]:
        """Return what is known, by attribute name."""
        known = {
            names.MODEL_NAME: self.name,
            names.MODEL_PROVIDER: self.provider,
            names.INPUT_TOKENS: self.input_tokens,
            names.OUTPUT_TOKENS: self.output_tokens,
            names.TOTAL_TOKENS: self.total_tokens,
        }
        return {name: value for name, value in known.items() if value is not None}
