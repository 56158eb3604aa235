"""The Store in one SQLite file: one connection writes, in group commits; everything else only reads."""

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Callable, Collection, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import structlog

from heliograph.jobs.accounts import Account, AccountId, RateLimit
from heliograph.jobs.errors import StoreUnavailable
from heliograph.jobs.plan import JobPlan
from heliograph.jobs.records import BlockedNumber, InboundSms, StoredJob, StoredSms
from heliograph.jobs.search import FoundSms
from heliograph.jobs.status import ProcessStatus
from heliograph.jobs.webhooks import FailedEvent, Webhook, WebhookId
from heliograph.store.group_commit import GroupCommit
from heliograph.store.in_process import Roles, WorkBell
from heliograph.store.interface import (
    EVENT_WORK,
    LOOKALIKE,
    PART_BITS,
    Added,
    Arrival,
    Cancelled,
    Counts,
    DueEvent,
    DuePart,
    InboundQuery,
    JobQuery,
    Lookalike,
    Moved,
    Outcome,
    Quota,
    Recall,
    ReceiptNews,
    Received,
    Settlement,
    SmsQuery,
    recall_work,
)
from heliograph.store.rows import (
    account_of,
    blocked_number,
    first_job_number,
    inbound_sms,
    instant_ms,
    instant_ms_up,
    instant_of,
    lookalikes,
    stored_job,
    stored_sms,
)
from heliograph.store.sqlite.calls import Calls
from heliograph.store.sqlite.connection import SCHEMA_VERSION, Connection, FileLock
from heliograph.store.sqlite.events import failed_events, webhook_of
from heliograph.store.sqlite.search import Search
from heliograph.store.sqlite.writer import (
    AddJob,
    AddWebhook,
    BlankTexts,
    Block,
    CancelJob,
    DeleteEventsOf,
    EndWaiting,
    ForgetEvents,
    ForgetInbound,
    ForgetJobs,
    GatherWriters,
    GiveUpMissingParts,
    Lease,
    LeaseEvents,
    LeaseRecalls,
    Probe,
    PutAccount,
    RecordInbound,
    RecordOutcomes,
    RecordReceipts,
    RemoveWebhook,
    ReplayEvents,
    SettleEvents,
    SettleRecalls,
    Unblock,
    Write,
    Writer,
    row_count,
    sms_range_of,
)

log = structlog.get_logger()

Result = TypeVar("Result")

READ_AT_ONCE_ROWS = 100
"""So few rows are read faster on the event loop (tens of microseconds) than another thread is asked for them."""

WRITE_AT_ONCE_ROWS = 400
"""So few rows are written on the event loop, and only their commit, which waits for the disk, in another thread: two
threads that both run Python take turns at the interpreter's lock, half a millisecond each (docs/decisions/0010)."""
JOB_ROWS_AT_ONCE = 200
"""How many of them may be jobs', for those aren't written in steps."""


_Steps = Generator[None, None, "list[Any] | None"]


class SqliteStore:
    """See `store.interface` for what each method promises. Made by `open_sqlite`."""

    def __init__(self, path: Path) -> None:
        with ExitStack() as connections:
            # The one that writes comes first and is closed last: it leaves a file without a log beside it.
            writer = connections.enter_context(closing(Connection(path)))
            self._reader = connections.enter_context(closing(Connection(path, read_only=True)))
            self._far_reader = connections.enter_context(closing(Connection(path, read_only=True)))
            self.writer = Writer(writer)
            self._connections = connections.pop_all()
        self._readers = ThreadPoolExecutor(1, thread_name_prefix="sqlite-read")
        self._writers = ThreadPoolExecutor(1, thread_name_prefix="sqlite-write")
        self._closed = False
        self._commits = GroupCommit[Write](self._commit)
        self._calls = Calls(self._calls_of, self._commits.write)
        self._work = WorkBell()
        self._roles = Roles()
        self._events_told = 0

    async def _write(self, write: Write) -> Any:
        """Write something, and wake whoever waits for events if it made any due."""
        result = await self._commits.write(write)
        self._tell_of_events()
        return result

    async def _write_asked(self, write: Write) -> Any:
        """The same for what a customer asked for. Raises Overloaded."""
        result = await self._commits.write_asked(write, row_count(write))
        self._tell_of_events()
        return result

    def _tell_of_events(self) -> None:
        due_count = self.writer.events.due_count
        if due_count != self._events_told:
            self._events_told = due_count
            self._work.set([EVENT_WORK])

    def _commit(self, writes: list[Write]) -> "asyncio.Future[Sequence[Any]]":
        if self._closed:
            raise StoreUnavailable("the database has been closed")
        loop = asyncio.get_running_loop()
        job_rows = sum(row_count(write) for write in writes if isinstance(write, AddJob))
        if job_rows > JOB_ROWS_AT_ONCE or sum(map(row_count, writes)) > WRITE_AT_ONCE_ROWS:
            return loop.run_in_executor(self._writers, self.writer.apply, writes)
        done: asyncio.Future[Sequence[Any]] = loop.create_future()
        self._write_on(writes, self.writer.try_now(writes), done)
        return done

    def _write_on(self, writes: list[Write], steps: _Steps, done: "asyncio.Future[Sequence[Any]]") -> None:
        """One step; whoever waits for the event loop comes between it and the next. After the last, the commit."""
        loop = asyncio.get_running_loop()
        if self._closed:
            done.set_exception(StoreUnavailable("the database has been closed"))
            return
        try:
            next(steps)
        except StopIteration as end:
            if end.value is None:
                ended = loop.run_in_executor(self._writers, self.writer.apply, writes)
            else:
                ended = loop.run_in_executor(self._writers, self.writer.commit, writes, end.value)
            ended.add_done_callback(lambda ended: _pass_on(ended, done))
        else:
            loop.call_soon(self._write_on, writes, steps, done)

    def close(self) -> None:
        """Close the file, after what is being written."""
        self._closed = True
        self._writers.shutdown()
        self._readers.shutdown()
        left = self._calls.stop()
        if left is not None:
            self.writer.abandon()
            for result in self.writer.apply([left]):
                if result is not None:
                    log.warning("store.calls_not_kept", error=str(result))
        self._connections.close()

    # Jobs

    async def add_job(self, plan: JobPlan) -> Added:
        added = await self._commits.write_job(AddJob(plan), len(plan.sms))
        self._tell_of_events()
        self._work.set(sms.carrier for sms in plan.sms)
        return added

    async def cancel_job(self, account: AccountId, job_id: str, now: datetime) -> Cancelled | None:
        row = self._job_row(account, job_id)
        if row is None:
            return None
        job = stored_job(row)
        if job.finished_at is not None:
            return Cancelled(job, 0, 0)
        found = await self._write_asked(CancelJob(account, job_id, now, job.sms_count))
        if found is None:
            return None
        row, canceled_count, killed_count, recalling = found
        self._work.set(map(recall_work, recalling))
        return Cancelled(stored_job(row), canceled_count, killed_count)

    async def job(self, account: AccountId, job_id: str) -> StoredJob | None:
        row = self._job_row(account, job_id)
        return None if row is None else stored_job(row)

    def _job_row(self, account: AccountId, job_id: str) -> tuple[Any, ...] | None:
        numbers = sms_range_of(job_id)
        if numbers is None:
            return None
        rows = self._read(lambda db: db.query("job", *numbers, job_id, account), self._reader)
        return rows[0] if rows else None

    async def find_jobs(self, query: JobQuery) -> list[StoredJob]:
        name = "open_jobs" if query.open_only else "jobs"
        since, until = first_job_number(query.since), first_job_number(query.until)

        def read(db: Connection) -> list[StoredJob]:
            rows = db.query(name, query.account, since, until, query.limit, query.offset)
            return [stored_job(row) for row in rows]

        return await self._read_far(read)

    async def sms_of_job(self, account: AccountId, job_id: str) -> list[StoredSms] | None:
        row = self._job_row(account, job_id)
        if row is None:
            return None
        _, _, first, count, _, finished = row

        def read(db: Connection) -> list[StoredSms] | None:
            # One transaction, so that no SMS is read as not final and then found to have no parts any more.
            db.raw.execute("BEGIN")
            try:
                rows = db.query("sms_range", first, first + count)
                live = [] if finished else db.query("live_range", first << PART_BITS, first + count << PART_BITS)
            finally:
                db.raw.execute("COMMIT")
            return stored_sms(rows, live, first) if rows else None  # None: forgotten in this moment.

        if count <= READ_AT_ONCE_ROWS:
            return self._read(read, self._reader)
        return await self._read_far(read)

    async def find_sms(self, query: SmsQuery) -> list[FoundSms]:
        search = Search(query)
        while not search.is_done:
            await self._read_far(search.step)
        return search.found

    def _read(self, read: Callable[[Connection], Result], connection: Connection) -> Result:
        try:
            return read(connection)
        except sqlite3.Error as error:
            raise StoreUnavailable(f"the database can't be read: {error}") from error

    async def _read_far(self, read: Callable[[Connection], Result]) -> Result:
        if self._closed:
            raise StoreUnavailable("the database has been closed")
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, lambda: self._read(read, self._far_reader))

    # Work that falls due

    async def lease_segments(
        self, carrier: str, limit: int, until: datetime, now: datetime, normal_limit: int | None = None
    ) -> list[DuePart]:
        return await self._write(Lease(carrier, limit, until, now, normal_limit))

    async def record_outcomes(self, carrier: str, outcomes: Sequence[Outcome]) -> None:
        is_unwanted = await self._write(RecordOutcomes(carrier, outcomes))
        self._work.set({outcome.carrier for outcome in outcomes if isinstance(outcome, Moved)})
        if is_unwanted:
            self._work.set([recall_work(carrier)])

    async def record_receipts(self, carrier: str, receipts: Sequence[ReceiptNews]) -> None:
        await self._write(RecordReceipts(carrier, receipts))

    async def awaiting_receipts(self, carrier: str) -> list[str]:
        return await self._read_far(lambda db: [row[0] for row in db.query("awaiting_receipts", carrier)])

    async def lease_recalls(self, carrier: str, limit: int, until: datetime, now: datetime) -> list[Recall]:
        return await self._commits.write(LeaseRecalls(carrier, limit, until, now))

    async def settle_recalls(self, carrier: str, message_ids: Collection[str]) -> None:
        await self._commits.write(SettleRecalls(carrier, [*message_ids]))

    async def abandoned_receipts(self, carrier: str) -> list[str]:
        return []

    async def sms_at_other_carriers(self, known: Collection[str]) -> dict[str, int]:
        def read(db: Connection) -> dict[str, int]:
            others = [carrier for (carrier,) in db.query("carriers") if carrier not in known]
            return {carrier: db.query("sms_at", carrier)[0][0] for carrier in others}

        return await self._read_far(read)

    async def work_arrived(self, carrier: str, timeout_s: float) -> None:
        await self._work.wait(carrier, timeout_s)

    # Nodes

    async def meet(self, node: str, until: datetime, now: datetime) -> int:
        return self._roles.meet(node, until, now)

    async def claim(self, role: str, node: str, until: datetime, now: datetime) -> bool:
        return self._roles.claim(role, node, until, now)

    async def release(self, role: str, node: str) -> None:
        self._roles.release(role, node)

    # SMS from phones

    async def record_inbound(self, carrier: str, arrivals: Sequence[Arrival]) -> Received:
        await self._gather_writers()
        whole, blocked = await self._write(RecordInbound(carrier, arrivals))
        newest = max((arrival.part.received_at for arrival in arrivals), default=datetime.min.replace(tzinfo=UTC))
        return Received(whole, await self._end_waiting(blocked, newest))

    async def lookalikes(self, before: datetime, limit: int) -> list[Lookalike]:
        return await self._read_far(lambda db: lookalikes(db.query("lookalikes", LOOKALIKE, instant_ms(before), limit)))

    async def give_up_missing_parts(self, begun_before: datetime, now: datetime) -> Received:
        await self._gather_writers()
        whole, blocked = await self._write(GiveUpMissingParts(begun_before, now))
        return Received(whole, await self._end_waiting(blocked, now))

    async def _gather_writers(self) -> None:
        while self.writer.is_far_behind:
            await self._commits.write(GatherWriters())

    async def find_inbound(self, query: InboundQuery) -> list[InboundSms]:
        bounds = instant_ms_up(query.since), instant_ms_up(query.until)

        def read(db: Connection) -> list[InboundSms]:
            return [inbound_sms(row) for row in db.query("inbound", query.account, *bounds, query.limit, query.offset)]

        return await self._read_far(read)

    async def forget_inbound(self, received_before: datetime, limit: int) -> int:
        return await self._commits.write(ForgetInbound(received_before, limit))

    # The blocklist

    async def block(self, account: AccountId, dst: str, now: datetime) -> tuple[BlockedNumber, int]:
        entry = await self._write_asked(Block(account, dst, now))
        return entry, await self._end_waiting([(account, dst)], now)

    async def unblock(self, account: AccountId, dst: str) -> BlockedNumber | None:
        return await self._write_asked(Unblock(account, dst))

    async def blocked(self, account: AccountId, dst: str) -> BlockedNumber | None:
        rows = self._read(lambda db: db.query("blocked", account, dst), self._reader)
        return blocked_number(rows[0]) if rows else None

    async def blocked_among(self, account: AccountId, dsts: Collection[str]) -> set[str]:
        def read(db: Connection) -> set[str]:
            return {row[1] for row in db.query_rows("blocked_among", [(account, dst) for dst in dsts])}

        if len(dsts) <= READ_AT_ONCE_ROWS:
            return self._read(read, self._reader)
        return await self._read_far(read)

    async def find_blocked(self, account: AccountId, offset: int, limit: int) -> list[BlockedNumber]:
        def read(db: Connection) -> list[BlockedNumber]:
            return [blocked_number(row) for row in db.query("blocklist", account, limit, offset)]

        return await self._read_far(read)

    async def _end_waiting(self, blocked: Sequence[tuple[AccountId, str]], now: datetime) -> int:
        """End the SMS that wait to be sent to numbers just blocked; how many did.

        They are looked for in all that waits, seconds where a million do, without holding up who writes. What comes in
        meanwhile is blocked at once, and what is missed because we are killed is when it is to be leased.
        """
        if not blocked:
            return 0
        found = await self._read_far(lambda db: [row[0] for row in db.query_rows("waiting_for", blocked)])
        return await self._write(EndWaiting(found, now)) if found else 0

    # Webhooks

    async def add_webhook(self, webhook: Webhook) -> None:
        await self._write_asked(AddWebhook(webhook))

    async def webhooks(self, account: AccountId) -> list[Webhook]:
        return self._read(lambda db: [webhook_of(row[0]) for row in db.query("webhooks", account)], self._reader)

    async def remove_webhook(self, account: AccountId, webhook: WebhookId) -> Webhook | None:
        return await self._remove(RemoveWebhook(account, webhook))

    async def remove_trigger(self, token: str) -> Webhook | None:
        return await self._remove(RemoveWebhook(None, token))

    async def _remove(self, remove: RemoveWebhook) -> Webhook | None:
        removed: tuple[int, Webhook] | None = await self._write_asked(remove)
        if removed is None:
            return None
        # In steps, as there may be millions; those that are left because we are killed, retention deletes.
        number, webhook = removed
        while await self._commits.write(DeleteEventsOf(number)):
            pass
        return webhook

    async def lease_events(
        self, limit: int, room: int, rooms: Mapping[WebhookId, int], until: datetime, now: datetime
    ) -> list[DueEvent]:
        return await self._commits.write(LeaseEvents(limit, room, rooms, until, now))

    async def settle_events(self, settlements: Sequence[Settlement]) -> None:
        await self._write(SettleEvents(settlements))

    async def find_failed_events(
        self, account: AccountId, webhook: WebhookId, offset: int, limit: int
    ) -> list[FailedEvent] | None:
        return await self._read_far(lambda db: failed_events(db, account, webhook, offset, limit))

    async def replay_events(self, account: AccountId, webhook: WebhookId, limit: int, now: datetime) -> int | None:
        return await self._write_asked(ReplayEvents(account, webhook, limit, now))

    async def forget_events(self, happened_before: datetime, limit: int) -> int:
        return await self._commits.write(ForgetEvents(happened_before, limit))

    # Accounts

    async def account(self, name: str) -> Account | None:
        rows = self._read(lambda db: db.query("account", name), self._reader)
        return account_of(rows[0]) if rows else None

    async def accounts(self) -> list[Account]:
        return [account_of(row) for row in self._read(lambda db: db.query("accounts"), self._reader)]

    async def put_account(self, account: Account) -> Account:
        return await self._commits.write(PutAccount(account))

    async def take_call(self, account: AccountId, limit: RateLimit, now: datetime) -> Quota:
        return self._calls.take(account, limit, now)

    def _calls_of(self, account: AccountId) -> list[tuple[int, int]]:
        return self._read(lambda db: db.query("calls", account), self._reader)

    # The rest

    async def forget_jobs(self, received_before: datetime, limit: int) -> int:
        await self._gather_writers()
        return await self._commits.write(ForgetJobs(received_before, limit))

    async def blank_texts(self, received_before: datetime, limit: int) -> int:
        return await self._commits.write(BlankTexts(received_before, limit))

    async def keep_in_order(self, now: datetime, days: float) -> None:
        pass  # It is.

    async def counts(self, now: datetime) -> Counts:
        def read(db: Connection) -> Counts:
            total, opened = db.query("live_count")[0]
            oldest = {carrier: _oldest_due(db, carrier, instant_ms(now)) for (carrier,) in db.query("carriers")}
            oldest_due_at = {carrier: instant_of(due) for carrier, due in oldest.items() if due is not None}
            by_process_status = {ProcessStatus.OPEN: opened, ProcessStatus.RUNNING: total - opened}
            return Counts(by_process_status, oldest_due_at, db.query("events_waiting")[0][0])

        return await self._read_far(read)

    async def ready(self) -> None:
        await self._commits.write(Probe())


def _oldest_due(db: Connection, carrier: str, now: int) -> int | None:
    lanes = [(carrier, lane) for lane in (0, 1)]
    found = [db.query("oldest_due", *lane, *lane, *lane, now)[0][0] for lane in lanes]
    return min((due for due in found if due is not None), default=None)


@asynccontextmanager
async def open_sqlite(path: Path, now: datetime, *, serving: bool = True) -> AsyncGenerator[SqliteStore]:
    """The store in a file, made if it isn't there, brought to this version's schema.

    serving: be the one process that serves the file; otherwise only accounts may be changed.
    Raises StoreUnavailable if another process serves it, or it can't be opened, or a newer version wrote it.
    """
    if not path.parent.is_dir():
        raise StoreUnavailable(f"there is no folder {path.parent} for the database {path.name}; make it first")
    with ExitStack() as stack:
        if serving:
            stack.callback(FileLock(path).release)
        try:
            _upgrade(path, serving=serving)
            store = SqliteStore(path)
            stack.callback(store.close)
            if serving:
                store.writer.free_leases(now)
        except sqlite3.Error as error:
            raise StoreUnavailable(f"can't use {path} as a database: {error}") from error
        yield store


def upgrade_sqlite(path: Path) -> tuple[int, int]:
    """Bring a file's schema to this version's, making the file if it isn't there; what it was, and what it is.

    Raises StoreUnavailable if a process of an older version serves it, or it can't be used.
    """
    if not path.parent.is_dir():
        raise StoreUnavailable(f"there is no folder {path.parent} for the database {path.name}; make it first")
    try:
        return _upgrade(path, serving=False), SCHEMA_VERSION
    except sqlite3.Error as error:
        raise StoreUnavailable(f"can't use {path} as a database: {error}") from error


def _upgrade(path: Path, *, serving: bool) -> int:
    """Which schema it had."""
    with closing(Connection(path)) as connection:
        version = connection.schema_version()
        if version == SCHEMA_VERSION:
            return version
        with ExitStack() as stack:
            if version and not serving:  # A process of the older version may be serving it.
                stack.callback(FileLock(path).release)
            connection.upgrade()
        return version


def _pass_on(ended: "asyncio.Future[list[Any]]", to: "asyncio.Future[Sequence[Any]]") -> None:
    if ended.cancelled():
        to.cancel()
    elif (error := ended.exception()) is not None:
        to.set_exception(error)
    else:
        to.set_result(ended.result())
