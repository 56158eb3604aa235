"""Nodes share the binds that a carrier agreed to, and its rate, and take over from each other."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from heliograph.flow.binds import CLAIM_S, RENEW_S, Binds
from heliograph.store.memory import MemoryStore
from tests.fakes.clock import ManualClock, settle
from tests.flow.stores import StoreOnClock

ROUND_S = 2 * RENEW_S + 1
"""By then every node has looked round twice: what one gives back another has taken."""


class Node:
    """A node whose binds are opened and ended at once, as a carrier would."""

    def __init__(self, name: str, store, clock, counts: dict[str, int], ends_after_s: float = 0) -> None:
        self.shares: dict[str, float] = {}
        self.open: set[int] = set()
        self.ended_within_s: list[float] = []
        self._clock = clock
        self._ends_after_s = ends_after_s
        self.binds = Binds(store, clock, name, counts, self.shares.__setitem__)
        self._counts = counts
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        self._tasks = [asyncio.ensure_future(self.binds.run())]
        self._tasks += [asyncio.ensure_future(self._keep(bind)) for bind in range(self._counts["acme"])]
        await settle()

    async def kill(self) -> None:
        for task in self._tasks:
            task.cancel()
        await settle()
        self.open.clear()

    async def stop(self) -> None:
        await self.kill()
        await self.binds.give_back()

    async def _keep(self, bind: int) -> None:
        rights = self.binds.of("acme")
        while True:
            await rights.gained(bind)
            assert rights.has(bind)
            self.open.add(bind)
            self.ended_within_s.append(await rights.lost(bind))
            if self._ends_after_s:
                await self._clock.sleep(self._ends_after_s)
            self.open.discard(bind)
            rights.ended(bind)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def store(clock):
    return StoreOnClock(MemoryStore(), clock)


@asynccontextmanager
async def nodes(store, clock, *names: str, binds: int, **keywords):
    all_of_them = [Node(name, store, clock, {"acme": binds}, **keywords) for name in names]
    try:
        yield all_of_them
    finally:
        for node in all_of_them:
            await node.kill()


async def test_one_node_holds_all_binds_at_once_and_the_whole_rate(store, clock):
    async with nodes(store, clock, "one", binds=4) as (one,):
        await one.start()
        assert one.open == {0, 1, 2, 3}
        assert one.shares == {"acme": 1.0}


@pytest.mark.parametrize(("binds", "share_of_two"), [(1, [0, 1]), (2, [1, 1]), (4, [2, 2]), (5, [2, 3])])
async def test_two_nodes_share_them_fairly_and_none_is_open_twice(store, clock, binds, share_of_two):
    async with nodes(store, clock, "one", "two", binds=binds, ends_after_s=0.5) as (one, two):
        await one.start()
        await two.start()
        for _ in range(100):
            await clock.advance(0.2)
            assert not one.open & two.open
            assert sum(node.shares.get("acme", 0) for node in (one, two)) <= 1
        assert sorted([len(one.open), len(two.open)]) == share_of_two
        assert one.open | two.open == set(range(binds))
        assert sum(node.shares.get("acme", 0) for node in (one, two)) == pytest.approx(1)


async def test_a_dead_nodes_binds_fall_to_the_others_once_its_claims_lapse(store, clock):
    async with nodes(store, clock, "one", "two", binds=2) as (one, two):
        await one.start()
        await two.start()
        await clock.advance(ROUND_S)
        await one.kill()
        await clock.advance(CLAIM_S - RENEW_S - 1)
        assert len(two.open) == 1
        await clock.advance(2 * RENEW_S + 1)
        assert two.open == {0, 1}
        assert two.shares == {"acme": 1.0}


async def test_a_node_that_stops_gives_back_at_once(store, clock):
    async with nodes(store, clock, "one", "two", binds=1) as (one, two):
        await one.start()
        await two.start()
        await clock.advance(ROUND_S)
        assert (one.open, two.open) == ({0}, set())
        await one.stop()
        await clock.advance(RENEW_S)
        assert two.open == {0}


async def test_a_node_that_cant_reach_the_store_ends_its_binds_before_others_claim_them(store, clock):
    away = StoreOnClock(store.inner, clock)
    one, two = Node("one", away, clock, {"acme": 1}), Node("two", store, clock, {"acme": 1})
    await one.start()
    await two.start()
    await clock.advance(RENEW_S)
    away.away = ("",)
    for _ in range(60):
        await clock.advance(0.5)
        assert not one.open & two.open
    assert (one.open, two.open) == (set(), {0})
    assert one.ended_within_s[0] < CLAIM_S
    away.away = ("nothing",)
    await clock.advance(ROUND_S)
    assert (one.open, two.open) == (set(), {0}), "whoever has it keeps it"
    for node in (one, two):
        await node.kill()


async def test_a_short_break_of_the_store_costs_no_bind(store, clock):
    async with nodes(store, clock, "one", binds=2) as (one,):
        await one.start()
        store.away = ("",)
        await clock.advance(2 * RENEW_S)
        store.away = ("nothing",)
        await clock.advance(CLAIM_S)
        assert one.ended_within_s == []
        assert one.open == {0, 1}
