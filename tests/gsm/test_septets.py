"""3GPP TS 23.038, 6.1.2.1 and 6.1.2.3.1."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.gsm.septets import fill_bits_after, pack, unpack

septet_strings = st.binary().map(lambda octets: bytes(octet & 0x7F for octet in octets))
fills = st.integers(0, 6)


def test_septets_fill_octets_from_the_lowest_bit():  # 6.1.2.1.1
    assert pack(b"hellohello") == bytes.fromhex("E8 32 9B FD 46 97 D9 EC 37")


def test_160_septets_are_140_octets():  # 6.1.2.1.1
    assert len(pack(b"a" * 160)) == 140


def test_after_the_header_of_a_concatenated_part_one_fill_bit_and_153_septets_make_140_octets():
    # 3GPP TS 23.040, 9.2.3.24
    assert fill_bits_after(6) == 1
    assert 6 + len(pack(b"a" * 153, fill_bits=1)) == 140


@pytest.mark.parametrize(("header_octets", "fill_bits"), [(0, 0), (1, 6), (6, 1), (7, 0), (8, 6)])
def test_fill_bits_reach_the_next_septet_boundary(header_octets, fill_bits):  # 3GPP TS 23.040, 9.2.3.24
    assert fill_bits_after(header_octets) == fill_bits


def test_fill_bits_are_zeros_before_the_first_septet():
    assert pack(b"\x7f", fill_bits=1) == b"\xfe"
    assert unpack(b"\xfe", 1, fill_bits=1) == b"\x7f"


@given(septet_strings, fills)
def test_unpacking_undoes_packing(septets, fill_bits):
    assert unpack(pack(septets, fill_bits=fill_bits), len(septets), fill_bits=fill_bits) == septets


def test_seven_spare_bits_are_a_carriage_return():  # 6.1.2.3.1
    assert pack(b"abcdefg", cr_padding=True) == pack(b"abcdefg\r")
    assert unpack(pack(b"abcdefg", cr_padding=True)) == b"abcdefg"


def test_a_carriage_return_that_would_pass_for_padding_is_doubled():  # 6.1.2.3.1
    assert pack(b"abcdefg\r", cr_padding=True) == pack(b"abcdefg\r\r")
    assert unpack(pack(b"abcdefg\r", cr_padding=True)) == b"abcdefg\r\r"  # To the reader the same as one.


def test_fewer_spare_bits_stay_zero():  # 6.1.2.3.1
    assert pack(b"abcdef\r", cr_padding=True) != pack(b"abcdef\r")
    assert pack(b"abcdef", cr_padding=True) == pack(b"abcdef")


@given(septet_strings, fills)
def test_with_padding_the_octets_alone_tell_the_septets(septets, fill_bits):  # 6.1.2.3.1
    unpacked = unpack(pack(septets, fill_bits=fill_bits, cr_padding=True), fill_bits=fill_bits)
    assert unpacked in {septets, septets + b"\r"}
    assert unpacked == septets or septets.endswith(b"\r")


def test_fewer_octets_than_the_count_promises_are_an_error():
    with pytest.raises(ValueError, match="7 octets hold 8 septets, not 9"):
        unpack(bytes(7), 9)


def test_an_octet_over_7f_is_no_septet():
    with pytest.raises(ValueError, match="no septet"):
        pack(b"\x80")


@given(st.binary(), fills)
def test_any_octets_unpack(octets, fill_bits):
    assert unpack(octets, fill_bits=fill_bits).isascii()
