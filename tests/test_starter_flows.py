"""Langflow's own starter projects, run against a local OpenAI: each is one whole trace.

What the spans say of models is compared with what the server of the models was asked and answered.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Traced
from tests.support import doors, flows, gallery
from tests.support.invariants import check
from tests.support.langfuse import LangfuseReceiver, Observation
from tests.support.langsmith import LangSmithReceiver
from tests.support.lfx_cli import lfx_run
from tests.support.lockstep import Lockstep
from tests.support.openai_answers import Answer
from tests.support.openai_wire import Call, pieces
from tests.support.phoenix import Phoenix
from tests.support.receiver import OtlpReceiver
from tests.support.select import named, only
from tests.support.server import LangflowServer
from tests.support.spans import Span
from tests.support.starters import Surroundings, starter, surroundings
from tests.support.starters import names as starter_names
from tests.support.tree import nested, render, rows_of

pytest.importorskip("langflow", reason="no langflow-base, which has the starter projects")
pytest.importorskip("lfx_openai", reason="no lfx-openai, whose models they use")

QUESTION = "What is the bridge made of?"
PROJECT = "starters"

# Left out: Hybrid Search RAG (Astra DB) and Meeting Summary (AssemblyAI), whose services are not
# to be had here.
CHATS = (
    "Basic Prompting",
    "Blog Writer",
    "Image Sentiment Analysis",
    "Market Research",
    "Memory Chatbot",
    "SaaS Pricing",
    "SEO Keyword Generator",
    "Simple Agent",
    "Travel Planning Agents",
    "Twitter Thread Generator",
)
READERS = ("Financial Report Parser", "Portfolio Website Code Generator", "Text Sentiment Analysis")
FINDERS = ("Document Q&A", "Knowledge Retrieval", "Vector Store RAG")
# Of which these ask a knowledge base.
SEARCHERS = ("Knowledge Retrieval", "Vector Store RAG")
FETCHERS = ("Content Aggregator", "Research Translation Loop")
# Like some of those: they run in process only, with what is most unlike among the others.
IN_PROCESS = (
    "Basic Prompting",
    "Custom Component Generator",
    "Deep Research Agent",
    "Instagram Copywriter",
    "Market Research",
    "Multi Agent Flow",
    "Price Deal Finder",
    "SaaS Pricing",
    "Sequential Tasks Agents",
    "Simple Agent",
    "Social Media Agent",
)


def test_every_starter_project_runs_but_for_two() -> None:
    run = {*CHATS, *READERS, *FINDERS, *FETCHERS, *IN_PROCESS}
    assert set(starter_names()) - run == {"Hybrid Search RAG", "Meeting Summary"}


@pytest.fixture(scope="module")
def around(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Surroundings]:
    with surroundings(tmp_path_factory.mktemp("starters")) as started:
        yield started


# -- on a server, with every destination there is


@dataclass(frozen=True)
class Destinations:
    """Where the traces go."""

    otlp: OtlpReceiver
    phoenix: Phoenix
    langfuse: LangfuseReceiver
    langsmith: LangSmithReceiver


@pytest.fixture(scope="module")
def destinations(phoenix: Phoenix) -> Iterator[Destinations]:
    with OtlpReceiver() as otlp, LangfuseReceiver() as langfuse, LangSmithReceiver() as langsmith:
        yield Destinations(otlp, phoenix, langfuse, langsmith)


@pytest.fixture(scope="module")
def langflow(
    around: Surroundings, destinations: Destinations
) -> Iterator[tuple[LangflowServer, dict[str, Any]]]:
    """A server with what the starter projects need, and what a user types into their fields."""
    env = {
        **around.environment,
        "PHOENIX_COLLECTOR_ENDPOINT": destinations.phoenix.endpoint,
        "PHOENIX_PROJECT_NAME": PROJECT,
        **destinations.langfuse.environment,
        **destinations.langsmith.environment,
        "LANGSMITH_TRACING": "true",
        "OTEL_EXPORTER_OTLP_ENDPOINT": destinations.otlp.endpoint,
        "OTEL_PYTHON_LANGFLOW_CAPTURE_CONTENT": "true",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
    }
    prefix = ["langflow-otel", "run", "--with", "fastapi", "--"]
    with LangflowServer(env=env, prefix=prefix) as server:
        yield server, around.fill(server)


# Langflow writes to its database when the run is over, under the spans that caused it.
BACKGROUND = 60_000_000_000


@pytest.mark.server
@pytest.mark.phoenix
@pytest.mark.parametrize("name", [*CHATS, *READERS, *FINDERS, *FETCHERS])
def test_a_starter_project_is_one_trace_and_the_same_one_everywhere(
    langflow: tuple[LangflowServer, dict[str, Any]],
    destinations: Destinations,
    around: Surroundings,
    name: str,
) -> None:
    server, values = langflow
    flow_id = server.upload(starter(name, **values))
    around.openai.clear()
    question = around.outside.feed if name == "Content Aggregator" else QUESTION

    answer = server.run(flow_id, question, session_id=f"session of {name}")

    assert answer
    assert around.outside.rejected == []
    calls, secrets = around.openai.calls, {"the API key": around.openai.api_key}
    whole = _trace_of(destinations.otlp, name)
    spans = only(whole, lambda span: bool(span.kind))
    check(whole, traces=1, tolerance_ns=BACKGROUND, secrets=secrets)
    check(spans, session=f"session of {name}", traces=1, calls=calls, secrets=secrets)
    assert {call.answer.status for call in calls} == {200}
    if name in SEARCHERS:
        (found,) = [span for span in spans if span.kind == "RETRIEVER"]
        assert isinstance(found.attributes["retrieval.documents.0.document.score"], float)

    project = destinations.phoenix.wait_for_spans(
        PROJECT, lambda found: len(_of(found, spans)) == len(spans)
    )
    shown = _of(project, spans)
    check(shown, session=f"session of {name}", traces=1, calls=calls, secrets=secrets)
    _check_langfuse(destinations.langfuse, spans, calls)
    _check_langsmith(destinations.langsmith, spans, calls)
    assert nested(rows_of(shown)) == nested(rows_of(spans))
    if name in gallery.STARTERS:
        title = gallery.STARTERS[name].title
        tree = gallery.drawn(whole)
        assert gallery.parts(tree) == gallery.parts(gallery.shown(title)), tree


def _trace_of(otlp: OtlpReceiver, flow: str) -> list[Span]:
    """The whole trace of the one run of a flow, when its request has been answered."""

    def trace(spans: list[Span]) -> list[Span]:
        run = next((span for span in spans if span.name == flow and span.kind), None)
        found = gallery.trace_of(run, spans) if run else []
        return found if any(span.otel_kind == "SERVER" for span in found) else []

    return trace(otlp.wait_for(trace, timeout=90))


def _of(found: Iterable[Span], spans: list[Span]) -> list[Span]:
    return [span for span in found if span.trace_id == spans[0].trace_id]


def _check_langfuse(langfuse: LangfuseReceiver, spans: list[Span], calls: list[Call]) -> None:
    langfuse.wait_for(lambda found: len(_of(found, spans)) >= len(spans))
    mine = [o for o in langfuse.observations if o.trace_id == spans[0].trace_id]
    assert nested([(o.id, o.parent_id, o.name) for o in mine]) == nested(rows_of(spans))
    _check_told(
        [
            (
                o.model,
                sum(n for k, n in o.usage_details.items() if k.startswith("input")),
                sum(n for k, n in o.usage_details.items() if k.startswith("output")),
                json.dumps([o.input, o.output]),
            )
            for o in mine
            if o.type == "generation"
        ],
        calls,
    )
    langfuse.check_whole()


def _check_langsmith(langsmith: LangSmithReceiver, spans: list[Span], calls: list[Call]) -> None:
    flow = next(span for span in spans if not span.parent_id)

    def mine() -> list[Any]:
        roots = [root for root in langsmith.trees if root.name == flow.name]
        return [run for root in roots for run in root.walk()]

    langsmith.wait_until(lambda: len(mine()) >= len(spans), lambda: f"{len(mine())} runs")
    runs = mine()
    rows = [(run.id, run.parent_run_id or "", run.name) for run in runs]
    assert nested(rows) == nested(rows_of(spans))
    _check_told(
        [
            (
                run.metadata.get("ls_model_name"),
                run.usage.get("input_tokens"),
                run.usage.get("output_tokens"),
                json.dumps([run.inputs, run.outputs]),
            )
            for run in runs
            if run.run_type == "llm"
        ],
        calls,
    )
    langsmith.check_whole()


def _check_told(told: list[tuple[Any, Any, Any, str]], calls: list[Call]) -> None:
    """Each call has a row of its own, with its model, its tokens, and all that was said."""
    asked = [call for call in calls if call.kind != "embeddings"]
    assert len(told) == len(asked)
    for call in asked:
        said = [*call.texts, call.answer.text, *(made.name for made in call.answer.tool_calls)]
        fits = [
            row
            for row in told
            if row[0] in (call.model, call.body["model"])
            and row[1:3] == (call.usage.prompt, call.usage.completion)
            and all(json.dumps(text)[1:-1] in row[3] for text in said)
        ]
        assert fits, f"{call.model} {call.usage} {said} is none of {told}"
        told.remove(fits[0])


@pytest.mark.server
@pytest.mark.phoenix
def test_how_a_model_was_set_is_told_everywhere_as_it_was_asked(
    langflow: tuple[LangflowServer, dict[str, Any]],
    destinations: Destinations,
    around: Surroundings,
) -> None:
    server, _ = langflow
    name, wanted = "Set up", {"temperature": 0.3, "max_completion_tokens": 100}
    flow = starter("Basic Prompting", temperature=0.3, max_tokens=100)
    flow_id = server.upload({**flow, "id": str(uuid.uuid4()), "name": name})
    around.openai.clear()
    server.run(flow_id, QUESTION)

    (call,) = around.openai.calls
    assert {key: call.body[key] for key in wanted} == wanted
    spans = only(_trace_of(destinations.otlp, name), lambda span: bool(span.kind))
    check(spans, traces=1, calls=[call])
    shown = destinations.phoenix.wait_for_spans(PROJECT, lambda s: len(_of(s, spans)) == len(spans))
    check(_of(shown, spans), traces=1, calls=[call])
    _check_langfuse(destinations.langfuse, spans, [call])
    _check_langsmith(destinations.langsmith, spans, [call])
    (observation,) = [o for o in destinations.langfuse.observations if _asks(o, spans)]
    (root,) = [root for root in destinations.langsmith.trees if root.name == name]
    (run,) = [run for run in root.walk() if run.run_type == "llm"]
    for told in (observation.model_parameters, run.metadata["ls_invocation_params"]):
        assert {key: told[key] for key in wanted} == wanted


def _asks(observation: Observation, spans: list[Span]) -> bool:
    return observation.type == "generation" and observation.trace_id == spans[0].trace_id


SAID = "Each word on its own, and none before its turn."


@pytest.mark.server
@pytest.mark.phoenix
@pytest.mark.parametrize("door", ["run", "build", "build streaming", "responses", "workflows v2"])
def test_each_piece_of_an_answer_reaches_the_user_before_the_model_says_the_next(
    langflow: tuple[LangflowServer, dict[str, Any]],
    destinations: Destinations,
    around: Surroundings,
    door: str,
) -> None:
    server, _ = langflow
    name, turns = f"In lockstep by {door}", Lockstep()
    flow = {**starter("Basic Prompting", stream=True), "id": str(uuid.uuid4()), "name": name}
    flow_id = server.upload(flow)
    around.openai.clear()
    around.openai.script(Answer(SAID, pace=turns.send))

    came = []
    for piece in doors.pieces(server, door, flow_id, QUESTION):
        came.append(piece)
        turns.received()

    assert came == pieces(SAID)
    spans = only(_trace_of(destinations.otlp, name), lambda span: bool(span.kind))
    check(spans, traces=1, calls=around.openai.calls)
    (model,) = [span for span in spans if span.kind == "LLM"]
    (first,) = model.events
    assert first.name == "langflow.first_token"
    assert around.openai.calls[0].started_ns < first.time_ns < around.openai.calls[0].ended_ns


# -- in process, and on the command line


@pytest.fixture
def with_openai(around: Surroundings, environment: pytest.MonkeyPatch) -> Callable[[str], Any]:
    around.openai.clear()
    for variable, value in around.openai.environment.items():
        environment.setenv(variable, value)
    return partial(starter, **around.values)


@pytest.mark.parametrize("name", IN_PROCESS)
async def test_a_starter_project_runs_in_process(
    around: Surroundings, with_openai: Callable[[str], Any], traced: Traced, name: str
) -> None:
    assert await flows.run_flow(with_openai(name), QUESTION, session_id="s1")

    spans = traced.spans()
    secrets = {"the API key": around.openai.api_key}
    check(spans, session="s1", traces=1, calls=around.openai.calls, secrets=secrets)


async def test_a_request_that_is_sent_again_is_one_call(
    around: Surroundings, with_openai: Callable[[str], Any], traced: Traced
) -> None:
    around.openai.script(Answer("too many requests", status=429))

    assert await flows.run_flow(with_openai("Simple Agent"), QUESTION)

    assert [call.answer.status for call in around.openai.calls] == [429, 200, 200]
    check(traced.spans(), traces=1, calls=around.openai.calls)


@pytest.mark.parametrize("answer", [Answer("no", status=400), Answer("one two", cut_after=2)])
async def test_a_call_that_fails_is_one_failed_span(
    around: Surroundings, with_openai: Callable[[str], Any], traced: Traced, answer: Answer
) -> None:
    around.openai.script(answer)

    with pytest.raises(ValueError, match="Agent"):
        await flows.run_flow(with_openai("Simple Agent"), QUESTION)

    spans = traced.spans()
    check(spans, traces=1, calls=around.openai.calls)
    (model,) = [span for span in spans if span.kind == "LLM"]
    assert model.status == "ERROR"
    assert named(spans, "Simple Agent").status == "ERROR"


@pytest.mark.slow
def test_a_starter_project_runs_with_lfx(
    around: Surroundings, receiver: OtlpReceiver, tmp_path: Path
) -> None:
    around.openai.clear()
    path = tmp_path / "flow.json"
    path.write_text(json.dumps(starter("Travel Planning Agents", **around.values)))
    env = {
        **around.openai.environment,
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint,
        "OTEL_PYTHON_LANGFLOW_CAPTURE_CONTENT": "true",
    }

    done = lfx_run(path, QUESTION, env=env, prefix=["langflow-otel", "run", "--"])

    assert done.answer
    spans = only(receiver.spans, lambda span: bool(span.kind))
    calls = around.openai.calls
    assert len(calls) == 6
    check(spans, traces=1, calls=calls, secrets={"the API key": around.openai.api_key})
    assert render(spans).startswith("CHAIN Travel Planning Agents\n")
