"""Which node holds which bind of which carrier.

A carrier agrees to a number of binds, and to a rate over all of them. Where many nodes dispatch, each claims its fair
share of the binds, and with them the same share of the rate; what a node that has died held falls to the others.
"""

import asyncio
import math
from collections.abc import Callable, Mapping
from datetime import timedelta
from enum import Enum

import structlog

from heliograph.clock import Clock
from heliograph.jobs.errors import StoreUnavailable
from heliograph.store.interface import NodeStore

RENEW_S = 3.0
"""How often a node tells that it lives, keeps what it holds, and looks for what is free."""
CLAIM_S = 15.0
"""How long a claim holds that isn't renewed: so long a dead node's binds stay unused."""
MARGIN_S = 5.0
"""So much earlier a node that can't reach the store gives up what it holds: by then its binds have ended."""
LAST_ANSWERS_S = MARGIN_S - 1
"""How long a bind that isn't ours any more may wait for the answers to what it sent, before it is ended."""

log = structlog.get_logger()


class _Phase(Enum):
    FREE = "free"
    HELD = "held"
    ENDING = "ending"


class _Bind:
    def __init__(self, role: str) -> None:
        self.role = role
        self.phase = _Phase.FREE
        self.is_claimed = False
        self.ours_until_s = -math.inf
        """Until when, by our monotonic clock, nobody else can have it."""
        self.end_within_s = math.inf
        self.held = asyncio.Event()
        self.lost = asyncio.Event()
        self.lost.set()

    def enter(self, phase: _Phase) -> None:
        self.phase = phase
        holds = phase is _Phase.HELD
        (self.held if holds else self.lost).set()
        (self.lost if holds else self.held).clear()


class CarrierBinds:
    """The binds of one carrier, as one node sees them: see `carriers.interface.BindRights`."""

    def __init__(self, carrier: str, count: int, clock: Clock, changed: Callable[[], None]) -> None:
        self.carrier = carrier
        self._clock = clock
        self.binds = [_Bind(f"bind {number} of {carrier}") for number in range(count)]
        self._changed = changed

    def has(self, bind: int) -> bool:
        one = self.binds[bind]
        # This process may have stood still: it is asked about before anybody had the time to give it up.
        return one.phase is _Phase.HELD and self._clock.monotonic() < one.ours_until_s

    async def gained(self, bind: int) -> None:
        await self.binds[bind].held.wait()

    async def lost(self, bind: int) -> float:
        await self.binds[bind].lost.wait()
        return self.binds[bind].end_within_s

    def ended(self, bind: int) -> None:
        if self.binds[bind].phase is _Phase.ENDING:
            self.binds[bind].enter(_Phase.FREE)
            self._changed()

    @property
    def share(self) -> float:
        """How much of the carrier's rate is this node's, from 0 to 1; a bind that is ending counts still."""
        return sum(bind.phase is not _Phase.FREE for bind in self.binds) / len(self.binds)


class Binds:
    """The binds of all carriers, as one node sees them, and the task that claims them."""

    def __init__(
        self,
        store: NodeStore,
        clock: Clock,
        node: str,
        counts: Mapping[str, int],
        on_share: Callable[[str, float], None],
    ) -> None:
        """node: unlike any other's. counts: how many binds each carrier agreed to, one at least.

        on_share: called with a carrier's name and this node's share of it, from 0 to 1, when that changes.
        """
        self._store = store
        self._clock = clock
        self._node = node
        self._on_share = on_share
        self._wake = asyncio.Event()
        self._claimed = asyncio.Event()
        self._carriers = {name: CarrierBinds(name, count, clock, self._wake.set) for name, count in counts.items()}
        self._shares = dict.fromkeys(counts, 0.0)

    def of(self, carrier: str) -> CarrierBinds:
        """The binds of one carrier."""
        return self._carriers[carrier]

    async def run(self) -> None:
        """Claim and keep, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._look_around())
            tasks.create_task(self._give_up_in_time())

    async def _look_around(self) -> None:
        while True:
            self._wake.clear()
            try:
                await self._look_round()
            except StoreUnavailable as error:
                log.error("binds.store_unavailable", error=str(error))
            await self._clock.wait(self._wake, RENEW_S)

    async def _give_up_in_time(self) -> None:
        """On its own: a round may hang for as long as the store does."""
        while True:
            self._claimed.clear()
            for bind in self._held():
                if bind.ours_until_s <= self._clock.monotonic():
                    self._lose(bind, "the store can't be reached, and others may claim it", LAST_ANSWERS_S)
            first_s = min((bind.ours_until_s for bind in self._held()), default=None)
            if first_s is None:
                await self._claimed.wait()
            else:
                await self._clock.sleep(first_s - self._clock.monotonic())

    async def give_back(self) -> None:
        """Let others have at once what this node held; for its end, after its binds have ended."""
        now = self._clock.now()
        try:
            await self._store.meet(self._node, now, now)
            for carrier in self._carriers.values():
                for bind in carrier.binds:
                    bind.enter(_Phase.FREE)
                    await self._release(bind)
        except StoreUnavailable as error:
            log.warning("binds.not_given_back", error=str(error), after_s=CLAIM_S)

    async def _look_round(self) -> None:
        now, started_s = self._clock.now(), self._clock.monotonic()
        until, ours_until_s = now + timedelta(seconds=CLAIM_S), started_s + CLAIM_S - MARGIN_S
        node_count = await self._store.meet(self._node, until, now)
        for carrier in self._carriers.values():
            for bind in carrier.binds:
                if bind.phase is _Phase.FREE:
                    await self._release(bind)
                elif await self._store.claim(bind.role, self._node, until, now):
                    bind.ours_until_s = ours_until_s
                else:
                    self._lose(bind, "another node has it", LAST_ANSWERS_S)
            held = [bind for bind in carrier.binds if bind.phase is _Phase.HELD]
            fair = math.ceil(len(carrier.binds) / node_count)
            for bind in held[fair:]:
                self._lose(bind, "there are more nodes now")
            free = [bind for bind in carrier.binds if bind.phase is _Phase.FREE]
            wanted = fair - sum(bind.phase is not _Phase.FREE for bind in carrier.binds)
            for bind in free:
                if wanted > 0 and await self._store.claim(bind.role, self._node, until, now):
                    wanted -= 1
                    bind.is_claimed = True
                    if self._clock.monotonic() < ours_until_s:  # Or the claim was under way for too long.
                        self._hold(bind, ours_until_s)
        self._tell_shares()

    def _held(self) -> list[_Bind]:
        return [bind for each in self._carriers.values() for bind in each.binds if bind.phase is _Phase.HELD]

    def _hold(self, bind: _Bind, ours_until_s: float) -> None:
        bind.ours_until_s = ours_until_s
        bind.enter(_Phase.HELD)
        self._claimed.set()
        log.info("binds.claimed", bind=bind.role)

    async def _release(self, bind: _Bind) -> None:
        if bind.is_claimed:
            await self._store.release(bind.role, self._node)
            bind.is_claimed = False

    def _lose(self, bind: _Bind, reason: str, end_within_s: float = math.inf) -> None:
        if bind.phase is _Phase.HELD:
            bind.end_within_s = end_within_s
            bind.enter(_Phase.ENDING)
            log.info("binds.lost", bind=bind.role, reason=reason)

    def _tell_shares(self) -> None:
        for name, carrier in self._carriers.items():
            if carrier.share != self._shares[name]:
                self._shares[name] = carrier.share
                self._on_share(name, carrier.share)
