"""Nodes that dispatch, and the roles that one of them at a time can have (docs/decisions/0036)."""

from datetime import datetime

from heliograph.store.postgresql.connection import Connection
from heliograph.store.postgresql.texts import kept
from heliograph.store.rows import instant_ms, instant_ms_up


async def meet(db: Connection, node: str, until: datetime, now: datetime) -> int:
    """A node tells that it is there; how many are."""
    await db.run("meet", kept(node), instant_ms_up(until))
    await db.run("part", instant_ms(now))
    return await db.value("dispatching", instant_ms(now))


async def claim(db: Connection, role: str, node: str, until: datetime, now: datetime) -> bool:
    """Whether the node has the role now. Of two that claim it at once, the second sees what the first has written."""
    return await db.run("claim", kept(role), kept(node), instant_ms_up(until), instant_ms(now)) == 1
