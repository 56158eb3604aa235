"""One SMPP session: states, sequence numbers, the request window, timers. Plays the ESME and the SMSC.

It is fed by three inputs: bytes arrived (`receive`), a deadline was reached (`expire`), somebody asked (`submit` and
the like). After each, its owner sends `data_to_send`, looks at `events`, sets one timer to `next_deadline`, and, if it
plays the ESME, reads nothing more for as long as the session `is_full`.
Instants are seconds of any clock that never goes back.

Requests for which the peer awaits our answer come as `Requested`, and stay unanswered until `acknowledge`: a receipt
is acknowledged only when it is durable. Enquiries, unbinds and what can't be understood are answered here.

Standard: SMPP 3.4, 2.2 and 2.3 (states), 5.1.4 (sequence numbers), 7.2 (timers).
"""

from collections import deque
from dataclasses import dataclass
from enum import Enum
from typing import Final

import msgspec

from heliograph.smpp.errors import LocalProtocolError, MalformedPdu, RemoteProtocolError
from heliograph.smpp.fields import Tag, find
from heliograph.smpp.framing import Framer
from heliograph.smpp.pdus import (
    LARGEST_SEQUENCE,
    RESPONSE,
    RESPONSES,
    AlertNotification,
    Bind,
    BindReceiver,
    BindResp,
    BindTransceiver,
    BindTransmitter,
    CancelSm,
    DataSm,
    Decoded,
    DeliverSm,
    EnquireLink,
    EnquireLinkResp,
    GenericNack,
    Outbind,
    Pdu,
    QuerySm,
    SubmitSm,
    Unbind,
    UnbindResp,
    UnknownPdu,
    decode,
    encode,
)
from heliograph.smpp.statuses import ROK, CommandStatus


class Role(Enum):
    """Which side of the session we are."""

    __hash__ = object.__hash__  # Enum's own is written in Python, and asked for with each SMS.

    ESME = "ESME"
    SMSC = "SMSC"

    @property
    def peer(self) -> "Role":
        """The other side."""
        return Role.SMSC if self is Role.ESME else Role.ESME


class State(Enum):
    """Where the session stands (2.2); the ESME transmits, receives, or both."""

    __hash__ = object.__hash__  # Enum's own is written in Python, and asked for with each SMS.

    OPEN = "open"
    BOUND_TX = "bound as transmitter"
    BOUND_RX = "bound as receiver"
    BOUND_TRX = "bound as transceiver"
    UNBINDING = "unbinding"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What may differ from peer to peer; times in seconds.

    window: requests of ours that may be unanswered at a time.
    session_init_s: how long a connection may go without a bind. response_timeout_s: how long any answer may take.
    enquire_after_s: after what silence the peer is asked whether it is there; give_up_after_s: how long it may take
    to say anything at all then. inactivity_s: after what time with nothing but enquiries we unbind; None for never.
    unacknowledged: how many of the peer's requests we keep open at a time. The SMSC refuses more, to be sent again. The
    ESME reads no more then, until half of them are acknowledged; what waits full_s for that is refused as well.
    """

    window: int = 10
    session_init_s: float = 10
    response_timeout_s: float = 30
    enquire_after_s: float = 30
    give_up_after_s: float = 10
    inactivity_s: float | None = None
    unacknowledged: int = 1000
    full_s: float = 20


class Requested(msgspec.Struct, frozen=True, gc=False):
    """The peer asks for something, and awaits `acknowledge(sequence)`: a message, a receipt, or to the SMSC a bind."""

    sequence: int
    pdu: Pdu


class Notified(msgspec.Struct, frozen=True, gc=False):
    """The peer says what has no answer: outbind or alert_notification."""

    pdu: Pdu


class Answered(msgspec.Struct, frozen=True, gc=False):
    """The peer's answer to `request`. response: its own kind of response, or generic_nack."""

    sequence: int
    request: Pdu
    status: int
    response: Pdu
    waited_s: float


class Unanswered(msgspec.Struct, frozen=True, gc=False):
    """No answer came to `request`: its time is over, or (`link_ended`) the session is. It may have been carried out."""

    sequence: int
    request: Pdu
    waited_s: float
    link_ended: bool


class AnsweredLate(msgspec.Struct, frozen=True, gc=False):
    """An answer to a request already reported as Unanswered."""

    sequence: int
    request: Pdu
    status: int
    response: Pdu
    waited_s: float


class StrayAnswer(msgspec.Struct, frozen=True, gc=False):
    """An answer to nothing that we know to have asked, generic_nack with sequence number 0 among them."""

    sequence: int
    status: int
    response: Pdu | UnknownPdu


class Rejected(msgspec.Struct, frozen=True, gc=False):
    """What the peer asked couldn't be read, or not be asked now, and was refused here. status: our answer."""

    sequence: int
    command_id: int
    status: CommandStatus
    reason: str


class Bound(msgspec.Struct, frozen=True, gc=False):
    """The session is open for messages.

    system_id: the peer's. interface_version: the peer's; None where it doesn't say.
    """

    state: State
    system_id: bytes
    interface_version: int | None

    @property
    def knows_parameters(self) -> bool:
        """Whether it may be sent optional parameters: below 3.4 there are none (5.2.4)."""
        return self.interface_version is not None and self.interface_version >= _FIRST_WITH_PARAMETERS


class BindRefused(msgspec.Struct, frozen=True, gc=False):
    """The SMSC doesn't want us, or not now. status: ROK where it answered with a generic_nack that names no error."""

    status: int


class Unbound(msgspec.Struct, frozen=True, gc=False):
    """One side has ended the session in good order: it is over once what is unanswered has had its last chance."""

    by_peer: bool


class LinkLost(msgspec.Struct, frozen=True, gc=False):
    """The peer left us without the answer that the session hangs on: to an enquiry, a bind, an unbind."""

    unanswered_s: float


class NeverBound(msgspec.Struct, frozen=True, gc=False):
    """Nobody bound in the time there is for it."""

    waited_s: float


class Inactive(msgspec.Struct, frozen=True, gc=False):
    """Nothing but enquiries for a long time; we unbind."""

    idle_s: float


Event = (
    Requested
    | Notified
    | Answered
    | Unanswered
    | AnsweredLate
    | StrayAnswer
    | Rejected
    | Bound
    | BindRefused
    | Unbound
    | LinkLost
    | NeverBound
    | Inactive
)


class Session:
    """A session over one connection, from its opening on."""

    def __init__(self, role: Role, settings: Settings, now: float, *, first_sequence: int = 1) -> None:
        self._role = role
        self._settings = settings
        self._state = State.OPEN
        self._bound_as = State.OPEN
        self._framer = Framer()
        self._next_sequence = first_sequence
        self._opened_at = self._heard_at = self._active_at = now

        self._pending: dict[int, _Pending] = {}
        """Ours in the window, oldest first; all have the same time to be answered in."""
        self._overdue: dict[int, _Pending] = {}
        self._control: _Pending | None = None
        """Our bind or unbind."""
        self._enquiry: _Pending | None = None
        self._enquiry_answers = 0
        self._farewell: _Farewell | None = None
        """The end, while answers may still come."""
        self._unacknowledged: dict[int, Pdu] = {}
        """The peer's."""
        self._held = deque[tuple[int, Pdu]]()
        """What came with the last of them that there is room for, oldest first."""
        self._is_refusing = False
        """There was no room for so long that more is refused."""
        self._full_since: float | None = None
        self._unread_s = 0.0
        """For how long in all nothing was read: what may have come meanwhile isn't missing."""

        self._output: list[bytes] = []
        self._events: list[Event] = []

    # ---- what it tells

    @property
    def state(self) -> State:
        """Where the session stands."""
        return self._state

    @property
    def in_flight(self) -> int:
        """How many requests in the window are unanswered."""
        return len(self._pending)

    @property
    def room(self) -> int:
        """How many more may be submitted; 0 when not bound."""
        return self._settings.window - len(self._pending) if self._state in _BOUND else 0

    @property
    def is_full(self) -> bool:
        """Whether nothing more is to be read, for there are too many of the peer's requests to be acknowledged."""
        return self._full_since is not None

    @property
    def is_enquiring(self) -> bool:
        """Whether the peer has been asked if it is there, and has said nothing to that yet."""
        return self._enquiry is not None

    @property
    def enquiry_answers(self) -> int:
        """How often the peer has answered that it is there."""
        return self._enquiry_answers

    def data_to_send(self) -> bytes:
        """What to send now, each octet once."""
        data = b"".join(self._output)
        self._output.clear()
        return data

    def events(self) -> list[Event]:
        """What has happened, in its order, each event once."""
        events, self._events = self._events, []
        return events

    def next_deadline(self) -> float | None:
        """When `expire` is to be called; None for never."""
        if self._state is State.CLOSED:
            return None
        settings = self._settings
        deadlines: list[float] = []
        if self._awaits_bind():
            deadlines.append(self._opened_at + settings.session_init_s)
        elif self._farewell is not None:
            deadlines.append(self._farewell.next_deadline)
        elif self._state is not State.OPEN:
            if self._full_since is not None:
                pass  # Whether the peer is there shows when it is read from again.
            elif self._enquiry is None:
                deadlines.append(self._heard_at + settings.enquire_after_s)
            else:
                deadlines.append(self._due(self._enquiry, settings.give_up_after_s))
            if settings.inactivity_s is not None and self._state in _BOUND:
                deadlines.append(self._active_at + settings.inactivity_s)
        if self._full_since is not None:
            deadlines.append(self._full_since + settings.full_s)
        oldest = next(iter(self._pending.values()), None)
        deadlines += [self._due(p, settings.response_timeout_s) for p in (oldest, self._control) if p is not None]
        return min(deadlines, default=None)

    # ---- what its owner asks

    def bind(self, pdu: Bind, now: float) -> int:
        """Ask the SMSC for a session; Bound, BindRefused or LinkLost follows. The sequence number is returned.

        Raises LocalProtocolError unless the session is open and no bind under way.
        """
        return self._control_request(pdu, now)

    def unbind(self, now: float) -> int:
        """End the session; Unbound or LinkLost follows. Answers still come in meanwhile, and for a moment after it.

        To end in good order, submit nothing more, and wait until none is `in_flight`.
        Raises LocalProtocolError unless bound.
        """
        sequence = self._control_request(Unbind(), now)
        self._state = State.UNBINDING
        return sequence

    def submit(self, pdu: Pdu, now: float) -> int:
        """Send a request through the window; Answered or Unanswered follows. The sequence number is returned.

        pdu: submit_sm, data_sm, query_sm, cancel_sm; from the SMSC deliver_sm, data_sm.
        Raises LocalProtocolError without `room`, in the wrong state, and for what can't be encoded.
        """
        if len(self._pending) >= self._settings.window:
            raise LocalProtocolError(f"the window of {self._settings.window} is full")
        if type(pdu) not in _WINDOWED:
            raise LocalProtocolError(f"{type(pdu).__name__} is no request for the window")
        sequence = self._request(pdu)
        self._pending[sequence] = self._sent(sequence, pdu, now)
        self._active_at = now
        return sequence

    def enquire(self, now: float) -> None:
        """Ask the peer whether it is there, unless it is being asked already; LinkLost follows if it stays silent.

        Raises LocalProtocolError when closed.
        """
        if self._state is State.CLOSED:
            raise LocalProtocolError("nobody is there to be asked: the session is closed")
        if self._enquiry is None:
            sequence = self._free_sequence()
            self._send(EnquireLink(), sequence)
            self._next_sequence = sequence % LARGEST_SEQUENCE + 1
            self._enquiry = self._sent(sequence, EnquireLink(), now)

    def acknowledge(
        self, sequence: int, status: int = ROK, response: Pdu | None = None, *, now: float | None = None
    ) -> None:
        """Answer what came as Requested; when the session has closed meanwhile, nobody waits for it any more.

        response: of the request's kind; None for one with empty fields. To accept a bind, give one with our name.
        now: by the clock; None for when the peer was heard last.
        Raises LocalProtocolError for what wasn't asked, or has been answered.
        """
        if self._state is State.CLOSED:
            return
        request = self._unacknowledged.get(sequence)
        if request is None:
            raise LocalProtocolError(f"nothing unanswered has the sequence number {sequence}")
        response_class = RESPONSES[type(request)]
        if response is None:
            response = response_class()
        elif type(response) is not response_class:
            raise LocalProtocolError(f"{type(response).__name__} does not answer {type(request).__name__}")
        self._send(response, sequence, status)
        del self._unacknowledged[sequence]
        if isinstance(request, Bind) and status == ROK:
            self._enter(request, self._heard_at)
        now = self._heard_at if now is None else now
        self._make_room(now)
        if self._farewell is not None:
            self._take_leave(self._farewell, now)

    # ---- what happens to it

    def receive(self, data: bytes, now: float) -> None:
        """Take bytes from the peer, cut anywhere.

        Raises RemoteProtocolError when what follows can't be read any more: the session is then closed, and what is
        to be sent and told as well is there as ever.
        """
        if self._state is State.CLOSED:
            return
        try:
            for frame in self._framer.feed(data):
                self._heard_at = now  # Whatever it is, the peer lives.
                self._receive_pdu(frame, now)
                if self.state is State.CLOSED:
                    return
        except RemoteProtocolError:
            # The header can't be trusted, so neither can its sequence number (4.3.1).
            self._send(GenericNack(), 0, CommandStatus.ESME_RINVCMDLEN)
            self._close(now)
            raise

    def expire(self, now: float) -> None:
        """Do what is due by now."""
        if self._state is State.CLOSED:
            return
        settings = self._settings
        if self._full_since is not None and now >= self._full_since + settings.full_s:
            self._refuse_held(now)
        self._expire_requests(now)
        control = self._control
        if self._farewell is not None:
            self._take_leave(self._farewell, now)
        elif control is not None and now >= self._due(control, settings.response_timeout_s):
            self._lose(control, now)
        elif self._awaits_bind() and now >= self._opened_at + settings.session_init_s:
            self._events.append(NeverBound(now - self._opened_at))
            self._close(now)
        elif self._state is not State.OPEN:
            if self._full_since is None:
                self._expire_silence(now)
            inactivity_s = settings.inactivity_s
            if inactivity_s is not None and self._state in _BOUND and now >= self._active_at + inactivity_s:
                self._events.append(Inactive(now - self._active_at))
                self.unbind(now)

    def disconnected(self, now: float) -> None:
        """The connection has ended; what was unanswered stays so."""
        if self._state is not State.CLOSED:
            self._close(now)

    # ---- sending

    def _control_request(self, pdu: Pdu, now: float) -> int:
        if self._control is not None:
            raise LocalProtocolError(f"{type(self._control.request).__name__} is under way")
        sequence = self._request(pdu)
        self._control = self._sent(sequence, pdu, now)
        return sequence

    def _request(self, pdu: Pdu) -> int:
        if self._state not in _states_for(pdu, sender=self._role):
            raise LocalProtocolError(
                f"{type(pdu).__name__} can't be sent by the {self._role.value}: {self._state.value}"
            )
        sequence = self._free_sequence()
        self._send(pdu, sequence)
        self._next_sequence = sequence % LARGEST_SEQUENCE + 1
        return sequence

    def _free_sequence(self) -> int:
        """The next one, less those still in use: after a turn they'd be taken for their namesakes (5.1.4)."""
        sequence = self._next_sequence
        while sequence in self._pending or sequence in self._overdue or self._is_control(sequence):
            sequence = sequence % LARGEST_SEQUENCE + 1
        return sequence

    def _is_control(self, sequence: int) -> bool:
        control, enquiry = self._control, self._enquiry
        return (control is not None and control.sequence == sequence) or (
            enquiry is not None and enquiry.sequence == sequence
        )

    def _send(self, pdu: Pdu, sequence: int, status: int = ROK) -> None:
        self._output.append(encode(pdu, sequence, status))

    # ---- receiving

    def _receive_pdu(self, frame: bytes, now: float) -> None:
        try:
            decoded = decode(frame)
        except MalformedPdu as fault:
            self._reject(fault.sequence, fault.command_id, CommandStatus.ESME_RINVMSGLEN, fault.reason)
            return
        pdu = decoded.pdu
        if isinstance(pdu, UnknownPdu):
            if pdu.command_id & RESPONSE:
                self._events.append(StrayAnswer(decoded.sequence, decoded.status, pdu))
            else:
                reason = f"command {pdu.command_id:#010x} is unknown"
                self._reject(decoded.sequence, pdu.command_id, CommandStatus.ESME_RINVCMDID, reason)
        elif pdu.command_id & RESPONSE:
            self._receive_response(decoded, pdu, now)
        else:
            self._receive_request(decoded.sequence, pdu, now)

    def _receive_response(self, decoded: Decoded, pdu: Pdu, now: float) -> None:
        sequence, status = decoded.sequence, decoded.status
        pending = self._pending.get(sequence)
        if pending is not None and pending.is_answered_by(pdu):
            del self._pending[sequence]
            self._active_at = now
            self._events.append(Answered(sequence, pending.request, status, pdu, now - pending.sent_at))
            if self._farewell is not None:
                self._take_leave(self._farewell, now)
        elif (control := self._control) is not None and control.sequence == sequence and control.is_answered_by(pdu):
            self._control = None
            self._receive_control_response(control.request, status, pdu, now)
        elif (enquiry := self._enquiry) is not None and enquiry.sequence == sequence and enquiry.is_answered_by(pdu):
            self._enquiry = None
            self._enquiry_answers += 1
        elif (overdue := self._overdue.get(sequence)) is not None and overdue.is_answered_by(pdu):
            del self._overdue[sequence]
            self._events.append(AnsweredLate(sequence, overdue.request, status, pdu, now - overdue.sent_at))
        elif not isinstance(pdu, EnquireLinkResp):  # It has shown life, late or not, and that is all it was for.
            self._events.append(StrayAnswer(sequence, status, pdu))

    def _receive_control_response(self, request: Pdu, status: int, pdu: Pdu, now: float) -> None:
        if isinstance(request, Unbind):
            # Refused or not, we are going; but if the peer is, too, its last answers are waited for.
            if self._farewell is None:
                self._events.append(Unbound(by_peer=False))
                self._farewell = _Farewell(None, now, now + min(_FAREWELL_S, self._longest_farewell_s()))
                self._take_leave(self._farewell, now)
        elif status == ROK and isinstance(pdu, BindResp):
            self._enter(request, now)
            version = find(pdu.tlvs, Tag.SC_INTERFACE_VERSION)
            self._events.append(Bound(self._state, pdu.system_id, version.number if version else None))
        else:
            self._events.append(BindRefused(status))

    def _receive_request(self, sequence: int, pdu: Pdu, now: float) -> None:
        if isinstance(pdu, EnquireLink):
            self._send(EnquireLinkResp(), sequence)  # In every state: it asks whether we are there (4.11).
            return
        self._active_at = now
        if isinstance(pdu, Unbind):
            self._receive_unbind(sequence, now)
        # What crossed our unbind on its way is still good.
        elif self._bound_as not in _states_to_take(pdu, sender=self._role.peer):
            bound_already = isinstance(pdu, Bind) and self._bound_as in _BOUND
            status = CommandStatus.ESME_RALYBND if bound_already else CommandStatus.ESME_RINVBNDSTS
            self._reject(sequence, pdu.command_id, status, f"{type(pdu).__name__} when {self._state.value}", type(pdu))
        elif isinstance(pdu, Outbind | AlertNotification):
            self._events.append(Notified(pdu))
        elif (earlier := self._unacknowledged.get(sequence)) is not None:
            if earlier != pdu:
                reason = f"another request {sequence} is unanswered"
                self._reject(sequence, pdu.command_id, CommandStatus.ESME_RX_T_APPN, reason, type(pdu))
            # The same, sent again for want of our answer, gets the one that is to come.
        elif len(self._unacknowledged) >= self._settings.unacknowledged:
            if self._role is Role.SMSC or self._is_refusing:
                self._reject_for_want_of_room(sequence, pdu)
            else:
                self._held.append((sequence, pdu))
                self._full_since = now if self._full_since is None else self._full_since
        elif isinstance(pdu, Bind) and any(isinstance(other, Bind) for other in self._unacknowledged.values()):
            reason = "another bind is unanswered"
            self._reject(sequence, pdu.command_id, CommandStatus.ESME_RALYBND, reason, type(pdu))
        else:
            self._unacknowledged[sequence] = pdu
            self._events.append(Requested(sequence, pdu))

    def _make_room(self, now: float) -> None:
        """Something was acknowledged: what is held takes its place, and when half have been, reading goes on."""
        if self._full_since is None and not self._is_refusing:
            return
        held, self._held = self._held, deque[tuple[int, Pdu]]()
        while held and len(self._unacknowledged) < self._settings.unacknowledged:
            self._receive_request(*held.popleft(), now)
        self._held = held
        if not held and len(self._unacknowledged) <= self._settings.unacknowledged // 2:
            self._is_refusing = False
            self._read_again(now)

    def _refuse_held(self, now: float) -> None:
        self._is_refusing = True
        for sequence, pdu in self._held:
            self._reject_for_want_of_room(sequence, pdu)
        self._held.clear()
        self._read_again(now)

    def _read_again(self, now: float) -> None:
        if self._full_since is not None:
            unread_s = now - self._full_since
            self._unread_s += unread_s
            self._heard_at += unread_s
            self._full_since = None

    def _reject_for_want_of_room(self, sequence: int, pdu: Pdu) -> None:
        reason = f"{self._settings.unacknowledged} requests are unanswered"
        self._reject(sequence, pdu.command_id, self._status_when_full(), reason, type(pdu))

    def _receive_unbind(self, sequence: int, now: float) -> None:
        if self._farewell is not None:
            self._send(UnbindResp(), sequence)
            return
        self._events.append(Unbound(by_peer=True))
        self._state = State.UNBINDING
        longest_s = self._longest_farewell_s()
        self._farewell = _Farewell(sequence, now + min(_ANSWERS_FIRST_S, longest_s), now + min(_FAREWELL_S, longest_s))
        self._take_leave(self._farewell, now)

    def _longest_farewell_s(self) -> float:
        # Deliveries come again, if an ESME goes without answering them; submissions would go twice.
        return self._settings.response_timeout_s if self._role is Role.ESME else 0

    def _take_leave(self, farewell: "_Farewell", now: float) -> None:
        """Go, when the peer has answered everything, and we have, or the time for it is over.

        Some peers hang up on our answer to their unbind, so answers on their way are let in first; others give the
        last ones after it, or after their own answer to ours.
        """
        is_over = not (self._pending or self._unacknowledged) or now >= farewell.ends_at
        if farewell.sequence is not None and (is_over or now >= farewell.answer_at):
            self._send(UnbindResp(), farewell.sequence)
            farewell.sequence = None
        if is_over:
            self._close(now)

    def _status_when_full(self) -> CommandStatus:
        return CommandStatus.ESME_RX_T_APPN if self._role is Role.ESME else CommandStatus.ESME_RTHROTTLED

    def _reject(
        self, sequence: int, command_id: int, status: CommandStatus, reason: str, request: type[Pdu] | None = None
    ) -> None:
        if request is None:
            request = _REQUESTS.get(command_id)
        response = RESPONSES.get(request) if request is not None else None
        if response is not None:
            self._send(response(), sequence, status)
        elif request is None:
            self._send(GenericNack(), sequence, status)
        # To outbind and alert_notification there is no answer, not even this.
        self._events.append(Rejected(sequence, command_id, status, reason))

    # ---- states and timers

    def _awaits_bind(self) -> bool:
        return self._state is State.OPEN and self._control is None and not self._unacknowledged

    def _enter(self, bind: Pdu, now: float) -> None:
        self._state = self._bound_as = _STATE_AFTER[type(bind)]
        self._heard_at = self._active_at = now

    def _expire_requests(self, now: float) -> None:
        timeout_s = self._settings.response_timeout_s
        while self._pending:
            sequence, pending = next(iter(self._pending.items()))
            if now < self._due(pending, timeout_s):  # As next_deadline says it, to the last bit.
                break
            del self._pending[sequence]
            self._overdue[sequence] = pending
            if len(self._overdue) > _MOST_OVERDUE:
                del self._overdue[next(iter(self._overdue))]
            self._events.append(Unanswered(sequence, pending.request, now - pending.sent_at, link_ended=False))

    def _sent(self, sequence: int, request: Pdu, now: float) -> "_Pending":
        return _Pending(sequence, request, now, self._unread_s)

    def _due(self, pending: "_Pending", timeout_s: float) -> float:
        """Until when its answer may come.

        It may have come, unread, while we were full: so long, but no more than full_s, we wait beyond its time.
        """
        full_s = self._settings.full_s
        unread_s = full_s if self._full_since is not None else min(self._unread_s - pending.unread_before_s, full_s)
        return pending.sent_at + timeout_s + unread_s

    def _expire_silence(self, now: float) -> None:
        enquiry = self._enquiry
        if enquiry is not None and now >= self._due(enquiry, self._settings.give_up_after_s):
            if self._heard_at <= enquiry.sent_at:
                self._lose(enquiry, now)
                return
            self._enquiry = enquiry = None  # Not that answer, but other signs of life.
        if enquiry is None and now >= self._heard_at + self._settings.enquire_after_s:
            self.enquire(now)

    def _lose(self, unanswered: "_Pending", now: float) -> None:
        self._events.append(LinkLost(now - unanswered.sent_at))
        self._close(now)

    def _close(self, now: float) -> None:
        self._state = State.CLOSED
        for pending in self._pending.values():
            waited_s = now - pending.sent_at
            self._events.append(Unanswered(pending.sequence, pending.request, waited_s, link_ended=True))
        self._pending.clear()
        self._overdue.clear()
        self._unacknowledged.clear()
        self._held.clear()
        self._full_since = None
        self._control = self._enquiry = self._farewell = None


class _Pending(msgspec.Struct, frozen=True, gc=False):
    """A request of ours that awaits its answer. unread_before_s: for how long nothing was read before it was sent."""

    sequence: int
    request: Pdu
    sent_at: float
    unread_before_s: float

    def is_answered_by(self, response: Pdu) -> bool:
        return type(response) in (RESPONSES[type(self.request)], GenericNack)


class _Farewell:
    """The end of the session: the peer has unbound, or answered our unbind.

    sequence: its unbind's; None when there is none to answer any more. answer_at: when it is answered at the latest;
    ends_at: when we go.
    """

    __slots__ = ("answer_at", "ends_at", "sequence")

    def __init__(self, sequence: int | None, answer_at: float, ends_at: float) -> None:
        self.sequence = sequence
        self.answer_at = answer_at
        self.ends_at = ends_at

    @property
    def next_deadline(self) -> float:
        return self.ends_at if self.sequence is None else self.answer_at


def _states_for(pdu: Pdu, sender: Role) -> frozenset[State]:
    """In which states that side may send that request (2.3)."""
    return _STATES.get((sender, type(pdu)), _NEVER)


def _states_to_take(pdu: Pdu, sender: Role) -> frozenset[State]:
    """In which states it is taken from that side: some SMSC give receipts to transmitters as well."""
    return _BOUND if (sender, type(pdu)) in _DELIVERIES else _states_for(pdu, sender)


_NEVER: Final[frozenset[State]] = frozenset()
_OPEN: Final = frozenset({State.OPEN})
_BOUND: Final = frozenset({State.BOUND_TX, State.BOUND_RX, State.BOUND_TRX})
_ESME_SENDS: Final = frozenset({State.BOUND_TX, State.BOUND_TRX})
_ESME_RECEIVES: Final = frozenset({State.BOUND_RX, State.BOUND_TRX})

_STATES: Final[dict[tuple[Role, type[Pdu]], frozenset[State]]] = {
    (Role.ESME, BindTransmitter): _OPEN,
    (Role.ESME, BindReceiver): _OPEN,
    (Role.ESME, BindTransceiver): _OPEN,
    (Role.ESME, SubmitSm): _ESME_SENDS,
    (Role.ESME, DataSm): _ESME_SENDS,
    (Role.ESME, QuerySm): _ESME_SENDS,
    (Role.ESME, CancelSm): _ESME_SENDS,
    (Role.ESME, Unbind): _BOUND,
    (Role.SMSC, Outbind): _OPEN,
    (Role.SMSC, DeliverSm): _ESME_RECEIVES,
    (Role.SMSC, DataSm): _ESME_RECEIVES,
    (Role.SMSC, AlertNotification): _ESME_RECEIVES,
    (Role.SMSC, Unbind): _BOUND,
}
_DELIVERIES: Final = frozenset({(Role.SMSC, DeliverSm), (Role.SMSC, DataSm)})
_STATE_AFTER: Final[dict[type[Pdu], State]] = {
    BindTransmitter: State.BOUND_TX,
    BindReceiver: State.BOUND_RX,
    BindTransceiver: State.BOUND_TRX,
}
_WINDOWED: Final = frozenset({SubmitSm, DataSm, QuerySm, CancelSm, DeliverSm})
_REQUESTS: Final[dict[int, type[Pdu]]] = {
    request.command_id: request for request in (*RESPONSES, Outbind, AlertNotification)
}

_FIRST_WITH_PARAMETERS: Final = 0x34
_MOST_OVERDUE: Final = 1000
"""Requests remembered beyond their time, so that a late answer finds its own. Of older ones it will be a stray."""

_ANSWERS_FIRST_S: Final = 1.0
"""For how long answers that are due may come before we answer the peer's unbind."""
_FAREWELL_S: Final = 5.0
"""For how long they may come at all after its unbind, or its answer to ours."""
