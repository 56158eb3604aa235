"""DELETE /jobs/{jobId} (contract, section 2)."""

import pytest

from heliograph.store.memory import MemoryStore
from tests.fakes.clock import ManualClock
from tests.fakes.service import Service, a_job, basic


@pytest.fixture
async def service() -> Service:
    service = Service(MemoryStore(), ManualClock())
    await service.add_account(rate_limit=None)
    await service.add_account("other", rate_limit=None)
    return service


async def send(service: Service, **job) -> str:
    return (await service.send(a_job(**job))).json()["jobId"]


async def cancel(service: Service, job_id: str, **keywords):
    return await service.call("DELETE", f"/rest/v1/jobs/{job_id}", **keywords)


async def test_a_cancelled_job_is_answered_finished(service):
    job_id = await send(service)
    await service.clock.advance(1.5)
    reply = await cancel(service, job_id)
    assert (reply.status, reply.json()["finishedTs"]) == (200, "2026-03-01T12:00:01.500Z")
    assert reply.json() == (await service.get(f"/jobs/{job_id}")).json()
    (sms,) = (await service.get(f"/sms?jobId={job_id}")).json()
    assert (sms["processStatus"], sms["status"], sms["reason"]) == ("CANCELED", "", "")
    assert sms["finishedTs"] == "2026-03-01T12:00:01.500Z"
    assert "sentTs" not in sms


async def test_done_again_it_answers_the_same(service):
    job_id = await send(service)
    first = await cancel(service, job_id)
    await service.clock.advance(60)
    assert (await cancel(service, job_id)).json() == first.json()


async def test_a_job_that_is_finished_stays_as_it_is(service):
    job_id = await send(service, dst="12")
    before = (await service.get(f"/sms?jobId={job_id}")).json()
    assert (await cancel(service, job_id)).status == 200
    assert (await service.get(f"/sms?jobId={job_id}")).json() == before


async def test_an_unknown_job_is_404_and_so_is_another_accounts(service):
    job_id = await send(service)
    assert (await cancel(service, job_id, auth=basic("other"))).status == 404
    assert (await cancel(service, "J.20221116-102407.583-0lajfsfmoXIZJO93PQ")).status == 404
    assert "finishedTs" not in (await service.get(f"/jobs/{job_id}")).json()


@pytest.mark.parametrize("job_id", ["x", "J.1", "J." + "x" * 39])
async def test_what_is_no_job_id_is_400(service, job_id):
    refused = await cancel(service, job_id)
    assert (refused.status, refused.fields) == (400, ["jobId"])


async def test_what_is_cancelled_is_counted(service):
    await cancel(service, await send(service))
    count = service.api._metrics.registry.get_sample_value
    assert count("heliograph_parts_finished_total", {"status": "CANCELED"}) == 1


async def test_what_is_blocked_when_it_comes_in_is_counted(service):
    await service.call("PUT", "/rest/v1/blocklist/+4917612345678")
    await send(service)
    count = service.api._metrics.registry.get_sample_value
    assert count("heliograph_parts_finished_total", {"status": "BLOCKED"}) == 1
