"""`langflow-otel demo`, as its user has it: a command, a terminal or none, and a real Phoenix."""

from __future__ import annotations

import os
import pty
import re
import shutil
import socket
import stat
import subprocess
import sys
import time
from collections import namedtuple
from pathlib import Path

import pytest

from langflow_otel.demo import surroundings
from langflow_otel.demo.errors import DemoError
from langflow_otel.demo.phoenix import Phoenix
from tests.support.http import call, is_up
from tests.support.invariants import check
from tests.support.phoenix import MISSING, PYTHON, interpreter, spans_at
from tests.support.process import OFFLINE, clean_environment, run

COMMAND = [sys.executable, "-c", "from langflow_otel.cli import app; app()", "demo"]
SECONDS = 240.0

CHAT = """\
CHAIN  Chat _  19 tokens  8 spans  session anna
in  What is a trace?
out A trace is the story of one run, told in spans.
├── CHAIN  Chat Input _
├── PROMPT Prompt Template _
├── CHAIN  Scripted Model _
│   └── CHAIN  Scripted Model _
│       ├── PROMPT ChatPromptTemplate _
│       └── LLM    ScriptedChatModel _  8 + 11 tokens
└── CHAIN  Chat Output _
"""
FAILING = """\
CHAIN  Order status _  ERROR no such order: 4711  3 spans  session ben
in  4711
├── CHAIN  Chat Input _
└── CHAIN  Order Lookup _  ERROR no such order: 4711
"""
ALL_THERE = re.compile(r"Phoenix has all \d+ spans: 4 flow runs, each one trace, in 2 sessions\.\n")

# Loses one span on its way to Phoenix, and another before it is even made.
LOSING = """
from langflow_otel.demo import show
from langflow_otel.export.phoenix import PhoenixSpanExporter
from langflow_otel.seams.component import ComponentSeam

show._ARRIVAL_SECONDS = 3.0
selects, begin = PhoenixSpanExporter.selects, ComponentSeam._begin
PhoenixSpanExporter.selects = lambda s, span: span.name != "get_weather" and selects(s, span)
ComponentSeam._begin = lambda s, g, id_: None if id_.startswith("Prompt") else begin(s, g, id_)

from langflow_otel.cli import app
app(["demo"])
"""


@pytest.fixture
def phoenix_python() -> str:
    found = interpreter()
    if found is None:
        pytest.skip(MISSING)
    return found


def environment_of(python: str, tmp_path: Path) -> dict[str, str]:
    """The environment of a user whose other settings must not matter."""
    others = {"OTEL_SDK_DISABLED": "true", "LANGSMITH_TRACING": "true", "PHOENIX_API_KEY": "no"}
    return clean_environment({**OFFLINE, **others, PYTHON: python, "TMPDIR": str(tmp_path)})


def demo(
    python: str, tmp_path: Path, *options: str, command: list[str] = COMMAND
) -> subprocess.CompletedProcess[str]:
    """Runs the demo without a terminal; sees that it leaves nothing behind."""
    done = run([*command, *options], environment_of(python, tmp_path), tmp_path, SECONDS)
    assert list(tmp_path.glob("langflow-otel-demo-*")) == []
    return done


def without_times(text: str) -> str:
    return re.sub(r" +\d+(\.\d+)? (ms|s)\b", " _", text)


@pytest.mark.phoenix
def test_without_a_terminal_it_shows_the_traces_and_ends(
    phoenix_python: str, tmp_path: Path
) -> None:
    """Exit code 0, nothing on stderr, each trace as a tree, and all of them in Phoenix."""
    done = demo(phoenix_python, tmp_path)
    shown = without_times(done.stdout)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert CHAT in shown
    assert FAILING in shown
    agent = re.search(r"^CHAIN  Travel agent (.+?)^$", shown, re.MULTILINE | re.DOTALL)
    assert agent
    for line in (
        "session anna",
        'out The tools answered: Paris: sunny, 21 degrees; {"kilometres": 878}',
        "├── AGENT  Agent _",
        "TOOL   get_weather _",
        "TOOL   get_distance _",
        "LLM    ScriptedChatModel _  18 + 8 tokens",
        "LLM    ScriptedChatModel _  24 + 9 tokens",
    ):
        assert line in agent[1]
    assert ALL_THERE.search(shown)
    assert "Open" not in shown  # there is nothing to be opened any more


@pytest.mark.phoenix
@pytest.mark.exhaustive
def test_with_a_terminal_it_stays_until_ctrl_c(phoenix_python: str, tmp_path: Path) -> None:
    """Phoenix can be looked at meanwhile; then it is gone, and so is its folder."""
    ours, its = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", _ON_A_TERMINAL, *COMMAND],
        env=environment_of(phoenix_python, tmp_path),
        stdin=its,
        stdout=its,
        stderr=its,
        start_new_session=True,
    )
    os.close(its)
    try:
        said = read_until(ours, "Ctrl-C stops Phoenix")
        address = re.search(r"Open +(http://127\.0\.0\.1:\d+)(/projects/\w+=*)\s", said)
        assert address, said
        assert call("GET", address[1] + address[2], headers={"accept": "text/html"}).status == 200
        assert ALL_THERE.search(said.replace("\r", ""))
        check(spans_at(address[1], surroundings.PROJECT), traces=4)
        os.write(ours, b"\x03")
        read_until(ours, None)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    assert not is_up(f"{address[1]}/readyz")
    assert list(tmp_path.glob("langflow-otel-demo-*")) == []


# The terminal becomes the one that Ctrl-C in it is heard on.
_ON_A_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


def read_until(terminal: int, text: str | None) -> str:
    """What the terminal shows, without its colours, up to a text, or to the end."""
    said = ""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        try:
            part = os.read(terminal, 4096).decode(errors="replace")
        except OSError:  # Linux's way to say that nobody is there any more
            part = ""
        said = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", said + part)
        if (text and text in said) or not part:
            return said
    raise AssertionError(said)


@pytest.mark.phoenix
def test_a_lost_span_fails_it(phoenix_python: str, tmp_path: Path) -> None:
    """Wherever it was lost, the demo names it."""
    done = demo(phoenix_python, tmp_path, command=[sys.executable, "-c", LOSING])
    assert done.returncode == 1, done.stdout + done.stderr
    wrong = [line for line in done.stdout.splitlines() if line.startswith("MISSING OR WRONG")]
    assert [line.partition("  ")[2] for line in wrong] == [
        "Chat (session anna): expected and not there: CHAIN Chat > PROMPT Prompt Template",
        "Travel agent (session anna): TOOL get_weather is missing",
        "Travel agent (session anna): expected and not there: "
        "CHAIN Travel agent > AGENT Agent > TOOL get_weather",
        "Chat (session ben): expected and not there: CHAIN Chat > PROMPT Prompt Template",
    ]
    assert "Phoenix has all" not in done.stdout


@pytest.mark.phoenix
def test_a_port_in_use(phoenix_python: str, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = demo(phoenix_python, tmp_path, "--port", str(port))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"langflow-otel: port {port} of 127.0.0.1 cannot be used (Address already in use); choose "
        "another with --port, or leave it out for any that is free\n"
    )


def interpreter_that(does: str, folder: Path) -> str:
    """A program that passes for a Python with Phoenix until it is to run it."""
    path = folder / "python"
    path.write_text(f'#!/bin/sh\ncase "$2" in *distribution*) exit 0;; esac\n{does}\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_a_python_without_phoenix(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nexit 1\n")
    python.chmod(0o700)
    done = demo(str(python), tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"langflow-otel: {PYTHON} names {python}, which has no Phoenix: "
        "pip install arize-phoenix there\n"
    )


def test_no_langflow(tmp_path: Path) -> None:
    program = "import sys; sys.modules['lfx'] = None; " + COMMAND[2]
    done = demo("", tmp_path, command=[sys.executable, "-c", program, "demo"])
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "langflow-otel: the demo needs lfx, which is not installed here: "
        "pip install 'langflow-otel[demo]'\n"
    )


def test_a_phoenix_that_ends(tmp_path: Path) -> None:
    """The end of its log says why."""
    python = interpreter_that("echo 'database or disk is full'; exit 3", tmp_path)
    phoenix = Phoenix(python, tmp_path)
    phoenix.start()
    with pytest.raises(DemoError, match=r"ended, with code 3; .+\n  \| database or disk is full$"):
        phoenix.wait_until_ready(30)
    phoenix.stop()


def test_a_phoenix_that_does_not_come_up(tmp_path: Path) -> None:
    phoenix = Phoenix(interpreter_that("exec sleep 60", tmp_path), tmp_path)
    phoenix.start()
    with pytest.raises(
        DemoError, match=r"did not come up at http://127\.0\.0\.1:.+ it said nothing"
    ):
        phoenix.wait_until_ready(0.5)
    phoenix.stop()


def test_no_room(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(surroundings.tempfile, "mkdtemp", lambda prefix: tmp_path.joinpath("a"))
    tmp_path.joinpath("a").mkdir()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(0, 0, 3_000_000))
    with (
        pytest.raises(DemoError, match="only 3 MB are free on the disk of"),
        surroundings.working_folder(),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_no_folder_to_write_to(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(prefix: str) -> str:
        raise PermissionError(13, "Permission denied", prefix)

    monkeypatch.setattr(surroundings.tempfile, "mkdtemp", refuse)
    with (
        pytest.raises(DemoError, match=r"no folder can be made .+ \(Permission denied\)"),
        surroundings.working_folder(),
    ):
        pass


def test_the_launcher_needs_nothing_of_the_demo() -> None:
    program = (
        "import sys, langflow_otel.cli; "
        "print([m for m in sys.modules if m.startswith(('lfx', 'langflow_otel.demo'))])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr
