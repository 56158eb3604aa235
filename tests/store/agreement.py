"""A store beside the one in memory, which it is to answer like; and what webhooks make of that."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from heliograph.jobs.accounts import AccountId
from heliograph.jobs.errors import HeliographError
from heliograph.jobs.webhooks import EventType, Webhook
from heliograph.store.interface import (
    DueEvent,
    EventDelivered,
    EventGivenUp,
    EventPostponed,
    Settlement,
    Store,
    WebhookGone,
)
from heliograph.store.memory import MemoryStore
from heliograph.store.postgresql.store import open_postgresql
from heliograph.store.postgresql.url import PostgresqlUrl
from heliograph.store.sqlite.store import open_sqlite
from tests.fakes.builders import NOW, a_webhook
from tests.fakes.postgresql import PostgresServer

ACCOUNTS = (1, 2, 3)
ON_SQLITE = settings(
    max_examples=50,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
ON_POSTGRESQL = settings(ON_SQLITE, max_examples=15)

seconds = st.sampled_from((0, 1, 5, 60, 599, 600, 3599, 3600, 90_000))


class Agreement(RuleBasedStateMachine):
    """Two stores, asked the same."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.Runner()
        self.resources = AsyncExitStack()
        self.stores: tuple[Store, Store] = (MemoryStore(), self.loop.run(self.open_store()))
        self.now = NOW

    async def open_store(self) -> Store:
        """The one that is to answer like memory."""
        folder = self.resources.enter_context(tempfile.TemporaryDirectory())
        return await self.resources.enter_async_context(open_sqlite(Path(folder, "heliograph.db"), NOW))

    def teardown(self) -> None:
        self.loop.run(self.resources.aclose())
        self.loop.close()

    def ask(self, question: Callable[[Store], Awaitable[Any]]) -> Any:
        """What both stores answer, be it an error."""
        memory, other = (self.loop.run(_answer(question, store)) for store in self.stores)
        assert other == memory, f"{memory} was expected, not {other}"
        return memory

    @rule(wait_s=seconds)
    def time_passes(self, wait_s):
        self.now += timedelta(seconds=wait_s)


class WebhookRules(Agreement):
    """With webhooks from the start, so that nearly all that happens is told to somebody."""

    def __init__(self) -> None:
        super().__init__()
        self.webhooks = [a_webhook(account=account) for account in ACCOUNTS[:2]]
        for webhook in self.webhooks:
            self.ask(lambda store, webhook=webhook: store.add_webhook(webhook))

    @precondition(lambda self: len(self.webhooks) < 4)
    @rule(account=st.sampled_from(ACCOUNTS), events=st.sets(st.sampled_from(EventType), min_size=1))
    def a_webhook_is_added(self, account, events):
        webhook = a_webhook(account=account, events=[each for each in EventType if each in events], at=self.now)
        self.webhooks.append(webhook)
        self.ask(lambda store: store.add_webhook(webhook))

    @precondition(lambda self: self.webhooks)
    @rule(
        for_s=seconds,
        wait_s=st.sampled_from((0, 1, 60, 3600)),
        verdicts=st.lists(
            st.sampled_from(("delivered", "given up", "postponed", "delivered", "given up", "nothing", "gone")),
            min_size=1,
            max_size=4,
        ),
    )
    def webhooks_are_told(self, for_s, wait_s, verdicts):
        """All that is due: in which order a store numbers what one call made happen is its own affair."""
        for turn in range(2):  # What is settled can make a job's event fall due, and what is postponed does.
            self.now += timedelta(seconds=turn * wait_s)
            self._tell_webhooks(for_s, self.now + timedelta(seconds=wait_s), verdicts[turn:] or verdicts)

    def _tell_webhooks(self, for_s, later, verdicts):
        until = self.now + timedelta(seconds=for_s)
        leased = []
        for store in self.stores:
            due = self.loop.run(store.lease_events(1000, 1000, {}, until, self.now))
            leased.append({(each.webhook.id, each.event.type.value, each.event.subject): each for each in due})
        memory, other = ({key: _told(each) for key, each in due.items()} for due in leased)
        missing, surplus = sorted(memory.keys() - other.keys()), sorted(other.keys() - memory.keys())
        assert other == memory, f"missing: {missing}; too many: {surplus}"
        for store, due in zip(self.stores, leased, strict=True):
            settlements = [
                settlement
                for place, (_, each) in enumerate(sorted(due.items()))
                for settlement in self._settled(each, verdicts[place % len(verdicts)], later)
            ]
            self.loop.run(store.settle_events(settlements))

    def _settled(self, due: DueEvent, verdict: str, later: datetime) -> list[Settlement]:
        attempts = due.attempt_count + 1
        match verdict:
            case "delivered":
                return [EventDelivered(due.number)]
            case "postponed":
                return [EventPostponed(due.number, due.leased_until, later, attempts, "500")]
            case "given up":
                return [EventGivenUp(due.number, due.leased_until, attempts, "500", self.now)]
            case "gone":
                return [WebhookGone(due.webhook.id, self.now)]
            case _:
                return []

    @precondition(lambda self: self.webhooks)
    @rule(data=st.data(), what=st.sampled_from(("replayed", "replayed", "removed")))
    def webhooks_are_replayed_or_one_is_removed(self, data, what):
        webhook = data.draw(st.sampled_from(self.webhooks))
        if what == "replayed":
            for each in self.webhooks:
                self.ask(lambda store, each=each: store.replay_events(each.account, each.id, 1000, self.now))
            self._tell_webhooks(0, self.now, ["nothing"])
        else:
            self.ask(lambda store: store.remove_webhook(webhook.account, webhook.id))

    @invariant()
    def webhooks_agree(self):
        for account in map(AccountId, ACCOUNTS):
            self.ask(lambda store, account=account: store.webhooks(account))
        for webhook in self.webhooks:
            failed = [self.loop.run(_failed(store, webhook)) for store in self.stores]
            assert failed[1] == failed[0]


class OnPostgresql:
    """The other store is on PostgreSQL. server: where."""

    server: ClassVar[PostgresServer]

    async def open_store(self) -> Store:
        url = PostgresqlUrl.parse(self.server.url(await self.server.emptied_database()))
        return await self.resources.enter_async_context(open_postgresql(url))


def _told(due: DueEvent) -> tuple[object, ...]:
    return due.webhook, due.event, due.attempt_count, due.leased_until


async def _failed(store: Store, webhook: Webhook) -> list[tuple[object, ...]] | None:
    found = await store.find_failed_events(webhook.account, webhook.id, 0, 1000)
    if found is None:
        return None
    return sorted(
        (each.event.type.value, each.event.subject, each.attempt_count, each.reason, each.failed_at) for each in found
    )


async def _answer(question: Callable[[Store], Awaitable[object]], store: Store) -> object:
    try:
        return await question(store)
    except HeliographError as error:
        return type(error), str(error)
