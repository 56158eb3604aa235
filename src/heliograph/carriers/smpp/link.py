"""One connection: a socket, one `smpp.Session`, one timer, one pump."""

import asyncio
import math
from collections.abc import Callable
from typing import Final, cast

from heliograph.clock import Clock
from heliograph.jobs.carriage import Segment
from heliograph.smpp.errors import RemoteProtocolError
from heliograph.smpp.pdus import Bind, CancelSm, Pdu, QuerySm, SubmitSm
from heliograph.smpp.session import Event, Role, Session, Settings, State
from heliograph.smpp.statuses import ROK

MOST_OVERDUE: Final = 1000
"""Segments remembered beyond their answer's time, as many as the session remembers."""
CLOSING_S: Final = 1.0
"""How long what was written last may take to get out, before the connection is cut."""
CONGESTED_S: Final = 1.0
"""For how long the SMSC's word that it is congested holds."""
ERRAND_SHARE: Final = 10
"""Of so many places in a window, one may be taken by what asks about messages and calls them back."""
_SLOWER_ABOVE, _PAUSE_FROM = 80, 90
"""congestion_state, in percent (SMPP 5.0, 4.8.4.18)."""

NOT_BOUND_S: Final = 5.0
"""How long an SMSC that says that we aren't bound may take to answer our unbind, and what else it owes."""

SENDING: Final = frozenset({State.BOUND_TX, State.BOUND_TRX})


class Submission:
    """A segment on its way. conceded: the refusals after which it was sent again with something left out."""

    __slots__ = ("conceded", "request", "segment")

    def __init__(self, segment: Segment, request: SubmitSm) -> None:
        self.segment = segment
        self.request = request
        self.conceded: tuple[int, ...] = ()


class Link(asyncio.Protocol):
    """Runs a session over its connection. `deliver` gets every event, in its order; `hold` lasts as long as it does.

    submissions: those without an answer, by sequence number; overdue: those whose answer is late. errands: the sequence
    numbers of queries and cancellations without an answer.
    """

    def __init__(self, settings: Settings, clock: Clock, deliver: Callable[["Link", Event], None]) -> None:
        self.session = Session(Role.ESME, settings, clock.monotonic())
        self.submissions: dict[int, Submission] = {}
        self.overdue: dict[int, Submission] = {}
        self.errands: set[int] = set()
        self.bound_at_s: float | None = None
        self.end_reason = ""
        self.refused_status: int | None = None
        self._settings = settings
        self._clock = clock
        self._deliver = deliver
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._pump_scheduled = False
        self._is_writing_paused = False
        self._is_reading = True
        self._is_gone = False
        self._alarm = asyncio.Event()
        self._alarm_at_s = math.inf

        self._answered_at_s = -math.inf
        self._stands_still_at_s = math.inf
        self._cut_at_s = math.inf
        self._congestion = 0
        self._congested_until_s = -math.inf
        self._is_retired = False

    # ---- what it tells

    @property
    def capacity(self) -> int:
        """How many submissions it takes now, unanswered ones included."""
        if self.session.state not in SENDING or self._stands_still_at_s < math.inf or self._is_retired:
            return 0
        if self._congestion and self._clock.monotonic() < self._congested_until_s:
            if self._congestion >= _PAUSE_FROM:
                return 0
            window = self._settings.window * (_PAUSE_FROM - self._congestion) // (_PAUSE_FROM - _SLOWER_ABOVE)
            return max(1, window) - len(self.errands)
        return self._settings.window - len(self.errands)

    @property
    def window(self) -> int:
        """The same; no less than are unanswered, for those take no other bind's room."""
        return max(self.capacity, len(self.submissions))

    @property
    def room(self) -> int:
        """How many more may be submitted now."""
        return min(self.session.room, self.capacity - len(self.submissions))

    @property
    def errand_share(self) -> int:
        """How many queries and cancellations may be unanswered; 0 while it takes nothing."""
        return max(1, self._settings.window // ERRAND_SHARE) if self.capacity + len(self.errands) > 0 else 0

    @property
    def errand_room(self) -> int:
        """How many more queries and cancellations may be sent now."""
        return min(self.room, self.errand_share - len(self.errands))

    # ---- what its owner asks

    def bind(self, request: Bind) -> None:
        """Ask for the session."""
        self.session.bind(request, self._clock.monotonic())
        self._pump_soon()

    def submit(self, submission: Submission) -> None:
        """Send a segment. Raises LocalProtocolError for what can't be encoded."""
        sequence = self.session.submit(submission.request, self._clock.monotonic())
        self.submissions[sequence] = submission
        self._pump_soon()

    def run_errand(self, errand: QuerySm | CancelSm) -> None:
        """Send a query or a cancellation. Raises LocalProtocolError for what can't be encoded."""
        self.errands.add(self.session.submit(errand, self._clock.monotonic()))
        self._pump_soon()

    def enquire(self) -> None:
        """Ask the SMSC whether it is there."""
        if self.session.state is not State.CLOSED:
            self.session.enquire(self._clock.monotonic())
            self._pump_soon()

    def acknowledge(self, sequence: int, status: int = ROK, response: Pdu | None = None) -> None:
        """Answer what the SMSC asked; nothing happens if the connection has ended meanwhile."""
        self.session.acknowledge(sequence, status, response, now=self._clock.monotonic())
        self._pump_soon()

    def retire(self) -> None:
        """Take no more submissions."""
        self._is_retired = True

    def unbind(self, reason: str, *, within_s: float = math.inf) -> None:
        """Begin to end in good order; what is unanswered may still be answered meanwhile.

        within_s: how long that may take; no longer than any answer may.
        """
        if self.session.state in _BOUND:
            self.end_reason = self.end_reason or reason
            self.session.unbind(self._clock.monotonic())
            self._cut_at_s = self._clock.monotonic() + within_s
            self._pump_soon()
        elif self.session.state is State.OPEN:
            self.cut(reason)

    def cut(self, reason: str) -> None:
        """End it now."""
        self.end_reason = self.end_reason or reason
        self.session.disconnected(self._clock.monotonic())
        self._pump()

    async def hold(self) -> None:
        """Keep time until the connection has ended."""
        while not self._is_gone:
            self._alarm.clear()
            now_s = self._clock.monotonic()
            if self.session.state is State.CLOSED:
                # What was written last gets a moment; a peer that reads nothing gets no more.
                await self._clock.wait(self._alarm, CLOSING_S)
                if self._transport is not None:
                    self._transport.abort()
                if not self._is_gone:
                    await self._clock.wait(self._alarm, CLOSING_S)
                return
            deadline_s = self._deadline_s()
            if deadline_s <= now_s:
                self._expire(now_s)
            else:
                self._alarm_at_s = deadline_s
                await self._clock.wait(self._alarm, deadline_s - now_s)

    # ---- what its owner learns from events, and tells it

    def answered(self) -> None:
        """Some submission was answered: the bind gets somewhere."""
        self._answered_at_s = self._clock.monotonic()
        self._stands_still_at_s = math.inf

    def unanswered(self, waited_s: float) -> None:
        """An answer is overdue. If there was none since, nothing more is sent until one comes, and not for long."""
        now_s = self._clock.monotonic()
        if self._answered_at_s < now_s - waited_s and self._stands_still_at_s == math.inf:
            self._stands_still_at_s = now_s + self._settings.response_timeout_s

    def congested(self, percent: int) -> None:
        """The SMSC says how busy it is."""
        self._congestion = percent if percent > _SLOWER_ABOVE else 0
        self._congested_until_s = self._clock.monotonic() + CONGESTED_S

    # ---- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        try:
            self.session.receive(data, self._clock.monotonic())
        except RemoteProtocolError as error:
            self.end_reason = f"the SMSC sent what is no SMPP: {error}"
        self._pump()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.end_reason:
            self.end_reason = "the SMSC closed the connection" if exc is None else f"the connection broke: {exc}"
        self._is_gone = True
        self.session.disconnected(self._clock.monotonic())
        self._pump()
        self._alarm.set()

    def pause_writing(self) -> None:
        """Who doesn't read what we answer gets no more to answer read."""
        self._is_writing_paused = True
        self._read_or_not()

    def resume_writing(self) -> None:
        """It reads again."""
        self._is_writing_paused = False
        self._read_or_not()

    def _read_or_not(self) -> None:
        """What isn't read waits in the connection, and then with the SMSC, which learns so that it is too fast."""
        reads = not (self._is_writing_paused or self.session.is_full)
        transport = self._transport
        if reads == self._is_reading or transport is None or transport.is_closing():
            return
        self._is_reading = reads
        if reads:
            transport.resume_reading()
        else:
            transport.pause_reading()

    # ---- the pump

    def _pump_soon(self) -> None:
        """All that is asked in one turn of the event loop goes out as one write."""
        if not self._pump_scheduled:
            self._pump_scheduled = True
            self._loop.call_soon(self._pump)

    def _pump(self) -> None:
        self._pump_scheduled = False
        session = self.session
        while events := session.events():
            for event in events:
                self._deliver(self, event)
        transport = self._transport
        if transport is not None:
            data = session.data_to_send()
            if data and not transport.is_closing():
                transport.write(data)
            if session.state is State.CLOSED:
                transport.close()
        self._read_or_not()
        if session.state is State.CLOSED or self._deadline_s() < self._alarm_at_s:
            self._alarm.set()

    def _deadline_s(self) -> float:
        own_s = min(self._stands_still_at_s, self._cut_at_s)
        deadline_s = self.session.next_deadline()
        if self.session.is_full and deadline_s is not None:
            return min(deadline_s, self._cut_at_s)  # What was answered may wait unread.
        return own_s if deadline_s is None else min(deadline_s, own_s)

    def _expire(self, now_s: float) -> None:
        self._alarm_at_s = math.inf
        if now_s >= self._stands_still_at_s and not self.session.is_full:
            self.cut(f"nothing was answered for {round(now_s - self._answered_since(now_s), 1):g} s")
            return
        if now_s >= self._cut_at_s:
            self.cut(self.end_reason)
            return
        self.session.expire(now_s)
        self._pump()

    def _answered_since(self, now_s: float) -> float:
        since_s = max(self._answered_at_s, self.bound_at_s or -math.inf)
        return since_s if since_s > -math.inf else now_s


_BOUND: Final = SENDING | {State.BOUND_RX}
