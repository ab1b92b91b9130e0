"""The ways to trace a component that are compared.

Each is in a process of its own: what a vendor's SDK starts is the process's for ever.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from benchmarks.flow import FLOW_ID, SIZES, Ran, run_once, without_work
from benchmarks.payloads import text
from benchmarks.ticker import lags
from benchmarks.worker import Worker

RAW_ATTRIBUTES = {f"attribute.{number}": f"value {number}" for number in range(10)}
#: More than the queue of a destination holds.
_FILL = 2500

_NO_TRACER = {"LANGFLOW_NATIVE_TRACING": "false"}
_PHOENIX = {"PHOENIX_COLLECTOR_ENDPOINT": "{address}"}
_OTEL = {"OTEL_EXPORTER_OTLP_ENDPOINT": "{address}"}
_ARIZE = {**_NO_TRACER, **_PHOENIX}
_LANGFUSE = {
    **_NO_TRACER,
    "LANGFUSE_PUBLIC_KEY": "pk-lf-benchmark",
    "LANGFUSE_SECRET_KEY": "sk-lf-benchmark",
    "LANGFUSE_HOST": "{address}",
}
_LANGSMITH = {
    **_NO_TRACER,
    "LANGSMITH_API_KEY": "lsv2_benchmark",
    "LANGCHAIN_API_KEY": "lsv2_benchmark",
    "LANGSMITH_ENDPOINT": "{address}",
    "LANGSMITH_TRACING": "true",
}

Call = Callable[[], Awaitable[None]]


class Tracer:
    """No tracing at all. What the others do instead of that."""

    def __init__(self) -> None:
        self.service: Any = None

    def start(self) -> None:
        """Begin to trace. All flows have been run once by now."""

    def call(self, ran: Ran) -> Call:
        """Return what runs a component."""
        return ran.component

    @contextlib.asynccontextmanager
    async def run(self, ran: Ran) -> AsyncIterator[None]:
        """Be what is around the components of one run of a flow."""
        yield

    async def drain(self) -> None:
        """Let what waits be sent, as it is in a process that has something else to do."""
        await asyncio.sleep(0.2)


class Sdk(Tracer):
    """OpenTelemetry's SDK and exporter as they come: a span with its values as ready texts."""

    def start(self) -> None:
        self.tracer = _sdk_provider(OTLPSpanExporter()).get_tracer("raw")

    def call(self, ran: Ran) -> Call:
        value = text(ran.characters)
        attributes = {**RAW_ATTRIBUTES, "input.value": value, "output.value": value}

        async def call() -> None:
            with self.tracer.start_as_current_span("raw", attributes=attributes):
                pass

        return call


class Ours(Tracer):
    """langflow-otel, with a provider of its own, its gate and its exporter to Phoenix."""

    def start(self) -> None:
        from langflow_otel import LangflowInstrumentor

        LangflowInstrumentor().instrument(skip_dep_check=True)
        provider = LangflowInstrumentor().tracer_provider
        assert isinstance(provider, TracerProvider)
        self.provider = provider
        self.seen = LangflowInstrumentor()._tracer._capture.masker.names.clean_texts

    def call(self, ran: Ran) -> Call:
        async def call() -> None:
            # The values of a real component have not been looked through for secrets before.
            self.seen.clear()
            await ran.component()

        return call

    @contextlib.asynccontextmanager
    async def run(self, ran: Ran) -> AsyncIterator[None]:
        with ran.graph.flow_execution_span():
            yield

    async def drain(self) -> None:
        await asyncio.to_thread(self.provider.force_flush, 1000)


class Langflows(Tracer):
    """Langflow's own tracing, as a component of a real run calls it."""

    def __init__(self) -> None:
        from langflow.services.tracing.service import TracingService

        settings = SimpleNamespace(deactivate_tracing=False)
        self.service = TracingService(SimpleNamespace(settings=settings))

    def call(self, ran: Ran) -> Call:
        from langflow.services.tracing.service import trace_context_var

        async def call() -> None:
            await ran.component()
            # Its tracers are called one after the other, by a task on the same loop.
            await trace_context_var.get().traces_queue.join()

        return call

    @contextlib.asynccontextmanager
    async def run(self, ran: Ran) -> AsyncIterator[None]:
        name = f"Flow - {FLOW_ID}"
        await self.service.start_tracers(uuid.uuid4(), name, user_id=None, session_id="session-1")
        yield
        await self.service.end_tracers({})


@dataclass(frozen=True)
class Way:
    """A way to trace, and the variables that turn it on."""

    tracer: Callable[[], Tracer]
    environment: dict[str, str] = field(default_factory=dict)

    def worker(self, name: str, address: str, instant: str) -> Worker:
        """Start a process that traces so, to the backend at `address`."""
        variables = {key: value.format(address=address) for key, value in self.environment.items()}
        return Worker(Asked, name, instant, environment=variables)


_CONTENT = "OTEL_PYTHON_LANGFLOW_CAPTURE_CONTENT"
NONE, SDK, OURS = "no tracing", "OpenTelemetry's SDK, ready texts", "langflow-otel"
NO_CONTENT, NOT_SAMPLED = f"{OURS}, no content", f"{OURS}, not sampled"
NATIVE, LANGFUSE, LANGSMITH = "Langflow's native", "Langflow's Langfuse", "Langflow's LangSmith"
PHOENIX, PHOENIX_BATCH = "Langflow's Arize Phoenix", "Langflow's Arize Phoenix, batch"
WAYS = {
    NONE: Way(Tracer),
    SDK: Way(Sdk, _OTEL),
    OURS: Way(Ours, _PHOENIX),
    NO_CONTENT: Way(Ours, {**_PHOENIX, _CONTENT: "false"}),
    NOT_SAMPLED: Way(Ours, {**_PHOENIX, "OTEL_TRACES_SAMPLER": "always_off"}),
    "Langflow's tracing, no tracer on": Way(Langflows, _NO_TRACER),
    NATIVE: Way(Langflows),
    LANGFUSE: Way(Langflows, _LANGFUSE),
    LANGSMITH: Way(Langflows, _LANGSMITH),
    PHOENIX: Way(Langflows, _ARIZE),
    PHOENIX_BATCH: Way(Langflows, {**_ARIZE, "ARIZE_PHOENIX_BATCH": "true"}),
}


class Asked:
    """What a worker answers."""

    def __init__(self, way: str, instant: str) -> None:
        logging.disable(logging.WARNING)
        self._loop = asyncio.new_event_loop()
        self._tracer = WAYS[way].tracer()
        self._raw = _sdk_provider(OTLPSpanExporter(endpoint=f"{instant}/v1/traces"))
        self._ran = {
            size: self._loop.run_until_complete(run_once(size, self._tracer.service))
            for size in SIZES
        }
        without_work()
        self._tracer.start()

    def __call__(self, do: str, **request: Any) -> Any:
        does = {
            "burst": self._burst,
            "lag": self._lag,
            "raw": self._raw_burst,
            "fill": self._fill,
            "profile": self._profile,
        }
        return self._loop.run_until_complete(does[do](**request))

    async def _burst(self, size: str, calls: int, seconds: float) -> dict[str, float]:
        """Run a flow with so many components, or for so long; return microseconds."""
        ran = self._ran[size]
        begin = time.perf_counter()
        run = self._tracer.run(ran)
        await run.__aenter__()
        started = time.perf_counter()
        component = await _time(self._tracer.call(ran), calls, seconds)
        ended = time.perf_counter()
        await run.__aexit__(None, None, None)
        around = started - begin + time.perf_counter() - ended
        await self._tracer.drain()
        return {"component": component, "around": around * 1e6}

    async def _profile(self, size: str, calls: int) -> dict[str, Any]:
        """Return where the time of so many components goes."""
        from benchmarks.shares import OF_A_COMPONENT, profiled, shares

        ran = self._ran[size]
        async with self._tracer.run(ran):
            call = self._tracer.call(ran)
            with profiled() as profile:
                for _ in range(calls):
                    await call()
        await self._tracer.drain()
        return shares(profile, OF_A_COMPONENT, calls)

    async def _raw_burst(self, calls: int) -> float:
        tracer = self._raw.get_tracer("raw")

        async def call() -> None:
            with tracer.start_as_current_span("raw", attributes=RAW_ATTRIBUTES):
                pass

        with tracer.start_as_current_span("run"):
            took = await _time(call, calls, 1.0)
        await asyncio.to_thread(self._raw.force_flush)
        return took

    async def _fill(self) -> None:
        """Fill the queue of a dead backend, so that what is measured is what it is like then."""
        ran = self._ran["100 KB"]
        async with self._tracer.run(ran):
            await _time(self._tracer.call(ran), _FILL, 10.0)

    async def _lag(self, rate: int, seconds: float) -> list[float]:
        """Run components of 10 KB at `rate` a second; return how late the loop was each time."""
        ran = self._ran["5 KB"]
        async with self._tracer.run(ran):
            found = await lags(self._tracer.call(ran), rate, seconds)
        await self._tracer.drain()
        return found


async def _time(call: Call, calls: int, seconds: float) -> float:
    """Return the microseconds of a call: of `calls`, fewer where they take longer than that."""
    begin = time.perf_counter()
    called, took = 0, 0.0
    while called < calls and took < seconds:
        await call()
        called += 1
        took = time.perf_counter() - begin
    return took / called * 1e6


def _sdk_provider(exporter: OTLPSpanExporter) -> TracerProvider:
    # The environment may say that ours are not sampled.
    provider = TracerProvider(sampler=ALWAYS_ON, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider
