"""The hook that lets no code of ours block an event loop: it sees each kind, and nobody else's."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import sys
import textwrap
from collections.abc import Callable, Iterator
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

from langflow_otel import guard
from langflow_otel.seams import component
from tests.conftest import Traced
from tests.support import flows, loop_guard
from tests.support.invariants import check
from tests.support.process import clean_environment, run


def written_in(module: str, source: str) -> Callable[..., Any]:
    """The function `act` of `source`, as if that were the source of `module`."""
    names: dict[str, Any] = {"__name__": module}
    exec(compile(textwrap.dedent(source), f"{module}.py", "exec"), names)
    act: Callable[..., Any] = names["act"]
    return act


@pytest.fixture
def blocked() -> Iterator[list[str]]:
    with loop_guard.watching() as told:
        yield told


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two sockets, connected over TCP."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as one,
    ):
        other, _ = server.accept()
        with other:
            other.send(b"there is something to read")
            yield one, other


BLOCKS = {
    "a file that is written": "open(path, 'w').close()",
    "a file that is appended to": "open(path, 'ab').close()",
    "a file that is written by its descriptor": "os.close(os.open(path, os.O_WRONLY | os.O_CREAT))",
    "a file that pathlib writes": "pathlib.Path(path).write_text('text')",
    "a file that is flushed to the disk": "with open(path) as file: os.fsync(file)",
    "a file that is moved": "os.rename(path, path + '.old')",
    "a folder that is made": "os.mkdir(path + '.folder')",
    "a connection": "socket.create_connection(peer).close()",
    "a connection without an error": "with socket.socket() as new: new.connect_ex(peer)",
    "a name that is looked up": "socket.getaddrinfo('localhost', 80)",
    "bytes that are sent": "one.send(b'x')",
    "bytes that are all sent": "one.sendall(b'x')",
    "a datagram": "with socket.socket(type=socket.SOCK_DGRAM) as new: new.sendto(b'x', peer)",
    "bytes that are received": "one.recv(1)",
    "bytes that are received in place": "one.recv_into(bytearray(1))",
    "bytes of a file object": "one.makefile('rb').read(1)",
    "a request": "requests.get(url, timeout=5)",
    "a sleep": "time.sleep(0.001)",
    "a process": "subprocess.run(['true'])",
    "a database": "sqlite3.connect(path)",
}
IMPORTS = "import os, pathlib, requests, socket, sqlite3, subprocess, time"


def blocking(what: str, module: str = "langflow_otel.export.example") -> Callable[..., Any]:
    return written_in(module, f"{IMPORTS}\ndef act(path, one, peer, url):\n    {BLOCKS[what]}")


@pytest.fixture
def arguments(tmp_path: Path, pair: tuple[socket.socket, socket.socket]) -> tuple[Any, ...]:
    (tmp_path / "file").touch()
    peer = pair[0].getpeername()
    return str(tmp_path / "file"), pair[0], peer, f"http://127.0.0.1:{peer[1]}"


@pytest.mark.parametrize("what", BLOCKS)
async def test_what_blocks_is_caught_if_it_is_ours(
    what: str, arguments: tuple[Any, ...], blocked: list[str]
) -> None:
    with pytest.raises(loop_guard.BlockedTheLoop, match=r"langflow_otel\.export\.example\.py"):
        blocking(what)(*arguments)
    assert len(blocked) == 1


@pytest.mark.parametrize("what", sorted(BLOCKS.keys() - {"a request"}))
@pytest.mark.parametrize("whose", ["lfx.example", "tests.example", "langflow_otel.demo.example"])
async def test_what_others_do_is_their_affair(
    what: str, whose: str, arguments: tuple[Any, ...], blocked: list[str]
) -> None:
    ours = written_in("langflow_otel.export.example", "def act(call, *args): call(*args)")
    ours(blocking(what, whose), *arguments)
    assert blocked == []


@pytest.mark.parametrize("what", sorted(BLOCKS.keys() - {"a request"}))
async def test_a_thread_without_a_loop_may_block(
    what: str, arguments: tuple[Any, ...], blocked: list[str]
) -> None:
    await asyncio.to_thread(blocking(what), *arguments)
    assert blocked == []


def test_tls_is_looked_at_too(blocked: list[str]) -> None:
    act = written_in("langflow_otel.export.example", "def act(call, *args): call(*args)")

    async def send() -> None:
        context = ssl.create_default_context()
        unconnected = context.wrap_socket(
            socket.socket(), server_hostname="localhost", do_handshake_on_connect=False
        )
        with unconnected, pytest.raises(loop_guard.BlockedTheLoop):
            act(unconnected.do_handshake)

    asyncio.run(send())
    assert "SSLSocket.do_handshake" in blocked[0]


async def test_where_a_flow_waits_for_us_waiting_is_caught(blocked: list[str]) -> None:
    source = "import threading\ndef act(): threading.Event().wait(0.001)"
    with pytest.raises(loop_guard.BlockedTheLoop):
        written_in("langflow_otel.seams.example", source)()
    assert "Condition.wait" in blocked.pop()
    # Who asks for a flush waits for it.
    written_in("langflow_otel.control", source)()
    assert blocked == []


async def test_where_a_process_is_ended_it_waits_whatever_the_signal_struck(
    blocked: list[str],
) -> None:
    source = "import threading\ndef act(): threading.Event().wait(0.001)"
    handler = written_in("langflow_otel.leaving", source)
    written_in("langflow_otel.seams.example", "def act(struck): struck()")(handler)
    assert blocked == []


async def test_a_wrapper_passes_on_what_is_not_ours(blocked: list[str], tmp_path: Path) -> None:
    writes = written_in("somebodys.library", "def act(path): open(path, 'w').close()")
    wrapper = written_in("langflow_otel.seams.example", "def act(wrapped, *args): wrapped(*args)")
    wrapper(writes, tmp_path / "file")
    assert blocked == []
    own = written_in(
        "langflow_otel.seams.example",
        "def act(wrapped, *args): open(*args, 'w').close(); wrapped(*args)",
    )
    with pytest.raises(loop_guard.BlockedTheLoop):
        own(writes, tmp_path / "file")
    assert len(blocked) == 1


async def test_what_we_call_for_tracing_is_ours_whoever_wrote_it(
    blocked: list[str], tmp_path: Path
) -> None:
    writes = written_in("lfx.example", "def act(path): open(path, 'w').close()")
    traces = written_in(
        "langflow_otel.seams.example",
        """
        from langflow_otel import guard
        def act(writes, path): guard.safely(trace, writes, path)
        def trace(writes, path): writes(path)
        """,
    )
    with pytest.raises(loop_guard.BlockedTheLoop, match="in trace"):
        traces(writes, tmp_path / "file")
    assert len(blocked) == 1


async def test_a_seam_that_blocks_is_told_of_where_its_error_is_swallowed(
    traced: Traced, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, blocked: list[str]
) -> None:
    monkeypatch.setattr(guard, "strict", False)
    finished = component._finished
    path = tmp_path / "file"

    def writes(*args: Any) -> None:
        open(path, "w").close()
        finished(*args)

    writes = type(writes)(  # In the module that it is put into.
        writes.__code__, {**vars(component), "path": path}, "writes", None, writes.__closure__
    )
    monkeypatch.setattr(component, "_finished", writes)
    assert await flows.run_flow(flows.text_only(), "a b", input_type="text") == "2 words"
    assert len(blocked) == 3
    assert all("seams/component.py" in told for told in blocked)
    assert not path.exists()
    check(traced.spans(), traces=1)


@pytest.mark.parametrize("end", ["ok", "error"])
async def test_a_run_writes_no_line_to_a_log(end: str, traced: Traced, said: Any) -> None:
    """A file that is open already is not looked at: a line is said once, if at all."""
    flow = flows.sync_method() if end == "ok" else flows.failing()
    for _ in range(2):
        before = said()
        with contextlib.nullcontext() if end == "ok" else pytest.raises(ValueError, match="order"):
            await flows.run_flow(flow)
    assert said() == before
    check(traced.spans(), traces=2)


@pytest.mark.parametrize("prefix", [[], ["opentelemetry-instrument"]], ids=["bare", "instrument"])
def test_servers_look_out_as_well(
    prefix: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = tmp_path / "blocked.txt"
    monkeypatch.setenv(loop_guard.VARIABLE, str(report))
    script = tmp_path / "server.py"
    script.write_text(
        textwrap.dedent("""
        import asyncio

        async def main():
            names = {"__name__": "langflow_otel.seams.example"}
            exec("import time\\ndef act(): time.sleep(0.001)", names)
            names["act"]()

        asyncio.run(main())
        """)
    )
    scripts = Path(sys.executable).parent
    command = [str(scripts / name) for name in prefix] + [sys.executable, str(script)]
    installed = entry_points(group="opentelemetry_instrumentor").names
    none = dict.fromkeys(
        ("OTEL_TRACES_EXPORTER", "OTEL_METRICS_EXPORTER", "OTEL_LOGS_EXPORTER"), "none"
    )
    env = clean_environment({**none, "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": ",".join(installed)})
    ran = run(command, env, tmp_path, 60)
    assert "BlockedTheLoop" in ran.stderr
    assert "time.sleep" in report.read_text()


def test_nothing_is_looked_at_where_nobody_is_told(blocked: list[str]) -> None:
    told = loop_guard._guard.tell
    loop_guard._guard.tell = None
    try:
        assert asyncio.run(_sleeps()) == "slept"
    finally:
        loop_guard._guard.tell = told
    assert blocked == []


async def _sleeps() -> str:
    source = "import time\ndef act():\n    time.sleep(0.001)\n    return 'slept'"
    return str(written_in("langflow_otel.seams.example", source)())
