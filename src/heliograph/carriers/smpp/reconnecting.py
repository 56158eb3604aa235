"""When to bind again. Decisions only."""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from heliograph.smpp.statuses import CommandStatus

STEADY_S: Final = 10.0
"""A bind that has lasted so long was a good one: the next fault is the first of its kind."""


class Trouble(Enum):
    """What kept or ended a bind, by how it is best met."""

    PASSING = "passing"
    """No connection, or one that ended."""
    CREDENTIALS = "credentials"
    """The SMSC knows us not: asking on and on may lock the account."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """How long to wait before binding again, in seconds.

    shortest_s: the first pause, and the least at any time. longest_s: what repeated faults make of it at most.
    credentials_s: the least after the SMSC refused who we are.
    """

    shortest_s: float = 1
    longest_s: float = 60
    credentials_s: float = 300

    def pause_s(self, trouble: Trouble, fault_count: int, jitter: float) -> float:
        """The pause after a fault.

        fault_count: those in a row, this one included. jitter: from 0 to 1; it keeps many binds from coming back in
        the same instant.
        """
        grown_s = self.shortest_s * 2 ** min(fault_count - 1, _MOST_DOUBLINGS)
        spread_s = max(0.0, min(self.longest_s, grown_s) - self.shortest_s)
        least_s = max(self.shortest_s, self.credentials_s) if trouble is Trouble.CREDENTIALS else self.shortest_s
        return least_s + jitter * spread_s


def bind_trouble(status: int) -> Trouble:
    """What a refused bind tells about us."""
    return Trouble.CREDENTIALS if status in _CREDENTIALS else Trouble.PASSING


_MOST_DOUBLINGS: Final = 20
_CREDENTIALS: Final = frozenset(
    {
        CommandStatus.ESME_RINVPASWD,
        CommandStatus.ESME_RINVSYSID,
        CommandStatus.ESME_RINVSYSTYP,
        CommandStatus.ESME_RBINDFAIL,
    }
)
