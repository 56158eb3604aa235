"""A load generator: keep-alive connections that each send the next request when the answer is in.

It shares the machine with the service, so it does as little as possible for each request.
"""

import asyncio
import base64
import json
import random
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import httpx2
import uvloop


@dataclass
class Result:
    """What came of a load. latencies_s: of each request, in the order in which they ended."""

    wall_s: float = 0.0
    statuses: dict[int, int] = field(default_factory=dict)
    latencies_s: list[float] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    def percentile_ms(self, percent: float) -> float:
        """Latency that so many percent of the requests kept below."""
        ordered = sorted(self.latencies_s)
        return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))] * 1000


class Client:
    """Requests to one service by one account. ports: of its nodes, among which the connections are divided."""

    def __init__(self, ports: int | Sequence[int], name: str, password: str) -> None:
        self._ports = [ports] if isinstance(ports, int) else ports
        self._token = base64.b64encode(f"{name}:{password}".encode()).decode()

    def request(self, method: str, path: str, body: object = None) -> bytes:
        """The octets of a request."""
        content = b"" if body is None else json.dumps(body).encode()
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Basic {self._token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        )
        return head.encode() + content

    def run(
        self, requests: Iterable[bytes], connections: int, *, keep_bodies: bool = False, rate_per_s: float | None = None
    ) -> Result:
        """Send all requests over so many connections. rate_per_s: not more of them; None for as fast as they go."""
        return uvloop.run(self._run(iter(requests), connections, keep_bodies, rate_per_s))

    async def _run(
        self, requests: Iterator[bytes], connections: int, keep_bodies: bool, rate_per_s: float | None
    ) -> Result:
        loop = asyncio.get_running_loop()
        result = Result()
        pace = _Pace(loop, rate_per_s)
        started = time.perf_counter()
        open_connections = [
            _Connection(requests, result, keep_bodies, loop.create_future(), pace) for _ in range(connections)
        ]
        for place, connection in enumerate(open_connections):
            port = self._ports[place % len(self._ports)]
            await loop.create_connection(lambda each=connection: each, "127.0.0.1", port)
        await asyncio.gather(*(connection.done for connection in open_connections))
        result.wall_s = time.perf_counter() - started
        return result


def poll(url: str, credentials: tuple[str, str], paths: list[str], duration_s: float) -> list[Result]:
    """Read paths in turn for some seconds, some 200 times a second at random moments, by an everyday HTTP client.

    Requests that follow each other at once would meet mostly the moments in which the service has nothing else to do.
    """
    moments = random.Random(1)
    results = [Result() for _ in paths]
    with httpx2.Client(base_url=url, auth=credentials) as client:
        for path in paths:
            client.get(path).raise_for_status()
        end = time.perf_counter() + duration_s
        while time.perf_counter() < end:
            for path, result in zip(paths, results, strict=True):
                time.sleep(moments.expovariate(200))
                started = time.perf_counter()
                client.get(path).raise_for_status()
                result.latencies_s.append(time.perf_counter() - started)
    return results


class _Pace:
    """Gives each request its instant; whoever comes too late for it goes at once."""

    def __init__(self, loop: asyncio.AbstractEventLoop, rate_per_s: float | None) -> None:
        self._loop = loop
        self._between_s = 1 / rate_per_s if rate_per_s else 0.0
        self._next_s = loop.time()

    def wait_s(self) -> float:
        self._next_s += self._between_s
        return self._next_s - self._loop.time() if self._between_s else 0.0


class _Connection(asyncio.Protocol):
    def __init__(
        self, requests: Iterator[bytes], result: Result, keep_bodies: bool, done: "asyncio.Future[None]", pace: _Pace
    ) -> None:
        self._pace = pace
        self._requests = requests
        self._result = result
        self._keep_bodies = keep_bodies
        self.done = done

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(exc or ConnectionError("the service closed the connection"))

    def data_received(self, data: bytes) -> None:
        self._came += data
        if self._length is None:
            end = self._came.find(b"\r\n\r\n")
            if end < 0:
                return
            head = bytes(self._came[:end]).lower() + b"\r\n"
            at = head.index(b"content-length:") + 15
            self._length = end + 4 + int(head[at : head.index(b"\r\n", at)])
        if len(self._came) < self._length:
            return
        result = self._result
        result.latencies_s.append(time.perf_counter() - self._sent_at)
        status = int(self._came[9:12])
        result.statuses[status] = result.statuses.get(status, 0) + 1
        if self._keep_bodies:
            result.bodies.append(bytes(self._came).partition(b"\r\n\r\n")[2])
        self._next()

    def _next(self) -> None:
        request = next(self._requests, None)
        if request is None:
            self.done.set_result(None)
            self._transport.close()
            return
        wait_s = self._pace.wait_s()
        if wait_s > 0:
            self.done.get_loop().call_later(wait_s, self._send, request)
        else:
            self._send(request)

    def _send(self, request: bytes) -> None:
        self._came = bytearray()
        self._length: int | None = None
        self._sent_at = time.perf_counter()
        self._transport.write(request)
