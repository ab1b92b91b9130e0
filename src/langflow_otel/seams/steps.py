"""Stand-ins for what is read step by step: iterators and generators, sync and async.

A stand-in is an object proxy: all but the steps is the iterator's own, its class for `isinstance`
and `inspect` among it. It asks for a piece when it is asked for one, hands it on as it is, and
reads nothing ahead.
"""

import copy
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import wrapt

from langflow_otel.guard import safely


class Watch:
    """What is done around the steps of one iterator: by itself, nothing."""

    def around(self) -> AbstractContextManager[None]:
        """Return what each step is run in; it must not raise."""
        return nullcontext()

    def took(self, piece: Any) -> None:
        """Note a piece."""

    def over(self, error: BaseException | None) -> None:
        """Note the end: there is no more, it has failed, or it was closed (`GeneratorExit`)."""


def stand_in(stream: Any, watch: Watch) -> Any:
    """Return a stand-in for `stream` whose steps `watch` sees."""
    return next(made(stream, watch) for kinds, made in _KINDS if _is_all(stream, kinds))


class Stepped(wrapt.ObjectProxy):  # type: ignore[type-arg]
    """What all stand-ins have; a name of theirs without `_self_` would hide one of the stream's."""

    def __init__(self, stream: Any, watch: Watch) -> None:
        """Stand for `stream`."""
        super().__init__(stream)
        self._self_watch = watch

    def __copy__(self) -> Any:
        """Copy the stream itself; a generator says that it cannot be."""
        return copy.copy(self.__wrapped__)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """Copy the stream itself; a generator says that it cannot be."""
        return copy.deepcopy(self.__wrapped__, memo)

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Let the stream itself say whether it can be stored."""
        return self.__wrapped__.__reduce_ex__(protocol)

    def __repr__(self) -> str:
        """Look like the stream."""
        return repr(self.__wrapped__)

    def _self_seen(self, piece: Any) -> Any:
        safely(self._self_watch.took, piece)
        return piece

    def _self_entered(self, entered: Any) -> Any:
        return self if entered is self.__wrapped__ else entered

    def _self_closed(self) -> None:
        safely(self._self_watch.over, GeneratorExit())


class _Steps(Stepped):
    def __iter__(self) -> Any:
        return self

    def __next__(self) -> Any:
        return self._self_seen(self._self_run(self.__wrapped__.__next__))

    def __enter__(self) -> Any:
        return self._self_entered(self.__wrapped__.__enter__())

    def __exit__(self, *error: Any) -> Any:
        handled = self._self_run(self.__wrapped__.__exit__, *error)
        self._self_closed()
        return handled

    def _self_run(self, step: Callable[..., Any], *args: Any) -> Any:
        if getattr(self.__wrapped__, "gi_running", False):
            return step(*args)  # Python refuses it: a generator takes one step at a time.
        watch = self._self_watch
        try:
            with watch.around():
                return step(*args)
        except StopIteration:
            safely(watch.over, None)
            raise
        except BaseException as error:
            safely(watch.over, error)
            raise


class _GeneratorSteps(_Steps):
    def send(self, value: Any) -> Any:
        return self._self_seen(self._self_run(self.__wrapped__.send, value))

    def throw(self, *args: Any) -> Any:
        return self._self_seen(self._self_run(self.__wrapped__.throw, *args))

    def close(self) -> Any:
        result = self._self_run(self.__wrapped__.close)
        self._self_closed()
        return result


class _AsyncSteps(Stepped):
    def __aiter__(self) -> Any:
        return self

    async def __anext__(self) -> Any:
        return self._self_seen(await self._self_await(self.__wrapped__.__anext__))

    async def __aenter__(self) -> Any:
        return self._self_entered(await self.__wrapped__.__aenter__())

    async def __aexit__(self, *error: Any) -> Any:
        handled = await self._self_await(self.__wrapped__.__aexit__, *error)
        self._self_closed()
        return handled

    async def _self_await(self, step: Callable[..., Any], *args: Any) -> Any:
        if getattr(self.__wrapped__, "ag_running", False):
            return await step(*args)  # Python refuses it, too.
        watch = self._self_watch
        try:
            with watch.around():
                return await step(*args)
        except StopAsyncIteration:
            safely(watch.over, None)
            raise
        except BaseException as error:
            safely(watch.over, error)
            raise


class AsyncGeneratorSteps(_AsyncSteps):
    """Stands for an async generator."""

    async def asend(self, value: Any) -> Any:
        """Run to the next piece, handing `value` in."""
        return self._self_seen(await self._self_await(self.__wrapped__.asend, value))

    async def athrow(self, *args: Any) -> Any:
        """Run to the next piece, raising an error inside first."""
        return self._self_seen(await self._self_await(self.__wrapped__.athrow, *args))

    async def aclose(self) -> None:
        """Close the generator."""
        await self._self_await(self.__wrapped__.aclose)
        self._self_closed()


class _EitherSteps(_AsyncSteps, _Steps):
    """A client's stream that can be read in both ways."""


_KINDS: tuple[tuple[tuple[type, ...], type[Stepped]], ...] = (
    ((AsyncGenerator,), AsyncGeneratorSteps),
    ((Generator,), _GeneratorSteps),
    ((AsyncIterator, Iterator), _EitherSteps),
    ((AsyncIterator,), _AsyncSteps),
    ((Iterator,), _Steps),
)


def _is_all(stream: Any, kinds: tuple[type, ...]) -> bool:
    return all(isinstance(stream, kind) for kind in kinds)
