"""No error of ours reaches a flow: every function inside raises, and nothing changes."""

from __future__ import annotations

import inspect
import logging
from types import ModuleType
from typing import Any

import pytest

from langflow_otel import capture, context, enrich, guard, spans
from langflow_otel.capture import (
    blobs,
    captured,
    content,
    documents,
    forms,
    layouts,
    masker,
    names,
    pairs,
    shapes,
    snapshot,
    tables,
    types,
)
from langflow_otel.capture import secrets as run_secrets
from langflow_otel.seams import component, fields, flow, langchain, langflow, secrets, tool
from langflow_otel.spans import active, tracer
from langflow_otel.spans import component as component_spans
from langflow_otel.spans import flow as flow_spans
from langflow_otel.spans import tool as tool_spans
from tests.conftest import Traced
from tests.support import flows

INSIDE = [
    capture, blobs, captured, content, documents, forms, layouts, masker, names, pairs,
    run_secrets, shapes, snapshot, tables, types, context, enrich, spans, active, tracer,
    component_spans, flow_spans, tool_spans, component, fields, flow, langflow, langchain, secrets,
    tool,
]  # fmt: skip
# What stands around Langflow's own call, and so has to run for Langflow to run.
AROUND = {
    "safely",
    "_running",
    "build_vertex",
    "inputs",
    "get_tools",
    "run",
    "work",
    "awork",
    "_called",
    "_working",
    "execution_span",
    "arun",
    "async_start",
    "start",
    "build",
    "load",
    "copy",
    "log",
    "preload",
    "variable",
    "from_environment",
    "around",
    "around_coroutine",
    "_made",
    "__init__",
    # Not in the way of a flow.
    "shutdown",
    "force_flush",
}


def _functions(module: ModuleType) -> list[tuple[Any, str]]:
    found: list[tuple[Any, str]] = []
    for name, value in vars(module).items():
        if getattr(value, "__module__", None) != module.__name__:
            continue
        if inspect.isfunction(value) and name not in AROUND:
            found.append((module, name))
        elif inspect.isclass(value):
            found += [
                (value, member)
                for member, body in vars(value).items()
                if inspect.isfunction(body) and member not in AROUND
            ]
    return found


FUNCTIONS = [pair for module in INSIDE for pair in _functions(module)]


def _raise(*_: Any, **__: Any) -> Any:
    raise RuntimeError("broken inside")


@pytest.mark.parametrize("make", [flows.linear_chat, flows.agent_with_tools, flows.loop_over_items])
async def test_every_inner_function_raises_and_the_answer_is_the_same(
    traced: Traced, monkeypatch: pytest.MonkeyPatch, make: Any, said: Any
) -> None:
    flow_json = make()
    expected = await flows.run_flow(flow_json, "a, b", session_id="s1")
    monkeypatch.setattr(guard, "strict", False)
    for owner, name in FUNCTIONS:
        monkeypatch.setattr(owner, name, _raise)

    assert await flows.run_flow(flow_json, "a, b", session_id="s1") == expected

    warnings = said(logging.WARNING)
    assert any("failed with RuntimeError; the flow is not affected" in line for line in warnings)
    assert len(warnings) == len(set(warnings)), "each place is named once"


@pytest.mark.slow
@pytest.mark.parametrize(("owner", "name"), FUNCTIONS, ids=lambda value: str(value)[:60])
async def test_one_inner_function_raises_and_the_answer_is_the_same(
    traced: Traced, monkeypatch: pytest.MonkeyPatch, owner: Any, name: str
) -> None:
    monkeypatch.setattr(guard, "strict", False)
    monkeypatch.setattr(owner, name, _raise)

    if owner in {tool, tool.ToolCall, tool.ToolSeam, tool_spans.ToolSpan}:
        answer = await flows.run_flow(flows.agent_with_tools(), "weather?")
        assert answer == 'The tools answered: Oslo: snow, -3 degrees; {"kilometres": 838}'
    else:
        assert await flows.run_flow(flows.sync_method()) == "hi (worker thread)"


async def test_an_error_of_the_flow_is_passed_on_unchanged(
    traced: Traced, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "strict", False)
    for owner, name in FUNCTIONS:
        monkeypatch.setattr(owner, name, _raise)
    with pytest.raises(ValueError, match="no such order: 4711"):
        await flows.run_flow(flows.failing(), "4711")


def test_the_log_names_the_place_and_the_type_not_the_text(
    monkeypatch: pytest.MonkeyPatch, said: Any
) -> None:
    def leak() -> None:
        raise ValueError("the secret is " + "4711")

    monkeypatch.setattr(guard, "strict", False)
    guard.safely(leak)
    guard.safely(leak)
    (line,) = said(logging.WARNING)
    assert "leak failed with ValueError" in line
    assert "in leak" in said()[-1], "where it failed is said at debug level"
    assert not any("is 4711" in each for each in said())
