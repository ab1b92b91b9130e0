"""Calls that components make over HTTP carry the context that is current there.

Done here so that it needs no instrumentor of an HTTP client; where there is one, its client span is
the nearer parent, and what it has sent stands. Each hop of a redirect is a call of its own.
"""

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

from opentelemetry import propagate, trace
from opentelemetry.instrumentation.utils import is_http_instrumentation_enabled

from langflow_otel import context as run_context
from langflow_otel.guard import safely
from langflow_otel.hosts import Hosts
from langflow_otel.seams.patches import Arguments, Keywords, Wrapper
from langflow_otel.spans.caller import has_ended

BAGGAGE = "baggage"
PORTS = {"http": 80, "https": 443}


class OutgoingSeam:
    """The wrappers around what sends one request; and the decision what goes out with it."""

    def __init__(self, excluded: Hosts) -> None:
        """Send nothing to hosts that are `excluded`."""
        self._excluded = excluded

    def carrier(self, host: str | None, port: int | None = None) -> dict[str, str]:
        """Return what carries the context from here to `host`: headers by name, as of W3C.

        Empty where nothing may go out: outside of a flow, where instrumentation is suppressed (our
        exporters send there), where what is current has ended (a task group that lives on has the
        context it was made in), and to hosts that the user has excluded. The context of a flow that
        is not sampled goes out as such.

        Args:
            host: Where the call goes; None where it stays on this machine.
            port: Its port, where there is one.
        """
        if not is_http_instrumentation_enabled() or not _is_alive():
            return {}
        if self._excluded.include(host, port):
            return {}
        told: dict[str, str] = {}
        propagate.inject(told)
        return told

    def rows(self) -> Iterator[tuple[str, str, Wrapper]]:
        """Yield module, function and wrapper of all that is wrapped."""
        for module in ("httpx", "httpx2"):
            yield module, "HTTPTransport.handle_request", self.httpx
            yield module, "AsyncHTTPTransport.handle_async_request", self.httpx
        yield "requests.adapters", "HTTPAdapter.send", self.requests
        yield "aiohttp.client_reqrep", "ClientRequest.send", self.aiohttp

    def httpx(self, wrapped: Callable[..., Any], _: Any, args: Arguments, kwargs: Keywords) -> Any:
        """Send a copy of the request, with the context in its headers; sync or async."""
        changed = safely(self._of_httpx, *args, *kwargs.values())
        return wrapped(*args, **kwargs) if changed is None else wrapped(changed)

    def requests(
        self, wrapped: Callable[..., Any], _: Any, args: Arguments, kwargs: Keywords
    ) -> Any:
        """Send a copy of the request, with the context in its headers."""
        request = args[0] if args else kwargs.get("request")
        changed = safely(self._of_requests, request)
        if changed is None:
            return wrapped(*args, **kwargs)
        if args:
            answer = wrapped(changed, *args[1:], **kwargs)
        else:
            answer = wrapped(**{**kwargs, "request": changed})
        if getattr(answer, "request", None) is changed:
            answer.request = request
        return answer

    def aiohttp(
        self, wrapped: Callable[..., Any], request: Any, args: Arguments, kwargs: Keywords
    ) -> Any:
        """Add the context to the headers, which are this request's own."""
        safely(self._of_aiohttp, request)
        return wrapped(*args, **kwargs)

    def _of_httpx(self, request: Any) -> Any:
        url = request.url
        told = self._missing(request.headers, url.host, url.port or PORTS.get(url.scheme))
        if not told:
            return None
        headers = request.headers.copy()
        headers.update(told)
        return type(request)(
            request.method,
            url,
            headers=headers,
            stream=request.stream,
            extensions=request.extensions,
        )

    def _of_requests(self, request: Any) -> Any:
        url = urlsplit(request.url)
        told = self._missing(request.headers, url.hostname, url.port or PORTS.get(url.scheme))
        if not told:
            return None
        changed = request.copy()
        changed.headers.update(told)
        return changed

    def _of_aiohttp(self, request: Any) -> None:
        url = request.url
        request.headers.update(self._missing(request.headers, url.host, url.port))

    def _missing(self, headers: Any, host: str | None, port: int | None) -> dict[str, str]:
        """Return what `headers` lack; nothing where they carry a context already."""
        told = self.carrier(host, port)
        fields = propagate.get_global_textmap().fields - {BAGGAGE} if told else ()
        if any(field in headers for field in ("traceparent", *fields)):
            return {}
        return {name: value for name, value in told.items() if name not in headers}


def _is_alive() -> bool:
    """Tell whether this is inside a flow of ours, and what is current here has not ended."""
    current = trace.get_current_span()
    if run_context.current_flow() is None or not current.get_span_context().is_valid:
        return False
    under_way = (
        run_context.current_flow(),
        run_context.current_component(),
        run_context.current_tool(),
    )
    return not has_ended(current) and not any(s is not None and s.ended for s in under_way)
