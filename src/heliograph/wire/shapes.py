"""JSON ↔ jobs types. What is wrong with a request is told of all its fields at once, by path."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, tzinfo
from difflib import get_close_matches
from enum import Enum
from typing import Annotated, Any, NamedTuple, cast

import msgspec
from msgspec import UNSET, Meta, UnsetType

from heliograph.gsm.carrying import Encoding
from heliograph.jobs.accounts import Account
from heliograph.jobs.errors import FieldFault, RequestInvalid
from heliograph.jobs.naming import JobId, sms_id, sms_ids
from heliograph.jobs.options import OPTIONS, JobOptions, Option, Qos
from heliograph.jobs.records import BlockedNumber, InboundSms, StoredJob, StoredSms
from heliograph.jobs.request import MAX_RECIPIENTS, JobRequest, Message, Recipient
from heliograph.jobs.schedule import Period
from heliograph.jobs.status import ProcessStatus, Status
from heliograph.wire.bodies import MAX_TOLD, fingerprint
from heliograph.wire.times import EXAMPLE, format_instant, parse_instant, parse_period

MAX_REFERENCE_LENGTH = 255
EXAMPLE_JOB_ID = "J.20221116-102407.583-0lajfsfmoXIZJO93PQ"
EXAMPLE_SMS_ID = "S.20221116-102407.583-0lajfsfmoP4Q8ZL2DK"
EXAMPLE_INBOUND_ID = "I.20221116-102731.204-0lajfwt50Q7ZK1M9XB"

_ALIASES = {option.name: option.wire_name for option in OPTIONS if option.name != option.wire_name}
"""How the official Python and Node.js SDKs spell options; they lose against the right spelling."""
_OPTION_BY_WIRE_NAME = {option.wire_name: option for option in OPTIONS}
_RECIPIENT_FIELDS = {
    "dst": "dst",
    "customerRef": "customerRef",
    "customer_ref": "customerRef",
    "customRef": "customerRef",
    "blackoutPeriods": "blackoutPeriods",
    "blackout_periods": "blackoutPeriods",
}
_RECIPIENT_NAMES = ("dst", "customerRef", "blackoutPeriods")
_MESSAGE_FIELDS = ("text", "recipients")
_REQUEST_FIELDS = ("options", "messages")
_COUNTED_DIGITS = 18
_SHOWN_LENGTH = 60


class ParsedRequest(NamedTuple):
    """A request, and the paths of the fields in it that mean nothing."""

    request: JobRequest
    ignored: list[str]


def parse_job_request(
    raw: object, account: Account, *, strict: bool = False, idempotency_key: str | None = None
) -> ParsedRequest:
    """A JobRequest as the account means it.

    strict: fields that mean nothing are faults (`Prefer: handling=strict`, RFC 7240).
    Raises RequestInvalid with every field at fault.
    """
    reader = _Reader(account.zone, lenient=account.lenient, strict=strict)
    request = reader.request(raw, account.defaults)
    if reader.faults:
        raise RequestInvalid.of(*reader.faults, ignored=reader.ignored)
    assert request is not None, "without a fault there is a request"
    if request.options.duplicate_detection or idempotency_key is not None:
        digest = fingerprint(raw)
        request = msgspec.structs.replace(request, fingerprint=digest, idempotency_key=idempotency_key)
    return ParsedRequest(request, reader.ignored)


def parse_option_defaults(raw: Mapping[str, object], zone: tzinfo) -> JobOptions:
    """Options by their names on the wire, such as an account's defaults.

    Raises RequestInvalid with every option at fault, unknown ones among them.
    """
    reader = _Reader(zone, lenient=False, strict=True)
    options = reader.options(raw, JobOptions(), "")
    if reader.faults:
        raise RequestInvalid.of(*reader.faults)
    return options


class _BadValue(Exception):
    """What is wrong with a value, as the end of a sentence that begins with its field."""


class _Reader:
    """Goes through one request, collecting faults and what is ignored."""

    def __init__(self, zone: tzinfo, *, lenient: bool, strict: bool) -> None:
        self._zone = zone
        self._lenient = lenient
        self._strict = strict
        self.faults: list[FieldFault] = []
        self.ignored: list[str] = []

    def request(self, raw: object, defaults: JobOptions) -> JobRequest | None:
        if not isinstance(raw, dict):
            raise RequestInvalid(f"the body must be a JSON object with messages; it is {_kind(raw)}")
        fields = cast("dict[str, object]", raw)
        self._ignore_others(fields, _REQUEST_FIELDS, "")
        options = self.options(fields.get("options"), defaults, "options")
        messages = self._messages(fields.get("messages"))
        if self.faults:
            return None
        return JobRequest(options, messages, b"")

    def options(self, raw: object, defaults: JobOptions, path: str) -> JobOptions:
        if raw is None:
            return defaults
        if not isinstance(raw, Mapping):
            self._fault(path, f"must be an object; it is {_kind(raw)}")
            return defaults
        values: dict[str, Any] = {}
        given = cast("Mapping[str, object]", raw)
        for name, value in given.items():
            wire_name = _ALIASES.get(name, name)
            option = _OPTION_BY_WIRE_NAME.get(wire_name)
            field = f"{path}.{name}" if path else name
            if value is None or (wire_name != name and given.get(wire_name) is not None):
                continue  # Null is the same as absent, under any name.
            if option is None:
                self._ignore(path, name, _OPTION_BY_WIRE_NAME)
            else:
                try:
                    values[option.name] = self._option(value, option, field)
                except _BadValue as bad:
                    self._fault(field, str(bad))
        return msgspec.structs.replace(defaults, **values) if values else defaults

    def _option(self, value: object, option: Option, field: str) -> Any:
        if option.kind is bool:
            return _boolean(value)
        if option.kind is int:
            return self._number(value, option)
        if option.kind is str:
            return _text(value, option)
        if option.kind is datetime:
            return self._instant(value)
        if isinstance(option.kind, type) and issubclass(option.kind, Enum):
            return _member(value, option.kind)
        return self._periods(value, field)

    def _number(self, value: object, option: Option) -> int:
        rule = option.rule
        minimum, maximum = rule.minimum or 0, rule.maximum or 0
        expected = f"must be a whole number from {minimum} to {maximum}"
        if rule.zero is not None:
            expected += f", or 0 for {rule.zero}"
        if isinstance(value, float) and value.is_integer():
            value = int(value)  # JSON knows one kind of number: 60.0 is 60.
        if isinstance(value, bool) or not isinstance(value, int):
            raise _BadValue(f"{expected}; it is {shown(value)}")
        if minimum <= value <= maximum or (value == 0 and rule.zero is not None):
            return value
        if not self._lenient:
            raise _BadValue(f"{expected}; it is {shown(value)}")
        if value <= 0 and rule.zero is not None:
            return 0
        return min(max(value, minimum), maximum)

    def _instant(self, value: object) -> datetime:
        if not isinstance(value, str):
            raise _BadValue(f"must be an ISO-8601 date-time such as {EXAMPLE}; it is {shown(value)}")
        try:
            return parse_instant(value, self._zone)
        except ValueError as error:
            raise _BadValue(f"can't be read: {error}") from error

    def _periods(self, value: object, field: str) -> tuple[Period, ...]:
        if not isinstance(value, (list, tuple)):
            raise _BadValue(f"must be an array of ISO-8601 intervals start/end; it is {_kind(value)}")
        periods: list[Period] = []
        for index, item in enumerate(cast("Sequence[object]", value)):
            if not isinstance(item, str):
                self._fault(f"{field}[{index}]", f"must be an ISO-8601 interval start/end; it is {shown(item)}")
                continue
            try:
                periods.append(parse_period(item, self._zone))
            except ValueError as error:
                self._fault(f"{field}[{index}]", f"can't be read: {error}")
        return tuple(periods)

    def _messages(self, raw: object) -> tuple[Message, ...]:
        items = self._array(raw, "messages")
        if len(items) > MAX_RECIPIENTS:  # Each needs a recipient, so there is no need to look closer.
            wrong = f"must have at most {MAX_RECIPIENTS} elements; it has {len(items)}: send several jobs"
            self._fault("messages", wrong)
            return ()
        messages: list[Message] = []
        recipient_count = 0
        for index, item in enumerate(items):
            path = f"messages[{index}]"
            if not isinstance(item, dict):
                self._fault(path, f"must be an object with text and recipients; it is {_kind(item)}")
                continue
            fields = cast("dict[str, object]", item)
            self._ignore_others(fields, _MESSAGE_FIELDS, path)
            text = fields.get("text")
            if not isinstance(text, str) or not text:
                self._fault(f"{path}.text", f"must be a text that is not empty; it is {_state(text)}")
                text = ""
            raw_recipients = self._array(fields.get("recipients"), f"{path}.recipients")
            recipient_count += len(raw_recipients)
            if recipient_count > MAX_RECIPIENTS:
                continue  # Counted, but not read: the job is refused for their number.
            messages.append(Message(text, self._recipients(raw_recipients, path)))
        if recipient_count > MAX_RECIPIENTS:
            wrong = f"must have at most {MAX_RECIPIENTS} recipients in all; it has {recipient_count}"
            self._fault("messages", f"{wrong}: send several jobs")
        return tuple(messages)

    def _array(self, raw: object, path: str) -> list[object]:
        if isinstance(raw, list) and raw:
            return cast("list[object]", raw)
        self._fault(path, f"must be an array with at least one element; it is {_state(cast('object', raw))}")
        return []

    def _recipients(self, items: list[object], message_path: str) -> tuple[Recipient, ...]:
        recipients: list[Recipient] = []
        for index, item in enumerate(items):
            if type(item) is dict:
                fields = cast("dict[str, object]", item)
                dst = fields.get("dst")
                if type(dst) is str and dst and len(fields) == 1:
                    recipients.append(Recipient(dst, dst))  # What nearly all recipients look like.
                    continue
                recipient = self._recipient(fields, f"{message_path}.recipients[{index}]")
                if recipient is not None:
                    recipients.append(recipient)
            else:
                self._fault(f"{message_path}.recipients[{index}]", f"must be an object with dst; it is {_kind(item)}")
        return tuple(recipients)

    def _recipient(self, fields: dict[str, object], path: str) -> Recipient | None:
        values: dict[str, object] = {}
        spelled: dict[str, str] = {}
        for name, value in fields.items():
            right = _RECIPIENT_FIELDS.get(name)
            if value is None:
                continue
            if right is None:
                self._ignore(path, name, _RECIPIENT_NAMES)
            elif right not in values or name == right:
                values[right], spelled[right] = value, name
        fault_count = len(self.faults)
        dst = values.get("dst")
        if not isinstance(dst, str) or not dst:
            wrong = "must be a phone number such as +4917612345678, as a string"
            self._fault(f"{path}.dst", f"{wrong}; it is {_state(dst)}")
        reference = values.get("customerRef", dst)
        if reference is not dst:
            field = f"{path}.{spelled['customerRef']}"
            if not isinstance(reference, str):
                self._fault(field, f"must be a text; it is {shown(reference)}")
            elif len(reference) > MAX_REFERENCE_LENGTH:
                self._fault(field, _too_long(reference, MAX_REFERENCE_LENGTH))
        blackouts = None
        if "blackoutPeriods" in values:
            field = f"{path}.{spelled['blackoutPeriods']}"
            try:
                blackouts = self._periods(values["blackoutPeriods"], field)
            except _BadValue as bad:
                self._fault(field, str(bad))
        if len(self.faults) > fault_count:
            return None
        return Recipient(cast("str", dst), cast("str", reference), blackouts)

    def _ignore_others(self, fields: Mapping[str, object], known: Sequence[str], path: str) -> None:
        for name, value in fields.items():
            if name not in known and value is not None:
                self._ignore(path, name, known)

    def _ignore(self, path: str, name: str, known: Iterable[str]) -> None:
        name = name or '""'
        field = f"{path}.{_cut(name)}" if path else _cut(name)
        if self._strict:
            self._fault(field, _unknown(name, known))
        elif len(self.ignored) < MAX_TOLD:
            self.ignored.append(field)

    def _fault(self, field: str, message: str) -> None:
        if len(self.faults) < MAX_TOLD:
            self.faults.append(FieldFault(field, message))


def ignored_fields(
    fields: Mapping[str, object], known: Sequence[str], *, strict: bool
) -> tuple[list[str], list[FieldFault]]:
    """The names of a body's fields that mean nothing, or faults for them if `strict`."""
    unknown = [name for name, value in fields.items() if name not in known and value is not None][:MAX_TOLD]
    if strict:
        return [], [FieldFault(_cut(name or '""'), _unknown(name, known)) for name in unknown]
    return [_cut(name or '""') for name in unknown], []


def _unknown(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, known, n=1) if len(name) <= _SHOWN_LENGTH else []
    return f"is not known; did you mean {near[0]}?" if near else "is not known; leave it out"


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise _BadValue(f"must be true or false; it is {shown(value)}")
    return value


def _text(value: object, option: Option) -> str:
    if not isinstance(value, str):
        raise _BadValue(f"must be a text; it is {shown(value)}")
    if option.rule.max_length is not None and len(value) > option.rule.max_length:
        raise _BadValue(_too_long(value, option.rule.max_length))
    fault = option.rule.fault(value) if option.rule.fault else None
    if fault is not None:
        raise _BadValue(f"can't be used: {fault}")
    return value


def _member(value: object, kind: type[Enum]) -> Enum:
    if isinstance(value, str) and value.isascii():
        for member in kind:
            if member.value == value.upper():
                return member
    names = ", ".join(member.value or "(empty)" for member in kind)
    raise _BadValue(f"must be one of {names}; it is {shown(value)}")


def _too_long(value: str, maximum: int) -> str:
    return f"must have at most {maximum} characters; it has {len(value)}"


def _state(value: object) -> str:
    """What is wrong with a value that should be there, without showing it."""
    return "missing" if value is None else "empty" if value in ("", []) else _kind(value)


def _kind(value: object) -> str:
    """A JSON value's kind in words, for errors that must not show it."""
    match value:
        case None:
            return "null"
        case bool():
            return "a boolean"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "an array"
        case _:
            return "an object"


def shown(value: object) -> str:
    """A JSON value as it may stand in an error, cut short."""
    if isinstance(value, (list, dict)):
        return _kind(cast("object", value))
    return _cut(msgspec.json.encode(value).decode())


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN_LENGTH else text[:_SHOWN_LENGTH] + "…"


# Queries


class Parameter(NamedTuple):
    """One parameter of a query or a path, once: what validates it also describes it.

    kind: bool, int, datetime, str or an enumeration; minimum, maximum: of an int.
    pattern, format: of a str, as JSON Schema has them. may_be_empty: an empty value is one, not the same as none.
    """

    name: str
    kind: type
    description: str
    required: bool = False
    default: object = None
    minimum: int | None = None
    maximum: int | None = None
    pattern: str | None = None
    format: str | None = None
    example: str | None = None
    may_be_empty: bool = False


def parse_query(
    parameters: Sequence[Parameter],
    pairs: Sequence[tuple[str, str]],
    zone: tzinfo,
    *,
    strict: bool = False,
    faults: list[FieldFault] | None = None,
) -> tuple[dict[str, Any], list[str]]:
    """Values by name, defaults filled in, and the names of parameters that mean nothing.

    An empty value is the same as none, unless the parameter says otherwise; of one given twice the first counts.
    strict: parameters that mean nothing are faults.
    faults: gets every parameter at fault, whose value is then its default. Without it RequestInvalid is raised.
    """
    found: list[FieldFault] = []
    known = {parameter.name: parameter for parameter in parameters}
    given: dict[str, str] = {}
    ignored: list[str] = []
    for name, value in pairs:
        if name in known:
            if value or known[name].may_be_empty:
                given.setdefault(name, value)
        elif name and len(ignored) < MAX_TOLD:
            ignored.append(_cut(name))
    values: dict[str, Any] = {}
    if strict:
        found, ignored = [FieldFault(name, _unknown(name, known)) for name in ignored], []
    for parameter in parameters:
        text = given.get(parameter.name)
        values[parameter.name] = parameter.default
        if text is None:
            if parameter.required:
                wrong = f"is missing; give it in the query: {parameter.description}"
                found.append(FieldFault(parameter.name, wrong))
            continue
        try:
            values[parameter.name] = _QUERY_READERS.get(parameter.kind, _read_member)(text, parameter, zone)
        except ValueError as error:
            found.append(FieldFault(parameter.name, str(error)))
    if faults is not None:
        faults += found
    elif found:
        raise RequestInvalid.of(*found, ignored=ignored)
    return values, ignored


def _read_boolean(text: str, parameter: Parameter, zone: tzinfo) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(f"must be true or false; it is {shown(text)}")
    return text.lower() == "true"


def _read_number(text: str, parameter: Parameter, zone: tzinfo) -> int:
    expected = f"must be a whole number of at least {parameter.minimum}"
    if parameter.maximum is not None:
        expected = f"must be a whole number from {parameter.minimum} to {parameter.maximum}"
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()):
        raise ValueError(f"{expected}; it is {shown(text)}")
    # Beyond all that is counted here one number is as good as another, and databases have an end.
    number = int(digits.lstrip("0")[:_COUNTED_DIGITS] or "0") * (-1 if digits != text else 1)
    if (parameter.minimum is not None and number < parameter.minimum) or (
        parameter.maximum is not None and number > parameter.maximum
    ):
        raise ValueError(f"{expected}; it is {shown(text)}")
    return number


def _read_instant(text: str, parameter: Parameter, zone: tzinfo) -> datetime:
    try:
        return parse_instant(text, zone)
    except ValueError as error:
        raise ValueError(f"can't be read: {error}") from error


def _read_text(text: str, parameter: Parameter, zone: tzinfo) -> str:
    return text


def _read_member(text: str, parameter: Parameter, zone: tzinfo) -> Enum:
    try:
        return _member(text, parameter.kind)
    except _BadValue as bad:
        raise ValueError(str(bad)) from bad


_QUERY_READERS: dict[type, Callable[[str, Parameter, tzinfo], Any]] = {
    bool: _read_boolean,
    int: _read_number,
    datetime: _read_instant,
    str: _read_text,
}


# Answers


def _one_of(kind: type[Enum], description: str) -> Meta:
    return Meta(description=description, extra_json_schema={"enum": [member.value for member in kind]})


def _timestamped(description: str) -> Meta:
    return Meta(description=f"{description} UTC, milliseconds.", extra_json_schema={"format": "date-time"})


def _id(of: str, example: str) -> Meta:
    return Meta(description=f"Id of the {of}.", extra_json_schema={"examples": [example]})


JobIdText = Annotated[str, _id("job", EXAMPLE_JOB_ID)]
SmsIdText = Annotated[str, _id("SMS", EXAMPLE_SMS_ID)]


class JobResponse(msgspec.Struct, frozen=True, rename="camel"):
    """A job was accepted: its id."""

    job_id: JobIdText


class JobReport(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A job with the options in force, and when it was received and finished."""

    job_id: JobIdText
    src: Annotated[str, Meta(description="Sender ID in force.")]
    encoding: Annotated[str, _one_of(Encoding, "Encoding asked for.")]
    billcode: Annotated[str, Meta(description="Cost centre.")]
    status_requested: Annotated[bool, Meta(description="Whether delivery receipts were asked for.")]
    flash: Annotated[bool, Meta(description="Whether the SMS are shown at once and stored nowhere.")]
    validity_min: Annotated[int, Meta(description="Validity in minutes; 0 is the carrier's default.")]
    customer_ref: Annotated[str, Meta(description="Your own reference of the job.")]
    qos: Annotated[str, _one_of(Qos, "Quality of service.")]
    receipt_ts: Annotated[str, _timestamped("When the job was received.")]
    finished_ts: Annotated[str, _timestamped("When the last of its SMS became final; absent before.")] | UnsetType = (
        UNSET
    )
    recipient_ids: Annotated[list[SmsIdText], Meta(description="The ids of its SMS, in the order of the request.")]


class RecipientReport(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """What became of one SMS."""

    sms_id: SmsIdText
    dst: Annotated[str, Meta(description="The number in E.164; as it was sent, if it is no possible one.")]
    process_status: Annotated[str, _one_of(ProcessStatus, "Where the SMS stands; DONE, CANCELED and KILL are final.")]
    status: Annotated[
        str, _one_of(Status, "What became of the SMS, or of the last try; empty while there is nothing to tell.")
    ]
    customer_ref: Annotated[str, Meta(description="Your own reference of the recipient.")]
    reason: Annotated[str, Meta(description="The carrier's own words; empty while there are none.")]
    sent_ts: Annotated[str, _timestamped("When the carrier took it; absent before.")] | UnsetType = UNSET
    finished_ts: Annotated[str, _timestamped("When it became final; absent before.")] | UnsetType = UNSET


class InboundReport(msgspec.Struct, frozen=True, rename="camel"):
    """An SMS received from a phone."""

    sms_id: Annotated[str, _id("SMS", EXAMPLE_INBOUND_ID)]
    src: Annotated[str, Meta(description="The phone, in E.164; a short code or a name as the carrier says it.")]
    dst: Annotated[str, Meta(description="Your number or short code that it was sent to.")]
    text: Annotated[str, Meta(description="The text; `[…]` stands in it for parts that never came.")]
    received_ts: Annotated[str, _timestamped("When the last of its parts came, or was given up.")]


class BlocklistEntry(msgspec.Struct, frozen=True, rename="camel"):
    """A number that gets nothing from the account."""

    dst: Annotated[str, Meta(description="The number in E.164.")]
    created_ts: Annotated[str, _timestamped("When it was put on the blocklist.")]


class VersionInfoResponse(msgspec.Struct, frozen=True, rename="camel"):
    """What is running."""

    build_number: Annotated[int, Meta(description="Number of the build within the minor version.")]
    build_timestamp: Annotated[str, _timestamped("When this version was installed.")]
    major_version: Annotated[int, Meta(description="Major version.")]
    minor_version: Annotated[int, Meta(description="Minor version.")]
    version_info: Annotated[str, Meta(description="Program and version.")]
    message: Annotated[str, Meta(description="What the service says of itself.")]


class FieldError(msgspec.Struct, frozen=True):
    """One field at fault."""

    field: Annotated[str, Meta(description="Path of the field, such as messages[0].recipients[2].dst.")]
    message: Annotated[str, Meta(description="What is wrong with it, and what would be right.")]


class ErrorResponse(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is wrong, where, and what would be right."""

    code: Annotated[int, Meta(description="The HTTP status code.")]
    message: Annotated[str, Meta(description="What is wrong, where, and what would be right.")]
    errors: Annotated[list[FieldError], Meta(description="Every field at fault; absent where none is.")] = []


def job_report(job: StoredJob) -> JobReport:
    """A job as reports show it."""
    options = job.options
    return JobReport(
        job_id=job.job_id,
        src=options.src,
        encoding=options.encoding.value,
        billcode=options.billcode,
        status_requested=options.status_requested,
        flash=options.flash,
        validity_min=options.validity_min,
        customer_ref=options.customer_ref,
        qos=options.qos.value,
        receipt_ts=format_instant(job.received_at),
        finished_ts=_timestamp(job.finished_at),
        recipient_ids=cast("list[str]", sms_ids(job.job_id, job.sms_count)),
    )


def recipient_report(job_id: JobId, sms: StoredSms) -> RecipientReport:
    """An SMS as reports show it."""
    progress = sms.progress
    return RecipientReport(
        sms_id=sms_id(job_id, sms.index),
        dst=sms.dst,
        process_status=progress.process_status.value,
        status=progress.status.value,
        customer_ref=sms.customer_ref,
        reason=progress.reason,
        sent_ts=_timestamp(progress.sent_at),
        finished_ts=_timestamp(progress.finished_at),
    )


def inbound_report(sms: InboundSms) -> InboundReport:
    """An SMS from a phone as lists show it."""
    return InboundReport(sms.sms_id, sms.src, sms.dst, sms.text, format_instant(sms.received_at))


def blocklist_entry(number: BlockedNumber) -> BlocklistEntry:
    """An entry of the blocklist as it is shown."""
    return BlocklistEntry(number.dst, format_instant(number.created_at))


def _timestamp(instant: datetime | None) -> str | UnsetType:
    return UNSET if instant is None else format_instant(instant)
