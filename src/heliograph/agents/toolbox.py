"""What each tool does: read its arguments, call a step, tell what came of it."""

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Mapping
from typing import cast

import structlog

from heliograph.flow.accept import PLAN_ASIDE_RECIPIENTS, Acceptor, is_large
from heliograph.flow.cancel import Canceller
from heliograph.flow.reports import Reports
from heliograph.jobs.accounts import Account
from heliograph.jobs.errors import (
    HeliographError,
    JobDuplicate,
    JobUnknown,
    OutcomeUnknown,
    Overloaded,
    RequestInvalid,
    StoreUnavailable,
)
from heliograph.jobs.request import JobRequest
from heliograph.wire import tools
from heliograph.wire.tool_calls import (
    job_answer,
    parse_job_id,
    parse_recipients,
    parse_send,
    preview_answer,
    recipients_answer,
    sent,
    summary_answer,
)
from heliograph.wire.tools import Json, Tool

log = structlog.get_logger()

Call = Callable[[Account, Mapping[str, object]], Awaitable[Json]]


class ToolFailed(Exception):
    """A tool could not do it; the text says why, and what would be right, to the model."""


class Toolbox:
    """The tools, each one short function."""

    def __init__(self, acceptor: Acceptor, canceller: Canceller, reports: Reports) -> None:
        self._acceptor = acceptor
        self._canceller = canceller
        self._reports = reports
        self.by_tool: dict[Tool, Call] = {
            tools.SEND_SMS: self.send_sms,
            tools.PREVIEW_SMS: self.preview_sms,
            tools.GET_JOB: self.get_job,
            tools.GET_RECIPIENTS: self.get_recipients,
            tools.CANCEL_JOB: self.cancel_job,
        }
        self._by_name = {tool.name: call for tool, call in self.by_tool.items()}

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    async def call(self, name: str, arguments: Mapping[str, object], account: Account) -> Json:
        """Use a tool of that name. Raises ToolFailed."""
        try:
            return await self._by_name[name](account, arguments)
        except Exception as error:
            raise ToolFailed(_told(error)) from error

    async def send_sms(self, account: Account, arguments: Mapping[str, object]) -> Json:
        request = await _read(arguments, account)
        assert account.mcp is not None, "an agent was let in for it"
        try:
            added = await self._acceptor.accept_from_agent(request, account, account.mcp.sms_per_hour)
        except JobDuplicate as duplicate:
            return sent(duplicate.job_id, already_accepted=True)
        if added.is_new:
            sms_count = len(request.messages[0].recipients)
            log.info("agents.sent", account=account.name, job_id=added.job_id, sms_count=sms_count)
        return sent(added.job_id, already_accepted=not added.is_new)

    async def preview_sms(self, account: Account, arguments: Mapping[str, object]) -> Json:
        request = await _read(arguments, account)
        preview = await self._acceptor.preview(request, account)
        if is_large(request):
            return await asyncio.to_thread(preview_answer, preview)
        return preview_answer(preview)

    async def get_job(self, account: Account, arguments: Mapping[str, object]) -> Json:
        return job_answer(await self._reports.job(account, parse_job_id(arguments)))

    async def get_recipients(self, account: Account, arguments: Mapping[str, object]) -> Json:
        wanted = parse_recipients(arguments)
        return recipients_answer(wanted, await self._reports.sms_of_job(account, wanted.job_id))

    async def cancel_job(self, account: Account, arguments: Mapping[str, object]) -> Json:
        job = await self._canceller.cancel(account, parse_job_id(arguments))
        log.info("agents.cancelled", account=account.name, job_id=job.job_id)
        return summary_answer(job.job_id, await self._reports.sms_of_job(account, job.job_id))


async def _read(arguments: Mapping[str, object], account: Account) -> JobRequest:
    recipients = arguments.get("recipients")
    if isinstance(recipients, list) and len(cast("list[object]", recipients)) > PLAN_ASIDE_RECIPIENTS:
        return await asyncio.to_thread(parse_send, arguments, account)
    return parse_send(arguments, account)


def _told(error: Exception) -> str:
    """An error in words for a model. Total: whatever is raised, there is something it can do."""
    match error:
        case RequestInvalid(faults=[_, *_]):
            return "\n".join(f"{fault.field} {fault.message}" for fault in error.faults[:20])
        case JobUnknown():
            return "this account has no such job; check the jobId, which send_sms answered"
        case Overloaded():
            return f"{error}; try again in {error.retry_after_s} s"
        case OutcomeUnknown():
            log.error("agents.outcome_unknown", error=str(error))
            return (
                "the database went away at the last moment, and it is not known whether this was done; call this tool "
                "again in a moment with exactly the same arguments: what was accepted is not sent twice"
            )
        case StoreUnavailable():
            log.error("agents.store_unavailable", error=str(error))
            return "the database can't be used at the moment, and nothing was done; try again in a moment"
        case HeliographError():
            return str(error)
        case _:
            # Where, not what: an exception may hold the value that it stumbled over, and that may be a text.
            where = "".join(traceback.format_tb(error.__traceback__))
            log.error("agents.failed", error=type(error).__qualname__, where=where)
            return "the service failed; this is a defect of it, and its log says more: don't try again, tell the person"
