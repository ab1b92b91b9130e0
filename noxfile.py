"""The versions that the tests are run on. `make test-all` runs them all and prints a table.

A cell of the matrix is a Langflow (whole, or bare as lfx), a Python, an OpenTelemetry and a wrapt.
Not every combination of them: every value in each column, and each Langflow at least once.
"""

from __future__ import annotations

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

# What a Langflow of its day needs to be installed and imported today.
PINS = {
    # It imports openai without asking for it.
    "langflow-base==0.7.3": ("openai",),
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
    result = RESULTS / f"{session.name}.json"
    junit = result.with_suffix(".xml")
    for old in (result, junit):
        old.unlink(missing_ok=True)
    session.install(
        langflow,
        *PINS.get(langflow, ()),
        *OPENTELEMETRY[opentelemetry],
        f"wrapt=={wrapt}.*",
        *nox.project.dependency_groups(nox.project.load_toml("pyproject.toml"), "test"),
    )
    # Apart, so that the wheel is built anew each time.
    session.install("--reinstall-package", "langflow-otel", ".[langchain]")
    versions = session.run("python", "-c", VERSIONS, silent=True, log=False)
    if versions:  # nox --install-only runs nothing
        result.parent.mkdir(parents=True, exist_ok=True)
        result.write_text(versions)
    whole = (langflow, opentelemetry) in WHOLE
    part = () if whole else ("-m", "not phoenix and not slow")
    workers = ("-n", "2", "--dist", "loadfile")
    session.run("python", "-m", "pytest", *part, *workers, f"--junitxml={junit}", *session.posargs)
