"""A small MCP server, instrumented as the conventions want it: run it as a script.

    python mcp_server.py ENDPOINT [PORT]

Over stdio, or with a port over streamable HTTP. A request's span hangs on what `params._meta`
carries and goes to the OTLP receiver at ENDPOINT, with what was in `_meta`, for the tests to see.
"""

from __future__ import annotations

import json
import sys

from mcp.server.fastmcp import Context, FastMCP
from opentelemetry import baggage, propagate
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor


def serve(endpoint: str, port: int | None) -> None:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(OTLPSpanExporter(f"{endpoint}/v1/traces")))
    tracer = provider.get_tracer("mcp_server")
    server = FastMCP("Sums", host="127.0.0.1", port=port or 0)

    def work(context: Context, name: str) -> None:
        meta = context.request_context.meta
        told = meta.model_dump(exclude_none=True) if meta is not None else {}
        above = propagate.extract({key: str(value) for key, value in told.items()})
        with tracer.start_as_current_span(f"tools/call {name}", context=above) as span:
            span.set_attribute("meta", json.dumps(told))
            span.set_attribute("baggage", json.dumps(dict(baggage.get_all(above))))

    @server.tool(description="Adds two numbers.")
    def add(a: int, b: int, context: Context) -> str:
        work(context, "add")
        return f"{a} + {b} = {a + b}"

    @server.tool(description="Has never worked.")
    def divide(a: int, context: Context) -> str:
        work(context, "divide")
        raise ValueError(f"{a} cannot be divided")

    server.run("streamable-http" if port else "stdio")


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else None)
