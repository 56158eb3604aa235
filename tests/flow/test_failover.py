"""SMPP notes, 2.5: when an SMS goes to the next carrier of its route, and what is told of it."""

from contextlib import AsyncExitStack, asynccontextmanager

import pytest
import structlog

from heliograph.flow.dispatch.failover import LONGEST_STORY, LONGEST_WORDS, after_answer, instead_of_waiting
from heliograph.flow.dispatch.retrying import RetryPolicy, after_try, while_unreachable
from heliograph.jobs.accounts import OnUnknown
from heliograph.jobs.carriage import Accepted, Expired, Permanence, Refused, Unanswered, Unreachable
from heliograph.jobs.schedule import Period
from heliograph.jobs.status import ProcessStatus, Status
from heliograph.store.interface import Ended, Moved, Postponed, Submitted
from heliograph.store.memory import MemoryStore
from tests.fakes.builders import NOW, a_plan, a_planned_sms, after
from tests.fakes.carrier import ScriptedCarrier, delivered, refused, taken, unanswered, unreachable
from tests.fakes.clock import ManualClock
from tests.flow.running import flow
from tests.flow.stores import StoreOnClock
from tests.flow.test_retrying import ID, a_due_part

POLICY = RetryPolicy()
BOTH = ("beta", "gamma")
NO_SENDER = Refused(ID, Permanence.LASTING, "bad sender", elsewhere=True)
PASSING = Refused(ID, Permanence.PASSING, "busy")
DOUBTFUL = Refused(ID, Permanence.DOUBTFUL, "what?")
THROTTLED = Refused(ID, Permanence.THROTTLED, "too fast")


def answered(answer, *, up=BOTH, known=BOTH, throttled_s=0.0, carrier="acme", policy=POLICY, **part):
    due = a_due_part(**{"others": BOTH, **part})
    decision = after_try(due, answer, NOW, policy)
    return after_answer(
        due, carrier, answer, decision, up=up, known=known, throttled_s=throttled_s, now=NOW, policy=policy
    )


# Decisions


def test_a_refusal_between_carrier_and_us_goes_to_the_next_at_once():
    assert answered(NO_SENDER, attempt_count=1) == Moved(
        ID,
        "beta",
        ("gamma",),
        NOW,
        1,
        Status.NOT_ACC_REC,
        "acme: bad sender; then beta: not tried yet",
        Ended(ID, Status.NOT_ACC_FIN, "bad sender", NOW),
    )


@pytest.mark.parametrize(
    "answer",
    [
        Refused(ID, Permanence.LASTING, "spam"),
        Refused(ID, Permanence.BAD_NUMBER, "no number"),
        Expired(ID, "too late"),
        Unreachable(ID, "gone", is_try=False),
        Accepted(ID, "m1"),
    ],
)
def test_what_another_carrier_would_not_change_stays(answer):
    assert isinstance(answered(answer, attempt_count=9), Submitted | Ended | Postponed)


@pytest.mark.parametrize("on_unknown", OnUnknown)
@pytest.mark.parametrize("attempt_count", [0, 1, 9])
def test_what_may_have_been_sent_never_moves(on_unknown, attempt_count):
    answer = Unanswered(ID, "silence")
    for policy in (POLICY, RetryPolicy(waits_s=(1,), repeat_last=False)):
        decision = answered(answer, attempt_count=attempt_count, on_unknown=on_unknown, policy=policy)
        assert isinstance(decision, Ended | Postponed)


@pytest.mark.parametrize("answer", [PASSING, Unreachable(ID, "busy")])
def test_what_may_pass_goes_to_the_next_after_two_tries(answer):
    assert isinstance(answered(answer), Postponed)
    assert answered(answer, attempt_count=1).carrier == "beta"
    assert isinstance(answered(answer, attempt_count=1, policy=RetryPolicy(tries_before_next=3)), Postponed)


def test_where_a_carrier_gets_no_further_try_the_next_one_does():
    assert answered(PASSING, policy=RetryPolicy(waits_s=(), repeat_last=False)).carrier == "beta"


def test_what_may_mean_anything_goes_to_the_next_after_its_retries():
    assert isinstance(answered(DOUBTFUL, attempt_count=1), Postponed)
    assert answered(DOUBTFUL, attempt_count=2).carrier == "beta"


def test_what_is_throttled_for_long_moves_and_may_come_back():
    assert isinstance(answered(THROTTLED, throttled_s=29), Postponed)
    moved = answered(THROTTLED, throttled_s=30)
    assert (moved.carrier, moved.others, moved.attempt_count) == ("beta", ("acme", "gamma"), 0)


def test_a_carrier_that_is_down_is_passed_over():
    moved = answered(NO_SENDER, up=("gamma",))
    assert (moved.carrier, moved.others) == ("gamma", ("beta",))


def test_where_all_others_are_down_it_waits_where_it_is_unless_that_would_be_its_end():
    assert isinstance(answered(PASSING, attempt_count=5, up=()), Postponed)
    assert answered(NO_SENDER, up=()).carrier == "beta"


def test_carriers_that_are_no_more_are_passed_over():
    assert answered(NO_SENDER, up=(), known=("gamma",)).carrier == "gamma"
    assert isinstance(answered(NO_SENDER, up=(), known=()), Ended)


def test_when_all_have_been_tried_it_ends_or_goes_on_as_ever():
    assert answered(NO_SENDER, others=()) == Ended(ID, Status.NOT_ACC_FIN, "bad sender", NOW)
    assert isinstance(answered(PASSING, others=(), attempt_count=7), Postponed)


def test_a_blackout_period_holds_for_the_next_carrier_too():
    assert answered(NO_SENDER, blackouts=(Period(NOW, after(60)),)).due_at == after(60)


def test_what_waits_for_a_carrier_that_is_down_goes_to_one_that_is_not():
    part = a_due_part(others=BOTH, attempt_count=3)
    waiting = while_unreachable(part, "no bind", NOW, POLICY)
    assert instead_of_waiting(part, "acme", waiting, (), NOW) == waiting
    moved = instead_of_waiting(part, "acme", waiting, {"gamma"}, NOW)
    assert (moved.carrier, moved.others, moved.due_at) == ("gamma", ("acme", "beta"), NOW)
    assert (moved.status, moved.reason) == (Status.CON_ERR, "acme: no bind; then gamma: not tried yet")
    assert moved.otherwise == waiting


def test_a_reason_tells_what_each_carrier_said():
    first = answered(NO_SENDER)
    waiting = answered(PASSING, carrier="beta", others=("gamma",), reason=first.reason)
    assert waiting.reason == "acme: bad sender; then beta: busy"
    again = answered(PASSING, carrier="beta", others=("gamma",), reason=waiting.reason, attempt_count=1)
    assert again.reason == "acme: bad sender; then beta: busy; then gamma: not tried yet"
    last = answered(NO_SENDER, carrier="gamma", others=(), reason=again.reason)
    assert last.reason == "acme: bad sender; then beta: busy; then gamma: bad sender"


def test_where_validity_ends_a_reason_tells_once_what_each_carrier_said():
    said = "acme: bad sender; then beta: busy"
    final = answered(
        Expired(ID, "late"), carrier="beta", others=(), reason=said, attempt_count=1, status=Status.NOT_ACC_REC
    )
    assert final == Ended(ID, Status.CON_ERR, said, NOW)


def test_a_reason_has_an_end():
    reason = ""
    for carrier, target in [("acme", "beta"), ("beta", "acme")] * 10:
        answer = Refused(ID, Permanence.LASTING, "words " * 100, elsewhere=True)
        reason = answered(
            answer, carrier=carrier, others=(target,), known=(target,), up=(target,), reason=reason
        ).reason
        assert reason.endswith(f"…; then {target}: not tried yet")
        assert len(reason) < LONGEST_STORY + LONGEST_WORDS


# Two dispatchers


@asynccontextmanager
async def two(first_script=None, second_script=None, **options):
    """Flows of the carriers acme and beta over one store."""
    clock = ManualClock()
    store = StoreOnClock(MemoryStore(), clock)
    carriers = [ScriptedCarrier("acme", clock, first_script), ScriptedCarrier("beta", clock, second_script)]
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(
                flow(carrier=carrier, carriers=carriers, store=store, clock=clock, **options)
            )
            for carrier in carriers
        ]


def a_routed_plan(**sms):
    return a_plan(a_planned_sms(others=("beta",), **sms))


async def test_while_the_first_carrier_is_down_the_second_one_carries():
    async with two() as (acme, beta):
        acme.carrier.unreachable = "no bind"
        plan, of_acme_alone = a_routed_plan(parts=3), a_plan()
        with structlog.testing.capture_logs() as logs:
            await acme.add(plan, of_acme_alone)
            await acme.clock.advance(3)
        assert acme.carrier.submitted == []
        assert [segment.part for _, segment in beta.carrier.submitted] == [1, 2, 3]
        assert await acme.status(plan) is Status.SUC_FIN
        assert await acme.status(of_acme_alone) is Status.CON_ERR
        moves = [line for line in logs if line["event"] == "dispatch.moved"]
        assert [(line["job_id"], line["carrier"], line["to"], line["part_count"]) for line in moves] == [
            (plan.job_id, "acme", "beta", 3)
        ]


async def test_a_backlog_moves_at_once():
    async with two() as (acme, beta):
        acme.carrier.unreachable = "no bind"
        await acme.add(a_plan(*(a_planned_sms(others=("beta",)) for _ in range(1000))))
        beta.carrier.script = lambda _: delivered(after_s=0)
        await acme.clock.advance(0.5)
        counts = await acme.store.inner.counts(acme.clock.now())
        assert "acme" not in counts.oldest_due_at


async def test_while_both_are_down_an_sms_waits_and_takes_the_one_that_comes_back():
    for name in ("acme", "beta"):
        async with two() as (acme, beta):
            acme.carrier.unreachable = beta.carrier.unreachable = "no bind"
            plan = a_routed_plan()
            await acme.add(plan)
            await acme.clock.advance(60)
            waiting = await acme.sms(plan)
            assert (waiting.process_status, waiting.status) == (ProcessStatus.OPEN, Status.CON_ERR)
            back = acme if name == "acme" else beta
            back.carrier.unreachable = ""
            await acme.clock.advance(8)
            assert [len(f.carrier.submitted) for f in (acme, beta)] == [int(name == "acme"), int(name == "beta")]
            assert await acme.status(plan) is Status.SUC_FIN


async def test_an_sms_that_moved_goes_back_if_the_second_carrier_fails_and_the_first_is_back():
    async with two() as (acme, beta):
        acme.carrier.unreachable = "no bind"
        plan = a_routed_plan(blackouts=(Period(after(2), after(100)),))
        beta.carrier.script = lambda _: refused(Permanence.PASSING)
        await acme.add(plan)
        await acme.clock.advance(50)
        acme.carrier.unreachable, beta.carrier.unreachable = "", "no bind either"
        await acme.clock.advance(60)
        assert await acme.status(plan) is Status.SUC_FIN
        assert len(acme.carrier.submitted) == 1


async def test_an_sms_of_which_a_part_was_taken_stays():
    answers = iter([delivered(), *[refused(Permanence.PASSING)] * 3])
    async with two(lambda _: next(answers, delivered())) as (acme, beta):
        plan = a_routed_plan(parts=2)
        await acme.add(plan)
        await acme.clock.advance(1000)
        assert beta.carrier.submitted == []
        assert await acme.status(plan) is Status.SUC_FIN


async def test_a_long_sms_moves_as_a_whole_though_its_parts_are_refused_one_by_one():
    delays = iter([0.05, 1, 2, 3])

    def refuse(segment):
        answer = Refused(segment.id, Permanence.LASTING, "bad sender", elsewhere=True)
        play = refused(Permanence.LASTING, after_s=next(delays, 0.05))
        return type(play)(False, lambda _segment, _id: answer, play.after_s)

    async with two(refuse) as (acme, beta):
        plan = a_routed_plan(parts=3)
        await acme.add(plan)
        await acme.clock.advance(10)
        assert len(acme.carrier.submitted) == 3
        assert [segment.part for _, segment in beta.carrier.submitted] == [1, 2, 3]
        assert await acme.status(plan) is Status.SUC_FIN


async def test_what_got_no_answer_is_sent_again_by_the_same_carrier_even_when_that_is_down():
    answers = iter([unanswered(taken=True)])
    async with two(lambda _: next(answers, delivered())) as (acme, beta):
        plan = a_routed_plan()
        await acme.add(plan)
        await acme.clock.advance(31)
        acme.carrier.unreachable = "no bind"
        await acme.clock.advance(60)
        assert beta.carrier.submitted == []
        acme.carrier.unreachable = ""
        await acme.clock.advance(10)
        assert (await acme.status(plan), len(acme.carrier.submitted)) == (Status.SUC_FIN, 2)


async def test_two_carriers_that_both_refuse_are_told_in_the_reason():
    async with two(lambda _: unreachable(), lambda _: refused(Permanence.LASTING)) as (acme, beta):
        plan = a_routed_plan()
        await acme.add(plan)
        await acme.clock.advance(10)
        final = await acme.sms(plan)
        assert (len(acme.carrier.submitted), len(beta.carrier.submitted)) == (2, 1)
        assert final.status is Status.NOT_ACC_FIN
        assert final.reason.startswith("acme: there is no connection; then beta: command_status:ESME_RSUBMITFAIL")


async def test_a_carrier_that_only_throttles_gives_way_after_a_while_and_validity_runs_on():
    async with two(lambda _: refused(Permanence.THROTTLED), lambda _: taken()) as (acme, beta):
        plan = a_routed_plan(expires=after(3600))
        await acme.add(plan)
        await acme.clock.advance(29)
        assert beta.carrier.submitted == []
        await acme.clock.advance(5)
        [(_, segment)] = beta.carrier.submitted
        assert segment.expires_at == after(3600)
