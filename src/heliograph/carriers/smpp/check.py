"""Trying an SMSC out, step by step, telling in plain words what works, what doesn't and what to change."""

import asyncio
import ssl
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final, TypeAlias

from heliograph.carriers.smpp.link import SENDING, Link
from heliograph.carriers.smpp.remedies import (
    NO_BIND_ANSWER,
    bind_refusal,
    bind_remedy,
    connect_remedy,
    no_bind_answer_remedy,
)
from heliograph.carriers.smpp.smsc import MODE_NAMES, Smsc, connect, connect_fault, shown
from heliograph.clock import Clock
from heliograph.smpp import session
from heliograph.smpp.pdus import Bind, Pdu, UnknownPdu
from heliograph.smpp.profiles import Concatenation, FlashCoding, query
from heliograph.smpp.session import State
from heliograph.smpp.statuses import CommandStatus, status_name


class Verdict(Enum):
    """What a step of the check came to."""

    WORKS = "works"
    DOUBTFUL = "doubtful"
    """It may work, or not with everything."""
    REFUSED = "refused"
    """The SMSC, or the encryption, said no: something has to be changed."""
    NO_ANSWER = "no answer"
    """Nobody there, or nobody that answers."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found out. remedy: what to change; empty where nothing."""

    verdict: Verdict
    text: str
    remedy: str = ""


MAX_STRAYS = 1000
"""What else than answers is kept until it is looked at: an SMSC may say anything, in any number."""

_Events: TypeAlias = "asyncio.Queue[session.Event | None]"
"""What the session told; None when the connection has ended."""


async def check_smsc(smsc: Smsc, clock: Clock) -> AsyncGenerator[Finding]:
    """Connect, bind, enquire and unbind, once in each mode; the first step that fails is the last."""
    for mode in dict.fromkeys(smsc.modes):
        failed = False
        async for finding in _check_bind(smsc, mode, clock):
            failed = failed or finding.verdict in (Verdict.REFUSED, Verdict.NO_ANSWER)
            yield finding
        if failed:
            return


async def _check_bind(smsc: Smsc, mode: type[Bind], clock: Clock) -> AsyncGenerator[Finding]:
    events: _Events = asyncio.Queue()  # Of answers there are no more than we ask; of the rest MAX_STRAYS.

    def deliver(_: Link, event: session.Event) -> None:
        if isinstance(event, _ANSWERS) or events.qsize() < MAX_STRAYS:
            events.put_nowait(event)

    # full_s: as nothing is stored, there is no use in having the SMSC wait.
    settings = replace(smsc.session, enquire_after_s=_NOT_MEANWHILE_S, inactivity_s=None, full_s=0)
    try:
        link = await connect(smsc, lambda: Link(settings, clock, deliver))
    except OSError as error:
        yield _no_connection(smsc, error)
        return
    how = "" if smsc.tls is None else ", encrypted, and its certificate is good"
    yield Finding(Verdict.WORKS, f"connected to {smsc.address}{how}")
    # Owner: this method, which waits for its end.
    holding = asyncio.ensure_future(link.hold())
    holding.add_done_callback(lambda _: events.put_nowait(None))
    try:
        link.bind(smsc.bind_request(mode))
        async for finding in _check_session(smsc, mode, link, events, clock):
            yield finding
    finally:
        link.cut("the check is over")
        await holding


async def _check_session(
    smsc: Smsc, mode: type[Bind], link: Link, events: _Events, clock: Clock
) -> AsyncGenerator[Finding]:
    name = MODE_NAMES[mode]
    strays: list[session.Event] = []
    match await _next(events, (session.Bound, session.BindRefused, session.LinkLost), strays):
        case session.Bound() as bound:
            speaker = shown(bound.system_id)
            named = f"calls itself {speaker}" if speaker else "gives no name"
            yield Finding(Verdict.WORKS, f"bound as {name}; the SMSC {named}")
            yield _version(smsc, bound)
        case session.BindRefused(status=status):
            text = f"the bind as {name} was refused: {bind_refusal(status)}"
            yield Finding(Verdict.REFUSED, text, bind_remedy(status))
            return
        case session.LinkLost():
            text = f"no answer to the bind as {name} within {smsc.session.response_timeout_s:g} s"
            yield _no_bind(text, strays, NO_BIND_ANSWER)
            return
        case _:
            text = f"the connection ended without an answer to the bind as {name} ({link.end_reason})"
            yield _no_bind(text, strays, no_bind_answer_remedy(link.end_reason, smsc.tls))
            return

    finding = await _enquire(smsc, link, events, clock)
    yield finding
    if link.session.state is State.CLOSED:
        return
    if smsc.profile.query_sm and link.session.state in SENDING:
        yield await _query(smsc, link, events)

    link.unbind("the check is over")
    match await _next(events, (session.Unbound, session.LinkLost)):
        case session.Unbound():
            yield Finding(Verdict.WORKS, "unbound in good order")
        case _:
            yield Finding(Verdict.DOUBTFUL, "the SMSC did not answer unbind; binding again may have to wait")


async def _next(
    events: _Events, wanted: tuple[type[session.Event], ...], strays: list[session.Event] | None = None
) -> session.Event | None:
    """The next event of one of these kinds; None when the connection ends without. strays: gets the others."""
    while (event := await events.get()) is not None:
        if isinstance(event, wanted):
            return event
        if strays is not None and len(strays) < MAX_STRAYS:
            strays.append(event)
    return None


def _no_bind(text: str, strays: list[session.Event], remedy: str) -> Finding:
    """No answer; but perhaps something that was meant as one."""
    for event in strays:
        match event:
            case session.StrayAnswer(sequence, status, response):
                said = f"{_pdu_name(response)} to the request {sequence}, {status_name(status)} [{status:08x}]"
            case session.Rejected(reason=reason):
                said = f"what we had to refuse: {reason}"
            case _:
                continue
        return Finding(Verdict.REFUSED, f"{text}; what came was {said}", _ASK_ABOUT_ANSWER)
    return Finding(Verdict.NO_ANSWER, text, remedy)


def _pdu_name(pdu: Pdu | UnknownPdu) -> str:
    return f"{pdu.command_id:#010x}" if isinstance(pdu, UnknownPdu) else type(pdu).__name__


async def _enquire(smsc: Smsc, link: Link, events: _Events, clock: Clock) -> Finding:
    """Whether it answers one enquiry, in the time that the session gives it."""
    give_up_s = smsc.session.give_up_after_s
    link.enquire()
    while link.session.is_enquiring and link.session.state not in _GOING:
        await clock.sleep(_LOOK_EVERY_S)
    if link.session.state not in _GOING:
        if link.session.enquiry_answers:
            return Finding(Verdict.WORKS, "the SMSC answers enquire_link")
        text = f"the SMSC talks, but did not answer enquire_link within {give_up_s:g} s"
        return Finding(Verdict.DOUBTFUL, text, "ask the carrier why; whenever it is silent, it will be bound to again")
    if isinstance(await _next(events, (session.LinkLost, session.Unbound)), session.LinkLost):
        text = f"the SMSC did not answer enquire_link within {give_up_s:g} s"
        return Finding(Verdict.NO_ANSWER, text, "raise enquire_link_timeout, or ask the carrier why")
    text = f"the SMSC accepted the bind and ended it at once ({link.end_reason or 'the SMSC unbound'})"
    return Finding(Verdict.REFUSED, text, _ASK_ABOUT_END)


async def _query(smsc: Smsc, link: Link, events: _Events) -> Finding:
    """Whether it answers query_sm as the profile says, of a message that it can't know."""
    link.run_errand(query(smsc.profile, b"0", ""))
    remedy = "set query_sm = false"
    match await _next(events, (session.Answered, session.Unanswered)):
        case session.Answered(status=status) if status in _UNKNOWN_COMMAND:
            return Finding(Verdict.DOUBTFUL, f"the SMSC refuses query_sm: {status_name(status)} [{status:08x}]", remedy)
        case session.Answered():
            return Finding(Verdict.WORKS, "the SMSC answers query_sm")
        case _:
            text = f"the SMSC did not answer query_sm within {smsc.session.response_timeout_s:g} s"
            return Finding(Verdict.DOUBTFUL, text, remedy)


def _version(smsc: Smsc, bound: session.Bound) -> Finding:
    profile = smsc.profile
    needed = [
        f'{key} = "{value.value}"'
        for key, value in (("concatenation", profile.concatenation), ("flash", profile.flash))
        if value in (Concatenation.SAR, Concatenation.PAYLOAD, FlashCoding.SUBUNIT)
    ]
    version = bound.interface_version or 0
    spoken = f"SMPP {version >> 4}.{version & 0xF}"
    if bound.knows_parameters:
        return Finding(Verdict.WORKS, f"it speaks {spoken}, optional parameters included")
    says = f"says that it speaks {spoken}" if version else "doesn't say which SMPP it speaks"
    text = f"it {says}, which by 3.4 means that it knows no optional parameters (TLVs)"
    if needed:
        return Finding(Verdict.DOUBTFUL, text, f"{' and '.join(needed)} may not work; send yourself one of each")
    return Finding(Verdict.WORKS, f"{text}; nothing in its settings needs them")


def _no_connection(smsc: Smsc, error: OSError) -> Finding:
    verdict = Verdict.REFUSED if isinstance(error, ssl.SSLError) else Verdict.NO_ANSWER
    return Finding(verdict, connect_fault(smsc, error), connect_remedy(error))


_ANSWERS: Final = (
    session.Bound,
    session.BindRefused,
    session.Answered,
    session.Unanswered,
    session.Unbound,
    session.LinkLost,
)
_NOT_MEANWHILE_S: Final = 3600.0
_GOING: Final = (State.CLOSED, State.UNBINDING)
_LOOK_EVERY_S: Final = 0.01
_UNKNOWN_COMMAND: Final = (CommandStatus.ESME_RINVCMDID, CommandStatus.ESME_RINVBNDSTS, CommandStatus.ESME_RPROHIBITED)
_ASK_ABOUT_ANSWER: Final = (
    "ask the carrier: that is no answer to this bind by SMPP 3.4, so the service can't bind either"
)
_ASK_ABOUT_END: Final = "ask the carrier why: perhaps the account is bound elsewhere, or not for this kind of bind"
