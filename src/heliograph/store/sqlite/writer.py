"""What is written, transaction by transaction."""

import sqlite3
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from heliograph.jobs.accounts import Account, AccountId, OnUnknown
from heliograph.jobs.carriage import SegmentId
from heliograph.jobs.errors import (
    AccountExists,
    HeliographError,
    IdempotencyKeyTaken,
    JobDuplicate,
    SpendingLimitReached,
    StoreUnavailable,
)
from heliograph.jobs.naming import JobId, received_ms
from heliograph.jobs.plan import JobPlan
from heliograph.jobs.spending import check_spending, counted_since, spending_second
from heliograph.jobs.status import PartProgress, PartState, ProcessStatus, Status, cancelled
from heliograph.jobs.webhooks import Webhook, WebhookId
from heliograph.store.interface import (
    DUPLICATE_WINDOW,
    IDEMPOTENCY_WINDOW,
    PART_BITS,
    Added,
    Arrival,
    DuePart,
    Ended,
    Moved,
    Outcome,
    Postponed,
    ReceiptNews,
    Settlement,
    Submitted,
)
from heliograph.store.rows import (
    COUNTER_BITS,
    due_parts,
    first_job_number,
    instant_ms,
    instant_ms_up,
    instant_of,
    names_row,
)
from heliograph.store.sqlite import recalling
from heliograph.store.sqlite.blocklist import Blocklists
from heliograph.store.sqlite.calls import KeepCalls
from heliograph.store.sqlite.connection import Connection
from heliograph.store.sqlite.ends import Ends, PartDone, Parts, SmsEnd
from heliograph.store.sqlite.events import DELETED_EVENTS, Events
from heliograph.store.sqlite.inbound import Inbound
from heliograph.store.sqlite.receipts import PARKED_FOR_MS, Receipts

ACCOUNTS_A_LEASE = 64
"""How many accounts one lease looks at; the next one goes on where it stopped."""
FORGOTTEN_SMS = 5000
"""How many SMS are deleted in one step at most, give or take a job: in tens of milliseconds."""
STEP_ROWS = 25
"""About how many rows are written on the event loop before others have a turn: a quarter of a dispatcher's batch."""
_FOREVER = 1 << 62
_Row = TypeVar("_Row")


class AddJob(msgspec.Struct, frozen=True):
    """Write: keep a job."""

    plan: JobPlan


class CancelJob(msgspec.Struct, frozen=True):
    """Write: end what is not final of a job. sms_count: of the job."""

    account: AccountId
    job_id: str
    now: datetime
    sms_count: int


class Lease(msgspec.Struct, frozen=True):
    """Write: take segments that are due."""

    carrier: str
    limit: int
    until: datetime
    now: datetime
    normal_limit: int | None = None


class RecordOutcomes(msgspec.Struct, frozen=True):
    """Write: what became of segments."""

    carrier: str
    outcomes: Sequence[Outcome]


class RecordReceipts(msgspec.Struct, frozen=True):
    """Write: what receipts say."""

    carrier: str
    receipts: Sequence[ReceiptNews]


class LeaseRecalls(msgspec.Struct, frozen=True):
    """Write: take parts of killed SMS that a carrier is to drop."""

    carrier: str
    limit: int
    until: datetime
    now: datetime


class SettleRecalls(msgspec.Struct, frozen=True):
    """Write: a carrier has answered for what it was to drop."""

    carrier: str
    message_ids: Sequence[str]


class PutAccount(msgspec.Struct, frozen=True):
    """Write: add or change an account."""

    account: Account


class RecordInbound(msgspec.Struct, frozen=True):
    """Write: parts of SMS from phones."""

    carrier: str
    arrivals: Sequence[Arrival]


class GatherWriters(msgspec.Struct, frozen=True):
    """Write: who wrote to which phones, one step."""


class GiveUpMissingParts(msgspec.Struct, frozen=True):
    """Write: SMS from phones are whole, though parts are missing."""

    begun_before: datetime
    now: datetime


class ForgetInbound(msgspec.Struct, frozen=True):
    """Write: delete old SMS from phones."""

    received_before: datetime
    limit: int


class Block(msgspec.Struct, frozen=True):
    """Write: a number goes on an account's blocklist."""

    account: AccountId
    dst: str
    now: datetime


class Unblock(msgspec.Struct, frozen=True):
    """Write: a number goes off an account's blocklist."""

    account: AccountId
    dst: str


class EndWaiting(msgspec.Struct, frozen=True):
    """Write: SMS to blocked numbers come to their end, those that wait."""

    sms: Sequence[int]
    at: datetime


class AddWebhook(msgspec.Struct, frozen=True):
    """Write: keep a webhook."""

    webhook: Webhook


class RemoveWebhook(msgspec.Struct, frozen=True):
    """Write: remove an account's webhook; account None: the one with a token."""

    account: AccountId | None
    key: str


class DeleteEventsOf(msgspec.Struct, frozen=True):
    """Write: delete some events of a webhook that was removed."""

    webhook: int


class LeaseEvents(msgspec.Struct, frozen=True):
    """Write: take events that are due."""

    limit: int
    room: int
    rooms: Mapping[WebhookId, int]
    until: datetime
    now: datetime


class SettleEvents(msgspec.Struct, frozen=True):
    """Write: what became of events."""

    settlements: Sequence[Settlement]


class ReplayEvents(msgspec.Struct, frozen=True):
    """Write: events that were given up are due again."""

    account: AccountId
    webhook: WebhookId
    limit: int
    now: datetime


class ForgetEvents(msgspec.Struct, frozen=True):
    """Write: delete old events."""

    happened_before: datetime
    limit: int


class Probe(msgspec.Struct, frozen=True):
    """Write: nothing, but on the disk, to see whether it takes it."""


class ForgetJobs(msgspec.Struct, frozen=True):
    """Write: delete old jobs."""

    received_before: datetime
    limit: int


class BlankTexts(msgspec.Struct, frozen=True):
    """Write: delete the texts of old jobs."""

    received_before: datetime
    limit: int


Write = (
    AddJob | CancelJob | Lease | RecordOutcomes | RecordReceipts | RecordInbound | GatherWriters | GiveUpMissingParts
    | ForgetInbound | Block | Unblock | EndWaiting | AddWebhook | RemoveWebhook | DeleteEventsOf | LeaseEvents
    | SettleEvents | ReplayEvents | ForgetEvents | PutAccount | ForgetJobs | BlankTexts | Probe | LeaseRecalls
    | SettleRecalls | KeepCalls
)  # fmt: skip


def row_count(write: Write) -> int:
    """About how many rows a write touches; for those that look for old jobs, enough to be called many."""
    match write:
        case AddJob():
            return len(write.plan.sms)
        case CancelJob():
            return 3 * write.sms_count
        case Lease():
            return write.limit
        case RecordOutcomes():
            return len(write.outcomes)
        case RecordReceipts():
            return len(write.receipts)
        case RecordInbound():
            return 10 * len(write.arrivals)
        case EndWaiting():
            return len(write.sms)
        case ForgetInbound() | LeaseEvents() | ReplayEvents() | ForgetEvents() | LeaseRecalls():
            return write.limit
        case SettleRecalls():
            return len(write.message_ids)
        case KeepCalls():
            return len(write.calls)
        case SettleEvents():
            return len(write.settlements)
        case DeleteEventsOf():
            return DELETED_EVENTS
        case ForgetJobs() | BlankTexts() | GatherWriters() | GiveUpMissingParts():
            return FORGOTTEN_SMS
        case PutAccount() | Probe() | Block() | Unblock() | AddWebhook() | RemoveWebhook():
            return 1


def _slices(rows: Sequence[_Row]) -> list[Sequence[_Row]]:
    return [rows[first : first + STEP_ROWS] for first in range(0, len(rows), STEP_ROWS)]


def _slices_of_whole_sms(outcomes: Sequence[Outcome]) -> list[Sequence[Outcome]]:
    """The same for outcomes: those of one SMS stay together, for which of them counts is decided among them."""
    if len(outcomes) <= STEP_ROWS:
        return [outcomes]
    outcomes = sorted(outcomes, key=_sms_of)
    slices: list[Sequence[Outcome]] = []
    first = 0
    while first < len(outcomes):
        end = first + STEP_ROWS
        while end < len(outcomes) and _sms_of(outcomes[end]) == _sms_of(outcomes[end - 1]):
            end += 1
        slices.append(outcomes[first:end])
        first = end
    return slices


def _sms_of(outcome: Outcome) -> int:
    return outcome.segment >> PART_BITS


class Writer:
    """The connection that writes, and what it must remember between writes."""

    def __init__(self, connection: Connection) -> None:
        self._db = connection
        self._last_sms = int(connection.query("last_sms_number")[0][0])
        self._last_served: dict[str, int] = {}
        self._blocklists = Blocklists(connection)
        self.events = Events(connection)
        self._ends = Ends(connection, self.events)
        self._receipts = Receipts(connection, self._ends)
        self._inbound = Inbound(connection, self._blocklists, self.events)
        self._before = self._last_sms, self._receipts.parked_count, self._inbound.ungathered_count

    @property
    def is_far_behind(self) -> bool:
        """Whether a write needs GatherWriters before it that asks who wrote to a phone."""
        return self._inbound.is_far_behind

    def free_leases(self, now: datetime) -> None:
        """Let whatever the process before had leased fall due at once."""
        self._db.run("free_leases", instant_ms(now), instant_ms(now))
        self._db.run("free_event_leases", instant_ms(now), instant_ms(now))

    def try_now(self, writes: Sequence[Write]) -> Generator[None, None, list[Any] | None]:
        """Write a batch, all but the commit, waiting for nobody; None if nothing was, and `apply` is to do it.

        Step by step, each in under a millisecond. What comes between writes nothing.
        """
        try:
            self._begin(wait=False)
            return (yield from self._steps(writes))
        except Exception:  # noqa: BLE001 # Whatever it is: `apply` meets it again, and tells whoever it concerns.
            self._undo()
            return None

    def abandon(self) -> None:
        """Whatever `try_now` has begun will not be committed."""
        self._undo()

    def commit(self, writes: Sequence[Write], results: list[Any]) -> list[Any]:
        """Make durable what `try_now` wrote; its results, or what came of another try."""
        try:
            self._db.raw.execute("COMMIT")
        except sqlite3.Error:
            self._undo()
            return self.apply(writes)
        return results

    def apply(self, writes: Sequence[Write]) -> list[Any]:
        """Write a batch in one transaction, or each write in its own if that fails; an exception is a result."""
        try:
            self._begin(wait=True)
            results = self._write_all(writes)
            self._db.raw.execute("COMMIT")
            return results
        except sqlite3.Error as error:
            self._undo()
            away = getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
            if len(writes) == 1 or away:  # Each write would wait as long again for another process that is writing.
                return [StoreUnavailable(f"the database can't be written: {error}") for _ in writes]
        except Exception as error:  # noqa: BLE001 # A bug, told to whoever ran into it; the others can't help it.
            self._undo()
            if len(writes) == 1:
                return [error]
        return [result for write in writes for result in self.apply([write])]

    def _begin(self, *, wait: bool) -> None:
        self._before = self._last_sms, self._receipts.parked_count, self._inbound.ungathered_count
        self._db.begin(wait=wait)

    def _undo(self) -> None:
        self._last_sms, self._receipts.parked_count, self._inbound.ungathered_count = self._before
        if self._db.raw.in_transaction:
            self._db.raw.execute("ROLLBACK")

    def _write_all(self, writes: Sequence[Write]) -> list[Any]:
        steps = self._steps(writes)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                return end.value

    def _steps(self, writes: Sequence[Write]) -> Generator[None, None, list[Any]]:
        results: list[Any] = []
        rows = 0
        for write in writes:
            if isinstance(write, AddJob):
                continue
            step_rows = min(row_count(write), STEP_ROWS)
            if rows and rows + step_rows > STEP_ROWS:
                yield
                rows = 0
            rows += step_rows
            results.append((yield from self._in_steps(write)))
        jobs = [write.plan for write in writes if isinstance(write, AddJob)]
        if jobs:
            if rows:
                yield
            job_results = iter(self._add_jobs(jobs))
            others = iter(results)
            results = [next(job_results if isinstance(write, AddJob) else others) for write in writes]
        return results

    def _in_steps(self, write: Write) -> Generator[None, None, Any]:
        """One write; where its rows can be written some at a time, others have turns between."""
        match write:
            case Lease():
                return (yield from self._lease_in_steps(write))
            case RecordOutcomes():
                return (yield from self._record_outcomes_in_steps(write))
            case RecordReceipts():
                return (yield from self._record_receipts_in_steps(write))
            case _:
                return self._write(write)

    def _lease_in_steps(self, lease: Lease) -> Generator[None, None, list[DuePart]]:
        leased: list[DuePart] = []
        limit, normal_limit = lease.limit, lease.normal_limit
        while True:
            step = msgspec.structs.replace(lease, limit=min(limit, STEP_ROWS), normal_limit=normal_limit)
            found = self._lease(step)
            leased += found
            limit -= len(found)
            if len(found) < step.limit or not limit:
                return leased
            if normal_limit is not None:
                normal_limit -= sum(not part.segment.express for part in found)
            yield

    def _record_outcomes_in_steps(self, record: RecordOutcomes) -> Generator[None, None, bool]:
        """Whether the carrier is to drop something that it took: its SMS was killed meanwhile."""
        awaited: list[tuple[object, ...]] = []
        first, *others = _slices_of_whole_sms(record.outcomes)
        is_unwanted = self._record_outcomes(record.carrier, first, awaited)
        for outcomes in others:
            yield
            is_unwanted |= self._record_outcomes(record.carrier, outcomes, awaited)
        # Only now: of two SMS with one id, a receipt means the one to its phone, though it be answered last.
        for some in _slices(awaited) if self._receipts.parked_count else ():
            if others:
                yield
            self._receipts.unpark(record.carrier, some)
        return is_unwanted

    def _record_receipts_in_steps(self, record: RecordReceipts) -> Generator[None, None, None]:
        for place, receipts in enumerate(_slices(record.receipts)):
            if place:
                yield
            self._receipts.record(record.carrier, receipts)

    def _write(self, write: Write) -> Any:
        match write:
            case CancelJob():
                return self._cancel_job(write)
            case RecordInbound():
                return self._inbound.record(write.carrier, self._receipts.still_there(write.arrivals))
            case GiveUpMissingParts():
                return self._inbound.give_up_missing_parts(write.begun_before, write.now)
            case GatherWriters():
                return self._inbound.gather_writers()
            case ForgetInbound():
                return self._db.run("forget_inbound", write.limit, instant_ms_up(write.received_before))
            case Block():
                return self._blocklists.block(write.account, write.dst, write.now)
            case Unblock():
                return self._blocklists.unblock(write.account, write.dst)
            case EndWaiting():
                return self._ends.end_waiting(write.sms, instant_ms(write.at))
            case AddWebhook():
                return self.events.add_webhook(write.webhook)
            case RemoveWebhook():
                return self.events.remove_webhook(write.account, write.key)
            case DeleteEventsOf():
                return self.events.delete_events_of(write.webhook)
            case LeaseEvents():
                return self.events.lease(write.limit, write.room, write.rooms, write.until, write.now)
            case SettleEvents():
                return self.events.settle(write.settlements)
            case ReplayEvents():
                return self.events.replay(write.account, write.webhook, write.limit, write.now)
            case ForgetEvents():
                return self.events.forget(write.happened_before, write.limit)
            case LeaseRecalls():
                return recalling.lease(self._db, write.carrier, write.limit, write.until, write.now)
            case SettleRecalls():
                return recalling.settle(self._db, write.carrier, write.message_ids)
            case KeepCalls():
                return self._keep_calls(write)
            case PutAccount():
                return self._put_account(write.account)
            case ForgetJobs():
                return self._forget_jobs(write)
            case BlankTexts():
                return self._blank_texts(write)
            case Probe():
                return self._db.touch()
            case AddJob():
                raise AssertionError("jobs are written together, by _add_jobs")
            case Lease() | RecordOutcomes() | RecordReceipts():
                raise AssertionError("these are written in steps, by _in_steps")

    # Jobs

    def _add_jobs(self, plans: Sequence[JobPlan]) -> list[HeliographError | Added]:
        found: list[HeliographError | Added | None] = []
        jobs: list[tuple[object, ...]] = []
        messages: list[tuple[object, ...]] = []
        sms: list[tuple[object, ...]] = []
        live: list[tuple[object, ...]] = []
        for plan in plans:
            found.append(self._first(plan) or self._refusal(plan))
            if found[-1] is None:
                self._keep_idempotency(plan)
        new = [plan for plan, known in zip(plans, found, strict=True) if known is None]
        added: list[Added] = []
        for plan in self._blocklists.applied_to(new):
            self._add_rows(plan, jobs, messages, sms, live)
            verdicts = [each.verdict for each in plan.sms if each.carrier is None]
            added.append(Added(plan.job_id, True, Counter(verdicts) if verdicts else {}))
        self._db.run_rows("insert_jobs", jobs)
        self._db.run_rows("insert_messages", messages)
        self._db.run_rows("insert_sms", sms)
        self._db.run_rows("insert_live", live)
        rest = iter(added)
        return [next(rest) if known is None else known for known in found]

    def _first(self, plan: JobPlan) -> IdempotencyKeyTaken | Added | None:
        """What there is under the plan's idempotency key."""
        if plan.idempotency is None:
            return None
        since = instant_ms(plan.received_at - IDEMPOTENCY_WINDOW)
        rows = self._db.query("idempotency", plan.account, plan.idempotency.key, since)
        for digest, job_id in rows:
            is_same = digest == plan.idempotency.fingerprint
            return Added(JobId(job_id), False, {}) if is_same else IdempotencyKeyTaken(job_id)
        return None

    def _keep_idempotency(self, plan: JobPlan) -> None:
        if plan.idempotency is None:
            return
        key, digest = plan.idempotency.key, plan.idempotency.fingerprint
        self._db.run("keep_idempotency", plan.account, key, digest, plan.job_id, instant_ms(plan.received_at))
        self._db.run("forget_idempotency", 4, instant_ms(plan.received_at - IDEMPOTENCY_WINDOW))

    def _refusal(self, plan: JobPlan) -> HeliographError | None:
        if plan.fingerprint is not None:
            since = instant_ms(plan.received_at - DUPLICATE_WINDOW)
            first = self._db.query("fingerprint", plan.account, plan.fingerprint, since)
            if first:
                return JobDuplicate(first[0][0])
        if plan.sms_per_hour is not None:
            try:
                self._spend(plan, plan.sms_per_hour)
            except SpendingLimitReached as error:
                return error
        if plan.fingerprint is not None:
            now = instant_ms(plan.received_at)
            self._db.run("keep_fingerprint", plan.account, plan.fingerprint, plan.job_id, now)
            self._db.run("forget_fingerprints", 4, instant_ms(plan.received_at - DUPLICATE_WINDOW))
        return None

    def _spend(self, plan: JobPlan, sms_per_hour: int) -> None:
        since = counted_since(plan.received_at)
        spent = self._db.query("spent", plan.account, since)
        check_spending(spent, plan.part_count, sms_per_hour, plan.received_at)
        self._db.run("forget_spent", plan.account, since)
        self._db.run("spend", plan.account, spending_second(plan.received_at), plan.part_count)

    def _add_rows(
        self,
        plan: JobPlan,
        jobs: list[tuple[object, ...]],
        messages: list[tuple[object, ...]],
        sms: list[tuple[object, ...]],
        live: list[tuple[object, ...]],
    ) -> None:
        received = instant_ms(plan.received_at)
        first_sms = number = self._last_sms + 1
        job = received << COUNTER_BITS | first_sms & (1 << COUNTER_BITS) - 1
        lane = plan.lane
        window, due, expires = None, 0, 0
        periods, blackouts = (), None
        live_count_before = len(live)
        for planned in plan.sms:
            common = (number, job, planned.message, planned.dst, planned.customer_ref, planned.parts)
            if planned.carrier is None:
                sms.append((*common, "DONE", planned.verdict.value, planned.reason, None, received))
            else:
                sms.append((*common, None, None, None, None, None))
                if planned.window is not window:
                    window = planned.window
                    expires = instant_ms(window.expires)
                    due = instant_ms_up(window.due)
                if planned.blackouts is not periods:
                    periods = planned.blackouts
                    blackouts = msgspec.json.encode(periods) if periods else None
                others = names_row(planned.others)
                rest = (
                    planned.carrier,
                    lane,
                    plan.account,
                    due,
                    expires,
                    blackouts,
                    0,
                    0,
                    "",
                    "",
                    None,
                    None,
                    0,
                    others,
                )
                live += [(number << PART_BITS | part, *rest) for part in range(planned.parts)]
            number += 1
        self._last_sms = number - 1
        finished_sms = [n for n, planned in enumerate(plan.sms, first_sms) if planned.carrier is None]
        give_up = plan.on_unknown is OnUnknown.GIVE_UP
        options = msgspec.json.encode(plan.options)
        finished = received if len(live) == live_count_before else None
        if finished_sms:
            self.events.job_added(plan.account, job, finished_sms, received, finished=finished is not None)
        jobs.append((job, plan.job_id, plan.account, first_sms, len(plan.sms), give_up, options, False, finished))
        for place, message in enumerate(plan.messages):
            parts = None if message.parts == (message.text,) else msgspec.json.encode(message.parts).decode()
            messages.append((job, place, message.text, message.encoding.value, parts))

    def _cancel_job(self, cancel: CancelJob) -> tuple[tuple[Any, ...], int, int, set[str]] | None:
        """The job's row, how many SMS became CANCELED and KILL, and which carriers are to drop something."""
        numbers = sms_range_of(cancel.job_id)
        rows = numbers and self._db.query("job", *numbers, cancel.job_id, cancel.account)
        if not rows:
            return None
        _, _, first_sms, sms_count, *_ = rows[0]
        progress: dict[int, list[PartProgress]] = {}
        parts: dict[int, Parts] = {}
        tried: set[int] = set()
        doubted: set[int] = set()
        late: dict[int, list[tuple[object, ...]]] = {}
        recalling_carriers: set[str] = set()
        bounds = first_sms << PART_BITS, first_sms + sms_count << PART_BITS
        for row in self._db.query("to_cancel", *bounds):
            segment, carrier, state, attempts, doubtful, status, reason, message_id, sent, due = row
            number = segment >> PART_BITS
            sent_at = None if sent is None else instant_of(sent)
            progress.setdefault(number, []).append(PartProgress(PartState(state), Status(status), reason, sent_at))
            parts.setdefault(number, {})[segment] = state, sent
            if attempts:
                tried.add(number)
            if doubtful:
                doubted.add(number)
            if state == PartState.SUBMITTED.value and message_id is not None:
                late.setdefault(number, []).append((segment, carrier, message_id, due, ""))
                recalling_carriers.add(carrier)
        counts: Counter[ProcessStatus] = Counter()
        ended: dict[int, SmsEnd] = {}
        for number, each in progress.items():
            end = cancelled(each, tried=number in tried, doubtful=number in doubted, now=cancel.now)
            ended[number] = SmsEnd(end.status, end.reason, instant_ms(cancel.now), end.process_status)
            counts[end.process_status] += 1
        self._ends.end(ended, parts)
        self._db.run_rows("insert_late", [row for rows in late.values() for row in rows])
        self._db.run("forget_late", instant_ms(cancel.now), 2 * len(late) + 10)
        job = self._db.query("job", *numbers, cancel.job_id, cancel.account)[0] if ended and numbers else rows[0]
        return job, counts[ProcessStatus.CANCELED], counts[ProcessStatus.KILL], recalling_carriers

    # Work that falls due

    def _lease(self, lease: Lease) -> list[DuePart]:
        now = instant_ms(lease.now)
        last = self._last_served.get(lease.carrier, 0)
        while True:
            wanted: list[int] = []
            for lane in (0, 1):
                room = lease.limit - len(wanted)
                if lane and lease.normal_limit is not None:
                    room = min(room, lease.normal_limit)
                if room > 0:
                    wanted += self._take_turns(lease.carrier, lane, room, now)
            blocked = {segment >> PART_BITS for segment in self._blocklists.segments_among(wanted)}
            if not self._ends.end_waiting(blocked, now):
                break
            self._last_served[lease.carrier] = last
        if not wanted:
            return []
        rows = self._db.query_rows("leased", [(segment,) for segment in wanted])
        until = instant_ms_up(lease.until)
        self._db.run_rows("lease", [(segment, until) for segment in wanted])
        by_id = {part.segment.id: part for part in due_parts(rows)}
        return [by_id[SegmentId(segment)] for segment in wanted]

    def _take_turns(self, carrier: str, lane: int, limit: int, now: int) -> list[int]:
        last = self._last_served.get(carrier, 0)
        turns = self._accounts_due(carrier, lane, now, after=last)
        # Every account is asked for the same number, so that going round them in turn never runs short by mistake.
        depth = -(-limit // len(turns)) if turns else 0
        while True:
            found = [
                [row[0] for row in self._db.query("due_of_account", carrier, lane, account, now, depth)]
                for account in turns
            ]
            if sum(map(len, found)) >= limit or all(len(each) < depth for each in found):
                break
            depth *= 2
        taken: list[int] = []
        for turn in range(depth):
            for account, segments in zip(turns, found, strict=True):
                if turn < len(segments) and len(taken) < limit:
                    taken.append(segments[turn])
                    self._last_served[carrier] = account
        return taken

    def _accounts_due(self, carrier: str, lane: int, now: int, after: int) -> list[int]:
        """The accounts that have something due, in turn: those after one by id, then from the lowest on."""
        due: list[int] = []
        for start, stop in ((after, _FOREVER), (0, after)):
            if start < stop and len(due) < ACCOUNTS_A_LEASE:
                lanes = carrier, lane
                room = ACCOUNTS_A_LEASE - len(due)
                rows = self._db.query("accounts_due", *lanes, start, *lanes, stop, stop, *lanes, now, room)
                due += [row[0] for row in rows]
        return due

    def _record_outcomes(self, carrier: str, outcomes: Sequence[Outcome], awaited: list[tuple[object, ...]]) -> bool:
        """Whether the carrier is to drop something. awaited: what receipts may have come for is added to it."""
        submitted: list[tuple[object, ...]] = []
        postponed: list[tuple[object, ...]] = []
        taken: list[PartDone] = []
        ended: list[Ended] = []
        moved: list[Moved] = []
        for outcome in outcomes:
            match outcome:
                case Submitted():
                    at = instant_ms(outcome.at)
                    if outcome.receipt_due_at is None:
                        taken.append(PartDone(outcome.segment, at, "", at))
                        continue
                    message_id = outcome.message_id or None
                    submitted.append((outcome.segment, instant_ms_up(outcome.receipt_due_at), message_id, at))
                    if message_id is not None:
                        awaited.append((message_id, carrier, at - PARKED_FOR_MS))
                case Postponed():
                    postponed.append(_postponed_row(outcome, carrier))
                case Moved():
                    moved.append(outcome)
                case Ended():
                    ended.append(outcome)
        self._inbound.list_sent(outcomes)
        some_are_gone = self._db.run_rows("submitted", submitted) < len(submitted)
        self._db.run_rows("postponed", postponed)
        some_are_gone |= self._ends.parts_done(taken, Status.SUC_ACC, before=PartState.SUBMITTED)
        is_unwanted = some_are_gone and self._await_late(carrier, outcomes)
        if moved:
            self._ends.end(self._move(carrier, moved))  # These come before an Ended, and the first counts.
        if ended:
            self._end_segments(ended)
        return is_unwanted

    def _end_segments(self, outcomes: Sequence[Ended]) -> None:
        """SMS end with those segments of theirs for which that counts."""
        parts = self._ends.parts({each.segment >> PART_BITS for each in outcomes})
        ended: dict[int, SmsEnd] = {}
        for each in outcomes:
            number = each.segment >> PART_BITS
            known = parts.get(number, {}).get(each.segment)
            if known is not None and each.counts_for(PartState(known[0])):
                ended.setdefault(number, SmsEnd(each.status, each.reason, instant_ms(each.at)))
        self._ends.end(ended, parts)

    def _await_late(self, carrier: str, outcomes: Sequence[Outcome]) -> bool:
        """Some segments that the carrier took are not live any more: the receipts of those that were killed.

        Whether there were any.
        """
        rows = [
            (each.segment, carrier, each.message_id, instant_ms_up(each.matters_until), instant_ms(each.at))
            for each in outcomes
            if isinstance(each, Submitted) and each.matters_until is not None
        ]
        return self._db.run_rows("submitted_late", rows) > 0

    def _move(self, carrier: str, moved: Sequence[Moved]) -> dict[int, SmsEnd]:
        """SMS go to other carriers, those that may; the ends of those that come to theirs instead."""
        parts: dict[int, dict[int, int]] = {}
        bound: set[int] = set()
        for segment, state, at_carrier, has_others in self._db.query_rows(
            "movable", [(number,) for number in dict.fromkeys(each.segment >> PART_BITS for each in moved)]
        ):
            if at_carrier != carrier:
                continue  # It has moved.
            parts.setdefault(segment >> PART_BITS, {})[segment] = state
            if not has_others or state > PartState.LEASED.value:
                bound.add(segment >> PART_BITS)
        first: dict[int, Moved] = {}
        leased = {
            each.segment
            for each in moved
            if parts.get(each.segment >> PART_BITS, {}).get(each.segment) == PartState.LEASED.value
        }
        postponed: list[tuple[object, ...]] = []
        ended: dict[int, SmsEnd] = {}
        for each in moved:
            number = each.segment >> PART_BITS
            if each.segment not in leased:
                continue  # It comes too late.
            in_the_way = (
                state == PartState.LEASED.value and segment not in leased for segment, state in parts[number].items()
            )
            if number not in bound and not any(in_the_way):
                first.setdefault(number, each)
                continue
            instead = each.otherwise if number in bound else each.waiting()
            if isinstance(instead, Postponed):
                postponed.append(_postponed_row(instead, carrier))
            else:
                ended.setdefault(number, SmsEnd(instead.status, instead.reason, instant_ms(instead.at)))
        rows: list[tuple[object, ...]] = []
        for number, each in first.items():
            news = each.carrier, names_row(each.others), instant_ms_up(each.due_at), each.status.value, each.reason
            rows += [(segment, *news) for segment in parts[number]]
        self._db.run_rows("postponed", postponed)
        self._db.run_rows("moved", rows)
        return ended

    # Accounts

    def _put_account(self, account: Account) -> Account | AccountExists:
        content = msgspec.json.encode(account)
        taken = self._db.query("account", account.name)
        if taken and taken[0][0] != account.id:
            return AccountExists(f"there is an account {account.name} already; choose another name")
        if account.id:
            self._db.run("update_account", account.name, content, account.id)
            return account
        rows = self._db.query("insert_account", account.name, content)
        return msgspec.structs.replace(account, id=AccountId(rows[0][0]))

    def _keep_calls(self, keep: KeepCalls) -> None:
        self._db.run_rows("keep_calls", keep.calls)
        for account, last in keep.forgotten:
            self._db.run("forget_calls", account, last)

    # The rest

    def _forget_jobs(self, forget: ForgetJobs) -> int:
        self._inbound.gather_writers()
        self._inbound.forget_writers(forget.received_before)
        self._db.run("forget_late", instant_ms(forget.received_before), FORGOTTEN_SMS)
        self._db.run("forget_idempotency", FORGOTTEN_SMS, instant_ms(forget.received_before - IDEMPOTENCY_WINDOW))
        before = first_job_number(forget.received_before)
        numbers: list[tuple[int]] = []
        sms_total = 0
        for job, first_sms, sms_count in self._db.query("old_jobs", before, forget.limit):
            if numbers and sms_total + sms_count > FORGOTTEN_SMS:
                break
            sms_total += sms_count
            numbers.append((job,))
            self._db.run("delete_sms", first_sms, first_sms + sms_count)
            self._db.run("delete_late", first_sms << PART_BITS, first_sms + sms_count << PART_BITS)
        if numbers:
            self._db.run("keep_last_sms_number", self._last_sms)
        self._db.run_rows("delete_messages", numbers)
        self._db.run_rows("delete_jobs", numbers)
        return len(numbers)

    def _blank_texts(self, blank: BlankTexts) -> int:
        before = first_job_number(blank.received_before)
        jobs = [(row[0],) for row in self._db.query("jobs_with_texts", before, blank.limit)]
        self._db.run_rows("blank_messages", jobs)
        self._db.run_rows("blank_jobs", jobs)
        return len(jobs)


def _postponed_row(outcome: Postponed, carrier: str) -> tuple[object, ...]:
    due = instant_ms_up(outcome.due_at)
    return outcome.segment, due, outcome.attempt_count, outcome.status.value, outcome.reason, carrier


def sms_range_of(job_id: str) -> tuple[int, int] | None:
    """Between which numbers a job with that public id lies; None if the id was never ours."""
    received = received_ms(job_id)
    return None if received is None else (received << COUNTER_BITS, received + 1 << COUNTER_BITS)
