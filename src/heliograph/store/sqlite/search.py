"""A search among SMS, in steps: newest jobs first, for as long as more are wanted."""

from collections.abc import Sequence

from heliograph.jobs.records import StoredJob
from heliograph.jobs.search import FoundSms
from heliograph.jobs.status import ProcessStatus
from heliograph.store.interface import PART_BITS, SmsQuery
from heliograph.store.sqlite.connection import Connection
from heliograph.store.sqlite.rows import first_job_number, stored_job, stored_sms

STEP_JOBS = 500
STEP_SMS = 3000
"""How many SMS a step looks at, give or take a job: some milliseconds, for others wait to read meanwhile."""


class Search:
    """One search; `step` until it is done."""

    def __init__(self, query: SmsQuery) -> None:
        self._query = query
        self._since, self._until = first_job_number(query.since), first_job_number(query.until)
        self._skip_count = query.offset
        self.found: list[FoundSms] = []
        self.is_done = query.limit == 0

    def step(self, db: Connection) -> None:
        """Look at some more jobs."""
        query, criteria = self._query, self._query.criteria
        opened = criteria.process_status in (ProcessStatus.OPEN, ProcessStatus.RUNNING)
        # One transaction, so that no SMS is read as not final and then found to have no parts any more.
        db.raw.execute("BEGIN")
        try:
            name = "open_jobs" if opened else "jobs"
            rows = db.query(name, query.account, self._since, self._until, STEP_JOBS, 0)
            self.is_done = len(rows) < STEP_JOBS
            wanted: list[tuple[StoredJob, int]] = []
            sms_count = 0
            for row in rows:
                if sms_count >= STEP_SMS:
                    self.is_done = False
                    break
                job = stored_job(row)
                self._until = row[0]
                if criteria.fit_job(job):
                    wanted.append((job, row[2]))
                    sms_count += job.sms_count
            self._look_into(db, wanted)
        finally:
            db.raw.execute("COMMIT")

    def _look_into(self, db: Connection, jobs: Sequence[tuple[StoredJob, int]]) -> None:
        criteria = self._query.criteria
        of_sms = (
            criteria.dst,
            criteria.customer_ref,
            None if criteria.process_status is None else criteria.process_status.value,
            None if criteria.status is None else criteria.status.value,
        )
        rows = db.query_rows("sms_that_fit", [(first, first + job.sms_count, *of_sms) for job, first in jobs])
        unfinished = [(number,) for number, _, _, process_status, *_ in rows if process_status is None]
        live: dict[int, list[tuple[object, ...]]] = {}
        for part in db.query_rows("live_of_sms", unfinished):
            live.setdefault(part[0] >> PART_BITS, []).append(part)
        firsts = sorted(((first, job.job_id) for job, first in jobs), reverse=True)
        found: dict[str, list[FoundSms]] = {}
        for row in sorted(rows, reverse=True):
            while firsts[0][0] > row[0]:
                firsts.pop(0)
            first, job_id = firsts[0]
            (sms,) = stored_sms([row], live.get(row[0], ()), first)
            if criteria.fit_sms(sms):
                found.setdefault(job_id, []).append(FoundSms(job_id, sms))
        for job, _ in jobs:
            for each in reversed(found.get(job.job_id, ())):
                self._take(each)

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
