"""The tools that agents are offered over MCP, each once: what lists and describes them reads this table, and
`tool_calls` reads what they are called with.

Descriptions are written for the language model that chooses a tool by them. A schema holds no `$ref` and one type a
value, which is what Copilot Studio reads.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any, cast

import msgspec

from heliograph.jobs.options import OPTIONS, Option
from heliograph.jobs.request import MAX_RECIPIENTS
from heliograph.wire.headers import LONGEST_KEY
from heliograph.wire.previews import JobPreview, MessagePreview, RecipientPreview, ReplacedCharacter
from heliograph.wire.shapes import (
    EXAMPLE_JOB_ID,
    JobReport,
    RecipientReport,
)
from heliograph.wire.times import EXAMPLE, EXAMPLE_PERIOD

Json = dict[str, Any]

MCP_PATH = "/mcp"
E164_PATTERN = r"^\+[1-9][0-9]{6,14}$"
DEFAULT_SHOWN, MAX_SHOWN = 50, 500
"""Recipients in one answer: a model has to read them."""

INSTRUCTIONS = """\
Sends SMS to phones, and tells what became of them. An SMS costs money and can't be taken back once it is out: send
only what a person asked for, to numbers that the person gave. A job is one call of send_sms, with one SMS for each
recipient; its jobId is what the other tools ask for."""


@dataclass(frozen=True, slots=True, eq=False)
class Tool:
    """One tool.

    reads: whether it changes nothing. destroys: whether it may undo what was there. repeatable: whether doing it twice
    is the same as once.
    """

    name: str
    title: str
    description: str
    input_schema: Json
    output_schema: Json
    reads: bool
    destroys: bool = False
    repeatable: bool = True


# Schemas


def _answer(properties: Json, required: Sequence[str]) -> Json:
    return {"type": "object", "properties": properties, "required": list(required)}


def _arguments(properties: Json, required: Sequence[str]) -> Json:
    return {**_answer(properties, required), "additionalProperties": False}


def _option(option: Option) -> Json:
    rule = option.rule
    description = rule.description
    schema: Json
    match option.kind:
        case type() as kind if kind is bool:
            schema = {"type": "boolean"}
        case type() as kind if kind is int:
            zero = f", or 0 for {rule.zero}" if rule.zero is not None else ""
            description = f"{description} From {rule.minimum} to {rule.maximum}{zero}."
            schema = {"type": "integer", "minimum": 0 if rule.zero else rule.minimum, "maximum": rule.maximum}
        case type() as kind if kind is str:
            schema = {"type": "string", **({"maxLength": rule.max_length} if rule.max_length else {})}
        case type() as kind if kind is datetime:
            schema = {"type": "string", "format": "date-time", "examples": [EXAMPLE]}
        case type() as kind if issubclass(kind, Enum):
            values = [member.value for member in kind]
            description = f"{description} One of {', '.join(values)}."  # Copilot Studio shows no enum to its model.
            schema = {"type": "string", "enum": values}
        case _:
            schema = {"type": "array", "items": {"type": "string", "examples": [EXAMPLE_PERIOD]}}
    return {**schema, "description": f"{description} What the account has set, if left out."}


_JOB_ID: Json = {
    "type": "string",
    "pattern": r"^J\..{18,38}$",
    "description": "Id of the job, as send_sms answered it.",
    "examples": [EXAMPLE_JOB_ID],
}
_MESSAGE: Json = {
    "text": {
        "type": "string",
        "minLength": 1,
        "description": "The text. Up to 160 characters are one SMS (70 with characters outside the GSM alphabet, such "
        "as emoji); a longer one travels, and is paid for, as several.",
    },
    "recipients": {
        "type": "array",
        "items": {"type": "string", "pattern": E164_PATTERN, "examples": ["+4917612345678"]},
        "minItems": 1,
        "maxItems": MAX_RECIPIENTS,
        "description": "Who is to get it: phone numbers in E.164, which is a plus sign, the country code, and the "
        "number without its leading zero.",
    },
}
_OPTIONS: Json = {option.wire_name: _option(option) for option in OPTIONS if option.name != "duplicate_detection"}
"""All but that one: it is on for agents, unless an idempotency key says what is a repetition."""


def _properties(shape: type, *, without: str = "") -> Json:
    _, schemas = msgspec.json.schema_components([shape], ref_template="{name}")
    properties = cast(Json, schemas[shape.__name__]["properties"])
    return {name: schema for name, schema in properties.items() if name != without}


def _integer(description: str, **more: object) -> Json:
    return {"type": "integer", "description": description, **more}


_REPORT_SCHEMA = _answer(
    {
        **_properties(JobReport, without="recipientIds"),
        "smsCount": _integer("How many SMS the job has: one for each recipient."),
        "finished": {"type": "boolean", "description": "Whether every SMS is final."},
    },
    [
        *(name for name in _properties(JobReport, without="recipientIds") if name != "finishedTs"),
        "smsCount",
        "finished",
    ],
)
_RECIPIENT_SCHEMA = _answer(
    _properties(RecipientReport),
    [name for name in _properties(RecipientReport) if name not in ("sentTs", "finishedTs")],
)

_SUMMARY: Json = {
    "jobId": {"type": "string", "description": "Id of the job."},
    "smsCount": _integer("How many SMS the job has."),
    "summary": {
        "type": "array",
        "description": "How many of all its SMS stand how.",
        "items": _answer(
            {
                "processStatus": _properties(RecipientReport)["processStatus"],
                "status": _properties(RecipientReport)["status"],
                "meaning": {"type": "string", "description": "What the two mean."},
                "count": _integer("How many SMS stand so."),
            },
            ["processStatus", "status", "meaning", "count"],
        ),
    },
}

SEND_SMS = Tool(
    name="send_sms",
    title="Send SMS",
    description="Sends one text as an SMS to one or more phones. Use it only when a person asked for this text to go "
    "to these numbers: SMS cost money, and can't be recalled once they are out. Never guess a number. Numbers are in "
    "E.164: a plus sign, the country code, and the number without its leading zero, such as +4917612345678; if one is "
    "none, nothing is sent at all. When in doubt about text, numbers or cost, call preview_sms first. It answers at "
    "once with a jobId, when the SMS are safely stored and not yet delivered; get_recipients tells afterwards what "
    "became of each. The same call again within 10 minutes sends nothing and answers the first jobId with "
    "alreadyAccepted true, so it is safe to repeat a call whose answer was lost. How many SMS may be sent in an hour "
    "is limited; at the limit nothing is sent, and the error says when there is room again: tell the person, don't "
    "work around it.",
    input_schema=_arguments(
        {
            **_MESSAGE,
            "idempotencyKey": {
                "type": "string",
                "minLength": 1,
                "maxLength": LONGEST_KEY,
                "description": "Says which calls are one and the same: a new word for each thing that a person asks "
                "for, such as a UUID. A call with a key used before sends nothing, for 24 hours; the same text with "
                "another key goes out again. If left out, an equal call within 10 minutes is a repetition.",
            },
            **_OPTIONS,
        },
        ["text", "recipients"],
    ),
    output_schema=_answer(
        {
            "jobId": {"type": "string", "description": "Id of the job, for the other tools."},
            "alreadyAccepted": {
                "type": "boolean",
                "description": "true: this very call was accepted some minutes ago as that job; nothing was sent now.",
            },
        },
        ["jobId", "alreadyAccepted"],
    ),
    reads=False,
)

PREVIEW_SMS = Tool(
    name="preview_sms",
    title="Preview SMS",
    description="Tells what send_sms would do with the same arguments, and sends nothing: in how many SMS the text "
    "would travel, which characters would be replaced, whether it would be cut, how many SMS would count against the "
    "hourly limit, and for each recipient whether and when it would be sent, or why not. Use it before send_sms when "
    "unsure, and for long texts, emoji or many recipients. It costs nothing, and doesn't reserve anything.",
    input_schema=_arguments({**_MESSAGE, **_OPTIONS}, ["text", "recipients"]),
    output_schema=_answer(
        {
            **{name: _properties(JobPreview)[name] for name in ("refused",)},
            **{name: _properties(MessagePreview)[name] for name in ("encoding", "parts", "truncated")},
            "replaced": {
                "type": "array",
                "description": _properties(MessagePreview)["replaced"]["description"],
                "items": _answer(_properties(ReplacedCharacter), [*_properties(ReplacedCharacter)]),
            },
            "smsCount": _integer("How many recipients it would be sent to."),
            "countedSms": _integer("How many SMS that is for the hourly limit: each part, for each of them."),
            "recipients": {
                "type": "array",
                "description": f"What would become of each, the first {DEFAULT_SHOWN} of them.",
                "items": _answer(
                    _properties(RecipientPreview), [name for name in _properties(RecipientPreview) if name != "dueTs"]
                ),
            },
        },
        ["refused", "encoding", "parts", "truncated", "replaced", "smsCount", "countedSms", "recipients"],
    ),
    reads=True,
)

GET_JOB = Tool(
    name="get_job",
    title="Get SMS job",
    description="Reads a job that send_sms made: how many SMS it has, with which options, when it was received, and "
    "whether all of it is finished. Use get_recipients for what became of each SMS.",
    input_schema=_arguments({"jobId": _JOB_ID}, ["jobId"]),
    output_schema=_REPORT_SCHEMA,
    reads=True,
)

GET_RECIPIENTS = Tool(
    name="get_recipients",
    title="Get what became of each SMS",
    description="Tells what became of each SMS of a job: first how many stand how, with the meaning in words, then the "
    "recipients one by one, in the order in which they were given to send_sms. Delivery takes seconds to minutes, and "
    "days where a phone is off: while processStatus is OPEN or RUNNING, ask again later, not at once. SUC_FIN means "
    "delivered; SUC_ACC means only that the carrier took it, for want of statusRequested.",
    input_schema=_arguments(
        {
            "jobId": _JOB_ID,
            "offset": _integer("How many recipients to leave out at the beginning; 0 if left out.", minimum=0),
            "limit": _integer(
                f"How many recipients to list at most; {DEFAULT_SHOWN} if left out.", minimum=0, maximum=MAX_SHOWN
            ),
        },
        ["jobId"],
    ),
    output_schema=_answer(
        {
            **_SUMMARY,
            "recipients": {
                "type": "array",
                "description": "What became of each, from offset on, at most limit of them.",
                "items": _RECIPIENT_SCHEMA,
            },
        },
        ["jobId", "smsCount", "summary", "recipients"],
    ),
    reads=True,
)

CANCEL_JOB = Tool(
    name="cancel_job",
    title="Cancel SMS job",
    description="Cancels what can still be cancelled of a job, when a person asked for that. SMS that wait, being "
    "scheduled for later or queued, never go out, and become CANCELED. What the carrier has already becomes KILL, "
    "and may be delivered all the same. What is final stays as it is. It answers how many of the "
    "job's SMS stand how after it; cancelling once more changes nothing.",
    input_schema=_arguments({"jobId": _JOB_ID}, ["jobId"]),
    output_schema=_answer(_SUMMARY, [*_SUMMARY]),
    reads=False,
    destroys=True,
)

TOOLS = (SEND_SMS, PREVIEW_SMS, GET_JOB, GET_RECIPIENTS, CANCEL_JOB)
