"""The states of an SMS and the one table of what leads to which (contract, "Status of one SMS")."""

from collections.abc import Sequence
from datetime import datetime
from enum import Enum, StrEnum

import msgspec


class ProcessStatus(StrEnum):
    """Where an SMS stands."""

    OPEN = "OPEN"
    RUNNING = "RUNNING"
    DONE = "DONE"
    CANCELED = "CANCELED"
    KILL = "KILL"


class Status(StrEnum):
    """What became of an SMS, or of the last try."""

    NONE = ""
    SUC_ACC = "SUC_ACC"
    SUC_FIN = "SUC_FIN"
    INVALID_DST = "INVALID_DST"
    BLOCKED = "BLOCKED"
    TIMEOUT = "TIMEOUT"
    CON_ERR = "CON_ERR"
    FAILED_FIN = "FAILED_FIN"
    NOT_ACC_REC = "NOT_ACC_REC"
    NOT_ACC_FIN = "NOT_ACC_FIN"
    SEND_ERR = "SEND_ERR"
    STATUS_ERR = "STATUS_ERR"


FINAL = frozenset({ProcessStatus.DONE, ProcessStatus.CANCELED, ProcessStatus.KILL})
"""What an SMS never leaves."""

MEANINGS: dict[tuple[ProcessStatus, Status], str] = {
    (ProcessStatus.OPEN, Status.NONE): "waiting: scheduled, in a blackout period, or queued",
    (ProcessStatus.OPEN, Status.CON_ERR): "the carrier could not be reached; to be tried again",
    (ProcessStatus.OPEN, Status.NOT_ACC_REC): "the carrier refused it for now; to be tried again",
    (ProcessStatus.OPEN, Status.SEND_ERR): "nobody knows whether the carrier took it; to be sent again",
    (ProcessStatus.RUNNING, Status.NONE): "handed to the carrier; its receipt is awaited",
    (ProcessStatus.DONE, Status.SUC_ACC): "the carrier took it; no receipt was asked for",
    (ProcessStatus.DONE, Status.SUC_FIN): "delivered, says the carrier's receipt",
    (ProcessStatus.DONE, Status.INVALID_DST): "not a possible number",
    (ProcessStatus.DONE, Status.BLOCKED): "the number is on the account's blocklist",
    (ProcessStatus.DONE, Status.TIMEOUT): "its validity ran out before it was sent or delivered",
    (ProcessStatus.DONE, Status.CON_ERR): "every try failed on the way to the carrier",
    (ProcessStatus.DONE, Status.FAILED_FIN): "not delivered, says the carrier's receipt",
    (ProcessStatus.DONE, Status.NOT_ACC_FIN): "the carrier refused it for good",
    (
        ProcessStatus.DONE,
        Status.SEND_ERR,
    ): "nobody knows whether the carrier took it, and the account chose not to risk sending it twice",
    (
        ProcessStatus.DONE,
        Status.STATUS_ERR,
    ): "receipts came, but none that could be read said a final state in time; or the carrier gave it no id, by which "
    "a receipt could be told to be about it",
    (ProcessStatus.CANCELED, Status.NONE): "cancelled before the first try",
    (ProcessStatus.CANCELED, Status.NOT_ACC_REC): "cancelled after a try that failed",
    (
        ProcessStatus.KILL,
        Status.NONE,
    ): "cancelled when the carrier had it, or may have had; a receipt that comes later is told in `reason` alone",
}
"""Every pair that a report can show, and what it means to a customer."""


class PartState(Enum):
    """Where one part of an SMS that is not final stands. The values are what stores keep."""

    WAITING = 0
    """To be submitted when it falls due."""
    LEASED = 1
    """A dispatcher has it; if its lease runs out, nobody knows whether the carrier took it."""
    SUBMITTED = 2
    """The carrier took it; its receipt is awaited."""
    DONE = 3
    """Nothing more is to happen to it; other parts of the SMS are not so far."""


class PartProgress(msgspec.Struct, frozen=True, gc=False):
    """What is known of one part of an SMS that is not final."""

    state: PartState
    status: Status
    reason: str
    sent_at: datetime | None


class SmsProgress(msgspec.Struct, frozen=True, gc=False):
    """What is known of an SMS: what a report shows."""

    process_status: ProcessStatus
    status: Status = Status.NONE
    reason: str = ""
    sent_at: datetime | None = None
    finished_at: datetime | None = None


def roll_up(parts: Sequence[PartProgress]) -> SmsProgress:
    """The progress of an SMS that is not final, from its parts.

    It is RUNNING once every part has been handed over, else OPEN; of several errors the first part's is told, and
    without one what keeps a part waiting. The last word on some part isn't the SMS's: until then there is what was
    heard of another, or how many have theirs.
    """
    # With `sent_at`, a leased part is one whose overdue receipt is just being settled.
    if all(part.state in (PartState.SUBMITTED, PartState.DONE) or part.sent_at for part in parts):
        outstanding = [part for part in parts if part.state is not PartState.DONE]
        reason = next((part.reason for part in outstanding if part.reason), "")
        if not reason and len(outstanding) < len(parts):
            reason = f"the carrier is done with {len(parts) - len(outstanding)} of {len(parts)} parts"
        sent_at = max((part.sent_at for part in parts if part.sent_at), default=None)
        return SmsProgress(ProcessStatus.RUNNING, Status.NONE, reason, sent_at)
    waiting = [part for part in parts if part.state in (PartState.WAITING, PartState.LEASED)]
    for part in waiting:
        if part.status is not Status.NONE:
            return SmsProgress(ProcessStatus.OPEN, part.status, part.reason)
    return SmsProgress(ProcessStatus.OPEN, Status.NONE, next((part.reason for part in waiting if part.reason), ""))


def cancelled(parts: Sequence[PartProgress], *, tried: bool, doubtful: bool, now: datetime) -> SmsProgress:
    """What becomes of an SMS that is not final when its job is cancelled.

    tried: whether any of its parts has been tried; doubtful: whether the carrier may have got one without our knowing.
    Where it has one, or may have, the SMS is killed: it may reach the phone all the same.
    """
    before = roll_up(parts)
    if not doubtful and all(part.state is PartState.WAITING for part in parts):
        failed = tried or any(part.status is Status.NOT_ACC_REC for part in parts)
        status = Status.NOT_ACC_REC if failed else Status.NONE
        return SmsProgress(ProcessStatus.CANCELED, status, before.reason, None, now)
    sent_at = max((part.sent_at for part in parts if part.sent_at), default=None)
    return SmsProgress(ProcessStatus.KILL, Status.NONE, before.reason, sent_at, now)
