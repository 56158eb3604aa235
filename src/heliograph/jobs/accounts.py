"""Who may use the service, and what each one's requests mean."""

from enum import Enum
from typing import NewType
from zoneinfo import ZoneInfo

import msgspec

from heliograph.jobs.options import JobOptions

AccountId = NewType("AccountId", int)


class OnUnknown(Enum):
    """What to do when nobody can tell whether the carrier took an SMS: risk sending it twice, or not at all."""

    RESEND = "resend"
    GIVE_UP = "give-up"


class RateLimit(msgspec.Struct, frozen=True):
    """At most `calls` in any `period_s` seconds (a sliding window)."""

    calls: int
    period_s: int

    def __str__(self) -> str:
        return f"{self.calls}/{self.period_s}s"


DEFAULT_RATE_LIMIT = RateLimit(calls=100, period_s=60)
DEFAULT_SMS_PER_HOUR = 100
MAX_SMS_PER_HOUR = 100_000


class McpAccess(msgspec.Struct, frozen=True, kw_only=True):
    """Whether agents may act for an account over MCP, and how much they may spend.

    key_hash: of the key that they show (`api.keys`). enabled: off keeps the key for when it is on again.
    sms_per_hour: how many SMS they may send in any 60 minutes, each part of a long text counted (`jobs.spending`).
    """

    key_hash: str
    enabled: bool = True
    sms_per_hour: int = DEFAULT_SMS_PER_HOUR


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """One username and password, and how to read its requests.

    password_hash: Argon2id, encoded; it changes when the password does.
    country: ISO 3166 code by which numbers without a country are read; None reads international ones only.
    timezone: IANA name of the time zone of times without an offset.
    lenient: numbers out of range get the nearest allowed value instead of an error.
    rate_limit: None is no limit.
    defaults: what an option that a request leaves out is.
    mcp: for agents; None if it was never switched on.
    """

    id: AccountId
    name: str
    password_hash: str
    timezone: str = "UTC"
    country: str | None = None
    lenient: bool = False
    on_unknown: OnUnknown = OnUnknown.RESEND
    rate_limit: RateLimit | None = DEFAULT_RATE_LIMIT
    defaults: JobOptions = JobOptions()
    disabled: bool = False
    mcp: McpAccess | None = None

    @property
    def zone(self) -> ZoneInfo:
        """The time zone of times without an offset."""
        return ZoneInfo(self.timezone)
