"""Which of a carrier's binds may be tried: while none is up, one goes first, and the others see what it comes to."""

import asyncio
from typing import Final

from heliograph.clock import Clock

PATIENCE_S: Final = 3.0
"""How long the others wait for the first one's answer, as long as nobody doubts who we are."""
LOOK_AGAIN_S: Final = 30.0


class Turns:
    """So that wrong credentials are not tried once for each bind: some SMSCs lock an account after a few tries."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._first: int | None = None
        self._waiting: list[int] = []
        self._up: set[int] = set()
        self._is_refused = False
        self._changed = asyncio.Event()

    async def mine(self, bind: int) -> None:
        """Wait until this bind may be tried. After a refusal of who we are, only one is, until one comes up."""
        deadline_s = self._clock.monotonic() + PATIENCE_S
        self._waiting.append(bind)
        try:
            while not self._up and (self._first is not None or self._waiting[0] != bind):
                left_s = LOOK_AGAIN_S if self._is_refused else deadline_s - self._clock.monotonic()
                if left_s <= 0:
                    break
                self._changed.clear()
                await self._clock.wait(self._changed, left_s)
        finally:
            self._waiting.remove(bind)
        if not self._up:
            self._first = bind

    def bound(self, bind: int) -> None:
        """It is up: the SMSC knows us, and all may come."""
        self._up.add(bind)
        self._is_refused = False
        self._changed.set()

    def ended(self, bind: int, *, is_refused: bool) -> None:
        """Its try, or its bind, has come to an end. is_refused: the SMSC doesn't take who we are."""
        self._up.discard(bind)
        self._is_refused = self._is_refused or (is_refused and not self._up)

    def over(self, bind: int) -> None:
        """It isn't the first to be tried any more: its turn is another's."""
        if self._first == bind:
            self._first = None
            self._changed.set()
