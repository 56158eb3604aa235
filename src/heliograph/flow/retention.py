"""What is old is forgotten, in steps too small for anybody to notice."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

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
            forgotten = await _in_steps(store.forget_jobs, STEP_JOBS, clock, days)
            blanked = 0 if text_days is None else await _in_steps(store.blank_texts, STEP_JOBS, clock, text_days)
            # An SMS from a phone is nothing without its text.
            inbound_days = days if text_days is None else min(days, text_days)
            inbound = await _in_steps(store.forget_inbound, STEP_INBOUND, clock, inbound_days)
            events = await _in_steps(store.forget_events, STEP_EVENTS, clock, days)
            await store.keep_in_order(clock.now(), days)
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


async def _in_steps(step: Callable[[datetime, int], Awaitable[int]], limit: int, clock: Clock, days: float) -> int:
    """Take one step after the other, each with all that is older than so many days then; how much they did."""
    total = 0
    while count := await step(clock.now() - timedelta(days=days), limit):
        total += count
        await clock.sleep(STEP_PAUSE_S)
    return total
