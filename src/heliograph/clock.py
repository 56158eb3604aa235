"""Time, as the steps of the flow see it. The only module that reads a clock or sleeps."""

import asyncio
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What a step may ask of time. Tests give it a clock that they move by hand."""

    def now(self) -> datetime:
        """The wall clock, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds from an arbitrary start that never go backwards, for measuring and for timers."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds`; 0 or less lets the other tasks run once."""
        ...

    async def wait(self, event: asyncio.Event, timeout_s: float) -> bool:
        """Wait for `event` at most `timeout_s`; False if the time ran out first."""
        ...


class BlockingClock(Protocol):
    """What a program without an event loop may ask of time."""

    def monotonic(self) -> float:
        """As `Clock.monotonic`."""
        ...

    def sleep(self, seconds: float) -> None:
        """Return after `seconds`; at once for 0 or less."""
        ...


def whole_ms(instant: datetime) -> datetime:
    """An instant as it is kept and told: in milliseconds, what is finer dropped."""
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))

    async def wait(self, event: asyncio.Event, timeout_s: float) -> bool:
        if event.is_set():
            return True
        try:
            async with asyncio.timeout(timeout_s):
                await event.wait()
        except TimeoutError:
            return False
        return True


class BlockingSystemClock:
    """The machine's clock, for a program without an event loop."""

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(max(0.0, seconds))
