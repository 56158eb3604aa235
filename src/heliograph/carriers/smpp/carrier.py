"""A carrier that is reached over SMPP: some binds, what is on its way over them, and what came back.

Receipts are matched for the whole account, whichever bind they come over (SMPP 3.4, 2.2).
"""

import asyncio
from collections import deque
from contextlib import AbstractAsyncContextManager
from typing import Final

import structlog

from heliograph.carriers.interface import AllBinds, BindRights, Recalled
from heliograph.carriers.smpp.answers import (
    QUEUE_FULL,
    inbound_of,
    is_phones_acknowledgement,
    query_answer_of,
    receipt_of,
    refusal,
    request_of,
)
from heliograph.carriers.smpp.errands import Errands
from heliograph.carriers.smpp.faults import Faults
from heliograph.carriers.smpp.full_queues import FullQueues
from heliograph.carriers.smpp.habits import IdHabits
from heliograph.carriers.smpp.inbox import Inbox
from heliograph.carriers.smpp.link import MOST_OVERDUE, NOT_BOUND_S, SENDING, Link, Submission
from heliograph.carriers.smpp.reconnecting import STEADY_S, Trouble, bind_trouble
from heliograph.carriers.smpp.remedies import bind_refusal, bind_remedy, connect_remedy, no_bind_answer_remedy
from heliograph.carriers.smpp.sent_to import SentTo
from heliograph.carriers.smpp.smsc import MODE_NAMES, Smsc, connect, connect_fault, shown
from heliograph.carriers.smpp.turns import Turns
from heliograph.clock import Clock
from heliograph.ids import Ids
from heliograph.jobs.carriage import (
    Accepted,
    AcceptedLate,
    Permanence,
    Receipt,
    Refused,
    Segment,
    SubmitOutcome,
    Unanswered,
    Unreachable,
    answer_reason,
)
from heliograph.jobs.inbound import InboundPart
from heliograph.smpp import session
from heliograph.smpp.errors import LocalProtocolError
from heliograph.smpp.fields import Tag, find
from heliograph.smpp.pdus import (
    Bind,
    BindReceiver,
    CancelSm,
    DataSm,
    DeliverSm,
    Pdu,
    QuerySm,
    QuerySmResp,
    SubmitSm,
    SubmitSmResp,
)
from heliograph.smpp.profiles import Concatenation, FlashCoding, Profile, answered_id, cancellation, concession, query
from heliograph.smpp.receipts import Evidence, read_receipt
from heliograph.smpp.receipts import Receipt as ReadReceipt
from heliograph.smpp.statuses import ROK, CommandStatus, StatusKind, status_kind, status_meaning, status_name

MAX_BATCH: Final = 100
"""Outcomes given at once: what one commit takes in a millisecond or two."""
JITTERS: Final = 1_000_000
HAND_OVER_POLL_S: Final = 0.05
MOST_RECALLED: Final = 1000
"""Answers to cancellations that are kept for whoever wants to know of them."""
_ANOTHER_TIME: Final = frozenset({StatusKind.FLOW_CONTROL, StatusKind.SESSION, StatusKind.TEMPORARY})
"""After an answer of such a kind a cancellation may be asked for again."""

log = structlog.get_logger()


class _Slot:
    """A place for one bind. fault_count: how often in a row it came to nothing; is_told: the operator heard why."""

    def __init__(self, number: int, mode: type[Bind]) -> None:
        self.number = number
        self.mode = mode
        self.name = MODE_NAMES[mode]
        self.link: Link | None = None
        self.is_busy = False
        self.fault_count = 0
        self.is_told = False


class SmppCarrier:
    """See `carriers.interface.Carrier`.

    Beyond it: `inbound` gives SMS from phones, with the same discipline as `receipts`. Unless somebody takes them,
    they are refused for good. `ask` and `cancel` work where the profile says so.
    """

    def __init__(
        self,
        name: str,
        smsc: Smsc,
        clock: Clock,
        ids: Ids,
        *,
        takes_inbound: bool = False,
        rights: BindRights | None = None,
    ) -> None:
        """rights: which of the binds to hold; all of them if None."""
        self._name = name
        self._smsc = smsc
        self._profile = smsc.profile
        self._clock = clock
        self._ids = ids
        self._takes_inbound = takes_inbound
        self._rights = rights or AllBinds()
        self._slots = [_Slot(number, mode) for number, mode in enumerate(smsc.modes)]
        self._fault = ""
        self._outcomes: list[SubmitOutcome] = []
        self._outcome_there = asyncio.Event()
        self._receipts = Inbox[Receipt](clock)
        self._inbound = Inbox[InboundPart](clock)
        self._full_queues = FullQueues()
        self.resent_count = 0
        self._told: set[int] = set()
        self._told_nameless = False
        self._habits = _habits(self._profile)
        self._sent_to = SentTo()
        self._errands = Errands(name)
        self._recalled = deque[Recalled](maxlen=MOST_RECALLED)
        self._recalled_there = asyncio.Event()
        self._faults = Faults(name, clock)
        self._turns = Turns(clock)
        self._handlers = {
            session.Answered: self._answered,
            session.Requested: self._requested,
            session.Unanswered: self._unanswered,
            session.AnsweredLate: self._answered_late,
            session.Bound: self._bound,
            session.BindRefused: self._bind_refused,
            session.Unbound: self._unbound,
            session.LinkLost: self._link_lost,
            session.NeverBound: self._ended,
            session.Inactive: self._ended,
            session.Rejected: self._odd,
            session.StrayAnswer: self._odd,
            session.Notified: self._odd,
        }

    # ---- what it tells

    @property
    def name(self) -> str:
        return self._name

    @property
    def window(self) -> int:
        return sum(link.window for link in self._ours())

    @property
    def unreachable(self) -> str:
        if not self._fault or any(slot.link and slot.link.session.state in SENDING for slot in self._slots):
            return ""
        return f"the carrier can't be reached: {self._fault}"

    # ---- segments out, outcomes back

    def submit(self, segment: Segment) -> None:
        link = max(self._ours(), key=_room, default=None)
        if link is None or link.room <= 0:
            reason = f"the carrier can't be reached: {self._fault or 'the connection has just ended'}"
            self._tell(Unreachable(segment.id, reason, is_try=False))
            return
        request = request_of(self._profile, segment, self._clock.now())
        if not isinstance(request, SubmitSm):
            self._tell(request)
            return
        try:
            link.submit(Submission(segment, request))
        except LocalProtocolError as error:
            self._tell(Refused(segment.id, Permanence.LASTING, f"it can't be put into SMPP: {error}", elsewhere=True))
            return
        self._sent_to.add(segment.dst, segment.src)

    async def outcomes(self) -> list[SubmitOutcome]:
        while not self._outcomes:
            self._outcome_there.clear()
            await self._outcome_there.wait()
        given, self._outcomes = self._outcomes[:MAX_BATCH], self._outcomes[MAX_BATCH:]
        return given

    def receipts(self) -> AbstractAsyncContextManager[list[Receipt]]:
        return self._receipts.take()

    def inbound(self) -> AbstractAsyncContextManager[list[InboundPart]]:
        """See `carriers.interface.InboundCarrier`."""
        return self._inbound.take()

    @property
    def can_be_asked(self) -> bool:
        """See `carriers.interface.QueryableCarrier`."""
        return self._profile.query_sm

    def ask(self, segment: Segment, message_id: str) -> bool:
        """See `carriers.interface.QueryableCarrier`."""
        return self.can_be_asked and self._run_errand(query(self._profile, message_id.encode("latin-1"), segment.src))

    @property
    def can_recall(self) -> bool:
        """See `carriers.interface.RecallingCarrier`."""
        return self._profile.cancel_sm

    def cancel(self, message_id: str, src: str) -> bool:
        """See `carriers.interface.RecallingCarrier`."""
        return self.can_recall and self._run_errand(cancellation(self._profile, message_id.encode("latin-1"), src))

    @property
    def recall_room(self) -> int:
        """See `carriers.interface.RecallingCarrier`. As many may wait as can be under way."""
        return max(0, sum(link.errand_share for link in self._sending()) - self._errands.waiting_count)

    async def recalled(self) -> list[Recalled]:
        """See `carriers.interface.RecallingCarrier`."""
        while not self._recalled:
            self._recalled_there.clear()
            await self._recalled_there.wait()
        given = [*self._recalled]
        self._recalled.clear()
        return given

    def _run_errand(self, errand: QuerySm | CancelSm) -> bool:
        links = self._sending()
        if not links or not self._errands.add(errand):
            return False
        self._errands.run(links)
        return True

    def _sending(self) -> list[Link]:
        return [link for link in self._ours() if link.session.state in SENDING]

    def _ours(self) -> list[Link]:
        return [slot.link for slot in self._slots if slot.link is not None and self._rights.has(slot.number)]

    def _tell(self, outcome: SubmitOutcome) -> None:
        self._outcomes.append(outcome)
        self._outcome_there.set()

    # ---- the binds

    async def run(self) -> None:
        async with asyncio.TaskGroup() as binds:
            for slot in self._slots:
                binds.create_task(self._keep_bound(slot), name=f"bind {self._name}")
                binds.create_task(self._hand_over(slot), name=f"hand over {self._name}")

    async def _keep_bound(self, slot: _Slot) -> None:
        while True:
            await self._rights.gained(slot.number)
            if not self._rights.has(slot.number):
                await self._clock.sleep(HAND_OVER_POLL_S)  # Lost again meanwhile, or about to be.
                continue
            await self._turns.mine(slot.number)
            if not self._rights.has(slot.number):
                self._turns.over(slot.number)
                continue
            slot.is_busy = True
            try:
                trouble = await self._bind_once(slot)
            finally:
                slot.is_busy = False
            is_refused = trouble is Trouble.CREDENTIALS
            self._turns.ended(slot.number, is_refused=is_refused)
            if not is_refused:
                self._turns.over(slot.number)
            if self._rights.has(slot.number):
                await self._pause(slot, trouble)
            else:
                slot.fault_count = 0
            self._turns.over(slot.number)  # After a refusal of who we are, the others wait for the pause as well.

    async def _pause(self, slot: _Slot, trouble: Trouble) -> None:
        slot.fault_count += 1
        jitter = self._ids.number(JITTERS) / JITTERS
        pause_s = self._smsc.backoff.pause_s(trouble, slot.fault_count, jitter)
        if slot.is_told:
            log.info("carrier.will_bind_again", carrier=self._name, bind=slot.name, after_s=round(pause_s, 1))
        await self._clock.sleep(pause_s)

    async def _hand_over(self, slot: _Slot) -> None:
        """End the bind when it isn't ours any more, once what it sent is answered."""
        while True:
            within_s = await self._rights.lost(slot.number)
            deadline_s = self._clock.monotonic() + min(within_s, self._smsc.session.response_timeout_s)
            while slot.is_busy:
                if slot.link is not None:
                    slot.link.retire()
                    if not slot.link.submissions or self._clock.monotonic() >= deadline_s:
                        slot.link.unbind("another node is to have the bind")
                await self._clock.sleep(HAND_OVER_POLL_S)
            if not any(other.is_busy for other in self._slots):
                self._fault = ""  # Whether the carrier can be reached is for those to know who hold its binds.
            self._rights.ended(slot.number)
            await self._rights.gained(slot.number)

    async def _bind_once(self, slot: _Slot) -> Trouble:
        """Connect, bind, and stay until it ends."""
        smsc = self._smsc
        slot.is_told = False
        try:
            link = await connect(smsc, lambda: Link(smsc.session, self._clock, self._deliver))
        except OSError as error:
            self._fault = connect_fault(smsc, error)
            self._tell_fault(slot, "carrier.unreachable", self._fault, connect_remedy(error))
            return Trouble.PASSING
        slot.link = link
        try:
            link.bind(smsc.bind_request(slot.mode))
            await link.hold()
        except asyncio.CancelledError:
            await self._say_farewell(link)
            raise
        finally:
            link.cut("we stop")
            slot.link = None
            self._receipts.orphaned(link)
            self._inbound.orphaned(link)
        return self._after(slot, link)

    async def _say_farewell(self, link: Link) -> None:
        link.unbind("we stop")
        # Owner: this method, which ends it when its own time is over.
        farewell = asyncio.ensure_future(link.hold())
        done = asyncio.Event()
        farewell.add_done_callback(lambda _: done.set())
        try:
            await self._clock.wait(done, self._smsc.unbind_timeout_s)
        finally:
            farewell.cancel()

    def _after(self, slot: _Slot, link: Link) -> Trouble:
        lasted_s = None if link.bound_at_s is None else self._clock.monotonic() - link.bound_at_s
        if lasted_s is not None and lasted_s >= STEADY_S:
            slot.fault_count = 0
            self._faults.are_over()
        elif slot.fault_count or lasted_s is None:
            self._fault = link.end_reason  # A good bind may end, and be back before anybody asks why.
        if lasted_s is not None:
            slot.is_told = True
            log.warning(
                "carrier.unbound",
                carrier=self._name,
                bind=slot.name,
                reason=link.end_reason,
                lasted_s=round(lasted_s, 1),
            )
        elif link.refused_status is None:
            remedy = no_bind_answer_remedy(link.end_reason, self._smsc.tls)
            self._tell_fault(slot, "carrier.unreachable", link.end_reason, remedy)
        return Trouble.PASSING if link.refused_status is None else bind_trouble(link.refused_status)

    def _tell_fault(self, slot: _Slot, event: str, reason: str, remedy: str) -> None:
        smsc = self._smsc
        # A pair is half there then, and what that means shows nowhere else.
        lacking = {"effect": "no receipts, and no SMS from phones, until it is up"} if slot.mode is BindReceiver else {}
        slot.is_told = self._faults.tell(
            event, slot.name, reason, address=smsc.address, system_id=smsc.system_id, remedy=remedy, **lacking
        )

    def _slot_of(self, link: Link) -> _Slot:
        return next(slot for slot in self._slots if slot.link is link)

    # ---- what sessions tell

    def _deliver(self, link: Link, event: session.Event) -> None:
        self._handlers[type(event)](link, event)  # pyright: ignore[reportArgumentType] # each by its own type

    def _answered(self, link: Link, event: session.Answered) -> None:
        if event.sequence in link.errands:
            link.errands.remove(event.sequence)
            self._errand_answered(event.request, event.status, event.response)
            return
        link.answered()
        submitted = link.submissions.pop(event.sequence)
        segment, response, status = submitted.segment, event.response, event.status
        if status == ROK and type(response) is SubmitSmResp:
            self._full_queues.clear()
            if not response.message_id and segment.receipt_wanted:
                self._tell_nameless()
            self._outcomes.append(Accepted(segment.id, self._message_id(segment, response)))
            self._outcome_there.set()
        elif not self._conceded(link, submitted, status):
            self._refused(link, segment, status)
        if response.tlvs and (congestion := find(response.tlvs, Tag.CONGESTION_STATE)):
            link.congested(congestion.number)
        if self._errands.waiting_count:
            self._errands.run([link])

    def _tell_nameless(self) -> None:
        if not self._told_nameless:
            self._told_nameless = True
            message = "it takes SMS and gives no message id, so no receipt can be told to be about them"
            log.error("carrier.no_message_id", carrier=self._name, message=message)

    def _message_id(self, segment: Segment, response: SubmitSmResp) -> str:
        message_id = answered_id(self._profile, response.message_id)
        if segment.receipt_wanted and self._habits is not None:
            self._habits.answered(message_id, segment.dst)
        return message_id.decode("latin-1")

    def _errand_answered(self, errand: Pdu, status: int, answer: Pdu) -> None:
        if isinstance(errand, QuerySm) and status == ROK and isinstance(answer, QuerySmResp):
            self._receipts.put(query_answer_of(self._profile, errand, answer, self._clock.now()), None, 0)
        elif status != ROK:
            assert isinstance(errand, QuerySm | CancelSm), "there are no other errands"
            self._errands.refused(type(errand), status)
        if isinstance(errand, CancelSm) and status_kind(status, self._profile.statuses) not in _ANOTHER_TIME:
            self._recalled.append(Recalled(errand.message_id.decode("latin-1"), status == ROK))
            self._recalled_there.set()
        self._errands.run(self._sending())

    def _conceded(self, link: Link, submitted: Submission, status: int) -> bool:
        """Whether it is sent once more without what the SMSC didn't like."""
        request = None if status in submitted.conceded else concession(status, submitted.request)
        if request is None:
            return False
        if link.session.room <= 0:  # The SMSC has unbound: this bind sends nothing more.
            reason = answer_reason(status_name(status), status, Permanence.PASSING, status_meaning(status))
            self._tell(Unreachable(submitted.segment.id, reason, is_try=False))
            return True
        again = Submission(submitted.segment, request)
        again.conceded = (*submitted.conceded, status)
        link.submit(again)
        self.resent_count += 1
        self._tell_operator(status)
        return True

    def _refused(self, link: Link, segment: Segment, status: int) -> None:
        is_queue_of_all = status == QUEUE_FULL and self._full_queues.add(segment.dst, self._clock.monotonic())
        if status != QUEUE_FULL:
            self._full_queues.clear()
        self._tell(refusal(self._profile, segment, status, is_queue_of_all=is_queue_of_all))
        kind = status_kind(status, self._profile.statuses)
        if kind is StatusKind.SESSION:
            reason = f"the SMSC says that the bind is none: {status_name(status)}"
            link.unbind(reason, within_s=NOT_BOUND_S)
        elif kind in (StatusKind.CONFIGURATION, StatusKind.SENDER):
            self._tell_operator(status)

    def _tell_operator(self, status: int) -> None:
        """The carrier's settings, or the sender's registration, are to be looked at; said once for each status."""
        if status not in self._told:
            self._told.add(status)
            log.error(
                "carrier.settings_doubtful",
                carrier=self._name,
                command_status=f"{status_name(status)} [{status:08x}]",
                reason=status_meaning(status),
            )

    def _unanswered(self, link: Link, event: session.Unanswered) -> None:
        if event.sequence in link.errands:
            link.errands.remove(event.sequence)
            self._errands.run(self._sending())
            return
        submitted = link.submissions.pop(event.sequence)
        if event.link_ended:
            reason = f"no answer came before the connection ended ({link.end_reason or 'it broke'})"
        else:
            reason = f"no answer came within {round(event.waited_s, 1):g} s"
            link.unanswered(event.waited_s)
            link.overdue[event.sequence] = submitted
            if len(link.overdue) > MOST_OVERDUE:
                del link.overdue[next(iter(link.overdue))]
        self._tell(Unanswered(submitted.segment.id, reason))

    def _answered_late(self, link: Link, event: session.AnsweredLate) -> None:
        if isinstance(event.request, QuerySm | CancelSm):
            self._errand_answered(event.request, event.status, event.response)
            return
        link.answered()
        submitted = link.overdue.pop(event.sequence, None)
        response = event.response
        if submitted is not None and event.status == ROK and type(response) is SubmitSmResp:
            self._tell(AcceptedLate(submitted.segment, self._message_id(submitted.segment, response)))
        else:
            command_status = f"{status_name(event.status)} [{event.status:08x}]"
            self._faults.odd("carrier.refused_late", command_status=command_status, waited_s=round(event.waited_s, 1))

    def _requested(self, link: Link, event: session.Requested) -> None:
        pdu = event.pdu
        assert isinstance(pdu, DeliverSm | DataSm), "an SMSC asks for nothing else"
        read = read_receipt(pdu, self._profile.states)
        if read is not None:
            self._learn(read, pdu)
            receipt = receipt_of(self._profile, read, pdu, self._clock.now(), self._habits, self._sent_to)
            if not receipt.message_id and not receipt.spellings:
                self._faults.odd("carrier.receipt_without_id", **_dress(pdu))
            self._receipts.put(receipt, link, event.sequence)
        elif is_phones_acknowledgement(pdu):
            log.debug("carrier.phones_acknowledgement", carrier=self._name)
            link.acknowledge(event.sequence)
        elif self._takes_inbound:
            self._inbound.put(inbound_of(self._profile, pdu, self._clock.now()), link, event.sequence)
        else:
            message = "nobody takes SMS from phones here"
            self._faults.odd("carrier.inbound_refused", message=message, **_dress(pdu))
            link.acknowledge(event.sequence, CommandStatus.ESME_RX_R_APPN)

    def _learn(self, read: ReadReceipt, pdu: DeliverSm | DataSm) -> None:
        habits = self._habits
        if habits is None or not read.message_ids or read.evidence is Evidence.TEXT:
            return
        phones = pdu.source_addr.decode("latin-1"), pdu.destination_addr.decode("latin-1")
        is_news = habits.receipted(read.message_ids[0], phones)
        if is_news and habits.learnt is not None and not self._profile.declares_ids:
            learnt = habits.learnt
            log.warning(
                "carrier.ids_learnt",
                carrier=self._name,
                message="receipts are found by what their ids have in common with those of answers; declare it, and "
                "they are found surely from the start",
                settings=f'answered_ids = "{learnt.spelt_in.value}", receipt_ids = "{learnt.read_as.value}"',
            )

    # ---- beginnings and ends

    def _bound(self, link: Link, event: session.Bound) -> None:
        link.bound_at_s = self._clock.monotonic()
        self._turns.bound(self._slot_of(link).number)
        if event.state in SENDING:
            self._fault = ""
            self._errands.run([link])
        log.info(
            "carrier.bound",
            carrier=self._name,
            state=event.state.value,
            smsc=shown(event.system_id),
            interface_version=event.interface_version,
        )
        profile = self._profile
        needs_tlvs = (
            profile.concatenation in (Concatenation.SAR, Concatenation.PAYLOAD) or profile.flash is FlashCoding.SUBUNIT
        )
        if needs_tlvs and not event.knows_parameters:
            message = "by its profile this SMSC takes optional parameters, and it doesn't say that it knows any"
            log.warning("carrier.parameters_doubtful", carrier=self._name, message=message)

    def _bind_refused(self, link: Link, event: session.BindRefused) -> None:
        link.refused_status = event.status
        status = event.status
        reason = f"the bind was refused: {bind_refusal(status)}"
        self._tell_fault(self._slot_of(link), "carrier.bind_refused", reason, bind_remedy(status))
        link.cut(reason)

    def _unbound(self, link: Link, event: session.Unbound) -> None:
        link.end_reason = link.end_reason or ("the SMSC unbound" if event.by_peer else "we unbound")

    def _link_lost(self, link: Link, event: session.LinkLost) -> None:
        link.end_reason = (
            link.end_reason or f"the SMSC said nothing for {round(event.unanswered_s, 1):g} s after we asked"
        )

    def _ended(self, link: Link, event: session.NeverBound | session.Inactive) -> None:
        link.end_reason = link.end_reason or type(event).__name__

    def _odd(self, _link: Link, event: session.Rejected | session.StrayAnswer | session.Notified) -> None:
        detail = event.reason if isinstance(event, session.Rejected) else _kind(event)
        self._faults.odd("carrier.oddity", kind=type(event).__name__, detail=detail)


def _habits(profile: Profile) -> IdHabits | None:
    """What there is to learn of ids; None where they are remembered in one form, whatever the SMSC writes."""
    if profile.declares_ids and not profile.is_named_back:
        return None
    return IdHabits(profile.answered_ids, profile.receipt_ids)


def _dress(pdu: DeliverSm | DataSm) -> dict[str, object]:
    """How it came, for whoever wants to know why it can't be read; never what is in it."""
    payload = find(pdu.tlvs, Tag.MESSAGE_PAYLOAD)
    octets = (
        pdu.short_message if isinstance(pdu, DeliverSm) and pdu.short_message else payload.value if payload else b""
    )
    return {
        "command": type(pdu).__name__,
        "esm_class": f"{pdu.esm_class:#04x}",
        "data_coding": f"{pdu.data_coding:#04x}",
        "length_octets": len(octets),
        "parameters": " ".join(f"{tlv.tag:#06x}" for tlv in pdu.tlvs),
    }


def _room(link: Link) -> int:
    return link.room


def _kind(event: session.StrayAnswer | session.Notified) -> str:
    pdu = event.pdu if isinstance(event, session.Notified) else event.response
    return type(pdu).__name__
