"""What every test has: a clean environment, strictness, and a trace that can be read."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import importlib.util
import logging
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.context import Context, attach, detach, get_current
from opentelemetry.sdk.trace import TracerProvider

from langflow_otel import LangflowInstrumentor, context, guard
from langflow_otel.export.breaker import CircuitBreaker
from tests.support import loop_guard
from tests.support.phoenix import MISSING, Phoenix, interpreter
from tests.support.receiver import OtlpReceiver
from tests.support.spans import Span
from tests.support.versions import before

# Before anything imports Langflow: its database is not the user's.
_HOME = tempfile.mkdtemp(prefix="langflow-otel-tests-")
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)
os.environ["LANGFLOW_CONFIG_DIR"] = _HOME
os.environ["LANGFLOW_DATABASE_URL"] = f"sqlite:///{_HOME}/langflow.db"
# Servers that tests start tell here what has blocked their event loops.
_BLOCKED = Path(_HOME) / "blocked.txt"
os.environ[loop_guard.VARIABLE] = str(_BLOCKED)

# Hypothesis looks at every module that is imported; some that a bare lfx before 1.11 loads only
# when they are looked at import langflow then, which is not there.
collect_ignore = (
    ["test_planted_secrets.py"]
    if before("1.11") and importlib.util.find_spec("langflow") is None
    else []
)

_TRACING_VARIABLES = (
    "OTEL_",
    "LANGFLOW_DEACTIVATE_TRACING",
    "OPENINFERENCE_",
    # Every vendor's, which select destinations.
    "ARIZE_",
    "LANGCHAIN_",
    "LANGFUSE_",
    "LANGSMITH_",
    "LANGWATCH_",
    "OPENLAYER_",
    "OPIK_",
    "PHOENIX_",
    "TRACELOOP_",
)


STORES_MESSAGES = importlib.util.find_spec("langflow") is not None and before("1.12")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the files that start servers come first: what is short fills the time that is left."""

    def with_marker(name: str) -> set[Path]:
        return {item.path for item in items if item.get_closest_marker(name)}

    servers, slow = with_marker("server"), with_marker("slow") | with_marker("phoenix")
    items.sort(key=lambda item: (item.path not in servers, item.path not in slow))


@pytest.fixture(scope="session", autouse=True)
def nothing_blocks_a_loop_between_tests() -> Iterator[None]:
    """No code of ours has blocked a loop in a server that starts before a test, or stops after it.

    Of these nobody else is told: they serve several tests.
    """
    yield
    assert _blocked_in_servers() == ""


@pytest.fixture(scope="session", autouse=True)
def langflow_services() -> None:
    """Make the tables of a whole Langflow before 1.12, whose flows store messages in process."""
    if STORES_MESSAGES:
        from langflow.services.utils import initialize_services

        asyncio.run(initialize_services())


@pytest.fixture(autouse=True)
def nobody_remembers() -> Iterator[None]:
    """No chat goes on in the next test."""
    yield
    if STORES_MESSAGES:
        with contextlib.closing(sqlite3.connect(f"{_HOME}/langflow.db")) as messages, messages:
            messages.execute("DELETE FROM message")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Take away what the machine says about tracing."""
    for name in list(os.environ):
        if name.startswith(_TRACING_VARIABLES):
            monkeypatch.delenv(name)
    return monkeypatch


@pytest.fixture(autouse=True)
def strict(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let an error of our own fail the test; nothing has been said once yet."""
    monkeypatch.setattr(guard, "strict", True)
    monkeypatch.setattr(guard, "_seen", set())


@pytest.fixture(autouse=True)
def nothing_travels(monkeypatch: pytest.MonkeyPatch) -> None:
    """No exporter that was made before lets its attributes go out to what is called."""
    monkeypatch.setattr(context, "_travelling", {})
    monkeypatch.setattr(context, "_travelling_names", set())


@pytest.fixture(autouse=True)
def nothing_blocks_a_loop() -> Iterator[None]:
    """No code of ours has blocked an event loop, here or in a server."""
    before = _blocked_in_servers()
    with loop_guard.watching() as blocked:
        yield
    assert blocked == []
    assert _blocked_in_servers() == before


def _blocked_in_servers() -> str:
    return _BLOCKED.read_text() if _BLOCKED.exists() else ""


@pytest.fixture(autouse=True)
def no_detach_complaint(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """OpenTelemetry never complains that a context was detached where it was not attached."""
    yield
    complaints = [r.getMessage() for r in caplog.get_records("call") if "detach" in r.getMessage()]
    assert complaints == []


@pytest.fixture(autouse=True)
def no_context_left() -> Iterator[None]:
    """No test leaves a span or baggage current: all that comes after it would be in that trace."""
    token = attach(Context())
    try:
        yield
        left = get_current()
    finally:
        detach(token)
    assert left == {}


@pytest.fixture(scope="session")
def phoenix() -> Iterator[Phoenix]:
    """A real Phoenix, started once: each test has a project of its own."""
    if interpreter() is None:
        pytest.skip(MISSING)
    with Phoenix() as started:
        yield started


@pytest.fixture
def receiver() -> Iterator[OtlpReceiver]:
    with OtlpReceiver() as started:
        yield started


@pytest.fixture
def quick(environment: pytest.MonkeyPatch) -> None:
    """Retries and circuits in fractions of a second."""
    environment.setenv("OTEL_BSP_EXPORT_TIMEOUT", "1500")
    environment.setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
    environment.setattr(CircuitBreaker, "SHORTEST", 0.05)
    environment.setattr(CircuitBreaker, "LONGEST", 0.1)


class Traced:
    """Langflow, instrumented from the environment, and the spans that arrived at `receiver`."""

    def __init__(self, receiver: OtlpReceiver) -> None:
        self.receiver = receiver

    @property
    def provider(self) -> TracerProvider:
        provider = LangflowInstrumentor().tracer_provider
        assert isinstance(provider, TracerProvider)
        return provider

    def spans(self) -> list[Span]:
        """All that has been sent, after a flush."""
        assert self.provider.force_flush()
        assert self.receiver.rejected == []
        return self.receiver.spans

    def clear(self) -> None:
        self.spans()
        self.receiver.clear()


@pytest.fixture
def traced(receiver: OtlpReceiver, environment: pytest.MonkeyPatch) -> Iterator[Traced]:
    """Langflow, instrumented; every span goes to a local OTLP receiver, with its content."""
    environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint)
    environment.setenv("OTEL_PYTHON_LANGFLOW_CAPTURE_CONTENT", "true")
    environment.setenv("OTEL_PYTHON_LANGFLOW_DIALECT", "openinference")
    LangflowInstrumentor().instrument()
    try:
        yield Traced(receiver)
    finally:
        LangflowInstrumentor().uninstrument()


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Any:
    """What langflow-otel has logged, a line each; a call of `said()`."""
    caplog.set_level(logging.DEBUG, logger="langflow_otel")

    def lines(level: int = logging.DEBUG) -> list[str]:
        return [
            record.getMessage()
            for record in caplog.records
            if record.name == "langflow_otel" and record.levelno >= level
        ]

    return lines
