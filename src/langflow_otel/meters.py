"""The instruments of the global meter provider, made when there is one."""

from collections.abc import Callable
from typing import Generic, TypeVar

from opentelemetry import metrics
from opentelemetry.metrics import Meter, MeterProvider

from langflow_otel.version import __version__

#: The scope of all our metrics.
METER = "langflow_otel"

I = TypeVar("I")  # noqa: E741 - instruments


class Instruments(Generic[I]):
    """What records metrics; nothing is recorded, nor measured, where nobody collects them.

    Args:
        make: Makes the instruments with a meter.
    """

    def __init__(self, make: Callable[[Meter], I]) -> None:
        """See the class."""
        self._make = make
        self._made: tuple[MeterProvider, I | None] | None = None

    def get(self) -> I | None:
        """Return the instruments of the provider that is installed; None where none is."""
        provider = metrics.get_meter_provider()
        if self._made is not None and self._made[0] is provider:
            return self._made[1]
        # The API's own stand in for one that may be installed later, and record nothing.
        stands_in = type(provider).__module__.startswith("opentelemetry.metrics")
        made = None if stands_in else self._make(provider.get_meter(METER, __version__))
        self._made = (provider, made)
        return made
