"""GET /sms with other filters than jobId (contract, section 2)."""

import asyncio

import pytest

from heliograph.flow import search
from heliograph.store.memory import MemoryStore
from tests.fakes.clock import ManualClock
from tests.fakes.service import Service, a_job, basic

DAY = 86_400


@pytest.fixture
async def service() -> Service:
    service = Service(MemoryStore(), ManualClock())
    await service.add_account(rate_limit=None, country="DE")
    await service.add_account("other", rate_limit=None)
    return service


async def send(service: Service, *dsts: str, **options) -> str:
    recipients = [{"dst": dst, "customerRef": f"ref {place}"} for place, dst in enumerate(dsts or ("+4917612345678",))]
    job = {"options": options, "messages": [{"text": "Hello", "recipients": recipients}]}
    return (await service.send(job)).json()["jobId"]


async def found(service: Service, query: str, **keywords) -> list[str]:
    reply = await service.get(f"/sms?{query}", **keywords)
    assert reply.status == 200, reply.body
    return [report["dst"] for report in reply.json()]


@pytest.mark.parametrize(
    "dst", ["%2B4917612345678", "0049 176 12345678".replace(" ", "%20"), "0176-12345678", "4917612345678"]
)
async def test_a_number_is_read_in_any_usual_spelling(service, dst):
    await send(service, "+4917612345678", "+4917612345679")
    assert await found(service, f"dst={dst}") == ["+4917612345678"]


async def test_what_is_no_number_is_looked_for_as_it_was_sent(service):
    await send(service, "Bob", "bob")
    assert await found(service, "dst=bob") == ["bob"]


async def test_the_reference_is_the_recipients(service):
    await send(service, "+4917612345678", "+4917612345679", customerRef="ref 9")
    assert await found(service, "customerRef=ref%201") == ["+4917612345679"]
    assert await found(service, "customerRef=ref%209") == []


async def test_a_billcode_is_the_jobs(service):
    await send(service, "+4917612345678", billcode="x")
    await send(service, "+4917612345679", billcode="y")
    assert await found(service, "billcode=y") == ["+4917612345679"]


async def test_statuses_are_read_in_any_case_and_an_empty_one_is_one(service):
    await send(service, "+4917612345678", "12")
    assert await found(service, "processStatus=done") == ["12"]
    assert await found(service, "status=invalid_dst") == ["12"]
    assert await found(service, "status=") == ["+4917612345678"]
    assert await found(service, "status=&processStatus=Done") == []
    refused = await service.get("/sms?processStatus=lost&status=gone")
    assert (refused.status, refused.fields) == (400, ["processStatus", "status"])


async def test_the_newest_job_comes_first_and_a_page_begins_at_its_offset(service):
    for last in range(3):
        await send(service, *(f"+491761234567{last}{place}" for place in range(2)))
        await service.clock.advance(1)
    everything = await found(service, "status=")
    assert everything == [f"+491761234567{last}{place}" for last in (2, 1, 0) for place in range(2)]
    assert await found(service, "status=&offset=1&limit=3") == everything[1:4]
    assert await found(service, "status=&limit=0") == []


async def test_100_are_listed_unless_asked_otherwise(service):
    numbers = [f"+4917612{place:06d}" for place in range(150)]
    job_id = await send(service, *numbers)
    assert await found(service, "status=") == numbers[:100]
    assert await found(service, "status=&limit=1000") == numbers
    assert await found(service, f"jobId={job_id}") == numbers
    assert await found(service, f"jobId={job_id}&status=") == numbers[:100]
    assert await found(service, f"jobId={job_id}&offset=140") == numbers[140:]
    assert await found(service, f"jobId={job_id}&limit=2&offset=3") == numbers[3:5]


async def test_the_last_30_days_are_looked_at_unless_a_span_is_given(service):
    job_id = await send(service)
    await service.clock.advance(31 * DAY)
    assert await found(service, "status=") == []
    assert await found(service, "fromTs=2026-03-01T00:00Z") == ["+4917612345678"]
    assert await found(service, "toTs=2026-03-01T12:00Z") == []
    assert await found(service, f"jobId={job_id}&status=") == ["+4917612345678"]
    assert await found(service, f"jobId={job_id}&toTs=2026-03-01T12:00Z") == []
    refused = await service.get("/sms?fromTs=2026-03-01T00:00Z&toTs=2026-04-01T00:00Z")
    assert (refused.status, refused.fields) == (400, ["fromTs"])


async def test_a_job_id_and_other_filters_all_hold(service):
    job_id = await send(service, "+4917612345678", "12")
    await send(service, "12")
    assert await found(service, f"jobId={job_id}&dst=12") == ["12"]
    assert await found(service, f"jobId={job_id}&billcode=x") == []
    unknown = "J.20221116-102407.583-0lajfsfmoXIZJO93PQ"
    assert (await service.get(f"/sms?jobId={unknown}&dst=12")).status == 404
    assert (await service.get("/sms?jobId=x&dst=12")).fields == ["jobId"]


async def test_nothing_of_another_account_is_found(service):
    job_id = await send(service)
    assert await found(service, "status=", auth=basic("other")) == []
    assert (await service.get(f"/sms?jobId={job_id}&status=", auth=basic("other"))).status == 404


@pytest.mark.parametrize("query", ["", "?limit=10", "?offset=1", "?jobId=", "?dst=&billcode="])
async def test_without_any_filter_it_is_400(service, query):
    await send(service)
    refused = await service.get(f"/sms{query}")
    assert (refused.status, refused.fields) == (400, ["jobId"])


@pytest.mark.parametrize("query", ["limit=1001", "limit=-1", "offset=-1", "fromTs=now"])
async def test_what_is_out_of_range_is_400(service, query):
    assert (await service.get(f"/sms?status=&{query}")).status == 400


class SlowStore(MemoryStore):
    """A search never ends."""

    async def find_sms(self, query):
        await asyncio.Event().wait()


async def test_a_search_that_takes_too_long_is_given_up(monkeypatch):
    monkeypatch.setattr(search, "SEARCH_S", 0.01)
    service = Service(SlowStore(), ManualClock())
    await service.add_account(rate_limit=None)
    refused = await service.get("/sms?status=")
    assert refused.status == 400
    assert "shorter span" in refused.message


async def test_searches_that_find_no_room_come_back_later(monkeypatch):
    monkeypatch.setattr(search, "SEARCHES_WAITING", 0)
    service = Service(MemoryStore(), ManualClock())
    await service.add_account(rate_limit=None)
    refused = await service.get("/sms?status=")
    assert (refused.status, refused.headers["retry-after"]) == (503, "5")
    assert (await service.send(a_job())).status == 201
