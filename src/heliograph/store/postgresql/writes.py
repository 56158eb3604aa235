"""What shares a transaction with other writes of its kind: what dispatch and customers wait for."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from heliograph.jobs.plan import JobPlan
from heliograph.store.interface import Outcome, ReceiptNews


class AddJob(msgspec.Struct, frozen=True):
    """Write: keep a job."""

    plan: JobPlan


class Lease(msgspec.Struct, frozen=True):
    """Write: take segments that are due."""

    carrier: str
    limit: int
    until: datetime
    now: datetime
    normal_limit: int | None = None


class RecordOutcomes(msgspec.Struct, frozen=True):
    """Write: what became of segments."""

    carrier: str
    outcomes: Sequence[Outcome]


class RecordReceipts(msgspec.Struct, frozen=True):
    """Write: what receipts say."""

    carrier: str
    receipts: Sequence[ReceiptNews]


class CancelJob(msgspec.Struct, frozen=True):
    """Write: SMS from one number to before another come to their end, as their job is cancelled."""

    first_sms: int
    end_sms: int
    now: datetime


class EndWaiting(msgspec.Struct, frozen=True):
    """Write: SMS to blocked numbers come to their end, those that wait."""

    sms: Sequence[int]
    at: datetime


Write = AddJob | CancelJob | Lease | RecordOutcomes | RecordReceipts | EndWaiting
