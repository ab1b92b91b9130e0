"""Two hundred flows in flight while backends go bad and come back; and what runs leave behind."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider

from langflow_otel import LangflowInstrumentor
from langflow_otel.export.account import Statistics
from langflow_otel.export.breaker import CircuitBreaker
from langflow_otel.export.otlp import LangflowOtlpSpanExporter
from langflow_otel.settings import Settings
from tests.support import chain, faults
from tests.support.chain import SayComponent, SmallFlow
from tests.support.counting import CountingSpanProcessor
from tests.support.faults import Fault
from tests.support.invariants import check
from tests.support.vendors import VENDORS, Vendor

AT_ONCE, COMPONENTS = 200, 20
SPANS = AT_ONCE * (COMPONENTS + 1)
#: What the sick backends do, one after the other, each while all flows are in flight.
COURSE: Mapping[str, Callable[[], Fault]] = {
    "slow": faults.slow,
    "hanging": faults.hanging,
    "refusing": faults.refusing,
    "resetting": faults.resetting,
    "429": lambda: faults.status(429, retry_after=60),
    "500": lambda: faults.status(500),
    "413": lambda: faults.status(413),
    "too large": lambda: faults.too_large(20_000),
    "garbage": faults.garbage,
    "well": lambda: faults.slow(0),
}
REASONS = {"timeout", "too_large", "failed"}
# For what the sandbox takes, not for how long anything may take.
PATIENCE = 120.0


class Backends:
    """Langflow, instrumented, with vendors that misbehave and a witness that does not."""

    def __init__(self, sick: list[Vendor], environment: pytest.MonkeyPatch, stack: ExitStack):
        self.vendors = {vendor.name: vendor for vendor in [*sick, VENDORS["otlp"]]}
        self.receivers = {n: stack.enter_context(v.start()) for n, v in self.vendors.items()}
        self.sick = {n: r for n, r in self.receivers.items() if n != "otlp"}
        for name, vendor in self.vendors.items():
            for variable, value in vendor.environment(self.receivers[name]).items():
                environment.setenv(variable, value)
        # Nothing may be lost of what the healthy one is sent, however slow the machine is.
        patient = replace(Settings.from_environment(), export_timeout=PATIENCE)
        witness = LangflowOtlpSpanExporter(settings=patient)
        LangflowInstrumentor().instrument(destinations=[*self.sick, witness])
        stack.callback(LangflowInstrumentor().uninstrument)
        self.counting = CountingSpanProcessor(keeps_ids=True)
        self.provider.add_span_processor(self.counting)

    @property
    def provider(self) -> TracerProvider:
        provider = LangflowInstrumentor().tracer_provider
        assert isinstance(provider, TracerProvider)
        return provider

    def statistics(self, name: str) -> Statistics:
        return LangflowInstrumentor().statistics()[name]

    def misbehave(self, fault: Fault) -> None:
        """Let each sick backend do so from now on."""
        for receiver in self.sick.values():
            receiver.faults.set(fault)

    def wait_until_struck(self, asked: Mapping[str, int]) -> None:
        """Return when more has been asked of each sick backend than was asked, at some time."""
        # Not the first since: that may have been under way.
        wait_until(lambda: all(self.statistics(n).requests >= r + 2 for n, r in asked.items()))

    def have_dropped(self, reason: str) -> bool:
        """Tell whether of each sick one's spans some were lost for that reason."""
        return all(reason in self.statistics(name).dropped for name in self.sick)

    def ids_at(self, name: str) -> list[str]:
        """The ids of the spans, or runs, that a backend has taken."""
        receiver = self.receivers[name]
        if name == "langsmith":
            return [run.id for run in receiver.runs]
        return [span.span_id for span in receiver.spans]


@pytest.fixture
def backends(quick: None, environment: pytest.MonkeyPatch) -> Iterator[Backends]:
    # For all the refusals of a batch that gets smaller and smaller.
    environment.setenv("OTEL_BSP_EXPORT_TIMEOUT", "2000")
    sick = [VENDORS["phoenix"], VENDORS["langfuse"]]
    try:
        import langsmith  # noqa: F401
    except ImportError:
        pass
    else:
        sick.append(VENDORS["langsmith"])
    with ExitStack() as stack:
        yield Backends(sick, environment, stack)


def wait_until(true: Callable[[], Any]) -> None:
    """Return when it is so, for what is not told."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@dataclass
class Course:
    """Lets components run up to where the fault that has struck allows it."""

    reached: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def before(self, number: int) -> None:
        """Wait until component `number` may run: all flows are in flight when a fault begins."""
        while self.reached * COMPONENTS // len(COURSE) < number:
            await self.changed.wait()

    def next(self) -> None:
        self.reached += 1
        self.changed.set()
        self.changed.clear()


@pytest.mark.slow
async def test_under_load_each_span_is_exported_or_counted_whatever_backends_do(
    backends: Backends, monkeypatch: pytest.MonkeyPatch
) -> None:
    course = Course()
    monkeypatch.setattr(SayComponent, "before", course.before)
    graphs = [chain.chain(COMPONENTS, f"answer {number}") for number in range(AT_ONCE)]
    flows = [
        asyncio.ensure_future(chain.run(graph, f"session-{number}"))
        for number, graph in enumerate(graphs)
    ]
    for number, (name, make) in enumerate(COURSE.items()):
        assert course.reached == number
        assert not any(flow.done() for flow in flows)
        await asyncio.to_thread(backends.misbehave, make())
        asked = {name: backends.statistics(name).requests for name in backends.sick}
        course.next()
        await asyncio.to_thread(backends.wait_until_struck, asked)
        if name == "413":
            await asyncio.to_thread(wait_until, lambda: backends.have_dropped("too_large"))
        # The healthy one is not behind either, however slow the machine is.
        await asyncio.to_thread(
            wait_until, lambda: backends.statistics("otlp").queue_items < AT_ONCE
        )
    assert await asyncio.gather(*flows) == [f"answer {number}" for number in range(AT_ONCE)]
    assert await asyncio.to_thread(backends.provider.force_flush, int(PATIENCE * 1000))

    ended = backends.counting
    assert ended.started == ended.ended == len(set(ended.ids)) == SPANS
    for name in backends.vendors:
        told = backends.statistics(name)
        assert told.accepted + sum(told.refused.values()) == ended.ended
        assert told.accepted == told.exported + sum(told.dropped.values())
        assert told.queue_items == told.queue_bytes == 0
    for name in backends.sick:
        told = backends.statistics(name)
        assert set(told.dropped) <= REASONS
        assert 0 < told.exported <= len(set(backends.ids_at(name)))
        assert len(backends.vendors[name].names(backends.receivers[name])) < SPANS
    assert backends.statistics("otlp").lost == 0
    assert sorted(backends.ids_at("otlp")) == sorted(ended.ids)
    check(backends.receivers["otlp"].spans, traces=AT_ONCE)


@dataclass(frozen=True)
class Held:
    """What this process holds, by the numbers that a leak would raise."""

    threads: int
    descriptors: int
    objects: int

    @classmethod
    def now(cls) -> Held:
        gc.collect()
        return cls(
            # asyncio's own pool grows to its size as it likes.
            threads=sum(not t.name.startswith("asyncio_") for t in threading.enumerate()),
            descriptors=len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0,
            objects=len(gc.get_objects()),
        )

    def grown_since(self, before: Held, runs: int) -> list[str]:
        """What has grown by more than what comes and goes; a leak is at least one a run."""
        grown = []
        if self.threads > before.threads:
            grown.append(f"threads: {before.threads} to {self.threads}")
        # The connections of the destinations come and go.
        if self.descriptors > before.descriptors + 8:
            grown.append(f"file descriptors: {before.descriptors} to {self.descriptors}")
        if self.objects > before.objects + runs / 2:
            grown.append(f"objects: {before.objects} to {self.objects}")
        return grown


WARM_UP, RUNS, LEAKING_RUNS = 200, 600, 100


@pytest.mark.slow
async def test_runs_leave_nothing_behind(backends: Backends) -> None:
    flow = await SmallFlow.made()

    async def runs(numbers: range, seconds: float = PATIENCE) -> None:
        for number in numbers:
            await flow.run(number, SmallFlow.way(number))
        done = await asyncio.to_thread(backends.provider.force_flush, int(seconds * 1000))
        assert done or seconds < PATIENCE
        for receiver in backends.receivers.values():
            receiver.clear()

    backends.counting._keeps_ids = False
    await runs(range(WARM_UP))
    before = Held.now()
    # One that is well, one that hangs for the first half, two that refuse.
    for receiver, fault in zip(
        backends.sick.values(),
        (faults.hanging(), faults.refusing(), faults.refusing()),
        strict=False,
    ):
        receiver.faults.set(fault)
    await runs(range(WARM_UP, WARM_UP + RUNS // 2), seconds=1)
    for receiver in backends.sick.values():
        receiver.faults.clear()
    await asyncio.sleep(2 * CircuitBreaker.LONGEST)
    await runs(range(WARM_UP + RUNS // 2, WARM_UP + RUNS))
    after = Held.now()
    assert after.grown_since(before, RUNS) == []
    assert backends.counting.started == backends.counting.ended
    assert backends.statistics("otlp").lost == 0

    # And were one object left behind by each run, that would be seen.
    left: list[Any] = []
    for number in range(LEAKING_RUNS):
        await flow.run(number)
        left.append([number])
    assert Held.now().grown_since(after, LEAKING_RUNS) != []
