"""The store that the settings name: opened, upgraded, copied."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from pathlib import Path

import msgspec

from heliograph.config.addresses import SqliteUrl
from heliograph.config.settings import DatabaseSettings
from heliograph.jobs.errors import SettingsInvalid, StoreUnavailable
from heliograph.store.copied import Copied
from heliograph.store.interface import Store
from heliograph.store.postgresql.url import PostgresqlUrl
from heliograph.store.sqlite.dump import open_dump
from heliograph.store.sqlite.store import open_sqlite, upgrade_sqlite


def open_store(
    database: DatabaseSettings, now: datetime, *, serving: bool = True, may_be_new: bool = True
) -> AbstractAsyncContextManager[Store]:
    """The store that the settings name.

    serving: be the one process that serves it, or one of its nodes; otherwise only accounts may be changed.
    may_be_new: make it if it isn't there yet. Raises StoreUnavailable, at the latest on entering.
    """
    url = database.url
    if isinstance(url, SqliteUrl):
        if not may_be_new and not url.path.exists():
            raise StoreUnavailable(
                f"there is no database {url} yet; heliograph serve or heliograph account add makes it"
            )
        return open_sqlite(url.path, now, serving=serving)
    from heliograph.store.postgresql.store import open_postgresql  # only who needs it waits for it

    return open_postgresql(_with_password(url, database), serving=serving, may_be_new=may_be_new)


async def upgrade_schema(database: DatabaseSettings) -> tuple[int, int]:
    """Bring a database's schema to this version's; what it was, and what it is. Raises StoreUnavailable."""
    url = database.url
    if isinstance(url, SqliteUrl):
        return upgrade_sqlite(url.path)
    from heliograph.store.postgresql.store import upgrade_postgresql  # only who needs it waits for it

    return await upgrade_postgresql(_with_password(url, database))


async def copy_database(
    source: Path, database: DatabaseSettings, now: datetime, progress: Callable[[str, int, int], None]
) -> Copied:
    """Copy all that a SQLite file holds into a PostgreSQL database that is empty, or is its copy already.

    progress: told of a table, how many of its rows have been copied, and of how many. Raises StoreUnavailable.
    """
    if isinstance(database.url, SqliteUrl):
        raise SettingsInvalid(
            f"it is copied into PostgreSQL, and --database is {database.url}; give a postgresql:// URL"
        )
    from heliograph.store.postgresql.filling import fill_postgresql  # only who needs it waits for it

    with open_dump(source, now) as dump:
        url = _with_password(database.url, database)
        return await fill_postgresql(url, dump.tables(), dump.last_sms, progress)


def _with_password(url: PostgresqlUrl, database: DatabaseSettings) -> PostgresqlUrl:
    return url if database.password is None else msgspec.structs.replace(url, password=database.password)
