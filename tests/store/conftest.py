"""The PostgreSQL server of this session, and databases in it."""

from collections.abc import AsyncGenerator, Generator

import pytest

from tests.fakes.postgresql import PostgresServer, running_postgres


@pytest.fixture(scope="session")
def postgres() -> Generator[PostgresServer]:
    with running_postgres() as server:
        yield server


@pytest.fixture
async def database(postgres) -> AsyncGenerator[str]:
    """The name of a database without anything in it."""
    name = await postgres.new_database()
    yield name
    await postgres.drop(name)
