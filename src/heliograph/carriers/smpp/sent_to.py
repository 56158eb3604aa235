"""To which phones a carrier was lately given something."""

from collections import OrderedDict
from typing import Final

from heliograph.jobs.carriage import subscriber_digits

MOST_REMEMBERED: Final = 10_000
"""Phones that are remembered: all those whose SMS are unanswered, and many of those with receipts to come."""


class SentTo:
    """An SMSC may give one id twice: after a restart, or from nodes that count each for itself.

    Then a receipt that comes before the answer to its own submission, or comes once more, has the id of an SMS to
    somebody else. It names its phone, though; and when we have lately sent to that phone, it can only be about that.
    A sender that is a phone's number says nothing: a receipt names it, too. All of this is forgotten with the process.
    """

    def __init__(self) -> None:
        self._phones = OrderedDict[str, None]()
        self._senders = OrderedDict[str, None]()

    def add(self, dst: str, src: str) -> None:
        """Something goes there."""
        _remember(self._phones, dst)
        _remember(self._senders, src)

    def knows(self, phone: str) -> bool:
        """Whether something went there lately. phone: as the carrier writes it."""
        digits = subscriber_digits(phone)
        return digits in self._phones and digits not in self._senders


def _remember(numbers: OrderedDict[str, None], number: str) -> None:
    if digits := subscriber_digits(number):
        numbers[digits] = None
        numbers.move_to_end(digits)
        if len(numbers) > MOST_REMEMBERED:
            numbers.popitem(last=False)
