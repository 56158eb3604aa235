"""Contract: section 4. The last four digits of the number decide."""

import asyncio

import pytest

from heliograph.carriers.sandbox import Sandbox
from heliograph.flow.dispatch.retrying import RetryPolicy
from heliograph.jobs.carriage import Accepted, MessageState, Permanence, Refused, Unreachable
from heliograph.jobs.status import Status
from tests.carriers.conformance import CarrierConformance, a_segment
from tests.fakes.builders import a_plan, a_planned_sms, after
from tests.fakes.carrier import ScriptedCarrier, delivered, refused
from tests.fakes.clock import ManualClock, settle
from tests.flow.running import flow


@pytest.fixture
def clock():
    return ManualClock()


class TestSandboxIsACarrier(CarrierConformance):
    @pytest.fixture
    def carrier(self, clock):
        return Sandbox("sandbox", clock)


class TestTheFakeIsACarrier(CarrierConformance):
    """Fakes, not mocks: what other tests rely on keeps to the rules as well."""

    @pytest.fixture
    def carrier(self, clock):
        def script(segment):
            return refused(Permanence.LASTING) if segment.dst == self.refused_dst else delivered()

        return ScriptedCarrier("acme", clock, script)


@pytest.mark.parametrize(
    ("ending", "status", "seconds"),
    [
        ("0001", Status.FAILED_FIN, 1),
        ("0002", Status.TIMEOUT, 1),
        ("0003", Status.NOT_ACC_FIN, 1),
        ("0004", Status.CON_ERR, 10),
        ("0006", Status.SUC_FIN, 4),
        ("1234", Status.SUC_FIN, 1),
    ],
)
async def test_the_last_four_digits_decide(clock, ending, status, seconds):
    plan = a_plan(a_planned_sms(f"+4917612{ending}"))
    policy = RetryPolicy(waits_s=(1, 2, 5), repeat_last=False)
    async with flow(clock=clock, carrier=Sandbox("acme", clock), policy=policy) as f:
        await f.add(plan)
        await f.clock.advance(seconds)
        assert await f.status(plan) is status


async def test_of_0005_no_receipt_ever_comes(clock):
    plan = a_plan(a_planned_sms("+49176120005", expires=after(3600)))
    policy = RetryPolicy(receipt_grace_s=600)
    async with flow(clock=clock, carrier=Sandbox("acme", clock), policy=policy) as f:
        await f.add(plan)
        await f.clock.advance(4199)
        assert (await f.sms(plan)).finished_at is None
        await f.clock.advance(2)
        assert await f.status(plan) is Status.TIMEOUT


async def answer(sandbox, segment):
    sandbox.submit(segment)
    [outcome] = await sandbox.outcomes()
    return outcome


async def test_0003_is_refused_for_good_in_an_smsc_s_words(clock):
    outcome = await answer(Sandbox("sandbox", clock), a_segment(dst="+49176120003"))
    reason = "command_status:ESME_RSUBMITFAIL [00000045] (Permanent) (submit_sm failed.)"
    assert outcome == Refused(a_segment().id, Permanence.LASTING, reason)


async def test_0004_is_never_reachable(clock):
    sandbox = Sandbox("sandbox", clock)
    for _ in range(5):
        assert isinstance(await answer(sandbox, a_segment(dst="+49176120004")), Unreachable)


async def test_0006_is_throttled_twice_and_then_taken(clock):
    sandbox, segment = Sandbox("sandbox", clock), a_segment(dst="+49176120006")
    outcomes = [await answer(sandbox, segment) for _ in range(3)]
    assert [type(outcome) for outcome in outcomes] == [Refused, Refused, Accepted]
    assert outcomes[0].permanence is Permanence.THROTTLED
    assert outcomes[0].reason == "command_status:ESME_RTHROTTLED [00000058] (Temporary) (Throttling error.)"


async def first_receipt(sandbox):
    async with sandbox.receipts() as receipts:
        return receipts[0]


@pytest.mark.parametrize("delay_s", [0, 0.2, 3600])
async def test_a_receipt_comes_after_the_delay(clock, delay_s):
    sandbox = Sandbox("sandbox", clock, delay_s=delay_s)
    sandbox.submit(a_segment())
    waiting = asyncio.ensure_future(first_receipt(sandbox))
    await settle()
    assert waiting.done() == (delay_s == 0)
    await clock.advance(delay_s)
    await settle()
    assert waiting.result().received_at == after(delay_s)


async def test_the_delay_is_200_ms_unless_configured(clock):
    sandbox = Sandbox("sandbox", clock)
    sandbox.submit(a_segment())
    waiting = asyncio.ensure_future(first_receipt(sandbox))
    await clock.advance(0.199)
    assert not waiting.done()
    await clock.advance(0.001)
    assert waiting.done()


class HastyClock(ManualClock):
    """Its sleeps end a hair early, as those of real clocks may."""

    async def sleep(self, seconds):
        await super().sleep(seconds - 0.000_002 if seconds > 0.000_002 else seconds)


async def test_a_clock_that_wakes_early_brings_no_empty_receipts():
    clock = HastyClock()
    sandbox = Sandbox("sandbox", clock)
    sandbox.submit(a_segment())
    waiting = asyncio.ensure_future(first_receipt(sandbox))
    await clock.advance(1)
    assert waiting.result().state is MessageState.DELIVERED


@pytest.mark.parametrize(
    ("ending", "state"),
    [("0001", MessageState.UNDELIVERABLE), ("0002", MessageState.EXPIRED), ("7777", MessageState.DELIVERED)],
)
async def test_receipts_outlive_the_process_that_was_promised_them(clock, ending, state):
    outcome = await answer(Sandbox("sandbox", clock), a_segment(dst=f"+4917612{ending}"))
    restarted = Sandbox("sandbox", clock)
    restarted.awaiting([outcome.message_id])
    waiting = asyncio.ensure_future(first_receipt(restarted))
    await clock.advance(0.2)
    receipt = waiting.result()
    assert (receipt.message_id, receipt.state) == (outcome.message_id, state)


async def test_a_receipt_that_is_promised_already_is_given_once(clock):
    sandbox = Sandbox("sandbox", clock)
    outcome = await answer(sandbox, a_segment())
    sandbox.awaiting([outcome.message_id])
    await clock.advance(0.2)
    async with sandbox.receipts() as receipts:
        assert [receipt.message_id for receipt in receipts] == [outcome.message_id]
    sandbox.awaiting([outcome.message_id])  # Given, but perhaps not stored.
    await clock.advance(0.2)
    assert (await first_receipt(sandbox)).message_id == outcome.message_id
