"""Runs the matrix of noxfile.py and prints what came of it as a table for the README.

    python tools/matrix.py [ARGUMENT OF NOX...]     e.g. -p 3.12, or -s "tests(lfx-0.2.2-...)"
    python tools/matrix.py --report                 the table of the last run again

Started by `make test-all`, in an environment that has nox.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from bootstrap import ROOT, search_path, uv_path

RESULTS = ROOT / ".nox" / "results"
REPORT = ROOT / ".nox" / "report.json"


def main(arguments: list[str]) -> int:
    """Runs nox, unless only the table is asked for."""
    failed = 0
    if "--report" not in arguments:
        failed = run_nox(arguments)
    if not REPORT.exists():
        print("Nothing has been run yet.")
        return 2
    print("\n" + table(json.loads(REPORT.read_text())["sessions"]))
    return failed


def run_nox(arguments: list[str]) -> int:
    """Every cell, also where one fails; 0 if none did."""
    path = os.pathsep.join([str(uv_path().parent), search_path()])
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.unlink(missing_ok=True)
    nox = [sys.executable, "-m", "nox", "--report", str(REPORT), *arguments]
    environment = {**os.environ, "PATH": path, "UV_COMPILE_BYTECODE": "1"}
    return subprocess.run(nox, check=False, cwd=ROOT, env=environment).returncode


def table(sessions: list[dict[str, Any]]) -> str:
    """A row for each cell, as Markdown."""
    lines = [
        "| Langflow | Python | OpenTelemetry | wrapt | tests |",
        "|---|---|---|---|---|",
    ]
    return "\n".join(lines + ["| " + " | ".join(row(session)) + " |" for session in sessions])


def row(session: dict[str, Any]) -> tuple[str, ...]:
    """What was installed, and how the tests went."""
    name = session["signatures"][0]
    arguments = session["args"]
    recorded = RESULTS / f"{name}.json"
    if session["result"] == "skipped" or not recorded.exists():
        python = name.partition("-py")[2].partition("-")[0]
        asked = (arguments["langflow"].replace("==", " "), python)
        result = f"{session['result']}: {session.get('reason') or 'see above'}"
        return *asked, arguments.get("opentelemetry", ""), arguments.get("wrapt", ""), result
    installed = json.loads(recorded.read_text())
    whole = installed.get("langflow-base")
    langflow = f"langflow-base {whole}" if whole else f"lfx {installed.get('lfx')}"
    return (
        langflow,
        installed["python"],
        installed.get("opentelemetry-sdk", ""),
        installed.get("wrapt", ""),
        counts(recorded.with_suffix(".xml")) or str(session["result"]),
    )


def counts(junit: Path) -> str:
    """How many tests passed, failed and were skipped."""
    if not junit.exists():
        return ""
    suite = ElementTree.parse(junit).getroot().find("testsuite")  # noqa: S314 - our own file
    if suite is None:
        return ""
    failed = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
    skipped = int(suite.get("skipped", 0))
    passed = int(suite.get("tests", 0)) - failed - skipped
    parts = ((passed, "passed"), (failed, "**failed**"), (skipped, "skipped"))
    return ", ".join(f"{number} {what}" for number, what in parts if number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
