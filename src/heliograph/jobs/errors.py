"""The errors of heliograph, grouped by who has to act."""

from collections.abc import Iterable
from dataclasses import dataclass


class HeliographError(Exception):
    """The root of all errors that heliograph raises on purpose."""


@dataclass(frozen=True, slots=True)
class FieldFault:
    """What is wrong with one field. field: its path, such as `messages[0].recipients[2].dst`."""

    field: str
    message: str


class RequestInvalid(HeliographError):
    """The customer has to mend the request; `faults` names every field at fault, `ignored` those that mean nothing."""

    def __init__(self, message: str, faults: tuple[FieldFault, ...] = (), ignored: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.faults = faults
        self.ignored = ignored

    @classmethod
    def of(cls, *faults: FieldFault, ignored: Iterable[str] = ()) -> "RequestInvalid":
        """For faults of fields: the message tells the first and counts the rest."""
        first = f"{faults[0].field} {faults[0].message}"
        more = f" (and {len(faults) - 1} more, see errors)" if len(faults) > 1 else ""
        return cls(first + more, faults, tuple(ignored))


class CharactersRefused(RequestInvalid):
    """The customer asked to refuse what STANDARD can't carry, and the text holds such characters."""


class SearchTooWide(RequestInvalid):
    """The customer has to look for less: it would take too long to look at all that may be meant."""


class JobUnknown(HeliographError):
    """The account has no such job."""

    @classmethod
    def of(cls, job_id: str) -> "JobUnknown":
        """With what to do."""
        return cls(f"there is no job {job_id}; GET /rest/v1/jobs?jobIdsOnly=true lists the jobs of this account")


class NumberNotBlocked(HeliographError):
    """The account's blocklist has no such number."""


class WebhookUnknown(HeliographError):
    """The account has no such webhook."""


class TooManyWebhooks(HeliographError):
    """The account has as many webhooks as it can have."""


class JobDuplicate(HeliographError):
    """An equal request was accepted a short time ago as `job_id`."""

    def __init__(self, job_id: str) -> None:
        super().__init__(
            f"an equal request was accepted within the last 10 minutes as job {job_id}; "
            "to send it again all the same, set duplicateDetection to false"
        )
        self.job_id = job_id


class IdempotencyKeyTaken(HeliographError):
    """The idempotency key was used for another request, which was accepted as `job_id`."""

    def __init__(self, job_id: str) -> None:
        super().__init__(
            f"the Idempotency-Key was used within the last 24 hours for another request, accepted as job {job_id}; "
            "give each request a key of its own"
        )
        self.job_id = job_id


class IdempotencyKeyBusy(HeliographError):
    """The first request with that idempotency key is still under way."""


class SpendingLimitReached(HeliographError):
    """An agent asked to send more than its account lets agents spend; a person may have to decide."""


class Overloaded(HeliographError):
    """The customer has to come back later; the operator may want to look."""

    def __init__(self, message: str, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class StoreUnavailable(HeliographError):
    """The operator has to act: the database can't be used as it should."""


class OutcomeUnknown(StoreUnavailable):
    """The database went away while it was to make something durable: whether it did can't be told."""


class SettingsInvalid(HeliographError):
    """The operator has to mend the configuration."""


class AccountExists(HeliographError):
    """The operator chose a name that another account has."""
