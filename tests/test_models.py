"""Each model call is one span in an LLM backend, whoever traces it, and is counted once."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import pytest
import wrapt.patches

from langflow_otel import LangflowInstrumentor
from tests.support import flows
from tests.support.invariants import check
from tests.support.receiver import OtlpReceiver
from tests.support.select import OURS, named
from tests.support.spans import Span
from tests.support.tree import render
from tests.support.versions import before

pytest.importorskip("langchain_openai", reason="no OpenAI components in this environment")

from opentelemetry.sdk.trace import TracerProvider

from tests.support.model_components import CallerComponent
from tests.support.openai_server import OpenAIServer

TOKENS = ("llm.token_count.", "gen_ai.usage.", "llm.usage.")


@pytest.fixture
def openai(environment: pytest.MonkeyPatch) -> Iterator[OpenAIServer]:
    with OpenAIServer() as started:
        for name, value in started.environment.items():
            environment.setenv(name, value)
        yield started
        assert started.rejected == []


class Backends:
    """An LLM backend and a plain OTLP endpoint that get the spans of one process."""

    def __init__(self, llm: OtlpReceiver, plain: OtlpReceiver) -> None:
        self._llm, self._plain = llm, plain

    @property
    def provider(self) -> TracerProvider:
        provider = LangflowInstrumentor().tracer_provider
        assert isinstance(provider, TracerProvider)
        return provider

    def llm(self) -> list[Span]:
        """What the LLM backend has."""
        assert self.provider.force_flush()
        assert self._llm.rejected == []
        check(self._llm.spans)
        return self._llm.spans

    def plain(self) -> list[Span]:
        """What the plain endpoint has."""
        assert self.provider.force_flush()
        check(self._plain.spans)
        return self._plain.spans


@pytest.fixture
def backends(environment: pytest.MonkeyPatch) -> Iterator[Callable[..., Backends]]:
    """Starts langflow-otel towards both; `langchain` says whether it traces LangChain."""
    with ExitStack() as stack:
        llm, plain = stack.enter_context(OtlpReceiver()), stack.enter_context(OtlpReceiver())
        environment.setenv("PHOENIX_COLLECTOR_ENDPOINT", llm.endpoint)
        environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", plain.endpoint)
        environment.setenv("OTEL_PYTHON_LANGFLOW_CONTENT_OTLP", "full")

        def start(*, langchain: bool = True) -> Backends:
            environment.setenv("OTEL_PYTHON_LANGFLOW_INSTRUMENT_LANGCHAIN", str(langchain).lower())
            LangflowInstrumentor().instrument()
            stack.callback(LangflowInstrumentor().uninstrument)
            return Backends(llm, plain)

        yield start


@contextmanager
def _instrumented(module: str, provider: TracerProvider) -> Iterator[None]:
    """With the instrumentor of `module` on, and nothing left of it after."""
    patched: list[tuple[Any, str, Any]] = []

    def apply(parent: Any, attribute: str, replacement: Any) -> None:
        # traceloop's do not take off all that they put on.
        patched.append((parent, attribute, vars(parent).get(attribute, _INHERITED)))
        setattr(parent, attribute, replacement)

    loaded = importlib.import_module(module)
    (found,) = [value for name, value in vars(loaded).items() if name in INSTRUMENTORS]
    instrumentor = found()
    with pytest.MonkeyPatch.context() as patching:
        patching.setattr(wrapt.patches, "apply_patch", apply)
        instrumentor.instrument(tracer_provider=provider)
    try:
        yield
    finally:
        instrumentor.uninstrument()
        for parent, attribute, original in reversed(patched):
            if original is not _INHERITED:
                setattr(parent, attribute, original)
            elif attribute in vars(parent):
                delattr(parent, attribute)


_INHERITED = object()
INSTRUMENTORS = ("OpenAIInstrumentor", "LangchainInstrumentor")
traceloop_openai = partial(_instrumented, "opentelemetry.instrumentation.openai")
traceloop_langchain = partial(_instrumented, "opentelemetry.instrumentation.langchain")
openinference_openai = partial(_instrumented, "openinference.instrumentation.openai")


@contextmanager
def nobody(_: TracerProvider) -> Iterator[None]:
    yield


OTHERS = {
    "nobody": nobody,
    "traceloop's OpenAI": traceloop_openai,
    "traceloop's LangChain": traceloop_langchain,
    "OpenInference's OpenAI": openinference_openai,
}
WAYS = ["LangChain", "LangChain stream", "LangChain sync", "client"]


def caller(openai: OpenAIServer, how: str) -> Any:
    """Chat Input -> Caller -> Chat Output."""
    return flows.single(
        "Calling", CallerComponent, "answer", how=how, base_url=openai.base_url,
        api_key=openai.api_key,
    )  # fmt: skip


def is_model(span: Span) -> bool:
    return span.kind == "LLM" or span.attributes.get("gen_ai.operation.name") == "chat"


def total(span: Span) -> int:
    return span.attributes["llm.token_count.total"]


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("others", OTHERS)
async def test_a_call_is_one_model_span_whoever_else_traces_it(
    backends: Any, openai: OpenAIServer, others: str, how: str
) -> None:
    backend: Backends = backends()
    with OTHERS[others](backend.provider):
        answer = await flows.run_flow(caller(openai, how), "what is a span?", session_id="s1")

    (call,) = openai.calls
    assert answer == call.answer.text
    spans = backend.llm()
    check(spans, session="s1", traces=1)
    traced = how != "client" or others in {"traceloop's OpenAI", "OpenInference's OpenAI"}
    models = [span for span in spans if is_model(span)]
    assert len(models) == traced, render(spans)
    for model in models:
        assert model.parent_id == named(spans, "Caller").span_id
        told = model.attributes
        assert told["openinference.span.kind"] == "LLM"
        assert told["llm.token_count.prompt"] == call.usage.prompt
        assert told["llm.token_count.completion"] == call.usage.completion
        assert told["llm.model_name"].startswith("gpt-4o-mini")
        assert "openai" in (told.get("llm.provider"), told.get("llm.system"))
        assert told["llm.input_messages.0.message.content"] == "what is a span?"
        assert told["llm.output_messages.0.message.content"] == answer
        assert told["langflow.flow.name"] == "Calling"


@pytest.mark.skipif(before("0.3"), reason="no message tells of tokens before 1.8")
@pytest.mark.parametrize("others", OTHERS)
async def test_a_call_that_the_component_tells_of_is_one_model_span_whoever_else_traces_it(
    backends: Any, openai: OpenAIServer, others: str
) -> None:
    backend: Backends = backends()
    with OTHERS[others](backend.provider):
        await flows.run_flow(caller(openai, "client, told"), "what is a span?", session_id="s1")

    (call,) = openai.calls
    spans = backend.llm()
    check(spans, session="s1", traces=1)
    (model,) = [span for span in spans if is_model(span)]
    assert model.parent_id == named(spans, "Caller").span_id
    assert (model.scope == OURS) == (others in {"nobody", "traceloop's LangChain"})
    told = model.attributes
    assert told["llm.model_name"].startswith("gpt-4o-mini")
    assert told["llm.token_count.prompt"] == call.usage.prompt
    assert told["llm.token_count.completion"] == call.usage.completion
    totals = named(spans, "Calling").attributes
    assert totals["langflow.usage.model_calls"] == 1
    assert totals["langflow.usage.total_tokens"] == call.usage.total


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("others", OTHERS)
async def test_its_tokens_stand_once_in_a_plain_backend_too(
    backends: Any, openai: OpenAIServer, others: str, how: str
) -> None:
    backend: Backends = backends()
    with OTHERS[others](backend.provider):
        await flows.run_flow(caller(openai, how), "what is a span?")

    (call,) = openai.calls
    spans = backend.plain()
    check(spans, traces=1)
    counted = [s for s in spans if any(name.startswith(TOKENS) for name in s.attributes)]
    traced = how != "client" or others in {"traceloop's OpenAI", "OpenInference's OpenAI"}
    assert len(counted) == traced, render(spans)
    repeated = [span for span in spans if span.attributes.get("langflow.model.repeated")]
    assert len(repeated) == (others != "nobody" and how != "client")
    assert all(is_model(span) for span in repeated)
    flow = next(s for s in spans if s.attributes.get("langflow.flow.status")).attributes
    assert flow.get("langflow.usage.model_calls", 0) == traced
    if traced:
        assert flow["langflow.usage.input_tokens"] == call.usage.prompt
        assert flow["langflow.usage.output_tokens"] == call.usage.completion
        assert flow["langflow.usage.total_tokens"] == call.usage.total


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("others", list(OTHERS)[1:])
async def test_where_langchain_is_not_traced_another_ones_span_is_sent(
    backends: Any, openai: OpenAIServer, others: str, how: str
) -> None:
    backend: Backends = backends(langchain=False)
    with OTHERS[others](backend.provider):
        answer = await flows.run_flow(caller(openai, how), "what is a span?", session_id="s1")

    (call,) = openai.calls
    spans = backend.llm()
    check(spans, session="s1", traces=1)
    traced = how != "client" or "OpenAI" in others
    models = [span for span in spans if is_model(span)]
    assert len(models) == traced, render(spans)
    for model in models:
        told = model.attributes
        assert model.parent_id == named(spans, "Caller").span_id
        assert told["openinference.span.kind"] == "LLM"
        assert told["llm.token_count.prompt"] == call.usage.prompt
        assert told["llm.token_count.completion"] == call.usage.completion
        assert told["llm.model_name"].startswith("gpt-4o-mini")
        assert "openai" in (told.get("llm.provider"), told.get("llm.system"))
        assert told["llm.input_messages.0.message.role"] == "user"
        assert told["llm.input_messages.0.message.content"] == "what is a span?"
        assert told["llm.output_messages.0.message.content"] == answer
        assert told["output.value"].endswith(answer) or answer in told["output.value"]
    flow = next(s for s in spans if s.attributes.get("langflow.flow.status")).attributes
    assert flow.get("langflow.usage.model_calls", 0) == traced


#: By what name each of OTHERS is told.
SCOPES = {
    "traceloop's OpenAI": "opentelemetry.instrumentation.openai",
    "traceloop's LangChain": "opentelemetry.instrumentation.langchain",
    "OpenInference's OpenAI": "openinference.instrumentation.openai",
}


@pytest.mark.parametrize("others", SCOPES)
async def test_it_is_said_once_which_of_two_is_kept(
    backends: Any, openai: OpenAIServer, said: Any, others: str
) -> None:
    backend: Backends = backends()
    with OTHERS[others](backend.provider):
        for _ in range(2):
            await flows.run_flow(caller(openai, "LangChain"), "what?")

    (line,) = [line for line in said() if "traces model calls" in line]
    assert f"langflow-otel: {SCOPES[others]}" in line
    assert "openinference.instrumentation.langchain" in line
    assert "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS" in line


async def test_details_of_the_tokens_are_summed_on_the_flow(
    backends: Any, openai: OpenAIServer
) -> None:
    backend: Backends = backends()
    flow = caller(openai, "LangChain")
    for node in flow["data"]["nodes"]:
        if node["data"]["type"] == "Caller":
            node["data"]["node"]["template"]["model_name"]["value"] = "o4-mini"
    await flows.run_flow(flow, "what is a span, and what is a trace, please?")

    (call,) = openai.calls
    spans = backend.llm()
    (model,) = [span for span in spans if is_model(span)]
    told = model.attributes
    assert told["llm.token_count.prompt_details.cache_read"] == call.usage.cached > 0
    assert told["llm.token_count.completion_details.reasoning"] == call.usage.reasoning > 0
    totals = named(spans, "Calling").attributes
    assert totals["langflow.usage.cached_tokens"] == call.usage.cached
    assert totals["langflow.usage.reasoning_tokens"] == call.usage.reasoning


async def test_a_flow_in_a_flow_counts_for_both(backends: Any) -> None:
    backend: Backends = backends()
    await flows.run_flow(flows.flow_in_flow())

    spans = backend.llm()
    (model,) = [span for span in spans if is_model(span)]
    for name in ("Flow in flow", "Inner"):
        totals = named(spans, name).attributes
        assert totals["langflow.usage.model_calls"] == 1
        assert totals["langflow.usage.total_tokens"] == model.attributes["llm.token_count.total"]


async def test_what_langchain_was_doing_in_a_cancelled_run_is_no_error(backends: Any) -> None:
    backend: Backends = backends()
    task = asyncio.create_task(flows.run_flow(flows.agent_with_slow_tool(3600), "go"))
    await asyncio.sleep(2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    spans = backend.llm()
    check(spans, traces=1)
    assert [span.name for span in spans if span.status == "ERROR"] == []
    assert "exception" not in {event.name for span in spans for event in span.events}
    cancelled = {span.name for span in spans if "cancelled" in map(str, span.attributes.values())}
    assert {"Agent", "wait", "Agent with slow tool"} <= cancelled
