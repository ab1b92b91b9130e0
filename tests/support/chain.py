"""The cheapest flow that is a real one: components in a row, that pass a text on."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

from lfx.custom.custom_component.component import Component
from lfx.graph.graph.base import Graph
from lfx.io import MessageTextInput, Output
from lfx.schema.message import Message
from typing_extensions import Self

FLOW_ID = "5d3a2c1e-0000-4000-8000-000000000001"


class SayComponent(Component):
    """Says a text; or fails, or waits for ever, if that is what the text says."""

    display_name = "Say"
    name = "Say"
    inputs = [MessageTextInput(name="text", display_name="Text")]
    outputs = [Output(name="said", display_name="Said", method="say")]

    #: Called with the number of the component before it says anything.
    before: Callable[[int], Awaitable[object]] | None = None

    async def say(self) -> Message:
        if self.text == "fails":
            raise ValueError(self.text)
        if self.text == "is cancelled":
            await asyncio.Event().wait()
        if SayComponent.before is not None:
            await SayComponent.before(int(self._id.removeprefix("Say-")))
        return Message(text=self.text)


def chain(length: int, text: str) -> Graph:
    """Make a graph of components in a row, the first of which says `text`."""
    said = [SayComponent(_id=f"Say-{number}") for number in range(length)]
    said[0].set(text=text)
    for one, next_one in itertools.pairwise(said):
        next_one.set(text=one.say)
    return Graph(said[0], said[-1], flow_id=FLOW_ID, flow_name="Chain")


async def run(graph: Graph, session_id: str) -> str:
    """Run it and return what its last component said."""
    last = f"Say-{len(graph.vertices) - 1}"
    runs = await graph.arun([{}], outputs=[last], session_id=session_id)
    return str(runs[-1].outputs[-1].artifacts["said"]["raw"])


class SmallFlow:
    """Two components, run again and again: with one graph, where a run comes to its end."""

    #: Spans of a run that succeeds.
    SPANS = 3

    def __init__(self, again: Graph) -> None:
        self._again = again

    @classmethod
    async def made(cls) -> Self:
        """Make one, and run it once."""
        made = cls(chain(2, "succeeds"))
        await made.run(-1)
        return made

    async def run(self, number: int, way: str = "succeeds") -> None:
        """Run it, in a session of its own; `way` is how that ends."""
        session = f"session-{number}"
        if way == "succeeds":
            assert await run(self._again, session) == way
        elif way == "fails":
            with contextlib.suppress(ValueError):
                await run(chain(2, way), session)
        elif way == "is cancelled":
            running = asyncio.ensure_future(run(chain(2, way), session))
            await asyncio.sleep(0.01)
            running.cancel()
            await asyncio.wait([running])
        else:
            assert way == "is abandoned"
            async for _ in chain(2, way).async_start():
                break

    @staticmethod
    def way(number: int) -> str:
        """How the run of that number is to end: one in a hundred each in one of the odd ways."""
        odd: dict[int, Any] = {25: "fails", 50: "is cancelled", 75: "is abandoned"}
        return str(odd.get(number % 100, "succeeds"))
