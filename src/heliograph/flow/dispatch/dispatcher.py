"""One carrier's dispatcher: leases what is due, paces it, submits it, records what came of it."""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec
import structlog

from heliograph.carriers.interface import Carrier, QueryableCarrier, RecallingCarrier, ResendingCarrier
from heliograph.clock import Clock
from heliograph.flow.dispatch.failover import after_answer, instead_of_waiting
from heliograph.flow.dispatch.pacing import Pacer
from heliograph.flow.dispatch.retrying import (
    RetryPolicy,
    after_acceptance,
    after_try,
    before_try,
    is_worth_asking,
    while_throttled,
    while_unreachable,
)
from heliograph.flow.dispatch.throttling import REFUSED_IN_A_ROW, Throttling
from heliograph.flow.dispatch.withdrawing import Taken, Withdrawals
from heliograph.jobs.carriage import (
    Accepted,
    AcceptedLate,
    Permanence,
    Refused,
    Segment,
    SegmentId,
    SubmitOutcome,
    Unreachable,
)
from heliograph.jobs.errors import StoreUnavailable
from heliograph.jobs.status import PartState, Status
from heliograph.metrics import Metrics
from heliograph.store.interface import DuePart, Ended, Moved, Outcome, Postponed, Submitted, WorkStore

IDLE_POLL_S = 0.25
"""How often to look for scheduled SMS that have fallen due: they leave within a second of their instant."""
STORE_RETRY_S = 1.0
LATE_LEASE_S = 10.0
"""A lease that took longer isn't used: others count its time from when it was asked for."""
DRAIN_POLL_S = 0.01
MOST_ASKED = 10_000
"""Parts of which it is remembered that the carrier was asked about them."""
EXPRESS_POLL_S = 0.05
"""How often to look for EXPRESS SMS alone while NORMAL ones fill their share of the window and none is answered."""
UNREACHABLE_POLL_S = 0.25
"""How often a batch of what is due is looked through while the carrier can't be reached: what has expired, or whose
receipt is overdue, still ends in time, and reports say what keeps the others."""
MAX_BATCH = 100
"""How many parts are leased, or outcomes recorded, at once."""
AT_A_STRETCH = 25
"""How many of them are looked at before others have a turn: a tenth of a millisecond's work."""
ALARM_S = 60.0
"""A carrier that has done nothing but throttle for so long is told in the log, once, and so is the end of it."""
MOST_BIND_ENDS = 1000
"""SMS of which it is remembered how often the carrier answered that the bind is none."""
LOGGED_LATE = 10
"""How many late answers are told one by one; of more, only each hundredth."""

log = structlog.get_logger()


class _Try(msgspec.Struct, frozen=True, gc=False):
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
        store: WorkStore,
        clock: Clock,
        metrics: Metrics,
        *,
        policy: RetryPolicy,
        pacer: Pacer,
        lease_s: float,
        carriers: Sequence[Carrier] = (),
        express_share: float = 0.0,
    ) -> None:
        """lease_s: longer than the carrier ever takes to answer, its time-out included.

        carriers: those to which SMS may move, for each of which a dispatcher runs. express_share: what part of the
        window NORMAL SMS leave free, so that one that stands still holds up no EXPRESS SMS.
        """
        self._carrier = carrier
        self._store = store
        self._clock = clock
        self._metrics = metrics
        self._policy = policy
        self._pacer = pacer
        self._lease = timedelta(seconds=lease_s)
        self._in_flight: dict[SegmentId, _Try] = {}
        self._normal_in_flight = 0
        self._express_share = express_share
        self._settled_since_lease: set[SegmentId] = set()
        self._carriers = {other.name: other for other in carriers if other.name != carrier.name}
        self._throttling = Throttling(pause_s=pacer.throttle_pause_s, sets_aside=policy.throttle_wait_s is None)
        self._throttling_told_at_s: float | None = None
        self._bind_ends: OrderedDict[SegmentId, int] = OrderedDict()
        self._queryable = carrier if isinstance(carrier, QueryableCarrier) and carrier.can_be_asked else None
        self._asked: OrderedDict[SegmentId, None] = OrderedDict()
        self._resending = carrier if isinstance(carrier, ResendingCarrier) else None
        self._resent_count = 0
        self._recalling = carrier if isinstance(carrier, RecallingCarrier) and carrier.can_recall else None
        self._withdrawals = Withdrawals()
        self._late_count = 0
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
            looks_through = bool(self._carrier.unreachable) or self._gives_way()
            limit = MAX_BATCH if looks_through else self._limit()
            if limit <= 0:
                await self._wait_for_room()
                continue
            normal_limit = None if looks_through else self._normal_room()
            if normal_limit == 0 and await self._is_answered_soon():
                continue
            try:
                leased, moved = await self._lease_and_submit(limit, normal_limit, looks_through=looks_through)
                if looks_through and not moved:
                    await self._clock.sleep(UNREACHABLE_POLL_S)
                elif not leased and normal_limit != 0:
                    await self._store.work_arrived(self._carrier.name, IDLE_POLL_S)
            except StoreUnavailable as error:
                log.error("dispatch.store_unavailable", carrier=self._carrier.name, error=str(error))
                await self._clock.sleep(STORE_RETRY_S)

    def _gives_way(self) -> bool:
        """Whether it has throttled for so long that what waits behind goes to other carriers, too."""
        lasted_s = self._throttling.lasted_s(self._clock.monotonic())
        return lasted_s > 0 and lasted_s >= self._policy.throttled_before_next_s and bool(self._up())

    def _limit(self) -> int:
        if self._resending is not None and (resent_count := self._resending.resent_count) > self._resent_count:
            self._pacer.spend(resent_count - self._resent_count)
            self._resent_count = resent_count
        limit = self._carrier.window - len(self._in_flight)
        paced = self._pacer.room(self._clock.monotonic())
        return min(limit, MAX_BATCH) if paced is None else min(limit, paced, MAX_BATCH)

    def _normal_room(self) -> int:
        window = self._carrier.window
        return max(0, window - int(window * self._express_share) - self._normal_in_flight)

    async def _is_answered_soon(self) -> bool:
        """Whether there is room for NORMAL SMS again before it is time to look for EXPRESS ones alone."""
        self._room.clear()
        return await self._clock.wait(self._room, EXPRESS_POLL_S)

    async def _wait_for_room(self) -> None:
        if len(self._in_flight) >= self._carrier.window:
            self._room.clear()
            await self._clock.wait(self._room, IDLE_POLL_S)
        else:
            await self._clock.sleep(self._pacer.next_room_s())

    async def _lease_and_submit(
        self, limit: int, normal_limit: int | None, *, looks_through: bool
    ) -> tuple[bool, bool]:
        """Whether anything was due, and whether any of it goes to another carrier."""
        self._leasing = True
        try:
            self._settled_since_lease.clear()
            now, asked_s = self._clock.now(), self._clock.monotonic()
            until = now + self._lease
            due = await self._store.lease_segments(self._carrier.name, limit, until, now, normal_limit)
            is_late = self._clock.monotonic() - asked_s > LATE_LEASE_S
            decided: list[Outcome] = []
            for first in range(0, len(due), AT_A_STRETCH):
                if first:
                    await self._clock.sleep(0)
                some = due[first : first + AT_A_STRETCH]
                decided += self._submit(some, 0 if is_late else None if looks_through else limit)
            await self._record(decided)
        finally:
            self._leasing = False
        return bool(due), any(isinstance(outcome, Moved) for outcome in decided)

    def _submit(self, due: Sequence[DuePart], room: int | None) -> list[Outcome]:
        """Hand to the carrier what is to go to it now; what to record of the others.

        room: for how many there was some; None if they were leased to be looked through, room or not.
        """
        room = self._limit() if room is None else min(room, self._limit())  # The lease may have taken long.
        now, started_s = self._clock.now(), self._clock.monotonic()
        decided: list[Outcome] = []
        unreachable = self._carrier.unreachable
        gives_way = not unreachable and self._gives_way()
        up = self._up() if unreachable or gives_way else set[str]()
        throttling = None if self._throttling.is_over else self._throttling
        submit_count, normal_room = 0, self._normal_room()
        for part in due:
            segment = part.segment
            if part.was is PartState.LEASED and self._knows(segment.id):
                # The lease ran out, yet nothing is unknown: the answer is still awaited, or what became of it was
                # stored just after this lease was given. The new lease makes the old one longer, no more.
                continue
            if self._is_being_asked_about(part, now):
                continue
            decision = before_try(part, now)
            aside_s = 0.0 if throttling is None else throttling.aside_s(segment.dst, started_s)
            has_room = not self._stopping and submit_count < room and (segment.express or normal_room > 0)
            if decision is not None:
                decided.append(decision)
            elif segment.id in self._in_flight:
                # Its next try is stored, but we haven't heard so yet and may be about to store it once more.
                decided.append(_put_back(part, now + timedelta(seconds=STORE_RETRY_S)))
            elif unreachable:
                waiting = while_unreachable(part, unreachable, now, self._policy)
                decided.append(instead_of_waiting(part, self._carrier.name, waiting, up, now))
            elif has_room and aside_s == 0:
                if throttling is not None:
                    throttling.tried(segment.dst, started_s)
                self._in_flight[segment.id] = _Try(part, started_s)
                self._carrier.submit(segment)
                submit_count += 1
                if not segment.express:
                    self._normal_in_flight += 1
                    normal_room -= 1
            elif gives_way and part.was is PartState.WAITING:
                waiting = while_throttled(part, now, self._policy)
                decided.append(instead_of_waiting(part, self._carrier.name, waiting, up, now))
            elif part.was is PartState.WAITING:
                decided.append(_put_back(part, now + timedelta(seconds=aside_s)))
        self._pacer.spend(submit_count)
        self._log_moves(due, decided)
        return decided

    def _is_being_asked_about(self, part: DuePart, now: datetime) -> bool:
        """Whether to wait, for as long as the lease lasts, for what the carrier may still say of an overdue part."""
        carrier, segment = self._queryable, part.segment
        if carrier is None or not is_worth_asking(part, now, self._policy):
            return False
        if segment.id in self._asked:
            del self._asked[segment.id]
            return False  # That was the answer's time.
        if carrier.ask(segment, part.message_id):
            self._asked[segment.id] = None
            if len(self._asked) > MOST_ASKED:
                self._asked.popitem(last=False)
        return True

    def _up(self) -> set[str]:
        """The other carriers that can be reached."""
        return {name for name, other in self._carriers.items() if not other.unreachable}

    def _knows(self, segment: SegmentId) -> bool:
        return segment in self._in_flight or segment in self._settled_since_lease

    async def _settle(self) -> None:
        while True:
            answers = await self._carrier.outcomes()
            now, ended_s = self._clock.now(), self._clock.monotonic()
            outcomes: dict[SegmentId, Outcome] = {}
            late: list[Outcome] = []
            unwanted: list[Taken] = []
            answered: list[str] = []
            up = self._up()
            for place, answer in enumerate(answers):
                if place and place % AT_A_STRETCH == 0:
                    await self._clock.sleep(0)
                if isinstance(answer, AcceptedLate):
                    taken = self._late(answer, now)
                    unwanted += self._unwanted(answer.taken, answer, taken)
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
                answered.append(type(answer).__name__.lower())
                outcome = self._after_answer(known, answer, up, now, ended_s)
                outcomes[answer.segment] = outcome
                unwanted += self._unwanted(known.part.segment, answer, outcome)
            for kind, count in Counter(answered).items():
                self._metrics.answered(self._carrier.name, kind, count)
            self._log_moves([self._in_flight[segment].part for segment in outcomes], [*outcomes.values()])
            if late:
                await self._record(late)
            await self._record([*outcomes.values()])
            self._call_back(unwanted)
            for segment in outcomes:
                if not self._in_flight.pop(segment).part.segment.express:
                    self._normal_in_flight -= 1
                self._settled_since_lease.add(segment)
            self._room.set()

    def _after_answer(self, known: _Try, answer: SubmitOutcome, up: set[str], now: datetime, now_s: float) -> Outcome:
        part, policy, throttled_s = known.part, self._policy, 0.0
        if (isinstance(answer, Unreachable) and answer.is_answer) or part.segment.id in self._bind_ends:
            answer = self._after_bind_end(part.segment.id, answer)
        if isinstance(answer, Refused) and answer.permanence is Permanence.THROTTLED:
            throttled_s, wait_s = self._after_throttling(known, answer, now_s)
            if wait_s is not None:
                policy = msgspec.structs.replace(policy, throttle_wait_s=wait_s)
        elif isinstance(answer, Accepted | Refused) and not self._throttling.is_over:
            self._after_no_throttling(known, now_s)
        decision = after_try(part, answer, now, policy)
        return after_answer(
            part,
            self._carrier.name,
            answer,
            decision,
            up=up,
            known=self._carriers,
            throttled_s=throttled_s,
            now=now,
            policy=policy,
        )

    def _after_throttling(self, known: _Try, answer: Refused, now_s: float) -> tuple[float, float | None]:
        """For how long it has lasted, and how long the SMS waits; None if it goes first after the pause."""
        segment = known.part.segment
        moves_after_s = self._policy.throttled_before_next_s if known.part.others else None
        verdict = self._throttling.refused(segment.dst, known.started_s, now_s, moves_after_s=moves_after_s)
        if not verdict.is_number:
            self._pacer.throttled(now_s)
        elif verdict.is_news:
            if self._throttling.lasted_s(now_s) == 0:
                self._pacer.forgive()
            message = "the carrier throttles a single number: it is tried again from time to time, and others go on"
            log.warning(
                "dispatch.number_throttled",
                carrier=self._carrier.name,
                job_id=segment.job_id,
                reason=answer.reason,
                message=message,
            )
        lasted_s = self._throttling.lasted_s(now_s)
        if lasted_s >= ALARM_S and self._throttling_told_at_s is None:
            self._throttling_told_at_s = now_s - lasted_s
            log.error(
                "dispatch.only_throttled",
                carrier=self._carrier.name,
                lasted_s=round(lasted_s),
                reason=answer.reason,
                message="the carrier does nothing but throttle: ask it why",
            )
        return verdict.lasted_s, verdict.wait_s

    def _after_bind_end(self, segment: SegmentId, answer: SubmitOutcome) -> SubmitOutcome:
        """An SMS that costs a bind each time it is sent has failed, sooner or later: it holds up what waits behind."""
        count = self._bind_ends.pop(segment, 0)
        if not isinstance(answer, Unreachable):
            return answer
        self._bind_ends[segment] = count + answer.is_answer
        if len(self._bind_ends) > MOST_BIND_ENDS:
            self._bind_ends.popitem(last=False)
        return (
            msgspec.structs.replace(answer, is_try=True)
            if answer.is_answer and count + 1 >= REFUSED_IN_A_ROW
            else answer
        )

    def _after_no_throttling(self, known: _Try, now_s: float) -> None:
        if self._throttling.answered_otherwise(known.part.segment.dst, known.started_s):
            self._pacer.forgive()
        if self._throttling_told_at_s is not None:
            lasted_s = round(now_s - self._throttling_told_at_s)
            self._throttling_told_at_s = None
            log.warning("dispatch.throttling_over", carrier=self._carrier.name, lasted_s=lasted_s)

    def _unwanted(self, segment: Segment, answer: SubmitOutcome, outcome: Outcome) -> list[Taken]:
        """What the carrier has of a long SMS that failed with another part."""
        if self._recalling is None or segment.parts == 1:
            return []
        if isinstance(answer, Accepted | AcceptedLate):
            return self._withdrawals.taken(segment, answer.message_id)
        is_end = isinstance(outcome, Ended) or (
            # It can't move once a part was taken.
            isinstance(outcome, Moved) and isinstance(outcome.otherwise, Ended) and self._withdrawals.has_taken(segment)
        )
        return self._withdrawals.failed(segment) if is_end else []

    def _call_back(self, parts: Sequence[Taken]) -> None:
        if self._recalling is None or not parts:
            return
        told_count = sum(self._recalling.cancel(part.message_id, part.src) for part in parts)
        log.info("dispatch.called_back", carrier=self._carrier.name, part_count=len(parts), told_count=told_count)

    def _log_moves(self, parts: Sequence[DuePart], outcomes: Sequence[Outcome]) -> None:
        moved = {outcome.segment: outcome.carrier for outcome in outcomes if isinstance(outcome, Moved)}
        if not moved:
            return
        counts = Counter((part.segment.job_id, moved[part.segment.id]) for part in parts if part.segment.id in moved)
        for (job_id, target), part_count in counts.items():
            log.info("dispatch.moved", job_id=job_id, carrier=self._carrier.name, to=target, part_count=part_count)

    def _late(self, answer: AcceptedLate, now: datetime) -> Outcome:
        """An answer to a try that has been given up: where the next one hasn't begun, it needn't."""
        self._late_count += 1
        if self._late_count <= LOGGED_LATE or self._late_count % 100 == 0:
            log.warning(
                "dispatch.answer_late",
                carrier=self._carrier.name,
                segment=answer.segment,
                sent_again=answer.segment in self._in_flight,
                count=self._late_count,
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
    return Postponed(
        part.segment.id, min(due_at, part.segment.expires_at), part.attempt_count, part.status, part.reason
    )
