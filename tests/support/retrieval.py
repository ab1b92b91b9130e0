"""Vector stores, real and in memory, what embeds for them, and the flows of those.

A flow carries each component's source (see `flows.component_code`), so a class uses nothing of
this module but its imports.
"""

import hashlib
from typing import Any

from langchain_core.embeddings import Embeddings
from langchain_core.vectorstores import InMemoryVectorStore
from lfx.base.embeddings.model import LCEmbeddingsModel
from lfx.base.vectorstores.model import LCVectorStoreComponent, check_cached_vector_store
from lfx.components.input_output import ChatInput, ChatOutput
from lfx.custom.custom_component.component import Component
from lfx.io import HandleInput, MessageTextInput, Output, StrInput
from lfx.schema.data import Data
from lfx.schema.message import Message

from langflow_otel.demo.flows import Flow, FlowBuilder
from tests.support import agents


class HashEmbeddingsComponent(LCEmbeddingsModel):
    """An embedding model that needs no network, inside one that only hands calls on."""

    display_name = "Hash Embeddings"
    name = "HashEmbeddings"
    inputs = [StrInput(name="model_name", display_name="Model", value="hash-8")]

    def build_embeddings(self) -> Embeddings:
        class HashEmbeddings(Embeddings):
            def __init__(self, model: str) -> None:
                self.model = model

            def embed_documents(self, texts: list[str], chunk_size: int = 0) -> list[list[float]]:
                texts = list(texts)
                if "no vector" in texts:
                    msg = "there is no vector for that"
                    raise ValueError(msg)
                digests = [hashlib.sha256(text.lower().encode()).digest() for text in texts]
                return [[byte / 255 for byte in digest[:8]] for digest in digests]

            def embed_query(self, text: str) -> list[float]:
                return self.embed_documents([text])[0]

        class Handing(Embeddings):
            def __init__(self, embeddings: Embeddings) -> None:
                self.embeddings = embeddings

            def embed_documents(self, texts: list[str], chunk_size: int = 0) -> list[list[float]]:
                return self.embeddings.embed_documents(texts, chunk_size)

            def embed_query(self, text: str) -> list[float]:
                return self.embeddings.embed_query(text)

            async def aembed_query(self, text: str) -> list[float]:
                return await self.embeddings.aembed_query(text)

        return Handing(HashEmbeddings(self.model_name))


class MemoryStoreComponent(LCVectorStoreComponent):
    """LangChain's vector store in memory, as a component of Langflow's."""

    display_name = "Memory Store"
    description = "Finds documents by their meaning."
    name = "MemoryStore"
    inputs = [
        *LCVectorStoreComponent.inputs,
        HandleInput(name="embedding", display_name="Embedding", input_types=["Embeddings"]),
    ]
    outputs = [
        *LCVectorStoreComponent.outputs,
        Output(display_name="Store", name="store", method="hand_on", types=["VectorStore"]),
    ]

    @check_cached_vector_store
    def build_vector_store(self) -> InMemoryVectorStore:
        store = InMemoryVectorStore(self.embedding)
        texts = ["Refunds take 14 days.", "Shipping is free."]
        sources = [{"source": name} for name in ("refunds.pdf", "shipping.pdf")]
        store.add_texts(texts, metadatas=sources, ids=["r-1", "s-1"])
        return store

    def search_documents(self) -> list[Data]:
        found = self.build_vector_store().similarity_search_with_score(self.search_query, k=2)
        return [
            Data(text=document.page_content, id=document.id, score=score, **document.metadata)
            for document, score in found
        ]

    def hand_on(self) -> InMemoryVectorStore:
        return self.build_vector_store()


class AskStoreComponent(Component):
    """Searches the store of another component by LangChain's own retriever, async."""

    display_name = "Ask Store"
    name = "AskStore"
    inputs = [
        MessageTextInput(name="text", display_name="Text"),
        HandleInput(name="store", display_name="Store", input_types=["VectorStore"]),
    ]
    outputs = [Output(display_name="Found", name="found", method="ask")]

    async def ask(self) -> Message:
        found = await self.store.as_retriever(search_kwargs={"k": 1}).ainvoke(self.text)
        return Message(text=found[0].page_content)


class EmbedOnceComponent(Component):
    """Embeds texts that can be gone through once only, and texts that it names."""

    display_name = "Embed Once"
    name = "EmbedOnce"
    inputs = [
        MessageTextInput(name="text", display_name="Text"),
        HandleInput(name="embedding", display_name="Embedding", input_types=["Embeddings"]),
    ]
    outputs = [Output(display_name="Size", name="size", method="embed")]

    def embed(self) -> Message:
        first = self.embedding.embed_documents(iter([self.text, "b"]))
        second = self.embedding.embed_documents(chunk_size=8, texts=[self.text])
        return Message(text=f"{len(first)} and {len(second)}")


class EmbedComponent(Component):
    """Embeds its text in all four ways."""

    display_name = "Embed"
    name = "Embed"
    inputs = [
        MessageTextInput(name="text", display_name="Text"),
        HandleInput(name="embedding", display_name="Embedding", input_types=["Embeddings"]),
    ]
    outputs = [Output(display_name="Size", name="size", method="embed")]

    async def embed(self) -> Message:
        model, text = self.embedding, self.text
        found = [model.embed_query(text), *model.embed_documents([text, "second"])]
        found += [await model.aembed_query(text), *await model.aembed_documents([text])]
        return Message(text=str(len(found)))


def search(**values: Any) -> Flow:
    """Chat Input -> Memory Store, with Hash Embeddings -> Chat Output."""
    flow = FlowBuilder("Search")
    question, answered = flow.add(ChatInput), flow.add(ChatOutput)
    store = add_store(flow, **values)
    flow.connect(question, "message", store, "search_query")
    flow.connect(store, "search_results", answered, "input_value")
    return flow.build()


def agent_with_store(question: str) -> Flow:
    """A flow of an agent that asks Memory Store as its tool."""
    flow = FlowBuilder("Agent with a store")
    store = add_store(flow, tool_mode=True)
    calls = [{"name": "search_documents", "args": {"search_query": question}}]
    return agents.asked(flow, agents.scripted_agent(flow, calls, store))


def search_by_another() -> Flow:
    """Chat Input -> Ask Store, on the store that Memory Store hands on -> Chat Output."""
    flow = FlowBuilder("Search by another")
    question, answered = flow.add(ChatInput), flow.add(ChatOutput)
    store, ask = add_store(flow), flow.add(AskStoreComponent)
    flow.connect(store, "store", ask, "store")
    flow.connect(question, "message", ask, "text")
    flow.connect(ask, "found", answered, "input_value")
    return flow.build()


def embed(by: type[Component] = EmbedComponent) -> Flow:
    """Chat Input -> Embed, with Hash Embeddings -> Chat Output."""
    flow = FlowBuilder("Embed flow")
    question, answered = flow.add(ChatInput), flow.add(ChatOutput)
    model, embedder = flow.add(HashEmbeddingsComponent), flow.add(by)
    flow.connect(model, "embeddings", embedder, "embedding")
    flow.connect(question, "message", embedder, "text")
    flow.connect(embedder, "size", answered, "input_value")
    return flow.build()


def add_store(flow: FlowBuilder, *, tool_mode: bool = False) -> str:
    """Add Memory Store and its Hash Embeddings, and return its id."""
    model = flow.add(HashEmbeddingsComponent)
    store = flow.add(MemoryStoreComponent, tool_mode=tool_mode)
    flow.connect(model, "embeddings", store, "embedding")
    return store
