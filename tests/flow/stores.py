"""A store whose waits run on the test's clock, and which can be slow, or away."""

import asyncio
from typing import Any

from heliograph.clock import Clock
from heliograph.jobs.errors import StoreUnavailable
from heliograph.store.interface import Store

FOREVER_S = 1e9
ALL = ("",)
"""The beginning of every call."""


class StoreOnClock:
    """A store around another one.

    away: calls that begin so fail, and do nothing. unsaid: calls that begin so do their work and then seem to fail.
    latency_s: how long a call takes, asked once before its work and once after it.
    answers_late_s: how long after its work a call, by name, takes to say so.
    """

    def __init__(self, inner: Store, clock: Clock) -> None:
        self.inner = inner
        self._clock = clock
        self.away: tuple[str, ...] = ()
        self.unsaid: tuple[str, ...] = ()
        self.latency_s = lambda: 0.0
        self.answers_late_s: dict[str, float] = {}

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.inner, name)

        async def call(*arguments: Any) -> Any:
            await self._pass(self.latency_s())
            if name.startswith(self.away):
                raise StoreUnavailable("the store is away, says the test")
            result = await method(*arguments)
            await self._pass(self.latency_s() + self.answers_late_s.get(name, 0.0))
            if name.startswith(self.unsaid):
                raise StoreUnavailable("the connection broke after the commit, says the test")
            return result

        return call

    async def _pass(self, seconds: float) -> None:
        if seconds > 0:
            await self._clock.sleep(seconds)

    async def work_arrived(self, carrier: str, timeout_s: float) -> None:
        arrived = asyncio.ensure_future(self.inner.work_arrived(carrier, FOREVER_S))
        time_up = asyncio.ensure_future(self._clock.sleep(timeout_s))
        try:
            await asyncio.wait((arrived, time_up), return_when=asyncio.FIRST_COMPLETED)
        finally:
            arrived.cancel()
            time_up.cancel()
