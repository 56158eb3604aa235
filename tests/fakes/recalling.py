"""A carrier that can be told to drop what it took."""

import asyncio

from heliograph.carriers.interface import Recalled
from tests.fakes.carrier import ScriptedCarrier


class RecallingScriptedCarrier(ScriptedCarrier):
    """A ScriptedCarrier that writes down what it is to drop, and answers at once.

    can_recall: whether it says that it can. cancelled: the instant, message id and sender of each that it was to drop.
    drops: whether it says yes; None says nothing. most_at_once: how many it takes before one is answered.
    """

    can_recall = True
    drops: bool | None = True
    most_at_once = 10

    def __init__(self, *arguments, **options) -> None:
        super().__init__(*arguments, **options)
        self.cancelled = []
        self._recalled: list[Recalled] = []
        self._recalled_there = asyncio.Event()

    @property
    def recall_room(self) -> int:
        return 0 if self.unreachable else max(0, self.most_at_once - len(self._recalled))

    def cancel(self, message_id: str, src: str) -> bool:
        if self.recall_room == 0:
            return False
        self.cancelled.append((self._clock.now(), message_id, src))
        if self.drops is not None:
            self._recalled.append(Recalled(message_id, self.drops))
            self._recalled_there.set()
        return True

    async def recalled(self) -> list[Recalled]:
        while not self._recalled:
            self._recalled_there.clear()
            await self._recalled_there.wait()
        given, self._recalled = self._recalled, []
        return given

    @property
    def cancelled_ids(self) -> list[str]:
        """The message ids of what it was to drop."""
        return [message_id for _, message_id, _ in self.cancelled]
