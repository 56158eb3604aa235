"""What several nodes on one database do about keys, spending, cancelled jobs, webhooks and roles, all at once."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from heliograph.jobs.accounts import AccountId
from heliograph.jobs.errors import IdempotencyKeyTaken, JobDuplicate, SpendingLimitReached, TooManyWebhooks
from heliograph.jobs.status import ProcessStatus, Status
from heliograph.jobs.webhooks import MAX_WEBHOOKS, EventType
from heliograph.store.interface import EVENT_WORK, Added, EventDelivered, recall_work
from heliograph.store.postgresql import presence
from heliograph.store.postgresql.events import settle_events
from heliograph.store.postgresql.store import open_postgresql
from tests.fakes.builders import NOW, a_plan, a_planned_sms, a_webhook, after, numbers
from tests.store.conformance import a_finished_job, a_leased_sms, a_submitted_sms, delivered, ended, lease, progress_of
from tests.store.conformance import submitted as taken
from tests.store.recalls_conformance import recalls
from tests.store.webhooks.conformance import a_kept_webhook, told

WAITS = "SELECT true FROM pg_locks WHERE NOT granted LIMIT 1"
"""Whether one of the server's connections waits for another one. (Within a transaction other views stand still.)"""


@pytest.fixture
async def nodes(url):
    """Three processes' worth of stores on one database."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(open_postgresql(url)) for _ in range(3)]


async def rows(store, table):
    async with store._database.writing() as db:
        return await db.raw.fetchval(f"SELECT count(*) FROM {table}")


async def on_all(nodes, *calls):
    return await asyncio.gather(*(call(node) for call in calls for node in nodes), return_exceptions=True)


async def test_of_requests_with_one_key_at_the_same_moment_on_several_nodes_one_wins(nodes):
    for turn in range(20):
        results = await on_all(nodes, lambda node, turn=turn: node.add_job(a_plan(idempotency=(f"{turn}", b"same"))))
        assert sorted(result.is_new for result in results) == [False, False, True]
        assert len({result.job_id for result in results}) == 1
    assert await rows(nodes[0], "job") == await rows(nodes[0], "idempotency") == 20


async def test_of_different_requests_with_one_key_the_others_are_told_which_was_first(nodes):
    plans = [a_plan(idempotency=("key", b"%d" % place)) for place in range(3)]
    adding = [node.add_job(plan) for node, plan in zip(nodes, plans, strict=True)]
    results = await asyncio.gather(*adding, return_exceptions=True)
    (winner,) = [result.job_id for result in results if isinstance(result, Added)]
    assert [result.job_id for result in results if isinstance(result, IdempotencyKeyTaken)] == [winner] * 2


async def test_what_a_refused_job_would_have_kept_is_free(nodes):
    await nodes[0].add_job(a_plan(fingerprint=b"same"))
    refused = a_plan(idempotency=("key", b"same"), fingerprint=b"same", at=after(1))
    for result in await on_all(nodes, lambda node: node.add_job(refused)):
        assert isinstance(result, JobDuplicate)
    spendthrift = a_plan(a_planned_sms(parts=3), sms_per_hour=2, fingerprint=b"other", idempotency=("other", b"x"))
    with pytest.raises(SpendingLimitReached):
        await nodes[1].add_job(spendthrift)
    assert (await rows(nodes[0], "idempotency"), await rows(nodes[0], "fingerprint")) == (0, 1)


async def test_a_spending_limit_holds_over_all_nodes_together(nodes):
    results = await on_all(nodes, *[lambda node: node.add_job(a_plan(sms_per_hour=10))] * 8)
    assert [type(result) for result in results].count(Added) == 10
    assert [type(result) for result in results].count(SpendingLimitReached) == 14


async def test_keys_that_have_had_their_time_go_by_and_by(nodes):
    for number in range(20):
        await nodes[0].add_job(a_plan(idempotency=(f"{number}", b"same")))
    for number in range(10):
        await nodes[1].add_job(a_plan(idempotency=(f"new {number}", b"same"), at=after(86_400)))
    assert await rows(nodes[0], "idempotency") == 10


async def test_retention_forgets_what_was_killed_and_keys(nodes):
    plan = await a_submitted_sms(nodes[0])
    await nodes[0].cancel_job(plan.account, plan.job_id, NOW)
    await nodes[0].add_job(a_plan(idempotency=("key", b"same")))
    await nodes[1].forget_jobs(after(100_000), 10)
    assert (await rows(nodes[0], "late"), await rows(nodes[0], "idempotency")) == (0, 0)


async def test_of_several_nodes_one_tells_a_carrier_to_drop_a_part(nodes):
    plan = a_plan(*(a_planned_sms(dst) for dst in numbers(200)))
    await nodes[0].add_job(plan)
    parts = await lease(nodes[0], limit=200)
    await nodes[0].record_outcomes("acme", [taken(part, f"m{at}") for at, part in enumerate(parts)])
    await nodes[1].cancel_job(plan.account, plan.job_id, after(1))
    told = await on_all(nodes, *[lambda node: recalls(node, at=1, limit=20)] * 5)
    assert sorted(message_id for each in told for message_id in each) == sorted(f"m{at}" for at in range(200))


async def test_while_receipts_come_and_carriers_answer_nobody_waits_for_who_waits(nodes):
    plan = a_plan(*(a_planned_sms(dst) for dst in numbers(60)))
    await nodes[0].add_job(plan)
    parts = await lease(nodes[0], limit=60)
    ids = [f"m{at}" for at in range(60)]
    await nodes[0].record_outcomes("acme", [taken(*each) for each in zip(parts, ids, strict=True)])
    await nodes[1].cancel_job(plan.account, plan.job_id, after(1))
    results = await on_all(
        nodes,
        lambda node: recalls(node, at=1, for_s=0, limit=30),
        lambda node: node.settle_recalls("acme", ids[::-1]),
        lambda node: node.record_receipts("acme", [delivered(message_id, at=2) for message_id in ids]),
    )
    assert [result for result in results if isinstance(result, Exception)] == []
    assert {each.reason for each in await progress_of(nodes[0], plan)} == {"yes"}
    assert await recalls(nodes[2], at=1000) == []


async def test_another_node_hears_that_a_carrier_is_to_drop_something(nodes):
    plan = await a_submitted_sms(nodes[0])
    woken = asyncio.ensure_future(nodes[1].work_arrived(recall_work("acme"), 30))
    await nodes[2].cancel_job(plan.account, plan.job_id, NOW)
    await asyncio.wait_for(woken, 60)


async def test_what_an_older_node_cancels_is_to_be_dropped_as_well(nodes):
    plan = await a_submitted_sms(nodes[0])
    async with nodes[0]._database.writing() as db:  # As schema 1 knows the table.
        segment = await db.raw.fetchval("DELETE FROM live RETURNING id")
        await db.raw.execute(
            "INSERT INTO late (id, carrier, message_id, until, word) VALUES ($1, 'acme', 'm1', 1::bigint << 60, '')",
            segment,
        )
    assert [each.src for each in await nodes[1].lease_recalls("acme", 9, after(60), NOW)] == [plan.options.src]


async def test_a_job_cancelled_on_several_nodes_at_once_is_counted_once(nodes):
    plan = a_plan(*(a_planned_sms(dst) for dst in numbers(200)))
    await nodes[0].add_job(plan)
    results = await on_all(nodes, lambda node: node.cancel_job(plan.account, plan.job_id, after(1)))
    assert sum(result.canceled_count for result in results) == 200


async def test_a_job_is_cancelled_while_another_node_hands_it_over_and_its_receipts_come_to_a_third(nodes):
    for _ in range(15):
        plan, part = await a_leased_sms(nodes[0])
        message_id = f"m{part.segment.id}"
        await asyncio.gather(
            nodes[0].record_outcomes("acme", [taken(part, message_id)]),
            nodes[1].cancel_job(plan.account, plan.job_id, after(1)),
            nodes[2].record_receipts("acme", [delivered(message_id, at=2)]),
        )
        (progress,) = await progress_of(nodes[0], plan)
        assert progress.reason == "yes", "whatever came first, the receipt is told"
        assert (progress.process_status, progress.status) in {
            (ProcessStatus.KILL, Status.NONE),
            (ProcessStatus.DONE, Status.SUC_FIN),
        }


async def test_nodes_that_lease_events_at_once_lease_different_ones(nodes):
    await a_kept_webhook(nodes[0], events=(EventType.SMS_FINISHED,))
    await nodes[1].add_job(a_plan(*(a_planned_sms("1", carrier=None) for _ in range(300))))
    leased: list[int] = []
    while batches := [batch for batch in await on_all(nodes, lambda node: told(node, limit=20)) if batch]:
        leased += [due.number for batch in batches for due in batch]
    assert len(leased) == len(set(leased)) == 300


async def test_a_job_is_told_though_its_last_two_sms_are_settled_on_two_nodes_at_once(nodes):
    await a_kept_webhook(nodes[0])
    plan = a_plan(a_planned_sms("+491"), a_planned_sms("+492"))
    await nodes[0].add_job(plan)
    await nodes[0].record_outcomes("acme", [ended(part) for part in await lease(nodes[0])])
    first, second = await told(nodes[1])
    async with nodes[1]._database.writing() as db, db.raw.transaction():
        await settle_events(db, [EventDelivered(first.number)])
        settling = asyncio.ensure_future(nodes[2].settle_events([EventDelivered(second.number)]))
        async with asyncio.timeout(60):
            while not await db.raw.fetchval(WAITS):  # noqa: ASYNC110 # nobody tells
                await asyncio.sleep(0.01)  # noqa: TID251 # real time: the database's
    await settling
    (job,) = await told(nodes[0])
    assert job.event.subject == plan.job_id


async def test_what_happens_on_one_node_wakes_who_tells_webhooks_on_another(nodes):
    await a_kept_webhook(nodes[0])
    async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
        tasks.create_task(nodes[1].work_arrived(EVENT_WORK, 600))
        await a_finished_job(nodes[0])


async def test_an_account_has_no_more_webhooks_than_it_can_have_on_whatever_nodes_they_are_added(nodes):
    for _ in range(MAX_WEBHOOKS - 1):
        await nodes[0].add_webhook(a_webhook())
    results = await on_all(nodes, lambda node: node.add_webhook(a_webhook()))
    assert [type(result) for result in results].count(TooManyWebhooks) == 2
    assert len(await nodes[1].webhooks(AccountId(1))) == MAX_WEBHOOKS


async def test_leased_events_of_a_node_that_is_gone_are_freed(url, monkeypatch):
    monkeypatch.setattr(presence, "LOOK_EVERY_S", 0.01)
    async with open_postgresql(url) as dead, open_postgresql(url) as living:
        await a_kept_webhook(living, events=(EventType.JOB_FINISHED,))
        await a_finished_job(living)
        (due,) = await told(dead, for_s=1000)
        for watch in dead._watches:
            watch.cancel()
        dead._presence._drop()
        async with asyncio.timeout(60):
            while not (again := await told(living, at=5)):  # noqa: ASYNC110 # nobody tells
                await asyncio.sleep(0.01)  # noqa: TID251 # real time: the database's
        assert [each.number for each in again] == [due.number]


async def test_of_nodes_that_claim_a_role_at_once_one_has_it(nodes):
    for turn in range(20):
        claims = [node.claim(f"bind {turn}", f"{place}", after(15), NOW) for place, node in enumerate(nodes)]
        assert sorted(await asyncio.gather(*claims)) == [False, False, True]


async def test_nodes_that_meet_at_once_all_count(nodes):
    for turn in range(5):
        meeting = [node.meet(f"{place}", after(turn + 15), after(turn)) for place, node in enumerate(nodes)]
        await asyncio.gather(*meeting)
    assert await nodes[0].meet("0", after(20), after(5)) == 3
