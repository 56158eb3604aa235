"""The schema of a PostgreSQL database: set up, upgraded while nodes run, refused where it doesn't fit."""

import asyncio

import asyncpg
import pytest

from heliograph.jobs.errors import StoreUnavailable
from heliograph.store.postgresql import schema
from heliograph.store.postgresql.schema import SCHEMA_VERSION
from heliograph.store.postgresql.store import open_postgresql, upgrade_postgresql
from heliograph.store.postgresql.url import PostgresqlUrl
from tests.fakes.builders import a_plan

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
