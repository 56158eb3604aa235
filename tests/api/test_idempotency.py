"""Idempotency-Key on POST /jobs (contract, section 2)."""

import asyncio

import pytest

from heliograph.store.memory import MemoryStore
from tests.fakes.clock import ManualClock
from tests.fakes.service import Service, a_job, basic
from tests.flow.stores import StoreOnClock

DAY = 86_400


@pytest.fixture
async def service() -> Service:
    clock = ManualClock()
    service = Service(StoreOnClock(MemoryStore(), clock), clock)
    await service.add_account(rate_limit=None)
    await service.add_account("other", rate_limit=None)
    return service


async def send(service: Service, key: str = "key", body: object = None, **keywords):
    return await service.send(a_job() if body is None else body, headers={"Idempotency-Key": key}, **keywords)


async def jobs(service: Service) -> list[str]:
    return [job["jobId"] for job in (await service.get("/jobs?jobIdsOnly=true")).json()]


async def test_the_same_request_again_is_answered_as_the_first_time(service):
    first, again = await send(service), await send(service, '"key"')
    assert (first.status, again.status) == (201, 201)
    assert again.json() == first.json()
    assert again.headers["location"] == first.headers["location"]
    assert await jobs(service) == [first.json()["jobId"]]


async def test_it_is_counted_once(service):
    await send(service)
    await send(service)
    count = service.api._metrics.registry.get_sample_value
    assert count("heliograph_jobs_accepted_total") == 1
    assert count("heliograph_sms_accepted_total") == 1


async def test_another_request_with_the_key_is_409_that_names_the_first_job(service):
    first = await send(service)
    refused = await send(service, body=a_job("Bye"))
    assert refused.status == 409
    assert first.json()["jobId"] in refused.message
    assert await jobs(service) == [first.json()["jobId"]]


async def test_null_is_the_same_as_absent_and_5_as_5_0(service):
    first = await send(service, body=a_job(validityMin=5))
    again = await send(service, body={**a_job(validityMin=5.0, billcode=None), "x": None})
    assert again.json() == first.json()


async def test_the_same_request_while_the_first_is_under_way_is_409(service):
    await jobs(service)
    await service.get("/jobs?jobIdsOnly=true", auth=basic("other"))  # Both passwords are known from here on.
    service.store.answers_late_s = {"add_job": 5.0}
    calls = [
        asyncio.ensure_future(call)
        for call in (send(service), send(service), send(service, "another"), send(service, auth=basic("other")))
    ]
    await service.clock.advance(6)
    first, second, *others = await asyncio.gather(*calls)
    assert first.status == 201
    assert second.status == 409
    assert "under way" in second.message
    assert [reply.status for reply in others] == [201, 201]
    service.store.answers_late_s = {}
    assert (await send(service)).json() == first.json()


async def test_a_key_is_looked_at_before_duplicate_detection(service):
    body = a_job(duplicateDetection=True)
    first = await send(service, body=body)
    assert (await send(service, body=body)).json() == first.json()
    assert (await send(service, "another", body)).status == 409


async def test_a_refused_request_uses_up_no_key(service):
    await service.send(a_job(duplicateDetection=True))
    for refused, status in (
        ({"messages": []}, 400),
        (a_job("日本", invalidCharacters="REFUSE"), 422),
        (a_job(duplicateDetection=True), 409),
    ):
        assert (await send(service, body=refused)).status == status
    service.store.away = ("add_job",)
    assert (await send(service)).status == 503
    service.store.away = ()
    assert (await send(service, body=a_job("Bye"))).status == 201


async def test_a_key_is_each_accounts_own(service):
    first, other = await send(service), await send(service, auth=basic("other"))
    assert other.status == 201
    assert other.json() != first.json()


async def test_a_key_is_forgotten_after_24_hours(service):
    first = await send(service)
    await service.clock.advance(DAY - 0.001)
    assert (await send(service)).json() == first.json()
    await service.clock.advance(0.001)
    assert (await send(service)).json() != first.json()


async def test_the_header_with_nothing_in_it_is_no_key(service):
    first, second = await send(service, " "), await send(service, " ")
    assert (first.status, second.status) == (201, 201)
    assert first.json() != second.json()


@pytest.mark.parametrize("key", ['""', "k" * 256, "a b", "ü", '"a'])
async def test_what_is_no_key_is_400(service, key):
    refused = await send(service, key)
    assert (refused.status, refused.fields) == (400, ["Idempotency-Key"])
    assert await jobs(service) == []


async def test_a_key_means_nothing_elsewhere(service):
    assert (await service.get("/jobs?jobIdsOnly=true", headers={"Idempotency-Key": '"'})).status == 200
