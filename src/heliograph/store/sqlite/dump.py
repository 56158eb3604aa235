"""All that a file holds, table by table, for another database to take."""

import sqlite3
from collections.abc import Generator, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from heliograph.jobs.errors import StoreUnavailable
from heliograph.store.copied import LENGTH_AT_ONCE, ROWS_AT_ONCE, CopiedTable
from heliograph.store.rows import instant_ms
from heliograph.store.sqlite.connection import SCHEMA_VERSION, Connection, FileLock

DAY_MS = 86_400_000
TABLES: dict[str, str] = {
    "account": "SELECT * FROM account",
    "job": "SELECT * FROM job",
    "message": "SELECT * FROM message",
    "sms": "SELECT * FROM sms",
    "live": "SELECT id, carrier, lane, account, CASE WHEN state = 1 THEN min(due, :now) ELSE due END AS due, expires, "
    "blackouts, state, attempts, status, reason, message_id, sent, heard, others, doubtful FROM live",
    "late": "SELECT * FROM late",
    "parked": "SELECT * FROM parked",
    "fingerprint": "SELECT account, digest, job, accepted FROM fingerprint",
    "idempotency": "SELECT account, key, digest, job, accepted FROM idempotency",
    "inbound": "SELECT * FROM inbound",
    "inbound_part": "SELECT * FROM inbound_part",
    "last_writer": f"SELECT phone, account, day * {DAY_MS} << 20 AS job FROM last_writer",
    "ungathered": "SELECT ungathered.sent << 20 AS job, job.account, sms.id AS first_sms, 1 AS sms_count "
    "FROM ungathered CROSS JOIN sms ON sms.id >= ungathered.first_sms "
    "AND sms.id < ungathered.first_sms + ungathered.sms_count CROSS JOIN job ON job.id = sms.job",
    "blocked": "SELECT * FROM blocked",
    "webhook": "SELECT * FROM webhook",
    "event": "SELECT id, webhook, type, ref, at, state, CASE WHEN leased THEN min(due, :now) ELSE due END AS due, "
    "attempts, reason FROM event",
    "spent": "SELECT * FROM spent",
    "caller": "SELECT account, sum(calls) AS last_call FROM call GROUP BY account",
    "call": "WITH RECURSIVE one (account, second, place, calls) AS (SELECT account, second, 1, calls FROM call "
    "UNION ALL SELECT account, second, place + 1, calls FROM one WHERE place < calls) SELECT account, "
    "row_number() OVER (PARTITION BY account ORDER BY second) AS number, CAST(second AS REAL) AS at FROM one",
}
"""What is copied, by the table that takes it. Who held a lease is gone, so its end needn't be waited for."""
NOT_COPIED = {"given", "sqlite_sequence", "sqlite_stat1"}
"""What the other database knows in another way, or doesn't need."""


class Dump:
    """An open file that nobody serves meanwhile."""

    def __init__(self, connection: Connection, now: datetime) -> None:
        self._db = connection
        self._parameters = {"now": instant_ms(now)}

    @property
    def last_sms(self) -> int:
        """The last number ever given to an SMS."""
        return int(self._db.query("last_sms_number")[0][0])

    def tables(self) -> Iterator[CopiedTable]:
        """Each table; one's rows are read before the next one is asked for."""
        for name, select in TABLES.items():
            count = int(self._db.raw.execute(f"SELECT count(*) FROM ({select})", self._parameters).fetchone()[0])
            rows = self._db.raw.execute(select, self._parameters)
            yield CopiedTable(name, tuple(column[0] for column in rows.description), count, _batches(rows))


def _batches(rows: Iterable[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
    """Rows, some at a time: fewer where they are long, for a text may have millions of characters."""
    batch: list[tuple[Any, ...]] = []
    length = 0
    for row in rows:
        batch.append(row)
        length += sum(len(value) for value in row if isinstance(value, str | bytes))
        if len(batch) == ROWS_AT_ONCE or length >= LENGTH_AT_ONCE:
            yield batch
            batch, length = [], 0
    if batch:
        yield batch


@contextmanager
def open_dump(path: Path, now: datetime) -> Generator[Dump]:
    """Read a file from beginning to end. Raises StoreUnavailable if a process serves it, or it can't be read."""
    if not path.is_file():
        raise StoreUnavailable(f"there is no database {path}; name the file that heliograph served")
    with ExitStack() as stack:
        stack.callback(FileLock(path).release)
        connection = stack.enter_context(closing(Connection(path)))
        version = connection.schema_version()
        if version != SCHEMA_VERSION:
            raise StoreUnavailable(
                f"the database {path} has schema {version}, and {SCHEMA_VERSION} is needed: "
                f"run `heliograph db upgrade --database sqlite:///{path}` first"
            )
        try:
            yield Dump(connection, now)
        except sqlite3.Error as error:
            raise StoreUnavailable(f"the database {path} can't be read: {error}") from error
