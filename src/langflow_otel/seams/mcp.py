"""The MCP seam: a call of an MCP server's tool, and the trace context that goes with each request.

Sessions live in tasks of their own, whose context is that of whoever came first. So what goes to
the server is put into a request where that is made, not where it is written: into
`params._meta`, as the conventions want it whatever the transport is (SEP-414 of the Model Context
Protocol; "Context propagation" in OpenTelemetry's semantic conventions for MCP).
"""

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from opentelemetry.instrumentation.utils import is_instrumentation_enabled

from langflow_otel import names
from langflow_otel.capture import label
from langflow_otel.context import current_component, current_tool
from langflow_otel.guard import safely
from langflow_otel.hosts import UNKNOWN
from langflow_otel.seams.langflow import failure_of, text
from langflow_otel.seams.outgoing import BAGGAGE, PORTS
from langflow_otel.seams.patches import Arguments, Keywords, Wrapper
from langflow_otel.seams.tool import tool_call_here
from langflow_otel.spans import Failure, LangflowTracer, Tool, ToolSpan

#: Given a host and a port (None where there is none), what may be told of the context there.
Carrier = Callable[[str | None, int | None], dict[str, str]]

# What the conventions call the error of a result that says it is one.
_TOOL_ERROR = "tool_error"
_TOOLS_CALL = "tools/call"


@dataclass
class _Server:
    """What is known of the server at the other end of a session."""

    transport: str
    address: str | None = None
    port: int | None = None
    session_id: Callable[[], str | None] | None = None
    name: str | None = None
    protocol_version: str | None = None

    def attributes(self) -> dict[str, Any]:
        session_id = self.session_id() if self.session_id is not None else None
        return {
            names.NETWORK_TRANSPORT: self.transport,
            names.NETWORK_PROTOCOL: "http" if self.address is not None else None,
            names.SERVER_ADDRESS: self.address,
            names.SERVER_PORT: self.port,
            names.MCP_SESSION_ID: text(session_id),
            names.MCP_PROTOCOL_VERSION: self.protocol_version,
            names.MCP_SERVER: self.name,
        }


class McpSeam:
    """The wrappers around sessions with MCP servers, and around what they are connected by."""

    def __init__(self, tracer: LangflowTracer, carrier: Carrier) -> None:
        """Start spans with `tracer`; `carrier` decides what goes out."""
        self._tracer = tracer
        self._carrier = carrier
        self._by_stream: WeakKeyDictionary[Any, _Server] = WeakKeyDictionary()
        self._by_session: WeakKeyDictionary[Any, _Server] = WeakKeyDictionary()

    def rows(self) -> Iterator[tuple[str, str, Wrapper]]:
        """Yield module, function and wrapper of all that is wrapped."""
        session = "mcp.client.session"
        yield "mcp.client.stdio", "stdio_client", self.stdio
        yield "mcp.client.streamable_http", "streamablehttp_client", self.http
        yield "mcp.client.streamable_http", "streamable_http_client", self.http
        yield "mcp.client.sse", "sse_client", self.http
        yield session, "ClientSession.__init__", self.session
        yield session, "ClientSession.initialize", self.initialize
        yield session, "ClientSession.call_tool", self.call_tool
        yield "mcp.shared.session", "BaseSession.send_request", self.send_request

    def stdio(self, wrapped: Callable[..., Any], _: Any, args: Arguments, kwargs: Keywords) -> Any:
        """Remember that these streams lead to a process on this machine."""
        return self._connected(wrapped, lambda *_, **__: _Server("pipe"), args, kwargs)

    def http(self, wrapped: Callable[..., Any], _: Any, args: Arguments, kwargs: Keywords) -> Any:
        """Remember which host these streams lead to."""
        return self._connected(wrapped, _server_at, args, kwargs)

    def session(
        self, wrapped: Callable[..., Any], session: Any, args: Arguments, kwargs: Keywords
    ) -> Any:
        """Remember which server a session is with."""
        result = wrapped(*args, **kwargs)
        safely(self._note_session, session, *args[:1], *kwargs.values())
        return result

    async def initialize(
        self, wrapped: Callable[..., Any], session: Any, args: Arguments, kwargs: Keywords
    ) -> Any:
        """Remember what the server says of itself."""
        result = await wrapped(*args, **kwargs)
        safely(self._note_server, session, result)
        return result

    async def send_request(
        self, wrapped: Callable[..., Any], session: Any, args: Arguments, kwargs: Keywords
    ) -> Any:
        """Send the request with the context that is current where it is made."""
        request = args[0] if args else kwargs.get("request")
        changed = safely(self._with_context, session, request)
        if changed is None:
            return await wrapped(*args, **kwargs)
        if args:
            return await wrapped(changed, *args[1:], **kwargs)
        return await wrapped(**{**kwargs, "request": changed})

    async def call_tool(
        self, wrapped: Callable[..., Any], session: Any, args: Arguments, kwargs: Keywords
    ) -> Any:
        """Say on the span of the call which server it goes to, or make one where there is none."""
        span = safely(self._begin, session, args, kwargs)
        if span is None:
            return await wrapped(*args, **kwargs)
        try:
            result = await wrapped(*args, **kwargs)
        except BaseException as error:
            safely(_fail, span, error)
            raise
        else:
            safely(_finish, span, result)
            return result
        finally:
            if not span.remote:
                safely(span.end)

    @contextlib.asynccontextmanager
    async def _connected(
        self,
        wrapped: Callable[..., Any],
        describe: Callable[..., _Server],
        args: Arguments,
        kwargs: Keywords,
    ) -> AsyncIterator[Any]:
        async with wrapped(*args, **kwargs) as streams:
            safely(self._note_streams, describe, streams, args, kwargs)
            yield streams

    def _note_streams(
        self, describe: Callable[..., _Server], streams: Any, args: Arguments, kwargs: Keywords
    ) -> None:
        server = describe(*args, **kwargs)
        more = streams[2:]
        server.session_id = more[0] if more and callable(more[0]) else None
        self._by_stream[_innermost(streams[0])] = server

    def _note_session(self, session: Any, read_stream: Any, *_: Any) -> None:
        server = self._by_stream.get(_innermost(read_stream))
        if server is not None:
            self._by_session[session] = server

    def _note_server(self, session: Any, result: Any) -> None:
        server = self._by_session.get(session)
        if server is not None:
            server.name = text(getattr(getattr(result, "serverInfo", None), "name", None))
            server.protocol_version = text(getattr(result, "protocolVersion", None))

    def _with_context(self, session: Any, request: Any) -> Any:
        """Return a copy of `request` that carries the context; None where it is sent as it is."""
        if not is_instrumentation_enabled():
            return None
        server = self._by_session.get(session)
        # One that was connected to before we were there may be anywhere.
        where = (server.address, server.port) if server is not None else (UNKNOWN, None)
        told = self._carrier(*where)
        root = getattr(request, "root", None)
        if not told or root is None or not hasattr(root, "params"):
            return None
        changed = _request_with(root, told)
        return type(request)(changed) if changed is not None else None

    def _begin(self, session: Any, args: Arguments, kwargs: Keywords) -> ToolSpan | None:
        component = current_component()
        if not (self._tracer.active and is_instrumentation_enabled()) or component is None:
            return None
        call = tool_call_here()
        if call is not None and call.begun and call.span is None:
            # A tool of a component that gets no span; LangChain's tells of the call.
            return None
        name = label(str(args[0] if args else kwargs.get("name")))
        span = current_tool()
        if span is None or not span.remote:
            given = args[1] if len(args) > 1 else kwargs.get("arguments")
            told = Tool(name=name, component_id=component.component.id)
            span = self._tracer.tool(told, given or {})
            span.attach()
        server = self._by_session.get(session)
        known = {
            names.MCP_METHOD: _TOOLS_CALL,
            names.MCP_TOOL: name,
            **(server.attributes() if server is not None else {}),
        }
        span.span.set_attributes({n: value for n, value in known.items() if value is not None})
        return span


def _server_at(url: str, *_: Any, **__: Any) -> _Server:
    parts = urlsplit(url)
    return _Server("tcp", text(parts.hostname), parts.port or PORTS.get(parts.scheme))


def _innermost(stream: Any) -> Any:
    """Return the stream inside what another instrumentor may have put around it."""
    while (inner := getattr(stream, "__wrapped__", None)) is not None:
        stream = inner
    return stream


def _request_with(root: Any, told: dict[str, str]) -> Any:
    """Return a copy of a request with `told` in `params._meta`; what is there already stands."""
    if root.params is None:
        return type(root).model_validate({"method": root.method, "params": {"_meta": told}})
    meta = getattr(root.params, "meta", None)
    there = meta.model_dump(exclude_none=True) if meta is not None else {}
    if told.keys() & there.keys() - {BAGGAGE}:
        return None
    made = type(root.params).Meta(**{**told, **there})
    params = root.params.model_copy(update={"meta": made})
    return root.model_copy(update={"params": params})


def _fail(span: ToolSpan, error: BaseException) -> None:
    if span.remote:
        # Langflow connects anew and calls again; if it gives up, the tool fails.
        return
    failure = failure_of(error)
    code = getattr(getattr(error, "error", None), "code", None)
    if failure.status == names.STATUS_ERROR and isinstance(code, int):
        failure = Failure(failure.status, failure.error, str(code))
    span.fail(failure)


def _finish(span: ToolSpan, result: Any) -> None:
    if not span.recording:
        return
    if not span.remote and span.content.outputs:
        span.record_output(_shown(result.content))
    if result.isError:
        said = RuntimeError("\n".join(_texts(result.content)))
        span.fail(Failure(names.STATUS_ERROR, said, _TOOL_ERROR))


def _shown(blocks: list[Any]) -> Any:
    """Return the text, if that is all, else each block: an image may be one, with its bytes."""
    texts = _texts(blocks)
    only = len(blocks) == len(texts) == 1
    return texts[0] if only else [block.model_dump(exclude_none=True) for block in blocks]


def _texts(blocks: list[Any]) -> list[str]:
    return [block.text for block in blocks if getattr(block, "type", None) == "text"]
