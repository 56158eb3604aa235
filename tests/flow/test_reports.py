"""Contract: section 1, "Reports"; accounts never see each other's jobs."""

from datetime import timedelta

import pytest

from heliograph.flow.reports import Reports
from heliograph.jobs.errors import JobUnknown
from heliograph.store.interface import JobQuery
from heliograph.store.memory import MemoryStore
from tests.fakes.builders import NOW, a_plan, a_planned_sms, after, an_account

OURS, THEIRS = an_account("ours", id=1), an_account("theirs", id=2)


async def kept(*plans):
    store = MemoryStore()
    for plan in plans:
        await store.add_job(plan)
    return Reports(store)


async def test_a_job_can_be_read_back():
    plan = a_plan()
    reports = await kept(plan)
    assert (await reports.job(OURS, plan.job_id)).job_id == plan.job_id


async def test_sms_come_in_the_order_of_the_request():
    plan = a_plan(a_planned_sms("+4366012345"), a_planned_sms("+4917612345678"))
    reports = await kept(plan)
    sms = await reports.sms_of_job(OURS, plan.job_id)
    assert [(each.index, each.dst) for each in sms] == [(0, "+4366012345"), (1, "+4917612345678")]


@pytest.mark.parametrize("question", ["job", "sms_of_job"])
async def test_another_account_s_job_is_as_unknown_as_one_that_never_was(question):
    plan = a_plan()
    reports = await kept(plan)
    with pytest.raises(JobUnknown, match=plan.job_id):
        await getattr(reports, question)(THEIRS, plan.job_id)
    with pytest.raises(JobUnknown):
        await getattr(reports, question)(OURS, "J.20221116-102407.583-0lajfsfmoXIZJO93PQ")


async def test_jobs_are_listed_newest_first():
    first, second = a_plan(), a_plan(at=after(10))
    reports = await kept(first, second, a_plan(account=2))
    query = JobQuery(OURS.id, NOW, NOW + timedelta(days=1), open_only=False, offset=0, limit=100)
    assert [job.job_id for job in await reports.find_jobs(query)] == [second.job_id, first.job_id]
