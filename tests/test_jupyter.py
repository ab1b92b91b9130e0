"""A notebook: its loop never ends, a cell may be interrupted, and the kernel is shut down."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.faults import DEAD
from tests.support.invariants import check
from tests.support.process import OFFLINE, clean_environment
from tests.support.receiver import OtlpReceiver
from tests.support.tree import render

pytest.importorskip("ipykernel")
client = pytest.importorskip("jupyter_client")

BEGIN = """
from langflow_otel import LangflowInstrumentor
LangflowInstrumentor().instrument()
import asyncio
from langflow_otel.spans import under_way
from tests.support import flows
"""
# A cell of its own awaits in the kernel's loop.
RUN = "await flows.run_flow(flows.sync_method())"
UNDER_WAY = """
cell = asyncio.ensure_future(flows.run_flow(flows.slow(300)))
while "Wait" not in {getattr(each.span, "name", "") for each in under_way.all_of_them()}:
    await asyncio.sleep(0.01)
"""


@pytest.fixture
def receiver() -> Iterator[OtlpReceiver]:
    with OtlpReceiver() as started:
        yield started


@pytest.fixture
def kernel(receiver: OtlpReceiver) -> Iterator[tuple[Any, Any]]:
    """A kernel of this interpreter, and a client of it; nothing is sent but at its end."""
    env = clean_environment(
        {
            **OFFLINE,
            "PHOENIX_COLLECTOR_ENDPOINT": receiver.endpoint,
            "OTEL_BSP_SCHEDULE_DELAY": "3000000",
            "OTEL_PYTHON_LANGFLOW_SHUTDOWN_TIMEOUT": "2000",
            "PYTHONPATH": str(Path(__file__).parent.parent),
        }
    )
    manager, cells = client.manager.start_new_kernel(startup_timeout=120, env=env)
    try:
        yield manager, cells
    finally:
        cells.stop_channels()
        manager.shutdown_kernel(now=True)


def execute(cells: Any, code: str) -> str:
    """Execute a cell; the name of the error that it ended with, empty where it did not."""
    answer = cells.execute_interactive(code, timeout=120, output_hook=lambda _: None)
    return str(answer["content"].get("ename", ""))


@pytest.mark.slow
def test_a_kernel_that_is_shut_down_sends_what_its_cells_ran(
    kernel: tuple[Any, Any], receiver: OtlpReceiver
) -> None:
    manager, cells = kernel
    assert execute(cells, BEGIN) == ""
    assert execute(cells, RUN) == ""

    # Stop, in the menu: it ends the cell, and nothing else.
    interrupt = threading.Timer(1, manager.interrupt_kernel)
    interrupt.start()
    assert execute(cells, "import time; time.sleep(60)") == "KeyboardInterrupt"
    assert execute(cells, RUN) == ""
    assert execute(cells, UNDER_WAY) == ""
    assert receiver.spans == []

    manager.shutdown_kernel()
    check(receiver.spans, traces=3)
    assert [render(receiver.spans).count(name) for name in ("CHAIN Sync", "CHAIN Slow")] == [2, 1]
    told = {span.name: span.attributes for span in receiver.spans}
    assert told["Slow"]["langflow.flow.status"] == "cancelled"
    assert told["Wait"]["langflow.component.status"] == "cancelled"


@pytest.mark.slow
@pytest.mark.parametrize(
    "dead", ["hanging", pytest.param("refusing", marks=pytest.mark.exhaustive)]
)
def test_a_kernel_whose_backend_is_dead_ends_by_itself(
    dead: str, kernel: tuple[Any, Any], receiver: OtlpReceiver
) -> None:
    manager, cells = kernel
    with receiver.faults.mode(DEAD[dead]()):
        for cell in (BEGIN, RUN, UNDER_WAY):
            assert execute(cells, cell) == ""
        process = manager.provisioner.process
        cells.shutdown()
        # Jupyter kills a kernel only that has not ended after some seconds.
        assert process.wait(60) == 0
    assert receiver.spans == []
