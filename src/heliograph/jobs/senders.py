"""The sender ID that an SMS shows (src). Contract: section 1, `options.src`."""

import re

from heliograph.gsm.alphabet import UNCARRIABLE, encode


def sender_fault(src: str) -> str | None:
    """Why `src` can't be a sender ID, and what could, in one line; None for a good one.

    Contract: section 1, `options.src`.
    """
    if _SENDER.fullmatch(src):
        return None
    if not src:
        fault = "it is empty"
    elif foreign := re.search(r"[^ -~]", src):
        fault = f"it contains {foreign[0]!r}"
    else:
        fault = f"it has {len(src)} characters"
    return (
        f"{fault}; a sender ID is 1 to 20 digits after an optional '+', "
        "or 1 to 11 characters of A-Z, a-z, 0-9, space and ASCII punctuation"
    )


def sender_doubt(src: str) -> str:
    """Why a sender ID that may be asked for gets to no phone by SMPP; empty for one that does, or none.

    On the air a sender that is no number is 11 characters of the GSM alphabet, of which some take two places.
    Standard: 3GPP TS 23.040, 9.1.2.5.
    """
    if not src or _NUMBER.fullmatch(src):
        return ""
    if foreign := UNCARRIABLE.search(src):
        return f"by SMPP it would be refused: no phone shows {foreign[0]!r} in a sender"
    if (septet_count := len(encode(src))) > _LONGEST:
        return f"by SMPP it would be refused: the sender {src!r} takes {septet_count} places, more than {_LONGEST}"
    return ""


_NUMBER = re.compile(r"\+?[0-9]{1,20}")
_LONGEST = 11
# Letters, digits, space and punctuation are the whole of printable ASCII.
_SENDER = re.compile(r"\+?[0-9]{1,20}|[ -~]{1,11}")
