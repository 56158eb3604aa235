"""`heliograph db copy`: what a SQLite file held is all in PostgreSQL, and goes on from there."""

import asyncio
import sqlite3
import threading
from datetime import timedelta

import asyncpg
import msgspec
import pytest

from heliograph.clock import SystemClock
from heliograph.config.addresses import SqliteUrl
from heliograph.config.settings import DatabaseSettings
from heliograph.databases import copy_database
from heliograph.jobs.accounts import AccountId, RateLimit
from heliograph.jobs.errors import JobDuplicate, OutcomeUnknown, SettingsInvalid, StoreUnavailable
from heliograph.jobs.inbound import NOBODY
from heliograph.store.interface import InboundQuery, JobQuery
from heliograph.store.postgresql import presence
from heliograph.store.postgresql.locks import NODES
from heliograph.store.postgresql.store import open_postgresql, upgrade_postgresql
from heliograph.store.postgresql.url import PostgresqlUrl
from heliograph.store.sqlite import dump
from heliograph.store.sqlite.dump import NOT_COPIED, TABLES, open_dump
from heliograph.store.sqlite.store import open_sqlite
from tests.fakes.builders import NOW, a_plan, a_planned_sms, a_webhook, after, an_account, an_arrival, numbers
from tests.fakes.postgresql_proxy import Cut, proxy_to
from tests.store.conformance import (
    PHONE,
    a_finished_job,
    a_leased_sms,
    a_submitted_sms,
    delivered,
    lease,
    submitted,
    writer_to,
)
from tests.store.receipts_conformance import lookalikes, written

ACCOUNT = AccountId(1)
BLOCKED = "+4917600000001"
WRITTEN_TO = "+4917600000002"
LIMIT = RateLimit(6, 60)
DUPLICATE = a_plan(fingerprint=b"f" * 32)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "heliograph.db"


async def filled(path) -> None:
    """A file with something of everything."""
    async with open_sqlite(path, NOW) as store:
        for name in ("acme", "other"):
            await store.put_account(an_account(name))
        await store.block(ACCOUNT, BLOCKED, NOW)
        await store.add_job(DUPLICATE)
        await a_finished_job(store)
        await a_leased_sms(store)
        await a_submitted_sms(store)
        await store.add_job(
            a_plan(a_planned_sms(parts=3), text="cut\0here\x1a and there", idempotency=("key", b"k" * 32))
        )
        cancelled = a_plan(*[a_planned_sms(dst) for dst in numbers(5)])
        await store.add_job(cancelled)
        await store.cancel_job(ACCOUNT, cancelled.job_id, after(1))
        await store.record_receipts("acme", [delivered("parked"), written("x1", "id:x1 stat:DELIVRD")])
        await store.record_inbound("acme", [an_arrival("Hello"), an_arrival("half", part=1, parts=2, reference=7)])
        await store.add_job(a_plan(a_planned_sms(WRITTEN_TO, carrier="beta")))
        (part,) = await lease(store, "beta")
        await store.record_outcomes("beta", [submitted(part)])
        await store.add_webhook(a_webhook())
        for at in (1, 2, 2, 3):
            await store.take_call(ACCOUNT, LIMIT, after(at))
        await a_finished_job(store)


async def told_by(store) -> dict[str, object]:
    """What a store answers."""
    jobs = await store.find_jobs(JobQuery(ACCOUNT, after(-100), after(100), False, 0, 1000))
    return {
        "accounts": await store.accounts(),
        "jobs": jobs,
        "sms": [await store.sms_of_job(ACCOUNT, job.job_id) for job in jobs],
        "blocked": await store.find_blocked(ACCOUNT, 0, 100),
        "inbound": await store.find_inbound(InboundQuery(NOBODY, after(-100), after(100), 0, 100)),
        "lookalikes": await lookalikes(store, at=10),
        "awaited": sorted(await store.awaiting_receipts("acme")),
        "webhooks": await store.webhooks(ACCOUNT),
        "counts": await store.counts(after(10)),
    }


def into(url, path):
    return copy_database(path, DatabaseSettings(url=url), after(0), lambda *_: None)


async def test_all_of_it_is_there_afterwards_and_goes_on(path, empty_url):
    await filled(path)
    copied = await into(empty_url, path)
    assert copied.is_new
    assert copied.counts["sms"] > 10
    async with open_sqlite(path, NOW) as before, open_postgresql(empty_url) as store:
        assert await told_by(store) == await told_by(before)
        assert [(await store.take_call(ACCOUNT, LIMIT, after(at))).allowed for at in (60, 60, 60, 61, 61, 62)] == [
            *(True, True, False, True, False, True)
        ]
        with pytest.raises(JobDuplicate):
            await store.add_job(a_plan(fingerprint=DUPLICATE.fingerprint))
        until = after(200) + timedelta(hours=1)
        was, now = [await each.lease_segments("acme", 100, until, after(200)) for each in (before, store)]
        assert sorted(was, key=lambda part: part.segment.id) == sorted(now, key=lambda part: part.segment.id)
        assert now
        new = a_plan(*[a_planned_sms(dst) for dst in numbers(100)])
        await store.add_job(new)
        assert len(await store.sms_of_job(ACCOUNT, new.job_id)) == 100
        added = await store.put_account(an_account("third"))
        assert added.id == 3
        assert [await writer_to(store, phone) for phone in (PHONE, WRITTEN_TO, BLOCKED)] == [ACCOUNT, ACCOUNT, NOBODY]


async def test_done_again_it_is_compared_and_left_as_it_is(path, empty_url):
    await filled(path)
    first = await into(empty_url, path)
    again = await into(empty_url, path)
    assert not again.is_new
    assert again.counts == first.counts


async def test_a_database_that_holds_something_else_is_refused_and_left_alone(path, url):
    await filled(path)
    async with open_postgresql(url) as store:
        await store.put_account(an_account("somebody else"))
    with pytest.raises(StoreUnavailable, match="isn't empty"):
        await into(url, path)
    async with open_postgresql(url) as store:
        assert [account.name for account in await store.accounts()] == ["somebody else"]


async def test_another_installation_with_as_many_rows_of_everything_is_no_copy(path, url):
    async with open_sqlite(path, NOW) as store:
        await store.put_account(an_account("acme"))
        await store.add_job(a_plan())
    async with open_postgresql(url) as store:
        await store.put_account(an_account("acme"))
        await store.add_job(a_plan())
    with pytest.raises(StoreUnavailable, match="not a copy: it has rows of job that the file doesn't have"):
        await into(url, path)
    async with open_postgresql(url) as store:
        (account,) = await store.accounts()
        await store.put_account(msgspec.structs.replace(account, name="somebody else"))
    with pytest.raises(StoreUnavailable, match="not a copy: it has rows of account that the file doesn't have"):
        await into(url, path)


async def test_a_database_that_was_only_ever_served_is_refused_with_what_to_do(path, url):
    await filled(path)
    async with open_postgresql(url) as store:
        await store.put_account(an_account("demo"))
    with pytest.raises(
        StoreUnavailable, match=r"made the account demo in it, and nothing was sent. Drop it and create"
    ):
        await into(url, path)


async def test_a_node_that_was_killed_serves_no_more(path, url, monkeypatch):
    monkeypatch.setattr(presence, "LOOK_EVERY_S", 0.01)
    await filled(path)
    connection = await asyncpg.connect(url.dsn)
    await connection.execute("INSERT INTO node (ready) VALUES (0)")
    await connection.close()
    assert (await into(url, path)).is_new


async def test_a_node_that_has_just_lost_its_connection_serves_still(path, url, monkeypatch):
    monkeypatch.setattr(presence, "LOOK_EVERY_S", 0.1)
    monkeypatch.setattr(presence, "SILENT_LOOKS", 1000)
    await filled(path)
    connection = await asyncpg.connect(url.dsn)
    node = await connection.fetchval("INSERT INTO node (ready) VALUES (0) RETURNING id")
    copying = asyncio.ensure_future(into(url, path))
    between_looks = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'"
    )
    async with asyncio.timeout(60):
        while not await connection.fetchval(between_looks):
            assert not copying.done()
            await SystemClock().sleep(0.01)  # another program, in real time
    await connection.execute("SELECT pg_advisory_lock($1, $2)", NODES, node)
    with pytest.raises(StoreUnavailable, match="a node serves"):
        await copying
    await connection.close()


async def test_neither_may_be_served_meanwhile(path, empty_url, url):
    await filled(path)
    async with open_sqlite(path, NOW):
        with pytest.raises(StoreUnavailable, match="another process is serving"):
            await into(empty_url, path)
    async with open_postgresql(url):
        with pytest.raises(StoreUnavailable, match="a node serves"):
            await into(url, path)


async def test_what_breaks_off_leaves_nothing_behind(path, empty_url):
    await filled(path)

    def break_off(table: str, *_: int) -> None:
        if table == "sms":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await copy_database(path, DatabaseSettings(url=empty_url), NOW, break_off)
    assert (await into(empty_url, path)).is_new


async def test_a_file_that_isnt_there_and_another_file_are_told_apart(path, tmp_path, empty_url):
    with pytest.raises(StoreUnavailable, match="there is no database"):
        await into(empty_url, path)
    with pytest.raises(SettingsInvalid, match="PostgreSQL"):
        await copy_database(path, DatabaseSettings(url=SqliteUrl(tmp_path / "other.db")), NOW, lambda *_: None)


async def test_every_table_is_copied_or_known_not_to_be(path):
    async with open_sqlite(path, NOW):
        pass
    with sqlite3.connect(path) as file:
        tables = {name for (name,) in file.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    file.close()
    assert tables - NOT_COPIED == TABLES.keys() - {"caller"}


async def test_long_texts_are_not_all_held_at_once(path, empty_url, monkeypatch):
    monkeypatch.setattr(dump, "LENGTH_AT_ONCE", 1000)
    async with open_sqlite(path, NOW) as store:
        for _ in range(10):
            await store.add_job(a_plan(text="x" * 600))
    with open_dump(path, NOW) as opened:
        (batches,) = [list(table.rows) for table in opened.tables() if table.name == "message"]
    assert [len(batch) for batch in batches] == [2] * 5
    assert (await into(empty_url, path)).counts["message"] == 10


async def test_a_copy_whose_connection_is_cut_off_leaves_nothing_and_says_so(path, empty_url):
    await filled(path)

    async def cut_off():
        connection = await asyncpg.connect(empty_url.dsn)
        try:
            await connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND application_name = 'heliograph'"
            )
        finally:
            await connection.close()

    def once(table, done, _):
        if table == "sms" and done == 0:
            cutting = threading.Thread(target=asyncio.run, args=(cut_off(),))
            cutting.start()
            cutting.join()

    with pytest.raises(StoreUnavailable, match="nothing was copied, do it again"):
        await copy_database(path, DatabaseSettings(url=empty_url), after(0), once)
    assert (await into(empty_url, path)).is_new


async def test_a_copy_cut_off_at_its_very_end_says_that_it_may_be_there(path, postgres):
    await filled(path)
    name = await postgres.new_database(empty=True)
    async with proxy_to(postgres) as proxy:
        proxied = PostgresqlUrl.parse(proxy.url(name))
        await upgrade_postgresql(proxied)

        def once(table, done, _):
            if table == "sms" and done == 0:
                proxy.cuts = [Cut.DONE]

        with pytest.raises(OutcomeUnknown, match="all is copied, or nothing; do it again"):
            await copy_database(path, DatabaseSettings(url=proxied), after(0), once)
        assert not (await into(proxied, path)).is_new
    await postgres.drop(name)
