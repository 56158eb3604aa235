"""Of an SMS that was killed its carrier is told to drop what it has: it may still be stopped (SMPP 3.4, 4.9)."""

import asyncio
from contextlib import asynccontextmanager
from itertools import pairwise

import pytest

from heliograph.flow.cancel import Canceller
from heliograph.flow.recalling import POLL_S, ROOM_POLL_S, STORE_RETRY_S, Recaller
from heliograph.jobs.carriage import MessageState
from heliograph.jobs.status import ProcessStatus, SmsProgress, Status
from heliograph.store.interface import RECALL_TRIES
from heliograph.store.memory import MemoryStore
from tests.fakes.builders import a_plan, a_planned_sms, after, an_account, numbers
from tests.fakes.carrier import taken, unanswered
from tests.fakes.clock import ManualClock, settle
from tests.fakes.recalling import RecallingScriptedCarrier
from tests.flow.running import flow
from tests.flow.stores import StoreOnClock

ACCOUNT = an_account(id=1)
LEASE_S = 60
LONG_S = 4 * RECALL_TRIES * (LEASE_S + POLL_S)
"""Within which it would have been told again, if it were to be. Not days: the dispatcher beside it looks for work four
times a second."""
UNTOLD = taken(MessageState.DELIVERED, receipt_after_s=100_000)


@asynccontextmanager
async def recalling(script=lambda segment: UNTOLD, *, store=None, clock=None, **options):
    """A flow whose carrier can recall, and a recaller for it."""
    clock = clock or ManualClock()
    store = store or StoreOnClock(MemoryStore(), clock)
    carrier = RecallingScriptedCarrier("acme", clock, script, **options)
    async with flow(carrier=carrier, store=store, clock=clock) as running:
        telling = asyncio.ensure_future(Recaller(carrier, store, clock, lease_s=LEASE_S).run())
        try:
            yield running
        finally:
            telling.cancel()


async def cancel(running, plan):
    await Canceller(running.store.inner, running.clock, running.metrics).cancel(ACCOUNT, plan.job_id)
    await settle()


async def a_killed_sms(running, **options):
    """One that its carrier has."""
    plan = a_plan(a_planned_sms(), **options)
    await running.add(plan)
    await running.clock.advance(5)
    await cancel(running, plan)
    return plan


async def test_the_carrier_is_told_at_once_and_once_with_the_sender_of_the_submission():
    async with recalling() as running:
        await a_killed_sms(running, src="Helio")
        assert running.carrier.cancelled == [(after(5), "acme-1", "Helio")]
        await running.clock.advance(LONG_S)
        assert len(running.carrier.cancelled) == 1


async def test_of_a_long_sms_it_is_told_of_each_part_that_it_has():
    async with recalling(window=2) as running:
        running.carrier.script = lambda segment: UNTOLD if segment.part < 3 else unanswered(taken=False)
        plan = a_plan(a_planned_sms(parts=5))
        await running.add(plan)
        await running.clock.advance(5)
        await cancel(running, plan)
        await running.clock.advance(1000)
        assert len(running.carrier.cancelled) == len(set(running.carrier.cancelled_ids)) == 2


@pytest.mark.parametrize("receipts", [True, False])
async def test_what_it_takes_after_the_kill_it_is_told_of_then(receipts):
    async with recalling(lambda segment: taken(after_s=10, receipt_after_s=1000)) as running:
        plan = a_plan(receipts=receipts)
        await running.add(plan)
        await running.clock.advance(5)
        await cancel(running, plan)
        assert running.carrier.cancelled == []
        await running.clock.advance(10)
        assert running.carrier.cancelled == [(after(10), "acme-1", plan.options.src)]
        assert (await running.sms(plan)).process_status is ProcessStatus.KILL


@pytest.mark.parametrize("drops", [True, False, None])
async def test_whatever_it_answers_the_status_stays_and_the_receipt_is_told(drops):
    async with recalling(lambda segment: taken(MessageState.DELETED, receipt_after_s=30)) as running:
        running.carrier.drops = drops
        plan = await a_killed_sms(running)
        before = await running.sms(plan)
        assert before == SmsProgress(ProcessStatus.KILL, Status.NONE, "", before.sent_at, after(5))
        await running.clock.advance(60)
        told = await running.sms(plan)
        assert told.reason.startswith("message_state:DELETED")
        assert (told.process_status, told.status) == (ProcessStatus.KILL, Status.NONE)


async def test_a_carrier_that_says_nothing_is_told_a_few_times_and_no_more():
    async with recalling() as running:
        running.carrier.drops = None
        await a_killed_sms(running)
        await running.clock.advance(LONG_S)
        instants = [at for at, _, _ in running.carrier.cancelled]
        assert len(instants) == RECALL_TRIES
        for earlier, later in pairwise(instants):
            assert LEASE_S <= (later - earlier).total_seconds() <= LEASE_S + POLL_S


async def test_one_that_cannot_be_reached_is_told_when_it_can_be_again():
    async with recalling() as running:
        plan = a_plan()
        await running.add(plan)
        await running.clock.advance(5)
        running.carrier.unreachable = "no bind"
        await cancel(running, plan)
        await running.clock.advance(5000)
        assert running.carrier.cancelled == []
        running.carrier.unreachable = ""
        await running.clock.advance(ROOM_POLL_S + POLL_S)
        assert running.carrier.cancelled_ids == ["acme-1"]


async def test_nothing_is_asked_of_the_store_while_the_carrier_cannot_be_reached():
    async with recalling() as running:
        running.carrier.unreachable = "no bind"
        await running.clock.advance(POLL_S)
        running.store.away = ("lease_recalls", "work_arrived")
        await running.clock.advance(1000)
        running.carrier.unreachable = ""
        running.store.away = ()
        await a_killed_sms(running)
        assert running.carrier.cancelled_ids == ["acme-1"]


async def test_many_are_told_as_fast_as_there_is_room_for_them():
    async with recalling() as running:
        running.carrier.most_at_once = 3
        plan = a_plan(*(a_planned_sms(dst) for dst in numbers(40)))
        await running.add(plan)
        await running.clock.advance(5)
        await cancel(running, plan)
        await running.clock.advance(40 * ROOM_POLL_S)
        assert len(running.carrier.cancelled) == len(set(running.carrier.cancelled_ids)) == 40


async def test_after_a_crash_it_is_told_of_what_it_was_not_told_of():
    async with recalling() as before:
        plan = a_plan()
        await before.add(plan)
        await before.clock.advance(5)
    await Canceller(before.store.inner, before.clock, before.metrics).cancel(ACCOUNT, plan.job_id)
    async with recalling(store=before.store, clock=before.clock) as running:
        await running.clock.advance(POLL_S)
        assert running.carrier.cancelled_ids == ["acme-1"]


async def test_a_store_that_is_away_holds_it_up_and_no_more():
    async with recalling() as running:
        running.store.away = ("lease_recalls",)
        await a_killed_sms(running)
        await running.clock.advance(60)
        assert running.carrier.cancelled == []
        running.store.away = ("settle_recalls",)
        await running.clock.advance(STORE_RETRY_S)
        assert running.carrier.cancelled_ids == ["acme-1"]
        running.store.away = ()
        await running.clock.advance(LEASE_S + POLL_S)
        assert running.carrier.cancelled_ids == ["acme-1", "acme-1"], "nobody knew that it had answered"
        await running.clock.advance(LONG_S)
        assert len(running.carrier.cancelled) == 2


async def test_two_nodes_tell_it_once():
    clock = ManualClock()
    store = StoreOnClock(MemoryStore(), clock)
    async with recalling(store=store, clock=clock) as one, recalling(store=store, clock=clock) as other:
        plan = a_plan(*(a_planned_sms(dst) for dst in numbers(30)))
        await one.add(plan)
        await clock.advance(5)
        await cancel(one, plan)
        await clock.advance(LONG_S)
        assert len(one.carrier.cancelled) + len(other.carrier.cancelled) == 30


async def test_nothing_is_told_that_has_its_final_receipt():
    async with recalling(lambda segment: taken(MessageState.DELIVERED, receipt_after_s=30)) as running:
        plan = a_plan()
        await running.add(plan)
        await running.clock.advance(5)
        running.carrier.unreachable = "no bind"
        await cancel(running, plan)
        await running.clock.advance(60)
        running.carrier.unreachable = ""
        await running.clock.advance(1000)
        assert running.carrier.cancelled == []
