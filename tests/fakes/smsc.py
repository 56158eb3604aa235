"""An SMSC to talk to over a real socket: `smpp.Session` in the other role, with every fault that a script can name."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from heliograph.clock import Clock
from heliograph.smpp.errors import RemoteProtocolError
from heliograph.smpp.fields import Tag, Tlv
from heliograph.smpp.framing import Framer
from heliograph.smpp.pdus import (
    RESPONSES,
    Bind,
    BindReceiver,
    BindTransceiver,
    CancelSm,
    DeliverSm,
    EnquireLinkResp,
    GenericNack,
    Pdu,
    QuerySm,
    QuerySmResp,
    SubmitSm,
    SubmitSmResp,
    decode,
    encode,
)
from heliograph.smpp.session import Answered, Requested, Role, Session, Settings, State, Unbound
from heliograph.smpp.statuses import ROK, CommandStatus

REFUSED_ENDING = b"0003"
UNBIND = b"\x00\x00\x00\x06"


@dataclass
class Play:
    """What the SMSC does with one submission.

    status, message_id: its answer; None for an id of its own. answer_after_s: when; None for never.
    receipts: (seconds after the submission, what makes the deliver_sm or data_sm of the id).
    """

    status: int = ROK
    message_id: bytes | None = None
    answer_after_s: float | None = 0.0
    receipts: list[tuple[float, Callable[[bytes, SubmitSm], Pdu]]] = field(default_factory=list)
    tlvs: tuple[Tlv, ...] = ()
    response: type[Pdu] = SubmitSmResp


def receipt(
    message_id: bytes, submitted: SubmitSm, stat: str = "DELIVRD", err: str = "000", **fields: Any
) -> DeliverSm:
    """A receipt as the standard shows it (Appendix B)."""
    text = (
        f"id:{message_id.decode()} sub:001 dlvrd:001 submit date:2603011200 done date:2603011201 stat:{stat} "
        f"err:{err} text:Hello"
    )
    values: dict[str, Any] = {
        "source_addr": submitted.destination_addr,
        "source_addr_ton": 1,
        "source_addr_npi": 1,
        "destination_addr": submitted.source_addr,
        "esm_class": 0x04,
        "short_message": text.encode("ascii"),
    }
    return DeliverSm(**{**values, **fields})


def delivered(after_s: float = 0.1, **fields: Any) -> Play:
    """Taken, and delivered where a receipt was asked for."""
    return Play(receipts=[(after_s, lambda message_id, submitted: receipt(message_id, submitted, **fields))])


def refused(status: int) -> Play:
    """Not taken."""
    return Play(status)


Script = Callable[[SubmitSm], Play]


def by_ending(submitted: SubmitSm) -> Play:
    """Refuses 0003, delivers all others."""
    if submitted.destination_addr.endswith(REFUSED_ENDING):
        return refused(CommandStatus.ESME_RSUBMITFAIL)
    return delivered()


class FakeSmsc:
    """Listens, binds whoever has the password, plays `script`.

    submitted: all submit_sm. taken: those that got a message id, by that. acknowledged: (message id, status) of every
    answer to a receipt. Receipts that are not acknowledged come again over the next bind that takes them.
    queried, cancelled: all query_sm and cancel_sm. states: what it answers to a query, by message id; others fail.
    Faults, to be set at any time: `is_mute`: it reads, and says nothing at all, or `mute_once_bound`;
    `bind_status`, and `mode_statuses` by kind of bind; `bind_answer`: the octets with which it answers a bind,
    by its sequence number; `after_bind`: what it does then; `closes_at_once`; `ignores_enquiries`; `ignores_unbinds`;
    `answers_last`: what it owes to who unbinds comes behind its answer to that.
    """

    def __init__(self, clock: Clock, script: Script = by_ending, *, password: bytes = b"secret") -> None:
        self.clock = clock
        self.script = script
        self.password = password
        self.submitted: list[SubmitSm] = []
        self.taken: dict[bytes, SubmitSm] = {}
        self.acknowledged: list[tuple[bytes, int]] = []
        self.queried: list[QuerySm] = []
        self.cancelled: list[CancelSm] = []
        self.states: dict[bytes, int] = {}
        self.query_status: int = CommandStatus.ESME_RQUERYFAIL
        self.cancel_status: int = ROK
        self.binds: list[Bind] = []
        self.farewells = 0
        self.links: list[_Link] = []
        self.is_mute = False
        self.mute_once_bound = False
        self.bind_status: int = ROK
        self.mode_statuses: dict[type[Bind], int] = {}
        self.interface_version: int | None = 0x34
        self.closes_at_once = False
        self.ignores_enquiries = False
        self.ignores_unbinds = False
        self.answers_last = False
        self.bind_answer: Callable[[int], bytes] | None = None
        self.after_bind: Callable[[_Link], None] | None = None
        self.system_id = b"fake"
        self.most_unanswered = 0
        self.redeliver_after_s = 1.0
        self.settings = Settings(window=1000, enquire_after_s=1000, response_timeout_s=1000, session_init_s=1000)
        self._ids = count(1000)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.undelivered: list[tuple[bytes, Pdu]] = []
        self.port = 0

    async def start(self, host: str = "127.0.0.1", port: int = 0, ssl: Any = None) -> None:
        self._server = await asyncio.get_running_loop().create_server(lambda: _Link(self), host, port, ssl=ssl)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """As a kill would: every connection is reset, and nobody listens any more."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for link in [*self.links]:
            link.transport.abort()
        for task in self._tasks:
            task.cancel()
        await asyncio.sleep(0)

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        async def wait() -> None:
            await self.clock.sleep(seconds)
            act()

        if seconds <= 0:
            act()
            return
        task = asyncio.get_running_loop().create_task(wait())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    @property
    def bound(self) -> "list[_Link]":
        return [link for link in self.links if link.session.state not in (State.OPEN, State.CLOSED)]

    def send(self, pdu: Pdu, message_id: bytes = b"") -> None:
        """Give a receipt, or a phone's message, to the last bind that takes it, or keep it for one."""
        takers = [link for link in self.bound if link.session.state in (State.BOUND_RX, State.BOUND_TRX)]
        if takers and takers[-1].session.room > 0:
            takers[-1].give(pdu, message_id)
        else:
            self.undelivered.append((message_id, pdu))

    def give_undelivered(self) -> None:
        waiting, self.undelivered = self.undelivered, []
        for message_id, pdu in waiting:
            self.send(pdu, message_id)

    def played(self, link: "_Link", sequence: int, submitted: SubmitSm) -> None:
        play = self.script(submitted)
        self.submitted.append(submitted)
        if play.status == ROK:
            message_id = b"%d" % next(self._ids) if play.message_id is None else play.message_id
            self.taken[message_id or b"?%d" % len(self.taken)] = submitted
        else:
            message_id = b""
        response = (
            play.response(message_id=message_id, tlvs=play.tlvs) if play.response is SubmitSmResp else GenericNack()
        )
        if play.answer_after_s is not None:
            self.later(play.answer_after_s, lambda: link.answer(sequence, play.status, response))
        if play.status == ROK and submitted.registered_delivery & 1:
            for after_s, made in play.receipts:
                self.later(after_s, lambda made=made: self.send(made(message_id, submitted), message_id))


class _Link(asyncio.Protocol):
    def __init__(self, smsc: FakeSmsc) -> None:
        self.smsc = smsc
        self.session = Session(Role.SMSC, smsc.settings, smsc.clock.monotonic())
        self.transport: Any = None
        self.given: dict[int, tuple[bytes, Pdu]] = {}
        self.unanswered = 0

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        if self.smsc.closes_at_once:
            transport.abort()
            return
        self.smsc.links.append(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.session.disconnected(self.smsc.clock.monotonic())
        if self in self.smsc.links:
            self.smsc.links.remove(self)
        # Nobody has acknowledged these: they come again, as a real one's would.
        self.smsc.undelivered += self.given.values()
        self.given.clear()

    def data_received(self, data: bytes) -> None:
        if self.smsc.is_mute or (self.smsc.ignores_unbinds and data[4:8] == UNBIND):
            return
        owed = [*self.session._unacknowledged]
        with suppress(RemoteProtocolError):
            self.session.receive(data, self.smsc.clock.monotonic())
        if self.smsc.answers_last and self.session.state is State.CLOSED:
            last = [encode(SubmitSmResp(b"last-%d" % sequence), sequence) for sequence in owed]
            self.transport.write(self.session.data_to_send() + b"".join(last))
        self.pump()

    def pump(self) -> None:
        for event in self.session.events():
            match event:
                case Requested(sequence=sequence, pdu=Bind() as bind):
                    self._bind(sequence, bind)
                case Requested(sequence=sequence, pdu=SubmitSm() as submitted):
                    self.unanswered += 1
                    self.smsc.most_unanswered = max(self.smsc.most_unanswered, self.unanswered)
                    self.smsc.played(self, sequence, submitted)
                case Requested(sequence=sequence, pdu=QuerySm() as asked):
                    self.smsc.queried.append(asked)
                    state = self.smsc.states.get(asked.message_id)
                    if state is None:
                        self.session.acknowledge(sequence, self.smsc.query_status)
                    else:
                        answer = QuerySmResp(message_id=asked.message_id, message_state=state)
                        self.session.acknowledge(sequence, ROK, answer)
                case Requested(sequence=sequence, pdu=CancelSm() as cancelled):
                    self.smsc.cancelled.append(cancelled)
                    self.session.acknowledge(sequence, self.smsc.cancel_status)
                case Answered(sequence=sequence, status=status):
                    message_id, pdu = self.given.pop(sequence)
                    self.smsc.acknowledged.append((message_id, status))
                    if status in (CommandStatus.ESME_RX_T_APPN, CommandStatus.ESME_RSYSERR):
                        self.smsc.later(self.smsc.redeliver_after_s, lambda m=message_id, p=pdu: self.smsc.send(p, m))
                case Unbound():
                    self.smsc.farewells += 1
                case _:
                    pass
        self.flush()

    def flush(self) -> None:
        data = self.session.data_to_send()
        if self.smsc.ignores_enquiries:
            frames = Framer().feed(data)
            data = b"".join(frame for frame in frames if not isinstance(decode(frame).pdu, EnquireLinkResp))
        if data and not self.smsc.is_mute and not self.transport.is_closing():
            self.transport.write(data)
        if self.session.state is State.CLOSED and self.transport is not None:
            self.transport.close()

    def _bind(self, sequence: int, bind: Bind) -> None:
        if self.smsc.bind_answer is not None:
            self.transport.write(self.smsc.bind_answer(sequence))
            return
        status = self.smsc.mode_statuses.get(type(bind), self.smsc.bind_status)
        if status == ROK and bind.password != self.smsc.password:
            status = CommandStatus.ESME_RINVPASWD
        version = self.smsc.interface_version
        tlvs = () if version is None or status else (Tlv.octet(Tag.SC_INTERFACE_VERSION, version),)
        response = RESPONSES[type(bind)](system_id=self.smsc.system_id if status == ROK else b"", tlvs=tlvs)
        self.session.acknowledge(sequence, status, response)
        self.smsc.binds.append(bind)
        self.flush()
        self.smsc.is_mute = self.smsc.is_mute or self.smsc.mute_once_bound
        if status == ROK and self.smsc.after_bind is not None:
            self.smsc.after_bind(self)
        elif status == ROK and isinstance(bind, BindTransceiver | BindReceiver):
            self.smsc.give_undelivered()

    def answer(self, sequence: int, status: int, response: Pdu) -> None:
        if self.session.state is State.CLOSED:
            return
        self.unanswered -= 1
        if isinstance(response, GenericNack):
            self.session._unacknowledged.pop(sequence)
            self.transport.write(encode(response, sequence, status))
            return
        self.session.acknowledge(sequence, status, response)
        self.flush()

    def give(self, pdu: Pdu, message_id: bytes = b"") -> None:
        self.given[self.session.submit(pdu, self.smsc.clock.monotonic())] = (message_id, pdu)
        self.flush()

    def unbind(self) -> None:
        self.session.unbind(self.smsc.clock.monotonic())
        self.flush()


@asynccontextmanager
async def fake_smsc(clock: Clock, script: Script = by_ending, **keywords: Any) -> AsyncGenerator[FakeSmsc]:
    """Runs while the block does."""
    host, ssl = keywords.pop("host", "127.0.0.1"), keywords.pop("ssl", None)
    smsc = FakeSmsc(clock, script, **keywords)
    await smsc.start(host, ssl=ssl)
    try:
        yield smsc
    finally:
        await smsc.stop()
