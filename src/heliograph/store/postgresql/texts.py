"""Texts that hold U+0000, which PostgreSQL's `text` can't: kept so that nothing is lost.

SUBSTITUTE (U+001A) stands before a digit: 0 for U+0000, 1 for itself. All other texts are kept as they are.
"""

_ESCAPE = "\x1a"


def kept(text: str) -> str:
    """A text as it is kept."""
    if "\0" in text or _ESCAPE in text:
        return text.replace(_ESCAPE, "\x1a1").replace("\0", "\x1a0")
    return text


def told(text: str) -> str:
    """A text as it was, from what is kept of it."""
    if _ESCAPE in text:
        return text.replace("\x1a0", "\0").replace("\x1a1", _ESCAPE)
    return text
