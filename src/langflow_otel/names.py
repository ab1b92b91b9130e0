"""Every attribute name this package sets, in one place. They are a public promise.

Names under `langflow.` are ours. The others are those of OpenInference's semantic conventions
(taken from `openinference.semconv`) and of OpenTelemetry's.
"""

from openinference.semconv.trace import (
    DocumentAttributes,
    EmbeddingAttributes,
    OpenInferenceSpanKindValues,
    RerankerAttributes,
    SpanAttributes,
)

# -- every span of ours
SPAN_KIND = SpanAttributes.OPENINFERENCE_SPAN_KIND
SESSION_ID = SpanAttributes.SESSION_ID
USER_ID = SpanAttributes.USER_ID
# Set by `openinference.instrumentation.using_attributes`, in the OTel context.
TAGS = SpanAttributes.TAG_TAGS
METADATA = SpanAttributes.METADATA
# The name of the outermost flow; this, and the flow's ids, stand on model spans, too.
TRACE_NAME = "langflow.trace.name"
INPUT_VALUE = SpanAttributes.INPUT_VALUE
INPUT_MIME_TYPE = SpanAttributes.INPUT_MIME_TYPE
INPUT_TRUNCATED = "langflow.input.truncated"
OUTPUT_VALUE = SpanAttributes.OUTPUT_VALUE
OUTPUT_MIME_TYPE = SpanAttributes.OUTPUT_MIME_TYPE
OUTPUT_TRUNCATED = "langflow.output.truncated"
# Characters a text had before it was cut; a number of no use where nothing was.
INPUT_LENGTH = "langflow.input.original_length"
OUTPUT_LENGTH = "langflow.output.original_length"
# The component, or one above, is one whose content is never captured.
CONTENT_HIDDEN = "langflow.content.hidden"
# The span's content was left out because the queue of a destination was nearly full.
CONTENT_SHED = "langflow.content.shed"
# The span was ended because its process was about to, not because what it tells of had.
CUT_OFF = "langflow.cut_off"

# -- the flow run
FLOW_ID = "langflow.flow.id"
FLOW_NAME = "langflow.flow.name"
FLOW_STATUS = "langflow.flow.status"
RUN_ID = "langflow.run.id"
ENTRY_POINT = "langflow.entry_point"
VERSION = "langflow.version"

# -- what the link from a run to another one means: it goes on with one that had paused
LINK_TYPE = "langflow.link.type"
LINK_RESUMES = "resumes"

# What the models that a flow called took, all in all: of no name that a backend adds up.
USAGE_INPUT_TOKENS = "langflow.usage.input_tokens"
USAGE_OUTPUT_TOKENS = "langflow.usage.output_tokens"
USAGE_TOTAL_TOKENS = "langflow.usage.total_tokens"
USAGE_CACHED_TOKENS = "langflow.usage.cached_tokens"
USAGE_REASONING_TOKENS = "langflow.usage.reasoning_tokens"
USAGE_MODEL_CALLS = "langflow.usage.model_calls"
USAGE_COST = "langflow.usage.cost"

# -- a component
COMPONENT_ID = "langflow.component.id"
COMPONENT_TYPE = "langflow.component.type"
COMPONENT_DISPLAY_NAME = "langflow.component.display_name"
COMPONENT_STATUS = "langflow.component.status"
# How much of it was read, where the component gave out a stream that was not read to its end.
STREAM_READ = "langflow.stream.read"
COMPONENT_CACHED = "langflow.component.cached"
COMPONENT_UPSTREAM = "langflow.component.upstream"
# Which run of the component in this run of the flow, from 0, where it may be several.
COMPONENT_RUN_INDEX = "langflow.component.run_index"
GRAPH_NODE_ID = SpanAttributes.GRAPH_NODE_ID
GRAPH_NODE_NAME = SpanAttributes.GRAPH_NODE_NAME
GRAPH_NODE_PARENT_ID = SpanAttributes.GRAPH_NODE_PARENT_ID

# -- what runs in an iteration of a loop: the innermost loop's, from 0, and those of all loops
#    around it, the outermost first, as `2/0`.
LOOP_INDEX = "langflow.loop.index"
LOOP_PATH = "langflow.loop.path"

# On a span of LangChain's that did not come to its end: STATUS_CANCELLED or STATUS_PAUSED.
STATUS = "langflow.status"
# The span tells of a model call of which another one tells already, which has its tokens.
MODEL_REPEATED = "langflow.model.repeated"

# -- a model call that nobody else traced
MODEL_NAME = SpanAttributes.LLM_MODEL_NAME
MODEL_PROVIDER = SpanAttributes.LLM_PROVIDER
INPUT_TOKENS = SpanAttributes.LLM_TOKEN_COUNT_PROMPT
OUTPUT_TOKENS = SpanAttributes.LLM_TOKEN_COUNT_COMPLETION
TOTAL_TOKENS = SpanAttributes.LLM_TOKEN_COUNT_TOTAL

# -- a component that found documents; these stand behind `retrieval.documents.0.` and so on
RETRIEVAL_DOCUMENTS = SpanAttributes.RETRIEVAL_DOCUMENTS
RERANKED_DOCUMENTS = RerankerAttributes.RERANKER_OUTPUT_DOCUMENTS
DOCUMENT_CONTENT = DocumentAttributes.DOCUMENT_CONTENT
DOCUMENT_METADATA = DocumentAttributes.DOCUMENT_METADATA
DOCUMENT_SCORE = DocumentAttributes.DOCUMENT_SCORE
DOCUMENT_ID = DocumentAttributes.DOCUMENT_ID

# -- an agent
AGENT_NAME = SpanAttributes.AGENT_NAME
# Whether the agent runs on its own or for another one; in LangSmith's words for `ls_agent_type`.
AGENT_TYPE = "langflow.agent.type"

# -- a call of an embedding model; the text and the vector stand behind `embedding.embeddings.0.`
EMBEDDING_MODEL = SpanAttributes.EMBEDDING_MODEL_NAME
EMBEDDINGS = SpanAttributes.EMBEDDING_EMBEDDINGS
EMBEDDING_TEXT = EmbeddingAttributes.EMBEDDING_TEXT
EMBEDDING_VECTOR = EmbeddingAttributes.EMBEDDING_VECTOR
EMBEDDING_COUNT = "langflow.embedding.count"
EMBEDDING_DIMENSIONS = "langflow.embedding.dimensions"

# -- a tool call
TOOL_ID = SpanAttributes.TOOL_ID
TOOL_NAME = SpanAttributes.TOOL_NAME
TOOL_DESCRIPTION = SpanAttributes.TOOL_DESCRIPTION
TOOL_PARAMETERS = SpanAttributes.TOOL_PARAMETERS

# -- a call of an MCP server's tool, by OpenTelemetry's semantic conventions for MCP
MCP_METHOD = "mcp.method.name"
MCP_PROTOCOL_VERSION = "mcp.protocol.version"
MCP_SESSION_ID = "mcp.session.id"
NETWORK_PROTOCOL = "network.protocol.name"
NETWORK_TRANSPORT = "network.transport"
SERVER_ADDRESS = "server.address"
SERVER_PORT = "server.port"
# What the server calls itself, for which they have no name; and the tool's name there, which an
# agent may know by another.
MCP_SERVER = "langflow.mcp.server.name"
MCP_TOOL = "langflow.mcp.tool.name"

# -- the events: what a component logged, and what went wrong
LOG_EVENT = "langflow.log"
# On a model's span: a streamed answer has begun.
FIRST_TOKEN = "langflow.first_token"  # noqa: S105 - of a model's
LOG_NAME = "langflow.log.name"
LOG_TYPE = "langflow.log.type"
LOG_MESSAGE = "langflow.log.message"
LOGS_DROPPED = "langflow.logs.dropped"
# On the flow: what a human decided while the run was paused.
APPROVAL_EVENT = "langflow.approval"
APPROVAL_KIND = "langflow.approval.kind"
APPROVAL_DECISION = "langflow.approval.decision"
APPROVAL_TOOLS = "langflow.approval.tools"
APPROVAL_PROMPT = "langflow.approval.prompt"
APPROVAL_VALUES = "langflow.approval.values"
EXCEPTION_EVENT = "exception"
EXCEPTION_TYPE = "exception.type"
EXCEPTION_MESSAGE = "exception.message"
EXCEPTION_STACKTRACE = "exception.stacktrace"
ERROR_TYPE = "error.type"

# -- how the exporters of LLM backends, which leave out HTTP, database and other spans, keep a
#    trace whole: the span id (16 hex digits) of the nearest ancestor they send, or "" for a root.
EXPORT_PARENT = "langflow.export.parent"
# What exporters are told by the enrich processor, and do not send: this, and a run's place in
# LangSmith's tree (see `export.langsmith.stamp`).
INTERNAL_PREFIXES = (EXPORT_PARENT, "langsmith.")
# So is this, but it is content: the metadata that was given for a run, without that of the call, on
# spans of another instrumentor's.
RUN_METADATA = "metadata.langflow.run"
# In the baggage, so that a flow that another Langflow calls over HTTP hangs on what called it:
# the trace id and the id of the innermost span of ours, as `<32 hex digits>-<16 hex digits>`.
BAGGAGE_PARENT = "langflow.parent"

KIND_CHAIN = OpenInferenceSpanKindValues.CHAIN.value
KIND_LLM = OpenInferenceSpanKindValues.LLM.value
KIND_AGENT = OpenInferenceSpanKindValues.AGENT.value
KIND_TOOL = OpenInferenceSpanKindValues.TOOL.value
KIND_RETRIEVER = OpenInferenceSpanKindValues.RETRIEVER.value
KIND_EMBEDDING = OpenInferenceSpanKindValues.EMBEDDING.value
KIND_RERANKER = OpenInferenceSpanKindValues.RERANKER.value
KIND_PROMPT = OpenInferenceSpanKindValues.PROMPT.value

STATUS_OK = "ok"
STATUS_ERROR = "error"
STATUS_PAUSED = "paused"
STATUS_CANCELLED = "cancelled"

# Where a destination must not see content, of an AI span (ours and OpenInference's) only this is
# left: these names, and all that begin with one that ends in a dot. Anything new is content until
# it is listed.
SAFE = (
    "langflow.flow.",
    "langflow.run.",
    "langflow.trace.",
    "langflow.usage.",
    STATUS,
    MODEL_REPEATED,
    "langflow.component.",
    "langflow.loop.",
    "langflow.link.",
    APPROVAL_KIND,
    APPROVAL_DECISION,
    APPROVAL_TOOLS,
    "langflow.agent.",
    "langflow.embedding.",
    "langflow.mcp.",
    "langflow.entry_point",
    "langflow.version",
    "langflow.logs.",
    LOG_TYPE,
    INPUT_MIME_TYPE,
    "langflow.content.",
    CUT_OFF,
    STREAM_READ,
    INPUT_TRUNCATED,
    INPUT_LENGTH,
    OUTPUT_MIME_TYPE,
    OUTPUT_TRUNCATED,
    OUTPUT_LENGTH,
    SPAN_KIND,
    SESSION_ID,
    USER_ID,
    "graph.node.",
    AGENT_NAME,
    EMBEDDING_MODEL,
    "llm.cost.",
    "llm.finish_reason",
    MODEL_NAME,
    MODEL_PROVIDER,
    "llm.request.model_name",
    "llm.response.model_name",
    "llm.system",
    "llm.token_count.",
    "reranker.model_name",
    "reranker.top_k",
    TOOL_NAME,
    TOOL_DESCRIPTION,
    TOOL_ID,
    MCP_METHOD,
    MCP_PROTOCOL_VERSION,
    MCP_SESSION_ID,
    NETWORK_PROTOCOL,
    NETWORK_TRANSPORT,
    SERVER_ADDRESS,
    SERVER_PORT,
    ERROR_TYPE,
    EXCEPTION_TYPE,
    "exception.escaped",
    "gen_ai.agent.id",
    "gen_ai.agent.name",
    "gen_ai.conversation.id",
    "gen_ai.operation.name",
    "gen_ai.provider.name",
    "gen_ai.request.model",
    "gen_ai.response.",
    "gen_ai.system",
    "gen_ai.tool.name",
    "gen_ai.tool.type",
    "gen_ai.usage.",
    "gen_ai.workflow.name",
    "llm.request.type",
    "llm.usage.",
    "traceloop.span.kind",
    "traceloop.workflow.name",
)
# What else tells of models and tools, in whosever span: of this, too, only what is safe is left.
AI_PREFIXES = (
    "gen_ai.",
    "langfuse.",
    "langsmith.",
    "llm.",
    "mcp.",
    "openinference.",
    "traceloop.",
)
# What other instrumentors call content, without more.
CONTENT_NAMES = frozenset(
    {
        "arguments",
        "body",
        "completion",
        "content",
        "db.query.text",
        "db.statement",
        "input",
        "inputs",
        "message",
        "output",
        "outputs",
        "prompt",
        "request_data",
        "result",
    }
)
# Of other instrumentors' spans this is taken away. An exception's text quotes content as well.
CONTENT_PREFIXES = (
    "input.",
    "output.",
    "llm.input_messages",
    "llm.output_messages",
    "llm.prompt",
    "llm.completion",
    "llm.request.functions",
    "llm.tools",
    "gen_ai.input",
    "gen_ai.output",
    "gen_ai.system_instructions",
    "gen_ai.prompt",
    "gen_ai.completion",
    "gen_ai.event.content",
    "gen_ai.retrieval.",
    "gen_ai.tool.call.",
    "gen_ai.tool.definitions",
    "traceloop.association.properties",
    "traceloop.entity.",
    "mcp.",
    "crewai.",
    "db.chroma.",
    "db.operation.parameter",
    "db.query.embeddings",
    "db.query.parameter",
    "db.query.result",
    "db.vector.",
    "tool_call.",
    "http.request.body",
    "http.response.body",
    EXCEPTION_MESSAGE,
    EXCEPTION_STACKTRACE,
)
# Where inputs, or outputs, alone are not wanted, of any span this is taken away.
INPUT_PREFIXES = (
    "input.value",
    APPROVAL_PROMPT,
    APPROVAL_VALUES,
    "llm.input_messages",
    "llm.prompt",
    "llm.invocation_parameters",
    "llm.tools",
    "llm.request.functions",
    "tool.parameters",
    "tool_call.",
    "embedding.embeddings",
    "embedding.text",
    "reranker.query",
    "reranker.input_documents",
    "gen_ai.input",
    "gen_ai.system_instructions",
    "gen_ai.prompt",
    "gen_ai.retrieval.query",
    "gen_ai.tool.call.arguments",
    "gen_ai.tool.definitions",
    "traceloop.entity.input",
    "mcp.request",
    "http.request.body",
)
OUTPUT_PREFIXES = (
    "output.value",
    "llm.output_messages",
    "llm.completion",
    "llm.choices",
    "llm.function_call",
    "retrieval.documents",
    "reranker.output_documents",
    "gen_ai.output",
    "gen_ai.completion",
    "gen_ai.retrieval.",
    "gen_ai.tool.call.result",
    "traceloop.entity.output",
    "mcp.response",
    "http.response.body",
)
DOCUMENT_PREFIXES = ("retrieval.documents", "gen_ai.retrieval.", "reranker.")
TOOL_PREFIXES = ("tool.parameters", "llm.tools", "llm.request.functions", "gen_ai.tool.definitions")
# Content that is neither what came in nor what came out.
TOLD = (LOG_NAME, LOG_MESSAGE, EXCEPTION_MESSAGE, EXCEPTION_STACKTRACE)
# Addresses, whose query and user information may hold a key.
ADDRESSES = ("http.url", "url.full", "http.target")
URL_QUERY = "url.query"

# What is counted, and must not be on a span that repeats another.
COUNTED_PREFIXES = ("llm.token_count.", "llm.cost.", "gen_ai.usage.", "llm.usage.")
# What a semantic convention calls a model call, so that one call is never counted twice.
GENAI_OPERATION = "gen_ai.operation.name"
GENAI_MODEL_OPERATIONS = frozenset({"chat", "completion", "text_completion", "generate_content"})
TRACELOOP_REQUEST_TYPE = "llm.request.type"
