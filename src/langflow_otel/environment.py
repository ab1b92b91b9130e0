"""The environment variables of langflow-otel.

Registered as `opentelemetry_environment_variables`, so that each one that starts with `OTEL_`
is a flag of `opentelemetry-instrument` too (`--langflow_capture_content`).
"""

OTEL_PYTHON_LANGFLOW_CAPTURE_CONTENT = "OTEL_PYTHON_LANGFLOW_CAPTURE_CONTENT"
"""
Whether inputs, outputs, logs and error messages are captured: `true` (or `full`) or `false` (or
`none`).

Default: on when an LLM backend (Phoenix, Langfuse, ...) receives the spans, else off. When it is
not set, `OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT` is obeyed. Any other value means
`false`.
"""

OTEL_PYTHON_LANGFLOW_CAPTURE_INPUTS = "OTEL_PYTHON_LANGFLOW_CAPTURE_INPUTS"
"""
Whether inputs are captured where content is: `true` (default) or `false`.

This switch and the three below only ever take content away; any other value means `false`.
"""

OTEL_PYTHON_LANGFLOW_CAPTURE_OUTPUTS = "OTEL_PYTHON_LANGFLOW_CAPTURE_OUTPUTS"
"""Whether outputs are captured where content is: `true` (default) or `false`."""

OTEL_PYTHON_LANGFLOW_CAPTURE_LOGS = "OTEL_PYTHON_LANGFLOW_CAPTURE_LOGS"
"""Whether what components log is captured where content is: `true` (default) or `false`."""

OTEL_PYTHON_LANGFLOW_CAPTURE_EXCEPTIONS = "OTEL_PYTHON_LANGFLOW_CAPTURE_EXCEPTIONS"
"""
Whether messages and stack traces of errors are captured where content is: `true` (default) or
`false`. The type of an error is always told.
"""

OTEL_PYTHON_LANGFLOW_CAPTURE_VECTORS = "OTEL_PYTHON_LANGFLOW_CAPTURE_VECTORS"
"""
Whether the numbers in vectors and arrays are captured: `true`, or `false` (default), when a vector
is named by its length, an array by its shape and type.
"""

OTEL_PYTHON_LANGFLOW_HIDE_COMPONENTS = "OTEL_PYTHON_LANGFLOW_HIDE_COMPONENTS"
"""
Components whose content is never captured, nor that of model and tool calls below them: types
and ids, comma-separated (`APIRequest,Agent-x1Yz2`). `*` stands for any characters, `?` for one.
"""

OTEL_PYTHON_LANGFLOW_EXCLUDED_FLOWS = "OTEL_PYTHON_LANGFLOW_EXCLUDED_FLOWS"
"""
Flows that are not traced at all, nor is anything that runs in them: names and ids, comma-separated
(`Health check,internal *`). `*` stands for any characters, `?` for one.
"""

OTEL_PYTHON_LANGFLOW_EXCLUDED_COMPONENTS = "OTEL_PYTHON_LANGFLOW_EXCLUDED_COMPONENTS"
"""
Components that get no span: types and ids, comma-separated (`Prompt,Parser-x1Yz2`). `*` stands for
any characters, `?` for one. What is below one is traced, and hangs on what is above it.
"""

OTEL_PYTHON_LANGFLOW_MASK_KEYS = "OTEL_PYTHON_LANGFLOW_MASK_KEYS"
"""
More names whose values are masked, comma-separated (`iban,customer-number`). `customer-number`
stands for `customerNumber` and `CUSTOMER_NUMBER` too, and for longer names with it in them.
"""

OTEL_PYTHON_LANGFLOW_MAX_VALUE_BYTES = "OTEL_PYTHON_LANGFLOW_MAX_VALUE_BYTES"
"""
The most bytes of UTF-8 one captured value may have, 256 to 1048576. Default: 16384.

What is longer is cut, and the span says so (`langflow.input.truncated`).
"""

OTEL_PYTHON_LANGFLOW_INSTRUMENT_LANGCHAIN = "OTEL_PYTHON_LANGFLOW_INSTRUMENT_LANGCHAIN"
"""
Whether OpenInference's LangChain instrumentor, the source of model spans, is turned on too.

Default: when it is installed, and `langchain` is not in OTEL_PYTHON_DISABLED_INSTRUMENTATIONS.
`true` turns it on whatever that list says; `false` leaves it alone.
"""

# Followed by a destination's name in capitals; each has a constant of its own below.
OTEL_PYTHON_LANGFLOW_CONTENT_ = "OTEL_PYTHON_LANGFLOW_CONTENT_"

OTEL_PYTHON_LANGFLOW_CONTENT_PHOENIX = "OTEL_PYTHON_LANGFLOW_CONTENT_PHOENIX"
"""Whether Phoenix gets content: `full` (default) or `none`. Any other value means `none`."""

OTEL_PYTHON_LANGFLOW_CONTENT_LANGFUSE = "OTEL_PYTHON_LANGFLOW_CONTENT_LANGFUSE"
"""Whether Langfuse gets content: `full` (default) or `none`. Any other value means `none`."""

OTEL_PYTHON_LANGFLOW_CONTENT_LANGSMITH = "OTEL_PYTHON_LANGFLOW_CONTENT_LANGSMITH"
"""Whether LangSmith gets content: `full` (default) or `none`. Any other value means `none`."""

OTEL_PYTHON_LANGFLOW_CONTENT_ARIZE = "OTEL_PYTHON_LANGFLOW_CONTENT_ARIZE"
"""Whether Arize gets content: `full` (default) or `none`. Any other value means `none`."""

OTEL_PYTHON_LANGFLOW_CONTENT_LANGWATCH = "OTEL_PYTHON_LANGFLOW_CONTENT_LANGWATCH"
"""Whether LangWatch gets content: `full` (default) or `none`. Any other value means `none`."""

OTEL_PYTHON_LANGFLOW_CONTENT_OPIK = "OTEL_PYTHON_LANGFLOW_CONTENT_OPIK"
"""Whether Opik gets content: `full` (default) or `none`. Any other value means `none`."""

OTEL_PYTHON_LANGFLOW_CONTENT_TRACELOOP = "OTEL_PYTHON_LANGFLOW_CONTENT_TRACELOOP"
"""Whether Traceloop gets content: `full` (default) or `none`. Any other value means `none`."""

OTEL_PYTHON_LANGFLOW_CONTENT_OPENLAYER = "OTEL_PYTHON_LANGFLOW_CONTENT_OPENLAYER"
"""Whether Openlayer gets content: `full` (default) or `none`. Any other value means `none`."""

OTEL_PYTHON_LANGFLOW_CONTENT_OTLP = "OTEL_PYTHON_LANGFLOW_CONTENT_OTLP"
"""
Whether the plain OTLP endpoint gets content: `full` or `none` (default). Any other value means
`none`. OpenTelemetry's own `otlp` exporter does not obey this; `langflow_otlp` does.
"""

OTEL_PYTHON_LANGFLOW_DIALECT = "OTEL_PYTHON_LANGFLOW_DIALECT"
"""
In which attributes OTLP destinations get their spans: `openinference`, `genai` (OpenTelemetry's
GenAI semantic conventions) or `both`. Default: what the destination reads.
"""

OTEL_PYTHON_LANGFLOW_QUEUE_MAX_BYTES = "OTEL_PYTHON_LANGFLOW_QUEUE_MAX_BYTES"
"""
The most memory, in bytes, that the spans which wait for one destination take. Default: 67108864
(64 MiB).

A span without any content takes 3 to 5 KB. The most spans are `OTEL_BSP_MAX_QUEUE_SIZE` (8192).
What does not fit is counted and not sent.
"""

OTEL_PYTHON_LANGFLOW_SHUTDOWN_TIMEOUT = "OTEL_PYTHON_LANGFLOW_SHUTDOWN_TIMEOUT"
"""The most milliseconds that sending what is left may take at exit, 1 to 3600000. Default: 5000."""

OTEL_PYTHON_LANGFLOW_GRACE_PERIOD = "OTEL_PYTHON_LANGFLOW_GRACE_PERIOD"
"""
The milliseconds from the signal that stops a server to the one that kills it, 1 to 3600000: 10000
in Docker, 30000 in Kubernetes, unless you have set another time. Runs that are still under way
shortly before are cut off and sent. Default: under gunicorn its `graceful_timeout`; a uvicorn
alone waits for its runs, and those that are killed meanwhile are lost.
"""

OTEL_PYTHON_LANGFLOW_FLUSH_TIMEOUT = "OTEL_PYTHON_LANGFLOW_FLUSH_TIMEOUT"
"""
The most milliseconds that the answer of a flow run waits for its spans to be sent, where
`LANGFLOW_TRACING_BACKGROUND=false`, 1 to 3600000. Default: 3000.
"""

OTEL_PYTHON_LANGFLOW_FLUSH_ON_SIGTERM = "OTEL_PYTHON_LANGFLOW_FLUSH_ON_SIGTERM"
"""
Whether a SIGTERM that nobody handles, which would end the process at once, does so after sending
what is left: `true` (default) or `false`.
"""

OTEL_PYTHON_LANGFLOW_METRICS_CARDINALITY_LIMIT = "OTEL_PYTHON_LANGFLOW_METRICS_CARDINALITY_LIMIT"
"""
The most combinations of flow name, component type and the like that one metric tells apart, 1 to
100000. Default: 1000. What comes after them is told as `other`.
"""

OTEL_PYTHON_LANGFLOW_REPLACE_TRACERS = "OTEL_PYTHON_LANGFLOW_REPLACE_TRACERS"
"""
Whether Langflow's own tracer of a vendor is left out where langflow-otel sends to that vendor:
`true` (default) or `false`. The traces in Langflow itself are not affected.
"""

OTEL_PYTHON_LANGFLOW_PROPAGATE_EXCLUDED_HOSTS = "OTEL_PYTHON_LANGFLOW_PROPAGATE_EXCLUDED_HOSTS"
"""
Hosts to which langflow-otel sends no trace context, comma-separated: `api.openai.com`,
`*.example.com`, `10.0.0.7:8080`, `10.0.0.0/8`; `*` is every host. Default: none.

An instrumentor of an HTTP client, where there is one, has a list of its own
(`OTEL_PYTHON_HTTPX_EXCLUDED_URLS`).
"""

LANGFLOW_OTEL_DESTINATIONS = "LANGFLOW_OTEL_DESTINATIONS"
"""
Set by `langflow-otel run` for the process it starts, which sends to these destinations itself, and
where `OTEL_TRACES_EXPORTER` is `none`: OpenTelemetry makes no exporter. Not to be set by hand.
"""

# Not under its own name: a second package that lists it would break `opentelemetry-instrument`.
GENAI_CAPTURE_MESSAGE_CONTENT = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
"""
OpenTelemetry's own switch for message content: `NO_CONTENT`, `SPAN_ONLY`, `EVENT_ONLY`,
`SPAN_AND_EVENT` (or `true`, `false`). Content goes onto spans here, so `EVENT_ONLY` means none.
"""

LANGFLOW_TRACING_BACKGROUND = "LANGFLOW_TRACING_BACKGROUND"
"""
Whether spans are sent in the background only: `true` (default), when nothing in a run waits for
tracing; or `false`, when the answer of a flow run waits until its spans are sent, at most for
OTEL_PYTHON_LANGFLOW_FLUSH_TIMEOUT. For platforms that freeze a process after its answer.
"""

LANGFLOW_DEACTIVATE_TRACING = "LANGFLOW_DEACTIVATE_TRACING"
"""Langflow's own switch: `true` turns all tracing off, ours included."""

LANGFLOW_SERVING_TRACE_END_USER = "LANGFLOW_SERVING_TRACE_END_USER"
"""
Langflow's own switch (1.12+): `true` lets the end user that a gateway names be the trace's user.
"""

PHOENIX_COLLECTOR_ENDPOINT = "PHOENIX_COLLECTOR_ENDPOINT"
"""Where Phoenix is, as `http://host:6006`. Setting it selects the `phoenix` destination."""

PHOENIX_API_KEY = "PHOENIX_API_KEY"
"""The API key of Phoenix, sent as `Authorization: Bearer <key>`."""

PHOENIX_CLIENT_HEADERS = "PHOENIX_CLIENT_HEADERS"
"""More headers for Phoenix: `name=value` pairs, comma-separated, values URL-encoded."""

PHOENIX_PROJECT_NAME = "PHOENIX_PROJECT_NAME"
"""The project the traces go to in Phoenix. Default: the service's name, else `langflow`."""

LANGFUSE_PUBLIC_KEY = "LANGFUSE_PUBLIC_KEY"
"""Langfuse's public key. With the secret key and the address it selects `langfuse`."""

LANGFUSE_SECRET_KEY = "LANGFUSE_SECRET_KEY"  # noqa: S105 - the variable's name
"""Langfuse's secret key."""

LANGFUSE_BASE_URL = "LANGFUSE_BASE_URL"
"""Where Langfuse is. Default: `https://cloud.langfuse.com`, if `langfuse` is named."""

LANGFUSE_HOST = "LANGFUSE_HOST"
"""The older name of LANGFUSE_BASE_URL."""

LANGFUSE_OTEL_TRACES_EXPORT_PATH = "LANGFUSE_OTEL_TRACES_EXPORT_PATH"
"""The path that spans are posted to. Default: `/api/public/otel/v1/traces`."""

LANGFUSE_TRACING_ENABLED = "LANGFUSE_TRACING_ENABLED"
"""`false` sends nothing to Langfuse."""

LANGFUSE_SAMPLE_RATE = "LANGFUSE_SAMPLE_RATE"
"""The share of the traces that Langfuse gets, 0 to 1. Default: 1."""

LANGFUSE_TRACING_ENVIRONMENT = "LANGFUSE_TRACING_ENVIRONMENT"
"""Langfuse's environment. Default: the resource's `deployment.environment.name`."""

LANGFUSE_RELEASE = "LANGFUSE_RELEASE"
"""Langfuse's release."""

LANGSMITH_API_KEY = "LANGSMITH_API_KEY"
"""LangSmith's API key. With `LANGSMITH_TRACING=true` it selects `langsmith`."""

LANGCHAIN_API_KEY = "LANGCHAIN_API_KEY"
"""The older name of LANGSMITH_API_KEY, which Langflow reads: it selects `langsmith`."""

LANGSMITH_ENDPOINT = "LANGSMITH_ENDPOINT"
"""Where LangSmith's API is (also `LANGCHAIN_ENDPOINT`). Default: that of LangSmith in the US."""

LANGSMITH_PROJECT = "LANGSMITH_PROJECT"
"""
The project the runs go to (also `LANGCHAIN_PROJECT`, `LANGCHAIN_SESSION`). Default: `Langflow`.
"""

LANGSMITH_WORKSPACE_ID = "LANGSMITH_WORKSPACE_ID"
"""The workspace, for the key of an organisation that has several."""
