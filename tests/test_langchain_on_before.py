"""LangChain's instrumentor was on before: a program's own, or `opentelemetry-instrument`'s."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from langflow_otel import LangflowInstrumentor, names
from tests.conftest import Traced
from tests.support import flows
from tests.support.invariants import check


async def test_an_instrumentor_that_is_on_for_another_provider_is_left_alone(
    environment: pytest.MonkeyPatch, request: pytest.FixtureRequest, said: Any
) -> None:
    module = pytest.importorskip("openinference.instrumentation.langchain")
    theirs = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(theirs))
    instrumentor = module.LangChainInstrumentor()
    instrumentor.instrument(tracer_provider=provider)
    try:
        environment.setenv("OPENINFERENCE_HIDE_INPUTS", "true")
        traced: Traced = request.getfixturevalue("traced")
        await flows.run_flow(flows.linear_chat())
        (line,) = [line for line in said(logging.WARNING) if "another tracer provider" in line]
        assert "openinference.instrumentation.langchain" in line
        assert {s.instrumentation_scope.name for s in theirs.get_finished_spans()} == {
            "openinference.instrumentation.langchain"
        }
        spans = traced.spans()
        check(spans, traces=1)
        assert {span.scope for span in spans} == {"langflow_otel"}

        LangflowInstrumentor().uninstrument()
        assert instrumentor.is_instrumented_by_opentelemetry
    finally:
        instrumentor.uninstrument()


async def test_an_instrumentor_that_is_on_already_hides_more_for_as_long_as_we_are_there(
    environment: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    module = pytest.importorskip("openinference.instrumentation.langchain")
    config = pytest.importorskip("openinference.instrumentation").TraceConfig(hide_outputs=True)
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    instrumentor = module.LangChainInstrumentor()
    instrumentor.instrument(tracer_provider=provider, config=config)
    environment.setenv("OPENINFERENCE_HIDE_INPUTS", "true")
    environment.setenv("OTEL_PYTHON_LANGFLOW_CAPTURE_CONTENT", "true")

    async def shown() -> set[str]:
        exporter.clear()
        await flows.run_flow(flows.linear_chat())
        spans = exporter.get_finished_spans()
        (model,) = [s for s in spans if s.attributes[names.SPAN_KIND] == "LLM"]
        known = {name: model.attributes.get(name) for name in ("input.value", "output.value")}
        return {name for name, value in known.items() if value and value != "__REDACTED__"}

    try:
        LangflowInstrumentor().instrument(tracer_provider=provider)
        try:
            assert await shown() == set()
        finally:
            LangflowInstrumentor().uninstrument()
        assert instrumentor.is_instrumented_by_opentelemetry
        environment.delenv("OPENINFERENCE_HIDE_INPUTS")
        assert await shown() == {"input.value"}
    finally:
        instrumentor.uninstrument()
