"""What a carrier's operator is told of faults that come again and again: each in full, and then only how often."""

from collections import Counter, OrderedDict
from typing import Final

import structlog

from heliograph.clock import Clock

TELL_AGAIN_S: Final = 600.0
"""After so long a fault that is still there is told again."""
MOST_REMEMBERED: Final = 50
LOGGED_EACH: Final = 10
"""How many oddities of one kind are told one by one; of more, only each hundredth."""

log = structlog.get_logger()


class Faults:
    """Of one carrier."""

    def __init__(self, carrier: str, clock: Clock) -> None:
        self._carrier = carrier
        self._clock = clock
        self._told: OrderedDict[tuple[str, ...], _Told] = OrderedDict()
        self._oddity_counts: Counter[str] = Counter()

    def tell(self, event: str, bind: str, reason: str, **details: object) -> bool:
        """Something keeps a bind from coming up. Whether it was told now: if it is new, or was told long ago."""
        key = (event, bind, reason)
        now_s = self._clock.monotonic()
        told = self._told.get(key)
        if told is not None and now_s < told.at_s + TELL_AGAIN_S:
            told.count += 1
            return False
        again = {} if told is None else {"count_since": told.count + 1}
        log.error(event, carrier=self._carrier, bind=bind, reason=reason, **details, **again)
        self._told[key] = _Told(now_s)
        self._told.move_to_end(key)
        if len(self._told) > MOST_REMEMBERED:
            self._told.popitem(last=False)
        return True

    def are_over(self) -> None:
        """A bind has held: what comes now is new."""
        self._told.clear()

    def odd(self, event: str, **details: object) -> None:
        """The SMSC does something that it might do with every SMS."""
        self._oddity_counts[event] += 1
        count = self._oddity_counts[event]
        if count <= LOGGED_EACH:
            log.warning(event, carrier=self._carrier, **details)
        elif count % 100 == 0:
            log.warning(event, carrier=self._carrier, count=count, **details)


class _Told:
    """at_s: when it was told; count: how often it came since."""

    __slots__ = ("at_s", "count")

    def __init__(self, at_s: float) -> None:
        self.at_s = at_s
        self.count = 0
