"""The finished spans of real flows, as an exporter gets them: one fixture for all translations.

Each recording is made once a process: a real flow runs on the real lfx, with a chat model that
needs no network, and with content. What is recorded is what the SDK hands to an exporter, so a
test of a translation needs neither Langflow's objects nor a server.
"""

import asyncio
import contextlib
import functools
import json
import os
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest import mock

import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.vectorstores import InMemoryVectorStore
from lfx.base.embeddings.model import LCEmbeddingsModel
from lfx.base.models.model import LCModelComponent
from lfx.base.vectorstores.model import LCVectorStoreComponent, check_cached_vector_store
from lfx.components.input_output import ChatInput, ChatOutput
from lfx.components.models_and_agents import PromptComponent
from lfx.custom.custom_component.component import Component
from lfx.events.event_manager import create_default_event_manager
from lfx.field_typing import Embeddings, LanguageModel, VectorStore
from lfx.io import HandleInput, IntInput, MessageTextInput, Output
from lfx.schema.data import Data
from lfx.schema.message import Message
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from langflow_otel import LangflowInstrumentor, guard
from langflow_otel.demo.chat_model import ScriptedChatModel
from langflow_otel.demo.components import ScriptedModelComponent, WeatherComponent
from langflow_otel.demo.flows import Flow, FlowBuilder, add_agent
from tests.support import flows

SESSION = "session-1"
USER = "00000000-0000-4000-8000-000000000001"
REFUSED = "model scripted-1 is overloaded"

_TELLING = ("OTEL_", "OPENINFERENCE_", "PHOENIX_", "LANGFUSE_", "LANGSMITH_", "LANGCHAIN_")
_INSTRUMENTOR = "openinference.instrumentation.langchain"


def record(name: str) -> list[ReadableSpan]:
    """The finished spans of a recording of `RECORDINGS`, in the order in which they ended.

    Works with and without a running event loop: the flow runs in a thread of its own, and
    nothing of the environment but Langflow's own variables reaches it. Skips the test where
    OpenInference's LangChain instrumentor, which makes the spans of models, is not installed.

    Raises:
        KeyError: There is no such recording.
        RuntimeError: Langflow is instrumented, and the spans would go elsewhere.
    """
    run = RECORDINGS[name]
    pytest.importorskip(_INSTRUMENTOR, reason="no model spans without OpenInference's instrumentor")
    return list(_recorded(run))


@functools.cache
def _recorded(run: Callable[[], Awaitable[Any]]) -> tuple[ReadableSpan, ...]:
    if LangflowInstrumentor().is_instrumented_by_opentelemetry:
        raise RuntimeError("Langflow is instrumented already: record before, or uninstrument")
    with ThreadPoolExecutor(1, "recording") as thread:
        return thread.submit(_run, run).result(timeout=120)


def _run(run: Callable[[], Awaitable[Any]]) -> tuple[ReadableSpan, ...]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(
        resource=Resource.create({"service.name": "langflow"}),
        span_limits=SpanLimits(max_span_attributes=10_000),
        shutdown_on_exit=False,
    )
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with _surroundings():
        LangflowInstrumentor().instrument(tracer_provider=provider, capture_content=True)
        try:
            asyncio.run(_awaited(run))
        finally:
            LangflowInstrumentor().uninstrument()
            provider.shutdown()
    return exporter.get_finished_spans()


async def _awaited(run: Callable[[], Awaitable[Any]]) -> None:
    await run()


@contextlib.contextmanager
def _surroundings() -> Iterator[None]:
    """Recordings are the same whatever is set around them, and an error of ours ends them."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_TELLING)}
    kept.pop("LANGFLOW_DEACTIVATE_TRACING", None)
    with (
        mock.patch.dict(os.environ, kept, clear=True),
        mock.patch.object(guard, "strict", True),
        mock.patch.object(guard, "_seen", set()),
    ):
        yield


async def _flow(flow: Flow, text: str, **kwargs: Any) -> str:
    graph = flows.graph_of(flow, user_id=USER)
    return await flows.run_flow(graph, text, session_id=SESSION, **kwargs)


async def _chat() -> None:
    await _flow(flows.linear_chat("Tokens are words here."), "What is a token?")


async def _agent() -> None:
    await _flow(flows.agent_with_tools(), "How is Oslo, and how far?")


async def _rag() -> None:
    await _flow(rag(), "How long do refunds take?")


async def _error() -> None:
    """Two traces: a component that raises, and a model that does."""
    for flow in (flows.failing(), model_fails()):
        with contextlib.suppress(ValueError):
            await _flow(flow, "4711")
            raise AssertionError(f"{flow['name']} did not fail")


async def _streaming() -> None:
    manager = create_default_event_manager(asyncio.Queue())
    await _flow(flows.streamed_by_model(), "What is a stream?", event_manager=manager)


async def _nested() -> None:
    await _flow(flows.flow_in_flow(), "What is inside?")


async def _tools_failing() -> None:
    await _flow(agent_whose_tool_fails(), "Where is my order?")


RECORDINGS: dict[str, Callable[[], Awaitable[None]]] = {
    "chat": _chat,
    "agent": _agent,
    "rag": _rag,
    "error": _error,
    "streaming": _streaming,
    "nested": _nested,
    "tools failing": _tools_failing,
}


def rag() -> Flow:
    """Chat Input -> Library, of Wordless Embeddings -> Prompt Template -> Scripted Model.

    Library finds two documents in a vector store of three, and the model answers from them.
    """
    flow = FlowBuilder("Questions about refunds")
    question, answered = flow.add(ChatInput), flow.add(ChatOutput)
    embeddings = flow.add(WordlessEmbeddingsComponent)
    library, found = flow.add(LibraryComponent, number_of_results=2), flow.add(ExcerptsComponent)
    prompt = flow.add(PromptComponent, template="{context}\n\nQuestion: {question}")
    model = flow.add(ScriptedModelComponent, script=["Refunds take 14 days."])
    flow.connect(question, "message", library, "search_query")
    flow.connect(embeddings, "embeddings", library, "embedding")
    flow.connect(library, "search_results", found, "documents")
    flow.connect(found, "excerpts", prompt, "context")
    flow.connect(question, "message", prompt, "question")
    flow.connect(prompt, "prompt", model, "input_value")
    flow.connect(model, "text_output", answered, "input_value")
    return flow.build()


def model_fails() -> Flow:
    """Chat Input -> Overloaded Model, whose chat model raises -> Chat Output, never reached."""
    flow = FlowBuilder("Model fails")
    question, answered = flow.add(ChatInput), flow.add(ChatOutput)
    model = flow.add(OverloadedModelComponent)
    flow.connect(question, "message", model, "input_value")
    flow.connect(model, "text_output", answered, "input_value")
    return flow.build()


def agent_whose_tool_fails() -> Flow:
    """Chat Input -> Agent with Scripted Model, Weather and Ledger -> Chat Output.

    The agent calls both tools; Ledger raises, and the agent answers with what both told it.
    """
    flow = FlowBuilder("Agent whose tool fails")
    question, answered = flow.add(ChatInput), flow.add(ChatOutput)
    calls = [
        {"name": "get_weather", "args": {"city": "Oslo"}},
        {"name": "look_up", "args": {"order": "4711"}},
    ]
    model = flow.add(ScriptedModelComponent, tool_calls=json.dumps(calls))
    tools = [flow.add(tool, tool_mode=True) for tool in (WeatherComponent, LedgerComponent)]
    agent = add_agent(flow, model, tools)
    flow.connect(question, "message", agent, "input_value")
    flow.connect(agent, "response", answered, "input_value")
    return flow.build()


class OverloadedChatModel(ScriptedChatModel):
    """Fails as a provider does that has too much to do."""

    def _reply(self, *_: Any, **__: Any) -> Any:
        raise ConnectionError(REFUSED)


class OverloadedModelComponent(LCModelComponent):
    """A model component whose model fails."""

    display_name = "Overloaded Model"
    name = "OverloadedModel"
    inputs = [*LCModelComponent.get_base_inputs()]

    def build_model(self) -> LanguageModel:
        # A flow carries the class and the imports of its module, nothing else of it.
        from tests.support.recorded import OverloadedChatModel

        return OverloadedChatModel()


class LedgerComponent(Component):
    """A tool that fails."""

    display_name = "Ledger"
    description = "Where an order is."
    name = "Ledger"
    inputs = [
        MessageTextInput(name="order", display_name="Order", tool_mode=True, info="Its number"),
    ]
    outputs = [Output(display_name="Order", name="order_found", method="look_up")]

    def look_up(self) -> Message:
        raise LookupError(f"no such order: {self.order}")


class WordlessEmbeddingsComponent(LCEmbeddingsModel):
    """Embeddings that know no words, and are the same every time."""

    display_name = "Wordless Embeddings"
    name = "WordlessEmbeddings"

    def build_embeddings(self) -> Embeddings:
        return DeterministicFakeEmbedding(size=16)


class LibraryComponent(LCVectorStoreComponent):
    """Langflow's vector store component around LangChain's vector store in memory."""

    display_name = "Library"
    name = "Library"
    inputs = [
        *LCVectorStoreComponent.inputs,
        HandleInput(name="embedding", display_name="Embedding", input_types=["Embeddings"]),
        IntInput(name="number_of_results", display_name="Number of Results", value=2),
    ]

    @check_cached_vector_store
    def build_vector_store(self) -> VectorStore:
        texts = ["Refunds take 14 days.", "Parcels take 3 days.", "The shop opens at nine."]
        sources = [{"source": f"{page}.pdf", "page": page} for page in range(len(texts))]
        return InMemoryVectorStore.from_texts(
            texts, self.embedding, metadatas=sources, ids=["doc-0", "doc-1", "doc-2"]
        )

    def search_documents(self) -> list[Data]:
        kwargs = {"k": self.number_of_results}
        retriever = self.build_vector_store().as_retriever(search_kwargs=kwargs)
        return [Data.from_document(found) for found in retriever.invoke(self.search_query)]


class ExcerptsComponent(Component):
    """Joins the texts of documents."""

    display_name = "Excerpts"
    name = "Excerpts"
    inputs = [
        HandleInput(
            name="documents",
            display_name="Documents",
            input_types=["Data", "JSON"],
            is_list=True,
        )
    ]
    outputs = [Output(display_name="Excerpts", name="excerpts", method="join")]

    def join(self) -> Message:
        return Message(text="\n".join(found.get_text() for found in self.documents))
