"""What a program says of the runs it starts: session, user, tags and metadata."""

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import orjson
from opentelemetry import context as otel_context

from langflow_otel import context as run_context
from langflow_otel import names
from langflow_otel.attaching import attached
from langflow_otel.capture import Capture, SecretNames, label
from langflow_otel.guard import safely
from langflow_otel.variables import wrong

MAX_TAGS = 32
# What stands on each span of a run must be small.
_MAX_METADATA_BYTES = 4096
_capture = Capture(max_bytes=_MAX_METADATA_BYTES)


def mask_with(secret_names: SecretNames) -> None:
    """Let `secret_names` tell which of the metadata is masked."""
    global _capture  # noqa: PLW0603 - what is instrumented is instrumented for the process
    _capture = Capture(max_bytes=_MAX_METADATA_BYTES, names=secret_names)


@contextlib.contextmanager
def attributes(
    *,
    session_id: str | None = None,
    user_id: str | None = None,
    tags: Iterable[str] | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> Iterator[None]:
    """Say whose the runs inside are; on every span of theirs, those of models too.

    What is given goes before what Langflow says, and what is given inside of another `attributes`
    before that; tags and metadata are added to those outside. It stands where OpenInference's
    `using_attributes` sets the same. A value of a wrong type is named in a warning, once, and left
    out; nothing is ever raised for it.

    Args:
        session_id: The conversation.
        user_id: Whom the run is for.
        tags: At most 32, each of at most 200 characters.
        metadata: Names and values, at most 4 KB of JSON; secrets in it are masked.

    Example:
        >>> with attributes(session_id="s1", tags=["beta"], metadata={"tenant": "acme"}):
        ...     pass  # run a flow
    """
    with attached(safely(_context, session_id, user_id, tags, metadata)):
        yield


def _context(
    session_id: Any, user_id: Any, tags: Any, metadata: Any
) -> otel_context.Context | None:
    identity = {
        name: label(value)
        for name, argument, value in (
            (names.SESSION_ID, "session_id", session_id),
            (names.USER_ID, "user_id", user_id),
        )
        if value is not None and _is_a(str, argument, value, "a text") and value
    }
    told: dict[str, object] = dict(identity)
    shown = _tags(tags)
    if shown:
        told[names.TAGS] = shown
    if metadata is not None and _is_a(Mapping, "metadata", metadata, "a dict"):
        text = _capture.json({**_metadata_here(), **metadata}).text
        # Where nothing of it could be kept it is a note.
        if text.startswith("{"):
            told[names.METADATA] = text
    return run_context.giving(identity, told) if told else None


def _tags(tags: Any) -> list[str]:
    if tags is None or not _is_a(Iterable, "tags", tags, "a list of texts"):
        return []
    listed = [tags] if isinstance(tags, str | Mapping) else list(tags)
    good = [tag for tag in listed if isinstance(tag, str) and tag]
    odd = next((tag for tag in listed if not isinstance(tag, str)), None)
    if odd is not None:
        _say("tags", odd, "a list of texts", "the others")
    outside = otel_context.get_value(names.TAGS)
    known = outside if isinstance(outside, list | tuple) else ()
    both = list(dict.fromkeys(label(str(tag), 200) for tag in (*known, *good)))
    if len(both) > MAX_TAGS:
        wrong("attributes(tags=…)", f"{len(both)} tags", f"at most {MAX_TAGS}", "the first of them")
    return both[:MAX_TAGS]


def _metadata_here() -> dict[str, Any]:
    try:
        outside = orjson.loads(otel_context.get_value(names.METADATA) or "")  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return {}
    return outside if isinstance(outside, dict) else {}


def _is_a(kind: Any, argument: str, value: Any, wanted: str) -> bool:
    if isinstance(value, kind):
        return True
    _say(argument, value, wanted, "none")
    return False


def _say(argument: str, value: Any, wanted: str, used: str) -> None:
    wrong(f"attributes({argument}=…)", type(value).__name__, wanted, used)
