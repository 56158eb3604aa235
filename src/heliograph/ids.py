"""All randomness: the only module that draws random numbers."""

import secrets
from typing import Protocol


class Ids(Protocol):
    """Where the random part of an id comes from. Tests give a seeded one."""

    def number(self, below: int) -> int:
        """A number from 0 up to, not including, `below`; each as likely as the others."""
        ...

    def password(self) -> str:
        """A new password with 120 bits of randomness."""
        ...


class RandomIds:
    """Numbers from the operating system's random source."""

    def number(self, below: int) -> int:
        return secrets.randbelow(below)

    def password(self) -> str:
        return secrets.token_urlsafe(15)
