"""Partitions of history on PostgreSQL: made ahead of time, forgotten in, dropped when nobody needs them any more."""

import asyncio
import re
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from heliograph.jobs.accounts import AccountId
from heliograph.jobs.status import ProcessStatus
from heliograph.store.postgresql import accepting, partitions, retention
from heliograph.store.postgresql.connection import _QUERIES, columns
from heliograph.store.postgresql.partitions import DAY_MS
from heliograph.store.postgresql.store import open_postgresql
from heliograph.store.rows import instant_ms, instant_of
from tests.fakes.builders import NOW, a_plan, a_planned_sms
from tests.fakes.postgresql import hide_what_is_forgotten
from tests.store.conformance import (
    StoreConformance,
    a_finished_job,
    delivered,
    ended,
    finished_at,
    lease,
    listed,
    progress_of,
    sms_of,
    submitted,
)
from tests.store.webhooks.conformance import WebhookConformance

DAY = timedelta(days=1)


class TestWhatIsForgottenIsHidden:
    """What any store does about it, where the rows stay."""

    @pytest.fixture
    async def store(self, url):
        async with open_postgresql(url) as store:
            await hide_what_is_forgotten(store)
            async with store._database.writing() as db:
                # As if that weren't the first partition: SMS get the numbers that they will have after it.
                await db.script("UPDATE partition SET number = -1 WHERE number = 0")
            yield store

    test_old = StoreConformance.test_old_finished_jobs_are_forgotten_and_leave_nothing
    test_steps = StoreConformance.test_no_more_jobs_are_forgotten_at_once_than_asked_for
    test_not_final = StoreConformance.test_a_job_with_an_sms_not_final_is_never_forgotten
    test_new = StoreConformance.test_new_jobs_come_well_after_old_ones_are_forgotten
    test_texts = StoreConformance.test_blanking_the_texts_of_old_jobs_leaves_their_reports
    test_events = WebhookConformance.test_an_event_of_a_forgotten_job_is_dropped

    async def test_it_has_no_texts_to_blank(self, store):
        await a_finished_job(store)
        await store.forget_jobs(NOW + DAY, 10)
        assert await rows(store, "job") == 1
        assert await store.blank_texts(NOW + DAY, 10) == 0

    async def test_nodes_forget_side_by_side(self, url, store):
        for at in range(30):
            await a_finished_job(store, at=at)
        async with open_postgresql(url) as other:
            counts = await asyncio.gather(*(node.forget_jobs(NOW + DAY, 20) for node in (store, other)))
        assert sum(counts) == 30

    async def test_unfinished_jobs_are_passed_by_in_steps(self, store, monkeypatch):
        monkeypatch.setattr(retention, "LINGERING_JOBS", 2)
        plans = [a_plan(a_planned_sms(due=NOW + DAY)) for _ in range(5)]
        for plan in plans:
            await store.add_job(plan)
        await a_finished_job(store, at=1)
        assert [await store.forget_jobs(NOW + DAY, 1) for _ in range(4)] == [0, 0, 1, 0]
        assert sorted(await listed(store)) == sorted(plan.job_id for plan in plans)


class Installation:
    """A database of its own, of which the first partition ends on a day 0."""

    def __init__(self, store) -> None:
        self.store = store
        self.day_0 = NOW

    def day(self, day: float):
        return self.day_0 + day * DAY

    async def partitions(self):
        async with self.store._database.reading() as db:
            return await partitions.partitions(db)

    async def keep_in_order(self, day: float, *, days: float = 7):
        await self.store.keep_in_order(self.day(day), days)

    def at(self, day: float) -> float:
        """Seconds after NOW, as `conformance` counts; SMS get the numbers of then."""
        self._number_from(day)
        return (self.day(day) - NOW).total_seconds()

    def _number_from(self, day: float) -> None:
        numbers = self.store._numbers
        first = instant_ms(self.day(day)) // 1000 << 26
        if not first <= numbers._next < first + accepting.SMS_BLOCK:
            numbers._next, numbers._end, numbers._use_until_s = first, first + accepting.SMS_BLOCK, float("inf")

    async def finished_job(self, day: float):
        return await a_finished_job(self.store, at=self.at(day))

    async def open_job(self, day: float):
        self._number_from(day)
        plan = a_plan(a_planned_sms(due=self.day(day)), a_planned_sms(due=self.day(day)), at=self.day(day))
        await self.store.add_job(plan)
        return plan

    async def forget_before(self, day: float) -> int:
        return await self.store.forget_jobs(self.day(day), 1000)

    async def is_known(self, plan) -> bool:
        return await self.store.job(AccountId(1), plan.job_id) is not None


@pytest.fixture
async def here(empty_url):
    async with open_postgresql(empty_url) as store:
        here = Installation(store)
        (first,) = await here.partitions()
        here.day_0 = instant_of(first.until)
        yield here


async def rows(store, table):
    async with store._database.writing() as db:
        return await db.raw.fetchval(f"SELECT count(*) FROM {table}")


async def where(store, table):
    """In which tables rows are."""
    async with store._database.writing() as db:
        found = await db.raw.fetch(f"SELECT tableoid::regclass::text, count(*) FROM {table} GROUP BY 1 ORDER BY 1")
        return {row[0]: row[1] for row in found}


# Making


async def test_there_is_always_one_whole_partition_ahead(here):
    for day in (-1, -0.5, 0, 0.5, 3):
        await here.keep_in_order(day)
        assert (await here.partitions())[-1].until >= instant_ms(here.day(day + 1))
    spans = [(each.since, each.until) for each in await here.partitions()]
    assert [until for _, until in spans[:-1]] == [since for since, _ in spans[1:]]


async def test_nothing_is_made_that_is_there(here):
    await here.keep_in_order(0)
    before = await here.partitions()
    await here.keep_in_order(0)
    assert await here.partitions() == before


@pytest.mark.parametrize(("days", "length"), [(0.01, 1), (1, 1), (7, 1), (7.5, 2), (90, 13), (365, 53), (36_500, 5215)])
async def test_they_are_so_long_that_there_are_few(here, days, length):
    await here.keep_in_order(0, days=days)
    *_, last = await here.partitions()
    assert last.until - last.since == length * DAY_MS


async def test_nodes_may_make_them_at_once(here, empty_url):
    async with AsyncExitStack() as stack:
        nodes = [await stack.enter_async_context(open_postgresql(empty_url)) for _ in range(3)]
        await asyncio.gather(*(node.keep_in_order(here.day(0), 7) for node in nodes))
    assert [each.number for each in await here.partitions()] == [0, 1]


async def test_jobs_go_to_the_partition_of_their_time(here):
    await here.keep_in_order(0.5)
    for day in (-0.5, 0.5, 1.5):
        await here.finished_job(day)
    assert await where(here.store, "job") == {"job_0": 1, "job_1": 1, "job_2": 1}
    assert await where(here.store, "message") == {"message_0": 1, "message_1": 1, "message_2": 1}
    assert await where(here.store, "sms") == {"sms_0": 2, "sms_1": 2, "sms_2": 2}


async def test_where_none_was_made_in_time_jobs_are_taken_all_the_same_and_go_row_by_row(here):
    late = await here.finished_job(3)
    await here.keep_in_order(3.5)
    assert await where(here.store, "sms") == {"sms_rest": 2}
    (_, *_, last) = await here.partitions()
    assert last.since > instant_ms(here.day(3.5))
    new = await here.finished_job(4.5)
    assert await where(here.store, "job") == {"job_rest": 1, f"job_{last.number}": 1}
    assert await here.forget_before(4) == 1
    assert [await here.is_known(plan) for plan in (late, new)] == [False, True]
    assert await rows(here.store, "sms_rest") == 0


async def test_what_is_in_partitions_too_long_for_fewer_days_goes_row_by_row(here):
    await here.keep_in_order(0, days=365)
    await here.finished_job(0.5)
    await here.keep_in_order(1, days=7)
    assert await here.forget_before(2) == 1
    assert await rows(here.store, "sms_1") == 0
    await here.keep_in_order(2, days=365)
    await here.finished_job(2.5)
    assert await here.forget_before(3) == 1
    assert await rows(here.store, "sms_1") == 2


async def test_while_nodes_of_the_version_before_may_run_the_numbers_of_sms_are_such_as_they_can_read(here):
    async with here.store._database.writing() as db:
        assert await db.value("next_sms_block") < 1 << 31


async def test_then_they_tell_when_they_were_given(here):
    async with here.store._database.writing() as db:
        await db.script("UPDATE partition SET until = 1000")
        first, second = await db.value("next_sms_block"), await db.value("next_sms_block")
        second_now = await db.raw.fetchval("SELECT floor(extract(epoch FROM clock_timestamp()))::bigint")
    assert second_now - 10 <= first >> 26 <= second >> 26 <= second_now
    assert second - first >= accepting.SMS_BLOCK
    await here.store.add_job(a_plan())
    block = here.store._numbers._end
    await here.store.add_job(a_plan())
    assert here.store._numbers._end == block
    here.store._numbers._use_until_s = 0
    await here.store.add_job(a_plan())
    assert here.store._numbers._end > block


# Dropping


async def test_a_partition_goes_when_all_of_it_was_forgotten_and_nothing_else_goes(here):
    await here.keep_in_order(1)
    old, young = await here.finished_job(0.5), await here.finished_job(1.5)
    await here.keep_in_order(11.5)
    assert await here.forget_before(1.5) == 1
    assert await rows(here.store, "sms_1") == 2, "forgotten, and still there"
    await here.keep_in_order(11.5)
    assert [each.number for each in await here.partitions()][:2] == [2, 3], "and the first, with all in it"
    assert [await here.is_known(plan) for plan in (old, young)] == [False, True]
    assert len(await sms_of(here.store, young)) == 2
    assert [await rows(here.store, table) for table in ("job", "message", "sms")] == [1, 1, 2]


async def test_nodes_may_drop_it_at_once(here, empty_url):
    await here.keep_in_order(0)
    await here.finished_job(0.5)
    await here.forget_before(5)
    with capture_logs() as logs:
        async with AsyncExitStack() as stack:
            nodes = [await stack.enter_async_context(open_postgresql(empty_url)) for _ in range(3)]
            await asyncio.gather(*(node.keep_in_order(here.day(0.5), 7) for node in nodes))
            await here.keep_in_order(0.5)
    assert [each["event"] for each in logs] == ["store.partition_dropped"]
    assert [each.number for each in await here.partitions()] == [1, 2]


async def test_it_goes_though_nothing_came_after_it(here):
    await here.keep_in_order(0)
    await here.finished_job(0.5)
    await here.forget_before(5)
    await here.keep_in_order(15)
    assert await rows(here.store, "sms") == 0
    assert 1 not in {each.number for each in await here.partitions()}


async def test_jobs_that_were_not_finished_outlive_their_partition(here):
    await here.keep_in_order(0)
    await here.finished_job(0.25)
    plan = await here.open_job(0.5)
    await here.forget_before(5)
    await here.keep_in_order(15)
    assert (await where(here.store, "job"), await where(here.store, "sms")) == ({"job_rest": 1}, {"sms_rest": 2})
    parts = await lease(here.store, at=here.at(15))
    assert [part.segment.text for part in parts] == ["Hello", "Hello"]
    await here.store.record_outcomes("acme", [submitted(parts[0], "m", at=here.at(15)), ended(parts[1])])
    await here.store.record_receipts("acme", [delivered("m", at=here.at(15.5))])
    assert await finished_at(here.store, plan) == here.day(15.5)
    assert {each.process_status for each in await progress_of(here.store, plan)} == {ProcessStatus.DONE}
    assert await here.forget_before(5) == 1
    assert not await here.is_known(plan)
    assert [await rows(here.store, table) for table in ("job", "message", "sms", "lingering")] == [0, 0, 0, 0]


async def test_while_there_are_too_many_of_those_the_partition_stays(here, monkeypatch):
    monkeypatch.setattr(partitions, "MOVED_SMS", 1)
    await here.keep_in_order(0)
    plan = await here.open_job(0.5)
    await here.forget_before(5)
    await here.keep_in_order(15)
    assert await where(here.store, "sms") == {"sms_1": 2}
    await here.store.cancel_job(AccountId(1), plan.job_id, here.day(15))
    assert await here.forget_before(5) == 1
    await here.keep_in_order(15)
    assert 1 not in {each.number for each in await here.partitions()}


async def test_a_partition_with_an_sms_of_a_job_that_is_not_forgotten_stays_until_it_is(here):
    """As a node of the version before makes them, which gives numbers of a block of any age."""
    await here.keep_in_order(0)
    await here.finished_job(0.5)
    plan = await a_finished_job(here.store, at=(here.day(5.5) - NOW).total_seconds())
    assert await where(here.store, "sms") == {"sms_1": 4}
    await here.forget_before(5)
    for _ in range(2):
        await here.keep_in_order(15)
        assert len(await sms_of(here.store, plan)) == 2
    await here.forget_before(6)
    await here.keep_in_order(16)
    assert 1 not in {each.number for each in await here.partitions()}


async def test_and_so_it_does_where_one_comes_while_it_is_looked_at(here, monkeypatch):
    await here.keep_in_order(0)
    await here.finished_job(0.5)
    await here.forget_before(5)
    write = here.store._database.write

    drops = []

    async def write_after_another(body, **options):
        if body.__name__ == "drop":
            drops.append(body)
        if len(drops) == 2:  # The first is of the first partition.
            drops.clear()
            await a_finished_job(here.store, at=(here.day(15) - NOW).total_seconds())
        return await write(body, **options)

    monkeypatch.setattr(here.store._database, "write", write_after_another)
    await here.keep_in_order(15)
    assert (await where(here.store, "sms"))["sms_1"] >= 2
    for plan in await listed(here.store, since=here.day(14), until=here.day(16)):
        assert len(await here.store.sms_of_job(AccountId(1), plan)) == 2


async def test_who_reads_for_long_holds_up_partitions_but_nobody_else(here):
    await here.keep_in_order(0)
    await here.finished_job(0.5)
    await here.forget_before(5)
    before = await here.partitions()
    async with here.store._database.reading() as db, db.raw.transaction():
        await db.raw.fetch("SELECT * FROM sms")
        async with asyncio.timeout(60):
            await asyncio.gather(here.keep_in_order(15), *(here.finished_job(0.75) for _ in range(20)))
    assert await here.partitions() == before
    await here.keep_in_order(15)
    assert 1 not in {each.number for each in await here.partitions()}


async def test_partitions_come_and_go_under_traffic(here, empty_url):
    await here.keep_in_order(0)
    async with open_postgresql(empty_url) as other:
        plans = []

        async def customer(node):
            for _ in range(60):
                plans.append(a_plan(at=here.day(1.5)))
                await node.add_job(plans[-1])

        async def dispatcher(node):
            idle = 0
            while idle < 20:
                parts = await lease(node, at=1e9, limit=7)
                await node.record_outcomes("acme", [ended(part) for part in parts])
                idle = 0 if parts else idle + 1

        async def caretaker():
            for day in range(3, 30):
                await here.store.keep_in_order(here.day(day), 7)
                await here.store.forget_jobs(here.day(min(1.4, day - 10)), 100)

        async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
            for node in (here.store, other):
                tasks.create_task(customer(node))
                tasks.create_task(dispatcher(node))
            tasks.create_task(caretaker())
    for plan in plans:
        assert [each.process_status for each in await progress_of(here.store, plan)] == [ProcessStatus.DONE]


# What statements touch


async def test_statements_of_the_hot_path_look_into_the_partitions_concerned_only(here):
    for day in range(10):
        await here.keep_in_order(day)
    plan = await here.open_job(5.5)
    parts = await lease(here.store, at=1e9)
    segments = [part.segment.id for part in parts]
    numbers = [segment >> 5 for segment in segments]
    await here.store.record_outcomes("acme", [submitted(parts[0], "m1")])
    async with here.store._database.writing() as db:
        (job,) = await db.raw.fetchrow("SELECT id FROM job")
        final = [(number, "DONE", "SUC_FIN", "", 1, 1) for number in numbers]
        asked = {
            "leased": (segments,),
            "hold_jobs": ([job],),
            "finish_jobs": ([job],),
            "end_sms": (*columns(final, 6), segments),
            "dsts": (numbers,),
            "by_message_id": (["m1"], ["acme"]),
            "killed": (numbers,),
            "sms_told": (numbers,),
            "jobs_told": ([job],),
            "tell_of_sms": (numbers,),
            "tell_of_jobs": ([job],),
            "tell_late": (numbers, [""] * len(numbers)),
            "gather_writers": ([job], [1], [numbers[0]], [2]),
            "job": (job, job + 1, plan.job_id, 1),
            "sms_range": (numbers[0], numbers[-1] + 1),
            "sms_range_with_parts": (numbers[0], numbers[-1] + 1),
        }
        for name, parameters in asked.items():
            await db.script(f"PREPARE asked AS {_QUERIES[name]}")
            transaction = db.raw.transaction()
            await transaction.start()
            literals = ", ".join(map(literal, parameters))
            found = await db.raw.fetch(f"EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) EXECUTE asked ({literals})")
            await transaction.rollback()
            await db.script("DEALLOCATE asked")
            lines = [row[0] for row in found]
            touched = {
                match[1]
                for line in lines
                if "Scan" in line
                and "never executed" not in line
                and (match := re.search(r" (?:job|message|sms)_(\d+|rest) ", line))
            }
            assert touched == {"6"}, name + "\n" + "\n".join(lines)


def literal(value) -> str:
    if isinstance(value, list):
        return "'{" + ",".join(f'"{each}"' for each in value) + "}'"
    return f"'{value}'"
