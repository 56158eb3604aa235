"""A sender, its store and those it calls, on a clock that the test moves."""

import asyncio
from collections import Counter
from contextlib import asynccontextmanager

from heliograph.jobs.naming import sms_id
from heliograph.jobs.plan import JobPlan
from heliograph.jobs.status import Status
from heliograph.jobs.webhooks import EventType, Webhook
from heliograph.metrics import Metrics
from heliograph.store.interface import DuePart, Ended, Store
from heliograph.store.memory import MemoryStore
from heliograph.webhooks.retrying import RetryPolicy
from heliograph.webhooks.sender import Sender
from tests.fakes.builders import a_plan, a_planned_sms, a_webhook, numbers
from tests.fakes.clock import ManualClock, settle
from tests.fakes.receivers import TIMEOUT_S, Receivers
from tests.simulation.world import inline_sqlite
from tests.webhooks.stores import EventStore

LEASE_S = TIMEOUT_S + 30
POLICY = RetryPolicy()


class World:
    """What a test needs in its hands. `start` a sender in it, and as many more as there are nodes."""

    def __init__(self, store: Store, clock: ManualClock) -> None:
        self.clock = clock
        self.store = EventStore(store, clock)
        self.receivers = Receivers(clock)
        self.metrics = Metrics()
        self.sender: Sender | None = None
        self.plans: list[JobPlan] = []
        self.ended_at_s: dict[str, float] = {}
        self._tasks: list[asyncio.Task] = []

    async def webhook(self, url: str = "https://example.com/hook", **fields) -> Webhook:
        webhook = a_webhook(url=url, at=self.clock.now(), **fields)
        await self.store.inner.add_webhook(webhook)
        return webhook

    async def start(self, *, policy: RetryPolicy = POLICY, concurrency: int = 20) -> None:
        self.sender = Sender(
            self.store,
            self.receivers,
            self.clock,
            self.metrics,
            policy=policy,
            concurrency=concurrency,
            lease_s=LEASE_S,
        )
        self._tasks.append(asyncio.ensure_future(self.sender.run()))
        await settle()

    async def kill(self) -> None:
        for task in self._tasks:
            task.cancel()
        await settle()
        for task in self._tasks:
            assert task.cancelled(), task.exception()
        self._tasks.clear()

    # What happens

    async def begin_job(self, sms_count: int = 1, **fields) -> list[DuePart]:
        """A job whose SMS are with the carrier."""
        now = self.clock.now()
        plan = a_plan(*(a_planned_sms(dst, due=now) for dst in numbers(sms_count)), at=now, **fields)
        await self.store.inner.add_job(plan)
        self.plans.append(plan)
        return await self.store.inner.lease_segments("acme", sms_count, now.replace(year=2099), now)

    async def end(self, *parts: DuePart) -> None:
        """Their SMS come to their end."""
        now = self.clock.now()
        ended = [Ended(part.segment.id, Status.NOT_ACC_FIN, "refused", now) for part in parts]
        await self.store.inner.record_outcomes("acme", ended)
        await settle()

    async def finish_job(self, sms_count: int = 1, **fields) -> JobPlan:
        await self.end(*await self.begin_job(sms_count, **fields))
        return self.plans[-1]

    async def jobs_for(self, seconds: float, draw, *, every_s: float = 10.0) -> None:
        """Jobs of one to five SMS, which end one by one, for a while. draw: a seeded random.Random."""
        until_s = self.clock.monotonic() + seconds
        running: list[DuePart] = []
        while self.clock.monotonic() < until_s:
            running += await self.begin_job(draw.randint(1, 5))
            draw.shuffle(running)
            ending, running = running[: len(running) * 2 // 3], running[len(running) * 2 // 3 :]
            await self.end(*ending)
            await self.clock.advance(every_s)
        await self.end(*running)

    # What is looked at

    def figures(self, *webhooks: Webhook, may_repeat: bool = False) -> str:
        """What has arrived; fails unless all has, in order, and nothing twice (or with the same id, where it may)."""
        lines: list[str] = []
        for webhook in webhooks:
            told = self.receivers.told(webhook.url)
            expected = self._expected(webhook)
            assert {(post.type, _subject(post.data)) for post in told} == expected
            ids = {post.id for post in told}
            assert len(ids) == len(expected), "an event has one id, however often it came"
            repeated = len(told) - len(ids)
            assert may_repeat or not repeated
            if EventType.SMS_FINISHED in webhook.events:
                self._check_order(told)
            lines.append(
                f"{len(expected)} events, none lost, {repeated} twice, {len(self.receivers.posts[webhook.url])} POSTs"
            )
        return "; ".join(lines)

    def event_count(self, webhook: Webhook) -> int:
        """How many events there are for it, told or not."""
        return len(self._expected(webhook))

    def _expected(self, webhook: Webhook) -> set[tuple[str, str]]:
        plans = [plan for plan in self.plans if plan.account == webhook.account]
        sms = {("sms.finished", sms_id(plan.job_id, index)) for plan in plans for index in range(len(plan.sms))}
        jobs = {("job.finished", plan.job_id) for plan in plans}
        return (sms if EventType.SMS_FINISHED in webhook.events else set()) | (
            jobs if EventType.JOB_FINISHED in webhook.events else set()
        )

    def _check_order(self, told) -> None:
        """A job comes after all its SMS."""
        left = Counter({plan.job_id: len(plan.sms) for plan in self.plans})
        seen: set[str] = set()
        for post in told:
            if post.id in seen:
                continue
            seen.add(post.id)
            if post.type == "sms.finished":
                left[post.data["jobId"]] -= 1
            else:
                assert left[post.data["jobId"]] == 0, "a job came before one of its SMS"


def _subject(data: dict) -> str:
    return data.get("smsId") or data["jobId"]


@asynccontextmanager
async def world(database=None):
    """database: the file of a SQLite store; None is the store in memory."""
    clock = ManualClock()
    if database is None:
        made = World(MemoryStore(), clock)
        yield made
        await made.kill()
    else:
        async with inline_sqlite(database, clock.now()) as store:
            made = World(store, clock)
            yield made
            await made.kill()
