"""The PDUs, one class each; its fields are its layout on the wire, for encoder and decoder alike.

Strings are octets as they are: nothing says which alphabet a peer means. Lengths are those we send at most.
Standard: SMPP 3.4, chapter 4; 3.2.2 and 5.1 for the header.
"""

import struct
from typing import Annotated, Any, ClassVar, Final

import msgspec

from heliograph.smpp.errors import LocalProtocolError, MalformedPdu
from heliograph.smpp.fields import Body, COctetString, CountedOctets, Layout, Octet

RESPONSE: Final = 0x80000000
"""The bit of a command_id that makes it a response's (5.1.2.1)."""

HEADER_OCTETS: Final = 16

LARGEST_SEQUENCE: Final = 0x7FFFFFFF
"""Sequence numbers start at 1 (5.1.4)."""


class Pdu(Body, frozen=True, gc=False):
    """A PDU without its header: command_id follows from the class, sequence number and status go beside it."""

    command_id: ClassVar[int]


class Decoded(msgspec.Struct, frozen=True, gc=False):
    """A PDU with what its header said. status: 0 in requests, unless the peer errs."""

    sequence: int
    status: int
    pdu: "Pdu | UnknownPdu"


class UnknownPdu(msgspec.Struct, frozen=True, gc=False):
    """A PDU whose command_id we don't know. body: what follows the header."""

    command_id: int
    body: bytes


def encode(pdu: Pdu, sequence: int, status: int = 0) -> bytes:
    """A whole PDU, header included.

    A response that carries nothing but an error has no body (4.1.2, 4.4.2).
    Raises LocalProtocolError for what doesn't fit its field.
    """
    pdu_class = type(pdu)
    is_bare_error = status and pdu_class.command_id & RESPONSE and pdu == pdu_class()
    body = b"" if is_bare_error else _LAYOUTS[pdu_class].encode(pdu)
    try:
        return _HEADER.pack(HEADER_OCTETS + len(body), pdu_class.command_id, status, sequence) + body
    except struct.error:
        raise LocalProtocolError(f"sequence {sequence} or status {status} can't be sent") from None


def decode(frame: bytes) -> Decoded:
    """Read one whole PDU, as `framing` cuts them.

    A response may end early, as many do beside an error: what is missing is empty, or 0.
    Raises MalformedPdu.
    """
    _, command_id, status, sequence = _HEADER.unpack_from(frame)
    layout = _BY_COMMAND_ID.get(command_id)
    if layout is None:
        return Decoded(sequence, status, UnknownPdu(command_id, frame[HEADER_OCTETS:]))
    try:
        pdu = layout.decode(frame, HEADER_OCTETS, filling=command_id >= RESPONSE)
    except ValueError as fault:
        raise MalformedPdu(command_id, sequence, str(fault)) from fault
    return Decoded(sequence, status, pdu)


# 4.1.1 allows 15, 8 and 12 octets; SMSCs that want more are common, so the profile has the limits.
SystemId = Annotated[bytes, COctetString(64)]
Password = Annotated[bytes, COctetString(64)]
SystemType = Annotated[bytes, COctetString(64)]

ServiceType = Annotated[bytes, COctetString(5)]
Address = Annotated[bytes, COctetString(20)]
LongAddress = Annotated[bytes, COctetString(64)]
Time = Annotated[bytes, COctetString(16)]
MessageId = Annotated[bytes, COctetString(64)]


class Bind(Pdu, frozen=True, gc=False):
    """What the three requests to open a session have in common."""

    system_id: SystemId = b""
    password: Password = b""
    system_type: SystemType = b""
    interface_version: Octet = 0x34
    addr_ton: Octet = 0
    addr_npi: Octet = 0
    address_range: Annotated[bytes, COctetString(40)] = b""


class BindTransmitter(Bind, frozen=True, gc=False):
    """An ESME wants to send (4.1.1)."""

    command_id = 0x00000002


class BindReceiver(Bind, frozen=True, gc=False):
    """An ESME wants to receive (4.1.3)."""

    command_id = 0x00000001


class BindTransceiver(Bind, frozen=True, gc=False):
    """An ESME wants both (4.1.5)."""

    command_id = 0x00000009


class BindResp(Pdu, frozen=True, gc=False):
    """What their responses have in common."""

    system_id: SystemId = b""


class BindTransmitterResp(BindResp, frozen=True, gc=False):
    """4.1.2."""

    command_id = RESPONSE | 0x00000002


class BindReceiverResp(BindResp, frozen=True, gc=False):
    """4.1.4."""

    command_id = RESPONSE | 0x00000001


class BindTransceiverResp(BindResp, frozen=True, gc=False):
    """4.1.6."""

    command_id = RESPONSE | 0x00000009


class Outbind(Pdu, frozen=True, gc=False):
    """An SMSC asks an ESME to bind as a receiver; there is no response (4.1.7)."""

    command_id = 0x0000000B

    system_id: SystemId = b""
    password: Password = b""


class Unbind(Pdu, frozen=True, gc=False):
    """Either side wants to end the session (4.2.1)."""

    command_id = 0x00000006


class UnbindResp(Pdu, frozen=True, gc=False):
    """4.2.2."""

    command_id = RESPONSE | 0x00000006


class GenericNack(Pdu, frozen=True, gc=False):
    """The answer to what has no other: an unreadable header, an unknown command (4.3.1)."""

    command_id = RESPONSE


class ShortMessage(Pdu, frozen=True, gc=False):
    """What a short message looks like on either way. sm_length is told by `short_message`."""

    service_type: ServiceType = b""
    source_addr_ton: Octet = 0
    source_addr_npi: Octet = 0
    source_addr: Address = b""
    dest_addr_ton: Octet = 0
    dest_addr_npi: Octet = 0
    destination_addr: Address = b""
    esm_class: Octet = 0
    protocol_id: Octet = 0
    priority_flag: Octet = 0
    schedule_delivery_time: Time = b""
    validity_period: Time = b""
    registered_delivery: Octet = 0
    replace_if_present_flag: Octet = 0
    data_coding: Octet = 0
    sm_default_msg_id: Octet = 0
    short_message: Annotated[bytes, CountedOctets(254)] = b""


class SubmitSm(ShortMessage, frozen=True, gc=False):
    """An ESME's short message for a phone (4.4.1)."""

    command_id = 0x00000004


class SubmitSmResp(Pdu, frozen=True, gc=False):
    """4.4.2."""

    command_id = RESPONSE | 0x00000004

    message_id: MessageId = b""


class DeliverSm(ShortMessage, frozen=True, gc=False):
    """A phone's short message for an ESME, or a receipt (4.6.1)."""

    command_id = 0x00000005


class DeliverSmResp(Pdu, frozen=True, gc=False):
    """4.6.2. message_id: unused, a lone NUL."""

    command_id = RESPONSE | 0x00000005

    message_id: MessageId = b""


class DataSm(Pdu, frozen=True, gc=False):
    """A message either way, its text in message_payload (4.7.1)."""

    command_id = 0x00000103

    service_type: ServiceType = b""
    source_addr_ton: Octet = 0
    source_addr_npi: Octet = 0
    source_addr: LongAddress = b""
    dest_addr_ton: Octet = 0
    dest_addr_npi: Octet = 0
    destination_addr: LongAddress = b""
    esm_class: Octet = 0
    registered_delivery: Octet = 0
    data_coding: Octet = 0


class DataSmResp(Pdu, frozen=True, gc=False):
    """4.7.2."""

    command_id = RESPONSE | 0x00000103

    message_id: MessageId = b""


class QuerySm(Pdu, frozen=True, gc=False):
    """What became of a message? (4.8.1)."""

    command_id = 0x00000003

    message_id: MessageId = b""
    source_addr_ton: Octet = 0
    source_addr_npi: Octet = 0
    source_addr: Address = b""


class QuerySmResp(Pdu, frozen=True, gc=False):
    """4.8.2. final_date: empty while the message has no final state."""

    command_id = RESPONSE | 0x00000003

    message_id: MessageId = b""
    final_date: Time = b""
    message_state: Octet = 0
    error_code: Octet = 0


class CancelSm(Pdu, frozen=True, gc=False):
    """Don't deliver a message (4.9.1)."""

    command_id = 0x00000008

    service_type: ServiceType = b""
    message_id: MessageId = b""
    source_addr_ton: Octet = 0
    source_addr_npi: Octet = 0
    source_addr: Address = b""
    dest_addr_ton: Octet = 0
    dest_addr_npi: Octet = 0
    destination_addr: Address = b""


class CancelSmResp(Pdu, frozen=True, gc=False):
    """4.9.2."""

    command_id = RESPONSE | 0x00000008


class EnquireLink(Pdu, frozen=True, gc=False):
    """Are you there? (4.11.1)."""

    command_id = 0x00000015


class EnquireLinkResp(Pdu, frozen=True, gc=False):
    """4.11.2."""

    command_id = RESPONSE | 0x00000015


class AlertNotification(Pdu, frozen=True, gc=False):
    """A phone can be reached again; there is no response (4.12.1)."""

    command_id = 0x00000102

    source_addr_ton: Octet = 0
    source_addr_npi: Octet = 0
    source_addr: LongAddress = b""
    esme_addr_ton: Octet = 0
    esme_addr_npi: Octet = 0
    esme_addr: LongAddress = b""


RESPONSES: Final[dict[type[Pdu], type[Pdu]]] = {
    BindTransmitter: BindTransmitterResp,
    BindReceiver: BindReceiverResp,
    BindTransceiver: BindTransceiverResp,
    Unbind: UnbindResp,
    SubmitSm: SubmitSmResp,
    DeliverSm: DeliverSmResp,
    DataSm: DataSmResp,
    QuerySm: QuerySmResp,
    CancelSm: CancelSmResp,
    EnquireLink: EnquireLinkResp,
}
"""What answers what."""

ALL: Final[tuple[type[Pdu], ...]] = (*RESPONSES, *RESPONSES.values(), Outbind, AlertNotification, GenericNack)

_HEADER: Final = struct.Struct(">IIII")
_LAYOUTS: Final[dict[type[Pdu], Layout[Any]]] = {pdu: Layout(pdu) for pdu in ALL}
_BY_COMMAND_ID: Final[dict[int, Layout[Any]]] = {pdu.command_id: _LAYOUTS[pdu] for pdu in ALL}
