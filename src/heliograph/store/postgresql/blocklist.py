"""How numbers are put on blocklists, and taken off."""

from datetime import datetime

from heliograph.jobs.accounts import AccountId
from heliograph.jobs.records import BlockedNumber
from heliograph.store.postgresql.connection import Connection
from heliograph.store.postgresql.locks import SUBJECTS, Subject
from heliograph.store.postgresql.texts import kept, told
from heliograph.store.rows import blocked_number, instant_ms


async def block(db: Connection, account: AccountId, dst: str, now: datetime) -> BlockedNumber:
    """Put a number on an account's list, if it isn't there. What is leased afterwards, by any node, knows of it."""
    await db.query("lock", SUBJECTS, [Subject.BLOCKLIST], [True])
    await db.run("block", account, kept(dst), instant_ms(now))
    rows = await db.query("blocked", account, kept(dst))
    assert rows, "it was just put there, and whoever took it off since waits for us"
    return blocked_number((dst, rows[0][1]))


async def unblock(db: Connection, account: AccountId, dst: str) -> BlockedNumber | None:
    """Take a number off an account's list; what was there."""
    await db.query("lock", SUBJECTS, [Subject.BLOCKLIST], [True])
    rows = await db.query("unblock", account, kept(dst))
    return blocked_number((told(rows[0][0]), rows[0][1])) if rows else None
