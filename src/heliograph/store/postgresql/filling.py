"""An empty database takes all that another one held, in one transaction."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from heliograph.clock import SystemClock
from heliograph.jobs.errors import OutcomeUnknown, StoreUnavailable
from heliograph.store.copied import Copied, CopiedTable
from heliograph.store.postgresql import presence
from heliograph.store.postgresql.accepting import SMS_BLOCK
from heliograph.store.postgresql.connection import Connection, Database
from heliograph.store.postgresql.locks import NODES, SCHEMA_LOCK
from heliograph.store.postgresql.schema import check, schema_of, upgrade
from heliograph.store.postgresql.texts import kept
from heliograph.store.postgresql.url import PostgresqlUrl

NAMED = {"account": ("id", "name"), "job": ("id", "public_id")}
"""By what a copy is told from another installation that has as many rows of everything."""
DEMO_ACCOUNT = "demo"
"""Whoever serves a new database makes it."""

Progress = Callable[[str, int, int], None]
"""Told of a table, how many of its rows have been copied, and of how many."""


async def fill_postgresql(
    url: PostgresqlUrl, tables: Iterable[CopiedTable], last_sms: int, progress: Progress
) -> Copied:
    """Copy all tables into a database, all of it or nothing; its schema is made if there is none.

    last_sms: no SMS gets this number, or one below it, any more.
    Raises StoreUnavailable if the database holds something else already, or a node serves it.
    """
    database = Database(url, SystemClock())
    try:
        await database.open()
        schema = await schema_of(database)
        if not schema.version:
            _, schema = await upgrade(database)
        check(schema)
        return await _filled(database, tables, last_sms, progress)
    finally:
        await database.close()


async def _filled(database: Database, tables: Iterable[CopiedTable], last_sms: int, progress: Progress) -> Copied:
    connection = await database.connect()
    try:
        with database.translated():
            # For as long as it takes: the usual limits are for statements of milliseconds.
            await connection.raw.execute("SET statement_timeout = 0; SET idle_in_transaction_session_timeout = 0")
            # Broken off, it is rolled back with the end of the connection, whatever broke it.
            await connection.raw.execute("BEGIN")
            await connection.query("lock_schema", SCHEMA_LOCK)
            copied = await _fill(connection, tables, last_sms, progress)
            await database.commit(connection)
            return copied
    except OutcomeUnknown as error:
        raise OutcomeUnknown(f"{error}: all is copied, or nothing; do it again, and it says which") from error
    except StoreUnavailable as error:
        if connection.raw.is_closed():
            raise StoreUnavailable(f"{error}; nothing was copied, do it again") from error
        raise
    finally:
        connection.raw.terminate()


async def _fill(db: Connection, tables: Iterable[CopiedTable], last_sms: int, progress: Progress) -> Copied:
    await _check_served_by_none(db)
    is_new = not await db.raw.fetchval("SELECT count(*) FROM account") and not await db.raw.fetchval(
        "SELECT count(*) FROM job"
    )
    counts: dict[str, int] = {}
    for table in tables:
        if is_new:
            await _copy(db, table, progress)
        counts[table.name] = await db.raw.fetchval(f'SELECT count(*) FROM "{table.name}"')
        if counts[table.name] != table.row_count:
            if is_new:
                raise StoreUnavailable(_not_all_arrived(table, counts[table.name]))
            raise StoreUnavailable(
                await _no_copy(db, f"{counts[table.name]} rows of {table.name}, where the file has {table.row_count}")
            )
        if not is_new and table.name in NAMED and not await _is_same(db, table, NAMED[table.name]):
            raise StoreUnavailable(await _no_copy(db, f"rows of {table.name} that the file doesn't have"))
    if is_new:
        await _count_on(db, last_sms)
    return Copied(counts, is_new)


async def _check_served_by_none(db: Connection) -> None:
    """Raises StoreUnavailable if a node lives. One that was killed is known until another node has looked for it."""
    for _ in range(presence.SILENT_LOOKS):
        nodes = await db.query("nodes", NODES)
        if not nodes:
            return
        if any(is_alive for _, is_alive in nodes):
            raise StoreUnavailable("a node serves the database; stop all of them, and start them when all is copied")
        # Its connection may have been lost a moment ago.
        await db.raw.execute("SELECT pg_sleep($1)", presence.LOOK_EVERY_S)


async def _is_same(db: Connection, table: CopiedTable, columns: Sequence[str]) -> bool:
    """Whether the database has all of a table's rows, by these columns: the first tells them apart."""
    key, name = columns
    places = [table.columns.index(column) for column in columns]
    for batch in table.rows:
        wanted = {row[places[0]]: row[places[1]] for row in batch}
        found = await db.raw.fetch(f'SELECT {key}, {name} FROM "{table.name}" WHERE {key} = ANY ($1)', list(wanted))
        if dict(map(tuple, found)) != {number: kept(text) for number, text in wanted.items()}:
            return False
    return True


def _not_all_arrived(table: CopiedTable, found: int) -> str:
    return f"of {table.row_count} rows of {table.name} {found} arrived, so nothing was copied; do it again"


async def _no_copy(db: Connection, difference: str) -> str:
    accounts = [name for (name,) in await db.raw.fetch("SELECT name FROM account")]
    if accounts == [DEMO_ACCOUNT] and not await db.raw.fetchval("SELECT count(*) FROM job"):
        return (
            f"the database isn't empty: it has been served, which made the account {DEMO_ACCOUNT} in it, and nothing "
            "was sent. Drop it and create it again (dropdb, createdb), and copy before anything serves it"
        )
    return (
        f"the database isn't empty, and not a copy: it has {difference}. Copy into an empty database; "
        "where nothing of what is in this one is needed, drop it and create it again (dropdb, createdb)"
    )


async def _copy(db: Connection, table: CopiedTable, progress: Progress) -> None:
    types = {str(column): str(kind) for column, kind in await db.query("column_types", table.name)}
    unknown = [column for column in table.columns if column not in types]
    assert not unknown, f"{table.name} has no {unknown} here"
    convert = [_CONVERSIONS.get(types[column]) for column in table.columns]
    copied = 0
    progress(table.name, 0, table.row_count)
    for batch in table.rows:
        records = [_record(row, convert) for row in batch]
        await db.raw.copy_records_to_table(table.name, records=records, columns=table.columns, timeout=None)
        copied += len(records)
        progress(table.name, copied, table.row_count)


def _record(row: tuple[Any, ...], convert: Sequence[Callable[[Any], Any] | None]) -> tuple[Any, ...]:
    return tuple(
        value if function is None or value is None else function(value)
        for value, function in zip(row, convert, strict=True)
    )


def _octets(value: "str | bytes") -> bytes:
    return value.encode() if isinstance(value, str) else value


_CONVERSIONS: dict[str, Callable[[Any], Any]] = {"boolean": bool, "text": kept, "bytea": _octets}


async def _count_on(db: Connection, last_sms: int) -> None:
    """New rows get numbers beyond those copied."""
    # The sequence gives the first number of a block of SMS_BLOCK: the one after this is beyond the last SMS.
    await db.raw.execute("SELECT setval('sms_block', $1)", (last_sms // SMS_BLOCK + 1) * SMS_BLOCK)
    for table, column in await db.query("identities"):
        await db.raw.execute(
            f"""SELECT setval(pg_get_serial_sequence('"{table}"', '{column}'), coalesce(max("{column}"), 0) + 1, false)
            FROM "{table}" """
        )
