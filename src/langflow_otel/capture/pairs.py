"""Secrets that a text names: `password=…`, `"apiKey": "…"`, `?sig=…`, `--token …`."""

import re
from collections.abc import Iterable, Iterator

from langflow_otel.capture.layouts import Span, may_hold_layout, places_in_layouts
from langflow_otel.capture.names import SecretNames
from langflow_otel.capture.shapes import MASK, Found, is_placeholder
from langflow_otel.capture.tables import may_hold_table, places_in_tables

_BEFORE = 48
# As Chinese and Japanese are written.
_WIDE_COLON = "\uff1a"
# What finds names backwards, by separator: a separator comes before its name, so that no word is
# read that has none, and `re` runs to each by itself much faster than to one of three.
_EMANS = {
    separator: re.compile(rf"{separator}[\]\"'`\\* \t]{{0,6}}([\w.-]*[A-Za-z_])(?![\w.])(?!-\w)")
    for separator in (":", "=", _WIDE_COLON)
}
# The last words of names that are written in two or three: `API key`, `connection string`.
_LAST_WORDS = frozenset({"key", "keys", "string", "pass", "code", "word", "phrase"})
_WORDS_BEFORE = re.compile(r"(?:[A-Za-z_][\w-]*[ ]){1,2}$")

_SEPARATOR = re.compile(r"(?:=>|:=|={1,2}|[:\uff1a](?!//)\*{0,2})\s{0,3}")
_VALUE = re.compile(
    r"""
    [bBfFrRuU]{0,2}(?P<quotes>\\*["'`])(?P<quoted>(?:(?!(?<!\\)(?P=quotes)).){0,8192})
    | \{(?P<braced>[^{}"':;,]{0,256}[;,][^{}"':]{0,256})\}
    | (?P<scheme>(?:Bearer|Basic|Token|Bot|ApiKey|Digest|Negotiate)[ ])?
      (?P<bare>[<\[{(]?[^\s,;&"'`<>(){}\[\]\\|]+)
    """,
    re.VERBOSE | re.DOTALL,
)
# What comes after a type, `token: str = "…"`.
_ASSIGNED = re.compile(r"[\w\[\], |]*\s=\s*")
# An object, or a list, as JSON and Python write it.
_OBJECT = re.compile(r"[{\[]\s*\\*[\"']")
_BRACKET = re.compile(r"[{}\[\]]")
_MAX_OBJECT = 8192
_VARIABLE = re.compile(r"\$?\{\{?[\w .:|-]{1,64}\}?\}|<[A-Za-z _-]{1,40}>|\[[a-z -]{1,24}\]")
# Code that asks for a value, or passes it on, instead of stating it.
_PASSED_ON = re.compile(
    r"(?:self|cls|os|settings|config|args|env|params|kwargs|request)\.[A-Za-z_.]+"
)
_CALL = re.compile(r"[A-Za-z_]+(?:\.[A-Za-z_]+)*")
_WORD = re.compile(r"[A-Za-z]{1,24}[.!?:]?")
_NEXT_WORD = re.compile(r"[ \t]+[A-Za-z(]")


class SecretPairs:
    """Finds the pairs of a name and a value in texts, and masks those that `names` hides."""

    def __init__(self, names: SecretNames) -> None:
        """Mask what `names` hides."""
        self._names = names

    def may_hold(self, text: str) -> bool:
        """Tell fast, and wrongly only in saying yes, whether `text` may name a secret.

        Not of tables, which `may_hold_tables` tells of.
        """
        for separator, eman in _EMANS.items():
            if separator in text:
                for name in set(eman.findall(text[::-1])):
                    if self._may_hide(name[::-1]):
                        return True
        return may_hold_layout(text, self._names)

    def may_hold_tables(self, texts: Iterable[str]) -> bool:
        """Tell whether one of `texts` is, or holds, a table with secrets in it."""
        return any(
            may_hold_table(text) and any(places_in_tables(text, self._names.hides))
            for text in texts
        )

    def without(self, text: str, found: Found) -> str:
        """Return `text` with the values masked that have a secret's name; tell `found` of them."""
        places = list(places_in_layouts(text, self._names))
        if may_hold_table(text):
            places += places_in_tables(text, self._names.hides)
        parts: list[str] = []
        at = 0
        for start, end in sorted([*places, *self._named(text)]):
            if end > at and not is_placeholder(text[start:end]):
                found(text[start:end])
                parts += [text[at:start], MASK] if start >= at else []
                at = end
        return "".join([*parts, text[at:]])

    def _may_hide(self, name: str) -> bool:
        lower = name.lower()
        return (
            lower in _LAST_WORDS
            or self._names.hides(name)
            or self._names.hides_parameter(name)
            # A header's is the same whatever letters are capitals.
            or self._names.hides(lower)
        )

    def _named(self, text: str) -> Iterator[Span]:
        done = 0
        for start, end, name in _names_in(text):
            # A name in a value that is masked already would have the rest of it read again.
            if start < done or text[start - 3 : start] == "://" or not self._may_hide(name):
                continue
            separator = _SEPARATOR.match(text, end)
            if separator is not None and self._hides(text, name, start, separator[0]):
                prose = separator[0][0] in {":", _WIDE_COLON}
                for place in (
                    *_object_at(text, separator.end()),
                    *_value_at(text, separator.end(), name, prose=prose),
                ):
                    done = place[1]
                    yield place

    def _hides(self, text: str, name: str, start: int, separator: str) -> bool:
        if self._names.hides(name):
            return True
        if separator == "=" and text[max(start - 1, 0) : start] in {"?", "&"}:
            return self._names.hides_parameter(name)
        before = _WORDS_BEFORE.search(text, max(start - _BEFORE, 0), start)
        words = [*before[0].split(), name] if before else [name]
        return any(self._names.hides(" ".join(words[at:])) for at in range(len(words)))


def _names_in(text: str) -> list[tuple[int, int, str]]:
    """Return the names before separators in order, each with where it begins and its separator."""
    length, backwards = len(text), text[::-1]
    return sorted(
        (length - match.end(), length - match.start() - 1, match[1][::-1])
        for separator, eman in _EMANS.items()
        if separator in text
        for match in eman.finditer(backwards)
    )


def _object_at(text: str, at: int) -> Iterator[Span]:
    """Give where the object or the list of JSON at `at` begins and ends: all of it is masked."""
    if not _OBJECT.match(text, at):
        return
    depth = 0
    for bracket in _BRACKET.finditer(text, at, at + _MAX_OBJECT):
        depth += 1 if bracket[0] in "{[" else -1
        if not depth:
            yield at, bracket.end()
            return
    yield at, min(at + _MAX_OBJECT, len(text))


def _value_at(text: str, at: int, name: str, *, prose: bool) -> Iterator[Span]:
    """Give where the value of `name`, at `at`, begins and ends, if it is one."""
    match = _VALUE.match(text, at)
    if match is None:
        return
    kind = "quoted" if match["quotes"] else "braced" if match["braced"] else "bare"
    if _VARIABLE.match(text, match.start(kind)):
        return
    value = match[kind]
    if not value or is_placeholder(value):
        assigned = _ASSIGNED.match(text, match.end()) if prose and kind == "bare" else None
        if assigned is not None:
            yield from _value_at(text, assigned.end(), name, prose=False)
        return
    if kind == "bare" and not match["scheme"]:
        if prose and _is_prose(text, match):
            return
        if not prose and _is_code(text, match, name):
            return
    yield match.span(kind)


def _is_code(text: str, match: re.Match[str], name: str) -> bool:
    """Tell a value that code passes on or asks for: `token=self.token`, `token=ask()`."""
    bare = match["bare"]
    if bare == name or _PASSED_ON.fullmatch(bare):
        return True
    return text[match.end() : match.end() + 1] in {"(", "["} and bool(_CALL.fullmatch(bare))


def _is_prose(text: str, match: re.Match[str]) -> bool:
    """Tell a sentence ("Secret: never give up") from a value."""
    bare = match["bare"]
    return bool(_WORD.fullmatch(bare)) and bool(
        _NEXT_WORD.match(text, match.end()) or bare[-1] in ".!?:"
    )
