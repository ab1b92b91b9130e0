"""The documents that a component found, one by one: an LLM backend shows no others."""

from collections.abc import Mapping
from typing import Any

from langflow_otel import names
from langflow_otel.capture import Capture
from langflow_otel.capture.documents import documents_in

# Under which name, of a component of this kind.
_DOCUMENTS = {
    names.KIND_RETRIEVER: names.RETRIEVAL_DOCUMENTS,
    names.KIND_RERANKER: names.RERANKED_DOCUMENTS,
}


def document_attributes(kind: str, outputs: Mapping[str, Any], capture: Capture) -> dict[str, Any]:
    """Return what is said of the documents in `outputs`, by attribute name.

    Args:
        kind: The kind of the component's span; of others than retrievers and rerankers: nothing.
        outputs: What the component put out, by output.
        capture: Bounds and masks what they hold; they share its room.
    """
    prefix = _DOCUMENTS.get(kind)
    if prefix is None:
        return {}
    found = documents_in(dict(outputs))
    part = capture.part(2 * len(found) or 1)
    told: dict[str, Any] = {}
    for number, document in enumerate(found):
        known: dict[str, Any] = {
            names.DOCUMENT_CONTENT: part.value(document.content).text,
            names.DOCUMENT_METADATA: part.json(document.metadata).text,
            names.DOCUMENT_SCORE: document.score,
            names.DOCUMENT_ID: document.id and part.text(document.id).text,
        }
        # A score of 0 says something, an empty text does not.
        told |= {
            f"{prefix}.{number}.{name}": value
            for name, value in known.items()
            if value not in {None, ""}
        }
    return told
