"""What a client sends, and what it is told.

Names are those of the API, in Python's spelling: `statusRequested` is `status_requested`. Instants are aware. A value
that this version doesn't know, of a service that is newer, stands as plain text where an enum is expected.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypedDict

from heliograph.gsm.carrying import Encoding, InvalidCharacters
from heliograph.jobs.options import Qos
from heliograph.jobs.schedule import Period
from heliograph.jobs.status import FINAL, ProcessStatus, Status
from heliograph.jobs.webhooks import EventType


class Options(TypedDict, total=False):
    """The options of a job, as keyword arguments; one that is absent, or None, is the account's default."""

    src: str | None
    encoding: Encoding | Literal["STANDARD", "UTF-16"] | None
    billcode: str | None
    status_requested: bool | None
    flash: bool | None
    customer_ref: str | None
    validity_min: int | None
    max_parts: int | None
    invalid_characters: InvalidCharacters | Literal["REFUSE", "REPLACE", "TO_UTF16", "TRANSLITERATE"] | None
    qos: Qos | Literal["EXPRESS", "NORMAL"] | None
    job_period: datetime | None
    duplicate_detection: bool | None
    blackout_periods: Sequence[Period] | None


@dataclass(frozen=True, slots=True)
class Recipient:
    """Who gets a message.

    dst: the number, in any usual spelling.
    customer_ref: your own reference; without one it is the number.
    blackout_periods: in place of the options'; an empty list means none.
    """

    dst: str
    customer_ref: str | None = None
    blackout_periods: Sequence[Period] | None = None


Recipients = str | Recipient | Iterable[str | Recipient]
"""One number, or several; each plain, or as a Recipient."""


@dataclass(frozen=True, slots=True)
class Message:
    """One text, and who gets it: `Message("Hello", to="+4917612345678")`."""

    text: str
    to: Recipients


@dataclass(frozen=True, slots=True, kw_only=True)
class JobReport:
    """A job: the options in force, when it was received and finished, and the ids of its SMS."""

    job_id: str
    receipt_ts: datetime
    finished_ts: datetime | None = None
    src: str = ""
    encoding: Encoding | str = Encoding.STANDARD
    billcode: str = ""
    status_requested: bool = False
    flash: bool = False
    validity_min: int = 0
    customer_ref: str = ""
    qos: Qos | str = Qos.NORMAL
    recipient_ids: tuple[str, ...] = ()

    @property
    def finished(self) -> bool:
        """Whether every SMS of it has its final status."""
        return self.finished_ts is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipientReport:
    """What became of one SMS.

    status: `Status.NONE` while there is nothing to tell. reason: the carrier's own words.
    """

    sms_id: str
    dst: str
    process_status: ProcessStatus | str
    status: Status | str = Status.NONE
    customer_ref: str = ""
    reason: str = ""
    sent_ts: datetime | None = None
    finished_ts: datetime | None = None

    @property
    def final(self) -> bool:
        """Whether the status stays as it is."""
        return self.process_status in FINAL

    @property
    def succeeded(self) -> bool:
        """Whether it was delivered or, where no receipt was asked for, taken by the carrier."""
        return self.final and self.status in (Status.SUC_FIN, Status.SUC_ACC)


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionInfo:
    """What the service is running."""

    major_version: int = 0
    minor_version: int = 0
    build_number: int = 0
    build_timestamp: str = ""
    version_info: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Replacement:
    """A character that would be replaced, by what, and where: in code points from 0."""

    character: str
    replacement: str
    positions: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewedRecipient:
    """How the number of a recipient is read, and when, and by which carrier, the SMS would be sent.

    e164, country, carrier: empty where there is none.
    due_ts: None if it would never be sent.
    reason: why it would not be sent, or only later, or not as asked for.
    """

    dst: str
    e164: str = ""
    valid: bool = False
    country: str = ""
    carrier: str = ""
    due_ts: datetime | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewedMessage:
    """How a text would travel: in which encoding, in how many parts, what would be cut off or replaced."""

    encoding: Encoding | str
    parts: int
    truncated: bool = False
    replaced: tuple[Replacement, ...] = ()
    recipients: tuple[PreviewedRecipient, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What would become of a job. refused: whether it would be, for its characters."""

    refused: bool
    messages: tuple[PreviewedMessage, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundReport:
    """An SMS received from a phone."""

    sms_id: str
    src: str
    dst: str
    text: str
    received_ts: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class BlocklistEntry:
    """A number that gets nothing from the account."""

    dst: str
    created_ts: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """Where events are posted to.

    disabled_ts: since when it is told nothing, for it answered that it is gone; None as long as it is told.
    secret: what events are signed with; told only when the webhook is made.
    """

    id: str
    url: str
    events: tuple[EventType | str, ...] = ()
    created_ts: datetime | None = None
    disabled_ts: datetime | None = None
    secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedEventReport:
    """An event that a webhook wasn't told, and won't be until it is replayed.

    timestamp: when it happened. subject_id: the SMS or job that it happened to. reason: what came of the last attempt.
    """

    id: str
    type: EventType | str
    timestamp: datetime
    subject_id: str = ""
    attempts: int = 0
    reason: str = ""
    failed_ts: datetime | None = None
