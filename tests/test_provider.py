"""Where spans go: which provider, which destinations, with or without content."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import opentelemetry.trace as api
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from langflow_otel import LangflowInstrumentor
from tests.support import flows
from tests.support.invariants import check
from tests.support.lfx_cli import lfx_run
from tests.support.receiver import OtlpReceiver
from tests.support.select import named, only
from tests.support.spans import from_readable
from tests.support.tree import render


@pytest.fixture(autouse=True)
def no_global_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "_TRACER_PROVIDER", None)
    monkeypatch.setattr(api, "_TRACER_PROVIDER_SET_ONCE", type(api._TRACER_PROVIDER_SET_ONCE)())


@pytest.fixture
def instrument() -> Iterator[Any]:
    """Instrument; uninstrumenting flushes a provider of our own."""
    yield LangflowInstrumentor().instrument
    if LangflowInstrumentor().is_instrumented_by_opentelemetry:
        LangflowInstrumentor().uninstrument()


def _in_memory() -> tuple[TracerProvider, InMemorySpanExporter]:
    provider, exporter = TracerProvider(), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider, exporter


async def test_the_provider_given_is_the_provider_used(instrument: Any) -> None:
    provider, exporter = _in_memory()
    instrument(tracer_provider=provider)
    await flows.run_flow(flows.sync_method())
    assert len(exporter.get_finished_spans()) == 4


async def test_a_provider_given_stays_open_after_uninstrument(instrument: Any) -> None:
    provider, exporter = _in_memory()
    instrument(tracer_provider=provider)
    LangflowInstrumentor().uninstrument()
    provider.get_tracer("user").start_span("still open").end()
    assert [span.name for span in exporter.get_finished_spans()] == ["still open"]


async def test_the_global_provider_is_used_where_there_is_one(instrument: Any) -> None:
    provider, exporter = _in_memory()
    api.set_tracer_provider(provider)
    instrument()
    await flows.run_flow(flows.sync_method())
    assert named(map(from_readable, exporter.get_finished_spans()), "Sync method")


async def test_without_a_destination_a_provider_set_later_gets_the_spans(
    instrument: Any, said: Any
) -> None:
    instrument()
    provider, exporter = _in_memory()
    api.set_tracer_provider(provider)
    await flows.run_flow(flows.sync_method())
    assert named(map(from_readable, exporter.get_finished_spans()), "Sync method")
    assert any("no destination is set" in line for line in said(logging.INFO))


@pytest.mark.parametrize("named", [None, "none"])
async def test_a_flow_that_nobody_traces_is_told_of_once_unless_that_is_meant(
    named: str | None, instrument: Any, environment: pytest.MonkeyPatch, said: Any
) -> None:
    if named is not None:
        environment.setenv("OTEL_TRACES_EXPORTER", named)
    instrument()
    await flows.run_flow(flows.sync_method())
    await flows.run_flow(flows.sync_method())
    told = [line for line in said(logging.WARNING) if "no destination is set" in line]
    assert len(told) == (0 if named else 1)


@pytest.mark.parametrize(
    "arguments",
    [{"tracer_provider": api.NoOpTracerProvider()}, {"destinations": []}],
    ids=lambda given: next(iter(given)),
)
async def test_where_code_says_where_traces_go_nothing_is_said(
    arguments: dict[str, Any], instrument: Any, said: Any
) -> None:
    instrument(**arguments)
    await flows.run_flow(flows.sync_method())
    assert not [line for line in said(logging.WARNING) if "no destination is set" in line]


async def test_with_a_provider_set_later_a_model_call_is_counted_once(instrument: Any) -> None:
    instrument()
    provider, exporter = _in_memory()
    api.set_tracer_provider(provider)
    await flows.run_flow(flows.linear_chat())
    spans = [from_readable(span) for span in exporter.get_finished_spans()]
    assert [span.name for span in spans if span.kind == "LLM"] == ["ScriptedChatModel"]
    assert [span.name for span in spans if "llm.token_count.total" in span.attributes] == [
        "ScriptedChatModel"
    ]


async def test_an_applications_own_provider_gets_phoenix_added_and_no_content(
    instrument: Any, environment: pytest.MonkeyPatch, receiver: OtlpReceiver, said: Any
) -> None:
    environment.setenv("PHOENIX_COLLECTOR_ENDPOINT", receiver.endpoint)
    provider, exporter = _in_memory()
    api.set_tracer_provider(provider)
    instrument()
    await flows.run_flow(flows.linear_chat(), "the question")
    provider.force_flush()
    assert len(receiver.spans) == len(exporter.get_finished_spans()) - _langflows(exporter) == 8
    assert "the question" not in repr(receiver.spans)
    assert not [s for s in exporter.get_finished_spans() if "the question" in str(s.attributes)]
    (line,) = said(logging.WARNING)
    assert "phoenix is added to the tracer provider that is installed; without content" in line


def _langflows(exporter: InMemorySpanExporter) -> int:
    return sum(span.name == "flow.execute" for span in exporter.get_finished_spans())


async def test_the_global_provider_is_never_set(
    instrument: Any, environment: pytest.MonkeyPatch, receiver: OtlpReceiver
) -> None:
    environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint)
    instrument()
    assert api._TRACER_PROVIDER is None


@pytest.mark.parametrize("when", ["before", pytest.param("after", marks=pytest.mark.exhaustive)])
def test_beside_langflows_own_export_every_span_arrives_in_the_same_trace(
    receiver: OtlpReceiver, when: str
) -> None:
    pytest.importorskip("lfx.observability", reason="Langflow exports nothing before 1.12")
    bootstrap = "from lfx.observability import bootstrap_application_telemetry as b; b()"
    instrument = "import langflow_otel; langflow_otel.LangflowInstrumentor().instrument()"
    first = [instrument, bootstrap] if when == "before" else [bootstrap, instrument]
    code = [
        *first,
        "from opentelemetry import trace",
        "processors = trace.get_tracer_provider()._active_span_processor._span_processors",
        "assert type(processors[0]).__name__ == 'ApplicationOnlySpanProcessor'",
        "import asyncio; from tests.support import flows",
        "asyncio.run(flows.run_flow(flows.sync_method()))",
    ]
    done = subprocess.run(
        [sys.executable, "-c", "\n".join(code)],
        env={
            **os.environ,
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint,
            "OTEL_METRICS_EXPORTER": "none",
            "OTEL_LOGS_EXPORTER": "none",
        },
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    spans = receiver.wait_for(5)
    check(spans, traces=1)
    assert (
        render(spans)
        == """\
internal flow.execute
  CHAIN Sync method
    CHAIN Chat Input
    CHAIN Compute
    CHAIN Chat Output"""
    )


CONTENT = ("input.value", "output.value", "langflow.log.message", "exception.message")


async def _content_at(receiver: OtlpReceiver) -> set[str]:
    """Run flows with content of every sort; return the names of what arrived of it."""
    await flows.run_flow(flows.agent_with_tools(), "the question")
    await flows.run_flow(flows.component_logs(), "the question")
    with pytest.raises(ValueError, match="no such order"):
        await flows.run_flow(flows.failing(), "4711")
    LangflowInstrumentor().uninstrument()
    found = set()
    for span in receiver.spans:
        for attributes in (span.attributes, *(event.attributes for event in span.events)):
            found |= set(attributes)
        for text in ("the question", "order: 4711", "Oslo", "snow"):
            if text in repr((span.attributes, span.events, span.status_message)):
                found.add("content")
    assert {"langflow.component.id", "tool.name", "error.type", "langflow.log.type"} <= found
    return found & {"content", *CONTENT, "llm.input_messages.0.message.content"}


async def test_plain_otlp_gets_no_content(
    instrument: Any, environment: pytest.MonkeyPatch, receiver: OtlpReceiver
) -> None:
    environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint)
    instrument()
    assert await _content_at(receiver) == set()


async def test_plain_otlp_gets_no_content_beside_phoenix_which_does(
    instrument: Any, environment: pytest.MonkeyPatch, receiver: OtlpReceiver
) -> None:
    with OtlpReceiver() as phoenix:
        environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint)
        environment.setenv("PHOENIX_COLLECTOR_ENDPOINT", phoenix.endpoint)
        instrument()
        assert await _content_at(receiver) == set()
        assert {"content", *CONTENT} <= await _names(phoenix)


async def _names(receiver: OtlpReceiver) -> set[str]:
    found = {"content"} if "the question" in repr(receiver.spans) else set()
    for span in receiver.spans:
        for attributes in (span.attributes, *(event.attributes for event in span.events)):
            found |= set(attributes)
    return found


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OTEL_PYTHON_LANGFLOW_CAPTURE_CONTENT", "true"),
        ("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "SPAN_AND_EVENT"),
    ],
)
async def test_plain_otlp_gets_content_where_that_is_asked_for(
    instrument: Any,
    environment: pytest.MonkeyPatch,
    receiver: OtlpReceiver,
    variable: str,
    value: str,
) -> None:
    environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint)
    environment.setenv(variable, value)
    instrument()
    assert {"content", *CONTENT} <= await _content_at(receiver)


async def test_another_packages_exporter_gets_no_content(
    instrument: Any, environment: pytest.MonkeyPatch, receiver: OtlpReceiver
) -> None:
    environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint)
    environment.setenv("OTEL_TRACES_EXPORTER", "phoenix,otlp_proto_http")
    environment.setenv("PHOENIX_COLLECTOR_ENDPOINT", "http://127.0.0.1:9")
    environment.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    instrument()
    assert await _content_at(receiver) == set()


async def test_content_asked_for_in_code_is_sent_over_otlp(
    instrument: Any, environment: pytest.MonkeyPatch, receiver: OtlpReceiver
) -> None:
    environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint)
    instrument(capture_content=True)
    assert {"content", *CONTENT} <= await _content_at(receiver)


@pytest.mark.parametrize("value", ["false", "ture", "0", "no content please"])
async def test_phoenix_gets_no_content_where_that_is_refused_or_mistyped(
    instrument: Any,
    environment: pytest.MonkeyPatch,
    receiver: OtlpReceiver,
    value: str,
    said: Any,
) -> None:
    environment.setenv("PHOENIX_COLLECTOR_ENDPOINT", receiver.endpoint)
    environment.setenv("OTEL_PYTHON_LANGFLOW_CAPTURE_CONTENT", value)
    instrument()
    assert await _content_at(receiver) == set()
    wrong = [line for line in said(logging.WARNING) if "CAPTURE_CONTENT" in line]
    assert len(wrong) == (value in {"ture", "no content please"})
    assert all(f"{value!r} is not allowed (allowed: true, false); using false" in w for w in wrong)


async def test_an_llm_backend_gets_ai_spans_only_and_the_flow_is_its_root(
    instrument: Any, environment: pytest.MonkeyPatch, receiver: OtlpReceiver
) -> None:
    environment.setenv("PHOENIX_COLLECTOR_ENDPOINT", receiver.endpoint)
    instrument()
    provider = LangflowInstrumentor().tracer_provider
    assert provider is not None
    api.set_tracer_provider(provider)
    with provider.get_tracer("http").start_as_current_span("POST /api/v1/run"):
        await flows.run_flow(flows.model_in_a_span())
    LangflowInstrumentor().uninstrument()

    spans = receiver.spans
    check(spans, traces=1)
    assert (
        render(only(spans, lambda span: span.kind != "PROMPT"))
        == """\
CHAIN Model in a span
  CHAIN Chat Input
  CHAIN Ask
    LLM ScriptedChatModel
  CHAIN Chat Output"""
    )
    assert not [name for span in spans for name in span.attributes if "export" in name]


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, []),
        ({"PHOENIX_COLLECTOR_ENDPOINT": "http://p:6006"}, ["phoenix"]),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, ["otlp"]),
        (
            {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "x", "PHOENIX_COLLECTOR_ENDPOINT": "y"},
            ["phoenix", "otlp"],
        ),
        ({"OTEL_TRACES_EXPORTER": "none", "PHOENIX_COLLECTOR_ENDPOINT": "y"}, []),
        ({"OTEL_TRACES_EXPORTER": "console, phoenix,phoenix"}, ["console", "phoenix"]),
    ],
)
def test_destinations_are_those_named_else_those_with_their_variables_set(
    environ: dict[str, str], expected: list[str]
) -> None:
    from langflow_otel.destinations import destinations_of

    assert destinations_of(environ) == expected


async def test_an_unknown_exporter_is_named_and_the_others_work(
    instrument: Any, environment: pytest.MonkeyPatch, receiver: OtlpReceiver, said: Any
) -> None:
    environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint)
    environment.setenv("OTEL_TRACES_EXPORTER", "pheonix,otlp")
    instrument()
    await flows.run_flow(flows.sync_method())
    LangflowInstrumentor().uninstrument()
    assert len(receiver.spans) == 4
    (line,) = said(logging.ERROR)
    assert "OTEL_TRACES_EXPORTER, or destinations=, names 'pheonix'" in line
    assert "phoenix" in line


async def test_the_service_is_called_langflow_unless_it_has_a_name(
    instrument: Any, environment: pytest.MonkeyPatch, receiver: OtlpReceiver
) -> None:
    environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint)
    for expected in ("langflow", "shop"):
        instrument()
        await flows.run_flow(flows.sync_method())
        LangflowInstrumentor().uninstrument()
        assert {span.resource["service.name"] for span in receiver.spans} == {expected}
        environment.setenv("OTEL_SERVICE_NAME", "shop")
        receiver.clear()


async def test_an_unsampled_run_captures_nothing(
    instrument: Any, environment: pytest.MonkeyPatch, receiver: OtlpReceiver
) -> None:
    from langflow_otel.capture import Capture

    environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint)
    environment.setenv("OTEL_PYTHON_LANGFLOW_CAPTURE_CONTENT", "true")
    environment.setenv("OTEL_TRACES_SAMPLER", "always_off")
    captured: list[Any] = []
    environment.setattr(Capture, "value", lambda *value: captured.append(value))
    environment.setattr(Capture, "json", lambda *value: captured.append(value))
    instrument()
    await flows.run_flow(flows.agent_with_tools())
    LangflowInstrumentor().uninstrument()
    assert captured == []
    assert receiver.spans == []


def test_content_refused_is_refused_under_opentelemetry_instrument_too(
    receiver: OtlpReceiver, tmp_path: Path
) -> None:
    """There, OpenInference's instrumentor is on before ours, and captures everything."""
    flow = tmp_path / "chat.json"
    flow.write_text(json.dumps(flows.linear_chat("Answer")))
    env = {
        "OTEL_TRACES_EXPORTER": "phoenix",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_LOGS_EXPORTER": "none",
        "PHOENIX_COLLECTOR_ENDPOINT": receiver.endpoint,
        "OTEL_PYTHON_LANGFLOW_CAPTURE_CONTENT": "false",
    }
    done = lfx_run(flow, "the question", env=env, prefix=["opentelemetry-instrument"])
    assert done.answer == "Answer"
    spans = receiver.wait_for(8)
    assert [span.kind for span in spans].count("LLM") == 1
    assert "the question" not in repr(spans)


@pytest.mark.parametrize("size", ["32", "many"])
async def test_a_queue_that_does_not_fit_stops_nothing(
    instrument: Any, environment: pytest.MonkeyPatch, receiver: OtlpReceiver, size: str
) -> None:
    environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint)
    environment.setenv("OTEL_BSP_MAX_QUEUE_SIZE", size)
    instrument()
    await flows.run_flow(flows.sync_method())
    LangflowInstrumentor().uninstrument()
    assert len(receiver.spans) == 4
