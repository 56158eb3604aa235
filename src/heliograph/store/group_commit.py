"""Group commit: whoever writes while a commit is under way shares the next one.

A commit costs the same for one write and for a hundred, so durability stays cheap under load.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, TypeVar

from heliograph.jobs.errors import HeliographError, Overloaded, StoreUnavailable

MAX_ROWS_A_COMMIT = 2000
"""Of small jobs; a big one, and what dispatch writes, come on top. Keeps any wait in tens of milliseconds."""
SMALL_JOB_ROWS = 100
"""Jobs of more rows are big: one of them a commit, and only after the small ones, so that nobody's single SMS waits for
another's thousands."""
MAX_ROWS_WAITING = 60_000
"""Of jobs that wait for their commit: 20 jobs of 3000 SMS. More are turned away, so that dispatch keeps its share."""
MAX_ROWS_ASKED = 20_000
"""Of whatever else customers ask for that waits for its commit: some big jobs cancelled, or so many numbers blocked.
All of it goes into the next one, which is to take less than a second. What dispatch writes is never turned away."""

Write = TypeVar("Write")


class GroupCommit(Generic[Write]):
    """Collects writes and hands them over in batches, so many batches at a time as there are writers."""

    def __init__(self, commit: Callable[[list[Write]], "asyncio.Future[Sequence[Any]]"], *, writers: int = 1) -> None:
        """commit: writes a batch durably; its future gives one result each, an exception as a value where one failed.

        It may raise a HeliographError if it can't even begin.
        """
        self._idle = writers
        self._commit = commit
        self._urgent: deque[tuple[Write, asyncio.Future[Any]]] = deque()
        self._small: deque[tuple[Write, int, asyncio.Future[Any]]] = deque()
        self._big: deque[tuple[Write, int, asyncio.Future[Any]]] = deque()
        self._rows_waiting = 0
        self._rows_asked = 0
        self._begins_soon = False

    async def write(self, write: Write) -> Any:
        """Write something that dispatch or a receipt waits for: it goes before all jobs. Returns its result."""
        future = asyncio.get_running_loop().create_future()
        self._urgent.append((write, future))
        self._soon()
        return await future

    async def write_asked(self, write: Write, row_count: int = 1) -> Any:
        """Write something else than a job that a customer asked for, before all jobs as well. Returns its result.

        row_count: how many rows it may change. Raises Overloaded when too many are waiting already.
        """
        if self._rows_asked > MAX_ROWS_ASKED:
            raise Overloaded("more is asked for than can be written; send this again in a moment", 1)
        self._rows_asked += row_count
        return await self.write(write)

    async def write_job(self, write: Write, row_count: int) -> Any:
        """Write a job. Raises Overloaded when too many rows are waiting already."""
        if self._rows_waiting > MAX_ROWS_WAITING:
            raise Overloaded("more jobs are coming in than can be written; send this one again in a moment", 1)
        self._rows_waiting += row_count
        future = asyncio.get_running_loop().create_future()
        (self._small if row_count <= SMALL_JOB_ROWS else self._big).append((write, row_count, future))
        self._soon()
        return await future

    def _soon(self) -> None:
        if self._idle and not self._begins_soon:
            self._begins_soon = True
            # Not at once: whoever else writes in this turn of the event loop comes along.
            asyncio.get_running_loop().call_soon(self._start)

    def _start(self) -> None:
        self._begins_soon = False
        # Whoever has given up waiting is left out: neither a lease nor a job should be there for nobody.
        batch = [each for each in self._urgent if not each[1].done()]
        urgent_count = len(batch)
        self._urgent.clear()
        self._rows_asked = 0
        row_count = 0
        while self._small and row_count < MAX_ROWS_A_COMMIT:
            row_count += self._take(self._small, batch)
        if self._big:
            self._take(self._big, batch)
        if not batch:
            return
        self._idle -= 1
        futures = [future for _, future in batch]
        try:
            done = self._commit([write for write, _ in batch])
        except HeliographError as error:
            done = asyncio.get_running_loop().create_future()
            done.set_exception(error)
        done.add_done_callback(lambda results: self._finish(futures, urgent_count, results))

    def _take(
        self, waiting: deque[tuple[Write, int, asyncio.Future[Any]]], batch: list[tuple[Write, asyncio.Future[Any]]]
    ) -> int:
        write, row_count, future = waiting.popleft()
        self._rows_waiting -= row_count
        if future.done():
            return 0
        batch.append((write, future))
        return row_count

    def _finish(self, futures: list[asyncio.Future[Any]], urgent: int, done: "asyncio.Future[Sequence[Any]]") -> None:
        error = StoreUnavailable("the database has been closed") if done.cancelled() else done.exception()
        results = done.result() if error is None else [error] * len(futures)
        self._tell(zip(futures, results, strict=True), urgent)

    def _tell(self, results: "Iterator[tuple[asyncio.Future[Any], Any]]", urgent: int) -> None:
        """Tell who waits: the urgent ones one in each turn of the event loop, as each makes much work; then all."""
        for future, result in results:
            if not future.done():  # Otherwise cancelled: what it asked for is written all the same.
                if isinstance(result, BaseException):
                    future.set_exception(result)
                else:
                    future.set_result(result)
            if urgent:
                asyncio.get_running_loop().call_soon(self._tell, results, urgent - 1)
                return
        # Only now: what they write in turn goes into one commit.
        self._idle += 1
        if self._urgent or self._small or self._big:
            self._soon()
