"""Tells webhooks what has happened: leases events, posts them, settles them."""

import asyncio
import traceback
from datetime import timedelta

import structlog

from heliograph.clock import Clock
from heliograph.jobs.errors import Overloaded, StoreUnavailable
from heliograph.jobs.webhooks import event_id
from heliograph.metrics import Metrics
from heliograph.store.interface import (
    EVENT_WORK,
    DueEvent,
    EventDelivered,
    EventGivenUp,
    Settlement,
    WebhookStore,
)
from heliograph.webhooks.endpoints import Endpoints
from heliograph.webhooks.interface import Answer, NotAnswered, Poster
from heliograph.webhooks.retrying import RetryPolicy, after_attempt, is_end, is_taken
from heliograph.webhooks.signing import signed_headers
from heliograph.wire.webhooks import event_body

MAX_UNDER_WAY = 500
"""POSTs at a time, to all webhooks together: each is a socket, and a body of some kilobytes."""
IDLE_POLL_S = 1.0
STORE_RETRY_S = 1.0
DRAIN_POLL_S = 0.05

log = structlog.get_logger()


class Sender:
    """Tells all webhooks. One that hangs, or takes nothing, has one POST at a time, and harms no other."""

    def __init__(
        self,
        store: WebhookStore,
        poster: Poster,
        clock: Clock,
        metrics: Metrics,
        *,
        policy: RetryPolicy,
        concurrency: int,
        lease_s: float,
    ) -> None:
        """concurrency: POSTs at a time to one webhook, at best. lease_s: longer than the poster ever takes."""
        self._store = store
        self._poster = poster
        self._clock = clock
        self._metrics = metrics
        self._policy = policy
        self._lease = timedelta(seconds=lease_s)
        self._endpoints = Endpoints(concurrency)
        self._under_way: set[int] = set()
        self._answered: list[tuple[DueEvent, Answer]] = []
        self._any_answered = asyncio.Event()
        self._wake = asyncio.Event()
        self._leasing = False
        self._stopping = False

    async def run(self) -> None:
        """Tell them, until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._listen())
                tasks.create_task(self._settle())
                await self._send(tasks)
        finally:
            self._poster.close()

    async def drain(self, timeout_s: float) -> int:
        """Begin nothing more, and wait for the answers to what was begun; how many are still missing at the end."""
        self._stopping = True
        deadline_s = self._clock.monotonic() + timeout_s
        while (self._under_way or self._leasing) and self._clock.monotonic() < deadline_s:
            await self._clock.sleep(DRAIN_POLL_S)
        return len(self._under_way)

    async def _listen(self) -> None:
        while True:
            try:
                await self._store.work_arrived(EVENT_WORK, IDLE_POLL_S)
            except StoreUnavailable:
                await self._clock.sleep(STORE_RETRY_S)  # Whoever leases tells it.
            self._wake.set()

    async def _send(self, tasks: asyncio.TaskGroup) -> None:
        while not self._stopping:
            self._wake.clear()
            leased: list[DueEvent] = []
            if room := MAX_UNDER_WAY - len(self._under_way):
                try:
                    leased = await self._lease_events(room)
                except StoreUnavailable as error:
                    log.error("webhooks.store_unavailable", error=str(error))
                    await self._clock.sleep(STORE_RETRY_S)
            for due in leased:
                tasks.create_task(self._tell(due))
            if not leased:
                # `_listen` sees to it that nothing else is waited for longer than it may be.
                await self._clock.wait(self._wake, self._endpoints.next_pause_over_s(self._clock.monotonic()))

    async def _lease_events(self, limit: int) -> list[DueEvent]:
        self._leasing = True
        try:
            now, now_s = self._clock.now(), self._clock.monotonic()
            rooms = self._endpoints.rooms(now_s)
            due = await self._store.lease_events(limit, Endpoints.new_room, rooms, now + self._lease, now)
            # One whose lease ran out while we have it under way, as the store was away: its answer will come.
            fresh = [each for each in due if each.number not in self._under_way]
            for each in fresh:
                self._under_way.add(each.number)
                self._endpoints.of(each.webhook.id).begin()
            self._endpoints.forget_some()
        finally:
            self._leasing = False
        return fresh

    async def _tell(self, due: DueEvent) -> None:
        answer: Answer
        try:
            body = event_body(due.event)
            number = event_id(due.webhook.id, due.event)
            headers = signed_headers(number, due.webhook.secret, body, self._clock.now())
            answer = await self._poster.post(due.webhook.url, headers, body)
        except Exception as error:  # noqa: BLE001 # A bug that one event runs into must not keep back all the others.
            where = "".join(traceback.format_tb(error.__traceback__))
            log.error("webhooks.failed", webhook=due.webhook.id, error=type(error).__qualname__, where=where)
            answer = NotAnswered("the service failed; this is a defect of ours, and its log says more")
        self._answered.append((due, answer))
        self._any_answered.set()

    async def _settle(self) -> None:
        while True:
            await self._any_answered.wait()
            self._any_answered.clear()
            answered, self._answered = self._answered, []
            now = self._clock.now()
            settlements = [each for due, answer in answered for each in after_attempt(due, answer, now, self._policy)]
            await self._record(settlements)
            for due, answer in answered:
                self._endpoints.of(due.webhook.id).end(self._clock.monotonic(), taken=is_taken(answer))
                self._under_way.discard(due.number)
                if is_end(due, answer):
                    await self._end(due)
            self._count(answered, settlements)
            self._wake.set()

    async def _end(self, due: DueEvent) -> None:
        log.info("webhooks.gone", webhook=due.webhook.id, account=due.webhook.account)
        if due.webhook.is_trigger:  # There is no flow any more that could ever ask for what is kept.
            try:
                await self._store.remove_webhook(due.webhook.account, due.webhook.id)
            except (StoreUnavailable, Overloaded) as error:
                log.error("webhooks.store_unavailable", error=str(error))  # Disabled it is, and told nothing.

    async def _record(self, settlements: list[Settlement]) -> None:
        # Until it is stored, however long that takes: else what has been told would be told again.
        while True:
            try:
                return await self._store.settle_events(settlements)
            except StoreUnavailable as error:
                log.error("webhooks.store_unavailable", error=str(error))
                await self._clock.sleep(STORE_RETRY_S)

    def _count(self, answered: list[tuple[DueEvent, Answer]], settlements: list[Settlement]) -> None:
        delivered = sum(isinstance(each, EventDelivered) for each in settlements)
        given_up = [each for each in settlements if isinstance(each, EventGivenUp)]
        self._metrics.webhook_attempts.labels("delivered").inc(delivered)
        self._metrics.webhook_attempts.labels("failed").inc(len(answered) - delivered)
        self._metrics.events_given_up.inc(len(given_up))
        webhooks = {due.number: due.webhook.id for due, _ in answered}
        for each in given_up:
            log.warning("webhooks.given_up", webhook=webhooks[each.number], attempts=each.attempt_count)
