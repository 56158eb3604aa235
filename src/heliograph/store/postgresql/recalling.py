"""What carriers are to drop, because its SMS was killed. Of several nodes each takes what the others leave."""

from collections.abc import Collection
from datetime import datetime

from heliograph.store.interface import RECALL_TRIES, Recall
from heliograph.store.postgresql.connection import Connection
from heliograph.store.postgresql.texts import kept, told
from heliograph.store.rows import instant_ms, instant_ms_up, recalls


async def lease(db: Connection, carrier: str, limit: int, until: datetime, now: datetime) -> list[Recall]:
    """Take what a carrier is to be told now."""
    rows = await db.query("lease_recalls", carrier, instant_ms(now), limit, instant_ms_up(until), RECALL_TRIES)
    return recalls((number, told(message_id), options) for number, message_id, options in rows)


async def settle(db: Connection, carrier: str, message_ids: Collection[str]) -> None:
    """It needn't be told again."""
    await db.run_rows("settle_recalls", [(kept(message_id), carrier) for message_id in message_ids])
