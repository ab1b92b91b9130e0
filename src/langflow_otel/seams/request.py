"""The request seam: what another service tells of its trace continues in the flow.

At the router, inside of all middleware: where an instrumentor has made a server span, that is
current by now and stands. (Were the caller current before, that would not be a server span any
more.)
"""

from collections.abc import Callable, Iterable, Iterator, MutableMapping
from typing import Any

from opentelemetry import trace
from opentelemetry.instrumentation.utils import is_instrumentation_enabled

from langflow_otel.guard import safely
from langflow_otel.seams.patches import Wrapper
from langflow_otel.spans.caller import Caller, CallerSpan

_SEEN = "langflow_otel.request"


class RequestSeam:
    """The wrappers around what serves one request."""

    def rows(self) -> Iterator[tuple[str, str, Wrapper]]:
        """Yield module, function and wrapper of all that is wrapped."""
        yield "starlette.routing", "Router.__call__", self.serve
        # Each has it from the first by name.
        for module in ("mcp_utils", "mcp", "mcp_projects"):
            yield f"langflow.api.v1.{module}", "handle_call_tool", self.call_tool

    async def serve(
        self,
        wrapped: Callable[..., Any],
        _: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """Serve a request in the context that its headers tell."""
        scope = args[0] if args else kwargs.get("scope")
        caller = safely(_caller_of_request, scope)
        if caller is not None and len(args) == len(("scope", "receive", "send")):
            args = (*args[:2], _noticing_the_end(args[2], caller))
        return await _in_context_of(caller, wrapped, args, kwargs)

    async def call_tool(
        self,
        wrapped: Callable[..., Any],
        _: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """Call a flow as a tool of MCP in the context that the `_meta` of the call tells."""
        server = args[2] if len(args) > 2 else kwargs.get("server")
        return await _in_context_of(safely(_caller_of_tool, server), wrapped, args, kwargs)


async def _in_context_of(
    caller: Caller | None,
    wrapped: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:
    if caller is None:
        return await wrapped(*args, **kwargs)
    safely(caller.attach)
    try:
        return await wrapped(*args, **kwargs)
    finally:
        safely(caller.detach)


def _noticing_the_end(send: Callable[..., Any], caller: Caller) -> Callable[..., Any]:
    """Return `send`, which lets the request end with its answer.

    The call goes on: what was put off until then is done, and what depends on it is closed.
    """

    async def passes_on(message: Any) -> None:
        safely(_notice, message, caller)
        await send(message)

    return passes_on


def _notice(message: Any, caller: Caller) -> None:
    if message["type"] == "http.response.body" and not message.get("more_body", False):
        caller.answer()


def _caller_of_request(scope: MutableMapping[str, Any]) -> Caller | None:
    # A mounted application is in the request that it is mounted in.
    if scope["type"] not in {"http", "websocket"} or _SEEN in scope:
        return None
    scope[_SEEN] = True
    if not is_instrumentation_enabled() or _is_within_a_span_of_this_process():
        return None
    return Caller.of(_headers(scope))


def _is_within_a_span_of_this_process() -> bool:
    current = trace.get_current_span()
    return current.get_span_context().is_valid and not isinstance(current, CallerSpan)


def _headers(scope: MutableMapping[str, Any]) -> dict[str, list[str]]:
    headers: dict[str, list[str]] = {}
    for name, value in scope["headers"]:
        headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    # It may be sent in several; its propagator reads the first.
    if "baggage" in headers:
        headers["baggage"] = [",".join(headers["baggage"])]
    return headers


def _caller_of_tool(server: Any) -> Caller | None:
    """Return who is told by the `_meta` of an MCP request, which is nearer than its HTTP headers.

    Not where that is above the server span of this very request.
    """
    told = {name.lower(): value for name, value in _meta_of(server) if isinstance(value, str)}
    caller = Caller.of(told) if told and is_instrumentation_enabled() else None
    if caller is None or not caller.span_context.is_valid:
        return None
    same = trace.get_current_span().get_span_context().trace_id == caller.span_context.trace_id
    return None if same and _is_within_a_span_of_this_process() else caller


def _meta_of(server: Any) -> Iterable[tuple[str, Any]]:
    try:
        meta = server.request_context.meta
    except LookupError:
        return ()
    # A model of pydantic, its extra fields among it, or a dict.
    return dict(meta).items() if meta else ()
