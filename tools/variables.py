"""Writes docs/variables.md: every variable, from the docstrings of `environment.py`.

    python tools/variables.py            writes the page
    python tools/variables.py --check    says whether it is as it would be written

Needs no package.
"""

from __future__ import annotations

import ast
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "langflow_otel" / "environment.py"
PAGE = ROOT / "docs" / "variables.md"

# Those of OpenTelemetry itself that are obeyed here; it documents them, too.
OPENTELEMETRY = {
    "OTEL_TRACES_EXPORTER": "The destinations, by name, comma-separated: `phoenix`, `langfuse`, "
    "`langsmith`, `arize`, `langwatch`, `opik`, `traceloop`, `openlayer`, `langflow_otlp`, one "
    "that another package registers (`otlp` and `console` are OpenTelemetry's), or `none`. "
    "Default: those whose variables are set.",
    "OTEL_EXPORTER_OTLP_ENDPOINT": "Where a plain OTLP backend is (`/v1/traces` is added). Setting "
    "it selects `otlp`. `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` is taken as it stands.",
    "OTEL_EXPORTER_OTLP_HEADERS": "Headers for it (also `OTEL_EXPORTER_OTLP_TRACES_HEADERS`): "
    "`name=value` pairs, comma-separated, values URL-encoded. No vendor's endpoint gets them.",
    "OTEL_EXPORTER_OTLP_PROTOCOL": "Its protocol (also `OTEL_EXPORTER_OTLP_TRACES_PROTOCOL`): "
    "`http/protobuf`, which is sent from here, or `grpc`, which is for OpenTelemetry's exporter.",
    "OTEL_EXPORTER_OTLP_TIMEOUT": "The most that one request to it may take, as OpenTelemetry's "
    "exporter reads it (seconds). The other `OTEL_EXPORTER_OTLP_*` are obeyed, too.",
    "OTEL_BSP_MAX_QUEUE_SIZE": "The most spans that wait for one destination, 1 to 1000000. "
    "Default: 8192, where OpenTelemetry's is 2048: two hundred flows at once end 4000 in seconds.",
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "The most spans that are sent at a time, 1 to "
    "OTEL_BSP_MAX_QUEUE_SIZE. Default: 64, where OpenTelemetry's is 512: encoding as many stalls "
    "the event loop.",
    "OTEL_BSP_SCHEDULE_DELAY": "The most milliseconds that spans wait for others, 1 to 3600000. "
    "Default: 500, where OpenTelemetry's is 5000.",
    "OTEL_BSP_EXPORT_TIMEOUT": "The most milliseconds that one batch may take with all its "
    "retries, 1 to 3600000. Default: 30000.",
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "The most attributes of a span (also "
    "`OTEL_ATTRIBUTE_COUNT_LIMIT`). Default: 10000, where OpenTelemetry's is 128: a chat's "
    "messages are attributes each. The other limits of spans are obeyed, too.",
    "OTEL_TRACES_SAMPLER": "Which traces are sampled, with `OTEL_TRACES_SAMPLER_ARG`. Default: all "
    "whose caller does not say otherwise.",
    "OTEL_SERVICE_NAME": "The service's name. Default: `langflow`; under "
    "`opentelemetry-instrument` OpenTelemetry's.",
    "OTEL_RESOURCE_ATTRIBUTES": "More attributes of the resource, `name=value`, comma-separated.",
    "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": "What is found out about the resource, as `process`.",
    "OTEL_PROPAGATORS": "In which headers the context travels. Default: `tracecontext,baggage`.",
    "OTEL_METRICS_EXPORTER": "Where metrics go under `opentelemetry-instrument`. Under "
    "`langflow-otel run`, unless it is set: to Langflow's own Prometheus endpoint "
    "(`langflow_prometheus`) where `LANGFLOW_PROMETHEUS_ENABLED` is true, else nowhere.",
    "OTEL_SDK_DISABLED": "`true` turns langflow-otel off, too.",
    "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS": "Instrumentors that stay off, comma-separated; with "
    "`langflow` or `*` in it langflow-otel does.",
}
SECTIONS = {
    "OTEL_PYTHON_LANGFLOW_": "langflow-otel's own",
    "OTEL_INSTRUMENTATION_": "langflow-otel's own",
    "LANGFLOW_OTEL_": "langflow-otel's own",
    "LANGFLOW_": "Langflow's",
}
VENDORS = "The vendors'"
HEAD = """\
# Variables

<!-- Written by tools/variables.py from src/langflow_otel/environment.py; do not edit. -->

Every environment variable that is obeyed. A wrong value is named in the log, once, with what is
allowed and what is used instead; what the modes and bounds are is logged at the start, at debug
level.
"""
ABOUT_VENDORS = (
    "Those of the destinations in [destinations.md](destinations.md), which lists the others: "
    "`ARIZE_*`, `LANGWATCH_*`, `OPIK_*`, `TRACELOOP_*`, `OPENLAYER_*`.\n"
)


def variables(source: str) -> Iterator[tuple[str, str]]:
    """Yields the names and what is said of them: each string that follows an assignment."""
    body = ast.parse(source).body
    for statement, docstring in itertools.pairwise(body):
        match statement, docstring:
            case (
                ast.Assign(value=ast.Constant(value=str(name))),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                yield name, " ".join(text.split())


def page(source: str) -> str:
    """Returns the whole page."""
    sections: dict[str, list[tuple[str, str]]] = {}
    for name, text in variables(source):
        section = next((s for prefix, s in SECTIONS.items() if name.startswith(prefix)), VENDORS)
        sections.setdefault(section, []).append((name, text))
    sections["OpenTelemetry's"] = list(OPENTELEMETRY.items())
    parts = [HEAD]
    for title, rows in sections.items():
        parts.append(f"## {title}\n")
        if title == VENDORS:
            parts.append(ABOUT_VENDORS)
        lines = [f"| `{name}` | {text.replace('|', chr(92) + '|')} |" for name, text in rows]
        parts.append("\n".join(["| variable | what it does |", "|---|---|", *lines]) + "\n")
    return "\n".join(parts)


def main(arguments: list[str]) -> int:
    """Writes the page, or checks it."""
    text = page(SOURCE.read_text())
    if "--check" in arguments:
        stale = not PAGE.exists() or PAGE.read_text() != text
        if stale:
            print(f"{PAGE.relative_to(ROOT)} is stale: python tools/variables.py writes it anew.")
        return int(stale)
    PAGE.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
