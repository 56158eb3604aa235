"""Contract: section 1, "Status of one SMS" and `qos`; architecture, sections 1 and 5."""

import asyncio
from collections import Counter
from datetime import timedelta
from itertools import pairwise

import pytest

from heliograph.flow.dispatch.dispatcher import AT_A_STRETCH, LATE_LEASE_S, MAX_BATCH
from heliograph.flow.dispatch.retrying import RetryPolicy
from heliograph.jobs.accounts import OnUnknown
from heliograph.jobs.carriage import Accepted, MessageState, Permanence
from heliograph.jobs.options import Qos
from heliograph.jobs.schedule import Period
from heliograph.jobs.status import PartState, ProcessStatus, Status
from heliograph.store.memory import MemoryStore
from tests.fakes.builders import NOW, a_plan, a_planned_sms, after, numbers
from tests.fakes.carrier import ScriptedCarrier, delivered, refused, taken, unanswered, unreachable
from tests.fakes.clock import ManualClock
from tests.flow.running import LEASE_S, flow
from tests.flow.stores import ALL, StoreOnClock

SANDBOX_POLICY = RetryPolicy(waits_s=(1, 2, 5), repeat_last=False)


def a_plan_for(how_many, **options):
    return a_plan(*(a_planned_sms(dst) for dst in numbers(how_many)), **options)


def waits_between(instants):
    return [(later - earlier).total_seconds() for earlier, later in pairwise(instants)]


class OnceThen:
    """Plays `first` for the first submissions, one each, and then `others`."""

    def __init__(self, *first, others=None):
        self._first = list(first)
        self._others = others or delivered()

    def __call__(self, segment):
        return self._first.pop(0) if self._first else self._others


# What becomes of an SMS


async def test_what_was_leased_while_the_store_hung_is_not_sent_with_that_lease():
    clock = ManualClock()
    store = StoreOnClock(MemoryStore(), clock)
    plan = a_plan()
    async with flow(clock=clock, store=store) as f:
        store.answers_late_s = {"lease_segments": LATE_LEASE_S + 1}
        await f.add(plan)
        await clock.advance(LATE_LEASE_S)
        store.answers_late_s = {}
        assert f.carrier.submitted == []
        await clock.advance(1.5)
        assert f.carrier.instants == [after(LATE_LEASE_S + 1)]
        await clock.advance(2)
        assert await f.status(plan) is Status.SUC_FIN


async def test_what_was_leased_for_binds_that_are_gone_by_now_waits_for_whoever_has_them():
    clock = ManualClock()
    store = StoreOnClock(MemoryStore(), clock)
    plan = a_plan()
    async with flow(clock=clock, store=store) as f:
        store.answers_late_s = {"lease_segments": 5}
        await f.add(plan)
        f.carrier._window = 0
        store.answers_late_s = {}
        await clock.advance(6)
        assert f.carrier.submitted == []
        assert [part.was for part in await store.lease_segments("acme", 10, after(100), clock.now())] == [
            PartState.WAITING
        ]


async def test_an_sms_leaves_at_once():
    async with flow() as f:
        await f.add(a_plan())
        assert f.carrier.instants == [NOW]


async def test_a_delivered_sms_is_done_with_its_receipt():
    plan = a_plan()
    async with flow() as f:
        await f.add(plan)
        await f.clock.advance(0.5)
        running = await f.sms(plan)
        assert (running.process_status, running.status) == (ProcessStatus.RUNNING, Status.NONE)
        assert running.sent_at == after(0.05)
        await f.clock.advance(1)
        done = await f.sms(plan)
        assert (done.process_status, done.status, done.finished_at) == (ProcessStatus.DONE, Status.SUC_FIN, after(1))


async def test_an_sms_without_a_receipt_asked_for_is_done_when_the_carrier_took_it():
    plan = a_plan(receipts=False)
    async with flow() as f:
        await f.add(plan)
        await f.clock.advance(1)
        assert await f.status(plan) is Status.SUC_ACC


@pytest.mark.parametrize(
    ("permanence", "status"),
    [(Permanence.LASTING, Status.NOT_ACC_FIN), (Permanence.BAD_NUMBER, Status.INVALID_DST)],
)
async def test_a_lasting_refusal_is_final(permanence, status):
    plan = a_plan()
    async with flow(lambda _: refused(permanence)) as f:
        await f.add(plan)
        await f.clock.advance(1000)
        assert await f.status(plan) is status
        assert len(f.carrier.submitted) == 1


async def test_a_silent_carrier_is_a_timeout_after_validity_and_grace():
    plan = a_plan(a_planned_sms(expires=after(600)))
    async with flow(lambda _: taken(), policy=RetryPolicy(receipt_grace_s=100)) as f:
        await f.add(plan)
        await f.clock.advance(699)
        assert (await f.sms(plan)).process_status is ProcessStatus.RUNNING
        await f.clock.advance(2)
        assert await f.status(plan) is Status.TIMEOUT


async def test_receipts_that_say_nothing_final_end_as_a_status_error():
    plan = a_plan(a_planned_sms(expires=after(600)))
    async with flow(lambda _: taken(MessageState.ENROUTE, None), policy=RetryPolicy(receipt_grace_s=100)) as f:
        await f.add(plan)
        await f.clock.advance(699)
        assert (await f.sms(plan)).process_status is ProcessStatus.RUNNING
        await f.clock.advance(2)
        assert await f.status(plan) is Status.STATUS_ERR


async def test_a_receipt_that_overtakes_its_answer_counts():
    plan = a_plan()
    async with flow(lambda _: taken(MessageState.DELIVERED, after_s=5, receipt_after_s=1)) as f:
        await f.add(plan)
        await f.clock.advance(10)
        assert await f.status(plan) is Status.SUC_FIN


async def test_an_sms_in_several_parts_is_delivered_when_all_parts_are():
    plan = a_plan(a_planned_sms(parts=3))
    script = OnceThen(delivered(), taken(MessageState.DELIVERED, receipt_after_s=20))
    async with flow(script) as f:
        await f.add(plan)
        assert [(segment.part, segment.parts) for _, segment in f.carrier.submitted] == [(1, 3), (2, 3), (3, 3)]
        await f.clock.advance(19)
        assert (await f.sms(plan)).process_status is ProcessStatus.RUNNING
        await f.clock.advance(2)
        assert await f.status(plan) is Status.SUC_FIN


async def test_an_sms_in_several_parts_is_failed_when_one_part_is():
    plan = a_plan(a_planned_sms(parts=3))
    async with flow(OnceThen(delivered(), taken(MessageState.UNDELIVERABLE))) as f:
        await f.add(plan)
        await f.clock.advance(5)
        assert await f.status(plan) is Status.FAILED_FIN


# Others on the event loop


class Bystander:
    """Somebody else on the event loop: counts its turns, and in which of them something happened."""

    def __init__(self):
        self._turn = 0
        self._happened = Counter()

    def take_turns(self, count=100):
        self._turn += 1
        if count > 1:
            asyncio.get_running_loop().call_soon(self.take_turns, count - 1)

    def noted(self, each):
        self._happened[self._turn] += 1
        return each

    @property
    def most_at_once(self):
        return max(self._happened.values())


async def test_others_have_turns_while_a_batch_is_submitted():
    bystander = Bystander()
    async with flow(lambda _: bystander.noted(delivered()), window=MAX_BATCH) as f:
        bystander.take_turns()
        await f.add(a_plan_for(MAX_BATCH))
        assert len(f.carrier.submitted) == MAX_BATCH
        assert bystander.most_at_once == AT_A_STRETCH


async def test_others_have_turns_while_a_batch_is_settled():
    bystander = Bystander()

    class Answers(list):
        def __iter__(self):
            bystander.take_turns()
            return map(bystander.noted, super().__iter__())

    class Carrier(ScriptedCarrier):
        async def outcomes(self):
            return Answers(await super().outcomes())

    clock = ManualClock()
    plan = a_plan_for(MAX_BATCH)
    async with flow(clock=clock, carrier=Carrier("acme", clock, window=MAX_BATCH)) as f:
        await f.add(plan)
        await clock.advance(2)
        assert {await f.status(plan, index) for index in range(MAX_BATCH)} == {Status.SUC_FIN}
        assert bystander.most_at_once == AT_A_STRETCH + 1, "it has the next one in its hand by then"


# The window


async def test_no_more_than_a_window_is_unanswered():
    async with flow(lambda _: delivered(after_s=1), window=3) as f:
        await f.add(a_plan_for(10))
        assert len(f.carrier.submitted) == 3
        await f.clock.advance(1)
        assert len(f.carrier.submitted) == 6
        await f.clock.advance(5)
        assert len(f.carrier.submitted) == 10
        assert f.carrier.most_unanswered == 3


async def test_a_slot_is_free_only_when_the_outcome_before_is_stored():
    async with flow(lambda _: delivered(after_s=1), window=3) as f:
        await f.add(a_plan_for(10))
        f.store.away = ("record",)
        await f.clock.advance(10)
        assert not f.carrier.unanswered
        assert len(f.carrier.submitted) == 3
        f.store.away = ()
        await f.clock.advance(1)
        assert len(f.carrier.submitted) == 6


async def test_one_unanswered_submission_holds_up_no_other():
    async with flow(OnceThen(unanswered(taken=True)), window=3) as f:
        await f.add(a_plan_for(50))
        await f.clock.advance(5)
        assert len(f.carrier.submitted) == 50


async def test_a_job_that_comes_while_others_are_unanswered_leaves_at_once():
    async with flow(lambda _: unanswered(taken=True), window=3) as f:
        await f.add(a_plan_for(2))
        await f.clock.advance(10)
        await f.add(a_plan())
        assert f.carrier.instants[-1] == after(10)


async def test_what_waits_for_a_slot_leaves_when_it_is_free():
    async with flow(lambda _: delivered(after_s=0.1), window=1) as f:
        await f.add(a_plan_for(3))
        await f.clock.advance(1)
        assert waits_between(f.carrier.instants) == [0.1, 0.1]


# Order and pace


async def test_express_overtakes_every_normal_sms_that_is_waiting():
    async with flow(lambda _: delivered(after_s=1), window=1) as f:
        await f.add(a_plan_for(3))
        await f.add(a_plan(a_planned_sms("+4366012345"), qos=Qos.EXPRESS))
        await f.clock.advance(2)
        assert f.carrier.dsts == [numbers(1)[0], "+4366012345", numbers(2)[1]]
        assert [segment.express for _, segment in f.carrier.submitted] == [False, True, False]


async def test_a_window_that_stands_still_holds_up_no_express_sms():
    async with flow(lambda _: unanswered(taken=False), window=10, express_share=0.2) as f:
        await f.add(a_plan_for(20))
        await f.clock.advance(1)
        assert len(f.carrier.dsts) == 8, "NORMAL ones leave their share free"
        await f.add(a_plan(*(a_planned_sms(f"+436601234{number}") for number in range(3)), qos=Qos.EXPRESS))
        await f.clock.advance(0.1)
        assert f.carrier.dsts[8:] == ["+4366012340", "+4366012341"], "and that share has its end as well"


async def test_express_ones_may_have_the_whole_window_and_the_others_go_on_when_there_is_room():
    async with flow(lambda _: delivered(after_s=1), window=4, express_share=0.5) as f:
        await f.add(a_plan(*(a_planned_sms(f"+436601234{number}") for number in range(4)), qos=Qos.EXPRESS))
        await f.add(a_plan_for(6))
        await f.clock.advance(0.5)
        assert [segment.express for _, segment in f.carrier.submitted] == [True] * 4
        await f.clock.advance(10)
        assert [segment.express for _, segment in f.carrier.submitted] == [True] * 4 + [False] * 6
        starts = Counter(f.carrier.instants[4:])
        assert max(starts.values()) == 2


async def test_no_second_sees_more_than_the_rate_and_its_burst():
    async with flow(window=1000, rate_per_s=20) as f:
        await f.add(a_plan_for(200))
        await f.clock.advance(20)
        instants = f.carrier.instants
        assert len(instants) == 200
        for instant in instants:
            in_this_second = [other for other in instants if instant <= other < instant + timedelta(seconds=1)]
            assert len(in_this_second) <= 20 + 2
        assert after(9) < instants[-1] < after(11)


# When


async def test_a_scheduled_sms_leaves_within_a_second_of_its_instant():
    async with flow() as f:
        await f.add(a_plan(a_planned_sms(due=after(3600.1))))
        await f.clock.advance(3600)
        assert f.carrier.submitted == []
        await f.clock.advance(2)
        assert after(3600.1) <= f.carrier.instants[0] <= after(3601.1)


async def test_an_sms_that_waited_into_its_blackout_period_leaves_at_its_end():
    night = Period(after(60), after(3600))
    script = OnceThen(delivered(after_s=100))
    async with flow(script, window=1, lease_s=1000) as f:
        await f.add(a_plan(a_planned_sms()))
        await f.add(a_plan(a_planned_sms("+4366012345", blackouts=(night,), expires=after(86_400))))
        await f.clock.advance(3600 - 1)
        assert f.carrier.dsts == [a_planned_sms().dst]
        await f.clock.advance(2)
        assert f.carrier.dsts[-1] == "+4366012345"
        assert after(3600) <= f.carrier.instants[-1] <= after(3600 + 1)


async def test_blackout_periods_hold_for_retries():
    night = Period(after(3), after(3600))
    async with flow(OnceThen(refused(Permanence.PASSING))) as f:
        await f.add(a_plan(a_planned_sms(blackouts=(night,))))
        await f.clock.advance(3700)
        assert f.carrier.instants[0] == NOW
        assert after(3600) <= f.carrier.instants[1] <= after(3601)


async def test_an_sms_whose_validity_ran_out_while_it_waited_is_a_timeout():
    plan = a_plan(a_planned_sms("+4366012345", expires=after(50)))
    async with flow(OnceThen(delivered(after_s=100)), window=1, lease_s=1000) as f:
        await f.add(a_plan(), plan)
        await f.clock.advance(200)
        assert len(f.carrier.submitted) == 1
        assert await f.status(plan) is Status.TIMEOUT


async def test_a_blackout_period_beyond_the_validity_ends_the_sms_when_its_validity_does():
    plan = a_plan(a_planned_sms(expires=after(600), blackouts=(Period(after(3), after(7200)),)))
    async with flow(OnceThen(refused(Permanence.PASSING))) as f:
        await f.add(plan)
        await f.clock.advance(599)
        assert await f.status(plan) is Status.NOT_ACC_REC
        await f.clock.advance(2)
        assert await f.status(plan) is Status.CON_ERR


# Retries


@pytest.mark.parametrize("play", [unreachable(), refused(Permanence.PASSING, after_s=0)])
async def test_retries_wait_5_15_60_300_and_then_every_900_s(play):
    plan = a_plan(a_planned_sms(expires=after(3500)))
    async with flow(lambda _: play) as f:
        await f.add(plan)
        await f.clock.advance(3600)
        waits = waits_between(f.carrier.instants)
        assert waits == pytest.approx([5, 15, 60, 300, 900, 900, 900], abs=1)


async def test_while_it_waits_to_be_tried_again_an_sms_shows_the_last_error():
    plan = a_plan()
    async with flow(lambda _: unreachable()) as f:
        await f.add(plan)
        await f.clock.advance(1)
        sms = await f.sms(plan)
        assert (sms.process_status, sms.status) == (ProcessStatus.OPEN, Status.CON_ERR)


async def test_a_carrier_that_can_not_be_reached_while_the_validity_lasts_is_a_connection_error():
    plan = a_plan(a_planned_sms(expires=after(600)))
    async with flow(lambda _: unreachable()) as f:
        await f.add(plan)
        await f.clock.advance(602)
        assert await f.status(plan) is Status.CON_ERR


@pytest.mark.parametrize(
    ("play", "end"),
    [
        (refused(Permanence.PASSING, after_s=0), Status.CON_ERR),
        (refused(Permanence.THROTTLED, after_s=0), Status.TIMEOUT),
    ],
)
async def test_a_carrier_that_says_no_for_now_while_the_validity_lasts_is_one_too_unless_it_throttles(play, end):
    plan = a_plan(a_planned_sms(expires=after(300)))
    async with flow(lambda _: play, policy=RetryPolicy(waits_s=(1, 2, 3))) as f:
        await f.add(plan)
        await f.clock.advance(302)
        assert await f.status(plan) is end


async def test_the_sandbox_is_tried_again_after_1_2_and_5_s_and_no_more():
    plan = a_plan()
    async with flow(lambda _: unreachable(), policy=SANDBOX_POLICY) as f:
        await f.add(plan)
        await f.clock.advance(60)
        assert waits_between(f.carrier.instants) == pytest.approx([1, 2, 5], abs=0.3)
        assert await f.status(plan) is Status.CON_ERR


async def test_throttling_uses_up_no_tries():
    plan = a_plan()
    async with flow(OnceThen(*[refused(Permanence.THROTTLED)] * 20), policy=SANDBOX_POLICY) as f:
        await f.add(plan)
        await f.clock.advance(60)
        assert len(f.carrier.submitted) == 21
        assert await f.status(plan) is Status.SUC_FIN


# When nobody knows whether the carrier took it


async def test_an_unanswered_sms_is_sent_again():
    plan = a_plan()
    async with flow(OnceThen(unanswered(taken=True))) as f:
        await f.add(plan)
        await f.clock.advance(31)
        assert await f.status(plan) is Status.SEND_ERR
        await f.clock.advance(10)
        assert len(f.carrier.taken) == 2
        assert await f.status(plan) is Status.SUC_FIN


async def test_an_account_may_choose_not_to_risk_sending_twice():
    plan = a_plan(on_unknown=OnUnknown.GIVE_UP)
    async with flow(OnceThen(unanswered(taken=True))) as f:
        await f.add(plan)
        await f.clock.advance(600)
        assert len(f.carrier.submitted) == 1
        assert await f.status(plan) is Status.SEND_ERR


async def test_what_a_killed_process_had_sent_is_sent_again_when_its_lease_runs_out():
    clock, plan = ManualClock(), a_plan()
    store = StoreOnClock(MemoryStore(), clock)
    async with flow(clock=clock, store=store) as killed:
        await killed.add(plan)
        await killed.stop()
    async with flow(clock=clock, store=store) as f:
        await f.clock.advance(LEASE_S - 1)
        assert f.carrier.submitted == []
        await f.clock.advance(5)
        assert len(f.carrier.submitted) == 1
        assert await f.status(plan) is Status.SUC_FIN


async def test_what_a_killed_process_had_sent_is_given_up_if_the_account_says_so():
    clock, plan = ManualClock(), a_plan(on_unknown=OnUnknown.GIVE_UP)
    store = StoreOnClock(MemoryStore(), clock)
    async with flow(clock=clock, store=store) as killed:
        await killed.add(plan)
        await killed.stop()
    async with flow(clock=clock, store=store) as f:
        await f.clock.advance(LEASE_S + 5)
        assert f.carrier.submitted == []
        assert await f.status(plan) is Status.SEND_ERR


@pytest.mark.parametrize("on_unknown", OnUnknown)
async def test_a_lease_that_runs_out_while_the_answer_is_awaited_changes_nothing(on_unknown):
    plan = a_plan(on_unknown=on_unknown)
    async with flow(lambda _: delivered(after_s=100), lease_s=30) as f:
        await f.add(plan)
        await f.clock.advance(99)
        assert (await f.sms(plan)).process_status is ProcessStatus.OPEN
        await f.clock.advance(2)
        assert len(f.carrier.submitted) == 1
        assert await f.status(plan) is Status.SUC_FIN


@pytest.mark.parametrize("late", ["lease_segments", "record_outcomes"])
@pytest.mark.parametrize("answer_after_s", [29.2, 29.5, 29.8, 30.1, 30.4, 30.7, 31.0, 31.3])
@pytest.mark.parametrize("on_unknown", OnUnknown)
async def test_a_lease_given_while_the_outcome_was_being_stored_changes_nothing(late, answer_after_s, on_unknown):
    plan = a_plan(on_unknown=on_unknown)
    async with flow(lambda _: delivered(after_s=answer_after_s), lease_s=30) as f:
        f.store.answers_late_s = {late: 1.0}
        await f.add(plan)
        await f.clock.advance(100)
        assert len(f.carrier.submitted) == 1
        assert await f.status(plan) is Status.SUC_FIN


async def test_an_outcome_stored_without_our_hearing_so_is_no_reason_to_send_twice():
    plan = a_plan()
    script = OnceThen(refused(Permanence.THROTTLED), others=taken(after_s=20))
    async with flow(script, policy=RetryPolicy(throttle_wait_s=0.5)) as f:
        await f.add(plan)
        f.store.unsaid = ("record",)
        await f.clock.advance(10)
        f.store.unsaid = ()
        await f.clock.advance(100)
        assert len(f.carrier.taken) == 1


async def test_an_answer_to_nothing_we_sent_is_ignored():
    plan = a_plan()
    clock = ManualClock()
    carrier = ScriptedCarrier("acme", clock)
    async with flow(clock=clock, carrier=carrier) as f:
        carrier._answers.append((0.0, 0, Accepted(4711, "stray")))
        carrier._answer_there.set()
        await f.add(plan)
        await f.clock.advance(5)
        assert await f.status(plan) is Status.SUC_FIN


# Stopping


async def test_after_drain_nothing_is_submitted_and_nothing_is_unknown():
    async with flow(lambda _: delivered(after_s=3), window=5) as f:
        await f.add(a_plan_for(8))
        drain = f.dispatcher.drain(30)
        missing = await drain_on(f, drain)
        assert missing == 0
        assert f.clock.now() <= after(3.1)
        await f.stop()
        assert len(f.carrier.submitted) == 5
    async with flow(clock=f.clock, store=f.store) as next_process:
        await next_process.clock.advance(LEASE_S + 5)
        assert len(next_process.carrier.submitted) == 3


async def drain_on(f, drain):
    task = asyncio.ensure_future(drain)
    while not task.done():
        await f.clock.advance(0.05)
    return task.result()


async def test_what_was_being_leased_when_the_drain_began_is_put_back():
    plan = a_plan(on_unknown=OnUnknown.GIVE_UP)
    async with flow() as f:
        f.store.latency_s = lambda: 0.5
        await f.clock.advance(1)
        await f.add(plan)
        await f.clock.advance(0.9)
        missing = await drain_on(f, f.dispatcher.drain(30))
        assert (missing, f.carrier.submitted) == (0, [])
        await f.stop()
        f.store.latency_s = lambda: 0.0
    async with flow(clock=f.clock, store=f.store) as next_process:
        await next_process.clock.advance(5)
        assert await next_process.status(plan) is Status.SUC_FIN


async def test_a_drain_waits_no_longer_than_it_is_told_to():
    async with flow(lambda _: unanswered(taken=True), window=5) as f:
        await f.add(a_plan_for(3))
        assert await drain_on(f, f.dispatcher.drain(10)) == 3
        assert f.clock.now() <= after(10.1)


# The store is away


async def test_while_the_store_is_away_nothing_is_lost_and_then_all_goes_on():
    plan = a_plan_for(5)
    async with flow(window=2) as f:
        await f.add(plan)
        f.store.away = ALL
        await f.clock.advance(60)
        f.store.away = ()
        await f.clock.advance(60)
        assert {await f.status(plan, index) for index in range(5)} == {Status.SUC_FIN}
        assert len(f.carrier.taken) == 5


# Metrics


async def test_answers_and_endings_are_counted():
    async with flow(OnceThen(refused(Permanence.LASTING))) as f:
        await f.add(a_plan_for(3))
        await f.clock.advance(5)
        count = f.metrics.registry.get_sample_value
        assert count("heliograph_submit_outcomes_total", {"carrier": "acme", "outcome": "accepted"}) == 2
        assert count("heliograph_submit_outcomes_total", {"carrier": "acme", "outcome": "refused"}) == 1
        assert count("heliograph_parts_finished_total", {"status": "SUC_FIN"}) == 2
        assert count("heliograph_parts_finished_total", {"status": "NOT_ACC_FIN"}) == 1
        assert count("heliograph_parts_in_flight", {"carrier": "acme"}) == 0


async def test_what_the_carrier_took_without_a_receipt_asked_for_is_counted_as_ended():
    async with flow() as f:
        await f.add(a_plan_for(2, receipts=False))
        await f.clock.advance(5)
        assert f.metrics.registry.get_sample_value("heliograph_parts_finished_total", {"status": "SUC_ACC"}) == 2


# Carriers that can't be reached


async def test_while_a_carrier_is_unreachable_nothing_is_submitted_and_reports_say_why():
    async with flow() as f:
        f.carrier.unreachable = "no bind"
        plan = a_plan(a_planned_sms(), a_planned_sms(expires=after(60)))
        await f.add(plan)
        await f.clock.advance(30)
        assert f.carrier.submitted == []
        assert ((await f.sms(plan)).status, (await f.sms(plan)).reason) == (Status.CON_ERR, "no bind")
        await f.clock.advance(31)
        assert (await f.status(plan, 1), (await f.sms(plan, 1)).finished_at is not None) == (Status.CON_ERR, True)
        f.carrier.unreachable = ""
        await f.clock.advance(6)
        assert [segment.dst for _, segment in f.carrier.submitted] == ["+4917612345678"]


async def test_a_carrier_that_comes_back_during_a_look_through_gets_no_more_than_its_window():
    async with flow(window=3) as f:
        f.carrier.unreachable = "no bind"
        f.store.answers_late_s["lease_segments"] = 1
        await f.add(a_plan_for(20))
        await f.clock.advance(0.5)
        f.carrier.unreachable = ""
        await f.clock.advance(30)
        assert len(f.carrier.submitted) == 20
        assert f.carrier.most_unanswered == 3
