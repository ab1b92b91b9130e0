"""Langflow's own starter projects, with a model selected, and what they talk to."""

from __future__ import annotations

import importlib.util
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tests.support.openai_answers import Json, derived, offline
from tests.support.openai_server import OpenAIServer
from tests.support.outside import Outside
from tests.support.server import LangflowServer

MODEL = "gpt-4o-mini"
KEY_VARIABLE = "OPENAI_API_KEY"


def folder() -> Path | None:
    """Where the installed langflow-base has them; None where there is none."""
    spec = importlib.util.find_spec("langflow")
    if spec is None or not spec.origin:
        return None
    return Path(spec.origin).parent / "initial_setup" / "starter_projects"


def names() -> list[str]:
    """Of all of them."""
    found = folder()
    return sorted(path.stem for path in found.glob("*.json")) if found else []


def starter(name: str, **values: Any) -> Json:
    """A starter project as a user has it who has picked a model and typed something in.

    The model is `gpt-4o-mini` wherever one is asked for; its key comes from the global variable
    OPENAI_API_KEY, as the editor has it.

    Args:
        name: the project's.
        values: what goes into fields of these names; into a file's field, its path.
    """
    found = folder()
    assert found is not None
    flow: Json = json.loads((found / f"{name}.json").read_text())
    for template in _templates(flow):
        for key, field in template.items():
            if not isinstance(field, dict):
                continue
            if field.get("type") == "model":
                field["value"] = [{"name": MODEL, "provider": "OpenAI", "icon": "OpenAI"}]
                template["api_key"] |= {"value": KEY_VARIABLE, "load_from_db": True}
            elif key in values and field.get("type") == "file":
                field["file_path"] = [values[key]]
            elif key in values:
                field |= {"value": values[key], "load_from_db": False}
    return {**flow, "is_component": False}


def _templates(flow: Json) -> Iterator[Json]:
    for node in flow["data"]["nodes"]:
        described = node["data"].get("node") or {}
        if "template" in described:
            yield described["template"]


@dataclass(frozen=True)
class Surroundings:
    """What the flows talk to."""

    openai: OpenAIServer
    outside: Outside
    database: Path

    @property
    def values(self) -> dict[str, Any]:
        """What a user types into the fields of a starter project, wherever it runs."""
        return {"database_url": f"sqlite:///{self.database}", "search_mode": "RSS"}

    @property
    def environment(self) -> dict[str, str]:
        """A server's. Knowledge bases are of another provider (see tools/bootstrap.py)."""
        return {
            **self.openai.environment,
            "OPENAI_COMPATIBLE_BASE_URL": self.openai.base_url,
            "OPENAI_COMPATIBLE_API_KEY": self.openai.api_key,
            "http_proxy": self.outside.endpoint,
        }

    def fill(self, server: LangflowServer) -> dict[str, Any]:
        """Give a server a file and a knowledge base; the values, with these."""
        model = ("OpenAI Compatible", "text-embedding-3-small")
        return {
            **self.values,
            "path": server.add_file("report.txt", b"Revenue was 12 million."),
            "knowledge_base": server.add_knowledge("shelf", _SHELF, *model),
        }


_SHELF = "The bridge over the river is made of green glass.\n\nThe library is open on Sundays."


@contextmanager
def surroundings(folder: Path) -> Iterator[Surroundings]:
    """A model that calls what tools can be called here, the internet, and a database."""
    database = folder / "prices.db"
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("create table prices (plan text, price integer)")
        connection.execute("insert into prices values ('small', 7)")
    with Outside() as outside:
        arguments = {
            "evaluate_expression": {"expression": "6*7"},
            "fetch_content": {"urls": [outside.page]},
            "run_sql_query": {"query": "select price from prices"},
        }
        calls = offline({*arguments, "get_current_date"})
        answer = partial(derived, calls=calls, arguments=arguments, at_once=2)
        with OpenAIServer(answer) as openai:
            yield Surroundings(openai, outside, database)
