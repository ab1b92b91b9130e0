"""How a secret value may be written, and how it is found and masked as it is."""

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple, TypeVar
from urllib.parse import quote, quote_plus, unquote

from langflow_otel.capture.shapes import MASK, RUN, long_runs

#: The shortest value that is looked for elsewhere, in characters.
SHORTEST = 6
_LONG_RUN = re.compile(rf"[\w+/=-]{{{RUN},}}", re.ASCII)
# What is left as it is in a URL: nothing, a path's slash, what httpx, and what requests leaves.
_SAFE_IN_URLS = ("", "/", "!$&'()*+,;=:@/~", "!#$%&'()*+,/:;=?@[]~")
_NEEDS_ESCAPE = re.compile(r"[^ -~]|[\"'\\/]")
# A run of backslashes is looked at from its beginning only: from each of them takes quadratic time.
_BREAK = re.compile(r"(?:[\r\n]|(?<!\\)\\+[rn])+")
# So many forms are looked for one by one; to find the runs of a text takes about as long.
_FEW = 8
_UNITS = re.compile(r"\\+|[^\\]")
# A longer value is looked for as JSON writes it, and not as anything may: its pattern would be
# thousands of alternatives.
_LONGEST_ESCAPED = 256
_PERCENT = re.compile(rb"%([0-9A-Fa-f]{2})")
T = TypeVar("T", str, bytes)


class Form(NamedTuple):
    """One way in which a value may be written.

    Attributes:
        text: What is written.
        run: The longest run in it of characters that keys are made of, if it has `RUN` of them.
    """

    text: str
    run: bytes


class Forms:
    """All ways in which some values may be written. Never changes, so that reading takes no lock.

    Args:
        forms: The forms of the values.
        escaped: What finds the values in texts that quote them.
    """

    def __init__(
        self, forms: Iterable[Form] = (), escaped: tuple[re.Pattern[str], ...] = ()
    ) -> None:
        """See the class."""
        # The longest first: one secret may be the beginning of another.
        self._all = sorted(set(forms), key=lambda form: (-len(form.text), form.text))
        self._escaped = escaped
        self._short = [form.text for form in self._all if not form.run]
        self._long = [form for form in self._all if form.run]

    def with_value(self, value: str) -> "Forms":
        """Return these, and those of `value`."""
        pattern = escaped(value)
        patterns = self._escaped if pattern is None else (*self._escaped, pattern)
        return Forms((*self._all, *forms_of(value)), patterns)

    @property
    def longest(self) -> int:
        """The length of the longest, in characters."""
        return len(self._all[0].text) if self._all else 0

    def may_be_in(self, text: str, *, has_long_runs: bool) -> bool:
        """Tell whether a value stands in `text`, in whatever form.

        `has_long_runs` says whether 16 characters of keys come in a row anywhere in it.
        """
        if not self._all:
            return False
        if self._is_in(text, has_long_runs=has_long_runs):
            return True
        if "\\" in text and any(pattern.search(text) for pattern in self._escaped):
            return True
        return (has_long_runs and self._is_broken_in(text)) or self._is_encoded_in(text)

    def without(self, text: str) -> str:
        """Return `text` with every value masked, in whatever form it stands there."""
        found = [span for form in self._all for span in places_of(form.text, text)]
        if found:
            text = masked_at(text, found, MASK)
        if "\\" in text:
            for pattern in self._escaped:
                text = pattern.sub(MASK, text)
        if self._is_broken_in(text):
            text = without_broken(text, [form.text for form in self._long])
        # Not every encoder of URLs leaves the same characters as they are.
        if self._is_encoded_in(text):
            text = without_encoded(text, [form.text for form in self._all])
        return text

    def _is_broken_in(self, text: str) -> bool:
        joined = _unbroken(text) if self._long else text
        return joined is not text and self._is_in_runs(joined)

    def _is_encoded_in(self, text: str) -> bool:
        if "%" not in text or not self._all:
            return False
        decoded = unquote(text)
        return (decoded != text and self._is_in(decoded)) or (
            "+" in decoded and self._is_in(decoded.replace("+", " "))
        )

    def _is_in(self, text: str, *, has_long_runs: bool = True) -> bool:
        return any(form in text for form in self._short) or (
            has_long_runs and bool(self._long) and self._is_in_runs(text)
        )

    def _is_in_runs(self, text: str) -> bool:
        """Tell whether a form with a long run stands in `text`: that run is in one of the text's.

        What is in runs is little, mostly, and a secret may be written in dozens of ways.
        """
        if len(self._long) <= _FEW:
            return any(form.text in text for form in self._long)
        runs = long_runs(text.encode("utf-8", "replace"))
        return bool(runs) and any(form.run in runs and form.text in text for form in self._long)


@lru_cache(maxsize=512)
def forms_of(value: str) -> tuple[Form, ...]:
    """Return the forms of `value`; the runs of a flow have the same secrets, mostly."""
    forms = dict.fromkeys(_written(value))
    return tuple(
        Form(form, max(_LONG_RUN.findall(form), key=len, default="").encode()) for form in forms
    )


@lru_cache(maxsize=512)
def escaped(value: str) -> re.Pattern[str] | None:
    """Return what finds `value` in texts that quote it, of whatever language, however often.

    None for a value that has nothing to escape, or is long.
    """
    if len(value) > _LONGEST_ESCAPED or not _NEEDS_ESCAPE.search(value):
        return None
    # Where the first may have backslashes before it, they are all of theirs.
    first = r"(?<!\\)" if _NEEDS_ESCAPE.match(value) else ""
    return re.compile(first + "".join(map(_escaped_unit, _UNITS.findall(value))))


def _escaped_unit(unit: str) -> str:
    """Return what matches a character, or a run of backslashes, in all ways to escape it."""
    character = unit[0]
    if not _NEEDS_ESCAPE.match(character):
        return re.escape(character)
    if character == "\\":
        # As one: how many stand for how many would be tried in all ways.
        return r"(?:(?:\\+(?:u00|x|U000000)5[cC])+|\\+)"
    units = character.encode("utf-16-be", "surrogatepass")
    codes = "".join(rf"\\+u(?i:{units[at : at + 2].hex()})" for at in range(0, len(units), 2))
    short = {"\n": "n", "\r": "r", "\t": "t", "\b": "b", "\f": "f"}.get(character)
    forms = [rf"\\*{re.escape(character)}", codes, rf"\\+U(?i:{ord(character):08x})"]
    if ord(character) <= 0xFF:
        forms.append(rf"\\+x(?i:{ord(character):02x})")
    if short:
        forms.append(rf"\\+{short}")
    return f"(?:{'|'.join(forms)})"


def _written(value: str) -> Iterable[str]:
    data = value.encode("utf-8", "replace")
    yield value
    # What is captured has no lone surrogates any more.
    value = data.decode()
    yield value
    for form in (quote_plus(data), *(quote(data, safe=safe) for safe in _SAFE_IN_URLS)):
        yield form
        if "%" in form:
            yield re.sub("%[0-9A-F]{2}", lambda match: match[0].lower(), form)
    yield value.replace(" ", "+")
    yield html.escape(value)
    if len(value) > _LONGEST_ESCAPED:
        yield from (
            json.dumps(value, ensure_ascii=ascii_only)[1:-1] for ascii_only in (True, False)
        )
    for shift in range(3):
        # In base64 three bytes are four characters, so what a value becomes depends on where it
        # begins; the characters at its ends that its neighbours have a part in are left out.
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            whole = encode(b"\0" * shift + data).decode().rstrip("=")
            bits = (shift + len(data)) * 8
            inner = whole[(0, 2, 3)[shift] : bits // 6]
            if len(inner) >= SHORTEST:
                yield inner


def _unbroken(text: str) -> str:
    """Return `text` without line breaks, escaped ones too; the same text where there are none."""
    if "\\" in text:
        return _BREAK.sub("", text)
    return text.replace("\n", "").replace("\r", "")


def without_broken(text: str, forms: Iterable[str]) -> str:
    """Mask `forms` where lines are broken in them, as some encoders of base64 do."""
    joined, at = "", 0
    origins: list[int] = []
    for match in _BREAK.finditer(text):
        joined += text[at : match.start()]
        origins += range(at, match.start())
        at = match.end()
    joined += text[at:]
    origins += range(at, len(text))
    places = [
        (origins[start], origins[end - 1] + 1)
        for form in forms
        for start, end in places_of(form, joined)
    ]
    return masked_at(text, places, MASK) if places else text


def without_encoded(text: str, values: Iterable[str]) -> str:
    """Mask `values` where they are URL-encoded, whatever of them the encoder left as it was."""
    data = text.encode("utf-8", "replace")
    decoded = bytearray()
    # Where each byte of `decoded`, and its end, stands in `data`.
    origins: list[int] = []
    at = 0
    for match in _PERCENT.finditer(data):
        decoded += data[at : match.start()] + bytes([int(match[1], 16)])
        origins += range(at, match.start() + 1)
        at = match.end()
    decoded += data[at:]
    origins += range(at, len(data) + 1)
    places = [
        (origins[start], origins[end])
        for value in values
        for plain in (bytes(decoded), bytes(decoded).replace(b"+", b" "))
        for start, end in places_of(value.encode("utf-8", "replace"), plain)
    ]
    return masked_at(data, places, MASK.encode()).decode() if places else text


def places_of(form: T, text: T) -> Iterator[tuple[int, int]]:
    """Give where `form` begins and ends in `text`, each time, overlaps too."""
    at = text.find(form)
    while at >= 0:
        yield at, at + len(form)
        at = text.find(form, at + 1)


def masked_at(text: T, places: Iterable[tuple[int, int]], mask: T) -> T:
    """Mask `places`, which may overlap: one secret may begin in another."""
    shown, shown_to = text[:0], 0
    for start, end in sorted(places):
        if start >= shown_to:
            shown += text[shown_to:start] + mask
        shown_to = max(shown_to, end)
    return shown + text[shown_to:]
