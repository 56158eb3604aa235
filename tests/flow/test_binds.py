"""Nodes share the binds that a carrier agreed to, and its rate, and take over from each other."""

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from heliograph.flow.binds import CLAIM_S, LAST_ANSWERS_S, MARGIN_S, RENEW_S, Binds
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


@pytest.mark.parametrize("hangs_s", [23, 36, 300])
async def test_a_node_whose_store_hangs_ends_its_binds_before_others_claim_them(store, clock, hangs_s):
    hanging = StoreOnClock(store.inner, clock)
    one, two = Node("one", hanging, clock, {"acme": 2}, LAST_ANSWERS_S), Node("two", store, clock, {"acme": 2})
    await one.start()
    await two.start()
    await clock.advance(ROUND_S + LAST_ANSWERS_S)
    assert (len(one.open), len(two.open)) == (1, 1)
    hanging.latency_s = lambda: hangs_s
    for passed in range(2 * hangs_s):
        await clock.advance(0.5)
        assert not one.open & two.open
        hanging.latency_s = lambda passed=passed: max(0, hangs_s - passed / 2)
        if passed > 2 * (CLAIM_S + RENEW_S):
            assert (one.open, two.open) == (set(), {0, 1})
    for _ in range(60):
        await clock.advance(0.5)
        assert not one.open & two.open
    assert (len(one.open), len(two.open)) == (1, 1), "when it is back they share again"
    for node in (one, two):
        await node.kill()


async def test_a_claim_that_took_too_long_gains_nothing(store, clock):
    async with nodes(store, clock, "one", binds=1) as (one,):
        store.answers_late_s = {"claim": CLAIM_S}
        await one.start()
        await clock.advance(CLAIM_S)
        assert one.open == set()
        store.answers_late_s = {}
        await clock.advance(2 * ROUND_S)
        assert one.open == {0}


async def test_after_a_pause_of_the_process_nothing_is_sent_over_what_others_may_have(store, clock):
    async with nodes(store, clock, "one", binds=1) as (one,):
        await one.start()
        rights = one.binds.of("acme")
        stand_still(clock, CLAIM_S - MARGIN_S - 1)
        assert rights.has(0)
        stand_still(clock, 1)
        assert not rights.has(0), "before anything else had its turn"


def stand_still(clock, seconds):
    clock._elapsed_us += round(seconds * 1_000_000)


async def test_a_bind_that_another_node_has_may_wait_a_little_for_its_last_answers(store, clock):
    async with nodes(store, clock, "one", binds=1) as (one,):
        await one.start()
        stand_still(clock, CLAIM_S)
        assert await store.claim("bind 0 of acme", "two", clock.now() + timedelta(seconds=CLAIM_S), clock.now())
        await clock.advance(RENEW_S)
        assert (one.open, one.ended_within_s) == (set(), [LAST_ANSWERS_S])


async def test_a_short_break_of_the_store_costs_no_bind(store, clock):
    async with nodes(store, clock, "one", binds=2) as (one,):
        await one.start()
        store.away = ("",)
        await clock.advance(2 * RENEW_S)
        store.away = ("nothing",)
        await clock.advance(CLAIM_S)
        assert one.ended_within_s == []
        assert one.open == {0, 1}
