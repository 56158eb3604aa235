"""Contract, section 1, `options.invalidCharacters`."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.gsm.alphabet import CARRIABLE, is_gsm
from heliograph.gsm.segmentation import Encoding
from heliograph.gsm.transliteration import (
    Carried,
    InvalidCharacters,
    Occurrences,
    Refused,
    Replacement,
    carry,
    look_alike,
)

STANDARD, UTF_16 = Encoding.STANDARD, Encoding.UTF_16
REFUSE, REPLACE = InvalidCharacters.REFUSE, InvalidCharacters.REPLACE
TO_UTF16, TRANSLITERATE = InvalidCharacters.TO_UTF16, InvalidCharacters.TRANSLITERATE

policies = st.sampled_from(InvalidCharacters)
gsm_texts = st.text(st.sampled_from(sorted(CARRIABLE)))
texts = st.text(st.one_of(st.characters(), st.sampled_from("aäë€日\u0308\u200d😀")))


def transliterated(text):
    return carry(text, STANDARD, TRANSLITERATE).text


@given(gsm_texts, policies)
def test_what_the_alphabet_has_is_never_replaced(text, policy):
    assert carry(text, STANDARD, policy) == Carried(text, STANDARD, replaced=())


@given(texts, policies)
def test_a_text_in_utf_16_stays_as_it_is(text, policy):
    assert carry(text, UTF_16, policy) == Carried(text, UTF_16, replaced=())


def test_refusing_names_each_character_and_all_its_positions():
    assert carry("日ë日€", STANDARD, REFUSE) == Refused((Occurrences("日", (0, 2)), Occurrences("ë", (1,))))


def test_replacing_puts_a_blank_for_each_character():
    assert carry("日ë日€", STANDARD, REPLACE) == Carried(
        "   €", STANDARD, (Replacement("日", " ", (0, 2)), Replacement("ë", " ", (1,)))
    )


@pytest.mark.parametrize(("text", "blanks"), [("\x1b", 1), ("\u00a0", 1), ("😀", 1), ("❤️", 2), ("👨‍👩‍👧", 5)])
def test_a_blank_stands_for_a_code_point(text, blanks):
    assert carry(text, STANDARD, REPLACE).text == " " * blanks
    assert carry(text, STANDARD, TRANSLITERATE).text == " " * blanks


def test_a_text_that_needs_it_goes_as_utf_16_unchanged():
    assert carry("日ë", STANDARD, TO_UTF16) == Carried("日ë", UTF_16, replaced=())


def test_transliterating_tells_what_became_of_which_character():
    assert carry("“ë” ë日", STANDARD, TRANSLITERATE) == Carried(
        '"e" e ',
        STANDARD,
        (
            Replacement("“", '"', (0,)),
            Replacement("ë", "e", (1, 4)),
            Replacement("”", '"', (2,)),
            Replacement("日", " ", (5,)),
        ),
    )


@pytest.mark.parametrize(
    ("text", "alike"),
    [
        # Latin letters
        ("ëçłőşÿ", "eclosy"),
        ("œĳŉþ", "oeij'nth"),
        ("ǖ ǟ ǿ Ḉ", "ü ä ø Ç"),  # one accent less is enough
        ("ẞ", "ß"),
        ("ﬁ Ａ 𝐀 ª ℓ", "fi A A a l"),
        # Cyrillic letters
        ("Привет, ёлка", "Privet, elka"),
        ("щ й ї", "shch y i"),
        # Greek letters, as Greek phones have always shown them
        ("Καλημέρα", "KAΛHMEPA"),
        ("Δημήτρης Ω", "ΔHMHTPHΣ Ω"),
        ("α ς ΐ ᾳ ϑ", "A Σ I AI Θ"),
        # punctuation
        ("“a” „b‟ ‘c’ ‚d‛", "\"a\" \"b\" 'c' 'd'"),
        ("«a» ‹b›", "<<a>> <b>"),
        ("- – — − ‑", "- - - - -"),
        ("… • † ′ ` ´", "... * + ' ' '"),
        ("、。「」،؟", ",.[],?"),
        # symbols and numerals
        ("№ ™ © ® ° ← → × ÷", "No TM (C) (R) deg < > x /"),
        ("≠ ≤ ± ∑ ∆", "!= <= +- Σ Δ"),
        ("₽ ₹ ¢ ₼", "Rb Rs c Manat"),
        ("² ½ ① Ⅷ ５", "2 1/2 1 VIII 5"),
        ("\u2126 \u212b \u00b5", "Ω Å u"),  # ohm, angstrom, micro
        ("￡ ￥ 𝚪𝚫𝛀𝚺 ㏀ 🄐 🄰 ⒜ ﬩", "£ ¥ ΓΔΩΣ kΩ (A) A (a) +"),  # wide, mathematical and squared forms
    ],
)
def test_the_nearest_look_alike(text, alike):
    assert transliterated(text) == alike


@pytest.mark.parametrize("character", [*"日あ한ع٣न😀☀❌🇩🆗\u00a0\u2003\u2028\t\x1b\ud800"])
def test_what_has_no_look_alike_is_a_blank(character):
    assert look_alike(character) is None
    assert transliterated(f"a{character}b") == "a b"


def test_an_accent_written_apart_is_part_of_its_letter():
    assert carry("a\u0308e\u0308x\u0308", STANDARD, TRANSLITERATE) == Carried(
        "äex",
        STANDARD,
        (
            Replacement("a\u0308", "ä", (0,)),
            Replacement("e\u0308", "e", (2,)),
            Replacement("x\u0308", "x", (4,)),
        ),
    )


@pytest.mark.parametrize(
    ("text", "alike"),
    [("Donau\u00addampf", "Donaudampf"), ("a\u200bb", "ab"), ("1️⃣ ™️", "1 TM"), ("и\u0306", "y")],
)
def test_marks_and_invisible_characters_vanish_into_what_has_a_look_alike(text, alike):
    assert transliterated(text) == alike


@pytest.mark.parametrize("text", ["\u0308a", "\ufeffa", "日\u3099", "कि"])
def test_marks_and_invisible_characters_elsewhere_are_blanks_like_others(text):
    assert transliterated(text) == carry(text, STANDARD, REPLACE).text


def test_every_look_alike_can_be_carried():
    for character in map(chr, range(sys.maxunicode + 1)):
        alike = look_alike(character)
        assert alike is None or (alike and is_gsm(alike)), f"U+{ord(character):04X}"


@given(texts, policies)
def test_any_text_is_carried_or_refused(text, policy):
    carried = carry(text, STANDARD, policy)
    if isinstance(carried, Refused):
        assert policy is REFUSE
        assert not is_gsm(text)
    else:
        assert carried.encoding is UTF_16 or is_gsm(carried.text)


@given(texts, st.sampled_from([REPLACE, TRANSLITERATE]))
def test_the_replacements_turn_the_text_into_what_is_carried(text, policy):
    carried = carry(text, STANDARD, policy)
    pieces = list(text)
    for replaced in carried.replaced:
        for position in replaced.positions:
            end = position + len(replaced.character)
            assert text[position:end] == replaced.character
            pieces[position:end] = [replaced.replacement] + [""] * (len(replaced.character) - 1)
    assert "".join(pieces) == carried.text
