"""Webhooks: who is called when something has happened, and what can happen.

What has happened, an event, goes to each webhook of the account that asks for its type, at least once. Where it goes
there more than once it has the same id each time.
"""

from datetime import datetime
from enum import StrEnum
from hashlib import blake2b
from typing import NewType

import msgspec

from heliograph.jobs.accounts import AccountId
from heliograph.jobs.naming import JobId, sms_id
from heliograph.jobs.records import InboundSms, StoredJob, StoredSms

WebhookId = NewType("WebhookId", str)
EventNumber = NewType("EventNumber", int)
"""How a store tells events apart; never given twice."""

MAX_WEBHOOKS = 100
"""How many an account can have: each event is kept once for each of them."""


class EventType(StrEnum):
    """What can happen."""

    SMS_FINISHED = "sms.finished"
    """An SMS got its final status."""
    JOB_FINISHED = "job.finished"
    """The last SMS of a job got its final status."""
    SMS_RECEIVED = "sms.received"
    """An SMS from a phone is whole."""


class Webhook(msgspec.Struct, frozen=True, kw_only=True):
    """One subscription.

    url: may hold secrets of the one who is called, so it isn't logged. secret: what events are signed with, `whsec_`
    and base64. token: by which whoever has it may end the subscription without credentials; None is nobody may, and
    makes it no trigger of a flow. disabled_at: since when nothing is written for it, as it answered 410.
    """

    id: WebhookId
    account: AccountId
    url: str
    events: tuple[EventType, ...]
    secret: str
    created_at: datetime
    token: str | None = None
    disabled_at: datetime | None = None

    @property
    def is_trigger(self) -> bool:
        """Whether it is a flow's, which says by 404 or 410 that there is no such flow any more."""
        return self.token is not None


class SmsFinished(msgspec.Struct, frozen=True):
    """An SMS got its final status."""

    job_id: JobId
    sms: StoredSms

    type = EventType.SMS_FINISHED

    @property
    def at(self) -> datetime | None:
        """When it happened."""
        return self.sms.progress.finished_at

    @property
    def subject(self) -> str:
        """The id of what it happened to."""
        return sms_id(self.job_id, self.sms.index)


class JobFinished(msgspec.Struct, frozen=True):
    """The last SMS of a job got its final status."""

    job: StoredJob

    type = EventType.JOB_FINISHED

    @property
    def at(self) -> datetime | None:
        """When it happened."""
        return self.job.finished_at

    @property
    def subject(self) -> str:
        """The id of what it happened to."""
        return self.job.job_id


class SmsReceived(msgspec.Struct, frozen=True):
    """An SMS from a phone is whole."""

    sms: InboundSms

    type = EventType.SMS_RECEIVED

    @property
    def at(self) -> datetime | None:
        """When it happened."""
        return self.sms.received_at

    @property
    def subject(self) -> str:
        """The id of what it happened to."""
        return self.sms.sms_id


Event = SmsFinished | JobFinished | SmsReceived


class FailedEvent(msgspec.Struct, frozen=True):
    """An event that was given up at `failed_at`; reason: what came of the last of its attempts."""

    event: Event
    attempt_count: int
    reason: str
    failed_at: datetime


def event_id(webhook: WebhookId, event: Event) -> str:
    """The id of an event as one webhook gets it: the same however often it is sent, and no other's."""
    digest = blake2b(f"{webhook} {event.type.value} {event.subject}".encode(), digest_size=15)
    return f"evt_{digest.hexdigest()}"
