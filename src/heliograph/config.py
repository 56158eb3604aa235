"""The settings of an installation: heliograph.toml, then HELIOGRAPH_* variables, then flags; the later wins.

Each setting stands here once, with its type, default, range, unit and meaning; what reads it from a file, a
variable or a flag, what says that a value is wrong, and docs/reference/settings.md follow from that.
Contract: section 3, heliograph.toml.
"""

import dataclasses
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from difflib import get_close_matches
from enum import Enum
from ipaddress import IPv6Address, ip_address, ip_network
from itertools import product
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, NamedTuple, cast, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from heliograph.carriers.smpp.reconnecting import Backoff
from heliograph.carriers.smpp.smsc import Smsc, Tls, tls_files_fault
from heliograph.flow.dispatch.retrying import RetryPolicy
from heliograph.jobs.errors import SettingsInvalid, StoreUnavailable
from heliograph.jobs.routing import OwnAlphabet, Route, Routing
from heliograph.smpp.pdus import BindReceiver, BindTransceiver, BindTransmitter
from heliograph.smpp.profiles import Alphabet, Concatenation, FlashCoding, NumberType, Profile, ValidityFormat
from heliograph.smpp.receipts import IdBase, MessageState
from heliograph.smpp.session import Settings as SessionSettings
from heliograph.smpp.statuses import CommandStatus, StatusKind
from heliograph.store.copied import Copied
from heliograph.store.interface import Store
from heliograph.store.postgresql.url import PostgresqlUrl
from heliograph.store.sqlite.dump import open_dump
from heliograph.store.sqlite.store import open_sqlite, upgrade_sqlite
from heliograph.webhooks.retrying import RetryPolicy as WebhookRetryPolicy

DEFAULT_FILE = Path("heliograph.toml")
"""Read from the working directory when no file is named, if it is there."""
PREFIX = "HELIOGRAPH_"
CONFIG_VARIABLE = "HELIOGRAPH_CONFIG"
CLIENT_VARIABLES = frozenset({"HELIOGRAPH_URL", "HELIOGRAPH_USERNAME", "HELIOGRAPH_PASSWORD"})
"""What the client commands read; a service that shares their environment takes no offence."""

DAY_S = 86_400
FLAGS = {"server.listen": "listen", "server.roles": "roles", "database.url": "database"}
"""The settings that have a flag."""
LONGEST_WAIT_S = 2 * DAY_S  # The longest validity: a longer wait is never waited to its end.


class Address(msgspec.Struct, frozen=True):
    """Where to listen. port: 0 is any that is free."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @classmethod
    def parse(cls, text: str) -> "Address":
        """`127.0.0.1:8480`, `localhost:8480` or `[::1]:8480`. Raises ValueError."""
        parts = re.fullmatch(r"(?:\[([^\[\]]+)\]|([A-Za-z0-9._-]+)):([0-9]{1,5})", text)
        if parts is None or int(parts[3]) > 65_535:
            raise ValueError(_ADDRESS_REMEDY)
        try:
            host = str(IPv6Address(parts[1])) if parts[1] else parts[2]
        except ValueError:
            raise ValueError(_ADDRESS_REMEDY) from None
        return cls(host, int(parts[3]))


_ADDRESS_REMEDY = (
    'must be HOST:PORT with a port from 0 (any free one) to 65535, such as "127.0.0.1:8480" or "[::1]:8480", '
    'or "0.0.0.0:8480" for every interface'
)


class Network(str):
    """The addresses of some machines, as 10.0.0.0/8; those of one are a network as well."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> "Network":
        """`10.0.0.7`, `10.0.0.0/8` or `fd00::/8`. Raises ValueError."""
        return cls(ip_network(text))


class SqliteUrl(msgspec.Struct, frozen=True):
    """A database in one file."""

    path: Path

    def __str__(self) -> str:
        return f"sqlite:///{self.path}"

    @classmethod
    def parse(cls, text: str) -> "SqliteUrl":
        """`sqlite:///heliograph.db` or, absolute, `sqlite:////var/lib/heliograph.db`. Raises ValueError."""
        _, _, rest = text.partition("://")
        path = rest.removeprefix("/")
        if not rest.startswith("/"):
            raise ValueError(f"must have three slashes after sqlite: before a relative path; {_SQLITE_EXAMPLE}")
        if not path.strip("/") or path.endswith("/") or path == ":memory:" or {"?", "\0"} & set(path):
            raise ValueError(f"must name a file, and nothing after it; {_SQLITE_EXAMPLE}")
        return cls(Path(path))


_SQLITE_EXAMPLE = "write sqlite:///heliograph.db, or sqlite:////var/lib/heliograph/heliograph.db for an absolute path"
DatabaseUrl = SqliteUrl | PostgresqlUrl


def _database_url(text: str) -> DatabaseUrl:
    """Raises ValueError, in which nothing of the text is: there may be a password in it."""
    match text.partition("://")[:2]:
        case (scheme, "://") if scheme.lower() == "sqlite":
            return SqliteUrl.parse(text)
        case (scheme, "://") if scheme.lower() in ("postgresql", "postgres"):
            return PostgresqlUrl.parse(text)
        case _:
            raise ValueError(
                f"must be a database URL that begins with sqlite:/// or postgresql://; {_SQLITE_EXAMPLE}, or "
                "postgresql://USER@HOST/DATABASE"
            )


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


CarrierName = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z",
        description="How routes, logs and metrics call the carrier.",
        extra={"form": "1 to 64 characters of A-Z, a-z, 0-9, - and _, a letter or digit first"},
    ),
]
Wait = Annotated[float, Meta(gt=0, le=LONGEST_WAIT_S)]
Rate = Annotated[
    float | None,
    Meta(
        gt=0,
        le=100_000,
        description="Parts sent to the carrier, at most; absent is as fast as it takes them.",
        extra={"unit": "parts per second"},
    ),
]


class SandboxSettings(msgspec.Struct, frozen=True, kw_only=True):
    """A carrier with nobody behind it: the last four digits of a number decide what becomes of an SMS."""

    name: CarrierName
    kind: Annotated[Literal["sandbox"], Meta(description="Always `sandbox`.")] = "sandbox"
    window: Annotated[
        int,
        Meta(
            ge=1,
            le=100_000,
            description="How many parts may be unanswered at a time.",
            extra={"unit": "parts"},
        ),
    ] = 1000
    delay: Annotated[
        float, Meta(ge=0, le=DAY_S, description="From sending to its receipt.", extra={"unit": "seconds"})
    ] = 0.2
    rate: Rate = None
    retry: Annotated[
        tuple[Wait, ...],
        Meta(
            description="Waits before the second try, the third, and so on, and no more tries after them.",
            extra={"unit": "seconds"},
        ),
    ] = (1, 2, 5)


class NumberTypeSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Type of number and numbering plan (SMPP 3.4, 5.2.5 and 5.2.6)."""

    ton: Annotated[int, Meta(ge=0, le=255)]
    npi: Annotated[int, Meta(ge=0, le=255)]


_NUMBER_TYPE = {"form": "a type of number and a numbering plan, such as { ton = 1, npi = 1 }"}
_STATES = {"form": 'words of receipts and states, such as { "SENT" = "enroute" }'}
_STATUSES = {"form": 'command_status values and kinds, such as { "0x0401" = "temporary" }'}
StateName = Literal[
    "scheduled",
    "enroute",
    "delivered",
    "expired",
    "deleted",
    "undeliverable",
    "accepted",
    "unknown",
    "rejected",
    "skipped",
]


class SmppSettings(msgspec.Struct, frozen=True, kw_only=True):
    """An SMSC that speaks SMPP 3.4: where it is, how patient to be with it, and what it does in its own way."""

    name: CarrierName
    kind: Annotated[Literal["smpp"], Meta(description="Always `smpp`.")] = "smpp"
    host: Annotated[str, Meta(min_length=1, description="The SMSC's host name or address.")]
    port: Annotated[int, Meta(ge=1, le=65_535, description="The SMSC's port.")] = 2775
    system_id: Annotated[str, Meta(min_length=1, description="The name to bind with.")]
    password: Annotated[
        str | None,
        Meta(
            description="The password to bind with; better in `password_file`, or in the environment variable "
            "`HELIOGRAPH_CARRIER_<NAME>_PASSWORD`.",
            extra={"secret": True},
        ),
    ] = None
    password_file: Annotated[Path | None, Meta(description="A file whose first line is the password.")] = None
    system_type: Annotated[str, Meta(description="What the SMSC calls our kind of system, where it asks for it.")] = ""
    bind: Annotated[
        Literal["transceiver", "transmitter+receiver"],
        Meta(description="One bind for both directions, or one for each."),
    ] = "transceiver"
    binds: Annotated[
        int, Meta(ge=1, le=100, description="How many binds, or pairs of them, at a time.", extra={"unit": "binds"})
    ] = 1
    window: Annotated[
        int, Meta(ge=1, le=100_000, description="Unanswered submits per bind.", extra={"unit": "parts"})
    ] = 10
    express_reserve: Annotated[
        float,
        Meta(
            ge=0,
            le=0.5,
            description="What share of the window, over all binds, NORMAL SMS leave free for EXPRESS ones: of 10 slots "
            "0.1 is one, of fewer none.",
        ),
    ] = 0.1
    rate: Rate = None
    throttle_pause: Annotated[
        float,
        Meta(
            gt=0,
            le=3600,
            description="How long nothing is sent after the SMSC says that it was too much; after it the rate starts "
            "at half of what went last, and recovers slowly.",
            extra={"unit": "seconds"},
        ),
    ] = 1

    connect_timeout: Annotated[
        float,
        Meta(gt=0, le=3600, description="How long it may take to connect and encrypt.", extra={"unit": "seconds"}),
    ] = 10
    response_timeout: Annotated[
        float | None,
        Meta(
            gt=0,
            le=3600,
            description="How long an answer is awaited; absent is as in `[delivery]`.",
            extra={"unit": "seconds"},
        ),
    ] = None
    enquire_link: Annotated[
        float,
        Meta(
            gt=0,
            le=3600,
            description="After what silence the SMSC is asked whether it is there.",
            extra={"unit": "seconds"},
        ),
    ] = 30
    enquire_link_timeout: Annotated[
        float,
        Meta(
            gt=0,
            le=3600,
            description="How long it may take to say anything then; after that it counts as gone.",
            extra={"unit": "seconds"},
        ),
    ] = 10
    inactivity: Annotated[
        float | None,
        Meta(
            gt=0,
            le=LONGEST_WAIT_S,
            description="After what time without any SMS to unbind, and bind anew; absent is never.",
            extra={"unit": "seconds"},
        ),
    ] = None
    reconnect: Annotated[
        float,
        Meta(
            gt=0,
            le=3600,
            description="First pause before binding again, and the least at any time.",
            extra={"unit": "seconds"},
        ),
    ] = 1
    reconnect_longest: Annotated[
        float,
        Meta(
            gt=0,
            le=3600,
            description="What the pause grows to while binding fails again and again.",
            extra={"unit": "seconds"},
        ),
    ] = 60
    reconnect_refused: Annotated[
        float,
        Meta(
            gt=0,
            le=DAY_S,
            description="The least pause after the SMSC refused name, password or system type, which asking too often "
            "may lock. It is each node's own: of several that hold binds, each asks once in that time.",
            extra={"unit": "seconds"},
        ),
    ] = 300

    tls: Annotated[
        bool,
        Meta(description="Whether the connection is encrypted; the SMSC's certificate is then verified, always."),
    ] = False
    tls_ca_file: Annotated[
        Path | None,
        Meta(description="Who may have signed that certificate, in PEM; absent is whom this machine trusts."),
    ] = None
    tls_server_name: Annotated[
        str, Meta(description="The name in that certificate, where it is not `host`.", extra={"form": "a host name"})
    ] = ""
    tls_certificate: Annotated[
        Path | None, Meta(description="Our own certificate chain in PEM, where the SMSC asks for one.")
    ] = None
    tls_key: Annotated[Path | None, Meta(description="Private key of `tls_certificate` in PEM.")] = None

    alphabet: Annotated[
        Alphabet,
        Meta(
            description="What STANDARD texts are written in: what the SMSC takes `data_coding` for. What `ascii` or "
            "`latin-1` lacks goes as UTF-16."
        ),
    ] = Alphabet.GSM
    data_coding: Annotated[int, Meta(ge=0, le=255, description="The `data_coding` of STANDARD texts.")] = 0
    flash: Annotated[
        FlashCoding,
        Meta(
            description="How flash is asked for: `class-0` by data_coding 0x10 and 0x18, `f0` by 0xF0, `subunit` by "
            "dest_addr_subunit, `none` not at all."
        ),
    ] = FlashCoding.CLASS_0
    concatenation: Annotated[
        Concatenation,
        Meta(
            description="How parts are joined: `udh8`, `udh16` by a user data header (with 16 bits a part holds 152 "
            "characters or 66 UTF-16 units), `sar` by sar_* parameters, `payload` by message_payload with them."
        ),
    ] = Concatenation.UDH_8
    answered_ids: Annotated[
        IdBase,
        Meta(
            description="How message ids are written in answers to submissions. Where this and `receipt_ids` are "
            "declared, receipts are found faster and surely; while one is `unknown`, all likely spellings are tried."
        ),
    ] = IdBase.UNKNOWN
    receipt_ids: Annotated[IdBase, Meta(description="How message ids are written in receipts.")] = IdBase.UNKNOWN
    states: Annotated[
        dict[str, StateName],
        Meta(description="What this SMSC's own words in receipts mean, beside those in common use.", extra=_STATES),
    ] = {}
    accepted_is_final: Annotated[
        bool,
        Meta(description="Whether nothing comes after a receipt ACCEPTED; such an SMS ends as SUC_ACC."),
    ] = False
    unflagged_receipts: Annotated[
        bool,
        Meta(
            description="Whether this SMSC's receipts don't say that they are receipts, neither by esm_class nor by "
            "receipted_message_id. Then what merely reads like a receipt, and is for no SMS, is dropped; otherwise it "
            "is told, after an hour, as an SMS from a phone."
        ),
    ] = False
    statuses: Annotated[
        dict[str, StatusKind],
        Meta(
            description="What this SMSC means by some command_status, if not what is usual: `flow control`, "
            "`session`, `temporary`, `doubtful`, `bad number`, `sender`, `configuration`, `policy`.",
            extra=_STATUSES,
        ),
    ] = {}
    policy_is_its_own: Annotated[
        bool,
        Meta(
            description="Whether an SMS that this SMSC refuses by policy (0x65, 0x66, 0x100, 0x101, 0x103) goes to the "
            "next carrier of its route; otherwise such a refusal is final."
        ),
    ] = False
    query_sm: Annotated[
        bool,
        Meta(
            description="Whether this SMSC answers query_sm: it is then asked, once, what became of an SMS whose "
            "receipt is overdue. With this or `cancel_sm`, message ids are kept as the SMSC writes them."
        ),
    ] = False
    cancel_sm: Annotated[
        bool,
        Meta(
            description="Whether this SMSC answers cancel_sm: it is then told to drop what it has of jobs that are "
            "cancelled, and, of a long SMS that failed with one part, the parts that it took before."
        ),
    ] = False
    validity: Annotated[
        ValidityFormat, Meta(description="In which form the SMSC is told the validity; `none` leaves it out.")
    ] = ValidityFormat.RELATIVE
    normal_priority: Annotated[int, Meta(ge=0, le=3, description="priority_flag of NORMAL.")] = 0
    express_priority: Annotated[int, Meta(ge=0, le=3, description="priority_flag of EXPRESS.")] = 1
    service_type: Annotated[
        str, Meta(max_length=5, description="service_type of every SMS.", extra={"form": "at most 5 characters"})
    ] = ""
    esm_class: Annotated[
        int,
        Meta(
            ge=0, le=3, description="Messaging mode: 0 the SMSC's own, 1 datagram, 2 transaction, 3 store and forward."
        ),
    ] = 0
    destination: Annotated[NumberTypeSettings, Meta(description="What recipients are.", extra=_NUMBER_TYPE)] = (
        NumberTypeSettings(1, 1)
    )
    alphanumeric: Annotated[
        NumberTypeSettings, Meta(description="What a sender of letters is.", extra=_NUMBER_TYPE)
    ] = NumberTypeSettings(5, 0)
    international: Annotated[
        NumberTypeSettings, Meta(description="What an international number as a sender is.", extra=_NUMBER_TYPE)
    ] = NumberTypeSettings(1, 1)
    national: Annotated[
        NumberTypeSettings, Meta(description="What a sender that begins with 0 is.", extra=_NUMBER_TYPE)
    ] = NumberTypeSettings(2, 1)
    short_code: Annotated[
        NumberTypeSettings, Meta(description="What a short code as a sender is.", extra=_NUMBER_TYPE)
    ] = NumberTypeSettings(3, 0)
    no_sender: Annotated[
        NumberTypeSettings, Meta(description="What goes with an SMS without a sender.", extra=_NUMBER_TYPE)
    ] = NumberTypeSettings(0, 0)
    short_code_digits: Annotated[
        int,
        Meta(
            ge=0,
            le=20,
            description="A sender of up to so many digits, without `+`, is a short code.",
            extra={"unit": "digits"},
        ),
    ] = 8
    address_type: Annotated[
        NumberTypeSettings,
        Meta(
            description="What the addresses of `address_range` are: addr_ton and addr_npi of the bind, where the SMSC "
            "asks for them.",
            extra=_NUMBER_TYPE,
        ),
    ] = NumberTypeSettings(0, 0)
    address_range: Annotated[
        str,
        Meta(
            pattern=r"^[ -~]{0,40}\Z",
            description="address_range of the bind, where the SMSC asks for it: for which of our numbers and short "
            "codes the bind is; one of them, or a pattern as the SMSC wants it. Most know it by the account.",
            extra={"form": "at most 40 characters of ASCII"},
        ),
    ] = ""
    interface_version: Annotated[
        int,
        Meta(ge=0, le=255, description="The version that we say we speak: 52 is 3.4."),
    ] = 0x34
    longest_system_id: Annotated[
        int, Meta(ge=1, le=64, description="How long `system_id` may be.", extra={"unit": "characters"})
    ] = 15
    longest_password: Annotated[
        int,
        Meta(ge=1, le=64, description="How long the password may be; many take more.", extra={"unit": "characters"}),
    ] = 8
    longest_system_type: Annotated[
        int, Meta(ge=1, le=64, description="How long `system_type` may be.", extra={"unit": "characters"})
    ] = 12

    def smsc(self, response_timeout_s: float) -> Smsc:
        """The same, as the carrier wants to be told. Raises ValueError, naming what can't be."""
        modes = [BindTransceiver] if self.bind == "transceiver" else [BindTransmitter, BindReceiver]
        tls = Tls(
            ca_file=self.tls_ca_file,
            server_name=self.tls_server_name,
            certificate=self.tls_certificate,
            key=self.tls_key,
        )
        smsc = Smsc(
            host=self.host,
            port=self.port,
            system_id=self.system_id,
            password=self.password or "",
            system_type=self.system_type,
            modes=(*modes,) * self.binds,
            session=SessionSettings(
                window=self.window,
                session_init_s=self.connect_timeout,
                response_timeout_s=self.response_timeout or response_timeout_s,
                enquire_after_s=self.enquire_link,
                give_up_after_s=self.enquire_link_timeout,
                inactivity_s=self.inactivity,
            ),
            profile=self._profile(),
            backoff=Backoff(
                shortest_s=self.reconnect,
                longest_s=max(self.reconnect, self.reconnect_longest),
                credentials_s=self.reconnect_refused,
            ),
            tls=tls if self.tls else None,
            connect_timeout_s=self.connect_timeout,
        )
        smsc.bind_request(modes[0])
        return smsc

    def _profile(self) -> Profile:
        same = {field.name: getattr(self, field.name) for field in dataclasses.fields(Profile)}
        for name, value in same.items():
            if isinstance(value, NumberTypeSettings):
                same[name] = NumberType(value.ton, value.npi)
        same["states"] = {word.upper(): MessageState[state.upper()] for word, state in self.states.items()}
        same["statuses"] = {_command_status(status): kind for status, kind in self.statuses.items()}
        return Profile(**same)


def _command_status(name: str) -> int:
    """`0x0401`, `1025`, or `ESME_RINVDSTADR`. Raises ValueError."""
    if name.upper() in CommandStatus.__members__:
        return CommandStatus[name.upper()]
    try:
        return int(name, 0)
    except ValueError:
        raise ValueError(f"statuses has {_shown(name)}, which is no command_status, such as 0x0401") from None


CarrierSettings = SandboxSettings | SmppSettings
CARRIER_KINDS: dict[str, type[CarrierSettings]] = {"sandbox": SandboxSettings, "smpp": SmppSettings}


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
        raise SettingsInvalid(f"there is no carrier {_shown(name)}; {suggestion(name, known)}")


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


def open_store(
    database: DatabaseSettings, now: datetime, *, serving: bool = True, may_be_new: bool = True
) -> AbstractAsyncContextManager[Store]:
    """The store that the settings name.

    serving: be the one process that serves it, or one of its nodes; otherwise only accounts may be changed.
    may_be_new: make it if it isn't there yet. Raises StoreUnavailable, at the latest on entering.
    """
    url = database.url
    if isinstance(url, SqliteUrl):
        if not may_be_new and not url.path.exists():
            raise StoreUnavailable(
                f"there is no database {url} yet; heliograph serve or heliograph account add makes it"
            )
        return open_sqlite(url.path, now, serving=serving)
    from heliograph.store.postgresql.store import open_postgresql  # only who needs it waits for it

    return open_postgresql(_with_password(url, database), serving=serving, may_be_new=may_be_new)


async def upgrade_schema(database: DatabaseSettings) -> tuple[int, int]:
    """Bring a database's schema to this version's; what it was, and what it is. Raises StoreUnavailable."""
    url = database.url
    if isinstance(url, SqliteUrl):
        return upgrade_sqlite(url.path)
    from heliograph.store.postgresql.store import upgrade_postgresql  # only who needs it waits for it

    return await upgrade_postgresql(_with_password(url, database))


async def copy_database(
    source: Path, database: DatabaseSettings, now: datetime, progress: Callable[[str, int, int], None]
) -> Copied:
    """Copy all that a SQLite file holds into a PostgreSQL database that is empty, or is its copy already.

    progress: told of a table, how many of its rows have been copied, and of how many. Raises StoreUnavailable.
    """
    if isinstance(database.url, SqliteUrl):
        raise SettingsInvalid(
            f"it is copied into PostgreSQL, and --database is {database.url}; give a postgresql:// URL"
        )
    from heliograph.store.postgresql.filling import fill_postgresql  # only who needs it waits for it

    with open_dump(source, now) as dump:
        url = _with_password(database.url, database)
        return await fill_postgresql(url, dump.tables(), dump.last_sms, progress)


def _with_password(url: PostgresqlUrl, database: DatabaseSettings) -> PostgresqlUrl:
    return url if database.password is None else msgspec.structs.replace(url, password=database.password)


class Setting(NamedTuple):
    """One setting. kind: its type with ranges; default: NODEFAULT if it must be given."""

    key: str
    kind: Any
    default: object
    meta: Meta

    @property
    def unit(self) -> str | None:
        """What a number counts."""
        return (self.meta.extra or {}).get("unit")

    @property
    def expected(self) -> str:
        """What a value looks like, after "must be"."""
        return _expected(self.kind, self.unit)

    @property
    def is_secret(self) -> bool:
        """Whether its value may hold a password, so that no error shows it."""
        return bool((self.meta.extra or {}).get("secret"))


def settings_in(section: type[msgspec.Struct]) -> dict[str, Setting]:
    """The settings of a section by their keys."""
    hints = get_type_hints(section, include_extras=True)
    found: dict[str, Setting] = {}
    for field in msgspec.structs.fields(section):
        meta: Meta = get_args(hints[field.name])[-1]
        # Without None, which no file can say, and to which msgspec lets no range be attached.
        kind: Any = Annotated[_plain(hints[field.name]), meta]
        default = field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
        found[field.name] = Setting(field.name, kind, default, meta)
    return found


def variable_of(section: str, key: str) -> str:
    """The environment variable of a setting."""
    return f"{PREFIX}{section}_{key}".upper()


def password_variable_of(carrier: str) -> str:
    """The environment variable of a carrier's password."""
    return f"{PREFIX}CARRIER_{carrier.replace('-', '_')}_PASSWORD".upper()


def load_settings(config: Path | None, environ: Mapping[str, str], overrides: Mapping[str, object]) -> Settings:
    """The settings in force.

    config: the file; None is the one that HELIOGRAPH_CONFIG names, or ./heliograph.toml if it is there.
    environ: an empty variable is the same as none.
    overrides: what flags say, by `section.key` as in FLAGS; None is the same as absent.
    Raises SettingsInvalid, naming key, value and remedy.
    """
    variables = {name: value for name, value in environ.items() if name.startswith(PREFIX) and value}
    named = config or (Path(variables[CONFIG_VARIABLE]) if CONFIG_VARIABLE in variables else None)
    path = named or DEFAULT_FILE
    document = _read(path) if named or path.is_file() else {}
    _check_names(document, [*SECTIONS, *REPEATED], f"{path}: section", _section_header)

    given = _from_file(document, path)
    passwords, ignored = _from_environment(variables, given)
    _from_flags(overrides, given)
    sections = {name: _section(kind, given.get(name, {})) for name, kind in SECTIONS.items()}
    carriers = _carriers(_tables(document, "carriers", path), path, passwords)
    routes = _routes(_tables(document, "routes", path), path, [carrier.name for carrier in carriers])
    inbound = _inbound(_tables(document, "inbound", path), path)
    settings = Settings(
        carriers=carriers, routes=routes, inbound=inbound, ignored_variables=ignored, **cast("dict[str, Any]", sections)
    )
    _check_tls(settings.server)
    return msgspec.structs.replace(settings, database=_database(settings.database, given["database"]))


class _Given(NamedTuple):
    """A value as it was given, and by what. is_text: by something that knows only texts."""

    value: object
    source: str
    is_text: bool


_GivenSections = dict[str, dict[str, _Given]]


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8-sig"))
    except FileNotFoundError:
        raise SettingsInvalid(f"there is no configuration file {path}") from None
    except OSError as error:
        raise SettingsInvalid(f"can't read the configuration file {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise SettingsInvalid(f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsInvalid(f"{path} is not TOML: {error}") from error


def _from_file(document: Mapping[str, object], path: Path) -> _GivenSections:
    given: _GivenSections = {}
    for name, section in SECTIONS.items():
        table = document.get(name, {})
        if not isinstance(table, dict):
            raise SettingsInvalid(f"{path}: {name} must be a section; write [{name}] and its keys below")
        given[name] = _given_in_table(cast("dict[str, object]", table), section, f"{path}: {name}")
    return given


def _given_in_table(table: Mapping[str, object], section: type[msgspec.Struct], source: str) -> dict[str, _Given]:
    _check_names(table, settings_in(section), source, str)
    return {key: _Given(value, f"{source}.{key}", is_text=False) for key, value in table.items()}


def _check_names(names: Iterable[str], known: Iterable[str], source: str, shown: "type[str] | Any") -> None:
    for name in names:
        if name not in known:
            separator = " " if source.endswith("section") else "."
            raise SettingsInvalid(f"{source}{separator}{shown(name)} is not known; {suggestion(name, known, shown)}")


def _section_header(name: str) -> str:
    return f"[[{name}]]" if name in REPEATED else f"[{name}]"


def suggestion(word: str, known: Iterable[str], shown: "type[str] | Any" = str) -> str:
    """`did you mean x?`, or else all there are."""
    by_lower = {name.lower(): name for name in known}
    near = get_close_matches(word.lower(), by_lower, n=1, cutoff=0.5)
    if near:
        return f"did you mean {shown(by_lower[near[0]])}?"
    return f"known are {', '.join(map(shown, by_lower.values()))}"


def _from_environment(variables: Mapping[str, str], given: _GivenSections) -> tuple[dict[str, str], tuple[str, ...]]:
    """Fill in what variables say; return those that look like carriers' passwords, and those that mean nothing.

    One that is named like a section's is an error where it means nothing. Others may be anybody's: for a service
    of this name Kubernetes sets HELIOGRAPH_PORT, HELIOGRAPH_SERVICE_HOST and so on, whoever likes it or not.
    """
    known = {variable_of(name, key): (name, key) for name, kind in SECTIONS.items() for key in settings_in(kind)}
    ours = tuple(variable_of(name, "") for name in SECTIONS)
    passwords: dict[str, str] = {}
    ignored: list[str] = []
    for variable, value in variables.items():
        if variable in known:
            name, key = known[variable]
            given[name][key] = _Given(value, variable, is_text=True)
        elif variable.startswith(f"{PREFIX}CARRIER_") and variable.endswith("_PASSWORD"):
            passwords[variable] = value
        elif variable in CLIENT_VARIABLES or variable == CONFIG_VARIABLE:
            continue
        elif not variable.startswith((*ours, f"{PREFIX}CARRIER_")):
            ignored.append(variable)
        else:
            near = suggestion(variable, [*known, *CLIENT_VARIABLES, CONFIG_VARIABLE])
            raise SettingsInvalid(f"the environment variable {variable} is not known; {near}")
    return passwords, tuple(sorted(ignored))


def _from_flags(overrides: Mapping[str, object], given: _GivenSections) -> None:
    for path, value in overrides.items():
        name, key = path.split(".")
        if value is not None:
            given[name][key] = _Given(value, f"--{FLAGS[path]}", is_text=isinstance(value, str))


def _section(kind: type[msgspec.Struct], given: Mapping[str, _Given]) -> msgspec.Struct:
    known = settings_in(kind)
    return kind(**{key: _value(known[key], each) for key, each in given.items()})


def _value(setting: Setting, given: _Given) -> object:
    value = given.value
    kind = _plain(setting.kind)
    try:
        if kind in _PARSERS:
            if not isinstance(value, str) or not value or "\0" in value:
                raise ValueError
            return _PARSERS[kind](value)
        if given.is_text and get_origin(kind) is tuple:
            value = [item.strip() for item in str(value).split(",") if item.strip()]
        converted = msgspec.convert(value, setting.kind, strict=not given.is_text, dec_hook=_item)
    except (msgspec.ValidationError, ValueError) as error:
        own = str(error) if kind in _PARSERS else ""
        remedy = own or f"must be {_expected(setting.kind, setting.unit, given.is_text)}"
        shown = "" if setting.is_secret else f"is {_shown(given.value)}; it "
        raise SettingsInvalid(f"{given.source} {shown}{remedy}") from None
    return tuple(dict.fromkeys(converted)) if kind == tuple[Role, ...] else converted


def _item(kind: type, value: object) -> object:
    """Of a list of what msgspec doesn't know."""
    if kind is not Network or not isinstance(value, str):
        raise ValueError
    return Network.parse(value)


_PARSERS: dict[object, Any] = {Address: Address.parse, DatabaseUrl: _database_url, Path: Path}


def _plain(kind: Any) -> Any:
    """A type without its ranges and its None."""
    if get_origin(kind) is Annotated:
        return _plain(get_args(kind)[0])
    others = [each for each in get_args(kind) if each is not NoneType]
    return others[0] if NoneType in get_args(kind) else kind


def _expected(kind: Any, unit: str | None, is_text: bool = False) -> str:
    """What a value of this type looks like, after "must be"."""
    meta: Meta | None = None
    if get_origin(kind) is Annotated:
        kind, meta = get_args(kind)[0], get_args(kind)[-1]
    form: str | None = (meta.extra or {}).get("form") if meta else None
    kind = _plain(kind)
    of_unit = f" of {unit}" if unit else ""
    if form is not None:
        return form
    if get_origin(kind) is tuple:
        item = _expected(get_args(kind)[0], unit)
        return f"{item}, or several separated by commas" if is_text else f"a list [ ... ], each {item}"
    if get_origin(kind) is Literal or issubclass(kind, Enum):
        values = [_shown(value) for value in get_args(kind) or [member.value for member in kind]]
        return values[0] if len(values) == 1 else f"one of {', '.join(values)}"
    if kind in (int, float):
        number = "a number" if kind is float else "a whole number"
        return number + of_unit + _range(meta)
    return {bool: "true or false", Path: "the path of a file, in quotes", Address: _ADDRESS_REMEDY[8:]}.get(
        kind, "a text in quotes that is not empty"
    )


def _range(meta: Meta | None) -> str:
    assert meta is not None, "every number has a range"
    if meta.ge is not None:
        return f" from {meta.ge} to {meta.le}"
    return f" above {meta.gt}, at most {meta.le}"


def _shown(value: object) -> str:
    if isinstance(value, (float, int)) and not isinstance(value, bool):
        return repr(value)  # JSON knows no inf, no nan and no end to numbers.
    if isinstance(value, str):
        value = value.encode(errors="replace").decode()  # A variable can hold bytes that are no text.
    text = msgspec.json.encode(value, enc_hook=str).decode()
    return text if len(text) <= 60 else text[:57] + "..."


def _tables(document: Mapping[str, object], name: str, path: Path) -> list[dict[str, object]]:
    tables = document.get(name, [])
    if not isinstance(tables, list) or not all(isinstance(each, dict) for each in cast("list[object]", tables)):
        raise SettingsInvalid(f"{path}: there can be several {name}; write [[{name}]] with two brackets")
    return cast("list[dict[str, object]]", tables)


def _table(table: Mapping[str, object], section: type[msgspec.Struct], source: str) -> Any:
    given = _given_in_table(table, section, source)
    for key, setting in settings_in(section).items():
        if setting.default is msgspec.NODEFAULT and key not in given:
            raise SettingsInvalid(f"{source} has no {key}; it must be {_expected(setting.kind, setting.unit)}")
    return _section(section, given)


def _carriers(
    tables: Sequence[dict[str, object]], path: Path, passwords: Mapping[str, str]
) -> tuple[CarrierSettings, ...]:
    carriers: list[CarrierSettings] = []
    source_by_variable: dict[str, str] = {}
    for index, table in enumerate(tables):
        source = f"{path}: carriers[{index}]"
        kind = table.get("kind")
        kinds = f"must be one of {', '.join(map(_shown, CARRIER_KINDS))}"
        if kind is None:
            raise SettingsInvalid(f"{source} has no kind; it {kinds}")
        if not isinstance(kind, str) or kind not in CARRIER_KINDS:
            raise SettingsInvalid(f"{source}.kind is {_shown(kind)}; it {kinds}")
        carrier = _table(table, CARRIER_KINDS[kind], source)
        variable = password_variable_of(carrier.name)
        if variable in source_by_variable:
            wrong = f"is {_shown(carrier.name)}, and {source_by_variable[variable]} is called so too"
            raise SettingsInvalid(f"{source}.name {wrong}; give each carrier a name of its own")
        source_by_variable[variable] = f"carriers[{index}]"
        if isinstance(carrier, SmppSettings):
            carrier = _checked_smpp(carrier, source, passwords.get(variable), variable)
        carriers.append(carrier)
    for variable in passwords:
        if variable not in source_by_variable:
            near = suggestion(variable, source_by_variable) if source_by_variable else "there are no carriers"
            raise SettingsInvalid(f"the environment variable {variable} belongs to no carrier; {near}")
    return tuple(carriers) or Settings().carriers


def _checked_smpp(carrier: SmppSettings, source: str, password: str | None, variable: str) -> SmppSettings:
    """With the password from wherever it is, and all that is only wrong together found out."""
    if carrier.password is not None and carrier.password_file is not None:
        raise SettingsInvalid(f"{source} has password and password_file; leave one of them out")
    if password is None and carrier.password_file is not None:
        password = _first_line(carrier.password_file, f"{source}.password_file")
    if password is not None:
        carrier = msgspec.structs.replace(carrier, password=password)
    if carrier.password is None:
        raise SettingsInvalid(f'{source} has no password; write password_file = "…", or set {variable}')
    if wrong := _host_fault(carrier.host):
        raise SettingsInvalid(f"{source}.host is {_shown(carrier.host)}, {wrong}")
    for key in ("tls_ca_file", "tls_certificate", "tls_key"):
        path: Path | None = getattr(carrier, key)
        if path is not None and not carrier.tls:
            raise SettingsInvalid(f"{source}.{key} is of no use without encryption; write tls = true")
        if path is not None and not path.is_file():
            raise SettingsInvalid(f'{source}.{key} is "{path}", and there is no such file; name a PEM file')
    if (carrier.tls_certificate is None) != (carrier.tls_key is None):
        raise SettingsInvalid(f"{source} has one of tls_certificate and tls_key; they go together")
    try:
        smsc = carrier.smsc(response_timeout_s=1)
    except ValueError as error:
        raise SettingsInvalid(f"{source}: {error}") from None
    if smsc.tls is not None and (wrong := tls_files_fault(smsc.tls)):
        raise SettingsInvalid(f"{source}.{wrong}")
    return carrier


def _host_fault(host: str) -> str:
    """Why that is no host; empty if it may be one. IPv6 addresses stand without brackets."""
    try:
        ip_address(host)
    except ValueError:
        pass
    else:
        return ""
    found = _HOST_AND_MORE.fullmatch(host)
    if found is None:
        return "which is no host; write its name or address alone"
    scheme, alone, port, path = found.group("scheme", "host", "port", "path")
    if not (scheme or port or path or alone.startswith("[")):
        return ""
    means = f'host = "{alone.strip("[]")}"' + (f" and port = {port}" if port else "")
    return f"which is more than the host; the port is `port`, encryption is `tls`: write {means}"


_HOST_AND_MORE = re.compile(
    r"(?P<scheme>[a-zA-Z][\w+.-]*://)?(?P<host>\[[^\]\s/]+\]|[^\s:/\[\]]+)(:(?P<port>[0-9]+))?(?P<path>/\S*)?"
)


def _first_line(path: Path, source: str) -> str:
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise SettingsInvalid(f'{source} is "{path}", which can\'t be read: {reason}') from None
    if not lines or not lines[0]:
        raise SettingsInvalid(f'{source} is "{path}", whose first line is empty; it must be the password')
    return lines[0]


def _routes(tables: Sequence[dict[str, object]], path: Path, carriers: list[str]) -> tuple[RouteSettings, ...]:
    routes: list[RouteSettings] = []
    first_by_scope: dict[tuple[str, str | None, str | None], int] = {}
    for index, table in enumerate(tables):
        source = f"{path}: routes[{index}]"
        route: RouteSettings = _table(table, RouteSettings, source)
        for carrier in route.carriers:
            if carrier not in carriers:
                known = ", ".join(map(_shown, carriers))
                raise SettingsInvalid(f"{source}.carriers names {_shown(carrier)}; the carriers are {known}")
        if len(set(route.carriers)) < len(route.carriers):
            raise SettingsInvalid(f"{source}.carriers names one twice; each can be tried in one place only")
        if route.weights and (len(route.weights) != len(route.carriers) or not any(route.weights)):
            wrong = f"is {list(route.weights)} for {len(route.carriers)} carriers"
            raise SettingsInvalid(f"{source}.weights {wrong}; it must have one for each, and not nothing but 0")
        for prefix, account, sender in product(route.to, route.accounts or (None,), route.senders or (None,)):
            scope = prefix, account, sender
            if scope in first_by_scope:
                wrong = f"names {_shown(prefix)}, and so does routes[{first_by_scope[scope]}]"
                whose = " for an account and sender" if account or sender else ""
                raise SettingsInvalid(f"{source}.to {wrong}; a prefix can lead to one route only{whose}")
            first_by_scope[scope] = index
        routes.append(route)
    return tuple(routes)


def _inbound(tables: Sequence[dict[str, object]], path: Path) -> tuple[InboundSettings, ...]:
    numbers: list[InboundSettings] = []
    first_by_number: dict[str, int] = {}
    for index, table in enumerate(tables):
        source = f"{path}: inbound[{index}]"
        number: InboundSettings = _table(table, InboundSettings, source)
        if number.to in first_by_number:
            wrong = f"is {_shown(number.to)}, and so is inbound[{first_by_number[number.to]}].to"
            raise SettingsInvalid(f"{source}.to {wrong}; a number can belong to one account only")
        first_by_number[number.to] = index
        numbers.append(number)
    return tuple(numbers)


def _database(database: DatabaseSettings, given: Mapping[str, _Given]) -> DatabaseSettings:
    """With the password that the file holds."""
    if database.password_file is None:
        return database
    source = given["password_file"].source
    if database.password is not None:
        raise SettingsInvalid(f"{source} and {given['password'].source} are both given; leave one of them out")
    return msgspec.structs.replace(database, password=_first_line(database.password_file, source))


def _check_tls(server: ServerSettings) -> None:
    files = {"tls_certificate": server.tls_certificate, "tls_key": server.tls_key}
    for key, path in files.items():
        if path is None and any(files.values()):
            raise SettingsInvalid(f"server.{key} is missing; tls_certificate and tls_key go together")
        if path is not None and not path.is_file():
            raise SettingsInvalid(f'server.{key} is "{path}", and there is no such file; name a PEM file')
