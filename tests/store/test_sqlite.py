"""SqliteStore does what any Store must do, and what only a file can."""

import asyncio
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from heliograph.jobs.accounts import AccountId
from heliograph.jobs.errors import JobDuplicate, Overloaded, StoreUnavailable
from heliograph.jobs.inbound import NOBODY
from heliograph.jobs.naming import JobId
from heliograph.jobs.status import PartState, Status
from heliograph.jobs.webhooks import EventType, WebhookId
from heliograph.store import group_commit
from heliograph.store.interface import Added, EventPostponed, Store
from heliograph.store.sqlite import connection as sqlite_connection
from heliograph.store.sqlite import search as sqlite_search
from heliograph.store.sqlite.store import SqliteStore, open_sqlite
from heliograph.store.sqlite.writer import STEP_ROWS, Block, Lease, RecordOutcomes, RemoveWebhook
from tests.fakes.builders import NOW, a_plan, a_planned_sms, after, an_account, an_arrival, numbers
from tests.store.conformance import (
    StoreConformance,
    a_finished_job,
    a_leased_sms,
    a_submitted_sms,
    delivered,
    dsts,
    failed,
    finished_at,
    inbound,
    lease,
    listed,
    progress_of,
    send,
    sms_of,
    spent,
    submitted,
    writer_to,
)
from tests.store.jobs_conformance import JobsConformance, search
from tests.store.recalls_conformance import RecallsConformance, recalls
from tests.store.receipts_conformance import ReceiptsConformance, lookalikes, written
from tests.store.webhooks.conformance import WebhookConformance, a_kept_webhook, told

ROOT = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "heliograph.db"


@pytest.fixture
async def store(path):
    async with open_sqlite(path, NOW) as store:
        yield store


class TestSqliteStore(StoreConformance, JobsConformance, RecallsConformance, ReceiptsConformance, WebhookConformance):
    """With the fixture above."""


# The file


async def test_everything_is_there_after_reopening(path):
    async with open_sqlite(path, NOW) as store:
        account = await store.put_account(an_account("acme", country="DE"))
        finished, running = await a_finished_job(store), await a_submitted_sms(store)
        waiting = a_plan(a_planned_sms(parts=3, due=after(60)), fingerprint=b"same", src="Helio")
        await store.add_job(waiting)
        await store.record_receipts("acme", [failed("early", at=1)])
        plans = finished, running, waiting
        before = [(await store.job(plan.account, plan.job_id), await sms_of(store, plan)) for plan in plans]
    async with open_sqlite(path, after(1)) as store:
        assert await store.accounts() == [account]
        assert [(await store.job(plan.account, plan.job_id), await sms_of(store, plan)) for plan in plans] == before
        assert await store.awaiting_receipts("acme") == ["m1"]
        with pytest.raises(JobDuplicate, match=waiting.job_id):
            await store.add_job(a_plan(fingerprint=b"same", at=after(2)))
        first, *_ = await lease(store, at=60)
        assert first.segment.src == "Helio"
        await store.record_outcomes("acme", [submitted(first, "early", at=61)])
        assert (await progress_of(store, waiting))[0].status is Status.FAILED_FIN
        await store.record_receipts("acme", [delivered("m1", at=62)])
        assert await finished_at(store, running) == after(62)
        assert await finished_at(store, await a_finished_job(store, at=70)) == after(70)


async def test_numbers_are_not_given_twice_though_everything_was_forgotten(path):
    async with open_sqlite(path, NOW) as store:
        await a_finished_job(store)
        _, before = await a_leased_sms(store)
        await store.record_outcomes("acme", [submitted(before, "m2", at=1)])
        await store.record_receipts("acme", [delivered("m2", at=2)])
        assert await store.forget_jobs(after(100), 10) == 2
    async with open_sqlite(path, after(200)) as store:
        _, part = await a_leased_sms(store)
        assert part.segment.id > before.segment.id


async def test_leases_of_the_process_before_fall_due_at_once(path):
    async with open_sqlite(path, NOW) as store:
        _, part = await a_leased_sms(store, for_s=1000)
    async with open_sqlite(path, after(5)) as store:
        (again,) = await lease(store, at=5)
    assert (again.segment, again.was) == (part.segment, PartState.LEASED)


async def test_leased_events_of_the_process_before_fall_due_at_once_and_postponed_ones_in_time(path):
    async with open_sqlite(path, NOW) as store:
        await a_kept_webhook(store, events=(EventType.JOB_FINISHED,))
        await a_finished_job(store)
        await a_finished_job(store)
        first, second = await told(store, for_s=1000)
        await store.settle_events([EventPostponed(first.number, first.leased_until, after(60), 1, "500")])
    async with open_sqlite(path, after(5)) as store:
        assert [each.number for each in await told(store, at=5)] == [second.number]
        assert [each.number for each in await told(store, at=60, for_s=1000)] == [first.number]


async def test_a_webhook_s_number_is_not_given_to_another(path):
    async with open_sqlite(path, NOW) as store:
        webhook = await a_kept_webhook(store)
        await a_finished_job(store)
        # Killed after the webhook was removed, and before its events were.
        await store._commits.write(RemoveWebhook(webhook.account, webhook.id))
    async with open_sqlite(path, after(5)) as store:
        await a_kept_webhook(store)
        assert await told(store, at=5) == []
        assert await store.forget_events(after(5), 100) == 3


async def test_overdue_receipts_are_not_freed_but_due_again_in_time(path):
    async with open_sqlite(path, NOW) as store:
        await a_submitted_sms(store)
        await lease(store, at=200_000, for_s=60)
    async with open_sqlite(path, after(200_001)) as store:
        assert await lease(store, at=200_001) == []
        (part,) = await lease(store, at=200_060)
    assert part.was is PartState.SUBMITTED


async def test_a_closed_file_has_nothing_beside_it_but_its_lock(path):
    async with open_sqlite(path, NOW) as store:
        await store.add_job(a_plan())
    assert sorted(each.name for each in path.parent.iterdir()) == [path.name, f"{path.name}.lock"]


async def test_a_closed_store_is_unavailable(path):
    async with open_sqlite(path, NOW) as store:
        pass
    with pytest.raises(StoreUnavailable, match="closed"):
        await store.add_job(a_plan())
    with pytest.raises(StoreUnavailable):
        await store.job(AccountId(1), a_plan().job_id)
    with pytest.raises(StoreUnavailable, match="closed"):
        await listed(store)


async def test_a_path_may_have_any_characters(tmp_path):
    path = tmp_path / "a b?c#d%20é.db"
    async with open_sqlite(path, NOW) as store:
        await store.add_job(a_plan())
    assert path.is_file()


async def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(StoreUnavailable, match=r"no folder .*nowhere.*make it"):
        async with open_sqlite(tmp_path / "nowhere" / "heliograph.db", NOW):
            pass


@pytest.mark.parametrize("serving", [True, False])
async def test_a_folder_is_no_database(tmp_path, serving):
    with pytest.raises(StoreUnavailable, match="is a folder"):
        async with open_sqlite(tmp_path, NOW, serving=serving):
            pass


@pytest.mark.parametrize("content", [b"Dear diary, " * 1000, b"SQLite format 3\0" + b"\xff" * 5000])
async def test_another_kind_of_file_is_no_database(path, content):
    path.write_bytes(content)
    with pytest.raises(StoreUnavailable, match=r"heliograph\.db.*(not a database|malformed|disk image)"):
        async with open_sqlite(path, NOW):
            pass
    assert path.read_bytes() == content


async def test_a_newer_schema_is_refused(path):
    async with open_sqlite(path, NOW):
        pass
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreUnavailable, match=r"schema 99.*newer version"):
        async with open_sqlite(path, NOW):
            pass


async def test_a_migration_that_fails_leaves_nothing_behind(path, monkeypatch):
    scripts = [*sqlite_connection._MIGRATIONS, "CREATE TABLE one (id);\nCREATE TABLE account (id);\n"]
    with monkeypatch.context() as patch:
        patch.setattr(sqlite_connection, "_MIGRATIONS", scripts)
        with pytest.raises(StoreUnavailable, match="account already exists"):
            async with open_sqlite(path, NOW):
                pass
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,)
    async with open_sqlite(path, NOW) as store:
        await store.add_job(a_plan())


# Several processes

SERVE = """
import asyncio, sys
from pathlib import Path
from heliograph.store.sqlite.store import open_sqlite
from tests.fakes.builders import NOW, a_plan, a_planned_sms, numbers

async def customer(store):
    while True:
        plan = a_plan(*[a_planned_sms(dst) for dst in numbers(3)])
        await store.add_job(plan)
        print(plan.job_id, flush=True)

async def main(path, customer_count):
    async with open_sqlite(path, NOW) as store:
        print("serving", flush=True)
        await asyncio.gather(*(customer(store) for _ in range(customer_count)), asyncio.sleep(60))

asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
"""


@contextmanager
def a_process(path, customer_count=0):
    """Another process that serves the file, to so many customers who send one job after the other."""
    arguments = [sys.executable, "-c", SERVE, path, str(customer_count)]
    with subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout.readline() == "serving\n"
            yield process
        finally:
            process.kill()


@pytest.fixture
def served(path):
    """The file, while another process serves it."""
    with a_process(path):
        yield path


async def test_a_second_process_cannot_serve_the_file(served, tmp_path):
    by_another_name = tmp_path / "link.db"
    by_another_name.symlink_to(served)
    for path in (served, by_another_name):
        with pytest.raises(StoreUnavailable, match=r"another process is serving .*stop it first"):
            async with open_sqlite(path, NOW):
                pass


async def test_accounts_can_be_changed_while_another_process_serves(served):
    async with open_sqlite(served, NOW, serving=False) as store:
        kept = await store.put_account(an_account("acme"))
    async with open_sqlite(served, NOW, serving=False) as store:
        assert await store.put_account(msgspec.structs.replace(kept, disabled=True)) != kept


async def test_who_serves_sees_accounts_that_another_process_changed(path, store):
    async with open_sqlite(path, NOW, serving=False) as other:
        kept = await other.put_account(an_account("acme"))
    assert await store.account("acme") == kept


async def test_who_only_changes_accounts_frees_no_leases(path, store):
    await a_leased_sms(store, for_s=1000)
    async with open_sqlite(path, after(5), serving=False):
        pass
    assert await lease(store, at=5) == []


async def test_the_schema_is_not_changed_under_a_process_that_serves_the_older_one(path, store, monkeypatch):
    monkeypatch.setattr(sqlite_connection, "_MIGRATIONS", [*sqlite_connection._MIGRATIONS, "CREATE TABLE one (id);\n"])
    monkeypatch.setattr("heliograph.store.sqlite.store.SCHEMA_VERSION", sqlite_connection.SCHEMA_VERSION + 1)
    with pytest.raises(StoreUnavailable, match="another process is serving"):
        async with open_sqlite(path, NOW, serving=False):
            pass
    await store.add_job(a_plan())


async def test_no_acknowledged_job_is_lost_when_the_process_is_killed(path):
    for enough in (50, 333, 1234):
        with a_process(path, customer_count=20) as process:
            acknowledged = [process.stdout.readline().strip() for _ in range(enough)]
            process.send_signal(signal.SIGKILL)
            acknowledged += process.stdout.read().split()
        async with open_sqlite(path, NOW) as store:
            for job_id in acknowledged:
                found = await store.sms_of_job(AccountId(1), JobId(job_id))
                assert found is not None, f"{job_id} is lost"
                assert [sms.dst for sms in found] == numbers(3)
        path.unlink()  # The next process gives the same ids once more.


# Group commit


@pytest.fixture
def commits(store: SqliteStore):
    """The statements that have ended a transaction of the writer."""
    seen: list[str] = []
    store.writer._db.raw.set_trace_callback(lambda sql: seen.append(sql) if sql in ("COMMIT", "ROLLBACK") else None)
    return seen


async def test_jobs_that_come_together_share_a_commit(store, commits):
    await asyncio.gather(*(store.add_job(a_plan()) for _ in range(64)))
    assert commits == ["COMMIT"]


async def test_jobs_that_come_during_a_commit_share_the_next_one(store, commits):
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(store.add_job(a_plan()))
        await turns(3)  # Now the first commit is under way.
        for _ in range(30):
            tasks.create_task(store.add_job(a_plan()))
    assert commits == ["COMMIT", "COMMIT"]


async def test_a_commit_takes_no_more_small_jobs_than_its_share(store, commits):
    sms = [a_planned_sms(dst) for dst in numbers(100)]
    await asyncio.gather(*(store.add_job(a_plan(*sms)) for _ in range(60)))
    assert commits == ["COMMIT"] * 3


async def test_a_commit_takes_one_big_job(store, commits):
    sms = [a_planned_sms(dst) for dst in numbers(101)]
    await asyncio.gather(*(store.add_job(a_plan(*sms)) for _ in range(6)))
    assert commits == ["COMMIT"] * 6


async def test_a_small_job_does_not_wait_for_the_big_ones_before_it(store):
    done: list[str] = []

    async def job(name: str, count: int):
        await store.add_job(a_plan(*(a_planned_sms() for _ in range(count))))
        done.append(name)

    await asyncio.gather(*(job("big", 1000) for _ in range(5)), job("small", 1))
    assert done.index("small") <= 1


async def test_what_dispatch_waits_for_goes_before_all_jobs(store):
    done: list[str] = []

    async def job():
        await store.add_job(a_plan(*(a_planned_sms() for _ in range(1500))))
        done.append("job")

    async def receipt():
        await store.record_receipts("acme", [delivered("x")])
        done.append("receipt")

    await asyncio.gather(*(job() for _ in range(4)), receipt())
    assert done[0] == "receipt" or done[:3] == ["job", "job", "receipt"]


async def test_one_write_that_fails_does_not_take_the_others_down(store):
    plans = [a_plan(), a_plan(text="a lone \ud800"), a_plan()]
    results = await asyncio.gather(*map(store.add_job, plans), return_exceptions=True)
    assert [type(result) for result in results] == [Added, UnicodeEncodeError, Added]
    assert await listed(store) == [plans[2].job_id, plans[0].job_id]
    assert len(await lease(store)) == 2


async def test_a_write_that_nobody_waits_for_any_more_is_left_out(store):
    plan = a_plan()
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(store.add_job(plan))
        await turns(1)
        task.cancel()
    await store.add_job(a_plan())
    assert await store.job(plan.account, plan.job_id) is None


# Steps: what dispatch writes holds up nobody who reads


async def leased(store, count):
    await store.add_job(a_plan(*(a_planned_sms() for _ in range(count))))
    return await lease(store)


def states(path):
    """What is committed: how many parts are in which state."""
    with closing(sqlite3.connect(path)) as other:
        return {
            PartState(state): count for state, count in other.execute("SELECT state, count(*) FROM live GROUP BY 1")
        }


async def test_while_a_batch_is_written_others_have_turns(store):
    parts = await leased(store, 2 * STEP_ROWS + 7)
    outcomes = [submitted(part, f"m{place}") for place, part in enumerate(parts)]
    begun = store.writer.try_now([RecordOutcomes("acme", outcomes)])
    assert [submitted_count(store) for _ in begun] == [STEP_ROWS, 2 * STEP_ROWS]
    assert submitted_count(store) == len(parts)


async def test_others_have_turns_between_two_sms_not_within_one(store):
    assert STEP_ROWS % 4, "else no SMS of four parts lies across a border"
    await store.add_job(a_plan(*(a_planned_sms(parts=4) for _ in range(18))))
    parts = await lease(store)
    outcomes = [submitted(part, f"m{place}") for place, part in enumerate(parts)]
    begun = store.writer.try_now([RecordOutcomes("acme", outcomes)])
    whole = STEP_ROWS + 4 - STEP_ROWS % 4
    assert [submitted_count(store) for _ in begun] == [whole, 2 * whole]
    assert submitted_count(store) == 72


def submitted_count(store):
    """As whoever writes sees it."""
    return store.writer._db.raw.execute("SELECT count(*) FROM live WHERE message_id IS NOT NULL").fetchone()[0]


async def test_a_lease_of_many_lets_others_have_turns(store):
    count = 3 * STEP_ROWS + 7
    await store.add_job(a_plan(*(a_planned_sms() for _ in range(count))))
    steps = store.writer.try_now([Lease("acme", count + 10, after(60), NOW)])
    assert len(list(steps)) == 3
    store.writer.abandon()
    assert len(await lease(store, limit=count + 10)) == count


async def test_results_are_told_one_in_a_turn_of_the_event_loop(store):
    """Each makes work for its dispatcher, and who reads shouldn't wait for all of it."""
    told: list[int] = []
    turn = 0
    writes = [store.lease_segments(carrier, 10, after(60), NOW) for carrier in ("acme", "umbrella", "globex")]
    leases = [asyncio.ensure_future(write) for write in writes]
    while len(told) < len(leases):
        await turns(1)
        turn += 1
        told += [turn for _ in range(sum(each.done() for each in leases) - len(told))]
    assert [later - earlier for earlier, later in pairwise(told)] == [1, 1]


async def test_what_is_written_in_steps_is_seen_whole_or_not_at_all(path, store):
    parts = await leased(store, 100)
    recording = asyncio.ensure_future(
        store.record_outcomes("acme", [submitted(part, f"m{place}") for place, part in enumerate(parts)])
    )
    await turns(2)
    assert store.writer._db.raw.in_transaction
    assert states(path) == {PartState.LEASED: 100}
    await recording
    assert states(path) == {PartState.SUBMITTED: 100}


async def test_a_step_that_fails_undoes_those_before_it(path, store):
    parts = await leased(store, 100)
    outcomes = [submitted(part, f"m{place}") for place, part in enumerate(parts)]
    outcomes[99] = submitted(parts[99], "a lone \ud800")
    with pytest.raises(UnicodeEncodeError):
        await store.record_outcomes("acme", outcomes)
    assert states(path) == {PartState.LEASED: 100}


async def test_a_store_that_is_closed_between_steps_has_written_nothing(path):
    async with open_sqlite(path, NOW) as store:
        parts = await leased(store, 100)
        recording = asyncio.ensure_future(
            store.record_outcomes("acme", [submitted(part, f"m{place}") for place, part in enumerate(parts)])
        )
        await turns(2)
    with pytest.raises(StoreUnavailable, match="closed"):
        await recording
    assert states(path) == {PartState.LEASED: 100}


async def test_too_many_jobs_at_once_are_turned_away(store):
    sms = tuple(a_planned_sms() for _ in range(3000))
    enough = group_commit.MAX_ROWS_WAITING // 3000 + 1
    results = await asyncio.gather(*(store.add_job(a_plan(*sms)) for _ in range(enough + 2)), return_exceptions=True)
    assert [type(result) for result in results[:enough]] == [Added] * enough
    assert [type(result) for result in results[enough:]] == [Overloaded, Overloaded]
    await store.add_job(a_plan())


async def test_too_much_asked_at_once_is_turned_away_and_what_dispatch_writes_is_not(store, monkeypatch):
    monkeypatch.setattr(group_commit, "MAX_ROWS_ASKED", 9)
    plan = a_plan(a_planned_sms(), a_planned_sms())
    await store.add_job(plan)
    (part,) = await lease(store, limit=1)
    account = AccountId(plan.account)
    webhook = await a_kept_webhook(store)
    results = await asyncio.gather(
        *(store.block(account, f"+49176000000{n:02}", NOW) for n in range(10)),
        store.block(account, "+4917600000099", NOW),
        store.unblock(account, "+4917600000000"),
        store.cancel_job(account, plan.job_id, NOW),
        store.add_webhook(msgspec.structs.replace(webhook, id=WebhookId("W.another"))),
        store.remove_webhook(webhook.account, webhook.id),
        store.replay_events(webhook.account, webhook.id, 10, NOW),
        lease(store),
        store.record_outcomes("acme", [submitted(part, "m1")]),
        return_exceptions=True,
    )
    turned_away = [type(result) is Overloaded for result in results]
    assert turned_away == [False] * 10 + [True] * 6 + [False] * 2
    assert await store.unblock(account, "+4917600000000") is not None, "the next commit has room again"


# Disks


async def test_a_full_disk_leaves_nothing_half_written(store):
    await store.add_job(a_plan())
    raw = store.writer._db.raw
    (pages,) = raw.execute("PRAGMA page_count").fetchone()
    raw.execute(f"PRAGMA max_page_count = {pages + 3}")
    big, small = a_plan(*(a_planned_sms() for _ in range(3000))), a_plan()
    results = await asyncio.gather(store.add_job(big), store.add_job(small), return_exceptions=True)
    assert [type(result) for result in results] == [StoreUnavailable, Added]
    assert "full" in str(results[0])
    assert await store.job(big.account, big.job_id) is None
    raw.execute("PRAGMA max_page_count = 1000000")
    await store.add_job(big)
    assert len(await sms_of(store, big)) == 3000
    assert len(await lease(store, limit=4000)) == 3002


async def test_nothing_is_written_to_a_file_that_is_not_there_any_more(path, store):
    await store.add_job(a_plan())
    aside = path.with_name("aside")
    path.rename(aside)
    for replaced in (False, True):
        if replaced:
            path.touch()
        with pytest.raises(StoreUnavailable, match=r"deleted, moved or replaced.*put the file back"):
            await store.ready()
        results = await asyncio.gather(*(store.add_job(a_plan()) for _ in range(3)), return_exceptions=True)
        assert [type(result) for result in results] == [StoreUnavailable] * 3
    aside.replace(path)
    await store.add_job(a_plan())
    assert len(await lease(store)) == 2


async def test_a_file_that_another_process_keeps_locked_is_unavailable(path, store):
    store.writer._db.patience_s = 1
    plans = [a_plan() for _ in range(10)]
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="locked"):
            await store.ready()
        async with asyncio.timeout(8):  # One wait for all, not one each.
            results = await asyncio.gather(*map(store.add_job, plans), return_exceptions=True)
        assert [type(result) for result in results] == [StoreUnavailable] * 10
        assert await listed(store) == []
    await store.ready()
    await asyncio.gather(*map(store.add_job, plans))
    assert len(await listed(store)) == 10


# What a running service must not do: grow, or get slower with what is past


async def test_receipts_for_nobody_are_not_kept_for_ever(store: Store):
    for hour in range(20):
        receipts = [delivered(f"{hour}.{each}", at=hour * 3600) for each in range(50)]
        await store.record_receipts("acme", receipts)
    assert rows(store, "parked") <= 100


async def test_fingerprints_are_not_kept_for_ever(store):
    for minute in range(100):
        await store.add_job(a_plan(at=after(60 * minute), fingerprint=b"%d" % minute))
    assert rows(store, "fingerprint") <= 11


async def test_history_makes_nothing_slower(store):
    def work_done():
        nonlocal steps
        steps += 1

    async def a_round(at, jobs):
        await asyncio.gather(*(store.add_job(a_plan(a_planned_sms(due=after(at)), at=after(at))) for _ in range(jobs)))
        parts = await lease(store, at=at, limit=jobs)
        assert len(parts) == jobs
        ids = {part.segment.id: f"{at}.{place}" for place, part in enumerate(parts)}
        await store.record_outcomes("acme", [submitted(part, ids[part.segment.id], at=at) for part in parts])
        await store.record_receipts("acme", [delivered(message_id, at=at) for message_id in ids.values()])

    steps = 0
    store.writer._db.raw.set_progress_handler(work_done, 100)
    await a_round(1, jobs=100)
    without_history, steps = steps, 0
    await a_round(2, jobs=3000)
    steps = 0
    await a_round(3, jobs=100)
    assert steps < 1.1 * without_history


async def test_big_jobs_are_forgotten_in_small_steps(store):
    for second in range(4):
        sms = [a_planned_sms("1", carrier=None) for _ in range(3000)]
        await store.add_job(a_plan(*sms, at=after(second)))
    assert [await store.forget_jobs(after(100), 100) for _ in range(5)] == [1, 1, 1, 1, 0]
    assert [rows(store, table) for table in ("job", "message", "sms", "live")] == [0, 0, 0, 0]


async def test_blanked_texts_are_gone(store):
    await store.add_job(a_plan(a_planned_sms("1", parts=3, carrier=None)))
    await store.blank_texts(after(1), 10)
    assert store.writer._db.raw.execute("SELECT text, parts FROM message").fetchall() == [("", None)]


def rows(store, table):
    return store.writer._db.raw.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


async def turns(count):
    """Let the other tasks run so many times."""
    for _ in range(count):
        await asyncio.sleep(0)  # noqa: TID251 # waits for nothing


# SMS from phones and the blocklist


async def test_sms_from_phones_and_the_blocklist_are_there_after_reopening(path):
    async with open_sqlite(path, NOW) as store:
        await send(store, a_plan(a_planned_sms("+491"), account=3))
        (whole,), _ = await store.record_inbound("acme", [an_arrival("Stop", owner=1)])
        await store.record_inbound("acme", [an_arrival("1", src="+491", part=1, parts=2)])
    async with open_sqlite(path, after(1)) as store:
        assert await inbound(store) == [whole]
        plan = a_plan(a_planned_sms(whole.src), at=after(1))
        await store.add_job(plan)
        assert [each.status for each in await progress_of(store, plan)] == [Status.BLOCKED]
        (late,), _ = await store.record_inbound("acme", [an_arrival("2", src="+491", part=2, parts=2)])
        assert (late.text, late.account) == ("12", 3)


async def test_who_wrote_is_gathered_from_many_sms_in_steps(store, monkeypatch):
    monkeypatch.setattr("heliograph.store.sqlite.inbound.GATHERED_SMS", 7)
    phones = numbers(STEP_ROWS)
    await send(store, a_plan(*map(a_planned_sms, phones), account=2))
    assert rows(store, "ungathered") == 1, "one for all that came in and went out one after the other"
    whole, _ = await store.record_inbound("acme", [an_arrival(src=phone) for phone in phones])
    assert {sms.account for sms in whole} == {2}


async def test_who_wrote_is_gathered_again_where_a_commit_fails(store, monkeypatch):
    await send(store, a_plan(a_planned_sms("+491"), account=2))
    with monkeypatch.context() as patch:
        patch.setattr("heliograph.store.sqlite.inbound.text_of", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            await store.record_inbound("acme", [an_arrival(src="+491")])
    (whole,), _ = await store.record_inbound("acme", [an_arrival(src="+491")])
    assert whole.account == 2


async def test_who_wrote_is_forgotten_in_steps(store, monkeypatch):
    monkeypatch.setattr("heliograph.store.sqlite.inbound.FORGOTTEN_WRITERS", 7)
    phones = numbers(30)
    await send(store, a_plan(*map(a_planned_sms, phones), account=2))
    assert [await writer_to(store, phone) for phone in phones] == [2] * 30
    for _ in range(5):
        await store.forget_jobs(after(10 * 86_400), 0)
    whole, _ = await store.record_inbound("acme", [an_arrival(src=phone) for phone in phones])
    assert {sms.account for sms in whole} == {NOBODY}


async def test_a_job_that_comes_while_its_number_is_being_blocked_is_blocked_or_ended(store):
    plans = [a_plan(a_planned_sms("+491")) for _ in range(50)]
    blocking = store.block(AccountId(1), "+491", NOW)
    await asyncio.gather(*map(store.add_job, plans[:25]), blocking, *map(store.add_job, plans[25:]))
    assert {(await progress_of(store, plan))[0].status for plan in plans} == {Status.BLOCKED}
    assert await lease(store) == []


async def test_what_waits_for_a_blocked_number_ends_at_the_latest_when_it_is_to_be_leased(path):
    """As when the process is killed between the number's being blocked and the search for what waits for it."""
    async with open_sqlite(path, NOW) as store:
        plan = a_plan(a_planned_sms("+491"), a_planned_sms("+492"))
        await store.add_job(plan)
        await store._commits.write(Block(AccountId(1), "+491", NOW))
    async with open_sqlite(path, after(1)) as store:
        assert dsts(await lease(store, at=5)) == ["+492"]
        ended_sms, _ = await progress_of(store, plan)
        assert (ended_sms.status, ended_sms.finished_at) == (Status.BLOCKED, after(5))


async def test_parts_of_sms_from_phones_are_forgotten_when_they_need_not_be_known(store, path):
    for minute in range(100):
        await store.record_inbound("acme", [an_arrival(f"{minute}", owner=1, at=after(60 * minute))])
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT count(*) FROM inbound_part").fetchone()[0] < 5


# Jobs cancelled, and sent again


async def test_a_receipt_for_a_part_whose_answer_is_to_come_waits_over_a_restart(path):
    async with open_sqlite(path, NOW) as store:
        plan, first, second = await a_leased_sms(store, parts=2)
        await store.record_outcomes("acme", [submitted(first, "m1")])
        await store.record_receipts("acme", [delivered("m1", at=5), delivered("m1", at=6)])
    async with open_sqlite(path, after(7)) as store:
        await store.record_outcomes("acme", [submitted(second, "m1", at=7)])
        assert [each.status for each in await progress_of(store, plan)] == [Status.SUC_FIN]


async def test_what_reads_like_a_receipt_is_known_after_a_restart(path):
    async with open_sqlite(path, NOW) as store:
        await store.record_receipts("acme", [written("m1", "one", at=5), written("m2", "two", at=5)])
    async with open_sqlite(path, after(6)) as store:
        plan, part = await a_leased_sms(store)
        await store.record_outcomes("acme", [submitted(part, "m1", at=7)])
        assert [each.status for each in await progress_of(store, plan)] == [Status.SUC_FIN]
        assert await lookalikes(store, at=5) == [("acme", "two")]


async def test_what_is_killed_has_its_receipts_told_after_a_restart(path):
    async with open_sqlite(path, NOW) as store:
        plan = await a_submitted_sms(store)
        await store.cancel_job(plan.account, plan.job_id, NOW)
    async with open_sqlite(path, after(1)) as store:
        assert await lease(store, at=1000) == []
        await store.record_receipts("acme", [delivered("m1", at=2)])
        assert [each.reason for each in await progress_of(store, plan)] == ["yes"]


async def test_what_a_carrier_is_to_drop_is_known_after_a_restart(path):
    async with open_sqlite(path, NOW) as store:
        for message_id in ("m1", "m2"):
            plan, part = await a_leased_sms(store)
            await store.record_outcomes("acme", [submitted(part, message_id)])
            await store.cancel_job(plan.account, plan.job_id, NOW)
        assert await recalls(store, limit=1) == ["m1"]
    async with open_sqlite(path, after(1)) as store:
        assert await recalls(store, at=1) == ["m2"]
        await store.settle_recalls("acme", ["m2"])
    async with open_sqlite(path, after(60)) as store:
        assert await recalls(store, at=60) == ["m1"]
        assert await recalls(store, at=120) == ["m1"]
        assert await recalls(store, at=180) == []


WITHOUT_SENT = "DROP TABLE ungathered", "CREATE TABLE gathered AS SELECT 1 AS last_sms"
"""Back before schema 9, when it had been gathered of the first SMS only who wrote to whom."""


async def test_who_wrote_before_an_upgrade_is_known_after_it(path):
    gathered, sent, ended, waiting = phones = numbers(4)
    async with open_sqlite(path, NOW) as store:
        await send(store, a_plan(a_planned_sms(gathered), a_planned_sms(sent), account=2))
        await send(store, a_plan(a_planned_sms(ended), account=3, receipts=False))
        await store.add_job(a_plan(a_planned_sms(sent), a_planned_sms(waiting), account=4))
    with closing(sqlite3.connect(path)) as database:
        for statement in (*WITHOUT_SENT, "PRAGMA user_version = 8"):
            database.execute(statement)
    async with open_sqlite(path, after(1)) as store:
        assert [await writer_to(store, phone) for phone in phones] == [NOBODY, 2, 3, NOBODY]


async def test_what_was_killed_before_an_upgrade_is_to_be_dropped_as_well(path):
    async with open_sqlite(path, NOW) as store:
        plan = await a_submitted_sms(store)
        await store.cancel_job(plan.account, plan.job_id, NOW)
    with closing(sqlite3.connect(path)) as database:  # Back to schema 6.
        for statement in (
            "DROP INDEX late_recall",
            "ALTER TABLE late DROP COLUMN recall_due",
            "ALTER TABLE late DROP COLUMN recalls",
            "DROP TABLE call",
            *WITHOUT_SENT,
            "PRAGMA user_version = 6",
        ):
            database.execute(statement)
    async with open_sqlite(path, after(1)) as store:
        assert await recalls(store, at=1) == ["m1"]


async def test_only_what_is_not_live_any_more_is_looked_for_among_what_was_killed(path):
    async with open_sqlite(path, NOW) as store:
        _, *parts = await a_leased_sms(store, parts=3)
        asked: list[str] = []
        store.writer._db.raw.set_trace_callback(asked.append)
        await store.record_outcomes("acme", [submitted(part, f"m{at}") for at, part in enumerate(parts)])
        assert [sql for sql in asked if "late" in sql] == []
        await store.record_outcomes("acme", [submitted(parts[0])])
        assert [sql for sql in asked if "late" in sql] != []


async def test_a_key_is_remembered_after_a_restart(path):
    first = a_plan(idempotency=("key", b"same"))
    async with open_sqlite(path, NOW) as store:
        await store.add_job(first)
    async with open_sqlite(path, after(1)) as store:
        assert (await store.add_job(a_plan(idempotency=("key", b"same"), at=after(1)))).job_id == first.job_id


async def test_what_was_killed_long_ago_takes_no_room(store, path):
    for at in range(30):
        plan, part = await a_leased_sms(store)
        await store.record_outcomes("acme", [submitted(part, receipt_due_at=after(60))])
        await store.cancel_job(plan.account, plan.job_id, after(at))
    assert count_of(path, "late") == 30
    plan = a_plan(at=after(60))
    await store.add_job(plan)
    for _ in range(3):
        await store.add_job(plan := a_plan(at=after(60)))
        await store.cancel_job(plan.account, plan.job_id, after(60))
    assert count_of(path, "late") == 0


async def test_retention_forgets_what_was_killed_and_keys(store, path):
    plan = await a_submitted_sms(store)
    await store.cancel_job(plan.account, plan.job_id, NOW)
    await store.add_job(a_plan(idempotency=("key", b"same")))
    await store.forget_jobs(after(100_000), 10)
    assert (count_of(path, "late"), count_of(path, "idempotency")) == (0, 0)


async def test_keys_that_have_had_their_time_go_by_and_by(store, path):
    for number in range(20):
        await store.add_job(a_plan(idempotency=(f"{number}", b"same")))
    for number in range(10):
        await store.add_job(a_plan(idempotency=(f"new {number}", b"same"), at=after(86_400)))
    assert count_of(path, "idempotency") == 10


def count_of(path: Path, table: str) -> int:
    with closing(sqlite3.connect(path)) as database:
        return database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


async def test_what_agents_spent_outlives_the_process_and_is_forgotten_after_its_hour(path):
    async with open_sqlite(path, NOW) as store:
        assert await spent(store, 5)
    async with open_sqlite(path, after(60)) as store:
        assert not await spent(store, 1, at=60)
        assert await spent(store, 5, at=3600)
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("SELECT count(*), sum(parts) FROM spent").fetchone() == (1, 5)


async def test_a_search_for_a_billcode_ends_with_its_span_where_the_last_step_finds_no_job(store, monkeypatch):
    monkeypatch.setattr(sqlite_search, "STEP_JOBS", 2)
    for at in range(5):
        await store.add_job(a_plan(billcode="x", at=after(at)))
    assert len(await search(store, since=after(1), billcode="x")) == 4
