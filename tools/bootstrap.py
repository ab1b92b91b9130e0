"""Makes the environments that the Makefile runs things in. Needs Python 3.10+ and nothing else.

    python tools/bootstrap.py ENVIRONMENT...

Each is a virtual environment under `.venvs/`, made with a uv of our own (`.venvs/uv`), and made
anew only when one of its inputs has changed: what is asked for below, the dependency tables of
pyproject.toml, the Python, the date. Nothing outside the checkout is written but uv's cache.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENVS = ROOT / ".venvs"

OLDEST_PYTHON = (3, 10)

# Packages published after this day are not looked at, so that a clone made next year gets what was
# tested. `make test AS_OF=` takes the newest of everything.
AS_OF = os.environ.get("AS_OF", "2026-11-23")

UV = "uv>=0.9,<1"
UV_MEGABYTES = 20


class BootstrapError(Exception):
    """Something that whoever typed `make` can do something about."""


@dataclass(frozen=True)
class Environment:
    """One virtual environment, and what goes into it."""

    purpose: str
    requirements: tuple[str, ...] = ()
    project: bool = True
    """Whether this project is installed into it, editable."""
    extras: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    newest_python: tuple[int, int] = (3, 14)
    download_megabytes: int = 0
    disk_megabytes: int = 0


ENVIRONMENTS = {
    "demo": Environment(
        "a bare Langflow (lfx) and this project",
        requirements=("lfx==1.13.0",),
        extras=("langchain",),
        download_megabytes=110,
        disk_megabytes=650,
    ),
    # Phoenix stands alone: next to lfx 1.13, which holds SQLAlchemy below 2.1, only an older one
    # can be installed, and next to langflow-base one that is older still.
    "phoenix": Environment(
        "a Phoenix server",
        requirements=("arize-phoenix>=20,<21",),
        project=False,
        download_megabytes=200,
        disk_megabytes=750,
    ),
    "test": Environment(
        "the newest Langflow, with its server, and pytest",
        # Most starter projects of Langflow's call OpenAI's API, which is a package of its own.
        # A knowledge base takes its embeddings from the other one: with the first one it would
        # download an encoding to count tokens with.
        requirements=(
            "langflow-base==1.13.0",
            "lfx-openai<0.2",
            "lfx-openai-compatible<0.2",
        ),
        extras=("langchain",),
        groups=("test",),
        download_megabytes=380,
        disk_megabytes=1800,
    ),
    "oldest": Environment(
        "the oldest lfx (Langflow 1.7), OpenTelemetry and wrapt",
        requirements=(
            "lfx==0.2.2",
            "opentelemetry-api==1.34.1",
            "opentelemetry-sdk==1.34.1",
            "opentelemetry-instrumentation==0.55b1",
            "opentelemetry-instrumentation-httpx==0.55b1",
            "wrapt<2",
        ),
        extras=("langchain",),
        groups=("test",),
        newest_python=(3, 13),
        download_megabytes=70,
        disk_megabytes=500,
    ),
    "lint": Environment(
        "ruff and mypy",
        groups=("lint",),
        download_megabytes=30,
        disk_megabytes=150,
    ),
    "nox": Environment(
        "nox",
        project=False,
        groups=("nox",),
        download_megabytes=5,
        disk_megabytes=30,
    ),
}


def main(names: list[str]) -> int:
    """Makes what is missing of the named environments."""
    unknown = [name for name in names if name not in ENVIRONMENTS]
    if unknown or not names:
        print(f"usage: bootstrap.py ENVIRONMENT...   (of {', '.join(ENVIRONMENTS)})")
        return 2
    try:
        require(
            sys.version_info >= OLDEST_PYTHON,
            f"Python 3.10 or newer is needed, and this is {sys.version.split()[0]}. "
            "Name a newer one: make PYTHON=/path/to/python3.12 ...",
        )
        VENVS.mkdir(exist_ok=True)
        with one_at_a_time():
            missing = [name for name in names if not is_current(name)]
            if missing:
                announce(missing)
                uv = ensure_uv()
                for name in missing:
                    make(name, uv)
    except (BootstrapError, OSError) as error:
        print(f"\nERROR: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped; the next make goes on from here.", file=sys.stderr)
        return 130
    return 0


def require(condition: bool, message: str) -> None:  # noqa: FBT001
    """Says what is wrong, where something is."""
    if not condition:
        raise BootstrapError(message)


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Two makes in one checkout wait for each other here."""
    with (VENVS / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another make is preparing environments here; waiting for it.", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def announce(missing: list[str]) -> None:
    """Says what will be downloaded before it is, and checks that there is room for it."""
    download = sum(ENVIRONMENTS[name].download_megabytes for name in missing)
    disk = sum(ENVIRONMENTS[name].disk_megabytes for name in missing)
    lines = [
        f"  {name:8} {ENVIRONMENTS[name].purpose}, about {ENVIRONMENTS[name].download_megabytes} MB"
        for name in missing
    ]
    if not uv_path().exists():
        download += UV_MEGABYTES
        disk += 2 * UV_MEGABYTES
        lines.append(f"  {'uv':8} which installs the others, about {UV_MEGABYTES} MB")
    print("Preparing in .venvs/:", *lines, sep="\n")
    print(
        f"Downloads about {download} MB at most (less where uv has seen a package before), "
        f"and takes about {disk} MB of disk.",
        flush=True,
    )
    free = shutil.disk_usage(VENVS).free // 1_000_000
    require(free > disk, f"only {free} MB are free on the disk of {VENVS}, and {disk} are needed")


def uv_path() -> Path:
    """Where our own uv is."""
    return VENVS / "uv" / "bin" / "uv"


def ensure_uv() -> Path:
    """Installs uv, by pip and into the checkout, unless it is there already."""
    uv = uv_path()
    if uv.exists() and succeeds(uv, "--version"):
        return uv
    shutil.rmtree(VENVS / "uv", ignore_errors=True)
    if not succeeds(sys.executable, "-m", "venv", VENVS / "uv"):
        shutil.rmtree(VENVS / "uv", ignore_errors=True)
        raise BootstrapError(
            f"{sys.executable} cannot make a virtual environment. On Debian and Ubuntu its venv "
            "module is a package of its own: apt install python3-venv"
        )
    pip = [VENVS / "uv" / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "install"]
    require(
        run(*pip, "--quiet", UV) == 0 and uv.exists(),
        "pip could not install uv; what it said is above. Is there a network, and a package index "
        "that pip can reach?",
    )
    return uv


def make(name: str, uv: Path) -> None:
    """Makes one environment, from nothing."""
    environment = ENVIRONMENTS[name]
    home = VENVS / name
    started = time.monotonic()
    print(f"\n== {name}: {environment.purpose}", flush=True)
    shutil.rmtree(home, ignore_errors=True)
    require(
        run(uv, "venv", "--quiet", "--no-project", "--python", python_for(environment), home) == 0,
        f"the environment `{name}` needs a Python from 3.10 to "
        f"{version(environment.newest_python)}, and none was found on the PATH or could be "
        "downloaded",
    )
    # Tests start a hundred processes, and some machines keep Python from writing bytecode.
    install = [uv, "pip", "install", "--compile-bytecode", "--python", home / "bin" / "python"]
    install += wanted(environment)
    dated = [*install, "--exclude-newer", AS_OF] if AS_OF else install
    failed = run(*dated) != 0
    if failed and AS_OF:
        # An index that does not tell when a package was published cannot be asked by date.
        print(f"That did not work as of {AS_OF}; trying the newest packages instead.", flush=True)
        failed = run(*install) != 0
    require(
        not failed,
        f"the environment `{name}` could not be installed; what uv said is above. "
        "Is there a network, and room on the disk?",
    )
    stamp_path(name).write_text(stamp(name))
    print(f"== {name}: ready after {time.monotonic() - started:.0f} s", flush=True)


def wanted(environment: Environment) -> list[str]:
    """What uv is asked to install."""
    arguments = list(environment.requirements)
    for group in environment.groups:
        arguments += ["--group", f"pyproject.toml:{group}"]
    if environment.project:
        extras = f"[{','.join(environment.extras)}]" if environment.extras else ""
        arguments += ["--editable", f".{extras}"]
    return arguments


def python_for(environment: Environment) -> str:
    """The Python that runs this, where it will do; else any that uv finds or can download."""
    newest = environment.newest_python
    if OLDEST_PYTHON <= sys.version_info[:2] <= newest:
        return sys.executable
    return f">={version(OLDEST_PYTHON)},<{newest[0]}.{newest[1] + 1}"


def version(python: tuple[int, int]) -> str:
    """(3, 10) as people write it."""
    return f"{python[0]}.{python[1]}"


def is_current(name: str) -> bool:
    """Whether the environment is there, and was made from what it would be made from now."""
    path = stamp_path(name)
    return path.exists() and path.read_text() == stamp(name)


def stamp_path(name: str) -> Path:
    """Written last, so an environment that has it is whole."""
    return VENVS / name / "stamp"


def stamp(name: str) -> str:
    """A hash of all that goes into an environment."""
    inputs = (
        repr(ENVIRONMENTS[name]),
        install_tables((ROOT / "pyproject.toml").read_text()),
        str(ROOT),
        sys.version,
        AS_OF,
    )
    return hashlib.sha256("\0".join(inputs).encode()).hexdigest()


def install_tables(pyproject: str) -> str:
    """The tables of pyproject.toml that decide what is installed; settings of tools do not."""
    tables = re.split(r"^(?=\[)", pyproject, flags=re.MULTILINE)
    return "".join(t for t in tables if not re.match(r"\[+tool\.(?!hatch)", t))


def search_path() -> str:
    """The PATH, with the Pythons that pyenv keeps off it."""
    root = os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv"
    pythons = sorted(str(path) for path in Path(root).glob("versions/3.*/bin"))
    path = os.environ.get("PATH", os.defpath).split(os.pathsep)
    # pyenv's shims stand for Pythons that are not switched on, too; those fail when they are run.
    return os.pathsep.join([*(p for p in path if not p.endswith("/shims")), *pythons])


def child_environment() -> Mapping[str, str]:
    """Ours, less what would send uv to another environment than it is told to."""
    confusing = ("VIRTUAL_ENV", "CONDA_PREFIX", "PYTHONHOME", "PYTHONPATH", "UV_PYTHON")
    return {**{k: v for k, v in os.environ.items() if k not in confusing}, "PATH": search_path()}


def run(*command: object) -> int:
    """Runs a command, showing what it says as it says it, but not each of 300 packages."""
    with start(command) as process:
        for line in process.stdout or ():
            if not re.match(r" [+~-] ", line):
                print(line, end="", flush=True)
    return process.returncode


def succeeds(*command: object) -> bool:
    """Runs a command silently."""
    with start(command) as process:
        process.communicate()
    return process.returncode == 0


def start(command: tuple[object, ...]) -> subprocess.Popen[str]:
    """Starts a command in the checkout."""
    return subprocess.Popen(
        [str(word) for word in command],
        cwd=ROOT,
        env=child_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
