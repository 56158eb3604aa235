"""Partitions of history, by time: made ahead of time, dropped when all that is in them has been forgotten.

A partition is a table of each, of jobs, messages and SMS, for the same span of time. Who receives a job never waits for
one to be made: what belongs to none goes to the tables of the rest.
"""

from collections.abc import Sequence
from typing import NamedTuple

from heliograph.store.postgresql.accepting import BLOCK_LIFETIME_S
from heliograph.store.postgresql.connection import Connection, Database, Row
from heliograph.store.postgresql.locks import HISTORY_LOCK
from heliograph.store.rows import COUNTER_BITS

PARTITIONS = 7
"""How many the time is divided into for which jobs are kept. Up to four more are there, and each costs every statement
some microseconds; the fewer, the longer what was forgotten takes up room."""
DAY_MS = 86_400_000
HOUR_MS = 3_600_000
LEEWAY_MS = 2 * int(BLOCK_LIFETIME_S * 1000)
"""How much later than a partition's end its last SMS may belong to a job, unless a clock is wrong."""
IN_FLIGHT_MS = 600_000
"""How long ago a job may have been received that is being written only now, at most."""
MOVED_SMS = 5000
"""How many SMS of jobs that aren't forgotten are moved out of a partition at most; while there are more, it stays."""
SCAN_TIMEOUT_S = 3600.0

_SECOND_BITS = 26
"""An SMS number begins with a second, shifted by these (the query next_sms_block)."""
# Everybody waits behind who waits for this, so that is not for long; the next round tries again.
_LOCK = "SET LOCAL lock_timeout = '100ms'; LOCK TABLE ONLY job, ONLY message, ONLY sms IN ACCESS EXCLUSIVE MODE"


class Partition(NamedTuple):
    """since, until: milliseconds, of whole seconds, of the jobs in it, and of the blocks of SMS numbers.

    row_by_row: its jobs are deleted when they are forgotten. last_job: it stays until this job is forgotten as well.
    """

    number: int
    since: int
    until: int
    row_by_row: bool
    last_job: int | None = None

    @property
    def jobs(self) -> tuple[int, int]:
        """From which number jobs are in it, and to before which."""
        return self.since << COUNTER_BITS, self.until << COUNTER_BITS

    @property
    def sms(self) -> tuple[int, int]:
        """The same for SMS."""
        return self.since // 1000 << _SECOND_BITS, self.until // 1000 << _SECOND_BITS


async def partitions(db: Connection) -> list[Partition]:
    """All there are, the oldest first."""
    return [Partition(*row) for row in await db.query("partitions")]


async def make_partitions(database: Database, now: int, days: float) -> None:
    """Make those that will be needed, one whole one ahead at least.

    now: in milliseconds. days: for how long jobs are kept. Raises StoreUnavailable, also when somebody has been reading
    for long: then it is time enough later.
    """
    length = max(1, -int(-days // PARTITIONS)) * DAY_MS

    async def make_next(db: Connection) -> bool:
        await db.script(_LOCK)
        last = (await partitions(db))[-1]
        if last.until >= now + length:
            return False
        since = last.until
        of_rest: int | None = await db.value("last_of_rest")
        if of_rest is not None and of_rest >= since:
            # Nobody made it in time. What came meanwhile stays with the rest.
            since = (max(of_rest, now) // HOUR_MS + 2) * HOUR_MS
        await _make(db, Partition(last.number + 1, since, since + length, row_by_row=False))
        return True

    while await _is_needed(database, now + length) and await database.write(make_next):
        pass
    # Where jobs were kept longer before, theirs are too long now for rows to wait for their end.
    await database.write(lambda db: db.run("choose_row_by_row", 2 * length))


async def _is_needed(database: Database, until: int) -> bool:
    async with database.reading() as db:
        return (await partitions(db))[-1].until < until


async def _make(db: Connection, new: Partition) -> None:
    for table, (since, until), settings in (
        ("job", new.jobs, "WITH (fillfactor = 90)"),
        ("message", new.jobs, ""),
        ("sms", new.sms, "WITH (fillfactor = 90)"),
    ):
        name = f"{table}_{new.number}"
        await db.script(f"CREATE TABLE {name} PARTITION OF {table} FOR VALUES FROM ({since}) TO ({until}) {settings}")
    await db.run("insert_partition", new.number, new.since, new.until)


async def drop_partitions(database: Database, now: int) -> list[int]:
    """Drop those of which all jobs have been forgotten; their numbers.

    now: in milliseconds. Raises StoreUnavailable, also when somebody has been reading for long.
    """
    async with database.reading() as db:
        _, due = await _due(db)
    if not due:
        return []
    # Outside the pools, for as long as it takes to look at all of a partition.
    connection = await database.connect()
    try:
        with database.translated():
            await connection.script(f"SET statement_timeout = '{SCAN_TIMEOUT_S:.0f}s'")
            if not await connection.value("try_history", HISTORY_LOCK):
                return []  # Another node is at it.
            below, due = await _due(connection)
            return [each.number for each in due if await _drop(database, connection, each, below, now)]
    finally:
        connection.raw.terminate()


async def _due(db: Connection) -> tuple[int, list[Partition]]:
    """Below which number jobs have been forgotten, and the partitions that may go by that, but never the last one."""
    below: int = await db.value("forgotten_below") or 0
    known = await partitions(db)
    return below, [
        each
        for each in known[:-1]
        if each.until + LEEWAY_MS <= below >> COUNTER_BITS and (each.last_job is None or each.last_job < below)
    ]


async def _drop(database: Database, scanning: Connection, old: Partition, below: int, now: int) -> bool:
    # A node that gave numbers of an old block to new jobs, as those of the version before do, keeps the partition.
    last_job: int | None = await scanning.raw.fetchval(
        f"SELECT max(job) FROM sms_{old.number} WHERE job >= $1", below, timeout=SCAN_TIMEOUT_S
    )
    if last_job is not None:
        await scanning.run("keep_partition", old.number, last_job)
        return False

    async def drop(db: Connection) -> bool:
        if not _are_few(await db.query("survivors", below), old):
            return False
        await db.script(_LOCK)
        survivors = await db.query("survivors", below)
        since = now - IN_FLIGHT_MS << COUNTER_BITS
        if not _are_few(survivors, old) or await db.value("have_sms_between", since, *old.sms):
            return False
        for table in ("job", "message", "sms"):
            await db.script(f"ALTER TABLE {table} DETACH PARTITION {table}_{old.number}")
        await _keep(db, old, survivors)
        await db.script(f"DROP TABLE job_{old.number}, message_{old.number}, sms_{old.number}")
        await db.run("delete_partition", old.number)
        return True

    return await database.write(drop)


def _are_few(survivors: Sequence[Row], old: Partition) -> bool:
    return sum(row[2] for row in survivors if _concerns(row, old)) <= MOVED_SMS


def _concerns(survivor: Row, old: Partition) -> bool:
    job, first_sms, sms_count = survivor
    return old.jobs[0] <= job < old.jobs[1] or (first_sms < old.sms[1] and first_sms + sms_count > old.sms[0])


async def _keep(db: Connection, old: Partition, survivors: Sequence[Row]) -> None:
    """Move what jobs have in it that aren't forgotten: no partition is left for it, so it goes to the rest."""
    kept = [row for row in survivors if _concerns(row, old)]
    if not kept:
        return
    jobs = [row[0] for row in kept]
    await db.raw.execute(f"INSERT INTO job SELECT * FROM job_{old.number} WHERE id = ANY ($1::bigint[])", jobs)
    await db.raw.execute(f"INSERT INTO message SELECT * FROM message_{old.number} WHERE job = ANY ($1::bigint[])", jobs)
    await db.raw.execute(
        f"""INSERT INTO sms SELECT moved.* FROM unnest($1::bigint[], $2::bigint[]) AS wanted (first, until)
        JOIN sms_{old.number} AS moved ON moved.id >= wanted.first AND moved.id < wanted.until""",
        [row[1] for row in kept],
        [row[1] + row[2] for row in kept],
    )
    await db.run("linger", jobs)
