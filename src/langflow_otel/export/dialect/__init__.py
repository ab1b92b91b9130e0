"""In which words a destination is told: OpenInference's, OpenTelemetry's GenAI conventions', both.

OpenInference is what the spans are made in. GenAI has fewer words: what it has a name for is
renamed, and all else stays.
"""

from collections.abc import Mapping
from typing import Any, get_args

from opentelemetry.sdk.trace import ReadableSpan

from langflow_otel import names as ours
from langflow_otel.export.dialect import names
from langflow_otel.export.dialect.genai import conversation, genai_attributes, tells_whole_input
from langflow_otel.export.messages import first_token_ns
from langflow_otel.export.translate import clone
from langflow_otel.plain import plain
from langflow_otel.settings import Dialect

DIALECTS: frozenset[str] = frozenset(get_args(Dialect))

__all__ = ["DIALECTS", "Dialect", "genai_attributes", "in_dialect", "span_in_dialect"]

# What GenAI has a name for on a span of any of its operations: attributes that begin like these.
_RENAMED = (
    "llm.model_name",
    "llm.request.model_name",
    "llm.response.model_name",
    "llm.provider",
    "llm.system",
    "llm.token_count.",
    "llm.invocation_parameters",
    "llm.finish_reason",
    "llm.input_messages",
    "llm.output_messages",
    "llm.prompts",
    "llm.tools",
    "agent.name",
    "tool.name",
    "tool.description",
    "tool.id",
    "embedding.model_name",
    "retrieval.documents",
)
_MESSAGES = ("llm.input_messages", "llm.output_messages")
# Where `input.value` and `output.value` went; they stay where they went nowhere.
_INPUT_CARRIERS = (names.INPUT_MESSAGES, names.RETRIEVAL_QUERY)
_OUTPUT_CARRIERS = (names.OUTPUT_MESSAGES, names.TOOL_CALL_RESULT, names.RETRIEVAL_DOCUMENTS)
# What follows the operation in a span's name, as the conventions want it.
_NAMED_AFTER = {
    names.CHAT: names.REQUEST_MODEL,
    names.TEXT_COMPLETION: names.REQUEST_MODEL,
    names.EMBEDDINGS: names.REQUEST_MODEL,
    names.EXECUTE_TOOL: names.TOOL_NAME,
    names.INVOKE_AGENT: names.AGENT_NAME,
    names.INVOKE_WORKFLOW: names.WORKFLOW_NAME,
}


def in_dialect(
    attributes: Mapping[str, Any], dialect: Dialect, *, messages_everywhere: bool = False
) -> dict[str, Any]:
    """Return the attributes of one span in `dialect`.

    Args:
        attributes: Those of OpenInference and others, with no more content than may be sent.
        dialect: Which words to use.
        messages_everywhere: Whether input and output are told as messages also where GenAI does
            not provide for it, for a backend that looks for them nowhere else.
    """
    if dialect == "openinference":
        return dict(attributes)
    told = genai_attributes(attributes)
    operation = told.get(names.OPERATION)
    if messages_everywhere and operation != names.EXECUTE_TOOL:
        told = {**conversation(attributes), **told}
    if dialect == "both":
        # What a span says in GenAI's words itself is not overruled.
        return {**told, **attributes}
    # A chain's messages are in its `input.value`, too.
    gone = (*_gone(attributes, told), *(_RENAMED if operation is not None else _MESSAGES))
    kept = {name: value for name, value in attributes.items() if not name.startswith(gone)}
    return {**told, **kept}


def _gone(attributes: Mapping[str, Any], told: Mapping[str, Any]) -> list[str]:
    gone = [ours.SPAN_KIND]
    carried = names.TOOL_CALL_ARGUMENTS in told or (
        any(name in told for name in _INPUT_CARRIERS) and tells_whole_input(attributes)
    )
    if carried:
        gone += [ours.INPUT_VALUE, ours.INPUT_MIME_TYPE]
    if any(name in told for name in _OUTPUT_CARRIERS):
        gone += [ours.OUTPUT_VALUE, ours.OUTPUT_MIME_TYPE]
    return gone


def span_in_dialect(
    span: ReadableSpan, dialect: Dialect, *, messages_everywhere: bool = False
) -> ReadableSpan:
    """Return `span` in `dialect`, with the time to the first token, which is an event, as well.

    Only in `genai` alone is a span named as the conventions want it (`chat gpt-4o`): whoever asks
    for that dialect has views that group by such names, while in the trees of LLM backends the
    names of components and classes say more.
    """
    if dialect == "openinference":
        return span
    told = in_dialect(plain(span.attributes), dialect, messages_everywhere=messages_everywhere)
    first = first_token_ns(span)
    if first is not None and span.start_time is not None and first >= span.start_time:
        told[names.REQUEST_STREAM] = True
        told[names.RESPONSE_TIME_TO_FIRST_CHUNK] = (first - span.start_time) / 1e9
    name = _conventional_name(told) if dialect == "genai" else None
    return clone(span, attributes=told, name=name or span.name)


def _conventional_name(told: Mapping[str, Any]) -> str | None:
    operation = told.get(names.OPERATION)
    followed_by = told.get(_NAMED_AFTER.get(str(operation), ""))
    return f"{operation} {followed_by}" if followed_by else None
