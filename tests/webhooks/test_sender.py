"""webhooks/sender.py: who is told what, and when."""

import asyncio

import pytest
import structlog

from heliograph.jobs.accounts import AccountId
from heliograph.jobs.errors import Overloaded
from heliograph.jobs.webhooks import EventType
from heliograph.webhooks import sender
from heliograph.webhooks.retrying import RetryPolicy
from tests.fakes.clock import settle
from tests.fakes.receivers import down, hanging, refused, taken
from tests.webhooks.world import POLICY, World, world

HOUR_S = 3600.0
TEXT = "Your code is 123456"
ALL_RETRIES_S = sum(POLICY.waits_s)


@pytest.fixture(autouse=True)
def logs():
    with structlog.testing.capture_logs() as logs:
        yield logs


@pytest.fixture
async def here():
    async with world() as made:
        yield made


async def failures(here: World, webhook) -> list:
    return await here.store.inner.find_failed_events(webhook.account, webhook.id, 0, 100)


async def test_a_webhook_is_told_at_once(here):
    webhook = await here.webhook()
    await here.start()
    await here.finish_job(2)
    assert [post.type for post in here.receivers.told(webhook.url)] == ["sms.finished"] * 2 + ["job.finished"]
    assert here.receivers.told(webhook.url)[-1].at_s == 0


async def test_it_is_told_what_it_asked_for(here):
    sms = await here.webhook("https://example.com/sms", events=(EventType.SMS_FINISHED,))
    job = await here.webhook("https://example.com/job", events=(EventType.JOB_FINISHED,))
    other = await here.webhook("https://example.com/other", account=2)
    await here.start()
    await here.finish_job(3)
    assert here.figures(sms, job).startswith("3 events")
    assert here.receivers.posts[other.url] == []


async def test_an_attempt_that_fails_is_repeated_with_the_same_id(here):
    webhook = await here.webhook(events=(EventType.JOB_FINISHED,))
    answers = [refused(500), refused(302), down(), taken()]
    here.receivers.scripts[webhook.url] = lambda _: answers.pop(0)
    await here.start()
    await here.finish_job()
    await here.clock.advance(3 * HOUR_S)
    posts = here.receivers.posts[webhook.url]
    assert [round(post.at_s) for post in posts] == [0, 5, 305, 2105]
    assert len({post.id for post in posts}) == 1
    assert await failures(here, webhook) == []


async def test_retries_have_an_end_and_can_begin_anew(here, logs):
    webhook = await here.webhook(events=(EventType.JOB_FINISHED,))
    here.receivers.scripts[webhook.url] = lambda _: refused(503)
    await here.start()
    await here.finish_job()
    await here.clock.advance(ALL_RETRIES_S + HOUR_S)
    assert len(here.receivers.posts[webhook.url]) == 10
    (failure,) = await failures(here, webhook)
    assert (failure.attempt_count, failure.reason) == (10, "it answered 503")
    assert [line["event"] for line in logs] == ["webhooks.given_up"]
    await here.clock.advance(7 * 24 * HOUR_S)
    assert len(here.receivers.posts[webhook.url]) == 10
    del here.receivers.scripts[webhook.url]
    await here.store.inner.replay_events(webhook.account, webhook.id, 100, here.clock.now())
    await here.clock.advance(1)
    here.figures(webhook)
    assert len({post.id for post in here.receivers.posts[webhook.url]}) == 1


async def test_a_receiver_that_says_when_is_left_alone_until_then(here):
    webhook = await here.webhook(events=(EventType.JOB_FINISHED,))
    answers = [refused(429, retry_after_s=600), taken()]
    here.receivers.scripts[webhook.url] = lambda _: answers.pop(0)
    await here.start()
    await here.finish_job()
    await here.clock.advance(HOUR_S)
    assert [round(post.at_s) for post in here.receivers.posts[webhook.url]] == [0, 600]


async def test_410_disables_a_webhook_until_its_failures_are_replayed(here):
    webhook = await here.webhook()
    here.receivers.scripts[webhook.url] = lambda _: refused(410)
    await here.start()
    await here.finish_job(5)
    await here.clock.advance(24 * HOUR_S)
    assert len(here.receivers.posts[webhook.url]) == 1
    (disabled,) = await here.store.inner.webhooks(AccountId(1))
    assert disabled.disabled_at == here.clock.now().replace(day=1)
    del here.receivers.scripts[webhook.url]
    await here.store.inner.replay_events(webhook.account, webhook.id, 100, here.clock.now())
    await here.clock.advance(60)
    assert here.figures(webhook).startswith("6 events")


@pytest.mark.parametrize("status", [404, 410])
async def test_a_flow_that_is_not_there_any_more_is_forgotten(here, status):
    webhook = await here.webhook(token="t")
    here.receivers.scripts[webhook.url] = lambda _: refused(status)
    await here.start()
    await here.finish_job(5)
    await here.clock.advance(24 * HOUR_S)
    assert len(here.receivers.posts[webhook.url]) == 1
    assert await here.store.inner.webhooks(AccountId(1)) == []


async def test_a_flow_that_cannot_be_forgotten_at_the_moment_is_told_nothing_more(here):
    async def remove_webhook(account, webhook):
        raise Overloaded("more is asked for than can be written", 1)

    here.store.remove_webhook = remove_webhook
    webhook, other = await here.webhook(token="t"), await here.webhook("https://example.com/other")
    here.receivers.scripts[webhook.url] = lambda _: refused(410)
    await here.start()
    await here.finish_job(5)
    await here.clock.advance(24 * HOUR_S)
    assert len(here.receivers.posts[webhook.url]) == 1
    assert here.figures(other).startswith("6 events")


async def test_a_removed_webhook_is_told_nothing_more(here):
    webhook = await here.webhook()
    here.receivers.scripts[webhook.url] = lambda _: refused(500)
    await here.start()
    await here.finish_job(5)
    before = len(here.receivers.posts[webhook.url])
    await here.store.inner.remove_webhook(webhook.account, webhook.id)
    await here.clock.advance(24 * HOUR_S)
    assert len(here.receivers.posts[webhook.url]) == before


# One harms no other


async def test_one_that_hangs_has_one_post_at_a_time_and_holds_up_nobody(here):
    hung = [await here.webhook(f"https://example.com/hangs/{n}", account=2) for n in range(10)]
    well = await here.webhook()
    for webhook in hung:
        here.receivers.scripts[webhook.url] = lambda _: hanging()
    await here.start()
    for _ in range(3):
        await here.finish_job(5, account=2)
    await here.finish_job(20)
    assert here.figures(well).startswith("21 events")
    await here.clock.advance(600)
    assert {here.receivers.most_under_way[webhook.url] for webhook in hung} == {1}


async def test_one_with_a_large_backlog_does_not_keep_others_waiting(here):
    busy, quiet = await here.webhook(account=2), await here.webhook("https://example.com/quiet")
    here.receivers.scripts[busy.url] = lambda _: taken(after_s=1)
    await here.start()
    await here.finish_job(300, account=2)
    await here.clock.advance(5)
    await here.finish_job()
    await here.clock.advance(0.001)
    here.figures(quiet)
    assert len(here.receivers.told(busy.url)) < 300


async def test_one_that_takes_well_gets_many_at_a_time_and_no_more_than_the_setting(here):
    webhook = await here.webhook()
    here.receivers.scripts[webhook.url] = lambda _: taken(after_s=1)
    await here.start(concurrency=8)
    await here.finish_job(200)
    await here.clock.advance(60)
    here.figures(webhook)
    assert here.receivers.most_under_way[webhook.url] == 8


async def test_all_together_keep_to_a_bound(here, monkeypatch):
    monkeypatch.setattr(sender, "MAX_UNDER_WAY", 20)
    webhooks = [await here.webhook(f"https://example.com/{n}", account=n) for n in range(1, 31)]
    for webhook in webhooks:
        here.receivers.scripts[webhook.url] = lambda _: hanging()
    await here.start()
    for webhook in webhooks:
        await here.finish_job(account=webhook.account)
    assert sum(here.receivers.under_way.values()) == 20
    await here.clock.advance(60)
    assert all(here.receivers.posts[webhook.url] for webhook in webhooks)


async def test_a_defect_met_by_one_event_keeps_back_no_other(here, logs):
    webhook = await here.webhook(events=(EventType.SMS_FINISHED,))
    broken = await here.webhook("https://example.com/broken", events=(EventType.SMS_FINISHED,))

    def breaks(_):
        raise RuntimeError(TEXT)

    here.receivers.scripts[broken.url] = breaks
    await here.start(policy=RetryPolicy((1.0,)))
    await here.finish_job()
    await here.clock.advance(10)
    here.figures(webhook)
    (failure,) = await failures(here, broken)
    assert "defect of ours" in failure.reason
    assert TEXT not in str(logs)


# The store


async def test_while_the_store_is_away_nothing_is_lost(here):
    webhook = await here.webhook()
    await here.start()
    here.store.away = ("lease_events",)
    await here.finish_job(3)
    await here.clock.advance(60)
    assert here.receivers.posts[webhook.url] == []
    here.store.away = ("settle_events",)
    await here.clock.advance(10)
    here.store.away = ()
    await here.clock.advance(10)
    here.figures(webhook)


async def test_what_was_told_is_settled_though_the_store_was_away_for_longer_than_a_lease(here):
    webhook = await here.webhook(events=(EventType.JOB_FINISHED,))
    await here.start()
    here.store.away = ("settle_events",)
    await here.finish_job()
    await here.clock.advance(600)
    here.store.away = ()
    await here.clock.advance(600)
    assert len(here.receivers.posts[webhook.url]) == 1


async def test_draining_waits_for_what_is_under_way_and_begins_nothing(here):
    webhook = await here.webhook(events=(EventType.SMS_FINISHED,))
    here.receivers.scripts[webhook.url] = lambda _: taken(after_s=2)
    await here.start()
    await here.finish_job(5)
    drained = asyncio.ensure_future(here.sender.drain(10))
    await here.clock.advance(3)
    assert drained.done()
    assert drained.result() == 0
    assert len(here.receivers.posts[webhook.url]) == 1
    await here.kill()
    assert here.receivers.is_closed


async def test_draining_has_an_end(here):
    webhook = await here.webhook()
    here.receivers.scripts[webhook.url] = lambda _: hanging()
    await here.start()
    await here.finish_job()
    drained = asyncio.ensure_future(here.sender.drain(10))
    await here.clock.advance(10.1)
    assert drained.result() == 1


async def test_what_happened_is_counted(here):
    webhook = await here.webhook()
    answers = [refused(500), taken(), taken()]
    here.receivers.scripts[webhook.url] = lambda _: answers.pop(0)
    await here.start()
    await here.finish_job()
    await here.clock.advance(60)
    text = here.metrics.exposition().decode()
    assert 'heliograph_webhook_attempts_total{outcome="delivered"} 2.0' in text
    assert 'heliograph_webhook_attempts_total{outcome="failed"} 1.0' in text
    assert "heliograph_webhook_events_given_up_total 0.0" in text


async def test_neither_a_url_nor_a_secret_is_logged(here, logs):
    webhook = await here.webhook("https://example.com/?sig=hunter2", token="token")
    here.receivers.scripts[webhook.url] = lambda _: refused(410)
    await here.start()
    await here.finish_job()
    await here.clock.advance(60)
    await settle()
    assert logs
    for secret in ("hunter2", webhook.secret, "token"):
        assert secret not in str(logs)
