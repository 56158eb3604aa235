"""What we want of an SMSC besides submissions: to know what became of a message, or to have it back."""

from collections import deque
from collections.abc import Iterable
from typing import Final

import structlog

from heliograph.carriers.smpp.link import Link
from heliograph.smpp.errors import LocalProtocolError
from heliograph.smpp.pdus import CancelSm, QuerySm
from heliograph.smpp.statuses import status_meaning, status_name

MOST_WAITING: Final = 500
"""What waits for a place in the window; whoever wants more is told that there is no room."""

log = structlog.get_logger()


class Errands:
    """They wait here for room in a window, in which they get a small part. What a connection takes along is gone."""

    def __init__(self, carrier: str) -> None:
        self._carrier = carrier
        self._waiting: deque[QuerySm | CancelSm] = deque()
        self._told: set[tuple[type[QuerySm | CancelSm], int]] = set()

    @property
    def waiting_count(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def add(self, errand: QuerySm | CancelSm) -> bool:
        """Take one, unless it waits already; whether there was room."""
        if errand in self._waiting:
            return True
        if len(self._waiting) >= MOST_WAITING:
            return False
        self._waiting.append(errand)
        return True

    def run(self, links: Iterable[Link]) -> None:
        """Send those that may go now."""
        for link in links:
            while self._waiting and link.errand_room > 0:
                errand = self._waiting.popleft()
                try:
                    link.run_errand(errand)
                except LocalProtocolError as error:
                    log.error("carrier.errand_impossible", carrier=self._carrier, reason=str(error))

    def refused(self, errand: type[QuerySm | CancelSm], status: int) -> None:
        """The SMSC says no, which is said once for each status: the message may be final, or it knows no such thing."""
        if (errand, status) not in self._told:
            self._told.add((errand, status))
            log.warning(
                "carrier.errand_refused",
                carrier=self._carrier,
                errand="query_sm" if errand is QuerySm else "cancel_sm",
                command_status=f"{status_name(status)} [{status:08x}]",
                reason=status_meaning(status),
            )
