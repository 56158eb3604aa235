"""When a connection's plans are to be made anew.

Plans of writes are kept. One that was made while a queue was empty may read the whole queue for each row: of an empty
table that autovacuum has just been through, that is as good as by key. So plans are made anew soon after work begins,
and then less and less often.
"""

from typing import NamedTuple

FIRST_S = 1.0
"""How old plans get after a connection begins to work, or begins again."""
LAST_S = 64.0
"""How old plans get at most while a connection works; they grow old twice as slowly each time."""
IDLE_S = 5.0
"""Who has not worked for so long begins anew: the queue may have been emptied meanwhile."""
MOST_REMEMBERED = 100
"""Connections; a pool has a few."""


class _Age(NamedTuple):
    made_s: float
    used_s: float
    lasts_s: float


class PlanAges:
    """Of the connections of one pool, which are known by their servers' process numbers."""

    def __init__(self) -> None:
        self._ages: dict[int, _Age] = {}

    def are_old(self, connection: int, now_s: float) -> bool:
        """Whether to make a connection's plans anew before what it is to do now; they count as made then."""
        age = self._ages.get(connection)
        if age is None:
            if len(self._ages) >= MOST_REMEMBERED:  # Connections come and go.
                self._ages.clear()
            self._ages[connection] = _Age(now_s, now_s, FIRST_S)
            return False
        if now_s - age.used_s > IDLE_S:
            self._ages[connection] = _Age(now_s, now_s, FIRST_S)
            return True
        if now_s - age.made_s < age.lasts_s:
            self._ages[connection] = age._replace(used_s=now_s)
            return False
        self._ages[connection] = _Age(now_s, now_s, min(2 * age.lasts_s, LAST_S))
        return True
