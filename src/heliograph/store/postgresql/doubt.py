"""What is to be known, and done, about transactions whose COMMIT was cut off: it may have been done, or not.

Looking is not enough: a transaction may still be under way on the server when we are back. So whoever looks for a job
tries to put it there, which waits for one under way, and takes that back; who looks for a lease holds its rows first.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import structlog

from heliograph.clock import Clock
from heliograph.jobs.errors import OutcomeUnknown, StoreUnavailable
from heliograph.store.in_process import WorkBell
from heliograph.store.postgresql.connection import Connection, Database

FIND_OUT_WITHIN_S = 8.0
"""How long customers wait for what became of their jobs: with the time until a database is seen to hang, shorter than
clients do."""
LOOK_AGAIN_AFTER_S = 0.25

log = structlog.get_logger()


class LeaseTaken(NamedTuple):
    """Rows of `live` that were leased: their ids, the states in which they were, when and until when."""

    carrier: str
    segments: Sequence[int]
    states: Sequence[int]
    at: int
    until: int


class InDoubt(NamedTuple):
    """What is the result of a write if its transaction was kept. kept: None if that can't be found out in time."""

    kept: "asyncio.Task[bool | None]"
    result: Any
    error: OutcomeUnknown

    async def settled(self) -> Any:
        """The result, raised if it is an error.

        Raises StoreUnavailable if nothing was kept, OutcomeUnknown if nobody knows.
        """
        await asyncio.wait((self.kept,))  # Others wait for the same: it isn't cancelled with one of them.
        kept = None if self.kept.cancelled() else self.kept.result()
        if kept is None:
            raise self.error
        if not kept:
            raise StoreUnavailable(f"{self.error}; it was not done, as was seen afterwards") from self.error
        if isinstance(self.result, BaseException):
            raise self.result
        return self.result


class Doubts:
    """Those of one node."""

    def __init__(self, database: Database, bell: WorkBell, node: int, clock: Clock) -> None:
        self._database = database
        self._bell = bell
        self._node = node
        self._clock = clock
        self._leases: list[LeaseTaken] = []
        self._has_leases = asyncio.Event()

    # Jobs

    async def were_kept(self, jobs: Sequence[int]) -> bool | None:
        """Whether jobs, by the numbers of their rows, all of one transaction, are there; None if that can't be known.

        If they are, they are as durable as anything that is committed now.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(FIND_OUT_WITHIN_S):
                while True:
                    try:
                        return await self._database.write(lambda db: self._are_there(db, jobs))
                    except StoreUnavailable as error:
                        log.warning("store.jobs_in_doubt", job_count=len(jobs), error=str(error))
                    await self._clock.sleep(LOOK_AGAIN_AFTER_S)
        return None

    async def _are_there(self, db: Connection, jobs: Sequence[int]) -> bool:
        await db.script("SAVEPOINT looking")
        missing = await db.query("put_missing_jobs", sorted(jobs))
        await db.script("ROLLBACK TO looking")
        # A write, for a commit without any waits for neither disk nor standby: with this one, all before it is there.
        await db.run("keep_node", self._node)
        return not missing

    # Leases

    def doubt(self, leases: Sequence[LeaseTaken]) -> None:
        """Nobody was told of these leases, which may be there: they are given back when the database can be used."""
        self._leases += [lease for lease in leases if lease.segments]
        if self._leases:
            self._has_leases.set()

    async def keep_giving_back(self) -> None:
        """Do so, until cancelled."""
        while True:
            await self._has_leases.wait()
            try:
                await self.give_back()
            except StoreUnavailable as error:
                log.warning("store.leases_in_doubt", lease_count=len(self._leases), error=str(error))
            except Exception:  # A bug: told; the leases run out by and by.
                log.exception("store.leases_in_doubt", lease_count=len(self._leases))
                self._leases.clear()
            if self._leases:
                await self._clock.sleep(LOOK_AGAIN_AFTER_S)
            else:
                self._has_leases.clear()

    async def give_back(self) -> None:
        """Give all of them back now. Raises StoreUnavailable; those that are left are kept for the next time."""
        while self._leases:
            lease = self._leases[0]
            count = await self._database.write(lambda db, lease=lease: self._free(db, lease))
            self._leases.remove(lease)
            if count:
                log.info("store.leases_given_back", carrier=lease.carrier, segment_count=count)
                self._bell.set([lease.carrier])

    async def _free(self, db: Connection, lease: LeaseTaken) -> int:
        # A statement of its own, so that the next one sees what whoever had them before has committed.
        await db.query("hold_segments", sorted(lease.segments))
        return await db.run("give_back", lease.segments, lease.states, self._node, lease.until, lease.at)
