"""The schema: numbered scripts, each applied once, while nodes of older versions may be running.

Each script says in its first line from which version's on a heliograph can work with what it makes. A script must be
harmless to those: it adds, and what it takes away was needed by none of them.
"""

import re
from typing import NamedTuple

from heliograph.jobs.errors import StoreUnavailable
from heliograph.store.postgresql.connection import Connection, Database
from heliograph.store.postgresql.locks import SCHEMA_LOCK
from heliograph.store.sql import load_migrations

_MIGRATIONS = load_migrations("heliograph.store.postgresql")
SCHEMA_VERSION = len(_MIGRATIONS)
UPGRADE_TIMEOUT_S = 86_400.0
"""A new index of a big table takes its time. Waiting for a lock doesn't: nodes would wait behind it."""
_COMPATIBLE = re.compile(r"-- compatible from: (\d+)\n")


class Schema(NamedTuple):
    """What is in a database. version: 0 is nothing. compatible_from: which versions' programs can work with it."""

    version: int
    compatible_from: int = 0


async def schema_of(database: Database) -> Schema:
    """The schema that is there. Raises StoreUnavailable, also where the database holds something else."""
    async with database.writing() as db:
        return await _schema(db)


async def _schema(db: Connection) -> Schema:
    # In one statement: another node may be setting the database up.
    ((is_there, stranger),) = await db.query("what_is_there", ["account", "job", "sms", "live", "call", "node"])
    if is_there:
        ((version, compatible_from),) = await db.query("schema")
        return Schema(version, compatible_from)
    if stranger:
        raise StoreUnavailable(
            f"the database has a table {stranger} that is not heliograph's; give it a database of its own"
        )
    return Schema(0)


def check(schema: Schema) -> None:
    """Raises StoreUnavailable if this version can't work with a schema."""
    if schema.version < SCHEMA_VERSION:
        raise StoreUnavailable(
            f"the database has schema {schema.version}, and this version of heliograph needs {SCHEMA_VERSION}: "
            "run `heliograph db upgrade`, which nodes of the older version may go on through"
        )
    if schema.compatible_from > SCHEMA_VERSION:
        raise StoreUnavailable(
            f"the database has schema {schema.version}, and this version of heliograph knows {SCHEMA_VERSION}: "
            "use the newer version that wrote it"
        )


async def upgrade(database: Database) -> tuple[Schema, Schema]:
    """Bring the schema to this version's, all of it or nothing; what was there before, and what is there now.

    Of two that do it at once, one waits, and finds it done.
    """

    async def apply(db: Connection) -> tuple[Schema, Schema]:
        await db.query("lock_schema", SCHEMA_LOCK)
        before = await _schema(db)
        if before.compatible_from > SCHEMA_VERSION:
            check(before)
        if before.version >= SCHEMA_VERSION:
            return before, before
        encoding = await db.value("encoding")
        if encoding != "UTF8":
            raise StoreUnavailable(f"the database keeps texts in {encoding}; create one with ENCODING 'UTF8'")
        if not before.version:
            await db.run("create_schema")
            await db.run("insert_schema")
        compatible_from = before.compatible_from
        for script in _MIGRATIONS[before.version :]:
            found = _COMPATIBLE.match(script)
            assert found, "each script says with what it is compatible"
            compatible_from = max(compatible_from, int(found[1]))
            await db.script(f"SET LOCAL statement_timeout = 0;\n{script}", timeout_s=UPGRADE_TIMEOUT_S)
        await db.run("update_schema", SCHEMA_VERSION, compatible_from)
        return before, Schema(SCHEMA_VERSION, compatible_from)

    return await database.write(apply)
