"""Contract: section 1, `POST /jobs`: 201 means durable, and a refused job leaves nothing behind."""

import asyncio

import msgspec
import pytest

from heliograph.flow.accept import PLAN_ASIDE_RECIPIENTS, Acceptor
from heliograph.gsm.transliteration import InvalidCharacters
from heliograph.jobs.errors import CharactersRefused, JobDuplicate, SpendingLimitReached, StoreUnavailable
from heliograph.jobs.naming import is_job_id
from heliograph.jobs.options import JobOptions
from heliograph.jobs.request import JobRequest, Message, Recipient
from heliograph.jobs.routing import Routing
from heliograph.jobs.status import Status
from heliograph.metrics import Metrics
from heliograph.store.memory import MemoryStore
from tests.fakes.builders import NOW, after, an_account, numbers
from tests.fakes.clock import ManualClock, settle
from tests.fakes.ids import SeededIds
from tests.flow.stores import ALL, StoreOnClock

ACCOUNT = an_account(id=1)


class Desk:
    def __init__(self):
        self.clock, self.metrics, self.memory = ManualClock(), Metrics(), MemoryStore()
        self.store = StoreOnClock(self.memory, self.clock)
        self.acceptor = Acceptor(self.store, Routing([], "acme"), self.clock, SeededIds(), self.metrics)

    async def accept(self, request):
        return await self.acceptor.accept(request, ACCOUNT)

    def jobs(self):
        return list(self.memory._jobs)


@pytest.fixture
def desk():
    return Desk()


def a_request(*dsts, text="Hello", fingerprint=b"same", **options):
    recipients = tuple(Recipient(dst, dst) for dst in dsts or numbers(1))
    return JobRequest(JobOptions(**options), (Message(text, recipients),), fingerprint)


async def test_an_accepted_job_has_an_id_and_is_kept(desk):
    job_id = await desk.accept(a_request())
    assert is_job_id(job_id)
    assert (await desk.store.job(1, job_id)).received_at == NOW


async def test_an_id_is_given_only_for_a_job_that_is_kept(desk):
    desk.store.latency_s = lambda: 1.0
    accepting = asyncio.ensure_future(desk.accept(a_request()))
    await desk.clock.advance(1.5)
    assert desk.jobs()
    assert not accepting.done()
    await desk.clock.advance(1)
    await settle()
    assert desk.jobs() == [accepting.result()]


async def test_the_instant_of_receipt_is_in_whole_milliseconds(desk):
    await desk.clock.advance(0.001999)
    job_id = await desk.accept(a_request())
    assert (await desk.store.job(1, job_id)).received_at == after(0.001)


async def test_a_job_refused_for_its_characters_leaves_nothing_behind(desk):
    with pytest.raises(CharactersRefused):
        await desk.accept(a_request(text="日本", invalid_characters=InvalidCharacters.REFUSE))
    assert desk.jobs() == []
    assert desk.metrics.registry.get_sample_value("heliograph_jobs_accepted_total") == 0


async def test_a_duplicate_is_refused_with_the_first_job_s_id(desk):
    first = await desk.accept(a_request(duplicate_detection=True))
    with pytest.raises(JobDuplicate) as refusal:
        await desk.accept(a_request(duplicate_detection=True))
    assert refusal.value.job_id == first
    assert desk.jobs() == [first]


async def test_an_equal_request_that_asks_for_no_detection_is_a_job_of_its_own(desk):
    assert await desk.accept(a_request()) != await desk.accept(a_request())


async def test_a_job_that_the_store_did_not_take_leaves_nothing_behind(desk):
    desk.store.away = ALL
    with pytest.raises(StoreUnavailable):
        await desk.accept(a_request())
    assert desk.jobs() == []
    assert desk.metrics.registry.get_sample_value("heliograph_sms_accepted_total") == 0


async def test_a_job_of_many_recipients_is_planned_like_any_other(desk):
    job_id = await desk.accept(a_request(*numbers(PLAN_ASIDE_RECIPIENTS + 1)))
    sms = await desk.store.sms_of_job(1, job_id)
    assert [each.dst for each in sms] == numbers(PLAN_ASIDE_RECIPIENTS + 1)


async def test_what_is_accepted_is_counted(desk):
    await desk.accept(a_request(*numbers(2), "12"))
    count = desk.metrics.registry.get_sample_value
    assert count("heliograph_jobs_accepted_total") == 1
    assert count("heliograph_sms_accepted_total") == 3
    assert count("heliograph_parts_finished_total", {"status": Status.INVALID_DST.value}) == 1


async def test_an_agent_s_job_over_the_spending_limit_leaves_nothing_behind(desk):
    await desk.acceptor.accept_from_agent(a_request(), ACCOUNT, 2)
    with pytest.raises(SpendingLimitReached):
        await desk.acceptor.accept_from_agent(a_request(text="x" * 161), ACCOUNT, 2)
    assert len(desk.jobs()) == 1
    await desk.accept(a_request(text="x" * 161))


async def test_an_agent_is_told_whether_its_job_is_new(desk):
    request = msgspec.structs.replace(a_request(), idempotency_key="key")
    first = await desk.acceptor.accept_from_agent(request, ACCOUNT, 2)
    again = await desk.acceptor.accept_from_agent(request, ACCOUNT, 2)
    assert (first.is_new, again.is_new, first.job_id == again.job_id) == (True, False, True)
