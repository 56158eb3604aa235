"""What any Store must do for webhooks. A store's own test subclasses WebhookConformance beside StoreConformance."""

from datetime import timedelta

import msgspec
import pytest

from heliograph.jobs.accounts import AccountId
from heliograph.jobs.errors import TooManyWebhooks
from heliograph.jobs.status import ProcessStatus, Status
from heliograph.jobs.webhooks import (
    MAX_WEBHOOKS,
    EventType,
    JobFinished,
    SmsFinished,
    SmsReceived,
    Webhook,
    WebhookId,
)
from heliograph.store.interface import (
    EVENT_WORK,
    DueEvent,
    EventDelivered,
    EventGivenUp,
    EventPostponed,
    Store,
    WebhookGone,
)
from tests.fakes.builders import NOW, a_plan, a_planned_sms, a_webhook, after, an_arrival, numbers
from tests.store.conformance import (
    a_finished_job,
    a_leased_sms,
    a_submitted_sms,
    delivered,
    ended,
    failed,
    finished_at,
    lease,
    sms_of,
    submitted,
)

SMS_FINISHED, JOB_FINISHED, SMS_RECEIVED = EventType
ACCOUNT, OTHER = AccountId(1), AccountId(2)
IMPOSSIBLE = "12"


class WebhookConformance:
    """All that `store.interface` promises of webhooks."""

    # Subscriptions

    async def test_webhooks_are_read_back_as_they_were_added_oldest_first(self, store: Store):
        webhooks = [a_webhook(events=(SMS_RECEIVED,)), a_webhook(token="t"), a_webhook(at=after(1))]
        for webhook in (*webhooks, a_webhook(account=2)):
            await store.add_webhook(webhook)
        assert await store.webhooks(ACCOUNT) == webhooks
        assert await store.webhooks(AccountId(3)) == []

    async def test_an_account_can_have_so_many_and_no_more(self, store: Store):
        webhooks = [a_webhook() for _ in range(MAX_WEBHOOKS + 1)]
        for webhook in webhooks[:-1]:
            await store.add_webhook(webhook)
        with pytest.raises(TooManyWebhooks):
            await store.add_webhook(webhooks[-1])
        await store.add_webhook(a_webhook(account=2))
        assert await store.webhooks(ACCOUNT) == webhooks[:-1]
        await store.remove_webhook(ACCOUNT, webhooks[0].id)
        await store.add_webhook(webhooks[-1])

    async def test_a_webhook_is_removed_by_its_account_alone(self, store: Store):
        webhook = await a_kept_webhook(store)
        assert await store.remove_webhook(OTHER, webhook.id) is None
        assert await store.remove_webhook(ACCOUNT, WebhookId("W.unknown")) is None
        assert await store.webhooks(ACCOUNT) == [webhook]
        assert await store.remove_webhook(ACCOUNT, webhook.id) == webhook
        assert await store.webhooks(ACCOUNT) == []
        assert await store.remove_webhook(ACCOUNT, webhook.id) is None

    async def test_a_trigger_is_removed_by_its_token(self, store: Store):
        first, second = [await a_kept_webhook(store, token=token) for token in ("one", None)]
        assert await store.remove_trigger("two") is None
        assert await store.remove_trigger("") is None
        assert await store.remove_trigger("one") == first
        assert await store.webhooks(ACCOUNT) == [second]

    async def test_the_events_of_a_removed_webhook_go_with_it(self, store: Store):
        first, second = await a_kept_webhook(store), await a_kept_webhook(store)
        await a_finished_job(store)
        (due,) = await told(store, limit=1)
        assert due.webhook == first
        await store.remove_webhook(ACCOUNT, first.id)
        await store.settle_events([EventPostponed(due.number, due.leased_until, NOW, 1, "500")])
        newest = await a_kept_webhook(store)
        assert {each.webhook.id for each in await told(store)} == {second.id}
        assert await store.find_failed_events(ACCOUNT, newest.id, 0, 10) == []

    # Events

    async def test_an_sms_that_becomes_final_is_told(self, store: Store):
        webhook = await a_kept_webhook(store, events=(SMS_FINISHED,))
        plan = await a_submitted_sms(store)
        assert await told(store) == []
        await store.record_receipts("acme", [delivered("m1", at=2)])
        (due,) = await told(store, at=2)
        assert (due.webhook, due.attempt_count, due.leased_until) == (webhook, 0, after(62))
        assert due.event == SmsFinished(plan.job_id, (await sms_of(store, plan))[0])
        assert due.event.at == after(2)

    async def test_a_job_is_told_with_its_last_sms(self, store: Store):
        await a_kept_webhook(store, events=(JOB_FINISHED,))
        plan = a_plan(a_planned_sms(), a_planned_sms())
        await store.add_job(plan)
        first, second = await lease(store)
        await store.record_outcomes("acme", [ended(first, at=1)])
        assert await told(store, at=1) == []
        await store.record_outcomes("acme", [ended(second, at=2)])
        (due,) = await told(store, at=2)
        assert due.event == JobFinished(await store.job(plan.account, plan.job_id))
        assert due.event.at == after(2) == await finished_at(store, plan)

    async def test_sms_that_are_final_from_the_start_are_told(self, store: Store):
        await a_kept_webhook(store)
        await store.block(ACCOUNT, "+491", NOW)
        sms = [a_planned_sms(IMPOSSIBLE, carrier=None), a_planned_sms("+491"), a_planned_sms("+492")]
        plan = a_plan(*sms)
        await store.add_job(plan)
        assert [each.event.sms.progress.status for each in await told(store)] == [Status.INVALID_DST, Status.BLOCKED]
        whole = a_plan(*sms[:2])
        await store.add_job(whole)
        due = await told(store)
        assert [each.event.sms.dst for each in due] == [IMPOSSIBLE, "+491"]
        await store.settle_events([EventDelivered(each.number) for each in due])
        assert [each.event.subject for each in await told(store)] == [whole.job_id]

    async def test_an_sms_that_ends_as_its_number_is_blocked_is_told(self, store: Store):
        await a_kept_webhook(store, events=(SMS_FINISHED,))
        plan = a_plan(a_planned_sms("+491", due=after(60)))
        await store.add_job(plan)
        await store.block(ACCOUNT, "+491", after(1))
        (due,) = await told(store, at=1)
        assert due.event.sms.progress.status is Status.BLOCKED

    async def test_cancelled_sms_are_told_and_then_their_job(self, store: Store):
        await a_kept_webhook(store)
        plan = a_plan(a_planned_sms(numbers(2)[0]), a_planned_sms(numbers(2)[1]))
        await store.add_job(plan)
        assert await store.cancel_job(ACCOUNT, plan.job_id, after(5))
        of_sms = await told(store, at=6)
        assert [due.event.sms.progress.process_status for due in of_sms] == [ProcessStatus.CANCELED] * 2
        await store.settle_events([EventDelivered(due.number) for due in of_sms])
        (of_job,) = await told(store, at=7)
        assert isinstance(of_job.event, JobFinished)

    async def test_an_sms_from_a_phone_is_told_once_it_is_whole(self, store: Store):
        await a_kept_webhook(store)
        arrivals = [an_arrival(text, owner=1, part=part, parts=2, reference=7) for part, text in ((2, "b"), (1, "a"))]
        await store.record_inbound("acme", arrivals[:1])
        assert await told(store) == []
        (sms,), _ = await store.record_inbound("acme", arrivals[1:])
        assert [each.event for each in await told(store)] == [SmsReceived(sms)]
        await store.record_inbound("acme", [an_arrival("for the other", owner=2)])
        assert await told(store) == []

    async def test_an_sms_of_several_parts_is_told_once(self, store: Store):
        await a_kept_webhook(store, events=(SMS_FINISHED,))
        _, first, second = await a_leased_sms(store, parts=2)
        await store.record_outcomes("acme", [submitted(first, "m1"), submitted(second, "m2")])
        await store.record_receipts("acme", [failed("m1", at=1)])
        await store.record_receipts("acme", [failed("m2", at=2), delivered("m1", at=2)])
        await store.record_outcomes("acme", [ended(second, at=3)])
        (due,) = await told(store, at=3)
        assert due.event.at == after(1)

    async def test_what_is_final_is_not_told_anew_after_it_was_delivered(self, store: Store):
        await a_kept_webhook(store)
        plan, part = await a_leased_sms(store)
        await store.record_outcomes("acme", [ended(part)])
        await all_delivered(store)
        await store.record_outcomes("acme", [ended(part, Status.TIMEOUT, at=5), submitted(part, at=6)])
        await store.record_receipts("acme", [delivered("m1", at=7)])
        assert await told(store, at=1000) == []
        assert (await sms_of(store, plan))[0].progress.status is Status.NOT_ACC_FIN

    async def test_a_webhook_is_told_what_it_asked_for_of_its_own_account(self, store: Store):
        await a_kept_webhook(store, account=2)
        await a_kept_webhook(store, events=(SMS_RECEIVED,))
        await a_finished_job(store)
        assert await told(store) == []

    async def test_what_happened_before_is_not_told(self, store: Store):
        await a_finished_job(store)
        await a_kept_webhook(store)
        assert await told(store) == []

    async def test_every_webhook_is_told_by_itself(self, store: Store):
        first, second = await a_kept_webhook(store), await a_kept_webhook(store)
        await a_finished_job(store)
        due = await told(store)
        assert {each.webhook.id for each in due} == {first.id, second.id}
        await store.settle_events([EventDelivered(each.number) for each in due if each.webhook == first])
        (job,) = await told(store)
        assert (job.webhook, job.event.type) == (first, JOB_FINISHED)

    async def test_a_large_job_that_ends_at_once_is_told_wholly(self, store: Store):
        await a_kept_webhook(store)
        await store.add_job(a_plan(*(a_planned_sms(dst) for dst in numbers(130))))
        await store.record_outcomes("acme", [ended(part) for part in await lease(store, limit=130)])
        due = await told(store, limit=200, room=200)
        assert [each.event.sms.dst for each in due] == [*numbers(130)]
        await store.settle_events([EventDelivered(each.number) for each in due])
        assert [each.event.type for each in await told(store)] == [JOB_FINISHED]

    # Leases

    async def test_a_leased_event_is_hidden_until_its_lease_expires(self, store: Store):
        await a_kept_webhook(store, events=(SMS_FINISHED,))
        await a_finished_job(store)
        first = await told(store, for_s=60)
        assert len(first) == 2
        assert await told(store, at=59.999) == []
        again = await told(store, at=60)
        assert [each.number for each in again] == [each.number for each in first]

    async def test_a_lease_takes_no_more_than_there_is_room_for(self, store: Store):
        webhooks = [await a_kept_webhook(store, events=(SMS_FINISHED,)) for _ in range(3)]
        await store.add_job(a_plan(*(a_planned_sms(IMPOSSIBLE, carrier=None) for _ in range(10))))
        rooms = {webhooks[0].id: 0, webhooks[1].id: 4}
        taken = await told(store, room=2, rooms=rooms)
        assert [each.webhook.id for each in taken] == [webhooks[1].id] * 4 + [webhooks[2].id] * 2
        assert await told(store, limit=0) == []

    async def test_webhooks_take_turns(self, store: Store):
        webhooks = [await a_kept_webhook(store, events=(SMS_FINISHED,)) for _ in range(3)]
        await store.add_job(a_plan(*(a_planned_sms(IMPOSSIBLE, carrier=None) for _ in range(10))))
        turns = [webhooks.index(each.webhook) for _ in range(3) for each in await told(store, limit=4, room=3)]
        assert turns == [0, 0, 0, 1, 2, 2, 2, 0, 1, 1, 1, 2]

    async def test_within_a_webhook_goes_first_what_fell_due_first(self, store: Store):
        await a_kept_webhook(store, events=(SMS_FINISHED,))
        for at in (5, 2, 9):
            await a_finished_job(store, at=at)
        due = await told(store, at=10)
        assert [each.event.at for each in due] == [after(at) for at in (2, 2, 5, 5, 9, 9)]

    async def test_a_job_is_told_after_its_sms(self, store: Store):
        await a_kept_webhook(store)
        plan = await a_finished_job(store)
        first, second = await told(store)
        await store.settle_events([EventDelivered(first.number)])
        assert await told(store) == []
        await store.settle_events([EventPostponed(second.number, second.leased_until, after(30), 1, "500")])
        assert await told(store, at=29) == []
        (again,) = await told(store, at=30)
        assert (again.number, again.attempt_count) == (second.number, 1)
        await store.settle_events([EventDelivered(again.number)])
        (job,) = await told(store, at=30)
        assert (job.event.type, job.event.subject) == (JOB_FINISHED, plan.job_id)

    async def test_a_job_is_told_when_its_last_sms_is_given_up(self, store: Store):
        await a_kept_webhook(store)
        await a_finished_job(store)
        await give_up(store, *(await told(store)))
        assert [each.event.type for each in await told(store)] == [JOB_FINISHED]

    # Settling

    async def test_a_delivered_event_is_not_told_again(self, store: Store):
        await a_kept_webhook(store)
        await a_finished_job(store)
        await all_delivered(store)
        assert await told(store, at=1_000_000) == []
        assert (await store.counts(NOW)).events_waiting == 0

    async def test_a_postponed_event_is_told_again_in_time(self, store: Store):
        await a_kept_webhook(store, events=(JOB_FINISHED,))
        await a_finished_job(store)
        (due,) = await told(store)
        await store.settle_events([EventPostponed(due.number, due.leased_until, after(5), 3, "500")])
        assert await told(store, at=4.999) == []
        (again,) = await told(store, at=5)
        assert (again.number, again.event, again.attempt_count) == (due.number, due.event, 3)

    async def test_an_event_that_is_given_up_is_listed_and_not_told(self, store: Store):
        webhook = await a_kept_webhook(store, events=(SMS_FINISHED,))
        await a_finished_job(store)
        first, second = await told(store)
        await give_up(store, second, at=7)
        (entry,) = await store.find_failed_events(ACCOUNT, webhook.id, 0, 10)
        assert (entry.event, entry.attempt_count, entry.reason) == (second.event, 10, "HTTP 500")
        assert entry.failed_at == after(7)
        assert [each.number for each in await told(store, at=1_000_000)] == [first.number]
        assert (await store.counts(NOW)).events_waiting == 1

    async def test_failures_are_listed_by_page_and_for_their_account(self, store: Store):
        webhook = await a_kept_webhook(store, events=(SMS_FINISHED,))
        await store.add_job(a_plan(*(a_planned_sms(f"{n}", carrier=None) for n in range(5))))
        await give_up(store, *(await told(store)))
        page = await store.find_failed_events(ACCOUNT, webhook.id, 1, 2)
        assert [each.event.sms.dst for each in page] == ["1", "2"]
        assert await store.find_failed_events(OTHER, webhook.id, 0, 10) is None
        assert await store.find_failed_events(ACCOUNT, WebhookId("W.unknown"), 0, 10) is None

    async def test_what_comes_after_its_lease_is_over_changes_nothing(self, store: Store):
        webhook = await a_kept_webhook(store, events=(JOB_FINISHED,))
        await a_finished_job(store)
        (first,) = await told(store, for_s=60)
        (second,) = await told(store, at=60, for_s=60)
        await store.settle_events([EventPostponed(first.number, first.leased_until, after(61), 9, "late")])
        await give_up(store, first, at=61)
        assert await told(store, at=119) == []
        assert await store.find_failed_events(ACCOUNT, webhook.id, 0, 10) == []
        (third,) = await told(store, at=120)
        assert (third.number, third.attempt_count) == (second.number, 0)
        await store.settle_events([EventDelivered(first.number)])
        assert await told(store, at=1_000_000) == []

    async def test_a_late_word_on_a_delivered_event_is_not_taken_for_a_new_ones(self, store: Store):
        await a_kept_webhook(store, events=(JOB_FINISHED,))
        await a_finished_job(store)
        (old,) = await told(store)
        await store.settle_events([EventDelivered(old.number)])
        await a_finished_job(store)
        await store.settle_events([EventDelivered(old.number)])
        assert len(await told(store)) == 1

    # Disabling and replaying

    async def test_a_webhook_that_is_gone_is_told_nothing_and_nothing_is_written_for_it(self, store: Store):
        webhook = await a_kept_webhook(store, events=(JOB_FINISHED,))
        await a_finished_job(store)
        (due,) = await told(store)
        await store.settle_events(
            [EventPostponed(due.number, due.leased_until, after(1), 1, "410"), WebhookGone(webhook.id, after(1))]
        )
        await a_finished_job(store, at=2)
        assert await told(store, at=1000) == []
        (disabled,) = await store.webhooks(ACCOUNT)
        assert disabled == msgspec.structs.replace(webhook, disabled_at=after(1))
        assert await store.replay_events(ACCOUNT, webhook.id, 100, after(1000)) == 0
        assert await store.webhooks(ACCOUNT) == [webhook]
        assert [each.number for each in await told(store, at=1000)] == [due.number]
        await a_finished_job(store, at=1001)
        assert len(await told(store, at=1001)) == 1

    async def test_failures_are_replayed_as_if_never_tried(self, store: Store):
        webhook = await a_kept_webhook(store, events=(SMS_FINISHED,))
        await store.add_job(a_plan(*(a_planned_sms(f"{n}", carrier=None) for n in range(5))))
        await give_up(store, *(await told(store)))
        assert await store.replay_events(OTHER, webhook.id, 100, after(9)) is None
        assert await store.replay_events(ACCOUNT, WebhookId("W.unknown"), 100, after(9)) is None
        assert await store.replay_events(ACCOUNT, webhook.id, 3, after(9)) == 3
        again = await told(store, at=9)
        assert [(each.event.sms.dst, each.attempt_count) for each in again] == [("0", 0), ("1", 0), ("2", 0)]
        assert await store.replay_events(ACCOUNT, webhook.id, 100, after(9)) == 2
        assert await store.replay_events(ACCOUNT, webhook.id, 100, after(9)) == 0
        assert await store.find_failed_events(ACCOUNT, webhook.id, 0, 10) == []

    # Retention

    async def test_old_events_are_forgotten_whatever_became_of_them(self, store: Store):
        webhook = await a_kept_webhook(store, events=(JOB_FINISHED,))
        for at in (0, 10, 20):
            await a_finished_job(store, at=at)
        (first,) = await told(store, limit=1, at=20)
        await give_up(store, first)
        assert await store.forget_events(after(10), 100) == 1
        assert await store.find_failed_events(ACCOUNT, webhook.id, 0, 10) == []
        assert await store.forget_events(after(21), 1) == 1
        assert [each.event.at for each in await told(store, at=1_000_000)] == [after(20)]

    async def test_a_job_waits_for_no_event_that_was_forgotten(self, store: Store):
        await a_kept_webhook(store)
        await store.add_job(a_plan(a_planned_sms(), a_planned_sms()))
        first, second = await lease(store)
        await store.record_outcomes("acme", [ended(first, at=0)])
        await store.record_outcomes("acme", [ended(second, at=9)])
        (_, of_second) = await told(store, at=9)
        await store.settle_events([EventDelivered(of_second.number)])
        assert await store.forget_events(after(5), 100) == 1
        assert [each.event.type for each in await told(store, at=9)] == [JOB_FINISHED]

    async def test_an_event_of_a_forgotten_job_is_dropped(self, store: Store):
        webhook = await a_kept_webhook(store)
        await a_finished_job(store)
        first, second = await told(store)
        await give_up(store, first)
        await store.settle_events([EventPostponed(second.number, second.leased_until, after(1), 1, "500")])
        assert await store.forget_jobs(after(10), 10) == 1
        assert await told(store, at=1_000_000) == []
        assert await store.find_failed_events(ACCOUNT, webhook.id, 0, 10) == []

    async def test_an_event_of_a_forgotten_sms_from_a_phone_is_dropped_and_no_other_told_for_it(self, store: Store):
        await a_kept_webhook(store)
        await store.record_inbound("acme", [an_arrival("first", owner=1)])
        assert await store.forget_inbound(after(10), 10) == 1
        await store.record_inbound("acme", [an_arrival("second", owner=1, at=after(20))])
        assert [each.event.sms.text for each in await told(store, at=20)] == ["second"]
        assert await told(store, at=1_000_000) != []

    # Waking

    async def test_whoever_waits_for_events_is_woken(self, store: Store):
        await a_kept_webhook(store)
        await store.work_arrived(EVENT_WORK, 0.01)
        await a_finished_job(store)
        await asserting_no_wait(store)
        due = await told(store)
        await store.work_arrived(EVENT_WORK, 0.01)
        await store.settle_events([EventDelivered(each.number) for each in due])
        await asserting_no_wait(store)  # For the job.
        await store.add_job(a_plan(a_planned_sms(IMPOSSIBLE, carrier=None)))
        await asserting_no_wait(store)

    async def test_what_waits_is_counted(self, store: Store):
        await a_kept_webhook(store)
        assert (await store.counts(NOW)).events_waiting == 0
        await a_finished_job(store)
        assert (await store.counts(NOW)).events_waiting == 3
        assert (await store.counts(NOW)).by_process_status[ProcessStatus.OPEN] == 0


# What the tests speak of


async def a_kept_webhook(store: Store, **fields) -> Webhook:
    webhook = a_webhook(**fields)
    await store.add_webhook(webhook)
    return webhook


async def told(
    store: Store, *, at: float = 0, limit: int = 100, room: int = 100, rooms=None, for_s: float = 60
) -> list[DueEvent]:
    """Lease what is due `at` seconds after NOW."""
    return await store.lease_events(limit, room, rooms or {}, after(at) + timedelta(seconds=for_s), after(at))


async def all_delivered(store: Store) -> None:
    while due := await told(store):
        await store.settle_events([EventDelivered(each.number) for each in due])


async def give_up(store: Store, *due: DueEvent, at: float = 0) -> None:
    await store.settle_events([EventGivenUp(each.number, each.leased_until, 10, "HTTP 500", after(at)) for each in due])


async def asserting_no_wait(store: Store) -> None:
    """Whoever waits returns at once; a time-out of hours would show it."""
    await store.work_arrived(EVENT_WORK, 10_000)
