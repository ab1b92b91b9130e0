"""The fault matrix: whatever a backend does, the flow is the same and each span accounted for."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider

from langflow_otel import LangflowInstrumentor
from langflow_otel.export.account import Statistics
from langflow_otel.export.breaker import CircuitBreaker
from tests.support import faults, flows
from tests.support.faults import Fault
from tests.support.vendors import VENDORS, Vendor

# What a fault that lasts may come to, by the reason that is counted; none where all is taken.
MATRIX: Mapping[str, tuple[Callable[[], Fault], set[str]]] = {
    "instant": (lambda: faults.slow(0), set()),
    "slow": (faults.slow, set()),
    "hanging": (faults.hanging, {"timeout", "circuit_open"}),
    "refusing": (faults.refusing, {"timeout", "circuit_open"}),
    "resetting": (faults.resetting, {"timeout", "circuit_open"}),
    "429": (lambda: faults.status(429, retry_after=60), {"timeout", "circuit_open"}),
    "500": (lambda: faults.status(500), {"timeout", "circuit_open"}),
    "413": (lambda: faults.status(413), {"too_large"}),
    "400": (lambda: faults.status(400), {"invalid", "circuit_open"}),
    "401": (lambda: faults.status(401), {"unauthorized", "circuit_open"}),
    "404": (lambda: faults.status(404), {"failed", "circuit_open"}),
    "garbage": (faults.garbage, {"timeout", "circuit_open"}),
}
SPANS = 8


@pytest.fixture(autouse=True)
def quick(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("OTEL_BSP_EXPORT_TIMEOUT", "600")
    environment.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
    environment.setattr(CircuitBreaker, "SHORTEST", 0.05)
    environment.setattr(CircuitBreaker, "LONGEST", 0.1)


@pytest.fixture
def no_socket_on_the_loop(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let a socket fail that is used in the thread of the flow; the loop's own is no such one."""
    loop, used = threading.get_ident(), []

    def guard(name: str) -> None:
        wrapped = getattr(socket.socket, name)

        def guarded(self: socket.socket, *args: Any, **kwargs: Any) -> Any:
            if threading.get_ident() == loop and self.family != socket.AF_UNIX:
                used.append(name)
                raise AssertionError(f"{name} on the event loop")
            return wrapped(self, *args, **kwargs)

        monkeypatch.setattr(socket.socket, name, guarded)

    for name in ("connect", "send", "sendall", "recv", "recv_into"):
        guard(name)
    return used


class Run:
    """Langflow, instrumented, with a vendor that misbehaves and a witness that does not."""

    def __init__(self, vendor: Vendor, environment: pytest.MonkeyPatch, stack: ExitStack) -> None:
        self.vendor, self.witness = vendor, VENDORS["phoenix" if vendor.name == "otlp" else "otlp"]
        self.receiver = stack.enter_context(vendor.start())
        self.healthy = stack.enter_context(self.witness.start())
        environment.setenv("OTEL_TRACES_EXPORTER", f"{vendor.name},{self.witness.name}")
        for name, value in self.vendor.environment(self.receiver).items():
            environment.setenv(name, value)
        for name, value in self.witness.environment(self.healthy).items():
            environment.setenv(name, value)
        LangflowInstrumentor().instrument()
        stack.callback(LangflowInstrumentor().uninstrument)

    async def flow(self) -> None:
        answer = await flows.run_flow(flows.linear_chat("An answer"), "A question")
        assert "An answer" in str(answer)

    def flush(self) -> None:
        provider = LangflowInstrumentor().tracer_provider
        assert isinstance(provider, TracerProvider)
        assert provider.force_flush(20_000)

    def statistics(self) -> Statistics:
        return LangflowInstrumentor().statistics()[self.vendor.name]

    def arrived(self) -> list[str]:
        return self.vendor.names(self.receiver)

    def at_the_witness(self) -> list[str]:
        return self.witness.names(self.healthy)


@pytest.fixture(params=list(VENDORS.values()), ids=str)
def run(request: pytest.FixtureRequest, environment: pytest.MonkeyPatch) -> Iterator[Run]:
    if request.param.name == "langsmith":
        pytest.importorskip("langsmith")
    with ExitStack() as stack:
        yield Run(request.param, environment, stack)


@pytest.mark.parametrize("fault", MATRIX)
async def test_whatever_a_backend_does_every_span_is_exported_or_counted(
    run: Run, fault: str, no_socket_on_the_loop: list[str]
) -> None:
    make, reasons = MATRIX[fault]
    with run.receiver.faults.mode(make()):
        for _ in range(2):
            await run.flow()
            run.flush()
        told = run.statistics()
        assert told.accepted == told.exported + told.lost == 2 * SPANS
        assert told.queue_items == told.queue_bytes == 0
        assert set(told.dropped) <= reasons
        assert bool(told.dropped) is bool(reasons)
        assert told.refused == {}
        assert len(run.arrived()) == told.exported
        assert len(run.at_the_witness()) == 2 * SPANS
        assert LangflowInstrumentor().statistics()[run.witness.name].lost == 0
    lost = run.statistics().lost
    await asyncio.sleep(CircuitBreaker.LONGEST)
    await run.flow()
    run.flush()
    assert run.statistics().lost == lost
    assert run.statistics().exported == 3 * SPANS - lost
    assert no_socket_on_the_loop == []


@pytest.mark.parametrize(
    "fault",
    [
        lambda: faults.status(503),
        lambda: faults.status(429, retry_after=0.1),
        faults.resetting,
        faults.garbage,
    ],
    ids=["503", "429", "resetting", "garbage"],
)
async def test_a_backend_that_recovers_in_time_gets_everything(run: Run, fault: Any) -> None:
    run.receiver.faults.set(faults.first(1, fault()))
    await run.flow()
    run.flush()
    told = run.statistics()
    assert (told.exported, told.lost) == (SPANS, 0)
    assert told.retries >= 1
    assert len(run.arrived()) == SPANS


async def test_a_poisoned_span_is_left_out_and_the_rest_arrive(run: Run) -> None:
    def is_output(item: Any) -> bool:
        return (item["name"] if isinstance(item, Mapping) else item.name) == "Chat Output"

    run.receiver.faults.set(faults.poison(is_output))
    await run.flow()
    run.flush()
    assert run.statistics().dropped == {"invalid": 1}
    assert len(run.arrived()) == SPANS - 1
    assert "Chat Output" not in run.arrived()


async def test_a_request_that_is_too_large_is_sent_in_parts(run: Run) -> None:
    await run.flow()
    run.flush()
    run.receiver.clear()
    # More than any span of this flow, less than all of them.
    run.receiver.faults.set(faults.too_large(12_000))
    await run.flow()
    run.flush()
    assert run.statistics().lost == 0
    assert len(run.arrived()) == SPANS
