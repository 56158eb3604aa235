"""A node among others: it says that it lives, hears when there is work, and frees what those have leased that don't.

All of it on one connection of its own: its advisory lock is the sign of life, for the server drops it when the process
is gone, however it went.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import structlog

from heliograph.clock import Clock
from heliograph.jobs.errors import StoreUnavailable
from heliograph.store.in_process import WorkBell
from heliograph.store.postgresql.connection import Connection, Database
from heliograph.store.postgresql.locks import NODES

CHANNEL = "heliograph_work"
NO_CARRIER = ""
"""Told when a node comes or goes."""
LOOK_EVERY_S = 1.0
"""How often to look whether other nodes live, and whether our own connection does."""
SILENT_LOOKS = 10
"""A node is gone when it has been seen without its lock so many times in a row: after a failover of the database every
node has lost its own, and needs a moment to be back."""
ANSWER_WITHIN_S = 5.0
"""How long our connection may be without an answer before we make a new one: with the looks between, and the time for
that, it is sooner than others take us for gone, after a network that dropped everything. And how long the database may
hang before whoever waits for it is told: what it is asked here takes no time, while others may ask for long lists."""
BREAK_S = 5.0
"""After so long without a look the database counts as having been away."""
SETTLE_S = 30.0
"""So long after that, and after our start, we take no leases that ran out: other nodes may live as well, and have been
as unable to store what carriers answered. They try so again each second, and may be stuck in a try for ten."""
NOTIFY_EVERY_S = 0.05
"""Other nodes are told of work at most this often; what they aren't told of they find when they next look."""

log = structlog.get_logger()


class Presence:
    """This node's. node: its number, which its leases bear. departures: grows whenever others may have gone."""

    def __init__(self, database: Database, bell: WorkBell, clock: Clock) -> None:
        self._database = database
        self._bell = bell
        self._clock = clock
        self._connection: Connection | None = None
        self._turn = asyncio.Lock()
        self._is_known = False
        self._has_company = True
        self._silent: dict[int, int] = {}
        self._untold: set[str] = set()
        self._news = asyncio.Event()
        self._others: set[int] = set()
        self._looked_at_s = -math.inf
        self._back_at_s = math.inf
        self.node = 0
        self.departures = 0

    @property
    def sees_clearly(self) -> bool:
        """Whether a lease that ran out means that nobody knows more of it: it doesn't, where the database was away."""
        now_s = self._clock.monotonic()
        return now_s - self._looked_at_s < BREAK_S and now_s - self._back_at_s >= SETTLE_S

    async def begin(self) -> None:
        """Become a node. Raises StoreUnavailable."""
        async with self._database.writing() as db:
            self.node = await db.value("insert_node")
        await self._connect()

    async def end(self) -> None:
        """Be one no longer: what is leased still, because its answer never came, is for the others to have."""
        try:
            await self._bury(self.node)
        except StoreUnavailable as error:
            log.warning("store.node_not_deleted", node=self.node, error=str(error))
        # One that had come just now may have been seen by nobody.
        await self._guarded(lambda db: db.query("notify", [NO_CARRIER]))
        self._drop()

    def tell(self, carriers: Iterable[str]) -> None:
        """Have the other nodes, if there were any when we last looked, know that there is work for carriers."""
        if self._has_company:
            self._untold.update(carriers)
            if self._untold:
                self._news.set()

    async def tell_others(self) -> None:
        """Do so, until cancelled."""
        while True:
            await self._news.wait()
            self._news.clear()
            carriers, self._untold = sorted(self._untold), set()
            # Not in the transactions that bring the work: there a notification makes their commits wait in a queue.
            await self._guarded(lambda db, carriers=carriers: db.query("notify", carriers))
            await self._clock.sleep(NOTIFY_EVERY_S)

    async def look_around(self) -> None:
        """See to our own connection, and to nodes that are gone; until cancelled."""
        while True:
            if self._connection is None:
                try:
                    await self._connect()
                    log.info("store.reconnected", node=self.node)
                except StoreUnavailable as error:
                    log.error("store.unavailable", error=str(error))
                    await self._tell_of_hanging(error)
            await self._guarded(self._look)
            await self._clock.sleep(LOOK_EVERY_S)

    async def _connect(self) -> None:
        connection = await self._database.connect(answer_within_s=ANSWER_WITHIN_S)
        try:
            with self._database.translated():
                await connection.raw.add_listener(CHANNEL, self._heard)
        except BaseException:
            connection.raw.terminate()
            raise
        self._connection, self._is_known = connection, False
        self._silent.clear()
        self.departures += 1  # Nobody has told us meanwhile.
        await self._guarded(self._announce)

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.raw.terminate()
            self._connection = None

    async def _guarded(self, action: Callable[[Connection], Awaitable[object]]) -> None:
        """Do something with our connection, if there is one; one that fails is dropped, and soon replaced."""
        async with self._turn:
            if self._connection is None:
                return
            try:
                with self._database.translated():
                    await action(self._connection)
            except StoreUnavailable as error:
                log.error("store.unavailable", error=str(error))
                self._drop()
                await self._tell_of_hanging(error)
            except Exception:  # A bug: told, and no reason for a node to be deaf and taken for gone from now on.
                log.exception("store.presence_failed", node=self.node)
                self._drop()

    async def _tell_of_hanging(self, error: StoreUnavailable) -> None:
        if isinstance(error.__cause__, TimeoutError):
            await self._database.break_off()

    def _heard(self, connection: Any, pid: int, _: str, carrier: object) -> None:
        if pid != connection.get_server_pid():  # Our own bell has rung already.
            self._has_company = True
            self.departures += carrier == NO_CARRIER
            self._bell.set([str(carrier)])

    async def _announce(self, db: Connection) -> None:
        """Take the lock that says that we live. One of a connection of ours that broke may be there for a moment."""
        self._is_known = await db.value("lock_node", NODES, self.node)
        if self._is_known:
            async with self._database.writing() as writer:
                await writer.run("keep_node", self.node)
            await db.query("notify", [NO_CARRIER])  # So that the others know that they are not alone.

    async def _look(self, db: Connection) -> None:
        if not self._is_known:
            await self._announce(db)
        others = [(node, is_alive) for node, is_alive in await db.query("nodes", NODES) if node != self.node]
        self._has_company = bool(others)
        known, self._others = self._others, {node for node, _ in others}
        self.departures += bool(known - self._others)
        self._silent = {node: self._silent.get(node, 0) + 1 for node, is_alive in others if not is_alive}
        for node, looks in self._silent.items():
            if looks >= SILENT_LOOKS and await db.value("lock_node", NODES, node):
                try:
                    count = await self._bury(node)
                    log.warning("store.leases_freed", node=node, segment_count=count)
                finally:
                    await db.value("unlock_node", NODES, node)
        now_s = self._clock.monotonic()
        if now_s - self._looked_at_s > BREAK_S:
            self._back_at_s = now_s
        self._looked_at_s = now_s

    async def _bury(self, node: int) -> int:
        async def free(db: Connection) -> int:
            await db.run("delete_node", node)
            await db.run("free_event_leases", node)
            return await db.run("free_leases", node)

        return await self._database.write(free)
