"""Contract: section 1, "Status of one SMS", receipts; architecture: acknowledged only once they are stored."""

import pytest

from heliograph.flow.receipts import FINAL_STATUSES
from heliograph.jobs.carriage import MessageState, Receipt, receipt_reason
from heliograph.jobs.status import ProcessStatus, Status
from tests.fakes.builders import NOW, a_plan, a_planned_sms, after
from tests.fakes.carrier import taken
from tests.flow.running import flow
from tests.flow.stores import ALL


@pytest.mark.parametrize(
    ("state", "status"),
    [
        (MessageState.DELIVERED, Status.SUC_FIN),
        (MessageState.UNDELIVERABLE, Status.FAILED_FIN),
        (MessageState.REJECTED, Status.FAILED_FIN),
        (MessageState.DELETED, Status.FAILED_FIN),
        (MessageState.EXPIRED, Status.TIMEOUT),
    ],
)
async def test_a_final_receipt_ends_the_sms(state, status):
    plan = a_plan()
    async with flow(lambda _: taken(state)) as f:
        await f.add(plan)
        await f.clock.advance(2)
        sms = await f.sms(plan)
        assert (sms.process_status, sms.status) == (ProcessStatus.DONE, status)
        assert sms.reason.startswith(f"message_state:{state.name} ")


@pytest.mark.parametrize("state", [MessageState.ENROUTE, MessageState.ACCEPTED, MessageState.UNKNOWN, None])
async def test_after_any_other_receipt_more_is_awaited(state):
    plan = a_plan()
    async with flow(lambda _: taken(state, MessageState.DELIVERED)) as f:
        await f.add(plan)
        await f.clock.advance(1.5)
        sms = await f.sms(plan)
        assert (sms.process_status, sms.status) == (ProcessStatus.RUNNING, Status.NONE)
        assert sms.reason.startswith("message_state:")
        await f.clock.advance(1)
        assert await f.status(plan) is Status.SUC_FIN


def test_final_are_the_states_that_carriers_call_final():
    reasons = {state: receipt_reason(Receipt("m1", state, NOW)) for state in MessageState}
    assert set(FINAL_STATUSES) == {state for state, reason in reasons.items() if "(Final)" in reason}


async def test_a_receipt_after_the_end_changes_nothing():
    plan = a_plan()
    async with flow(lambda _: taken(MessageState.DELIVERED, MessageState.UNDELIVERABLE)) as f:
        await f.add(plan)
        await f.clock.advance(1.5)
        before = await f.sms(plan)
        await f.clock.advance(5)
        assert await f.sms(plan) == before
        assert f.carrier.receipts_left == 0


async def test_receipts_are_acknowledged_only_when_they_are_stored():
    plan = a_plan()
    async with flow(lambda _: taken(MessageState.DELIVERED)) as f:
        await f.add(plan)
        await f.clock.advance(0.5)
        f.store.latency_s = lambda: 1.0
        await f.clock.advance(2)
        assert f.carrier.receipts_left == 1
        await f.clock.advance(1)
        assert f.carrier.receipts_left == 0
        f.store.latency_s = lambda: 0.0
        await f.clock.advance(1)
        assert await f.status(plan) is Status.SUC_FIN


async def test_receipts_that_come_while_the_store_is_away_come_again():
    plan = a_plan(a_planned_sms(), a_planned_sms("+4366012345"))
    async with flow(lambda _: taken(MessageState.DELIVERED)) as f:
        await f.add(plan)
        await f.clock.advance(0.5)
        f.store.away = ALL
        await f.clock.advance(60)
        assert f.carrier.receipts_left == 2
        f.store.away = ()
        await f.clock.advance(2)
        assert f.carrier.receipts_left == 0
        assert (await f.sms(plan, 1)).finished_at <= after(62)


async def test_receipts_of_a_killed_process_go_to_the_next():
    plan = a_plan()
    async with flow(lambda _: taken(MessageState.DELIVERED, receipt_after_s=10)) as killed:
        await killed.add(plan)
        await killed.clock.advance(5)
        await killed.stop()
    async with flow(clock=killed.clock, store=killed.store, carrier=killed.carrier) as f:
        await f.clock.advance(10)
        assert await f.status(plan) is Status.SUC_FIN


async def test_a_receipt_that_nobody_can_place_holds_up_no_other():
    plan = a_plan()
    async with flow() as f:
        f.carrier._expect_receipt(0, "stray", MessageState.DELIVERED, 4711)
        await f.add(plan)
        await f.clock.advance(5)
        assert await f.status(plan) is Status.SUC_FIN
