"""3GPP TS 23.038, 6.2.1.2 and annex A."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from heliograph.gsm import alphabet
from heliograph.gsm.national import _LOCKING, _SINGLE, Language, decode, language_of


def points(hexadecimal: str) -> str:
    """Characters by their code points, as many have more than one spelling."""
    return "".join(chr(int(point, 16)) for point in hexadecimal.split())


INDIAN = [language for language in Language if language >= Language.BENGALI]


@given(st.binary(max_size=20).map(lambda octets: bytes(octet & 0x7F for octet in octets)))
def test_without_a_language_septets_are_read_in_the_default_alphabet(septets):
    assert decode(septets) == alphabet.decode(septets)


@pytest.mark.parametrize(
    ("language", "septets", "text"),
    [  # A.3
        (Language.TURKISH, "04 07 0B 0C 1C 1D 40 60", "€ıĞğŞşİç"),
        (Language.TURKISH, "00 10 24 5F 7F", "@Δ¤§à"),
        (Language.SPANISH, "09 40 60", "Ç¡¿"),  # There is no such table.
        (Language.PORTUGUESE, "04 05 06 07 08 09", "êéúíóç"),
        (Language.PORTUGUESE, "12 13 14 15 16 17 18 19 1A 24 60 7B 7C 7D", "ªÇÀ∞^\\€Ó|º~ãõ`"),
        (
            Language.BENGALI,
            "00 0F 10 13 1C 2F 40 46 4A 5D 60 7C 7F",
            points("981 98F 990 993 99B 9A8 9AC 9B2 9B6 9CB 9CE 9DC 9F1"),
        ),
        (Language.GUJARATI, "00 0C 11 22 47 57 5B 60 7F", points("A81 A8D A91 A9F AB3 AC5 AC9 AD0 AF1")),
        (Language.HINDI, "00 0E 12 22 3C 45 5F 60 7B 7F", points("901 90E 912 91F 929 931 94D 950 972 97F")),
        (Language.KANNADA, "01 0E 24 3D 60 7B", points("C82 C8E CA1 CAA CD5 CD6")),
        (Language.MALAYALAM, "01 48 4F 60 7F", points("D02 D34 D3D D57 D79")),
        (Language.ORIYA, "00 22 49 60 7B 7F", points("B01 B1F B35 B56 B57 B63")),
        (Language.PUNJABI, "00 0F 47 4A 60 7B 7F", points("A01 A0F A33 A36 A51 A70 A74")),
        (Language.TAMIL, "01 0E 19 2F 3C 60 7B 7F", points("B82 B8E B99 BA8 BA9 BD0 BD7 BF9")),
        (Language.TELUGU, "00 0E 4F 60 7B 7F", points("C01 C0E C3D C55 C56 C63")),
        (Language.URDU, "00 07 1C 3C 47 59 60 7B 7F", points("627 62A 68C 69A 6A9 6CC 654 655 670")),
    ],
)
def test_a_locking_table_stands_for_the_default_alphabet(language, septets, text):
    assert decode(bytes.fromhex(septets), locking=language) == text


@pytest.mark.parametrize(
    ("language", "septets", "text"),
    [  # A.2
        (Language.TURKISH, "47 49 53 63 65 67 69 73", "ĞİŞç€ğış"),
        (Language.SPANISH, "09 41 49 4F 55 61 65 69 6F 75", "çÁÍÓÚá€íóú"),
        (Language.PORTUGUESE, "05 09 0B 0C 12 13 15 19 1F 41 5B 61 7F", "êçÔôΦΓΩΘÊÀÃÂâ"),
        (Language.PORTUGUESE, "0E 0F 16 17 18 49 4F 55 5C 65 69 6F 75 7B 7C", "ÁáΠΨΣÍÓÚÕ€íóúãõ"),
        (Language.BENGALI, "19 1A 1C 23 24 2A 2B 34 65", points("9E6 9E7 9E8 9EF 9DF 9E3 9F2 9FA 20AC")),
        (Language.GUJARATI, "19 1A 1C 25", points("964 965 AE6 AEF")),
        (Language.HINDI, "19 1C 25 26 27 2A 2B 2C 30 3A", points("964 966 96F 951 952 953 954 958 95B 971")),
        (Language.KANNADA, "1C 25 26 27 2A", points("CE6 CEF CDE CF1 CF2")),
        (Language.MALAYALAM, "1C 26 2E 30 34", points("D66 D70 D7A D7B D7F")),
        (Language.ORIYA, "1C 20 26 27 2A 2C", points("B66 B6A B5C B5D B5F B71")),
        (Language.PUNJABI, "1C 26 2C 2D", points("A66 A59 A5E A75")),
        (Language.TAMIL, "1C 24 25 26 2E", points("BE6 BEE BEF BF3 BFA")),
        (Language.TELUGU, "1C 22 25 26 2A 32 65", points("C66 C6C C6F C58 C78 C7F 20AC")),
        (Language.URDU, "19 1C 25 26 32 33 34 3A 3B 3F", points("600 6F0 6F9 60C 61B 61F 640 673 6CD 6D4")),
    ],
)
def test_a_single_shift_table_stands_for_the_extension_table(language, septets, text):
    escaped = b"".join(b"\x1b" + bytes([septet]) for septet in bytes.fromhex(septets))
    assert decode(escaped, single=language) == text


@pytest.mark.parametrize("language", Language)
def test_the_signs_of_the_extension_table_are_in_every_single_shift_table(language):
    escaped = b"".join(b"\x1b" + bytes([septet]) for septet in bytes.fromhex("14 28 29 2F 3C 3D 3E 40 65"))
    assert decode(escaped, single=language) == "^{}\\[~]|€"


@pytest.mark.parametrize("language", INDIAN)
def test_digits_small_letters_and_capitals_are_in_the_tables_of_indian_scripts(language):
    text = "0123456789 abcxyz,.:;?!()\r\n"
    septets = text.translate(str.maketrans("()", ")(")).encode()  # These two have changed places.
    assert decode(septets, locking=language) == text
    assert decode(b"\x1bA\x1bZ\x1b\x00\x1b\x13", single=language) == "AZ@¡"


def test_a_code_that_the_single_shift_table_leaves_open_is_the_locking_table_s():  # 6.2.1.2.3
    assert decode(b"\x1b\x04\x1bA", locking=Language.TURKISH, single=Language.TURKISH) == "€A"
    assert decode(b"\x1b\x35", locking=Language.HINDI, single=Language.GUJARATI) == "5"


def test_an_escape_that_leads_nowhere_is_a_space():
    assert decode(b"a\x1b\x1bb\x1b", single=Language.TURKISH) == "a b "


def test_a_code_that_a_locking_table_leaves_open_is_a_space():
    assert decode(b"\x0c\x0e", locking=Language.BENGALI) == "  "


def test_a_reserved_identifier_means_the_default():  # 6.2.1.2.5
    assert [language_of(identifier) for identifier in (0, 1, 13, 14, 255)] == [0, 1, 13, 0, 0]


def test_an_octet_over_0x7f_is_no_septet():
    with pytest.raises(ValueError, match="no septet"):
        decode(b"\x80", locking=Language.TURKISH)


@pytest.mark.parametrize("language", Language)
def test_no_character_stands_twice_but_those_that_the_standard_has_twice(language):
    locking = [character for character in _LOCKING.get(language, "") if character != " "]
    assert len(set(locking)) == len(locking)
    single = [character for character in _SINGLE[language].values() if character not in "¡*"]
    assert len(set(single)) == len(single)
