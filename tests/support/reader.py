"""Who a flow streams to, where it is run in process."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from lfx.events.event_manager import EventManager, create_default_event_manager


class Reader:
    """Who a flow streams to: an event manager, and the pieces that came to it."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[Any] = asyncio.Queue()
        self.manager: EventManager = create_default_event_manager(self._queue)
        self.events: list[str] = []
        self.pieces: list[str] = []

    def read(self) -> list[str]:
        """All pieces so far."""
        while not self._queue.empty():
            event = json.loads(self._queue.get_nowait()[1])
            self.events.append(event["event"])
            if event["event"] == "token":
                self.pieces.append(event["data"]["chunk"])
        return self.pieces

    async def wait(self) -> None:
        """Return when a piece has come."""
        while not self.read():  # noqa: ASYNC110 - the queue is Langflow's to fill
            await asyncio.sleep(0.01)
