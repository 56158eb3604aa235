"""SMS whose carrier no node has any more: it was renamed, or removed, or only a node that has gone had it.

Somebody has to stand in for that carrier, as for one that can't be reached: reports then say why nothing is sent, SMS
move to the next carrier of their route, and those that have none end with their validity.
"""

import asyncio
import math
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import NamedTuple

import structlog

from heliograph.clock import Clock
from heliograph.flow.dispatch.dispatcher import Dispatcher
from heliograph.jobs.errors import StoreUnavailable
from heliograph.store.interface import Store

LOOK_S = 5.0
"""How often a node tells which carriers it has, and looks for SMS of others."""
CLAIM_S = 30.0
"""How long that holds if it isn't told again: longer than it takes to start a node anew."""
FREE_LOOKS = 3
"""A carrier is nobody's when no node has told that it has it so many looks in a row: a claim that has just lapsed is
about to be somebody else's."""
REMIND_S = 600.0
"""How often the log says again that SMS are left."""

log = structlog.get_logger()


class _StandIn(NamedTuple):
    dispatcher: Dispatcher
    running: "asyncio.Task[None]"


class StandIns:
    """Those of one node, which dispatches. Of several nodes, one stands in for a carrier."""

    def __init__(
        self, store: Store, clock: Clock, node: str, carriers: Collection[str], stand_in: Callable[[str], Dispatcher]
    ) -> None:
        """node: unlike any other's. carriers: those that it has. stand_in: makes the dispatcher for another."""
        self._store = store
        self._clock = clock
        self._node = node
        self._carriers = frozenset(carriers)
        self._make = stand_in
        self._stand_ins: dict[str, _StandIn] = {}
        self._free_looks: dict[str, int] = {}
        self._told_at_s: dict[str, float] = {}
        self._stopping = False

    async def run(self) -> None:
        """Tell, look, and stand in, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                try:
                    await self._look_round(tasks)
                except StoreUnavailable as error:
                    log.error("dispatch.store_unavailable", error=str(error))
                await self._clock.sleep(LOOK_S)

    async def drain(self, timeout_s: float) -> int:
        """Look at nothing more, and wait until what was looked at is recorded; no answer is ever missing."""
        self._stopping = True
        for each in [*self._stand_ins.values()]:
            await each.dispatcher.drain(timeout_s)
        return 0

    async def _look_round(self, tasks: asyncio.TaskGroup) -> None:
        now = self._clock.now()
        until = now + timedelta(seconds=CLAIM_S)
        for carrier in self._carriers:
            await self._store.claim(_had(carrier), self._node, until, now)
        waiting = await self._store.sms_at_other_carriers(self._carriers)
        for carrier in self._stand_ins.keys() - waiting.keys():
            await self._end(tasks, carrier, "none of its SMS is left")
        self._free_looks = {carrier: self._free_looks.get(carrier, 0) for carrier in waiting}
        for carrier, sms_count in waiting.items():
            if not await self._is_nobodys(carrier, now):
                await self._end(tasks, carrier, "a node has it")
            elif self._free_looks[carrier] < FREE_LOOKS:
                continue
            elif not await self._store.claim(_stood_in_for(carrier), self._node, until, now):
                await self._end(tasks, carrier, "another node stands in")
            elif not self._stopping:
                self._stand_in(tasks, carrier, sms_count)

    async def _is_nobodys(self, carrier: str, now: datetime) -> bool:
        # The claim ends as it begins: a node that does have the carrier, from now on perhaps, isn't kept from it.
        is_free = await self._store.claim(_had(carrier), self._node, now, now)
        self._free_looks[carrier] = self._free_looks[carrier] + 1 if is_free else 0
        return is_free

    def _stand_in(self, tasks: asyncio.TaskGroup, carrier: str, sms_count: int) -> None:
        if carrier not in self._stand_ins:
            dispatcher = self._make(carrier)
            running = tasks.create_task(dispatcher.run(), name=f"stand-in {carrier}")
            self._stand_ins[carrier] = _StandIn(dispatcher, running)
        now_s = self._clock.monotonic()
        if now_s - self._told_at_s.get(carrier, -math.inf) >= REMIND_S:
            self._told_at_s[carrier] = now_s
            log.warning(
                "dispatch.carrier_missing",
                carrier=carrier,
                sms_count=sms_count,
                message="no node that dispatches has this carrier: its SMS go to the next carrier of their route, and "
                "those without one end with their validity; to have them sent, configure a carrier of this name",
            )

    async def _end(self, tasks: asyncio.TaskGroup, carrier: str, reason: str) -> None:
        ended = self._stand_ins.pop(carrier, None)
        if ended is None:
            return
        log.info("dispatch.stand_in_ended", carrier=carrier, reason=reason)
        self._told_at_s.pop(carrier, None)
        tasks.create_task(_finished(ended), name=f"stand-in {carrier}, its end")
        await self._store.release(_stood_in_for(carrier), self._node)


async def _finished(stand_in: _StandIn) -> None:
    # What is leased is recorded first, however long that takes: else nobody would know that it was not sent.
    await stand_in.dispatcher.drain(math.inf)
    stand_in.running.cancel()


def _had(carrier: str) -> str:
    return f"has {carrier}"


def _stood_in_for(carrier: str) -> str:
    return f"stands in for {carrier}"
