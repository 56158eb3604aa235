"""What a customer looks for among SMS."""

import msgspec

from heliograph.jobs.naming import JobId
from heliograph.jobs.records import StoredJob, StoredSms
from heliograph.jobs.status import ProcessStatus, Status


class Criteria(msgspec.Struct, frozen=True, kw_only=True):
    """What must be so of an SMS; all that is not None. dst: E.164, or as sent. billcode: of its job."""

    dst: str | None = None
    customer_ref: str | None = None
    billcode: str | None = None
    process_status: ProcessStatus | None = None
    status: Status | None = None

    def fit_job(self, job: StoredJob) -> bool:
        """Whether SMS of a job can meet them."""
        if job.finished_at is not None and self.process_status in (ProcessStatus.OPEN, ProcessStatus.RUNNING):
            return False
        return self.billcode in (None, job.options.billcode)

    def fit_sms(self, sms: StoredSms) -> bool:
        """Whether an SMS of such a job meets them."""
        return (
            self.dst in (None, sms.dst)
            and self.customer_ref in (None, sms.customer_ref)
            and self.process_status in (None, sms.progress.process_status)
            and self.status in (None, sms.progress.status)
        )


class FoundSms(msgspec.Struct, frozen=True):
    """An SMS, and the job that it belongs to."""

    job_id: JobId
    sms: StoredSms
