"""Rows as the stores on disk keep them, and the values that the steps speak of."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import msgspec

from heliograph.gsm.segmentation import Encoding
from heliograph.jobs.accounts import Account, OnUnknown
from heliograph.jobs.carriage import Segment, SegmentId
from heliograph.jobs.naming import InboundId, JobId
from heliograph.jobs.options import JobOptions, Qos
from heliograph.jobs.records import BlockedNumber, InboundSms, StoredJob, StoredSms
from heliograph.jobs.schedule import Period
from heliograph.jobs.status import PartProgress, PartState, ProcessStatus, SmsProgress, Status, roll_up
from heliograph.store.interface import PART_BITS, DuePart, Lookalike, Recall, ReceiptNews

COUNTER_BITS = 20
"""A job's number is its instant in milliseconds, shifted by these, plus the last bits of its first SMS's number: in
order of time, unique, and within 64 bits until the year 2248."""

_MAX_NUMBER = (1 << 63) - 1
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_options_decoder = msgspec.json.Decoder(JobOptions)
_texts = msgspec.json.Decoder(tuple[str, ...])
_periods = msgspec.json.Decoder(tuple[Period, ...])
_account = msgspec.json.Decoder(Account)
_receipt_news = msgspec.json.Decoder(ReceiptNews)


# Looked up some times an SMS, and a call of the enumeration takes several times as long.
_PART_STATES = {state.value: state for state in PartState}
_STATUSES = {status.value: status for status in Status}
_ENCODINGS = {encoding.value: encoding for encoding in Encoding}


@lru_cache(maxsize=256)
def _options(content: bytes) -> JobOptions:
    """Options from their row; most jobs of an account have the same."""
    return _options_decoder.decode(content)


_names_decoder = msgspec.json.Decoder(tuple[str, ...])


@lru_cache(maxsize=256)
def _names(content: bytes) -> tuple[str, ...]:
    return _names_decoder.decode(content)


@lru_cache(maxsize=256)
def names_row(names: tuple[str, ...]) -> bytes | None:
    """Carriers' names as they are kept."""
    return msgspec.json.encode(names) if names else None


def instant_ms(instant: datetime) -> int:
    """Milliseconds since 1970, later ones dropped."""
    return (instant - _EPOCH) // _MILLISECOND


def instant_ms_up(instant: datetime) -> int:
    """Milliseconds since 1970, rounded up: for bounds that nothing earlier may pass."""
    return -((_EPOCH - instant) // _MILLISECOND)


def first_job_number(instant: datetime) -> int:
    """The lowest number of jobs received from an instant on."""
    return max(0, min(instant_ms_up(instant) << COUNTER_BITS, _MAX_NUMBER))


def instant_of(ms: int) -> datetime:
    """The instant that many milliseconds after the beginning of 1970."""
    return _EPOCH + timedelta(milliseconds=ms)


def _instant_or_none(ms: int | None) -> datetime | None:
    return None if ms is None else instant_of(ms)


def account_of(row: tuple[Any, ...]) -> Account:
    """An account from its row (id, content)."""
    return msgspec.structs.replace(_account.decode(row[1]), id=row[0])


def blocked_number(row: tuple[Any, ...]) -> BlockedNumber:
    """An entry of a blocklist from its row (dst, created)."""
    return BlockedNumber(row[0], instant_of(row[1]))


def inbound_sms(row: tuple[Any, ...]) -> InboundSms:
    """An SMS from a phone from its row (public_id, account, src, dst, text, received)."""
    public_id, account, src, dst, text, received = row
    return InboundSms(
        sms_id=InboundId(public_id), account=account, src=src, dst=dst, text=text, received_at=instant_of(received)
    )


def stored_job(row: tuple[Any, ...]) -> StoredJob:
    """A job from its row (id, public_id, first_sms, sms_count, options, finished)."""
    number, public_id, _, sms_count, options, finished = row
    return StoredJob(
        job_id=JobId(public_id),
        received_at=instant_of(number >> COUNTER_BITS),
        finished_at=_instant_or_none(finished),
        sms_count=sms_count,
        options=_options(options),
    )


def stored_sms(rows: Iterable[tuple[Any, ...]], live: Iterable[tuple[Any, ...]], first_sms: int) -> list[StoredSms]:
    """A job's SMS from their rows and from the live rows of those that are not final."""
    parts: dict[int, list[PartProgress]] = {}
    for segment, state, status, reason, sent in live:
        progress = PartProgress(_PART_STATES[state], _STATUSES[status], reason, _instant_or_none(sent))
        parts.setdefault(segment >> PART_BITS, []).append(progress)
    return [
        StoredSms(number - first_sms, dst, customer_ref, _progress(final, parts.get(number, [])))
        for number, dst, customer_ref, *final in rows
    ]


def _progress(final: list[Any], parts: list[PartProgress]) -> SmsProgress:
    process_status, status, reason, sent, finished = final
    if process_status is None:
        return roll_up(parts)
    return SmsProgress(
        ProcessStatus(process_status),
        _STATUSES[status],
        reason,
        _instant_or_none(sent),
        _instant_or_none(finished),
    )


def recalls(rows: Iterable[tuple[Any, ...]]) -> list[Recall]:
    """What a carrier is to drop, from rows (id in `late`, message_id, options of its job)."""
    return [Recall(SegmentId(number), message_id, _options(options).src) for number, message_id, options in rows]


def lookalikes(rows: Iterable[tuple[Any, ...]]) -> list[Lookalike]:
    """What read like receipts, from rows (id in `parked`, carrier, content)."""
    read = [(number, carrier, _receipt_news.decode(content).text) for number, carrier, content in rows]
    return [Lookalike(number, carrier, part) for number, carrier, part in read if part is not None]


def due_parts(rows: Iterable[tuple[Any, ...]]) -> Iterable[DuePart]:
    """Leased segments from the rows of the query `leased`; what their jobs share is read once."""
    texts_of: dict[str, tuple[str, ...]] = {}
    for (
        number, state, attempts, status, reason, heard, expires, blackouts, dst, part_count,
        text, encoding, parts, public_id, options, give_up, others, message_id,
    ) in rows:  # fmt: skip
        options = _options(options)
        part_text: str = text
        index: int = number & (1 << PART_BITS) - 1
        if parts is not None:
            part_text = (texts_of.get(parts) or texts_of.setdefault(parts, _texts.decode(parts)))[index]
        yield DuePart(
            segment=Segment(
                id=SegmentId(number),
                job_id=JobId(public_id),
                src=options.src,
                dst=dst,
                text=part_text,
                encoding=_ENCODINGS[encoding],
                part=index + 1,
                parts=part_count,
                reference=number >> PART_BITS & 0xFFFF,
                flash=options.flash,
                express=options.qos is Qos.EXPRESS,
                receipt_wanted=options.status_requested,
                expires_at=instant_of(expires),
                validity_min=options.validity_min,
            ),
            was=_PART_STATES[state],
            attempt_count=attempts,
            status=_STATUSES[status],
            reason=reason,
            on_unknown=OnUnknown.GIVE_UP if give_up else OnUnknown.RESEND,
            blackouts=() if blackouts is None else _periods.decode(blackouts),
            heard=bool(heard),
            others=() if others is None or state == PartState.LEASED.value else _names(others),
            message_id=message_id or "",
        )
