"""Style, property tests: any interleaving of two dispatchers submits a segment at most once per lease."""

import asyncio
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from heliograph.jobs.status import Status
from heliograph.store.memory import MemoryStore
from tests.fakes.builders import a_plan, a_planned_sms, numbers
from tests.fakes.carrier import ScriptedCarrier, delivered
from tests.fakes.clock import ManualClock
from tests.fakes.ids import SeededIds
from tests.flow.running import flow
from tests.flow.stores import StoreOnClock


class LeasesCounted(StoreOnClock):
    def __init__(self, inner, clock):
        super().__init__(inner, clock)
        self.leases = Counter()

    async def lease_segments(self, *arguments):
        leased = await self.__getattr__("lease_segments")(*arguments)
        self.leases.update(part.segment.id for part in leased)
        return leased


async def two_at_work(seed, lease_s):
    """How often each segment was leased and submitted, and what became of all SMS."""
    ids = SeededIds(seed)

    def one_of(*choices):
        return choices[ids.number(len(choices))]

    clock = ManualClock()
    store = LeasesCounted(MemoryStore(), clock)
    store.latency_s = lambda: one_of(0, 0, 0.001, 0.01, 0.1)
    plans = [a_plan(*(a_planned_sms(dst, parts=parts) for dst in numbers(6))) for parts in (1, 3, 1)]

    def script(_):
        return delivered(after_s=one_of(0, 0.05, 1, 5))

    carriers = [ScriptedCarrier("acme", clock, script, window=1 + ids.number(8), node=node) for node in "ab"]
    async with (
        flow(clock=clock, store=store, carrier=carriers[0], lease_s=lease_s) as f,
        flow(clock=clock, store=store, carrier=carriers[1], lease_s=lease_s),
    ):
        for plan in plans:
            await f.add(plan)
            await clock.advance(one_of(0, 0.01, 1))
        await clock.advance(200)
        submitted = Counter(segment.id for carrier in carriers for _, segment in carrier.submitted)
        statuses = {await f.status(plan, index) for plan in plans for index in range(6)}
    return store.leases, submitted, statuses


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_while_leases_hold_each_segment_is_submitted_once(seed):
    _, submitted, statuses = asyncio.run(two_at_work(seed, lease_s=60))
    assert set(submitted.values()) == {1}
    assert statuses == {Status.SUC_FIN}


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_a_segment_is_submitted_at_most_once_per_lease(seed):
    leases, submitted, statuses = asyncio.run(two_at_work(seed, lease_s=0.5))
    assert all(count <= leases[segment] for segment, count in submitted.items())
    assert statuses == {Status.SUC_FIN}
