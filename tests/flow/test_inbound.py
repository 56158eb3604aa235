"""SMS from phones (contract, section 2, `GET /inbound` and `/blocklist`)."""

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta

import msgspec
import pytest
import structlog

from heliograph.carriers.interface import InboundCarrier
from heliograph.flow.inbound import GIVING_UP_S, MAX_BATCH, follow_inbound, give_up_missing_parts, pass_on_lookalikes
from heliograph.jobs.accounts import AccountId
from heliograph.jobs.inbound import NOBODY, REASSEMBLY_TIMEOUT
from heliograph.jobs.status import ProcessStatus, Status
from heliograph.metrics import Metrics
from heliograph.store.interface import PARKED_FOR, InboundQuery, ReceiptNews
from heliograph.store.memory import MemoryStore
from tests.fakes.builders import NOW, a_plan, a_planned_sms, after, an_account, an_inbound_part
from tests.fakes.clock import ManualClock, settle
from tests.fakes.ids import SeededIds
from tests.flow.stores import ALL, StoreOnClock
from tests.store.conformance import send


class Phones:
    """A carrier of whatever phones send; what isn't acknowledged is given again."""

    name = "acme"

    def __init__(self) -> None:
        self.waiting = []
        self._there = asyncio.Event()

    def send(self, *parts) -> None:
        self.waiting += parts
        self._there.set()

    @asynccontextmanager
    async def inbound(self):
        while not self.waiting:
            self._there.clear()
            await self._there.wait()
        given = [*self.waiting]
        yield given
        del self.waiting[: len(given)]


class Inbound:
    """What a test needs in its hands."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.memory = MemoryStore()
        self.store = StoreOnClock(self.memory, self.clock)
        self.phones = Phones()
        self.metrics = Metrics()

    async def of(self, account: int):
        query = InboundQuery(AccountId(account), NOW - timedelta(1), NOW + timedelta(9), 0, 1000)
        return await self.memory.find_inbound(query)

    async def texts(self, account: int = 1) -> list[str]:
        return [sms.text for sms in await self.of(account)]

    def finished(self, name: str) -> float:
        return self.metrics.registry.get_sample_value(name) or 0


@asynccontextmanager
async def inbound(owners=None):
    """A follower of what phones send, and somebody who gives up what is missing, on a clock that the test moves."""
    flow = Inbound()
    for name in ("one", "two"):
        await flow.memory.put_account(an_account(name))
    async with asyncio.TaskGroup() as group:
        follower = follow_inbound(flow.phones, flow.store, flow.clock, SeededIds(), flow.metrics, owners or {})
        tasks = [
            group.create_task(follower),
            group.create_task(give_up_missing_parts(flow.store, flow.clock, flow.metrics)),
            group.create_task(pass_on_lookalikes(flow.store, flow.clock, SeededIds(), flow.metrics, owners or {})),
        ]
        await settle()
        yield flow
        for task in tasks:
            task.cancel()


def test_the_phones_are_a_carrier():
    assert isinstance(Phones(), InboundCarrier)


async def test_an_sms_belongs_to_the_account_that_the_configuration_gives_its_number_to():
    async with inbound({"+4915735982222": "two", "80100": "one"}) as flow:
        flow.phones.send(an_inbound_part("a"), an_inbound_part("b", dst="80100"), an_inbound_part("c", dst="80200"))
        await settle()
        assert await flow.texts(account=2) == ["a"]
        assert await flow.texts(account=1) == ["b"]
        assert await flow.texts(account=NOBODY) == ["c"]
        assert flow.finished("heliograph_inbound_sms_total") == 3


async def test_a_number_is_the_same_in_whatever_way_the_carrier_spells_it():
    async with inbound({"+4915735982222": "two"}) as flow:
        flow.phones.send(an_inbound_part(dst="4915735982222", src="004917612345678"))
        await settle()
        (sms,) = await flow.of(2)
        assert (sms.src, sms.dst) == ("+4917612345678", "+4915735982222")


async def test_else_it_belongs_to_the_account_that_last_wrote_to_the_phone():
    async with inbound() as flow:
        await send(flow.memory, a_plan(a_planned_sms("+4917612345678"), account=2))
        flow.phones.send(an_inbound_part(src="4917612345678"))
        await settle()
        assert await flow.texts(account=2) == ["Hello"]


async def test_what_belongs_to_an_account_that_is_not_there_is_nobody_s():
    async with inbound({"+4915735982222": "three"}) as flow:
        await send(flow.memory, a_plan(a_planned_sms("+4917612345678"), account=1))
        flow.phones.send(an_inbound_part())
        await settle()
        assert await flow.texts(account=NOBODY) == ["Hello"]
        await flow.memory.put_account(an_account("three"))
        flow.phones.send(an_inbound_part("Hello again"))
        await settle()
        assert await flow.texts(account=3) == ["Hello again"]


async def test_parts_are_acknowledged_only_when_they_are_stored():
    async with inbound({"+4915735982222": "one"}) as flow:
        flow.store.latency_s = lambda: 1.0
        flow.phones.send(an_inbound_part())
        await flow.clock.advance(2.5)
        assert len(flow.phones.waiting) == 1
        await flow.clock.advance(2)
        assert flow.phones.waiting == []
        assert await flow.texts() == ["Hello"]


async def test_parts_that_come_while_the_store_is_away_come_again():
    async with inbound({"+4915735982222": "one"}) as flow:
        flow.store.away = ALL
        flow.phones.send(an_inbound_part())
        await flow.clock.advance(60)
        assert len(flow.phones.waiting) == 1
        flow.store.away = ()
        await flow.clock.advance(2)
        assert flow.phones.waiting == []
        assert await flow.texts() == ["Hello"]


async def test_parts_that_were_stored_and_not_acknowledged_are_no_other_sms():
    async with inbound({"+4915735982222": "one"}) as flow:
        flow.store.unsaid = ("record_inbound",)
        flow.phones.send(an_inbound_part("1", part=1, parts=2), an_inbound_part("2", part=2, parts=2))
        await flow.clock.advance(0.5)
        flow.store.unsaid = ()
        await flow.clock.advance(2)
        assert flow.phones.waiting == []
        assert await flow.texts() == ["12"]


async def test_missing_parts_are_given_up_after_a_day():
    timeout_s = REASSEMBLY_TIMEOUT.total_seconds()
    async with inbound({"+4915735982222": "one"}) as flow:
        flow.phones.send(an_inbound_part("half", part=1, parts=2, at=after(1)))
        await flow.clock.advance(timeout_s)
        assert await flow.texts() == []
        flow.store.away = ALL
        await flow.clock.advance(2 * GIVING_UP_S)
        flow.store.away = ()
        await flow.clock.advance(GIVING_UP_S)
        (sms,) = await flow.of(1)
        assert sms.text == "half[…]"
        assert sms.received_at == after(timeout_s + 3 * GIVING_UP_S)


async def test_stop_ends_what_waits_for_the_phone():
    async with inbound() as flow:
        await send(flow.memory, a_plan(a_planned_sms("+4917612345678")))
        plan = a_plan(a_planned_sms("+4917612345678", due=after(60)))
        await flow.memory.add_job(plan)
        flow.phones.send(an_inbound_part("Stop"))
        await settle()
        (sms,) = await flow.memory.sms_of_job(plan.account, plan.job_id)
        assert (sms.progress.process_status, sms.progress.status) == (ProcessStatus.DONE, Status.BLOCKED)
        finished = flow.metrics.registry.get_sample_value("heliograph_parts_finished_total", {"status": "BLOCKED"})
        assert finished == 1


@pytest.mark.parametrize(("src", "national"), [("017612345678", False), ("017612345678", True), ("17612345678", True)])
@pytest.mark.parametrize("owners", [{"+4915735982222": "three"}, {}])
async def test_stop_from_a_national_number_is_read_with_the_country_of_its_account(src, national, owners):
    async with inbound(owners) as flow:
        account = await flow.memory.put_account(an_account("three", country="DE"))
        await send(flow.memory, a_plan(a_planned_sms("+4917612345678"), account=account.id))
        flow.phones.send(msgspec.structs.replace(an_inbound_part("STOP", src=src), src_national=national))
        await settle()
        assert [sms.src for sms in await flow.of(account.id)] == ["+4917612345678"]
        assert await flow.memory.blocked(account.id, "+4917612345678")


@pytest.mark.parametrize("src", ["6142345678", "4422071234", "3105551234"])
async def test_a_stop_that_can_not_be_kept_blocks_nobody_and_is_told(src):
    async with inbound({"+4915735982222": "one"}) as flow:
        with structlog.testing.capture_logs() as logs:
            flow.phones.send(msgspec.structs.replace(an_inbound_part("Stop", src=src), src_national=True))
            await settle()
        (sms,) = await flow.of(1)
        assert sms.src == src
        assert await flow.memory.blocked_among(AccountId(1), {src, f"+{src}"}) == set()
    [told] = [each for each in logs if each["event"] == "inbound.wish_not_kept"]
    assert (told["sms_id"], told["wish"]) == (sms.sms_id, "stop")
    assert "country" in told["remedy"]
    assert src not in str(told)


async def test_a_stop_that_is_nobody_s_is_told():
    async with inbound() as flow:
        with structlog.testing.capture_logs() as logs:
            flow.phones.send(an_inbound_part("Stop"))
            await settle()
    assert [each["event"] for each in logs] == ["inbound.for_nobody", "inbound.wish_not_kept"]


async def test_a_number_that_the_configuration_names_as_the_carrier_does_is_known():
    async with inbound({"4422071234": "one"}) as flow:
        flow.phones.send(msgspec.structs.replace(an_inbound_part(dst="4422071234"), dst_national=True))
        flow.phones.send(an_inbound_part(dst="+4422071234"))
        await settle()
        assert [sms.dst for sms in await flow.of(1)] == ["+4422071234", "4422071234"]


async def test_instants_are_kept_in_milliseconds():
    async with inbound({"+4915735982222": "one"}) as flow:
        flow.phones.send(msgspec.structs.replace(an_inbound_part(), received_at=after(0.0123456)))
        await settle()
        assert (await flow.of(1))[0].received_at == after(0.012)


# What reads like a receipt


def like_a_receipt(text: str, **part) -> ReceiptNews:
    written = an_inbound_part(text, **part)
    return ReceiptNews("", Status.SUC_FIN, "yes", written.received_at, ("m1",), (written.src,), text=written)


async def test_what_reads_like_a_receipt_and_is_for_no_sms_is_told_as_one_from_a_phone():
    async with inbound({"+4915735982222": "two"}) as flow:
        await flow.memory.record_receipts("acme", [like_a_receipt("id:m1 stat:DELIVRD", src="4917612345678")])
        await flow.clock.advance(PARKED_FOR.total_seconds() - 1)
        assert await flow.texts(2) == []
        with structlog.testing.capture_logs() as logs:
            await flow.clock.advance(GIVING_UP_S + 1)
        (sms,) = await flow.of(2)
        assert (sms.src, sms.text) == ("+4917612345678", "id:m1 stat:DELIVRD")
        assert sms.received_at >= NOW + PARKED_FOR, "who polls by the time when it came misses none"
        (line,) = (each for each in logs if each["event"] == "inbound.like_receipts")
        assert (line["carrier"], line["sms_count"]) == ("acme", 1)
        assert "unflagged_receipts" in line["remedy"]
        assert "DELIVRD" not in str(logs)
        await flow.clock.advance(3 * GIVING_UP_S)
        assert len(await flow.of(2)) == 1


async def test_stop_in_what_reads_like_a_receipt_is_none():
    async with inbound() as flow:
        await send(flow.memory, a_plan(a_planned_sms("+4917612345678"), account=1))
        await flow.memory.record_receipts("acme", [like_a_receipt("id:m1 stat:DELIVRD text:STOP")])
        await flow.clock.advance(PARKED_FOR.total_seconds() + GIVING_UP_S)
        assert len(await flow.texts(1)) == 1
        assert await flow.memory.blocked(AccountId(1), "+4917612345678") is None


@pytest.mark.parametrize("fault", ["away", "unsaid"])
async def test_a_lookalike_is_told_once_whatever_the_store_does(fault):
    async with inbound({"+4915735982222": "two"}) as flow:
        news = [like_a_receipt(f"id:m1 stat:DELIVRD {number}") for number in range(MAX_BATCH + 5)]
        await flow.memory.record_receipts("acme", news)
        setattr(flow.store, fault, ("record_inbound",))
        await flow.clock.advance(PARKED_FOR.total_seconds() + 5 * GIVING_UP_S)
        setattr(flow.store, fault, ())
        await flow.clock.advance(30 * GIVING_UP_S)
        told = await flow.texts(2)
        assert len(set(told)) == len(told) == len(news)
