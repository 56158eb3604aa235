import pytest

from heliograph.simulator.pdu_log import PduLog, line_of
from heliograph.smpp.fields import Tag, Tlv
from heliograph.smpp.pdus import BindTransceiver, DeliverSm, EnquireLink, SubmitSm, SubmitSmResp, encode


@pytest.mark.parametrize(
    ("pdu", "status", "line"),
    [
        (EnquireLink(), 0, "enquire_link 7"),
        (SubmitSmResp(b"42"), 0, "submit_sm_resp 7 ESME_ROK message_id=42"),
        (SubmitSmResp(), 0x58, "submit_sm_resp 7 ESME_RTHROTTLED"),
        (
            BindTransceiver(b"helio", b"secret"),
            0,
            "bind_transceiver 7 system_id=helio password=*** interface_version=0x34",
        ),
        (SubmitSm(short_message=b"Hello, you"), 0, 'submit_sm 7 short_message="Hello, you"'),
        (SubmitSm(short_message=b"\0\x11"), 0, "submit_sm 7 short_message=0x0011"),
        (
            SubmitSm(esm_class=0x40, data_coding=8, short_message=b"\5\0\3\1\2\1" + "Привет".encode("utf-16-be")),
            0,
            'submit_sm 7 esm_class=0x40 data_coding=0x08 udh=050003010201 short_message="Привет"',
        ),
        (
            DeliverSm(
                tlvs=(Tlv(Tag.RECEIPTED_MESSAGE_ID, b"42\0"), Tlv.octet(Tag.MESSAGE_STATE, 2), Tlv(0x1400, b"4"))
            ),
            0,
            "deliver_sm 7 receipted_message_id=42 message_state=0x02 0x1400=0x34",
        ),
    ],
)
def test_a_pdu_is_a_line_to_read(pdu, status, line):
    assert line_of(encode(pdu, 7, status)) == line


def test_what_is_no_pdu_is_a_line_too():
    log = PduLog(3, "<")
    unknown = bytes.fromhex("00000012 00000021 00000000 00000007 6869")
    cut = encode(SubmitSm(), 7)[:-4]
    cut = len(cut).to_bytes(4, "big") + cut[4:]
    assert log.lines(unknown[:5]) == []
    assert log.lines(unknown[5:] + cut + b"GET / HTTP/1.1") == [
        "3 < 0x00000021 7 6869",
        f"3 < unreadable 7 SubmitSm is shorter than its fields: {cut.hex()}",
        "3 < a PDU announced with 1195725856 octets",
    ]
