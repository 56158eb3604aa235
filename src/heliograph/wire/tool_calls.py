"""Calls of tools: what a model gave as arguments → a job, and what came of it → the answer.

Apart from `wire.tools`, as reading numbers and planning are not for the base install.
"""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple, cast

import msgspec

from heliograph.jobs.accounts import Account
from heliograph.jobs.addresses import e164
from heliograph.jobs.errors import FieldFault, RequestInvalid
from heliograph.jobs.naming import JobId, is_job_id
from heliograph.jobs.preview import Preview
from heliograph.jobs.records import StoredJob, StoredSms
from heliograph.jobs.request import JobRequest
from heliograph.jobs.status import MEANINGS
from heliograph.wire.bodies import decode_body
from heliograph.wire.headers import parse_idempotency_key
from heliograph.wire.planned import job_preview
from heliograph.wire.shapes import EXAMPLE_JOB_ID, job_report, parse_job_request, recipient_report, shown
from heliograph.wire.tools import DEFAULT_SHOWN, MAX_SHOWN, Json

SHOWN_POSITIONS = 10
"""Of a character that occurs again and again."""


class RecipientsArguments(NamedTuple):
    """What `get_recipients` is asked for."""

    job_id: JobId
    offset: int
    limit: int


# Arguments


def parse_send(arguments: Mapping[str, object], account: Account) -> JobRequest:
    """What `send_sms` and `preview_sms` are asked for, as a job. Raises RequestInvalid with every argument at fault."""
    given = _checked(arguments)
    faults: list[FieldFault] = []
    key = given.pop("idempotencyKey", None)
    if isinstance(key, str):
        try:
            key = parse_idempotency_key([key])
        except RequestInvalid as error:
            faults += [FieldFault("idempotencyKey", fault.message) for fault in error.faults]
    elif key is not None:
        faults.append(FieldFault("idempotencyKey", f"must be a text; it is {shown(key)}"))
    raw = job_request_json(given, duplicate_detection=key is None)
    request = None
    try:
        request, _ = parse_job_request(raw, account, strict=True, idempotency_key=cast("str | None", key))
    except RequestInvalid as error:
        faults += [FieldFault(_argument_of(fault.field), fault.message) for fault in error.faults]
    if request is not None:
        faults += _number_faults(request)
    if faults or request is None:
        raise RequestInvalid.of(*faults)
    return request


def job_request_json(arguments: Mapping[str, object], *, duplicate_detection: bool) -> Json:
    """The JobRequest that one text for several numbers is; each further argument is an option."""
    options = {name: value for name, value in arguments.items() if name not in ("text", "recipients")}
    recipients = arguments.get("recipients")
    if isinstance(recipients, list):
        recipients = [{"dst": number} for number in cast("list[object]", recipients)]
    return {
        "options": {**options, "duplicateDetection": duplicate_detection},
        "messages": [{"text": arguments.get("text"), "recipients": recipients}],
    }


def parse_job_id(arguments: Mapping[str, object]) -> JobId:
    """The one argument of `get_job` and `cancel_job`. Raises RequestInvalid with every argument at fault."""
    return _parse_with_job_id(arguments, {})[0]


def parse_recipients(arguments: Mapping[str, object]) -> RecipientsArguments:
    """The arguments of `get_recipients`. Raises RequestInvalid with every argument at fault."""
    job_id, numbers = _parse_with_job_id(arguments, {"offset": (0, None), "limit": (DEFAULT_SHOWN, MAX_SHOWN)})
    return RecipientsArguments(job_id, numbers["offset"], numbers["limit"])


def _parse_with_job_id(
    arguments: Mapping[str, object], numbers: Mapping[str, tuple[int, int | None]]
) -> tuple[JobId, dict[str, int]]:
    """A job's id and whole numbers, each with what it is if left out, and its maximum."""
    given = _checked(arguments)
    faults: list[FieldFault] = []
    job_id = given.pop("jobId", None)
    if not isinstance(job_id, str) or not is_job_id(job_id):
        wrong = f"must be the id of a job, such as {EXAMPLE_JOB_ID}, as send_sms answered it; it is {shown(job_id)}"
        faults.append(FieldFault("jobId", wrong))
    values: dict[str, int] = {}
    for name, (default, maximum) in numbers.items():
        value = given.pop(name, None)
        if value is None:
            values[name] = default
        elif isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= (maximum or value):
            expected = "of at least 0" if maximum is None else f"from 0 to {maximum}"
            faults.append(FieldFault(name, f"must be a whole number {expected}; it is {shown(value)}"))
        else:
            values[name] = value
    faults += [FieldFault(shown(name).strip('"'), "is not known; leave it out") for name in given]
    if faults:
        raise RequestInvalid.of(*faults)
    return JobId(cast("str", job_id)), values


def _checked(arguments: Mapping[str, object]) -> dict[str, object]:
    # As any other body: what is no Unicode, or no JSON, gets as far as this and no further.
    return cast("dict[str, object]", decode_body(json.dumps(dict(arguments)).encode()))


def _number_faults(request: JobRequest) -> list[FieldFault]:
    """A model that leaves out the plus may mean any country, so a national number is not read here."""
    wrong = (
        "must be a phone number in E.164, such as +4917612345678: a plus sign, the country code, and the number "
        "without its leading zero; it is none, so nothing was sent"
    )
    faults: list[FieldFault] = []
    seen: dict[str, int] = {}
    for index, recipient in enumerate(request.messages[0].recipients):
        number = e164(recipient.dst, None) if recipient.dst.lstrip().startswith("+") else None
        if number is None:
            faults.append(FieldFault(f"recipients[{index}]", wrong))
        elif seen.setdefault(number, index) != index:
            twice = f"is the same number as recipients[{seen[number]}]; name each one once"
            faults.append(FieldFault(f"recipients[{index}]", twice))
    return faults


_FIELD = re.compile(r"messages\[0\]\.(text|recipients)(\[[0-9]+\])?(?:\.dst)?|options\.(.+)|messages", re.DOTALL)


def _argument_of(field: str) -> str:
    """The argument that a field of the JobRequest comes from."""
    parts = _FIELD.fullmatch(field)
    if parts is None:
        return field
    return parts[3] or f"{parts[1] or 'recipients'}{parts[2] or ''}"


# Answers


def sent(job_id: str, *, already_accepted: bool) -> Json:
    """What `send_sms` answers."""
    return {"jobId": job_id, "alreadyAccepted": already_accepted}


def preview_answer(preview: Preview) -> Json:
    """What `preview_sms` answers."""
    shown = job_preview(preview)
    (message,) = shown.messages
    answer = cast(Json, msgspec.to_builtins(message))
    going = 0 if shown.refused else sum(bool(recipient.carrier) for recipient in message.recipients)
    return {
        "refused": shown.refused,
        **answer,
        "replaced": [{**each, "positions": each["positions"][:SHOWN_POSITIONS]} for each in answer["replaced"]],
        "smsCount": going,
        "countedSms": going * message.parts,
        "recipients": answer["recipients"][:DEFAULT_SHOWN],
    }


def job_answer(job: StoredJob) -> Json:
    """What `get_job` answers: the report without the ids of its SMS, which may be thousands."""
    report = cast(Json, msgspec.to_builtins(job_report(job)))
    del report["recipientIds"]
    return {**report, "smsCount": job.sms_count, "finished": job.finished_at is not None}


def recipients_answer(arguments: RecipientsArguments, sms: Sequence[StoredSms]) -> Json:
    """What `get_recipients` answers."""
    page = sms[arguments.offset : arguments.offset + arguments.limit]
    return {
        **summary_answer(arguments.job_id, sms),
        "recipients": [msgspec.to_builtins(recipient_report(arguments.job_id, each)) for each in page],
    }


def summary_answer(job_id: JobId, sms: Sequence[StoredSms]) -> Json:
    """How many SMS of a job stand how: what `cancel_job` answers."""
    counts = Counter((each.progress.process_status, each.progress.status) for each in sms)
    return {
        "jobId": job_id,
        "smsCount": len(sms),
        "summary": [
            {"processStatus": pair[0].value, "status": pair[1].value, "meaning": MEANINGS[pair], "count": count}
            for pair, count in counts.most_common()
        ],
    }
