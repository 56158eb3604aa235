"""What was answered → what the caller gets, or the error that says who has to act."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, TypeVar, cast

import msgspec

from heliograph.jobs.errors import FieldFault
from heliograph.sdk.calls import Call
from heliograph.sdk.errors import (
    ClientError,
    Duplicate,
    InvalidRequest,
    NotFound,
    RateLimited,
    RefusedCharacters,
    Unauthorized,
    Unavailable,
    UnexpectedAnswer,
    Unsupported,
)

IGNORED_HEADER = "heliograph-ignored"
SHORTEST_RETRY_AFTER_S = 1.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer. headers: names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """None came, and why. sent: whether the request may have reached the service."""

    reason: str
    sent: bool
    hopeless: bool = False
    """Trying again would end the same, as with a certificate that can't be trusted."""


Outcome = Answer | NoAnswer


def value_of(call: Call[T], outcome: Outcome, *, in_doubt: bool = False) -> T:
    """What a call returns, from its last outcome. Raises the ClientError that the outcome tells.

    in_doubt: a try may have been carried out though it did not end well.
    """
    if isinstance(outcome, Answer) and 200 <= outcome.status < 300:
        try:
            return call.read(msgspec.json.decode(outcome.body) if outcome.body.strip() else None)
        except ValueError as error:
            wrong = f"the answer to {call.method} {call.path} is none of this API: {error}; look at the client's URL"
            raise _doubted(UnexpectedAnswer(wrong, code=outcome.status), call, in_doubt=True) from error
    error = error_of(outcome)
    if in_doubt and call.detects_duplicates and call.key is None and isinstance(error, Duplicate) and error.job_id:
        return cast("T", error.job_id)  # The job of the try whose answer was lost, or one equal to it.
    raise _doubted(error, call, in_doubt=in_doubt)


def error_of(outcome: Outcome) -> ClientError:
    """The error that an outcome tells."""
    if isinstance(outcome, NoAnswer):
        return Unavailable(f"the service did not answer: {outcome.reason}")
    status = outcome.status
    message, fields = _told(outcome)
    match status:
        case HTTPStatus.BAD_REQUEST | HTTPStatus.REQUEST_ENTITY_TOO_LARGE | HTTPStatus.UNSUPPORTED_MEDIA_TYPE:
            return InvalidRequest(message, fields, code=status)
        case HTTPStatus.UNPROCESSABLE_ENTITY:
            return RefusedCharacters(message, fields, code=status)
        case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
            return Unauthorized(message, code=status)
        case HTTPStatus.NOT_FOUND:
            return NotFound(message, code=status)
        case HTTPStatus.METHOD_NOT_ALLOWED | HTTPStatus.NOT_IMPLEMENTED:
            return Unsupported(message, code=status)
        case HTTPStatus.CONFLICT:
            return Duplicate(message, first_job_id(message), code=status)
        case HTTPStatus.TOO_MANY_REQUESTS:
            return RateLimited(message, retry_after_s(outcome) or SHORTEST_RETRY_AFTER_S, code=status)
        case _ if status >= 500 or status == HTTPStatus.REQUEST_TIMEOUT:
            return Unavailable(message, code=status)
        case _ if 300 <= status < 400 and "location" in outcome.headers:
            return UnexpectedAnswer(f"the service is at {outcome.headers['location']}: give that URL", code=status)
        case _:
            return UnexpectedAnswer(message, code=status)


def _doubted(error: ClientError, call: Call[T], *, in_doubt: bool) -> ClientError:
    error.uncertain = in_doubt and call.method != "GET" and not isinstance(error, InvalidRequest)
    return error


def retry_after_s(answer: Answer) -> float | None:
    """Seconds that the answer asks to wait: a number, or an instant (RFC 9110, 10.2.3) by the service's own clock."""
    asked = answer.headers.get("retry-after", "").strip()
    if asked.isascii() and asked.isdigit():
        return float(asked[:9])
    then, now = _date(asked), _date(answer.headers.get("date", ""))
    return max(0.0, (then - now).total_seconds()) if then and now else None


def ignored_fields(outcome: Outcome) -> str | None:
    """The paths of what the service did not know in the request, as it names them."""
    return outcome.headers.get(IGNORED_HEADER) or None if isinstance(outcome, Answer) else None


def first_job_id(message: str) -> str | None:
    """The job's id that the text of an error names."""
    found = re.search(r"\bJ\.[^\s;,]{18,38}", message)
    return found[0].rstrip(".") if found else None


def _told(answer: Answer) -> tuple[str, tuple[FieldFault, ...]]:
    try:
        told: Any = msgspec.json.decode(answer.body)
        message = told["message"]
        faults = tuple(FieldFault(each["field"], each["message"]) for each in told.get("errors") or ())
    except (msgspec.DecodeError, UnicodeDecodeError, TypeError, KeyError, AttributeError):
        message, faults = None, ()
    if not isinstance(message, str) or not message:
        return f"the service answered {answer.status} {_phrase(answer.status)}".rstrip(), ()
    return message, cast("tuple[FieldFault, ...]", faults)


def _phrase(status: int) -> str:
    try:
        return f"({HTTPStatus(status).phrase})"
    except ValueError:
        return ""


def _date(text: str) -> datetime | None:
    try:
        instant = parsedate_to_datetime(text)
    except (ValueError, TypeError):
        return None
    return instant if instant.tzinfo else None
