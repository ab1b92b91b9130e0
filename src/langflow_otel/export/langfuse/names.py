"""The names Langfuse reads, and those we must not let it read.

Those under `langfuse.` are the constants of its SDK (`langfuse._client.attributes`, 3.15 and 5.0,
pinned by a test) and of its server (`packages/shared/src/server/otel/attributes.ts`, August 2026).
"""

from openinference.semconv.trace import OpenInferenceSpanKindValues as Kind

# -- the trace; on every span, since the server (from 4 on) keeps them in every row
TRACE_NAME = "langfuse.trace.name"
TRACE_TAGS = "langfuse.trace.tags"
TRACE_METADATA = "langfuse.trace.metadata"
TRACE_PUBLIC = "langfuse.trace.public"
# In the server only, where they go before the SDK's `session.id` and `user.id`.
SESSION_ID = "langfuse.session.id"
USER_ID = "langfuse.user.id"

# -- the observation
OBSERVATION = "langfuse.observation."
TYPE = f"{OBSERVATION}type"
METADATA = f"{OBSERVATION}metadata"
LEVEL = f"{OBSERVATION}level"
STATUS_MESSAGE = f"{OBSERVATION}status_message"
INPUT = f"{OBSERVATION}input"
OUTPUT = f"{OBSERVATION}output"
COMPLETION_START_TIME = f"{OBSERVATION}completion_start_time"
MODEL = f"{OBSERVATION}model.name"
MODEL_PARAMETERS = f"{OBSERVATION}model.parameters"
USAGE_DETAILS = f"{OBSERVATION}usage_details"
COST_DETAILS = f"{OBSERVATION}cost_details"
PROMPT_NAME = f"{OBSERVATION}prompt.name"
PROMPT_VERSION = f"{OBSERVATION}prompt.version"

# -- general
ENVIRONMENT = "langfuse.environment"
RELEASE = "langfuse.release"

# -- the types of observations; the server reads them in lower case only
SPAN = "span"
GENERATION = "generation"
EVENT = "event"
EMBEDDING = "embedding"
AGENT = "agent"
TOOL = "tool"
CHAIN = "chain"
RETRIEVER = "retriever"
GUARDRAIL = "guardrail"
EVALUATOR = "evaluator"
TYPES = frozenset(
    {
        SPAN,
        GENERATION,
        EVENT,
        EMBEDDING,
        AGENT,
        TOOL,
        CHAIN,
        RETRIEVER,
        GUARDRAIL,
        EVALUATOR,
    }
)
# Left out are UNKNOWN and DECISION, which are spans. By value: not every release has every kind.
TYPE_BY_KIND = {
    Kind.LLM.value: GENERATION,
    Kind.EMBEDDING.value: EMBEDDING,
    Kind.AGENT.value: AGENT,
    Kind.TOOL.value: TOOL,
    Kind.CHAIN.value: CHAIN,
    Kind.PROMPT.value: CHAIN,
    Kind.RETRIEVER.value: RETRIEVER,
    Kind.RERANKER.value: RETRIEVER,
    Kind.GUARDRAIL.value: GUARDRAIL,
    Kind.EVALUATOR.value: EVALUATOR,
}
# `gen_ai.operation.name`, of a span that has no kind.
TYPE_BY_OPERATION = {
    "chat": GENERATION,
    "completion": GENERATION,
    "text_completion": GENERATION,
    "generate_content": GENERATION,
    "embeddings": EMBEDDING,
    "invoke_agent": AGENT,
    "create_agent": AGENT,
    "execute_tool": TOOL,
    "retrieval": RETRIEVER,
}

LEVEL_ERROR = "ERROR"
LEVEL_WARNING = "WARNING"

# -- the buckets of tokens and costs, as Langfuse's price table names them
INPUT_TOKENS = "input"
OUTPUT_TOKENS = "output"
TOTAL_TOKENS = "total"
CACHE_READ = "input_cached_tokens"
CACHE_WRITE = "input_cache_creation"
INPUT_AUDIO = "input_audio_tokens"
OUTPUT_AUDIO = "output_audio_tokens"
REASONING = "output_reasoning_tokens"

# Read in attributes above, so they are not sent again: names that begin like these.
REPLACED = (
    "input.",
    "output.",
    "llm.",
    "retrieval.",
    "reranker.",
    "embedding.",
    "tool_call.",
    "graph.node.",
    "langflow.",
    "langfuse.",
    "langsmith.",
    "gen_ai.input.",
    "gen_ai.output.",
    "gen_ai.system_instructions",
    "gen_ai.prompt",
    "gen_ai.completion",
    "gen_ai.usage.",
    "gen_ai.tool.call.",
    "gen_ai.request.model",
    "gen_ai.response.model",
)
REPLACED_WHOLE = frozenset(
    {
        "session.id",
        "user.id",
        "tag.tags",
        "metadata",
        "gen_ai.conversation.id",
        "metadata.langflow.run",
    }
)
# Not content, and read by nothing above.
KEPT = frozenset({"llm.provider", "llm.system", "llm.finish_reason", "reranker.top_k"})
# What other vendors' SDKs set, and Langfuse's server takes for a name, a type, a model, an input or
# an output: as metadata they stay harmless.
HIJACKERS = frozenset(
    {
        "all_messages_events",
        "events",
        "final_result",
        "input",
        "logfire.msg",
        "model",
        "model_config",
        "output",
        "prompt",
        "reranker.model_name",
        "tool_arguments",
        "tool_response",
        "tools",
        "gen_ai.agent.name",
        "gen_ai.operation.name",
        "gen_ai.tool.name",
    }
)
HIJACKING = (
    "ai.",
    "flue.",
    "gcp.vertex.",
    "genkit:",
    "lk.",
    "mlflow.",
    "pydantic_ai.",
    "traceloop.entity.",
)
