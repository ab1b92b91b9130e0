"""Child processes that cannot be left behind: each in a group of its own, under a guard.

Run as a script this file is the guard: it starts the command, passes SIGTERM on to it, and kills
the whole group when the pipe from the test process closes, however that process ended.
"""

from __future__ import annotations

import itertools
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

_FOREIGN = ("OTEL_", "LANGFLOW_", "LFX_", "PHOENIX_", "LANGFUSE_", "LANGSMITH_", "LANGCHAIN_")
# Else each process compiles our own modules anew.
_SLOW = "PYTHONDONTWRITEBYTECODE"
_DEAD_PROXY = "http://127.0.0.1:9"

# Of what the environment of the tests brings along (with traceloop's SDK), those whose clients no
# test has: `opentelemetry-instrument` would load each client in each process.
_NOT_USED = (
    "agno,aleph_alpha_client,anthropic,boto3,chromadb,cohere,crewai,google_cloud_aiplatform,"
    "google_generativeai,groq,haystack,haystack-ai,ibm-watson-machine-learning,lancedb,litellm,"
    "llama-index,marqo,milvus,mistralai,ollama,openai_agents,pinecone_client,qdrant_client,redis,"
    "replicate,sagemaker,together,transformers,voyageai,weaviate_client,writer"
)

OFFLINE = {
    **dict.fromkeys(("http_proxy", "https_proxy", "all_proxy"), _DEAD_PROXY),
    **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), _DEAD_PROXY),
    "no_proxy": "127.0.0.1,localhost",
    "NO_PROXY": "127.0.0.1,localhost",
    "DO_NOT_TRACK": "true",
    "LITELLM_LOCAL_MODEL_COST_MAP": "true",
    "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": _NOT_USED,
}
"""Environment that keeps a server from calling home: whatever leaves the machine is refused."""


# Other ones in each process: test files run side by side.
_PORTS = itertools.count(os.getpid() * 211)


class NotUp(Exception):
    """A server did not come up; the message holds the tail of its log."""


def clean_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """This process's environment without tracing and Langflow settings, but with `extra`."""
    from tests.support import loop_guard  # Not there where this file is the guard.

    kept = {k: v for k, v in os.environ.items() if not k.startswith((*_FOREIGN, _SLOW))}
    wanted = {**kept, "PYTHONUNBUFFERED": "1", **extra}
    return {**wanted, **loop_guard.environment(wanted.get("PYTHONPATH"))}


def first_on_path(python: str) -> dict[str, str]:
    """PATH with the interpreter's own scripts first: `langflow`, `lfx`, `opentelemetry-…`."""
    return {"PATH": os.pathsep.join([str(Path(python).parent), os.environ.get("PATH", "")])}


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nobody listens on now.

    None that the system gives to whoever asks for any: a server that starts for seconds would
    find another one there.
    """
    for number in _PORTS:
        port = 20_000 + number % 12_000
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError


def run(
    command: Sequence[str], env: Mapping[str, str], cwd: Path, timeout: float
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; its whole group is killed when the time is over."""
    process = subprocess.Popen(
        list(command),
        env=dict(env),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=timeout)
    finally:
        _kill_group(process.pid)
        process.wait(10)
    return subprocess.CompletedProcess(list(command), process.returncode, out, err)


class Process:
    """A command running in the background, its output in a file."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str], cwd: Path) -> None:
        self.command = list(command)
        handle, name = tempfile.mkstemp(prefix="log-", suffix=".txt", dir=cwd)
        self._log = Path(name)
        with os.fdopen(handle, "wb") as output:
            self._guard = subprocess.Popen(
                [sys.executable, "-I", "-S", __file__, *command],
                env=dict(env),
                cwd=cwd,
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def log(self) -> str:
        """Everything the process has printed so far."""
        return self._log.read_text(errors="replace")

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._guard.poll()

    def wait_until(self, ready: Callable[[], bool], timeout: float, what: str) -> None:
        """Wait for a server; NotUp when it ends or the time is over."""
        deadline = time.monotonic() + timeout
        while not ready():
            if self.exit_code is not None:
                raise NotUp(f"{what} ended with code {self.exit_code}.\n{self._tail()}")
            if time.monotonic() > deadline:
                raise NotUp(f"{what} did not come up in {timeout:g} s.\n{self._tail()}")
            time.sleep(0.1)

    def stop(self, timeout: float) -> int | None:
        """SIGTERM to the command alone, as a supervisor does; then SIGKILL to what is left.

        Returns the exit code (128 + n for one that ended by signal n, as in a shell), or None when
        it had to be killed.
        """
        if self.exit_code is None:
            self._guard.send_signal(signal.SIGTERM)
        return self.wait(timeout)

    def interrupt(self) -> None:
        """SIGINT to each process of the group, as a terminal sends at Ctrl+C (on Linux)."""
        for pid in self.parents:
            if pid != self._guard.pid:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGINT)

    def wait(self, timeout: float) -> int | None:
        """Wait for its end; the exit code as of `stop`, None when it had to be killed."""
        try:
            return self._guard.wait(timeout)
        except subprocess.TimeoutExpired:
            return None
        finally:
            self.kill()

    @property
    def parents(self) -> dict[int, int]:
        """The processes of the group, the guard among them, and the parent of each (on Linux)."""
        found = {}
        for entry in Path("/proc").glob("[0-9]*"):
            pid = int(entry.name)
            with suppress(ProcessLookupError, FileNotFoundError):
                if os.getpgid(pid) == self._guard.pid:
                    # The name before it, in brackets, may have anything in it.
                    state = (entry / "stat").read_text().rpartition(")")[2].split()
                    found[pid] = int(state[1])
        return found

    def freeze(self) -> None:
        """SIGSTOP to the whole group, as a platform does that takes the processor away."""
        os.killpg(self._guard.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT to the whole group."""
        os.killpg(self._guard.pid, signal.SIGCONT)

    def limit_files(self, most: int) -> None:
        """Let no process of the group make a file longer than `most` bytes, from now on.

        What it writes beyond that fails, as on a disk that is full. -1 takes the limit away.
        """
        import resource

        for pid in self.parents:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (most, -1))

    def kill(self) -> None:
        """SIGKILL to the whole group."""
        _kill_group(self._guard.pid)
        self._guard.wait(10)
        if self._guard.stdin:
            self._guard.stdin.close()

    def _tail(self, lines: int = 40) -> str:
        return "\n".join([" ".join(self.command), *self.log.splitlines()[-lines:]])


def _kill_group(leader: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def _guard(command: list[str]) -> int:
    child: subprocess.Popen[bytes] | None = None

    def forward(number: int, _: object) -> None:
        if child and child.poll() is None:
            child.send_signal(number)

    def watch() -> None:
        while os.read(0, 1):
            pass
        os.killpg(0, signal.SIGKILL)

    signal.signal(signal.SIGTERM, forward)
    # What a shell starts in the background ignores it, with all that it starts.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    threading.Thread(target=watch, daemon=True).start()
    code = child.wait()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(_guard(sys.argv[1:]))
