"""Connections to the database: named queries, transactions, and what its errors mean to us."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar, cast

import asyncpg  # pyright: ignore[reportMissingTypeStubs] # It has none; `Database` is all that sees it.

from heliograph.clock import Clock
from heliograph.jobs.errors import OutcomeUnknown, StoreUnavailable
from heliograph.store.postgresql.plan_ages import PlanAges
from heliograph.store.postgresql.url import PostgresqlUrl
from heliograph.store.sql import load_queries

_QUERIES = load_queries("heliograph.store.postgresql")
_driver: Any = asyncpg

CONNECT_TIMEOUT_S = 5.0
ACQUIRE_TIMEOUT_S = 10.0
"""How long to wait for a connection that is free."""
STATEMENT_TIMEOUT_S = 30.0
"""When the server gives a statement up; we do a little later, should it have gone without a word."""
LOCK_TIMEOUT_S = 10.0
"""How long a statement waits for rows that another node is writing: far longer than any of them writes."""
IDLE_WRITE_TIMEOUT_S = 8.0
TRIES = 4
"""How often a transaction is tried that got in another's way. They sort what they lock, so this is rare."""
WRITE_CONNECTIONS = 4
READ_CONNECTIONS = 4

_COMMON = {
    "application_name": "heliograph",
    "jit": "off",
    # What we ask is written for these, whatever the settings of a server, a database or a user are.
    "standard_conforming_strings": "on",
    "default_transaction_isolation": "read committed",
    "statement_timeout": f"{STATEMENT_TIMEOUT_S * 1000:.0f}",
    "lock_timeout": f"{LOCK_TIMEOUT_S * 1000:.0f}",
    # Should this process be stopped in the middle of a transaction, others needn't wait for it for ever.
    "idle_in_transaction_session_timeout": f"{STATEMENT_TIMEOUT_S * 1000:.0f}",
    # A machine that has gone without a word is noticed in half a minute, and its leases are given to others.
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}
# A plan made while a queue was empty is a bad one for a full queue. So each list is planned when it is asked for, and
# writes, of which planning is a good part, are planned once in a while (`plan_ages`), but by keys alone, whatever the
# statistics say just then.
_READING = {**_COMMON, "default_transaction_read_only": "on", "plan_cache_mode": "force_custom_plan"}
_WRITING = {
    **_COMMON,
    # Shorter than others wait for what it has locked: a node that is cut off in the middle of a write holds nobody up.
    "idle_in_transaction_session_timeout": f"{IDLE_WRITE_TIMEOUT_S * 1000:.0f}",
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}

Result = TypeVar("Result")
Row = Sequence[Any]


class Connection:
    """One connection that speaks in named queries."""

    def __init__(self, raw: Any) -> None:
        self.raw = raw

    async def query(self, name: str, *parameters: object) -> Sequence[Row]:
        """The rows of a query."""
        return await self.raw.fetch(_QUERIES[name], *parameters)

    async def value(self, name: str, *parameters: object) -> Any:
        """The only value of a query's only row; None if there is no row."""
        return await self.raw.fetchval(_QUERIES[name], *parameters)

    async def run(self, name: str, *parameters: object) -> int:
        """Run a query for its effect; how many rows it changed."""
        status: str = await self.raw.execute(_QUERIES[name], *parameters)
        count = status.rpartition(" ")[2]
        return int(count) if count.isdecimal() else 0

    async def run_rows(self, name: str, rows: Sequence[Row], *parameters: object) -> None:
        """Run a query for its effect that takes rows, column by column; `parameters` come after them."""
        if rows:
            await self.raw.execute(_QUERIES[name], *columns(rows, 0), *parameters)

    async def query_rows(self, name: str, rows: Sequence[Row], *parameters: object) -> Sequence[Row]:
        """The rows of a query that takes rows, column by column; `parameters` come after them."""
        return await self.raw.fetch(_QUERIES[name], *columns(rows, 0), *parameters) if rows else ()

    async def script(self, sql: str, *, timeout_s: float | None = None) -> None:
        """Run several statements."""
        await self.raw.execute(sql, timeout=timeout_s)


def columns(rows: Sequence[Row], width: int) -> list[list[Any]]:
    """Rows, each of so many values, as `unnest` takes them."""
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(width)]


class _WorthAnotherTry(StoreUnavailable):
    """Another transaction was in the way."""


class Database:
    """A pool of connections that write, and one of those that read, so that no list of jobs holds up a receipt."""

    def __init__(self, url: PostgresqlUrl, clock: Clock, *, connections: int = WRITE_CONNECTIONS) -> None:
        self.url = url
        self._clock = clock
        self._write_pool = self._pool(_WRITING, connections)
        self._read_pool = self._pool(_READING, READ_CONNECTIONS)
        self._plan_ages = PlanAges()
        self._in_use = set[Any]()

    def _pool(self, settings: dict[str, str], size: int) -> Any:
        return _driver.create_pool(
            self.url.dsn,
            min_size=0,
            max_size=size,
            max_inactive_connection_lifetime=0,
            reset=_leave_as_it_is,
            **self._arguments(settings),
        )

    def _arguments(self, settings: dict[str, str]) -> dict[str, Any]:
        return {
            "timeout": CONNECT_TIMEOUT_S,
            "command_timeout": STATEMENT_TIMEOUT_S + 5,
            "max_cached_statement_lifetime": 0,
            "max_cacheable_statement_size": 0,
            "server_settings": settings,
            "target_session_attrs": self.url.target_session_attrs,
            **({"password": self.url.password} if self.url.password is not None else {}),
        }

    async def open(self) -> None:
        """Begin. Raises StoreUnavailable if the server can't be reached."""
        with self.translated():
            await self._write_pool
            await self._read_pool
        async with self.writing():
            pass

    async def close(self) -> None:
        """Let the connections go; those that don't within seconds are broken off."""
        for pool in (self._write_pool, self._read_pool):
            try:
                async with asyncio.timeout(5):
                    await pool.close()
            except _FAULTS:
                pool.terminate()

    async def connect(self, *, answer_within_s: float | None = None) -> Connection:
        """A connection outside the pools, to be closed with `raw.terminate()`. Raises StoreUnavailable.

        answer_within_s: for what is always quick, and when it is made as well; None for what may last.
        """
        arguments = self._arguments(_COMMON)
        if answer_within_s is not None:
            arguments |= {"timeout": answer_within_s, "command_timeout": answer_within_s}
        with self.translated():
            return Connection(await _driver.connect(self.url.dsn, **arguments))

    async def break_off(self) -> None:
        """Let go of all connections in the pools: the database hangs, and whoever waits for it is to hear so now."""
        for raw in [*self._in_use]:
            _cut(raw)
        await self._forget_connections()

    @asynccontextmanager
    async def reading(self) -> AsyncGenerator[Connection]:
        """A connection on which each statement sees what is committed when it begins."""
        async with self._from(self._read_pool) as connection:
            yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncGenerator[Connection]:
        """A connection on which each statement is a transaction of its own."""
        async with self._from(self._write_pool) as connection:
            yield connection

    async def write(self, body: Callable[[Connection], Awaitable[Result]], *, durably: bool = True) -> Result:
        """Run a body in one transaction, again where another was in its way.

        durably: wait until it is on disk; otherwise a crash of the server may undo its last second.
        Raises StoreUnavailable when the database can't be used, or when others were in the way too often: then nothing
        has been written. Only after OutcomeUnknown, one of those, it may have been.
        """
        tries = 1
        while True:
            try:
                async with self._from(self._write_pool) as connection:
                    await connection.raw.execute(self._beginning(connection, durably=durably))
                    try:
                        result = await body(connection)
                        await self.commit(connection)
                    except BaseException as error:
                        if not isinstance(error, _CUT_SHORT):
                            await _roll_back(connection.raw)
                        raise
                    return result
            except _WorthAnotherTry as error:
                if tries == TRIES:
                    raise StoreUnavailable(str(error)) from error
                tries += 1

    def _beginning(self, connection: Connection, *, durably: bool) -> str:
        begin = "BEGIN" if durably else "BEGIN; SET LOCAL synchronous_commit = off"
        are_old = self._plan_ages.are_old(connection.raw.get_server_pid(), self._clock.monotonic())
        return f"DISCARD PLANS; {begin}" if are_old else begin

    async def commit(self, connection: Connection) -> None:
        """End a transaction. Raises OutcomeUnknown when that was cut off, else as the database's errors are."""
        if connection.raw.is_closed():
            raise StoreUnavailable(f"the database {self.url} can't be used: the connection is closed")
        try:
            await connection.raw.execute("COMMIT")
        except _AWAY as error:
            # What the server says and goes on, it says of a transaction that it has undone.
            if getattr(error, "severity_en", None) == "ERROR":
                raise
            _cut(connection.raw)
            raise OutcomeUnknown(
                f"the database {self.url} can't be used: {_said(error)}; it was cut off while it made something durable"
            ) from error

    @asynccontextmanager
    async def _from(self, pool: Any) -> AsyncGenerator[Connection]:
        with self.translated():
            raw = await pool.acquire(timeout=ACQUIRE_TIMEOUT_S)
            self._in_use.add(raw)
            try:
                yield Connection(raw)
            except BaseException as error:
                if isinstance(error, _CUT_SHORT):
                    _cut(raw)  # To ask the server to stop may hang as long.
                if _tells_of_another_primary(error):
                    # This server may write no more: let go of all connections to it, and look for the one that may.
                    await self._forget_connections()
                raise
            finally:
                self._in_use.discard(raw)
                await asyncio.shield(_give_back(pool, raw))

    @contextmanager
    def translated(self) -> Generator[None]:
        """Errors of the database become ours, here and nowhere else. What we ask wrongly stays what it is: a bug."""
        try:
            yield
        except _IN_THE_WAY as error:
            raise _WorthAnotherTry(f"the database {self.url} is busy: {_said(error)}") from error
        except _AWAY as error:
            raise StoreUnavailable(f"the database {self.url} can't be used: {self._said(error)}") from error

    def _said(self, error: BaseException) -> str:
        # The driver doesn't say which file it didn't get; a socket that isn't there is told in the same way.
        for option, path in self.url.files.items() if isinstance(error, FileNotFoundError | PermissionError) else ():
            try:
                Path(path).open("rb").close()
            except OSError as reason:
                return f"{option} {path}: {reason.strerror or reason}"
        return _said(error)

    async def _forget_connections(self) -> None:
        for pool in (self._write_pool, self._read_pool):
            await pool.expire_connections()


async def _leave_as_it_is(_: object) -> None:
    """What is done to a connection that goes back to its pool: nothing, for we never change its settings."""


def _cut(raw: Any) -> None:
    with suppress(_driver.InterfaceError):  # One that broke has gone from its pool already.
        raw.terminate()


async def _roll_back(raw: Any) -> None:
    # As above: what broke it is what is to be told.
    with suppress(_driver.InterfaceError):
        if raw.is_closed():
            return
        try:
            await raw.execute("ROLLBACK")
        except _FAULTS:
            raw.terminate()  # So that it doesn't go back to the pool.


async def _give_back(pool: Any, raw: Any) -> None:
    """What was done on a connection is done, and told as it is, though the connection break before it is back."""
    try:
        await pool.release(raw)
    except _FAULTS:
        _cut(raw)


_FAULTS = cast(
    "tuple[type[Exception], ...]",
    (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError),
)
"""What the driver may raise, whatever it is asked."""
_CUT_SHORT = (TimeoutError, asyncio.CancelledError)
"""A statement was under way, and may still be."""
_AWAY = cast(
    "tuple[type[Exception], ...]",
    (
        OSError,  # TimeoutError is one as well.
        asyncpg.InterfaceError,
        asyncpg.PostgresConnectionError,
        asyncpg.exceptions.OperatorInterventionError,
        asyncpg.exceptions.InsufficientResourcesError,
        asyncpg.exceptions.InvalidAuthorizationSpecificationError,
        asyncpg.exceptions.InvalidCatalogNameError,
        asyncpg.exceptions.InvalidSchemaNameError,
        asyncpg.exceptions.ReadOnlySQLTransactionError,
        asyncpg.exceptions.InsufficientPrivilegeError,
        asyncpg.exceptions.PostgresSystemError,
        asyncpg.exceptions.InvalidTransactionStateError,
        asyncpg.exceptions.ObjectNotInPrerequisiteStateError,
        asyncpg.exceptions.UndefinedTableError,
        asyncpg.exceptions.DuplicatePreparedStatementError,
        asyncpg.exceptions.InvalidSQLStatementNameError,
        asyncpg.InternalClientError,  # No server fits; or a connection that broke in the middle of something.
    ),
)
_IN_THE_WAY = cast(
    "tuple[type[Exception], ...]",
    (
        asyncpg.exceptions.TransactionRollbackError,  # Serialization failures and deadlocks.
        asyncpg.exceptions.LockNotAvailableError,
    ),
)


def _tells_of_another_primary(error: BaseException) -> bool:
    return isinstance(error, asyncpg.exceptions.ReadOnlySQLTransactionError)


def _said(error: BaseException) -> str:
    """What the server or the network says, in one line. It names hosts and users, never passwords."""
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, _OF_OTHER_SESSIONS):
        return _SHARED_SESSIONS
    if isinstance(error, asyncpg.exceptions.InvalidSchemaNameError):
        return f"{text}; {_NO_SCHEMA}"
    return text


_OF_OTHER_SESSIONS = cast(
    "tuple[type[Exception], ...]",
    (asyncpg.exceptions.DuplicatePreparedStatementError, asyncpg.exceptions.InvalidSQLStatementNameError),
)
"""What was prepared in a session is another's: sessions are shared."""
_SHARED_SESSIONS = (
    "what is between us and it, such as PgBouncer, shares sessions; "
    "let each connection have its own (pool_mode = session)"
)
_NO_SCHEMA = (
    "the tables need a schema: where public was dropped, CREATE SCHEMA public AUTHORIZATION heliograph (as its user is "
    "called) makes it anew; else let the search_path of the user or the database (ALTER ROLE, ALTER DATABASE) name one "
    "that there is"
)
