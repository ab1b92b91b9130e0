"""Commands that are stopped: in the middle of a run, and where the backend is dead."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import flows
from tests.support.faults import DEAD
from tests.support.lfx_cli import LfxServe, lfx_running
from tests.support.process import Process
from tests.support.programs import BOUND, IN_TIME, PATIENCE
from tests.support.receiver import OtlpReceiver
from tests.support.stopped import in_the_middle, in_vain, told_as_cancelled

PREFIX = ("langflow-otel", "run", "--")
LOST = r"langflow-otel: \d spans (did not reach|still wait for) phoenix"
AWAY = ("hanging", pytest.param("refusing", marks=pytest.mark.exhaustive))

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def backend() -> Iterator[OtlpReceiver]:
    with OtlpReceiver() as started:
        yield started


@pytest.fixture
def env(backend: OtlpReceiver) -> Iterator[dict[str, str]]:
    backend.clear()
    yield {"PHOENIX_COLLECTOR_ENDPOINT": backend.endpoint, "OTEL_BSP_SCHEDULE_DELAY": "20"}
    backend.faults.clear()


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("flow") / "slow.json"
    path.write_text(json.dumps(flows.slow(300)))
    return path


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("flow") / "sync.json"
    path.write_text(json.dumps(flows.sync_method()))
    return path


def by_a_supervisor(process: Process, seconds: float) -> int | None:
    return process.stop(seconds)


def in_a_terminal(process: Process, seconds: float) -> int | None:
    process.interrupt()
    return process.wait(seconds)


STOPS = {"by a supervisor": (by_a_supervisor, 143), "in a terminal": (in_a_terminal, 130)}


@pytest.mark.parametrize("how", STOPS)
def test_an_lfx_run_that_is_stopped_in_the_middle_is_told_as_cancelled(
    how: str, slow: Path, env: dict[str, str], backend: OtlpReceiver
) -> None:
    stop, code = STOPS[how]
    with lfx_running(slow, "hi", env, PREFIX) as lfx:
        in_the_middle(backend)
        assert stop(lfx, PATIENCE) == code
    told_as_cancelled(backend.spans)


def test_an_lfx_serve_that_a_terminal_forces_to_stop_tells_its_runs_as_cancelled(
    slow: Path, env: dict[str, str], backend: OtlpReceiver
) -> None:
    with LfxServe(slow, env, PREFIX) as lfx:
        in_vain(lambda: lfx.run("hi"))
        in_the_middle(backend)
        lfx.interrupt()
        # uvicorn waits for the run now; who does not want to wait presses Ctrl+C once more.
        time.sleep(1)
        assert len(backend.spans) == 1
        lfx.interrupt()
        assert lfx.stop() is not None
    told_as_cancelled(backend.spans)


def test_an_lfx_serve_that_a_supervisor_kills_in_the_end_tells_its_runs_as_cancelled(
    slow: Path, env: dict[str, str], backend: OtlpReceiver
) -> None:
    env |= {
        "OTEL_PYTHON_LANGFLOW_GRACE_PERIOD": "6000",
        "OTEL_PYTHON_LANGFLOW_SHUTDOWN_TIMEOUT": "2000",
    }
    with LfxServe(slow, env, PREFIX) as lfx:
        in_vain(lambda: lfx.run("hi"))
        in_the_middle(backend)
        lfx.grace = 6.0
        assert lfx.stop() is None
    told_as_cancelled(backend.spans)


@pytest.mark.parametrize("dead", AWAY)
def test_an_lfx_run_whose_backend_is_dead_ends_and_says_so(
    dead: str, quick: Path, env: dict[str, str], backend: OtlpReceiver
) -> None:
    with (
        backend.faults.mode(DEAD[dead]()),
        lfx_running(quick, "hi", {**env, **BOUND}, PREFIX) as lfx,
    ):
        lfx.wait_until(lambda: '"success": true' in lfx.log, PATIENCE, "an answer")
        assert lfx.wait(IN_TIME) == 0
        assert re.search(LOST, lfx.log), lfx.log
    assert backend.spans == []


@pytest.mark.parametrize(
    ("dead", "how"),
    [
        ("hanging", "in a terminal"),
        pytest.param("refusing", "by a supervisor", marks=pytest.mark.exhaustive),
    ],
)
def test_so_does_one_that_is_stopped_in_the_middle(
    dead: str, how: str, slow: Path, env: dict[str, str], backend: OtlpReceiver
) -> None:
    stop, code = STOPS[how]
    with lfx_running(slow, "hi", {**env, **BOUND}, PREFIX) as lfx:
        in_the_middle(backend)
        backend.faults.set(DEAD[dead]())
        assert stop(lfx, IN_TIME) == code
        assert re.search(LOST, lfx.log), lfx.log
    assert [span.name for span in backend.spans] == ["Chat Input"]


@pytest.mark.parametrize("dead", AWAY)
def test_an_lfx_serve_whose_backend_is_dead_answers_ends_and_says_so(
    dead: str, quick: Path, env: dict[str, str], backend: OtlpReceiver
) -> None:
    with backend.faults.mode(DEAD[dead]()), LfxServe(quick, {**env, **BOUND}, PREFIX) as lfx:
        assert lfx.run("hi")
        lfx.grace = IN_TIME
        assert lfx.stop() is not None
        assert re.search(LOST, lfx.log), lfx.log
    assert backend.spans == []
