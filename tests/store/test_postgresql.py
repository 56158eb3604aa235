"""PostgresqlStore does what any Store must do, and what only several nodes on one database can."""

import pytest

from heliograph.store.postgresql.store import open_postgresql
from heliograph.store.postgresql.url import PostgresqlUrl
from tests.store.conformance import StoreConformance


@pytest.fixture
def url(postgres, database):
    return PostgresqlUrl.parse(postgres.url(database))


@pytest.fixture
async def store(url):
    async with open_postgresql(url) as store:
        yield store


class TestPostgresqlStore(StoreConformance):
    """With the fixture above."""
