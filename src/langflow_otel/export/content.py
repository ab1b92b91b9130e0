"""What of a span's content a destination gets, and masked how."""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import Link, Status, StatusCode

from langflow_otel import names
from langflow_otel.capture.blobs import LONG, note_of_bytes, without_data_urls
from langflow_otel.capture.content import ALL_CONTENT, NO_CONTENT, Content
from langflow_otel.capture.masker import Masker
from langflow_otel.capture.names import SecretNames
from langflow_otel.capture.secrets import known_secrets
from langflow_otel.capture.shapes import MASK
from langflow_otel.export.mask import GuardedMask
from langflow_otel.export.translate import clone
from langflow_otel.plain import plain
from langflow_otel.selection import carried, is_ai_span, is_ours, restored
from langflow_otel.settings import Mask, Settings

Attributes = Mapping[str, Any]
# Characters of a text of another instrumentor: what is longer is cut before it is looked through.
_MAX_LENGTH = 256 * 1024
_SCALARS = frozenset((str, bool, int, float))
_SAFE_PREFIXES = tuple(name for name in names.SAFE if name.endswith("."))


class Shown(NamedTuple):
    """What is sent of a span."""

    name: str
    attributes: dict[str, Any]
    events: Sequence[Event]
    links: Sequence[Link]
    status: Status


class ContentPolicy:
    """Takes away the content that a destination must not have, and masks secrets in the rest.

    The spans of this package were masked before they got their attributes; here they are masked
    once more, by what has turned out to be a secret since. Those of others are masked here only.

    Args:
        content: Which kinds of content may be sent.
        names: What tells the names of secrets.
        mask: Called with every text of content; returns what may be sent instead.
    """

    def __init__(
        self, content: Content, names: SecretNames | None = None, mask: Mask | None = None
    ) -> None:
        """See the class."""
        self._content = content
        self._names = names or SecretNames()
        self._mask = GuardedMask(mask) if mask is not None else None
        self._resources: tuple[Resource | None, Resource] = (None, Resource({}))

    @classmethod
    def of(cls, settings: Settings, *, content: bool) -> "ContentPolicy":
        """Return what `settings` say, for a destination that may or may not have content."""
        wanted = settings.content if content else NO_CONTENT
        return cls(wanted, settings.names, settings.mask)

    def resource(self, resource: Resource) -> Resource:
        """Return `resource` without secrets: its attributes may name a command line."""
        last, shown = self._resources
        if resource is not last:
            masker = Masker(self._names)
            texts = {
                name: masker.json(value)
                for name, value in resource.attributes.items()
                if isinstance(value, str)
            }
            shown = Resource({**resource.attributes, **texts, **_command(resource)})
            self._resources = (resource, shown)
        return shown

    def begin_batch(self) -> None:
        """Say that another batch of spans begins."""
        if self._mask is not None:
            self._mask.begin_batch()

    def shown(self, span: ReadableSpan) -> Shown:
        """Return what is sent of `span`."""
        attributes = {
            name: value
            for name, value in plain(span.attributes).items()
            if not name.startswith(names.INTERNAL_PREFIXES)
        }
        context = span.get_span_context()
        secrets = known_secrets(context.trace_id) if context is not None else None
        ai, ours = is_ai_span(span), is_ours(span)
        if secrets is not None and secrets.overflowed and not ours:
            # A secret, or what a hidden tool answered, may stand in it and not be found.
            attributes[names.CONTENT_HIDDEN] = True
        content = NO_CONTENT if attributes.get(names.CONTENT_HIDDEN) else self._content
        masker = Masker(self._names, secrets)
        view = _View(content=content, masker=masker, mask=self._mask, ai=ai, ours=ours)
        status = span.status
        if status.status_code is StatusCode.ERROR:
            told = view.text(status.description or "") if content.exceptions else None
            kind = str(attributes.get(names.ERROR_TYPE, "error"))
            status = Status(StatusCode.ERROR, told or kind)
        return Shown(
            view.identifier(span.name),
            view.attributes(attributes),
            [
                Event(
                    view.identifier(event.name),
                    view.attributes(event.attributes or {}),
                    event.timestamp,
                )
                for event in span.events
            ],
            [Link(link.context, view.attributes(link.attributes or {})) for link in span.links],
            status,
        )


class _View:
    """How the texts of one span are shown."""

    def __init__(
        self, content: Content, masker: Masker, mask: Mask | None, *, ai: bool, ours: bool
    ) -> None:
        self._content = content
        self._masker = masker
        self._mask = mask
        self._ai = ai
        self._ours = ours
        # Ours were masked when they were captured, by all that is known. What else components set
        # on them, as bytes, is looked at.
        self._as_they_are = ours and mask is None and not masker.secrets

    def attributes(self, attributes: Attributes) -> dict[str, Any]:
        """Return what is sent of `attributes`."""
        kept = without_content(attributes, self._content, ai=self._ai)
        shown_as_it_is = _SCALARS if self._as_they_are else ()
        return {
            name: value if type(value) in shown_as_it_is else self._value(name, value)
            for name, value in kept.items()
        }

    def text(self, text: str) -> str:
        """Return a text of content as it is sent."""
        masked = self._masker.known(text) if self._ours else self._others(text)
        return masked if self._mask is None else self._mask(masked)

    def _others(self, text: str) -> str:
        if len(text) >= LONG and ";base64," in text:
            text, _ = without_data_urls(text, len(text))
        if len(text) > _MAX_LENGTH:
            return self._masker.cut(text, _MAX_LENGTH) + "… [cut]"
        return self._masker.json(text)

    def identifier(self, text: str) -> str:
        """Return a name, or an id, as it is sent."""
        return self._masker.known(text) if self._ours else self._masker.text(text)

    def _value(self, name: str, value: Any) -> Any:
        if isinstance(value, str):
            return self._string(name, value)
        if isinstance(value, bytes):
            return note_of_bytes(value)
        if isinstance(value, Mapping):
            return {key: self._value(f"{name}.{key}", item) for key, item in value.items()}
        if isinstance(value, Sequence):
            return [self._value(name, item) for item in value]
        return value

    def _string(self, name: str, value: str) -> str:
        if not self._ours:
            if self._masker.named(name.rpartition(".")[2], value) is not None:
                return MASK
            if name == names.URL_QUERY:
                value = self._masker.text(f"?{value}")[1:]
        return self.text(value) if self._is_content(name) else self.identifier(value)

    def _is_content(self, name: str) -> bool:
        if self._ai:
            return not _is_safe(name)
        return name.startswith((*names.CONTENT_PREFIXES, *names.ADDRESSES, names.URL_QUERY, "db."))


def without_content(attributes: Attributes, content: Content, *, ai: bool) -> dict[str, Any]:
    """Return those of `attributes` that carry no content but what `content` allows.

    `ai` says that they are of an AI span, of which only what is known to be harmless is kept
    where neither inputs nor outputs are allowed.
    """
    if content == ALL_CONTENT:
        return dict(attributes)
    unwanted = _unwanted(content)
    if content.inputs or content.outputs:
        return {name: value for name, value in attributes.items() if not name.startswith(unwanted)}
    told = frozenset(name for name in names.TOLD if not name.startswith(unwanted))
    if ai:
        return {n: value for n, value in attributes.items() if n in told or _is_safe(n)}
    return {
        name: _without_query(str(value)) if name in names.ADDRESSES else value
        for name, value in attributes.items()
        if name in told or not _is_content(name)
    }


@lru_cache(maxsize=4096)
def _is_safe(name: str) -> bool:
    return name in names.SAFE or name.startswith(_SAFE_PREFIXES)


@lru_cache(maxsize=4096)
def _is_content(name: str) -> bool:
    """Tell whether `name`, of another instrumentor's, stands for content."""
    return (
        name in names.CONTENT_NAMES
        or name == names.URL_QUERY
        or name.startswith(names.CONTENT_PREFIXES)
        or (name.startswith(names.AI_PREFIXES) and not _is_safe(name))
    )


def shed(span: ReadableSpan) -> ReadableSpan:
    """Return `span` without any content, marked as having had some; cheap, nothing is masked."""
    span = restored(span)
    ai = is_ai_span(span)
    attributes = span.attributes or {}
    internal = {n: v for n, v in attributes.items() if n.startswith(names.INTERNAL_PREFIXES)}
    status = span.status
    if status.description:
        status = Status(status.status_code, str(attributes.get(names.ERROR_TYPE, "error")))
    bare = clone(
        span,
        attributes={
            **without_content(attributes, NO_CONTENT, ai=ai),
            **internal,
            names.CONTENT_SHED: True,
        },
        events=[
            Event(e.name, without_content(e.attributes or {}, NO_CONTENT, ai=ai), e.timestamp)
            for e in span.events
        ],
        status=status,
    )
    return carried(span, bare)


@lru_cache(maxsize=64)
def _unwanted(content: Content) -> tuple[str, ...]:
    return tuple(
        prefix
        for wanted, prefixes in (
            (content.inputs, names.INPUT_PREFIXES),
            (content.outputs, names.OUTPUT_PREFIXES),
            (content.documents, names.DOCUMENT_PREFIXES),
            (content.tools, names.TOOL_PREFIXES),
            (content.logs, (names.LOG_MESSAGE, names.LOG_NAME)),
            (content.exceptions, (names.EXCEPTION_MESSAGE, names.EXCEPTION_STACKTRACE)),
        )
        if not wanted
        for prefix in prefixes
    )


def _command(resource: Resource) -> dict[str, str]:
    """Return the command line, of which anything may be a password, by its program only."""
    said = resource.attributes
    return {
        name: str(said.get("process.executable.name", MASK))
        for name in ("process.command_line", "process.command_args")
        if name in said
    }


def _without_query(address: str) -> str:
    return re.sub(r"//[^@/]*@", "//", re.split(r"[?#]", address, maxsplit=1)[0])
