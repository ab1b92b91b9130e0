"""Lets other threads have their turn while a batch is made ready to be sent.

Python lets a thread that computes keep the interpreter for 5 ms while another waits for it
(`sys.getswitchinterval`), and an event loop wants it each time that it has something to do: with
one batch after the other it would be late by as much, over and over. Whoever computes without end
gets two thirds of the time, where Python would give it half.
"""

import sys
import time
from collections.abc import Iterator, Sequence
from typing import TypeVar, overload

T = TypeVar("T")

# Seconds. In a break whoever waits wakes up. On Windows the shortest may take 15 ms: there the rest
# of the thread's time is given away instead.
_TURN, _BREAK = 0.0005, 0.0 if sys.platform == "win32" else 0.00005
# What all breaks may take: so many times the turns, and some, as an event loop that has waited has
# more to do at first.
_SHARE, _MORE = 2, 0.01


class InTurns(Sequence[T]):
    """`items`, with breaks between them for whoever goes through them.

    There is one after each half millisecond, as long as all of them together have not taken much
    longer than what is done in between.
    """

    def __init__(self, items: Sequence[T]) -> None:
        """See the class."""
        self._items = items

    def __iter__(self) -> Iterator[T]:
        """Give one after the other."""
        began, left = time.perf_counter(), _MORE
        for item in self._items:
            yield item
            now = time.perf_counter()
            if now - began < _TURN:
                continue
            left += _SHARE * (now - began)
            began = now
            if left >= 0:
                time.sleep(_BREAK)
                began = time.perf_counter()
                left -= began - now

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._items)

    @overload
    def __getitem__(self, at: int) -> T: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[T]: ...
    def __getitem__(self, at: int | slice) -> T | Sequence[T]:
        """Return the one, or those, at that place."""
        return self._items[at]
