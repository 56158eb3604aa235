"""SMPP 3.4, 5.2.12, 5.2.28, Appendix B; smpp.md, 2.3 and 2.4."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.smpp.fields import Tag, Tlv
from heliograph.smpp.pdus import DataSm, DeliverSm
from heliograph.smpp.receipts import (
    Evidence,
    IdBase,
    MessageState,
    NetworkError,
    Receipt,
    candidate_ids,
    canonical_id,
    read_receipt,
)

USUAL = (
    b"id:0123456789 sub:001 dlvrd:001 submit date:2601311200 done date:2601311201 "
    b"stat:DELIVRD err:000 text:Hello, your id: 7"
)
UUID = b"550e8400-e29b-41d4-a716-446655440000"
UNKNOWN, TEXT, DECIMAL, HEXADECIMAL = IdBase.UNKNOWN, IdBase.TEXT, IdBase.DECIMAL, IdBase.HEXADECIMAL


def read(text, esm_class=4, **fields):
    return read_receipt(DeliverSm(esm_class=esm_class, short_message=text, **fields))


def test_the_usual_text():  # Appendix B
    assert read(USUAL) == Receipt(
        message_ids=(b"0123456789",),
        state=MessageState.DELIVERED,
        evidence=Evidence.ESM_CLASS,
        stat="DELIVRD",
        error="000",
        submit_date="2601311200",
        done_date="2601311201",
        text=b"Hello, your id: 7",
    )


@pytest.mark.parametrize(
    ("stat", "state"),
    [
        ("DELIVRD", MessageState.DELIVERED),
        ("delivrd", MessageState.DELIVERED),
        ("Delivered", MessageState.DELIVERED),
        ("EXPIRED", MessageState.EXPIRED),
        ("DELETED", MessageState.DELETED),
        ("UNDELIV", MessageState.UNDELIVERABLE),
        ("FAILED", MessageState.UNDELIVERABLE),
        ("ACCEPTD", MessageState.ACCEPTED),
        ("UNKNOWN", MessageState.UNKNOWN),
        ("REJECTD", MessageState.REJECTED),
        ("ENROUTE", MessageState.ENROUTE),
        ("BUFFRED", MessageState.ENROUTE),
        ("BUFFERD", MessageState.ENROUTE),
        ("ACKED", MessageState.ENROUTE),
        ("GONE", None),
        ("", None),
    ],
)
def test_states_by_word(stat, state):  # Appendix B, and as seen
    assert read(f"id:1 stat:{stat} err:000".encode()).state is state


def test_an_smsc_may_have_words_of_its_own():
    receipt = DeliverSm(esm_class=4, short_message=b"id:1 stat:GONE")
    assert read_receipt(receipt, {"GONE": MessageState.EXPIRED}).state is MessageState.EXPIRED


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b"id:1 stat:DELIVRD", {}),
        (b"id:1 stat:DELIVRD err:Zx9Q text:", {"error": "Zx9Q"}),
        (b"id:1 submit date:260131120000 done date:20260131120001 stat:DELIVRD", {"submit_date": "260131120000"}),
        (b"id:1 done date:20260131120001 stat:DELIVRD", {"done_date": "20260131120001"}),
        (b"stat:DELIVRD id:1 Text:abc", {"text": b"abc"}),
        (b"ID: 1 SUB: 001 STAT: DELIVRD ERR: 001 TEXT: abc\0\0", {"error": "001", "text": b" abc\0\0"}),
        (b"id:1 sub:001 dlvrd:001 submitdate:26 done_date:27 stat:DELIVRD err: text:x", {"done_date": "27"}),
        (b"id:1\r\nstat:DELIVRD\r\nerr:5\r\n", {"error": "5"}),
        (b"id:1 stat:DELIVRD err:000 garbage:here and there", {"error": "000"}),
        (b"id:1 stat:DELIVRD\0", {"stat": "DELIVRD"}),
        (b"stat:DELIVRD id:1\0", {"stat": "DELIVRD"}),
        (b"id:1\0 stat:DELIVRD err:000\0", {"error": "000"}),
        (b"id:1, sub:001, stat:DELIVRD, err:5;", {"stat": "DELIVRD", "error": "5"}),
        (b"id:1,sub:001,dlvrd:001,stat:DELIVRD,err:5", {"stat": "DELIVRD", "error": "5"}),
        (b"id:1;stat:DELIVRD;err:a,b;c;text:x", {"error": "a,b;c", "text": b"x"}),
        (b"id:  1  sub:001  stat:   DELIVRD err:  text:", {"stat": "DELIVRD", "error": ""}),
        (b"Id : 1 Sub : 001 Stat : DELIVRD Err : 5 Text : x", {"stat": "DELIVRD", "error": "5", "text": b" x"}),
        (b"ID\t :\t1 SUBMIT DATE  :  26 DONE DATE  : STAT  :DELIVRD", {"submit_date": "26", "done_date": ""}),
        (b"id:1 status:DELIVRD err:5", {"stat": "DELIVRD", "error": "5"}),
        (b"id:1,State : Delivered,err:5", {"stat": "Delivered", "error": "5"}),
        (b"id:1 status:0 stat:DELIVRD", {"stat": "DELIVRD"}),
        (b"id:1 done date: status:DELIVRD", {"done_date": ""}),
        (b"id:\"1\" stat:'DELIVRD' err:5", {"error": "5"}),
        (b'id:"1",stat:"DELIVRD",text:"x"', {"text": b'"x"'}),
    ],
)
def test_fields_are_read_one_by_one_and_dates_stay_as_sent(text, found):
    receipt = read(text)
    assert (receipt.message_ids, receipt.state) == ((b"1",), MessageState.DELIVERED)
    assert {name: getattr(receipt, name) for name in found} == found


def test_an_empty_field_does_not_swallow_the_next():
    receipt = read(b"id: sub:001 stat: err: text:")
    assert (receipt.message_ids, receipt.stat, receipt.error) == ((), "", "")


def test_what_the_message_itself_says_is_no_field():
    assert read(b"id:1 text:stat:DELIVRD id:2").state is None
    assert read(b"id:1 text:stat:DELIVRD id:2").message_ids == (b"1",)


def test_optional_parameters_come_first():  # 5.3.2.12, 5.3.2.31, 5.3.2.35
    several = (
        Tlv(0x1500, b"?"),
        Tlv(Tag.NETWORK_ERROR_CODE, b"\x03\x00\x1b"),
        Tlv(Tag.MESSAGE_STATE, b"\x05"),
        Tlv(Tag.RECEIPTED_MESSAGE_ID, b"1A2B\0"),
    )
    receipt = read(b"id:0000006699 stat:DELIVRD err:000", tlvs=several)
    assert receipt.message_ids == (b"1A2B", b"0000006699")
    assert receipt.state is MessageState.UNDELIVERABLE
    assert receipt.network_error == NetworkError(3, 27)


def test_optional_parameters_are_enough_without_a_text():
    several = (Tlv(Tag.RECEIPTED_MESSAGE_ID, b"1A2B"), Tlv.octet(Tag.MESSAGE_STATE, 2))
    receipt = read_receipt(DataSm(esm_class=4, tlvs=several))
    assert (receipt.message_ids, receipt.state) == ((b"1A2B",), MessageState.DELIVERED)


@pytest.mark.parametrize("value", [b"", b"\xff", b"\0\x0a"])
def test_a_state_that_is_none_leaves_the_texts_word(value):
    assert read(b"id:1 stat:EXPIRED", tlvs=(Tlv(Tag.MESSAGE_STATE, value),)).state is MessageState.EXPIRED


@pytest.mark.parametrize(("value", "state"), [(0, MessageState.SCHEDULED), (9, MessageState.SKIPPED)])
def test_states_of_smpp_5_are_known(value, state):
    assert read(b"id:1", tlvs=(Tlv.octet(Tag.MESSAGE_STATE, value),)).state is state


def test_a_state_that_nobody_has_filled_leaves_the_texts_word():
    unfilled = (Tlv.octet(Tag.MESSAGE_STATE, 0),)
    assert read(b"id:1 stat:DELIVRD", tlvs=unfilled).state is MessageState.DELIVERED
    assert read(b"id:1 stat:GOBBLEDYGOOK", tlvs=unfilled).state is MessageState.SCHEDULED


def test_a_text_in_message_payload():
    payload = (Tlv(Tag.MESSAGE_PAYLOAD, USUAL),)
    assert read(b"", tlvs=payload) == read(USUAL)
    assert read_receipt(DataSm(esm_class=4, tlvs=payload)) == read(USUAL)


@pytest.mark.parametrize("data_coding", [0, 8, 0x18])
def test_a_text_in_ucs_2(data_coding):
    assert read(USUAL.decode().encode("utf-16-be"), data_coding=data_coding) == read(USUAL)


@pytest.mark.parametrize("data_coding", [0, 8, 0x18])
@pytest.mark.parametrize("order", ["utf-16-be", "utf-16-le"])
@pytest.mark.parametrize("mark", ["\ufeff", ""])
@pytest.mark.parametrize("text", [USUAL, USUAL.upper(), USUAL * 3])
def test_a_text_in_ucs_2_of_either_order(data_coding, order, mark, text):
    assert read((mark + text.decode()).encode(order), data_coding=data_coding) == read(text)


@pytest.mark.parametrize("data_coding", [8, 0x18])
@pytest.mark.parametrize("text", [USUAL, USUAL + b"!", b"id:1 stat:DELIVRD", b"\x05\x00\x03\x01\x01\x01" + USUAL])
def test_a_text_in_ascii_that_is_called_ucs_2(data_coding, text):
    esm_class = 0x44 if text[:1] == b"\x05" else 4
    assert read(text, esm_class, data_coding=data_coding) == read(text, esm_class)


def test_a_text_after_a_header():  # 5.2.12, UDHI
    assert read(b"\x05\x00\x03\x01\x01\x01" + USUAL, esm_class=0x44) == read(USUAL)
    assert read(b"\x06\x08\x04\x01\x01\x01\x01" + USUAL, esm_class=0x44) == read(USUAL)


@pytest.mark.parametrize("data_coding", [0, 8])
@pytest.mark.parametrize(
    "text",
    [
        USUAL,
        USUAL * 2,
        b"id:" + b"7" * 58 + b"-+ " + USUAL,
        b"\n\r " + USUAL,
        USUAL.decode().encode("utf-16-be"),
        ("\ufeff" + USUAL.decode() * 2).encode("utf-16-be"),
        ("\ufeff" + USUAL.decode() * 2).encode("utf-16-le"),
        b"",
    ],
)
def test_a_text_without_the_header_that_is_announced(data_coding, text):  # 3GPP TS 23.040, 9.2.3.24
    assert read(text, esm_class=0x44, data_coding=data_coding) == read(text, data_coding=data_coding)
    payload = (Tlv(Tag.MESSAGE_PAYLOAD, text),)
    assert read(b"", esm_class=0x44, tlvs=payload) == read(b"", tlvs=payload)


# ---- is it one? 5.2.12


def test_esm_class_tells():
    assert read(b"anything", esm_class=0x04).evidence is Evidence.ESM_CLASS
    assert read(USUAL, esm_class=0x20).intermediate


def test_without_esm_class_the_parameter_tells():
    assert read(b"", esm_class=0, tlvs=(Tlv(Tag.RECEIPTED_MESSAGE_ID, b"1"),)).evidence is Evidence.PARAMETER


def test_without_both_the_text_may_tell():
    assert read(USUAL, esm_class=0).evidence is Evidence.TEXT


@pytest.mark.parametrize("text", [b"Hello", b"", b"id:1", b"stat:DELIVRD", b"id:1 stat:fine", b"my id: 1, stat: ok"])
def test_a_phones_message_is_none(text):
    assert read(text, esm_class=0) is None


@pytest.mark.parametrize("esm_class", [0x08, 0x10, 0x18])
def test_a_phones_acknowledgement_is_none(esm_class):
    assert read(USUAL, esm_class=esm_class) is None


@given(
    st.one_of(st.binary(max_size=120), st.lists(st.sampled_from(USUAL.split(b" ")), max_size=12).map(b" ".join)),
    st.integers(0, 255),
    st.integers(0, 255),
    st.lists(st.builds(Tlv, st.sampled_from([0x1E, 0x427, 0x423, 0x424]), st.binary(max_size=40)), max_size=3),
)
def test_nothing_ever_raises(text, esm_class, data_coding, several):
    for pdu in (
        DeliverSm(esm_class=esm_class, data_coding=data_coding, short_message=text, tlvs=tuple(several)),
        DataSm(esm_class=esm_class, data_coding=data_coding, tlvs=tuple(several)),
    ):
        receipt = read_receipt(pdu)
        if receipt:
            candidate_ids(receipt.message_ids, UNKNOWN, UNKNOWN)


# ---- ids: smpp.md, 1 and 2.3


@pytest.mark.parametrize(
    ("message_id", "base", "canonical"),
    [
        (b"0000006699", DECIMAL, b"6699"),
        (b"00001A2B", HEXADECIMAL, b"6699"),
        (b"1a2b", HEXADECIMAL, b"6699"),
        (b"1a2b", DECIMAL, b"1a2b"),
        (b"0001", TEXT, b"0001"),
        (b"0001", UNKNOWN, b"0001"),
        (b"aGVsbG8", HEXADECIMAL, b"aGVsbG8"),
        (b"", DECIMAL, b""),
        (b"9" * 65, DECIMAL, b"9" * 65),
    ],
)
def test_an_id_of_a_known_base_has_one_spelling(message_id, base, canonical):
    assert canonical_id(message_id, base) == canonical


def test_with_both_bases_declared_a_receipt_has_one_candidate():
    assert candidate_ids([b"0000006699"], DECIMAL, HEXADECIMAL) == (canonical_id(b"1A2B", HEXADECIMAL),)


def test_ids_remembered_as_sent_are_looked_for_in_the_declared_base_alone():
    candidates = candidate_ids([b"0000006699"], DECIMAL, HEXADECIMAL, as_sent=True)
    assert candidates[:4] == (b"1a2b", b"1A2B", b"00001a2b", b"00001A2B")
    assert candidates[-1] == b"6699"
    assert {candidate.lower().lstrip(b"0") for candidate in candidates[:-1]} == {b"1a2b"}
    candidates = candidate_ids([b"6699"], DECIMAL, DECIMAL, as_sent=True)
    assert candidates[:2] == (b"6699", b"0000006699")
    assert {int(candidate) for candidate in candidates} == {6699}
    assert candidate_ids([b"x-1"], DECIMAL, HEXADECIMAL, as_sent=True) == (b"x-1",)


@pytest.mark.parametrize(
    ("received", "answered"),
    [
        (b"0000006699", b"1A2B"),
        (b"6699", b"1a2b"),
        (b"6699", b"00001A2B"),
        (b"1A2B", b"6699"),
        (b"1a2b", b"0000006699"),
        (b"0006699", b"6699"),
        (b"6699", b"0000006699"),
        (b"1A2B", b"1a2b"),
        (UUID.upper(), UUID),
        (UUID, UUID.upper()),
        *((spelt(UUID.replace(b"-", b"")), UUID) for spelt in (bytes.lower, bytes.upper)),
        *((UUID.replace(b"-", b"").lower(), spelt(UUID)) for spelt in (bytes.lower, bytes.upper)),
        *((spelt(UUID), UUID.replace(b"-", b"")) for spelt in (bytes.lower, bytes.upper)),
        *((UUID, spelt(UUID.replace(b"-", b""))) for spelt in (bytes.lower, bytes.upper)),
        (b"0B2E6A906C1D4F0A9B1C00000000AB01", b"0b2e6a906c1d4f0a9b1c00000000ab01"),
        (b"b2e6a906c1d4f0a9b1c00000000ab01", b"0B2E6A906C1D4F0A9B1C00000000AB01"),
        (b"00ab6a906c1d4f01ab", b"00AB6A906C1D4F01AB"),
        *((b"111326144", b"111326144".zfill(width)) for width in (11, 12, 16, 18, 20)),
        *((b"6A2B3C0", b"6A2B3C0".zfill(width)) for width in (10, 12, 16)),
        *((b"111326144", b"6A2B3C0".zfill(width)) for width in (8, 10, 12, 16)),
        (b"a_B-c", b"a_B-c"),
    ],
)
def test_undeclared_bases_are_tried(received, answered):
    assert answered in candidate_ids([received], UNKNOWN, UNKNOWN)


@pytest.mark.parametrize("received", [b"0000012345", b"1", b"ffffff", b"9" * 20, UUID, UUID.replace(b"-", b"")])
def test_the_spellings_to_be_tried_are_few(received):
    assert len(candidate_ids([received], UNKNOWN, UNKNOWN)) <= 25


def test_ids_of_twelve_digits_are_found_where_they_are_named_back_as_sent():
    assert b"000012345601" in candidate_ids([b"12345601"], DECIMAL, DECIMAL, as_sent=True)
    assert b"00000000ABCDEF01" in candidate_ids([b"2882400001"], DECIMAL, HEXADECIMAL, as_sent=True)


def test_the_same_spelling_is_tried_first_and_numbers_alike_before_the_other_base():
    candidates = candidate_ids([b"0010"], UNKNOWN, UNKNOWN)
    assert candidates[0] == b"0010"
    assert candidates.index(b"10") < candidates.index(b"a")


@pytest.mark.parametrize(
    "message_id", [b"aGVsbG8=", b"MSG-0001", b"x0001", b"ab_cd", b"12.34", UUID[:-1] + b"-", UUID[::-1]]
)
def test_an_id_that_is_no_number_is_only_itself(message_id):
    assert candidate_ids([message_id], UNKNOWN, UNKNOWN) == (message_id,)


def test_an_id_declared_as_text_is_only_itself():
    assert candidate_ids([b"0001"], TEXT, TEXT) == (b"0001",)
    assert candidate_ids([b"0001"], TEXT, UNKNOWN) == (b"0001",)
