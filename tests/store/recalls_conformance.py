"""What any Store must do about SMS that carriers are to drop; beside `jobs_conformance.py`, and used like that."""

import asyncio

import pytest

from heliograph.jobs.status import ProcessStatus, SmsProgress, Status
from heliograph.store.interface import RECALL_TRIES, Recall, Store, Submitted, recall_work
from tests.fakes.builders import NOW, a_plan, a_planned_sms, after
from tests.store.conformance import (
    RECEIPT_DUE,
    a_leased_sms,
    a_submitted_sms,
    delivered,
    ended,
    failed,
    heard,
    lease,
    postponed,
    progress_of,
    submitted,
)
from tests.store.jobs_conformance import cancel, reasons

KILL = ProcessStatus.KILL


class RecallsConformance:
    """What `store.interface` promises of `lease_recalls` and `settle_recalls`."""

    async def test_what_the_carrier_has_of_a_killed_sms_is_to_be_called_back(self, store: Store):
        plan, first, second, third = await a_leased_sms(store, parts=3)
        await store.record_outcomes("acme", [submitted(first, "m1"), submitted(second, "m2")])
        await store.record_outcomes("acme", [postponed(third, until=30)])
        assert await recalls(store) == []
        await cancel(store, plan)
        assert await store.lease_recalls("acme", 9, after(60), NOW) == [
            Recall(first.segment.id, "m1", plan.options.src),
            Recall(second.segment.id, "m2", plan.options.src),
        ]

    async def test_what_waited_or_is_over_is_not_called_back(self, store: Store):
        waiting, nameless, done = a_plan(a_planned_sms()), a_plan(a_planned_sms()), a_plan(a_planned_sms())
        for plan in (waiting, nameless, done):
            await store.add_job(plan)
        first, second, third = await lease(store)
        outcomes = [postponed(first, until=30), submitted(second, ""), ended(third)]
        await store.record_outcomes("acme", outcomes)
        for plan in (waiting, nameless, done):
            await cancel(store, plan)
        assert await recalls(store) == []

    async def test_what_was_delivered_of_a_killed_sms_is_not_called_back(self, store: Store):
        plan, first, second = await a_leased_sms(store, parts=2)
        await store.record_outcomes("acme", [submitted(first, "m1"), submitted(second, "m2")])
        await store.record_receipts("acme", [delivered("m1")])
        await cancel(store, plan)
        assert await recalls(store) == ["m2"]

    @pytest.mark.parametrize("is_final", [True, False])
    async def test_what_has_its_final_receipt_since_is_not_called_back(self, store: Store, is_final: bool):
        plan = await a_submitted_sms(store)
        await cancel(store, plan)
        await store.record_receipts("acme", [delivered("m1") if is_final else heard("m1")])
        assert await recalls(store) == ([] if is_final else ["m1"])

    async def test_what_is_taken_after_its_sms_was_killed_is_called_back(self, store: Store):
        plan, part = await a_leased_sms(store)
        await cancel(store, plan, at=1)
        assert await recalls(store, at=1) == []
        await store.record_outcomes("acme", [submitted(part, at=2)])
        assert await recalls(store, at=2) == ["m1"]

    async def test_so_is_what_no_receipt_was_asked_for_until_it_expires(self, store: Store):
        plan, *parts = await a_leased_sms(store, parts=2, receipts=False)
        await cancel(store, plan, at=1)
        for part, message_id in zip(parts, ("m1", "m2"), strict=True):
            taken = Submitted(part.segment.id, message_id, after(2), None, after(100 if message_id == "m1" else 1000))
            await store.record_outcomes("acme", [taken])
        assert await recalls(store, at=100) == ["m2"]
        assert await progress_of(store, plan) == [SmsProgress(KILL, Status.NONE, "", None, after(1))]

    async def test_what_is_not_killed_is_not_called_back_whatever_is_recorded_of_it_twice(self, store: Store):
        await a_submitted_sms(store)
        plan, part = await a_leased_sms(store, receipts=False)
        taken = Submitted(part.segment.id, "m2", after(2), None, after(1000))
        await store.record_outcomes("acme", [taken])
        await store.record_outcomes("acme", [taken])
        await cancel(store, plan)
        assert await recalls(store) == []

    async def test_what_is_leased_to_be_called_back_is_hidden_until_its_lease_is_over_a_few_times(self, store: Store):
        plan = await a_submitted_sms(store)
        await cancel(store, plan)
        told = [await recalls(store, at=at, for_s=60) for at in (0, 59.999, 60, 61, 120, 180, 10_000)]
        assert told == [["m1"], [], ["m1"], [], ["m1"], [], []]
        assert told.count(["m1"]) == RECALL_TRIES

    async def test_what_the_carrier_has_answered_for_is_not_called_back_again(self, store: Store):
        plan, *parts = await a_leased_sms(store, parts=2)
        await store.record_outcomes("acme", [submitted(part, f"m{at}") for at, part in enumerate(parts, 1)])
        await cancel(store, plan)
        assert await recalls(store, for_s=60) == ["m1", "m2"]
        await store.settle_recalls("beta", ["m1", "m2"])
        await store.settle_recalls("acme", ["m2", "m3"])
        assert await recalls(store, at=60) == ["m1"]

    async def test_what_was_answered_for_still_has_its_receipt_told(self, store: Store):
        plan = await a_submitted_sms(store)
        await cancel(store, plan)
        await recalls(store)
        await store.settle_recalls("acme", ["m1"])
        await store.record_receipts("acme", [failed("m1", at=9)])
        assert await reasons(store, plan) == ["no"]

    async def test_nothing_is_called_back_once_its_receipt_would_have_been_due(self, store: Store):
        due_s = (RECEIPT_DUE - NOW).total_seconds()
        plan = await a_submitted_sms(store)
        await cancel(store, plan)
        assert await recalls(store, at=due_s) == []
        assert await recalls(store, at=due_s - 1) == ["m1"]

    async def test_each_carrier_calls_back_its_own_and_no_more_than_it_has_room_for(self, store: Store):
        plan, *parts = await a_leased_sms(store, parts=4)
        await store.record_outcomes("acme", [submitted(part, f"m{at}") for at, part in enumerate(parts, 1)])
        await cancel(store, plan)
        assert await recalls(store, "beta") == []
        assert [await recalls(store, limit=limit) for limit in (1, 2, 9)] == [["m1"], ["m2", "m3"], ["m4"]]

    async def test_what_is_to_be_called_back_wakes_who_waits_for_that(self, store: Store):
        plan = await a_submitted_sms(store)
        woken = asyncio.ensure_future(store.work_arrived(recall_work("acme"), 30))
        await cancel(store, plan)
        await asyncio.wait_for(woken, 60)

    @pytest.mark.parametrize("receipts", [True, False])
    async def test_so_does_what_is_taken_after_its_sms_was_killed(self, store: Store, receipts: bool):
        plan, part = await a_leased_sms(store, receipts=receipts)
        await cancel(store, plan)
        woken = asyncio.ensure_future(store.work_arrived(recall_work("acme"), 30))
        due = (RECEIPT_DUE, None) if receipts else (None, after(100))
        await store.record_outcomes("acme", [Submitted(part.segment.id, "m1", NOW, *due)])
        await asyncio.wait_for(woken, 60)

    @pytest.mark.parametrize("at", [0, 55, 110, 119])
    async def test_so_does_one_of_many_that_are_recorded_at_once(self, store: Store, at: int):
        plans = [a_plan() for _ in range(120)]
        for plan in plans:
            await store.add_job(plan)
        parts = await lease(store, limit=120)
        await cancel(store, plans[at])
        woken = asyncio.ensure_future(store.work_arrived(recall_work("acme"), 30))
        await store.record_outcomes("acme", [submitted(part, f"m{place}") for place, part in enumerate(parts)])
        await asyncio.wait_for(woken, 60)
        assert await recalls(store) == [f"m{at}"]

    async def test_what_is_to_be_called_back_is_forgotten_with_its_job(self, store: Store):
        plan = await a_submitted_sms(store)
        await cancel(store, plan)
        assert await store.forget_jobs(after(1), 10) == 1
        assert await recalls(store, at=1) == []


# What the tests speak of


async def recalls(
    store: Store, carrier: str = "acme", *, at: float = 0, for_s: float = 60, limit: int = 9
) -> list[str]:
    """Lease what a carrier is to drop; the message ids."""
    return [each.message_id for each in await store.lease_recalls(carrier, limit, after(at + for_s), after(at))]
