"""The page of variables is what the code says, and nothing is obeyed that is not on it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "variables.md"


def test_the_page_of_variables_is_not_stale() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "variables.py"), "--check"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_variable_of_opentelemetrys_that_the_code_names_is_on_the_page() -> None:
    told = set(re.findall(r"OTEL_[A-Z_]+[A-Z]", PAGE.read_text()))
    named = {
        name
        for module in ROOT.glob("src/langflow_otel/**/*.py")
        for name in re.findall(r'"(OTEL_[A-Z_]+[A-Z])"', module.read_text())
    }
    # One that the launcher only hands on, and how one of LangSmith's ends.
    assert named - told <= {"OTEL_LOGS_EXPORTER", "OTEL_ENABLED"}


def test_every_variable_of_ours_says_what_it_does() -> None:
    source = (ROOT / "src" / "langflow_otel" / "environment.py").read_text()
    names = set(re.findall(r'^[A-Z_]+ = "([A-Z_]+[A-Z])"', source, re.MULTILINE))
    assert len(names) > 30
    told = PAGE.read_text()
    assert {name for name in names if f"| `{name}` | " not in told} == set()
