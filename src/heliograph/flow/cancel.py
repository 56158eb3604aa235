"""A customer calls a job back, as far as that can be done."""

from heliograph.clock import Clock, whole_ms
from heliograph.jobs.accounts import Account
from heliograph.jobs.errors import JobUnknown
from heliograph.jobs.records import StoredJob
from heliograph.jobs.status import ProcessStatus
from heliograph.metrics import Metrics
from heliograph.store.interface import JobStore


class Canceller:
    """Cancels jobs. What waits never goes out from then on; what a carrier has, or may have, stays with it."""

    def __init__(self, store: JobStore, clock: Clock, metrics: Metrics) -> None:
        self._store = store
        self._clock = clock
        self._metrics = metrics

    async def cancel(self, account: Account, job_id: str) -> StoredJob:
        """Cancel what can still be cancelled of a job, and return it. Raises JobUnknown, for another account's too."""
        now = whole_ms(self._clock.now())
        cancelled = await self._store.cancel_job(account.id, job_id, now)
        if cancelled is None:
            raise JobUnknown.of(job_id)
        for status, count in (
            (ProcessStatus.CANCELED, cancelled.canceled_count),
            (ProcessStatus.KILL, cancelled.killed_count),
        ):
            if count:
                self._metrics.sms_finished(status.value, count)
        return cancelled.job
