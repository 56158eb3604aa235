"""Between a segment and SMPP's words: what is sent for it, and what an answer or a receipt says. Decisions only."""

from dataclasses import replace
from datetime import datetime

from heliograph.carriers.smpp.habits import IdHabits
from heliograph.carriers.smpp.sent_to import SentTo
from heliograph.gsm import udh
from heliograph.gsm.alphabet import encode
from heliograph.gsm.segmentation import Encoding
from heliograph.jobs.carriage import (
    Expired,
    MessageState,
    Permanence,
    Receipt,
    Refused,
    Segment,
    SubmitOutcome,
    Unreachable,
    answer_reason,
)
from heliograph.jobs.inbound import Alphabet, InboundPart, inbound_part
from heliograph.smpp import profiles, receipts
from heliograph.smpp.fields import Tag, find
from heliograph.smpp.pdus import DataSm, DeliverSm, QuerySm, QuerySmResp, SubmitSm
from heliograph.smpp.profiles import Concatenation, Part, Profile, Unsendable, receipted_ids, submission
from heliograph.smpp.receipts import Evidence
from heliograph.smpp.statuses import StatusKind, status_kind, status_meaning, status_name


def request_of(profile: Profile, segment: Segment, now: datetime) -> SubmitSm | SubmitOutcome:
    """The submit_sm of a segment, or what becomes of it without one."""
    part = Part(
        text=segment.text,
        septets=encode(segment.text) if segment.encoding is Encoding.STANDARD else None,
        src=segment.src,
        dst=segment.dst,
        part=segment.part,
        parts=segment.parts,
        reference=segment.reference,
        flash=segment.flash,
        express=segment.express,
        receipt_wanted=segment.receipt_wanted,
        remaining=segment.expires_at - now if segment.validity_min else None,
    )
    request = submission(profile, part, now)
    if type(request) is Unsendable and profile.concatenation is Concatenation.UDH_16:
        # It was cut for headers of 8 bits, before the configuration said 16: a full part has no octet more.
        request = submission(replace(profile, concatenation=Concatenation.UDH_8), part, now)
    match request:
        case SubmitSm():
            return request
        case Unsendable():
            reason = answer_reason(
                request.status.name, request.status, Permanence.LASTING, f"Not sent: {request.reason}."
            )
            return Refused(segment.id, Permanence.LASTING, reason, elsewhere=True)
        case profiles.Expired():
            return Expired(segment.id, "less than a minute of its validity was left, which no SMSC takes")


def refusal(profile: Profile, segment: Segment, status: int, *, is_queue_of_all: bool) -> SubmitOutcome:
    """What an error means for a segment.

    is_queue_of_all: whether a queue that is full is the SMSC's own; else it is that of one number.
    """
    kind = status_kind(status, profile.statuses)
    permanence = _PERMANENCES[kind]
    if status == QUEUE_FULL and kind is StatusKind.FLOW_CONTROL and not is_queue_of_all:
        permanence = Permanence.PASSING
    reason = answer_reason(status_name(status), status, permanence, status_meaning(status))
    if kind is StatusKind.SESSION:
        reason = reason.replace("(Permanent)", "(Temporary)", 1)
        return Unreachable(segment.id, reason, is_try=False, is_answer=True)
    elsewhere = kind in _ELSEWHERE or (kind is StatusKind.POLICY and profile.policy_is_its_own)
    return Refused(segment.id, permanence, reason, elsewhere=elsewhere)


QUEUE_FULL = 0x14

_PERMANENCES = {
    StatusKind.OK: Permanence.DOUBTFUL,  # A generic_nack without an error.
    StatusKind.FLOW_CONTROL: Permanence.THROTTLED,
    StatusKind.SESSION: Permanence.PASSING,
    StatusKind.TEMPORARY: Permanence.PASSING,
    StatusKind.DOUBTFUL: Permanence.DOUBTFUL,
    StatusKind.BAD_NUMBER: Permanence.BAD_NUMBER,
    StatusKind.SENDER: Permanence.LASTING,
    StatusKind.CONFIGURATION: Permanence.LASTING,
    StatusKind.POLICY: Permanence.LASTING,
    StatusKind.OTHER_OPERATION: Permanence.DOUBTFUL,
}

_ELSEWHERE = (StatusKind.SENDER, StatusKind.CONFIGURATION)
"""What is between this carrier and us. POLICY isn't, unless its profile says so: it would be the same SMS elsewhere."""


def receipt_of(
    profile: Profile,
    read: receipts.Receipt,
    pdu: DeliverSm | DataSm,
    now: datetime,
    habits: IdHabits | None,
    sent_to: SentTo,
) -> Receipt:
    """A receipt in the steps' words.

    habits: what is known of the SMSC's ids beside what the profile declares. sent_to: what went to whom lately.
    """
    candidates = receipted_ids(profile, read)
    if habits is not None and read.message_ids:
        candidates = habits.likeliest_first(candidates, read.message_ids[0])
    ids = [each.decode("latin-1") for each in candidates]
    # What merely reads like a receipt could come from a phone: it is one if it is from the phone of the message.
    message_id = ids.pop(0) if ids and read.evidence is not Evidence.TEXT else ""
    may_be_written = read.evidence is Evidence.TEXT and not profile.unflagged_receipts
    phones = pdu.source_addr.decode("latin-1"), pdu.destination_addr.decode("latin-1")
    return Receipt(
        message_id=message_id,
        state=None if read.state is None else _STATES[read.state],
        received_at=now,
        detail=_detail(read),
        spellings=tuple(ids),
        phones=phones,
        is_last=profile.accepted_is_final and read.state is receipts.MessageState.ACCEPTED,
        is_phone_known=any(map(sent_to.knows, phones)),
        is_intermediate=read.intermediate,  # SMPP 3.4, 5.2.12: never the final word.
        text=inbound_of(profile, pdu, now) if may_be_written else None,
    )


def query_answer_of(profile: Profile, asked: QuerySm, answer: QuerySmResp, now: datetime) -> Receipt:
    """The same for an answer to query_sm (4.8.2)."""
    state = _STATES_BY_VALUE.get(answer.message_state)
    return Receipt(
        message_id=asked.message_id.decode("latin-1"),
        state=state,
        received_at=now,
        detail=f"query_sm err:{answer.error_code}" if answer.error_code else "query_sm",
        is_last=profile.accepted_is_final and state is MessageState.ACCEPTED,
    )


def _detail(read: receipts.Receipt) -> str:
    words: list[str] = []
    if read.state is None and read.stat:
        words.append(f"stat:{_printable(read.stat)}")
    if read.error.strip("0"):
        words.append(f"err:{_printable(read.error)}")
    if read.network_error is not None and read.network_error.code:
        words.append(f"network_error_code:{read.network_error.network}/{read.network_error.code}")
    return " ".join(words)


def _printable(word: str) -> str:
    return "".join(character if " " < character < "\x7f" else "?" for character in word[:_LONGEST_WORD])


_LONGEST_WORD = 20
_STATES = {state: MessageState[state.name] for state in receipts.MessageState}
_STATES_BY_VALUE = {state.value: state for state in MessageState}


def inbound_of(profile: Profile, pdu: DeliverSm | DataSm, now: datetime) -> InboundPart:
    """A phone's message, or one part of it."""
    octets = pdu.short_message if isinstance(pdu, DeliverSm) else b""
    if not octets and (payload := find(pdu.tlvs, Tag.MESSAGE_PAYLOAD)):
        octets = payload.value
    alphabet = _alphabet(profile, pdu.data_coding)
    return inbound_part(
        src=_number(pdu.source_addr_ton, pdu.source_addr),
        dst=_number(pdu.dest_addr_ton, pdu.destination_addr),
        src_national=pdu.source_addr_ton == _NATIONAL,
        dst_national=pdu.dest_addr_ton == _NATIONAL,
        user_data=octets,
        alphabet=alphabet,
        received_at=now,
        has_header=bool(pdu.esm_class & _UDHI),
        packed=alphabet is Alphabet.GSM and profile.alphabet is profiles.Alphabet.GSM_PACKED,
        concatenation=_concatenation(pdu),
    )


def is_phones_acknowledgement(pdu: DeliverSm | DataSm) -> bool:
    """Whether a phone says that it got a message, or that it was read, and nobody has written anything (5.2.12)."""
    return pdu.esm_class & _MESSAGE_TYPE == _DELIVERY_ACKNOWLEDGEMENT


def _number(ton: int, address: bytes) -> str:
    number = address.decode("latin-1")
    return f"+{number}" if ton == _INTERNATIONAL and number.isdigit() else number


def _concatenation(pdu: DeliverSm | DataSm) -> udh.Concatenation | None:
    if not pdu.tlvs:
        return None
    reference, count, number = (
        find(pdu.tlvs, tag) for tag in (Tag.SAR_MSG_REF_NUM, Tag.SAR_TOTAL_SEGMENTS, Tag.SAR_SEGMENT_SEQNUM)
    )
    if reference is None or count is None or number is None or not 1 <= number.number <= count.number <= _MOST_PARTS:
        return None
    return udh.Concatenation(reference.number & 0xFFFF, count.number, number.number, wide=True)


def _alphabet(profile: Profile, data_coding: int) -> Alphabet:
    """What a message is written in (SMPP 3.4, 5.2.19; with a message class, 3GPP TS 23.038, 4)."""
    if data_coding == profile.data_coding or data_coding == 0:
        return _PROFILE_ALPHABETS[profile.alphabet]
    if data_coding < _WITH_CLASS:
        return _ALPHABETS.get(data_coding, Alphabet.OCTETS)
    if data_coding >= _CLASS_ONLY:
        return Alphabet.OCTETS if data_coding & 0b0100 else Alphabet.GSM
    if data_coding >= _MESSAGE_WAITING:
        return Alphabet.UTF_16 if data_coding >= _MESSAGE_WAITING_UCS_2 else Alphabet.GSM
    return _CLASS_ALPHABETS.get(data_coding & 0b1100, Alphabet.OCTETS)


_UDHI, _MESSAGE_TYPE, _DELIVERY_ACKNOWLEDGEMENT = 0x40, 0b0011_1100, 0b0000_1000
_INTERNATIONAL, _NATIONAL = 1, 2  # TON (5.2.5)
_MOST_PARTS = 255
_WITH_CLASS, _MESSAGE_WAITING, _MESSAGE_WAITING_UCS_2, _CLASS_ONLY = 0x10, 0xC0, 0xE0, 0xF0
_ALPHABETS = {
    1: Alphabet.LATIN_1,
    3: Alphabet.LATIN_1,
    5: Alphabet.JAPANESE,
    6: Alphabet.CYRILLIC,
    7: Alphabet.HEBREW,
    8: Alphabet.UTF_16,
    14: Alphabet.KOREAN,
}
_CLASS_ALPHABETS = {0b0000: Alphabet.GSM, 0b1000: Alphabet.UTF_16}
_PROFILE_ALPHABETS = {
    profiles.Alphabet.GSM: Alphabet.GSM,
    profiles.Alphabet.GSM_PACKED: Alphabet.GSM,
    profiles.Alphabet.ASCII: Alphabet.LATIN_1,
    profiles.Alphabet.LATIN_1: Alphabet.LATIN_1,
}
