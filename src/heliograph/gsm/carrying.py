"""The choices a customer has about how a text is carried. What they do is in `segmentation` and `transliteration`.

They stand alone, so that programs which only name them need none of what cutting and transliterating takes.
"""

from enum import StrEnum


class Encoding(StrEnum):
    """How a text is carried; the values are those on the wire."""

    STANDARD = "STANDARD"
    """The GSM 7-bit default alphabet with its extension table (3GPP TS 23.038, 6.2.1)."""
    UTF_16 = "UTF-16"
    """UCS-2 (6.2.3), with surrogate pairs as phones understand them."""


class InvalidCharacters(StrEnum):
    """What to do with a character that STANDARD cannot carry; the values are those on the wire."""

    REFUSE = "REFUSE"
    REPLACE = "REPLACE"
    """A blank for each."""
    TO_UTF16 = "TO_UTF16"
    """The whole text goes as UTF-16."""
    TRANSLITERATE = "TRANSLITERATE"
    """The nearest look-alike, see `look_alike`, and a blank for each character without one.

    Combining marks and invisible characters (general categories M and Cf) vanish into a character before them
    that is carried or has a look-alike. Otherwise they are blanks too.
    """
