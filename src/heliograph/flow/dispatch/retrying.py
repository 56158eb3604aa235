"""What to do with a segment that is due, and after a try. Decisions only: the dispatcher carries them out."""

from datetime import datetime, timedelta
from typing import assert_never

import msgspec

from heliograph.jobs.accounts import OnUnknown
from heliograph.jobs.carriage import (
    Accepted,
    AcceptedLate,
    Expired,
    Permanence,
    Refused,
    Segment,
    SubmitOutcome,
    Unanswered,
    Unreachable,
)
from heliograph.jobs.schedule import DEFAULT_VALIDITY_MIN, earliest_send
from heliograph.jobs.status import PartState, Status
from heliograph.store.interface import DuePart, Ended, Outcome, Postponed, Submitted


class RetryPolicy(msgspec.Struct, frozen=True):
    """How patient we are with a carrier; all times in seconds.

    waits_s: before the second try, the third, …; repeat_last: whether the last one holds for all further tries,
    while the validity lasts, or there are no further ones.
    throttle_wait_s: before a segment is tried again that came too fast; such tries don't count. None puts it back to
    the head of the queue, for a carrier that pauses as a whole.
    unreachable_wait_s: before we look again whether a carrier that can't be reached takes a segment.
    unreachable_is_error: whether that is the SMS's status meanwhile, and at the end of its validity; else it is told in
    the reason alone.
    receipt_grace_s: how long after the end of the validity a receipt is still awaited.
    tries_before_next: after how many failed tries an SMS goes to the next carrier of its route, where there is one;
    throttled_before_next_s: for how long a carrier may say that it is too much.
    """

    waits_s: tuple[float, ...] = (5, 15, 60, 300, 900)
    repeat_last: bool = True
    throttle_wait_s: float | None = 1
    unreachable_wait_s: float = 5
    unreachable_is_error: bool = True
    receipt_grace_s: float = 86_400
    tries_before_next: int = 2
    throttled_before_next_s: float = 30


def before_try(part: DuePart, now: datetime) -> Outcome | None:
    """What becomes of a part that is due without another try; None if it is to be submitted."""
    segment = part.segment.id
    if part.heard:
        # Whatever came between: a receipt was matched to it, so the carrier has it and it must not go again.
        return Ended(segment, Status.STATUS_ERR, part.reason, now, is_overdue=True)
    if part.was is PartState.SUBMITTED and not part.message_id:
        return Ended(segment, Status.STATUS_ERR, _NAMELESS, now, is_overdue=True)
    if part.was is PartState.SUBMITTED:
        return Ended(segment, Status.TIMEOUT, "no receipt came in time", now, is_overdue=True)
    if part.was is PartState.LEASED and part.on_unknown is OnUnknown.GIVE_UP:
        return Ended(segment, Status.SEND_ERR, _UNKNOWN, now, maybe_sent_at=now)
    if now >= part.segment.expires_at:
        if part.was is PartState.LEASED:
            return Ended(segment, Status.TIMEOUT, f"{_UNKNOWN}, and its validity ran out", now, maybe_sent_at=now)
        if _every_try_failed(part):
            return Ended(segment, Status.CON_ERR, part.reason, now)
        return Ended(segment, Status.TIMEOUT, part.reason or "the validity ran out before it could be sent", now)
    due_at = earliest_send(now, part.blackouts)
    if due_at > now:
        return _postponed(part, due_at, part.attempt_count, part.status, part.reason)
    return None


def _every_try_failed(part: DuePart) -> bool:
    """Whether a part whose validity ends failed on the way to its carrier, so that it isn't only that time ran out.

    Throttling counts as no try, and what may have been taken did not fail for certain.
    """
    return part.status is Status.CON_ERR or (part.status is Status.NOT_ACC_REC and part.attempt_count > 0)


def is_worth_asking(part: DuePart, now: datetime, policy: RetryPolicy) -> bool:
    """Whether its carrier may be asked what became of a part before that is given up.

    That is one whose receipt is overdue, and has not been for long.
    """
    if part.was is not PartState.SUBMITTED or not part.message_id:
        return False
    return now < part.segment.expires_at + timedelta(seconds=policy.receipt_grace_s + ASKED_FOR_S)


ASKED_FOR_S = 600
"""For how long after a receipt is overdue its carrier may be asked, in seconds: it may be out of reach, or busy."""

_NAMELESS = "the carrier took it and gave it no message id, so none of its receipts could be told to be about it"
_UNKNOWN = "the process was stopped while it was being sent: nobody knows whether the carrier took it"


def while_unreachable(part: DuePart, reason: str, now: datetime, policy: RetryPolicy) -> Postponed:
    """What becomes of a part that is due while its carrier can't be reached; no try is counted."""
    due_at = earliest_send(now + timedelta(seconds=policy.unreachable_wait_s), part.blackouts)
    status = Status.CON_ERR if policy.unreachable_is_error else part.status
    return _postponed(part, due_at, part.attempt_count, status, reason)


def while_throttled(part: DuePart, now: datetime, policy: RetryPolicy) -> Postponed:
    """What becomes of a part that is due while its carrier has done nothing but throttle for long."""
    due_at = earliest_send(now + timedelta(seconds=policy.unreachable_wait_s), part.blackouts)
    return _postponed(part, due_at, part.attempt_count, part.status, _ONLY_THROTTLED)


_ONLY_THROTTLED = "the carrier has done nothing but throttle for a while"


def after_try(part: DuePart, outcome: SubmitOutcome, now: datetime, policy: RetryPolicy) -> Outcome:
    """What becomes of a part after its carrier's answer, or the lack of one."""
    segment = part.segment
    match outcome:
        case Accepted() | AcceptedLate():
            return after_acceptance(segment, outcome.message_id, now, policy)
        case Expired() if _every_try_failed(part):
            return Ended(segment.id, Status.CON_ERR, part.reason, now)
        case Expired() if part.status is Status.SEND_ERR:  # An earlier try may have been taken: that is to be read.
            return Ended(segment.id, Status.TIMEOUT, f"{part.reason}; then {outcome.reason}", now)
        case Expired():
            return Ended(segment.id, Status.TIMEOUT, outcome.reason, now)
        case Refused():
            return _after_refusal(part, outcome, now, policy)
        case Unreachable(is_try=False):
            return _postponed(part, _head_of_queue(segment), part.attempt_count, Status.CON_ERR, outcome.reason)
        case Unreachable():
            return _try_again(part, Status.CON_ERR, Status.CON_ERR, outcome.reason, now, policy)
        case Unanswered():
            if part.on_unknown is OnUnknown.GIVE_UP:
                return Ended(segment.id, Status.SEND_ERR, outcome.reason, now, maybe_sent_at=now)
            next_try = _try_again(part, Status.SEND_ERR, Status.SEND_ERR, outcome.reason, now, policy)
            return msgspec.structs.replace(next_try, maybe_sent_at=now)
        case _:
            assert_never(outcome)


def after_acceptance(segment: Segment, message_id: str, now: datetime, policy: RetryPolicy) -> Submitted:
    """What becomes of a segment that the carrier took, be it late."""
    if not segment.receipt_wanted:
        return Submitted(segment.id, message_id, now, None, segment.expires_at)
    return Submitted(segment.id, message_id, now, segment.expires_at + timedelta(seconds=policy.receipt_grace_s))


def _after_refusal(part: DuePart, refused: Refused, now: datetime, policy: RetryPolicy) -> Outcome:
    segment, reason = part.segment.id, refused.reason
    match refused.permanence:
        case Permanence.LASTING:
            return Ended(segment, Status.NOT_ACC_FIN, reason, now)
        case Permanence.BAD_NUMBER:
            return Ended(segment, Status.INVALID_DST, reason, now)
        case Permanence.DOUBTFUL if part.attempt_count >= DOUBTFUL_RETRIES:
            return Ended(segment, Status.NOT_ACC_FIN, f"{reason} after {part.attempt_count + 1} tries", now)
        case Permanence.THROTTLED:
            wait_s = policy.throttle_wait_s
            due_at = (
                _head_of_queue(part.segment)
                if wait_s is None
                else earliest_send(now + timedelta(seconds=wait_s), part.blackouts)
            )
            return _postponed(part, due_at, part.attempt_count, Status.NOT_ACC_REC, reason)
        case Permanence.PASSING | Permanence.DOUBTFUL:
            return _try_again(part, Status.NOT_ACC_REC, Status.CON_ERR, reason, now, policy)
        case _:
            assert_never(refused.permanence)


DOUBTFUL_RETRIES = 2
"""How often a segment is tried again after an answer that may mean anything."""


def _head_of_queue(segment: Segment) -> datetime:
    """The instant at which it first fell due, before that of all that came later."""
    return segment.expires_at - timedelta(minutes=segment.validity_min or DEFAULT_VALIDITY_MIN)


def _try_again(
    part: DuePart, meanwhile: Status, at_last: Status, reason: str, now: datetime, policy: RetryPolicy
) -> Postponed | Ended:
    attempt_count = part.attempt_count + 1
    if attempt_count > len(policy.waits_s) and not (policy.repeat_last and policy.waits_s):
        return Ended(part.segment.id, at_last, reason, now)
    wait_s = policy.waits_s[min(attempt_count, len(policy.waits_s)) - 1]
    due_at = earliest_send(now + timedelta(seconds=wait_s), part.blackouts)
    return _postponed(part, due_at, attempt_count, meanwhile, reason)


def _postponed(part: DuePart, due_at: datetime, attempt_count: int, status: Status, reason: str) -> Postponed:
    # Where no try is left before the validity ends, it ends then, not later.
    return Postponed(part.segment.id, min(due_at, part.segment.expires_at), attempt_count, status, reason)
