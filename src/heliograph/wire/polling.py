"""Where somebody is who asks again and again, as a text that they bring along the next time."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta

from heliograph.jobs.arrivals import MARK_OCTETS, MAX_REMEMBERED, Heard
from heliograph.jobs.errors import FieldFault, RequestInvalid

STATE = "state"
STATE_FORMAT = "polling-state"
"""The `format` of what `format_heard` makes: no pattern says which texts are one."""
ASK_AGAIN_S = 60
"""What somebody is told who asked for news and there are none."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_INSTANT_OCTETS = 8
_LONGEST = _INSTANT_OCTETS + 2 * MAX_REMEMBERED * MARK_OCTETS


def format_heard(heard: Heard) -> str:
    """Of characters that need no encoding in a URL, at most 1611 of them."""
    milliseconds = -((_EPOCH - heard.since) // timedelta(milliseconds=1))  # Up: what came before has been told.
    octets = milliseconds.to_bytes(_INSTANT_OCTETS, "big") + b"".join(sorted(heard.marks))
    return urlsafe_b64encode(octets).decode().rstrip("=")


def parse_heard(text: str) -> Heard:
    """Raises RequestInvalid for what `format_heard` hasn't made."""
    try:
        octets = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        since = _EPOCH + timedelta(milliseconds=int.from_bytes(octets[:_INSTANT_OCTETS], "big"))
    except (ValueError, OverflowError):
        raise _unreadable() from None
    marks = octets[_INSTANT_OCTETS:]
    if len(octets) < _INSTANT_OCTETS or len(octets) > _LONGEST or len(marks) % MARK_OCTETS:
        raise _unreadable()
    return Heard(since, frozenset(marks[at : at + MARK_OCTETS] for at in range(0, len(marks), MARK_OCTETS)))


def _unreadable() -> RequestInvalid:
    wrong = "must be what the Location of the answer before held, and isn't; leave it out to begin anew"
    return RequestInvalid.of(FieldFault(STATE, wrong))
