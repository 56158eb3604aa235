"""The flags that say which service a client command talks to, and as whom.

Light to import: `heliograph version` has them too, and need not wait for the SDK.
"""

import getpass
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Group, Parameter

from heliograph.cli.passwords import password_from_stdin
from heliograph.jobs.errors import SettingsInvalid

URL_VARIABLE = "HELIOGRAPH_URL"
USERNAME_VARIABLE = "HELIOGRAPH_USERNAME"
PASSWORD_VARIABLE = "HELIOGRAPH_PASSWORD"

SERVICE = Group(
    "Service", help=f"The password comes from {PASSWORD_VARIABLE}, or is asked for on a terminal.", sort_key=9
)


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class ClientFlags:
    """Which service, and who asks it."""

    url: Annotated[
        str | None,
        Parameter(
            group=SERVICE,
            metavar="URL",
            help=f"Its root, such as https://sms.example; {URL_VARIABLE} if not given.",
        ),
    ] = None
    username: Annotated[
        str | None,
        Parameter(group=SERVICE, metavar="NAME", help=f"The account; {USERNAME_VARIABLE} if not given."),
    ] = None
    password_stdin: Annotated[
        bool,
        Parameter(
            group=SERVICE, negative=(), show_default=False, help="Read the password from the first line of stdin."
        ),
    ] = False
    ca_file: Annotated[
        Path | None,
        Parameter(group=SERVICE, metavar="FILE", help="Trust the authorities of this PEM file, and no others."),
    ] = None

    @property
    def has_url(self) -> bool:
        """Whether anything says which service."""
        return bool(self.url or os.environ.get(URL_VARIABLE))

    def named(self) -> tuple[str, str]:
        """The service's url and the username. Raises SettingsInvalid where nothing says it."""
        url = self.url or os.environ.get(URL_VARIABLE)
        if not url:
            raise SettingsInvalid(
                f"no service is named: set {URL_VARIABLE}, or give --url, such as --url https://sms.example"
            )
        username = self.username or os.environ.get(USERNAME_VARIABLE)
        if not username:
            raise SettingsInvalid(f"no account is named: set {USERNAME_VARIABLE}, or give --username")
        return url, username

    def password(self, username: str) -> str:
        """The password: from stdin if so told, else from the environment, else as it is typed on a terminal.

        Raises SettingsInvalid, or UsageInvalid for what can't be one.
        """
        if self.password_stdin:
            return password_from_stdin()
        password = os.environ.get(PASSWORD_VARIABLE)
        if password:
            return password
        if not sys.stdin.isatty():
            raise SettingsInvalid(f"there is no password: set {PASSWORD_VARIABLE}, or give --password-stdin")
        return getpass.getpass(f"Password of {username}: ")
