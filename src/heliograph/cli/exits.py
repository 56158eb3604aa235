"""How a command ends: exit codes, and the one line on stderr that goes with an error."""

import sys
from enum import IntEnum

from heliograph.jobs.errors import (
    HeliographError,
    Overloaded,
    RequestInvalid,
    SettingsInvalid,
    StoreUnavailable,
)


class Exit(IntEnum):
    """What a command's exit code says."""

    OK = 0
    FAILED = 1
    USAGE = 2
    CONFIGURATION = 3
    UNAVAILABLE = 4
    INTERRUPTED = 130


EXIT_MEANINGS = {
    Exit.OK: "It is done.",
    Exit.FAILED: "It could not be done; the line on stderr says why.",
    Exit.USAGE: "The command line is wrong: an unknown command or flag, or a value that can't be.",
    Exit.CONFIGURATION: "`heliograph.toml`, a `HELIOGRAPH_*` variable or a flag in their stead is wrong.",
    Exit.UNAVAILABLE: "The database or the service can't be used: not there, in use, or out of order.",
    Exit.INTERRUPTED: "Interrupted with Ctrl-C before it was done. (`serve` drains, and ends with 0.)",
}


class UsageInvalid(HeliographError):
    """Whoever typed the command has to mend it."""


class CommandFailed(HeliographError):
    """The command was right and could not be done."""


def exit_of(error: HeliographError) -> Exit:
    """The exit code for an error, by who has to act."""
    match error:
        case UsageInvalid() | RequestInvalid():
            return Exit.USAGE
        case SettingsInvalid():
            return Exit.CONFIGURATION
        case StoreUnavailable() | Overloaded():
            return Exit.UNAVAILABLE
        case _:
            return Exit.FAILED


def tell(message: str) -> None:
    """One line on stderr."""
    print(f"heliograph: {' '.join(message.split())}", file=sys.stderr)
