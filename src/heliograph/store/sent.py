"""Which SMS a carrier has got, or may have: the stores on disk list them, to gather who wrote to whom."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple, assert_never

from heliograph.store.interface import PART_BITS, Ended, Moved, Outcome, Postponed, Submitted
from heliograph.store.rows import instant_ms


class SentRun(NamedTuple):
    """SMS with consecutive numbers, sent in the order of these. sent: when the last one was, in milliseconds."""

    first_sms: int
    sms_count: int
    sent: int


def sent_at(outcome: Outcome) -> datetime | None:
    """When the carrier got the segment, or may have got it; None if it has surely not."""
    match outcome:
        case Submitted():
            return outcome.at
        case Postponed() | Ended():
            return outcome.maybe_sent_at
        case Moved():
            return None  # What the carrier may have doesn't move.
        case _:
            assert_never(outcome)


def sent_sms(outcomes: Iterable[Outcome]) -> dict[int, int]:
    """The numbers of the SMS that the carrier has got, or may have, and when, in milliseconds."""
    sent: dict[int, int] = {}
    for outcome in outcomes:
        at = sent_at(outcome)
        if at is not None:
            number = outcome.segment >> PART_BITS
            sent[number] = max(instant_ms(at), sent.get(number, 0))
    return sent


def runs_of(sent: dict[int, int]) -> list[SentRun]:
    """SMS, with when they were sent, as few rows, by when they were: what goes out together mostly came in together."""
    runs: list[SentRun] = []
    for number, at in sorted(sent.items()):
        if runs:
            first, count, last_at = runs[-1]
            if number == first + count and at >= last_at:
                runs[-1] = SentRun(first, count + 1, at)
                continue
        runs.append(SentRun(number, 1, at))
    return sorted(runs, key=lambda run: run.sent)
