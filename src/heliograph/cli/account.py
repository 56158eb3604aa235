"""`heliograph account …`: who may use the service. Works on the same database while the service runs."""

import asyncio
import json
import re
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Annotated, Any, Literal, TypeVar, cast
from zoneinfo import ZoneInfo, available_timezones

import msgspec
from cyclopts import App, Parameter
from rich import box
from rich.console import Console
from rich.table import Table

from heliograph.api.auth import hash_password
from heliograph.cli.examples import examples
from heliograph.cli.exits import CommandFailed, UsageInvalid
from heliograph.cli.mcp_access import Change, Enable, NewKey, SmsPerHour, changed, check_flags
from heliograph.cli.option_flags import OptionFlags, given_options
from heliograph.cli.passwords import password_from_stdin
from heliograph.cli.service_flags import StoreFlags
from heliograph.clock import SystemClock
from heliograph.config.wording import suggestion
from heliograph.databases import open_store
from heliograph.ids import RandomIds
from heliograph.jobs.accounts import Account, AccountId, McpAccess, OnUnknown, RateLimit
from heliograph.jobs.addresses import is_country
from heliograph.jobs.options import OPTIONS, JobOptions
from heliograph.jobs.schedule import Period
from heliograph.store.interface import AccountStore
from heliograph.wire.times import format_instant

Result = TypeVar("Result")

MAX_NAME_LENGTH = 64
MAX_CALLS = 100_000  # A sliding window remembers each of them.
MAX_PERIOD_S = 86_400

app = App(
    name="account",
    help_epilogue=examples("heliograph account add acme --country DE", "heliograph account list"),
)

Name = Annotated[str, Parameter(help="The account's name: 1 to 64 characters without a colon.")]
PasswordStdin = Annotated[
    bool,
    Parameter(
        negative=(),
        show_default=False,
        help="Read the password from the first line of stdin; otherwise one is made up.",
    ),
]


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class AccountFlags:
    """What is settable of an account besides its options."""

    rate_limit: Annotated[
        str | None,
        Parameter(metavar="LIMIT", help="Calls in any so many seconds, or none; 100/60s if never set."),
    ] = None
    country: Annotated[
        str | None,
        Parameter(metavar="CODE", help="Whose national numbers need no +, such as DE; none if never set."),
    ] = None
    timezone: Annotated[
        str | None,
        Parameter(metavar="ZONE", help="Of times without an offset, such as Europe/Berlin; UTC if never set."),
    ] = None
    lenient: Annotated[
        bool | None, Parameter(help="Numbers out of range get the nearest allowed value instead of an error.")
    ] = None
    on_unknown: Annotated[
        Literal["resend", "give-up"] | None,
        Parameter(help="When nobody knows whether the carrier took an SMS; resend if never set."),
    ] = None


@app.command(
    help_epilogue=examples(
        "heliograph account add acme --country DE --timezone Europe/Berlin --src ACME",
        "heliograph account add acme --rate-limit none --password-stdin < password.txt",
    )
)
def add(
    name: Name,
    /,
    *,
    password_stdin: PasswordStdin = False,
    flags: AccountFlags | None = None,
    options: OptionFlags | None = None,
    store: StoreFlags | None = None,
) -> None:
    """Add an account. Its password is printed, this once, unless it comes from stdin."""
    _check_name(name)
    account = Account(id=AccountId(0), name=name, password_hash="")
    account = _changed(account, flags or AccountFlags(), options or OptionFlags())
    password, is_new = _password(password_stdin)

    async def put(accounts: AccountStore) -> None:
        await accounts.put_account(msgspec.structs.replace(account, password_hash=hash_password(password)))

    _with_store(store, put, may_be_new=True)
    _say(f"Account {name} added.")
    if is_new:
        _show_password(password)


@app.command(
    name="list",
    help_epilogue=examples(
        "heliograph account list",
        "heliograph account list --json",
    ),
)
def list_accounts(
    *,
    as_json: Annotated[
        bool, Parameter(name="--json", negative=(), show_default=False, help="Print JSON, for programs.")
    ] = False,
    store: StoreFlags | None = None,
) -> None:
    """List all accounts. Nothing that is shown tells a password."""
    accounts = _with_store(store, lambda accounts: accounts.accounts())
    if as_json:
        print(json.dumps([_as_json(account) for account in accounts], indent=2, ensure_ascii=False))
    elif accounts:
        Console(highlight=False).print(_table(accounts))
    else:
        _say("There are no accounts yet; heliograph account add NAME makes one.")


@app.command(
    help_epilogue=examples(
        "heliograph account disable acme",
    )
)
def disable(name: Name, /, *, store: StoreFlags | None = None) -> None:
    """Let an account in no more. Its jobs are still sent."""
    _change(store, name, lambda account: msgspec.structs.replace(account, disabled=True))
    _say(f"Account {name} is disabled; heliograph account enable lets it in again.")


@app.command(
    help_epilogue=examples(
        "heliograph account enable acme",
    )
)
def enable(name: Name, /, *, store: StoreFlags | None = None) -> None:
    """Let a disabled account in again."""
    _change(store, name, lambda account: msgspec.structs.replace(account, disabled=False))
    _say(f"Account {name} is enabled.")


@app.command(
    help_epilogue=examples(
        "heliograph account passwd acme",
        "heliograph account passwd acme --password-stdin < password.txt",
    )
)
def passwd(name: Name, /, *, password_stdin: PasswordStdin = False, store: StoreFlags | None = None) -> None:
    """Give an account another password; the old one is refused within a second."""
    password, is_new = _password(password_stdin)
    _change(store, name, lambda account: msgspec.structs.replace(account, password_hash=hash_password(password)))
    _say(f"Account {name} has a new password.")
    if is_new:
        _show_password(password)


@app.command(
    name="set",
    help_epilogue=examples(
        "heliograph account set acme --rate-limit 600/60s",
        "heliograph account set acme --status-requested --reset src",
    ),
)
def set_account(
    name: Name,
    /,
    *,
    reset: Annotated[
        list[str] | None,
        Parameter(
            metavar="OPTION",
            negative_iterable=(),
            help="An option, such as src, whose default is as if never set. May be given several times.",
        ),
    ] = None,
    flags: AccountFlags | None = None,
    options: OptionFlags | None = None,
    store: StoreFlags | None = None,
) -> None:
    """Change what an account was added with; what is not named stays as it is."""
    kept = _without_defaults(reset or [])
    if flags is None and options is None and not reset:
        raise UsageInvalid("nothing to set; name what to change, such as --rate-limit 600/60s")
    _change(
        store,
        name,
        lambda account: _changed(kept(account), flags or AccountFlags(), options or OptionFlags()),
    )
    _say(f"Account {name} is changed.")


@app.command(
    help_epilogue=examples(
        "heliograph account mcp acme --enable",
        "heliograph account mcp acme --sms-per-hour 20",
        "heliograph account mcp acme --disable",
    )
)
def mcp(
    name: Name,
    /,
    *,
    enable: Enable = None,
    sms_per_hour: SmsPerHour = None,
    new_key: NewKey = False,
    store: StoreFlags | None = None,
) -> None:
    """Let agents send for an account over MCP. The key that they need is printed when it is made, this once."""
    check_flags(enable, sms_per_hour, new_key)
    made: list[Change] = []

    def change(account: Account) -> Account:
        made.append(changed(account, enable, sms_per_hour, new_key))
        return made[-1].account

    _change(store, name, change)
    access = made[-1].account.mcp
    if access is not None and access.enabled:
        _say(f"Agents may send {access.sms_per_hour} SMS an hour for {name}, at /mcp of the service.")
    else:
        _say(f"Agents are not let in for {name}; heliograph account mcp {name} --enable changes that.")
    if made[-1].key is not None:
        _say("The key, which is not shown again:")
        print(made[-1].key)


def _change(flags: StoreFlags | None, name: str, change: Callable[[Account], Account]) -> None:
    async def put(store: AccountStore) -> None:
        account = await store.account(name)
        if account is None:
            names = [each.name for each in await store.accounts()]
            near = suggestion(name, names) if names else "there are none; heliograph account add NAME makes one"
            raise CommandFailed(f"there is no account {name}; {near}")
        await store.put_account(change(account))

    _with_store(flags, put)


def _with_store(
    flags: StoreFlags | None, action: Callable[[AccountStore], Awaitable[Result]], *, may_be_new: bool = False
) -> Result:
    database = (flags or StoreFlags()).settings().database

    async def act() -> Result:
        async with open_store(database, SystemClock().now(), serving=False, may_be_new=may_be_new) as store:
            return await action(store)

    return asyncio.run(act())


def _changed(account: Account, flags: AccountFlags, options: OptionFlags) -> Account:
    changes: dict[str, Any] = {}
    if flags.rate_limit is not None:
        changes["rate_limit"] = _rate_limit(flags.rate_limit)
    if flags.country is not None:
        changes["country"] = _country(flags.country)
    if flags.timezone is not None:
        changes["timezone"] = _timezone(flags.timezone)
    if flags.lenient is not None:
        changes["lenient"] = flags.lenient
    if flags.on_unknown is not None:
        changes["on_unknown"] = OnUnknown(flags.on_unknown)
    account = msgspec.structs.replace(account, **changes)
    defaults = msgspec.structs.replace(account.defaults, **given_options(options, ZoneInfo(account.timezone)))
    return msgspec.structs.replace(account, defaults=defaults)


def _without_defaults(names: list[str]) -> Callable[[Account], Account]:
    """What sets the named options of an account back; a name in any of its spellings."""
    own = JobOptions()
    by_spelling = {
        spelling: option.name
        for option in OPTIONS
        for spelling in (option.name.replace("_", "-"), option.name, option.wire_name)
    }
    for name in names:
        if name not in by_spelling:
            known = [option.name.replace("_", "-") for option in OPTIONS]
            raise UsageInvalid(f"--reset {name}: there is no such option; {suggestion(name, known)}")
    values = {by_spelling[name]: getattr(own, by_spelling[name]) for name in names}
    return lambda account: msgspec.structs.replace(
        account, defaults=msgspec.structs.replace(account.defaults, **values)
    )


def _check_name(name: str) -> None:
    if not 1 <= len(name) <= MAX_NAME_LENGTH:
        raise UsageInvalid(f"a name has 1 to {MAX_NAME_LENGTH} characters; this one has {len(name)}")
    if ":" in name:
        raise UsageInvalid("a name can't hold a colon: in HTTP Basic authentication the password begins there")
    if not name.isprintable() or name != name.strip():
        raise UsageInvalid("a name is made of printable characters, with no blank at either end")


def _rate_limit(text: str) -> RateLimit | None:
    if text.lower() == "none":
        return None
    parts = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})s?", text)
    if parts is None or not (1 <= int(parts[1]) <= MAX_CALLS and 1 <= int(parts[2]) <= MAX_PERIOD_S):
        raise UsageInvalid(
            f"--rate-limit {text}: it must be calls/seconds, such as 100/60s, with 1 to {MAX_CALLS} calls "
            f"and 1 to {MAX_PERIOD_S} seconds; or none"
        )
    return RateLimit(calls=int(parts[1]), period_s=int(parts[2]))


def _country(text: str) -> str | None:
    if text.lower() == "none":
        return None
    if not is_country(text.upper()):
        raise UsageInvalid(f"--country {text}: it must be a country's ISO code of two letters, such as DE, or none")
    return text.upper()


def _timezone(text: str) -> str:
    zones = available_timezones()
    if text not in zones:
        near = suggestion(text, zones) if len(text) > 2 else "it must be a name such as Europe/Berlin"
        near = near if near.startswith("did") else "it must be an IANA name, such as Europe/Berlin"
        raise UsageInvalid(f"--timezone {text}: there is no such time zone; {near}")
    return text


def _password(from_stdin: bool) -> tuple[str, bool]:
    """A password, and whether it is one that was made up."""
    if not from_stdin:
        return RandomIds().password(), True
    return password_from_stdin(), False


def _say(message: str) -> None:
    # On stderr, so that stdout holds what a script asks for: the password, the list.
    print(message, file=sys.stderr)


def _show_password(password: str) -> None:
    _say("Its password, which is not shown again:")
    print(password)


def _table(accounts: list[Account]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in ("name", "rate limit", "country", "time zone", "besides"):
        table.add_column(column, overflow="fold")
    for account in accounts:
        besides = ["disabled"] if account.disabled else []
        besides += ["lenient"] if account.lenient else []
        besides += ["gives up on unknown"] if account.on_unknown is OnUnknown.GIVE_UP else []
        besides += [_mcp(account.mcp)] if account.mcp is not None else []
        besides += [f"{name}={_text(value)}" for name, value in _own_defaults(account).items()]
        table.add_row(
            account.name,
            str(account.rate_limit or "none"),
            account.country or "none",
            account.timezone,
            ", ".join(besides),
            style="dim" if account.disabled else None,
        )
    return table


def _mcp(access: McpAccess) -> str:
    return f"mcp ({access.sms_per_hour} SMS/h)" if access.enabled else "mcp off"


def _own_defaults(account: Account) -> dict[str, Any]:
    """The options, by their wire names, whose defaults are not heliograph's."""
    own = JobOptions()
    return {
        option.wire_name: _json_value(getattr(account.defaults, option.name))
        for option in OPTIONS
        if getattr(account.defaults, option.name) != getattr(own, option.name)
    }


def _as_json(account: Account) -> dict[str, Any]:
    limit = account.rate_limit
    return {
        "name": account.name,
        "disabled": account.disabled,
        "rateLimit": None if limit is None else {"calls": limit.calls, "periodS": limit.period_s},
        "country": account.country,
        "timezone": account.timezone,
        "lenient": account.lenient,
        "onUnknown": account.on_unknown.value,
        "mcp": None
        if account.mcp is None
        else {"enabled": account.mcp.enabled, "smsPerHour": account.mcp.sms_per_hour},
        "defaults": {option.wire_name: _json_value(getattr(account.defaults, option.name)) for option in OPTIONS},
    }


def _json_value(value: object) -> Any:
    match value:
        case Enum():
            return value.value
        case datetime():
            return format_instant(value)
        case Period():
            return f"{format_instant(value.start)}/{format_instant(value.end)}"
        case tuple():
            return [_json_value(each) for each in cast("tuple[object, ...]", value)]
        case _:
            return value


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
