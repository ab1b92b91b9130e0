"""What is found, by whom, and what was embedded for it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from langflow_otel import LangflowInstrumentor
from tests.conftest import Traced
from tests.support import document_flows, flows, retrieval
from tests.support.invariants import check
from tests.support.select import named, only
from tests.support.spans import Span
from tests.support.tree import render


def tree(spans: list[Span]) -> str:
    """Without what runs before at the same time, in an order that is nobody's promise."""
    beside = {"flow.execute", "Chat Input", "Hash Embeddings"}
    return render(only(spans, lambda span: span.name not in beside), overlap=True)


def embeddings(spans: list[Span]) -> list[Span]:
    found = [span for span in spans if span.kind == "EMBEDDING"]
    return sorted(found, key=lambda span: span.start_ns)


async def test_a_vector_store_finds_documents_and_its_model_embeds_below_it(traced: Traced) -> None:
    await flows.run_flow(retrieval.search(), "Refunds take 14 days.", session_id="s1")

    spans = traced.spans()
    check(spans, session="s1", traces=1)
    assert (
        tree(spans)
        == """\
CHAIN Search
  RETRIEVER Memory Store
    EMBEDDING CreateEmbeddings
    EMBEDDING CreateEmbeddings
  CHAIN Chat Output"""
    )
    found = named(spans, "Memory Store").attributes
    prefix = "retrieval.documents.0.document"
    assert found[f"{prefix}.content"] == "Refunds take 14 days."
    assert found[f"{prefix}.id"] == "r-1"
    assert found[f"{prefix}.score"] == pytest.approx(1.0)
    assert json.loads(found[f"{prefix}.metadata"]) == {"source": "refunds.pdf"}
    assert found["retrieval.documents.1.document.content"] == "Shipping is free."


async def test_of_many_large_documents_some_are_told_in_part(traced: Traced) -> None:
    answer = await flows.run_flow(document_flows.documents(document_flows.ArchiveComponent))
    assert len(answer) > 40 * 50_000

    spans = traced.spans()
    check(spans, traces=1)
    told = named(spans, "Archive").attributes
    documents = {n: v for n, v in told.items() if n.startswith("retrieval.documents.")}
    contents = [v for n, v in documents.items() if n.endswith(".content")]
    assert len(contents) == 32
    assert [content.split()[0] for content in contents] == [str(number) for number in range(32)]
    assert all(content.endswith("[cut]") for content in contents)
    assert sum(len(str(value).encode()) for value in documents.values()) <= 16 * 1024
    assert len(told["output.value"].encode()) <= 16 * 1024
    assert told["langflow.output.truncated"] is True
    assert told["output.value"].endswith(' more"]')


async def test_a_call_of_an_embedding_model_tells_model_count_and_texts_and_no_vector(
    traced: Traced,
) -> None:
    await flows.run_flow(retrieval.search(), "refunds?")

    spans = traced.spans()
    check(spans, traces=1)
    stored, asked = embeddings(spans)
    text = "embedding.embeddings.{}.embedding.text".format
    for span in (stored, asked):
        assert span.attributes["embedding.model_name"] == "hash-8"
        assert span.attributes["langflow.embedding.dimensions"] == 8
        assert span.attributes["session.id"] == "session-1"
        assert span.status == "OK"
    assert stored.attributes["langflow.embedding.count"] == 2
    assert stored.attributes[text(0)] == "Refunds take 14 days."
    assert stored.attributes[text(1)] == "Shipping is free."
    assert asked.attributes["langflow.embedding.count"] == 1
    assert asked.attributes[text(0)] == "refunds?"
    assert not [name for span in spans for name in span.attributes if "vector" in name]


async def test_each_way_to_embed_is_one_span_whatever_calls_what(traced: Traced) -> None:
    assert await flows.run_flow(retrieval.embed(), "a text") == "5"

    spans = traced.spans()
    check(spans, traces=1)
    above = named(spans, "Embed").span_id
    calls = embeddings(spans)
    assert [span.parent_id for span in calls] == [above] * 4
    assert [span.attributes["langflow.embedding.count"] for span in calls] == [1, 2, 1, 1]
    assert named(spans, "Hash Embeddings").kind == "CHAIN"


async def test_texts_that_can_be_gone_through_once_are_left_to_the_model(traced: Traced) -> None:
    assert await flows.run_flow(retrieval.embed(retrieval.EmbedOnceComponent), "a") == "2 and 1"

    spans = traced.spans()
    check(spans, traces=1)
    lazy, named_ = embeddings(spans)
    assert "langflow.embedding.count" not in lazy.attributes
    assert named_.attributes["langflow.embedding.count"] == 1
    assert named_.attributes["embedding.embeddings.0.embedding.text"] == "a"


async def test_vectors_are_told_where_they_are_asked_for(
    environment: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    environment.setenv("OTEL_PYTHON_LANGFLOW_CAPTURE_VECTORS", "true")
    traced: Traced = request.getfixturevalue("traced")
    await flows.run_flow(retrieval.search(), "refunds?")

    spans = traced.spans()
    check(spans, traces=1)
    _, asked = embeddings(spans)
    assert len(asked.attributes["embedding.embeddings.0.embedding.vector"]) == 8


@pytest.mark.parametrize(
    "variable", ["OPENINFERENCE_HIDE_EMBEDDINGS_TEXT", "OPENINFERENCE_HIDE_INPUTS"]
)
async def test_texts_are_not_told_where_they_are_hidden(
    environment: pytest.MonkeyPatch, request: pytest.FixtureRequest, variable: str
) -> None:
    environment.setenv(variable, "true")
    traced: Traced = request.getfixturevalue("traced")
    await flows.run_flow(retrieval.search(), "refunds?")

    spans = traced.spans()
    check(spans, traces=1)
    calls = embeddings(spans)
    assert [call.attributes["langflow.embedding.count"] for call in calls] == [2, 1]
    assert not [name for call in calls for name in call.attributes if name.endswith(".text")]


async def test_a_call_that_fails_is_an_error(traced: Traced) -> None:
    with pytest.raises(ValueError, match="no vector"):
        await flows.run_flow(retrieval.search(), "no vector")

    spans = traced.spans()
    check(spans, traces=1)
    assert [call.status for call in embeddings(spans)] == ["OK", "ERROR"]
    assert embeddings(spans)[1].attributes["error.type"] == "ValueError"


async def test_a_retriever_made_of_anothers_store_is_where_it_is_called(traced: Traced) -> None:
    await flows.run_flow(retrieval.search_by_another(), "Refunds take 14 days.")

    spans = traced.spans()
    check(spans, traces=1)
    assert (
        tree(spans)
        == """\
CHAIN Search by another
  CHAIN Memory Store
    EMBEDDING CreateEmbeddings
  CHAIN Ask Store
    || EMBEDDING CreateEmbeddings
    || RETRIEVER VectorStoreRetriever
  CHAIN Chat Output"""
    )
    told = [name for span in spans for name in span.attributes if name.endswith("document.content")]
    assert told == ["retrieval.documents.0.document.content"]


async def test_a_store_that_is_an_agents_tool_finds_below_the_call(traced: Traced) -> None:
    await flows.run_flow(retrieval.agent_with_store("Shipping is free."))

    spans = traced.spans()
    check(spans, traces=1)
    (found,) = [span for span in spans if span.kind == "RETRIEVER"]
    above = next(span for span in spans if span.span_id == found.parent_id)
    assert (above.kind, above.name) == ("TOOL", "search_documents")
    assert found.attributes["retrieval.documents.0.document.content"] == "Shipping is free."
    assert {call.parent_id for call in embeddings(spans)} == {found.span_id}


async def test_a_model_is_not_traced_outside_of_a_component(traced: Traced) -> None:
    component = retrieval.HashEmbeddingsComponent(model_name="hash-8")
    await flows.run_flow(retrieval.search(), "refunds?")
    traced.clear()
    component.build_embeddings().embed_query("nobody asked")

    assert traced.spans() == []


async def test_the_classes_of_models_are_left_as_they_were(
    receiver: Any, environment: pytest.MonkeyPatch
) -> None:
    from langchain_core.embeddings import Embeddings

    environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint)
    before = vars(Embeddings)["aembed_query"]
    LangflowInstrumentor().instrument()
    try:
        await flows.run_flow(retrieval.search(), "refunds?")
        assert vars(Embeddings)["aembed_query"] is not before
    finally:
        LangflowInstrumentor().uninstrument()
    assert vars(Embeddings)["aembed_query"] is before
