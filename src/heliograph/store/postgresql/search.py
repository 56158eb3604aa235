"""A search among SMS, in steps: newest jobs first, for as long as more are wanted."""

from collections.abc import Sequence
from typing import Any

from heliograph.jobs.naming import JobId
from heliograph.jobs.records import StoredSms
from heliograph.jobs.search import FoundSms
from heliograph.jobs.status import ProcessStatus
from heliograph.store.interface import SmsQuery
from heliograph.store.postgresql.connection import Connection, Row
from heliograph.store.postgresql.texts import kept, told
from heliograph.store.rows import first_job_number, stored_job, stored_sms

STEP_JOBS = 1000
STEP_SMS = 10_000
"""How many SMS a step looks at, give or take a job: some tens of milliseconds of one connection that reads."""


class Search:
    """One search; `step` until it is done."""

    def __init__(self, query: SmsQuery) -> None:
        self._query = query
        self._since, self._until = first_job_number(query.since), first_job_number(query.until)
        self._skip_count = query.offset
        self.found: list[FoundSms] = []
        self.is_done = query.limit == 0
        criteria = query.criteria
        self._opened = criteria.process_status in (ProcessStatus.OPEN, ProcessStatus.RUNNING)
        self._of_sms = (
            None if criteria.dst is None else kept(criteria.dst),
            None if criteria.customer_ref is None else kept(criteria.customer_ref),
            None if criteria.process_status is None else criteria.process_status.value,
            None if criteria.status is None else criteria.status.value,
        )

    async def step(self, db: Connection) -> None:
        """Look at some more jobs, and at the SMS of those that can have any."""
        name = "open_jobs" if self._opened else "jobs"
        jobs = await db.query(name, self._query.account, self._since, self._until, STEP_JOBS, 0)
        self.is_done = len(jobs) < STEP_JOBS
        wanted: list[Row] = []
        sms_count = 0
        for job in jobs:
            if sms_count >= STEP_SMS:
                self.is_done = False
                break
            self._until = job[0]
            if self._query.criteria.fit_job(stored_job(tuple(job))):
                wanted.append(job)
                sms_count += job[3]
        ranges = [(first, first + count) for _, _, first, count, *_ in wanted]
        rows = await db.query_rows("sms_that_fit", ranges, *self._of_sms)
        self._sift(wanted, rows)

    def _sift(self, jobs: Sequence[Row], rows: Sequence[Row]) -> None:
        """Take those SMS that fit, from jobs in the order wanted."""
        of_job: dict[int, list[Row]] = {}
        for row in rows:
            of_job.setdefault(row[8], []).append(row)
        for number, public_id, first, *_ in jobs:
            for sms in stored_sms_of(of_job.get(number, ()), first):
                if self._query.criteria.fit_sms(sms):
                    self._take(FoundSms(JobId(public_id), sms))

    def _take(self, found: FoundSms) -> None:
        if self._skip_count:
            self._skip_count -= 1
        elif len(self.found) < self._query.limit:
            self.found.append(found)
            self.is_done = self.is_done or len(self.found) == self._query.limit


def stored_sms_of(rows: Sequence[Row], first_sms: int) -> list[StoredSms]:
    """SMS from rows of an SMS's columns, its job, and those of one of its parts; a row for each part."""
    sms = {row[0]: sms_as_told(row) for row in rows}
    parts = [(row[9], row[10], row[11], told(row[12]), row[13]) for row in rows if row[9] is not None]
    return stored_sms(sms.values(), parts, first_sms)


def sms_as_told(row: Row) -> tuple[Any, ...]:
    """The first columns of a row, those of the SMS, as `stored_sms` reads them."""
    number, dst, customer_ref, process_status, status, reason, sent, finished = row[:8]
    return number, told(dst), told(customer_ref), process_status, status, reason and told(reason), sent, finished
