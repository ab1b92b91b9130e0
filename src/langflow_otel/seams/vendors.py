"""Langflow's own tracers: off for a vendor that has a destination of ours, so nothing is doubled.

Besides doubling every trace they post from the event loop. The Arize Phoenix one uninstruments
LangChain for the whole process at the end of each run, the Traceloop one instruments all that it
knows. Langflow's native tracer, which fills its Traces tab, is left alone.
"""

import contextlib
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from opentelemetry.instrumentation.utils import is_instrumentation_enabled
from opentelemetry.trace import format_trace_id

from langflow_otel import environment as env
from langflow_otel.context import current_flow
from langflow_otel.guard import logger, safely
from langflow_otel.seams.patches import Arguments, Keywords, Wrapper
from langflow_otel.settings import Settings

_TRACING = "langflow.services.tracing.service"
_TRACELOOP = "langflow.services.tracing.traceloop"
_VERTEX = "lfx.graph.vertex.base"
_LANGFUSE = "langfuse"
_LANGSMITH = "langsmith"

#: The destinations that each of Langflow's tracers sends to, by the name it has in
#: `TracingService._initialize_<name>_tracer`. Openlayer's is not in Langflow 1.7.
_TRACERS = {
    "arize_phoenix": ("phoenix", "arize"),
    _LANGFUSE: (_LANGFUSE,),
    _LANGSMITH: (_LANGSMITH,),
    "langwatch": ("langwatch",),
    "openlayer": ("openlayer",),
    "opik": ("opik",),
    "traceloop": ("traceloop",),
}


class VendorSeam:
    """The wrappers around what makes Langflow's own tracers at the start of each run."""

    def __init__(self, destinations: Collection[str], settings: Settings) -> None:
        """Replace the tracers of the vendors in `destinations`, if `settings` want it."""
        self._replaced = frozenset(destinations) if settings.replace_tracers else frozenset()
        self._said: set[str] = set()

    def rows(self) -> Iterator[tuple[str, str, Wrapper]]:
        """Yield module, function and wrapper of all that is wrapped for these destinations."""
        for tracer, served in _TRACERS.items():
            if not self._replaced.isdisjoint(served):
                function = f"TracingService._initialize_{tracer}_tracer"
                yield _TRACING, function, partial(self.initialize, tracer)
        yield _TRACELOOP, "TraceloopTracer.close", self.close
        if _LANGFUSE in self._replaced:
            yield _TRACING, "TracingService.get_tracer", self.tracer
        if _LANGSMITH in self._replaced:
            yield _VERTEX, "Vertex.build", self.build

    def initialize(
        self,
        tracer: str,
        wrapped: Callable[..., Any],
        _: Any,
        args: Arguments,
        kwargs: Keywords,
    ) -> Any:
        """Leave one of Langflow's tracers out, unless it is for another vendor, too.

        It is never made, so that none of its vendor's code runs.
        """
        if safely(self._replaces, tracer):
            return None
        return wrapped(*args, **kwargs)

    def close(
        self,
        wrapped: Callable[..., Any],
        tracer: Any,
        args: Arguments,
        kwargs: Keywords,
    ) -> Any:
        """Let a Traceloop tracer that is not set up flush nothing.

        Langflow (1.12+) makes one for every run, and in its `__del__`, wherever the collector
        finds it, it flushes the global provider: ours, for up to 3 seconds on the event loop.
        """
        return wrapped(*args, **kwargs) if getattr(tracer, "ready", False) else None

    def tracer(self, wrapped: Callable[..., Any], _: Any, args: Arguments, kwargs: Keywords) -> Any:
        """Tell Langflow the id of our trace, where it asks its Langfuse tracer for its own.

        Langflow (1.10+) keeps the id with each message and gives the thumbs up or down of a user
        as a score to that trace. With None there would be no scores any more.
        """
        found = wrapped(*args, **kwargs)
        if found is None and _LANGFUSE in (*args, *kwargs.values()):
            return safely(_langfuse_trace)
        return found

    async def build(
        self, wrapped: Callable[..., Any], _: Any, args: Arguments, kwargs: Keywords
    ) -> Any:
        """Switch LangSmith's own tracing off while a component of a flow runs.

        `LANGSMITH_TRACING=true` makes LangChain send every run to LangSmith, and what is under
        `langsmith.traceable`, as parts of LangChain's agents are. A LangSmith tracer that a chain
        around the flow hands down obeys the switch, too. In the code of a component
        `traceable(enabled=True)` and `tracing_context(enabled=True)` still turn it on.
        """
        switched_off = safely(self._switch_off)
        try:
            return await wrapped(*args, **kwargs)
        finally:
            if switched_off is not None:
                safely(switched_off.close)

    def _switch_off(self) -> contextlib.ExitStack | None:
        """Switch LangSmith off here until what is returned is closed; None where it is off.

        Also in a flow that is excluded: there instrumentation is off.
        """
        if current_flow() is None and is_instrumentation_enabled():
            return None
        from langsmith.run_helpers import get_tracing_context, tracing_context
        from langsmith.utils import tracing_is_enabled

        if not tracing_is_enabled():
            return None
        stack = contextlib.ExitStack()
        changed = {"enabled": False, "parent": False}
        stack.enter_context(tracing_context(**{**get_tracing_context(), **changed}))
        self._say("LangChain", _LANGSMITH, "in flow runs")
        return stack

    def _replaces(self, tracer: str) -> bool:
        served = _TRACERS[tracer]
        ours = " and ".join(name for name in served if name in self._replaced)
        others = [vendor for vendor in _SHARED.get(tracer, ()) if vendor.name not in self._replaced]
        kept = next((vendor for vendor in others if vendor.is_set(os.environ)), None)
        if kept is None:
            self._say("Langflow", ours)
        elif tracer not in self._said:
            self._said.add(tracer)
            logger.warning(
                "langflow-otel: Langflow's own %s tracer stays on, because it sends to %s, too "
                "(%s): traces are doubled, and model spans are lost after the first run",
                ours,
                kept.name,
                kept.because,
            )
        return kept is None

    def _say(self, whose: str, destination: str, where: str = "") -> None:
        said = f"{whose} {destination}"
        if said in self._said:
            return
        self._said.add(said)
        logger.info(
            "langflow-otel: %s's own %s tracer is off%s, langflow-otel sends there instead "
            "(%s=false turns it on again)",
            whose,
            destination,
            f" {where}" if where else "",
            env.OTEL_PYTHON_LANGFLOW_REPLACE_TRACERS,
        )


@dataclass(frozen=True)
class _Vendor:
    """One of several vendors that a tracer of Langflow's sends to.

    Attributes:
        name: The name of our destination for it.
        is_set: Whether the environment makes Langflow's tracer send there.
        because: Which variables do, for the log.
    """

    name: str
    is_set: Callable[[Mapping[str, str]], bool]
    because: str


def _arize_is_set(environ: Mapping[str, str]) -> bool:
    return bool(environ.get("ARIZE_API_KEY") and environ.get("ARIZE_SPACE_ID"))


def _phoenix_is_set(environ: Mapping[str, str]) -> bool:
    endpoint = environ.get(env.PHOENIX_COLLECTOR_ENDPOINT, "")
    local = "localhost" in endpoint or "127.0.0.1" in endpoint
    return local or bool(environ.get(env.PHOENIX_API_KEY))


# As in `ArizePhoenixTracer.setup_arize_phoenix`.
_SHARED = {
    "arize_phoenix": (
        _Vendor("arize", _arize_is_set, "ARIZE_API_KEY and ARIZE_SPACE_ID are set"),
        _Vendor(
            "phoenix",
            _phoenix_is_set,
            "PHOENIX_API_KEY is set, or PHOENIX_COLLECTOR_ENDPOINT is local",
        ),
    )
}


@dataclass(frozen=True)
class _LangfuseTrace:
    """What Langflow reads of its Langfuse tracer, for the trace of ours."""

    langfuse_trace_id: str
    ready: bool = False


def _langfuse_trace() -> _LangfuseTrace | None:
    flow = current_flow()
    context = flow.span.get_span_context() if flow is not None else None
    if context is None or not context.trace_flags.sampled:
        return None
    return _LangfuseTrace(format_trace_id(context.trace_id))
