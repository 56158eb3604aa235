"""What receipts say is written, and those kept that have come before the answers to their submissions."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from enum import IntEnum
from typing import Any, NamedTuple

import msgspec

from heliograph.jobs.status import PartState, Status
from heliograph.store.interface import LOOKALIKE, PARKED_FOR, PART_BITS, UNANSWERED, Arrival, ReceiptNews
from heliograph.store.rows import instant_ms
from heliograph.store.sqlite.connection import Connection
from heliograph.store.sqlite.ends import Ends, PartDone, SmsEnd

PARKED_FOR_MS = PARKED_FOR // timedelta(milliseconds=1)
_PART_DONE = PartState.DONE.value
_UNANSWERED = tuple(state.value for state in UNANSWERED)
_GOOD_WORDS = ("", Status.SUC_FIN.value, Status.SUC_ACC.value)
_receipt_news = msgspec.json.Decoder(ReceiptNews)


class _Rank(IntEnum):
    """How a segment stands that a receipt may mean."""

    AWAITED = 0
    KILLED = 1
    """Its SMS was cancelled; what its receipts say is told all the same."""
    DONE = 2


class _Match(NamedTuple):
    """A segment that a receipt may mean; the least one is it. newest: the segment's id, negative."""

    is_other: bool
    rank: _Rank
    likeliness: int
    newest: int

    @property
    def is_sure(self) -> bool:
        """Whether no other could be it rather."""
        return not self.is_other and self.rank is _Rank.AWAITED


class Receipts:
    """Receipts and the segments that they mean, as the writing connection sees them."""

    def __init__(self, db: Connection, ends: Ends) -> None:
        self._db = db
        self._ends = ends
        self.parked_count: int = db.query("parked_count")[0][0]
        """How many rows are kept; to be put back where a transaction fails."""

    def record(self, carrier: str, receipts: Sequence[ReceiptNews]) -> None:
        """Write what receipts say, and keep those that have to wait."""
        parked: list[tuple[object, ...]] = []
        for place in self._settle(carrier, receipts):
            news = receipts[place]
            content = msgspec.json.encode(news)
            ids = {news.message_id, *news.spellings} - {""}
            if news.text is not None:
                ids.add(LOOKALIKE)
            parked += [(carrier, message_id, instant_ms(news.at), content) for message_id in sorted(ids)]
        self._park(parked)

    def _settle(self, carrier: str, receipts: Sequence[ReceiptNews]) -> list[int]:
        """Write what receipts say; the places of those that have to wait for the answer to what they are about."""
        segments = self._submitted(carrier, receipts)
        heard: dict[int, str] = {}
        delivered: dict[int, PartDone] = {}
        taken: dict[int, PartDone] = {}
        ended: dict[int, SmsEnd] = {}
        waiting: list[int] = []
        repeated: dict[int, int] = {}
        late: list[tuple[int, ReceiptNews]] = []
        for place, news in enumerate(receipts):
            segment, rank = segments.get(place, (None, _Rank.DONE))
            if segment is None:
                if news.message_id or news.spellings:
                    waiting.append(place)
            elif rank is _Rank.KILLED:
                late.append((segment, news))
            elif rank is _Rank.DONE or segment in delivered or segment in taken or segment >> PART_BITS in ended:
                repeated[place] = segment >> PART_BITS  # The first final word holds.
            elif news.status is None:
                heard[segment] = news.reason
            elif news.status is Status.SUC_FIN:
                delivered[segment] = PartDone(segment, None, news.reason, instant_ms(news.at))
            elif news.status is Status.SUC_ACC:
                taken[segment] = PartDone(segment, None, news.reason, instant_ms(news.at))
            else:
                ended[segment >> PART_BITS] = SmsEnd(news.status, news.reason, instant_ms(news.at))
        self._tell_late(late)
        self._db.run_rows("heard", list(heard.items()))
        self._ends.end(ended)
        self._ends.parts_done(list(delivered.values()), Status.SUC_FIN, before=PartState.DONE)
        self._ends.parts_done(list(taken.values()), Status.SUC_ACC, before=PartState.DONE)
        return sorted([*waiting, *self._meant_for_others(repeated)]) if repeated else waiting

    def _meant_for_others(self, repeated: Mapping[int, int]) -> list[int]:
        """Which receipts may be for a part whose answer, with the id that another part has, is to come.

        repeated: those that mean parts of which a final word is known, by their places, with the SMS.
        """
        unanswered = {
            number
            for number, parts in self._ends.parts(set(repeated.values())).items()
            if any(state in _UNANSWERED for state, _ in parts.values())
        }
        return [place for place, number in repeated.items() if number in unanswered]

    def _tell_late(self, late: Iterable[tuple[int, ReceiptNews]]) -> None:
        """What receipts say of segments whose SMS were killed."""
        for segment, news in late:
            number = segment >> PART_BITS
            words = dict(self._db.query("late_words", number << PART_BITS, number + 1 << PART_BITS))
            if words[segment] or any(word not in _GOOD_WORDS for word in words.values()):
                continue
            self._db.run("tell_late", news.reason, number)
            if news.status is not None:
                self._db.run("late_word", news.status.value, segment)

    def _submitted(self, carrier: str, receipts: Sequence[ReceiptNews]) -> dict[int, tuple[int, _Rank]]:
        """To which segment each receipt belongs, by its place, and how that stands."""
        wanted = [
            (place, news.message_id, carrier)
            for place, news in enumerate(receipts)
            if not (news.spellings or news.phones)
        ]
        found: dict[int, list[_Match]] = {}
        for place, segment, state in self._db.query_rows("by_message_id", wanted):
            found.setdefault(place, []).append(_Match(False, _rank(state), 0, -segment))
        if len(wanted) < len(receipts):
            self._find_by_spelling(carrier, receipts, found)
        self._find_killed(carrier, receipts, found)
        segments: dict[int, tuple[int, _Rank]] = {}
        given: set[int] = set()
        for place, matches in sorted(found.items()):
            # Where a carrier gave one id twice, it means what went to the phone; of that what isn't done, and of those
            # the newest.
            best = min(matches)
            if len(matches) > 1 and -best.newest in given:
                others = (each for each in matches if -each.newest not in given and each.rank is not _Rank.DONE)
                best = min((each for each in others if each.is_other == best.is_other), default=best)
            segments[place] = (-best.newest, best.rank)
            if receipts[place].status is not None:
                given.add(-best.newest)
        return segments

    def _find_by_spelling(self, carrier: str, receipts: Sequence[ReceiptNews], found: dict[int, list[_Match]]) -> None:
        """The same for receipts that name phones, or several spellings of an id.

        What went to their phone comes before all else.
        """
        spelt = {place: news for place, news in enumerate(receipts) if news.spellings or news.phones}
        # The first spelling is nearly always it, so the others are only looked for where it isn't.
        for first, last in ((0, 1), (1, None)):
            wanted = [
                (place, likeliness, message_id, carrier)
                for place, news in spelt.items()
                if not any(each.is_sure for each in found.get(place, ()))
                for likeliness, message_id in [*enumerate((news.message_id, *news.spellings))][first:last]
            ]
            for place, likeliness, segment, state, dst in self._db.query_rows("by_spelling", wanted):
                is_other = spelt[place].is_about_other(dst)
                if spelt[place].is_believed(likeliness, is_other=is_other):
                    found.setdefault(place, []).append(_Match(is_other, _rank(state), likeliness, -segment))

    def _find_killed(self, carrier: str, receipts: Sequence[ReceiptNews], found: dict[int, list[_Match]]) -> None:
        """The same among segments whose SMS were killed, for receipts that mean none besides those for sure."""
        wanted = [
            (place, likeliness, message_id, carrier, instant_ms(news.at))
            for place, news in enumerate(receipts)
            if not any(each.is_sure for each in found.get(place, ()))
            for likeliness, message_id in enumerate((news.message_id, *news.spellings))
            if message_id
        ]
        for place, likeliness, segment, word, dst in self._db.query_rows("late_by_id", wanted):
            news = receipts[int(place)]
            is_other = news.is_about_other(dst)
            if news.is_believed(likeliness, is_other=is_other):
                rank = _Rank.DONE if word else _Rank.KILLED
                found.setdefault(place, []).append(_Match(is_other, rank, likeliness, -segment))

    def _park(self, parked: Sequence[tuple[object, ...]]) -> None:
        if parked:
            self._db.run_rows("park", parked)
            newest: Any = parked[-1][2]
            forgotten = self._db.run("forget_parked", 2 * len(parked) + 10, newest - PARKED_FOR_MS)
            self.parked_count += len(parked) - forgotten

    def unpark(self, carrier: str, awaited: Sequence[tuple[object, ...]]) -> None:
        """Write what receipts say that waited for answers: rows (message_id, carrier, since when one may wait)."""
        rows = sorted(set(self._db.query_rows("parked", awaited)))  # Two answers with one id find each receipt twice.
        if rows:
            # One that waited under several spellings may be here more than once; said twice, it does no harm.
            receipts = [_receipt_news.decode(row[1]) for row in rows]
            waiting = {*self._settle(carrier, receipts)}
            done = [place for place in range(len(rows)) if place not in waiting]
            written = {rows[place][1] for place in done if receipts[place].text is not None}
            for content in written:
                self.parked_count -= self._db.run("unpark_lookalike", LOOKALIKE, carrier, content)
            self.parked_count -= self._db.run_rows("unpark", [(rows[place][0],) for place in done])

    def still_there(self, arrivals: Sequence[Arrival]) -> list[Arrival]:
        """Those that were no lookalikes, or have been parked as such until now."""
        there: list[Arrival] = []
        for arrival in arrivals:
            if arrival.lookalike:
                taken_count = self._db.run("take_lookalike", arrival.lookalike)
                self.parked_count -= taken_count
                if not taken_count:
                    continue
            there.append(arrival)
        return there


def _rank(state: int) -> _Rank:
    return _Rank.DONE if state == _PART_DONE else _Rank.AWAITED
