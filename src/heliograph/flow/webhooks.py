"""Subscriptions to what happens: made, listed and ended by their accounts, or by whoever has a trigger's token."""

from base64 import b64encode
from collections.abc import Sequence

from heliograph.clock import Clock, whole_ms
from heliograph.ids import Ids
from heliograph.jobs.accounts import Account
from heliograph.jobs.errors import WebhookUnknown
from heliograph.jobs.naming import RANDOM_SPACE, webhook_id
from heliograph.jobs.webhooks import EventType, FailedEvent, Webhook, WebhookId
from heliograph.store.interface import WebhookStore

REPLAYED_AT_ONCE = 1000
"""How many events one step of replaying lets fall due: in tens of milliseconds."""
REPLAY_STEPS = 20
"""How many steps one call takes at most: so it is answered in seconds, however much was given up."""


class Webhooks:
    """Each account's own. allow_private: whether they may lead to private addresses, and without encryption."""

    def __init__(self, store: WebhookStore, clock: Clock, ids: Ids, *, allow_private: bool) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids
        self.allow_private = allow_private

    async def add(self, account: Account, url: str, events: Sequence[EventType], *, trigger: bool = False) -> Webhook:
        """Subscribe. trigger: for a flow, which ends it by its token. Raises TooManyWebhooks."""
        now = whole_ms(self._clock.now())
        webhook = Webhook(
            id=WebhookId(webhook_id(now, self._ids.number(RANDOM_SPACE))),
            account=account.id,
            url=url,
            events=tuple(dict.fromkeys(events)),
            secret=f"whsec_{b64encode(self._ids.key()).decode()}",
            created_at=now,
            token=self._ids.password() if trigger else None,
        )
        await self._store.add_webhook(webhook)
        return webhook

    async def all(self, account: Account) -> list[Webhook]:
        """The account's, oldest first."""
        return await self._store.webhooks(account.id)

    async def remove(self, account: Account, webhook: str) -> Webhook:
        """End a subscription; what it was. Raises WebhookUnknown."""
        removed = await self._store.remove_webhook(account.id, WebhookId(webhook))
        if removed is None:
            raise _unknown()
        return removed

    async def unsubscribe(self, token: str) -> bool:
        """End the subscription that has that token; whether there was one."""
        return await self._store.remove_trigger(token) is not None

    async def failures(self, account: Account, webhook: str, offset: int, limit: int) -> list[FailedEvent]:
        """Events that were given up, the first one first. Raises WebhookUnknown."""
        found = await self._store.find_failed_events(account.id, WebhookId(webhook), offset, limit)
        if found is None:
            raise _unknown()
        return found

    async def replay(self, account: Account, webhook: str) -> int:
        """Try again what was given up, and enable the webhook if it was disabled; how much.

        It is REPLAYED_AT_ONCE * REPLAY_STEPS at most, then there may be more. Raises WebhookUnknown.
        """
        total = 0
        for _ in range(REPLAY_STEPS):
            count = await self._store.replay_events(account.id, WebhookId(webhook), REPLAYED_AT_ONCE, self._clock.now())
            if count is None:
                raise _unknown()
            total += count
            if count < REPLAYED_AT_ONCE:
                break
        return total


def _unknown() -> WebhookUnknown:
    return WebhookUnknown("the account has no such webhook; GET /rest/v1/webhooks lists those it has")
