"""Whose a tracer provider is that was made elsewhere."""

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider


def usable_global_provider() -> TracerProvider | None:
    """Return the global provider, unless it is none that would export our spans."""
    provider = trace.get_tracer_provider()
    if isinstance(provider, TracerProvider) and not _is_langflows(provider):
        return provider
    return None


def _is_langflows(provider: TracerProvider) -> bool:
    """Tell whether `provider` is lfx's own (1.12+), which exports its own scopes only.

    The one place that reads a private name of the SDK; where it is gone the answer is no.
    """
    processor = getattr(provider, "_active_span_processor", None)
    return any(
        type(each).__name__ == "ApplicationOnlySpanProcessor"
        for each in getattr(processor, "_span_processors", ())
    )


def is_phoenix(provider: trace.TracerProvider) -> bool:
    """Tell whether `provider` was made by `phoenix.otel.register`."""
    return type(provider).__module__.partition(".")[0] == "phoenix"
