"""What carriers are to drop, because its SMS was killed."""

from collections.abc import Sequence
from datetime import datetime

from heliograph.store.interface import RECALL_TRIES, Recall
from heliograph.store.rows import instant_ms, instant_ms_up, recalls
from heliograph.store.sqlite.connection import Connection


def lease(db: Connection, carrier: str, limit: int, until: datetime, now: datetime) -> list[Recall]:
    """Take what a carrier is to be told now."""
    now_ms = instant_ms(now)
    leased = recalls(db.query("recalls_due", carrier, now_ms, now_ms, limit))
    db.run_rows("lease_recalls", [(each.segment, instant_ms_up(until), RECALL_TRIES) for each in leased])
    return leased


def settle(db: Connection, carrier: str, message_ids: Sequence[str]) -> None:
    """It needn't be told again."""
    db.run_rows("settle_recalls", [(message_id, carrier) for message_id in message_ids])
