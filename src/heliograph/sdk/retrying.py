"""Whether and when to ask again: after what happened, or for what is not finished yet. Pure."""

from http import HTTPStatus
from typing import Any

from heliograph.sdk.answers import Answer, NoAnswer, Outcome, first_job_id, retry_after_s
from heliograph.sdk.calls import Call, Repeat

MOST_TRIES_UNSEEN = 6
"""Of reaching a service that never answered: some six seconds, for it may not be there at all. One that did is tried
until the deadline."""
SHORTEST_HALVED_S = 2.0
FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 5.0
FIRST_POLL_S = 0.25
LONGEST_POLL_S = 10.0
"""Six calls a minute, of the hundred that an account usually has."""

_PASSING = {HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT}
_DOUBTFUL = {HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT}
_NOT_DONE = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS}


def may_repeat(call: Call[Any], *, knows_keys: bool) -> bool:
    """Whether a call may be made again though it may have been carried out.

    knows_keys: whether the service is known to send a job once whose Idempotency-Key comes twice.
    """
    match call.repeat:
        case Repeat.FREELY:
            return True
        case Repeat.BY_KEY:
            return (call.key is not None and knows_keys) or call.detects_duplicates
        case Repeat.NEVER:
            return False


def is_passing(outcome: Outcome) -> bool:
    """Whether a call that ended so may end better next time, where it does no harm to make it twice."""
    return outcome.sent if isinstance(outcome, NoAnswer) else outcome.status in _PASSING


def is_not_done(outcome: Outcome) -> bool:
    """Whether a call that ended so was surely not carried out, and may end better next time."""
    if isinstance(outcome, NoAnswer):
        return not outcome.sent and not outcome.hopeless
    return outcome.status in _NOT_DONE


def is_doubtful(outcome: Outcome) -> bool:
    """Whether a call that ended so may have been carried out."""
    return outcome.sent if isinstance(outcome, NoAnswer) else outcome.status in _DOUBTFUL


def pause_s(outcome: Outcome, tries: int, chance: float) -> float:
    """Seconds before the next try: what the service asks for, or twice as long each time.

    tries: made so far. chance: from 0 to 1, so that clients which failed together don't come back together.
    """
    asked = retry_after_s(outcome) if isinstance(outcome, Answer) else None
    if asked is not None:
        return asked
    return min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(tries - 1, 10)) * (0.5 + chance / 2)


def try_timeout_s(call: Call[Any], left_s: float) -> float:
    """Seconds that one try may take: half of what is left where another may follow, so that there is time for it."""
    return left_s if call.repeat is Repeat.NEVER or left_s < SHORTEST_HALVED_S else left_s / 2


def is_being_done(call: Call[Any], outcome: Outcome) -> bool:
    """Whether a repeated call is answered that the first one is still being worked on."""
    return (
        call.key is not None
        and isinstance(outcome, Answer)
        and outcome.status == HTTPStatus.CONFLICT
        and first_job_id(outcome.body.decode("utf-8", "replace")) is None
    )


def poll_pause_s(polls: int) -> float:
    """Seconds before a job is looked at again: longer each time."""
    return min(LONGEST_POLL_S, FIRST_POLL_S * 1.5**polls)
