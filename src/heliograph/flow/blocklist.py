"""Numbers that get nothing from an account."""

from heliograph.clock import Clock, whole_ms
from heliograph.jobs.accounts import Account
from heliograph.jobs.errors import NumberNotBlocked
from heliograph.jobs.records import BlockedNumber
from heliograph.jobs.status import Status
from heliograph.metrics import Metrics
from heliograph.store.interface import BlocklistStore


class Blocklist:
    """Each account's own. dst is E.164 everywhere."""

    def __init__(self, store: BlocklistStore, clock: Clock, metrics: Metrics) -> None:
        self._store = store
        self._clock = clock
        self._metrics = metrics

    async def block(self, account: Account, dst: str) -> BlockedNumber:
        """Put a number on the list, if it isn't there; the SMS to it that wait end as BLOCKED."""
        now = whole_ms(self._clock.now())
        entry, ended_count = await self._store.block(account.id, dst, now)
        self._metrics.sms_finished(Status.BLOCKED.value, ended_count)
        return entry

    async def unblock(self, account: Account, dst: str) -> BlockedNumber:
        """Take a number off the list. Raises NumberNotBlocked."""
        return _found(await self._store.unblock(account.id, dst))

    async def entry(self, account: Account, dst: str) -> BlockedNumber:
        """A number on the list. Raises NumberNotBlocked."""
        return _found(await self._store.blocked(account.id, dst))

    async def entries(self, account: Account, offset: int, limit: int) -> list[BlockedNumber]:
        """The list, in the order of the numbers' digits."""
        return await self._store.find_blocked(account.id, offset, limit)


def _found(entry: BlockedNumber | None) -> BlockedNumber:
    if entry is None:
        raise NumberNotBlocked("the number is not on the blocklist; GET /rest/v1/blocklist lists those that are")
    return entry
