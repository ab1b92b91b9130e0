"""Secrets in headers, pairs and rows."""

from __future__ import annotations

from tests.support.corpus.case import HEX, Case, base64_of, ends, fake, word

DEEP, ONE, TWO = word("deep"), word("one"), word("two")
BASIC = base64_of(f"ann.berg:{DEEP}")
SESSION, CSRF = fake("session", 32), fake("csrf", 32)
HEADERS = [
    Case(
        "headers-authorization-without-scheme",
        "headers",
        {"Authorization": fake("bare", 32), "Accept": "application/json"},
        ends(fake("bare", 32)),
        ("Authorization", "application/json"),
    ),
    Case(
        "headers-authorization-token-scheme",
        "headers",
        {"authorization": "Token " + fake("drf", 40, HEX), "Accept": "application/json"},
        ends(fake("drf", 40, HEX)),
        ("application/json",),
    ),
    Case(
        "headers-basic",
        "headers",
        {"AUTHORIZATION": f"Basic {BASIC}", "Host": "api.example.com"},
        ends(BASIC),
        ("api.example.com",),
    ),
    Case(
        "headers-digest",
        "headers",
        {
            "Authorization": f'Digest username="ann", uri="/x", response="{fake("dig", 32, HEX)}"',
            "Host": "api.example.com",
        },
        ends(fake("dig", 32, HEX)),
        ("api.example.com",),
    ),
    Case(
        "headers-cookie",
        "headers",
        {"cookie": f"theme=dark; sessionid={SESSION}; csrftoken={CSRF}", "dnt": "1"},
        (*ends(SESSION), *ends(CSRF)),
        ("cookie", "dnt"),
    ),
    Case(
        "headers-set-cookie",
        "headers",
        {"Set-Cookie": f"sid={SESSION}; Path=/; HttpOnly; Secure", "Content-Type": "text/html"},
        ends(SESSION),
        ("text/html",),
    ),
    Case(
        "headers-proxy-authorization-in-bytes",
        "headers",
        {b"proxy-authorization": b"Basic " + BASIC.encode(), b"host": b"api.example.com"},
        ends(BASIC),
        ("api.example.com",),
    ),
    Case(
        "headers-private-token",
        "headers",
        {"PRIVATE-TOKEN": fake("private", 20), "X-Goog-Api-Key": fake("goog", 39)},
        (*ends(fake("private", 20)), *ends(fake("goog", 39))),
        ("PRIVATE-TOKEN", "X-Goog-Api-Key"),
    ),
]

PAIR, ROW = fake("pair", 32), fake("row", 32)
PAIRS = [
    Case(
        "pairs-tuples",
        "pairs",
        [("accept", "application/json"), ("x-api-key", PAIR)],
        ends(PAIR),
        ("application/json", "x-api-key"),
    ),
    Case(
        "pairs-lists",
        "pairs",
        [["X-Auth-Token", PAIR], ["User-Agent", "Langflow/1.0"]],
        ends(PAIR),
        ("Langflow/1.0", "X-Auth-Token"),
    ),
    Case(
        "pairs-asgi-bytes",
        "pairs",
        [(b"host", b"api.example.com"), (b"cookie", b"sid=" + SESSION.encode())],
        ends(SESSION),
        ("api.example.com",),
    ),
    Case(
        "pairs-tuple-of-tuples",
        "pairs",
        {"params": (("q", "weather in Oslo"), ("access_token", PAIR))},
        ends(PAIR),
        ("weather in Oslo", "access_token"),
    ),
    Case(
        "rows-api-request-headers",
        "rows",
        [
            {"key": "User-Agent", "value": "Langflow/1.0"},
            {"key": "X-Api-Key", "value": ROW},
        ],
        ends(ROW),
        ("Langflow/1.0", "X-Api-Key"),
    ),
    Case(
        "rows-api-request-body",
        "rows",
        {"body": [{"key": "email", "value": "ann@example.com"}, {"key": "password", "value": ONE}]},
        (ONE,),
        ("ann@example.com",),
    ),
    Case(
        "rows-value-first",
        "rows",
        {"headers": [{"value": ROW, "key": "Authorization"}, {"value": "gzip", "key": "Accept"}]},
        ends(ROW),
        ("gzip",),
    ),
    Case(
        "rows-environment-of-a-container",
        "rows",
        {"env": [{"name": "LOG_LEVEL", "value": "debug"}, {"name": "DB_PASSWORD", "value": TWO}]},
        (TWO,),
        ("LOG_LEVEL", "debug", "DB_PASSWORD"),
    ),
    Case(
        "rows-template-field",
        "rows",
        {
            "headers": {
                "type": "table",
                "table_schema": [{"name": "key", "display_name": "Header"}],
                "value": [{"key": "api-token", "value": ROW}, {"key": "A", "value": "plain"}],
            }
        },
        ends(ROW),
        ("Header", "plain"),
    ),
]

CASES = [*HEADERS, *PAIRS]
