"""Secrets inside objects: tables, lfx's messages and data, models, calls of tools."""

from __future__ import annotations

import json
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from pydantic import BaseModel, SecretStr

from tests.support.corpus.case import Case, ends, fake, lazily, word

FIRST, SECOND = fake("first row", 32), fake("second row", 32)
PASSWORD = word("object")
TOKEN = fake("object", 40)
GITHUB = "gh" + "p_" + fake("in a table", 36)


class Connection(BaseModel):
    host: str
    api_key: str
    timeout: int


class Account(BaseModel):
    user: str
    password: SecretStr
    connections: list[Connection] = []


@dataclass
class Mailbox:
    host: str
    password: str


def frame() -> Any:
    import pandas as pd

    rows = [{"service": "search", "api_key": FIRST}, {"service": "maps", "api_key": SECOND}]
    return pd.DataFrame(rows)


def lfx_frame() -> Any:
    from lfx.schema import DataFrame

    return DataFrame([{"customer": "Ann Berg", "Access Token": FIRST, "visits": 4711}])


def frame_of_rows() -> Any:
    from lfx.schema import DataFrame

    return DataFrame([{"key": "Accept", "value": "gzip"}, {"key": "X-Api-Key", "value": FIRST}])


def frame_with_shape() -> Any:
    from lfx.schema import DataFrame

    return DataFrame([{"line": 1, "text": f"remote uses {GITHUB} now"}])


def series() -> Any:
    import pandas as pd

    return {"rows": pd.Series({"service": "search", "client_secret": FIRST})}


def message() -> Any:
    from lfx.schema import Message

    return Message(text=f"Use api_key={FIRST} for the weather service", sender_name="Ann Berg")


def data() -> Any:
    from lfx.schema import Data

    return Data(data={"url": "https://api.example.com/v1", "headers": {"X-Api-Key": FIRST}})


def list_of_data() -> Any:
    from lfx.schema import Data

    return [Data(text="opening hours"), Data(data={"text": "a note", "secret": SECOND})]


def ai_message() -> Any:
    from langchain_core.messages import AIMessage

    args = {"url": "https://api.example.com/v1", "headers": {"Authorization": f"Bearer {TOKEN}"}}
    return AIMessage(content="", tool_calls=[{"name": "http_get", "args": args, "id": "call_1"}])


def document() -> Any:
    from langchain_core.documents import Document

    return Document(page_content="opening hours", metadata={"source": "crm", "auth_token": TOKEN})


def data_of_lookalikes() -> Any:
    from lfx.schema import Data

    return Data(data={"author": "Ann Berg", "token_count": 4711, "keywords": ["tides", "moon"]})


def frame_of_lookalikes() -> Any:
    from lfx.schema import DataFrame

    return DataFrame([{"author": "Ann Berg", "total_tokens": 4711, "primary_key": 86421}])


CASES = [
    Case("table-column", "table", lazily(frame), (*ends(FIRST), *ends(SECOND)), ("search", "maps")),
    Case(
        "table-column-with-a-space",
        "table",
        lazily(lfx_frame),
        ends(FIRST),
        ("Ann Berg", "4711", "customer"),
    ),
    Case("table-key-and-value", "table", lazily(frame_of_rows), ends(FIRST), ("gzip",)),
    Case(
        "table-cell-with-a-known-prefix",
        "table",
        lazily(frame_with_shape),
        ends(GITHUB[4:]),
        ("remote uses",),
    ),
    Case("table-series", "table", lazily(series), ends(FIRST), ("search",)),
    Case(
        "table-records",
        "table",
        {"columns": ["user", "password"], "records": [{"user": "ann.berg", "password": PASSWORD}]},
        (PASSWORD,),
        ("ann.berg", "columns"),
    ),
    Case(
        "lfx-message-text",
        "message",
        lazily(message),
        ends(FIRST),
        ("api_key", "for the weather service", "Ann Berg"),
    ),
    Case(
        "lfx-data-headers",
        "data",
        lazily(data),
        ends(FIRST),
        ("https://api.example.com/v1", "X-Api-Key"),
    ),
    Case("lfx-data-list", "data", lazily(list_of_data), ends(SECOND), ("opening hours", "a note")),
    Case(
        "model-pydantic",
        "model",
        Connection(host="db7", api_key=FIRST, timeout=4711),
        ends(FIRST),
        ("db7", "4711"),
    ),
    Case(
        "model-pydantic-nested",
        "model",
        Account(
            user="ann.berg",
            password=SecretStr(PASSWORD),
            connections=[Connection(host="db7", api_key=SECOND, timeout=4711)],
        ),
        (PASSWORD, *ends(SECOND)),
        ("ann.berg", "db7"),
    ),
    Case(
        "model-dataclass",
        "model",
        {"box": Mailbox(host="imap.example.com", password=PASSWORD)},
        (PASSWORD,),
        ("imap.example.com",),
    ),
    Case(
        "model-namespace",
        "model",
        SimpleNamespace(host="imap.example.com", password=PASSWORD),
        (PASSWORD,),
    ),
    Case("model-document", "model", lazily(document), ends(TOKEN), ("opening hours", "crm")),
    Case(
        "tool-arguments-of-an-ai-message",
        "tool arguments",
        lazily(ai_message),
        ends(TOKEN),
        ("http_get", "https://api.example.com/v1"),
    ),
    Case(
        "tool-arguments-as-json",
        "tool arguments",
        {
            "id": "call_1",
            "type": "function",
            "function": {
                "name": "send_mail",
                "arguments": json.dumps({"smtp_password": PASSWORD, "subject": "Opening hours"}),
            },
        },
        (PASSWORD,),
        ("send_mail", "Opening hours"),
    ),
    Case(
        "tool-arguments-as-keywords",
        "tool arguments",
        {"tool": "login", "kwargs": {"userName": "ann.berg", "passWord": PASSWORD}},
        (PASSWORD,),
        ("login", "ann.berg"),
    ),
    Case(
        "tool-arguments-in-a-shell",
        "tool arguments",
        {"name": "bash", "input": {"command": f"export API_TOKEN={TOKEN} && make deploy"}},
        ends(TOKEN),
        ("bash", "API_TOKEN", "make deploy"),
    ),
    Case(
        "data-of-lookalikes",
        "data",
        lazily(data_of_lookalikes),
        readable=("author", "Ann Berg", "token_count", "4711", "tides"),
    ),
    Case(
        "table-of-lookalikes",
        "table",
        lazily(frame_of_lookalikes),
        readable=("Ann Berg", "total_tokens", "4711", "primary_key", "86421"),
    ),
    Case(
        "model-of-lookalikes",
        "model",
        Connection(host="keyboards.example.com", api_key="", timeout=4711),
        readable=("keyboards.example.com", "4711"),
    ),
]
