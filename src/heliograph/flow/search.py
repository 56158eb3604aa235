"""SMS that customers look for, by what they know of them."""

import asyncio

from heliograph.jobs.accounts import Account
from heliograph.jobs.errors import JobUnknown, Overloaded, SearchTooWide
from heliograph.jobs.search import FoundSms
from heliograph.store.interface import JobStore, SmsQuery

SEARCH_S = 10.0
"""How long a search may look; a million SMS take some seconds."""
SEARCHES_AT_ONCE = 4
"""Others read as well, and wait for each step of a search."""
SEARCHES_WAITING = 50


class Searches:
    """Looks for SMS, for one account at a time."""

    def __init__(self, store: JobStore) -> None:
        self._store = store
        self._room = asyncio.Semaphore(SEARCHES_AT_ONCE)
        self._waiting_count = 0

    async def find(self, query: SmsQuery) -> list[FoundSms]:
        """SMS that meet criteria, those of the newest job first. Raises SearchTooWide or Overloaded."""
        if self._waiting_count >= SEARCHES_WAITING:
            raise _overloaded()
        self._waiting_count += 1
        try:
            async with asyncio.timeout(SEARCH_S):
                await self._room.acquire()
        except TimeoutError as error:
            raise _overloaded() from error
        finally:
            self._waiting_count -= 1
        try:
            async with asyncio.timeout(SEARCH_S):
                return await self._store.find_sms(query)
        except TimeoutError as error:
            raise SearchTooWide(
                f"the search looked at SMS for {SEARCH_S:g} s, and there are more: give a shorter span by fromTs and "
                "toTs, a smaller limit, or the jobId"
            ) from error
        finally:
            self._room.release()

    async def find_in_job(self, account: Account, job_id: str, query: SmsQuery) -> list[FoundSms]:
        """The same within a job, if that is of the query's span. Raises JobUnknown, for another account's too."""
        job = await self._store.job(account.id, job_id)
        sms = await self._store.sms_of_job(account.id, job_id)
        if job is None or sms is None:
            raise JobUnknown.of(job_id)
        if not query.since <= job.received_at < query.until or not query.criteria.fit_job(job):
            return []
        found = [FoundSms(job.job_id, each) for each in sms if query.criteria.fit_sms(each)]
        return found[query.offset : query.offset + query.limit]


def _overloaded() -> Overloaded:
    return Overloaded("too many searches are under way; search again in a moment", 5)
