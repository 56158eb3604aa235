"""A carrier that plays what it is told to, all kinds of trouble included."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import count

from heliograph.clock import Clock
from heliograph.jobs.carriage import (
    Accepted,
    MessageState,
    Permanence,
    Receipt,
    Refused,
    Segment,
    SegmentId,
    SubmitOutcome,
    Unanswered,
    Unreachable,
    answer_reason,
)

ANSWER_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Play:
    """What happens to one submission.

    taken: whether the phone will get it. answer: what the carrier says of it, given the segment and the message id.
    after_s: when. receipts: seconds after the submission, and state; they may come before the answer.
    """

    taken: bool
    answer: Callable[[Segment, str], SubmitOutcome]
    after_s: float = 0.05
    receipts: Sequence[tuple[float, MessageState | None]] = ()


Script = Callable[[Segment], Play]
"""Decides about each submission."""


def taken(*states: MessageState | None, after_s: float = 0.05, receipt_after_s: float = 1.0) -> Play:
    """It is taken; receipts with these states follow, one after the other."""
    receipts = [(receipt_after_s * (place + 1), state) for place, state in enumerate(states)]
    return Play(True, lambda segment, message_id: Accepted(segment.id, message_id), after_s, receipts)


def delivered(after_s: float = 0.05) -> Play:
    """It is taken and delivered."""
    return taken(MessageState.DELIVERED, after_s=after_s)


def refused(permanence: Permanence, after_s: float = 0.05) -> Play:
    """It is refused."""
    names = {
        Permanence.LASTING: ("ESME_RSUBMITFAIL", 0x45, "submit_sm failed."),
        Permanence.PASSING: ("ESME_RSYSERR", 0x08, "System error."),
        Permanence.DOUBTFUL: ("ESME_RUNKNOWNERR", 0xFF, "Unknown error."),
        Permanence.THROTTLED: ("ESME_RTHROTTLED", 0x58, "Throttling error."),
        Permanence.BAD_NUMBER: ("ESME_RINVDSTADR", 0x0B, "Invalid destination address."),
    }
    name, value, meaning = names[permanence]
    reason = answer_reason(name, value, permanence, meaning)
    return Play(False, lambda segment, _: Refused(segment.id, permanence, reason), after_s)


def unreachable() -> Play:
    """It never gets there."""
    return Play(False, lambda segment, _: Unreachable(segment.id, "there is no connection"), after_s=0)


def unanswered(*states: MessageState, taken: bool, after_s: float = ANSWER_TIMEOUT_S) -> Play:
    """No answer comes; whether it was taken, only we know. Receipts come in any case, of what was."""
    receipts = [(1.0, state) for state in states]
    return Play(taken, lambda segment, _: Unanswered(segment.id, "no answer came in time"), after_s, receipts)


class ScriptedCarrier:
    """A Carrier of which every submission is played by `script`, and everything is written down.

    submitted: all submissions, with their instants. taken: those that phones get. delivered: the segments of whose
    delivery a receipt was given.
    """

    def __init__(
        self, name: str, clock: Clock, script: Script | None = None, *, window: int = 10, node: str = ""
    ) -> None:
        """node: tells message ids apart where several of a name speak to the same peer."""
        self._name = name
        self._node = node
        self._window = window
        self.unreachable = ""
        self._clock = clock
        self.script: Script = script or (lambda _: delivered())
        self.submitted: list[tuple[datetime, Segment]] = []
        self.submit_counts = Counter[SegmentId]()
        self.taken: list[Segment] = []
        self.delivered: set[SegmentId] = set()
        self.unanswered: set[SegmentId] = set()
        self.most_unanswered = 0
        self._answers: list[tuple[float, int, SubmitOutcome]] = []
        self._answer_there = asyncio.Event()
        self._receipts: list[tuple[float, int, Receipt, SegmentId]] = []
        self._receipt_there = asyncio.Event()
        self._order = count(1)

    @property
    def name(self) -> str:
        return self._name

    @property
    def window(self) -> int:
        return 0 if self.unreachable else self._window

    @property
    def dsts(self) -> list[str]:
        """The numbers of all submissions, in their order."""
        return [segment.dst for _, segment in self.submitted]

    @property
    def instants(self) -> list[datetime]:
        """The instants of all submissions."""
        return [instant for instant, _ in self.submitted]

    def submit(self, segment: Segment) -> None:
        assert segment.id not in self.unanswered, "submitted again before it was answered"
        self.unanswered.add(segment.id)
        self.most_unanswered = max(self.most_unanswered, len(self.unanswered))
        assert len(self.unanswered) <= self._window, "more than the window holds"
        play, order = self.script(segment), next(self._order)
        self.submitted.append((self._clock.now(), segment))
        self.submit_counts[segment.id] += 1
        if play.taken:
            self.taken.append(segment)
        message_id = f"{self._name}{self._node}-{order}"
        now_s = self._clock.monotonic()
        self._answers.append((now_s + play.after_s, order, play.answer(segment, message_id)))
        self._answers.sort(key=lambda answer: answer[:2])
        self._answer_there.set()
        if segment.receipt_wanted:
            for after_s, state in play.receipts:
                self._expect_receipt(now_s + after_s, message_id, state, segment.id)

    def _expect_receipt(self, at_s: float, message_id: str, state: MessageState | None, segment: SegmentId) -> None:
        receipt = Receipt(message_id, state, self._clock.now())
        self._receipts.append((at_s, next(self._order), receipt, segment))
        self._receipts.sort(key=lambda receipt: receipt[:2])
        self._receipt_there.set()

    async def outcomes(self) -> list[SubmitOutcome]:
        await self._wait(self._answers, self._answer_there)
        now_s = self._clock.monotonic()
        due = [outcome for at_s, _, outcome in self._answers if at_s <= now_s]
        del self._answers[: len(due)]
        self.unanswered.difference_update(outcome.segment for outcome in due)
        return due

    @asynccontextmanager
    async def receipts(self) -> AsyncGenerator[list[Receipt]]:
        await self._wait(self._receipts, self._receipt_there)
        now_s, now = self._clock.monotonic(), self._clock.now()
        due = [waiting for waiting in self._receipts if waiting[0] <= now_s]
        yield [Receipt(receipt.message_id, receipt.state, now, receipt.detail) for _, _, receipt, _ in due]
        for waiting in due:
            self._receipts.remove(waiting)
            if waiting[2].state is MessageState.DELIVERED:
                self.delivered.add(waiting[3])

    async def _wait(self, timeline: Sequence[tuple], news: asyncio.Event) -> None:
        while not timeline or timeline[0][0] > self._clock.monotonic():
            news.clear()
            if timeline:
                await self._clock.wait(news, timeline[0][0] - self._clock.monotonic())
            else:
                await news.wait()

    async def run(self) -> None:
        """Nobody to keep a connection to."""

    def lose_connection(self) -> None:
        """Our process is gone, and with it all answers it waited for. Receipts will be given to the next one."""
        self._answers.clear()
        self.unanswered.clear()

    @property
    def receipts_left(self) -> int:
        """How many receipts have not been acknowledged."""
        return len(self._receipts)
