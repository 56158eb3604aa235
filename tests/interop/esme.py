"""A small client over a real socket: one smpp.Session, and nothing that a gateway would add."""

import asyncio
import ssl
import time
from contextlib import asynccontextmanager

from heliograph.smpp.pdus import BindTransceiver, SubmitSm
from heliograph.smpp.session import Answered, Bound, Requested, Role, Session, Settings

PATIENCE_S = 10


class Esme(asyncio.Protocol):
    def __init__(self, settings):
        self.session = Session(Role.ESME, settings, time.monotonic())
        self.events = []
        self._changed = asyncio.Event()
        self._timer = None

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.session.receive(data, time.monotonic())
        self._pump()

    def connection_lost(self, exc):
        self.session.disconnected(time.monotonic())
        self._pump()

    def bind(self, pdu):
        self.session.bind(pdu, time.monotonic())
        self._pump()

    def submit(self, dst="4917612345678", **fields):
        fields = {"source_addr_ton": 5, "source_addr": b"heliograph", "registered_delivery": 1} | fields
        text = {"destination_addr": dst.encode(), "dest_addr_ton": 1, "dest_addr_npi": 1, "short_message": b"Hello"}
        self.session.submit(SubmitSm(**(text | fields)), time.monotonic())
        self._pump()

    def unbind(self):
        self.session.unbind(time.monotonic())
        self._pump()

    def of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def delivered(self):
        return [event.pdu for event in self.of(Requested)]

    @property
    def statuses(self):
        return [event.status for event in self.of(Answered)]

    async def until(self, condition):
        """Wait until something that the events tell is true."""
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    def _pump(self):
        for event in self.session.events():
            self.events.append(event)
            if isinstance(event, Requested):
                self.session.acknowledge(event.sequence)
        self.transport.write(self.session.data_to_send())
        self._changed.set()
        if self._timer is not None:
            self._timer.cancel()
        deadline = self.session.next_deadline()
        if deadline is not None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(0, deadline - time.monotonic()), self._expire)

    def _expire(self):
        self.session.expire(time.monotonic())
        self._pump()


@asynccontextmanager
async def bound(port, bind=BindTransceiver, system_id=b"helio", tls: ssl.SSLContext | None = None, **settings):
    loop = asyncio.get_running_loop()
    transport, esme = await loop.create_connection(
        lambda: Esme(Settings(**settings)), "127.0.0.1", port, ssl=tls, server_hostname="localhost" if tls else None
    )
    try:
        esme.bind(bind(system_id=system_id, password=b"secret"))
        await esme.until(lambda: esme.of(Bound))
        yield esme
    finally:
        if esme._timer is not None:
            esme._timer.cancel()
        transport.abort()
