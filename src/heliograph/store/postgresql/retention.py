"""How what is old is deleted. Several nodes may do it at once: each takes what the others leave."""

from datetime import datetime

from heliograph.store.interface import IDEMPOTENCY_WINDOW
from heliograph.store.postgresql.connection import Connection
from heliograph.store.rows import first_job_number, instant_ms

FORGOTTEN_SMS = 5000
"""How many SMS are deleted in one step at most, give or take a job: in tens of milliseconds."""


async def forget_jobs(db: Connection, received_before: datetime, limit: int) -> int:
    """Delete finished jobs, oldest first; how many were deleted."""
    await db.run("forget_late", instant_ms(received_before), FORGOTTEN_SMS)
    await db.run("forget_keys", FORGOTTEN_SMS, instant_ms(received_before - IDEMPOTENCY_WINDOW))
    jobs: list[int] = []
    ranges: list[tuple[int, int]] = []
    sms_total = 0
    for job, first_sms, sms_count in await db.query("old_jobs", first_job_number(received_before), limit):
        if jobs and sms_total + sms_count > FORGOTTEN_SMS:
            break
        sms_total += sms_count
        jobs.append(job)
        ranges.append((first_sms, first_sms + sms_count))
    if jobs:
        await db.run_rows("delete_sms", ranges)
        await db.run_rows("delete_late", ranges)
        await db.run("delete_messages", jobs)
        await db.run("delete_jobs", jobs)
    return len(jobs)


async def blank_texts(db: Connection, received_before: datetime, limit: int) -> int:
    """Delete the texts of finished jobs; how many jobs had some."""
    jobs = [row[0] for row in await db.query("jobs_with_texts", first_job_number(received_before), limit)]
    if jobs:
        await db.run("blank_messages", jobs)
        await db.run("blank_jobs", jobs)
    return len(jobs)
