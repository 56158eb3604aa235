"""How jobs are kept: one statement a table for all jobs that come together."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from heliograph.clock import Clock
from heliograph.jobs.accounts import AccountId, OnUnknown
from heliograph.jobs.errors import HeliographError
from heliograph.jobs.plan import JobPlan, with_blocked
from heliograph.store.interface import PART_BITS, Added
from heliograph.store.postgresql.connection import Connection, Row, columns
from heliograph.store.postgresql.once import Deciding
from heliograph.store.postgresql.texts import kept, told
from heliograph.store.rows import COUNTER_BITS, instant_ms, instant_ms_up, names_row

SMS_BLOCK = 16_384
"""How many SMS numbers are taken from the database at once, as the sequence in the schema says."""
BLOCK_LIFETIME_S = 3600.0
"""How long numbers are given from a block: they begin with the second in which it was taken, and are dropped by it."""


class SmsNumbers:
    """The numbers that this node may give to SMS. One that a failed transaction was to use is not used again."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._next = 0
        self._end = 0
        self._use_until_s = 0.0

    async def take(self, db: Connection, count: int) -> int:
        """The first of so many numbers that follow one another."""
        assert count <= SMS_BLOCK, "a job has fewer SMS than a block has numbers"
        now_s = self._clock.monotonic()
        if self._next + count > self._end or now_s >= self._use_until_s:
            self._next = await db.value("next_sms_block")
            self._end = self._next + SMS_BLOCK
            self._use_until_s = now_s + BLOCK_LIFETIME_S
        first = self._next
        self._next += count
        return first


class Accepted(NamedTuple):
    """What came of each job, how many events for webhooks that made, and the numbers of the rows of those kept."""

    results: list[HeliographError | Added]
    event_count: int
    jobs: list[int]


async def add_jobs(db: Connection, numbers: SmsNumbers, plans: Sequence[JobPlan]) -> Accepted:
    """Keep jobs, those that are to be kept."""
    decided = await Deciding(db).decide(plans)
    new = [plan for plan, known in zip(plans, decided, strict=True) if known is None]
    rows = _Rows()
    added: list[Added] = []
    for plan in await _with_blocked(db, new):
        rows.add(plan, await numbers.take(db, len(plan.sms)))
        added.append(Added(plan.job_id, True, Counter(each.verdict for each in plan.sms if each.carrier is None)))
    event_count = 0
    if new:
        tables = (rows.jobs, 8), (rows.messages, 5), (rows.sms, 10), (rows.live, 8)
        await db.run("insert_jobs", *(column for table, width in tables for column in columns(table, width)))
        if rows.final_sms:
            event_count = await db.run("tell_of_sms", rows.final_sms)
        if rows.finished_jobs:
            event_count += await db.run("tell_of_jobs", rows.finished_jobs)
    rest = iter(added)
    results = [next(rest) if known is None else known for known in decided]
    return Accepted(results, event_count, [row[0] for row in rows.jobs])


async def _with_blocked(db: Connection, plans: Sequence[JobPlan]) -> Sequence[JobPlan]:
    """The plans with the SMS to blocked numbers final from the start."""
    accounts = sorted({plan.account for plan in plans})
    blocking = {row[0] for row in await db.query("accounts_that_block", accounts)} if accounts else set[int]()
    concerned = [plan for plan in plans if plan.account in blocking]
    if not concerned:
        return plans
    wanted = sorted({(plan.account, kept(sms.dst)) for plan in concerned for sms in plan.sms})
    blocked: dict[AccountId, set[str]] = {}
    for account, dst in await db.query_rows("blocked_among", wanted):
        blocked.setdefault(account, set()).add(told(dst))
    return [with_blocked(plan, blocked.get(plan.account, ())) for plan in plans]


class _Rows:
    """The rows of jobs, table by table."""

    def __init__(self) -> None:
        self.jobs: list[Row] = []
        self.messages: list[Row] = []
        self.sms: list[Row] = []
        self.live: list[Row] = []
        self.final_sms: list[int] = []
        self.finished_jobs: list[int] = []

    def add(self, plan: JobPlan, first_sms: int) -> None:
        received = instant_ms(plan.received_at)
        job = received << COUNTER_BITS | first_sms & (1 << COUNTER_BITS) - 1
        lane = plan.lane
        window, due, expires = None, 0, 0
        periods, blackouts = (), None
        is_open = False
        for number, planned in enumerate(plan.sms, first_sms):
            common = (number, job, planned.message, kept(planned.dst), kept(planned.customer_ref), planned.parts)
            if planned.carrier is None:
                self.sms.append((*common, "DONE", planned.verdict.value, kept(planned.reason), received))
                self.final_sms.append(number)
                continue
            is_open = True
            self.sms.append((*common, None, None, None, None))
            if planned.window is not window:
                window = planned.window
                expires = instant_ms(window.expires)
                due = instant_ms_up(window.due)
            if planned.blackouts is not periods:
                periods = planned.blackouts
                blackouts = msgspec.json.encode(periods) if periods else None
            rest = (planned.carrier, lane, plan.account, due, expires, blackouts, names_row(planned.others))
            self.live += [(number << PART_BITS | part, *rest) for part in range(planned.parts)]
        give_up = plan.on_unknown is OnUnknown.GIVE_UP
        options = msgspec.json.encode(plan.options)
        finished = None if is_open else received
        if not is_open:
            self.finished_jobs.append(job)
        sms_count = len(plan.sms)
        self.jobs.append((job, plan.job_id, plan.account, first_sms, sms_count, give_up, options, finished))
        for place, message in enumerate(plan.messages):
            parts = None if message.parts == (message.text,) else msgspec.json.encode(message.parts).decode()
            self.messages.append((job, place, kept(message.text), message.encoding.value, parts))
