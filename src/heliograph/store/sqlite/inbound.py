"""How SMS from phones are written: parts kept until they are whole, then passed on to an account."""

from collections.abc import Sequence
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
from heliograph.store.interface import Arrival, Outcome
from heliograph.store.rows import instant_ms
from heliograph.store.sent import runs_of, sent_sms
from heliograph.store.sqlite.blocklist import Blocklists
from heliograph.store.sqlite.connection import Connection
from heliograph.store.sqlite.events import Events

KEPT_PARTS = 1000
"""How many parts of one phone with one reference are looked at: an SMS has 255 at most, and few are unfinished."""
FORGOTTEN_WRITERS = 2000
"""How many phones one step of forgetting goes over."""
GATHERED_SMS = 5000
"""Of how many SMS one step gathers who wrote: in tens of milliseconds."""
LONGEST_PHONE = 16
"""With its `+`: E.164 ends there, and nothing longer sends SMS."""
_DAY_MS = 86_400_000
_REDELIVERY_MS = REDELIVERY_WINDOW // timedelta(milliseconds=1)
_arrival = msgspec.json.Decoder(Arrival)

Whole = tuple[list[InboundSms], list[tuple[AccountId, str]]]
"""SMS that are whole now, and the numbers that they put on blocklists."""


class Inbound:
    """SMS from phones, as the writing connection sees them."""

    def __init__(self, db: Connection, blocklists: Blocklists, events: Events) -> None:
        self._db = db
        self._blocklists = blocklists
        self._events = events
        self._forgotten_to = 0
        self.ungathered_count: int = db.query("ungathered_count")[0][0]
        """How many SMS are listed to gather who wrote from; to be put back where a transaction fails."""

    # Who wrote to a phone

    @property
    def is_far_behind(self) -> bool:
        """Whether gathering who wrote to which phones takes more than one step."""
        return self.ungathered_count > GATHERED_SMS

    def list_sent(self, outcomes: Sequence[Outcome]) -> None:
        """Note which SMS a carrier has got, or may have: one row for all that came in one after the other."""
        sent = sent_sms(outcomes)
        self._db.run_rows("list_sent", runs_of(sent))
        self.ungathered_count += len(sent)

    def gather_writers(self) -> None:
        """Gather who wrote to which phones, one step on.

        It is done when it is asked for, not when an SMS is sent: there it would cost a page of its own for each.
        """
        if not self.ungathered_count:
            return
        count = 0
        last = 0
        for run, sms_count in self._db.query("ungathered", GATHERED_SMS):
            if count >= GATHERED_SMS:
                break
            last = run
            count += sms_count
        self._db.run("gather_writers", last)
        self._db.run("forget_ungathered", last)
        self.ungathered_count -= count

    def forget_writers(self, before: datetime) -> None:
        """Forget who wrote before that instant's day, of some phones; the next call goes on with others."""
        last: int | None = self._db.query("last_writers_after", self._forgotten_to, FORGOTTEN_WRITERS)[0][0]
        if last is None and self._forgotten_to:
            self._forgotten_to = 0
            last = self._db.query("last_writers_after", 0, FORGOTTEN_WRITERS)[0][0]
        if last is not None:
            self._db.run("forget_last_writers", self._forgotten_to, last, instant_ms(before) // _DAY_MS)
            self._forgotten_to = last

    def _last_writer(self, src: str) -> AccountId:
        if not (src.startswith("+") and src[1:].isdecimal() and src.isascii() and len(src) <= LONGEST_PHONE):
            return NOBODY
        rows = self._db.query("last_writer", int(src[1:]))
        return rows[0][0] if rows else NOBODY

    # Parts

    def record(self, carrier: str, arrivals: Sequence[Arrival]) -> Whole:
        """Keep parts, and pass on the SMS that are whole."""
        self.gather_writers()
        whole: Whole = [], []
        for arrival in arrivals:
            part = arrival.part
            rows = self._db.query("inbound_thread", *part.thread, carrier, KEPT_PARTS)
            kept = [KeptPart(sms, bool(done), _arrival.decode(content).part) for _, sms, done, content in rows[::-1]]
            found = place(part, kept)
            if isinstance(found, Redelivered):
                continue
            received = instant_ms(part.received_at)
            number: int = self._db.query("last_inbound_part")[0][0] + 1
            sms = found.sms or number
            content = msgspec.json.encode(arrival)
            self._db.run("insert_inbound_part", number, carrier, *part.thread, received, sms, content)
            if found.complete:
                self._pass_on(sms, part.received_at, whole)
        if arrivals:
            newest = max(instant_ms(arrival.part.received_at) for arrival in arrivals)
            self._db.run("forget_inbound_parts", newest - _REDELIVERY_MS, 2 * len(arrivals) + 10)
        return whole

    def give_up_missing_parts(self, begun_before: datetime, now: datetime) -> Whole:
        """Pass on what has been incomplete since before an instant."""
        self.gather_writers()
        whole: Whole = [], []
        for (sms,) in self._db.query("inbound_overdue", instant_ms(begun_before)):
            self._pass_on(sms, now, whole)
        return whole

    def _pass_on(self, number: int, now: datetime, whole: Whole) -> None:
        arrivals = [_arrival.decode(row[0]) for row in self._db.query("parts_of_inbound", number)]
        self._db.run("inbound_done", number)
        first = arrivals[0]
        sms = InboundSms(
            sms_id=inbound_id(now, first.number),
            account=self._last_writer(first.part.src) if first.owner is None else first.owner,
            src=first.part.src,
            dst=first.part.dst,
            text=text_of(arrival.part for arrival in arrivals),
            received_at=now,
        )
        self._db.run("insert_inbound", sms.sms_id, sms.account, sms.src, sms.dst, sms.text, instant_ms(now))
        self._events.received(sms.account, instant_ms(now))
        whole[0].append(sms)
        wish = wish_heard(sms)
        if wish is Wish.STOP:
            self._blocklists.block(sms.account, sms.src, now)
            whole[1].append((sms.account, sms.src))
        elif wish is Wish.START:
            self._blocklists.unblock(sms.account, sms.src)
