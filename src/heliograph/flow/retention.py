"""What is old is forgotten, in steps too small for anybody to notice."""

from datetime import timedelta

import structlog

from heliograph.clock import Clock
from heliograph.jobs.errors import StoreUnavailable
from heliograph.store.interface import Store

STEP_JOBS = 100
STEP_INBOUND = 1000
STEP_EVENTS = 1000
STEP_PAUSE_S = 0.05
ROUND_S = 600.0

log = structlog.get_logger()


async def forget_old_jobs(store: Store, clock: Clock, *, days: float, text_days: float | None) -> None:
    """Delete finished jobs `days` old, and texts, SMS from phones among them, `text_days` old; until cancelled."""
    while True:
        try:
            forgotten = await _forget(store, clock, days)
            blanked = 0 if text_days is None else await _blank(store, clock, text_days)
            # An SMS from a phone is nothing without its text.
            inbound = await _forget_inbound(store, clock, days if text_days is None else min(days, text_days))
            events = await _forget_events(store, clock, days)
        except StoreUnavailable as error:
            log.error("retention.store_unavailable", error=str(error))
        else:
            if forgotten or blanked or inbound or events:
                log.info(
                    "retention.done",
                    jobs_deleted=forgotten,
                    jobs_blanked=blanked,
                    inbound_deleted=inbound,
                    events_deleted=events,
                )
        await clock.sleep(ROUND_S)


async def _forget(store: Store, clock: Clock, days: float) -> int:
    total = 0
    while count := await store.forget_jobs(clock.now() - timedelta(days=days), STEP_JOBS):
        total += count
        await clock.sleep(STEP_PAUSE_S)
    return total


async def _blank(store: Store, clock: Clock, text_days: float) -> int:
    total = 0
    while count := await store.blank_texts(clock.now() - timedelta(days=text_days), STEP_JOBS):
        total += count
        await clock.sleep(STEP_PAUSE_S)
    return total


async def _forget_inbound(store: Store, clock: Clock, days: float) -> int:
    total = 0
    while count := await store.forget_inbound(clock.now() - timedelta(days=days), STEP_INBOUND):
        total += count
        await clock.sleep(STEP_PAUSE_S)
    return total


async def _forget_events(store: Store, clock: Clock, days: float) -> int:
    total = 0
    while count := await store.forget_events(clock.now() - timedelta(days=days), STEP_EVENTS):
        total += count
        await clock.sleep(STEP_PAUSE_S)
    return total
