"""What is not sampled costs and captures nothing; what is excluded is not traced."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    DEFAULT_OFF,
    DEFAULT_ON,
    Decision,
    ParentBased,
    ParentBasedTraceIdRatio,
    Sampler,
    SamplingResult,
    TraceIdRatioBased,
)
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from langflow_otel import LangflowInstrumentor
from langflow_otel.capture import MASK, Capture
from langflow_otel.patterns import NamePatterns
from langflow_otel.sampling import decides_by_trace
from langflow_otel.seams import component as component_seam
from tests.conftest import Traced
from tests.support import control_flows, flows, secret_flows
from tests.support.echo import EchoServer
from tests.support.invariants import check
from tests.support.open_spans import OpenSpans
from tests.support.select import is_ours, main_parts, named, only
from tests.support.spans import Span, from_readable
from tests.support.tree import render
from tests.support.versions import before

SECRET = "xk7/quite secret"
QUOTED = "xk7%2Fquite%20secret"


class AttributeSampler(Sampler):
    """Samples what `keeps` says of a span's name and attributes; remembers what it was asked."""

    def __init__(self, keeps: Callable[[str, Mapping[str, Any]], bool]) -> None:
        self._keeps = keeps
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def should_sample(
        self,
        parent_context: Any,
        trace_id: int,
        name: str,
        kind: Any = None,
        attributes: Any = None,
        links: Any = None,
    ) -> SamplingResult:
        told = dict(attributes or {})
        self.asked.append((name, told))
        decision = Decision.RECORD_AND_SAMPLE if self._keeps(name, told) else Decision.DROP
        return SamplingResult(decision, told)

    def get_description(self) -> str:
        return "AttributeSampler"


class Sampled:
    """A provider with some sampler, and what came out of it."""

    def __init__(self, sampler: Sampler) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))

    @property
    def spans(self) -> list[Span]:
        """Whole traces, where there is anything."""
        found = [from_readable(span) for span in self.exporter.get_finished_spans()]
        if found:
            check(found)
        return found


@pytest.fixture
def sampled() -> Iterator[Callable[..., Sampled]]:
    """Langflow, instrumented with a sampler, and with more arguments of `instrument()`."""

    def instrument(sampler: Sampler = ALWAYS_ON, **arguments: Any) -> Sampled:
        made = Sampled(sampler)
        LangflowInstrumentor().instrument(
            tracer_provider=made.provider, capture_content=True, **arguments
        )
        return made

    yield instrument
    LangflowInstrumentor().uninstrument()


# -- sampling


@pytest.mark.parametrize(
    ("sampler", "argument", "count"),
    [
        ("always_on", "", 1),
        ("always_off", "", 0),
        ("traceidratio", "0", 0),
        ("traceidratio", "1", 1),
        ("parentbased_always_off", "", 0),
        ("parentbased_traceidratio", "0", 0),
    ],
)
async def test_the_sampler_of_the_environment_decides(
    receiver: Any,
    environment: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
    sampler: str,
    argument: str,
    count: int,
) -> None:
    environment.setenv("OTEL_TRACES_SAMPLER", sampler)
    environment.setenv("OTEL_TRACES_SAMPLER_ARG", argument)
    traced: Traced = request.getfixturevalue("traced")
    answer = await flows.run_flow(flows.linear_chat())

    assert answer == "You said: Question: hi"
    found = [span for span in traced.spans() if span.name == "Linear chat"]
    assert len(found) == count
    assert bool(traced.spans()) == bool(count)


async def test_a_caller_that_is_not_sampled_decides_for_its_flow(traced: Traced) -> None:
    caller = NonRecordingSpan(SpanContext(7, 7, is_remote=True, trace_flags=TraceFlags(0)))
    with trace.use_span(caller):
        await flows.run_flow(flows.linear_chat())
    assert traced.spans() == []


WORK = ["component_of", "inputs_of", "outputs_of", "gather", "gather_all"]


@pytest.mark.parametrize("sampler", [ALWAYS_OFF, DEFAULT_OFF, TraceIdRatioBased(0)])
async def test_of_what_is_not_sampled_nothing_is_looked_at(
    sampled: Callable[..., Sampled], monkeypatch: pytest.MonkeyPatch, sampler: Sampler
) -> None:
    def forbid() -> None:
        def touched(*_: Any, **__: Any) -> Any:
            raise AssertionError("an unsampled flow was looked at")

        for name in WORK:
            monkeypatch.setattr(component_seam, name, touched)
        for name in ("value", "text", "json", "joined", "of"):
            monkeypatch.setattr(Capture, name, touched)

    made = sampled(sampler)
    forbid()
    assert await flows.run_flow(flows.agent_with_tools(), "weather?")
    assert made.spans == []

    LangflowInstrumentor().uninstrument()
    sampled(ALWAYS_ON)
    with pytest.raises(Exception, match="an unsampled flow was looked at"):
        await flows.run_flow(flows.agent_with_tools(), "weather?")


RUN = "6f1c9d2e-0000-4000-8000-000000000007"


def _of_run(flow: flows.Flow) -> dict[str, str]:
    """What each span of a run of `flow` by `_sampled_run` tells a sampler."""
    return {
        "langflow.flow.id": flow["id"],
        "langflow.flow.name": flow["name"],
        "langflow.run.id": RUN,
        "session.id": "s1",
        "user.id": "user-7",
    }


async def _sampled_run(flow: flows.Flow, text: str) -> None:
    """Run a flow as Langflow does that has come in by `/run`, with all known of the run before."""
    graph = flows.graph_of(flow, user_id="user-7")
    graph.set_run_id(RUN)
    with contextlib.ExitStack() as stack:
        if not before("1.12"):
            from lfx.observability import execution_protocol

            stack.enter_context(execution_protocol("v1"))
        await flows.run_flow(graph, text, session_id="s1")


async def test_a_sampler_of_ones_own_is_told_what_runs(sampled: Callable[..., Sampled]) -> None:
    sampler = AttributeSampler(lambda *_: True)
    sampled(sampler)
    flow = flows.agent_with_tools()
    await _sampled_run(flow, "weather?")

    asked: dict[str, dict[str, Any]] = {}
    for name, attributes in sampler.asked:
        asked.setdefault(name, attributes)
    entry_point = {} if before("1.12") else {"langflow.entry_point": "v1"}
    kind = {"openinference.span.kind": "CHAIN"}
    assert asked["Agent with tools"].items() >= {**_of_run(flow), **entry_point, **kind}.items()
    assert (
        asked["Agent"].items()
        >= {
            **_of_run(flow),
            "langflow.component.id": "Agent-demo",
            "langflow.component.type": "Agent",
            "langflow.component.display_name": "Agent",
            "openinference.span.kind": "AGENT",
        }.items()
    )


async def test_a_sampler_is_told_which_iteration_of_a_loop_runs(
    sampled: Callable[..., Sampled],
) -> None:
    sampler = AttributeSampler(lambda *_: True)
    sampled(sampler)
    flow = control_flows.loop_that_asks()
    await _sampled_run(flow, "a,b")

    rows = [told for name, told in sampler.asked if name == "Ask Row"]
    for index, told in enumerate(rows):
        place = {"langflow.loop.index": index, "langflow.loop.path": str(index)}
        assert told.items() >= {**_of_run(flow), **place}.items()
    assert len(rows) == 2


async def test_a_sampler_is_told_which_tool_is_called(
    sampled: Callable[..., Sampled], environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("OTEL_PYTHON_LANGFLOW_INSTRUMENT_LANGCHAIN", "false")
    sampler = AttributeSampler(lambda *_: True)
    sampled(sampler)
    flow = flows.agent_with_tools()
    await _sampled_run(flow, "weather?")

    (attributes,) = [told for name, told in sampler.asked if name == "get_weather"]
    assert (
        attributes.items()
        >= {
            **_of_run(flow),
            "tool.name": "get_weather",
            "tool.description": "The weather in a city.",
            "langflow.component.id": "Weather-demo",
            "openinference.span.kind": "TOOL",
        }.items()
    )


async def test_of_a_tool_span_that_langchain_makes_a_sampler_is_told_no_more_than_whose_it_is(
    sampled: Callable[..., Sampled],
) -> None:
    pytest.importorskip("openinference.instrumentation.langchain")
    sampler = AttributeSampler(lambda *_: True)
    sampled(sampler)
    await _sampled_run(flows.agent_with_tools(), "weather?")

    (told,) = [told for name, told in sampler.asked if name == "get_weather"]
    assert told == {"session.id": "s1", "user.id": "user-7"}


def by_flow(name: str) -> Callable[[str, Mapping[str, Any]], bool]:
    return lambda _, attributes: attributes.get("langflow.flow.name") != name


async def test_a_sampler_can_decide_by_the_flow(sampled: Callable[..., Sampled]) -> None:
    made = sampled(ParentBased(AttributeSampler(by_flow("Noisy"))))
    await flows.run_flow(flows.linear_chat(name="Noisy"))
    await flows.run_flow(flows.linear_chat(name="Quiet"))

    check(made.spans, traces=1)
    assert render(made.spans).startswith("CHAIN Quiet\n")


async def test_a_sampler_for_roots_is_asked_once_a_flow(sampled: Callable[..., Sampled]) -> None:
    sampler = AttributeSampler(by_flow("Noisy"))
    sampled(ParentBased(sampler))
    await flows.run_flow(flows.linear_chat(name="Noisy"))
    assert [name for name, _ in sampler.asked] == ["Noisy"]


async def test_a_sampler_can_decide_by_the_component(sampled: Callable[..., Sampled]) -> None:
    def keeps(_: str, attributes: Mapping[str, Any]) -> bool:
        return attributes.get("langflow.component.type") != "ChatInput"

    made = sampled(AttributeSampler(keeps))
    await flows.run_flow(flows.sync_method())

    check(made.spans, traces=1)
    assert render(made.spans) == "CHAIN Sync method\n  CHAIN Compute\n  CHAIN Chat Output"


async def test_an_unsampled_run_in_steps_leaves_nothing_current(
    sampled: Callable[..., Sampled],
) -> None:
    made = sampled(ALWAYS_OFF)
    seen = [
        trace.get_current_span().get_span_context().is_valid
        async for _ in flows.step_flow(flows.graph_to_step(flows.linear_chat()))
    ]
    assert seen == [False] * 4
    assert made.spans == []


class _Odd(Sampler):
    """Says what `ParentBased` says, and is none."""

    __hash__ = None  # type: ignore[assignment]

    def should_sample(self, *_: Any, **__: Any) -> SamplingResult:
        return SamplingResult(Decision.DROP)

    def get_description(self) -> str:
        return DEFAULT_ON.get_description()


@pytest.mark.parametrize(
    ("sampler", "by_trace"),
    [
        (ALWAYS_ON, True),
        (ALWAYS_OFF, True),
        (DEFAULT_ON, True),
        (DEFAULT_OFF, True),
        (TraceIdRatioBased(0.5), True),
        (ParentBasedTraceIdRatio(0.5), True),
        (ParentBased(AttributeSampler(lambda *_: True)), True),
        (ParentBased(ALWAYS_OFF, local_parent_not_sampled=ALWAYS_ON), False),
        (ParentBased(DEFAULT_ON, local_parent_not_sampled=TraceIdRatioBased(0.5)), False),
        (AttributeSampler(lambda *_: True), False),
        (_Odd(), False),
    ],
)
def test_which_samplers_keep_or_drop_a_trace_as_a_whole(sampler: Sampler, by_trace: bool) -> None:
    assert decides_by_trace(TracerProvider(sampler=sampler, shutdown_on_exit=False)) is by_trace


def test_a_provider_that_is_not_the_sdks_may_sample_anything() -> None:
    assert not decides_by_trace(trace.NoOpTracerProvider())


# -- flows that are excluded


async def by_arun(flow: flows.Flow) -> None:
    await flows.run_flow(flow)


async def by_steps(flow: flows.Flow) -> None:
    async for _ in flows.step_flow(flows.graph_to_step(flow)):
        # Nothing of ours is left current in the consumer's code.
        assert trace.get_tracer("test") is not None


async def by_thread(flow: flows.Flow) -> None:
    await asyncio.to_thread(lambda: list(flows.graph_to_step(flow).start()))


@pytest.mark.parametrize("drive", [by_arun, by_steps, by_thread])
@pytest.mark.parametrize("named_by", ["name", "id"])
async def test_an_excluded_flow_is_not_traced(
    sampled: Callable[..., Sampled], drive: Any, named_by: str
) -> None:
    flow = flows.agent_with_tools()
    made = sampled(excluded_flows=[flow[named_by]])
    opened = OpenSpans(made.provider)
    await drive(flow)
    assert made.spans == []
    assert opened.started == 0


async def test_flows_are_excluded_by_the_environment(
    receiver: Any, environment: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    environment.setenv("OTEL_PYTHON_LANGFLOW_EXCLUDED_FLOWS", "health *, Other")
    traced: Traced = request.getfixturevalue("traced")
    for name in ("health check", "Health check", "Other", "Others"):
        await flows.run_flow(flows.linear_chat(name=name))

    spans = traced.spans()
    check(spans, traces=2)
    names = {span.name for span in spans if "langflow.flow.status" in span.attributes}
    assert names == {"Health check", "Others"}


async def test_what_an_excluded_flow_calls_is_not_traced_and_gets_no_context(
    sampled: Callable[..., Sampled],
) -> None:
    from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor

    made = sampled(excluded_flows=["HTTP request"])
    HTTPXClientInstrumentor().instrument(tracer_provider=made.provider)
    try:
        with EchoServer() as server:
            url = f"http://{server.address}/hello"
            await flows.run_flow(control_flows.call(flows.http_request(url)))
            (request,) = server.seen
    finally:
        HTTPXClientInstrumentor().uninstrument()

    assert not {"traceparent", "tracestate", "baggage"} & request["headers"].keys()
    check(made.spans, traces=1)
    assert (
        render(only(made.spans, is_ours))
        == """\
CHAIN Outer
  CHAIN Chat Input
  CHAIN Call
  CHAIN Chat Output"""
    )
    assert not [span for span in made.spans if span.otel_kind == "CLIENT"]


async def test_a_flow_below_an_excluded_one_is_excluded_too(
    sampled: Callable[..., Sampled],
) -> None:
    made = sampled(excluded_flows=["Outer"])
    await flows.run_flow(control_flows.call(flows.linear_chat(name="Inner")))
    assert made.spans == []


async def test_after_an_excluded_flow_all_is_traced_again(sampled: Callable[..., Sampled]) -> None:
    made = sampled(excluded_flows=["Inner"])
    outer = control_flows.call(flows.linear_chat(name="Inner"))
    await asyncio.gather(flows.run_flow(outer), flows.run_flow(flows.linear_chat()))

    check(made.spans, traces=2)
    found = [span for span in made.spans if span.kind == "LLM"]
    assert len(found) == 1


async def test_the_failure_of_an_excluded_flow_is_that_of_who_calls_it(
    sampled: Callable[..., Sampled],
) -> None:
    made = sampled(excluded_flows=["Failing"])
    with pytest.raises(ValueError, match="no such order"):
        await flows.run_flow(control_flows.call(flows.failing()))
    await flows.run_flow(control_flows.recovering(flows.failing()))

    check(made.spans, traces=2)
    assert (
        render(made.spans)
        == """\
CHAIN Outer !error
  CHAIN Chat Input
  CHAIN Call !error
CHAIN Recovering
  CHAIN Chat Input
  CHAIN Try Flow
  CHAIN Chat Output"""
    )


async def test_the_secrets_of_an_excluded_flow_are_masked_in_what_it_answers(
    sampled: Callable[..., Sampled],
) -> None:
    made = sampled(excluded_flows=["Link"])
    answer = await flows.run_flow(control_flows.call(secret_flows.link(SECRET)), "a note")

    assert QUOTED in answer
    for name in ("Outer", "Call", "Chat Output"):
        output = named(made.spans, name).attributes["output.value"]
        assert output == f"a note: db.example/find?of={MASK}"


# -- components that are excluded


async def test_what_is_below_an_excluded_component_hangs_on_what_is_above_it(
    sampled: Callable[..., Sampled],
) -> None:
    made = sampled(excluded_components=["ScriptedModel", "Prompt*"])
    await flows.run_flow(flows.linear_chat(), session_id="s1")

    check(made.spans, session="s1", traces=1)
    assert (
        render(main_parts(made.spans))
        == """\
CHAIN Linear chat
  CHAIN Chat Input
  LLM ScriptedChatModel
  CHAIN Chat Output"""
    )


async def test_a_flow_has_its_input_and_output_from_components_without_a_span(
    sampled: Callable[..., Sampled],
) -> None:
    made = sampled(excluded_components=["Chat*"])
    await flows.run_flow(flows.sync_method(), "hi")

    assert render(made.spans) == "CHAIN Sync method\n  CHAIN Compute"
    flow = named(made.spans, "Sync method").attributes
    assert flow["input.value"] == "hi"
    assert flow["output.value"] == "hi (worker thread)"


async def test_an_error_in_an_excluded_component_fails_the_flow(
    sampled: Callable[..., Sampled],
) -> None:
    made = sampled(excluded_components=["OrderLookup-demo"])
    with pytest.raises(ValueError, match="no such order"):
        await flows.run_flow(flows.failing(), "4711")

    assert render(made.spans) == "CHAIN Failing !error\n  CHAIN Chat Input"
    flow = named(made.spans, "Failing")
    assert flow.attributes["error.type"] == "LookupError"
    assert flow.status_message == "no such order: 4711"


async def test_the_secrets_of_an_excluded_component_are_masked(
    sampled: Callable[..., Sampled],
) -> None:
    made = sampled(excluded_components=["Link"])
    assert QUOTED in await flows.run_flow(secret_flows.link(SECRET), "a note")

    output = named(made.spans, "Chat Output").attributes["output.value"]
    assert output == f"a note: db.example/find?of={MASK}"
    assert QUOTED not in repr([dict(span.attributes) for span in made.spans])


async def test_an_excluded_loop_numbers_its_iterations_all_the_same(
    sampled: Callable[..., Sampled],
) -> None:
    made = sampled(excluded_components=["LoopComponent", "Loop"])
    await flows.run_flow(control_flows.loop_that_asks(), "a,b")

    check(made.spans, traces=1)
    asked = sorted((s for s in made.spans if s.name == "Ask Row"), key=lambda s: s.start_ns)
    assert [span.attributes["langflow.loop.index"] for span in asked] == [0, 1]
    flow = named(made.spans, "Loop that asks")
    assert {span.parent_id for span in asked} == {flow.span_id}


async def test_a_flow_called_by_an_excluded_component_hangs_on_the_outer_flow(
    sampled: Callable[..., Sampled],
) -> None:
    made = sampled(excluded_components=["Call"])
    await flows.run_flow(control_flows.call(flows.sync_method()))

    check(made.spans, traces=1)
    assert (
        render(made.spans)
        == """\
CHAIN Outer
  CHAIN Chat Input
  CHAIN Sync method
    CHAIN Chat Input
    CHAIN Compute
    CHAIN Chat Output
  CHAIN Chat Output"""
    )


async def test_an_excluded_agent_leaves_its_models_and_tools(
    sampled: Callable[..., Sampled],
) -> None:
    made = sampled(excluded_components=["Agent"])
    await flows.run_flow(flows.agent_with_tools(), "weather?")

    check(made.spans, traces=1)
    kinds = [span.kind for span in main_parts(made.spans)]
    assert (kinds.count("LLM"), kinds.count("TOOL")) == (2, 2)
    assert not [span for span in made.spans if is_ours(span) and span.name == "Agent"]


async def test_a_component_that_is_hidden_and_excluded_is_hidden(
    sampled: Callable[..., Sampled],
) -> None:
    made = sampled(excluded_components=["ScriptedModel"], hide_components=["ScriptedModel"])
    await flows.run_flow(flows.linear_chat("the answer"))

    model = next(span for span in made.spans if span.kind == "LLM")
    assert model.attributes["langflow.content.hidden"] is True
    assert "the answer" not in repr(dict(named(made.spans, "Linear chat").attributes))


# -- the names


@pytest.mark.parametrize(
    ("patterns", "name", "matches"),
    [
        (["Chat"], "Chat", True),
        (["Chat"], "chat", False),
        (["Chat"], "Chat 2", False),
        (["Chat*"], "Chat\n2", True),
        (["Chat ?"], "Chat 2", True),
        (["Chat ?"], "Chat ", False),
        (["*"], "", False),
        (["Chat [prod]"], "Chat [prod]", True),
        (["Chat [prod]"], "Chat p", False),
        (["a|b", "c.d"], "a", False),
        (["a|b", "c.d"], "cxd", False),
        (["a|b", "c.d"], "a|b", True),
        ([], "Chat", False),
    ],
)
def test_which_names_a_pattern_stands_for(
    patterns: Sequence[str], name: str, matches: bool
) -> None:
    assert NamePatterns(patterns).match(None, name) is matches


def test_what_cannot_be_a_list_of_names_excludes_nothing(
    environment: pytest.MonkeyPatch, said: Any
) -> None:
    environment.setenv("OTEL_PYTHON_LANGFLOW_EXCLUDED_COMPONENTS", "Chat;Prompt")
    LangflowInstrumentor().instrument(excluded_flows=7)
    LangflowInstrumentor().uninstrument()
    assert [line for line in said() if "EXCLUDED_COMPONENTS" in line] == [
        "langflow-otel: OTEL_PYTHON_LANGFLOW_EXCLUDED_COMPONENTS='Chat;Prompt' is not allowed "
        "(allowed: names, comma-separated); using it as it stands"
    ]
    assert [line for line in said() if "excluded_flows" in line] == [
        "langflow-otel: instrument(excluded_flows=…)='int' is not allowed "
        "(allowed: a list of texts); using none"
    ]
