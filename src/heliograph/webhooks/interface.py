"""What the sender asks of whoever posts: one POST, and what came of it."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol


class Answered(NamedTuple):
    """There was an answer. retry_after_s: what it said of when to come again, if it did."""

    status: int
    retry_after_s: float | None = None


class NotAnswered(NamedTuple):
    """There was none, and it is unknown whether the POST has arrived. reason: with no secret of the URL in it."""

    reason: str


Answer = Answered | NotAnswered


class Poster(Protocol):
    """Posts to URLs that nobody of us has written."""

    async def post(self, url: str, headers: Sequence[tuple[str, str]], body: bytes) -> Answer:
        """POST JSON once. Returns in bounded time, and raises nothing that a peer can bring about."""
        ...

    def close(self) -> None:
        """Close what is kept open from POST to POST."""
        ...
