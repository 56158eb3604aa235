"""How what is old is forgotten. Several nodes may do it at once: each takes what the others leave.

Most is not deleted, but forgotten: one number says below which jobs aren't told of any more, and their rows go with
their partition (docs/decisions/0037). Row by row goes what lies in no partition that will be dropped whole, and what
lingered: jobs that were not finished when their time was over.
"""

from collections.abc import Sequence
from datetime import datetime

import structlog

from heliograph.jobs.errors import StoreUnavailable
from heliograph.store.interface import IDEMPOTENCY_WINDOW
from heliograph.store.postgresql.connection import Connection, Database
from heliograph.store.postgresql.partitions import (
    IN_FLIGHT_MS,
    Partition,
    drop_partitions,
    make_partitions,
    partitions,
)
from heliograph.store.rows import COUNTER_BITS, first_job_number, instant_ms

FORGOTTEN_SMS = 5000
"""How many SMS are deleted in one step at most, give or take a job: in tens of milliseconds."""
LINGERING_JOBS = 10_000
"""How many unfinished jobs one step passes by at most."""

log = structlog.get_logger()


class _Step:
    """One step, while it goes from job to job."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.count = 0
        self.lingering: list[int] = []
        self._jobs: list[int] = []
        self._ranges: list[tuple[int, int]] = []
        self._sms_count = 0

    @property
    def has_room(self) -> bool:
        return self.count < self.limit and len(self.lingering) < LINGERING_JOBS

    def delete(self, job: int, first_sms: int, sms_count: int) -> bool:
        """Whether it is to be deleted in this step."""
        if self._jobs and self._sms_count + sms_count > FORGOTTEN_SMS:
            return False
        self._sms_count += sms_count
        self._jobs.append(job)
        self._ranges.append((first_sms, first_sms + sms_count))
        self.count += 1
        return True

    async def write(self, db: Connection) -> None:
        if self._jobs:
            await db.run_rows("delete_sms", self._ranges)
            await db.run_rows("delete_late", self._ranges)
            await db.run("delete_messages", self._jobs)
            await db.run("delete_jobs", self._jobs)
            await db.run("delete_lingering", self._jobs)
        if self.lingering:
            await db.run("linger", self.lingering)


async def forget_jobs(db: Connection, received_before: datetime, limit: int) -> int:
    """Forget finished jobs, oldest first; how many were forgotten."""
    await db.run("forget_late", instant_ms(received_before), FORGOTTEN_SMS)
    await db.run("forget_keys", FORGOTTEN_SMS, instant_ms(received_before - IDEMPOTENCY_WINDOW))
    until = first_job_number(received_before)
    step = _Step(limit)
    below: int = await db.value("hold_forgotten")
    reached = await _go_on(db, step, below, until)
    await step.write(db)
    if reached > below:
        await db.run("write_forgotten", reached)
    return step.count


async def _go_on(db: Connection, step: _Step, below: int, until: int) -> int:
    """Below which number all jobs have been looked at then."""
    for job in await db.query("lingered", until, step.limit):
        if not step.delete(*job):
            return below
    known = await partitions(db)
    while step.has_room:
        room = step.limit - step.count
        jobs = await db.query("jobs_between", below, until, room)
        for job, first_sms, sms_count, is_finished in jobs:
            if not is_finished:
                step.lingering.append(job)
            elif _goes_with_its_partition(job, known):
                step.count += 1
            elif not step.delete(job, first_sms, sms_count):
                return below
            below = job + 1
        if len(jobs) < room:
            # So that a partition goes though nothing came after it. Jobs that are just coming in are not passed by.
            return max(below, until - (IN_FLIGHT_MS << COUNTER_BITS))
    return below


def _goes_with_its_partition(job: int, known: Sequence[Partition]) -> bool:
    received = job >> COUNTER_BITS
    return any(each.since <= received < each.until and not each.row_by_row for each in known)


async def blank_texts(db: Connection, received_before: datetime, limit: int) -> int:
    """Delete the texts of finished jobs; how many jobs had some."""
    jobs = [row[0] for row in await db.query("jobs_with_texts", first_job_number(received_before), limit)]
    if jobs:
        await db.run("blank_messages", jobs)
        await db.run("blank_jobs", jobs)
    return len(jobs)


async def keep_in_order(database: Database, now: int, days: float) -> None:
    """Make partitions, and drop them; what stands in the way is left for the next time.

    now: in milliseconds. days: for how long jobs are kept.
    """
    try:
        await make_partitions(database, now, days)
        for number in await drop_partitions(database, now):
            log.info("store.partition_dropped", number=number)
        while await database.write(_sweep):
            pass
    except StoreUnavailable as error:
        log.warning("store.partitions_postponed", error=str(error))


async def _sweep(db: Connection) -> int:
    """Delete some of the forgotten jobs that lie in no partition; how many jobs that were."""
    below: int = await db.value("hold_forgotten")
    step = _Step(FORGOTTEN_SMS)
    for job in await db.query("rest_of_jobs", below, step.limit):
        if not step.delete(*job):
            break
    await step.write(db)
    return step.count
