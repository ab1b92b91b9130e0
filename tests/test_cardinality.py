"""How many time series a metric can make."""

from __future__ import annotations

import pytest

from langflow_otel import cardinality
from langflow_otel.cardinality import CardinalityCap


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cardinality, "_limit", 2)


def test_what_comes_after_the_first_is_folded_into_other_and_the_first_stay() -> None:
    cap = CardinalityCap("flow")
    assert [cap({"flow": name})["flow"] for name in ("a", "b", "c", "d", "a")] == [
        *("a", "b", "other", "other", "a")
    ]


def test_it_is_the_combinations_that_count_and_the_other_attributes_stay() -> None:
    cap = CardinalityCap("flow", "component")
    folded = [
        cap({"flow": flow, "component": component, "status": "ok"})
        for flow, component in (("a", "x"), ("a", "y"), ("b", "x"), ("a", "x"))
    ]
    assert folded[2] == {"flow": "other", "component": "other", "status": "ok"}
    assert folded[3] == {"flow": "a", "component": "x", "status": "ok"}


def test_an_attribute_that_is_not_there_is_not_made_up() -> None:
    cardinality.set_limit(0)
    assert CardinalityCap("flow", "model")({"flow": "a"}) == {"flow": "other"}
