"""How an SMSC writes message ids in answers and in receipts, as found out from what it writes."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from heliograph.jobs.carriage import is_same_phone
from heliograph.smpp.receipts import IdBase, Spelling, spellings

LEARNT_AFTER: Final = 10
"""So many receipts in a row must agree on one way of writing before it is believed."""
MOST_REMEMBERED: Final = 10_000
"""Ids of answers that wait here for their receipts; of older ones nothing is learnt."""


class IdHabits:
    """Where the configuration doesn't say how ids are written, receipts are looked for under all likely spellings.

    This learns which it is: from receipts whose id, written in exactly one way, is the id of an answer about the same
    phone. What is learnt is looked for first; all else is still tried after it. It is forgotten with the process.
    """

    def __init__(self, answered: IdBase, receipted: IdBase) -> None:
        """answered, receipted: what is declared."""
        self._possible = spellings(receipted, answered)
        self._dsts: OrderedDict[bytes, str] = OrderedDict()
        self._agreed: tuple[Spelling, ...] = ()
        self._agreed_count = 0
        self.learnt: Spelling | None = None

    def answered(self, message_id: bytes, dst: str) -> None:
        """An answer gave this id to a segment for that number."""
        self._dsts[message_id] = dst
        if len(self._dsts) > MOST_REMEMBERED:
            self._dsts.popitem(last=False)

    def receipted(self, message_id: bytes, phones: Sequence[str]) -> bool:
        """A receipt came for this id, about one of these phones; whether something has been learnt by it."""
        if self._is_about(message_id, phones):
            del self._dsts[message_id]
            self._forget()  # Written alike, so there is nothing to know.
            return False
        found = {each: spelt for each in self._possible if (spelt := each.of(message_id)) in self._dsts}
        found = {each: spelt for each, spelt in found.items() if spelt and self._is_about(spelt, phones)}
        meant = set(found.values())
        if len(meant) != 1:
            return False  # None that we know, or more than one that it could be.
        del self._dsts[meant.pop()]
        agreed = tuple(each for each in self._agreed or found if each in found)
        if not agreed:
            self._forget()
            agreed = tuple(found)
        self._agreed = agreed
        self._agreed_count += 1
        if self._agreed_count < LEARNT_AFTER:
            return False
        is_new = self.learnt is None
        if self.learnt not in agreed:
            self.learnt = agreed[0]
        return is_new

    def likeliest_first(self, candidates: Sequence[bytes], message_id: bytes) -> Sequence[bytes]:
        """Candidates for a receipt's id, what is learnt of it before the others."""
        spelt = None if self.learnt is None else self.learnt.of(message_id)
        if spelt is None:
            return candidates
        return spelt, *(each for each in candidates if each != spelt)

    def _is_about(self, answered: bytes, phones: Sequence[str]) -> bool:
        dst = self._dsts.get(answered)
        return dst is not None and any(is_same_phone(dst, phone) for phone in phones)

    def _forget(self) -> None:
        self._agreed, self._agreed_count, self.learnt = (), 0, None
