"""Loops, circles, branches, and flows in flows: each run of a component in its place, numbered."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Any

import pytest
from lfx.graph.graph.base import Graph

from tests.conftest import Traced
from tests.support import control_flows, flows
from tests.support.invariants import check
from tests.support.select import is_ours, main_parts, named, only
from tests.support.spans import Span
from tests.support.tree import overlapping, render

# From Langflow 1.8 on; before, the components of the body ran in the flow's own graph.
BODY_IS_A_GRAPH = hasattr(Graph, "create_subgraph")

needs_body = pytest.mark.skipif(not BODY_IS_A_GRAPH, reason="Langflow 1.7 runs no nested loops")


def places(spans: Iterable[Span], name: str) -> list[Any]:
    """Index and path of what has that name, in the order it started."""
    found = sorted((s for s in spans if s.name == name), key=lambda s: s.start_ns)
    return [
        (s.attributes.get("langflow.loop.index"), s.attributes.get("langflow.loop.path"))
        for s in found
    ]


def run_indices(spans: Iterable[Span], name: str) -> list[Any]:
    found = sorted((s for s in spans if s.name == name), key=lambda s: s.start_ns)
    return [span.attributes.get("langflow.component.run_index") for span in found]


async def test_an_iteration_says_which_it_is_and_so_do_the_models_in_it(traced: Traced) -> None:
    assert await flows.run_flow(control_flows.loop_that_asks(), "a,b,c") == "a! b! c!"

    spans = traced.spans()
    check(spans, traces=1)
    assert places(spans, "Ask Row") == [(0, "0"), (1, "1"), (2, "2")]
    assert places(spans, "ScriptedChatModel") == [(0, "0"), (1, "1"), (2, "2")]
    assert set(places(spans, "Loop")) == {(None, None)}
    assert places(spans, "Rows") == places(spans, "Chat Output") == [(None, None)]


async def test_the_spans_of_an_iteration_are_below_the_loop(traced: Traced) -> None:
    await flows.run_flow(control_flows.loop_that_asks(), "a,b")

    tree = render(main_parts(traced.spans()))
    if BODY_IS_A_GRAPH:
        expected = """\
CHAIN Loop that asks
  CHAIN Chat Input
  CHAIN Rows or None
  CHAIN Loop
    CHAIN Ask Row
      LLM ScriptedChatModel
    CHAIN Ask Row
      LLM ScriptedChatModel
  CHAIN Rows
  CHAIN Chat Output"""
    else:
        expected = """\
CHAIN Loop that asks
  CHAIN Chat Input
  CHAIN Rows or None
  CHAIN Loop
  CHAIN Ask Row
    LLM ScriptedChatModel
  CHAIN Loop
  CHAIN Ask Row
    LLM ScriptedChatModel
  CHAIN Loop
  CHAIN Rows
  CHAIN Chat Output"""
    assert tree == expected


@needs_body
async def test_nested_loops_are_told_apart_by_their_path(traced: Traced) -> None:
    assert await flows.run_flow(control_flows.nested_loops(), "a b, c d") == "A B C D"

    spans = traced.spans()
    check(spans, traces=1)
    assert places(spans, "Shout") == [(0, "0/0"), (1, "0/1"), (0, "1/0"), (1, "1/1")]
    assert places(spans, "Inner") == places(spans, "Words") == [(0, "0"), (1, "1")]
    assert places(spans, "Outer") == [(None, None)]
    assert (
        render(spans)
        == """\
CHAIN Nested loops
  CHAIN Chat Input
  CHAIN Items
  CHAIN Outer
    CHAIN Words
    CHAIN Inner
      CHAIN Shout
      CHAIN Shout
    CHAIN Sentence
    CHAIN Words
    CHAIN Inner
      CHAIN Shout
      CHAIN Shout
    CHAIN Sentence
  CHAIN Rows
  CHAIN Chat Output"""
    )


async def test_a_failing_iteration_is_the_last_and_fails_its_loop(traced: Traced) -> None:
    with pytest.raises(ValueError, match="a bad row"):
        await flows.run_flow(control_flows.loop_that_asks(), "a,bad,c")

    spans = traced.spans()
    check(spans, traces=1)
    assert places(spans, "Ask Row") == [(0, "0"), (1, "1")]
    failed = {s.name for s in spans if s.status == "ERROR"}
    assert failed == {"Loop that asks", "Ask Row"} | ({"Loop"} if BODY_IS_A_GRAPH else set())
    assert named(spans, "Loop that asks").attributes["error.type"] == "LookupError"


async def test_a_loop_over_nothing_has_no_iteration(traced: Traced) -> None:
    assert await flows.run_flow(control_flows.loop_that_asks(), "none") == ""

    spans = traced.spans()
    check(spans, traces=1)
    assert (
        render(spans)
        == """\
CHAIN Loop that asks
  CHAIN Chat Input
  CHAIN Rows or None
  CHAIN Loop
  CHAIN Rows
  CHAIN Chat Output"""
    )


@needs_body
async def test_what_a_flow_in_an_iteration_runs_says_the_iteration_too(traced: Traced) -> None:
    inner = control_flows.loop_that_asks()
    outer = control_flows.loop_that_calls(inner)
    assert await flows.run_flow(outer, "a,b") == "a! b!"

    spans = traced.spans()
    check(spans, traces=1)
    assert places(spans, "Loop that asks") == [(0, "0"), (1, "1")]
    assert places(spans, "Chat Input") == [(None, None), (0, "0"), (1, "1")]
    assert places(spans, "Ask Row") == [(0, "0/0"), (0, "1/0")]


async def test_two_runs_of_one_graph_count_by_themselves(traced: Traced) -> None:
    for text in ("a,b", "c,d"):
        await flows.run_flow(flows.graph_of(control_flows.loop_that_asks()), text)

    spans = traced.spans()
    check(spans, traces=2)
    assert places(spans, "Ask Row") == [(0, "0"), (1, "1")] * 2


async def test_a_branch_that_is_not_taken_makes_no_span(traced: Traced) -> None:
    for answer, name in (("yes", "Yes"), ("of course not", "No")):
        await flows.run_flow(control_flows.branches(), answer)

        spans = traced.spans()
        check(spans, traces=1)
        assert (
            render(spans)
            == f"""\
CHAIN Branches
  CHAIN Chat Input
  CHAIN If-Else
  CHAIN {name}
  CHAIN Answer {name}"""
        )
        traced.clear()


async def test_a_flow_that_goes_in_circles_has_a_span_for_each_run(traced: Traced) -> None:
    # Langflow up to 1.9 fails where Chat Input gets an empty message back, later ones do not
    # come to the end: either way some run more than once.
    with contextlib.suppress(Exception):
        await flows.run_flow(control_flows.circle(), "a")

    spans = only(traced.spans(), is_ours)
    check(spans, traces=1)
    rounds = len([span for span in spans if span.name == "Chat Input"])
    assert rounds > 1
    assert run_indices(spans, "Chat Input") == list(range(rounds))
    runs = sorted(spans, key=lambda span: span.start_ns)[1:]
    assert [span.name for span in runs] == (["Chat Input", "Grow", "If-Else"] * rounds)[: len(runs)]
    assert all(span.parent_id == named(spans, "Circle").span_id for span in runs)


async def test_what_runs_once_has_no_run_index(traced: Traced) -> None:
    await flows.run_flow(flows.sync_method())
    assert not any("langflow.component.run_index" in s.attributes for s in traced.spans())


async def test_a_flow_in_a_session_of_its_own_keeps_it_to_itself(traced: Traced) -> None:
    inner = flows.linear_chat("Inner answer", name="Inner")
    outer = control_flows.call(inner, session="the inner one")
    assert await flows.run_flow(outer, "hi", session_id="the outer one") == "Inner answer"

    spans = traced.spans()
    check(spans, session="the outer one", sub_sessions={"Inner": "the inner one"}, traces=1)
    (model,) = [span for span in spans if span.kind == "LLM"]
    assert model.session == "the inner one"


async def test_a_flow_that_runs_itself_ends_and_nests(traced: Traced) -> None:
    assert await flows.run_flow(control_flows.countdown(), "1") == "1 0"

    spans = traced.spans()
    check(spans, traces=1)
    assert (
        render(spans)
        == """\
CHAIN Countdown
  CHAIN Chat Input
  CHAIN Count Down
    CHAIN Countdown
      CHAIN Chat Input
      CHAIN Count Down
      CHAIN Chat Output
  CHAIN Chat Output"""
    )
    outer, inner = sorted(
        (s for s in spans if s.name == "Countdown"), key=lambda span: span.start_ns
    )
    assert (outer.attributes["input.value"], inner.attributes["input.value"]) == ("1", "0")
    assert (outer.attributes["output.value"], inner.attributes["output.value"]) == ("1 0", "0")


async def test_flows_that_run_at_once_in_one_flow_are_apart(traced: Traced) -> None:
    await flows.run_flow(control_flows.call_both(flows.parallel_branches()), "hi")

    spans = traced.spans()
    check(spans, traces=1)
    branches = """\
    || CHAIN Parallel branches
      CHAIN Chat Input
      || CHAIN Left
      || CHAIN Right
      CHAIN Join
      CHAIN Chat Output
"""
    assert (
        render(spans, overlap=True)
        == f"""\
CHAIN Twice at a time
  CHAIN Chat Input
  CHAIN Call Both
{branches}{branches}  CHAIN Chat Output"""
    )
    one, other = (span for span in spans if span.name == "Parallel branches")
    assert overlapping(one, other)
    assert {one.attributes["input.value"], other.attributes["input.value"]} == {"left", "right"}


async def test_a_flow_that_fails_does_not_fail_the_one_that_recovers(traced: Traced) -> None:
    assert await flows.run_flow(control_flows.recovering(flows.failing()), "4711") == "recovered"

    spans = traced.spans()
    check(spans, traces=1)
    assert (
        render(spans)
        == """\
CHAIN Recovering
  CHAIN Chat Input
  CHAIN Try Flow
    CHAIN Failing !error
      CHAIN Chat Input
      CHAIN Order Lookup !error
  CHAIN Chat Output"""
    )
    assert named(spans, "Recovering").status == named(spans, "Try Flow").status == "OK"
