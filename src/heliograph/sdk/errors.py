"""What can go wrong for a client, by who has to act.

Wrong settings (no URL, a name that can't be one) are `SettingsInvalid`, as everywhere in heliograph.
"""

from heliograph.jobs.errors import FieldFault, HeliographError


class ClientError(HeliographError):
    """What every call can raise: the text says what is wrong, and what would be right.

    code: the HTTP status that was answered; None where nobody answered.
    uncertain: whether the service may have done all the same what it was asked, such as sending a job.
    sent: the ids of the jobs that `send_messages` had sent before, where it makes several.
    """

    def __init__(self, message: str, *, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.uncertain = False
        self.sent: tuple[str, ...] = ()

    def __str__(self) -> str:
        doubt = "; it is unknown whether it was done all the same" if self.uncertain else ""
        return super().__str__() + doubt


class InvalidRequest(ClientError, ValueError):
    """You have to mend the request. fields: every field at fault, as `field` and `message`."""

    def __init__(self, message: str, fields: tuple[FieldFault, ...] = (), *, code: int | None = None) -> None:
        super().__init__(message, code=code)
        self.fields = fields


class RefusedCharacters(InvalidRequest):
    """With `invalid_characters=REFUSE`: a text holds characters that STANDARD can't carry."""


class Unauthorized(ClientError):
    """Username or password is wrong, or the account may not do this."""


class NotFound(ClientError):
    """The account has no such job, number or webhook."""


class Duplicate(ClientError):
    """An equal request was sent a short time ago, or another one with this `idempotency_key`.

    job_id: as which job, where the service says it.
    """

    def __init__(self, message: str, job_id: str | None = None, *, code: int | None = None) -> None:
        super().__init__(message, code=code)
        self.job_id = job_id


class RateLimited(ClientError):
    """The account has used up its calls. retry_after_s: seconds until the next one may come."""

    def __init__(self, message: str, retry_after_s: float = 1.0, *, code: int | None = None) -> None:
        super().__init__(message, code=code)
        self.retry_after_s = retry_after_s


class Unavailable(ClientError):
    """The service can't be reached, or can't answer: come back later, or ask whoever runs it."""


class Unsupported(ClientError):
    """This service has no such operation."""


class UnexpectedAnswer(ClientError):
    """What was answered is nothing that this API answers: the URL may be another program's."""


class NotFinished(ClientError, TimeoutError):
    """`wait` has waited as long as it was told to. job_id: of the job, which goes on; it can be waited for again."""

    def __init__(self, message: str, job_id: str = "") -> None:
        super().__init__(message)
        self.job_id = job_id


class IgnoredFields(UserWarning):
    """The service doesn't know some fields of a request, and ignored them: it may be older than this client."""


class InsecureConnection(UserWarning):
    """The password travels where others can read it."""
