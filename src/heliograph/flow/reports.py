"""What customers ask about their jobs."""

from heliograph.jobs.accounts import Account
from heliograph.jobs.errors import JobUnknown
from heliograph.jobs.records import InboundSms, StoredJob, StoredSms
from heliograph.store.interface import InboundQuery, JobQuery, Store


class Reports:
    """Reads what the store knows, for one account at a time."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def job(self, account: Account, job_id: str) -> StoredJob:
        """One job. Raises JobUnknown, for another account's as well."""
        job = await self._store.job(account.id, job_id)
        if job is None:
            raise JobUnknown.of(job_id)
        return job

    async def sms_of_job(self, account: Account, job_id: str) -> list[StoredSms]:
        """A job's SMS in the order of the request. Raises JobUnknown, for another account's as well."""
        sms = await self._store.sms_of_job(account.id, job_id)
        if sms is None:
            raise JobUnknown.of(job_id)
        return sms

    async def find_jobs(self, query: JobQuery) -> list[StoredJob]:
        """Jobs that meet the criteria, newest first."""
        return await self._store.find_jobs(query)

    async def find_inbound(self, query: InboundQuery) -> list[InboundSms]:
        """SMS from phones that meet the criteria, newest first."""
        return await self._store.find_inbound(query)
