"""What we encode, npm's `smpp` encodes alike, where it is installed: HELIOGRAPH_NODE_MODULES, or tests/interop."""

import json
import os
import re
import subprocess
from pathlib import Path

from heliograph.smpp import pdus
from heliograph.smpp.fields import Tag, Tlv
from tests.interop.programs import NODE, missing
from tests.smpp.golden import GOLDEN

HERE = Path(__file__).parent
MODULES = Path(os.environ.get("HELIOGRAPH_NODE_MODULES") or HERE.parent / "interop" / "node_modules")

TLV_KINDS = {  # name as the other side has it, and whether it wants a number, a string, or octets
    Tag.MESSAGE_PAYLOAD: "octets",
    Tag.SAR_MSG_REF_NUM: "numbers",
    Tag.SAR_TOTAL_SEGMENTS: "numbers",
    Tag.SAR_SEGMENT_SEQNUM: "numbers",
    Tag.DEST_ADDR_SUBUNIT: "numbers",
    Tag.MESSAGE_STATE: "numbers",
    Tag.SC_INTERFACE_VERSION: "numbers",
    Tag.RECEIPTED_MESSAGE_ID: "strings",
    Tag.NETWORK_ERROR_CODE: "octets",
}

FURTHER = [
    pdus.BindTransmitter(b"helio", b"secret", b"VMA", 0x34, 1, 1, b"^4917"),
    pdus.BindReceiver(b"helio", b"secret"),
    pdus.BindTransceiver(b"helio", b"secret"),
    pdus.BindTransceiverResp(b"smsc", tlvs=(Tlv.octet(Tag.SC_INTERFACE_VERSION, 0x34),)),
    pdus.Unbind(),
    pdus.UnbindResp(),
    pdus.Outbind(b"smsc", b"secret"),
    pdus.GenericNack(),
    pdus.SubmitSmResp(b"0123456789"),
    pdus.DeliverSm(
        source_addr_ton=1,
        source_addr=b"4917612345678",
        esm_class=4,
        short_message=b"id:0123456789 stat:DELIVRD",
        tlvs=(
            Tlv(Tag.RECEIPTED_MESSAGE_ID, b"0123456789\0"),
            Tlv.octet(Tag.MESSAGE_STATE, 2),
            Tlv(Tag.NETWORK_ERROR_CODE, b"\x03\x00\x00"),
        ),
    ),
    pdus.DeliverSmResp(),
    pdus.DataSm(destination_addr=b"4917612345678", tlvs=(Tlv(Tag.MESSAGE_PAYLOAD, b"Hello \0"),)),
    pdus.DataSmResp(b"1"),
    pdus.QuerySm(b"0123456789", 5, 0, b"heliograph"),
    pdus.QuerySmResp(b"0123456789", b"260131120000000+", 2, 0),
    pdus.CancelSm(b"", b"0123456789", 5, 0, b"heliograph", 1, 1, b"4917612345678"),
    pdus.CancelSmResp(),
    pdus.EnquireLink(),
    pdus.EnquireLinkResp(),
    pdus.AlertNotification(1, 1, b"4917612345678", 5, 0, b"heliograph"),
]


def asked(pdu, sequence):
    strings, octets, numbers = {}, {}, {}
    for name in pdu.__struct_fields__[:-2]:
        value = getattr(pdu, name)
        if name == "short_message":
            octets[name] = value.hex()
        elif isinstance(value, bytes):
            strings[name] = value.decode("ascii")
        else:
            numbers[name] = value
    for tlv in pdu.tlvs:
        name, kind = Tag(tlv.tag).name.lower(), TLV_KINDS[tlv.tag]
        match kind:
            case "strings":
                strings[name] = tlv.string.decode("ascii")
            case "octets":
                octets[name] = tlv.value.hex()
            case "numbers":
                numbers[name] = tlv.number
    command = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", type(pdu).__name__).lower()
    return {"command": command, "sequence": sequence, "strings": strings, "octets": octets, "numbers": numbers}


def test_npm_smpp_encodes_alike():
    if not (MODULES / "smpp").is_dir():
        missing(f"npm's smpp is not in {MODULES} (or in HELIOGRAPH_NODE_MODULES): make test puts it there")
    numbered = list(enumerate([*FURTHER, *(pdu for several in GOLDEN.values() for pdu in several)], start=1))
    questions = json.dumps([asked(pdu, sequence) for sequence, pdu in numbered])
    answer = subprocess.run(
        [NODE, HERE / "oracle.js", MODULES], input=questions, capture_output=True, text=True, check=True, timeout=60
    )
    for (sequence, pdu), encoded in zip(numbered, json.loads(answer.stdout), strict=True):
        assert tlvs_sorted(bytes.fromhex(encoded)) == tlvs_sorted(pdus.encode(pdu, sequence)), pdu


def tlvs_sorted(frame):
    """That library groups parameters by kind, so their order is ours to choose."""
    decoded = pdus.decode(frame)
    body = pdus.encode(type(decoded.pdu)(**{f: getattr(decoded.pdu, f) for f in decoded.pdu.__struct_fields__[:-2]}), 1)
    assert frame[16 : len(body)] == body[16:]
    return decoded.sequence, decoded.status, frame[16 : len(body)], sorted((t.tag, t.value) for t in decoded.pdu.tlvs)
