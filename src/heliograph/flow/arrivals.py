"""What phones have sent since an account last asked."""

from datetime import datetime, timedelta

from heliograph.clock import Clock
from heliograph.jobs.accounts import Account
from heliograph.jobs.arrivals import OVERLAP, Heard, heard_in_part, heard_until, unheard
from heliograph.jobs.records import InboundSms
from heliograph.store.interface import InboundQuery, InboundStore

PAGE = 1000
"""How many SMS are read, and told, at once."""
_SHORTEST = timedelta(milliseconds=1)


class Arrivals:
    """Reads on from where somebody was, a page at a time."""

    def __init__(self, store: InboundStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def since(self, account: Account, heard: Heard | None) -> tuple[list[InboundSms], Heard]:
        """What has come since, oldest first, and what has been heard with it.

        heard: None for somebody who begins to ask; what is stored by now is not new to them.
        """
        now = self._clock.now()
        if heard is None:
            sms, _ = await self._page(account, now - OVERLAP, now)
            return [], heard_until(sms, now - OVERLAP, now)
        start, passed = heard.since, list[InboundSms]()
        while True:
            sms, end = await self._page(account, start, now)
            passed += sms
            news = unheard(sms, heard)
            if end >= now:
                return news, heard_until(passed, heard.since, end)
            if news:
                return news, heard_in_part(passed, heard, end)
            start = end

    async def _page(self, account: Account, since: datetime, until: datetime) -> tuple[list[InboundSms], datetime]:
        """What came from `since` on, oldest first, and before when: `until`, or earlier, so that a page holds it."""
        while True:
            sms = await self._store.find_inbound(InboundQuery(account.id, since, until, 0, PAGE))
            if len(sms) < PAGE or until - since <= _SHORTEST:
                return sms[::-1], until
            until = since + (until - since) / 2
