"""How a simulated SMSC behaves, and how it misbehaves: every setting once."""

from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple


class ReceiptOrder(Enum):
    """In which order receipts come."""

    IN_ORDER = "in-order"
    REVERSED = "reversed"
    """Those of each spell of messages the last first; a spell begins with a message and lasts for the delay."""
    RANDOM = "random"
    """Each after anything from none to twice the delay."""


class ReceiptFormat(Enum):
    """Where a receipt says what it has to say."""

    TEXT = "text"
    """In the text alone (SMPP 3.4, Appendix B)."""
    TLV = "tlv"
    """In optional parameters alone; there is no text."""
    BOTH = "both"
    UCS2 = "ucs2"
    """In the text alone, and that in UCS-2."""


class IdFormat(Enum):
    """How message ids are written."""

    DECIMAL = "decimal"
    """Ten digits, zeros in front."""
    HEX = "hex"
    """Capitals, and no zeros in front."""
    UUID = "uuid"


class Inbound(NamedTuple):
    """An SMS from a phone. src: the phone; dst: whom it writes to."""

    src: str
    dst: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """All times in seconds.

    system_id, password: demanded of whoever binds; None: any will do.
    delay_s: from a message to its receipt. latency_s: from a request to its answer.
    rate: messages a second that each account may send, counted over any second; None for no limit.
    max_window: unanswered messages that each bind may have. receipt_window: receipts unacknowledged on each bind.
    receipt_ids: how receipts write ids; None: as the answers do.
    kept_receipts: how many wait for an account that has no receiver bound; beyond, the oldest are forgotten.
    resend_after_s: how long an acknowledgement is awaited, and the pause after a refused receipt.
    inbound: sent to each account when it first binds as a receiver.

    drop_answers: how likely a message gets no answer, 0 to 1; it is taken all the same.
    close_every: at each so many'th message on a connection, that connection is closed in place of the answer.
    late_answers_s: by how much each tenth answer comes later than the others.
    """

    system_id: str | None = None
    password: str | None = None
    delay_s: float = 0.2
    latency_s: float = 0
    rate: int | None = None
    max_window: int = 1000
    receipt_window: int = 100
    receipt_order: ReceiptOrder = ReceiptOrder.IN_ORDER
    receipt_format: ReceiptFormat = ReceiptFormat.BOTH
    ids: IdFormat = IdFormat.DECIMAL
    receipt_ids: IdFormat | None = None
    kept_receipts: int = 100_000
    resend_after_s: float = 10
    inbound: tuple[Inbound, ...] = ()

    drop_answers: float = 0
    close_every: int | None = None
    late_answers_s: float = 0
    duplicate_receipts: bool = False
    ignore_enquire_link: bool = False
