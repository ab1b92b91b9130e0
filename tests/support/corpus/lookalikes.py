"""Names and values that only look secret: a mask over these is a false positive."""

from __future__ import annotations

import json
from typing import Any

from tests.support.corpus.case import ALNUM, DIGITS, HEX, Case, base64_of, fake

SHA1, SHA256, MD5 = (fake("digest", length, HEX) for length in (40, 64, 32))
UUID = "7d4f1c52-9a0e-4c4e-8f3b-2b6a51d0c9e7"


def alike(name: str, value: Any, *readable: str, place: str = "dict") -> Case:
    """A case with nothing to hide: by default, its own text must be left."""
    return Case(f"lookalike-{name}", place, value, (), readable or (str(value),))


USAGE = {"prompt_tokens": 4711, "completion_tokens": 86421, "total_tokens": 91132}
DETAILS = {"prompt_tokens_details": {"cached_tokens": 3517}}
SCHEMA = {
    "type": "object",
    "properties": {
        "api_key": {"type": "string", "description": "What the portal shows below Settings"},
        "password": {"type": "string", "minLength": 4711},
        "city": {"type": "string"},
    },
    "required": ["city"],
}
SCHEMA_LEFT = ("What the portal shows below Settings", "minLength", "4711", "city")

NAMES = [
    alike("max-tokens", {"max_tokens": 4711}, "max_tokens", "4711"),
    alike("max-tokens-camel", {"maxOutputTokens": 4711}, "maxOutputTokens", "4711"),
    alike("token-usage", {"token_usage": USAGE}, "token_usage", "4711", "86421", "91132"),
    alike("token-details", {"usage": {**USAGE, **DETAILS}}, "cached_tokens", "3517", "91132"),
    alike("token-count", {"tokenCount": 4711, "tokens": 86421}, "4711", "86421"),
    alike("tokens-per-second", {"tokens_per_second": 47.11}, "tokens_per_second", "47.11"),
    alike("token-type", {"token_type": "bearer", "expires_in": 4711}, "bearer", "4711"),
    alike("token-endpoint", {"token_endpoint": "https://sso.example.com/t"}, "sso.example.com/t"),
    alike("token-url", {"tokenUrl": "https://sso.example.com/t"}, "https://sso.example.com/t"),
    alike("next-page-token", {"next_page_token": "page-2", "items": 47}, "page-2", "47"),
    alike("next-page-token-camel", {"nextPageToken": "page-2"}, "nextPageToken", "page-2"),
    alike("eos-token", {"eos_token": "</s>", "bos_token": "[BOS]"}, "</s>", "[BOS]"),
    alike("pad-token", {"pad_token_id": 50256, "mask_token": "[MASK]"}, "50256", "[MASK]"),
    alike("tokenizer", {"tokenizer": "cl100k_base", "tokenize": True}, "cl100k_base", "rue"),
    alike("tokenizer-name", {"tokenizerName": "bert-base-uncased"}, "bert-base-uncased"),
    alike("token-limit", {"token_limit": 4711, "stop_at_token_limit": True}, "4711", "rue"),
    alike("author", {"author": "Ann Berg", "co_authors": ["Bo Dahl"]}, "Ann Berg", "Bo Dahl"),
    alike("authority", {"authority": "sso.example.com"}, "authority", "sso.example.com"),
    alike("authors", {"authors": [{"name": "Ann Berg"}]}, "authors", "Ann Berg"),
    alike("authorized", {"authorized": True, "authorized_by": "Ann Berg"}, "rue", "Ann Berg"),
    alike(
        "authorization-endpoint",
        {"authorization_endpoint": "https://sso.example.com/authorize"},
        "https://sso.example.com/authorize",
    ),
    alike("auth-type", {"auth": "oauth2", "auth_type": "basic"}, "oauth2", "basic"),
    alike("authenticated", {"authenticated": "yes, twice"}, "yes, twice"),
    alike("keyboard", {"keyboard": "qwerty", "keypad": "numeric"}, "qwerty", "numeric"),
    alike("keywords", {"keywords": ["tides", "moon"], "key_points": ["ebb"]}, "tides", "ebb"),
    alike("keynote", {"keynote": "Ann Berg", "keyframe": 4711}, "Ann Berg", "4711"),
    alike("monkey", {"monkey": 4711, "turkey": "roasted", "hockey": "ice"}, "4711", "roasted"),
    alike("primary-key", {"primary_key": 86421, "foreignKey": "order_id"}, "86421", "order_id"),
    alike("sort-key", {"sort_key": "created_at", "partitionKey": "city"}, "created_at", "city"),
    alike("cache-key", {"cache_key": "weather:oslo"}, "cache_key", "weather:oslo"),
    alike("key-value", {"key": "value"}, "key", "value"),
    alike("object-key", {"Bucket": "reports", "Key": "2026/q3.csv"}, "reports", "2026/q3.csv"),
    alike("keyboard-event", {"key": "Enter", "code": "NumpadEnter"}, "Enter", "NumpadEnter"),
    alike("public-key-url", {"public_key_url": "https://example.com/k.pub"}, "example.com/k.pub"),
    alike("secretary", {"secretary": "Ms Jones", "secretariat": "Oslo"}, "Ms Jones", "Oslo"),
    alike("secret-name", {"secret_name": "prod/db", "secretName": "tls-cert"}, "prod/db", "tls-c"),
    alike("passenger", {"passenger": "Ann Berg", "passage": "to Bergen"}, "Ann Berg", "to Bergen"),
    alike("compass", {"compass": "north", "bypass": "E18", "surpass": 47}, "north", "E18", "47"),
    alike("passed", {"passed": 4711, "pass_rate": 0.93, "passing": True}, "4711", "0.93", "rue"),
    alike("password-flag", {"password": True, "required": 4711}, "rue", "4711"),
    alike("has-password", {"has_password": True, "show_password": True}, "rue"),
    alike(
        "password-policy",
        {"password_policy": "strict", "passwordMinLength": 4711},
        "strict",
        "4711",
    ),
    alike("password-changed", {"password_changed_at": "2026-01-31"}, "2026-01-31"),
    alike("passwordless", {"passwordless": "magic link"}, "magic link"),
    alike("credential-type", {"credential_type": "oauth2-client"}, "oauth2-client"),
    alike("api-key-name", {"api_key_name": "X-Search-Key"}, "X-Search-Key"),
    alike("api-version", {"api_version": "2024-10-21", "api_base": "/v1"}, "2024-10-21", "/v1"),
    alike("cookie-policy", {"cookie_policy": "strict", "cookies_enabled": True}, "strict", "rue"),
    alike("session-id", {"session_id": UUID, "session_name": "lobby"}, UUID, "lobby"),
    alike("signature", {"signature": "def add(a: int, b: int)"}, "def add(a: int, b: int)"),
    alike("json-schema", {"name": "search", "parameters": SCHEMA}, *SCHEMA_LEFT),
    alike("json-schema-as-text", json.dumps(SCHEMA), *SCHEMA_LEFT, place="json in text"),
    alike(
        "empty-template-field",
        {"api_key": {"display_name": "Search API Key", "password": True, "value": ""}},
        "Search API Key",
    ),
    alike(
        "rows",
        [{"key": "User-Agent", "value": "Langflow/1.0"}, {"key": "max_tokens", "value": "4711"}],
        "Langflow/1.0",
        "4711",
        place="rows",
    ),
    alike(
        "pairs",
        [("author", "Ann Berg"), ("token_count", 4711)],
        "Ann Berg",
        "4711",
        place="pairs",
    ),
    alike(
        "headers",
        {
            "traceparent": f"00-{MD5}-{MD5[:16]}-01",
            "ETag": f'W/"{SHA1}"',
            "Sec-WebSocket-Version": "13",
        },
        MD5,
        SHA1,
        "13",
        place="headers",
    ),
    alike(
        "headers-challenge",
        {"WWW-Authenticate": 'Bearer realm="api", error_description="The token expired"'},
        "realm=",
        "The token expired",
        place="headers",
    ),
]

VALUES = [
    ("git-sha", f"HEAD is now at {SHA1[:9]}, was {SHA1}"),
    ("sha256", f"sha256:{SHA256}"),
    ("md5", f"{MD5}  report.csv"),
    ("uuid", f"run {UUID} finished"),
    ("docker-digest", f"python:3.12@sha256:{SHA256}"),
    ("completion-id", "chatcmpl-" + fake("completion", 29) + " took 2 s"),
    ("tool-call-id", "call_" + fake("call", 24) + " and toolu_01" + fake("toolu", 22)),
    ("openai-ids", f"asst_{fake('asst', 24)} file-{fake('file', 22)} resp_{fake('resp', 48, HEX)}"),
    ("fine-tuned-model", "ft:gpt-4o-mini-2024-07-18:acme:support:9a" + fake("ft", 6)),
    ("stripe-ids", f"cus_{fake('cus', 14)} ch_{fake('ch', 24)} price_{fake('price', 24)}"),
    ("image", "data:image/png;base64,iVBORw0KGgoAAAANSUhEUg" + fake("image", 200) + "=="),
    ("base64-text", base64_of("The tide comes in twice a day, and goes out twice.")),
    (
        "public-ssh-key",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI" + fake("public", 43) + " ann@laptop",
    ),
    ("integrity", "sha512-" + fake("integrity", 86) + "=="),
    ("isbn", "ISBN 978-3-16-148410-0"),
    ("phone", "+47 22 85 50 50 or (555) 010-4477"),
    ("iban-like", "NO93 8601 1117 947"),
    ("long-number", fake("number", 40, DIGITS)),
    ("version", "langflow==1.12.0.dev47+g9fceb02d0"),
    ("youtube", "https://www.youtube.com/watch?v=" + fake("video", 11, ALNUM)),
    ("document-id", "https://docs.google.com/document/d/" + fake("document", 44) + "/edit"),
    ("mail", "ann.berg+flows@mail.example.com"),
    ("time-and-mail", "12:30 with ann@example.com"),
    ("url-with-port-and-at", "https://example.org:8080/path@v2"),
    ("url-of-a-profile", "https://social.example.com/@ann/4711"),
    ("url-of-a-map", "https://maps.example.com/maps/@59.9127,10.7461,12z"),
    ("url-of-a-package", "https://unpkg.com/react@18.2.0/umd/react.js"),
    ("url-with-user-only", "ssh://git@git.example.com:2222/acme/flows.git"),
    ("url-scp", "git@git.example.com:acme/flows.git"),
    ("url-ipv6", "http://[::1]:6006/v1/traces"),
    ("url-colon-and-at-in-query", "https://example.org/x?at=12:30@oslo"),
    ("url-then-mail", "Open http://localhost:3000, then write to ann@example.com"),
    ("url-keys", "https://example.org/x?keyword=tides&max_tokens=4711&author=ann&sort_key=name"),
    ("url-page-token", "https://example.org/x?page_token=page-2&limit=4711"),
    ("dsn-without-password", "postgresql+psycopg://app@db7:5432/crm?sslmode=require"),
    ("dsn-redis", "redis://cache:6379/0"),
    ("ratio", "ratio 3://4 and 5://6@7"),
]

COMPACT = json.dumps({"url": "http://h:80", "email": "ann@x.example.org"}, separators=(",", ":"))


def place_of(name: str) -> str:
    """Where the text with that id would stand."""
    return name[:3] if name.startswith(("url", "dsn")) else "text"


CASES = [
    *NAMES,
    *(alike(name, value, place=place_of(name)) for name, value in VALUES),
    alike(
        "compact-json-with-url-and-mail",
        COMPACT,
        "http://h:80",
        "ann@x.example.org",
        place="json in text",
    ),
]
