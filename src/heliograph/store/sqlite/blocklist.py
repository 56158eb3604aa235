"""The blocklists, as the writing connection sees them."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from heliograph.jobs.accounts import AccountId
from heliograph.jobs.plan import JobPlan, with_blocked
from heliograph.jobs.records import BlockedNumber
from heliograph.store.rows import blocked_number, instant_ms
from heliograph.store.sqlite.connection import Connection


class Blocklists:
    """Which numbers get nothing from which account. Costs an account that has none on its list nothing."""

    def __init__(self, db: Connection) -> None:
        self._db = db
        # Those that have, or had, or nearly had anything blocked: nobody else writes the table.
        self._accounts: set[AccountId] = {AccountId(row[0]) for row in db.query("blocking_accounts")}

    def __bool__(self) -> bool:
        return bool(self._accounts)

    def applied_to(self, plans: Sequence[JobPlan]) -> Sequence[JobPlan]:
        """The plans with the SMS to blocked numbers final from the start."""
        concerned = [plan for plan in plans if plan.account in self._accounts]
        if not concerned:
            return plans
        wanted = {(plan.account, sms.dst) for plan in concerned for sms in plan.sms}
        blocked: dict[AccountId, set[str]] = {}
        for account, dst in self._db.query_rows("blocked_among", list(wanted)):
            blocked.setdefault(account, set()).add(dst)
        return [with_blocked(plan, blocked.get(plan.account, ())) for plan in plans]

    def segments_among(self, segments: Iterable[int]) -> list[int]:
        """Those of the segments that go to blocked numbers."""
        if not self._accounts:
            return []
        return [row[0] for row in self._db.query_rows("blocked_segments", [(segment,) for segment in segments])]

    def block(self, account: AccountId, dst: str, now: datetime) -> BlockedNumber:
        """Put a number on an account's list, if it isn't there."""
        self._accounts.add(account)
        self._db.run("block", account, dst, instant_ms(now))
        entry = self._entry(account, dst)
        assert entry is not None, "it was just put there"
        return entry

    def unblock(self, account: AccountId, dst: str) -> BlockedNumber | None:
        """Take a number off an account's list; what was there."""
        entry = self._entry(account, dst)
        if entry is not None:
            self._db.run("unblock", account, dst)
        return entry

    def _entry(self, account: AccountId, dst: str) -> BlockedNumber | None:
        rows = self._db.query("blocked", account, dst)
        return blocked_number(rows[0]) if rows else None
