"""GET /jobs (contract, "Listing")."""

from datetime import UTC

import pytest

from heliograph.store.memory import MemoryStore
from tests.fakes.clock import ManualClock
from tests.fakes.service import Service, a_job

DAY = 86_400


@pytest.fixture
async def service() -> Service:
    service = Service(MemoryStore(), ManualClock())
    await service.add_account(rate_limit=None)
    return service


async def send(service: Service, **job) -> str:
    return (await service.send(a_job(**job))).json()["jobId"]


async def ids(service: Service, query: str = "") -> list[str]:
    reply = await service.get(f"/jobs?jobIdsOnly=true&{query}")
    assert reply.status == 200, reply.body
    assert all(set(job) == {"jobId"} for job in reply.json())
    return [job["jobId"] for job in reply.json()]


def stamp(service: Service) -> str:
    return service.clock.now().astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


async def test_jobs_are_listed_newest_first(service):
    sent = []
    for _ in range(3):
        sent.append(await send(service))
        await service.clock.advance(1)
    assert await ids(service) == sent[::-1]


async def test_jobs_of_the_same_instant_are_listed_in_one_order(service):
    sent = {await send(service) for _ in range(5)}
    listed = await ids(service)
    assert set(listed) == sent
    assert [await ids(service, f"offset={n}&limit=1") for n in range(5)] == [[each] for each in listed]


async def test_whole_reports_are_listed_on_request(service):
    job_id = await send(service)
    (report,) = (await service.get("/jobs?jobIdsOnly=false")).json()
    assert report == (await service.get(f"/jobs/{job_id}")).json()


async def test_the_span_holds_its_beginning_and_not_its_end(service):
    begin = stamp(service)
    first = await send(service)
    await service.clock.advance(10)
    end = stamp(service)
    second = await send(service)
    assert await ids(service, f"fromTs={begin}&toTs={end}") == [first]
    assert await ids(service, f"fromTs={end}") == [second]
    assert await ids(service, f"toTs={end}") == [first]
    assert await ids(service, f"fromTs={end}&toTs={end}") == []


async def test_without_a_span_the_last_30_days_are_listed(service):
    old = await send(service)
    await service.clock.advance(30 * DAY)
    assert await ids(service) == [old]
    await service.clock.advance(0.001)
    assert await ids(service) == []


async def test_one_end_alone_reaches_30_days(service):
    begin = stamp(service)
    first = await send(service)
    await service.clock.advance(30 * DAY - 1)
    second = await send(service)
    await service.clock.advance(1)
    end = stamp(service)
    third = await send(service)
    assert await ids(service, f"fromTs={begin}") == [second, first]
    assert await ids(service, f"toTs={end}") == [second, first]
    assert await ids(service) == [third, second, first]


async def test_30_days_may_be_asked_for_and_no_more(service):
    assert await ids(service, "fromTs=2026-03-01T00:00Z&toTs=2026-03-31T00:00Z") == []
    reply = await service.get("/jobs?jobIdsOnly=true&fromTs=2026-03-01T00:00Z&toTs=2026-03-31T00:00:00.001Z")
    assert (reply.status, reply.fields) == (400, ["fromTs"])
    assert "at most 30 days" in reply.message


async def test_a_span_in_the_wrong_order_is_400(service):
    reply = await service.get("/jobs?jobIdsOnly=true&fromTs=2026-03-02T00:00Z&toTs=2026-03-01T00:00Z")
    assert (reply.status, reply.fields) == (400, ["fromTs"])


@pytest.mark.parametrize("query", ["fromTs=0001-01-01T00:00Z", "toTs=0001-01-01T00:00Z", "fromTs=9999-12-31T23:59Z"])
async def test_the_ends_of_time_may_be_asked_for(service, query):
    assert await ids(service, query) == []


async def test_a_list_is_read_in_pages(service):
    sent = []
    for _ in range(7):
        sent.append(await send(service))
        await service.clock.advance(1)
    newest = sent[::-1]
    assert await ids(service, "limit=3") == newest[:3]
    assert await ids(service, "limit=3&offset=3") == newest[3:6]
    assert await ids(service, "limit=3&offset=6") == newest[6:]
    assert await ids(service, "offset=7") == []
    assert await ids(service, "limit=0") == []


async def test_a_hundred_are_listed_if_nothing_else_is_said(service):
    for _ in range(101):
        await send(service)
    assert len(await ids(service)) == 100
    assert len(await ids(service, "limit=1000")) == 101


async def test_open_keeps_jobs_with_an_sms_that_is_not_final(service):
    waiting, done = await send(service), await send(service, dst="no number")
    assert await ids(service, "open=true") == [waiting]
    assert set(await ids(service, "open=false")) == {waiting, done}
    assert set(await ids(service)) == {waiting, done}


async def test_without_jobids_only_it_is_400(service):
    reply = await service.get("/jobs")
    assert (reply.status, reply.fields) == (400, ["jobIdsOnly"])


async def test_every_parameter_at_fault_is_named(service):
    reply = await service.get("/jobs?jobIdsOnly=maybe&limit=1001&offset=-1&fromTs=yesterday")
    assert reply.fields == ["jobIdsOnly", "fromTs", "offset", "limit"]
