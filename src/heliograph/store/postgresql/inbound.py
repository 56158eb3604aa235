"""How SMS from phones are written: parts kept until they are whole, then passed on to an account."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec

from heliograph.jobs.accounts import AccountId
from heliograph.jobs.inbound import (
    NOBODY,
    REDELIVERY_WINDOW,
    InboundSms,
    KeptPart,
    Redelivered,
    Wish,
    place,
    text_of,
    wish_heard,
)
from heliograph.jobs.naming import inbound_id
from heliograph.store.interface import Arrival
from heliograph.store.postgresql.blocklist import block, unblock
from heliograph.store.postgresql.connection import Connection
from heliograph.store.postgresql.locks import SUBJECTS, Subject
from heliograph.store.postgresql.texts import kept
from heliograph.store.rows import instant_ms

KEPT_PARTS = 1000
"""How many parts of one phone with one reference are looked at: an SMS has 255 at most, and few are unfinished."""
FORGOTTEN_WRITERS = 2000
"""How many phones one step of forgetting goes over."""
GATHERED_RUNS = 1000
"""Of how many listed runs of SMS one step gathers who wrote: in tens of milliseconds."""
OVERDUE_SMS = 100
"""How many incomplete SMS are passed on at once."""
LONGEST_PHONE = 16
"""With its `+`: E.164 ends there, and nothing longer sends SMS."""
_DAY_MS = 86_400_000
_REDELIVERY_MS = REDELIVERY_WINDOW // timedelta(milliseconds=1)
_arrival = msgspec.json.Decoder(Arrival)


@dataclass(slots=True)
class Whole:
    """SMS that are whole now, the numbers that they put on blocklists, and how many events for webhooks they made."""

    sms: list[InboundSms] = field(default_factory=list[InboundSms])
    blocked: list[tuple[AccountId, str]] = field(default_factory=list[tuple[AccountId, str]])
    event_count: int = 0


async def gather_writers(db: Connection) -> int:
    """Gather who wrote to which phones, one step: of how many listed runs of SMS.

    It is done when it is asked for, not when an SMS is sent, as in SQLite (docs/decisions/0047).
    """
    await _alone(db)
    return await _gather(db)


async def _gather(db: Connection) -> int:
    runs = await db.query("gather_sent", GATHERED_RUNS)
    await db.run_rows("gather_writers", runs)
    return len(runs)


async def forget_writers(db: Connection, before: datetime, forgotten_to: int) -> int:
    """Forget who wrote before that instant's day, of some phones; to where it came, for the next call to go on."""
    last: int | None = await db.value("last_writers_after", forgotten_to, FORGOTTEN_WRITERS)
    if last is None and forgotten_to:
        forgotten_to = 0
        last = await db.value("last_writers_after", 0, FORGOTTEN_WRITERS)
    if last is None:
        return 0
    await db.run("forget_last_writers", forgotten_to, last, instant_ms(before) // _DAY_MS)
    return last


async def record(db: Connection, carrier: str, arrivals: Sequence[Arrival]) -> Whole:
    """Keep parts, and pass on the SMS that are whole."""
    await _alone(db)
    await _gather(db)
    whole = Whole()
    for arrival in arrivals:
        if arrival.lookalike and not await db.run("take_lookalike", arrival.lookalike):
            continue
        part = arrival.part
        src, dst, reference, parts = part.thread
        thread = kept(src), kept(dst), reference, parts
        rows = await db.query("inbound_thread", *thread, carrier, KEPT_PARTS)
        known = [KeptPart(sms, done, _arrival.decode(content).part) for _, sms, done, content in reversed(rows)]
        found = place(part, known)
        if isinstance(found, Redelivered):
            continue
        number: int = await db.value("next_inbound_part")
        sms = found.sms or number
        content = msgspec.json.encode(arrival)
        await db.run("insert_inbound_part", number, carrier, *thread, instant_ms(part.received_at), sms, content)
        if found.complete:
            await _pass_on(db, sms, part.received_at, whole)
    if arrivals:
        newest = max(instant_ms(arrival.part.received_at) for arrival in arrivals)
        await db.run("forget_inbound_parts", newest - _REDELIVERY_MS, 2 * len(arrivals) + 10)
    return whole


async def give_up_missing_parts(db: Connection, begun_before: datetime, now: datetime) -> Whole:
    """Pass on what has been incomplete since before an instant."""
    await _alone(db)
    await _gather(db)
    whole = Whole()
    for (sms,) in await db.query("inbound_overdue", instant_ms(begun_before), OVERDUE_SMS):
        await _pass_on(db, sms, now, whole)
    return whole


async def _alone(db: Connection) -> None:
    """Two nodes that each get one part of an SMS do this one after the other, and the second has it whole."""
    await db.query("lock", SUBJECTS, [Subject.INBOUND], [True])


async def _pass_on(db: Connection, number: int, now: datetime, whole: Whole) -> None:
    arrivals = [_arrival.decode(row[0]) for row in await db.query("parts_of_inbound", number)]
    await db.run("inbound_done", number)
    first = arrivals[0]
    sms = InboundSms(
        sms_id=inbound_id(now, first.number),
        account=await _last_writer(db, first.part.src) if first.owner is None else first.owner,
        src=first.part.src,
        dst=first.part.dst,
        text=text_of(arrival.part for arrival in arrivals),
        received_at=now,
    )
    texts = kept(sms.src), kept(sms.dst), kept(sms.text)
    whole.event_count += await db.run("insert_inbound", sms.sms_id, sms.account, *texts, instant_ms(now))
    whole.sms.append(sms)
    wish = wish_heard(sms)
    if wish is Wish.STOP:
        await block(db, sms.account, sms.src, now)
        whole.blocked.append((sms.account, sms.src))
    elif wish is Wish.START:
        await unblock(db, sms.account, sms.src)


async def _last_writer(db: Connection, src: str) -> AccountId:
    if not (src.startswith("+") and src[1:].isdecimal() and src.isascii() and len(src) <= LONGEST_PHONE):
        return NOBODY
    account: AccountId | None = await db.value("last_writer", int(src[1:]))
    return NOBODY if account is None else account
