"""The store that forgets: the specification of all others, in plain dictionaries. For tests and simulation."""

import re
from collections import Counter, deque
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec

from heliograph.jobs.accounts import Account, AccountId, RateLimit
from heliograph.jobs.carriage import Segment, SegmentId
from heliograph.jobs.errors import AccountExists, IdempotencyKeyTaken, JobDuplicate
from heliograph.jobs.inbound import (
    NOBODY,
    REDELIVERY_WINDOW,
    InboundSms,
    KeptPart,
    Redelivered,
    Wish,
    place,
    text_of,
    wish_heard,
)
from heliograph.jobs.naming import JobId, inbound_id
from heliograph.jobs.options import Qos
from heliograph.jobs.plan import BLOCKED_REASON, JobPlan, PlannedSms, with_blocked
from heliograph.jobs.records import BlockedNumber, StoredJob, StoredSms
from heliograph.jobs.search import FoundSms
from heliograph.jobs.spending import check_spending, counted_since, spending_second
from heliograph.jobs.status import PartProgress, PartState, ProcessStatus, SmsProgress, Status, cancelled, roll_up
from heliograph.jobs.webhooks import (
    Event,
    EventType,
    FailedEvent,
    JobFinished,
    SmsFinished,
    SmsReceived,
    Webhook,
    WebhookId,
)
from heliograph.store.in_process import Roles, SlidingWindow, WorkBell
from heliograph.store.interface import (
    DUPLICATE_WINDOW,
    EVENT_WORK,
    IDEMPOTENCY_WINDOW,
    PARKED_FOR,
    PART_BITS,
    RECALL_TRIES,
    UNANSWERED,
    Added,
    Arrival,
    Cancelled,
    Counts,
    DueEvent,
    DuePart,
    Ended,
    InboundQuery,
    JobQuery,
    Lookalike,
    Moved,
    Outcome,
    Postponed,
    Quota,
    Recall,
    ReceiptNews,
    Received,
    Settlement,
    SmsQuery,
    Submitted,
    recall_work,
)
from heliograph.store.memory_events import Outbox, Telling
from heliograph.store.sent import sent_at

_PHONE = re.compile(r"\+[0-9]{1,15}")
_GOOD_WORDS = (Status.NONE, Status.SUC_FIN, Status.SUC_ACC)
_AT_ONCE = datetime.fromtimestamp(0, UTC)


@dataclass(slots=True)
class _Part:
    state: PartState
    due_at: datetime
    attempt_count: int = 0
    status: Status = Status.NONE
    reason: str = ""
    message_id: str = ""
    sent_at: datetime | None = None
    heard: bool = False
    others: tuple[str, ...] = ()
    doubtful: bool = False


@dataclass(slots=True)
class _Sms:
    number: int
    index: int
    job: "_Job"
    planned: PlannedSms
    final: SmsProgress | None
    parts: list[_Part]
    carrier: str | None


@dataclass(slots=True)
class _Job:
    plan: JobPlan
    sms: list[_Sms] = field(default_factory=list["_Sms"])
    finished_at: datetime | None = None


@dataclass(slots=True)
class _Late:
    """A part of a killed SMS whose receipts are still told. word: the first final one; NONE before.

    recall_due_at: when its carrier is to be told, again, to drop it; None once that is done with.
    """

    sms: _Sms
    carrier: str
    message_id: str
    until: datetime
    word: Status = Status.NONE
    recall_due_at: datetime | None = _AT_ONCE
    recall_count: int = 0


@dataclass(slots=True)
class _InboundPart:
    carrier: str
    arrival: Arrival
    sms: int
    done: bool = False


class MemoryStore:
    """A Store in this process's memory; see `store.interface` for what each method promises."""

    def __init__(self) -> None:
        self._jobs: dict[str, _Job] = {}
        self._sms_count = 0
        self._sms: dict[int, _Sms] = {}
        self._accounts: dict[AccountId, Account] = {}
        self._fingerprints: dict[tuple[AccountId, bytes], tuple[datetime, str]] = {}
        self._idempotency: dict[tuple[AccountId, str], tuple[datetime, bytes, JobId]] = {}
        self._late: dict[SegmentId, _Late] = {}
        self._parked: list[tuple[str, ReceiptNews]] = []
        self._lookalikes: dict[int, tuple[str, ReceiptNews]] = {}
        self._lookalike_count = 0
        self._calls: dict[AccountId, SlidingWindow] = {}
        self._spent: dict[AccountId, dict[int, int]] = {}
        self._last_served: dict[str, AccountId] = {}
        self._work = WorkBell()
        self._roles = Roles()
        self._inbound_parts: list[_InboundPart] = []
        self._inbound_part_count = 0
        self._inbound: list[InboundSms] = []
        self._blocked: dict[tuple[AccountId, str], BlockedNumber] = {}
        self._last_writers: dict[str, tuple[AccountId, datetime]] = {}
        self._outbox = Outbox()

    # Jobs

    async def add_job(self, plan: JobPlan) -> Added:
        if plan.idempotency is not None:
            used = self._idempotency.get((plan.account, plan.idempotency.key))
            if used is not None and plan.received_at - used[0] < IDEMPOTENCY_WINDOW:
                if used[1] != plan.idempotency.fingerprint:
                    raise IdempotencyKeyTaken(used[2])
                return Added(used[2], False, {})
        if plan.fingerprint is not None:
            key = (plan.account, plan.fingerprint)
            at, first = self._fingerprints.get(key, (None, ""))
            if at is not None and plan.received_at - at < DUPLICATE_WINDOW:
                raise JobDuplicate(first)
        self._spend(plan)
        if plan.fingerprint is not None:
            self._fingerprints[plan.account, plan.fingerprint] = (plan.received_at, plan.job_id)
        if plan.idempotency is not None:
            of = plan.account, plan.idempotency.key
            self._idempotency[of] = plan.received_at, plan.idempotency.fingerprint, plan.job_id
        plan = with_blocked(plan, [dst for account, dst in self._blocked if account == plan.account])
        job = _Job(plan)
        for index, planned in enumerate(plan.sms):
            self._sms_count += 1
            sms = _Sms(self._sms_count, index, job, planned, None, [], planned.carrier)
            if planned.carrier is None:
                sms.final = _done(planned.verdict, planned.reason, None, plan.received_at)
            else:
                sms.parts = [
                    _Part(PartState.WAITING, planned.window.due, others=planned.others) for _ in range(planned.parts)
                ]
            job.sms.append(sms)
            self._sms[sms.number] = sms
        self._jobs[plan.job_id] = job
        for sms in job.sms:
            if sms.final is not None:
                self._happened_to_sms(sms, plan.received_at)
        self._finish_job_if_done(job)
        self._work.set(sms.carrier for sms in plan.sms)
        return Added(plan.job_id, True, Counter(sms.verdict for sms in plan.sms if sms.carrier is None))

    async def cancel_job(self, account: AccountId, job_id: str, now: datetime) -> Cancelled | None:
        job = self._jobs.get(job_id)
        if job is None or job.plan.account != account:
            return None
        ended: Counter[ProcessStatus] = Counter()
        for sms in job.sms:
            if sms.final is None:
                tried = any(part.attempt_count for part in sms.parts)
                doubtful = any(part.doubtful for part in sms.parts)
                sms.final = cancelled(_part_progress(sms), tried=tried, doubtful=doubtful, now=now)
                ended[sms.final.process_status] += 1
                self._happened_to_sms(sms, now)
                for index, part in enumerate(sms.parts):
                    if part.state is PartState.SUBMITTED and part.message_id:
                        late = _Late(sms, sms.carrier or "", part.message_id, part.due_at)
                        self._late[SegmentId(sms.number << PART_BITS | index)] = late
                        self._work.set([recall_work(late.carrier)])
        if ended:
            self._finish_job_if_done(job)
        return Cancelled(_stored(job), ended[ProcessStatus.CANCELED], ended[ProcessStatus.KILL])

    def _spend(self, plan: JobPlan) -> None:
        if plan.sms_per_hour is None:
            return
        since = counted_since(plan.received_at)
        spent = {second: parts for second, parts in self._spent.get(plan.account, {}).items() if second > since}
        check_spending(sorted(spent.items()), plan.part_count, plan.sms_per_hour, plan.received_at)
        second = spending_second(plan.received_at)
        self._spent[plan.account] = {**spent, second: spent.get(second, 0) + plan.part_count}

    async def job(self, account: AccountId, job_id: str) -> StoredJob | None:
        job = self._jobs.get(job_id)
        return _stored(job) if job is not None and job.plan.account == account else None

    async def find_jobs(self, query: JobQuery) -> list[StoredJob]:
        found = [
            _stored(job)
            for job in reversed(self._jobs.values())
            if job.plan.account == query.account
            and query.since <= job.plan.received_at < query.until
            and not (query.open_only and job.finished_at is not None)
        ]
        found.sort(key=lambda job: job.received_at, reverse=True)
        return found[query.offset : query.offset + query.limit]

    async def sms_of_job(self, account: AccountId, job_id: str) -> list[StoredSms] | None:
        job = self._jobs.get(job_id)
        if job is None or job.plan.account != account:
            return None
        return [_stored_sms(sms) for sms in job.sms]

    async def find_sms(self, query: SmsQuery) -> list[FoundSms]:
        jobs = await self.find_jobs(JobQuery(query.account, query.since, query.until, False, 0, len(self._jobs)))
        found = [
            FoundSms(job.job_id, sms)
            for job in jobs
            if query.criteria.fit_job(job)
            for sms in await self.sms_of_job(query.account, job.job_id) or ()
            if query.criteria.fit_sms(sms)
        ]
        return found[query.offset : query.offset + query.limit]

    # Work that falls due

    async def lease_segments(
        self, carrier: str, limit: int, until: datetime, now: datetime, normal_limit: int | None = None
    ) -> list[DuePart]:
        last = self._last_served.get(carrier, 0)
        while True:
            turns = self._take_turns(carrier, limit, normal_limit, now)
            blocked = {sms.number: sms for sms, _ in turns if self._is_blocked(sms)}
            if not blocked:
                return [_lease(sms, index, until) for sms, index in turns]
            for sms in blocked.values():
                self._end(sms, Status.BLOCKED, BLOCKED_REASON, now)
            self._last_served[carrier] = AccountId(last)

    def _take_turns(self, carrier: str, limit: int, normal_limit: int | None, now: datetime) -> list[tuple[_Sms, int]]:
        taken: list[tuple[_Sms, int]] = []
        for lane in (0, 1):
            if lane and normal_limit is not None:
                limit = min(limit, len(taken) + normal_limit)
            waiting: dict[AccountId, deque[tuple[_Sms, int]]] = {}
            for sms, index in self._due(carrier, lane, now):
                waiting.setdefault(sms.job.plan.account, deque()).append((sms, index))
            last = self._last_served.get(carrier, 0)
            turns = deque(sorted(waiting, key=lambda account: (account <= last, account)))
            while turns and len(taken) < limit:
                account = turns.popleft()
                taken.append(waiting[account].popleft())
                self._last_served[carrier] = account
                if waiting[account]:
                    turns.append(account)
        return taken

    def _is_blocked(self, sms: _Sms) -> bool:
        return (sms.job.plan.account, sms.planned.dst) in self._blocked and _is_untouched(sms)

    def _due(self, carrier: str, lane: int, now: datetime) -> Iterator[tuple[_Sms, int]]:
        due = [
            (part.due_at, sms.number, index)
            for sms in self._sms.values()
            if sms.final is None and sms.carrier == carrier and sms.job.plan.lane == lane
            for index, part in enumerate(sms.parts)
            if part.state is not PartState.DONE and part.due_at <= now
        ]
        return ((self._sms[number], index) for _, number, index in sorted(due))

    async def record_outcomes(self, carrier: str, outcomes: Sequence[Outcome]) -> None:
        submitted: dict[str, datetime] = {}
        moved = {outcome.segment for outcome in outcomes if isinstance(outcome, Moved)}
        for outcome in sorted(outcomes, key=lambda outcome: (isinstance(outcome, Ended), isinstance(outcome, Moved))):
            sms = self._sms.get(outcome.segment >> PART_BITS)
            if sms is None:
                continue
            self._keep_writer(sms, sent_at(outcome))
            if sms.final is not None:
                if isinstance(outcome, Submitted) and self._await_late(sms, carrier, outcome):
                    submitted[outcome.message_id] = outcome.at
                continue
            if isinstance(outcome, Postponed | Moved) and sms.carrier != carrier:
                continue  # It comes too late.
            part = sms.parts[outcome.segment & (1 << PART_BITS) - 1]
            match outcome:
                case Ended() if outcome.counts_for(part.state):
                    self._end(sms, outcome.status, outcome.reason, outcome.at)
                case Postponed() if part.state is PartState.LEASED:
                    _postpone(part, outcome)
                case Moved() if part.state is PartState.LEASED:
                    self._move(sms, part, outcome, moved)
                case Submitted() if part.state in (PartState.WAITING, PartState.LEASED):
                    part.sent_at, part.status, part.reason = outcome.at, Status.NONE, ""
                    if outcome.receipt_due_at is None:
                        self._part_done(sms, part, Status.SUC_ACC, "", outcome.at)
                    else:
                        part.state, part.due_at = PartState.SUBMITTED, outcome.receipt_due_at
                        part.message_id = outcome.message_id
                        submitted[outcome.message_id] = outcome.at
                case _:
                    pass  # It comes too late.
        overtaken = [
            (of, news)
            for of, news in self._parked
            if of == carrier
            and any(
                message_id in submitted and submitted[message_id] - news.at < PARKED_FOR
                for message_id in (news.message_id, *news.spellings)
            )
        ]
        self._parked = [parked for parked in self._parked if parked not in overtaken]
        self._lookalikes = {number: each for number, each in self._lookalikes.items() if each not in overtaken}
        await self.record_receipts(carrier, [news for _, news in overtaken])

    def _keep_writer(self, sms: _Sms, at: datetime | None) -> None:
        dst = sms.planned.dst
        if at is not None and _PHONE.fullmatch(dst):
            _, last_at = self._last_writers.get(dst, (NOBODY, at))
            if at >= last_at:
                self._last_writers[dst] = sms.job.plan.account, at

    def _await_late(self, sms: _Sms, carrier: str, outcome: Submitted) -> bool:
        """The carrier took a part of an SMS that was killed meanwhile; whether there is a receipt to wait for."""
        until = outcome.matters_until
        if not _is_killed(sms) or until is None:
            return False
        known = self._late.get(outcome.segment)
        if known is None or known.until <= outcome.at:
            self._late[outcome.segment] = _Late(sms, carrier, outcome.message_id, until)
            self._work.set([recall_work(carrier)])
        return outcome.receipt_due_at is not None

    def _move(self, sms: _Sms, part: _Part, outcome: Moved, moved: set[SegmentId]) -> None:
        states = {
            PartState.WAITING
            if sms.number << PART_BITS | index in moved and each.state is PartState.LEASED
            else each.state
            for index, each in enumerate(sms.parts)
        }
        is_held = not all(each.others for each in sms.parts) or states & {PartState.SUBMITTED, PartState.DONE}
        if not is_held and PartState.LEASED not in states:
            sms.carrier = outcome.carrier
            for each in sms.parts:
                each.state, each.due_at, each.attempt_count = PartState.WAITING, outcome.due_at, 0
                each.status, each.reason, each.others = outcome.status, outcome.reason, outcome.others
            self._work.set([outcome.carrier])
            return
        instead = outcome.otherwise if is_held else outcome.waiting()
        if isinstance(instead, Postponed):
            _postpone(part, instead)
        else:
            self._end(sms, instead.status, instead.reason, instead.at)

    async def record_receipts(self, carrier: str, receipts: Sequence[ReceiptNews]) -> None:
        for news in receipts:
            match = self._submitted(carrier, news)
            if isinstance(match, _Late):
                self._tell_late(match, news)
                continue
            if match is None:
                if news.message_id or news.spellings:
                    self._park(carrier, news)
                continue
            sms, part = match
            if sms.final is not None or part.state is PartState.DONE:
                # The first final word holds; but this one may be for a part whose answer, with the same id, is to come.
                if sms.final is None and any(each.state in UNANSWERED for each in sms.parts):
                    self._park(carrier, news)
                continue
            if news.status is None:
                part.heard, part.reason = True, news.reason
            elif news.status in (Status.SUC_FIN, Status.SUC_ACC):
                self._part_done(sms, part, news.status, news.reason, news.at)
            else:
                self._end(sms, news.status, news.reason, news.at)

    def _park(self, carrier: str, news: ReceiptNews) -> None:
        self._parked.append((carrier, news))
        if news.text is not None:
            self._lookalike_count += 1
            self._lookalikes[self._lookalike_count] = carrier, news

    def _tell_late(self, late: _Late, news: ReceiptNews) -> None:
        sms, words = late.sms, [each.word for each in self._late.values() if each.sms is late.sms]
        if late.word is not Status.NONE or any(word not in _GOOD_WORDS for word in words) or sms.final is None:
            return
        sms.final = msgspec.structs.replace(sms.final, reason=news.reason)
        late.word = news.status or Status.NONE

    def _submitted(self, carrier: str, news: ReceiptNews) -> "tuple[_Sms, _Part] | _Late | None":
        ids = {message_id: place for place, message_id in reversed([*enumerate((news.message_id, *news.spellings))])}
        ids.pop("", None)
        named = [
            (
                sms.final is not None,
                news.is_about_other(sms.planned.dst),
                2 * self._is_done(sms, part),
                ids[part.message_id],
                -sms.number,
                -index,
            )
            for sms in self._sms.values()
            if sms.carrier == carrier and not _is_killed(sms)
            for index, part in enumerate(sms.parts)
            if part.message_id in ids
        ] + [
            (
                False,
                news.is_about_other(late.sms.planned.dst),
                1 if late.word is Status.NONE else 2,
                ids[late.message_id],
                -late.sms.number,
                -(segment & (1 << PART_BITS) - 1),
            )
            for segment, late in self._late.items()
            if late.carrier == carrier and late.message_id in ids and news.at < late.until
        ]
        # Where a carrier gave one id twice, it means what went to the phone; of that what isn't done, what isn't killed
        # rather than what is, and the newest of those.
        believed = [each for each in named if news.is_believed(each[3], is_other=each[1])]
        if not believed:
            return None
        *_, rank, _, number, index = min(believed)
        if rank == 1:
            return self._late[SegmentId(-number << PART_BITS | -index)]
        return self._sms[-number], self._sms[-number].parts[-index]

    def _is_done(self, sms: _Sms, part: _Part) -> bool:
        return sms.final is not None or part.state is PartState.DONE

    async def lease_recalls(self, carrier: str, limit: int, until: datetime, now: datetime) -> list[Recall]:
        due = sorted(
            (late.recall_due_at, segment)
            for segment, late in self._late.items()
            if late.carrier == carrier and late.word is Status.NONE and late.until > now
            if late.recall_due_at is not None and late.recall_due_at <= now
        )
        leased: list[Recall] = []
        for _, segment in due[:limit]:
            late = self._late[segment]
            late.recall_count += 1
            late.recall_due_at = until if late.recall_count < RECALL_TRIES else None
            leased.append(Recall(segment, late.message_id, late.sms.job.plan.options.src))
        return leased

    async def settle_recalls(self, carrier: str, message_ids: Collection[str]) -> None:
        for late in self._late.values():
            if late.carrier == carrier and late.message_id in message_ids:
                late.recall_due_at = None

    async def awaiting_receipts(self, carrier: str) -> list[str]:
        return [
            part.message_id
            for sms in self._sms.values()
            if sms.carrier == carrier and sms.final is None
            for part in sms.parts
            if part.state is PartState.SUBMITTED and part.message_id
        ]

    async def abandoned_receipts(self, carrier: str) -> list[str]:
        return []

    async def sms_at_other_carriers(self, known: Collection[str]) -> dict[str, int]:
        carriers = (sms.carrier for sms in self._sms.values() if sms.final is None)
        return Counter(carrier for carrier in carriers if carrier and carrier not in known)

    async def work_arrived(self, carrier: str, timeout_s: float) -> None:
        await self._work.wait(carrier, timeout_s)

    def _part_done(self, sms: _Sms, part: _Part, status: Status, reason: str, at: datetime) -> None:
        part.state, part.reason = PartState.DONE, reason
        if all(each.state is PartState.DONE for each in sms.parts):
            self._end(sms, status, reason, at)

    def _end(self, sms: _Sms, status: Status, reason: str, at: datetime) -> None:
        sent_at = max((part.sent_at for part in sms.parts if part.sent_at), default=None)
        sms.final = _done(status, reason, sent_at, at)
        self._happened_to_sms(sms, at)
        self._finish_job_if_done(sms.job)

    def _finish_job_if_done(self, job: _Job) -> None:
        if all(sms.final for sms in job.sms):
            job.finished_at = max(sms.final.finished_at for sms in job.sms if sms.final and sms.final.finished_at)

            def tell() -> Event | None:
                return JobFinished(_stored(job)) if job.plan.job_id in self._jobs else None

            self._happened(job.plan.account, EventType.JOB_FINISHED, job.finished_at, tell, job.plan.job_id)

    def _happened_to_sms(self, sms: _Sms, at: datetime) -> None:
        plan = sms.job.plan

        def tell() -> Event | None:
            return SmsFinished(plan.job_id, _stored_sms(sms)) if plan.job_id in self._jobs else None

        self._happened(plan.account, EventType.SMS_FINISHED, at, tell, plan.job_id)

    def _happened(
        self, account: AccountId, kind: EventType, at: datetime, tell: Telling, job_id: JobId | None = None
    ) -> None:
        if self._outbox.happened(account, kind, at, tell, job_id):
            self._work.set([EVENT_WORK])

    # Nodes

    async def meet(self, node: str, until: datetime, now: datetime) -> int:
        return self._roles.meet(node, until, now)

    async def claim(self, role: str, node: str, until: datetime, now: datetime) -> bool:
        return self._roles.claim(role, node, until, now)

    async def release(self, role: str, node: str) -> None:
        self._roles.release(role, node)

    # SMS from phones

    async def record_inbound(self, carrier: str, arrivals: Sequence[Arrival]) -> Received:
        whole: list[InboundSms] = []
        blocked_count = 0
        for arrival in arrivals:
            if arrival.lookalike and self._lookalikes.pop(arrival.lookalike, None) is None:
                continue
            part = arrival.part
            kept = [
                KeptPart(each.sms, each.done, each.arrival.part)
                for each in self._inbound_parts
                if each.carrier == carrier and each.arrival.part.thread == part.thread
            ]
            found = place(part, kept)
            if isinstance(found, Redelivered):
                continue
            self._inbound_part_count += 1
            sms = found.sms or self._inbound_part_count
            self._inbound_parts.append(_InboundPart(carrier, arrival, sms))
            if found.complete:
                blocked_count += self._pass_on(sms, part.received_at, whole)
            self._inbound_parts = [
                each
                for each in self._inbound_parts
                if not each.done or part.received_at - each.arrival.part.received_at < REDELIVERY_WINDOW
            ]
        return Received(whole, blocked_count)

    async def lookalikes(self, before: datetime, limit: int) -> list[Lookalike]:
        found = [
            Lookalike(number, carrier, news.text)
            for number, (carrier, news) in self._lookalikes.items()
            if news.text is not None and news.at <= before
        ]
        return found[:limit]

    async def give_up_missing_parts(self, begun_before: datetime, now: datetime) -> Received:
        whole: list[InboundSms] = []
        overdue = {
            each.sms for each in self._inbound_parts if not each.done and each.arrival.part.received_at < begun_before
        }
        blocked_count = sum(self._pass_on(sms, now, whole) for sms in sorted(overdue))
        return Received(whole, blocked_count)

    def _pass_on(self, number: int, now: datetime, whole: list[InboundSms]) -> int:
        """An SMS is as whole as it gets; how many others ended by what it says."""
        parts = [each for each in self._inbound_parts if each.sms == number]
        for each in parts:
            each.done = True
        first = parts[0].arrival
        account = first.owner
        if account is None:
            account, _ = self._last_writers.get(first.part.src, (NOBODY, None))
        sms = InboundSms(
            sms_id=inbound_id(now, first.number),
            account=account,
            src=first.part.src,
            dst=first.part.dst,
            text=text_of(each.arrival.part for each in parts),
            received_at=now,
        )
        self._inbound.append(sms)
        whole.append(sms)
        self._happened(account, EventType.SMS_RECEIVED, now, lambda: SmsReceived(sms) if sms in self._inbound else None)
        wish = wish_heard(sms)
        if wish is Wish.START:
            self._blocked.pop((account, sms.src), None)
        if wish is Wish.STOP:
            self._blocked.setdefault((account, sms.src), BlockedNumber(sms.src, now))
            return self._end_waiting(account, sms.src, now)
        return 0

    async def find_inbound(self, query: InboundQuery) -> list[InboundSms]:
        found = [
            sms
            for sms in reversed(self._inbound)
            if sms.account == query.account and query.since <= sms.received_at < query.until
        ]
        found.sort(key=lambda sms: sms.received_at, reverse=True)
        return found[query.offset : query.offset + query.limit]

    async def forget_inbound(self, received_before: datetime, limit: int) -> int:
        old = [sms for sms in self._inbound[:limit] if sms.received_at < received_before]
        self._inbound = [sms for sms in self._inbound if sms not in old]
        return len(old)

    # The blocklist

    async def block(self, account: AccountId, dst: str, now: datetime) -> tuple[BlockedNumber, int]:
        entry = self._blocked.setdefault((account, dst), BlockedNumber(dst, now))
        return entry, self._end_waiting(account, dst, now)

    async def unblock(self, account: AccountId, dst: str) -> BlockedNumber | None:
        return self._blocked.pop((account, dst), None)

    async def blocked(self, account: AccountId, dst: str) -> BlockedNumber | None:
        return self._blocked.get((account, dst))

    async def blocked_among(self, account: AccountId, dsts: Collection[str]) -> set[str]:
        return {dst for dst in dsts if (account, dst) in self._blocked}

    async def find_blocked(self, account: AccountId, offset: int, limit: int) -> list[BlockedNumber]:
        entries = [entry for (of, _), entry in sorted(self._blocked.items()) if of == account]
        return entries[offset : offset + limit]

    def _end_waiting(self, account: AccountId, dst: str, now: datetime) -> int:
        waiting = [
            sms
            for sms in self._sms.values()
            if sms.job.plan.account == account and sms.planned.dst == dst and _is_untouched(sms)
        ]
        for sms in waiting:
            self._end(sms, Status.BLOCKED, BLOCKED_REASON, now)
        return len(waiting)

    # Webhooks

    async def add_webhook(self, webhook: Webhook) -> None:
        self._outbox.add(webhook)

    async def webhooks(self, account: AccountId) -> list[Webhook]:
        return self._outbox.of(account)

    async def remove_webhook(self, account: AccountId, webhook: WebhookId) -> Webhook | None:
        return self._outbox.remove(self._outbox.one(account, webhook))

    async def remove_trigger(self, token: str) -> Webhook | None:
        return self._outbox.remove(self._outbox.with_token(token))

    async def lease_events(
        self, limit: int, room: int, rooms: Mapping[WebhookId, int], until: datetime, now: datetime
    ) -> list[DueEvent]:
        return self._outbox.lease(limit, room, rooms, until, now)

    async def settle_events(self, settlements: Sequence[Settlement]) -> None:
        self._outbox.settle(settlements)
        self._work.set([EVENT_WORK])

    async def find_failed_events(
        self, account: AccountId, webhook: WebhookId, offset: int, limit: int
    ) -> list[FailedEvent] | None:
        if self._outbox.one(account, webhook) is None:
            return None
        return self._outbox.failed(webhook)[offset : offset + limit]

    async def replay_events(self, account: AccountId, webhook: WebhookId, limit: int, now: datetime) -> int | None:
        found = self._outbox.one(account, webhook)
        if found is None:
            return None
        self._work.set([EVENT_WORK])
        return self._outbox.replay(found, limit, now)

    async def forget_events(self, happened_before: datetime, limit: int) -> int:
        return self._outbox.forget(happened_before, limit)

    # Accounts

    async def account(self, name: str) -> Account | None:
        return next((account for account in self._accounts.values() if account.name == name), None)

    async def accounts(self) -> list[Account]:
        return sorted(self._accounts.values(), key=lambda account: account.name)

    async def put_account(self, account: Account) -> Account:
        other = await self.account(account.name)
        if other is not None and other.id != account.id:
            raise AccountExists(f"there is an account {account.name} already; choose another name")
        if not account.id:
            account = msgspec.structs.replace(account, id=AccountId(len(self._accounts) + 1))
        self._accounts[account.id] = account
        return account

    async def take_call(self, account: AccountId, limit: RateLimit, now: datetime) -> Quota:
        return self._calls.setdefault(account, SlidingWindow()).take(limit, now)

    # The rest

    async def forget_jobs(self, received_before: datetime, limit: int) -> int:
        old = [
            job for job in self._jobs.values() if job.finished_at is not None and job.plan.received_at < received_before
        ][:limit]
        for job in old:
            del self._jobs[job.plan.job_id]
            for sms in job.sms:
                del self._sms[sms.number]
        self._late = {segment: late for segment, late in self._late.items() if late.sms.number in self._sms}
        self._last_writers = {
            dst: (account, at)
            for dst, (account, at) in self._last_writers.items()
            if at.date() >= received_before.date()
        }
        return len(old)

    async def blank_texts(self, received_before: datetime, limit: int) -> int:
        old = [
            job
            for job in self._jobs.values()
            if job.finished_at is not None and job.plan.received_at < received_before and job.plan.messages
        ][:limit]
        for job in old:
            job.plan = msgspec.structs.replace(job.plan, messages=())
        return len(old)

    async def keep_in_order(self, now: datetime, days: float) -> None:
        pass  # It is.

    async def counts(self, now: datetime) -> Counts:
        by_process_status = Counter(_progress(sms).process_status for sms in self._sms.values() if sms.final is None)
        oldest: dict[str, datetime] = {}
        for sms in self._sms.values():
            for part in sms.parts if sms.final is None else ():
                if part.state is PartState.WAITING and part.due_at <= now and sms.carrier:
                    oldest[sms.carrier] = min(part.due_at, oldest.get(sms.carrier, part.due_at))
        open_and_running = {each: by_process_status[each] for each in (ProcessStatus.OPEN, ProcessStatus.RUNNING)}
        return Counts(open_and_running, oldest, self._outbox.waiting_count)

    async def ready(self) -> None:
        return


def _stored(job: _Job) -> StoredJob:
    return StoredJob(job.plan.job_id, job.plan.received_at, job.finished_at, len(job.sms), job.plan.options)


def _stored_sms(sms: _Sms) -> StoredSms:
    return StoredSms(sms.index, sms.planned.dst, sms.planned.customer_ref, _progress(sms))


def _done(status: Status, reason: str, sent_at: datetime | None, at: datetime) -> SmsProgress:
    return SmsProgress(ProcessStatus.DONE, status, reason, sent_at, at)


def _progress(sms: _Sms) -> SmsProgress:
    return sms.final or roll_up(_part_progress(sms))


def _part_progress(sms: _Sms) -> list[PartProgress]:
    return [PartProgress(p.state, p.status, p.reason, p.sent_at) for p in sms.parts]


def _postpone(part: _Part, outcome: Postponed) -> None:
    part.state, part.due_at = PartState.WAITING, outcome.due_at
    part.attempt_count = outcome.attempt_count
    part.status, part.reason = outcome.status, outcome.reason
    if outcome.status is Status.SEND_ERR:
        part.others, part.doubtful = (), True


def _is_killed(sms: _Sms) -> bool:
    return sms.final is not None and sms.final.process_status is ProcessStatus.KILL


def _is_untouched(sms: _Sms) -> bool:
    return sms.final is None and all(part.state is PartState.WAITING for part in sms.parts)


def _lease(sms: _Sms, index: int, until: datetime) -> DuePart:
    part, plan = sms.parts[index], sms.job.plan
    message = plan.messages[sms.planned.message]
    if part.state is PartState.LEASED:
        part.others, part.doubtful = (), True
    due = DuePart(
        segment=Segment(
            id=SegmentId(sms.number << PART_BITS | index),
            job_id=plan.job_id,
            src=plan.options.src,
            dst=sms.planned.dst,
            text=message.parts[index],
            encoding=message.encoding,
            part=index + 1,
            parts=len(message.parts),
            reference=sms.number & 0xFFFF,
            flash=plan.options.flash,
            express=plan.options.qos is Qos.EXPRESS,
            receipt_wanted=plan.options.status_requested,
            expires_at=sms.planned.window.expires,
            validity_min=plan.options.validity_min,
        ),
        was=part.state,
        attempt_count=part.attempt_count,
        status=part.status,
        reason=part.reason,
        on_unknown=plan.on_unknown,
        blackouts=sms.planned.blackouts,
        heard=part.heard,
        others=part.others,
        message_id=part.message_id,
    )
    part.due_at = until
    if part.state is PartState.WAITING:
        part.state = PartState.LEASED
    return due
