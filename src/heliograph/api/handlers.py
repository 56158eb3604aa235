"""What each operation does: decode, call a step, encode."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

from heliograph.api.answers import Answer, json_answer
from heliograph.clock import Clock
from heliograph.flow.accept import Acceptor
from heliograph.flow.reports import Reports
from heliograph.jobs.accounts import Account
from heliograph.jobs.errors import FieldFault, RequestInvalid
from heliograph.jobs.naming import JobId, is_job_id
from heliograph.store.interface import JobQuery
from heliograph.wire import operations
from heliograph.wire.bodies import decode_body
from heliograph.wire.operations import BASE_PATH, LONGEST_LISTING_DAYS, Operation
from heliograph.wire.shapes import (
    JobResponse,
    VersionInfoResponse,
    job_report,
    parse_job_request,
    recipient_report,
)

_LONGEST = timedelta(days=LONGEST_LISTING_DAYS)


@dataclass(slots=True)
class Call:
    """One request that has passed its account's limit. ignored: what in it meant nothing, added to as it is read."""

    account: Account
    values: Mapping[str, Any]
    body: bytes
    ignored: list[str]
    check_ignored: Callable[[], None]
    """Called before anything is done; refuses what is ignored if the client asked for that."""


Handler = Callable[[Call], Awaitable[Answer]]


class Handlers:
    """The operations, each one short function."""

    def __init__(self, acceptor: Acceptor, reports: Reports, clock: Clock, version: VersionInfoResponse) -> None:
        self._acceptor = acceptor
        self._reports = reports
        self._clock = clock
        self._version = version
        self.by_operation: dict[Operation, Handler] = {
            operations.SEND_SMS_JOB: self.send_sms_job,
            operations.GET_JOB_STATUS: self.get_job_status,
            operations.GET_ALL_JOBS: self.get_all_jobs,
            operations.GET_RECIPIENT_STATUS: self.get_recipient_status,
            operations.GET_VERSION: self.get_version,
        }

    async def send_sms_job(self, call: Call) -> Answer:
        request, ignored = parse_job_request(decode_body(call.body), call.account)
        call.ignored += ignored
        call.check_ignored()
        job_id = await self._acceptor.accept(request, call.account)
        return json_answer(JobResponse(job_id), HTTPStatus.CREATED, ("Location", f"{BASE_PATH}/jobs/{job_id}"))

    async def get_job_status(self, call: Call) -> Answer:
        return json_answer(job_report(await self._reports.job(call.account, _job_id(call))))

    async def get_all_jobs(self, call: Call) -> Answer:
        since, until = _listing_span(call.values["fromTs"], call.values["toTs"], self._clock.now())
        jobs = await self._reports.find_jobs(
            JobQuery(
                account=call.account.id,
                since=since,
                until=until,
                open_only=call.values["open"],
                offset=call.values["offset"],
                limit=call.values["limit"],
            )
        )
        if call.values["jobIdsOnly"]:
            return json_answer([JobResponse(job.job_id) for job in jobs])
        return json_answer([job_report(job) for job in jobs])

    async def get_recipient_status(self, call: Call) -> Answer:
        job_id = _job_id(call)
        return json_answer(
            [recipient_report(job_id, sms) for sms in await self._reports.sms_of_job(call.account, job_id)]
        )

    async def get_version(self, call: Call) -> Answer:
        return json_answer(self._version)


def _job_id(call: Call) -> JobId:
    job_id: str = call.values["jobId"]
    if not is_job_id(job_id):
        wrong = "must be a job's id such as J.20221116-102407.583-0lajhxlenXIZJO93PQ"
        raise RequestInvalid.of(FieldFault("jobId", wrong))
    return JobId(job_id)


def _listing_span(since: datetime | None, until: datetime | None, now: datetime) -> tuple[datetime, datetime]:
    if since is not None and until is not None:
        if since > until:
            raise RequestInvalid.of(FieldFault("fromTs", "must not be after toTs; exchange the two"))
        if until - since > _LONGEST:
            wrong = f"must be at most {LONGEST_LISTING_DAYS} days before toTs; list shorter spans one by one"
            raise RequestInvalid.of(FieldFault("fromTs", wrong))
        return since, until
    if since is not None:
        return since, _moved(since, _LONGEST)
    if until is not None:
        return _moved(until, -_LONGEST), until
    # Up to tomorrow, so that a job is listed whichever node's clock stamped it.
    return now - _LONGEST, now + timedelta(days=1)


def _moved(instant: datetime, by: timedelta) -> datetime:
    try:
        return instant + by
    except OverflowError:
        return (datetime.max if by > timedelta(0) else datetime.min).replace(tzinfo=UTC)
