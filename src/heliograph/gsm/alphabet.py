"""Characters and septets: the GSM 7-bit default alphabet with its extension table.

Septets are unpacked here, one to an octet, the top bit 0; `septets` packs them.
Standard: 3GPP TS 23.038, 6.2.1 and 6.2.1.1.
"""

import re
from typing import Final


class UncarriableCharacter(ValueError):
    """A text holds a character that the GSM alphabet lacks."""

    def __init__(self, character: str, position: int) -> None:
        """Name the first such character and its position in the text, in code points from 0."""
        super().__init__(f"U+{ord(character):04X} at position {position} is not in the GSM 7-bit alphabet")
        self.character = character
        self.position = position


def encode(text: str) -> bytes:
    """Encode into septets; a character of the extension table takes two.

    Raises UncarriableCharacter.
    """
    if uncarriable := UNCARRIABLE.search(text):
        raise UncarriableCharacter(uncarriable[0], uncarriable.start())
    return text.translate(_CODES).encode("ascii")


def decode(septets: bytes) -> str:
    """Decode septets as a phone would, whatever follows an escape.

    Raises ValueError for an octet over 0x7F, which is no septet.
    """
    text = septets.decode("ascii").translate(_DEFAULT_ALPHABET)
    return _ESCAPED.sub(_escaped_character, text) if "\x1b" in text else text


def is_gsm(text: str) -> bool:
    """Whether `encode` can carry every character; an escape character in a text is none."""
    return UNCARRIABLE.search(text) is None


def septet_count(text: str) -> int:
    """How many septets the text takes. Raises UncarriableCharacter."""
    return len(encode(text))


def default_alphabet() -> str:
    """The 128 characters of the default alphabet, in the order of their codes; 0x1B is the escape."""
    return _DEFAULT_ALPHABET


def extension_table() -> dict[int, str]:
    """The characters of the extension table by the code that follows the escape."""
    return {_DEFAULT_ALPHABET.index(character): extended for character, extended in _EXTENSION_TABLE.items()}


ESCAPE: Final = 0x1B

_DEFAULT_ALPHABET: Final = (
    "@£$¥èéùìòÇ\nØø\rÅå"
    "Δ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ"
    " !\"#¤%&'()*+,-./"
    "0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNO"
    "PQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmno"
    "pqrstuvwxyzäöñüà"
)

_EXTENSION_TABLE: Final = {  # by the character of the default alphabet with the same code
    "\n": "\f",
    "Λ": "^",
    "(": "{",
    ")": "}",
    "/": "\\",
    "<": "[",
    "=": "~",
    ">": "]",
    "¡": "|",
    "e": "€",
}

_CODES: Final = {ord(character): chr(code) for code, character in enumerate(_DEFAULT_ALPHABET)} | {
    ord(extended): f"\x1b{chr(_DEFAULT_ALPHABET.index(character))}" for character, extended in _EXTENSION_TABLE.items()
}
del _CODES[ESCAPE]  # Alone it is no character, and it would swallow the one after it.

CARRIABLE: Final = frozenset(map(chr, _CODES))
"""All characters that `encode` carries."""

UNCARRIABLE: Final = re.compile(f"[^{re.escape(''.join(sorted(CARRIABLE)))}]")
"""Matches one character that `encode` cannot carry."""

_ESCAPED: Final = re.compile("\x1b(.?)", re.DOTALL)


def _escaped_character(escaped: re.Match[str]) -> str:
    character = escaped[1]
    if character in {"", "\x1b"}:
        return " "  # Nothing follows, or the escape to a further table: shown as a space (6.2.1.1, note 1).
    return _EXTENSION_TABLE.get(character, character)  # Unknown: the default alphabet's (6.2.1.1).
