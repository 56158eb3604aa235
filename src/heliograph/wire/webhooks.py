"""Webhooks as JSON: how they are asked for and shown, and what is posted to them."""

from typing import Annotated, NamedTuple, assert_never, cast

import msgspec
from msgspec import UNSET, Meta, UnsetType

from heliograph.jobs.errors import FieldFault, RequestInvalid
from heliograph.jobs.targets import EXAMPLE, LONGEST_URL, url_fault
from heliograph.jobs.webhooks import (
    Event,
    EventType,
    FailedEvent,
    JobFinished,
    SmsFinished,
    SmsReceived,
    Webhook,
    WebhookId,
    event_id,
)
from heliograph.wire.shapes import (
    EXAMPLE_SMS_ID,
    InboundReport,
    JobIdText,
    JobReport,
    RecipientReport,
    ignored_fields,
    inbound_report,
    job_report,
    recipient_report,
    shown,
)
from heliograph.wire.times import format_instant

EXAMPLE_WEBHOOK_ID = "W.20221116-102359.120-0lajfs9gg4BM0ZK2Q7C"
EXAMPLE_EVENT_ID = "evt_5f0c2a9e7d1b44c8a3e6f2d9b81047"
EXAMPLE_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="
EXAMPLE_TOKEN = "q0X3mNc5rWk9bT7hLzEa"
_EVENTS = ", ".join(kind.value for kind in EventType)


class WebhookRequest(NamedTuple):
    """What is asked for, and the names of the fields that mean nothing."""

    url: str
    events: tuple[EventType, ...]
    ignored: list[str]


def parse_webhook_request(raw: object, *, allow_private: bool, strict: bool = False) -> WebhookRequest:
    """A WebhookRequest. Raises RequestInvalid with every field at fault."""
    fields, ignored, faults = _fields(raw, ("url", "events"), strict=strict)
    url = _url(fields, faults, allow_private=allow_private)
    events = _event_types(fields.get("events"), faults)
    if faults:
        raise RequestInvalid.of(*faults, ignored=ignored)
    return WebhookRequest(url, events, ignored)


def parse_trigger_request(raw: object, *, allow_private: bool, strict: bool = False) -> tuple[str, list[str]]:
    """The URL of a TriggerRequest, and the fields that mean nothing. Raises RequestInvalid."""
    fields, ignored, faults = _fields(raw, ("url",), strict=strict)
    url = _url(fields, faults, allow_private=allow_private)
    if faults:
        raise RequestInvalid.of(*faults, ignored=ignored)
    return url, ignored


def _fields(
    raw: object, known: tuple[str, ...], *, strict: bool
) -> tuple[dict[str, object], list[str], list[FieldFault]]:
    if not isinstance(raw, dict):
        raise RequestInvalid(f"the body must be a JSON object with {' and '.join(known)}; it is {shown(raw)}")
    fields = cast("dict[str, object]", raw)
    return fields, *ignored_fields(fields, known, strict=strict)


def _url(fields: dict[str, object], faults: list[FieldFault], *, allow_private: bool) -> str:
    url = fields.get("url")
    if not isinstance(url, str) or not url:
        wrong = "missing" if url is None else "empty" if url == "" else shown(url)
        faults.append(FieldFault("url", f"must be a URL such as {EXAMPLE}, as a string; it is {wrong}"))
        return ""
    fault = url_fault(url, allow_private=allow_private)
    if fault is not None:
        faults.append(FieldFault("url", fault))  # Which one it was isn't shown: there may be secrets in it.
    return url


def _event_types(raw: object, faults: list[FieldFault]) -> tuple[EventType, ...]:
    if not isinstance(raw, list) or not raw:
        wrong = "missing" if raw is None else "empty" if raw == [] else shown(cast("object", raw))
        faults.append(FieldFault("events", f"must be an array of one or more of {_EVENTS}; it is {wrong}"))
        return ()
    types: list[EventType] = []
    by_name = {kind.value: kind for kind in EventType}
    for index, item in enumerate(cast("list[object]", raw)[: len(EventType) * 10]):
        kind = by_name.get(item.lower()) if isinstance(item, str) else None
        if kind is None:
            faults.append(FieldFault(f"events[{index}]", f"must be one of {_EVENTS}; it is {shown(item)}"))
        else:
            types.append(kind)
    return tuple(dict.fromkeys(types))


# Answers


def _timestamped(description: str) -> Meta:
    return Meta(description=f"{description} UTC, milliseconds.", extra_json_schema={"format": "date-time"})


WebhookIdText = Annotated[
    str, Meta(description="Id of the webhook.", extra_json_schema={"examples": [EXAMPLE_WEBHOOK_ID]})
]
EventIdText = Annotated[
    str,
    Meta(
        description="Id of the event, the same however often it is posted to the webhook.",
        extra_json_schema={"examples": [EXAMPLE_EVENT_ID]},
    ),
]
EventTypeText = Annotated[
    str, Meta(description="What happens.", extra_json_schema={"enum": [kind.value for kind in EventType]})
]
Events = Annotated[list[EventTypeText], Meta(description="What it is told.")]
CreatedTs = Annotated[str, _timestamped("When it was made.")]


class NewWebhook(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A webhook was made."""

    id: WebhookIdText
    url: Annotated[str, Meta(description="Where events are posted.")]
    events: Events
    secret: Annotated[str, Meta(description="The key that signs what is posted. It is shown this once; keep it.")]
    created_ts: CreatedTs


class WebhookReport(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A webhook."""

    id: WebhookIdText
    url: Annotated[str, Meta(description="Where events are posted; of a flow's trigger without its path and query.")]
    events: Events
    created_ts: CreatedTs
    disabled_ts: (
        Annotated[str, _timestamped("Since when it is told nothing, as it answered 410; absent as long as it is told.")]
        | UnsetType
    ) = UNSET


class FailedEventReport(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """An event that a webhook wasn't told, and won't be until it is replayed."""

    id: EventIdText
    type: EventTypeText
    timestamp: Annotated[str, _timestamped("When it happened.")]
    subject_id: Annotated[
        str,
        Meta(description="Id of the SMS or job that it happened to.", extra_json_schema={"examples": [EXAMPLE_SMS_ID]}),
    ]
    attempts: Annotated[int, Meta(description="How often it was tried.")]
    reason: Annotated[str, Meta(description="What came of the last attempt.")]
    failed_ts: Annotated[str, _timestamped("When it was given up.")]


class ReplayReport(msgspec.Struct, frozen=True, rename="camel"):
    """How much is tried again."""

    id: WebhookIdText
    replayed: Annotated[int, Meta(description="How many events are tried again.")]


class TriggerRemoval(msgspec.Struct, frozen=True, rename="camel"):
    """The trigger is not there any more."""

    removed: Annotated[bool, Meta(description="Whether it was there until now.")]


def new_webhook(webhook: Webhook) -> NewWebhook:
    """A webhook as the one who made it sees it, once."""
    return NewWebhook(
        id=webhook.id,
        url=webhook.url,
        events=[kind.value for kind in webhook.events],
        secret=webhook.secret,
        created_ts=format_instant(webhook.created_at),
    )


def webhook_report(webhook: Webhook) -> WebhookReport:
    """A webhook as lists show it, without its secrets: a trigger's URL is one."""
    scheme, _, rest = webhook.url.partition("://")
    return WebhookReport(
        id=webhook.id,
        url=f"{scheme}://{rest.partition('/')[0].partition('?')[0]}/…" if webhook.is_trigger else webhook.url,
        events=[kind.value for kind in webhook.events],
        created_ts=format_instant(webhook.created_at),
        disabled_ts=UNSET if webhook.disabled_at is None else format_instant(webhook.disabled_at),
    )


def failed_event_report(webhook: WebhookId, failed: FailedEvent) -> FailedEventReport:
    """A dead letter as it is listed."""
    return FailedEventReport(
        id=event_id(webhook, failed.event),
        type=failed.event.type.value,
        timestamp=_happened(failed.event),
        subject_id=failed.event.subject,
        attempts=failed.attempt_count,
        reason=failed.reason,
        failed_ts=format_instant(failed.failed_at),
    )


# What is posted


class FinishedSms(RecipientReport, frozen=True, rename="camel", kw_only=True):
    """What became of one SMS, and of which job it is."""

    job_id: JobIdText


class SmsFinishedEvent(msgspec.Struct, frozen=True, rename="camel"):
    """An SMS got its final status."""

    type: EventTypeText
    timestamp: Annotated[str, _timestamped("When it became final.")]
    data: Annotated[FinishedSms, Meta(description="What became of it.")]


class JobFinishedEvent(msgspec.Struct, frozen=True, rename="camel"):
    """The last SMS of a job got its final status."""

    type: EventTypeText
    timestamp: Annotated[str, _timestamped("When it was finished.")]
    data: Annotated[JobReport, Meta(description="The job.")]


class SmsReceivedEvent(msgspec.Struct, frozen=True, rename="camel"):
    """An SMS was received from a phone."""

    type: EventTypeText
    timestamp: Annotated[str, _timestamped("When it was received.")]
    data: Annotated[InboundReport, Meta(description="The SMS.")]


POSTED: dict[EventType, type[msgspec.Struct]] = {
    EventType.SMS_FINISHED: SmsFinishedEvent,
    EventType.JOB_FINISHED: JobFinishedEvent,
    EventType.SMS_RECEIVED: SmsReceivedEvent,
}
"""The shape of what is posted, by what happens."""


def event_body(event: Event) -> bytes:
    """What is posted to a webhook, as octets: these are signed."""
    kind, happened = event.type.value, _happened(event)
    match event:
        case SmsFinished():
            report = msgspec.structs.asdict(recipient_report(event.job_id, event.sms))
            posted = SmsFinishedEvent(kind, happened, FinishedSms(job_id=event.job_id, **report))
        case JobFinished():
            posted = JobFinishedEvent(kind, happened, job_report(event.job))
        case SmsReceived():
            posted = SmsReceivedEvent(kind, happened, inbound_report(event.sms))
        case _:
            assert_never(event)
    return msgspec.json.encode(posted)


def _happened(event: Event) -> str:
    at = event.at
    assert at is not None, "what is told has happened"
    return format_instant(at)


# Examples and schemas for the API description

REQUEST_SCHEMAS: dict[str, dict[str, object]] = {
    "WebhookRequest": {
        "type": "object",
        "description": "Where to post events, and which.",
        "properties": {
            "url": {
                "type": "string",
                "format": "uri",
                "minLength": 1,
                "maxLength": LONGEST_URL,
                "description": "Where to post them: https, without credentials, at a public address.",
            },
            "events": {
                "type": "array",
                "minItems": 1,
                "items": {"type": "string", "enum": [kind.value for kind in EventType]},
                "description": "Which ones.",
            },
        },
        "required": ["url", "events"],
    },
    "TriggerRequest": {
        "type": "object",
        "description": "Where a flow wants to be told.",
        "properties": {
            "url": {
                "type": "string",
                "format": "uri",
                "minLength": 1,
                "maxLength": LONGEST_URL,
                "description": "The flow's callback URL. It is kept secret.",
            },
        },
        "required": ["url"],
    },
}

REQUEST_EXAMPLES: dict[str, dict[str, dict[str, object]]] = {
    "WebhookRequest": {
        "all": {
            "summary": "Everything that happens",
            "value": {"url": EXAMPLE, "events": [kind.value for kind in EventType]},
        }
    },
    "TriggerRequest": {
        "flow": {
            "summary": "A flow's callback URL",
            "value": {"url": "https://prod-12.westeurope.logic.azure.com/workflows/a1b2/triggers/manual/run?sig=c3d4"},
        }
    },
}

_SHOWN = {"id": EXAMPLE_WEBHOOK_ID, "url": EXAMPLE, "events": [kind.value for kind in EventType]}
ANSWER_EXAMPLES: dict[type, dict[str, object]] = {
    NewWebhook: {**_SHOWN, "secret": EXAMPLE_SECRET, "createdTs": "2022-11-16T10:23:59.120Z"},
    WebhookReport: {**_SHOWN, "createdTs": "2022-11-16T10:23:59.120Z"},
    FailedEventReport: {
        "id": EXAMPLE_EVENT_ID,
        "type": EventType.SMS_FINISHED.value,
        "timestamp": "2022-11-16T10:24:09.001Z",
        "subjectId": EXAMPLE_SMS_ID,
        "attempts": 10,
        "reason": "it answered 500",
        "failedTs": "2022-11-19T14:00:14.203Z",
    },
    ReplayReport: {"id": EXAMPLE_WEBHOOK_ID, "replayed": 17},
    TriggerRemoval: {"removed": True},
}
