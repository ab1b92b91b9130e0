"""Event loops that come and go, several at once, uvloop's: each run is told, nothing is left."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import tracemalloc
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from lfx.graph.graph.base import Graph

from langflow_otel import LangflowInstrumentor
from langflow_otel.spans import under_way
from tests.support import flows
from tests.support.invariants import check
from tests.support.receiver import OtlpReceiver
from tests.support.versions import before

NewLoop = Callable[[], asyncio.AbstractEventLoop]


def uvloops() -> asyncio.AbstractEventLoop:
    loop: asyncio.AbstractEventLoop = pytest.importorskip("uvloop").new_event_loop()
    return loop


LOOPS: dict[str, NewLoop] = {"asyncio": asyncio.new_event_loop, "uvloop": uvloops}


@pytest.fixture(params=["in the background", "before the answer"])
def instrumented(
    request: pytest.FixtureRequest, environment: pytest.MonkeyPatch, receiver: OtlpReceiver
) -> Iterator[bool]:
    """Langflow, instrumented in that mode; whether what is sent is sent before the answer."""
    waits = request.param == "before the answer"
    environment.setenv("PHOENIX_COLLECTOR_ENDPOINT", receiver.endpoint)
    environment.setenv("LANGFLOW_TRACING_BACKGROUND", str(not waits).lower())
    environment.setenv("OTEL_PYTHON_LANGFLOW_FLUSH_TIMEOUT", "60000")
    LangflowInstrumentor().instrument()
    yield waits
    LangflowInstrumentor().uninstrument()


def left_in(loop: asyncio.AbstractEventLoop) -> list[str]:
    """The tasks that are there, but for those that Langflow's own tracing leaves before 1.12."""
    tasks = [repr(task) for task in asyncio.all_tasks(loop)]
    return [task for task in tasks if "TracingService" not in task]


def run_in(new_loop: NewLoop, work: Callable[[], Coroutine[Any, Any, Any]]) -> None:
    """Run `work` in a loop of its own; nothing of it may be left there when it has ended."""
    loop = new_loop()
    try:
        loop.run_until_complete(work())
        assert left_in(loop) == []
        loop.run_until_complete(loop.shutdown_default_executor())
    finally:
        loop.close()


async def one_run() -> None:
    await flows.run_flow(flows.sync_method())


@pytest.mark.parametrize("loop", LOOPS)
def test_each_run_in_a_loop_of_its_own_is_told(
    loop: str, instrumented: bool, receiver: OtlpReceiver
) -> None:
    run_in(LOOPS[loop], one_run)
    threads = names_of_threads()
    for _ in range(4):
        run_in(LOOPS[loop], one_run)
    # Each loop's own executor ends with it.
    assert names_of_threads() == threads
    if not instrumented:
        assert LangflowInstrumentor().force_flush(60_000)
    check(receiver.spans, traces=5)
    assert len(receiver.spans) == 20
    assert under_way.all_of_them() == []


@pytest.mark.parametrize("loop", LOOPS)
def test_runs_in_the_loops_of_several_threads_are_told(
    loop: str, instrumented: bool, receiver: OtlpReceiver
) -> None:
    # Made here: CPython before 3.12 cannot parse in several threads at once, which Langflow does.
    flow = flows.sync_method()
    graphs = [[flows.graph_of(flow) for _ in range(3)] for _ in range(4)]

    def several(own: list[Graph]) -> None:
        for graph in own:
            run_in(LOOPS[loop], partial(flows.run_flow, graph))

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(several, own) for own in graphs]:
            done.result()
    if not instrumented:
        assert LangflowInstrumentor().force_flush(60_000)
    check(receiver.spans, traces=12)
    assert len(receiver.spans) == 48
    assert under_way.all_of_them() == []


def wait_for_under_way(name: str) -> None:
    while name not in {getattr(each.span, "name", "") for each in under_way.all_of_them()}:
        time.sleep(0.01)


def test_a_run_whose_loop_is_closed_under_it_leaves_nothing_behind(
    instrumented: bool, receiver: OtlpReceiver
) -> None:
    async def begin() -> None:
        run = asyncio.ensure_future(flows.run_flow(flows.slow()))
        await asyncio.to_thread(wait_for_under_way, "Wait")
        # `asyncio.run` cancels it when this has ended.
        assert not run.done()

    asyncio.run(begin())
    assert under_way.all_of_them() == []
    run_in(asyncio.new_event_loop, one_run)
    assert LangflowInstrumentor().force_flush(60_000)
    check(receiver.spans, traces=2)
    told = {span.name: span.attributes for span in receiver.spans}
    assert told["Slow"]["langflow.flow.status"] == "cancelled"
    assert told["Sync method"]["langflow.flow.status"] == "ok"


def only_langflow_complains(caplog: pytest.LogCaptureFixture) -> None:
    """Of the span that it has made current itself; of ours nobody does."""
    complaints = [record for record in caplog.records if "detach" in record.getMessage()]
    assert all("flow_execution_span" in str(record.exc_text) for record in complaints)
    caplog.clear()


def test_a_run_that_is_pending_when_its_loop_is_closed_is_cancelled_by_the_collector(
    instrumented: bool, receiver: OtlpReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    async def begin() -> None:
        run = asyncio.ensure_future(flows.run_flow(flows.slow()))
        await asyncio.to_thread(wait_for_under_way, "Wait")
        # From now on nobody but the loop holds it.
        assert not run.done()

    loop = asyncio.new_event_loop()
    loop.run_until_complete(begin())
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
    assert len(under_way.all_of_them()) == 2
    del loop
    gc.collect()
    assert under_way.all_of_them() == []
    assert LangflowInstrumentor().force_flush(60_000)
    # Which of its coroutines it comes upon first, the collector knows.
    check(receiver.spans, traces=1, may_outlive_parent={"Wait"})
    told = {span.name: span.attributes for span in receiver.spans}
    assert told["Slow"]["langflow.flow.status"] == "cancelled"
    assert told["Wait"]["langflow.component.status"] == "cancelled"
    assert told["Chat Input"]["langflow.component.status"] == "ok"
    only_langflow_complains(caplog)


WARM_UP = 60
# Bytes by which what is held may differ, however many runs there are: an int for each is more.
SPREAD = 4_000


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.skipif(before("1.12"), reason="no span of a flow that a program can open")
def test_an_error_of_a_stream_whose_every_step_runs_in_a_task_of_its_own_is_an_error(
    instrumented: bool, receiver: OtlpReceiver, caplog: pytest.LogCaptureFixture
) -> None:
    async def stream() -> AsyncIterator[int]:
        with flows.graph_of(flows.sync_method()).flow_execution_span():
            yield 1
            raise LookupError("the stream")

    async def read() -> None:
        steps = stream()
        assert await asyncio.ensure_future(anext(steps)) == 1
        with pytest.raises(LookupError):
            await asyncio.ensure_future(anext(steps))

    asyncio.run(read())
    assert LangflowInstrumentor().force_flush(60_000)
    (span,) = receiver.spans
    assert span.attributes["langflow.flow.status"] == "error"
    assert span.attributes["error.type"] == "LookupError"
    only_langflow_complains(caplog)


# Ten thousand take minutes, and are the same on every version.
MANY = [pytest.mark.exhaustive, pytest.mark.slow, pytest.mark.timeout(3600)]


@pytest.mark.parametrize("runs", [150, pytest.param(10_000, marks=MANY)])
async def test_no_thread_and_no_object_stays_per_run(
    runs: int, instrumented: bool, receiver: OtlpReceiver
) -> None:
    graph = flows.graph_of(flows.text_only())

    async def make(number: int) -> None:
        for _ in range(number):
            await flows.run_flow(graph, input_type="text")
        assert await LangflowInstrumentor().aforce_flush(60_000)
        receiver.clear()

    await make(WARM_UP)
    tracemalloc.start()
    try:
        await make(WARM_UP)
        threads, objects, heap = left()
        await make(runs)
        threads_then, objects_then, heap_then = left()
    finally:
        tracemalloc.stop()
    assert threads_then == threads
    assert objects_then - objects == Counter()
    assert heap_then - heap < SPREAD


def left() -> tuple[list[str], Counter[str], int]:
    """The threads, our objects and OpenTelemetry's by type, and the bytes that their code holds."""
    gc.collect()
    ours = ("langflow_otel", "opentelemetry")
    types = (type(each) for each in gc.get_objects())
    objects = Counter(f"{t.__module__}.{t.__qualname__}" for t in types if is_of(t, ours))
    filters = [
        *(tracemalloc.Filter(True, f"*/{name}/*") for name in ours),
        # Of the texts that it has made some stay, more of more runs up to some hundred.
        tracemalloc.Filter(False, "*/opentelemetry/exporter/otlp/proto/common/*"),
    ]
    snapshot = tracemalloc.take_snapshot().filter_traces(filters)
    held = sum(each.size for each in snapshot.statistics("filename"))
    return names_of_threads(), objects, held


def names_of_threads() -> list[str]:
    """All but those of the backend, which is in this process."""
    names = [each.name for each in threading.enumerate()]
    return sorted(name for name in names if not name.startswith("receiver"))


def is_of(kind: type, packages: tuple[str, ...]) -> bool:
    return str(kind.__module__).partition(".")[0] in packages
