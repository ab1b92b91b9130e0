"""Turning langflow-otel on and off."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib.metadata
import logging
import subprocess
import sys
import threading
import weakref
from typing import Any

import pytest
import wrapt
from lfx.graph.graph.base import Graph
from opentelemetry.sdk.trace import TracerProvider
from wrapt import importer

from langflow_otel import LangflowInstrumentor
from langflow_otel.package import _instruments_any
from langflow_otel.seams.patches import Patches
from tests.conftest import Traced
from tests.support import flows
from tests.support.receiver import OtlpReceiver
from tests.support.tree import render

VENDORS = ("lfx", "langflow", "langchain_core", "phoenix", "langfuse", "langsmith", "openai")


def _python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    import os

    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=240,
    )


@pytest.mark.parametrize("then", ["", "; langflow_otel.LangflowInstrumentor().instrument()"])
def test_neither_langflow_nor_a_vendors_sdk_is_imported(then: str) -> None:
    code = (
        f"import sys, langflow_otel{then}\nprint(*sorted(m.partition('.')[0] for m in sys.modules))"
    )
    done = _python(code, OTEL_TRACES_EXPORTER="phoenix")
    assert done.returncode == 0, done.stderr
    assert {"opentelemetry", "langflow_otel"} <= set(done.stdout.split())
    assert set(VENDORS) & set(done.stdout.split()) == set()


@pytest.mark.parametrize("order", ["before", "after"])
def test_instrument_before_or_after_langflow_is_imported(
    receiver: OtlpReceiver, order: str
) -> None:
    instrument = (
        "from langflow_otel import LangflowInstrumentor; LangflowInstrumentor().instrument()"
    )
    imported = "from tests.support import flows; import lfx.load"
    lines = [instrument, imported] if order == "before" else [imported, instrument]
    run = "import asyncio; asyncio.run(flows.run_flow(flows.sync_method()))"
    done = _python("\n".join([*lines, run]), OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint)
    assert done.returncode == 0, done.stderr
    spans = receiver.wait_for(4)
    assert render(spans).splitlines()[0] == "CHAIN Sync method"
    assert len(spans) == 4


def _wrapped() -> list[str]:
    """Every function of Langflow that is wrapped by us."""
    found = []
    for module in [m for n, m in sys.modules.items() if n.split(".")[0] in {"lfx", "langflow"}]:
        for owner in [module, *(v for v in vars(module).values() if isinstance(v, type))]:
            for name, value in list(vars(owner).items()):
                wrapper = getattr(value, "_self_wrapper", None)
                if isinstance(value, wrapt.FunctionWrapper) and "langflow_otel" in str(
                    getattr(wrapper, "__module__", "")
                ):
                    found.append(f"{module.__name__}.{name}")
    return found


def test_uninstrument_leaves_nothing_wrapped(traced: Traced) -> None:
    import lfx.load.load  # noqa: F401

    assert "lfx.graph.graph.base.build_vertex" in _wrapped()
    LangflowInstrumentor().uninstrument()
    assert _wrapped() == []
    gc.collect()
    assert not isinstance(vars(Graph)["build_vertex"], wrapt.ObjectProxy)


def test_turned_on_and_off_again_and_again_it_leaves_nothing_behind() -> None:
    def once() -> weakref.ref[TracerProvider]:
        provider = TracerProvider(shutdown_on_exit=False)
        LangflowInstrumentor().instrument(tracer_provider=provider)
        LangflowInstrumentor().uninstrument()
        return weakref.ref(provider)

    def hooks() -> int:
        return sum(map(len, importer._post_import_hooks.values()))

    once()
    before = hooks()
    left = [once() for _ in range(3)]
    gc.collect()
    assert [each() for each in left] == [None, None, None]
    assert hooks() == before


def test_a_method_is_wrapped_once_also_by_two_threads() -> None:
    both_look = threading.Barrier(2)

    class Method:
        @property
        def __isabstractmethod__(self) -> bool:
            with contextlib.suppress(threading.BrokenBarrierError):
                both_look.wait(0.5)
            return False

        def __get__(self, *_: Any) -> Any:
            return lambda: "called"

    class Base:
        method = Method()

    class One(Base):
        pass

    class Other(Base):
        pass

    calls: list[str] = []

    def wrapper(wrapped: Any, _: Any, args: Any, kwargs: Any) -> Any:
        calls.append("wrapper")
        return wrapped(*args, **kwargs)

    patches = Patches()
    threads = [
        threading.Thread(target=patches.methods, args=(cls, {"method": wrapper}))
        for cls in (One, Other)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (One().method(), calls) == ("called", ["wrapper"])
    patches.remove()
    assert (One().method(), calls) == ("called", ["wrapper"])


def test_a_wrapper_put_on_top_of_ours_survives_and_ours_passes_on(traced: Traced) -> None:
    theirs = wrapt.FunctionWrapper(
        vars(Graph)["build_vertex"], lambda wrapped, _, args, kwargs: wrapped(*args, **kwargs)
    )
    wrapt.apply_patch(Graph, "build_vertex", theirs)
    try:
        LangflowInstrumentor().uninstrument()
        assert vars(Graph)["build_vertex"] is theirs
        assert asyncio.run(flows.run_flow(flows.sync_method())) == "hi (worker thread)"
        assert traced.receiver.spans == []
    finally:
        ours = theirs.__wrapped__
        wrapt.apply_patch(Graph, "build_vertex", ours.__wrapped__)


async def test_a_tool_that_is_still_about_is_traced_no_more(traced: Traced) -> None:
    from lfx.base.tools.component_tool import ComponentToolkit

    from langflow_otel.demo.components import WeatherComponent

    (tool,) = ComponentToolkit(component=WeatherComponent()).get_tools()
    await tool.ainvoke({"city": "Oslo"})
    LangflowInstrumentor().uninstrument()
    sent = len(traced.receiver.spans)
    assert "snow" in str(await tool.ainvoke({"city": "Oslo"}))
    assert sent > 0
    assert len(traced.receiver.spans) == sent


async def test_twice_is_harmless(traced: Traced) -> None:
    LangflowInstrumentor().instrument()
    await flows.run_flow(flows.sync_method())
    assert len(traced.spans()) == 4


async def test_again_after_uninstrument(traced: Traced) -> None:
    LangflowInstrumentor().uninstrument()
    await flows.run_flow(flows.sync_method())
    LangflowInstrumentor().instrument()
    await flows.run_flow(flows.sync_method())
    assert len(traced.spans()) == 4


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("OTEL_SDK_DISABLED", "true"),
        ("LANGFLOW_DEACTIVATE_TRACING", "true"),
        ("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "redis, langflow"),
        ("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", "*"),
    ],
)
async def test_a_variable_turns_it_off_completely(
    receiver: OtlpReceiver,
    environment: pytest.MonkeyPatch,
    said: Any,
    variable: str,
    value: str,
) -> None:
    environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint)
    environment.setenv(variable, value)
    LangflowInstrumentor().instrument()
    try:
        assert _wrapped() == []
        await flows.run_flow(flows.sync_method())
    finally:
        LangflowInstrumentor().uninstrument()
    assert receiver.spans == []
    assert said(logging.INFO) == [f"langflow-otel: off, because of {variable}"]


def test_a_seam_that_langflow_lacks_is_skipped(
    environment: pytest.MonkeyPatch, receiver: OtlpReceiver, said: Any
) -> None:
    environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint)
    environment.delattr(Graph, "start")
    LangflowInstrumentor().instrument()
    LangflowInstrumentor().uninstrument()
    assert "langflow-otel: this Langflow has no lfx.graph.graph.base.Graph.start" in said()


def test_the_extra_and_the_instrumentor_name_the_same_requirements() -> None:
    lines = importlib.metadata.requires("langflow-otel") or []
    extra = [line for line in lines if "instruments-any" in line]
    stated = {line.partition(";")[0].replace(" ", "") for line in extra}
    assert stated == {line.replace(" ", "") for line in _instruments_any}


def test_entry_points_are_what_opentelemetry_looks_for() -> None:
    found = {
        (point.group, point.name): point.load()
        for point in importlib.metadata.distribution("langflow-otel").entry_points
        # `langflow_prometheus` is another package's, which may not be there.
        if point.group != "console_scripts" and point.module.startswith("langflow_otel")
    }
    assert found["opentelemetry_instrumentor", "langflow"] is LangflowInstrumentor
    assert found["openinference_instrumentor", "langflow"] is LangflowInstrumentor
    assert ("opentelemetry_traces_exporter", "phoenix") in found
    assert ("opentelemetry_environment_variables", "langflow") in found
