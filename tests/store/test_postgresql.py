"""PostgresqlStore does what any Store must do, and what only several nodes on one database can."""

import asyncio
import random  # noqa: TID251 # seeded storms
from contextlib import AsyncExitStack
from itertools import count

import asyncpg
import pytest

from heliograph.jobs.accounts import AccountId, RateLimit
from heliograph.jobs.errors import AccountExists, JobDuplicate, StoreUnavailable
from heliograph.jobs.options import Qos
from heliograph.jobs.status import PartState, ProcessStatus, Status
from heliograph.store.interface import Added, Ended, Postponed, ReceiptNews, Submitted
from heliograph.store.postgresql import accepting, inbound, presence
from heliograph.store.postgresql.store import open_postgresql
from heliograph.store.postgresql.texts import kept, told
from tests.fakes.builders import NOW, a_plan, a_planned_sms, after, an_account, an_arrival, numbers
from tests.store import conformance
from tests.store.conformance import (
    StoreConformance,
    a_finished_job,
    a_leased_sms,
    a_submitted_sms,
    delivered,
    dsts,
    ended,
    failed,
    finished_at,
    lease,
    listed,
    progress_of,
    send,
    sms_of,
    submitted,
)
from tests.store.jobs_conformance import JobsConformance
from tests.store.recalls_conformance import RecallsConformance
from tests.store.receipts_conformance import ReceiptsConformance
from tests.store.webhooks.conformance import WebhookConformance


@pytest.fixture
async def store(url):
    async with open_postgresql(url) as store:
        yield store


@pytest.fixture
async def nodes(url):
    """Three processes' worth of stores on one database."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(open_postgresql(url)) for _ in range(3)]


class TestPostgresqlStore(
    StoreConformance, JobsConformance, RecallsConformance, ReceiptsConformance, WebhookConformance
):
    """With the fixture above."""


async def asked(store, sql):
    """What the database itself says."""
    async with store._database.writing() as db:
        return await db.raw.fetch(sql)


async def rows(store, table):
    return (await asked(store, f"SELECT count(*) FROM {table}"))[0][0]


# The database


async def test_everything_is_there_after_reopening(url):
    async with open_postgresql(url) as store:
        account = await store.put_account(an_account("acme", country="DE"))
        finished, running = await a_finished_job(store), await a_submitted_sms(store)
        waiting = a_plan(a_planned_sms(parts=3, due=after(60)), fingerprint=b"same", src="Helio")
        await store.add_job(waiting)
        await store.record_receipts("acme", [failed("early", at=1)])
        plans = finished, running, waiting
        before = [(await store.job(plan.account, plan.job_id), await sms_of(store, plan)) for plan in plans]
    async with open_postgresql(url) as store:
        assert await store.accounts() == [account]
        assert [(await store.job(plan.account, plan.job_id), await sms_of(store, plan)) for plan in plans] == before
        assert await store.awaiting_receipts("acme") == ["m1"]
        with pytest.raises(JobDuplicate, match=waiting.job_id):
            await store.add_job(a_plan(fingerprint=b"same", at=after(2)))
        first, *_ = await lease(store, at=60)
        await store.record_outcomes("acme", [submitted(first, "early", at=61)])
        assert (await progress_of(store, waiting))[0].status is Status.FAILED_FIN


async def test_numbers_are_not_given_twice_though_everything_was_forgotten(url):
    async with open_postgresql(url) as store:
        await a_finished_job(store)
        _, before = await a_leased_sms(store)
        await store.record_outcomes("acme", [ended(before)])
        assert await store.forget_jobs(after(100), 10) == 2
    async with open_postgresql(url) as store:
        _, part = await a_leased_sms(store)
        assert part.segment.id > before.segment.id


async def test_a_job_never_spans_two_blocks_of_numbers(store, monkeypatch):
    monkeypatch.setattr(accepting, "SMS_BLOCK", 7)
    plans = [a_plan(*(a_planned_sms(dst) for dst in numbers(3))) for _ in range(4)]
    for plan in plans:
        await store.add_job(plan)
    for plan in plans:
        assert [sms.dst for sms in await sms_of(store, plan)] == numbers(3)


async def test_a_closed_store_is_unavailable(url):
    async with open_postgresql(url) as store:
        pass
    for call in (
        store.add_job(a_plan()),
        store.job(AccountId(1), a_plan().job_id),
        listed(store),
        store.take_call(AccountId(1), RateLimit(1, 1), NOW),
        store.ready(),
    ):
        with pytest.raises(StoreUnavailable, match="closed"):
            await call


async def test_what_is_being_written_when_the_store_is_closed_is_written(url):
    async with open_postgresql(url) as store:
        plan = a_plan()
        adding = asyncio.ensure_future(store.add_job(plan))
        for _ in range(3):
            await asyncio.sleep(0)  # noqa: TID251 # waits for nothing
        assert store._commits_under_way
    await adding
    async with open_postgresql(url) as store:
        assert await store.job(plan.account, plan.job_id) is not None


async def test_one_write_that_fails_does_not_take_the_others_down(store):
    plans = [a_plan(), a_plan(text="a lone \ud800"), a_plan()]
    results = await asyncio.gather(*map(store.add_job, plans), return_exceptions=True)
    assert [type(result) for result in results] == [Added, asyncpg.DataError, Added]
    assert await listed(store) == [plans[2].job_id, plans[0].job_id]
    assert len(await lease(store)) == 2


# Texts

STRANGE = ["\0", "a\0b", "\x1a", "\x1a0", "\x1a1\0", "\0\x1a\0", "\x1a\x1a0", "€\0😀", ""]


@pytest.mark.parametrize("text", STRANGE)
def test_every_text_is_told_as_it_was(text):
    assert told(kept(text)) == text
    assert "\0" not in kept(text)


@pytest.mark.parametrize("strange", STRANGE[:-1])
async def test_every_field_may_hold_a_nul(store, strange):
    sms = a_planned_sms(strange, customer_ref=strange, parts=2)
    plan = a_plan(sms, a_planned_sms(carrier=None, message=1), text=strange, billcode=strange, customer_ref=strange)
    await store.add_job(plan)
    job = await store.job(plan.account, plan.job_id)
    assert job is not None
    assert job.options == plan.options
    parts = await lease(store)
    assert [part.segment.text for part in parts] == [strange, f"{strange} 2"]
    assert parts[0].segment.dst == strange
    await store.record_outcomes("acme", [Postponed(part.segment.id, NOW, 1, Status.CON_ERR, strange) for part in parts])
    again = await lease(store)
    assert {part.reason for part in again} == {strange}
    await store.record_receipts("acme", [ReceiptNews(strange, Status.SUC_FIN, strange, NOW)])
    await store.record_outcomes("acme", [Submitted(again[0].segment.id, strange, NOW, after(9))])
    await store.record_outcomes("acme", [Submitted(again[1].segment.id, "m" + strange, NOW, after(9))])
    assert await store.awaiting_receipts("acme") == ["m" + strange]
    await store.record_receipts("acme", [ReceiptNews("m" + strange, Status.SUC_FIN, strange, NOW)])
    report = (await sms_of(store, plan))[0]
    assert (report.dst, report.customer_ref, report.progress.reason) == (strange, strange, strange)
    assert report.progress.status is Status.SUC_FIN
    arrival = an_arrival(strange, src=strange, dst=strange, owner=1)
    assert (await store.record_inbound("acme", [arrival])).sms == await conformance.inbound(store)
    (whole,) = await conformance.inbound(store)
    assert (whole.src, whole.dst, whole.text) == (strange, strange, strange)


# Several nodes


async def test_what_one_node_does_every_node_sees(nodes):
    first, second, third = nodes
    plan = a_plan()
    await first.add_job(plan)
    (part,) = await lease(second)
    assert await lease(third) == []
    await second.record_outcomes("acme", [submitted(part)])
    await third.record_receipts("acme", [delivered("m1", at=3)])
    for node in nodes:
        assert [each.status for each in await progress_of(node, plan)] == [Status.SUC_FIN]
        assert await finished_at(node, plan) == after(3)


async def test_of_two_equal_requests_at_the_same_moment_on_two_nodes_one_wins(nodes):
    for fingerprint in (b"%d" % each for each in range(20)):
        plans = [a_plan(fingerprint=fingerprint) for _ in nodes]
        adding = [node.add_job(plan) for node, plan in zip(nodes, plans, strict=True)]
        results = await asyncio.gather(*adding, return_exceptions=True)
        (winner,) = [plan.job_id for plan, result in zip(plans, results, strict=True) if isinstance(result, Added)]
        assert [result.job_id for result in results if isinstance(result, JobDuplicate)] == [winner] * 2
    assert await rows(nodes[0], "job") == 20


async def test_nodes_that_add_the_same_requests_in_any_order_never_wait_for_each_other_in_a_circle(nodes):
    batches = [[a_plan(fingerprint=b"%d" % each) for each in range(30)] for _ in nodes]
    for batch in batches[1:]:
        random.Random(7).shuffle(batch)
    adding = [node.add_job(plan) for node, batch in zip(nodes, batches, strict=True) for plan in batch]
    results = await asyncio.gather(*adding, return_exceptions=True)
    assert [type(result) for result in results].count(Added) == 30
    assert {type(result) for result in results} == {Added, JobDuplicate}


async def test_of_two_accounts_of_one_name_added_on_two_nodes_one_is(nodes):
    results = await asyncio.gather(*(node.put_account(an_account("acme")) for node in nodes), return_exceptions=True)
    assert [type(result) for result in results].count(AccountExists) == 2
    assert len(await nodes[0].accounts()) == 1


async def test_a_rate_limit_holds_over_all_nodes_together(nodes):
    limit = RateLimit(10, 60)
    for start in (0, 60, 300):
        calls = [node.take_call(AccountId(1), limit, after(start + turn)) for turn in range(7) for node in nodes]
        quotas = await asyncio.gather(*calls)
        assert sum(quota.allowed for quota in quotas) == 10, start
    assert (await nodes[0].take_call(AccountId(2), limit, NOW)).remaining == 9


async def test_a_node_that_comes_later_knows_the_calls_before(url, nodes):
    limit = RateLimit(3, 60)
    for second in range(3):
        await nodes[0].take_call(AccountId(1), limit, after(second))
    async with open_postgresql(url) as late:
        quota = await late.take_call(AccountId(1), limit, after(10))
        assert (quota.allowed, quota.remaining, quota.reset_s) == (False, 0, 50)
        assert (await late.take_call(AccountId(1), limit, after(60))).allowed


async def test_calls_that_count_no_more_are_forgotten(store):
    for second in range(300):
        await store.take_call(AccountId(1), RateLimit(5, 10), after(second * 3))
    assert await rows(store, "call") < 5 + 32


async def test_a_node_whose_clock_is_behind_counts_all_the_same(nodes):
    limit = RateLimit(2, 60)
    assert (await nodes[0].take_call(AccountId(1), limit, after(5))).allowed
    assert (await nodes[1].take_call(AccountId(1), limit, after(0))).allowed
    assert not (await nodes[2].take_call(AccountId(1), limit, after(3))).allowed


async def test_nodes_that_lease_at_once_lease_different_segments(nodes):
    await nodes[0].add_job(a_plan(*(a_planned_sms(dst) for dst in numbers(500))))
    await nodes[1].add_job(a_plan(*(a_planned_sms(dst) for dst in numbers(500)), account=2, qos=Qos.EXPRESS))
    taken: list[int] = []
    while batches := [batch for batch in await asyncio.gather(*(lease(node, limit=40) for node in nodes)) if batch]:
        taken += [part.segment.id for batch in batches for part in batch]
    assert len(taken) == len(set(taken)) == 1000


async def test_a_receipt_that_overtakes_at_another_node_is_matched(nodes):
    first, second, _ = nodes
    plans = [a_plan() for _ in range(60)]
    await asyncio.gather(*map(first.add_job, plans))
    for place, part in enumerate(await lease(first)):
        await asyncio.gather(
            first.record_outcomes("acme", [submitted(part, f"m{place}")]),
            second.record_receipts("acme", [delivered(f"m{place}", at=1)]),
        )
    statuses = [(await progress_of(first, plan))[0].status for plan in plans]
    assert statuses == [Status.SUC_FIN] * 60


async def test_a_receipt_with_the_id_of_another_part_waits_for_the_answer_that_another_node_has(nodes):
    first, second, _ = nodes
    plans = [a_plan(a_planned_sms(parts=2)) for _ in range(30)]
    await asyncio.gather(*map(first.add_job, plans))
    parts = sorted(await lease(first), key=lambda part: part.segment.id)
    for place, (one, two) in enumerate(zip(parts[::2], parts[1::2], strict=True)):
        await first.record_outcomes("acme", [submitted(one, f"m{place}")])
        await second.record_receipts("acme", [delivered(f"m{place}", at=1)])
        await asyncio.gather(
            first.record_outcomes("acme", [submitted(two, f"m{place}")]),
            second.record_receipts("acme", [delivered(f"m{place}", at=1)]),
        )
    statuses = [(await progress_of(first, plan))[0].status for plan in plans]
    assert statuses == [Status.SUC_FIN] * 30


async def test_a_job_whose_last_two_sms_end_on_two_nodes_at_once_is_finished(nodes):
    for turn in range(30):
        plan = a_plan(a_planned_sms("+491"), a_planned_sms("+492"), a_planned_sms("+493"))
        await nodes[0].add_job(plan)
        parts = await lease(nodes[0])
        await asyncio.gather(
            *(node.record_outcomes("acme", [ended(part, at=turn)]) for node, part in zip(nodes, parts, strict=True))
        )
        assert await finished_at(nodes[0], plan) == after(turn)


async def test_parts_of_an_sms_from_a_phone_that_come_to_two_nodes_at_once_are_one_sms(nodes):
    for reference in range(20):
        parts = [an_arrival(f"{part}", owner=1, part=part, parts=3, reference=reference) for part in (1, 2, 3)]
        found = await asyncio.gather(
            *(node.record_inbound("acme", [part]) for node, part in zip(nodes, parts, strict=True))
        )
        assert [sms.text for received in found for sms in received.sms] == ["123"]


async def test_who_wrote_last_on_any_node_owns_the_answer(nodes):
    phones = numbers(30)
    for at, (node, account) in enumerate(zip(nodes, (1, 2, 3), strict=True)):
        await send(node, a_plan(*map(a_planned_sms, phones), account=account), at=at)
    whole, _ = await nodes[0].record_inbound("acme", [an_arrival(src=phone) for phone in phones])
    assert {sms.account for sms in whole} == {3}


async def test_who_wrote_is_gathered_in_steps_and_any_order(store, monkeypatch):
    monkeypatch.setattr(inbound, "GATHERED_RUNS", 3)
    for at in (5, 2, 9, 1, 7, 3, 8):
        await send(store, a_plan(a_planned_sms("+491"), account=at), at=at)
    assert await rows(store, "ungathered") == 7
    whole, _ = await store.record_inbound("acme", [an_arrival(src="+491")])
    assert [sms.account for sms in whole] == [9]
    assert await rows(store, "ungathered") == 0


async def test_a_number_blocked_on_one_node_gets_nothing_from_another(nodes):
    first, second, _ = nodes
    plan = a_plan(a_planned_sms("+491"), a_planned_sms("+492"))
    await first.add_job(plan)
    _, parts = await asyncio.gather(first.block(AccountId(1), "+491", NOW), lease(second))
    is_blocked = (await progress_of(second, plan))[0].status is Status.BLOCKED
    assert is_blocked == ("+491" not in dsts(parts))
    plan = a_plan(a_planned_sms("+491"))
    await second.add_job(plan)
    assert [each.status for each in await progress_of(second, plan)] == [Status.BLOCKED]


async def test_what_waits_for_a_blocked_number_ends_at_the_latest_when_it_is_to_be_leased(store):
    """As when the process is killed between the number's being blocked and the search for what waits for it."""
    plan = a_plan(a_planned_sms("+491", parts=2), a_planned_sms("+492", message=1))
    await store.add_job(plan)
    await asked(store, "INSERT INTO blocked VALUES (1, '+491', 0)")
    assert dsts(await lease(store, at=5, limit=1)) == ["+492"]
    ended_sms, _ = await progress_of(store, plan)
    assert (ended_sms.status, ended_sms.finished_at) == (Status.BLOCKED, after(5))


async def test_what_another_node_is_busy_with_is_left_for_the_next_lease(nodes):
    await nodes[0].add_job(a_plan(a_planned_sms("+491", parts=2), a_planned_sms("+492", message=1)))
    await asked(nodes[0], "INSERT INTO blocked VALUES (1, '+491', 0)")
    async with nodes[0]._database.writing() as db, db.raw.transaction():
        await db.raw.execute("SELECT FROM live WHERE id & 31 = 1 FOR UPDATE")
        assert dsts(await lease(nodes[1])) == ["+492"]
    assert await lease(nodes[1]) == []
    assert await rows(nodes[0], "live") == 1


async def test_work_that_comes_in_on_one_node_wakes_another(nodes):
    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        tasks.create_task(nodes[1].work_arrived("acme", 600))
        tasks.create_task(nodes[2].work_arrived("beta", 600))
        await nodes[0].add_job(a_plan(a_planned_sms(carrier="acme"), a_planned_sms(carrier="beta")))


async def test_nodes_forget_what_is_old_side_by_side(nodes):
    for at in range(30):
        await a_finished_job(nodes[0], at=at)
    counts = await asyncio.gather(*(node.forget_jobs(after(100), 20) for node in nodes))
    rest = [await nodes[0].forget_jobs(after(100), 100)]
    assert sum(counts) + sum(rest) == 30
    assert [await rows(nodes[0], table) for table in ("job", "message", "sms", "live")] == [0, 0, 0, 0]


async def test_nodes_that_do_everything_at_once_lose_nothing(nodes):
    """A seeded storm: jobs, leases, outcomes and receipts on three nodes, big transactions among them."""
    chance, message_ids = random.Random(5), count()
    plans = [a_plan(*(a_planned_sms(dst, parts=2) for dst in numbers(20)), account=each % 3 + 1) for each in range(30)]

    async def customer(node, own):
        for plan in own:
            await node.add_job(plan)

    async def dispatcher(node):
        idle = 0
        while idle < 20:
            parts = await lease(node, limit=chance.randrange(1, 60))
            idle = 0 if parts else idle + 1
            chance.shuffle(parts)
            named = {part.segment.id: f"m{next(message_ids)}" for part in parts}
            outcomes = [submitted(part, named[part.segment.id]) for part in parts]
            receipts = [delivered(message_id, at=1) for message_id in named.values()]
            chance.shuffle(receipts)
            for _ in range(3):
                other = chance.choice(nodes)
                third, receipts = receipts[::2], receipts[1::2]
                await asyncio.gather(
                    node.record_outcomes("acme", outcomes), other.record_receipts("acme", third + receipts)
                )
                outcomes = []

    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        for place, node in enumerate(nodes):
            tasks.create_task(customer(node, plans[place::3]))
            tasks.create_task(dispatcher(node))
    for plan in plans:
        assert {each.status for each in await progress_of(nodes[0], plan)} == {Status.SUC_FIN}
        assert await finished_at(nodes[0], plan) == after(1)
    assert await rows(nodes[0], "live") == 0


# What a running service must not do: grow


async def test_receipts_for_nobody_are_not_kept_for_ever(store):
    for hour in range(20):
        receipts = [delivered(f"{hour}.{each}", at=hour * 3600) for each in range(50)]
        await store.record_receipts("acme", receipts)
    assert await rows(store, "parked") <= 100


async def test_fingerprints_are_not_kept_for_ever(store):
    for minute in range(100):
        await store.add_job(a_plan(at=after(60 * minute), fingerprint=b"%d" % minute))
    assert await rows(store, "fingerprint") <= 11


async def test_parts_of_sms_from_phones_are_forgotten_when_they_need_not_be_known(store):
    for minute in range(30):
        await store.record_inbound("acme", [an_arrival(f"{minute}", owner=1, at=after(60 * minute))])
    assert await rows(store, "inbound_part") < 5


async def test_big_jobs_are_forgotten_in_small_steps(store):
    for second in range(4):
        sms = [a_planned_sms("1", carrier=None) for _ in range(3000)]
        await store.add_job(a_plan(*sms, at=after(second)))
    assert [await store.forget_jobs(after(100), 100) for _ in range(5)] == [1, 1, 1, 1, 0]


# Nodes that come and go


@pytest.fixture
def quick_looks(monkeypatch):
    """Nodes look for each other a hundred times a second."""
    monkeypatch.setattr(presence, "LOOK_EVERY_S", 0.01)


async def until(condition):
    async with asyncio.timeout(60):
        while not await condition():  # noqa: ASYNC110 # nobody tells
            await asyncio.sleep(0.01)  # noqa: TID251 # real time: the database's


def killed(store):
    """What is left of a node whose process was killed: nothing but what it had written."""
    for watch in store._watches:
        watch.cancel()
    store._presence._drop()


async def test_leases_of_a_node_that_is_gone_are_freed(url, quick_looks):
    async with open_postgresql(url) as dead, open_postgresql(url) as living:
        _, part = await a_leased_sms(dead, for_s=1000)
        _, own = await a_leased_sms(living, for_s=1000)
        killed(dead)

        async def is_buried():
            return await rows(living, "node") == 1

        await until(is_buried)
        (again,) = await lease(living, at=5)
        assert (again.segment, again.was) == (part.segment, PartState.LEASED)
        assert again.segment.id != own.segment.id


async def abandoned(store, carrier="acme"):
    """What is told within some time, and hasn't been."""
    told: list[str] = []

    async def is_told():
        told.extend(await store.abandoned_receipts(carrier))
        return told

    await until(is_told)
    return told


async def test_receipts_promised_to_a_node_that_was_killed_are_told_to_each_other_node(url, quick_looks):
    async with open_postgresql(url) as dead, open_postgresql(url) as living, open_postgresql(url) as other:
        _, own = await a_leased_sms(living)
        await living.record_outcomes("acme", [submitted(own, "own")])
        await a_submitted_sms(dead)
        assert await living.abandoned_receipts("acme") == []
        killed(dead)
        for store in (living, other):
            assert await abandoned(store) == ["m1"]
            assert await store.abandoned_receipts("beta") == []

            async def is_told_no_more(store=store):
                return not await store.abandoned_receipts("acme")

            await until(is_told_no_more)


async def test_receipts_promised_to_a_node_that_stopped_are_told(url):
    async with open_postgresql(url) as living:
        assert await living.abandoned_receipts("acme") == []
        async with open_postgresql(url) as stopped:  # So briefly that nobody looks meanwhile.
            await a_submitted_sms(stopped)
        assert await abandoned(living) == ["m1"]


async def test_abandoned_receipts_that_could_not_be_read_are_told_the_next_time(url, quick_looks, monkeypatch):
    async with open_postgresql(url) as living:
        async with open_postgresql(url) as stopped:
            await a_submitted_sms(stopped)
        with monkeypatch.context() as away:
            away.setattr(living, "_closed", True)
            with pytest.raises(StoreUnavailable):
                await living.abandoned_receipts("acme")
        assert await abandoned(living) == ["m1"]


async def test_a_node_that_was_deaf_for_a_while_looks_for_abandoned_receipts(url, quick_looks):
    async with open_postgresql(url) as living:
        assert await living.abandoned_receipts("acme") == []
        living._presence._drop()
        async with open_postgresql(url) as stopped:
            await a_submitted_sms(stopped)
        assert await abandoned(living) == ["m1"]


async def test_a_node_that_stops_leaves_nothing_to_bury(url):
    async with open_postgresql(url) as store:
        async with open_postgresql(url):
            assert await rows(store, "node") == 2
        assert await rows(store, "node") == 1


async def test_what_a_node_that_stops_had_leased_falls_due_at_once(url, store):
    async with open_postgresql(url) as stopping:
        _, part = await a_leased_sms(stopping, for_s=1000)
    (again,) = await lease(store, at=5)
    assert (again.segment, again.was) == (part.segment, PartState.LEASED)


async def test_who_only_changes_accounts_is_no_node(url, store):
    async with open_postgresql(url, serving=False) as other:
        await other.put_account(an_account("acme"))
        await other.ready()
        assert await rows(store, "node") == 1
    assert (await store.account("acme")) is not None


async def test_a_node_that_loses_its_connections_keeps_its_leases(url, quick_looks, monkeypatch):
    monkeypatch.setattr(presence, "SILENT_LOOKS", 1000)
    async with open_postgresql(url) as store, open_postgresql(url) as other:
        await a_leased_sms(store, for_s=1000)
        await asked(
            other,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )

        async def both_live():
            try:
                found = await asked(other, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted")
            except StoreUnavailable:
                return False
            return found[0][0] == 2

        await until(both_live)
        assert await lease(other, at=5) == []
        plan = a_plan()
        await until_stored(store, plan)
        assert len(await lease(other, at=5)) == 1


async def test_a_database_that_goes_away_is_unavailable_and_works_again_when_it_is_back(postgres, url, quick_looks):
    async with open_postgresql(url) as store:
        name = url.dsn.partition("@/")[2].partition("?")[0]
        operator = await postgres.connect()
        await operator.execute(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false")
        await operator.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
        calls = [
            store.add_job(a_plan()),
            store.ready(),
            listed(store),
            store.take_call(AccountId(1), RateLimit(1, 1), NOW),
        ]
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(result) for result in results} == {StoreUnavailable}
        await operator.execute(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS true")
        await operator.close()
        await until_stored(store, a_plan())
        await store.ready()

        async def is_known():
            return [*(await asked(store, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"))] == [(1,)]

        await until(is_known)


async def test_what_broke_a_connection_in_a_transaction_is_what_is_told(store):
    async def broken(db):
        async def has_been_taken_back():
            return db.raw._con is None

        try:
            await db.raw.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        finally:
            await until(has_been_taken_back)

    with pytest.raises(StoreUnavailable, match="terminating connection due to administrator command"):
        await store._database.write(broken)


async def until_stored(store, plan):
    async def is_stored():
        try:
            await store.add_job(plan)
        except StoreUnavailable:
            return False
        return True

    await until(is_stored)


async def test_a_node_that_was_taken_for_gone_is_one_again(url, quick_looks):
    async with open_postgresql(url) as store:
        await asked(store, "DELETE FROM node")
        store._presence._drop()

        async def is_known():
            return await rows(store, "node") == 1

        await until(is_known)


async def test_a_database_that_takes_no_writes_is_unavailable_until_it_does(url, store):
    name = url.dsn.partition("@/")[2].partition("?")[0]
    await store.ready()
    await asked(store, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    await store._database._forget_connections()
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="read-only"):
            await store.add_job(a_plan())
    with pytest.raises(StoreUnavailable, match="read-only"):
        await store.ready()
    async with store._database.writing() as db:
        await db.script("SET default_transaction_read_only = off")
        await db.script(f"ALTER DATABASE {name} RESET ALL")
    await store._database._forget_connections()
    await store.ready()
    await store.add_job(a_plan())


async def test_transactions_in_each_others_way_are_tried_again(store):
    tries = 0

    async def body(db):
        nonlocal tries
        tries += 1
        if tries < 3:
            await db.raw.execute("DO $$ BEGIN RAISE SQLSTATE '40P01'; END $$")
        return "done"

    assert await store._database.write(body) == "done"
    assert tries == 3


async def test_but_not_for_ever(store):
    async def body(db):
        await db.raw.execute("DO $$ BEGIN RAISE SQLSTATE '40001'; END $$")

    with pytest.raises(StoreUnavailable, match="busy"):
        await store._database.write(body)
    await store.ready()


async def test_counts_and_reports_go_on_while_all_writers_are_busy(store):
    plan = a_plan()
    await store.add_job(plan)
    async with AsyncExitStack() as stack:
        for _ in range(4):
            await stack.enter_async_context(store._database.writing())
        assert (await store.counts(NOW)).by_process_status[ProcessStatus.OPEN] == 1
        assert await store.job(plan.account, plan.job_id) is not None


async def test_outcomes_that_end_parts_in_any_order_are_no_trouble(nodes):
    plan = a_plan(*(a_planned_sms(dst) for dst in numbers(200)))
    await nodes[0].add_job(plan)
    parts = await lease(nodes[0], limit=300)
    orders = [parts, parts[::-1], sorted(parts, key=lambda part: part.segment.id % 7)]
    outcomes = [[Ended(part.segment.id, Status.NOT_ACC_FIN, "no", NOW) for part in order] for order in orders]
    async with asyncio.timeout(60):
        await asyncio.gather(*(node.record_outcomes("acme", each) for node, each in zip(nodes, outcomes, strict=True)))
    assert await finished_at(nodes[0], plan) == NOW


@pytest.mark.parametrize("sql", ["PREPARE other AS SELECT 1; PREPARE other AS SELECT 1", "EXECUTE nobodys"])
async def test_a_pooler_that_shares_sessions_is_told_of(store, sql):
    async def as_through_a_pooler(db):
        await db.script(sql)

    with pytest.raises(StoreUnavailable, match="pool_mode = session"):
        await store._database.write(as_through_a_pooler)
