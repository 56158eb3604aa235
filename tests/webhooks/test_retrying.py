"""webhooks/retrying.py: what an attempt leads to."""

import pytest

from heliograph.jobs.inbound import InboundSms
from heliograph.jobs.naming import InboundId
from heliograph.jobs.webhooks import EventNumber, SmsReceived
from heliograph.store.interface import DueEvent, EventDelivered, EventGivenUp, EventPostponed, WebhookGone
from heliograph.webhooks.interface import Answered, NotAnswered
from heliograph.webhooks.retrying import RetryPolicy, after_attempt, is_taken
from tests.fakes.builders import NOW, a_webhook, after

POLICY = RetryPolicy()


def due(attempts: int = 0, *, trigger: bool = False) -> DueEvent:
    webhook = a_webhook(token="t" if trigger else None)
    sms = InboundSms(
        sms_id=InboundId("I.1"), account=webhook.account, src="+491", dst="80100", text="Hello", received_at=NOW
    )
    return DueEvent(EventNumber(7), webhook, SmsReceived(sms), attempts, after(45))


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_any_2xx_means_delivered(status):
    assert after_attempt(due(), Answered(status), NOW, POLICY) == [EventDelivered(EventNumber(7))]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answered(500), "it answered 500"),
        (Answered(400), "it answered 400"),
        (Answered(404), "it answered 404"),
        (Answered(301), "it answered 301, a redirect, which isn't followed"),
        (Answered(307), "it answered 307, a redirect, which isn't followed"),
        (NotAnswered("no answer within 15 s"), "no answer within 15 s"),
    ],
)
def test_anything_else_is_tried_again(answer, reason):
    assert not is_taken(answer)
    assert after_attempt(due(), answer, NOW, POLICY) == [EventPostponed(EventNumber(7), after(45), after(5), 1, reason)]


def test_the_waits_grow_and_end_after_three_days():
    waits = []
    for attempts in range(len(POLICY.waits_s)):
        (postponed,) = after_attempt(due(attempts), Answered(500), NOW, POLICY)
        waits.append((postponed.due_at - NOW).total_seconds())
    assert waits == [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400]
    assert 3 * 86_400 < sum(waits) < 4 * 86_400
    (given_up,) = after_attempt(due(len(waits)), Answered(500), NOW, POLICY)
    assert given_up == EventGivenUp(EventNumber(7), after(45), 10, "it answered 500", NOW)


@pytest.mark.parametrize(("asked_s", "wait_s"), [(2, 5), (60, 60), (10 * 86_400, 86_400)])
def test_a_receiver_that_says_when_is_listened_to_within_bounds(asked_s, wait_s):
    (postponed,) = after_attempt(due(), Answered(429, asked_s), NOW, POLICY)
    assert postponed.due_at == after(wait_s)


def test_410_disables_a_webhook_and_keeps_the_event():
    each = due(2)
    assert after_attempt(each, Answered(410), NOW, POLICY) == [
        EventPostponed(EventNumber(7), after(45), NOW, 3, "it answered 410"),
        WebhookGone(each.webhook.id, NOW),
    ]


@pytest.mark.parametrize("status", [404, 410])
def test_a_flow_that_is_not_there_any_more_ends_its_trigger(status):
    assert WebhookGone in map(type, after_attempt(due(trigger=True), Answered(status), NOW, POLICY))


def test_404_is_no_end_for_others():
    assert WebhookGone not in map(type, after_attempt(due(), Answered(404), NOW, POLICY))
