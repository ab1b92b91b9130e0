"""Whatever a process ends by, its spans are sent; and it ends in time, whatever the backend does.

The processes are real; what they do is a few spans, which is quicker than a Langflow.
"""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import socket
import subprocess
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException
from pathlib import Path

import pytest

from tests.support import faults
from tests.support.instances import instances_of
from tests.support.process import free_port
from tests.support.programs import (
    BOUND,
    EXPECTED,
    IN_TIME,
    PATIENCE,
    PROCESS_IDS,
    SPANS,
    WAYS,
    arrived,
    running,
)
from tests.support.receiver import OtlpReceiver

LOST = r"langflow-otel: \d spans (did not reach|still wait for) phoenix"

ENDINGS = {
    "its end": ("", 0),
    "an exit code": ("sys.exit(3)", 3),
    "an exception": ("raise ValueError", 1),
    "a loop that ends": ("asyncio.run(asyncio.sleep(0))", 0),
    "a signal for an interrupt": ("ready(); time.sleep(60)", -signal.SIGINT),
    "a signal for its end": ("ready(); time.sleep(60)", -signal.SIGTERM),
    "the same in a loop": (
        """
        async def wait():
            ready()
            await asyncio.sleep(60)
        asyncio.run(wait())
        """,
        -signal.SIGTERM,
    ),
    "the same, handled": (
        """
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        ready(); time.sleep(60)
        """,
        0,
    ),
    "the end of its main thread": (
        "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()",
        0,
    ),
}


@pytest.fixture(scope="module")
def receiver() -> Iterator[OtlpReceiver]:
    with OtlpReceiver() as started:
        yield started


@pytest.fixture(autouse=True)
def anew(receiver: OtlpReceiver) -> Iterator[None]:
    receiver.clear()
    yield
    receiver.faults.clear()


def end(process: subprocess.Popen[str], ending: str) -> tuple[int, str]:
    """Let `process` come to its end; its code, and what it said to stderr."""
    if "signal" in ending or "same" in ending:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", process.communicate()[1]
        number = signal.SIGINT if "interrupt" in ending else signal.SIGTERM
        process.send_signal(number)
    said = process.communicate(timeout=120)[1]
    return process.returncode, said


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_has_ended_is_sent_whatever_a_process_ends_by(
    ending: str, receiver: OtlpReceiver
) -> None:
    code, expected = ENDINGS[ending]
    with running(code, {"PHOENIX_COLLECTOR_ENDPOINT": receiver.endpoint}) as process:
        assert end(process, ending)[0] == expected
    assert arrived(receiver) == EXPECTED


@pytest.mark.parametrize("way", ["launcher", "theirs"])
@pytest.mark.parametrize("ending", ["its end", "a signal for its end"])
def test_a_provider_that_was_made_elsewhere_sends_it_too(
    ending: str, way: str, receiver: OtlpReceiver
) -> None:
    env = {"PHOENIX_COLLECTOR_ENDPOINT": receiver.endpoint}
    code, expected = ENDINGS[ending]
    with running(code, env, way) as process:
        assert end(process, ending)[0] == expected
    assert sorted(arrived(receiver)) == EXPECTED


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("ending", ["its end", "a signal for its end"])
def test_where_the_backend_hangs_the_process_ends_within_the_bound(
    ending: str, way: str, receiver: OtlpReceiver
) -> None:
    receiver.faults.set(faults.hanging())
    env = {"PHOENIX_COLLECTOR_ENDPOINT": receiver.endpoint, **BOUND}
    told = "ready(); time.sleep(60)" if "signal" in ending else "ready()"
    with running(told, env, way) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        if "signal" in ending:
            process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=IN_TIME)[1]
    assert process.returncode == ENDINGS[ending][1]
    assert re.search(LOST, said), said


@pytest.mark.parametrize("way", ["ours", "launcher"])
@pytest.mark.parametrize("ending", ["its end", "a signal for its end"])
def test_a_backend_that_hangs_takes_no_time_of_the_others_at_the_end(
    ending: str, way: str, receiver: OtlpReceiver
) -> None:
    with OtlpReceiver() as hanging, hanging.faults.mode(faults.hanging()):
        env = {
            "OTEL_TRACES_EXPORTER": "phoenix,langflow_otlp",
            "PHOENIX_COLLECTOR_ENDPOINT": hanging.endpoint,
            "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint,
            "OTEL_PYTHON_LANGFLOW_SHUTDOWN_TIMEOUT": "2000",
        }
        code, expected = ENDINGS[ending]
        with running(code, env, way) as process:
            assert end(process, ending)[0] == expected
        assert hanging.spans == []
    assert sorted(arrived(receiver)) == EXPECTED


def test_sigterm_is_watched_again_after_a_shutdown_in_another_thread(
    receiver: OtlpReceiver,
) -> None:
    code = f"""
    stopping = threading.Thread(target=langflow_otel.shutdown)
    stopping.start()
    stopping.join()
    LangflowInstrumentor().uninstrument()
    LangflowInstrumentor().instrument()
    tracer = LangflowInstrumentor().tracer_provider.get_tracer("langflow_otel")
    for number in range({SPANS}):
        tracer.start_span(f"later {{number}}").end()
    ready()
    time.sleep(60)
    """
    ending = "a signal for its end"
    with running(code, {"PHOENIX_COLLECTOR_ENDPOINT": receiver.endpoint}) as process:
        assert end(process, ending)[0] == -signal.SIGTERM
    later = [name for name in arrived(receiver) if name.startswith("later")]
    assert later == [f"later {number}" for number in range(SPANS)]


def test_a_signal_can_be_left_alone(receiver: OtlpReceiver) -> None:
    env = {
        "PHOENIX_COLLECTOR_ENDPOINT": receiver.endpoint,
        "OTEL_PYTHON_LANGFLOW_FLUSH_ON_SIGTERM": "false",
    }
    ending = "a signal for its end"
    with running(ENDINGS[ending][0], env) as process:
        assert end(process, ending)[0] == -signal.SIGTERM
    assert arrived(receiver) == []


def test_a_handler_of_somebody_elses_stays(receiver: OtlpReceiver) -> None:
    code = """
    mine = lambda *_: None
    signal.signal(signal.SIGTERM, mine)
    LangflowInstrumentor().uninstrument()
    assert signal.getsignal(signal.SIGTERM) is mine
    LangflowInstrumentor().instrument()
    assert signal.getsignal(signal.SIGTERM) is mine
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    LangflowInstrumentor().uninstrument()
    LangflowInstrumentor().instrument()
    assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
    LangflowInstrumentor().uninstrument()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    """
    with running(code, {"PHOENIX_COLLECTOR_ENDPOINT": receiver.endpoint}) as process:
        code, said = end(process, "")
        assert code == 0, said


IN_A_LOCK = """
from langflow_otel.spans import Flow
from opentelemetry.sdk.trace import SpanProcessor
class Locking(SpanProcessor):
    lock = threading.Lock()
    def on_end(self, span):
        with self.lock:
            if span.name == "the last":
                ready()
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(60)
LangflowInstrumentor().tracer_provider.add_span_processor(Locking())
run = LangflowInstrumentor()._tracer.flow(Flow(name="a run"), trace.INVALID_SPAN)
tracer.start_span("the last").end()
"""


@pytest.mark.parametrize("way", WAYS)
def test_a_signal_that_comes_while_a_lock_is_held_ends_the_process(
    way: str, receiver: OtlpReceiver
) -> None:
    env = {
        "PHOENIX_COLLECTOR_ENDPOINT": receiver.endpoint,
        "OTEL_PYTHON_LANGFLOW_SHUTDOWN_TIMEOUT": "1000",
    }
    with running(IN_A_LOCK, env, way) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", process.communicate()[1]
        # A handler that took the lock itself would wait for its own thread for ever.
        assert process.wait(IN_TIME) == -signal.SIGTERM


UVICORN = """
import uvicorn
from langflow_otel.spans import Flow
async def under_way(seconds):
    run = LangflowInstrumentor()._tracer.flow(Flow(name=f"of {seconds:g} s"), trace.INVALID_SPAN)
    ready()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        tracer.start_span("meanwhile").end()
        await asyncio.sleep(0.05)
    run.end()
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        while True:
            event = await receive()
            await send({"type": event["type"] + ".complete"})
            if event["type"] == "lifespan.startup":
                ready()
            else:
                return
    if scope["path"] != "/":
        await under_way(float(scope["path"][1:]))
    tracer.start_span("span of a request").end()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(os.getpid()).encode()})
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_uvicorn_sends_what_is_left_when_it_is_stopped(
    number: signal.Signals, receiver: OtlpReceiver
) -> None:
    pytest.importorskip("uvicorn")
    code = UVICORN + "uvicorn.run(app, port=0, log_level='error')"
    # What is not sent by the seam is not sent at all.
    env = {
        "PHOENIX_COLLECTOR_ENDPOINT": receiver.endpoint,
        "OTEL_PYTHON_LANGFLOW_FLUSH_ON_SIGTERM": "false",
    }
    with running(code, env) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", process.communicate()[1]
        process.send_signal(number)
        process.communicate(timeout=120)
    assert arrived(receiver) == EXPECTED


def test_uvicorn_stops_within_the_bound_where_the_backend_hangs(receiver: OtlpReceiver) -> None:
    pytest.importorskip("uvicorn")
    receiver.faults.set(faults.hanging())
    port = free_port()
    with uvicorn(port, {"PHOENIX_COLLECTOR_ENDPOINT": receiver.endpoint, **BOUND}) as process:
        assert ask(port) == str(process.pid)
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=IN_TIME)[1]
    assert re.search(LOST, said), said


GUNICORN = f"""
{UVICORN}
from gunicorn.app.base import BaseApplication
class Application(BaseApplication):
    def load_config(self):
        options = dict(worker_class="uvicorn.workers.UvicornWorker",
                       bind="127.0.0.1:" + sys.argv[1], workers=2, preload_app=True,
                       max_requests=int(sys.argv[2]), loglevel="error",
                       graceful_timeout=int(sys.argv[3]))
        for name, value in options.items():
            self.cfg.set(name, value)
    def load(self):
        return app
Application().run()
"""


@contextmanager
def gunicorn(
    port: int, env: dict[str, str], max_requests: int, graceful_timeout: int = 3600
) -> Iterator[subprocess.Popen[str]]:
    """Two workers, of a process that has spans queued when it forks them.

    In an hour gunicorn does not kill those that hang.
    """
    code = GUNICORN.replace("sys.argv[1]", f'"{port}"').replace("sys.argv[2]", str(max_requests))
    code = code.replace("sys.argv[3]", str(graceful_timeout))
    # What is not sent by the seam is not sent at all: uvicorn has a handler in the workers.
    with running(code, env) as process:
        assert process.stdout is not None
        for _ in range(2):
            assert process.stdout.readline() == "ready\n", process.communicate()[1]
        yield process


def ask(port: int, path: str = "") -> str:
    """Let a worker answer, in a connection of its own; its process id."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=60) as answer:
        return str(answer.read().decode())


def ask_in_vain(port: int, path: str) -> None:
    """Do the same of a server that may be killed meanwhile, and wait for nothing."""

    def asking() -> None:
        with suppress(OSError, HTTPException):
            ask(port, path)

    threading.Thread(target=asking, daemon=True).start()


needs_gunicorn = pytest.mark.skipif(
    importlib.util.find_spec("gunicorn") is None, reason="no gunicorn in this environment"
)


# What a supervisor does, and what a terminal does at Ctrl+C.
STOPS = {
    "by a supervisor": lambda pid: os.kill(pid, signal.SIGTERM),
    "in a terminal": lambda pid: os.killpg(pid, signal.SIGINT),
}


@needs_gunicorn
@pytest.mark.parametrize("stop", STOPS)
def test_gunicorns_workers_send_what_is_left_when_it_is_stopped(
    stop: str, receiver: OtlpReceiver
) -> None:
    port = free_port()
    env = {"PHOENIX_COLLECTOR_ENDPOINT": receiver.endpoint, **PROCESS_IDS}
    with gunicorn(port, env, 0) as process:
        answered = Counter(ask(port) for _ in range(20))
        assert arrived(receiver) == []
        STOPS[stop](process.pid)
        process.communicate(timeout=120)
    of_requests = [span for span in receiver.spans if span.name == "span of a request"]
    assert Counter(str(span.resource["process.pid"]) for span in of_requests) == answered
    assert instances_of(receiver.spans).keys() == answered.keys() | {str(process.pid)}
    # By the process that forked them, and by nobody else.
    assert sorted(arrived(receiver)) == sorted([*EXPECTED, *["span of a request"] * 20])


@needs_gunicorn
def test_a_worker_that_gunicorn_replaces_sends_what_is_left(receiver: OtlpReceiver) -> None:
    port = free_port()
    env = {"PHOENIX_COLLECTOR_ENDPOINT": receiver.endpoint, **PROCESS_IDS}
    answered = Counter[str]()
    # A signal that comes while gunicorn forks a worker is lost to that, which is killed then.
    with gunicorn(port, env, 3, graceful_timeout=20) as process:
        deadline = time.monotonic() + 60
        while len(answered) < 5 and time.monotonic() < deadline:
            # One that is about to go closes a connection that has not asked yet.
            with suppress(OSError, HTTPException):
                answered[ask(port)] += 1
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=120)
    of_requests = [span for span in receiver.spans if span.name == "span of a request"]
    assert Counter(str(span.resource["process.pid"]) for span in of_requests) == answered
    assert len(answered) == 5
    # Theirs, and that of the process that forked them.
    assert instances_of(receiver.spans).keys() == answered.keys() | {str(process.pid)}
    ids = [span.span_id for span in receiver.spans]
    assert len(set(ids)) == len(ids) == answered.total() + SPANS


def wait_for_end(pid: int, seconds: float) -> None:
    """Wait for the end of a process that is somebody else's child."""
    deadline = time.monotonic() + seconds
    with suppress(ProcessLookupError):
        while time.monotonic() < deadline:
            os.kill(pid, 0)
            time.sleep(0.05)
        raise AssertionError(f"{pid} is still there")


@needs_gunicorn
def test_gunicorn_stops_within_the_bound_where_the_backend_hangs(receiver: OtlpReceiver) -> None:
    receiver.faults.set(faults.hanging())
    port = free_port()
    env = {"PHOENIX_COLLECTOR_ENDPOINT": receiver.endpoint, **BOUND}
    with gunicorn(port, env, 0) as process:
        worker = int(ask(port))
        # It alone first, and then all.
        os.kill(worker, signal.SIGTERM)
        wait_for_end(worker, IN_TIME)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=IN_TIME)
    assert process.returncode == 0


ON_A_PORT = UVICORN + "uvicorn.run(app, port=sys.argv[1], log_level='error')"


@contextmanager
def uvicorn(port: int, env: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    with running(ON_A_PORT.replace("sys.argv[1]", str(port)), env) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", process.communicate()[1]
        # It listens only then.
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            with suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.01)
        yield process


SPACE, NANOSECONDS = 0.5, 10**9
STOPPED_IN = {
    "told by gunicorn": lambda port, env: gunicorn(port, env, 0, graceful_timeout=4),
    "told by the user": lambda port, env: uvicorn(
        port, {**env, "OTEL_PYTHON_LANGFLOW_GRACE_PERIOD": "4000"}
    ),
}


@pytest.mark.parametrize("how", STOPPED_IN)
def test_what_a_server_waits_for_too_long_is_cut_off_before_it_is_killed(
    how: str, receiver: OtlpReceiver
) -> None:
    pytest.importorskip("gunicorn" if "gunicorn" in how else "uvicorn")
    port = free_port()
    env = {
        "PHOENIX_COLLECTOR_ENDPOINT": receiver.endpoint,
        "OTEL_PYTHON_LANGFLOW_SHUTDOWN_TIMEOUT": "1000",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
    }
    with STOPPED_IN[how](port, env) as process:
        assert process.stdout is not None
        for path in ("1", "300"):
            ask_in_vain(port, path)
            assert process.stdout.readline() == "ready\n", process.communicate()[1]
        process.send_signal(signal.SIGTERM)
        spans = receiver.wait_for(lambda spans: "of 300 s" in {span.name for span in spans})
        if "gunicorn" in how:
            process.communicate(timeout=PATIENCE)
        time.sleep(2 * SPACE)
    told = {span.name: span for span in spans}
    assert told["of 1 s"].attributes["langflow.flow.status"] == "ok"
    cut_off = told["of 300 s"]
    assert cut_off.attributes["langflow.flow.status"] == "cancelled"
    assert cut_off.attributes["langflow.cut_off"] is True
    # What of it goes on would come to no end.
    latest = max(span.end_ns for span in receiver.spans)
    assert latest < cut_off.end_ns + SPACE * NANOSECONDS


@needs_gunicorn
def test_what_a_worker_of_gunicorn_waits_for_is_cut_off_at_once_when_gunicorn_hurries(
    receiver: OtlpReceiver,
) -> None:
    """Told to stop, and interrupted as well, gunicorn waits for no more than two seconds."""
    port = free_port()
    with gunicorn(port, {"PHOENIX_COLLECTOR_ENDPOINT": receiver.endpoint}, 0) as process:
        ask_in_vain(port, "300")
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", process.communicate()[1]
        for number in (signal.SIGINT, signal.SIGTERM):
            os.killpg(process.pid, number)
        spans = receiver.wait_for(lambda spans: "of 300 s" in {span.name for span in spans})
    told = next(span for span in spans if span.name == "of 300 s")
    assert told.attributes["langflow.cut_off"] is True


def test_a_server_that_nobody_kills_waits_for_its_runs(receiver: OtlpReceiver) -> None:
    pytest.importorskip("uvicorn")
    port = free_port()
    env = {
        "PHOENIX_COLLECTOR_ENDPOINT": receiver.endpoint,
        "OTEL_PYTHON_LANGFLOW_SHUTDOWN_TIMEOUT": "1000",
    }
    with uvicorn(port, env) as process:
        ask_in_vain(port, "4")
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", process.communicate()[1]
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)
    (run,) = [span for span in receiver.spans if span.name == "of 4 s"]
    assert run.attributes["langflow.flow.status"] == "ok"
    assert "langflow.cut_off" not in run.attributes


def test_a_server_in_a_thread_that_stops_cuts_nothing_off(receiver: OtlpReceiver) -> None:
    pytest.importorskip("uvicorn")
    code = f"""
{UVICORN}
from langflow_otel.spans import under_way
server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
from langflow_otel.spans import Flow
run = LangflowInstrumentor()._tracer.flow(Flow(name="a run"), trace.INVALID_SPAN)
thread = threading.Thread(target=server.run)
thread.start()
while not server.started:
    time.sleep(0.01)
server.should_exit = True
thread.join()
assert not run.ended
run.end()
"""
    with running(code, {"PHOENIX_COLLECTOR_ENDPOINT": receiver.endpoint}) as process:
        code, said = end(process, "")
        assert code == 0, said
    (run,) = [span for span in receiver.spans if span.name == "a run"]
    assert run.attributes["langflow.flow.status"] == "ok"
    assert "langflow.cut_off" not in run.attributes


FLOW = """
from tests.support import flows
async def main():
    run = asyncio.create_task(flows.run_flow(flows.slow(300)))
    from langflow_otel.spans import under_way
    while "Wait" not in [each.span.name for each in under_way.all_of_them()]:
        await asyncio.sleep(0.05)
    ready()
    await run
asyncio.run(main())
"""


@pytest.mark.slow
@pytest.mark.parametrize("way", WAYS)
def test_a_run_that_the_end_cuts_off_is_told_as_cancelled(way: str, receiver: OtlpReceiver) -> None:
    env = {
        "PHOENIX_COLLECTOR_ENDPOINT": receiver.endpoint,
        "PYTHONPATH": str(Path(__file__).parent.parent),
    }
    with running(FLOW, env, way) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", process.communicate()[1]
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == -signal.SIGTERM
    told = {span.name: span.attributes for span in receiver.spans}
    assert {"Slow", "Wait", "Chat Input", *EXPECTED} == set(told)
    assert told["Slow"]["langflow.flow.status"] == "cancelled"
    assert told["Wait"]["langflow.component.status"] == "cancelled"
    assert told["Wait"]["langflow.cut_off"] is told["Slow"]["langflow.cut_off"] is True
    assert told["Chat Input"]["langflow.component.status"] == "ok"
