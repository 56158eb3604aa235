"""How errors show names and values."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

import msgspec


def suggestion(word: str, known: Iterable[str], shown: "type[str] | Any" = str) -> str:
    """`did you mean x?`, or else all there are."""
    by_lower = {name.lower(): name for name in known}
    near = get_close_matches(word.lower(), by_lower, n=1, cutoff=0.5)
    if near:
        return f"did you mean {shown(by_lower[near[0]])}?"
    return f"known are {', '.join(map(shown, by_lower.values()))}"


def quoted(value: object) -> str:
    """A value as a file has it, and not too long."""
    if isinstance(value, (float, int)) and not isinstance(value, bool):
        return repr(value)  # JSON knows no inf, no nan and no end to numbers.
    if isinstance(value, str):
        value = value.encode(errors="replace").decode()  # A variable can hold bytes that are no text.
    text = msgspec.json.encode(value, enc_hook=str).decode()
    return text if len(text) <= 60 else text[:57] + "..."
