"""SMPP 3.4, 4.4.1 and 5.2; 3GPP TS 23.038, 4; 3GPP TS 23.040, 9.2.3.24; smpp.md, 2.2. The octets are in golden.py."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.gsm import septets
from heliograph.gsm.alphabet import CARRIABLE, encode
from heliograph.gsm.segmentation import Encoding
from heliograph.gsm.udh import concatenation, parse
from heliograph.smpp.fields import Tag, find
from heliograph.smpp.pdus import BindReceiver, BindTransceiver, BindTransmitter, SubmitSm
from heliograph.smpp.pdus import encode as encode_pdu
from heliograph.smpp.profiles import (
    Alphabet,
    Concatenation,
    Expired,
    FlashCoding,
    NumberType,
    Profile,
    Unsendable,
    ValidityFormat,
    answered_id,
    bind_request,
    concession,
    receipted_ids,
    submission,
)
from heliograph.smpp.receipts import Evidence, IdBase, MessageState, Receipt
from heliograph.smpp.statuses import CommandStatus
from tests.smpp.golden import CYRILLIC, EURO, FACE, GOLDEN, NOW, UTF_16, a_part, built, parts_of, text_of

DEFAULT = Profile()


def build(profile=DEFAULT, **part):
    return submission(profile, a_part(**part), NOW)


def lengths(name):
    return [len(pdu.short_message) for pdu in GOLDEN[name]]


# ---- parts


def test_what_fits_one_sms_goes_as_one_without_a_header():  # TS 23.040, 9.2.3.24.1
    assert lengths("160-characters") == [160]
    assert lengths("utf-16-70-units") == [140]
    assert [pdu.esm_class for pdu in GOLDEN["160-characters"]] == [0]


def test_what_does_not_fit_is_joined_by_a_header():  # TS 23.040, 9.2.3.24.1; esm_class: 5.2.12
    assert lengths("161-characters") == [6 + 153, 6 + 8]
    assert lengths("307-characters") == [6 + 153, 6 + 153, 6 + 1]
    assert lengths("utf-16-71-units") == [6 + 134, 6 + 8]
    assert [pdu.short_message[:6] for pdu in GOLDEN["161-characters"]] == [
        bytes.fromhex("05 00 03 A2 02 01"),
        bytes.fromhex("05 00 03 A2 02 02"),
    ]
    assert {pdu.esm_class for pdu in GOLDEN["161-characters"]} == {0x40}


def test_a_pair_at_the_border_stays_whole():  # TS 23.040, 9.2.3.24.1
    first, second = GOLDEN["extension-pair-at-the-border"]
    assert (len(first.short_message), second.short_message[6:8]) == (6 + 152, b"\x1be")
    first, second = GOLDEN["emoji-at-the-border"]
    assert (len(first.short_message), second.short_message[6:10]) == (6 + 132, FACE.encode("utf-16-be"))


def test_20_parts_have_one_reference_and_their_places():
    headers = [concatenation(parse(pdu.short_message)[0]) for pdu in GOLDEN["20-parts"]]
    assert [(h.reference, h.part_count, h.part_number) for h in headers] == [(0xA2, 20, n) for n in range(1, 21)]


@pytest.mark.parametrize("recipient_count", [64, 100, 128, 256, 500, 512, 768, 1000, 1024, 1500, 2048])
def test_a_second_long_message_to_as_many_recipients_has_another_reference_on_each_phone(recipient_count):
    for number in range(1, 200):
        references = [
            build(text="Hello", part=1, parts=2, reference=number + place * recipient_count & 0xFFFF).short_message[3]
            for place in range(2)
        ]
        assert references[0] != references[1]


def test_parameters_join_without_a_header():  # 5.3.2.22 to 5.3.2.24
    for number, pdu in enumerate(GOLDEN["concatenation-sar"], start=1):
        assert pdu.esm_class == 0
        assert find(pdu.tlvs, Tag.SAR_MSG_REF_NUM).value == b"\xa5\x5a"
        assert find(pdu.tlvs, Tag.SAR_TOTAL_SEGMENTS).value == b"\x02"
        assert find(pdu.tlvs, Tag.SAR_SEGMENT_SEQNUM).number == number


def test_a_payload_leaves_the_short_message_empty():  # 4.4.1: never both
    (pdu,) = GOLDEN["concatenation-payload"]
    assert pdu.short_message == b""
    assert len(find(pdu.tlvs, Tag.MESSAGE_PAYLOAD).value) == 400


def test_a_short_text_needs_no_payload():
    pdu = build(Profile(concatenation=Concatenation.PAYLOAD))
    assert (pdu.short_message, pdu.tlvs) == (b"Hello", ())


def test_what_is_cut_already_is_joined_by_parameters_beside_the_payload():
    for pdu in built(parts_of(text_of(161)), Profile(concatenation=Concatenation.PAYLOAD)):
        assert pdu.short_message == b""
        assert {tlv.tag for tlv in pdu.tlvs} == {0x20C, 0x20E, 0x20F, 0x424}


@pytest.mark.parametrize(("length", "fits"), [(152, True), (153, False)])
def test_a_reference_of_16_bits_takes_a_septet_more(length, fits):  # TS 23.040, 9.2.3.24.8
    pdu = build(Profile(concatenation=Concatenation.UDH_16), text=text_of(length), parts=2)
    assert isinstance(pdu, SubmitSm) == fits


@pytest.mark.parametrize(
    "part",
    [
        {"text": text_of(161)},
        {"text": text_of(154), "parts": 2},
        {"text": text_of(71, CYRILLIC), "encoding": UTF_16},
        {"text": text_of(68, CYRILLIC), "encoding": UTF_16, "parts": 2},
    ],
)
@pytest.mark.parametrize("method", [Concatenation.UDH_8, Concatenation.SAR])
def test_what_is_longer_than_an_sms_is_never_sent(part, method):
    assert build(Profile(concatenation=method), **part).status is CommandStatus.ESME_RINVMSGLEN


# ---- alphabets, 5.2.19


def test_the_at_sign_is_0_and_ends_nothing():
    (pdu,) = GOLDEN["at-signs"]
    assert pdu.short_message == b"\0 a\0b.c \0"


@pytest.mark.parametrize(
    ("profile", "encoding", "data_coding"),
    [
        (DEFAULT, Encoding.STANDARD, 0x10),
        (DEFAULT, Encoding.UTF_16, 0x18),
        (Profile(flash=FlashCoding.F0), Encoding.STANDARD, 0xF0),
        (Profile(flash=FlashCoding.F0), Encoding.UTF_16, 0x18),
        (Profile(flash=FlashCoding.NONE), Encoding.STANDARD, 0),
        (Profile(flash=FlashCoding.NONE), Encoding.UTF_16, 8),
    ],
)
def test_flash_is_message_class_0(profile, encoding, data_coding):  # TS 23.038, 4
    pdu = build(profile, flash=True, encoding=encoding)
    assert (pdu.data_coding, pdu.tlvs) == (data_coding, ())


def test_flash_by_subunit_leaves_the_coding():  # 5.3.2.1
    pdu = build(Profile(flash=FlashCoding.SUBUNIT), flash=True)
    assert (pdu.data_coding, find(pdu.tlvs, Tag.DEST_ADDR_SUBUNIT).number) == (0, 1)
    assert build(Profile(flash=FlashCoding.SUBUNIT)).tlvs == ()


def test_flash_with_a_class_is_gsm_whatever_0_means():  # TS 23.038, 4
    assert build(Profile(alphabet=Alphabet.LATIN_1), text="@", flash=True).short_message == b"\0"


@pytest.mark.parametrize(
    ("alphabet", "octets"), [(Alphabet.GSM, b"\0\x02"), (Alphabet.LATIN_1, b"@$"), (Alphabet.ASCII, b"@$")]
)
def test_data_coding_0_means_what_the_profile_says(alphabet, octets):
    assert build(Profile(alphabet=alphabet), text="@$").short_message == octets


def test_what_the_carriers_alphabet_lacks_goes_as_ucs_2_where_there_is_room():
    pdu = build(Profile(alphabet=Alphabet.LATIN_1), text=f"5 {EURO}")
    assert (pdu.data_coding, pdu.short_message) == (8, f"5 {EURO}".encode("utf-16-be"))


@pytest.mark.parametrize("part", [{"text": text_of(70) + EURO}, {"text": EURO, "parts": 2}])
def test_and_is_not_sent_where_there_is_none(part):
    assert build(Profile(alphabet=Alphabet.LATIN_1), **part).status is CommandStatus.ESME_RINVDCS


# A carriage return at the end may be padding, so none is in these texts.
@given(st.text(st.sampled_from(sorted(CARRIABLE - {"\r"})), max_size=76), st.booleans())
def test_packed_septets_are_those_of_the_air(text, joined):  # TS 23.038, 6.1.2.1 and 6.1.2.3.1
    data = build(Profile(alphabet=Alphabet.GSM_PACKED), text=text, parts=2 if joined else 1).short_message
    header_octets = 6 if joined else 0
    fill_bits = septets.fill_bits_after(header_octets)
    assert data[header_octets:] == septets.pack(encode(text), fill_bits=fill_bits, cr_padding=True)
    assert septets.unpack(data[header_octets:], len(encode(text)), fill_bits=fill_bits) == encode(text)


# ---- senders and recipients, 5.2.5 to 5.2.9


@pytest.mark.parametrize(
    ("src", "ton", "npi", "address"),
    [
        ("heliograph", 5, 0, b"heliograph"),
        ("4-You @ 24h", 5, 0, b"4-You @ 24h"),
        ("+4961511234567", 1, 1, b"4961511234567"),
        ("004961511234567", 1, 1, b"4961511234567"),
        ("4961511234567", 1, 1, b"4961511234567"),
        ("061511234567", 2, 1, b"061511234567"),
        ("12345", 3, 0, b"12345"),
        ("0012", 3, 0, b"0012"),
        ("", 0, 0, b""),
    ],
)
def test_senders(src, ton, npi, address):
    pdu = build(src=src)
    assert (pdu.source_addr_ton, pdu.source_addr_npi, pdu.source_addr) == (ton, npi, address)


def test_an_smsc_may_want_short_codes_as_it_likes():
    pdu = build(Profile(short_code=NumberType(ton=0, npi=1), short_code_digits=5), src="12345")
    assert (pdu.source_addr_ton, pdu.source_addr_npi) == (0, 1)


@pytest.mark.parametrize("src", ["Grüße", "日本", "a`b", "abcdefghijkl", "[abcdefghi]", "a\0b", "1" * 21])
def test_a_sender_that_no_phone_shows_is_not_sent(src):  # as if ESME_RINVSRCADR
    assert build(src=src).status is CommandStatus.ESME_RINVSRCADR


@given(st.text(max_size=12))
def test_letters_never_go_as_an_international_number(src):
    pdu = build(src=src)
    assert isinstance(pdu, Unsendable) or pdu.source_addr_ton != 1 or pdu.source_addr.isdigit()


def test_a_profile_cannot_say_that_letters_are_an_international_number():
    with pytest.raises(ValueError, match="TON 1"):
        Profile(alphanumeric=NumberType(ton=1, npi=1))


def test_recipients_are_international_without_plus():
    pdu = build(dst="+4917612345678")
    assert (pdu.dest_addr_ton, pdu.dest_addr_npi, pdu.destination_addr) == (1, 1, b"4917612345678")


# ---- validity, priority, receipts


@pytest.mark.parametrize(
    ("form", "encoded"),
    [
        (ValidityFormat.RELATIVE, b"000000010000000R"),
        (ValidityFormat.ABSOLUTE, b"260131130000000+"),
        (ValidityFormat.NONE, b""),
    ],
)
def test_validity(form, encoded):  # 5.2.16, 7.1.1
    assert build(Profile(validity=form), remaining=timedelta(hours=1)).validity_period == encoded


def test_without_a_validity_the_smsc_has_its_own():
    assert build(remaining=None).validity_period == b""


@pytest.mark.parametrize(("seconds", "expired"), [(60, False), (59, True), (-1, True)])
def test_less_than_a_minute_is_too_late(seconds, expired):
    assert isinstance(build(remaining=timedelta(seconds=seconds)), Expired) == expired


def test_priority():  # 5.2.14
    assert build().priority_flag == 0
    assert build(express=True).priority_flag == 1
    assert build(Profile(express_priority=3), express=True).priority_flag == 3


@pytest.mark.parametrize("name", ["normal_priority", "express_priority", "esm_class"])
def test_a_profile_cannot_go_beyond_two_bits(name):  # 5.2.14, 5.2.12
    with pytest.raises(ValueError, match=name):
        Profile(**{name: 4})


def test_receipts_are_asked_for_of_every_part():  # 5.2.17
    assert [pdu.registered_delivery for pdu in GOLDEN["concatenation-udh16"]] == [1, 1]
    assert build().registered_delivery == 0


def test_a_message_never_replaces_another_nor_waits_at_the_smsc():  # 5.2.18, 4.4.1
    pdu = build()
    assert (pdu.replace_if_present_flag, pdu.schedule_delivery_time) == (0, b"")


@pytest.mark.parametrize(
    ("status", "before", "after"),
    [
        (CommandStatus.ESME_RINVPRTFLG, {"priority_flag": 1}, {}),
        (CommandStatus.ESME_RINVEXPIRY, {"validity_period": b"000000010000000R"}, {}),
        (CommandStatus.ESME_RINVDCS, {"data_coding": 0x10}, {"data_coding": 0xF0}),
        (CommandStatus.ESME_RINVDCS, {"data_coding": 0xF0}, {"data_coding": 0x10}),
        (CommandStatus.ESME_RINVDCS, {"data_coding": 0x18}, {"data_coding": 8}),
    ],
)
def test_what_the_smsc_does_not_take_is_left_out(status, before, after):  # smpp.md, 2.5
    assert concession(status, SubmitSm(**before)) == SubmitSm(**after)


@pytest.mark.parametrize("status", CommandStatus)
def test_where_nothing_can_be_left_out_there_is_no_second_try(status):
    assert concession(status, SubmitSm()) is None


# ---- answers and receipts


@pytest.mark.parametrize(
    ("answered_base", "receipt_base", "answered", "received"),
    [
        (IdBase.HEXADECIMAL, IdBase.DECIMAL, b"00001A2B", b"0000006699"),
        (IdBase.DECIMAL, IdBase.DECIMAL, b"6699", b"0000006699"),
        (IdBase.TEXT, IdBase.TEXT, b"0010", b"0010"),
        (IdBase.HEXADECIMAL, IdBase.UNKNOWN, b"1A2B", b"6699"),
        (IdBase.UNKNOWN, IdBase.DECIMAL, b"1a2b", b"6699"),
        (IdBase.UNKNOWN, IdBase.UNKNOWN, b"00001A2B", b"0000006699"),
        (IdBase.UNKNOWN, IdBase.TEXT, b"msg_1", b"msg_1"),
    ],
)
def test_a_receipt_finds_the_answer_it_belongs_to(answered_base, receipt_base, answered, received):
    profile = Profile(answered_ids=answered_base, receipt_ids=receipt_base)
    receipt = Receipt((received,), MessageState.DELIVERED, Evidence.ESM_CLASS)
    assert answered_id(profile, answered) in receipted_ids(profile, receipt)


def test_with_both_bases_declared_only_the_right_one_is_looked_for():
    profile = Profile(answered_ids=IdBase.DECIMAL, receipt_ids=IdBase.DECIMAL)
    receipt = Receipt((b"0010",), MessageState.DELIVERED, Evidence.ESM_CLASS)
    assert receipted_ids(profile, receipt) == (b"10",)


# ---- binds, 4.1.1


def test_a_bind_says_who_we_are():
    pdu = bind_request(DEFAULT, BindTransceiver, system_id="helio", password="secret08")
    assert pdu == BindTransceiver(b"helio", b"secret08", interface_version=0x34)
    assert type(bind_request(DEFAULT, BindReceiver, system_id="helio", password="")) is BindReceiver


@pytest.mark.parametrize("mode", [BindTransceiver, BindTransmitter, BindReceiver])
def test_a_bind_says_for_which_addresses_it_is(mode):  # 5.2.7
    profile = Profile(address_type=NumberType(ton=1, npi=9), address_range="^49")
    pdu = bind_request(profile, mode, system_id="helio", password="")
    assert (type(pdu), pdu.addr_ton, pdu.addr_npi, pdu.address_range) == (mode, 1, 9, b"^49")


@pytest.mark.parametrize("address_range", ["4" * 41, "4é", "4\0"])
def test_an_address_range_that_does_not_fit_is_refused(address_range):
    with pytest.raises(ValueError, match="address_range"):
        Profile(address_range=address_range)


@pytest.mark.parametrize(
    ("name", "value"),
    [("system_id", "x" * 16), ("password", "secret009"), ("system_type", "x" * 13), ("password", "ü")],
)
def test_credentials_that_do_not_fit_are_refused(name, value):
    with pytest.raises(ValueError, match=name):
        bind_request(DEFAULT, BindTransceiver, **{"system_id": "", "password": "", name: value})


def test_an_smsc_may_take_longer_passwords():
    profile = Profile(longest_password=20)
    assert bind_request(profile, BindTransceiver, system_id="", password="x" * 20).password == b"x" * 20


@given(
    st.sampled_from(Alphabet),
    st.sampled_from(Concatenation),
    st.sampled_from(FlashCoding),
    st.booleans(),
    st.text(st.sampled_from("aB@€[é😀Δ"), max_size=200),
)
def test_every_part_is_encodable_or_said_not_to_be(alphabet, method, flash_coding, flash, text):
    encoding = Encoding.UTF_16 if FACE in text else Encoding.STANDARD
    profile = Profile(alphabet=alphabet, concatenation=method, flash=flash_coding)
    for part in parts_of(text, encoding, flash=flash):
        pdu = submission(profile, part, NOW)
        if isinstance(pdu, SubmitSm):
            encode_pdu(pdu, 1)
            assert not pdu.short_message or find(pdu.tlvs, Tag.MESSAGE_PAYLOAD) is None
