"""What becomes of characters outside the GSM alphabet: the four policies of `invalidCharacters`.

Characters are code points here, also where several make up one sign, as in most flags and many emoji.
"""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, assert_never

import regex
from anyascii import anyascii

from heliograph.gsm.alphabet import CARRIABLE, UNCARRIABLE, is_gsm
from heliograph.gsm.carrying import Encoding, InvalidCharacters


@dataclass(frozen=True, slots=True)
class Replacement:
    """What was put in place of a character.

    character: as in the original text; combining marks and invisible characters that went with it included.
    positions: where in the original text, in code points from 0, ascending.
    """

    character: str
    replacement: str
    positions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Carried:
    """The text that travels, in the encoding that carries it; `replaced` in the order of first appearance."""

    text: str
    encoding: Encoding
    replaced: tuple[Replacement, ...] = ()


@dataclass(frozen=True, slots=True)
class Occurrences:
    """A character and all its positions in a text, in code points from 0, ascending."""

    character: str
    positions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """The characters, in the order of first appearance, for which the text is refused."""

    characters: tuple[Occurrences, ...]


def carry(text: str, encoding: Encoding, policy: InvalidCharacters) -> Carried | Refused:
    """Make a text fit to travel in the encoding asked for; one that already is stays as it is."""
    if encoding is Encoding.UTF_16 or is_gsm(text):
        return Carried(text, encoding)
    match policy:
        case InvalidCharacters.REFUSE:
            blanked = _substitute(text, UNCARRIABLE, _no_look_alike)
            return Refused(tuple(Occurrences(r.character, r.positions) for r in blanked.replaced))
        case InvalidCharacters.REPLACE:
            return _substitute(text, UNCARRIABLE, _no_look_alike)
        case InvalidCharacters.TO_UTF16:
            return Carried(text, Encoding.UTF_16)
        case InvalidCharacters.TRANSLITERATE:
            return _substitute(text, _WITH_FOLLOWERS, _look_alike_with_followers)
        case _:
            assert_never(policy)


@lru_cache(maxsize=4096)  # A text has few different characters; this bound is more than a language needs.
def look_alike(character: str) -> str | None:
    """The nearest look-alike of one character in the GSM alphabet; None for a blank.

    A character of the alphabet is its own. A letter loses accents, the outermost first, until the alphabet
    has it: ǖ → ü, ë → e. A Greek letter becomes a capital, of Greek or Latin shape: the alphabet holds just
    the Greek capitals that Latin lacks, so Greek can be read this way (Καλημέρα → KAΛHMEPA). Spelt in Latin
    are all other Latin and Cyrillic letters, punctuation and currency signs of every script, and symbols,
    numerals and letters that belong to no script. Other scripts and emoji have no look-alike.
    """
    character = unicodedata.normalize("NFC", character)[0]  # Ω may be written as an ohm sign.
    if character in CARRIABLE:
        return character
    plain = unicodedata.normalize("NFKC", character)  # ￡ is a wide £, and 🄐 is (A).
    if plain != character and plain.strip() and is_gsm(plain):
        return plain
    if not _RESEMBLING.match(character):
        return None
    if spelling := _SPELLINGS.get(character) or _without_accents(character) or _greek_capital(character):
        return spelling
    spelling = anyascii(character).replace("`", "'")
    resembles = 0 < len(spelling) <= _LONGEST_SPELLING and not _EMOJI_NAME.fullmatch(spelling)
    return spelling if resembles and is_gsm(spelling) else None


def _without_accents(character: str) -> str | None:
    if not character.isalpha():
        return None  # An accent on ≠ is what it means.
    decomposed = unicodedata.normalize("NFD", character)
    for end in range(len(decomposed) - 1, 0, -1):
        letter = unicodedata.normalize("NFC", decomposed[:end])
        if letter in CARRIABLE:
            return letter
    return None


def _greek_capital(character: str) -> str | None:
    if not _GREEK.match(character):
        return None
    decomposed = unicodedata.normalize("NFD", character.upper())
    capital = "".join(c for c in decomposed if not unicodedata.combining(c)).translate(_LATIN_SHAPES)
    return capital if is_gsm(capital) else None


def _look_alike_with_followers(written: str) -> str | None:
    # An accent written apart is part of the letter: a and U+0308 are ä.
    return look_alike(written if len(written) == 1 else unicodedata.normalize("NFC", written)[0])


def _no_look_alike(_: str) -> None:
    return None


def _substitute(
    text: str, pattern: "re.Pattern[str] | regex.Pattern[str]", substitute: Callable[[str], str | None]
) -> Carried:
    """Put in place of each match its substitute, or if that is None a blank for each of its characters."""
    found: dict[tuple[str, str], list[int]] = {}
    pieces: list[str] = []
    start = 0
    for match in pattern.finditer(text):
        written = match[0]
        pieces.append(text[start : match.start()])
        start = match.end()
        replacement = substitute(written)
        if replacement is None:
            for position, character in enumerate(written, match.start()):
                found.setdefault((character, " "), []).append(position)
            pieces.append(" " * len(written))
        else:
            found.setdefault((written, replacement), []).append(match.start())
            pieces.append(replacement)
    pieces.append(text[start:])
    replaced = tuple(Replacement(*pair, tuple(positions)) for pair, positions in found.items())
    return Carried("".join(pieces), Encoding.STANDARD, replaced)


_FOLLOWERS: Final = r"[\p{M}\p{Cf}]"
_WITH_FOLLOWERS: Final = regex.compile(rf"(?s:.){_FOLLOWERS}+|{UNCARRIABLE.pattern}")
"""Matches what TRANSLITERATE changes: a character with its followers, or one that is not carriable."""

_RESEMBLING: Final = regex.compile(
    r"""(?xV1)
      [\p{L}\p{N}&&[\p{Latin}\p{Greek}\p{Cyrillic}\p{Script_Extensions=Common}]]
    | [\p{S}&&[\p{Greek}\p{Script_Extensions=Common}]--[\U00010000-\U0010FFFF]]  # beyond: emoji, music, games
    | \p{P} | \p{Sc}
    """
)
"""Matches a character that may have a look-alike."""

_GREEK: Final = regex.compile(r"\p{Greek}")

_LATIN_SHAPES: Final = str.maketrans("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "ABEZHIKMNOPTYX")  # Greek on the left

_SPELLINGS: Final = {  # where anyascii misses the look, or the meaning
    "×": "x",
    "≠": "!=",
    "∆": "Δ",  # the increment sign on the left
    "∏": "Π",
    "∑": "Σ",  # the summation sign on the left
    "ẞ": "ß",
}

_LONGEST_SPELLING: Final = 5
"""In characters, as in Manat for ₼; anything longer describes rather than resembles."""

_EMOJI_NAME: Final = re.compile(r":\w+:")
"""How anyascii spells an emoji."""
