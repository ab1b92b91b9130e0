"""LangSmith: what a span is as a run, which run it is, and what its real client makes of it."""

from __future__ import annotations

import dataclasses
import functools
import json
import logging
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from random import Random
from types import ModuleType
from typing import Any
from uuid import UUID

import pytest
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.sdk.trace import Event, ReadableSpan, SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, Status, StatusCode, TraceFlags

from langflow_otel import LangflowInstrumentor
from langflow_otel.context import inside
from langflow_otel.enrich import enrich
from langflow_otel.export.langsmith import LangSmithSpanExporter, run_id_of
from langflow_otel.export.langsmith.runs import run_of, without_content
from langflow_otel.export.langsmith.stamp import (
    DOTTED_ORDER,
    MAX_DEPTH,
    PARENT_ID,
    SPAN_ID,
    TRACE_ID,
    place_of,
    stamp,
)
from langflow_otel.export.messages import FIRST_TOKEN_EVENTS
from langflow_otel.settings import Settings
from tests.support import faults, flows
from tests.support.langsmith import LangSmithReceiver, Run, render
from tests.support.receiver import OtlpReceiver
from tests.support.recorded import RECORDINGS, SESSION, USER, record

OURS, MODELS = "langflow_otel", "openinference.instrumentation.langchain"
MICRO, MILLI, SECOND = 1_000, 1_000_000, 1_000_000_000
START = 1_790_000_000 * SECOND + 123_456_789
SIX_DIGITS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00")
KINDS = {
    "LLM": "llm",
    "TOOL": "tool",
    "RETRIEVER": "retriever",
    "RERANKER": "retriever",
    "EMBEDDING": "embedding",
    "PROMPT": "prompt",
    "CHAIN": "chain",
    "AGENT": "chain",
    "GUARDRAIL": "chain",
    "EVALUATOR": "chain",
    "UNKNOWN": "chain",
}
CONTENT = Settings(capture_content=True)


@pytest.fixture(autouse=True)
def nothing_stamps(environment: pytest.MonkeyPatch) -> None:
    environment.setattr("langflow_otel.place._stamps", {})


@pytest.fixture
def langsmith() -> Iterator[LangSmithReceiver]:
    with LangSmithReceiver() as started:
        yield started


@pytest.fixture
def client() -> None:
    pytest.importorskip("langsmith")


def _span(
    kind: str = "CHAIN",
    attributes: Mapping[str, Any] | None = None,
    *,
    name: str = "A span",
    number: int = 1,
    start: int = START,
    end: int = START + SECOND,
    events: Sequence[Event] = (),
    status: Status | None = None,
    scope: str = OURS,
) -> ReadableSpan:
    return ReadableSpan(
        name,
        SpanContext(7, number, False, TraceFlags(1)),
        attributes={"openinference.span.kind": kind, **(attributes or {})},
        start_time=start,
        end_time=end,
        events=events,
        status=status or Status(),
        instrumentation_scope=InstrumentationScope(scope),
    )


def _run(*args: Any, **kwargs: Any) -> dict[str, Any]:
    run = run_of(_span(*args, **kwargs), "Project")
    assert run is not None
    return run


def _metadata(run: Mapping[str, Any]) -> dict[str, Any]:
    return dict(run["extra"]["metadata"])


def _failed(attributes: Mapping[str, Any] | None, description: str | None = None) -> Any:
    events = [Event("exception", attributes, START)] if attributes is not None else []
    return _run(events=events, status=Status(StatusCode.ERROR, description))["error"]


def _exporter(receiver: LangSmithReceiver, **kwargs: Any) -> LangSmithSpanExporter:
    given = {"endpoint": receiver.endpoint, "api_key": receiver.api_key, "settings": CONTENT}
    return LangSmithSpanExporter(**{**given, **kwargs})


# -- what a span is as a run


@pytest.mark.parametrize(("kind", "run_type"), KINDS.items())
def test_each_kind_of_span_has_a_run_type_that_langsmith_knows(kind: str, run_type: str) -> None:
    assert _run(kind)["run_type"] == run_type


def test_a_run_says_when_in_six_digits_and_never_ends_before_it_starts() -> None:
    run = _run(start=START, end=START + 5 * MICRO)
    assert (run["start_time"], run["end_time"]) == (
        "2026-09-21T14:13:20.123456+00:00",
        "2026-09-21T14:13:20.123461+00:00",
    )
    assert _run(start=START // SECOND * SECOND)["start_time"].endswith(":20.000000+00:00")
    backwards = _run(end=START - SECOND)
    assert backwards["end_time"] == backwards["start_time"]


def test_a_model_call_is_told_as_a_chat_with_its_tools_and_tool_calls() -> None:
    call = "llm.output_messages.0.message.tool_calls.0.tool_call"
    schema = {"type": "function", "function": {"name": "add", "parameters": {}}}
    run = _run(
        "LLM",
        {
            "input.value": "what the messages say better",
            "output.value": "that, too",
            "llm.input_messages.0.message.role": "system",
            "llm.input_messages.0.message.content": "Be short.",
            "llm.input_messages.1.message.role": "user",
            "llm.input_messages.1.message.content": "1 + 1?",
            "llm.output_messages.0.message.role": "assistant",
            f"{call}.id": "c1",
            f"{call}.function.name": "add",
            f"{call}.function.arguments": '{"a": 1}',
            "llm.tools.0.tool.json_schema": json.dumps(schema),
        },
    )
    assert run["inputs"] == {
        "messages": [
            {"role": "system", "content": "Be short."},
            {"role": "user", "content": "1 + 1?"},
        ],
        "tools": [schema],
    }
    function = {"name": "add", "arguments": '{"a": 1}'}
    calls = [{"id": "c1", "type": "function", "function": function}]
    answer = {"role": "assistant", "content": None, "tool_calls": calls}
    assert run["outputs"] == {"choices": [{"message": answer}]}


def test_tokens_are_told_with_their_details_and_costs() -> None:
    count, cost = "llm.token_count", "llm.cost"
    run = _run(
        "LLM",
        {
            "output.value": "x",
            f"{count}.prompt": 100,
            f"{count}.completion": 20,
            f"{count}.total": 120,
            f"{count}.prompt_details.cache_read": 40,
            f"{count}.prompt_details.cache_write": 10,
            f"{count}.prompt_details.audio": 0,
            f"{count}.completion_details.reasoning": 5,
            f"{cost}.prompt": 0.01,
            f"{cost}.completion": 0.02,
            f"{cost}.total": 0.03,
            f"{cost}.prompt_details.cache_read": 0.001,
            f"{cost}.prompt_details.cache_write": 0.002,
            f"{cost}.completion_details.reasoning": 0.004,
        },
    )
    assert run["outputs"]["usage_metadata"] == {
        "input_tokens": 100,
        "output_tokens": 20,
        "total_tokens": 120,
        "input_token_details": {"cache_read": 40, "cache_creation": 10},
        "output_token_details": {"reasoning": 5},
        "input_cost": 0.01,
        "output_cost": 0.02,
        "total_cost": 0.03,
        "input_cost_details": {"cache_read": 0.001, "cache_creation": 0.002},
        "output_cost_details": {"reasoning": 0.004},
    }


def test_tokens_of_a_model_call_without_an_answer_are_told_in_the_metadata() -> None:
    run = _run("LLM", {"llm.token_count.prompt": 3})
    assert run["outputs"] == {}
    assert _metadata(run)["usage_metadata"] == {"input_tokens": 3}


def test_costs_are_told_where_no_tokens_are() -> None:
    run = _run("LLM", {"llm.cost.total": 0.5})
    assert _metadata(run)["usage_metadata"] == {"total_cost": 0.5}


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"LLM", "EMBEDDING"}))
def test_tokens_are_counted_on_model_calls_only(kind: str) -> None:
    """Whatever says so: the span, its output, or metadata of somebody's."""
    usage = {"usage_metadata": {"input_tokens": 3}}
    run = _run(
        kind,
        {
            "llm.token_count.prompt": 3,
            "metadata": json.dumps(usage),
            "output.value": json.dumps(usage),
            "output.mime_type": "application/json",
        },
    )
    assert run["outputs"] == {"output": usage}
    assert "usage_metadata" not in _metadata(run)


def test_a_total_that_is_not_the_sum_is_left_to_langsmith() -> None:
    count = "llm.token_count"
    usage = {f"{count}.prompt": 1, f"{count}.completion": 2, f"{count}.total": 9}
    told = _metadata(_run("LLM", usage))["usage_metadata"]
    assert told == {"input_tokens": 1, "output_tokens": 2}


def test_a_model_is_told_as_langsmiths_pages_and_prices_read_it() -> None:
    parameters = {
        "model": "asked-for",
        "temperature": 0.1,
        "max_completion_tokens": 500,
        "stop": "END",
        "top_p": None,
        "tools": ["in the inputs already"],
    }
    run = _run(
        "LLM",
        {
            "llm.model_name": "gpt-4o",
            "llm.provider": "openai",
            "llm.invocation_parameters": json.dumps(parameters),
        },
    )
    told = {k: v for k, v in _metadata(run).items() if k.startswith("ls_")}
    kept = {k: v for k, v in parameters.items() if k not in ("top_p", "tools")}
    assert told == {
        "ls_provider": "openai",
        "ls_model_name": "gpt-4o",
        "ls_temperature": 0.1,
        "ls_max_tokens": 500,
        "ls_stop": ["END"],
        "ls_invocation_params": kept,
    }


def test_only_an_agent_component_is_the_root_of_an_agent() -> None:
    component = {"langflow.component.id": "Agent-1"}
    assert _metadata(_run("AGENT", component))["ls_agent_type"] == "root"
    assert "ls_agent_type" not in _metadata(_run("AGENT", {}))
    assert "ls_agent_type" not in _metadata(_run("CHAIN", component))
    below = {**component, "langflow.agent.type": "subagent"}
    assert _metadata(_run("AGENT", below))["ls_agent_type"] == "subagent"


@pytest.mark.parametrize("name", sorted(FIRST_TOKEN_EVENTS))
def test_the_first_token_is_told_once_and_logs_beside_it_in_order(name: str) -> None:
    said = {"langflow.log.name": "Log", "langflow.log.type": "text", "langflow.log.message": "m"}
    run = _run(
        "LLM",
        events=[
            Event("langflow.log", said, START + 9 * MICRO),
            Event(name, None, START + 7 * MICRO),
            Event(name, None, START + 5 * MICRO),
            Event("of no interest", None, START),
        ],
    )
    assert run["events"] == [
        {"name": "new_token", "time": "2026-09-21T14:13:20.123461+00:00"},
        {
            "name": "log",
            "time": "2026-09-21T14:13:20.123465+00:00",
            "kwargs": {"name": "Log", "type": "text", "message": "m"},
        },
    ]


def test_an_error_is_its_type_and_message_in_the_first_line_and_its_traceback_below() -> None:
    told = {
        "exception.type": "ValueError",
        "exception.message": "too much",
        "exception.stacktrace": "Traceback…",
    }
    assert _failed(told, "whatever the status says") == "ValueError: too much\n\nTraceback…"


def test_an_error_of_which_only_the_status_tells_is_told() -> None:
    assert _failed(None, "too much") == "too much"
    assert _failed(None) == "error"
    assert _failed({"exception.type": "ValueError"}) == "ValueError"


@pytest.mark.parametrize(
    "kind",
    ["asyncio.exceptions.CancelledError", "GeneratorExit", "langgraph.errors.GraphInterrupt"],
)
def test_what_was_cancelled_or_paused_is_no_error(kind: str) -> None:
    assert _failed({"exception.type": kind}, kind) is None
    assert _run("CHAIN", {"error.type": kind}, status=Status(StatusCode.ERROR))["error"] is None


def test_a_span_that_went_well_has_no_error_whatever_happened_in_it() -> None:
    events = [Event("exception", {"exception.type": "ValueError"}, START)]
    assert _run(events=events)["error"] is None


@pytest.mark.parametrize(
    ("told", "tags"),
    [
        (("a", "b", "a"), ["a", "b"]),
        ('["a", "b"]', ["a", "b"]),
        ("one", ["one"]),
        ("", []),
        (7, ["7"]),
        (None, []),
    ],
)
def test_tags_are_a_list_of_texts(told: Any, tags: list[str]) -> None:
    assert _run("CHAIN", {} if told is None else {"tag.tags": told})["tags"] == tags


def test_metadata_is_that_of_the_run_with_the_session_as_a_thread() -> None:
    told = {
        "customer": "c1",
        "session_id": "theirs",
        "conversation_id": "another",
        "ls_provider": "set by them",
    }
    run = _run("LLM", {"metadata": json.dumps(told), "session.id": "s1", "llm.provider": "x"})
    metadata = _metadata(run)
    assert (metadata["customer"], metadata["ls_provider"]) == ("c1", "set by them")
    assert (metadata["session_id"], metadata["thread_id"]) == ("s1", "s1")
    assert "conversation_id" not in metadata
    assert "session_id" not in run


@pytest.mark.parametrize("value", ["a text", '[1, {"a": null}]', "7", '"x"', "true"])
def test_what_is_no_json_object_is_put_into_one(value: str) -> None:
    json_type = {"input.mime_type": "application/json", "output.mime_type": "application/json"}
    run = _run("TOOL", {"input.value": value, "output.value": value, **json_type})
    parsed = value if value == "a text" else json.loads(value)
    assert (run["inputs"], run["outputs"]) == ({"input": parsed}, {"output": parsed})


def test_what_a_tool_gave_is_told_without_what_langchain_puts_around_it() -> None:
    message = {"content": "14 days", "tool_call_id": "c1"}
    given = {"type": "tool", "data": message}
    values = {"output.value": json.dumps(given), "output.mime_type": "application/json"}
    assert _run("TOOL", values)["outputs"] == {"output": message}
    assert _run("CHAIN", values)["outputs"] == given


def test_a_json_object_is_sent_as_it_is() -> None:
    args = {"input.value": '{"city": "Oslo"}', "input.mime_type": "application/json"}
    assert _run("TOOL", args)["inputs"] == {"city": "Oslo"}


def test_a_retriever_is_told_as_a_query_and_langchains_documents() -> None:
    document = "retrieval.documents.0.document"
    run = _run(
        "RETRIEVER",
        {
            "input.value": "refunds?",
            f"{document}.id": "d1",
            f"{document}.content": "14 days",
            f"{document}.score": 0.5,
            f"{document}.metadata": '{"page": 3}',
            "retrieval.documents.1.document.content": "no metadata",
        },
    )
    assert run["inputs"] == {"query": "refunds?"}
    assert run["outputs"] == {
        "documents": [
            {
                "type": "Document",
                "page_content": "14 days",
                "metadata": {"page": 3, "score": 0.5},
                "id": "d1",
            },
            {"type": "Document", "page_content": "no metadata", "metadata": {}},
        ]
    }


def test_a_reranker_is_told_as_documents_in_and_documents_out() -> None:
    run = _run(
        "RERANKER",
        {
            "reranker.query": "q",
            "reranker.input_documents.0.document.content": "in",
            "reranker.output_documents.0.document.content": "out",
        },
    )
    assert (run["inputs"]["query"], run["inputs"]["documents"][0]["page_content"]) == ("q", "in")
    assert run["outputs"]["documents"][0]["page_content"] == "out"


def test_embeddings_and_prompts_without_a_value_tell_their_texts_and_variables() -> None:
    text = {"embedding.embeddings.0.embedding.text": "t0"}
    assert _run("EMBEDDING", text)["inputs"] == {"input": ["t0"]}
    variables = {"llm.prompt_template.variables": '{"name": "Ann"}'}
    assert _run("PROMPT", variables)["inputs"] == {"name": "Ann"}


def test_without_content_in_the_span_there_is_none_in_the_run() -> None:
    for kind in KINDS:
        run = _run(kind, {"llm.model_name": "m", "session.id": "s"})
        assert (run["inputs"], run["outputs"], run["events"]) == ({}, {}, [])
        assert (run["error"], run["tags"]) == (None, [])


def test_a_run_whose_sides_are_hidden_keeps_its_tokens() -> None:
    log = Event("langflow.log", {"langflow.log.message": "m"}, START)
    values = {"input.value": "in", "output.value": "out", "llm.token_count.prompt": 3}
    run = _run("LLM", values, events=[log])
    hidden = without_content(run, inputs=True, outputs=True)
    assert (hidden["inputs"], hidden["outputs"], hidden["events"]) == ({}, {}, [])
    assert _metadata(hidden)["usage_metadata"] == {"input_tokens": 3}
    assert run["outputs"]["usage_metadata"] == {"input_tokens": 3}
    assert "usage_metadata" not in _metadata(run)
    assert without_content(run, inputs=True, outputs=False)["outputs"] == run["outputs"]


@pytest.mark.parametrize("name", RECORDINGS)
def test_every_span_of_a_real_flow_is_a_run_of_its_thread_and_user(name: str) -> None:
    for span in record(name):
        run = run_of(span, "Project")
        assert run is not None
        metadata = _metadata(run)
        assert run["run_type"] == KINDS[str((span.attributes or {})["openinference.span.kind"])]
        assert metadata["session_id"] == metadata["thread_id"] == SESSION
        assert metadata["user_id"] == USER
        assert SIX_DIGITS.fullmatch(run["start_time"])
        assert SIX_DIGITS.fullmatch(run["end_time"])
        assert isinstance(run["inputs"], dict)
        assert isinstance(run["outputs"], dict)
        assert json.loads(json.dumps(run, allow_nan=False)) == run


@pytest.mark.parametrize("name", ["chat", "agent", "rag", "streaming", "nested"])
def test_the_model_calls_of_a_real_flow_are_chats_with_tokens_that_add_up(name: str) -> None:
    runs = [run for span in record(name) if (run := run_of(span, "P")) is not None]
    models = [run for run in runs if run["run_type"] == "llm"]
    assert models
    for run in models:
        assert run["inputs"]["messages"][0]["role"] in {"system", "user"}
        usage = run["outputs"]["usage_metadata"]
        assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"] > 0
        assert run["outputs"]["choices"][0]["message"]["role"] == "assistant"
    assert not [run for run in runs if run not in models and "usage_metadata" in run["outputs"]]


def test_a_failed_model_call_of_a_real_flow_tells_its_error_once() -> None:
    runs = [run for span in record("error") if (run := run_of(span, "P")) is not None]
    (failed,) = [run for run in runs if run["run_type"] == "llm"]
    assert failed["error"].startswith("ConnectionError: model scripted-1 is overloaded\n\n")
    assert failed["error"].count("Traceback (most recent call last)") == 1


# -- which run a span is


@functools.cache
def _recorded_tree(depth: int) -> tuple[ReadableSpan, ...]:
    """A chain of spans, each in the one before, as they ended: the innermost first."""
    provider, kept = _provider()
    tracer = provider.get_tracer(OURS)
    above, spans = None, []
    for number in range(depth):
        context = trace.set_span_in_context(above) if above is not None else None
        above = tracer.start_span(str(number), context, attributes={"session.id": "s"})
        spans.append(above)
    for span in reversed(spans):
        span.end()
    return kept.get_finished_spans()


def _provider(**kwargs: Any) -> tuple[TracerProvider, InMemorySpanExporter]:
    provider, kept = TracerProvider(shutdown_on_exit=False, **kwargs), InMemorySpanExporter()
    enrich(provider)
    provider.add_span_processor(SimpleSpanProcessor(kept))
    return provider, kept


@pytest.fixture
def stamping(environment: pytest.MonkeyPatch) -> None:
    environment.setattr("langflow_otel.place._stamps", {stamp: DOTTED_ORDER})


def test_an_id_is_a_uuid_of_version_7_of_the_spans_own_ids_and_start() -> None:
    first, again = (stamp(SpanContext(7, 1, False), START, None) for _ in range(2))
    other = stamp(SpanContext(7, 2, False), START, None)
    assert first == again
    assert first[SPAN_ID] != other[SPAN_ID]
    parsed = UUID(first[SPAN_ID])
    assert (parsed.version, parsed.variant) == (7, "specified in RFC 4122")
    assert parsed.int >> 80 == START // MILLI
    assert str(parsed) == first[SPAN_ID] == first[TRACE_ID]
    assert PARENT_ID not in first


def test_a_child_that_starts_before_its_parent_starts_with_it() -> None:
    parent = stamp(SpanContext(7, 1, False), START, None)
    child = stamp(SpanContext(7, 2, False), START - SECOND, parent)
    (above, below) = child[DOTTED_ORDER].split(".")
    assert below[:22] == above[:22]
    assert UUID(child[SPAN_ID]).int >> 80 == START // MILLI


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {DOTTED_ORDER: 7},
        {DOTTED_ORDER: ""},
        {DOTTED_ORDER: "x" * 58},
        {DOTTED_ORDER: "x" * 117},
        {DOTTED_ORDER: ("a", "b")},
        {DOTTED_ORDER: stamp(SpanContext(7, 1, False), START, None)[DOTTED_ORDER][:-1]},
        {DOTTED_ORDER: stamp(SpanContext(7, 1, False), START, None)[DOTTED_ORDER] * MAX_DEPTH},
    ],
)
def test_below_a_parent_without_a_whole_stamp_a_span_is_a_root(attributes: Any) -> None:
    told = stamp(SpanContext(7, 2, False), START, attributes)
    assert told[TRACE_ID] == told[SPAN_ID]
    assert PARENT_ID not in told


def test_a_span_without_a_stamp_and_one_without_ids_are_a_root_and_none() -> None:
    place = place_of(_span())
    assert place is not None
    assert (place.trace_id, place.parent_id) == (place.run_id, None)
    assert place_of(ReadableSpan("x", SpanContext(0, 0, False))) is None
    assert run_of(ReadableSpan("x"), "P") is None


def test_what_is_no_span_for_langsmith_has_no_run_id() -> None:
    assert run_id_of(_span(scope="opentelemetry.instrumentation.fastapi")) is None
    assert run_id_of(trace.INVALID_SPAN) is None
    assert run_id_of(_span()) == _run()["id"]


def test_times_that_no_clock_shows_are_kept_within_what_can_be_told() -> None:
    for start in (-SECOND, 0, 10**30):
        run = _run(start=start, end=start)
        assert SIX_DIGITS.fullmatch(run["start_time"])
        assert UUID(run["id"]).version == 7


@pytest.mark.usefixtures("client", "stamping")
def test_what_is_deeper_than_the_limit_hangs_on_what_is_within(
    langsmith: LangSmithReceiver,
) -> None:
    spans = _recorded_tree(MAX_DEPTH + 40)
    assert _exporter(langsmith).export(spans) is SpanExportResult.SUCCESS
    langsmith.check_whole()
    (tree,) = langsmith.trees
    assert len(list(tree.walk())) == len(spans)
    assert max(run.dotted_order.count(".") for run in langsmith.runs) == MAX_DEPTH - 1


@pytest.mark.usefixtures("client", "stamping")
def test_a_stamp_that_the_sdk_cut_makes_whole_traces_of_what_is_below(
    langsmith: LangSmithReceiver,
) -> None:
    provider, kept = _provider(span_limits=SpanLimits(max_span_attribute_length=80))
    tracer = provider.get_tracer(OURS)
    with (
        tracer.start_as_current_span("root"),
        tracer.start_as_current_span("child"),
        tracer.start_as_current_span("grandchild"),
    ):
        pass
    _exporter(langsmith).export(kept.get_finished_spans())
    langsmith.check_whole()
    assert len(langsmith.runs) == 3


def _random_tree(random: Random) -> list[tuple[int, str, int, bool]]:
    """Nodes: below which other, of whose scope, how much later (or earlier), of a stranger's."""
    return [
        (
            random.randint(-1, 11),
            random.choice([OURS, MODELS, "http"]),
            random.randint(-5 * MILLI, 5 * MILLI),
            random.random() < 0.2,
        )
        for _ in range(random.randint(1, 12))
    ]


@pytest.mark.usefixtures("client")
@pytest.mark.parametrize("seed", range(60))
def test_any_tree_in_any_order_arrives_whole(seed: int) -> None:
    random = Random(seed)
    nodes = _random_tree(random)
    with pytest.MonkeyPatch.context() as patch, LangSmithReceiver() as receiver:
        patch.setattr("langflow_otel.place._stamps", {stamp: DOTTED_ORDER})
        spans, parents = _grown(nodes)
        random.shuffle(spans)
        exporter, size = _exporter(receiver), random.randint(1, len(spans))
        for first in range(0, len(spans), size):
            exporter.export(spans[first : first + size])
        exporter.shutdown()
        receiver.check_whole()
        ids = {run.id: run.name for run in receiver.runs}
        above = {run.name: ids.get(run.parent_run_id or "") for run in receiver.runs}
        assert above == parents


def _grown(nodes: Any) -> tuple[list[ReadableSpan], dict[str, str | None]]:
    """The spans of a tree, and by name the nearest span above that LangSmith gets."""
    provider, kept = _provider()
    other = TracerProvider(shutdown_on_exit=False)
    contexts: list[Any] = []
    spans: list[Any] = []
    nearest: list[str | None] = []
    parents: dict[str, str | None] = {}
    for number, (wanted, scope, later, foreign) in enumerate(nodes):
        below = min(wanted, number - 1)
        context = contexts[below] if below >= 0 else None
        above = nearest[below] if below >= 0 else None
        if foreign:
            stranger = other.get_tracer("other").start_span("stranger")
            context, above = trace.set_span_in_context(stranger), None
        name = str(number)
        span = provider.get_tracer(scope).start_span(name, context, start_time=START + later)
        spans.append(span)
        is_ai = scope != "http"
        if is_ai:
            parents[name] = above
        nearest.append(name if is_ai else above)
        contexts.append(_context_in(span, context, is_ai=is_ai))
    for span in spans:
        span.end(START + SECOND)
    return list(kept.get_finished_spans()), parents


def _context_in(span: Any, context: Any, *, is_ai: bool) -> Any:
    """As where a component runs: what it calls finds it over any span between."""
    if not is_ai:
        return trace.set_span_in_context(span, context)
    token = otel_context.attach(context if context is not None else otel_context.Context())
    try:
        return inside(span)
    finally:
        otel_context.detach(token)


# -- what the real client makes of it


@pytest.fixture
def instrument(langsmith: LangSmithReceiver, environment: pytest.MonkeyPatch) -> Iterator[Any]:
    """Langflow, instrumented for LangSmith: a call of `instrument(**…)`; ends with the test."""
    pytest.importorskip("langsmith")
    for variable, value in langsmith.environment.items():
        environment.setenv(variable, value)

    def start(**kwargs: Any) -> None:
        LangflowInstrumentor().instrument(**{"destinations": ["langsmith"], **kwargs})

    yield start
    LangflowInstrumentor().uninstrument()


def _flush() -> None:
    provider = LangflowInstrumentor().tracer_provider
    assert isinstance(provider, TracerProvider)
    assert provider.force_flush()


def _skeleton(run: Run) -> str:
    """The tree without what LangChain does in between, which differs in its versions."""
    return render(list(_kept(run)))


def _kept(run: Run) -> Iterator[Run]:
    children = tuple(kept for child in run.children for kept in _kept(child))
    ours = {"component_type", "flow_status"} & set(run.metadata)
    if run.run_type == "embedding":
        return
    if ours or run.run_type in {"llm", "tool"}:
        yield dataclasses.replace(run, children=children)
    else:
        yield from children


TREES = {
    "chat": """\
chain Linear chat
  chain Chat Input
  prompt Prompt Template
  chain Scripted Model
    llm ScriptedChatModel
  chain Chat Output""",
    "rag": """\
chain Questions about refunds
  chain Chat Input
  chain Wordless Embeddings
  retriever Library
  chain Excerpts
  prompt Prompt Template
  chain Scripted Model
    llm ScriptedChatModel
  chain Chat Output""",
    "error": """\
chain Failing !error
  chain Chat Input
  chain Order Lookup !error
chain Model fails !error
  chain Chat Input
  chain Overloaded Model !error
    llm Overloaded Model !error""",
    "streaming": """\
chain Streamed by model
  chain Chat Input
  chain Scripted Model
    llm Scripted Model
  chain Chat Output""",
    "nested": """\
chain Flow in flow
  chain Chat Input
  chain Call Flow
    chain Inner
      chain Chat Input
      prompt Prompt Template
      chain Scripted Model
        llm ScriptedChatModel
      chain Chat Output
  chain Chat Output""",
}


@pytest.mark.parametrize("name", RECORDINGS)
async def test_every_flow_arrives_as_the_tree_that_phoenix_gets(
    name: str, langsmith: LangSmithReceiver, instrument: Any, environment: pytest.MonkeyPatch
) -> None:
    pytest.importorskip(MODELS)
    environment.setenv("LANGSMITH_SOMETHING_PRIVATE", "a value that is nobody's business")
    with OtlpReceiver() as phoenix:
        environment.setenv("PHOENIX_COLLECTOR_ENDPOINT", phoenix.endpoint)
        instrument(destinations=["langsmith", "phoenix"])
        await RECORDINGS[name]()
        _flush()
        expected = {span.span_id: (span.name, span.parent_id or None) for span in phoenix.spans}
    langsmith.check_whole()
    assert langsmith.other_requests == []
    spans = {run.id: run.metadata["otel_span_id"] for run in langsmith.runs}
    assert {
        spans[run.id]: (run.name, spans.get(run.parent_run_id or "")) for run in langsmith.runs
    } == expected
    assert {run.project for run in langsmith.runs} == {"Langflow"}
    if name in TREES:
        tree = "\n".join(_skeleton(tree) for tree in langsmith.trees)
        # What hands out the embeddings runs beside the input: which is first is nobody's promise.
        beside = "  chain Wordless Embeddings\n"
        assert (beside in tree) == (beside in TREES[name])
        assert tree.replace(beside, "") == TREES[name].replace(beside, "")


async def test_the_id_of_a_run_is_known_while_its_span_is_under_way(
    langsmith: LangSmithReceiver, instrument: Any
) -> None:
    instrument()
    known: list[str | None] = []
    build = flows.linear_chat("An answer")
    provider = LangflowInstrumentor().tracer_provider
    assert isinstance(provider, TracerProvider)

    class Watch(SimpleSpanProcessor):
        def __init__(self) -> None:
            super().__init__(InMemorySpanExporter())

        def on_start(self, span: Any, parent_context: Any = None) -> None:
            known.append(run_id_of(span))

    provider.add_span_processor(Watch())
    await flows.run_flow(build, "A question")
    _flush()
    assert set(known) == {run.id for run in langsmith.runs}
    assert len(known) == len(langsmith.runs)


@pytest.fixture
def spans() -> list[ReadableSpan]:
    return [
        _span("LLM", {"input.value": "in", "output.value": "out"}, number=number)
        for number in range(1, 4)
    ]


def _sent(receiver: LangSmithReceiver, spans: Sequence[ReadableSpan], **kwargs: Any) -> Any:
    exporter = _exporter(receiver, **kwargs)
    result = exporter.export(spans)
    exporter.shutdown()
    return exporter, result


pytestmark_client = pytest.mark.usefixtures("client")


@pytestmark_client
def test_what_is_sent_is_what_the_pure_function_makes(
    langsmith: LangSmithReceiver, spans: list[ReadableSpan]
) -> None:
    _sent(langsmith, spans, project="Project")
    expected = [run_of(span, "Project") for span in spans]
    # What says nothing need not be sent.
    assert [_saying(run.fields) for run in langsmith.runs] == [
        _saying(run or {}) for run in expected
    ]
    assert [run.id for run in langsmith.runs] == [run_id_of(span) for span in spans]


def _saying(run: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in run.items() if value is not None and value != []}


@pytestmark_client
def test_the_key_the_workspace_and_the_base_path_are_where_they_belong(
    spans: list[ReadableSpan],
) -> None:
    with LangSmithReceiver(base="/api/v1") as receiver:
        _sent(receiver, spans, workspace_id="w1")
        (attempt,) = receiver.attempts
        assert (attempt.method, attempt.path) == ("POST", "/api/v1/runs/multipart")
        assert attempt.headers["x-api-key"] == receiver.api_key
        assert receiver.tenants == ["w1"]


@pytestmark_client
def test_without_a_workspace_no_header_names_one(
    langsmith: LangSmithReceiver, spans: list[ReadableSpan]
) -> None:
    _sent(langsmith, spans)
    assert langsmith.tenants == [None]


@pytestmark_client
@pytest.mark.parametrize("prefix", ["LANGSMITH", "LANGCHAIN"])
def test_the_variables_of_both_names_select_address_key_and_project(
    prefix: str,
    langsmith: LangSmithReceiver,
    spans: list[ReadableSpan],
    environment: pytest.MonkeyPatch,
) -> None:
    environment.setenv(f"{prefix}_API_KEY", langsmith.api_key)
    environment.setenv(f"{prefix}_ENDPOINT", langsmith.endpoint)
    environment.setenv(f"{prefix}_PROJECT", "Shop")
    exporter = LangSmithSpanExporter(settings=CONTENT)
    assert exporter.export(spans) is SpanExportResult.SUCCESS
    exporter.shutdown()
    assert {run.project for run in langsmith.runs} == {"Shop"}


@pytest.mark.parametrize(
    ("environ", "argument", "project"),
    [
        ({}, None, "Langflow"),
        ({"LANGCHAIN_SESSION": "s"}, None, "s"),
        ({"LANGCHAIN_SESSION": "s", "LANGCHAIN_PROJECT": "c"}, None, "c"),
        ({"LANGCHAIN_PROJECT": "c", "LANGSMITH_PROJECT": "l"}, None, "l"),
        ({"LANGSMITH_PROJECT": "l", "HOSTED_LANGSERVE_PROJECT_NAME": "h"}, None, "h"),
        ({"LANGSMITH_PROJECT": " "}, None, "Langflow"),
        ({"LANGSMITH_PROJECT": "l"}, "mine", "mine"),
    ],
)
@pytestmark_client
def test_the_project_is_named_as_langsmiths_client_would(
    environ: Mapping[str, str],
    argument: str | None,
    project: str,
    langsmith: LangSmithReceiver,
    spans: list[ReadableSpan],
    environment: pytest.MonkeyPatch,
) -> None:
    environment.delenv("HOSTED_LANGSERVE_PROJECT_NAME", raising=False)
    for name, value in environ.items():
        environment.setenv(name, value)
    _sent(langsmith, spans[:1], project=argument)
    assert [run.project for run in langsmith.runs] == [project]


@pytestmark_client
@pytest.mark.parametrize("rate", ["0", "0.0", "0.5"])
def test_langsmiths_own_sampling_loses_no_span(
    rate: str,
    langsmith: LangSmithReceiver,
    spans: list[ReadableSpan],
    environment: pytest.MonkeyPatch,
) -> None:
    environment.setenv("LANGSMITH_TRACING_SAMPLING_RATE", rate)
    exporter, result = _sent(langsmith, spans)
    assert result is SpanExportResult.SUCCESS
    assert len(langsmith.runs) == exporter.account.statistics().exported == 3


@pytestmark_client
@pytest.mark.parametrize(("side", "other"), [("INPUTS", "outputs"), ("OUTPUTS", "inputs")])
def test_langsmiths_own_switches_hide_one_side(
    side: str,
    other: str,
    langsmith: LangSmithReceiver,
    spans: list[ReadableSpan],
    environment: pytest.MonkeyPatch,
) -> None:
    environment.setenv(f"LANGSMITH_HIDE_{side}", "true")
    _sent(langsmith, spans)
    for run in langsmith.runs:
        assert getattr(run, side.lower()) == {}
        assert getattr(run, other) != {}


@pytestmark_client
def test_metadata_is_hidden_where_langsmiths_switch_says_so(
    langsmith: LangSmithReceiver, spans: list[ReadableSpan], environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("LANGSMITH_HIDE_METADATA", "true")
    _sent(langsmith, spans)
    assert [dict(run.metadata) for run in langsmith.runs] == [{}] * 3


@pytestmark_client
def test_one_request_has_at_most_a_hundred_runs(langsmith: LangSmithReceiver) -> None:
    many = [_span(number=number) for number in range(1, 252)]
    _sent(langsmith, many)
    langsmith.check_whole()
    assert len(langsmith.runs) == 251
    assert len(langsmith.attempts) == 3


@pytestmark_client
def test_one_request_is_smaller_than_langsmith_takes(langsmith: LangSmithReceiver) -> None:
    text = "x" * 250_000
    told = {f"llm.input_messages.{n}.message.content": text for n in range(20)}
    large = [_span("LLM", told, number=number) for number in range(1, 9)]
    _, result = _sent(langsmith, large)
    assert result is SpanExportResult.SUCCESS
    langsmith.check_whole()
    assert [len(run.inputs["messages"]) for run in langsmith.runs] == [20] * 8
    assert len(langsmith.attempts) == 3
    assert max(attempt.body_size for attempt in langsmith.attempts) <= 20_971_520


@pytestmark_client
def test_a_run_that_is_there_already_is_a_success(
    langsmith: LangSmithReceiver, spans: list[ReadableSpan]
) -> None:
    _sent(langsmith, spans)
    exporter, result = _sent(langsmith, spans)
    assert [attempt.status for attempt in langsmith.attempts] == [202, 409]
    assert result is SpanExportResult.SUCCESS
    assert exporter.account.statistics().exported == len(langsmith.runs) == 3


@pytestmark_client
def test_a_poisoned_run_does_not_take_others_with_it(
    langsmith: LangSmithReceiver, spans: list[ReadableSpan]
) -> None:
    culprit = run_id_of(spans[1])
    with langsmith.faults.mode(faults.poison(lambda run: run["id"] == culprit, 422)):
        exporter, result = _sent(langsmith, spans)
    assert result is SpanExportResult.FAILURE
    assert {run.id for run in langsmith.runs} == {run_id_of(spans[0]), run_id_of(spans[2])}
    assert exporter.account.statistics().dropped == {"invalid": 1}


@pytestmark_client
def test_retry_after_is_waited_for_by_us_and_not_by_the_client(
    langsmith: LangSmithReceiver, spans: list[ReadableSpan]
) -> None:
    busy = faults.status(429, retry_after=1)
    with langsmith.faults.mode(faults.first(1, busy)):
        exporter, result = _sent(langsmith, spans)
    assert result is SpanExportResult.SUCCESS
    first, second = langsmith.attempts
    assert second.started - first.started >= 1
    assert exporter.account.statistics().retries == 1


@pytestmark_client
@pytest.mark.parametrize("code", [404, 405])
def test_where_there_is_no_such_api_one_request_tells_and_the_address_is_named(
    code: int, langsmith: LangSmithReceiver, spans: list[ReadableSpan], said: Any
) -> None:
    with langsmith.faults.mode(faults.status(code)):
        exporter, _ = _sent(langsmith, spans)
    assert [attempt.path for attempt in langsmith.attempts] == ["/runs/multipart"]
    assert exporter.account.statistics().dropped == {"failed": 3}
    assert any("LANGSMITH_ENDPOINT" in line and str(code) in line for line in said())


@pytestmark_client
@pytest.mark.parametrize("code", [400, 401, 403, 404, 429, 500, 503])
def test_langsmiths_own_loggers_say_nothing_of_a_backend_that_fails(
    code: int,
    langsmith: LangSmithReceiver,
    spans: list[ReadableSpan],
    caplog: pytest.LogCaptureFixture,
    recwarn: pytest.WarningsRecorder,
) -> None:
    caplog.set_level(logging.INFO)
    settings = Settings(capture_content=True, export_timeout=1.0)
    with langsmith.faults.mode(faults.status(code)):
        _, result = _sent(langsmith, spans, settings=settings)
    assert result is SpanExportResult.FAILURE
    assert {record.name for record in caplog.records} <= {"langflow_otel"}
    assert langsmith.api_key not in caplog.text
    assert [str(w.message) for w in recwarn if "langsmith" in str(w.filename)] == []
    assert [str(w.message) for w in recwarn if issubclass(w.category, FutureWarning)] == []


@pytestmark_client
@pytest.mark.parametrize("wanted", [True, False])
def test_what_was_not_taken_is_kept_on_disk_only_where_langsmiths_variable_asks_for_it(
    wanted: bool,
    langsmith: LangSmithReceiver,
    spans: list[ReadableSpan],
    environment: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    if wanted:
        if not hasattr(sys.modules["langsmith"].Client, "_dump_failed_trace"):
            pytest.skip("this release of langsmith keeps nothing")
        environment.setenv("LANGSMITH_FAILED_TRACES_DIR", str(tmp_path))
    environment.chdir(tmp_path)
    _forget_what_variables_said()
    try:
        with langsmith.faults.mode(faults.status(404)):
            exporter, _ = _sent(langsmith, spans)
    finally:
        _forget_what_variables_said()
    assert bool(list(tmp_path.iterdir())) == wanted
    assert exporter.account.statistics().dropped == {"failed": 3}


def _forget_what_variables_said() -> None:
    """LangSmith's own reader keeps what a variable said at first."""
    from langsmith import utils

    utils.get_env_var.cache_clear()


@pytestmark_client
@pytest.mark.parametrize("text", ["half a pair \ud800", "a \x00 zero", "😀 é", "\r\n--\r\n"])
def test_any_text_arrives_or_what_of_it_json_can_hold(
    text: str, langsmith: LangSmithReceiver
) -> None:
    _, result = _sent(langsmith, [_span("TOOL", {"input.value": text, "output.value": "o"})])
    assert result is SpanExportResult.SUCCESS
    (run,) = langsmith.runs
    assert run.outputs == {"output": "o"}
    if "\ud800" not in text:
        assert run.inputs == {"input": text}


@pytestmark_client
def test_a_batch_that_is_sent_again_is_the_same(
    langsmith: LangSmithReceiver, spans: list[ReadableSpan]
) -> None:
    """The client changes what it is given: what is sent at last must be whole."""
    with langsmith.faults.mode(faults.first(2, faults.status(503))):
        _, result = _sent(langsmith, spans)
    assert result is SpanExportResult.SUCCESS
    assert len({attempt.body_size for attempt in langsmith.attempts}) == 1
    assert [run.inputs for run in langsmith.runs] == [{"input": "in"}] * 3


@pytestmark_client
def test_it_is_made_and_ended_without_a_thread_or_a_provider_of_its_own(
    langsmith: LangSmithReceiver, spans: list[ReadableSpan], environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("LANGSMITH_OTEL_ENABLED", "true")
    environment.setenv("LANGSMITH_TRACING_MODE", "hybrid")
    before = {t for t in threading.enumerate() if not t.name.startswith("receiver")}
    provider = trace.get_tracer_provider()
    _sent(langsmith, spans)
    assert {t for t in threading.enumerate() if not t.name.startswith("receiver")} <= before
    assert trace.get_tracer_provider() is provider
    assert len(langsmith.runs) == 3


@pytestmark_client
def test_replicas_of_langsmiths_own_tracing_get_nothing_and_are_named(
    langsmith: LangSmithReceiver,
    spans: list[ReadableSpan],
    environment: pytest.MonkeyPatch,
    said: Any,
) -> None:
    with LangSmithReceiver() as replica:
        told = [{"api_url": replica.endpoint, "api_key": replica.api_key}]
        environment.setenv("LANGSMITH_RUNS_ENDPOINTS", json.dumps(told))
        _sent(langsmith, spans)
        assert (len(langsmith.runs), replica.attempts) == (3, [])
    assert any("LANGSMITH_RUNS_ENDPOINTS" in line for line in said(logging.WARNING))


@pytestmark_client
def test_replicas_beside_an_address_which_the_client_refuses_are_named_in_one_line(
    langsmith: LangSmithReceiver, environment: pytest.MonkeyPatch, said: Any
) -> None:
    for name, value in langsmith.environment.items():
        environment.setenv(name, value)
    environment.setenv("LANGSMITH_RUNS_ENDPOINTS", "{}")
    exporter = LangSmithSpanExporter(settings=CONTENT)
    assert exporter.export([_span()]) is SpanExportResult.FAILURE
    (line,) = [line for line in said(logging.WARNING) if "RUNS_ENDPOINTS" in line]
    assert "nothing is sent" in line
    assert langsmith.attempts == []


class _OldClient:
    """As of langsmith before 0.4.59: it cannot be kept from sending the environment."""

    def __init__(self, api_url: str | None = None, *, api_key: str | None = None) -> None:
        raise AssertionError("not to be made")


@pytest.mark.parametrize("installed", [None, _OldClient])
def test_a_client_that_is_missing_or_too_old_is_named_with_what_installs_it(
    installed: Any, environment: pytest.MonkeyPatch, said: Any
) -> None:
    module = None
    if installed is not None:
        module = ModuleType("langsmith")
        module.Client = installed  # type: ignore[attr-defined]
    environment.setitem(sys.modules, "langsmith", module)
    exporter = LangSmithSpanExporter(api_key="s3cret", settings=CONTENT)
    assert exporter.export([_span()]) is SpanExportResult.FAILURE
    (line,) = [line for line in said(logging.WARNING) if "pip install" in line]
    assert "langflow-otel[langsmith]" in line
    assert "s3cret" not in line


def test_the_package_alone_imports_nothing_of_langsmith() -> None:
    code = (
        "import sys, langflow_otel; "
        "print([n for n in sys.modules if n.split('.')[0] == 'langsmith' "
        "or n.startswith('langflow_otel.export.langsmith')])"
    )
    environ = {k: v for k, v in os.environ.items() if not k.startswith(("OTEL_", "LANG"))}
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=environ
    )
    assert (told.stdout.strip(), told.returncode) == ("[]", 0)
