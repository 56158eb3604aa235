"""The sender ID that an SMS shows (src). Contract: section 1, `options.src`."""

import re


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


# Letters, digits, space and punctuation are the whole of printable ASCII.
_SENDER = re.compile(r"\+?[0-9]{1,20}|[ -~]{1,11}")
