"""3GPP TS 23.038, 6.2.1 (default alphabet) and 6.2.1.1 (extension table)."""

import sys
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.gsm.alphabet import (
    CARRIABLE,
    UncarriableCharacter,
    decode,
    encode,
    is_gsm,
    septet_count,
)

gsm_texts = st.text(st.sampled_from(sorted(CARRIABLE)))


def test_the_default_alphabet_has_127_characters_and_an_escape():  # 6.2.1
    alphabet = decode(bytes(code for code in range(0x80) if code != 0x1B))
    assert len(set(alphabet)) == 127
    assert encode(alphabet) == bytes(code for code in range(0x80) if code != 0x1B)


@pytest.mark.parametrize(
    ("character", "code"),
    [
        ("@", 0x00),
        ("$", 0x02),
        ("Ç", 0x09),
        ("\n", 0x0A),
        ("\r", 0x0D),
        ("Δ", 0x10),
        ("_", 0x11),
        ("Ξ", 0x1A),
        ("É", 0x1F),
        ("¤", 0x24),
        ("¡", 0x40),
        ("§", 0x5F),
        ("¿", 0x60),
        ("à", 0x7F),
    ],
)
def test_characters_that_are_not_where_ascii_has_them(character, code):  # 6.2.1
    assert encode(character) == bytes([code])


@pytest.mark.parametrize(
    ("character", "code"),
    [
        ("\f", 0x0A),
        ("^", 0x14),
        ("{", 0x28),
        ("}", 0x29),
        ("\\", 0x2F),
        ("[", 0x3C),
        ("~", 0x3D),
        ("]", 0x3E),
        ("|", 0x40),
        ("€", 0x65),
    ],
)
def test_a_character_of_the_extension_table_is_an_escape_and_its_code(character, code):  # 6.2.1.1
    assert encode(character) == bytes([0x1B, code])
    assert decode(bytes([0x1B, code])) == character
    assert septet_count(character) == 2


@given(gsm_texts)
def test_decoding_undoes_encoding(text):
    assert decode(encode(text)) == text


@pytest.mark.parametrize("character", ["\x1b", "`", "ç", "\t", "日", "😀", "\ud800"])
def test_the_first_character_that_cannot_be_carried_is_named_with_its_position(character):
    with pytest.raises(UncarriableCharacter, match=rf"U\+{ord(character):04X} at position 2") as refusal:
        encode(f"€a{character}日")
    assert (refusal.value.character, refusal.value.position) == (character, 2)


def test_every_code_point_is_either_carried_or_refused():
    for character in map(chr, range(sys.maxunicode + 1)):
        if is_gsm(character):
            assert decode(encode(character)) == character
        else:
            with suppress(UncarriableCharacter):
                pytest.fail(f"{encode(character)} for U+{ord(character):04X}")


def test_137_characters_are_carried():
    assert sum(is_gsm(chr(code_point)) for code_point in range(sys.maxunicode + 1)) == len(CARRIABLE) == 137


def test_an_unknown_code_after_an_escape_is_that_of_the_default_alphabet():  # 6.2.1.1
    assert decode(b"\x1bA\x1b\x0d") == "A\r"


def test_an_escape_to_a_further_table_shows_as_a_space():  # 6.2.1.1, note 1
    assert decode(b"a\x1b\x1be") == "a e"


def test_an_escape_with_nothing_after_it_shows_as_a_space():
    assert decode(b"a\x1b") == "a "


@given(st.binary())
def test_octets_decode_unless_one_is_no_septet(octets):
    if max(octets, default=0) > 0x7F:
        with pytest.raises(ValueError):
            decode(octets)
    else:
        assert is_gsm(decode(octets))
