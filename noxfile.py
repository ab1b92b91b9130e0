"""The versions that the tests are run on. `make test-all` runs them all and prints a table.

A cell of the matrix is a Langflow (whole, or bare as lfx), a Python, an OpenTelemetry and a wrapt.
Not every combination of them: every value in each column, and each Langflow at least once.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import nox

OLDEST = "1.34.1"
NEWEST = "newest"

OPENTELEMETRY = {
    OLDEST: (
        "opentelemetry-api==1.34.1",
        "opentelemetry-sdk==1.34.1",
        "opentelemetry-instrumentation==0.55b1",
        "opentelemetry-instrumentation-httpx==0.55b1",
    ),
    NEWEST: (),
}

# Python, Langflow, OpenTelemetry, wrapt. OpenTelemetry 1.34.1 and langflow-base from 1.10 on (by
# Langfuse's SDK 3) allow only wrapt 1.
CELLS = (
    ("3.10", "lfx==0.2.2", OLDEST, "1"),  # Langflow 1.7
    ("3.13", "lfx==0.2.2", NEWEST, "2"),
    ("3.11", "lfx==0.3.4", NEWEST, "1"),  # 1.8
    ("3.12", "lfx==0.4.6", NEWEST, "2"),  # 1.9
    ("3.13", "lfx==1.10.3", OLDEST, "1"),
    ("3.10", "lfx==1.11.6", NEWEST, "2"),
    ("3.11", "lfx==1.12.8", OLDEST, "1"),
    ("3.10", "lfx==1.13.0", OLDEST, "1"),
    ("3.12", "lfx==1.13.0", NEWEST, "2"),
    ("3.14", "lfx==1.13.0", NEWEST, "2"),
    # Not with 1.34.1: with it and the FastAPI of today its server answers each request with a 500.
    ("3.10", "langflow-base==0.7.3", NEWEST, "1"),
    ("3.12", "langflow-base==0.7.3", NEWEST, "2"),
    ("3.11", "langflow-base==1.13.0", OLDEST, "1"),
    ("3.13", "langflow-base==1.13.0", NEWEST, "1"),
    ("3.14", "langflow-base==1.13.0", NEWEST, "1"),
)

# A whole Langflow of each version, whose server is run; Langflow 1.7 to 1.11 are its 0.7 to 0.11.
SERVERS = (
    ("3.12", "langflow-base==0.7.3"),
    ("3.11", "langflow-base==0.8.4"),
    ("3.12", "langflow-base==0.9.6"),
    ("3.13", "langflow-base==0.10.3"),
    ("3.10", "langflow-base==0.11.6"),
    ("3.12", "langflow-base==1.12.8"),
    ("3.11", "langflow-base==1.13.0"),
)
SERVER_TESTS = ("test_server.py", "test_two_servers.py", "test_server_processes.py")

# What a Langflow of its day needs to be installed, imported and started today.
PINS = {
    # They import openai without asking for it.
    "langflow-base==0.7.3": ("openai",),
    "langflow-base==0.8.4": ("openai",),
    # It calls what later ones of these do not have any more.
    "langflow-base==0.9.6": ("openai", "fastapi<0.136", "fastapi-pagination<0.15.10"),
    "langflow-base==0.10.3": ("openai",),
    "langflow-base==0.11.6": ("openai",),
}

# Phoenix is the same whatever sends to it, and what is slow is the same on every version: these
# cells alone run all there is.
WHOLE = (("langflow-base==1.13.0", NEWEST),)

RESULTS = Path(".nox", "results")
SHOWN = ("lfx", "langflow-base", "opentelemetry-sdk", "wrapt", "langchain-core", "rich")
VERSIONS = f"""
import importlib.metadata, json, platform
found = {{d.name: d.version for d in importlib.metadata.distributions() if d.name in {SHOWN!r}}}
print(json.dumps({{"python": platform.python_version(), **found}}))
"""

nox.options.default_venv_backend = "uv"
nox.options.error_on_missing_interpreters = False
nox.options.reuse_venv = "yes"


@nox.session
@nox.parametrize(
    ["python", "langflow", "opentelemetry", "wrapt"],
    CELLS,
    ids=[
        f"{langflow.replace('==', '-')}-py{python}-otel-{otel}-wrapt{wrapt}"
        for python, langflow, otel, wrapt in CELLS
    ],
)
def tests(session: nox.Session, langflow: str, opentelemetry: str, wrapt: str) -> None:
    """Runs the tests on the wheel, in one cell of the matrix."""
    whole = (langflow, opentelemetry) in WHOLE
    part = () if whole else ("-m", "not phoenix and not slow")
    run(session, langflow, (*OPENTELEMETRY[opentelemetry], f"wrapt=={wrapt}.*"), part)


@nox.session
@nox.parametrize(
    ["python", "langflow"],
    SERVERS,
    ids=[f"{langflow.replace('==', '-')}-py{python}" for python, langflow in SERVERS],
)
def servers(session: nox.Session, langflow: str) -> None:
    """Runs the tests of the server of one Langflow on the wheel."""
    run(session, langflow, (), [f"tests/{name}" for name in SERVER_TESTS])


def run(session: nox.Session, langflow: str, also: Sequence[str], part: Sequence[str]) -> None:
    """Runs a part of the tests with a Langflow and what else is needed; keeps the result."""
    result = RESULTS / f"{session.name}.json"
    junit = result.with_suffix(".xml")
    for old in (result, junit):
        old.unlink(missing_ok=True)
    session.install(
        langflow,
        *PINS.get(langflow, ()),
        *also,
        *nox.project.dependency_groups(nox.project.load_toml("pyproject.toml"), "test"),
    )
    # Apart, so that the wheel is built anew each time.
    session.install("--reinstall-package", "langflow-otel", ".[langchain]")
    versions = session.run("python", "-c", VERSIONS, silent=True, log=False)
    if versions:  # nox --install-only runs nothing
        result.parent.mkdir(parents=True, exist_ok=True)
        result.write_text(versions)
    workers = ("-n", "2", "--dist", "loadfile", "--no-loadscope-reorder")
    session.run("python", "-m", "pytest", *part, *workers, f"--junitxml={junit}", *session.posargs)
