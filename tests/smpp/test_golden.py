"""The wire, octet by octet: tests/golden/pdus. To rewrite: HELIOGRAPH_UPDATE_GOLDEN=1; the diff is the review."""

import os
from pathlib import Path

import pytest

from heliograph.smpp.fields import Tag, Tlv
from heliograph.smpp.pdus import BindTransceiver, Decoded, DeliverSm, EnquireLink, SubmitSm, decode, encode
from tests.smpp.golden import GOLDEN, octets_of, written

DIRECTORY = Path(__file__).parent.parent / "golden" / "pdus"
UPDATE_GOLDEN = bool(os.environ.get("HELIOGRAPH_UPDATE_GOLDEN"))

FOREIGN = {  # as PyPI's smpplib 2.2.4 encodes them; its files are not ours to rewrite
    "smpplib-submit_sm": Decoded(
        7,
        0,
        SubmitSm(
            source_addr_ton=5,
            source_addr=b"heliograph",
            dest_addr_ton=1,
            dest_addr_npi=1,
            destination_addr=b"4917612345678",
            esm_class=0x40,
            priority_flag=1,
            validity_period=b"000002000000000R",
            registered_delivery=1,
            short_message=b"\x05\x00\x03\xa5\x02\x01\0 is the sign @",
        ),
    ),
    "smpplib-submit_sm-payload": Decoded(
        8,
        0,
        SubmitSm(
            service_type=b"CMT",
            source_addr_ton=3,
            source_addr=b"12345",
            dest_addr_ton=1,
            dest_addr_npi=1,
            destination_addr=b"4917612345678",
            data_coding=8,
            tlvs=(Tlv(Tag.MESSAGE_PAYLOAD, "Grüße".encode("utf-16-be")),),
        ),
    ),
    "smpplib-bind_transceiver": Decoded(1, 0, BindTransceiver(b"helio", b"secret08", b"VMA")),
    "smpplib-deliver_sm": Decoded(
        3,
        0,
        DeliverSm(
            source_addr_ton=1,
            source_addr_npi=1,
            source_addr=b"4917612345678",
            dest_addr_ton=5,
            destination_addr=b"heliograph",
            esm_class=4,
            short_message=b"id:0123456789 sub:001 dlvrd:001 submit date:2401011200 done date:2401011201 "
            b"stat:DELIVRD err:000 text:Hello",
            tlvs=(Tlv(Tag.MESSAGE_STATE, b"\x02"), Tlv(Tag.RECEIPTED_MESSAGE_ID, b"0123456789\0")),
        ),
    ),
    "smpplib-enquire_link": Decoded(9, 0, EnquireLink()),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_each_octet_is_as_agreed(name):
    shown = f"# {name}\n\n" + "\n".join(written(pdu, number) for number, pdu in enumerate(GOLDEN[name], start=1))
    file = DIRECTORY / f"{name}.hex"
    if UPDATE_GOLDEN:
        file.write_text(shown, encoding="utf-8")
    agreed = file.read_text(encoding="utf-8")
    assert shown == agreed
    frames = octets_of(agreed)
    assert [encode(pdu, number) for number, pdu in enumerate(GOLDEN[name], start=1)] == frames
    assert [decode(frame).pdu for frame in frames] == GOLDEN[name]


@pytest.mark.parametrize("name", FOREIGN)
def test_another_implementations_octets_are_ours(name):
    (frame,) = octets_of((DIRECTORY / f"{name}.hex").read_text(encoding="utf-8"))
    assert decode(frame) == FOREIGN[name]
    assert encode(FOREIGN[name].pdu, FOREIGN[name].sequence) == frame


def test_each_file_has_its_test():
    assert {file.stem for file in DIRECTORY.glob("*.hex")} == {*GOLDEN, *FOREIGN}
