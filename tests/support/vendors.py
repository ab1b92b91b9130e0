"""The local stand-ins for the destinations, each with what selects it and what arrived there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.support.langfuse import LangfuseReceiver
from tests.support.langsmith import LangSmithReceiver
from tests.support.receiver import OtlpReceiver, Receiver


@dataclass(frozen=True)
class Vendor:
    """A destination that can be started here.

    Attributes:
        name: As in `OTEL_TRACES_EXPORTER`.
        start: Makes the receiver, which is a context manager.
        environment: The variables that send there.
        names: The names of the spans, or runs, that arrived.
    """

    name: str
    start: Callable[[], Any]
    environment: Callable[[Any], Mapping[str, str]]
    names: Callable[[Any], list[str]]

    def __str__(self) -> str:
        return self.name


def _span_names(receiver: OtlpReceiver) -> list[str]:
    return [span.name for span in receiver.spans]


def _run_names(receiver: LangSmithReceiver) -> list[str]:
    return [run.name for run in receiver.runs]


VENDORS: Mapping[str, Vendor] = {
    vendor.name: vendor
    for vendor in (
        Vendor(
            "otlp",
            OtlpReceiver,
            lambda receiver: {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint},
            _span_names,
        ),
        Vendor(
            "phoenix",
            OtlpReceiver,
            lambda receiver: {"PHOENIX_COLLECTOR_ENDPOINT": receiver.endpoint},
            _span_names,
        ),
        Vendor("langfuse", LangfuseReceiver, lambda receiver: receiver.environment, _span_names),
        Vendor("langsmith", LangSmithReceiver, lambda receiver: receiver.environment, _run_names),
    )
}

__all__ = ["VENDORS", "Receiver", "Vendor"]
