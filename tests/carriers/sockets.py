"""An SMPP carrier that runs against a fake SMSC, on a clock that the test moves while real sockets keep up."""

import asyncio
import fcntl
import selectors
import socket
import struct
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
REST_WITHIN_S = 60
"""Real time: whatever sockets say to each other ends long before, unless they go round in circles."""
_UNACKNOWLEDGED, _UNSENT = 0x5411, 0x894B  # SIOCOUTQ and SIOCOUTQNSD: octets, the latter a part of the former.
_ESTABLISHED = 1


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
    """Let what is on its way between sockets of this process get to whom it is for, with all that this leads to.

    However long that takes a busy machine: the system is asked what is still under way.
    """
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(REST_WITHIN_S):
        while True:
            await asyncio.sleep(0)  # noqa: TID251 # the loop takes what came
            await settle()
            if loop._selector.select(0):
                continue
            if not _is_under_way(loop):
                return
            await asyncio.sleep(0.0002)  # noqa: TID251 # the system's time


def _is_under_way(loop: Any) -> bool:
    """Whether a connection, octets or an end have left one socket and have not got to the other one.

    Under load the system may do that later than when it was told to. Of connections to elsewhere nothing is known.
    """
    ends = [
        (transport.get_extra_info("sockname"), transport.get_extra_info("peername"), connection)
        for transport in [*loop._transports.values()]
        if (connection := transport.get_extra_info("socket")).fileno() >= 0
    ]
    names = {name for name, _, _ in ends}
    return any(
        _has_sent(connection) or (peer not in names and _waits(connection)) for _, peer, connection in ends
    ) or any(
        key.events & selectors.EVENT_WRITE and key.fd not in loop._transports
        for key in loop._selector.get_map().values()
    )


def _has_sent(connection: socket.socket) -> bool:
    """Whether octets from it haven't got to the other system's end."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)  # What came here is acknowledged at once.
    return _octets(connection, _UNACKNOWLEDGED) > _octets(connection, _UNSENT)


def _octets(connection: socket.socket, request: int) -> int:
    return struct.unpack("i", fcntl.ioctl(connection.fileno(), request, bytes(4)))[0]


def _waits(connection: socket.socket) -> bool:
    """Whether one of which the other end is gone has not heard so."""
    return connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == _ESTABLISHED


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
        await asyncio.wait([task], timeout=REST_WITHIN_S)
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
