"""The settings of carriers, and what they are to the carriers themselves."""

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from heliograph.carriers.smpp.reconnecting import Backoff
from heliograph.carriers.smpp.smsc import Smsc, Tls
from heliograph.config.wording import quoted
from heliograph.smpp.pdus import BindReceiver, BindTransceiver, BindTransmitter
from heliograph.smpp.profiles import Alphabet, Concatenation, FlashCoding, NumberType, Profile, ValidityFormat
from heliograph.smpp.receipts import IdBase, MessageState
from heliograph.smpp.session import Settings as SessionSettings
from heliograph.smpp.statuses import CommandStatus, StatusKind

DAY_S = 86_400
LONGEST_WAIT_S = 2 * DAY_S  # The longest validity: a longer wait is never waited to its end.


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
        raise ValueError(f"statuses has {quoted(name)}, which is no command_status, such as 0x0401") from None


CarrierSettings = SandboxSettings | SmppSettings
CARRIER_KINDS: dict[str, type[CarrierSettings]] = {"sandbox": SandboxSettings, "smpp": SmppSettings}
