"""The contract once more, promise by promise, with PostgreSQL instead of a file: the same tests."""

import asyncio
from collections.abc import Generator

import pytest

from tests.fakes.postgresql import PostgresServer
from tests.journeys.test_contract import *  # noqa: F403 # all of its tests and fixtures
from tests.journeys.test_contract import __dict__ as embedded

pytestmark = pytest.mark.slow

# What they say is said of a file, or of a setting that is given here.
for name in (
    "test_passwords_are_kept_as_argon2id",
    "test_a_second_service_on_the_same_file_is_refused",
    "test_flags_win_over_variables_and_variables_over_the_file",
):
    assert name in embedded
    del globals()[name]


@pytest.fixture(scope="module", autouse=True)
def on_postgresql(postgres: PostgresServer) -> Generator[None]:
    """Every command of these tests works on one database."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HELIOGRAPH_DATABASE_URL", postgres.url_over_tcp(asyncio.run(postgres.new_database(empty=True))))
        yield


@pytest.fixture(autouse=True)
def own_database(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, postgres: PostgresServer) -> None:
    """A test with a directory of its own has a database of its own."""
    if "tmp_path" in request.fixturenames:
        name = asyncio.run(postgres.new_database(empty=True))
        monkeypatch.setenv("HELIOGRAPH_DATABASE_URL", postgres.url_over_tcp(name))


def test_no_file_is_made(service: Program):  # noqa: F405 # from the contract
    assert not (service.directory / "heliograph.db").exists()
