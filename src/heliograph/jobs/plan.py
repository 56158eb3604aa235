"""From what a customer asks for to what is to be sent: texts in parts, numbers in E.164, each SMS with its window."""

from collections.abc import Collection, Iterator
from datetime import datetime
from zlib import crc32

import msgspec

from heliograph.gsm.segmentation import Encoding, segment
from heliograph.gsm.transliteration import Carried, Refused, Replacement, carry
from heliograph.jobs.accounts import Account, AccountId, OnUnknown
from heliograph.jobs.addresses import e164
from heliograph.jobs.errors import CharactersRefused, FieldFault
from heliograph.jobs.naming import JobId
from heliograph.jobs.options import JobOptions, Qos
from heliograph.jobs.request import Idempotency, JobRequest, Message
from heliograph.jobs.routing import Routing
from heliograph.jobs.schedule import Period, SendWindow, joined, reaching_into, send_window
from heliograph.jobs.status import Status

BLOCKED_REASON = "the number is on the account's blocklist"


class PlannedMessage(msgspec.Struct, frozen=True, gc=False):
    """One message as it will be sent: `parts` is the text of each part, in characters that `encoding` carries.

    remark: why that is another encoding than options and text alone would give; empty where it isn't.
    """

    text: str
    encoding: Encoding
    parts: tuple[str, ...]
    truncated: bool
    replaced: tuple[Replacement, ...]
    remark: str = ""


class PlannedSms(msgspec.Struct, frozen=True, gc=False):
    """One SMS. message: the place of its message in the job. blackouts: joined; they hold for retries too.

    carrier: who is to take it; None for one that is final from the start, with `verdict` and `reason`.
    others: the carriers that may take it instead, in this order.
    """

    message: int
    dst: str
    customer_ref: str
    parts: int
    window: SendWindow
    blackouts: tuple[Period, ...]
    carrier: str | None
    verdict: Status = Status.NONE
    reason: str = ""
    others: tuple[str, ...] = ()


class JobPlan(msgspec.Struct, frozen=True, gc=False):
    """A job, all decided."""

    job_id: JobId
    account: AccountId
    received_at: datetime
    options: JobOptions
    on_unknown: OnUnknown
    messages: tuple[PlannedMessage, ...]
    sms: tuple[PlannedSms, ...]
    fingerprint: bytes | None
    """To tell an equal request; None when the customer didn't ask for that."""
    idempotency: Idempotency | None = None
    """Asked for by its header: the same request again makes no second job."""
    sms_per_hour: int | None = None
    """How much agents may spend (`jobs.spending`), where an agent asked for it; None where a program or person did."""

    @property
    def lane(self) -> int:
        """Lane 0 is emptied before lane 1 is looked at."""
        return 0 if self.options.qos is Qos.EXPRESS else 1

    @property
    def part_count(self) -> int:
        """How many parts are to be sent: what carriers bill."""
        return sum(sms.parts for sms in self.sms if sms.carrier is not None)


def plan_job(request: JobRequest, account: Account, routing: Routing, job_id: JobId, now: datetime) -> JobPlan:
    """Decide all that can be decided when a job comes in.

    Raises CharactersRefused when a text has characters that its options refuse to send.
    """
    options = request.options
    messages = tuple(_plan_messages(request, account, routing))
    job_blackouts = joined(options.blackout_periods)
    job_window = send_window(
        job_period=options.job_period, now=now, blackouts=job_blackouts, validity_min=options.validity_min
    )
    job_blackouts = reaching_into(job_window, job_blackouts)
    sms: list[PlannedSms] = []
    turn = crc32(job_id.encode())  # So that jobs of one SMS don't all begin with the same carrier.
    for index, (message, planned) in enumerate(zip(request.messages, messages, strict=True)):
        for recipient in message.recipients:
            window, blackouts = job_window, job_blackouts
            if recipient.blackout_periods is not None:
                blackouts = joined(recipient.blackout_periods)
                window = send_window(
                    job_period=options.job_period,
                    now=now,
                    blackouts=blackouts,
                    validity_min=options.validity_min,
                )
                blackouts = reaching_into(window, blackouts)
            number = e164(recipient.dst, account.country)
            carriers = routing.carriers_for(number, account.name, options.src, turn + len(sms)) if number else ()
            verdict, reason = Status.NONE, ""
            if number is None:
                verdict, reason = Status.INVALID_DST, "not a possible number"
            elif not carriers:
                verdict, reason = Status.NOT_ACC_FIN, "no route leads to this number"
            sms.append(
                PlannedSms(
                    message=index,
                    dst=number or recipient.dst,
                    customer_ref=recipient.customer_ref,
                    parts=len(planned.parts),
                    window=window,
                    blackouts=blackouts,
                    carrier=carriers[0] if carriers else None,
                    verdict=verdict,
                    reason=reason,
                    others=carriers[1:],
                )
            )
    return JobPlan(
        job_id=job_id,
        account=account.id,
        received_at=now,
        options=msgspec.structs.replace(options, blackout_periods=job_blackouts),
        on_unknown=account.on_unknown,
        messages=messages,
        sms=tuple(sms),
        fingerprint=request.fingerprint if options.duplicate_detection else None,
        idempotency=None
        if request.idempotency_key is None
        else Idempotency(request.idempotency_key, request.fingerprint),
    )


def with_blocked(plan: JobPlan, blocked: Collection[str]) -> JobPlan:
    """The plan with the SMS to blocked numbers final from the start; an impossible number stays that."""
    if not any(sms.dst in blocked for sms in plan.sms):
        return plan
    sms = tuple(
        msgspec.structs.replace(sms, carrier=None, verdict=Status.BLOCKED, reason=BLOCKED_REASON)
        if sms.dst in blocked and sms.verdict is not Status.INVALID_DST
        else sms
        for sms in plan.sms
    )
    return msgspec.structs.replace(plan, sms=sms)


def _plan_messages(request: JobRequest, account: Account, routing: Routing) -> list[PlannedMessage]:
    options = request.options
    planned: list[PlannedMessage] = []
    faults: list[FieldFault] = []
    for index, message in enumerate(request.messages):
        carried = carry(message.text, options.encoding, options.invalid_characters)
        if isinstance(carried, Refused):
            faults.append(FieldFault(f"messages[{index}].text", _refusal(carried)))
            continue
        wide = _is_wide(message, account, options, routing)
        remark = _why_utf_16(carried, message, account, options, routing)
        encoding = Encoding.UTF_16 if remark else carried.encoding
        cut = segment(carried.text, encoding, options.max_parts, wide=wide)
        planned.append(PlannedMessage(message.text, encoding, cut.parts, cut.truncated, carried.replaced, remark))
    if faults:
        raise CharactersRefused.of(*faults)
    return planned


def _is_wide(message: Message, account: Account, options: JobOptions, routing: Routing) -> bool:
    """Whether any carrier that the message may go to wants room for a reference of 16 bits.

    A message is cut once, for all its recipients and for whatever carrier their SMS may move to.
    """
    return bool(routing.wide) and any(name in routing.wide for name in _carriers(message, account, options, routing))


def _why_utf_16(carried: Carried, message: Message, account: Account, options: JobOptions, routing: Routing) -> str:
    """Why a text that STANDARD carries goes as UTF-16 for all that; empty where it goes as it is.

    It does where any carrier that the message may go to can't take it otherwise: an alphabet of its own has less
    than the whole of GSM's, and parts of 153 septets have no room for the same characters in UTF-16.
    """
    if carried.encoding is Encoding.UTF_16 or not routing.alphabets:
        return ""
    lacking = {
        name: character
        for name, alphabet in routing.alphabets.items()
        if (character := alphabet.lacks(carried.text, flash=options.flash))
    }
    if not lacking:
        return ""
    for name in _carriers(message, account, options, routing):
        if name in lacking:
            codec = routing.alphabets[name].codec
            return f"as UTF-16, since the carrier {name!r} takes {codec} text, which has no {lacking[name]!r}"
    return ""


def _carriers(message: Message, account: Account, options: JobOptions, routing: Routing) -> Iterator[str]:
    """All carriers that a message may go to, each once for every recipient."""
    for recipient in message.recipients:
        if number := e164(recipient.dst, account.country):
            yield from routing.carriers_for(number, account.name, options.src)


def _refusal(refused: Refused) -> str:
    # Code points, not the characters themselves: no part of a text appears in an error.
    shown = ", ".join(f"U+{ord(each.character):04X} at {each.positions[0]}" for each in refused.characters[:5])
    more = f" and {len(refused.characters) - 5} more" if len(refused.characters) > 5 else ""
    return (
        f"has characters that STANDARD can't carry ({shown}{more}); "
        "set invalidCharacters to REPLACE, TO_UTF16 or TRANSLITERATE, or encoding to UTF-16"
    )
