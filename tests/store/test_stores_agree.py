"""SQLite and PostgreSQL answer like memory, whatever is asked of them and in whatever order."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from heliograph.jobs.accounts import AccountId, OnUnknown, RateLimit
from heliograph.jobs.errors import HeliographError
from heliograph.jobs.options import Qos
from heliograph.jobs.schedule import Period
from heliograph.jobs.search import Criteria
from heliograph.jobs.status import FINAL, ProcessStatus, SmsProgress, Status
from heliograph.jobs.webhooks import EventType, Webhook
from heliograph.store.interface import (
    PART_BITS,
    Added,
    DueEvent,
    DuePart,
    Ended,
    EventDelivered,
    EventGivenUp,
    EventPostponed,
    InboundQuery,
    JobQuery,
    Moved,
    Outcome,
    Postponed,
    ReceiptNews,
    Settlement,
    SmsQuery,
    Store,
    Submitted,
    WebhookGone,
)
from heliograph.store.memory import MemoryStore
from heliograph.store.postgresql.store import open_postgresql
from heliograph.store.postgresql.url import PostgresqlUrl
from heliograph.store.sqlite.store import open_sqlite
from tests.fakes.builders import NOW, a_plan, a_planned_sms, a_webhook, an_account, an_arrival, numbers
from tests.fakes.postgresql import PostgresServer

ACCOUNTS = (1, 2, 3)
PHONES = numbers(4)
CARRIERS = ("acme", "beta")
FAILURES = (Status.FAILED_FIN, Status.TIMEOUT, Status.NOT_ACC_FIN)

seconds = st.sampled_from((0, 1, 5, 60, 599, 600, 3599, 3600, 90_000))
carriers = st.sampled_from(CARRIERS)
sms = st.fixed_dictionaries(
    {
        "parts": st.sampled_from((1, 1, 2, 3)),
        "carrier": st.sampled_from((*CARRIERS, *CARRIERS, None)),
        "wait_s": st.sampled_from((0, 0, 0, 1, 60, 4000)),
        "night": st.booleans(),
        "others": st.sampled_from(((), ("beta",), ("beta", "acme"))),
    }
)


class StoresAgree(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.Runner()
        self.resources = AsyncExitStack()
        self.stores: tuple[Store, Store] = (MemoryStore(), self.loop.run(self.open_store()))
        self.now = NOW
        self.plans = []
        self.leased: dict[str, list[DuePart]] = {carrier: [] for carrier in CARRIERS}
        # From the start, so that nearly all that happens is told to somebody.
        self.webhooks = [a_webhook(account=account) for account in ACCOUNTS[:2]]
        for webhook in self.webhooks:
            self.ask(lambda store, webhook=webhook: store.add_webhook(webhook))
        self.finals: dict[tuple[str, int], SmsProgress] = {}

    async def open_store(self) -> Store:
        """The one that is to answer like memory."""
        folder = self.resources.enter_context(tempfile.TemporaryDirectory())
        return await self.resources.enter_async_context(open_sqlite(Path(folder, "heliograph.db"), NOW))

    def teardown(self) -> None:
        self.loop.run(self.resources.aclose())
        self.loop.close()

    def ask(self, question: Callable[[Store], Awaitable[Any]]) -> Any:
        """What both stores answer, be it an error."""
        memory, other = (self.loop.run(_answer(question, store)) for store in self.stores)
        assert other == memory, f"{memory} was expected, not {other}"
        return memory

    # What happens

    @rule(wait_s=seconds)
    def time_passes(self, wait_s):
        self.now += timedelta(seconds=wait_s)

    @rule(
        account=st.sampled_from(ACCOUNTS),
        several=st.lists(sms, min_size=1, max_size=4),
        qos=st.sampled_from((Qos.NORMAL, Qos.NORMAL, Qos.EXPRESS)),
        receipts=st.booleans(),
        on_unknown=st.sampled_from(OnUnknown),
        fingerprint=st.sampled_from((None, None, b"one", b"two")),
        key=st.sampled_from((None, None, None, "key", "other")),
        sms_per_hour=st.sampled_from((None, None, 4, 9)),
        then=st.sampled_from(("nothing", "hand over", "hand over")),
    )
    def a_job_comes_in(self, account, several, qos, receipts, on_unknown, fingerprint, key, sms_per_hour, then):
        messages = {parts: place for place, parts in enumerate(sorted({each["parts"] for each in several}))}
        planned = [
            a_planned_sms(
                PHONES[place],
                message=messages[each["parts"]],
                parts=each["parts"],
                carrier=each["carrier"],
                due=self.now + timedelta(seconds=each["wait_s"]),
                blackouts=(Period(self.now, self.now + timedelta(hours=1)),) if each["night"] else (),
                others=each["others"],
            )
            for place, each in enumerate(several)
        ]
        plan = a_plan(
            *planned,
            account=account,
            at=self.now,
            qos=qos,
            receipts=receipts,
            on_unknown=on_unknown,
            fingerprint=fingerprint,
            idempotency=None if key is None else (key, fingerprint or b"none"),
            sms_per_hour=sms_per_hour,
        )
        added = self.ask(lambda store: store.add_job(plan))
        if isinstance(added, Added) and added.is_new:
            self.plans.append(plan)
            if then == "hand over":
                for carrier in CARRIERS:
                    self.whatever_is_due_is_handed_over(carrier, 90_000)

    @precondition(lambda self: self.plans)
    @rule(data=st.data(), account=st.sampled_from((None, None, None, *ACCOUNTS)))
    def a_job_is_cancelled(self, data, account):
        plan = data.draw(st.sampled_from(self.plans[-4:]))
        owner = plan.account if account is None else AccountId(account)
        self.ask(lambda store: store.cancel_job(owner, plan.job_id, self.now))

    @rule(
        carrier=carriers,
        limit=st.sampled_from((1, 2, 3, 50)),
        for_s=seconds,
        normal_limit=st.sampled_from((None, None, 0, 1, 2)),
    )
    def segments_are_leased(self, carrier, limit, for_s, normal_limit=None):
        until = self.now + timedelta(seconds=for_s)
        self.leased[carrier] += self.ask(
            lambda store: store.lease_segments(carrier, limit, until, self.now, normal_limit)
        )

    @rule(carrier=carriers, receipt_due_s=st.sampled_from((60, 90_000, 90_000)))
    def whatever_is_due_is_handed_over(self, carrier, receipt_due_s):
        self.segments_are_leased(carrier, 50, 600)
        due_at = self.now + timedelta(seconds=receipt_due_s)
        parts = self.leased[carrier][-50:]
        outcomes = [Submitted(part.segment.id, f"m{part.segment.id}", self.now, due_at) for part in parts]
        self.ask(lambda store: store.record_outcomes(carrier, outcomes))

    @precondition(lambda self: any(self.leased.values()))
    @rule(data=st.data(), carrier=carriers)
    def outcomes_are_recorded(self, data, carrier):
        outcomes = [self._outcome(data, part) for part in self._some_segments(data, carrier)]
        self.ask(lambda store: store.record_outcomes(carrier, outcomes))

    def _some_segments(self, data, carrier) -> list[int]:
        segments = sorted({part.segment.id for part in self.leased[carrier]})
        return (
            data.draw(st.lists(st.sampled_from(segments[-8:]), min_size=1, max_size=6, unique=True)) if segments else []
        )

    def _outcome(self, data, segment) -> Outcome:
        later = self.now + timedelta(seconds=data.draw(seconds))
        match data.draw(
            st.sampled_from(("submitted", "submitted", "submitted", "taken", "postponed", "moved", "moved", "ended"))
        ):
            case "submitted":
                return Submitted(segment, f"m{segment}", self.now, later)
            case "taken":
                return Submitted(segment, f"m{segment}", self.now, None, data.draw(st.sampled_from((None, later))))
            case "postponed":
                return self._postponed(data, segment, later)
            case "moved":
                target = data.draw(carriers)
                others = data.draw(st.sampled_from(((), CARRIERS)))
                otherwise = data.draw(
                    st.sampled_from(
                        (
                            self._postponed(data, segment, later),
                            Ended(segment, Status.NOT_ACC_FIN, f"ended {segment}", self.now),
                        )
                    )
                )
                return Moved(segment, target, others, later, 4, Status.CON_ERR, f"moved {segment}", otherwise)
            case _:
                return Ended(segment, data.draw(st.sampled_from(FAILURES)), f"ended {segment}", self.now)

    def _postponed(self, data, segment, later) -> Postponed:
        status = data.draw(st.sampled_from((Status.CON_ERR, Status.NOT_ACC_REC, Status.SEND_ERR)))
        return Postponed(segment, later, data.draw(st.integers(0, 9)), status, f"later {segment}")

    @precondition(lambda self: any(self.leased.values()))
    @rule(data=st.data(), carrier=carriers, rounds=st.integers(1, 2))
    def receipts_come(self, data, carrier, rounds):
        """For segments submitted or not yet, final or not, once or again, or for nobody."""
        segments = {*self._some_segments(data, carrier)}
        for message_id in self.ask(lambda store: store.awaiting_receipts(carrier)):
            first = int(message_id[1:]) >> PART_BITS << PART_BITS
            segments |= {first, first + 1}  # All the parts of an SMS that has any on the way, or nearly.
        words = st.sampled_from((None, Status.SUC_FIN, Status.SUC_FIN, *FAILURES))
        news = st.tuples(st.sampled_from(sorted(segments) or [0]), words)
        for _ in range(rounds):
            receipts = [
                ReceiptNews(f"m{segment}", status, f"{status} for {segment}", self.now)
                for segment, status in data.draw(st.lists(news, min_size=1, max_size=6))
            ]
            self.ask(lambda store, receipts=receipts: store.record_receipts(carrier, receipts))

    @rule(
        carrier=carriers,
        texts=st.lists(st.sampled_from(("Stop", "STOP", "start", "Hello", "Hi")), min_size=1, max_size=3),
        phone=st.integers(0, 3),
        place=st.sampled_from(((1, 1), (1, 1), (1, 2), (2, 2), (2, 3))),
        reference=st.integers(0, 1),
        owner=st.sampled_from((None, None, *ACCOUNTS)),
    )
    def parts_of_sms_from_phones_come(self, carrier, texts, phone, place, reference, owner):
        part, parts = place
        arrivals = [
            an_arrival(text, owner=owner, src=PHONES[phone], at=self.now, part=part, parts=parts, reference=reference)
            for text in texts
        ]
        self.ask(lambda store: store.record_inbound(carrier, arrivals))

    @rule(age_s=seconds)
    def missing_parts_are_given_up(self, age_s):
        before = self.now - timedelta(seconds=age_s)
        self.ask(lambda store: store.give_up_missing_parts(before, self.now))

    @rule(account=st.sampled_from(ACCOUNTS).map(AccountId), phone=st.integers(0, 3), wanted=st.booleans())
    def a_number_is_blocked_or_unblocked(self, account, phone, wanted):
        if wanted:
            self.ask(lambda store: store.unblock(account, PHONES[phone]))
        else:
            self.ask(lambda store: store.block(account, PHONES[phone], self.now))

    @rule(name=st.sampled_from(("acme", "beta", "gamma")), new_name=st.sampled_from(("acme", "beta", "delta")))
    def an_account_is_put_and_calls(self, name, new_name):
        self.ask(lambda store: store.put_account(an_account(name)))
        account = self.ask(lambda store: store.account(name))
        if account is not None:
            changed = msgspec.structs.replace(account, name=new_name)
            self.ask(lambda store: store.put_account(changed))
            self.ask(lambda store: store.take_call(account.id, RateLimit(2, 60), self.now))

    @rule(age_s=seconds, limit=st.integers(0, 3))
    def what_is_old_is_forgotten(self, age_s, limit):
        before = self.now - timedelta(seconds=age_s)
        self.ask(lambda store: store.blank_texts(before, limit))
        self.ask(lambda store: store.forget_jobs(before, limit - 1 if limit else 0))
        self.ask(lambda store: store.forget_inbound(before, limit))
        if limit == 3:
            self.ask(lambda store: store.forget_events(before, 1000))

    @rule(
        carrier=carriers,
        limit=st.sampled_from((1, 3, 100)),
        for_s=seconds,
        answered=st.sampled_from(("all", "all but one", "none")),
    )
    def carriers_are_told_what_to_drop(self, carrier, limit, for_s, answered):
        until = self.now + timedelta(seconds=for_s)
        told = self.ask(lambda store: store.lease_recalls(carrier, limit, until, self.now))
        ids = [each.message_id for each in told][{"all": 0, "all but one": 1, "none": len(told)}[answered] :]
        self.ask(lambda store: store.settle_recalls(carrier, ids))

    @precondition(lambda self: len(self.webhooks) < 4)
    @rule(account=st.sampled_from(ACCOUNTS), events=st.sets(st.sampled_from(EventType), min_size=1))
    def a_webhook_is_added(self, account, events):
        webhook = a_webhook(account=account, events=[each for each in EventType if each in events], at=self.now)
        self.webhooks.append(webhook)
        self.ask(lambda store: store.add_webhook(webhook))

    @precondition(lambda self: self.webhooks)
    @rule(
        data=st.data(),
        for_s=seconds,
        verdicts=st.lists(
            st.sampled_from(("delivered", "delivered", "postponed", "given up", "gone", "nothing")), min_size=1
        ),
    )
    def webhooks_are_told(self, data, for_s, verdicts):
        """All that is due: in which order a store numbers what one call made happen is its own affair."""
        for _ in range(2):  # What is settled can make a job's event fall due.
            self._tell_webhooks(data, for_s, verdicts)

    def _tell_webhooks(self, data, for_s, verdicts):
        until, later = self.now + timedelta(seconds=for_s), self.now + timedelta(seconds=data.draw(seconds))
        leased = []
        for store in self.stores:
            due = self.loop.run(store.lease_events(1000, 1000, {}, until, self.now))
            leased.append({(each.webhook.id, each.event.type.value, each.event.subject): each for each in due})
        memory, sqlite = leased
        assert {key: (each.event, each.attempt_count) for key, each in sqlite.items()} == {
            key: (each.event, each.attempt_count) for key, each in memory.items()
        }
        for store, due in zip(self.stores, leased, strict=True):
            settlements = [
                settlement
                for place, (_, each) in enumerate(sorted(due.items()))
                for settlement in self._settled(each, verdicts[place % len(verdicts)], later)
            ]
            self.loop.run(store.settle_events(settlements))

    def _settled(self, due: DueEvent, verdict: str, later: datetime) -> list[Settlement]:
        attempts = due.attempt_count + 1
        match verdict:
            case "delivered":
                return [EventDelivered(due.number)]
            case "postponed":
                return [EventPostponed(due.number, due.leased_until, later, attempts, "500")]
            case "given up":
                return [EventGivenUp(due.number, due.leased_until, attempts, "500", self.now)]
            case "gone":
                return [WebhookGone(due.webhook.id, self.now)]
            case _:
                return []

    @precondition(lambda self: self.webhooks)
    @rule(data=st.data(), what=st.sampled_from(("replayed", "replayed", "removed")))
    def a_webhook_is_replayed_or_removed(self, data, what):
        webhook = data.draw(st.sampled_from(self.webhooks))
        if what == "replayed":
            self.ask(lambda store: store.replay_events(webhook.account, webhook.id, 1000, self.now))
        else:
            self.ask(lambda store: store.remove_webhook(webhook.account, webhook.id))

    @rule(
        account=st.sampled_from(ACCOUNTS),
        since_s=seconds,
        until_s=seconds,
        open_only=st.booleans(),
        offset=st.integers(0, 2),
        limit=st.integers(0, 4),
        process_status=st.sampled_from((None, *ProcessStatus)),
        status=st.sampled_from((None, None, *Status)),
    )
    def jobs_and_sms_are_listed(self, account, since_s, until_s, open_only, offset, limit, process_status, status):
        since, until = self.now - timedelta(seconds=since_s), self.now + timedelta(seconds=1 - until_s)
        query = JobQuery(AccountId(account), since, until, open_only, offset, limit)
        self.ask(lambda store: store.find_jobs(query))
        criteria = Criteria(
            dst=PHONES[0] if offset else None,
            process_status=process_status,
            status=status,
        )
        sms_query = SmsQuery(AccountId(account), since, until, criteria, offset, limit)
        self.ask(lambda store: store.find_sms(sms_query))
        inbound_query = InboundQuery(AccountId(account), since, until, offset, limit)
        self.ask(lambda store: store.find_inbound(inbound_query))

    # What is always so

    @invariant()
    def reports_agree(self):
        self.loop.run(self._compare_reports())

    async def _compare_reports(self):
        for plan in self.plans:
            jobs = [await store.job(plan.account, plan.job_id) for store in self.stores]
            reports = [await store.sms_of_job(plan.account, plan.job_id) for store in self.stores]
            assert jobs[1] == jobs[0]
            assert reports[1] == reports[0]
            for each in reports[0] or ():
                if each.progress.process_status in FINAL:
                    final = self.finals.setdefault((plan.job_id, each.index), each.progress)
                    told = each.progress
                    if told.process_status is ProcessStatus.KILL:
                        told = msgspec.structs.replace(told, reason=final.reason)
                    assert told == final, "a final status never changes, and the reason of a KILL alone"
        # When what there is nothing to tell of any more stops being counted is each store's own affair.
        counts = [msgspec.structs.replace(await store.counts(self.now), events_waiting=0) for store in self.stores]
        assert counts[1] == counts[0]

    @invariant()
    def what_is_awaited_agrees(self):
        for carrier in CARRIERS:
            self.ask(lambda store, carrier=carrier: store.awaiting_receipts(carrier))

    @invariant()
    def blocklists_agree(self):
        for account in map(AccountId, ACCOUNTS):
            self.ask(lambda store, account=account: store.find_blocked(account, 0, 100))
            self.ask(lambda store, account=account: store.blocked_among(account, PHONES))

    @invariant()
    def webhooks_agree(self):
        for account in map(AccountId, ACCOUNTS):
            self.ask(lambda store, account=account: store.webhooks(account))
        for webhook in self.webhooks:
            failed = [self.loop.run(_failed(store, webhook)) for store in self.stores]
            assert failed[1] == failed[0]

    @invariant()
    def accounts_agree(self):
        self.ask(lambda store: store.accounts())


async def _failed(store: Store, webhook: Webhook) -> list[tuple[object, ...]] | None:
    found = await store.find_failed_events(webhook.account, webhook.id, 0, 1000)
    if found is None:
        return None
    return sorted((each.event.type.value, each.event.subject, each.attempt_count, each.failed_at) for each in found)


async def _answer(question: Callable[[Store], Awaitable[object]], store: Store) -> object:
    try:
        return await question(store)
    except HeliographError as error:
        return type(error), str(error)


class StoresAgreeOnPostgresql(StoresAgree):
    server: ClassVar[PostgresServer]

    async def open_store(self) -> Store:
        url = PostgresqlUrl.parse(self.server.url(await self.server.emptied_database()))
        return await self.resources.enter_async_context(open_postgresql(url))


@pytest.fixture
def server_for_machines(postgres):
    StoresAgreeOnPostgresql.server = postgres


AGREEMENT = settings(
    max_examples=50,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
StoresAgree.TestCase.settings = AGREEMENT
StoresAgreeOnPostgresql.TestCase.settings = settings(AGREEMENT, max_examples=15)
TestStoresAgree = StoresAgree.TestCase
TestStoresAgreeOnPostgresql = pytest.mark.usefixtures("server_for_machines")(StoresAgreeOnPostgresql.TestCase)
