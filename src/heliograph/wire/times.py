"""Instants and periods as customers write and read them; with `smpp.times` the only place that knows offsets.

Contract: section 1, "Times are ISO-8601 and mean what their offset says"; "What clients in the wild send".
"""

import re
from datetime import UTC, datetime, timedelta, tzinfo

from heliograph.jobs.schedule import Period

EXAMPLE = "2022-09-28T10:58:30+02:00"
EXAMPLE_PERIOD = "2022-09-28T20:00+02:00/2022-09-29T07:00+02:00"
SHOWN_LENGTH = 60  # characters of a customer's text that an error repeats


def parse_instant(text: str, zone: tzinfo) -> datetime:
    """The instant, in UTC, that an ISO-8601 date-time means; a date alone means its midnight.

    Besides what the standard says: a blank for the `T`, or for a `+` that was lost in URL decoding; small `t`
    and `z`; any number of digits in a fraction, of which six count.

    zone: where times without an offset are read. One that occurs twice, as summer time ends, is the first;
    one that is skipped, as it begins, is read with the offset before the change (PEP 495, fold=0).
    Raises ValueError when it is no date-time, or outside the years 1 to 9999 in UTC.
    """
    parts = _DATE_TIME.fullmatch(text)
    if parts is None:
        raise _not_an_instant(text)
    date, hour, minutes, offset = parts.groups(default="")
    end_of_day = hour == "24" and not minutes.strip(":.,0")
    if end_of_day:
        hour = "00"  # 24:00 is the midnight that ends the day (ISO 8601); not every Python reads it.
    try:
        local = datetime.fromisoformat(f"{date}T{hour or '00'}{minutes}{offset.upper().replace(' ', '+')}")
        if end_of_day:
            local += timedelta(days=1)
        return (local if local.tzinfo else local.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise _not_an_instant(text) from None


def parse_period(text: str, zone: tzinfo) -> Period:
    """The period that an ISO-8601 interval `start/end` means; each end is read like any instant.

    One that begins in an hour that is skipped, and would so end before it began, lasts as long as is written.
    Raises ValueError when it is anything else, or when the end is not after the start.
    """
    ends = text.split("/")
    if len(ends) != 2:
        raise ValueError(f"{_shown(text)} is no interval start/end, such as {EXAMPLE_PERIOD}")
    start, end = (parse_instant(instant, zone) for instant in ends)
    if end <= start and not any(map(_has_offset, ends)):
        end = start + (parse_instant(ends[1], UTC) - parse_instant(ends[0], UTC))
    if end <= start:
        raise ValueError(f"{_shown(text)} must end after it starts")
    return Period(start, end)


def _has_offset(text: str) -> bool:
    parts = _DATE_TIME.fullmatch(text)
    return parts is not None and parts[4] is not None


def format_instant(instant: datetime) -> str:
    """UTC with milliseconds, as in `2022-09-28T10:58:30.022Z`; what is finer is dropped."""
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


# `datetime.fromisoformat` alone would take any character for the T, and offsets that differ between versions.
_DATE_TIME = re.compile(
    r"""([0-9]{4}-[0-9]{2}-[0-9]{2} | [0-9]{8} | [0-9]{4}-W[0-9]{2}(?:-[0-9])? | [0-9]{4}W[0-9]{2,3})
        (?:[Tt\ ]
           ([0-9]{2})                                                    # hour
           ((?::[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]+)?)?                    # minutes and seconds
             | [0-9]{2}(?:[0-9]{2}(?:[.,][0-9]+)?)?)?)
           ([Zz] | [-+\ ][0-9]{2}(?::?[0-5][0-9])?)?                     # offset
        )?""",
    re.VERBOSE,
)


def _not_an_instant(text: str) -> ValueError:
    return ValueError(f"{_shown(text)} is no ISO-8601 date-time of the years 1 to 9999, such as {EXAMPLE}")


def _shown(text: str) -> str:
    return repr(text if len(text) <= SHOWN_LENGTH else text[:SHOWN_LENGTH] + "...")
