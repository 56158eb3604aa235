"""HTTP/1.1 to hosts that anybody may have named: each connection goes to an address that was looked at.

A client of our own, as it must connect where it is told and not where a name leads by then, with the name in TLS and in
`Host` all the same; must follow no redirect and no proxy of the environment; and reads no more than the answer's head
needs. Standard: RFC 9112.
"""

import asyncio
import errno
import os
import socket
import ssl
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple, cast
from urllib.parse import urlsplit

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from heliograph.clock import Clock
from heliograph.webhooks.interface import Answer, Answered, NotAnswered
from heliograph.webhooks.resolving import NotAllowed, Resolver, callable_addresses

MAX_ANSWER_OCTETS = 64 * 1024
"""Of an answer, head and all; then the connection is closed. Nobody reads what is in it."""
IDLE_S = 20.0
"""How long a connection is kept for the next POST."""
MAX_IDLE = 200
"""How many are kept in all."""
TRIED_ADDRESSES = 4
"""Of those that a name has."""


class _Target(NamedTuple):
    """Where a URL leads. authority: host and port as they stand there."""

    is_encrypted: bool
    host: str
    port: int
    authority: str
    path: str

    @property
    def key(self) -> tuple[bool, str, int]:
        """What connections are kept by."""
        return self.is_encrypted, self.host, self.port


class _Result(NamedTuple):
    """What came over a connection. status: 0 if it isn't known."""

    status: int
    retry_after_s: float | None
    reusable: bool
    fault: str = ""


class HttpPoster:
    """Posts over sockets. timeout_s: how long a POST may take, from looking its host up to its answer."""

    def __init__(
        self,
        clock: Clock,
        resolver: Resolver,
        *,
        timeout_s: float,
        allow_private: bool,
        user_agent: str,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._clock = clock
        self._resolver = resolver
        self._timeout_s = timeout_s
        self._allow_private = allow_private
        self._user_agent = user_agent
        self._tls = tls or ssl.create_default_context()
        self._idle: dict[tuple[bool, str, int], deque[tuple[_Connection, float]]] = {}
        self._idle_count = 0

    async def post(self, url: str, headers: Sequence[tuple[str, str]], body: bytes) -> Answer:
        """See `webhooks.interface`."""
        target = _target(url)
        head = "".join(f"{name}: {value}\r\n" for name, value in headers)
        octets = (
            f"POST {target.path} HTTP/1.1\r\nHost: {target.authority}\r\nUser-Agent: {self._user_agent}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n{head}\r\n"
        ).encode("latin-1") + body
        connection: _Connection | None = None
        try:
            async with asyncio.timeout(self._timeout_s):
                connection = self._kept(target)
                if connection is not None:
                    result = await connection.send(octets)
                    if result.status or not connection.was_silent:
                        return self._answer(target, connection, result)
                    connection.close()  # It was closed while it was kept; what it should have taken goes over another.
                connection = await self._connect(target)
                return self._answer(target, connection, await connection.send(octets))
        except TimeoutError:
            status = connection.status if connection is not None else 0
            if connection is not None:
                connection.close()
            return Answered(status) if status else NotAnswered(f"no answer within {self._timeout_s:g} s")
        except NotAllowed:
            return NotAnswered("its name leads to a private or reserved address, which isn't called")
        except ssl.SSLCertVerificationError as error:
            return NotAnswered(f"its certificate can't be trusted: {error.verify_message}")
        except ssl.SSLError as error:
            return NotAnswered(f"it can't be spoken to over TLS: {error.reason or 'no handshake'}")
        except (socket.gaierror, UnicodeError):
            return NotAnswered("its name can't be resolved")
        except OSError as error:
            # Not the error's own words: they hold the address, which isn't everybody's to know.
            return NotAnswered(f"it can't be connected to: {os.strerror(error.errno) if error.errno else 'it hung up'}")
        except asyncio.CancelledError:
            if connection is not None:
                connection.close()
            raise

    def _answer(self, target: _Target, connection: "_Connection", result: _Result) -> Answer:
        if result.reusable and self._idle_count < MAX_IDLE:
            self._idle.setdefault(target.key, deque()).append((connection, self._clock.monotonic()))
            self._idle_count += 1
        else:
            connection.close()
        return Answered(result.status, result.retry_after_s) if result.status else NotAnswered(result.fault)

    def _kept(self, target: _Target) -> "_Connection | None":
        self._close_old_ones()
        kept = self._idle.get(target.key, deque())
        while kept:
            connection, _ = kept.pop()
            self._idle_count -= 1
            if not connection.is_closed:
                return connection
        self._idle.pop(target.key, None)
        return None

    def _close_old_ones(self) -> None:
        before_s = self._clock.monotonic() - IDLE_S
        for key, kept in list(self._idle.items()):
            while kept and (kept[0][0].is_closed or kept[0][1] < before_s):
                kept.popleft()[0].close()
                self._idle_count -= 1
            if not kept:
                del self._idle[key]

    async def _connect(self, target: _Target) -> "_Connection":
        addresses = await callable_addresses(target.host, self._resolver, allow_private=self._allow_private)
        loop = asyncio.get_running_loop()
        failure: OSError = socket.gaierror()
        tried = addresses[:TRIED_ADDRESSES]
        for place, address in enumerate(tried):
            # Those that come after one which doesn't answer must have their turn before the time is up.
            patience_s = self._timeout_s / (len(tried) - place + 1)
            try:
                async with asyncio.timeout(patience_s if place < len(tried) - 1 else None):
                    _, connection = await loop.create_connection(
                        _Connection,
                        str(address),
                        target.port,
                        ssl=self._tls if target.is_encrypted else None,
                        server_hostname=target.host.rstrip(".") if target.is_encrypted else None,
                    )
                return connection
            except TimeoutError:
                failure = OSError(errno.ETIMEDOUT, "")
            except ssl.SSLError:
                raise
            except OSError as error:
                failure = error
        raise failure

    def close(self) -> None:
        """See `webhooks.interface`."""
        for kept in self._idle.values():
            for connection, _ in kept:
                connection.close()
        self._idle.clear()
        self._idle_count = 0


class _Connection(asyncio.Protocol):
    """One connection, one POST after the other."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parser = HttpResponseParser(self)
        self._result: asyncio.Future[_Result] | None = None
        self._octet_count = 0
        self._retry_after_s: float | None = None
        self.status = 0
        """Of the answer under way, once its head is complete; 0 before."""
        self.is_closed = False

    @property
    def was_silent(self) -> bool:
        """Whether nothing has come since the last POST went out."""
        return self._octet_count == 0

    async def send(self, octets: bytes) -> _Result:
        """Send a POST; what comes back, once it is whole, or so much of it as is read."""
        self._result = asyncio.get_running_loop().create_future()
        self._octet_count, self._retry_after_s, self.status = 0, None, 0
        if self.is_closed or self._transport is None:
            self._finish(fault="it closed the connection")
        else:
            self._transport.write(octets)
        return await self._result

    def close(self) -> None:
        self.is_closed = True
        if self._transport is not None:
            self._transport.abort()

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are none by inheritance.

    def data_received(self, data: bytes) -> None:
        if self._result is None or self._result.done():
            self.close()  # Nobody has asked for anything.
            return
        self._octet_count += len(data)
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade:
            self._finish(fault="it wants to speak another protocol")
        except HttpParserError:
            self._finish(fault="its answer is no HTTP/1.1")
        if self._octet_count > MAX_ANSWER_OCTETS:
            self._finish(fault=f"the head of its answer is over {MAX_ANSWER_OCTETS} octets")

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_closed = True
        self._finish(fault="it closed the connection without an answer")

    # What the parser calls

    def on_message_begin(self) -> None:
        if self._result is None or self._result.done():
            self.close()  # A second answer to one POST: the next one mustn't get it for its own.

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"retry-after" and value.strip().isdigit() and len(value) < 9:
            self._retry_after_s = float(value)

    def on_headers_complete(self) -> None:
        status: int = self._parser.get_status_code()
        self.status = status if status >= 200 else 0  # 1xx: the answer is still to come.

    def on_message_complete(self) -> None:
        if self.status:
            self._finish(reusable=self._parser.should_keep_alive())

    def _finish(self, *, fault: str = "", reusable: bool = False) -> None:
        if self._result is not None and not self._result.done():
            self._result.set_result(_Result(self.status, self._retry_after_s, reusable, fault))


def _target(url: str) -> _Target:
    parts = urlsplit(url)
    is_encrypted = parts.scheme == "https"
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return _Target(is_encrypted, parts.hostname or "", parts.port or (443 if is_encrypted else 80), parts.netloc, path)
