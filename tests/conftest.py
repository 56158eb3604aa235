"""The PostgreSQL server of this session, and databases in it."""

from collections.abc import AsyncGenerator, Generator

import pytest

from heliograph.store.postgresql.url import PostgresqlUrl
from tests.fakes.postgresql import PostgresServer, running_postgres


@pytest.fixture(scope="session")
def postgres() -> Generator[PostgresServer]:
    with running_postgres() as server:
        yield server


@pytest.fixture
async def url(postgres) -> PostgresqlUrl:
    """Of a database with the schema, and nothing else in it."""
    return PostgresqlUrl.parse(postgres.url(await postgres.emptied_database()))


@pytest.fixture
async def empty_url(postgres) -> AsyncGenerator[PostgresqlUrl]:
    """Of a database with nothing in it."""
    name = await postgres.new_database(empty=True)
    yield PostgresqlUrl.parse(postgres.url(name))
    await postgres.drop(name)
