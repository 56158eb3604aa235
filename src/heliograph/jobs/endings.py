"""What becomes of an SMS where nobody is behind the carrier: the last four digits of its number decide.

The sandbox and the simulator both ask here. Contract: section 4.
"""

from collections.abc import Hashable
from enum import Enum
from typing import Final


class Ending(Enum):
    """Four digits, and what they stand for."""

    __hash__ = object.__hash__  # Enum's own is written in Python, and asked for with each SMS.

    UNDELIVERED = "0001"
    """Taken; its receipt says undelivered."""
    EXPIRED = "0002"
    """Taken; its receipt says expired."""
    REFUSED = "0003"
    """Refused for good."""
    UNREACHABLE = "0004"
    """Not taken on any try, however often."""
    SILENT = "0005"
    """Taken, and no receipt ever."""
    THROTTLED = "0006"
    """Throttled twice, then taken and delivered."""
    DELIVERED = "any other"
    """Taken and delivered."""


def ending_of(dst: str) -> Ending:
    """What becomes of an SMS to that number; of a message id, too, that ends with the number's digits."""
    return _BY_DIGITS.get(dst[-4:], Ending.DELIVERED)


class Throttle:
    """Turns the same thing away twice, and then lets it pass."""

    def __init__(self) -> None:
        self._counts: dict[Hashable, int] = {}

    def turns_away(self, key: Hashable) -> bool:
        """Whether it is too early for that thing; each call is a try."""
        count = self._counts.pop(key, 0)
        if count == _TURNED_AWAY_COUNT:
            return False
        while len(self._counts) >= _MOST_REMEMBERED:
            del self._counts[next(iter(self._counts))]
        self._counts[key] = count + 1
        return True


_BY_DIGITS: Final = {ending.value: ending for ending in Ending if ending is not Ending.DELIVERED}
_TURNED_AWAY_COUNT: Final = 2
_MOST_REMEMBERED: Final = 100_000
"""Beyond that, the oldest is turned away anew."""
