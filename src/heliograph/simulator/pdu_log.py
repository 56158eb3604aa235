"""PDUs as lines to read: every field that is not empty, and no password."""

from typing import Final

from heliograph.simulator.checking import header_octet_count, is_ucs_2
from heliograph.smpp.errors import MalformedPdu, RemoteProtocolError
from heliograph.smpp.fields import Tag, Tlv
from heliograph.smpp.framing import Framer
from heliograph.smpp.pdus import Pdu, ShortMessage, UnknownPdu, decode
from heliograph.smpp.statuses import status_name


class PduLog:
    """One direction of one connection: bytes in, cut anywhere; a line out for each PDU."""

    def __init__(self, connection: int, direction: str) -> None:
        self._prefix = f"{connection} {direction}"
        self._framer = Framer()

    def lines(self, data: bytes) -> list[str]:
        """The PDUs that are whole with `data`."""
        lines: list[str] = []
        try:
            for frame in self._framer.feed(data):
                lines.append(f"{self._prefix} {line_of(frame)}")  # noqa: PERF401 # those before a fault count
        except RemoteProtocolError as fault:
            lines.append(f"{self._prefix} {fault}")
        return lines


def line_of(frame: bytes) -> str:
    """One PDU: `submit_sm 7 source_addr=heliograph destination_addr=4917612345678 short_message="Hello"`."""
    try:
        decoded = decode(frame)
    except MalformedPdu as fault:
        return f"unreadable {fault.sequence} {fault}: {frame.hex()}"
    pdu = decoded.pdu
    if isinstance(pdu, UnknownPdu):
        return f"{pdu.command_id:#010x} {decoded.sequence} {pdu.body.hex()}".rstrip()
    status = [status_name(decoded.status)] if decoded.status or pdu.command_id >= _RESPONSE else []
    return " ".join([_command(pdu), str(decoded.sequence), *status, *_fields(pdu)])


def _command(pdu: Pdu) -> str:
    """The standard's own name."""
    name = type(pdu).__name__
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name).removeprefix("_")


def _fields(pdu: Pdu) -> list[str]:
    fields: list[str] = []
    for name in type(pdu).__struct_fields__:
        value = getattr(pdu, name)
        if name == "password" and value:
            fields.append("password=***")
        elif name == "short_message" and value:
            assert isinstance(pdu, ShortMessage), "nothing else has one"
            fields += _message(pdu)
        elif name == "tlvs":
            fields += [f"{_tag(tlv.tag)}={_value(tlv)}" for tlv in pdu.tlvs]
        elif isinstance(value, bytes) and value:
            fields.append(f"{name}={_text(value)}")
        elif isinstance(value, int) and value:
            fields.append(f"{name}={value:#04x}")
    return fields


def _message(pdu: ShortMessage) -> list[str]:
    octets = pdu.short_message
    header_octets = header_octet_count(pdu, octets)
    header, text = octets[:header_octets], octets[header_octets:]
    shown = f'"{text.decode("utf-16-be", "replace")}"' if is_ucs_2(pdu.data_coding) else _text(text)
    return [*([f"udh={header.hex()}"] if header else []), f"short_message={shown}"]


def _value(tlv: Tlv) -> str:
    return _text(tlv.value) if tlv.tag in _TEXTS else f"0x{tlv.value.hex()}"


def _text(octets: bytes) -> str:
    """As it is where it can be read, in quotes where there are blanks in it; else in hex."""
    bare = octets.removesuffix(b"\0")
    if bare and bare.isascii() and bare.decode("ascii").isprintable():
        text = bare.decode("ascii")
        return f'"{text}"' if " " in text else text
    return f"0x{octets.hex()}"


def _tag(tag: int) -> str:
    return Tag(tag).name.lower() if tag in _TAGS else f"{tag:#06x}"


_RESPONSE: Final = 0x80000000
_TAGS: Final = frozenset(Tag)
_TEXTS: Final = frozenset({Tag.RECEIPTED_MESSAGE_ID, Tag.MESSAGE_PAYLOAD, Tag.ADDITIONAL_STATUS_INFO_TEXT})
