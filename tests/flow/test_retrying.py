"""Contract: section 1, "Status of one SMS": what follows from a carrier's answer, and what needs no try."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.flow.dispatch.retrying import RetryPolicy, after_try, before_try, is_worth_asking, while_unreachable
from heliograph.gsm.segmentation import Encoding
from heliograph.jobs.accounts import OnUnknown
from heliograph.jobs.carriage import (
    Accepted,
    AcceptedLate,
    Expired,
    Permanence,
    Refused,
    Segment,
    SegmentId,
    Unanswered,
    Unreachable,
)
from heliograph.jobs.naming import JobId
from heliograph.jobs.schedule import Period, joined
from heliograph.jobs.status import PartState, Status
from heliograph.store.interface import DuePart, Ended, Postponed, Submitted
from tests.fakes.builders import NOW, after

POLICY = RetryPolicy()
SANDBOX_POLICY = RetryPolicy(waits_s=(1, 2, 5), repeat_last=False)
ID = SegmentId(32)
IN_AN_HOUR = after(3600)


def a_due_part(
    *,
    was=PartState.WAITING,
    expires_at=IN_AN_HOUR,
    attempt_count=0,
    status=Status.NONE,
    reason="",
    on_unknown=OnUnknown.RESEND,
    blackouts=(),
    heard=False,
    others=(),
    receipt_wanted=True,
    message_id="",
):
    segment = Segment(
        id=ID,
        job_id=JobId("J.1"),
        src="",
        dst="+4917612345678",
        text="Hello",
        encoding=Encoding.STANDARD,
        part=1,
        parts=1,
        reference=1,
        flash=False,
        express=False,
        receipt_wanted=receipt_wanted,
        expires_at=expires_at,
        validity_min=0,
    )
    return DuePart(segment, was, attempt_count, status, reason, on_unknown, blackouts, heard, others, message_id)


# Before a try


def test_what_is_due_and_valid_is_submitted():
    assert before_try(a_due_part(), NOW) is None


def test_what_is_due_in_a_blackout_period_waits_for_its_end():
    part = a_due_part(blackouts=(Period(after(-10), after(100)),), status=Status.CON_ERR, attempt_count=2, reason="r")
    assert before_try(part, NOW) == Postponed(ID, after(100), 2, Status.CON_ERR, "r")


def test_what_waits_for_the_end_of_a_blackout_period_waits_no_longer_than_its_validity():
    part = a_due_part(blackouts=(Period(after(-10), after(7200)),), expires_at=after(3600))
    assert before_try(part, NOW).due_at == after(3600)


@pytest.mark.parametrize(
    ("was", "status", "attempt_count", "end"),
    [
        (PartState.WAITING, Status.NONE, 0, Status.TIMEOUT),
        (PartState.WAITING, Status.NOT_ACC_REC, 0, Status.TIMEOUT),  # Throttled: no try.
        (PartState.WAITING, Status.NOT_ACC_REC, 1, Status.CON_ERR),
        (PartState.WAITING, Status.CON_ERR, 0, Status.CON_ERR),
        (PartState.WAITING, Status.CON_ERR, 3, Status.CON_ERR),
        (PartState.WAITING, Status.SEND_ERR, 3, Status.TIMEOUT),  # Nobody knows whether it was taken.
        (PartState.LEASED, Status.NONE, 0, Status.TIMEOUT),
    ],
)
def test_the_end_of_the_validity_is_the_end(was, status, attempt_count, end):
    part = a_due_part(was=was, status=status, attempt_count=attempt_count, expires_at=NOW, reason="its words")
    assert before_try(part, NOW).status is end


@pytest.mark.parametrize(
    ("status", "attempt_count", "end"),
    [
        (Status.NONE, 0, Ended(ID, Status.TIMEOUT, "late", NOW)),
        (Status.NOT_ACC_REC, 0, Ended(ID, Status.TIMEOUT, "late", NOW)),
        (Status.SEND_ERR, 2, Ended(ID, Status.TIMEOUT, "its words; then late", NOW)),  # It may have been taken.
        (Status.NOT_ACC_REC, 2, Ended(ID, Status.CON_ERR, "its words", NOW)),
        (Status.CON_ERR, 2, Ended(ID, Status.CON_ERR, "its words", NOW)),
    ],
)
def test_too_little_validity_for_its_carrier_is_the_end_in_the_same_way(status, attempt_count, end):
    part = a_due_part(status=status, attempt_count=attempt_count, reason="its words")
    assert after_try(part, Expired(ID, "late"), NOW, POLICY) == end


def test_of_a_process_that_was_killed_the_sms_are_sent_again():
    assert before_try(a_due_part(was=PartState.LEASED), NOW) is None


@pytest.mark.parametrize("expires_at", [after(3600), NOW])
def test_of_a_process_that_was_killed_the_sms_are_given_up_if_the_account_says_so(expires_at):
    part = a_due_part(was=PartState.LEASED, on_unknown=OnUnknown.GIVE_UP, expires_at=expires_at)
    assert before_try(part, NOW).status is Status.SEND_ERR


def test_an_overdue_receipt_is_a_timeout():
    decision = before_try(a_due_part(was=PartState.SUBMITTED, message_id="m1"), NOW)
    assert (decision.status, decision.is_overdue) == (Status.TIMEOUT, True)


def test_what_got_no_id_from_its_carrier_is_a_status_error_when_its_receipt_would_be_overdue():  # smpp.md, 2.2
    decision = before_try(a_due_part(was=PartState.SUBMITTED), NOW)
    assert decision.status is Status.STATUS_ERR
    assert "no message id" in decision.reason


@pytest.mark.parametrize("was", [PartState.SUBMITTED, PartState.LEASED])
def test_receipts_that_said_nothing_final_are_a_status_error(was):
    part = a_due_part(was=was, heard=True, reason="message_state:ENROUTE", on_unknown=OnUnknown.GIVE_UP)
    assert before_try(part, NOW) == Ended(ID, Status.STATUS_ERR, "message_state:ENROUTE", NOW, is_overdue=True)


@pytest.mark.parametrize(
    ("was", "message_id", "late_s", "worth"),
    [
        (PartState.SUBMITTED, "m1", 0, True),
        (PartState.SUBMITTED, "m1", 599, True),
        (PartState.SUBMITTED, "m1", 600, False),
        (PartState.SUBMITTED, "", 0, False),
        (PartState.WAITING, "", 0, False),
        (PartState.LEASED, "", 0, False),
    ],
)
def test_a_carrier_is_asked_about_what_it_named_and_said_nothing_of_in_time(was, message_id, late_s, worth):
    overdue_at = IN_AN_HOUR + timedelta(seconds=POLICY.receipt_grace_s)
    part = a_due_part(was=was, message_id=message_id)
    assert is_worth_asking(part, overdue_at + timedelta(seconds=late_s), POLICY) == worth


# After a try


def test_an_accepted_part_awaits_its_receipt_until_its_validity_and_the_grace_are_over():
    outcome = after_try(a_due_part(), Accepted(ID, "m1"), NOW, RetryPolicy(receipt_grace_s=100))
    assert outcome == Submitted(ID, "m1", NOW, after(3700))


def test_an_accepted_part_without_a_receipt_asked_for_awaits_none():
    outcome = after_try(a_due_part(receipt_wanted=False), Accepted(ID, "m1"), NOW, POLICY)
    assert outcome == Submitted(ID, "m1", NOW, None, expires_at=after(3600))


@pytest.mark.parametrize(
    ("permanence", "status"),
    [(Permanence.LASTING, Status.NOT_ACC_FIN), (Permanence.BAD_NUMBER, Status.INVALID_DST)],
)
def test_a_lasting_refusal_is_the_end(permanence, status):
    assert after_try(a_due_part(), Refused(ID, permanence, "no"), NOW, POLICY) == Ended(ID, status, "no", NOW)


@pytest.mark.parametrize(
    ("outcome", "status", "maybe_sent_at"),
    [
        (Refused(ID, Permanence.PASSING, "no"), Status.NOT_ACC_REC, None),
        (Unreachable(ID, "no"), Status.CON_ERR, None),
        (Unanswered(ID, "no"), Status.SEND_ERR, NOW),
    ],
)
def test_what_failed_for_now_is_tried_again_later(outcome, status, maybe_sent_at):
    assert after_try(a_due_part(), outcome, NOW, POLICY) == Postponed(ID, after(5), 1, status, "no", maybe_sent_at)


@pytest.mark.parametrize(
    ("attempt_count", "wait_s"), [(0, 5), (1, 15), (2, 60), (3, 300), (4, 900), (5, 900), (99, 900)]
)
def test_waits_grow_and_the_last_one_holds(attempt_count, wait_s):
    part = a_due_part(attempt_count=attempt_count)
    assert after_try(part, Unreachable(ID, "no"), NOW, POLICY).due_at == after(wait_s)


def test_without_a_wait_left_the_sandbox_gives_up():
    part = a_due_part(attempt_count=3)
    assert after_try(part, Unreachable(ID, "no"), NOW, SANDBOX_POLICY) == Ended(ID, Status.CON_ERR, "no", NOW)


def test_throttling_is_no_try():
    part = a_due_part(attempt_count=3)
    outcome = after_try(part, Refused(ID, Permanence.THROTTLED, "slow down"), NOW, SANDBOX_POLICY)
    assert outcome == Postponed(ID, after(1), 3, Status.NOT_ACC_REC, "slow down")


def test_an_unanswered_part_is_given_up_if_the_account_says_so():
    part = a_due_part(on_unknown=OnUnknown.GIVE_UP)
    assert after_try(part, Unanswered(ID, "no"), NOW, POLICY) == Ended(
        ID, Status.SEND_ERR, "no", NOW, maybe_sent_at=NOW
    )


def test_a_retry_keeps_out_of_blackout_periods():
    part = a_due_part(blackouts=(Period(after(2), after(600)),))
    assert after_try(part, Unreachable(ID, "no"), NOW, POLICY).due_at == after(600)


# Properties

seconds = st.integers(-10_000, 10_000)
periods = st.lists(
    st.builds(lambda start, length: Period(after(start), after(start + length)), seconds, st.integers(1, 10_000)),
    max_size=4,
).map(joined)
parts = st.builds(
    a_due_part,
    was=st.sampled_from([PartState.WAITING, PartState.LEASED, PartState.SUBMITTED]),
    expires_at=seconds.map(after),
    attempt_count=st.integers(0, 10),
    status=st.sampled_from([Status.NONE, Status.CON_ERR, Status.NOT_ACC_REC, Status.SEND_ERR]),
    on_unknown=st.sampled_from(OnUnknown),
    blackouts=periods,
    heard=st.booleans(),
)
answers = st.one_of(
    st.just(Accepted(ID, "m")),
    st.sampled_from(Permanence).map(lambda permanence: Refused(ID, permanence, "no")),
    st.just(Unreachable(ID, "no")),
    st.just(Unanswered(ID, "no")),
)
policies = st.sampled_from([POLICY, SANDBOX_POLICY, RetryPolicy(waits_s=(), repeat_last=True)])


@given(part=parts)
def test_nothing_is_submitted_in_a_blackout_period_or_after_its_validity(part):
    if before_try(part, NOW) is None:
        assert not any(NOW in period for period in part.blackouts)
        assert part.segment.expires_at > NOW


@given(part=parts, answer=answers, policy=policies)
def test_no_next_try_falls_into_a_blackout_period_or_after_the_validity(part, answer, policy):
    for outcome in (before_try(part, NOW), after_try(part, answer, NOW, policy)):
        if isinstance(outcome, Postponed):
            assert outcome.due_at <= part.segment.expires_at
            if outcome.due_at < part.segment.expires_at:
                assert not any(outcome.due_at in period for period in part.blackouts)


@given(part=parts, answer=st.lists(answers, min_size=1, max_size=300), policy=policies)
def test_every_part_comes_to_its_end_whatever_carriers_answer(part, answer, policy):
    now, tries = NOW, iter(answer * 50)
    while True:
        outcome = before_try(part, now) or after_try(part, next(tries, Unreachable(ID, "no")), now, policy)
        if not isinstance(outcome, Postponed):
            break
        assert outcome.due_at > now or outcome.due_at == part.segment.expires_at
        now = max(now, outcome.due_at)
        part = a_due_part(
            expires_at=part.segment.expires_at,
            attempt_count=outcome.attempt_count,
            status=outcome.status,
            on_unknown=part.on_unknown,
            blackouts=part.blackouts,
        )
    assert now <= max(NOW, part.segment.expires_at) + timedelta(seconds=1)


# What carriers with connections add


QUEUE_POLICY = RetryPolicy(throttle_wait_s=None)
FIRST_DUE = IN_AN_HOUR - timedelta(minutes=2880)


def test_a_throttled_segment_may_go_back_to_the_head_of_the_queue():
    outcome = after_try(a_due_part(attempt_count=1), Refused(ID, Permanence.THROTTLED, "slow"), NOW, QUEUE_POLICY)
    assert outcome == Postponed(ID, FIRST_DUE, 1, Status.NOT_ACC_REC, "slow")


def test_a_segment_that_found_no_connection_goes_back_to_the_head_of_the_queue_and_counts_no_try():
    outcome = after_try(a_due_part(attempt_count=1), Unreachable(ID, "gone", is_try=False), NOW, POLICY)
    assert outcome == Postponed(ID, FIRST_DUE, 1, Status.CON_ERR, "gone")


@pytest.mark.parametrize("attempt_count", [0, 1])
def test_a_doubtful_answer_is_worth_two_more_tries(attempt_count):
    outcome = after_try(a_due_part(attempt_count=attempt_count), Refused(ID, Permanence.DOUBTFUL, "hm"), NOW, POLICY)
    wait_s = POLICY.waits_s[attempt_count]
    assert outcome == Postponed(ID, after(wait_s), attempt_count + 1, Status.NOT_ACC_REC, "hm")


def test_a_doubtful_answer_to_the_third_try_is_final():
    outcome = after_try(a_due_part(attempt_count=2), Refused(ID, Permanence.DOUBTFUL, "hm"), NOW, POLICY)
    assert outcome == Ended(ID, Status.NOT_ACC_FIN, "hm after 3 tries", NOW)


def test_what_has_too_little_validity_left_for_its_carrier_is_timed_out():
    assert after_try(a_due_part(), Expired(ID, "late"), NOW, POLICY) == Ended(ID, Status.TIMEOUT, "late", NOW)


def test_a_late_acceptance_is_one():
    part = a_due_part()
    assert after_try(part, AcceptedLate(part.segment, "m"), NOW, POLICY) == after_try(
        part, Accepted(ID, "m"), NOW, POLICY
    )


def test_while_its_carrier_is_unreachable_a_part_waits_and_says_why():
    outcome = while_unreachable(a_due_part(attempt_count=2), "no way", NOW, POLICY)
    assert outcome == Postponed(ID, after(5), 2, Status.CON_ERR, "no way")
    soon = while_unreachable(a_due_part(expires_at=after(3)), "no way", NOW, POLICY)
    assert soon.due_at == after(3), "its validity ends in time"
