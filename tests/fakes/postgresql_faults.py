"""A PostgreSQL that goes and comes: stopped, killed, started again, copied to a standby that takes its place."""

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import asyncpg

from heliograph.store.postgresql.store import upgrade_postgresql
from heliograph.store.postgresql.url import PostgresqlUrl
from tests.fakes.postgresql import NOBODY, PASSWORD, QUICK, USER, _await_ready, _free_port, binaries

DATABASE = "faults"
KEEPING = {**QUICK, "synchronous_commit": "on"}
"""Nothing that was acknowledged goes with the server. It needn't wait for the disk: no machine dies here."""
FAST, IMMEDIATE = signal.SIGINT, signal.SIGQUIT
"""How to stop: sessions are ended in order; or they are cut off, and the log is replayed at the next start."""
STANDBY_WITHIN_S = 30.0


class MortalPostgres:
    """A server on 127.0.0.1 whose port and data stay when it goes. Made by `mortal_postgres`."""

    def __init__(self, folder: Path) -> None:
        self.port = _free_port()
        self._folder = folder
        self._data = folder / "data"
        self._programs = binaries()
        self._server: subprocess.Popen[bytes] | None = None

    def make(self) -> None:
        """An empty cluster, and in it our database with its schema; it runs afterwards."""
        (self._folder / "password").write_text(PASSWORD + "\n")
        self._run(
            "initdb", "-D", self._data, "-U", USER, "-E", "UTF8", "--locale=C", "-N", "--auth-local=trust",
            "--auth-host=scram-sha-256", f"--pwfile={self._folder / 'password'}",
        )  # fmt: skip
        self.start()
        self.ask(f"CREATE DATABASE {DATABASE}", database="postgres")
        asyncio.run(upgrade_postgresql(PostgresqlUrl.parse(url_of(self))))

    def start(self) -> None:
        """Returns when it takes connections."""
        options = [f"-c{name}={value}" for name, value in KEEPING.items()]
        command = [self._programs / "postgres", "-D", self._data, "-k", self._folder, "-p", str(self.port)]
        with (self._folder / "log").open("ab") as log:
            self._server = subprocess.Popen(
                [*command, "-h", "127.0.0.1", *options], stdout=log, stderr=log, cwd=self._folder, **_as_nobody()
            )
        _await_ready(self._programs, self._folder, self.port, self._server)

    def stop(self, how: signal.Signals = IMMEDIATE) -> None:
        """FAST or IMMEDIATE; returns when it has gone."""
        if self._server is not None:
            self._server.send_signal(how)
            self._server.wait(20)
            self._server = None

    def kill(self) -> None:
        """All its processes, without a word to anybody."""
        assert self._server is not None
        pid = self._server.pid
        sessions = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for each in [pid, *map(int, sessions)]:
            with suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)
        self._server.wait(20)
        self._server = None

    def be_followed_by(self, standby: "MortalPostgres") -> None:
        """Have a copy stream from here from now on, and wait with each commit until the copy has it."""
        standby._run("pg_basebackup", "-D", standby._data, "-R", "-X", "stream", "-c", "fast", "-N", *self._login())
        standby.start()
        self.ask("ALTER SYSTEM SET synchronous_standby_names = '*'")
        self.ask("SELECT pg_reload_conf()")
        deadline = time.monotonic() + STANDBY_WITHIN_S
        while self.ask("SELECT sync_state FROM pg_stat_replication") != "sync":
            assert time.monotonic() < deadline, "the standby doesn't follow"
            time.sleep(0.05)

    def be_promoted(self) -> None:
        """Be a standby no longer; returns when it takes writes."""
        self._run("pg_ctl", "promote", "-D", self._data, "-w")

    def ask(self, sql: str, database: str = DATABASE) -> Any:
        """The first value that a statement gives."""

        async def asked() -> Any:
            connection = await asyncpg.connect(host=str(self._folder), port=self.port, user=USER, database=database)
            try:
                return await connection.fetchval(sql)
            finally:
                await connection.close()

        return asyncio.run(asked())

    def _login(self) -> list[str]:
        return ["-h", str(self._folder), "-p", str(self.port), "-U", USER]

    def _run(self, program: str, *arguments: object) -> None:
        command = [str(self._programs / program), *map(str, arguments)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=self._folder, timeout=60, **_as_nobody())


def url_of(*servers: MortalPostgres) -> str:
    """As in heliograph.toml: our database on whichever of these is the primary."""
    hosts = ",".join(f"127.0.0.1:{server.port}" for server in servers)
    return f"postgresql://{USER}:{quote(PASSWORD, safe='')}@{hosts}/{DATABASE}"


@contextmanager
def mortal_postgres(count: int = 1) -> Generator[list[MortalPostgres]]:
    """So many servers, of which the first has the database and runs, and the others have nothing yet."""
    with ExitStack() as stack:
        servers: list[MortalPostgres] = []
        for _ in range(count):
            # Beside pytest's own folders, which only their owner may enter: as root, the server runs as nobody.
            folder = Path(tempfile.mkdtemp(prefix="heliograph-pg-"))
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            if os.geteuid() == 0:
                os.chown(folder, NOBODY, NOBODY)
            servers.append(MortalPostgres(folder))
            stack.callback(servers[-1].stop)
        servers[0].make()
        yield servers


def _as_nobody() -> dict[str, Any]:
    """PostgreSQL doesn't run as root."""
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
