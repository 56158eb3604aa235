"""GET /triggers/sms-received: a flow that asks for what phones have sent."""

import pytest

from heliograph.store.memory import MemoryStore
from tests.fakes.builders import after, an_arrival
from tests.fakes.clock import ManualClock
from tests.fakes.service import Service

HOST = {"host": "sms.example.com", "x-forwarded-proto": "https"}


@pytest.fixture
async def service() -> Service:
    service = Service(MemoryStore(), ManualClock())
    await service.add_account(rate_limit=None)
    return service


async def ask(service: Service, location: str | None = None):
    path = (location or "/rest/v1/triggers/sms-received").removeprefix("https://sms.example.com")
    return await service.call("GET", path, headers=HOST)


async def test_without_news_it_is_202_and_where_and_when_to_ask_again(service):
    reply = await ask(service)
    assert (reply.status, reply.json()) == (202, [])
    assert reply.headers["location"].startswith("https://sms.example.com/rest/v1/triggers/sms-received?state=")
    assert reply.headers["retry-after"] == "60"


async def test_news_are_200_and_then_there_are_none(service):
    begun = await ask(service)
    await service.store.record_inbound("sandbox", [an_arrival("Hello", owner=1, at=after(1))])
    await service.clock.advance(60)
    news = await ask(service, begun.headers["location"])
    assert news.status == 200
    assert news.json() == (await service.get("/inbound")).json()
    assert "retry-after" not in news.headers
    assert (await ask(service, news.headers["location"])).status == 202


async def test_asked_again_in_the_same_place_it_answers_the_same(service):
    begun = await ask(service)
    await service.store.record_inbound("sandbox", [an_arrival("Hello", owner=1, at=after(1))])
    await service.clock.advance(60)
    answers = [(await ask(service, begun.headers["location"])).json() for _ in range(2)]
    assert answers[0] == answers[1] != []


async def test_a_state_that_nobody_was_given_is_refused(service):
    reply = await ask(service, "/rest/v1/triggers/sms-received?state=yesterday")
    assert reply.status == 400
    assert reply.fields == ["state"]


async def test_it_needs_credentials(service):
    assert (await service.get("/triggers/sms-received", auth=None)).status == 401
