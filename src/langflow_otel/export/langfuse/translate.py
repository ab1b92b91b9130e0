"""One span in the attributes that Langfuse reads, and in no others that it would mistake."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from openinference.semconv.trace import RerankerAttributes, SpanAttributes
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import StatusCode

from langflow_otel import attributes as ours
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
    first_token_ns,
    invocation_parameters,
    parsed,
    usage,
)
from langflow_otel.export.translate import clone

# Whose cost and usage Langfuse adds up.
_WITH_USAGE = frozenset({names.GENERATION, names.EMBEDDING})
_MODELS = (
    SpanAttributes.LLM_MODEL_NAME,
    SpanAttributes.EMBEDDING_MODEL_NAME,
    RerankerAttributes.RERANKER_MODEL_NAME,
    "gen_ai.response.model",
    "gen_ai.request.model",
)
_NO_PARAMETERS = frozenset({"model", "model_name", "messages", "tools", "functions"})
_STOPPED = frozenset({ours.STATUS_CANCELLED, ours.STATUS_PAUSED})
_OF_TRACE = frozenset({ours.FLOW_ID, ours.FLOW_NAME, ours.RUN_ID, ours.TRACE_NAME})
_DETAILS = frozenset({ours.TOOL_NAME, ours.TOOL_DESCRIPTION, ours.ERROR_TYPE})
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
    """Return `span` as it is sent to Langfuse; its content is as much as it had."""
    return clone(span, attributes=langfuse_attributes(span, deployment))


def langfuse_attributes(span: ReadableSpan, deployment: Deployment) -> dict[str, Any]:
    """Return the attributes that say all of `span` that Langfuse has a place for."""
    said = span.attributes or {}
    kind = _type(said)
    told = {
        **dict(_others(said)),
        **dict(_trace(span, said)),
        **dict(_metadata(said)),
        names.TYPE: kind,
        **_input_and_output(said),
        **_status(span, said),
        **_linked_prompt(said, kind),
        **_model(said, kind),
        names.ENVIRONMENT: deployment.environment,
        names.RELEASE: deployment.release,
    }
    first = first_token_ns(span) if kind == names.GENERATION else None
    if first is not None:
        within = min(max(first, span.start_time or first), span.end_time or first)
        told[names.COMPLETION_START_TIME] = moment(within)
    return {name: value for name, value in told.items() if value is not None}


def _type(said: Attributes) -> str:
    kind = str(said.get(ours.SPAN_KIND, "")).upper()
    if kind:
        return names.TYPE_BY_KIND.get(kind, names.SPAN)
    return names.TYPE_BY_OPERATION.get(str(said.get(ours.GENAI_OPERATION)), names.SPAN)


def _others(said: Attributes) -> Iterator[tuple[str, Any]]:
    """Yield what is sent as it is: the server shows it as metadata."""
    for name, value in said.items():
        if name in names.HIJACKERS or name.startswith(names.HIJACKING):
            yield f"{_METADATA}{name}", attribute(value)
        elif name in names.KEPT or not (
            name.startswith(names.REPLACED) or name in names.REPLACED_WHOLE
        ):
            yield name, attribute(value)


def _trace(span: ReadableSpan, said: Attributes) -> Iterator[tuple[str, Any]]:
    """Yield what is said of the whole trace; on each span, as the server keeps it in each row."""
    name = said.get(ours.TRACE_NAME) or (span.name if span.parent is None else None)
    yield names.TRACE_NAME, name
    for target, source in ((names.SESSION_ID, ours.SESSION_ID), (names.USER_ID, ours.USER_ID)):
        if said.get(source) not in (None, ""):
            yield target, identifier(str(said[source]))
    tags = parsed(said.get(ours.TAGS))
    if isinstance(tags, list | tuple):
        yield names.TRACE_TAGS, list(dict.fromkeys(identifier(str(tag)) for tag in tags)) or None
    for key, value in _given_metadata(said).items():
        yield f"{_TRACE_METADATA}{key}", attribute(value)
    for source in _OF_TRACE - {ours.TRACE_NAME}:
        yield f"{_TRACE_METADATA}{source}", said.get(source)
    if isinstance(said.get(names.TRACE_PUBLIC), bool):
        yield names.TRACE_PUBLIC, said[names.TRACE_PUBLIC]


def _given_metadata(said: Attributes) -> Mapping[str, Any]:
    told = parsed(said.get(ours.METADATA))
    return told if isinstance(told, dict) else {}


def _metadata(said: Attributes) -> Iterator[tuple[str, Any]]:
    """Yield what Langflow says of the span that Langfuse has no field for."""
    for name, value in said.items():
        langflows = name.startswith("langflow.") and name not in _OF_TRACE
        if langflows or name in _DETAILS:
            yield f"{_METADATA}{name}", attribute(value)


def _input_and_output(said: Attributes) -> dict[str, Any]:
    given, answered = shown(str(said.get(ours.SPAN_KIND, "")).upper(), said)
    return {names.INPUT: given, names.OUTPUT: answered}


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
    told = [event.attributes or {} for event in span.events if event.name == ours.EXCEPTION_EVENT]
    return str(told[-1].get(ours.EXCEPTION_MESSAGE) or "") if told else ""


def _linked_prompt(said: Attributes, kind: str) -> dict[str, Any]:
    """Return the prompt of Langfuse's that was used: without an int as version all is dropped."""
    name, version = said.get(names.PROMPT_NAME), said.get(names.PROMPT_VERSION)
    whole = isinstance(version, int) and not isinstance(version, bool)
    if kind != names.GENERATION or not isinstance(name, str) or not whole:
        return {}
    return {names.PROMPT_NAME: name, names.PROMPT_VERSION: version}


def _model(said: Attributes, kind: str) -> dict[str, Any]:
    model = next((said[name] for name in _MODELS if said.get(name)), None)
    told: dict[str, Any] = {names.MODEL: str(model) if model is not None else None}
    if kind not in _WITH_USAGE:
        return told
    parameters = {
        name: value if isinstance(value, str | int | float) else as_json(value)
        for name, value in invocation_parameters(said).items()
        if value is not None and name not in _NO_PARAMETERS
    }
    if parameters:
        told[names.MODEL_PARAMETERS] = as_json(parameters)
    counted = usage(said)
    if counted is not None:
        told[names.USAGE_DETAILS] = as_json(usage_details(counted))
        costs = cost_details(counted.costs)
        told[names.COST_DETAILS] = as_json(costs) if costs else None
    return told
