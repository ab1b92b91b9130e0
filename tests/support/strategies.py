"""Values as flows carry them, and secrets planted in them, for hypothesis to make up."""

from __future__ import annotations

import base64
import collections
import dataclasses
import datetime
import decimal
import enum
import inspect
import json
import pathlib
import random
import re
import sys
import uuid
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from typing import Any
from urllib.parse import quote, quote_plus, urlencode

import numpy as np
import orjson
import pandas as pd
from hypothesis import strategies as st
from langchain_core.documents import Document
from langchain_core.messages import AIMessage, HumanMessage
from lfx.schema.data import Data
from lfx.schema.dataframe import DataFrame
from lfx.schema.message import Message
from pydantic import BaseModel, SecretStr

Strategy = st.SearchStrategy
MAX_DEPTH = 10_000


class Colour(enum.Enum):
    RED = "red"
    NUMBER = 7
    PAIR = (1, 2)


class Level(enum.IntEnum):
    LOW = 1


@dataclasses.dataclass
class Point:
    x: Any
    y: Any = None


class Model(BaseModel):
    name: Any = None
    key: SecretStr = SecretStr("")


def _v1_model(value: Any) -> Any:
    # pydantic.v1 does not work on Python 3.14.
    if sys.version_info >= (3, 14):
        return Model(name=value)
    from pydantic import v1

    class OldModel(v1.BaseModel):
        name: Any = None

    return OldModel.construct(name=value)


# -- what must not be touched


def _raise(*_: Any, **__: Any) -> Any:
    raise RuntimeError("touched")


class Raising:
    """Raises wherever it is touched."""

    text = property(_raise)
    data = property(_raise)
    __repr__ = __str__ = __len__ = __iter__ = __bool__ = __eq__ = _raise
    __hash__ = object.__hash__

    def __getattr__(self, name: str) -> Any:
        # numpy asks this of all that is put into a table, and some of it raises nothing for that.
        if name.startswith("__array"):
            raise AttributeError(name)
        _raise()


class RaisingDict(dict):  # type: ignore[type-arg]
    items = keys = values = get = __iter__ = __len__ = __getitem__ = __contains__ = _raise
    __repr__ = __bool__ = copy = _raise


class RaisingList(list):  # type: ignore[type-arg]
    __iter__ = __len__ = __getitem__ = __contains__ = __repr__ = __bool__ = copy = _raise


class RaisingStr(str):
    __len__ = __getitem__ = __contains__ = __repr__ = __str__ = __bool__ = encode = _raise
    strip = replace = startswith = partition = isascii = lower = _raise


class Consumed(list):  # type: ignore[type-arg]
    """A list whose iteration takes its items away."""

    def __iter__(self) -> Iterator[Any]:
        while list.__len__(self):
            yield self.pop()


class _Odd(type):
    def __eq__(cls, other: object) -> bool:
        return cls is other

    __hash__ = None  # type: ignore[assignment]


class OddClass(metaclass=_Odd):
    """Of a class that has no hash."""


NoModule = type("NoModule", (), {"__module__": None})


def _broken_message() -> Message:
    message = Message(text="")
    message.__dict__["data"] = None
    return message


HOSTILE: tuple[Callable[[], Any], ...] = (
    Raising,
    lambda: RaisingDict(a=1, token="x"),
    lambda: RaisingDict({str(n): "x" * 50 for n in range(200)}),
    lambda: RaisingList([1, "two"]),
    lambda: RaisingStr("text"),
    OddClass,
    NoModule,
    _broken_message,
    lambda: {Raising(): 1},
    lambda: {10**5000: "x", "b": 1},
    lambda: {"token": {"type": str, "required": True}},
    lambda: {"token": {"description": Raising(), "title": b"x"}},
    lambda: {"credentials": RaisingDict(a=1)},
    lambda: {"credentials": RaisingList("ab")},
    lambda: {"password": RaisingStr("text")},
    lambda: [("token", RaisingStr("text"))],
    lambda: [RaisingStr("token"), Raising()],
    lambda: "see data:a/b;base64,\ud800" + "x" * 600,
    lambda: pd.DataFrame({Raising(): [1]}),
    lambda: pd.Series([Raising()], index=["token"]),
)

_made: list[Callable[[], bool]] = []


def _watched(value: Any, untouched: Callable[[], bool]) -> Any:
    _made.append(untouched)
    return value


def touched() -> int:
    """How many of the streams made since the last call have been read from."""
    count = sum(not untouched() for untouched in _made)
    _made.clear()
    return count


def _generator() -> Any:
    generator = (number for number in range(3))
    return _watched(generator, lambda: inspect.getgeneratorstate(generator) == inspect.GEN_CREATED)


def _async_generator() -> Any:
    async def later() -> AsyncIterator[str]:
        yield "later"

    stream = later()
    return _watched(stream, lambda: not stream.ag_running and stream.ag_frame.f_lineno > 0)  # type: ignore[attr-defined]


def _iterator() -> Any:
    iterator = iter([1, 2, 3])
    return _watched(iterator, lambda: iterator.__length_hint__() == 3)


def _consumed() -> Any:
    items = Consumed([1, 2, 3])
    return _watched(items, lambda: list.__len__(items) == 3)


def _named_consumed() -> Any:
    return {"credentials": _consumed()}


def _streamed_message() -> Any:
    return Message(text=_generator())


streams = st.sampled_from(
    [_generator, _async_generator, _iterator, _consumed, _named_consumed, _streamed_message]
).map(lambda make: make())
hostile = st.sampled_from(HOSTILE).map(lambda make: make())

# -- values

texts = st.text(st.characters(exclude_categories=()), max_size=60)
numbers = st.one_of(
    st.integers(),
    st.integers(0, 5000).map(lambda digits: -(10**digits)),
    st.floats(),
    st.booleans(),
    st.none(),
    st.complex_numbers(),
)
plain = st.one_of(
    texts,
    numbers,
    st.binary(max_size=40),
    st.binary(max_size=40).map(bytearray),
    st.binary(max_size=40).map(lambda data: memoryview(data)[::2]),
    st.sampled_from([*Colour, *Level]),
    texts.map(SecretStr),
    st.datetimes(timezones=st.none() | st.just(datetime.timezone.utc)),
    st.dates() | st.times() | st.timedeltas(),
    st.uuids(),
    st.decimals(),
    st.sampled_from(["a/b", "", "/ü"]).map(pathlib.PurePosixPath),
    st.sampled_from([Point, len, decimal, object(), 1j, range(5), uuid.NAMESPACE_DNS]),
    st.lists(st.floats(), max_size=300).map(np.array),
    st.builds(lambda text: np.str_(text.encode("utf-8", "replace").decode()), texts),
)
keys = st.one_of(
    texts,
    st.sampled_from(["token", "api_key", "password", "key", "value", "name", "…", "text", "type"]),
    st.integers() | st.booleans() | st.none() | st.floats() | st.binary(max_size=9),
    st.sampled_from([*Colour]) | st.tuples(texts, st.integers()) | st.uuids(),
)


def _table(rows: list[dict[str, Any]]) -> Any:
    return DataFrame(pd.DataFrame(rows, dtype=object))


def _cycle(value: Any) -> Any:
    around: dict[str, Any] = {"value": value}
    around["again"] = [around]
    return around


def _nest(depth: int, value: Any) -> Any:
    for level in range(depth):
        value = [value] if level % 2 else {"in": value}
    return value


def _tool_call(value: Any) -> Any:
    return AIMessage("", tool_calls=[{"name": "find", "args": {"of": value}, "id": "1"}])


def _extended(children: Strategy[Any]) -> Strategy[Any]:
    dictionaries = st.dictionaries(keys, children, max_size=6)
    return st.one_of(
        st.lists(children, max_size=6),
        st.lists(children, max_size=4).map(tuple),
        st.lists(children, max_size=4).map(collections.deque),
        st.frozensets(texts, max_size=4),
        dictionaries,
        dictionaries.map(collections.OrderedDict),
        dictionaries.map(RaisingDict),
        st.lists(children, max_size=4).map(RaisingList),
        st.builds(Point, children, children),
        st.builds(lambda value: Model(name=value), children),
        st.builds(_v1_model, children),
        st.builds(lambda value: Data(data={"value": value}), children),
        st.builds(lambda text: Message(text=text, sender="User"), texts),
        st.builds(lambda text: HumanMessage(content=text), texts),
        st.builds(_tool_call, children),
        st.builds(lambda value: Document(page_content="page", metadata={"of": value}), children),
        st.builds(_cycle, children),
        st.lists(
            st.fixed_dictionaries({"a": children, "token": texts}), min_size=1, max_size=3
        ).map(_table),
        st.lists(children, min_size=1, max_size=3).map(
            lambda items: pd.Series(items, dtype=object)
        ),
    )


values = st.recursive(plain | hostile | streams, _extended, max_leaves=12)
deep_values = st.builds(_nest, st.integers(0, MAX_DEPTH), plain)

# -- secrets

_LOWER = "abcdefghijklmnopqrstuvwxyz"
_ALNUM = _LOWER + _LOWER.upper() + "0123456789"
#: What may stand in a header, in a row of a table, after `name=` without quotes.
UNQUOTED = (_ALNUM, "0123456789abcdef", _ALNUM + "_-", _ALNUM + "+/", _ALNUM + "!#%*.:@^~?$")
#: What may stand in quotes, too.
QUOTED = (*UNQUOTED, _ALNUM + " ,;|&()[]{}<>=", _ALNUM + "äöüßéñ", _ALNUM + "密码鍵🔑")
#: What a field of a password may hold.
ANYTHING = (*QUOTED, _ALNUM + "\"'`\\", _ALNUM + "% \n\t\r", _ALNUM + "\x01\x1b\x7f\u0085\u2028")


@st.composite
def secrets(draw: st.DrawFn, alphabets: tuple[str, ...] = ANYTHING, shortest: int = 8) -> str:
    """A secret of 8 to 60 characters, random enough that nothing else reads like a piece of it.

    A letter is first and last, so that no secret stands for something else (`$TOKEN`, `<token>`).
    """
    alphabet = draw(st.sampled_from(alphabets))
    length = draw(st.integers(shortest, 60))
    source = random.Random(draw(st.integers(0, 2**63)))
    inside = "".join(source.choice(alphabet) for _ in range(length - 3))
    return f"{source.choice(_LOWER)}{source.randrange(10)}{inside}{source.choice(_LOWER)}"


class Planted:
    """A value, the secrets in it, those of them that fields tell of; those known only late."""

    def __init__(
        self,
        value: Any,
        secrets: tuple[str, ...] = (),
        known: tuple[str, ...] = (),
        late: tuple[str, ...] = (),
    ) -> None:
        self.value = value
        self.secrets = secrets
        self.known = known
        self.late = late

    def __repr__(self) -> str:
        try:
            shown = repr(self.value)
        except Exception as error:  # noqa: BLE001 - a value may raise whatever it likes
            shown = f"<{type(self.value).__name__} whose repr raises {type(error).__name__}>"
        return f"Planted({shown}, {self.secrets}, known={self.known}, late={self.late})"


def _after(count: int) -> Callable[[str], str]:
    return lambda secret: base64.b64encode(b"\0" * count + f"{secret} etc.".encode()).decode()


#: The ways in which a text carries a secret that is known from a field.
WRITTEN: dict[str, Callable[[str], str]] = {
    "alone": str,
    "in a sentence": lambda secret: f"the value is {secret}, and that's all",
    "between letters": lambda secret: f"xyz{secret}xyz",
    "twice": lambda secret: f"{secret}{secret}",
    "URL-encoded": lambda secret: f"https://a.example/?q={quote(secret, safe='')}&x=1",
    "URL-encoded with slashes": quote,
    "URL-encoded with plus": lambda secret: urlencode({"q": secret}),
    "URL-encoded in lower case": lambda s: re.sub("%..", lambda at: at[0].lower(), quote_plus(s)),
    "in base64": _after(0),
    "in base64, one byte on": _after(1),
    "in base64, two bytes on": _after(2),
    "in base64 for URLs": lambda s: base64.urlsafe_b64encode(f"user:{s}".encode()).decode(),
    "in JSON": lambda secret: json.dumps({"of": [secret]}, ensure_ascii=False),
    "in ASCII JSON": lambda secret: json.dumps({"of": [secret]}),
    "in JSON in a text": lambda secret: "got " + orjson.dumps([secret]).decode(),
    "in JSON in JSON": lambda secret: json.dumps({"of": json.dumps({"of": secret})}),
    "as Python has it": lambda secret: f"KeyError: {secret!r}",
    "as Python has a value": lambda secret: str({"of": [secret]}),
    "in an exception": lambda secret: repr(ValueError(f"no: {secret}")),
}
#: The same, as other encoders than Python's write it.
WRITTEN_ELSEWHERE: dict[str, Callable[[str], str]] = {
    "by encodeURIComponent": lambda secret: f"?q={quote(secret, safe=chr(39) + '!()*~')}",
    "by httpx": lambda secret: f"?q={quote(secret, safe='!$&()*+,;=:@/?')}",
    "in base64 in lines": lambda s: base64.encodebytes(b"\0" * 40 + s.encode()).decode(),
}
#: The places of a value where a text with a secret in it may stand.
PLACES: dict[str, Callable[[str], Any]] = {
    "a text": str,
    "an item": lambda text: ["a", text, 1],
    "a tuple": lambda text: ("a", text),
    "a set": lambda text: {text},
    "a deque": lambda text: collections.deque([text]),
    "a field": lambda text: {"title": "a", "body": text},
    "a key": lambda text: {"a": 1, text: 2},
    "a long key": lambda text: {"y" * 185 + text: 2},
    "a key of two parts": lambda text: {(text, 1): 2},
    "deep": lambda text: _nest(9, [text]),
    "Data": lambda text: Data(data={"page": text}),
    "Message": lambda text: Message(text=text),
    "a Message in a value": lambda text: {"m": Message(text="a", sender_name=text)},
    "a document": lambda text: Document(page_content=text, metadata={"of": text}),
    "a chat message": lambda text: AIMessage(content=text),
    "a tool call": _tool_call,
    "a dataclass": Point,
    "a model": lambda text: Model(name=text),
    "an old model": _v1_model,
    "an enum": lambda text: enum.Enum("Kind", {"A": text}).A,
    # A path leaves out a slash of two, and with it a part of a secret that has them.
    "a path": lambda text: pathlib.PurePosixPath("/a") / re.sub("/+", "%2F", text),
    "a SecretStr": SecretStr,
    "a cell": lambda text: DataFrame([{"n": 1, "word": text}]),
    "a column": lambda text: pd.DataFrame({text: [1], "n": [2]}),
    "a column of two parts": lambda text: pd.DataFrame({("y" * 85, text): [1]}),
    "a series": lambda text: pd.Series([1], index=[text]),
    "a list in lists": lambda text: [[text, [text]], {"a": (text,)}],
    "a subclass": lambda text: RaisingDict(a=text),
}


@st.composite
def known(
    draw: st.DrawFn, way: Callable[[str], str], places: Collection[str] = tuple(PLACES)
) -> Planted:
    """A secret of a field, written in the way `way`, in one of `places`, anywhere in a value."""
    secret = draw(secrets())
    place = PLACES[draw(st.sampled_from(sorted(places)))]
    around = draw(st.sampled_from([0, 0, 1, 2]))
    value = place(way(secret))
    for _ in range(around):
        value = draw(st.sampled_from([lambda v: [1, v], lambda v: {"in": v, "n": 1}]))(value)
    return Planted(value, (secret,), (secret,))


# -- names

NAMES = (
    *("password", "api_key", "apiKey", "OPENAI_API_KEY", "token", "access-token", "Authorization"),
    *("clientSecret", "X-Api-Key", "db_password", "secret", "auth_token", "connection_string"),
)


def _row(name: str, secret: str) -> dict[str, str]:
    return {"key": name, "value": secret}


#: Where a name stands next to its secret in a value.
NAMED: dict[str, Callable[[str, str], Any]] = {
    "a field": lambda n, s: {"a": 1, n: s},
    "a deep field": lambda n, s: _nest(6, {n: s}),
    "headers": lambda n, s: {"headers": {"Accept": "*/*", n: s}},
    "bytes as name": lambda n, s: {n.encode(): s},
    "pairs": lambda n, s: [["Accept", "*/*"], [n, s]],
    "pairs of tuples": lambda n, s: [("Accept", "*/*"), (n, s)],
    "rows": lambda n, s: [_row("Accept", "*/*"), _row(n, s)],
    "rows, value first": lambda n, s: [{"value": s, "key": n}],
    "rows by name": lambda n, s: {"settings": [{"name": n, "value": s}]},
    "a table": lambda n, s: DataFrame([{"n": 1, n: s}, {"n": 2, n: s}]),
    "a table of rows": lambda n, s: DataFrame([_row("Accept", "*/*"), _row(n, s)]),
    "a series": lambda n, s: pd.Series([1, s], index=["a", n]),
    "Data": lambda n, s: Data(data={n: s}),
    "a list under it": lambda n, s: {n: [s, {"old": s}]},
    "a dictionary under it": lambda n, s: {n: {"sid": s}},
    "a message under it": lambda n, s: {n: Message(text=s)},
    "arguments": lambda n, s: ["run", f"--{n}", s],
    "a tool call": lambda n, s: _tool_call({n: s}),
    "a dataclass": lambda n, s: Point({n: s}),
    "an odd dictionary": lambda n, s: RaisingDict({n: s}),
    "metadata": lambda n, s: Document(page_content="page", metadata={n: s}),
    "a schema that is set": lambda n, s: {n: {"type": "str", "value": s, "title": "T"}},
    "JSON text": lambda n, s: json.dumps({"a": 1, n: s}),
    "JSON text in a value": lambda n, s: {"title": "a", "body": json.dumps({"a": 1, n: s})},
    "JSON text with a list": lambda n, s: {"title": "a", "body": json.dumps({n: [s]})},
    "JSON text with an object": lambda n, s: {"title": "a", "body": json.dumps({n: {"sid": s}})},
    "rows in JSON text": lambda n, s: "got " + json.dumps([_row(n, s)]),
    "rows in JSON text, value first": lambda n, s: "got " + json.dumps([{"value": s, "key": n}]),
    "JSON in a sentence": lambda n, s: f"The server said {json.dumps({'a': 1, n: s})} to that.",
    "a dictionary as text": lambda n, s: f"called with { ({'a': 1, n: s}) }",
    "pairs as text": lambda n, s: f"headers {[('Accept', '*/*'), (n, s)]}",
    "quoted text": lambda n, s: f'{n}="{s.replace(chr(34), "")}"',
}
#: Where a name stands next to its secret in a text that has no quotes.
NAMED_IN_TEXT: dict[str, Callable[[str, str], Any]] = {
    "name=value": lambda n, s: f"connect {n}={s} now",
    "a setting": lambda n, s: f"A=1\n{n}={s}\nB=2",
    "name: value": lambda n, s: f"{n}: {s}",
    "a second line": lambda n, s: f"Accept: */*\r\n{n}: {s}\r\n\r\n",
    "YAML": lambda n, s: f"a: 1\n{n}: {s}\nb: 2\n",
    "an option": lambda n, s: f"run --{n} {s} --x 1",
    "a tag": lambda n, s: f"<a><{n}>{s}</{n}></a>",
    "CSV": lambda n, s: f"user,{n}\nbob,{s}\nann,{s}",
    "CSV in a value": lambda n, s: {"title": "hello", "csv": f"user,{n}\nbob,{s}"},
    "CSV with a quoted cell": lambda n, s: f'user,{n},about\nbob,{s},"likes a, b"\n',
    "CSV with an empty cell": lambda n, s: f"user,phone,{n}\nbob,,{s}\n",
    "a long CSV": lambda n, s: f"u,{n}\n" + "b,c\n" * 450 + f"bob,{s}\n",
    "Markdown": lambda n, s: f"See:\n\n| user | {n} |\n|---|---|\n| bob | {s} |\n",
    "Markdown with a comma": lambda n, s: f"| user | {n} |\n|---|---|\n| Doe, John | {s} |\n",
    "Markdown after much": lambda n, s: {
        "a": "x\n" * 450,
        "b": f"| user | {n} |\n|---|---|\n| bob | {s} |",
    },
    "a printed frame": lambda n, s: f"   user  {n}\n0   bob  {s}\n1   ann  {s}",
    "a printed frame with spaces": lambda n, s: f"      user  {n}\n0  Ann Doe  {s}",
}


@st.composite
def named(
    draw: st.DrawFn, layout: Callable[[str, str], Any], alphabets: tuple[str, ...]
) -> Planted:
    """A secret that only a name tells of, laid out as `layout` does."""
    secret = draw(secrets(alphabets))
    value = layout(draw(st.sampled_from(NAMES)), secret)
    if draw(st.booleans()):
        value = [draw(st.sampled_from(["a", 1, None])), value]
    return Planted(value, (secret,))


@st.composite
def in_queries(draw: st.DrawFn) -> Planted:
    """A secret in the query, or the user information, of an address."""
    secret = draw(secrets())
    name = draw(st.sampled_from([*NAMES, "key", "sig", "X-Amz-Signature"]))
    encoded = quote(secret, safe="")
    url = draw(
        st.sampled_from(
            [
                f"https://a.example/b?x=1&{name}={encoded}&y=2",
                f"https://a.example/?{urlencode({name: secret})}",
                f"postgresql://ann:{encoded}@db.example:5432/x",
                f"https://a.example/?next={quote(f'https://b.example/?{name}={encoded}', safe='')}",
            ]
        )
    )
    return Planted(draw(st.sampled_from([url, {"url": url}, [f"GET {url} failed"]])), (secret,))


@st.composite
def at_the_cut(draw: st.DrawFn, max_bytes: int) -> Planted:
    """Known secrets, one of which stands where a text of `max_bytes` is cut, or its pieces are."""
    secret = draw(secrets(shortest=18))
    way = WRITTEN[draw(st.sampled_from(sorted(WRITTEN)))]
    filler = draw(st.sampled_from(["x", "é", "𝄞", "\n", '"', f"{secret} ", f"{way(secret)} "]))
    before = draw(st.integers(0, max_bytes + 8))
    # Whole fillers only: no masker can tell a piece of a secret that somebody else has cut.
    text = "x" * (before % len(filler)) + filler * (before // len(filler)) + way(secret)
    text += filler * draw(st.integers(0, 400))
    place = PLACES[draw(st.sampled_from(sorted(PLACES)))]
    return Planted(place(text), (secret,), (secret,))


@st.composite
def named_at_the_cut(draw: st.DrawFn, max_bytes: int) -> Planted:
    """A secret that only a name tells of, which stands where the value is cut."""
    secret = draw(secrets(UNQUOTED, shortest=18))
    name = draw(st.sampled_from(NAMES))
    room = draw(st.integers(0, max_bytes))
    filler, rest = "x" * room, "y" * draw(st.integers(0, max_bytes))
    value = draw(
        st.sampled_from(
            [
                {"a": filler, name: secret, "b": rest},
                [filler, {"value": secret, "key": name, "x": rest}],
                [filler, {"x": rest, "key": name, "value": secret}],
                [filler, [name, secret], rest],
                f"{filler} {name}={secret} {rest}",
                f'{filler} "{name}": "{secret}", "{rest}"',
                json.dumps({"a": filler, name: {"sid": secret}, "b": rest}),
                f"user,{name},a,b\nbob,{secret},{filler},{rest}",
                DataFrame([{"a": filler, name: secret, "b": rest}]),
            ]
        )
    )
    return Planted(value, (secret,))


# -- text that is hard to read

FRAGMENTS = (
    *('token="', "token='", "password=", "//a:", "@", "<token>", "</token>", "eyJ", "eyJhbGciOi."),
    *("-----BEGIN A-----", "-----END A-----", "|", ",", ";", "\t", "\n", "  ", "value:", "key:"),
    *("%3D", "%26", "token%3D", "input_value=", "token: str", " = ", "= str", "--token ", "-u a:"),
    *(
        "Bearer ",
        "bearer%20",
        "Basic ",
        "://",
        "?sig=",
        "&key=",
        "name=",
        'name="a"\n',
        "('token',",
    ),
    *(
        "Content-Disposition: ",
        "auth=(",
        "'a', 'b'",
        "Cookie: ",
        "machine a login b password ",
        "\\",
    ),
    *(
        "[",
        "{",
        "}",
        "]",
        "(",
        '"',
        "'",
        "`",
        "data:a/b;base64,",
        "A" * 16,
        "sk-",
        "a.",
        "a ",
        "-",
        ".",
    ),
    *("token\uff1a", "\u00e9", "\ud800", "|-|\n", "token,a\n", "AKIA", "1//0", ":5432:", "api key"),
    *("password" + "_abcdefgh" * 6 + "=", "IDENTIFIED BY '", "pwd=a", "_", "\r\n", " ", "0", "x"),
)
fragments = st.lists(
    st.tuples(st.sampled_from(FRAGMENTS) | texts, st.sampled_from([1, 1, 1, 2, 3, 50])), max_size=14
).map(lambda parts: "".join(text * count for text, count in parts))


@st.composite
def repeated(draw: st.DrawFn, length: int = 16_000) -> str:
    """A text of `length` characters, made of a few fragments over and over, after a few others."""
    first = "".join(draw(st.lists(st.sampled_from(FRAGMENTS), max_size=3)))
    parts = draw(st.lists(st.sampled_from(FRAGMENTS), min_size=1, max_size=4))
    last = "".join(draw(st.lists(st.sampled_from(FRAGMENTS), max_size=2)))
    unit = "".join(parts)
    if draw(st.booleans()):
        # Each as often as fits, one after the other: `"aaaa…bbbb…"`.
        share = length // len(parts)
        middle = "".join((part * share)[:share] for part in parts)
    else:
        middle = unit * (length // len(unit) + 1)
    return f"{first}{middle[:length]}{last}"


# -- secrets of other kinds


@st.composite
def like_placeholders(draw: st.DrawFn) -> Planted:
    """A password that begins as what only stands for one does: `$TOKEN`, `<token>`, `[…]`."""
    begin = draw(
        st.sampled_from(["$", "<", "[", "{", "%", "your-", "env.", "os.environ", "none", "x"])
    )
    secret = begin + draw(secrets((_ALNUM + "!#*", _ALNUM)))
    layout = draw(st.sampled_from(["a field", "JSON text", "a table", "rows", "quoted text"]))
    return Planted(NAMED[layout](draw(st.sampled_from(NAMES)), secret), (secret,))


@st.composite
def numbers_as_secrets(draw: st.DrawFn) -> Planted:
    """A password of digits, next to numbers in which the same digits come up."""
    number = draw(st.integers(10**5, 10**12))
    value = {"n": [number, number * 100 + 1, float(number)], "more": {number: -number}}
    return Planted(value, (), (str(number),))


@st.composite
def named_late(draw: st.DrawFn) -> Planted:
    """A secret that a text tells before its name is read, in the same value."""
    secret = draw(secrets((_ALNUM, _ALNUM + "+/=")))
    name = draw(st.sampled_from(NAMES))
    way = WRITTEN[draw(st.sampled_from(sorted(WRITTEN)))]
    return Planted({"a": way(secret), "n": 1, "later": {name: secret}, "b": [secret]}, (secret,))


@st.composite
def known_late(draw: st.DrawFn, max_bytes: int) -> Planted:
    """A short secret that comes up again and again, and is known only when all is captured."""
    alphabet = draw(st.sampled_from([_ALNUM, "0123456789"]))
    source = random.Random(draw(st.integers(0, 2**63)))
    secret = "".join(source.choice(alphabet) for _ in range(draw(st.integers(6, 9))))
    between = draw(st.sampled_from(["", " ", "\n", '"']))
    text = f"{secret}{between}" * draw(st.integers(1, max_bytes // 6))
    values = [text, {"a": text, "n": 1}, [secret] * (len(text) // len(secret)), {secret: [text]}]
    return Planted(draw(st.sampled_from(values)), late=(secret,))
