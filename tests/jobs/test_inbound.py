"""SMS from phones (contract, section 2)."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.gsm import septets, udh
from heliograph.gsm.national import Language
from heliograph.gsm.udh import Concatenation, InformationElement
from heliograph.jobs.inbound import (
    Alphabet,
    BelongsTo,
    KeptPart,
    Redelivered,
    Wish,
    inbound_part,
    phone_number,
    place,
    text_of,
    wish_of,
)
from tests.fakes.builders import NOW, after, an_inbound_part


def a_part(user_data: bytes, alphabet=Alphabet.GSM, *elements, **more):
    header = udh.build(elements) if elements else b""
    return inbound_part(
        src="+491",
        dst="80100",
        user_data=header + user_data,
        alphabet=alphabet,
        received_at=NOW,
        **{"has_header": bool(elements), **more},
    )


# Reading


@pytest.mark.parametrize(
    ("user_data", "alphabet", "text"),
    [
        (b"10 \x1be for you \x00", Alphabet.GSM, "10 € for you @"),
        ("Grüße".encode("latin-1"), Alphabet.LATIN_1, "Grüße"),
        ("日本 👍".encode("utf-16-be"), Alphabet.UTF_16, "日本 👍"),
        ("\ufeffJa".encode("utf-16-be"), Alphabet.UTF_16, "Ja"),
        ("\ufeffJa".encode("utf-16-le"), Alphabet.UTF_16, "Ja"),
        ("Ja".encode("utf-16-be") + b"\x00", Alphabet.UTF_16, "Ja\ufffd"),
        (b"\xd8\x3d\x00a", Alphabet.UTF_16, "\ufffda"),
        ("Grüße 👍".encode(), Alphabet.OCTETS, "Grüße 👍"),
        (b"\xff\x00\x80", Alphabet.OCTETS, "ÿ\x00\x80"),
        ("СТОП".encode("iso8859-5"), Alphabet.CYRILLIC, "СТОП"),
        ("הסר".encode("iso8859-8"), Alphabet.HEBREW, "הסר"),
        ("停止".encode("shift-jis"), Alphabet.JAPANESE, "停止"),
        ("退会します".encode("euc-jp") + b"\xa1\xa3", Alphabet.JAPANESE, "退会します。"),
        ("수신거부".encode("euc-kr"), Alphabet.KOREAN, "수신거부"),
        (b"a\xff", Alphabet.KOREAN, "aÿ"),
        (b"", Alphabet.GSM, ""),
    ],
)
def test_octets_are_read_in_their_alphabet(user_data, alphabet, text):
    assert text_of([a_part(user_data, alphabet)]) == text


def test_shift_tables_are_those_that_the_header_names():  # TS 23.040, 9.2.3.24.15 and 9.2.3.24.16
    locking, single = InformationElement(0x25, b"\x01"), InformationElement(0x24, b"\x03")
    part = a_part(b"\x0c\x1b\x05", Alphabet.GSM, single, locking)
    assert (part.single, part.locking) == (Language.PORTUGUESE, Language.TURKISH)
    assert text_of([part]) == "ğê"
    assert text_of([a_part(b"\x0c", Alphabet.GSM, InformationElement(0x25, b"\x63"))]) == "ø"


@pytest.mark.parametrize("wide", [False, True])
def test_the_place_of_a_part_stands_in_its_header(wide):
    part = a_part(b"Hi", Alphabet.GSM, Concatenation(200, 3, 2, wide=wide).element())
    assert (part.reference, part.part, part.parts, part.octets) == (200, 2, 3, b"Hi")


def test_the_place_of_a_part_may_be_told_beside_its_text():
    part = a_part(b"Hi", concatenation=Concatenation(700, 3, 2, wide=True))
    assert part.thread[:2] == ("+491", "80100")
    assert (part.reference, part.part, part.parts) == (700, 2, 3)


def test_a_reference_of_8_bits_is_no_reference_of_16_bits():  # TS 23.040, 9.2.3.24.1 and 9.2.3.24.8
    narrow, wide = (a_part(b"Hi", Alphabet.GSM, Concatenation(5, 2, 1, wide=wide).element()) for wide in (False, True))
    other = a_part(b"Ho", Alphabet.GSM, Concatenation(5, 2, 2, wide=True).element())
    assert narrow.thread != wide.thread == other.thread


def test_ports_in_a_header_are_no_part_of_the_text():  # TS 23.040, 9.2.3.24.4
    assert text_of([a_part(b"Hi", Alphabet.LATIN_1, InformationElement(0x05, b"\x0b\x84\x23\xf0"))]) == "Hi"


@pytest.mark.parametrize(
    ("user_data", "alphabet", "text"),
    [
        (b"STOP", Alphabet.GSM, "STOP"),
        (b"Please call me back" * 6, Alphabet.GSM, "Please call me back" * 6),
        ("STOP".encode("utf-16-be"), Alphabet.UTF_16, "STOP"),
        ("СТОП".encode("utf-16-be"), Alphabet.UTF_16, "СТОП"),
        (b"\x05\x00\x03AB", Alphabet.GSM, "é@¥AB"),  # Cut off.
        (b"\x05\x00\x04\x01\x02\x01STOP", Alphabet.GSM, "STOP"),
        (b"\x00STOP", Alphabet.GSM, "STOP"),
    ],
)
def test_where_a_header_is_announced_and_none_can_be_read_no_text_is_lost(user_data, alphabet, text):
    assert text_of([a_part(user_data, alphabet, has_header=True)]) == text


def test_packed_septets_begin_after_the_fill_bits():
    header = udh.build([Concatenation(1, 2, 1).element()])
    packed = septets.pack(b"Hello", fill_bits=septets.fill_bits_after(len(header)))
    part = a_part(header + packed, has_header=True, packed=True)
    assert (part.octets, part.parts) == (b"Hello", 2)
    assert a_part(septets.pack(b"Hello"), packed=True).octets == b"Hello"


@given(st.binary(max_size=40), st.sampled_from(Alphabet), st.booleans(), st.booleans())
def test_whatever_comes_has_a_text(user_data, alphabet, has_header, packed):
    assert isinstance(text_of([a_part(user_data, alphabet, has_header=has_header, packed=packed)]), str)


# Putting together


def parts_of(*octets: bytes, alphabet=Alphabet.UTF_16):
    count = len(octets)
    return [a_part(each, alphabet, concatenation=Concatenation(1, count, n)) for n, each in enumerate(octets, 1)]


def test_parts_are_joined_in_their_order_whatever_that_of_their_coming():
    parts = [an_inbound_part(text, part=part, parts=3) for part, text in enumerate(("One ", "two ", "three"), 1)]
    assert {text_of(each) for each in permutations(parts)} == {"One two three"}


def test_a_character_cut_in_two_is_whole_again():
    smile = "🙂".encode("utf-16-be")
    assert text_of(parts_of(b"\x00a" + smile[:2], smile[2:] + b"\x00b")) == "a🙂b"
    assert text_of(parts_of(b"10\x1b", b"e", alphabet=Alphabet.GSM)) == "10€"


def test_each_part_is_read_in_its_own_alphabet():
    first, second = parts_of(b"\x00", b"\x00")[0], a_part(b"\x00", concatenation=Concatenation(1, 2, 2))
    assert text_of([second, first]) == "\ufffd@"


@pytest.mark.parametrize(
    ("came", "text"),
    [((1,), "1[…]"), ((3,), "[…]3[…]"), ((4,), "[…]4"), ((1, 4), "1[…]4"), ((1, 3), "1[…]3[…]"), ((2, 3, 4), "[…]234")],
)
def test_what_is_missing_is_marked(came, text):
    assert text_of(an_inbound_part(str(part), part=part, parts=4) for part in came) == text


def test_a_part_joins_the_newest_sms_that_lacks_it():
    kept = [
        KeptPart(1, False, an_inbound_part("a", part=1, parts=3)),
        KeptPart(2, False, an_inbound_part("b", part=1, parts=3)),
        KeptPart(2, False, an_inbound_part("c", part=2, parts=3)),
    ]
    assert place(an_inbound_part("d", part=3, parts=3), kept) == BelongsTo(2, complete=True)
    assert place(an_inbound_part("d", part=2, parts=3), kept) == BelongsTo(1, complete=False)
    assert place(an_inbound_part("d", part=1, parts=3), kept) == BelongsTo(None, complete=False)


def test_a_part_that_was_given_twice_is_known():
    part, later = an_inbound_part("a", part=1, parts=2), an_inbound_part("a", part=1, parts=2, at=after(3600))
    assert place(later, [KeptPart(1, False, part)]) == Redelivered()
    assert place(later, [KeptPart(1, True, part)]) == BelongsTo(None, complete=False)
    soon = an_inbound_part("a", part=1, parts=2, at=after(119))
    assert place(soon, [KeptPart(1, True, part)]) == Redelivered()


def test_an_sms_in_one_part_is_whole():
    assert place(an_inbound_part(), []) == BelongsTo(None, complete=True)


# STOP and START


@pytest.mark.parametrize(
    "text",
    [
        *("STOP", "stop", " Stop. ", "*STOP*", "»stop!!«\r\n", "STOP ALL", "stopall", "Unsubscribe", "cancel", "END"),
        *("quit", "Opt-out", "ARRÊT", "arret", "Stopp", "abmelden", "baja", "SAIR", "afmelden", "стоп", "ΣΤΟΠ", "停止"),
        *("ΣTOΠ", "στοπ", "ΔIAKOΠH", "Διακοπή"),  # The first and the third in the characters of the default alphabet.
        *("odhlásit", "İPTAL", "ｓｔｏｐ", "إيقاف", "PARE", "Detener", "zastaviť", "Zastavit"),
        *("stop 80100", "STOP: 36 180", "Stop +49 157 35982222"),
    ],
)
def test_stop_and_its_kin_mean_stop(text):
    assert wish_of(text) is Wish.STOP


@pytest.mark.parametrize("text", ["START", "start!", "Unstop", "subscribe", "opt in", "Anmelden"])
def test_start_and_its_kin_mean_start(text):
    assert wish_of(text) is Wish.START


@pytest.mark.parametrize(
    "text",
    [
        *("", "  ", "Stop it", "don't stop", "stopp!s", "Yes", "restart", "STOP " * 20, "🛑"),
        *("80100 stop", "stop at 5", "80100", "cancel 4711", "end 5", "start 80100", "Stop 5 now", "nonstop 5"),
    ],
)
def test_whatever_else_is_said_means_neither(text):
    assert wish_of(text) is None


# Numbers


@pytest.mark.parametrize(
    ("address", "number"),
    [
        ("+4917612345678", "+4917612345678"),
        ("4917612345678", "+4917612345678"),
        ("004917612345678", "+4917612345678"),
        ("+49 (0)176", "+49 (0)176"),
        ("80100", "80100"),
        ("12345678", "12345678"),
        ("Helio", "Helio"),
        ("", ""),
        ("+", "+"),
        ("+999999999999", "+999999999999"),
    ],
)
def test_an_address_is_a_number_where_it_can_be_one(address, number):
    assert phone_number(address) == number


@pytest.mark.parametrize(
    ("address", "country", "national", "number"),
    [
        ("017612370880", "DE", True, "+4917612370880"),
        ("17612370880", "DE", True, "+4917612370880"),
        ("017612370880", "DE", False, "+4917612370880"),
        ("4917612370880", "DE", True, "+4917612370880"),
        ("004917612370880", "DE", True, "+4917612370880"),
        ("+4917612370880", "US", True, "+4917612370880"),
        ("2125551234", "US", True, "+12125551234"),
        ("51234567", "DK", True, "+4551234567"),
        ("6142345678", "DE", True, "+496142345678"),  # of Rüsselsheim, and not of Australia
        ("07700900123", "GB", True, "+447700900123"),
        ("017612370880", None, False, "017612370880"),
        ("017612370880", None, True, "017612370880"),
        ("3105551234", None, True, "3105551234"),
        ("6142345678", None, True, "6142345678"),
        ("3105551234", "FR", True, "3105551234"),
        ("80100", "DE", True, "80100"),
        ("080100", "DE", False, "080100"),
        ("Helio", "DE", True, "Helio"),
    ],
)
def test_a_national_address_is_read_in_its_country_and_never_as_another_s(address, country, national, number):
    assert phone_number(address, country, national=national) == number


@given(st.text("0123456789", min_size=1, max_size=15), st.sampled_from(["DE", "GB", "US", "IT", "BR", "DK", None]))
def test_no_national_address_becomes_another_country_s(address, country):
    number = phone_number(address, country, national=True)
    codes = {"DE": "+49", "GB": "+44", "US": "+1", "IT": "+39", "BR": "+55", "DK": "+45", None: "-"}
    assert number == address or address.startswith("00") or number.startswith(codes[country])
