"""webhooks/poster.py over real sockets: what goes out, what counts as an answer, and where it never goes."""

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_address

import pytest
import trustme
import uvloop

from heliograph.clock import SystemClock
from heliograph.webhooks import poster as poster_module
from heliograph.webhooks.interface import Answered, NotAnswered
from heliograph.webhooks.poster import MAX_ANSWER_OCTETS, HttpPoster
from heliograph.webhooks.resolving import SystemResolver

CLOCK = SystemClock()
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
HEADERS = [("webhook-id", "evt_1")]
PRIVATE = NotAnswered("its name leads to a private or reserved address, which isn't called")

Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Peer:
    """A server that plays what it is told, and remembers what came."""

    def __init__(self, behaviour: Behaviour | None) -> None:
        self._behaviour = behaviour
        self.requests: list[bytes] = []
        self.connection_count = 0
        self.port = 0
        self._writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connection_count += 1
        self._writers.append(writer)
        try:
            if self._behaviour is not None:
                await self._behaviour(reader, writer)
            else:
                while request := await self.request(reader):
                    self.requests.append(request)
                    writer.write(OK)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    @staticmethod
    async def request(reader: asyncio.StreamReader) -> bytes:
        head = await reader.readuntil(b"\r\n\r\n")
        (length,) = [int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
        return head + await reader.readexactly(length)

    def url(self, host: str = "127.0.0.1", path: str = "/hook?a=b") -> str:
        return f"http://{host}:{self.port}{path}"

    def close_all(self) -> None:
        for writer in self._writers:
            writer.close()


def answering(*octets: bytes, then_close: bool = False, pause_s: float = 0.0) -> Behaviour:
    """One answer to each POST of a connection, in pieces."""

    async def play(reader, writer):
        while True:
            await Peer.request(reader)
            for piece in octets:
                writer.write(piece)
                await writer.drain()
                await CLOCK.sleep(pause_s)
            if then_close:
                return

    return play


@asynccontextmanager
async def peer(behaviour: Behaviour | None = None, tls: ssl.SSLContext | None = None):
    made = Peer(behaviour)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=tls)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        made.close_all()
        server.close()


def names(*answers: list[str]):
    """A resolver that gives these answers, one after the other, the last one for good."""
    asked: list[str] = []

    async def resolve(host: str):
        asked.append(host)
        return [ip_address(address) for address in answers[min(len(asked), len(answers)) - 1]]

    resolve.asked = asked
    return resolve


@asynccontextmanager
async def poster(resolver=None, *, allow_private: bool = True, timeout_s: float = 60.0, tls=None):
    made = HttpPoster(
        CLOCK,
        resolver or names(["127.0.0.1"]),
        timeout_s=timeout_s,
        allow_private=allow_private,
        user_agent="heliograph/0.1.0",
        tls=tls,
    )
    try:
        yield made
    finally:
        made.close()


async def post(to: Peer, **keywords):
    async with poster(**keywords) as made:
        return await made.post(to.url(), HEADERS, b"{}")


# What goes out


async def test_a_post_is_one_of_http_1_1():
    async with peer() as to, poster() as made:
        assert await made.post(to.url("hooks.example"), HEADERS, b'{"a":1}') == Answered(200)
        head, _, body = to.requests[0].partition(b"\r\n\r\n")
        assert head.decode().split("\r\n") == [
            "POST /hook?a=b HTTP/1.1",
            f"Host: hooks.example:{to.port}",
            "User-Agent: heliograph/0.1.0",
            "Content-Type: application/json",
            "Content-Length: 7",
            "webhook-id: evt_1",
        ]
        assert body == b'{"a":1}'


async def test_a_url_without_a_path_means_its_root():
    async with peer() as to, poster() as made:
        await made.post(f"http://127.0.0.1:{to.port}", HEADERS, b"{}")
        await made.post(f"http://127.0.0.1:{to.port}?x=1", HEADERS, b"{}")
        assert [request.split()[1] for request in to.requests] == [b"/", b"/?x=1"]


async def test_a_connection_is_used_again():
    async with peer() as to, poster() as made:
        for _ in range(5):
            assert await made.post(to.url(), HEADERS, b"{}") == Answered(200)
        assert (to.connection_count, len(to.requests)) == (1, 5)


async def test_posts_at_the_same_time_have_a_connection_each():
    async with peer(answering(OK, pause_s=0.05)) as to, poster() as made:
        answers = await asyncio.gather(*(made.post(to.url(), HEADERS, b"{}") for _ in range(4)))
        assert answers == [Answered(200)] * 4
        assert to.connection_count == 4


async def test_one_that_was_closed_meanwhile_is_replaced():
    async with peer(answering(OK, then_close=True)) as to, poster() as made:
        for _ in range(3):
            assert await made.post(to.url(), HEADERS, b"{}") == Answered(200)
        assert to.connection_count == 3


async def test_what_is_kept_has_a_bound_and_an_end(monkeypatch):
    monkeypatch.setattr(poster_module, "MAX_IDLE", 2)
    async with peer(answering(OK, pause_s=0.02)) as to, poster() as made:
        await asyncio.gather(*(made.post(to.url(), HEADERS, b"{}") for _ in range(4)))
        assert made._idle_count == 2
        monkeypatch.setattr(poster_module, "IDLE_S", -1.0)
        await made.post(to.url(), HEADERS, b"{}")
        assert to.connection_count == 5


# What counts as an answer


@pytest.mark.parametrize(
    ("octets", "answer"),
    [
        (OK, Answered(200)),
        (b"HTTP/1.1 204 No Content\r\n\r\n", Answered(204)),
        (b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", Answered(500)),
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1/\r\nContent-Length: 0\r\n\r\n", Answered(302)),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, Answered(200)),
        (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 202 No\r\nContent-Length: 0\r\n\r\n", Answered(202)),
        (b"HTTP/1.1 429 No\r\nRetry-After: 120\r\nContent-Length: 0\r\n\r\n", Answered(429, 120.0)),
        (b"HTTP/1.1 429 No\r\nRetry-After: Fri, 1 Jan 2027 00:00:00 GMT\r\nContent-Length: 0\r\n\r\n", Answered(429)),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", Answered(200)),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", NotAnswered("its answer is no HTTP/1.1")),
        (b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
         NotAnswered("it wants to speak another protocol")),
    ],
)  # fmt: skip
async def test_an_answer_is_its_status(octets, answer):
    async with peer(answering(octets)) as to:
        assert await post(to) == answer


async def test_an_answer_may_come_in_pieces_or_end_with_its_connection():
    async with peer(answering(*(bytes([octet]) for octet in OK))) as to:
        assert await post(to) == Answered(200)
    async with peer(answering(b"HTTP/1.1 200 OK\r\n\r\nuntil the end", then_close=True)) as to:
        assert await post(to) == Answered(200)


async def test_no_answer_at_all():
    async with peer(answering(then_close=True)) as to:
        assert await post(to) == NotAnswered("it closed the connection without an answer")
    assert await post(to) == NotAnswered("it can't be connected to: Connection refused")


async def test_one_that_hangs_is_waited_for_as_long_as_is_said():
    async with peer(answering(pause_s=30)) as to:
        started = CLOCK.monotonic()
        assert await post(to, timeout_s=0.2) == NotAnswered("no answer within 0.2 s")
        assert CLOCK.monotonic() - started < 25


async def test_one_that_trickles_is_waited_for_no_longer():
    async with peer(answering(*[b"HTTP/1.1 200 OK\r\n"], *[b"x: y\r\n"] * 1000, pause_s=0.01)) as to:
        assert await post(to, timeout_s=0.2) == NotAnswered("no answer within 0.2 s")


async def test_a_body_that_never_ends_does_not_take_the_status_back():
    async with peer(answering(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", pause_s=30)) as to:
        assert await post(to, timeout_s=2) == Answered(200)


async def test_one_that_floods_is_cut_off():
    sent = 0

    async def flood(reader, writer):
        nonlocal sent
        await Peer.request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 65_536)
            await writer.drain()
            sent += 65_536

    async with peer(flood) as to:
        assert await post(to) == Answered(200)
        await CLOCK.sleep(0.05)
    assert sent < 200 * MAX_ANSWER_OCTETS


async def test_a_head_that_never_ends_is_cut_off():
    async def flood(reader, writer):
        await Peer.request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            writer.write(b"x: " + b"y" * 1000 + b"\r\n")
            await writer.drain()

    async with peer(flood) as to:
        answer = await post(to)
        assert isinstance(answer, NotAnswered)
        assert "head" in answer.reason or "no HTTP" in answer.reason


async def test_a_second_answer_is_nobody_s():
    async with peer(answering(OK + b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n")) as to, poster() as made:
        for _ in range(3):
            assert await made.post(to.url(), HEADERS, b"{}") == Answered(200)
        assert to.connection_count == 3


# Where it never goes


async def test_a_private_address_is_not_called():
    async with peer() as to:
        for host in ("127.0.0.1", "hooks.example"):
            async with poster(allow_private=False) as made:
                assert await made.post(to.url(host), HEADERS, b"{}") == PRIVATE
        assert to.connection_count == 0


@pytest.mark.parametrize("address", ["10.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1", "fd00::1", "0.0.0.0"])
async def test_a_name_that_leads_to_a_private_address_is_not_called(address):
    async with poster(names([address]), allow_private=False) as made:
        assert await made.post("https://hooks.example/", HEADERS, b"{}") == PRIVATE


async def test_a_single_private_address_among_others_is_enough():
    async with poster(names(["8.8.8.8", "127.0.0.1"]), allow_private=False) as made:
        assert await made.post("https://hooks.example/", HEADERS, b"{}") == PRIVATE


async def test_a_name_that_changes_its_mind_is_asked_once(monkeypatch):
    # DNS rebinding: public when it is looked at, private when it would be looked up again to connect.
    connected: list[str] = []
    loop = asyncio.get_running_loop()

    async def connect(factory, host, port, **keywords):
        connected.append(host)
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr(type(loop), "create_connection", lambda self, *arguments, **keywords: connect(*arguments))
    resolver = names(["203.0.114.7"], ["127.0.0.1"])
    async with poster(resolver, allow_private=False) as made:
        answer = await made.post("https://hooks.example/", HEADERS, b"{}")
        assert answer == NotAnswered("it can't be connected to: Connection refused")
        assert (connected, resolver.asked) == (["203.0.114.7"], ["hooks.example"])
        assert await made.post("https://hooks.example/", HEADERS, b"{}") == PRIVATE
        assert connected == ["203.0.114.7"]


async def test_no_proxy_of_the_environment_is_asked(monkeypatch):
    async with peer() as proxy, peer() as to, poster() as made:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert await made.post(to.url(), HEADERS, b"{}") == Answered(200)
        assert (proxy.connection_count, to.connection_count) == (0, 1)


# TLS


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


def tls_of(authority, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


def trusting(authority) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


async def test_the_certificate_must_be_the_name_s_though_an_address_was_connected_to(authority):
    async with peer(tls=tls_of(authority, "hooks.example")) as to, poster(tls=trusting(authority)) as made:
        for host in ("hooks.example", "hooks.example."):
            assert await made.post(f"https://{host}:{to.port}/", HEADERS, b"{}") == Answered(200)
        other = await made.post(f"https://other.example:{to.port}/", HEADERS, b"{}")
        assert isinstance(other, NotAnswered)
        assert other.reason.startswith("its certificate can't be trusted: Hostname mismatch")


async def test_a_certificate_that_nobody_vouches_for_is_not_trusted(authority):
    async with peer(tls=tls_of(authority, "hooks.example")) as to, poster() as made:
        answer = await made.post(f"https://hooks.example:{to.port}/", HEADERS, b"{}")
        assert answer.reason.startswith("its certificate can't be trusted: ")
        assert to.requests == []


async def test_one_that_speaks_no_tls(authority):
    async def play(reader, writer):
        await reader.readexactly(5)
        writer.write(OK)

    async with peer(play) as to, poster(tls=trusting(authority)) as made:
        answer = await made.post(f"https://hooks.example:{to.port}/", HEADERS, b"{}")
        assert isinstance(answer, NotAnswered)
        assert "TLS" in answer.reason


# Names


async def test_of_several_addresses_the_next_is_tried():
    async with peer() as to, poster(names(["127.0.0.2", "127.0.0.1"])) as made:
        assert await made.post(to.url("hooks.example"), HEADERS, b"{}") == Answered(200)


async def test_a_name_that_is_not_there():
    async def fails(host):
        raise socket.gaierror(-2, "Name or service not known")

    async with poster(fails) as made:
        answer = await made.post("https://hooks.example/", HEADERS, b"{}")
    assert answer == NotAnswered("its name can't be resolved")


async def test_a_name_that_takes_too_long_is_given_up():
    async def hangs(host):
        await CLOCK.sleep(30)

    async with poster(hangs, timeout_s=0.1) as made:
        assert await made.post("https://hooks.example/", HEADERS, b"{}") == NotAnswered("no answer within 0.1 s")


async def test_the_machine_s_own_way_of_looking_names_up():
    resolver = SystemResolver()
    both = await asyncio.gather(resolver("localhost"), resolver("localhost"))
    assert both[0] == both[1]
    assert all(address.is_loopback for address in both[0])
    with pytest.raises(OSError, match=r".*"):
        await resolver("there-is-no-such-name.invalid")
    assert await resolver("localhost") == both[0]


# The loop that the service runs on


def test_all_that_holds_on_uvloop(authority):
    async def go():
        async with peer() as to, poster() as made:
            assert [await made.post(to.url(), HEADERS, b"{}") for _ in range(3)] == [Answered(200)] * 3
            assert to.connection_count == 1
        async with peer(answering(OK, then_close=True)) as to, poster() as made:
            assert [await made.post(to.url(), HEADERS, b"{}") for _ in range(3)] == [Answered(200)] * 3
        async with peer(answering(pause_s=30)) as to:
            assert await post(to, timeout_s=0.2) == NotAnswered("no answer within 0.2 s")
        assert await post(to) == NotAnswered("it can't be connected to: Connection refused")
        async with peer(tls=tls_of(authority, "hooks.example")) as to, poster(tls=trusting(authority)) as made:
            for host, answer in (("hooks.example", Answered), ("other.example", NotAnswered)):
                assert isinstance(await made.post(f"https://{host}:{to.port}/", HEADERS, b"{}"), answer)

    uvloop.run(go())
