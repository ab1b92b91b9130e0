"""Cuts a connection when its time is over.

A timeout of `requests` is one for each wait on the socket, so a backend that drips its answer, or
begins it again and again, could keep a request for ever.
"""

import os
import socket
import threading
import time
import weakref
from contextlib import suppress
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool


class Watch:
    """The time that one request may take, and the connection it uses.

    Where no thread can be started, as at the end of the interpreter, the timeouts of `requests`
    are all there is.
    """

    def __init__(self) -> None:
        """Watch nothing yet."""
        self.until: float | None = None
        self.connection: Any = None
        _watchdog.add(self)

    def begin(self, until: float) -> None:
        """Let what is sent from now on end at `until` (of `time.monotonic`)."""
        self.connection = None
        self.until = until
        _watchdog.look(self)

    def hurry(self, until: float) -> None:
        """Let what is under way end at `until`, if that is earlier."""
        if self.until is not None and until < self.until:
            self.until = until
            _watchdog.look(self)

    def done(self) -> None:
        """Say that the answer is there."""
        self.until = None

    def cut(self) -> None:
        """Shut the socket, below TLS: who reads it is told that it has ended."""
        self.until = None
        sock = getattr(self.connection, "sock", None)
        if isinstance(sock, socket.socket):
            with suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def pools(self) -> dict[str, Any]:
        """Return pools whose connections say that they are in use.

        For `pool_classes_by_scheme` of urllib3's PoolManager.
        """
        watch = self

        class Plain(HTTPConnection):
            def connect(self) -> None:
                watch.connection = self
                super().connect()

            def request(self, *args: Any, **kwargs: Any) -> Any:
                watch.connection = self
                return super().request(*args, **kwargs)

        class Secure(HTTPSConnection):
            def connect(self) -> None:
                watch.connection = self
                super().connect()

            def request(self, *args: Any, **kwargs: Any) -> Any:
                watch.connection = self
                return super().request(*args, **kwargs)

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class SecurePool(HTTPSConnectionPool):
            ConnectionCls = Secure

        return {"http": PlainPool, "https": SecurePool}


class _Watchdog:
    """One thread, for all requests of this process."""

    def __init__(self) -> None:
        self._pid = 0
        self._watches: weakref.WeakSet[Watch] = weakref.WeakSet()
        self._changed = threading.Condition()

    def add(self, watch: Watch) -> None:
        self._start()
        with self._changed:
            self._watches.add(watch)

    def look(self, watch: Watch) -> None:
        self._start()
        with self._changed:
            self._watches.add(watch)
            self._changed.notify()

    def _start(self) -> None:
        if self._pid == os.getpid():
            return
        # The first, or forked: then the thread is not here, and the lock may be held for ever.
        self._pid = os.getpid()
        self._changed = threading.Condition()
        self._watches = weakref.WeakSet()
        with suppress(RuntimeError):
            threading.Thread(target=self._run, name="langflow-otel-watchdog", daemon=True).start()

    def _run(self) -> None:
        with self._changed:
            while True:
                now = time.monotonic()
                ends = [(watch, watch.until) for watch in self._watches]
                for watch, until in ends:
                    if until is not None and until <= now:
                        watch.cut()
                left = [until - now for _, until in ends if until is not None and until > now]
                # Or else it would keep them all alive while it waits.
                ends, watch = [], None  # type: ignore[assignment]
                self._changed.wait(min(left, default=None))


_watchdog = _Watchdog()
