"""One span in the attributes that Langfuse reads, and in no others that it would mistake."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from openinference.semconv.trace import SpanAttributes
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import StatusCode

from langflow_otel import names as ours
from langflow_otel.export import events
from langflow_otel.export.langfuse import names
from langflow_otel.export.langfuse.content import shown
from langflow_otel.export.langfuse.values import (
    as_json,
    attribute,
    cost_details,
    identifier,
    moment,
    usage_details,
)
from langflow_otel.export.messages import (
    Attributes,
    costs,
    first_token_ns,
    invocation_parameters,
    parsed,
    usage,
)
from langflow_otel.export.translate import clone
from langflow_otel.plain import plain
from langflow_otel.selection import SCOPE

# Whose cost and usage Langfuse adds up.
_WITH_USAGE = frozenset({names.GENERATION, names.EMBEDDING})
_MODELS = (
    SpanAttributes.LLM_MODEL_NAME,
    SpanAttributes.EMBEDDING_MODEL_NAME,
    "gen_ai.response.model",
    "gen_ai.request.model",
)
_NO_PARAMETERS = frozenset({"model", "model_name", "messages", "tools", "functions"})
_STOPPED = frozenset({ours.STATUS_CANCELLED, ours.STATUS_PAUSED})
# Of each the first that is there; the last is what GenAI calls a session.
_IDENTIFIERS = (
    (names.SESSION_ID, (ours.SESSION_ID, "gen_ai.conversation.id")),
    (names.USER_ID, (ours.USER_ID,)),
)
_OF_RUN = (ours.FLOW_ID, ours.FLOW_NAME, ours.RUN_ID, ours.ENTRY_POINT, ours.VERSION)
_TRACE_METADATA, _METADATA = f"{names.TRACE_METADATA}.", f"{names.METADATA}."


@dataclass(frozen=True)
class Deployment:
    """What every span of this process carries; None is not told.

    Attributes:
        environment: Langfuse's word for `production`, `staging`, ...
        release: Of the application.
    """

    environment: str | None = None
    release: str | None = None


def langfuse_span(span: ReadableSpan, deployment: Deployment) -> ReadableSpan:
    """Return `span` as it is sent to Langfuse; its content is as much as it had.

    Langfuse does not keep events: what they say of logs and errors is among the metadata.
    """
    return clone(span, attributes=langfuse_attributes(span, deployment), events=())


def langfuse_attributes(span: ReadableSpan, deployment: Deployment) -> dict[str, Any]:
    """Return the attributes that say all of `span` that Langfuse has a place for."""
    said = plain(span.attributes)
    kind = _type(said)
    told = {
        target: attribute(value)
        for name, value in said.items()
        if (target := _sent_as(name)) is not None
    }
    told.update(_trace(span, said))
    told.update(_metadata(span, said))
    told[names.TYPE] = kind
    told[names.INPUT], told[names.OUTPUT] = shown(_kind(said), said)
    told.update(_status(span, said))
    told.update(_model(said, kind))
    told[names.ENVIRONMENT] = deployment.environment
    told[names.RELEASE] = deployment.release
    if kind == names.GENERATION:
        told.update(_linked_prompt(said))
        told[names.COMPLETION_START_TIME] = _first_token(span)
    return {name: value for name, value in told.items() if value is not None}


def _kind(said: Attributes) -> str:
    return str(said.get(ours.SPAN_KIND, "")).upper()


def _type(said: Attributes) -> str:
    kind = _kind(said)
    if kind:
        return names.TYPE_BY_KIND.get(kind, names.SPAN)
    return names.TYPE_BY_OPERATION.get(str(said.get(ours.GENAI_OPERATION)), names.SPAN)


@lru_cache(maxsize=4096)
def _sent_as(name: str) -> str | None:
    """Return under which name an attribute is sent as it is, None where it is read here instead.

    The server shows all of these as metadata.
    """
    if name in names.HIJACKERS or name.startswith(names.HIJACKING):
        return f"{_METADATA}{name}"
    if name.startswith("langflow."):
        return f"{_METADATA}{name}" if name != ours.TRACE_NAME else None
    if name in names.KEPT or name.startswith((_METADATA, _TRACE_METADATA)):
        return name
    replaced = name in names.REPLACED_WHOLE or name.startswith(names.REPLACED)
    return None if replaced else name


def _trace(span: ReadableSpan, said: Attributes) -> dict[str, Any]:
    """Return what is said of the whole trace; on each span, as the server keeps it in each row."""
    name = said.get(ours.TRACE_NAME) or (span.name if span.parent is None else None)
    told: dict[str, Any] = {names.TRACE_NAME: str(name)} if name else {}
    for target, sources in _IDENTIFIERS:
        value = next((said[source] for source in sources if said.get(source)), None)
        if value is not None:
            told[target] = identifier(str(value))
    tags = parsed(said.get(ours.TAGS))
    if tags and isinstance(tags, list | tuple):
        told[names.TRACE_TAGS] = list(dict.fromkeys(identifier(str(tag)) for tag in tags))
    if isinstance(said.get(names.TRACE_PUBLIC), bool):
        told[names.TRACE_PUBLIC] = said[names.TRACE_PUBLIC]
    if span.parent is None:
        # Those of a flow in the flow are not the trace's.
        told.update({f"{_TRACE_METADATA}{source}": said.get(source) for source in _OF_RUN})
    return told


def _metadata(span: ReadableSpan, said: Attributes) -> dict[str, Any]:
    """Return what is said of the span that Langfuse has no field for."""
    told: dict[str, Any] = {}
    given = parsed(said.get(ours.METADATA))
    if isinstance(given, dict):
        scope = span.instrumentation_scope
        # On model spans it is LangChain's, and of the call; on ours it was given for the run.
        prefix = _TRACE_METADATA if scope is not None and scope.name == SCOPE else _METADATA
        told.update({f"{prefix}{key}": attribute(value) for key, value in given.items()})
    run = parsed(said.get(ours.RUN_METADATA))
    if isinstance(run, dict):
        told.update({f"{_TRACE_METADATA}{key}": attribute(value) for key, value in run.items()})
    if span.events:
        approvals = _events(span, ours.APPROVAL_EVENT, events.APPROVAL)
        if approvals:
            told[f"{_METADATA}{ours.APPROVAL_EVENT}"] = as_json(approvals)
        logs = _events(span, ours.LOG_EVENT, events.LOG)
        if any("message" in line for line in logs):
            told[f"{_METADATA}{ours.LOG_EVENT}"] = as_json(logs)
        errors = _events(span, ours.EXCEPTION_EVENT, events.EXCEPTION)
        if errors:
            told[f"{_METADATA}{ours.EXCEPTION_EVENT}"] = as_json(errors[-1])
    return told


def _events(span: ReadableSpan, name: str, fields: Mapping[str, str]) -> list[dict[str, Any]]:
    return [events.said_in(event, fields) for event in span.events if event.name == name]


def _status(span: ReadableSpan, said: Attributes) -> dict[str, Any]:
    """Return level and message: Langfuse reads neither out of an exception's event."""
    if span.status.status_code is StatusCode.ERROR:
        message = span.status.description or _exception(span) or said.get(ours.ERROR_TYPE)
        return {names.LEVEL: names.LEVEL_ERROR, names.STATUS_MESSAGE: str(message or "error")}
    for name in (ours.FLOW_STATUS, ours.COMPONENT_STATUS):
        if said.get(name) in _STOPPED:
            return {names.LEVEL: names.LEVEL_WARNING, names.STATUS_MESSAGE: str(said[name])}
    return {}


def _exception(span: ReadableSpan) -> str:
    errors = _events(span, ours.EXCEPTION_EVENT, events.EXCEPTION)
    return str(errors[-1].get("message") or "") if errors else ""


def _first_token(span: ReadableSpan) -> str | None:
    first = first_token_ns(span)
    if first is None:
        return None
    return moment(min(max(first, span.start_time or first), span.end_time or first))


def _linked_prompt(said: Attributes) -> dict[str, Any]:
    """Return the prompt of Langfuse's that was used: without an int as version all is dropped."""
    name, version = said.get(names.PROMPT_NAME), said.get(names.PROMPT_VERSION)
    whole = isinstance(version, int) and not isinstance(version, bool)
    if not isinstance(name, str) or not whole:
        return {}
    return {names.PROMPT_NAME: name, names.PROMPT_VERSION: version}


def _model(said: Attributes, kind: str) -> dict[str, Any]:
    model = next((str(said[name]) for name in _MODELS if said.get(name)), None)
    counted = usage(said)
    tokens = as_json(usage_details(counted)) if counted is not None else None
    if kind not in _WITH_USAGE:
        # As its model, the server would count the tokens of input and output itself, and bill them.
        known = {f"{_METADATA}model": model, f"{_METADATA}usage": tokens}
        return {name: value for name, value in known.items() if value is not None}
    parameters = {
        name: value if isinstance(value, str | int | float) else as_json(value)
        for name, value in invocation_parameters(said).items()
        if value is not None and name not in _NO_PARAMETERS
    }
    details = cost_details(costs(said))
    return {
        names.MODEL: model,
        names.MODEL_PARAMETERS: as_json(parameters) if parameters else None,
        names.USAGE_DETAILS: tokens,
        names.COST_DETAILS: as_json(details) if details else None,
    }
