"""What an attempt to tell a webhook something leads to. Pure."""

from datetime import datetime, timedelta
from http import HTTPStatus

import msgspec

from heliograph.store.interface import (
    DueEvent,
    EventDelivered,
    EventGivenUp,
    EventPostponed,
    Settlement,
    WebhookGone,
)
from heliograph.webhooks.interface import Answer, Answered

HOUR_S = 3600.0
LONGEST_RETRY_AFTER_S = 24 * HOUR_S
"""What a receiver asks for beyond that is not waited for."""


class RetryPolicy(msgspec.Struct, frozen=True):
    """How often, and when, a webhook is told something again that it didn't take. waits_s: after each attempt."""

    waits_s: tuple[float, ...] = (5, 300, 1800, *(hours * HOUR_S for hours in (2, 5, 10, 14, 20, 24)))


def is_taken(answer: Answer) -> bool:
    """Whether the event has arrived."""
    return isinstance(answer, Answered) and 200 <= answer.status < 300


def is_end(due: DueEvent, answer: Answer) -> bool:
    """Whether the webhook wants to be told nothing any more. A flow's says by 404, too, that it isn't there."""
    ends = {HTTPStatus.GONE, HTTPStatus.NOT_FOUND} if due.webhook.is_trigger else {HTTPStatus.GONE}
    return isinstance(answer, Answered) and answer.status in ends


def after_attempt(due: DueEvent, answer: Answer, now: datetime, policy: RetryPolicy) -> list[Settlement]:
    """What is to be recorded. A redirect is a failure like any other: nobody has said that it may be followed."""
    if is_taken(answer):
        return [EventDelivered(due.number)]
    attempt_count, reason = due.attempt_count + 1, _reason(answer)
    if is_end(due, answer):
        waits = EventPostponed(due.number, due.leased_until, now, attempt_count, reason)
        return [waits, WebhookGone(due.webhook.id, now)]
    if attempt_count > len(policy.waits_s):
        return [EventGivenUp(due.number, due.leased_until, attempt_count, reason, now)]
    wait_s = max(policy.waits_s[attempt_count - 1], _asked_wait_s(answer))
    return [EventPostponed(due.number, due.leased_until, now + timedelta(seconds=wait_s), attempt_count, reason)]


def _asked_wait_s(answer: Answer) -> float:
    if not isinstance(answer, Answered) or answer.retry_after_s is None:
        return 0.0
    return min(answer.retry_after_s, LONGEST_RETRY_AFTER_S)


def _reason(answer: Answer) -> str:
    if not isinstance(answer, Answered):
        return answer.reason
    if 300 <= answer.status < 400:
        return f"it answered {answer.status}, a redirect, which isn't followed"
    return f"it answered {answer.status}"
