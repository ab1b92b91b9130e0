"""A process that is forked sends its own spans, once, whatever the other one was doing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.invariants import check
from tests.support.programs import EXPECTED, PATIENCE, PROCESS_IDS, arrived, running
from tests.support.receiver import OtlpReceiver
from tests.support.spans import Span

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")


ALL_IS_SENT = """
assert langflow_otel.force_flush(60000)
told = LangflowInstrumentor().statistics()["phoenix"]
assert told.lost == 0, told
"""

FORKS = """
stop = threading.Event()
def work():
    while not stop.is_set():
        tracer.start_span("of a thread").end()
        time.sleep(0.001)
threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads:
    thread.start()
for number in range(int(sys.argv[1])):
    child = os.fork()
    if child == 0:
        # The threads are the parent's; what they have queued is, too.
        tracer.start_span(f"of child {number}").end()
        os._exit(0 if langflow_otel.force_flush(60000) else 9)
    _, status = os.waitpid(child, 0)
    assert status == 0, (number, status)
stop.set()
for thread in threads:
    thread.join()
""" + (ALL_IS_SENT + "print(told.exported, flush=True)")


def test_of_processes_that_are_forked_under_load_each_span_arrives_once(
    receiver: OtlpReceiver,
) -> None:
    forks = 10
    env = {
        "PHOENIX_COLLECTOR_ENDPOINT": receiver.endpoint,
        "OTEL_BSP_SCHEDULE_DELAY": "20",
        "OTEL_BSP_MAX_QUEUE_SIZE": "100000",
    }
    with running(FORKS.replace("sys.argv[1]", str(forks)), env) as process:
        out, said = process.communicate(timeout=280)
    assert process.returncode == 0, said
    spans = receiver.spans
    assert len({span.span_id for span in spans}) == len(spans) == int(out) + forks
    assert {f"of child {number}" for number in range(forks)} <= {span.name for span in spans}


FLOWS_AND_FORKS = """
from langflow_otel.spans import Flow
from tests.support import flows
# Made here: CPython before 3.12 cannot parse in several threads at once, which Langflow does.
graphs = [flows.graph_of(flows.sync_method()) for _ in range(2)]
stop = threading.Event()
runs = []
async def load(graph):
    while not stop.is_set():
        await flows.run_flow(graph)
        runs.append(graph)
threads = [threading.Thread(target=asyncio.run, args=(load(graph),)) for graph in graphs]
for thread in threads:
    thread.start()
try:
    for number in range(int(sys.argv[1])):
        child = os.fork()
        if child == 0:
            # None of lfx's, of which the parent's threads may have held locks.
            flow = Flow(name=f"child {number}")
            run = LangflowInstrumentor()._tracer.flow(flow, trace.INVALID_SPAN)
            run.attach()
            tracer.start_span("of a child").end()
            run.end()
            os._exit(0 if langflow_otel.force_flush(60000) else 9)
        _, status = os.waitpid(child, 0)
        assert status == 0, (number, status)
finally:
    stop.set()
    for thread in threads:
        thread.join()
""" + (ALL_IS_SENT + "print(len(runs), flush=True)")


@pytest.mark.slow
def test_of_processes_that_are_forked_while_flows_run_each_span_arrives_once(
    receiver: OtlpReceiver,
) -> None:
    forks = 200
    env = {
        **PROCESS_IDS,
        "PHOENIX_COLLECTOR_ENDPOINT": receiver.endpoint,
        "PYTHONPATH": str(Path(__file__).parent.parent),
        "OTEL_BSP_SCHEDULE_DELAY": "20",
        "OTEL_BSP_MAX_QUEUE_SIZE": "100000",
    }
    with running(FLOWS_AND_FORKS.replace("sys.argv[1]", str(forks)), env) as process:
        out, said = process.communicate(timeout=280)
    assert process.returncode == 0, said
    spans = [span for span in receiver.spans if span.name not in EXPECTED]
    check(spans, traces=int(out) + forks)
    children = set()
    for trace in traces_of(spans):
        names = {span.name for span in trace}
        (pid,) = {str(span.resource["process.pid"]) for span in trace}
        if "of a child" in names:
            assert len(trace) == len(names) == 2
            children.add(pid)
        else:
            assert names == {"Sync method", "Chat Input", "Compute", "Chat Output"}
            assert (len(trace), pid) == (4, str(process.pid))
    assert len(children - {str(process.pid)}) == forks


def traces_of(spans: list[Span]) -> list[list[Span]]:
    by_trace: dict[str, list[Span]] = {}
    for span in spans:
        by_trace.setdefault(span.trace_id, []).append(span)
    return list(by_trace.values())


HELD_LOCKS = """
import gc, types
from langflow_otel.export.messages import Usage
from langflow_otel.guard import warn_once
from langflow_otel.spans import Flow
run = LangflowInstrumentor()._tracer.flow(Flow(name="a run"), trace.INVALID_SPAN)
run.attach()

def of_ours(each):
    owner = each if isinstance(each, types.ModuleType) else type(each)
    name = getattr(owner, "__name__" if owner is each else "__module__", None)
    return isinstance(name, str) and name.partition(".")[0] == "langflow_otel"

def locks():
    kinds = (type(threading.Lock()), type(threading.RLock()), threading.Condition)
    ours = [each for each in gc.get_objects() if hasattr(each, "__dict__") and of_ours(each)]
    held = {id(v): v for each in ours for v in vars(each).values() if isinstance(v, kinds)}
    return list(held.values())

def hold():
    found = locks()
    print(len(found), flush=True)
    taken = [lock.acquire(timeout=10) for lock in found]
    held.set()
    done.wait()
    for lock in found:
        lock.release()

held, done = threading.Event(), threading.Event()
holding = threading.Thread(target=hold)
holding.start()
held.wait()
child = os.fork()
if child == 0:
    warn_once("something is said in the child")
    run.capture.secrets.add("s3cret-of-the-child")
    run.count(Usage(input=1))
    LangflowInstrumentor()._patches.methods(type("Tool", (), {"run": print}), {"run": print})
    own = LangflowInstrumentor()._tracer.flow(Flow(name="another run"), trace.INVALID_SPAN)
    own.capture.secrets.add("s3cret-of-its-run")
    own.end()
    os._exit(0 if langflow_otel.force_flush(60000) else 9)
ready()
status = os.waitpid(child, 0)[1]
done.set()
holding.join()
run.end()
sys.exit(status)
"""


def test_no_lock_that_another_thread_held_holds_up_a_process_that_is_forked(
    receiver: OtlpReceiver,
) -> None:
    env = {"PHOENIX_COLLECTOR_ENDPOINT": receiver.endpoint}
    with running(HELD_LOCKS, env) as process:
        out, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, said
    # Those of the run, of all runs, of what is said once, of the queue, of its account, ...
    assert int(out.split()[0]) >= 10
    assert sorted(arrived(receiver)) == sorted([*EXPECTED, "a run", "another run"])


FORKED_IN_A_RUN = """
from langflow_otel.spans import Flow
run = LangflowInstrumentor()._tracer.flow(Flow(name="a run"), trace.INVALID_SPAN)
child = os.fork()
if child == 0:
    tracer.start_span("of the child").end()
    run.end()
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
run.end()
"""


def test_a_span_under_way_is_that_of_the_process_which_began_it(receiver: OtlpReceiver) -> None:
    env = {
        "PHOENIX_COLLECTOR_ENDPOINT": receiver.endpoint,
        **PROCESS_IDS,
    }
    with running(FORKED_IN_A_RUN, env) as process:
        said = process.communicate(timeout=PATIENCE)[1]
        assert process.returncode == 0, said
    assert sorted(arrived(receiver)) == sorted([*EXPECTED, "a run", "of the child"])
    pids = {span.name: span.resource["process.pid"] for span in receiver.spans}
    assert pids["a run"] == process.pid
    assert pids["of the child"] not in {process.pid, None}
