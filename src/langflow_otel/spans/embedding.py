"""The span of one call of an embedding model."""

from collections.abc import Sequence
from typing import Any

from opentelemetry.trace import Span

from langflow_otel import context as run_context
from langflow_otel import names
from langflow_otel.capture import Capture, Content
from langflow_otel.spans.active import ActiveSpan

#: OpenInference's conventions want every such span to be called this.
EMBEDDING_SPAN = "CreateEmbeddings"
_MAX_TEXTS = 32


class EmbeddingSpan(ActiveSpan):
    """The span of one call of an embedding model: how much was embedded, of how many numbers."""

    def __init__(self, span: Span, capture: Capture, content: Content) -> None:
        """Take charge of the started span."""
        super().__init__(span, capture, content)
        self.context = run_context.inside(span, embedding=True)

    def record_texts(self, texts: Sequence[Any]) -> None:
        """Say how many texts are embedded, and, where content is wanted, which: the first ones."""
        self.span.set_attribute(names.EMBEDDING_COUNT, len(texts))
        if not (self.content.inputs and self.content.embedded):
            return
        shown = texts[:_MAX_TEXTS]
        capture = self.capture.part(len(shown) or 1)
        cut = len(texts) > len(shown)
        for number, text in enumerate(shown):
            captured = capture.value(text)
            cut = cut or captured.truncated
            name = f"{names.EMBEDDINGS}.{number}.{names.EMBEDDING_TEXT}"
            self.span.set_attribute(name, captured.text)
        if cut:
            self.span.set_attribute(names.INPUT_TRUNCATED, True)

    def record_vectors(self, vectors: Sequence[Any]) -> None:
        """Say how many numbers a vector has; the numbers themselves only where they are wanted."""
        if not vectors:
            return
        self.span.set_attribute(names.EMBEDDING_DIMENSIONS, len(vectors[0]))
        if self.capture.vectors and self.content.outputs:
            for number, vector in enumerate(vectors[:_MAX_TEXTS]):
                name = f"{names.EMBEDDINGS}.{number}.{names.EMBEDDING_VECTOR}"
                self.span.set_attribute(name, [float(each) for each in vector])
