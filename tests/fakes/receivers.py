"""Whoever is behind webhooks' URLs, without sockets and on the test's clock."""

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from heliograph.clock import Clock
from heliograph.webhooks.interface import Answer, Answered, NotAnswered

TIMEOUT_S = 15.0
"""How long a POST to one that hangs takes."""


class Post(NamedTuple):
    """What came to a receiver. at_s: since the clock's start. was_taken: whether it was answered with 2xx."""

    at_s: float
    id: str
    type: str
    data: dict[str, Any]
    was_taken: bool


class Play(NamedTuple):
    """How a receiver behaves to one POST."""

    answer: Answer
    after_s: float = 0.0


Script = Callable[[dict[str, str]], Play]


def taken(after_s: float = 0.0) -> Play:
    return Play(Answered(200), after_s)


def refused(status: int, retry_after_s: float | None = None) -> Play:
    return Play(Answered(status, retry_after_s))


def down() -> Play:
    return Play(NotAnswered("it can't be connected to: Connection refused"))


def hanging() -> Play:
    return Play(NotAnswered("no answer within 15 s"), TIMEOUT_S)


class Receivers:
    """A Poster. scripts: how each URL behaves, by the headers of a POST; those left out take everything."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.scripts: dict[str, Script] = {}
        self.posts: defaultdict[str, list[Post]] = defaultdict(list)
        self.under_way: Counter[str] = Counter()
        self.most_under_way: Counter[str] = Counter()
        self.is_closed = False

    async def post(self, url: str, headers: Sequence[tuple[str, str]], body: bytes) -> Answer:
        self.under_way[url] += 1
        self.most_under_way[url] = max(self.under_way[url], self.most_under_way[url])
        try:
            given = dict(headers)
            answer, after_s = self.scripts.get(url, lambda _: taken())(given)
            if after_s:
                await self._clock.sleep(after_s)
            was_taken = isinstance(answer, Answered) and answer.status < 300
            told = json.loads(body)
            at_s = self._clock.monotonic()
            self.posts[url].append(Post(at_s, given["webhook-id"], told["type"], told["data"], was_taken))
            return answer
        finally:
            self.under_way[url] -= 1

    def close(self) -> None:
        self.is_closed = True

    def told(self, url: str) -> list[Post]:
        """What arrived and was taken, in its order."""
        return [post for post in self.posts[url] if post.was_taken]
