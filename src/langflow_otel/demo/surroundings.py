"""The demo's environment: a folder of its own, a Phoenix to run, nothing of the user's settings."""

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from langflow_otel import environment as env
from langflow_otel.demo.errors import DemoError

PHOENIX_PYTHON = "LANGFLOW_OTEL_PHOENIX_PYTHON"
"""Names the Python of an environment that has arize-phoenix."""

PROJECT = "langflow-otel-demo"

_INSTALL = "pip install 'langflow-otel[demo]'"
_NEEDED_MEGABYTES = 50
_FOREIGN = ("OTEL_", "LANGFLOW_", "LFX_", "PHOENIX_", "LANGFUSE_", "LANGSMITH_", "LANGCHAIN_")
_LOCAL = "127.0.0.1,localhost"
# Asked of the metadata: importing Phoenix takes ten seconds, and arize-phoenix-otel alone is a
# package `phoenix`, too.
_PROBE = "from importlib.metadata import distribution; distribution('arize-phoenix')"


def require_langflow() -> None:
    """Stop where Langflow, or what makes the model spans, is not installed."""
    for module, package in (
        ("lfx", "lfx"),
        ("langchain_core", "langchain-core"),
        ("openinference.instrumentation.langchain", "openinference-instrumentation-langchain"),
    ):
        if not _is_there(module):
            raise DemoError(f"the demo needs {package}, which is not installed here: {_INSTALL}")


def phoenix_python() -> str:
    """Return the Python to run Phoenix with; stop where there is none."""
    named = os.environ.get(PHOENIX_PYTHON, "").strip()
    if not named:
        try:
            distribution("arize-phoenix")
        except PackageNotFoundError:
            raise DemoError(
                f"the demo needs Phoenix, which is not installed here: {_INSTALL}, or set "
                f"{PHOENIX_PYTHON} to the Python of an environment that has arize-phoenix"
            ) from None
        return sys.executable
    if shutil.which(named) is None:
        raise DemoError(f"{PHOENIX_PYTHON} names {named}, which is no program")
    try:
        probe = subprocess.run(  # noqa: S603 - the user's own interpreter
            [named, "-c", _PROBE], capture_output=True, check=False, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DemoError(f"{PHOENIX_PYTHON} names {named}, which does not run: {error}") from None
    if probe.returncode != 0:
        raise DemoError(
            f"{PHOENIX_PYTHON} names {named}, which has no Phoenix: pip install arize-phoenix there"
        )
    return named


@contextmanager
def working_folder() -> Iterator[Path]:
    """Make a temporary folder, and remove it at the end."""
    try:
        folder = Path(tempfile.mkdtemp(prefix="langflow-otel-demo-"))
        free = shutil.disk_usage(folder).free // 1_000_000
    except OSError as error:
        raise DemoError(
            f"no folder can be made for Phoenix's data ({error.strerror or error}); set TMPDIR to "
            "one that can be written to"
        ) from None
    try:
        if free < _NEEDED_MEGABYTES:
            raise DemoError(
                f"only {free} MB are free on the disk of {folder.parent}, and Phoenix needs "
                f"{_NEEDED_MEGABYTES}; set TMPDIR to a folder on another one"
            )
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def clean(environ: Mapping[str, str]) -> dict[str, str]:
    """Return `environ` without settings of tracing and of Langflow, and calling nobody.

    The demo shows the same whatever its user has set, and sends nothing elsewhere.
    """
    kept = {name: value for name, value in environ.items() if not name.startswith(_FOREIGN)}
    for name in ("no_proxy", "NO_PROXY"):
        kept[name] = ",".join(filter(None, [kept.get(name), _LOCAL]))
    return {**kept, "DO_NOT_TRACK": "true"}


def point_at_phoenix(environ: MutableMapping[str, str], endpoint: str, folder: Path) -> None:
    """Set, in a cleaned environment, what a user of Phoenix sets; keep Langflow's files apart."""
    cleaned = clean(environ)
    environ.clear()
    environ.update(
        {
            **cleaned,
            env.PHOENIX_COLLECTOR_ENDPOINT: endpoint,
            env.PHOENIX_PROJECT_NAME: PROJECT,
            "LANGFLOW_CONFIG_DIR": str(folder / "langflow"),
        }
    )


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False
