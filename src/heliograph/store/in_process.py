"""What stores that serve one process keep in its memory: rate limits, who waits for work, and who has which role."""

import asyncio
import math
from collections import Counter, defaultdict, deque
from collections.abc import Iterable
from datetime import datetime

from heliograph.jobs.accounts import RateLimit
from heliograph.store.interface import Quota


class SlidingWindow:
    """The calls of one account that still count: in no period are there more than the limit."""

    def __init__(self) -> None:
        self._taken_at: deque[float] = deque()

    def __len__(self) -> int:
        return len(self._taken_at)

    @property
    def newest(self) -> float:
        """When the last call was, in seconds since 1970. There must be one."""
        return self._taken_at[-1]

    def add(self, at: float) -> None:
        """Another process has counted a call, the last one so far; its clock may be behind that of the one before."""
        self._taken_at.append(max(at, self._taken_at[-1]) if self._taken_at else at)

    def by_second(self, first: int) -> Counter[int]:
        """How many calls there were in each second from one on; a second is named by its end, since 1970."""
        counts = Counter[int]()
        for at in reversed(self._taken_at):
            second = math.ceil(at)
            if second < first:
                break
            counts[second] += 1
        return counts

    def take(self, limit: RateLimit, now: datetime) -> Quota:
        """Count a call at `now`, if it fits.

        Calls that were counted later than that, before our clock was set back or by one that is ahead of it, have been
        all the same: they count as made now, so that they keep nobody out for longer than the period.
        """
        taken, instant = self._taken_at, now.timestamp()
        if taken and taken[-1] > instant:
            self._taken_at = taken = deque(min(at, instant) for at in taken)
        while taken and taken[0] <= instant - limit.period_s:
            taken.popleft()
        allowed = len(taken) < limit.calls
        if allowed:
            taken.append(instant)
        # The room that comes next is the one that the oldest call leaves behind. Where a limit has been lowered,
        # more calls than it allows may still count: then it's the one that brings the count below the limit.
        leaving = taken[max(0, len(taken) - limit.calls)] if taken else instant
        return Quota(allowed, max(0, limit.calls - len(taken)), leaving + limit.period_s - instant)


class WorkBell:
    """Wakes the dispatcher of a carrier when there is work for it."""

    def __init__(self) -> None:
        self._events: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)

    def set(self, carriers: Iterable[str | None]) -> None:
        """Work has come for these carriers."""
        for carrier in set(carriers):
            if carrier is not None:
                self._events[carrier].set()

    async def wait(self, carrier: str, timeout_s: float) -> None:
        """Return when work has come for a carrier since the last wait, at the latest after `timeout_s`."""
        event = self._events[carrier]
        try:
            async with asyncio.timeout(timeout_s):
                await event.wait()
        except TimeoutError:
            return
        event.clear()


class Roles:
    """Which node has which role, and which nodes there are: in one process, few."""

    def __init__(self) -> None:
        self._nodes: dict[str, datetime] = {}
        self._holders: dict[str, tuple[str, datetime]] = {}

    def meet(self, node: str, until: datetime, now: datetime) -> int:
        """A node tells that it is there; how many are."""
        self._nodes[node] = until
        self._nodes = {each: end for each, end in self._nodes.items() if end > now}
        return len(self._nodes)

    def claim(self, role: str, node: str, until: datetime, now: datetime) -> bool:
        """Whether the node has the role now."""
        holder, end = self._holders.get(role, (node, now))
        if holder != node and end > now:
            return False
        self._holders[role] = node, until
        return True

    def release(self, role: str, node: str) -> None:
        """The node doesn't have the role any more."""
        if role in self._holders and self._holders[role][0] == node:
            del self._holders[role]
