"""The schema of a PostgreSQL database: set up, upgraded while nodes run, refused where it doesn't fit."""

import asyncio
from contextlib import AsyncExitStack

import asyncpg
import pytest

from heliograph.jobs.errors import StoreUnavailable
from heliograph.jobs.status import ProcessStatus
from heliograph.store.postgresql import connection, schema
from heliograph.store.postgresql.schema import SCHEMA_VERSION
from heliograph.store.postgresql.store import open_postgresql, upgrade_postgresql
from heliograph.store.postgresql.url import PostgresqlUrl
from tests.fakes.builders import a_plan, a_planned_sms, after, an_account, an_arrival
from tests.store.conformance import (
    a_finished_job,
    a_submitted_sms,
    delivered,
    finished_at,
    lease,
    listed,
    progress_of,
    send,
    sms_of,
)

NEXT = "-- compatible from: {}\nALTER TABLE sms ADD COLUMN extra text;\n"


@pytest.fixture
def newer(monkeypatch):
    """Makes this a newer version, with one more script, which versions from `compatible_from` on can live with."""

    def make(compatible_from=1, script=NEXT):
        monkeypatch.setattr(schema, "_MIGRATIONS", [*schema._MIGRATIONS, script.format(compatible_from)])
        monkeypatch.setattr(schema, "SCHEMA_VERSION", SCHEMA_VERSION + 1)

    return make


@pytest.fixture
def older(monkeypatch):
    """Makes this the version as it is again."""

    def make():
        monkeypatch.setattr(schema, "_MIGRATIONS", schema._MIGRATIONS[:SCHEMA_VERSION])
        monkeypatch.setattr(schema, "SCHEMA_VERSION", SCHEMA_VERSION)

    return make


async def columns(url, table="sms"):
    async with open_postgresql(url, serving=False) as store, store._database.writing() as db:
        found = await db.raw.fetch("SELECT column_name FROM information_schema.columns WHERE table_name = $1", table)
        return {row[0] for row in found}


async def test_an_empty_database_is_set_up_by_who_comes_first(empty_url):
    async with open_postgresql(empty_url) as store:
        await store.add_job(a_plan())
    assert await upgrade_postgresql(empty_url) == (SCHEMA_VERSION, SCHEMA_VERSION)


async def test_an_empty_database_may_be_set_up_by_many_at_once(empty_url):
    assert sorted(await asyncio.gather(*(upgrade_postgresql(empty_url) for _ in range(5)))) == [
        (0, SCHEMA_VERSION),
        *[(SCHEMA_VERSION, SCHEMA_VERSION)] * 4,
    ]


async def test_who_only_asks_sets_nothing_up(empty_url):
    with pytest.raises(StoreUnavailable, match=r"nothing in the database .* yet"):
        async with open_postgresql(empty_url, serving=False, may_be_new=False):
            pass
    assert await upgrade_postgresql(empty_url) == (0, SCHEMA_VERSION)


async def test_an_older_schema_is_left_to_the_operator(empty_url, newer):
    await upgrade_postgresql(empty_url)
    newer()
    for serving in (True, False):
        with pytest.raises(StoreUnavailable, match="heliograph db upgrade"):
            async with open_postgresql(empty_url, serving=serving):
                pass
    assert await upgrade_postgresql(empty_url) == (SCHEMA_VERSION, SCHEMA_VERSION + 1)
    assert "extra" in await columns(empty_url)


async def test_a_node_of_the_older_version_goes_on_through_an_upgrade_and_can_start_after_it(empty_url, newer, older):
    async with open_postgresql(empty_url) as node:
        newer()
        await upgrade_postgresql(empty_url)
        older()
        await node.add_job(a_plan())
        async with open_postgresql(empty_url) as another:
            await another.add_job(a_plan())
    assert await upgrade_postgresql(empty_url) == (SCHEMA_VERSION + 1, SCHEMA_VERSION + 1)


async def test_a_newer_schema_that_needs_newer_programs_is_refused(empty_url, newer, older):
    newer(compatible_from=SCHEMA_VERSION + 1)
    await upgrade_postgresql(empty_url)
    older()
    for attempt in (open_postgresql(empty_url).__aenter__(), upgrade_postgresql(empty_url)):
        with pytest.raises(StoreUnavailable, match=f"schema {SCHEMA_VERSION + 1}.*use the newer version"):
            await attempt


async def test_a_script_that_fails_leaves_nothing_behind(empty_url, newer, older):
    await upgrade_postgresql(empty_url)
    newer(script=NEXT + "CREATE TABLE account (id int);\n")
    with pytest.raises(asyncpg.DuplicateTableError):
        await upgrade_postgresql(empty_url)
    older()
    assert "extra" not in await columns(empty_url)


async def test_somebody_else_s_tables_are_left_alone(empty_url, postgres):
    connection = await postgres.connect(empty_url.dsn.partition("@/")[2].partition("?")[0])
    await connection.execute("CREATE TABLE account (owner text)")
    await connection.close()
    with pytest.raises(StoreUnavailable, match="has a table account that is not heliograph's"):
        async with open_postgresql(empty_url):
            pass


async def test_a_database_that_can_not_keep_every_text_is_refused(postgres):
    connection = await postgres.connect()
    await connection.execute("CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0")
    await connection.close()
    with pytest.raises(StoreUnavailable, match="keeps texts in LATIN1; create one with ENCODING 'UTF8'"):
        await upgrade_postgresql(PostgresqlUrl.parse(postgres.url("latin")))
    await postgres.drop("latin")


@pytest.mark.parametrize("of", ["password", "database", "user"])
async def test_what_the_server_refuses_is_told_without_the_password(postgres, url, of):
    name = url.dsn.partition("@/")[2].partition("?")[0]
    wrong = {
        "password": postgres.url_over_tcp(name, "s3cret"),
        "database": postgres.url_over_tcp("nowhere"),
        "user": postgres.url_over_tcp(name, "s3cret").replace("heliograph:", "nobody:"),
    }[of]
    with pytest.raises(StoreUnavailable) as refusal:
        async with open_postgresql(PostgresqlUrl.parse(wrong)):
            pass
    assert "s3cret" not in str(refusal.value)
    assert {"password": "authentication failed", "database": "nowhere", "user": "nobody"}[of] in str(refusal.value)


async def test_it_works_over_tcp_with_a_password_of_any_characters(postgres, url):
    name = url.dsn.partition("@/")[2].partition("?")[0]
    async with open_postgresql(PostgresqlUrl.parse(postgres.url_over_tcp(name))) as store:
        await store.ready()


async def test_of_several_hosts_the_one_that_answers_is_taken(postgres, url):
    name = url.dsn.partition("@/")[2].partition("?")[0]
    several = postgres.url_over_tcp(name).replace("@127.0.0.1:", "@127.0.0.1:1,127.0.0.1:")
    async with open_postgresql(PostgresqlUrl.parse(several)) as store:
        await store.ready()


# From one database to partitions of it


@pytest.fixture
def before_partitions(monkeypatch):
    """Makes this the version before, with its schema and the numbers that it gives to SMS, until called."""
    migrations, version = schema._MIGRATIONS, schema.SCHEMA_VERSION
    monkeypatch.setattr(schema, "_MIGRATIONS", migrations[:2])
    monkeypatch.setattr(schema, "SCHEMA_VERSION", 2)
    monkeypatch.setitem(connection._QUERIES, "next_sms_block", "SELECT nextval('sms_block')")
    monkeypatch.setitem(connection._QUERIES, "job", connection._QUERIES["job"].replace("known_job", "job"))

    def no_more():
        monkeypatch.setattr(schema, "_MIGRATIONS", migrations)
        monkeypatch.setattr(schema, "SCHEMA_VERSION", version)

    return no_more


async def test_what_was_there_is_the_first_partition_and_nodes_of_the_version_before_go_on(
    empty_url, before_partitions
):
    async with AsyncExitStack() as stack:
        older = await stack.enter_async_context(open_postgresql(empty_url))
        assert await older.put_account(an_account("acme"))
        done = await a_finished_job(older)
        waiting, submitted_before = a_plan(a_planned_sms(parts=2)), await a_submitted_sms(older)
        await older.add_job(waiting)
        before = [await sms_of(older, plan) for plan in (done, waiting, submitted_before)]
        before_partitions()
        assert await upgrade_postgresql(empty_url) == (2, SCHEMA_VERSION)
        assert [await sms_of(older, plan) for plan in (done, waiting, submitted_before)] == before
        await older.record_receipts("acme", [delivered("m1", at=3)])
        added_since = await a_finished_job(older, at=5)
        newer = await stack.enter_async_context(open_postgresql(empty_url))
        added_by_newer = await a_finished_job(newer, at=6)
        for store in (older, newer):
            assert (await finished_at(store, submitted_before), await finished_at(store, added_since)) == (
                after(3),
                after(5),
            )
            assert len(await sms_of(store, added_by_newer)) == 2
        assert len(await listed(newer)) == 5
        assert [part.segment.text for part in await lease(newer, at=1e9)] == []
        assert {each.process_status for each in await progress_of(newer, waiting)} == {ProcessStatus.DONE}
        assert await newer.forget_jobs(after(4), 10) == 3
        assert len(await listed(newer)) == 2
        async with newer._database.writing() as db:
            assert await db.raw.fetchval("SELECT count(*) FROM sms_0") == 4, "here they go row by row, as they did"


async def test_the_upgrade_reads_what_is_there_once_and_writes_none_of_it(empty_url, before_partitions):
    async with open_postgresql(empty_url) as older:
        await a_finished_job(older)
        async with older._database.writing() as db:
            files = await db.raw.fetch("SELECT relname, relfilenode FROM pg_class WHERE relname IN ('job', 'sms')")
        before_partitions()
        await upgrade_postgresql(empty_url)
        async with older._database.writing() as db:
            after_it = await db.raw.fetch(
                "SELECT relname, relfilenode FROM pg_class WHERE relname IN ('job_0', 'sms_0')"
            )
            indexes = await db.raw.fetch(
                "SELECT tablename, count(*) FROM pg_indexes WHERE tablename ~ '^(job|message|sms)_0$' GROUP BY 1"
            )
    assert sorted(row[1] for row in files) == sorted(row[1] for row in after_it)
    assert sorted(map(tuple, indexes)) == [("job_0", 4), ("message_0", 1), ("sms_0", 1)]


async def test_a_database_without_a_schema_for_tables_is_refused_with_a_remedy(postgres):
    for damage in ("DROP SCHEMA public", "ALTER DATABASE {name} SET search_path = nothing_there"):
        name = await postgres.new_database(empty=True)
        connection = await postgres.connect(name)
        await connection.execute(damage.format(name=name))
        await connection.close()
        url = PostgresqlUrl.parse(postgres.url(name))
        for attempt in (open_postgresql(url).__aenter__(), upgrade_postgresql(url)):
            with pytest.raises(
                StoreUnavailable, match=r"no schema has.*; the tables need .* CREATE SCHEMA public .* search_path"
            ):
                await attempt
        await postgres.drop(name)


async def test_unusual_settings_of_a_database_do_no_harm(postgres):
    name = await postgres.new_database(empty=True)
    connection = await postgres.connect(name)
    await connection.execute(f"ALTER DATABASE {name} SET standard_conforming_strings = off")
    await connection.execute(f"ALTER DATABASE {name} SET default_transaction_isolation = serializable")
    await connection.close()
    async with open_postgresql(PostgresqlUrl.parse(postgres.url(name))) as store:
        await send(store, a_plan(a_planned_sms()))
        await store.record_inbound("acme", [an_arrival("Hello")])  # Gathers who wrote to whom, by the form of numbers.
        async with store._database.writing() as db:
            assert await db.raw.fetchval("SHOW transaction_isolation") == "read committed"
            assert await db.raw.fetchval("SHOW standard_conforming_strings") == "on"
    await postgres.drop(name)


async def test_a_file_for_tls_that_isnt_there_is_named(postgres, tmp_path):
    name = await postgres.new_database(empty=True)
    for option, others in (("sslrootcert", "sslmode=verify-full"), ("sslcert", "sslmode=require")):
        missing = tmp_path / "missing.pem"
        url = PostgresqlUrl.parse(f"{postgres.url_over_tcp(name)}?{others}&{option}={missing}")
        with pytest.raises(StoreUnavailable, match=f"{option} {missing}: No such file or directory"):
            await upgrade_postgresql(url)
    await postgres.drop(name)
