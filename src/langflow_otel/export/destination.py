"""What every destination does with a batch: select, re-root, translate, send, account."""

import atexit
import os
import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.trace import Link, SpanContext

from langflow_otel import names, run_metrics
from langflow_otel.export.account import Account, Room, Statistics
from langflow_otel.export.content import ContentPolicy
from langflow_otel.export.dialect.openinference import openinference_attributes
from langflow_otel.export.process import OwnProcess
from langflow_otel.export.resilient import ResilientSender
from langflow_otel.export.sending import Sender
from langflow_otel.export.translate import clone
from langflow_otel.export.turns import InTurns
from langflow_otel.guard import safely
from langflow_otel.plain import plain
from langflow_otel.selection import is_ai_span, is_foreign, is_repeated, restored
from langflow_otel.settings import Settings


class DestinationSpanExporter(SpanExporter):
    """A span exporter that sends to one backend what that is meant to have, in its own terms.

    Each is registered as an `opentelemetry_traces_exporter`, so that `OTEL_TRACES_EXPORTER` selects
    it by its name; with nothing but the environment it is complete.

    Args:
        name: The destination's name.
        sender: Makes one attempt to send.
        settings: How langflow-otel behaves.
        ai_only: Send AI spans only, and make them whole traces of their own (see `reroot`).
        content: Whether content is sent. Default: what `settings` say for this destination.
        credentials: The variables to look at where the backend refuses the credentials.
        max_items: The most items in one request.
        max_bytes: The most bytes in one request, about; a larger item goes alone.

    Attributes:
        account: What became of the spans.
    """

    #: Prefixes of those internal attributes that `translate` is given.
    keeps: ClassVar[tuple[str, ...]] = ()
    #: Whether it is given the metadata of the run apart from that of a call.
    separates_metadata: ClassVar[bool] = False

    _made: ClassVar["weakref.WeakSet[DestinationSpanExporter]"] = weakref.WeakSet()

    def __init__(
        self,
        name: str,
        sender: Sender,
        *,
        settings: Settings,
        ai_only: bool = True,
        content: bool | None = None,
        credentials: str = "",
        max_items: int = 512,
        max_bytes: int = 8 << 20,
    ) -> None:
        """See the class."""
        self.name = name
        self.account = Account(name)
        #: The room that a gate before this has, which notes what is accepted.
        self.room: Room | None = None
        if content is None:
            content = settings.sends_content(name, by_default=ai_only)
        self.sends_content = content
        self._ai_only = ai_only
        self._content = ContentPolicy.of(settings, content=content)
        self._own = OwnProcess()
        self._resilient = ResilientSender(
            sender,
            self.account,
            max_items=max_items,
            max_bytes=max_bytes,
            credentials=credentials,
            budget=settings.export_timeout,
        )
        self._shutdown_timeout = settings.shutdown_timeout
        self._lock = threading.Lock()
        self._made.add(self)
        # The SDK's processor waits up to 30 seconds at exit for each exporter that does not hurry.
        # Registered after the provider's own, and so called before it.
        self._at_exit = partial(_hurry_at_exit, weakref.ref(self))
        atexit.register(self._at_exit)

    @classmethod
    def made(cls, name: str) -> bool:
        """Tell whether there is an exporter for the destination `name` in this process."""
        return any(exporter.name == name for exporter in DestinationSpanExporter._made)

    @classmethod
    def all_made(cls) -> dict[str, "DestinationSpanExporter"]:
        """Return the exporters in this process by their names."""
        return {exporter.name: exporter for exporter in DestinationSpanExporter._made}

    def selects(self, span: ReadableSpan) -> bool:
        """Tell whether this destination is meant to have `span`."""
        return not self._ai_only or is_ai_span(span)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send those of `spans` that this destination is meant to have.

        SUCCESS means that the backend took every one. What became of each is in `account`.
        """
        with self._lock:
            started = time.monotonic()
            selected = [span for span in spans if self.selects(span)]
            if self.room is None:
                self.account.add("accepted", len(selected))
            self.account.add("in_flight", len(selected))
            self._content.begin_batch()
            items = [item for span in InTurns(selected) if (item := self._item(span)) is not None]
            taken = not items or bool(safely(self._resilient.deliver, items))
            whole = taken and len(items) == len(selected)
            self.account.add("in_flight", -len(selected))
            seconds = time.monotonic() - started
            self.account.took(seconds)
            safely(partial(run_metrics.record_export, self.name, seconds, whole=whole))
            self.account.tell()
        return SpanExportResult.SUCCESS if whole else SpanExportResult.FAILURE

    def statistics(self) -> Statistics:
        """Return what became of the spans so far."""
        told = replace(self.account.statistics(), circuit=self.circuit)
        if self.room is None:
            return told
        return replace(told, queue_capacity=self.room.items, queue_bytes_capacity=self.room.bytes)

    def hurry(self, seconds: float) -> None:
        """Give up after `seconds` what is not sent by then: the process is about to end."""
        self._resilient.hurry(seconds)

    def shutdown(self) -> None:
        """Close the connections."""
        self._made.discard(self)
        atexit.unregister(self._at_exit)
        self._resilient.close()
        self.account.tell(at_last=True)

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Return True: nothing is held back here."""
        return True

    def renew(self) -> None:
        """Start anew in a forked process: no other thread of it is there to let go of a lock."""
        self._lock = threading.Lock()
        self._resilient.renew()
        self.account.renew()

    def resource(self, resource: Resource) -> Resource:
        """Return the resource to send instead of `resource`."""
        return resource

    def translate(self, span: ReadableSpan) -> Any:
        """Return `span`, selected and with its content settled, in the backend's terms.

        Called in the exporting thread.
        """
        return span

    @property
    def circuit(self) -> str:
        """`closed`, `open` (nothing is tried for a while) or `half_open`."""
        return self._resilient.circuit

    def _item(self, span: ReadableSpan) -> Any:
        item = safely(self._translated, span)
        if item is None:
            self.account.drop("untranslatable")
        return item

    def _translated(self, span: ReadableSpan) -> Any:
        span = restored(span)
        shown = self._content.shown(span)
        attributes: Mapping[str, Any] = shown.attributes
        if self._ai_only and is_foreign(span):
            attributes = openinference_attributes(attributes)
        elif is_repeated(span):
            attributes = {**_uncounted(attributes), names.MODEL_REPEATED: True}
        internal = plain(span.attributes)
        kept = {n: v for n, v in internal.items() if self.keeps and n.startswith(self.keeps)}
        mark = internal.get(names.EXPORT_PARENT)
        parent, links = span.parent, list(shown.links)
        if self._ai_only:
            parent = reroot(span, mark)
            if span.parent is not None and parent is None:
                links.append(Link(span.parent))
        return self.translate(
            clone(
                span,
                name=shown.name,
                parent=parent,
                resource=self.resource(self._own.resource(self._content.resource(span.resource))),
                attributes={**self._sent(attributes), **kept},
                events=shown.events,
                links=links,
                status=shown.status,
            )
        )

    def _sent(self, attributes: Mapping[str, Any]) -> Mapping[str, Any]:
        if self.separates_metadata or names.RUN_METADATA not in attributes:
            return attributes
        return {name: value for name, value in attributes.items() if name != names.RUN_METADATA}


def _uncounted(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return `attributes` without tokens and costs: those of a call stand on one span only."""
    return {n: v for n, v in attributes.items() if not n.startswith(names.COUNTED_PREFIXES)}


def reroot(span: ReadableSpan, mark: Any) -> SpanContext | None:
    """Return the parent of `span` among the spans an LLM backend gets, None for a root.

    `mark` is what the enrich processor noted when the span started: nothing where the parent is
    an AI span itself, the id of the nearest AI span above, or "" where there is none.
    """
    if mark is None or span.parent is None:
        return span.parent
    if not mark:
        return None
    return SpanContext(
        trace_id=span.parent.trace_id,
        span_id=int(mark, 16),
        is_remote=False,
        trace_flags=span.parent.trace_flags,
        trace_state=span.parent.trace_state,
    )


def _hurry_at_exit(reference: "weakref.ref[DestinationSpanExporter]") -> None:
    exporter = reference()
    if exporter is not None:
        exporter.hurry(exporter._shutdown_timeout)


def _renew_all() -> None:
    for exporter in list(DestinationSpanExporter._made):
        exporter.renew()


# Also for those whose queue the SDK has made, which knows nothing of their locks.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)
