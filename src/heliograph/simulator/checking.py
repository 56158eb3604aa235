"""What no SMSC would take, whoever the recipient is: faults in the message itself."""

import re
from datetime import datetime
from typing import Final

from heliograph.smpp.fields import Tag, find
from heliograph.smpp.pdus import DataSm, ShortMessage, SubmitSm
from heliograph.smpp.statuses import CommandStatus
from heliograph.smpp.times import parse_time

Submission = SubmitSm | DataSm


def fault_of(pdu: Submission, now: datetime) -> CommandStatus | None:
    """The status that tells what is wrong; None for a message that can be taken."""
    if not _NUMBER.fullmatch(pdu.destination_addr):
        return CommandStatus.ESME_RINVDSTADR
    source = pdu.source_addr
    if source and not _NUMBER.fullmatch(source):
        if pdu.source_addr_ton in _TONS_OF_NUMBERS:
            return CommandStatus.ESME_RINVSRCTON
        if len(source) > _LONGEST_ALPHANUMERIC:
            return CommandStatus.ESME_RINVSRCADR
    if isinstance(pdu, SubmitSm):
        if pdu.priority_flag > _HIGHEST_PRIORITY:
            return CommandStatus.ESME_RINVPRTFLG
        if pdu.schedule_delivery_time and not _is_time(pdu.schedule_delivery_time, now):
            return CommandStatus.ESME_RINVSCHED
        if pdu.validity_period and not _is_time(pdu.validity_period, now):
            return CommandStatus.ESME_RINVEXPIRY
        if pdu.short_message and pdu.tlvs and find(pdu.tlvs, Tag.MESSAGE_PAYLOAD):
            return CommandStatus.ESME_ROPTPARNOTALLWD
    return _fault_of_text(pdu)


def octets_of(pdu: Submission) -> bytes:
    """The message, with its user data header if there is one; from wherever it is carried."""
    if isinstance(pdu, SubmitSm) and pdu.short_message:
        return pdu.short_message
    payload = find(pdu.tlvs, Tag.MESSAGE_PAYLOAD) if pdu.tlvs else None
    return payload.value if payload is not None else b""


def header_octet_count(pdu: ShortMessage | DataSm, octets: bytes) -> int:
    """How many of the octets are a user data header."""
    return 1 + octets[0] if pdu.esm_class & _UDHI and octets else 0


def is_ucs_2(data_coding: int) -> bool:
    """Whether text of that data_coding is UCS-2, with a message class or without (3GPP TS 23.038, 4)."""
    return data_coding in _UCS_2


def _fault_of_text(pdu: Submission) -> CommandStatus | None:
    octets = octets_of(pdu)
    if pdu.esm_class & _UDHI and (not octets or header_octet_count(pdu, octets) > len(octets)):
        return CommandStatus.ESME_RINVESMCLASS
    if isinstance(pdu, DataSm) or not pdu.short_message:
        return None  # A message_payload may be as long as it likes: we cut it (3.2.3).
    if is_ucs_2(pdu.data_coding) and (len(octets) - header_octet_count(pdu, octets)) % 2:
        return CommandStatus.ESME_RINVMSGLEN
    eight_bits = pdu.data_coding in _EIGHT_BITS or is_ucs_2(pdu.data_coding)
    return CommandStatus.ESME_RINVMSGLEN if len(octets) > (140 if eight_bits else 160) else None


def _is_time(encoded: bytes, now: datetime) -> bool:
    try:
        parse_time(encoded, now)
    except ValueError:
        return False
    return True


_NUMBER: Final = re.compile(rb"\+?[0-9]{1,20}")
_LONGEST_ALPHANUMERIC: Final = 11
_TONS_OF_NUMBERS: Final = frozenset({1, 2})  # international, national (5.2.5)
_HIGHEST_PRIORITY: Final = 3  # 5.2.14
_UDHI: Final = 0x40
_EIGHT_BITS: Final = frozenset({0x02, 0x04, 0x14, 0xF4})
_UCS_2: Final = frozenset({0x08, 0x18, 0x19, 0x1A, 0x1B})
