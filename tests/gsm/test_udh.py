"""3GPP TS 23.040, 9.2.3.24."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.gsm.udh import (
    Concatenation,
    InformationElement,
    MalformedHeader,
    build,
    concatenation,
    parse,
)

elements = st.lists(st.builds(InformationElement, st.integers(0, 255), st.binary(max_size=20)), max_size=10)


@st.composite
def concatenations(draw):
    wide = draw(st.booleans())
    part_count = draw(st.integers(1, 255))
    part_number = draw(st.integers(1, part_count))
    return Concatenation(draw(st.integers(0, 0xFFFF if wide else 0xFF)), part_count, part_number, wide)


def test_concatenation_with_an_8_bit_reference():  # 9.2.3.24.1
    header = build([Concatenation(0xA5, part_count=3, part_number=1).element()])
    assert header == bytes.fromhex("05 00 03 A5 03 01")


def test_concatenation_with_a_16_bit_reference():  # 9.2.3.24.8
    header = build([Concatenation(0xA55A, part_count=3, part_number=2, wide=True).element()])
    assert header == bytes.fromhex("06 08 04 A55A 03 02")


@pytest.mark.parametrize(
    ("reference", "part_count", "part_number", "wide"),
    [
        (256, 2, 1, False),
        (65536, 2, 1, True),
        (-1, 2, 1, False),
        (1, 2, 0, False),
        (1, 2, 3, True),
        (1, 256, 1, True),
    ],
)
def test_an_impossible_concatenation_cannot_be_built(reference, part_count, part_number, wide):
    with pytest.raises(ValueError):
        Concatenation(reference, part_count, part_number, wide)


@given(concatenations(), st.binary())
def test_parsing_undoes_building(part, text):
    found, rest = parse(build([part.element()]) + text)
    assert (concatenation(found), rest) == (part, text)


@given(elements, st.binary())
def test_unknown_elements_are_kept(several, text):
    assert parse(build(several) + text) == (tuple(several), text)


def test_of_several_concatenation_elements_the_last_one_counts():  # 9.2.3.24
    narrow, wide = Concatenation(1, 2, 1), Concatenation(2, 2, 2, wide=True)
    assert concatenation([narrow.element(), wide.element()]) == wide
    assert concatenation([wide.element(), narrow.element()]) == narrow


@pytest.mark.parametrize("data", [b"\x01\x00\x00", b"\x01\x02\x00", b"\x01\x02\x03"])
def test_a_part_number_of_zero_or_over_the_count_is_ignored(data):  # 9.2.3.24.1
    assert concatenation([InformationElement(0x00, data)]) is None


def test_without_a_concatenation_element_there_is_no_concatenation():
    assert concatenation([InformationElement(0x24, b"\x01")]) is None


@pytest.mark.parametrize(
    ("header", "complaint"),
    [
        ("", "no octets"),
        ("05 00 03 01 02", "header of 6 octets in user data of 5"),
        ("05 00 04 01 02 01", "element at octet 1"),
        ("01 00", "element at octet 1"),
    ],
)
def test_lengths_that_do_not_add_up_are_malformed(header, complaint):  # 9.2.3.24
    with pytest.raises(MalformedHeader, match=complaint):
        parse(bytes.fromhex(header))


def test_a_concatenation_element_of_the_wrong_length_is_malformed():
    with pytest.raises(MalformedHeader, match="0x08 has 3 octets, not 4"):
        concatenation([InformationElement(0x08, b"\x01\x02\x01")])


@given(st.binary())
def test_any_octets_parse_or_are_malformed(octets):
    try:
        found, rest = parse(octets)
        concatenation(found)
    except MalformedHeader:
        return
    assert build(found) + rest == octets
