"""What real flows carry, with a careful human's verdict on each: is it a secret, is it readable?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from langflow_otel.capture import Capture, RunSecrets
from tests.support.corpus import CASES
from tests.support.corpus.case import Case

# What is not readable and should be. Each is a decision; a new one is a bug.
FALSE_POSITIVES = {
    # Bytes are named by size and hash, so that a short text in bytes is not read.
    "headers-proxy-authorization-in-bytes",
    "pairs-asgi-bytes",
    # A Message that is an output on its own is shown as its text, without its sender.
    "lfx-message-text",
}


def _captured(value: Any) -> list[str]:
    """The value as an output on its own, as an input among others, and both cut short."""
    return [
        shown
        for size in (65536, 300)
        for shown in (
            Capture(max_bytes=size, secrets=RunSecrets()).value(value).text,
            Capture(max_bytes=size, secrets=RunSecrets()).json({"field": value, "n": 1}).text,
        )
    ]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_no_secret_of_the_corpus_is_captured(case: Case) -> None:
    for text in _captured(case.make()):
        assert [
            s for s in case.secrets if s in text or json.dumps(s, ensure_ascii=False)[1:-1] in text
        ] == []


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_what_is_no_secret_stays_readable(case: Case) -> None:
    alone, *_ = _captured(case.make())
    unreadable = [word for word in case.readable if word not in alone]
    assert bool(unreadable) is (case.id in FALSE_POSITIVES)


def test_the_figures_are_in_the_readme_of_the_tests() -> None:
    secret = sum(bool(case.secrets) for case in CASES)
    told = Path(__file__).parent.joinpath("README.md").read_text()
    assert len(CASES) >= 150
    assert f"{len(CASES)} cases" in told
    assert f"{secret} with secrets" in told
    assert f"{len(CASES) - secret} look-alikes" in told
    assert f"{len(FALSE_POSITIVES)} false positives" in told
