"""The simulated SMSC: its connections, its accounts, what it answers and what it sends; without sockets or clocks.

Its owner gives it what arrives on each `Link`, and time by `expire`; after each of these, `touched` are the links that
have something to send, and one timer is set to `next_deadline`. Instants are seconds of a clock that never goes back.
"""

import heapq
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from heliograph.ids import Ids
from heliograph.jobs.endings import Ending, Throttle, ending_of
from heliograph.simulator.behaviour import Behaviour, IdFormat, ReceiptOrder
from heliograph.simulator.checking import Submission, fault_of, octets_of
from heliograph.simulator.messages import inbound, receipt
from heliograph.smpp.errors import RemoteProtocolError
from heliograph.smpp.fields import Tag, Tlv
from heliograph.smpp.framing import Framer
from heliograph.smpp.pdus import (
    RESPONSES,
    Bind,
    BindResp,
    CancelSm,
    DataSm,
    DataSmResp,
    DeliverSm,
    EnquireLinkResp,
    Pdu,
    QuerySm,
    QuerySmResp,
    SubmitSm,
    SubmitSmResp,
    decode,
)
from heliograph.smpp.receipts import MessageState
from heliograph.smpp.session import Answered, Event, Rejected, Requested, Role, Session, Settings, State, Unanswered
from heliograph.smpp.statuses import ROK, CommandStatus
from heliograph.smpp.times import absolute_time, parse_time

SYSTEM_ID: Final = b"heliograph"


@dataclass(slots=True)
class Deliveries:
    """What was to be sent to clients: how much, and what became of it.

    forgotten: there was no room for it, or it was refused for good, or never acknowledged.
    """

    promised: int = 0
    acknowledged: int = 0
    sent_again: int = 0
    forgotten: int = 0

    @property
    def waiting(self) -> int:
        """How many are still to be taken."""
        return self.promised - self.acknowledged - self.forgotten


@dataclass(slots=True)
class Summary:
    """What has happened so far.

    submissions: messages, each part one; of these so many were accepted, refused for good, put off (system error), or
    throttled. answers_withheld: got none, by dropped answers and closed connections.
    inbound: parts of SMS from phones.
    """

    connections: int = 0
    binds: int = 0
    binds_refused: int = 0
    submissions: int = 0
    accepted: int = 0
    refused: int = 0
    put_off: int = 0
    throttled: int = 0
    answers_withheld: int = 0
    receipts: Deliveries = field(default_factory=Deliveries)
    inbound: Deliveries = field(default_factory=Deliveries)


class Smsc:
    """All of it."""

    def __init__(self, behaviour: Behaviour, ids: Ids, now: float, at: datetime) -> None:
        """now, at: the same instant, of the clock that all other instants are of, and of the wall clock."""
        self.behaviour = behaviour
        self.summary = Summary()
        self.session_settings = Settings(
            window=behaviour.receipt_window,
            unacknowledged=behaviour.max_window,
            response_timeout_s=behaviour.resend_after_s,
        )
        self._ids = ids
        self._started_s, self._started_at = now, at
        self._epoch_s = at.timestamp() - now
        self._accounts: dict[bytes, _Account] = {}
        self._throttle = Throttle()
        # Not from 1: a client may remember what an earlier run has promised.
        self._next_message = ids.number(_FIRST_MESSAGE_BELOW)
        self._messages: dict[bytes, _Message] = {}
        self._reversed_until_s = float("-inf")
        self._due: list[tuple[float, int, Callable[[float], None]]] = []
        self._due_count = 0
        self._dates = (-1, b"")

        self.links: set[Link] = set()
        self._touched: set[Link] = set()
        self._unsettled: set[_Account] = set()

    # ---- what its owner tells and asks

    def connect(self, now: float) -> "Link":
        """A client has connected."""
        self.summary.connections += 1
        link = Link(self, now)
        self.links.add(link)
        return link

    def expire(self, now: float) -> None:
        """Do what is due by now, but for the links' own timers."""
        while self._due and self._due[0][0] <= now:
            heapq.heappop(self._due)[2](now)
        self.settle(now)

    def next_deadline(self) -> float | None:
        """When `expire` is to be called; None for never."""
        return self._due[0][0] if self._due else None

    def touched(self) -> "set[Link]":
        """The links that may have something to send since this was last asked."""
        touched, self._touched = self._touched, set()
        return touched

    # ---- what links tell and ask

    def wall(self, now: float) -> datetime:
        """The wall clock's word for an instant."""
        return self._started_at + timedelta(seconds=now - self._started_s)

    def touch(self, link: "Link") -> None:
        """It may have something to send."""
        self._touched.add(link)

    def at(self, due_s: float, act: Callable[[float], None], *, after_others: bool = True) -> None:
        """Call `act` at an instant; with equal ones in their order, or the last first."""
        self._due_count += 1
        heapq.heappush(self._due, (due_s, self._due_count if after_others else -self._due_count, act))

    def bind(self, link: "Link", pdu: Bind) -> "_Account | CommandStatus":
        """The account that binds, or why it may not."""
        behaviour = self.behaviour
        if behaviour.system_id is not None and pdu.system_id != behaviour.system_id.encode():
            return CommandStatus.ESME_RINVSYSID
        if behaviour.password is not None and pdu.password != behaviour.password.encode():
            return CommandStatus.ESME_RINVPASWD
        account = self._accounts.get(pdu.system_id)
        if account is None:
            account = self._accounts[pdu.system_id] = _Account(behaviour.rate)
        account.links.append(link)
        self._unsettled.add(account)
        return account

    def leave(self, link: "Link", account: "_Account", unacknowledged: list["_Delivery"]) -> None:
        """A connection has ended; what it didn't acknowledge goes over another, or waits for one."""
        account.links.remove(link)
        for delivery in unacknowledged:
            delivery.counts.sent_again += 1
        account.ready.extendleft(reversed(unacknowledged))
        self._unsettled.add(account)

    def greet(self, account: "_Account") -> None:
        """An account's first receiver is there: it gets what phones have written."""
        if not account.greeted:
            account.greeted = True
            for reference, sms in enumerate(self.behaviour.inbound, start=1):
                for pdu in inbound(sms, reference):
                    self.deliver(account, _Delivery(pdu, self.summary.inbound))

    def settle(self, now: float) -> None:
        """Send what can be sent."""
        while self._unsettled:
            self._unsettled.pop().send_ready(now, self.touch)

    def answer_to(self, account: "_Account", pdu: Submission, now: float) -> "CommandStatus | bytes":
        """Decide about a message: its id, or the status that refuses it."""
        status = self._refusal(account, pdu, now)
        if status is None:
            self.summary.accepted += 1
            return self._accept(account, pdu, now)
        if status is CommandStatus.ESME_RTHROTTLED:
            self.summary.throttled += 1
        elif status is CommandStatus.ESME_RSYSERR:
            self.summary.put_off += 1
        else:
            self.summary.refused += 1
        return status

    def _refusal(self, account: "_Account", pdu: Submission, now: float) -> CommandStatus | None:
        if account.rate is not None and not account.rate.allows(now):
            return CommandStatus.ESME_RTHROTTLED
        fault = fault_of(pdu, self.wall(now))
        if fault is not None:
            return fault
        match ending_of(pdu.destination_addr.decode("ascii")):
            case Ending.REFUSED:
                return CommandStatus.ESME_RX_P_APPN
            case Ending.UNREACHABLE:
                return CommandStatus.ESME_RSYSERR
            case Ending.THROTTLED:
                # A try has a new sequence number, and perhaps less validity left, but it says the same to the same.
                key = (account, pdu.source_addr, pdu.destination_addr, octets_of(pdu))
                return CommandStatus.ESME_RTHROTTLED if self._throttle.turns_away(key) else None
            case _:
                return None

    # ---- messages and receipts

    def _accept(self, account: "_Account", pdu: Submission, now: float) -> bytes:
        number = self._next_message
        self._next_message += 1
        message_id = self._written(self.behaviour.ids, number)
        message = _Message(account, pdu, message_id, number, now)
        self._messages[message_id] = message
        if len(self._messages) > _MOST_MESSAGES:
            del self._messages[next(iter(self._messages))]
        ending = ending_of(pdu.destination_addr.decode("ascii"))
        if ending is Ending.SILENT:
            return message_id
        sent_s = now
        if isinstance(pdu, SubmitSm) and pdu.schedule_delivery_time:
            wall = self.wall(now)
            sent_s = now + max(0.0, (parse_time(pdu.schedule_delivery_time, wall) - wall).total_seconds())
        due_s, after_others = self._due_at(sent_s)
        state = _STATES.get(ending, MessageState.DELIVERED)
        if isinstance(pdu, SubmitSm) and pdu.validity_period:
            wall = self.wall(now)
            expires_s = now + (parse_time(pdu.validity_period, wall) - wall).total_seconds()
            if expires_s < due_s:
                due_s, state = max(now, expires_s), MessageState.EXPIRED
        if pdu.registered_delivery & _INTERMEDIATE_WANTED:
            self.at((now + due_s) / 2, partial(self._tell, message, MessageState.ENROUTE))
        self.at(due_s, partial(self._end, message, state), after_others=after_others)
        return message_id

    def _due_at(self, now: float) -> tuple[float, bool]:
        """When the receipt of a message is due; and whether it comes after others of the same instant."""
        delay_s = self.behaviour.delay_s
        match self.behaviour.receipt_order:
            case ReceiptOrder.IN_ORDER:
                return now + delay_s, True
            case ReceiptOrder.REVERSED:
                if now >= self._reversed_until_s:
                    self._reversed_until_s = now + delay_s
                return 2 * self._reversed_until_s - now, False
            case ReceiptOrder.RANDOM:
                return now + 2 * delay_s * self._ids.number(_CHANCES) / _CHANCES, True

    def _end(self, message: "_Message", state: MessageState, now: float) -> None:
        """A message comes to its final state, unless it has one, by cancellation."""
        if message.state is MessageState.ENROUTE:
            message.state = state
            message.ended_s = now
            if _wants(message.pdu.registered_delivery, state):
                self._tell(message, state, now)

    def _tell(self, message: "_Message", state: MessageState, now: float) -> None:
        behaviour = self.behaviour
        if state is MessageState.ENROUTE and message.state is not state:
            return
        receipt_ids = behaviour.receipt_ids
        written = message.id if receipt_ids is None else self._written(receipt_ids, message.number)
        pdu = receipt(
            behaviour.receipt_format,
            message.pdu,
            written,
            state,
            submit_date=self._date(message.accepted_s),
            done_date=self._date(now),
        )
        for _ in range(1 + behaviour.duplicate_receipts):
            self.deliver(message.account, _Delivery(pdu, self.summary.receipts))

    def deliver(self, account: "_Account", delivery: "_Delivery") -> None:
        """Send it when one of the account's links has room."""
        if len(account.ready) >= self.behaviour.kept_receipts:
            account.ready.popleft().counts.forgotten += 1
        account.ready.append(delivery)
        self._unsettled.add(account)

    def delivered(self, account: "_Account", delivery: "_Delivery", status: int | None, now: float) -> None:
        """The client has answered a receipt, or by None not in time."""
        self._unsettled.add(account)  # There is room for another.
        if status == ROK:
            delivery.counts.acknowledged += 1
            return
        delivery.try_count += 1
        if status in _REFUSED_FOR_GOOD or delivery.try_count == _MOST_TRIES:
            delivery.counts.forgotten += 1
            return
        delivery.counts.sent_again += 1
        pause_s = 0 if status is None else self.behaviour.resend_after_s
        self.at(now + pause_s, lambda _: self.deliver(account, delivery))

    def queried(self, account: "_Account", pdu: QuerySm) -> QuerySmResp | CommandStatus:
        """What has become of a message."""
        message = self._messages.get(pdu.message_id)
        if message is None or message.account is not account:
            return CommandStatus.ESME_RQUERYFAIL
        ended_s = message.ended_s
        final_date = b"" if ended_s is None else absolute_time(self.wall(ended_s))
        return QuerySmResp(message_id=message.id, final_date=final_date, message_state=message.state)

    def cancelled(self, account: "_Account", pdu: CancelSm, now: float) -> CommandStatus:
        """Take a message back, if it is still here."""
        message = self._messages.get(pdu.message_id)
        if message is None or message.account is not account or message.state is not MessageState.ENROUTE:
            return CommandStatus.ESME_RCANCELFAIL
        self._end(message, MessageState.DELETED, now)
        return CommandStatus.ESME_ROK

    def chance(self, likelihood: float) -> bool:
        """True as often as that."""
        return likelihood > 0 and self._ids.number(_CHANCES) < likelihood * _CHANCES

    def _written(self, form: IdFormat, number: int) -> bytes:
        match form:
            case IdFormat.DECIMAL:
                return b"%010d" % number
            case IdFormat.HEX:
                return b"%X" % number
            case IdFormat.UUID:
                # Told by the number alone, so that a receipt can be given in it, too; the form is that of version 4.
                digits = f"{number * _SCATTER % (1 << 128):032x}"
                return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}".encode()

    def _date(self, instant_s: float) -> bytes:
        """`YYMMDDhhmm`, in UTC."""
        minute = int((instant_s + self._epoch_s) // 60)
        if self._dates[0] != minute:
            self._dates = minute, self.wall(instant_s).strftime("%y%m%d%H%M").encode("ascii")
        return self._dates[1]


class Link:
    """One connection, from its beginning to its end."""

    def __init__(self, smsc: Smsc, now: float) -> None:
        self._smsc = smsc
        self._behaviour = smsc.behaviour
        self._session = Session(Role.SMSC, smsc.session_settings, now)
        self._account: _Account | None = None
        self._submission_count = 0
        self._answer_count = 0
        self._hung_up = False
        self._output: list[bytes] = []
        self.delivering: dict[int, _Delivery] = {}
        """What awaits the client's acknowledgement, by sequence number."""

    @property
    def closing(self) -> bool:
        """Whether the connection is to be closed once all is sent."""
        return self._session.state is State.CLOSED

    @property
    def room(self) -> int:
        """How many more receipts may be sent now."""
        if self._session.state not in _RECEIVES:
            return 0
        return self._session.room

    def data_to_send(self) -> bytes:
        """What to send now, each octet once."""
        self._output.append(self._session.data_to_send())
        data = b"".join(self._output)
        self._output.clear()
        if self._behaviour.ignore_enquire_link and data:
            return b"".join(
                frame for frame in Framer().feed(data) if not isinstance(decode(frame).pdu, EnquireLinkResp)
            )
        return data

    def next_deadline(self) -> float | None:
        """When `expire` is to be called; None for never."""
        return self._session.next_deadline()

    # ---- what happens to it

    def receive(self, data: bytes, now: float) -> None:
        """Take bytes from the client, cut anywhere."""
        with suppress(RemoteProtocolError):  # The session has closed then, and what it has to say is to be sent.
            self._session.receive(data, now)
        self._pump(now)

    def expire(self, now: float) -> None:
        """Do what is due by now."""
        self._session.expire(now)
        self._pump(now)

    def disconnected(self, now: float) -> None:
        """The connection has ended."""
        self._session.disconnected(now)
        self._pump(now)
        self._smsc.links.discard(self)

    def unbind(self, now: float) -> None:
        """Ask the client to go; who isn't bound has gone."""
        if self._session.state in _BOUND:
            self._session.unbind(now)
        else:
            self._session.disconnected(now)
        self._pump(now)

    def deliver(self, delivery: "_Delivery", now: float) -> None:
        """Send a receipt, or an SMS from a phone; there must be room."""
        self.delivering[self._session.submit(delivery.pdu, now)] = delivery

    # ---- what comes of it

    def _pump(self, now: float) -> None:
        while events := self._session.events():
            for event in events:
                self._handle(event, now)
        if self._account is not None and self._session.state is State.CLOSED:
            account, self._account = self._account, None
            unacknowledged = [*self.delivering.values()]
            self.delivering.clear()
            self._smsc.leave(self, account, unacknowledged)
        self._smsc.touch(self)
        self._smsc.settle(now)

    def _handle(self, event: Event, now: float) -> None:
        match event:
            case Requested(sequence, pdu):
                if not self._hung_up:
                    self._handle_request(sequence, pdu, now)
            case Answered(sequence, _, status):
                assert self._account is not None, "who answers has bound"
                self._smsc.delivered(self._account, self.delivering.pop(sequence), status, now)
            case Unanswered(sequence, link_ended=False):  # At the link's end, `leave` has them all.
                assert self._account is not None, "who should have answered has bound"
                self._smsc.delivered(self._account, self.delivering.pop(sequence), None, now)
            case Rejected(status=CommandStatus.ESME_RTHROTTLED):
                self._smsc.summary.submissions += 1
                self._smsc.summary.throttled += 1
            case _:
                pass  # The session has done what there is to do.

    def _handle_request(self, sequence: int, pdu: Pdu, now: float) -> None:
        account = self._account
        if isinstance(pdu, Bind):
            self._bind(sequence, pdu)
            return
        assert account is not None, "the session lets nobody else ask"
        match pdu:
            case SubmitSm() | DataSm():
                self._submitted(sequence, account, pdu, now)
            case QuerySm():
                found = self._smsc.queried(account, pdu)
                status, response = (ROK, found) if isinstance(found, QuerySmResp) else (int(found), None)
                self._answer(sequence, status, response, now)
            case CancelSm():
                self._answer(sequence, self._smsc.cancelled(account, pdu, now), None, now)
            case _:
                raise AssertionError(f"{type(pdu).__name__} is no request to an SMSC")

    def _bind(self, sequence: int, pdu: Bind) -> None:
        account = self._smsc.bind(self, pdu)
        if isinstance(account, CommandStatus):
            self._smsc.summary.binds_refused += 1
            self._session.acknowledge(sequence, account)
            return
        self._smsc.summary.binds += 1
        self._account = account
        response_class = RESPONSES[type(pdu)]
        assert issubclass(response_class, BindResp), "it answers a bind"
        tlvs = (Tlv.octet(Tag.SC_INTERFACE_VERSION, _VERSION),) if pdu.interface_version >= _VERSION else ()
        self._session.acknowledge(sequence, ROK, response_class(system_id=SYSTEM_ID, tlvs=tlvs))
        if self._session.state in _RECEIVES:
            self._smsc.greet(account)

    def _submitted(self, sequence: int, account: "_Account", pdu: Submission, now: float) -> None:
        behaviour, summary = self._behaviour, self._smsc.summary
        summary.submissions += 1
        self._submission_count += 1
        decided = self._smsc.answer_to(account, pdu, now)
        if behaviour.close_every is not None and self._submission_count % behaviour.close_every == 0:
            summary.answers_withheld += 1
            self._hung_up = True
            self._output.append(self._session.data_to_send())
            self._session.disconnected(now)
            return
        if self._smsc.chance(behaviour.drop_answers):
            summary.answers_withheld += 1
            # The session is told that it is answered; only, what it would send isn't sent.
            self._output.append(self._session.data_to_send())
            self._session.acknowledge(sequence)
            self._session.data_to_send()
            return
        if isinstance(decided, bytes):
            response_class = SubmitSmResp if isinstance(pdu, SubmitSm) else DataSmResp
            self._answer(sequence, ROK, response_class(message_id=decided), now)
        else:
            self._answer(sequence, decided, None, now)

    def _answer(self, sequence: int, status: int, response: Pdu | None, now: float) -> None:
        self._answer_count += 1
        wait_s = self._behaviour.latency_s
        if self._answer_count % _LATE_EVERY == 0:
            wait_s += self._behaviour.late_answers_s
        if wait_s:
            self._smsc.at(now + wait_s, partial(self._answer_now, sequence, status, response))
        else:
            self._session.acknowledge(sequence, status, response)

    def _answer_now(self, sequence: int, status: int, response: Pdu | None, now: float) -> None:
        self._session.acknowledge(sequence, status, response)
        self._smsc.touch(self)


class _Account:
    """Whoever binds with one system_id, over however many connections."""

    def __init__(self, rate: int | None) -> None:
        self.rate = _Rate(rate) if rate is not None else None
        self.links: list[Link] = []
        self.ready: deque[_Delivery] = deque()
        self.greeted = False
        self._turn = 0

    def send_ready(self, now: float, touch: Callable[[Link], None]) -> None:
        """Send what waits, over each of the links in turn: a client has to take a receipt on any (2.2)."""
        while self.ready:
            link = self._next_with_room()
            if link is None:
                return
            link.deliver(self.ready.popleft(), now)
            touch(link)

    def _next_with_room(self) -> Link | None:
        links = self.links
        for offset in range(len(links)):
            link = links[(self._turn + offset) % len(links)]
            if link.room > 0:
                self._turn = (self._turn + offset + 1) % len(links)
                return link
        return None


class _Message:
    """A message that was taken."""

    __slots__ = ("accepted_s", "account", "ended_s", "id", "number", "pdu", "state")

    def __init__(self, account: _Account, pdu: Submission, message_id: bytes, number: int, now: float) -> None:
        self.account = account
        self.pdu = pdu
        self.id = message_id
        self.number = number
        self.accepted_s = now
        self.state = MessageState.ENROUTE
        self.ended_s: float | None = None


class _Delivery:
    """A receipt on its way to the client, or an SMS from a phone."""

    __slots__ = ("counts", "pdu", "try_count")

    def __init__(self, pdu: DeliverSm, counts: Deliveries) -> None:
        self.pdu = pdu
        self.counts = counts
        self.try_count = 0
        counts.promised += 1


class _Rate:
    """At most so many in any second."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken_s: deque[float] = deque(maxlen=most)

    def allows(self, now: float) -> bool:
        """Whether one more is allowed; it then counts."""
        if len(self._taken_s) == self._most and now - self._taken_s[0] < 1:
            return False
        self._taken_s.append(now)
        return True


def _wants(registered_delivery: int, state: MessageState) -> bool:
    """Whether a receipt for that final state was asked for (5.2.17; 3 is SMPP 5.0's)."""
    match registered_delivery & 0b11:
        case 1:
            return True
        case 2:
            return state is not MessageState.DELIVERED
        case 3:
            return state is MessageState.DELIVERED
        case _:
            return False


_STATES: Final = {Ending.UNDELIVERED: MessageState.UNDELIVERABLE, Ending.EXPIRED: MessageState.EXPIRED}
_RECEIVES: Final = frozenset({State.BOUND_RX, State.BOUND_TRX})
_BOUND: Final = frozenset({State.BOUND_TX, State.BOUND_RX, State.BOUND_TRX})
_REFUSED_FOR_GOOD: Final = frozenset({CommandStatus.ESME_RX_P_APPN, CommandStatus.ESME_RX_R_APPN})
_VERSION: Final = 0x34
_INTERMEDIATE_WANTED: Final = 0x10
_LATE_EVERY: Final = 10
_MOST_TRIES: Final = 10
"""A receipt that was refused, or not acknowledged, so often is forgotten."""
_MOST_MESSAGES: Final = 50_000
"""Messages that can be asked about, and cancelled."""
_CHANCES: Final = 1_000_000
_FIRST_MESSAGE_BELOW: Final = 1_000_000_000
_SCATTER: Final = 0x9E3779B97F4A7C15F39CC0605CEDC835
"""An odd number, so that multiplied by it no two numbers become one (modulo 2**128)."""
