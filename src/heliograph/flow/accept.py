"""A request comes in: planned, kept, acknowledged."""

import asyncio
from datetime import datetime

import msgspec

from heliograph.clock import Clock, whole_ms
from heliograph.ids import Ids
from heliograph.jobs.accounts import Account, AccountId
from heliograph.jobs.errors import IdempotencyKeyBusy
from heliograph.jobs.naming import RANDOM_SPACE, JobId, job_id
from heliograph.jobs.plan import plan_job, with_blocked
from heliograph.jobs.preview import Preview, preview_job
from heliograph.jobs.request import JobRequest
from heliograph.jobs.routing import Routing
from heliograph.metrics import Metrics
from heliograph.store.interface import Added, Store

PLAN_ASIDE_RECIPIENTS = 200
"""Numbers in national spelling take 40 µs each to read: more of them would hold up everybody else's requests."""
PLAN_ASIDE_CHARACTERS = 5000
"""A text of 8 MiB is no mistake, though most of it is cut off; at 1 µs a character it takes seconds to read."""


class Acceptor:
    """Takes jobs in. A job id is given only for a job that is on disk."""

    def __init__(self, store: Store, routing: Routing, clock: Clock, ids: Ids, metrics: Metrics) -> None:
        self._store = store
        self._routing = routing
        self._clock = clock
        self._ids = ids
        self._metrics = metrics
        self._under_way: set[tuple[AccountId, str]] = set()

    async def accept(self, request: JobRequest, account: Account) -> JobId:
        """Keep a job and return its id; that of the first one, if the request says that it is sent again.

        Raises CharactersRefused, IdempotencyKeyBusy, IdempotencyKeyTaken, JobDuplicate, Overloaded or
        StoreUnavailable; then nothing is left behind.
        """
        return (await self._accept_once(request, account, None)).job_id

    async def accept_from_agent(self, request: JobRequest, account: Account, sms_per_hour: int) -> Added:
        """The same, and whether the job is a new one. sms_per_hour: how much agents may spend (`jobs.spending`).

        Raises the same, and SpendingLimitReached.
        """
        return await self._accept_once(request, account, sms_per_hour)

    async def _accept_once(self, request: JobRequest, account: Account, sms_per_hour: int | None) -> Added:
        if request.idempotency_key is None:
            return await self._accept(request, account, sms_per_hour)
        key = account.id, request.idempotency_key
        if key in self._under_way:
            raise IdempotencyKeyBusy(
                "a request with this Idempotency-Key is still under way; send it again in a moment to learn its outcome"
            )
        self._under_way.add(key)
        try:
            return await self._accept(request, account, sms_per_hour)
        finally:
            self._under_way.remove(key)

    async def preview(self, request: JobRequest, account: Account) -> Preview:
        """What accepting a request now would make of it; nothing is kept."""
        arguments = request, account, self._routing, *self._identity()
        preview = await asyncio.to_thread(preview_job, *arguments) if is_large(request) else preview_job(*arguments)
        blocked = await self._store.blocked_among(account.id, {sms.dst for sms in preview.plan.sms})
        return msgspec.structs.replace(preview, plan=with_blocked(preview.plan, blocked))

    def _identity(self) -> tuple[JobId, datetime]:
        """A new job's id, and the instant at which it came in."""
        now = whole_ms(self._clock.now())
        return job_id(now, self._ids.number(RANDOM_SPACE)), now

    async def _accept(self, request: JobRequest, account: Account, sms_per_hour: int | None) -> Added:
        arguments = request, account, self._routing, *self._identity()
        plan = await asyncio.to_thread(plan_job, *arguments) if is_large(request) else plan_job(*arguments)
        if sms_per_hour is not None:
            plan = msgspec.structs.replace(plan, sms_per_hour=sms_per_hour)
        added = await self._store.add_job(plan)
        if added.is_new:
            self._count(len(plan.sms), added)
        return added

    def _count(self, sms_count: int, added: Added) -> None:
        self._metrics.jobs_accepted.inc()
        self._metrics.sms_accepted.inc(sms_count)
        for status, count in added.final.items():
            self._metrics.sms_finished(status.value, count)


def is_large(request: JobRequest) -> bool:
    """Whether to read a request in detail would hold up others."""
    recipient_count = character_count = 0
    for message in request.messages:
        recipient_count += len(message.recipients)
        character_count += len(message.text)
    return recipient_count > PLAN_ASIDE_RECIPIENTS or character_count > PLAN_ASIDE_CHARACTERS
