"""SQLite and PostgreSQL tell webhooks what memory tells them: `test_stores_agree`, with little else going on."""

from collections import Counter
from datetime import timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from heliograph.jobs.accounts import AccountId
from heliograph.jobs.status import Status
from heliograph.store.interface import Ended, Submitted
from tests.fakes.builders import a_plan, a_planned_sms, a_webhook, an_arrival, numbers
from tests.store.agreement import ACCOUNTS, ON_POSTGRESQL, ON_SQLITE, OnPostgresql, WebhookRules, seconds

PHONES = numbers(3)
FOREVER = timedelta(days=30)


class WebhooksAgree(WebhookRules):
    def __init__(self) -> None:
        super().__init__()
        self.plans = []

    @rule(
        account=st.sampled_from(ACCOUNTS),
        carriers=st.lists(st.sampled_from(("acme", "acme", None)), min_size=1, max_size=3),
    )
    def a_job_comes_in(self, account, carriers):
        sms = [
            a_planned_sms(dst, carrier=carrier, due=self.now) for dst, carrier in zip(PHONES, carriers, strict=False)
        ]
        plan = a_plan(*sms, account=account, at=self.now)
        self.ask(lambda store: store.add_job(plan))
        self.plans.append(plan)

    @rule(limit=st.sampled_from((1, 2, 100)), ends=st.booleans())
    def what_is_due_ends(self, limit, ends):
        parts = self.ask(lambda store: store.lease_segments("acme", limit, self.now + FOREVER, self.now))
        outcomes = [
            Ended(part.segment.id, Status.NOT_ACC_FIN, "no", self.now)
            if ends
            else Submitted(part.segment.id, "", self.now, None)
            for part in parts
        ]
        self.ask(lambda store: store.record_outcomes("acme", outcomes))

    @precondition(lambda self: self.plans)
    @rule(data=st.data())
    def a_job_is_cancelled(self, data):
        plan = data.draw(st.sampled_from(self.plans[-4:]))
        self.ask(lambda store: store.cancel_job(plan.account, plan.job_id, self.now))

    @rule(account=st.sampled_from(ACCOUNTS))
    def an_sms_from_a_phone_comes(self, account):
        arrival = an_arrival("Hello", owner=AccountId(account), src=PHONES[0], at=self.now)
        self.ask(lambda store: store.record_inbound("acme", [arrival]))

    @rule(room=st.integers(0, 3), rooms=st.lists(st.integers(0, 2), max_size=2))
    def some_is_leased_and_not_told(self, room, rooms):
        """As many for each webhook; which ones is each store's own affair, so that the lease is over at once."""
        rooms = {webhook.id: count for webhook, count in zip(self.webhooks, rooms, strict=False)}
        counts = []
        for store in self.stores:
            due = self.loop.run(store.lease_events(1000, room, rooms, self.now, self.now))
            counts.append(Counter(each.webhook.id for each in due))
        assert counts[1] == counts[0]

    @precondition(lambda self: len(self.webhooks) < 5)
    @rule(account=st.sampled_from(ACCOUNTS))
    def a_trigger_is_added(self, account):
        trigger = a_webhook(account=account, at=self.now, token=f"token {len(self.webhooks)}")
        self.webhooks.append(trigger)
        self.ask(lambda store: store.add_webhook(trigger))

    @rule(number=st.integers(2, 5))
    def a_trigger_is_removed(self, number):
        self.ask(lambda store: store.remove_trigger(f"token {number}"))

    @rule(age_s=seconds)
    def what_happened_long_ago_is_forgotten(self, age_s):
        self.ask(lambda store: store.forget_events(self.now - timedelta(seconds=age_s), 1000))


class WebhooksAgreeOnPostgresql(OnPostgresql, WebhooksAgree):
    pass


@pytest.fixture
def server_for_machines(postgres):
    OnPostgresql.server = postgres


WebhooksAgree.TestCase.settings = settings(ON_SQLITE, max_examples=20)
WebhooksAgreeOnPostgresql.TestCase.settings = ON_POSTGRESQL
TestWebhooksAgree = WebhooksAgree.TestCase
TestWebhooksAgreeOnPostgresql = pytest.mark.usefixtures("server_for_machines")(WebhooksAgreeOnPostgresql.TestCase)
