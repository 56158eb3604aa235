"""Every setting once, with its type, default, range, unit and meaning.

What reads it from a file, a variable or a flag, what says that a value is wrong, and docs/reference/settings.md follow
from that. Contract: section 3, heliograph.toml.
"""

from enum import Enum
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from heliograph.config.addresses import Address, DatabaseUrl, Network, SqliteUrl
from heliograph.config.carriers import DAY_S, LONGEST_WAIT_S, CarrierSettings, SandboxSettings, SmppSettings, Wait
from heliograph.config.wording import quoted, suggestion
from heliograph.flow.dispatch.retrying import RetryPolicy
from heliograph.jobs.errors import SettingsInvalid
from heliograph.jobs.routing import OwnAlphabet, Route, Routing
from heliograph.smpp.profiles import Alphabet, Concatenation, FlashCoding
from heliograph.webhooks.retrying import RetryPolicy as WebhookRetryPolicy


class Role(Enum):
    """What a process does of what the service does."""

    API = "api"
    DISPATCH = "dispatch"


class LogFormat(Enum):
    """How log lines look."""

    AUTO = "auto"
    CONSOLE = "console"
    JSON = "json"


class ServerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The HTTP service and the process as a whole."""

    listen: Annotated[
        Address, Meta(description="Host and port of the HTTP service; port 0 takes any that is free.")
    ] = Address("127.0.0.1", 8480)
    tls_certificate: Annotated[
        Path | None,
        Meta(
            description="Certificate chain in PEM; with it and `tls_key` the service speaks HTTPS. Plain "
            "HTTP beyond loopback is warned about at start."
        ),
    ] = None
    tls_key: Annotated[Path | None, Meta(description="Private key of `tls_certificate` in PEM.")] = None
    roles: Annotated[
        tuple[Role, ...],
        Meta(
            min_length=1,
            description="What this process does: `api` answers HTTP requests, `dispatch` sends SMS, takes receipts and "
            "calls webhooks.",
        ),
    ] = (Role.API, Role.DISPATCH)
    trusted_proxies: Annotated[
        tuple[
            Annotated[Network, Meta(extra={"form": 'an address or a network, such as "10.0.0.7" or "10.0.0.0/8"'})],
            ...,
        ],
        Meta(
            description="The proxies before this service, whose `X-Forwarded-For` is taken for who asks: wrong "
            "passwords slow down the address that they come from. Of several addresses in it the last one counts that "
            "isn't in here. Empty is that whoever connects asks; behind a proxy all its clients are then one."
        ),
    ] = ()
    header_timeout: Annotated[
        float,
        Meta(
            gt=0,
            le=3600,
            description="How long a client may take to send the head of a request.",
            extra={"unit": "seconds"},
        ),
    ] = 10
    shutdown_delay: Annotated[
        float,
        Meta(
            ge=0,
            le=3600,
            description="How long, after SIGTERM, the service goes on as before while `/readyz` says that it stops: "
            "give a load balancer the time to notice, and no call is refused. A second SIGTERM ends the delay.",
            extra={"unit": "seconds"},
        ),
    ] = 0
    shutdown_timeout: Annotated[
        float,
        Meta(
            ge=0,
            le=3600,
            description="How long to wait, after SIGTERM, for requests and for carriers' answers.",
            extra={"unit": "seconds"},
        ),
    ] = 30
    log_format: Annotated[
        LogFormat,
        Meta(description="`console` is for people, `json` for programs; `auto` is `console` on a terminal."),
    ] = LogFormat.AUTO
    log_requests: Annotated[bool, Meta(description="Log a line for each HTTP request.")] = False


class DatabaseSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where jobs and accounts are kept."""

    url: Annotated[
        DatabaseUrl,
        Meta(
            description="The database. `sqlite:///` is followed by a path; one that begins with a slash "
            "itself (`sqlite:////var/lib/heliograph.db`) is absolute, others start from the working "
            "directory. `postgresql://user@host:5432/database` is one that many processes can share; several hosts "
            "are separated by commas, of which the primary is used, and options such as `?sslmode=verify-full` are "
            "PostgreSQL's own (docs/how-to/postgresql.md).",
            extra={"secret": True, "form": "sqlite:/// and the path of a file, or postgresql://user@host/database"},
        ),
    ] = SqliteUrl(Path("heliograph.db"))
    password: Annotated[
        str | None,
        Meta(
            description="The password for PostgreSQL, instead of one in the URL; better in `password_file`, or in the "
            "environment variable of this setting.",
            extra={"secret": True},
        ),
    ] = None
    password_file: Annotated[Path | None, Meta(description="A file whose first line is the password.")] = None


class RouteSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Which SMS go where. The longest prefix wins, then a route for account and sender, sender, account, all."""

    to: Annotated[
        tuple[
            Annotated[
                str,
                Meta(
                    pattern=r"^\+([1-9][0-9]{0,14})?\Z",
                    extra={"form": 'the first digits of numbers, such as "+49", or "+" for everywhere'},
                ),
            ],
            ...,
        ],
        Meta(min_length=1, description="Numbers that begin with one of these; a lone `+` is everywhere."),
    ]
    carriers: Annotated[tuple[str, ...], Meta(min_length=1, description="Names of the carriers to try, in this order.")]
    accounts: Annotated[
        tuple[str, ...], Meta(description="Names of the accounts whose SMS go this way; empty is all.")
    ] = ()
    senders: Annotated[
        tuple[str, ...],
        Meta(description="Senders (`src`) whose SMS go this way; empty is all, those without one included."),
    ] = ()
    weights: Annotated[
        tuple[Annotated[int, Meta(ge=0, le=1000)], ...],
        Meta(
            description="How many of so many SMS begin with each carrier, such as `[3, 1]`; the others follow in their "
            "order, and one with 0 only takes over. Empty is that all begin with the first."
        ),
    ] = ()


class InboundSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Whose the SMS are that phones send to one of your numbers."""

    to: Annotated[
        str,
        Meta(
            pattern=r"^(\+[1-9][0-9]{5,14}|[0-9]{3,8}|[A-Za-z0-9 ]{1,11})\Z",
            description="The number or short code that phones send to.",
            extra={"form": 'a number in E.164, such as "+4915735982222", or a short code or name, such as "80100"'},
        ),
    ]
    account: Annotated[str, Meta(min_length=1, description="Name of the account that gets them.")]


class DeliverySettings(msgspec.Struct, frozen=True, kw_only=True):
    """How patient the service is with carriers."""

    retry: Annotated[
        tuple[Wait, ...],
        Meta(
            description="Waits before the second try, the third, and so on; the last one holds for all "
            "further tries, while the validity lasts. A carrier that has its own `retry` goes by that.",
            extra={"unit": "seconds"},
        ),
    ] = (5, 15, 60, 300, 900)
    receipt_grace: Annotated[
        float,
        Meta(
            ge=0,
            le=30 * DAY_S,
            description="How long after the end of its validity an SMS's receipt is still awaited.",
            extra={"unit": "seconds"},
        ),
    ] = DAY_S
    response_timeout: Annotated[
        float,
        Meta(
            gt=0,
            le=3600,
            description="How long a carrier's answer is awaited.",
            extra={"unit": "seconds"},
        ),
    ] = 30
    next_carrier_tries: Annotated[
        int,
        Meta(
            ge=1,
            le=1000,
            description="After how many failed tries an SMS goes to the next carrier of its route.",
            extra={"unit": "tries"},
        ),
    ] = 2
    next_carrier_throttled: Annotated[
        float,
        Meta(
            ge=0,
            le=LONGEST_WAIT_S,
            description="For how long a carrier may do nothing but throttle before what it turns away goes to the "
            "next carrier.",
            extra={"unit": "seconds"},
        ),
    ] = 30


class RetentionSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How long what is finished is kept."""

    days: Annotated[
        float,
        Meta(
            gt=0,
            le=36_500,
            description="When finished jobs are forgotten: nobody is told of them any more, nor webhooks of what they "
            "haven't been. On SQLite they are deleted then, on PostgreSQL with all jobs of their time: at most a "
            "seventh of these days, rounded up to whole ones, and some hours later.",
            extra={"unit": "days"},
        ),
    ] = 90
    text_days: Annotated[
        float | None,
        Meta(
            ge=0,
            le=36_500,
            description="When the texts of finished jobs are deleted; absent is with the job.",
            extra={"unit": "days"},
        ),
    ] = None


class WebhookSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What webhooks may do."""

    allow_private: Annotated[
        bool,
        Meta(
            description="Whether webhooks may call addresses in private ranges, this machine among them, and do so "
            "without encryption (`http://`)."
        ),
    ] = False
    timeout: Annotated[
        float,
        Meta(
            ge=1,
            le=120,
            description="How long a webhook's answer is awaited, from looking its host up.",
            extra={"unit": "seconds"},
        ),
    ] = 15
    concurrency: Annotated[
        int,
        Meta(
            ge=1,
            le=200,
            description="How many events a webhook that takes them well may get at a time.",
            extra={"unit": "events"},
        ),
    ] = 20
    retry: Annotated[
        tuple[Wait, ...],
        Meta(
            description="Waits before an event is posted for the second time, the third, and so on; after them it is "
            "given up, until somebody replays it.",
            extra={"unit": "seconds"},
        ),
    ] = WebhookRetryPolicy().waits_s


class McpSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Who may ask at `/mcp`, besides that it takes a key (`heliograph account mcp`)."""

    allowed_hosts: Annotated[
        tuple[str, ...],
        Meta(
            description="What the Host header of a request may be, with its port where it isn't the usual one, such as "
            '`["sms.example.com"]`; empty is anything, as behind a proxy that puts its own there.',
        ),
    ] = ()
    allowed_origins: Annotated[
        tuple[
            Annotated[
                str,
                Meta(pattern=r"^https?://[^/]+\Z", extra={"form": 'an origin, such as "https://agents.example.com"'}),
            ],
            ...,
        ],
        Meta(
            description="Origins of web pages that may ask, besides those of this machine. What is no page of a "
            "browser sends no Origin header, and isn't asked for one."
        ),
    ] = ()


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Every setting of an installation, checked. Made by `load_settings`."""

    server: ServerSettings = ServerSettings()
    database: DatabaseSettings = DatabaseSettings()
    carriers: tuple[CarrierSettings, ...] = (SandboxSettings(name="sandbox"),)
    routes: tuple[RouteSettings, ...] = ()
    inbound: tuple[InboundSettings, ...] = ()
    delivery: DeliverySettings = DeliverySettings()
    retention: RetentionSettings = RetentionSettings()
    webhooks: WebhookSettings = WebhookSettings()
    mcp: McpSettings = McpSettings()
    ignored_variables: tuple[str, ...] = ()

    def inbound_owners(self) -> dict[str, str]:
        """To which account, by name, each number belongs that phones send to."""
        return {number.to: number.account for number in self.inbound}

    def routing(self) -> Routing:
        """The routes; without any, everything goes to the first carrier."""
        return Routing(
            [Route(r.to, r.carriers, r.accounts, r.senders, r.weights) for r in self.routes],
            self.carriers[0].name,
            wide=[
                carrier.name
                for carrier in self.carriers
                if isinstance(carrier, SmppSettings) and carrier.concatenation is Concatenation.UDH_16
            ],
            alphabets={
                # Flash by a message class goes in the GSM alphabet everywhere (`smpp.profiles`).
                carrier.name: OwnAlphabet(
                    carrier.alphabet.value, flash=carrier.flash in (FlashCoding.SUBUNIT, FlashCoding.NONE)
                )
                for carrier in self.carriers
                if isinstance(carrier, SmppSettings) and carrier.alphabet in (Alphabet.ASCII, Alphabet.LATIN_1)
            },
        )

    def retry_policy(self, carrier: CarrierSettings) -> RetryPolicy:
        """How patient to be with one carrier."""
        policy = RetryPolicy(
            receipt_grace_s=self.delivery.receipt_grace,
            tries_before_next=self.delivery.next_carrier_tries,
            throttled_before_next_s=self.delivery.next_carrier_throttled,
        )
        if isinstance(carrier, SandboxSettings):
            return msgspec.structs.replace(policy, waits_s=carrier.retry, repeat_last=False)
        # Throttled segments go back to the head of the queue: the whole carrier pauses (`throttle_pause`).
        return msgspec.structs.replace(policy, waits_s=self.delivery.retry, throttle_wait_s=None)

    def response_timeout(self, carrier: CarrierSettings) -> float:
        """How long one carrier's answers are awaited, in seconds."""
        own = carrier.response_timeout if isinstance(carrier, SmppSettings) else None
        return own or self.delivery.response_timeout

    def carrier(self, name: str) -> CarrierSettings:
        """One carrier's settings. Raises SettingsInvalid if there is none of that name."""
        for carrier in self.carriers:
            if carrier.name == name:
                return carrier
        known = [carrier.name for carrier in self.carriers]
        raise SettingsInvalid(f"there is no carrier {quoted(name)}; {suggestion(name, known)}")


SECTIONS: dict[str, type[msgspec.Struct]] = {
    "server": ServerSettings,
    "database": DatabaseSettings,
    "delivery": DeliverySettings,
    "retention": RetentionSettings,
    "webhooks": WebhookSettings,
    "mcp": McpSettings,
}
"""The tables of heliograph.toml that are there once."""
REPEATED = ("carriers", "routes", "inbound")
"""Those that repeat."""
