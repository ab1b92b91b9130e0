"""How a receiver of ours misbehaves on demand, switchable while it runs.

```
with LangfuseReceiver() as receiver:
    receiver.faults.set(first(2, status(503)))
    with receiver.faults.mode(hanging()):
        ...
        receiver.faults.wait_seen("hanging")
```
"""

from __future__ import annotations

import itertools
import json
import threading
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime
from typing import Any, Protocol

from google.protobuf.message import Message

NOT_HTTP = b"\x15\x03\x01\x00\x02\x02\x46 this is not HTTP\r\n\r\n"
GARBAGE = b"\xff\xfe{<html> neither JSON nor protobuf \x00\x01"

Predicate = Callable[[Any], Any]
"""Of a decoded `Span` where OTLP is received, of a run (a dict) where LangSmith's runs are."""


@dataclass(frozen=True)
class Reply:
    """An answer as HTTP knows it."""

    status: int
    body: bytes = b""
    content_type: str = "text/plain"
    headers: Mapping[str, str] = field(default_factory=dict)
    stream: Generator[bytes | float, None, None] | None = None
    """Instead of a body, one that is sent as it is made: bytes, and seconds to wait (`math.inf`:
    until released). Where it raises `Cut`, the connection is reset in the middle."""


class Cut(Exception):
    """The rest of a stream is not sent."""


class Exchange(Protocol):
    """A request that has been read, and the ways there are to answer it."""

    pace: float
    """Seconds between the bytes of an answer."""
    rejects: Predicate | None
    """Which items are refused although the request is taken."""

    @property
    def size(self) -> int: ...  # the body's bytes, decompressed
    def items(self) -> Sequence[Any]: ...  # none where the request is not one for items
    def note(self, name: str) -> None: ...  # what was done to it, for `seen`
    def wait(self, seconds: float | None) -> None: ...  # less, where the mode is switched
    def end_if_abandoned(self) -> None: ...  # goes no further where the client has gone
    def reply(self, reply: Reply) -> None: ...
    def write(self, data: bytes) -> None: ...  # as it is, and hangs up
    def reset(self) -> None: ...  # hangs up with RST


@dataclass(frozen=True)
class Fault:
    """One way to misbehave; made by the functions below."""

    name: str
    """What `Faults.seen` counts it as."""
    strike: Callable[[Exchange], bool]
    """Returns whether it answered, or ended, the exchange; otherwise it goes on as usual."""
    listens: bool = True


class Faults:
    """What a receiver does wrong at present: nothing, unless it is told to.

    Args:
        listen: Makes the receiver listen, or refuse connections and cut those it has.
    """

    def __init__(self, listen: Callable[[bool], None] = lambda _: None) -> None:
        self._listen = listen
        self._changed = threading.Condition()
        self._switching = threading.Lock()
        self._active: tuple[Fault, ...] = ()
        self._released = threading.Event()
        self._seen: Counter[str] = Counter()

    @property
    def active(self) -> tuple[Fault, ...]:
        """The faults in force."""
        with self._changed:
            return self._active

    @property
    def seen(self) -> Counter[str]:
        """Requests by what was done to them.

        By the name of the fault; "accepted" or "refused" where there was none. With two faults at
        a time both are counted. A refused connection is nothing that a server sees.
        """
        with self._changed:
            return Counter(self._seen)

    def set(self, *faults: Fault) -> None:
        """Switch to `faults`, applied in their order; to none, is to behave.

        What the former ones held back goes on at once: a hanging request is answered, unless its
        client has gone.
        """
        with self._switching:
            with self._changed:
                self._active = faults
                self._let_go()
            self._listen(all(fault.listens for fault in faults))

    def clear(self) -> None:
        """Behave."""
        self.set()

    def release(self) -> None:
        """Answer what hangs now; what comes later hangs."""
        with self._changed:
            self._let_go()

    @contextmanager
    def mode(self, *faults: Fault) -> Iterator[Faults]:
        """Misbehave so while the context is open."""
        before = self.active
        self.set(*faults)
        try:
            yield self
        finally:
            self.set(*before)

    def wait_seen(self, name: str, times: int = 1, timeout: float = 15.0) -> None:
        """Return when so many requests were treated so; AssertionError after `timeout` seconds."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._seen[name] >= times, timeout):
                raise AssertionError(f"after {timeout} s not {times} times {name!r}: {self._seen}")

    def forget(self) -> None:
        """Count anew."""
        with self._changed:
            self._seen.clear()

    def note(self, name: str) -> None:
        """Count a request; for receivers."""
        with self._changed:
            self._seen[name] += 1
            self._changed.notify_all()

    def current(self) -> tuple[tuple[Fault, ...], threading.Event]:
        """The faults in force, and the event that ends all waiting in them; for receivers."""
        with self._changed:
            return self._active, self._released

    def _let_go(self) -> None:
        self._released.set()
        self._released = threading.Event()


def slow(seconds: float = 0.2) -> Fault:
    """Answer as usual, but so much later."""

    def strike(exchange: Exchange) -> bool:
        exchange.note("slow")
        exchange.wait(seconds)
        return False

    return Fault("slow", strike)


def hanging() -> Fault:
    """Read the request and do not answer, until released; then as usual."""

    def strike(exchange: Exchange) -> bool:
        exchange.note("hanging")
        exchange.wait(None)
        exchange.end_if_abandoned()
        return False

    return Fault("hanging", strike)


def refusing() -> Fault:
    """Refuse connections, and cut those there are. The port stays the same afterwards."""
    return Fault("refusing", lambda _: False, listens=False)


def resetting() -> Fault:
    """Read the request, then reset the connection."""

    def strike(exchange: Exchange) -> bool:
        exchange.note("resetting")
        exchange.reset()
        return True

    return Fault("resetting", strike)


def status(
    code: int,
    *,
    retry_after: float | datetime | None = None,
    body: bytes | str | Mapping[str, Any] | Sequence[Any] | Message = b"",
    headers: Mapping[str, str] | None = None,
) -> Fault:
    """Answer with `code`, and take nothing.

    Args:
        code: The HTTP status.
        retry_after: Seconds, or an aware time, which is sent as an HTTP date.
        body: Bytes and text as they are, a protobuf message serialised, anything else as JSON.
        headers: More of them.
    """
    sent = dict(headers or {})
    if isinstance(retry_after, datetime):
        sent["retry-after"] = format_datetime(retry_after, usegmt=True)
    elif retry_after is not None:
        sent["retry-after"] = f"{retry_after:g}"
    content, content_type = _content(body)
    return _replying(f"status {code}", Reply(code, content, content_type, sent))


def redirect(url: str, code: int = 307) -> Fault:
    """Send the client on to `url`."""
    return _replying("redirect", Reply(code, headers={"location": url}))


def garbage() -> Fault:
    """Answer with what is not HTTP, and hang up."""

    def strike(exchange: Exchange) -> bool:
        exchange.note("garbage")
        exchange.write(NOT_HTTP)
        return True

    return Fault("garbage", strike)


def garbage_body(content_type: str = "application/x-protobuf") -> Fault:
    """Answer 200 with a body that is not what its type says, and take nothing: as a proxy may."""
    return _replying("garbage body", Reply(200, GARBAGE, content_type))


def drip(seconds: float = 0.2) -> Fault:
    """Answer as usual, but so slowly: a byte every `seconds`, which no read timeout notices."""

    def strike(exchange: Exchange) -> bool:
        exchange.note("drip")
        exchange.pace = seconds
        return False

    return Fault("drip", strike)


def poison(matches: Predicate, code: int = 400) -> Fault:
    """Refuse a request as a whole that holds an item which matches; take the others."""

    def strike(exchange: Exchange) -> bool:
        if not any(matches(item) for item in exchange.items()):
            return False
        exchange.note("poison")
        exchange.reply(Reply(code, b"an item is invalid"))
        return True

    return Fault("poison", strike)


def partial_success(matches: Predicate) -> Fault:
    """Take a request but for the items that match; say how many in OTLP's partial success."""

    def strike(exchange: Exchange) -> bool:
        exchange.note("partial success")
        exchange.rejects = matches
        return False

    return Fault("partial success", strike)


def too_large(limit: int) -> Fault:
    """Refuse with 413 what is over `limit` bytes when decompressed."""

    def strike(exchange: Exchange) -> bool:
        if exchange.size <= limit:
            return False
        exchange.note("too large")
        exchange.reply(Reply(413, f"over {limit} bytes".encode()))
        return True

    return Fault("too large", strike)


def first(requests: int, fault: Fault) -> Fault:
    """Misbehave so for the first `requests` from now on, then recover."""
    if not fault.listens:
        raise ValueError("a server does not see, and cannot count, connections that it refuses")
    numbers = itertools.count()

    def strike(exchange: Exchange) -> bool:
        return next(numbers) < requests and fault.strike(exchange)

    return Fault(fault.name, strike)


MODES: Mapping[str, Callable[[], Fault]] = {
    "slow": slow,
    "hanging": hanging,
    "refusing": refusing,
    "resetting": resetting,
    "429": lambda: status(429, retry_after=1),
    "413": lambda: status(413),
    "500": lambda: status(500),
    "503": lambda: status(503),
    "400": lambda: status(400),
    "401": lambda: status(401),
    "403": lambda: status(403),
    "404": lambda: status(404),
    "garbage": garbage,
    "garbage body": garbage_body,
    "drip": drip,
}
"""The faults that need no more to be said, by name: the rows of a fault matrix."""

DEAD: Mapping[str, Callable[[], Fault]] = {"hanging": hanging, "refusing": refusing}
"""The two ways in which a backend is away."""


def _replying(name: str, reply: Reply) -> Fault:
    def strike(exchange: Exchange) -> bool:
        exchange.note(name)
        exchange.reply(reply)
        return True

    return Fault(name, strike)


def _content(body: Any) -> tuple[bytes, str]:
    if isinstance(body, bytes):
        return body, "text/plain"
    if isinstance(body, str):
        return body.encode(), "text/plain"
    if isinstance(body, Message):
        return body.SerializeToString(), "application/x-protobuf"
    return json.dumps(body).encode(), "application/json"
