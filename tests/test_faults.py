"""The fault matrix: whatever a backend does, the flow is the same and each span accounted for."""

from __future__ import annotations

import asyncio
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

# What a fault that lasts may come to, by the reason that is counted; none where all is taken, or
# waits until the backend is back.
MATRIX: Mapping[str, tuple[Callable[[], Fault], set[str]]] = {
    "instant": (lambda: faults.slow(0), set()),
    "slow": (faults.slow, set()),
    "hanging": (faults.hanging, {"timeout"}),
    "refusing": (faults.refusing, {"timeout"}),
    "resetting": (faults.resetting, {"timeout"}),
    "429": (lambda: faults.status(429, retry_after=60), set()),
    "500": (lambda: faults.status(500), {"timeout"}),
    "413": (lambda: faults.status(413), {"too_large"}),
    "400": (lambda: faults.status(400), {"invalid"}),
    "401": (lambda: faults.status(401), {"unauthorized"}),
    "404": (lambda: faults.status(404), {"failed"}),
    "garbage": (faults.garbage, {"timeout"}),
}
SPANS = 8

pytestmark = pytest.mark.usefixtures("quick")


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

    def flush(self, timeout_millis: int = 20_000) -> bool:
        provider = LangflowInstrumentor().tracer_provider
        assert isinstance(provider, TracerProvider)
        return provider.force_flush(timeout_millis)

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
    run: Run, fault: str
) -> None:
    make, reasons = MATRIX[fault]
    with run.receiver.faults.mode(make()):
        for _ in range(2):
            await run.flow()
            run.flush(1_000)
        told = run.statistics()
        assert told.accepted == told.exported + told.lost + told.queue_items == 2 * SPANS
        assert set(told.dropped) <= reasons
        assert bool(told.dropped) is bool(reasons)
        assert told.refused == {}
        assert len(run.at_the_witness()) == 2 * SPANS
        assert LangflowInstrumentor().statistics()[run.witness.name].lost == 0
    await asyncio.sleep(CircuitBreaker.LONGEST)
    await run.flow()
    assert run.flush()
    told = run.statistics()
    assert told.exported + told.lost == 3 * SPANS
    assert told.exported >= SPANS
    assert told.queue_items == told.queue_bytes == 0
    assert set(run.arrived()) == set(run.at_the_witness())


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
    assert run.flush()
    told = run.statistics()
    assert (told.exported, told.lost) == (SPANS, 0)
    assert told.retries >= 1
    assert len(run.arrived()) == SPANS


async def test_a_poisoned_span_is_left_out_and_the_rest_arrive(run: Run) -> None:
    def is_output(item: Any) -> bool:
        return (item["name"] if isinstance(item, Mapping) else item.name) == "Chat Output"

    run.receiver.faults.set(faults.poison(is_output))
    await run.flow()
    assert run.flush()
    assert run.statistics().dropped == {"invalid": 1}
    assert len(run.arrived()) == SPANS - 1
    assert "Chat Output" not in run.arrived()


async def test_a_request_that_is_too_large_is_sent_in_parts(run: Run) -> None:
    await run.flow()
    assert run.flush()
    run.receiver.clear()
    # More than any span of this flow, less than all of them.
    run.receiver.faults.set(faults.too_large(12_000))
    await run.flow()
    assert run.flush()
    assert run.statistics().lost == 0
    assert len(run.arrived()) == SPANS
