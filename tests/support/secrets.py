"""Secrets to plant in a flow, and what finds them again, however they were written."""

from __future__ import annotations

import base64
import dataclasses
import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tests.support.spans import Span


def planted() -> str:
    """A secret that nothing else can be mistaken for, and that is not the same when URL-encoded."""
    return f"pl4nted/{uuid.uuid4().hex}+a=="


def forms(secret: str) -> dict[str, str]:
    """What gives a secret away: a part of it in plain or URL-encoded text, or all as base64.

    Base64 has three ways to write what is in the middle of something longer. Its first and last
    characters depend on the neighbours, so they are left out.
    """
    core = secret.removeprefix("pl4nted/")[:32]
    found = {"first half": core[:16], "second half": core[16:]}
    for shift in range(3):
        padded = b"\0" * shift + core.encode()
        whole = padded[: len(padded) // 3 * 3]
        found[f"base64 +{shift}"] = base64.b64encode(whole).decode()[4 if shift else 0 :]
    return found


def leaks(where: str, text: str, secrets: Mapping[str, str]) -> list[str]:
    """A line for each secret that is in a text, with the ways it is written there."""
    lines = []
    for name, secret in secrets.items():
        ways = [way for way, form in forms(secret).items() if form in text]
        if ways:
            lines.append(f"{name} ({', '.join(ways)}) in {where}")
    return lines


def leaks_of(spans: Iterable[Span], secrets: Mapping[str, str]) -> list[str]:
    """A line for each place in the spans where a secret is: names, keys, values, all of it."""
    return sorted(
        {
            line
            for span in spans
            for place, text in _texts(dataclasses.asdict(span))
            for line in leaks(f"{span.kind or span.otel_kind} {span.name}: {place}", text, secrets)
        }
    )


def _texts(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield f"a key in {place}", str(key)
            yield from _texts(item, f"{place}.{key}".strip("."))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item, f"{place}[]")
    else:
        yield place, str(value)
