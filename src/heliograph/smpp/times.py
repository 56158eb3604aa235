"""SMPP's time format, `YYMMDDhhmmsstnnp`, absolute and relative.

Standard: SMPP 3.4, 7.1.1.
"""

import re
from calendar import monthrange
from datetime import UTC, datetime, timedelta, timezone
from typing import Final


def absolute_time(instant: datetime) -> bytes:
    """Encode an instant, in UTC and to the second.

    instant: aware, 2000 to 2099. Raises ValueError outside.
    Standard: 7.1.1.1.
    """
    utc = instant.astimezone(UTC)
    if not _CENTURY <= utc.year < _CENTURY + 100:
        raise ValueError(f"{instant} has no two-digit year")
    # Tenths are one digit; the offset of UTC is 00 quarter hours.
    return utc.strftime("%y%m%d%H%M%S000+").encode("ascii")


def relative_time(remaining: timedelta) -> bytes:
    """Encode a span counted from the SMSC's own clock.

    Years and months stay 00, for theirs is no fixed length.
    remaining: up to 99 days; a second that has begun counts, so that an hour asked for a moment ago is an hour.
    Raises ValueError outside.
    Standard: 7.1.1.2.
    """
    minutes, seconds = divmod(-(-remaining // timedelta(seconds=1)), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if remaining <= timedelta(0) or days > _MOST_DAYS:
        raise ValueError(f"{remaining} is no span up to 99 days")
    return b"0000%02d%02d%02d%02d000R" % (days, hours, minutes, seconds)


def parse_time(encoded: bytes, now: datetime) -> datetime:
    """The instant that an absolute or relative time means.

    now: the instant that relative ones count from; the result has its zone for these, and the sender's for others.
    Raises ValueError for what is neither.
    Standard: 7.1.1.
    """
    found = _TIME.fullmatch(encoded)
    if found is None:
        raise ValueError(f"{encoded!r} is no SMPP time")
    year, month, day, hour, minute, second, tenths, quarter_hours = map(int, found.groups()[:-1])
    direction = found[9]
    if direction == b"R":
        months = now.month - 1 + month
        later_year, later_month = now.year + year + months // 12, months % 12 + 1
        last_day = monthrange(later_year, later_month)[1]
        start = now.replace(year=later_year, month=later_month, day=min(now.day, last_day))
        return start + timedelta(days=day, hours=hour, minutes=minute, seconds=second)
    if quarter_hours > _MOST_QUARTER_HOURS:
        raise ValueError(f"{encoded!r} is more than twelve hours from UTC")
    offset = timedelta(minutes=15 * quarter_hours)
    zone = timezone(offset if direction == b"+" else -offset)
    return datetime(_CENTURY + year, month, day, hour, minute, second, tenths * 100_000, zone)


_CENTURY: Final = 2000
_MOST_DAYS: Final = 99
_MOST_QUARTER_HOURS: Final = 48
_TIME: Final = re.compile(rb"(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d)(\d\d)([+\-R])")
