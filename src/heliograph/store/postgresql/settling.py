"""What becomes of segments: the SMS concerned are held, changed in memory as `store.memory` would, and written back."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec

from heliograph.jobs.carriage import SegmentId
from heliograph.jobs.plan import BLOCKED_REASON
from heliograph.jobs.status import PartProgress, PartState, ProcessStatus, Status, cancelled
from heliograph.store.interface import (
    LOOKALIKE,
    PARKED_FOR,
    PART_BITS,
    UNANSWERED,
    Ended,
    Moved,
    Outcome,
    Postponed,
    ReceiptNews,
    Submitted,
)
from heliograph.store.postgresql.connection import Connection, Row
from heliograph.store.postgresql.locks import CARRIERS, carrier_key
from heliograph.store.postgresql.texts import kept, told
from heliograph.store.postgresql.writes import CancelJob, EndWaiting, RecordOutcomes, RecordReceipts
from heliograph.store.rows import COUNTER_BITS, instant_ms, instant_ms_up, instant_of, names_row
from heliograph.store.sent import runs_of, sent_sms

_WAITING, _LEASED, _SUBMITTED, _DONE = (state.value for state in PartState)
_UNANSWERED = tuple(state.value for state in UNANSWERED)
_PARKED_FOR_MS = PARKED_FOR // timedelta(milliseconds=1)
_receipt_news = msgspec.json.Decoder(ReceiptNews)

Settling = RecordOutcomes | RecordReceipts | EndWaiting | CancelJob
_GOOD_WORDS = ("", Status.SUC_FIN.value, Status.SUC_ACC.value)


@dataclass(slots=True)
class _Part:
    """A row of `live`, but for what never changes."""

    id: int
    state: int
    carrier: str
    due: int | None
    attempts: int
    status: str
    reason: str
    message_id: str | None
    sent: int | None
    heard: bool
    others: bytes | None
    doubtful: bool
    account: int
    is_changed: bool = False


class _End(NamedTuple):
    process_status: ProcessStatus
    status: Status
    reason: str
    sent: int | None
    at: int


@dataclass(slots=True)
class _Sms:
    """An SMS that was not final when it was read."""

    number: int
    parts: dict[int, _Part]
    end: _End | None = None


@dataclass(slots=True)
class _Late:
    """A row of `late`: a part of a killed SMS whose receipts are told."""

    id: int
    carrier: str
    message_id: str
    until: int
    word: str = ""
    is_changed: bool = False


class SmsAtWork:
    """SMS that this transaction holds."""

    def __init__(self, db: Connection) -> None:
        self._db = db
        self._sms: dict[int, _Sms] = {}
        self._submitted: dict[tuple[str, str], list[_Part]] = {}
        self._dsts: dict[int, str] = {}
        self._killed: set[int] = set()
        self._late: dict[int, _Late] = {}
        self._late_ids: dict[tuple[str, str], set[int]] = {}
        self._late_reasons: dict[int, str] = {}
        self.event_count = 0
        """How many events for webhooks ends have made."""
        self.recalling: set[str] = set()
        """Carriers that are to drop something."""
        self.jobs: dict[int, bool] = {}
        """Those of which SMS have ended, and whether they have others; `finish` them last of all."""

    async def hold(self, numbers: Iterable[int]) -> None:
        """Read SMS, by their numbers, when nobody else is changing them any more, and keep everybody from it."""
        wanted = sorted(set(numbers))
        if wanted:
            self._read(await self._db.query("hold_parts", wanted))

    async def hold_at_once(self, part_counts: Mapping[int, int]) -> set[int]:
        """The same without waiting: returns those of the SMS, given with how many parts they have, that are busy."""
        rows = await self._db.query("hold_parts_at_once", sorted(part_counts))
        held = Counter(row[0] >> PART_BITS for row in rows)
        busy = {number for number, count in part_counts.items() if held[number] < count}
        self._read([row for row in rows if row[0] >> PART_BITS not in busy])
        return busy

    async def hold_late(self, found: Iterable[int], submitted: Iterable[int]) -> None:
        """Hold what is told of killed SMS, of those SMS that aren't live.

        found: SMS to which receipts may belong. submitted: those that a carrier took just now.
        """
        submitted = sorted(set(submitted) - self._sms.keys())
        if submitted:
            self._killed = {row[0] for row in await self._db.query("killed", submitted)}
        numbers = sorted((set(found) - self._sms.keys()) | self._killed)
        if numbers:
            for row in await self._db.query("hold_late", numbers):
                late = _Late(*row)
                late.message_id = told(late.message_id)
                self._await_receipts(late)

    def _await_receipts(self, late: _Late) -> None:
        self._late[late.id] = late
        self._late_ids.setdefault((late.carrier, late.message_id), set()).add(late.id)

    def _read(self, rows: Iterable[Row]) -> None:
        for row in rows:
            part = _Part(*row)
            part.reason = told(part.reason)
            if part.message_id is not None:
                part.message_id = told(part.message_id)
            number = part.id >> PART_BITS
            sms = self._sms.get(number) or self._sms.setdefault(number, _Sms(number, {}))
            sms.parts[part.id] = part
            if part.message_id is not None:
                self._submitted.setdefault((part.carrier, part.message_id), []).append(part)

    # Outcomes

    def record_outcomes(self, carrier: str, outcomes: Sequence[Outcome]) -> dict[str, int]:
        """All outcomes of one call. Returns the ids of messages submitted, and when that was."""
        submitted: dict[str, int] = {}
        moved = {outcome.segment for outcome in outcomes if isinstance(outcome, Moved)}
        for outcome in sorted(outcomes, key=lambda outcome: (isinstance(outcome, Ended), isinstance(outcome, Moved))):
            sms = self._sms.get(outcome.segment >> PART_BITS)
            part = sms.parts.get(outcome.segment) if sms else None
            if sms is None or part is None or sms.end is not None:
                if isinstance(outcome, Submitted) and self._await_late(carrier, outcome):
                    submitted[outcome.message_id] = instant_ms(outcome.at)
                continue
            if isinstance(outcome, Postponed | Moved) and part.carrier != carrier:
                continue  # It comes too late.
            match outcome:
                case Ended() if outcome.counts_for(PartState(part.state)):
                    self._end(sms, outcome.status, outcome.reason, instant_ms(outcome.at))
                case Postponed() if part.state == _LEASED:
                    _postpone(part, outcome)
                case Moved() if part.state == _LEASED:
                    self._move(sms, part, outcome, moved)
                case Submitted() if part.state in (_WAITING, _LEASED):
                    at = instant_ms(outcome.at)
                    part.sent, part.status, part.reason, part.is_changed = at, "", "", True
                    if outcome.receipt_due_at is None:
                        self._part_done(sms, part, Status.SUC_ACC, "", at)
                        continue
                    part.state, part.due = _SUBMITTED, instant_ms_up(outcome.receipt_due_at)
                    if outcome.message_id:
                        part.message_id = outcome.message_id
                        self._submitted.setdefault((carrier, outcome.message_id), []).append(part)
                        submitted[outcome.message_id] = at
                case _:
                    pass  # It comes too late.
        return submitted

    def _await_late(self, carrier: str, outcome: Submitted) -> bool:
        """The carrier took a part of an SMS that was killed meanwhile; whether there is a receipt to wait for."""
        until = outcome.matters_until
        if outcome.segment >> PART_BITS not in self._killed or until is None:
            return False
        known = self._late.get(outcome.segment)
        if known is None or known.until <= instant_ms(outcome.at):
            late = _Late(outcome.segment, carrier, outcome.message_id, instant_ms_up(until), is_changed=True)
            self._await_receipts(late)
            self.recalling.add(carrier)
        return outcome.receipt_due_at is not None

    def _move(self, sms: _Sms, part: _Part, outcome: Moved, moved: set[SegmentId]) -> None:
        states = {_WAITING if each.id in moved and each.state == _LEASED else each.state for each in sms.parts.values()}
        is_held = not all(each.others for each in sms.parts.values()) or states & {_SUBMITTED, _DONE}
        if not is_held and _LEASED not in states:
            for each in sms.parts.values():
                each.carrier, each.state, each.attempts = outcome.carrier, _WAITING, 0
                each.due, each.others = instant_ms_up(outcome.due_at), names_row(outcome.others)
                each.status, each.reason, each.is_changed = outcome.status.value, outcome.reason, True
            return
        instead = outcome.otherwise if is_held else outcome.waiting()
        if isinstance(instead, Postponed):
            _postpone(part, instead)
        else:
            self._end(sms, instead.status, instead.reason, instant_ms(instead.at))

    async def list_sent(self, outcomes: Iterable[Outcome]) -> None:
        """Note which SMS a carrier has got, or may have: one row for all that came in one after the other."""
        sent = sent_sms(outcomes)
        accounts = {
            number: part.account
            for number in sent
            if (sms := self._sms.get(number)) is not None
            for part in sms.parts.values()
        }
        if ended := sorted(sent.keys() - accounts.keys()):
            accounts.update((row[0], row[1]) for row in await self._db.query("accounts_of_sms", ended))
        by_account: dict[int, dict[int, int]] = {}
        for number, account in accounts.items():
            by_account.setdefault(account, {})[number] = sent[number]
        rows = [
            (run.sent << COUNTER_BITS, account, run.first_sms, run.sms_count)
            for account, numbers in by_account.items()
            for run in runs_of(numbers)
        ]
        await self._db.run_rows("list_sent", rows)

    # Receipts

    async def record_receipts(self, carrier: str, receipts: Sequence[ReceiptNews]) -> list[ReceiptNews]:
        """What receipts say of the SMS that are held; those that have to wait for the answer to what they are about."""
        await self._read_dsts(carrier, receipts)
        waiting: list[ReceiptNews] = []
        for news in receipts:
            part = self._meant(carrier, news)
            if part is None:
                if news.message_id or news.spellings:
                    waiting.append(news)
                continue
            if isinstance(part, _Late):
                self._tell_late(part, news)
                continue
            sms = self._sms[part.id >> PART_BITS]
            if self._is_done(part):
                # The first final word holds; but this one may be for a part whose answer, with the same id, is to come.
                if sms.end is None and any(each.state in _UNANSWERED for each in sms.parts.values()):
                    waiting.append(news)
                continue
            if news.status is None:
                part.heard, part.reason, part.is_changed = True, news.reason, True
            elif news.status in (Status.SUC_FIN, Status.SUC_ACC):
                self._part_done(sms, part, news.status, news.reason, instant_ms(news.at))
            else:
                self._end(sms, news.status, news.reason, instant_ms(news.at))
        return waiting

    def _tell_late(self, late: _Late, news: ReceiptNews) -> None:
        number = late.id >> PART_BITS
        words = [each.word for each in self._late.values() if each.id >> PART_BITS == number]
        if late.word or any(word not in _GOOD_WORDS for word in words):
            return
        self._late_reasons[number] = news.reason
        if news.status is not None:
            late.word, late.is_changed = news.status.value, True

    def _meant(self, carrier: str, news: ReceiptNews) -> _Part | _Late | None:
        likeliness = {
            message_id: place for place, message_id in reversed([*enumerate((news.message_id, *news.spellings))])
        }
        likeliness.pop("", None)
        named: list[tuple[bool, int, int, int, _Part | _Late]] = [
            (self._is_other(part, news), 2 * self._is_done(part), place, -part.id, part)
            for message_id, place in likeliness.items()
            for part in self._submitted.get((carrier, message_id), ())
        ]
        named += [
            (self._is_other(late, news), 2 if late.word else 1, place, -late.id, late)
            for message_id, place in likeliness.items()
            for late in map(self._late.__getitem__, self._late_ids.get((carrier, message_id), ()))
            if late.message_id == message_id and instant_ms(news.at) < late.until
        ]
        # Where a carrier gave one id twice, it means what went to the phone; of that what isn't done, what isn't killed
        # rather than what is, and the newest of those.
        believed = [each for each in named if news.is_believed(each[2], is_other=each[0])]
        return min(believed, key=lambda each: each[:4])[4] if believed else None

    def _is_other(self, part: _Part | _Late, news: ReceiptNews) -> bool:
        return news.is_about_other(self._dsts.get(part.id >> PART_BITS, ""))

    def _is_done(self, part: _Part) -> bool:
        return self._sms[part.id >> PART_BITS].end is not None or part.state == _DONE

    def went_to(self, dsts: Mapping[int, str]) -> None:
        """To which phones SMS went, by their numbers, as far as that is known before it is asked for."""
        self._dsts |= dsts

    async def _read_dsts(self, carrier: str, receipts: Iterable[ReceiptNews]) -> None:
        """To which phones the SMS went that receipts may mean by their ids."""
        named = {
            segment >> PART_BITS
            for news in receipts
            if news.phones or news.spellings
            for message_id in (news.message_id, *news.spellings)
            for segment in (
                *(part.id for part in self._submitted.get((carrier, message_id), ())),
                *self._late_ids.get((carrier, message_id), ()),
            )
        }
        if numbers := sorted(named - self._dsts.keys()):
            self._dsts |= {number: told(dst) for number, dst in await self._db.query("dsts", numbers)}

    # Ends

    def end_waiting(self, numbers: Iterable[int], at: datetime) -> set[int]:
        """SMS to blocked numbers end, unless a part is leased or with the carrier, or they aren't held; which did."""
        waiting = {
            number
            for number in numbers
            if (sms := self._sms.get(number)) is not None
            and sms.end is None
            and all(part.state == _WAITING for part in sms.parts.values())
        }
        for number in waiting:
            self._end(self._sms[number], Status.BLOCKED, BLOCKED_REASON, instant_ms(at))
        return waiting

    def cancel(self, numbers: Iterable[int], now: datetime) -> Counter[ProcessStatus]:
        """SMS end that aren't final, as their job is cancelled; how many became what."""
        counts: Counter[ProcessStatus] = Counter()
        for number in numbers:
            sms = self._sms.get(number)
            if sms is None or sms.end is not None:
                continue
            parts = sms.parts.values()
            end = cancelled(
                [_progress(part) for part in parts],
                tried=any(part.attempts for part in parts),
                doubtful=any(part.doubtful for part in parts),
                now=now,
            )
            self._end(sms, end.status, end.reason, instant_ms(now), end.process_status)
            counts[end.process_status] += 1
            for part in parts:
                if part.state == _SUBMITTED and part.message_id is not None and part.due is not None:
                    late = _Late(part.id, part.carrier, part.message_id, part.due, is_changed=True)
                    self._await_receipts(late)
                    self.recalling.add(part.carrier)
        return counts

    def _part_done(self, sms: _Sms, part: _Part, status: Status, reason: str, at: int) -> None:
        part.state, part.due, part.reason, part.is_changed = _DONE, None, reason, True
        if all(each.state == _DONE for each in sms.parts.values()):
            self._end(sms, status, reason, at)

    def _end(
        self, sms: _Sms, status: Status, reason: str, at: int, process_status: ProcessStatus = ProcessStatus.DONE
    ) -> None:
        sent = max((part.sent for part in sms.parts.values() if part.sent is not None), default=None)
        sms.end = _End(process_status, status, reason, sent, at)

    # Writing

    async def write(self) -> None:
        """Write what has changed, and forget all of it; only the jobs to be finished are remembered."""
        changed: list[Row] = []
        ends: list[Row] = []
        gone: list[int] = []
        for sms in self._sms.values():
            if sms.end is not None:
                end = sms.end
                ends.append(
                    (sms.number, end.process_status.value, end.status.value, kept(end.reason), end.sent, end.at)
                )
                gone += sms.parts
                continue
            changed += [
                (
                    part.id, part.state, part.carrier, part.due, part.attempts, part.status, kept(part.reason),
                    None if part.message_id is None else kept(part.message_id), part.sent, part.heard, part.others,
                    part.doubtful,
                )
                for part in sms.parts.values()
                if part.is_changed
            ]  # fmt: skip
        await self._db.run_rows("write_parts", changed)
        if ends:
            rows = await self._db.query_rows("end_sms", ends, gone)
            self.jobs.update((row[0], row[1]) for row in rows)
            self.event_count += rows[0][2] if rows else 0
        news = [each for each in self._late.values() if each.is_changed]
        rows = [(each.id, each.carrier, kept(each.message_id), each.until, each.word) for each in news]
        await self._db.run_rows("write_late", rows)
        await self._db.run_rows("tell_late", [(number, kept(each)) for number, each in self._late_reasons.items()])
        for each in (self._sms, self._submitted, self._killed, self._late, self._late_ids, self._late_reasons):
            each.clear()


def _postpone(part: _Part, outcome: Postponed) -> None:
    part.state, part.due = _WAITING, instant_ms_up(outcome.due_at)
    part.attempts = outcome.attempt_count
    part.status, part.reason, part.is_changed = outcome.status.value, outcome.reason, True
    if outcome.status is Status.SEND_ERR:
        part.others, part.doubtful = None, True


def _progress(part: _Part) -> PartProgress:
    sent_at = None if part.sent is None else instant_of(part.sent)
    return PartProgress(PartState(part.state), Status(part.status), part.reason, sent_at)


async def settle(db: Connection, work: SmsAtWork, writes: Sequence[Settling]) -> list[Counter[ProcessStatus]]:
    """Write what became of segments, of several calls together.

    Returns, for each that ends SMS as BLOCKED or cancelled, how many became what.
    """
    outcomes = [write for write in writes if isinstance(write, RecordOutcomes)]
    receipts = [write for write in writes if isinstance(write, RecordReceipts)]
    ending = [write for write in writes if isinstance(write, EndWaiting)]
    numbers = {outcome.segment >> PART_BITS for write in outcomes for outcome in write.outcomes}
    numbers.update(number for write in ending for number in write.sms)
    cancels = [write for write in writes if isinstance(write, CancelJob)]
    numbers.update(number for write in cancels for number in range(write.first_sms, write.end_sms))
    dsts = await _lock_carriers(db, outcomes, receipts)
    work.went_to(dsts)
    found = dsts.keys()
    await work.hold(numbers | found)
    await work.hold_late(
        found,
        (
            each.segment >> PART_BITS
            for write in outcomes
            for each in write.outcomes
            if isinstance(each, Submitted) and each.matters_until is not None
        ),
    )

    submitted: list[Row] = []
    for write in outcomes:
        ids = work.record_outcomes(write.carrier, write.outcomes)
        submitted += [(kept(message_id), write.carrier, at - _PARKED_FOR_MS) for message_id, at in ids.items()]
    await work.list_sent(outcome for write in outcomes for outcome in write.outcomes)
    if submitted:
        await _unpark(db, work, submitted)
    parked: list[Row] = []
    for write in receipts:
        for news in await work.record_receipts(write.carrier, write.receipts):
            content, at = msgspec.json.encode(news), instant_ms(news.at)
            ids = {news.message_id, *news.spellings} - {""}
            if news.text is not None:
                ids.add(LOOKALIKE)
            parked += [(write.carrier, kept(message_id), at, content) for message_id in sorted(ids)]
    if parked:
        await db.run_rows("park", parked)
        await db.run("forget_parked", 2 * len(parked) + 10, max(row[2] for row in parked) - _PARKED_FOR_MS)
    ended = {id(write): Counter({ProcessStatus.DONE: len(work.end_waiting(write.sms, write.at))}) for write in ending}
    for write in cancels:
        ended[id(write)] = work.cancel(range(write.first_sms, write.end_sms), write.now)
    await work.write()
    if cancels:
        at = max(instant_ms(write.now) for write in cancels)
        await db.run("forget_late", at, 2 * sum(counts.total() for counts in ended.values()) + 10)
    return [ended.get(id(write), Counter()) for write in writes]


async def _lock_carriers(
    db: Connection, outcomes: Sequence[RecordOutcomes], receipts: Sequence[RecordReceipts]
) -> dict[int, str]:
    """The SMS that receipts may be about, by their numbers, killed ones included, and to which phones they went.

    A receipt and the answer to its own submission may come to two nodes at once. Either the one finds the id stored, or
    the other the receipt: who keeps a receipt waits until nobody is storing ids of that carrier, and looks again.
    """
    storing = {carrier_key(write.carrier) for write in outcomes if any(map(_stores_an_id, write.outcomes))}
    wanted = [
        (kept(message_id), write.carrier)
        for write in receipts
        for news in write.receipts
        for message_id in {news.message_id, *news.spellings} - {""}
    ]
    found = await db.query_rows("by_message_id", wanted)
    dsts_by_id: dict[tuple[str, str], list[str]] = {}
    for _, message_id, carrier, dst in found:
        dsts_by_id.setdefault((message_id, carrier), []).append(told(dst))
    keeping = {
        carrier_key(write.carrier)
        for write in receipts
        for news in write.receipts
        if not _is_found(news, dsts_by_id.get((kept(_first_id(news)), write.carrier), ()))
    }
    if storing or keeping:
        keys = sorted(storing | keeping)
        await db.query("lock", CARRIERS, keys, [key in keeping for key in keys])
    if keeping:
        found = await db.query_rows("by_message_id", wanted)
    return {row[0] >> PART_BITS: told(row[3]) for row in found}


def _stores_an_id(outcome: Outcome) -> bool:
    return isinstance(outcome, Submitted) and bool(outcome.message_id) and outcome.receipt_due_at is not None


def _first_id(news: ReceiptNews) -> str:
    return news.message_id or next(iter(news.spellings), "")


def _is_found(news: ReceiptNews, dsts: Iterable[str]) -> bool:
    """Whether what went to one of these numbers, and has the receipt's first id, may be what it means."""
    likeliness = 0 if news.message_id else 1
    return any(news.is_believed(likeliness, is_other=news.is_about_other(dst)) for dst in dsts)


async def _unpark(db: Connection, work: SmsAtWork, submitted: Sequence[Row]) -> None:
    done: list[int] = []
    # Two answers with one id find each receipt twice.
    found = {row[0]: row for row in await db.query_rows("parked", submitted)}
    for number, carrier, content in found.values():
        # One that waited under several spellings may be here more than once; said twice, it does no harm.
        news = _receipt_news.decode(content)
        if not await work.record_receipts(carrier, [news]):
            done.append(number)
            if news.text is not None:
                await db.run("unpark_lookalike", LOOKALIKE, carrier, content)
    if done:
        await db.run("unpark", done)


async def finish(db: Connection, jobs: Mapping[int, bool]) -> int:
    """Finish those jobs of which no SMS is left: the last thing that a transaction does to what it holds.

    Returns how many events for webhooks that made.
    """
    shared = sorted(job for job, has_others in jobs.items() if has_others)
    if shared:
        await db.query("hold_jobs", shared)
    return await db.value("finish_jobs", list(jobs)) if jobs else 0
