"""Contract: section 2, `DELETE /jobs/{jobId}`: what waits never goes out, whatever was on its way meanwhile."""

import pytest

from heliograph.flow.cancel import Canceller
from heliograph.flow.dispatch.retrying import RetryPolicy
from heliograph.jobs.accounts import OnUnknown
from heliograph.jobs.carriage import MessageState, Permanence
from heliograph.jobs.errors import JobUnknown
from heliograph.jobs.status import ProcessStatus, SmsProgress, Status
from tests.fakes.builders import NOW, a_plan, a_planned_sms, after, an_account, numbers
from tests.fakes.carrier import refused, taken, unanswered
from tests.flow.running import Flow, flow

ACCOUNT = an_account(id=1)
CANCELED, KILL = ProcessStatus.CANCELED, ProcessStatus.KILL


async def cancel(running: Flow, plan) -> None:
    await Canceller(running.store, running.clock, running.metrics).cancel(ACCOUNT, plan.job_id)


async def test_what_is_scheduled_is_never_submitted():
    plan = a_plan(a_planned_sms(due=after(60)))
    async with flow() as running:
        await running.add(plan)
        await running.clock.advance(59)
        await cancel(running, plan)
        await running.clock.advance(1000)
        assert running.carrier.taken == []
        assert await running.sms(plan) == SmsProgress(CANCELED, Status.NONE, "", None, after(59))


async def test_what_waits_for_another_try_is_not_tried_again():
    plan = a_plan()
    async with flow(lambda segment: refused(Permanence.PASSING)) as running:
        await running.add(plan)
        await running.clock.advance(1)
        await cancel(running, plan)
        tries = dict(running.carrier.submit_counts)
        await running.clock.advance(900)
        assert dict(running.carrier.submit_counts) == tries
        assert (await running.sms(plan)).process_status is CANCELED
        assert await running.status(plan) is Status.NOT_ACC_REC


@pytest.mark.parametrize(
    "play",
    [
        refused(Permanence.PASSING, after_s=10),
        refused(Permanence.LASTING, after_s=10),
        unanswered(taken=True),
        taken(MessageState.DELIVERED, after_s=10, receipt_after_s=10_000),
    ],
)
@pytest.mark.parametrize("on_unknown", OnUnknown)
async def test_what_is_being_submitted_is_killed_and_its_answer_changes_nothing(play, on_unknown):
    plan = a_plan(on_unknown=on_unknown)
    async with flow(lambda segment: play) as running:
        await running.add(plan)
        await running.clock.advance(5)
        await cancel(running, plan)
        await running.clock.advance(900)
        assert await running.sms(plan) == SmsProgress(KILL, Status.NONE, "", None, after(5))
        assert [*running.carrier.submit_counts.values()] == [1]


async def test_a_receipt_that_comes_after_a_kill_is_told_in_the_reason():
    plan = a_plan()
    async with flow(lambda segment: taken(MessageState.DELIVERED, receipt_after_s=30)) as running:
        await running.add(plan)
        await running.clock.advance(5)
        await cancel(running, plan)
        before = await running.sms(plan)
        assert (before.process_status, before.reason, before.finished_at) == (KILL, "", after(5))
        await running.clock.advance(60)
        delivered = "message_state:DELIVERED [00000002] (Final) (Message is delivered to destination.)"
        assert await running.sms(plan) == SmsProgress(KILL, Status.NONE, delivered, before.sent_at, after(5))


async def test_so_is_one_for_what_was_being_submitted():
    plan = a_plan()
    async with flow(lambda segment: taken(MessageState.UNDELIVERABLE, after_s=10, receipt_after_s=30)) as running:
        await running.add(plan)
        await running.clock.advance(5)
        await cancel(running, plan)
        await running.clock.advance(60)
        progress = await running.sms(plan)
        assert (progress.process_status, progress.status) == (KILL, Status.NONE)
        assert progress.reason.startswith("message_state:UNDELIVERABLE")


async def test_of_an_sms_in_parts_those_that_wait_never_go():
    plan = a_plan(a_planned_sms(parts=5))
    async with flow(window=2, lease_s=60, policy=RetryPolicy()) as running:
        running.carrier.script = lambda segment: taken(after_s=10)
        await running.add(plan)
        await running.clock.advance(5)
        await cancel(running, plan)
        await running.clock.advance(900)
        assert len(running.carrier.submit_counts) == 2
        assert (await running.sms(plan)).process_status is KILL


async def test_after_a_crash_nothing_that_was_cancelled_goes_out():
    plan, other = a_plan(a_planned_sms(numbers(2)[0])), a_plan(a_planned_sms(numbers(2)[1]))
    async with flow(lambda segment: unanswered(taken=False)) as before:
        await before.add(plan, other)
        await before.clock.advance(1)
        await cancel(before, plan)
        await before.stop()
    async with flow(store=before.store, clock=before.clock) as running:
        await running.clock.advance(1000)
        assert [segment.dst for segment in running.carrier.taken] == [numbers(2)[1]]


async def test_what_is_cancelled_is_counted_once():
    plan = a_plan(a_planned_sms(due=after(60)), a_planned_sms(due=after(60)), a_planned_sms(numbers(1)[0]))
    async with flow(lambda segment: taken(receipt_after_s=1)) as running:
        await running.add(plan)
        await cancel(running, plan)
        await cancel(running, plan)
        count = running.metrics.registry.get_sample_value
        assert count("heliograph_parts_finished_total", {"status": "CANCELED"}) == 2
        assert count("heliograph_parts_finished_total", {"status": "KILL"}) == 1


async def test_another_accounts_job_is_unknown():
    plan = a_plan(a_planned_sms(due=after(60)), account=2)
    async with flow() as running:
        await running.add(plan)
        with pytest.raises(JobUnknown, match=plan.job_id):
            await cancel(running, plan)
        assert (await running.sms(plan)).process_status is ProcessStatus.OPEN


async def test_the_end_is_in_whole_milliseconds():
    plan = a_plan(a_planned_sms(due=after(60)))
    async with flow() as running:
        await running.add(plan)
        await running.clock.advance(0.0019)
        await cancel(running, plan)
        assert (await running.sms(plan)).finished_at == after(0.001)
        assert after(0) == NOW
