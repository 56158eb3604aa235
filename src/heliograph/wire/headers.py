"""Headers of requests that mean something to an operation."""

import re
from collections.abc import Sequence

from heliograph.jobs.errors import FieldFault, RequestInvalid

IDEMPOTENCY_KEY = "Idempotency-Key"
LONGEST_KEY = 255

KEY_PATTERN = rf'^(|[!#-~][!-~]{{0,{LONGEST_KEY - 1}}}|"([!#-\[\]-~]|\\["\\]){{1,{LONGEST_KEY}}}")$'
"""What the header looks like: a key, bare or quoted, or nothing, which is no key."""

_KEY = re.compile(rf"[!-~]{{1,{LONGEST_KEY}}}")
_QUOTED = re.compile(r'"((?:[^"\\]|\\["\\])*)"')


def parse_idempotency_key(values: Sequence[str], faults: list[FieldFault] | None = None) -> str | None:
    """The key that a request's Idempotency-Key headers give; None without any, or where it is empty.

    It may be a string in quotation marks (RFC 9651, 3.3.3), as the draft has it, or stand there as it is: that is the
    same key.

    faults: gets what is wrong with what is no key. Without it RequestInvalid is raised.
    """
    if not any(value.strip() for value in values):
        return None  # Power Platform sends the header empty where it has nothing to put there.
    text = values[0].strip()
    quoted = _QUOTED.fullmatch(text)
    key = re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else text
    if len(values) > 1:
        fault = f"must be given once; it is given {len(values)} times"
    elif not key:
        fault = f"must have 1 to {LONGEST_KEY} characters; it is empty: leave the header out, or give a key"
    elif len(key) > LONGEST_KEY:
        fault = f"must have 1 to {LONGEST_KEY} characters; it has {len(key)}"
    elif text.startswith('"') and quoted is None:
        fault = "must be one string, in quotation marks or without; its quotation marks don't match"
    elif not _KEY.fullmatch(key):
        fault = "must hold nothing but visible ASCII characters, such as those of a UUID"
    else:
        return key
    if faults is None:
        raise RequestInvalid.of(FieldFault(IDEMPOTENCY_KEY, fault))
    faults.append(FieldFault(IDEMPOTENCY_KEY, fault))
    return None
