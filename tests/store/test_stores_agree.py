"""SQLite and PostgreSQL answer like memory, whatever is asked of them and in whatever order."""

from datetime import timedelta

import msgspec
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from heliograph.jobs.accounts import AccountId, OnUnknown, RateLimit
from heliograph.jobs.options import Qos
from heliograph.jobs.schedule import Period
from heliograph.jobs.search import Criteria
from heliograph.jobs.status import FINAL, ProcessStatus, SmsProgress, Status
from heliograph.store.interface import (
    PART_BITS,
    Added,
    DuePart,
    Ended,
    InboundQuery,
    JobQuery,
    Moved,
    Outcome,
    Postponed,
    ReceiptNews,
    SmsQuery,
    Store,
    Submitted,
)
from tests.fakes.builders import a_plan, a_planned_sms, an_account, an_arrival, numbers
from tests.fakes.postgresql import hide_what_is_forgotten
from tests.store.agreement import ACCOUNTS, ON_POSTGRESQL, ON_SQLITE, OnPostgresql, WebhookRules, seconds

PHONES = numbers(4)
CARRIERS = ("acme", "beta")
FAILURES = (Status.FAILED_FIN, Status.TIMEOUT, Status.NOT_ACC_FIN)

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


class StoresAgree(WebhookRules):
    def __init__(self) -> None:
        super().__init__()
        self.plans = []
        self.leased: dict[str, list[DuePart]] = {carrier: [] for carrier in CARRIERS}
        self.finals: dict[tuple[str, int], SmsProgress] = {}

    # What happens

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
        outcomes = [Submitted(part.segment.id, _message_id(part.segment.id), self.now, due_at) for part in parts]
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
                return Submitted(segment, _message_id(segment), self.now, later)
            case "taken":
                return Submitted(
                    segment, _message_id(segment), self.now, None, data.draw(st.sampled_from((None, later)))
                )
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
                status, is_overdue = data.draw(st.sampled_from(FAILURES)), data.draw(st.booleans())
                return Ended(segment, status, f"ended {segment}", self.now, is_overdue)

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
        phones = st.sampled_from(((), (), *((phone[1:], "12345") for phone in PHONES)))
        news = st.tuples(st.sampled_from(sorted(segments) or [0]), words, phones, st.booleans())
        for _ in range(rounds):
            receipts = [
                ReceiptNews(
                    _message_id(segment), status, f"{status} for {segment}", self.now, (), named, is_phone_known
                )
                for segment, status, named, is_phone_known in data.draw(st.lists(news, min_size=1, max_size=6))
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
            for (
                store
            ) in self.stores:  # How many there were is its own affair: those of what is forgotten go sooner or later.
                self.loop.run(store.forget_events(before, 1000))

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
    def accounts_agree(self):
        self.ask(lambda store: store.accounts())


def _message_id(segment: int) -> str:
    """Of every third SMS all parts have the same."""
    sms = segment >> PART_BITS
    return f"m{segment if sms % 3 else sms << PART_BITS}"


class StoresAgreeOnPostgresql(OnPostgresql, StoresAgree):
    pass


class StoresAgreeInPartitions(StoresAgreeOnPostgresql):
    """Where what is forgotten isn't deleted, but hidden."""

    async def open_store(self) -> Store:
        store = await super().open_store()
        await hide_what_is_forgotten(store)
        return store


@pytest.fixture
def server_for_machines(postgres):
    OnPostgresql.server = postgres


StoresAgree.TestCase.settings = ON_SQLITE
StoresAgreeOnPostgresql.TestCase.settings = ON_POSTGRESQL
StoresAgreeInPartitions.TestCase.settings = ON_POSTGRESQL
TestStoresAgree = StoresAgree.TestCase
TestStoresAgreeOnPostgresql = pytest.mark.usefixtures("server_for_machines")(StoresAgreeOnPostgresql.TestCase)
TestStoresAgreeInPartitions = pytest.mark.usefixtures("server_for_machines")(StoresAgreeInPartitions.TestCase)
