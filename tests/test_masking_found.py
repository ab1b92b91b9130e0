"""What reviewers and fuzzing got out of an earlier masking: none of it comes out again."""

from __future__ import annotations

import base64
import collections
import dataclasses
import html
import json
import urllib.parse
from typing import Any

import httpx
import pandas as pd
import pytest
import requests

from langflow_otel.capture import Capture, RunSecrets

S = "kB7xQ2mZp9LwT4vRn8Yc"
SPECIAL = ("a b(c)!d$9xy", "p!ss wörd9", "p&ss'w<rd9", "p'ss\"w\\rd9", "p6X1fH\x85z9😀")


@dataclasses.dataclass
class Login:
    password: str = S


Pair = collections.namedtuple("Pair", "user password")
RULE = "|---|---|"

BY_NAME: list[Any] = [
    f'user,password,comment\nbob,{S},"likes a, b"',
    f"email,phone,password\nbob@x.org,,{S}",
    f"#,user,password\n1,bob,{S}",
    f"Here it is:\nuser,password\nbob,{S}",
    {"title": "hello", "csv": f"user,password\nbob,{S}"},
    {"a": "x\n" * 450, "b": f"| name | password |\n{RULE}\n| bob | {S} |"},
    "user,password\n" + f"bob,{S}\n" * 450,
    f"| name | password | note |\n{RULE}---|\n| Doe, John | {S} | x |",
    f"       user              password\n0  Ann Doe  {S}",
    f'got {{"password": "abcdefghi\\"{S}"}}',
    f'got {{\\"password\\": \\"abc\\\\\\"{S}\\"}}',
    *({"password": before + S + "!"} for before in ("$", "<", "[", "{", "%a9", "your-", "env.")),
    *(f"password={before}{S}!" for before in ("$", "<", "[", "{", "%a9", "your-", "env.")),
    {"body": f'{{"cookies": {{"sid": "{S}"}}}}'},
    {"body": f'{{"api_keys": ["{S}"]}}'},
    f'\n{{"api_keys": ["{S}"]}}',
    f'Result: {{"passwords": ["{S}"]}}',
    f'{{"cookies": {{"sid": "{S}"}}, "x": "{"y" * 30_000}"}}',
    f'got {{"value": "{S}", "key": "Authorization"}}',
    f'{{"credentials": {{"name": "admin", "password": "{S}"}}}}',
    {"credentials": {"name": "admin", "password": "sesame1"}, "x": S[:0]},
    {"password": S.encode(), "x": S},
    {"Key": "Authorization", "Value": S},
    ("password", S),
    {"header": ("X-Api-Key", S)},
    ["X-Api-Key", S],
    Pair("bob", S),
    f'got [{{"key": "password", "value": "ab\\u00df{S}"}}]',
    f"headers [('Accept', '*/*'), ('password', 'a6\\'58\"{S}')]",
    f"https://a.example/?next=https%3A%2F%2Fb.example%2F%3Fkey%3D{S}",
    {"auth": {"type": Login()}},
    pd.Series([S], name="password"),
    urllib.parse.urlsplit(f"https://bob:{S}@h.example/x"),
    f"password: |\n  {S}",
    f"password: >-\n  {S}\n",
    f"password={S}(1)",
    f"{'password' + '_abcdefgh' * 6}={S}",
    # A harmless name before it, in the same text and in the one before.
    f"run it with -v\nmycli --token {S}",
    f"docker run --rm -it\n  myimg --api-key {S}",
    f"sh -c \"mycli --token '{S}'\"",
    f"config.yaml: |\n    db:\n      password: |\n        {S}",
    {"a": "use -v", "b": f"mycli --token {S}"},
    ["ls -l", f"psql --password {S}"],
    f'<wsse:Password Type="PasswordText">{S}</wsse:Password>',
    f"<password><![CDATA[{S}]]></password>",
    f"--token\t{S}",
    f'AUTHORIZATION: Digest username="x", response="{S}"',
    "Basic " + base64.b64encode(f"bob:pässwörd{S}".encode("latin-1")).decode(),
]


def _capture(*known: str, max_bytes: int = 16384) -> Capture:
    secrets = RunSecrets()
    for secret in known:
        secrets.add(secret)
    return Capture(max_bytes=max_bytes, secrets=secrets)


def _shown(value: Any, *known: str, max_bytes: int = 16384) -> list[str]:
    as_json = _capture(*known, max_bytes=max_bytes).json({"field": value}).text
    json.loads(as_json)
    return [_capture(*known, max_bytes=max_bytes).value(value).text, as_json]


@pytest.mark.parametrize("value", BY_NAME, ids=lambda value: repr(value)[:50])
def test_what_a_name_tells_of_is_masked(value: Any) -> None:
    for shown in _shown(value):
        assert S[:9] not in shown
        assert S[-9:] not in shown
        assert "sesame1" not in shown


@pytest.mark.parametrize("value", [(S * 3 + " ") * 400, [(S * 3 + " ") * 400], {"x" * 190 + S: 1}])
@pytest.mark.parametrize("max_bytes", [256, 1000, 16384])
def test_nothing_of_a_secret_moves_into_view_where_masking_makes_a_text_shorter(
    value: Any, max_bytes: int
) -> None:
    for shown in _shown(value, S * 3, S, max_bytes=max_bytes):
        assert S[:6] not in shown


@pytest.mark.parametrize("length", range(20, 400, 7))
def test_a_row_of_settings_that_is_cut_is_masked(length: int) -> None:
    row = {"value": S, "x": "y" * length, "key": "Authorization"}
    for shown in _shown([row], max_bytes=256):
        assert S not in shown


@pytest.mark.parametrize("secret", SPECIAL)
@pytest.mark.parametrize(
    "write",
    [
        lambda secret: str(httpx.URL(f"https://h.example/{secret}/x")),
        lambda secret: requests.Request("GET", f"https://h.example/{secret}/x").prepare().url,
        lambda secret: urllib.parse.quote(secret, safe=" /"),
        lambda secret: json.dumps({"b": json.dumps({"c": secret})}),
        lambda secret: json.dumps({"page": str({"of": [secret]})}),
        lambda secret: repr(json.dumps({"of": f'{secret} and "it\'s"'})),
        lambda secret: json.dumps(repr(secret)),
        html.escape,
        repr,
    ],
    ids=[
        "httpx",
        "requests",
        "quote",
        "json in json",
        "repr in json",
        "json in repr",
        "quoted",
        "html",
        "repr",
    ],
)
def test_a_known_secret_is_masked_as_others_write_it(secret: str, write: Any) -> None:
    written = write(secret)
    for shown in _shown(f"see {written} there", secret):
        assert written not in shown
        assert secret not in shown


def _ways_to_write(secret: str) -> dict[str, str]:
    return {
        "plain": secret,
        "base64": base64.b64encode(secret.encode()).decode(),
        "in a URL": "".join(f"%{byte:02x}" for byte in secret.encode()),
        **{
            f"broken by {end!r}": f"{secret[:17]}{end}{secret[17:]}" for end in ("\n", "\r\n", "\r")
        },
    }


@pytest.mark.parametrize("before", ["", " ", "x" * 40, "-" * 7, "é", "\n", "%20", "word " * 3000])
@pytest.mark.parametrize("after", ["", " ", "y" * 40, "é", "\n", "/path?a=%20"])
@pytest.mark.parametrize("secret", [S, "a-wire" + "x" * 20 + "!"])
@pytest.mark.parametrize("others", [0, 40])
def test_a_known_secret_is_masked_whatever_it_is_written_next_to(
    before: str, after: str, secret: str, others: int
) -> None:
    ids = "see 0d0d7b3a-2b1c-4c61-9d3d-6f0a5f0c8a11, "
    known = [secret, *(f"0th3r-{number:x}-f4ke-secret" for number in range(others))]
    for way, written in _ways_to_write(secret).items():
        for text in (before + written + after, ids + before + written + after):
            for shown in _shown(text, *known):
                assert written not in shown, way
                assert json.dumps(written)[1:-1] not in shown, way


@pytest.mark.parametrize(
    "write", [str, html.escape, lambda secret: secret.replace("\ud800", "%3F")]
)
def test_a_secret_with_half_a_surrogate_pair_is_masked(write: Any) -> None:
    secret = "p4ss<\ud800>9x1"
    for shown in _shown(f"see {write(secret)} there", secret):
        assert "9x1" not in shown


@pytest.mark.parametrize("text", ["q={}", "100% sure: q={}", "q={} and %2", "a%20b?q={}"])
def test_a_blank_of_a_secret_may_be_a_plus(text: str) -> None:
    for shown in _shown(text.format("sesame+open/now!"), "sesame open/now!"):
        assert "sesame+open" not in shown


@pytest.mark.parametrize("line", ["{}", "> {}", "* {}\nx", "curl -H '{}'"])
@pytest.mark.parametrize(
    "header",
    [
        *(
            f"{name}: sid={S}"
            for name in ("Cookie", "COOKIE", "cOOKIE", "set-cookie", "Set-cOOkie")
        ),
        *(f"{name}: Foo {S}" for name in ("Authorization", "aUTHORIZATION", "PROXY-Authorization")),
    ],
)
def test_the_name_of_a_header_may_be_written_in_any_case(line: str, header: str) -> None:
    for shown in _shown(line.format(header)):
        assert S not in shown


@pytest.mark.parametrize("scheme", ["Bearer ", "bearer  ", "BEARER ", "Bearer\t", "Bearer%20"])
def test_what_comes_after_a_scheme_is_masked(scheme: str) -> None:
    for shown in _shown(f"it said {scheme}{S}, then"):
        assert S not in shown


def test_what_stands_in_the_line_after_a_scheme_is_shown() -> None:
    assert _shown("Bearer\n2024-01-01 is a date")[0] == "Bearer\n2024-01-01 is a date"


@pytest.mark.parametrize(
    "table",
    [
        f"user,password,note\nbob,{S},x",
        f"| user | password |\n{RULE}\n| bob | {S} |",
        f"  user  password\n0  bob  {S}",
    ],
)
def test_a_table_is_masked_also_after_its_lines_were_captured_one_by_one(table: str) -> None:
    capture = _capture()
    capture.json({"lines": table.split("\n")})
    for value in ({"lines": table}, [table], table):
        assert S not in capture.of(RunSecrets()).value(value).text


def test_two_secrets_that_overlap_leave_nothing_of_either() -> None:
    shown = _shown("xAAAABBBB11CCCC22x", "AAAABBBB11", "BBBB11CCCC22")
    assert shown[0] == "x**********x"


def test_a_long_image_in_a_text_leaves_none_of_its_base64() -> None:
    for text in _shown("see data:image/png;base64," + "QUJD" * 30_000 + ") here"):
        assert "QUJDQUJD" not in text
        assert "here" in text


@pytest.mark.parametrize(
    "value",
    [
        {"token": {"type": str, "required": True}},
        {"auth": {"type": object(), "description": "x" * 10_000_000}},
        {10**5000: "x", "b": 1},
        "token: " + "str = " * 1000,
        type("Unhashable", (type,), {"__eq__": lambda *_: False})("X", (), {})(),
        type("Homeless", (), {"__module__": None})(),
    ],
    ids=["schema", "object", "huge key", "chain", "unhashable", "homeless"],
)
def test_what_raised_once_is_captured(value: Any) -> None:
    assert all(0 < len(text) < 20_000 for text in _shown(value))


@pytest.mark.parametrize("size", [1_000_000, 10_000_000])
def test_what_stands_under_a_secrets_name_is_not_read_to_its_end(size: int) -> None:
    capture = _capture()
    shown = capture.json({"password": "a1b2 " * (size // 5)}).text
    assert shown == '{"password":"**********"}'
    assert len(capture.secrets) <= 1
    assert capture.secrets.longest <= 8 * 4096


def test_columns_of_one_name_keep_their_values() -> None:
    frame = pd.DataFrame([[1, 2]], columns=["a", "a"])
    assert json.loads(_shown(frame)[0])["head"] == [[1, 2]]


@dataclasses.dataclass
class Slotted:
    __slots__ = ("a", "b")
    a: int
    b: str


def test_what_stands_in_slots_is_read() -> None:
    assert json.loads(_shown(Slotted(1, "x"))[0]) == {"a": 1, "b": "x"}


SLOW = {
    "backslashes": "\\" * 16_000,
    "a key, a line and backslashes": "k" * 16 + "\n" + "\\" * 16_000,
    "a quote and backslashes": '"' + "\\" * 16_000,
    "backslashes before letters": ("\\" * 40 + "n") * 400,
    "options": "(-u" * 5_000,
    "beginnings of keys": "gl" * 8_000,
    "options and quotes": '-a "' * 4_000,
}
SECRETS = {
    "backslashes": "\\" * 8 + "x9zzq",
    "what is escaped": '"\\\'/"x9zzq',
    "a path": "/run/secrets-a1",
    "a key": "k9" * 20,
    "a long text": "漢字" * 2000,
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("text", SLOW)
@pytest.mark.parametrize("secret", SECRETS)
def test_no_text_takes_for_ever(text: str, secret: str) -> None:
    """Each took from seconds to years."""
    assert _capture(SECRETS[secret]).text(SLOW[text]).text


def test_a_run_of_backslashes_in_a_secret_is_found_however_often_it_is_escaped() -> None:
    secret = "pw\\\\x9zzq\\end"
    quoted = secret
    for _ in range(3):
        quoted = json.dumps({"x": quoted})
        assert "x9zzq" not in _capture(secret).text(f"got {quoted}").text


def test_a_long_secret_is_found_as_json_writes_it() -> None:
    secret = "line one of it: é\n" * 40 + S
    for quoted in (json.dumps(secret), json.dumps(secret, ensure_ascii=False)):
        assert S not in _capture(secret).text(f"got {quoted}").text


def test_an_error_that_is_made_where_a_hidden_one_was_is_not_hidden() -> None:
    secrets = RunSecrets()
    for number in range(100):
        error = ValueError(f"number {number}")
        assert not secrets.hides_error(error)
        secrets.hide_error(error)
        assert secrets.hides_error(error)
        del error


def test_an_object_one_of_whose_slots_is_not_set_is_shown_without_it() -> None:
    @dataclasses.dataclass(slots=True)
    class Slotted:
        there: str = "yes"
        later: str = dataclasses.field(init=False)

    assert _capture().value(Slotted()).text == '{"there":"yes"}'
