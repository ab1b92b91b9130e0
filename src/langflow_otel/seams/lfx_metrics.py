"""Langflow's own metrics, since lfx 1.12: each model call is in one of the two, and ours go out."""

from collections.abc import Callable
from typing import Any

from langflow_otel import genai_metrics, names
from langflow_otel.context import current_component, current_flow, model_call
from langflow_otel.enrich import traces_langchain
from langflow_otel.guard import safely
from langflow_otel.meters import METER


def genai_metrics_of_lfx(
    wrapped: Callable[..., Any], handler: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Let lfx's handler record the calls that we don't, when one of them is over.

    It has `gen_ai.client.operation.duration` under the same name, with less said and with buckets
    that are not made for seconds. Its counter of errors is left as it is. There is one handler in a
    process, which may be older than we are.
    """
    safely(_leave_out_ours, handler)
    return wrapped(*args, **kwargs)


def export_of_lfx(
    wrapped: Callable[..., Any], _: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """Let lfx's own export over OTLP, which sends the scopes of its list only, send ours.

    Else the metric of model calls, which is left out of lfx's where we record it, would be gone.
    """
    return METER in {*args, *kwargs.values()} or wrapped(*args, **kwargs)


def _leave_out_ours(handler: Any) -> None:
    if not isinstance(handler._duration, _Rest):
        handler._duration = _Rest(handler._duration)


class _Rest:
    """A histogram of what is not recorded by `genai_metrics`."""

    def __init__(self, histogram: Any) -> None:
        self._histogram = histogram

    def record(self, *args: Any, **kwargs: Any) -> None:
        if not safely(_is_ours):
            self._histogram.record(*args, **kwargs)


def _is_ours() -> bool:
    """Tell whether the call that is over here has a span that is recorded, or is going to be."""
    flow, component = current_flow(), current_component()
    if flow is None or not flow.recording or not genai_metrics.is_recorded():
        return False
    if model_call(None) is not None and traces_langchain():
        return True
    # Another instrumentor tells of it, or the component's own span is that of its call.
    return component is not None and (
        component.model_was_called or component.component.kind == names.KIND_LLM
    )
