"""Session, user, tags, metadata and the flow's name stand on every span of a run."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from opentelemetry import context as otel_context
from opentelemetry.sdk.trace import TracerProvider

from langflow_otel import LangflowInstrumentor, attributes
from tests.conftest import Traced
from tests.support import flows
from tests.support.invariants import check
from tests.support.langfuse import LangfuseReceiver
from tests.support.langsmith import LangSmithReceiver
from tests.support.select import named
from tests.support.spans import Span
from tests.support.versions import before


def _everywhere(spans: list[Span], name: str) -> set[Any]:
    """What stands under a name on the spans of a run, None where there is nothing."""
    said = [span.attributes.get(name) for span in spans if span.kind]
    return {tuple(value) if isinstance(value, list) else value for value in said}


async def test_what_langflow_says_is_on_every_span_of_a_run(traced: Traced) -> None:
    await flows.run_flow(flows.agent_with_tools(), session_id="s1")
    spans = traced.spans()
    check(spans, session="s1", traces=1)
    assert _everywhere(spans, "session.id") == {"s1"}
    assert _everywhere(spans, "langflow.flow.name") == {"Agent with tools"}
    assert _everywhere(spans, "langflow.trace.name") == {"Agent with tools"}


async def test_what_is_given_is_on_every_span_and_goes_before_what_langflow_says(
    traced: Traced,
) -> None:
    with attributes(
        session_id="given", user_id="u1", tags=["a", "b"], metadata={"tenant": "acme", "n": 1}
    ):
        await flows.run_flow(flows.agent_with_tools(), session_id="langflows")
    spans = traced.spans()
    check(spans, session="given", traces=1)
    assert _everywhere(spans, "session.id") == {"given"}
    assert _everywhere(spans, "user.id") == {"u1"}
    assert _everywhere(spans, "tag.tags") == {("a", "b")}
    for span in spans:
        if span.kind:
            said = json.loads(span.attributes["metadata"])
            assert (said["tenant"], said["n"]) == ("acme", 1), span.name
    assert "metadata.langflow.run" not in {name for span in spans for name in span.attributes}


async def test_it_ends_with_the_block_and_inner_ones_add_to_outer_ones(traced: Traced) -> None:
    with attributes(session_id="outer", tags=["a"], metadata={"x": 1, "y": 1}):
        with attributes(user_id="u1", tags=["b", "a"], metadata={"y": 2}):
            await flows.run_flow(flows.sync_method())
        inner = traced.spans()
        traced.clear()
        await flows.run_flow(flows.sync_method())
        outer = traced.spans()
        traced.clear()
    await flows.run_flow(flows.sync_method(), session_id="own")
    after = traced.spans()

    assert _everywhere(inner, "session.id") == {"outer"}
    assert _everywhere(inner, "user.id") == {"u1"}
    assert _everywhere(inner, "tag.tags") == {("a", "b")}
    assert _everywhere(inner, "metadata") == {'{"x":1,"y":2}'}
    assert _everywhere(outer, "user.id") == {None}
    assert _everywhere(outer, "tag.tags") == {("a",)}
    assert _everywhere(outer, "metadata") == {'{"x":1,"y":1}'}
    assert _everywhere(after, "session.id") == {"own"}
    assert _everywhere(after, "tag.tags") == _everywhere(after, "metadata") == {None}


async def test_it_is_of_the_flows_below_too(traced: Traced) -> None:
    with attributes(session_id="given", tags=["a"]):
        await flows.run_flow(flows.flow_in_flow(), session_id="langflows")
    spans = traced.spans()
    check(spans, session="given", traces=1)
    assert named(spans, "Inner").session == "given"
    assert _everywhere(spans, "tag.tags") == {("a",)}


async def test_runs_at_the_same_time_keep_to_themselves(traced: Traced) -> None:
    async def run(number: int) -> None:
        with attributes(session_id=f"s{number}", tags=[f"t{number}"]):
            await flows.run_flow(flows.parallel_branches(0.05), session_id="same")

    await asyncio.gather(*(run(number) for number in range(5)))
    spans = traced.spans()
    check(spans, traces=5)
    pairs = {(s.session, tuple(s.attributes["tag.tags"])) for s in spans if s.kind}
    assert pairs == {(f"s{number}", (f"t{number}",)) for number in range(5)}


async def test_it_stands_where_openinferences_own_sets_the_same(traced: Traced) -> None:
    instrumentation = pytest.importorskip("openinference.instrumentation")
    with (
        instrumentation.using_attributes(session_id="x", tags=["a"], metadata={"x": 1}),
        attributes(session_id="given", tags=["b"], metadata={"y": 2}),
    ):
        assert dict(instrumentation.get_attributes_from_context()) == {
            "session.id": "given",
            "tag.tags": ["a", "b"],
            "metadata": '{"x":1,"y":2}',
        }
        with instrumentation.using_attributes(tags=["c"]):
            await flows.run_flow(flows.linear_chat())
    spans = traced.spans()
    assert _everywhere(spans, "session.id") == {"given"}
    assert _everywhere(spans, "tag.tags") == {("c",)}


@pytest.mark.parametrize(
    ("argument", "value", "type_"),
    [
        ("session_id", 7, "int"),
        ("user_id", ["u"], "list"),
        ("tags", 7, "int"),
        ("tags", {"a": 1}, "dict"),
        ("tags", ["a", 7], "int"),
        ("metadata", "x", "str"),
        ("metadata", [("a", 1)], "list"),
    ],
)
async def test_a_wrong_type_is_named_once_and_left_out(
    traced: Traced, said: Any, argument: str, value: Any, type_: str
) -> None:
    for _ in range(2):
        with attributes(**{argument: value}):
            await flows.run_flow(flows.sync_method(), session_id="s1")
    lines = [line for line in said(logging.WARNING) if "attributes(" in line]
    assert len(lines) == 1, lines
    assert f"attributes({argument}=…)" in lines[0]
    assert f"={type_!r} is not allowed" in lines[0]
    spans = traced.spans()
    assert _everywhere(spans, "session.id") == {"s1"}
    assert _everywhere(spans, "tag.tags") == {
        ("a",) if isinstance(value, list) and "a" in value else None
    }
    assert _everywhere(spans, "metadata") == _everywhere(spans, "user.id") == {None}


async def test_what_is_given_is_bounded(traced: Traced, said: Any) -> None:
    class Odd:
        def __repr__(self) -> str:
            raise RuntimeError

    with attributes(
        session_id="s" * 9000,
        tags=[*(f"tag {n}" for n in range(40)), "t" * 9000],
        metadata={"long": "m" * 90_000, "odd": Odd(), 3: float("nan")},
    ):
        await flows.run_flow(flows.sync_method())
    spans = traced.spans()
    check(spans)
    (tags,), (session,), (metadata,) = (
        _everywhere(spans, name) for name in ("tag.tags", "session.id", "metadata")
    )
    assert len(tags) == 32
    assert len(session) == 256
    assert len(metadata) <= 4096
    assert isinstance(json.loads(metadata), dict)
    assert any("attributes(tags=…)" in line for line in said(logging.WARNING))


async def test_secrets_in_metadata_are_masked(
    environment: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    environment.setenv("OTEL_PYTHON_LANGFLOW_MASK_KEYS", "iban")
    traced = request.getfixturevalue("traced")
    secret = {"api_key": "sk-0123456789abcdef", "iban": "DE02120300000000202051", "plan": "free"}
    with attributes(metadata=secret):
        await flows.run_flow(flows.linear_chat())
    for span in traced.spans():
        assert "0123456789abcdef" not in repr(span)
        assert "DE0212" not in repr(span)
    assert '"plan":"free"' in named(traced.spans(), "Linear chat").attributes["metadata"]


async def test_tags_and_metadata_are_content_session_and_user_are_not(
    environment: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    traced = request.getfixturevalue("traced")
    LangflowInstrumentor().uninstrument()
    environment.delenv("OTEL_PYTHON_LANGFLOW_CAPTURE_CONTENT")
    LangflowInstrumentor().instrument()
    with attributes(session_id="s1", user_id="u1", tags=["a"], metadata={"x": 1}):
        await flows.run_flow(flows.linear_chat())
    spans = traced.spans()
    assert (_everywhere(spans, "session.id"), _everywhere(spans, "user.id")) == ({"s1"}, {"u1"})
    assert not {"tag.tags", "metadata"} & {name for span in spans for name in span.attributes}


async def test_nothing_is_left_behind_by_a_generator_that_nobody_reads_on(traced: Traced) -> None:
    def reads() -> Iterator[int]:
        with attributes(session_id="s1"):
            yield 1

    def in_another_context() -> None:
        generator = reads()
        next(generator)
        kept.append(generator)

    kept: list[Any] = []
    await asyncio.to_thread(in_another_context)
    kept.clear()
    assert otel_context.get_value("session.id") is None
    await flows.run_flow(flows.sync_method(), session_id="s2")
    assert _everywhere(traced.spans(), "session.id") == {"s2"}


async def test_the_runs_session_goes_before_langchains_on_model_spans(traced: Traced) -> None:
    """LangChain's instrumentor takes a thread's id for the session, at the end of a span."""
    await flows.run_flow(flows.model_in_a_thread(), session_id="s1")
    spans = traced.spans()
    check(spans, session="s1", traces=1)
    (model,) = (span for span in spans if span.kind == "LLM")
    assert model.session == "s1"
    assert json.loads(model.attributes["metadata"])["thread_id"] == "thread-9"


@pytest.mark.skipif(before("1.12"), reason="Langflow knows of end users from 1.12 on")
@pytest.mark.parametrize("traced_user", [True, False])
async def test_an_end_user_is_told_where_langflow_is_set_to_trace_it(
    traced: Traced, monkeypatch: pytest.MonkeyPatch, traced_user: bool
) -> None:
    from lfx.services.deps import get_settings_service

    monkeypatch.setattr(get_settings_service().settings, "serving_trace_end_user", traced_user)
    graph = flows.graph_of(flows.sync_method(), user_id="account")
    graph.end_user_id = "end-user"
    await flows.run_flow(graph)
    expected = "end-user" if traced_user else "account"
    assert _everywhere(traced.spans(), "user.id") == {expected}


@pytest.fixture
def _uninstrumented() -> Iterator[None]:
    yield
    LangflowInstrumentor().uninstrument()


async def _run_with_all() -> None:
    LangflowInstrumentor().instrument()
    with attributes(session_id="s1", user_id="u1", tags=["a", "b"], metadata={"tenant": "acme"}):
        await flows.run_flow(flows.linear_chat())
    provider = LangflowInstrumentor().tracer_provider
    assert isinstance(provider, TracerProvider)
    assert provider.force_flush()


@pytest.mark.parametrize(
    "flow",
    [flows.sync_method, flows.loop_over_items, flows.agent_with_tools],
    ids=lambda flow: flow.__name__,
)
@pytest.mark.parametrize("user_id", [None, "anna"])
async def test_a_user_that_lfx_makes_up_for_a_run_is_none(
    traced: Traced, flow: Callable[[], flows.Flow], user_id: str | None
) -> None:
    pytest.importorskip("lfx.run._defaults")
    base = pytest.importorskip("lfx.run.base")
    for _ in range(2):
        graph = flows.graph_of(flow())
        base.apply_run_defaults(graph, session_id=None, user_id=user_id)
        assert graph.user_id
        await flows.run_flow(graph)
    spans = traced.spans()
    check(spans, traces=2)
    assert _everywhere(spans, "user.id") == {user_id}


@pytest.mark.usefixtures("_uninstrumented")
async def test_in_langfuse_all_of_it_is_on_each_observation(
    environment: pytest.MonkeyPatch,
) -> None:
    with LangfuseReceiver() as langfuse:
        for name, value in langfuse.environment.items():
            environment.setenv(name, value)
        await _run_with_all()
        langfuse.check_whole()
        spans = langfuse.spans
    for span in spans:
        said = span.attributes
        assert said["langfuse.session.id"] == "s1", span.name
        assert said["langfuse.user.id"] == "u1", span.name
        assert list(said["langfuse.trace.tags"]) == ["a", "b"], span.name
        assert said["langfuse.trace.metadata.tenant"] == "acme", span.name
        assert said["langfuse.trace.name"] == "Linear chat", span.name
        assert "langfuse.trace.metadata.ls_provider" not in said, span.name
        assert "metadata.langflow.run" not in said, span.name


@pytest.mark.usefixtures("_uninstrumented")
async def test_in_langsmith_all_of_it_is_on_each_run(environment: pytest.MonkeyPatch) -> None:
    pytest.importorskip("langsmith")
    with LangSmithReceiver() as langsmith:
        environment.setenv("OTEL_TRACES_EXPORTER", "langsmith")
        for name, value in langsmith.environment.items():
            environment.setenv(name, value)
        await _run_with_all()
        langsmith.check_whole()
        runs = langsmith.runs
    assert len(runs) == 8
    for run in runs:
        assert run.tags == ("a", "b"), run.name
        wanted = {"session_id": "s1", "thread_id": "s1", "user_id": "u1", "tenant": "acme"}
        assert {key: run.metadata.get(key) for key in wanted} == wanted, run.name
