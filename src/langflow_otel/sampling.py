"""Whether a sampler keeps or drops a trace as a whole."""

from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    ParentBased,
    ParentBasedTraceIdRatio,
    TraceIdRatioBased,
)
from opentelemetry.trace import TracerProvider

# How a `ParentBased` says what it does below a span that is not sampled; the last it says.
_DROPS_BELOW = "localParentNotSampled:AlwaysOffSampler}"


def decides_by_trace(provider: TracerProvider) -> bool:
    """Tell whether nothing below a span that `provider` does not sample is sampled.

    So it is with the samplers of `OTEL_TRACES_SAMPLER`. One of a user's own is asked each time.
    """
    sampler = getattr(provider, "sampler", None)
    if type(sampler) in {ParentBased, ParentBasedTraceIdRatio}:
        described: str = sampler.get_description()  # type: ignore[union-attr]
        return described.endswith(_DROPS_BELOW)
    return sampler is ALWAYS_ON or sampler is ALWAYS_OFF or type(sampler) is TraceIdRatioBased
