"""How SMS come to their ends: with their last part, or all at once."""

from collections.abc import Collection, Sequence

import msgspec

from heliograph.jobs.plan import BLOCKED_REASON
from heliograph.jobs.status import PartState, ProcessStatus, Status
from heliograph.store.interface import PART_BITS
from heliograph.store.sqlite.connection import Connection
from heliograph.store.sqlite.events import Events


class PartDone(msgspec.Struct, frozen=True, gc=False):
    """A part is through, handed over or delivered. sent: None where that is known already; times in milliseconds."""

    segment: int
    sent: int | None
    reason: str
    at: int


class SmsEnd(msgspec.Struct, frozen=True, gc=False):
    """An SMS has come to its end, `at` in milliseconds."""

    status: Status
    reason: str
    at: int
    process_status: ProcessStatus = ProcessStatus.DONE


Parts = dict[int, tuple[int, int | None]]
"""The state of an SMS's parts, and when they were sent."""
_DONE = PartState.DONE.value
_GONE = (_DONE, None)


class Ends:
    """SMS that aren't final, as the writing connection sees them."""

    def __init__(self, db: Connection, events: Events) -> None:
        self._db = db
        self._events = events

    def parts_done(self, done: Sequence[PartDone], status: Status, *, before: PartState) -> bool:
        """Parts are through that have not yet come to a state; an SMS that has no others ends with `status`.

        Whether the SMS of some had ended before.
        """
        if not done:
            return False
        parts = self.parts({each.segment >> PART_BITS for each in done})
        waiting: list[PartDone] = []
        for each in done:
            siblings = parts.get(each.segment >> PART_BITS, {})
            state, sent = siblings.get(each.segment, _GONE)
            if state < before.value:
                siblings[each.segment] = _DONE, each.sent or sent
                waiting.append(each)
        ended: dict[int, SmsEnd] = {}
        for each in waiting:
            number = each.segment >> PART_BITS
            siblings = parts[number]
            if len(siblings) == 1 or all(state == _DONE for state, _ in siblings.values()):
                ended[number] = SmsEnd(status, each.reason, each.at)
        rows = [(each.segment, each.sent, each.reason) for each in waiting if each.segment >> PART_BITS not in ended]
        self._db.run_rows("part_done", rows)
        self.end(ended, parts)
        return any(each.segment >> PART_BITS not in parts for each in done)

    def parts(self, sms: Collection[int]) -> dict[int, Parts]:
        """Those of SMS, by their numbers; SMS that are final have none."""
        parts: dict[int, Parts] = {}
        for segment, state, sent in self._db.query_rows("part_states", [(number,) for number in sms]):
            parts.setdefault(segment >> PART_BITS, {})[segment] = (state, sent)
        return parts

    def end(self, ended: dict[int, SmsEnd], parts: dict[int, Parts] | None = None) -> None:
        """SMS come to their end, those that aren't there yet. parts: theirs, if they have been read."""
        if not ended:
            return
        if parts is None:
            parts = self.parts(ended)
        news: list[tuple[object, ...]] = []
        for number, end in ended.items():
            sent = [sent for _, sent in parts.get(number, {}).values() if sent is not None]
            news.append((number, str(end.process_status), str(end.status), end.reason, max(sent, default=None), end.at))
        numbers = [(number,) for number in ended]
        self._db.run_rows("end_sms", news)
        self._events.sms_ended(numbers)
        self._db.run_rows("end_live", numbers)
        self._events.jobs_ended(numbers)
        self._db.run_rows("finish_jobs", numbers)

    def end_waiting(self, numbers: Collection[int], at: int) -> int:
        """SMS to blocked numbers come to their end, unless a part is leased or with the carrier; how many did."""
        waiting = {
            number
            for number, parts in self.parts(numbers).items()
            if all(state == PartState.WAITING.value for state, _ in parts.values())
        }
        self.end({number: SmsEnd(Status.BLOCKED, BLOCKED_REASON, at) for number in waiting})
        return len(waiting)
