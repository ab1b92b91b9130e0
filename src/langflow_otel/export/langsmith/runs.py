"""One finished span as one complete LangSmith run.

Shapes: LangSmith's run data format, its chat format for model calls (OpenAI's), `usage_metadata` as
in `langsmith.schemas.ExtractedUsageMetadata`, and the metadata that its pages read (`ls_*`,
`session_id`, `thread_id`).
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from openinference.semconv.trace import (
    EmbeddingAttributes,
    RerankerAttributes,
    SpanAttributes,
)
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import StatusCode, format_span_id, format_trace_id

from langflow_otel import names
from langflow_otel.export import events, messages
from langflow_otel.export.langsmith.model import model_of, usage_of
from langflow_otel.export.langsmith.stamp import iso, place_of
from langflow_otel.plain import plain

Attributes = Mapping[str, Any]
Run = dict[str, Any]

LLM, EMBEDDING, RETRIEVER, TOOL, PROMPT, CHAIN = (
    "llm",
    "embedding",
    "retriever",
    "tool",
    "prompt",
    "chain",
)
LOG, APPROVAL = "log", "approval"
USAGE = "usage_metadata"
_COUNTED = frozenset({LLM, EMBEDDING})
_RUN_TYPES: Mapping[str, str] = MappingProxyType(
    {
        names.KIND_LLM: LLM,
        names.KIND_TOOL: TOOL,
        names.KIND_RETRIEVER: RETRIEVER,
        names.KIND_RERANKER: RETRIEVER,
        names.KIND_EMBEDDING: EMBEDDING,
        names.KIND_PROMPT: PROMPT,
    }
)
# Attributes whose key is not their name: `langflow.loop.index` is `loop_index`.
_METADATA: Mapping[str, str] = MappingProxyType(
    {
        names.USER_ID: "user_id",
        names.RUN_ID: "flow_run_id",
        names.VERSION: "langflow_version",
        names.COMPONENT_DISPLAY_NAME: "component_name",
        names.ERROR_TYPE: "error_type",
    }
)
_OURS = "langflow."
# Read elsewhere, or for the exporters only.
_NO_METADATA = frozenset({names.TRACE_NAME, names.EXPORT_PARENT, names.AGENT_TYPE})
_EVENTS: Mapping[str, tuple[str, Mapping[str, str]]] = MappingProxyType(
    {names.LOG_EVENT: (LOG, events.LOG), names.APPROVAL_EVENT: (APPROVAL, events.APPROVAL)}
)
# What is asked of a human, and what he gives.
_DETAILS = frozenset({"prompt", "values"})
# What an exception is that stops a run and is no failure: a cancel, a pause.
_STOPS = frozenset({"CancelledError", "GeneratorExit", "GraphInterrupt", "NodeInterrupt"})


def run_of(span: ReadableSpan, project: str) -> Run | None:
    """Return the run that `span` is; None where the span has no valid ids.

    Args:
        span: A finished span, with no more content than LangSmith may have.
        project: The name of the project (a "session" in LangSmith's API).
    """
    place, context = place_of(span), span.get_span_context()
    if place is None or context is None:
        return None
    attributes = plain(span.attributes)
    kind = str(attributes.get(names.SPAN_KIND, ""))
    run_type = _RUN_TYPES.get(kind, CHAIN)
    outputs = _outputs(attributes, run_type)
    metadata = _metadata(attributes, run_type)
    metadata["otel_trace_id"] = format_trace_id(context.trace_id)
    metadata["otel_span_id"] = format_span_id(context.span_id)
    if kind == names.KIND_AGENT and names.COMPONENT_ID in attributes:
        metadata.setdefault("ls_agent_type", str(attributes.get(names.AGENT_TYPE, "root")))
    tokens = usage_of(attributes) if run_type in _COUNTED else None
    metadata.pop(USAGE, None)
    if tokens:
        (outputs or metadata)[USAGE] = tokens
    return {
        "id": place.run_id,
        "trace_id": place.trace_id,
        "parent_run_id": place.parent_id,
        "dotted_order": place.dotted_order,
        "session_name": project,
        "name": span.name or run_type,
        "run_type": run_type,
        "start_time": place.start,
        "end_time": max(place.start, iso(span.end_time or 0)),
        "inputs": _inputs(attributes, run_type),
        "outputs": outputs,
        "error": _error(span, attributes),
        "events": _events(span),
        "tags": _tags(attributes),
        "extra": {"metadata": metadata},
    }


def without_content(run: Run, *, inputs: bool, outputs: bool) -> Run:
    """Return `run` without its inputs, or outputs; its tokens, which are neither, stay."""
    if not (inputs or outputs):
        return run
    told = {**run, "events": [event for event in run["events"] if event["name"] != LOG]}
    if inputs:
        told["inputs"] = {}
        told["events"] = [_undetailed(event) for event in told["events"]]
    if outputs:
        told["outputs"] = {}
        tokens = run["outputs"].get(USAGE)
        if tokens:
            metadata = {**run["extra"]["metadata"], USAGE: tokens}
            told["extra"] = {**run["extra"], "metadata": metadata}
    return told


def _inputs(attributes: Attributes, run_type: str) -> dict[str, Any]:
    value = messages.io_value(attributes, "input")
    if run_type == LLM:
        told = messages.chat_messages(attributes, SpanAttributes.LLM_INPUT_MESSAGES)
        if told:
            tools = messages.tool_definitions(attributes)
            return {"messages": told, "tools": tools} if tools else {"messages": told}
    elif run_type == RETRIEVER:
        return _query(attributes, value)
    elif run_type == EMBEDDING and value is None:
        told = messages.numbered(attributes, SpanAttributes.EMBEDDING_EMBEDDINGS)
        texts = [one.get(EmbeddingAttributes.EMBEDDING_TEXT) for one in told]
        value = [text for text in texts if text is not None] or None
    elif run_type == PROMPT and value is None:
        value = messages.parsed(attributes.get(SpanAttributes.LLM_PROMPT_TEMPLATE_VARIABLES))
    return _object(value, "input")


def _query(attributes: Attributes, value: Any) -> dict[str, Any]:
    query = attributes.get(RerankerAttributes.RERANKER_QUERY)
    inputs = _object(value if query is None else str(query), "query")
    given = _documents(attributes, RerankerAttributes.RERANKER_INPUT_DOCUMENTS)
    return {**inputs, "documents": given} if given else inputs


def _outputs(attributes: Attributes, run_type: str) -> dict[str, Any]:
    if run_type == LLM:
        told = messages.chat_messages(attributes, SpanAttributes.LLM_OUTPUT_MESSAGES)
        if told:
            return {"choices": [{"message": message} for message in told]}
    elif run_type == RETRIEVER:
        for prefix in (names.RERANKED_DOCUMENTS, names.RETRIEVAL_DOCUMENTS):
            if found := _documents(attributes, prefix):
                return {"documents": found}
    value = messages.io_value(attributes, "output")
    if run_type == TOOL and value is not None:
        return {"output": _tool_output(value)}
    outputs = _object(value, "output")
    # There it would be counted, and once more than in the model call below.
    return {"output": outputs} if USAGE in outputs else outputs


def _tool_output(value: Any) -> Any:
    """Return what a tool gave; a message of LangChain's without what goes around it."""
    wrapped = isinstance(value, dict) and value.keys() == {"type", "data"}
    return value["data"] if wrapped else value


def _object(value: Any, key: str) -> dict[str, Any]:
    """Return `value` as a JSON object, which LangSmith demands; nothing is an empty one."""
    if value is None:
        return {}
    return value if isinstance(value, dict) else {key: value}


def _documents(attributes: Attributes, prefix: str) -> list[dict[str, Any]]:
    """Return documents as LangChain's, which LangSmith shows as such."""
    return [_document(told) for told in messages.documents(attributes, prefix)]


def _document(told: Mapping[str, Any]) -> dict[str, Any]:
    metadata = dict(told["metadata"])
    if "score" in told:
        metadata.setdefault("score", told["score"])
    document = {
        "type": "Document",
        "page_content": told.get("content", ""),
        "metadata": metadata,
    }
    return {**document, "id": told["id"]} if "id" in told else document


def _undetailed(event: dict[str, Any]) -> dict[str, Any]:
    kept = {k: v for k, v in event.get("kwargs", {}).items() if k not in _DETAILS}
    return {**event, "kwargs": kept} if event["name"] == APPROVAL else event


def _metadata(attributes: Attributes, run_type: str) -> dict[str, Any]:
    """Return the metadata: that of the run as told, and over it what LangSmith's pages read."""
    told = messages.parsed(attributes.get(SpanAttributes.METADATA))
    metadata = dict(_object(told, "metadata"))
    for name, value in attributes.items():
        key = _key_of(name)
        if key is not None:
            metadata[key] = list(value) if isinstance(value, tuple) else value
    session = attributes.get(names.SESSION_ID)
    if session is not None:
        # By any of the three LangSmith makes threads, so each is the same on every run of a trace.
        metadata.pop("conversation_id", None)
        metadata["session_id"] = metadata["thread_id"] = str(session)
    if run_type in _COUNTED:
        for key, value in model_of(attributes).items():
            if value is not None:
                metadata.setdefault(key, value)
    return metadata


@lru_cache(maxsize=4096)
def _key_of(name: str) -> str | None:
    """Return under which key of the metadata an attribute is told, None where it is not."""
    if name in _METADATA:
        return _METADATA[name]
    if not name.startswith(_OURS) or name in _NO_METADATA:
        return None
    return name.removeprefix(_OURS).replace(".", "_")


def _tags(attributes: Attributes) -> list[str]:
    told = messages.parsed(attributes.get(SpanAttributes.TAG_TAGS))
    if isinstance(told, str) or not isinstance(told, Iterable):
        return [] if told is None or told == "" else [str(told)]
    return list(dict.fromkeys(str(tag) for tag in told))


def _events(span: ReadableSpan) -> list[dict[str, Any]]:
    """Return the first token, which LangSmith tells the time to, logs, and what humans decided."""
    told: list[dict[str, Any]] = []
    first = messages.first_token_ns(span)
    if first is not None:
        told.append({"name": "new_token", "time": iso(first)})
    for event in span.events:
        if event.name in _EVENTS:
            name, fields = _EVENTS[event.name]
            said = events.said_in(event, fields)
            told.append({"name": name, "time": iso(event.timestamp), "kwargs": said})
    return sorted(told, key=lambda event: str(event["time"]))


def _error(span: ReadableSpan, attributes: Attributes) -> str | None:
    """Return what went wrong, the first line short; None for what was cancelled or paused."""
    if span.status.status_code is not StatusCode.ERROR:
        return None
    failures = [event for event in span.events if event.name == names.EXCEPTION_EVENT]
    told = failures[-1].attributes or {} if failures else {}
    kind = str(told.get(names.EXCEPTION_TYPE) or attributes.get(names.ERROR_TYPE) or "")
    if kind.rpartition(".")[2] in _STOPS:
        return None
    message = str(told.get(names.EXCEPTION_MESSAGE) or "")
    if not told:
        message = span.status.description or ""
    # Without an event the description is all there is, and may begin with the type.
    if kind and not message.startswith(kind.rpartition(".")[2]):
        message = _joined(": ", (kind, message))
    headline = message or "error"
    return _joined("\n\n", (headline, str(told.get(names.EXCEPTION_STACKTRACE) or "")))


def _joined(between: str, texts: Sequence[str]) -> str:
    return between.join(text for text in texts if text)
