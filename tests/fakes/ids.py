"""Ids that are the same each time."""

import random


class SeededIds:
    """Ids from a seed."""

    def __init__(self, seed: int = 0) -> None:
        self._random = random.Random(seed)

    def number(self, below: int) -> int:
        return self._random.randrange(below)

    def password(self) -> str:
        return f"{self._random.getrandbits(120):030x}"

    def key(self) -> bytes:
        return self._random.randbytes(32)
