"""What each operation does: decode, call a step, encode."""

import asyncio
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any, NoReturn

import msgspec

from heliograph.api.answers import Answer, json_answer
from heliograph.clock import Clock
from heliograph.flow.accept import Acceptor, is_large
from heliograph.flow.arrivals import Arrivals
from heliograph.flow.blocklist import Blocklist
from heliograph.flow.cancel import Canceller
from heliograph.flow.reports import Reports
from heliograph.flow.search import Searches
from heliograph.flow.webhooks import Webhooks
from heliograph.jobs.accounts import Account
from heliograph.jobs.addresses import e164
from heliograph.jobs.arrivals import Heard
from heliograph.jobs.errors import FieldFault, RequestInvalid
from heliograph.jobs.naming import JobId, is_job_id
from heliograph.jobs.preview import Preview
from heliograph.jobs.records import StoredJob
from heliograph.jobs.request import JobRequest
from heliograph.jobs.search import Criteria
from heliograph.jobs.webhooks import EventType, WebhookId
from heliograph.store.interface import InboundQuery, JobQuery, SmsQuery
from heliograph.wire import operations
from heliograph.wire.bodies import decode_body
from heliograph.wire.headers import IDEMPOTENCY_KEY, parse_idempotency_key
from heliograph.wire.operations import BASE_PATH, LONGEST_LISTING_DAYS, Operation
from heliograph.wire.planned import job_preview
from heliograph.wire.polling import ASK_AGAIN_S, STATE, format_heard, parse_heard
from heliograph.wire.shapes import (
    EXAMPLE_JOB_ID,
    JobResponse,
    VersionInfoResponse,
    blocklist_entry,
    inbound_report,
    job_report,
    parse_job_request,
    recipient_report,
    shown,
)
from heliograph.wire.times import format_instant
from heliograph.wire.webhooks import (
    ReplayReport,
    TriggerRemoval,
    WebhookRequest,
    failed_event_report,
    new_webhook,
    parse_trigger_request,
    parse_webhook_request,
    webhook_report,
)

PARSE_ASIDE_OCTETS = 256 * 1024
"""A body of 8 MiB can take seconds to read: large ones must not hold up everybody else's requests."""
REPORT_ASIDE_SMS = 5000
"""A list of 100 jobs can name 300,000 SMS, at 1 µs each."""

DEFAULT_LISTED = 100

_SMS_PARAMETERS = operations.GET_RECIPIENT_STATUS.query_parameters
_NOTHING_ASKED = (
    "is missing; give it in the query: the id of the job, as the answer to sending it gave it; or look for SMS by dst, "
    "customerRef, billcode, processStatus, status, fromTs or toTs"
)
_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_LONGEST = timedelta(days=LONGEST_LISTING_DAYS)


class Call(msgspec.Struct):
    """One request that has passed its account's limit.

    strict: what means nothing is refused. ignored: what meant nothing, added to as the request is read. origin: tells
    the scheme and host that it came to; empty if it didn't say. faults: what is known to be wrong with it, added to
    as the request is read.
    """

    account: Account
    values: Mapping[str, Any]
    body: bytes
    strict: bool
    ignored: list[str]
    origin: Callable[[], str]
    faults: list[FieldFault]


Handler = Callable[[Call], Awaitable[Answer]]


class Handlers:
    """The operations, each one short function."""

    def __init__(
        self,
        acceptor: Acceptor,
        canceller: Canceller,
        reports: Reports,
        searches: Searches,
        blocklist: Blocklist,
        webhooks: Webhooks,
        arrivals: Arrivals,
        clock: Clock,
        version: VersionInfoResponse,
    ) -> None:
        self._acceptor = acceptor
        self._canceller = canceller
        self._reports = reports
        self._searches = searches
        self._blocklist = blocklist
        self._webhooks = webhooks
        self._arrivals = arrivals
        self._clock = clock
        self._version = version
        self.by_operation: dict[Operation, Handler] = {
            operations.SEND_SMS_JOB: self.send_sms_job,
            operations.PREVIEW_JOB: self.preview_job,
            operations.GET_JOB_STATUS: self.get_job_status,
            operations.CANCEL_JOB: self.cancel_job,
            operations.GET_ALL_JOBS: self.get_all_jobs,
            operations.GET_RECIPIENT_STATUS: self.get_recipient_status,
            operations.GET_INBOUND_SMS: self.get_inbound_sms,
            operations.GET_BLOCKLIST: self.get_blocklist,
            operations.GET_BLOCKLIST_ENTRY: self.get_blocklist_entry,
            operations.BLOCK_NUMBER: self.block_number,
            operations.UNBLOCK_NUMBER: self.unblock_number,
            operations.ADD_WEBHOOK: self.add_webhook,
            operations.GET_WEBHOOKS: self.get_webhooks,
            operations.REMOVE_WEBHOOK: self.remove_webhook,
            operations.GET_WEBHOOK_FAILURES: self.get_webhook_failures,
            operations.REPLAY_WEBHOOK: self.replay_webhook,
            operations.SMS_FINISHED_TRIGGER: self._trigger(EventType.SMS_FINISHED),
            operations.JOB_FINISHED_TRIGGER: self._trigger(EventType.JOB_FINISHED),
            operations.SMS_RECEIVED_TRIGGER: self._trigger(EventType.SMS_RECEIVED),
            operations.POLL_INBOUND: self.poll_inbound,
            operations.REMOVE_TRIGGER: self.remove_trigger,
            operations.GET_VERSION: self.get_version,
        }

    async def refuse(self, operation: Operation, call: Call) -> NoReturn:
        """Raise RequestInvalid with all that is at fault in a call whose query is: its path, headers and body too."""
        with _noting(call):
            match operation:
                case operations.SEND_SMS_JOB | operations.PREVIEW_JOB:
                    await _read_job_request(call)
                case operations.GET_ALL_JOBS | operations.GET_INBOUND_SMS:
                    self._span(call)
                case operations.GET_RECIPIENT_STATUS:
                    self._look_over_search(call)
                case operations.GET_JOB_STATUS | operations.CANCEL_JOB:
                    _job_id(call)
                case operations.GET_BLOCKLIST_ENTRY | operations.BLOCK_NUMBER | operations.UNBLOCK_NUMBER:
                    _number(call)
                case operations.ADD_WEBHOOK:
                    self._webhook_request(call)
                case operations.SMS_FINISHED_TRIGGER | operations.JOB_FINISHED_TRIGGER:
                    self._trigger_url(call)
                case operations.SMS_RECEIVED_TRIGGER:
                    self._trigger_url(call)
                case operations.POLL_INBOUND:
                    _heard(call)
                case _:
                    pass  # Nothing else in it can be wrong without asking the store.
        raise RequestInvalid.of(*call.faults)

    async def send_sms_job(self, call: Call) -> Answer:
        request = await _read_job_request(call)
        job_id = await self._acceptor.accept(request, call.account)
        location = f"{BASE_PATH}/jobs/{job_id}"
        return json_answer(JobResponse(job_id), HTTPStatus.CREATED, ("Location", location))

    async def preview_job(self, call: Call) -> Answer:
        preview = await self._acceptor.preview(await _read_job_request(call), call.account)
        if is_large(preview.request):
            return await asyncio.to_thread(_shown_preview, preview)
        return _shown_preview(preview)

    async def get_job_status(self, call: Call) -> Answer:
        return json_answer(job_report(await self._reports.job(call.account, _job_id(call))))

    async def cancel_job(self, call: Call) -> Answer:
        return json_answer(job_report(await self._canceller.cancel(call.account, _job_id(call))))

    def _span(self, call: Call) -> tuple[datetime, datetime]:
        return _listing_span(call.values["fromTs"], call.values["toTs"], self._clock.now())

    async def get_all_jobs(self, call: Call) -> Answer:
        since, until = self._span(call)
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
        if sum(job.sms_count for job in jobs) > REPORT_ASIDE_SMS:
            return await asyncio.to_thread(_whole_jobs, jobs)
        return _whole_jobs(jobs)

    async def get_recipient_status(self, call: Call) -> Answer:
        given = {parameter.name for parameter in _SMS_PARAMETERS if call.values[parameter.name] is not None}
        if given == {"jobId"}:
            job_id = _job_id(call)
            sms = await self._reports.sms_of_job(call.account, job_id)
            return json_answer([recipient_report(job_id, each) for each in sms])
        self._look_over_search(call)
        query = self._sms_query(call)
        if "jobId" in given:
            found = await self._searches.find_in_job(call.account, _job_id(call), query)
        else:
            found = await self._searches.find(query)
        return json_answer([recipient_report(each.job_id, each.sms) for each in found])

    def _look_over_search(self, call: Call) -> None:
        """Raise RequestInvalid where nothing is asked, or the job's id or the span can't be."""
        given = {parameter.name for parameter in _SMS_PARAMETERS if call.values[parameter.name] is not None}
        with _noting(call):
            if "jobId" in given:
                _job_id(call)
            elif not (given | {fault.field for fault in call.faults}) - {"offset", "limit"}:
                raise RequestInvalid.of(FieldFault("jobId", _NOTHING_ASKED))
        with _noting(call):
            self._span(call)
        _refuse_if_at_fault(call)

    def _sms_query(self, call: Call) -> SmsQuery:
        values = call.values
        dst: str | None = values["dst"]
        if dst is not None:
            dst = e164(dst, call.account.country) or dst
        if values["jobId"] is not None and values["fromTs"] is None and values["toTs"] is None:
            since, until = _FIRST, _LAST
        else:
            since, until = _listing_span(values["fromTs"], values["toTs"], self._clock.now())
        return SmsQuery(
            account=call.account.id,
            since=since,
            until=until,
            criteria=Criteria(
                dst=dst,
                customer_ref=values["customerRef"],
                billcode=values["billcode"],
                process_status=values["processStatus"],
                status=values["status"],
            ),
            offset=values["offset"] or 0,
            limit=DEFAULT_LISTED if values["limit"] is None else values["limit"],
        )

    async def get_inbound_sms(self, call: Call) -> Answer:
        since, until = self._span(call)
        sms = await self._reports.find_inbound(
            InboundQuery(
                account=call.account.id,
                since=since,
                until=until,
                offset=call.values["offset"],
                limit=call.values["limit"],
            )
        )
        return json_answer([inbound_report(each) for each in sms])

    async def get_blocklist(self, call: Call) -> Answer:
        entries = await self._blocklist.entries(call.account, call.values["offset"], call.values["limit"])
        return json_answer([blocklist_entry(entry) for entry in entries])

    async def get_blocklist_entry(self, call: Call) -> Answer:
        return json_answer(blocklist_entry(await self._blocklist.entry(call.account, _number(call))))

    async def block_number(self, call: Call) -> Answer:
        return json_answer(blocklist_entry(await self._blocklist.block(call.account, _number(call))))

    async def unblock_number(self, call: Call) -> Answer:
        return json_answer(blocklist_entry(await self._blocklist.unblock(call.account, _number(call))))

    def _webhook_request(self, call: Call) -> WebhookRequest:
        with _noting(call):
            raw = decode_body(call.body, call.faults)
            asked = parse_webhook_request(raw, allow_private=self._webhooks.allow_private, strict=call.strict)
            call.ignored += asked.ignored
            if not call.faults:
                return asked
        raise RequestInvalid.of(*call.faults)

    def _trigger_url(self, call: Call) -> str:
        with _noting(call):
            raw = decode_body(call.body, call.faults)
            url, ignored = parse_trigger_request(raw, allow_private=self._webhooks.allow_private, strict=call.strict)
            call.ignored += ignored
            if not call.faults:
                return url
        raise RequestInvalid.of(*call.faults)

    async def add_webhook(self, call: Call) -> Answer:
        asked = self._webhook_request(call)
        webhook = await self._webhooks.add(call.account, asked.url, asked.events)
        location = f"{call.origin()}{BASE_PATH}/webhooks/{webhook.id}"
        return json_answer(new_webhook(webhook), HTTPStatus.CREATED, ("Location", location))

    async def get_webhooks(self, call: Call) -> Answer:
        return json_answer([webhook_report(webhook) for webhook in await self._webhooks.all(call.account)])

    async def remove_webhook(self, call: Call) -> Answer:
        return json_answer(webhook_report(await self._webhooks.remove(call.account, call.values["id"])))

    async def get_webhook_failures(self, call: Call) -> Answer:
        webhook = WebhookId(call.values["id"])
        failures = await self._webhooks.failures(call.account, webhook, call.values["offset"], call.values["limit"])
        return json_answer([failed_event_report(webhook, failed) for failed in failures])

    async def replay_webhook(self, call: Call) -> Answer:
        webhook: str = call.values["id"]
        return json_answer(ReplayReport(webhook, await self._webhooks.replay(call.account, webhook)))

    def _trigger(self, event: EventType) -> Handler:
        async def subscribe(call: Call) -> Answer:
            url = self._trigger_url(call)
            webhook = await self._webhooks.add(call.account, url, [event], trigger=True)
            location = f"{call.origin()}{BASE_PATH}/triggers/{webhook.token}"
            return json_answer(webhook_report(webhook), HTTPStatus.CREATED, ("Location", location))

        return subscribe

    async def poll_inbound(self, call: Call) -> Answer:
        news, heard = await self._arrivals.since(call.account, _heard(call))
        path = f"{BASE_PATH}{operations.POLL_INBOUND.path}?{STATE}={format_heard(heard)}"
        location = "Location", f"{call.origin()}{path}"
        if news:
            return json_answer([inbound_report(sms) for sms in news], HTTPStatus.OK, location)
        return json_answer([], HTTPStatus.ACCEPTED, location, ("Retry-After", str(ASK_AGAIN_S)))

    async def remove_trigger(self, call: Call) -> Answer:
        return json_answer(TriggerRemoval(await self._webhooks.unsubscribe(call.values["token"])))

    async def get_version(self, call: Call) -> Answer:
        return json_answer(self._version)


@contextmanager
def _noting(call: Call) -> Generator[None]:
    """Take note of what is at fault, and of what means nothing, so that an answer tells all of it.

    A body that can't be read at all is raised, with what was at fault before it.
    """
    try:
        yield
    except RequestInvalid as invalid:
        call.ignored += invalid.ignored
        if not invalid.faults and call.faults:
            known = RequestInvalid.of(*call.faults)
            raise RequestInvalid(f"{known}; and {invalid}", known.faults) from invalid
        if not invalid.faults:
            raise
        told = {fault.field for fault in call.faults}
        call.faults += [fault for fault in invalid.faults if fault.field not in told]


def _refuse_if_at_fault(call: Call) -> None:
    if call.faults:
        raise RequestInvalid.of(*call.faults)


async def _read_job_request(call: Call) -> JobRequest:
    if len(call.body) > PARSE_ASIDE_OCTETS:
        return await asyncio.to_thread(_job_request, call)
    return _job_request(call)


def _shown_preview(preview: Preview) -> Answer:
    return json_answer(job_preview(preview))


def _job_request(call: Call) -> JobRequest:
    with _noting(call):
        key = parse_idempotency_key(call.values.get(IDEMPOTENCY_KEY, ()), call.faults)
        raw = decode_body(call.body, call.faults)
        request, ignored = parse_job_request(raw, call.account, strict=call.strict, idempotency_key=key)
        call.ignored += ignored
        if not call.faults:
            return request
    raise RequestInvalid.of(*call.faults)


def _whole_jobs(jobs: Sequence[StoredJob]) -> Answer:
    return json_answer([job_report(job) for job in jobs])


def _job_id(call: Call) -> JobId:
    job_id: str = call.values["jobId"]
    if not is_job_id(job_id):
        wrong = f"must be the id of a job, such as {EXAMPLE_JOB_ID}; it is {shown(job_id)}"
        raise RequestInvalid.of(FieldFault("jobId", wrong))
    return JobId(job_id)


def _heard(call: Call) -> Heard | None:
    state: str | None = call.values[STATE]
    return None if state is None else parse_heard(state)


def _number(call: Call) -> str:
    dst: str = call.values["dst"]
    number = e164(dst, call.account.country) if dst else None
    if number is None:
        national = f"or a national one of {call.account.country}" if call.account.country else "with its country code"
        wrong = f"must be a possible phone number such as +4917612345678, {national}; it is none"
        raise RequestInvalid.of(FieldFault("dst", wrong))
    return number


def _listing_span(since: datetime | None, until: datetime | None, now: datetime) -> tuple[datetime, datetime]:
    if since is not None and until is not None:
        if since > until:
            wrong = f"must not be after toTs; it is {format_instant(since)}: exchange the two"
            raise RequestInvalid.of(FieldFault("fromTs", wrong))
        if until - since > _LONGEST:
            wrong = (
                f"must be at most {LONGEST_LISTING_DAYS} days before toTs; it is {format_instant(since)}: "
                "list shorter spans one by one"
            )
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
        return _LAST if by > timedelta(0) else _FIRST
