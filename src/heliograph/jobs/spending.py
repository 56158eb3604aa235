"""How much an account's agents may spend: SMS in any 60 minutes, each part of a long text counted, as carriers bill.

What was spent is kept by the second, so that an hour is at most 3600 numbers. A second is rounded up: what was spent
counts for an hour and up to a second more, never less.
"""

import math
from collections.abc import Sequence
from datetime import datetime

from heliograph.jobs.errors import SpendingLimitReached

PERIOD_S = 3600


def spending_second(now: datetime) -> int:
    """Under which second, since 1970, what is spent now is kept."""
    return math.ceil(now.timestamp())


def counted_since(now: datetime) -> int:
    """The last second that no longer counts now."""
    return math.floor(now.timestamp()) - PERIOD_S


def check_spending(spent: Sequence[tuple[int, int]], part_count: int, sms_per_hour: int, now: datetime) -> None:
    """Whether so many parts may be sent now.

    spent: seconds after `counted_since`, the oldest first, and how many parts were sent in each.
    Raises SpendingLimitReached, saying how many may be sent now and when all of them may.
    """
    room = max(0, sms_per_hour - sum(parts for _, parts in spent))
    if part_count <= room:
        return
    wanted = (
        f"this would be {part_count} SMS, each part of a long text counted, and agents may send {sms_per_hour} an hour "
        f"for this account, of which {room} are left; nothing was sent"
    )
    if part_count > sms_per_hour:
        raise SpendingLimitReached(f"{wanted}. It is too much for any hour: tell the person, who can have it raised")
    missing = part_count - room
    for second, parts in spent:
        missing -= parts
        if missing <= 0:
            wait_min = math.ceil((second + PERIOD_S - now.timestamp()) / 60)
            raise SpendingLimitReached(f"{wanted}. There is room for it in {wait_min} min: tell the person")
    raise AssertionError("an hour's limit has room for what it allows once everything before has left the hour")
