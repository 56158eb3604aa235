"""agents/toolbox.py: what each tool does, and how errors are told to a model."""

import pytest
import structlog

from heliograph.agents.toolbox import Toolbox, ToolFailed
from heliograph.flow.accept import PLAN_ASIDE_RECIPIENTS, Acceptor
from heliograph.flow.cancel import Canceller
from heliograph.flow.reports import Reports
from heliograph.jobs.accounts import AccountId, McpAccess
from heliograph.jobs.errors import OutcomeUnknown, Overloaded, StoreUnavailable
from heliograph.jobs.routing import Routing
from heliograph.metrics import Metrics
from heliograph.store.memory import MemoryStore
from heliograph.wire.shapes import EXAMPLE_JOB_ID
from heliograph.wire.tool_calls import SHOWN_POSITIONS
from heliograph.wire.tools import DEFAULT_SHOWN, TOOLS
from tests.fakes.builders import an_account, numbers
from tests.fakes.clock import ManualClock
from tests.fakes.ids import SeededIds

ACCOUNT = an_account(id=1, mcp=McpAccess(key_hash="", sms_per_hour=5))
OTHER = an_account("beta", id=2, mcp=McpAccess(key_hash=""))
TO_ONE = {"text": "Hello", "recipients": ["+4917612345678"]}


class Store(MemoryStore):
    """A store that can be made to fail."""

    failure: Exception | None = None

    async def add_job(self, plan):
        if self.failure:
            raise self.failure
        return await super().add_job(plan)


class Agent:
    """Uses the tools for an account."""

    def __init__(self) -> None:
        self.clock, self.store = ManualClock(), Store()
        acceptor = Acceptor(self.store, Routing([], "acme"), self.clock, SeededIds(), Metrics())
        canceller = Canceller(self.store, self.clock, Metrics())
        self.toolbox = Toolbox(acceptor, canceller, Reports(self.store))

    async def use(self, name, account=ACCOUNT, **arguments):
        return await self.toolbox.call(name, arguments, account)

    async def told(self, name, account=ACCOUNT, **arguments) -> str:
        with pytest.raises(ToolFailed) as failed:
            await self.use(name, account, **arguments)
        return str(failed.value)

    @property
    def job_count(self) -> int:
        return len(self.store._jobs)


@pytest.fixture
def agent():
    return Agent()


def test_every_tool_does_something(agent):
    assert set(agent.toolbox.by_tool) == set(TOOLS)
    assert all(tool.name in agent.toolbox for tool in TOOLS)
    assert "nothing" not in agent.toolbox


async def test_what_is_sent_is_read_back(agent):
    sent = await agent.use("send_sms", text="Hello", recipients=numbers(2), customerRef="ref")
    assert sent == {"jobId": sent["jobId"], "alreadyAccepted": False}
    job = await agent.use("get_job", jobId=sent["jobId"])
    assert (job["customerRef"], job["smsCount"], job["finished"]) == ("ref", 2, False)
    answer = await agent.use("get_recipients", jobId=sent["jobId"])
    assert [each["dst"] for each in answer["recipients"]] == numbers(2)
    assert answer["summary"][0]["meaning"] == "waiting: scheduled, in a blackout period, or queued"


async def test_a_preview_tells_what_sending_would_do_and_sends_nothing(agent):
    await agent.store.block(AccountId(1), numbers(1)[0], agent.clock.now())
    answer = await agent.use("preview_sms", text="x" * 161, recipients=numbers(3))
    assert (answer["refused"], answer["encoding"], answer["parts"], answer["truncated"]) == (
        False,
        "STANDARD",
        2,
        False,
    )
    assert (answer["smsCount"], answer["countedSms"]) == (2, 4)
    assert [each["reason"] for each in answer["recipients"]] == ["the number is on the account's blocklist", "", ""]
    assert agent.job_count == 0
    assert not (await agent.use("send_sms", text="x" * 161, recipients=numbers(2)))["alreadyAccepted"]


async def test_a_preview_says_what_would_be_refused(agent):
    answer = await agent.use("preview_sms", **{**TO_ONE, "text": "日本" * 20}, invalidCharacters="REFUSE")
    assert (answer["refused"], answer["smsCount"], answer["countedSms"]) == (True, 0, 0)
    assert answer["replaced"][0]["character"] == "日"
    assert len(answer["replaced"][0]["positions"]) == SHOWN_POSITIONS
    assert "E.164" in await agent.told("preview_sms", text="Hello", recipients=["0176"])


async def test_a_preview_shows_the_first_of_many(agent):
    answer = await agent.use("preview_sms", text="Hello", recipients=numbers(PLAN_ASIDE_RECIPIENTS + 1))
    assert (answer["smsCount"], len(answer["recipients"])) == (PLAN_ASIDE_RECIPIENTS + 1, DEFAULT_SHOWN)


async def test_a_call_that_is_repeated_sends_once(agent):
    first = await agent.use("send_sms", **TO_ONE)
    again = await agent.use("send_sms", **TO_ONE)
    assert again == {"jobId": first["jobId"], "alreadyAccepted": True}
    assert agent.job_count == 1


async def test_an_idempotency_key_tells_a_repetition_from_another_wish(agent):
    first = await agent.use("send_sms", **TO_ONE, idempotencyKey="a")
    assert await agent.use("send_sms", **TO_ONE, idempotencyKey="a") == {
        "jobId": first["jobId"],
        "alreadyAccepted": True,
    }
    assert not (await agent.use("send_sms", **TO_ONE, idempotencyKey="b"))["alreadyAccepted"]
    assert agent.job_count == 2
    told = await agent.told("send_sms", text="Other", recipients=numbers(1), idempotencyKey="a")
    assert f"for another request, accepted as job {first['jobId']}" in told


async def test_what_waits_is_cancelled(agent):
    sent = await agent.use("send_sms", text="Later", recipients=numbers(2), jobPeriod="2026-03-02T12:00:00Z")
    answer = await agent.use("cancel_job", jobId=sent["jobId"])
    assert (answer["smsCount"], answer["summary"][0]["processStatus"]) == (2, "CANCELED")
    assert (await agent.use("get_job", jobId=sent["jobId"]))["finished"]
    assert await agent.use("cancel_job", jobId=sent["jobId"]) == answer


async def test_a_call_that_is_repeated_is_known_though_the_limit_is_reached(agent):
    first = await agent.use("send_sms", text="Hello", recipients=numbers(5))
    again = await agent.use("send_sms", text="Hello", recipients=numbers(5))
    assert again == {"jobId": first["jobId"], "alreadyAccepted": True}


async def test_the_spending_limit_counts_parts_and_is_told_in_full(agent):
    await agent.use("send_sms", text="x" * 161, recipients=numbers(2))
    told = await agent.told("send_sms", text="x" * 161, recipients=numbers(1))
    assert "this would be 2 SMS, each part of a long text counted" in told
    assert "agents may send 5 an hour for this account, of which 1 are left; nothing was sent" in told
    assert "There is room for it in 60 min" in told
    assert agent.job_count == 1
    await agent.clock.advance(3600)
    await agent.use("send_sms", text="x" * 161, recipients=numbers(1))


async def test_what_is_wrong_with_arguments_is_told_line_by_line(agent):
    told = await agent.told("send_sms", text="", recipients=["0176"], maxParts=0)
    assert told.splitlines() == [
        "maxParts must be a whole number from 1 to 20; it is 0",
        "text must be a text that is not empty; it is empty",
    ]
    assert agent.job_count == 0


async def test_many_numbers_are_read_aside(agent):
    many = numbers(PLAN_ASIDE_RECIPIENTS + 1)
    rich = an_account(id=1, mcp=McpAccess(key_hash="", sms_per_hour=1000))
    sent = await agent.use("send_sms", rich, text="Hello", recipients=many)
    assert (await agent.use("get_job", rich, jobId=sent["jobId"]))["smsCount"] == len(many)
    assert "E.164" in await agent.told("send_sms", rich, text="Hello", recipients=[*many, "x"])


async def test_characters_that_are_to_be_refused_are_told(agent):
    told = await agent.told("send_sms", **{**TO_ONE, "text": "日本"}, invalidCharacters="REFUSE")
    assert "has characters that STANDARD can't carry (U+65E5 at 0" in told


@pytest.mark.parametrize("name", ["get_job", "get_recipients", "cancel_job"])
async def test_a_job_that_is_not_there_or_another_s_is_told_alike(agent, name):
    sent = await agent.use("send_sms", **TO_ONE)
    for account, job_id in ((ACCOUNT, EXAMPLE_JOB_ID), (OTHER, sent["jobId"])):
        told = await agent.told(name, account, jobId=job_id)
        assert told == "this account has no such job; check the jobId, which send_sms answered"


async def test_when_to_try_again_is_told(agent):
    agent.store.failure = Overloaded("more jobs are coming in than can be written", 7)
    assert await agent.told("send_sms", **TO_ONE) == "more jobs are coming in than can be written; try again in 7 s"


async def test_a_database_that_is_away_is_told_without_its_address(agent):
    agent.store.failure = StoreUnavailable("postgresql://secret is away")
    with structlog.testing.capture_logs() as logs:
        told = await agent.told("send_sms", **TO_ONE)
    assert told == "the database can't be used at the moment, and nothing was done; try again in a moment"
    assert logs[0]["event"] == "agents.store_unavailable"


async def test_of_what_may_have_been_sent_it_is_told_that_it_may(agent):
    agent.store.failure = OutcomeUnknown("postgresql://secret broke")
    with structlog.testing.capture_logs() as logs:
        told = await agent.told("send_sms", **TO_ONE)
    assert "not known whether this was done" in told
    assert "nothing was done" not in told
    assert logs[0]["event"] == "agents.outcome_unknown"


async def test_a_defect_of_ours_is_told_without_its_cause_and_logged_without_what_it_met(agent):
    agent.store.failure = ValueError("Hello")
    with structlog.testing.capture_logs() as logs:
        told = await agent.told("send_sms", **TO_ONE)
    assert "a defect" in told
    assert "don't try again" in told
    assert (logs[0]["event"], logs[0]["error"]) == ("agents.failed", "ValueError")
    assert "Hello" not in str(logs)


async def test_what_agents_send_is_logged_without_text_and_numbers(agent):
    with structlog.testing.capture_logs() as logs:
        sent = await agent.use("send_sms", text="secret", recipients=numbers(2))
        await agent.use("send_sms", text="secret", recipients=numbers(2))
    assert logs == [
        {"event": "agents.sent", "log_level": "info", "account": "acme", "job_id": sent["jobId"], "sms_count": 2}
    ]


async def test_accounts_spend_for_themselves(agent):
    await agent.use("send_sms", text="Hello", recipients=numbers(5))
    await agent.use("send_sms", OTHER, text="Hello", recipients=numbers(5))
    assert agent.store._spent.keys() == {AccountId(1), AccountId(2)}
