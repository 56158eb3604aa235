"""A carrier with nobody behind it: the last four digits of the number decide (contract, section 4)."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from itertools import islice, takewhile
from typing import Final

from heliograph.clock import Clock
from heliograph.jobs.carriage import (
    Accepted,
    MessageState,
    Permanence,
    Receipt,
    Refused,
    Segment,
    SubmitOutcome,
    Unreachable,
    answer_reason,
)
from heliograph.jobs.endings import Ending, Throttle, ending_of

_STATES: Final = {Ending.UNDELIVERED: MessageState.UNDELIVERABLE, Ending.EXPIRED: MessageState.EXPIRED}
_MAX_BATCH = 100
"""Outcomes, or receipts, given at once: what one commit takes in a millisecond."""


class Sandbox:
    """Delivers everything after `delay_s`, but for the numbers that ask for something else."""

    def __init__(self, name: str, clock: Clock, *, window: int = 1000, delay_s: float = 0.2) -> None:
        self._name = name
        self._window = window
        self._clock = clock
        self._delay_s = delay_s
        self._throttle = Throttle()
        self._outcomes: deque[SubmitOutcome] = deque()
        self._outcome_there = asyncio.Event()
        # All wait equally long, so they fall due in the order in which they came.
        self._receipts: deque[tuple[float, str, MessageState]] = deque()
        self._receipt_there = asyncio.Event()
        self._promised: set[str] = set()

    @property
    def name(self) -> str:
        return self._name

    @property
    def window(self) -> int:
        return self._window

    @property
    def unreachable(self) -> str:
        return ""

    def submit(self, segment: Segment) -> None:
        self._outcomes.append(self._outcome(segment))
        self._outcome_there.set()

    def _outcome(self, segment: Segment) -> SubmitOutcome:
        ending = ending_of(segment.dst)
        if ending is Ending.REFUSED:
            return _refused(segment, "ESME_RSUBMITFAIL", 0x45, Permanence.LASTING, "submit_sm failed.")
        if ending is Ending.UNREACHABLE:
            return Unreachable(segment.id, "the sandbox plays a carrier that can't be reached")
        if ending is Ending.THROTTLED and self._throttle.turns_away(segment.id):
            return _refused(segment, "ESME_RTHROTTLED", 0x58, Permanence.THROTTLED, "Throttling error.")
        # The id tells all, so that receipts outlive the process, as a real carrier's do: see `awaiting`.
        message_id = f"{segment.id:x}-{segment.dst[-4:]}"
        if segment.receipt_wanted:
            self._promise(message_id)
        return Accepted(segment.id, message_id)

    def awaiting(self, message_ids: Iterable[str]) -> None:
        for message_id in message_ids:
            self._promise(message_id)

    def _promise(self, message_id: str) -> None:
        ending = ending_of(message_id)
        if ending is Ending.SILENT or message_id in self._promised:
            return
        self._promised.add(message_id)
        state = _STATES.get(ending, MessageState.DELIVERED)
        self._receipts.append((self._clock.monotonic() + self._delay_s, message_id, state))
        self._receipt_there.set()

    async def outcomes(self) -> list[SubmitOutcome]:
        while not self._outcomes:
            self._outcome_there.clear()
            await self._outcome_there.wait()
        return [self._outcomes.popleft() for _ in range(min(len(self._outcomes), _MAX_BATCH))]

    @asynccontextmanager
    async def receipts(self) -> AsyncGenerator[list[Receipt]]:
        while not self._receipts:
            self._receipt_there.clear()
            await self._receipt_there.wait()
        # A sleep may end a hair early: again, then, for never are there none.
        while (wait_s := self._receipts[0][0] - self._clock.monotonic()) > 0:
            await self._clock.sleep(wait_s)
        instant, now = self._clock.monotonic(), self._clock.now()
        head = takewhile(lambda waiting: waiting[0] <= instant, self._receipts)
        due = [Receipt(message_id, state, now) for _, message_id, state in islice(head, _MAX_BATCH)]
        yield due
        # Only now: if the block failed, the same ones come again.
        for receipt in due:
            self._receipts.popleft()
            self._promised.discard(receipt.message_id)

    async def run(self) -> None:
        """Nobody to keep a connection to."""


def _refused(segment: Segment, name: str, value: int, permanence: Permanence, meaning: str) -> Refused:
    return Refused(segment.id, permanence, answer_reason(name, value, permanence, meaning))
