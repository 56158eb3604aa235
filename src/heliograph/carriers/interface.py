"""What the steps may ask of a carrier; `tests/carriers/conformance.py` says it again, as tests."""

import asyncio
from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol, runtime_checkable

from heliograph.jobs.carriage import Receipt, Segment, SubmitOutcome
from heliograph.jobs.inbound import InboundPart


class Carrier(Protocol):
    """A configured way out, with a window of unanswered submissions and receipts that come at any time.

    name: as in the configuration. window: how many segments it takes now, those unanswered among them; 0 while it
    takes none. unreachable: why it takes none, once that has lasted; empty while it does, and in a short break.
    """

    @property
    def name(self) -> str: ...

    @property
    def window(self) -> int: ...

    @property
    def unreachable(self) -> str: ...

    def submit(self, segment: Segment) -> None:
        """Hand over a segment; its outcome comes through `outcomes`, surely and once. Never waits.

        Only an AcceptedLate may follow an Unanswered.

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


@runtime_checkable
class QueryableCarrier(Protocol):
    """A carrier that may be able to tell what became of a segment when it is asked."""

    @property
    def can_be_asked(self) -> bool:
        """Whether it ever can."""
        ...

    def ask(self, segment: Segment, message_id: str) -> bool:
        """Ask what became of a segment that it took; its answer, if there is one, is a receipt. Never waits.

        Whether it will be asked: not while it can't be reached, or too much else is to be asked.
        """
        ...


@runtime_checkable
class ResendingCarrier(Protocol):
    """A carrier that may send a segment once more by itself, such as without an option that was refused."""

    @property
    def resent_count(self) -> int:
        """How often it has; the caller makes room for it in the carrier's rate."""
        ...


class Recalled(NamedTuple):
    """What a carrier said when it was to drop a segment. is_dropped: or it has been too late, or never knew it."""

    message_id: str
    is_dropped: bool


@runtime_checkable
class RecallingCarrier(Protocol):
    """A carrier that may be able to take back a segment that it has not delivered yet."""

    @property
    def name(self) -> str: ...

    @property
    def can_recall(self) -> bool:
        """Whether it ever can."""
        ...

    @property
    def recall_room(self) -> int:
        """How many segments it can be told about now, soon enough for nobody to wonder; 0 while it can't be reached."""
        ...

    def cancel(self, message_id: str, src: str) -> bool:
        """Call back a segment that it took, sent with that sender. Never waits.

        Whether it will be told: not while it can't be reached, or too much else is to be told. Its answer comes through
        `recalled`, if it comes, and unless it says that another time may be better.
        """
        ...

    async def recalled(self) -> list[Recalled]:
        """What it said of segments that it was to drop, one or more; for one reader. Without one, old ones are lost."""
        ...


@runtime_checkable
class PromisingCarrier(Protocol):
    """A carrier in our own process: the receipts that it has still to give would go with it."""

    @property
    def name(self) -> str: ...

    def awaiting(self, message_ids: Iterable[str]) -> None:
        """Promise again the receipts that another process promised and may not have given. Never waits."""
        ...


@runtime_checkable
class InboundCarrier(Protocol):
    """A carrier that passes on SMS from phones as well."""

    @property
    def name(self) -> str: ...

    def inbound(self) -> AbstractAsyncContextManager[list[InboundPart]]:
        """One or more parts of SMS from phones; they are acknowledged to the carrier when the block ends well.

        If it doesn't, the carrier will send them again, where its protocol can. What comes twice is told apart by
        who reads. For one reader at a time.
        """
        ...


class BindRights(Protocol):
    """Which binds of a carrier, numbered from 0, this process is to hold: the carrier agreed to so many from all nodes.

    Whoever holds binds waits for each to be `gained`, and once it is `lost` ends it in good order and says `ended`.
    """

    def has(self, bind: int) -> bool:
        """Whether the bind is to be held now: whether anything may be sent over it."""
        ...

    async def gained(self, bind: int) -> None:
        """Return when the bind is to be held."""
        ...

    async def lost(self, bind: int) -> float:
        """Return when the bind is to be held no longer: within how many seconds it has to end, infinity included."""
        ...

    def ended(self, bind: int) -> None:
        """A bind that was lost has ended: another node may open it."""
        ...


class AllBinds:
    """The rights of a process that shares its carriers with nobody."""

    def has(self, bind: int) -> bool:
        return True

    async def gained(self, bind: int) -> None:
        return

    async def lost(self, bind: int) -> float:
        await asyncio.Event().wait()  # It never is; whoever waits is cancelled at the end.
        raise AssertionError("nobody sets that event")

    def ended(self, bind: int) -> None:
        """Nothing follows."""
