"""The collector, where it may come: wherever memory is asked for, also with a lock held."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator

from langflow_otel import LangflowInstrumentor


@contextlib.contextmanager
def collected_under_lock() -> Iterator[None]:
    """Collect what the block drops, while this thread holds the lock of a destination's account."""
    pipeline = LangflowInstrumentor()._pipeline
    assert pipeline is not None
    (exporter,) = pipeline.exporters.values()
    gc.collect()
    gc.disable()
    try:
        yield
        with exporter.account._lock:
            gc.collect()
    finally:
        gc.enable()
