"""Webhooks under faults: every event arrives, none is lost, and a job comes after its SMS. Figures: pytest -s."""

import asyncio
import random

import pytest
import structlog

from heliograph.jobs.accounts import AccountId
from tests.fakes.clock import settle
from tests.fakes.receivers import Play, down, hanging, refused, taken
from tests.webhooks.world import World, world

HOUR_S = 3600.0
STORES = ("memory", pytest.param("sqlite", marks=pytest.mark.slow))


@pytest.fixture(autouse=True)
def quiet():
    with structlog.testing.capture_logs():
        yield


@pytest.fixture(params=STORES)
async def here(request, tmp_path):
    async with world(None if request.param == "memory" else tmp_path / "heliograph.db") as made:
        made.name = request.param
        yield made


def tell(here: World, what: str, figures: str) -> None:
    print(f"{what} ({here.name}): {figures}")


async def until_told(here: World, *webhooks, may_repeat: bool = False, patience_s: float = 12 * HOUR_S) -> str:
    """The figures once nothing waits any more."""
    start_s = here.clock.monotonic()
    while (await here.store.inner.counts(here.clock.now())).events_waiting:
        waited_s = here.clock.monotonic() - start_s
        assert waited_s < patience_s, f"{here.figures(*webhooks, may_repeat=may_repeat)} after {waited_s} s"
        await here.clock.advance(60)
    waited_s = here.clock.monotonic() - start_s
    return f"{here.figures(*webhooks, may_repeat=may_repeat)}, all there {waited_s:.0f} s after the last one happened"


async def test_a_receiver_that_is_down_for_an_hour(here):
    webhook = await here.webhook()
    here.receivers.scripts[webhook.url] = lambda _: taken() if here.clock.monotonic() >= HOUR_S else down()
    await here.start()
    await here.jobs_for(HOUR_S - 30, random.Random(1), every_s=30)
    assert here.receivers.told(webhook.url) == []
    in_vain = len(here.receivers.posts[webhook.url])
    assert in_vain < 100, "it is asked now and then, not for each event"
    await here.clock.advance(120)
    # But for those that were tried while it was down, and wait for their next attempt.
    at_once = len(here.receivers.told(webhook.url))
    assert at_once > 0.7 * here.event_count(webhook)
    figures = await until_told(here, webhook)
    tell(here, "down for an hour", f"{figures}; {in_vain} POSTs in vain, {at_once} events within 2 minutes")


async def test_a_receiver_that_is_slow(here):
    webhook = await here.webhook()
    here.receivers.scripts[webhook.url] = lambda _: taken(after_s=10)
    await here.start()
    await here.jobs_for(600, random.Random(2))
    tell(here, "10 s for each answer", await until_told(here, webhook))
    assert here.receivers.most_under_way[webhook.url] > 3, "more at a time, as it takes them"


async def test_a_receiver_that_answers_500_now_and_then(here):
    webhook, draw = await here.webhook(), random.Random(3)
    here.receivers.scripts[webhook.url] = lambda _: refused(500) if draw.random() < 0.4 else taken()
    await here.start()
    await here.jobs_for(300, random.Random(3))
    tell(here, "500 to 4 in 10", await until_told(here, webhook, patience_s=72 * HOUR_S))


async def test_a_receiver_that_answers_410_and_is_replayed(here):
    webhook = await here.webhook()
    here.receivers.scripts[webhook.url] = lambda _: refused(410)
    await here.start()
    await here.finish_job(50)
    await here.clock.advance(60)
    assert len(here.receivers.posts[webhook.url]) == 1
    (disabled,) = await here.store.inner.webhooks(AccountId(1))
    assert disabled.disabled_at is not None
    del here.receivers.scripts[webhook.url]
    await here.store.inner.replay_events(webhook.account, webhook.id, 100, here.clock.now())
    tell(here, "410, then replayed", await until_told(here, webhook))


async def test_a_receiver_that_misbehaves_in_all_ways(here):
    webhooks = [await here.webhook(f"https://example.com/{n}") for n in range(3)]
    draw = random.Random(5)

    def play(_) -> Play:
        plays = [taken(), taken(draw.random() * 5), refused(500), refused(429, 30), refused(302), down(), hanging()]
        return draw.choices(plays, [6, 3, 1, 1, 1, 1, 1])[0]

    for webhook in webhooks:
        here.receivers.scripts[webhook.url] = play
    await here.start()
    await here.jobs_for(300, random.Random(5))
    tell(here, "everything at once", await until_told(here, *webhooks, patience_s=72 * HOUR_S))


async def test_a_process_killed_between_status_and_delivery(here):
    webhook, draw = await here.webhook(), random.Random(6)
    here.receivers.scripts[webhook.url] = lambda _: taken(after_s=draw.choice([0, 0.01, 1, 5]))
    here.store.latency_s = lambda: draw.choice([0, 0.001, 0.01])
    kill_count = 100
    for _ in range(kill_count):
        parts = await here.begin_job(draw.randint(1, 5))
        await here.end(*parts)
        await here.start()
        await here.clock.advance(draw.choice([0, 0.001, 0.005, 0.02, 0.5, 3, 20]))
        await here.kill()
    await here.start()
    figures = await until_told(here, webhook, may_repeat=True)
    tell(here, f"killed {kill_count} times", figures)


async def test_a_restart_with_draining_repeats_nothing(here):
    webhook, draw = await here.webhook(), random.Random(7)
    here.receivers.scripts[webhook.url] = lambda _: taken(after_s=draw.choice([0, 0.01, 1, 5]))
    for _ in range(30):
        await here.finish_job(draw.randint(1, 5))
        await here.start()
        await here.clock.advance(draw.choice([0, 0.001, 0.02, 0.5, 3]))
        drained = asyncio.ensure_future(here.sender.drain(30))
        await here.clock.advance(30.1)
        assert drained.result() == 0
        await here.kill()
    await here.start()
    tell(here, "restarted 30 times", await until_told(here, webhook))


async def test_two_nodes_tell_each_event_once(here):
    webhook, draw = await here.webhook(), random.Random(8)
    here.receivers.scripts[webhook.url] = lambda _: taken(after_s=draw.choice([0, 0.01, 1, 5]))
    for _ in range(2):
        await here.start()
    await here.jobs_for(600, random.Random(8))
    tell(here, "two nodes", await until_told(here, webhook))


async def test_a_store_that_comes_and_goes(here):
    webhook, draw = await here.webhook(), random.Random(9)
    await here.start()
    for _ in range(60):
        here.store.away = draw.choice([(), ("lease_events",), ("settle_events",), ("work_arrived",), ("",)])
        await here.finish_job(draw.randint(1, 3))
        await here.clock.advance(draw.choice([0.1, 1, 30]))
    here.store.away = ()
    await settle()
    tell(here, "the database away now and then", await until_told(here, webhook))
