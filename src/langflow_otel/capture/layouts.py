"""Secrets that the layout of a text names: header lines, tags, options, rows, errors.

Each layout has a gate, which is fast and wrong only in opening, and gives the places of values.
Nearly all texts pass here for nothing, so a pattern begins with a character that stands for itself
where it can, and looks behind that one: `re` runs to a literal some twenty times as fast as it
tries a class, or looks behind, at every character.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from langflow_otel.capture.names import SecretNames

Span = tuple[int, int]
Hides = Callable[[str], bool]
Gate = Callable[[str], object]


class Layout(NamedTuple):
    """A way of writing a secret: a pattern has a group `value` and, unless it is plain, `name`."""

    gate: Gate
    patterns: Sequence[re.Pattern[str]]
    in_query: bool = False

    def places(self, text: str, names: SecretNames) -> Iterator[Span]:
        """Give where the values are whose names are in `names`, in a text the gate is open for."""
        hides = names.hides_parameter if self.in_query else names.hides
        for pattern in self.patterns:
            named = "name" in pattern.groupindex
            match = pattern.search(text)
            while match is not None:
                at = match.span("value")
                start, end = at if at[0] >= 0 else match.span("bare")
                hidden = not named or hides(match["name"])
                if hidden:
                    yield start, end
                # In what stands under a harmless name there may be another one.
                match = pattern.search(text, match.end() if hidden else start)


def places_in_layouts(text: str, names: SecretNames) -> Iterator[Span]:
    """Give where the values are whose names are in `names`, of all layouts."""
    for layout in (*HEADERS, *LAYOUTS):
        if layout.gate(text):
            yield from layout.places(text, names)


def may_hold_layout(text: str, names: SecretNames) -> bool:
    """Tell whether there are any but in headers: of those whoever looks for names sees the name."""
    return any(layout.gate(text) and any(layout.places(text, names)) for layout in LAYOUTS)


def _has(character: str, *words: str) -> Gate:
    """Return a gate that looks for `words` only where `character`, which is found fast, is."""
    return lambda text: character in text and any(word in text for word in words)


def _in_any_case(word: str) -> Gate:
    return lambda text: word in text.lower()


def _finds(characters: str, pattern: str) -> Gate:
    """Return a gate that looks for `pattern` only where one of `characters` is."""
    search = re.compile(pattern).search
    return lambda text: any(map(text.__contains__, characters)) and search(text)


_LINE = r"(?aim)^[<>* \t]{0,8}"
_QUOTE = r"(?P<quote>[\"'])"
_VALUE = r"al(?<=\b[Vv]al)(?:ue)?[\"'\\]*\s*[:=]"
_OPTION = r"-(?<![\w-]-)-?(?P<name>[A-Za-z][\w-]{0,63})"

#: What has its name before a colon.
HEADERS = (
    # A line of cookies, and the same as an argument: -H 'Cookie: …'
    Layout(
        _in_any_case("cookie:"),
        (
            re.compile(_LINE + r"(?:set-)?cookie:[ \t]*(?P<value>\S[^\r\n]*)"),
            re.compile(r"(?ai)[\"'](?:set-)?cookie:[ \t]*(?P<value>[^\r\n\"']+)"),
        ),
    ),
    # Authorization: Digest username="…", response="…"
    Layout(
        _in_any_case("authorization:"),
        (
            re.compile(
                _LINE + r"(?:proxy-)?authorization:[ \t]*(?:[\w-]+[ ])?(?P<value>\S[^\r\n]*)"
            ),
            re.compile(
                r"(?ai)[\"'](?:proxy-)?authorization:[ \t]*(?:[\w-]+[ ])?(?P<value>[^\r\n\"']+)"
            ),
        ),
    ),
)
LAYOUTS = (
    # machine … login … password …
    Layout(
        _has("m", "machine "),
        (re.compile(r"\bmachine\s+\S+\s+login\s+\S+\s+password\s+(?P<value>\S+)"),),
    ),
    # host:5432:database:user:password
    Layout(
        _has(":", ":5432:"),
        (re.compile(r"(?m)^[\w.*-]+:5432:[^:\s]+:[^:\s]+:(?P<value>\S+)$"),),
    ),
    # CREATE USER … PASSWORD '…', IDENTIFIED BY '…'
    Layout(
        _has("'", "ASSWORD '", "assword '", "DENTIFIED BY", "dentified by"),
        (re.compile(r"(?i)\b(?:password|identified\s+by)\s+'(?P<value>[^']+)'"),),
    ),
    # <password>…</password>
    Layout(
        _has("<", "</"),
        (
            re.compile(
                r"<(?P<name>[\w:.-]{1,64})(?:\s[^<>]{0,256})?>(?:<!\[CDATA\[)?(?P<value>[^<>]+)"
                r"(?=>?</[\w:.-]{1,64}>)"
            ),
        ),
    ),
    # ?next=https%3A%2F%2F…%3Ftoken%3D…
    Layout(
        _has("%", "%3D", "%3d"),
        (
            re.compile(
                r"(?i)(?:%3F|%26|(?<![\w.-]))(?P<name>[a-z_][\w.-]{0,63})%3D"
                r"(?P<value>(?:[^%\s&\"'<>]|%(?!26)[0-9a-f]{2})+)"
            ),
        ),
        in_query=True,
    ),
    # --token …, and the same in a list of arguments; curl -u user:…
    # What stands in brackets for any value, [--token TOKEN], is none.
    Layout(
        lambda text: "-" in text,
        (
            re.compile(
                _OPTION + r"(?:[ \t]{1,8}|[ ]{0,8}\n|[\"'],\s{0,8})"
                r"(?P<value>(?<=\n)(?!-)[^\n]+|(?<=\s)(?![\s-]|[A-Z_]+\])[^\s\"']+)"
            ),
            re.compile(
                rf"{_OPTION}(?:[ \t]{{1,8}}|[\"'],\s{{0,8}}){_QUOTE}(?P<value>(?:(?!(?P=quote)).)+)"
            ),
            re.compile(
                r"-(?<![^\s\"'(\[]-)(?:u|-user|-proxy-user)(?:[ ]{0,8}|[\"'],\s{0,8})[\"']?"
                r"[^\s:\"']{1,256}:"
                r"(?P<value>[^\s\"']+)"
            ),
        ),
    ),
    # A pair as Python and JSON write it: ('x-api-key', '…')
    Layout(
        lambda text: "(" in text or "[" in text,
        tuple(
            re.compile(
                rf"{bracket}\s*b?[\"'](?P<name>[A-Za-z_][\w. -]{{0,63}})[\"']\s*,\s*b?{_QUOTE}"
                r"(?P<value>(?:\\.|(?!(?P=quote))[^\\\n]){1,4096})(?=[\"']\s*[\])])"
            )
            for bracket in (r"\(", r"\[")
        ),
    ),
    # {"key": "Authorization", "value": "…"}, <add key="…" value="…"/>, name: …\n  value: …
    # and the same the other way round: {"value": "…", "key": "Authorization"}
    Layout(
        re.compile(_VALUE).search,
        (
            *(
                re.compile(
                    rf"{word[1:]}(?<=\b[{word[0].upper()}{word[0]}]{word[1:]})[\"'\\]*\s*[:=]"
                    rf"\s*[\"'\\]*(?P<name>[\w.-]+)[\"'\\]*[,;\s]+[\"'\\]*[Vv]{_VALUE}\s*"
                    r"(?:(?P<quote>\\*[\"'])(?P<value>(?:(?!(?<!\\)(?P=quote)).)+)"
                    r"|(?P<bare>[^\s\"'\\,;]+))"
                )
                for word in ("key", "name", "header", "field")
            ),
            re.compile(
                rf"{_VALUE}\s*(?P<quote>\\*[\"'])(?P<value>(?:(?!(?<!\\)(?P=quote)).){{1,4096}})"
                r"(?P=quote)[,;\s]+[\"'\\]*(?i:key|name|header|field)[\"'\\]*\s*[:=]"
                r"\s*[\"'\\]*(?P<name>[\w.-]+)"
            ),
        ),
    ),
    # password: |\n  …
    Layout(
        _finds("|>", r":[ ]?[|>]"),
        (
            re.compile(
                r"(?m)^(?P<indent>[ \t]*)(?P<name>[\w.-]+):[ \t]*[|>][+-]?[ \t]*\n"
                r"(?P<value>(?:(?P=indent)[ \t]+[^\n]*(?:\n|\Z))+)"
            ),
        ),
    ),
    # api_key\n  Input should be … [type=…, input_value='…', …]: pydantic's errors
    Layout(
        _has("=", "input_value="),
        (
            re.compile(
                r"(?m)^(?:[\w.]+\.)?(?P<name>\w+)\n[ ]{2}.*input_value="
                r"(?P<value>'[^'\n]*'|[^,\n]+)"
            ),
        ),
    ),
    # A form's part: name="password", an empty line, the value.
    Layout(
        _has(":", "Content-Disposition"),
        (
            re.compile(
                r"\bname=\"(?P<name>[^\"\n]{1,64})\"\r?\n(?:[^\r\n]+\r?\n){0,4}\r?\n"
                r"(?P<value>[^\r\n]+)"
            ),
        ),
    ),
    # The user and password that clients in Python are given: auth=("user", "…")
    Layout(
        _finds("(", r"\((?:(?<=uth=.)|(?<=uth = .)|(?<=Auth.))"),
        (
            re.compile(
                r"(?i)auth[ ]?=?[ ]?\([ ]?[\"'][^\"'\n]{0,256}[\"'][ ]?,[ ]?[\"']"
                r"(?P<value>[^\"'\n]{1,512})"
            ),
        ),
    ),
)
