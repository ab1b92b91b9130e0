"""What each span carries: a public promise."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from langflow_otel import LangflowInstrumentor, names
from langflow_otel.capture import ALL_CONTENT, Capture
from langflow_otel.patterns import LeftOut
from langflow_otel.spans import Component, Failure, LangflowTracer
from tests.conftest import Traced
from tests.support import flows
from tests.support.document_flows import CatalogueComponent, ShelfComponent, documents
from tests.support.inside import inside_a_flow
from tests.support.invariants import check
from tests.support.select import named
from tests.support.versions import before

COMMON = {"openinference.span.kind", "session.id", "output.value", "output.mime_type"}
FLOW = COMMON | {
    "langflow.flow.id",
    "langflow.flow.name",
    "langflow.flow.status",
    "langflow.run.id",
    "langflow.trace.name",
    "langflow.version",
    "input.value",
    "input.mime_type",
}
# Of a flow that has called a model that counts its tokens.
USAGE = {
    "langflow.usage.input_tokens",
    "langflow.usage.model_calls",
    "langflow.usage.output_tokens",
    "langflow.usage.total_tokens",
}
COMPONENT = COMMON | {
    "langflow.flow.id",
    "langflow.flow.name",
    "langflow.trace.name",
    "langflow.component.id",
    "langflow.component.type",
    "langflow.component.display_name",
    "langflow.component.status",
    "langflow.component.cached",
    "langflow.component.upstream",
    "graph.node.id",
    "graph.node.name",
    "input.value",
    "input.mime_type",
}

ALL_NAMES = sorted(
    {
        "agent.name",
        "document.content",
        "document.id",
        "document.metadata",
        "document.score",
        "embedding.embeddings",
        "embedding.model_name",
        "embedding.text",
        "embedding.vector",
        "error.type",
        "exception.message",
        "exception.stacktrace",
        "exception.type",
        "graph.node.id",
        "graph.node.name",
        "graph.node.parent_id",
        "input.mime_type",
        "input.value",
        "langflow.agent.type",
        "langflow.approval",
        "langflow.approval.decision",
        "langflow.approval.kind",
        "langflow.approval.prompt",
        "langflow.approval.tools",
        "langflow.approval.values",
        "langflow.component.run_index",
        "langflow.link.type",
        "langflow.loop.index",
        "langflow.loop.path",
        "langflow.component.cached",
        "langflow.component.display_name",
        "langflow.component.id",
        "langflow.component.status",
        "langflow.component.type",
        "langflow.component.upstream",
        "langflow.content.hidden",
        "langflow.content.shed",
        "langflow.cut_off",
        "langflow.stream.read",
        "langflow.embedding.count",
        "langflow.embedding.dimensions",
        "langflow.entry_point",
        "langflow.export.parent",
        "langflow.flow.id",
        "langflow.flow.name",
        "langflow.first_token",
        "langflow.flow.status",
        "langflow.input.original_length",
        "langflow.input.truncated",
        "langflow.log",
        "langflow.log.message",
        "langflow.log.name",
        "langflow.log.type",
        "langflow.logs.dropped",
        "langflow.model.repeated",
        "langflow.mcp.server.name",
        "langflow.mcp.tool.name",
        "langflow.output.original_length",
        "langflow.output.truncated",
        "langflow.run.id",
        "langflow.status",
        "langflow.trace.name",
        "langflow.usage.cached_tokens",
        "langflow.usage.cost",
        "langflow.usage.input_tokens",
        "langflow.usage.model_calls",
        "langflow.usage.output_tokens",
        "langflow.usage.reasoning_tokens",
        "langflow.usage.total_tokens",
        "langflow.version",
        "llm.model_name",
        "llm.provider",
        "llm.token_count.completion",
        "llm.token_count.prompt",
        "llm.token_count.total",
        "mcp.method.name",
        "mcp.protocol.version",
        "mcp.session.id",
        "metadata",
        "network.protocol.name",
        "network.transport",
        "openinference.span.kind",
        "output.mime_type",
        "output.value",
        "reranker.output_documents",
        "retrieval.documents",
        "server.address",
        "server.port",
        "session.id",
        "tag.tags",
        "tool.description",
        "tool.id",
        "tool.name",
        "tool.parameters",
        "user.id",
    }
)


def test_the_names_of_all_attributes_are_these() -> None:
    """Changing one breaks somebody's dashboard: it needs a line under Changed in the changelog."""
    others = {
        "BAGGAGE_PARENT",
        "EXCEPTION_EVENT",
        "GENAI_OPERATION",
        "LINK_RESUMES",
        "RUN_METADATA",
        "TRACELOOP_REQUEST_TYPE",
        "URL_QUERY",
    }
    stated = {
        value
        for name, value in vars(names).items()
        if name.isupper()
        and isinstance(value, str)
        and name not in others
        and not name.startswith(("KIND_", "STATUS_"))
    }
    assert sorted(stated) == ALL_NAMES


def test_every_name_is_in_the_documentation() -> None:
    told = Path(__file__).parent.parent.joinpath("docs", "spans.md").read_text()
    assert [name for name in ALL_NAMES if f"`{name}`" not in told] == []


async def test_a_flow_says_what_ran_for_whom_and_what_came_of_it(traced: Traced) -> None:
    flow = flows.linear_chat("An answer")
    await flows.run_flow(flows.graph_of(flow, user_id="user-7"), "A question", session_id="s1")

    span = named(traced.spans(), "Linear chat")
    assert set(span.attributes) == FLOW | USAGE | {"user.id"}
    assert span.kind == "CHAIN"
    assert span.attributes["langflow.flow.id"] == flow["id"]
    assert span.attributes["langflow.flow.name"] == "Linear chat"
    assert span.attributes["langflow.flow.status"] == "ok"
    assert re.fullmatch(r"[0-9a-f-]{36}", span.attributes["langflow.run.id"])
    assert re.match(r"\d+\.\d+", span.attributes["langflow.version"])
    assert span.attributes["session.id"] == "s1"
    assert span.attributes["user.id"] == "user-7"
    assert span.attributes["input.value"] == "A question"
    assert span.attributes["input.mime_type"] == "text/plain"
    assert span.attributes["output.value"] == "An answer"
    assert span.status == "OK"


async def test_a_flow_without_a_name_is_a_langflow_flow(traced: Traced) -> None:
    graph = flows.graph_of(flows.sync_method())
    graph.flow_name = None
    await flows.run_flow(graph)
    assert "langflow.flow.name" not in named(traced.spans(), "Langflow flow").attributes


async def test_a_component_says_what_it_is_and_what_went_in_and_out(traced: Traced) -> None:
    await flows.run_flow(flows.linear_chat("An answer"), "A question", session_id="s1")

    spans = traced.spans()
    first, last = named(spans, "Chat Input"), named(spans, "Chat Output")
    assert set(first.attributes) == COMPONENT
    assert set(last.attributes) == COMPONENT | {"graph.node.parent_id"}
    assert first.attributes["langflow.component.id"] == "ChatInput-demo"
    assert first.attributes["langflow.component.type"] == "ChatInput"
    assert first.attributes["langflow.component.cached"] is False
    assert first.attributes["graph.node.id"] == "ChatInput-demo"
    assert last.attributes["graph.node.parent_id"] == "ScriptedModel-demo"
    assert list(last.attributes["langflow.component.upstream"]) == ["ScriptedModel-demo"]
    assert json.loads(first.attributes["input.value"]) == {"input_value": "A question"}
    assert last.attributes["output.value"] == "An answer"


@pytest.mark.parametrize(
    ("make", "name", "kind"),
    [
        (flows.linear_chat, "Chat Input", "CHAIN"),
        (flows.agent_with_tools, "Agent", "AGENT"),
        (flows.linear_chat, "Prompt", "PROMPT"),
        (flows.linear_chat, "Scripted Model", "CHAIN"),
    ],
)
async def test_a_components_kind_is_what_it_is(
    traced: Traced, make: Any, name: str, kind: str
) -> None:
    await flows.run_flow(make())
    components = [span for span in traced.spans() if "graph.node.id" in span.attributes]
    (span,) = [span for span in components if span.name.startswith(name)]
    assert span.kind == kind


async def test_usage_stands_on_the_model_span_alone(traced: Traced) -> None:
    await flows.run_flow(flows.linear_chat())
    await flows.run_flow(flows.agent_with_tools())

    spans = traced.spans()
    counted = [span for span in spans if "llm.token_count.total" in span.attributes]
    assert [span.kind for span in counted] == ["LLM"] * 3
    assert {span.scope for span in spans if span.kind == "LLM"} == {
        "openinference.instrumentation.langchain"
    }


@pytest.fixture
def without_langchain(environment: pytest.MonkeyPatch, receiver: Any, request: Any) -> Traced:
    environment.setenv("OTEL_PYTHON_LANGFLOW_INSTRUMENT_LANGCHAIN", "false")
    traced: Traced = request.getfixturevalue("traced")
    return traced


async def test_without_model_spans_the_component_is_the_model_call(
    without_langchain: Traced,
) -> None:
    await flows.run_flow(flows.linear_chat("one two three"), "hi")

    (model,) = [span for span in without_langchain.spans() if span.kind == "LLM"]
    assert model.name == "Scripted Model"
    assert model.attributes["llm.model_name"] == "scripted-1"
    if "llm.token_count.total" in model.attributes:  # Langflow counts from 1.9 on.
        assert model.attributes["llm.token_count.prompt"] == 2
        assert model.attributes["llm.token_count.completion"] == 3
        assert model.attributes["llm.token_count.total"] == 5


async def test_a_model_that_is_only_handed_on_is_no_model_call(without_langchain: Traced) -> None:
    await flows.run_flow(flows.agent_with_tools())

    assert named(without_langchain.spans(), "Scripted Model").kind == "CHAIN"


async def test_an_agents_tokens_stand_on_a_model_span_below_it(without_langchain: Traced) -> None:
    await flows.run_flow(flows.agent_with_tools())

    spans = without_langchain.spans()
    check(spans, traces=1)
    agent = named(spans, "Agent")
    assert [name for name in agent.attributes if name.startswith("llm.")] == []
    models = [span for span in spans if span.kind == "LLM"]
    if before("1.9") or sys.version_info < (3, 11):
        return  # Langflow does not count, or LangGraph loses its handler.
    (model,) = models
    assert (model.name, model.parent_id) == ("scripted-1", agent.span_id)
    assert model.attributes["llm.token_count.total"] > 0
    assert model.attributes["llm.model_name"] == "scripted-1"
    flow = named(spans, "Agent with tools").attributes
    assert flow["langflow.usage.total_tokens"] == model.attributes["llm.token_count.total"]


async def test_what_a_component_logs_are_its_events(traced: Traced) -> None:
    await flows.run_flow(flows.component_logs(), "hi")

    events = [event.attributes for event in named(traced.spans(), "Log").events]
    assert [event["langflow.log.name"] for event in events] == ["first", "second"]
    assert events[0]["langflow.log.message"] == "started"
    assert json.loads(events[1]["langflow.log.message"]) == {"text": "hi"}


async def test_a_password_is_masked_in_the_inputs_on_every_langflow(traced: Traced) -> None:
    await flows.run_flow(flows.echo_of_secrets("plain", "hunter2-hunter2"))

    inputs = json.loads(named(traced.spans(), "Echo").attributes["input.value"])
    assert inputs["password"] == "**********"
    assert inputs["note"] == "plain"


async def test_a_value_is_cut_at_the_bound_and_says_so(
    environment: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    environment.setenv("OTEL_PYTHON_LANGFLOW_MAX_VALUE_BYTES", "1000")
    traced: Traced = request.getfixturevalue("traced")

    await flows.run_flow(flows.linear_chat(), "héllo " * 1000)

    ours = [span.attributes for span in traced.spans() if span.scope == "langflow_otel"]
    for name in ("input", "output"):
        values = [each for each in ours if f"{name}.value" in each]
        assert all(len(each[f"{name}.value"].encode()) <= 1000 for each in values)
        assert any(each.get(f"langflow.{name}.truncated") for each in values)
        for each in values:
            if each[f"{name}.mime_type"] == "application/json":
                json.loads(each[f"{name}.value"])


async def test_capture_content_in_code_goes_before_the_environment(
    environment: pytest.MonkeyPatch, receiver: Any
) -> None:
    environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint)
    environment.setenv("OTEL_PYTHON_LANGFLOW_CAPTURE_CONTENT", "true")
    LangflowInstrumentor().instrument(capture_content=False)
    await flows.run_flow(flows.linear_chat(), "the question")
    LangflowInstrumentor().uninstrument()
    assert len(receiver.spans) == 8
    assert "the question" not in repr(receiver.spans)


class UnprintableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


def test_an_error_that_cannot_say_what_it_is_is_still_an_error(traced: Traced) -> None:
    tracer = LangflowTracer(
        traced.provider.get_tracer("langflow_otel"),
        Capture(max_bytes=1000),
        ALL_CONTENT,
        LeftOut(),
    )
    span = tracer.component(Component(id="c", type="C", display_name="Fails", kind="CHAIN"))
    span.attach()
    span.fail(Failure("error", UnprintableError()))
    span.end()

    told = named(traced.spans(), "Fails")
    assert told.status == "ERROR"
    assert told.status_message == "<unprintable UnprintableError>"
    assert told.attributes["error.type"] == "tests.test_spans.UnprintableError"
    assert told.attributes["langflow.component.status"] == "error"


async def test_the_documents_that_a_retriever_found_are_told_one_by_one(traced: Traced) -> None:
    await flows.run_flow(documents(ShelfComponent), "How long does a refund take?")
    found = named(traced.spans(), "Shelf")
    assert found.kind == "RETRIEVER"
    told = {name: value for name, value in found.attributes.items() if "retrieval" in name}
    assert json.loads(told.pop("retrieval.documents.0.document.metadata")) == {"source": "a.pdf"}
    assert json.loads(told.pop("retrieval.documents.1.document.metadata")) == {
        "source": "b.pdf",
        "page": 3,
    }
    assert told == {
        "retrieval.documents.0.document.content": "Refunds take 14 days.",
        "retrieval.documents.0.document.score": 0.9,
        "retrieval.documents.0.document.id": "a-1",
        "retrieval.documents.1.document.content": "Ask with api_key=**********",
        "retrieval.documents.1.document.score": 0.0,
    }


async def test_the_rows_of_a_table_that_a_retriever_found_are_documents(traced: Traced) -> None:
    pytest.importorskip("tabulate", reason="Chat Output of an old lfx writes tables with it")
    await flows.run_flow(documents(CatalogueComponent), "How long does a refund take?")
    found = named(traced.spans(), "Catalogue").attributes
    assert found["retrieval.documents.0.document.content"] == "Refunds take 14 days."
    assert found["retrieval.documents.0.document.metadata"] == '{"source":"a.pdf"}'


def test_what_calls_cost_is_summed_where_an_instrumentor_tells_it(traced: Traced) -> None:
    tracer = traced.provider.get_tracer("openinference.instrumentation.openai")
    with inside_a_flow():
        for cost in ({"llm.cost.total": 0.25}, {"llm.cost.total": 0.5}, {}):
            tracer.start_span("a call", attributes={"openinference.span.kind": "LLM", **cost}).end()

    totals = named(traced.spans(), "A flow").attributes
    assert totals["langflow.usage.cost"] == 0.75
    assert totals["langflow.usage.model_calls"] == 3
