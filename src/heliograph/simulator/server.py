"""The simulated SMSC on a socket: asyncio's connections and timers around `smsc.Smsc`."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Final, NamedTuple, cast

from heliograph.clock import Clock
from heliograph.simulator.pdu_log import PduLog
from heliograph.simulator.smsc import Link, Smsc

LogLine = Callable[[str], None]


class Address(NamedTuple):
    """Where it listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@asynccontextmanager
async def listening(
    smsc: Smsc, clock: Clock, address: Address, tls: ssl.SSLContext | None = None, log: LogLine | None = None
) -> AsyncGenerator[Address]:
    """Serve while the block runs; then unbind all, wait a little for their answers, and close.

    address: port 0 is any that is free; what it became is the block's value.
    log: takes a line for each PDU.
    Raises OSError where it can't listen.
    """
    loop = asyncio.get_running_loop()
    server = _Server(smsc, clock, loop, log)
    listener = await loop.create_server(server.connection, address.host, address.port, ssl=tls)
    host, port = cast("tuple[str, int]", listener.sockets[0].getsockname()[:2])
    try:
        yield Address(host, port)
    finally:
        listener.close()
        await server.stop()


class _Server:
    """What the connections share."""

    def __init__(self, smsc: Smsc, clock: Clock, loop: asyncio.AbstractEventLoop, log: LogLine | None) -> None:
        self.smsc = smsc
        self.clock = clock
        self.loop = loop
        self.log = log
        self.connections: dict[Link, _Connection] = {}
        self.connection_count = 0
        self.all_gone = asyncio.Event()
        self._alarm = _Alarm(loop, clock, self._expire)

    def connection(self) -> "_Connection":
        return _Connection(self)

    def pump(self) -> None:
        """Send what came of the last input, on whichever connection."""
        for link in self.smsc.touched():
            connection = self.connections.get(link)
            if connection is not None:
                connection.flush()
        self._alarm.set(self.smsc.next_deadline())

    async def stop(self) -> None:
        """Take leave of all; who doesn't answer is left all the same."""
        for link in list(self.connections):
            link.unbind(self.clock.monotonic())
        self.pump()
        if self.connections:
            self.all_gone.clear()
            await self.clock.wait(self.all_gone, _PATIENCE_S)
        for connection in list(self.connections.values()):
            connection.abort()
        self._alarm.set(None)

    def _expire(self) -> None:
        self.smsc.expire(self.clock.monotonic())
        self.pump()


class _Connection(asyncio.Protocol):
    def __init__(self, server: _Server) -> None:
        self._server = server
        self._clock = server.clock
        self._alarm = _Alarm(server.loop, server.clock, self._expire)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        server = self._server
        self._transport = cast("asyncio.Transport", transport)
        self._link = server.smsc.connect(self._clock.monotonic())
        server.connections[self._link] = self
        server.connection_count += 1
        self._log_in = self._log_out = None
        if server.log is not None:
            self._log_in = PduLog(server.connection_count, "<")
            self._log_out = PduLog(server.connection_count, ">")
        self._alarm.set(self._link.next_deadline())

    def data_received(self, data: bytes) -> None:
        if self._log_in is not None:
            self._write_log(self._log_in, data)
        self._link.receive(data, self._clock.monotonic())
        self._server.pump()

    def connection_lost(self, exc: Exception | None) -> None:
        server = self._server
        del server.connections[self._link]
        self._alarm.set(None)
        self._link.disconnected(self._clock.monotonic())
        server.pump()
        if not server.connections:
            server.all_gone.set()

    # Who doesn't read what we send is not read from, either.

    def pause_writing(self) -> None:
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._transport.resume_reading()

    def flush(self) -> None:
        data = self._link.data_to_send()
        if data:
            if self._log_out is not None:
                self._write_log(self._log_out, data)
            self._transport.write(data)
        if self._link.closing:
            self._transport.close()
        self._alarm.set(self._link.next_deadline())

    def abort(self) -> None:
        self._transport.abort()

    def _expire(self) -> None:
        self._link.expire(self._clock.monotonic())
        self._server.pump()

    def _write_log(self, log: PduLog, data: bytes) -> None:
        assert self._server.log is not None, "there is a log to write"
        instant = self._clock.now().isoformat(timespec="milliseconds")
        for line in log.lines(data):
            self._server.log(f"{instant} {line}")


class _Alarm:
    """One timer. Moving it to a later instant, as most inputs do, costs nothing: it goes off once in vain."""

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Clock, act: Callable[[], None]) -> None:
        self._loop = loop
        self._clock = clock
        self._act = act
        self._handle: asyncio.TimerHandle | None = None
        self._set_for = float("inf")

    def set(self, deadline: float | None) -> None:
        """Call `act` at that instant, or once before; None: not at all."""
        if self._handle is not None:
            if deadline is not None and self._set_for <= deadline:
                return
            self._handle.cancel()
            self._handle = None
        if deadline is not None:
            self._set_for = deadline
            wait_s = max(0.0, deadline - self._clock.monotonic())
            self._handle = self._loop.call_later(wait_s, self._go_off)

    def _go_off(self) -> None:
        self._handle = None
        self._act()


_PATIENCE_S: Final = 2.0
