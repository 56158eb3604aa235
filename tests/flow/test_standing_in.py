"""SMS whose carrier no node has don't wait for ever: contract, DONE when the validity ran out."""

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta

import structlog

from heliograph.carriers.missing import MissingCarrier
from heliograph.flow.dispatch.dispatcher import Dispatcher
from heliograph.flow.dispatch.pacing import Pacer
from heliograph.flow.dispatch.retrying import RetryPolicy
from heliograph.flow.dispatch.standing_in import CLAIM_S, FREE_LOOKS, LOOK_S, REMIND_S, StandIns
from heliograph.jobs.status import PartState, ProcessStatus, Status
from heliograph.metrics import Metrics
from heliograph.store.memory import MemoryStore
from tests.fakes.builders import a_plan, a_planned_sms, after
from tests.fakes.carrier import ScriptedCarrier
from tests.fakes.clock import ManualClock, settle
from tests.flow.running import flow
from tests.flow.stores import StoreOnClock
from tests.store.conformance import lease, postponed, submitted

STANDS_IN_S = FREE_LOOKS * LOOK_S
"""By then a node that dispatches has seen that no other has the carrier."""


@asynccontextmanager
async def node(name, store, clock, *carriers):
    """A node that has these carriers, as far as it tells of them and stands in for others."""

    def stand_in(carrier):
        return Dispatcher(
            MissingCarrier(carrier),
            store,
            clock,
            Metrics(),
            policy=RetryPolicy(unreachable_is_error=False),
            pacer=Pacer(None),
            lease_s=60,
            carriers=carriers,
        )

    stand_ins = StandIns(store, clock, name, [carrier.name for carrier in carriers], stand_in)
    running = asyncio.ensure_future(stand_ins.run())
    await settle()
    try:
        yield stand_ins
    finally:
        running.cancel()
        await settle()


def told(logs):
    return [(line["carrier"], line["sms_count"]) for line in logs if line["event"] == "dispatch.carrier_missing"]


async def test_an_sms_of_a_carrier_that_nobody_has_says_so_and_ends_with_its_validity():
    carrier = ScriptedCarrier("beta", clock := ManualClock())
    async with flow(clock=clock, carrier=carrier) as f, node("one", f.store, clock, carrier):
        plan = a_plan(a_planned_sms(expires=after(300), parts=2))
        await f.add(plan)
        with structlog.testing.capture_logs() as logs:
            await clock.advance(STANDS_IN_S + 1)
        waiting = await f.sms(plan)
        assert (waiting.process_status, waiting.status) == (ProcessStatus.OPEN, Status.NONE)
        assert waiting.reason == "no carrier acme is configured"
        assert told(logs) == [("acme", 1)]
        await clock.advance(300 - STANDS_IN_S)
        end = await f.sms(plan)
        assert (end.process_status, end.status) == (ProcessStatus.DONE, Status.TIMEOUT)
        assert end.reason == "no carrier acme is configured"


async def test_an_sms_that_its_carrier_could_not_be_given_before_ends_with_that_error():
    carrier = ScriptedCarrier("beta", clock := ManualClock())
    async with flow(clock=clock, carrier=carrier) as f, node("one", f.store, clock, carrier):
        plan = a_plan(a_planned_sms(expires=after(300)))
        await f.add(plan)
        (part,) = await lease(f.store.inner)
        await f.store.inner.record_outcomes("acme", [postponed(part, until=10)])
        await clock.advance(301)
        assert await f.status(plan) is Status.CON_ERR


async def test_the_log_reminds_of_it_while_sms_are_left_and_then_no_more():
    carrier = ScriptedCarrier("beta", clock := ManualClock())
    async with flow(clock=clock, carrier=carrier) as f, node("one", f.store, clock, carrier):
        await f.add(a_plan(a_planned_sms(expires=after(REMIND_S + 60)), a_planned_sms(expires=after(300))))
        with structlog.testing.capture_logs() as logs:
            await clock.advance(5 * REMIND_S)
        assert told(logs) == [("acme", 2), ("acme", 1)]
        (end,) = [line for line in logs if line["event"] == "dispatch.stand_in_ended"]
        assert end["reason"] == "none of its SMS is left"


async def test_an_sms_that_may_go_to_a_carrier_that_the_node_has_goes_there():
    carrier = ScriptedCarrier("beta", clock := ManualClock())
    async with flow(clock=clock, carrier=carrier) as f, node("one", f.store, clock, carrier):
        plan = a_plan(a_planned_sms(others=("gamma", "beta")))
        await f.add(plan)
        await clock.advance(STANDS_IN_S + 5)
        assert len(carrier.submitted) == 1
        assert (await f.sms(plan)).status is Status.SUC_FIN


async def test_an_sms_that_such_a_carrier_took_awaits_its_receipt_until_it_is_overdue():
    carrier = ScriptedCarrier("beta", clock := ManualClock())
    async with flow(clock=clock, carrier=carrier) as f, node("one", f.store, clock, carrier):
        plan = a_plan()
        await f.add(plan)
        (part,) = await lease(f.store.inner)
        await f.store.inner.record_outcomes("acme", [submitted(part, receipt_due_at=after(100))])
        await clock.advance(99)
        assert (await f.sms(plan)).process_status is ProcessStatus.RUNNING
        await clock.advance(2)
        assert await f.status(plan) is Status.TIMEOUT


async def test_no_node_stands_in_for_a_carrier_that_another_one_has():
    carrier, acme = ScriptedCarrier("beta", clock := ManualClock()), ScriptedCarrier("acme", clock)
    store = StoreOnClock(MemoryStore(), clock)
    with structlog.testing.capture_logs() as logs:
        async with node("one", store, clock, carrier), node("two", store, clock, carrier, acme):
            plan = a_plan(a_planned_sms(expires=after(100_000)))
            await store.inner.add_job(plan)
            async with node("three", store, clock, acme):
                await clock.advance(100)
            # Only "two" has it now, which takes over the claim.
            await clock.advance(100)
        assert told(logs) == []
        async with node("one", store, clock, carrier):
            await clock.advance(CLAIM_S - 1)
            assert told(logs) == []
            await clock.advance(STANDS_IN_S + LOOK_S + 1)
            assert told(logs) == [("acme", 1)]


async def test_who_stands_in_gives_way_to_a_node_that_has_the_carrier():
    carrier, acme = ScriptedCarrier("beta", clock := ManualClock()), ScriptedCarrier("acme", clock)
    store = StoreOnClock(MemoryStore(), clock)
    async with node("one", store, clock, carrier):
        await store.inner.add_job(a_plan(a_planned_sms(expires=after(100_000))))
        await clock.advance(STANDS_IN_S + 1)
        with structlog.testing.capture_logs() as logs:
            async with node("two", store, clock, acme), flow(store=store, clock=clock, carrier=acme):
                await clock.advance(2 * LOOK_S + 5)
        assert [line["reason"] for line in logs if line["event"] == "dispatch.stand_in_ended"] == ["a node has it"]
        assert len(acme.submitted) == 1


async def test_of_several_nodes_one_stands_in():
    carrier = ScriptedCarrier("beta", clock := ManualClock())
    store = StoreOnClock(MemoryStore(), clock)
    with structlog.testing.capture_logs() as logs:
        async with node("one", store, clock, carrier), node("two", store, clock, carrier):
            await store.inner.add_job(a_plan(a_planned_sms(expires=after(100_000))))
            await clock.advance(REMIND_S / 2)
    assert told(logs) == [("acme", 1)]


async def test_a_store_that_is_away_for_a_while_ends_nothing():
    carrier = ScriptedCarrier("beta", clock := ManualClock())
    async with flow(clock=clock, carrier=carrier) as f, node("one", f.store, clock, carrier):
        plan = a_plan(a_planned_sms(expires=after(300)))
        await f.add(plan)
        f.store.away = ("",)
        await clock.advance(30)
        f.store.away = ("nothing",)
        await clock.advance(271)
        assert (await f.sms(plan)).process_status is ProcessStatus.DONE


async def test_what_is_leased_when_it_ends_is_put_back_first():
    carrier, acme = ScriptedCarrier("beta", clock := ManualClock()), ScriptedCarrier("acme", clock)
    store = StoreOnClock(MemoryStore(), clock)
    plan = a_plan(a_planned_sms(expires=after(100_000)))
    async with node("one", store, clock, carrier):
        await clock.advance(1)
        await store.inner.add_job(plan)
        await clock.advance(STANDS_IN_S + 3)
        store.away = ("record_outcomes",)
        await clock.advance(5)
        async with node("two", store, clock, acme):
            await clock.advance(LOOK_S + 1)
            store.away = ("nothing",)
            await clock.advance(2)
            (part,) = await store.inner.lease_segments("acme", 10, after(1000), clock.now() + timedelta(seconds=10))
            assert part.was is PartState.WAITING
