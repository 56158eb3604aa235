"""In place of a carrier that SMS wait for, and that no node has."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from heliograph.jobs.carriage import Receipt, Segment, SubmitOutcome


class MissingCarrier:
    """Never reachable, so nothing is handed to it and it says nothing."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.window = 0
        self.unreachable = f"no carrier {name} is configured"

    def submit(self, segment: Segment) -> None:
        raise AssertionError(f"{segment.id} is handed to a carrier that can't be reached")

    async def outcomes(self) -> list[SubmitOutcome]:
        await asyncio.Event().wait()  # There never are any; whoever waits is cancelled at the end.
        raise AssertionError("nobody sets that event")

    @asynccontextmanager
    async def receipts(self) -> AsyncGenerator[list[Receipt]]:
        await asyncio.Event().wait()  # As above.
        yield []

    async def run(self) -> None:
        """Nobody to keep a connection to."""
