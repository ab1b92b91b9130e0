"""How each type is read: as what plain value a person would want to see.

Types are known by the names of their classes, so that no library is imported here. Instance
dictionaries are read instead of attributes: a property may compute, block or raise.
"""

import dataclasses
import datetime
import decimal
import enum
import inspect
import io
import pathlib
import uuid
from collections.abc import AsyncIterable, Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Any, NamedTuple

from langflow_otel.capture.blobs import note_of_bytes
from langflow_otel.capture.classes import instances_of, langflow_names, per_class, qualified_names
from langflow_otel.capture.shapes import MASK

_MESSAGE_FIELDS = ("sender", "sender_name", "session_id", "files")
_HEAD_ROWS = 20
_MAX_COLUMNS = 100
_MAX_HEADING = 1000
_MAX_NUMBERS = 4096
_is_one_of_streams = instances_of(Iterator, AsyncIterable, Awaitable, io.IOBase)
_NO_STREAMS = frozenset({str, dict, list, tuple, int, float, bool, type(None)})
SHORTEST_VECTOR = 128

Reader = Callable[[Any], Any]


class Table(NamedTuple):
    """What is shown of a table: rows and columns it has, the columns' names, its first rows."""

    shape: tuple[int, ...]
    columns: list[str]
    rows: list[list[Any]]


class Vector(NamedTuple):
    """Many numbers: what is said of them, and how to get those that may be shown if asked for."""

    note: str
    numbers: Callable[[], Any]


def is_secret(value: Any) -> bool:
    """Tell whether `value` is a pydantic SecretStr or the like."""
    return is_secret_type(type(value))


@per_class
def is_secret_type(cls: type) -> bool:
    """Tell whether instances of `cls` are such."""
    # Of pydantic's classes this takes longer than all else that is asked of a value.
    return hasattr(cls, "get_secret_value")


def is_stream(value: Any) -> bool:
    """Tell whether reading `value` would consume it."""
    if type(value) in _NO_STREAMS:
        return False
    return _is_one_of_streams(value)


def message_text(value: Any) -> str | None:
    """Return the text of a Langflow Message that is nothing but text, else None."""
    try:
        if not _is_message(value):
            return None
        text = _text_of(value)
    except Exception:  # noqa: BLE001 - it is something else that calls itself so
        return None
    return text if type(text) is str and not vars(value).get("files") else None


def carries_stream(value: Any) -> bool:
    """Tell whether `value` is a stream, or a Message whose text is still one."""
    return is_stream(value) or (_is_message(value) and is_stream(_text_of(value)))


@per_class
def reader(cls: type) -> Reader:
    """Return the function that turns an instance of `cls` into a plain value."""
    for known, readers in (
        (langflow_names(cls), _LANGFLOW_READERS),
        (qualified_names(cls), _LIBRARY_READERS),
    ):
        for name, read in readers.items():
            if name in known:
                return read
    for base, read in _STANDARD_READERS.items():
        if issubclass(cls, base):
            return read
    if hasattr(cls, "get_secret_value"):
        return _mask
    if hasattr(cls, "__pydantic_fields__") or hasattr(cls, "__fields__"):
        return _public_fields
    if dataclasses.is_dataclass(cls):
        return _public_fields
    return _note


def _is_message(value: Any) -> bool:
    return "Message" in langflow_names(type(value))


def _text_of(message: Any) -> Any:
    fields = vars(message)
    stream = fields.get("_text_stream")
    if stream is not None:
        return stream
    blocks = [getattr(block, "__dict__", {}) for block in fields.get("content_blocks") or ()]
    texts = [block["text"] for block in blocks if isinstance(block.get("text"), str)]
    if texts and "text" not in fields:
        return "".join(texts)
    return fields.get("text") or fields.get("data", {}).get(fields.get("text_key", "text"), "")


def _message(value: Any) -> Any:
    fields = vars(value)
    shown = {name: fields[name] for name in _MESSAGE_FIELDS if fields.get(name)}
    return {"text": _text_of(value), **shown}


def _data(value: Any) -> Any:
    return vars(value).get("data")


def _public_fields(value: Any) -> Any:
    try:
        fields = {**object.__getattribute__(value, "__dict__")}
    except AttributeError:
        fields = {}
    slots = _slots(type(value))
    for name, slot in slots.items():
        # One that is not set is not there.
        with suppress(AttributeError):
            fields.setdefault(name, slot.__get__(value))
    extra = fields.get("__pydantic_extra__") or {}
    return {name: item for name, item in {**fields, **extra}.items() if name[:1] != "_"}


@per_class
def _slots(cls: type) -> dict[str, Any]:
    return {
        name: slot
        for base in cls.__mro__
        for name, slot in vars(base).items()
        if inspect.ismemberdescriptor(slot) and (name[:1] != "_" or name == "__pydantic_extra__")
    }


def _lc_message(value: Any) -> Any:
    fields = vars(value)
    shown = {"type": fields.get("type"), "content": fields.get("content")}
    if fields.get("tool_calls"):
        shown["tool_calls"] = fields["tool_calls"]
    return shown


def _lc_document(value: Any) -> Any:
    fields = vars(value)
    return {
        name: fields.get(name) for name in ("page_content", "metadata", "id") if fields.get(name)
    }


def _lc_tool(value: Any) -> Any:
    fields = vars(value)
    return {"name": fields.get("name"), "description": fields.get("description")}


def _frame(value: Any) -> Any:
    columns = list(value.columns[:_MAX_COLUMNS])
    # A slice by `iloc` makes a table of it, which takes half a millisecond.
    column = getattr(value, "_get_column_array", None) or (lambda at: value.iloc[:, at])
    heads = [column(at)[:_HEAD_ROWS].tolist() for at in range(len(columns))]
    return Table(
        shape=tuple(value.shape),
        columns=[name if isinstance(name, str) else repr(name)[:_MAX_HEADING] for name in columns],
        rows=[list(row) for row in zip(*heads, strict=True)],
    )


def _series(value: Any) -> Any:
    head = value.iloc[:_HEAD_ROWS].tolist()
    if isinstance(value.name, str):
        return Table(shape=tuple(value.shape), columns=[value.name], rows=[[item] for item in head])
    labels = value.index[:_HEAD_ROWS].tolist()
    named = all(isinstance(label, str) for label in labels)
    return {
        "shape": list(value.shape),
        "dtype": str(value.dtype),
        "head": dict(zip(labels, head, strict=True)) if named else head,
    }


def _array(value: Any) -> Any:
    shape, dtype = tuple(value.shape), str(value.dtype)
    return Vector(
        f"<{type(value).__name__} shape={shape} dtype={dtype}>",
        lambda: [number for number, _ in zip(value.flat, range(_MAX_NUMBERS), strict=False)],
    )


def vector_of(value: Any) -> Vector | None:
    """Return what a list is that is as long as an embedding, if numbers are in it."""
    if {type(item) for item in value[:16]} != {float}:
        return None
    return Vector(f"<vector of {len(value)} floats>", lambda: value[:_MAX_NUMBERS])


def _item(value: Any) -> Any:
    return value.item()


def _image(value: Any) -> Any:
    fields = vars(value)
    width, height = fields.get("_size") or (0, 0)
    return f"<{type(value).__name__} {width}x{height} {fields.get('_mode', '')}>"


def _multi(value: Any) -> Any:
    """Headers of httpx: pairs, because a name may come twice."""
    return [[name.decode("latin-1"), item.decode("latin-1")] for name, _, item in value._list]


def _store(value: Any) -> Any:
    return dict(vars(value)["_store"].values())


def _enum(value: Any) -> Any:
    return value._value_ if isinstance(value._value_, str | int) else value._name_


def _mask(_value: Any) -> Any:
    return MASK


def _note(value: Any) -> Any:
    cls = type(value)
    return f"<{cls.__module__}.{cls.__qualname__}>"


_LANGFLOW_READERS: dict[str, Reader] = {"Message": _message, "Data": _data, "JSON": _data}
_LIBRARY_READERS: dict[str, Reader] = {
    "pandas.DataFrame": _frame,
    "pandas.Series": _series,
    "numpy.ndarray": _array,
    "numpy.generic": _item,
    "torch.Tensor": _array,
    "PIL.Image": _image,
    "httpx.Headers": _multi,
    "requests.CaseInsensitiveDict": _store,
    "langchain_core.BaseMessage": _lc_message,
    "langchain_core.Document": _lc_document,
    "langchain_core.BaseTool": _lc_tool,
    "langchain_core.BaseLanguageModel": _note,
    "langchain_core.Embeddings": _note,
}
_STANDARD_READERS: dict[type, Reader] = {
    bytes: note_of_bytes,
    bytearray: note_of_bytes,
    memoryview: note_of_bytes,
    enum.Enum: _enum,
    datetime.datetime: datetime.datetime.isoformat,
    datetime.date: datetime.date.isoformat,
    datetime.time: datetime.time.isoformat,
    datetime.timedelta: datetime.timedelta.total_seconds,
    decimal.Decimal: decimal.Decimal.__str__,
    uuid.UUID: uuid.UUID.__str__,
    pathlib.PurePath: pathlib.PurePath.__str__,
}
