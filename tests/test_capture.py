"""Any value becomes bounded text: nothing is consumed, computed, or raised."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime
import decimal
import enum
import io
import json
import pathlib
import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from langchain_core.documents import Document
from langchain_core.messages import AIMessage
from lfx.schema.data import Data
from lfx.schema.dataframe import DataFrame
from lfx.schema.message import Message
from pydantic import BaseModel, SecretStr

from langflow_otel.capture import Capture

LIMIT = 2000
capture = Capture(max_bytes=LIMIT)


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Point:
    x: int
    y: int


class Model(BaseModel):
    name: str
    key: SecretStr


class Hostile:
    """Raises wherever it is touched."""

    @property
    def text(self) -> str:
        raise RuntimeError("computed")

    def __repr__(self) -> str:
        raise RuntimeError("shown")

    __str__ = __repr__

    def __len__(self) -> int:
        raise RuntimeError("counted")


class HostileDict(dict):  # type: ignore[type-arg]
    def items(self) -> Any:
        raise RuntimeError("walked")


def _json(value: Any) -> Any:
    captured = capture.json(value)
    assert len(captured.text.encode()) <= LIMIT
    return json.loads(captured.text)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, None),
        ({"a": [1, 2.5, True]}, {"a": [1, 2.5, True]}),
        ({1: "one", None: "none"}, {"1": "one", "None": "none"}),
        ((1, 2), [1, 2]),
        ({3}, [3]),
        (float("nan"), "nan"),
        ([float("inf")], ["inf"]),
        (2**70, "<int 71 bits>"),
        ("lone \ud800", "lone ?"),
        (b"12345", "<bytes 5 bytes sha256:5994471abb01>"),
        (Colour.RED, "red"),
        (Point(1, 2), {"x": 1, "y": 2}),
        (datetime.date(2026, 11, 23), "2026-11-23"),
        (decimal.Decimal("1.50"), "1.50"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (pathlib.PurePosixPath("a/b"), "a/b"),
        (SecretStr("sesame"), "**********"),
        (Model(name="n", key=SecretStr("sesame")), {"name": "n", "key": "**********"}),
        (HostileDict(a=1), {"a": 1}),
        (Data(data={"city": "Oslo"}), {"city": "Oslo"}),
        (
            Document(page_content="p", metadata={"s": 1}),
            {"page_content": "p", "metadata": {"s": 1}},
        ),
        (AIMessage("hello"), {"type": "ai", "content": "hello"}),
        (len, "<builtins.builtin_function_or_method>"),
    ],
    ids=repr,
)
def test_a_value_is_shown_as_a_person_would_read_it(value: Any, shown: Any) -> None:
    assert _json(value) == shown


def test_what_langflow_masks_by_name_is_masked_at_any_depth() -> None:
    value = [
        {"headers": {"OPENAI_API_KEY": "sk-1", "Password": "p", "max_tokens": 5}, "api_key": ""}
    ]
    masked = {"OPENAI_API_KEY": "**********", "Password": "**********", "max_tokens": 5}
    assert _json(value) == [{"headers": masked, "api_key": ""}]


def test_a_message_is_its_text() -> None:
    message = Message(text="hello", sender="User", session_id="s1")
    assert capture.value(message) == ("hello", "text/plain", False, None)
    assert _json({"m": message}) == {"m": {"text": "hello", "sender": "User", "session_id": "s1"}}


def test_a_table_is_its_shape_its_columns_and_a_head() -> None:
    table = DataFrame([{"n": number, "word": "w"} for number in range(1000)])
    shown = _json(table)
    assert shown["shape"] == [1000, 2]
    assert shown["columns"] == ["n", "word"]
    assert shown["head"][:2] == [{"n": 0, "word": "w"}, {"n": 1, "word": "w"}]


def test_a_table_in_a_value_is_read_there_too() -> None:
    shown = _json({"table": DataFrame([{"n": 1}]), "password": DataFrame([{"n": 1}])})
    assert shown == {
        "table": {"shape": [1, 1], "columns": ["n"], "head": [{"n": 1}]},
        "password": "**********",
    }


def test_nothing_that_can_be_read_once_is_read() -> None:
    def numbers() -> Iterator[int]:
        yield 1

    async def later() -> AsyncIterator[int]:
        yield 1

    generator, file, stream, items = numbers(), io.StringIO("text"), later(), iter([1])
    shown = _json({"g": generator, "f": file, "s": stream, "i": items, "m": Message(text=stream)})
    assert shown == {
        "g": "<generator>",
        "f": "<StringIO>",
        "s": "<async_generator>",
        "i": "<list_iterator>",
        "m": {"text": "<async_generator>"},
    }
    assert next(generator) == next(items) == 1
    assert file.read() == "text"
    assert asyncio.run(stream.__anext__()) == 1  # type: ignore[arg-type]


def test_a_hostile_object_is_named() -> None:
    assert _json([Hostile(), 1]) == ["<tests.test_capture.Hostile>", 1]


def test_a_cycle_and_a_deep_value_end() -> None:
    cycle: list[Any] = []
    cycle.append(cycle)
    assert _json(cycle) == ["<cycle>"]
    deep: Any = "bottom"
    for _ in range(10_000):
        deep = [deep]
    assert "bottom" not in json.dumps(_json(deep))
    assert capture.json(deep).truncated


@pytest.mark.parametrize(
    "value",
    [
        "a" * 100_000,
        "é" * 100_000,
        "\x00" * 100_000,
        ["word"] * 100_000,
        {f"key {n}": n for n in range(100_000)},
        [[[["x" * 50] * 20] * 20] * 20],
        {"k" * 100_000: 1},
    ],
    ids=lambda value: repr(value)[:20],
)
def test_a_large_value_is_cut_and_stays_valid(value: Any) -> None:
    for captured in (capture.value(value), capture.json(value)):
        assert len(captured.text.encode()) <= LIMIT
        assert captured.truncated or len(json.dumps(value)) > LIMIT
        assert len(captured.text) > LIMIT // 20
        if captured.mime_type == "application/json":
            json.loads(captured.text)
