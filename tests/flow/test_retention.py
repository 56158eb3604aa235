"""Contract: section 3, `[retention]`."""

import asyncio

import pytest

from heliograph.flow.retention import ROUND_S, STEP_JOBS, STEP_PAUSE_S, forget_old_jobs
from heliograph.store.memory import MemoryStore
from tests.fakes.builders import NOW, a_plan, a_planned_sms, after, an_arrival
from tests.fakes.clock import ManualClock
from tests.flow.stores import ALL, StoreOnClock

DAY_S = 86_400


def a_finished_job(at=NOW):
    return a_plan(a_planned_sms("12", carrier=None, due=at), at=at)


class Archive:
    """Jobs, and somebody who forgets them when they are 90 days old."""

    def __init__(self):
        self.clock, self.memory = ManualClock(), MemoryStore()
        self.store = StoreOnClock(self.memory, self.clock)

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        self._task.cancel()

    async def start(self, text_days=None):
        self._task = asyncio.ensure_future(forget_old_jobs(self.store, self.clock, days=90, text_days=text_days))
        await self.clock.advance(0)

    async def knows(self, plan):
        return await self.memory.job(plan.account, plan.job_id) is not None

    def texts(self, plan):
        return self.memory._jobs[plan.job_id].plan.messages


async def test_finished_jobs_are_forgotten_when_they_are_old():
    plan = a_finished_job()
    async with Archive() as archive:
        await archive.memory.add_job(plan)
        await archive.start()
        await archive.clock.advance(90 * DAY_S)
        assert await archive.knows(plan)
        await archive.clock.advance(ROUND_S + 1)
        assert not await archive.knows(plan)


async def test_open_jobs_are_never_forgotten_nor_are_their_texts():
    plan = a_plan(a_planned_sms(due=after(200 * DAY_S)))
    async with Archive() as archive:
        await archive.memory.add_job(plan)
        await archive.start(text_days=1)
        await archive.clock.advance(100 * DAY_S)
        assert await archive.knows(plan)
        assert archive.texts(plan)


async def test_texts_may_be_forgotten_sooner_than_jobs():
    plan = a_finished_job()
    async with Archive() as archive:
        await archive.memory.add_job(plan)
        await archive.start(text_days=2)
        await archive.clock.advance(2 * DAY_S)
        assert archive.texts(plan)
        await archive.clock.advance(ROUND_S + 1)
        assert not archive.texts(plan)
        assert await archive.knows(plan)


@pytest.mark.parametrize(("text_days", "kept_days"), [(None, 90), (2, 2), (100, 90)])
async def test_sms_from_phones_are_forgotten_with_the_texts(text_days, kept_days):
    async with Archive() as archive:
        await archive.memory.record_inbound("acme", [an_arrival()])
        await archive.start(text_days=text_days)
        await archive.clock.advance(kept_days * DAY_S)
        assert archive.memory._inbound
        await archive.clock.advance(ROUND_S + 1)
        assert not archive.memory._inbound


async def test_many_old_jobs_are_forgotten_in_small_steps_with_pauses_between_them():
    async with Archive() as archive:
        await archive.clock.advance(100 * DAY_S)
        for _ in range(3 * STEP_JOBS):
            await archive.memory.add_job(a_finished_job())
        await archive.start()
        assert len(archive.memory._jobs) == 2 * STEP_JOBS
        await archive.clock.advance(STEP_PAUSE_S)
        assert len(archive.memory._jobs) == STEP_JOBS


async def test_a_store_that_is_away_is_asked_again_later():
    plan = a_finished_job()
    async with Archive() as archive:
        await archive.memory.add_job(plan)
        archive.store.away = ALL
        await archive.start()
        await archive.clock.advance(91 * DAY_S)
        archive.store.away = ()
        await archive.clock.advance(ROUND_S + 1)
        assert not await archive.knows(plan)
