"""Streams reach who reads them as they are, and are told by the component that makes them."""

from __future__ import annotations

import asyncio
import copy
import gc
import inspect
import json
import os
import sqlite3
import time
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterator
from pathlib import Path
from types import GeneratorType, SimpleNamespace
from typing import Any

import pytest
from lfx.schema.message import Message

from langflow_otel.demo.chat_model import ScriptedChatModel
from langflow_otel.seams import streams
from tests.conftest import Traced
from tests.support import flows
from tests.support.collecting import collected_under_lock
from tests.support.invariants import check
from tests.support.reader import Reader
from tests.support.select import main_parts, named
from tests.support.tree import render
from tests.support.versions import before

ALL = ["LangChain async", "LangChain sync", "plain async", "plain sync"]


async def _cancel_after_first_piece(flow: Any) -> Reader:
    reader = Reader()
    task = asyncio.create_task(flows.run_flow(flow, "a b c d e", event_manager=reader.manager))
    await reader.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    return reader


@pytest.mark.parametrize("how", ALL)
async def test_a_stream_is_told_by_who_makes_it_and_reaches_who_reads_it(
    traced: Traced, how: str
) -> None:
    reader = Reader()

    answer = await flows.run_flow(flows.streamed(how), "a b", event_manager=reader.manager)

    assert answer == "".join(reader.read())
    if "async" in how:  # Of a sync stream Langflow loses a piece, with or without us.
        assert answer == "You streamed: a b"
    spans = traced.spans()
    check(spans, traces=1)
    below = "\n    LLM ScriptedChatModel" if "LangChain" in how else ""
    assert (
        render(main_parts(spans))
        == f"""\
CHAIN Streamed
  CHAIN Chat Input
  CHAIN Stream Source{below}
  CHAIN Chat Output"""
    )
    source, shown = named(spans, "Stream Source"), named(spans, "Chat Output")
    assert source.attributes["output.value"] == answer
    assert source.attributes["langflow.component.status"] == "ok"
    assert source.end_ns > shown.start_ns, "it is open until its stream is read"
    assert named(spans, "Streamed").attributes["output.value"] == answer


@pytest.mark.parametrize("how", ALL)
async def test_what_reaches_who_reads_is_what_reaches_them_without_tracing(
    request: pytest.FixtureRequest, how: str
) -> None:
    untraced, reader = Reader(), Reader()
    await flows.run_flow(flows.streamed(how), "a b", event_manager=untraced.manager)
    traced: Traced = request.getfixturevalue("traced")
    await flows.run_flow(flows.streamed(how), "a b", event_manager=reader.manager)

    assert reader.read() == untraced.read()
    assert reader.events == untraced.events
    spans = traced.spans()
    check(spans, traces=1)
    assert named(spans, "Stream Source").attributes["output.value"]


async def test_the_first_token_of_a_stream_that_chat_output_reads_is_told(traced: Traced) -> None:
    reader = Reader()
    await flows.run_flow(flows.streamed("LangChain async"), event_manager=reader.manager)

    spans = traced.spans()
    check(spans, traces=1)
    (model,) = [span for span in spans if span.kind == "LLM"]
    assert [event.name for event in model.events] == ["langflow.first_token"]
    assert model.attributes["llm.token_count.total"] > 0


async def test_a_stream_that_fails_fails_its_maker(traced: Traced) -> None:
    reader = Reader()
    with pytest.raises(Exception, match="the line is dead"):
        await flows.run_flow(flows.streamed(fail_at=2.0), "a b", event_manager=reader.manager)

    assert "".join(reader.read()) == "You streamed:"
    spans = traced.spans()
    check(spans, traces=1)
    source = named(spans, "Stream Source")
    assert source.attributes["error.type"] == "ConnectionError"
    assert source.attributes["output.value"] == "You streamed:"
    assert named(spans, "Streamed").attributes["langflow.flow.status"] == "error"


@pytest.mark.parametrize("how", ["async", "sync"])
async def test_what_is_thrown_into_the_stream_of_a_model_fails_the_model(
    traced: Traced, how: str
) -> None:
    breaker = flows.own.StreamBreakerComponent
    assert await flows.run_flow(flows.single("Broken", breaker, "said", how=how), "a b") == "You "

    spans = traced.spans()
    check(spans, traces=1)
    (model,) = [span for span in spans if span.kind == "LLM"]
    assert model.status == "ERROR"
    (failed,) = [event for event in model.events if event.name == "exception"]
    assert failed.attributes["exception.type"] == "KeyError"
    assert named(spans, "Stream Breaker").attributes["langflow.component.status"] == "ok"


def test_where_nothing_is_recorded_the_stream_of_a_model_is_its_own(traced: Traced) -> None:
    pieces = ScriptedChatModel(script=["You streamed: {input}"]).stream("a")
    assert (type(pieces), pieces.__qualname__) == (GeneratorType, "BaseChatModel.stream")
    assert "".join(piece.content for piece in pieces) == "You streamed: a"


@pytest.mark.parametrize("how", ["LangChain async", "plain async"])
async def test_a_run_that_is_cancelled_in_mid_stream_is_no_error(traced: Traced, how: str) -> None:
    await _cancel_after_first_piece(flows.streamed(how, pause=0.3))

    spans = traced.spans()
    check(spans, traces=1)
    below = "\n    LLM ScriptedChatModel ~cancelled" if "LangChain" in how else ""
    assert (
        render(main_parts(spans))
        == f"""\
CHAIN Streamed ~cancelled
  CHAIN Chat Input
  CHAIN Stream Source ~cancelled{below}
  CHAIN Chat Output ~cancelled"""
    )
    assert [span.name for span in spans if span.status == "ERROR"] == []
    assert [
        event.name for span in spans for event in span.events if event.name == "exception"
    ] == []
    assert named(spans, "Stream Source").attributes["output.value"].startswith("You")


async def test_a_model_that_streams_inside_its_component_is_cancelled_with_it(
    traced: Traced,
) -> None:
    if before("1.9"):
        pytest.skip("before 1.9 it hands its stream to Chat Output")
    await _cancel_after_first_piece(flows.streamed_by_model(delay=3.0))

    spans = traced.spans()
    check(spans, traces=1)
    (model,) = [span for span in spans if span.kind == "LLM"]
    assert model.attributes["langflow.status"] == "cancelled"
    assert json.loads(model.attributes["input.value"])["messages"], "all is told that is known"
    assert named(spans, "Scripted Model").attributes["langflow.component.status"] == "cancelled"
    assert [span.name for span in spans if span.status == "ERROR"] == []


@pytest.mark.parametrize("how", ALL)
async def test_a_stream_that_nobody_reads_is_told_as_that(traced: Traced, how: str) -> None:
    await flows.run_flow(flows.streamed(how))

    spans = traced.spans()
    check(spans, traces=1)
    source = named(spans, "Stream Source")
    assert source.attributes["langflow.component.status"] == "ok"
    assert source.attributes["langflow.stream.read"] == "no"
    assert "output.value" not in source.attributes
    assert source.end_ns <= named(spans, "Chat Output").start_ns, "it was over then"
    assert named(spans, "Streamed").attributes["langflow.flow.status"] == "ok"
    assert [span for span in spans if span.kind == "LLM"] == []


async def test_a_stream_that_is_unread_when_its_run_is_cancelled_is_that_too(
    traced: Traced,
) -> None:
    steps = flows.graph_to_step(flows.streamed()).async_start()
    async for step in steps:
        if getattr(getattr(step, "vertex", None), "id", "").startswith("StreamSource"):
            break
    await steps.aclose()

    spans = traced.spans()
    check(spans, traces=1)
    told = named(spans, "Stream Source").attributes
    assert told["langflow.component.status"] == "cancelled"
    assert "langflow.stream.read" not in told


@pytest.mark.parametrize("how", ALL)
async def test_what_is_read_of_a_stream_after_the_run_is_no_part_of_it(
    traced: Traced, how: str
) -> None:
    graph = flows.graph_to_step(flows.streamed(how))
    async for _ in graph.async_start():
        pass
    (source,) = (each for each in graph.vertices if each.id.startswith("StreamSource"))
    message = source.custom_component._results["tokens"]
    stream = vars(message).get("_text_stream") or message.text
    pieces = [p async for p in stream] if "async" in how else list(stream)
    assert "".join(piece.content for piece in pieces).startswith("You streamed:")

    spans = traced.spans()
    (flow,) = [span for span in spans if "langflow.flow.status" in span.attributes]
    run = [span for span in spans if span.trace_id == flow.trace_id]
    check(run, traces=1)
    told = named(run, "Stream Source").attributes
    assert told["langflow.component.status"] == "ok"
    assert told["langflow.stream.read"] == "no"
    # A model has a trace of its own then.
    assert [span.kind for span in spans if span not in run] == ["LLM"] * ("LangChain" in how)


async def test_a_long_stream_is_kept_in_part_and_says_how_long_it_was(
    traced: Traced, environment: pytest.MonkeyPatch
) -> None:
    reader = Reader()
    text = "word " * 20_000
    answer = await flows.run_flow(flows.streamed(), text, event_manager=reader.manager)

    spans = traced.spans()
    check(spans, traces=1)
    source = named(spans, "Stream Source").attributes
    assert len(source["output.value"].encode()) <= 16 * 1024
    assert source["langflow.output.truncated"] is True
    assert source["langflow.output.original_length"] == len(answer)


async def test_a_secret_in_a_stream_is_masked(traced: Traced) -> None:
    reader = Reader()
    key = "ghp_abcdefghijklmnopqrstuvwxyz0123456789"
    await flows.run_flow(flows.streamed(), f"key {key}", event_manager=reader.manager)
    assert key in "".join(reader.read())
    spans = traced.spans()
    check(spans, traces=1, secrets={"the key": key})
    assert named(spans, "Stream Source").attributes["output.value"]


async def test_nothing_is_read_ahead_and_nothing_stays_current(traced: Traced) -> None:
    from opentelemetry import trace

    made: list[int] = []

    async def pieces() -> AsyncIterator[SimpleNamespace]:
        for number in range(3):
            made.append(number)
            assert trace.get_current_span().is_recording()
            yield SimpleNamespace(content=str(number))

    with _held(traced, pieces()) as (message, _):
        assert made == []
        seen = []
        async for piece in message.text:
            seen.append((piece.content, len(made)))
            assert not trace.get_current_span().get_span_context().is_valid
            await asyncio.sleep(0)
        assert seen == [("0", 1), ("1", 2), ("2", 3)]
    assert _told(traced) == ("ok", "012")


class _held:  # noqa: N801 - reads as one at its use
    """A message with a stream, as a component of a finished run has given it out."""

    def __init__(self, traced: Traced, stream: Any, *, bare: bool = False) -> None:
        from langflow_otel.capture import ALL_CONTENT, Capture
        from langflow_otel.spans import Component, LangflowTracer
        from langflow_otel.spans.tracer import LeftOut

        tracer = LangflowTracer(
            traced.provider.get_tracer("langflow_otel"),
            Capture(max_bytes=1000),
            ALL_CONTENT,
            LeftOut(),
        )
        self.span = tracer.component(Component("Source-1", "Source", "Source", "CHAIN"))
        self.span.attach()
        given = stream if bare else Message(text=stream)
        output = SimpleNamespace(value=given)
        results = {"tokens": given}
        streams.hold(self.span, SimpleNamespace(_outputs_map={"tokens": output}), results)
        self.message: Any = results["tokens"]
        assert output.value is self.message
        self.span.record_outputs(results, answered=False)
        self.span.release()

    def __enter__(self) -> tuple[Message, Any]:
        return self.message, self.span

    def __exit__(self, *_: object) -> None: ...


def _told(traced: Traced) -> tuple[str, str]:
    (span,) = traced.spans()
    return span.attributes["langflow.component.status"], span.attributes.get("output.value", "")


async def _async_pieces() -> AsyncGenerator[str, None]:
    for word in ("a", "b", "c"):
        yield word


def _pieces() -> Generator[str, None, None]:
    yield from ("a", "b", "c")


class _Bare:
    """An iterator that is no generator, with something else to it: a client's stream."""

    response = "the response"

    def __init__(self) -> None:
        self._rest = ["a", "b", "c"]

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        if not self._rest:
            raise StopIteration
        return self._rest.pop(0)


def test_a_stand_in_is_what_the_stream_is(traced: Traced) -> None:
    kinds = (AsyncGenerator, AsyncIterator, Generator, Iterator)
    for stream in (_async_pieces(), _pieces(), _Bare()):
        with _held(traced, stream) as (message, _):
            held = message.text
            assert held is not stream
            assert isinstance(held, type(stream))
            assert inspect.isgenerator(held) == inspect.isgenerator(stream)
            assert inspect.isasyncgen(held) == inspect.isasyncgen(stream)
            assert repr(held) == repr(stream)
            assert [isinstance(held, k) for k in kinds] == [isinstance(stream, k) for k in kinds]
            if isinstance(stream, _Bare):
                assert held.response == "the response"
                assert list(copy.copy(held)) == ["a", "b", "c"]
                stream._rest = ["a", "b", "c"]
                assert list(copy.deepcopy(held)) == ["a", "b", "c"]
                assert list(held) == ["a", "b", "c"]
            else:
                with pytest.raises(TypeError, match="pickle"):
                    copy.deepcopy(held)


class _Client(_Bare):
    """The stream of a client, which is closed where `with` ends, and can be read in both ways."""

    open = False
    _add = "its own"

    def __enter__(self) -> _Client:
        self.open = True
        return self

    def __exit__(self, *_: object) -> None:
        self.open = False

    async def __aenter__(self) -> _Client:
        return self.__enter__()

    async def __aexit__(self, *_: object) -> None:
        self.open = False

    def __aiter__(self) -> _Client:
        return self

    async def __anext__(self) -> str:
        if not self._rest:
            raise StopAsyncIteration
        return self._rest.pop(0)


async def test_the_stream_of_a_client_is_read_inside_of_with(traced: Traced) -> None:
    with _held(traced, _Client()) as (message, _):
        with message.text as stream:
            assert stream.open
            assert stream._add == "its own"
            assert next(stream) == "a"
            assert await anext(stream) == "b"
        assert not stream.open
    assert _told(traced) == ("cancelled", "ab")
    traced.clear()
    with _held(traced, _Client()) as (message, _):
        async with message.text as stream:
            assert [piece async for piece in stream] == ["a", "b", "c"]
    assert _told(traced) == ("ok", "abc")


class Stream(_Bare):
    """Called as the streams of OpenAI's client and of those made alike."""


def test_of_what_is_no_message_only_streams_are_held(traced: Traced) -> None:
    cursor = sqlite3.connect(":memory:").execute("select 1")
    with os.scandir(".") as entries, Path(__file__).open() as file:
        for whole in (cursor, entries, file, iter([1]), zip("ab", "cd", strict=True)):
            assert _held(traced, whole, bare=True).message is whole
    for stream in (_pieces(), _async_pieces(), Stream()):
        assert _held(traced, stream, bare=True).message is not stream


async def test_a_stream_that_is_closed_half_way_is_cancelled(traced: Traced) -> None:
    with _held(traced, _async_pieces()) as (message, _):
        assert await message.text.__anext__() == "a"
        await message.text.aclose()
    assert _told(traced) == ("cancelled", "a")


def test_a_sync_stream_that_is_closed_half_way_is_cancelled(traced: Traced) -> None:
    with _held(traced, _pieces()) as (message, _):
        assert next(message.text) == "a"
        message.text.close()
        assert list(message.text) == []
    assert _told(traced) == ("cancelled", "a")


async def test_who_takes_no_more_of_a_stream_than_is_needed_has_cancelled_nothing(
    traced: Traced,
) -> None:
    held = _held(traced, _async_pieces())
    assert await held.message.text.__anext__() == "a"
    read_ns = time.time_ns()
    del held.message
    gc.collect()
    assert _told(traced) == ("ok", "a")
    (span,) = traced.spans()
    assert span.attributes["langflow.stream.read"] == "partly"
    assert span.end_ns <= read_ns


@pytest.mark.timeout(60)
async def test_the_collector_comes_upon_a_stream_while_a_lock_is_held(traced: Traced) -> None:
    held = _held(traced, _async_pieces())
    assert await held.message.text.__anext__() == "a"
    with collected_under_lock():
        loop: list[Any] = [held.message]
        loop.append(loop)
        del held.message, loop
    assert _told(traced) == ("ok", "a")


async def test_a_stream_takes_what_is_sent_and_thrown_into_it(traced: Traced) -> None:
    def echo() -> Generator[str, str, None]:
        try:
            sent = yield "first"
            yield f"got {sent}"
        except KeyError:
            yield "caught"

    with _held(traced, echo()) as (message, _):
        assert next(message.text) == "first"
        assert message.text.send("it") == "got it"
        assert message.text.throw(KeyError()) == "caught"
        assert list(message.text) == []
    assert _told(traced) == ("ok", "firstgot itcaught")


async def test_two_readers_of_two_streams_do_not_mix(traced: Traced) -> None:
    async def run(number: int) -> str:
        reader = Reader()
        flow = flows.streamed("LangChain async", pause=0.1)
        return await flows.run_flow(
            flow, f"number {number}", session_id=f"s{number}", event_manager=reader.manager
        )

    answers = await asyncio.gather(*(run(number) for number in range(10)))

    assert answers == [f"You streamed: number {number}" for number in range(10)]
    spans = traced.spans()
    check(spans, traces=10)
    for source in [span for span in spans if span.name == "Stream Source"]:
        (model,) = [s for s in spans if s.kind == "LLM" and s.parent_id == source.span_id]
        assert model.attributes["session.id"] == source.attributes["session.id"]
        number = source.attributes["session.id"][1:]
        assert source.attributes["output.value"] == f"You streamed: number {number}"


async def test_no_span_is_left_open_by_streams_however_they_end(traced: Traced) -> None:
    from opentelemetry.sdk.trace import SpanProcessor

    class Count(SpanProcessor):
        open = 0

        def on_start(self, *_: Any, **__: Any) -> None:
            self.open += 1

        def on_end(self, *_: Any) -> None:
            self.open -= 1

    counting = Count()
    traced.provider.add_span_processor(counting)
    for how in ALL:
        await flows.run_flow(flows.streamed(how))
        await flows.run_flow(flows.streamed(how), event_manager=Reader().manager)
        with pytest.raises(asyncio.CancelledError):
            await _raise_cancelled(flows.streamed(how, pause=0.2))
    assert counting.open == 0, render(traced.spans())


async def _raise_cancelled(flow: Any) -> None:
    reader = Reader()
    task = asyncio.create_task(flows.run_flow(flow, "a b c", event_manager=reader.manager))
    await asyncio.sleep(0.3)
    task.cancel()
    await task
    # A sync stream, or a fast one, may have come to its end before.
    raise asyncio.CancelledError
