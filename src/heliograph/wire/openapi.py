"""Operations → OpenAPI 3.1 document: what `GET /openapi.json` answers."""

from collections.abc import Iterable
from datetime import datetime
from enum import Enum
from http import HTTPStatus
from typing import Any

import msgspec

from heliograph.jobs.options import OPTIONS, Option
from heliograph.jobs.request import MAX_RECIPIENTS
from heliograph.jobs.webhooks import EventType
from heliograph.wire.operations import BASE_PATH, MAX_BODY_OCTETS, OPERATIONS, Credentials, Group, Operation
from heliograph.wire.previews import JobPreview
from heliograph.wire.shapes import (
    EXAMPLE_INBOUND_ID,
    EXAMPLE_JOB_ID,
    EXAMPLE_SMS_ID,
    MAX_REFERENCE_LENGTH,
    BlocklistEntry,
    ErrorResponse,
    InboundReport,
    JobReport,
    JobResponse,
    Parameter,
    RecipientReport,
    VersionInfoResponse,
)
from heliograph.wire.times import EXAMPLE, EXAMPLE_PERIOD
from heliograph.wire.webhooks import (
    ANSWER_EXAMPLES,
    EXAMPLE_EVENT_ID,
    POSTED,
    FailedEventReport,
    NewWebhook,
    ReplayReport,
    TriggerRemoval,
    WebhookReport,
)
from heliograph.wire.webhooks import REQUEST_EXAMPLES as WEBHOOK_EXAMPLES
from heliograph.wire.webhooks import REQUEST_SCHEMAS as WEBHOOK_SCHEMAS

INTERVAL_FORMAT = "interval"
"""The `format` of a blackout period: JSON Schema has none for ISO-8601 intervals."""

Json = dict[str, Any]

_DESCRIPTION = f"""\
An SMS gateway. A job holds messages; a message is one text for one or more recipients; every recipient of every
message is one SMS with an id, a status and a report of its own.

- JSON in UTF-8; HTTP Basic authentication. A body may have {MAX_BODY_OCTETS // 2**20} MiB.
- `null` means the same as leaving a field out. Nothing is converted between JSON types: `"5"` is not 5.
- Times are ISO-8601 and mean what their offset says; without one they are in the account's time zone. Those that
  are answered are UTC with milliseconds.
- Fields and parameters that are not known are ignored, and named by path in the answer's `Heliograph-Ignored`
  header; with `Prefer: handling=strict` they are refused.
- An account has a limit of calls, usually 100 in any 60 seconds, over restarts of the service as well; the
  `RateLimit-*` headers tell what is left of it.
- Every error is an ErrorResponse that says what is wrong, where, and what would be right.
"""

_TAGS = {
    Group.JOBS: "Send jobs, and read what became of them.",
    Group.INBOUND: "Read what phones sent.",
    Group.BLOCKLIST: "Numbers that must get nothing.",
    Group.WEBHOOKS: "Be told what happens.",
    Group.SERVICE: "About the service itself.",
}

_PATTERNS = {"src": r"^(\+?[0-9]{1,20}|[ -~]{1,11})$"}
"""What `Rule.fault` of an option checks, as far as a pattern can say it."""

_ERRORS_OF_ANY = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.METHOD_NOT_ALLOWED,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.INTERNAL_SERVER_ERROR,
    HTTPStatus.SERVICE_UNAVAILABLE,
)


def openapi_document(version: str) -> Json:
    """The whole API of this version, described."""
    _, schemas = msgspec.json.schema_components(
        [
            JobResponse,
            JobReport,
            RecipientReport,
            InboundReport,
            BlocklistEntry,
            NewWebhook,
            WebhookReport,
            FailedEventReport,
            ReplayReport,
            TriggerRemoval,
            *POSTED.values(),
            VersionInfoResponse,
            JobPreview,
            ErrorResponse,
        ],
        ref_template="#/components/schemas/{name}",
    )
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "heliograph",
            "summary": "Send SMS, and know what became of them.",
            "description": _DESCRIPTION,
            "version": version,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": BASE_PATH, "description": "Where this document was read."}],
        "tags": [{"name": group.value, "description": _TAGS[group]} for group in Group],
        "security": [{"basic": []}],
        "paths": _paths(),
        "webhooks": {kind.value: _webhook(kind) for kind in EventType},
        "components": {
            "schemas": {**_request_schemas(), **schemas},
            "headers": _headers(),
            "responses": {_name(status): _error_response(status) for status in _ERRORS},
            "securitySchemes": {
                "basic": {
                    "type": "http",
                    "scheme": "basic",
                    "description": "Name and password of the account, in UTF-8 (RFC 7617).",
                }
            },
        },
    }


def _paths() -> Json:
    paths: Json = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    return paths


def _operation(operation: Operation) -> Json:
    described: Json = {
        "operationId": operation.name,
        "tags": [operation.group.value],
        "summary": operation.summary,
        "description": operation.description,
    }
    if operation.credentials is Credentials.OPTIONAL:
        described["security"] = [{}, {"basic": []}]
    elif operation.credentials is Credentials.IN_PATH:
        described["security"] = [{}]
    described["parameters"] = [
        *(_parameter(parameter, "path") for parameter in operation.path_parameters),
        *(_parameter(parameter, "query") for parameter in operation.query_parameters),
        *(_parameter(parameter, "header") for parameter in operation.header_parameters),
        {
            "name": "Prefer",
            "in": "header",
            "description": "`handling=strict` refuses fields and parameters that are not known (RFC 7240).",
            "schema": {"type": "string"},
        },
    ]
    if operation.body:
        described["requestBody"] = {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {"$ref": f"#/components/schemas/{operation.request}"},
                    "examples": _REQUEST_EXAMPLES[operation.request],
                }
            },
        }
    described["responses"] = {
        str(int(operation.success)): _success(operation),
        **({"202": _nothing_yet(operation.nothing_yet)} if operation.nothing_yet else {}),
        **{
            str(int(status)): {"$ref": f"#/components/responses/{_name(status)}"}
            for status in sorted({*_ERRORS_OF_ANY, *operation.errors})
        },
    }
    return described


def _webhook(kind: EventType) -> Json:
    """What is posted, as a request that the customer's service answers."""
    shape = POSTED[kind]
    headers = {
        "webhook-id": ("Id of the event: what comes again has the same.", EXAMPLE_EVENT_ID),
        "webhook-timestamp": ("When it was posted, in seconds since 1970.", "1668594249"),
        "webhook-signature": (
            "`v1,` and base64 of the HMAC-SHA256 of id, timestamp and body, joined by full stops.",
            "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
        ),
    }
    return {
        "post": {
            "operationId": "".join(word.capitalize() for word in kind.value.split(".")),
            "tags": [Group.WEBHOOKS.value],
            "summary": _described(shape).rstrip("."),
            "security": [{}],
            "parameters": [
                {"name": name, "in": "header", "description": text, "schema": {"type": "string"}, "example": example}
                for name, (text, example) in headers.items()
            ],
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": _reference(shape), "example": posted_example(kind)}},
            },
            "responses": {
                "2XX": {"description": "It has been told."},
                "410": {"description": "It wants to be told nothing any more."},
                "default": {"description": "It is posted again, later and later; a redirect as well."},
            },
        }
    }


def posted_example(kind: EventType) -> Json:
    """What may be posted."""
    sms, inbound = _ANSWER_EXAMPLES[RecipientReport], _ANSWER_EXAMPLES[InboundReport]
    data = {
        EventType.SMS_FINISHED: {"jobId": EXAMPLE_JOB_ID, **sms},
        EventType.JOB_FINISHED: _ANSWER_EXAMPLES[JobReport],
        EventType.SMS_RECEIVED: inbound,
    }[kind]
    return {"type": kind.value, "timestamp": data.get("finishedTs") or data["receivedTs"], "data": data}


def _parameter(parameter: Parameter, where: str) -> Json:
    schema: Json = {
        **_type_of(parameter.kind),
        **_given(
            default=parameter.default,
            minimum=parameter.minimum,
            maximum=parameter.maximum,
            pattern=parameter.pattern,
            format=parameter.format,
        ),
    }
    described: Json = {
        "name": parameter.name,
        "in": where,
        "required": parameter.required,
        "description": parameter.description,
        "schema": schema,
    }
    if parameter.example is not None:
        described["example"] = parameter.example
    return described


def _type_of(kind: type) -> Json:
    if issubclass(kind, Enum):
        return {"type": "string", "enum": [member.value for member in kind]}
    return _TYPES[kind]


_TYPES: dict[type, Json] = {
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    str: {"type": "string"},
    datetime: {"type": "string", "format": "date-time"},
}


def _success(operation: Operation) -> Json:
    shapes = [_reference(shape) for shape in (operation.response, operation.or_else) if shape is not None]
    schema = shapes[0] if len(shapes) == 1 else {"anyOf": shapes}
    example = _ANSWER_EXAMPLES[operation.response]
    headers = [*_HEADERS_OF_ANY]
    if operation.success is HTTPStatus.CREATED or operation.nothing_yet:
        headers.append("Location")
    return {
        "description": _described(operation.response),
        "headers": _references_to_headers(headers),
        "content": {
            "application/json": {
                "schema": {"type": "array", "items": schema} if operation.array else schema,
                "example": [example] if operation.array else example,
            }
        },
    }


def _nothing_yet(meaning: str) -> Json:
    return {
        "description": meaning,
        "headers": _references_to_headers([*_HEADERS_OF_ANY, "Location", "Retry-After"]),
        "content": {"application/json": {"schema": {"type": "array", "maxItems": 0}, "example": []}},
    }


def _reference(shape: type) -> Json:
    return {"$ref": f"#/components/schemas/{shape.__name__}"}


def _described(shape: type) -> str:
    return (shape.__doc__ or "").partition("\n")[0]


# Requests


def _request_schemas() -> Json:
    return {
        "JobRequest": _object(
            "Texts, and who is to get them.",
            {
                "options": {
                    "description": "How to send them. What is left out comes from the account's defaults.",
                    "anyOf": [{"$ref": "#/components/schemas/JobOptions"}, {"type": "null"}],
                },
                "messages": _array(
                    "Message", f"At most {MAX_RECIPIENTS} recipients in all of them together.", MAX_RECIPIENTS
                ),
            },
            required=["messages"],
        ),
        "Message": _object(
            "One text, and who is to get it.",
            {
                "text": {
                    "type": "string",
                    "minLength": 1,
                    "description": "The text. One that is too long for an SMS travels in several parts.",
                },
                "recipients": _array("Recipient", "Who is to get it: one SMS for each.", MAX_RECIPIENTS),
            },
            required=["text", "recipients"],
        ),
        "Recipient": _object(
            "One recipient of one message.",
            {
                "dst": {
                    "type": "string",
                    "minLength": 1,
                    "description": "Number in any usual spelling, best in E.164 (+4917612345678). What is no possible "
                    "number is accepted, and its SMS ends at once as DONE/INVALID_DST.",
                },
                "customerRef": {
                    "type": ["string", "null"],
                    "maxLength": MAX_REFERENCE_LENGTH,
                    "description": "Your own reference, 64 characters recommended; the dst as sent if left out.",
                },
                "blackoutPeriods": {
                    **_periods(),
                    "description": "Replaces, for this recipient, those of the options; [] means none.",
                },
            },
            required=["dst"],
        ),
        "JobOptions": _object(
            "How to send a job. The defaults here are those of an account that has no others.",
            {option.wire_name: _option(option) for option in OPTIONS},
            required=[],
        ),
        **WEBHOOK_SCHEMAS,
    }


def _object(description: str, properties: Json, required: list[str]) -> Json:
    return {
        "type": "object",
        "description": description,
        "properties": properties,
        **({"required": required} if required else {}),
    }


def _array(of: str, description: str, maximum: int) -> Json:
    return {
        "type": "array",
        "description": description,
        "items": {"$ref": f"#/components/schemas/{of}"},
        "minItems": 1,
        "maxItems": maximum,
    }


def _option(option: Option) -> Json:
    rule = option.rule
    schema: Json
    match option.kind:
        case type() as kind if kind is bool:
            schema = {"type": ["boolean", "null"]}
        case type() as kind if kind is int and rule.zero is not None:
            within = {"type": "integer", "minimum": rule.minimum, "maximum": rule.maximum}
            schema = {"anyOf": [within, {"type": "integer", "const": 0}, {"type": "null"}]}
        case type() as kind if kind is int:
            schema = {"type": ["integer", "null"], "minimum": rule.minimum, "maximum": rule.maximum}
        case type() as kind if kind is str:
            schema = {
                "type": ["string", "null"],
                **_given(maxLength=rule.max_length, pattern=_PATTERNS.get(option.wire_name)),
            }
        case type() as kind if kind is datetime:
            schema = {"type": ["string", "null"], "format": "date-time"}
        case type() as kind if issubclass(kind, Enum):
            schema = {"type": ["string", "null"], "enum": [*(member.value for member in kind), None]}
        case _:
            schema = _periods()
    described = {**schema, "description": _option_description(option)}
    default = _default(option)
    return described if default is None else {**described, "default": default}


def _option_description(option: Option) -> str:
    if option.rule.minimum is None:
        return option.rule.description
    zero = f", or 0 for {option.rule.zero}" if option.rule.zero else ""
    return f"{option.rule.description} From {option.rule.minimum} to {option.rule.maximum}{zero}."


def _default(option: Option) -> object:
    if option.wire_name in _PATTERNS and option.default == "":
        return None  # Nobody may ask for an empty one; it is what the account has, or the carrier puts.
    default: object = option.default
    if isinstance(default, Enum):
        return default.value
    return [] if default == () else default


def _periods() -> Json:
    return {
        "type": ["array", "null"],
        "items": {
            "type": "string",
            "format": INTERVAL_FORMAT,
            "description": "ISO-8601 interval start/end; the end is after the start.",
            "examples": [EXAMPLE_PERIOD],
        },
    }


def _given(**keywords: object) -> Json:
    return {name: value for name, value in keywords.items() if value is not None}


# Headers and errors

_HEADERS: dict[str, tuple[str, Json]] = {
    "RateLimit-Limit": (
        "How many calls the account may make in its period; like the next two, absent if it has no limit.",
        {"type": "integer"},
    ),
    "RateLimit-Remaining": ("How many more calls may follow at once.", {"type": "integer"}),
    "RateLimit-Reset": ("Seconds until one more than those may.", {"type": "integer"}),
    "Heliograph-Ignored": (
        "Paths of fields and names of parameters that were ignored, comma-separated; absent if there were none.",
        {"type": "string"},
    ),
    "Location": ("Where what was made is; a trigger's is ended there.", {"type": "string", "format": "uri-reference"}),
    "Retry-After": ("Seconds after which to try again.", {"type": "integer", "minimum": 1}),
    "WWW-Authenticate": ("The authentication that is asked for (RFC 7617).", {"type": "string"}),
    "Allow": ("The methods that are possible here.", {"type": "string"}),
}
_HEADERS_OF_ANY = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset", "Heliograph-Ignored")

_ERRORS: dict[HTTPStatus, tuple[str, tuple[str, ...], str, tuple[tuple[str, str], ...]]] = {
    HTTPStatus.BAD_REQUEST: (
        "The request is invalid; `errors` names every field at fault.",
        (),
        "messages[0].recipients[0].dst must be a phone number such as +4917612345678, as a string; it is empty",
        (
            (
                "messages[0].recipients[0].dst",
                "must be a phone number such as +4917612345678, as a string; it is empty",
            ),
        ),
    ),
    HTTPStatus.UNAUTHORIZED: (
        "The credentials are missing or wrong.",
        ("WWW-Authenticate",),
        "the name or the password is wrong; check both, or ask your operator",
        (),
    ),
    HTTPStatus.NOT_FOUND: (
        "The account has no such job or webhook, or its blocklist no such number.",
        (),
        f"there is no job {EXAMPLE_JOB_ID}; GET /rest/v1/jobs?jobIdsOnly=true lists the jobs of this account",
        (),
    ),
    HTTPStatus.METHOD_NOT_ALLOWED: (
        "The path has no such method.",
        ("Allow",),
        "DELETE is not possible here; GET, POST is",
        (),
    ),
    HTTPStatus.REQUEST_TIMEOUT: (
        "The body did not come in time.",
        (),
        "the body did not come within 30 s; nothing was accepted, send it again",
        (),
    ),
    HTTPStatus.CONFLICT: (
        "An equal request was accepted within the last 10 minutes (duplicateDetection); the message names its job. "
        "Or the account has as many webhooks as it can have.",
        (),
        f"an equal request was accepted within the last 10 minutes as job {EXAMPLE_JOB_ID}; "
        "to send it again all the same, set duplicateDetection to false",
        (),
    ),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: (
        "The body is too large.",
        (),
        f"the body is over {MAX_BODY_OCTETS} octets (8 MiB); send several jobs",
        (),
    ),
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: (
        "The body is said not to be JSON.",
        (),
        "the body must be JSON; send it with `Content-Type: application/json`",
        (),
    ),
    HTTPStatus.UNPROCESSABLE_ENTITY: (
        "A text has characters that its encoding can't carry, and invalidCharacters is REFUSE.",
        (),
        "messages[0].text has characters that STANDARD can't carry (U+65E5 at 0); set invalidCharacters to REPLACE, "
        "TO_UTF16 or TRANSLITERATE, or encoding to UTF-16",
        (
            (
                "messages[0].text",
                "has characters that STANDARD can't carry (U+65E5 at 0); set invalidCharacters to REPLACE, TO_UTF16 "
                "or TRANSLITERATE, or encoding to UTF-16",
            ),
        ),
    ),
    HTTPStatus.TOO_MANY_REQUESTS: (
        "The account has used up its limit of calls.",
        ("Retry-After",),
        "the account may make 100 calls in 60 s, and has; try again in 7 s",
        (),
    ),
    HTTPStatus.INTERNAL_SERVER_ERROR: (
        "The service failed.",
        (),
        "the service failed; this is a defect of ours, and its log says more",
        (),
    ),
    HTTPStatus.SERVICE_UNAVAILABLE: (
        "The service is overloaded, or its database is away. Nothing was accepted, unless the message says that this "
        "is not known: then look, or send it again with the same Idempotency-Key.",
        ("Retry-After",),
        "the database can't be used at the moment; nothing was accepted, try again in a moment",
        (),
    ),
}
"""For each: what it means, its headers besides those of any answer, and an example's message and fields at fault."""


def _headers() -> Json:
    return {name: {"description": description, "schema": schema} for name, (description, schema) in _HEADERS.items()}


def _references_to_headers(names: Iterable[str]) -> Json:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _error_response(status: HTTPStatus) -> Json:
    meaning, headers, message, faults = _ERRORS[status]
    example: Json = {"code": int(status), "message": message}
    if faults:
        example["errors"] = [{"field": field, "message": wrong} for field, wrong in faults]
    return {
        "description": meaning,
        "headers": _references_to_headers((*_HEADERS_OF_ANY, *headers)),
        "content": {"application/json": {"schema": _reference(ErrorResponse), "example": example}},
    }


_RENAMED = {HTTPStatus(413): "ContentTooLarge", HTTPStatus(422): "UnprocessableContent"}
"""As RFC 9110 calls them; what Python calls them depends on its version."""


def _name(status: HTTPStatus) -> str:
    return _RENAMED.get(status) or "".join(word.capitalize() for word in status.name.split("_"))


# Examples

REQUEST_EXAMPLES: Json = {
    "one": {
        "summary": "One SMS",
        "value": {"messages": [{"text": "Your parcel is here.", "recipients": [{"dst": "+4917612345678"}]}]},
    },
    "options": {
        "summary": "Two recipients, a delivery receipt asked for, not at night",
        "value": {
            "options": {
                "src": "heliograph",
                "statusRequested": True,
                "validityMin": 120,
                "invalidCharacters": "TRANSLITERATE",
                "customerRef": "parcels-17",
                "blackoutPeriods": [EXAMPLE_PERIOD],
            },
            "messages": [
                {
                    "text": "Your parcel is here.",
                    "recipients": [
                        {"dst": "+4917612345678", "customerRef": "parcel-1"},
                        {"dst": "0043 664 1234567", "customerRef": "parcel-2", "blackoutPeriods": []},
                    ],
                }
            ],
        },
    },
    "later": {
        "summary": "Later, urgently, and once",
        "value": {
            "options": {"jobPeriod": EXAMPLE, "qos": "EXPRESS", "duplicateDetection": True},
            "messages": [{"text": "The server room is on fire.", "recipients": [{"dst": "+4917612345678"}]}],
        },
    },
}

_REQUEST_EXAMPLES: dict[str, Json] = {"JobRequest": REQUEST_EXAMPLES, **WEBHOOK_EXAMPLES}

_ANSWER_EXAMPLES: dict[type, Json] = {
    **ANSWER_EXAMPLES,
    JobResponse: {"jobId": EXAMPLE_JOB_ID},
    JobReport: {
        "jobId": EXAMPLE_JOB_ID,
        "src": "heliograph",
        "encoding": "STANDARD",
        "billcode": "",
        "statusRequested": True,
        "flash": False,
        "validityMin": 120,
        "customerRef": "parcels-17",
        "qos": "NORMAL",
        "receiptTs": "2022-11-16T10:24:07.583Z",
        "finishedTs": "2022-11-16T10:24:09.001Z",
        "recipientIds": [EXAMPLE_SMS_ID],
    },
    RecipientReport: {
        "smsId": EXAMPLE_SMS_ID,
        "dst": "+4917612345678",
        "processStatus": "DONE",
        "status": "SUC_FIN",
        "customerRef": "parcel-1",
        "reason": "message_state:DELIVERED [00000002] (Final) (Message is delivered to destination.)",
        "sentTs": "2022-11-16T10:24:07.702Z",
        "finishedTs": "2022-11-16T10:24:09.001Z",
    },
    InboundReport: {
        "smsId": EXAMPLE_INBOUND_ID,
        "src": "+4917612345678",
        "dst": "+4915735982222",
        "text": "Please leave it with the neighbours.",
        "receivedTs": "2022-11-16T10:27:31.204Z",
    },
    JobPreview: {
        "refused": False,
        "messages": [
            {
                "encoding": "STANDARD",
                "parts": 1,
                "truncated": False,
                "replaced": [{"character": "ë", "replacement": "e", "positions": [3]}],
                "recipients": [
                    {
                        "dst": "0176 12345678",
                        "e164": "+4917612345678",
                        "valid": True,
                        "country": "DE",
                        "carrier": "acme",
                        "dueTs": "2022-09-29T05:00:00.000Z",
                        "reason": "it is a blackout period until then",
                    }
                ],
            }
        ],
    },
    BlocklistEntry: {"dst": "+4917612345678", "createdTs": "2022-11-16T10:30:00.000Z"},
    VersionInfoResponse: {
        "buildNumber": 0,
        "buildTimestamp": "2022-11-01T08:00:00.000Z",
        "majorVersion": 1,
        "minorVersion": 0,
        "versionInfo": "heliograph 1.0.0",
        "message": "SMS for Applications REST API v1",
    },
}
