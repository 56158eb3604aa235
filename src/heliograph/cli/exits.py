"""How a command ends: exit codes, and the one line on stderr that goes with an error."""

import sys
from contextlib import suppress
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
    UNDELIVERED = 5
    UNFINISHED = 6
    UNCERTAIN = 7
    INTERRUPTED = 130


EXIT_MEANINGS = {
    Exit.OK: "It is done.",
    Exit.FAILED: "It could not be done; the line on stderr says why.",
    Exit.USAGE: "The command line is wrong: an unknown command or flag, or a value that can't be, "
    "be it that the service says so. Rows of a CSV file are told line by line.",
    Exit.CONFIGURATION: "`heliograph.toml`, a `HELIOGRAPH_*` variable or a flag in their stead is wrong; "
    "or the service doesn't let this username and password in, or is none with this API.",
    Exit.UNAVAILABLE: "The database or the service can't be used: not there, in use, or out of order. Nothing was "
    "done; try again later.",
    Exit.UNDELIVERED: "With `--wait`: every SMS has its final status, and not every one was delivered.",
    Exit.UNFINISHED: "With `--wait`: the time to wait is over, and the job goes on.",
    Exit.UNCERTAIN: "Nobody knows whether it was sent, as an answer was lost; the line on stderr says what to do. "
    "Not to be tried again blindly.",
    Exit.INTERRUPTED: "Interrupted with Ctrl-C before it was done. (`serve` drains, and ends with 0.)",
}


class UsageInvalid(HeliographError):
    """Whoever typed the command has to mend it."""


class CommandFailed(HeliographError):
    """The command was right and could not be done. code: what to end with."""

    def __init__(self, message: str, code: Exit = Exit.FAILED) -> None:
        super().__init__(message)
        self.code = code


def exit_of(error: HeliographError) -> Exit:
    """The exit code for an error, by who has to act."""
    match error:
        case UsageInvalid() | RequestInvalid():
            return Exit.USAGE
        case SettingsInvalid():
            return Exit.CONFIGURATION
        case StoreUnavailable() | Overloaded():
            return Exit.UNAVAILABLE
        case CommandFailed(code=code):
            return code
        case _:
            return Exit.FAILED


def tell(message: str) -> None:
    """One line on stderr. Where that takes none, the exit code says what it can."""
    with suppress(OSError):
        print(f"heliograph: {' '.join(message.split())}", file=sys.stderr)


def say(message: str) -> None:
    """A line on stderr that is no error: what a person at the terminal wants to know, and no script."""
    sys.stdout.flush()  # In a file of both, lines stand in their order.
    print(message, file=sys.stderr)
