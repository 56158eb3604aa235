"""A connection to the file, its schema, and queries by name."""

import fcntl
import os
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from heliograph.jobs.errors import StoreUnavailable
from heliograph.store.sql import ROWS_A_STATEMENT, load_migrations, load_queries

_QUERIES = load_queries("heliograph.store.sqlite")
BUSY_TIMEOUT_S = 10
"""How long to wait for another process (`heliograph account …`) that is writing."""


class Connection:
    """One SQLite connection that speaks in named queries."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """Raises StoreUnavailable if the file can't be opened."""
        try:
            self.raw = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rwc'}",
                uri=True,
                isolation_level=None,
                timeout=BUSY_TIMEOUT_S,
                check_same_thread=False,
                cached_statements=256,
            )
            if not read_only:
                self.raw.execute("PRAGMA journal_mode = WAL")
                self.raw.execute("PRAGMA synchronous = FULL")
            self.raw.execute("PRAGMA cache_size = -8192")
        except sqlite3.Error as error:
            raise StoreUnavailable(f"can't open the database {path}: {error}") from error

    def query(self, name: str, *parameters: object) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        return self.raw.execute(_QUERIES[name], parameters).fetchall()

    def run(self, name: str, *parameters: object) -> int:
        """Run a query for its effect; how many rows it changed."""
        return self.raw.execute(_QUERIES[name], parameters).rowcount

    def query_rows(self, name: str, rows: Sequence[Sequence[object]]) -> list[tuple[Any, ...]]:
        """The rows of a query that takes many rows of parameters."""
        found: list[tuple[Any, ...]] = []
        for sql, parameters in _statements(name, rows):
            found += self.raw.execute(sql, parameters).fetchall()
        return found

    def run_rows(self, name: str, rows: Sequence[Sequence[object]]) -> None:
        """Run a query for its effect with many rows of parameters."""
        for sql, parameters in _statements(name, rows):
            self.raw.execute(sql, parameters)

    def upgrade(self) -> None:
        """Bring the schema to this version's. Raises StoreUnavailable if the file is of a newer one."""
        scripts = load_migrations("heliograph.store.sqlite")
        have: int = self.raw.execute("PRAGMA user_version").fetchone()[0]
        if have > len(scripts):
            raise StoreUnavailable(
                f"the database has schema {have}, and this version of heliograph knows {len(scripts)} at most: "
                "use the newer version that wrote it"
            )
        for version, script in enumerate(scripts[have:], have + 1):
            self.raw.executescript(f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version = {version};\nCOMMIT;")

    def close(self) -> None:
        self.raw.close()


def _statements(name: str, rows: Sequence[Sequence[object]]) -> Iterable[tuple[str, list[object]]]:
    for first in range(0, len(rows), ROWS_A_STATEMENT):
        chunk = rows[first : first + ROWS_A_STATEMENT]
        one = f"({','.join('?' * len(chunk[0]))})"
        yield (
            _QUERIES[name].replace(":rows", ",".join([one] * len(chunk))),
            [value for row in chunk for value in row],
        )


class FileLock:
    """The right to be the one process that serves a file; given back when the process ends, however it does."""

    def __init__(self, path: Path) -> None:
        """Raises StoreUnavailable if another process has it."""
        lock_path = path.with_name(path.name + ".lock")
        try:
            self._file = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreUnavailable(f"can't open the database {path}: {error.strerror}") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._file)
            raise StoreUnavailable(
                f"another process is serving {path}: stop it first, or choose another --database "
                "(many processes can share a PostgreSQL database)"
            ) from error

    def release(self) -> None:
        os.close(self._file)
