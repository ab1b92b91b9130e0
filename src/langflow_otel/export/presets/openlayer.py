"""Which of Openlayer's inference pipelines a flow belongs to.

The variables are those of Langflow's own tracer (langflow-base 1.13,
`langflow.services.tracing.openlayer`). The pipeline is named in a header of the request, so spans
of different pipelines go in different requests.
"""

import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import orjson
from opentelemetry.sdk.trace import ReadableSpan

from langflow_otel import names
from langflow_otel.export.sending import Answer, Sender
from langflow_otel.export.size import size_of
from langflow_otel.guard import warn_once

FOR_A_FLOW = "OPENLAYER_PIPELINE_"
MAPPING = "OPENLAYER_LANGFLOW_MAPPING"
DEFAULT = "OPENLAYER_INFERENCE_PIPELINE_ID"


class Pipelines:
    """Finds the pipeline of a flow: by its own variable, else the mapping, else the default.

    Args:
        environ: Where the variables are read.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        """See the class."""
        self._of_flows = {
            name.removeprefix(FOR_A_FLOW): value.strip()
            for name, value in environ.items()
            if name.startswith(FOR_A_FLOW) and value.strip()
        }
        self._mapping = _mapping(environ.get(MAPPING, ""))
        self._default = environ.get(DEFAULT, "").strip() or None
        # Asked for each span that ends.
        self._of = lru_cache(maxsize=256)(self._find)

    def __bool__(self) -> bool:
        """Tell whether any pipeline is known."""
        return bool(self._of_flows or self._mapping or self._default)

    def of(self, span: ReadableSpan) -> str | None:
        """Return the pipeline that `span` belongs to: its outermost flow's; None if there is none.

        Langflow cuts a flow's name at the first ` - `; the whole name is looked for first.
        """
        attributes = span.attributes or {}
        return self._of(
            str(attributes.get(names.TRACE_NAME) or attributes.get(names.FLOW_NAME) or "")
        )

    def _find(self, flow: str) -> str | None:
        for name in dict.fromkeys((flow, flow.partition(" - ")[0])):
            variable = re.sub(r"[^a-zA-Z0-9]+", "_", name).strip("_").upper()
            known = self._of_flows.get(variable) or self._mapping.get(name)
            if known:
                return known
        return self._default


class PipelineSender:
    """Sends to the pipeline that is set for the calling thread.

    Args:
        make: Makes what sends to a pipeline.
    """

    def __init__(self, make: Callable[[str], Sender]) -> None:
        """See the class."""
        self._make = make
        self._senders: dict[str, Sender] = {}
        self._here = threading.local()

    @contextmanager
    def to(self, pipeline: str) -> Iterator[None]:
        """Send to `pipeline` within the context."""
        self._here.pipeline = pipeline
        try:
            yield
        finally:
            del self._here.pipeline

    def send(self, items: Sequence[Any], timeout: float) -> Answer:
        """Make one attempt to send `items`."""
        pipeline = self._here.pipeline
        if pipeline not in self._senders:
            self._senders[pipeline] = self._make(pipeline)
        return self._senders[pipeline].send(items, timeout)

    def size(self, item: ReadableSpan) -> int:
        """Return about how many bytes `item` takes in a request."""
        return size_of(item)

    def hurry(self, seconds: float) -> None:
        """Let the attempt that is under way end in `seconds`."""
        for sender in list(self._senders.values()):
            sender.hurry(seconds)

    def renew(self) -> None:
        """Start anew in a forked process."""
        for sender in self._senders.values():
            sender.renew()

    def close(self) -> None:
        """Close all connections."""
        for sender in self._senders.values():
            sender.close()


def _mapping(text: str) -> dict[str, str]:
    if not text.strip():
        return {}
    try:
        read = orjson.loads(text)
    except orjson.JSONDecodeError:
        read = None
    if not isinstance(read, dict):
        warn_once(
            "langflow-otel: %s is not used: it is no JSON object of pipelines by flow",
            MAPPING,
        )
        return {}
    return {flow: str(pipeline) for flow, pipeline in read.items() if pipeline}
