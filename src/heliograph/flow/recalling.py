"""Carriers are told to drop what they have of SMS that were killed: it may still be stopped (SMPP 3.4, 4.9).

What they answer changes no status; what became of the SMS its receipt says, as for any that was killed.
"""

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Final

import structlog

from heliograph.carriers.interface import RecallingCarrier
from heliograph.clock import Clock
from heliograph.jobs.errors import StoreUnavailable
from heliograph.store.interface import RecallStore, recall_work

POLL_S: Final = 15.0
"""How often to look, unless something was cancelled: for what nobody answered for, or another node couldn't tell."""
ROOM_POLL_S: Final = 1.0
"""How often to see whether the carrier takes more, or can be reached again; nothing is asked of the store for that."""
STORE_RETRY_S: Final = 1.0
MAX_BATCH: Final = 100

log = structlog.get_logger()


class Recaller:
    """Two pumps for one carrier: one tells it what to drop, one takes note that it has answered.

    What it doesn't answer for is told again when its lease is over, by whichever node can, a few times.
    """

    def __init__(self, carrier: RecallingCarrier, store: RecallStore, clock: Clock, *, lease_s: float) -> None:
        """lease_s: longer than the carrier ever takes to answer, its time-out included."""
        self._carrier = carrier
        self._store = store
        self._clock = clock
        self._lease = timedelta(seconds=lease_s)
        self._answered = asyncio.Event()
        self._counts = Counter[str]()

    async def run(self) -> None:
        """Do so until cancelled."""
        async with asyncio.TaskGroup() as pumps:
            pumps.create_task(self._tell())
            pumps.create_task(self._settle())

    async def _tell(self) -> None:
        name = self._carrier.name
        while True:
            self._answered.clear()
            room = min(self._carrier.recall_room, MAX_BATCH)
            try:
                if room <= 0 or await self._tell_of(room) == room:
                    await self._clock.wait(self._answered, ROOM_POLL_S)
                else:
                    self._report()
                    await self._store.work_arrived(recall_work(name), POLL_S)
            except StoreUnavailable as error:
                log.error("recalls.store_unavailable", carrier=name, error=str(error))
                await self._clock.sleep(STORE_RETRY_S)

    async def _tell_of(self, limit: int) -> int:
        """Tell the carrier of as many; how many there were."""
        now = self._clock.now()
        due = await self._store.lease_recalls(self._carrier.name, limit, now + self._lease, now)
        self._counts["told_count"] += sum(self._carrier.cancel(recall.message_id, recall.src) for recall in due)
        return len(due)

    async def _settle(self) -> None:
        name = self._carrier.name
        while True:
            answers = await self._carrier.recalled()
            self._answered.set()
            for answer in answers:
                self._counts["dropped_count" if answer.is_dropped else "refused_count"] += 1
            try:
                await self._store.settle_recalls(name, [answer.message_id for answer in answers])
            except StoreUnavailable as error:  # They are told again, a few times.
                log.error("recalls.store_unavailable", carrier=name, error=str(error))

    def _report(self) -> None:
        """One line for what may have been thousands of parts."""
        if any(self._counts.values()):
            counts = {name: self._counts[name] for name in ("told_count", "dropped_count", "refused_count")}
            log.info("recalls.told", carrier=self._carrier.name, **counts)
            self._counts.clear()
