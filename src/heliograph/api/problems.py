"""Errors → status code and body. Total: whatever is raised, the customer gets one clear answer."""

import math
import traceback
from http import HTTPStatus

import msgspec
import structlog

from heliograph.api.answers import Answer
from heliograph.api.auth import CredentialsWrong
from heliograph.jobs.errors import (
    CharactersRefused,
    FieldFault,
    HeliographError,
    IdempotencyKeyBusy,
    IdempotencyKeyTaken,
    JobDuplicate,
    JobUnknown,
    NumberNotBlocked,
    OutcomeUnknown,
    Overloaded,
    RequestInvalid,
    SpendingLimitReached,
    StoreUnavailable,
    TooManyWebhooks,
    WebhookUnknown,
)
from heliograph.wire.shapes import ErrorResponse, FieldError

STORE_RETRY_AFTER_S = 5
OUTCOME_UNKNOWN = (
    "the database went away at the last moment, and it is not known whether this was accepted; look whether it is "
    "there (a job: GET /rest/v1/jobs), or send it again: a job with the same Idempotency-Key is not accepted twice"
)
_UNDONE = {"POST": "nothing was accepted, ", "PUT": "nothing was changed, ", "DELETE": "nothing was changed, "}
"""What didn't happen, by the request's method; those that only ask have nothing to fear."""

log = structlog.get_logger()


class HttpProblem(HeliographError):
    """What HTTP itself has to say about a request."""

    def __init__(self, status: HTTPStatus, message: str, *headers: tuple[str, str]) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers


class TooManyCalls(HeliographError):
    """The account has used up its rate limit. retry_after_s: until the next call may come."""

    def __init__(self, limit: str, retry_after_s: float) -> None:
        self.retry_after_s = max(1, math.ceil(retry_after_s))
        super().__init__(f"the account may make {limit}, and has; try again in {self.retry_after_s} s")


def answer_to(error: Exception, method: str = "POST") -> Answer:
    """The answer that tells an error of a request with an HTTP method."""
    match error:
        case CharactersRefused():
            return problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error), error.faults)
        case RequestInvalid():
            return problem(HTTPStatus.BAD_REQUEST, str(error), error.faults)
        case CredentialsWrong():
            challenge = ("WWW-Authenticate", 'Basic realm="heliograph", charset="UTF-8"')
            return problem(HTTPStatus.UNAUTHORIZED, str(error), (), challenge)
        case JobUnknown() | NumberNotBlocked() | WebhookUnknown():
            return problem(HTTPStatus.NOT_FOUND, str(error))
        case JobDuplicate() | IdempotencyKeyTaken() | IdempotencyKeyBusy() | TooManyWebhooks():
            return problem(HTTPStatus.CONFLICT, str(error))
        case SpendingLimitReached():
            return problem(HTTPStatus.TOO_MANY_REQUESTS, str(error))
        case TooManyCalls():
            return _later(HTTPStatus.TOO_MANY_REQUESTS, str(error), error.retry_after_s)
        case Overloaded():
            return _later(HTTPStatus.SERVICE_UNAVAILABLE, str(error), error.retry_after_s)
        case OutcomeUnknown():
            log.error("api.outcome_unknown", error=str(error))
            return _later(HTTPStatus.SERVICE_UNAVAILABLE, OUTCOME_UNKNOWN, STORE_RETRY_AFTER_S)
        case StoreUnavailable():
            log.error("api.store_unavailable", error=str(error))
            message = f"the database can't be used at the moment; {_UNDONE.get(method, '')}try again in a moment"
            return _later(HTTPStatus.SERVICE_UNAVAILABLE, message, STORE_RETRY_AFTER_S)
        case HttpProblem():
            return problem(error.status, str(error), (), *error.headers)
        case _:
            # Where, not what: an exception may hold the value that it stumbled over, and that may be a text.
            where = "".join(traceback.format_tb(error.__traceback__))
            log.error("api.failed", error=type(error).__qualname__, where=where)
            message = "the service failed; this is a defect of ours, and its log says more"
            return problem(HTTPStatus.INTERNAL_SERVER_ERROR, message)


def problem(status: HTTPStatus, message: str, faults: tuple[FieldFault, ...] = (), *headers: tuple[str, str]) -> Answer:
    """An error as JSON (contract, "Errors")."""
    errors = [FieldError(fault.field, fault.message) for fault in faults]
    return Answer(status, msgspec.json.encode(ErrorResponse(int(status), message, errors)), list(headers))


def _later(status: HTTPStatus, message: str, retry_after_s: int) -> Answer:
    return problem(status, message, (), ("Retry-After", str(retry_after_s)))
