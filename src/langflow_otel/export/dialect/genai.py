"""OpenInference's attributes as those of OpenTelemetry's semantic conventions for GenAI.

Only what is there is translated: where a destination gets no content, there is none here either.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from openinference.semconv.trace import SpanAttributes

from langflow_otel import names as ours
from langflow_otel.export import messages as read
from langflow_otel.export.dialect import names, parts

Attributes = Mapping[str, Any]

_INPUT_MESSAGES = SpanAttributes.LLM_INPUT_MESSAGES
_OUTPUT_MESSAGES = SpanAttributes.LLM_OUTPUT_MESSAGES
# Of what has embedded something, and says with what, or what, an attribute begins like this.
_EMBEDDED = ("embedding.", ours.MODEL_NAME)
# What the inputs of a component call the question in them, where they are an object.
_QUESTIONS = ("search_query", "query", "search_input", "input_value", "input")


def genai_attributes(attributes: Attributes) -> dict[str, Any]:
    """Return what `attributes` of OpenInference, of one span, say in the words of GenAI.

    A span that the conventions have no operation for (a plain component, a prompt, a reranker)
    has little to say: `gen_ai.conversation.id`. `gen_ai.agent.id` is not told, as v0.1.0 wants it
    for agents in the same process.
    """
    operation = operation_of(attributes)
    told: dict[str, Any] = {}
    if operation is not None:
        told = {names.OPERATION: operation, **_TRANSLATIONS[operation](attributes)}
    told[names.CONVERSATION_ID] = attributes.get(ours.SESSION_ID)
    return {name: value for name, value in told.items() if value not in (None, "", [])}


def operation_of(attributes: Attributes) -> str | None:
    """Return the operation that a span of OpenInference's is; None where there is none for it."""
    if ours.FLOW_STATUS in attributes:
        return names.INVOKE_WORKFLOW
    kind = str(attributes.get(ours.SPAN_KIND, "")).upper()
    if kind == ours.KIND_LLM and _prompts(attributes):
        return names.TEXT_COMPLETION
    if kind == ours.KIND_EMBEDDING and not any(name.startswith(_EMBEDDED) for name in attributes):
        # A component that makes a model for others to embed with.
        return None
    return _OPERATIONS.get(kind)


def conversation(attributes: Attributes) -> dict[str, Any]:
    """Return what went in and out as messages, also where nobody spoke in messages."""
    spoken = parts.messages(read.chat_messages(attributes, _INPUT_MESSAGES))
    if not spoken:
        asked = _prompts(attributes) or [question(attributes)[0] or ""]
        spoken = [parts.said("user", text) for text in asked if text]
    answered = parts.messages(read.chat_messages(attributes, _OUTPUT_MESSAGES))
    answer = attributes.get(ours.OUTPUT_VALUE)
    if not answered and answer is not None:
        answered = [parts.said("assistant", str(answer))]
    return {
        name: parts.json_text(messages)
        for name, messages in ((names.INPUT_MESSAGES, spoken), (names.OUTPUT_MESSAGES, answered))
        if messages
    }


def question(attributes: Attributes) -> tuple[str | None, bool]:
    """Return the text in `input.value` that asks, and whether that is the whole of it.

    The inputs of a component are an object, in which one is the question. Where it is not known
    which, all of it is asked.
    """
    value = attributes.get(ours.INPUT_VALUE)
    inputs = read.io_value(attributes, "input")
    if isinstance(inputs, dict):
        asked = next((inputs[name] for name in _QUESTIONS if inputs.get(name)), None)
        # A message of Langflow's has its text and who said it.
        text = asked.get("text") if isinstance(asked, dict) else asked
        if isinstance(text, str) and text:
            return text, len(inputs) == 1 and text is asked
    return (str(value), True) if value is not None else (None, False)


def tells_whole_input(attributes: Attributes) -> bool:
    """Tell whether the messages of `conversation` leave nothing of `input.value` out."""
    return bool(read.numbered(attributes, _INPUT_MESSAGES)) or question(attributes)[1]


def _prompts(attributes: Attributes) -> list[str]:
    """Return the texts that a model was to complete, which are no messages."""
    listed = attributes.get(SpanAttributes.LLM_PROMPTS)
    if isinstance(listed, str):
        return [listed]
    if isinstance(listed, Sequence):
        return [str(text) for text in listed]
    numbered = read.numbered(attributes, SpanAttributes.LLM_PROMPTS)
    return [str(fields["prompt.text"]) for fields in numbered if "prompt.text" in fields]


def _model_call(attributes: Attributes) -> dict[str, Any]:
    parameters = read.invocation_parameters(attributes)
    definitions = [parts.tool_definition(tool) for tool in read.tool_definitions(attributes)]
    tools = [definition for definition in definitions if definition is not None]
    told_beside = parameters.get("system", parameters.get("instructions"))
    instructions = parts.instructions(told_beside)
    reason = attributes.get("llm.finish_reason")
    return {
        **models(attributes, parameters),
        **_parameters(parameters),
        **_tokens(attributes),
        **conversation(attributes),
        names.RESPONSE_FINISH_REASONS: [str(reason)] if reason else None,
        names.SYSTEM_INSTRUCTIONS: parts.json_text(instructions) if instructions else None,
        names.TOOL_DEFINITIONS: parts.json_text(tools) if tools else None,
    }


def _embedding(attributes: Attributes) -> dict[str, Any]:
    model = attributes.get(SpanAttributes.EMBEDDING_MODEL_NAME)
    told = models(attributes, {"model": model} if model else {})
    tokens = _tokens(attributes)
    return {**told, names.USAGE_INPUT_TOKENS: tokens.get(names.USAGE_INPUT_TOKENS)}


def _retrieval(attributes: Attributes) -> dict[str, Any]:
    found = [parts.document(document) for document in read.documents(attributes)]
    return {
        names.RETRIEVAL_QUERY: question(attributes)[0],
        names.RETRIEVAL_DOCUMENTS: parts.json_text(found) if found else None,
    }


def _tool_call(attributes: Attributes) -> dict[str, Any]:
    result, call_id = attributes.get(ours.OUTPUT_VALUE), attributes.get("tool.id")
    message = read.io_value(attributes, "output")
    # LangChain's message to the model, in which the tool's own result is.
    data = message.get("data") if isinstance(message, dict) and message.get("type") == "tool" else 0
    if isinstance(data, dict) and "content" in data:
        content = data["content"]
        result = content if isinstance(content, str) else parts.json_text(content)
        call_id = call_id or data.get("tool_call_id")
    return {
        names.TOOL_NAME: attributes.get(ours.TOOL_NAME),
        names.TOOL_TYPE: "function",
        names.TOOL_DESCRIPTION: attributes.get(ours.TOOL_DESCRIPTION),
        names.TOOL_CALL_ID: call_id,
        names.TOOL_CALL_ARGUMENTS: attributes.get(ours.INPUT_VALUE),
        names.TOOL_CALL_RESULT: result,
    }


def _agent(attributes: Attributes) -> dict[str, Any]:
    name = attributes.get(
        SpanAttributes.AGENT_NAME, attributes.get(ours.COMPONENT_DISPLAY_NAME)
    ) or attributes.get(ours.GRAPH_NODE_NAME)
    return {names.AGENT_NAME: name, **conversation(attributes)}


def _workflow(attributes: Attributes) -> dict[str, Any]:
    name = attributes.get(ours.FLOW_NAME)
    return {names.AGENT_NAME: name, names.WORKFLOW_NAME: name, **conversation(attributes)}


def models(attributes: Attributes, parameters: Attributes) -> dict[str, Any]:
    """Return who was asked and who answered: a name that was not asked for is the answering one."""
    known = attributes.get(ours.MODEL_NAME)
    asked = (
        attributes.get("llm.request.model_name")
        or next((parameters[key] for key in ("model", "model_name") if parameters.get(key)), None)
        or known
    )
    answered = attributes.get("llm.response.model_name") or (known if known != asked else None)
    told = attributes.get(ours.MODEL_PROVIDER) or attributes.get(SpanAttributes.LLM_SYSTEM) or ""
    provider = str(told).strip().lower()
    return {
        names.PROVIDER: names.PROVIDERS.get(provider, provider),
        names.REQUEST_MODEL: str(asked) if asked else None,
        names.RESPONSE_MODEL: str(answered) if answered else None,
    }


def _parameters(parameters: Attributes) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for name, keys, convert in _PARAMETERS:
        value = next((parameters[key] for key in keys if parameters.get(key) is not None), None)
        told[name] = None if value is None else convert(value)
    if told[names.REQUEST_CHOICE_COUNT] == 1:
        del told[names.REQUEST_CHOICE_COUNT]
    return told


def _tokens(attributes: Attributes) -> dict[str, Any]:
    usage = read.usage(attributes)
    if usage is None:
        return {}
    return {
        names.USAGE_INPUT_TOKENS: usage.input,
        names.USAGE_OUTPUT_TOKENS: usage.output,
        names.USAGE_CACHE_READ: usage.cache_read or None,
        names.USAGE_CACHE_CREATION: usage.cache_write or None,
        names.USAGE_REASONING: usage.reasoning or None,
    }


def _whole(value: Any) -> int | None:
    number = read.number(value)
    return int(number) if number is not None and number.is_integer() else None


def _texts(value: Any) -> list[str] | None:
    texts = value if isinstance(value, list) else [value]
    return [text for text in texts if isinstance(text, str)] or None


def _on(value: Any) -> bool | None:
    return True if value is True else None


# Of a model call's parameters: the name in the conventions, what makers of models call it, and what
# makes its value what the conventions want.
_PARAMETERS: tuple[tuple[str, tuple[str, ...], Callable[[Any], Any]], ...] = (
    (names.REQUEST_TEMPERATURE, ("temperature",), read.number),
    (names.REQUEST_TOP_P, ("top_p", "topP"), read.number),
    (names.REQUEST_TOP_K, ("top_k", "topK"), _whole),
    (
        names.REQUEST_MAX_TOKENS,
        ("max_tokens", "max_completion_tokens", "max_output_tokens", "maxTokens", "num_predict"),
        _whole,
    ),
    (names.REQUEST_FREQUENCY_PENALTY, ("frequency_penalty",), read.number),
    (names.REQUEST_PRESENCE_PENALTY, ("presence_penalty",), read.number),
    (names.REQUEST_SEED, ("seed", "random_seed"), _whole),
    (names.REQUEST_CHOICE_COUNT, ("n", "candidate_count"), _whole),
    (names.REQUEST_STOP_SEQUENCES, ("stop", "stop_sequences", "stopSequences"), _texts),
    (names.REQUEST_STREAM, ("stream", "streaming"), _on),
)
_OPERATIONS = {
    ours.KIND_LLM: names.CHAT,
    ours.KIND_EMBEDDING: names.EMBEDDINGS,
    ours.KIND_RETRIEVER: names.RETRIEVAL,
    ours.KIND_TOOL: names.EXECUTE_TOOL,
    ours.KIND_AGENT: names.INVOKE_AGENT,
}
_TRANSLATIONS: dict[str, Callable[[Attributes], dict[str, Any]]] = {
    names.CHAT: _model_call,
    names.TEXT_COMPLETION: _model_call,
    names.EMBEDDINGS: _embedding,
    names.RETRIEVAL: _retrieval,
    names.EXECUTE_TOOL: _tool_call,
    names.INVOKE_AGENT: _agent,
    names.INVOKE_WORKFLOW: _workflow,
}
