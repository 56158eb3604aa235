"""A way to a PostgreSQL server that breaks exactly when a transaction is to be committed."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from enum import Enum

from tests.fakes.postgresql import USER, PostgresServer

COMMIT = b"Q\0\0\0\x0bCOMMIT\0"
"""As the driver sends it."""
ANSWER = b"COMMIT\0"


class Cut(Enum):
    """What becomes of the COMMIT with which a connection breaks."""

    LOST = "it never reaches the server"
    DONE = "it is done, but its answer doesn't come back"
    LATE = "it reaches the server when `let_through` is called, and the client knows nothing of it"


class Proxy:
    """Between clients and a server. Made by `proxy_to`.

    cuts: what happens to each of the next COMMITs, None being nothing; all after those go through. is_down: new
    connections are refused. commit_count: COMMITs that have come. flows: while it isn't set nothing gets through, and
    nobody is told. hangs_at_commit: the next COMMIT clears it.
    """

    def __init__(self, server: PostgresServer) -> None:
        self.cuts: list[Cut | None] = []
        self.is_down = False
        self.stays_down = False
        self.hangs_at_commit = False
        self.flows = asyncio.Event()
        self.flows.set()
        self.commit_count = 0
        self._server = server
        self._ways: set[asyncio.Task[None]] = set()
        self._late: list[Callable[[], Awaitable[None]]] = []
        self.port = 0

    def url(self, database: str) -> str:
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{database}?sslmode=disable"

    async def break_off(self) -> None:
        """All that are connected lose their connections, and find none until `is_down` is taken back."""
        self.is_down = True
        for way in [*self._ways]:
            way.cancel()
        await asyncio.gather(*self._ways, return_exceptions=True)

    async def let_through(self) -> None:
        """COMMITs that were held back reach the server, and are done when this returns."""
        while self._late:
            await self._late.pop()()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        self._ways.add(task)
        try:
            await self.flows.wait()
            if not self.is_down:
                socket = self._server.folder / f".s.PGSQL.{self._server.port}"
                upstream = await asyncio.open_unix_connection(str(socket))
                await self._carry((reader, writer), upstream)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # The client or the server has gone, or the test is over.
        finally:
            self._ways.discard(task)
            writer.transport.abort()

    async def _copy_back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            await self.flows.wait()
            writer.write(data)
        writer.transport.abort()

    async def close(self) -> None:
        for way in [*self._ways]:
            way.cancel()
        await asyncio.gather(*self._ways, return_exceptions=True)

    async def _carry(self, client, upstream) -> None:
        back = asyncio.ensure_future(self._copy_back(upstream[0], client[1]))
        kept_open = False
        try:
            while data := await client[0].read(65536):
                if data == COMMIT and self.hangs_at_commit:
                    self.hangs_at_commit = False
                    self.flows.clear()
                await self.flows.wait()
                # The driver waits for each answer, so that a COMMIT comes alone.
                if data != COMMIT:
                    upstream[1].write(data)
                    continue
                self.commit_count += 1
                cut = self.cuts.pop(0) if self.cuts else None
                if cut is None:
                    upstream[1].write(data)
                    continue
                back.cancel()
                await asyncio.gather(back, return_exceptions=True)
                self.is_down = self.stays_down
                if cut is Cut.DONE:
                    await _commit(*upstream)
                elif cut is Cut.LATE:
                    kept_open = True
                    self._late.append(lambda: _finish(*upstream))
                return
        finally:
            back.cancel()
            if not kept_open:
                upstream[1].transport.abort()


async def _commit(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(COMMIT)
    assert ANSWER in await reader.readuntil(ANSWER)


async def _finish(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await _commit(reader, writer)
    writer.transport.abort()


@asynccontextmanager
async def proxy_to(server: PostgresServer) -> AsyncGenerator[Proxy]:
    proxy = Proxy(server)
    listening = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = listening.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        listening.close()
        async with asyncio.timeout(60):
            await proxy.close()
