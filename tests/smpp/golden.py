"""The PDUs whose every octet is agreed: as profiles build them, and as files in tests/golden/pdus show them."""

from datetime import UTC, datetime, timedelta
from typing import get_args, get_type_hints

from heliograph.gsm.segmentation import Encoding, payload, segment
from heliograph.smpp.fields import COctetString, CountedOctets, Tag
from heliograph.smpp.profiles import (
    Alphabet,
    Concatenation,
    FlashCoding,
    Part,
    Profile,
    ValidityFormat,
    submission,
)

STANDARD, UTF_16 = Encoding.STANDARD, Encoding.UTF_16
NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)
DEFAULT = Profile()


def a_part(text="Hello", encoding=STANDARD, src="+4961511234567", dst="+4917612345678", **other):
    septets = payload(text, STANDARD) if encoding is STANDARD else None
    return Part(text=text, septets=septets, src=src, dst=dst, **other)


def parts_of(text, encoding=STANDARD, reference=0xA55A, **other):
    cut = segment(text, encoding, 20).parts
    return [
        a_part(part, encoding, part=number, parts=len(cut), reference=reference, **other)
        for number, part in enumerate(cut, start=1)
    ]


def built(parts, profile=DEFAULT):
    return [submission(profile, part, NOW) for part in parts]


def text_of(length, pattern="The quick brown fox jumps over the lazy dog. "):
    return (pattern * (length // len(pattern) + 1))[:length]


FACE, EURO, CYRILLIC = "😀", "€", "Съешь ещё этих мягких французских булок. "

GOLDEN = {
    "160-characters": built(parts_of(text_of(160))),
    "161-characters": built(parts_of(text_of(161))),
    "306-characters": built(parts_of(text_of(306))),
    "307-characters": built(parts_of(text_of(307))),
    "20-parts": built(parts_of(text_of(20 * 153))),
    "utf-16-70-units": built(parts_of(text_of(70, CYRILLIC), UTF_16)),
    "utf-16-71-units": built(parts_of(text_of(71, CYRILLIC), UTF_16)),
    "extension-pair-at-the-border": built(parts_of(text_of(152) + EURO + text_of(10))),
    "emoji-at-the-border": built(parts_of(text_of(66, CYRILLIC) + FACE + text_of(10, CYRILLIC), UTF_16)),
    "at-signs": built([a_part("@ a@b.c @")]),
    "national-characters": built([a_part("Grüße für 5 € [Ñandu] {~^|\\}")]),
    "flash": built([a_part(flash=True)]),
    "flash-utf-16": built([a_part("Привет", UTF_16, flash=True)]),
    "flash-f0": built([a_part(flash=True)], Profile(flash=FlashCoding.F0)),
    "flash-subunit": built([a_part("Привет", UTF_16, flash=True)], Profile(flash=FlashCoding.SUBUNIT)),
    "sender-alphanumeric": built([a_part(src="heliograph")]),
    "sender-short-code": built([a_part(src="12345")]),
    "sender-international": built([a_part(src="+4961511234567")]),
    "sender-national": built([a_part(src="061511234567")]),
    "sender-none": built([a_part(src="")]),
    "validity-relative": built([a_part(remaining=timedelta(minutes=2880))]),
    "validity-absolute": built([a_part(remaining=timedelta(minutes=2880))], Profile(validity=ValidityFormat.ABSOLUTE)),
    "validity-none": built([a_part(remaining=timedelta(minutes=2880))], Profile(validity=ValidityFormat.NONE)),
    "express-with-receipt": built([a_part(express=True, receipt_wanted=True)]),
    "concatenation-udh16": built(
        [
            a_part(text_of(152), part=1, parts=2, reference=0xA55A, receipt_wanted=True),
            a_part("the end", part=2, parts=2, reference=0xA55A, receipt_wanted=True),
        ],
        Profile(concatenation=Concatenation.UDH_16),
    ),
    "concatenation-sar": built(parts_of(text_of(161)), Profile(concatenation=Concatenation.SAR)),
    "concatenation-payload": built([a_part(text_of(400))], Profile(concatenation=Concatenation.PAYLOAD)),
    "latin-1": built([a_part("Grüße @ home")], Profile(alphabet=Alphabet.LATIN_1, data_coding=3)),
    "packed": built([a_part("hellohello")], Profile(alphabet=Alphabet.GSM_PACKED)),
    "packed-with-padding": built([a_part("7 chars")], Profile(alphabet=Alphabet.GSM_PACKED)),
    "packed-2-parts": built(parts_of(text_of(161)), Profile(alphabet=Alphabet.GSM_PACKED)),
}
"""By the names of their files."""


def written(pdu, sequence):
    """A PDU field by field, each with its octets; slow, plain, and apart from the encoder."""
    lines = []
    hints = get_type_hints(type(pdu), include_extras=True)
    for name in pdu.__struct_fields__[:-2]:
        value, kind = getattr(pdu, name), get_args(hints[name])[1]
        if isinstance(kind, COctetString):
            lines.append((value + b"\0", f'{name} "{value.decode()}"'))
        elif isinstance(kind, CountedOctets):
            lines.append((bytes([len(value)]), f"sm_length {len(value)}"))
            lines += blocks(name, value, pdu)
        else:
            lines.append((bytes([value]), f"{name} {value}" if value < 10 else f"{name} 0x{value:02X}"))
    for tlv in pdu.tlvs:
        lines.append((tlv.tag.to_bytes(2, "big"), Tag(tlv.tag).name.lower()))
        lines.append((len(tlv.value).to_bytes(2, "big"), "  length"))
        lines += blocks("  value", tlv.value, pdu)
    length = 16 + sum(len(octets) for octets, _ in lines)
    lines[:0] = [
        (length.to_bytes(4, "big"), f"command_length {length}"),
        (pdu.command_id.to_bytes(4, "big"), f"command_id {type(pdu).__name__}"),
        (bytes(4), "command_status"),
        (sequence.to_bytes(4, "big"), f"sequence_number {sequence}"),
    ]
    return "".join(f"{octets.hex(' ').upper():<48}# {comment}\n" for octets, comment in lines)


def blocks(name, octets, pdu):
    """At most 16 octets a line, a user data header on its own."""
    if pdu.esm_class & 0x40:
        yield octets[: 1 + octets[0]], f"{name}: user data header"
        octets = octets[1 + octets[0] :]
    for start in range(0, len(octets), 16):
        block = octets[start : start + 16]
        if pdu.data_coding in (8, 0x18):
            shown = block.decode("utf-16-be", "replace")
        else:
            shown = "".join(chr(octet) if 0x20 <= octet < 0x7F else "·" for octet in block)
        yield block, f"{name} {shown!r}" if start == 0 else f"  {shown!r}"


def octets_of(text):
    """What a golden file says, less its comments: PDUs are parted by empty lines."""
    return [
        bytes.fromhex("".join(line.partition("#")[0] for line in block.splitlines()))
        for block in text.split("\n\n")
        if any(line.partition("#")[0].strip() for line in block.splitlines())
    ]
