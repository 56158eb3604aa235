"""A clock that is moved by hand: nothing sleeps, and whole servers run on it in the same order each time."""

import asyncio
import heapq
from datetime import datetime, timedelta

from tests.fakes.builders import NOW

MOST_STEPS = 1_000_000
"""Turns of the event loop, or sleepers, within one instant: whoever needs more is going round in circles."""


class ManualClock:
    """A Clock that stands still until `advance`. Counts whole microseconds, so that every sleep gets somewhere."""

    def __init__(self, start: datetime = NOW) -> None:
        self._start = start
        self._elapsed_us = 0
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []
        self._sleep_count = 0

    def now(self) -> datetime:
        return self._start + timedelta(microseconds=self._elapsed_us)

    def monotonic(self) -> float:
        return self._elapsed_us / 1_000_000

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
        else:
            await self._alarm(seconds)

    async def wait(self, event: asyncio.Event, timeout_s: float) -> bool:
        if event.is_set():
            return True
        happened = asyncio.create_task(event.wait())
        alarm = self._alarm(max(timeout_s, 0.000_001))
        try:
            await asyncio.wait((happened, alarm), return_when=asyncio.FIRST_COMPLETED)
            return happened.done()
        finally:
            happened.cancel()
            alarm.cancel()

    def _alarm(self, seconds: float) -> asyncio.Future[None]:
        alarm = asyncio.get_running_loop().create_future()
        wait_us = max(1, round(seconds * 1_000_000))
        self._sleep_count += 1
        heapq.heappush(self._sleepers, (self._elapsed_us + wait_us, self._sleep_count, alarm))
        return alarm

    async def advance(self, seconds: float) -> None:
        """Move time on, waking sleepers one by one, each at its instant, and letting all tasks run in between."""
        end_us = self._elapsed_us + round(seconds * 1_000_000)
        await settle()
        woken_in_this_instant = 0
        while self._sleepers and self._sleepers[0][0] <= end_us:
            instant_us, _, alarm = heapq.heappop(self._sleepers)
            if alarm.done():
                continue  # Whoever set it has been cancelled.
            woken_in_this_instant = woken_in_this_instant + 1 if instant_us == self._elapsed_us else 0
            assert woken_in_this_instant < MOST_STEPS, f"time stands still at {self.now()}"
            self._elapsed_us = instant_us
            alarm.set_result(None)
            await settle()
        self._elapsed_us = end_us


async def settle() -> None:
    """Let all other tasks run until each of them waits for time, or for somebody else."""
    ready = asyncio.get_running_loop()._ready
    steps = 0
    while ready:
        await asyncio.sleep(0)
        steps += 1
        assert steps < MOST_STEPS, "tasks keep each other busy, and none waits"
