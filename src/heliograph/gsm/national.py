"""National language shift tables: septets → characters of Turkish, Spanish, Portuguese and the scripts of India.

A user data header names the tables: element 0x25 the locking shift table, which stands for the default alphabet, and
0x24 the single shift table, which stands for the extension table after an escape. They are read here, not written.

The tables were checked against three public readings of the standard, of its releases 9, 16 and 18; where one of them
stands alone, the other two are followed. Printed editions err twice, and what they must mean is read here: U+0CA1 at
Kannada locking 0x24 (for U+0CAA, which is at 0x3D), U+0BEE at Tamil single shift 0x24 (for U+0BEF, which is at 0x25).
Standard: 3GPP TS 23.038, 6.2.1.2 and annex A; TS 23.040, 9.2.3.24.15 and 9.2.3.24.16.
"""

import re
from collections.abc import Mapping
from enum import IntEnum
from string import ascii_lowercase, ascii_uppercase, digits
from typing import Final

from heliograph.gsm.alphabet import default_alphabet, extension_table

SINGLE_SHIFT_ELEMENT: Final = 0x24
LOCKING_SHIFT_ELEMENT: Final = 0x25
"""Identifiers of the header elements whose one octet is a Language."""


class Language(IntEnum):
    """National language identifiers (6.2.1.2.4); DEFAULT is the alphabet that needs no header."""

    DEFAULT = 0
    TURKISH = 1
    SPANISH = 2
    PORTUGUESE = 3
    BENGALI = 4
    GUJARATI = 5
    HINDI = 6
    KANNADA = 7
    MALAYALAM = 8
    ORIYA = 9
    PUNJABI = 10
    TAMIL = 11
    TELUGU = 12
    URDU = 13


def language_of(identifier: int) -> Language:
    """The language of an identifier; one that is reserved means the default (6.2.1.2.5)."""
    return Language(identifier) if identifier in _IDENTIFIERS else Language.DEFAULT


def decode(septets: bytes, *, locking: Language = Language.DEFAULT, single: Language = Language.DEFAULT) -> str:
    """Decode septets, one to an octet, as a phone would, whatever follows an escape.

    A code that a locking table leaves open is a space; one that a single shift table leaves open is the locking
    table's character. A locking table that there isn't (Spanish) is the default alphabet.
    Raises ValueError for an octet over 0x7F.
    """
    table = _LOCKING.get(locking, _LOCKING[Language.DEFAULT])
    shifted = _SINGLE[single]

    def character(found: re.Match[bytes]) -> str:
        code = found[0]
        if code[0] != ESCAPE:
            return table[code[0]]
        if len(code) == 1 or code[1] == ESCAPE:
            return " "  # Nothing follows, or the escape to a further table (6.2.1.1, note 1).
        return shifted.get(code[1], table[code[1]])

    if not septets.isascii():
        raise ValueError("an octet over 0x7F is no septet")
    return "".join(map(character, _CODE.finditer(septets)))


ESCAPE: Final = 0x1B
_CODE: Final = re.compile(rb"\x1b[\x00-\x7f]|[\x00-\x7f]")
_IDENTIFIERS: Final = frozenset(Language)
_DEFAULT: Final = default_alphabet()

# Locking shift tables. Those of the scripts of India have the same few places for signs, digits and small letters, and
# hold letters of one Unicode block in all others: here by their last two digits, `--` where there is none.

_TURKISH: Final = {0x04: "€", 0x07: "ı", 0x0B: "Ğ", 0x0C: "ğ", 0x1C: "Ş", 0x1D: "ş", 0x40: "İ", 0x60: "ç"}
_PORTUGUESE: Final = {
    0x04: "ê", 0x06: "ú", 0x07: "í", 0x08: "ó", 0x09: "ç", 0x0B: "Ô", 0x0C: "ô", 0x0E: "Á", 0x0F: "á",
    0x12: "ª", 0x13: "Ç", 0x14: "À", 0x15: "∞", 0x16: "^", 0x17: "\\", 0x18: "€", 0x19: "Ó", 0x1A: "|",
    0x1C: "Â", 0x1D: "â", 0x1E: "Ê", 0x24: "º", 0x40: "Í", 0x5B: "Ã", 0x5C: "Õ", 0x5D: "Ú", 0x60: "~",
    0x7B: "ã", 0x7C: "õ", 0x7D: "`",
}  # fmt: skip
_INDIAN_LETTERS: Final[Mapping[Language, tuple[int, str]]] = {
    Language.BENGALI: (0x0980, """
        01 02 03 05 06 07 08 09 0A 0B 0C -- -- 0F 10 -- -- 13 14 15 16 17 18 19 1A 1B 1C 1D 1E 1F
        20 21 22 23 24 25 26 27 28 -- 2A 2B 2C 2D 2E 2F 30 -- 32 -- -- -- 36 37 38 39 3C 3D 3E 3F
        40 41 42 43 44 -- -- 47 48 -- -- 4B 4C 4D 4E 57 5C 5D 70 71"""),
    Language.GUJARATI: (0x0A80, """
        01 02 03 05 06 07 08 09 0A 0B 0C 0D -- 0F 10 11 -- 13 14 15 16 17 18 19 1A 1B 1C 1D 1E 1F
        20 21 22 23 24 25 26 27 28 -- 2A 2B 2C 2D 2E 2F 30 -- 32 33 -- 35 36 37 38 39 3C 3D 3E 3F
        40 41 42 43 44 45 -- 47 48 49 -- 4B 4C 4D 50 60 61 62 63 71"""),
    Language.HINDI: (0x0900, """
        01 02 03 05 06 07 08 09 0A 0B 0C 0D 0E 0F 10 11 12 13 14 15 16 17 18 19 1A 1B 1C 1D 1E 1F
        20 21 22 23 24 25 26 27 28 29 2A 2B 2C 2D 2E 2F 30 31 32 33 34 35 36 37 38 39 3C 3D 3E 3F
        40 41 42 43 44 45 46 47 48 49 4A 4B 4C 4D 50 72 7B 7C 7E 7F"""),
    Language.KANNADA: (0x0C80, """
        -- 02 03 05 06 07 08 09 0A 0B 0C -- 0E 0F 10 -- 12 13 14 15 16 17 18 19 1A 1B 1C 1D 1E 1F
        20 21 22 23 24 25 26 27 28 -- 2A 2B 2C 2D 2E 2F 30 31 32 33 -- 35 36 37 38 39 3C 3D 3E 3F
        40 41 42 43 44 -- 46 47 48 -- 4A 4B 4C 4D 55 56 60 61 62 63"""),
    Language.MALAYALAM: (0x0D00, """
        -- 02 03 05 06 07 08 09 0A 0B 0C -- 0E 0F 10 -- 12 13 14 15 16 17 18 19 1A 1B 1C 1D 1E 1F
        20 21 22 23 24 25 26 27 28 -- 2A 2B 2C 2D 2E 2F 30 31 32 33 34 35 36 37 38 39 -- 3D 3E 3F
        40 41 42 43 44 -- 46 47 48 -- 4A 4B 4C 4D 57 60 61 62 63 79"""),
    Language.ORIYA: (0x0B00, """
        01 02 03 05 06 07 08 09 0A 0B 0C -- -- 0F 10 -- -- 13 14 15 16 17 18 19 1A 1B 1C 1D 1E 1F
        20 21 22 23 24 25 26 27 28 -- 2A 2B 2C 2D 2E 2F 30 -- 32 33 -- 35 36 37 38 39 3C 3D 3E 3F
        40 41 42 43 44 -- -- 47 48 -- -- 4B 4C 4D 56 57 60 61 62 63"""),
    Language.PUNJABI: (0x0A00, """
        01 02 03 05 06 07 08 09 0A -- -- -- -- 0F 10 -- -- 13 14 15 16 17 18 19 1A 1B 1C 1D 1E 1F
        20 21 22 23 24 25 26 27 28 -- 2A 2B 2C 2D 2E 2F 30 -- 32 33 -- 35 36 -- 38 39 3C -- 3E 3F
        40 41 42 -- -- -- -- 47 48 -- -- 4B 4C 4D 51 70 71 72 73 74"""),
    Language.TAMIL: (0x0B80, """
        -- 02 03 05 06 07 08 09 0A -- -- -- 0E 0F 10 -- 12 13 14 15 -- -- -- 19 1A -- 1C -- 1E 1F
        -- -- -- 23 24 -- -- -- 28 29 2A -- -- -- 2E 2F 30 31 32 33 34 35 36 37 38 39 -- -- 3E 3F
        40 41 42 -- -- -- 46 47 48 -- 4A 4B 4C 4D 50 57 70 71 72 79"""),
    Language.TELUGU: (0x0C00, """
        01 02 03 05 06 07 08 09 0A 0B 0C -- 0E 0F 10 -- 12 13 14 15 16 17 18 19 1A 1B 1C 1D 1E 1F
        20 21 22 23 24 25 26 27 28 -- 2A 2B 2C 2D 2E 2F 30 31 32 33 -- 35 36 37 38 39 -- 3D 3E 3F
        40 41 42 43 44 -- 46 47 48 -- 4A 4B 4C 4D 55 56 60 61 62 63"""),
    Language.URDU: (0x0600, """
        27 22 28 7B 80 7E A6 2A C2 7F 79 7D 7A 7C 2B 2C 81 84 83 85 86 87 2D 2E 2F 8C 88 89 8A 8F
        8D 30 31 91 93 99 32 96 98 9A 33 34 35 36 37 38 39 41 42 A9 AA AB AF B3 B1 44 45 46 BA BB
        BC 48 C4 D5 C1 BE 21 CC D0 D2 4D 50 4F 57 54 55 51 53 56 70"""),
}  # fmt: skip
_INDIAN_SIGNS: Final = {
    0x0A: "\n", 0x0D: "\r", 0x1B: "\x1b", 0x20: " ", 0x21: "!", 0x28: ")", 0x29: "(", 0x2C: ",", 0x2E: ".",
    0x3A: ":", 0x3B: ";", 0x3F: "?",
    **dict(enumerate(digits, 0x30)),
    **dict(enumerate(ascii_lowercase, 0x61)),
}  # fmt: skip


def _with(changes: Mapping[int, str]) -> str:
    return "".join(changes.get(code, character) for code, character in enumerate(_DEFAULT))


def _indian_locking(block: int, letters: str) -> str:
    offsets = iter(letters.split())

    def letter() -> str:
        offset = next(offsets)
        return " " if offset == "--" else chr(block + int(offset, 16))

    return "".join(_INDIAN_SIGNS[code] if code in _INDIAN_SIGNS else letter() for code in range(128))


_LOCKING: Final[Mapping[Language, str]] = {
    Language.DEFAULT: _DEFAULT,
    Language.TURKISH: _with(_TURKISH),
    Language.PORTUGUESE: _with(_PORTUGUESE),
    **{language: _indian_locking(*table) for language, table in _INDIAN_LETTERS.items()},
}

# Single shift tables. Those of the scripts of India share signs and capitals; their own characters stand, in order, in
# the places left: from 0x19 to 0x3F, most of them the script's digits.

_EXTENSION: Final = extension_table()
_INDIAN_SHIFTED: Final = {
    **dict(enumerate("@£$¥¿\"¤%&'\f*+")),
    **dict(enumerate("-/<=>¡^¡_#*", 0x0E)),
    0x28: "{", 0x29: "}", 0x2F: "\\", 0x3C: "[", 0x3D: "~", 0x3E: "]", 0x40: "|", 0x65: "€",
    **dict(enumerate(ascii_uppercase, 0x41)),
}  # fmt: skip
_INDIAN_PLACES: Final = tuple(code for code in range(0x19, 0x40) if code != ESCAPE and code not in _INDIAN_SHIFTED)
_INDIAN_SINGLE: Final[Mapping[Language, str]] = {
    Language.BENGALI: "09E6 09E7 09E8 09E9 09EA 09EB 09EC 09ED 09EE 09EF 09DF 09E0 09E1 09E2 09E3 09F2 09F3 09F4 09F5 "
    "09F6 09F7 09F8 09F9 09FA",
    Language.GUJARATI: "0964 0965 0AE6 0AE7 0AE8 0AE9 0AEA 0AEB 0AEC 0AED 0AEE 0AEF",
    Language.HINDI: "0964 0965 0966 0967 0968 0969 096A 096B 096C 096D 096E 096F 0951 0952 0953 0954 0958 0959 095A "
    "095B 095C 095D 095E 095F 0960 0961 0962 0963 0970 0971",
    Language.KANNADA: "0964 0965 0CE6 0CE7 0CE8 0CE9 0CEA 0CEB 0CEC 0CED 0CEE 0CEF 0CDE 0CF1 0CF2",
    Language.MALAYALAM: "0964 0965 0D66 0D67 0D68 0D69 0D6A 0D6B 0D6C 0D6D 0D6E 0D6F 0D70 0D71 0D72 0D73 0D74 0D75 "
    "0D7A 0D7B 0D7C 0D7D 0D7E 0D7F",
    Language.ORIYA: "0964 0965 0B66 0B67 0B68 0B69 0B6A 0B6B 0B6C 0B6D 0B6E 0B6F 0B5C 0B5D 0B5F 0B70 0B71",
    Language.PUNJABI: "0964 0965 0A66 0A67 0A68 0A69 0A6A 0A6B 0A6C 0A6D 0A6E 0A6F 0A59 0A5A 0A5B 0A5C 0A5E 0A75",
    Language.TAMIL: "0964 0965 0BE6 0BE7 0BE8 0BE9 0BEA 0BEB 0BEC 0BED 0BEE 0BEF 0BF3 0BF4 0BF5 0BF6 0BF7 0BF8 0BFA",
    Language.TELUGU: "-- -- 0C66 0C67 0C68 0C69 0C6A 0C6B 0C6C 0C6D 0C6E 0C6F 0C58 0C59 0C78 0C79 0C7A 0C7B 0C7C 0C7D "
    "0C7E 0C7F",
    Language.URDU: "0600 0601 06F0 06F1 06F2 06F3 06F4 06F5 06F6 06F7 06F8 06F9 060C 060D 060E 060F 0610 0611 0612 "
    "0613 0614 061B 061F 0640 0652 0658 066B 066C 0672 0673 06CD 06D4",
}


def _indian_single(characters: str) -> dict[int, str]:
    own = {
        code: chr(int(character, 16))
        for code, character in zip(_INDIAN_PLACES, characters.split(), strict=False)
        if character != "--"
    }
    return {**_INDIAN_SHIFTED, **own}


_SINGLE: Final[Mapping[Language, Mapping[int, str]]] = {
    Language.DEFAULT: _EXTENSION,
    Language.TURKISH: {
        **_EXTENSION, 0x47: "Ğ", 0x49: "İ", 0x53: "Ş", 0x63: "ç", 0x67: "ğ", 0x69: "ı", 0x73: "ş"
    },
    Language.SPANISH: {
        **_EXTENSION, 0x09: "ç", 0x41: "Á", 0x49: "Í", 0x4F: "Ó", 0x55: "Ú", 0x61: "á", 0x69: "í", 0x6F: "ó", 0x75: "ú"
    },
    Language.PORTUGUESE: {
        **_EXTENSION, 0x05: "ê", 0x09: "ç", 0x0B: "Ô", 0x0C: "ô", 0x0E: "Á", 0x0F: "á", 0x12: "Φ", 0x13: "Γ",
        0x15: "Ω", 0x16: "Π", 0x17: "Ψ", 0x18: "Σ", 0x19: "Θ", 0x1F: "Ê", 0x41: "À", 0x49: "Í", 0x4F: "Ó", 0x55: "Ú",
        0x5B: "Ã", 0x5C: "Õ", 0x61: "Â", 0x69: "í", 0x6F: "ó", 0x75: "ú", 0x7B: "ã", 0x7C: "õ", 0x7F: "â",
    },
    **{language: _indian_single(characters) for language, characters in _INDIAN_SINGLE.items()},
}  # fmt: skip
