"""Jobs and SMS as they are read back."""

from datetime import datetime

import msgspec

from heliograph.jobs.naming import JobId
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


class StoredSms(msgspec.Struct, frozen=True):
    """An SMS and what is known of it. index: its place in the job."""

    index: int
    dst: str
    customer_ref: str
    progress: SmsProgress
