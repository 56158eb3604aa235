"""A search among SMS, in steps: newest jobs first, for as long as more are wanted."""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

from heliograph.jobs.naming import JobId
from heliograph.jobs.search import FoundSms
from heliograph.jobs.status import ProcessStatus
from heliograph.store.interface import PART_BITS, SmsQuery
from heliograph.store.rows import first_job_number, stored_job, stored_sms
from heliograph.store.sqlite.connection import Connection

STEP_JOBS = 1000
STEP_SMS = 10_000
"""How many SMS a step looks at, give or take a job: some milliseconds, for others wait to read meanwhile."""
SPARSE = 8
"""Where only one SMS in so many is the account's, each of its jobs is looked into by itself."""


class Search:
    """One search; `step` until it is done."""

    def __init__(self, query: SmsQuery) -> None:
        self._query = query
        self._since, self._until = first_job_number(query.since), first_job_number(query.until)
        self._step_jobs = STEP_JOBS
        self._skip_count = query.offset
        self.found: list[FoundSms] = []
        self.is_done = query.limit == 0
        criteria = query.criteria
        self._opened = criteria.process_status in (ProcessStatus.OPEN, ProcessStatus.RUNNING)
        self._of_sms = (
            criteria.dst,
            criteria.customer_ref,
            None if criteria.process_status is None else criteria.process_status.value,
            None if criteria.status is None else criteria.status.value,
        )

    def step(self, db: Connection) -> None:
        """Look at some more jobs."""
        # One transaction, so that no SMS is read as not final and then found to have no parts any more.
        db.raw.execute("BEGIN")
        try:
            if self._opened or self._query.criteria.billcode is not None or not self._look_over(db):
                self._look_into_jobs(db)
        finally:
            db.raw.execute("COMMIT")

    def _look_over(self, db: Connection) -> bool:
        """Look at all SMS from the first one of some jobs to the last; False if too few of them are the account's."""
        span = self._query.account, self._since, self._until
        while True:
            count, lowest, first, last, sms_count = db.query("span_of_jobs", *span, self._step_jobs)[0]
            if count <= 1 or sms_count <= STEP_SMS:
                break
            self._step_jobs = max(1, min(count // 2, count * STEP_SMS // sms_count))
        if not count:
            self.is_done = True
            return True
        if last - first > SPARSE * sms_count:
            return False
        bounds = first, last, lowest, self._until
        rows = db.query("sms_of_span", *bounds, *(value for value in self._of_sms for _ in range(2)))
        jobs = db.query_rows("jobs_by_number", [(number, span[0]) for number in {row[-1] for row in rows}])
        self._sift(db, sorted(jobs, reverse=True), [row[:-1] for row in rows])
        self.is_done = self.is_done or count < self._step_jobs
        self._until = lowest
        self._step_jobs = max(self._step_jobs, min(2 * self._step_jobs, STEP_SMS * count // max(1, 2 * sms_count)))
        return True

    def _look_into_jobs(self, db: Connection) -> None:
        """Look at the SMS of some jobs, those that can have any."""
        criteria, span = self._query.criteria, (self._query.account, self._since, self._until)
        if self._opened or criteria.billcode is None:
            jobs = db.query("open_jobs" if self._opened else "jobs", *span, STEP_JOBS, 0)
            count, lowest = len(jobs), jobs[-1][0] if jobs else 0
            jobs = [job for job in jobs if criteria.billcode is None or criteria.fit_job(stored_job(job))]
        else:
            count, lowest = db.query("span_of_jobs", *span, STEP_JOBS)[0][:2]
            # Without any in the span there is no lowest, and nothing below it may be looked at.
            jobs = db.query("jobs_of_billcode", span[0], lowest, self._until, criteria.billcode) if count else []
        self.is_done, self._until = count < STEP_JOBS, lowest or 0
        wanted: list[tuple[Any, ...]] = []
        sms_count = 0
        for job in jobs:
            if sms_count >= STEP_SMS:
                self.is_done, self._until = False, wanted[-1][0]
                break
            wanted.append(job)
            sms_count += job[3]
        ranges = [(first, first + count, *self._of_sms) for _, _, first, count, *_ in wanted]
        self._sift(db, wanted, db.query_rows("sms_that_fit", ranges))

    def _sift(self, db: Connection, jobs: Sequence[tuple[Any, ...]], rows: Sequence[tuple[Any, ...]]) -> None:
        """Take those SMS that fit, from jobs in the order wanted; rows of SMS of other jobs are passed over."""
        rows = sorted(rows)
        numbers = [row[0] for row in rows]
        live: dict[int, list[tuple[Any, ...]]] = {}
        for part in db.query_rows("live_of_sms", [(row[0],) for row in rows if row[3] is None]):
            live.setdefault(part[0] >> PART_BITS, []).append(part)
        for _, public_id, first, count, *_ in jobs:
            start, end = bisect_left(numbers, first), bisect_left(numbers, first + count)
            parts = [part for number in numbers[start:end] for part in live.get(number, ())]
            for sms in stored_sms(rows[start:end], parts, first):
                if self._query.criteria.fit_sms(sms):
                    self._take(FoundSms(JobId(public_id), sms))

    def _take(self, found: FoundSms) -> None:
        if self._skip_count:
            self._skip_count -= 1
        elif not self.is_full:
            self.found.append(found)
            self.is_done = self.is_done or self.is_full

    @property
    def is_full(self) -> bool:
        """Whether no more are wanted."""
        return len(self.found) >= self._query.limit
