"""A store whose waits for events run on the test's clock."""

from datetime import UTC, datetime

from heliograph.store.interface import Store
from heliograph.store.sqlite.store import SqliteStore
from tests.fakes.clock import ManualClock
from tests.flow.stores import FOREVER_S, StoreOnClock


class EventStore(StoreOnClock):
    """Waits until an event falls due, however far away: simulated days of polling take real minutes."""

    def __init__(self, inner: Store, clock: ManualClock) -> None:
        super().__init__(inner, clock)
        self._now = clock.now

    async def work_arrived(self, carrier: str, timeout_s: float) -> None:
        next_due = next_event_due(self.inner)
        until_s = FOREVER_S if next_due is None else (next_due - self._now()).total_seconds()
        await super().work_arrived(carrier, max(timeout_s, until_s))


def next_event_due(store: Store) -> datetime | None:
    """When the next event falls due that an enabled webhook is to be told."""
    if isinstance(store, SqliteStore):
        (due_ms,) = store._reader.raw.execute(
            "SELECT min(due) FROM event JOIN webhook ON webhook.id = event.webhook WHERE state = 0 AND types"
        ).fetchone()
        return None if due_ms is None else datetime.fromtimestamp(due_ms / 1000, UTC)
    outbox = store._outbox
    return min(
        (
            event.due_at
            for event in outbox._events
            if event.failed_at is None and outbox._webhooks[event.webhook].disabled_at is None
        ),
        default=None,
    )
