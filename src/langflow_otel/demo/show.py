"""The demo from beginning to end."""

import asyncio
import os
import signal
import time
from collections.abc import Sequence
from contextlib import ExitStack
from types import ModuleType
from typing import TYPE_CHECKING, NoReturn

from opentelemetry.sdk.trace import TracerProvider
from rich.console import Console

from langflow_otel.demo import surroundings
from langflow_otel.demo.errors import DemoError
from langflow_otel.demo.phoenix import Phoenix
from langflow_otel.demo.report import Stages, trees
from langflow_otel.demo.spans import DemoSpan, Recorder
from langflow_otel.instrumentor import LangflowInstrumentor

if TYPE_CHECKING:
    from langflow_otel.demo.runs import Outcome

_ARRIVAL_SECONDS = 30.0
_POLL_SECONDS = 0.2


def show(console: Console, *, port: int | None, stay: bool, timeout: float) -> bool:
    """Run the demo; return whether Phoenix has all that it must have.

    Args:
        console: Where to show it.
        port: Where Phoenix listens; None for any port that is free.
        stay: Keep Phoenix running until Ctrl-C, rather than stop it at once.
        timeout: How many seconds Phoenix may take to come up.
    """
    surroundings.require_langflow()
    python = surroundings.phoenix_python()
    _catch_signals()
    with ExitStack() as stack:
        folder = stack.enter_context(surroundings.working_folder())
        phoenix = Phoenix(python, folder, port)
        stack.callback(phoenix.stop)
        stack.callback(signal.signal, signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C
        with Stages(console) as stages:
            with stages.stage(f"Starting Phoenix at {phoenix.endpoint}"):
                phoenix.start()
                surroundings.point_at_phoenix(os.environ, phoenix.endpoint, folder)
                with stages.stage("Loading Langflow"):
                    recorder = _instrument(stack)
                    runs = _load()
                phoenix.wait_until_ready(timeout)
            outcomes = _perform(runs, recorder, stages)
            LangflowInstrumentor().uninstrument()  # which sends what is still to be sent
            arrived = _wait(phoenix, outcomes, stages)
        good = _report(console, phoenix, outcomes, arrived)
        if stay:
            _stay(console, phoenix)
    return good


def _instrument(stack: ExitStack) -> Recorder:
    """Turn tracing on as a user does, and record on the side what is traced."""
    instrumentor = LangflowInstrumentor()
    instrumentor.instrument()
    stack.callback(_uninstrument, instrumentor)
    recorder = Recorder()
    provider = instrumentor.tracer_provider
    if not isinstance(provider, TracerProvider):
        raise DemoError("langflow-otel made no tracer provider; what it logged says why")
    provider.add_span_processor(recorder)
    return recorder


def _uninstrument(instrumentor: LangflowInstrumentor) -> None:
    if instrumentor.is_instrumented_by_opentelemetry:
        instrumentor.uninstrument()


def _load() -> ModuleType:
    try:
        from langflow_otel.demo import runs
    except ImportError as error:
        raise DemoError(f"Langflow cannot be loaded: {error}") from error
    return runs


def _perform(runs: ModuleType, recorder: Recorder, stages: Stages) -> "list[Outcome]":
    outcomes: list[Outcome] = []

    async def perform() -> None:
        for run in runs.RUNS:
            outcomes.append(await runs.perform(run, recorder))
            advance(len(outcomes))

    with stages.stage("Running flows", total=len(runs.RUNS)) as advance:
        asyncio.run(perform())
    return outcomes


def _wait(phoenix: Phoenix, outcomes: "Sequence[Outcome]", stages: Stages) -> list[DemoSpan]:
    """Wait until Phoenix has each span that was recorded, but not for ever."""
    wanted = {span.span_id for outcome in outcomes for span in outcome.recorded}
    deadline = time.monotonic() + _ARRIVAL_SECONDS
    with stages.stage("Spans in Phoenix", total=len(wanted)) as advance:
        while True:
            arrived = phoenix.spans(surroundings.PROJECT)
            has = len(wanted & {span.span_id for span in arrived})
            advance(has)
            if has == len(wanted) or time.monotonic() > deadline:
                return arrived
            phoenix.check()
            time.sleep(_POLL_SECONDS)


def _report(
    console: Console,
    phoenix: Phoenix,
    outcomes: "Sequence[Outcome]",
    arrived: Sequence[DemoSpan],
) -> bool:
    from langflow_otel.demo.check import problems

    for tree in trees(arrived):
        console.print()
        console.print(tree)
    console.print()
    sessions = phoenix.sessions(surroundings.PROJECT)
    found = problems(outcomes, arrived, sessions)
    if not found:
        console.print(
            f"[green]Phoenix has all {len(arrived)} spans: {len(outcomes)} flow runs, each one "
            f"trace, in {len(sessions)} sessions.[/]"
        )
    for line in found:
        console.print(f"MISSING OR WRONG  {line}", style="red", markup=False, soft_wrap=True)
    return not found


def _stay(console: Console, phoenix: Phoenix) -> None:
    project = phoenix.project_id(surroundings.PROJECT)
    address = f"{phoenix.endpoint}/projects/{project}" if project else phoenix.endpoint
    console.print(f"\nOpen  {address}", soft_wrap=True, highlight=False)
    console.print("Ctrl-C stops Phoenix and removes its data.")
    try:
        while True:
            phoenix.check()
            time.sleep(1)
    except KeyboardInterrupt:
        console.print("\nStopping Phoenix.")


def _catch_signals() -> None:
    """End on a signal as from an error: Phoenix is stopped, its folder removed."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), _terminated)


def _terminated(number: int, _: object) -> NoReturn:
    raise SystemExit(128 + number)
