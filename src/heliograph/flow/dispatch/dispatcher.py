"""One carrier's dispatcher: leases what is due, paces it, submits it, records what came of it."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from heliograph.carriers.interface import Carrier
from heliograph.clock import Clock
from heliograph.flow.dispatch.pacing import Pacer
from heliograph.flow.dispatch.retrying import RetryPolicy, after_acceptance, after_try, before_try, while_unreachable
from heliograph.jobs.carriage import AcceptedLate, Permanence, Refused, SegmentId
from heliograph.jobs.errors import StoreUnavailable
from heliograph.jobs.status import PartState, Status
from heliograph.metrics import Metrics
from heliograph.store.interface import DuePart, Ended, Outcome, Postponed, Store, Submitted

IDLE_POLL_S = 0.25
"""How often to look for scheduled SMS that have fallen due: they leave within a second of their instant."""
STORE_RETRY_S = 1.0
DRAIN_POLL_S = 0.01
UNREACHABLE_POLL_S = 0.25
"""How often a batch of what is due is looked through while the carrier can't be reached: what has expired, or whose
receipt is overdue, still ends in time, and reports say what keeps the others."""
MAX_BATCH = 100
"""How many parts are leased, or outcomes recorded, at once: a millisecond's work, for others wait meanwhile."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Try:
    """A part that the carrier has, from the monotonic instant `started_s` until its outcome is stored."""

    part: DuePart
    started_s: float


class Dispatcher:
    """Two pumps: one leases and submits, one settles. Neither waits for the other but for room in the window.

    A slot of the window is free again only when the outcome before it is stored; so a crash leaves no more than
    a window's worth of segments of which nobody knows whether the carrier took them.
    """

    def __init__(
        self,
        carrier: Carrier,
        store: Store,
        clock: Clock,
        metrics: Metrics,
        *,
        policy: RetryPolicy,
        pacer: Pacer,
        lease_s: float,
    ) -> None:
        """lease_s: longer than the carrier ever takes to answer, its time-out included."""
        self._carrier = carrier
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._policy = policy
        self._pacer = pacer
        self._lease = timedelta(seconds=lease_s)
        self._in_flight: dict[SegmentId, _Try] = {}
        self._settled_since_lease: set[SegmentId] = set()
        self._room = asyncio.Event()
        self._leasing = False
        self._stopping = False
        self._latency = metrics.submit_latency.labels(carrier.name)
        metrics.in_flight.labels(carrier.name).set_function(lambda: len(self._in_flight))

    async def run(self) -> None:
        """Dispatch until cancelled."""
        async with asyncio.TaskGroup() as pumps:
            pumps.create_task(self._send())
            pumps.create_task(self._settle())

    async def drain(self, timeout_s: float) -> int:
        """Submit nothing more, and wait for the answers to what was; how many are still missing at the end."""
        self._stopping = True
        deadline_s = self._clock.monotonic() + timeout_s
        while (self._in_flight or self._leasing) and self._clock.monotonic() < deadline_s:
            await self._clock.sleep(DRAIN_POLL_S)
        return len(self._in_flight)

    async def _send(self) -> None:
        while not self._stopping:
            unreachable = self._carrier.unreachable
            limit = MAX_BATCH if unreachable else self._limit()
            if limit <= 0:
                await self._wait_for_room()
                continue
            try:
                leased = await self._lease_and_submit(limit)
                if unreachable:
                    await self._clock.sleep(UNREACHABLE_POLL_S)
                elif not leased:
                    await self._store.work_arrived(self._carrier.name, IDLE_POLL_S)
            except StoreUnavailable as error:
                log.error("dispatch.store_unavailable", carrier=self._carrier.name, error=str(error))
                await self._clock.sleep(STORE_RETRY_S)

    def _limit(self) -> int:
        limit = self._carrier.window - len(self._in_flight)
        paced = self._pacer.room(self._clock.monotonic())
        return min(limit, MAX_BATCH) if paced is None else min(limit, paced, MAX_BATCH)

    async def _wait_for_room(self) -> None:
        if len(self._in_flight) >= self._carrier.window:
            self._room.clear()
            await self._clock.wait(self._room, IDLE_POLL_S)
        else:
            await self._clock.sleep(self._pacer.next_room_s())

    async def _lease_and_submit(self, limit: int) -> bool:
        self._leasing = True
        try:
            self._settled_since_lease.clear()
            now = self._clock.now()
            due = await self._store.lease_segments(self._carrier.name, limit, now + self._lease, now)
            await self._record(self._submit(due))
        finally:
            self._leasing = False
        return bool(due)

    def _submit(self, due: Sequence[DuePart]) -> list[Outcome]:
        """Hand to the carrier what is to go to it now; what to record of the others."""
        now, started_s = self._clock.now(), self._clock.monotonic()
        decided: list[Outcome] = []
        unreachable = self._carrier.unreachable
        submit_count = 0
        for part in due:
            segment = part.segment
            if part.was is PartState.LEASED and self._knows(segment.id):
                # The lease ran out, yet nothing is unknown: the answer is still awaited, or what became of it was
                # stored just after this lease was given. The new lease makes the old one longer, no more.
                continue
            decision = before_try(part, now)
            if decision is not None:
                decided.append(decision)
            elif segment.id in self._in_flight:
                # Its next try is stored, but we haven't heard so yet and may be about to store it once more.
                decided.append(_put_back(part, now + timedelta(seconds=STORE_RETRY_S)))
            elif unreachable:
                decided.append(while_unreachable(part, unreachable, now, self._policy))
            elif not self._stopping:
                self._in_flight[segment.id] = _Try(part, started_s)
                self._carrier.submit(segment)
                submit_count += 1
            elif part.was is PartState.WAITING:
                decided.append(_put_back(part, now))
        self._pacer.spend(submit_count)
        return decided

    def _knows(self, segment: SegmentId) -> bool:
        return segment in self._in_flight or segment in self._settled_since_lease

    async def _settle(self) -> None:
        while True:
            answers = await self._carrier.outcomes()
            now, ended_s = self._clock.now(), self._clock.monotonic()
            outcomes: dict[SegmentId, Outcome] = {}
            late: list[Outcome] = []
            for answer in answers:
                if isinstance(answer, AcceptedLate):
                    taken = self._late(answer, now)
                    if answer.segment in outcomes:
                        outcomes[answer.segment] = taken  # What it is late for hasn't been stored yet.
                    else:
                        late.append(taken)
                    continue
                known = self._in_flight.get(answer.segment)
                if known is None or answer.segment in outcomes:
                    log.error("dispatch.answer_unexpected", carrier=self._carrier.name, segment=answer.segment)
                    continue
                self._latency.observe(ended_s - known.started_s)
                self._metrics.answered(self._carrier.name, type(answer).__name__.lower())
                if type(answer) is Refused and answer.permanence is Permanence.THROTTLED:
                    self._pacer.throttled(ended_s)
                outcomes[answer.segment] = after_try(known.part, answer, now, self._policy)
            if late:
                await self._record(late)
            await self._record([*outcomes.values()])
            for segment in outcomes:
                del self._in_flight[segment]
                self._settled_since_lease.add(segment)
            self._room.set()

    def _late(self, answer: AcceptedLate, now: datetime) -> Outcome:
        """An answer to a try that has been given up: where the next one hasn't begun, it needn't."""
        log.warning(
            "dispatch.answer_late",
            carrier=self._carrier.name,
            segment=answer.segment,
            sent_again=answer.segment in self._in_flight,
        )
        return after_acceptance(answer.taken, answer.message_id, now, self._policy)

    async def _record(self, outcomes: list[Outcome]) -> None:
        # Until it is stored, however long that takes: what the carrier did can't be asked for again.
        while outcomes:
            try:
                await self._store.record_outcomes(self._carrier.name, outcomes)
                break
            except StoreUnavailable as error:
                log.error("dispatch.store_unavailable", carrier=self._carrier.name, error=str(error))
                await self._clock.sleep(STORE_RETRY_S)
        for outcome in outcomes:
            match outcome:
                case Ended():
                    self._metrics.sms_finished(outcome.status.value)
                case Submitted(receipt_due_at=None):  # No receipt was asked for: the answer was the final word.
                    self._metrics.sms_finished(Status.SUC_ACC.value)
                case _:
                    pass


def _put_back(part: DuePart, due_at: datetime) -> Postponed:
    return Postponed(part.segment.id, due_at, part.attempt_count, part.status, part.reason)
