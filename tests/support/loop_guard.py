"""No call of langflow-otel's blocks an event loop: while `watching`, one that would raises.

What blocks is looked at where it happens: files that are written, sockets, look-ups of names,
processes and sleeps by the interpreter's audit events, the rest by wrappers around the functions.
Whose call it is, the stack tells: from the call outwards, the libraries that stand between belong
to whoever called them, so the first that is neither a library nor the interpreter's is who did it.
Langflow and users' components may block as they like, but not where we have called them in
`guard.safely`. What is written to a file that is open already, as a line of the log, and a lock
that is waited for, is not seen.

This module is loaded in servers, too (see `site/`), so it imports nothing but the standard library.
"""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

VARIABLE = "LANGFLOW_OTEL_LOOP_GUARD"
"""In a server's environment: the file that is told what blocked there."""

_OURS = "langflow_otel"
_GUARD = "langflow_otel.guard"
# What runs Langflow's code and users', and is no library that we call.
_OTHERS = frozenset(
    {
        "_pytest",
        "benchmarks",
        "langchain",
        "langchain_classic",
        "langchain_core",
        "langflow",
        "langgraph",
        "lfx",
        "pytest",
        "tests",
        "uvicorn",
    }
)
# Ours by their name: what they do is what a user's component, or a user's own command, does.
_USERS = ("langflow_otel.demo.", "langflow_otel.cli.")
# What calls callbacks.
_LOOPS = ("asyncio.base_events", "asyncio.events", "asyncio.runners", "uvloop")
# Where a flow waits for our code to return. What is outside of them is called by a user, who asked
# for a flush, say, and waits for it.
_HOT = ("langflow_otel.seams", "langflow_otel.spans", "langflow_otel.enrich")

_AUDITED = frozenset(
    {
        "os.mkdir",
        "os.remove",
        "os.rename",
        "os.rmdir",
        "os.system",
        "os.truncate",
        "shutil.copyfile",
        "shutil.rmtree",
        "socket.connect",
        "socket.getaddrinfo",
        "socket.gethostbyaddr",
        "socket.gethostbyname",
        "socket.sendmsg",
        "socket.sendto",
        "sqlite3.connect",
        "subprocess.Popen",
        "time.sleep",
    }
)
_SOCKET = ("accept", "send", "sendall", "recv", "recv_into", "recvfrom", "recvfrom_into")
_TLS = ("send", "sendall", "recv", "recv_into", "read", "write", "do_handshake")
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class BlockedTheLoop(AssertionError):
    """Code of ours did what may block, on a thread whose event loop runs."""


class _Watch(threading.local):
    """Whether this thread is looking at a stack just now, which may open a file."""

    looking = False


class _Guard:
    """Who is told of what blocks, if anybody is."""

    tell: Callable[[str], object] | None = None
    installed = False


_watch, _guard = _Watch(), _Guard()


def install() -> None:
    """Look from now on, in this process, for what blocks; once, for it cannot be taken back."""
    if _guard.installed:
        return
    _guard.installed = True
    sys.addaudithook(_audit)
    for owner, names in ((socket.socket, _SOCKET), (ssl.SSLSocket, _TLS), (os, ("fsync",))):
        for name in names:
            setattr(owner, name, _guarded(getattr(owner, name), f"{owner.__name__}.{name}"))
    for owner, name in ((threading.Condition, "wait"), (threading.Thread, "join")):
        waits = _guarded(getattr(owner, name), f"{owner.__name__}.{name}", hot_only=True)
        setattr(owner, name, waits)
    # Only new Pythons audit it.
    time.sleep = _guarded(time.sleep, "time.sleep")  # type: ignore[assignment]


@contextmanager
def watching() -> Iterator[list[str]]:
    """Let what blocks raise; the list is of what did, also where the error was swallowed."""
    install()
    told: list[str] = []
    before, _guard.tell = _guard.tell, told.append
    try:
        yield told
    finally:
        _guard.tell = before


def watch_to_the_end(path: str) -> None:
    """In a server: let what blocks raise, and write it to the file at `path` as well."""
    install()

    def tell(what: str) -> None:
        with open(path, "a") as report:
            report.write(what + "\n")

    _guard.tell = tell


def _audit(event: str, args: tuple[Any, ...]) -> None:
    if event == "open":
        if _guard.tell is not None and _writes(args):
            _look(f"open({args[0]!r}) for writing")
    elif event in _AUDITED and _guard.tell is not None:
        _look(event)


def _writes(args: tuple[Any, ...]) -> bool:
    _, mode, flags = args
    if isinstance(mode, str):
        return any(letter in mode for letter in "wax+")
    return isinstance(flags, int) and bool(flags & _WRITES)


def _guarded(
    function: Callable[..., Any], name: str, *, hot_only: bool = False
) -> Callable[..., Any]:
    def guarded(*args: Any, **kwargs: Any) -> Any:
        if _guard.tell is not None:
            _look(name, hot_only=hot_only)
        return function(*args, **kwargs)

    guarded.__name__, guarded.__qualname__ = name.rpartition(".")[2], name
    guarded.__wrapped__ = function  # type: ignore[attr-defined]
    return guarded


def _look(what: str, *, hot_only: bool = False) -> None:
    tell = _guard.tell
    if asyncio._get_running_loop() is None or _watch.looking or tell is None:
        return
    _watch.looking = True
    try:
        frame = _culprit(sys._getframe(1), hot_only=hot_only)
        if frame is None:
            return
        stack = "".join(traceback.format_stack(frame, limit=12))
        message = f"{what} on the thread of a running event loop, by\n{stack}"
        tell(message)
    finally:
        _watch.looking = False
    raise BlockedTheLoop(message)


def _culprit(frame: FrameType, *, hot_only: bool) -> FrameType | None:
    """Return where our code has called what blocks, None where it has not."""
    ours: FrameType | None = None
    hot = theirs = between = False
    for here, module in _outwards(frame):
        if module.startswith(("importlib._bootstrap", *_LOOPS)):
            # An import reads files, and writes what it has compiled. That a callback runs at all
            # is not due to who is further out.
            return None
        if module == "threading" and here.f_code.co_name == "start":
            return None  # Until the new thread runs: nobody else is waited for.
        if module == "langflow_otel.leaving":
            return None  # A signal: who ends the process waits, wherever it struck.
        if _is_ours(module):
            if between and ours is None and "wrapped" in here.f_code.co_varnames:
                theirs = True  # A wrapper of ours has called what it is wrapped around.
            elif module == _GUARD and here.f_code.co_name == "safely":
                theirs = False  # Nothing goes through there that is not done for tracing.
            ours, hot = ours or here, hot or module.startswith(_HOT)
            if not theirs and (hot or not hot_only):
                return ours
        elif _is_others(here, module):
            theirs = True
        between = True
    return None


def _outwards(frame: FrameType) -> Iterator[tuple[FrameType, str]]:
    """Go through the frames of a stack, but those of this module, with the names of modules."""
    here: FrameType | None = frame
    while here is not None:
        module = str(here.f_globals.get("__name__", ""))
        if module != __name__:
            yield here, module
        here = here.f_back


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] == _OURS and not f"{module}.".startswith(_USERS)


def _is_others(frame: FrameType, module: str) -> bool:
    """Tell whether this is Langflow, a test, a script, or a component that Langflow executes."""
    return (
        module.partition(".")[0] in _OTHERS
        or module.startswith(_USERS)
        or module in ("", "__main__")
        or frame.f_code.co_filename.startswith("<string")
    )


def environment(python_path: str | None) -> dict[str, str]:
    """Return what lets a Python process look out, too, if this one does; beside `python_path`."""
    report = os.environ.get(VARIABLE)
    if not report:
        return {}
    paths = [str(Path(__file__).parent / "site"), *([python_path] if python_path else [])]
    return {VARIABLE: report, "PYTHONPATH": os.pathsep.join(paths)}
