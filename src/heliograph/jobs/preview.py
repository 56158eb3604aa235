"""What a job would become, were it sent now: the very plan that sending makes, and words about it."""

from collections.abc import Mapping
from datetime import datetime

import msgspec

from heliograph.gsm.transliteration import InvalidCharacters, Refused, carry
from heliograph.jobs.accounts import Account
from heliograph.jobs.errors import CharactersRefused
from heliograph.jobs.naming import JobId
from heliograph.jobs.plan import JobPlan, PlannedSms, plan_job
from heliograph.jobs.request import JobRequest
from heliograph.jobs.routing import Routing
from heliograph.jobs.senders import sender_doubt


class Preview(msgspec.Struct, frozen=True):
    """A request and its plan. refused: the places of messages for which sending would refuse the job, and why."""

    request: JobRequest
    plan: JobPlan
    refused: Mapping[int, Refused]


def preview_job(request: JobRequest, account: Account, routing: Routing, job_id: JobId, now: datetime) -> Preview:
    """Plan a job as `plan_job` does; one that it refuses, as if its characters had been replaced by blanks."""
    try:
        return Preview(request, plan_job(request, account, routing, job_id, now), {})
    except CharactersRefused:
        options = request.options
        carried = [carry(each.text, options.encoding, options.invalid_characters) for each in request.messages]
        refused = {place: each for place, each in enumerate(carried) if isinstance(each, Refused)}
        options = msgspec.structs.replace(options, invalid_characters=InvalidCharacters.REPLACE)
        request = msgspec.structs.replace(request, options=options)
        return Preview(request, plan_job(request, account, routing, job_id, now), refused)


def reason_of(sms: PlannedSms, plan: JobPlan) -> str:
    """Why an SMS would not be sent, or only later, or not as asked for; empty where it would be, at once."""
    if sms.carrier is None:
        return sms.reason
    words = _why_later(sms, plan), plan.messages[sms.message].remark, sender_doubt(plan.options.src)
    return "; ".join(filter(None, words))


def _why_later(sms: PlannedSms, plan: JobPlan) -> str:
    if sms.window.due <= plan.received_at:
        return ""
    begins = max(plan.options.job_period or plan.received_at, plan.received_at)
    if begins == plan.received_at:
        return "it is a blackout period until then"
    if begins == sms.window.due:
        return "the job period begins then"
    return "the job period begins in a blackout period, which ends then"
