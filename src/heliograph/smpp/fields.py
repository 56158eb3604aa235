"""What PDUs are made of: integers, C-octet strings, octet strings, optional parameters; and layouts made of these.

Standard: SMPP 3.4, 3.1 (types), 3.2.4 (optional parameters), 5.3.1 (their tags).
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, Any, Final, Generic, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from heliograph.smpp.errors import LocalProtocolError


@dataclass(frozen=True, slots=True)
class COctetString:
    """Octets up to a NUL. longest: how many we send at most, without the NUL; of a peer, any number is read."""

    longest: int


@dataclass(frozen=True, slots=True)
class Integer:
    """An unsigned number in one octet, as all those of the mandatory parameters here are."""


@dataclass(frozen=True, slots=True)
class CountedOctets:
    """One octet that tells how many follow, and these: sm_length and short_message. NULs are octets like others."""

    longest: int


Octet = Annotated[int, Integer()]


class Tag(IntEnum):
    """The optional parameters that have a name (5.3.1), and congestion_state of SMPP 5.0 (4.8.4.18)."""

    DEST_ADDR_SUBUNIT = 0x0005
    DEST_NETWORK_TYPE = 0x0006
    DEST_BEARER_TYPE = 0x0007
    DEST_TELEMATICS_ID = 0x0008
    SOURCE_ADDR_SUBUNIT = 0x000D
    SOURCE_NETWORK_TYPE = 0x000E
    SOURCE_BEARER_TYPE = 0x000F
    SOURCE_TELEMATICS_ID = 0x0010
    QOS_TIME_TO_LIVE = 0x0017
    PAYLOAD_TYPE = 0x0019
    ADDITIONAL_STATUS_INFO_TEXT = 0x001D
    RECEIPTED_MESSAGE_ID = 0x001E
    MS_MSG_WAIT_FACILITIES = 0x0030
    PRIVACY_INDICATOR = 0x0201
    SOURCE_SUBADDRESS = 0x0202
    DEST_SUBADDRESS = 0x0203
    USER_MESSAGE_REFERENCE = 0x0204
    USER_RESPONSE_CODE = 0x0205
    SOURCE_PORT = 0x020A
    DESTINATION_PORT = 0x020B
    SAR_MSG_REF_NUM = 0x020C
    LANGUAGE_INDICATOR = 0x020D
    SAR_TOTAL_SEGMENTS = 0x020E
    SAR_SEGMENT_SEQNUM = 0x020F
    SC_INTERFACE_VERSION = 0x0210
    CALLBACK_NUM_PRES_IND = 0x0302
    CALLBACK_NUM_ATAG = 0x0303
    NUMBER_OF_MESSAGES = 0x0304
    CALLBACK_NUM = 0x0381
    DPF_RESULT = 0x0420
    SET_DPF = 0x0421
    MS_AVAILABILITY_STATUS = 0x0422
    NETWORK_ERROR_CODE = 0x0423
    MESSAGE_PAYLOAD = 0x0424
    DELIVERY_FAILURE_REASON = 0x0425
    MORE_MESSAGES_TO_SEND = 0x0426
    MESSAGE_STATE = 0x0427
    CONGESTION_STATE = 0x0428
    USSD_SERVICE_OP = 0x0501
    DISPLAY_TIME = 0x1201
    SMS_SIGNAL = 0x1203
    MS_VALIDITY = 0x1204
    ALERT_ON_MESSAGE_DELIVERY = 0x130C
    ITS_REPLY_TYPE = 0x1380
    ITS_SESSION_INFO = 0x1383


class Tlv(msgspec.Struct, frozen=True, gc=False):
    """One optional parameter, its tag known to us or not. value: as on the wire."""

    tag: int
    value: bytes

    @classmethod
    def octet(cls, tag: Tag, number: int) -> "Tlv":
        """An integer parameter of one octet."""
        return cls(tag, number.to_bytes(1, "big"))

    @classmethod
    def octets_2(cls, tag: Tag, number: int) -> "Tlv":
        """An integer parameter of two octets."""
        return cls(tag, number.to_bytes(2, "big"))

    @property
    def number(self) -> int:
        """An integer parameter's value, whatever its length."""
        return int.from_bytes(self.value, "big")

    @property
    def string(self) -> bytes:
        """A C-octet string parameter's value; some peers leave out its NUL."""
        return self.value.partition(b"\0")[0]


def find(tlvs: Iterable[Tlv], tag: Tag) -> Tlv | None:
    """The first parameter with that tag."""
    for tlv in tlvs:
        if tlv.tag == tag:
            return tlv
    return None


class Body(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """What every PDU may end with, after its own fields; empty in most.

    tlvs: optional parameters, known and unknown, in their order on the wire.
    surplus: octets after them that make no optional parameter; never filled by us, and kept when a peer does it.
    """

    tlvs: tuple[Tlv, ...] = ()
    surplus: bytes = b""


B = TypeVar("B", bound=Body)


class Layout(Generic[B]):
    """How the fields of a class lie on the wire, read from their annotations: for encoder and decoder alike.

    Fields are COctetString, Integer (`Octet`), and at the end perhaps one CountedOctets.
    """

    def __init__(self, body: type[B]) -> None:
        self._body = body
        hints = get_type_hints(body, include_extras=True)
        self._fields = tuple((name, _kind(hints[name])) for name in body.__struct_fields__[:-2])
        kinds = [kind for _, kind in self._fields]
        # Each C-octet string with the number of integers after it. A NUL ends it, so neither needs to be looked for.
        self._leading_octet_count = _integers_from(kinds, 0)
        self._runs = tuple(
            _integers_from(kinds, index + 1) for index, kind in enumerate(kinds) if isinstance(kind, COctetString)
        )
        self._strings = tuple(
            (index, kind.longest) for index, kind in enumerate(kinds) if isinstance(kind, COctetString)
        )
        self._counted = next((kind for kind in kinds if isinstance(kind, CountedOctets)), None)
        assert self._counted is None or kinds[-1] is self._counted, "counted octets come last"
        self._template = b"".join(_TEMPLATES[type(kind)] for kind in kinds)

    def encode(self, body: B) -> bytes:
        """The octets after the header. Raises LocalProtocolError for what doesn't fit its field."""
        values = msgspec.structs.astuple(body)
        for index, longest in self._strings:
            string = values[index]
            if len(string) > longest or 0 in string:
                raise LocalProtocolError(self._fault(index, string))
        *mandatory, tlvs, surplus = values
        if self._counted is not None:
            octets = mandatory[-1]
            if len(octets) > self._counted.longest:
                raise LocalProtocolError(self._fault(len(mandatory) - 1, octets))
            mandatory[-1:] = (len(octets), octets)
        try:
            encoded = self._template % (*mandatory,)
        except OverflowError:
            raise LocalProtocolError(f"{self._body.__name__}: an integer outside 0 to 255 in {body}") from None
        if tlvs or surplus:
            return b"".join((encoded, *map(_encoded_tlv, tlvs), surplus))
        return encoded

    def decode(self, octets: bytes, start: int, *, filling: bool = False) -> B:
        """Read the fields from `start` on to the end.

        filling: what is missing at the end reads as NULs.
        Raises ValueError where something is missing.
        """
        try:
            values, end = self._mandatory(octets, start)
        except ValueError:
            if not filling:
                raise
            longest_empty = len(self._fields)  # one octet each
            return self._body(*self._mandatory(octets + bytes(longest_empty), start)[0])
        if end == len(octets):
            return self._body(*values)
        tlvs, surplus = _decoded_tlvs(octets, end)
        return self._body(*values, tlvs=tlvs, surplus=surplus)

    def _mandatory(self, octets: bytes, start: int) -> tuple[list[bytes | int], int]:
        at = start + self._leading_octet_count
        values: list[bytes | int] = [*octets[start:at]]
        for octet_count in self._runs:
            end = octets.find(0, at)
            if end < 0:
                raise ValueError(f"{self._body.__name__} ends inside {self._fields[len(values)][0]}")
            values.append(octets[at:end])
            at = end + 1
            if octet_count:
                values += octets[at : at + octet_count]
                at += octet_count
        if self._counted is not None and at < len(octets):
            end = at + 1 + octets[at]
            values.append(octets[at + 1 : end])
            at = end
        if at > len(octets) or len(values) < len(self._fields):
            raise ValueError(f"{self._body.__name__} is shorter than its fields")
        return values, at

    def _fault(self, index: int, value: bytes) -> str:
        name, kind = self._fields[index]
        assert not isinstance(kind, Integer), "the template checks those"
        fault = f"{len(value)} octets, at most {kind.longest} can be sent" if len(value) > kind.longest else "a NUL"
        return f"{self._body.__name__}.{name} has {fault}"


Kind = COctetString | Integer | CountedOctets

_TEMPLATES: Final[dict[type[Kind], bytes]] = {COctetString: b"%b\0", Integer: b"%c", CountedOctets: b"%c%b"}

_TLV_HEAD: Final = struct.Struct(">HH")


def _kind(hint: Any) -> Kind:
    assert get_origin(hint) is Annotated, f"{hint} says nothing of its layout"
    kind: Kind = get_args(hint)[1]
    return kind


def _integers_from(kinds: list[Kind], start: int) -> int:
    count = 0
    while start + count < len(kinds) and isinstance(kinds[start + count], Integer):
        count += 1
    return count


def _encoded_tlv(tlv: Tlv) -> bytes:
    try:
        return _TLV_HEAD.pack(tlv.tag, len(tlv.value)) + tlv.value
    except struct.error:
        raise LocalProtocolError(
            f"optional parameter {tlv.tag:#06x} with {len(tlv.value)} octets can't be sent"
        ) from None


def _decoded_tlvs(octets: bytes, at: int) -> tuple[tuple[Tlv, ...], bytes]:
    """The parameters from `at` on, and what is left where one reaches beyond the end."""
    tlvs: list[Tlv] = []
    while at + _TLV_HEAD.size <= len(octets):
        tag, length_octets = _TLV_HEAD.unpack_from(octets, at)
        start = at + _TLV_HEAD.size
        if start + length_octets > len(octets):
            break
        at = start + length_octets
        tlvs.append(Tlv(tag, octets[start:at]))
    return tuple(tlvs), octets[at:]
