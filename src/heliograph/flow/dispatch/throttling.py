"""Whether a carrier that says that it is too much means all SMS, or single numbers. Bookkeeping only.

Most carriers mean all: the same SMS goes first after the pause. Some say it of one number, and say it again each time:
such a number is set aside, so that it holds up nobody else.
"""

import math
from collections import OrderedDict
from typing import Final, NamedTuple

REFUSED_IN_A_ROW: Final = 3
"""So often in a row a number is refused before others are tried in its place."""
ASIDE_S: Final = (5.0, 15.0, 60.0)
"""How long a number is set aside, for the first, the second and every further time in a row."""
SHORTEST_ASIDE_S: Final = 1.0
OVER_AFTER_S: Final = 120.0
"""Throttling of which nothing was heard for so long, and for a pause, is over."""
MOST_NUMBERS: Final = 10_000
"""Numbers that are remembered; the one refused longest ago is forgotten first."""

_ROUNDING_S: Final = 0.001
"""What falls due at the end of that time may do so a hair before: it isn't put back once more."""


class Verdict(NamedTuple):
    """What a throttled SMS comes to.

    wait_s: how long its number is set aside; None if it goes first after the carrier's pause. is_number: the number is
    meant, and the carrier needs no pause; is_news: that hasn't been known. lasted_s: for how long the carrier, or that
    number, has got nothing but this answer.
    """

    wait_s: float | None
    is_number: bool
    is_news: bool
    lasted_s: float


class Throttling:
    """What one carrier throttles. Instants are seconds of a clock that never goes back."""

    def __init__(self, *, pause_s: float, sets_aside: bool) -> None:
        """pause_s: how long nothing goes after such an answer. sets_aside: or an SMS waits for itself alone anyway."""
        self._over_after_s = OVER_AFTER_S + pause_s
        self._sets_aside = sets_aside
        self._numbers: OrderedDict[str, _Number] = OrderedDict()
        self._since_s: float | None = None
        self._refused_at_s = -math.inf
        self._refused: set[str] = set()
        """Numbers refused since something else was last answered: one, or two for several."""
        self._is_looking = False
        """A number was set aside, and nothing else has been answered to what went after it."""
        self._aside_at_s = math.inf
        self._otherwise_at_s = -math.inf

    @property
    def is_over(self) -> bool:
        """Whether there is nothing to remember: nothing is throttled, and no number set aside."""
        return self._since_s is None and not self._numbers

    def lasted_s(self, now_s: float) -> float:
        """For how long the carrier has done nothing but throttle."""
        if self._since_s is None or now_s > self._refused_at_s + self._over_after_s:
            return 0.0
        return now_s - self._since_s

    def aside_s(self, dst: str, now_s: float) -> float:
        """For how long the number is still set aside."""
        number = self._numbers.get(dst)
        left_s = 0.0 if number is None else number.aside_until_s - now_s
        return left_s if left_s > _ROUNDING_S else 0.0

    def tried(self, dst: str, now_s: float) -> None:
        """An SMS goes to the number: if it was set aside, the others to it wait for what becomes of that one."""
        number = self._numbers.get(dst)
        if number is not None and number.aside_count:
            number.aside_until_s = now_s + ASIDE_S[0]

    def refused(self, dst: str, sent_s: float, now_s: float, *, moves_after_s: float | None = None) -> Verdict:
        """The carrier says of an SMS to that number, sent at `sent_s`, that it is too much.

        moves_after_s: how long it lasts before the SMS goes to another carrier; it is tried again by then. None if
        there is no other.
        """
        number = self._number(dst, now_s)
        is_again = sent_s > number.refused_at_s  # Else it went before that number's last answer was known.
        number.refused_at_s = now_s
        if number.aside_count and self._otherwise_at_s > number.aside_at_s:
            is_news, number.is_own = not number.is_own, True
            return Verdict(self._set_aside(number, is_again, now_s, moves_after_s), True, is_news, number.lasted(now_s))
        if self._since_s is None or now_s > self._refused_at_s + self._over_after_s:
            self._since_s = now_s
        self._refused_at_s = now_s
        if len(self._refused) < 2:
            self._refused.add(dst)
        number.count += is_again
        wait_s = None
        if self._sets_aside and (number.count >= REFUSED_IN_A_ROW or self._is_looking):
            self._is_looking = True
            self._aside_at_s = number.aside_at_s = now_s
            wait_s = self._set_aside(number, is_again, now_s, moves_after_s)
        return Verdict(wait_s, False, False, max(number.lasted(now_s), now_s - self._since_s))

    def answered_otherwise(self, dst: str, sent_s: float) -> bool:
        """Anything else is the carrier's answer to an SMS to that number, sent at `sent_s`.

        Whether it has thereby shown that it meant a single number all the time.
        """
        self._since_s = None
        was_aside = self._numbers.pop(dst, None)
        only_one = self._refused if len(self._refused) == 1 else set[str]()
        self._refused = set()
        if sent_s <= self._aside_at_s:
            return False  # It had gone before a number was set aside, or none was.
        self._otherwise_at_s = sent_s
        if not self._is_looking:
            return False
        self._is_looking = False
        for other in [other for other, number in self._numbers.items() if number.count < REFUSED_IN_A_ROW]:
            del self._numbers[other]
        return was_aside is None and bool(only_one)

    def _number(self, dst: str, now_s: float) -> "_Number":
        number = self._numbers.get(dst)
        if number is None:
            number = self._numbers[dst] = _Number(now_s)
            if len(self._numbers) > MOST_NUMBERS:
                self._numbers.popitem(last=False)
        elif now_s > number.refused_at_s + self._over_after_s:
            number.since_s = now_s
            number.count = REFUSED_IN_A_ROW if number.is_own else 0
        self._numbers.move_to_end(dst)
        return number

    def _set_aside(self, number: "_Number", is_again: bool, now_s: float, moves_after_s: float | None) -> float:
        if number.aside_count and not is_again:
            return max(0.0, number.aside_until_s - now_s)
        wait_s = ASIDE_S[min(number.aside_count, len(ASIDE_S) - 1)]
        left_s = 0.0 if moves_after_s is None else moves_after_s - number.lasted(now_s)
        if left_s > 0:
            wait_s = min(wait_s, max(SHORTEST_ASIDE_S, left_s))
        number.aside_count += 1
        number.aside_until_s = now_s + wait_s
        return wait_s


class _Number:
    """Refused since `since_s`, `count` times in a row, each time after the answer before was known.

    aside_count: how often it was set aside in a row, at last at `aside_at_s` by what may have been the carrier's
    throttling. is_own: surely it was not.
    """

    __slots__ = ("aside_at_s", "aside_count", "aside_until_s", "count", "is_own", "refused_at_s", "since_s")

    def __init__(self, now_s: float) -> None:
        self.since_s = now_s
        self.refused_at_s = -math.inf
        self.count = 0
        self.aside_count = 0
        self.aside_at_s = -math.inf
        self.aside_until_s = -math.inf
        self.is_own = False

    def lasted(self, now_s: float) -> float:
        """For how long it has got nothing but refusals, in seconds."""
        return now_s - self.since_s
