"""The spans of a run, as they reach an exporter."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import set_span_in_context

from benchmarks.payloads import KB, text
from langflow_otel.enrich import enrich

OURS, MODELS = "langflow_otel", "openinference.instrumentation.langchain"
_IDENTITY = {
    "session.id": "session-1",
    "langflow.flow.id": "5d3a2c1e-0000-4000-8000-000000000001",
    "langflow.flow.name": "Support",
    "langflow.trace.name": "Support",
}


def finished(runs: int) -> Sequence[ReadableSpan]:
    """Return the spans of so many runs: a flow, four components of 1 KB each, two model calls."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    enrich(provider)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    for number in range(runs):
        _run(provider, number)
    return exporter.get_finished_spans()


def texts(count: int, size: int) -> Iterator[str]:
    """Yield texts none of which is the same as another."""
    numbers = random.Random(1)
    for _ in range(count):
        yield f"{numbers.random():.17f} " + text(size - 20)


def _run(provider: TracerProvider, number: int) -> None:
    ours, models = provider.get_tracer(OURS), provider.get_tracer(MODELS)
    question, answer = next(texts(1, KB)), text(KB)
    value = {"input.value": question, "output.value": answer, **_IDENTITY}
    plain = {"input.mime_type": "text/plain", "output.mime_type": "text/plain"}
    flow = ours.start_span("Support", attributes={"openinference.span.kind": "CHAIN", **value})
    above = set_span_in_context(flow)
    for name in ("Chat Input", "Prompt", "Agent", "Chat Output"):
        attributes = {
            "openinference.span.kind": "AGENT" if name == "Agent" else "CHAIN",
            "langflow.component.id": f"{name}-{number}",
            "langflow.component.type": name,
            **value,
            **plain,
        }
        component = ours.start_span(name, context=above, attributes=attributes)
        if name == "Agent":
            for _ in range(2):
                _model_call(models, set_span_in_context(component), question, answer)
        component.end()
    flow.end()


def _model_call(models: object, above: object, question: str, answer: str) -> None:
    messages = {
        f"llm.input_messages.{n}.message.{field}": said
        for n, role in enumerate(("system", "user", "assistant", "user"))
        for field, said in (("role", role), ("content", question))
    }
    span = models.start_span(  # type: ignore[attr-defined]
        "ChatOpenAI",
        context=above,
        attributes={
            "openinference.span.kind": "LLM",
            "llm.model_name": "gpt-4o",
            "llm.provider": "openai",
            "llm.invocation_parameters": json.dumps({"temperature": 0.1, "max_tokens": 500}),
            "llm.token_count.prompt": 900,
            "llm.token_count.completion": 200,
            "llm.token_count.total": 1100,
            "input.value": json.dumps({"messages": [question] * 4}),
            "input.mime_type": "application/json",
            "output.value": json.dumps({"generations": [[{"text": answer}]]}),
            "output.mime_type": "application/json",
            **messages,
            "llm.output_messages.0.message.role": "assistant",
            "llm.output_messages.0.message.content": answer,
            **_IDENTITY,
        },
    )
    span.end()
