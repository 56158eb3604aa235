"""How a command gets a password: never from its command line, which others on the machine can read."""

import getpass
import sys

from heliograph.cli.exits import UsageInvalid

MAX_PASSWORD_LENGTH = 255


def password_from_stdin() -> str:
    """The first line of stdin, or what is typed unseen where that is a terminal. Raises UsageInvalid."""
    if sys.stdin.isatty():
        password = getpass.getpass("Password: ")
    else:
        try:
            password = sys.stdin.buffer.readline().decode("utf-8").rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise UsageInvalid("the password on stdin is not UTF-8") from error
    if not 1 <= len(password) <= MAX_PASSWORD_LENGTH or not password.isprintable():
        raise UsageInvalid(
            f"the first line of stdin must be the password: 1 to {MAX_PASSWORD_LENGTH} printable characters"
        )
    return password
