"""What `heliograph account mcp` changes of an account."""

from typing import Annotated, NamedTuple

import msgspec
from cyclopts import Parameter

from heliograph.api.keys import hash_key, new_key
from heliograph.cli.exits import UsageInvalid
from heliograph.ids import RandomIds
from heliograph.jobs.accounts import DEFAULT_SMS_PER_HOUR, MAX_SMS_PER_HOUR, Account, McpAccess

Enable = Annotated[
    bool | None,
    Parameter(
        name="--enable",
        negative="--disable",
        help="Let agents in, or no more. The key stays the same for when they are let in again.",
    ),
]
SmsPerHour = Annotated[
    int | None,
    Parameter(
        metavar="NUMBER",
        help=f"How many SMS agents may send in any 60 minutes, each part of a long text counted; "
        f"{DEFAULT_SMS_PER_HOUR} if never set.",
    ),
]
NewKey = Annotated[
    bool,
    Parameter(
        negative=(),
        show_default=False,
        help="Make another key; the old one is refused within a second.",
    ),
]


class Change(NamedTuple):
    """An account as it is to be. key: one just made, to be shown once."""

    account: Account
    key: str | None


def check_flags(enable: bool | None, sms_per_hour: int | None, new_key: bool) -> None:
    """Raises UsageInvalid if the flags of `account mcp` say nothing, or what can't be."""
    if enable is None and sms_per_hour is None and not new_key:
        raise UsageInvalid("nothing to change; give --enable, --disable, --sms-per-hour or --new-key")
    if sms_per_hour is not None and not 1 <= sms_per_hour <= MAX_SMS_PER_HOUR:
        raise UsageInvalid(f"--sms-per-hour {sms_per_hour}: it must be a number from 1 to {MAX_SMS_PER_HOUR}")


def changed(account: Account, enable: bool | None, sms_per_hour: int | None, wants_new_key: bool) -> Change:
    """The account with what the flags say. Raises UsageInvalid for those that mean nothing before it is switched on."""
    access, key = account.mcp, None
    if access is None and enable is False and sms_per_hour is None and not wants_new_key:
        return Change(account, None)
    if access is None and not enable:
        raise UsageInvalid(f"MCP was never switched on for the account {account.name}; --enable does that")
    if access is None or wants_new_key:
        key = new_key(account.name, RandomIds().password())
        access = msgspec.structs.replace(access or McpAccess(key_hash=""), key_hash=hash_key(key))
    if enable is not None:
        access = msgspec.structs.replace(access, enabled=enable)
    if sms_per_hour is not None:
        access = msgspec.structs.replace(access, sms_per_hour=sms_per_hour)
    return Change(msgspec.structs.replace(account, mcp=access), key)
