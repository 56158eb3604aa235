"""The words in which steps and carriers speak of parts of SMS, whatever the carrier's protocol."""

from datetime import datetime
from enum import Enum
from functools import lru_cache
from typing import NewType

import msgspec

from heliograph.gsm.carrying import Encoding
from heliograph.jobs.inbound import InboundPart
from heliograph.jobs.naming import JobId

SegmentId = NewType("SegmentId", int)


class Segment(msgspec.Struct, frozen=True, gc=False):
    """One part of one SMS, all that a carrier needs to send it.

    src: empty for the carrier's own default. dst: E.164 with its `+`.
    text: what this part carries, in characters that `encoding` can carry.
    part, parts: its place, from 1, and how many there are; reference tells them from other SMS's parts (16 bit).
    expires_at: the end of its validity; validity_min: as asked for, 0 for the carrier's default.
    """

    id: SegmentId
    job_id: JobId
    src: str
    dst: str
    text: str
    encoding: Encoding
    part: int
    parts: int
    reference: int
    flash: bool
    express: bool
    receipt_wanted: bool
    expires_at: datetime
    validity_min: int


class Accepted(msgspec.Struct, frozen=True, gc=False):
    """The carrier took the segment. message_id: by which its receipts will name it; empty if it can't."""

    segment: SegmentId
    message_id: str


class AcceptedLate(msgspec.Struct, frozen=True, gc=False):
    """The carrier took a segment whose outcome has been Unanswered: the one that comes besides the first."""

    taken: Segment
    message_id: str

    @property
    def segment(self) -> SegmentId:
        """Which one."""
        return self.taken.id


class Permanence(Enum):
    """Whether the same segment, sent again, may fare better."""

    LASTING = "Permanent"
    PASSING = "Temporary"
    DOUBTFUL = "Doubtful"
    """Carriers mean anything by such an answer: worth another try or two."""
    THROTTLED = "Throttled"
    """The carrier has had enough for now: not the segment's fault, and no try of its own."""
    BAD_NUMBER = "Invalid destination"


class Refused(msgspec.Struct, frozen=True, gc=False):
    """The carrier said no. reason: its own words.

    elsewhere: whether, for all that a LASTING refusal says, another carrier may well take the segment.
    """

    segment: SegmentId
    permanence: Permanence
    reason: str
    elsewhere: bool = False


class Unreachable(msgspec.Struct, frozen=True, gc=False):
    """The segment surely never got to the carrier.

    is_try: False where it wasn't even tried, for want of a connection. is_answer: whether the carrier answered so, to
    this very segment.
    """

    segment: SegmentId
    reason: str
    is_try: bool = True
    is_answer: bool = False


class Unanswered(msgspec.Struct, frozen=True, gc=False):
    """The segment may have got to the carrier, and no answer came: never to be resent blindly."""

    segment: SegmentId
    reason: str


class Expired(msgspec.Struct, frozen=True, gc=False):
    """Too little is left of the segment's validity for this carrier; it was not sent."""

    segment: SegmentId
    reason: str


SubmitOutcome = Accepted | AcceptedLate | Refused | Unreachable | Unanswered | Expired


class MessageState(Enum):
    """What a receipt says (SMPP 3.4, 5.2.28; the first and the last SMPP 5.0), with its value on the wire."""

    __hash__ = object.__hash__  # Enum's own is written in Python, and asked for with each SMS.

    SCHEDULED = 0
    ENROUTE = 1
    DELIVERED = 2
    EXPIRED = 3
    DELETED = 4
    UNDELIVERABLE = 5
    ACCEPTED = 6
    UNKNOWN = 7
    REJECTED = 8
    SKIPPED = 9


class Receipt(msgspec.Struct, frozen=True, gc=False):
    """The carrier's later word on one segment.

    message_id: the segment's, as `Accepted` told it; empty if the receipt is not to be believed without its phone.
    state: None when it could not be read. detail: what else the carrier said, such as its error code.
    spellings: other ids under which the segment may be known, the likeliest first: it is that one if it went to one
    of `phones`, digits as the carrier writes them. Of segments with the same id, too, it is the one that went there.
    is_phone_known: the carrier was lately given something for one of `phones`: it is about that and about nothing else,
    whatever has its id.
    is_last: nothing more will come, whatever the state usually means.
    is_intermediate: it calls itself a notification on the way, so more is to come, whatever the state usually means.
    text: what a phone has written, should it be no receipt; None for what surely is one.
    """

    message_id: str
    state: MessageState | None
    received_at: datetime
    detail: str = ""
    spellings: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()
    is_last: bool = False
    is_phone_known: bool = False
    is_intermediate: bool = False
    text: InboundPart | None = None


def is_same_phone(dst: str, phone: str) -> bool:
    """Whether a carrier may mean our `dst` by `phone`, written with or without country code."""
    subscriber = subscriber_digits(phone)
    return bool(subscriber) and dst[-_SUBSCRIBER_DIGITS:] == subscriber


def subscriber_digits(phone: str) -> str:
    """What all spellings of a phone's number have in common; empty for what is too short to be one."""
    return phone[-_SUBSCRIBER_DIGITS:] if len(phone) >= _SUBSCRIBER_DIGITS else ""


_SUBSCRIBER_DIGITS = 7
"""The last digits of a number, which no spelling of it leaves out, and which two rarely share."""

_STATE_MEANINGS = {
    MessageState.SCHEDULED: (False, "Message is scheduled for later."),
    MessageState.ENROUTE: (False, "Message is in enroute state."),
    MessageState.DELIVERED: (True, "Message is delivered to destination."),
    MessageState.EXPIRED: (True, "Message validity period has expired."),
    MessageState.DELETED: (True, "Message has been deleted."),
    MessageState.UNDELIVERABLE: (True, "Message is undeliverable."),
    MessageState.ACCEPTED: (False, "Message is in accepted state."),
    MessageState.UNKNOWN: (False, "Message is in invalid state."),
    MessageState.REJECTED: (True, "Message is in a rejected state."),
    MessageState.SKIPPED: (True, "Message was skipped."),
}


def receipt_reason(receipt: Receipt) -> str:
    """A receipt in words: `message_state:DELIVERED [00000002] (Final) (Message is delivered to destination.)`."""
    if receipt.state is None:
        words = "message_state:unreadable (Intermediate) (The carrier's receipt could not be read.)"
    else:
        words = _state_words(receipt.state, receipt.is_last, receipt.is_intermediate)
    return f"{words} {receipt.detail}" if receipt.detail else words


@lru_cache(maxsize=64)  # There are no more of them.
def _state_words(state: MessageState, is_last: bool, is_intermediate: bool) -> str:
    final, meaning = _STATE_MEANINGS[state]
    finality = "Final" if (final or is_last) and not is_intermediate else "Intermediate"
    return f"message_state:{state.name} [{state.value:08x}] ({finality}) ({meaning})"


def answer_reason(name: str, value: int, permanence: Permanence, meaning: str) -> str:
    """A refusal in words: `command_status:ESME_RTHROTTLED [00000058] (Temporary) (Throttling error.)`."""
    passing = permanence in (Permanence.PASSING, Permanence.DOUBTFUL, Permanence.THROTTLED)
    return f"command_status:{name} [{value:08x}] ({'Temporary' if passing else 'Permanent'}) ({meaning})"
