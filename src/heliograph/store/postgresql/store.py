"""The Store in a PostgreSQL database: any number of nodes, each with a few connections, writing in group commits."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeVar

import msgspec

from heliograph.clock import Clock, SystemClock
from heliograph.jobs.accounts import Account, AccountId, RateLimit
from heliograph.jobs.errors import AccountExists, OutcomeUnknown, StoreUnavailable
from heliograph.jobs.inbound import InboundSms
from heliograph.jobs.naming import received_ms
from heliograph.jobs.plan import JobPlan
from heliograph.jobs.records import BlockedNumber, StoredJob, StoredSms
from heliograph.jobs.search import FoundSms
from heliograph.jobs.status import ProcessStatus
from heliograph.jobs.webhooks import FailedEvent, Webhook, WebhookId
from heliograph.store.group_commit import GroupCommit
from heliograph.store.in_process import WorkBell
from heliograph.store.interface import (
    EVENT_WORK,
    LOOKALIKE,
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
from heliograph.store.postgresql import events, inbound, nodes, recalling, retention
from heliograph.store.postgresql.accepting import SmsNumbers, add_jobs
from heliograph.store.postgresql.blocklist import block, unblock
from heliograph.store.postgresql.connection import Connection, Database, Row
from heliograph.store.postgresql.doubt import Doubts, InDoubt, LeaseTaken
from heliograph.store.postgresql.events import EventLeasing
from heliograph.store.postgresql.leasing import Leasing
from heliograph.store.postgresql.presence import Presence
from heliograph.store.postgresql.quotas import Quotas, TakeCall
from heliograph.store.postgresql.schema import check, schema_of, upgrade
from heliograph.store.postgresql.search import Search, sms_as_told
from heliograph.store.postgresql.settling import Settling, SmsAtWork, finish, settle
from heliograph.store.postgresql.texts import kept, told
from heliograph.store.postgresql.url import PostgresqlUrl
from heliograph.store.postgresql.writes import (
    AddJob,
    CancelJob,
    EndWaiting,
    Lease,
    RecordOutcomes,
    RecordReceipts,
    Write,
)
from heliograph.store.rows import (
    COUNTER_BITS,
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

WRITERS = 2
"""Batches under way at once: one computes while the other waits for the disk."""

CLOSE_TIMEOUT_S = 10.0
"""How long what is being written may still take when the store is closed."""

Result = TypeVar("Result")


class _Written(NamedTuple):
    """What a batch of writes did.

    jobs: the numbers of the rows of those it kept. unwanted_at: the carriers that may have to drop something.
    """

    results: list[Any]
    leases: list[LeaseTaken]
    jobs: list[int]
    served: dict[str, int]
    event_count: int
    unwanted_at: set[str]


class PostgresqlStore:
    """See `store.interface` for what each method promises. Made by `open_postgresql`."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._commits_under_way: set[asyncio.Task[Any]] = set()
        self._watches: set[asyncio.Task[Any]] = set()
        self._commits = GroupCommit[Write](self._commit, writers=WRITERS)
        self._calls = GroupCommit[TakeCall](self._count_calls)
        self._numbers = SmsNumbers(clock)
        self._leasing = Leasing()
        self._event_leasing = EventLeasing(None)
        self._quotas = Quotas()
        self._work = WorkBell()
        self._presence: Presence | None = None
        self._doubts: Doubts | None = None
        self._departures_seen: dict[str, int] = {}
        self._forgotten_writers_to = 0
        self._closed = False

    async def be_node(self) -> None:
        """Lease, and be known to other nodes, from now on."""
        presence = Presence(self._database, self._work, self._clock)
        await presence.begin()
        self._presence = presence
        self._leasing = Leasing(presence)
        self._event_leasing = EventLeasing(presence.node)
        self._doubts = doubts = Doubts(self._database, self._work, presence.node, self._clock)
        for watch in (presence.tell_others(), presence.look_around(), doubts.keep_giving_back()):
            self._start(watch, self._watches)

    def _start(self, coroutine: Coroutine[Any, Any, Result], owned: "set[asyncio.Task[Any]]") -> "asyncio.Task[Result]":
        # Owner: this store, whose `close` sees to their end.
        task = asyncio.get_running_loop().create_task(coroutine)
        owned.add(task)
        task.add_done_callback(owned.discard)
        return task

    async def close(self) -> None:
        """Let the connections go, after what is being written."""
        self._closed = True
        if self._commits_under_way:
            await asyncio.wait(self._commits_under_way, timeout=CLOSE_TIMEOUT_S)
        left = [*self._commits_under_way, *self._watches]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        if self._doubts is not None:
            with suppress(StoreUnavailable):
                await self._doubts.give_back()
        if self._presence is not None:
            await self._presence.end()
        await self._database.close()

    # Group commits

    def _commit(self, writes: list[Write]) -> "asyncio.Future[Sequence[Any]]":
        self._check_open()
        return self._start(self._apply(writes), self._commits_under_way)

    async def _apply(self, writes: Sequence[Write]) -> Sequence[Any]:
        """Write a batch in one transaction, or each write in its own if that fails; an exception is a result."""
        written: _Written | None = None

        async def body(db: Connection) -> _Written:
            nonlocal written
            written = await self._write(db, writes)
            return written

        try:
            done = await self._database.write(body)
        except OutcomeUnknown as error:
            assert written is not None, "a COMMIT comes after what it is for"
            return self._in_doubt(writes, written, error)
        except StoreUnavailable as error:
            return [error] * len(writes)
        except Exception as error:  # noqa: BLE001 # A bug, told to whoever ran into it; the others can't help it.
            if len(writes) == 1:
                return [error]
            return [result for write in writes for result in await self._apply([write])]
        self._leasing.last_served.update(done.served)
        self._tell_of_events(done.event_count)
        if done.unwanted_at:
            self._work_for(map(recall_work, done.unwanted_at))
        return done.results

    def _in_doubt(self, writes: Sequence[Write], written: _Written, error: OutcomeUnknown) -> Sequence[Any]:
        """Who adds a job is told what became of it; leases are given back; who did anything else knows what to do."""
        if self._doubts is None:
            return [error] * len(writes)
        self._doubts.doubt(written.leases)
        if not any(isinstance(write, AddJob) for write in writes):
            return [error] * len(writes)
        kept = self._start(self._were_kept(self._doubts, written), self._commits_under_way)
        return [
            InDoubt(kept, result, error) if isinstance(write, AddJob) else error
            for write, result in zip(writes, written.results, strict=True)
        ]

    async def _were_kept(self, doubts: Doubts, written: _Written) -> bool | None:
        kept = await doubts.were_kept(written.jobs)
        if kept:
            self._tell_of_events(written.event_count)
        return kept

    async def _write(self, db: Connection, writes: Sequence[Write]) -> _Written:
        """What becomes of segments first, then leases, then jobs: see queries.sql for who locks what when."""
        results: dict[int, Any] = {}
        leases: list[LeaseTaken] = []
        kept: list[int] = []
        served: dict[str, int] = {}
        work = SmsAtWork(db)
        settling = [write for write in writes if isinstance(write, Settling)]
        if settling:
            for write, counts in zip(settling, await settle(db, work, settling), strict=True):
                results[id(write)] = counts
        for write in writes:
            if isinstance(write, Lease):
                leased = await self._leasing.lease(db, work, write)
                results[id(write)], served[write.carrier] = leased.parts, leased.last_served
                leases.append(leased.taken)
        event_count = await finish(db, work.jobs) + work.event_count
        jobs = [write for write in writes if isinstance(write, AddJob)]
        if jobs:
            accepted = await add_jobs(db, self._numbers, [write.plan for write in jobs])
            results.update(zip(map(id, jobs), accepted.results, strict=True))
            event_count += accepted.event_count
            kept = accepted.jobs
        return _Written([results[id(write)] for write in writes], leases, kept, served, event_count, work.recalling)

    def _tell_of_events(self, event_count: int) -> None:
        if event_count:
            self._work_for([EVENT_WORK])

    def _count_calls(self, calls: list[TakeCall]) -> "asyncio.Future[Sequence[Any]]":
        self._check_open()
        return self._start(self._apply_calls(calls), self._commits_under_way)

    async def _apply_calls(self, calls: Sequence[TakeCall]) -> Sequence[Quota]:
        try:
            quotas, windows = await self._database.write(lambda db: self._quotas.take(db, calls), durably=False)
        except OutcomeUnknown as error:  # Counted or not, what it was counted for has not begun.
            raise StoreUnavailable(str(error)) from error
        self._quotas.keep(windows)
        return quotas

    def _check_open(self) -> None:
        if self._closed:
            raise StoreUnavailable("the database has been closed")

    async def _in_transaction(self, body: Callable[[Connection], Awaitable[Result]]) -> Result:
        self._check_open()
        return await self._database.write(body)

    async def _read(self, name: str, *parameters: object) -> Sequence[Row]:
        self._check_open()
        async with self._database.reading() as db:
            return await db.query(name, *parameters)

    # Jobs

    async def add_job(self, plan: JobPlan) -> Added:
        added = await self._commits.write_job(AddJob(plan), len(plan.sms))
        if isinstance(added, InDoubt):
            added = await added.settled()
        if added.is_new:
            self._work_for(sms.carrier for sms in plan.sms)
        return added

    async def cancel_job(self, account: AccountId, job_id: str, now: datetime) -> Cancelled | None:
        row = await self._job_row(account, job_id)
        if row is None:
            return None
        job = stored_job(tuple(row))
        if job.finished_at is not None:
            return Cancelled(job, 0, 0)
        counts = await self._commits.write_asked(CancelJob(row[2], row[2] + row[3], now), job.sms_count)
        after = await self.job(account, job_id)  # None: forgotten in this moment.
        return after and Cancelled(after, counts[ProcessStatus.CANCELED], counts[ProcessStatus.KILL])

    async def job(self, account: AccountId, job_id: str) -> StoredJob | None:
        row = await self._job_row(account, job_id)
        return None if row is None else stored_job(tuple(row))

    async def _job_row(self, account: AccountId, job_id: str) -> Row | None:
        received = received_ms(job_id)
        if received is None:
            return None
        numbers = received << COUNTER_BITS, received + 1 << COUNTER_BITS
        rows = await self._read("job", *numbers, job_id, account)
        return rows[0] if rows else None

    async def find_jobs(self, query: JobQuery) -> list[StoredJob]:
        name = "open_jobs" if query.open_only else "jobs"
        since, until = first_job_number(query.since), first_job_number(query.until)
        rows = await self._read(name, query.account, since, until, query.limit, query.offset)
        return [stored_job(tuple(row)) for row in rows]

    async def sms_of_job(self, account: AccountId, job_id: str) -> list[StoredSms] | None:
        job = await self._job_row(account, job_id)
        if job is None:
            return None
        _, _, first, count, _, finished = job
        if finished is None:
            rows = await self._read("sms_range_with_parts", first, first + count)
        else:
            rows = await self._read("sms_range", first, first + count)
        sms = {row[0]: sms_as_told(row) for row in rows}
        parts = [(row[8], row[9], row[10], told(row[11]), row[12]) for row in rows if len(row) > 8 and row[8]]
        return stored_sms(sms.values(), parts, first) if sms else None  # None: forgotten in this moment.

    async def find_sms(self, query: SmsQuery) -> list[FoundSms]:
        search = Search(query)
        while not search.is_done:
            self._check_open()
            async with self._database.reading() as db:
                await search.step(db)
        return search.found

    # Work that falls due

    async def lease_segments(
        self, carrier: str, limit: int, until: datetime, now: datetime, normal_limit: int | None = None
    ) -> list[DuePart]:
        return await self._commits.write(Lease(carrier, limit, until, now, normal_limit))

    async def record_outcomes(self, carrier: str, outcomes: Sequence[Outcome]) -> None:
        await self._commits.write(RecordOutcomes(carrier, outcomes))
        self._work_for(outcome.carrier for outcome in outcomes if isinstance(outcome, Moved))

    async def record_receipts(self, carrier: str, receipts: Sequence[ReceiptNews]) -> None:
        await self._commits.write(RecordReceipts(carrier, receipts))

    async def awaiting_receipts(self, carrier: str) -> list[str]:
        return [told(row[0]) for row in await self._read("awaiting_receipts", carrier)]

    async def lease_recalls(self, carrier: str, limit: int, until: datetime, now: datetime) -> list[Recall]:
        return await self._in_transaction(lambda db: recalling.lease(db, carrier, limit, until, now))

    async def settle_recalls(self, carrier: str, message_ids: Collection[str]) -> None:
        await self._in_transaction(lambda db: recalling.settle(db, carrier, message_ids))

    async def abandoned_receipts(self, carrier: str) -> list[str]:
        departures = self._presence.departures if self._presence is not None else 0
        if self._departures_seen.get(carrier) == departures:
            return []
        found = [told(row[0]) for row in await self._read("abandoned_receipts", carrier)]
        self._departures_seen[carrier] = departures
        return found

    async def sms_at_other_carriers(self, known: Collection[str]) -> dict[str, int]:
        return dict(map(tuple, await self._read("sms_at_other_carriers", list(known))))

    async def work_arrived(self, carrier: str, timeout_s: float) -> None:
        await self._work.wait(carrier, timeout_s)

    def _work_for(self, carriers: Iterable[str | None]) -> None:
        names = {carrier for carrier in carriers if carrier is not None}
        self._work.set(names)
        if self._presence is not None:
            self._presence.tell(names)

    # Nodes

    async def meet(self, node: str, until: datetime, now: datetime) -> int:
        return await self._in_transaction(lambda db: nodes.meet(db, node, until, now))

    async def claim(self, role: str, node: str, until: datetime, now: datetime) -> bool:
        return await self._in_transaction(lambda db: nodes.claim(db, role, node, until, now))

    async def release(self, role: str, node: str) -> None:
        await self._in_transaction(lambda db: db.run("release", kept(role), kept(node)))

    # SMS from phones

    async def record_inbound(self, carrier: str, arrivals: Sequence[Arrival]) -> Received:
        await self._gather_writers()
        whole = await self._in_transaction(lambda db: inbound.record(db, carrier, arrivals))
        self._tell_of_events(whole.event_count)
        newest = max((arrival.part.received_at for arrival in arrivals), default=datetime.min.replace(tzinfo=UTC))
        return Received(whole.sms, await self._end_waiting(whole.blocked, newest))

    async def lookalikes(self, before: datetime, limit: int) -> list[Lookalike]:
        rows = await self._read("lookalikes", LOOKALIKE, instant_ms(before), limit)
        return lookalikes((number, carrier, content) for number, carrier, content in rows)

    async def give_up_missing_parts(self, begun_before: datetime, now: datetime) -> Received:
        await self._gather_writers()
        whole: list[InboundSms] = []
        ended_count = 0
        while True:
            more = await self._in_transaction(lambda db: inbound.give_up_missing_parts(db, begun_before, now))
            self._tell_of_events(more.event_count)
            whole += more.sms
            ended_count += await self._end_waiting(more.blocked, now)
            if len(more.sms) < inbound.OVERDUE_SMS:
                return Received(whole, ended_count)

    async def _gather_writers(self) -> None:
        while await self._in_transaction(inbound.gather_writers) == inbound.GATHERED_RUNS:
            pass

    async def find_inbound(self, query: InboundQuery) -> list[InboundSms]:
        bounds = instant_ms_up(query.since), instant_ms_up(query.until)
        rows = await self._read("inbound", query.account, *bounds, query.limit, query.offset)
        return [
            inbound_sms((public_id, account, told(src), told(dst), told(text), received))
            for public_id, account, src, dst, text, received in rows
        ]

    async def forget_inbound(self, received_before: datetime, limit: int) -> int:
        return await self._in_transaction(lambda db: db.run("forget_inbound", limit, instant_ms_up(received_before)))

    # The blocklist

    async def block(self, account: AccountId, dst: str, now: datetime) -> tuple[BlockedNumber, int]:
        entry = await self._in_transaction(lambda db: block(db, account, dst, now))
        return entry, await self._end_waiting([(account, dst)], now)

    async def unblock(self, account: AccountId, dst: str) -> BlockedNumber | None:
        return await self._in_transaction(lambda db: unblock(db, account, dst))

    async def blocked(self, account: AccountId, dst: str) -> BlockedNumber | None:
        rows = await self._read("blocked", account, kept(dst))
        return blocked_number((dst, rows[0][1])) if rows else None

    async def blocked_among(self, account: AccountId, dsts: Collection[str]) -> set[str]:
        self._check_open()
        async with self._database.reading() as db:
            rows = await db.query_rows("blocked_among", [(account, kept(dst)) for dst in dsts])
        return {told(row[1]) for row in rows}

    async def find_blocked(self, account: AccountId, offset: int, limit: int) -> list[BlockedNumber]:
        rows = await self._read("blocklist", account, limit, offset)
        return [blocked_number((told(dst), created)) for dst, created in rows]

    async def _end_waiting(self, blocked: Sequence[tuple[AccountId, str]], now: datetime) -> int:
        """End the SMS that wait to be sent to numbers just blocked; how many did.

        What is missed, because it comes in just now or we are killed, is found when it is to be leased.
        """
        if not blocked:
            return 0
        async with self._database.reading() as db:
            rows = await db.query_rows("waiting_for", [(account, kept(dst)) for account, dst in blocked])
        found = [row[0] for row in rows]
        return (await self._commits.write(EndWaiting(found, now)))[ProcessStatus.DONE] if found else 0

    # Webhooks

    async def add_webhook(self, webhook: Webhook) -> None:
        await self._in_transaction(lambda db: events.add_webhook(db, webhook))

    async def webhooks(self, account: AccountId) -> list[Webhook]:
        return [events.webhook_of(row[0]) for row in await self._read("webhooks", account)]

    async def remove_webhook(self, account: AccountId, webhook: WebhookId) -> Webhook | None:
        return await self._remove_webhook(account, webhook)

    async def remove_trigger(self, token: str) -> Webhook | None:
        return await self._remove_webhook(None, token)

    async def _remove_webhook(self, account: AccountId | None, key: str) -> Webhook | None:
        removed = await self._in_transaction(lambda db: events.remove_webhook(db, account, key))
        if removed is None:
            return None
        # In steps, as there may be millions; those that are left because we are killed, retention deletes.
        number, webhook = removed
        while await self._in_transaction(lambda db: events.delete_events_of(db, number)):
            pass
        return webhook

    async def lease_events(
        self, limit: int, room: int, rooms: Mapping[WebhookId, int], until: datetime, now: datetime
    ) -> list[DueEvent]:
        leasing = self._event_leasing
        taken, leasing.last_served = await self._in_transaction(
            lambda db: leasing.lease(db, limit, room, rooms, until, now)
        )
        return taken

    async def settle_events(self, settlements: Sequence[Settlement]) -> None:
        self._tell_of_events(await self._in_transaction(lambda db: events.settle_events(db, settlements)))

    async def find_failed_events(
        self, account: AccountId, webhook: WebhookId, offset: int, limit: int
    ) -> list[FailedEvent] | None:
        self._check_open()
        async with self._database.reading() as db:
            return await events.failed_events(db, account, webhook, offset, limit)

    async def replay_events(self, account: AccountId, webhook: WebhookId, limit: int, now: datetime) -> int | None:
        count = await self._in_transaction(lambda db: events.replay_events(db, account, webhook, limit, now))
        self._tell_of_events(count is not None)
        return count

    async def forget_events(self, happened_before: datetime, limit: int) -> int:
        deleted_count, due_count = await self._in_transaction(
            lambda db: events.forget_events(db, happened_before, limit)
        )
        self._tell_of_events(due_count)
        return deleted_count

    # Accounts

    async def account(self, name: str) -> Account | None:
        rows = await self._read("account", kept(name))
        return account_of(tuple(rows[0])) if rows else None

    async def accounts(self) -> list[Account]:
        return [account_of(tuple(row)) for row in await self._read("accounts")]

    async def put_account(self, account: Account) -> Account:
        content = msgspec.json.encode(account)

        async def put(db: Connection) -> Account | None:
            if account.id:
                changed = await db.run("update_account", account.id, kept(account.name), content)
                return account if changed else None
            number = await db.value("insert_account", kept(account.name), content)
            return None if number is None else msgspec.structs.replace(account, id=AccountId(number))

        done = await self._in_transaction(put)
        if done is None:
            raise AccountExists(f"there is an account {account.name} already; choose another name")
        return done

    async def take_call(self, account: AccountId, limit: RateLimit, now: datetime) -> Quota:
        return await self._calls.write_asked(TakeCall(account, limit, now))

    # The rest

    async def forget_jobs(self, received_before: datetime, limit: int) -> int:
        await self._gather_writers()
        forgotten_to = self._forgotten_writers_to
        self._forgotten_writers_to = await self._in_transaction(
            lambda db: inbound.forget_writers(db, received_before, forgotten_to)
        )
        return await self._in_transaction(lambda db: retention.forget_jobs(db, received_before, limit))

    async def blank_texts(self, received_before: datetime, limit: int) -> int:
        return await self._in_transaction(lambda db: retention.blank_texts(db, received_before, limit))

    async def keep_in_order(self, now: datetime, days: float) -> None:
        self._check_open()
        await retention.keep_in_order(self._database, instant_ms(now), days)

    async def counts(self, now: datetime) -> Counts:
        self._check_open()
        async with self._database.reading() as db:
            total, opened = (await db.query("live_count"))[0]
            oldest = {carrier: instant_of(due) for carrier, due in await db.query("oldest_due", instant_ms(now))}
            events_waiting = await db.value("events_waiting")
        by_process_status = {ProcessStatus.OPEN: opened, ProcessStatus.RUNNING: total - opened}
        return Counts(by_process_status, oldest, events_waiting)

    async def ready(self) -> None:
        self._check_open()
        if self._presence is not None:
            node = self._presence.node
            # A write, to see whether the disk takes it.
            await self._in_transaction(lambda db: db.run("keep_node", node))
            return
        async with self._database.writing() as db:
            if await db.value("is_read_only"):
                raise StoreUnavailable("the database takes no writes")


@asynccontextmanager
async def open_postgresql(
    url: PostgresqlUrl, *, serving: bool = True, may_be_new: bool = True, clock: Clock | None = None
) -> AsyncGenerator[PostgresqlStore]:
    """The store in a database, whose schema is made if there is none.

    serving: be a node, which leases; otherwise only accounts may be changed. may_be_new: False refuses an empty one.
    clock: the machine's, unless another is given.
    Raises StoreUnavailable if it can't be reached, or has an older or a newer schema than this version can work with.
    """
    clock = clock or SystemClock()
    database = Database(url, clock)
    store = PostgresqlStore(database, clock)
    try:
        await database.open()
        schema = await schema_of(database)
        if not schema.version:
            if not may_be_new:
                raise StoreUnavailable(
                    f"there is nothing in the database {url} yet; heliograph serve or heliograph account add changes "
                    "that"
                )
            _, schema = await upgrade(database)
        check(schema)
        if serving:
            await store.be_node()
        yield store
    finally:
        await store.close()


async def upgrade_postgresql(url: PostgresqlUrl) -> tuple[int, int]:
    """Bring a database's schema to this version's, also while nodes of an older one run; what it was, and what it is.

    Raises StoreUnavailable.
    """
    database = Database(url, SystemClock())
    try:
        await database.open()
        before, after = await upgrade(database)
        return before.version, after.version
    finally:
        await database.close()
