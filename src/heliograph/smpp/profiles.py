"""Carrier profiles: the declared facts of one SMSC, and what is built by them.

SMPP leaves to each SMSC what data_coding 0 means, how it joins parts, what it makes of a sender, in which form it
takes a validity. A profile says so once; nothing else in the gateway knows the difference.

Standard: SMPP 3.4, 4.4.1 (submit_sm), 5.2; 3GPP TS 23.038, 4 (data coding); 3GPP TS 23.040, 9.2.3.24 (headers).
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import Final

import msgspec
from msgspec.structs import replace

from heliograph.smpp.fields import Tag, Tlv
from heliograph.smpp.pdus import Bind, CancelSm, QuerySm, SubmitSm
from heliograph.smpp.receipts import IdBase, MessageState, Receipt, candidate_ids, canonical_id
from heliograph.smpp.statuses import CommandStatus, StatusKind
from heliograph.smpp.times import absolute_time, relative_time


class Alphabet(Enum):
    """What text an SMSC reads from octets."""

    GSM = "gsm"
    """Septets of the GSM 7-bit default alphabet, one to an octet."""
    GSM_PACKED = "gsm-packed"
    """The same, eight to seven octets (3GPP TS 23.038, 6.1.2)."""
    ASCII = "ascii"
    LATIN_1 = "latin-1"


class ValidityFormat(Enum):
    """In which form an SMSC takes a validity (7.1.1); NONE: in none, it has its own."""

    RELATIVE = "relative"
    ABSOLUTE = "absolute"
    NONE = "none"


class FlashCoding(Enum):
    """How a message is made to show at once, message class 0 (3GPP TS 23.038, 4)."""

    CLASS_0 = "class-0"
    """data_coding 0x10 and 0x18."""
    F0 = "f0"
    """data_coding 0xF0; UCS-2 has no such form and stays 0x18."""
    SUBUNIT = "subunit"
    """dest_addr_subunit 1, the display (5.3.2.1)."""
    NONE = "none"
    """Not at all: it goes as any other."""


class Concatenation(Enum):
    """How parts are joined again."""

    UDH_8 = "udh8"
    """A user data header with a reference of 8 bits."""
    UDH_16 = "udh16"
    """One with 16 bits. It takes an octet more: a part holds 152 septets or 66 UTF-16 units."""
    SAR = "sar"
    """Optional parameters sar_*; the SMSC makes the headers."""
    PAYLOAD = "payload"
    """The whole text in message_payload; the SMSC cuts it. What is cut already is joined by sar_* parameters."""


@dataclass(frozen=True, slots=True)
class NumberType:
    """Type of number and numbering plan (5.2.5, 5.2.6)."""

    ton: int
    npi: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The declared facts of one SMSC.

    alphabet: that of `data_coding`, which STANDARD texts are sent with.
    receipt_ids, answered_ids: how it writes message ids in receipts, and in answers to submissions.
    short_code_digits: a sender of up to so many digits without `+` is a short code.
    esm_class: messaging mode, 0 for the SMSC's own, 3 to store and forward (5.2.12).
    normal_priority, express_priority: 0 to 3 (5.2.14).
    address_type, address_range: for which of our addresses binds are; empty, the SMSC knows (4.1.1, 5.2.7).
    longest_system_id, longest_password, longest_system_type: in octets, without NUL; by the standard 15, 8, 12 (4.1.1).
    states: words of its receipts, in capitals, beside those in common use. accepted_is_final: its ACCEPTED means that
    nothing more will come. unflagged_receipts: its receipts are known by their text alone, which needn't be a phone's.
    statuses: what it means by some command_status. policy_is_its_own: what it refuses by policy (StatusKind.POLICY)
    others may take. query_sm, cancel_sm: whether it answers these.
    Raises ValueError for what would make the gateway lie: TON 1 says international, so no letters go with it.
    """

    alphabet: Alphabet = Alphabet.GSM
    data_coding: int = 0
    flash: FlashCoding = FlashCoding.CLASS_0
    concatenation: Concatenation = Concatenation.UDH_8

    answered_ids: IdBase = IdBase.UNKNOWN
    receipt_ids: IdBase = IdBase.UNKNOWN
    states: Mapping[str, MessageState] = field(default_factory=dict[str, MessageState])
    accepted_is_final: bool = False
    unflagged_receipts: bool = False
    statuses: Mapping[int, StatusKind] = field(default_factory=dict[int, StatusKind])
    policy_is_its_own: bool = False
    query_sm: bool = False
    cancel_sm: bool = False

    validity: ValidityFormat = ValidityFormat.RELATIVE
    normal_priority: int = 0
    express_priority: int = 1
    service_type: str = ""
    esm_class: int = 0

    destination: NumberType = NumberType(ton=1, npi=1)
    alphanumeric: NumberType = NumberType(ton=5, npi=0)
    international: NumberType = NumberType(ton=1, npi=1)
    national: NumberType = NumberType(ton=2, npi=1)
    short_code: NumberType = NumberType(ton=3, npi=0)
    no_sender: NumberType = NumberType(ton=0, npi=0)
    short_code_digits: int = 8

    address_type: NumberType = NumberType(ton=0, npi=0)
    address_range: str = ""
    interface_version: int = 0x34
    longest_system_id: int = 15
    longest_password: int = 8
    longest_system_type: int = 12

    def __post_init__(self) -> None:
        if self.alphanumeric.ton == _INTERNATIONAL_TON:
            raise ValueError("an alphanumeric sender can't have TON 1, international")
        for name in ("esm_class", "normal_priority", "express_priority"):
            if not 0 <= getattr(self, name) <= _TWO_BITS:
                raise ValueError(f"{name} is from 0 to 3")
        if not _is_ascii(self.address_range) or len(self.address_range) > _LONGEST_ADDRESS_RANGE:
            raise ValueError(f"address_range has at most {_LONGEST_ADDRESS_RANGE} characters of ASCII")

    @property
    def declares_ids(self) -> bool:
        """Whether it is known how ids are written, in answers and in receipts."""
        return IdBase.UNKNOWN not in (self.answered_ids, self.receipt_ids)

    @property
    def is_named_back(self) -> bool:
        """Whether we name messages to it, which takes their ids as it sent them."""
        return self.query_sm or self.cancel_sm


class Part(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One part of one SMS, in the words of whoever sends it.

    text: what this part carries. septets: the same in the GSM alphabet, one to an octet; None for UTF-16.
    part, parts: its place, from 1, and how many there are; reference tells them from other SMS's parts (16 bit).
    src: digits, with `+` for an international number, or letters; empty for the carrier's own. dst: E.164 with `+`.
    remaining: what is left of its validity; None for the carrier's own.
    """

    text: str
    septets: bytes | None
    src: str
    dst: str
    part: int = 1
    parts: int = 1
    reference: int = 0
    flash: bool = False
    express: bool = False
    receipt_wanted: bool = False
    remaining: timedelta | None = None


class Unsendable(msgspec.Struct, frozen=True, gc=False):
    """What this SMSC would refuse, or garble, and is not to be sent. status: as if it had answered."""

    status: CommandStatus
    reason: str


class Expired(msgspec.Struct, frozen=True, gc=False):
    """Less than a minute of the validity is left: too little for any SMSC."""

    remaining: timedelta


def submission(profile: Profile, part: Part, now: datetime) -> SubmitSm | Unsendable | Expired:
    """The submit_sm of one part.

    now: for SMSCs that want to be told the instant at which the validity ends.
    """
    if part.remaining is not None and part.remaining < _SHORTEST_VALIDITY:
        return Expired(part.remaining)
    sender = _sender(profile, part.src)
    if isinstance(sender, Unsendable):
        return sender
    coded = _coded(profile, part)
    if isinstance(coded, Unsendable):
        return coded
    message = _joined(profile, part, coded)
    if isinstance(message, Unsendable):
        return message
    subunit = part.flash and profile.flash is FlashCoding.SUBUNIT
    return SubmitSm(
        service_type=profile.service_type.encode("ascii"),
        source_addr_ton=sender.type.ton,
        source_addr_npi=sender.type.npi,
        source_addr=sender.address,
        dest_addr_ton=profile.destination.ton,
        dest_addr_npi=profile.destination.npi,
        destination_addr=part.dst.removeprefix("+").encode("ascii"),
        esm_class=profile.esm_class | message.esm_class,
        priority_flag=profile.express_priority if part.express else profile.normal_priority,
        validity_period=_validity(profile.validity, part.remaining, now),
        registered_delivery=_FINAL_RECEIPT if part.receipt_wanted else 0,
        data_coding=coded.data_coding,
        short_message=message.short_message,
        tlvs=(_ON_DISPLAY, *message.tlvs) if subunit else message.tlvs,
    )


def concession(status: int, refused: SubmitSm) -> SubmitSm | None:
    """The same once more without what the SMSC's answer was about; None where nothing can be left out.

    That is a priority, a validity, and one way of flash for the other, or for none.
    """
    concede = _CONCESSIONS.get(status)
    conceded = concede(refused) if concede else refused
    return None if conceded == refused else conceded


def query(profile: Profile, message_id: bytes, src: str) -> QuerySm:
    """What asks what became of a message (4.8.1). src: the sender it went out with."""
    sender = _sender_again(profile, src)
    return QuerySm(
        message_id=message_id,
        source_addr_ton=sender.type.ton,
        source_addr_npi=sender.type.npi,
        source_addr=sender.address,
    )


def cancellation(profile: Profile, message_id: bytes, src: str) -> CancelSm:
    """What takes a message back (4.9.1), which its id alone tells. src: the sender it went out with."""
    sender = _sender_again(profile, src)
    return CancelSm(
        message_id=message_id,
        source_addr_ton=sender.type.ton,
        source_addr_npi=sender.type.npi,
        source_addr=sender.address,
    )


def bind_request(profile: Profile, mode: type[Bind], *, system_id: str, password: str, system_type: str = "") -> Bind:
    """The request for a session. Raises ValueError for what is longer than the SMSC takes, or not ASCII.

    mode: BindTransceiver, BindTransmitter, or BindReceiver.
    """
    for name, value, longest in (
        ("system_id", system_id, profile.longest_system_id),
        ("password", password, profile.longest_password),
        ("system_type", system_type, profile.longest_system_type),
    ):
        if not _is_ascii(value):
            raise ValueError(f"the {name} is not ASCII")
        if len(value) > longest:
            raise ValueError(f"the {name} has {len(value)} characters; longest_{name} allows {longest}")
    return mode(
        system_id=system_id.encode("ascii"),
        password=password.encode("ascii"),
        system_type=system_type.encode("ascii"),
        interface_version=profile.interface_version,
        addr_ton=profile.address_type.ton,
        addr_npi=profile.address_type.npi,
        address_range=profile.address_range.encode("ascii"),
    )


def _is_ascii(value: str) -> bool:
    return value.isascii() and "\0" not in value


def answered_id(profile: Profile, message_id: bytes) -> bytes:
    """The id under which to remember what the SMSC has taken.

    It is canonical where both bases are declared; else, and where we name messages to the SMSC, as sent.
    """
    if profile.is_named_back or not profile.declares_ids:
        return message_id
    return canonical_id(message_id, profile.answered_ids)


def receipted_ids(profile: Profile, receipt: Receipt) -> tuple[bytes, ...]:
    """Under which of the ids remembered by `answered_id` to look for a receipt's message, the likeliest first."""
    return candidate_ids(receipt.message_ids, profile.receipt_ids, profile.answered_ids, as_sent=profile.is_named_back)


# ---- who sends it


class _Sender(msgspec.Struct, frozen=True, gc=False):
    type: NumberType
    address: bytes


def _sender(profile: Profile, src: str) -> _Sender | Unsendable:
    if not src:
        return _Sender(profile.no_sender, b"")
    if _NUMBER.fullmatch(src):
        return _numeric_sender(profile, src)
    if not _LETTERS.fullmatch(src):
        return Unsendable(CommandStatus.ESME_RINVSRCADR, f"the sender {src!r} has characters that no phone shows")
    septet_count = len(src) + sum(src.count(character) for character in "^{}\\[~]|")
    if septet_count > _LONGEST_LETTERS:
        reason = f"the sender {src!r} takes {septet_count} septets, more than {_LONGEST_LETTERS}"
        return Unsendable(CommandStatus.ESME_RINVSRCADR, reason)
    return _Sender(profile.alphanumeric, src.encode("ascii"))


def _sender_again(profile: Profile, src: str) -> _Sender:
    sender = _sender(profile, src)
    return _Sender(profile.no_sender, b"") if isinstance(sender, Unsendable) else sender


def _numeric_sender(profile: Profile, number: str) -> _Sender:
    if number.startswith("+"):
        return _Sender(profile.international, number[1:].encode("ascii"))
    if len(number) <= profile.short_code_digits:
        return _Sender(profile.short_code, number.encode("ascii"))
    if number.startswith("00"):
        return _Sender(profile.international, number[2:].encode("ascii"))
    number_type = profile.national if number.startswith("0") else profile.international
    return _Sender(number_type, number.encode("ascii"))


_NUMBER: Final = re.compile(r"\+?[0-9]{1,20}")
# ASCII but for the backtick, which the GSM alphabet lacks.
_LETTERS: Final = re.compile(r"[ -_a-~]+")
_LONGEST_LETTERS: Final = 11
_INTERNATIONAL_TON: Final = 1


# ---- in which octets


class _Coded(msgspec.Struct, frozen=True, gc=False):
    """A text as octets. air_septets: how many it takes on the air; None where it takes 8 bits an octet."""

    data_coding: int
    octets: bytes
    air_septets: int | None
    packed: bool = False


def _coded(profile: Profile, part: Part) -> _Coded | Unsendable:
    septets = part.septets
    flash = profile.flash if part.flash else FlashCoding.NONE
    names_class = flash in (FlashCoding.CLASS_0, FlashCoding.F0)
    if septets is None:
        return _ucs_2(part.text, names_class=names_class)
    packed = profile.alphabet is Alphabet.GSM_PACKED
    if names_class:
        # A message class goes with the GSM alphabet, whatever data_coding 0 stands for (3GPP TS 23.038, 4).
        data_coding = _GSM_F0 if flash is FlashCoding.F0 else _GSM_CLASS_0
        return _Coded(data_coding, septets, len(septets), packed)
    if packed or profile.alphabet is Alphabet.GSM:
        return _Coded(profile.data_coding, septets, len(septets), packed)
    try:
        octets = part.text.encode(profile.alphabet.value)
    except UnicodeEncodeError as fault:
        if part.parts == 1 and len(part.text.encode("utf-16-be")) <= _AIR_OCTETS:
            return _ucs_2(part.text, names_class=False)
        character = part.text[fault.start]
        reason = f"the carrier takes {profile.alphabet.value} text, and {character!r} is not in it"
        return Unsendable(CommandStatus.ESME_RINVDCS, reason)
    return _Coded(profile.data_coding, octets, len(septets))


def _ucs_2(text: str, *, names_class: bool) -> _Coded:
    return _Coded(_UCS_2_CLASS_0 if names_class else _UCS_2, text.encode("utf-16-be"), None)


_UCS_2: Final = 0x08
_GSM_CLASS_0: Final = 0x10
_UCS_2_CLASS_0: Final = 0x18
_GSM_F0: Final = 0xF0
_OTHER_CODINGS: Final = {_GSM_CLASS_0: _GSM_F0, _GSM_F0: _GSM_CLASS_0, _UCS_2_CLASS_0: _UCS_2}


# ---- how it is joined


class _Message(msgspec.Struct, frozen=True, gc=False):
    """Exactly one of short_message and a message_payload among the parameters carries the text (4.4.1)."""

    esm_class: int
    short_message: bytes
    tlvs: tuple[Tlv, ...] = ()


def _joined(profile: Profile, part: Part, coded: _Coded) -> _Message | Unsendable:
    method = profile.concatenation
    in_payload = method is Concatenation.PAYLOAD and (part.parts > 1 or not _fits(coded, 0))
    if in_payload:
        payload = Tlv(Tag.MESSAGE_PAYLOAD, _packed(coded.octets, 0) if coded.packed else coded.octets)
        return _Message(0, b"", (*_sar(part), payload) if part.parts > 1 else (payload,))

    header = b""
    if part.parts > 1 and method is Concatenation.UDH_8:
        header = bytes((5, 0x00, 3, part.reference % _NARROW_REFERENCES, part.parts, part.part))
    elif part.parts > 1 and method is Concatenation.UDH_16:
        header = bytes((6, 0x08, 4, part.reference >> 8 & 0xFF, part.reference & 0xFF, part.parts, part.part))
    # The SMSC's own header needs its place, too.
    header_octets = _SAR_HEADER_OCTETS if part.parts > 1 and method is Concatenation.SAR else len(header)
    if not _fits(coded, header_octets):
        reason = f"a part of {len(coded.octets)} octets has no room beside a header of {header_octets}"
        return Unsendable(CommandStatus.ESME_RINVMSGLEN, reason)
    octets = _packed(coded.octets, len(header)) if coded.packed else coded.octets
    tlvs = _sar(part) if part.parts > 1 and not header else ()
    return _Message(_UDHI if header else 0, header + octets, tlvs)


def _sar(part: Part) -> tuple[Tlv, ...]:
    """What joins parts without a header (5.3.2.22 to 5.3.2.24)."""
    return (
        Tlv.octets_2(Tag.SAR_MSG_REF_NUM, part.reference & 0xFFFF),
        Tlv.octet(Tag.SAR_TOTAL_SEGMENTS, part.parts),
        Tlv.octet(Tag.SAR_SEGMENT_SEQNUM, part.part),
    )


def _fits(coded: _Coded, header_octets: int) -> bool:
    """Whether a part goes on the air as one, 140 octets with its header (3GPP TS 23.040, 9.2.3.24.1)."""
    if coded.air_septets is None:
        return header_octets + len(coded.octets) <= _AIR_OCTETS
    return -(-header_octets * 8 // 7) + coded.air_septets <= _AIR_OCTETS * 8 // 7


def _packed(septets: bytes, header_octets: int) -> bytes:
    """Septets, the first into the lowest bits, beginning on a septet's boundary after the header.

    Told the length in octets alone, the SMSC would read seven spare bits as "@": a carriage return stands there.
    Standard: 3GPP TS 23.038, 6.1.2.1 and 6.1.2.3.1; 3GPP TS 23.040, 9.2.3.24.
    """
    bit_count = -8 * header_octets % 7 + 7 * len(septets)
    if -bit_count % 8 == _SEPTET_BITS:
        septets += b"\r"
        bit_count += _SEPTET_BITS
    bits = 0
    for septet in reversed(septets):
        bits = bits << _SEPTET_BITS | septet
    fill_bits = bit_count - _SEPTET_BITS * len(septets)
    return (bits << fill_bits).to_bytes(-(-bit_count // 8), "little")


_AIR_OCTETS: Final = 140
_SAR_HEADER_OCTETS: Final = 6
_NARROW_REFERENCES: Final = 251
"""How many references of 8 bits are used: a prime, so that a second long message to the same 256 recipients, or 1000,
doesn't meet the references of the first on every phone."""
_SEPTET_BITS: Final = 7
_UDHI: Final = 0x40
_TWO_BITS: Final = 3
_LONGEST_ADDRESS_RANGE: Final = 40
"""In octets, without NUL (4.1.1)."""


# ---- until when, and what else


def _validity(form: ValidityFormat, remaining: timedelta | None, now: datetime) -> bytes:
    if remaining is None or form is ValidityFormat.NONE:
        return b""
    return relative_time(remaining) if form is ValidityFormat.RELATIVE else absolute_time(now + remaining)


_SHORTEST_VALIDITY: Final = timedelta(minutes=1)
_FINAL_RECEIPT: Final = 0x01  # success or failure (5.2.17)
_ON_DISPLAY: Final = Tlv.octet(Tag.DEST_ADDR_SUBUNIT, 1)

_CONCESSIONS: Final[dict[int, Callable[[SubmitSm], SubmitSm]]] = {
    CommandStatus.ESME_RINVPRTFLG: lambda refused: replace(refused, priority_flag=0),
    CommandStatus.ESME_RINVEXPIRY: lambda refused: replace(refused, validity_period=b""),
    CommandStatus.ESME_RINVDCS: lambda refused: replace(
        refused, data_coding=_OTHER_CODINGS.get(refused.data_coding, refused.data_coding)
    ),
}
