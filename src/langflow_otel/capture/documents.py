"""The documents in what a retriever gives: LLM backends show those of it, and nothing else."""

from collections.abc import Mapping
from itertools import islice
from typing import Any, NamedTuple

from langflow_otel.capture.types import Table, reader

MAX_DOCUMENTS = 32
_TEXTS = ("page_content", "text", "content")
_SCORES = ("score", "_score", "similarity", "relevance_score")
_IDS = ("id", "_id", "document_id")
_MAX_DEPTH = 3


class Document(NamedTuple):
    """A document that was found: its text, how well it fits, and all else that is known of it."""

    content: Any
    metadata: dict[str, Any]
    score: float | None
    id: str | None


def documents_in(value: Any) -> list[Document]:
    """Return the documents in `value`: in a list or a table, or where those are all there is."""
    rows = _rows_of(value, _MAX_DEPTH)
    found = [_document(row) for row in islice(rows, MAX_DOCUMENTS)]
    return [document for document in found if document is not None]


def _rows_of(value: Any, depth: int) -> list[Any]:
    if type(value) in {list, tuple}:
        return list(value)
    if depth and isinstance(value, Mapping) and type(value) is dict:
        for item in value.values():
            rows = _rows_of(item, depth - 1)
            if rows and _document(rows[0]) is not None:
                return rows
        return []
    if depth and not isinstance(value, str | bytes):
        read = reader(type(value))(value)
        if type(read) is Table:
            return [dict(zip(read.columns, row, strict=True)) for row in read.rows]
        return _rows_of(read, depth - 1) if type(read) in {dict, list} else []
    return []


def _document(row: Any) -> Document | None:
    fields = row if type(row) is dict else reader(type(row))(row)
    if type(fields) is not dict:
        return None
    if "text_key" in fields and type(fields.get("data")) is dict:
        # Langflow's Data, as a tool hands it on.
        fields = fields["data"]
    rest = dict(fields)
    nested = rest.pop("metadata", None)
    rest = {**(nested if type(nested) is dict else {}), **rest}
    content = _first(rest, _TEXTS)
    if content is None:
        return None
    score, identity = _first(rest, _SCORES), _first(rest, _IDS)
    return Document(
        content,
        rest,
        float(score) if isinstance(score, int | float) else None,
        str(identity) if isinstance(identity, str | int) else None,
    )


def _first(fields: dict[str, Any], wanted: tuple[str, ...]) -> Any:
    """Take the first of `wanted` that there is out of `fields`."""
    for name in wanted:
        if fields.get(name) is not None:
            return fields.pop(name)
    return None
