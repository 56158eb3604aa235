"""A connection to the file, its schema, and queries by name."""

import fcntl
import os
import sqlite3
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from heliograph.jobs.errors import StoreUnavailable
from heliograph.store.sql import ROWS_A_STATEMENT, load_migrations, load_queries, split_statements

_QUERIES = load_queries("heliograph.store.sqlite")
_MIGRATIONS = load_migrations("heliograph.store.sqlite")
SCHEMA_VERSION = len(_MIGRATIONS)
BUSY_TIMEOUT_S = 10
"""How long to wait for another process (`heliograph account …`) that is writing."""
CACHE_KIB = 8192
CACHED_STATEMENTS = 1024
"""More than all queries in all the sizes in which they come: up to 50 rows each."""


class Connection:
    """One SQLite connection that speaks in named queries. patience_s: how long `begin` waits, where it may."""

    patience_s: float = BUSY_TIMEOUT_S

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """Raises StoreUnavailable if the file can't be opened."""
        if path.is_dir():
            raise StoreUnavailable(f"can't open the database {path}: that is a folder; name a file in it")
        raw = None
        try:
            raw = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rwc'}",
                uri=True,
                isolation_level=None,
                timeout=BUSY_TIMEOUT_S,
                check_same_thread=False,
                cached_statements=CACHED_STATEMENTS,
            )
            if not read_only:
                mode: str = raw.execute("PRAGMA journal_mode = WAL").fetchone()[0]
                if mode != "wal":
                    raise StoreUnavailable(
                        f"can't open the database {path}: where it is, no write-ahead log can be shared; "
                        "choose a local disk"
                    )
                raw.execute("PRAGMA synchronous = FULL")
                raw.execute("PRAGMA busy_timeout = 0")  # `begin` waits, where it may.
            raw.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
        except (sqlite3.Error, StoreUnavailable) as error:
            if raw is not None:
                raw.close()
            if isinstance(error, StoreUnavailable):
                raise
            raise StoreUnavailable(f"can't open the database {path}: {error}") from error
        self.raw = raw
        self._path = path
        self._file = _identity(path)

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

    def run_rows(self, name: str, rows: Sequence[Sequence[object]]) -> int:
        """Run a query for its effect with many rows of parameters; how many rows of the table it changed."""
        before = self.raw.total_changes  # Of a statement that begins with WITH, a cursor doesn't count the rows.
        for sql, parameters in _statements(name, rows):
            self.raw.execute(sql, parameters)
        return self.raw.total_changes - before

    def begin(self, *, wait: bool) -> None:
        """Begin to write. Raises sqlite3.OperationalError if another process is writing: at once, or after waiting.

        And if the file isn't where it was: what is written to one that was deleted is lost with the process.
        """
        if _identity(self._path) != self._file:
            raise sqlite3.OperationalError(
                f"{self._path} was deleted, moved or replaced while it was open; stop the service, put the file back "
                "with its -wal beside it, and start the service again"
            )
        try:
            self.raw.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            if not wait:
                raise
            self.raw.execute(f"PRAGMA busy_timeout = {int(self.patience_s * 1000)}")
            try:
                self.raw.execute("BEGIN IMMEDIATE")
            finally:
                self.raw.execute("PRAGMA busy_timeout = 0")

    def schema_version(self) -> int:
        """How many migrations the file has seen. Raises StoreUnavailable if that is more than there are."""
        version: int = self.raw.execute("PRAGMA user_version").fetchone()[0]
        if version > len(_MIGRATIONS):
            raise StoreUnavailable(
                f"the database has schema {version}, and this version of heliograph knows {len(_MIGRATIONS)} at "
                "most: use the newer version that wrote it"
            )
        return version

    def upgrade(self) -> None:
        """Bring the schema to this version's, all of it or nothing."""
        self.begin(wait=True)  # Before the version is read: of two that upgrade, one finds it done.
        try:
            for script in _MIGRATIONS[self.schema_version() :]:
                for statement in split_statements(script):
                    self.raw.execute(statement)
            self.touch()
            self.raw.execute("COMMIT")
        except BaseException:
            self.raw.execute("ROLLBACK")
            raise

    def touch(self) -> None:
        """Write the schema's version, though it be the same: so that the file is written to at all."""
        self.raw.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def close(self) -> None:
        self.raw.close()


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file is at a path; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _statements(name: str, rows: Sequence[Sequence[object]]) -> Iterable[tuple[str, list[object]]]:
    first, count = 0, len(rows)
    while first < count:
        size = min(ROWS_A_STATEMENT, count - first)
        yield _many(name, len(rows[0]), size), [value for row in rows[first : first + size] for value in row]
        first += size


@cache
def _many(name: str, width: int, size: int) -> str:
    one = f"({','.join('?' * width)})"
    return _QUERIES[name].replace(":rows", ",".join([one] * size))


class FileLock:
    """The right to be the one process that serves a file; given back when the process ends, however it does."""

    def __init__(self, path: Path) -> None:
        """Raises StoreUnavailable if another process has it."""
        path = path.resolve()  # One file, by whatever links it is reached.
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
