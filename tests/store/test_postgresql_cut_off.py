"""The connection to PostgreSQL breaks exactly at a COMMIT: what is told is true, what nobody heard of undone."""

import asyncio

import asyncpg
import pytest

from heliograph.jobs.accounts import AccountId, OnUnknown, RateLimit
from heliograph.jobs.errors import JobDuplicate, OutcomeUnknown, StoreUnavailable
from heliograph.jobs.status import PartState
from heliograph.store.interface import Added
from heliograph.store.postgresql import connection, doubt, presence
from heliograph.store.postgresql.store import open_postgresql
from heliograph.store.postgresql.url import PostgresqlUrl
from tests.fakes.builders import NOW, a_plan, a_planned_sms, after, numbers
from tests.fakes.clock import ManualClock
from tests.fakes.postgresql_proxy import Cut, proxy_to
from tests.store.conformance import a_leased_sms, lease, listed, progress_of, submitted

CUT_OFF = [Cut.LOST, Cut.DONE]


@pytest.fixture
async def proxy(postgres):
    async with proxy_to(postgres) as proxy:
        yield proxy


@pytest.fixture
async def store(postgres, proxy):
    """A node whose way to the database is the proxy."""
    database = await postgres.emptied_database()
    async with open_postgresql(PostgresqlUrl.parse(proxy.url(database))) as store:
        await a_leased_sms(store)  # So that what comes only once has come.
        yield store


@pytest.fixture
async def other(postgres, store):
    """Another node, with a way of its own."""
    database = store._database.url.dsn.rpartition("/")[2].partition("?")[0]
    async with open_postgresql(PostgresqlUrl.parse(postgres.url(database))) as other:
        yield other


async def until(condition, within_s=10):
    async with asyncio.timeout(within_s):
        while not (found := await condition()):  # noqa: ASYNC110 # nobody tells
            await asyncio.sleep(0.01)  # noqa: TID251 # real time: the database's
    return found


# Jobs


async def test_a_job_that_was_kept_is_told_though_the_answer_was_lost(proxy, store, other):
    plan = a_plan(a_planned_sms(), a_planned_sms())
    proxy.cuts = [Cut.DONE]
    assert await store.add_job(plan) == Added(plan.job_id, True, {})
    assert not proxy.cuts
    assert len(await other.sms_of_job(plan.account, plan.job_id)) == 2
    assert len(await lease(other)) == 2


async def test_a_job_that_was_not_kept_is_told_and_nothing_is_there(proxy, store, other):
    plan = a_plan(idempotency=("key", b"digest"))
    before = await listed(other)
    proxy.cuts = [Cut.LOST]
    with pytest.raises(StoreUnavailable, match="not done") as raised:
        await store.add_job(plan)
    assert type(raised.value) is StoreUnavailable
    assert await listed(other) == before
    assert await lease(other) == []
    assert (await store.add_job(plan)).is_new


async def test_a_commit_that_is_still_under_way_is_waited_for(proxy, store, other):
    plan = a_plan()
    proxy.cuts = [Cut.LATE]
    adding = asyncio.ensure_future(store.add_job(plan))
    await until(lambda: is_waited_for(other))
    await proxy.let_through()
    assert await adding == Added(plan.job_id, True, {})
    assert plan.job_id in await listed(other)


async def is_waited_for(store):
    async with store._database.writing() as db:
        return await db.raw.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'")


async def test_of_a_job_that_cannot_be_looked_for_in_time_it_is_told_that_nobody_knows(
    proxy, store, other, monkeypatch
):
    monkeypatch.setattr(doubt, "FIND_OUT_WITHIN_S", 0.5)
    for cut in CUT_OFF:
        plan = a_plan()
        proxy.cuts, proxy.stays_down = [cut], True
        with pytest.raises(OutcomeUnknown, match="cut off while"):
            await store.add_job(plan)
        assert (plan.job_id in await listed(other)) == (cut is Cut.DONE)
        proxy.is_down = proxy.stays_down = False


async def test_it_is_found_out_as_soon_as_the_database_is_back(proxy, store):
    plan = a_plan()
    proxy.cuts, proxy.stays_down = [Cut.DONE], True
    adding = asyncio.ensure_future(store.add_job(plan))
    await until(lambda: is_down(proxy))
    proxy.is_down = False
    assert (await adding).is_new


async def is_down(proxy):
    return proxy.is_down


@pytest.mark.parametrize("cut", CUT_OFF)
async def test_of_jobs_that_came_together_each_is_told(proxy, store, other, cut):
    first = a_plan(idempotency=("one", b"digest"))
    await store.add_job(first)
    plans = [
        a_plan(),
        a_plan(idempotency=("one", b"digest")),
        a_plan(fingerprint=b"two"),
        a_plan(fingerprint=b"two"),
    ]
    proxy.cuts = [cut]
    results = await asyncio.gather(*map(store.add_job, plans), return_exceptions=True)
    if cut is Cut.LOST:
        assert [type(result) for result in results] == [StoreUnavailable] * 4
        assert not {plan.job_id for plan in plans} & {*await listed(other)}
    else:
        assert [(result.job_id, result.is_new) for result in results[:3]] == [
            (plans[0].job_id, True),
            (first.job_id, False),
            (plans[2].job_id, True),
        ]
        assert (type(results[3]), results[3].job_id) == (JobDuplicate, plans[2].job_id)


async def test_one_who_gives_up_waiting_takes_no_other_along(proxy, store):
    plans = [a_plan(), a_plan()]
    proxy.cuts, proxy.stays_down = [Cut.DONE], True
    adding = [asyncio.ensure_future(store.add_job(plan)) for plan in plans]
    await until(lambda: is_down(proxy))
    adding[0].cancel()
    await asyncio.wait(adding[:1])
    proxy.is_down = False
    assert (await adding[1]).job_id == plans[1].job_id


async def test_looking_leaves_nothing_behind(proxy, store, other):
    proxy.cuts = [Cut.LOST]
    with pytest.raises(StoreUnavailable):
        await store.add_job(a_plan())
    async with other._database.writing() as db:
        assert await db.raw.fetchval("SELECT count(*) FROM job") == 1
        assert await db.raw.fetchval("SELECT count(*) FROM message") == 1


async def test_while_it_is_looked_for_other_jobs_are_taken(proxy, store, other):
    proxy.cuts = [Cut.LATE]
    doubtful = [asyncio.ensure_future(store.add_job(a_plan())) for _ in range(2)]
    await until(lambda: is_waited_for(other))
    assert (await store.add_job(a_plan())).is_new
    await proxy.let_through()
    assert all(added.is_new for added in await asyncio.gather(*doubtful))


async def test_a_call_that_may_have_been_counted_has_begun_nothing(proxy, store):
    proxy.cuts = [Cut.DONE]
    with pytest.raises(StoreUnavailable) as raised:
        await store.take_call(AccountId(1), RateLimit(5, 60), NOW)
    assert type(raised.value) is StoreUnavailable


async def test_what_was_not_to_be_committed_yet_is_not_in_doubt(proxy, store):
    async def broken(db):
        db.raw.terminate()

    with pytest.raises(StoreUnavailable) as raised:
        await store._database.write(broken)
    assert type(raised.value) is StoreUnavailable


async def test_of_anything_else_that_is_cut_off_it_is_told_that_nobody_knows(proxy, store):
    proxy.cuts = [Cut.DONE]
    with pytest.raises(OutcomeUnknown):
        await store.block(AccountId(1), "+4917612345678", NOW)


# A connection that breaks after a COMMIT was answered


@pytest.fixture
def breaks_on_its_way_back(store, monkeypatch):
    """The server ends each connection right after a COMMIT, while it is given back to its pool."""
    commit = store._database.commit

    async def committed_and_broken(db):
        await commit(db)
        loop = asyncio.get_running_loop()
        loop.call_soon(loop.call_soon, db.raw._con.terminate)

    monkeypatch.setattr(store._database, "commit", committed_and_broken)


@pytest.mark.usefixtures("breaks_on_its_way_back")
async def test_what_was_committed_is_told_though_the_connection_breaks_on_its_way_back(store):
    for _ in range(3 * connection.WRITE_CONNECTIONS):  # No place in the pool is lost with it.
        plan = a_plan()
        assert await store.add_job(plan) == Added(plan.job_id, True, {})
        assert len(await lease(store)) == 1


async def test_a_database_is_let_go_though_a_connection_breaks_meanwhile(store, monkeypatch):
    pool = store._database._write_pool

    class BreakingPool:
        terminate = pool.terminate

        async def close(self):
            raise asyncpg.InternalClientError("as of a connection that broke in the middle of something")

    monkeypatch.setattr(store._database, "_write_pool", BreakingPool())
    await store._database.close()
    assert pool.get_size() == 0


# A database that hangs


@pytest.fixture
async def quick(postgres, proxy, monkeypatch):
    """A node that soon notices when the database, behind the proxy, hangs."""
    monkeypatch.setattr(presence, "ANSWER_WITHIN_S", 3.0)
    monkeypatch.setattr(connection, "CONNECT_TIMEOUT_S", 3.0)
    monkeypatch.setattr(doubt, "FIND_OUT_WITHIN_S", 1.0)
    database = await postgres.emptied_database()
    async with open_postgresql(PostgresqlUrl.parse(proxy.url(database))) as store:
        await a_leased_sms(store)
        yield store
        proxy.flows.set()


async def test_while_the_database_hangs_whoever_waits_is_told_soon(proxy, quick):
    proxy.flows.clear()
    async with asyncio.timeout(30):
        for _ in range(2):
            told = await asyncio.gather(
                quick.add_job(a_plan()),
                quick.job(AccountId(1), a_plan().job_id),
                quick.take_call(AccountId(1), RateLimit(5, 60), NOW),
                quick.block(AccountId(1), "+4917612345678", NOW),
                return_exceptions=True,
            )
            assert [type(each) for each in told] == [StoreUnavailable] * 4
    proxy.flows.set()
    await until(lambda: is_back(quick))
    assert (await quick.add_job(a_plan())).is_new


async def is_back(store):
    try:
        await store.ready()
    except StoreUnavailable:
        return False
    return True


async def test_of_a_job_whose_commit_hangs_it_is_told_soon_that_nobody_knows(proxy, quick):
    plan = a_plan()
    proxy.hangs_at_commit = True
    async with asyncio.timeout(30):
        with pytest.raises(OutcomeUnknown):
            await quick.add_job(plan)
    proxy.flows.set()
    await until(lambda: is_back(quick))


async def test_a_long_statement_is_waited_for_while_the_database_answers(quick):
    async with quick._database.reading() as db:
        assert await db.raw.fetchval("SELECT true FROM pg_sleep(5)")


# Leases


@pytest.mark.parametrize("cut", CUT_OFF)
async def test_a_lease_that_was_cut_off_is_given_back_at_once_and_counts_as_no_try(proxy, store, other, cut):
    plan = a_plan(*(a_planned_sms(dst) for dst in numbers(3)), on_unknown=OnUnknown.GIVE_UP)
    await store.add_job(plan)
    proxy.cuts = [cut]
    with pytest.raises(OutcomeUnknown):
        await lease(store, at=1, for_s=10_000)
    parts = await until(lambda: all_of(other, 3, at=2))
    assert {(part.was, part.attempt_count) for part in parts} == {(PartState.WAITING, 0)}


async def all_of(store, count, **lease_of):
    parts = await lease(store, **lease_of)
    assert len(parts) in (0, count)
    return parts


async def test_a_lease_whose_commit_is_under_way_is_given_back_after_it(proxy, store, other):
    plan = a_plan()
    await store.add_job(plan)
    proxy.cuts = [Cut.LATE]
    with pytest.raises(OutcomeUnknown):
        await lease(store, at=1, for_s=10_000)
    await until(lambda: is_waited_for(other))
    assert await lease(other, at=2) == []
    await proxy.let_through()
    (part,) = await until(lambda: all_of(other, 1, at=2))
    assert part.was is PartState.WAITING


async def test_a_lease_is_given_back_when_the_database_has_been_away(proxy, store, other):
    await store.add_job(a_plan())
    proxy.cuts, proxy.stays_down = [Cut.DONE], True
    with pytest.raises(OutcomeUnknown):
        await lease(store, at=1, for_s=10_000)
    await asyncio.sleep(3 * doubt.LOOK_AGAIN_AFTER_S)  # noqa: TID251 # real time: the database's
    assert await lease(other, at=2) == []
    proxy.is_down = False
    (part,) = await until(lambda: all_of(other, 1, at=2))
    assert part.was is PartState.WAITING


async def test_what_was_unknown_before_the_lease_is_unknown_after_it(proxy, store, other, monkeypatch):
    monkeypatch.setattr(presence, "SETTLE_S", 0)
    _, part = await a_leased_sms(store, for_s=10)
    proxy.cuts = [Cut.DONE]
    with pytest.raises(OutcomeUnknown):
        await lease(store, at=20, for_s=10_000)
    again = await until(lambda: lease(other, at=21))
    assert (part.segment.id, PartState.LEASED) in {(each.segment.id, each.was) for each in again}


async def test_an_overdue_receipt_is_overdue_again(proxy, store, other):
    _, part = await a_leased_sms(store)
    await store.record_outcomes("acme", [submitted(part, receipt_due_at=after(50))])
    proxy.cuts = [Cut.DONE]
    with pytest.raises(OutcomeUnknown):
        await lease(store, at=100_000, for_s=10_000)
    again = await until(lambda: lease(other, at=100_001))
    assert (part.segment.id, PartState.SUBMITTED) in {(each.segment.id, each.was) for each in again}


async def test_what_was_leased_anew_meanwhile_is_not_given_back(proxy, store, other):
    plan = a_plan()
    await store.add_job(plan)
    proxy.cuts, proxy.stays_down = [Cut.LOST], True
    with pytest.raises(OutcomeUnknown):
        await lease(store, at=1, for_s=10_000)
    (part,) = await until(lambda: lease(other, at=2, for_s=10_000))
    proxy.is_down = False
    await until(lambda: has_no_doubts(store))
    assert await lease(store, at=3) == []
    await other.record_outcomes("acme", [submitted(part)])
    assert (await progress_of(store, plan))[0].sent_at == NOW


async def has_no_doubts(store):
    return not store._doubts._leases


async def test_what_others_freed_because_they_took_us_for_gone_is_given_back_all_the_same(
    proxy, store, other, monkeypatch
):
    await store.add_job(a_plan())
    proxy.cuts, proxy.stays_down = [Cut.DONE], True
    with pytest.raises(OutcomeUnknown):
        await lease(store, at=1, for_s=10_000)
    async with other._database.writing() as db:
        await db.run("free_leases", store._presence.node)
    proxy.is_down = False
    await until(lambda: has_no_doubts(store))
    (part,) = [each for each in await lease(other, at=2) if each.was is PartState.WAITING]
    assert part.attempt_count == 0


async def test_a_node_that_stops_gives_back_first(postgres, proxy, other):
    database = other._database.url.dsn.partition("@/")[2].partition("?")[0]
    async with open_postgresql(PostgresqlUrl.parse(proxy.url(database))) as store:
        await store.add_job(a_plan())
        for watch in store._watches:
            watch.cancel()
        proxy.cuts = [Cut.DONE]
        with pytest.raises(OutcomeUnknown):
            await lease(store, at=1, for_s=10_000)
    assert PartState.WAITING in {part.was for part in await lease(other, at=2)}


# Leases that run out


async def test_when_the_database_was_away_leases_that_ran_out_are_left_to_who_has_them_for_a_while(
    proxy, store, other, monkeypatch
):
    _, part = await a_leased_sms(other, for_s=10)
    plan = a_plan()
    await other.add_job(plan)
    await store.ready()
    monkeypatch.setattr(presence, "BREAK_S", 0.0)  # A second is a long break already.
    await proxy.break_off()
    proxy.is_down = False
    leased = await until(lambda: leased_once_it_is_back(store, at=20))
    assert [each.was for each in leased] == [PartState.WAITING], "what waits goes on at once"
    await other.record_outcomes("acme", [submitted(part)])
    monkeypatch.setattr(presence, "SETTLE_S", 0.0)
    monkeypatch.setattr(presence, "BREAK_S", 60.0)
    assert part.segment.id not in {each.segment.id for each in await lease(store, at=21)}


async def leased_once_it_is_back(store, **lease_of):
    try:
        return await lease(store, **lease_of)
    except StoreUnavailable:
        return []


async def test_a_lease_that_ran_out_is_taken_over_when_the_database_has_been_there_for_long_enough(url):
    clock = ManualClock()
    async with open_postgresql(url) as other, open_postgresql(url, clock=clock) as store:
        _, part = await a_leased_sms(other, for_s=10)
        await looked(store, clock)
        for _ in range(int(presence.SETTLE_S)):
            assert await lease(store, at=20) == []
            await clock.advance(presence.LOOK_EVERY_S)
            await looked(store, clock)
        (again,) = await lease(store, at=20)
    assert (again.segment.id, again.was) == (part.segment.id, PartState.LEASED)


async def looked(store, clock):
    """The node has looked around in this instant."""

    async def has_looked():
        return store._presence._looked_at_s == clock.monotonic()

    await until(has_looked)


async def test_what_a_dead_node_had_is_taken_over_at_once(store, other):
    _, part = await a_leased_sms(other, for_s=10_000)
    async with store._database.writing() as db:
        await db.run("free_leases", other._presence.node)
    assert [each.segment.id for each in await lease(store, at=20)] == [part.segment.id]


async def test_a_nodes_own_leases_that_ran_out_are_its_own(store):
    _, part = await a_leased_sms(store, for_s=10)
    assert part.segment.id in {each.segment.id for each in await lease(store, at=20)}
