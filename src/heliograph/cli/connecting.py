"""The service that a client command talks to; and its errors, as commands tell them."""

import re
import ssl
import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from heliograph.cli.client_flags import PASSWORD_VARIABLE, URL_VARIABLE, USERNAME_VARIABLE, ClientFlags
from heliograph.cli.exits import CommandFailed, Exit, UsageInvalid, tell
from heliograph.cli.option_flags import flag_of_field
from heliograph.clock import BlockingClock
from heliograph.jobs.errors import FieldFault, HeliographError, SettingsInvalid
from heliograph.sdk import (
    Client,
    ClientError,
    InvalidRequest,
    NotFinished,
    NotFound,
    RateLimited,
    Unauthorized,
    Unavailable,
    UnexpectedAnswer,
    Unsupported,
)
from heliograph.sdk.calls import Call
from heliograph.sdk.transport import NAME_AUTHORITY

T = TypeVar("T")

MOST_FAULTS_TOLD = 5

NameOfField = Callable[[str], str | None]
"""What the field of a request is called at the command line, such as `--to +49` for `messages[0].recipients[0].dst`."""


@contextmanager
def connected(
    flags: ClientFlags | None,
    name_of: NameOfField | None = None,
    clock: BlockingClock | None = None,
    *,
    names_job: bool = False,
) -> Generator[Client]:
    """A client of the service, whose errors and warnings are told as a command tells them.

    name_of: see NameOfField; options are called by their flags in any case. names_job: whether the command does, so
    that a 404 may be about the job; about anything else it is about the URL.
    """
    with _warnings_told(), _client(flags or ClientFlags(), clock) as client:
        try:
            yield client
        except ClientError as error:
            raise failure(error, name_of, names_job=names_job) from error


def with_json(call: Call[T]) -> Call[tuple[Any, T]]:
    """The same call, answered with its JSON as it came, and what that is read as."""

    def read(answer: Any) -> tuple[Any, T]:
        return answer, call.read(answer)

    return Call(call.method, call.path, read, call.query, call.body, call.key, call.repeat, original=call.original)


def _client(flags: ClientFlags, clock: BlockingClock | None) -> Client:
    url, username = flags.named()
    return Client(url, username, flags.password(username), verify=_verify(flags.ca_file), clock=clock)


def _verify(ca_file: Path | None) -> bool | ssl.SSLContext:
    if ca_file is None:
        return True
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # Among them ssl.SSLError.
        raise SettingsInvalid(f"--ca-file {ca_file} can't be used: {error}") from error


def failure(error: ClientError, name_of: NameOfField | None = None, *, names_job: bool = False) -> HeliographError:
    """The service's error as the command's: by who has to act, and in the words of the command line."""
    message = str(error).replace(NAME_AUTHORITY, "give a file with its authority's with --ca-file")
    if error.uncertain:
        return CommandFailed(message, Exit.UNCERTAIN)
    match error:
        case InvalidRequest(fields=fields) if fields:
            return UsageInvalid(_told(fields, name_of))
        case InvalidRequest():
            return UsageInvalid(message)
        case Unauthorized():
            return SettingsInvalid(f"{message}; look at {USERNAME_VARIABLE} and {PASSWORD_VARIABLE}")
        case NotFound() if not names_job:
            return SettingsInvalid(f"{message}; look at {URL_VARIABLE}, or --url: nothing of this API is there")
        case UnexpectedAnswer():
            return SettingsInvalid(message)
        case Unavailable() | RateLimited():
            return CommandFailed(message, Exit.UNAVAILABLE)
        case NotFinished():
            return CommandFailed(message, Exit.UNFINISHED)
        case Unsupported():
            return CommandFailed(f"this service can't do that: {message}")
        case _:
            return CommandFailed(message)


_WIRE_NAME = re.compile(r"\b[a-z]+[A-Z]\w*\b")


def _flag(wire_name: re.Match[str]) -> str:
    return flag_of_field(f"options.{wire_name[0]}") or wire_name[0]


def _told(fields: tuple[FieldFault, ...], name_of: NameOfField | None) -> str:
    faults: list[str] = []
    for fault in fields[:MOST_FAULTS_TOLD]:
        name = (name_of and name_of(fault.field)) or flag_of_field(fault.field) or fault.field
        faults.append(f"{name} {_WIRE_NAME.sub(_flag, fault.message)}")
    more = len(fields) - len(faults)
    return "; ".join(faults) + (f"; and {more} more" if more else "")


@contextmanager
def _warnings_told() -> Generator[None]:
    """The SDK's warnings, each once and in one line."""
    told: set[str] = set()

    def show(message: Warning | str, *_: object, **__: object) -> None:
        if str(message) not in told:
            told.add(str(message))
            tell(f"warning: {message}")

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = show
        yield
