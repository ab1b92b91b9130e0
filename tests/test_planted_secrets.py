"""Whatever value a flow carries, and wherever in it a secret is, the secret is not in the trace.

`python -m tests.fuzz` tries the same properties with other values, for as long as is wanted.
"""

from __future__ import annotations

import asyncio
import base64
import importlib.util
import itertools
import json
import logging
import os
import random
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, NamedTuple
from urllib.parse import unquote_plus

import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from lfx.custom.custom_component.component import Component
from lfx.graph.graph.base import Graph
from lfx.io import DataInput, Output, SecretStrInput
from lfx.schema.data import Data
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator

from langflow_otel.capture import (
    ALL_CONTENT,
    Capture,
    RunSecrets,
    SecretNames,
    secrets_of,
    shapes,
)
from langflow_otel.capture.masker import Masker
from langflow_otel.capture.pairs import SecretPairs
from langflow_otel.export.destination import DestinationSpanExporter
from langflow_otel.export.sending import ExporterSender
from langflow_otel.guard import logger
from langflow_otel.patterns import LeftOut
from langflow_otel.selection import SCOPE
from langflow_otel.settings import Settings
from langflow_otel.spans import Component as Told
from langflow_otel.spans import Failure, Flow, LangflowTracer, Tool
from tests.conftest import Traced
from tests.support import strategies as made
from tests.support.strategies import Planted
from tests.support.versions import before

PIECE = 9
LONG_ENOUGH_FOR_PIECES = 18
LIMIT = 2000
SHORT_LIMIT = 300
# For what takes milliseconds; of the processor, not of a clock.
SECONDS = 8

some = settings(
    max_examples=20,
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
)
more = settings(some, max_examples=100)
few = settings(some, max_examples=15)


class OwnIds(IdGenerator):
    """Ids that are not made by `random`, which hypothesis starts anew for each example."""

    def generate_trace_id(self) -> int:
        return int.from_bytes(os.urandom(16), "big")

    def generate_span_id(self) -> int:
        return int.from_bytes(os.urandom(8), "big")


# -- what can be read in a text, by somebody who tries

_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{8,}")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|U([0-9a-fA-F]{8})|(.))", re.S)
_CONTROLS = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}


def _unescaped(text: str) -> str:
    def character(match: re.Match[str]) -> str:
        code = match[1] or match[2] or match[3]
        return chr(int(code, 16)) if code else _CONTROLS.get(match[4], match[4])

    return (
        _ESCAPE.sub(character, text).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    )


def _decoded(text: str) -> Iterator[str]:
    for run in _BASE64.findall(re.sub(r"(?:\\n|\s)", "", text)):
        plain = run.replace("-", "+").replace("_", "/")
        for start in range(4):
            part = plain[start:]
            part = part[: len(part) // 4 * 4]
            yield base64.b64decode(part).decode("utf-8", "ignore")


def readings(text: str) -> list[str]:
    """The text, and all that it says when it is decoded."""
    found = [text]
    for _ in range(4):
        found.append(_unescaped(found[-1]))
    found += [unquote_plus(reading) for reading in found[:3]]
    found += [unquote_plus(found[-1]), *_decoded(text)]
    return list(dict.fromkeys(found))


def leaks(text: str, secrets: Iterable[str]) -> list[str]:
    """The secrets, and pieces of secrets, that can be read in a text."""
    found = []
    read = readings(text)
    for secret in secrets:
        pieces = [secret]
        if len(secret) >= LONG_ENOUGH_FOR_PIECES:
            pieces += [secret[at : at + PIECE] for at in range(len(secret) - PIECE + 1)]
        found += [piece for piece in pieces if any(piece in reading for reading in read)]
    return found


# -- a run, without Langflow


class _TooSlow(BaseException):
    pass


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Give up what takes more seconds of the processor: a regular expression that never ends."""

    def stop(*_: Any) -> None:
        raise _TooSlow

    before = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    except _TooSlow:
        raise AssertionError(f"takes more than {seconds} s") from None
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


class Seen(NamedTuple):
    """The spans of a run, as they were made and as a destination gets them; what was logged."""

    raw: tuple[ReadableSpan, ...]
    sent: tuple[ReadableSpan, ...]
    logged: str


class _Log(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.text = ""
        self.setFormatter(logging.Formatter("%(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self.text += self.format(record) + "\n"


@contextmanager
def _listening() -> Iterator[_Log]:
    log, level = _Log(), logger.level
    logger.addHandler(log)
    logger.setLevel(logging.DEBUG)
    try:
        yield log
    finally:
        logger.removeHandler(log)
        logger.setLevel(level)


_arrived, _sent = InMemorySpanExporter(), InMemorySpanExporter()
_provider = TracerProvider(
    id_generator=OwnIds(), resource=Resource.get_empty(), shutdown_on_exit=False
)
_provider.add_span_processor(SimpleSpanProcessor(_arrived))
_destination = DestinationSpanExporter(
    "here", ExporterSender(_sent), settings=Settings(), ai_only=False, content=True
)


def _told(number: int, **told: Any) -> Told:
    name = f"Part {number}"
    return Told(id=f"Part-{number}", type="Part", display_name=name, kind="CHAIN", **told)


def _text(value: Any) -> str:
    # Pandas would cut a secret itself, so that nobody could tell what is left.
    with pd.option_context("display.max_colwidth", None, "display.width", None):
        try:
            return f"no: {value}"
        except Exception:  # noqa: BLE001 - a value may raise whatever it likes
            return "no"


def run(planted: Planted, max_bytes: int = LIMIT) -> Seen:
    """A flow of three components, one of which calls a tool, that do all they can with a value."""
    value = planted.value
    tracer = LangflowTracer(
        _provider.get_tracer(SCOPE), Capture(max_bytes=max_bytes), ALL_CONTENT, LeftOut()
    )
    # Hypothesis seeds what OpenTelemetry makes trace ids of: each run would be the same trace.
    random.seed()
    _arrived.clear()
    _sent.clear()
    with _listening() as log, within(SECONDS):
        flow = tracer.flow(Flow(name="Flow"), trace.INVALID_SPAN)
        flow.attach()
        for secret in planted.known:
            secrets_of(flow.span.get_span_context().trace_id).add(secret)

        first = tracer.component(_told(1, is_input=True))
        first.attach()
        first.record_inputs({"value": value, "other": 1})
        first.record_log("a log", "text", value)
        first.record_outputs({"out": value}, answered=False)
        first.end()

        second = tracer.component(_told(2, upstream=["Part-1"]))
        second.attach()
        tool = tracer.tool(Tool("tool", "A tool", lambda: {"type": "object"}, "Part-2"), value)
        tool.attach()
        tool.record_output(value)
        tool.end()
        second.record_outputs({"one": value, "two": [value]}, answered=False)
        second.end()

        last = tracer.component(_told(3, upstream=["Part-2"], is_output=True))
        last.attach()
        last.record_outputs({"out": {"value": value}}, answered=False)
        told = planted.secrets or planted.late
        last.fail(Failure("error", ValueError(_text(value)) if told else OSError("no")))
        last.end()
        for secret in planted.late:
            flow.capture.secrets.add(secret)
        flow.end()
        raw = _arrived.get_finished_spans()
        _destination.export(raw)
    return Seen(raw, _sent.get_finished_spans(), log.text)


def _strings(span: ReadableSpan) -> Iterator[tuple[str, str]]:
    yield "name", span.name
    yield "status", span.status.description or ""
    for place, attributes in [
        ("", span.attributes or {}),
        *((f"event {event.name}: ", event.attributes or {}) for event in span.events),
    ]:
        for name, value in attributes.items():
            yield f"{place}{name}", "\n".join(value) if isinstance(value, tuple) else str(value)


def check_shown(seen: Seen, max_bytes: int) -> None:
    """Every value is as long as it may be, JSON is JSON, and what is cut says so."""
    assert len(seen.sent) == len(seen.raw) == 5
    for span in (*seen.raw, *seen.sent):
        attributes = dict(span.attributes or {})
        # The mask has ten characters, the shortest secret six.
        room = max_bytes if span in seen.raw else max_bytes * 10 // 6 + 10
        for place, text in _strings(span):
            assert len(text.encode()) <= room, f"{span.name}: {place} is too long"
        for side in ("input", "output"):
            text = str(attributes.get(f"{side}.value", ""))
            if attributes.get(f"{side}.mime_type") == "application/json":
                json.loads(text)
            if "… [cut]" in text or "more characters]" in text:
                assert attributes.get(f"langflow.{side}.truncated") is True, text
    assert made.touched() == 0, "a stream was read from"


def check_no_secret(seen: Seen, secrets: Iterable[str], spans: Iterable[ReadableSpan]) -> None:
    """None of the secrets, nor a piece of one, is anywhere in the spans or in the log."""
    assert leaks(seen.logged, secrets) == [], f"logged: {seen.logged}"
    for span in spans:
        for place, text in _strings(span):
            found = leaks(text, secrets)
            assert not found, f"{found} in {place} of {span.name}: {text}"


def _tells_no_secret(planted: Planted, max_bytes: int) -> None:
    seen = run(planted, max_bytes)
    check_no_secret(seen, planted.secrets, (*seen.sent, *seen.raw))
    # What is found out at the end is masked on its way to a destination only.
    check_no_secret(seen, planted.late, seen.sent)
    check_shown(seen, max_bytes)


# -- the properties, each a strategy and what must be true of what it makes


def tells_no_secret(planted: Planted) -> None:
    _tells_no_secret(planted, LIMIT)


def any_value_is_shown(value: Any) -> None:
    seen = run(Planted(value))
    assert "failed with" not in seen.logged
    check_shown(seen, LIMIT)


def any_value_is_captured(value: Any) -> None:
    for max_bytes in (256, LIMIT, 100_000):
        capture = Capture(max_bytes=max_bytes, secrets=RunSecrets())
        for captured in (capture.value(value), capture.json(value)):
            assert len(captured.text.encode()) <= max_bytes
            if captured.mime_type == "application/json":
                json.loads(captured.text)
    assert made.touched() == 0, "a stream was read from"


def is_cut_without_a_leak(planted: Planted) -> None:
    _tells_no_secret(planted, SHORT_LIMIT)


def a_gate_that_says_no_is_right(texts: tuple[list[str], str]) -> None:
    parts, secret = texts
    names, secrets = SecretNames(), RunSecrets()
    secrets.add(secret)
    masker, pairs = Masker(names, secrets), SecretPairs(names)
    whole = "\n".join(parts)
    for text in (*parts, whole):
        if not masker.suspects(text):
            # What a whole value's texts are looked at as, in one.
            for part in parts if text is whole else [text]:
                assert secrets.without(part) == part
                assert shapes.without(part, lambda _: None) == part
                assert pairs.without(part, lambda _: None) == part


def is_read_in_time(text: str) -> None:
    for capture in (Capture(max_bytes=16_384), Capture(max_bytes=16_384, secrets=RunSecrets())):
        with within(SECONDS):
            assert len(capture.value(text).text.encode()) <= 16_384
            capture.json({"text": text})


Property = tuple[Any, Callable[[Any], None]]

WRITTEN: dict[str, Property] = {
    f"a known secret, {way}": (made.known(write), tells_no_secret)
    for way, write in {**made.WRITTEN, **made.WRITTEN_ELSEWHERE}.items()
}
NAMED: dict[str, Property] = {
    f"a named secret, {name}": (made.named(layout, alphabets), tells_no_secret)
    for layouts, alphabets in (
        (made.NAMED, made.ANYTHING),
        (made.NAMED_IN_TEXT, made.UNQUOTED[:-1]),
    )
    for name, layout in layouts.items()
}
OTHERS: dict[str, Property] = {
    "a secret in an address": (made.in_queries(), tells_no_secret),
    "a known secret at the cut": (made.at_the_cut(SHORT_LIMIT), is_cut_without_a_leak),
    "a named secret at the cut": (made.named_at_the_cut(SHORT_LIMIT), is_cut_without_a_leak),
    "a secret like a placeholder": (made.like_placeholders(), tells_no_secret),
    "a known number": (made.numbers_as_secrets(), tells_no_secret),
    "a secret named late": (made.named_late(), tells_no_secret),
    "a secret known late": (made.known_late(SHORT_LIMIT), is_cut_without_a_leak),
}
VALUES: dict[str, Property] = {
    "any value": (made.values, any_value_is_shown),
    "any value, captured": (made.values, any_value_is_captured),
    "a deep value": (made.deep_values, any_value_is_captured),
    "a hostile value": (made.hostile, any_value_is_shown),
}
TEXTS: dict[str, Property] = {
    "the gate": (
        st.tuples(st.lists(made.fragments, min_size=1, max_size=4), made.secrets()),
        a_gate_that_says_no_is_right,
    ),
    "a text that is hard to read": (made.repeated(), is_read_in_time),
}
PROPERTIES = {**WRITTEN, **NAMED, **OTHERS, **VALUES, **TEXTS}


@pytest.fixture(autouse=True, scope="module")
def modules_that_can_be_looked_at() -> None:
    """Leave out the modules of lfx that are imported when they are asked for anything.

    Hypothesis asks all there are for their file, and without a Langflow their import fails.
    """
    for name in [name for name in sys.modules if name.startswith("lfx.components.logic.")]:
        if not isinstance(sys.modules[name], ModuleType):
            del sys.modules[name]


def holds(name: str, how: settings) -> None:
    """Try one of the properties."""
    strategy, check_it = PROPERTIES[name]
    how(given(strategy)(check_it))()


@pytest.mark.parametrize("name", WRITTEN)
def test_a_secret_of_a_field_is_in_no_span_however_it_is_written(name: str) -> None:
    holds(name, some)


@pytest.mark.parametrize("name", NAMED)
def test_a_secret_that_a_name_tells_of_is_in_no_span(name: str) -> None:
    holds(name, some)


@pytest.mark.parametrize("name", OTHERS)
def test_a_secret_is_in_no_span(name: str) -> None:
    holds(name, more)


@pytest.mark.parametrize("name", VALUES)
def test_whatever_the_value_it_is_shown_bounded_and_unread(name: str) -> None:
    holds(name, more)


def test_where_the_gate_says_that_there_is_no_secret_nothing_would_be_masked() -> None:
    holds("the gate", settings(more, max_examples=400))


def test_no_text_is_too_hard_to_read() -> None:
    holds("a text that is hard to read", more)


@pytest.mark.parametrize("make", made.HOSTILE, ids=itertools.count())
def test_a_hostile_value_raises_nothing_and_takes_nothing_else_with_it(
    make: Callable[[], Any],
) -> None:
    room = 40_000
    seen = run(Planted({"before": "shown", "hostile": make(), "after": "shown"}), room)
    check_shown(seen, room)
    shown = next(span for span in seen.sent if span.name == "Part 1").attributes or {}
    value = json.loads(str(shown["output.value"]))
    assert (value["before"], value["after"]) == ("shown", "shown")


def test_a_mapping_that_changes_while_it_is_read_is_shown_as_far_as_it_was() -> None:
    changing: dict[str, Any] = {f"key {n}": "x" * 20 for n in range(200)}
    done = threading.Event()

    def change() -> None:
        for number in itertools.count():
            if done.is_set():
                return
            changing[f"more {number % 50}"] = [number]
            changing.pop(f"more {(number + 25) % 50}", None)

    threading.Thread(target=change, daemon=True).start()
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for value in (changing, [changing, ("token", changing)], {"credentials": changing}):
            for _ in range(30):
                any_value_is_captured(value)
    finally:
        sys.setswitchinterval(interval)
        done.set()


# -- what it costs, counted


def _touched(value: Any) -> int:
    """How many calls a capture makes, and how many characters it looks for secrets in."""
    counted = 0

    def count(_: Any, event: str, argument: Any) -> None:
        nonlocal counted
        counted += event in {"call", "c_call"}

    class Counting(Masker):
        def suspects(self, text: str) -> bool:
            nonlocal counted
            counted += len(text)
            return super().suspects(text)

        def text(self, text: str) -> str:
            nonlocal counted
            counted += len(text)
            return super().text(text)

    capture = Capture(max_bytes=16_384, secrets=RunSecrets())
    capture.masker = Counting(capture.masker.names, capture.secrets)
    sys.setprofile(count)
    try:
        capture.value(value)
    finally:
        sys.setprofile(None)
    return counted


SENTENCE = "The quick brown fox has a password=hunter2xyz and a long day. "
LARGE: dict[str, Callable[[int], Any]] = {
    "a text": lambda size: SENTENCE * (size // 62),
    "a text in a value": lambda size: {"text": SENTENCE * (size // 62)},
    "a list": lambda size: ["word and word"] * (size // 16),
    "a dictionary": lambda size: {f"key {n}": "word" for n in range(size // 20)},
    "rows": lambda size: [{"id": n, "text": SENTENCE} for n in range(size // 80)],
    "nested": lambda size: [[[SENTENCE] * 100] * (size // 62_000)] * 10,
    "a table": lambda size: pd.DataFrame({"text": [SENTENCE] * (size // 62)}),
    "bytes": bytes,
    "base64": lambda size: base64.b64encode(bytes(range(256)) * (size // 340)).decode(),
    "data URLs": lambda size: "see data:image/png;base64,iVBORw0KGgo= " * (size // 39),
    "numbers": lambda size: [float(n) for n in range(size // 20)],
    "a secret": lambda size: {"password": SENTENCE * (size // 62)},
    "secrets": lambda size: {"credentials": [SENTENCE] * (size // 62)},
    "a schema": lambda size: {"token": {"type": "str", "description": SENTENCE * (size // 62)}},
    "a large key": lambda size: {SENTENCE * (size // 62): 1},
    "JSON text": lambda size: json.dumps([{"id": n, "text": SENTENCE} for n in range(size // 80)]),
}


@pytest.mark.parametrize("kind", LARGE)
def test_ten_times_the_value_costs_the_same(kind: str) -> None:
    _touched(LARGE[kind](1000))
    small, large = (_touched(LARGE[kind](size)) for size in (1_000_000, 10_000_000))
    assert large <= small * 1.5 + 50


# -- a real run


class Giver(Component):
    """Gives a value, logs it, and knows the secret in it from a field."""

    name = "Giver"
    inputs = [SecretStrInput(name="opener")]
    outputs = [Output(name="data", display_name="Data", method="give")]
    value: Any = None

    def give(self) -> Data:
        self.log({"value": Giver.value}, name="log")
        return Data(data={"value": Giver.value})


class Failing(Component):
    """Fails, and tells of the value that it got."""

    name = "Failing"
    inputs = [DataInput(name="value")]
    outputs = [Output(name="data", display_name="Data", method="fail")]

    def fail(self) -> Data:
        self.log({"got": self.value.data["value"]}, name="log")
        raise ValueError(_text(self.value.data["value"]))


async def _run_graph(planted: Planted) -> None:
    Giver.value = planted.value
    giver = Giver(_id="giver").set(opener="".join(planted.known))
    graph = Graph(giver, Failing(_id="failing").set(value=giver.give))
    with pytest.raises(Exception, match="no"):
        async for _ in graph.async_start():
            pass


# Langflow reads what it passes on, and so cannot pass on what may not be read.
_PLACES = sorted(made.PLACES.keys() - {"a subclass"})
_LAYOUTS = sorted(made.NAMED.keys() - {"an odd dictionary"})


@st.composite
def _any_planted(draw: st.DrawFn) -> Planted:
    way = made.WRITTEN[draw(st.sampled_from(sorted(made.WRITTEN)))]
    layout = made.NAMED[draw(st.sampled_from(_LAYOUTS))]
    return draw(made.known(way, _PLACES) | made.named(layout, made.UNQUOTED[:-1]))


@pytest.mark.skipif(
    importlib.util.find_spec("langflow") is not None and before("1.12"),
    reason="a whole Langflow before 1.12 wants a user for a password field",
)
@few
@given(planted=_any_planted())
def test_a_real_flow_tells_no_secret(traced: Traced, planted: Planted) -> None:
    random.seed()
    traced.clear()
    with _listening() as log:
        asyncio.run(_run_graph(planted))
        spans = traced.spans()
    assert len(spans) == 3
    assert leaks(log.text, planted.secrets) == []
    for span in spans:
        texts = [span.name, span.status_message, *map(str, span.attributes.values())]
        texts += [str(text) for event in span.events for text in event.attributes.values()]
        for text in texts:
            assert leaks(text, planted.secrets) == [], f"in {span.name}: {text}"
