"""Each operation of the API as a value: what to ask, and how to read what is answered. Nothing here does I/O.

What the service checks is left to it, for its answers name every field at fault. Here is refused only what it can't
see: an instant without a time zone, which would mean another one there.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from difflib import get_close_matches
from enum import Enum
from functools import partial
from typing import Any, Generic, TypeVar, cast
from urllib.parse import quote

import msgspec

from heliograph.jobs.errors import FieldFault
from heliograph.jobs.options import OPTIONS
from heliograph.jobs.request import MAX_RECIPIENTS
from heliograph.jobs.schedule import Period
from heliograph.sdk.errors import InvalidRequest
from heliograph.sdk.models import (
    BlocklistEntry,
    FailedEventReport,
    InboundReport,
    JobReport,
    Message,
    Options,
    Preview,
    Recipient,
    RecipientReport,
    Recipients,
    VersionInfo,
    Webhook,
)
from heliograph.sdk.reading import read, read_list
from heliograph.wire.operations import MAX_BODY_OCTETS
from heliograph.wire.times import format_instant

MAX_MESSAGES_OCTETS = MAX_BODY_OCTETS - 1024 * 1024
"""Of a job's messages as JSON; the rest of the body is for its options."""
MAX_KEY_LENGTH = 255
ID_PAGE_SIZE = 1000
PAGE_SIZE = 100
"""Whole reports: those of 100 jobs can name 300,000 SMS."""

T = TypeVar("T")
_WIRE_NAMES = {option.name: option.wire_name for option in OPTIONS}


class Repeat(Enum):
    """When a call may be made again, though it may have been carried out the first time."""

    FREELY = "freely"
    """Done twice it does no more than once, and answers the same."""
    BY_KEY = "by key"
    """It is a job: where the service knows its Idempotency-Key, or looks for duplicates, it is sent once."""
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One request to the service.

    path: below the base path. read: makes the answer's JSON what the caller gets; ValueError where it can't.
    original: whether it is one of the five operations that every service with this API has.
    """

    method: str
    path: str
    read: Callable[[Any], T]
    query: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    key: str | None = None
    repeat: Repeat = Repeat.FREELY
    detects_duplicates: bool = False
    original: bool = False


def raw(call: Call[Any]) -> Call[Any]:
    """The same call, answered with the JSON as it came."""
    return replace(call, read=_as_it_is)


def _as_it_is(answer: object) -> object:
    return answer


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """A call whose answer comes in pages. identity: what tells an element from the others."""

    first: Call[list[T]]
    page_size: int
    identity: Callable[[T], str]

    def page(self, offset: int, size: int) -> Call[list[T]]:
        """The call for `size` elements from `offset` on."""
        return replace(self.first, query=(*self.first.query, ("offset", str(offset)), ("limit", str(size))))


# Sending


def send_job(messages: Sequence[Message], options: Options, key: str | None) -> Call[str]:
    """Send a job; its id. key: an Idempotency-Key, for services that know it."""
    body = _job_request(messages, options)
    detects = options.get("duplicate_detection") is True
    return Call("POST", "/jobs", _job_id, (), body, key, Repeat.BY_KEY, detects, original=True)


def send_jobs(messages: Iterable[Message], options: Options, key: str | None) -> list[Call[str]]:
    """Send messages in as few jobs as can be. key: of the first; the others' have their number after it."""
    return [
        send_job(job, options, checked_key(f"{key}-{number}") if key and number > 1 else key)
        for number, job in enumerate(split_messages(messages), start=1)
    ]


def checked_key(key: str) -> str:
    """An Idempotency-Key that can stand in a header. Raises InvalidRequest."""
    if not (1 <= len(key) <= MAX_KEY_LENGTH and key.isascii() and key.isprintable()) or " " in key:
        raise InvalidRequest(f"idempotency_key must be 1 to {MAX_KEY_LENGTH} characters of ASCII without blanks")
    return key


def preview_job(messages: Sequence[Message], options: Options) -> Call[Preview]:
    """What would become of a job; nothing is sent."""
    return Call("POST", "/jobs/preview", partial(read, Preview), body=_job_request(messages, options))


def split_messages(messages: Iterable[Message]) -> Iterator[list[Message]]:
    """The same messages in their order, in as few lists as make a job each.

    A job has at most 3000 recipients, and about 7 MiB of JSON. A message with more recipients goes on in the next job.
    """
    job: list[Message] = []
    free, free_octets = MAX_RECIPIENTS, MAX_MESSAGES_OCTETS
    for message in messages:
        text_octets = len(_encoded(message.text))
        recipients: list[str | Recipient] = []
        for recipient in _recipients(message.to):
            octets = len(_encoded(_recipient(recipient, "", []))) + (0 if recipients else text_octets) + 40
            if (free == 0 or octets > free_octets) and (job or recipients):
                if recipients:
                    job.append(Message(message.text, recipients))
                yield job
                job, recipients = [], []
                free, free_octets = MAX_RECIPIENTS, MAX_MESSAGES_OCTETS
                octets += text_octets
            recipients.append(recipient)
            free, free_octets = free - 1, free_octets - octets
        job.append(Message(message.text, recipients))
    if job:
        yield job


def _job_request(messages: Sequence[Message], options: Options) -> bytes:
    faults: list[FieldFault] = []
    request: dict[str, object] = {}
    given = {_wire_name(name): value for name, value in options.items() if value is not None}
    if given:
        request["options"] = {name: _wire_value(value, f"options.{name}", faults) for name, value in given.items()}
    request["messages"] = [
        {
            "text": message.text,
            "recipients": [
                _recipient(each, f"messages[{index}].recipients[{place}]", faults)
                for place, each in enumerate(_recipients(message.to))
            ],
        }
        for index, message in enumerate(messages)
    ]
    if faults:
        raise _invalid(faults)
    return _encoded(request)


def _recipients(to: Recipients) -> Iterable[str | Recipient]:
    return (to,) if isinstance(to, (str, Recipient)) else to


def _recipient(recipient: str | Recipient, path: str, faults: list[FieldFault]) -> dict[str, object]:
    if not isinstance(recipient, Recipient):
        return {"dst": recipient}
    told: dict[str, object] = {"dst": recipient.dst}
    if recipient.customer_ref is not None:
        told["customerRef"] = recipient.customer_ref
    if recipient.blackout_periods is not None:
        told["blackoutPeriods"] = _wire_value(recipient.blackout_periods, f"{path}.blackoutPeriods", faults)
    return told


def _wire_name(name: str) -> str:
    if name not in _WIRE_NAMES:
        near = get_close_matches(name, _WIRE_NAMES, n=1)
        raise TypeError(f"there is no option {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
    return _WIRE_NAMES[name]


def _wire_value(value: object, field: str, faults: list[FieldFault]) -> object:
    if isinstance(value, datetime):
        return _instant(value, field, faults)
    if isinstance(value, str) or not isinstance(value, Iterable):
        return value
    periods = enumerate(cast("Iterable[object]", value))
    return [_period(each, f"{field}[{index}]", faults) for index, each in periods]


def _period(period: object, field: str, faults: list[FieldFault]) -> object:
    if not isinstance(period, Period):
        return period
    return f"{_instant(period.start, field, faults)}/{_instant(period.end, field, faults)}"


def _instant(instant: datetime, field: str, faults: list[FieldFault]) -> str:
    if instant.tzinfo is None:
        wrong = "has no time zone, so it could mean any; give it one, such as tzinfo=UTC or ZoneInfo('Europe/Berlin')"
        faults.append(FieldFault(field, f"{wrong}; it is {instant.isoformat()}"))
        return ""
    return format_instant(instant)


def _encoded(value: object) -> bytes:
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError as error:
        raise InvalidRequest("a text is not valid Unicode: it has half of a surrogate pair") from error


def _invalid(faults: Sequence[FieldFault]) -> InvalidRequest:
    more = f" (and {len(faults) - 1} more, see fields)" if len(faults) > 1 else ""
    return InvalidRequest(f"{faults[0].field} {faults[0].message}{more}", tuple(faults))


def _job_id(answer: object) -> str:
    job_id = cast("dict[str, object]", answer).get("jobId") if isinstance(answer, dict) else None
    if not isinstance(job_id, str):
        raise ValueError("jobId is missing")
    return job_id


# Reading


def get_job(job_id: str) -> Call[JobReport]:
    """A job."""
    return Call("GET", f"/jobs/{_segment(job_id)}", partial(read, JobReport), original=True)


def cancel_job(job_id: str) -> Call[JobReport]:
    """Cancel what can still be cancelled of a job; done twice, it finds nothing more."""
    return Call("DELETE", f"/jobs/{_segment(job_id)}", partial(read, JobReport))


def list_job_ids(from_ts: datetime | None, to_ts: datetime | None, *, open_only: bool) -> Listing[str]:
    """The ids of jobs, newest first."""
    query = _query(jobIdsOnly=True, fromTs=from_ts, toTs=to_ts, open=open_only or None)
    return Listing(Call("GET", "/jobs", _job_ids, query, original=True), ID_PAGE_SIZE, str)


def list_jobs(from_ts: datetime | None, to_ts: datetime | None, *, open_only: bool) -> Listing[JobReport]:
    """Whole jobs, newest first."""
    query = _query(jobIdsOnly=False, fromTs=from_ts, toTs=to_ts, open=open_only or None)
    return Listing(Call("GET", "/jobs", partial(read_list, JobReport), query), PAGE_SIZE, lambda job: job.job_id)


def get_sms(job_id: str) -> Call[list[RecipientReport]]:
    """What became of each SMS of a job, in the order of the request."""
    return Call("GET", "/sms", partial(read_list, RecipientReport), _query(jobId=job_id), original=True)


def find_sms(**filters: object) -> Listing[RecipientReport]:
    """The SMS that all the filters let through. Raises InvalidRequest without any."""
    query = _query(**filters)
    if not query:
        raise InvalidRequest("there is no filter; say which SMS to find, such as dst or from_ts")
    call = Call("GET", "/sms", partial(read_list, RecipientReport), query)
    return Listing(call, ID_PAGE_SIZE, lambda sms: sms.sms_id)


def get_version() -> Call[VersionInfo]:
    """What the service is running."""
    return Call("GET", "/version", partial(read, VersionInfo), original=True)


def list_inbound(from_ts: datetime | None, to_ts: datetime | None) -> Listing[InboundReport]:
    """SMS received from phones, newest first."""
    query = _query(fromTs=from_ts, toTs=to_ts)
    call = Call("GET", "/inbound", partial(read_list, InboundReport), query)
    return Listing(call, ID_PAGE_SIZE, lambda sms: sms.sms_id)


def _job_ids(answer: object) -> list[str]:
    if not isinstance(answer, list):
        raise ValueError(f"it is no array: {type(answer).__name__}")
    return [_job_id(each) for each in cast("list[object]", answer)]


# The blocklist


def list_blocklist() -> Listing[BlocklistEntry]:
    """The numbers that get nothing, in the order of their digits."""
    call = Call("GET", "/blocklist", partial(read_list, BlocklistEntry))
    return Listing(call, ID_PAGE_SIZE, lambda entry: entry.dst)


def get_blocklist_entry(dst: str) -> Call[BlocklistEntry]:
    """A number on the blocklist."""
    return Call("GET", f"/blocklist/{_segment(dst)}", partial(read, BlocklistEntry))


def block_number(dst: str) -> Call[BlocklistEntry]:
    """Put a number on the blocklist."""
    return Call("PUT", f"/blocklist/{_segment(dst)}", partial(read, BlocklistEntry))


def unblock_number(dst: str) -> Call[BlocklistEntry]:
    """Take a number off the blocklist. The second time there is nothing to take off, which would be an error."""
    return Call("DELETE", f"/blocklist/{_segment(dst)}", partial(read, BlocklistEntry), repeat=Repeat.NEVER)


# Webhooks


def add_webhook(url: str, events: Iterable[str]) -> Call[Webhook]:
    """Have events posted to a URL."""
    body = _encoded({"url": url, "events": list(events)})
    return Call("POST", "/webhooks", partial(read, Webhook), body=body, repeat=Repeat.NEVER)


def list_webhooks() -> Call[list[Webhook]]:
    """The account's webhooks."""
    return Call("GET", "/webhooks", partial(read_list, Webhook))


def remove_webhook(webhook_id: str) -> Call[Webhook]:
    """Post nothing more there. The second time it isn't there, which would be an error."""
    return Call("DELETE", f"/webhooks/{_segment(webhook_id)}", partial(read, Webhook), repeat=Repeat.NEVER)


def list_webhook_failures(webhook_id: str) -> Listing[FailedEventReport]:
    """The events that a webhook wasn't told, and won't be until it is replayed."""
    call = Call("GET", f"/webhooks/{_segment(webhook_id)}/failures", partial(read_list, FailedEventReport))
    return Listing(call, ID_PAGE_SIZE, lambda event: event.id)


def replay_webhook(webhook_id: str) -> Call[int]:
    """Have a webhook's failures tried again; how many. The second time it would be none."""
    return Call("POST", f"/webhooks/{_segment(webhook_id)}/replay", _replayed, repeat=Repeat.NEVER)


def _replayed(answer: object) -> int:
    count = cast("dict[str, object]", answer).get("replayed") if isinstance(answer, dict) else None
    if not isinstance(count, int):
        raise ValueError("replayed is missing")
    return count


# Paths and queries


def _segment(value: str) -> str:
    if value in ("", ".", ".."):  # They would make another path, and so another operation.
        raise InvalidRequest(f"an id or a number is needed; it is {value!r}")
    return quote(value, safe="+")


def _query(**values: object) -> tuple[tuple[str, str], ...]:
    faults: list[FieldFault] = []
    query = tuple((name, _text(value, name, faults)) for name, value in values.items() if value is not None)
    if faults:
        raise _invalid(faults)
    return query


def _text(value: object, name: str, faults: list[FieldFault]) -> str:
    match value:
        case bool():
            return str(value).lower()
        case datetime():
            return _instant(value, name, faults)
        case _:
            return str(value)
