"""When an SMS may be sent: job period, blackout periods and validity give its send window.

All instants are aware UTC.
Contract: section 1, `options.jobPeriod`, `options.blackoutPeriods`, `options.validityMin`.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import msgspec

SHORTEST_BLACKOUT = timedelta(hours=1)  # "a period under 1 hour counts as 1 hour from its start"
DEFAULT_VALIDITY_MIN = 2880  # what validity 0, the carrier's default, is taken to be: "2880 minutes if 0"
END_OF_TIME = datetime.max.replace(tzinfo=UTC)  # where a sum stops that would go beyond the year 9999


@dataclass(frozen=True, slots=True)
class Period:
    """The time from `start` up to, but without, `end`. Raises ValueError unless `end` is after `start`."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.end <= self.start:
            raise ValueError("the end of a period must be after its start")

    def __contains__(self, instant: datetime) -> bool:
        return self.start <= instant < self.end


class SendWindow(msgspec.Struct, frozen=True, gc=False):
    """An SMS may be sent from `due` up to, but without, `expires`."""

    due: datetime
    expires: datetime


def joined(periods: Iterable[Period]) -> tuple[Period, ...]:
    """The same blackout time as sorted periods with time between them, none under an hour long.

    Contract: "a period under 1 hour counts as 1 hour from its start; overlapping and touching periods join".
    """
    result: list[Period] = []
    for period in sorted(periods, key=_start):
        end = max(period.end, _after(period.start, SHORTEST_BLACKOUT))
        if result and period.start <= result[-1].end:
            result[-1] = Period(result[-1].start, max(result[-1].end, end))
        else:
            result.append(Period(period.start, end))
    return tuple(result)


def earliest_send(not_before: datetime, blackouts: Sequence[Period]) -> datetime:
    """The first instant from `not_before` on that lies in no blackout period.

    blackouts: as `joined` returns them. Only one of those can matter, and it is found in a few steps.
    """
    begun_count = bisect_right(blackouts, not_before, key=_start)
    if begun_count and not_before in blackouts[begun_count - 1]:
        return blackouts[begun_count - 1].end
    return not_before


def send_window(
    *, job_period: datetime | None, now: datetime, blackouts: Sequence[Period], validity_min: int
) -> SendWindow:
    """When to send an SMS of a job that is accepted `now`.

    It falls due at the job period, or at once where that is past; "an SMS that falls due inside a [blackout]
    period is sent at its end", and its validity counts from there, so that no night uses up a validity
    (docs/decisions/0008).

    blackouts: as `joined` returns them.
    validity_min: minutes; 0 is the carrier's default.
    """
    due = earliest_send(max(job_period or now, now), blackouts)
    return SendWindow(due, expires=_after(due, timedelta(minutes=validity_min or DEFAULT_VALIDITY_MIN)))


def reaching_into(window: SendWindow, blackouts: Sequence[Period]) -> tuple[Period, ...]:
    """The blackout periods that can still matter to an SMS: it is never sent outside its window.

    So an SMS keeps a few of them, however many its customer names: in two days there is no room for more.

    blackouts: as `joined` returns them.
    """
    return tuple(period for period in blackouts if period.end >= window.due and period.start < window.expires)


def _start(period: Period) -> datetime:
    return period.start


def _after(instant: datetime, wait: timedelta) -> datetime:
    try:
        return instant + wait
    except OverflowError:
        return END_OF_TIME
