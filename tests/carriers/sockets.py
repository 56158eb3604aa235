"""An SMPP carrier that runs against a fake SMSC, on a clock that the test moves while real sockets keep up."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from heliograph.carriers.smpp.carrier import SmppCarrier
from heliograph.carriers.smpp.smsc import Smsc
from heliograph.smpp.session import Settings
from tests.fakes.clock import ManualClock, settle
from tests.fakes.ids import SeededIds
from tests.fakes.smsc import FakeSmsc

LONGEST_STEP_S = 1.0
SOCKET_TURNS = 12
"""Looks at the sockets after each step of time: enough for any exchange of PDUs on the loopback to come to rest."""


class SocketClock(ManualClock):
    """A clock moved by hand that lets bytes arrive after each step, of `LONGEST_STEP_S` at most."""

    async def advance(self, seconds: float) -> None:
        while True:
            step_s = min(seconds, LONGEST_STEP_S)
            await super().advance(step_s)
            await bytes_arrive()
            await super().advance(0)
            seconds -= step_s
            if seconds <= 0:
                return


async def bytes_arrive() -> None:
    """Let what is in sockets' buffers get to whom it is for."""
    for turn in range(SOCKET_TURNS):
        await asyncio.sleep(0.0002 if turn % 4 == 3 else 0)  # noqa: TID251 # sockets keep real time
        await settle()


def an_smsc(fake: FakeSmsc, **changes: Any) -> Smsc:
    """How to get to a fake one; fields of the session's settings go by their names."""
    names = Settings.__dataclass_fields__.keys()
    of_session = {name: changes.pop(name) for name in [*changes] if name in names}
    values: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": fake.port,
        "system_id": "helio",
        "password": "secret",
        "session": Settings(**of_session),
    }
    return Smsc(**{**values, **changes})


@asynccontextmanager
async def running(carrier: SmppCarrier) -> AsyncGenerator[None]:
    """Its binds are kept while the block runs."""
    task = asyncio.ensure_future(carrier.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task], timeout=2)
        assert task.done(), "a carrier that is told to stop does"
        if not task.cancelled():
            task.result()


async def until(condition, clock: ManualClock, *, seconds: float = 60, step_s: float = 0.1) -> None:
    """Let time pass until something is so."""
    for _ in range(round(seconds / step_s)):
        if condition():
            return
        await clock.advance(step_s)
    assert condition(), f"it has not come to that within {seconds} s"


@asynccontextmanager
async def bound_carrier(fake: FakeSmsc, clock: ManualClock, **changes: Any) -> AsyncGenerator[SmppCarrier]:
    """A carrier whose binds are up."""
    keywords = {name: changes.pop(name) for name in ("takes_inbound", "rights") if name in changes}
    carrier = SmppCarrier("acme", an_smsc(fake, **changes), clock, SeededIds(), **keywords)
    async with running(carrier):
        await until(lambda: len(fake.bound) == len(carrier._slots) and carrier.window, clock, step_s=0.01)
        yield carrier
