"""The examples, run as written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.invariants import check
from tests.support.receiver import OtlpReceiver
from tests.support.tree import render
from tests.support.versions import before

EXAMPLES = Path(__file__).parent.parent / "examples"
SOURCES = [path for path in EXAMPLES.rglob("*") if path.suffix in {".py", ".sh"}]


def _run(receiver: OtlpReceiver, *command: str) -> str:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    endpoint = {"PHOENIX_COLLECTOR_ENDPOINT": receiver.endpoint, "PATH": path}
    done = subprocess.run(
        command, env={**os.environ, **endpoint}, capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_an_example_is_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 40


@pytest.mark.skipif(
    before("1.10"),
    reason="the `lfx run` of before knows no scripts with components of lfx alone",
)
def test_zero_code(receiver: OtlpReceiver) -> None:
    answer = _run(receiver, "sh", str(EXAMPLES / "zero_code" / "run.sh"))
    assert "You asked: What is a trace?" in answer
    spans = receiver.wait_for(4)
    check(spans, traces=1)
    assert render(spans).startswith("CHAIN Zero code\n  CHAIN Chat Input\n  PROMPT Prompt")


def test_in_code(receiver: OtlpReceiver) -> None:
    answer = _run(receiver, sys.executable, str(EXAMPLES / "in_code.py"))
    assert answer.splitlines()[-2:] == ["You asked: What is a trace?", "You asked: And a span?"]
    spans = receiver.wait_for(8)
    check(spans, traces=2, session="a-session")
    assert render(spans).startswith("CHAIN In code\n  CHAIN Chat Input\n  PROMPT Prompt")
