"""What to call back of a long SMS that failed with one part. Bookkeeping only: the dispatcher does it."""

from collections import OrderedDict
from typing import Final, NamedTuple

from heliograph.jobs.carriage import Segment, SegmentId
from heliograph.store.interface import PART_BITS

MOST_REMEMBERED: Final = 10_000
"""Long SMS of which it is remembered what the carrier took; of older ones nothing is called back."""


class Taken(NamedTuple):
    """A part that the carrier has."""

    message_id: str
    src: str


class Withdrawals:
    """Which parts of long SMS a carrier has taken, and which SMS have failed; in this process alone."""

    def __init__(self) -> None:
        self._taken: OrderedDict[int, list[tuple[SegmentId, Taken]]] = OrderedDict()
        self._failed: OrderedDict[int, None] = OrderedDict()

    def taken(self, segment: Segment, message_id: str) -> list[Taken]:
        """The carrier took a part; what to call back, which is that part if its SMS has failed meanwhile."""
        if segment.parts == 1 or not message_id:
            return []
        part = Taken(message_id, segment.src)
        number = segment.id >> PART_BITS
        if number in self._failed:
            return [part]
        self._taken.setdefault(number, []).append((segment.id, part))
        if len(self._taken) > MOST_REMEMBERED:
            self._taken.popitem(last=False)
        return []

    def has_taken(self, segment: Segment) -> bool:
        """Whether the carrier has another part of that segment's SMS, as far as is remembered."""
        return segment.id >> PART_BITS in self._taken

    def failed(self, segment: Segment) -> list[Taken]:
        """An SMS has come to its end with a part that was not taken; what to call back of it.

        Where an earlier try of that part was taken, as a late answer told, the SMS goes on: nothing is called back.
        """
        number = segment.id >> PART_BITS
        if segment.parts == 1 or any(each == segment.id for each, _ in self._taken.get(number, ())):
            return []
        self._failed[number] = None
        if len(self._failed) > MOST_REMEMBERED:
            self._failed.popitem(last=False)
        return [part for _, part in self._taken.pop(number, ())]
