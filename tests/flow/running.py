"""A dispatcher and a follower of receipts at work, on a clock that the test moves."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from heliograph.flow.dispatch.dispatcher import Dispatcher
from heliograph.flow.dispatch.pacing import Pacer
from heliograph.flow.dispatch.retrying import RetryPolicy
from heliograph.flow.receipts import follow_receipts
from heliograph.jobs.plan import JobPlan
from heliograph.jobs.status import SmsProgress, Status
from heliograph.metrics import Metrics
from heliograph.store.memory import MemoryStore
from tests.fakes.carrier import ScriptedCarrier
from tests.fakes.clock import ManualClock, settle
from tests.flow.stores import StoreOnClock

LEASE_S = 60.0


class Flow:
    """What a test needs in its hands."""

    def __init__(self, clock, store, carrier, dispatcher, metrics, tasks):
        self.clock = clock
        self.store = store
        self.carrier = carrier
        self.dispatcher = dispatcher
        self.metrics = metrics
        self._tasks = tasks

    async def add(self, *plans: JobPlan) -> None:
        for plan in plans:
            await self.store.inner.add_job(plan)
        await settle()

    async def sms(self, plan: JobPlan, index: int = 0) -> SmsProgress:
        return (await self.store.inner.sms_of_job(plan.account, plan.job_id))[index].progress

    async def status(self, plan: JobPlan, index: int = 0) -> Status:
        return (await self.sms(plan, index)).status

    async def stop(self) -> None:
        """As a kill would."""
        for task in self._tasks:
            task.cancel()
        await settle()


@asynccontextmanager
async def flow(
    script=None,
    *,
    window: int = 10,
    policy: RetryPolicy | None = None,
    rate_per_s: float | None = None,
    pacer: Pacer | None = None,
    lease_s: float = LEASE_S,
    carrier=None,
    carriers=(),
    express_share: float = 0.0,
    store: StoreOnClock | None = None,
    clock: ManualClock | None = None,
    receipts: bool = True,
) -> AsyncGenerator[Flow]:
    """Run them; the carrier is called acme, as the builders' SMS want it."""
    clock = clock or ManualClock()
    store = store or StoreOnClock(MemoryStore(), clock)
    metrics = Metrics()
    carrier = carrier or ScriptedCarrier("acme", clock, script, window=window)
    dispatcher = Dispatcher(
        carrier,
        store,
        clock,
        metrics,
        policy=policy or RetryPolicy(),
        pacer=pacer or Pacer(rate_per_s),
        lease_s=lease_s,
        carriers=carriers,
        express_share=express_share,
    )
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(dispatcher.run())]
        if receipts:
            tasks.append(group.create_task(follow_receipts(carrier, store, clock, metrics)))
        running = Flow(clock, store, carrier, dispatcher, metrics, tasks)
        await settle()
        try:
            yield running
        finally:
            for task in tasks:
                task.cancel()
