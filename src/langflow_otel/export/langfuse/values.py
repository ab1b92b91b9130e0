"""Single values in the form that Langfuse takes."""

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from functools import lru_cache
from typing import Any
from urllib.parse import quote

import orjson

from langflow_otel.export.langfuse import names
from langflow_otel.export.messages import Usage

#: The most characters of a session, a user or a tag (`propagate_attributes` of Langfuse's SDK).
MAX_IDENTIFIER = 200
_MAX_ENVIRONMENT = 40
_HASH_DIGITS = 16
_PRINTABLE = "".join(map(chr, range(0x20, 0x7F)))
_ENVIRONMENT = re.compile(r"(?!langfuse)[a-z0-9_-]{1,40}")
_COSTS = {
    names.CACHE_READ: ("prompt_details.cache_read", "prompt_details.cache_input"),
    names.CACHE_WRITE: ("prompt_details.cache_write",),
    names.INPUT_AUDIO: ("prompt_details.audio",),
    names.REASONING: ("completion_details.reasoning",),
    names.OUTPUT_AUDIO: ("completion_details.audio",),
}
_COST_DIGITS = 15


@lru_cache(maxsize=1024)
def identifier(value: str) -> str:
    """Return the id of a session or a user, or a tag, in at most 200 printable US-ASCII characters.

    The same value always gives the same id, and another one another. What is not US-ASCII is
    written as in a URL (`Zoë` is `Zo%C3%AB`, and a `%` beside it `%25`); of what is too long the
    beginning is kept, and a hash of the whole.
    """
    plain = value
    if not (value.isascii() and value.isprintable()):
        plain = quote(value, safe=_PRINTABLE.replace("%", ""), errors="surrogatepass")
    if len(plain) <= MAX_IDENTIFIER:
        return plain
    digest = hashlib.sha256(value.encode(errors="surrogatepass")).hexdigest()[:_HASH_DIGITS]
    return f"{plain[: MAX_IDENTIFIER - _HASH_DIGITS - 1]}~{digest}"


@lru_cache(maxsize=64)
def environment_name(value: str) -> str | None:
    """Return `value` as Langfuse takes an environment's name; None where nothing of it is left.

    That is at most 40 of `a` to `z`, digits, `-` and `_`, and does not begin with `langfuse`: the
    server takes anything else for `default`.
    """
    named = value.strip().lower()
    if not _ENVIRONMENT.fullmatch(named):
        named = re.sub(r"[^a-z0-9_-]+", "-", named).strip("-")
        while named.startswith("langfuse"):
            named = named.removeprefix("langfuse").strip("-_")
        named = named[:_MAX_ENVIRONMENT]
    return named or None


def as_json(value: Any) -> str:
    """Return `value` as JSON text; a text stays as it is."""
    if isinstance(value, str):
        return value
    try:
        return orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS).decode()
    except orjson.JSONEncodeError:
        # Half a character, or a number of more than 64 bits.
        return json.dumps(value, default=str)


def attribute(value: Any) -> Any:
    """Return `value` as an attribute that Langfuse shows, None where it would show nothing."""
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, bytes):
        return None
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, int):
        return value
    if isinstance(value, Sequence) and all(isinstance(item, str) for item in value):
        return list(value)
    return as_json(value)


def moment(nanoseconds: int) -> str:
    """Return a time, in nanoseconds since 1970, in ISO 8601 with its zone."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    at = datetime.fromtimestamp(seconds, timezone.utc).replace(microsecond=rest // 1000)
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")


def usage_details(usage: Usage) -> dict[str, int]:
    """Return the tokens in buckets that have no token in common, and their total.

    Langfuse adds up the buckets, and prices each. A cache that is larger than the prompt, and so is
    not counted in it, is taken for what it is.
    """
    cached = usage.cache_read + usage.cache_write
    buckets = {
        names.CACHE_READ: usage.cache_read,
        names.CACHE_WRITE: usage.cache_write,
        names.REASONING: usage.reasoning,
    }
    sides = (
        (usage.input, cached, usage.input_audio, names.INPUT_TOKENS, names.INPUT_AUDIO),
        (
            usage.output,
            usage.reasoning,
            usage.output_audio,
            names.OUTPUT_TOKENS,
            names.OUTPUT_AUDIO,
        ),
    )
    for total, inside, audio, rest, sound in sides:
        left = (total or 0) - inside if inside <= (total or 0) else (total or 0)
        buckets[sound] = min(audio, left)
        if total is not None:
            buckets[rest] = left - buckets[sound]
    plain = (names.INPUT_TOKENS, names.OUTPUT_TOKENS)
    details = {name: count for name, count in buckets.items() if count or name in plain}
    details[names.TOTAL_TOKENS] = max(usage.total or 0, sum(details.values()))
    return details


def cost_details(costs: Mapping[str, float]) -> dict[str, float]:
    """Return the costs, in US dollars, in the buckets of `usage_details`."""
    details: dict[str, float] = {}
    for bucket, told in _COSTS.items():
        cost = next((costs[name] for name in told if name in costs), None)
        if cost is not None:
            details[bucket] = cost
    for bucket, name, prefix in (
        (names.INPUT_TOKENS, "prompt", "input_"),
        (names.OUTPUT_TOKENS, "completion", "output_"),
    ):
        if name in costs:
            inside = sum(cost for part, cost in details.items() if part.startswith(prefix))
            rest = costs[name] - inside
            details[bucket] = round(rest if rest >= 0 else costs[name], _COST_DIGITS)
    total = costs.get("total")
    if total is None and details:
        total = sum(details.values())
    if total is not None:
        details[names.TOTAL_TOKENS] = round(total, _COST_DIGITS)
    return details
