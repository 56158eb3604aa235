"""Jobs and SMS as they are read back."""

from datetime import datetime

import msgspec

from heliograph.jobs.accounts import AccountId
from heliograph.jobs.naming import InboundId, JobId
from heliograph.jobs.options import JobOptions
from heliograph.jobs.status import SmsProgress


class StoredJob(msgspec.Struct, frozen=True):
    """A job as it is kept. finished_at: once every SMS is final."""

    job_id: JobId
    received_at: datetime
    finished_at: datetime | None
    sms_count: int
    options: JobOptions


class BlockedNumber(msgspec.Struct, frozen=True):
    """A number that gets nothing from an account."""

    dst: str
    created_at: datetime


class StoredSms(msgspec.Struct, frozen=True, gc=False):
    """An SMS and what is known of it. index: its place in the job."""

    index: int
    dst: str
    customer_ref: str
    progress: SmsProgress


class InboundSms(msgspec.Struct, frozen=True, kw_only=True):
    """An SMS from a phone, as its account reads it.

    account: whose it is; NOBODY's if no configuration gives `dst` to one, and none has written to `src`.
    src, dst: E.164 where they are numbers. received_at: when the last of its parts came, or was given up.
    """

    sms_id: InboundId
    account: AccountId
    src: str
    dst: str
    text: str
    received_at: datetime
