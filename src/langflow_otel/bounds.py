"""When spans are sent, and how much of anything there may be: the part of the settings for that."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from langflow_otel import environment as env
from langflow_otel.variables import is_on, whole_number

_QUEUE_BYTES = range(1 << 20, (1 << 40) + 1)
_QUEUE = range(1, 1_000_001)
_MILLISECONDS = range(1, 3_600_001)
_CARDINALITY = range(1, 100_001)


@dataclass(frozen=True)
class Bounds:
    """When spans are sent, and within which bounds.

    Attributes:
        queue_bytes: The most bytes of spans that wait for one destination.
        queue_size: The most spans that do.
        batch_size: The most spans that are taken out of the queue at a time.
        batch_delay: Seconds that spans wait for others at the most.
        export_timeout: Seconds that one batch may take with all its retries.
        shutdown_timeout: Seconds that sending what is left may take at the end of the process.
        grace_period: Seconds after which who stops a server kills it; None where nobody has said.
        background: Whether spans are sent in the background only; else the answer of a run waits.
        flush_timeout: Seconds that it waits at the most.
        flush_on_sigterm: Whether a SIGTERM that nobody handles sends what is left first.
        cardinality_limit: The most combinations of free values that one metric tells apart.
    """

    queue_bytes: int = 64 << 20
    queue_size: int = 8192
    # Encoding a batch of 512 spans holds the GIL for 8-10 ms; one of 64 does not.
    batch_size: int = 64
    batch_delay: float = 0.5
    export_timeout: float = 30.0
    shutdown_timeout: float = 5.0
    grace_period: float | None = None
    background: bool = True
    flush_timeout: float = 3.0
    flush_on_sigterm: bool = True
    cardinality_limit: int = 1000

    @property
    def bounds(self) -> str:
        """All of them, in a line for the log."""
        when = "in the background" if self.background else "before a run gives its answer"
        sigterm = "sends first" if self.flush_on_sigterm else "is left alone"
        grace = "not said" if self.grace_period is None else f"{self.grace_period:g} s"
        return (
            f"sends {when}; queue {self.queue_size} spans, {self.queue_bytes} bytes; batch "
            f"{self.batch_size} spans, {self.batch_delay:g} s; export {self.export_timeout:g} s; "
            f"flush {self.flush_timeout:g} s; shutdown {self.shutdown_timeout:g} s; SIGTERM "
            f"{sigterm}; grace period {grace}; metrics {self.cardinality_limit} combinations"
        )


def bounds_in(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return what `environ` says of them, by the name of the attribute."""

    def number(name: str, allowed: range, default: int) -> int:
        return whole_number(environ, name, allowed, default=default)

    def seconds(name: str, default: float) -> float:
        return number(name, _MILLISECONDS, int(default * 1000)) / 1000

    size = number("OTEL_BSP_MAX_QUEUE_SIZE", _QUEUE, Bounds.queue_size)
    batch = min(Bounds.batch_size, size)
    return {
        "queue_bytes": number(
            env.OTEL_PYTHON_LANGFLOW_QUEUE_MAX_BYTES, _QUEUE_BYTES, Bounds.queue_bytes
        ),
        "queue_size": size,
        "batch_size": number("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", range(1, size + 1), batch),
        "batch_delay": seconds("OTEL_BSP_SCHEDULE_DELAY", Bounds.batch_delay),
        "export_timeout": seconds("OTEL_BSP_EXPORT_TIMEOUT", Bounds.export_timeout),
        "shutdown_timeout": seconds(
            env.OTEL_PYTHON_LANGFLOW_SHUTDOWN_TIMEOUT, Bounds.shutdown_timeout
        ),
        "grace_period": seconds(env.OTEL_PYTHON_LANGFLOW_GRACE_PERIOD, 0.0) or None,
        "background": is_on(environ, env.LANGFLOW_TRACING_BACKGROUND, default=True),
        "flush_timeout": seconds(env.OTEL_PYTHON_LANGFLOW_FLUSH_TIMEOUT, Bounds.flush_timeout),
        "flush_on_sigterm": is_on(environ, env.OTEL_PYTHON_LANGFLOW_FLUSH_ON_SIGTERM, default=True),
        "cardinality_limit": number(
            env.OTEL_PYTHON_LANGFLOW_METRICS_CARDINALITY_LIMIT,
            _CARDINALITY,
            Bounds.cardinality_limit,
        ),
    }
