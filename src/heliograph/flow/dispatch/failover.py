"""When an SMS leaves its carrier for another one of its route. Decisions only."""

from collections.abc import Collection
from datetime import datetime
from typing import TypeVar

import msgspec

from heliograph.flow.dispatch.retrying import RetryPolicy
from heliograph.jobs.carriage import Permanence, Refused, SubmitOutcome, Unreachable
from heliograph.jobs.schedule import earliest_send
from heliograph.jobs.status import Status
from heliograph.store.interface import DuePart, Ended, Moved, Outcome, Postponed


def instead_of_waiting(part: DuePart, carrier: str, waiting: Postponed, up: Collection[str], now: datetime) -> Outcome:
    """What becomes of a part that is due while its carrier can't be reached; `waiting` is what would, were it alone.

    up: the carriers that can be reached. The one that is left comes first again, should the SMS move once more.
    """
    target = next((other for other in part.others if other in up), None)
    waiting = _told(part, carrier, waiting)
    return waiting if target is None else _moved(part, carrier, target, waiting, now, comes_back=True)


def after_answer(
    part: DuePart,
    carrier: str,
    answer: SubmitOutcome,
    decision: Outcome,
    *,
    up: Collection[str],
    known: Collection[str],
    throttled_s: float,
    now: datetime,
    policy: RetryPolicy,
) -> Outcome:
    """What becomes of a part after its carrier's answer; `decision` is what would, were that carrier alone.

    up: the carriers that can be reached, of all those `known`. throttled_s: for how long the carrier has said nothing
    but that it is too much. A carrier that said no to an SMS doesn't get it again.
    """
    if not isinstance(decision, Postponed | Ended):
        return decision
    decision = _told(part, carrier, decision)
    if not part.others or not _gives_way(answer, decision, throttled_s, policy):
        return decision
    candidates = [other for other in part.others if other in up]
    if isinstance(decision, Ended):  # Waiting for a carrier that is down is better than the end.
        candidates += [other for other in part.others if other in known]
    if not candidates:
        return decision
    throttled = isinstance(answer, Refused) and answer.permanence is Permanence.THROTTLED
    return _moved(part, carrier, candidates[0], decision, now, comes_back=throttled)


def _gives_way(answer: SubmitOutcome, decision: Postponed | Ended, throttled_s: float, policy: RetryPolicy) -> bool:
    is_end = isinstance(decision, Ended)
    tried_enough = is_end or decision.attempt_count >= policy.tries_before_next
    match answer:
        case Refused(permanence=Permanence.LASTING):
            return answer.elsewhere
        case Refused(permanence=Permanence.DOUBTFUL):
            return is_end
        case Refused(permanence=Permanence.THROTTLED):
            return throttled_s >= policy.throttled_before_next_s
        case Refused(permanence=Permanence.PASSING) | Unreachable(is_try=True):
            return tried_enough
        case _:
            # Above all Unanswered: it might be sent twice, by two carriers.
            return False


def _moved(
    part: DuePart, carrier: str, target: str, decision: Postponed | Ended, now: datetime, *, comes_back: bool
) -> Moved:
    others = tuple(other for other in part.others if other != target)
    return Moved(
        part.segment.id,
        target,
        (carrier, *others) if comes_back else others,
        min(earliest_send(now, part.blackouts), part.segment.expires_at),
        part.attempt_count,
        decision.status if isinstance(decision, Postponed) else Status.NOT_ACC_REC,
        _reason(carrier, decision.reason, target),
        decision,
    )


# Reasons: "acme: its words; then backup: its words"


_Decision = TypeVar("_Decision", bound=Postponed | Ended)


def _told(part: DuePart, carrier: str, decision: _Decision) -> _Decision:
    """The decision, its reason behind those of the carriers before."""
    before, marker, _ = part.reason.rpartition(f"; then {carrier}: ")
    if not marker or decision.reason.startswith(before + marker):
        return decision
    return msgspec.structs.replace(decision, reason=f"{before}{marker}{decision.reason}")


def _reason(carrier: str, told: str, target: str) -> str:
    before, marker, words = told.rpartition(f"; then {carrier}: ")
    if not marker:
        marker = f"{carrier}: "
    if len(words) > LONGEST_WORDS:
        words = f"{words[: LONGEST_WORDS - 1]}…"
    said = f"{before}{marker}{words}"
    if len(said) > LONGEST_STORY:
        said = f"…{said[1 - LONGEST_STORY :]}"
    return f"{said}; then {target}: not tried yet"


LONGEST_WORDS = 160
"""How much of what one carrier said is told after it has been left, in characters."""
LONGEST_STORY = 480
"""How much is told of all the carriers that have been left: the last ones' words."""
