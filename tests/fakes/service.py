"""The API in this process, on a clock moved by hand, and whole servers to talk to over sockets."""

import asyncio
import json
import threading
from base64 import b64encode
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from heliograph.api.app import Api
from heliograph.api.auth import Authenticator, hash_password
from heliograph.api.handlers import Handlers
from heliograph.api.pages import Pages
from heliograph.config.reading import load_settings
from heliograph.flow.accept import Acceptor
from heliograph.flow.arrivals import Arrivals
from heliograph.flow.blocklist import Blocklist
from heliograph.flow.cancel import Canceller
from heliograph.flow.reports import Reports
from heliograph.flow.search import Searches
from heliograph.flow.webhooks import Webhooks
from heliograph.jobs.accounts import Account
from heliograph.jobs.routing import Routing
from heliograph.metrics import Metrics
from heliograph.server import serve
from heliograph.store.sqlite.store import open_sqlite
from heliograph.wire.shapes import VersionInfoResponse
from tests.fakes.builders import NOW, an_account
from tests.fakes.clock import ManualClock
from tests.fakes.ids import SeededIds

PASSWORD = "correct horse battery?>"
VERSION = VersionInfoResponse(
    1, "2026-02-01T08:00:00.000Z", 0, 1, "heliograph 0.1.1", "SMS for Applications REST API v1"
)


@cache
def password_hash() -> str:
    """Of PASSWORD; made once, for it takes its time."""
    return hash_password(PASSWORD)


def basic(name: str = "acme", password: str = PASSWORD) -> str:
    """An Authorization header."""
    return "Basic " + b64encode(f"{name}:{password}".encode()).decode()


class Reply(NamedTuple):
    """What the service answered. headers: names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def fields(self) -> list[str]:
        """Which fields it says are at fault."""
        return [error["field"] for error in self.json().get("errors", [])]

    @property
    def message(self) -> str:
        return self.json()["message"]


class Service:
    """The API of one process, called without a socket."""

    def __init__(self, store: Any, clock: ManualClock) -> None:
        self.store = store
        self.clock = clock
        self.pages = Pages(store, clock, Metrics(), "0.1.1")
        self.metrics = metrics = Metrics()
        self.handlers = handlers = Handlers(
            Acceptor(store, Routing([], "sandbox"), clock, SeededIds(), metrics),
            Canceller(store, clock, metrics),
            Reports(store),
            Searches(store),
            Blocklist(store, clock, metrics),
            Webhooks(store, clock, SeededIds(), allow_private=False),
            Arrivals(store, clock),
            clock,
            VERSION,
        )
        self.api = Api(handlers, Authenticator(store, clock), store, clock, metrics, self.pages.by_path())

    async def add_account(self, name: str = "acme", **fields: Any) -> Account:
        return await self.store.put_account(an_account(name, password_hash=password_hash(), **fields))

    async def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        headers: Mapping[str, str] | None = None,
        auth: str | None = basic(),
        source: str = "192.0.2.1",
        chunks: Iterable[bytes] | None = None,
    ) -> Reply:
        """One call.

        body: bytes as they are, anything else as JSON. chunks: a body in pieces, of no announced length.
        """
        octets = body if isinstance(body, bytes) else b"" if body is None else msgspec.json.encode(body)
        sent = {"content-type": "application/json"} if octets or chunks else {}
        if chunks is None and octets:
            sent["content-length"] = str(len(octets))
        if auth is not None:
            sent["authorization"] = auth
        sent.update(headers or {})
        target, _, query = path.partition("?")
        scope = {
            "type": "http",
            "method": method,
            "path": target,
            "raw_path": target.encode(),
            "query_string": query.encode(),
            "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in sent.items() if value],
            "client": (source, 50_000),
        }
        pieces = list(chunks) if chunks is not None else [octets]
        answered: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            piece = pieces.pop(0) if pieces else b""
            return {"type": "http.request", "body": piece, "more_body": bool(pieces)}

        async def send(message: dict[str, Any]) -> None:
            answered.append(message)

        await self.api(scope, receive, send)
        start, *rest = answered
        names = [name.decode() for name, _ in start["headers"]]
        assert len(names) == len(set(names)), f"a header came twice: {names}"
        return Reply(
            start["status"],
            {name.decode(): value.decode("latin-1") for name, value in start["headers"]},
            b"".join(message["body"] for message in rest),
        )

    async def send(self, request: object, **keywords: Any) -> Reply:
        """POST /jobs."""
        return await self.call("POST", "/rest/v1/jobs", request, **keywords)

    async def get(self, path: str, **keywords: Any) -> Reply:
        """GET, below the base path."""
        return await self.call("GET", f"/rest/v1{path}", **keywords)


async def in_real_time(seconds: float) -> None:
    """Wait for what a thread does, such as checking a password; clocks moved by hand stand still meanwhile."""
    await asyncio.sleep(seconds)


def a_job(text: str = "Hello", dst: str = "+4917612345678", **options: Any) -> dict[str, Any]:
    """A JobRequest as JSON."""
    job: dict[str, Any] = {"messages": [{"text": text, "recipients": [{"dst": dst}]}]}
    return {"options": options, **job} if options else job


# Whole servers


class Running(NamedTuple):
    """A server that answers. url: its root."""

    url: str
    database: Path

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.url.rpartition("//")[2].rpartition(":")
        return host, int(port)


@contextmanager
def running_server(
    directory: Path, *accounts: Account, config: str = "", environ: Mapping[str, str] | None = None
) -> Generator[Running]:
    """`heliograph.server` in a thread, on a database in the directory, with these accounts or `acme` alone.

    config: a heliograph.toml. environ: HELIOGRAPH_* variables.
    """
    database = directory / "heliograph.db"
    file = directory / "heliograph.toml"
    file.write_text(config, "utf-8")
    flags = {"server.listen": "127.0.0.1:0", "database.url": f"sqlite:///{database}"}
    settings = load_settings(file, environ or {}, flags)
    new = accounts or (an_account(password_hash=password_hash(), rate_limit=None),)
    up = threading.Event()
    outcome: dict[str, Any] = {}

    async def run() -> None:
        if not database.exists():
            await add_accounts(database, *new)
        outcome["loop"], outcome["stop"] = asyncio.get_running_loop(), asyncio.Event()

        def started(url: str) -> None:
            outcome["url"] = url
            up.set()

        await serve(settings, started=started, stop=outcome["stop"])

    def body() -> None:
        try:
            asyncio.run(run())
        except BaseException as error:  # noqa: BLE001 # told to the test
            outcome["error"] = error
        up.set()

    thread = threading.Thread(target=body, name="server")
    thread.start()
    try:
        assert up.wait(20), "the server did not start within 20 s"
        if "url" in outcome:
            yield Running(outcome["url"], database)
            outcome["loop"].call_soon_threadsafe(outcome["stop"].set)
    except BaseException:
        outcome["loop"].call_soon_threadsafe(outcome["stop"].set)
        raise
    finally:
        thread.join(30)
    if "error" in outcome:
        raise outcome["error"]


async def add_accounts(database: Path, *accounts: Account) -> None:
    """Make a database with accounts."""
    async with open_sqlite(database, NOW) as store:
        for account in accounts:
            await store.put_account(account)
