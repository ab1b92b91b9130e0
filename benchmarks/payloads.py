"""The values that are captured, from a word to 10 MB."""

from __future__ import annotations

import base64
import random
from typing import Any

import pandas as pd
from lfx.schema.data import Data
from lfx.schema.message import Message

#: Two secrets that the run is known to have; they are in none of the values.
SECRETS = ("pl4nted-0123456789abcdef", "hunter22")

KB, MB = 1000, 1_000_000
_PROSE = (
    "A trace is the story of one run, told in spans. It says what was asked, what was found, what "
    "a model made of it, and how long each of these took. Whoever reads it wants to know one "
    "thing: where did it go wrong? Mostly the answer is in the first span that is red, and the "
    "second question is what that one was given. Nobody reads 16 KB of JSON to find out; a page "
    "of it is enough, if it is the right page. The meeting is at 10:45, they said (room 3), and "
    "it took them an hour to agree that less would have been more.\n\n"
)
_NAMED = (
    "GET /orders HTTP/1.1\nHost: shop.example\nAuthorization: Bearer f4ke.T0ken.{n:06d}abcdef\n\n"
    'It answered {{"order": {n}, "api_key": "f4ke-{n:06d}", "client_secret": "s3cret{n:06d}"}}.\n'
    "Its rows are in postgresql://shop:p4ssw0rd{n:06d}@db.example:5432/orders?sslmode=require\n"
)


def payloads() -> dict[str, Any]:
    """Return the values by what the table calls them."""
    return {
        "Message, 0.1 KB": Message(text=text(100)),
        "text, 1 KB": text(KB),
        "text, 16 KB": text(16 * KB),
        "text, 1 MB": text(MB),
        "text, 10 MB": text(10 * MB),
        "text that names secrets, 16 KB": text_with_secrets(16 * KB),
        "Data, 1 KB": Data(data=rows(2)),
        "Data, 16 KB": Data(data=rows(32)),
        "Data, 100 KB": Data(data=rows(200)),
        "flat dict, 1 KB": flat(),
        "200 flat dicts, 24 KB": [flat_row(number) for number in range(200)],
        "dict, 1 MB": rows(2000),
        "dict, 10 MB": rows(20_000),
        "DataFrame, 10,000 x 5": frame(10_000),
        "10 embeddings of 1536": embeddings(10),
        "image as base64, 1 MB": image(MB),
        "image as base64, 10 MB": image(10 * MB),
    }


def text(size: int) -> str:
    """Return prose of `size` characters."""
    return (_PROSE * (size // len(_PROSE) + 1))[:size]


def text_with_secrets(size: int) -> str:
    """Return prose of `size` characters, in every KB of which a few secrets are named."""
    parts = []
    for number in range(size // KB):
        named = _NAMED.format(n=number % 4)
        parts.append(named + text(KB - len(named)))
    return "".join(parts)


def rows(count: int) -> dict[str, Any]:
    """Return nested rows of half a KB each, as in the table of components."""
    row = {"title": "A row of a table", "text": "lorem ipsum dolor " * 25, "tags": [1, 2]}
    return {"rows": [{"id": number, **row} for number in range(count)]}


def flat() -> dict[str, Any]:
    """Return a dict of 1 KB with 32 fields, as a component's settings are."""
    return {
        f"field_{number}": f"a value of no length {number}" if number % 4 else number / 7
        for number in range(32)
    }


def flat_row(number: int) -> dict[str, Any]:
    """Return a small record of 120 bytes."""
    return {
        "id": number,
        "name": f"Customer {number}",
        "city": "Oslo",
        "note": "paid on time, every time",
        "score": number / 7,
        "active": True,
    }


def frame(count: int) -> pd.DataFrame:
    """Return a table of five columns."""
    return pd.DataFrame([flat_row(number) for number in range(count)]).drop(columns="active")


def embeddings(count: int) -> list[list[float]]:
    """Return vectors as long as those of OpenAI's models."""
    numbers = random.Random(1)
    return [[numbers.uniform(-1, 1) for _ in range(1536)] for _ in range(count)]


def image(size: int) -> str:
    """Return `size` characters of base64 that begin as a PNG does."""
    data = b"\x89PNG\r\n\x1a\n" + random.Random(1).randbytes(size // 4 * 3 - 8)
    return base64.b64encode(data).decode()
