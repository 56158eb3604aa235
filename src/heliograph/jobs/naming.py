"""Public ids of jobs, SMS, SMS from phones and webhooks (contract, sections 1 and 2).

An id reads `J.20221116-092407.583-0lajfsfmnXIZJO93PQ`: a letter for its kind, the UTC instant in milliseconds, `-0`,
the same instant as 8 base-36 digits, and 9 random characters of `[0-9A-Z]`. The SMS of a job need no ids of their
own on disk: they follow from the job's id and the place of the SMS in it.
"""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NewType

JobId = NewType("JobId", str)
SmsId = NewType("SmsId", str)
InboundId = NewType("InboundId", str)

_TAIL_LENGTH = 9
RANDOM_SPACE = 36**_TAIL_LENGTH
"""How many different tails an id can have."""

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_PAIRS = [high + low for high in _DIGITS for low in _DIGITS]
_SHAPE = re.compile(r"J\..{18,38}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Coprime to 36, so that the tails of a job's SMS are all different, and large, so that they look unlike each other.
_STRIDE = 59_604_644_783_353


def job_id(received: datetime, number: int) -> JobId:
    """The id of a job received at that instant; `number` (below RANDOM_SPACE) tells it from others of the instant."""
    return JobId(_id("J", received, number))


def inbound_id(received: datetime, number: int) -> InboundId:
    """The id of an SMS received from a phone at that instant; `number` as for jobs."""
    return InboundId(_id("I", received, number))


def webhook_id(created: datetime, number: int) -> str:
    """The id of a webhook made at that instant; `number` as for jobs."""
    return _id("W", created, number)


def _id(kind: str, received: datetime, number: int) -> str:
    return f"{kind}.{_stamp(received)}{_base36(number, _TAIL_LENGTH).upper()}"


@lru_cache(maxsize=16)  # Under load several ids are made in a millisecond.
def _stamp(received: datetime) -> str:
    received = received.astimezone(UTC)
    instant_ms = (received - _EPOCH) // timedelta(milliseconds=1)
    day = received.year * 10_000 + received.month * 100 + received.day
    time = received.hour * 10_000 + received.minute * 100 + received.second
    return f"{day:08d}-{time:06d}.{received.microsecond // 1000:03d}-0{_base36(instant_ms, 8)}"


def sms_id(job: JobId, index: int) -> SmsId:
    """The id of the SMS at place `index` (from 0) of a job: the same instant, a tail of its own."""
    tail = (int(job[-_TAIL_LENGTH:], 36) + (index + 1) * _STRIDE) % RANDOM_SPACE
    return SmsId(f"S{job[1:-_TAIL_LENGTH]}{_base36(tail, _TAIL_LENGTH).upper()}")


def sms_ids(job: JobId, count: int) -> list[SmsId]:
    """The ids of a job's SMS, in the order of the request."""
    return [sms_id(job, index) for index in range(count)]


def is_job_id(text: str) -> bool:
    """Whether a text has the shape of a job id, ours or the original service's."""
    return _SHAPE.fullmatch(text) is not None


def received_ms(job: str) -> int | None:
    """The instant in a job id, in milliseconds since 1970; None for an id that was never ours."""
    digits = job[-_TAIL_LENGTH - 8 : -_TAIL_LENGTH]
    if len(digits) != 8 or not (digits.isascii() and digits.isalnum()):
        return None
    return int(digits, 36)


def _base36(number: int, width: int) -> str:
    pairs: list[str] = []
    for _ in range((width + 1) // 2):
        number, pair = divmod(number, len(_PAIRS))
        pairs.append(_PAIRS[pair])
    pairs.reverse()
    return "".join(pairs)[-width:]
