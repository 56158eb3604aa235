"""What phones have sent since somebody last asked."""

import pytest

from heliograph.flow import arrivals
from heliograph.flow.arrivals import Arrivals
from heliograph.store.memory import MemoryStore
from tests.fakes.builders import NOW, after, an_account, an_arrival
from tests.fakes.clock import ManualClock

OURS = an_account(id=1)


class Asked:
    """An account that asks, and brings along what it was answered."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.clock = ManualClock()
        self.arrivals = Arrivals(self.store, self.clock)
        self.heard = None

    async def receive(self, text: str, at: float, owner: int = 1) -> None:
        await self.store.record_inbound("sandbox", [an_arrival(text, owner=owner, at=after(at))])

    async def ask(self) -> list[str]:
        news, self.heard = await self.arrivals.since(OURS, self.heard)
        return [sms.text for sms in news]


@pytest.fixture
async def asked() -> Asked:
    asked = Asked()
    await asked.receive("before", at=-1)
    assert await asked.ask() == []
    return asked


async def test_each_is_told_once_and_the_oldest_first(asked):
    await asked.receive("one", at=1)
    await asked.receive("two", at=2)
    await asked.clock.advance(10)
    assert await asked.ask() == ["one", "two"]
    await asked.receive("three", at=3)
    assert await asked.ask() == ["three"]
    assert await asked.ask() == []


async def test_another_accounts_are_not_told(asked):
    await asked.receive("theirs", at=1, owner=2)
    await asked.clock.advance(10)
    assert await asked.ask() == []


async def test_one_that_is_stored_late_is_told_all_the_same(asked):
    await asked.clock.advance(1000)
    assert await asked.ask() == []
    await asked.receive("late", at=200)
    assert await asked.ask() == ["late"]
    assert await asked.ask() == []


async def test_many_come_in_pages_and_none_is_left_out_or_told_twice(asked, monkeypatch):
    monkeypatch.setattr(arrivals, "PAGE", 10)
    sent = [f"sms {number}" for number in range(64)]
    for number, text in enumerate(sent):
        await asked.receive(text, at=1 + number)
    await asked.clock.advance(86_400)
    told, asks = [], 0
    while news := await asked.ask():
        assert len(news) < 10
        told += news
        asks += 1
    assert told == sent
    assert asks < 20


async def test_what_was_told_does_not_hide_what_is_stored_late_in_great_number(asked, monkeypatch):
    monkeypatch.setattr(arrivals, "PAGE", 10)
    await asked.receive("early bird", at=800)
    await asked.clock.advance(850)
    assert await asked.ask() == ["early bird"]
    late = [f"late {number}" for number in range(40)]
    for number, text in enumerate(late):
        await asked.receive(text, at=100 + number)
    told = []
    while news := await asked.ask():
        told += news
    assert told == late


async def test_a_clock_that_went_back_loses_nothing(asked):
    await asked.clock.advance(100)
    await asked.ask()
    asked.clock = ManualClock()
    assert asked.clock.now() == NOW
    asked.arrivals = Arrivals(asked.store, asked.clock)
    assert await asked.ask() == []
    await asked.receive("after all", at=101)
    await asked.clock.advance(200)
    assert await asked.ask() == ["after all"]
