"""All randomness: the only module that draws random numbers."""

import random
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

    def key(self) -> bytes:
        """32 random octets to sign with."""
        ...


class RandomIds:
    """Passwords and keys from the operating system's random source; numbers from a generator that it seeds.

    Numbers tell ids apart and keep nothing secret, and a call of the operating system for each would cost more than
    all else about an id.

    seed: for a run that can be repeated, the same numbers as ever with it.
    """

    def __init__(self, seed: int | None = None) -> None:
        self._numbers = random.Random(secrets.randbits(256) if seed is None else seed)

    def number(self, below: int) -> int:
        return self._numbers.randrange(below)

    def password(self) -> str:
        return secrets.token_urlsafe(15)

    def key(self) -> bytes:
        return secrets.token_bytes(32)
