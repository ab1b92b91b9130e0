"""Two hundred flows in flight, of twenty components each, while the backend does what it likes."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import statistics
import time
from dataclasses import dataclass
from typing import Any, get_args

from benchmarks.payloads import text
from benchmarks.sink import Mode, sink
from benchmarks.ticker import ticking
from benchmarks.worker import Worker
from tests.support import chain
from tests.support.counting import CountingSpanProcessor

FLOWS, COMPONENTS, CHARACTERS = 200, 20, 1000
ROUNDS, QUICK_ROUNDS = 5, 2
MODES: tuple[Mode, ...] = get_args(Mode)
_NOT_TRACED = "no tracing"


@dataclass(frozen=True)
class Figure:
    """One backend: medians of the rounds, against what is not traced in the same round."""

    name: str
    middle: float
    """The multiple of the median time a flow takes without tracing."""
    late: float
    """The same of the time that one flow in a hundred takes longer than."""
    lag: float
    """Milliseconds: in one case in a hundred the event loop is later than that."""
    lag_ratio: float
    ended: int
    """Spans."""
    exported: int
    dropped: dict[str, int]


@dataclass(frozen=True)
class _Round:
    middle: float
    late: float
    lag: float


def measure(*, quick: bool) -> list[Figure]:
    """Let all flows run with each backend in turn, again and again; then see what was sent."""
    with contextlib.ExitStack() as stack:
        workers = {_NOT_TRACED: stack.enter_context(Worker(Loaded, environment={}))}
        for mode in MODES:
            phoenix = {"PHOENIX_COLLECTOR_ENDPOINT": stack.enter_context(sink(mode))}
            workers[mode] = stack.enter_context(Worker(Loaded, environment=phoenix))
        for worker in workers.values():
            worker.ask(do="flows", number=5)
        rounds: dict[str, list[_Round]] = {name: [] for name in workers}
        for _ in range(QUICK_ROUNDS if quick else ROUNDS):
            for name, worker in workers.items():
                rounds[name].append(_Round(**worker.ask(do="flows", number=FLOWS)))
        accounts = {name: worker.ask(do="account") for name, worker in workers.items()}
    return [_figure(name, rounds, accounts[name]) for name in workers]


def _figure(name: str, rounds: dict[str, list[_Round]], account: dict[str, Any]) -> Figure:
    pairs = list(zip(rounds[name], rounds[_NOT_TRACED], strict=True))
    return Figure(
        name,
        statistics.median(ours.middle / without.middle for ours, without in pairs),
        statistics.median(ours.late / without.late for ours, without in pairs),
        statistics.median(ours.lag for ours, _ in pairs),
        statistics.median(ours.lag / without.lag for ours, without in pairs),
        **account,
    )


class Loaded:
    """What a worker answers; it traces where its environment says where to."""

    def __init__(self) -> None:
        from langflow_otel import LangflowInstrumentor

        logging.disable(logging.WARNING)
        self._loop = asyncio.new_event_loop()
        self._numbers = itertools.count()
        self._counting = CountingSpanProcessor()
        self._instrumentor = LangflowInstrumentor()
        self._instrumentor.instrument(skip_dep_check=True)
        self._traced = bool(self._instrumentor.statistics())
        if self._traced:
            self._instrumentor.tracer_provider.add_span_processor(self._counting)
        else:
            self._instrumentor.uninstrument()

    def __call__(self, do: str, **request: Any) -> Any:
        does = {"flows": self._flows, "account": self._account}
        return self._loop.run_until_complete(does[do](**request))

    async def _flows(self, number: int) -> dict[str, float]:
        """Run so many at once; return milliseconds."""
        # None says what another has said, or else it would be known to hold no secret.
        said = [f"{next(self._numbers):06d} {text(CHARACTERS - 7)}" for _ in range(number)]
        graphs = [chain.chain(COMPONENTS, each) for each in said]
        async with ticking() as lags:
            took = await asyncio.gather(*(_time(graph) for graph in graphs))
        return {"middle": statistics.median(took), "late": _p99(took), "lag": _p99(lags)}

    async def _account(self) -> dict[str, Any]:
        """Return what became of the spans, which has to add up."""
        if not self._traced:
            return {"ended": 0, "exported": 0, "dropped": {}}
        await asyncio.to_thread(self._instrumentor.force_flush, 5000)
        (told,) = self._instrumentor.statistics().values()
        dropped = {
            reason: count for reason, count in (told.dropped | told.refused).items() if count
        }
        if told.queue_items:
            dropped["none, still waiting"] = told.queue_items
        ended = self._counting.ended
        if told.exported + sum(dropped.values()) != ended:
            raise ArithmeticError(f"{ended} spans have ended, and the account is {told}")
        return {"ended": ended, "exported": told.exported, "dropped": dropped}


async def _time(graph: Any) -> float:
    began = time.perf_counter()
    await chain.run(graph, "session")
    return (time.perf_counter() - began) * 1e3


def _p99(values: list[float]) -> float:
    return statistics.quantiles(values, n=100)[98]
