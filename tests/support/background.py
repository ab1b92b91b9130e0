"""What Phoenix, Langflow and `lfx serve` have in common: a real server, started and stopped."""

from __future__ import annotations

import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from typing_extensions import Self

from tests.support.http import is_up
from tests.support.process import Process, free_port


class Server(ABC):
    """A server on 127.0.0.1, on a free port, in a temporary folder of its own.

    Use it as a context manager, which starts it, waits until it answers, and stops it.
    """

    name: str
    health: str
    """The path that answers 200 when the server is ready."""
    grace: float
    """How long it may take to stop after SIGTERM, in seconds."""

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._port = free_port()
        self._process: Process | None = None
        self._last_log = ""
        self._interrupted = False
        self._folder = tempfile.TemporaryDirectory(
            prefix=f"{self.name}-", ignore_cleanup_errors=True
        )

    @property
    def endpoint(self) -> str:
        """The base address."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def log(self) -> str:
        """What the server has printed, also after it stopped."""
        return self._process.log if self._process else self._last_log

    def start(self) -> None:
        """Start the server and wait until it answers; NotUp when it does not."""
        self._process = self._launch(Path(self._folder.name))
        self.wait_until_up()

    def wait_until_up(self) -> None:
        """Wait until the server answers; NotUp when it does not."""
        assert self._process is not None
        url = self.endpoint + self.health
        self._process.wait_until(lambda: is_up(url), self._timeout, self.name)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Let none of its processes run while this is open."""
        assert self._process is not None
        self._process.freeze()
        try:
            yield
        finally:
            self._process.thaw()

    def interrupt(self) -> None:
        """Stop the server as Ctrl+C in a terminal does; `stop` waits for its end."""
        assert self._process is not None
        self._process.interrupt()
        self._interrupted = True

    def stop(self) -> int | None:
        """Stop the server and remove its folder; its exit code, None when it had to be killed."""
        code = None
        if self._process:
            end = self._process.wait if self._interrupted else self._process.stop
            code = end(self.grace)
            self._last_log, self._process = self._process.log, None
        self._folder.cleanup()
        return code

    @abstractmethod
    def _launch(self, folder: Path) -> Process:
        """Start the process."""

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
