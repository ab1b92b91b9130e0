"""Processes that are asked, in turn, to measure: so that noise falls on all of them alike.

They are forked from one that has imported Langflow, which takes ten seconds, and has done nothing.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from typing import Any

from typing_extensions import Self

from tests.support.process import OFFLINE, clean_environment

_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(["benchmarks.flow", "benchmarks.tables"])

Answer = Callable[..., Any]


class Worker:
    """A process with `environment`, and nothing of tracing else, that answers what it is asked.

    `make`, a function of a module, is called there with `arguments`, and makes what answers.
    """

    def __init__(
        self, make: Callable[..., Answer], *arguments: str, environment: Mapping[str, str]
    ) -> None:
        self._connection, theirs = _processes.Pipe()
        said = clean_environment({**OFFLINE, **environment})
        self._process = _processes.Process(target=_serve, args=(theirs, said, make, arguments))
        self._process.start()
        theirs.close()

    def ask(self, **request: Any) -> Any:
        """Return the answer; raise what was raised there."""
        self._connection.send(request)
        answer = self._connection.recv()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # Who has a dead backend would take half a minute to end.
        self._process.kill()
        self._process.join(10)


def _serve(
    connection: Connection,
    environment: dict[str, str],
    make: Callable[..., Answer],
    arguments: tuple[str, ...],
) -> None:
    os.environ.clear()
    os.environ.update(environment)
    # Langflow and the vendors' SDKs print what they like.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    answer: Answer | None = None
    while True:
        request = connection.recv()
        try:
            answer = answer or make(*arguments)
            connection.send(answer(**request))
        except Exception as error:  # noqa: BLE001 - it is raised where it was asked
            connection.send(RuntimeError(f"{type(error).__name__}: {error}"))
