"""Whether an SMSC that says that a queue is full means its own, or those of single numbers. Bookkeeping only."""

from typing import Final

OF_ALL: Final = 3
"""Full queues of so many numbers, with no other answer between them, are the SMSC's own,"""
WITHIN_S: Final = 10.0
"""if they came within so many seconds."""


class FullQueues:
    """What one SMSC said of them since its last other answer."""

    def __init__(self) -> None:
        self._numbers: dict[str, float] = {}
        self._is_all = False

    def add(self, dst: str, now_s: float) -> bool:
        """It says so of an SMS to that number; whether it is the SMSC's own queue, which it is until another answer."""
        if not self._is_all:
            self._numbers = {number: at_s for number, at_s in self._numbers.items() if now_s - at_s <= WITHIN_S}
            self._numbers[dst] = now_s
            self._is_all = len(self._numbers) >= OF_ALL
        return self._is_all

    def clear(self) -> None:
        """It gave another answer."""
        if self._numbers:
            self._numbers.clear()
            self._is_all = False
