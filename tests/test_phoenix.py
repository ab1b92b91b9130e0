"""A real Phoenix: what is sent to it is what it shows."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from langflow_otel import LangflowInstrumentor
from tests.support import flows
from tests.support.invariants import check
from tests.support.langfuse import LangfuseReceiver
from tests.support.langsmith import LangSmithReceiver
from tests.support.phoenix import Phoenix
from tests.support.receiver import OtlpReceiver
from tests.support.select import main_parts
from tests.support.tree import render

pytestmark = pytest.mark.phoenix


async def test_instrument_and_an_address_are_enough(
    phoenix: Phoenix, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("PHOENIX_COLLECTOR_ENDPOINT", phoenix.endpoint)
    LangflowInstrumentor().instrument()
    await flows.run_flow(flows.agent_with_tools(), "weather?", session_id="s1")
    LangflowInstrumentor().uninstrument()

    spans = phoenix.wait_for_spans("langflow", lambda spans: any(not s.parent_id for s in spans))
    check(spans, session="s1", traces=1)
    parts = main_parts(spans)
    agent = next(span for span in parts if span.kind == "AGENT" and span.name == "Agent")
    below = sorted(f"{span.kind} {span.name}" for span in parts if span.parent_id == agent.span_id)
    assert below == [
        "LLM ScriptedChatModel",
        "LLM ScriptedChatModel",
        "TOOL get_distance",
        "TOOL get_weather",
    ]
    root = next(span for span in spans if not span.parent_id)
    assert root.attributes["input.value"] == "weather?"
    assert root.attributes["output.value"].startswith("The tools answered: Oslo: snow")


@pytest.mark.parametrize("make", [flows.agent_with_tools, flows.linear_chat])
async def test_langfuse_and_langsmith_show_the_same_tree(
    phoenix: Phoenix, environment: pytest.MonkeyPatch, make: Callable[[], flows.Flow]
) -> None:
    pytest.importorskip("langsmith")
    project = f"same-{make.__name__}"
    environment.setenv("PHOENIX_COLLECTOR_ENDPOINT", phoenix.endpoint)
    environment.setenv("PHOENIX_PROJECT_NAME", project)
    with LangfuseReceiver() as langfuse, LangSmithReceiver() as langsmith:
        for name, value in {**langfuse.environment, **langsmith.environment}.items():
            environment.setenv(name, value)
        environment.setenv("OTEL_TRACES_EXPORTER", "phoenix,langfuse,langsmith")
        LangflowInstrumentor().instrument()
        await flows.run_flow(make(), "weather?", session_id="s1")
        LangflowInstrumentor().uninstrument()

        spans = phoenix.wait_for_spans(project, len(langfuse.spans))
        names = {span.span_id: span.name for span in spans}
        tree = sorted((span.name, names.get(span.parent_id, "")) for span in spans)
        assert tree == sorted((span.name, names.get(span.parent_id, "")) for span in langfuse.spans)
        runs = {run.id: run.name for run in langsmith.runs}
        assert tree == sorted(
            (run.name, runs.get(run.parent_run_id or "", "")) for run in langsmith.runs
        )
        langfuse.check_whole()
        langsmith.check_whole()


async def test_a_failure_is_shown_as_one(phoenix: Phoenix, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("PHOENIX_COLLECTOR_ENDPOINT", phoenix.endpoint)
    environment.setenv("PHOENIX_PROJECT_NAME", "failures")
    LangflowInstrumentor().instrument()
    with pytest.raises(ValueError, match="no such order"):
        await flows.run_flow(flows.failing(), "4711")
    LangflowInstrumentor().uninstrument()

    spans = phoenix.wait_for_spans("failures", 3)
    assert (
        render(spans)
        == """\
CHAIN Failing !error
  CHAIN Chat Input
  CHAIN Order Lookup !error"""
    )
    assert {span.status_message for span in spans} == {"", "no such order: 4711"}


async def test_the_project_is_the_services_name_where_none_is_named(
    phoenix: Phoenix, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("PHOENIX_COLLECTOR_ENDPOINT", phoenix.endpoint)
    environment.setenv("OTEL_SERVICE_NAME", "shop")
    LangflowInstrumentor().instrument()
    await flows.run_flow(flows.sync_method())
    LangflowInstrumentor().uninstrument()
    check(phoenix.wait_for_spans("shop", 4), traces=1)


async def test_phoenix_gets_its_own_key_and_headers_and_nobody_elses(
    environment: pytest.MonkeyPatch, receiver: OtlpReceiver
) -> None:
    environment.setenv("PHOENIX_COLLECTOR_ENDPOINT", receiver.endpoint)
    environment.setenv("PHOENIX_API_KEY", "phoenix-key")
    environment.setenv("PHOENIX_CLIENT_HEADERS", "x-team=blue%20whale")
    environment.setenv("OTEL_EXPORTER_OTLP_HEADERS", "api-key=of-another-vendor,x-team=red")
    LangflowInstrumentor().instrument()
    await flows.run_flow(flows.sync_method())
    LangflowInstrumentor().uninstrument()

    (request,) = receiver.requests
    assert request.headers["authorization"] == "Bearer phoenix-key"
    assert request.headers["x-team"] == "blue whale"
    assert "api-key" not in request.headers
    assert {span.resource["openinference.project.name"] for span in request.spans} == {"langflow"}
