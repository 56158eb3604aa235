"""What the SMSC has given us and awaits our word on: acknowledged once it is durable."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final, Generic, NamedTuple, TypeVar

from heliograph.carriers.smpp.link import Link
from heliograph.clock import Clock
from heliograph.smpp.statuses import CommandStatus

T = TypeVar("T")

MAX_BATCH: Final = 100
"""How many are given at once: what one commit takes in a millisecond or two."""
HELD_S: Final = 20.0
"""How long one may stay unanswered because it can't be stored; then the SMSC is asked to send it again later."""
MOST_ORPHANED: Final = 10_000
"""What came over connections that have ended is stored as well, up to so many; the SMSC has it still."""


class _Item(NamedTuple, Generic[T]):
    value: T
    link: Link | None
    sequence: int
    since_s: float


class Inbox(Generic[T]):
    """Receipts, or SMS from phones. Each link bounds how many it leaves unanswered, so this is bounded."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._items: deque[_Item[T]] = deque()
        self._there = asyncio.Event()

    def put(self, value: T, link: Link | None, sequence: int) -> None:
        """Something came over a link, as the request `sequence`; without a link nobody awaits our word on it."""
        self._items.append(_Item(value, link, sequence, self._clock.monotonic()))
        self._there.set()

    @asynccontextmanager
    async def take(self) -> AsyncGenerator[list[T]]:
        """One or more, oldest first; they are acknowledged when the block ends well, else they are here again."""
        while not self._items:
            self._there.clear()
            await self._there.wait()
        items = self._items
        taken = [items.popleft() for _ in range(min(len(items), MAX_BATCH))]
        try:
            yield [item.value for item in taken]
        except BaseException:
            self._put_back(taken)
            raise
        for item in taken:
            if item.link is not None:
                item.link.acknowledge(item.sequence)

    def _put_back(self, taken: list[_Item[T]]) -> None:
        now_s = self._clock.monotonic()
        for item in reversed(taken):
            if item.link is None or now_s - item.since_s < HELD_S:
                self._items.appendleft(item)
            else:
                item.link.acknowledge(item.sequence, CommandStatus.ESME_RX_T_APPN)

    def orphaned(self, link: Link) -> None:
        """A link has ended."""
        if len(self._items) > MOST_ORPHANED:
            self._items = deque(item for item in self._items if item.link is not link)
