"""SMPP notes, 2.5, flow control: who is meant by it, and who waits for whom."""

from contextlib import AsyncExitStack

import pytest
import structlog

from heliograph.flow.dispatch.pacing import Pacer
from heliograph.flow.dispatch.retrying import RetryPolicy
from heliograph.flow.dispatch.throttling import ASIDE_S, MOST_NUMBERS, OVER_AFTER_S, Throttling
from heliograph.jobs.carriage import Permanence, Unreachable
from heliograph.jobs.options import Qos
from heliograph.jobs.status import ProcessStatus, Status
from heliograph.store.memory import MemoryStore
from tests.fakes.builders import a_plan, a_planned_sms, after, numbers
from tests.fakes.carrier import Play, ScriptedCarrier, delivered, refused
from tests.fakes.clock import ManualClock
from tests.flow.running import flow
from tests.flow.stores import StoreOnClock

POLICY = RetryPolicy(throttle_wait_s=None)
BAD = [f"+4917600000{number:03}" for number in range(100)]
GOOD = [f"+4917611111{number:03}" for number in range(100)]


def throttled():
    return refused(Permanence.THROTTLED)


def only_the_bad_ones(segment):
    return throttled() if segment.dst in BAD else delivered()


def throttling_flow(script, **options):
    return flow(script, policy=POLICY, pacer=Pacer(None, throttle_pause_s=1), **options)


async def statuses(f, plan, how_many):
    return [await f.status(plan, index) for index in range(how_many)]


# Who is meant


def watched(*, pause_s=1.0, sets_aside=True):
    return Throttling(pause_s=pause_s, sets_aside=sets_aside)


def refuse_thrice(throttling, dst="bad"):
    return [throttling.refused(dst, sent_s, sent_s + 0.1) for sent_s in (0, 1, 2)]


def test_a_number_is_set_aside_when_it_is_refused_three_times_in_a_row():
    throttling = watched()
    assert [verdict.wait_s for verdict in refuse_thrice(throttling)] == [None, None, ASIDE_S[0]]
    assert throttling.aside_s("bad", 2.1) == ASIDE_S[0]
    assert throttling.aside_s("bad", 8) == throttling.aside_s("good", 2.1) == 0


def test_what_went_before_a_refusal_was_known_is_refused_but_once():
    throttling = watched()
    assert [throttling.refused("bad", 0, at_s).wait_s for at_s in (1, 2, 3, 4)] == [None] * 4


def test_whoever_is_tried_in_its_place_and_refused_is_set_aside_at_once():
    throttling = watched()
    refuse_thrice(throttling)
    assert throttling.refused("other", 3, 3.1).wait_s == ASIDE_S[0]


def test_one_that_is_taken_in_its_place_shows_that_the_number_was_meant():
    throttling = watched()
    refuse_thrice(throttling)
    assert throttling.answered_otherwise("good", 3)
    verdict = throttling.refused("bad", 8, 8.1)
    assert verdict == (ASIDE_S[1], True, True, pytest.approx(8.1 - 0.1))
    assert throttling.lasted_s(9) == 0
    assert not throttling.refused("bad", 30, 30.1).is_news


def test_what_had_gone_before_shows_nothing():
    throttling = watched()
    refuse_thrice(throttling)
    assert not throttling.answered_otherwise("good", 1.5)
    assert not throttling.refused("bad", 8, 8.1).is_number


def test_where_several_were_refused_one_that_is_taken_shows_nothing_of_the_rate():
    throttling = watched()
    throttling.refused("other", 0, 0.1)
    refuse_thrice(throttling)
    assert not throttling.answered_otherwise("good", 3)


def test_what_was_refused_while_others_were_looked_for_is_as_good_as_ever_when_the_carrier_goes_on():
    throttling = watched()
    refuse_thrice(throttling)
    throttling.refused("other", 3, 3.1)
    throttling.answered_otherwise("good", 4)
    assert throttling.aside_s("other", 4) == 0
    assert throttling.refused("other", 5, 5.1).wait_s is None


def test_a_number_that_is_taken_again_is_as_good_as_any():
    throttling = watched()
    refuse_thrice(throttling)
    throttling.answered_otherwise("bad", 8)
    assert throttling.is_over


def test_a_number_waits_longer_each_time_and_a_minute_at_most():
    throttling, now_s, waits = watched(), 2.1, []
    refuse_thrice(throttling)
    for _ in range(4):
        now_s += throttling.aside_s("bad", now_s)
        waits.append(throttling.refused("bad", now_s, now_s + 0.1).wait_s)
        now_s += 0.1
    assert waits == pytest.approx([15, 60, 60, 60])


def test_while_one_of_its_sms_is_tried_the_others_to_that_number_wait():
    throttling = watched()
    refuse_thrice(throttling)
    throttling.tried("bad", 8)
    assert throttling.aside_s("bad", 8) == ASIDE_S[0]
    throttling.tried("good", 8)
    assert throttling.aside_s("good", 8) == 0


def test_an_sms_that_may_move_is_tried_again_when_it_may():
    throttling, now_s = watched(), 0.0
    for _ in range(10):
        verdict = throttling.refused("bad", now_s, now_s, moves_after_s=30)
        if verdict.lasted_s >= 30:
            break
        now_s += verdict.wait_s or 1
    assert now_s == 30


def test_throttling_of_which_nothing_is_heard_for_long_is_over():
    throttling = watched(pause_s=5)
    throttling.refused("bad", 0, 0)
    throttling.refused("bad", 10, 10)
    assert throttling.lasted_s(OVER_AFTER_S) == OVER_AFTER_S
    assert throttling.lasted_s(10 + OVER_AFTER_S + 6) == 0
    assert throttling.refused("bad", 500, 500) == (None, False, False, 0)


def test_whose_throttling_is_its_own_affair_sets_nothing_aside():
    assert {verdict.wait_s for verdict in refuse_thrice(watched(sets_aside=False))} == {None}


def test_no_more_than_so_many_numbers_are_remembered():
    throttling = watched()
    for number in range(MOST_NUMBERS + 10):
        throttling.refused(str(number), 0, 0)
    throttling.refused("0", 1, 1)
    assert len(throttling._numbers) == MOST_NUMBERS


# Who waits for whom


@pytest.mark.parametrize(("bad_count", "window"), [(1, 10), (1, 1), (5, 10)])
async def test_numbers_that_are_always_throttled_hold_up_no_others(bad_count, window):
    async with throttling_flow(only_the_bad_ones, window=window) as f:
        bad = a_plan(*(a_planned_sms(dst) for dst in BAD[:bad_count]))
        await f.add(bad)
        await f.clock.advance(0.3)
        good = a_plan(*(a_planned_sms(dst) for dst in GOOD[:20]))
        await f.add(good)
        await f.clock.advance(30)
        assert set(await statuses(f, good, 20)) == {Status.SUC_FIN}
        sms = await f.sms(bad)
        assert (sms.process_status, sms.status) == (ProcessStatus.OPEN, Status.NOT_ACC_REC)


async def test_a_number_that_is_throttled_costs_the_others_no_speed_for_long():
    async with throttling_flow(only_the_bad_ones) as f:
        await f.add(a_plan(a_planned_sms(BAD[0])))
        await f.clock.advance(0.3)
        plan = a_plan(*(a_planned_sms(dst) for dst in numbers(1000)))
        await f.add(plan)
        with structlog.testing.capture_logs() as logs:
            await f.clock.advance(30)
        assert set(await statuses(f, plan, 1000)) == {Status.SUC_FIN}
        assert [line["job_id"] for line in logs if line["event"] == "dispatch.number_throttled"]


async def test_express_sms_to_one_number_hold_up_no_others():
    async with throttling_flow(only_the_bad_ones) as f:
        await f.add(a_plan(*(a_planned_sms(BAD[0]) for _ in range(20)), qos=Qos.EXPRESS))
        await f.clock.advance(0.3)
        express, normal = a_plan(a_planned_sms(GOOD[0]), qos=Qos.EXPRESS), a_plan(a_planned_sms(GOOD[1]))
        await f.add(express, normal)
        await f.clock.advance(15)
        assert await f.status(express) is await f.status(normal) is Status.SUC_FIN
        assert f.carrier.dsts.count(BAD[0]) < 20, "what waits for the same number isn't tried each on its own"


async def test_a_part_that_is_throttled_holds_up_no_others():
    def script(segment):
        return throttled() if segment.part == 2 else delivered()

    async with throttling_flow(script) as f:
        await f.add(a_plan(a_planned_sms(BAD[0], parts=2)))
        await f.clock.advance(0.3)
        plan = a_plan(*(a_planned_sms(dst) for dst in GOOD[:30]))
        await f.add(plan)
        await f.clock.advance(15)
        assert set(await statuses(f, plan, 30)) == {Status.SUC_FIN}


async def test_a_number_that_was_throttled_gets_its_sms_when_the_carrier_takes_them_again():
    async with throttling_flow(lambda _: throttled() if f.clock.monotonic() < 60 else delivered()) as f:
        plan = a_plan(*(a_planned_sms(BAD[0]) for _ in range(10)))
        await f.add(plan)
        await f.clock.advance(60 + 60 + 30)
        assert set(await statuses(f, plan, 10)) == {Status.SUC_FIN}
        assert max(f.carrier.submit_counts.values()) <= 8


async def test_after_a_short_throttling_the_same_sms_goes_first():
    plays = iter([throttled(), throttled()])
    async with throttling_flow(lambda _: next(plays, delivered()), window=1) as f:
        await f.add(a_plan(*(a_planned_sms(dst) for dst in GOOD[:5])))
        await f.clock.advance(10)
        assert f.carrier.dsts == [GOOD[0], GOOD[0], *GOOD[:5]]


async def test_a_carrier_that_throttles_everything_is_not_hammered_and_the_log_tells_of_it():
    async with throttling_flow(lambda _: throttled() if f.clock.monotonic() < 300 else delivered()) as f:
        plan = a_plan(*(a_planned_sms(dst) for dst in GOOD[:30]))
        with structlog.testing.capture_logs() as logs:
            await f.add(plan)
            await f.clock.advance(59)
            assert "dispatch.only_throttled" not in [line["event"] for line in logs]
            await f.clock.advance(240)
            assert len(f.carrier.submitted) < 10 + 300
            await f.clock.advance(100)
        assert set(await statuses(f, plan, 30)) == {Status.SUC_FIN}
        events = [(line["event"], line["log_level"]) for line in logs if "thrott" in line["event"]]
        assert events == [("dispatch.only_throttled", "error"), ("dispatch.throttling_over", "warning")]


async def test_an_sms_that_costs_a_bind_each_time_holds_up_no_others():
    def ends_the_bind(segment):
        if segment.dst not in BAD:
            return delivered()
        return Play(False, lambda segment, _: Unreachable(segment.id, "no bind", is_try=False, is_answer=True))

    async with throttling_flow(ends_the_bind, window=1) as f:
        bad, good = a_plan(a_planned_sms(BAD[0])), a_plan(a_planned_sms(GOOD[0]))
        await f.add(bad, good)
        await f.clock.advance(10)
        assert await f.status(good) is Status.SUC_FIN
        assert await f.status(bad) is Status.CON_ERR
        await f.clock.advance(600)
        assert f.carrier.dsts.count(BAD[0]) < 10


# Several carriers


async def two(stack, first, second=lambda _: delivered()):
    clock = ManualClock()
    store = StoreOnClock(MemoryStore(), clock)
    carriers = [ScriptedCarrier("acme", clock, first), ScriptedCarrier("beta", clock, second)]
    flows = []
    for carrier in carriers:
        pacer = Pacer(None, throttle_pause_s=1)
        running = flow(carrier=carrier, carriers=carriers, store=store, clock=clock, policy=POLICY, pacer=pacer)
        flows.append(await stack.enter_async_context(running))
    return flows


async def test_what_waits_behind_goes_to_the_next_carrier_when_the_first_only_throttles():
    async with AsyncExitStack() as stack:
        acme, beta = await two(stack, lambda _: throttled())
        plan = a_plan(*(a_planned_sms(dst, others=("beta",)) for dst in numbers(500)))
        of_acme_alone = a_plan(*(a_planned_sms(dst) for dst in GOOD[:10]))
        await acme.add(plan, of_acme_alone)
        await acme.clock.advance(29)
        assert beta.carrier.submitted == []
        await acme.clock.advance(30)
        assert set(await statuses(acme, plan, 500)) == {Status.SUC_FIN}
        before = len(acme.carrier.submitted)
        await acme.clock.advance(10)
        assert before < len(acme.carrier.submitted) <= before + 11, "it is tried now and then all the same"
        waiting = [(await acme.sms(of_acme_alone, index)).process_status for index in range(10)]
        assert set(waiting) == {ProcessStatus.OPEN}
        acme.carrier.script = lambda _: delivered()
        await acme.clock.advance(90)
        assert set(await statuses(acme, of_acme_alone, 10)) == {Status.SUC_FIN}


async def test_a_reason_tells_why_what_waited_behind_has_gone_elsewhere():
    async with AsyncExitStack() as stack:
        acme, beta = await two(stack, lambda _: throttled())
        beta.carrier.script = lambda _: refused(Permanence.LASTING)
        plan = a_plan(*(a_planned_sms(dst, others=("beta",)) for dst in numbers(100)))
        await acme.add(plan)
        await acme.clock.advance(60)
        reason = (await acme.sms(plan, 99)).reason
        assert reason.startswith("acme: the carrier has done nothing but throttle for a while; then beta: command_sta")


async def test_a_number_that_one_carrier_throttles_for_long_goes_to_the_next():
    async with AsyncExitStack() as stack:
        acme, beta = await two(stack, only_the_bad_ones)
        plan = a_plan(a_planned_sms(BAD[0], others=("beta",)))
        await acme.add(plan)
        for second in range(35):
            await acme.add(a_plan(a_planned_sms(GOOD[second], others=("beta",))))
            await acme.clock.advance(1)
        assert beta.carrier.dsts == [BAD[0]]
        assert await acme.status(plan) is Status.SUC_FIN


async def test_any_other_answer_ends_the_throttling():
    answers = {BAD[0]: iter([throttled(), refused(Permanence.BAD_NUMBER)]), BAD[1]: iter([throttled(), delivered()])}
    async with AsyncExitStack() as stack:
        acme, beta = await two(stack, lambda segment: next(answers[segment.dst]))
        await acme.add(a_plan(a_planned_sms(BAD[0], others=("beta",), expires=after(3600))))
        await acme.clock.advance(32)
        await acme.add(a_plan(a_planned_sms(BAD[1], others=("beta",))))
        await acme.clock.advance(5)
        assert beta.carrier.submitted == []
        assert len(acme.carrier.submitted) == 4
