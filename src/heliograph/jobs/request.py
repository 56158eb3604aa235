"""What a customer asks for, after the edge has checked it."""

import msgspec

from heliograph.jobs.options import JobOptions
from heliograph.jobs.schedule import Period

MAX_RECIPIENTS = 3000
"""In one job, over all its messages (contract, section 1)."""


class Recipient(msgspec.Struct, frozen=True, gc=False):
    """One recipient of one message. dst: as the customer spelled it; blackout_periods: None means the options'."""

    dst: str
    customer_ref: str
    blackout_periods: tuple[Period, ...] | None = None


class Message(msgspec.Struct, frozen=True, gc=False):
    """One text and who is to get it."""

    text: str
    recipients: tuple[Recipient, ...]


class JobRequest(msgspec.Struct, frozen=True, gc=False):
    """A job as asked for, the account's defaults filled in.

    fingerprint: of the request as it was sent, to tell an equal one; empty where nobody asks for that.
    idempotency_key: under which the same request, sent again, makes no second job.
    """

    options: JobOptions
    messages: tuple[Message, ...]
    fingerprint: bytes
    idempotency_key: str | None = None


class Idempotency(msgspec.Struct, frozen=True, gc=False):
    """An idempotency key, and the fingerprint of the request that it came with."""

    key: str
    fingerprint: bytes
