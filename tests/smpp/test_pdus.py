"""SMPP 3.4, chapter 4, with 3.1 and 3.2; smpp.md, 2.1 and 2.2."""

from typing import get_args, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from heliograph.smpp.errors import LocalProtocolError, MalformedPdu
from heliograph.smpp.fields import COctetString, CountedOctets, Tag, Tlv, find
from heliograph.smpp.pdus import (
    ALL,
    RESPONSES,
    BindTransceiverResp,
    DataSm,
    Decoded,
    DeliverSm,
    DeliverSmResp,
    EnquireLink,
    QuerySmResp,
    SubmitSm,
    SubmitSmResp,
    UnknownPdu,
    decode,
    encode,
)

tlvs = st.builds(Tlv, st.one_of(st.sampled_from(Tag).map(int), st.integers(0, 0xFFFF)), st.binary(max_size=12))


def values(hint):
    kind = get_args(hint)[1]
    if isinstance(kind, COctetString):
        return st.binary(max_size=kind.longest).map(lambda octets: octets.replace(b"\0", b"0"))
    return st.binary(max_size=kind.longest) if isinstance(kind, CountedOctets) else st.integers(0, 255)


def filled(pdu):
    hints = get_type_hints(pdu, include_extras=True)
    fields = {name: values(hints[name]) for name in pdu.__struct_fields__ if name not in ("tlvs", "surplus")}
    return st.builds(pdu, **fields, tlvs=st.lists(tlvs, max_size=4).map(tuple))


@pytest.mark.parametrize("pdu_class", ALL)
@settings(max_examples=25)
@given(st.data())
def test_decoding_undoes_encoding(pdu_class, data):
    pdu = data.draw(filled(pdu_class))
    sequence, status = data.draw(st.integers(1, 0x7FFFFFFF)), data.draw(st.sampled_from([0, 8, 0xFFFFFFFF]))
    frame = encode(pdu, sequence, status)
    assert decode(frame) == Decoded(sequence, status, pdu)
    assert int.from_bytes(frame[:4], "big") == len(frame)


@given(st.sampled_from(ALL), st.binary(max_size=80))
def test_any_body_is_read_or_malformed(pdu_class, body):
    frame = (16 + len(body)).to_bytes(4, "big") + pdu_class.command_id.to_bytes(4, "big") + bytes(8) + body
    try:
        decoded = decode(frame)
    except MalformedPdu as fault:
        malformed = fault
    else:
        assert type(decoded.pdu) is pdu_class
        return
    assert (malformed.command_id, malformed.sequence) == (pdu_class.command_id, 0)
    assert pdu_class not in RESPONSES.values()


@given(st.binary(max_size=80))
def test_what_is_read_is_written_alike(body):
    frame = (16 + len(body)).to_bytes(4, "big") + bytes.fromhex("00000005 00000000 00000001") + body
    try:
        pdu = decode(frame).pdu
    except MalformedPdu:
        return
    try:
        assert encode(pdu, 1) == frame
    except LocalProtocolError:
        assert max(map(len, (pdu.service_type, pdu.source_addr, pdu.validity_period, pdu.short_message))) > 5


def test_a_nul_in_a_short_message_ends_nothing():  # 3.1: octet string; the GSM alphabet's @
    pdu = SubmitSm(short_message=b"\0\0@\0")
    assert encode(pdu, 1)[-5:] == b"\x04\0\0@\0"
    assert decode(encode(pdu, 1)).pdu == pdu


def test_optional_parameters_keep_their_order_and_the_unknown_are_kept():  # 3.2.4, 3.3
    several = (Tlv(0x1403, b"\xff"), Tlv.octet(Tag.MESSAGE_STATE, 2), Tlv(0x1403, b""))
    pdu = DeliverSm(tlvs=several)
    assert encode(pdu, 1).endswith(bytes.fromhex("1403 0001 FF  0427 0001 02  1403 0000"))
    assert decode(encode(pdu, 1)).pdu.tlvs == several
    assert find(several, Tag.MESSAGE_STATE).number == 2
    assert find(several, Tag.MESSAGE_PAYLOAD) is None


def test_an_optional_parameter_beyond_the_end_leaves_the_rest_readable():
    pdu = DeliverSm(short_message=b"Hello", tlvs=(Tlv.octet(Tag.MESSAGE_STATE, 2),))
    cut = b"\x04\x23\x00\x03\x03"
    frame = encode(pdu, 1) + cut
    found = decode(len(frame).to_bytes(4, "big") + frame[4:]).pdu
    assert (found.short_message, found.tlvs, found.surplus) == (pdu.short_message, pdu.tlvs, cut)


@pytest.mark.parametrize(
    "pdu",
    [
        SubmitSm(service_type=b"123456"),
        SubmitSm(source_addr=b"1" * 21),
        SubmitSm(destination_addr=b"49\x00176"),
        SubmitSm(validity_period=b"0" * 17),
        SubmitSm(short_message=b"x" * 255),
        SubmitSm(priority_flag=256),
        SubmitSm(esm_class=-1),
        SubmitSm(tlvs=(Tlv(Tag.MESSAGE_PAYLOAD, bytes(0x10000)),)),
        SubmitSm(tlvs=(Tlv(0x10000, b""),)),
        DataSm(destination_addr=b"1" * 65),
    ],
)
def test_what_does_not_fit_its_field_is_never_sent(pdu):  # 3.1, 4.4.1
    with pytest.raises(LocalProtocolError):
        encode(pdu, 1)


@pytest.mark.parametrize(("sequence", "status"), [(-1, 0), (1 << 32, 0), (1, -1)])
def test_a_header_that_cannot_be_is_never_sent(sequence, status):  # 3.2.2
    with pytest.raises(LocalProtocolError):
        encode(EnquireLink(), sequence, status)


def test_an_error_is_answered_without_a_body():  # 4.4.2
    assert encode(SubmitSmResp(), 1, 0x58) == bytes.fromhex("00000010 80000004 00000058 00000001")
    assert encode(SubmitSmResp(), 1) == bytes.fromhex("00000011 80000004 00000000 00000001 00")


@pytest.mark.parametrize(
    ("frame", "pdu"),
    [
        ("00000010 80000004 00000058 00000001", SubmitSmResp()),
        ("00000010 80000005 00000000 00000001", DeliverSmResp()),
        ("00000013 80000004 00000000 00000001 616263", SubmitSmResp(b"abc")),
        ("00000012 80000009 00000000 00000001 6162", BindTransceiverResp(b"ab")),
        ("00000012 80000003 00000000 00000001 6100", QuerySmResp(b"a")),
    ],
)
def test_a_response_may_end_early(frame, pdu):  # smpp.md 2.2: bodies left out beside errors, NULs left out
    assert decode(bytes.fromhex(frame)).pdu == pdu


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("", "ends inside service_type"),
        ("00 01 01 34 39", "ends inside source_addr"),
        ("00 0000 00 0000 00 000000 00 00 00000000 05 48656C6C", "shorter than its fields"),
        ("00 0000 00 0000 00 000000 00 00 00000000", "shorter than its fields"),
    ],
)
def test_a_request_that_ends_early_is_malformed(body, reason):
    body = bytes.fromhex(body)
    with pytest.raises(MalformedPdu, match=reason):
        decode((16 + len(body)).to_bytes(4, "big") + bytes.fromhex("00000005 00000000 00000001") + body)


def test_longer_strings_than_the_standards_are_read():  # many an SMSC's message ids
    frame = bytes.fromhex("00000062 80000004 00000000 00000001") + b"x" * 81 + b"\0"
    assert decode(frame).pdu == SubmitSmResp(b"x" * 81)


def test_an_unknown_command_is_kept_as_it_is():
    frame = bytes.fromhex("00000012 00000021 00000000 00000001 ABCD")
    assert decode(frame) == Decoded(1, 0, UnknownPdu(0x21, b"\xab\xcd"))


def test_a_pdu_without_fields_is_its_header():  # 4.11.1
    assert encode(EnquireLink(), 0x7FFFFFFF) == bytes.fromhex("00000010 00000015 00000000 7FFFFFFF")
