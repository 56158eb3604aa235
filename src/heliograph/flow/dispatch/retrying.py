"""What to do with a segment that is due, and after a try. Decisions only: the dispatcher carries them out."""

from datetime import datetime, timedelta

import msgspec

from heliograph.jobs.accounts import OnUnknown
from heliograph.jobs.carriage import Accepted, Permanence, Refused, SubmitOutcome, Unanswered, Unreachable
from heliograph.jobs.schedule import earliest_send
from heliograph.jobs.status import PartState, Status
from heliograph.store.interface import DuePart, Ended, Outcome, Postponed, Submitted


class RetryPolicy(msgspec.Struct, frozen=True):
    """How patient we are with a carrier; all times in seconds.

    waits_s: before the second try, the third, …; repeat_last: whether the last one holds for all further tries,
    while the validity lasts, or there are no further ones.
    throttle_wait_s: before a segment is tried again that came too fast; such tries don't count.
    receipt_grace_s: how long after the end of the validity a receipt is still awaited.
    """

    waits_s: tuple[float, ...] = (5, 15, 60, 300, 900)
    repeat_last: bool = True
    throttle_wait_s: float = 1
    receipt_grace_s: float = 86_400


def before_try(part: DuePart, now: datetime) -> Outcome | None:
    """What becomes of a part that is due without another try; None if it is to be submitted."""
    segment = part.segment.id
    if part.heard:
        # Whatever came between: a receipt was matched to it, so the carrier has it and it must not go again.
        return Ended(segment, Status.STATUS_ERR, part.reason, now)
    if part.was is PartState.SUBMITTED:
        return Ended(segment, Status.TIMEOUT, "no receipt came in time", now)
    if part.was is PartState.LEASED and part.on_unknown is OnUnknown.GIVE_UP:
        return Ended(segment, Status.SEND_ERR, _UNKNOWN, now)
    if now >= part.segment.expires_at:
        if part.was is PartState.LEASED:
            return Ended(segment, Status.TIMEOUT, f"{_UNKNOWN}, and its validity ran out", now)
        if part.status is Status.CON_ERR:
            return Ended(segment, Status.CON_ERR, part.reason, now)
        return Ended(segment, Status.TIMEOUT, part.reason or "the validity ran out before it could be sent", now)
    due_at = earliest_send(now, part.blackouts)
    if due_at > now:
        return _postponed(part, due_at, part.attempt_count, part.status, part.reason)
    return None


_UNKNOWN = "the process was stopped while it was being sent: nobody knows whether the carrier took it"


def after_try(part: DuePart, outcome: SubmitOutcome, now: datetime, policy: RetryPolicy) -> Outcome:
    """What becomes of a part after its carrier's answer, or the lack of one."""
    segment = part.segment
    match outcome:
        case Accepted():
            receipt_due_at = segment.expires_at + timedelta(seconds=policy.receipt_grace_s)
            return Submitted(segment.id, outcome.message_id, now, receipt_due_at if segment.receipt_wanted else None)
        case Refused(permanence=Permanence.LASTING):
            return Ended(segment.id, Status.NOT_ACC_FIN, outcome.reason, now)
        case Refused(permanence=Permanence.BAD_NUMBER):
            return Ended(segment.id, Status.INVALID_DST, outcome.reason, now)
        case Refused(permanence=Permanence.THROTTLED):
            due_at = earliest_send(now + timedelta(seconds=policy.throttle_wait_s), part.blackouts)
            return _postponed(part, due_at, part.attempt_count, Status.NOT_ACC_REC, outcome.reason)
        case Refused():
            return _try_again(part, Status.NOT_ACC_REC, Status.CON_ERR, outcome.reason, now, policy)
        case Unreachable():
            return _try_again(part, Status.CON_ERR, Status.CON_ERR, outcome.reason, now, policy)
        case Unanswered():
            if part.on_unknown is OnUnknown.GIVE_UP:
                return Ended(segment.id, Status.SEND_ERR, outcome.reason, now)
            return _try_again(part, Status.SEND_ERR, Status.SEND_ERR, outcome.reason, now, policy)


def _try_again(
    part: DuePart, meanwhile: Status, at_last: Status, reason: str, now: datetime, policy: RetryPolicy
) -> Outcome:
    attempt_count = part.attempt_count + 1
    if attempt_count > len(policy.waits_s) and not (policy.repeat_last and policy.waits_s):
        return Ended(part.segment.id, at_last, reason, now)
    wait_s = policy.waits_s[min(attempt_count, len(policy.waits_s)) - 1]
    due_at = earliest_send(now + timedelta(seconds=wait_s), part.blackouts)
    return _postponed(part, due_at, attempt_count, meanwhile, reason)


def _postponed(part: DuePart, due_at: datetime, attempt_count: int, status: Status, reason: str) -> Postponed:
    # Where no try is left before the validity ends, it ends then, not later.
    return Postponed(part.segment.id, min(due_at, part.segment.expires_at), attempt_count, status, reason)
