"""SMS from phones for somebody who asks again and again: what is new since the last time.

Time alone doesn't tell. An SMS bears the instant it came at and can be read once it is stored; that may be later, as
when a database was away. So a span before the last time is looked at again, and what was told of it is remembered.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import blake2b

import msgspec

from heliograph.jobs.records import InboundSms

OVERLAP = timedelta(minutes=15)
"""How much later than it came an SMS may be stored, and be told all the same."""
MAX_REMEMBERED = 100
"""Beyond, the span that is looked at again is shorter."""
MARK_OCTETS = 6


class Heard(msgspec.Struct, frozen=True):
    """What somebody has been told: all that came before `since`, and of what came later, what has these marks."""

    since: datetime
    marks: frozenset[bytes]


def mark(sms: InboundSms) -> bytes:
    """By which an SMS is remembered."""
    return blake2b(sms.sms_id.encode(), digest_size=MARK_OCTETS).digest()


def unheard(sms: Sequence[InboundSms], heard: Heard) -> list[InboundSms]:
    """Those that haven't been told yet."""
    return [each for each in sms if mark(each) not in heard.marks]


def heard_until(sms: Sequence[InboundSms], since: datetime, until: datetime) -> Heard:
    """Once all of these have been told: whatever is stored that came from `since` on and before `until`, oldest first.

    Where more came at one instant than are remembered, some may be told twice.
    """
    since = max(since, until - OVERLAP)
    recent = [each for each in sms if each.received_at >= since]
    if len(recent) > MAX_REMEMBERED:
        recent = recent[-MAX_REMEMBERED:]
        since = recent[0].received_at
    return Heard(since, frozenset(map(mark, recent)))


def heard_in_part(sms: Sequence[InboundSms], before: Heard, until: datetime) -> Heard:
    """The same where more than that came after `before`: what was told of it already, from `until` on, stays told."""
    heard = heard_until(sms, before.since, until)
    later = before.marks.difference(map(mark, sms))
    if len(later) > MAX_REMEMBERED:
        return heard
    return Heard(heard.since, heard.marks | later)
