"""A run of the flow `flows.slow` that is stopped in the middle, by whatever that is."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPException

from tests.support.http import CallFailed
from tests.support.invariants import check
from tests.support.receiver import OtlpReceiver
from tests.support.spans import Span


def in_vain(call: Callable[[], object]) -> None:
    """Make a call that nobody may answer, and do not wait for it."""

    def calling() -> None:
        with suppress(OSError, HTTPException, CallFailed):
            call()

    threading.Thread(target=calling, daemon=True).start()


def in_the_middle(backend: OtlpReceiver, timeout: float = 120.0) -> None:
    """Return when the first component's span has come, and so the second one runs."""
    backend.wait_for(1, timeout)
    time.sleep(1)


def told_as_cancelled(spans: list[Span], runs: int = 1) -> None:
    """Assert that so many runs are told as cut off in their second component, and all else whole.

    Where it is Langflow itself that cancels them when it stops, nothing is left to be cut off.
    """
    assert sorted(span.name for span in spans) == sorted(["Slow", "Chat Input", "Wait"] * runs)
    for span in spans:
        kind = "flow" if span.name == "Slow" else "component"
        expected = "ok" if span.name == "Chat Input" else "cancelled"
        assert span.attributes[f"langflow.{kind}.status"] == expected
    check(spans, traces=runs)
