"""Rate limits of a process that has the file to itself: counted in memory, written down so as to hold over a restart.

What is written is how many calls there were in each second, once a second where there were any. So no call waits for
the disk; a crash forgets the calls of the last second, as on PostgreSQL.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Final

import msgspec
import structlog

from heliograph.jobs.accounts import AccountId, RateLimit
from heliograph.jobs.errors import StoreUnavailable
from heliograph.store.in_process import SlidingWindow
from heliograph.store.interface import Quota

KEEP_AFTER_S: Final = 1.0
"""How long after a call it is written down, at the latest, with all that came after it."""

log = structlog.get_logger()


class KeepCalls(msgspec.Struct, frozen=True):
    """Write: how many calls an account made in a second. forgotten: by account, the last second that is of no use."""

    calls: Sequence[tuple[AccountId, int, int]]
    forgotten: Sequence[tuple[AccountId, int]]


_Since = dict[AccountId, tuple[int, int]]
"""By account, the first second of which calls aren't known to be written down, and the period of its limit."""


class Calls:
    """The calls of all accounts that still count."""

    def __init__(
        self, read: Callable[[AccountId], Sequence[tuple[int, int]]], write: Callable[[KeepCalls], Awaitable[None]]
    ) -> None:
        """read: the seconds that were written down of an account, the first one first, and how many calls in each."""
        self._read = read
        self._write = write
        self._windows: dict[AccountId, SlidingWindow] = {}
        self._unkept: _Since = {}
        self._under_way: _Since = {}
        self._timer: asyncio.TimerHandle | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._is_stopped = False

    def take(self, account: AccountId, limit: RateLimit, now: datetime) -> Quota:
        """See `store.interface.Store.take_call`."""
        window = self._windows.get(account)
        if window is None:
            window = self._windows[account] = self._remembered(account, limit, now)
        quota = window.take(limit, now)
        if quota.allowed and account not in self._unkept:
            self._unkept[account] = math.ceil(window.newest), limit.period_s
            self._keep_soon()
        return quota

    def stop(self) -> KeepCalls | None:
        """Write nothing down any more; what its owner is to write yet, some of it perhaps once more."""
        self._is_stopped = True
        if self._timer is not None:
            self._timer.cancel()
        left = self._unkept | self._under_way  # What is under way began earlier.
        return self._news(left) if left else None

    def _remembered(self, account: AccountId, limit: RateLimit, now: datetime) -> SlidingWindow:
        window = SlidingWindow()
        # A clock that was wrong by more than a period: what was counted by it may be as old as may be.
        latest = now.timestamp() + limit.period_s
        for second, count in self._read(account):
            if second <= latest:
                for _ in range(count):
                    window.add(second)
        return window

    def _news(self, since: _Since) -> KeepCalls:
        """All calls of those seconds, so that it may be written twice."""
        return KeepCalls(
            [
                (account, second, count)
                for account, (first, _) in since.items()
                for second, count in self._windows[account].by_second(first).items()
            ],
            [(account, first - period_s - 1) for account, (first, period_s) in since.items()],
        )

    def _keep_soon(self) -> None:
        if self._timer is None and not self._is_stopped:
            self._timer = asyncio.get_running_loop().call_later(KEEP_AFTER_S, self._start)

    def _start(self) -> None:
        # Owner: this object; it ends with the write, and writes end when the file is closed.
        self._keeping = asyncio.get_running_loop().create_task(self._keep())

    async def _keep(self) -> None:
        self._under_way, self._unkept = self._unkept, {}
        try:
            await self._write(self._news(self._under_way))
        except StoreUnavailable as error:  # They are written with those of the next second.
            log.warning("store.calls_not_kept", error=str(error))
            self._unkept |= self._under_way
        self._under_way, self._timer = {}, None
        if self._unkept:
            self._keep_soon()
