"""A service made of prepared answers, a time that passes only where somebody sleeps, and both clients as one."""

import asyncio
import inspect
import json
from collections.abc import Callable
from typing import Any, NamedTuple

import httpx2

from heliograph import AsyncClient, Client
from tests.fakes.ids import SeededIds

URL = "https://sms.example"


class Asked(NamedTuple):
    """One request, as the service got it."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes

    @property
    def host(self) -> str:
        return httpx2.URL(self.url).host

    @property
    def path(self) -> str:
        return httpx2.URL(self.url).raw_path.decode()

    @property
    def key(self) -> str | None:
        return self.headers.get("idempotency-key")

    def json(self) -> Any:
        return json.loads(self.body)


def answered(status: int = 200, value: object = None, **headers: str) -> httpx2.Response:
    """An answer in JSON; `retry_after` is its header Retry-After."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return httpx2.Response(status, headers=named, content=b"" if value is None else json.dumps(value).encode())


def told(status: int, message: str = "it went wrong", **headers: str) -> httpx2.Response:
    """An error as the API tells it."""
    return answered(status, {"code": status, "message": message}, **headers)


class Web:
    """Answers what it is asked: the prepared answers one after the other, or what a function says.

    An exception among them is raised, as a network does.
    """

    def __init__(self, *answers: Any, by: Callable[[Asked], Any] | None = None) -> None:
        self._answers = list(answers)
        self._by = by
        self.asked: list[Asked] = []

    def transport(self) -> httpx2.MockTransport:
        return httpx2.MockTransport(self._answer)

    def _answer(self, request: httpx2.Request) -> httpx2.Response:
        asked = Asked(request.method, str(request.url), dict(request.headers), request.content)
        self.asked.append(asked)
        answer = self._by(asked) if self._by else self._answers.pop(0)
        if isinstance(answer, Exception):
            if isinstance(answer, httpx2.RequestError):
                answer.request = request
            raise answer
        return answer

    @property
    def paths(self) -> list[str]:
        return [f"{asked.method} {asked.path.removeprefix('/rest/v1')}" for asked in self.asked]


class PassingClock:
    """For clients without an event loop: time passes where they sleep, and at once."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return sum(self.slept)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


class AsyncPassingClock(PassingClock):
    """The same for those with one."""

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


class Driven:
    """A client, awaited where it is asynchronous: one test serves both."""

    def __init__(self, client: Client | AsyncClient, clock: PassingClock) -> None:
        self.client = client
        self.clock = clock

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.client, name)

        def run(*arguments: Any, **keywords: Any) -> Any:
            value = method(*arguments, **keywords)
            if inspect.iscoroutine(value):
                return asyncio.run(value)
            if hasattr(value, "__anext__"):
                return asyncio.run(_listed(value))
            return list(value) if hasattr(value, "__next__") else value

        return run


async def _listed(values: Any) -> list[Any]:
    return [value async for value in values]


def driven(kind: type[Client] | type[AsyncClient], web: Web, *, retarus: bool = False, **keywords: Any) -> Driven:
    """A client of either kind that talks to a Web, as `acme`."""
    clock = PassingClock() if kind is Client else AsyncPassingClock()
    make = kind.retarus if retarus else lambda *arguments, **rest: kind(URL, *arguments, **rest)
    client = make("acme", "secret!", transport=web.transport(), clock=clock, ids=SeededIds(), **keywords)
    return Driven(client, clock)
