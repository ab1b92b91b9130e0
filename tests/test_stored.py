"""Which flow it is that runs, where Langflow runs it under another id and name."""

from __future__ import annotations

import uuid

import pytest

from langflow_otel.seams import stored
from langflow_otel.seams.flow import _flow_of_build
from langflow_otel.seams.stored import as_stored

FLOW = "5d3a2c1e-0000-4000-8000-000000000001"
VISITOR = "5d3a2c1e-0000-4000-8000-000000000002"
OF_VISITOR = f"{VISITOR}_{FLOW}"


@pytest.fixture
def loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Langflow has read the flow from its database."""
    monkeypatch.setattr(stored, "_names", {})
    stored._keep_name({"id": uuid.UUID(FLOW), "name": "Support"})


def _visited() -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, OF_VISITOR))


def test_a_flow_that_is_visited_is_the_flow(loaded: None) -> None:
    assert as_stored(_visited(), OF_VISITOR) == (FLOW, "Support")


def test_a_build_before_1_12_tells_which_flow_it_is_whatever_the_visitor_calls_it(
    loaded: None,
) -> None:
    told = _flow_of_build(
        {"flow_id": _visited(), "flow_name": "anything", "source_flow_id": uuid.UUID(FLOW)}
    )
    assert (told.id, told.name) == (FLOW, "Support")


def test_so_it_is_where_langflow_tells_which_it_is(loaded: None) -> None:
    assert as_stored(_visited(), OF_VISITOR, FLOW) == (FLOW, "Support")
    assert as_stored(_visited(), "Support, for you", FLOW) == (FLOW, "Support")


def test_of_one_that_was_not_loaded_the_visitor_is_not_told_for_a_name() -> None:
    assert as_stored(_visited(), OF_VISITOR) == (FLOW, None)
    assert as_stored(_visited(), "Support, for you", FLOW) == (FLOW, "Support, for you")


def test_a_run_without_a_name_has_that_of_its_flow(loaded: None) -> None:
    assert as_stored(FLOW, None) == (FLOW, "Support")
    assert as_stored(VISITOR, None) == (VISITOR, None)


@pytest.mark.parametrize("name", ["Mine", OF_VISITOR, f"Copy_{FLOW}", "", None])
def test_any_other_flow_stays_what_it_is(name: str | None) -> None:
    assert as_stored("4711", name) == ("4711", name or None)


def test_so_many_names_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "_names", {})
    monkeypatch.setattr(stored, "_MAX_NAMES", 2)
    for number in range(3):
        stored._keep_name({"id": number, "name": f"flow {number}"})
    assert stored._names == {"1": "flow 1", "2": "flow 2"}
