"""How late an event loop is for who wants to run every two milliseconds."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable

_TICK = 0.002


async def lags(call: Callable[[], Awaitable[None]], rate: int, seconds: float) -> list[float]:
    """Call `rate` times a second; return by how many milliseconds each tick was late."""
    async with ticking() as late:
        due = time.perf_counter()
        for _ in range(int(rate * seconds)):
            due += 1 / rate
            # Who is behind catches up, and lets others run in between.
            await asyncio.sleep(max(due - time.perf_counter(), 0))
            await call()
    return late


@contextlib.asynccontextmanager
async def ticking() -> AsyncIterator[list[float]]:
    """Tick meanwhile; yield by how many milliseconds each tick was late."""
    late: list[float] = []
    ticks = asyncio.create_task(_tick(late))
    try:
        yield late
    finally:
        ticks.cancel()
        await asyncio.wait([ticks])


async def _tick(late: list[float]) -> None:
    while True:
        due = time.perf_counter() + _TICK
        await asyncio.sleep(_TICK)
        late.append((time.perf_counter() - due) * 1e3)
