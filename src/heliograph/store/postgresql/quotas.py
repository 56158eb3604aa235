"""Rate limits over all nodes: each keeps a window of calls in memory, and brings it up to date before it counts one."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from heliograph.jobs.accounts import AccountId, RateLimit
from heliograph.store.in_process import SlidingWindow
from heliograph.store.interface import Quota
from heliograph.store.postgresql.connection import Connection, Row

FORGET_EVERY = 32
"""After so many calls of an account, those that don't count any more are deleted."""


class TakeCall(NamedTuple):
    """A call to be counted."""

    account: AccountId
    limit: RateLimit
    now: datetime


class _Window:
    """The calls of an account that still count, as far as this node knows. last: the number of the last one known."""

    def __init__(self) -> None:
        self.calls = SlidingWindow()
        self.last = 0


class Quotas:
    """The rate limits as one node sees them."""

    def __init__(self) -> None:
        self._windows: dict[AccountId, _Window] = {}

    async def take(self, db: Connection, calls: Sequence[TakeCall]) -> tuple[list[Quota], dict[AccountId, _Window]]:
        """Count calls, those for which there is room, in a transaction that holds the accounts until its end.

        The windows are to be given back by `keep` once it is committed; those of one that isn't are read anew.
        """
        accounts = sorted({call.account for call in calls})
        held = await self._hold(db, accounts)
        windows = {account: self._windows.pop(account, None) or _Window() for account in accounts}
        behind = [(account, window.last) for account, window in windows.items() if window.last < held[account]]
        for account, number, at in await db.query_rows("calls_after", behind):
            windows[account].calls.add(at)
            windows[account].last = number
        for account, window in windows.items():
            window.last = held[account]  # The last calls may be so old that they have been forgotten.
        new: list[Row] = []
        quotas: list[Quota] = []
        for call in calls:
            window = windows[call.account]
            quota = window.calls.take(call.limit, call.now)
            quotas.append(quota)
            if quota.allowed:
                window.last += 1
                new.append((call.account, window.last, window.calls.newest))
        if new:
            counted = sorted({row[0] for row in new})
            await db.run_rows("insert_calls", new)
            await db.run_rows("count_calls", [(account, windows[account].last) for account in counted])
            rounds = {row[0] for row in new if row[1] % FORGET_EVERY == 0}
            old = [(account, windows[account].last - len(windows[account].calls)) for account in sorted(rounds)]
            await db.run_rows("forget_calls", old)
        return quotas, windows

    def keep(self, windows: dict[AccountId, _Window]) -> None:
        """What was counted is committed."""
        self._windows.update(windows)

    async def _hold(self, db: Connection, accounts: Sequence[AccountId]) -> dict[AccountId, int]:
        held = {row[0]: row[1] for row in await db.query("hold_callers", accounts)}
        if len(held) < len(accounts):
            await db.run("meet_callers", accounts)
            held = {row[0]: row[1] for row in await db.query("hold_callers", accounts)}
        return held
