"""Receipts: which message they are about, and what became of it; from optional parameters, or from text.

Nothing here raises: whatever a receipt lacks, or says in its own way, the rest of it is read.

Standard: SMPP 3.4, 5.2.12 (esm_class), 5.2.28 (message_state), 5.3.2.12, 5.3.2.31, 5.3.2.35, Appendix B (text).
"""

import codecs
import re
from collections.abc import Iterable, Mapping
from enum import Enum, IntEnum
from itertools import groupby, pairwise
from typing import Final, NamedTuple

import msgspec

from heliograph.smpp.fields import Tag, find
from heliograph.smpp.pdus import DataSm, DeliverSm


class MessageState(IntEnum):
    """What may become of a message (5.2.28); SCHEDULED and SKIPPED are SMPP 5.0's."""

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


class Evidence(Enum):
    """What makes us take a message for a receipt."""

    ESM_CLASS = "esm_class"
    """It says so itself."""
    PARAMETER = "receipted_message_id"
    """It names the message that it is about, and no phone's message does."""
    TEXT = "text"
    """It reads like one. A phone could write that: it is one only if its id is known."""


class NetworkError(msgspec.Struct, frozen=True, gc=False):
    """network_error_code (5.3.2.31).

    network: 1 ANSI-136, 2 IS-95, 3 GSM, others its own. code: as that network has it.
    """

    network: int
    code: int


class Receipt(msgspec.Struct, frozen=True, gc=False):
    """What a receipt says; empty or None for what it doesn't.

    message_ids: the message's names as sent, the optional parameter's before the text's where they differ; the text's
    without the quotes that may be around it.
    state: of the message; None when it can't be told. stat: the text's own word for it.
    error: the text's `err`, as sent. network_error: the optional parameter.
    submit_date, done_date: the text's, as sent: 10, 12 or 14 digits of a clock whose zone nobody knows.
    text: the beginning of the message, in octets of whatever alphabet.
    intermediate: it calls itself no final one.
    """

    message_ids: tuple[bytes, ...]
    state: MessageState | None
    evidence: Evidence
    stat: str = ""
    error: str = ""
    network_error: NetworkError | None = None
    submit_date: str = ""
    done_date: str = ""
    text: bytes = b""
    intermediate: bool = False


def read_receipt(pdu: DeliverSm | DataSm, spellings: Mapping[str, MessageState] | None = None) -> Receipt | None:
    """Read a receipt; None for a message that is none, be it a phone's acknowledgement (5.2.12).

    spellings: words in capitals that one SMSC has for states, beside those in common use.
    """
    message_type = pdu.esm_class & _MESSAGE_TYPE
    if message_type not in (_NO_TYPE, _SMSC_RECEIPT, _INTERMEDIATE):
        return None
    tlvs = pdu.tlvs
    parameter_id = find(tlvs, Tag.RECEIPTED_MESSAGE_ID) if tlvs else None
    fields, text = _text_fields(_text_octets(pdu))
    text_id = fields.get(b"id", b"").strip(b"\"'")
    stat = (fields.get(b"stat") or fields.get(b"status") or fields.get(b"state") or b"").decode("latin-1")
    state = _state(stat, spellings)
    if message_type != _NO_TYPE:
        evidence = Evidence.ESM_CLASS
    elif parameter_id is not None:
        evidence = Evidence.PARAMETER
    elif text_id and state is not None:
        evidence = Evidence.TEXT
    else:
        return None

    network_error = None
    if tlvs:
        parameter_state = find(tlvs, Tag.MESSAGE_STATE)
        if parameter_state is not None and parameter_state.value and parameter_state.number in _STATES:
            told = MessageState(parameter_state.number)
            # 0 is a state since SMPP 5.0; with a word beside it, it is more likely a parameter that nobody has filled.
            state = told if told or state is None else state
        code = find(tlvs, Tag.NETWORK_ERROR_CODE)
        if code is not None and len(code.value) == _NETWORK_ERROR_OCTETS:
            network_error = NetworkError(code.value[0], int.from_bytes(code.value[1:], "big"))
    return Receipt(
        message_ids=_distinct((parameter_id.string if parameter_id else b"", text_id)),
        state=state,
        evidence=evidence,
        stat=stat,
        error=fields.get(b"err", b"").decode("latin-1"),
        network_error=network_error,
        submit_date=fields.get(b"submit", b"").decode("latin-1"),
        done_date=fields.get(b"done", b"").decode("latin-1"),
        text=text,
        intermediate=message_type == _INTERMEDIATE,
    )


class IdBase(Enum):
    """How an SMSC writes message ids, in one direction."""

    __hash__ = object.__hash__  # Enum's own is written in Python, and asked for with each SMS.

    UNKNOWN = "unknown"
    TEXT = "text"
    """They are no numbers, whatever they look like."""
    DECIMAL = "decimal"
    HEXADECIMAL = "hexadecimal"


def canonical_id(message_id: bytes, base: IdBase) -> bytes:
    """One spelling for each message id of a known base: a number in decimal, all else as it is."""
    if base is IdBase.DECIMAL and _DECIMAL.fullmatch(message_id):
        return b"%d" % int(message_id)
    if base is IdBase.HEXADECIMAL and _HEXADECIMAL.fullmatch(message_id):
        return b"%d" % int(message_id, 16)
    return message_id


class Spelling(NamedTuple):
    """A way in which an SMSC may write, in an answer, the number that it writes otherwise in a receipt.

    read_as: the base of the receipt's. spelt_in: that of the answer's, and `form` how it is written there.
    """

    read_as: IdBase
    spelt_in: IdBase
    form: bytes

    def of(self, message_id: bytes) -> bytes | None:
        """A receipt's id as the answer has it; None if it is no number in that base."""
        is_decimal = self.read_as is IdBase.DECIMAL
        if not (_DECIMAL if is_decimal else _HEXADECIMAL).fullmatch(message_id):
            return None
        return self.form % int(message_id, 10 if is_decimal else 16)


def candidate_ids(
    message_ids: Iterable[bytes], base: IdBase, answered_base: IdBase, *, as_sent: bool = False
) -> tuple[bytes, ...]:
    """By which ids a submission's answer may have named the message of a receipt, the likeliest first.

    message_ids: the receipt's. base: the receipts' own. answered_base: the answers'.
    They are canonical ones where both bases are declared. Where one is UNKNOWN, or ids are remembered `as_sent` all the
    same, they are spellings to be looked for among ids as sent: the same; the other case; no leading zeros, or as many
    as make up a usual width; the other base; a UUID with its dashes, and without. An id that is neither a number nor a
    UUID is only ever itself.

    Read in the other base, an id may by chance be another message's, as 10 is 16: believe such a match only when the
    receipt's recipient is the message's, too. Declaring the bases spares that.
    """
    is_declared = IdBase.UNKNOWN not in (base, answered_base)
    if is_declared and not as_sent:
        return _distinct(canonical_id(message_id, base) for message_id in message_ids)
    candidates: list[bytes] = []
    for message_id in message_ids:
        respelt = _respelt(message_id, base, answered_base)
        if not (respelt and is_declared and base is not answered_base):
            candidates.append(message_id)
            if respelt or _UUID.fullmatch(message_id):
                candidates += message_id.lower(), message_id.upper()
            if len(message_id) in _UUID_OCTETS:
                candidates += _dashed_otherwise(message_id)
        candidates += respelt
        if is_declared:
            candidates.append(canonical_id(message_id, base))  # What was remembered before it was as sent.
    return _distinct(candidates)


def spellings(base: IdBase, answered_base: IdBase) -> tuple[Spelling, ...]:
    """Those that may be, given what is declared, the likeliest first."""
    return _SPELLINGS_BY_BASE[base, answered_base]


def _respelt(message_id: bytes, base: IdBase, answered_base: IdBase) -> list[bytes]:
    """The same as `of` says for each of the spellings, at a fraction of the cost: each receipt's id comes here."""
    respelt: list[bytes] = []
    for read_as, forms in _FORMS_BY_BASE[base, answered_base].items():
        is_decimal = read_as is IdBase.DECIMAL
        if (_DECIMAL if is_decimal else _HEXADECIMAL).fullmatch(message_id):
            number = int(message_id, 10 if is_decimal else 16)
            respelt += [form % number for form in forms]
    return respelt


def _dashed_otherwise(message_id: bytes) -> tuple[bytes, ...]:
    """A UUID without its dashes, or with them if it has none, in either case; nothing for what is no UUID."""
    if _UUID.fullmatch(message_id):
        other = message_id.replace(b"-", b"")
    elif _HEXADECIMAL.fullmatch(message_id):
        other = b"-".join(message_id[begin:end] for begin, end in pairwise(_UUID_GROUPS))
    else:
        return ()
    return other.lower(), other.upper()


def _possible(base: IdBase, answered_base: IdBase) -> Iterable[Spelling]:
    if IdBase.TEXT in (base, answered_base):
        return
    for read_as in (IdBase.DECIMAL, IdBase.HEXADECIMAL) if base is IdBase.UNKNOWN else (base,):
        # Spelt alike but for zeros or case comes before the other base.
        for spelt_in in sorted(_FORMS, key=lambda b: b is not read_as):
            if answered_base in (spelt_in, IdBase.UNKNOWN):
                rare = _RARE_FORMS[spelt_in]
                if spelt_in is not read_as and answered_base is IdBase.UNKNOWN:
                    rare = _RARE_IN_THE_OTHER_BASE[spelt_in]  # There are too many guesses in that already.
                yield from (Spelling(read_as, spelt_in, form) for form in (*_FORMS[spelt_in], *rare))


_FORMS: Final = {IdBase.DECIMAL: (b"%d", b"%010d"), IdBase.HEXADECIMAL: (b"%x", b"%X", b"%08x", b"%08X")}
_RARE_FORMS: Final = {
    IdBase.DECIMAL: tuple(b"%%0%dd" % width for width in (8, 9, 11, 12, 16, 18, 20)),
    IdBase.HEXADECIMAL: tuple(b"%%0%d" % width + case for width in (10, 12, 16, 20, 32) for case in (b"x", b"X")),
}
_RARE_IN_THE_OTHER_BASE: Final = {IdBase.DECIMAL: (), IdBase.HEXADECIMAL: _RARE_FORMS[IdBase.HEXADECIMAL][:6]}
_SPELLINGS_BY_BASE: Final = {
    (base, answered_base): tuple(_possible(base, answered_base)) for base in IdBase for answered_base in IdBase
}
_FORMS_BY_BASE: Final = {
    bases: {read_as: tuple(each.form for each in group) for read_as, group in groupby(found, lambda each: each.read_as)}
    for bases, found in _SPELLINGS_BY_BASE.items()
}


def _distinct(octets: Iterable[bytes]) -> tuple[bytes, ...]:
    return tuple(filter(None, dict.fromkeys(octets)))


# ---- the text

_LABEL: Final = rb"(?:id|sub|dlvrd|submit[ _]?date|done[ _]?date|stat(?:us|e)?|err|text)"
_FIELD: Final = re.compile(
    # A label begins no later than its word. The text is all the rest; any other value ends at the next blank or NUL, or
    # at what separates it from the next label, and is empty where that follows at once.
    rb"(?<![a-z])(?:text\s*:(.*)"
    rb"|(id|sub(?:mit)?|dlvrd|done|stat(?:us|e)?|err)(?:[ _]?date)?\s*:(?:\s*(?!"
    + _LABEL
    + rb"\s*:)([^\s\0,;]+(?:[,;]+(?!"
    + _LABEL
    + rb"\s*:)[^\s\0,;]+)*))?)",
    re.IGNORECASE | re.DOTALL,
)


def _text_fields(octets: bytes) -> tuple[dict[bytes, bytes], bytes]:
    """The fields by their labels' first words, and the text."""
    found: list[tuple[bytes, bytes, bytes]] = _FIELD.findall(octets) if b":" in octets else []
    text = found[-1][0] if found else b""  # Nothing comes after it.
    return {label.lower(): value for _, label, value in reversed(found)}, text  # Of equal labels the first counts.


def _text_octets(pdu: DeliverSm | DataSm) -> bytes:
    """The receipt's text, in octets that are ASCII where the text is."""
    octets = pdu.short_message if isinstance(pdu, DeliverSm) else b""
    if not octets and pdu.tlvs and (payload := find(pdu.tlvs, Tag.MESSAGE_PAYLOAD)):
        octets = payload.value
    if pdu.esm_class & _UDHI and octets:
        octets = _without_header(octets)
    if pdu.data_coding & _ALPHABET == _UCS_2 or b"\0" in octets[:_UNMARKED_OCTETS]:
        return _in_octets(octets)
    return octets


def _without_header(octets: bytes) -> bytes:
    """What follows the user data header; all of it, where there is none whatever esm_class says.

    Its elements fill its length exactly (3GPP TS 23.040, 9.2.3.24), which is less than any letter.
    """
    end = 1 + octets[0]
    at = 1
    while at + 1 < end <= min(len(octets), _LONGEST_HEADER):
        at += 2 + octets[at + 1]
    return octets[end:] if 1 < end == at else octets


def _in_octets(octets: bytes) -> bytes:
    """What is UCS-2, or called so, in one octet for each character."""
    order = "utf-16-le" if octets.startswith(codecs.BOM_UTF16_LE) else "utf-16-be"
    text = octets.decode(order, "replace").encode("latin-1", "replace")
    if _FIELD.search(text):
        return text
    if _FIELD.search(octets):
        return octets  # Some send ASCII under the data_coding of the message that the receipt is about.
    other = octets.decode("utf-16-le", "replace").encode("latin-1", "replace")
    return other if _FIELD.search(other) else text


def _state(stat: str, spellings: Mapping[str, MessageState] | None) -> MessageState | None:
    word = stat.upper().strip("\"'.,;")
    if spellings and (state := spellings.get(word)) is not None:
        return state
    return _SPELLINGS.get(word)


_SPELLINGS: Final = {
    # Appendix B
    "DELIVRD": MessageState.DELIVERED,
    "EXPIRED": MessageState.EXPIRED,
    "DELETED": MessageState.DELETED,
    "UNDELIV": MessageState.UNDELIVERABLE,
    "ACCEPTD": MessageState.ACCEPTED,
    "UNKNOWN": MessageState.UNKNOWN,
    "REJECTD": MessageState.REJECTED,
    # also seen
    "ENROUTE": MessageState.ENROUTE,
    "ENRTE": MessageState.ENROUTE,
    "BUFFRED": MessageState.ENROUTE,
    "BUFFERD": MessageState.ENROUTE,
    "BUFFERED": MessageState.ENROUTE,
    "BUFFER": MessageState.ENROUTE,
    "ACKED": MessageState.ENROUTE,
    "FAILED": MessageState.UNDELIVERABLE,
    "DELIVERED": MessageState.DELIVERED,
    "UNDELIVERED": MessageState.UNDELIVERABLE,
    "UNDELIVERABLE": MessageState.UNDELIVERABLE,
    "ACCEPTED": MessageState.ACCEPTED,
    "REJECTED": MessageState.REJECTED,
    "SCHEDULED": MessageState.SCHEDULED,
    "SKIPPED": MessageState.SKIPPED,
}

_STATES: Final = frozenset(MessageState)
_NETWORK_ERROR_OCTETS: Final = 3

# esm_class in what an SMSC delivers (5.2.12): bits 5 to 2 are the type, bit 6 announces a user data header.
_MESSAGE_TYPE: Final = 0b0011_1100
_NO_TYPE: Final = 0
_SMSC_RECEIPT: Final = 0b0000_0100
_INTERMEDIATE: Final = 0b0010_0000
_UDHI: Final = 0b0100_0000

# data_coding: bits 3 and 2 are the alphabet, also with a message class (3GPP TS 23.038, 4).
_ALPHABET: Final = 0b0000_1100
_UCS_2: Final = 0b0000_1000
_UNMARKED_OCTETS: Final = 4
"""Among so many at the beginning of UCS-2, be there a byte order mark, one of a letter is 0; in ASCII none is."""
_LONGEST_HEADER: Final = 0x20
"""In octets, its length's included."""

_DECIMAL: Final = re.compile(rb"[0-9]{1,64}")
_HEXADECIMAL: Final = re.compile(rb"[0-9A-Fa-f]{1,64}")
_UUID: Final = re.compile(rb"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_UUID_OCTETS: Final = (32, 36)
_UUID_GROUPS: Final = (0, 8, 12, 16, 20, 32)
"""Where they begin, and the last one ends, without dashes."""
