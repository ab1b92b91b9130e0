"""Servers that are frozen right after an answer, stopped in the middle of a run, and forked."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from tests.support import control_flows, doors, faults, flows
from tests.support.background import Server
from tests.support.http import CallFailed
from tests.support.instances import instances_of
from tests.support.invariants import check
from tests.support.lfx_cli import LfxServe
from tests.support.process import OFFLINE, clean_environment, first_on_path
from tests.support.receiver import OtlpReceiver
from tests.support.server import LangflowServer
from tests.support.spans import Span
from tests.support.stopped import in_vain, told_as_cancelled
from tests.support.tree import render
from tests.support.versions import before

PREFIX = ("langflow-otel", "run", "--")
# What takes a moment, as to get from one component to the next, takes less.
SPACE = 5
# Nothing is sent but before an answer, or at the end.
LATE = {"OTEL_BSP_SCHEDULE_DELAY": "3000000", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "2048"}
PROCESS_IDS = {"OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": "process"}
BEFORE_THE_ANSWER = {
    **LATE,
    "LANGFLOW_TRACING_BACKGROUND": "false",
    "OTEL_PYTHON_LANGFLOW_FLUSH_TIMEOUT": "60000",
}
whole = pytest.mark.skipif(
    importlib.util.find_spec("langflow") is None, reason="no langflow-base in this environment"
)


@pytest.fixture(scope="module")
def backend() -> Iterator[OtlpReceiver]:
    with OtlpReceiver() as started:
        yield started


@pytest.fixture(autouse=True)
def anew(backend: OtlpReceiver) -> None:
    backend.clear()


@pytest.fixture(scope="module")
def flow_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("flow") / "sync.json"
    path.write_text(json.dumps(flows.sync_method()))
    return path


def whole_trace(backend: OtlpReceiver) -> None:
    """What has arrived is one whole trace."""
    assert backend.rejected == []
    spans = backend.spans
    check(spans, traces=1)
    tree = render(spans)
    assert tree.splitlines()[0].startswith("CHAIN Sync method"), tree
    assert {"Chat Input", "Compute", "Chat Output"} <= {span.name for span in spans}, tree


def frozen_after(server: Server, answer: Callable[[], str], backend: OtlpReceiver) -> None:
    backend.clear()
    assert answer()
    with server.frozen():
        whole_trace(backend)


ANSWER_IN_PROCESS = """
import asyncio, os, signal
from langflow_otel import LangflowInstrumentor
LangflowInstrumentor().instrument()
from tests.support import faults, flows
async def main():
    await flows.run_flow(flows.sync_method())
    os.kill(os.getpid(), signal.SIGSTOP)
asyncio.run(main())
"""


@pytest.mark.slow
def test_a_program_has_sent_all_when_it_has_its_answer(backend: OtlpReceiver) -> None:
    env = {**BEFORE_THE_ANSWER, "PHOENIX_COLLECTOR_ENDPOINT": backend.endpoint}
    process = subprocess.Popen(
        [sys.executable, "-c", ANSWER_IN_PROCESS],
        env=clean_environment({**OFFLINE, "PYTHONPATH": str(Path(__file__).parent.parent), **env}),
    )
    try:
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        whole_trace(backend)
    finally:
        process.kill()
        process.wait()


@dataclass(frozen=True)
class Running:
    """A Langflow that sends before it answers, with three flows."""

    server: LangflowServer
    quick: str
    slow: str
    open_spans: str
    """Tells what is open of all that has begun, if it was not by this flow."""


@pytest.fixture(scope="module")
def langflow(backend: OtlpReceiver) -> Iterator[Running]:
    env = {
        **BEFORE_THE_ANSWER,
        **doors.ENVIRONMENT,
        "PHOENIX_COLLECTOR_ENDPOINT": backend.endpoint,
        # Or else a new worker takes as long as the first.
        "LANGFLOW_GUNICORN_PRELOAD": "true",
        # Seconds for a run of a workflow that somebody waits for.
        "LANGFLOW_WORKFLOW_EXECUTION_TIMEOUT": "10",
        # For what a flow of the tests looks at.
        "PYTHONPATH": str(Path(__file__).parent.parent),
    }
    with LangflowServer(env, PREFIX) as server:
        quick = server.upload({**flows.sync_method(), **doors.OPEN})
        counter = server.upload(control_flows.open_spans())
        server.run(counter, "begin")
        yield Running(server, quick, server.upload(flows.slow(300)), counter)


ANSWERS: dict[str, Callable[[LangflowServer, str, str], str]] = {
    "run": LangflowServer.run,
    "run stream": LangflowServer.run_stream,
    "build direct": LangflowServer.build,
    "build streaming": partial(LangflowServer.build, event_delivery="streaming"),
    "responses": LangflowServer.responses,
    "mcp": LangflowServer.mcp,
    "workflows v2": LangflowServer.workflows_v2,
    "workflows v2 stream": partial(LangflowServer.workflows_v2, mode="stream"),
    "public workflows v2": doors.run_public,
}
if before("1.12"):
    ANSWERS = {door: answer for door, answer in ANSWERS.items() if "v2" not in door}


@whole
@pytest.mark.server
@pytest.mark.parametrize("door", ANSWERS)
def test_a_langflow_has_sent_all_when_it_answers(
    door: str, langflow: Running, backend: OtlpReceiver
) -> None:
    frozen_after(
        langflow.server, lambda: ANSWERS[door](langflow.server, langflow.quick, "hi"), backend
    )


@whole
@pytest.mark.server
@pytest.mark.skipif(before("1.12"), reason="there are no such workflows before 1.12")
def test_a_run_whose_time_is_over_is_cancelled(langflow: Running, backend: OtlpReceiver) -> None:
    with pytest.raises(CallFailed, match="EXECUTION_TIMEOUT"):
        langflow.server.workflows_v2(langflow.slow, "hi")
    # What is cancelled does not wait until it is sent; it goes with the next that does.
    assert langflow.server.run(langflow.quick, "hi")
    (run,) = [span for span in flow_runs(backend.spans) if span.name == "Slow"]
    told_as_cancelled([span for span in backend.spans if span.trace_id == run.trace_id])


@whole
@pytest.mark.server
@pytest.mark.skipif(before("1.12"), reason="there are no such workflows before 1.12")
def test_nothing_is_left_open_of_runs_that_nobody_waits_for(langflow: Running) -> None:
    """Nor of those above."""
    from tests.support import pause_flows

    server = langflow.server
    server.webhook(langflow.quick, {"any": "payload"})
    assert server.workflows_v2(langflow.quick, "hi", mode="background")
    waits = server.upload(pause_flows.decision())
    server.start_workflow(waits, "hi", "a session")
    # It is asked, and nobody answers.
    assert server.pending(waits)
    left, deadline = None, time.monotonic() + 60
    while left != [] and time.monotonic() < deadline:
        time.sleep(1)
        left = json.loads(server.run(langflow.open_spans, "end"))
    assert left == []


@whole
@pytest.mark.server
def test_a_langflow_sends_what_is_under_way_when_it_stops(
    langflow: Running, backend: OtlpReceiver
) -> None:
    """The last that asks it."""
    server, slow = langflow.server, langflow.slow
    stored = len(server.messages(slow))
    server.start_build(slow, "hi")
    server.wait_for_messages(slow, stored + 1)
    time.sleep(SPACE)
    # As a supervisor stops it, or who starts new ones in their place.
    server.recycle()
    backend.wait_for(3, timeout=60)
    told_as_cancelled(backend.spans)

    server.wait_until_up()
    backend.clear()
    server.start_build(slow, "hi")
    in_vain(lambda: server.run(slow, "hi"))
    # Two at once, of a worker that is new.
    server.wait_for_messages(slow, stored + 3)
    time.sleep(SPACE)
    server.interrupt()
    assert server.stop() is not None
    told_as_cancelled(backend.spans, runs=2)


@pytest.mark.slow
def test_lfx_serve_has_sent_all_when_it_answers(flow_file: Path, backend: OtlpReceiver) -> None:
    env = {**BEFORE_THE_ANSWER, "PHOENIX_COLLECTOR_ENDPOINT": backend.endpoint}
    with LfxServe(flow_file, env, PREFIX) as lfx:
        for answer in (lambda: lfx.run("hi"), lambda: lfx.stream("hi")):
            frozen_after(lfx, answer, backend)


@pytest.mark.slow
def test_lfx_serve_sends_what_is_left_when_it_is_stopped(
    flow_file: Path, backend: OtlpReceiver
) -> None:
    env = {**LATE, "PHOENIX_COLLECTOR_ENDPOINT": backend.endpoint}
    with LfxServe(flow_file, env, PREFIX) as lfx:
        assert lfx.run("hi")
        assert backend.spans == []
        lfx.stop()
    whole_trace(backend)


@pytest.mark.slow
def test_lfx_run_has_sent_all_when_it_answers(flow_file: Path, backend: OtlpReceiver) -> None:
    env = {**BEFORE_THE_ANSWER, "PHOENIX_COLLECTOR_ENDPOINT": backend.endpoint}
    process = subprocess.Popen(
        [*PREFIX, "lfx", "run", str(flow_file), "hi"],
        env=clean_environment({**OFFLINE, **first_on_path(sys.executable), **env}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=flow_file.parent,
    )
    try:
        assert process.stdout is not None
        # The first that it prints is the answer.
        assert "{" in process.stdout.readline()
        process.send_signal(signal.SIGSTOP)
        whole_trace(backend)
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """With its tables: or else all workers would make them at once, at which some fail."""
    file = tmp_path_factory.mktemp("database") / "langflow.db"
    there = {"LANGFLOW_DATABASE_URL": f"sqlite:///{file}"}
    with LangflowServer(there):
        return there


@whole
@pytest.mark.server
@pytest.mark.slow
# Four workers that each import Langflow by themselves, twice.
@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("workers", "preload"),
    [
        (4, "true"),
        pytest.param(4, "false", marks=pytest.mark.exhaustive),
        pytest.param(1, "true", marks=pytest.mark.exhaustive),
        pytest.param(1, "false", marks=pytest.mark.exhaustive),
    ],
    ids=str,
)
def test_workers_send_their_own_spans_once_also_when_they_are_recycled(
    workers: int, preload: str, backend: OtlpReceiver, database: dict[str, str]
) -> None:
    env = {
        **LATE,
        **database,
        **PROCESS_IDS,
        "PHOENIX_COLLECTOR_ENDPOINT": backend.endpoint,
        "LANGFLOW_GUNICORN_PRELOAD": preload,
        "LANGFLOW_DANGEROUSLY_ALLOW_MULTI_WORKER_WITHOUT_SHARED_QUEUE": "true",
    }
    with LangflowServer(env, PREFIX, timeout=280, workers=workers) as langflow:
        flow = langflow.upload({**flows.where(), "id": str(uuid.uuid4())})
        before = answers_of(workers, langflow, flow)
        assert backend.spans == []
        langflow.recycle()
        backend.wait_for(lambda spans: len(flow_runs(spans)) == before.total(), timeout=60)
        # The new ones may take as long as the first.
        langflow.wait_until_up()
        after = answers_of(1, langflow, flow)
        langflow.stop()
    spans = backend.spans
    check(spans, traces=before.total() + after.total())
    assert max(Counter(span.span_id for span in spans).values()) == 1
    # Each by the process that ran it, and the new ones are others.
    processes = {span.trace_id: process_of(span) for span in spans}
    assert {span.trace_id: process_of(span) for span in reversed(spans)} == processes
    assert Counter(processes.values()) == before + after
    assert len(instances_of(spans)) == len(before) + len(after)


SERVED_BY = {
    "uvicorn's": ([], 2),
    # Nothing of uvicorn's is in there; and of four, two at least are replaced.
    "gunicorn's own": (["--use-sync-workers", "--max-requests", "3"], 4),
}


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("lfx.cli.serve_gunicorn") is None, reason="lfx serve forks no workers"
)
@pytest.mark.parametrize("whose", SERVED_BY)
def test_the_workers_of_lfx_serve_send_their_own_spans_once(
    whose: str, backend: OtlpReceiver, tmp_path: Path
) -> None:
    options, processes = SERVED_BY[whose]
    path = tmp_path / "where.json"
    path.write_text(json.dumps(flows.where()))
    env = {**LATE, **PROCESS_IDS, "PHOENIX_COLLECTOR_ENDPOINT": backend.endpoint}
    with LfxServe(path, env, PREFIX, options=["--workers", "2", *options]) as lfx:
        answered = asked_of(processes, lambda: lfx.run("hi"))
        assert lfx.stop() is not None
    spans = backend.spans
    check(spans, traces=answered.total())
    assert Counter(process_of(span) for span in flow_runs(spans)) == answered
    assert Counter(process_of(span) for span in spans) == Counter(
        {pid: 4 * runs for pid, runs in answered.items()}
    )
    assert instances_of(spans).keys() == answered.keys()


def answers_of(workers: int, langflow: LangflowServer, flow: str) -> Counter[str]:
    return asked_of(workers, lambda: langflow.run(flow, "hi"))


def asked_of(workers: int, ask: Callable[[], str]) -> Counter[str]:
    """Ask until so many workers have answered, some may still start; how often each has."""
    answered = Counter[str]()
    deadline = time.monotonic() + 200
    with ThreadPoolExecutor(8) as pool:
        while len(answered) < workers and time.monotonic() < deadline:
            answered.update(pool.map(lambda _: ask(), range(8)))
    assert len(answered) >= workers
    return answered


def flow_runs(spans: list[Span]) -> list[Span]:
    return [span for span in spans if not span.parent_id]


def process_of(span: Span) -> str:
    return str(span.resource["process.pid"])


@whole
@pytest.mark.server
def test_a_langflow_whose_backend_hangs_answers_and_ends(backend: OtlpReceiver) -> None:
    """Langflow gives its workers half a minute to end, and kills them then."""
    env = {
        "PHOENIX_COLLECTOR_ENDPOINT": backend.endpoint,
        "OTEL_PYTHON_LANGFLOW_SHUTDOWN_TIMEOUT": "2000",
    }
    with backend.faults.mode(faults.hanging()), LangflowServer(env, PREFIX) as langflow:
        flow = langflow.upload(flows.sync_method())
        assert langflow.run(flow, "hi")
        assert langflow.stop() == 0
        assert "killing it" not in langflow.log
        # What it writes is wrapped.
        assert re.search(r"\d spans still wait\W.*for phoenix", langflow.log, re.DOTALL)
    assert backend.spans == []
    assert backend.attempts != []
