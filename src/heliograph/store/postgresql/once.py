"""What is kept once and what is spent: idempotency keys, fingerprints and agents' limits, over all nodes.

The rows of all jobs that come together are held first, in order; then each job is decided on in memory, one after the
other, as `store.memory` would; then what came of it is written.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

from heliograph.jobs.accounts import AccountId
from heliograph.jobs.errors import HeliographError, IdempotencyKeyTaken, JobDuplicate, SpendingLimitReached
from heliograph.jobs.naming import JobId
from heliograph.jobs.plan import JobPlan
from heliograph.jobs.spending import check_spending, counted_since, spending_second
from heliograph.store.interface import DUPLICATE_WINDOW, IDEMPOTENCY_WINDOW, Added
from heliograph.store.postgresql.connection import Connection, Row
from heliograph.store.postgresql.locks import SPENDERS
from heliograph.store.postgresql.texts import kept
from heliograph.store.rows import instant_ms

_DUPLICATE_WINDOW_MS = DUPLICATE_WINDOW // timedelta(milliseconds=1)
_IDEMPOTENCY_WINDOW_MS = IDEMPOTENCY_WINDOW // timedelta(milliseconds=1)

_Of = tuple[AccountId, str | bytes]
"""An account, and a key or a fingerprint of a request of its."""


class _Use(NamedTuple):
    """For which job something was used, and when. digest: of the request, where that isn't what was used."""

    digest: bytes
    job_id: str
    accepted: int


class _Uses:
    """Rows that are held. Those that weren't there have been put there for the first job that wants them."""

    def __init__(self) -> None:
        self._there: dict[_Of, _Use] = {}
        self._now: dict[_Of, _Use] = {}

    def hold(self, of: _Of, there: _Use, wanted: _Use) -> None:
        """What is there, and what the first job to want it would have put there."""
        self._there[of] = there
        if there.job_id != wanted.job_id:
            self._now[of] = there

    def last(self, of: _Of, since: int) -> _Use | None:
        """What it was used for after an instant."""
        use = self._now.get(of)
        return use if use is not None and use.accepted > since else None

    def keep(self, of: _Of, use: _Use) -> None:
        """It is used for this from now on."""
        self._now[of] = use

    def changed(self) -> list[tuple[_Of, _Use]]:
        """What is to be written."""
        return [(of, use) for of, use in self._now.items() if use != self._there[of]]

    def unused(self) -> list[Row]:
        """What is to be deleted: no job was kept with it."""
        return [of for of in self._there if of not in self._now]


class Deciding:
    """Which of several jobs are kept, in a transaction that holds all that decides it until its end."""

    def __init__(self, db: Connection) -> None:
        self._db = db
        self._keys = _Uses()
        self._fingerprints = _Uses()
        self._spent: dict[AccountId, dict[int, int]] = {}

    async def decide(self, plans: Sequence[JobPlan]) -> list[HeliographError | Added | None]:
        """What each comes to instead of being kept; None for those that are to be kept."""
        await self._hold_keys(plans)
        await self._hold_fingerprints(plans)
        await self._hold_spent(plans)
        decided = [self._decide(plan) for plan in plans]
        await self._write()
        await self._write_spent([plan for plan, known in zip(plans, decided, strict=True) if known is None])
        return decided

    def _decide(self, plan: JobPlan) -> HeliographError | Added | None:
        received = instant_ms(plan.received_at)
        idempotency = plan.idempotency
        if idempotency is not None:
            used = self._keys.last((plan.account, idempotency.key), received - _IDEMPOTENCY_WINDOW_MS)
            if used is not None:
                is_same = used.digest == idempotency.fingerprint
                return Added(JobId(used.job_id), False, {}) if is_same else IdempotencyKeyTaken(used.job_id)
        if plan.fingerprint is not None:
            first = self._fingerprints.last((plan.account, plan.fingerprint), received - _DUPLICATE_WINDOW_MS)
            if first is not None:
                return JobDuplicate(first.job_id)
        if plan.sms_per_hour is not None:
            try:
                self._spend(plan, plan.sms_per_hour)
            except SpendingLimitReached as error:
                return error
        if plan.fingerprint is not None:
            self._fingerprints.keep((plan.account, plan.fingerprint), _Use(b"", plan.job_id, received))
        if idempotency is not None:
            use = _Use(idempotency.fingerprint, plan.job_id, received)
            self._keys.keep((plan.account, idempotency.key), use)
        return None

    def _spend(self, plan: JobPlan, sms_per_hour: int) -> None:
        since = counted_since(plan.received_at)
        all_spent = self._spent[plan.account]
        spent = sorted((second, parts) for second, parts in all_spent.items() if second > since)
        check_spending(spent, plan.part_count, sms_per_hour, plan.received_at)
        second = spending_second(plan.received_at)
        all_spent[second] = all_spent.get(second, 0) + plan.part_count

    # What is held

    async def _hold_keys(self, plans: Sequence[JobPlan]) -> None:
        first: dict[_Of, _Use] = {}
        for plan in plans:
            if plan.idempotency is not None:
                use = _Use(plan.idempotency.fingerprint, plan.job_id, instant_ms(plan.received_at))
                first.setdefault((plan.account, plan.idempotency.key), use)
        # In order, so that of two transactions with the same two neither waits for the other.
        wanted = {(account, kept(str(key))): (account, key) for account, key in first}
        rows = [(*row, *first[of]) for row, of in sorted(wanted.items())]
        for account, key, *there in await self._db.query_rows("hold_keys", rows):
            of = wanted[account, key]
            self._keys.hold(of, _Use(*there), first[of])

    async def _hold_fingerprints(self, plans: Sequence[JobPlan]) -> None:
        first: dict[_Of, _Use] = {}
        for plan in plans:
            if plan.fingerprint is not None:
                use = _Use(b"", plan.job_id, instant_ms(plan.received_at))
                first.setdefault((plan.account, plan.fingerprint), use)
        rows = [(*of, *use[1:]) for of, use in sorted(first.items())]
        for account, digest, *there in await self._db.query_rows("hold_fingerprints", rows):
            of = account, digest
            self._fingerprints.hold(of, _Use(b"", *there), first[of])

    async def _hold_spent(self, plans: Sequence[JobPlan]) -> None:
        since: dict[AccountId, int] = {}
        for plan in plans:
            if plan.sms_per_hour is not None:
                counted = counted_since(plan.received_at)
                since[plan.account] = min(counted, since.get(plan.account, counted))
        if since:
            accounts = sorted(since)
            await self._db.query("lock", SPENDERS, accounts, [True] * len(accounts))
            self._spent = {account: {} for account in accounts}
            for account, second, parts in await self._db.query_rows("spent", sorted(since.items())):
                self._spent[account][second] = parts

    # What is written

    async def _write(self) -> None:
        changed = [(of[0], kept(str(of[1])), *use) for of, use in self._keys.changed()]
        await self._db.run_rows("write_keys", changed)
        await self._db.run_rows("delete_keys", [(account, kept(str(key))) for account, key in self._keys.unused()])
        changed = [(*of, *use[1:]) for of, use in self._fingerprints.changed()]
        await self._db.run_rows("write_fingerprints", changed)
        await self._db.run_rows("delete_fingerprints", self._fingerprints.unused())

    async def _write_spent(self, kept_plans: Sequence[JobPlan]) -> None:
        spending: dict[tuple[AccountId, int], int] = {}
        since: dict[AccountId, int] = {}
        for plan in kept_plans:
            if plan.sms_per_hour is not None:
                of = plan.account, spending_second(plan.received_at)
                spending[of] = spending.get(of, 0) + plan.part_count
                since[plan.account] = max(counted_since(plan.received_at), since.get(plan.account, 0))
        await self._db.run_rows("forget_spent", list(since.items()))
        await self._db.run_rows("spend", [(*of, parts) for of, parts in spending.items()])
        for forget, window_ms, plans in (
            ("forget_keys", _IDEMPOTENCY_WINDOW_MS, [plan for plan in kept_plans if plan.idempotency is not None]),
            ("forget_fingerprints", _DUPLICATE_WINDOW_MS, [p for p in kept_plans if p.fingerprint is not None]),
        ):
            if plans:
                newest = max(instant_ms(plan.received_at) for plan in plans)
                await self._db.run(forget, 4 * len(plans), newest - window_ms)
