"""What the steps may ask of a carrier; `tests/carriers/conformance.py` says it again, as tests."""

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from heliograph.jobs.carriage import Receipt, Segment, SubmitOutcome


class Carrier(Protocol):
    """A configured way out, with a window of unanswered submissions and receipts that come at any time.

    name: as in the configuration. window: how many segments it takes before it has answered any.
    """

    @property
    def name(self) -> str: ...

    @property
    def window(self) -> int: ...

    def submit(self, segment: Segment) -> None:
        """Hand over a segment; its outcome comes through `outcomes`, surely and once. Never waits.

        The caller keeps to the window, counting a segment until its outcome is stored, and doesn't hand over a
        segment again before it has been answered.
        """
        ...

    async def outcomes(self) -> list[SubmitOutcome]:
        """What became of submitted segments, one or more, in the order in which it was known."""
        ...

    def receipts(self) -> AbstractAsyncContextManager[list[Receipt]]:
        """One or more receipts; they are acknowledged to the carrier when the block ends well.

        If it doesn't, the carrier will send them again, where its protocol can. For one reader at a time.
        """
        ...

    async def run(self) -> None:
        """Keep the connection, where there is one, until cancelled; without it, submissions are unreachable."""
        ...
